"""How a declared source's files are to be read: plain values, frozen when it is declared.

A sidecar or a command's options give a table of settings (docs/files.md lists them).
`parse_layout` checks it; the workers get the stored JSON back through `layout_from_json`.
"""

from __future__ import annotations

import codecs
import enum
import fnmatch
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final, Literal, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from providers.errors import UnknownTimeframe
from providers.files.errors import BadLayout
from providers.files.naming import NamePattern
from providers.types import Adjustment, Anchor, Hours, Timeframe

SIDECAR: Final = "mdc-files.toml"
DEFAULT_NULLS: Final = ("", "-", "--", "NA", "N/A", "#N/A", "NaN", "nan", "NULL", "null", "None")
ROLES: Final = (
    "ts",
    "date",
    "time",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "vwap",
    "trades",
    "symbol",
    "timeframe",
)

_EPOCHS: Final = ("epoch_s", "epoch_ms", "epoch_us", "epoch_ns", "ms_of_day")


class StampEdge(enum.StrEnum):
    """Say which end of its bar a stamp names."""

    START = "start"
    END = "end"


class DateSource(enum.StrEnum):
    """Say which date labels a daily bar: the one that is written, or the timezone's."""

    WRITTEN = "written"
    LOCAL = "local"


_CHOICES: Final = {
    "stamps": tuple(StampEdge),
    "dates": tuple(DateSource),
    "adjustment": tuple(Adjustment),
    "hours": tuple(Hours),
    "anchor": tuple(Anchor),
    "format": ("auto", "csv", "parquet"),
    "symbol_case": ("keep", "upper"),
}
T = TypeVar("T")


class FileFormat(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Hold what is declared of one file; empty text and None mean "find out from the file".

    `name` is a pattern of the path, such as `{symbol}_{timeframe}.csv`; `columns` gives, by role,
    the header of a column or, without a header, its number from 1. Prices are multiplied by
    `price_scale`.
    """

    format: Literal["auto", "csv", "parquet"] = "auto"
    name: str = ""
    symbol: str = ""
    symbol_case: Literal["keep", "upper"] = "keep"
    timeframe: str = ""
    columns: dict[str, str] = {}
    time_format: str = "auto"
    timezone: str = ""
    stamps: StampEdge = StampEdge.START
    dates: DateSource = DateSource.WRITTEN
    delimiter: str = ""
    header: bool = True
    skip_lines: int = 0
    decimal: str = "."
    thousands: str = ""
    nulls: tuple[str, ...] = DEFAULT_NULLS
    encoding: str = "utf-8"
    price_scale: float = 1.0
    adjustment: Adjustment = Adjustment.RAW
    hours: Hours = Hours.REGULAR
    anchor: Anchor = Anchor.OPEN
    venue: str = ""

    def fixed_timeframe(self) -> Timeframe | None:
        """Return the declared timeframe, if there is one."""
        return Timeframe.parse(self.timeframe) if self.timeframe else None


class Override(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Change some settings for the files that `match` names."""

    match: str
    changes: dict[str, Any]


class Rename(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Say that `file_symbol` in the files means `symbol` on the dates [since, until)."""

    file_symbol: str
    symbol: str
    since: date | None = None
    until: date | None = None


class Layout(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Hold the whole declaration of a source."""

    base: FileFormat = FileFormat()
    paths: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    overrides: tuple[Override, ...] = ()
    renames: tuple[Rename, ...] = ()
    max_bad_percent: int = 100

    def format_for(self, relative: str) -> FileFormat:
        """Return what is declared of one file; later overrides win."""
        changes = [one.changes for one in self.overrides if path_matches(relative, one.match)]
        return _changed(self.base, changes) if changes else self.base

    def formats(self) -> list[FileFormat]:
        """Return every set of settings that some file may have, overrides one by one."""
        return [self.base, *(_changed(self.base, [one.changes]) for one in self.overrides)]

    def to_json(self) -> dict[str, Any]:
        """Write the form stored with the source."""
        built: dict[str, Any] = msgspec.to_builtins(self)
        return built


def layout_from_json(data: Mapping[str, Any]) -> Layout:
    """Read the stored form."""
    return msgspec.convert(dict(data), Layout)


def path_matches(relative: str, pattern: str) -> bool:
    """Tell whether a path relative to the source fits a glob; without a slash its name does."""
    if "/" not in pattern:
        relative = relative.rpartition("/")[2]
    return fnmatch.fnmatchcase(relative, pattern.replace("**/", "*"))


def parse_layout(given: Mapping[str, Any]) -> Layout:
    """Check the settings of a sidecar or a command; raises BadLayout."""
    rest = dict(given)
    own: dict[str, Any] = {
        key: rest.pop(key) for key in ("paths", "exclude", "max_bad_percent") if key in rest
    }
    symbols = rest.pop("symbols", {})
    renames = [_rename(one) for one in _tables(rest.pop("renames", []), "renames")]
    if not isinstance(symbols, Mapping) or not all(isinstance(v, str) for v in symbols.values()):
        raise BadLayout('symbols is a table such as [symbols] with "BTCUSD_2016" = "BTCUSD"')
    renames += [{"file_symbol": key, "symbol": value} for key, value in symbols.items()]
    overrides = [_override(one) for one in _tables(rest.pop("files", []), "files")]
    layout = _convert(
        {"base": _normal(rest), "overrides": overrides, "renames": renames, **own}, Layout
    )
    for one in layout.overrides:
        _changed(layout.base, [one.changes])
    _check_layout(layout)
    return layout


def _tables(value: object, name: str) -> list[dict[str, Any]]:
    if not isinstance(value, Sequence) or not all(isinstance(one, Mapping) for one in value):
        raise BadLayout(f"{name} is a list of tables, each written under [[{name}]]")
    return [dict(one) for one in value]


def _override(table: dict[str, Any]) -> dict[str, Any]:
    match = table.pop("match", None)
    if not isinstance(match, str) or not match:
        raise BadLayout('each table under [[files]] needs match = "..." with a glob')
    return {"match": match, "changes": _normal(table)}


def _rename(table: dict[str, Any]) -> dict[str, Any]:
    if "from" in table:
        table["since"] = table.pop("from")
    return table


def _normal(table: Mapping[str, Any]) -> dict[str, Any]:
    """Bring both spellings of `columns` and of numbers in it into one form."""
    normal = dict(table)
    columns = normal.get("columns")
    if isinstance(columns, list | tuple):
        places = {role: str(at) for at, role in enumerate(columns, start=1)}
        normal["columns"] = {role: at for role, at in places.items() if role not in ("", "_")}
    elif isinstance(columns, Mapping):
        normal["columns"] = {role: str(header) for role, header in columns.items()}
    if normal.get("delimiter") in ("tab", "\\t"):
        normal["delimiter"] = "\t"
    if isinstance(normal.get("nulls"), list | tuple):
        # A cell without anything in it is never a value.
        normal["nulls"] = ["", *normal["nulls"]]
    return normal


def _changed(base: FileFormat, changes: Sequence[Mapping[str, Any]]) -> FileFormat:
    merged: dict[str, Any] = msgspec.to_builtins(base)
    for one in changes:
        columns = merged.get("columns", {}) | one.get("columns", {})
        merged |= one
        if columns:
            merged["columns"] = columns
    made = _convert(merged, FileFormat)
    _check_format(made)
    return made


def _convert(data: object, kind: type[T]) -> T:
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        raise BadLayout(f"the layout cannot be read: {_plain(str(error))}") from None


def _plain(text: str) -> str:
    """Name the setting as the user wrote it, and what it may be."""
    setting = text.rpartition(".")[2].rstrip("`")
    if setting in _CHOICES:
        return f"{setting} is one of {', '.join(_CHOICES[setting])}"
    return text.replace("$.base.", "").replace("`$.", "`").replace(" - at `$`", "")


def _check_layout(layout: Layout) -> None:
    _check_format(layout.base)
    if not 0 <= layout.max_bad_percent <= 100:
        raise BadLayout("max_bad_percent is a number from 0 to 100")
    for one in layout.renames:
        if one.since and one.until and one.since >= one.until:
            raise BadLayout(
                f"the rename of {one.file_symbol} ends on {one.until}, before it begins"
            )


def _check_format(one: FileFormat) -> None:
    unknown = set(one.columns) - set(ROLES)
    if unknown:
        raise BadLayout(
            f"no column has the role {sorted(unknown)[0]!r}; roles are {', '.join(ROLES)}"
        )
    for name, value in (("delimiter", one.delimiter), ("thousands", one.thousands)):
        if len(value) > 1:
            raise BadLayout(f"{name} is one character, not {value!r}")
    if len(one.decimal) != 1 or one.decimal == one.thousands:
        raise BadLayout("decimal is one character, and another one than thousands")
    if not one.price_scale > 0:
        raise BadLayout("price_scale is a positive number, such as 0.0001")
    if one.skip_lines < 0:
        raise BadLayout("skip_lines is not negative")
    if not one.header and any(not place.isdecimal() for place in one.columns.values()):
        raise BadLayout("without a header, columns are named by their number from 1")
    _check_encoding(one.encoding)
    _check_times(one)
    NamePattern.parse(one.name)


def _check_encoding(encoding: str) -> None:
    try:
        codecs.lookup(encoding)
    except LookupError:
        raise BadLayout(f"unknown encoding {encoding!r}; write one such as latin-1") from None


def _check_times(one: FileFormat) -> None:
    try:
        one.fixed_timeframe()
        if one.timezone:
            ZoneInfo(one.timezone)
    except UnknownTimeframe as error:
        raise BadLayout(str(error)) from None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise BadLayout(
            f"unknown timezone {one.timezone!r}; write a name such as America/New_York"
        ) from None
    if "%" not in one.time_format and one.time_format not in ("auto", "iso", *_EPOCHS):
        raise BadLayout(
            f"unknown time_format {one.time_format!r}; use auto, iso, {', '.join(_EPOCHS)}"
            " or a pattern such as %d.%m.%Y %H:%M"
        )
