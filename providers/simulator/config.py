"""What the simulator can be told, at start from a JSON or TOML file."""

from __future__ import annotations

import tomllib
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from providers.simulator.rules import AnyRule


class ConfigProblem(ValueError):
    """Signal a configuration that cannot be used; the text names the field."""


class Limit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Allow `n` requests in any `window` seconds."""

    n: int
    window: float


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hold one provider's limits and what a violation leads to.

    `count` only counts violations. `reject` answers 429 with Retry-After, and every arrival uses
    up the window, rejected ones too. `real` answers 429 likewise, but only accepted requests use
    up the window, as at most providers. Violations are counted over all arrivals in each mode.
    """

    limits: tuple[Limit, ...]
    mode: Literal["count", "reject", "real"] = "count"


class YahooConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Choose yahoo's habits.

    `live_row` appends or restamps the row of the running session; `enforce_reach` refuses 1m
    spans over 8 days and what lies behind each interval's reach; `float32` sends prices with
    single-precision noise as the real one does; `round_start` serves the whole day of period1.
    """

    live_row: bool = True
    enforce_reach: bool = True
    float32: bool = False
    round_start: bool = False


class PolygonConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Choose polygon's habits: accepted `keys` (none listed: any key), and the DELAYED status."""

    keys: tuple[str, ...] = ()
    delayed: bool = False


class SimulatorConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hold the whole start-up configuration.

    `now` fixes the simulated time (None: the real clock). `unknown_symbols` and the keys of
    `venues` are patterns; the first matching venue counts, XNYS without any. With `recorded`
    the five shipped symbols have their real daily prices; everything else is synthetic.
    """

    now: datetime | None = None
    recorded: bool = True
    unknown_symbols: tuple[str, ...] = ()
    venues: dict[str, str] = {}
    yahoo: YahooConfig = YahooConfig()
    polygon: PolygonConfig = PolygonConfig()
    limits: dict[str, Limits] = {}
    faults: tuple[AnyRule, ...] = ()
    gzip: bool = False
    cache_mb: int = 128
    log_size: int = 500_000

    def __post_init__(self) -> None:
        if self.now is not None and self.now.tzinfo is None:
            raise ValueError("now needs a UTC offset, for example 2013-03-01T21:00:00Z")


def parse_config(raw: object) -> SimulatorConfig:
    """Check decoded JSON or TOML; raises ConfigProblem naming the offending field."""
    try:
        return msgspec.convert(raw, SimulatorConfig)
    except msgspec.ValidationError as error:
        raise ConfigProblem(str(error)) from error


def load_config(path: Path) -> SimulatorConfig:
    """Read a .toml or .json file; raises ConfigProblem naming the file."""
    try:
        text = path.read_text(encoding="utf-8")
        raw: Any = tomllib.loads(text) if path.suffix == ".toml" else msgspec.json.decode(text)
    except (OSError, ValueError, msgspec.DecodeError) as error:
        raise ConfigProblem(f"cannot read {path}: {error}") from error
    return parse_config(raw)
