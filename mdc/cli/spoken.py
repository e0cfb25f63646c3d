"""What a command says when it cannot go on: one sentence and an exit code. Imports little."""

from __future__ import annotations

from typing import IO, Any

import click

FAILED = 1
WRONG_USAGE = 2
INTERRUPTED = 130


class Spoken(click.ClickException):
    """Carry one sentence for the person at the terminal; the command has failed."""

    exit_code = FAILED

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the sentence to standard error."""
        click.echo(f"mdc: {self.format_message()}", file=file, err=file is None)


class SpokenUsage(Spoken):
    """Carry one sentence about a command that cannot be meant."""

    exit_code = WRONG_USAGE


def one_sentence(error: click.UsageError) -> SpokenUsage:
    """Say what click found wrong, and which help says how it is right."""
    said = " ".join(error.format_message().split()).rstrip(".").replace(". (", " (")
    path = error.ctx.command_path if error.ctx else "mdc"
    return SpokenUsage(f"{said[:1].lower()}{said[1:]}; `{path} --help` lists what is understood")
