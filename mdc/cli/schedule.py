"""`mdc schedule`: when definitions are due, and what became of each due time."""

from __future__ import annotations

from typing import Final

import click

from mdc.cli.groups import Entry, LazyGroup

COMMANDS: Final = {
    "list": Entry("mdc.cli.schedule_list:list_", "List schedules and when they are due next."),
    "show": Entry("mdc.cli.schedule_show:show", "Show one: rule, policies, next and last slots."),
    "next": Entry("mdc.cli.schedule_show:next_", "Say when it is due next, and why then."),
    "add": Entry("mdc.cli.schedule_add:add", "Let a definition be due by a rule."),
    "pause": Entry(
        "mdc.cli.schedule_acts:pause", "Let nothing fire; record what is due as paused."
    ),
    "resume": Entry("mdc.cli.schedule_acts:resume", "Let it fire again."),
    "trigger": Entry("mdc.cli.schedule_acts:trigger", "Fire it once, now."),
    "remove": Entry("mdc.cli.schedule_acts:remove", "Forget a schedule and its slots."),
}


@click.group(cls=LazyGroup, table=COMMANDS)
def schedule() -> None:
    """Let definitions be due by themselves: by the clock, by a venue's sessions, by signals.

    Each due time is recorded once, with what became of it.
    """
