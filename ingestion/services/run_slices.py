"""Work on an account's slices for a while: claim, fetch in threads, commit in batches.

Four kinds of thread share the work, each with its own connection or none: this one claims, the
pool fetches and validates, the committer writes, the heart beats. What a commit takes in time
lets the next batch grow, so small slices share transactions by themselves.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction

from ingestion.domain.windows import from_us
from ingestion.services.commit_results import Committer
from ingestion.services.fetch_slice import (
    Access,
    Failed,
    Fetched,
    QualityRules,
    Yielded,
    fetch_slice,
)
from ingestion.services.find_overlaps import find_overlaps
from ingestion.services.heart import Heart
from ingestion.services.permits import PermitDesk, permit_at
from ingestion.store import budgets, leases
from ingestion.store.claim import Claim, Claimed, claim
from ingestion.store.clock import read_clock
from ingestion.store.crashpoints import crash_point
from ingestion.store.series import SeriesFacts, load_facts

# A run without anything to do ends; the next hint starts another.
IDLE_SECONDS = 2.0
# How long a run waits at its end for requests that are still out.
PARTING_SECONDS = 5.0
_CLAIM_PAUSE = 0.05


@dataclass(frozen=True, slots=True)
class Executor:
    """Name a worker process, as it is known to PostgreSQL."""

    id: UUID
    host: str
    pid: int
    born: float | None = None


@dataclass(frozen=True, slots=True)
class RunReport:
    """Count what one run did; its text is the line that Flower shows."""

    provider: str
    slices: int
    rows: int
    inserted: int
    failed: int
    fenced: int
    seconds: float

    def __str__(self) -> str:
        return (
            f"{self.provider}: {self.slices} slices, {self.rows} rows, {self.inserted} new,"
            f" {self.failed} failed, {self.fenced} fenced in {self.seconds:.1f} s"
        )


@dataclass(frozen=True, slots=True)
class RunLimits:
    """Bound one run: how long it may take, and which share of the account's slots it may use."""

    seconds: float = 25.0
    processes: int = 2


def run_slices(
    *,
    account_id: int,
    executor: Executor,
    access: Access,
    rules: QualityRules,
    limits: RunLimits,
) -> RunReport | None:
    """Work until the time is over, nothing is due, or the process shall drain.

    Returns None where the account has no free fetch slot.
    """
    begun = time.monotonic()
    leases.register_executor(
        executor_id=executor.id, host=executor.host, pid=executor.pid, born=executor.born
    )
    with transaction.atomic():
        gate = budgets.lock_account(account_id)
        share = -(-gate.max_in_flight // limits.processes)
        opened = leases.open_run(executor_id=executor.id, account_id=account_id, share=share)
    if opened is None:
        return None
    crash_point("run.after_open")
    run_id, slots = opened
    # Whatever fails, everything is closed: a heart left beating would hold the slots for ever.
    with ExitStack() as closing:
        closing.callback(_close_run, run_id)
        heart = Heart(
            executor_id=executor.id,
            run_id=run_id,
            account_id=account_id,
            processes=limits.processes,
        )
        closing.callback(heart.close)
        committer = Committer(account_id=account_id, executor_id=executor.id, heart=heart)
        closing.callback(committer.close)
        permits = PermitDesk(account_id)
        closing.callback(permits.close)
        run = _Run(account_id, executor.id, access, rules, slots, heart, permits, committer)
        run.work(until=begun + limits.seconds)
    return RunReport(
        provider=access.adapter.name,
        slices=committer.slices,
        rows=committer.rows,
        inserted=committer.inserted,
        failed=committer.failed,
        fenced=committer.fenced,
        seconds=time.monotonic() - begun,
    )


def _close_run(run_id: int) -> None:
    crash_point("run.before_close")
    leases.close_run(run_id)


class _Run:
    """Keep the pool busy with claimed slices and pass results on to the committer."""

    def __init__(
        self,
        account_id: int,
        executor_id: UUID,
        access: Access,
        rules: QualityRules,
        slots: int,
        heart: Heart,
        permits: PermitDesk,
        committer: Committer,
    ) -> None:
        self._account_id = account_id
        self._executor_id = executor_id
        self._access = access
        self._rules = rules
        self._slots = slots
        self._heart = heart
        self._permits = permits
        self._committer = committer
        self._pool = ThreadPoolExecutor(max_workers=slots, thread_name_prefix="fetch")
        self._out: dict[Future[Fetched | Failed | Yielded], Claimed] = {}
        self._facts: dict[int, SeriesFacts] = {}
        self._claim_at = 0.0
        self._alone = False

    def work(self, *, until: float) -> None:
        """Claim and collect until it is time to part, then give back what is still out."""
        busy_at = time.monotonic()
        try:
            while not self._leaving(until):
                self._committer.check()
                now = time.monotonic()
                if self._may_claim(now) and self._claim():
                    busy_at = now
                if self._out or self._committer.backlog:
                    busy_at = time.monotonic()
                elif now - busy_at > IDLE_SECONDS:
                    break
                self._collect(timeout=self._pause())
        finally:
            self._part()

    def _leaving(self, until: float) -> bool:
        orders = self._heart.orders
        return time.monotonic() >= until or orders.drain or orders.others_starve

    def _may_claim(self, now: float) -> bool:
        if self._alone and (self._out or self._committer.backlog):
            return False
        return now >= self._claim_at and len(self._out) < self._slots and self._committer.has_room

    def _claim(self) -> bool:
        """Claim for the free slots; return whether anything came."""
        idle = not self._out and not self._committer.backlog
        got = claim(
            account_id=self._account_id,
            executor_id=self._executor_id,
            k=self._slots - len(self._out),
            idle=idle,
        )
        crash_point("claim.after_commit")
        self._alone = got.suspects_waiting or any(one.suspect for one in got.slices)
        full = len(got.slices) == self._slots - len(self._out)
        self._claim_at = time.monotonic() + (0.0 if full else max(got.wait, _CLAIM_PAUSE))
        self._begin(got)
        return bool(got.slices)

    def _begin(self, got: Claim) -> None:
        self._heart.take(got.slices)
        self._committer.skip([one for one in got.slices if one.covered])
        todo = [one for one in got.slices if not one.covered]
        if not todo:
            return
        unknown = {one.series_id for one in todo} - self._facts.keys()
        if unknown:
            self._facts.update(load_facts(unknown))
        clock = read_clock()
        asked = find_overlaps(
            todo, self._facts, adapter=self._access.adapter, now=from_us(clock.now_us)
        )
        for one in todo:
            future = self._pool.submit(
                fetch_slice,
                one,
                self._facts[one.series_id],
                access=self._access,
                permits=self._permits,
                rules=self._rules,
                permit=permit_at(one.send_us, clock=clock),
                stopped=self._heart.is_stopped,
                asked=asked.get(one.slice_id),
            )
            self._out[future] = one

    def _pause(self) -> float:
        """Return how long to wait for a result before there is something else to do."""
        ahead = self._claim_at - time.monotonic()
        if len(self._out) >= self._slots or not self._committer.has_room:
            return 0.25
        return min(max(ahead, 0.002), 0.25)

    def _collect(self, *, timeout: float) -> None:
        if not self._out:
            threading.Event().wait(timeout)
            return
        done, _ = wait(self._out, timeout=timeout, return_when=FIRST_COMPLETED)
        for future in done:
            del self._out[future]
            self._committer.add(future.result())

    def _part(self) -> None:
        """Wait a little for what is out, then give the rest back; late answers are fenced."""
        self._permits.stop()
        deadline = time.monotonic() + PARTING_SECONDS
        while self._out and time.monotonic() < deadline:
            self._collect(timeout=0.1)
        for one in self._out.values():
            self._committer.add(self._untouched(one))
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _untouched(self, one: Claimed) -> Yielded:
        return Yielded.of(one, self._facts[one.series_id])
