"""Commands that only list start quickly: what is heavy stays unloaded."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.cli.conftest import command_environment

_HEAVY = (
    "django.contrib.admin unfold celery kombu django_celery_beat pandas pyarrow"
    " exchange_calendars requests"
)
_SCRIPT = """
import sys
from mdc.cli.main import main
sys.argv = ["mdc", *sys.argv[2:]]
heavy = set({heavy!r}.split())
try:
    main()
finally:
    loaded = heavy & set(sys.modules)
    assert not loaded, f"loaded: {{sorted(loaded)}}"
"""


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize(
    ("words", "besides"),
    [
        (("--help",), "django numpy rich"),
        (("job", "--help"), "django numpy rich"),
        (("job", "list"), "numpy"),
        (("watchlist", "list"), "numpy"),
        (("state", "show"), ""),
    ],
)
def test_listings_load_nothing_heavy(words: tuple[str, ...], besides: str) -> None:
    """No library that costs a tenth of a second and more is imported for a listing."""
    ended = subprocess.run(
        [sys.executable, "-c", _SCRIPT.format(heavy=f"{_HEAVY} {besides}"), "mdc", *words],
        env=command_environment() | {"DJANGO_SETTINGS_MODULE": "mdc.settings"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
