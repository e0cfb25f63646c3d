"""Let files and folders appear under their name only once they are complete."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from ingestion.domain.errors import BadRequest

# What an overwritten folder may hold: nothing that an export did not write is ever removed.
_OURS: Final = ".parquet"


class FolderNotEmpty(BadRequest):
    """Signal a target that holds something that stays."""

    def __init__(self, target: Path, *, why: str) -> None:
        super().__init__(f"{target} {why}", field="output")
        self.target = target


def open_file(output: Path) -> AbstractContextManager[BinaryIO]:
    """Write beside an ordinary file, but straight into a device or pipe that has the name."""
    target = output.resolve()
    if target.exists() and not target.is_file():
        return target.open("wb")
    return _replaced_when_complete(target)


@contextmanager
def _replaced_when_complete(output: Path) -> Iterator[BinaryIO]:
    descriptor, name = tempfile.mkstemp(prefix=f".{output.name}.", dir=output.parent)
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.chmod(_usual_mode(0o666))
        draft.replace(output)
    except BaseException:
        with suppress(FileNotFoundError):
            draft.unlink()
        raise


@contextmanager
def open_folder(output: Path, *, overwrite: bool) -> Iterator[Path]:
    """Give a folder beside the target, which takes its name at the end; an empty one vanishes.

    With `overwrite` an earlier export gives way, as a whole and at the end. Raises FolderNotEmpty
    before anything is written.
    """
    target = output.resolve()
    _check_free(target, overwrite=overwrite)
    draft = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        yield draft
        if any(draft.iterdir()):
            draft.chmod(_usual_mode(0o777))
            _put_in_place(draft, target, overwrite=overwrite)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _put_in_place(draft: Path, target: Path, *, overwrite: bool) -> None:
    _check_free(target, overwrite=overwrite)
    if not overwrite:
        # An empty folder gives way by itself.
        draft.rename(target)
        return
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as aside:
        older = Path(aside) / "older"
        if target.exists():
            target.rename(older)
        try:
            draft.rename(target)
        except OSError:
            if older.exists():
                older.rename(target)
            raise


def _check_free(target: Path, *, overwrite: bool) -> None:
    if not target.exists():
        return
    if not target.is_dir():
        raise FolderNotEmpty(target, why="is no folder; name another place with -o")
    if not overwrite and any(target.iterdir()):
        raise FolderNotEmpty(
            target, why="is not empty; name another folder, or replace all of it with --overwrite"
        )
    files = (path for path in target.rglob("*") if not path.is_dir())
    strange = next((path for path in files if path.suffix != _OURS), None)
    if strange is not None:
        raise FolderNotEmpty(
            target, why=f"holds {strange.name}, which no export wrote; name another folder"
        )


def _usual_mode(full: int) -> int:
    """Return the mode that something new and ordinary gets here; a draft is private."""
    mask = os.umask(0)
    os.umask(mask)
    return full & ~mask
