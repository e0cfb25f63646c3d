"""Keep the declarations of file sources, one row each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models.functions import Now

from ingestion.models import FileSource, Job, Series
from providers.files.declared import DeclaredSource
from providers.files.layout import layout_from_json
from providers.registry import FILES


@dataclass(frozen=True, slots=True)
class StoredSource:
    """Hold a declaration, and how many series are stored of it."""

    source: DeclaredSource
    declared_at: datetime
    series: int


def find_source(name: str) -> DeclaredSource | None:
    """Return a declaration, or None where there is none of this name."""
    row = FileSource.objects.filter(name=name).first()
    return None if row is None else _declared(row)


def source_names() -> list[str]:
    """Return the names of all declarations, sorted."""
    return list(FileSource.objects.order_by("name").values_list("name", flat=True))


def removed_sources(providers: Iterable[str]) -> set[str]:
    """Return those of some providers' names that were sources and are declared no more."""
    asked = {one for one in providers if one.startswith(FILES)}
    return asked - {FILES + name for name in source_names()} if asked else set()


def list_sources() -> list[StoredSource]:
    """Return all declarations by name."""
    counts: dict[str, int] = {}
    for provider in Series.objects.filter(provider__startswith=FILES).values_list(
        "provider", flat=True
    ):
        counts[provider] = counts.get(provider, 0) + 1
    return [
        StoredSource(_declared(row), row.declared_at, counts.get(FILES + row.name, 0))
        for row in FileSource.objects.order_by("name")
    ]


def count_series(name: str) -> int:
    """Count the stored series of a source."""
    return Series.objects.filter(provider=FILES + name).count()


def has_open_jobs(name: str) -> bool:
    """Tell whether a job that has not ended works on a source."""
    return Job.objects.filter(account__provider=FILES + name, ended_at__isnull=True).exists()


def save_source(source: DeclaredSource) -> dict[str, Any] | None:
    """Write a declaration, in the caller's transaction; return the one it replaces, if any."""
    row = FileSource.objects.select_for_update().filter(name=source.name).first()
    fields = {"path": source.path, "layout": source.layout.to_json()}
    if row is None:
        FileSource.objects.create(name=source.name, **fields)
        return None
    before = {"path": row.path, "layout": row.layout}
    if before != fields:
        FileSource.objects.filter(name=source.name).update(**fields, declared_at=Now())
    return before


def delete_source(name: str) -> bool:
    """Forget a declaration, in the caller's transaction; its bars stay."""
    deleted, _ = FileSource.objects.filter(name=name).delete()
    return bool(deleted)


def _declared(row: FileSource) -> DeclaredSource:
    return DeclaredSource(row.name, row.path, layout_from_json(row.layout))
