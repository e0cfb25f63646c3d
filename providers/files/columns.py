"""Find out which column of a file plays which role."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from providers.files.errors import BadLayout
from providers.files.layout import ROLES, FileFormat

NEEDED: Final = ("open", "high", "low", "close")
PRICES: Final = (*NEEDED, "vwap")
NUMBERS: Final = (*PRICES, "volume", "trades")

# Usual headers, lower-case, with everything but letters and digits taken out.
_USUAL: Final = {
    "ts": (
        *("ts", "timestamp", "datetime", "dateandtime", "datetimeutc", "timestamputc", "tsevent"),
        *("opentime", "starttime", "bartime", "barstart", "windowstart", "gmttime", "localtime"),
        *("unix", "unixtime", "epoch", "date", "time", "t", "index", "indexlevel0", ""),
    ),
    "open": ("open", "o", "openprice", "first"),
    "high": ("high", "h", "highprice", "max"),
    "low": ("low", "l", "lowprice", "min"),
    "close": ("close", "c", "closeprice", "closelast", "last"),
    "volume": ("volume", "vol", "v", "tradedvolume", "totalvolume", "basevolume"),
    "vwap": ("vwap", "vw", "weightedaverage", "wap"),
    "trades": ("trades", "n", "tradecount", "transactions", "numberoftrades", "numtrades"),
    "symbol": ("symbol", "ticker", "sym", "instrument"),
    "timeframe": ("timeframe", "interval", "barsize", "frequency"),
}


def find_roles(headers: Sequence[str], *, form: FileFormat) -> dict[str, int]:
    """Return {role: position}; `date` and `time` stand together where no `ts` does.

    Raises BadLayout, naming what was found, where a needed column is missing or named twice.
    """
    roles = _declared(headers, form.columns)
    keys = [_key(header) for header in headers]
    pair = "ts" not in roles and "date" in keys and "time" in keys
    if pair and not {"date", "time"} & roles.keys() and not _has_whole_stamp(keys):
        roles |= {"date": keys.index("date"), "time": keys.index("time")}
    for role, usual in _USUAL.items():
        if role in roles or (role == "ts" and roles.keys() & {"date", "time"}):
            continue
        position = next((keys.index(name) for name in usual if name in keys), None)
        if position is not None and position not in roles.values():
            if keys.count(keys[position]) > 1:
                raise BadLayout(f"two columns are named {headers[position]!r}; declare columns")
            roles[role] = position
    _check(roles, headers)
    return roles


def _declared(headers: Sequence[str], columns: Mapping[str, str]) -> dict[str, int]:
    roles: dict[str, int] = {}
    names = [header.strip() for header in headers]
    for role, name in columns.items():
        if name in names:
            roles[role] = names.index(name)
        elif name.isdecimal() and 1 <= int(name) <= len(headers):
            roles[role] = int(name) - 1
        else:
            raise BadLayout(f"there is no column {name!r} for {role}; there are {_list(headers)}")
    return roles


def positions(columns: Mapping[str, str], *, width: int) -> dict[str, int]:
    """Return {role: position} of a file without a header: as declared, or in the usual order."""
    usual = ("ts", "open", "high", "low", "close", "volume")
    given = columns or {role: str(at) for at, role in enumerate(usual[:width], start=1)}
    roles = _declared([""] * width, given)
    _check(roles, [str(at) for at in range(1, width + 1)])
    return roles


def _has_whole_stamp(keys: Sequence[str]) -> bool:
    usual = _USUAL["ts"]
    return any(name in keys for name in usual[: usual.index("date")])


def _check(roles: Mapping[str, int], headers: Sequence[str]) -> None:
    lacking = [role for role in NEEDED if role not in roles]
    if not roles.keys() & {"ts", "date", "time"}:
        lacking.insert(0, "ts")
    if lacking:
        raise BadLayout(
            f"no column for {', '.join(lacking)} among {_list(headers)}; declare columns"
        )


def _list(headers: Sequence[str]) -> str:
    shown = ", ".join(header.strip() or "(no name)" for header in headers[:20])
    return shown if len(headers) <= 20 else f"{shown} ..."


def _key(header: str) -> str:
    return re.sub(r"[^a-z0-9]", "", header.lower())


assert set(_USUAL) <= set(ROLES)
