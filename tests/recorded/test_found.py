"""The checks look at every recorded series: what is odd is found, and almost nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.recorded.found import JudgedFindings, judge_recorded


@pytest.fixture(scope="module")
def judged(recorded: Path) -> JudgedFindings:
    return judge_recorded(recorded)


def test_every_finding_is_judged_and_every_oddity_is_found(judged: JudgedFindings) -> None:
    """found.toml names them all, one by one: a threshold that moves shows what it moved."""
    assert judged.unknown == frozenset()
    assert judged.lost == frozenset()
    assert judged.true > 80


def test_at_most_one_finding_in_ten_thousand_bars_is_false(judged: JudgedFindings) -> None:
    """All checks and all series together, and the market's own shocks count as false."""
    assert judged.bars > 389_000
    assert judged.false_per_10000 <= 1.0
