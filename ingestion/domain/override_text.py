"""Read overrides as people type them, into a form or a file; pure.

An hour is `13:00` of the venue's clock on the session's date, `-1 18:00` of the day before (`+1` of
the day after), or an instant such as `2026-11-27T18:00Z`.
"""

from __future__ import annotations

import csv
import io
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from ingestion.domain.errors import BadOverride, BadRequest
from ingestion.domain.overrides import Override, OverrideKind

COLUMNS: Final = ("venue", "session", "kind", "opens", "closes", "reason")
# What an export says besides; an import states it anew.
_ALSO_EXPORTED: Final = ("declared_by", "declared_at", "source")
_REQUIRED: Final = ("venue", "session", "kind", "reason")
_TABLE: Final = "override"
_HOUR: Final = re.compile(r"(?:(?P<days>[+-]1)\s+)?(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::00)?")
_FURTHEST: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Statement:
    """Hold one override as it was typed; hours are still words. `place` says where it stood."""

    venue: str
    session: date
    kind: OverrideKind
    opens: str = ""
    closes: str = ""
    reason: str = ""
    place: str = ""


class BadOverrideFile(BadRequest):
    """Signal parts of a file that cannot be read; nothing of the file was taken."""

    def __init__(self, problems: Sequence[str]) -> None:
        more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
        super().__init__(
            f"nothing was imported: {problems[0]}{more}; correct the file and import it again",
            field="file",
        )
        self.problems = tuple(problems)


def read_statement(fields: Mapping[str, Any], *, place: str = "") -> Statement:
    """Read the fields of one override; raises ValueError with what is wrong."""
    told = {name: str(fields.get(name) or "").strip() for name in COLUMNS}
    lacking = [name for name in _REQUIRED if not told[name]]
    if lacking:
        raise ValueError(f"it lacks {', '.join(lacking)}")
    strange = sorted(set(fields) - {*COLUMNS, *_ALSO_EXPORTED})
    if strange:
        raise ValueError(f"nothing is known of {', '.join(map(str, strange))}")
    try:
        session = date.fromisoformat(told["session"])
    except ValueError:
        raise ValueError(f"{told['session']!r} is no date; write 2026-11-27") from None
    try:
        kind = OverrideKind(told["kind"].lower())
    except ValueError:
        kinds = ", ".join(OverrideKind)
        raise ValueError(f"{told['kind']!r} is no kind of override; write {kinds}") from None
    return Statement(
        told["venue"].upper(), session, kind, told["opens"], told["closes"], told["reason"], place
    )


def resolve(statement: Statement, *, tz: str) -> Override:
    """Return the override that a statement means, on the venue's clock; raises BadOverride."""
    opens = _instant(statement, "opens", tz=tz)
    closes = _instant(statement, "closes", tz=tz)
    both, none = opens is not None and closes is not None, opens is None and closes is None
    match statement.kind:
        case OverrideKind.CLOSED | OverrideKind.WITHDRAWN if not none:
            raise _bad(statement, f"what is {statement.kind} has no hours; leave them out", "opens")
        case OverrideKind.SPECIAL | OverrideKind.HALT if not both:
            raise _bad(statement, f"a {statement.kind} needs its start and its end", "opens")
        case OverrideKind.HOURS if none:
            raise _bad(statement, "other hours need an open, a close, or both", "opens")
    if opens is not None and closes is not None and opens >= closes:
        raise _bad(statement, f"it ends at {closes:%H:%M}Z, not after {opens:%H:%M}Z", "closes")
    return Override(statement.venue, statement.session, statement.kind, opens, closes)


def read_csv(text: str) -> list[Statement]:
    """Read lines under a header `venue,session,kind,opens,closes,reason`.

    Raises BadOverrideFile with every bad line.
    """
    rows = csv.DictReader(io.StringIO(text), restkey="more fields than the header")
    header = [name.strip().lower() for name in rows.fieldnames or ()]
    rows.fieldnames = header
    lacking = [name for name in _REQUIRED if name not in header]
    if lacking:
        raise BadOverrideFile([f"the header lacks {', '.join(lacking)}; it is {','.join(COLUMNS)}"])
    return _read_each((f"line {rows.line_num}", row) for row in rows)


def read_toml(text: str) -> list[Statement]:
    """Read the tables [[override]] of a TOML file; raises BadOverrideFile with every bad one."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadOverrideFile([f"it is no TOML: {error}"]) from error
    tables = document.get(_TABLE)
    if set(document) != {_TABLE} or not isinstance(tables, list):
        raise BadOverrideFile([f"it holds tables [[{_TABLE}]] and nothing else"])
    return _read_each((f"override {n}", table) for n, table in enumerate(tables, 1))


def _read_each(placed: Iterable[tuple[str, Any]]) -> list[Statement]:
    read: list[Statement] = []
    problems: list[str] = []
    for place, fields in placed:
        try:
            if not isinstance(fields, dict):
                raise ValueError("it is no table")
            read.append(read_statement(fields, place=place))
        except ValueError as error:
            problems.append(f"{place}: {error}")
    if problems:
        raise BadOverrideFile(problems)
    return read


def toml_lines(rows: Iterable[Mapping[str, str]]) -> Iterator[str]:
    """Spell overrides as `read_toml` reads them; fields without a value are left out."""
    for row in rows:
        yield f"[[{_TABLE}]]"
        for name, value in row.items():
            if value:
                yield f"{name} = {_quoted(value)}"
        yield ""


def _quoted(text: str) -> str:
    """Spell a basic string of TOML."""
    plain = {'"': '\\"', "\\": "\\\\"}
    spelled = (
        plain.get(one) or (one if one.isprintable() else f"\\U{ord(one):08x}") for one in text
    )
    return f'"{"".join(spelled)}"'


def _instant(statement: Statement, field: str, *, tz: str) -> datetime | None:
    text = getattr(statement, field)
    if not text:
        return None
    moment = _on_clock(text, statement.session, ZoneInfo(tz)) or _absolute(text)
    if moment is None:
        raise _bad(
            statement,
            f"{text!r} is no hour; write 13:00 on the venue's clock ({tz}), -1 18:00 for the day"
            " before, or an instant such as 2026-11-27T18:00Z",
            field,
        )
    day = datetime.combine(statement.session, time(), UTC)
    if not day - _FURTHEST <= moment <= day + 2 * _FURTHEST:
        raise _bad(statement, f"{text} does not belong to that session's day", field)
    if moment.second or moment.microsecond:
        raise _bad(statement, f"{text} is not a full minute", field)
    return moment


def _on_clock(text: str, session: date, zone: ZoneInfo) -> datetime | None:
    found = _HOUR.fullmatch(text)
    if found is None or int(found["hour"]) > 24 or int(found["minute"]) > 59:
        return None
    # 24:00 ends the day.
    day = datetime.combine(session, time()) + timedelta(days=int(found["days"] or 0))
    wall = day + timedelta(hours=int(found["hour"]), minutes=int(found["minute"]))
    moment = wall.replace(tzinfo=zone).astimezone(UTC)
    # An hour that the clock skips that night is none.
    return moment if moment.astimezone(zone).replace(tzinfo=None) == wall else None


def _absolute(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else None


def _bad(statement: Statement, message: str, field: str) -> BadOverride:
    return BadOverride(message, venue=statement.venue, session=statement.session, field=field)
