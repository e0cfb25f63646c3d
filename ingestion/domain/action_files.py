"""Read splits and dividends out of text that people and LEAN write; pure, line by line.

LEAN's factor files have lines without a header, ascending, of date, price factor, split factor and
reference price: the factors that raw prices up to and including that session are multiplied by, and
that session's raw close. A change between two lines happened at the next session. Source:
QuantConnect, "US Equity Security Master" and Lean's Common/Data/Auxiliary/CorporateFactorRow.cs.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import pairwise
from typing import Final

from ingestion.domain.errors import BadRequest
from providers.instruments import ActionKind, CorporateAction
from providers.rounding import roundest

_COLUMNS: Final = ("symbol", "ex_date", "kind", "value", "currency")
_SURPLUS: Final = ""
_REQUIRED: Final = ("ex_date", "kind", "value")
# LEAN prints seven decimals, some of them padded by a zero.
_LEAN_ERROR: Final = 0.5e-7
_LEAN_FIELDS: Final = 4
_LONGEST_CURRENCY: Final = 8
_LONGEST_SOURCE: Final = 32


@dataclass(frozen=True, slots=True)
class Problem:
    """Hold what is wrong with a line of a file; lines count from 1."""

    line: int
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}"


class BadActionFile(BadRequest):
    """Signal lines that cannot be read; nothing of the file was taken."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
        super().__init__(
            f"nothing was imported: {problems[0]}{more}; correct the file and import it again",
            field="file",
        )
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class ReadAction:
    """Hold one action of a file, the symbol it is of, and the line that states it."""

    line: int
    symbol: str
    action: CorporateAction


def check_source(name: str) -> None:
    """Refuse what cannot name who states actions; raises BadRequest."""
    if not name.strip() or len(name) > _LONGEST_SOURCE:
        raise BadRequest(
            f"{name!r} names no source; give a word of at most {_LONGEST_SOURCE} characters",
            field="source",
        )


def read_csv(text: str, *, symbol: str | None) -> list[ReadAction]:
    """Read lines under a header `symbol,ex_date,kind,value[,currency]`.

    `symbol` stands for a column that is not there. Raises BadActionFile with every bad line.
    """
    rows = csv.DictReader(text.splitlines(), restkey=_SURPLUS)
    header = [name.strip().lower() for name in rows.fieldnames or ()]
    rows.fieldnames = header
    lacking = [name for name in _REQUIRED if name not in header]
    if symbol is None and "symbol" not in header:
        lacking.insert(0, "symbol")
    if lacking:
        raise BadActionFile(
            [Problem(1, f"the header lacks {', '.join(lacking)}; it is {','.join(_COLUMNS)}")]
        )
    read: list[ReadAction] = []
    problems: list[Problem] = []
    for row in rows:
        try:
            named, action = _read_row(row, symbol=symbol, fields=len(header))
        except ValueError as error:
            problems.append(Problem(rows.line_num, str(error)))
        else:
            read.append(ReadAction(rows.line_num, named, action))
    if problems:
        raise BadActionFile(problems)
    return read


def _read_row(
    row: Mapping[str, str | None], *, symbol: str | None, fields: int
) -> tuple[str, CorporateAction]:
    if _SURPLUS in row or None in row.values():
        raise ValueError(f"it has not {fields} fields")
    told = {name: (row.get(name) or "").strip() for name in _COLUMNS}
    named = told["symbol"] or symbol
    if not named:
        raise ValueError("it names no symbol")
    return named, read_action(told["ex_date"], told["kind"], told["value"], told["currency"])


def read_action(ex_date: str, kind: str, value: str, currency: str = "") -> CorporateAction:
    """Read one action as people write it; raises ValueError with what is wrong."""
    try:
        day = date.fromisoformat(ex_date)
    except ValueError:
        raise ValueError(f"{ex_date!r} is no date; write 2014-06-09") from None
    try:
        named = ActionKind(kind.lower())
    except ValueError:
        raise ValueError(f"{kind!r} is no kind of action; write split or dividend") from None
    amount = _ratio(value) if named is ActionKind.SPLIT else _number(value)
    if amount is None or not 0 < amount < math.inf:
        example = "7:1 or 7" if named is ActionKind.SPLIT else "0.82"
        raise ValueError(f"{value!r} is no {named}; write {example}")
    if currency and not (currency.isalnum() and len(currency) <= _LONGEST_CURRENCY):
        raise ValueError(f"{currency!r} is no currency; write a code such as USD")
    return CorporateAction(day, named, amount, currency.upper())


def _ratio(text: str) -> float | None:
    """Read new for old shares: 7:1, 7/1, 7-for-1 or 7."""
    new, separator, old = text.replace("-for-", ":").replace("/", ":").partition(":")
    shares, per = _number(new), _number(old) if separator else 1.0
    return shares / per if shares is not None and per else None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class _Factors:
    line: int
    day: date
    price: float
    split: float
    close: float


def read_lean(
    text: str, *, symbol: str, next_session: Callable[[date], date | None]
) -> list[ReadAction]:
    """Derive splits and dividends from the changes between the lines of a LEAN factor file.

    `next_session` returns the session after a date. The roundest ratio or amount is taken that
    explains the printed factors. Raises BadActionFile with every bad line.
    """
    rows: list[_Factors] = []
    problems: list[Problem] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            rows.append(_factors(line, number))
        except ValueError:
            problems.append(
                Problem(number, "it is not date, price factor, split factor, reference price")
            )
    read: list[ReadAction] = []
    for earlier, later in pairwise(rows):
        try:
            read += [
                ReadAction(earlier.line, symbol, action)
                for action in _changes(earlier, later, next_session=next_session)
            ]
        except ValueError as error:
            problems.append(Problem(earlier.line, str(error)))
    if problems:
        raise BadActionFile(sorted(problems, key=lambda one: one.line))
    return read


def _factors(line: str, number: int) -> _Factors:
    day, price, split, close = line.strip().split(",")[:_LEAN_FIELDS]
    row = _Factors(
        number,
        datetime.strptime(day, "%Y%m%d").date(),  # noqa: DTZ007 a date has no zone
        float(price),
        float(split),
        float(close),
    )
    if not (0 < row.price < math.inf and 0 < row.split < math.inf and 0 <= row.close < math.inf):
        raise ValueError(line)
    return row


def _changes(
    earlier: _Factors, later: _Factors, *, next_session: Callable[[date], date | None]
) -> Iterator[CorporateAction]:
    """Yield what happened at the session after the earlier line."""
    if later.day <= earlier.day:
        raise ValueError("its date does not lie before that of the next line")
    ratio = _round_ratio(*_quotient(later.split, earlier.split))
    low, high = _quotient(earlier.price, later.price)
    if ratio == 1 and low <= 1 <= high:
        return
    ex_date = next_session(earlier.day)
    if ex_date is None:
        raise ValueError("the calendar of its venue does not reach this date")
    if ratio != 1:
        yield CorporateAction(ex_date, ActionKind.SPLIT, ratio)
    if high < 1:
        if not earlier.close:
            raise ValueError("it has no reference price, so that no dividend can be derived")
        # The ratio of prices is in old shares, a dividend in those of its own day.
        close = earlier.close / ratio
        yield CorporateAction(
            ex_date, ActionKind.DIVIDEND, roundest(close * (1 - high), close * (1 - low))
        )
    elif low > 1:
        raise ValueError("its price factor is larger than that of the next line")


def _quotient(above: float, below: float) -> tuple[float, float]:
    """Return between which values the quotient of two printed factors lies."""
    return (above - _LEAN_ERROR) / (below + _LEAN_ERROR), (above + _LEAN_ERROR) / (
        below - _LEAN_ERROR
    )


def _round_ratio(low: float, high: float) -> float:
    """Return the roundest ratio between two bounds; a reverse split is 1 by a round number."""
    return 1 / roundest(1 / high, 1 / low) if high < 1 else roundest(low, high)
