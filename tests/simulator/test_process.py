"""The simulator as a process: how it starts, what it says, and that it never outlives its owner."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys

import pytest
import requests

from providers.simulator.process import PACKAGE_ROOT, Simulator, SimulatorFailed

COMMAND = [sys.executable, "-m", "providers.simulator"]


def launch(*arguments, **kwargs):
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        cwd=PACKAGE_ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **kwargs,
    )


def test_it_announces_its_address_on_stdout_and_in_the_port_file(tmp_path):
    """One line of JSON tells the address, the port file holds the same, SIGTERM ends it cleanly."""
    port_file = tmp_path / "address.json"
    with launch("--port-file", port_file) as process:
        announced = json.loads(process.stdout.readline())
        assert json.loads(port_file.read_text()) == announced
        assert announced["pid"] == process.pid
        assert announced["base_url"].startswith("http://127.0.0.1:")
        health = requests.get(announced["base_url"] + "/_sim/health", timeout=5).json()
        assert health["ok"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
        assert process.stderr.read() == ""


def test_it_ends_with_its_owner():
    """Under --watch-stdin the end of stdin ends the process."""
    with launch("--watch-stdin", stdin=subprocess.PIPE) as process:
        assert process.stdout.readline()
        process.stdin.close()
        assert process.wait(5) == 0


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("a.json", "{", "cannot read"),
        ("a.toml", "x = ", "cannot read"),
        ("a.toml", "[yahoo]\nspeed = 3", "speed"),
        ("a.toml", 'now = "2013-03-01T00:00:00"', "UTC offset"),
        ("a.toml", '[[faults]]\nkind = "flood"', "flood"),
        ("a.toml", '[limits.yahoo]\nmode = "kind"\nlimits = []', "mode"),
    ],
)
def test_a_bad_configuration_is_one_line_and_exit_2(tmp_path, name, text, reason):
    """The line names the reason; there is no traceback."""
    path = tmp_path / name
    path.write_text(text)
    with launch("--config", path) as process:
        output, problem = process.communicate(timeout=15)
    assert process.returncode == 2
    assert output == ""
    assert problem.count("\n") == 1
    assert reason in problem


def test_a_taken_port_is_one_line_and_exit_2():
    """The line names the address."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with launch("--port", port) as process:
            _, problem = process.communicate(timeout=15)
    assert process.returncode == 2
    assert f"127.0.0.1:{port}" in problem
    assert problem.count("\n") == 1


def test_a_toml_file_configures_limits_and_faults(tmp_path):
    """The documented example is accepted."""
    path = tmp_path / "simulator.toml"
    path.write_text(
        """
        now = 2013-03-02T12:00:00Z
        unknown_symbols = ["NOPE*"]

        [venues]
        "L.*" = "XLON"

        [polygon]
        keys = ["k"]

        [limits.yahoo]
        mode = "real"
        limits = [{n = 5, window = 1.0}, {n = 100, window = 60.0}]

        [[faults]]
        kind = "latency"
        seconds = 0.05

        [[faults]]
        name = "late"
        kind = "withhold"
        symbol = "AAPL"
        dates = ["2012-03-05"]
        """
    )
    with launch("--config", path, "--watch-stdin", stdin=subprocess.PIPE) as process:
        base_url = json.loads(process.stdout.readline())["base_url"]
        faults = requests.get(base_url + "/_sim/faults", timeout=5).json()
        process.stdin.close()
    assert [fault["kind"] for fault in faults] == ["latency", "withhold"]


def test_a_simulator_that_cannot_start_raises(capfd):
    """The helper fails instead of waiting, and the reason is on stderr."""
    with pytest.raises(SimulatorFailed):
        Simulator({"unheard_of": 1}).start()
    assert "unheard_of" in capfd.readouterr().err


def test_the_helper_leaves_no_process():
    """After the with statement nothing listens any more."""
    with Simulator() as simulator:
        address = ("127.0.0.1", int(simulator.base_url.rpartition(":")[2]))
        assert simulator.control.health()["pid"] == simulator.pid
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(address, timeout=1)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/_sim/nothing", 404),
        ("POST", "/_sim/faults", 400),
        ("POST", "/_sim/clock", 400),
        ("POST", "/_sim/limits", 400),
        ("GET", "/_sim/stats?window=wide", 400),
        ("GET", "/favicon.ico", 404),
    ],
)
def test_control_nonsense_is_refused(client, method, path, status):
    """Bad control requests get a JSON error."""
    response = client.session.request(method, client.base_url + path, timeout=5)
    assert response.status_code == status
    assert response.json()["error"]


def test_what_is_no_http_is_refused(simulator):
    """A client that speaks something else gets a 400 and the connection ends."""
    address = ("127.0.0.1", int(simulator.base_url.rpartition(":")[2]))
    with socket.create_connection(address, timeout=5) as peer:
        peer.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        assert peer.recv(1000).startswith(b"HTTP/1.1 400")


def test_pipelined_requests_are_answered_in_order(simulator):
    """Two requests in one packet get two answers."""
    address = ("127.0.0.1", int(simulator.base_url.rpartition(":")[2]))
    request = b"GET /_sim/%b HTTP/1.1\r\nHost: x\r\n%b\r\n"
    with socket.create_connection(address, timeout=5) as peer:
        peer.sendall(request % (b"health", b"") + request % (b"nothing", b"Connection: close\r\n"))
        answers = b"".join(iter(lambda: peer.recv(65536), b""))
    assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"200", b"404"]


def test_bodies_are_compressed_when_configured():
    """With gzip on, a client that accepts it gets compressed bodies, others plain ones."""
    with Simulator({"gzip": True, "now": "2013-03-02T00:00:00Z"}) as simulator:
        url = f"{simulator.base_url}/v8/finance/chart/AAPL?period1=1330000000&period2=1340000000"
        packed = requests.get(url, timeout=5)
        plain = requests.get(url, timeout=5, headers={"Accept-Encoding": "identity"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert packed.json()["chart"] == plain.json()["chart"]
    assert int(packed.headers["Content-Length"]) < int(plain.headers["Content-Length"])
