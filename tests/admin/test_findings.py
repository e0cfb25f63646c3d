"""Findings with their evidence; acting on them is a POST with a reason, under the person's name."""

from __future__ import annotations

import pytest
from django.test import Client

from ingestion.models import AuditEvent, Finding, Series
from ingestion.services.ensure_roles import ensure_roles
from tests.admin.seeds import log_in, make_job

pytestmark = pytest.mark.django_db

BARS = [["2024-01-14", 1.0, 1.5], ["2024-01-15", 77.0, 77.5]]


@pytest.fixture
def finding() -> Finding:
    make_job(symbols=1)
    return Finding.objects.create(
        kind="spike",
        series=Series.objects.get(),
        window=("2024-01-15T00:00Z", "2024-01-16T00:00Z"),
        severity="warning",
        fingerprint="spike:1",
        evidence={"z": 9.5, "around": [1.0, 2.0, 77.0], "bars_around": BARS},
    )


@pytest.fixture
def client() -> Client:
    return log_in("ann", superuser=True)


def page(found: Finding) -> str:
    return f"/admin/ingestion/finding/{found.pk}/change/"


def act(found: Finding, verb: str) -> str:
    return f"/admin/ingestion/finding/{found.pk}/act/{verb}/"


def test_the_page_shows_evidence_and_what_can_be_asked(client: Client, finding: Finding) -> None:
    shown = client.get(page(finding)).content.decode()
    assert "around</b>: 1, 2, 77</div>" in shown
    assert "<br>2024-01-14, 1, 1.5<br>2024-01-15, 77, 77.5</div>" in shown, "a bar a line"
    assert act(finding, "repair") in shown
    assert act(finding, "reopen") not in shown, "it is open"
    assert act(finding, "delete_bars") not in shown, "no bar of it vanished"


def test_accepting_needs_a_reason_and_is_audited(client: Client, finding: Finding) -> None:
    client.post(act(finding, "accept"), {"reason": "  "})
    finding.refresh_from_db()
    assert finding.state == "open"
    client.post(act(finding, "accept"), {"reason": "a fat finger"})
    finding.refresh_from_db()
    assert (finding.state, finding.closed_by, finding.reason) == ("accepted", "ann", "a fat finger")
    event = AuditEvent.objects.get(action="finding.accepted")
    assert (event.actor, event.source, event.reason) == ("ann", "admin", "a fat finger")
    assert client.get(act(finding, "reopen")).status_code == 405


def test_a_repair_is_opened_for_all_that_are_chosen(client: Client, finding: Finding) -> None:
    chosen = {"action": "repair", "_selected_action": [finding.pk]}
    asked = client.post("/admin/ingestion/finding/", chosen)
    assert "Repair: 1 finding?" in asked.content.decode()
    finding.refresh_from_db()
    assert finding.state == "open", "only asked"
    client.post("/admin/ingestion/finding/", {**chosen, "confirmed": "1", "reason": "look again"})
    finding.refresh_from_db()
    assert finding.state == "repairing"
    assert finding.job is not None
    assert finding.job.kind == "repair"


def test_who_may_only_look_acts_on_nothing(finding: Finding) -> None:
    ensure_roles()
    viewer = log_in("vic", group="viewer")
    assert viewer.get(page(finding)).status_code == 200
    assert viewer.post(act(finding, "accept"), {"reason": "mine"}).status_code == 403
    operator = log_in("olga", group="operator")
    assert operator.post(act(finding, "accept"), {"reason": "mine"}).status_code == 302
    finding.refresh_from_db()
    assert finding.closed_by == "olga"
