"""A payload with other fields than its adapter knows is noticed, whatever its rows cost nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from providers.adapters.polygon.drift import page_drift
from providers.adapters.yahoo.drift import chart_drift
from providers.drift import outline

NUMBERS = [1.5, None, 3.0]


def chart(**changes: Any) -> dict[str, Any]:
    """Return a chart as yahoo sends it, with some objects changed."""
    quote = dict.fromkeys(("open", "high", "low", "close", "volume"), NUMBERS)
    meta = {
        "exchangeTimezoneName": "America/New_York",
        "dataGranularity": "1d",
        "instrumentType": "EQUITY",
        "regularMarketTime": 1_700_000_000,
        "currentTradingPeriod": {"regular": {"start": 1, "end": 2}},
        "longName": "Brackets [and] Sons {Ltd}",
        "tradingPeriods": [[{"start": 1, "end": 2}], [{"start": 3, "end": 4}]],
    }
    result = {
        "meta": meta | changes.get("meta", {}),
        "timestamp": [1, 2, 3],
        "indicators": {
            "quote": [quote | changes.get("quote", {})],
            "adjclose": [{"adjclose": NUMBERS}],
        }
        | changes.get("indicators", {}),
    } | changes.get("result", {})
    for name in changes.get("without", ()):
        del result["indicators"]["quote"][0][name]
    return {"chart": {"result": [result], "error": None}}


def body(document: object) -> bytes:
    return json.dumps(document).encode()


def page(rows: int = 2, **changes: Any) -> dict[str, Any]:
    """Return a page as polygon sends it."""
    row = {"t": 1, "o": 1.0, "h": 1.0, "l": 1.0, "c": 1.0, "v": 9, "n": 2} | changes.get("row", {})
    return {
        "status": "OK",
        "adjusted": False,
        "queryCount": rows,
        "resultsCount": rows,
        "results": [row] * rows,
    } | changes.get("page", {})


def test_what_is_known_is_no_drift() -> None:
    assert chart_drift(body(chart())) == ()
    assert page_drift(body(page())) == ()
    assert page_drift(body(page(rows=0))) == ()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"meta": {"mood": 1}}, "chart.result.meta has an unknown field 'mood'"),
        ({"quote": {"vwap": NUMBERS}}, "chart.result.indicators.quote has an unknown field 'vwap'"),
        ({"indicators": {"vwap": []}}, "chart.result.indicators has an unknown field 'vwap'"),
        ({"result": {"news": [{"a": 1}]}}, "chart.result has an unknown field 'news'"),
        ({"without": ["volume"]}, "chart.result.indicators.quote lacks the field 'volume'"),
    ],
)
def test_every_level_of_a_chart_is_compared(changes: dict[str, Any], sentence: str) -> None:
    assert chart_drift(body(chart(**changes))) == (sentence,)


def test_pages_and_their_rows_are_compared() -> None:
    assert page_drift(body(page(row={"x": 1}))) == ("results has an unknown field 'x'",)
    assert page_drift(body(page(page={"hint": "x"}))) == ("the page has an unknown field 'hint'",)
    lacking = page()
    del lacking["queryCount"]
    assert page_drift(body(lacking)) == ("the page lacks the field 'queryCount'",)


def test_sentences_are_few_and_short() -> None:
    many = {f"{n}{'x' * 500}": 1 for n in range(50)}
    sentences = chart_drift(body(chart(meta=many)))
    assert len(sentences) == 5
    assert max(map(len, sentences)) < 120


def test_the_outline_does_not_grow_with_the_rows() -> None:
    small, large = outline(body(page(rows=2))), outline(body(page(rows=50_000)))
    assert len(large["results"]) == 1
    assert large["results"] == small["results"]
    rows = outline(body(chart(quote={"close": [1.0] * 100_000})))
    assert rows["chart"]["result"][0]["indicators"]["quote"][0]["close"] == []


@pytest.mark.parametrize("text", [b"", b"[", b'{"a": [1', b"[[[[", b"\xff[1]"])
def test_what_cannot_be_outlined_is_left_alone(text: bytes) -> None:
    assert outline(text) is None
    assert page_drift(text) == ()
    assert chart_drift(text) == ()


def test_rows_that_are_lists_are_not_walked() -> None:
    assert outline(body({"rows": [[n, n] for n in range(10_000)]})) is None


def test_recorded_payloads_are_all_known(recorded: Path) -> None:
    """Whoever changes what is declared sees here whether reality agrees."""
    charts = [sent for sent in _sent(recorded, "yahoo/*_finance_chart_*") if b'"meta"' in sent]
    pages = _sent(recorded, "polygon/*_aggs_ticker_*_range_*")
    assert len(charts) > 50
    assert len(pages) > 3
    assert {drift for sent in charts for drift in chart_drift(sent)} == set()
    assert {drift for sent in pages for drift in page_drift(sent)} == set()


def _sent(recorded: Path, pattern: str) -> list[bytes]:
    found = [json.loads(path.read_text()) for path in (recorded / "http").glob(f"{pattern}.json")]
    return [exchange["response"]["body"].encode() for exchange in found]
