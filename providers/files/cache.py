"""Keep decoded files for the slices that follow: one process, bounded, each file read once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from providers.files.decode import Decoded, Extent, FileSeries, Part, decode
from providers.files.errors import UnreadableFile
from providers.files.listing import Listed, Version
from providers.files.spill import Spill, SpilledPart

MEMORY_BYTES: Final = 256 * 1024 * 1024
DISK_BYTES: Final = 8 * 1024 * 1024 * 1024

Extents = dict[FileSeries, Extent]
Parts = Mapping[FileSeries, Part] | Mapping[FileSeries, SpilledPart]
Key = tuple[Version, bytes]


@dataclass(slots=True)
class FileCache:
    """Share decoded files among the threads of a process.

    The least recently used ones move from memory to a temporary file, and all that lie there are
    forgotten once it is full. Where rows lie in a file is small, and known for as long as the file
    is the same.
    """

    memory_bytes: int = MEMORY_BYTES
    disk_bytes: int = DISK_BYTES
    _resident: OrderedDict[Key, Decoded] = field(default_factory=OrderedDict)
    _spilled: dict[Key, Mapping[FileSeries, SpilledPart]] = field(default_factory=dict)
    _spill: Spill = field(default_factory=Spill)
    _extents: dict[Key, Extents] = field(default_factory=dict)
    _broken: dict[Key, UnreadableFile] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _reading: dict[Key, threading.Lock] = field(default_factory=dict)

    def file(self, listed: Listed, *, provider: str) -> Parts:
        """Return a file's series; two threads that ask at once read it once.

        Raises UnreadableFile and FileChanged.
        """
        key = _key(listed)
        with self._turn(key):
            found = self._look_up(key)
            if found is not None:
                return found
            decoded = self._decode(key, listed, provider=provider, stamps_only=False)
            self._keep(key, decoded)
            return decoded.parts

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

    def held(self) -> tuple[int, int]:
        """Count the files that are held in memory and on disk."""
        with self._lock:
            return len(self._resident), len(self._spilled)

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

    def _look_up(self, key: Key) -> Parts | None:
        with self._lock:
            resident = self._resident.get(key)
            if resident is not None:
                self._resident.move_to_end(key)
                return resident.parts
            return self._spilled.get(key)

    def _keep(self, key: Key, decoded: Decoded) -> None:
        with self._lock:
            self._extents[key] = decoded.extents
            self._resident[key] = decoded
            leaving = self._leaving()
        for other, file in leaving:
            self._move_to_disk(other, file)

    def _leaving(self) -> list[tuple[Key, Decoded]]:
        """Take the least recently used files out until the rest fits."""
        size = sum(one.nbytes for one in self._resident.values())
        leaving = []
        while size > self.memory_bytes:
            leaving.append(self._resident.popitem(last=False))
            size -= leaving[-1][1].nbytes
        return leaving

    def _move_to_disk(self, key: Key, decoded: Decoded) -> None:
        if self._spill.size + decoded.nbytes > self.disk_bytes:
            with self._lock:
                self._spilled.clear()
            self._spill.forget()
        try:
            moved = self._spill.write(decoded.parts)
        except OSError:
            # No room on disk: the file is read again when it is needed again.
            return
        with self._lock:
            self._spilled[key] = moved


def _key(listed: Listed) -> Key:
    settings = (listed.form, listed.named.symbol, listed.named.timeframe, listed.named.day)
    return listed.version, msgspec.json.encode(settings)
