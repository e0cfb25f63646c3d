"""One running stack: what it serves and to whom, and what it survives.

All that needs the whole of it is in here, so that it is started once: that takes 15 s of a
processor.
"""

from __future__ import annotations

import json
import os
import signal
import stat
import threading
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest
import requests

from mdc.stack import postgres, valkey
from mdc.stack.embedded import EmbeddedStack
from mdc.stack.errors import AlreadyRunning
from mdc.stack.identity import server_identity
from mdc.stack.logins import ADMIN_NAME
from tests.stack.command import mdc
from tests.stack.waiting import gone, until


def test_a_durable_server_really_writes(stack: EmbeddedStack) -> None:
    """What a user's stack commits survives: nothing of PostgreSQL's safety is switched off."""
    with psycopg.connect(stack.database_url) as connected:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            assert connected.execute(f"SHOW {setting}").fetchone() == ("on",)


def test_servers_listen_on_private_sockets_only(stack: EmbeddedStack) -> None:
    """No port is open, and only the user may enter the folder of the sockets."""
    for name in ("postgres", "valkey"):
        process = psutil.Process(stack.processes[name])
        assert [c for c in process.net_connections("inet") if c.status == "LISTEN"] == []
    assert stat.S_IMODE(stack.home.run.stat().st_mode) == 0o700


def test_files_are_private_to_the_user(stack: EmbeddedStack) -> None:
    """Everything below the home is closed to group and others."""
    identity = server_identity(server=postgres.binary("postgres"), home=stack.home.root)
    if identity.owner:
        pytest.skip("PostgreSQL has a user of its own here, who must be let in")
    opened = [path for path in (stack.home.root, *stack.home.root.rglob("*")) if _is_open(path)]
    assert opened == []


def _is_open(path: Path) -> bool:
    try:
        return bool(path.lstat().st_mode & 0o077)
    except FileNotFoundError:
        return False  # PostgreSQL removes files all the time


def test_a_second_stack_at_the_same_home_is_refused(stack: EmbeddedStack) -> None:
    """The second one names the process that runs already."""
    with pytest.raises(AlreadyRunning) as refusal, EmbeddedStack(stack.home):
        pass
    assert refusal.value.pid is not None
    assert psutil.pid_exists(refusal.value.pid)


def test_a_second_up_says_that_one_runs(stack: EmbeddedStack) -> None:
    """It does not disturb the first one."""
    answer = mdc("up", MDC_HOME=str(stack.home.root))
    assert answer.returncode == 1
    assert "runs already" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_status_shows_the_processes(stack: EmbeddedStack) -> None:
    """The listing comes from the supervisor, as a table or as JSON."""
    answer = mdc("status", "--json", MDC_HOME=str(stack.home.root))
    assert answer.returncode == 0
    shown = {entry["name"]: entry["pid"] for entry in json.loads(answer.stdout)["processes"]}
    assert shown == {name: pid for name, pid in stack.processes.items() if "/" not in name}
    assert "postgres" in mdc("status", MDC_HOME=str(stack.home.root)).stdout


def test_doctor_finds_a_running_stack_healthy(stack: EmbeddedStack) -> None:
    """Database, tables, broker and workers are asked, not assumed."""
    answer = mdc(
        "doctor",
        "--json",
        MDC_HOME=str(stack.home.root),
        MDC_DATABASE_URL=stack.database_url,
        MDC_BROKER_URL=stack.broker_url,
    )
    verdicts = {entry["check"]: entry["verdict"] for entry in json.loads(answer.stdout)}
    assert (
        verdicts | {"database": "ok", "tables": "ok", "broker": "ok", "workers": "ok"} == verdicts
    )
    assert answer.returncode == 0


@pytest.fixture(scope="module")
def pages(stack: EmbeddedStack) -> EmbeddedStack:
    """Serve the pages beside the stack's workers."""
    stack.start(["web", "flower"])
    return stack


def test_the_random_login_opens_the_admin(pages: EmbeddedStack) -> None:
    """Without it there is only the login page, with its style sheet."""
    with requests.Session() as browser:
        page = browser.get(pages.addresses["web"], timeout=10)
        assert page.status_code == 200
        assert page.url.endswith("/admin/login/?next=/admin/")
        answer = browser.post(
            page.url,
            data={
                "username": ADMIN_NAME,
                "password": pages.logins.admin_password,
                "csrfmiddlewaretoken": browser.cookies["csrftoken"],
            },
            headers={"Referer": page.url},
            timeout=10,
        )
        assert answer.url.endswith("/admin/")
        assert answer.status_code == 200
        style = browser.get(pages.addresses["web"] + "static/admin/css/base.css", timeout=10)
        assert style.status_code == 200


def test_flower_is_behind_a_login_and_sees_the_workers(pages: EmbeddedStack) -> None:
    """Its API is closed too, and the password is on no command line."""
    address = f"{pages.addresses['flower']}api/workers?refresh=1"
    assert requests.get(address, timeout=10).status_code == 401
    login = (ADMIN_NAME, pages.logins.flower_password)
    workers = requests.get(address, auth=login, timeout=10).json()
    assert {name.partition("@")[0] for name in workers} == {"control", "fetch"}
    command = psutil.Process(pages.processes["flower"]).cmdline()
    assert not any(pages.logins.flower_password in word for word in command)


def test_pages_are_served_on_the_loopback_only(pages: EmbeddedStack) -> None:
    """Nobody else on the network reaches them."""
    for name in ("web", "flower"):
        listening = [
            connection.laddr.ip
            for connection in psutil.Process(pages.processes[name]).net_connections("inet")
            if connection.status == "LISTEN"
        ]
        assert listening == ["127.0.0.1"]


def test_ports_stay_the_same(pages: EmbeddedStack) -> None:
    """A bookmark is still good after a restart."""
    before = dict(pages.addresses)
    pages.stop_processes(["web"])
    pages.start(["web"])
    assert pages.addresses == before


def kill_and_wait(stack: EmbeddedStack, name: str) -> None:
    """Kill a process with -9 and wait until another one serves in its place."""
    before = stack.processes[name]
    os.kill(before, signal.SIGKILL)
    until(lambda: stack.processes.get(name, before) != before)
    stack.supervisor.wait_ready([name.partition("/")[0]])


@pytest.mark.parametrize("name", ["control", "fetch", "beat", "control/1", "fetch/2"])
def test_a_killed_process_is_replaced(stack: EmbeddedStack, name: str) -> None:
    """Workers, their children and beat come back without a hand."""
    kill_and_wait(stack, name)


def test_pool_children_die_with_their_worker(stack: EmbeddedStack) -> None:
    """An orphaned child would work on without a broker, beside its successors."""
    until(lambda: "fetch/2" in stack.processes)
    orphans = [stack.processes["fetch/1"], stack.processes["fetch/2"]]
    kill_and_wait(stack, "fetch")
    until(lambda: all(gone(pid) for pid in orphans))


def test_a_killed_broker_is_replaced(stack: EmbeddedStack) -> None:
    """Valkey comes back at the same socket."""
    kill_and_wait(stack, "valkey")
    assert valkey.is_ready(stack.home)


def test_a_killed_postgresql_is_replaced_although_a_backend_lives_on(stack: EmbeddedStack) -> None:
    """A busy backend outlives its postmaster and holds the shared memory: it is removed."""
    busy = "DO $$ BEGIN WHILE true LOOP END LOOP; END $$"

    def work_for_ever() -> None:
        with suppress(psycopg.OperationalError), psycopg.connect(stack.database_url) as connected:
            pids.append(connected.info.backend_pid)
            connected.execute(busy)

    pids: list[int] = []
    worker = threading.Thread(target=work_for_ever)
    worker.start()
    until(lambda: bool(pids))
    kill_and_wait(stack, "postgres")
    worker.join()
    until(lambda: gone(pids[0]))
    with psycopg.connect(stack.database_url) as connected:
        assert connected.execute("SELECT 1").fetchone() == (1,)
