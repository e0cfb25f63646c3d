"""What is found is one row as long as it lasts, and closes by itself or by a person's reason."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ingestion.domain.actor import Actor
from ingestion.domain.checks.found import Found
from ingestion.domain.coverage import Ranges
from ingestion.domain.findings import Check, FindingState, Severity
from ingestion.domain.windows import DAY_US
from ingestion.models import Finding, Signal
from ingestion.services.record_findings import Recorded, record_findings
from ingestion.store import findings
from tests.protocol.scene import NOW, open_running, series_of, us

pytestmark = pytest.mark.django_db

MONDAY = us("2024-01-08")
JANUARY = Ranges.of([(us("2024-01-01"), us("2024-02-01"))])
PERSON = Actor(name="ann", source="cli")


@pytest.fixture
def series() -> int:
    return series_of(open_running())


def spike(
    start_us: int = MONDAY,
    *,
    days: int = 1,
    severity: Severity = Severity.WARNING,
    kind: Check = Check.SPIKE,
    **evidence: Any,
) -> Found:
    return Found(kind, severity, start_us, start_us + days * DAY_US, evidence or {"z": 9.5})


def record(series: int, *found: Found, inspected: Ranges = JANUARY, **how: Any) -> Recorded:
    return record_findings(series, found, inspected=inspected, now=NOW, **how)


def accept() -> None:
    (row,) = findings.lock([Finding.objects.get().pk])
    findings.settle([row], FindingState.ACCEPTED, actor=PERSON, reason="a fat finger", now=NOW)


def test_what_is_found_again_is_counted_with_its_newest_evidence(series: int) -> None:
    assert record(series, spike()) == Recorded(opened=1)
    assert record(series, spike(z=11.0, severity=Severity.ERROR)) == Recorded(again=1)
    found = Finding.objects.get()
    assert (found.times, found.evidence, found.severity) == (2, {"z": 11.0}, "error")


def test_what_is_not_found_any_more_is_resolved_by_itself(series: int) -> None:
    record(series, spike(), spike(MONDAY + DAY_US))
    assert record(series, spike()) == Recorded(again=1, resolved=1)
    gone = Finding.objects.get(state="resolved")
    assert gone.closed_at == NOW
    assert gone.closed_by == "mdc"


def test_only_what_was_looked_at_whole_and_looked_for_is_resolved(series: int) -> None:
    record(series, spike(days=3), spike(kind=Check.STALE))
    half = Ranges.of([(MONDAY, MONDAY + DAY_US)])
    assert record(series, inspected=half, checks={Check.SPIKE}) == Recorded()
    assert record(series, checks={Check.SPIKE}) == Recorded(resolved=1)
    assert Finding.objects.get(state="open").kind == "stale"


def test_another_series_keeps_its_own(series: int) -> None:
    other = series_of(open_running("BBB"))
    record(series, spike())
    assert record(other, spike()) == Recorded(opened=1)
    assert record(other) == Recorded(resolved=1)
    assert Finding.objects.get(state="open").series_id == series


def test_a_resolved_finding_that_comes_back_is_a_new_one(series: int) -> None:
    record(series, spike())
    record(series)
    assert record(series, spike()) == Recorded(opened=1)
    assert Finding.objects.count() == 2


def test_what_was_accepted_stays_closed_until_it_grows_worse(series: int) -> None:
    record(series, spike())
    accept()
    assert record(series, spike(z=99.0)) == Recorded(accepted=1)
    assert record(series, spike(severity=Severity.NOTE)) == Recorded(accepted=1)
    assert record(series, spike(severity=Severity.ERROR)) == Recorded(opened=1)
    assert (
        "accepted as warning and is error now"
        in Finding.objects.get(state="open").evidence["worse"]
    )


def test_an_accepted_run_that_reaches_further_is_opened_again(series: int) -> None:
    record(series, spike(kind=Check.STALE, days=5))
    accept()
    assert record(series, spike(kind=Check.STALE, days=4)) == Recorded(accepted=1)
    assert record(series, spike(kind=Check.STALE, days=6)) == Recorded(opened=1)


def test_a_kind_that_was_not_looked_for_is_refused(series: int) -> None:
    with pytest.raises(ValueError, match="vanished: found, but not looked for"):
        record(series, spike(kind=Check.VANISHED))


def test_hundreds_of_findings_raise_one_signal_over_all_of_them(series: int) -> None:
    days = [MONDAY + n * DAY_US for n in range(300)]
    year = Ranges.of([(us("2024-01-01"), us("2025-01-01"))])
    record(series, *[spike(day) for day in days], inspected=year)
    signal = Signal.objects.get()
    assert (signal.name, signal.symbols, signal.timeframe) == ("spike", ["AAA"], "1d")
    assert signal.evidence["findings"] == 300
    assert signal.window.upper - signal.window.lower == timedelta(days=300)
    record(series, *[spike(day) for day in days], inspected=year)
    assert Signal.objects.count() == 1, "what is known already is no news"
