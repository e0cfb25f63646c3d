"""The `mdc` command as a program: quick to answer, one clear sentence instead of a traceback."""

from __future__ import annotations

import os
import subprocess
import sys

from mdc.cli.main import COMMANDS
from mdc.stack.addresses import Home
from mdc.stack.processes import PROJECT
from tests.stack.command import mdc


def test_help_lists_every_command_and_loads_none() -> None:
    """Help must answer at once: Django, Celery and numpy stay out."""
    program = (
        "import sys; from mdc.cli.main import cli; cli(['--help'], standalone_mode=False);"
        "print(sorted({'django', 'celery', 'numpy', 'psycopg'} & set(sys.modules)))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True
    ).stdout
    assert [name for name in COMMANDS if f"  {name} " not in answer] == []
    assert answer.splitlines()[-1] == "[]"


def test_every_command_explains_itself() -> None:
    """Each entry of the table leads to a command with a help text."""
    program = (
        "from mdc.cli.main import COMMANDS, cli\n"
        "for name in COMMANDS: cli([name, '--help'], 'mdc', standalone_mode=False)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program],
        cwd=PROJECT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "mdc.settings"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert [name for name in COMMANDS if f"Usage: mdc {name} [OPTIONS]" not in answer.stdout] == []


def test_an_unknown_command_is_wrong_usage() -> None:
    """Exit code 2, as for every wrong usage."""
    assert mdc("flibber").returncode == 2


def test_status_and_down_without_a_stack_say_how_to_start_one(home: Home) -> None:
    """Exit code 1 and one sentence."""
    for command in ("status", "down"):
        answer = mdc(command, MDC_HOME=str(home.root))
        assert answer.returncode == 1
        assert answer.stderr.startswith(f"mdc: No stack runs at {home.root}")
        assert "mdc up" in answer.stderr


def test_doctor_names_a_database_that_does_not_answer(home: Home) -> None:
    """Exit code 1, the variable to correct, and not the password."""
    answer = mdc(
        "doctor",
        "--json",
        MDC_HOME=str(home.root),
        MDC_DATABASE_URL="postgresql://me:hunter2@127.0.0.1:9/prices",
        MDC_BROKER_URL="redis://:hunter2@127.0.0.1:9/0",
    )
    assert answer.returncode == 1
    assert "MDC_DATABASE_URL" in answer.stdout
    assert "MDC_BROKER_URL" in answer.stdout
    assert "hunter2" not in answer.stdout + answer.stderr


def test_an_odd_setting_is_one_sentence() -> None:
    """The variable is named; there is no traceback."""
    answer = mdc("status", MDC_FETCH_PROCESSES="many")
    assert answer.returncode == 1
    assert answer.stderr.startswith("mdc: The environment variable MDC_FETCH_PROCESSES must be")
