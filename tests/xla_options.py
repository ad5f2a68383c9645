"""Compiler options of the tests, which spend nearly all of their time compiling."""

from importlib.metadata import version

__all__ = ["XLA_OPTIONS", "as_flags"]

# Without the optimizer. The older emitters of fused loops, which jaxlib 0.11 and later do not
# have, take half the time of the newer ones. Measured on programs of the registry (CPU seconds):
# 13.9 like this; 13.1 to 13.9 with xla_cpu_parallel_codegen_split_count=1, 14.7 with
# xla_llvm_disable_expensive_passes, 15.7 with xla_cpu_multi_thread_eigen=false, 15.8 with
# xla_cpu_prefer_vector_width=128.
XLA_OPTIONS: dict[str, int | bool] = {"xla_backend_optimization_level": 0}
if tuple(int(n) for n in version("jaxlib").split(".")[:2]) < (0, 11):
    XLA_OPTIONS["xla_cpu_use_fusion_emitters"] = False


def as_flags() -> str:
    """Returns the options as the environment variable XLA_FLAGS has them."""
    return " ".join(f"--{name}={str(value).lower()}" for name, value in XLA_OPTIONS.items())
