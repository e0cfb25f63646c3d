"""A database that is emptied after each module, and the command itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from click.testing import CliRunner, Result
from pytest_django import DjangoDbBlocker

from tests.tables import empty_tables


@pytest.fixture(scope="module")
def db(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Commit for real: what is known when shows only across transactions."""
    with django_db_blocker.unblock():
        try:
            yield
        finally:
            empty_tables()


@pytest.fixture
def run() -> Callable[..., Result]:
    """Run the command line and insist that no error escapes it."""
    from mdc.cli.main import cli

    def invoke(*words: object) -> Result:
        result = CliRunner().invoke(cli, [str(word) for word in words])
        assert result.exception is None or isinstance(result.exception, SystemExit), (
            result.exception
        )
        return result

    return invoke


@pytest.fixture
def run_json(run: Callable[..., Result]) -> Callable[..., Any]:
    """Run a command that succeeds and read the JSON on its standard output."""

    def invoke(*words: object) -> Any:
        result = run(*words)
        assert result.exit_code == 0, result.stderr
        return orjson.loads(result.stdout)

    return invoke
