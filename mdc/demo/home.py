"""The demo's own folder inside the user's home: clean for every run, never anybody else's."""

from __future__ import annotations

import shutil
from pathlib import Path

from mdc.demo.errors import DemoBusy
from mdc.stack.addresses import Home
from mdc.stack.errors import AlreadyRunning
from mdc.stack.files import make_private_folder
from mdc.stack.lock import HomeLock, remove_survivors


def demo_home(users: Home) -> Home:
    """Name the demo's home, beside what the user's own stack keeps."""
    return Home.at(users.root / "demo")


def clean_home(users: Home) -> Home:
    """Empty the demo's home of an earlier run and return it; raises DemoBusy while one runs."""
    home = demo_home(users)
    make_private_folder(users.root)
    make_private_folder(home.root)
    lock = HomeLock(home)
    try:
        lock.take()
    except AlreadyRunning as busy:
        raise DemoBusy(home.root, busy.pid) from busy
    try:
        remove_survivors(home)
        # The sockets lie elsewhere where the home's path is too long for them.
        for entry in {*home.root.iterdir(), home.run} - {home.lock}:
            _remove(entry)
    finally:
        lock.release()
    make_private_folder(home.logs)
    return home


def _remove(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry)
    else:
        entry.unlink(missing_ok=True)
