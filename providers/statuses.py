"""Translate HTTP statuses, the same for every provider, into the error tree."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from providers.errors import (
    AuthError,
    EntitlementError,
    PermanentError,
    ProviderError,
    ThrottledError,
    TransientError,
)
from providers.types import Response

_THROTTLING = frozenset({418, 429})
_TRANSIENT = frozenset({408, 425})


def raise_for_status(response: Response, provider: str) -> None:
    """Raise the error that a status means, and return on 2xx and on 404.

    What a 404 means differs between providers, so the adapter decides. Texts never quote the
    answer's body, which may repeat the request with its key.
    """
    status = response.status
    if 200 <= status < 300 or status == HTTPStatus.NOT_FOUND:
        return
    raise _error_for(response, provider)


def retry_after_seconds(response: Response) -> float | None:
    """Read Retry-After, given as seconds or as an HTTP date, or return None."""
    text = response.headers.get("retry-after", "").strip()
    try:
        seconds = float(text)
    except ValueError:
        return _seconds_until(text, response)
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _error_for(response: Response, provider: str) -> ProviderError:
    status = response.status
    wait = retry_after_seconds(response)
    if status == HTTPStatus.UNAUTHORIZED:
        return AuthError(
            f"{provider} refused the key (401); check MDC_PROVIDER_{provider.upper()}_KEY",
            provider=provider,
            status=status,
        )
    if status in (HTTPStatus.PAYMENT_REQUIRED, HTTPStatus.FORBIDDEN):
        return EntitlementError(
            f"{provider} denies this request ({status}); check what the account's plan includes",
            provider=provider,
            status=status,
        )
    if status in _THROTTLING:
        return ThrottledError(
            f"{provider} asks for a slower pace ({status})"
            + (f"; it names {wait:g} s" if wait is not None else ""),
            provider=provider,
            status=status,
            retry_after=wait,
        )
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _TRANSIENT:
        return TransientError(
            f"{provider} failed to answer ({status}); it will be asked again",
            provider=provider,
            status=status,
            retry_after=wait,
        )
    if 300 <= status < 400:
        return PermanentError(
            f"{provider} answered with a redirect ({status}) that is not followed; check "
            f"MDC_PROVIDER_{provider.upper()}_BASE_URL",
            provider=provider,
            status=status,
        )
    return PermanentError(
        f"{provider} rejects the request ({status}); check symbol, timeframe and window",
        provider=provider,
        status=status,
    )


def _seconds_until(http_date: str, response: Response) -> float | None:
    moment = _read_http_date(http_date)
    if moment is None:
        return None
    # By the server's own clock where it tells it: ours may be off by minutes.
    now = _read_http_date(response.headers.get("date", "")) or response.received_at
    return max(0.0, (moment - now).total_seconds())


def _read_http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
