"""CSV (RFC 4180) with a header; what is absent is empty."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import BinaryIO, Final

from ingestion.formats.forms import Origin
from ingestion.formats.lines import Layout, LineWriter


def _row(values: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(values)
    return text.getvalue()


_LAYOUT: Final = Layout(
    header=lambda names: _row(names) + "\n",
    begin=_row,
    label=lambda name: ",",
    end="\n",
    quote="",
    absent="",
)


def open_csv(file: BinaryIO, origin: Origin) -> LineWriter:
    """Begin a CSV file."""
    return LineWriter(file, layout=_LAYOUT, columns=origin.columns)
