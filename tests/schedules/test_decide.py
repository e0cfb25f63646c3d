"""What becomes of due times is a pure function: whatever is asked, the ledger makes sense."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.domain.due import Due
from ingestion.domain.firing import (
    NO_JOBS,
    Decision,
    Fire,
    OpenJobs,
    Policy,
    Timing,
    come_due,
    decide,
)
from ingestion.domain.rules import Every
from ingestion.domain.schedules import Catchup, Disposition, Overlap

NOW = datetime(2024, 6, 3, 12, tzinfo=UTC)
D = Disposition

fires = st.lists(
    st.integers(min_value=0, max_value=7200), min_size=1, max_size=12, unique=True
).map(
    lambda ages: [
        Fire(Due(NOW - timedelta(seconds=age), None), NOW - timedelta(seconds=age))
        for age in sorted(ages, reverse=True)
    ]
)
policies = st.builds(
    Policy,
    overlap=st.sampled_from(Overlap),
    catchup=st.sampled_from(Catchup),
    max_lateness=st.none() | st.integers(1, 7200).map(lambda n: timedelta(seconds=n)),
    exclusions=st.sampled_from([(), ("2024-06-03",)]),
    paused=st.sampled_from(["", "", "paused by ada"]),
)
open_jobs = st.sampled_from([NO_JOBS, OpenJobs(last_job=7), OpenJobs(last_job=7, waiting_slot=3)])


@settings(max_examples=50)
@given(fires=fires, policy=policies, open_jobs=open_jobs, more=st.booleans())
def test_each_due_time_gets_one_disposition_that_fits(
    fires: list[Fire], policy: Policy, open_jobs: OpenJobs, more: bool
) -> None:
    decided = decide(fires, policy=policy, open_jobs=open_jobs, now=NOW, more=more)
    assert [one.due for one in decided] == [fire.due for fire in fires]
    kinds = [one.disposition for one in decided]
    if policy.paused:
        assert set(kinds) == {D.PAUSED}
        return
    if policy.exclusions:
        assert set(kinds) == {D.EXCLUDED}
        return
    for fire, one in zip(fires, decided, strict=True):
        if policy.max_lateness is not None and NOW - fire.at > policy.max_lateness:
            assert one.disposition is D.SKIPPED_LATE
    _assert_references_fit(decided)
    if policy.catchup is Catchup.LATEST:
        assert kinds.count(D.FIRED) <= (0 if more else 1)
    _assert_overlap_fits(decided, policy.overlap, open_jobs)


def _assert_references_fit(decided: list[Decision]) -> None:
    for one in decided:
        if one.into is not None:
            assert one.disposition is D.COALESCED
            assert decided[one.into].disposition is D.FIRED
        if one.after is not None:
            assert decided[one.after].disposition is D.FIRED
            assert decided[one.after].due.at < one.due.at


def _assert_overlap_fits(decided: list[Decision], overlap: Overlap, jobs: OpenJobs) -> None:
    fired = sum(one.disposition is D.FIRED for one in decided)
    waiting = sum(one.after is not None or one.after_job is not None for one in decided)
    most_fired = {Overlap.SKIP: 0 if jobs.last_job else 1}
    most_waiting = {Overlap.ALLOW_ALL: 0, Overlap.SKIP: 0}
    most_waiting[Overlap.BUFFER_ONE] = 0 if jobs.waiting_slot else 1
    assert fired <= most_fired.get(overlap, fired)
    assert waiting <= most_waiting.get(overlap, waiting)


@settings(max_examples=50)
@given(
    steps=st.lists(st.integers(1, 4000), min_size=1, max_size=12),
    jitter=st.none() | st.integers(1, 900).map(lambda n: timedelta(seconds=n)),
    limit=st.integers(1, 5),
)
def test_no_due_time_is_lost_or_met_twice_however_time_passes(
    steps: list[int], jitter: timedelta | None, limit: int
) -> None:
    """Rounds go on where the last one ended, with jitter and bounds too."""
    timing = Timing(5, Every(600), "UTC", jitter=jitter)
    moment, since, met = NOW, NOW, []
    for step in steps:
        moment += timedelta(seconds=step)
        while True:
            came = come_due(timing, sessions=None, since=since, now=moment, limit=limit)
            assert all(fire.due.at <= fire.at <= moment for fire in came.fires)
            met += [fire.due.at for fire in came.fires]
            since = came.ahead.due.at if came.ahead else moment + timedelta(microseconds=1)
            if not came.more:
                break
    expected = [NOW + timedelta(seconds=600 * n) for n in range(len(met))]
    assert met == expected
    following = NOW + timedelta(seconds=600 * len(met))
    assert following + (jitter or timedelta()) > moment
