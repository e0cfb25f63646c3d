"""Lists say how many rows there are without counting large tables."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from ingestion.admin.pagination import COUNTED_ROWS, REACHABLE_ROWS, EstimatedPaginator
from ingestion.models import AuditEvent

pytestmark = pytest.mark.django_db

MANY = COUNTED_ROWS + 500


def add_events(count: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO audit_event (at, actor, source, action, object_type, object_id, reason)"
            " SELECT now(), 'a', 'cli', 'job.open', 'job', n::text, ''"
            " FROM generate_series(1, %s) n",
            [count],
        )


def pretend_statistics(rows: int) -> None:
    """Set what ANALYZE would: its own writes outlive the test's transaction."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE pg_class SET reltuples = %s WHERE relname = 'audit_event'", [rows])


def paginator(**filters: str) -> EstimatedPaginator:
    return EstimatedPaginator(AuditEvent.objects.filter(**filters).order_by("-id"), 50)


def test_a_small_table_is_counted() -> None:
    """Its number is exact."""
    add_events(120)
    pretend_statistics(120)
    assert paginator().words == "120"
    assert paginator().num_pages == 3


def test_a_large_table_is_estimated_from_statistics() -> None:
    """What ANALYZE last saw is what is said."""
    add_events(MANY)
    pretend_statistics(MANY)
    assert paginator().words == f"about {MANY:,}"


def test_a_large_table_without_statistics_is_counted_up_to_a_bound() -> None:
    """Before the first ANALYZE the count stops where it gets dear."""
    add_events(MANY)
    pretend_statistics(-1)
    assert paginator().words == f"more than {COUNTED_ROWS:,}"


def test_a_filtered_list_is_counted_up_to_the_bound() -> None:
    """Statistics know nothing of a filter."""
    add_events(MANY)
    assert paginator(object_id="7").words == "1"
    assert paginator(actor="a").words == f"more than {COUNTED_ROWS:,}"


def test_pages_beyond_reach_are_not_offered() -> None:
    """An OFFSET of millions would read millions."""
    add_events(MANY)
    pretend_statistics(500_000_000)
    assert paginator().num_pages == REACHABLE_ROWS // 50
    assert paginator().page(REACHABLE_ROWS // 50).object_list.count() == 0


def test_the_page_says_it_is_an_estimate(viewer: Client) -> None:
    """The words stand below the list."""
    add_events(MANY)
    pretend_statistics(MANY)
    page = viewer.get(reverse("admin:ingestion_auditevent_changelist")).content.decode()
    assert f"about {MANY:,}" in page
