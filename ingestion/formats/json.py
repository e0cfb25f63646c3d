"""JSON lines: one object a bar, with null for what is absent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import BinaryIO, Final

from ingestion.formats.forms import NAMES, Origin
from ingestion.formats.lines import Layout, LineWriter


def _names(values: Sequence[str]) -> str:
    pairs = zip(NAMES, values, strict=True)
    text = json.dumps(dict(pairs), ensure_ascii=False, separators=(",", ":"))
    return text.removesuffix("}")


_LAYOUT: Final = Layout(
    header=lambda names: "",
    begin=_names,
    label=lambda name: f',"{name}":',
    end="}\n",
    quote='"',
    absent="null",
)


def open_json(file: BinaryIO, origin: Origin) -> LineWriter:
    """Begin a file of JSON lines."""
    return LineWriter(file, layout=_LAYOUT, columns=origin.columns)
