"""Edits by hand write only what was edited, and leave an audit event each."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from ingestion.models import (
    Account,
    AuditEvent,
    Budget,
    Instrument,
    JobDefinition,
    ProviderSymbol,
    RetryClass,
    Series,
)

pytestmark = pytest.mark.django_db

DEFINITION = {
    "name": "daily",
    "symbols": "AAPL,MSFT",
    "timeframe": "1d",
    "adjustment": "raw",
    "hours": "regular",
    "history_start": "2000-01-01",
    "providers": "synthetic",
    "max_slices_per_round": "5",
    "max_concurrency": "5",
    "tries": "5",
    "priority": "100",
    "weight": "1",
    "retry_class": "fast",
    "enabled": "on",
    # Its schedules are shown below and edited elsewhere.
    "schedules-TOTAL_FORMS": "0",
    "schedules-INITIAL_FORMS": "0",
}


@pytest.fixture
def definition(operator: Client) -> JobDefinition:
    """Add a definition through its form."""
    response = operator.post(reverse("admin:ingestion_jobdefinition_add"), DEFINITION)
    assert response.status_code == 302
    return JobDefinition.objects.get()


def errors(response: object) -> dict[str, list[str]]:
    return response.context["adminform"].form.errors


def last_event() -> AuditEvent:
    return AuditEvent.objects.latest("id")


def test_a_new_row_is_recorded(definition: JobDefinition) -> None:
    """The event names the person and holds the row."""
    event = last_event()
    assert (event.actor, event.source, event.action) == ("otto", "admin", "job_definition.create")
    assert event.object_id == str(definition.pk)
    assert event.after["symbols"] == ["AAPL", "MSFT"]


def test_an_edit_records_what_was_and_what_is(operator: Client, definition: JobDefinition) -> None:
    """Only the edited columns are in the event; the revision counts on."""
    url = reverse("admin:ingestion_jobdefinition_change", args=[definition.pk])
    operator.post(url, DEFINITION | {"priority": "120"})
    event = last_event()
    assert event.action == "job_definition.change"
    assert event.before == {"priority": 100, "revision": 1}
    assert event.after == {"priority": 120, "revision": 2}


def test_saving_without_an_edit_changes_and_records_nothing(
    operator: Client, definition: JobDefinition
) -> None:
    """The ledger holds acts, not clicks."""
    before = last_event().pk
    operator.post(reverse("admin:ingestion_jobdefinition_change", args=[definition.pk]), DEFINITION)
    assert last_event().pk == before
    definition.refresh_from_db()
    assert definition.revision == 1


def test_a_deletion_is_recorded_with_what_was_deleted(superuser: Client) -> None:
    """Superusers delete; the row survives in the ledger."""
    row = RetryClass.objects.create(name="patient", tries=9, cap_seconds=60)
    number = row.pk
    superuser.post(reverse("admin:ingestion_retryclass_delete", args=[number]), {"post": "yes"})
    assert not RetryClass.objects.exists()
    event = last_event()
    assert (event.actor, event.action) == ("ada", "retry_class.delete")
    assert event.before["tries"] == 9


def test_deleting_chosen_rows_records_each(superuser: Client) -> None:
    """The list's own action is no way around the ledger."""
    rows = [RetryClass.objects.create(name=f"c{n}") for n in range(3)]
    superuser.post(
        reverse("admin:ingestion_retryclass_changelist"),
        {
            "action": "delete_selected",
            "_selected_action": [row.pk for row in rows],
            "post": "yes",
        },
    )
    assert not RetryClass.objects.exists()
    assert AuditEvent.objects.filter(action="retry_class.delete").count() == 3


def test_an_edit_leaves_the_columns_of_the_workers_alone(operator: Client) -> None:
    """Send times and learned spacing are not part of the form, nor of what is written."""
    account = Account.objects.create(provider="synthetic")
    sent = datetime(2024, 3, 1, tzinfo=UTC)
    budget = Budget.objects.create(
        account=account, algorithm="log", n=5, window_ms=60_000, sends=[sent], stretch=4.0
    )
    fields = {
        "account": str(account.pk),
        "endpoint": "bars",
        "algorithm": "log",
        "n": "3",
        "window_ms": "60000",
        "guard_ms": "160",
        "cost": "1",
        "reset_tz": "UTC",
        "reserve_pct": "0",
        "stretch": "1",
        "used": "99",
    }
    operator.post(reverse("admin:ingestion_budget_change", args=[budget.pk]), fields)
    budget.refresh_from_db()
    assert (budget.n, budget.sends, budget.stretch, budget.used) == (3, [sent], 4.0, 0)
    assert last_event().after == {"n": 3}


def test_a_stopped_account_is_reopened_by_a_person(operator: Client) -> None:
    """The list's action closes the circuit and says so in the ledger."""
    account = Account.objects.create(
        provider="polygon", circuit="open", circuit_reason="401: the key was refused"
    )
    url = reverse("admin:ingestion_account_changelist")
    response = operator.post(url, {"action": "reopen", "_selected_action": [account.pk]})
    assert "polygon/default" in " ".join(map(str, get_messages(response.wsgi_request)))
    account.refresh_from_db()
    assert (account.circuit, account.circuit_reason) == ("closed", "")
    assert (last_event().action, last_event().actor) == ("account.close_circuit", "otto")


def test_a_viewer_reopens_nothing(viewer: Client) -> None:
    """The action asks for the right to change accounts."""
    account = Account.objects.create(provider="polygon", circuit="open", circuit_reason="401")
    url = reverse("admin:ingestion_account_changelist")
    viewer.post(url, {"action": "reopen", "_selected_action": [account.pk]})
    account.refresh_from_db()
    assert account.circuit == "open"


def test_a_validity_is_typed_as_two_dates(operator: Client) -> None:
    """From the first until the other, which no longer counts; open where nothing is typed."""
    instrument = Instrument.objects.create(symbol="META", venue="XNAS")
    response = operator.post(
        reverse("admin:ingestion_providersymbol_add"),
        {
            "provider": "yahoo",
            "vendor_symbol": "FB",
            "instrument": str(instrument.pk),
            "valid_0": "2012-05-18",
            "valid_1": "2022-06-09",
        },
    )
    assert response.status_code == 302
    valid = ProviderSymbol.objects.get().valid
    assert (valid.lower, valid.upper) == (date(2012, 5, 18), date(2022, 6, 9))


def test_of_a_series_only_the_precedence_is_edited(operator: Client) -> None:
    """Its identity names stored bars."""
    instrument = Instrument.objects.create(symbol="META", venue="XNAS")
    series = Series.objects.create(
        provider="yahoo", instrument=instrument, timeframe="1d", adjustment="raw"
    )
    url = reverse("admin:ingestion_series_change", args=[series.pk])
    operator.post(url, {"precedence": "7", "provider": "polygon", "timeframe": "1m"})
    series.refresh_from_db()
    assert (series.precedence, series.provider, series.timeframe) == (7, "yahoo", "1d")


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("providers", "synthetic,nasdaq", "No adapter is named nasdaq"),
        ("retry_class", "heroic", "No retry class is named heroic"),
        ("priority", "999", "A priority is a number from 0 to 255."),
        ("symbols", "AAPL,AAPL", "A symbol is named twice"),
        ("venue", "MARS", "Unknown venue"),
        ("history_start", "2190-01-01", "lies in the future"),
    ],
)
def test_a_definition_that_could_not_work_is_refused(
    field: str, value: str, words: str, operator: Client
) -> None:
    """The form says what is wrong before a job fails on it."""
    response = operator.post(
        reverse("admin:ingestion_jobdefinition_add"), DEFINITION | {field: value}
    )
    assert words in str(errors(response))
    assert not JobDefinition.objects.exists()
