"""Named lists of symbols, kept in order, audited, and taken wherever symbols are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ingestion.models import AuditEvent
from tests.cli.conftest import Run

pytestmark = pytest.mark.django_db
RunJson = Callable[..., Any]


def test_a_list_lives(run: Run, run_json: RunJson) -> None:
    """Set, add, remove, show, list and delete; each change is in the ledger, repeats are not."""
    assert "tech holds 2 symbols" in run("watchlist", "set", "tech", "MSFT,AAPL").stdout
    assert "tech holds 3 symbols" in run("watchlist", "add", "tech", "AAPL", "IBM").stdout
    run("watchlist", "add", "tech", "IBM", "--reason", "again")
    run("watchlist", "remove", "tech", "MSFT", "--reason", "sold")
    assert run("watchlist", "show", "tech").stdout == "AAPL\nIBM\n"
    assert [one["name"] for one in run_json("watchlist", "list", "--json")] == ["tech"]
    assert "AAPL IBM" in run("watchlist", "list").stdout
    assert run("watchlist", "delete", "tech").exit_code == 0
    assert run_json("watchlist", "list", "--json") == []
    events = AuditEvent.objects.filter(object_type="watchlist").order_by("id")
    assert [(one.action, one.reason) for one in events] == [
        ("watchlist.set", ""),
        ("watchlist.set", ""),
        ("watchlist.set", "sold"),
        ("watchlist.delete", ""),
    ]
    assert events[2].before == {"symbols": ["MSFT", "AAPL", "IBM"]}


def test_a_list_is_taken_where_symbols_are(run: Run, run_json: RunJson) -> None:
    """It adds to --symbols, each symbol once."""
    run("watchlist", "set", "two", "BETA", "ALPHA")
    plan = run_json(
        *("backfill", "synthetic", "--symbols", "GAMMA", "BETA", "--watchlist", "two"),
        *("--start", "2024-01-01", "--end", "2024-01-31", "--dry-run", "--json"),
    )
    assert [one["symbol"] for one in plan["series"]] == ["GAMMA", "BETA", "ALPHA"]


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("show", "nope"), 1, "there is no watchlist nope; known: one; `mdc watchlist set nope"),
        (("add", "nope", "A"), 1, "there is no watchlist nope"),
        (("delete", "nope"), 1, "there is no watchlist nope"),
        (("remove", "one", "B"), 2, "B is not on the watchlist one; `mdc watchlist show one`"),
        (("remove", "one", "A"), 2, "would be empty; `mdc watchlist delete one`"),
        (("set", "a b", "A"), 2, "is no name for a watchlist"),
        (("set", "long", "X" * 65), 2, "at most 64 printable characters"),
        (("set", "none", ","), 2, "name at least one symbol"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    run: Run, words: tuple[str, ...], code: int, sentence: str
) -> None:
    """Nothing changes, and the sentence says what to do."""
    run("watchlist", "set", "one", "A")
    result = run("watchlist", *words)
    assert (result.exit_code, sentence in result.stderr) == (code, True), result.stderr
    assert run("watchlist", "show", "one").stdout == "A\n"


def test_an_unknown_list_stops_a_command(run: Run) -> None:
    """No job is opened for half of what was asked."""
    result = run("backfill", "synthetic", "--watchlist", "nope", "--start", "2024-01-01")
    assert (result.exit_code, "there is no watchlist nope" in result.stderr) == (1, True)
