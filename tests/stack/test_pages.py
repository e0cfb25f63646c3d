"""The pages that `mdc up` serves: open to the loopback only, closed without a login."""

from __future__ import annotations

import psutil
import pytest
import requests

from mdc.stack.embedded import EmbeddedStack
from mdc.stack.logins import ADMIN_NAME


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
