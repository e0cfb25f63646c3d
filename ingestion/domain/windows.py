"""Half-open UTC windows, and the exact way between datetimes and integer microseconds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US


class InvalidWindow(ValueError):
    """Signal a window that is empty, reversed or not in UTC."""

    def __init__(self, start: datetime, end: datetime, *, reason: str) -> None:
        super().__init__(f"window [{start}, {end}) {reason}")
        self.start = start
        self.end = end
        self.reason = reason


def to_us(moment: datetime) -> int:
    """Convert an aware datetime to microseconds since the Unix epoch, without rounding."""
    return (moment - EPOCH) // MICROSECOND


def from_us(us: int) -> datetime:
    """Convert microseconds since the Unix epoch to a UTC datetime, without rounding."""
    return EPOCH + timedelta(microseconds=int(us))


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """Hold a non-empty half-open interval [start, end) of UTC time.

    Raises InvalidWindow for naive or non-UTC datetimes and for an end not after the start.
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        for moment in (self.start, self.end):
            if moment.utcoffset() != timedelta(0):
                raise InvalidWindow(
                    self.start, self.end, reason="must be given in UTC; convert both ends first"
                )
        if self.end <= self.start:
            raise InvalidWindow(
                self.start, self.end, reason="holds nothing; its end must lie after its start"
            )

    @classmethod
    def of_us(cls, start_us: int, end_us: int) -> Window:
        """Build a window from two counts of microseconds since the epoch."""
        return cls(from_us(start_us), from_us(end_us))

    @property
    def start_us(self) -> int:
        """Return the start in microseconds since the epoch."""
        return to_us(self.start)

    @property
    def end_us(self) -> int:
        """Return the exclusive end in microseconds since the epoch."""
        return to_us(self.end)

    @property
    def duration(self) -> timedelta:
        """Return the length."""
        return self.end - self.start

    def intersect(self, other: Window) -> Window | None:
        """Return the common part, or None where the two do not overlap."""
        start, end = max(self.start, other.start), min(self.end, other.end)
        return Window(start, end) if start < end else None
