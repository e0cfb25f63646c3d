"""Stored sessions are those of the release that runs."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from django.db.models import F

from ingestion.calendars import sessions_for
from ingestion.models import VenueSession
from ingestion.store.venues import ensure_venue_sessions

pytestmark = pytest.mark.django_db


def test_sessions_of_an_earlier_release_are_replaced() -> None:
    """An hour that moved, a day too many and a day too few are mended, whatever else is equal."""
    sessions = sessions_for("XHKG")
    ensure_venue_sessions(sessions)
    stored = VenueSession.objects.filter(venue="XHKG")
    assert stored.count() == len(sessions)
    day = stored.filter(label=date(2024, 3, 8))
    (as_it_is,) = day.values_list("opens_at", "closes_at", "break_start", "break_end")

    for moved in ("opens_at", "closes_at", "break_end"):
        day.update(**{moved: F(moved) - timedelta(minutes=5)})
        ensure_venue_sessions(sessions)
        assert list(day.values_list("opens_at", "closes_at", "break_start", "break_end")) == [
            as_it_is
        ]
    day.delete()
    ensure_venue_sessions(sessions)
    assert day.exists()


def test_equal_sessions_are_left_alone() -> None:
    """Every job asks; only the first one writes."""
    sessions = sessions_for("XHKG")
    ensure_venue_sessions(sessions)
    # Where a row lies tells whether it was written anew.
    rows = VenueSession.objects.filter(venue="XHKG").extra(select={"place": "ctid::text"})
    places = {one.place for one in rows}
    ensure_venue_sessions(sessions)
    assert {one.place for one in rows.all()} == places
