"""mdc's writer beside what people use in its place, on the same bars in the same rounds.

Each stores 100,000 one-minute bars, given in the shape it likes best and made before the clock
starts. mdc, Django and executemany write to the partitioned table `bar`; pandas and dlt write to a
plain table of their own with the same columns and key. All but pandas.to_sql, which can only
append, end with the same rows when they are run again.
"""

from __future__ import annotations

import itertools
import os
import shutil
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, cast

import dlt
import numpy as np
import pandas as pd
import pyarrow as pa
import sqlalchemy
from django.db import connection, transaction
from dlt.destinations import postgres

from benchmarks.measure import Report, WrongContent, interleave, seconds, spread
from benchmarks.payloads import minute_bars
from benchmarks.writer import BAR_COLUMNS
from ingestion.domain.windows import Window, from_us
from ingestion.models import Bar
from ingestion.store.bars import SeriesBars, write_bars
from mdc.stack.embedded import EmbeddedStack
from providers.bars import Bars

ROWS: Final = 100_000
ROUNDS: Final = 5
TWO_YEARS: Final = Window(datetime(2023, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC))
WANTED: Final = {
    "dlt_arrow": 12.0,
    "dlt_arrow_upsert": 12.0,
    "bulk_create": 25.0,
    "to_sql": 10.0,
}
_KNOWN_FROM: Final = datetime(2025, 6, 1, tzinfo=UTC)
_KEY: Final = ("series_id", "ts", "sequence")
_VALUES: Final = tuple(name for name in BAR_COLUMNS if name not in _KEY)
_UPSERT: Final = (
    f"INSERT INTO bar ({', '.join(BAR_COLUMNS)}) VALUES ({', '.join(['%s'] * len(BAR_COLUMNS))})"
    f" ON CONFLICT ({', '.join(_KEY)}) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _VALUES)
)

_series = itertools.count(1_000_000)


def run(stack: EmbeddedStack) -> Report:
    """Measure rows/s of each writer, fresh bars a batch, and mdc's ratio to each."""
    bars = minute_bars(seed=1, rows=ROWS, window=TWO_YEARS)
    with _plain_tables(stack) as (engine, pipeline):
        taken = interleave(
            {
                "mdc": lambda _: _mdc(bars),
                "bulk_create": lambda _: _bulk_create(bars),
                "executemany": lambda _: _executemany(bars),
                "to_sql": lambda _: _to_sql(bars, engine),
                "dlt_arrow": lambda _: _dlt(bars, pipeline),
                "dlt_arrow_upsert": lambda _: _dlt(bars, pipeline, strategy="upsert", form="csv"),
            },
            rounds=ROUNDS,
        )
    ours = statistics.median(taken["mdc"])
    return {
        "rows_per_batch": ROWS,
        "rounds": ROUNDS,
        "rows_per_s": {name: spread(rates) for name, rates in taken.items()},
        "mdc_is_faster_by": {
            name: {
                "ratio": round(ours / statistics.median(rates), 1),
                "ratio_spread": spread(
                    [mine / theirs for mine, theirs in zip(taken["mdc"], rates, strict=True)],
                    digits=1,
                ),
                "wanted": WANTED.get(name),
            }
            for name, rates in taken.items()
            if name != "mdc"
        },
        "versions": {
            "dlt": dlt.__version__,
            "pandas": pd.__version__,
            "sqlalchemy": sqlalchemy.__version__,
        },
    }


def _mdc(bars: Bars) -> float:
    batch = SeriesBars(
        series_id=next(_series),
        attempt_id=1,
        window_start_us=TWO_YEARS.start_us,
        window_end_us=TWO_YEARS.end_us,
        bars=bars,
    )

    def write() -> None:
        with transaction.atomic():
            write_bars(connection, [batch])

    return _rate(write, "bar", batch.series_id, bars)


def _bulk_create(bars: Bars) -> float:
    series_id = next(_series)
    rows = [Bar(**dict(zip(BAR_COLUMNS, row, strict=True))) for row in _rows(series_id, bars)]

    def write() -> None:
        Bar.objects.bulk_create(
            rows,
            batch_size=4_000,  # 13 columns each: PostgreSQL takes 65,535 parameters a statement.
            update_conflicts=True,
            unique_fields=list(_KEY),
            update_fields=list(_VALUES),
        )

    return _rate(write, "bar", series_id, bars)


def _executemany(bars: Bars) -> float:
    series_id = next(_series)
    rows = _rows(series_id, bars)

    def write() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.executemany(_UPSERT, cast("list[Any]", rows))

    return _rate(write, "bar", series_id, bars)


def _to_sql(bars: Bars, engine: sqlalchemy.Engine) -> float:
    series_id = next(_series)
    frame = pd.DataFrame(_columns(series_id, bars))
    frame["ts"] = pd.to_datetime(frame["ts"], unit="us", utc=True)
    frame["known_from"] = pd.to_datetime(frame["known_from"], unit="us", utc=True)
    _empty("to_sql_bar")

    def write() -> None:
        with engine.begin() as connected:
            frame.to_sql("to_sql_bar", connected, if_exists="append", index=False)

    return _rate(write, "to_sql_bar", series_id, bars)


def _dlt(
    bars: Bars,
    pipeline: dlt.Pipeline,
    *,
    strategy: Literal["delete-insert", "upsert"] = "delete-insert",
    form: Literal["csv", "insert_values"] = "insert_values",
) -> float:
    """Merge by dlt: as it does by default, or told the quickest ways that it has."""
    series_id = next(_series)
    columns = _columns(series_id, bars)
    instant = pa.timestamp("us", tz="UTC")
    table = pa.table(
        {
            name: pa.array(values, type=instant if name in ("ts", "known_from") else None)
            for name, values in columns.items()
        }
    )
    _empty("peer.dlt_bar")

    def write() -> None:
        pipeline.run(
            table,
            table_name="dlt_bar",
            write_disposition={"disposition": "merge", "strategy": strategy},
            primary_key=list(_KEY),
            loader_file_format=form,
        )

    return _rate(write, "peer.dlt_bar", series_id, bars)


@contextmanager
def _plain_tables(stack: EmbeddedStack) -> Iterator[tuple[sqlalchemy.Engine, dlt.Pipeline]]:
    """Give pandas and dlt what they write to; everything is gone afterwards."""
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    folder = Path(tempfile.mkdtemp(prefix="mdc-bench-dlt-"))
    socket = str(stack.home.run)
    address = connection.settings_dict
    login = f"{address['USER']}:{address['PASSWORD']}"
    engine = sqlalchemy.create_engine(
        f"postgresql+psycopg://{login}@/{address['NAME']}?host={socket}"
    )
    pipeline = dlt.pipeline(
        pipeline_name="peer",
        pipelines_dir=str(folder),
        dataset_name="peer",
        destination=postgres(f"postgresql://{login}@localhost/{address['NAME']}?host={socket}"),
    )
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE to_sql_bar (LIKE bar INCLUDING ALL)")
    try:
        yield engine, pipeline
    finally:
        engine.dispose()
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE to_sql_bar")
            cursor.execute("DROP SCHEMA IF EXISTS peer CASCADE")
            cursor.execute("DROP SCHEMA IF EXISTS peer_staging CASCADE")
        shutil.rmtree(folder, ignore_errors=True)


def _columns(series_id: int, bars: Bars) -> dict[str, np.ndarray[Any, Any]]:
    """Return the columns of `bar` in its order; instants are microseconds."""
    made = {
        "series_id": np.full(len(bars), series_id, np.int32),
        "known_from": np.full(len(bars), int(_KNOWN_FROM.timestamp() * 1e6)),
        "attempt_id": np.ones(len(bars), np.int64),
    }
    return {name: made[name] if name in made else getattr(bars, name) for name in BAR_COLUMNS}


def _rows(series_id: int, bars: Bars) -> list[tuple[object, ...]]:
    """Return the same as Python rows, as a program that has records would hold them."""
    columns = {name: values.tolist() for name, values in _columns(series_id, bars).items()}
    columns["ts"] = [from_us(us) for us in columns["ts"]]
    columns["known_from"] = [_KNOWN_FROM] * len(bars)
    return list(zip(*columns.values(), strict=True))


def _empty(table: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s)", [table])
        if cursor.fetchone() != (None,):
            cursor.execute(f"TRUNCATE {table}")


def _rate(write: Callable[[], None], table: str, series_id: int, bars: Bars) -> float:
    """Time one batch and compare sums of what it stored with what was given."""
    taken = seconds(write)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT count(*), sum(close), sum(volume) FROM {table} WHERE series_id = %s",
            [series_id],
        )
        found: Sequence[Any] = cursor.fetchone()
    given = (len(bars), bars.close.sum(), bars.volume.sum())
    if not np.allclose(np.array(found, np.float64), given, rtol=1e-9):
        raise WrongContent("peers", f"{table} holds {found}")
    return len(bars) / taken
