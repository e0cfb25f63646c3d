"""How this process reaches a provider: address and key from the settings, one HTTP edge each."""

from __future__ import annotations

import functools

from django.conf import settings

import ingestion
from ingestion.models import Account
from ingestion.services.fetch_slice import Access, QualityRules
from providers.bytebudget import ByteBudget
from providers.http import HttpEdge
from providers.registry import get_adapter
from providers.types import Credentials

# Bodies held at one time by one process; decoded, a body takes a few times as much.
BYTES_IN_FLIGHT = 24 * 1024 * 1024
CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 30.0


def access_for_account(account_id: int) -> Access:
    """Return the access that an account's provider needs; cached per provider and process."""
    provider = Account.objects.values_list("provider", flat=True).get(id=account_id)
    return access_for(provider)


@functools.cache
def access_for(provider: str) -> Access:
    """Return the access to a provider; raises UnknownProvider."""
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


def quality_rules() -> QualityRules:
    """Return the user's limits for what may be stored."""
    return QualityRules(
        minimum_bars=settings.MINIMUM_BARS, max_bad_fraction=settings.MAX_BAD_PERCENT / 100
    )


@functools.cache
def _bytes_in_flight() -> ByteBudget:
    return ByteBudget(BYTES_IN_FLIGHT)
