"""Turn every expected error into one sentence and an exit code: 1 failed, 2 wrong usage."""

from __future__ import annotations

import shutil
from typing import Any

import click
import psycopg
from django.conf import settings
from django.db.utils import DatabaseError, InterfaceError, OperationalError, ProgrammingError

from ingestion.domain.errors import BadRequest, CalendarEnds, MdcError, StoreFull, StoreUnavailable
from ingestion.domain.retry import UnknownRetryClass
from ingestion.domain.states import ForbiddenTransition
from mdc.cli.spoken import FAILED, INTERRUPTED, WRONG_USAGE, Spoken, SpokenUsage
from mdc.cli.words import spread
from providers.errors import ProviderError, UnknownProvider, UnknownTimeframe, UnsupportedRequest

__all__ = [
    "FAILED",
    "INTERRUPTED",
    "WRONG_USAGE",
    "SpeakingCommand",
    "Spoken",
    "SpokenUsage",
    "speak",
]

# PostgreSQL cannot start without room for one more segment of its log (16 MiB).
_LEAST_FREE_BYTES = 32 * 1024 * 1024

# What a person typed cannot be meant, whatever the state of the world.
_USAGE = (
    BadRequest,
    CalendarEnds,
    UnknownProvider,
    UnknownRetryClass,
    UnknownTimeframe,
    UnsupportedRequest,
)
_FAILURES = (MdcError, ProviderError, ForbiddenTransition)
_DATABASE = (DatabaseError, InterfaceError, psycopg.Error)
# Known by name: their modules load numpy, which a listing has no use for.
_USAGE_BY_NAME = {
    "ingestion.domain.expectation:OutsideCalendar",
    "providers.venues:UnknownVenue",
}


class SpeakingCommand(click.Command):
    """Run a command, answering expected errors with a sentence instead of a traceback."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the words, lists of several words included."""
        return super().parse_args(ctx, spread(args, self.get_params(ctx)))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the callback."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.exceptions.Abort):
            raise
        except BrokenPipeError:
            # The reader has seen enough: click ends the command quietly.
            raise
        except OSError as error:
            # Only what was opened by name has one; standard output is written to without.
            what = f"use {error.filename}" if error.filename else "write standard output"
            raise Spoken(f"cannot {what}: {error.strerror or error}") from error
        except Exception as error:
            sentence = speak(error)
            if sentence is None:
                raise
            raise sentence from error


def speak(error: Exception) -> Spoken | None:
    """Return what to say of an expected error, or None when it is a fault of ours."""
    if isinstance(error, _USAGE) or _names(error) & _USAGE_BY_NAME:
        return SpokenUsage(_sentence(error))
    if isinstance(error, _DATABASE):
        return Spoken(_database_sentence(error))
    return Spoken(_sentence(error)) if isinstance(error, _FAILURES) else None


def _names(error: Exception) -> set[str]:
    return {f"{kind.__module__}:{kind.__qualname__}" for kind in type(error).__mro__}


def _sentence(error: Exception) -> str:
    # LookupError's own text would come out in quotes.
    return str(error.args[0]) if error.args else type(error).__name__


def _database_sentence(error: Exception) -> str:
    cause = error if isinstance(error, psycopg.Error) else error.__cause__
    if isinstance(cause, psycopg.errors.DiskFull):
        return StoreFull().message
    if isinstance(cause, psycopg.errors.UndefinedTable) or isinstance(error, ProgrammingError):
        return (
            "the database does not have mdc's tables; `mdc up` makes them, "
            "or `python manage.py migrate` on a server of your own"
        )
    reason = " ".join(str(error).split())
    if isinstance(error, OperationalError | InterfaceError | psycopg.OperationalError):
        if settings.OWN_DATABASE_URL:
            return f"{StoreUnavailable().message} ({reason})"
        # The embedded server goes down when its disk is full, and comes back when there is room.
        return (StoreFull() if _disk_is_full() else StoreUnavailable()).message
    return f"PostgreSQL refused: {reason}"


def _disk_is_full() -> bool:
    root = settings.MDC_HOME.root
    return root.exists() and shutil.disk_usage(root).free < _LEAST_FREE_BYTES
