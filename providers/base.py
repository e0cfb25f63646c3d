"""The contract of a provider adapter: declared facts, and pure functions between wire and bars."""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar, Protocol

from providers.errors import UnsupportedRequest
from providers.instruments import Listing
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


class PageOrder(enum.StrEnum):
    """Name the order of rows across pages."""

    ASCENDING = "ascending"
    NEWEST_FIRST = "newest_first"


@dataclass(frozen=True, slots=True)
class RateLimit:
    """State `n` requests per `window`; dated configuration, never a promise."""

    n: int
    window: timedelta


@dataclass(frozen=True, slots=True)
class SeriesCapability:
    """State what one timeframe offers at a provider.

    `adjustment` is the basis of what arrives unless another one of `adjustments` is asked for,
    and `anchor` likewise; `max_rows` and `max_span` bound one request; `lookback` bounds how far
    into the past the provider reaches (None: unlimited); `hours` are what it can serve.
    """

    adjustment: Adjustment
    max_rows: int
    max_span: timedelta | None = None
    lookback: timedelta | None = None
    anchor: Anchor = Anchor.OPEN
    adjustments: tuple[Adjustment, ...] = ()
    anchors: tuple[Anchor, ...] = ()
    hours: tuple[Hours, ...] = (Hours.REGULAR,)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Declare everything mdc must know of a provider before it asks anything.

    `as_of` dates the figures. `finality_delay` is how long after a bar's end its values may
    still move. `networked` is False for providers that compute their answers locally.
    `max_bad_percent` replaces the user's limit of bad rows in a slice; None leaves it.
    """

    as_of: str
    base_url: str
    needs_key: bool
    timeframes: Mapping[Timeframe, SeriesCapability]
    rate_limits: tuple[RateLimit, ...]
    max_in_flight: int
    finality_delay: timedelta
    page_order: PageOrder = PageOrder.ASCENDING
    has_volume: bool = True
    networked: bool = True
    request_deadline: timedelta = timedelta(seconds=60)
    max_response_bytes: int = 64 * 1024 * 1024
    max_bad_percent: int | None = None
    notes: tuple[str, ...] = field(default=())


class Edge(Protocol):
    """Send one request and return the answer, or raise a ProviderError; never a retry inside."""

    def send(self, request: Request, *, depart: Callable[[], None] | None = None) -> Response:
        """Send one GET.

        `depart` is called when nothing is left to do but to send, and may wait: the request leaves
        when it returns. It may be called again where the way was lost meanwhile. What it raises
        comes out, and then nothing has left.
        """
        ...


class Adapter(ABC):
    """Translate between BarQuery and a provider's wire format; holds no state and does no I/O."""

    # To be raised whenever `parse` reads the same answer otherwise than before: `mdc reconcile
    # --parsed-before` finds by it what was stored by an earlier reading.
    version: ClassVar[int] = 1

    @property
    @abstractmethod
    def name(self) -> str:
        """Return the provider's name, in lower case."""

    @property
    @abstractmethod
    def capabilities(self) -> Capabilities:
        """Return what is declared of the provider."""

    @abstractmethod
    def build_request(
        self, query: BarQuery, *, token: str | None, credentials: Credentials, base_url: str
    ) -> Request:
        """Build the request for the first page (token None) or a following one.

        Raises UnsupportedRequest where the provider cannot serve the query at all.
        """

    @abstractmethod
    def parse(self, query: BarQuery, response: Response) -> Page:
        """Read one answer of any status into a Page, or raise the ProviderError it means.

        Rows keep the provider's order; nothing is dropped, sorted or repaired here.
        """

    def parse_page(self, query: BarQuery, response: Response, *, token: str | None) -> Page:
        """Read the answer to `build_request` with the same token.

        For providers whose further pages are of another kind; to all others a page is a page.
        """
        return self.parse(query, response)

    def fetch_page(
        self,
        query: BarQuery,
        *,
        token: str | None,
        credentials: Credentials,
        base_url: str,
        edge: Edge,
    ) -> Page:
        """Fetch and parse one page; local providers override this and ignore the edge."""
        request = self.build_request(query, token=token, credentials=credentials, base_url=base_url)
        return self.parse_page(query, edge.send(request), token=token)

    def capability_for(self, query: BarQuery) -> SeriesCapability:
        """Return what the provider declares for the query's series.

        Raises UnsupportedRequest naming what is served instead.
        """
        capability = self.capabilities.timeframes.get(query.timeframe)
        if capability is None:
            served = ", ".join(timeframe.value for timeframe in self.capabilities.timeframes)
            raise self._unsupported(f"bars of {query.timeframe}; ask for one of {served}")
        if query.adjustment not in (capability.adjustment, *capability.adjustments):
            raise self._unsupported(
                f"{query.adjustment} prices at {query.timeframe}; ask for {capability.adjustment}"
            )
        if query.timeframe.is_intraday:
            if query.hours not in capability.hours:
                hours = " or ".join(capability.hours)
                raise self._unsupported(
                    f"{query.hours} hours at {query.timeframe}; ask for {hours} hours"
                )
            if query.anchor not in (capability.anchor, *capability.anchors):
                raise self._unsupported(
                    f"{query.timeframe} bars counted from the {query.anchor}; "
                    f"ask for anchor {capability.anchor}"
                )
        return capability

    def reach(self, query: BarQuery) -> tuple[datetime, datetime] | None:
        """Return the stamps [first, end) that the provider holds of the query's series.

        None, the usual answer: not known without asking. The query's own window is ignored.
        """
        return None

    def guess_listing(self, vendor_symbol: str) -> Listing | None:
        """Read what the spelling of a symbol alone says of it, without asking the provider."""
        return None

    def build_listing_request(
        self, vendor_symbol: str, *, credentials: Credentials, base_url: str
    ) -> Request | None:
        """Build the request that looks one symbol up; None where the provider has none."""
        return None

    def parse_listing(self, vendor_symbol: str, response: Response) -> Listing:
        """Read the answer to `build_listing_request`; raises the ProviderError it means."""
        raise self._unsupported("facts about symbols")

    def _unsupported(self, what: str) -> UnsupportedRequest:
        return UnsupportedRequest(f"{self.name} does not serve {what}", provider=self.name)

    def count_requests(self, query: BarQuery) -> int:
        """Predict how many requests the query takes, from the declared page size alone."""
        capability = self.capabilities.timeframes[query.timeframe]
        expected = max(1, (query.end - query.start) // query.timeframe.duration)
        return -(-expected // capability.max_rows)
