"""The reader of the environment: loud about odd values, silent about secrets."""

from __future__ import annotations

import logging
from logging.config import dictConfig
from pathlib import Path

import pytest

from mdc.settings import (
    LOGGING,
    BadSetting,
    database_settings,
    env_choice,
    env_flag,
    env_int,
    env_list,
    env_secret,
    provider_settings,
)
from mdc.stack.addresses import Home

NAME = "MDC_TEST_VALUE"


@pytest.mark.parametrize(
    ("text", "value"), [("1", True), ("Yes", True), ("off", False), ("", True)]
)
def test_a_flag_takes_the_usual_words(
    monkeypatch: pytest.MonkeyPatch, text: str, value: bool
) -> None:
    """Empty counts as unset and gives the default."""
    monkeypatch.setenv(NAME, text)
    assert env_flag(NAME, default=True) is value


@pytest.mark.parametrize("text", ["maybe", "2", "on off"])
def test_an_odd_flag_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """A word that is neither yes nor no is not taken for no."""
    monkeypatch.setenv(NAME, text)
    with pytest.raises(BadSetting, match=NAME):
        env_flag(NAME)


@pytest.mark.parametrize("text", ["two", "0", "65", "1.5"])
def test_a_number_out_of_bounds_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """The message names the bounds."""
    monkeypatch.setenv(NAME, text)
    with pytest.raises(BadSetting, match="from 1 to 64"):
        env_int(NAME, 2, lowest=1, highest=64)


def test_a_choice_is_one_of_the_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Case does not matter; anything else is refused with the words."""
    monkeypatch.setenv(NAME, "JSON")
    assert env_choice(NAME, "text", ("text", "json")) == "json"
    monkeypatch.setenv(NAME, "xml")
    with pytest.raises(BadSetting, match="text, json"):
        env_choice(NAME, "text", ("text", "json"))


def test_a_list_is_split_at_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blanks and empty parts do not count."""
    monkeypatch.setenv(NAME, "a, b,,c ")
    assert env_list(NAME) == ["a", "b", "c"]


def test_a_secret_may_live_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """NAME_FILE wins, and a file that is not there is an error, not an empty secret."""
    file = tmp_path / "secret"
    file.write_text("hunter2\n")
    monkeypatch.setenv(f"{NAME}_FILE", str(file))
    assert env_secret(NAME) == "hunter2"
    file.unlink()
    with pytest.raises(BadSetting, match=f"{NAME}_FILE"):
        env_secret(NAME)


def test_a_database_address_becomes_djangos_entry() -> None:
    """What Django has no word for, such as sslmode, goes to the options."""
    entry = database_settings("postgresql://me:p%40ss@db.example:6543/prices?sslmode=require")
    assert entry["NAME"] == "prices"
    assert entry["PASSWORD"] == "p@ss"
    assert (entry["HOST"], entry["PORT"]) == ("db.example", "6543")
    assert entry["OPTIONS"] == {"sslmode": "require"}


@pytest.mark.parametrize("url", ["hunter2://me@x/y", "postgresql://me:hunter2@host", "hunter2"])
def test_a_bad_database_address_is_refused_without_showing_it(url: str) -> None:
    """It may hold a password."""
    with pytest.raises(BadSetting) as refusal:
        database_settings(url)
    assert "hunter2" not in str(refusal.value)


def test_the_address_of_a_home_is_one_that_django_understands(tmp_path: Path) -> None:
    """Also with blanks and a percent sign in the path."""
    home = Home.at(tmp_path / "a b%c")
    assert database_settings(home.database_url())["HOST"] == str(home.run)


def test_providers_are_configured_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """MDC_PROVIDER_<NAME>_KEY gives the key of that provider; empty ones do not count."""
    monkeypatch.setenv("MDC_PROVIDER_POLYGON_KEY", "abc")
    monkeypatch.setenv("MDC_PROVIDER_YAHOO_KEY", "")
    assert provider_settings("KEY") == {"polygon": "abc"}


def test_a_traceback_in_the_log_shows_no_local_variables(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """They hold keys and addresses with passwords."""
    dictConfig(LOGGING)
    password = "hunter" + "2"
    try:
        raise ValueError("oh no", len(password))
    except ValueError:
        logging.getLogger("mdc.test").exception("it broke")
    logged = capsys.readouterr().err
    assert "oh no" in logged
    assert "hunter2" not in logged
