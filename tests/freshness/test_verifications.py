"""Sessions are verified again at chosen ages, and what was revised then is counted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ingestion.domain.actor import Actor
from ingestion.domain.errors import BadRequest
from ingestion.models import Instrument, JobDefinition, Schedule
from ingestion.services.add_verifications import add_verifications

pytestmark = pytest.mark.django_db

NOW = datetime(2024, 1, 2, 22, tzinfo=UTC)
TESTER = Actor(name="tester", source="cli")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def define(*symbols: str, timeframe: str = "1d") -> JobDefinition:
    """Declare a dataset."""
    return JobDefinition.objects.create(
        name="daily",
        symbols=list(symbols),
        timeframe=timeframe,
        history_start="2020-01-01",
        providers=["synthetic"],
    )


def test_each_age_is_a_schedule_at_each_venue() -> None:
    """Whose close counts depends on the venue; what is counted is the age after it."""
    define("AAA", "JJJ")
    Instrument.objects.create(symbol="JJJ", venue="XTKS")
    names = add_verifications("daily", ages=[HOUR, 7 * DAY], now=NOW, actor=TESTER)
    assert names == (
        "daily-verify-1h-XNYS",
        "daily-verify-7d-XNYS",
        "daily-verify-1h-XTKS",
        "daily-verify-7d-XTKS",
    )
    made = {one.name: one for one in Schedule.objects.all()}
    one = made["daily-verify-7d-XNYS"]
    assert (one.action, one.venue, one.overlap, one.catchup) == (
        "verify",
        "XNYS",
        "buffer_all",
        "each",
    )
    assert one.rule == {"kind": "close", "offset_seconds": 7 * 86_400, "of": "each"}
    # The session of December 26 is a week old on January 2, an hour ago.
    assert one.next_due_at == datetime(2024, 1, 3, 21, tzinfo=UTC)


def test_longer_bars_are_verified_after_their_last_session() -> None:
    """A month is not verified day after day."""
    define("AAA", timeframe="1mo")
    add_verifications("daily", ages=[DAY], now=NOW, actor=TESTER)
    assert Schedule.objects.get(name="daily-verify-1d").rule["of"] == "last_of_month"


def test_all_ages_are_added_or_none() -> None:
    """A name that is taken, or an age that is none, leaves nothing behind."""
    define("AAA")
    add_verifications("daily", ages=[DAY], now=NOW, actor=TESTER)
    for ages in ([HOUR, DAY], [], [timedelta(0)]):
        with pytest.raises(BadRequest):
            add_verifications("daily", ages=ages, now=NOW, actor=TESTER)
    assert Schedule.objects.count() == 1
