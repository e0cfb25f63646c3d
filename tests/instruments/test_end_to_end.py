"""Futures, indices, currencies, coins and foreign shares, fetched by real workers.

One stack fetches everything once, from the simulated yahoo and from `synthetic`; the tests then
look at what is stored.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import redis
from django.db import connection, connections
from kombu import Connection

from ingestion.domain.spec import JobRequest
from ingestion.services.open_job import open_job
from ingestion.services.show_coverage import show_coverage
from ingestion.store.series import ensure_account
from ingestion.tasks import tick
from mdc.stack.embedded import EmbeddedStack
from providers.registry import get_adapter
from providers.sessions import NO_BREAK, Sessions
from providers.simulator.process import Simulator
from providers.types import Timeframe
from providers.venues import load_sessions
from tests.cli.conftest import TESTER
from tests.conftest import temporary_home

D1, H1, M1 = Timeframe.D1, Timeframe.H1, Timeframe.M1
VENUES = {
    "ES": "CMES",
    "MES": "CMES",
    "VIX": "XCBO",
    "EURUSD": "FX",
    "BTCUSD": "24/7",
    "VOD.L": "XLON",
    "7203.T": "XTKS",
    "0700.HK": "XHKG",
}
SPELLINGS = {"ES": "ES=F", "MES": "MES=F", "VIX": "^VIX", "EURUSD": "EURUSD=X", "BTCUSD": "BTC-USD"}
WITHOUT_VOLUME = {"VIX", "EURUSD"}
DAYS = (datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC))
# The hour changes in New York and Chicago within, but neither in London nor in Asia.
MINUTES = (datetime(2024, 3, 7, tzinfo=UTC), datetime(2024, 3, 13, tzinfo=UTC))
EXPIRY = (datetime(2013, 12, 2, tzinfo=UTC), datetime(2014, 2, 1, tzinfo=UTC))


def last_week(now: datetime) -> tuple[datetime, datetime]:
    """Return Sunday noon to Saturday of a week that is over: yahoo keeps minutes for a month."""
    monday = (now - timedelta(days=now.weekday() + 7)).replace(
        hour=0, minute=0, second=0, microsecond=0
    )
    return monday - timedelta(hours=12), monday + timedelta(days=5)


WEEK = last_week(datetime.now(UTC))


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator() as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def db(committed: None, servers: EmbeddedStack, simulator: Simulator) -> None:
    """Everything that is looked at below, fetched once."""
    redis.Redis(unix_socket_path=str(servers.home.valkey_socket)).flushall()
    name = str(connections["default"].settings_dict["NAME"])
    # The simulator has no limits, and there is no other provider to be polite to.
    ensure_account("yahoo", capabilities=get_adapter("yahoo").capabilities, egress="default")
    sql("DELETE FROM budget")
    with (
        temporary_home() as home,
        EmbeddedStack(
            home,
            database_url=servers.home.database_url(name),
            broker_url=servers.broker_url,
            environment={"MDC_PROVIDER_YAHOO_BASE_URL": simulator.base_url},
        ) as stack,
    ):
        stack.start(["control", "fetch"], prepare=False)
        fetch(
            stack,
            asked("yahoo", [*VENUES], D1, DAYS),
            asked("yahoo", ["ES", "VIX", "EURUSD", "7203.T"], M1, WEEK),
            asked("yahoo", ["ESZ2013"], D1, EXPIRY),
            asked("synthetic", [*VENUES], D1, DAYS),
            asked("synthetic", [*VENUES], M1, MINUTES),
            asked("synthetic", ["ESZ2013"], H1, EXPIRY),
        )


def asked(
    provider: str, symbols: Sequence[str], timeframe: Timeframe, span: tuple[datetime, datetime]
) -> JobRequest:
    return JobRequest(
        provider=provider,
        symbols=tuple(symbols),
        timeframes=(timeframe,),
        start=span[0],
        end=span[1],
    )


def fetch(stack: EmbeddedStack, *requests: JobRequest) -> None:
    """Tick as beat does until the workers have done the jobs; each of them is complete."""
    now = datetime.now(UTC)
    jobs = [open_job(request, now=now, actor=TESTER).job_id for request in requests]
    deadline = time.monotonic() + 60
    with Connection(stack.broker_url) as broker:
        while sql("SELECT 1 FROM job WHERE id = ANY(%s) AND ended_at IS NULL", jobs):
            assert time.monotonic() < deadline, sql("SELECT id, state, wait_reason FROM job")
            tick.apply_async(queue="control", expires=5, connection=broker)
            time.sleep(0.3)
    ended = sql("SELECT state, outcome, error FROM job WHERE id = ANY(%s)", jobs)
    assert ended == [("completed", "complete", "")] * len(jobs)


def sql(query: str, *values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, list(values))
        return cursor.fetchall() if cursor.description else []


def stamps(symbol: str, timeframe: Timeframe, provider: str) -> list[datetime]:
    return [
        ts
        for (ts,) in sql(
            "SELECT ts FROM bars WHERE symbol = %s AND timeframe = %s AND provider = %s"
            " ORDER BY ts",
            symbol,
            timeframe.value,
            provider,
        )
    ]


def in_window(sessions: Sessions, span: tuple[datetime, datetime]) -> Sessions:
    """Select the sessions that lie wholly inside a window."""
    start, end = (int(one.timestamp()) * 1_000_000 for one in span)
    kept = (sessions.opens >= start) & (sessions.closes <= end)
    first = int(kept.argmax())
    return sessions.rows(slice(first, first + int(kept.sum())))


def minutes_of(sessions: Sessions) -> int:
    """Count the minutes of sessions, breaks left out."""
    open_us = int((sessions.closes - sessions.opens).sum())
    pauses = sessions.break_starts != NO_BREAK
    open_us -= int((sessions.break_ends - sessions.break_starts)[pauses].sum())
    return open_us // 60_000_000


@pytest.mark.parametrize("provider", ["yahoo", "synthetic"])
def test_no_gap_is_invented(provider: str) -> None:
    """Every expected session of every venue is loaded: rest, breaks and weekends are no gaps."""
    for one in show_coverage(now=datetime.now(UTC), provider=provider):
        assert one.report.expected > 0
        assert (one.report.lacking, one.report.gaps) == (0, ()), one.series
    assert sql("SELECT count(*) FROM missing_session") == [(0,)]
    assert sql("SELECT count(*) FROM quarantine") == [(0,)]


@pytest.mark.parametrize("symbol", VENUES)
def test_days_are_the_venues_sessions(symbol: str) -> None:
    """A daily bar for each session date, the same from both providers."""
    sessions = load_sessions(VENUES[symbol])
    start, end = (int(one.timestamp()) * 1_000_000 for one in DAYS)
    labels = sessions.between(start, end).labels.astype("M8[us]").astype(datetime)
    expected = [label.replace(tzinfo=UTC) for label in labels.tolist()]
    assert stamps(symbol, D1, "yahoo") == expected
    assert stamps(symbol, D1, "synthetic") == expected


@pytest.mark.parametrize("symbol", VENUES)
def test_minutes_fill_the_sessions(symbol: str) -> None:
    """Each minute of a session has a bar, and none lies outside; sessions at the edge are cut."""
    sessions = load_sessions(VENUES[symbol])
    whole = in_window(sessions, MINUTES)
    first, last = int(whole.opens[0]), int(whole.closes[-1])
    kept = [
        one
        for one in stamps(symbol, M1, "synthetic")
        if first <= int(one.timestamp()) * 1_000_000 < last
    ]
    assert len(kept) == minutes_of(whole) > 1000


def test_futures_rest_for_an_hour() -> None:
    """CMES pauses from 16:00 to 17:00 in Chicago and opens on Sunday evening."""
    zone = ZoneInfo("America/Chicago")
    for provider in ("yahoo", "synthetic"):
        local = [one.astimezone(zone) for one in stamps("ES", M1, provider)]
        assert 16 not in {one.hour for one in local}
        assert {one.weekday() for one in local if one.hour >= 17} == {0, 1, 2, 3, 6}
        assert min(one.hour for one in local if one.weekday() == 6) == 17


def test_currencies_trade_from_sunday_to_friday() -> None:
    """No bar on a Saturday, Sunday begins at 17:00 in New York, Friday ends there and then."""
    zone = ZoneInfo("America/New_York")
    for provider in ("yahoo", "synthetic"):
        local = [one.astimezone(zone) for one in stamps("EURUSD", M1, provider)]
        assert 5 not in {one.weekday() for one in local}
        assert min(one.hour for one in local if one.weekday() == 6) == 17
        assert max(one.hour for one in local if one.weekday() == 4) == 16
        assert {one.hour for one in local if one.weekday() == 0} == {*range(24)}


def test_coins_never_rest() -> None:
    """Every minute of every day, the weekend included."""
    found = stamps("BTCUSD", M1, "synthetic")
    assert len(found) == (MINUTES[1] - MINUTES[0]) // timedelta(minutes=1)
    assert {5, 6} <= {one.weekday() for one in found}


@pytest.mark.parametrize(
    ("symbol", "zone", "pause", "providers"),
    [
        ("7203.T", "Asia/Tokyo", ("11:30", "12:30"), ("yahoo", "synthetic")),
        ("0700.HK", "Asia/Hong_Kong", ("12:00", "13:00"), ("synthetic",)),
    ],
)
def test_a_break_has_no_bars(
    symbol: str, zone: str, pause: tuple[str, str], providers: tuple[str, ...]
) -> None:
    """Tokyo and Hong Kong go to lunch; the minutes around it are there."""
    for provider in providers:
        times = {f"{one.astimezone(ZoneInfo(zone)):%H:%M}" for one in stamps(symbol, M1, provider)}
        assert not [one for one in times if pause[0] <= one < pause[1]]
        assert pause[1] in times


def test_there_is_no_volume_where_there_is_none() -> None:
    """VIX and currencies have NULL, at both providers and in every bar; all others a number."""
    rows = sql(
        "SELECT symbol, count(*) = count(volume), count(volume) = 0 FROM bars GROUP BY symbol"
    )
    assert {symbol for symbol, _, absent in rows if absent} == WITHOUT_VOLUME
    assert {symbol for symbol, full, _ in rows if full} == {*VENUES, "ESZ2013"} - WITHOUT_VOLUME


def test_instruments_know_what_they_are() -> None:
    """The reference said it; yahoo's name and its roll rule are kept, synthetic rolls nothing."""
    for symbol, venue in VENUES.items():
        ((stored_venue, facts_from),) = sql(
            "SELECT venue, facts_from FROM instrument WHERE symbol = %s", symbol
        )
        assert (stored_venue, facts_from) == (venue, "reference")
    names = {
        (symbol, provider): (spelling, rule)
        for symbol, provider, spelling, rule in sql(
            "SELECT i.symbol, p.provider, p.vendor_symbol, p.roll_rule FROM provider_symbol p"
            " JOIN instrument i ON i.id = p.instrument_id"
        )
    }
    for symbol, spelling in SPELLINGS.items():
        assert names[symbol, "yahoo"][0] == spelling
    assert "front month" in names["ES", "yahoo"][1]
    assert names["ES", "synthetic"][1] == ""
    assert names["EURUSD", "yahoo"][1] == names["ESZ2013", "yahoo"][1] == ""


@pytest.mark.parametrize(("timeframe", "provider"), [(D1, "yahoo"), (H1, "synthetic")])
def test_a_contract_ends_with_its_expiry(timeframe: Timeframe, provider: str) -> None:
    """ESZ2013 is a series of its own until Friday, 20 December 2013; nothing later is expected."""
    ((asset_class, underlying, gone),) = sql(
        "SELECT asset_class, underlying, delisted_on FROM instrument WHERE symbol = 'ESZ2013'"
    )
    assert (asset_class, underlying, gone) == ("future", "ES", date(2013, 12, 21))
    found = stamps("ESZ2013", timeframe, provider)
    assert found[0].date() in (date(2013, 12, 1), date(2013, 12, 2))
    assert found[-1].date() == date(2013, 12, 20)
    asked_until = sql(
        "SELECT max(upper(w.window)) FROM slice w JOIN series s ON s.id = w.series_id"
        " JOIN instrument i ON i.id = s.instrument_id WHERE i.symbol = 'ESZ2013'"
    )
    assert asked_until[0][0] <= datetime(2013, 12, 22, tzinfo=UTC)
