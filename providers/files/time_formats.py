"""Tell how a time column is written: as declared, or as its first values show."""

from __future__ import annotations

import re
from datetime import date
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from providers.files.errors import BadLayout
from providers.files.layout import FileFormat

OF_DAY: Final = "of_day:"
EPOCH_UNITS: Final = {
    "epoch_s": 1_000_000.0,
    "epoch_ms": 1_000.0,
    "epoch_us": 1.0,
    "epoch_ns": 0.001,
}
_DIGITS: Final = re.compile(r"[+-]?\d+(\.\d*)?")
_DIGIT_COUNTS: Final = {
    8: "%Y%m%d",
    9: "epoch_s",
    10: "epoch_s",
    12: "%Y%m%d%H%M",
    13: "epoch_ms",
    14: "%Y%m%d%H%M%S",
    16: "epoch_us",
    19: "epoch_ns",
}
_OF_DAY: Final = re.compile(r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?")
_CLOCKS: Final = (
    (re.compile(r"\d{1,2}:\d{2}:\d{2}\.\d+"), "%H:%M:%S.%f"),
    (re.compile(r"\d{1,2}:\d{2}:\d{2} ?[AaPp][Mm]"), "%I:%M:%S %p"),
    (re.compile(r"\d{1,2}:\d{2} ?[AaPp][Mm]"), "%I:%M %p"),
    (re.compile(r"\d{1,2}:\d{2}:\d{2}"), "%H:%M:%S"),
    (re.compile(r"\d{1,2}:\d{2}"), "%H:%M"),
    (re.compile(r"\d{6}"), "%H%M%S"),
)
_DATES: Final = (
    (re.compile(r"\d{4}-\d{1,2}-\d{1,2}"), "%Y-%m-%d"),
    (re.compile(r"\d{4}\.\d{1,2}\.\d{1,2}"), "%Y.%m.%d"),
    (re.compile(r"\d{4}/\d{1,2}/\d{1,2}"), "%Y/%m/%d"),
    (re.compile(r"\d{8}"), "%Y%m%d"),
    (re.compile(r"\d{1,2}-[A-Za-z]{3}-\d{2}"), "%d-%b-%y"),
    (re.compile(r"\d{1,2}-[A-Za-z]{3}-\d{4}"), "%d-%b-%Y"),
    (re.compile(r"\d{1,2} [A-Za-z]{3} \d{4}"), "%d %b %Y"),
    (re.compile(r"[A-Za-z]{3} \d{1,2}, \d{4}"), "%b %d, %Y"),
)
# Day and month look alike; the column as a whole must tell which is which.
_DAY_OR_MONTH: Final = re.compile(r"(\d{1,2})([/.-])(\d{1,2})\2(\d{4})")


def settle_format(column: pa.Array, form: FileFormat, *, day: date | None) -> str:
    """Return how a column writes its stamps: as declared, or as its first values show.

    `OF_DAY` before a format says that `day` completes it. Raises BadLayout where that cannot be
    told.
    """
    if form.time_format != "auto":
        return form.time_format
    column = plain(column)
    if is_numeric(column.type):
        values = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        whole = np.abs(values[np.isfinite(values)][:1]).astype(np.int64)
        return _DIGIT_COUNTS.get(len(str(int(whole[0]))), "") if len(whole) else "epoch_s"
    if not is_text(column.type):
        return "iso"
    text = pc.utf8_trim_whitespace(column)
    first = _typical(text)
    if first is None:
        return "iso"
    if _OF_DAY.fullmatch(first) and day is not None:
        return OF_DAY + "iso"
    return _recognise(first, text)


def plain(column: pa.Array) -> pa.Array:
    """Return a column without its dictionary."""
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def is_numeric(kind: pa.DataType) -> bool:
    """Tell whether a type holds numbers."""
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    )


def is_text(kind: pa.DataType) -> bool:
    """Tell whether a type holds text."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _typical(text: pa.Array) -> str | None:
    """Return the first value that looks like a stamp: a stray word before it does not count."""
    for candidates in (text[:100], text):
        values: list[str] = [value for value in candidates.to_pylist() if value]
        if values:
            return next((value for value in values if value[0].isdigit()), values[0])
    return None


def _recognise(first: str, text: pa.Array) -> str:
    """Return the format of a text column: `iso`, an epoch unit, or a pattern."""
    if _DIGITS.fullmatch(first):
        found = _DIGIT_COUNTS.get(len(first.partition(".")[0].lstrip("+-")))
        if found:
            return found
    date_text, _, clock = first.partition(" ")
    if _DAY_OR_MONTH.fullmatch(date_text):
        return _day_or_month(text, date_text) + _clock(clock)
    for expression, pattern in _DATES:
        found_date = expression.match(first)
        if found_date is None:
            continue
        rest = first[found_date.end() :]
        if pattern == "%Y-%m-%d" and (not rest or rest[0] in "T "):
            return "iso"
        separator, clock = rest[:1], rest[1:].strip()
        if not rest or separator in " T;,":
            return pattern + (separator + _clock(clock).lstrip(" ") if rest else "")
    raise BadLayout(f"the stamps, such as {first!r}, are of no known format; declare time_format")


def _day_or_month(text: pa.Array, example: str) -> str:
    parts = pc.extract_regex(text, r"^(?P<a>\d{1,2})[/.-](?P<b>\d{1,2})[/.-]\d{4}")
    lead, second = (
        pc.max(pc.struct_field(parts, name).cast(pa.int64())).as_py() or 0 for name in ("a", "b")
    )
    mark = re.sub(r"\d", "", example)[0]
    if lead > 12 >= second:
        return f"%d{mark}%m{mark}%Y"
    if second > 12 >= lead:
        return f"%m{mark}%d{mark}%Y"
    raise BadLayout(
        f"the dates, such as {example!r}, may start with the day or the month; declare time_format"
        f" as %d{mark}%m{mark}%Y or %m{mark}%d{mark}%Y"
    )


def _clock(text: str) -> str:
    if not text:
        return ""
    for expression, pattern in _CLOCKS:
        if expression.fullmatch(text):
            return " " + (pattern if " " in text else pattern.replace(" %p", "%p"))
    raise BadLayout(f"the times of day, such as {text!r}, are of no known format")
