"""The options that commands share are read the same everywhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from ingestion.models import Target
from mdc.cli import options
from mdc.cli.effort import effort_options
from mdc.cli.errors import SpeakingCommand
from mdc.cli.words import ListOption, spread
from providers.types import Hours, Timeframe

Read = Callable[..., dict[str, Any]]
PLAIN = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=6)


@click.command(cls=SpeakingCommand)
@options.named_provider(required=True)
@options.symbols(required=True)
@options.timeframes(default=("1d",))
@options.hours()
@options.window()
@effort_options()
@options.following()
@click.pass_context
def asked(ctx: click.Context, **given: Any) -> None:
    """Hand back what was read."""
    ctx.obj.update(given)


@pytest.fixture
def read() -> Read:
    """Run words through a command that has every shared option."""

    def run(*words: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        result = CliRunner().invoke(asked, words, obj=found)
        assert result.exit_code == 0, result.stderr
        return found

    return run


def refused(*words: str) -> str:
    """Return the sentence that answers wrong usage."""
    result = CliRunner().invoke(asked, words, obj={})
    assert result.exit_code == 2
    return result.stderr


@given(st.lists(PLAIN, max_size=5), st.lists(PLAIN, min_size=1, max_size=5))
def test_a_list_of_words_is_a_repeated_flag(before: list[str], words: list[str]) -> None:
    """Words before the flag stay where they are; every word after it belongs to it."""
    params = [ListOption(["--symbols", "--assets"])]
    repeated = [part for word in words for part in ("--assets", word)]
    assert spread([*before, "--assets", *words], params) == [*before, *repeated]
    assert spread([*before, "--assets", *words, "-v"], params) == [*before, *repeated, "-v"]
    assert spread(["--assets", *words, "--", *before], params) == [*repeated, "--", *before]


@pytest.mark.parametrize("flag", ["--symbols", "--symbol", "--assets"])
@pytest.mark.parametrize(
    "words", [("ES", "MES", "VIX"), ("ES,MES", "VIX"), ("ES, MES ,VIX,",), ("ES", "ES,MES", "VIX")]
)
def test_lists_as_people_type_them(read: Read, flag: str, words: tuple[str, ...]) -> None:
    """Several words, commas and repeats mean the same, each symbol once, in the order given."""
    found = read("yahoo", flag, *words, "--timeframes", "1D", "5M", "1min")
    assert found["provider"] == "yahoo"
    assert found["symbols"] == ("ES", "MES", "VIX")
    assert found["timeframes"] == (Timeframe.D1, Timeframe.M5, Timeframe.M1)


def test_the_provider_comes_first_or_by_name(read: Read) -> None:
    """A word after a list belongs to it, except after `=`, which takes one word."""
    assert read("--symbols", "A", "B", "--provider", "yahoo")["symbols"] == ("A", "B")
    assert read("--symbols=A,B", "yahoo")["provider"] == "yahoo"
    assert read("--symbols", "A", "--", "yahoo")["provider"] == "yahoo"
    assert "yahoo stands in the list of symbols" in refused("--symbols", "A", "yahoo")
    assert "--provider: polygon, synthetic, yahoo" in refused("--symbols", "A")
    assert "unknown provider 'nosuch'" in refused("nosuch", "--symbols", "A")


def test_a_list_may_stand_in_a_file(read: Read, tmp_path: Path) -> None:
    """One symbol per line or commas; comments begin a line or follow a blank."""
    names = tmp_path / "names.txt"
    names.write_text("\ufeffES\n# roots\nMES, VIX  # Cboe\n\n@ES#C\n", encoding="utf-8")
    found = read("yahoo", "--symbols", f"@{names}", "AAPL", "ES")
    assert found["symbols"] == ("ES", "MES", "VIX", "@ES#C", "AAPL")


def test_a_list_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    """A missing, empty or binary file says what to do."""
    empty, binary = tmp_path / "empty", tmp_path / "binary"
    empty.write_text("# nothing\n")
    binary.write_bytes(b"\xff\xfe\x00")
    assert "names no symbol; write one per line" in refused("yahoo", "--symbols", f"@{empty}")
    assert "is no UTF-8 text" in refused("yahoo", "--symbols", f"@{binary}")
    missing = refused("yahoo", "--symbols", "@nosuch.txt")
    assert missing == (
        "mdc: cannot read the list nosuch.txt: No such file or directory;"
        " give a text file with one symbol per line\n"
    )


def test_mock_says_so_and_takes_the_providers_place(read: Read) -> None:
    """Made-up prices are announced, and never stored under the name of a real provider."""
    assert read("--symbols", "A", "--mock")["provider"] == "synthetic"
    result = CliRunner().invoke(asked, ["yahoo", "--symbols", "A", "--mock"], obj={})
    assert "made-up prices, stored under the provider 'synthetic' instead of yahoo" in result.stderr


@pytest.mark.django_db
def test_targets_are_known_ones(read: Read) -> None:
    """A name that nobody declared is refused before there is a job."""
    Target.objects.create(name="lake", kind="parquet", config={})
    words = ("yahoo", "--symbols", "A", "--targets", "lake")
    assert read(*words)["effort"].targets == ("lake",)
    result = CliRunner().invoke(asked, [*words, "laek"], obj={})
    assert (result.exit_code, "there is no target named 'laek'" in result.stderr) == (1, True)


def test_effort(read: Read) -> None:
    """Operators' names for effort reach one value."""
    found = read(
        *("yahoo", "--symbols", "A", "--max-workers", "3", "--max-retries", "2"),
        *("--retry-delay", "2min", "--no-validate", "--targets", "none"),
        *("--start-date", "2024-01-02", "--end-date", "2024-01-03", "--hours", "extended"),
    )
    effort = found["effort"]
    assert (effort.max_concurrency, effort.max_retries, effort.retry_delay) == (3, 2, 120.0)
    assert (effort.validate, effort.targets) == (False, ())
    assert found["hours"] is Hours.EXTENDED
    assert (found["start"].text, found["end"].text) == ("2024-01-02", "2024-01-03")
    plain = read("yahoo", "--symbols", "A", "--retry-delay", "0.5")["effort"]
    assert (plain.validate, plain.targets, plain.retry_delay) == (True, None, 0.5)
    assert "leave the other names out" in refused("yahoo", "--targets", "none", "lake")
    assert "is no delay" in refused("yahoo", "--symbols", "A", "--retry-delay", "soon")
    assert "cannot be kept" in refused("yahoo", "--symbols", "A", "--retry-delay", "0")
