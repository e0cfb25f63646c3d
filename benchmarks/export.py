"""Rows/s and memory of `mdc export`, as a person runs it: a command of its own, into a file."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import psutil

from benchmarks.measure import Report, WrongContent, spread
from benchmarks.stored import ROWS_OF_A_SERIES, fill_minutes
from benchmarks.work import COMMAND
from mdc.stack.embedded import EmbeddedStack
from mdc.stack.processes import child_environment

WANTED: Final = {"parquet": 500_000, "arrow": 500_000, "csv": 200_000}
SERIES: Final = 5
ROUNDS: Final = 3
_LOOK_EVERY: Final = 0.05


def run(stack: EmbeddedStack) -> Report:
    """Export one million rows and five, each form three times."""
    return measure(stack, sizes=(1, SERIES), rounds=ROUNDS)


def measure(stack: EmbeddedStack, *, sizes: Sequence[int], rounds: int) -> Report:
    """Export so many millions of rows in each form; the start of the command is included."""
    symbols = fill_minutes(series=max(sizes))
    folder = Path(tempfile.mkdtemp(prefix="mdc-bench-export-"))
    try:
        return {
            form: {
                "wanted_rows_per_s": wanted,
                **{
                    f"{size}_million": _export(
                        stack, symbols[:size], form=form, folder=folder, rounds=rounds
                    )
                    for size in sizes
                },
            }
            for form, wanted in WANTED.items()
        }
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _export(
    stack: EmbeddedStack, symbols: Sequence[str], *, form: str, folder: Path, rounds: int
) -> Report:
    rows = len(symbols) * ROWS_OF_A_SERIES
    rates, peaks = [], []
    for _ in range(rounds):
        target = folder / f"bars.{form}"
        taken, peak = _watched(stack, ["--symbols", ",".join(symbols), "-o", str(target)])
        rates.append(rows / taken)
        peaks.append(peak)
        size = target.stat().st_size
        if form == "csv" and size < 60 * rows:
            raise WrongContent("export", f"{size} bytes for {rows} rows")
        target.unlink()
    return {
        "rows_per_s": round(statistics.median(rates)),
        "rows_per_s_spread": spread(rates),
        "peak_memory_mb": round(max(peaks) / 2**20),
        "bytes_per_row": round(size / rows, 1),
    }


def _watched(stack: EmbeddedStack, arguments: Sequence[str]) -> tuple[float, int]:
    """Run the command; return its seconds and the most memory it held, in bytes."""
    begun = time.perf_counter()
    with subprocess.Popen(
        [COMMAND, "export", "--timeframe", "1m", *arguments],
        env=child_environment(stack.environment),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        watched, peak = psutil.Process(process.pid), 0
        while process.poll() is None:
            try:
                peak = max(peak, watched.memory_info().rss)
            except psutil.NoSuchProcess:
                break
            time.sleep(_LOOK_EVERY)
        _, complaint = process.communicate()
    if process.returncode:
        raise WrongContent("export", complaint.decode(errors="replace"))
    return time.perf_counter() - begun, peak
