"""Every block of docs/recipes.md runs, and prints what the page says it prints."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner

PAGE = Path(__file__).resolve().parents[2] / "docs" / "recipes.md"
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Recipe:
    """One block with the line it begins on, and what the page shows as its output."""

    line: int
    language: str
    code: str
    output: str | None


def recipes() -> list[Recipe]:
    """Pair the blocks of the page with the `text` blocks behind them."""
    text = PAGE.read_text()
    found: list[Recipe] = []
    for block in _FENCE.finditer(text):
        language, code = block.groups()
        if language == "text":
            last = found.pop()
            assert last.output is None, f"line {last.line} has two outputs"
            found.append(Recipe(last.line, last.language, last.code, code))
        else:
            line = text.count("\n", 0, block.start()) + 1
            found.append(Recipe(line, language, code, None))
    return found


def lines(text: str) -> list[str]:
    """Return a text's lines without the blanks at their ends."""
    return [line.rstrip() for line in text.rstrip().splitlines()]


def run_python(code: str, names: dict[str, Any]) -> str:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, str(PAGE), "exec"), names)
    return printed.getvalue()


def run_sql(code: str, address: str) -> str:
    with psycopg.connect(address, row_factory=psycopg.rows.tuple_row) as connection:
        cursor = connection.execute(code)
        assert cursor.description is not None
        header = [column.name for column in cursor.description]
        rows = [[f"{value}" for value in row] for row in cursor]
    assert rows, "a recipe shows something"
    return "".join(" | ".join(row) + "\n" for row in [header, *rows])


def run_shell(code: str) -> str:
    from mdc.cli.main import cli

    said = ""
    for line in code.splitlines():
        words = shlex.split(line)
        assert words[0] == "mdc"
        result = CliRunner().invoke(cli, words[1:])
        assert result.exit_code == 0, f"{line}: {result.output}"
        said += result.stdout
    return said


@pytest.fixture
def _elsewhere(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run in an empty folder, with the prepared database as the usual one."""
    monkeypatch.setenv("MDC_DATABASE_URL", address)
    monkeypatch.delenv("MDC_DATABASE_URL_FILE", raising=False)
    before = Path.cwd()
    os.chdir(tmp_path)
    try:
        yield
    finally:
        os.chdir(before)


@pytest.mark.usefixtures("_elsewhere")
def test_every_recipe_runs_and_prints_what_the_page_says(address: str) -> None:
    names: dict[str, Any] = {"__name__": "recipes"}
    ran = recipes()
    assert {one.language for one in ran} == {"python", "sql", "sh"}
    for one in ran:
        match one.language:
            case "python":
                printed = run_python(one.code, names)
            case "sql":
                printed = run_sql(one.code, address)
            case _:
                printed = run_shell(one.code)
        if one.output is not None:
            assert lines(printed) == lines(one.output), f"line {one.line}:\n{printed}"
