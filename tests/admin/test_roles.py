"""Two groups stand ready beside the superuser: those who look and those who act."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, Permission

from ingestion.services.ensure_roles import OPERATOR, VIEWER, ensure_roles

pytestmark = pytest.mark.django_db


def allowed(name: str) -> set[str]:
    permissions = Group.objects.get(name=name).permissions.select_related("content_type")
    return {f"{one.content_type.app_label}.{one.codename}" for one in permissions}


def test_a_viewer_views_every_table_and_nothing_more() -> None:
    """No permission of the group changes anything."""
    ensure_roles()
    views = Permission.objects.filter(
        content_type__app_label="ingestion", codename__startswith="view_"
    )
    assert {f"ingestion.{one.codename}" for one in views} <= allowed(VIEWER)
    assert all(name.split(".")[1].startswith("view_") for name in allowed(VIEWER))


def test_an_operator_acts_on_jobs_but_deletes_nothing() -> None:
    """Deleting, and people's accounts, are left to superusers."""
    ensure_roles()
    may = allowed(OPERATOR)
    assert allowed(VIEWER) < may
    assert {"ingestion.change_job", "ingestion.add_jobdefinition"} <= may
    assert not [name for name in may if ".delete_" in name or name.startswith("auth.")]


def test_it_can_run_again_and_keeps_what_was_added() -> None:
    """A superuser's own additions survive the next start."""
    ensure_roles()
    extra = Permission.objects.get(codename="delete_retryclass")
    Group.objects.get(name=OPERATOR).permissions.add(extra)
    before = allowed(OPERATOR)
    ensure_roles()
    assert allowed(OPERATOR) == before
    assert Group.objects.filter(name__in=[VIEWER, OPERATOR]).count() == 2
