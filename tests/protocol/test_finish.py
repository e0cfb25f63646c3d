"""A finish commits bars, coverage, proofs, checkpoint and attempt together, or nothing of it."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from ingestion.domain.states import JobKind
from ingestion.domain.windows import Window, from_us, to_us
from ingestion.services.fetch_slice import Fetched
from ingestion.services.validate_answer import Refused
from ingestion.store.checkpoints import advance
from providers.bars import Bars
from providers.types import Timeframe
from tests.protocol.scene import (
    Worker,
    attempts_of,
    day,
    fetched,
    loaded,
    missing,
    open_running,
    series_of,
    slice_states,
    sql,
    stored_days,
    the_slice,
    truth,
    truth_between,
    truthful,
    value,
    without_days,
)

pytestmark = pytest.mark.django_db


def checkpoint(job_id: int) -> tuple[str, str] | None:
    """Return frontier and last stamp of a job's one series, as dates."""
    rows = sql("SELECT frontier, ts FROM checkpoint WHERE job_id = %s", job_id)
    if not rows:
        return None
    ((frontier, ts),) = rows
    return f"{frontier:%Y-%m-%d}", f"{ts:%Y-%m-%d}" if ts else ""


def counts() -> dict[str, int]:
    """Count the rows of everything that a finish may write."""
    tables = ("bar", "bar_revision", "attempt", "quarantine", "checkpoint", "coverage")
    tables += ("empty_proof", "missing_session")
    return {table: value(f"SELECT count(*) FROM {table}") for table in tables}


def with_close(bars: Bars, date: str, close: float) -> Bars:
    """Return the bars with another close, and a high to fit, on one date."""
    row = bars.ts == to_us(day(date))
    assert row.any()
    columns = {name: getattr(bars, name).copy() for name in Bars.__slots__}
    columns["close"][row] = close
    columns["high"] = np.maximum(columns["high"], columns["close"])
    columns["low"] = np.minimum(columns["low"], columns["close"])
    return Bars(**columns)


def test_a_whole_job_stores_exactly_what_the_provider_has() -> None:
    """After all slices the stored bars equal the provider's, and the whole window is covered."""
    job = open_running("AAA")
    Worker.of(job).work_off()
    series = series_of(job)
    window = Window(day("2024-01-01"), day("2024-04-01"))
    expected = truth_between(series, window)
    rows = sql("SELECT ts, open, high, low, close, volume, final FROM bar ORDER BY ts")
    assert [to_us(row[0]) for row in rows] == expected.ts.tolist()
    for place, name in enumerate(("open", "high", "low", "close", "volume"), start=1):
        assert [row[place] for row in rows] == getattr(expected, name).tolist()
    assert all(row[6] for row in rows)
    assert loaded(series).covers(window.start_us, window.end_us)
    assert slice_states(job).keys() == {"done"}


def test_a_finish_writes_one_attempt_per_slice() -> None:
    """The ledger holds what each slice cost and brought, with the executor that did it."""
    job = open_running(end=day("2024-02-01"))
    worker = Worker.of(job)
    claimed = worker.claim()
    report = worker.finish(*[truthful(one) for one in claimed])
    rows = sql(
        "SELECT slice_id, n, executor_id, outcome, requests, rows_in, inserted, unchanged, revised"
        " FROM attempt ORDER BY slice_id"
    )
    assert [row[0] for row in rows] == sorted(one.slice_id for one in claimed)
    assert {row[1:5] for row in rows} == {(1, worker.id, "done", 1)}
    assert sum(row[5] for row in rows) == sum(row[6] for row in rows) == report.inserted == 21
    assert report.slices == len(claimed)
    assert {row[7:] for row in rows} == {(0, 0)}


def test_bars_name_the_attempt_that_brought_them() -> None:
    """Each bar carries the id of an attempt at the slice in whose window it lies."""
    job = open_running()
    Worker.of(job).work_off()
    assert value(
        "SELECT count(*) FROM bar b JOIN attempt a ON a.id = b.attempt_id"
        ' JOIN slice s ON s.id = a.slice_id WHERE b.ts <@ s."window" AND b.series_id = a.series_id'
    ) == value("SELECT count(*) FROM bar")


def test_a_fenced_finish_writes_nothing() -> None:
    """A slice whose lease was lost leaves no trace: no bar, no coverage, no attempt."""
    job = open_running(end=day("2024-01-11"))
    worker = Worker.of(job)
    one = worker.claim_one()
    before = counts()
    sql("UPDATE slice SET lease_token = gen_random_uuid() WHERE id = %s", one.slice_id)
    report = worker.finish(truthful(one))
    assert (report.slices, report.fenced, report.rows) == (0, 1, 0)
    assert counts() == before
    assert the_slice(one.slice_id, "state")[0] == "leased"


def test_a_fenced_slice_does_not_take_its_neighbours_with_it() -> None:
    """Of a batch only what is still owned is written."""
    job = open_running(end=day("2024-02-01"))
    worker = Worker.of(job)
    lost, *kept = worker.claim()
    sql("UPDATE slice SET lease_token = gen_random_uuid() WHERE id = %s", lost.slice_id)
    report = worker.finish(truthful(lost), *[truthful(one) for one in kept])
    assert (report.slices, report.fenced) == (len(kept), 1)
    assert value("SELECT min(ts) FROM bar") >= lost.end
    assert len(attempts_of(job)) == len(kept)


def test_an_answer_is_taken_once() -> None:
    """The same answer, committed a second time, is fenced by the token that is gone."""
    job = open_running(end=day("2024-01-11"))
    worker = Worker.of(job)
    answer = truthful(worker.claim_one())
    worker.finish(answer)
    before = counts()
    assert worker.finish(answer).fenced == 1
    assert counts() == before


def test_the_checkpoint_stops_at_the_first_slice_that_is_not_done() -> None:
    """The frontier moves over the contiguous prefix of done slices only, in any order of ends."""
    job = open_running(start=day("2024-01-02"), end=day("2024-02-10"))
    worker = Worker.of(job)
    first, second, third, *rest = sorted(worker.claim(), key=lambda one: one.start)
    worker.finish(truthful(third))
    assert checkpoint(job) == ("2024-01-02", "")
    worker.finish(truthful(first))
    assert checkpoint(job) == (
        f"{first.end:%Y-%m-%d}",
        stored_days(series_of(job))[len(truth(first)) - 1],
    )
    worker.finish(truthful(second))
    assert checkpoint(job)[0] == f"{third.end:%Y-%m-%d}"
    worker.finish(*[truthful(one) for one in rest])
    assert checkpoint(job) == ("2024-02-10", "2024-02-09")


def test_a_checkpoint_never_moves_back() -> None:
    """What was durable stays so, even if a slice of the prefix is opened again."""
    job = open_running(start=day("2024-01-02"), end=day("2024-02-10"))
    Worker.of(job).work_off()
    before = checkpoint(job)
    sql("UPDATE slice SET state = 'ready' WHERE id = (SELECT min(id) FROM slice)")
    advance([(job, series_of(job))])
    assert checkpoint(job) == before


def test_skipped_slices_move_the_checkpoint_too() -> None:
    """A slice that needed no request counts as done."""
    first = open_running("AAA")
    second = open_running("AAA")
    worker = Worker.of(first)
    worker.finish(*[truthful(one) for one in worker.claim()])
    worker.finish_covered(*worker.claim())
    assert checkpoint(second) is not None
    assert checkpoint(second)[0] == checkpoint(first)[0] == "2024-04-01"


def test_a_yield_commits_its_finished_pages_and_goes_on_behind_them() -> None:
    """What lies before `resume_from` is durable and covered; the rest is ready, no try is burnt."""
    job = open_running(start=day("2024-01-02"), end=day("2024-02-01"), slice_span=None)
    worker = Worker.of(job)
    one = worker.claim_one()
    middle = day("2024-01-16")
    pages = truth_between(one.series_id, Window(one.start, middle))
    worker.finish(fetched(one, pages, resume_from=middle))
    assert the_slice(one.slice_id, "state, resume_from, tries, lease_token") == (
        "ready",
        middle,
        0,
        None,
    )
    series = series_of(job)
    assert stored_days(series)[-1] < "2024-01-16"
    assert loaded(series).covers(to_us(one.start), to_us(middle))
    assert not loaded(series).contains(to_us(middle))
    assert checkpoint(job)[0] == "2024-01-16"
    again = worker.claim_one()
    assert (again.slice_id, again.start, again.end) == (one.slice_id, middle, one.end)
    worker.finish(truthful(again))
    assert stored_days(series) == [
        f"{from_us(ts):%Y-%m-%d}"
        for ts in truth_between(series, Window(one.start, one.end)).ts.tolist()
    ]
    assert [row[0] for row in attempts_of(job)] == ["yielded", "done"]


def test_silence_counts_no_further_than_the_answer_is_proven() -> None:
    """A truncated answer covers up to where it broke off; the rest of the window stays open."""
    job = open_running(start=day("2024-01-02"), end=day("2024-02-01"), slice_span=None)
    worker = Worker.of(job)
    one = worker.claim_one()
    until = day("2024-01-17")
    part = truth_between(one.series_id, Window(one.start, until))
    worker.finish(fetched(one, part, proven_until=until))
    found = loaded(one.series_id)
    assert found.covers(to_us(one.start), to_us(until))
    assert not found.contains(to_us(until))
    assert missing(one.series_id) == {}


def test_minutes_without_trade_in_a_session_with_bars_are_covered() -> None:
    """Of a session that has bars, silence means no trade: it is covered like the rest."""
    job = open_running(timeframes=(Timeframe.M30,), start=day("2024-01-02"), end=day("2024-01-04"))
    worker = Worker.of(job)
    one = worker.claim_one()
    bars = truth(one)
    worker.finish(fetched(one, bars.take(np.arange(len(bars)) % 4 == 0)))
    assert loaded(one.series_id).covers(to_us(one.start), to_us(one.end))
    assert missing(one.series_id) == {}


def test_a_session_without_any_bar_is_not_covered() -> None:
    """An expected session without bars stays out of coverage and is noted as missing."""
    job = open_running(start=day("2024-01-02"), end=day("2024-01-11"))
    worker = Worker.of(job)
    for one in worker.claim():
        worker.finish(fetched(one, truth(one, without=["2024-01-04"])))
    series = series_of(job)
    assert missing(series) == {"2024-01-04": 1}
    assert not loaded(series).contains(to_us(day("2024-01-04")))
    assert loaded(series).covers(to_us(day("2024-01-02")), to_us(day("2024-01-04")))
    assert loaded(series).covers(to_us(day("2024-01-05")), to_us(day("2024-01-11")))


def test_refused_rows_go_to_the_quarantine_as_they_came() -> None:
    """A refused row is kept raw with its reason, its series and the attempt that met it."""
    job = open_running(start=day("2024-01-02"), end=day("2024-01-11"))
    worker = Worker.of(job)
    one = min(worker.claim(), key=lambda one: one.start)
    raw = {"t": 1, "o": "abc", "h": [1, None]}
    refused = [
        Refused(ts_us=to_us(one.start), reason="ohlc", raw=raw),
        Refused(ts_us=None, reason="bad_stamp", raw=[1, 2]),
    ]
    worker.finish(fetched(one, truth(one), refused=refused))
    rows = sql(
        "SELECT q.series_id, q.ts, q.reason, q.raw::text, a.quarantined, a.slice_id"
        " FROM quarantine q JOIN attempt a ON a.id = q.attempt_id ORDER BY q.id"
    )
    assert [row[:3] for row in rows] == [
        (one.series_id, one.start, "ohlc"),
        (one.series_id, None, "bad_stamp"),
    ]
    assert [row[3] for row in rows] == ['{"h": [1, null], "o": "abc", "t": 1}', "[1, 2]"]
    assert {row[4:] for row in rows} == {(2, one.slice_id)}


def test_a_row_that_holds_what_postgresql_cannot_is_kept_all_the_same() -> None:
    """A NUL, half a surrogate pair or a number beyond all bounds does not stop the good rows."""
    job = open_running(start=day("2024-01-02"), end=day("2024-01-11"))
    worker = Worker.of(job)
    one = worker.claim_one()
    raw = {"nul\x00": "a\x00b", "half": "\ud800", "huge": 10**30, "nan": float("nan"), 5: b"\xff"}
    worker.finish(fetched(one, truth(one), refused=[Refused(None, "bad_stamp", raw)]))
    assert value("SELECT count(*) FROM quarantine") == 1
    assert the_slice(one.slice_id, "state")[0] == "done"


def test_a_reconciliation_counts_what_it_found() -> None:
    """Unchanged, revised and vanished bars are told apart; the old version is kept."""
    job = open_running(start=day("2024-01-02"), end=day("2024-02-01"), slice_span=None)
    Worker.of(job).work_off()
    series = series_of(job)
    again = open_running(
        start=day("2024-01-02"),
        end=day("2024-02-01"),
        slice_span=None,
        kind=JobKind.RECONCILE,
    )
    one = Worker.of(again).claim_one()
    bars = with_close(truth(one, without=["2024-01-10"]), "2024-01-17", 1234.5)
    Worker.of(again).finish(fetched(one, bars))
    assert sql(
        "SELECT inserted, unchanged, revised, vanished FROM attempt WHERE job_id = %s", again
    ) == [(0, len(bars) - 1, 1, 1)]
    assert value("SELECT close FROM bar WHERE ts = '2024-01-17Z'") == 1234.5
    assert value("SELECT count(*) FROM bar_revision") == 1
    assert "2024-01-10" in stored_days(series)
    assert missing(series) == {}


def test_a_batch_of_many_series_is_one_transaction() -> None:
    """Slices of several series and jobs are committed together."""
    jobs = [open_running(name, f"{name}X", end=day("2024-02-01")) for name in ("AAA", "BBB")]
    worker = Worker.of(jobs[0])
    claimed = worker.claim()
    worker.finish(*[truthful(one) for one in claimed])
    assert value("SELECT count(DISTINCT xmin::text) FROM attempt") == 1
    assert value("SELECT count(DISTINCT series_id) FROM bar") == 4
    assert [slice_states(job).keys() for job in jobs] == [{"done"}, {"done"}]


def test_forming_bars_are_replaced_without_a_revision_until_they_are_final() -> None:
    """A bar that is not over changes in place; its final version has no superseded one."""
    job = open_running(start=day("2024-01-02"), end=day("2024-01-11"), slice_span=None)
    worker = Worker.of(job)
    one = worker.claim_one()

    def forming(answer: Fetched, close: float, *, final: bool) -> Bars:
        bars = with_close(answer.bars, "2024-01-10", close)
        is_final = np.ones(len(bars), np.bool_)
        is_final[-1] = final
        return Bars(**{n: getattr(bars, n) for n in Bars.__slots__ if n != "final"}, final=is_final)

    until = day("2024-01-10")
    worker.finish(fetched(one, forming(truthful(one), 77.0, final=False), proven_until=until))
    assert sql("SELECT close, final FROM bar WHERE ts = '2024-01-10Z'") == [(77.0, False)]
    assert not loaded(one.series_id).contains(to_us(until))
    for close, final in ((78.0, False), (79.0, True)):
        later = open_running(start=day("2024-01-02"), end=day("2024-01-11"), slice_span=None)
        (again,) = Worker.of(later).claim()
        assert again.start == until
        Worker.of(later).finish(
            fetched(
                again,
                forming(truthful(again), close, final=final),
                proven_until=None if final else until,
            )
        )
        assert sql("SELECT close, final FROM bar WHERE ts = '2024-01-10Z'") == [(close, final)]
    assert value("SELECT count(*) FROM bar_revision") == 0
    assert loaded(one.series_id).contains(to_us(until))


def test_slices_share_a_default_span_of_one_request_for_daily_bars() -> None:
    """Without a wish, ten years of daily bars are one slice of the synthetic provider."""
    job = open_running(start=day("2014-01-01"), end=day("2024-01-01"), slice_span=None)
    assert slice_states(job) == {"ready": 1}


def test_last_stamp_and_rows_are_kept_on_the_slice() -> None:
    """The slice remembers its last stored stamp and how many good rows it had."""
    job = open_running(
        start=day("2024-01-02"), end=day("2024-01-11"), slice_span=timedelta(days=30)
    )
    worker = Worker.of(job)
    one = worker.claim_one()
    worker.finish(fetched(one, without_days(truth(one), ["2024-01-10"])))
    assert the_slice(one.slice_id, "last_ts, rows") == (day("2024-01-09"), 6)
