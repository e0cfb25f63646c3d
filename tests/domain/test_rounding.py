"""Prices that differ in their last decimal only are no contradiction."""

from __future__ import annotations

import numpy as np
import pytest

from ingestion.domain.expectation import expect
from ingestion.domain.quality import Reason, validate
from ingestion.domain.windows import DAY_US, Window
from providers.bars import Bars
from providers.types import Anchor, Hours, Timeframe
from tests.domain.shapes import VENUES

DAYS = expect(VENUES["weekdays"], timeframe=Timeframe.D1, hours=Hours.REGULAR, anchor=Anchor.OPEN)


@pytest.mark.parametrize(
    ("high", "reasons"),
    [(0.09666399999999999, []), (0.096663, [Reason.OHLC])],
)
def test_the_last_decimal_of_an_adjusted_price_may_contradict(
    high: float, reasons: list[Reason]
) -> None:
    """A high below the close by less than any tick is kept as it was written."""
    bars = Bars.build(
        ts=np.array([4 * DAY_US]), open=[0.0931], high=[high], low=[0.0931], close=[0.096664]
    )
    verdict = validate(
        bars,
        window=Window.of_us(4 * DAY_US, 5 * DAY_US),
        expectation=DAYS,
        as_of_us=2**60,
        finality_delay_us=0,
    )
    assert verdict.reasons == reasons
    assert verdict.good.high.tolist() == ([] if reasons else [high])
