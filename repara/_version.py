"""The version, in its own file so that packaging can read it without importing jax."""

__all__ = ["__version__"]

__version__ = "0.1.0"
