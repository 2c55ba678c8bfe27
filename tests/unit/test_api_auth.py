"""Who is let in: the user on the Unix socket, the holder of the token on loopback TCP."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import sys

import psutil
import pytest

from imgq.client import Client
from imgq.errors import ClientError
from imgq.locations import read_endpoint
from imgqd.api.auth import TokenFile
from imgqd.api.server import bind_tcp, bind_unix, checked_host
from imgqd.errors import AlreadyRunningError, ImgqError, UsageError
from tests.unit.small_daemon import free_port, running


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    with running(str(tmp_path_factory.mktemp("home")), tcp=True) as running_api:
        yield running_api


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def test_socket_token_and_folder_are_this_users_alone(api):
    assert mode(api.locations.socket) == 0o600
    assert mode(api.locations.token) == 0o600
    assert mode(api.locations.endpoint) == 0o600
    assert mode(os.path.dirname(api.locations.socket)) == 0o700


def test_no_token_is_needed_on_the_socket(api):
    assert api.ask("GET", "/v1/status").status == 200


def test_the_token_opens_loopback_tcp(api):
    reply = api.ask("GET", "/v1/status", headers=bearer(api.token), tcp=True)
    assert reply.status == 200
    same = {"Origin": f"http://127.0.0.1:{api.port}", "Sec-Fetch-Site": "same-origin"}
    reply = api.ask("GET", "/v1/status", headers=bearer(api.token) | same, tcp=True)
    assert reply.status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer caf\xe9"},
        {"Authorization": "Basic TOKEN"},
        {"Authorization": "Bearer TOKENx"},
        {"Authorization": "TOKEN"},
        {"X-Token": "TOKEN"},
        {"Cookie": "token=TOKEN"},
    ],
)
def test_without_the_right_token_nothing_is_answered(api, headers):
    headers = {name: value.replace("TOKEN", api.token) for name, value in headers.items()}
    for method, target in (("GET", "/v1/status"), ("POST", "/v1/stop"), ("GET", "/v1/nowhere")):
        reply = api.ask(method, target, headers=headers, tcp=True)
        assert (reply.status, reply.code) == (401, "unauthorized")
        assert reply.headers["WWW-Authenticate"].startswith("Bearer")
    assert not api.daemon.stopped.is_set()


def test_a_token_in_the_address_does_not_count(api):
    assert api.ask("GET", f"/v1/status?token={api.token}", tcp=True).status == 401


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:PORT", "127.0.0.1:1", "", "localhost", "127.0.0.1.nip.io:PORT"],
)
def test_a_foreign_host_is_refused_even_with_the_token(api, host):
    headers = bearer(api.token) | {"Host": host.replace("PORT", str(api.port))}
    reply = api.ask("POST", "/v1/stop", headers=headers, tcp=True)
    assert (reply.status, reply.code) == (403, "wrong-host")
    assert not api.daemon.stopped.is_set()


def test_no_host_and_two_hosts_are_refused(api):
    right = f"Host: 127.0.0.1:{api.port}\r\n"
    for hosts in ("", right * 2, right + "Host: evil.example\r\n"):
        with api.connect(tcp=True) as connection:
            head = f"GET /v1/status HTTP/1.1\r\n{hosts}Authorization: Bearer {api.token}\r\n\r\n"
            connection.sendall(head.encode())
            status = int(connection.recv(65536).split()[1])
            assert status in (400, 403)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "https://127.0.0.1:PORT"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_foreign_web_page_is_refused_even_with_the_token(api, headers):
    headers = {name: value.replace("PORT", str(api.port)) for name, value in headers.items()}
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    reply = api.ask(
        "POST", "/v1/stop", b"x=1", headers=bearer(api.token) | headers | form, tcp=True
    )
    assert (reply.status, reply.code) == (403, "wrong-origin")
    assert not api.daemon.stopped.is_set()


def test_host_is_looked_at_before_origin_and_origin_before_the_token(api):
    foreign = {"Origin": "http://evil.example"}
    both = foreign | {"Host": "evil.example"}
    assert api.ask("GET", "/v1/status", headers=both, tcp=True).code == "wrong-host"
    assert api.ask("GET", "/v1/status", headers=foreign, tcp=True).code == "wrong-origin"
    assert api.ask("GET", "/v1/status", tcp=True).code == "unauthorized"


def test_a_form_is_refused_over_tcp_even_from_the_right_origin(api):
    headers = bearer(api.token) | {"Content-Type": "text/plain"}
    reply = api.ask("POST", "/v1/stop", b"{}", headers=headers, tcp=True)
    assert (reply.status, reply.code) == (400, "not-json")
    assert not api.daemon.stopped.is_set()


def test_no_url_is_fetched_for_a_caller_over_tcp(api):
    body = {"terms": [{"url": "http://127.0.0.1/"}]}
    asked = len(api.daemon.requests)
    reply = api.ask("POST", "/v1/search", body, headers=bearer(api.token), tcp=True)
    assert (reply.status, reply.code) == (403, "url-not-allowed")
    assert len(api.daemon.requests) == asked
    assert api.ask("POST", "/v1/search", body).status == 200


def test_urls_are_fetched_over_tcp_where_that_is_switched_on(tmp_path):
    body = {"terms": [{"url": "http://127.0.0.1/"}]}
    with running(str(tmp_path), tcp=True, fetch_urls=True) as api:
        reply = api.ask("POST", "/v1/search", body, headers=bearer(api.token), tcp=True)
        assert reply.status == 200
        assert api.daemon.requests == [body]


def test_a_whole_url_cannot_stand_in_for_the_host(api):
    with api.connect(tcp=True) as connection:
        head = (
            f"GET http://evil.example/v1/status HTTP/1.1\r\nHost: 127.0.0.1:{api.port}\r\n"
            f"Authorization: Bearer {api.token}\r\n\r\n"
        )
        connection.sendall(head.encode())
        assert int(connection.recv(65536).split()[1]) == 400


def test_a_token_that_was_replaced_counts_from_the_next_request(tmp_path):
    with running(str(tmp_path), tcp=True) as api:
        old = api.token
        assert api.ask("GET", "/v1/status", headers=bearer(old), tcp=True).status == 200
        new = TokenFile(api.locations.token).rotate()
        assert new != old
        assert api.ask("GET", "/v1/status", headers=bearer(old), tcp=True).status == 401
        assert api.ask("GET", "/v1/status", headers=bearer(new), tcp=True).status == 200


@pytest.mark.parametrize("damage", ["missing", "empty", "short", "binary", "readable"])
def test_a_token_that_is_no_secret_is_made_anew(tmp_path, damage):
    path = str(tmp_path / "token")
    first = TokenFile(path).value()
    if damage == "missing":
        os.unlink(path)
    elif damage == "readable":
        os.chmod(path, 0o640)
    else:
        with open(path, "wb") as stream:
            stream.write({"empty": b"", "short": b"abc\n", "binary": b"\xff" * 64}[damage])
    second = TokenFile(path).value()
    assert second != first
    assert len(second) >= 32
    assert mode(path) == 0o600
    assert TokenFile(path).value() == second
    assert os.listdir(tmp_path) == ["token"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
def test_another_user_is_refused_even_where_permissions_would_allow(tmp_path):
    # Far from pytest's own folders, which another user could not even enter.
    home = "/tmp/imgq-other-user-test"
    shutil.rmtree(home, ignore_errors=True)
    os.mkdir(home, 0o700)
    program = (
        "import os, socket, sys\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "s = socket.socket(socket.AF_UNIX)\n"
        "try:\n    s.connect(sys.argv[1])\n"
        "except PermissionError:\n    print('EACCES'); sys.exit()\n"
        "s.sendall(b'POST /v1/stop HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n')\n"
        "print(s.recv(65536).decode())\n"
    )

    def as_nobody(path):
        arguments = [sys.executable, "-S", "-c", program, path]
        return subprocess.run(arguments, capture_output=True, text=True, timeout=60).stdout

    try:
        with running(home) as api:
            assert as_nobody(api.locations.socket).strip() == "EACCES"
            os.chmod(home, 0o755)
            assert as_nobody(api.locations.socket).strip() == "EACCES"
            os.chmod(api.locations.socket, 0o666)
            answer = as_nobody(api.locations.socket)
            assert answer.startswith("HTTP/1.1 403")
            assert "wrong-user" in answer
            assert not api.daemon.stopped.is_set()
    finally:
        shutil.rmtree(home)


def test_tcp_is_off_unless_asked_for(tmp_path):
    with running(str(tmp_path)) as api:
        assert api.server.http is None
        assert not os.path.exists(api.locations.token)


LOOPBACK = checked_host("127.0.0.1", allow_lan=False)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1"])
def test_tcp_listens_on_the_loopback_address_that_is_named(tmp_path, host):
    with running(str(tmp_path), tcp=True, http_host=host) as api:
        with pytest.raises(ClientError, match="token"):
            Client(api.server.http, timeout=30).status()
        (listening,) = {
            line.laddr.ip
            for line in psutil.Process().net_connections("tcp")
            if line.status == psutil.CONN_LISTEN and line.laddr.port == api.port
        }
        assert listening == host


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "2001:db8::1", "::ffff:192.0.2.7"])
def test_any_other_address_is_refused_with_the_risk_and_a_way_out(tmp_path, host):
    with pytest.raises(UsageError, match=host), running(str(tmp_path), tcp=True, http_host=host):
        pass
    assert not os.path.exists(tmp_path / "token")


def test_the_risk_can_be_taken_for_one_address_but_not_for_all():
    assert str(checked_host("192.0.2.7", allow_lan=True)) == "192.0.2.7"
    with pytest.raises(UsageError, match="nothing is encrypted there"):
        checked_host("192.0.2.7", allow_lan=False)
    for every in ("0.0.0.0", "::", "::ffff:0.0.0.0"):
        with pytest.raises(UsageError, match="name the one"):
            checked_host(every, allow_lan=True)
    with pytest.raises(UsageError, match="not an IP address"):
        checked_host("nas.example", allow_lan=True)


def test_the_host_header_must_name_the_address_that_is_listened_on(tmp_path):
    with running(str(tmp_path), tcp=True, http_host="::1") as api:
        for host, status in ((f"[::1]:{api.port}", 200), (f"127.0.0.1:{api.port}", 403)):
            headers = bearer(api.token) | {"Host": host}
            with socket.create_connection(("::1", api.port), 30) as connection:
                head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
                connection.sendall(f"GET /v1/status HTTP/1.1\r\n{head}\r\n".encode())
                assert int(connection.recv(65536).split()[1]) == status


def test_a_port_that_is_taken_or_is_none_is_named():
    port = free_port()
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        with pytest.raises(
            ImgqError, match=f"http_port {port} on 127.0.0.1: another program uses it"
        ):
            bind_tcp(LOOPBACK, port)
    with pytest.raises(UsageError, match="70000"):
        bind_tcp(LOOPBACK, 70000)


def test_the_socket_of_a_daemon_that_died_is_recovered(tmp_path):
    path = str(tmp_path / "imgqd.sock")
    bind_unix(path).close()
    assert os.path.exists(path)
    with bind_unix(path):
        assert mode(path) == 0o600


def test_the_socket_of_a_running_daemon_is_left_alone(tmp_path):
    path = str(tmp_path / "imgqd.sock")
    with bind_unix(path) as listener:
        listener.listen()
        inode = os.stat(path).st_ino
        with pytest.raises(AlreadyRunningError, match="another daemon answers"):
            bind_unix(path)
        assert os.stat(path).st_ino == inode


def test_a_file_in_the_sockets_place_is_not_removed(tmp_path):
    path = tmp_path / "imgqd.sock"
    path.write_text("mine")
    with pytest.raises(UsageError, match="is not a socket"):
        bind_unix(str(path))
    assert path.read_text() == "mine"


def test_nothing_is_left_behind_after_stopping(tmp_path):
    with running(str(tmp_path), tcp=True) as api:
        assert os.path.exists(api.locations.endpoint)
    assert sorted(os.listdir(tmp_path)) == ["token"]


def test_a_socket_handed_over_by_a_service_manager_is_served_and_left(tmp_path):
    home = tmp_path / "home"
    with bind_unix(str(tmp_path / "given.sock")) as listener:
        listener.listen()
        with running(str(home), inherited=[listener.dup()]) as api:
            endpoint = read_endpoint(api.locations.endpoint)
            assert endpoint["socket"] == str(tmp_path / "given.sock")
            assert not os.path.exists(api.locations.socket)
            client = Client(endpoint["socket"])
            assert client.status()["pid"] == os.getpid()
        assert os.path.exists(tmp_path / "given.sock")
        assert not os.path.exists(api.locations.endpoint)
