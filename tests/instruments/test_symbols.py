"""`mdc symbols`, on a real database and beside a simulated provider."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection

from ingestion.provider_access import _networked, access_for
from ingestion.services import look_up_symbol as lookups
from ingestion.services.look_up_symbol import NoRequestNow, look_up_symbol, spelling_at
from ingestion.store import leases
from providers.errors import ThrottledError, UnknownSymbol
from providers.simulator.process import Simulator
from tests.cli.conftest import Run, execute, open_now, request, work_until_done

RunJson = Callable[..., Any]


@pytest.fixture(scope="module", autouse=True)
def db(committed: None) -> None:
    """A stock with a month of daily bars."""
    work_until_done(open_now(request("HELD", end=datetime(2024, 2, 1, tzinfo=UTC))))


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator({"unknown_symbols": ["NOPE*"]}) as running:
        yield running


@pytest.fixture
def provider(simulator: Simulator, settings: Any) -> Iterator[Simulator]:
    """The simulated yahoo and polygon, asked by nobody yet, and their accounts as new."""
    settings.PROVIDER_BASE_URLS = dict.fromkeys(("yahoo", "polygon"), simulator.base_url)
    settings.PROVIDER_KEYS = {"polygon": "key"}
    simulator.control.disarm()
    simulator.control.reset()
    execute(
        "WITH old AS (SELECT id FROM account WHERE provider IN ('yahoo', 'polygon')),"
        " _ AS (DELETE FROM budget WHERE account_id IN (SELECT id FROM old))"
        " DELETE FROM account WHERE id IN (SELECT id FROM old)"
    )
    _networked.cache_clear()
    yield simulator
    _networked.cache_clear()


def rows(query: str, *values: object) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, list(values))
        return cursor.fetchall()


def names(symbol: str, provider: str) -> list[tuple[str, date | None, date | None]]:
    return rows(
        "SELECT vendor_symbol, lower(valid), upper(valid) FROM provider_symbol p"
        " JOIN instrument i ON i.id = p.instrument_id WHERE symbol = %s AND provider = %s"
        " ORDER BY valid",
        symbol,
        provider,
    )


def test_a_search_lists_what_is_stored_first(run: Run, run_json: RunJson) -> None:
    """A stored symbol comes before the reference's, whatever they are called."""
    run("symbols", "add", "GOLDEN", "--venue", "XNYS", "--name", "Golden Things")
    found = run_json("symbols", "search", "gold", "--json")
    assert [found[0]["symbol"], found[0]["stored"]] == ["GOLDEN", True]
    assert {"symbol": "GC", "stored": False}.items() <= found[1].items()
    assert found[1]["providers"] == {"yahoo": "GC=F"}
    assert "GC=F" in run("symbols", "search", "gc=f").stdout
    assert "yahoo" in run("symbols", "search", "no such thing").stdout


def test_a_symbol_is_shown_before_it_is_stored(run: Run, run_json: RunJson) -> None:
    """Venue, next session with its break, and who said so."""
    shown = run_json("symbols", "show", "7203.T", "--json")
    assert (shown["stored"], shown["venue"], shown["timezone"]) == (False, "XTKS", "Asia/Tokyo")
    assert shown["next_session"]["pause"]
    assert shown["facts_from"] == "reference"
    assert shown["names"][0]["vendor_symbol"] == "7203.T"
    text = run("symbols", "show", "ES").stdout
    assert "not back-adjusted" in text
    assert "Sun 17:00" in text or "Mon 16:00" in text or "16:00 C" in text
    assert run_json("symbols", "show", "ESZ2013", "--json")["next_session"] is None
    assert run("symbols", "show", "HELD").stdout.count("synthetic") == 2
    refused = run("symbols", "show", "NEVERHEARD")
    assert refused.exit_code == 2
    assert "mdc symbols add NEVERHEARD" in refused.stderr


def test_a_symbol_is_added_from_the_reference_and_corrected_by_a_person(
    run: Run, run_json: RunJson
) -> None:
    """The reference speaks first, a person last; each change is audited, none is none."""
    added = run_json("symbols", "add", "MES", "--json")
    assert (added["created"], added["venue"], added["facts_from"]) == (True, "CMES", "reference")
    assert added["listed_from"] == "2019-05-06"
    changed = run_json(
        "symbols", "add", "MES", "--listed-from", "none", "--name", "Micro", "--json"
    )
    assert (changed["listed_from"], changed["name"], changed["facts_from"]) == (
        None,
        "Micro",
        "user",
    )
    assert "nothing was changed" in run("symbols", "add", "MES").stdout
    assert rows(
        "SELECT action, after ->> 'name' FROM audit_event WHERE object_id = 'MES' ORDER BY id"
    ) == [
        ("instrument.add", "Micro E-mini S&P 500 futures, front month"),
        ("instrument.change", "Micro"),
    ]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("NEW", "--venue", "XXXX"), "unknown venue"),
        (("NEW", "--listed-from", "2020-13-01"), "write it as 2024-01-31"),
        (("NEW", "--listed-from", "2020-01-02", "--delisted-on", "2020-01-02"), "none"),
        (("NEW", "--underlying", "ES"), "--asset-class future"),
        (("NEW", "--currency", "DOUBLOONS"), "at most 8"),
        (("NEW", "--as", "OTHER"), "--from"),
        (("NEW", "--from", "nobody"), "unknown provider"),
        (("NEW", "--from", "synthetic"), "states no facts"),
        (("ESZ13",), "ESZ2013"),
        (("ESZ3",), "ESZ2013 or ESZ2023"),
        (("ES=F",), "add ES"),
        (("BRK-B",), "add BRK.B"),
        ((" NEW",), "spaces"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_a_sentence(
    run: Run, words: tuple[str, ...], says: str
) -> None:
    """Wrong usage, exit code 2, nothing stored."""
    refused = run("symbols", "add", *words)
    assert (refused.exit_code, says in refused.stderr) == (2, True), refused.stderr
    assert rows("SELECT 1 FROM instrument WHERE symbol LIKE '%%NEW'") == []


def test_a_symbol_of_other_hours_is_another_instrument(run_json: RunJson) -> None:
    """Nothing of AT&T is said of a T in London; XNYS for a Nasdaq stock changes only that."""
    london = run_json("symbols", "add", "T", "--venue", "XLON", "--json")
    assert (london["name"], london["venue"], london["facts_from"]) == ("", "XLON", "user")
    cisco = run_json("symbols", "add", "CSCO", "--venue", "XNYS", "--json")
    assert (cisco["name"], cisco["listed_from"]) == ("Cisco Systems", "1990-02-16")


def test_what_stored_bars_contradict_is_refused_or_judged_anew(run: Run) -> None:
    """Another calendar, no volume: only with --rejudge. Dates that orphan bars: never."""
    for words in (("--venue", "XLON"), ("--no-volume",)):
        refused = run("symbols", "add", "HELD", *words)
        assert refused.exit_code == 1
        assert "--rejudge" in refused.stderr
    for words in (("--listed-from", "2024-01-03"), ("--delisted-on", "2024-01-31")):
        refused = run("symbols", "add", "HELD", *words, "--rejudge")
        assert refused.exit_code == 1
        assert "bars of HELD are stored" in refused.stderr
    # The same hours and holidays under another name contradict nothing.
    assert run("symbols", "add", "HELD", "--venue", "XNAS").exit_code == 0
    assert rows("SELECT isempty(doubted) FROM coverage") == [(True,)]
    done = run("symbols", "add", "HELD", "--venue", "XLON", "--rejudge")
    assert "1 series will be judged anew" in done.stdout
    assert rows("SELECT isempty(loaded), isempty(doubted) FROM coverage") == [(True, False)]
    assert rows("SELECT count(*) > 0 FROM bar") == [(True,)]


def test_a_name_is_mapped_with_dates(run: Run) -> None:
    """A newer name takes its dates from an older one; the middle cut out leaves both ends."""
    assert run("symbols", "map", "META", "polygon", "META", "--from", "2022-06-09").exit_code == 0
    run("symbols", "map", "META", "polygon", "FB", "--until", "2022-06-09")
    renamed = date(2022, 6, 9)
    assert names("META", "polygon") == [("FB", None, renamed), ("META", renamed, None)]
    run(
        "symbols",
        "map",
        "META",
        "polygon",
        "OTHER",
        "--from",
        "2023-01-02",
        "--until",
        "2023-02-01",
    )
    assert names("META", "polygon")[1:] == [
        ("META", renamed, date(2023, 1, 2)),
        ("OTHER", date(2023, 1, 2), date(2023, 2, 1)),
        ("META", date(2023, 2, 1), None),
    ]
    run("symbols", "map", "META", "polygon", "META")
    assert names("META", "polygon") == [("META", None, None)]
    assert "no longer means META" in run("symbols", "unmap", "META", "polygon").stdout
    assert run("symbols", "unmap", "META", "polygon").exit_code == 2


def test_a_new_name_says_what_was_fetched_under_the_old_one(run: Run) -> None:
    """What is stored stays, and the command says how to have it compared."""
    said = run("symbols", "map", "HELD", "synthetic", "ANOTHER", "--from", "2024-01-15").stdout
    assert "synthetic calls HELD HELD (before 2024-01-15)" in said
    assert ("1 series stored" in said) == bool(
        rows("SELECT 1 FROM coverage WHERE NOT isempty(loaded)")
    )
    again = run("symbols", "map", "HELD", "synthetic", "ANOTHER", "--from", "2024-01-15").stdout
    assert "stored" not in again
    run("symbols", "map", "HELD", "synthetic", "HELD")


def test_a_name_means_one_instrument_at_a_time(run: Run) -> None:
    """Overlapping dates are refused and name the other; dates beside them are taken."""
    assert run("symbols", "map", "AAPL", "yahoo", "TWICE", "--until", "2010-01-01").exit_code == 0
    refused = run("symbols", "map", "MSFT", "yahoo", "TWICE", "--from", "2009-12-31")
    assert refused.exit_code == 2
    assert "means AAPL (before 2010-01-01)" in refused.stderr
    assert "mdc symbols unmap AAPL yahoo TWICE" in refused.stderr
    assert names("MSFT", "yahoo") == []
    assert run("symbols", "map", "MSFT", "yahoo", "TWICE", "--from", "2010-01-01").exit_code == 0


def test_a_roll_rule_belongs_to_continuous_futures(run: Run) -> None:
    """The reference's for the name it knows, or a person's; for a stock it is refused."""
    assert "not back-adjusted" in run("symbols", "map", "NQ", "yahoo", "NQ=F").stdout
    assert (
        "on volume"
        in run("symbols", "map", "NQ", "polygon", "X", "--roll-rule", "on volume").stdout
    )
    refused = run("symbols", "map", "AAPL", "yahoo", "AAPL", "--roll-rule", "any")
    assert refused.exit_code == 2
    assert run("symbols", "map", "NEVERHEARD", "yahoo", "X").exit_code == 2


def test_a_provider_is_asked_for_the_facts(
    run: Run, run_json: RunJson, provider: Simulator
) -> None:
    """One request each; a person's word stays, the provider's name is kept."""
    added = run_json("symbols", "add", "6999.T", "--from", "yahoo", "--json")
    assert (added["venue"], added["currency"], added["facts_from"]) == ("XTKS", "JPY", "provider")
    assert names("6999.T", "yahoo") == [("6999.T", None, None)]
    # Yahoo does not say where it trades, but its spelling does.
    unsaid = run_json("symbols", "add", "6997.ST", "--from", "yahoo", "--json")
    assert (unsaid["venue"], unsaid["currency"]) == ("XSTO", "SEK")
    other = run_json("symbols", "add", "KOA", "--from", "yahoo", "--as", "6998.T", "--json")
    assert other["venue"] == "XTKS"
    assert names("KOA", "yahoo") == [("6998.T", None, None)]
    stock = run_json("symbols", "add", "TSLA", "--from", "polygon", "--name", "Mine", "--json")
    assert (stock["name"], stock["venue"], stock["listed_from"]) == ("Mine", "XNAS", "2010-06-29")
    again = run_json("symbols", "add", "TSLA", "--from", "yahoo", "--json")
    assert (again["name"], again["facts_from"]) == ("Mine", "user")
    assert [one["symbol"] for one in provider.control.log()] == [
        *("6999.T", "6997.ST", "6998.T", "TSLA", "TSLA")
    ]
    refused = run("symbols", "add", "NOPE1", "--from", "yahoo")
    assert (refused.exit_code, "does not know the symbol" in refused.stderr) == (1, True)
    assert rows("SELECT 1 FROM instrument WHERE symbol = 'NOPE1'") == []


def test_another_instrument_is_never_asked_for(run: Run, provider: Simulator) -> None:
    """CL is crude oil and polygon's CL is a stock: somebody has to say what is meant."""
    refused = run("symbols", "add", "CL", "--from", "polygon")
    assert (refused.exit_code, "--as" in refused.stderr) == (2, True)
    assert provider.control.log() == []
    assert spelling_at("EURUSD", provider="polygon", today=date(2024, 1, 1)) == "C:EURUSD"
    assert spelling_at("UNHEARD", provider="polygon", today=date(2024, 1, 1)) == "UNHEARD"


def look_up(symbol: str) -> object:
    return look_up_symbol(symbol, access=access_for("yahoo"), host="here", pid=1)


def test_a_lookup_keeps_the_accounts_limits(
    provider: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes a permit and a fetch slot like any fetch, and says when it may not send."""
    look_up("VOD.L")
    assert len(provider.control.log()) == 1
    assert rows("SELECT 1 FROM executor WHERE host = 'here'") == []
    execute("UPDATE budget SET n = 1, window_ms = 60000")
    with pytest.raises(NoRequestNow, match="allow no request before") as refused:
        look_up("VOD.L")
    assert refused.value.until is not None
    assert refused.value.until - datetime.now(UTC) < timedelta(seconds=62)
    execute("DELETE FROM budget")
    ((account_id,),) = rows("SELECT id FROM account WHERE provider = 'yahoo'")
    executor = uuid4()
    leases.register_executor(executor_id=executor, host="busy", pid=2)
    assert leases.open_run(executor_id=executor, account_id=account_id, share=99)
    monkeypatch.setattr(lookups, "_SLOT_PATIENCE", 0.1)
    with pytest.raises(NoRequestNow, match="at once"):
        look_up("VOD.L")
    leases.bury_executors([executor])
    execute("UPDATE account SET circuit = 'open', circuit_reason = 'a refused key'")
    with pytest.raises(NoRequestNow, match="a refused key"):
        look_up("VOD.L")
    assert len(provider.control.log()) == 1


def test_a_lookup_learns_from_a_throttle(provider: Simulator) -> None:
    """Who asks for a slower pace is left alone by everybody, workers included."""
    provider.control.arm({"kind": "status", "status": 429, "retry_after": 30, "first": 1})
    with pytest.raises(ThrottledError):
        look_up("VOD.L")
    assert rows(
        "SELECT blocked_until > clock_timestamp() + interval '20 s' FROM account"
        " WHERE provider = 'yahoo'"
    ) == [(True,)]
    execute("UPDATE account SET blocked_until = NULL")
    with pytest.raises(UnknownSymbol):
        look_up("NOPE2")
