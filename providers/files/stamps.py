"""Read time columns: whatever a file writes, as microseconds since the Unix epoch, UTC.

A stamp that cannot be read becomes NO_STAMP. Whole columns are read at once; how a column of text
is written is decided once, from its first values.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from providers.files.errors import BadLayout
from providers.files.layout import DateSource, FileFormat, StampEdge
from providers.files.time_formats import EPOCH_UNITS, OF_DAY, is_numeric, is_text, plain
from providers.instants import floor_dates, utc_offsets
from providers.sessions import DAY_US, Stamps
from providers.types import Timeframe

if TYPE_CHECKING:
    import pandas as pd

NO_STAMP: Final = int(np.iinfo(np.int64).min)
# Beyond these nothing is a stamp: years 1 to 9999.
_FIRST_US: Final = -62_135_596_800_000_000
_LAST_US: Final = 253_402_300_800_000_000

_MICROSECOND: Final = timedelta(microseconds=1)
_OFFSET: Final = r"(:\d\d(?:\.\d+)?)\s*(?:Z|z|UTC|[+-]\d\d(?::?\d\d)?)$"
# Months, days and hours of one digit, and what makes ISO 8601 of them (RE2 knows \0 to \9 only).
_SINGLE_DIGITS: Final = (
    (r"^(\d{4})-(\d)-", r"\1-0\2-"),
    (r"^(\d{4}-\d\d)-(\d)(\D|$)", r"\1-0\2\3"),
    (r"^(\d{4}-\d\d-\d\d[ T])(\d):", r"\10\2:"),
)


@dataclass(frozen=True, slots=True, eq=False)
class Wall:
    """Hold readings of n stamps: as written on the wall, and as instants.

    `instants` is NO_STAMP where the written stamp has no offset and no zone was declared for it.
    `timed` says that a time of day was written, not a date alone.
    """

    written: Stamps
    instants: Stamps
    has_offset: NDArray[np.bool_]
    timed: bool


def read_wall(column: pa.Array, time_format: str, *, day: date | None) -> Wall:
    """Read one block of a time column whose format is settled. Raises BadLayout."""
    column = plain(column)
    kind = column.type
    if pa.types.is_date(kind):
        return _wall_of(_micros(column.cast(pa.timestamp("us"))), timed=False)
    if pa.types.is_timestamp(kind):
        return _from_timestamps(column)
    if is_numeric(kind):
        return _from_numbers(column, time_format, day=day)
    if pa.types.is_null(kind):
        return _wall_of(np.full(len(column), NO_STAMP, np.int64), timed=False)
    if not is_text(kind):
        raise BadLayout(f"the time column holds {kind}, which is no time")
    return _from_text(column, time_format, day=day)


def join_walls(walls: Sequence[Wall]) -> Wall:
    """Join the readings of a file's blocks."""
    return Wall(
        written=np.concatenate([one.written for one in walls]),
        instants=np.concatenate([one.instants for one in walls]),
        has_offset=np.concatenate([one.has_offset for one in walls]),
        timed=any(one.timed for one in walls),
    )


def stamps_of(wall: Wall, *, form: FileFormat, timeframe: Timeframe) -> Stamps:
    """Return the start stamps of bars, NO_STAMP where one cannot be read.

    Daily and longer bars are labelled by their date, weeks by their Monday, months by their first.
    """
    if timeframe.is_intraday:
        stamps = _localized(wall, zone=form.timezone)
        step = timeframe.duration // _MICROSECOND if form.stamps is StampEdge.END else 0
        return np.where(stamps == NO_STAMP, NO_STAMP, stamps - step)
    if form.dates is DateSource.LOCAL:
        instants = _localized(wall, zone=form.timezone)
        known = instants != NO_STAMP
        local = instants.copy()
        local[known] += utc_offsets(instants[known], form.timezone or "UTC")
    else:
        local, known = wall.written, wall.written != NO_STAMP
    if form.stamps is StampEdge.END and wall.timed:
        # The midnight that ends a day belongs to it.
        local = np.where(known & (local % DAY_US == 0), local - 1, local)
    dates = floor_dates(np.where(known, local - local % DAY_US, 0), timeframe)
    return np.where(known, dates, NO_STAMP)


def _from_timestamps(column: pa.Array) -> Wall:
    zone = column.type.tz
    micros = _micros(column.cast(pa.timestamp("us", zone), safe=False).cast(pa.timestamp("us")))
    if zone is None:
        return _wall_of(micros, timed=bool(((micros != NO_STAMP) & (micros % DAY_US != 0)).any()))
    known = micros != NO_STAMP
    written = micros.copy()
    if zone not in ("UTC", "+00:00"):
        local = pc.local_timestamp(column.cast(pa.timestamp("us", zone), safe=False))
        written = _micros(local.cast(pa.timestamp("us")))
    return Wall(written=written, instants=micros, has_offset=known, timed=True)


def _from_numbers(column: pa.Array, time_format: str, *, day: date | None) -> Wall:
    if "%" in time_format:
        whole = column.cast(pa.int64(), safe=False).cast(pa.string())
        return _from_text(whole, time_format, day=day)
    if pa.types.is_integer(column.type) and time_format in ("epoch_us", "epoch_ns"):
        # Doubles are exact to 2^53 only.
        exact = pc.fill_null(column.cast(pa.int64()), NO_STAMP).to_numpy(zero_copy_only=False)
        return _epochs(exact // 1000 if time_format == "epoch_ns" else exact)
    values = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return _scaled(values, time_format, day=day)


def _scaled(values: NDArray[np.float64], time_format: str, *, day: date | None) -> Wall:
    if time_format == "ms_of_day":
        if day is None:
            raise BadLayout("times of day need {date} in the name pattern")
        return _wall_of(_bounded(values * 1000.0 + _day_us(day)), timed=True)
    if time_format not in EPOCH_UNITS:
        raise BadLayout("the time column holds numbers of an unknown unit; declare time_format")
    return _epochs(_bounded(values * EPOCH_UNITS[time_format]))


def _epochs(micros: Stamps) -> Wall:
    micros = np.where((micros >= _FIRST_US) & (micros < _LAST_US), micros, NO_STAMP)
    return Wall(
        written=micros, instants=micros, has_offset=np.ones(len(micros), np.bool_), timed=True
    )


def _bounded(micros: NDArray[np.float64]) -> Stamps:
    with np.errstate(invalid="ignore"):
        good = (micros >= _FIRST_US) & (micros < _LAST_US)
    return np.where(good, np.rint(np.where(good, micros, 0)), NO_STAMP).astype(np.int64)


def _from_text(column: pa.Array, time_format: str, *, day: date | None) -> Wall:
    text = pc.utf8_trim_whitespace(column)
    if time_format in (*EPOCH_UNITS, "ms_of_day"):
        return _scaled(_numbers(text), time_format, day=day)
    if time_format.startswith(OF_DAY):
        time_format = time_format.removeprefix(OF_DAY)
        padded = pc.utf8_lpad(text, 5, "0") if pc.max(pc.utf8_length(text)).as_py() == 5 else text
        text = pc.binary_join_element_wise(pa.scalar("" if day is None else str(day)), padded, " ")
    if time_format == "iso":
        return _iso(text)
    return _parsed(text, time_format)


def _parsed(text: pa.Array, pattern: str) -> Wall:
    """Parse text by a pattern; an offset is read where the pattern has one."""
    timed = any(sign in pattern for sign in ("%H", "%I", "%T"))
    if "%z" not in pattern:
        return _wall_of(_to_micros(text, pattern), timed=timed)
    instants = _to_micros(text, pattern)
    bare = pc.replace_substring_regex(text, r"\s*(Z|UTC|[+-]\d\d:?\d\d)$", "")
    return Wall(
        written=_to_micros(bare, pattern.replace("%z", "").strip()),
        instants=instants,
        has_offset=instants != NO_STAMP,
        timed=timed,
    )


def _iso(text: pa.Array) -> Wall:
    marked = pc.fill_null(pc.match_substring_regex(text, _OFFSET), False)
    has_offset = marked.to_numpy(zero_copy_only=False)
    timed = bool(pc.any(pc.match_substring(text, ":")).as_py())
    if not has_offset.any():
        return _wall_of(_iso_micros(text, zoned=False), timed=timed)
    written = _iso_micros(pc.replace_substring_regex(text, _OFFSET, r"\1"), zoned=False)
    instants = np.full(len(text), NO_STAMP, np.int64)
    instants[has_offset] = _iso_micros(text.filter(marked), zoned=True)
    return Wall(written=written, instants=instants, has_offset=has_offset, timed=timed)


def _iso_micros(text: pa.Array, *, zoned: bool) -> Stamps:
    kind = pa.timestamp("us", "UTC") if zoned else pa.timestamp("us")
    try:
        return _micros(text.cast(kind))
    except pa.ArrowInvalid:
        # One stamp that Arrow's strict reader refuses; the slower reader takes row by row.
        for lacking, padded in _SINGLE_DIGITS:
            text = pc.replace_substring_regex(text, lacking, padded)
        return _to_micros(text, None)


def _to_micros(text: pa.Array, pattern: str | None) -> Stamps:
    pandas: Any = importlib.import_module("pandas")
    parsed: pd.Series[Any] = pandas.to_datetime(
        pandas.Series(text.to_pandas()),
        format=pattern or "ISO8601",
        errors="coerce",
        utc=True,
    )
    micros = parsed.to_numpy(dtype="datetime64[us]")
    stamps: Stamps = micros.astype(np.int64)
    stamps[np.isnat(micros)] = NO_STAMP
    return stamps


def _numbers(text: pa.Array) -> NDArray[np.float64]:
    looks = pc.match_substring_regex(text, r"^[+-]?\d+(\.\d*)?$")
    kept = pc.if_else(pc.fill_null(looks, False), text, pa.scalar(None, text.type))
    numbers: NDArray[np.float64] = kept.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return numbers


def _micros(column: pa.Array) -> Stamps:
    stamps: Stamps = pc.fill_null(column.cast(pa.int64()), NO_STAMP).to_numpy(zero_copy_only=False)
    return np.where((stamps >= _FIRST_US) & (stamps < _LAST_US), stamps, NO_STAMP)


def _wall_of(written: Stamps, *, timed: bool) -> Wall:
    return Wall(
        written=written,
        instants=np.full(len(written), NO_STAMP, np.int64),
        has_offset=np.zeros(len(written), np.bool_),
        timed=timed,
    )


def _day_us(day: date) -> int:
    return (day - date(1970, 1, 1)).days * DAY_US


def _localized(wall: Wall, *, zone: str) -> Stamps:
    """Return instants; stamps without an offset are read in the zone, UTC where none is declared.

    Of a local time that comes twice, when clocks go back, the first in the file's direction is
    the earlier instant; one that is skipped, when they go forward, is no stamp.
    """
    stamps = np.where(wall.has_offset, wall.instants, wall.written)
    naive = np.flatnonzero(~wall.has_offset & (wall.written != NO_STAMP))
    if not zone or zone == "UTC" or not len(naive):
        return stamps
    local = wall.written[naive]
    earlier = local - utc_offsets(local - DAY_US, zone)
    later = local - utc_offsets(local + DAY_US, zone)
    fits_earlier = earlier + utc_offsets(earlier, zone) == local
    fits_later = later + utc_offsets(later, zone) == local
    chosen = np.where(fits_earlier, earlier, np.where(fits_later, later, NO_STAMP))
    twice = np.flatnonzero(fits_earlier & fits_later & (earlier != later))
    if len(twice):
        chosen[twice] = np.where(_is_repeat(local, twice), later[twice], earlier[twice])
    stamps[naive] = chosen
    return stamps


def _is_repeat(local: Stamps, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Tell which of the ambiguous rows are the second of two with the same local time.

    A file that runs backwards has the later instant first.
    """
    values = local[rows]
    order = np.argsort(values, kind="stable")
    repeat = np.zeros(len(rows), np.bool_)
    same = values[order][1:] == values[order][:-1]
    backwards = len(local) > 1 and local[0] > local[-1]
    repeat[order[:-1][same] if backwards else order[1:][same]] = True
    return repeat
