"""Import this before anything of `ingestion`: its models load only once Django is set up."""

from __future__ import annotations

import django

django.setup()
