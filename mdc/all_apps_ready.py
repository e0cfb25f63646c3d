"""Import this before anything that needs every installed app: roles, periodic tasks, tasks."""

from __future__ import annotations

import django

django.setup()
