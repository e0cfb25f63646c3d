"""Declare a source of files: check its layout and keep it, so that workers can read it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import transaction

from ingestion.calendars import sessions_for
from ingestion.domain.actor import Actor
from ingestion.domain.errors import BadRequest
from ingestion.store import audit, file_sources
from providers.files.declared import DeclaredSource
from providers.files.errors import BadLayout
from providers.files.layout import SIDECAR, Layout, parse_layout
from providers.files.listing import list_files, sidecar_of

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,25}")


@dataclass(frozen=True, slots=True)
class Declared:
    """Hold a declared source; `changed` says whether it was declared otherwise before."""

    source: DeclaredSource
    existed: bool
    changed: bool


def declare_files(
    name: str, path: str, layout: Mapping[str, Any] | None = None, *, actor: Actor
) -> Declared:
    """Declare `files:NAME`, or change its declaration.

    `path` is a folder, a file or a glob. The settings of a sidecar in the folder count where
    `layout` says nothing; both are resolved now, and workers never read the sidecar. Raises
    BadRequest and UnknownVenue.
    """
    source = resolve_source(name, path, layout or {})
    with transaction.atomic():
        before = file_sources.save_source(source)
        after = {"path": source.path, "layout": source.layout.to_json()}
        if before != after:
            audit.record(
                actor=actor,
                action="file_source.declare" if before is None else "file_source.redeclare",
                object_type="file_source",
                object_id=name,
                before=before,
                after=after,
            )
    return Declared(source, existed=before is not None, changed=before not in (None, after))


def resolve_source(name: str, path: str, layout: Mapping[str, Any]) -> DeclaredSource:
    """Check a declaration and resolve it, without keeping it; raises what declaring raises."""
    if not _NAME.fullmatch(name):
        raise BadRequest(
            f"{name!r} is no name for a source: use up to 26 of a-z, 0-9, - and _", field="name"
        )
    whole = str(Path(path).expanduser().absolute())
    source = DeclaredSource(name, whole, _read_layout(whole, layout))
    _check(source)
    return source


def _read_layout(path: str, given: Mapping[str, Any]) -> Layout:
    """Join what is given with the sidecar, which it outweighs; raises BadRequest."""
    sidecar = sidecar_of(path)
    settings = _read_sidecar(sidecar) if sidecar else {}
    columns = {**_columns(settings), **_columns(given)}
    merged = {**settings, **given}
    if columns:
        merged["columns"] = columns
    try:
        return parse_layout(merged)
    except BadLayout as error:
        where = f"{sidecar}: " if sidecar else ""
        raise BadRequest(f"{where}{error}", field="layout") from None


def _columns(settings: Mapping[str, Any]) -> dict[str, Any]:
    columns = settings.get("columns", {})
    if isinstance(columns, list):
        return {role: str(at) for at, role in enumerate(columns, start=1) if role not in ("", "_")}
    return dict(columns) if isinstance(columns, Mapping) else {}


def _read_sidecar(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"{path} is no TOML: {error}", field="layout") from None
    except OSError as error:
        raise BadRequest(f"{path} cannot be read: {error.strerror}", field="layout") from None


def _check(source: DeclaredSource) -> None:
    for form in source.layout.formats():
        if form.venue:
            sessions_for(form.venue)
    try:
        listing = list_files(source.path, source.layout)
    except BadLayout as error:
        raise BadRequest(str(error), field="path") from None
    if not listing.files and not listing.odd:
        raise BadRequest(
            f"{source.path} holds no CSV or Parquet file; check the path, or say which files are"
            f" meant with paths = [...] in {SIDECAR}",
            field="path",
        )
