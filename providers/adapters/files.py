"""Bars from files that somebody declared: folders and globs of CSV and Parquet.

One adapter serves one declared source and is called `files:NAME`, so that two vendors' dumps never
share a series. There is no wire: pages are cut from decoded files, which a process keeps for the
slices that follow. How files are found and read is in `providers.files`.
"""

from __future__ import annotations

import functools
import hashlib
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from providers.bars import Bars
from providers.base import Adapter, Capabilities, Edge, SeriesCapability
from providers.errors import UnknownSymbol, UnsupportedRequest
from providers.files.cache import FileCache
from providers.files.declared import DeclaredSource
from providers.files.decode import Part
from providers.files.errors import FileChanged
from providers.files.raw_rows import RawRows
from providers.files.source import FoundRows, Holding, Holdings, SourceView
from providers.instants import from_us, to_us
from providers.instruments import Listing
from providers.types import BarQuery, Credentials, Page, Request, Response, Timeframe

PAGE_ROWS: Final = 50_000
_MOST_TRADES: Final = 2**31 - 1
_CACHE: Final = FileCache()


class Files(Adapter):
    """Serve one declared source; its files are listed again when some have come or gone."""

    def __init__(self, source: DeclaredSource, *, cache: FileCache = _CACHE) -> None:
        self._source = source
        self._cache = cache
        self._view = SourceView(source, cache)
        self._name = source.provider
        self._capabilities = _capabilities(source)

    @property
    def name(self) -> str:
        """Return the provider's name of the source."""
        return self._name

    @property
    def capabilities(self) -> Capabilities:
        """Return what the source's layout declares."""
        return self._capabilities

    def holdings(self) -> Holdings:
        """Return every series that the files hold, and the files that cannot be read."""
        return self._view.holdings

    def fetch_page(
        self,
        query: BarQuery,
        *,
        token: str | None,
        credentials: Credentials,
        base_url: str,
        edge: Edge,
    ) -> Page:
        """Return the rows of one window, ascending; the token says where the next page starts.

        Raises UnreadableFile, FileChanged and UnsupportedRequest.
        """
        if token is None and not self._view.listing.is_current():
            # A run outlives many slices; one asked for since then may be about a new file.
            self._view = SourceView(self._source, self._cache)
        found = self._view.rows(query, start=to_us(query.start), end=to_us(query.end))
        version = _version(found)
        first = 0
        if token is not None:
            before, _, offset = token.partition(":")
            if before != version:
                raise FileChanged(provider=self.name, file=query.vendor_symbol)
            first = int(offset)
        last = _page_end(found.part.at, first)
        page = _cut(found, slice(first, last))
        more = last < len(found.part.at)
        return Page(
            bars=_bars(page.part),
            next_token=f"{version}:{last}" if more else None,
            resume_from=from_us(int(found.part.at[last])) if more else None,
            proven_until=None,
            raw_row=_RawLookup(page),
            payload_sha=_digest(page.part),
            payload_bytes=page.part.nbytes,
        )

    def capability_for(self, query: BarQuery) -> SeriesCapability:
        """Return what the files hold of the query's series.

        Raises UnknownSymbol where they hold nothing of symbol and timeframe, UnsupportedRequest
        where they hold another basis or other hours of it.
        """
        held = self._held(query)
        bases = sorted({one.series.adjustment for one in held})
        if query.adjustment not in bases:
            raise self._unsupported(
                f"{query.adjustment} prices of {query.symbol} at {query.timeframe};"
                f" ask for {' or '.join(bases)}"
            )
        held = [one for one in held if one.series.adjustment is query.adjustment]
        hours = tuple(sorted({one.series.hours for one in held}))
        if query.timeframe.is_intraday:
            if query.hours not in hours:
                raise self._unsupported(
                    f"{query.hours} hours of {query.symbol} at {query.timeframe};"
                    f" ask for {' or '.join(hours)} hours"
                )
            held = [one for one in held if one.series.hours is query.hours]
        anchors = sorted({one.series.anchor for one in held})
        return SeriesCapability(
            adjustment=query.adjustment,
            max_rows=PAGE_ROWS,
            anchor=query.anchor if query.anchor in anchors else anchors[0],
            anchors=tuple(anchors),
            hours=hours,
        )

    def reach(self, query: BarQuery) -> tuple[datetime, datetime] | None:
        """Return the stamps [first, end) that the files hold of the query's series.

        Raises UnknownSymbol.
        """
        held = [one for one in self._held(query) if one.series.adjustment is query.adjustment]
        if query.timeframe.is_intraday:
            held = [one for one in held if one.series.hours is query.hours]
        if not held:
            return None
        return from_us(min(one.first for one in held)), from_us(max(one.end for one in held))

    def guess_listing(self, vendor_symbol: str) -> Listing | None:
        """Return the venue that the layout declares for a symbol's files."""
        venues = {
            holding.venue
            for timeframe in Timeframe
            for holding in self._by_name.get((vendor_symbol, timeframe), ())
            if holding.venue
        }
        return Listing(venue=venues.pop()) if len(venues) == 1 else None

    def build_request(
        self, query: BarQuery, *, token: str | None, credentials: Credentials, base_url: str
    ) -> Request:
        """Refuse: there is nobody to send a request to."""
        raise self._local()

    def parse(self, query: BarQuery, response: Response) -> Page:
        """Refuse: there is no answer to read."""
        raise self._local()

    @functools.cached_property
    def _by_name(self) -> dict[tuple[str, Timeframe], list[Holding]]:
        found: dict[tuple[str, Timeframe], list[Holding]] = {}
        for key, holding in self.holdings().series.items():
            found.setdefault((key.symbol, key.timeframe), []).append(holding)
        return found

    def _held(self, query: BarQuery) -> list[Holding]:
        held = self._by_name.get((query.vendor_symbol, query.timeframe))
        if not held:
            name = self.name.partition(":")[2]
            raise UnknownSymbol(
                f"{self.name} holds no {query.timeframe} bars of {query.vendor_symbol};"
                f" `mdc files show {name}` lists what it holds",
                provider=self.name,
            )
        return held

    def _local(self) -> UnsupportedRequest:
        return UnsupportedRequest(f"{self.name} reads files; call fetch_page", provider=self.name)


class _RawLookup:
    """Return row i of a page as its file writes it."""

    def __init__(self, page: FoundRows) -> None:
        self._page = page
        self._files: dict[int, RawRows] = {}

    def __call__(self, i: int) -> object:
        """Return the file, the place in it, and what stands there."""
        owner = int(self._page.owner[i])
        if owner not in self._files:
            rows = self._page.part.row[self._page.owner == owner]
            self._files[owner] = RawRows(self._page.files[owner], rows)
        return self._files[owner].row(int(self._page.part.row[i]))


def _capabilities(source: DeclaredSource) -> Capabilities:
    """Declare whatever some file of the layout may hold; `capability_for` knows each series."""
    forms = source.layout.formats()
    base = forms[0]
    capability = SeriesCapability(
        adjustment=base.adjustment,
        max_rows=PAGE_ROWS,
        adjustments=tuple(dict.fromkeys(form.adjustment for form in forms)),
        anchor=base.anchor,
        anchors=tuple(dict.fromkeys(form.anchor for form in forms)),
        hours=tuple(dict.fromkeys(form.hours for form in forms)),
    )
    return Capabilities(
        as_of="as declared",
        base_url="",
        needs_key=False,
        timeframes=dict.fromkeys(Timeframe, capability),
        rate_limits=(),
        max_in_flight=4,
        finality_delay=timedelta(0),
        networked=False,
        max_bad_percent=source.layout.max_bad_percent,
    )


def _page_end(at: NDArray[np.int64], first: int) -> int:
    """Return where a page ends: rows of one stamp stay together, since they may contradict."""
    last = first + PAGE_ROWS
    if last >= len(at):
        return len(at)
    start = int(np.searchsorted(at, at[last], side="left"))
    return start if start > first else int(np.searchsorted(at, at[last], side="right"))


def _cut(found: FoundRows, rows: slice) -> FoundRows:
    return FoundRows(found.part.take(rows), found.owner[rows], found.files)


def _bars(part: Part) -> Bars:
    columns: dict[str, Any] = dict(part.numbers)
    trades = columns.pop("trades", None)
    if trades is not None:
        whole = np.where(np.abs(trades) <= _MOST_TRADES, trades, -1)
        columns["trades"] = np.rint(whole).astype(np.int32)
    absent = np.full(len(part.ts), np.nan)
    prices = {role: columns.pop(role, absent) for role in ("open", "high", "low", "close")}
    return Bars.build(ts=part.ts, **prices, **columns)


def _version(found: FoundRows) -> str:
    digest = hashlib.sha256()
    for listed in found.files:
        digest.update(repr(listed.version).encode())
    return digest.hexdigest()[:16]


def _digest(part: Part) -> str:
    digest = hashlib.sha256()
    for column in (part.ts, *part.numbers.values()):
        digest.update(np.ascontiguousarray(column).data)
    return digest.hexdigest()
