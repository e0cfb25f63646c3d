"""Say what a person can do about each class of failure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_ADVICE: Final[Mapping[str, str]] = {
    "TransientError": "the provider or the network failed again and again; retry when it has "
    "recovered",
    "ThrottledError": "the provider asked for a slower pace; retry with a lower --rate-limit or "
    "--retry-class provider_safe",
    "AuthError": "set the right key in MDC_PROVIDER_<NAME>_KEY, restart the stack and resume",
    "EntitlementError": "the account's plan does not include this; change the plan, the range or "
    "the provider",
    "ConfigError": "correct the provider's address or settings, restart the stack and resume",
    "AccountError": "the account cannot be used; read the provider's words, see to it and resume",
    "UnknownSymbol": "the provider does not know this symbol; correct its spelling or map it to "
    "the provider's name",
    "UnsupportedRequest": "the provider cannot serve this; choose another timeframe, range or "
    "provider",
    "PayloadError": "the answers do not follow the provider's format; look at the sample, and "
    "report it if it lasts",
    "UnreadableFile": "a file is not as declared; mend or exclude it, or declare how it is "
    "written, then retry",
    "FileChanged": "a file changed while it was read, again and again; retry when whoever writes "
    "it is done",
    "NoData": "the provider states that it holds nothing here; try another range or provider",
    "PermanentError": "the provider refuses this very request; read its words and change the "
    "request",
    "BadBatch": "too many rows were refused at once; look at the quarantine, then retry or choose "
    "another provider",
    "LeaseExpired": "its worker fell silent; it is done again by itself",
    "StaleRetry": "its job gives up retries that come too late; replay it if the bars still matter",
    "Crash": "a worker died each time it worked on this; look into the worker's log, then retry",
}
_OTHERWISE: Final = "an error that mdc does not know; look into the worker's log and report it"


def advice_for(error_class: str) -> str:
    """Return one clause that says what to do about failures of a class."""
    return _ADVICE.get(error_class, _OTHERWISE)
