"""Private files and folders: made 0600 and 0700, replaced whole."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mdc.stack.errors import UnsafeFolder


def make_private_folder(path: Path) -> None:
    """Create a folder with mode 0700, or take an own one and make it so.

    Raises UnsafeFolder when the path is a link or belongs to somebody else.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise UnsafeFolder(path)
    if stat.S_IMODE(found.st_mode) != 0o700:
        path.chmod(0o700)


def write_private_json(path: Path, content: Mapping[str, Any]) -> None:
    """Replace a JSON file in one step; nobody ever reads half of it."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=2, sort_keys=True)
            file.write("\n")
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file; an absent or torn file is an empty object."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
