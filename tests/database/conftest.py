"""The calendars of the venues that these tests plant holes in."""

from __future__ import annotations

import pytest
from django.db import transaction
from pytest_django import DjangoDbBlocker

from ingestion.calendars import sessions_for
from ingestion.store.venues import ensure_venue_sessions

VENUES = ("XNYS", "XTKS", "CMES", "FX")


@pytest.fixture(scope="session", autouse=True)
def _calendars(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    with django_db_blocker.unblock(), transaction.atomic():
        for venue in VENUES:
            ensure_venue_sessions(sessions_for(venue))
