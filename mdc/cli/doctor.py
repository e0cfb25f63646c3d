"""`mdc doctor`: find out why something would not work, before it does not."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path

import click
import django
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from rich.console import Console
from rich.table import Table

from ingestion import clock
from mdc.celery import app
from mdc.stack import postgres, valkey
from mdc.stack.errors import StackError
from mdc.stack.external import check_broker, check_database
from mdc.stack.identity import server_identity
from mdc.stack.lock import is_locked
from providers.registry import adapter_names

_LEAST_FREE_GIB = 1.0


@dataclass(frozen=True, slots=True)
class Finding:
    """State the outcome of one check: `ok`, `note` (nothing to do) or `bad`, and what to do."""

    check: str
    verdict: str
    text: str


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
def doctor(as_json: bool) -> None:
    """Check Python, disk, servers, workers and provider keys; exit 1 when something is bad."""
    django.setup()
    findings = [_examine(name, check) for name, check in _CHECKS.items()]
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        _print(findings)
    sys.exit(any(finding.verdict == "bad" for finding in findings))


def _examine(name: str, check: Callable[[], tuple[str, str]]) -> Finding:
    try:
        return Finding(name, *check())
    except (StackError, OSError) as error:
        return Finding(name, "bad", str(error))


def _print(findings: list[Finding]) -> None:
    table = Table("check", "", "finding")
    for finding in findings:
        table.add_row(finding.check, finding.verdict, finding.text)
    Console(highlight=False).print(table)


def _python() -> tuple[str, str]:
    version = ".".join(str(part) for part in sys.version_info[:3])
    return "ok", f"{version} at {sys.executable}"


def _home() -> tuple[str, str]:
    home = settings.MDC_HOME.root
    existing = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(existing).free / 2**30
    if free < _LEAST_FREE_GIB:
        return "bad", f"{home}: only {free:.1f} GiB free; make room or set MDC_HOME"
    return "ok", f"{home}: {free:.1f} GiB free"


def _stack() -> tuple[str, str]:
    if is_locked(settings.MDC_HOME):
        return "ok", "runs"
    return "note", "does not run; `mdc up` starts it"


def _embedded_possible() -> None:
    server = postgres.binary("postgres")
    server_identity(server=server, home=settings.MDC_HOME.root)


def _database() -> tuple[str, str]:
    if not settings.OWN_DATABASE_URL:
        _embedded_possible()
        if not is_locked(settings.MDC_HOME):
            return "ok", "embedded PostgreSQL can run here"
    facts = check_database(settings.DATABASE_URL)
    return "ok", f"PostgreSQL {facts.version}: {facts.address}"


def _tables() -> tuple[str, str]:
    if not settings.OWN_DATABASE_URL and not is_locked(settings.MDC_HOME):
        return "note", "not looked at while the stack is down"
    check_database(settings.DATABASE_URL)
    executor = MigrationExecutor(connection)
    pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    connection.close()
    if pending:
        return "bad", f"{len(pending)} migrations are missing; `mdc up` applies them"
    return "ok", "up to date"


def _calendars() -> tuple[str, str]:
    if not settings.OWN_DATABASE_URL and not is_locked(settings.MDC_HOME):
        return "note", "not looked at while the stack is down"
    check_database(settings.DATABASE_URL)
    # Loaded only here: its tables need every app to be ready.
    service = import_module("ingestion.services.show_calendar")
    try:
        known = service.known_calendars(now=clock.now())
    except DatabaseError:
        return "note", "not looked at while tables are missing"
    finally:
        connection.close()
    if not known.ending:
        return "ok", f"{len(known.venues)} in use, known for {service.NEAR_END.days} days and more"
    said = ", ".join(f"{one.venue} ends with {one.last_session}" for one in known.ending)
    return "note", f"{said}; a newer exchange_calendars brings more, what lies beyond is refused"


def _broker() -> tuple[str, str]:
    if not settings.OWN_BROKER_URL:
        valkey.binary()
        if not is_locked(settings.MDC_HOME):
            return "ok", "embedded Valkey can run here"
    return "ok", check_broker(settings.BROKER_URL)


def _workers() -> tuple[str, str]:
    if not settings.OWN_BROKER_URL and not is_locked(settings.MDC_HOME):
        return "note", "not asked while the stack is down"
    check_broker(settings.BROKER_URL)
    answers = app.control.inspect(timeout=2.0).ping() or {}
    kinds = {name.partition("@")[0] for name in answers}
    missing = {"control", "fetch"} - kinds
    if missing:
        return "bad", f"no answer from: {', '.join(sorted(missing))}; start them with `mdc up`"
    return "ok", ", ".join(sorted(answers))


def _providers() -> tuple[str, str]:
    return "note", "; ".join(_provider_words())


def _provider_words() -> Iterator[str]:
    for name in adapter_names():
        key = "key set" if name in settings.PROVIDER_KEYS else "no key"
        moved = name in settings.PROVIDER_BASE_URLS
        yield f"{name}: {key}" + (", own address" if moved else "")


def _log_folder() -> tuple[str, str]:
    logs: Path = settings.MDC_HOME.logs
    return "note", str(logs)


_CHECKS: dict[str, Callable[[], tuple[str, str]]] = {
    "python": _python,
    "home": _home,
    "stack": _stack,
    "database": _database,
    "tables": _tables,
    "calendars": _calendars,
    "broker": _broker,
    "workers": _workers,
    "providers": _providers,
    "logs": _log_folder,
}
