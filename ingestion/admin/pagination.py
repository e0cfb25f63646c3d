"""Count without counting: lists of a million rows must open as fast as lists of ten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.paginator import Paginator
from django.db import connections
from django.utils.functional import cached_property

if TYPE_CHECKING:
    _Paginator = Paginator[Any]
else:  # Django's classes are generic for the type checker alone
    _Paginator = Paginator

# Beyond this many rows a number is an estimate, or only known to be larger.
COUNTED_ROWS = 10_000
# An OFFSET reads all that it skips: deeper pages are reached by narrowing the list.
REACHABLE_ROWS = 100_000

_WORDS = {"exact": "", "estimate": "about ", "at least": "more than "}

_ESTIMATE = """
SELECT coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint
FROM pg_class c
WHERE c.oid = to_regclass(%s)
"""


class EstimatedPaginator(_Paginator):
    """Know small lists exactly and large ones by the planner's statistics.

    A filtered list is counted up to COUNTED_ROWS.
    """

    template_name = "admin/ingestion/pagination.html"

    @cached_property
    def _known(self) -> tuple[int, str]:
        queryset: Any = self.object_list
        if not queryset.query.where:
            estimate = self._estimate(queryset)
            if estimate > COUNTED_ROWS:
                return estimate, "estimate"
        found = queryset.order_by()[: COUNTED_ROWS + 1].count()
        return (found, "exact") if found <= COUNTED_ROWS else (COUNTED_ROWS, "at least")

    def _estimate(self, queryset: Any) -> int:
        table = connections[queryset.db].ops.quote_name(queryset.model._meta.db_table)
        with connections[queryset.db].cursor() as cursor:
            cursor.execute(_ESTIMATE, [table])
            (rows,) = cursor.fetchone()
        return int(rows)

    @property
    def count(self) -> int:
        """Return how many rows there are, as well as it is known."""
        return self._known[0]

    @property
    def words(self) -> str:
        """Say how many rows there are, and how well that is known."""
        count, kind = self._known
        return f"{_WORDS[kind]}{count:,}"

    @property
    def num_pages(self) -> int:
        """Return how many pages can be reached."""
        reachable = min(self.count, REACHABLE_ROWS)
        return max(1, -(-reachable // self.per_page))
