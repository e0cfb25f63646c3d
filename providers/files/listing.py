"""List the files of a source, with what tells one version of a file from another."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from providers.files.errors import BadLayout
from providers.files.layout import SIDECAR, FileFormat, Layout, path_matches
from providers.files.naming import SUFFIXES, Named, NamePattern
from providers.types import Timeframe

_WILD: Final = "*?["
_PARQUET: Final = (".parquet", ".pq")


@dataclass(frozen=True, slots=True)
class Version:
    """Tell one content of a path from another, without reading it.

    The time of the last change of any kind cannot be set back, as that of the content can.
    """

    path: str
    size: int
    changed_ns: int
    inode: int


@dataclass(frozen=True, slots=True)
class Listed:
    """Hold one file of a source; `relative` is its path under the source's folder."""

    relative: str
    version: Version
    form: FileFormat
    named: Named

    @property
    def path(self) -> Path:
        """Return where the file is."""
        return Path(self.version.path)

    @property
    def is_parquet(self) -> bool:
        """Tell how the file is written: as declared, or else by its name."""
        if self.form.format != "auto":
            return self.form.format == "parquet"
        return self.relative.lower().endswith(_PARQUET)

    @property
    def fixed_symbol(self) -> str | None:
        """Return the symbol that the declaration gives; a usual name is no declaration."""
        found = self.form.symbol or (self.named.symbol if self.form.name else None)
        return spell(found, self.form) if found else None

    @property
    def fixed_timeframe(self) -> Timeframe | None:
        """Return the timeframe that the declaration gives, unless the file's own name knows it.

        A usual name alone is no declaration: a column outweighs it.
        """
        declared = self.form.fixed_timeframe()
        return (self.named.timeframe if self.form.name or declared else None) or declared


def spell(symbol: str, form: FileFormat) -> str:
    """Return a file's symbol in the declared case."""
    return symbol.upper() if form.symbol_case == "upper" else symbol


@dataclass(frozen=True, slots=True)
class Listing:
    """Hold the files of a source at one moment, by name; `odd` are those whose names do not fit.

    `folders` has when files were last added to, or removed from, each folder, in ns.
    """

    files: tuple[Listed, ...]
    odd: tuple[str, ...]
    folders: Mapping[str, int]

    def is_current(self) -> bool:
        """Tell whether no file has come or gone since; contents may have changed."""
        try:
            return all(os.stat(one).st_mtime_ns == then for one, then in self.folders.items())
        except OSError:
            return False


def split_path(path: str) -> tuple[Path, str]:
    """Split a source's path into its folder and a glob under it; a folder's glob is empty."""
    whole = Path(path)
    parts = whole.parts
    wild = next((at for at, part in enumerate(parts) if any(c in part for c in _WILD)), None)
    if wild is not None:
        return Path(*parts[:wild]), "/".join(parts[wild:])
    if whole.is_file():
        return whole.parent, glob.escape(whole.name)
    return whole, ""


def sidecar_of(path: str) -> Path | None:
    """Return the sidecar in the source's folder, if there is one."""
    sidecar = split_path(path)[0] / SIDECAR
    return sidecar if sidecar.is_file() else None


def version_of(path: Path) -> Version:
    """Read what tells a file's content from another one; raises OSError."""
    stat = path.stat()
    return Version(str(path), stat.st_size, stat.st_ctime_ns, stat.st_ino)


def list_files(path: str, layout: Layout) -> Listing:
    """List what a source holds now, sorted by path; raises BadLayout where there is no folder."""
    folder, pattern = split_path(path)
    if not folder.is_dir():
        raise BadLayout(f"{folder} is no folder that can be read here")
    globs = [pattern] if pattern else list(layout.paths) or ["**/*"]
    # Seen before the files are: what changes meanwhile makes the list an old one.
    folders = _folders(folder, globs)
    names = {
        found
        for one in globs
        for found in glob.iglob(one, root_dir=folder, recursive=True)
        if _is_data(found, layout)
    }
    files, odd = [], []
    for relative in sorted(names):
        full = folder / relative
        if not full.is_file():
            continue
        form = layout.format_for(relative)
        named = NamePattern.parse(form.name).read(relative)
        if named is None:
            odd.append(relative)
        else:
            files.append(Listed(relative, version_of(full), form, named))
    return Listing(tuple(files), tuple(odd), folders)


def _folders(folder: Path, globs: Sequence[str]) -> dict[str, int]:
    deep = any("/" in one for one in globs)
    found = [path for path, _, _ in os.walk(folder)] if deep else [str(folder)]
    return {path: os.stat(path).st_mtime_ns for path in found}


def _is_data(relative: str, layout: Layout) -> bool:
    name = relative.rpartition("/")[2]
    fits = name.lower().endswith(SUFFIXES) or layout.format_for(relative).format != "auto"
    return (
        fits and name != SIDECAR and not any(path_matches(relative, one) for one in layout.exclude)
    )
