"""A small prepared database, read as a stranger's script would read it: by its address."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from django.db import connection, connections, transaction
from pytest_django import DjangoDbBlocker

from ingestion.domain.windows import Window
from ingestion.models import Instrument, Series
from ingestion.store.actions import StatedActions, record_actions
from ingestion.store.bars import SeriesBars, write_bars
from providers.bars import Bars
from providers.base import Edge
from providers.instants import to_us
from providers.registry import get_adapter
from providers.simulator.actions import recorded_actions
from providers.simulator.recorded import load_recordings
from providers.types import Adjustment, Anchor, BarQuery, Credentials, Hours, Timeframe
from tests.tables import empty_tables

START, END = datetime(2005, 1, 1, tzinfo=UTC), datetime(2005, 5, 1, tzinfo=UTC)
MINUTES = datetime(2005, 3, 1, tzinfo=UTC), datetime(2005, 3, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def address(db: str) -> str:
    """Give the address of the prepared database."""
    return db


@pytest.fixture(scope="module")
def db(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[str]:
    """Prepare real days of AAPL and IBM, and minutes made up.

    Early 2005 has Apple's 2:1 split of February 28 and IBM's dividend of February 8.
    """
    with django_db_blocker.unblock():
        try:
            for symbol in ("AAPL", "IBM"):
                _store_days(symbol)
            _store_minutes("AAPL")
            entry = connections["default"].settings_dict
            yield f"postgresql://{entry['USER']}@/{entry['NAME']}?host={entry['HOST']}"
        finally:
            empty_tables()


def _store_days(symbol: str) -> None:
    bars = load_recordings()[symbol].bars
    bars = bars.take((bars.ts >= to_us(START)) & (bars.ts < to_us(END)))
    series = make_series(symbol, provider="polygon", timeframe="1d")
    store(series, bars, window=Window(START, END))
    with transaction.atomic():
        record_actions(
            [
                StatedActions(
                    series_id=series,
                    provider="yahoo",
                    window=Window(START, END),
                    attempt_id=None,
                    actions=tuple(
                        one for one in recorded_actions(symbol) if one.ex_date.year == 2005
                    ),
                )
            ]
        )


def _store_minutes(symbol: str) -> None:
    query = BarQuery(
        symbol=symbol,
        vendor_symbol=symbol,
        venue="XNYS",
        timeframe=Timeframe.M1,
        adjustment=Adjustment.RAW,
        hours=Hours.REGULAR,
        anchor=Anchor.OPEN,
        start=MINUTES[0],
        end=MINUTES[1],
    )
    page = get_adapter("synthetic").fetch_page(
        query, token=None, credentials=Credentials(), base_url="", edge=_NoEdge()
    )
    series = make_series(symbol, provider="synthetic", timeframe="1m")
    store(series, page.bars, window=Window(*MINUTES))


class _NoEdge(Edge):
    """Stand where a network would be: the synthetic provider computes."""


def make_series(symbol: str, *, provider: str, timeframe: str, adjustment: str = "raw") -> int:
    instrument, _ = Instrument.objects.get_or_create(symbol=symbol, defaults={"venue": "XNYS"})
    series = Series.objects.create(
        provider=provider, instrument=instrument, timeframe=timeframe, adjustment=adjustment
    )
    return int(series.id)


def store(series_id: int, bars: Bars, *, window: Window) -> None:
    with transaction.atomic():
        write_bars(
            connection,
            [
                SeriesBars(
                    series_id=series_id,
                    attempt_id=1,
                    window_start_us=window.start_us,
                    window_end_us=window.end_us,
                    bars=bars,
                )
            ],
        )
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO coverage (series_id, loaded) VALUES (%s,"
                " tstzmultirange(tstzrange(%s, %s)))",
                [series_id, window.start, window.end],
            )
