"""Look at servers of the user's own before anything is started on them."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

import psycopg
from kombu.connection import Connection
from kombu.exceptions import OperationalError
from psycopg.conninfo import conninfo_to_dict

from mdc.stack.errors import ServerTooOld, ServerUnreachable

MINIMUM_POSTGRES = 15


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """State what a PostgreSQL server says of itself."""

    version: str
    address: str


def check_database(url: str) -> DatabaseFacts:
    """Connect once; raises ServerUnreachable or ServerTooOld."""
    address = shown_database(url)
    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            number = connection.info.server_version
    except psycopg.Error as error:
        reason = " ".join(str(error).split())
        raise ServerUnreachable("MDC_DATABASE_URL", address, reason) from error
    version = f"{number // 10_000}.{number % 10_000}"
    if number < MINIMUM_POSTGRES * 10_000:
        raise ServerTooOld(version, str(MINIMUM_POSTGRES))
    return DatabaseFacts(version=version, address=address)


def check_broker(url: str) -> str:
    """Connect once and return the address without its password; raises ServerUnreachable."""
    address = shown_broker(url)
    try:
        with Connection(url, connect_timeout=5) as connection:  # type: ignore[no-untyped-call]
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=5)
    except (OperationalError, OSError, ValueError, KeyError) as error:
        raise ServerUnreachable("MDC_BROKER_URL", address, str(error)) from error
    return address


def shown_database(url: str) -> str:
    """Return a database's address fit for a screen: no password."""
    try:
        parts = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        return "an address that cannot be read"
    host = parts.get("host", "localhost")
    port = parts.get("port")
    return f"{parts.get('dbname', '')} at {host}" + (f":{port}" if port else "")


def shown_broker(url: str) -> str:
    """Return a broker's address fit for a screen: no password."""
    parts = urlsplit(url)
    if not parts.hostname:
        return f"{parts.scheme}:{parts.path}"
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path}"
