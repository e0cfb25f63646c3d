"""`mdc import`, `mdc files` and `mdc coverage rebuild`, with real workers behind them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner, Result
from pytest_django import Settings

from ingestion.models import AuditEvent, Bar, FileSource, Quarantine, Series
from mdc.cli.main import cli
from mdc.stack.addresses import Home
from mdc.stack.embedded import EmbeddedStack

Run = Callable[..., Result]

DAYS = "Date,Open,High,Low,Close,Volume\n2024-03-04,1,2,0.5,1.5,10\n2024-03-05,2,3,1.5,-,20\n"


@pytest.fixture
def db(staff_db: EmbeddedStack) -> EmbeddedStack:
    """Use the workers' database; see `staff_db`."""
    return staff_db


@pytest.fixture
def run(db: EmbeddedStack, settings: Settings, tmp_path: Path) -> Run:
    """Run the command line there; copies of tables go to a folder of the test."""
    settings.MDC_HOME = Home.at(tmp_path / "home")

    def invoke(*words: object, code: int = 0) -> Result:
        result = CliRunner().invoke(cli, [str(word) for word in words], prog_name="mdc")
        assert result.exception is None or isinstance(result.exception, SystemExit)
        assert result.exit_code == code, (result.stdout, result.stderr)
        return result

    return invoke


def _declared(name: str) -> bool:
    return FileSource.objects.filter(name=name).exists()


def closes(provider: str, symbol: str) -> dict[str, float]:
    """Return the stored closes of a series by stamp."""
    series = Series.objects.get(provider=provider, instrument__symbol=symbol)
    return {
        f"{bar.ts:%Y-%m-%d %H:%M}": bar.close for bar in Bar.objects.filter(series_id=series.id)
    }


def test_a_folder_is_looked_at_imported_shown_and_forgotten(run: Run, tmp_path: Path) -> None:
    """A dry run writes nothing; the import says what it left out; bars outlive the source."""
    folder = tmp_path / "Vendor Dump"
    folder.mkdir()
    (folder / "IMP1_1d.csv").write_text(DAYS)
    (folder / "notes_1d.csv").write_text("who,what\nme,nothing\n")

    looked = run("import", folder, "--dry-run")
    assert "IMP1" in looked.stdout
    assert "notes_1d.csv: no column for ts" in looked.stderr
    assert not FileSource.objects.filter(name="vendor-dump").exists()

    # What was left out is no success.
    imported = json.loads(run("import", folder, "--json", code=1).stdout)
    assert imported["series"][0]["inserted"] == 1, json.dumps(imported, indent=1)
    assert imported["quarantined"] == {"missing_value": 1}
    assert [one["file"] for one in imported["left_out"]] == ["notes_1d.csv"]
    assert closes("files:vendor-dump", "IMP1") == {"2024-03-04 00:00": 1.5}
    refused = Quarantine.objects.get(series_id=Series.objects.get(provider="files:vendor-dump").id)
    assert refused.raw == {"file": "IMP1_1d.csv", "line": 3, "text": "2024-03-05,2,3,1.5,-,20"}

    (folder / "notes_1d.csv").unlink()
    (folder / "IMP1_1d.csv").write_text(DAYS.replace("-,20", "2.5,20"))
    again = run("import", "vendor-dump")
    assert "inserted" in again.stdout
    assert closes("files:vendor-dump", "IMP1")["2024-03-05 00:00"] == 2.5

    shown = json.loads(run("files", "show", "vendor-dump", "--json").stdout)
    assert [(one["symbol"], one["rows"]) for one in shown["found"]] == [("IMP1", 2)]
    assert "vendor-dump" in run("files", "list").stdout
    assert "1 series of it stay stored" in run("files", "remove", "vendor-dump").stdout
    assert "no source is named" in run("files", "show", "vendor-dump", code=2).stderr
    events = AuditEvent.objects.filter(object_type="file_source", object_id="vendor-dump")
    assert [one.action for one in events.order_by("id")] == [
        "file_source.declare",
        "file_source.forget",
    ]
    rebuilt = json.loads(
        run("coverage", "rebuild", "--provider", "yahoo", "--yes", "--json", code=0).stdout or "[]"
    )
    assert rebuilt == []


def test_a_table_is_adopted_and_backfilled_like_any_provider(
    run: Run, db: EmbeddedStack, tmp_path: Path
) -> None:
    """Instants, numerics and odd symbols arrive exactly; rows without a symbol stay behind."""
    with psycopg.connect(db.database_url, autocommit=True) as other:
        other.execute("DROP SCHEMA IF EXISTS legacy CASCADE")
        other.execute("CREATE SCHEMA legacy")
        other.execute(
            'CREATE TABLE legacy.prices (ticker text, "when" timestamptz, o numeric, h numeric,'
            " l numeric, c numeric, v bigint)"
        )
        other.execute(
            "INSERT INTO legacy.prices"
            " SELECT ticker, at, 10.1, 20, 9, 10 + n / 100.0, n"
            " FROM unnest(ARRAY['TAB/A', 'TABB']) ticker,"
            "      generate_series(timestamptz '2024-03-04 14:30Z', '2024-03-04 20:59Z', '1 min')"
            "      WITH ORDINALITY AS g(at, n)"
        )
        other.execute(
            "INSERT INTO legacy.prices VALUES (NULL, '2024-03-04 14:30Z', 1, 1, 1, 1, 1),"
            " ('TABB', 'infinity', 1, 1, 1, 1, 1), ('TABB', '2024-03-04 14:30Z', NULL, 1, 1, 1, 1)"
        )
    given = ("--table", "legacy.prices", "--dsn", db.database_url, "--columns", "ts=when")
    assert "tells the timeframe" in run("import", *given, code=2).stderr
    done = run("import", *given, "--timeframe", "1m", "--name", "legacy", "--json")
    summary = json.loads(done.stdout)
    assert "782 rows" in done.stderr
    assert "1 row without a symbol" in done.stderr
    assert db.database_url not in json.dumps(summary["source"])
    assert {one["symbol"]: one["inserted"] for one in summary["series"]} == {
        "TAB/A": 390,
        "TABB": 390,
    }
    assert summary["quarantined"] == {"bad_stamp": 1, "missing_value": 1}
    stored = closes("files:legacy", "TAB/A")
    assert stored["2024-03-04 14:30"] == 10.01
    assert stored["2024-03-04 20:59"] == 13.9
    assert (
        "no table legacy.nothing"
        in run("import", "--table", "legacy.nothing", "--dsn", db.database_url, code=2).stderr
    )

    # Whoever empties a series gets it back from the copy, and from the coverage alone nothing.
    series = Series.objects.get(provider="files:legacy", instrument__symbol="TABB")
    Bar.objects.filter(series_id=series.id).delete()
    (rebuilt,) = json.loads(
        run(
            *("coverage", "rebuild", "--symbols", "TABB", "--provider", "files:legacy"),
            *("--yes", "--json"),
        ).stdout
    )
    assert (rebuilt["changed"], rebuilt["loaded"]) == (True, [])
    run(
        *("backfill", "files:legacy", "--symbols", "TABB", "--timeframe", "1m"),
        *("--start", "2024-03-04", "--end", "2024-03-04"),
    )
    assert len(closes("files:legacy", "TABB")) == 390
    copies = tmp_path / "home" / "imports" / "legacy"
    assert sorted(path.name for path in copies.iterdir()) == ["TAB%2FA.parquet", "TABB.parquet"]
    run("files", "remove", "legacy")
    assert not copies.exists()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("import",), "name a PATH or --table"),
        (("import", "/nowhere/at/all"), "no folder"),
        (("files", "add", "Bad Name", "."), "no name for a source"),
        (("import", "{folder}", "--columns", "ts"), "ROLE=NAME"),
        (("import", "{folder}", "--columns", "ts=When"), "there is no column 'When'"),
        (("import", "{folder}", "--timezone", "Nowhere/City"), "unknown timezone"),
        (("import", "{folder}", "--venue", "XXXX"), "XXXX"),
        (("import", "{folder}", "--symbols", "OTHER"), "holds no OTHER"),
        (("import", "no-such-source"), "no source is named"),
        (("coverage", "rebuild", "--symbols", "NOSUCH", "--yes"), "NOSUCH"),
        (("backfill", "files:nobody", "--symbols", "A", "--start", "2024-01-01"), "files:"),
    ],
)
def test_what_cannot_be_meant_is_answered_in_one_sentence(
    run: Run, tmp_path: Path, words: tuple[str, ...], complaint: str
) -> None:
    """No traceback, no job, and a hint of what to write."""
    # A source is called after its folder.
    folder = tmp_path / f"case-{tmp_path.name[-3:]}"
    folder.mkdir()
    (folder / "A_1d.csv").write_text(DAYS)
    given = [word.replace("{folder}", str(folder)) for word in words]
    result = CliRunner().invoke(cli, given, prog_name="mdc")
    assert result.exit_code in (1, 2), result.stdout
    assert complaint in result.stderr
    assert words[:2] != ("import", "{folder}") or "--symbols" in words or not _declared(folder.name)
    assert len(result.stderr.strip().splitlines()) <= 2


def test_a_name_is_not_taken_from_another_folder(run: Run, tmp_path: Path) -> None:
    """Two folders of one name are two sources; the second must be called otherwise."""
    for parent in ("a", "b"):
        folder = tmp_path / parent / "shared-name"
        folder.mkdir(parents=True)
        (folder / "SHN_1d.csv").write_text(DAYS)
    run("files", "add", "shared-name", tmp_path / "a" / "shared-name")
    refused = run("import", tmp_path / "b" / "shared-name", code=2)
    assert "choose another name with --name" in refused.stderr


def test_a_sidecar_that_is_no_layout_is_named(run: Run, tmp_path: Path) -> None:
    """The sentence starts with the file to mend."""
    (tmp_path / "A_1d.csv").write_text(DAYS)
    for text in ("stamps = ", 'stamps = "middle"', "[[files]]\nhours = 1"):
        (tmp_path / "mdc-files.toml").write_text(text)
        refused = run("files", "add", "sided", tmp_path, code=2)
        assert "mdc-files.toml" in refused.stderr
    assert not FileSource.objects.filter(name="sided").exists()
