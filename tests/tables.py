"""Empty the tests' database after what was committed for other connections to see."""

from __future__ import annotations

from django.db import OperationalError, connection, connections

# The ledgers refuse to be emptied otherwise. Sessions of venues are facts that all tests share.
_EMPTY = """
SET session_replication_role = replica;
DO $$
DECLARE names text;
BEGIN
    SELECT string_agg(quote_ident(relname), ', ') INTO names
    FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
      AND relname !~ '^(django|auth)_' AND relname <> 'venue_session';
    EXECUTE 'TRUNCATE ' || names || ' RESTART IDENTITY CASCADE';
END $$;
SET session_replication_role = DEFAULT;
"""
_TRIES = 20


def empty_tables() -> None:
    """Empty everything and let the connections go.

    A process that still runs may hold a table and be met in a deadlock, which ends one of the
    two: so this is tried again. A module that keeps processes empties once more after they are
    gone, since what they write last would be the next module's surprise.
    """
    for left in reversed(range(_TRIES)):
        try:
            with connection.cursor() as cursor:
                cursor.execute(_EMPTY)
            break
        except OperationalError:
            if not left:
                raise
            connection.close()
    connections.close_all()
