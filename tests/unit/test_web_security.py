"""What other pages, other users and hostile names can do to the page: nothing."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import socket
import subprocess
import sys

import pytest

from imgqd.web import pages
from imgqd.web.pages import LOOK_S, Pages
from imgqd.web.peers import is_loopback, may_be_another_user
from tests.unit.small_daemon import running
from tests.unit.web_kit import Browser, link


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    with running(str(tmp_path_factory.mktemp("home"))) as running_api:
        yield running_api


@pytest.fixture(scope="module")
def browser(api):
    return Browser(link(api.locations.socket)).enter()


READ = ("GET", "/v1/status")
CHANGE = ("POST", "/v1/annotate")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://evil.example", "Sec-Fetch-Site": None},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "https://127.0.0.1:PORT"},
        {"Origin": "http://127.0.0.1:PORT.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Host": "evil.example"},
        {"Host": "evil.example:PORT"},
        {"Host": "127.0.0.1"},
    ],
)
@pytest.mark.parametrize(("method", "target"), [READ, CHANGE])
def test_other_pages_cannot_use_the_cookie(api, browser, headers, method, target):
    before = len(api.daemon.requests)
    headers = {
        name: value and value.replace("PORT", str(browser.port)) for name, value in headers.items()
    }
    body = {"ids": [1], "add_tags": ["stolen"]} if method == "POST" else None
    reply = browser.ask(method, target, body, headers=headers)
    assert (reply.status, reply.code) in ((403, "wrong-origin"), (403, "wrong-host"))
    assert len(api.daemon.requests) == before


@pytest.mark.parametrize(
    ("method", "target", "body"),
    [
        ("POST", "/v1/annotate", {"ids": [1], "add_tags": ["a"]}),
        ("DELETE", "/v1/history", None),
        ("PUT", "/v1/saved/x", {"arguments": ["x"]}),
        ("DELETE", "/v1/session", None),
        ("POST", "/v1/session", {"key": "x"}),
        ("POST", "/v1/grid", {"q": "x"}),
    ],
)
def test_what_can_change_something_needs_an_origin(browser, method, target, body):
    reply = browser.ask(method, target, body, headers={"Origin": None, "Sec-Fetch-Site": None})
    assert (reply.status, reply.code) == (403, "wrong-origin")
    assert browser.ask("GET", "/v1/session").status == 200


def test_a_form_of_another_site_is_no_json(browser):
    reply = browser.ask(
        "POST",
        "/v1/annotate",
        b'{"ids": [1]}',
        headers={"Content-Type": "text/plain;charset=UTF-8"},
    )
    assert (reply.status, reply.code) == (400, "not-json")


def test_a_link_from_anywhere_leads_to_the_page_but_files_are_not_for_other_sites(browser):
    follow = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert browser.ask("GET", "/", headers=follow | {"Sec-Fetch-Dest": "document"}).status == 200
    for wrong in (
        {"Sec-Fetch-Dest": "iframe"},
        {"Sec-Fetch-Dest": "document", "Host": "evil.example"},
        {"Sec-Fetch-Dest": "script", "Sec-Fetch-Mode": "no-cors"},
    ):
        assert browser.ask("GET", "/", headers=follow | wrong).status == 403
    # A navigation carries no session where it comes from elsewhere, and opens no route.
    direct = follow | {"Sec-Fetch-Dest": "document"}
    assert browser.ask("GET", "/v1/status", headers=direct).status == 403


def test_other_cookies_do_not_hide_or_replace_ours(browser):
    ours = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    tossed = f"imgq-{browser.port}=forged; {ours}; imgq-1=x; a"
    assert browser.ask("GET", "/v1/status", headers={"Cookie": tossed}).status == 200
    for wrong in (f"imgq-{browser.port}=", f"imgq-{browser.port}", ours.replace("imgq-", "imgq_")):
        assert browser.ask("GET", "/v1/status", headers={"Cookie": wrong}).status == 401


def test_the_page_says_what_may_run_in_it(browser):
    headers = browser.ask("GET", "/").headers
    policy = dict(
        part.strip().partition(" ")[::2] for part in headers["Content-Security-Policy"].split(";")
    )
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["style-src"] == policy["connect-src"] == "'self'"
    # What stands in the page itself is allowed by what it is.
    assert re.fullmatch(r"'self' 'sha256-[A-Za-z0-9+/]{43}='", policy["script-src"])
    assert policy["require-trusted-types-for"] == "'script'"
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"


@pytest.mark.parametrize(
    "target",
    [
        "/../routes.py",
        "/..%2froutes.py",
        "/js/../../routes.py",
        "/%2e%2e/%2e%2e/routes.py",
        "/js/..%5c..%5croutes.py",
        "//etc/passwd",
        "/%00",
        "/index.html%00.js",
        "/INDEX.HTML",
        "/js/",
        "/js",
        "/.",
        "/static/index.html",
        "/browser/index.html",
        "/sources.sha256",
        "/etc/passwd",
    ],
)
def test_no_other_file_is_served(browser, target):
    channel = http.client.HTTPConnection("127.0.0.1", browser.port, timeout=30)
    channel.putrequest("GET", target, skip_accept_encoding=True)
    channel.endheaders()
    reply = channel.getresponse()
    body = reply.read()
    channel.close()
    assert reply.status in (400, 404), target
    assert b"import" not in body and b"root:" not in body


def test_links_and_hidden_files_in_the_folder_are_not_served_and_changes_are_seen(tmp_path):
    now = [0.0]
    (tmp_path / "index.html").write_text("one")
    (tmp_path / ".hidden.js").write_text("x")
    (tmp_path / "notes.txt").write_text("x")
    os.symlink("/etc/passwd", tmp_path / "passwd.js")
    served = Pages(str(tmp_path), clock=lambda: now[0])
    assert served.names() == ["index.html"]
    first = served.get("/")
    (tmp_path / "index.html").write_text("other")
    second = served.get("/index.html")
    assert first is not None and second is not None
    assert (first.plain, second.plain, first.tag == second.tag) == (b"one", b"other", False)
    (tmp_path / "new.js").write_text("x")
    assert served.get("/new.js") is None
    now[0] += LOOK_S
    assert served.get("/new.js") is not None
    os.unlink(tmp_path / "new.js")
    assert served.get("/new.js") is None


def test_files_are_compressed_and_not_sent_again(browser):
    packed = browser.ask("GET", "/", headers={"Accept-Encoding": "br, gzip"})
    plain = browser.ask("GET", "/", headers={"Accept-Encoding": "identity"})
    assert packed.headers["Content-Encoding"] == "gzip" and len(packed.body) < len(plain.body)
    assert packed.headers["Cache-Control"] == "no-cache"
    for reply in (packed, plain):
        again = browser.ask(
            "GET",
            "/",
            headers={
                "If-None-Match": reply.headers["ETag"],
                "Accept-Encoding": "gzip" if reply is packed else "identity",
            },
        )
        assert (again.status, again.body) == (304, b"")
    assert browser.ask("HEAD", "/").body == b""
    assert browser.ask("POST", "/", {}).status == 403


def test_under_its_version_a_file_is_kept_and_a_new_version_is_named(browser, tmp_path):
    page = browser.ask("GET", "/").body.decode()
    named = re.findall(r'"(/app\.(?:js|css)\?v=[0-9a-f]{20})"', page)
    assert len(named) == 2
    for url in named:
        assert "immutable" in browser.ask("GET", url).headers["Cache-Control"]
        for other in (url[:-1], url + "0", url.partition("?")[0]):
            assert browser.ask("GET", other).headers["Cache-Control"] == "no-cache"
    (tmp_path / "index.html").write_text('<script src="/app.js?v={app.js}"></script>{app.js}')
    (tmp_path / "app.js").write_text("1")
    served = Pages(str(tmp_path))
    first, script = served.get("/"), served.get("/app.js")
    assert first is not None and script is not None
    assert first.plain == b'<script src="/app.js?v=%s"></script>{app.js}' % script.tag.encode()
    (tmp_path / "app.js").write_text("22")
    second = served.get("/")
    assert second is not None and second.plain != first.plain and second.tag != first.tag


def test_every_file_of_the_page_is_served_as_what_it_is(browser):
    for name in Pages().names():
        reply = browser.ask("GET", f"/{name}")
        assert reply.status == 200
        kind = reply.headers["Content-Type"].partition(";")[0]
        assert kind == pages.TYPES[os.path.splitext(name)[1]]


def test_reveal_and_browse_are_for_the_user_at_the_machine(browser):
    assert browser.ask("POST", "/v1/pictures/1/reveal", {}).json == {"revealed": True}
    for wrong in ({"path": "/etc/passwd"}, {"path": "/photos/../etc/passwd"}):
        assert browser.ask("POST", "/v1/pictures/1/reveal", wrong).status == 404
    assert browser.ask("POST", "/v1/pictures/1/reveal", {"path": "relative"}).status == 400
    assert browser.ask("GET", "/v1/browse?path=/&path_b64=Lw==").status == 400
    assert browser.ask("GET", "/v1/browse?file=/etc/passwd").status == 400


def test_only_folders_are_told_and_only_those_that_can_be_entered(browser, tmp_path):
    for name in ("B", "a", ".hidden", "locked"):
        (tmp_path / name).mkdir()
    os.mkdir(os.path.join(os.fsencode(tmp_path), b"caf\xe9 <b>"))
    (tmp_path / "secret.txt").write_text("x")
    (tmp_path / "locked").chmod(0)
    told = browser.ask("GET", f"/v1/browse?path={tmp_path}").json
    folders = [folder for folder in told["folders"] if folder["name"] != "locked"]
    assert os.geteuid() == 0 or len(folders) == len(told["folders"])
    assert [folder["name"] for folder in folders] == ["a", "B", "caf\ufffd <b>"]
    assert "name_b64" in folders[-1] and "path_b64" in folders[-1]
    assert told["parent"] == str(tmp_path.parent)
    assert browser.ask("GET", f"/v1/browse?path={tmp_path}/secret.txt").status == 404
    assert browser.ask("GET", f"/v1/browse?path={tmp_path}/nowhere").status == 404


# -- another user of the machine


def test_a_connection_of_this_user_is_this_users():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with socket.create_connection(listener.getsockname()):
            ours, _ = listener.accept()
            assert is_loopback(ours)
            assert not may_be_another_user(ours)
            ours.close()
    assert not is_loopback(None) and not may_be_another_user(None)


@pytest.mark.skipif(sys.platform != "linux", reason="only there the kernel tells")
def test_a_connection_that_nobody_holds_any_more_may_be_anybodys():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        other = socket.create_connection(listener.getsockname())
        other.sendall(b"DELETE /v1/history HTTP/1.1\r\n\r\n")
        ours, _ = listener.accept()
        other.close()
        assert may_be_another_user(ours)
        ours.close()


@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("setpriv"),
    reason="needs root, to act as somebody else",
)
def test_another_user_with_a_stolen_cookie_or_key_is_refused(api, browser):
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    key = Browser(link(api.locations.socket)).key
    script = f"""
import http.client
for method, target, headers, body in (
    ("GET", "/v1/status", {{"Cookie": {cookie!r}}}, None),
    ("POST", "/v1/session", {{"Origin": {browser.origin!r},
     "Content-Type": "application/json"}}, '{{"key": "{key}"}}'),
    ("GET", "/", {{}}, None),
):
    channel = http.client.HTTPConnection("127.0.0.1", {browser.port}, timeout=20)
    channel.request(method, target, body, headers)
    reply = channel.getresponse()
    print(reply.status, reply.getheader("Set-Cookie"), reply.read()[:40])
"""
    # As nobody, who may not read where this interpreter's packages are: the library is enough.
    tool = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    base = os.path.realpath(sys.executable)
    done = subprocess.run([*tool, base, "-I", "-c", script], capture_output=True, timeout=60)
    if not done.stdout and b"Permission denied" in done.stderr:
        pytest.skip("another user cannot run this interpreter")
    lines = done.stdout.decode().splitlines()
    assert len(lines) == 3, done.stderr.decode()
    assert lines[0].startswith('403 None b\'{"error": {"code": "wrong-user"')
    assert lines[1].startswith('403 None b\'{"error": {"code": "wrong-user"')
    assert lines[2].startswith("200")
    # The key was not used up by it.
    assert browser.ask("POST", "/v1/session", {"key": key}).status == 204
