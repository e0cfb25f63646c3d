"""The demo on a few years of two symbols: the same steps with the same real processes."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psutil
import pytest
from pytest_django import DjangoDbBlocker
from rich.console import Console

from mdc.demo.errors import DemoFailed
from mdc.demo.home import clean_home
from mdc.demo.plan import FULL, DemoPlan
from mdc.demo.run import run_demo
from mdc.stack.addresses import Home
from mdc.stack.stopping import StopSignals
from providers.simulator.recorded import STOCKS_FILE

SMALL = replace(
    FULL,
    symbols=("FB", "IBM"),
    start=datetime(2011, 1, 3, tzinfo=UTC),
    end=datetime(2013, 3, 2, tzinfo=UTC),
    slice_span=timedelta(days=30),
    withheld={"IBM": (date(2012, 6, 1),)},
    faults=(
        {"kind": "status", "status": 503, "nth": (3, 70)},
        # The second job cannot end before its worker is killed.
        {"kind": "hang", "provider": "polygon", "seconds": 30, "nth": (20,)},
    ),
)


@pytest.fixture(autouse=True)
def _own_database(django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Let the demo use the database of its own stack."""
    with django_db_blocker.unblock():
        yield


def told(plan: DemoPlan, *, home: Home, source: Path) -> str:
    """Run a demo and return what it said; nothing of it may be left running."""
    said = io.StringIO()
    before = set(psutil.Process().children(recursive=True))
    try:
        run_demo(
            plan,
            home=clean_home(home),
            source=source,
            console=Console(file=said, width=200, markup=False, highlight=False),
            clock=lambda: datetime.now(UTC),
            signals=StopSignals(),
        )
    finally:
        assert set(psutil.Process().children(recursive=True)) <= before
    return said.getvalue()


def cut(target: Path, *, corrupt: str | None = None) -> Path:
    """Write the source file from 2011 on; a row that begins with `corrupt` gets another volume."""
    with gzip.open(STOCKS_FILE, "rt", encoding="ascii") as lines:
        head, *rows = lines.read().splitlines()
    kept = [head]
    for row in rows:
        values = row.split(",")
        if corrupt and row.startswith(corrupt):
            values[6] = "1"
        if values[1] >= "2011-01-03":
            kept.append(",".join(values))
    with gzip.open(target, "wt", encoding="ascii") as out:
        out.write("\n".join(kept) + "\n")
    return target


@pytest.mark.drill  # `make demo` is the same in full, and part of continuous integration
def test_all_three_steps_come_out_as_they_must(home: Home, tmp_path: Path) -> None:
    """A gap where a session is withheld, a job that outlives its worker, a gap filled."""
    said = told(SMALL, home=home, source=cut(tmp_path / "source.csv.gz"))
    assert "Gaps of IBM: 2012-06-01" in said
    assert "kill -9" in said
    assert "The job finished by itself" in said
    assert "1 inserted, exactly the withheld sessions" in said
    assert said.count("all equal") == 3


@pytest.mark.drill  # tests/demo/test_checks.py tries each check by itself
def test_a_corrupted_row_ends_the_demo(home: Home, tmp_path: Path) -> None:
    """One value that differs is found and named."""
    source = cut(tmp_path / "source.csv.gz", corrupt="FB,2012-05-21")
    plan = replace(SMALL, symbols=("FB",), withheld={}, kill_at=None)
    with pytest.raises(DemoFailed, match=r"FB 2012-05-21 volume is 1\.0 in the file and 168"):
        told(plan, home=home, source=source)
