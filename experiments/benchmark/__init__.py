"""Benchmarks: `python -m experiments.benchmark NAME --flags`."""
