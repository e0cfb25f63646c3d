"""Make foreign values fit for PostgreSQL's text and jsonb, which hold less than JSON may say."""

from __future__ import annotations

from typing import Final

import orjson

_NUL_SHOWN: Final = "\N{SYMBOL FOR NULL}"
_INT64: Final = 2**63


def storable_text(text: str) -> str:
    """Replace what PostgreSQL's text cannot hold: NUL, and halves of surrogate pairs."""
    return text.encode("utf-8", "replace").decode().replace("\x00", _NUL_SHOWN)


def storable_json(value: object) -> str:
    """Write a value of any kind as JSON that jsonb takes; what JSON lacks becomes text or null."""
    return orjson.dumps(_storable(value)).decode()


def _storable(value: object) -> object:
    match value:
        case str():
            return storable_text(value)
        case dict():
            return {storable_text(str(key)): _storable(item) for key, item in value.items()}
        case list() | tuple():
            return [_storable(item) for item in value]
        case None | bool() | float():
            return value
        case int():
            return value if -_INT64 <= value < _INT64 else str(value)
        case _:
            return storable_text(str(value))
