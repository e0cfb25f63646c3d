"""How this process reaches a target: addresses and secrets from the settings."""

from __future__ import annotations

from django.conf import settings

from ingestion.store.targets import TargetRow
from ingestion.targets.base import Sink, Surroundings
from ingestion.targets.registry import sink_class


def open_sink(target: TargetRow) -> Sink:
    """Return what delivers to a target; raises DeliveryFailed where something is not set."""
    return sink_class(target.kind)(
        Surroundings(
            name=target.name,
            config=target.config,
            address=settings.TARGET_URLS.get(target.name, ""),
            secret=settings.TARGET_SECRETS.get(target.name, ""),
            broker=settings.BROKER_URL,
        )
    )
