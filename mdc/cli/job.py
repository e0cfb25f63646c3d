"""`mdc job`: see jobs and act on them."""

from __future__ import annotations

from typing import Final

import click

from mdc.cli.groups import Entry, LazyGroup

COMMANDS: Final = {
    "list": Entry("mdc.cli.job_list:list_", "List jobs, newest first."),
    "show": Entry("mdc.cli.job_show:show", "Show one job, or follow it until it ends."),
    "start": Entry("mdc.cli.job_acts:start", "Start drafts."),
    "pause": Entry("mdc.cli.job_acts:pause", "Pause jobs at their next batch boundary."),
    "resume": Entry("mdc.cli.job_acts:resume", "Let jobs go on from their checkpoints."),
    "cancel": Entry("mdc.cli.job_acts:cancel", "End jobs unfinished; what is stored stays."),
    "priority": Entry("mdc.cli.job_acts:priority", "Let a job go before others, or after them."),
    "retry-failed": Entry("mdc.cli.job_acts:retry_failed_", "Try failed slices again."),
    "events": Entry("mdc.cli.job_events:events", "Show who did what to a job, and when."),
}


@click.group(cls=LazyGroup, table=COMMANDS)
def job() -> None:
    """See jobs, and start, pause, resume, cancel or retry them."""
