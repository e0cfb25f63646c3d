"""Tables with keys of several columns are paged by key: nothing is skipped or shown twice."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from ingestion.admin.keyset import ROWS, read_page
from ingestion.models import Bar, Checkpoint
from tests.admin.seeds import log_in, make_job

pytestmark = pytest.mark.django_db

BARS = 2 * ROWS + 17


@pytest.fixture
def bars(db: None) -> None:
    """Store two pages and a bit: several series, several years."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO bar (ts, known_from, attempt_id, open, high, low, close, series_id,"
            " sequence, final) SELECT '1989-06-01Z'::timestamptz + n * interval '61 days', now(),"
            " 1, 1, 1, 1, 1, 1 + n %% 3, 0, true FROM generate_series(1, %s) n",
            [BARS],
        )


def key(bar: Bar) -> tuple[object, ...]:
    return (bar.series_id, bar.ts, bar.sequence)


def test_forward_pages_hold_every_row_once_newest_key_first(bars: None) -> None:
    """Walking to the end gives the whole table in order."""
    seen, after = [], None
    while True:
        page = read_page(Bar.objects.all(), after=after, before=None)
        seen += [key(row) for row in page.rows]
        after = page.older
        if after is None:
            break
    assert seen == sorted(seen, reverse=True)
    assert len(set(seen)) == BARS


def test_going_back_shows_the_same_pages(bars: None) -> None:
    """The page before the second is the first."""
    first = read_page(Bar.objects.all(), after=None, before=None)
    second = read_page(Bar.objects.all(), after=first.older, before=None)
    again = read_page(Bar.objects.all(), after=None, before=second.newer)
    assert [key(row) for row in again.rows] == [key(row) for row in first.rows]
    assert again.newer is None
    assert again.older == first.older


def test_the_last_page_leads_nowhere_further(bars: None) -> None:
    """The end is known without a count."""
    page = read_page(Bar.objects.filter(series_id=1), after=None, before=None)
    assert page.older is None
    assert page.newer is None


def test_a_page_costs_as_much_as_the_first_however_deep(bars: None) -> None:
    """The key is compared as a row, so the primary key's index leads to it."""
    deep = Bar.objects.filter(pk__lt=(2, "2001-01-01T00:00Z", 0)).order_by(
        "-series_id", "-ts", "-sequence"
    )[:ROWS]
    plan = deep.explain()
    assert "Index Cond: (ROW(series_id, ts, sequence) < ROW(2," in plan


def test_pages_keep_the_filter(bars: None, viewer: Client) -> None:
    """The next page is about the same series."""
    url = reverse("admin:ingestion_bar_changelist")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE bar SET series_id = 7")
    response = viewer.get(url, {"series": "7"})
    assert len(response.context["rows"]) == ROWS
    assert "series=7" in response.context["older_url"]
    following = viewer.get(url + response.context["older_url"])
    assert following.context["rows"][0] != response.context["rows"][0]


def test_dates_include_their_last_day(bars: None, viewer: Client) -> None:
    """From and until are both inside."""
    url = reverse("admin:ingestion_bar_changelist")
    day = Bar.objects.order_by("ts").first().ts.date().isoformat()
    response = viewer.get(url, {"start": day, "end": day})
    assert len(response.context["rows"]) == 1


def test_an_unknown_symbol_is_said_at_its_field(viewer: Client) -> None:
    """No rows are shown and the person learns why."""
    response = viewer.get(reverse("admin:ingestion_bar_changelist"), {"symbol": "NOPE"})
    assert response.status_code == 200
    assert "No series is stored of NOPE" in response.content.decode()


@pytest.mark.parametrize("bad", ["x", "1~2", "a~b~c", "1~2001-99-99~0"])
def test_a_broken_address_is_a_bad_request(bad: str, viewer: Client) -> None:
    """An address that names no key is answered as such."""
    url = reverse("admin:ingestion_bar_changelist")
    assert viewer.get(url, {"after": bad}).status_code == 400


def test_a_relation_in_the_key_is_paged_by_its_number(roles: None) -> None:
    """Jobs sort newest first by themselves; the checkpoints' pages follow the key alone."""
    first, second = make_job(prefix="A"), make_job(prefix="B")
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO checkpoint (job_id, series_id, frontier, sequence, updated_at)"
            " SELECT j.id, s.id, now(), 0, now() FROM job j CROSS JOIN series s"
        )
    rows = read_page(Checkpoint.objects.all(), after=None, before=None).rows
    keys = [(row.job_id, row.series_id) for row in rows]
    assert keys == sorted(keys, reverse=True)
    assert {job_id for job_id, _ in keys} == {first, second}


def test_only_those_who_may_view_the_table_see_it(db: None) -> None:
    """A login of the staff alone is not enough."""
    assert log_in("nobody").get(reverse("admin:ingestion_bar_changelist")).status_code == 403
