"""The supervisor, tried on small programs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from mdc.stack.errors import StartFailed
from mdc.stack.processes import PROJECT
from mdc.stack.supervisor import Phase, ProcessSpec, Supervisor
from tests.stack.waiting import gone, until


def python(program: str) -> tuple[str, ...]:
    """Return the command line of a small Python program."""
    return (sys.executable, "-c", program)


SLEEPER = python("import time; time.sleep(600)")
PARENT = python(
    "import subprocess, sys;subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)'])"
)
SLOW = python(
    "import signal, time;signal.signal(15, lambda *_: time.sleep(0.5) or exit(0));time.sleep(600)"
)


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    """Give a supervisor that leaves nothing behind."""
    running = Supervisor()
    yield running
    running.close()


def spec(
    name: str,
    folder: Path,
    argv: tuple[str, ...] = SLEEPER,
    *,
    needs: tuple[str, ...] = (),
    ready: Callable[[int], bool] = lambda _pid: True,
) -> ProcessSpec:
    """Describe a small process."""
    return ProcessSpec(
        name=name,
        argv=argv,
        log=folder / f"{name}.log",
        ready=ready,
        needs=needs,
        environment=dict(os.environ),
        folder=folder,
    )


def test_a_killed_process_comes_back(supervisor: Supervisor, tmp_path: Path) -> None:
    """A new process takes the place of the dead one, and the restart is counted."""
    supervisor.add([spec("one", tmp_path)])
    supervisor.wait_ready(["one"])
    first = supervisor.pids()["one"]
    os.kill(first, signal.SIGKILL)
    until(lambda: supervisor.pids().get("one", first) != first)
    supervisor.wait_ready(["one"])
    assert [status.restarts for status in supervisor.status()] == [1]


def test_children_of_a_killed_process_do_not_live_on(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    """An orphan would work on beside its successor."""
    supervisor.add([spec("one", tmp_path, PARENT)])
    supervisor.wait_ready(["one"])
    parent = psutil.Process(supervisor.pids()["one"])
    until(lambda: bool(parent.children()))
    child = parent.children()[0]
    parent.kill()
    until(lambda: gone(child.pid))


def test_a_process_waits_for_what_it_needs(supervisor: Supervisor, tmp_path: Path) -> None:
    """It is not started while the other one is not ready."""
    mark = tmp_path / "go"
    supervisor.add(
        [
            spec("second", tmp_path, needs=("first",)),
            spec("first", tmp_path, ready=lambda _pid: mark.exists()),
        ]
    )
    until(lambda: "first" in supervisor.pids())
    assert "second" not in supervisor.pids()
    mark.touch()
    supervisor.wait_ready(["first", "second"])


def test_what_is_needed_stops_last(supervisor: Supervisor, tmp_path: Path) -> None:
    """While a dependent still stops, what it needs goes on."""
    supervisor.add(
        [
            spec("database", tmp_path),
            spec("worker", tmp_path, SLOW, needs=("database",)),
        ]
    )
    supervisor.wait_ready(["database", "worker"])
    pids = supervisor.pids()
    supervisor.stop(["worker"])
    assert gone(pids["worker"])
    assert not gone(pids["database"])
    supervisor.stop()
    assert gone(pids["database"])
    assert {status.phase for status in supervisor.status()} == {Phase.STOPPED}


def test_a_process_that_cannot_start_is_reported_with_its_last_words(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    """Who waits for it learns where to read on."""
    words = python("raise SystemExit('the disk is made of cheese')")
    supervisor.add([spec("broken", tmp_path, words, ready=lambda _pid: False)])
    with pytest.raises(StartFailed) as failure:
        supervisor.wait_ready(["broken"], timeout=30)
    assert "made of cheese" in failure.value.tail
    assert failure.value.log == tmp_path / "broken.log"


def test_a_process_that_ignores_the_signal_is_killed(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    """A second Ctrl-C does not wait for the patience of a process to run out."""
    mark = tmp_path / "deaf"
    deaf = python(
        "import signal, time;"
        "signal.signal(15, signal.SIG_IGN);"
        f"open({str(mark)!r}, 'w');"
        "time.sleep(600)"
    )
    supervisor.add([spec("deaf", tmp_path, deaf, ready=lambda _pid: mark.exists())])
    supervisor.wait_ready(["deaf"])
    pid = supervisor.pids()["deaf"]
    supervisor.hurry()
    supervisor.stop()
    assert gone(pid)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has death signals")
def test_nothing_survives_a_killed_supervisor(tmp_path: Path) -> None:
    """The kernel ends the children of a supervisor that was killed with -9."""
    program = (
        "import sys, time; from pathlib import Path; "
        "from tests.stack.test_supervisor import spec; "
        "from mdc.stack.supervisor import Supervisor; "
        "s = Supervisor(); s.add([spec('one', Path(sys.argv[1]))]); s.wait_ready(['one']); "
        "print(s.pids()['one'], flush=True); time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdout=subprocess.PIPE,
        cwd=PROJECT,
        text=True,
    ) as owner:
        assert owner.stdout is not None
        lines = iter(owner.stdout.readline, "")
        child = int(next(line for line in lines if line.strip().isdigit()))
        assert not gone(child)
        owner.kill()
    until(lambda: gone(child))
