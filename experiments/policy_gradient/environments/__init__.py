"""Environments as pure functions, and an adapter to Gymnasium."""
