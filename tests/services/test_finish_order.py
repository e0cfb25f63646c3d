"""Slices end in any order, one by one or in batches, and leave the same coverage behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from django.db import transaction

from ingestion.calendars import expectation_for
from ingestion.domain.coverage import Ranges
from ingestion.domain.windows import from_us, to_us
from ingestion.services.fetch_slice import Fetched
from ingestion.services.settle_job import settle_job
from ingestion.store.claim import Claimed
from ingestion.store.series import load_facts
from providers.bars import Bars
from providers.types import Timeframe
from tests.protocol.scene import (
    Worker,
    day,
    fetched,
    loaded,
    open_queued,
    open_running,
    series_of,
    sql,
    truth,
    us,
    value,
)

pytestmark = pytest.mark.django_db

Batches = Sequence[Sequence[Fetched]]


@dataclass(frozen=True)
class Aftermath:
    """Hold what a job left of one series: exact coverage, and the fate of every session."""

    settled: Ranges
    sessions: dict[str, str]
    missing: list[tuple[Any, ...]]
    checkpoint: list[tuple[Any, ...]]
    outcome: str


def aftermath(job_id: int) -> Aftermath:
    """Settle a job and read what it left."""
    series_id = series_of(job_id)
    explained: dict[str, Ranges] = {}
    for reason, start, end in sql(
        'SELECT reason, lower("window"), upper("window") FROM empty_proof'
    ):
        one = Ranges.of([(to_us(start), to_us(end))])
        explained[reason] = explained.get(reason, Ranges.empty()).union(one)
    have = loaded(series_id)
    fates: dict[str, str] = {}
    facts = load_facts([series_id])[series_id]
    units = expectation_for(
        venue=facts.venue, timeframe=facts.timeframe, hours=facts.hours, anchor=facts.anchor
    ).units_between(us("2024-01-01"), us("2024-04-01"))
    for start, end in zip(units.starts.tolist(), units.ends.tolist(), strict=True):
        reasons = [reason for reason, ranges in explained.items() if ranges.covers(start, end)]
        fates[f"{from_us(start):%m-%d}"] = (
            "loaded" if have.covers(start, end) else "/".join(reasons) or "unknown"
        )
    everything = have
    for ranges in explained.values():
        everything = everything.union(ranges)
    settle_job(job_id)
    return Aftermath(
        settled=everything,
        sessions=fates,
        missing=sql('SELECT "window", looks FROM missing_session ORDER BY "window"'),
        checkpoint=sql("SELECT frontier, ts, sequence FROM checkpoint WHERE job_id = %s", job_id),
        outcome=value("SELECT outcome FROM job WHERE id = %s", job_id),
    )


def orders(answers: Sequence[Fetched]) -> Iterator[Batches]:
    """Yield every order one by one, and every order in two batches."""
    for order in permutations(answers):
        yield [[one] for one in order]
        half = len(order) // 2
        yield [sorted(order[:half], key=_place), sorted(order[half:], key=_place)]
    yield [answers]


def _place(one: Fetched) -> int:
    return one.claimed.slice_id


def after_each_order(job_id: int, answer: Callable[[Claimed], Fetched]) -> Aftermath:
    """Finish the slices of a job in every order, see that nothing depends on it, return that."""
    worker = Worker.of(job_id)
    answers = [answer(one) for one in sorted(worker.claim(), key=lambda one: one.start)]
    assert len(answers) == 4
    seen: list[Aftermath] = []
    done: set[tuple[tuple[int, ...], ...]] = set()
    for batches in orders(answers):
        shape = tuple(tuple(_place(one) for one in batch) for batch in batches)
        if shape in done:
            continue
        done.add(shape)
        with transaction.atomic():
            for batch in batches:
                worker.finish(*batch)
            seen.append(aftermath(job_id))
            transaction.set_rollback(True)
        assert seen[-1] == seen[0], [[answers.index(one) + 1 for one in batch] for batch in batches]
    assert len(done) >= 24
    return seen[0]


def keeping(keep: Callable[[Bars], Any]) -> Callable[[Claimed], Fetched]:
    """Answer with some of the bars that there are."""

    def answer(claimed: Claimed) -> Fetched:
        bars = truth(claimed)
        return fetched(claimed, bars.take(np.asarray(keep(bars), np.bool_)))

    return answer


def since(date: str, *, without: Sequence[str] = ()) -> Callable[[Claimed], Fetched]:
    """Answer as for an instrument that trades since a date, but for some days."""
    gone = [us(one) for one in without]
    return keeping(lambda bars: (bars.ts >= us(date)) & ~np.isin(bars.ts, gone))


def four_slices(**request: Any) -> int:
    """Open a job of four slices of ten days each."""
    return open_running(start=day("2024-01-01"), end=day("2024-02-05"), **request)


def test_a_listing_in_the_third_slice() -> None:
    """Whatever ends first: not listed before the first bar, missing after it."""
    left = after_each_order(four_slices(), since("2024-01-18", without=["2024-01-24"]))
    fates = list(left.sessions.values())
    assert fates[:11] == ["not_listed"] * 11
    assert [row[1] for row in left.missing] == [1]
    assert left.sessions["01-24"] == "unknown"
    assert left.outcome == "partial"


def test_a_listing_in_the_first_slice() -> None:
    """Empty slices after the first bar are missing, whether they end before it or after it."""
    left = after_each_order(
        four_slices(),
        keeping(lambda bars: (bars.ts >= us("2024-01-04")) & (bars.ts < us("2024-01-09"))),
    )
    assert left.sessions["01-03"] == "not_listed"
    assert left.sessions["01-05"] == "loaded"
    assert {row[1] for row in left.missing} == {1}
    assert left.outcome == "partial"


def test_a_series_without_any_bar() -> None:
    """Nothing ever stored is missing, not unlisted."""
    left = after_each_order(four_slices(), keeping(lambda bars: bars.ts < 0))
    assert set(left.sessions.values()) == {"unknown"}
    assert len(left.missing) > 20


def test_a_known_listing_before_the_first_bar() -> None:
    """Between listing and first bar sessions are missing in every order."""
    open_queued()
    sql("UPDATE instrument SET listed_from = '2024-01-05'")
    job = open_running(start=day("2024-01-05"), end=day("2024-02-05"))
    left = after_each_order(job, since("2024-01-24"))
    assert "not_listed" not in left.sessions.values()
    assert len(left.missing) == 12


def test_a_proof_withdrawn_by_another_job() -> None:
    """A job that looks before what was proven not listed brings it back as missing."""
    late = open_running(start=day("2024-01-12"), end=day("2024-02-10"))
    Worker.of(late).work_off(since("2024-02-06"))
    assert value("SELECT count(*) FROM empty_proof WHERE reason = 'not_listed'") > 0
    job = open_running(start=day("2023-12-10"), end=day("2024-02-10"))
    left = after_each_order(job, keeping(lambda bars: bars.ts < us("2024-01-10")))
    assert "not_listed" not in left.sessions.values()
    assert {row[1] for row in left.missing} == {1}
    assert left.outcome == "partial"


def hourly(start: str, end: str) -> int:
    """Open a job of hours in slices that cut each session in two or more."""
    return open_running(
        timeframes=(Timeframe.H1,),
        start=day(start),
        end=day(end),
        slice_span=timedelta(hours=2),
    )


def test_a_quiet_part_of_a_session_with_bars() -> None:
    """A session cut by slices has traded if any of them brought a bar."""
    job = hourly("2024-01-10T14:00", "2024-01-10T21:00")
    left = after_each_order(job, keeping(lambda bars: bars.ts >= us("2024-01-10T19:00")))
    assert left.missing == []
    assert left.sessions["01-10"] == "loaded"


def test_a_cut_session_without_any_bar() -> None:
    """Silence in every part is missing in every part: no part excuses another."""
    job = hourly("2024-01-10T14:00", "2024-01-10T21:00")
    left = after_each_order(job, keeping(lambda bars: bars.ts < 0))
    assert len(left.missing) == 4
    assert left.outcome == "partial"


def test_a_listing_within_a_cut_session() -> None:
    """What lies before the first bar in its own session is silence of a session that traded."""
    job = hourly("2024-01-09T18:00", "2024-01-10T18:00")
    left = after_each_order(job, keeping(lambda bars: bars.ts >= us("2024-01-10T16:00")))
    assert left.missing == []
    assert left.outcome == "complete"
