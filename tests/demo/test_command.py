"""`mdc demo` as a program: interrupted, and beside another one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from mdc.demo.home import demo_home
from mdc.stack.addresses import Home
from mdc.stack.files import make_private_folder
from mdc.stack.lock import HomeLock
from mdc.stack.processes import PROJECT
from tests.stack.waiting import gone


@contextmanager
def running_demo(home: Home) -> Iterator[subprocess.Popen[str]]:
    """Start a demo; it is killed if the test leaves it running."""
    demo = subprocess.Popen(
        [sys.executable, "-m", "mdc", "demo"],
        cwd=PROJECT,
        env={**os.environ, "MDC_HOME": str(home.root)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with demo:
        try:
            yield demo
        finally:
            demo.kill()


def read_until(demo: subprocess.Popen[str], word: str) -> str:
    """Read what it says up to the line that holds a word."""
    assert demo.stdout is not None
    said = ""
    for line in demo.stdout:
        said += line
        if word in line:
            return said
    raise AssertionError(f"{word!r} was never said: {said}")


@pytest.mark.parametrize(
    ("word", "number"),
    [("emptied first", signal.SIGINT), ("1. A backfill", signal.SIGTERM)],
)
def test_a_signal_leaves_no_process_behind(home: Home, word: str, number: signal.Signals) -> None:
    """While the stack starts and while a job runs: exit code 130, and everything is gone."""
    with running_demo(home) as demo:
        read_until(demo, word)
        family = psutil.Process(demo.pid).children(recursive=True)
        demo.send_signal(number)
        rest, _ = demo.communicate(timeout=60)
        assert rest.rstrip().endswith("Stopped. Nothing is left running.")
        assert demo.returncode == 130
    assert [process for process in family if not gone(process.pid)] == []
    assert not any(str(home.root) in " ".join(one) for one in command_lines())


def command_lines() -> Iterator[list[str]]:
    """Yield the command line of every process; those that end meanwhile have none."""
    for process in psutil.process_iter(["cmdline"]):
        yield process.info["cmdline"] or []


def test_a_second_demo_says_that_one_runs(home: Home) -> None:
    """It must not empty the folder of a running one."""
    folder = demo_home(home)
    make_private_folder(folder.root)
    lock = HomeLock(folder)
    lock.take()
    try:
        with running_demo(home) as demo:
            said, _ = demo.communicate(timeout=60)
    finally:
        lock.release()
    assert demo.returncode == 1
    assert said.startswith(f"mdc: a stack runs already at {folder.root}")
    assert "Traceback" not in said
