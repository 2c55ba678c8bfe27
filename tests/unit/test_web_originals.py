"""A picture's own file over the API: parts, names, kinds, and never another file in its place."""

from __future__ import annotations

import os
import socket

import pytest

from imgqd.errors import NotFoundError
from imgqd.web.originals import PIECE, ChangedError, open_original
from tests.openapi_check import check_answer
from tests.unit.gallery import Gallery, unit
from tests.unit.small_daemon import running
from tests.unit.web_kit import Browser, link

WHOLE = b"\xff\xd8\xff" + bytes(range(256))
FILE = "/v1/pictures/1/original"


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    with running(str(tmp_path_factory.mktemp("home"))) as running_api:
        yield running_api


@pytest.mark.parametrize(
    ("wanted", "status", "body", "said"),
    [
        ("bytes=0-9", 206, WHOLE[:10], "bytes 0-9/259"),
        ("bytes=250-", 206, WHOLE[250:], "bytes 250-258/259"),
        ("bytes=-5", 206, WHOLE[-5:], "bytes 254-258/259"),
        ("bytes=-1000", 200, WHOLE, None),
        ("bytes=0-1000", 200, WHOLE, None),
        ("bytes=258-258", 206, WHOLE[258:], "bytes 258-258/259"),
        ("bytes=259-", 416, None, "bytes */259"),
        ("bytes=-0", 416, None, "bytes */259"),
        ("bytes=9-1", 200, WHOLE, None),
        ("bytes=-", 200, WHOLE, None),
        ("bytes=0-1,3-4", 200, WHOLE, None),
        ("items=0-1", 200, WHOLE, None),
        ("bytes=" + "9" * 30 + "-", 200, WHOLE, None),
    ],
)
def test_parts_of_a_file(api, wanted, status, body, said):
    reply = api.ask("GET", FILE, headers={"Range": wanted})
    assert (reply.status, reply.headers.get("Content-Range")) == (status, said)
    if body is not None:
        assert reply.body == body
    document = api.ask("GET", "/v1/openapi.json").json
    check_answer(document, "GET", FILE, reply)


def test_a_part_of_another_content_is_all_of_this_one(api):
    tag = api.ask("GET", FILE).headers["ETag"]
    part = {"Range": "bytes=0-9"}
    assert api.ask("GET", FILE, headers=part | {"If-Range": tag}).status == 206
    assert api.ask("GET", FILE, headers=part | {"If-Range": '"other"'}).body == WHOLE
    again = api.ask("GET", FILE, headers={"If-None-Match": tag})
    assert (again.status, again.body) == (304, b"")


def test_a_hostile_name_stays_one_quoted_header(api):
    reply = api.ask("GET", FILE + "?download=1")
    said = reply.headers["Content-Disposition"]
    assert said.startswith('attachment; filename="caf_')
    assert "\r" not in said and "\n" not in said and said.count('"') == 2
    assert said.endswith("filename*=UTF-8''caf%EF%BF%BD%20%22%0D%0A%3Cb%3E.jpg")
    shown = api.ask("GET", FILE)
    assert shown.headers["Content-Disposition"].startswith("inline;")
    assert shown.headers["Content-Type"] == "image/jpeg"
    assert shown.headers["X-Content-Type-Options"] == "nosniff"
    assert shown.headers["Content-Security-Policy"].startswith("default-src 'none'")


def test_thumbnails_are_kept_by_whoever_says_which_library_is_meant(api):
    browser = Browser(link(api.locations.socket)).enter()
    target = "/v1/pictures/1/thumbnail?side=64"
    plain, kept = browser.ask("GET", target), browser.ask("GET", target + "&v=abc")
    assert plain.headers["Cache-Control"] == "private, no-cache"
    assert kept.headers["Cache-Control"] == "private, max-age=86400, immutable"
    assert plain.headers["ETag"] == kept.headers["ETag"]
    tag = {"If-None-Match": plain.headers["ETag"]}
    assert browser.ask("GET", target, headers=tag).status == 304


# -- over a real library


@pytest.fixture
def gallery(tmp_path):
    return Gallery(str(tmp_path))


def added(gallery, name="a.jpg", **facts):
    number = gallery.add(name, unit(1)[0], **facts)
    return number, gallery.path(name)


def opened(gallery, number, *, follow_links=False):
    picture = gallery.store.pictures([number])[number]
    return open_original(gallery.store, picture, follow_links=follow_links)


def test_the_file_itself_is_read(gallery):
    number, path = added(gallery)
    original = opened(gallery, number)
    with open(path, "rb") as stream:
        assert original.read(0, original.size) == stream.read()
    assert original.name == b"a.jpg"
    original.close()


def test_a_file_swapped_for_another_is_not_sent(gallery, tmp_path):
    number, path = added(gallery)
    os.unlink(path)
    with open(path, "wb") as stream:
        stream.write(b"root:x:0:0")
    with pytest.raises(NotFoundError, match="moved or changed"):
        opened(gallery, number)


@pytest.mark.parametrize("follow_links", [False, True])
def test_a_file_swapped_for_a_link_is_not_sent(gallery, follow_links):
    number, path = added(gallery)
    os.unlink(path)
    os.symlink("/etc/passwd", path)
    with pytest.raises(NotFoundError):
        opened(gallery, number, follow_links=follow_links)


def test_a_folder_swapped_for_a_link_leads_nowhere_else(gallery, tmp_path):
    number, path = added(gallery, "sub/a.jpg")
    folder = os.path.dirname(path)
    os.rename(folder, folder + b"-away")
    elsewhere = os.path.join(os.fsencode(tmp_path), b"elsewhere")
    os.mkdir(elsewhere)
    with open(os.path.join(elsewhere, b"a.jpg"), "wb") as stream:
        stream.write(b"secret")
    os.symlink(elsewhere, folder)
    with pytest.raises(NotFoundError):
        opened(gallery, number)


def test_a_pipe_or_a_socket_in_its_place_holds_nobody_up(gallery):
    number, path = added(gallery)
    os.unlink(path)
    os.mkfifo(path)
    with pytest.raises(NotFoundError):
        opened(gallery, number)
    os.unlink(path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        with pytest.raises(NotFoundError):
            opened(gallery, number)


def test_a_copy_is_sent_where_the_first_file_has_gone(gallery):
    number, path = added(gallery)
    gallery.copy(number, "copy.jpg")
    os.unlink(path)
    original = opened(gallery, number)
    assert original.name == b"copy.jpg"
    original.close()


def test_a_file_that_changes_while_it_is_sent_is_cut_off(gallery):
    number, path = added(gallery)
    original = opened(gallery, number)
    assert original.read(0, 1)
    with open(path, "ab") as stream:
        stream.write(b"root:x:0:0")
    with pytest.raises(ChangedError):
        original.read(1, PIECE)
    original.close()


@pytest.mark.parametrize(
    ("format", "kind", "how"),
    [
        ("jpeg", "image/jpeg", "inline"),
        ("webp", "image/webp", "inline"),
        ("avif", "image/avif", "inline"),
        ("heic", "image/heic", "attachment"),
        ("tiff", "image/tiff", "attachment"),
        ("raw", "application/octet-stream", "attachment"),
        ("svg", "application/octet-stream", "attachment"),
    ],
)
def test_only_what_is_shown_as_a_picture_is_inline(gallery, format, kind, how):
    # By what was indexed, whatever the name says.
    number, _ = added(gallery, "page.html", format=format)
    original = opened(gallery, number)
    assert original.kind == kind
    assert original.disposition(download=False).startswith(how)
    assert original.disposition(download=True).startswith("attachment")
    original.close()
