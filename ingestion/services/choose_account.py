"""Choose the provider that a definition's job asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ingestion.domain.errors import BadRequest
from ingestion.store.fired_jobs import AccountState, default_accounts
from ingestion.store.series import ensure_account
from providers.registry import get_adapter


@dataclass(frozen=True, slots=True)
class Chosen:
    """Name the provider that is asked, and its account."""

    provider: str
    account_id: int


class Accounts:
    """Choose for any number of definitions after one look at the accounts."""

    def __init__(self, *, egress: str) -> None:
        self._egress = egress
        self._states = default_accounts(egress=egress)

    def choose(self, definition: str, providers: Sequence[str]) -> Chosen:
        """Return the first of a definition's providers that may send, else the first of all.

        A provider that was never asked before gets its account. Raises BadRequest for a definition
        without providers, and UnknownProvider.
        """
        if not providers:
            raise BadRequest(
                f"the definition {definition} names no provider; add one", field="providers"
            )
        for provider in providers:
            if self._state(provider).is_usable:
                return Chosen(provider, self._state(provider).account_id)
        return Chosen(providers[0], self._state(providers[0]).account_id)

    def _state(self, provider: str) -> AccountState:
        if provider not in self._states:
            capabilities = get_adapter(provider).capabilities
            account_id = ensure_account(provider, capabilities=capabilities, egress=self._egress)
            self._states[provider] = AccountState(account_id, is_usable=True)
        return self._states[provider]
