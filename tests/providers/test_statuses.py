"""Statuses and Retry-After: what a provider means, in seconds and in words."""

from __future__ import annotations

import pytest

from providers.errors import PermanentError, ThrottledError, TransientError
from providers.statuses import raise_for_status, retry_after_seconds
from tests.providers.contract import make_response


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "12"}, 12.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Tue, 12 Mar 2024 12:01:00 GMT"}, 60.0),
        ({"retry-after": "Tue, 12 Mar 2024 11:00:00 GMT"}, 0.0),
        (
            {
                "retry-after": "Tue, 12 Mar 2024 10:01:00 GMT",
                "date": "Tue, 12 Mar 2024 10:00:30 GMT",
            },
            30.0,
        ),
        ({"retry-after": "Tue, 12 Mar 2024 12:01:00 GMT", "date": "yesterday"}, 60.0),
    ],
)
def test_retry_after_is_read_in_both_forms(headers: dict[str, str], seconds: float | None) -> None:
    """Seconds or a date, by the server's clock if it tells it; nonsense is no statement."""
    assert retry_after_seconds(make_response(429, headers=headers)) == seconds


@pytest.mark.parametrize("status", [200, 204, 404])
def test_success_and_not_found_are_left_to_the_adapter(status: int) -> None:
    """Only the adapter knows what its provider means by 404."""
    raise_for_status(make_response(status), "acme")


def test_messages_say_what_to_do_and_never_quote_the_body() -> None:
    """A body may repeat the request with its key."""
    with pytest.raises(ThrottledError, match="slower pace \\(429\\); it names 7 s") as throttled:
        raise_for_status(make_response(429, b"key=abc", {"retry-after": "7"}), "acme")
    assert "abc" not in str(throttled.value)
    assert throttled.value.retry_after == 7.0
    with pytest.raises(PermanentError, match="MDC_PROVIDER_ACME_BASE_URL"):
        raise_for_status(make_response(301), "acme")


def test_a_503_may_say_when_to_come_back() -> None:
    """Retry-After counts for outages as well."""
    with pytest.raises(TransientError) as caught:
        raise_for_status(make_response(503, headers={"retry-after": "9"}), "acme")
    assert caught.value.retry_after == 9.0
