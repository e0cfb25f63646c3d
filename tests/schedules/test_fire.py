"""Each due time gets its one disposition, and what fires becomes a job."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ingestion.domain.actor import Actor
from ingestion.domain.errors import UnknownSchedule
from ingestion.domain.states import Desired, JobState
from ingestion.models import AuditEvent, Job, JobDefinition, RetryClass, Schedule, Slot
from ingestion.services.pause_schedule import pause_schedule
from ingestion.services.recompute_fires import recompute_fires
from ingestion.services.resume_schedule import resume_schedule
from ingestion.services.settle_job import settle_job
from ingestion.services.trigger_schedule import trigger_schedule
from ingestion.store import jobs as job_store
from ingestion.store import sweeps
from tests.schedules.scene import (
    MINUTE,
    START,
    at,
    define,
    dispositions,
    end_jobs,
    fire,
    jobs,
    ledger,
    reasons,
    schedule,
)

pytestmark = pytest.mark.django_db

PERSON = Actor(name="ada", source="cli")


def test_a_session_rule_fires_once_and_goes_on() -> None:
    """The close of Monday is fired at its offset, once, and Tuesday's is next."""
    row = schedule("close + 15 min")
    assert row.next_fire_at == at("2024-06-03T20:15")
    assert fire("2024-06-03T20:14:59").slots == 0
    report = fire("2024-06-03T20:15")
    assert (report.schedules, report.slots, report.fired) == (1, 1, 1)
    assert report.next_fire_at == at("2024-06-04T20:15")
    assert fire("2024-06-03T20:15:01").slots == 0
    slot = Slot.objects.get()
    assert (slot.disposition, f"{slot.session}") == ("fired", "2024-06-03")
    row.refresh_from_db()
    assert row.last_fired_at == row.decided_until == at("2024-06-03T20:15")


def test_a_fired_job_carries_what_its_definition_says() -> None:
    define(priority=130, weight=3, deadline=timedelta(minutes=30), max_concurrency=7, tries=2)
    schedule("close + 15 min")
    fire("2024-06-03T20:15")
    (job,) = jobs()
    assert job.request["symbols"] == ["AAA", "BBB"]
    assert job.spec["series"] == []
    assert (job.kind, job.state, job.planned) == ("update", "queued", False)
    assert (job.priority, job.weight, job.max_concurrency, job.tries) == (130, 3, 7, 2)
    assert job.deadline_at == at("2024-06-03T20:45")
    opened = AuditEvent.objects.get(action="job.open", object_id=str(job.id))
    assert opened.reason == "nightly, due 2024-06-03 20:15:00Z"


def test_without_tries_of_its_own_a_definition_has_those_of_its_retry_class() -> None:
    RetryClass.objects.create(name="patient", tries=12, cap_seconds=900)
    for retry_class in ("patient", "conservative", "forgotten"):
        schedule(
            "every 1 h",
            name=retry_class,
            venue="",
            definition=define(retry_class, retry_class=retry_class),
        )
    fire("2024-06-03T09:00")
    assert jobs("patient")[0].tries == 12
    assert jobs("conservative")[0].tries == 8
    assert jobs("forgotten")[0].tries == 5


def test_retries_grow_stale_by_the_database_clock() -> None:
    """A rehearsal moves the schedules' clock, not the one that judges retries."""
    define(stale_after=timedelta(hours=2))
    schedule("close + 15 min")
    fire("2024-06-03T20:45")
    (job,) = jobs()
    assert job.stale_at is not None
    assert job.stale_at - job.created_at == pytest.approx(
        timedelta(hours=1, minutes=30), abs=timedelta(seconds=10)
    )


def _miss_three_days(**columns: object) -> None:
    """Let nobody fire from Monday's open to Thursday's: three closes have come by then."""
    schedule("close + 15 min", **columns)
    fire("2024-06-06T12:00")


def test_latest_fires_the_last_and_coalesces_the_others_into_it() -> None:
    _miss_three_days(catchup="latest")
    assert dispositions() == ["coalesced", "coalesced", "fired"]
    fired = Slot.objects.get(disposition="fired")
    assert {slot.into_id for slot in Slot.objects.filter(disposition="coalesced")} == {fired.id}
    assert len(jobs()) == 1


def test_none_skips_what_is_late_but_not_what_is_on_time() -> None:
    _miss_three_days(catchup="none")
    assert dispositions() == ["skipped_late"] * 3
    assert reasons()[-1] == "15:45:00 late, at most 0:01:00 allowed"
    fire("2024-06-06T20:15:59")
    assert dispositions() == [*["skipped_late"] * 3, "fired"]


def test_each_fires_all_in_order_where_they_may_wait() -> None:
    _miss_three_days(catchup="each", overlap="buffer_all")
    assert dispositions() == ["fired"] * 3
    first, second, third = jobs()
    assert [one.after_id for one in (first, second, third)] == [None, first.id, second.id]
    assert sweeps.jobs_to_plan(10, low_water=1) == [first.id]
    sweeps.explain_waits(10)
    third.refresh_from_db()
    assert third.wait_reason == f"waits for job {second.id}"
    Job.objects.filter(id=first.id).update(state="cancelled", ended_at=START)
    assert sweeps.jobs_to_plan(10, low_water=1) == [second.id]


def test_max_lateness_bounds_every_catch_up() -> None:
    _miss_three_days(catchup="latest", max_lateness=timedelta(days=2))
    assert dispositions() == ["skipped_late", "coalesced", "fired"]


def test_more_than_one_round_of_due_times_still_fires_only_the_latest() -> None:
    """Two days of a rule that is due each minute are more than one round decides."""
    schedule("every 1 min", venue="")
    fire(START + timedelta(days=1, hours=6))
    found = dispositions()
    assert len(found) == 30 * 60
    assert found.count("fired") == 1
    assert found[-1] == "fired"
    assert set(found) == {"coalesced", "fired"}


@pytest.mark.parametrize(
    ("overlap", "second", "third"),
    [
        ("skip", "skipped_overlap", "skipped_overlap"),
        ("buffer_one", "fired", "coalesced"),
        ("buffer_all", "fired", "fired"),
        ("allow_all", "fired", "fired"),
    ],
)
def test_an_open_job_meets_the_overlap_policy(overlap: str, second: str, third: str) -> None:
    schedule("every 1 h", venue="", overlap=overlap)
    for hour in (9, 10, 11):
        fire(f"2024-06-03T{hour:02}:00")
    assert dispositions() == ["fired", second, third]
    made = jobs()
    waiting = {"skip": [], "buffer_one": [made[0].id], "allow_all": [None, None]}
    expected = waiting.get(overlap) or ([one.id for one in made[:-1]] if len(made) > 2 else [])
    if overlap == "buffer_one":
        assert Slot.objects.get(disposition="coalesced").into_id == made[1].slot_id
    assert [one.after_id for one in made[1:]] == expected
    end_jobs()
    fire("2024-06-03T12:00")
    assert dispositions()[-1] == "fired"
    assert jobs()[-1].after_id is None


def test_a_paused_schedule_records_its_slots_as_paused() -> None:
    """Also those that came due while nobody fired, and none of them is caught up afterwards."""
    schedule("every 1 h", venue="")
    assert pause_schedule("nightly", now=START, actor=PERSON, note="holiday")
    assert not pause_schedule("nightly", now=START, actor=PERSON)
    fire("2024-06-03T09:00")
    assert resume_schedule("nightly", now=at("2024-06-03T11:30"), actor=PERSON)
    assert dispositions() == ["paused"] * 3
    assert set(reasons()) == {"paused by ada: holiday"}
    fire("2024-06-03T12:00")
    assert dispositions() == [*["paused"] * 3, "fired"]
    acts = AuditEvent.objects.filter(object_type="schedule").values_list("action", "actor")
    assert list(acts) == [("schedule.pause", "ada"), ("schedule.resume", "ada")]


def test_a_pause_comes_after_what_was_due_before_it() -> None:
    schedule("every 1 h", venue="")
    pause_schedule("nightly", now=at("2024-06-03T09:30"), actor=PERSON)
    assert dispositions() == ["fired"]


def test_a_disabled_definition_fires_nothing() -> None:
    define(enabled=False)
    schedule("every 1 h", venue="")
    fire("2024-06-03T09:00")
    assert dispositions() == ["paused"]
    assert reasons() == ["the definition daily is disabled"]


def test_excluded_sessions_fire_nothing() -> None:
    schedule("close + 15 min", exclusions=["2024-06-04"], overlap="allow_all", catchup="each")
    fire("2024-06-06T12:00")
    assert dispositions() == ["fired", "excluded", "fired"]


def test_a_schedule_is_due_only_between_its_start_and_its_end() -> None:
    schedule(
        "every 1 h",
        venue="",
        starts_at=at("2024-06-03T10:30"),
        ends_at=at("2024-06-03T12:30"),
        catchup="each",
        overlap="allow_all",
    )
    report = fire("2024-06-04T00:00")
    assert [due for due, _ in ledger()] == [
        "2024-06-03T10:30",
        "2024-06-03T11:30",
    ]
    assert report.next_fire_at is None


def test_a_rule_for_once_fires_once() -> None:
    schedule("once 2024-06-03T10:00Z", venue="")
    fire("2024-06-03T10:00")
    assert dispositions() == ["fired"]
    assert Schedule.objects.get().next_due_at is None


def test_jitter_delays_the_fire_and_not_the_due_time() -> None:
    row = schedule("every 1 h", venue="", jitter=timedelta(minutes=20))
    assert row.next_due_at == at("2024-06-03T09:00")
    assert row.next_fire_at is not None
    assert row.next_due_at < row.next_fire_at < row.next_due_at + timedelta(minutes=20)
    fire(row.next_fire_at - MINUTE)
    assert dispositions() == []
    fire(row.next_fire_at)
    assert ledger() == [("2024-06-03T09:00", "fired")]


def test_a_person_may_fire_at_any_time() -> None:
    """The ledger shows who, whatever is paused or open, and the due times stay."""
    row = schedule("close + 15 min")
    pause_schedule("nightly", now=START, actor=PERSON)
    done = trigger_schedule("nightly", now=at("2024-06-03T09:30"), actor=PERSON, reason="late fix")
    assert ledger() == [("2024-06-03T09:30", "fired")]
    assert reasons() == ["triggered by ada: late fix"]
    assert [one.id for one in jobs()] == [done.job_id]
    row.refresh_from_db()
    assert row.next_fire_at == at("2024-06-03T20:15")
    with pytest.raises(UnknownSchedule):
        trigger_schedule("weekly", now=START, actor=PERSON)


def test_a_schedule_pauses_itself_after_failures_in_a_row() -> None:
    """A completed job in between counts anew; the pause is audited, and a signal tells of it."""
    schedule("every 1 h", venue="", pause_after_failures=2, overlap="allow_all")
    schedule("on signal schedule_paused", name="listener", venue="", gather=timedelta(0))
    for hour, state in ((9, "failed"), (10, "completed"), (11, "failed"), (12, "failed")):
        fire(f"2024-06-03T{hour:02}:00")
        _end(jobs()[-1].id, failed=state == "failed")
    fire("2024-06-03T12:00:01")
    row = Schedule.objects.get(name="nightly")
    assert row.paused_at == at("2024-06-03T12:00:01")
    assert row.note == "paused by itself: 2 jobs in a row have failed"
    assert AuditEvent.objects.filter(action="schedule.pause").count() == 1
    fire("2024-06-03T13:00")
    assert dispositions() == [*["fired"] * 4, "paused"]
    assert dispositions("listener") == ["fired"]
    resume_schedule("nightly", now=at("2024-06-03T13:30"), actor=PERSON)
    fire("2024-06-03T14:00")
    assert dispositions()[-1] == "fired"


def _end(job_id: int, *, failed: bool) -> None:
    job = job_store.lock_job(job_id)
    if failed:
        job_store.move(job, JobState.FAILED, actor=PERSON)
    else:
        job_store.save_plan(job_id, cursor_at=None, planned=True)
        assert settle_job(job_id) is JobState.COMPLETED


def test_what_nobody_can_reckon_sleeps_and_says_why() -> None:
    """A rule that somebody wrote past every check stops its own schedule and no other."""
    broken = schedule("every 1 h", name="broken", venue="")
    nowhere = schedule("cron 0 * * * *", name="nowhere", venue="")
    Schedule.objects.filter(id=nowhere.id).update(tz="Sea/Atlantis")
    odd = schedule("every 1 h", name="odd", venue="")
    Schedule.objects.filter(id=odd.id).update(exclusions=[7])
    lost = schedule("close", name="lost")
    schedule("every 1 h", venue="")
    Schedule.objects.filter(id=broken.id).update(rule={"kind": "sometimes"})
    Schedule.objects.filter(id=lost.id).update(venue="ATLANTIS", next_fire_at=START)
    fire("2024-06-03T09:00")
    assert dispositions() == ["fired"]
    for name in ("broken", "lost", "nowhere", "odd"):
        assert dispositions(name) == ["paused"]
    assert "ATLANTIS" in reasons("lost")[0]
    stops = AuditEvent.objects.filter(action="schedule.stop").values_list("object_id", flat=True)
    assert {int(one) for one in stops} == {broken.id, lost.id, nowhere.id, odd.id}
    assert fire("2024-06-03T09:00:01").slots == 0
    Schedule.objects.filter(id=lost.id).update(venue="XNYS")
    recompute_fires(now=at("2024-06-03T10:00"))
    lost.refresh_from_db()
    assert lost.next_due_at == at("2024-06-03T20:00")


def test_a_provider_that_does_not_exist_is_said_in_the_ledger() -> None:
    define(providers=["nobody"])
    schedule("every 1 h", venue="")
    fire("2024-06-03T09:00")
    assert dispositions() == ["paused"]
    assert "nobody" in reasons()[0]


def test_an_inspection_needs_no_provider() -> None:
    """It fires beside a schedule of the same definition that can ask nobody."""
    define(providers=["nobody"])
    schedule("every 1 h", venue="")
    schedule("every 1 h", name="look", venue="", action="inspect")
    fire("2024-06-03T09:00")
    assert (dispositions(), dispositions("look")) == (["paused"], ["fired"])
    assert not jobs("look")


def test_the_first_provider_that_may_send_is_asked() -> None:
    define(providers=["synthetic", "yahoo"])
    schedule("every 1 h", venue="", overlap="allow_all")
    fire("2024-06-03T09:00")
    account = jobs()[0].account
    assert account.provider == "synthetic"
    account.circuit = "open"
    account.save()
    fire("2024-06-03T10:00")
    assert jobs()[1].account.provider == "yahoo"
    jobs()[1].account.__class__.objects.filter(provider="yahoo").update(enabled=False)
    fire("2024-06-03T11:00")
    assert jobs()[2].account.provider == "synthetic"


def test_a_definition_that_is_deleted_takes_its_schedules_along() -> None:
    schedule("every 1 h", venue="")
    fire("2024-06-03T09:00")
    (job,) = jobs()
    JobDefinition.objects.all().delete()
    job.refresh_from_db()
    assert (job.definition_id, job.slot_id, job.desired) == (None, None, Desired.RUN)
