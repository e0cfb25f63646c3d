"""The retry decision obeys the class, the provider and the clock it is given."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.domain.retry import (
    CONSERVATIVE,
    FAST,
    PROVIDER_SAFE,
    RETRY_CLASSES,
    GiveUp,
    Jitter,
    PauseAccount,
    Retry,
    RetryClass,
    RetryDecision,
    UnknownRetryClass,
    decide,
    retry_class_named,
)
from providers.errors import ErrorFamily

NOW = datetime(2024, 3, 8, tzinfo=UTC)
classes = st.sampled_from(sorted(RETRY_CLASSES)).map(retry_class_named)
draws = st.floats(0, 1)


def after(
    family: ErrorFamily,
    *,
    tries: int = 0,
    crashes: int = 0,
    retry_class: RetryClass = FAST,
    retry_after: float | None = None,
    random01: float = 1.0,
    stale_at: datetime | None = None,
) -> RetryDecision:
    return decide(
        family=family,
        tries=tries,
        crashes=crashes,
        retry_class=retry_class,
        retry_after=retry_after,
        now=NOW,
        random01=random01,
        stale_at=stale_at,
    )


@given(classes, st.integers(0, 200), draws)
def test_backoff_never_leaves_its_bounds(
    retry_class: RetryClass, tries: int, random01: float
) -> None:
    """A retry lies between now and the cap, for any number of tries."""
    decision = after(ErrorFamily.TRANSIENT, tries=tries, retry_class=retry_class, random01=random01)
    if tries + 1 >= retry_class.tries:
        assert decision == GiveUp(f"out of tries: {tries + 1} of {retry_class.tries}")
    else:
        assert isinstance(decision, Retry)
        assert decision.burns_try
        assert NOW <= decision.at <= NOW + min(retry_class.cap, retry_class.ceiling(tries))


@given(classes, st.floats(0, 86_400), draws)
def test_retry_after_is_never_undercut(
    retry_class: RetryClass, retry_after: float, random01: float
) -> None:
    """The provider's own figure is the least one waits."""
    decision = after(
        ErrorFamily.THROTTLED, retry_class=retry_class, retry_after=retry_after, random01=random01
    )
    assert isinstance(decision, Retry)
    assert decision.at >= NOW + timedelta(seconds=retry_after)


def test_the_ceiling_grows_by_the_factor_up_to_the_cap() -> None:
    """1, 2, 4 ... 30 s for fast; 30 s ... 15 min for conservative."""
    seconds = [FAST.ceiling(n).total_seconds() for n in range(7)]
    assert seconds == [1, 2, 4, 8, 16, 30, 30]
    assert CONSERVATIVE.ceiling(0) == timedelta(seconds=30)
    assert CONSERVATIVE.ceiling(1000) == timedelta(minutes=15)


def test_provider_safe_spends_no_try_while_throttled() -> None:
    """However often it was throttled, it goes on; fast gives up."""
    assert after(ErrorFamily.THROTTLED, tries=4, retry_class=FAST) == GiveUp("out of tries: 5 of 5")
    decision = after(ErrorFamily.THROTTLED, tries=4, retry_class=PROVIDER_SAFE)
    assert isinstance(decision, Retry)
    assert not decision.burns_try


def test_without_jitter_the_delay_is_the_ceiling() -> None:
    """A user's own class may be exact."""
    exact = RetryClass(
        name="exact",
        base=timedelta(seconds=3),
        cap=timedelta(minutes=1),
        tries=9,
        jitter=Jitter.NONE,
    )
    decision = after(ErrorFamily.TRANSIENT, tries=2, retry_class=exact, random01=0.1)
    assert decision == Retry(at=NOW + timedelta(seconds=12), burns_try=True)


@pytest.mark.parametrize("family", [ErrorFamily.AUTH, ErrorFamily.ENTITLEMENT, ErrorFamily.CONFIG])
def test_account_errors_stop_the_account(family: ErrorFamily) -> None:
    """No retry can heal them, and no slice is burned for them."""
    decision = after(family, tries=99)
    assert isinstance(decision, PauseAccount)
    assert "resume" in decision.reason


def test_permanent_errors_and_unlisted_families_end_the_slice() -> None:
    """Trying again would only cost requests."""
    assert isinstance(after(ErrorFamily.PERMANENT), GiveUp)
    picky = RetryClass(
        name="picky",
        base=timedelta(seconds=1),
        cap=timedelta(seconds=1),
        tries=5,
        families=frozenset({ErrorFamily.THROTTLED}),
    )
    decision = after(ErrorFamily.TRANSIENT, retry_class=picky)
    assert decision == GiveUp("retry class picky does not retry transient errors")


def test_the_third_crash_is_the_last() -> None:
    """Two crashes are retried at once and burn no try; the third one ends it."""
    for crashes in (0, 1):
        assert after(ErrorFamily.CRASH, crashes=crashes) == Retry(at=NOW, burns_try=False)
    assert after(ErrorFamily.CRASH, crashes=2) == GiveUp(
        "its worker died 3 times while working on it"
    )


def test_a_retry_that_lands_too_late_is_dropped() -> None:
    """At the stale moment itself it is too late already."""
    stale = NOW + timedelta(seconds=1)
    decision = after(ErrorFamily.TRANSIENT, stale_at=stale)
    assert isinstance(decision, GiveUp)
    assert decision.stale
    assert isinstance(after(ErrorFamily.TRANSIENT, stale_at=stale, random01=0.5), Retry)


def test_no_data_is_no_failure() -> None:
    """An empty answer must be judged, never retried like an error."""
    with pytest.raises(ValueError, match="fact to prove"):
        after(ErrorFamily.NO_DATA)


def test_an_unknown_class_lists_the_known_ones() -> None:
    """The error tells what to write instead."""
    with pytest.raises(UnknownRetryClass, match="conservative, fast, provider_safe") as caught:
        retry_class_named("quick")
    assert caught.value.name == "quick"
