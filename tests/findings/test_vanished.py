"""Bars that a provider does not have any more are named, and stay until a person decides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ingestion.domain.actor import Actor
from ingestion.domain.errors import BadRequest, FindingRefused
from ingestion.domain.states import JobKind
from ingestion.models import AuditEvent, Finding, Signal
from ingestion.services.accept_finding import accept_finding
from ingestion.services.fetch_slice import Fetched
from ingestion.services.plan_job import plan_job, plan_or_fail
from ingestion.services.repair_finding import repair_finding
from ingestion.services.settle_job import settle_job
from ingestion.services.validate_answer import Refused
from ingestion.store.claim import Claimed
from tests.protocol.scene import (
    NOW,
    Worker,
    day,
    fetched,
    loaded,
    open_running,
    proofs,
    sql,
    stored_days,
    truth,
    truthful,
    us,
    value,
    withholding,
)

pytestmark = pytest.mark.django_db

PERSON = Actor(name="ann", source="cli")
JANUARY = {"start": day("2024-01-01"), "end": day("2024-02-01")}


def load(answer: Callable[[Claimed], Fetched] = truthful, **request: Any) -> int:
    job_id = open_running(**(JANUARY | request))
    Worker.of(job_id).work_off(answer)
    settle_job(job_id)
    return job_id


def look_again(answer: Callable[[Claimed], Fetched] = truthful, **request: Any) -> int:
    return load(answer, kind=JobKind.RECONCILE, **request)


def stamps(finding: Finding) -> list[str]:
    return [text[:10] for text in finding.evidence["stamps"]]


def test_what_vanished_is_named_and_stays() -> None:
    load()
    job_id = look_again(withholding("2024-01-09", "2024-01-10"))
    finding = Finding.objects.get()
    assert (finding.kind, finding.state, stamps(finding)) == (
        "vanished",
        "open",
        ["2024-01-09", "2024-01-10"],
    )
    assert finding.window.upper == day("2024-01-11")
    assert len(stored_days(finding.series_id)) == 21
    assert value("SELECT sum(vanished) FROM attempt WHERE job_id = %s", job_id) == 2
    assert Signal.objects.get().name == "vanished"


def test_it_is_not_named_twice_however_the_slices_are_cut() -> None:
    load()
    look_again(withholding("2024-01-09", "2024-01-23"))
    before = {tuple(stamps(one)) for one in Finding.objects.all()}
    look_again(withholding("2024-01-09", "2024-01-23"), start=day("2024-01-08"))
    assert {tuple(stamps(one)) for one in Finding.objects.all()} == before


def test_what_comes_back_is_taken_off_and_the_rest_stays() -> None:
    load()
    look_again(withholding("2024-01-09", "2024-01-10"))
    look_again(withholding("2024-01-10"))
    finding = Finding.objects.get()
    assert (finding.state, stamps(finding)) == ("open", ["2024-01-10"])
    look_again()
    finding.refresh_from_db()
    assert (finding.state, finding.reason) == ("resolved", "the bars are back")


def test_a_first_fetch_makes_nothing_vanish() -> None:
    load(withholding("2024-01-09"))
    assert not Finding.objects.exists()


def test_what_a_truncated_answer_does_not_speak_of_has_not_vanished() -> None:
    load()

    def truncated(claimed: Claimed) -> Fetched:
        cut = day("2024-01-15")
        bars = truth(claimed)
        if claimed.end <= cut:
            return fetched(claimed, bars)
        kept = bars.take(bars.ts < us("2024-01-15"))
        return fetched(claimed, kept, proven_until=max(cut, claimed.start))

    job_id = look_again(truncated)
    assert not Finding.objects.exists()
    assert value("SELECT sum(vanished) FROM attempt WHERE job_id = %s", job_id) == 0


def test_what_came_and_was_refused_has_not_vanished() -> None:
    load()

    def refusing(claimed: Claimed) -> Fetched:
        inside = claimed.start <= day("2024-01-09") < claimed.end
        row = Refused(ts_us=us("2024-01-09"), reason="ohlc", raw={})
        return fetched(
            claimed,
            truth(claimed, without=["2024-01-09"]),
            refused=[row] if inside else [],
        )

    look_again(refusing)
    assert not Finding.objects.filter(kind="vanished").exists()


def test_deleted_bars_stay_readable_as_of_earlier() -> None:
    load()
    look_again(withholding("2024-01-09"))
    finding = Finding.objects.get()
    known = value("SELECT clock_timestamp()")
    deleted = accept_finding(
        finding.id, reason="delisted that day", actor=PERSON, now=NOW, delete_bars=True
    )
    assert deleted == 1
    assert "2024-01-09" not in stored_days(finding.series_id)
    assert value("SELECT known_from < %s AND known_to > %s FROM bar_revision", known, known)
    finding.refresh_from_db()
    assert (finding.state, finding.closed_by) == ("accepted", "ann")
    event = AuditEvent.objects.get(action="bars.withdraw")
    assert (event.actor, event.after["bars"], event.reason) == ("ann", 1, "delisted that day")
    assert proofs(finding.series_id) == [("no_trade", "2024-01-09", "2024-01-10")]
    assert not loaded(finding.series_id).contains(us("2024-01-09")), "explained, not loaded"
    look_again(withholding("2024-01-09"))
    assert Finding.objects.count() == 1, "what is gone does not vanish again"


def test_bars_outside_of_every_session_can_be_deleted_too() -> None:
    load()
    sql(
        "INSERT INTO bar (series_id, sequence, ts, open, high, low, close, known_from, attempt_id,"
        " final) SELECT series_id, 0, '2024-01-06Z', 1, 1, 1, 1, now(), 1, true FROM bar LIMIT 1"
    )
    look_again()
    found = Finding.objects.get()
    assert stamps(found) == ["2024-01-06"], "a Saturday"
    assert accept_finding(found.id, reason="a slip", actor=PERSON, now=NOW, delete_bars=True) == 1
    assert proofs(found.series_id) == []


def test_accepting_without_deleting_keeps_bars_and_peace() -> None:
    load()
    look_again(withholding("2024-01-09"))
    assert accept_finding(Finding.objects.get().id, reason="known", actor=PERSON, now=NOW) == 0
    assert len(stored_days(Finding.objects.get().series_id)) == 21
    look_again(withholding("2024-01-09"))
    assert Finding.objects.get().state == "accepted"
    look_again(withholding("2024-01-09", "2024-01-11"))
    assert stamps(Finding.objects.get(state="open")) == ["2024-01-11"]


def test_acceptance_needs_a_reason_and_something_open() -> None:
    load()
    look_again(withholding("2024-01-09"))
    found = Finding.objects.get().id
    with pytest.raises(BadRequest, match="say why it stays"):
        accept_finding(found, reason="  ", actor=PERSON, now=NOW)
    accept_finding(found, reason="known", actor=PERSON, now=NOW)
    with pytest.raises(FindingRefused, match="it is accepted already"):
        accept_finding(found, reason="again", actor=PERSON, now=NOW)


def test_a_repair_asks_once_more_and_resolves_what_came_back() -> None:
    load()
    look_again(withholding("2024-01-09", "2024-01-10"))
    finding = Finding.objects.get()
    (repair,) = repair_finding([finding.id], now=NOW, actor=PERSON)
    assert sql("SELECT kind, spec->>'start' FROM job WHERE id = %s", repair.job_id) == [
        ("repair", "2024-01-09T00:00:00+00:00")
    ]
    with pytest.raises(FindingRefused, match=f"job {repair.job_id} is repairing it"):
        repair_finding([finding.id], now=NOW, actor=PERSON)
    assert plan_job(repair.job_id)
    Worker.of(repair.job_id).work_off(withholding("2024-01-10"))
    settle_job(repair.job_id)
    finding.refresh_from_db()
    assert (finding.state, stamps(finding)) == ("open", ["2024-01-10"])
    assert "did not mend it" in finding.evidence["repair"]


def test_many_findings_are_repaired_by_one_job_each_series_over_its_own_window() -> None:
    for symbol in ("AAA", "BBB"):
        job_id = open_running(symbol, **JANUARY)
        Worker.of(job_id).work_off()
    for symbol, gone in (("AAA", ("2024-01-03", "2024-01-24")), ("BBB", ("2024-01-16",))):
        job_id = open_running(symbol, kind=JobKind.RECONCILE, **JANUARY)
        Worker.of(job_id).work_off(withholding(*gone))
    (repair,) = repair_finding(Finding.objects.values_list("id", flat=True), now=NOW, actor=PERSON)
    rows = sql(
        "SELECT e->>'symbol', left(e->>'start', 10), left(e->>'end', 10)"
        " FROM job, jsonb_array_elements(spec->'series') e WHERE id = %s",
        repair.job_id,
    )
    assert sorted(rows) == [
        ("AAA", "2024-01-03", "2024-01-25"),
        ("BBB", "2024-01-16", "2024-01-17"),
    ]
    assert set(Finding.objects.values_list("state", flat=True)) == {"repairing"}


def test_a_repair_that_cannot_be_planned_leaves_its_findings_open() -> None:
    load()
    look_again(withholding("2024-01-09"))
    (repair,) = repair_finding([Finding.objects.get().id], now=NOW, actor=PERSON)
    sql(
        "UPDATE job SET spec = jsonb_set(spec, '{series,0,venue}', '\"NOPE\"') WHERE id = %s",
        repair.job_id,
    )
    assert not plan_or_fail(repair.job_id, now=NOW)
    assert Finding.objects.get().state == "open"
