"""What a symbol may look like."""

from __future__ import annotations

from collections.abc import Sequence

from ingestion.domain.errors import BadRequest

LONGEST_SYMBOL = 64


def check_symbols(symbols: Sequence[str]) -> None:
    """Refuse a list of symbols that cannot be meant; raises BadRequest."""
    if not symbols or not all(symbol.strip() for symbol in symbols):
        raise BadRequest("name at least one symbol, such as --symbols AAPL", field="symbols")
    if any(len(symbol) > LONGEST_SYMBOL or not symbol.isprintable() for symbol in symbols):
        raise BadRequest("a symbol has at most 64 printable characters", field="symbols")
    if any(symbol != symbol.strip() for symbol in symbols):
        raise BadRequest("a symbol has no spaces around it; leave them out", field="symbols")
    if len(set(symbols)) != len(symbols):
        raise BadRequest("a symbol is named twice; name each one once", field="symbols")
