"""Schedules are typed as text, shown with what comes and what was, and acted on by people."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.urls import reverse

from ingestion.domain.moved_clock import MovedClock
from ingestion.models import AuditEvent, Job, JobDefinition, Schedule, Slot

pytestmark = pytest.mark.django_db
LIST = "admin:ingestion_schedule_changelist"
# The evening before Thanksgiving, which a half day follows.
NOW = datetime(2026, 11, 25, 22, tzinfo=UTC)


@pytest.fixture(autouse=True)
def thanksgiving(settings: Any) -> None:
    """Move the clock, so that the calendar's answers are known."""
    settings.CLOCK = MovedClock(anchor=datetime.now(UTC), shown=NOW, rate=1)


@pytest.fixture
def definition(db: None) -> JobDefinition:
    """Give a dataset of New York."""
    return JobDefinition.objects.create(
        name="nightly",
        symbols=["AAPL"],
        timeframe="1d",
        venue="XNYS",
        history_start="2020-01-01",
        providers=["synthetic"],
    )


def fields(definition: JobDefinition, **changed: str) -> dict[str, str]:
    """Return what a person types into an empty form."""
    return {
        "name": "closing",
        "definition": str(definition.pk),
        "action": "update",
        "rule": "close + 15 min",
        "tz": "",
        "venue": "",
        "overlap": "skip",
        "catchup": "latest",
        "cooldown": "00:05:00",
        "gather": "00:00:05",
        "exclusions": "[]",
        **changed,
    }


def add(operator: Client, definition: JobDefinition, **changed: str) -> Schedule:
    response = operator.post(reverse("admin:ingestion_schedule_add"), fields(definition, **changed))
    assert response.status_code == 302, response.context["adminform"].form.errors
    return Schedule.objects.get()


def page(client: Client, schedule: Schedule) -> str:
    url = reverse("admin:ingestion_schedule_change", args=[schedule.pk])
    return client.get(url).content.decode()


def act(client: Client, schedule: Schedule, verb: str, **typed: str) -> HttpResponse:
    url = reverse("admin:ingestion_schedule_act", args=[schedule.pk, verb])
    return client.post(url, typed)


def said(response: HttpResponse) -> str:
    return " ".join(str(message) for message in get_messages(response.wsgi_request))


def test_a_rule_is_typed_as_text(operator: Client, definition: JobDefinition) -> None:
    """Zone and venue come from the definition, and it is due at once reckoned."""
    schedule = add(operator, definition)
    assert schedule.rule == {"kind": "close", "offset_seconds": 900, "of": "each"}
    assert (schedule.venue, schedule.tz) == ("XNYS", "America/New_York")
    assert schedule.next_due_at == datetime(2026, 11, 27, 18, 15, tzinfo=UTC)
    assert AuditEvent.objects.latest("id").actor == "otto"
    assert 'value="close + 15 min"' in page(operator, schedule)


def test_a_rule_before_bars_are_final_is_told(operator: Client, definition: JobDefinition) -> None:
    """Once when it is saved, and on its page from then on."""
    JobDefinition.objects.update(providers=["yahoo"])
    response = operator.post(reverse("admin:ingestion_schedule_add"), fields(definition))
    assert "may change until 30 min after the close" in said(response)
    assert "close + 31 min fetches it" in page(operator, Schedule.objects.get())


def test_an_edited_rule_moves_what_is_due(operator: Client, definition: JobDefinition) -> None:
    """Another edit leaves it, and a form that is only saved changes nothing."""
    schedule = add(operator, definition)
    url = reverse("admin:ingestion_schedule_change", args=[schedule.pk])
    typed = fields(definition, tz="America/New_York", venue="XNYS") | {"initial-exclusions": "[]"}
    before = AuditEvent.objects.latest("id").pk
    operator.post(url, typed)
    assert AuditEvent.objects.latest("id").pk == before
    Schedule.objects.update(next_due_at=NOW, next_fire_at=NOW)
    operator.post(url, {**typed, "overlap": "buffer_one"})
    schedule.refresh_from_db()
    assert (schedule.overlap, schedule.next_due_at) == ("buffer_one", NOW)
    operator.post(url, {**typed, "rule": "open - 5 min", "overlap": "buffer_one"})
    schedule.refresh_from_db()
    assert schedule.next_due_at == datetime(2026, 11, 27, 14, 25, tzinfo=UTC)
    assert AuditEvent.objects.filter(action="schedule.change").latest("id").after == {
        "rule": schedule.rule
    }


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("rule", "sometimes", "&#x27;sometimes&#x27; is no rule; write cron 30 18"),
        ("rule", "once 2020-01-01", "never due from now on"),
        ("tz", "Mars/Olympus", "Mars/Olympus is no time zone"),
        ("venue", "MARS", "Unknown venue"),
        ("exclusions", '["Christmas"]', "is no excluded day"),
        ("exclusions", '"2026-12-24"', "Write a list"),
        ("jitter", "3 00:00:00", "A jitter is at most a day"),
        ("cooldown", "-00:05:00", "cannot be negative"),
        ("ends_at_0", "2026-11-26", "never due from now on before its end"),
        ("starts_at_0", "2036-11-26", "knows no session so far ahead"),
    ],
)
def test_a_schedule_that_could_not_fire_is_refused(
    field: str, value: str, words: str, definition: JobDefinition
) -> None:
    """Rule, zone, venue and limits must make sense together."""
    typed = fields(definition, **{field: value})
    if field.endswith("_0"):
        typed[field.replace("_0", "_1")] = "00:00:00"
    request = RequestFactory().get("/")
    request.user = User(is_superuser=True, is_active=True)
    form = admin.site.get_model_admin(Schedule).get_form(request)(typed)
    assert words in str(form.errors)


def test_a_rule_on_sessions_needs_a_venue(operator: Client, definition: JobDefinition) -> None:
    """The form says so where neither the schedule nor its definition has one."""
    JobDefinition.objects.update(venue="")
    response = operator.post(reverse("admin:ingestion_schedule_add"), fields(definition))
    assert "name a venue, such as XNYS" in str(response.context["adminform"].form.errors["venue"])
    assert not Schedule.objects.exists()


def test_the_page_shows_what_comes_and_what_was(
    operator: Client, viewer: Client, definition: JobDefinition
) -> None:
    """Ten due times in both clocks, odd ones explained, the last slots, and verbs for who may."""
    schedule = add(operator, definition, exclusions='["2026-11-30"]')
    Slot.objects.create(
        schedule=schedule,
        due=datetime(2026, 11, 24, 21, 15, tzinfo=UTC),
        disposition="skipped_overlap",
        decided_at=NOW,
        reason="job 7 is still open",
    )
    for client, may_act in ((operator, True), (viewer, False)):
        shown = page(client, schedule)
        for words in (
            "15 min after each close of XNYS",
            "Fri 2026-11-27 13:15 EST",
            "2026-11-27 18:15:00Z",
            "half day, closes at 13:00",
            "no: an excluded day",
            "skipped overlap",
            "job 7 is still open",
        ):
            assert words in shown
        assert shown.count(" EST") == 11
        assert ("Fire once now" in shown) is may_act


def test_pause_resume_and_trigger_are_acts_with_a_note(
    operator: Client, definition: JobDefinition
) -> None:
    """Each is recorded by the person's name."""
    schedule = add(operator, definition)
    assert "closing is paused." in said(act(operator, schedule, "pause", reason="vendor is down"))
    schedule.refresh_from_db()
    assert (schedule.paused_by, schedule.note) == ("otto", "vendor is down")
    assert "vendor is down" in page(operator, schedule)
    assert "closing goes on." in said(act(operator, schedule, "resume"))
    assert "closing fired: job" in said(act(operator, schedule, "trigger", reason="try it"))
    assert Job.objects.get().definition_id == definition.pk
    events = AuditEvent.objects.filter(object_type="schedule").order_by("id")
    assert [(one.actor, one.action, one.reason) for one in events] == [
        ("otto", "schedule.create", ""),
        ("otto", "schedule.pause", "vendor is down"),
        ("otto", "schedule.resume", ""),
        ("otto", "schedule.trigger", "try it"),
    ]


def test_a_viewer_acts_on_nothing(
    operator: Client, viewer: Client, definition: JobDefinition
) -> None:
    """Neither on the page nor in the list; and looking at an act's address does nothing."""
    schedule = add(operator, definition)
    assert act(viewer, schedule, "pause").status_code == 403
    viewer.post(reverse(LIST), {"action": "pause", "_selected_action": [schedule.pk]})
    url = reverse("admin:ingestion_schedule_act", args=[schedule.pk, "pause"])
    assert operator.get(url).status_code == 405
    assert act(operator, schedule, "paint").status_code == 404
    schedule.refresh_from_db()
    assert schedule.paused_at is None


def test_the_list_pauses_many(operator: Client, definition: JobDefinition) -> None:
    """Chosen rows are paused together, and those that were are named."""
    schedule = add(operator, definition)
    for words in ("closing is paused.", "closing was paused already."):
        response = operator.post(
            reverse(LIST), {"action": "pause", "_selected_action": [schedule.pk]}
        )
        assert words in said(response)
    assert "15 min after each close of XNYS" in operator.get(reverse(LIST)).content.decode()


def test_a_definition_lists_its_schedules_and_starts(
    operator: Client, definition: JobDefinition
) -> None:
    """Its page links them; the list's action starts a job."""
    schedule = add(operator, definition)
    url = reverse("admin:ingestion_jobdefinition_change", args=[definition.pk])
    shown = operator.get(url).content.decode()
    assert reverse("admin:ingestion_schedule_change", args=[schedule.pk]) in shown
    assert "15 min after each close of XNYS" in shown
    response = operator.post(
        reverse("admin:ingestion_jobdefinition_changelist"),
        {"action": "start", "_selected_action": [definition.pk]},
    )
    assert f"nightly has begun: job {Job.objects.get().pk}." in said(response)


def test_a_superuser_forgets_a_schedule_with_its_ledger(
    operator: Client, superuser: Client, definition: JobDefinition
) -> None:
    """Jobs stay; the event says how many slots went."""
    schedule = add(operator, definition)
    act(operator, schedule, "trigger")
    url = reverse("admin:ingestion_schedule_delete", args=[schedule.pk])
    assert operator.post(url, {"post": "yes"}).status_code == 403
    assert superuser.get(url).status_code == 200
    superuser.post(url, {"post": "yes"})
    assert not Schedule.objects.exists()
    assert Job.objects.get().slot_id is None
    event = AuditEvent.objects.latest("id")
    assert (event.action, event.before) == ("schedule.delete", {"name": "closing", "slots": 1})
