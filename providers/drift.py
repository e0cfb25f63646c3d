"""See that a payload has other fields than its adapter knows, at no cost per row.

A body is reduced to its outline first: of a list of numbers nothing is kept, of a list of flat
objects the first one. Where the lists begin and end is found by searching for brackets, which a
processor does at many gigabytes a second; the outline is a few kilobytes whatever was sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

# A payload whose rows are lists themselves has one each row: it is not outlined.
_MOST_LISTS: Final = 200
_MOST_SENTENCES: Final = 5
_LONGEST_NAME: Final = 60


@dataclass(frozen=True, slots=True)
class Level:
    """Declare the fields of one object in a payload: `needed` ones are read, `other` ones known."""

    where: str
    needed: frozenset[str]
    other: frozenset[str] = frozenset()

    def compare(self, found: object) -> list[str]:
        """Return a sentence for each field that is unknown or lacking."""
        if not isinstance(found, dict):
            return []
        unknown = sorted(found.keys() - self.needed - self.other)
        lacking = sorted(self.needed - found.keys())
        return [
            *(f"{self.where} has an unknown field {_name(field)}" for field in unknown),
            *(f"{self.where} lacks the field {_name(field)}" for field in lacking),
        ]


def find_drift(compared: Iterable[tuple[Level, object]]) -> tuple[str, ...]:
    """Compare the objects of an outline with what is declared; at most a handful of sentences."""
    sentences = [sentence for level, found in compared for sentence in level.compare(found)]
    return tuple(dict.fromkeys(sentences))[:_MOST_SENTENCES]


def outline(body: bytes) -> Any:
    """Decode a JSON body without its rows; None where it cannot be reduced to an outline."""
    parts: list[bytes] = []
    position = 0
    for _ in range(_MOST_LISTS):
        start = body.find(b"[", position)
        if start < 0:
            parts.append(body[position:])
            return _decode(b"".join(parts))
        kept, end = _reduce(body, start)
        parts.append(body[position:kept])
        position = end
    return None


def _reduce(body: bytes, start: int) -> tuple[int, int]:
    """Return up to where a list is kept, and where to go on, for the list that opens at `start`."""
    close = body.find(b"]", start)
    inner = body.find(b"[", start + 1)
    if close < 0 or 0 <= inner < close:
        return start + 1, start + 1
    first = body.find(b"{", start, close)
    if first < 0:
        return start + 1, close
    end = body.find(b"}", first, close)
    if end < 0 or body.find(b"{", first + 1, end) >= 0:
        return start + 1, start + 1
    return end + 1, close


def _decode(document: bytes) -> Any:
    try:
        return msgspec.json.decode(document)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _name(field: str) -> str:
    return repr(field if len(field) <= _LONGEST_NAME else field[:_LONGEST_NAME] + "…")
