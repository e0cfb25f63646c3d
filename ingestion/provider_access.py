"""How this process reaches a provider: address and key from the settings, one HTTP edge each."""

from __future__ import annotations

import functools
from collections.abc import Callable

from django.conf import settings

import ingestion
from ingestion.models import Account
from ingestion.services.fetch_slice import Access, QualityRules
from providers.base import Adapter
from providers.bytebudget import ByteBudget
from providers.errors import UnsupportedRequest
from providers.http import HttpEdge
from providers.registry import FILES, get_adapter
from providers.types import Credentials, Request, Response

# Bodies held at one time by one process; decoded, a body takes a few times as much.
BYTES_IN_FLIGHT = 24 * 1024 * 1024
CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 30.0


def access_for_account(account_id: int) -> Access:
    """Return the access that an account's provider needs; raises UnknownProvider."""
    provider = Account.objects.values_list("provider", flat=True).get(id=account_id)
    return access_for(provider)


def access_for(provider: str) -> Access:
    """Return the access to a provider, cached per provider and process.

    A declared source of files is looked up anew each time: it may have been declared otherwise, and
    its folder may hold other files. Raises UnknownProvider.
    """
    if provider.startswith(FILES):
        adapter = get_adapter(provider)
        return Access(
            adapter=adapter,
            credentials=Credentials(),
            base_url="",
            edge=_NoEdge(provider),
            bytes_in_flight=_bytes_in_flight(),
        )
    return _networked(provider)


class _NoEdge:
    """Stand where a way to a provider would be, for those that need none."""

    def __init__(self, provider: str) -> None:
        self._provider = provider

    def send(self, request: Request, *, depart: Callable[[], None] | None = None) -> Response:
        """Refuse."""
        raise UnsupportedRequest(f"{self._provider} has no address", provider=self._provider)


@functools.cache
def _networked(provider: str) -> Access:
    adapter = get_adapter(provider)
    capabilities = adapter.capabilities
    shared = _bytes_in_flight()
    return Access(
        adapter=adapter,
        credentials=Credentials(key=settings.PROVIDER_KEYS.get(provider, "")),
        base_url=settings.PROVIDER_BASE_URLS.get(provider, capabilities.base_url),
        edge=HttpEdge(
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=READ_TIMEOUT,
            total_deadline=capabilities.request_deadline.total_seconds(),
            max_bytes=capabilities.max_response_bytes,
            byte_budget=shared,
            provider=provider,
            user_agent=f"mdc/{ingestion.__version__}",
        ),
        bytes_in_flight=shared,
    )


def quality_rules(adapter: Adapter) -> QualityRules:
    """Return the user's limits for what may be stored; a source of files may declare its own."""
    declared = adapter.capabilities.max_bad_percent
    percent = settings.MAX_BAD_PERCENT if declared is None else declared
    return QualityRules(minimum_bars=settings.MINIMUM_BARS, max_bad_fraction=percent / 100)


@functools.cache
def _bytes_in_flight() -> ByteBudget:
    return ByteBudget(BYTES_IN_FLIGHT)
