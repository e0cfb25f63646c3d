"""The same exports with fifty million rows: is memory still flat?"""

from __future__ import annotations

from benchmarks.export import measure
from benchmarks.measure import Report
from mdc.stack.embedded import EmbeddedStack

MILLIONS = 50


def run(stack: EmbeddedStack) -> Report:
    """Export one million rows and fifty, once each."""
    return measure(stack, sizes=(1, MILLIONS), rounds=1)
