"""The HTTP API of a real daemon: every route against its own description, and what must not work."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import os
import socket
import urllib.parse

import pytest
from PIL import Image

from tests.harness import Home
from tests.openapi_check import check_answer


class Reply:
    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    @property
    def json(self):
        return json.loads(self.body)


def ask(home: Home, method: str, target: str, body: object = None) -> Reply:
    """One request on the daemon's socket; `body` is sent as JSON."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(60)
    connection.connect(os.path.join(home.home, "imgqd.sock"))
    channel = http.client.HTTPConnection("localhost")
    channel.sock = connection
    with contextlib.closing(channel):
        data = None if body is None else json.dumps(body)
        channel.request(method, target, data, {"Content-Type": "application/json"})
        return Reply(channel.getresponse())


@pytest.fixture
def album(tiny_home: Home) -> Home:
    """A running daemon with three pictures (one twice) and one problem."""
    for number in range(3):
        shade = (number * 80, 255 - number * 80, 60)
        Image.new("RGB", (200, 100), shade).save(tiny_home.path(f"{number}.jpg"))
    with (
        open(tiny_home.path("0.jpg"), "rb") as source,
        open(os.fsencode(tiny_home.photos) + b"/caf\xe9.jpg", "wb") as copy,
    ):
        copy.write(source.read())
    with open(tiny_home.path("bad.jpg"), "wb") as bad:
        bad.write(b"\xff\xd8\xff\xe0 not a picture")
    tiny_home.start(tiny_home.photos)
    tiny_home.sync()
    return tiny_home


def test_every_route_answers_as_its_description_says(album: Home) -> None:
    document = ask(album, "GET", "/v1/openapi.json").json
    found = ask(album, "POST", "/v1/search", {"terms": [{"text": "a red square"}]})
    assert len(found.json["results"]) == 3
    picture = found.json["results"][0]["id"]
    for method, target, body, status in [
        ("POST", "/v1/search", {"terms": [{"text": "a red square"}]}, 200),
        ("POST", "/v1/search", {"terms": [{"id": picture}, {"text": "x", "negative": True}]}, 200),
        ("POST", "/v1/search", {"terms": [], "types": ["jpeg"]}, 200),
        ("POST", "/v1/search", {"terms": [{"text": ""}]}, 400),
        ("POST", "/v1/search", {"terms": [{"image": "bm90IGEgcGljdHVyZQ=="}]}, 400),
        ("POST", "/v1/search", {"terms": [{"id": 2**62}]}, 400),
        ("GET", "/v1/status", None, 200),
        ("GET", "/v1/folders", None, 200),
        ("POST", "/v1/folders", {"paths": [album.photos]}, 200),
        ("POST", "/v1/folders", {"paths": [album.home]}, 400),
        ("POST", "/v1/folders", {"paths": ["/no/such/folder"]}, 400),
        ("DELETE", "/v1/folders", {"paths": ["/no/such/folder"]}, 404),
        ("POST", "/v1/sync", {"timeout_s": 60}, 200),
        ("POST", "/v1/sync", {"timeout_s": 0}, 200),
        ("GET", "/v1/problems", None, 200),
        ("POST", "/v1/retry", {}, 200),
        ("GET", f"/v1/pictures/{picture}", None, 200),
        ("GET", "/v1/pictures/4711", None, 404),
        ("GET", f"/v1/pictures/{picture}/thumbnail", None, 200),
        ("GET", f"/v1/pictures/{picture}/thumbnail?side=64&format=png", None, 200),
        ("GET", "/v1/pictures/4711/thumbnail", None, 404),
        ("GET", "/v1/model", None, 200),
        ("PUT", "/v1/model", {"spec": "no such model"}, 400),
        ("POST", "/v1/verify", {}, 200),
        ("GET", "/v1/config", None, 200),
        ("GET", "/v1/metrics", None, 200),
        ("DELETE", "/v1/folders", {"paths": [album.photos]}, 200),
        ("POST", "/v1/stop", {}, 200),
    ]:
        reply = ask(album, method, target, body)
        assert reply.status == status, (method, target, body, reply.body)
        check_answer(document, method, target, reply)
    assert album.process is not None
    assert album.process.wait(30) == 0


def test_a_thumbnail_is_the_picture_and_small(album: Home) -> None:
    (first, *_) = ask(album, "POST", "/v1/search", {"terms": [{"text": "green"}]}).json["results"]
    for form in ("webp", "png", "jpeg"):
        reply = ask(album, "GET", f"/v1/pictures/{first['id']}/thumbnail?side=64&format={form}")
        with Image.open(io.BytesIO(reply.body)) as small:
            assert small.format == form.upper()
            assert small.size == (64, 32)


def test_names_come_back_exact_and_the_copy_is_named(album: Home) -> None:
    results = ask(album, "POST", "/v1/search", {"terms": [{"text": "x"}]}).json["results"]
    (twice,) = [result for result in results if result["copies"]]
    names = {json.dumps(path, sort_keys=True) for path in (*twice["copies"],)}
    names.add(json.dumps({key: twice[key] for key in ("path", "path_b64") if key in twice}))
    assert len(names) == 2
    assert any("path_b64" in name for name in names)


def test_events_tell_of_what_happens(album: Home) -> None:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(60)
    connection.connect(os.path.join(album.home, "imgqd.sock"))
    with connection, connection.makefile("rb") as stream:
        connection.sendall(b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
        while not stream.readline().startswith(b"retry:"):
            pass
        Image.new("RGB", (64, 64), (1, 2, 3)).save(album.path("new.png"))
        seen: dict[str, dict[str, object]] = {}
        kind = ""
        while "picture-added" not in seen:
            line = stream.readline()
            assert line, f"the stream ended; seen: {seen}"
            if line.startswith(b"event: "):
                kind = line[7:].decode().strip()
            elif line.startswith(b"data: "):
                seen[kind] = json.loads(line[6:])
    assert seen["picture-added"]["path"] == album.path("new.png")


HOSTILE = [
    "../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "....//....//etc/passwd",
    "..%252f..%252fetc%252fpasswd",
    "%c0%ae%c0%ae%c0%afetc%c0%afpasswd",
    "..\\..\\etc\\passwd",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "file:///etc/passwd",
    "1%00.jpg",
    "%00",
    "0",
    "-1",
    "1e3",
    "0x1",
    "1.0",
    "+1",
    " 1",
    "1%20",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551616",
    "99999999999999999999999999999999",
    "NaN",
    "null",
    "1;2",
    "1,2",
    "1'--",
    "1 OR 1=1",
    "%E2%91%A0",
    "%D9%A1",
    "\u0661",
]


def test_nothing_but_ids_leads_anywhere(album: Home) -> None:
    tried = 0
    for payload in HOSTILE:
        for after in ("", "/thumbnail", "/thumbnail?side=../../etc/passwd"):
            for quoted in {payload, urllib.parse.quote(payload, safe="%")}:
                if not quoted.isascii() or any(character in quoted for character in " \\"):
                    continue
                reply = ask(album, "GET", f"/v1/pictures/{quoted}{after}")
                tried += 1
                assert reply.status in (400, 404), (quoted, after, reply.status)
                assert b"root:" not in reply.body
                assert set(reply.json) == {"error"}
    assert tried >= 100


def test_an_example_that_is_no_picture_is_not_repeated_in_the_answer(album: Home) -> None:
    reply = ask(album, "POST", "/v1/search", {"terms": [{"image": "AAAA" * 1_000_000}]})
    assert reply.status == 400
    assert reply.json["error"]["message"].startswith("the example that was sent cannot be read")
    assert len(reply.body) < 1000
