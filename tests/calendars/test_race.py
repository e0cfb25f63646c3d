"""Two who declare at once are put in order."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from threading import Barrier

import pytest
from django.db import connections

from ingestion.calendars import sessions_for
from ingestion.domain.actor import Actor
from ingestion.domain.override_text import Statement
from ingestion.domain.overrides import OverrideKind
from ingestion.domain.windows import from_us
from ingestion.models import CalendarOverride
from ingestion.services.apply_calendar_change import CalendarChange
from ingestion.services.declare_override import declare_override
from ingestion.services.refresh_calendars import refresh_calendars
from tests.protocol.scene import us


@pytest.fixture
def db(committing: None) -> None:
    """Commit: both connections must see what the other did."""


@pytest.mark.usefixtures("db")
def test_the_later_word_holds_for_everybody() -> None:
    """The second sees what the first said; ids commit in order, so no revision is passed by."""
    start = Barrier(2)

    def one(closes: str) -> CalendarChange:
        hours = Statement(
            "XWBO", date(2024, 2, 14), OverrideKind.HOURS, closes=closes, reason="announced"
        )
        start.wait()
        try:
            return declare_override(
                hours, actor=Actor("tester", "cli"), now=datetime(2024, 2, 20, tzinfo=UTC)
            )
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        changes = list(pool.map(one, ["12:00", "13:00"]))
    assert [change.written for change in changes] == [1, 1]
    last = CalendarOverride.objects.latest("id")
    refresh_calendars()
    (closed,) = sessions_for("XWBO").between(us("2024-02-14"), us("2024-02-15")).closes
    assert from_us(int(closed)) == last.closes_at
