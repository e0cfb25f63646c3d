"""Forget a declared source; its bars stay, and can be read but not fetched again."""

from __future__ import annotations

import shutil
from pathlib import Path

from django.db import transaction

from ingestion.domain.actor import Actor
from ingestion.domain.errors import BadRequest
from ingestion.services.discover_files import find_declared
from ingestion.store import audit, file_sources


def forget_files(name: str, *, imports: Path, actor: Actor, reason: str = "") -> int:
    """Delete a declaration and return how many series stay stored of it.

    Copies of tables under `imports` go as well; files of others are never touched. Raises
    BadRequest for a name nobody declared and while a job of it is open.
    """
    source = find_declared(name)
    with transaction.atomic():
        series = file_sources.count_series(source.name)
        if file_sources.has_open_jobs(source.name):
            raise BadRequest(
                f"a job of {source.provider} is open; wait for it, or cancel it first", field="name"
            )
        file_sources.delete_source(source.name)
        audit.record(
            actor=actor,
            action="file_source.forget",
            object_type="file_source",
            object_id=source.name,
            before={"path": source.path, "layout": source.layout.to_json()},
            reason=reason,
        )
    copy = imports / source.name
    if Path(source.path) == copy:
        shutil.rmtree(copy, ignore_errors=True)
    return series
