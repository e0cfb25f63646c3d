"""Find the expected sessions that are neither loaded nor explained, for many series in one pass.

Series of one shape share one row of units. What is known of them is brought from stamps to places
in that row by binary search, and all judging is algebra of whole intervals of places: the cost
follows the number of spans that are known, not the number of sessions.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ingestion.domain.coverage import Ranges, Stamps
from ingestion.domain.expectation import Expectation, Units
from ingestion.domain.spans import NO_SPANS, Rows, Spans

EVER: Final = np.iinfo(np.int64).max
ALWAYS: Final = np.iinfo(np.int64).min


class GapKind(enum.StrEnum):
    """Say why a gap is one: never asked (or not yet), asked in vain, refused, or out of tries.

    `refused` means that rows came and none of them could be stored; the quarantine holds them.
    """

    UNKNOWN = "unknown"
    MISSING = "missing"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Gap:
    """Hold neighbouring units of one kind; `start` and `end` are µs in stamp space, half-open."""

    start: int
    end: int
    units: int
    kind: GapKind


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Hold what is known of series, each an owner of spans.

    `not_listed` are the unexpired proofs that the instrument did not exist, `proofs` all others;
    `missing` was asked in vain, of `refused` no row could be stored, `failed` lies in dead slices.
    """

    loaded: Spans = NO_SPANS
    proofs: Spans = NO_SPANS
    not_listed: Spans = NO_SPANS
    missing: Spans = NO_SPANS
    refused: Spans = NO_SPANS
    failed: Spans = NO_SPANS

    def of_owners(self, first: int, last: int) -> Evidence:
        """Select the owners [first, last), renumbered from zero."""
        return Evidence(
            *(getattr(self, one.name).of_owners(first, last) for one in fields(Evidence))
        )

    def settled(self) -> Spans:
        """Return what is loaded or explained, disjoint."""
        return Spans.join([self.loaded, self.proofs, self.not_listed]).union()


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """Hold the pieces of stamp space to judge, and the labels that count in each.

    A unit counts in a piece that holds one of its promised stamps, if its label lies in
    [first_labels[i], end_labels[i]) as well: the evening before a day on which an instrument is
    gone belongs to that day's session. The pieces of one owner ascend and do not overlap.
    """

    pieces: Spans
    first_labels: Stamps
    end_labels: Stamps

    @classmethod
    def of(cls, windows: Spans, *, lives: Spans) -> Asked:
        """Ask for windows, at most one of an owner, as far as the owner's spans of life reach."""
        if not len(windows):
            return cls(NO_SPANS, NO_SPANS.starts, NO_SPANS.ends)
        at = np.minimum(np.searchsorted(windows.owners, lives.owners), len(windows) - 1)
        starts = np.maximum(lives.starts, windows.starts[at])
        ends = np.minimum(lives.ends, windows.ends[at])
        kept = (windows.owners[at] == lives.owners) & (starts < ends)
        pieces = Spans(lives.owners[kept], starts[kept], ends[kept])
        return cls(pieces, lives.starts[kept], lives.ends[kept])

    def of_owners(self, first: int, last: int) -> Asked:
        """Select the owners [first, last), renumbered from zero."""
        at, until = np.searchsorted(self.pieces.owners, (first, last))
        rows = slice(int(at), int(until))
        return Asked(
            self.pieces.of_owners(first, last), self.first_labels[rows], self.end_labels[rows]
        )


@dataclass(frozen=True, slots=True)
class GapReport:
    """Count the units of a window; `expected` is the sum of `loaded`, `explained`, `lacking`.

    `watermark` is the exclusive end in µs up to which no unit lacks; None where nothing is loaded
    or explained before the first gap.
    """

    expected: int
    loaded: int
    explained: int
    gaps: tuple[Gap, ...]
    watermark: int | None = None

    @property
    def lacking(self) -> int:
        """Return how many expected units lie in gaps."""
        return sum(gap.units for gap in self.gaps)

    @property
    def completeness(self) -> float | None:
        """Return the part of the expected units that is loaded or explained, 0 to 1."""
        return 1 - self.lacking / self.expected if self.expected else None


NOTHING_EXPECTED: Final = GapReport(expected=0, loaded=0, explained=0, gaps=())


def percent(part: float) -> str:
    """Spell a part as percent, cut to two digits: only what is whole is 100."""
    return "100 %" if part == 1 else f"{int(part * 10_000) / 100:.2f} %"


def find_gaps(
    expectation: Expectation, *, asked: Asked, evidence: Evidence, count: int, now_us: int
) -> list[GapReport]:
    """Judge series of one shape, owners 0 to `count` - 1, on every unit that is over by `now_us`.

    A unit that lies wholly before the listing is not expected. Pieces are cut to what the venue's
    calendar knows.
    """
    board = _Board.lay(expectation, asked, now_us=now_us)
    if not len(board.rows):
        return [NOTHING_EXPECTED] * count
    settled_spans = evidence.settled()
    unlisted = board.inside(evidence.not_listed.union())
    loaded = board.inside(evidence.loaded.union()).subtract(unlisted)
    settled = board.inside(settled_spans).union(unlisted)
    gaps = board.gaps(board.finished.subtract(settled), evidence)
    expected, known = board.finished.subtract(unlisted), settled.subtract(unlisted)
    totals = [board.count(cells, count) for cells in (expected, loaded, known)]
    marks = board.watermarks(evidence, settled_spans, gaps, count)
    return [
        GapReport(
            expected=one,
            loaded=held,
            explained=accounted - held,
            gaps=tuple(gaps.get(owner, ())),
            watermark=None if mark == ALWAYS else mark,
        )
        for owner, (one, held, accounted, mark) in enumerate(
            zip(*(column.tolist() for column in (*totals, marks)), strict=True)
        )
    ]


@dataclass(frozen=True, slots=True, eq=False)
class _Board:
    """Number every unit of every piece: cell = row of the piece * width + place of the unit.

    `rows` are the pieces, cut to stamps that the series accepts; `owners` of each. `finished` are
    the cells to judge, `unfinished` is where the first expected unit begins that is not over, or
    EVER. A row's last number stands for no unit, so that rows never touch.
    """

    units: Units
    rows: Spans
    owners: Rows
    finished: Ranges
    unfinished: Stamps

    @classmethod
    def lay(cls, expectation: Expectation, asked: Asked, *, now_us: int) -> _Board:
        """Find the first and the last unit that each piece holds a promised stamp of."""
        units, known = expectation.units, expectation.sessions
        starts = np.maximum(asked.pieces.starts, known.known_from)
        ends = np.minimum(asked.pieces.ends, known.known_until)
        heads = expectation.accepted.first_from(starts)
        first = np.searchsorted(units.ends, expectation.promised.first_from(starts), side="right")
        last = np.searchsorted(units.starts, expectation.promised.last_before(ends), side="right")
        first = np.maximum(first, np.searchsorted(units.labels, asked.first_labels))
        last = np.minimum(last, np.searchsorted(units.labels, asked.end_labels))
        kept = (first < last) & (heads < ends)
        first, last, heads, ends = first[kept], last[kept], heads[kept], ends[kept]
        over = _count_over(expectation, now_us=now_us)
        # What a piece holds of an intraday session is over when the piece is.
        clipped = (
            (ends <= now_us) if expectation.timeframe.is_intraday else np.zeros(len(ends), bool)
        )
        until = np.where(clipped, last, np.clip(over, first, last))
        opens = np.append(units.starts, EVER)[until]
        base = np.arange(len(first)) * (len(units) + 1)
        return cls(
            units=units,
            rows=Spans(np.arange(len(first)), heads, ends),
            owners=asked.pieces.owners[kept],
            finished=Ranges.of_arrays(base + first, base + until),
            unfinished=np.where(until < last, np.maximum(opens, heads), EVER),
        )

    @property
    def width(self) -> int:
        """Return how many numbers a row takes."""
        return len(self.units) + 1

    def inside(self, spans: Spans) -> Ranges:
        """Return the cells to judge that lie wholly in one of the disjoint spans of their owner."""
        here = self._cut(spans)
        # At the edges of a piece the rest of the unit is not asked about.
        starts = np.where(here.starts > self.rows.starts[here.owners], here.starts, ALWAYS)
        ends = np.where(here.ends < self.rows.ends[here.owners], here.ends, EVER)
        first = np.searchsorted(self.units.starts, starts, side="left")
        last = np.searchsorted(self.units.ends, ends, side="right")
        return self._cells(here.owners, first, last)

    def touched(self, spans: Spans) -> Ranges:
        """Return the cells to judge that some span of their owner overlaps within the piece."""
        here = self._cut(spans)
        first = np.searchsorted(self.units.ends, here.starts, side="right")
        last = np.searchsorted(self.units.starts, here.ends, side="left")
        return self._cells(here.owners, first, last)

    def _cut(self, spans: Spans) -> Spans:
        return spans.within(Spans(self.owners, self.rows.starts, self.rows.ends))

    def _cells(self, rows: Rows, first: Rows, last: Rows) -> Ranges:
        base = rows * self.width
        return Ranges.of_arrays(base + first, base + np.maximum(first, last)).intersect(
            self.finished
        )

    def count(self, cells: Ranges, count: int) -> NDArray[np.int64]:
        """Count the cells of each of `count` owners."""
        found = np.zeros(count, np.int64)
        np.add.at(found, self.owners[cells.starts // self.width], cells.ends - cells.starts)
        return found

    def gaps(self, lacking: Ranges, evidence: Evidence) -> dict[int, list[Gap]]:
        """Name what lacks, by owner: neighbours of one kind, without a settled one between."""
        if not len(lacking):
            return {}
        parts: list[tuple[GapKind, Ranges]] = []
        for kind, spans in (
            (GapKind.FAILED, evidence.failed),
            (GapKind.REFUSED, evidence.refused),
            (GapKind.MISSING, evidence.missing),
        ):
            cells = lacking.intersect(self.touched(spans))
            parts.append((kind, cells))
            lacking = lacking.subtract(cells)
        parts.append((GapKind.UNKNOWN, lacking))
        return self._named(parts)

    def _named(self, parts: list[tuple[GapKind, Ranges]]) -> dict[int, list[Gap]]:
        starts = np.concatenate([cells.starts for _, cells in parts])
        ends = np.concatenate([cells.ends for _, cells in parts])
        kinds = np.repeat(np.arange(len(parts)), [len(cells) for _, cells in parts])
        order = np.argsort(starts)
        starts, ends, kinds = starts[order], ends[order], kinds[order]
        rows, first = np.divmod(starts, self.width)
        last = ends - rows * self.width - 1
        columns = (
            self.owners[rows],
            np.maximum(self.units.starts[first], self.rows.starts[rows]),
            np.minimum(self.units.ends[last], self.rows.ends[rows]),
            ends - starts,
            kinds,
        )
        found: dict[int, list[Gap]] = {}
        for owner, start, end, size, kind in zip(*(one.tolist() for one in columns), strict=True):
            found.setdefault(owner, []).append(Gap(start, end, size, parts[kind][0]))
        return found

    def watermarks(
        self, evidence: Evidence, settled: Spans, gaps: dict[int, list[Gap]], count: int
    ) -> Stamps:
        """Return up to where nothing lacks, per owner: never beyond a gap or an open hole.

        ALWAYS where nothing is loaded or explained before that.
        """
        # The first unit that is not over yet may have holes that are no gaps so far.
        limit = np.full(count, EVER)
        np.minimum.at(limit, self.owners, self.unfinished)
        settled = self._of_owners(settled)
        before = settled.starts <= limit[settled.owners]
        marks = np.full(count, ALWAYS)
        np.maximum.at(marks, settled.owners[before], settled.ends[before])
        for owner, found in gaps.items():
            marks[owner] = found[0].start
        known = self._of_owners(Spans.join([evidence.loaded, evidence.proofs]))
        begun = known.first_starts(count, otherwise=EVER)
        return np.where(begun < marks, marks, ALWAYS)

    def _of_owners(self, spans: Spans) -> Spans:
        cut = self._cut(spans)
        return Spans(self.owners[cut.owners], cut.starts, cut.ends)


def _count_over(expectation: Expectation, *, now_us: int) -> int:
    units = expectation.units
    intraday = expectation.timeframe.is_intraday
    over_at = units.ends if intraday else expectation.bar_ends(units.starts)
    return int(np.searchsorted(over_at, now_us, side="right"))
