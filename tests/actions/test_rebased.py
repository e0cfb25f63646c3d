"""History on the basis from before a split is fetched again; what is on the new one is not."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection, transaction

from ingestion.domain.windows import Window
from ingestion.models import AuditEvent, CorporateActionRecord, Finding
from ingestion.services.doubt_rebased import doubt_rebased
from ingestion.store.actions import StatedActions, record_actions
from ingestion.store.bars import SeriesBars, write_bars
from providers.bars import Bars
from providers.instruments import ActionKind, CorporateAction
from tests.actions.test_store import make_series

TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
WINDOW = Window(TODAY - timedelta(days=10), TODAY)


@pytest.fixture
def series(db: None) -> int:
    """Ten days of split-adjusted bars, fetched just now."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM coverage")
        cursor.execute("DELETE FROM bar")
        cursor.execute("DELETE FROM finding")
        cursor.execute("DELETE FROM series")
    CorporateActionRecord.objects.all().delete()
    found = make_series()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE series SET adjustment = 'split' WHERE id = %s", [found])
    days = [WINDOW.start_us + n * 86_400_000_000 for n in range(10)]
    prices = [10.0] * 10
    bars = Bars.build(ts=days, open=prices, high=prices, low=prices, close=prices)
    with transaction.atomic():
        write_bars(connection, [SeriesBars(found, 1, WINDOW.start_us, WINDOW.end_us, bars)])
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO coverage (series_id, loaded)"
                " VALUES (%s, tstzmultirange(tstzrange(%s, %s)))",
                [found, WINDOW.start, WINDOW.end],
            )
    return found


def state_split(series_id: int, day: date) -> None:
    with transaction.atomic():
        record_actions(
            [
                StatedActions(
                    series_id=series_id,
                    provider="yahoo",
                    window=WINDOW,
                    attempt_id=1,
                    actions=(CorporateAction(day, ActionKind.SPLIT, 4.0),),
                )
            ]
        )


def is_doubted(series_id: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT isempty(loaded) AND NOT isempty(doubted) FROM coverage WHERE series_id = %s",
            [series_id],
        )
        (doubted,) = cursor.fetchone()
    return bool(doubted)


def test_bars_from_before_a_split_are_doubted_with_a_reason(series: int) -> None:
    tomorrow = TODAY + timedelta(days=1)
    state_split(series, tomorrow.date())
    assert doubt_rebased(now=TODAY + timedelta(hours=12)) == 0, "announced, not yet in effect"
    assert doubt_rebased(now=tomorrow + timedelta(hours=23)) == 1
    assert is_doubted(series)
    assert (
        "changed the basis" in AuditEvent.objects.filter(action="series.reset").latest("id").reason
    )
    finding = Finding.objects.get()
    assert (finding.kind, finding.state) == ("basis_change", "open"), "no job is there to do as"
    assert doubt_rebased(now=tomorrow + timedelta(hours=23)) == 0, "nothing is left to doubt"


def test_history_fetched_long_after_a_split_is_believed(series: int) -> None:
    """A first backfill brings old splits together with bars that are adjusted for them."""
    state_split(series, WINDOW.start.date() + timedelta(days=2))
    assert doubt_rebased(now=datetime.now(UTC) + timedelta(days=1)) == 0


def test_a_raw_series_has_no_basis_to_lose(series: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE series SET adjustment = 'raw' WHERE id = %s", [series])
    state_split(series, (TODAY + timedelta(days=1)).date())
    assert doubt_rebased(now=TODAY + timedelta(days=2)) == 0


def test_looking_again_ends_after_a_week(series: int) -> None:
    state_split(series, (TODAY + timedelta(days=1)).date())
    assert doubt_rebased(now=datetime.now(UTC) + timedelta(days=8)) == 0
