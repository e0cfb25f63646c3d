"""Bridge from the domain's enumerations to choices and CHECK constraints."""

from __future__ import annotations

from enum import StrEnum

from django.db import models


def choices(kind: type[StrEnum]) -> list[tuple[str, str]]:
    """List an enumeration for a form: stored value, then words."""
    return [(member.value, member.value.replace("_", " ")) for member in kind]


def one_of(column: str, kind: type[StrEnum], *, name: str) -> models.CheckConstraint:
    """Keep a column inside its enumeration, in the database."""
    return models.CheckConstraint(
        condition=models.Q(**{f"{column}__in": [member.value for member in kind]}), name=name
    )
