"""What is written waits to be looked at, and what a look finds is kept, until it is gone."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import numpy as np
import psycopg
import pytest
from click.testing import CliRunner, Result
from django.db import connection, transaction

from ingestion.domain.coverage import Ranges
from ingestion.domain.windows import DAY_US, Window
from ingestion.models import Finding, Inspection
from ingestion.services.fail_slices import fail_slice
from ingestion.services.inspect_part import Inspected
from ingestion.services.inspect_series import inspect_series
from ingestion.services.work_inspections import Worked, work_inspections
from ingestion.store import inspections
from ingestion.store.bars import SeriesBars, write_bars
from ingestion.store.ranges import to_ranges
from mdc.cli.main import cli
from providers.bars import Bars
from providers.errors import TransientError
from providers.types import Timeframe
from tests.protocol.conftest import _calendar  # noqa: F401 a fixture
from tests.protocol.scene import (
    NOW,
    Worker,
    day,
    failed,
    open_running,
    series_of,
    sql,
    truth_between,
    truthful,
    us,
    withholding,
)

pytestmark = pytest.mark.django_db

QUARTER = Window(day("2024-01-01"), day("2024-04-01"))
WHOLE = Ranges.of_windows([QUARTER])
AT_ONCE = timedelta(0)


@pytest.fixture
def series() -> int:
    """Fetch a quarter of made-up sessions, and forget that they wait to be inspected."""
    return fetched()


def fetched(*symbols: str, forget: bool = True, **request: Any) -> int:
    job_id = open_running(*symbols, **request)
    Worker.of(job_id).work_off()
    if forget:
        Inspection.objects.all().delete()
    return series_of(job_id)


def work() -> Worked:
    return work_inspections(now=NOW, settled=AT_ONCE)


def look(series_id: int) -> Inspected:
    return inspect_series(series_id, ranges=WHOLE, now=NOW)


def open_kinds() -> list[str]:
    return list(
        Finding.objects.filter(state="open").order_by("window").values_list("kind", flat=True)
    )


def store(series_id: int, bars: Bars) -> None:
    with transaction.atomic():
        write_bars(
            connection,
            [
                SeriesBars(
                    series_id=series_id,
                    attempt_id=1,
                    window_start_us=int(bars.ts[0]),
                    window_end_us=int(bars.ts[-1]) + 1,
                    bars=bars,
                )
            ],
        )


def spike(series_id: int, date: str, *, factor: float = 10.0) -> None:
    """Multiply the prices of a stored day as nobody's market does."""
    sql(
        "UPDATE bar SET open = open * %s, high = high * %s, low = low * %s, close = close * %s"
        " WHERE series_id = %s AND ts = %s",
        *[factor] * 4,
        series_id,
        day(date),
    )


def test_sound_bars_leave_no_finding(series: int) -> None:
    """A complete quarter is read, judged, and nothing is said of it."""
    inspected = look(series)
    assert (inspected.found, inspected.opened) == ((), 0)
    assert inspected.bars == 61


def test_a_finish_queues_what_it_wrote_and_the_task_works_it_off() -> None:
    """The windows of all slices of a series melt into one row, which is gone after the look."""
    series_id = fetched(forget=False)
    assert to_ranges(Inspection.objects.get().pending) == WHOLE
    spike(series_id, "2024-02-14")
    worked = work()
    assert (worked.series, worked.opened) == (1, 1)
    assert not Inspection.objects.exists()
    assert open_kinds() == ["spike"]


def test_what_was_just_written_settles_first() -> None:
    """The slices of a backfill come one by one; nothing is looked at in their midst."""
    fetched(forget=False)
    assert not inspections.is_due()
    assert work_inspections(now=NOW).series == 0
    sql("UPDATE inspection SET since = since - interval '20 seconds'")
    assert inspections.is_due()
    assert work_inspections(now=NOW).series == 1


def test_a_mended_bar_resolves_its_finding(series: int) -> None:
    """Found once, found again, and not found any more once the bar is what it should be."""
    spike(series, "2024-02-14")
    assert look(series).opened == 1
    assert look(series).opened == 0
    assert Finding.objects.get().times == 2
    spike(series, "2024-02-14", factor=0.1)
    assert look(series).resolved == 1
    assert Finding.objects.get().state == "resolved"


def test_a_bar_at_the_end_is_judged_again_when_another_follows(series: int) -> None:
    """The last bar of yesterday has a neighbour today: what is queued reaches back to it."""
    sql("DELETE FROM bar WHERE series_id = %s AND ts >= %s", series, day("2024-03-20"))
    sql("UPDATE coverage SET loaded = %s", f"{{[{day('2024-01-01')},{day('2024-03-20')})}}")
    spike(series, "2024-03-19", factor=1.5)
    look(series)
    assert Finding.objects.get().evidence["shape"] == "edge"
    # The next sessions stay on the new level: a jump, and no fault of the bar.
    after = truth_between(series, Window(day("2024-03-20"), day("2024-03-30")))
    for column in (after.open, after.high, after.low, after.close):
        column *= 1.5
    store(series, after)
    inspections.queue_windows([(series, Window(day("2024-03-20"), day("2024-03-30")))])
    work()
    assert Finding.objects.get().state == "resolved"


def test_a_session_without_bars_in_what_is_loaded_is_a_gap(series: int) -> None:
    """Coverage may be wrong after a hand in the table; the bars decide."""
    sql("DELETE FROM bar WHERE series_id = %s AND ts = %s", series, day("2024-02-14"))
    look(series)
    found = Finding.objects.get()
    assert (found.kind, found.severity, found.evidence["kind"]) == ("gap", "error", "emptied")
    assert found.window.lower == day("2024-02-14")


def test_a_session_that_the_provider_lacks_is_a_gap() -> None:
    """A first look in vain leaves a session missing, and the finding says so."""
    job_id = open_running()
    Worker.of(job_id).work_off(withholding("2024-02-14", "2024-02-15"))
    work()
    found = Finding.objects.get()
    assert (found.kind, found.evidence["kind"]) == ("gap", "missing")
    assert found.evidence["sessions"] == 2


def test_what_is_out_of_tries_is_a_gap() -> None:
    """Nothing was written, and the window is looked at all the same."""
    job_id = open_running(tries=1)
    worker = Worker.of(job_id)
    dying, *others = worker.claim()
    fail_slice(
        failed(dying, TransientError("no answer", provider="synthetic")),
        account_id=worker.account_id,
        executor_id=worker.id,
    )
    worker.finish(*map(truthful, others))
    work()
    found = Finding.objects.get()
    assert (found.kind, found.severity, found.evidence["kind"]) == ("gap", "error", "failed")


def test_a_gap_that_is_half_filled_is_one_finding_of_what_is_left(series: int) -> None:
    """What was found as a whole is looked at as a whole, however small the news."""
    gone = "DELETE FROM bar WHERE series_id = %s AND ts >= '2024-01-16Z' AND ts < '2024-03-01Z'"
    sql(gone, series)
    look(series)
    assert Finding.objects.get().evidence["sessions"] == 32
    filled = Window(day("2024-01-16"), day("2024-01-20"))
    store(series, truth_between(series, filled))
    inspections.queue_windows([(series, filled)])
    work()
    left = Finding.objects.get(state="open")
    assert (left.window.lower, left.evidence["sessions"]) == (day("2024-01-22"), 28)
    assert Finding.objects.filter(state="resolved").count() == 1


def test_what_is_still_to_be_asked_is_no_gap() -> None:
    """Slices that wait will fill their windows; a look at others meanwhile holds its tongue."""
    job_id = open_running()
    worker = Worker.of(job_id)
    last = worker.claim()[-1]
    worker.finish(withholding()(last))
    work()
    assert not Finding.objects.exists()


def test_contradictions_and_strays_of_other_writers_are_found(series: int) -> None:
    """SQL may write what no fetch lets through: a low above the high, a bar on a Sunday."""
    sql("UPDATE bar SET low = high * 2 WHERE series_id = %s AND ts = %s", series, day("2024-02-14"))
    sql(
        "INSERT INTO bar SELECT (jsonb_populate_record(b, jsonb_build_object('ts', %s::text))).*"
        " FROM bar b WHERE series_id = %s AND ts = %s",
        "2024-02-18T00:00:00Z",
        series,
        day("2024-02-16"),
    )
    look(series)
    assert open_kinds() == ["ohlc", "outside_session"]


def test_a_known_split_is_no_spike(series: int) -> None:
    """The same jump is worth a note as long as nobody states the split."""
    sql(
        "UPDATE bar SET open = open / 4, high = high / 4, low = low / 4, close = close / 4"
        " WHERE series_id = %s AND ts >= %s",
        series,
        day("2024-02-14"),
    )
    look(series)
    found = Finding.objects.get()
    assert (found.severity, found.evidence["looks_like_split"]) == ("note", "4:1")
    sql(
        "INSERT INTO corporate_action"
        " (instrument_id, provider, ex_date, kind, value, currency, known_from)"
        " SELECT instrument_id, 'user', '2024-02-14', 'split', 4, '', now() FROM series"
        " WHERE id = %s",
        series,
    )
    assert look(series).resolved == 1


def test_what_is_queued_during_a_look_is_looked_at_again(series: int) -> None:
    """A strike takes nothing off a row that somebody touched since it was read."""
    inspections.queue_all([series])
    pending = inspections.oldest(settled=AT_ONCE)
    assert pending is not None
    assert pending.ranges == WHOLE
    inspections.queue_windows([(series, QUARTER)])
    assert inspections.strike(series, seen=WHOLE, version=pending.version) is None
    again = inspections.oldest(settled=AT_ONCE)
    assert again is not None
    assert again.ranges == WHOLE
    half = WHOLE.clip(us("2024-01-01"), us("2024-02-15"))
    version = inspections.strike(series, seen=half, version=again.version)
    assert version is not None
    assert inspections.strike(series, seen=WHOLE, version=version) is not None
    assert inspections.oldest(settled=AT_ONCE) is None


def test_what_cannot_be_inspected_holds_nobody_up() -> None:
    """The others get their turn, the error is told, and the series waits for ten minutes."""
    odd = fetched("ODD", forget=False)
    even = fetched("EVEN", forget=False)
    sql("UPDATE instrument SET venue = 'NOWHERE' WHERE symbol = 'ODD'")
    with pytest.raises(LookupError, match="NOWHERE"):
        work()
    assert list(Inspection.objects.values_list("series_id", flat=True)) == [odd]
    assert even != odd
    assert inspections.oldest(settled=AT_ONCE) is None


def test_only_one_inspector_looks_at_a_time(series: int) -> None:
    """The second one goes without having looked, and what waits goes on waiting."""
    inspections.queue_all([series])
    where = connection.get_connection_params()
    names = ("host", "port", "user", "password", "dbname")
    with psycopg.connect(**{name: where[name] for name in names if name in where}) as other:
        other.execute("SELECT pg_advisory_xact_lock(7306, 0)")
        assert work() == Worked(series=0, bars=0, found=0, opened=0, resolved=0)
        assert Inspection.objects.exists()
    assert work().series == 1
    assert not Inspection.objects.exists()


def test_a_part_is_a_transaction_of_bounded_size(
    series: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty sessions a part see the same as all at once, each with context beyond its edges."""
    for date in ("2024-01-31", "2024-02-01", "2024-02-29"):
        spike(series, date)
    whole = look(series)
    monkeypatch.setattr("ingestion.domain.checks.parts.PART_BARS", 20)
    parts = look(series)
    assert [(one.kind, one.start_us) for one in parts.found] == [
        (one.kind, one.start_us) for one in whole.found
    ]
    assert parts.bars > whole.bars


class TestComparing:
    """Two providers of one instrument are held against each other."""

    @pytest.fixture
    def pair(self, series: int) -> tuple[int, int]:
        """Turn the made-up series into two providers' real ones with equal bars."""
        sql("UPDATE series SET provider = 'first' WHERE id = %s", series)
        ((other,),) = sql(
            "INSERT INTO series (provider, instrument_id, event_type, timeframe, adjustment, hours,"
            " anchor, precedence) SELECT 'second', instrument_id, event_type, timeframe,"
            " adjustment, hours, anchor, precedence + 1 FROM series WHERE id = %s RETURNING id",
            series,
        )
        sql(
            "INSERT INTO bar SELECT (jsonb_populate_record(b, jsonb_build_object('series_id',"
            " %s::int))).* FROM bar b WHERE series_id = %s",
            other,
            series,
        )
        sql(
            "INSERT INTO coverage (series_id, loaded, doubted, first_ts)"
            " SELECT %s, loaded, doubted, first_ts FROM coverage",
            other,
        )
        return series, int(other)

    def test_the_less_believed_one_is_in_doubt(self, pair: tuple[int, int]) -> None:
        """A close five percent off is a finding of the second provider, whoever is wrong."""
        first, second = pair
        sql(
            "UPDATE bar SET close = close * 1.05, high = high * 1.05"
            " WHERE series_id = %s AND ts = %s",
            first,
            day("2024-02-14"),
        )
        assert look(first).opened == 0
        assert look(second).opened == 1
        found = Finding.objects.get()
        assert (found.kind, found.series_id) == ("disagreement", second)
        assert found.evidence["provider"] == "first"

    def test_a_change_of_the_believed_one_lets_the_other_be_looked_at(
        self, pair: tuple[int, int]
    ) -> None:
        """Whoever was right yesterday may be contradicted today."""
        first, second = pair
        inspections.queue_windows([(first, QUARTER)])
        worked = work()
        assert worked.series == 2
        assert not Inspection.objects.exists()
        sql("UPDATE bar SET close = close * 1.05 WHERE series_id = %s", first)
        assert look(second).opened == 1
        assert Finding.objects.get().evidence["shape"] == "level"


def test_a_whole_venue_that_stands_still_is_no_fault_of_a_series() -> None:
    """Ten equal sessions are stale where others moved, and a holiday where nobody did."""
    still, moving = fetched("STILL", forget=False), fetched("MOVING", forget=False)
    freeze = (
        "UPDATE bar SET open = 50, high = 50, low = 50, close = 50 WHERE series_id = %s"
        " AND ts >= '2024-02-05Z' AND ts < '2024-02-17Z'"
    )
    sql(freeze, still)
    look(still)
    found = Finding.objects.get(kind="stale")
    assert found.evidence["of_them_moved"] == 1
    assert found.window.upper - found.window.lower == timedelta(days=12)
    sql(freeze, moving)
    look(still)
    assert Finding.objects.get(kind="stale").state == "resolved"


def test_a_hole_in_a_session_is_found() -> None:
    """Half an hour that a session of minutes lacks is no thin trading."""
    series_id = fetched(
        timeframes=(Timeframe.M1,),
        start=day("2024-03-04"),
        end=day("2024-03-09"),
        slice_span=timedelta(days=7),
    )
    sql(
        "DELETE FROM bar WHERE series_id = %s AND ts >= '2024-03-06T16:00Z'"
        " AND ts < '2024-03-06T16:30Z'",
        series_id,
    )
    inspect_series(
        series_id, ranges=Ranges.of([(us("2024-03-06"), us("2024-03-06") + DAY_US)]), now=NOW
    )
    found = Finding.objects.get()
    assert found.kind == "partial_session"
    assert found.evidence["holes"] == [["2024-03-06T16:00:00Z", "2024-03-06T16:30:00Z"]]
    assert np.isclose(found.evidence["usual_share"], 1.0)


class TestCommand:
    """`mdc inspect`, for people and for programs."""

    def run(self, *words: str) -> Result:
        return CliRunner().invoke(cli, ["inspect", *words], prog_name="mdc")

    def test_it_lists_what_it_found_and_counts_what_is_new(self, series: int) -> None:
        """A second look finds the same, and none of it is new."""
        spike(series, "2024-02-14")
        first = self.run("--symbols", "AAA")
        assert first.exit_code == 0
        assert "excursion" in first.stdout
        assert "Read 61 bars of 1 series: 1 finding, 1 new; 0 resolved." in first.stdout
        assert "1 finding, 0 new" in self.run().stdout

    def test_its_json_has_the_whole_evidence(self, series: int) -> None:
        """Window, bars and the bars around what was found."""
        spike(series, "2024-01-16")
        spike(series, "2024-03-14")
        (one,) = json.loads(self.run("--start", "2024-03-01", "--json").stdout)
        (found,) = one["findings"]
        assert (one["symbol"], one["start"]) == ("AAA", "2024-03-01T00:00:00Z")
        assert (found["kind"], found["start"]) == ("spike", "2024-03-14T00:00:00Z")
        assert len(found["evidence"]["bars_around"]) == 5

    def test_bars_that_sql_wrote_are_looked_at_too(self, series: int) -> None:
        """What coverage does not know of is known by its bars."""
        sql("DELETE FROM coverage")
        spike(series, "2024-02-14")
        assert "1 finding, 1 new" in self.run().stdout

    def test_nothing_stored_is_said_in_a_sentence(self, series: int) -> None:
        """With the exit code of a failure for a name, and of success for an empty database."""
        nope = self.run("--symbols", "NOPE")
        assert (nope.exit_code, nope.stderr.startswith("mdc: nothing is stored of NOPE")) == (
            1,
            True,
        )
        sql("DELETE FROM bar")
        sql("DELETE FROM coverage")
        assert "0 findings" in self.run().stdout
