"""What a finish stores reaches the targets."""

from __future__ import annotations

import pytest

from tests.protocol.scene import Worker, open_running
from tests.targets.receiving import Consumer, declare, drain, stored

pytestmark = pytest.mark.django_db


def test_a_finish_notes_what_it_stored() -> None:
    """A whole job through the real finish reaches the target, bar for bar."""
    target = declare()
    job = open_running("AAA")
    Worker.of(job).work_off()
    consumer = Consumer()
    drain(target, consumer)
    assert consumer.latest == stored()
    assert len(consumer.latest) > 50
