"""What the shells ask the broker before they send a hint."""

from __future__ import annotations

from celery import current_app


def queue_depth(name: str) -> int:
    """Count the messages in a queue by a passive declare, which every transport answers."""
    with current_app.connection_for_read() as connection:
        try:
            return int(
                connection.default_channel.queue_declare(queue=name, passive=True).message_count
            )
        except connection.channel_errors:
            return 0  # nobody has declared the queue yet, so it holds nothing


def queue_has_room(name: str, *, most: int) -> bool:
    """Tell whether further hints are worth sending: what waits already will do the work."""
    return queue_depth(name) < most
