"""Read stored bars from Python: scripts and notebooks, without any set-up of Django."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg.conninfo import make_conninfo

from ingestion.calendars import sessions_for
from ingestion.domain.errors import BadRequest, MdcError, StoreError, StoreUnavailable
from ingestion.domain.selection import BEST, SelectedChunk, SelectedSeries, Selection
from ingestion.services.find_series import NothingStored
from ingestion.services.refresh_calendars import push_calendars
from ingestion.services.select_bars import check_settled, stream_series
from ingestion.services.select_series import select_series
from ingestion.store.bar_reads import COLUMNS, snapshot
from mdc.environment import env_secret, env_text
from mdc.frames import ENGINES, Table, Text, build_frame
from mdc.stack.addresses import Home
from providers.bars import Bars
from providers.instants import utc_offsets
from providers.types import Adjustment, Anchor, Hours, Timeframe

Moment = str | date | datetime
Choice = TypeVar("Choice", Hours, Anchor, Adjustment)

VENUE: Final = "venue"
PROVIDER, COMPLETE = "provider", "complete"
_CONNECT_SECONDS: Final = 10


class AmbiguousBars(MdcError):
    """Signal that several stored series answer to one symbol; `found` tells them apart."""

    def __init__(self, symbol: str, *, by: str, found: Sequence[str]) -> None:
        hint = f", or {by}='{BEST}'" if by == PROVIDER else ""
        super().__init__(
            f"{symbol} is stored with {by} {' and '.join(found)}; "
            f"choose one with {by}='{found[0]}'{hint}"
        )
        self.symbol = symbol
        self.found = tuple(found)


def read_bars(
    symbols: str | Sequence[str],
    timeframe: str | None = None,
    *,
    start: Moment | None = None,
    end: Moment | None = None,
    provider: str | None = None,
    hours: str = "regular",
    adjustment: str | None = None,
    anchor: str | None = None,
    adjust: str | None = None,
    resample: str | None = None,
    as_of: Moment | None = None,
    final_only: bool = False,
    allow_unadjusted: bool = False,
    tz: str = "UTC",
    engine: str = "pandas",
    columns: Sequence[str] | None = None,
    database_url: str | None = None,
    home: str | Path | None = None,
) -> Any:
    """Read stored bars into a data frame, ascending by time.

    One symbol given as text: a pandas frame with a DatetimeIndex `ts`. A sequence of symbols: a
    MultiIndex (`symbol`, `ts`), in the order given. polars and Arrow have these as columns.

    Times are the bars' START. `tz` is UTC, "venue" or a zone's name; bars of a day or longer are
    labelled with midnight of their session's date in that zone. `start` and `end` are dates, which
    stand for whole days, or times, of which the end is excluded; both are UTC unless they say
    otherwise.

    Columns: open, high, low, close, volume, vwap (float64, NaN where there is none), trades (Int32)
    and final (bool: False while a bar is forming), or those of them that `columns` names. With
    provider="best" comes `provider` (text), and with `resample` comes `complete` (bool).

    `provider` may be left out where one alone holds the bars; "best" chooses per session.
    `adjust` ("split", "split_div") computes adjusted prices from stored splits and dividends,
    `resample` derives longer bars, `as_of` reads what was known at that moment.

    Reads the database at `database_url`, else the embedded one of the stack in `home`, else what
    MDC_DATABASE_URL or MDC_HOME name, else the embedded one of ./.mdc.

    Raises an MdcError that says in one sentence what to do: BadRequest for what cannot be meant,
    NothingStored for a symbol of which nothing is stored, AmbiguousBars where several series would
    answer, CannotAdjust, CannotResample, EngineMissing, StoreUnavailable.
    """
    single = isinstance(symbols, str)
    names = tuple(dict.fromkeys([symbols] if isinstance(symbols, str) else map(str, symbols)))
    _require(bool(names) and all(names), "symbols", "give at least one symbol")
    _require(engine in ENGINES, "engine", f"choose an engine of {', '.join(ENGINES)}")
    _require(
        timeframe is not None or resample is not None, "timeframe", "give a timeframe, such as '1d'"
    )
    unknown = sorted(set(columns or ()) - {*COLUMNS, PROVIDER, COMPLETE})
    _require(not unknown, "columns", f"there is no column {', '.join(unknown)}")
    selection = Selection(
        symbols=names,
        timeframes=() if timeframe is None else (Timeframe.parse(timeframe),),
        provider=provider,
        hours=_choice(Hours, hours, "hours"),
        anchor=None if anchor is None else _choice(Anchor, anchor, "anchor"),
        adjustment=None if adjustment is None else _choice(Adjustment, adjustment, "adjustment"),
        adjust=None if adjust is None else _choice(Adjustment, adjust, "adjust"),
        resample=None if resample is None else Timeframe.parse(resample),
        start=_moment(start, "start"),
        end=_moment(end, "end", whole_day=True),
        as_of=_moment(as_of, "as_of"),
        final_only=final_only,
        unadjusted_ok=allow_unadjusted,
    )
    with _connected(database_url, home=home) as connection, snapshot(connection):
        push_calendars(connection)  # the next call may read another database
        check_settled(connection, selection.as_of)
        series = _one_of_each(select_series(connection, selection), names, selection=selection)
        chunks = [
            chunk for one in series for chunk in stream_series(connection, one, selection=selection)
        ]
    if columns is None:
        columns = [*COLUMNS, *[PROVIDER] * selection.is_best, *[COMPLETE] * bool(resample)]
    table = _table(chunks, names=names, zone=_zone(tz, series), columns=columns)
    return build_frame(replace(table, symbols=None) if single else table, engine=engine)


def _require(holds: bool, field: str, sentence: str) -> None:
    if not holds:
        raise BadRequest(sentence, field=field)


def _choice(kind: type[Choice], text: str, field: str) -> Choice:
    try:
        return kind(text)
    except ValueError:
        raise BadRequest(
            f"{field} is one of {', '.join(one.value for one in kind)}, not {text!r}", field=field
        ) from None


def _moment(given: Moment | None, field: str, *, whole_day: bool = False) -> datetime | None:
    """Read a moment; a date is its first instant, or with `whole_day` the first after it."""
    if given is None:
        return None
    if isinstance(given, str):
        given = _parsed(given, field)
    _require(isinstance(given, date), field, f"{field} is a text, a date or a datetime")
    if not isinstance(given, datetime):
        midnight = datetime.combine(given, time(), UTC)
        return midnight + timedelta(days=1) if whole_day else midnight
    return given.replace(tzinfo=UTC) if given.tzinfo is None else given.astimezone(UTC)


def _parsed(text: str, field: str) -> date | datetime:
    try:
        return date.fromisoformat(text)
    except ValueError:
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            raise BadRequest(
                f"{text!r} is no date; write {field}='2024-01-31' or '2024-01-31T09:30Z'",
                field=field,
            ) from None


@contextmanager
def _connected(
    database_url: str | None, *, home: str | Path | None
) -> Iterator[psycopg.Connection[Any]]:
    """Open a connection of the caller's own; PostgreSQL's errors come out as StoreErrors."""
    address, hint = _address(database_url, home=home)
    try:
        with psycopg.connect(address, autocommit=True) as connection:
            yield connection
    except psycopg.errors.UndefinedTable as error:
        raise StoreError(
            "the database does not have mdc's tables; `mdc up` makes them, "
            "or `python manage.py migrate` on a server of your own"
        ) from error
    except psycopg.OperationalError as error:
        unavailable = StoreUnavailable()
        unavailable.message = f"PostgreSQL cannot be reached; {hint}"
        unavailable.args = (unavailable.message,)
        raise unavailable from error
    except psycopg.Error as error:
        raise StoreError(f"PostgreSQL refused: {' '.join(str(error).split())}") from error


def _address(database_url: str | None, *, home: str | Path | None) -> tuple[str, str]:
    """Return where the database is, and what to do if nobody answers there."""
    _require(
        database_url is None or home is None, "home", "give either database_url or home, not both"
    )
    url = database_url or ("" if home else env_secret("MDC_DATABASE_URL"))
    named = "database_url" if database_url else "MDC_DATABASE_URL"
    hint = f"check {named} and whether the server runs"
    if not url:
        place = Home.at(home or env_text("MDC_HOME", ".mdc"))
        url = place.database_url()
        hint = (
            f"no stack runs in {place.root}: start it with `mdc up`, "
            "or say with home= or database_url= where the bars are"
        )
    try:
        return make_conninfo(
            url, connect_timeout=_CONNECT_SECONDS, application_name="mdc-read"
        ), hint
    except psycopg.ProgrammingError:
        # Not chained: libpq repeats the address, which may hold a password.
        raise BadRequest(
            f"{named} is no address; write it like postgresql://user:password@host:5432/database",
            field="database_url",
        ) from None


def _one_of_each(
    found: Sequence[SelectedSeries], names: Sequence[str], *, selection: Selection
) -> list[SelectedSeries]:
    """Return the series of each symbol, in the order asked for.

    Raises AmbiguousBars where there are two of one symbol, and NothingStored where there is none.
    """
    series: list[SelectedSeries] = []
    for name in names:
        own = [one for one in found if one.symbol == name]
        if not own:
            raise NothingStored(name, timeframes=selection.timeframes, similar=[name])
        for part in (PROVIDER, "adjustment", "anchor"):
            kinds = sorted({str(getattr(one, part)) for one in own})
            if len(kinds) > 1:
                raise AmbiguousBars(name, by=part, found=kinds)
        series.extend(own)
    return series


def _table(
    chunks: Sequence[SelectedChunk], *, names: Sequence[str], zone: str, columns: Sequence[str]
) -> Table:
    """Join chunks to columns of the whole."""
    bars = Bars.concat([one.bars for one in chunks])
    stamps = bars.ts
    if zone != "UTC" and chunks and not chunks[0].series.timeframe.is_intraday:
        # The stamp is a date, not an instant: its midnight is that of the zone.
        stamps = stamps - utc_offsets(stamps - utc_offsets(stamps, zone), zone)
    shown: dict[str, NDArray[Any] | Text] = {}
    for name in columns:
        match name:
            case "provider":
                shown[name] = _providers(chunks)
            case "complete":
                shown[name] = _complete(chunks)
            case _:
                shown[name] = getattr(bars, name)
    places = np.array([names.index(one.series.symbol) for one in chunks], np.int32)
    codes = np.repeat(places, [len(one) for one in chunks])
    return Table(symbols=Text(names, codes), stamps=stamps, tz=zone, columns=shown)


def _zone(tz: str, series: Sequence[SelectedSeries]) -> str:
    """Return the name of the time zone in which stamps are shown."""
    if tz != VENUE:
        try:
            return ZoneInfo(tz).key
        except (ValueError, OSError, KeyError):
            raise BadRequest(
                f"{tz!r} is no time zone; write 'UTC', 'venue' or a name like 'America/New_York'",
                field="tz",
            ) from None
    zones = sorted({sessions_for(venue).tz for venue in {one.venue for one in series}})
    _require(
        len(zones) == 1,
        "tz",
        f"these symbols trade in {', '.join(zones)}; read those of one zone at a time, or in UTC",
    )
    return zones[0]


def _providers(chunks: Sequence[SelectedChunk]) -> Text:
    """Say of every bar which provider it comes from."""
    names = sorted({source.provider for one in chunks for source in one.series.sources})
    parts = [np.empty(0, np.int32)]
    for one in chunks:
        places = np.array([names.index(s.provider) for s in one.series.sources], np.int32)
        codes = np.zeros(len(one), np.intp) if one.codes is None else one.codes
        parts.append(places[codes])
    return Text(names, np.concatenate(parts))


def _complete(chunks: Sequence[SelectedChunk]) -> NDArray[np.bool_]:
    """Say of every bar whether all that was to go into it was there; stored ones are whole."""
    parts = [np.empty(0, np.bool_)]
    for one in chunks:
        parts.append(np.ones(len(one), np.bool_) if one.complete is None else one.complete)
    return np.concatenate(parts)
