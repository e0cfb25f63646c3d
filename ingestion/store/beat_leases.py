"""Let one beat lead: a row that its holder renews, by PostgreSQL's clock."""

from __future__ import annotations

from uuid import UUID

from django.db import connection

_TAKE = """
INSERT INTO beat_lease AS l (name, holder, host, until, taken_at)
VALUES (%(name)s, %(holder)s, %(host)s,
        clock_timestamp() + make_interval(secs => %(seconds)s), clock_timestamp())
ON CONFLICT (name) DO UPDATE
SET holder = excluded.holder, host = excluded.host, until = excluded.until,
    taken_at = CASE WHEN l.holder = excluded.holder THEN l.taken_at ELSE excluded.taken_at END
WHERE l.holder = excluded.holder OR l.until < clock_timestamp()
RETURNING true
"""


def take_or_renew(name: str, *, holder: UUID, host: str, seconds: float) -> bool:
    """Take a lease that nobody holds, or renew one's own; return whether one holds it now."""
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, {"name": name, "holder": holder, "host": host, "seconds": seconds})
        return cursor.fetchone() is not None


def give_back(name: str, *, holder: UUID) -> None:
    """Let the next one lead at once."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM beat_lease WHERE name = %s AND holder = %s", [name, holder])
