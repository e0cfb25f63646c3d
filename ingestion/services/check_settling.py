"""Notice promises and due times that come before a provider's bars are final."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from ingestion.domain.errors import BadRequest
from ingestion.domain.rules import AtSession, Edge, Rule, rule_text, span_words
from ingestion.domain.schedules import ScheduleAction
from ingestion.store.definitions import read_definition
from providers.errors import UnknownProvider
from providers.registry import get_adapter

_FETCHING: Final = frozenset((ScheduleAction.UPDATE, ScheduleAction.VERIFY))
_SECOND: Final = timedelta(seconds=1)
_MINUTE: Final = timedelta(minutes=1)


def check_freshness(freshness: timedelta | None, *, providers: Sequence[str]) -> None:
    """Refuse a target that no provider can meet. Raises BadRequest."""
    delay, quickest = min((_delay(one), one) for one in providers)
    if freshness is not None and freshness <= delay:
        raise BadRequest(
            f"{quickest}'s bars may change until {_words(delay)} after the close, so no session is"
            f" complete within {_words(freshness)}: promise more, such as"
            f" {_words(delay + 30 * _MINUTE)}",
            field="freshness",
        )


def early_close(definition: str, *, rule: Rule, action: ScheduleAction) -> str:
    """Return a warning where a schedule fetches a session before it is final, else nothing.

    Of a definition's providers the first counts. Raises UnknownDefinition.
    """
    if action not in _FETCHING or not isinstance(rule, AtSession) or rule.edge is not Edge.CLOSE:
        return ""
    provider = read_definition(definition).providers[0]
    delay = _delay(provider)
    if rule.offset_seconds * _SECOND > delay or not delay:
        return ""
    later = replace(rule, offset_seconds=(delay + _MINUTE) // _SECOND)
    return (
        f"{provider}'s bars may change until {_words(delay)} after the close, so this leaves the"
        f" session to the next time; `{rule_text(later)}` fetches it"
    )


def usual_close(providers: Sequence[str]) -> str:
    """Return the rule of a session's end at which the first provider's bars are final."""
    offset = max(15 * _MINUTE, _delay(providers[0]) + 5 * _MINUTE)
    return rule_text(AtSession(Edge.CLOSE, offset // _SECOND))


def _delay(provider: str) -> timedelta:
    try:
        return get_adapter(provider).capabilities.finality_delay
    except UnknownProvider:
        # A source of files that was removed since: nothing is known of it any more.
        return timedelta(0)


def _words(length: timedelta) -> str:
    return span_words(length // _SECOND)
