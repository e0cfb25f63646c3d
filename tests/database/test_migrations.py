"""The migrations run forwards, backwards and forwards again, and say the same each time."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from django.core.management import call_command
from django.db import connections
from pytest_django import DjangoDbBlocker

from mdc.stack.embedded import EmbeddedStack
from tests.conftest import point_django_at

# Everything by which a schema can differ, as text.
_SCHEMA = """
SELECT 'column ' || table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable
       || ' ' || coalesce(column_default, '')
FROM information_schema.columns WHERE table_schema = 'public'
UNION ALL
SELECT 'constraint ' || conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid)
FROM pg_constraint WHERE connamespace = 'public'::regnamespace
UNION ALL
SELECT 'index ' || indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION ALL
SELECT 'trigger ' || pg_get_triggerdef(t.oid) FROM pg_trigger t WHERE NOT tgisinternal
UNION ALL
SELECT 'function ' || pg_get_functiondef(p.oid) FROM pg_proc p
WHERE pronamespace = 'public'::regnamespace AND prokind = 'f'
  AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
UNION ALL
SELECT 'view ' || viewname || ' ' || definition FROM pg_views WHERE schemaname = 'public'
UNION ALL
SELECT 'options ' || relname || ' ' || reloptions::text FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND reloptions IS NOT NULL
ORDER BY 1
"""


@pytest.fixture
def db(
    servers: EmbeddedStack,
    django_db_setup: None,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[psycopg.Connection]:
    """Give a new empty database, with Django pointed at it for one test."""
    del django_db_setup
    with psycopg.connect(servers.database_url, autocommit=True) as admin:
        admin.execute("DROP DATABASE IF EXISTS mdc_migrations")
        admin.execute("CREATE DATABASE mdc_migrations")
        url = servers.home.database_url("mdc_migrations")
        connections.close_all()
        before = point_django_at(url)
        with django_db_blocker.unblock():
            try:
                with psycopg.connect(url, autocommit=True) as connection:
                    yield connection
            finally:
                connections.close_all()
                for target in (
                    connections.settings["default"],
                    connections["default"].settings_dict,
                ):
                    target.update(before)
        admin.execute("DROP DATABASE mdc_migrations WITH (FORCE)")


def schema(connection: psycopg.Connection) -> list[str]:
    """Describe the schema line by line."""
    return [line for (line,) in connection.execute(_SCHEMA).fetchall()]


def migrate(*target: str) -> None:
    """Run migrations in silence."""
    call_command("migrate", *target, verbosity=0)


def test_forwards_backwards_and_forwards_again(db: psycopg.Connection) -> None:
    """Backwards leaves nothing of ours, rows in ledgers and partitions or not; forwards, all."""
    migrate()
    whole = schema(db)
    db.execute(
        "INSERT INTO audit_event (actor, source, action, object_type, object_id, reason)"
        " VALUES ('t', 'cli', 'a', 'job', '1', '')"
    )
    db.execute(
        "INSERT INTO bar (ts, known_from, attempt_id, open, high, low, close, series_id, sequence,"
        " final) VALUES ('2024-01-02Z', now(), 1, 1, 1, 1, 1, 1, 0, true)"
    )
    migrate("ingestion", "zero")
    left = schema(db)
    assert [line for line in left if "bar" in line.split()[1] or "refuse_change" in line] == []
    ours = {"job", "slice", "attempt", "series", "audit_event", "venue_session"}
    tables = {row[0] for row in db.execute("SELECT tablename FROM pg_tables").fetchall()}
    assert not tables & ours
    migrate("ingestion")
    assert schema(db) == whole
