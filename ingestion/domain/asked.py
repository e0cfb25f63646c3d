"""What a definition's job is to fetch, from the moment it is fired until planning resolves it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, assert_never

from ingestion.domain.schedules import ScheduleAction
from ingestion.domain.spec import HISTORICAL_PRIORITY, JobSpec
from ingestion.domain.states import JobKind
from ingestion.domain.windows import Window
from providers.types import Adjustment, Hours, Timeframe


@dataclass(frozen=True, slots=True)
class Asked:
    """Hold a definition as it was when its job was fired, and what of it is meant.

    `session` is the label of the session that a verification is about, None for the last closed
    one of each venue; `window`, in UTC, comes from a signal or a person. `symbols` without a known
    venue trade at `venue`.
    """

    action: ScheduleAction
    provider: str
    symbols: tuple[str, ...]
    timeframe: Timeframe
    adjustment: Adjustment | None
    hours: Hours
    venue: str
    history_start: date
    slice_span: timedelta | None = None
    session: date | None = None
    window: Window | None = None

    @property
    def kind(self) -> JobKind:
        """Return which kind of job does it; a repair of no window in particular fills holes."""
        match self.action:
            case ScheduleAction.UPDATE:
                return JobKind.UPDATE
            case ScheduleAction.VERIFY:
                return JobKind.RECONCILE
            case ScheduleAction.REPAIR:
                return JobKind.REPAIR if self.window else JobKind.UPDATE
            case ScheduleAction.INSPECT:
                raise ValueError("an inspection fetches nothing")
            case _:
                assert_never(self.action)

    @property
    def start(self) -> datetime:
        """Return the stamp at which the history begins that the definition wants."""
        return datetime.combine(self.history_start, time.min, tzinfo=UTC)

    def priority(self, declared: int) -> int:
        """Return the job's priority: the declared one, but repairs may not wait for less.

        Nor may verifications, which nobody waits for, hold up what is not there yet.
        """
        match self.action:
            case ScheduleAction.REPAIR:
                return max(declared, HISTORICAL_PRIORITY[JobKind.REPAIR])
            case ScheduleAction.VERIFY:
                return min(declared, HISTORICAL_PRIORITY[JobKind.RECONCILE])
            case ScheduleAction.UPDATE | ScheduleAction.INSPECT:
                return declared
            case _:
                assert_never(self.action)

    def unresolved_spec(self) -> JobSpec:
        """Return the spec that stands on the job until its series are resolved."""
        return JobSpec(
            provider=self.provider, series=(), start=self.start, end=None, rate_limit=None
        )

    def to_json(self) -> dict[str, Any]:
        """Write the form stored in job.request."""
        return {
            "action": self.action.value,
            "provider": self.provider,
            "symbols": list(self.symbols),
            "timeframe": self.timeframe.value,
            "adjustment": self.adjustment.value if self.adjustment else None,
            "hours": self.hours.value,
            "venue": self.venue,
            "history_start": self.history_start.isoformat(),
            "slice_span": self.slice_span.total_seconds() if self.slice_span else None,
            "session": self.session.isoformat() if self.session else None,
            "window": (
                [self.window.start.isoformat(), self.window.end.isoformat()]
                if self.window
                else None
            ),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Asked:
        """Read the form stored in job.request."""
        return cls(
            action=ScheduleAction(data["action"]),
            provider=data["provider"],
            symbols=tuple(data["symbols"]),
            timeframe=Timeframe(data["timeframe"]),
            adjustment=Adjustment(data["adjustment"]) if data["adjustment"] else None,
            hours=Hours(data["hours"]),
            venue=data["venue"],
            history_start=date.fromisoformat(data["history_start"]),
            slice_span=timedelta(seconds=data["slice_span"]) if data["slice_span"] else None,
            session=date.fromisoformat(data["session"]) if data["session"] else None,
            window=_window(data["window"]),
        )


def _window(pair: list[str] | None) -> Window | None:
    return Window(*(datetime.fromisoformat(one) for one in pair)) if pair else None
