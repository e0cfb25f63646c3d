"""Compose the jobs that definitions start, and choose the providers that they ask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from ingestion.domain.asked import Asked
from ingestion.domain.errors import BadRequest
from ingestion.domain.schedules import ScheduleAction
from ingestion.domain.windows import Window
from ingestion.store.definitions import DefinitionRow
from ingestion.store.fired_jobs import AccountState, NewJob, default_accounts
from ingestion.store.series import ensure_account
from providers.registry import get_adapter


@dataclass(frozen=True, slots=True)
class Chosen:
    """Name the provider that a definition's job asks, and its account."""

    provider: str
    account_id: int


class Accounts:
    """Choose providers for any number of definitions after one look at the accounts."""

    def __init__(self, *, egress: str) -> None:
        self._egress = egress
        self._states = default_accounts(egress=egress)

    def choose(self, definition: DefinitionRow) -> Chosen:
        """Return the first of its providers that may send, else the first, which then waits.

        A provider that was never asked before gets its account. Raises BadRequest for a definition
        without providers, and UnknownProvider.
        """
        if not definition.providers:
            raise BadRequest(
                f"the definition {definition.name} names no provider; add one", field="providers"
            )
        for provider in definition.providers:
            if self._state(provider).is_usable:
                return Chosen(provider, self._state(provider).account_id)
        first = definition.providers[0]
        return Chosen(first, self._state(first).account_id)

    def _state(self, provider: str) -> AccountState:
        if provider not in self._states:
            capabilities = get_adapter(provider).capabilities
            account_id = ensure_account(provider, capabilities=capabilities, egress=self._egress)
            self._states[provider] = AccountState(account_id, is_usable=True)
        return self._states[provider]


def compose_job(
    definition: DefinitionRow,
    *,
    job_id: int,
    chosen: Chosen,
    action: ScheduleAction,
    due: datetime,
    reason: str,
    symbols: Sequence[str] = (),
    session: date | None = None,
    window: Window | None = None,
    slot_id: int | None = None,
    after: int | None = None,
) -> NewJob:
    """Return the job that does an action on a definition; no `symbols` mean all of its."""
    asked = Asked(
        action=action,
        provider=chosen.provider,
        symbols=tuple(symbols) or definition.symbols,
        timeframe=definition.timeframe,
        adjustment=definition.adjustment,
        hours=definition.hours,
        venue=definition.venue,
        history_start=definition.history_start,
        slice_span=definition.slice_span,
        session=session,
        window=window,
    )
    return NewJob(
        id=job_id,
        definition_id=definition.id,
        account_id=chosen.account_id,
        asked=asked,
        priority=asked.priority(definition.priority),
        due=due,
        reason=reason,
        slot_id=slot_id,
        after=after,
    )
