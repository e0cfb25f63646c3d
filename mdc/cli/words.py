"""Lists as people type them: several words after one flag, commas, repeats, and @files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from mdc.cli.spoken import SpokenUsage

_FILE_MARK = "@"
# A comment begins a line or follows a blank: some vendors' symbols hold the sign themselves.
_COMMENT = re.compile(r"(^|\s)#.*")

Item = TypeVar("Item")
Read = Callable[[str], Item]


class ListOption(click.Option):
    """Take every word up to the next flag, as argparse's nargs='+' does.

    `--symbols=A` takes that word alone, and `--` ends a list; a command that holds such an option
    hands its words to `spread` before click reads them.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "multiple": True})


def spread(words: Sequence[str], params: Sequence[click.Parameter]) -> list[str]:
    """Repeat the flag of each list before each of its words: `--s A B` -> `--s A --s B`."""
    flags = {flag for one in params if isinstance(one, ListOption) for flag in one.opts}
    return list(_spread(words, flags)) if flags else list(words)


def _spread(words: Sequence[str], flags: set[str]) -> Iterator[str]:
    flag: str | None = None
    taken = 0
    for position, word in enumerate(words):
        if word == "--":
            yield from words[position:]
            return
        if word.startswith("-") and len(word) > 1:
            flag, taken = (word if word in flags else None), 0
        elif flag is not None:
            taken += 1
            if taken > 1:
                yield flag
        yield word


def split_list(text: str) -> list[str]:
    """Return the comma-separated parts without blanks."""
    return [part.strip() for part in text.split(",") if part.strip()]


def split_words(words: Sequence[str]) -> list[str]:
    """Return every part of comma-separated words and of the files that `@path` names, once each.

    Raises SpokenUsage for a file that cannot be read or names nothing.
    """
    parts: list[str] = []
    for word in words:
        parts += _read_file(word[1:]) if word.startswith(_FILE_MARK) else split_list(word)
    return list(dict.fromkeys(parts))


def _read_file(name: str) -> list[str]:
    if not name:
        raise SpokenUsage("name a file after the @, such as --symbols @symbols.txt")
    try:
        text = Path(name).expanduser().read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SpokenUsage(
            f"cannot read the list {name}: {error.strerror or error}; give a text file with one"
            " symbol per line"
        ) from error
    except UnicodeDecodeError as error:
        raise SpokenUsage(f"the list {name} is no UTF-8 text; save it as such") from error
    parts = [part for line in text.splitlines() for part in split_list(_COMMENT.sub("", line))]
    if not parts:
        raise SpokenUsage(f"the list {name} names no symbol; write one per line")
    return parts
