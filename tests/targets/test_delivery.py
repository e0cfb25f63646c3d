"""What is committed is delivered: at least once, in order per series, whatever fails meanwhile."""

from __future__ import annotations

import random
from uuid import uuid4

import pytest

from ingestion.domain.errors import BadRequest, DeliveryFailed, UnknownTarget
from ingestion.models import AuditEvent
from ingestion.services.deliver_batch import deliver_batch
from ingestion.services.deliver_target import deliver_target
from ingestion.services.pause_target import pause_target
from ingestion.services.remove_target import remove_target
from ingestion.services.replay_target import replay_target
from ingestion.services.resize_target import resize_target
from ingestion.services.resume_target import resume_target
from ingestion.services.tick import tick
from ingestion.store.targets import due_targets, standings
from tests.protocol.scene import NOW, TESTER, sql, value
from tests.targets.receiving import (
    Consumer,
    a_job,
    commit,
    daily,
    declare,
    deliver_next,
    drain,
    make_due,
    stored,
)

pytestmark = pytest.mark.django_db


def pending(target_id: int) -> int:
    """Count what is noted for a target."""
    return int(value("SELECT count(*) FROM outbox WHERE target_id = %s", target_id))


def test_without_a_target_nothing_is_noted() -> None:
    """Who has no target pays for one look at an empty table."""
    series = a_job()["AAA"]
    commit(series, daily(0, 3))
    assert value("SELECT count(*) FROM outbox") == 0
    assert tick(now=NOW, processes=1).deliver == ()


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({}, {"AAA", "BBB"}),
        ({"symbols": ["AAA"]}, {"AAA"}),
        ({"timeframes": ["1m"]}, set()),
        ({"providers": ["synthetic"], "timeframes": ["1d"]}, {"AAA", "BBB"}),
        ({"providers": ["yahoo"]}, set()),
    ],
)
def test_a_target_gets_what_its_filters_let_through(filters: dict, wanted: set[str]) -> None:
    """Provider, symbol and timeframe narrow; nothing said means everything."""
    target = declare(**filters)
    for series in a_job("AAA", "BBB").values():
        commit(series, daily(0, 2))
    consumer = Consumer()
    drain(target, consumer)
    assert {key[1] for key in consumer.latest} == wanted


@pytest.mark.parametrize(("targets", "fed"), [(None, 2), ([], 0), (["one"], 1)])
def test_a_job_may_choose_its_targets(targets: list[str] | None, fed: int) -> None:
    """All that match, none, or those it names."""
    declare("one")
    declare("two")
    commit(a_job(targets=targets)["AAA"], daily(0, 2))
    assert value("SELECT count(*) FROM outbox") == fed


def test_batches_have_the_size_asked_for() -> None:
    """Many notes make one batch, one large note makes many, and each bar comes once."""
    target = declare(batch_size=10)
    series = a_job("AAA", "BBB")
    commit(series["AAA"], daily(0, 25))
    for day in range(7):
        commit(series["BBB"], daily(day, 1))
    consumer = Consumer()
    assert drain(target, consumer) == 4
    assert [len(batch) for batch in consumer.batches] == [10, 10, 10, 2]
    assert len({batch.key for batch in consumer.batches}) == 4
    assert consumer.latest == stored()
    assert standings()[0].target.delivered_bars == 32


def test_a_lost_answer_repeats_the_very_batch() -> None:
    """The same notes under the same key, even where more has been committed meanwhile."""
    target = declare(batch_size=10)
    series = a_job()["AAA"]
    commit(series, daily(0, 4))
    consumer = Consumer(answers=["die"])
    with pytest.raises(ConnectionResetError):
        deliver_next(target, consumer)
    commit(series, daily(4, 4))
    assert "fault of mdc" in standings()[0].target.error
    drain(target, consumer)
    keys = [batch.key for batch in consumer.batches]
    assert keys[0] == keys[1] != keys[2]
    assert [len(batch) for batch in consumer.batches] == [4, 4, 4]
    assert consumer.latest == stored()


def test_a_revised_bar_is_delivered_as_it_is_now() -> None:
    """The first note brings the newest version; no later message brings an older one."""
    target = declare()
    series = a_job()["AAA"]
    commit(series, daily(0, 5))
    commit(series, daily(1, 1, price=11.0))
    consumer = Consumer()
    drain(target, consumer)
    assert consumer.latest == stored()
    assert consumer.steps_back == 0


def test_a_revision_by_a_job_without_targets_still_ends_what_was_noted_before() -> None:
    """The bar was promised: it comes as it is, though its newest attempt noted nothing."""
    target = declare()
    series = a_job()["AAA"]
    commit(series, daily(0, 5))
    commit(a_job(targets=[])["AAA"], daily(1, 1, price=11.0))
    consumer = Consumer()
    drain(target, consumer)
    assert consumer.latest == stored()


def test_whoever_lost_the_lease_strikes_nothing() -> None:
    """A slow worker's delivery was repeated by another one: its token counts no more."""
    target = declare()
    commit(a_job()["AAA"], daily(0, 5))
    second = Consumer()

    class Slow(Consumer):
        def deliver(self, batch) -> None:
            super().deliver(batch)
            sql("UPDATE target SET lease_until = clock_timestamp() - interval '1 s'")
            drain(target, second)

    assert deliver_batch(target, token=uuid4(), open_sink=Slow(), random01=0).bars == 0
    assert second.latest == stored()
    assert standings()[0].target.delivered_bars == 5


def test_a_held_target_is_left_alone() -> None:
    """One worker at a time, by PostgreSQL's clock."""
    target = declare()
    commit(a_job()["AAA"], daily(0, 5))
    sql("UPDATE target SET lease_token = gen_random_uuid(), lease_until = now() + interval '9 s'")
    consumer = Consumer()
    assert deliver_target(target, open_sink=consumer, random=random.random).bars == 0
    assert due_targets() == []
    assert consumer.batches == []


def test_a_failure_is_kept_in_words_and_tried_again_later() -> None:
    """Nothing is lost; the wait grows; a person may cut it short."""
    target = declare()
    commit(a_job()["AAA"], daily(0, 5))
    consumer = Consumer(answers=["refuse", "refuse"])
    waits = []
    for _ in range(2):
        deliver_next(target, consumer)
        waits.append(
            value("SELECT extract(epoch FROM next_attempt_at - clock_timestamp()) FROM target")
        )
    row = standings()[0].target
    assert (row.error, row.failures, row.enabled) == ("not now", 2, True)
    assert 0 < waits[0] < waits[1] < 2
    assert due_targets() == []
    assert resume_target("sink", actor=TESTER)
    assert due_targets() == [target]
    drain(target, consumer)
    assert (standings()[0].target.error, standings()[0].target.failures) == ("", 0)
    assert consumer.latest == stored()


def test_a_permanent_refusal_stops_the_target_and_no_other() -> None:
    """It waits for a person, with everything that comes meanwhile."""
    stopped, other = declare("stopped"), declare("other")
    series = a_job()["AAA"]
    commit(series, daily(0, 5))

    class Never(Consumer):
        def deliver(self, batch) -> None:
            raise DeliveryFailed("no such table", permanent=True)

    deliver_next(stopped, Never())
    commit(series, daily(5, 5))
    make_due(stopped)
    assert due_targets() == [other]
    assert pending(stopped) == 2
    event = AuditEvent.objects.latest("id")
    assert (event.actor, event.action, event.object_id) == ("mdc", "target.stop", "stopped")
    resume_target("stopped", actor=TESTER)
    consumer = Consumer()
    drain(stopped, consumer)
    assert consumer.latest == stored()


def test_a_paused_target_collects_and_delivers_later() -> None:
    """Pausing withholds; it does not skip."""
    target = declare()
    assert pause_target("sink", actor=TESTER, reason="moving the lake")
    assert not pause_target("sink", actor=TESTER)
    commit(a_job()["AAA"], daily(0, 5))
    assert due_targets() == []
    resume_target("sink", actor=TESTER)
    consumer = Consumer()
    drain(target, consumer)
    assert consumer.latest == stored()
    acts = AuditEvent.objects.filter(object_type="target").order_by("id")
    assert [one.action for one in acts] == ["target.add", "target.pause", "target.resume"]


def test_a_smaller_batch_size_cuts_a_refused_batch_anew() -> None:
    """What a receiver finds too large comes in smaller pieces."""
    target = declare(batch_size=100)
    commit(a_job()["AAA"], daily(0, 30))
    consumer = Consumer(answers=["refuse"])
    deliver_next(target, consumer)
    resize_target("sink", batch_size=20, actor=TESTER)
    drain(target, consumer)
    assert [len(batch) for batch in consumer.batches] == [20, 10]
    with pytest.raises(BadRequest, match="1 to 1,000,000"):
        resize_target("sink", batch_size=0, actor=TESTER)


def test_replay_delivers_what_is_stored() -> None:
    """A target that came later gets the past on request, narrowed as asked, within its filters."""
    series = a_job("AAA", "BBB")
    for one in series.values():
        commit(one, daily(0, 30))
    target = declare(batch_size=7, symbols=["AAA"])
    assert pending(target) == 0
    replayed = replay_target("sink", actor=TESTER)
    assert (replayed.series, replayed.bars) == (1, 30)
    consumer = Consumer()
    assert drain(target, consumer) == 5
    assert consumer.latest == {key: one for key, one in stored().items() if key[1] == "AAA"}
    with pytest.raises(BadRequest, match="declared for AAA"):
        replay_target("sink", actor=TESTER, symbols=["BBB"])
    assert replay_target("sink", actor=TESTER, end=NOW.replace(month=1, day=3)).bars == 3


def test_a_removed_target_leaves_no_note() -> None:
    """And its name may be used again."""
    declare()
    commit(a_job()["AAA"], daily(0, 5))
    assert remove_target("sink", actor=TESTER) == 1
    assert value("SELECT count(*) FROM outbox") == 0
    with pytest.raises(UnknownTarget):
        remove_target("sink", actor=TESTER)
    declare()


@pytest.mark.parametrize("name", ["Lake", "my_lake", "none", "-x", "a--b", "x" * 65, ""])
def test_names_that_no_variable_could_carry_are_refused(name: str) -> None:
    """Each name has its own MDC_TARGET_<NAME>_URL."""
    with pytest.raises(BadRequest, match="is no name for a target"):
        declare(name)


@pytest.mark.parametrize("seed", range(6))
def test_whatever_happens_everything_arrives_in_order(seed: int) -> None:
    """Commits, revisions, refusals and lost answers in any order: a consumer that drops repeats
    by the dedupe key ends with the bar table, and never sees a version older than one before."""
    chance = random.Random(seed)
    target = declare(batch_size=chance.choice([1, 3, 10, 50]))
    consumer = Consumer()
    series = list(a_job("AAA", "BBB", "CCC").values())
    for _ in range(40):
        if chance.random() < 0.5:
            first, count = chance.randrange(20), chance.randrange(1, 9)
            price = chance.choice([10.0, 11.0, 12.0])
            commit(chance.choice(series), daily(first, count, price=price))
            continue
        consumer.answers = [chance.choice(["take", "refuse", "die"])]
        try:
            deliver_next(target, consumer)
        except ConnectionResetError:
            continue
    consumer.answers = []
    drain(target, consumer)
    assert consumer.latest == stored()
    assert consumer.steps_back == 0
