"""Column types that Django lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

if TYPE_CHECKING:
    _Field = models.Field[Any, Any]
else:  # Django's classes are generic for the type checker alone
    _Field = models.Field


class TstzMultirangeField(_Field):
    """Store a set of half-open UTC windows as PostgreSQL `tstzmultirange`.

    Read as psycopg's `Multirange[datetime]`; written by SQL in ingestion.store alone.
    """

    description = "set of time windows"

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        """Name the column type."""
        return "tstzmultirange"


class TstzArrayField(_Field):
    """Store an ordered list of instants as `timestamptz[]`, oldest first."""

    description = "list of instants"

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        """Name the column type."""
        return "timestamptz[]"
