"""Read provider answers: JSON into typed structures, with the error each defect deserves."""

from __future__ import annotations

import hashlib
from typing import TypeVar

import msgspec

from providers.errors import PayloadError, TransientError

T = TypeVar("T")


def decode_json(body: bytes, shape: type[T], *, provider: str) -> T:
    """Decode a JSON body into `shape`.

    Raises TransientError where the body breaks off, and PayloadError where it is no JSON or
    JSON of another shape.
    """
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.ValidationError as error:
        raise PayloadError(
            f"{provider} answered in an unexpected shape ({error}); if this persists, "
            "its wire format has changed and the adapter must follow",
            provider=provider,
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        if breaks_off(body):
            raise TransientError(
                f"{provider} sent an answer that breaks off after {len(body)} bytes; "
                "it will be asked again",
                provider=provider,
            ) from None
        raise PayloadError(
            f"{provider} sent something other than JSON ({len(body)} bytes); check whether a "
            "proxy or a login page stands between",
            provider=provider,
        ) from None


def breaks_off(body: bytes) -> bool:
    """Tell whether a body is empty, or begins like JSON and ends before it is complete."""
    text = body.strip()
    if text[:1] not in (b"{", b"["):
        return not text
    return text.count(b"{") > text.count(b"}") or text.count(b"[") > text.count(b"]")


def payload_digest(body: bytes) -> str:
    """Return a hexadecimal digest under which identical payloads are recognised."""
    return hashlib.sha256(body).hexdigest()
