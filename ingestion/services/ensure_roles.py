"""Make the two groups that people are put into: those who look and those who act."""

from __future__ import annotations

from django.contrib.auth.models import Group, Permission
from django.db import transaction
from django.db.models import Q

VIEWER = "viewer"
OPERATOR = "operator"

_APPS = ("ingestion", "django_celery_beat")
# What is edited by hand. Acting on jobs (start, pause, ...) and on findings (repair, accept) asks
# for the right to change them.
_ADDED = (
    "account",
    "budget",
    "calendaroverride",
    "instrument",
    "jobdefinition",
    "providersymbol",
    "retryclass",
    "schedule",
    "watchlist",
)
_CHANGED = (*_ADDED, "finding", "job", "series", "target")
_BEAT_EDITED = (
    "clockedschedule",
    "crontabschedule",
    "intervalschedule",
    "periodictask",
    "solarschedule",
)


def ensure_roles() -> None:
    """Give both groups at least their permissions; what a superuser added to them stays.

    Both may view every table. Operators also add and change what is edited by hand, and act on
    jobs; deleting is left to superusers. Runs after every migration, as often as one likes.
    """
    seen = Q(content_type__app_label__in=_APPS, codename__startswith="view_")
    acted = Q(
        content_type__app_label="ingestion",
        codename__in=[f"add_{name}" for name in _ADDED] + [f"change_{name}" for name in _CHANGED],
    ) | Q(
        content_type__app_label="django_celery_beat",
        codename__in=[f"{act}_{name}" for act in ("add", "change") for name in _BEAT_EDITED],
    )
    with transaction.atomic():
        for name, allowed in ((VIEWER, seen), (OPERATOR, seen | acted)):
            group, _ = Group.objects.get_or_create(name=name)
            group.permissions.add(*Permission.objects.filter(allowed))
