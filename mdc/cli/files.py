"""`mdc files`: sources of files."""

from __future__ import annotations

from typing import Final

import click

from mdc.cli.groups import Entry, LazyGroup

COMMANDS: Final = {
    "add": Entry("mdc.cli.files_acts:add", "Declare a folder, a file or a glob."),
    "list": Entry("mdc.cli.files_list:list_", "List the declared sources."),
    "show": Entry("mdc.cli.files_acts:show", "Show what a source holds now."),
    "remove": Entry("mdc.cli.files_acts:remove", "Forget how a source is read; bars stay."),
}


@click.group(cls=LazyGroup, table=COMMANDS)
def files() -> None:
    """Declare folders and globs of CSV and Parquet files as providers of their own.

    A source named NAME is the provider files:NAME: `mdc import NAME` reads all of it, `mdc backfill
    files:NAME` and `mdc update files:NAME` a part. docs/files.md lists what a layout may say.
    """
