"""Let this process talk to the demo's PostgreSQL instead of the user's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections

from mdc.settings import database_settings

_ADDRESS = ("NAME", "USER", "PASSWORD", "HOST", "PORT", "OPTIONS")


@contextmanager
def using_database(url: str) -> Iterator[None]:
    """Point Django's default connection at a libpq address while the context is open."""
    connections.close_all()
    targets = (connections.settings["default"], connections["default"].settings_dict)
    before = [{key: target[key] for key in _ADDRESS} for target in targets]
    fresh = database_settings(url)
    for target in targets:
        target.update({key: fresh[key] for key in _ADDRESS})
    try:
        yield
    finally:
        connections.close_all()
        for target, old in zip(targets, before, strict=True):
            target.update(old)
