"""Everything that can go wrong at a provider, as one tree.

ProviderError
├── TransientError            worth another try: 5xx, reset, timeout, truncated body
├── ThrottledError            429 and its disguises; `retry_after` in seconds when the provider says
├── AccountError              stops the account until a person acts
│   ├── AuthError             the key is missing or wrong (401)
│   ├── EntitlementError      the key is right, the plan does not include this (402, 403)
│   └── ConfigError           address or settings are wrong (unreachable host name, bad URL)
├── PermanentError            trying again cannot help: the request itself is wrong
│   ├── UnknownSymbol
│   ├── UnsupportedRequest    this provider cannot serve it: timeframe, lookback, adjustment
│   └── PayloadError          the answer is not what the wire format promises
└── NoData                    the provider states that the window holds nothing: a fact, no failure

UnknownProvider and UnknownTimeframe are errors of the caller and stand beside the tree.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence


class ErrorFamily(enum.StrEnum):
    """Name what a failure means for the retry decision."""

    TRANSIENT = "transient"
    THROTTLED = "throttled"
    AUTH = "auth"
    ENTITLEMENT = "entitlement"
    CONFIG = "config"
    PERMANENT = "permanent"
    NO_DATA = "no_data"
    CRASH = "crash"
    BUG = "bug"


class ProviderError(Exception):
    """Carry what happened, at which provider, and how it may be retried.

    `message` is one sentence that says what to do and holds no secret.
    """

    family = ErrorFamily.BUG

    def __init__(
        self,
        message: str,
        *,
        provider: str,
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.provider = provider
        self.status = status
        self.retry_after = retry_after

    @property
    def name(self) -> str:
        """Return the class name, the stable key under which failures are grouped."""
        return type(self).__name__


class TransientError(ProviderError):
    """Signal a failure that another try may heal."""

    family = ErrorFamily.TRANSIENT


class ThrottledError(ProviderError):
    """Signal that the provider asks for a slower pace."""

    family = ErrorFamily.THROTTLED


class AccountError(ProviderError):
    """Signal that the account cannot be used until a person acts."""

    family = ErrorFamily.CONFIG


class AuthError(AccountError):
    """Signal a missing or refused key."""

    family = ErrorFamily.AUTH


class EntitlementError(AccountError):
    """Signal that the account's plan does not include the request."""

    family = ErrorFamily.ENTITLEMENT


class ConfigError(AccountError):
    """Signal a wrong address or setting."""

    family = ErrorFamily.CONFIG


class PermanentError(ProviderError):
    """Signal that the same request can never succeed."""

    family = ErrorFamily.PERMANENT


class UnknownSymbol(PermanentError):
    """Signal that the provider does not know the symbol."""


class UnsupportedRequest(PermanentError):
    """Signal a timeframe, lookback or adjustment that the provider does not serve."""


class PayloadError(PermanentError):
    """Signal an answer that does not follow the wire format."""


class NoData(ProviderError):
    """State that the provider holds nothing in the window."""

    family = ErrorFamily.NO_DATA


class UnknownProvider(LookupError):
    """Signal a provider name that is not in the registry."""

    def __init__(self, name: str, *, known: Sequence[str]) -> None:
        super().__init__(f"unknown provider {name!r}; known providers: {', '.join(known)}")
        self.name = name
        self.known = list(known)


class UnknownTimeframe(ValueError):
    """Signal a bar length that mdc does not have."""

    def __init__(self, text: str, *, known: Sequence[str]) -> None:
        super().__init__(f"unknown timeframe {text!r}; use one of {', '.join(known)}")
        self.text = text
        self.known = list(known)
