"""What yahoo's refusals mean; their wording is the only signature it gives."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from providers.adapters.yahoo.wire import Envelope, StatedError
from providers.decoding import decode_json
from providers.errors import (
    AuthError,
    NoData,
    PermanentError,
    ProviderError,
    ThrottledError,
    UnknownSymbol,
    UnsupportedRequest,
)
from providers.statuses import raise_for_status
from providers.types import Response, Timeframe

_REQUEST_DENIED: Final = 999


def _error(kind: type[ProviderError], message: str, status: int) -> ProviderError:
    return kind(message, provider="yahoo", status=status)


def error_within_200(symbol: str, timeframe: Timeframe, stated: StatedError) -> ProviderError:
    """Return the error that an answer states although its HTTP status is 200."""
    if "Too Many Requests" in (stated.code, stated.description):
        return _error(ThrottledError, "yahoo asks for a slower pace (within a 200)", 200)
    return _known_error(symbol, timeframe, stated, status=200) or _error(
        PermanentError, f"yahoo rejects the request: {stated.code}: {stated.description[:200]}", 200
    )


def refusal(symbol: str, timeframe: Timeframe, response: Response) -> ProviderError:
    """Return the error that an answer of any other status than 200 means."""
    status = response.status
    if status == _REQUEST_DENIED:
        return _error(ThrottledError, "yahoo denies requests from this address (999)", status)
    if status == HTTPStatus.UNAUTHORIZED:
        return _error(
            AuthError,
            "yahoo refuses anonymous requests from this address (401); wait, or use another one",
            status,
        )
    if status < HTTPStatus.INTERNAL_SERVER_ERROR:
        known = _known_error(symbol, timeframe, _stated_error(response.body), status=status)
        if known is not None:
            return known
    raise_for_status(response, "yahoo")
    return _error(
        PermanentError,
        f"yahoo has nothing at this address ({status}); check MDC_PROVIDER_YAHOO_BASE_URL",
        status,
    )


def _stated_error(body: bytes) -> StatedError:
    """Read the error of a refusal, which is a document or one line of text."""
    if body.lstrip()[:1] != b"{":
        return StatedError(description=body[:500].decode(errors="replace"))
    return decode_json(body, Envelope, provider="yahoo").error or StatedError()


def _known_error(
    symbol: str, timeframe: Timeframe, stated: StatedError, *, status: int
) -> ProviderError | None:
    """Return what a stated error means; its wording is the only signature yahoo gives."""
    wording = stated.description
    if stated.code == "Not Found":
        message = f"yahoo does not know the symbol {symbol!r}; check how yahoo spells it"
        return _error(UnknownSymbol, message, status)
    if "Data doesn't exist for startDate" in wording:
        message = f"yahoo states that it holds nothing of {symbol!r} in this window"
        return _error(NoData, message, status)
    if "must be within the last" in wording or "granularity data are allowed" in wording:
        message = (
            f"yahoo does not reach back this far at {timeframe}; "
            "start later or use a longer timeframe"
        )
        return _error(UnsupportedRequest, message, status)
    return None
