"""A webhook is posted to, signed, until it says 2xx; what it says instead is obeyed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ingestion.domain.delivery import Batch
from ingestion.domain.errors import BadRequest, DeliveryFailed
from ingestion.store.targets import TargetRow, standings
from ingestion.target_access import open_sink
from ingestion.targets import webhook
from ingestion.targets.base import Surroundings
from ingestion.targets.webhook import Webhook
from tests.protocol.scene import value
from tests.targets.receiver import Answer, receiving
from tests.targets.receiving import a_job, commit, daily, declare, deliver_next, drain

pytestmark = pytest.mark.django_db


DOCUMENTED = Path(__file__).parents[2].joinpath("docs/targets.md").read_text(encoding="utf-8")


def is_genuine(body: bytes, signature: str, secret: str) -> bool:
    """Run the check that the documentation gives to receivers."""
    names: dict[str, Any] = {}
    exec(DOCUMENTED.partition("```python\n")[2].partition("```")[0], names)
    return bool(names["is_genuine"](body, signature, secret))


def waiting() -> float:
    """Return how long the target waits for its next try."""
    return float(
        value("SELECT extract(epoch FROM next_attempt_at - clock_timestamp()) FROM target")
    )


def the_target() -> TargetRow:
    return standings()[0].target


def test_a_batch_is_one_signed_post(settings) -> None:
    """JSON with columns as arrays, a key that is the same for a repeat, and a signature."""
    settings.TARGET_SECRETS = {"sink": "hunter2"}
    with receiving(Answer(500), Answer(200)) as receiver:
        target = declare(config={"url": receiver.url})
        series = a_job("AAA", "^VIX")
        commit(series["AAA"], daily(0, 3))
        commit(series["^VIX"], daily(0, 2, absent=True))
        drain(target, open_sink)
    (path, first, body), (_, second, again) = receiver.requests
    assert path == "/bars"
    assert body == again
    assert first["Idempotency-Key"] == second["Idempotency-Key"]
    assert is_genuine(body, first["X-MDC-Signature"], "hunter2")
    assert not is_genuine(body, first["X-MDC-Signature"], "hunter3")
    documented = json.loads(DOCUMENTED.partition("```json\n")[2].partition("```")[0])
    content = json.loads(body)
    assert (content["schema"], content["target"]) == ("mdc.bars/1", "sink")
    assert first["Idempotency-Key"] == f"sink-{content['batch']}"
    aaa, vix = content["series"]
    (example,) = documented["series"]
    assert documented.keys() == content.keys()
    assert example.keys() == aaa.keys()
    assert list(example["columns"]) == list(aaa["columns"])
    assert (aaa["provider"], aaa["symbol"], aaa["timeframe"]) == ("synthetic", "AAA", "1d")
    assert (aaa["event_type"], aaa["adjustment"], aaa["hours"], aaa["anchor"]) == (
        *("bar", "raw", "regular"),
        aaa["anchor"],
    )
    assert aaa["columns"]["ts_us"][0] == 1_704_067_200_000_000
    assert aaa["columns"]["close"] == [10.0, 10.0, 10.0]
    assert vix["columns"]["volume"] == vix["columns"]["trades"] == [None, None]
    assert {len(column) for column in vix["columns"].values()} == {2}


@pytest.mark.parametrize(
    ("answer", "stops", "says", "waits"),
    [
        (Answer(503), False, "asks to come again later (503)", 1),
        (Answer(503, {"Retry-After": "120"}), False, "later (503)", 120),
        (Answer(429, {"Retry-After": "30"}), False, "later (429)", 30),
        (Answer(408), False, "later (408)", 1),
        (Answer(302, {"Location": "http://127.0.0.1:9/"}), True, "redirect (302)", 1),
        (Answer(401), True, "(401: check MDC_TARGET_SINK_SECRET)", 1),
        (Answer(413), True, "mdc target resize sink --batch-size N", 1),
        (Answer(422), True, "refused a batch (422)", 1),
    ],
)
def test_what_the_receiver_says_is_obeyed(
    answer: Answer, stops: bool, says: str, waits: float
) -> None:
    """Later means later, by Retry-After where it is given; a refusal waits for a person."""
    with receiving(answer) as receiver:
        target = declare(config={"url": receiver.url})
        commit(a_job()["AAA"], daily(0, 3))
        deliver_next(target, open_sink)
    row = the_target()
    assert says in row.error
    assert row.enabled is not stops
    assert waits / 2 - 1 < waiting() <= waits
    assert value("SELECT count(*) FROM outbox") == 1
    assert len(receiver.requests) == 1


def test_an_answer_that_drips_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then keeps no thread for ever."""
    monkeypatch.setattr(webhook, "DELIVERY_SECONDS", 0.3)
    with receiving(Answer(drip_seconds=3)) as receiver:
        target = declare(config={"url": receiver.url})
        commit(a_job()["AAA"], daily(0, 3))
        deliver_next(target, open_sink)
    assert "could not be reached or broke off" in the_target().error


def test_nobody_there_is_no_loss(settings) -> None:
    """The address may come from the environment; of its secrets nothing is said."""
    settings.TARGET_URLS = {"sink": "http://me:hunter2@127.0.0.1:9/hunter2?token=hunter2"}
    target = declare()
    commit(a_job()["AAA"], daily(0, 3))
    deliver_next(target, open_sink)
    row = the_target()
    assert "at 127.0.0.1 could not be reached" in row.error
    assert "hunter2" not in row.error
    assert row.enabled
    with receiving() as receiver:
        settings.TARGET_URLS = {"sink": receiver.url.replace("http://", "http://me:hunter2@")}
        drain(target, open_sink)
    assert receiver.requests[0][1]["Authorization"] == "Basic bWU6aHVudGVyMg=="


def test_without_an_address_the_target_stops_and_names_the_variable() -> None:
    """Nothing can be sent before a person acts."""
    target = declare("my-hook")
    commit(a_job()["AAA"], daily(0, 3))
    deliver_next(target, open_sink)
    assert "MDC_TARGET_MY_HOOK_URL" in the_target().error
    assert not the_target().enabled


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("ftp://host/", "no http"),
        ("http://", "no http"),
        ("http://host:0/", "no http"),
        ("http://me:pw@host/", "MDC_TARGET_SINK_URL"),
        ("http://host/?key=1", "MDC_TARGET_SINK_URL"),
    ],
)
def test_an_address_is_checked_when_it_is_declared(url: str, says: str) -> None:
    """And one that may hold a secret is not stored."""
    with pytest.raises(BadRequest, match=says):
        Webhook.check({"url": url}, name="sink")


def test_an_empty_batch_tests_the_way() -> None:
    """`mdc target test` posts no series and wants a 2xx all the same."""
    with receiving(Answer(204), Answer(403)) as receiver:
        sink = Webhook(Surroundings(name="sink", config={"url": receiver.url}))
        sink.deliver(Batch("sink", "test", ()))
        with pytest.raises(DeliveryFailed, match="403"):
            sink.deliver(Batch("sink", "test", ()))
    assert json.loads(receiver.requests[0][2])["series"] == []
