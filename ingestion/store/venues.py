"""Keep each venue's sessions as rows, so that SQL judges gaps by the planner's calendar."""

from __future__ import annotations

from django.db import connection

from ingestion.domain.windows import from_us
from providers.sessions import NO_BREAK, Sessions


def ensure_venue_sessions(sessions: Sessions) -> None:
    """Write the sessions of a venue unless they are there already."""
    venue = sessions.venue
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT 1 FROM venue_session WHERE venue = %s)", [venue])
        (present,) = cursor.fetchone()
        if present:
            return
        # Two jobs may do this at once: the loser's rows are dropped by the key.
        cursor.execute("CREATE TEMP TABLE venue_session_stage (LIKE venue_session) ON COMMIT DROP")
        with cursor.copy("COPY venue_session_stage FROM STDIN") as copy:
            for label, opens, closes, pause, resume in zip(
                sessions.labels.tolist(),
                sessions.opens.tolist(),
                sessions.closes.tolist(),
                sessions.break_starts.tolist(),
                sessions.break_ends.tolist(),
                strict=True,
            ):
                copy.write_row(
                    [
                        venue,
                        from_us(label).date(),
                        from_us(opens),
                        from_us(closes),
                        None if pause == NO_BREAK else from_us(pause),
                        None if resume == NO_BREAK else from_us(resume),
                    ]
                )
        cursor.execute(
            "INSERT INTO venue_session SELECT * FROM venue_session_stage ON CONFLICT DO NOTHING"
        )
        cursor.execute("DROP TABLE venue_session_stage")
