"""Keep decoded files for the slices that follow: one process, bounded, each file read once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

import msgspec

from providers.files.decode import Decoded, Extent, FileSeries, decode
from providers.files.errors import UnreadableFile
from providers.files.listing import Listed, Version

MEMORY_BYTES: Final = 256 * 1024 * 1024
DISK_BYTES: Final = 8 * 1024 * 1024 * 1024

Extents = dict[FileSeries, Extent]
Key = tuple[Version, bytes]


@dataclass(slots=True)
class FileCache:
    """Share decoded files among the threads of a process; the least recently used ones go.

    What lies where in a file is small and stays known for as long as the file is the same.
    """

    memory_bytes: int = MEMORY_BYTES
    disk_bytes: int = DISK_BYTES
    _files: OrderedDict[Key, Decoded] = field(default_factory=OrderedDict)
    _extents: dict[Key, Extents] = field(default_factory=dict)
    _broken: dict[Key, UnreadableFile] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _reading: dict[Key, threading.Lock] = field(default_factory=dict)

    def file(self, listed: Listed, *, provider: str) -> Decoded:
        """Return a file's columns; two threads that ask at once read it once.

        Raises UnreadableFile and FileChanged.
        """
        key = _key(listed)
        with self._turn(key):
            found = self._look_up(key)
            if found is None:
                found = self._decode(key, listed, provider=provider, stamps_only=False)
                self._keep(key, found)
        return found

    def extents(self, listed: Listed, *, provider: str) -> Extents:
        """Return where a file's rows lie, reading no more of it than that takes."""
        key = _key(listed)
        with self._turn(key):
            with self._lock:
                found = self._extents.get(key)
            if found is None:
                found = self._decode(key, listed, provider=provider, stamps_only=True).extents
                with self._lock:
                    self._extents[key] = found
        return found

    def known_extents(self, listed: Listed) -> Extents | None:
        """Return where a file's rows lie if that is known without reading it."""
        with self._lock:
            return self._extents.get(_key(listed))

    def _decode(self, key: Key, listed: Listed, *, provider: str, stamps_only: bool) -> Decoded:
        """Read a file; one that could not be read is not tried again until it is another one."""
        with self._lock:
            broken = self._broken.get(key)
        if broken is not None:
            raise UnreadableFile(
                broken.what, provider=provider, file=listed.relative, line=broken.line
            )
        try:
            return decode(listed, provider=provider, stamps_only=stamps_only)
        except UnreadableFile as error:
            with self._lock:
                self._broken[key] = error
            raise

    def _turn(self, key: Key) -> threading.Lock:
        with self._lock:
            return self._reading.setdefault(key, threading.Lock())

    def _look_up(self, key: Key) -> Decoded | None:
        with self._lock:
            found = self._files.get(key)
            if found is not None:
                self._files.move_to_end(key)
            return found

    def _keep(self, key: Key, decoded: Decoded) -> None:
        with self._lock:
            self._extents[key] = decoded.extents
            self._files[key] = decoded
            for spilled, most in ((False, self.memory_bytes), (True, self.disk_bytes)):
                held = [one for one, file in self._files.items() if file.spilled is spilled]
                size = sum(self._files[one].nbytes for one in held)
                # The newest stays, however large: it is about to be used.
                while size > most and held[0] != key:
                    size -= self._files.pop(held.pop(0)).nbytes


def _key(listed: Listed) -> Key:
    settings = (listed.form, listed.named.symbol, listed.named.timeframe, listed.named.day)
    return listed.version, msgspec.json.encode(settings)
