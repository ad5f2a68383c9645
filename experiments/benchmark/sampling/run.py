"""Times reparameterized sampling and its gradient in several libraries, in one process.

Each case draws `samples` variates, each with its own parameters, so that the gradient has one entry
per sample, and computes the gradient of the sum of their squares in every parameter. The time
includes the random numbers. Medians over `repeats` calls after a warm-up; libraries that are not
installed are left out.
"""

from experiments.benchmark import machine
from experiments.benchmark.sampling.config import Config, resolve
from experiments.benchmark.sampling.report import table, write_files
from experiments.benchmark.sampling.timing import Result, time_all

__all__ = ["run"]


def run(config: Config) -> list[Result]:
    """Runs the benchmark, prints its table and writes its files.

    Args:
      config: the flags.

    Returns:
      One result per dtype, family, library and kind of work.

    Raises:
      ConfigError: a flag is out of range, or a family or library is unknown or not installed.
    """
    settings = resolve(config)
    machine.use_platform(settings.platform)
    results = time_all(
        settings.families, settings.libraries, settings.dtypes,
        samples=settings.samples, repeats=settings.repeats,
    )  # fmt: skip
    description = machine.describe()
    print(
        f"\n{description}; {settings.samples} samples, medians of {settings.repeats} calls\n\n"
        f"{table(results)}"
    )
    if settings.output is not None:
        write_files(results, settings.output, machine=description, samples=settings.samples)
    return results
