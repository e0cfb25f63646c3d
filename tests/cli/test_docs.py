"""The commands that the documents show are understood as they stand there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from mdc.cli.main import cli

ROOT = Path(__file__).resolve().parents[2]
_FENCED = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)


def shown(document: str) -> list[list[str]]:
    """Return the words of each `mdc` command in the fenced blocks of a document."""
    lines = "\n".join(_FENCED.findall((ROOT / document).read_text())).splitlines()
    commands = (shlex.split(line.removeprefix(".venv/bin/"), comments=True) for line in lines)
    return [words[1:] for words in commands if words[:1] == ["mdc"]]


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


@pytest.mark.parametrize("document", ["README.md", "docs/everyday.md"])
def test_documented_commands_are_understood(document: str) -> None:
    """No flag is shown that does not exist, and none in a place where it means something else."""
    commands = shown(document)
    assert commands
    for words in commands:
        read(cli, words)
