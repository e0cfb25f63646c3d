"""The function coverage_gaps and the planner's own arithmetic see the same gaps."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.range import Range

from ingestion.domain.windows import from_us
from ingestion.models import Account, Instrument, Job, ProviderSymbol, Series
from ingestion.services.find_gaps import series_gaps
from tests.protocol.scene import day, sql, value

pytestmark = pytest.mark.django_db

Span = tuple[datetime, datetime]
Gap = tuple[datetime, datetime, int, str]
BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
HOURS = 24 * 70
SHAPES = [
    ("XNYS", "1d", "regular", "open"),
    ("XNYS", "1w", "regular", "open"),
    ("XNYS", "1mo", "regular", "open"),
    ("XNYS", "30m", "regular", "open"),
    ("XNYS", "30m", "extended", "open"),
    ("XNYS", "1h", "extended", "clock"),
    ("XNYS", "4h", "regular", "clock"),
    ("XTKS", "1h", "regular", "clock"),
    ("XTKS", "1d", "regular", "open"),
    ("CMES", "1h", "regular", "open"),
    ("FX", "4h", "regular", "clock"),
]


def make(
    venue: str,
    timeframe: str,
    *,
    listed: date,
    delisted: date,
    hours: str = "regular",
    anchor: str = "open",
    named: Sequence[tuple[date | None, date | None]] = (),
) -> int:
    """Make the one series of AAA; `named` are when the provider has a name for it, else always."""
    instrument = Instrument.objects.create(
        symbol="AAA", venue=venue, listed_from=listed, delisted_on=delisted
    )
    for number, (first, end) in enumerate(named):
        ProviderSymbol.objects.create(
            provider="synthetic",
            vendor_symbol=f"AAA{number}",
            instrument=instrument,
            valid=Range(first, end),
        )
    made = Series.objects.create(
        provider="synthetic",
        instrument=instrument,
        timeframe=timeframe,
        adjustment="raw",
        hours=hours,
        anchor=anchor,
    )
    return int(made.id)


def know(
    series_id: int,
    *,
    loaded: Sequence[Span] = (),
    proofs: Sequence[tuple[Span, str, int]] = (),
    missing: Sequence[tuple[Span, int]] = (),
    dead: Sequence[Span] = (),
) -> None:
    """Write down what is known of a series.

    A proof is (span, reason, days that it still holds), a miss (span, how many looks agreed).
    """
    text = ",".join(f"[{start.isoformat()},{end.isoformat()})" for start, end in loaded)
    sql("INSERT INTO coverage VALUES (%s, %s, NULL, now())", series_id, "{" + text + "}")
    for span, reason, good_for in proofs:
        sql(
            'INSERT INTO empty_proof (series_id, "window", reason, attempt_id, expires_at)'
            " VALUES (%s, tstzrange(%s, %s), %s, 1, now() + make_interval(days => %s))",
            *(series_id, *span, reason, good_for),
        )
    for span, looks in missing:
        sql(
            'INSERT INTO missing_session (series_id, "window", looks, attempt_id)'
            " VALUES (%s, tstzrange(%s, %s), %s, 1) ON CONFLICT DO NOTHING",
            *(series_id, *span, looks),
        )
    account, _ = Account.objects.get_or_create(provider="synthetic")
    for span in dead:
        job = Job.objects.create(workload="historical", kind="backfill", account=account, spec={})
        sql(
            'INSERT INTO slice (job_id, series_id, account_id, "window", state, tries, crashes,'
            " suspect, rows, error_class, error)"
            " VALUES (%s, %s, %s, tstzrange(%s, %s), 'dead', 5, 0, false, 0, 'X', 'x')",
            *(job.id, series_id, account.id, *span),
        )


def date_of(days: int) -> date:
    """Return the date so many days after the beginning."""
    return (BEGIN + timedelta(days=days)).date()


def by_sql(timeframe: str) -> list[Gap]:
    """Ask PostgreSQL."""
    return sql(
        "SELECT gap_start, gap_end, sessions, kind FROM coverage_gaps('AAA', %s, 100000)", timeframe
    )


def by_python(series_id: int) -> list[Gap]:
    """Ask the domain about the same rows."""
    now = value("SELECT now()")
    report = series_gaps(
        [series_id],
        now=now,
        start=BEGIN - timedelta(days=400),
        end=now + timedelta(days=40),
    )[series_id]
    return [(from_us(g.start), from_us(g.end), g.units, g.kind.value) for g in report.gaps]


spans = st.lists(
    st.tuples(st.integers(0, HOURS), st.integers(1, 400)).map(
        lambda pair: (
            BEGIN + timedelta(hours=pair[0]),
            BEGIN + timedelta(hours=pair[0] + pair[1]),
        )
    ),
    max_size=5,
)
proven = st.lists(
    st.tuples(
        spans.filter(bool).map(lambda some: some[0]),
        st.sampled_from(["no_trade", "not_listed", "halted"]),
        st.sampled_from([-1, 1]),
    ),
    max_size=4,
)


looked = st.lists(
    st.tuples(spans.filter(bool).map(lambda some: some[0]), st.integers(0, 1)), max_size=4
)


@pytest.mark.parametrize(("venue", "timeframe", "hours", "anchor"), SHAPES)
@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    listed=st.integers(0, 20),
    delisted=st.integers(30, 75),
    renamed=st.none() | st.tuples(st.integers(5, 40), st.integers(1, 30)),
    loaded=spans,
    proofs=proven,
    missing=looked,
    dead=spans,
)
def test_sql_and_python_agree(
    venue: str,
    timeframe: str,
    hours: str,
    anchor: str,
    listed: int,
    delisted: int,
    renamed: tuple[int, int] | None,
    loaded: list[Span],
    proofs: list[tuple[Span, str, int]],
    missing: list[tuple[Span, int]],
    dead: list[Span],
) -> None:
    """Whatever is known, however cut, whenever listed and named: start, end, count and kind."""
    with transaction.atomic():
        series_id = make(
            venue,
            timeframe,
            hours=hours,
            anchor=anchor,
            listed=date_of(listed),
            delisted=date_of(delisted),
            named=[(None, date_of(renamed[0])), (date_of(sum(renamed)), None)] if renamed else [],
        )
        know(series_id, loaded=loaded, proofs=proofs, missing=missing, dead=dead)
        assert by_sql(timeframe) == by_python(series_id)
        transaction.set_rollback(True)


def test_a_lunch_break_is_no_hole() -> None:
    """Tokyo pauses from 11:30 to 12:30: mornings and afternoons loaded leave a gap between."""
    series_id = make("XTKS", "1h", listed=date(2024, 1, 10), delisted=date(2024, 1, 12))
    session = (day("2024-01-10T00:00"), day("2024-01-10T06:00"))
    know(series_id, loaded=[session])
    assert by_sql("1h") == [(day("2024-01-11T00:00"), day("2024-01-11T06:00"), 1, "unknown")]


def test_a_week_counts_when_it_begins_in_the_listing() -> None:
    """Of a listing on a Wednesday the first week is the one that planning asks for."""
    series_id = make("XNYS", "1w", listed=date(2024, 1, 10), delisted=date(2024, 1, 24))
    know(series_id)
    assert by_sql("1w") == [(day("2024-01-15"), day("2024-01-24"), 2, "unknown")]
    assert by_python(series_id) == by_sql("1w")
