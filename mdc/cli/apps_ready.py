"""Import this before anything of `ingestion`: its models load only once Django knows the app.

Commands need that one app; the admin's pages and Celery's tables would treble their start.
"""

from __future__ import annotations

from django.apps import apps
from django.conf import settings
from django.utils.log import configure_logging

if not apps.ready:
    configure_logging(settings.LOGGING_CONFIG, settings.LOGGING)
    apps.populate(["ingestion"])
