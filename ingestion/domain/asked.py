"""What a definition's job is to fetch, from the moment it is fired until planning resolves it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final, assert_never

from ingestion.domain.schedules import ScheduleAction
from ingestion.domain.spec import HISTORICAL_PRIORITY
from ingestion.domain.states import JobKind
from ingestion.domain.windows import Window
from providers.types import Adjustment, Hours, Timeframe

HIGHEST_PRIORITY: Final = 255


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
        """Return which kind of job does it."""
        return kind_of(self.action, bounded=self.window is not None)

    @property
    def start(self) -> datetime:
        """Return the stamp at which the history begins that the definition wants."""
        return datetime.combine(self.history_start, time.min, tzinfo=UTC)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Asked:
        """Read job.request, as ingestion.store.fired_jobs writes it."""
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


def kind_of(action: ScheduleAction, *, bounded: bool) -> JobKind:
    """Return which kind of job does an action; a repair of no window in particular fills holes."""
    match action:
        case ScheduleAction.UPDATE:
            return JobKind.UPDATE
        case ScheduleAction.VERIFY:
            return JobKind.RECONCILE
        case ScheduleAction.REPAIR:
            return JobKind.REPAIR if bounded else JobKind.UPDATE
        case ScheduleAction.INSPECT:
            raise ValueError("an inspection fetches nothing")
        case _:
            assert_never(action)


def priority_bounds(action: ScheduleAction) -> tuple[int, int]:
    """Return the lowest and the highest priority of an action's jobs, whatever is declared.

    Repairs may not wait for less, and verifications, which nobody waits for, may not hold up what
    is not there yet.
    """
    match action:
        case ScheduleAction.REPAIR:
            return HISTORICAL_PRIORITY[JobKind.REPAIR], HIGHEST_PRIORITY
        case ScheduleAction.VERIFY:
            return 0, HISTORICAL_PRIORITY[JobKind.RECONCILE]
        case ScheduleAction.UPDATE | ScheduleAction.INSPECT:
            return 0, HIGHEST_PRIORITY
        case _:
            assert_never(action)


def _window(pair: list[str] | None) -> Window | None:
    return Window(*(datetime.fromisoformat(one) for one in pair)) if pair else None
