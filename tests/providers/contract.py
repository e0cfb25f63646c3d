"""What every adapter promises; a provider's test class inherits one of the two suites.

Answers live in `payloads/<name>/*.json`, one file each: `query` (a BarQuery's fields; what is
left out comes from the suite), `status`, `headers`, `body` (JSON, or `text` for anything else),
and either `rows` ([stamp, open, high, low, close, volume, final], null for absent) with optional
`next_token`, `resume_from`, `proven_until`, or `error` (and `retry_after`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from providers import errors
from providers.base import Adapter, PageOrder
from providers.instants import from_us, to_us
from providers.registry import adapter_names, get_adapter
from providers.types import (
    Adjustment,
    Anchor,
    BarQuery,
    Credentials,
    Hours,
    Page,
    Response,
    Timeframe,
)

PAYLOADS = Path(__file__).parent / "payloads"
RECEIVED_AT = datetime(2024, 3, 12, 12, 0, tzinfo=UTC)
KEY = "k3y-that-must-stay-secret"


def make_response(
    status: int, body: bytes = b"", headers: dict[str, str] | None = None
) -> Response:
    """Build an answer as the edge would hand it over."""
    return Response(status=status, headers=headers or {}, body=body, received_at=RECEIVED_AT)


def read_instant(text: str) -> datetime:
    """Read a UTC instant."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def make_query(**fields: Any) -> BarQuery:
    """Build a query for one month of daily bars, changed by `fields` (plain strings)."""
    given = {"symbol": "ACME", "venue": "XNYS", "timeframe": "1d", "adjustment": "raw"} | fields
    return BarQuery(
        symbol=given["symbol"],
        vendor_symbol=given.get("vendor_symbol", given["symbol"]),
        venue=given["venue"],
        timeframe=Timeframe(given["timeframe"]),
        adjustment=Adjustment(given["adjustment"]),
        hours=Hours(given.get("hours", "regular")),
        anchor=Anchor(given.get("anchor", "open")),
        start=read_instant(given.get("start", "2024-03-01")),
        end=read_instant(given.get("end", "2024-04-01")),
    )


def rows_of(page: Page) -> list[list[object]]:
    """Return a page's rows in the notation of the payload files."""
    bars = page.bars

    def number(value: np.float64) -> float | None:
        return None if math.isnan(value) else float(value)

    return [
        [
            from_us(bars.ts[i]).strftime("%Y-%m-%d %H:%M"),
            *(
                number(column[i])
                for column in (bars.open, bars.high, bars.low, bars.close, bars.volume)
            ),
            bool(bars.final[i]),
        ]
        for i in range(len(bars))
    ]


class AdapterContract:
    """Hold for every adapter, networked or not."""

    name: ClassVar[str]

    @property
    def adapter(self) -> Adapter:
        """Return the adapter under test."""
        return get_adapter(self.name)

    def query(self, **fields: Any) -> BarQuery:
        """Build a query that the adapter serves, unless `fields` say otherwise."""
        capability = self.adapter.capabilities.timeframes[Timeframe(fields.get("timeframe", "1d"))]
        served = {
            "adjustment": capability.adjustment.value,
            "anchor": capability.anchor.value,
            "hours": capability.hours[-1].value,
        }
        return make_query(**(served | fields))

    def test_registry_knows_it_under_its_name(self) -> None:
        """The registry returns one shared instance, whatever the case of the name."""
        assert self.name in adapter_names()
        assert get_adapter(self.name.upper()) is self.adapter
        assert self.adapter.name == self.name

    def test_declarations_are_dated_and_positive(self) -> None:
        """What is declared can be planned with: no zero, no negative, no missing date."""
        declared = self.adapter.capabilities
        assert declared.as_of
        assert declared.timeframes
        assert declared.max_in_flight >= 1
        assert declared.finality_delay >= timedelta(0)
        assert declared.request_deadline > timedelta(0)
        assert declared.max_response_bytes > 0
        assert not declared.networked or declared.base_url.startswith("https://")
        for limit in declared.rate_limits:
            assert limit.n > 0
            assert limit.window > timedelta(0)
        for capability in declared.timeframes.values():
            assert capability.max_rows > 0
            assert capability.hours
            assert capability.max_span is None or capability.max_span > timedelta(0)
            assert capability.lookback is None or capability.lookback > timedelta(0)

    def test_counts_at_least_one_request(self) -> None:
        """Even a window shorter than a bar takes a request."""
        for timeframe in self.adapter.capabilities.timeframes:
            query = self.query(
                timeframe=timeframe.value, start="2024-03-01T14:30", end="2024-03-01T14:31"
            )
            assert self.adapter.count_requests(query) >= 1

    def test_refuses_what_it_does_not_declare(self) -> None:
        """Undeclared timeframes, adjustments and hours are refused before anything is sent."""
        declared = self.adapter.capabilities.timeframes
        for timeframe in set(Timeframe) - set(declared):
            with pytest.raises(errors.UnsupportedRequest, match="does not serve"):
                self.adapter.capability_for(replace(self.query(), timeframe=timeframe))
        for timeframe, capability in declared.items():
            query = self.query(timeframe=timeframe.value)
            for adjustment in set(Adjustment) - {capability.adjustment, *capability.adjustments}:
                with pytest.raises(errors.UnsupportedRequest, match="ask for"):
                    self.adapter.capability_for(replace(query, adjustment=adjustment))


class NetworkedContract(AdapterContract):
    """Hold for every adapter that talks HTTP; needs at least one good payload file."""

    base_url: ClassVar[str] = "https://provider.example/prefix"

    @classmethod
    def payloads(cls) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the answers written by hand for the provider."""
        for path in sorted((PAYLOADS / cls.name).glob("*.json")):
            yield path.stem, json.loads(path.read_text())

    @classmethod
    def response_of(cls, payload: dict[str, Any]) -> Response:
        """Build the answer of a payload file."""
        body = payload["text"] if "text" in payload else json.dumps(payload["body"])
        return make_response(payload.get("status", 200), body.encode(), payload.get("headers"))

    def good_payload(self) -> tuple[BarQuery, Response]:
        """Return the payload named `daily`, which holds rows."""
        payload = dict(self.payloads())["daily"]
        return self.query(**payload.get("query", {})), self.response_of(payload)

    def test_payloads_are_read_as_written(self, subtests: pytest.Subtests) -> None:
        """Every hand-written answer gives the rows, tokens or error that its file states."""
        for name, payload in self.payloads():
            with subtests.test(name):
                query = self.query(**payload.get("query", {}))
                response = self.response_of(payload)
                if "error" in payload:
                    with pytest.raises(getattr(errors, payload["error"])) as caught:
                        self.adapter.parse(query, response)
                    assert type(caught.value).__name__ == payload["error"]
                    assert caught.value.provider == self.name
                    assert caught.value.retry_after == payload.get("retry_after")
                    continue
                page = self.adapter.parse(query, response)
                assert rows_of(page) == payload["rows"]
                assert page.next_token == payload.get("next_token")
                for field in ("resume_from", "proven_until"):
                    stated = payload.get(field)
                    assert getattr(page, field) == (read_instant(stated) if stated else None)

    def test_requests_keep_the_key_to_themselves(self) -> None:
        """The key is in no URL, no parameter and no text of a request."""
        for timeframe in self.adapter.capabilities.timeframes:
            request = self.adapter.build_request(
                self.query(timeframe=timeframe.value),
                token=None,
                credentials=Credentials(key=KEY, secret=KEY),
                base_url=self.base_url,
            )
            assert request.url.startswith(self.base_url + "/")
            assert KEY not in f"{request.url} {dict(request.params)} {request!r}"
            if self.adapter.capabilities.needs_key:
                assert any(KEY in value for value in request.headers.values())

    def test_requests_are_reproducible_and_follow_the_window(self) -> None:
        """The same query gives the same request, another window another one."""

        def build(query: BarQuery) -> object:
            return self.adapter.build_request(
                query, token=None, credentials=Credentials(), base_url=self.base_url
            )

        for timeframe in self.adapter.capabilities.timeframes:
            query = self.query(timeframe=timeframe.value)
            later = replace(query, end=query.end + timedelta(days=62))
            assert build(query) == build(query)
            assert build(query) != build(later)

    def test_parsing_leaves_no_trace(self) -> None:
        """The same answer read twice gives the same columns, and is the same afterwards."""
        query, response = self.good_payload()
        before = bytes(response.body)
        first, second = (self.adapter.parse(query, response) for _ in range(2))
        assert rows_of(first) == rows_of(second)
        assert first.payload_sha == second.payload_sha
        assert first.payload_bytes == len(before)
        assert response.body == before

    def test_rows_as_sent_can_be_stored_as_json(self) -> None:
        """Each row can be quarantined as the provider sent it."""
        query, response = self.good_payload()
        page = self.adapter.parse(query, response)
        assert len(page.bars)
        for i in range(len(page.bars)):
            assert json.loads(json.dumps(page.raw_row(i)))

    def test_resuming_is_for_ascending_pages(self) -> None:
        """Only a provider that pages in ascending order may set resume_from."""
        for _, payload in self.payloads():
            if payload.get("resume_from"):
                assert self.adapter.capabilities.page_order is PageOrder.ASCENDING

    def test_a_body_that_breaks_off_asks_for_another_try(self) -> None:
        """A 200 cut at any byte is transient: neither rows, nor an empty page, nor a refusal."""
        query, response = self.good_payload()
        for length in range(len(response.body)):
            broken = replace(response, body=response.body[:length])
            with pytest.raises(errors.TransientError):
                self.adapter.parse(query, broken)

    @pytest.mark.parametrize(
        "body", ["<html>login</html>", "null", "[]", "{}", "17", "Too busy", '{"a": [1, 2]}', "NaN"]
    )
    def test_garbage_is_an_error_that_says_so(self, body: str) -> None:
        """A 200 that is no answer raises PayloadError, never an empty page."""
        query, _ = self.good_payload()
        with pytest.raises(errors.PayloadError):
            self.adapter.parse(query, make_response(200, body.encode()))

    @pytest.mark.parametrize(
        ("status", "expected"),
        [
            (401, errors.AuthError),
            (402, errors.EntitlementError),
            (403, errors.EntitlementError),
            (404, errors.PermanentError),
            (408, errors.TransientError),
            (418, errors.ThrottledError),
            (429, errors.ThrottledError),
            (302, errors.PermanentError),
            (400, errors.PermanentError),
            (500, errors.TransientError),
            (503, errors.TransientError),
        ],
    )
    def test_statuses_mean_the_same_everywhere(
        self, status: int, expected: type[errors.ProviderError]
    ) -> None:
        """A status with a body of no meaning raises the error of its family."""
        query, _ = self.good_payload()
        response = make_response(status, b"<html>nothing</html>", {"retry-after": "7"})
        with pytest.raises(expected) as caught:
            self.adapter.parse(query, response)
        assert caught.value.status == status
        if expected is errors.ThrottledError:
            assert caught.value.retry_after == 7.0

    def test_daily_stamps_are_session_dates(self) -> None:
        """Daily bars carry 00:00Z of their date, whatever the provider stamps them with."""
        query, response = self.good_payload()
        stamps = self.adapter.parse(query, response).bars.ts
        assert (stamps % 86_400_000_000 == 0).all()
        assert (stamps >= to_us(query.start)).all()
