"""Whatever people, workers and deaths do in whatever order, the promises of a job hold."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ingestion.domain.coverage import Ranges
from ingestion.domain.errors import JobNotReplayable
from ingestion.domain.states import (
    TRANSITIONS,
    Desired,
    ForbiddenTransition,
    JobKind,
    JobState,
    Outcome,
)
from ingestion.domain.windows import Window, from_us, to_us
from ingestion.services.cancel_job import cancel_job
from ingestion.services.fail_slices import fail_slice, give_back
from ingestion.services.fetch_slice import Tally, Yielded
from ingestion.services.open_job import open_job
from ingestion.services.pause_job import pause_job
from ingestion.services.plan_job import plan_job
from ingestion.services.reap_leases import reap_leases
from ingestion.services.resume_job import resume_job
from ingestion.services.retry_failed import retry_failed
from ingestion.services.settle_job import settle_job
from ingestion.services.start_job import start_job
from ingestion.services.tick import tick
from ingestion.store.claim import Claimed
from ingestion.store.series import load_facts
from providers.errors import AuthError, PermanentError, ProviderError, ThrottledError
from providers.errors import TransientError as Transient
from tests.protocol.scene import (
    NOW,
    TESTER,
    Worker,
    account_of,
    ask,
    day,
    failed,
    fetched,
    loaded,
    sql,
    truth,
    truth_between,
    value,
)

SYMBOLS = ("AAA", "BBB")
SESSIONS = ("2024-01-08", "2024-01-16", "2024-01-17", "2024-01-30")
WINDOW = Window(day("2024-01-02"), day("2024-02-10"))


class Jobs(RuleBasedStateMachine):
    """Drive jobs over two shared series, in one transaction that is rolled back at the end."""

    jobs = Bundle("jobs")
    leases = Bundle("leases")

    def __init__(self) -> None:
        super().__init__()
        self.frame = transaction.atomic()
        self.frame.__enter__()
        self.workers: list[Worker] = []

    def teardown(self) -> None:
        """Forget everything."""
        transaction.set_rollback(True)
        self.frame.__exit__(None, None, None)

    @initialize()
    def prepare(self) -> None:
        """Make the account and two workers on it."""
        opened = open_job(ask(*SYMBOLS), now=NOW, actor=TESTER, draft=True)
        cancel_job(opened.job_id, actor=TESTER)
        self.workers = [Worker(account_of(opened.job_id)) for _ in range(2)]

    @precondition(lambda self: value("SELECT count(*) FROM job WHERE ended_at IS NULL") < 4)
    @rule(
        target=jobs,
        symbols=st.sampled_from([("AAA",), ("BBB",), SYMBOLS]),
        first=st.integers(0, 20),
        length=st.integers(1, 20),
        span=st.sampled_from([2, 5, 10]),
        kind=st.sampled_from([JobKind.BACKFILL, JobKind.BACKFILL, JobKind.RECONCILE]),
        draft=st.sampled_from([False, False, False, True]),
        plan=st.booleans(),
        tries=st.integers(1, 2),
        concurrency=st.sampled_from([1, 3, 50]),
    )
    def open(
        self,
        symbols: tuple[str, ...],
        first: int,
        length: int,
        span: int,
        kind: JobKind,
        draft: bool,
        plan: bool,
        tries: int,
        concurrency: int,
    ) -> int:
        """Open a job over some days, perhaps as a draft, perhaps planned at once."""
        start = WINDOW.start + timedelta(days=first)
        request = ask(
            *symbols,
            start=start,
            end=min(start + timedelta(days=length), WINDOW.end),
            slice_span=timedelta(days=span),
            kind=kind,
            tries=tries,
            max_concurrency=concurrency,
        )
        job = open_job(request, now=NOW, actor=TESTER, draft=draft).job_id
        if plan:
            plan_job(job)
        return job

    @rule(
        job=jobs,
        verb=st.sampled_from(
            [start_job] * 3 + [pause_job] * 2 + [resume_job] * 4 + [cancel_job] + [retry_failed] * 3
        ),
    )
    def act(self, job: int, verb: Callable[..., Any]) -> None:
        """Let a person act; what the job's state does not offer is refused and changes nothing."""
        before = self.row(job)
        try:
            verb(job, actor=TESTER)
        except (ForbiddenTransition, JobNotReplayable):
            assert self.row(job) == before

    @rule(job=jobs)
    def plan(self, job: int) -> None:
        """Plan one job."""
        plan_job(job)

    @rule(job=jobs, hung=st.booleans())
    def settle(self, job: int, hung: bool) -> None:
        """Settle one job, now or after the patience with hung requests is over."""
        if hung:
            sql("UPDATE job SET desired_at = desired_at - interval '1 min' WHERE id = %s", job)
        state = settle_job(job)
        held = value("SELECT count(*) FROM slice WHERE job_id = %s AND state = 'leased'", job)
        if hung and self.row(job)[1] != Desired.RUN:
            assert held == 0
            assert state.is_final or state in (JobState.PAUSED, JobState.DRAFT)

    @rule()
    def pass_a_second(self) -> None:
        """Let the tick do its sweeps, and plan what it hints at."""
        for job in tick(now=NOW, processes=2).plan:
            plan_job(job)

    @rule(target=leases, worker=st.integers(0, 1), k=st.integers(1, 4), idle=st.booleans())
    def claim(self, worker: int, k: int, idle: bool) -> Any:
        """Lease some slices; those that need no request are closed at once."""
        claimed = self.workers[worker].claim(k, idle=idle)
        for one in claimed:
            state, desired = self.row(one.job_id)[:2]
            assert (state, desired) == (JobState.RUNNING, Desired.RUN)
        covered = [one for one in claimed if one.covered]
        assert self.workers[worker].finish_covered(*covered) == len(covered)
        return multiple(*[(worker, one) for one in claimed if not one.covered])

    @rule(withheld=st.sets(st.sampled_from(SESSIONS), max_size=2), k=st.sampled_from([1, 4, 50]))
    def work(self, withheld: set[str], k: int) -> None:
        """Claim and answer, with nothing in between."""
        worker = self.workers[0]
        claimed = worker.claim(k)
        worker.finish_covered(*[one for one in claimed if one.covered])
        todo = [one for one in claimed if not one.covered]
        if todo:
            answers = [fetched(one, truth(one, without=withheld)) for one in todo]
            assert worker.finish(*answers).slices == len(todo)

    @rule(lease=consumes(leases), withheld=st.sets(st.sampled_from(SESSIONS), max_size=2))
    def finish(self, lease: tuple[int, Claimed], withheld: set[str]) -> None:
        """Answer a claim truly, but for some sessions that the provider does not have today."""
        worker, one = lease
        self.write(worker, one, fetched(one, truth(one, without=withheld)))

    @rule(lease=consumes(leases), part=st.floats(0.1, 0.9))
    def yield_midway(self, lease: tuple[int, Claimed], part: float) -> None:
        """Commit the first pages and give the rest back."""
        worker, one = lease
        days = int((one.end - one.start).days * part)
        if days:
            middle = one.start + timedelta(days=days)
            bars = truth_between(one.series_id, Window(one.start, middle))
            self.write(worker, one, fetched(one, bars, resume_from=middle))

    def write(self, worker: int, one: Claimed, answer: Any) -> None:
        """Commit an answer; one that is fenced writes nothing."""
        owned = sql("SELECT 1 FROM slice WHERE lease_token = %s", one.token)
        before = self.written()
        report = self.workers[worker].finish(answer)
        assert report.slices == len(owned)
        if not owned:
            assert self.written() == before

    def written(self) -> list[tuple[Any, ...]]:
        """Count everything that a finish may write."""
        return sql(
            "SELECT (SELECT count(*) FROM bar), (SELECT count(*) FROM bar_revision),"
            " (SELECT count(*) FROM attempt),"
            " (SELECT range_agg(l) FROM coverage, unnest(loaded) l),"
            " (SELECT count(*) FROM empty_proof), (SELECT sum(looks) FROM missing_session)"
        )

    @rule(
        lease=consumes(leases),
        kind=st.sampled_from([Transient, Transient, PermanentError, ThrottledError, AuthError]),
    )
    def fail(self, lease: tuple[int, Claimed], kind: type[ProviderError]) -> None:
        """Let a request fail; blocks and backoffs are not waited for."""
        worker, one = lease
        error = kind("no", provider="synthetic")
        fail_slice(
            failed(one, error),
            account_id=self.workers[worker].account_id,
            executor_id=self.workers[worker].id,
        )
        sql("UPDATE account SET blocked_until = NULL, circuit = 'closed'")
        sql("UPDATE slice SET next_attempt_at = clock_timestamp() WHERE state = 'ready'")

    @rule(lease=consumes(leases))
    def hand_back(self, lease: tuple[int, Claimed]) -> None:
        """Give a slice back untouched."""
        worker, one = lease
        facts = load_facts([one.series_id])[one.series_id]
        give_back(
            Yielded(one, facts, Tally(), seconds=0.0),
            account_id=self.workers[worker].account_id,
            executor_id=self.workers[worker].id,
        )

    @precondition(lambda self: value("SELECT count(*) FROM slice WHERE state = 'leased'") > 0)
    @rule(worker=st.integers(0, 1))
    def die(self, worker: int) -> None:
        """Let a worker die with all it holds; the reaper takes it back."""
        held = value(
            "WITH gone AS (UPDATE slice SET lease_until = clock_timestamp() - interval '1 second',"
            " begun_at = leased_at WHERE executor_id = %s AND state = 'leased' RETURNING 1)"
            " SELECT count(*) FROM gone",
            self.workers[worker].id,
        )
        assert reap_leases() == held

    @precondition(lambda self: self.workers)
    @invariant()
    def leases_belong_to_active_jobs(self) -> None:
        """Paused, ended and unborn jobs hold no lease."""
        assert sql(
            "SELECT j.id, j.state FROM slice s JOIN job j ON j.id = s.job_id"
            " WHERE s.state = 'leased' AND j.state NOT IN ('queued', 'running')"
        ) == []  # fmt: skip

    @invariant()
    def no_window_is_fetched_twice_at_once(self) -> None:
        """Leases of one series never overlap."""
        assert sql(
            "SELECT a.id, b.id FROM slice a JOIN slice b"
            " ON a.series_id = b.series_id AND a.id < b.id"
            ' WHERE a.state = \'leased\' AND b.state = \'leased\' AND a."window" && b."window"'
        ) == []  # fmt: skip

    @invariant()
    def completed_jobs_have_an_outcome(self) -> None:
        """An outcome stands exactly on completed jobs, and it tells of the dead."""
        for state, outcome, dead, open_ in sql(
            "SELECT j.state, j.outcome, count(*) FILTER (WHERE s.state = 'dead'),"
            " count(*) FILTER (WHERE s.state IN ('ready', 'leased'))"
            " FROM job j LEFT JOIN slice s ON s.job_id = j.id GROUP BY j.id"
        ):
            assert (state == JobState.COMPLETED) == (outcome is not None)
            if JobState(state).is_final:
                assert open_ == 0
            if state == JobState.COMPLETED and dead:
                assert outcome == Outcome.PARTIAL

    @invariant()
    def every_move_is_in_the_table_and_in_the_ledger(self) -> None:
        """The audit events of a job are a path through the transition table to where it stands."""
        paths: dict[str, list[tuple[str, str]]] = {}
        for job, old, new in sql(
            "SELECT object_id, before->>'state', after->>'state' FROM audit_event"
            " WHERE object_type = 'job' AND after ? 'state' ORDER BY id"
        ):
            paths.setdefault(job, []).append((old, new))
        for job, state in sql("SELECT id::text, state FROM job"):
            opening, *moves = paths[job]
            at = opening[1]
            assert opening[0] is None
            for old, new in moves:
                assert old == at
                assert JobState(new) in TRANSITIONS[JobState(old)]
                at = new
            assert at == state

    @invariant()
    def slices_of_a_plan_partition_what_was_wanted(self) -> None:
        """A job's slices of a series are disjoint and lie inside the window it was opened for."""
        assert sql(
            'SELECT a.id FROM slice a JOIN job j ON j.id = a.job_id LEFT JOIN slice b'
            " ON b.job_id = a.job_id AND b.series_id = a.series_id AND b.id <> a.id"
            ' AND a."window" && b."window"'
            ' WHERE b.id IS NOT NULL OR NOT a."window" <@ tstzrange('
            " (j.spec->>'start')::timestamptz, (j.spec->>'end')::timestamptz)"
        ) == []  # fmt: skip

    @invariant()
    def checkpoints_pass_no_open_slice(self) -> None:
        """Everything before a frontier was done when it was set; a replay may reopen dead ones."""
        assert sql(
            "SELECT c.job_id FROM checkpoint c JOIN slice s USING (job_id, series_id)"
            " WHERE s.state <> 'done' AND coalesce(s.resume_from, lower(s.\"window\")) < c.frontier"
        ) == []  # fmt: skip

    @invariant()
    def stored_bars_are_the_truth_of_what_is_covered(self) -> None:
        """Inside coverage every bar of the provider is stored, with its values, and no other."""
        if not self.workers:
            return
        for (series,) in sql("SELECT id FROM series ORDER BY id"):
            expected = truth_between(series, WINDOW)
            rows = sql("SELECT ts, close, volume FROM bar WHERE series_id = %s ORDER BY ts", series)
            stored = {to_us(ts): (close, volume) for ts, close, volume in rows}
            values = zip(expected.close.tolist(), expected.volume.tolist(), strict=True)
            real = dict(zip(expected.ts.tolist(), values, strict=True))
            covered = loaded(series)
            assert all(stored[ts] == real[ts] for ts in stored)
            inside = expected.ts[covered.contains(expected.ts)] if len(covered) else np.array([])
            assert all(int(ts) in stored for ts in inside)
            # What is stored was covered in the same transaction.
            assert all(covered.contains(ts) for ts in stored)

    @invariant()
    def nothing_is_both_loaded_and_missing(self) -> None:
        """Coverage, proofs and missing sessions do not contradict each other."""
        for (series,) in sql("SELECT id FROM series"):
            spans = sql(
                'SELECT lower("window"), upper("window") FROM missing_session WHERE series_id = %s',
                series,
            )
            gaps = Ranges.of((to_us(start), to_us(end)) for start, end in spans)
            assert len(gaps.intersect(loaded(series))) == 0, from_us(int(gaps.starts[0]))

    @invariant()
    def tries_are_bounded(self) -> None:
        """No slice that may still run has spent its tries."""
        assert sql(
            "SELECT s.id FROM slice s JOIN job j ON j.id = s.job_id"
            " WHERE s.state IN ('ready', 'leased') AND s.tries >= j.tries"
        ) == []  # fmt: skip

    def row(self, job: int) -> tuple[Any, ...]:
        """Return where a job stands and what was asked of it."""
        return sql("SELECT state, desired, outcome, planned FROM job WHERE id = %s", job)[0]


@pytest.mark.django_db
def test_jobs_keep_their_promises() -> None:
    """No order of verbs, answers, failures and deaths breaks an invariant."""
    run_state_machine_as_test(
        Jobs,
        settings=settings(
            max_examples=12,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert connection.in_atomic_block
