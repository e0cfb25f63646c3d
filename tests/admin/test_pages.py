"""Every table has its pages, for those who may see them, at a bounded number of queries."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from ingestion.admin.base import LedgerAdmin
from ingestion.admin.navigation import GROUPS

TABLES = sorted(
    model._meta.model_name or "" for model in apps.get_app_config("ingestion").get_models()
)
LISTS = sorted(entry.model for entries in GROUPS.values() for entry in entries)
LEDGERS = sorted(
    model._meta.model_name or ""
    for model, page in admin.site._registry.items()
    if isinstance(page, LedgerAdmin)
)
EDITED = (
    "account",
    "budget",
    "calendaroverride",
    "instrument",
    "jobdefinition",
    "providersymbol",
    "retryclass",
    "schedule",
    "watchlist",
)
# One of them asks whether calendars have changed.
MOST_QUERIES = 15
MOST_QUERIES_ON_JOB_PAGE = 28


def list_url(model: str) -> str:
    return reverse(f"admin:{model.replace('.', '_')}_changelist")


def test_every_table_has_an_entry_in_the_sidebar() -> None:
    """A table that is added without a page fails here."""
    shown = {name.removeprefix("ingestion.") for name in LISTS if name.startswith("ingestion.")}
    assert shown == set(TABLES)


def test_the_ledgers_are_those_that_nobody_edits() -> None:
    """What happened is shown and never edited."""
    assert set(LEDGERS) == {
        "attempt",
        "auditevent",
        "corporateactionrecord",
        "coverage",
        "emptyproof",
        "beatlease",
        "executor",
        "fetchrun",
        "filesource",
        "finding",
        "freshness",
        "inspection",
        "missingsession",
        "outboxentry",
        "quarantine",
        "signal",
        "signalmatch",
        "slice",
        "slot",
    }


@pytest.mark.parametrize("model", LISTS)
@pytest.mark.parametrize("person", ["viewer", "operator", "superuser"])
def test_a_list_opens_for_who_may_see_it(
    model: str,
    person: str,
    full: int,
    request: pytest.FixtureRequest,
    django_assert_max_num_queries,
) -> None:
    """Everybody sees the rows of our tables; users and groups are for superusers."""
    client: Client = request.getfixturevalue(person)
    with django_assert_max_num_queries(MOST_QUERIES):
        response = client.get(list_url(model))
    if model.startswith("auth.") and person != "superuser":
        assert response.status_code == 403
        return
    assert response.status_code == 200
    if model.startswith("ingestion."):
        context = response.context
        assert context["rows"] if "rows" in context else context["cl"].result_list


@pytest.mark.parametrize(
    "model",
    sorted(
        m._meta.model_name or "" for m in admin.site._registry if m._meta.app_label == "ingestion"
    ),
)
@pytest.mark.parametrize("person", ["viewer", "operator", "superuser"])
def test_the_page_of_a_row_opens(
    model: str,
    person: str,
    full: int,
    request: pytest.FixtureRequest,
    django_assert_max_num_queries,
) -> None:
    """Everybody may look at a row."""
    client: Client = request.getfixturevalue(person)
    row = apps.get_model("ingestion", model)._default_manager.order_by("-pk").first()
    url = reverse(f"admin:ingestion_{model}_change", args=[row.pk])
    with django_assert_max_num_queries(MOST_QUERIES_ON_JOB_PAGE):
        assert client.get(url).status_code == 200


@pytest.mark.parametrize("model", EDITED)
def test_the_form_for_a_new_row_is_for_operators(
    model: str, operator: Client, viewer: Client
) -> None:
    """A viewer may not add."""
    url = reverse(f"admin:ingestion_{model}_add")
    assert operator.get(url).status_code == 200
    assert viewer.get(url).status_code == 403


@pytest.mark.parametrize("model", [*LEDGERS, "job", "series", "target"])
def test_even_a_superuser_adds_and_deletes_no_facts(
    model: str, full: int, superuser: Client
) -> None:
    """What happened is neither made up nor removed by hand."""
    row = apps.get_model("ingestion", model)._default_manager.first()
    assert superuser.get(reverse(f"admin:ingestion_{model}_add")).status_code == 403
    url = reverse(f"admin:ingestion_{model}_delete", args=[row.pk])
    assert superuser.post(url, {"post": "yes"}).status_code == 403


@pytest.mark.parametrize("model", LEDGERS)
def test_even_a_superuser_changes_no_facts(model: str, full: int, superuser: Client) -> None:
    """A ledger's page takes no form."""
    row = apps.get_model("ingestion", model)._default_manager.first()
    url = reverse(f"admin:ingestion_{model}_change", args=[row.pk])
    assert superuser.post(url, {}).status_code == 403


def test_the_first_page_shows_what_goes_on(
    full: int, viewer: Client, settings, django_assert_max_num_queries
) -> None:
    """It names the open jobs and links every table."""
    settings.UNFOLD = {
        **settings.UNFOLD,
        "SIDEBAR": {"navigation": "ingestion.admin.navigation.sidebar"},
        "DASHBOARD_CALLBACK": "ingestion.admin.navigation.home",
    }
    viewer.get(reverse("admin:index"))
    with django_assert_max_num_queries(MOST_QUERIES):
        response = viewer.get(reverse("admin:index"))
    page = response.content.decode()
    assert f"job {full}" in page
    for model in TABLES:
        assert f'href="{list_url(f"ingestion.{model}")}"' in page


@pytest.mark.parametrize(
    ("model", "query"),
    [
        ("slice", "job={job}&state__exact=dead&error=TransientError"),
        ("attempt", "job={job}"),
        ("auditevent", "q=job {job}"),
        ("auditevent", "type=job&object={job}"),
        ("job", "q={job}"),
        ("job", "q=sym000"),
        ("job", "account__provider=synthetic"),
        ("coverage", "q=SYM000"),
    ],
)
def test_a_filter_finds_its_rows(model: str, query: str, full: int, viewer: Client) -> None:
    """Filters and searches lead to the rows they name."""
    response = viewer.get(f"{list_url(f'ingestion.{model}')}?{query.format(job=full)}")
    assert response.status_code == 200
    assert response.context["cl"].result_count > 0


def test_a_filter_that_makes_no_sense_shows_the_whole_list(full: int, viewer: Client) -> None:
    """Text where a number belongs sends the person back, with no error page."""
    response = viewer.get(f"{list_url('ingestion.slice')}?job=abc", follow=True)
    assert response.status_code == 200


def test_beats_actions_are_for_those_who_may_change_tasks(viewer: Client, operator: Client) -> None:
    """The package itself lets everybody who looks enable, disable and run tasks."""
    url = list_url("django_celery_beat.periodictask")
    assert not viewer.get(url).context["cl"].model_admin.get_actions(viewer.get(url).wsgi_request)
    asked = operator.get(url).wsgi_request
    assert "disable_tasks" in operator.get(url).context["cl"].model_admin.get_actions(asked)
