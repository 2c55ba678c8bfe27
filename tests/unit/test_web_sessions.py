"""How a browser gets in, stays in and is put out."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys

import pytest

from imgqd.api.auth import COOKIE_ROUTES
from imgqd.api.guard import Limits
from imgqd.api.routes import Api
from imgqd.web.sessions import KEY_S, MOST_KEYS, SESSION_S, Sessions
from tests.unit.small_daemon import SmallDaemon, free_port, running
from tests.unit.web_kit import Browser, link


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    with running(str(tmp_path_factory.mktemp("home"))) as running_api:
        yield running_api


@pytest.fixture
def outside(api):
    return Browser(link(api.locations.socket))


@pytest.fixture
def browser(outside):
    return outside.enter()


def test_nothing_listens_until_the_page_is_asked_for(tmp_path):
    with running(str(tmp_path)) as api:
        assert api.server.http is None
        assert not os.path.exists(os.path.join(api.locations.data, "web-port"))
        first, second = Browser(link(api.locations.socket)), Browser(link(api.locations.socket))
        assert first.port == second.port
        assert first.key != second.key


def test_the_address_goes_into_the_link_and_the_key_behind_it(api):
    url = link(api.locations.socket, "?q=a%20cat&in=/photos")
    assert url.partition("#")[0].endswith("/?q=a%20cat&in=/photos")
    for address in ("/elsewhere", "//evil.example", "?a#b", "?a b", "?<b>", "?caf\xe9", "x"):
        reply = api.ask("POST", "/v1/web", {"address": address})
        assert (reply.status, reply.code) == (400, "usage")


def test_without_a_session_only_the_files_of_the_page_are_there(outside):
    assert outside.ask("GET", "/").status == 200
    for method, route in sorted(COOKIE_ROUTES):
        reply = outside.ask(method, route.replace("{id}", "1").replace("{name}", "x"))
        assert (reply.status, reply.code) == (401, "unauthorized")


def test_a_key_becomes_a_cookie_that_scripts_and_other_sites_do_not_get(outside):
    reply = outside.ask("POST", "/v1/session", {"key": outside.key})
    assert (reply.status, reply.body) == (204, b"")
    name, _, rest = reply.headers["Set-Cookie"].partition("=")
    assert name == f"imgq-{outside.port}"
    value, *flags = (part.strip() for part in rest.split(";"))
    assert len(value) == 43
    assert set(flags) == {"HttpOnly", "SameSite=Strict", "Path=/v1/", f"Max-Age={SESSION_S}"}
    assert outside.ask("GET", "/v1/status").status == 200
    session = outside.ask("GET", "/v1/session").json
    assert session["local"] is True and session["valid_until"].startswith("20")


def test_a_key_works_once(outside, api):
    outside.enter()
    thief = Browser(outside.origin + "/#key=" + outside.key)
    reply = thief.ask("POST", "/v1/session", {"key": thief.key})
    assert (reply.status, reply.code) == (401, "unauthorized")
    assert thief.ask("POST", "/v1/session", {"key": "x" * 43}).status == 401
    assert "Set-Cookie" not in reply.headers


def test_keys_end_and_are_few(tmp_path):
    now = [0.0]
    sessions = Sessions(str(tmp_path / "sessions"), since=lambda: now[0])
    key = sessions.key()
    now[0] = KEY_S + 0.1
    assert sessions.begin(key) is None
    now[0] = 0.0
    assert sessions.begin(key) is None
    oldest, *_, newest = [sessions.key() for _ in range(MOST_KEYS + 1)]
    assert sessions.begin(oldest) is None
    assert sessions.begin(newest) is not None


def test_sessions_end_after_a_month(tmp_path):
    now = [1_000_000.0]
    sessions = Sessions(str(tmp_path / "sessions"), clock=lambda: now[0])
    secret = sessions.begin(sessions.key())
    assert secret is not None
    assert sessions.valid_until(secret) == now[0] + SESSION_S
    now[0] += SESSION_S + 1
    assert sessions.valid_until(secret) is None
    assert not sessions.any()


@pytest.mark.parametrize(
    "damaged", ["", "x", "[]", '{"sessions": 1}', '{"sessions": {"a": "b"}}', '{"sessions": []}']
)
def test_a_damaged_file_lets_nobody_in_and_heals(tmp_path, damaged):
    file = tmp_path / "sessions"
    sessions = Sessions(str(file))
    secret = sessions.begin(sessions.key())
    file.write_text(damaged)
    assert sessions.valid_until(secret) is None
    again = sessions.begin(sessions.key())
    assert sessions.valid_until(again) is not None


def test_what_is_kept_is_private_and_opens_nothing(browser, api):
    file = os.path.join(api.locations.data, "web-sessions.json")
    assert stat.S_IMODE(os.stat(file).st_mode) == 0o600
    with open(file) as stream:
        kept = stream.read()
    (secret,) = browser.cookies.values()
    assert secret not in kept and browser.key not in kept


def test_logging_out_ends_this_session_only(api, browser):
    other = Browser(link(api.locations.socket)).enter()
    kept = dict(browser.cookies)
    reply = browser.ask("DELETE", "/v1/session")
    assert (reply.status, browser.cookies) == (204, {})
    browser.cookies = kept
    assert browser.ask("GET", "/v1/status").status == 401
    assert other.ask("GET", "/v1/status").status == 200


def test_a_stream_of_events_ends_with_its_session(api, browser):
    (cookie,) = browser.cookies.items()
    with socket.create_connection(("127.0.0.1", browser.port), 30) as stream:
        head = f"Host: 127.0.0.1:{browser.port}\r\nCookie: {'='.join(cookie)}"
        stream.sendall(f"GET /v1/events HTTP/1.1\r\n{head}\r\n\r\n".encode())
        seen = b""
        while b"retry:" not in seen:
            seen += stream.recv(4096)
        api.daemon.hub.publish("picture-added", {"id": 1, "path": b"/photos/before.jpg"})
        while b"before.jpg" not in seen:
            seen += stream.recv(4096)
        assert browser.ask("DELETE", "/v1/session").status == 204
        api.daemon.hub.publish("picture-added", {"id": 2, "path": b"/photos/after.jpg"})
        rest = b""
        while part := stream.recv(4096):
            rest += part
    assert b"after.jpg" not in rest


def test_a_session_and_its_port_outlive_the_daemon(tmp_path):
    home = str(tmp_path)
    with running(home) as api:
        browser = Browser(link(api.locations.socket)).enter()
    with pytest.raises(OSError):
        browser.ask("GET", "/v1/status")
    with running(home):
        # Nobody has asked for the page: it is there because somebody may come back.
        assert browser.ask("GET", "/v1/status").status == 200
        browser.ask("DELETE", "/v1/session")
    with running(home) as api:
        with pytest.raises(OSError):
            browser.ask("GET", "/")
        assert Browser(link(api.locations.socket)).port == browser.port


def test_a_port_that_somebody_else_has_by_now_is_replaced(tmp_path):
    home = str(tmp_path)
    with running(home) as api:
        before = Browser(link(api.locations.socket)).enter()
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", before.port))
        taken.listen()
        with running(home) as api:
            assert Browser(link(api.locations.socket)).port != before.port


def test_a_port_that_was_set_is_used_or_said(tmp_path):
    port = free_port()
    with running(str(tmp_path / "a"), web_port=port) as api:
        assert Browser(link(api.locations.socket)).port == port
        with running(str(tmp_path / "b"), web_port=port) as other:
            reply = other.ask("POST", "/v1/web", {})
            assert (reply.status, reply.code) == (500, "listen")
            assert f"web_port {port}" in reply.json["error"]["message"]


def test_with_http_port_the_page_is_there(tmp_path):
    with running(str(tmp_path), tcp=True) as api:
        browser = Browser(link(api.locations.socket)).enter()
        assert browser.port == api.port
        assert browser.ask("GET", "/v1/status").status == 200


def test_switched_off_there_is_no_page(tmp_path):
    with running(str(tmp_path), tcp=True, web_page=False) as api:
        reply = api.ask("POST", "/v1/web", {})
        assert (reply.status, reply.code) == (403, "no-page")
        assert api.ask("GET", "/", tcp=True).status == 401
        headers = {"Origin": f"http://127.0.0.1:{api.port}"}
        assert api.ask("POST", "/v1/session", {"key": "x"}, headers=headers, tcp=True).status == 401


def test_rotating_the_token_ends_every_session(tmp_path):
    home = str(tmp_path)
    with running(home) as api:
        browser = Browser(link(api.locations.socket)).enter()
        environ = {**os.environ, "IMGQ_HOME": home}
        done = subprocess.run(
            [sys.executable, "-m", "imgqd", "token", "--rotate"], env=environ, capture_output=True
        )
        assert done.returncode == 0, done.stderr
        assert browser.ask("GET", "/v1/status").status == 401


def test_the_cookie_opens_what_the_page_needs_and_nothing_else(api, browser):
    table = Api(SmallDaemon(), None, Limits()).table()
    served = {(method, path) for method, path, _ in table}
    assert served >= COOKIE_ROUTES
    closed = served - COOKIE_ROUTES - {("POST", "/v1/session")}
    assert {path for _, path in closed} == {
        "/v1/web",
        "/v1/stop",
        "/v1/export",
        "/v1/import",
        "/v1/relocate",
        "/v1/verify",
        "/v1/metrics",
    }
    for method, path in closed:
        reply = browser.ask(method, path, {} if method == "POST" else None)
        assert (reply.status, reply.code) == (403, "not-for-the-page")
    assert not api.daemon.stopped.is_set()
    assert browser.ask("GET", "/v1/nowhere").status == 403


def test_the_token_opens_the_pages_port_as_any(api, outside):
    headers = {"Authorization": f"Bearer {api.token}"}
    assert outside.ask("GET", "/v1/metrics", headers=headers).status == 200
    session = outside.ask("GET", "/v1/session", headers=headers)
    assert (session.status, session.json["valid_until"]) == (200, None)
    # Whoever sends a token is judged by it, whatever cookie goes with it.
    outside.enter()
    assert outside.ask("GET", "/v1/status", headers={"Authorization": "Bearer x"}).status == 401


def test_sessions_are_for_browsers(api):
    reply = api.ask("POST", "/v1/session", {"key": "x"})
    assert (reply.status, reply.code) == (400, "usage")
