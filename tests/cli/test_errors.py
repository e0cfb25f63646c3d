"""Every expected error ends a command with one sentence and the right exit code."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pytest_django import DjangoDbBlocker

from tests.cli.conftest import Run, command_environment
from tests.conftest import django_at

FIRST = ("--start", "2024-01-01")


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("backfill", "nosuch", "--symbols", "A", *FIRST), "unknown provider 'nosuch'"),
        (("backfill", "--symbols", "A", *FIRST), "name one provider"),
        (
            ("backfill", "yahoo", "--provider", "polygon", "--symbols", "A", *FIRST),
            "two providers are named, yahoo and polygon; keep one",
        ),
        (
            ("backfill", "--symbols", "A", "yahoo", *FIRST),
            "yahoo stands in the list of symbols and counts as one; name the provider before",
        ),
        (("backfill", "synthetic", "--symbols", "A", "--start", "2024-13-01"), "is no date"),
        (("backfill", "synthetic", "--symbols", "A", "--start", "2190-01-01"), "in the future"),
        (
            ("backfill", "synthetic", "--symbols", "A", *FIRST, "--end", "2190-01-01"),
            "the end 2190-01-01 lies in the future",
        ),
        (
            ("backfill", "synthetic", "--symbols", "A", *FIRST, "--end", "2023-12-31"),
            "the end 2023-12-31 lies before the start 2024-01-01",
        ),
        (
            ("backfill", "synthetic", "--symbols", "A", *FIRST, "--timeframe", "7x"),
            "unknown timeframe '7x'; use one of 1m",
        ),
        (
            ("backfill", "yahoo", "--symbols", "A", *FIRST, "--timeframe", "4h"),
            "yahoo does not serve bars of 4h",
        ),
        (
            ("update", "yahoo", "--symbols", "A", "--timeframes", "4h"),
            "mdc: yahoo does not serve bars of 4h",
        ),
        (
            ("backfill", "synthetic", "--symbols", "A", *FIRST, "--venue", "NOPE"),
            "unknown venue 'NOPE'",
        ),
        (
            ("backfill", "synthetic", "--symbols", "A", *FIRST, "--retry-class", "odd"),
            "unknown retry class 'odd'",
        ),
        (("backfill", "synthetic", "--symbols", ",", *FIRST), "name at least one symbol"),
        (("backfill", "synthetic", *FIRST), "name at least one symbol"),
        (
            ("backfill", "synthetic", "--symbols", "A"),
            "mdc: missing option '--start' / '--start-date'; `mdc backfill --help` lists",
        ),
        (
            ("backfill", "synthetic", "--symbols", "A", *FIRST, "--rate-limit", "fast"),
            "is no rate",
        ),
        (
            ("backfill", "synthetic", "--symbols", "A", *FIRST, "--priority", "300"),
            "0<=x<=255",
        ),
        (("job", "retry-failed"), "name the jobs to retry, or give --all"),
        (("job", "retry-failed", "1", "--all"), "name the jobs to retry, or give --all"),
        (("job", "show", "seven"), "not a valid integer"),
        (("coverage", "--provider", "nosuch"), "unknown provider 'nosuch'"),
        (("export", "--start", "2024-02-01", "--end", "2024-01-01"), "swap them"),
    ],
)
def test_wrong_usage_exits_with_2(run: Run, words: tuple[str, ...], sentence: str) -> None:
    """What cannot be meant is refused before anything is written."""
    result = run(*words)
    assert result.exit_code == 2, result.stderr
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("job", "show", "4711"), "there is no job 4711; `mdc job list`"),
        (("job", "show", "4711", "--follow"), "there is no job 4711"),
        (("job", "pause", "4711"), "there is no job 4711"),
        (("job", "events", "4711"), "there is no job 4711"),
        (("job", "retry-failed", "4711"), "there is no job 4711"),
        (("coverage", "--symbols", "NEVER", "--timeframe", "1h"), "nothing is stored of NEVER at"),
    ],
)
def test_what_does_not_exist_exits_with_1(run: Run, words: tuple[str, ...], sentence: str) -> None:
    """A well-formed command about something unknown fails with a hint."""
    result = run(*words)
    assert result.exit_code == 1
    assert sentence in result.stderr
    assert result.stdout == ""


UNREACHABLE = "postgresql://who:hush@127.0.0.1:1/nothing"


@pytest.mark.parametrize(
    "words",
    [
        ("job", "list"),
        ("coverage",),
        ("export",),
        ("backfill", "synthetic", "--symbols", "A", *FIRST),
    ],
)
def test_an_unreachable_database_is_one_sentence(
    run: Run, words: tuple[str, ...], django_db_blocker: DjangoDbBlocker
) -> None:
    """The sentence says what to start or set; the password in the address is not in it."""
    with django_at(UNREACHABLE, django_db_blocker):
        result = run(*words)
    assert result.exit_code == 1
    assert_unreachable(said=result.stderr, printed=result.stdout)


def test_a_program_without_a_database_says_the_same() -> None:
    """Nothing that happens on the way to a command asks the database before it may be away."""
    ended = subprocess.run(
        [sys.executable, "-m", "mdc", "job", "list"],
        env=command_environment() | {"MDC_DATABASE_URL": UNREACHABLE},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert_unreachable(said=ended.stderr, printed=ended.stdout)


def assert_unreachable(*, said: str, printed: str) -> None:
    assert "PostgreSQL cannot be reached" in said
    assert "Traceback" not in said
    assert "hush" not in said
    assert printed == ""


def test_a_database_without_tables_says_how_to_make_them(servers: object) -> None:
    """A server of the user's own, reached for the first time, is no crash."""
    url = servers.database_url.replace("/mdc?", "/postgres?")
    ended = subprocess.run(
        [sys.executable, "-m", "mdc", "job", "list"],
        env=command_environment() | {"MDC_DATABASE_URL": url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert "the database does not have mdc's tables; `mdc up` makes them" in ended.stderr


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize("words", [("job", "list"), ("job", "list", "--json")])
def test_a_full_standard_output_is_one_sentence(words: tuple[str, ...], servers: object) -> None:
    """Nobody reads a traceback because a disk is full."""
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "mdc", *words],
            env=command_environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert ended.returncode == 1
    assert ended.stderr == "mdc: cannot write standard output: No space left on device\n"
