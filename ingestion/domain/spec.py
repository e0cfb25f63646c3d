"""A request for work, and its frozen form on the job row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, assert_never

from ingestion.domain.states import JobKind, Workload
from ingestion.domain.windows import Window
from providers.base import RateLimit
from providers.types import Adjustment, Anchor, Hours, Timeframe

REALTIME_PRIORITY = 200
# Between realtime and repairs: what someone waits for; its urgency says where within.
ENSURE_PRIORITY = 180
HISTORICAL_PRIORITY: Final[Mapping[JobKind, int]] = {
    JobKind.REPAIR: 150,
    JobKind.UPDATE: 120,
    JobKind.BACKFILL: 100,
    JobKind.RECONCILE: 100,
}
DEFAULT_TRIES = 5
DEFAULT_CONCURRENCY = 5
DEFAULT_SLICES_PER_ROUND = 5
DEFAULT_LOOKBACK = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class JobRequest:
    """Say what a person or program wants fetched.

    `start` and `end` bound a half-open UTC window in stamp space; `end` is None for realtime work,
    which polls every `poll_seconds`, and for updates, which reach to the newest settled bar. An
    update without `start` begins, per series, where coverage ends, or `lookback` ago where nothing
    is stored. `retry_delay`, in seconds, replaces the base of the retry class; without `validate`
    only what no table can hold is refused; `targets` are names, None for all that match. None
    elsewhere means the default of the workload or, for `adjustment`, the basis that the provider's
    adapter declares.
    """

    provider: str
    symbols: tuple[str, ...]
    timeframes: tuple[Timeframe, ...]
    start: datetime | None
    end: datetime | None
    workload: Workload = Workload.HISTORICAL
    kind: JobKind = JobKind.BACKFILL
    adjustment: Adjustment | None = None
    hours: Hours = Hours.REGULAR
    venue: str | None = None
    priority: int | None = None
    tries: int | None = None
    retry_class: str = "fast"
    rate_limit: RateLimit | None = None
    slice_span: timedelta | None = None
    slices_per_round: int | None = None
    max_concurrency: int | None = None
    poll_seconds: int | None = None
    request_key: str | None = None
    lookback: timedelta = DEFAULT_LOOKBACK
    retry_delay: float | None = None
    validate: bool = True
    targets: tuple[str, ...] | None = None


def default_priority(workload: Workload, kind: JobKind) -> int:
    """Return the priority of work of which nobody said any."""
    match workload:
        case Workload.REALTIME:
            return REALTIME_PRIORITY
        case Workload.HISTORICAL:
            return HISTORICAL_PRIORITY[kind]
        case _:
            assert_never(workload)


# Half-open; None where it is open.
Named = tuple[datetime | None, datetime | None]


@dataclass(frozen=True, slots=True)
class Sample:
    """Mean only a `share` of a series' slices, above 0 and at most 1, as drawn by the seed.

    Of slices and not of sessions, because a request costs the same for one session as for all that
    it can hold.
    """

    share: float
    seed: str


@dataclass(frozen=True, slots=True)
class SeriesSpec:
    """Name one series of a job, resolved to what is stored and what is asked.

    `start` and `end` are the part of the job's window that the provider can serve and that was
    final when the job was opened; both are None where there was none. Within them the job means
    all, or `only` some windows, ascending, and of their slices all or a `sample`. `named` are
    the times in which the provider has a name for the instrument, ascending; empty where it always
    had the same.
    """

    series_id: int
    symbol: str
    vendor_symbol: str
    venue: str
    timeframe: Timeframe
    adjustment: Adjustment
    hours: Hours
    anchor: Anchor
    span: timedelta
    listed_from: datetime | None
    start: datetime | None
    end: datetime | None
    named: tuple[Named, ...] = ()
    only: tuple[tuple[datetime, datetime], ...] = ()
    sample: Sample | None = None

    def meant(self) -> list[Window]:
        """Return the windows that the job means, ascending; its sample aside."""
        if self.start is None or self.end is None:
            return []
        asked = Window(self.start, self.end)
        parts = [asked.intersect(Window(*one)) for one in self.only] if self.only else [asked]
        return [part for part in parts if part]

    def to_json(self) -> dict[str, Any]:
        """Write the form that stands in job.spec."""
        form: dict[str, Any] = {
            "series_id": self.series_id,
            "symbol": self.symbol,
            "vendor_symbol": self.vendor_symbol,
            "venue": self.venue,
            "timeframe": self.timeframe.value,
            "adjustment": self.adjustment.value,
            "hours": self.hours.value,
            "anchor": self.anchor.value,
            "span_seconds": self.span.total_seconds(),
            "listed_from": _write(self.listed_from),
            "start": _write(self.start),
            "end": _write(self.end),
            "named": [[_write(start), _write(end)] for start, end in self.named],
        }
        if self.only:
            form["only"] = [[start.isoformat(), end.isoformat()] for start, end in self.only]
        if self.sample:
            form["sample"] = {"share": self.sample.share, "seed": self.sample.seed}
        return form

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SeriesSpec:
        """Read the form that stands in job.spec."""
        return cls(
            series_id=data["series_id"],
            symbol=data["symbol"],
            vendor_symbol=data["vendor_symbol"],
            venue=data["venue"],
            timeframe=Timeframe(data["timeframe"]),
            adjustment=Adjustment(data["adjustment"]),
            hours=Hours(data["hours"]),
            anchor=Anchor(data["anchor"]),
            span=timedelta(seconds=data["span_seconds"]),
            listed_from=_read(data["listed_from"]),
            start=_read(data["start"]),
            end=_read(data["end"]),
            named=tuple((_read(start), _read(end)) for start, end in data.get("named", ())),
            only=tuple(
                (datetime.fromisoformat(start), datetime.fromisoformat(end))
                for start, end in data.get("only", ())
            ),
            sample=Sample(**data["sample"]) if "sample" in data else None,
        )


@dataclass(frozen=True, slots=True)
class JobSpec:
    """Hold what a job does, as frozen when it was opened."""

    provider: str
    series: tuple[SeriesSpec, ...]
    start: datetime
    end: datetime | None
    rate_limit: RateLimit | None

    def windows(self) -> dict[int, Window]:
        """Return what is asked of each series, by its id; those asked nothing are absent."""
        return {
            one.series_id: Window(one.start, one.end)
            for one in self.series
            if one.start and one.end
        }

    def to_json(self) -> dict[str, Any]:
        """Write the form stored in job.spec."""
        return {
            "provider": self.provider,
            "start": self.start.isoformat(),
            "end": _write(self.end),
            "rate_limit": (
                {"n": self.rate_limit.n, "seconds": self.rate_limit.window.total_seconds()}
                if self.rate_limit
                else None
            ),
            "series": [one.to_json() for one in self.series],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> JobSpec:
        """Read the form stored in job.spec."""
        limit = data["rate_limit"]
        return cls(
            provider=data["provider"],
            start=datetime.fromisoformat(data["start"]),
            end=_read(data["end"]),
            rate_limit=(
                RateLimit(n=limit["n"], window=timedelta(seconds=limit["seconds"]))
                if limit
                else None
            ),
            series=tuple(SeriesSpec.from_json(one) for one in data["series"]),
        )


def _write(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _read(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
