"""Places at which a test may let a process die, one at each transaction boundary.

`MDC_CRASH_POINTS` names a folder; unset, nothing here does anything. Whoever passes a point
removes the folder's file of that name and dies as by kill -9: the one who removes it dies, those
who come later live. A file `<name>@<subject>` stays, and kills everybody who passes the point on
behalf of that subject: a slice that no worker survives.
"""

from __future__ import annotations

import os
import signal

from django.conf import settings

POINTS = frozenset(
    {
        # The worker's side. A run has taken its fetch slots, or is about to give them back.
        "run.after_open",
        "run.before_close",
        # Slices are leased and permits taken, together.
        "claim.before_commit",
        "claim.after_commit",
        # A further page has its permit.
        "permit.before_commit",
        "permit.after_commit",
        # The request is about to leave; its answer is here, whole, and nowhere else.
        "fetch.before_request",
        "fetch.after_response",
        # Bars; then coverage, checkpoint and attempts; then all of them for good.
        "finish.after_bars",
        "finish.before_commit",
        "finish.after_commit",
        # Slices of which nothing was wanted any more.
        "covered.before_commit",
        "covered.after_commit",
        # A try has failed and its slice goes back or dies.
        "fail.before_commit",
        "fail.after_commit",
        # A slice is given back untouched.
        "yield.before_commit",
        "yield.after_commit",
        # Leases are extended, the fetch slots not yet.
        "heartbeat.between",
        # The control side. Work is decided on, the hints are not sent.
        "tick.before_hints",
        "plan.before_commit",
        "plan.after_commit",
        "poll.before_commit",
        "poll.after_commit",
        "settle.before_commit",
        "settle.after_commit",
        # The dead of this host have lost their leases and slots; the reaper has not come yet.
        "bury.before_commit",
        "bury.after_commit",
        "reap.before_commit",
        "reap.after_commit",
        # Slots, jobs and next due times of a batch of schedules; then all of them for good.
        "fire.after_slots",
        "fire.before_commit",
        "fire.after_commit",
        # A fired job is given its series.
        "resolve.before_commit",
        "resolve.after_commit",
        # A batch is composed and named; it has arrived; its notes are gone.
        "deliver.after_begin",
        "deliver.before_end",
        "deliver.after_end",
    }
)


def crash_point(name: str, *, subject: str = "") -> None:
    """Die here if a test armed this point, or armed it for good against this subject."""
    folder = settings.CRASH_POINTS
    if not folder:
        return
    if not (subject and os.path.exists(os.path.join(folder, f"{name}@{subject}"))):
        try:
            os.unlink(os.path.join(folder, name))
        except FileNotFoundError:
            return
    os.kill(os.getpid(), signal.SIGKILL)
