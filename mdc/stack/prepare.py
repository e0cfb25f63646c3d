"""Bring a database up to date: `python -m mdc.stack.prepare`, in a process of its own."""

from __future__ import annotations

import sys

import orjson
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection

import mdc.all_apps_ready  # noqa: F401

# isort: split
from ingestion.services.ensure_periodic_tasks import ensure_periodic_tasks
from ingestion.services.ensure_roles import ensure_roles
from mdc.stack.addresses import Home
from mdc.stack.logins import ADMIN_NAME, ensure_logins

# Any number will do, as long as every mdc uses the same: two stacks may share one database.
_PREPARE_LOCK = 7_300_001


def prepare(home: Home) -> dict[str, object]:
    """Migrate, enter tasks and roles, make the first login; return what became of it.

    `admin_password_valid` tells whether the home's random password still opens the admin.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [_PREPARE_LOCK])
    call_command("migrate", interactive=False, verbosity=0)
    ensure_periodic_tasks()
    ensure_roles()
    valid = _ensure_admin(settings.ADMIN_PASSWORD or ensure_logins(home).admin_password)
    connection.close()
    return {"admin_password_valid": valid}


def _ensure_admin(password: str) -> bool:
    users = get_user_model()
    if not users.objects.filter(is_superuser=True).exists():
        users.objects.create_superuser(ADMIN_NAME, password=password)
        return True
    admin = users.objects.filter(username=ADMIN_NAME, is_superuser=True).first()
    return bool(admin and admin.check_password(password))


def main() -> None:
    """Prepare the database of the settings and print the outcome as JSON."""
    sys.stdout.buffer.write(orjson.dumps(prepare(settings.MDC_HOME)))


if __name__ == "__main__":
    main()
