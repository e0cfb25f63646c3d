"""Put values into words and signs: instants in UTC, windows, links, badges."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from ingestion.domain.states import AttemptOutcome, JobState, SliceState

NOTHING = "–"

# Tone and sign of every state: the sign and the word carry the meaning, the colour only helps.
_SIGNS: Mapping[str, tuple[str, str]] = {
    JobState.DRAFT: ("default", "edit_note"),
    JobState.QUEUED: ("info", "hourglass_empty"),
    JobState.RUNNING: ("primary", "play_arrow"),
    JobState.PAUSED: ("warning", "pause"),
    JobState.COMPLETED: ("success", "check"),
    JobState.FAILED: ("danger", "error"),
    JobState.CANCELLED: ("default", "block"),
    SliceState.READY: ("info", "hourglass_empty"),
    SliceState.LEASED: ("primary", "play_arrow"),
    SliceState.DONE: ("success", "check"),
    SliceState.DEAD: ("danger", "error"),
    SliceState.SUPERSEDED: ("default", "swap_horiz"),
    AttemptOutcome.SKIPPED: ("default", "skip_next"),
    AttemptOutcome.YIELDED: ("info", "undo"),
    AttemptOutcome.RETRY: ("warning", "replay"),
    AttemptOutcome.CRASHED: ("danger", "bolt"),
    "partial": ("warning", "rule"),
    "fired": ("success", "check"),
    "coalesced": ("default", "merge"),
    "open": ("danger", "error"),
    "closed": ("success", "check"),
}


class Interval(Protocol):
    """Describe what the two range types of psycopg have in common."""

    @property
    def lower(self) -> Any:
        """Return the inclusive start, None for open."""

    @property
    def upper(self) -> Any:
        """Return the exclusive end, None for open."""


def badge(word: str, *, tone: str | None = None, sign: str | None = None) -> SafeString:
    """Show a state as word, sign and colour."""
    known_tone, known_sign = _SIGNS.get(word, ("default", ""))
    return render_to_string(
        "unfold/helpers/label.html",
        {"text": word.replace("_", " "), "type": tone or known_tone, "icon": sign or known_sign},
    )


def sentence(message: str) -> str:
    """Put what an error says into a sentence of a form, without the marks of a terminal."""
    plain = message.replace("`", "")
    return f"{plain[:1].upper()}{plain[1:]}."


def instant(at: datetime | None) -> str:
    """Write an instant in UTC to the second."""
    return at.strftime("%Y-%m-%d %H:%M:%SZ") if at else NOTHING


def stamp(at: datetime | None) -> str:
    """Write a bar's stamp: a midnight is a session date, anything else a minute in UTC."""
    if at is None:
        return NOTHING
    if (at.hour, at.minute, at.second) == (0, 0, 0):
        return at.strftime("%Y-%m-%d")
    return at.strftime("%Y-%m-%d %H:%MZ" if not at.second else "%Y-%m-%d %H:%M:%SZ")


def window(interval: Interval | None) -> str:
    """Write a half-open window of stamps."""
    if interval is None:
        return NOTHING
    return f"{stamp(interval.lower)} → {stamp(interval.upper)}"


def duration(length: timedelta | None) -> str:
    """Write a length of time in its two largest units."""
    if length is None:
        return NOTHING
    seconds = int(length.total_seconds())
    parts = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"


def page_link(view: str, text: object, *args: object, **query: str | int | UUID) -> SafeString:
    """Link to an admin page of ours by its view name, such as `job_change` with the job's id."""
    url = reverse(f"admin:ingestion_{view}", args=args)
    if query:
        url = f"{url}?{urlencode({name: str(value) for name, value in query.items()})}"
    return format_html(
        '<a class="text-primary-600 dark:text-primary-500" href="{}">{}</a>',
        url,
        text,
    )


def pace(requests: int, milliseconds: int) -> str:
    """Write a limit: so many requests in so long."""
    length = timedelta(milliseconds=milliseconds)
    span = f"{milliseconds} ms" if milliseconds < 1_000 else duration(length)
    return f"{requests:,} per {span}"
