"""The entry of the `mdc` command. Imports nothing heavy, so that `mdc --help` is quick.

Exit codes: 0 done, 1 failed or partial, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import os
import sys

import click

from mdc.cli.groups import Entry, LazyGroup
from mdc.cli.spoken import FAILED, INTERRUPTED, one_sentence

# A new command: one file, one line.
COMMANDS = {
    "up": Entry("mdc.cli.up:up", "Run everything on this machine until Ctrl-C."),
    "down": Entry("mdc.cli.down:down", "Stop what `mdc up` runs."),
    "status": Entry("mdc.cli.status:status", "Show what runs, where, and how often it restarted."),
    "doctor": Entry(
        "mdc.cli.doctor:doctor", "Check this machine and its settings; say what to do."
    ),
    "demo": Entry("mdc.cli.demo:demo", "See it all work on real prices, without any network."),
    "backfill": Entry("mdc.cli.backfill:backfill", "Fetch the history of symbols."),
    "update": Entry("mdc.cli.update:update", "Bring what is stored up to the last closed session."),
    "ensure": Entry("mdc.cli.ensure:ensure", "Say what is there, and have the rest fetched first."),
    "poll": Entry("mdc.cli.poll:poll", "Ask for the newest bars again and again."),
    "definition": Entry("mdc.cli.definition:definition", "Declare datasets that are to be kept."),
    "schedule": Entry("mdc.cli.schedule:schedule", "Let datasets be due by themselves."),
    "signal": Entry("mdc.cli.signal:signal", "Say that something happened; start who waits."),
    "freshness": Entry(
        "mdc.cli.freshness:freshness", "Show whether sessions were complete when promised."
    ),
    "kpi": Entry("mdc.cli.kpi:kpi", "Sum how well things went over a span of time."),
    "job": Entry("mdc.cli.job:job", "See jobs; start, pause, resume, cancel or retry them."),
    "reconcile": Entry(
        "mdc.cli.reconcile:reconcile", "Fetch what is stored once more; report what changed."
    ),
    "watchlist": Entry("mdc.cli.watchlist:watchlist", "Keep named lists of symbols."),
    "symbols": Entry(
        "mdc.cli.symbols:symbols", "Look symbols up; say what they are and how providers call them."
    ),
    "state": Entry("mdc.cli.state:state", "Show how far each series has come; reset it."),
    "import": Entry("mdc.cli.import_bars:import_", "Adopt a folder of files or a table of bars."),
    "files": Entry("mdc.cli.files:files", "Declare folders of CSV and Parquet as providers."),
    "calendar": Entry(
        "mdc.cli.calendar:calendar", "See when venues trade; declare what calendars do not know."
    ),
    "coverage": Entry("mdc.cli.coverage:coverage", "Show what is stored and where gaps are."),
    "inspect": Entry("mdc.cli.inspect:inspect", "Look at what is stored with every check, now."),
    "findings": Entry("mdc.cli.findings:findings", "See what looks wrong; repair or accept it."),
    "actions": Entry("mdc.cli.actions:actions", "See and state splits and dividends."),
    "export": Entry("mdc.cli.export:export", "Write stored bars: CSV, JSON, Parquet, Arrow."),
    "diff": Entry("mdc.cli.diff:diff", "Show how stored bars changed between two times."),
    "target": Entry("mdc.cli.target:target", "Deliver bars elsewhere too: lake, bus, webhook."),
    "simulate": Entry("mdc.cli.simulate:simulate", "Serve real prices as a local provider."),
    "tick": Entry("mdc.cli.tick:tick", "Run one round of housekeeping by hand."),
}

# Errors whose message is the whole answer: known by name, so that nothing is loaded for them.
_SPOKEN = {
    "mdc.environment:BadSetting",
    "mdc.stack.errors:StackError",
    "providers.errors:ProviderError",
}
_DATABASE = {"django.db.utils:OperationalError", "psycopg:OperationalError"}
_BROKER = {"kombu.exceptions:OperationalError"}


@click.group(
    cls=LazyGroup, table=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(package_name="mdc")
def cli() -> None:
    """Keep market data complete, fresh and free of duplicates in your own PostgreSQL."""


def _names(error: BaseException) -> set[str]:
    return {f"{kind.__module__}:{kind.__qualname__}" for kind in type(error).__mro__}


def spoken(error: Exception) -> str | None:
    """Return the sentence that answers an error, or None when it is a fault of ours."""
    names = _names(error)
    if names & _SPOKEN:
        return str(error)
    if names & _DATABASE:
        reason = " ".join(str(error).split())
        return (
            f"PostgreSQL does not answer: {reason}. Start the stack with `mdc up`, "
            "or set MDC_DATABASE_URL; `mdc doctor` checks both."
        )
    if names & _BROKER:
        return (
            "The broker does not answer. Start the stack with `mdc up`, or set MDC_BROKER_URL; "
            "`mdc doctor` checks both."
        )
    return None


def main() -> None:
    """Run the command line and exit with its code."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mdc.settings")
    try:
        code = cli.main(prog_name="mdc", standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(INTERRUPTED)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.UsageError as error:
        spoken_usage = one_sentence(error)
        spoken_usage.show()
        sys.exit(spoken_usage.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except Exception as error:
        sentence = spoken(error)
        if sentence is None:
            raise
        click.echo(f"mdc: {sentence}", err=True)
        sys.exit(FAILED)
    # Without its standalone mode click returns what a command handed to `ctx.exit`.
    sys.exit(code if isinstance(code, int) else 0)
