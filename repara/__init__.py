"""repara: every continuous distribution is a differentiable transform of fixed noise."""

from repara._version import __version__

__all__ = ["__version__"]
