"""The rules by which schedules are due: as people type them, as they are stored, in plain words."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, assert_never

from cronsim import CronSim, CronSimError

from ingestion.domain.errors import BadRule

UNDERSTOOD: Final = (
    "`cron 30 18 * * 1-5`, `every 6 h`, `once 2026-11-21T18:00Z`, `close + 35 min`, "
    "`open - 5 min`, `every 1 min while open`, `first session of the week, close + 35 min` "
    "(or last, month, open) or `on signal gap`"
)
_UNITS: Final = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
_SECONDS: Final = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hour", "hours"), 3600),
    **dict.fromkeys(("d", "day", "days"), 86_400),
    **dict.fromkeys(("w", "week", "weeks"), 604_800),
}
_SPAN: Final = r"(?P<number>\d{1,9})?\s*(?P<unit>[a-z]+)"
_EVERY: Final = re.compile(rf"every\s+{_SPAN}(?P<open>\s+while\s+open)?")
_AT_SESSION: Final = re.compile(
    r"(?:(?P<place>first|last)\s+session\s+of\s+(?:the|each|every)\s+(?P<period>week|month)\s*,?\s*"
    r"(?:at\s+)?)?(?:the\s+)?(?P<edge>open|close)(?:\s*(?P<sign>[+-])\s*" + _SPAN + r")?"
)
_SIGNAL: Final = re.compile(r"on\s+signal\s+(?P<name>\S+)")
_SIGNAL_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_CRON_FIELDS: Final = 5
_A_SUNDAY: Final = datetime(2023, 1, 1, tzinfo=UTC)
_LONGEST: Final = 10 * 366 * 86_400
_LONGEST_OFFSET: Final = 400 * 86_400


class Edge(enum.StrEnum):
    """Name the end of a session from which a rule counts."""

    OPEN = "open"
    CLOSE = "close"


class Of(enum.StrEnum):
    """Name the sessions that a rule means; weeks begin on Monday, as those of 1w bars."""

    EACH = "each"
    FIRST_OF_WEEK = "first_of_week"
    LAST_OF_WEEK = "last_of_week"
    FIRST_OF_MONTH = "first_of_month"
    LAST_OF_MONTH = "last_of_month"


@dataclass(frozen=True, slots=True)
class Cron:
    """Be due when the clock of the schedule's zone matches five cron fields."""

    expression: str

    def __post_init__(self) -> None:
        if len(self.expression.split()) != _CRON_FIELDS:
            raise BadRule(
                f"{self.expression!r} is no cron rule: it has five fields, minute hour day month"
                " weekday, such as `cron 30 18 * * 1-5`"
            )
        try:
            CronSim(self.expression, _A_SUNDAY)
        except CronSimError as error:
            raise BadRule(
                f"{self.expression!r} is no cron rule ({str(error).lower()}); the fields are minute"
                " hour day month weekday, such as `cron 30 18 * * 1-5`"
            ) from error


@dataclass(frozen=True, slots=True)
class Every:
    """Be due each `seconds`, counted from the epoch or from the schedule's start."""

    seconds: int

    def __post_init__(self) -> None:
        _require_span(self.seconds)


@dataclass(frozen=True, slots=True)
class Once:
    """Be due at one moment, in UTC."""

    at: datetime


@dataclass(frozen=True, slots=True)
class AtSession:
    """Be due `offset_seconds` after (before, where negative) the open or close of sessions."""

    edge: Edge
    offset_seconds: int = 0
    of: Of = Of.EACH

    def __post_init__(self) -> None:
        if abs(self.offset_seconds) > _LONGEST_OFFSET:
            raise BadRule("a rule may lie at most 400 days before or after its session")


@dataclass(frozen=True, slots=True)
class WhileOpen:
    """Be due after each `seconds` of unbroken trading, the end of it included."""

    seconds: int

    def __post_init__(self) -> None:
        _require_span(self.seconds)


@dataclass(frozen=True, slots=True)
class OnSignal:
    """Be due when a signal of this name is raised."""

    name: str

    def __post_init__(self) -> None:
        if not _SIGNAL_NAME.fullmatch(self.name):
            raise BadRule(
                f"{self.name!r} is no name of a signal: use letters, digits, - and _, such as gap"
            )


Rule = Cron | Every | Once | AtSession | WhileOpen | OnSignal


def parse_rule(text: str) -> Rule:
    """Read a rule as people type it; a time without an offset is UTC.

    Raises BadRule.
    """
    words = " ".join(text.split())
    if not words:
        raise BadRule(f"there is no rule; write {UNDERSTOOD}")
    if words.lower().startswith("cron "):
        return Cron(words[len("cron ") :])
    if words.lower().startswith("once "):
        return Once(_moment(words[len("once ") :].removeprefix("at ")))
    if found := _SIGNAL.fullmatch(words):
        return OnSignal(found["name"])
    rule = _parse_span_rule(words.lower())
    if rule is not None:
        return rule
    if len(words.split()) == _CRON_FIELDS and words[0] in "0123456789*":
        return Cron(words)
    raise BadRule(f"{text.strip()!r} is no rule; write {UNDERSTOOD}")


def rule_from_json(data: Mapping[str, Any]) -> Rule:
    """Read a rule as the database keeps it. Raises BadRule."""
    try:
        match data["kind"]:
            case "cron":
                return Cron(_text(data["expression"]))
            case "every":
                return Every(_whole(data["seconds"]))
            case "once":
                return Once(_moment(_text(data["at"])))
            case "open" | "close" as edge:
                return AtSession(
                    Edge(edge), _whole(data.get("offset_seconds", 0)), Of(data.get("of", Of.EACH))
                )
            case "while_open":
                return WhileOpen(_whole(data["seconds"]))
            case "signal":
                return OnSignal(_text(data["name"]))
            case kind:
                raise BadRule(f"no kind of rule is named {kind!r}")
    except (KeyError, TypeError, ValueError) as error:
        raise BadRule(f"{dict(data)!r} is no stored rule: {error!r}") from error


def rule_to_json(rule: Rule) -> dict[str, Any]:
    """Spell a rule as the database keeps it."""
    match rule:
        case Cron():
            return {"kind": "cron", "expression": rule.expression}
        case Every():
            return {"kind": "every", "seconds": rule.seconds}
        case Once():
            return {"kind": "once", "at": _iso(rule.at)}
        case AtSession():
            return {
                "kind": rule.edge.value,
                "offset_seconds": rule.offset_seconds,
                "of": rule.of.value,
            }
        case WhileOpen():
            return {"kind": "while_open", "seconds": rule.seconds}
        case OnSignal():
            return {"kind": "signal", "name": rule.name}
        case _:
            assert_never(rule)


def rule_text(rule: Rule) -> str:
    """Spell a rule as people type it, so that parse_rule reads the same again."""
    match rule:
        case Cron():
            return f"cron {rule.expression}"
        case Every():
            return f"every {span_words(rule.seconds)}"
        case Once():
            return f"once {_iso(rule.at)}"
        case AtSession():
            sign = "-" if rule.offset_seconds < 0 else "+"
            offset = (
                f" {sign} {span_words(abs(rule.offset_seconds))}" if rule.offset_seconds else ""
            )
            which = "" if rule.of is Of.EACH else "{} session of the {}, ".format(*_place(rule.of))
            return f"{which}{rule.edge}{offset}"
        case WhileOpen():
            return f"every {span_words(rule.seconds)} while open"
        case OnSignal():
            return f"on signal {rule.name}"
        case _:
            assert_never(rule)


def describe_rule(rule: Rule, *, tz: str, venue: str) -> str:
    """Say in plain words when a rule is due, such as `15 min after each close of XNYS`."""
    match rule:
        case Cron():
            said = CronSim(rule.expression, _A_SUNDAY).explain()
            return f"{said[:1].lower()}{said[1:]}, by the clock of {tz}"
        case Every():
            return f"every {span_words(rule.seconds)}"
        case Once():
            return f"once, at {rule.at:%Y-%m-%d %H:%M:%S}Z"
        case AtSession():
            return _describe_session(rule, venue)
        case WhileOpen():
            return f"every {span_words(rule.seconds)} while {venue} is open"
        case OnSignal():
            return f"when the signal {rule.name} is raised"
        case _:
            assert_never(rule)


def needs_venue(rule: Rule) -> bool:
    """Tell whether a rule is counted from sessions."""
    return isinstance(rule, AtSession | WhileOpen)


def span_words(seconds: int) -> str:
    """Spell a whole number of seconds in the largest unit that divides it, such as `15 min`."""
    if not seconds:
        return "0 s"
    unit = max((name for name in _UNITS if seconds % _UNITS[name] == 0), key=_UNITS.__getitem__)
    return f"{seconds // _UNITS[unit]} {unit}"


def _describe_session(rule: AtSession, venue: str) -> str:
    if rule.of is Of.EACH:
        session = f"each {rule.edge} of {venue}"
    else:
        place, period = _place(rule.of)
        session = f"the {rule.edge} of the {place} session of each {period} at {venue}"
    if not rule.offset_seconds:
        return f"at {session}"
    side = "after" if rule.offset_seconds > 0 else "before"
    return f"{span_words(abs(rule.offset_seconds))} {side} {session}"


def _place(of: Of) -> tuple[str, str]:
    place, _, period = of.value.split("_")
    return place, period


def _parse_span_rule(words: str) -> Every | WhileOpen | AtSession | None:
    if found := _EVERY.fullmatch(words):
        seconds = _seconds(found)
        return WhileOpen(seconds) if found["open"] else Every(seconds)
    found = _AT_SESSION.fullmatch(words)
    if found is None:
        return None
    of = Of(f"{found['place']}_of_{found['period']}") if found["place"] else Of.EACH
    offset = _seconds(found) if found["sign"] else 0
    return AtSession(Edge(found["edge"]), -offset if found["sign"] == "-" else offset, of)


def _seconds(found: re.Match[str]) -> int:
    unit = _SECONDS.get(found["unit"])
    if unit is None:
        raise BadRule(f"{found['unit']!r} is no unit of time; use s, min, h, d or w")
    return int(found["number"] or 1) * unit


def _require_span(seconds: int) -> None:
    if not 1 <= seconds <= _LONGEST:
        raise BadRule("a rule is due at most every second, and at least every ten years")


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text.strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadRule(f"{text!r} is no moment; write once 2026-11-21T18:00Z") from error


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{value!r} is no whole number")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value
