"""Find stored series by the names people use."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import connection as default_connection

from ingestion.domain.errors import BadRequest, UnknownSeries
from ingestion.store import series_reads
from ingestion.store.series_reads import Connection, SeriesRow
from providers.types import Timeframe


class NothingStored(UnknownSeries):
    """Signal a symbol of which nothing is stored; `similar` are stored symbols like it."""

    def __init__(
        self, symbol: str, *, timeframes: Sequence[Timeframe], similar: Sequence[str]
    ) -> None:
        wanted = ", ".join(one.value for one in timeframes)
        super().__init__(symbol, wanted)
        self.similar = tuple(similar)
        what = f"{symbol} at {wanted}" if wanted else symbol
        if symbol in self.similar:
            hint = f"`mdc coverage --symbols {symbol}` shows what is"
        elif self.similar:
            hint = f"did you mean {' or '.join(self.similar)}?"
        else:
            hint = f"`mdc backfill PROVIDER --symbols {symbol} ...` fetches it"
        self.message = f"nothing is stored of {what}; {hint}"
        self.args = (self.message,)


def find_series(
    *,
    symbols: Sequence[str] = (),
    timeframes: Sequence[Timeframe] = (),
    provider: str | None = None,
    connection: Connection = default_connection,
) -> list[SeriesRow]:
    """Return the series that pass every filter given, in listing order.

    Raises NothingStored for a symbol without any, and BadRequest for more than can be listed.
    """
    found = series_reads.select_series(
        symbols=symbols or None,
        timeframes=timeframes or None,
        provider=provider,
        connection=connection,
    )
    if len(found) >= series_reads.SERIES_LIMIT:
        raise BadRequest(
            f"more than {series_reads.SERIES_LIMIT:,} series match; name symbols, timeframes or a "
            "provider",
            field="symbols",
        )
    known = {one.symbol for one in found}
    for symbol in symbols:
        if symbol not in known:
            similar = series_reads.similar_symbols(symbol, connection=connection)
            raise NothingStored(symbol, timeframes=timeframes, similar=similar)
    return found
