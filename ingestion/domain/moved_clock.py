"""A clock that shows another time than the machine's, for rehearsals."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

_FORM: Final = re.compile(r"(?P<anchor>[^=*]+)=(?P<shown>[^=*]+)(?:\*(?P<rate>\d+(?:\.\d+)?))?")


class BadClock(ValueError):
    """Signal a text that describes no clock."""


@dataclass(frozen=True, slots=True)
class MovedClock:
    """Show `shown` at the machine's time `anchor`, and run `rate` times as fast from there."""

    anchor: datetime
    shown: datetime
    rate: float

    @classmethod
    def parse(cls, text: str) -> MovedClock:
        """Read ANCHOR=SHOWN[*RATE], both with their offset from UTC; raises BadClock."""
        found = _FORM.fullmatch(text.strip())
        if found is None:
            raise BadClock(text)
        rate = float(found["rate"] or 1)
        if not 0 < rate <= 100_000:
            raise BadClock(text)
        return cls(anchor=_instant(found["anchor"]), shown=_instant(found["shown"]), rate=rate)

    def at(self, present: datetime) -> datetime:
        """Return what the clock shows at a time of the machine."""
        return self.shown + (present - self.anchor) * self.rate


def _instant(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise BadClock(text) from error
    if moment.tzinfo is None:
        raise BadClock(text)
    return moment.astimezone(UTC)
