"""Find a retry class by name: the user's own first, then the built-in ones."""

from __future__ import annotations

from datetime import timedelta

from ingestion.domain.retry import RETRY_CLASSES, Jitter, retry_class_named
from ingestion.domain.retry import RetryClass as RetryRule
from ingestion.models import RetryClass
from providers.errors import ErrorFamily


def load_retry_class(name: str) -> RetryRule:
    """Return the rule of that name; raises UnknownRetryClass."""
    row = RetryClass.objects.filter(name=name).first()
    if row is None:
        return retry_class_named(name)
    families = frozenset(ErrorFamily(family) for family in row.error_families)
    rule = RetryRule(
        name=row.name,
        base=timedelta(seconds=row.base_seconds),
        cap=timedelta(seconds=row.cap_seconds),
        tries=row.tries,
        factor=row.factor,
        jitter=Jitter.FULL if row.jitter else Jitter.NONE,
    )
    if not families:
        return rule
    return RetryRule(
        name=rule.name,
        base=rule.base,
        cap=rule.cap,
        tries=rule.tries,
        factor=rule.factor,
        jitter=rule.jitter,
        families=families,
    )


def tries_by_class() -> dict[str, int]:
    """Return how many tries each class allows; the user's own replace built-in ones."""
    own = dict(RetryClass.objects.values_list("name", "tries"))
    return {name: rule.tries for name, rule in RETRY_CLASSES.items()} | own


def is_user_defined(name: str) -> bool:
    """Tell whether the user has defined a retry class of that name."""
    return RetryClass.objects.filter(name=name).exists()
