"""Import this before anything of `ingestion`: its models load only once Django knows the app.

Commands need that one app; the admin's pages and Celery's tables would treble their start.
"""

from __future__ import annotations

import logging.config
from importlib import import_module
from typing import Final

from django.apps import apps
from django.conf import settings

from providers.declared import ask_first

# Loaded when a session is first asked for: most commands ask for none.
_CALENDARS: Final = "ingestion.services.refresh_calendars"

if not apps.ready:
    logging.config.dictConfig(settings.LOGGING)
    apps.populate(["ingestion"])
    ask_first(lambda: import_module(_CALENDARS).refresh_calendars())
