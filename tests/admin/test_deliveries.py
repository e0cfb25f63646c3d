"""Targets, watchlists and facts about symbols, as people act on them in the admin."""

from __future__ import annotations

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from ingestion.models import AuditEvent, Instrument, Target, Watchlist

pytestmark = pytest.mark.django_db

TARGETS = "admin:ingestion_target_changelist"


@pytest.fixture
def lake() -> Target:
    """Declare a target that has stopped."""
    return Target.objects.create(
        name="lake",
        kind="parquet",
        config={"path": "/lake"},
        enabled=False,
        failures=3,
        error="full",
    )


def last_event() -> AuditEvent:
    return AuditEvent.objects.latest("id")


def act(client: Client, action: str, target: Target) -> str:
    """Choose an action of the list; return what it says."""
    response = client.post(reverse(TARGETS), {"action": action, "_selected_action": [target.pk]})
    return " ".join(map(str, get_messages(response.wsgi_request)))


def test_an_operator_lets_deliveries_go_on_and_pauses_them(operator: Client, lake: Target) -> None:
    """Both acts are in the ledger, with the person."""
    page = operator.get(reverse(TARGETS)).content.decode()
    assert "stopped" in page
    assert "full" in page
    assert "resumed: lake" in act(operator, "resume", lake)
    lake.refresh_from_db()
    assert (lake.enabled, lake.failures, lake.error) == (True, 0, "")
    assert (last_event().action, last_event().actor) == ("target.resume", "otto")
    assert "not stopped: lake" in act(operator, "resume", lake)
    assert "paused: lake" in act(operator, "pause", lake)
    assert last_event().action == "target.pause"


def test_a_viewer_acts_on_no_target(viewer: Client, lake: Target) -> None:
    """The actions ask for the right to change targets."""
    act(viewer, "resume", lake)
    lake.refresh_from_db()
    assert not lake.enabled


def test_of_a_target_the_batch_size_is_edited(operator: Client, lake: Target) -> None:
    """A batch that was begun is composed anew; nothing else is part of the form."""
    Target.objects.update(batch=[1, 2])
    url = reverse("admin:ingestion_target_change", args=[lake.pk])
    assert "at least once" in operator.get(url).content.decode()
    operator.post(url, {"batch_size": "500", "name": "other", "kind": "bus"})
    lake.refresh_from_db()
    assert (lake.name, lake.kind, lake.batch_size, lake.batch) == ("lake", "parquet", 500, None)
    assert last_event().after == {"batch_size": 500}
    assert operator.post(url, {"batch_size": "0"}).status_code == 200
    assert Target.objects.get().batch_size == 500


def test_the_first_page_names_targets_that_are_held_up(viewer: Client, lake: Target) -> None:
    """Who has no target sees no sign of them."""
    from ingestion.admin.navigation import _signs

    (sign,) = [one for one in _signs() if one["name"] == "Targets held up"]
    assert (sign["value"], sign["well"]) == (1, False)
    Target.objects.all().delete()
    assert "Targets held up" not in [one["name"] for one in _signs()]


def test_a_watchlist_is_edited_as_by_the_command(operator: Client) -> None:
    """Symbols once, in the order given, checked; the ledger says what was."""
    add = reverse("admin:ingestion_watchlist_add")
    operator.post(add, {"name": "tech", "symbols": "MSFT,AAPL,MSFT"})
    row = Watchlist.objects.get()
    assert row.symbols == ["MSFT", "AAPL"]
    url = reverse("admin:ingestion_watchlist_change", args=[row.pk])
    operator.post(url, {"name": "other", "symbols": "AAPL"})
    row.refresh_from_db()
    assert (row.name, row.symbols) == ("tech", ["AAPL"])
    assert (last_event().action, last_event().actor) == ("watchlist.set", "otto")
    assert operator.post(url, {"symbols": "A\u200bB"}).context["adminform"].form.errors
    assert Watchlist.objects.get().symbols == ["AAPL"]


def test_what_a_person_says_of_an_instrument_is_a_persons_word(operator: Client) -> None:
    """A guess that was corrected by hand is no guess any more."""
    row = Instrument.objects.create(symbol="META", venue="XNAS", facts_from="guess")
    fields = {"symbol": "META", "asset_class": "equity", "venue": "XNYS", "currency": "USD"}
    url = reverse("admin:ingestion_instrument_change", args=[row.pk])
    operator.post(url, fields | {"has_volume": "on"})
    row.refresh_from_db()
    assert (row.venue, row.facts_from) == ("XNYS", "user")
    assert last_event().before == {"venue": "XNAS", "facts_from": "guess"}
