"""The HTTP edge against a real server: what goes wrong on a wire, and what it is called."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from providers.errors import ConfigError, PayloadError, ProviderError, TransientError
from providers.http import ByteBudget, HttpEdge
from providers.types import Request
from tests.providers.wire_server import Script, WireServer, answer, drip, hang, raw, serving

SECRET = "s3cret-key"


def make_edge(**settings: object) -> HttpEdge:
    """Build an edge with short bounds, changed by `settings`."""
    defaults: dict[str, object] = {
        "connect_timeout": 2.0,
        "read_timeout": 2.0,
        "total_deadline": 5.0,
        "max_bytes": 1_000_000,
        "byte_budget": None,
        "provider": "acme",
        "user_agent": "mdc-tests",
    }
    return HttpEdge(**(defaults | settings))  # type: ignore[arg-type]


@contextmanager
def edge_and_server(script: Script, **settings: object) -> Iterator[tuple[HttpEdge, WireServer]]:
    """Run a server and an edge that is closed with it."""
    edge = make_edge(**settings)
    with serving(script) as server:
        try:
            yield edge, server
        finally:
            edge.close()


def failure_of(script: Script, **settings: object) -> tuple[ProviderError, float]:
    """Send one request with a secret everywhere; return the error and the seconds it took."""
    with edge_and_server(script, **settings) as (edge, server):
        started = time.monotonic()
        with pytest.raises(ProviderError) as caught:
            edge.send(
                Request(
                    url=f"{server.url}/v1/{SECRET}",
                    params={"apikey": SECRET},
                    headers={"Authorization": f"Bearer {SECRET}"},
                )
            )
        assert len(server.requests) == 1, "nothing is tried again inside"
        assert SECRET not in f"{caught.value} {caught.value.__cause__} {caught.value.__context__}"
        assert caught.value.provider == "acme"
        return caught.value, time.monotonic() - started


def test_an_answer_comes_with_lower_case_headers_and_the_time() -> None:
    """Status, headers and body arrive as sent; parameters, headers and agent were sent."""
    with edge_and_server(answer(b'{"a":1}', headers=("X-Limit: 5",))) as (edge, server):
        response = edge.send(
            Request(url=f"{server.url}/v1/x", params={"a": "b c"}, headers={"X-Key": "k"})
        )
        assert response.status == 200
        assert response.body == b'{"a":1}'
        assert response.headers["x-limit"] == "5"
        assert abs(datetime.now(UTC) - response.received_at) < timedelta(minutes=1)
        head = server.requests[0].decode()
        assert head.startswith("GET /v1/x?a=b+c HTTP/1.1\r\n")
        assert "X-Key: k\r\n" in head
        assert "User-Agent: mdc-tests\r\n" in head


@pytest.mark.parametrize("status", ["401 Unauthorized", "404 Not Found", "429 Slow", "503 Busy"])
def test_statuses_are_left_to_the_adapter(status: str) -> None:
    """The edge returns every status with its body."""
    with edge_and_server(answer(b"why", status=status)) as (edge, server):
        response = edge.send(Request(url=server.url))
        assert (response.status, response.body) == (int(status[:3]), b"why")


def test_connections_are_kept_and_one_per_thread() -> None:
    """Requests of one thread share a connection, those of two threads do not."""
    with edge_and_server(answer()) as (edge, server):
        for _ in range(3):
            edge.send(Request(url=server.url))
        assert server.connections == 1
        with ThreadPoolExecutor(1) as pool:
            pool.submit(edge.send, Request(url=server.url)).result()
        assert server.connections == 2


def test_redirects_are_returned_and_not_followed() -> None:
    """A redirect could take the key to another host; it is one more request in any case."""
    with edge_and_server(answer()) as (_, other):
        script = answer(status="302 Found", headers=(f"Location: {other.url}/stolen",))
        with edge_and_server(script) as (edge, server):
            response = edge.send(Request(url=server.url, headers={"Authorization": SECRET}))
            assert response.status == 302
        assert other.requests == []


def test_the_authorization_header_is_not_replaced_from_a_netrc(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever ~/.netrc holds, the account's own key is sent."""
    netrc = f"{tmp_path}/netrc"
    with open(netrc, "w") as file:
        file.write("machine 127.0.0.1 login other password other\n")
    monkeypatch.setenv("NETRC", netrc)
    with edge_and_server(answer()) as (edge, server):
        edge.send(Request(url=server.url, headers={"Authorization": "Bearer mine"}))
        assert b"Authorization: Bearer mine\r\n" in server.requests[0]


def test_cookies_do_not_travel_from_answer_to_request() -> None:
    """A request depends on nothing but its arguments."""
    with edge_and_server(answer(headers=("Set-Cookie: a=b; Path=/",))) as (edge, server):
        edge.send(Request(url=server.url))
        edge.send(Request(url=server.url))
        assert b"Cookie" not in server.requests[1]


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The simulator is reached although a proxy is set for the internet."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with edge_and_server(answer()) as (edge, server):
        assert edge.send(Request(url=server.url)).status == 200


def test_compressed_answers_are_unpacked() -> None:
    """The body is what the provider meant, not what the wire carried."""
    script = answer(gzip.compress(b'{"a":1}'), headers=("Content-Encoding: gzip",))
    with edge_and_server(script) as (edge, server):
        assert edge.send(Request(url=server.url)).body == b'{"a":1}'


def test_chunked_answers_are_joined() -> None:
    """Without a stated length the last chunk ends the answer."""
    message = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    )
    with edge_and_server(raw(message)) as (edge, server):
        assert edge.send(Request(url=server.url)).body == b"abcde"


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"HTTP/1.1 200 OK\r\nConte", id="within the headers"),
        pytest.param(HEAD + b"x" * 40, id="within the body"),
        pytest.param(CHUNKED + b"5\r\nab", id="within a chunk"),
        pytest.param(CHUNKED + b"2\r\nab\r\n", id="before the last chunk"),
        pytest.param(b"SSH-2.0-OpenSSH_9.6\r\n", id="another protocol"),
        pytest.param(
            HEAD.replace(b"100", b"3\r\nContent-Encoding: gzip") + b"abc", id="no gzip after all"
        ),
    ],
)
def test_broken_answers_are_transient(message: bytes) -> None:
    """An answer that ends before its end is worth another try and is never a short body."""
    error, _ = failure_of(raw(message))
    assert type(error) is TransientError


def test_no_log_record_quotes_a_url(caplog: pytest.LogCaptureFixture) -> None:
    """The libraries below would log paths and parameters, where keys may be."""
    caplog.set_level("DEBUG")
    failure_of(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nbroken\r\n\r\nab"))
    assert SECRET not in caplog.text


def test_silence_ends_at_the_read_timeout() -> None:
    """A hung server costs the read timeout."""
    error, seconds = failure_of(hang(), read_timeout=0.3)
    assert type(error) is TransientError
    assert "sent nothing for 0.3 s" in error.message
    assert seconds < 4


def test_silence_within_the_body_ends_as_well() -> None:
    """So does one that hangs halfway."""
    error, _ = failure_of(hang(HEAD + b"abc"), read_timeout=0.3)
    assert type(error) is TransientError


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nX-Long: " + b"a" * 10_000, id="headers"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n" + b"a" * 9999, id="body"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n" + b"a" * 9999, id="body without a length"),
        pytest.param(CHUNKED + b"5000\r\n" + b"a" * 9999, id="chunk"),
    ],
)
def test_a_slow_answer_ends_at_the_total_deadline(message: bytes) -> None:
    """A byte now and then satisfies the read timeout but not the deadline, in any part."""
    error, seconds = failure_of(drip(message, pause=0.02), total_deadline=0.6)
    assert type(error) is TransientError
    assert "did not finish within 0.6 s" in error.message
    assert seconds < 4


def test_a_thread_works_on_after_a_cut_request() -> None:
    """The deadline of one request leaves nothing behind for the next."""
    answers = iter([drip(b"HTTP/1.1 200 OK\r\n" * 999, pause=0.02), answer(b"ok")])

    def script(connection: socket.socket, stopped: threading.Event) -> None:
        next(answers)(connection, stopped)

    with edge_and_server(script, total_deadline=0.5) as (edge, server):
        with pytest.raises(TransientError):
            edge.send(Request(url=server.url))
        assert edge.send(Request(url=server.url)).body == b"ok"


def test_too_large_an_answer_is_refused_before_it_is_read() -> None:
    """The stated length is enough to refuse."""
    error, _ = failure_of(hang(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"), max_bytes=4999)
    assert type(error) is PayloadError
    assert "more than 4999 bytes" in error.message


def test_too_large_an_answer_without_a_length_is_cut() -> None:
    """Otherwise it is read up to the limit."""
    body = b"1000\r\n" + b"a" * 4096 + b"\r\n"
    error, _ = failure_of(raw(CHUNKED + body * 20 + b"0\r\n\r\n"), max_bytes=10_000)
    assert type(error) is PayloadError


def test_what_unpacks_to_too_much_is_refused() -> None:
    """A small answer that unpacks to a large one counts as the large one."""
    script = answer(gzip.compress(b"0" * 3_000_000), headers=("Content-Encoding: gzip",))
    error, _ = failure_of(script, max_bytes=1_000_000)
    assert type(error) is PayloadError


def test_a_closed_port_names_the_setting() -> None:
    """Nobody listens: the message names the host and what to check."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    edge = make_edge()
    with pytest.raises(TransientError) as caught:
        edge.send(Request(url=f"http://127.0.0.1:{port}/{SECRET}"))
    assert f"127.0.0.1:{port} is unreachable" in caught.value.message
    assert "MDC_PROVIDER_ACME_BASE_URL" in caught.value.message
    assert SECRET not in str(caught.value)
    edge.close()


def test_an_unknown_host_names_the_setting() -> None:
    """A name that does not resolve may be a typing error or a dead network."""
    with pytest.raises(TransientError) as caught:
        make_edge().send(Request(url="http://no-such-host.invalid/"))
    assert "no-such-host.invalid is unreachable" in caught.value.message


@pytest.mark.parametrize(
    "url",
    ["", "not a url", "ftp://host/", "http://", "http://host:99999/", "http://[::1/", "/path"],
)
def test_an_address_that_is_none_is_a_setting_to_correct(url: str) -> None:
    """No number of tries heals a malformed address."""
    with pytest.raises(ConfigError, match="MDC_PROVIDER_ACME_BASE_URL"):
        make_edge().send(Request(url=url))


@pytest.mark.parametrize("key", ["a\nb", "schlüssel€"])
def test_a_key_that_no_header_can_carry_is_a_setting_to_correct(key: str) -> None:
    """A stray line end or letter in a key is said without showing the key."""
    with edge_and_server(answer()) as (edge, server):
        with pytest.raises(ConfigError, match="MDC_PROVIDER_ACME_KEY") as caught:
            edge.send(Request(url=server.url, headers={"Authorization": f"Bearer {key}"}))
        assert key not in str(caught.value)
        assert server.requests == []


def test_credentials_in_an_address_stay_out_of_messages() -> None:
    """Someone may have put a password into the base URL."""
    with pytest.raises(TransientError) as caught:
        make_edge().send(Request(url=f"http://user:{SECRET}@no-such-host.invalid/"))
    assert SECRET not in str(caught.value)


def test_bytes_are_counted_while_an_answer_is_used() -> None:
    """Inside a hold an answer stays counted; without one it is forgotten when it is returned."""
    budget = ByteBudget(10_000)
    with edge_and_server(answer(b"x" * 700), byte_budget=budget) as (edge, server):
        edge.send(Request(url=server.url))
        assert budget.held == 0
        with budget.hold():
            edge.send(Request(url=server.url))
            edge.send(Request(url=server.url))
            assert budget.held == 1400
        assert budget.held == 0


def test_unpacked_bytes_are_counted() -> None:
    """What counts is what lies in memory."""
    budget = ByteBudget(10_000)
    script = answer(gzip.compress(b"0" * 5000), headers=("Content-Encoding: gzip",))
    with edge_and_server(script, byte_budget=budget) as (edge, server), budget.hold():
        edge.send(Request(url=server.url))
        assert budget.held == 5000


def test_many_threads_stay_within_the_cap() -> None:
    """Eight threads share room for two answers; all get through, never three at a time."""
    budget = ByteBudget(2000)
    highest: list[int] = []
    with edge_and_server(answer(b"x" * 1000), byte_budget=budget) as (edge, server):

        def use(_: int) -> None:
            with budget.hold():
                edge.send(Request(url=server.url))
                highest.append(budget.held)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(use, range(40)))
    assert len(highest) == 40
    assert max(highest) <= 2000
    assert budget.held == 0


def test_waiting_for_memory_ends_at_the_deadline() -> None:
    """A request that finds no room says so and can be tried again."""
    budget = ByteBudget(1000)
    settings = {"byte_budget": budget, "total_deadline": 0.4}
    with edge_and_server(answer(b"x" * 600), **settings) as (edge, server), budget.hold():
        edge.send(Request(url=server.url))
        with ThreadPoolExecutor(1) as pool, pytest.raises(TransientError, match="no memory"):
            pool.submit(edge.send, Request(url=server.url)).result()


def test_an_answer_larger_than_the_cap_is_let_in_alone() -> None:
    """A cap below one answer must not stop everything."""
    budget = ByteBudget(10)
    with edge_and_server(answer(b"x" * 600), byte_budget=budget) as (edge, server):
        assert len(edge.send(Request(url=server.url)).body) == 600


def test_a_request_departs_from_an_open_connection() -> None:
    """What holds a request back does so after the handshake, and only once."""
    calls: list[tuple[int, int]] = []
    with edge_and_server(answer(b"{}")) as (edge, server):

        def depart() -> None:
            deadline = time.monotonic() + 5
            while not server.connections and time.monotonic() < deadline:
                time.sleep(0.01)
            calls.append((server.connections, len(server.requests)))

        for _ in range(2):
            edge.send(Request(url=f"{server.url}/v1/x"), depart=depart)
        assert calls == [(1, 0), (1, 1)]


def test_nothing_leaves_where_departing_fails() -> None:
    """Who may not send raises, whatever it is, and the provider sees no request."""
    with edge_and_server(answer(b"{}")) as (edge, server):

        def depart() -> None:
            raise LookupError

        with pytest.raises(LookupError):
            edge.send(Request(url=f"{server.url}/v1/x"), depart=depart)
        assert edge.send(Request(url=f"{server.url}/v1/y")).status == 200
        assert [head.split()[1] for head in server.requests] == [b"/v1/y"]


def test_a_connection_that_was_given_up_meanwhile_is_replaced() -> None:
    """A server that has enough of waiting costs no request: it departs from a new connection."""
    departures: list[int] = []
    with edge_and_server(answer(b"{}")) as (edge, server):

        def depart() -> None:
            departures.append(server.connections)
            if len(departures) == 2:
                server.hang_up()

        for _ in range(2):
            assert edge.send(Request(url=f"{server.url}/v1/x"), depart=depart).status == 200
        assert len(departures) == 3
        assert (server.connections, len(server.requests)) == (2, 2)
