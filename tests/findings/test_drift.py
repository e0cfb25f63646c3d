"""One finding per provider and sentence, with the payload that showed it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from ingestion.domain.actor import Actor
from ingestion.domain.errors import FindingRefused
from ingestion.models import Finding, Signal
from ingestion.services.accept_finding import accept_finding
from ingestion.services.repair_finding import repair_finding
from tests.protocol.scene import NOW, Worker, open_running, sql, truthful

pytestmark = pytest.mark.django_db

PERSON = Actor(name="ann", source="cli")
STRANGE = ("results has an unknown field 'x'",)


def load(symbol: str, drift: tuple[str, ...]) -> None:
    """Run a job of many slices whose payloads all show the same."""
    job_id = open_running(symbol, slice_span=timedelta(days=7))
    Worker.of(job_id).work_off(lambda claimed: replace(truthful(claimed), drift=drift))


def test_every_payload_shows_it_and_one_finding_says_so() -> None:
    load("AAA", STRANGE)
    load("BBB", STRANGE)
    finding = Finding.objects.get()
    assert (finding.kind, finding.provider, finding.series) == ("schema_drift", "synthetic", None)
    assert finding.evidence["sentence"] == STRANGE[0]
    assert {"payload_sha", "symbol"} <= finding.evidence.keys()
    assert finding.times == 1, "counted once a minute, or workers would wait for each other"
    assert Signal.objects.get().name == "schema_drift"
    sql("UPDATE finding SET seen_at = seen_at - interval '2 minutes'")
    load("CCC", STRANGE)
    finding.refresh_from_db()
    assert (finding.times, finding.evidence["symbol"]) == (2, "CCC")


def test_another_sentence_is_another_finding() -> None:
    load("AAA", (*STRANGE, "results lacks the field 'o'"))
    assert Finding.objects.count() == 2


def test_what_is_known_to_be_strange_is_no_news() -> None:
    load("AAA", STRANGE)
    found = Finding.objects.get().id
    with pytest.raises(FindingRefused, match="the adapter must follow"):
        repair_finding([found], now=NOW, actor=PERSON)
    accept_finding(found, reason="they announced it", actor=PERSON, now=NOW)
    load("BBB", STRANGE)
    assert Finding.objects.get().state == "accepted"
