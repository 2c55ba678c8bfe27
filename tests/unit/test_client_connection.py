"""HTTP by hand: framing, limits, deadlines, long paths and what is told apart when it goes wrong."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from imgq import connection
from imgq.connection import Address, Kept, parse_address, request
from imgq.errors import NoDaemonError, RefusedError, TooLateError, UsageError
from tests.unit.client_stand_in import Said, StandIn


@contextmanager
def peer(path: str, serve: Callable[[socket.socket], None]) -> Iterator[Address]:
    """A listener that hands its first connection to `serve`."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(1)

        def accept() -> None:
            accepted, _ = listener.accept()
            with accepted:
                serve(accepted)

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield Address(path=path)
        finally:
            thread.join()


def saying(*parts: bytes) -> Callable[[socket.socket], None]:
    def serve(accepted: socket.socket) -> None:
        accepted.recv(65536)
        with contextlib.suppress(BrokenPipeError):
            for part in parts:
                accepted.sendall(part)
                time.sleep(0.01)

    return serve


@pytest.fixture
def path(tmp_path: os.PathLike[str]) -> str:
    return os.path.join(tmp_path, "s")


def read(address: Address) -> bytes:
    return request(address, "GET", "/", deadline=time.monotonic() + 10).read()


@pytest.mark.parametrize(
    ("parts", "body"),
    [
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello and more"], b"hello"),
        ([b"HTTP/1.1 200 OK\r\ncontent-length:5\r\n\r\n", b"he", b"llo"], b"hello"),
        ([b"HTTP/1.0 200 OK\n\nup to ", b"the end"], b"up to the end"),
        ([b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"], b""),
        ([b"HTTP/1.1 204 No Content\r\n\r\n"], b""),
        ([b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"], b"x"),
        (
            [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n", b"3;a=b\r\nabc\r", b"\n0a",
             b"\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n"],
            b"abc0123456789",
        ),
    ],
)  # fmt: skip
def test_bodies_in_every_framing(path: str, parts: list[bytes], body: bytes) -> None:
    with peer(path, saying(*parts)) as address:
        assert read(address) == body


@pytest.mark.parametrize(
    "said",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabcd\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 16 + b"\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
        b"x" * 100_000,
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\ncut",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-",
        b"",
    ],
    ids=lambda said: repr(said[:60]),
)
def test_what_is_no_answer_is_refused(path: str, said: bytes) -> None:
    with peer(path, saying(said)) as address, pytest.raises(RefusedError):
        read(address)


def test_a_body_has_a_limit(path: str) -> None:
    with (
        peer(path, saying(b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" + b"x" * 3000000))
        as address,
        pytest.raises(RefusedError, match="longer than 1 MB"),
    ):  # fmt: skip
        request(address, "GET", "/").read(1 << 20)


def test_a_deadline_holds_against_silence_and_against_trickling(path: str) -> None:
    def trickle(accepted: socket.socket) -> None:
        accepted.recv(65536)
        try:
            accepted.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            for _ in range(1000):
                accepted.sendall(b"x")
                time.sleep(0.01)
        except OSError:
            pass

    def silent(accepted: socket.socket) -> None:
        while accepted.recv(65536):
            pass

    for serve in (trickle, silent):
        with peer(path, serve) as address, pytest.raises(TooLateError):
            request(address, "GET", "/", deadline=time.monotonic() + 0.2).read()
        os.unlink(path)


def test_ticks_come_while_nothing_does(path: str) -> None:
    ticks = []

    def slow(accepted: socket.socket) -> None:
        accepted.recv(65536)
        while len(ticks) < 2:
            time.sleep(0.01)
        accepted.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")

    with peer(path, slow) as address:
        assert request(address, "GET", "/", tick=lambda: ticks.append(1)).read() == b"x"


def test_a_refusal_half_way_through_a_large_body_is_heard(path: str) -> None:
    def refuse(accepted: socket.socket) -> None:
        accepted.recv(1000)
        accepted.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        accepted.shutdown(socket.SHUT_RD)

    with peer(path, refuse) as address:
        reply = request(address, "POST", "/", b"x" * 10_000_000)
        assert (reply.status, reply.read()) == (413, b"no")


def test_nothing_there_and_nobody_listening_are_told_apart_from_no_permission(path: str) -> None:
    with pytest.raises(FileNotFoundError):
        connection.connect(Address(path=path))
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(path)
        with pytest.raises(ConnectionRefusedError):
            connection.connect(Address(path=path))
    os.mkdir(path + "d")
    with pytest.raises((NoDaemonError, ConnectionRefusedError)):
        connection.connect(Address(path=path + "d"))


def test_a_full_queue_is_waited_for(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(0)
        taken = []
        while True:
            one = socket.socket(socket.AF_UNIX)
            one.setblocking(False)
            taken.append(one)
            try:
                one.connect(path)
            except BlockingIOError:
                break
        with pytest.raises(TooLateError):
            connection.connect(Address(path=path), time.monotonic() + 0.1)

        def make_room() -> None:
            time.sleep(0.1)
            listener.accept()[0].close()

        thread = threading.Thread(target=make_room)
        thread.start()
        connection.connect(Address(path=path), time.monotonic() + 30).close()
        thread.join()
        for one in taken:
            one.close()


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="Linux's way")
def test_a_path_that_no_socket_address_holds_is_reached(
    tmp_path: os.PathLike[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = os.path.join(tmp_path, "x" * 100, "y" * 100)
    os.makedirs(folder)
    monkeypatch.chdir(folder)
    with StandIn("imgqd.sock"):
        assert (
            b"idle"
            in request(Address(path=os.path.join(folder, "imgqd.sock")), "GET", "/v1/status").read()
        )


def test_loopback_sends_host_and_token(tmp_path: os.PathLike[str]) -> None:
    token = os.path.join(tmp_path, "token")
    with open(token, "w") as stream:
        stream.write("s3cret\n")
    with StandIn(token="s3cret") as stand_in:
        address = parse_address(f"http://127.0.0.1:{stand_in.port}/", token=token)
        assert request(address, "GET", "/v1/status").status == 200
        assert stand_in.asked[-1].headers["host"] == f"127.0.0.1:{stand_in.port}"
        address.token = None
        assert request(address, "GET", "/v1/status").status == 401


@pytest.mark.parametrize("token", ["a\r\nX: y", "", "caf\xe9"])
def test_a_token_can_add_no_header(tmp_path: os.PathLike[str], token: str) -> None:
    file = os.path.join(tmp_path, "token")
    with open(file, "w", encoding="utf-8", newline="") as stream:
        stream.write(token)
    with StandIn() as stand_in:
        address = Address(host="127.0.0.1", port=stand_in.port, token=file)
        request(address, "GET", "/v1/status").read()
        assert not {"x", "authorization"} & set(stand_in.asked[-1].headers)


def test_an_answer_in_chunks_of_a_real_server(path: str) -> None:
    with StandIn(path) as stand_in:
        stand_in.routes["GET", "/x"] = lambda asked: Said(b"piece by piece", chunked=True)
        assert request(Address(path=path), "GET", "/x").read() == b"piece by piece"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("HTTP://localhost:80/", "http://localhost:80"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("/run/imgqd.sock", "/run/imgqd.sock"),
    ],
)
def test_addresses(text: str, shown: str) -> None:
    assert str(parse_address(text)) == shown


def test_a_relative_socket_path_is_made_absolute(
    monkeypatch: pytest.MonkeyPatch, tmp_path: os.PathLike[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert parse_address("s").path == os.path.join(tmp_path, "s")


@pytest.mark.parametrize(
    "text",
    ["https://127.0.0.1:1", "http://127.0.0.1", "http://:80", "http://h:0", "http://h:65536",
     "http://h:x", "http://u@h:1", "http://h:1/path", "ftp://h:1", "http://a b:1",
     "http://h:1\r\nX: y"],
)  # fmt: skip
def test_what_is_no_address_is_wrong_usage(text: str) -> None:
    with pytest.raises(UsageError, match="IMGQ_SOCKET"):
        parse_address(text)


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n"


@contextmanager
def peers(path: str, *serve: Callable[[socket.socket], None]) -> Iterator[Address]:
    """A listener whose connections are served one after the other, each by its own function."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(8)

        def accept() -> None:
            for one in serve:
                accepted, _ = listener.accept()
                with accepted:
                    one(accepted)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield Address(path=path)
        thread.join(10)
        assert not thread.is_alive()


def asking(kept: Kept, address: Address) -> bytes:
    return request(address, "GET", "/", deadline=time.monotonic() + 10, kept=kept).read()


def test_a_kept_connection_serves_the_next_request(path: str) -> None:
    def twice(accepted: socket.socket) -> None:
        for said in (b"a", b"b"):
            assert b"Connection: close" not in accepted.recv(65536)
            accepted.sendall(OK + said)

    with peers(path, twice) as address:
        kept = Kept()
        assert [asking(kept, address), asking(kept, address)] == [b"a", b"b"]
        kept.close()


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na",
        b"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 1\r\n\r\na",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
        OK + b"a and more",
    ],
    ids=lambda said: repr(said[:60]),
)
def test_what_may_not_be_kept_is_ended(path: str, said: bytes) -> None:
    def once(accepted: socket.socket) -> None:
        accepted.recv(65536)
        accepted.sendall(said)
        assert accepted.recv(65536) == b""

    with peers(path, once, saying(OK + b"b")) as address:
        kept = Kept()
        assert [asking(kept, address), asking(kept, address)] == [b"a", b"b"]
        kept.close()


def test_a_kept_connection_that_was_ended_is_made_anew(path: str) -> None:
    ended = threading.Event()

    def first(accepted: socket.socket) -> None:
        accepted.recv(65536)
        accepted.sendall(OK + b"a")
        accepted.close()
        ended.set()

    def in_the_same_moment(accepted: socket.socket) -> None:
        accepted.recv(65536)
        accepted.sendall(OK + b"b")
        accepted.recv(65536)  # the next request has come, and has no answer

    with peers(path, first, in_the_same_moment, saying(OK + b"c")) as address:
        kept = Kept()
        assert asking(kept, address) == b"a"
        assert ended.wait(10)
        assert [asking(kept, address), asking(kept, address)] == [b"b", b"c"]
        kept.close()


def test_a_kept_connection_is_of_one_address_and_one_process(path: str) -> None:
    with peers(path, *[saying(OK + b"a")] * 2) as address, peers(path + "2") as other:
        kept = Kept()
        asking(kept, address)
        assert kept.take(other) is None
        asking(kept, address)
        kept._process += 1
        assert kept.take(address) is None


def test_many_threads_may_keep_one_connection(tmp_path: os.PathLike[str]) -> None:
    with StandIn(os.path.join(tmp_path, "s")) as stand_in:
        stand_in.stays_open = True
        kept, said = Kept(), []
        address = Address(path=stand_in.path or "")

        def ask(number: int) -> None:
            stand_in.routes["GET", f"/{number}"] = lambda asked: Said(number)
            for _ in range(50):
                reply = request(address, "GET", f"/{number}", kept=kept)
                said.append(int(reply.read()) == number)

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        kept.close()
    assert said == [True] * 200
