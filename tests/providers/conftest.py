"""Where real recorded material lies, if it is at hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def recorded() -> Path:
    """Return the folder of recorded material, or skip the test."""
    place = os.environ.get("MDC_RECORDED_DIR", "")
    if not place:
        pytest.skip("MDC_RECORDED_DIR is not set: no recorded material to test against")
    return Path(place)
