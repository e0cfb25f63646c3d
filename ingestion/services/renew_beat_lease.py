"""Say which beat leads."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.db import transaction

from ingestion.store import beat_leases

LEASE_SECONDS: Final = 10.0
_NAME: Final = "beat"


def renew_beat_lease(*, holder: UUID, host: str) -> bool:
    """Lead, or go on leading, for the next 10 s; return False while another beat leads."""
    with transaction.atomic():
        return beat_leases.take_or_renew(_NAME, holder=holder, host=host, seconds=LEASE_SECONDS)


def give_back_beat_lease(*, holder: UUID) -> None:
    """Let another beat lead at once."""
    with transaction.atomic():
        beat_leases.give_back(_NAME, holder=holder)
