"""How the tests compile: compilation costs nearly all of their time, execution next to none."""

from importlib.metadata import version

# Without the optimizer. The older emitters of fused loops, which later releases do not have, take
# half the time of the newer ones.
XLA_OPTIONS: dict[str, int | bool] = {"xla_backend_optimization_level": 0}
if tuple(int(n) for n in version("jaxlib").split(".")[:2]) < (0, 11):
    XLA_OPTIONS["xla_cpu_use_fusion_emitters"] = False


def as_flags() -> str:
    """The options as XLA_FLAGS has them."""
    return " ".join(f"--{name}={str(value).lower()}" for name, value in XLA_OPTIONS.items())
