"""Fetch one slice page by page and validate what arrived; runs in a thread, never in PostgreSQL."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from ingestion.domain.quality import DEFAULT_MAX_BAD_FRACTION
from ingestion.domain.windows import MICROSECOND, Window, to_us
from ingestion.services.permits import NoPermit, PermitDesk
from ingestion.services.validate_answer import Refused, validate_answer
from ingestion.store.claim import Claimed
from ingestion.store.crashpoints import crash_point
from ingestion.store.series import SeriesFacts
from providers.bars import Bars
from providers.base import Adapter, Edge
from providers.bytebudget import ByteBudget
from providers.errors import AuthError, NoData, ProviderError, TransientError
from providers.instruments import CorporateAction
from providers.types import BarQuery, Credentials, Page

# Decoding a large body takes several times its size: one at a time keeps the process small.
_LARGE_BODY = 1024 * 1024
_DECODING = threading.Lock()


@dataclass(frozen=True, slots=True)
class Access:
    """Hold everything a fetch needs of one provider; made by the shells from the settings."""

    adapter: Adapter
    credentials: Credentials
    base_url: str
    edge: Edge
    bytes_in_flight: ByteBudget


@dataclass(frozen=True, slots=True)
class QualityRules:
    """Hold the user's limits for what may be stored."""

    minimum_bars: int = 0
    max_bad_fraction: float = DEFAULT_MAX_BAD_FRACTION


@dataclass(slots=True)
class Tally:
    """Count what one try costs, while it goes on; `adapter_version` is who reads the answers."""

    adapter_version: int = 1
    requests: int = 0
    pages: int = 0
    payload_bytes: int = 0
    payload_sha: str = ""
    waited: dict[str, float] = field(default_factory=dict)
    begun_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Fetched:
    """Hold the validated bars of one slice.

    `resume_from` is set where the slice was given back in mid-pagination: everything before it is
    complete. `proven_until_us` is how far silence means "no bar". `outside_hours` counts sound rows
    of a part of the day that the series does not hold; `actions` came along with the bars.
    `beside` are bars next to the window, asked for to be compared and never written; `drift` says
    in sentences how the payload differs from what its adapter knows.
    """

    claimed: Claimed
    facts: SeriesFacts
    window: Window
    bars: Bars
    refused: tuple[Refused, ...]
    rows_in: int
    collapsed: int
    proven_until_us: int | None
    resume_from: datetime | None
    tally: Tally
    outside_hours: int = 0
    actions: tuple[CorporateAction, ...] = ()
    beside: Bars = field(default_factory=Bars.empty)
    drift: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    """Hold what went wrong with one try; refused rows are kept for the quarantine."""

    claimed: Claimed
    facts: SeriesFacts
    error: ProviderError | Exception
    sent_at: datetime | None
    tally: Tally
    refused: tuple[Refused, ...] = ()
    rows_in: int = 0


@dataclass(frozen=True, slots=True)
class Yielded:
    """Say that a slice is to be given back untouched: a pause, a drain or an empty budget."""

    claimed: Claimed
    facts: SeriesFacts
    tally: Tally
    seconds: float

    @classmethod
    def of(cls, claimed: Claimed, facts: SeriesFacts) -> Yielded:
        """Give a slice back at once, as if it had never been claimed."""
        return cls(claimed, facts, Tally(), seconds=0.0)


class BadBatch(TransientError):
    """Signal that too little of an answer is fit to be stored."""


def fetch_slice(
    claimed: Claimed,
    facts: SeriesFacts,
    *,
    access: Access,
    permits: PermitDesk,
    rules: QualityRules,
    permit: tuple[float, float],
    stopped: Callable[[int], bool],
    asked: Window | None = None,
) -> Fetched | Failed | Yielded:
    """Fetch a claimed slice; `permit` is its first, (earliest, latest) in monotonic seconds.

    `asked` is a window around the slice's own whose further bars are only compared.
    """
    # The answers' bytes count as in flight until validation has let go of them.
    with access.bytes_in_flight.hold():
        return _fetch_and_validate(
            claimed,
            facts,
            access=access,
            permits=permits,
            rules=rules,
            permit=permit,
            stopped=stopped,
            asked=asked or Window(claimed.start, claimed.end),
        )


def _fetch_and_validate(
    claimed: Claimed,
    facts: SeriesFacts,
    *,
    access: Access,
    permits: PermitDesk,
    rules: QualityRules,
    permit: tuple[float, float],
    stopped: Callable[[int], bool],
    asked: Window,
) -> Fetched | Failed | Yielded:
    tally = Tally(adapter_version=access.adapter.version)
    query = replace(facts.query(claimed.start, claimed.end), start=asked.start, end=asked.end)
    try:
        pages, resume_from = _fetch_pages(
            query,
            claimed=claimed,
            access=access,
            permits=permits,
            permit=permit,
            stopped=stopped,
            tally=tally,
        )
    except NoPermit as nothing:
        return Yielded(claimed, facts, tally, seconds=nothing.seconds)
    except ProviderError as error:
        return Failed(claimed, facts, error, sent_at=tally.begun_at, tally=tally)
    except Exception as error:  # noqa: BLE001 an unknown exception is a bug, recorded with its trace
        return Failed(claimed, facts, error, sent_at=tally.begun_at, tally=tally)
    crash_point("fetch.after_response", subject=f"{facts.symbol}@{claimed.start:%Y-%m-%d}")
    if resume_from and resume_from >= claimed.end:
        resume_from = None  # only bars to compare are lacking
    end = resume_from or claimed.end
    if end <= claimed.start:
        return Yielded(claimed, facts, tally, seconds=0.0)
    return _validate(
        claimed,
        facts,
        pages,
        window=Window(claimed.start, end),
        asked=asked if resume_from is None else Window(asked.start, end),
        resume_from=resume_from,
        access=access,
        rules=rules,
        tally=tally,
    )


def _fetch_pages(
    query: BarQuery,
    *,
    claimed: Claimed,
    access: Access,
    permits: PermitDesk,
    permit: tuple[float, float],
    stopped: Callable[[int], bool],
    tally: Tally,
) -> tuple[list[Page], datetime | None]:
    """Fetch page after page; the second value is where to resume after an early end."""
    _require_key(access)
    pages: list[Page] = []
    token: str | None = None
    while True:
        depart = functools.partial(
            _depart,
            claimed=claimed,
            permits=permits,
            permit=permit,
            tally=tally,
            requests=tally.requests + 1,
        )
        try:
            page = _fetch_page(query, token=token, access=access, depart=depart, tally=tally)
        except NoPermit:
            if pages and pages[-1].resume_from:
                return pages, pages[-1].resume_from
            raise
        except NoData:
            return pages, None  # what earlier pages brought stays true
        pages.append(page)
        token = page.next_token
        if token is None:
            return pages, None
        if page.resume_from and stopped(claimed.job_id):
            return pages, page.resume_from
        permit = permits.EXPIRED


def _depart(
    *,
    claimed: Claimed,
    permits: PermitDesk,
    permit: tuple[float, float],
    tally: Tally,
    requests: int,
) -> None:
    """Wait for the moment at which a request may leave, and count it; raises NoPermit."""
    permits.wait(permit, job_id=claimed.job_id, waited=tally.waited)
    tally.requests = requests
    tally.begun_at = permits.database_time()
    crash_point("fetch.before_request")


def _require_key(access: Access) -> None:
    """Spend no request on what can only be refused."""
    adapter = access.adapter
    if adapter.capabilities.needs_key and not access.credentials.key:
        raise AuthError(
            f"{adapter.name} needs a key; set MDC_PROVIDER_{adapter.name.upper()}_KEY for the"
            " workers, restart them and resume",
            provider=adapter.name,
        )


def _fetch_page(
    query: BarQuery,
    *,
    token: str | None,
    access: Access,
    depart: Callable[[], None],
    tally: Tally,
) -> Page:
    adapter = access.adapter
    if not adapter.capabilities.networked:
        depart()
        page = adapter.fetch_page(
            query,
            token=token,
            credentials=access.credentials,
            base_url=access.base_url,
            edge=access.edge,
        )
    else:
        request = adapter.build_request(
            query, token=token, credentials=access.credentials, base_url=access.base_url
        )
        response = access.edge.send(request, depart=depart)
        large = len(response.body) > _LARGE_BODY
        with _DECODING if large else contextlib.nullcontext():
            page = adapter.parse_page(query, response, token=token)
    tally.pages += 1
    tally.payload_bytes += page.payload_bytes
    tally.payload_sha = page.payload_sha
    return page


def _validate(
    claimed: Claimed,
    facts: SeriesFacts,
    pages: list[Page],
    *,
    window: Window,
    asked: Window,
    resume_from: datetime | None,
    access: Access,
    rules: QualityRules,
    tally: Tally,
) -> Fetched | Failed:
    answer = validate_answer(
        pages,
        facts=facts,
        window=window,
        as_of_us=to_us(tally.begun_at) if tally.begun_at else 0,
        finality_delay_us=access.adapter.capabilities.finality_delay // MICROSECOND,
        minimum_bars=rules.minimum_bars,
        max_bad_fraction=rules.max_bad_fraction,
        strict=claimed.validate,
        asked=asked,
    )
    if answer.failed:
        return Failed(
            claimed,
            facts,
            BadBatch(
                f"{facts.provider} sent {facts.symbol}/{facts.timeframe} bars that cannot be"
                f" stored: {answer.failed}; `SELECT * FROM quarantine` shows the rows",
                provider=facts.provider,
            ),
            sent_at=tally.begun_at,
            tally=tally,
            refused=answer.refused,
            rows_in=answer.rows_in,
        )
    return Fetched(
        claimed=claimed,
        facts=facts,
        window=window,
        bars=answer.bars,
        refused=answer.refused,
        rows_in=answer.rows_in,
        collapsed=answer.collapsed,
        proven_until_us=answer.proven_until_us,
        resume_from=resume_from,
        tally=tally,
        outside_hours=answer.outside_hours,
        actions=tuple(action for page in pages for action in page.actions),
        beside=answer.beside,
        drift=tuple(dict.fromkeys(sentence for page in pages for sentence in page.drift)),
    )
