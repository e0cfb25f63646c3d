"""Synthetic bars for any symbol, computed here: for demos, tests and planning without a network.

Prices walk with an annual volatility of 25 % (`providers.synthesis.ANNUAL_VOLATILITY`), minute
volumes are U-shaped, and bars exist exactly where the venue of the query has regular sessions;
nothing trades outside of them. The same symbol has the same bars in every process, whatever
window is asked; it never splits nor pays, so every adjustment is the same. There is no clock
here: a window that reaches into the future is answered too, and the caller clips it.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import ClassVar, Final

import numpy as np

from providers.bars import Bars
from providers.base import Adapter, Capabilities, Edge, SeriesCapability
from providers.errors import UnsupportedRequest
from providers.instants import floor_date, floor_dates, from_us, next_date, to_us
from providers.instruments import Listing
from providers.reference.spellings import read_contract_symbol
from providers.sessiongrid import SessionGrid
from providers.sessions import Stamps
from providers.synthesis import TICKS_PER_UNIT, Candles, daily_candles, minute_candles
from providers.types import (
    Adjustment,
    Anchor,
    BarQuery,
    Credentials,
    Hours,
    Page,
    Request,
    Response,
    Timeframe,
)
from providers.venues import load_calendar

PAGE_ROWS: Final = 10_000


class Synthetic(Adapter):
    """Serve invented bars without a network; `count_requests` is exact."""

    name: ClassVar[str] = "synthetic"
    capabilities: ClassVar[Capabilities] = Capabilities(
        as_of="2026-11",
        base_url="",
        needs_key=False,
        timeframes={
            timeframe: SeriesCapability(
                adjustment=Adjustment.RAW,
                max_rows=PAGE_ROWS,
                adjustments=(Adjustment.SPLIT, Adjustment.SPLIT_DIV),
                anchors=(Anchor.CLOCK,),
                hours=(Hours.REGULAR, Hours.EXTENDED),
            )
            for timeframe in Timeframe
        },
        rate_limits=(),
        max_in_flight=4,
        finality_delay=timedelta(0),
        networked=False,
    )

    def fetch_page(
        self,
        query: BarQuery,
        *,
        token: str | None,
        credentials: Credentials,
        base_url: str,
        edge: Edge,
    ) -> Page:
        """Compute one page; the token is the first stamp, in µs, of the page.

        Raises UnsupportedRequest and UnknownVenue.
        """
        self.capability_for(query)
        start, end = to_us(query.start), to_us(query.end)
        first = start if token is None else int(token)
        if query.timeframe.is_intraday:
            stamps, candles, following = _intraday_page(query, first, end)
        else:
            stamps, candles, following = _daily_page(query, first, end)
        return _page(stamps, candles, following)

    def count_requests(self, query: BarQuery) -> int:
        """Count the requests exactly; an empty window takes one as well."""
        self.capability_for(query)
        start, end = to_us(query.start), to_us(query.end)
        if query.timeframe.is_intraday:
            rows = _grid(query, start, end).count(start, end)
        else:
            rows = len(_period_candles(query, start, end)[0])
        return max(1, -(-rows // PAGE_ROWS))

    def guess_listing(self, vendor_symbol: str) -> Listing | None:
        """Read the code of a futures contract; every other name is any stock's."""
        return read_contract_symbol(vendor_symbol)

    def build_request(
        self, query: BarQuery, *, token: str | None, credentials: Credentials, base_url: str
    ) -> Request:
        """Refuse: there is nobody to send a request to."""
        raise self._local()

    def parse(self, query: BarQuery, response: Response) -> Page:
        """Refuse: there is no answer to read."""
        raise self._local()

    def _local(self) -> UnsupportedRequest:
        return UnsupportedRequest(
            "synthetic computes its bars locally; call fetch_page", provider=self.name
        )


def _daily_page(query: BarQuery, start: int, end: int) -> tuple[Stamps, Candles, int | None]:
    stamps, candles = _period_candles(query, start, end)
    following = int(stamps[PAGE_ROWS]) if len(stamps) > PAGE_ROWS else None
    return stamps[:PAGE_ROWS], candles.rows(slice(0, PAGE_ROWS)), following


def _period_candles(query: BarQuery, start: int, end: int) -> tuple[Stamps, Candles]:
    """Return the 1d, 1w or 1mo candles stamped in [start, end)."""
    sessions, days = daily_candles(query.vendor_symbol, query.venue)
    timeframe = query.timeframe
    whole = (floor_date(start, timeframe), next_date(floor_date(end - 1, timeframe), timeframe))
    first, last = np.searchsorted(sessions.labels, whole)
    labels, days = sessions.labels[first:last], days.rows(slice(first, last))
    if timeframe is Timeframe.D1 or not len(labels):
        stamps, candles = labels, days
    else:
        periods = floor_dates(labels, timeframe)
        edges = np.flatnonzero(np.diff(periods, prepend=periods[0] - 1))
        stamps = periods[edges]
        candles = days.merged(edges, ends=np.append(edges[1:], len(periods)))
    inside = slice(*np.searchsorted(stamps, (start, end)))
    return stamps[inside], candles.rows(inside)


def _grid(query: BarQuery, start: int, end: int) -> SessionGrid:
    sessions = load_calendar(query.venue)
    grid = SessionGrid.over(
        sessions, timeframe=query.timeframe, anchor=query.anchor, start_us=start, end_us=end
    )
    if grid.crosses_sessions:
        raise UnsupportedRequest(
            f"synthetic does not join sessions of {query.venue} into {query.timeframe} bars "
            "counted from the clock; ask for anchor open",
            provider="synthetic",
        )
    return grid


def _intraday_page(query: BarQuery, start: int, end: int) -> tuple[Stamps, Candles, int | None]:
    grid = _grid(query, start, end)
    # One row more than the page holds tells where the next one starts.
    grid = grid.first_sessions(start, PAGE_ROWS + 1)
    sessions, days = daily_candles(query.vendor_symbol, query.venue)
    total = grid.total
    stamps = np.empty(total, np.int64)
    columns = np.empty((5, total), np.int64)
    for group in grid.groups():
        chosen = np.searchsorted(sessions.labels, group.labels)
        minutes = minute_candles(
            query.vendor_symbol, group.labels, days.rows(chosen), group.minutes
        )
        merged = minutes.merged(group.edges, ends=group.ends)
        stamps[group.places] = group.stamps
        for column, values in zip(columns, merged.arrays(), strict=True):
            column[group.places] = values
    inside = slice(*np.searchsorted(stamps, (start, end)))
    stamps, candles = stamps[inside], Candles(*columns[:, inside])
    following = int(stamps[PAGE_ROWS]) if len(stamps) > PAGE_ROWS else None
    return stamps[:PAGE_ROWS], candles.rows(slice(0, PAGE_ROWS)), following


def _page(stamps: Stamps, candles: Candles, following: int | None) -> Page:
    open_, high, low, close = (column / TICKS_PER_UNIT for column in candles.prices())
    volume = candles.volume.astype(np.float64)
    digest = hashlib.sha256()
    for column in (stamps, *candles.arrays()):
        digest.update(np.ascontiguousarray(column).data)

    def raw_row(i: int) -> object:
        prices = [int(column[i]) / TICKS_PER_UNIT for column in candles.prices()]
        return [int(stamps[i]), *prices, int(candles.volume[i])]

    return Page(
        bars=Bars.build(ts=stamps, open=open_, high=high, low=low, close=close, volume=volume),
        next_token=None if following is None else str(following),
        resume_from=None if following is None else from_us(following),
        proven_until=None,
        raw_row=raw_row,
        payload_sha=digest.hexdigest(),
        payload_bytes=0,
    )
