"""HTTP/1.1 requests over the daemon's Unix socket or loopback TCP, written out by hand.

`http.client` would double the client's start-up time, and so would `socket` with its enums: its C
half is enough here. Knows addresses, limits and deadlines; what an answer means is client.py's.
"""

from __future__ import annotations

import os
import sys
from time import monotonic, sleep

from imgq.errors import ClientError, NoDaemonError, RefusedError, TooLateError, UsageError

try:
    import _socket as socket  # `socket` itself imports selectors, enum and collections: 8 ms
except ImportError:
    import socket  # type: ignore[no-redef]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Tick = Callable[[], object]

HEAD_BYTES = 64 * 1024
BODY_BYTES = 256 * 1024 * 1024
TICK_S = 0.25
# The codes of refusals that no daemon has spoken: it went away in the middle, or without a word.
CUT, GONE = "cut", "gone"


class Address:
    """Where a daemon listens: a socket `path`, or `host` and `port` with the `token` file's path."""

    __slots__ = ("host", "path", "port", "token")

    def __init__(
        self, *, path: str = "", host: str = "", port: int = 0, token: str | None = None
    ) -> None:
        self.path = path
        self.host = host
        self.port = port
        self.token = token

    def __str__(self) -> str:
        return self.path or f"http://{_bracketed(self.host)}:{self.port}"


def parse_address(text: str, *, token: str | None = None) -> Address:
    """A socket path or `http://HOST:PORT`, as in IMGQ_SOCKET. Raises UsageError."""
    scheme, mark, rest = text.partition("://")
    if not mark:
        return Address(path=os.path.abspath(text))
    host, colon, port = rest.rstrip("/").rpartition(":")
    if (
        scheme.lower() != "http"
        or not colon
        or not host
        or not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536)
        or any(character in host for character in "/@?# \r\n")
    ):
        raise UsageError(
            f"IMGQ_SOCKET: {text!r} is neither a socket path nor http://127.0.0.1:PORT"
        )
    return Address(host=host.strip("[]"), port=int(port), token=token)


class Kept:
    """A connection kept open for the next request, at most one. Several threads may use it, one
    request each; a process that was forked off does not use that of its parent."""

    __slots__ = ("_process", "_there")

    def __init__(self) -> None:
        self._there: list[tuple[str, socket.socket]] = []
        self._process = os.getpid()

    def take(self, address: Address) -> socket.socket | None:
        """The connection to `address`, if there is one that the daemon has not ended."""
        try:
            where, connection = self._there.pop()
        except IndexError:
            return None
        if where == str(address) and self._process == os.getpid():
            connection.settimeout(0)
            try:
                connection.recv(1, socket.MSG_PEEK)
            except BlockingIOError:
                return connection
            except OSError:
                pass
        connection.close()
        return None

    def give(self, address: Address, connection: socket.socket) -> None:
        """Keeps a connection on which nothing is under way, or ends it."""
        if self._there or self._process != os.getpid():
            connection.close()
        else:
            self._there.append((str(address), connection))

    def close(self) -> None:
        """Ends the connection, if there is one."""
        while self._there:
            self._there.pop()[1].close()

    __del__ = close


class Reply:
    """An answer whose body is still to be read. `headers` have lower-case names."""

    __slots__ = ("_address", "_kept", "_stream", "headers", "status")

    def __init__(
        self,
        status: int,
        headers: dict[str, str],
        stream: _Stream,
        address: Address,
        kept: Kept | None,
    ) -> None:
        self.status = status
        self.headers = headers
        self._stream = stream
        self._address = address
        self._kept = kept

    def pieces(self) -> Iterator[bytes]:
        """The body as it comes. Raises RefusedError when it is cut off or misframed."""
        stream = self._stream
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            while size := _chunk_size(stream.line()):
                yield from stream.exactly(size)
                if stream.line():
                    raise _garbled()
            while stream.line():
                pass
        elif (length := self.headers.get("content-length")) is not None:
            if not (length.isascii() and length.isdigit()):
                raise _garbled()
            yield from stream.exactly(int(length))
        elif self.status not in (204, 304):
            yield from stream.rest()

    def read(self, limit: int = BODY_BYTES) -> bytes:
        """The whole body. Raises RefusedError when it is longer than `limit` bytes."""
        parts = []
        total = 0
        for piece in self.pieces():
            total += len(piece)
            if total > limit:
                raise RefusedError(f"the daemon's answer is longer than {limit >> 20} MB")
            parts.append(piece)
        more = self.headers.get("connection", "").lower() != "close"
        framed = "content-length" in self.headers and not self._stream.left
        if self._kept is not None and more and framed:
            self._kept.give(self._address, self._stream.connection)
        else:
            self.close()
        return b"".join(parts)

    def close(self) -> None:
        """Ends the connection; a second time is harmless."""
        self._stream.close()


class _Stream:
    """Buffered reading with a deadline; `tick` is called every TICK_S while nothing comes."""

    __slots__ = ("_deadline", "_tick", "connection", "left")

    def __init__(
        self, connection: socket.socket, deadline: float | None, tick: Tick | None
    ) -> None:
        self.connection = connection
        self._deadline = deadline
        self._tick = tick
        self.left = b""

    def _more(self) -> bytes:
        while True:
            left = None if self._deadline is None else self._deadline - monotonic()
            if left is not None and left <= 0:
                self.close()
                raise TooLateError("the daemon did not answer in time")
            wait = left if self._tick is None else TICK_S if left is None else min(left, TICK_S)
            self.connection.settimeout(wait)
            try:
                return self.connection.recv(65536)
            except TimeoutError:
                if self._tick is not None:
                    self._tick()
            except OSError as error:
                raise _broken(error) from None

    def begun(self) -> bool:
        """Waits for the first bytes; False when the connection ends without any."""
        try:
            self.left = self._more()
        except RefusedError as error:
            if error.code != CUT:
                raise
            return False
        return bool(self.left)

    def line(self) -> str:
        """One line without its end; at most HEAD_BYTES."""
        while (end := self.left.find(b"\n")) < 0:
            if len(self.left) > HEAD_BYTES:
                raise _garbled()
            more = self._more()
            if not more:
                raise _cut()
            self.left += more
        line = self.left[:end].rstrip(b"\r")
        self.left = self.left[end + 1 :]
        return line.decode("latin-1")

    def exactly(self, size: int) -> Iterator[bytes]:
        while size > 0:
            data = self.left or self._more()
            if not data:
                raise _cut()
            self.left = data[size:]
            data = data[:size]
            size -= len(data)
            yield data

    def rest(self) -> Iterator[bytes]:
        while data := self.left or self._more():
            self.left = b""
            yield data

    def close(self) -> None:
        self.connection.close()


def connect(address: Address, deadline: float | None = None) -> socket.socket:
    """A connected socket.

    Raises FileNotFoundError or ConnectionRefusedError when nothing listens there, NoDaemonError
    when something does that this user cannot reach, TooLateError after `deadline`.
    """
    while True:
        left = None if deadline is None else deadline - monotonic()
        if left is not None and left <= 0:
            raise TooLateError(f"nothing answered at {address} in time")
        try:
            return _connect(address, left)
        except (FileNotFoundError, ConnectionRefusedError):
            raise
        except (BlockingIOError, InterruptedError):
            sleep(0.01)  # a full queue at the daemon's door
        except TimeoutError:
            continue
        except OSError as error:
            raise NoDaemonError(
                f"cannot talk to the daemon at {address}: {error.strerror or error}"
            ) from None


def _connect(address: Address, timeout: float | None) -> socket.socket:
    if not address.path:
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        connection = socket.socket(family, socket.SOCK_STREAM)
        target: str | bytes | tuple[str, int] = (address.host, address.port)
    else:
        if not hasattr(socket, "AF_UNIX"):
            raise FileNotFoundError("there are no Unix sockets on this system")
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        target = os.fsencode(address.path)
    try:
        connection.settimeout(timeout)
        if isinstance(target, bytes) and len(target) > 103 and sys.platform == "linux":
            _connect_long(connection, address.path)
        else:
            connection.connect(target)
    except BaseException:
        connection.close()
        raise
    return connection


def _connect_long(connection: socket.socket, path: str) -> None:
    """A path that no socket address can hold, reached through its open folder."""
    folder = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY)
    try:
        connection.connect(os.fsencode(f"/proc/self/fd/{folder}/{os.path.basename(path)}"))
    finally:
        os.close(folder)


def request(
    address: Address,
    method: str,
    target: str,
    body: bytes | None = None,
    *,
    deadline: float | None = None,
    tick: Tick | None = None,
    kept: Kept | None = None,
) -> Reply:
    """Sends one request and reads the head of the answer. `deadline` is in `monotonic` time.

    `target` is a path with query, already quoted. With `kept` the connection that is there is used
    and left for the next request; the daemon may end it in the same moment, and is then asked
    again, so it is for what may be asked twice. Raises what `connect` raises, RefusedError when
    the answer is no HTTP, TooLateError after the deadline.
    """
    used = None if kept is None else kept.take(address)
    connection = connect(address, deadline) if used is None else used
    stream = _Stream(connection, deadline, tick)
    try:
        head = _head(address, method, target, body, keep=kept is not None)
        _send(connection, head, body, deadline)
        if not stream.begun():
            if used is not None:
                stream.close()
                return request(
                    address, method, target, body, deadline=deadline, tick=tick, kept=kept
                )
            raise RefusedError("the daemon stopped before it answered; ask again", code=GONE)
        status = 100
        while 100 <= status < 200:
            status, headers = _read_head(stream)
    except BaseException:
        stream.close()
        raise
    return Reply(status, headers, stream, address, kept)


def _head(address: Address, method: str, target: str, body: bytes | None, *, keep: bool) -> bytes:
    host = f"{_bracketed(address.host)}:{address.port}" if address.host else "localhost"
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}"]
    if not keep:
        lines.append("Connection: close")
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    if address.token and (token := _read_token(address.token)):
        lines.append(f"Authorization: Bearer {token}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


def _read_token(file: str) -> str | None:
    try:
        with open(file, encoding="ascii") as stream:
            token = stream.read(4096).strip()
    except (OSError, ValueError):
        return None
    return token if token.isprintable() else None


def _send(
    connection: socket.socket, head: bytes, body: bytes | None, deadline: float | None
) -> None:
    try:
        connection.settimeout(None if deadline is None else max(deadline - monotonic(), 0.001))
        connection.sendall(head + body if body else head)
    except TimeoutError:
        raise TooLateError("the daemon did not take the question in time") from None
    except (BrokenPipeError, ConnectionResetError):
        pass  # it may have refused a large body half-way: its answer says why
    except OSError as error:
        raise _broken(error) from None


def _read_head(stream: _Stream) -> tuple[int, dict[str, str]]:
    version, _, rest = stream.line().partition(" ")
    status = rest[:3]
    if not version.startswith("HTTP/1.") or len(status) != 3 or not status.isdigit():
        raise _garbled()
    headers: dict[str, str] = {} if version == "HTTP/1.1" else {"connection": "close"}
    total = 0
    while line := stream.line():
        total += len(line)
        name, colon, value = line.partition(":")
        if not colon or total > HEAD_BYTES:
            raise _garbled()
        headers[name.lower()] = value.strip()
    return int(status), headers


def _chunk_size(line: str) -> int:
    digits = line.partition(";")[0].strip()
    try:
        if not digits.isalnum() or len(digits) > 15:
            raise ValueError
        return int(digits, 16)
    except ValueError:
        raise _garbled() from None


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _garbled() -> ClientError:
    return RefusedError("what answered is not imgq's daemon; check IMGQ_SOCKET", code="garbled")


def _cut() -> ClientError:
    return RefusedError(
        "the daemon ended the connection in the middle; it may have stopped: imgqd status",
        code=CUT,
    )


def _broken(error: OSError) -> ClientError:
    return RefusedError(f"the connection to the daemon broke: {error.strerror or error}", code=CUT)
