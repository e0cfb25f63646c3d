"""Read the codes of futures contracts: root, month letter, year (ESZ2013, ESZ13, ESZ3).

Sources: CME's month letters; equity index futures of CME end with the opening of the third Friday
of March, June, September and December, or of the day before where that Friday is a holiday. Other
products end by rules that need a calendar of their own: their end is not stated here.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

MONTHS: Final = "FGHJKMNQUVXZ"
_CODE: Final = re.compile(rf"([A-Z0-9]{{1,4}}?)([{MONTHS}])(\d{{4}}|\d{{1,2}})")
_EQUITY_INDEX: Final = frozenset({"ES", "MES", "NQ", "MNQ", "YM", "MYM", "RTY", "M2K"})
_QUARTERLY: Final = "HMUZ"
_JUNETEENTH_SINCE: Final = 2022
_GOOD_FRIDAY_ON_THE_THIRD: Final = date(2008, 3, 21)
_CENTURY_TURNS: Final = 70

# The market segment that follows the dot in yahoo's name of a contract.
_SEGMENTS: Final = {
    "CME": "ES MES NQ MNQ RTY M2K 6E 6J 6B 6A 6C 6S 6N 6M HE LE GF",
    "CBT": "YM MYM ZB UB ZN TN ZF ZT ZC ZS ZW KE ZL ZO",
    "NYM": "CL MCL BZ NG RB HO PL PA",
    "CMX": "GC MGC SI SIL HG",
}
_SEGMENT_OF: Final = {
    root: segment for segment, roots in _SEGMENTS.items() for root in roots.split()
}
SEGMENTS: Final = frozenset(_SEGMENTS)


@dataclass(frozen=True, slots=True)
class Contract:
    """Name one delivery month of a future; `year` is None where the code gives its last digit."""

    root: str
    month: int
    year: int | None
    digit: int

    @property
    def symbol(self) -> str:
        """Return the canonical code, such as ESZ2013."""
        return f"{self.root}{MONTHS[self.month - 1]}{self.year or self.digit}"

    @property
    def delivery(self) -> str:
        """Return the delivery month for people, such as December 2013."""
        return f"{calendar.month_name[self.month]} {self.year or f'of a year in {self.digit}'}"

    @property
    def expiry(self) -> date | None:
        """Return the last date with a session, or None where it is not certain."""
        if (
            self.year is None
            or self.root not in _EQUITY_INDEX
            or MONTHS[self.month - 1] not in _QUARTERLY
        ):
            return None
        first = date(self.year, self.month, 1)
        friday = first + timedelta(days=(calendar.FRIDAY - first.weekday()) % 7 + 14)
        juneteenth = self.year >= _JUNETEENTH_SINCE and (self.month, friday.day) == (6, 19)
        closed = juneteenth or friday == _GOOD_FRIDAY_ON_THE_THIRD
        return friday - timedelta(days=closed)

    @property
    def delisted_on(self) -> date | None:
        """Return the first date without a session."""
        return self.expiry + timedelta(days=1) if self.expiry else None

    def decades(self) -> list[Contract]:
        """Return the contracts of this century that a code with one digit may mean."""
        return [
            Contract(root=self.root, month=self.month, year=year, digit=self.digit)
            for year in range(2000 + self.digit, 2040, 10)
        ]

    def yahoo_spelling(self) -> str:
        """Return yahoo's name, such as ESZ13.CME; empty where the segment is not known."""
        segment = _SEGMENT_OF.get(self.root)
        if segment is None or self.year is None:
            return ""
        return f"{self.root}{MONTHS[self.month - 1]}{self.year % 100:02d}.{segment}"


def read_contract(code: str) -> Contract | None:
    """Take a contract's code apart; the root is not checked against any table."""
    match = _CODE.fullmatch(code)
    if match is None:
        return None
    root, letter, digits = match.groups()
    year: int | None = None
    if len(digits) == 4:
        year = int(digits)
        if not 1970 <= year < 2100:
            return None
    elif len(digits) == 2:
        year = int(digits) + (1900 if int(digits) >= _CENTURY_TURNS else 2000)
    return Contract(root=root, month=MONTHS.index(letter) + 1, year=year, digit=int(digits) % 10)
