"""Whether what was promised was complete when it was due: by coverage, session after session."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from ingestion.domain.moved_clock import MovedClock
from ingestion.domain.override_text import Statement
from ingestion.domain.overrides import OverrideKind
from ingestion.domain.states import JobKind
from ingestion.models import (
    Account,
    AuditEvent,
    EmptyProof,
    Freshness,
    Instrument,
    Job,
    JobDefinition,
    Schedule,
    Series,
    Signal,
)
from ingestion.services.declare_override import declare_override
from ingestion.services.judge_freshness import MOST_SESSIONS, Round, judge_freshness
from ingestion.services.open_job import open_job
from ingestion.services.plan_job import plan_job
from ingestion.store import freshness
from ingestion.store.signals import gathered
from ingestion.tasks import tick
from tests.protocol.scene import TESTER, Worker, ask

pytestmark = pytest.mark.django_db

TARGET = timedelta(minutes=20)


def t(text: str) -> datetime:
    """Read an ISO time as UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


WATCHED = t("2024-01-02T12:00")  # a Tuesday, the first session of the year
CLOSE = t("2024-01-02T21:00")
DUE = CLOSE + TARGET


def promise(name: str = "daily", *symbols: str, **columns: Any) -> JobDefinition:
    """Declare a dataset with a target."""
    wanted: dict[str, Any] = {
        "timeframe": "1d",
        "history_start": "2020-01-01",
        "providers": ["synthetic"],
        "freshness": TARGET,
        "venue": "XNYS",
    }
    return JobDefinition.objects.create(
        name=name, symbols=list(symbols or ("AAA",)), **(wanted | columns)
    )


def keep(symbol: str, *, venue: str = "XNYS", provider: str = "synthetic", **columns: Any) -> int:
    """Let a series of a symbol exist, with nothing loaded."""
    facts = {name: columns.pop(name, None) for name in ("listed_from", "delisted_on")}
    instrument, _ = Instrument.objects.get_or_create(
        symbol=symbol, defaults={"venue": venue} | facts
    )
    series = Series.objects.create(
        provider=provider,
        instrument=instrument,
        adjustment="raw",
        **({"timeframe": "1d"} | columns),
    )
    return int(series.pk)


def load(series_id: int, first: str, before: str) -> None:
    """Let bars of a span be loaded, in stamp space."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO coverage (series_id, loaded)"
            " VALUES (%s, tstzmultirange(tstzrange(%s, %s)))"
            " ON CONFLICT (series_id) DO UPDATE"
            " SET loaded = coverage.loaded + excluded.loaded, updated_at = now()",
            [series_id, t(first), t(before)],
        )


def watch(now: datetime = WATCHED) -> None:
    """Begin to watch; nothing may be due yet."""
    assert judge_freshness(now=now).sessions == 0


def rows() -> list[tuple[str, date, int, int]]:
    """Return what was judged: venue, session, symbols, how many lacked."""
    found = Freshness.objects.order_by("session", "venue")
    return list(found.values_list("venue", "session", "series", "lacking"))


def acts() -> list[str]:
    """Return the audited acts, in order."""
    return list(AuditEvent.objects.order_by("id").values_list("action", flat=True))


def test_a_session_is_judged_once_when_it_is_due() -> None:
    """Not a second before; by what is covered then; and never again."""
    promise("daily", "AAA", "BBB")
    load(keep("AAA"), "2024-01-02", "2024-01-03")
    load(keep("BBB"), "2023-06-01", "2024-01-02")
    watch()
    assert judge_freshness(now=DUE - timedelta(seconds=1)).sessions == 0
    assert judge_freshness(now=DUE) == Round(definitions=1, sessions=1, breached=1)
    assert rows() == [("XNYS", date(2024, 1, 2), 2, 1)]
    kept = Freshness.objects.get()
    assert (kept.closed_at, kept.due_at, kept.judged_at) == (CLOSE, DUE, DUE)
    assert (kept.sample, kept.complete_at) == (["BBB"], None)
    assert judge_freshness(now=DUE + timedelta(seconds=30)) == Round()
    assert len(rows()) == 1


def test_a_breach_is_audited_and_signalled_with_symbols_and_window() -> None:
    """Whoever listens starts with exactly the symbols and the session that lack."""
    definition = promise("daily", "AAA", "BBB")
    schedule = Schedule.objects.create(
        name="mend",
        definition=definition,
        action="repair",
        rule={"kind": "signal", "name": "freshness_breached"},
    )
    load(keep("AAA"), "2024-01-02", "2024-01-03")
    watch()
    judge_freshness(now=DUE)
    signal = Signal.objects.get()
    assert (signal.name, signal.symbols, signal.timeframe) == ("freshness_breached", ["BBB"], "1d")
    assert (signal.window.lower, signal.window.upper) == (t("2024-01-02"), t("2024-01-03"))
    assert signal.evidence["definition"] == "daily"
    assert gathered([schedule.pk])[schedule.pk].symbols == ("BBB",)
    (event,) = AuditEvent.objects.all()
    assert (event.action, event.object_id) == ("freshness.breached", str(definition.pk))
    assert "1 of 2 symbols were not complete by 2024-01-02 21:20:00Z: BBB" in event.reason


def test_a_write_does_not_make_a_session_fresh() -> None:
    """An old backfill that ran a moment ago covers old sessions, not the last one."""
    promise()
    series = keep("AAA")
    watch()
    load(series, "2000-01-01", "2024-01-01")
    assert judge_freshness(now=DUE).breached == 1


def test_what_is_explained_is_complete() -> None:
    """A proof that there was no trade is as good as a bar."""
    promise()
    EmptyProof.objects.create(
        series_id=keep("AAA"),
        window=(t("2024-01-02"), t("2024-01-03")),
        reason="no_trade",
        attempt_id=1,
        expires_at=t("2030-01-01"),
    )
    watch()
    assert judge_freshness(now=DUE) == Round(definitions=1, sessions=1)
    assert Freshness.objects.get().complete_at == DUE


def test_a_breach_is_looked_at_until_it_is_complete() -> None:
    """The time at which it was seen complete stays on the row; so does that it was late."""
    promise()
    series = keep("AAA")
    watch()
    judge_freshness(now=DUE)
    later = DUE + timedelta(minutes=1)
    assert judge_freshness(now=later).restored == 0
    load(series, "2024-01-02", "2024-01-03")
    later += timedelta(minutes=1)
    assert judge_freshness(now=later).restored == 1
    kept = Freshness.objects.get()
    assert (kept.lacking, kept.complete_at) == (1, later)
    assert acts() == ["freshness.breached", "freshness.restored"]
    assert Signal.objects.count() == 1


def test_no_old_session_is_judged_when_a_target_is_set() -> None:
    """A new promise is held from its beginning on; taken back and given again, from then on."""
    definition = promise()
    keep("AAA")
    watch(t("2024-01-05T12:00"))
    judge_freshness(now=t("2024-01-05T21:20"))
    assert [session for _, session, _, _ in rows()] == [date(2024, 1, 5)]
    JobDefinition.objects.update(freshness=None)
    judge_freshness(now=t("2024-01-09T12:00"))
    definition.refresh_from_db()
    assert (definition.freshness_since, definition.next_freshness_at) == (None, None)
    JobDefinition.objects.update(freshness=TARGET, enabled=False)
    assert judge_freshness(now=t("2024-01-10T23:00")) == Round()
    JobDefinition.objects.update(enabled=True)
    watch(t("2024-01-11T23:00"))
    judge_freshness(now=t("2024-01-12T21:20"))
    assert [session for _, session, _, _ in rows()] == [date(2024, 1, 5), date(2024, 1, 12)]


def test_after_a_downtime_every_session_since_is_judged_within_bounds() -> None:
    """Three days are made up for; of a year, the newest sessions."""
    promise()
    load(keep("AAA"), "2024-01-03", "2024-01-04")
    watch()
    judge_freshness(now=t("2024-01-04T22:00"))
    assert [lacking for _, _, _, lacking in rows()] == [1, 0, 1]
    judge_freshness(now=t("2025-01-04T22:00"))
    assert len(rows()) == 3 + MOST_SESSIONS
    assert rows()[-1][1] == date(2025, 1, 3)


def test_any_of_the_providers_may_have_it() -> None:
    """A symbol that the second provider delivered is there, whatever the first one lacks."""
    promise("daily", "AAA", providers=["synthetic", "polygon"], adjustment="raw")
    keep("AAA")
    load(keep("AAA", provider="polygon"), "2024-01-02", "2024-01-03")
    watch()
    assert judge_freshness(now=DUE).breached == 0


def test_who_is_not_listed_lacks_nothing() -> None:
    """Before its listing and after its delisting nothing of an instrument is promised."""
    promise("daily", "OLD", "NEW", "NOW")
    keep("OLD", delisted_on=date(2024, 1, 2))
    keep("NEW", listed_from=date(2024, 1, 3))
    load(keep("NOW"), "2024-01-02", "2024-01-03")
    watch()
    judge_freshness(now=DUE)
    assert rows() == [("XNYS", date(2024, 1, 2), 1, 0)]


def test_each_venue_has_its_own_sessions() -> None:
    """Tokyo's third of January was a holiday, New York's was not."""
    promise("world", "AAA", "JJJ")
    keep("AAA")
    keep("JJJ", venue="XTKS")
    watch()
    judge_freshness(now=t("2024-01-04T22:00"))
    assert [(venue, session.day) for venue, session, _, _ in rows()] == [
        ("XNYS", 2),
        ("XNYS", 3),
        ("XNYS", 4),
        ("XTKS", 4),
    ]


def test_minutes_are_complete_when_all_of_their_session_is() -> None:
    """A session of which the last half hour lacks is not."""
    promise("minutes", "AAA", "BBB", timeframe="1m")
    whole, part = keep("AAA", timeframe="1m"), keep("BBB", timeframe="1m")
    load(whole, "2024-01-02T14:30", "2024-01-02T21:00")
    load(part, "2024-01-02T14:30", "2024-01-02T20:30")
    watch()
    judge_freshness(now=DUE)
    assert Freshness.objects.get().sample == ["BBB"]


def test_one_that_cannot_be_judged_does_not_stop_the_others() -> None:
    """It is put off and the reason is audited."""
    broken = promise("broken", "XXX", venue="NOPE")
    promise("daily")
    load(keep("AAA"), "2024-01-02", "2024-01-03")
    watch()
    judge_freshness(now=DUE)
    assert rows() == [("XNYS", date(2024, 1, 2), 1, 0)]
    assert set(acts()) == {"freshness.unjudged"}
    broken.refresh_from_db()
    assert broken.next_freshness_at == DUE + timedelta(hours=1)


def test_a_symbol_that_was_taken_out_is_not_waited_for() -> None:
    """A breach of what is no longer promised is closed, wherever it was."""
    promise("world", "AAA", "JJJ")
    keep("AAA")
    keep("JJJ", venue="XTKS")
    watch()
    judge_freshness(now=t("2024-01-04T22:00"))
    JobDefinition.objects.update(symbols=["AAA"])
    freshness.look_again(now=t("2024-01-04T22:01"))
    assert judge_freshness(now=t("2024-01-04T22:01")).restored == 1
    assert [one.venue for one in Freshness.objects.filter(complete_at=None)] == ["XNYS"] * 3


def test_many_definitions_are_judged_in_few_statements(django_assert_max_num_queries: Any) -> None:
    """The number of statements does not grow with the number of definitions."""
    for number in range(30):
        promise(f"daily-{number}", f"S{number}")
        keep(f"S{number}")
    watch()
    with django_assert_max_num_queries(25):
        assert judge_freshness(now=DUE) == Round(definitions=30, sessions=30, breached=30)


def test_an_update_right_after_the_close_makes_the_session_complete() -> None:
    """New York closes three hours before its date ends in UTC: the bar is whole all the same."""
    promise()
    watch(WATCHED)
    request = ask(
        "AAA", start=t("2023-12-20"), end=None, kind=JobKind.UPDATE, slice_span=timedelta(days=90)
    )
    job = open_job(request, now=CLOSE + timedelta(minutes=15), actor=TESTER).job_id
    assert plan_job(job)
    Worker.of(job).work_off()
    assert judge_freshness(now=DUE) == Round(definitions=1, sessions=1)


def test_a_session_not_judged_yet_follows_its_new_close() -> None:
    """A half day that is declared at noon is due in the afternoon; it was due in the evening."""
    definition = promise()
    keep("AAA")
    watch()
    statement = Statement(
        "XNYS", date(2024, 1, 2), OverrideKind.HOURS, closes="13:00", reason="a storm"
    )
    declare_override(statement, actor=TESTER, now=t("2024-01-02T17:00"))
    assert judge_freshness(now=t("2024-01-02T17:30")).sessions == 0
    definition.refresh_from_db()
    assert definition.next_freshness_at == t("2024-01-02T18:20")
    assert judge_freshness(now=t("2024-01-02T18:20")).breached == 1
    assert Freshness.objects.get().closed_at == t("2024-01-02T18:00")


def test_each_tick_judges_by_the_clock_of_the_shells(settings: Any) -> None:
    """Beat's every-second task needs nothing else to be set up; a rehearsal may move its clock."""
    promise()
    account = Account.objects.create(provider="synthetic")
    Job.objects.create(
        workload="historical",
        kind="update",
        account=account,
        spec={},
        state="paused",
        desired="pause",
        deadline_at=DUE,
    )
    for moment in (WATCHED, DUE + timedelta(seconds=1)):
        settings.CLOCK = MovedClock(anchor=datetime.now(UTC), shown=moment, rate=1)
        tick()
    assert rows() == [("XNYS", date(2024, 1, 2), 1, 1)]
    names = Signal.objects.order_by("name").values_list("name", flat=True)
    assert list(names) == ["deadline_missed", "freshness_breached"]
