"""From a provider's answer, byte for byte, to what is stored of it and what is set aside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest

from ingestion.domain.retry import Retry
from ingestion.domain.states import JobKind
from ingestion.services.fail_slices import fail_slice
from ingestion.services.fetch_slice import BadBatch, Failed, Fetched, QualityRules, fetch_slice
from ingestion.store.claim import Claimed
from ingestion.store.series import load_facts
from providers.types import Request, Response
from tests.protocol.scene import (
    NOW,
    RecordingEdge,
    Worker,
    access,
    attempts_of,
    day,
    loaded,
    missing,
    open_running,
    series_of,
    slice_states,
    sql,
    stored_days,
    truth,
    us,
    value,
)

pytestmark = pytest.mark.django_db

Row = dict[str, Any]
FOR_EVER = (0.0, float("inf"))
# New York midnight of a date in January, in the provider's milliseconds.
MIDNIGHT_MS = 5 * 3_600_000


@dataclass
class Desk:
    """Stand where permits are taken, at a moment of the test's choice."""

    now: datetime = NOW
    EXPIRED = FOR_EVER

    def database_time(self) -> datetime:
        """Return the moment."""
        return self.now

    def wait(self, permit: object, *, job_id: int, waited: dict[str, float]) -> None:
        """Grant."""


def january(**request: Any) -> int:
    """Open a polygon job over January 2024 in one slice."""
    return open_running(
        provider="polygon",
        end=day("2024-02-01"),
        slice_span=timedelta(days=10_000),
        **request,
    )


def rows_of(claimed: Claimed) -> list[Row]:
    """Return as polygon's rows what there is in a claim."""
    bars = truth(claimed)
    return [
        {"t": t // 1000 + MIDNIGHT_MS, "o": o, "h": h, "l": low, "c": c, "v": v, "n": 7}
        for t, o, h, low, c, v in zip(
            *(getattr(bars, name).tolist() for name in ("ts", "open", "high", "low", "close")),
            bars.volume.tolist(),
            strict=True,
        )
    ]


def answer(rows: Sequence[Row], *, next_url: str | None = None) -> Response:
    """Wrap rows as one page."""
    body = {
        "status": "OK",
        "adjusted": False,
        "queryCount": len(rows),
        "resultsCount": len(rows),
        "results": list(rows),
    }
    if next_url:
        body["next_url"] = next_url
    return Response(status=200, headers={}, body=orjson.dumps(body), received_at=NOW)


def fetch(
    claimed: Claimed,
    respond: Callable[[Request], Response],
    *,
    now: datetime = NOW,
    rules: QualityRules | None = None,
    stopped: bool = False,
) -> Any:
    """Fetch a claim from a provider that answers by a function."""
    return fetch_slice(
        claimed,
        load_facts([claimed.series_id])[claimed.series_id],
        access=access(RecordingEdge(respond)),
        permits=Desk(now),  # type: ignore[arg-type]
        rules=rules or QualityRules(),
        permit=FOR_EVER,
        stopped=lambda _: stopped,
    )


def store(
    job_id: int, change: Callable[[list[Row]], list[Row]], *, now: datetime = NOW
) -> tuple[list[Row], Fetched]:
    """Fetch a job's one slice with changed rows and commit it; return those rows as well."""
    worker = Worker.of(job_id)
    one = worker.claim_one()
    rows = change(rows_of(one))
    got = fetch(one, lambda _: answer(rows), now=now)
    assert isinstance(got, Fetched), got
    worker.finish(got)
    return rows, got


def attempt(job_id: int, columns: str) -> tuple[Any, ...]:
    """Return columns of the one attempt of a job."""
    (row,) = sql(f"SELECT {columns} FROM attempt WHERE job_id = %s", job_id)
    return row


def quarantined() -> list[tuple[str, str, Row]]:
    """Return (date, reason, raw row) of the quarantine in order of arrival."""
    rows = sql("SELECT ts, reason, raw::text FROM quarantine ORDER BY id")
    return [(f"{ts:%Y-%m-%d}", reason, orjson.loads(raw)) for ts, reason, raw in rows]


def date_of(row: Row) -> str:
    """Return the session date of a row."""
    return f"{datetime.fromtimestamp(row['t'] / 1000 - MIDNIGHT_MS / 1000, NOW.tzinfo):%Y-%m-%d}"


BREAK: dict[str, Row] = {
    "ohlc": {"h": 0.01},
    "price_not_positive": {"l": -1.0},
    "missing_value": {"c": None},
    "negative": {"v": -5},
}


@pytest.mark.parametrize("reason", sorted(BREAK))
def test_a_bad_row_is_set_aside_as_it_came(reason: str) -> None:
    """Reason and raw values are kept, the good rows are stored, and its session is missing."""
    job = january()
    rows, _ = store(job, lambda rows: [*rows[:5], rows[5] | BREAK[reason], *rows[6:]])
    broken = rows[5]
    assert quarantined() == [(date_of(broken), reason, broken)]
    assert date_of(broken) not in stored_days(series_of(job))
    assert missing(series_of(job)) == {date_of(broken): 0}
    assert attempt(job, "outcome, rows_in, inserted, quarantined") == ("done", 21, 20, 1)
    owner = sql("SELECT attempt_id, series_id FROM quarantine")
    assert owner == [(*attempt(job, "id"), series_of(job))]


def test_rows_off_the_grid_or_outside_the_window_are_set_aside() -> None:
    """A holiday's bar and one of next month are kept in the quarantine, with their stamps."""
    job = january()

    def astray(rows: list[Row]) -> list[Row]:
        holiday = rows[0] | {"t": us("2024-01-15") // 1000 + MIDNIGHT_MS}
        later = rows[0] | {"t": us("2024-02-05") // 1000 + MIDNIGHT_MS}
        return [*rows, holiday, later]

    store(job, astray)
    assert [row[:2] for row in quarantined()] == [
        ("2024-01-15", "off_grid"),
        ("2024-02-05", "outside_window"),
    ]
    assert len(stored_days(series_of(job))) == 21
    assert missing(series_of(job)) == {}


def test_identical_duplicates_collapse_into_one() -> None:
    """Repeated rows are stored once and counted; none is set aside."""
    job = january()
    store(job, lambda rows: [*rows, *rows[:7]])
    assert len(stored_days(series_of(job))) == 21
    assert quarantined() == []
    assert attempt(job, "rows_in, inserted, quarantined, detail->>'collapsed'") == (28, 21, 0, "7")


def test_conflicting_duplicates_are_both_set_aside() -> None:
    """Of two rows that contradict each other neither is stored."""
    job = january()
    rows, _ = store(job, lambda rows: [*rows, rows[3] | {"v": 1}])
    assert [(reason, raw) for _, reason, raw in quarantined()] == [
        ("duplicate_conflict", rows[3]),
        ("duplicate_conflict", rows[-1]),
    ]
    assert missing(series_of(job)) == {date_of(rows[3]): 0}


def test_rows_in_any_order_are_stored() -> None:
    """Newest first is no defect."""
    job = january()
    store(job, lambda rows: rows[::-1])
    assert len(stored_days(series_of(job))) == 21
    assert (quarantined(), missing(series_of(job))) == ([], {})


def test_more_than_a_fifth_of_bad_rows_fails_the_slice() -> None:
    """Nothing is stored of it, the rows are in the quarantine, and another try is due."""
    job = january()
    worker = Worker.of(job)
    one = worker.claim_one()
    rows = rows_of(one)
    rows = [row | BREAK["ohlc"] for row in rows[:5]] + rows[5:]
    got = fetch(one, lambda _: answer(rows))
    assert isinstance(got, Failed)
    assert isinstance(got.error, BadBatch)
    assert "5 of 21 rows are bad (24%" in str(got.error)
    decision = fail_slice(got, account_id=worker.account_id, executor_id=worker.id)
    assert isinstance(decision, Retry)
    assert [raw for _, _, raw in quarantined()] == rows[:5]
    for table in ("bar", "coverage", "missing_session", "checkpoint"):
        assert value(f"SELECT count(*) FROM {table}") == 0
    assert attempt(job, "outcome, rows_in, inserted, quarantined, error_class") == (
        "retry",
        21,
        0,
        5,
        "BadBatch",
    )
    assert slice_states(job) == {"ready": 1}


def test_a_fifth_of_bad_rows_is_tolerated() -> None:
    """The limit itself is allowed, and it can be set."""
    job = january()
    one = Worker.of(job).claim_one()
    rows = rows_of(one)[:20]
    rows = [row | BREAK["ohlc"] for row in rows[:4]] + rows[4:]
    assert isinstance(fetch(one, lambda _: answer(rows)), Fetched)
    strict = QualityRules(max_bad_fraction=0.1)
    assert isinstance(fetch(one, lambda _: answer(rows), rules=strict), Failed)


def test_fewer_bars_than_the_minimum_fail_the_slice() -> None:
    """The error says how few there were and how many are required."""
    job = january()
    one = Worker.of(job).claim_one()
    rows = rows_of(one)
    assert isinstance(
        fetch(one, lambda _: answer(rows), rules=QualityRules(minimum_bars=21)), Fetched
    )
    got = fetch(one, lambda _: answer(rows), rules=QualityRules(minimum_bars=22))
    assert isinstance(got, Failed)
    assert isinstance(got.error, BadBatch)
    assert "only 21 good bars" in str(got.error)
    assert "at least 22" in str(got.error)


def bars_of_31st() -> tuple[bool, float]:
    """Return whether the bar of January 31st is final, and its close."""
    (row,) = sql("SELECT final, close FROM bar WHERE ts = '2024-01-31Z'")
    return row


def test_a_forming_bar_is_stored_uncovered_and_replaced_without_a_revision() -> None:
    """While New York trades the day's bar is a draft; after the close it is final and covered."""
    moments = (
        (day("2024-01-31T18:00"), 1.0, False),
        (day("2024-01-31T19:00"), 2.0, False),
        # The provider's values may move for 20 minutes after the close at 21:00.
        (day("2024-01-31T21:10"), 3.0, False),
        (day("2024-01-31T21:20"), 4.0, True),
    )
    series = 0
    for now, close, final in moments:
        job = january()
        changed = {"o": close, "h": close, "l": close, "c": close}
        store(job, lambda rows, changed=changed: [*rows[:-1], rows[-1] | changed], now=now)
        series = series_of(job)
        assert bars_of_31st() == (final, close)
        until = "2024-02-01" if final else "2024-01-31"
        assert loaded(series).ends.tolist() == [us(until)]
        assert missing(series) == {}
    assert value("SELECT count(*) FROM bar_revision") == 0
    assert len(stored_days(series)) == 21
    # Once final, a change is a revision.
    again = january(kind=JobKind.RECONCILE)
    store(again, lambda rows: [*rows[:-1], rows[-1] | {"v": 1}])
    assert attempt(again, "revised") == (1,)
    assert value("SELECT count(*) FROM bar_revision WHERE ts = '2024-01-31Z' AND close = 4") == 1


NEXT = "https://api.polygon.io/v2/aggs/ticker/AAA/range/1/day/1/2?cursor=abc"


def test_a_yield_in_mid_pagination_commits_what_it_has_and_resumes_there() -> None:
    """Finished pages are stored and covered; the next try asks from there on, and burns none."""
    job = january()
    worker = Worker.of(job)
    one = worker.claim_one()
    rows = rows_of(one)
    first = fetch(one, lambda _: answer(rows[:10], next_url=NEXT), stopped=True)
    assert isinstance(first, Fetched)
    assert first.resume_from == day("2024-01-17")
    worker.finish(first)
    series = series_of(job)
    assert len(stored_days(series)) == 10
    assert loaded(series).ends.tolist() == [us("2024-01-17")]
    assert slice_states(job) == {"ready": 1}
    assert sql("SELECT frontier, ts FROM checkpoint") == [(day("2024-01-17"), day("2024-01-16"))]
    rest = worker.claim_one()
    assert (rest.start, rest.end, rest.tries) == (day("2024-01-17"), one.end, 0)
    asked: list[str] = []

    def respond(request: Request) -> Response:
        asked.append(request.url)
        return answer(rows[10:])

    worker.finish(fetch(rest, respond))
    (url,) = asked
    assert f"/{us('2024-01-17') // 1000 + MIDNIGHT_MS}/" in url
    assert len(stored_days(series)) == 21
    assert slice_states(job) == {"done": 1}
    assert [row[:3] for row in attempts_of(job)] == [("yielded", 1, 10), ("done", 1, 11)]
    assert sql("SELECT frontier, ts FROM checkpoint") == [(one.end, day("2024-01-31"))]


def test_pages_are_one_answer() -> None:
    """Rows of all pages are judged together; a refused row is found on its page."""
    job = january()
    worker = Worker.of(job)
    one = worker.claim_one()
    rows = rows_of(one)
    rows[14] = rows[14] | BREAK["ohlc"]
    pages = iter([answer(rows[:10], next_url=NEXT), answer(rows[10:])])
    got = fetch(one, lambda _: next(pages))
    assert isinstance(got, Fetched)
    assert (got.tally.pages, got.tally.requests, got.rows_in) == (2, 2, 21)
    worker.finish(got)
    assert quarantined() == [(date_of(rows[14]), "ohlc", rows[14])]
    assert attempt(job, "pages, requests, rows_in") == (2, 2, 21)


def test_a_page_that_cannot_be_read_keeps_nothing_of_the_answer() -> None:
    """Half a document is an error, never an empty answer: nothing becomes missing."""
    job = january()
    worker = Worker.of(job)
    one = worker.claim_one()
    whole = answer(rows_of(one))
    half = Response(200, {}, whole.body[: len(whole.body) // 2], NOW)
    got = fetch(one, lambda _: half)
    assert isinstance(got, Failed)
    fail_slice(got, account_id=worker.account_id, executor_id=worker.id)
    for table in ("bar", "coverage", "missing_session"):
        assert value(f"SELECT count(*) FROM {table}") == 0
