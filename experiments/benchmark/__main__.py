"""`python -m experiments.benchmark NAME --flags` runs experiments/benchmark/NAME.py."""

import sys

from absl import app

from experiments.benchmark import sampling

BENCHMARKS = {"sampling": sampling}

if __name__ == "__main__":
    name = sys.argv.pop(1) if len(sys.argv) > 1 else ""
    if name not in BENCHMARKS:
        sys.exit(f"usage: python -m experiments.benchmark {{{','.join(BENCHMARKS)}}} --flags")
    BENCHMARKS[name].define_flags()
    app.run(BENCHMARKS[name].main)
