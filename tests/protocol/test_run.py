"""A whole run in this process: claim, fetch over an edge of the test's own, commit in batches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import orjson
import pytest
from django.db import connection

from ingestion.domain.states import JobState
from ingestion.domain.windows import DAY_US
from ingestion.services.fetch_slice import QualityRules
from ingestion.services.pause_job import pause_job
from ingestion.services.run_slices import Executor, RunLimits, RunReport, run_slices
from ingestion.services.settle_job import settle_job
from ingestion.store.leases import open_run, register_executor
from providers.types import Request, Response
from tests.protocol.scene import (
    TESTER,
    RecordingEdge,
    access,
    account_of,
    attempts_of,
    day,
    loaded,
    missing,
    open_running,
    series_of,
    slice_states,
    sql,
    stored_days,
    us,
    value,
)

SPAN = {"start": day("2024-01-02"), "end": day("2024-02-01"), "provider": "polygon"}
# Daily bars of polygon are stamped by New York's midnight.
NEW_YORK = timedelta(hours=5)


@pytest.fixture(autouse=True)
def db(committing: None) -> None:
    """Commit for real: a run works over several connections."""


def row(date: str, **changes: Any) -> dict[str, Any]:
    """Make one daily bar as polygon sends it."""
    stamp = int((day(date) + NEW_YORK).timestamp() * 1000)
    return {"t": stamp, "o": 10.0, "h": 12.0, "l": 9.0, "c": 11.0, "v": 100.0, "n": 5} | changes


def rows(request: Request) -> list[dict[str, Any]]:
    """Make the bars of every weekday that a request asks for."""
    first, last = (int(part) for part in request.url.split("?")[0].split("/")[-2:])
    at = datetime.fromtimestamp(first / 1000, UTC) - NEW_YORK
    found = []
    while at.timestamp() * 1000 <= last - NEW_YORK.total_seconds() * 1000:
        if at.weekday() < 5 and f"{at:%m-%d}" not in ("01-01", "01-15"):
            found.append(row(f"{at:%Y-%m-%d}"))
        at += timedelta(days=1)
    return found


def reply(
    results: list[dict[str, Any]], *, status: int = 200, next_url: str | None = None
) -> Response:
    """Answer as polygon does."""
    body = {"status": "OK", "resultsCount": len(results), "queryCount": len(results)}
    body |= {"results": results, "adjusted": False}
    if next_url:
        body["next_url"] = next_url
    return Response(
        status=status, headers={}, body=orjson.dumps(body), received_at=datetime.now(UTC)
    )


def run(
    job: int, answer: Callable[[Request], Response], **rules: Any
) -> tuple[Counter[str], RecordingEdge]:
    """Run on a job's account, shortly and again, until nothing of it is due."""
    sql("DELETE FROM budget")  # the account's limits do not count here
    edge = RecordingEdge(answer)
    done: Counter[str] = Counter()
    for _ in range(100):
        report = run_once(job, edge, seconds=0.3, **rules)
        done.update(slices=report.slices, inserted=report.inserted)
        if not due():
            return done, edge
    raise AssertionError("there is always something due")


def run_once(job: int, edge: RecordingEdge, *, seconds: float, **rules: Any) -> RunReport:
    """Run for some seconds, or until there has been nothing to do for two."""
    report = run_slices(
        account_id=account_of(job),
        executor=Executor(id=uuid4(), host="here", pid=1),
        access=access(edge),
        rules=QualityRules(**rules),
        limits=RunLimits(seconds=seconds, processes=1),
    )
    assert report is not None
    return report


def due() -> int:
    """Count what may still be worked on now."""
    return int(
        value(
            "SELECT count(*) FROM slice s JOIN account a ON a.id = s.account_id"
            " WHERE s.state IN ('ready', 'leased') AND a.circuit = 'closed'"
        )
    )


def honest(request: Request) -> Response:
    """Answer with everything there is."""
    return reply(rows(request))


def test_a_run_fetches_every_slice_once_and_stores_it() -> None:
    """One request per slice, every bar stored, the slots given back, the leases gone."""
    job = open_running(**SPAN, slice_span=timedelta(days=7))
    report, edge = run(job, honest)
    assert settle_job(job) is JobState.COMPLETED
    assert value("SELECT outcome FROM job") == "complete"
    assert len(edge.requests) == slice_states(job)["done"] == report["slices"]
    assert len(stored_days(series_of(job))) == report["inserted"] == 21
    assert loaded(series_of(job)).covers(us("2024-01-02"), us("2024-02-01"))
    assert value("SELECT count(*) FROM fetch_run") == 0


def test_bad_rows_go_aside_and_the_good_ones_are_stored() -> None:
    """Two bad rows of 21 are quarantined as sent; their sessions are missing, the rest stored."""
    job = open_running(**SPAN, slice_span=None)

    def spoiled(request: Request) -> Response:
        found = rows(request)
        found[3] |= {"h": 1.0, "note": "odd\x00"}
        found[7] |= {"c": None}
        return reply(found)

    report, _ = run(job, spoiled)
    series = series_of(job)
    assert report["inserted"] == 19
    assert sql("SELECT reason, raw->>'note' FROM quarantine ORDER BY ts") == [
        ("ohlc", "odd\N{SYMBOL FOR NULL}"),
        ("missing_value", None),
    ]
    # Rows came and were refused: no look that found nothing.
    assert missing(series) == {"2024-01-05": 0, "2024-01-11": 0}
    assert attempts_of(job) == [("done", 1, 19, "")]


def test_a_batch_that_is_too_bad_stores_nothing_but_the_quarantine() -> None:
    """More than a fifth of bad rows fails the slice with a clear error; the rows are kept."""
    job = open_running(**SPAN, slice_span=None, tries=1)
    _, edge = run(job, lambda request: reply([one | {"h": 1.0} for one in rows(request)[:6]]
                                             + rows(request)[6:]))  # fmt: skip
    assert len(edge.requests) == 1
    assert settle_job(job) is JobState.FAILED
    ((error_class, error),) = sql("SELECT error_class, error FROM job")
    assert error_class == "BadBatch"
    assert "6 of 21 rows are bad (29%, at most 20% may be): ohlc 6" in error
    assert value("SELECT count(*) FROM quarantine") == 6
    assert value("SELECT count(*) FROM bar") == 0
    assert attempts_of(job) == [("dead", 1, 0, "BadBatch")]


def test_too_few_bars_fail_the_slice() -> None:
    """Fewer good bars than the configured minimum are not stored."""
    job = open_running(**SPAN, slice_span=None, tries=1)
    run(job, honest, minimum_bars=22)
    assert settle_job(job) is JobState.FAILED
    assert "only 21 good bars" in value("SELECT error FROM job")


def test_pages_are_joined_in_one_slice() -> None:
    """A slice of several pages is stored whole, with each request counted."""
    job = open_running(**SPAN, slice_span=None)
    sql("DELETE FROM budget")
    run_once(job, RecordingEdge(in_pages(10)), seconds=20)
    assert attempts_of(job) == [("done", 3, 21, "")]


def in_pages(size: int) -> Callable[[Request], Response]:
    """Answer with a few rows at a time, as the provider's cursor leads."""
    everything: list[dict[str, Any]] = []

    def page(request: Request) -> Response:
        nonlocal everything
        first = int(request.params.get("cursor", 0))
        if not first:
            everything = rows(request)
        path = "/v2/aggs/ticker/AAA/range/1/day/1/2"
        following = f"http://127.0.0.1:9{path}?cursor={first + size}"
        more = first + size < len(everything)
        return reply(everything[first : first + size], next_url=following if more else None)

    return page


def test_silence_on_a_later_page_keeps_the_earlier_ones() -> None:
    """Where the last page says that there is no more, what came before is stored."""
    job = open_running(**SPAN, slice_span=None)
    sql("DELETE FROM budget")
    pages = in_pages(10)

    def ending(request: Request) -> Response:
        if request.params.get("cursor") == "20":
            return reply([])
        return pages(request)

    run_once(job, RecordingEdge(ending), seconds=20)
    assert attempts_of(job) == [("done", 3, 20, "")]
    assert missing(series_of(job)) == {"2024-01-31": 1}


def test_a_pause_in_mid_pagination_keeps_the_finished_pages() -> None:
    """The run ends while pages are to come: what is complete is stored, the rest goes on later."""
    job = open_running(**SPAN, slice_span=None)
    sql("DELETE FROM budget")
    pages = in_pages(10)

    def blocked(request: Request) -> Response:
        answer = pages(request)
        if not request.params.get("cursor"):
            # From now on no permit is to be had for a while.
            sql("UPDATE account SET blocked_until = clock_timestamp() + interval '1 hour'")
            connection.close()
        return answer

    run_once(job, RecordingEdge(blocked), seconds=20)
    series = series_of(job)
    assert attempts_of(job) == [("yielded", 1, 10, "")]
    assert sql("SELECT state, tries, resume_from FROM slice") == [("ready", 0, day("2024-01-17"))]
    assert loaded(series).ends.tolist() == [us("2024-01-16") + DAY_US]
    pause_job(job, actor=TESTER)
    sql("UPDATE account SET blocked_until = NULL")
    sql("UPDATE job SET state = 'running', desired = 'run'")
    _, edge = run(job, honest)
    assert len(stored_days(series)) == 21
    assert [row[0] for row in attempts_of(job)] == ["yielded", "done"]
    assert len(edge.requests) == 1
    assert value("SELECT min(rows_in) FROM attempt") == 10


def test_one_culprit_does_not_hold_up_its_batch() -> None:
    """A slice that cannot be committed is found and failed alone; its neighbours are stored."""
    job = open_running(**SPAN, slice_span=timedelta(days=7), tries=1)
    sql(
        "CREATE FUNCTION refuse_culprit() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN IF NEW.close = 666 THEN RAISE EXCEPTION 'a culprit'; END IF; RETURN NEW; END $$"
    )
    sql(
        "CREATE TRIGGER culprit BEFORE INSERT ON bar FOR EACH ROW EXECUTE FUNCTION refuse_culprit()"
    )

    def guilty(request: Request) -> Response:
        found = rows(request)
        for one in found:
            if one["t"] == row("2024-01-17")["t"]:
                one |= {"c": 666.0, "h": 700.0}
        return reply(found)

    try:
        report, _ = run(job, guilty)
    finally:
        sql("DROP TRIGGER culprit ON bar")
        sql("DROP FUNCTION refuse_culprit")
    states = slice_states(job)
    assert states == {"dead": 1, "done": report["slices"]}
    (dead,) = sql("SELECT error FROM slice WHERE state = 'dead'")
    assert "a culprit" in dead[0]
    assert "2024-01-17" not in stored_days(series_of(job))
    assert value("SELECT detail->>'family' FROM attempt WHERE outcome = 'dead'") == "bug"
    assert settle_job(job) is JobState.COMPLETED
    assert value("SELECT outcome FROM job") == "partial"


@pytest.mark.parametrize(
    ("answer", "error_class", "state"),
    [
        (Response(401, {}, b"{}", datetime.now(UTC)), "AuthError", "ready"),
        (Response(403, {}, b"{}", datetime.now(UTC)), "EntitlementError", "ready"),
        (Response(404, {}, b'{"status":"NOT_FOUND"}', datetime.now(UTC)), "UnknownSymbol", "dead"),
        (Response(503, {}, b"", datetime.now(UTC)), "TransientError", "dead"),
        (Response(200, {}, b"<html>", datetime.now(UTC)), "PayloadError", "dead"),
        (Response(200, {}, b'{"status":"OK","resu', datetime.now(UTC)), "TransientError", "dead"),
    ],
)
def test_each_kind_of_answer_ends_where_it_should(
    answer: Response, error_class: str, state: str
) -> None:
    """Refused keys stop the account, nonsense and unknown symbols end the slice."""
    job = open_running(**SPAN, slice_span=None, tries=1)
    run(job, lambda request: answer)
    assert sql("SELECT error_class, state FROM slice") == [(error_class, state)]
    assert (value("SELECT circuit FROM account") == "open") is (state == "ready")
    assert value("SELECT count(*) FROM bar") == 0


def test_a_window_without_rows_is_no_error() -> None:
    """An empty answer is a fact: nothing stored, every session missing once."""
    job = open_running(**SPAN, slice_span=None)
    run(job, lambda request: reply([]))
    assert slice_states(job) == {"done": 1}
    assert len(missing(series_of(job))) == 21
    assert settle_job(job) is JobState.COMPLETED
    assert value("SELECT outcome FROM job") == "partial"


def test_the_second_run_finds_no_free_slot() -> None:
    """Each account leases its slots; where none is free a run does not begin."""
    job = open_running(**SPAN)
    sql("UPDATE account SET max_in_flight = 1")
    executor = Executor(id=uuid4(), host="here", pid=1)
    register_executor(executor_id=executor.id, host="here", pid=1)
    assert open_run(executor_id=executor.id, account_id=account_of(job), share=1)
    assert (
        run_slices(
            account_id=account_of(job),
            executor=executor,
            access=access(RecordingEdge(honest)),
            rules=QualityRules(),
            limits=RunLimits(seconds=1, processes=1),
        )
        is None
    )


def test_two_jobs_of_one_window_make_each_request_once() -> None:
    """The later job's slices are closed without a request."""
    jobs = [open_running(**SPAN, slice_span=timedelta(days=7)) for _ in range(3)]
    _, edge = run(jobs[0], honest)
    asked = [request.url for request in edge.requests]
    assert len(set(asked)) == len(asked) == slice_states(jobs[0])["done"]
    assert [slice_states(job).keys() for job in jobs] == [{"done"}] * 3
    skipped = value("SELECT count(*) FROM attempt WHERE outcome = 'skipped'")
    assert skipped == 2 * len(asked)
