"""Benchmarks against peers in one run: `python -m experiments.benchmark NAME`."""
