"""A declared source of files: what it holds, and the rows of one series in one window."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from typing import Final

import numpy as np
from numpy.typing import NDArray

from providers.files.cache import FileCache
from providers.files.declared import DeclaredSource
from providers.files.decode import Extent, FileSeries, Part, extent_of, join_parts
from providers.files.errors import BadLayout, FileChanged, UnreadableFile
from providers.files.layout import Rename
from providers.files.listing import Listed, Listing, list_files, spell, version_of
from providers.instants import to_us
from providers.types import Anchor, BarQuery, Hours

_EVER: Final = (int(np.iinfo(np.int64).min), int(np.iinfo(np.int64).max))

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Holding:
    """Hold what a source has of one series: stamps [first, end), in how many rows and files.

    `unplaced` rows have no stamp that a calendar could hold; `venue` is empty where none is
    declared.
    """

    series: FileSeries
    first: int
    end: int
    rows: int
    unplaced: int
    files: int
    venue: str


@dataclass(frozen=True, slots=True)
class Problem:
    """Say why a file is not read."""

    file: str
    message: str


@dataclass(frozen=True, slots=True)
class Holdings:
    """Hold everything that a source has, by series, and the files that cannot be read."""

    series: dict[FileSeries, Holding]
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True, eq=False)
class FoundRows:
    """Hold the rows of a window in order of time; `owner` says of which file each one is."""

    part: Part
    owner: NDArray[np.int64]
    files: tuple[Listed, ...]


class SourceView:
    """See a source as it is listed once; what its files hold is read when it is asked for."""

    def __init__(self, source: DeclaredSource, cache: FileCache) -> None:
        self.source = source
        self._cache = cache

    @functools.cached_property
    def listing(self) -> Listing:
        """Return the files; raises UnreadableFile where there is no folder."""
        try:
            return list_files(self.source.path, self.source.layout)
        except BadLayout as error:
            raise UnreadableFile(
                str(error), provider=self.source.provider, file=self.source.path
            ) from None

    @functools.cached_property
    def holdings(self) -> Holdings:
        """Return everything that the source has; files that cannot be read become problems."""
        found: dict[FileSeries, Holding] = {}
        problems = [
            Problem(odd, f"its name does not fit {self._pattern(odd)!r}")
            for odd in self.listing.odd
        ]
        for listed in self.listing.files:
            try:
                extents = self._cache.extents(listed, provider=self.source.provider)
            except UnreadableFile as error:
                problems.append(Problem(listed.relative, error.what))
            except FileChanged as error:
                problems.append(Problem(listed.relative, error.message))
            else:
                for key, extent in extents.items():
                    self._add(found, key, extent, listed)
        return Holdings(found, tuple(problems))

    def rows(self, query: BarQuery, *, start: int, end: int) -> FoundRows:
        """Return the rows of one series that are found in [start, end), from all files.

        Raises UnreadableFile and FileChanged.
        """
        parts, files, looked = [], [], 0
        for name, (since, until) in self._spellings(query.vendor_symbol):
            key = _wanted(query, name)
            for listed in self._candidates(key):
                fresh, looked = self._as_it_is(listed), looked + 1
                part = self._part(fresh, key, start=max(start, since), end=min(end, until))
                if part is not None:
                    parts.append(part)
                    files.append(fresh)
        if not looked:
            # Files without such rows say that there are none; no files say nothing.
            raise FileChanged(
                provider=self.source.provider, file=f"the only file of {query.vendor_symbol}"
            )
        if not parts:
            none = np.empty(0, np.int64)
            return FoundRows(Part(none, none, {}, none), none, ())
        owner = np.repeat(np.arange(len(parts)), [len(part.at) for part in parts])
        order = np.argsort(np.concatenate([part.at for part in parts]), kind="stable")
        return FoundRows(join_parts(parts), owner[order], tuple(files))

    def _as_it_is(self, listed: Listed) -> Listed:
        """Return a listed file with the content that it has now."""
        try:
            return replace(listed, version=version_of(listed.path))
        except OSError:
            raise FileChanged(provider=self.source.provider, file=listed.relative) from None

    def _part(self, listed: Listed, key: FileSeries, *, start: int, end: int) -> Part | None:
        known = self._cache.known_extents(listed)
        if known is None and listed.fixed_symbol is None:
            # Where its rows lie is quickly seen; most such files have none of this series.
            try:
                known = self._cache.extents(listed, provider=self.source.provider)
            except UnreadableFile:
                if _may_hold(listed, key.symbol):
                    raise
                return None
        if known is not None and not _overlaps(known.get(key), start, end):
            return None
        part = self._cache.file(listed, provider=self.source.provider).get(key)
        found = None if part is None else part.window(start, end)
        return found if found is not None and len(found.at) else None

    def _candidates(self, key: FileSeries) -> Iterator[Listed]:
        """Yield the files that may hold a series, by what is declared of them."""
        for listed in self.listing.files:
            form, intraday = listed.form, key.timeframe.is_intraday
            if (
                listed.fixed_symbol in (None, "", key.symbol)
                and listed.fixed_timeframe in (None, key.timeframe)
                and form.adjustment is key.adjustment
                and (not intraday or (form.hours, form.anchor) == (key.hours, key.anchor))
            ):
                yield listed

    def _add(
        self, found: dict[FileSeries, Holding], key: FileSeries, extent: Extent, listed: Listed
    ) -> None:
        for symbol, (since, until) in self._meanings(key.symbol):
            within = self._within(listed, key, extent, since=since, until=until)
            if within is None:
                continue
            series = replace(key, symbol=symbol)
            new = Holding(
                series,
                within.first,
                within.end,
                within.rows,
                within.unplaced,
                files=1,
                venue=listed.form.venue.upper(),
            )
            known = found.get(series)
            found[series] = _merged(known, new) if known else new

    def _within(
        self, listed: Listed, key: FileSeries, extent: Extent, *, since: int, until: int
    ) -> Extent | None:
        """Return what a file has of a series on the dates of one meaning; None where nothing."""
        if since <= extent.first and extent.end <= until:
            return extent
        part = self._part(listed, key, start=since, end=until)
        return None if part is None else extent_of(key, part)

    def _pattern(self, relative: str) -> str:
        return self.source.layout.format_for(relative).name

    def _meanings(self, name: str) -> list[tuple[str, Span]]:
        """Return which symbols a name in the files means, and when."""
        renames = [one for one in self.source.layout.renames if one.file_symbol == name]
        spans = [(one.symbol, _span(one)) for one in renames]
        return spans + [(name, rest) for rest in _outside([span for _, span in spans])]

    def _spellings(self, symbol: str) -> list[tuple[str, Span]]:
        """Return under which names the files write a symbol, and when."""
        renames = self.source.layout.renames
        found = [(one.file_symbol, _span(one)) for one in renames if one.symbol == symbol]
        away = [_span(one) for one in renames if one.file_symbol == symbol]
        return found + [(symbol, rest) for rest in _outside(away)]


def _wanted(query: BarQuery, name: str) -> FileSeries:
    if query.timeframe.is_intraday:
        return FileSeries(name, query.timeframe, query.adjustment, query.hours, query.anchor)
    return FileSeries(name, query.timeframe, query.adjustment, Hours.REGULAR, Anchor.OPEN)


def _may_hold(listed: Listed, symbol: str) -> bool:
    """Tell whether a file that cannot be read may hold bars of a symbol, as far as is declared."""
    usual = listed.named.symbol
    if "symbol" in listed.form.columns or usual is None:
        return True
    return spell(usual, listed.form) == symbol


def _overlaps(extent: Extent | None, start: int, end: int) -> bool:
    return extent is not None and extent.first < end and start < extent.end


def _merged(known: Holding, new: Holding) -> Holding:
    return replace(
        known,
        first=min(known.first, new.first),
        end=max(known.end, new.end),
        rows=known.rows + new.rows,
        unplaced=known.unplaced + new.unplaced,
        files=known.files + 1,
        venue=known.venue or new.venue,
    )


def _span(rename: Rename) -> Span:
    return (
        _midnight(rename.since) if rename.since else _EVER[0],
        _midnight(rename.until) if rename.until else _EVER[1],
    )


def _midnight(day: date) -> int:
    return to_us(datetime.combine(day, time(), UTC))


def _outside(spans: list[Span]) -> list[Span]:
    """Return all times that lie in none of the spans."""
    rest, start = [], _EVER[0]
    for since, until in sorted(spans):
        if start < since:
            rest.append((start, since))
        start = max(start, until)
    return [*rest, (start, _EVER[1])] if start < _EVER[1] else rest
