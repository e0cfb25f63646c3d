"""Import this before anything of `ingestion`: its models load only once Django knows the app.

Commands need that one app; the admin's pages and Celery's tables would treble their start.
"""

from __future__ import annotations

import logging.config

from django.apps import apps
from django.conf import settings

if not apps.ready:
    logging.config.dictConfig(settings.LOGGING)
    apps.populate(["ingestion"])
