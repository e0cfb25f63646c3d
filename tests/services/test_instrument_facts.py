"""What is asked of an instrument follows from what is known of it: name, venue, dates, volume."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import unquote

import orjson
import pytest
from psycopg.types.range import Range

from ingestion.domain.errors import BadRequest
from ingestion.domain.spec import JobSpec
from ingestion.models import Instrument, Job, ProviderSymbol
from ingestion.services.fetch_slice import Fetched, QualityRules, fetch_slice
from ingestion.services.open_job import open_job
from ingestion.services.resolve_request import resolve_request
from ingestion.store.claim import Claimed
from ingestion.store.series import load_facts
from providers.types import Request, Response, Timeframe
from tests.protocol.scene import (
    NOW,
    TESTER,
    RecordingEdge,
    Worker,
    access,
    ask,
    day,
    loaded,
    open_queued,
    open_running,
    series_of,
    sql,
    us,
    value,
)
from tests.services.test_finish_quality import FOR_EVER, Desk

pytestmark = pytest.mark.django_db

JANUARY = {"provider": "yahoo", "end": day("2024-02-01"), "slice_span": None}


def instrument(symbol: str, **values: Any) -> Instrument:
    """Store an instrument."""
    return Instrument.objects.create(symbol=symbol, **{"venue": "XNYS", **values})


def call(known: Instrument, name: str, first: date | None, last: date | None) -> None:
    """Let the provider call an instrument by a name for some time."""
    ProviderSymbol.objects.create(
        provider="yahoo", vendor_symbol=name, instrument=known, valid=Range(first, last, "[)")
    )


def window_of(symbol: str, **request: Any) -> tuple[datetime, datetime] | None:
    """Return what a request would ask of one symbol."""
    resolved = resolve_request(ask(symbol, **request), now=NOW)
    window = resolved.series[0].window
    return (window.start, window.end) if window else None


def chart(rows: Sequence[tuple[int, float, float | None]], *, granularity: str) -> Response:
    """Answer as yahoo does with rows of (stamp in s, price, volume)."""
    prices = [price for _, price, _ in rows]
    quote = dict.fromkeys(("open", "high", "low", "close"), prices)
    quote["volume"] = [volume for _, _, volume in rows]  # type: ignore[misc]
    result = {
        "meta": {
            "currency": "USD",
            "symbol": "ANY",
            "exchangeTimezoneName": "America/New_York",
            "gmtoffset": -18000,
            "dataGranularity": granularity,
            "range": "",
        },
        "timestamp": [stamp for stamp, _, _ in rows],
        "indicators": {"quote": [quote]},
    }
    body = {"chart": {"result": [result], "error": None}}
    return Response(status=200, headers={}, body=orjson.dumps(body), received_at=NOW)


def ask_yahoo(claimed: Claimed, edge: RecordingEdge) -> Any:
    """Fetch a claim over an edge, whatever comes of it."""
    return fetch_slice(
        claimed,
        load_facts([claimed.series_id])[claimed.series_id],
        access=access(edge, provider="yahoo"),
        permits=Desk(),  # type: ignore[arg-type]
        rules=QualityRules(),
        permit=FOR_EVER,
        stopped=lambda _: False,
    )


def fetch(claimed: Claimed, answer: Callable[[Request], Response]) -> tuple[Fetched, list[str]]:
    """Fetch a claim from yahoo; return the result and the symbols asked for."""
    edge = RecordingEdge(answer)
    got = ask_yahoo(claimed, edge)
    assert isinstance(got, Fetched), got
    return got, [unquote(one.url.rsplit("/", 1)[1]) for one in edge.requests]


def test_a_new_instrument_gets_what_the_reference_knows() -> None:
    """Venue, volume, dates and the provider's own spelling come with the first request."""
    open_queued("ES", "VIX", "BRK.B", **JANUARY)
    assert sql(
        "SELECT symbol, venue, asset_class, has_volume, listed_from, facts_from, vendor_symbol,"
        " roll_rule <> '' FROM instrument i JOIN provider_symbol p ON p.instrument_id = i.id"
        " ORDER BY symbol"
    ) == [
        ("BRK.B", "XNYS", "equity", True, date(1996, 5, 9), "reference", "BRK-B", False),
        ("ES", "CMES", "continuous", True, value_of("ES"), "reference", "ES=F", True),
        ("VIX", "XCBO", "index", False, value_of("VIX"), "reference", "^VIX", False),
    ]


def value_of(symbol: str) -> date | None:
    """Return the listing date that the reference has of a symbol."""
    from providers.reference import find_symbol

    known = find_symbol(symbol)
    assert known is not None
    return known.listing.listed_from


@pytest.mark.parametrize(
    ("provider", "asked", "meant"),
    [
        ("yahoo", "ES=F", "ES is; did you mean"),
        ("yahoo", "aapl", "AAPL is; did you mean"),
        ("yahoo", "ESZ13", "ESZ2013 is; did you mean"),
        ("polygon", "CL", "polygon has no certain name for CL"),
    ],
)
def test_what_would_be_another_instrument_is_asked_about(
    provider: str, asked: str, meant: str
) -> None:
    """Another spelling of a known symbol makes no second instrument; nor is a name guessed."""
    with pytest.raises(BadRequest, match=meant):
        open_job(ask(asked, **{**JANUARY, "provider": provider}), now=NOW, actor=TESTER)
    assert not Instrument.objects.exists()


def test_all_misnamed_symbols_are_named_at_once() -> None:
    """Nobody has to correct a list of 500 symbols one error at a time."""
    with pytest.raises(BadRequest, match="ES for ES=F, VIX for \\^VIX"):
        open_job(ask("ES=F", "AAPL", "^VIX", **JANUARY), now=NOW, actor=TESTER)


def test_at_another_venue_a_symbol_is_something_else() -> None:
    """The user's venue overrides the reference, together with all that it says of its own."""
    open_queued("ES", venue="XMAD", **JANUARY)
    assert sql(
        "SELECT venue, asset_class, facts_from, vendor_symbol FROM instrument i"
        " JOIN provider_symbol p ON p.instrument_id = i.id"
    ) == [("XMAD", "equity", "user", "ES")]


def test_an_instrument_is_asked_within_its_life() -> None:
    """From its first session to its last, whatever window was asked for."""
    instrument("OLD", listed_from=date(2024, 1, 10), delisted_on=date(2024, 2, 10))
    assert window_of("OLD") == (day("2024-01-10"), day("2024-02-10"))
    assert window_of("OLD", start=day("2024-03-01")) is None
    assert window_of("NEW") == (day("2024-01-01"), day("2024-04-01"))


def test_of_a_reused_ticker_each_instrument_is_asked_within_its_own_dates() -> None:
    """The old one ends where the new one begins, and both are asked by the same name."""
    call(instrument("EEM-OLD"), "EEM", None, date(2024, 1, 20))
    open_queued("EEM", **JANUARY)
    assert sql(
        "SELECT symbol, lower(valid), upper(valid) FROM provider_symbol p"
        " JOIN instrument i ON i.id = p.instrument_id ORDER BY symbol"
    ) == [("EEM", date(2024, 1, 20), None), ("EEM-OLD", None, date(2024, 1, 20))]
    assert window_of("EEM-OLD", **JANUARY) == (day("2024-01-01"), day("2024-01-20"))
    assert window_of("EEM", **JANUARY) == (day("2024-01-20"), day("2024-02-01"))


def test_a_renamed_instrument_is_asked_by_the_name_of_the_day() -> None:
    """No slice reaches from one name into another, nor into a time without any."""
    meta = instrument("META-PLATFORMS")
    call(meta, "FB", None, date(2024, 1, 10))
    call(meta, "META", date(2024, 1, 12), None)
    job = open_running("META-PLATFORMS", **JANUARY)
    spec = JobSpec.from_json(Job.objects.get(id=job).spec)
    assert JobSpec.from_json(spec.to_json()) == spec
    claimed = sorted(Worker.of(job).claim(), key=lambda one: one.start)
    assert [(one.start, one.end) for one in claimed] == [
        (day("2024-01-01"), day("2024-01-10")),
        (day("2024-01-12"), day("2024-02-01")),
    ]
    row = (us("2024-01-16T14:30") // 10**6, 5.0, 1.0)
    asked = [fetch(one, lambda _: chart([row], granularity="1d"))[1][0] for one in claimed[1:]]
    asked += [load_facts([series_of(job)])[series_of(job)].query(*window).vendor_symbol
              for window in [(claimed[0].start, claimed[0].end)]]  # fmt: skip
    assert asked == ["META", "FB"]


def test_an_instrument_without_volume_has_none_whatever_is_sent() -> None:
    """Zeros of an index are absence, and no reason to refuse or to store them."""
    job = open_running("VIX", start=day("2024-01-16"), **{**JANUARY, "end": day("2024-01-18")})
    worker = Worker.of(job)
    rows = [(us(f"2024-01-{d}T14:30") // 10**6, 13.0, v) for d, v in (("16", 0), ("17", -3.0))]
    got, asked = fetch(worker.claim_one(), lambda _: chart(rows, granularity="1d"))
    assert asked == ["^VIX"]
    worker.finish(got)
    assert sql("SELECT close, volume FROM bar ORDER BY ts") == [(13.0, None), (13.0, None)]


def test_the_price_of_a_future_may_fall_below_zero() -> None:
    """Crude oil did; of a stock such a bar is refused."""
    april = {**JANUARY, "start": day("2020-04-20"), "end": day("2020-04-21")}
    below = chart([(us("2020-04-20T13:30") // 10**6, -37.63, 5.0)], granularity="1d")
    oil = Worker.of(open_running("CL", **april))
    oil.finish(fetch(oil.claim_one(), lambda _: below)[0])
    assert sql("SELECT close FROM bar") == [(-37.63,)]
    stock = Worker.of(open_running("AAPL", **april))
    refused = ask_yahoo(stock.claim_one(), RecordingEdge(lambda _: below))
    assert [row.reason for row in refused.refused] == ["price_not_positive"]


def test_minutes_before_and_after_a_regular_session_are_left_out() -> None:
    """They are neither stored nor refused, but counted; a stamp of the night is still refused."""
    span = {"start": day("2024-05-20"), "end": day("2024-05-21"), "slice_span": None}
    job = open_running("AAA", provider="yahoo", timeframes=(Timeframe.M5,), **span)
    regular = ["13:30", "13:35", "15:00", "19:50", "19:55"]
    stamps = ["12:00", "12:05", *regular, "20:00", "23:55"]
    rows = [(us(f"2024-05-20T{at}") // 10**6, 9.0, 5.0) for at in [*stamps, "03:00"]]
    worker = Worker.of(job)
    got, _ = fetch(worker.claim_one(), lambda _: chart(rows, granularity="5m"))
    worker.finish(got)
    assert [f"{ts:%H:%M}" for (ts,) in sql("SELECT ts FROM bar ORDER BY ts")] == regular
    assert sql("SELECT detail::text, quarantined FROM attempt") == [('{"outside_hours": 4}', 1)]
    assert sql("SELECT reason FROM quarantine") == [("off_grid",)]


def test_without_validation_odd_rows_are_stored() -> None:
    """The job's own wish reaches the fetch: only what no table can hold is refused."""
    span = {"start": day("2024-05-20"), "end": day("2024-05-21"), "slice_span": None}
    job = open_running("AAA", provider="yahoo", timeframes=(Timeframe.M5,), validate=False, **span)
    odd = [("13:30", 9.0), ("13:37", 9.0), ("13:40", -9.0), ("02:00", 9.0)]
    rows = [(us(f"2024-05-20T{at}") // 10**6, price, 5.0) for at, price in odd]
    rows.append((us("2024-05-23T13:30") // 10**6, 9.0, 5.0))
    worker = Worker.of(job)
    got, _ = fetch(worker.claim_one(), lambda _: chart(rows, granularity="5m"))
    worker.finish(got)
    assert value("SELECT count(*) FROM bar") == 4
    assert sql("SELECT reason FROM quarantine") == [("outside_window",)]


def test_what_the_provider_calls_forming_is_not_covered() -> None:
    """Although its time is over: it is stored as forming, and asked for again."""
    job = open_running("AAA", start=day("2024-01-16"), **{**JANUARY, "end": day("2024-01-18")})
    rows = [
        (us("2024-01-16T14:30") // 10**6, 13.0, 5.0),
        (us("2024-01-17T17:01") // 10**6, 9.0, 5.0),
    ]

    def live(_: Request) -> Response:
        response = chart(rows, granularity="1d")
        body = orjson.loads(response.body)
        body["chart"]["result"][0]["meta"]["regularMarketTime"] = rows[-1][0]
        return Response(200, {}, orjson.dumps(body), NOW)

    worker = Worker.of(job)
    got, _ = fetch(worker.claim_one(), live)
    worker.finish(got)
    assert sql("SELECT final FROM bar ORDER BY ts") == [(True,), (False,)]
    assert loaded(series_of(job)).pairs() == [(us("2024-01-16"), us("2024-01-17"))]


def test_proofs_of_a_short_history_fall_when_the_history_grows() -> None:
    """What a provider reaches by now is asked for, whatever was proven before."""
    minutes = {**JANUARY, "timeframes": (Timeframe.M5,), "end": NOW}
    open_queued("AAA", **{**minutes, "start": day("2024-03-01")})
    (series_id,) = sql("SELECT id FROM series")[0]
    ((last,),) = sql('SELECT upper("window") FROM empty_proof WHERE series_id = %s', series_id)
    # As if the provider's history had been ten days shorter.
    sql(
        'UPDATE empty_proof SET "window" = tstzrange(lower("window"), %s)',
        last + timedelta(days=10),
    )
    open_queued("AAA", **{**minutes, "start": day("2024-03-01")})
    assert sql('SELECT upper("window") FROM empty_proof') == [(last,)]
