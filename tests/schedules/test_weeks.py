"""Five weeks pass in moments: a DST night, a holiday, a half day, a closure declared late, outages.

When the exchange closes is written down here by hand, in New York's own time: nothing of what is
expected comes from the code under test.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from ingestion.domain.actor import Actor
from ingestion.domain.override_text import Statement
from ingestion.domain.overrides import OverrideKind
from ingestion.services.declare_override import declare_override
from tests.schedules.scene import at, end_jobs, fire, ledger, schedule

pytestmark = pytest.mark.django_db

NEW_YORK = ZoneInfo("America/New_York")
PERSON = Actor(name="ada", source="cli")
# Clocks go back in the night of the 3rd of November 2024.
BEGIN, END = at("2024-10-28T00:00"), at("2024-12-02T00:00")
HALF_DAY, HOLIDAY, DECLARED = date(2024, 11, 29), date(2024, 11, 28), date(2024, 11, 13)
DECLARED_AT = at("2024-11-12T12:00")
# Nobody fires for two and a half days, and again over a weekend.
OUTAGES = (
    (at("2024-11-05T17:00"), at("2024-11-08T05:00")),
    (at("2024-11-15T12:00"), at("2024-11-18T23:00")),
)
Dues = list[datetime]


def _days() -> list[date]:
    return [BEGIN.date() + timedelta(days=n) for n in range((END - BEGIN).days)]


def _local(day: date, hour: int, minute: int, *, fold: int = 0) -> datetime:
    local = datetime.combine(day, time(hour, minute, fold=fold), tzinfo=NEW_YORK)
    return local.astimezone(UTC)


def _closes() -> Dues:
    """Return 15 minutes past the closes: at 16:00, on the half day at 13:00."""
    trading = [day for day in _days() if day.weekday() < 5 and day not in (HOLIDAY, DECLARED)]
    return [_local(day, 13 if day == HALF_DAY else 16, 15) for day in trading]


def _nights() -> Dues:
    """Return half past one of each night; of the two on the 3rd of November only the first."""
    return [_local(day, 1, 30) for day in _days()]


def _intervals() -> Dues:
    step = timedelta(hours=7)
    return [BEGIN + n * step for n in range((END - BEGIN) // step + 1)]


def _moments() -> Iterator[datetime]:
    """Let time pass in uneven steps, and jump over the outages."""
    steps = random.Random(4)
    moment = BEGIN
    while moment < END:
        moment = min(END, moment + timedelta(minutes=steps.randint(20, 400)))
        yield next((end for start, end in OUTAGES if start <= moment < end), moment)


def _expected(dues: Dues, moments: list[datetime], *, policy: str) -> list[tuple[str, str]]:
    """Say what becomes of each due time, from when somebody looked alone."""
    found: list[tuple[str, str]] = []
    before = BEGIN
    for moment in moments:
        come = [due for due in dues if before < due <= moment]
        for due in come:
            late = moment - due > timedelta(seconds=60)
            said = {
                "latest": "fired" if due == come[-1] else "coalesced",
                "each": "fired",
                "none": "skipped_late" if late else "fired",
            }[policy]
            found.append((f"{due:%Y-%m-%dT%H:%M}", said))
        before = max(before, moment)
    return found


def test_the_ledger_of_five_weeks_is_exact() -> None:
    """Every due time is there once, with what the policy says of it, and none that was not due."""
    cases = {
        "closes": ("close + 15 min", "latest", _closes()),
        "each-close": ("close + 15 min", "each", _closes()),
        "nights": ("cron 30 1 * * *", "none", _nights()),
        "steps": ("every 7 h", "latest", _intervals()),
    }
    for name, (rule, policy, _) in cases.items():
        schedule(
            rule,
            name=name,
            now=BEGIN,
            catchup=policy,
            tz="America/New_York",
            starts_at=BEGIN if name == "steps" else None,
            overlap="skip" if policy == "latest" else "allow_all",
        )
    moments: list[datetime] = []
    for moment in _moments():
        if not moments or moments[-1] < DECLARED_AT <= moment:
            _declare_once(moments)
        fire(moment)
        end_jobs()
        moments.append(moment)
    for name, (_, policy, dues) in cases.items():
        after_begin = [due for due in dues if due > BEGIN]
        assert ledger(name) == _expected(after_begin, moments, policy=policy), name


def _declare_once(moments: list[datetime]) -> None:
    """Close the exchange on a day of mourning, as told on the day before."""
    if moments:
        statement = Statement("XNYS", DECLARED, OverrideKind.CLOSED, reason="a day of mourning")
        change = declare_override(statement, actor=PERSON, now=DECLARED_AT)
        assert change.schedules


def test_a_close_that_moves_into_the_past_is_fired_late_and_not_lost() -> None:
    """At 19:00Z it becomes known that the exchange has closed at 17:00Z."""
    schedule("close + 15 min", now=at("2024-11-12T12:00"))
    fire("2024-11-12T18:59")
    statement = Statement(
        "XNYS", date(2024, 11, 12), OverrideKind.HOURS, closes="12:00", reason="a power failure"
    )
    declare_override(statement, actor=PERSON, now=at("2024-11-12T19:00"))
    fire("2024-11-12T19:00:05")
    fire("2024-11-12T23:00")
    assert ledger() == [("2024-11-12T17:15", "fired")]
