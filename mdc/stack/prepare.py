"""Bring a database up to date: `python -m mdc.stack.prepare`, in a process of its own."""

from __future__ import annotations

import sys

import django
import orjson
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection

from mdc.stack.addresses import Home
from mdc.stack.logins import ADMIN_NAME, ensure_logins

# Any number will do, as long as every mdc uses the same: two stacks may share one database.
_PREPARE_LOCK = 7_300_001


def prepare(home: Home) -> dict[str, object]:
    """Migrate, enter the periodic tasks and make the first login; return what became of it.

    `admin_password_valid` tells whether the home's random password still opens the admin.
    """
    logins = ensure_logins(home)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [_PREPARE_LOCK])
    call_command("migrate", interactive=False, verbosity=0)
    users = get_user_model()
    if not users.objects.filter(is_superuser=True).exists():
        users.objects.create_superuser(ADMIN_NAME, password=logins.admin_password)
    admin = users.objects.filter(username=ADMIN_NAME, is_superuser=True).first()
    connection.close()
    return {
        "admin_password_valid": bool(admin and admin.check_password(logins.admin_password)),
    }


def main() -> None:
    """Prepare the database of the settings and print the outcome as JSON."""
    django.setup()
    sys.stdout.buffer.write(orjson.dumps(prepare(settings.MDC_HOME)))


if __name__ == "__main__":
    main()
