"""The machine of a benchmark: the choice of jax's platform, and a description."""

import platform

import jax

__all__ = ["PLATFORMS", "describe", "use_platform"]

PLATFORMS = ("default", "cpu", "cuda", "gpu", "tpu")
"""The values of the flag --platform."""


def use_platform(name: str | None) -> None:
    """Makes jax compute on a platform; call it before the first computation.

    Args:
      name: the name of the platform in jax, or None for jax's default.
    """
    if name is not None:
        jax.config.update("jax_platforms", name)


def describe() -> str:
    """Returns the device, the processor and the version of jax."""
    device = jax.devices()[0]
    kind = " ".join(dict.fromkeys((device.platform, device.device_kind)))
    return f"{kind}, {platform.processor() or platform.machine()}, jax {jax.__version__}"
