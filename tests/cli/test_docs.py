"""The commands that the documents show are understood as they stand there."""

from __future__ import annotations

import re
import shlex
from itertools import takewhile
from pathlib import Path

import click
import pytest

from mdc.cli.main import COMMANDS, cli

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
_SHELL = {"|", ">", "&&", "&", ";"}
_FENCED = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)


def shown(document: str) -> list[list[str]]:
    """Return the words of each `mdc` command in the fenced blocks of a document."""
    blocks = "\n".join(_FENCED.findall((ROOT / document).read_text()))
    lines = blocks.replace("\\\n", " ").splitlines()
    plain = (line.removeprefix(".venv/bin/") for line in lines)
    typed = (shlex.split(line, comments=True) for line in plain if line.startswith("mdc "))
    # What follows a pipe or a redirection is the shell's.
    return [list(takewhile(lambda word: word not in _SHELL, words[1:])) for words in typed]


def read(group: click.Group, words: list[str]) -> None:
    """Let click read the words without running anything; raises what click refuses."""
    with click.Context(group) as ctx:
        _, command, rest = group.resolve_command(ctx, words)
        assert command is not None
        # A group that does something by itself, as `mdc coverage` does, has flags of its own.
        if isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
            read(command, rest)
        else:
            command.make_context(words[0], rest, parent=ctx)


DOCUMENTS = ["README.md", *(f"docs/{one.name}" for one in sorted((ROOT / "docs").glob("*.md")))]


@pytest.mark.parametrize("document", [one for one in DOCUMENTS if shown(one)])
def test_documented_commands_are_understood(document: str) -> None:
    """No flag is shown that does not exist, and none in a place where it means something else."""
    for words in shown(document):
        read(cli, words)


def test_every_command_is_in_the_readme() -> None:
    """Who adds a command says there what it is for."""
    (table,) = re.findall(r"^\| command \|.*?\n\n", README, re.MULTILINE | re.DOTALL)[1:]
    named = set(re.findall(r"`(?:mdc )?([a-z]+)`", table))
    assert named == set(COMMANDS)
