"""Splits and dividends on the real database: what is kept, corrected and known when."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, date, datetime

import pytest
from django.db import connection, transaction
from psycopg.types.range import Range

from ingestion.domain.windows import Window
from ingestion.models import CorporateActionRecord, Instrument, ProviderSymbol, Series
from ingestion.store.action_reads import KnownAction, actions_of
from ingestion.store.actions import StatedActions, record_actions
from ingestion.store.bars import SeriesBars, write_bars
from ingestion.store.closes import closes_before
from providers.bars import Bars
from providers.instruments import ActionKind, CorporateAction

SPLIT = CorporateAction(date(2014, 6, 9), ActionKind.SPLIT, 7.0)
DIVIDEND = CorporateAction(date(2014, 5, 8), ActionKind.DIVIDEND, 3.29, "USD")
YEAR = Window(datetime(2014, 1, 1, tzinfo=UTC), datetime(2015, 1, 1, tzinfo=UTC))


@pytest.fixture(autouse=True)
def _nothing_known(db: None) -> None:
    CorporateActionRecord.objects.all().delete()


def make_series(symbol: str = "AAPL", *, timeframe: str = "1d", provider: str = "yahoo") -> int:
    instrument, _ = Instrument.objects.get_or_create(symbol=symbol, defaults={"venue": "XNAS"})
    series, _ = Series.objects.get_or_create(
        provider=provider, instrument=instrument, timeframe=timeframe, adjustment="raw"
    )
    ProviderSymbol.objects.get_or_create(
        provider=provider,
        vendor_symbol=symbol,
        instrument=instrument,
        defaults={"valid": Range(None, None)},
    )
    return int(series.id)


def stated(
    series_id: int, *actions: CorporateAction, attempt: int = 1, complete: bool = False
) -> StatedActions:
    return StatedActions(
        series_id=series_id,
        provider="yahoo",
        window=YEAR,
        attempt_id=attempt,
        actions=actions,
        complete=complete,
    )


def record(*statements: StatedActions) -> int:
    with transaction.atomic():
        return record_actions(statements)


def known(as_of: datetime | None = None) -> list[KnownAction]:
    connection.ensure_connection()
    return actions_of(connection.connection, symbols=["AAPL"], as_of=as_of)


def values(as_of: datetime | None = None) -> list[tuple[ActionKind, float]]:
    return [(one.action.kind, one.action.value) for one in known(as_of)]


def test_series_of_one_instrument_that_state_the_same_write_it_once() -> None:
    """The second timeframe, and a repetition, add nothing; nor does a rounded dividend."""
    days, weeks = make_series(), make_series(timeframe="1w")
    assert record(stated(days, SPLIT, DIVIDEND), stated(weeks, SPLIT, DIVIDEND)) == 2
    rounded = CorporateAction(DIVIDEND.ex_date, ActionKind.DIVIDEND, 3.289998)
    assert record(stated(weeks, SPLIT, rounded)) == 0
    assert CorporateActionRecord.objects.count() == 2


def test_a_correction_closes_the_old_row_and_the_past_still_reads_it() -> None:
    """As of a moment before the correction the first value counts; there is no gap between."""
    series = make_series()
    record(stated(series, SPLIT))
    (first,) = known()
    assert record(stated(series, CorporateAction(SPLIT.ex_date, ActionKind.SPLIT, 4.0))) == 2
    (second,) = known()
    assert values() == [(ActionKind.SPLIT, 4.0)]
    assert values(first.known_from) == [(ActionKind.SPLIT, 7.0)]
    assert values(second.known_from) == [(ActionKind.SPLIT, 4.0)]
    closed = CorporateActionRecord.objects.get(known_to__isnull=False)
    assert closed.known_to == second.known_from
    assert values(datetime(2014, 7, 1, tzinfo=UTC)) == [], "nothing was known in 2014"


def test_absence_withdraws_only_in_a_complete_statement() -> None:
    series = make_series()
    record(stated(series, SPLIT, DIVIDEND))
    assert record(stated(series, SPLIT)) == 0
    assert record(stated(series, SPLIT, complete=True)) == 1
    assert values() == [(ActionKind.SPLIT, 7.0)]


def test_an_announced_split_does_not_count_before_its_day() -> None:
    series = make_series()
    record(stated(series, CorporateAction(date(2999, 1, 4), ActionKind.SPLIT, 2.0)))
    assert values() == []
    connection.ensure_connection()
    assert len(actions_of(connection.connection, symbols=["AAPL"], announced=True)) == 1


def test_two_finishes_that_state_the_same_at_once_do_not_collide() -> None:
    """The second waits for the first one's lock, sees its rows, and has nothing left to write."""
    days, weeks = make_series(), make_series(timeframe="1w")
    inside, go_on = threading.Event(), threading.Event()
    written: list[int] = []

    def second() -> None:
        try:
            inside.wait(10)
            go_on.set()
            written.append(record(stated(weeks, SPLIT, attempt=2)))
        finally:
            connection.close()

    thread = threading.Thread(target=second)
    thread.start()
    with transaction.atomic():
        written.append(record_actions([stated(days, SPLIT)]))
        inside.set()
        go_on.wait(10)
        wait_for_a_waiting_lock(lambda: thread.is_alive())
    thread.join(10)
    assert written == [1, 0]
    assert CorporateActionRecord.objects.count() == 1


def wait_for_a_waiting_lock(alive: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(500):
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            (waiting,) = cursor.fetchone()
        if waiting or not alive():
            return
        pause.wait(0.01)
    pytest.fail("the second finish never waited")


def test_closes_before_moments_are_the_last_final_ones() -> None:
    series = make_series()
    day = 86_400_000_000
    bars = Bars.build(
        ts=[0, day, 2 * day],
        open=[1, 2, 3],
        high=[1, 2, 3],
        low=[1, 2, 3],
        close=[1, 2, 3],
        final=[True, True, False],
    )
    with transaction.atomic():
        write_bars(
            connection,
            [SeriesBars(series, 1, window_start_us=0, window_end_us=3 * day, bars=bars)],
        )
    for as_of in (None, datetime(2999, 1, 1, tzinfo=UTC)):
        stamps, closes = closes_before(
            connection.connection, series, moments_us=bars.ts + day, as_of=as_of
        )
        assert stamps.tolist() == [0, day, day]
        assert closes.tolist() == [1, 2, 2]
