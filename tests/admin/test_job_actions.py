"""People start, pause, resume, cancel and retry jobs on the pages, by their own name."""

from __future__ import annotations

import pytest
from django.contrib.messages import get_messages
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from ingestion.domain.states import Desired, JobState, SliceState
from ingestion.models import AuditEvent, Job, Slice
from ingestion.services.cancel_job import cancel_job
from ingestion.services.ensure_roles import OPERATOR
from tests.admin.seeds import ACTOR, kill_slices, lease_slice, log_in, make_job, start_running

pytestmark = pytest.mark.django_db

LIST = "admin:ingestion_job_changelist"


def act(client: Client, job_id: int, verb: str, **fields: str) -> HttpResponse:
    return client.post(reverse("admin:ingestion_job_act", args=[job_id, verb]), fields)


def act_on_list(client: Client, verb: str, ids: list[int], **fields: str) -> HttpResponse:
    return client.post(reverse(LIST), {"action": verb, "_selected_action": ids, **fields})


def said(response: HttpResponse) -> str:
    return " ".join(str(message) for message in get_messages(response.wsgi_request))


def state_of(job_id: int) -> str:
    return Job.objects.get(pk=job_id).state


def test_start_queues_a_draft_and_records_who_did_it(operator: Client) -> None:
    """The audit event carries the person's name, the admin as source, and the reason."""
    job_id = make_job(draft=True)
    response = act(operator, job_id, "start", reason="the vendor agreed")
    assert response.url == reverse("admin:ingestion_job_change", args=[job_id])
    assert state_of(job_id) == JobState.QUEUED
    event = AuditEvent.objects.filter(object_type="job", object_id=str(job_id)).latest("id")
    assert (event.actor, event.source, event.action) == ("otto", "admin", "job.queued")
    assert event.reason == "the vendor agreed"


def test_pause_and_resume_go_there_and_back(operator: Client) -> None:
    """A job without leases pauses at once and goes on from where it was."""
    job_id = make_job()
    start_running(job_id)
    assert "paused now" in said(act(operator, job_id, "pause"))
    assert state_of(job_id) == JobState.PAUSED
    act(operator, job_id, "resume")
    assert state_of(job_id) == JobState.RUNNING


def test_pause_of_a_job_at_work_says_that_it_takes_effect_later(operator: Client) -> None:
    """While a slice is leased the request is recorded and shown."""
    job_id = make_job()
    start_running(job_id)
    lease_slice(job_id)
    assert "next batch boundary" in said(act(operator, job_id, "pause"))
    job = Job.objects.get(pk=job_id)
    assert (job.state, job.desired) == (JobState.RUNNING, Desired.PAUSE)
    page = operator.get(reverse("admin:ingestion_job_change", args=[job_id])).content.decode()
    assert "pause asked" in page


def test_cancel_ends_a_job(operator: Client) -> None:
    """What had not begun is dropped."""
    job_id = make_job()
    start_running(job_id)
    act(operator, job_id, "cancel", reason="wrong symbols")
    assert state_of(job_id) == JobState.CANCELLED
    assert not Slice.objects.filter(job_id=job_id, state=SliceState.READY).exists()


def test_retry_failed_replays_dead_slices_only(operator: Client) -> None:
    """The message says how many."""
    job_id = make_job()
    start_running(job_id)
    kill_slices(job_id, count=2)
    assert "tries 2 failed slices again" in said(act(operator, job_id, "retry_failed"))
    assert not Slice.objects.filter(job_id=job_id, state=SliceState.DEAD).exists()


def test_a_refused_move_is_a_message_and_changes_nothing(operator: Client) -> None:
    """The typed error's sentence is shown; there is no error page."""
    job_id = make_job(draft=True)
    response = act(operator, job_id, "pause")
    assert response.status_code == 302
    assert "cannot go from draft to paused" in said(response)
    assert state_of(job_id) == JobState.DRAFT


def test_retry_without_failures_says_so(operator: Client) -> None:
    """A job without dead slices has nothing to try again."""
    job_id = make_job()
    assert "no failed slices" in said(act(operator, job_id, "retry_failed"))


def test_an_unknown_job_is_a_message(operator: Client) -> None:
    """The services' typed error names the number."""
    assert "there is no job 987654" in said(act(operator, 987654, "pause"))


def test_an_unknown_jobs_page_is_not_found(viewer: Client) -> None:
    """Numbers that do not exist and words that are no numbers end in 404."""
    for word in ("987654", "abc"):
        url = reverse("admin:ingestion_job_change", args=[word])
        assert viewer.get(url).status_code == 404


def test_an_unknown_verb_is_not_found(operator: Client) -> None:
    """Only the five verbs have an address."""
    assert act(operator, make_job(), "delete").status_code == 404


@pytest.mark.parametrize("verb", ["start", "pause", "resume", "cancel", "retry_failed"])
def test_a_viewer_may_not_act(verb: str, viewer: Client) -> None:
    """Neither on the page, nor in the list, nor is a button offered."""
    job_id = make_job(draft=True)
    before = Job.objects.values().get(pk=job_id)
    assert act(viewer, job_id, verb).status_code == 403
    act_on_list(viewer, verb, [job_id], confirmed="1")
    assert Job.objects.values().get(pk=job_id) == before
    page = viewer.get(reverse("admin:ingestion_job_change", args=[job_id])).content.decode()
    assert "/act/" not in page
    assert "_selected_action" not in viewer.get(reverse(LIST)).content.decode()


def test_acting_needs_a_post(operator: Client) -> None:
    """A link cannot act."""
    job_id = make_job(draft=True)
    url = reverse("admin:ingestion_job_act", args=[job_id, "start"])
    assert operator.get(url).status_code == 405
    assert state_of(job_id) == JobState.DRAFT


def test_acting_needs_the_forgery_token(roles: None) -> None:
    """Another site cannot act in a person's name."""
    careful = Client(enforce_csrf_checks=True)
    careful.cookies = log_in("olga", group=OPERATOR).cookies
    job_id = make_job(draft=True)
    assert act(careful, job_id, "start").status_code == 403
    assert act_on_list(careful, "start", [job_id]).status_code == 403
    assert state_of(job_id) == JobState.DRAFT


def test_acting_needs_a_login() -> None:
    """A stranger is sent to the login page."""
    job_id = make_job(draft=True)
    assert "login" in act(Client(), job_id, "start").url
    assert state_of(job_id) == JobState.DRAFT


def test_a_job_takes_no_form(superuser: Client) -> None:
    """A job's request is frozen: its page answers to no POST."""
    url = reverse("admin:ingestion_job_change", args=[make_job(draft=True)])
    assert superuser.post(url, {"priority": 255}).status_code == 405


def test_the_list_acts_on_many_and_names_those_that_refuse(operator: Client) -> None:
    """One refusal stops none of the others."""
    drafts = [make_job(draft=True, prefix=f"A{n}X") for n in range(3)]
    running = make_job()
    start_running(running)
    words = said(act_on_list(operator, "start", [*drafts, running]))
    assert [state_of(job_id) for job_id in drafts] == [JobState.QUEUED] * 3
    assert f"Job {running}: cannot go from running" in words
    assert state_of(running) == JobState.RUNNING


def test_the_list_asks_before_it_cancels(operator: Client) -> None:
    """It shows how many jobs in which state, and acts when confirmed."""
    ids = [make_job(draft=True, prefix=f"A{n}X") for n in range(2)]
    page = act_on_list(operator, "cancel", ids).content.decode()
    assert "Cancel 2 jobs?" in page
    assert "2 draft" in page
    assert {state_of(job_id) for job_id in ids} == {JobState.DRAFT}
    act_on_list(operator, "cancel", ids, confirmed="1", reason="a mistake")
    assert {state_of(job_id) for job_id in ids} == {JobState.CANCELLED}
    assert AuditEvent.objects.filter(reason="a mistake", actor="otto").exists()


def test_the_list_asks_before_it_acts_on_all_that_match(operator: Client) -> None:
    """A choice over all pages is shown with its number first."""
    ids = [make_job(draft=True, prefix=f"A{n}X") for n in range(2)]
    page = act_on_list(operator, "start", ids[:1], select_across="1").content.decode()
    assert "Start 2 jobs?" in page
    assert {state_of(job_id) for job_id in ids} == {JobState.DRAFT}


def test_the_page_shows_what_an_operator_needs(operator: Client) -> None:
    """Workload, symbols, provider, timeframe, checkpoint, tries, retry class, targets, errors."""
    job_id = make_job()
    start_running(job_id)
    kill_slices(job_id, count=1)
    page = operator.get(reverse("admin:ingestion_job_change", args=[job_id])).content.decode()
    for words in (
        "historical · backfill",
        "SYM000, SYM001, SYM002",
        "synthetic",
        "1d",
        "2023-12-02 → 2024-03-01",
        "none yet",
        "Tries per slice",
        "Retry class",
        "Next retry",
        "Freshness target",
        "Deadline",
        "5 per 1 s",
        "TransientError",
        "the provider answered 503 five times",
        "What to do:",
        "Retry 1 failed slice",
    ):
        assert words in page


def test_the_page_of_an_open_job_reads_itself_again(viewer: Client) -> None:
    """An ended job's page has nothing more to tell."""
    job_id = make_job(draft=True)
    url = reverse("admin:ingestion_job_change", args=[job_id])
    assert 'hx-trigger="every 10s"' in viewer.get(url).content.decode()
    cancel_job(job_id, actor=ACTOR)
    assert 'hx-trigger="every 10s"' not in viewer.get(url).content.decode()
