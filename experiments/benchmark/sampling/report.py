"""The table, the files and the chart of the benchmark."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from experiments.benchmark.sampling.timing import Result
from experiments.harness.run_directory import write_atomically
from repara import plotting

__all__ = ["draw_chart", "table", "write_files"]


def table(results: Sequence[Result]) -> str:
    """Formats results as a Markdown table.

    Args:
      results: the results, also those of repara ("ours").

    Returns:
      Milliseconds per library, with the ratio of repara's time to it in brackets; "-" if the
      library does not have the case.
    """
    libraries = list(dict.fromkeys(r.library for r in results))
    lines = [
        "| | dtype | work | " + " | ".join(libraries) + " |",
        "|---" * (3 + len(libraries)) + "|",
    ]
    medians = {(r.family, r.dtype, r.work, r.library): r.median for r in results}
    for case in dict.fromkeys((r.family, r.dtype, r.work) for r in results):
        ours = medians[*case, "ours"]
        cells = [_cell(ours, medians.get((*case, library)), library) for library in libraries]
        lines.append(f"| {' | '.join([*case, *cells])} |")
    return "\n".join(lines)


def _cell(ours: float, median: float | None, library: str) -> str:
    if median is None:
        return "-"
    ratio = "" if library == "ours" else f" ({ours / median:.3g})"
    return f"{1e3 * median:.3g} ms{ratio}"


def write_files(results: Sequence[Result], folder: Path, *, machine: str, samples: int) -> None:
    """Writes sampling.json, sampling.csv and sampling.png.

    Args:
      results: the results.
      folder: the folder to write to; it is made if it does not exist.
      machine: a description of the machine.
      samples: variates per call.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = [r._asdict() for r in results]
    record = {"machine": machine, "samples": samples, "results": rows}
    write_atomically(folder / "sampling.json", json.dumps(record, indent=1) + "\n")
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, Result._fields)
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(folder / "sampling.csv", text.getvalue())
    title = f"{samples:,} samples with gradient, {results[0].dtype}, {machine}"
    draw_chart(results, folder / "sampling.png", title)


def draw_chart(results: Sequence[Result], path: Path, title: str) -> None:
    """Draws the times of value and gradient in the first dtype as bars, on a log scale.

    Args:
      results: the results.
      path: the PNG to write.
      title: the title.
    """
    dtype = results[0].dtype
    selected = [r for r in results if r.work != "value" and r.dtype == dtype]
    families = list(dict.fromkeys(r.family for r in selected))
    libraries = list(dict.fromkeys(r.library for r in selected))
    times = {(r.family, r.library): 1e3 * r.median for r in selected}
    groups = {x: [times.get((family, x), np.nan) for family in families] for x in libraries}
    plotting.grouped_bars(path, groups, families, ylabel="ms", title=title)
