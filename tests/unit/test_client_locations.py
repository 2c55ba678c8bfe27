"""Paths agree with platformdirs on every platform, and the socket always has a usable address."""

from __future__ import annotations

import os
import socket
import sys
import warnings

import platformdirs
import pytest
from platformdirs.macos import MacOS
from platformdirs.unix import Unix
from platformdirs.windows import Windows

from imgq.locations import SOCKET_LIMIT, locate, make_private, read_endpoint, write_endpoint

VARIABLES = ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME")


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*VARIABLES, "XDG_RUNTIME_DIR", "IMGQ_HOME", "IMGQ_SOCKET"):
        monkeypatch.delenv(name, raising=False)


def agrees(dirs: Unix | MacOS | Windows, platform: str) -> None:
    ours = locate(platform=platform)
    join = os.path.join if platform != "win32" else "{}\\{}".format
    assert ours.data == dirs.user_data_dir
    assert ours.database == join(dirs.user_data_dir, "library.db")
    assert ours.index == join(dirs.user_data_dir, "index")
    assert ours.config == join(dirs.user_config_dir, "config.toml")
    assert ours.models == join(dirs.user_cache_dir, "models")
    assert ours.thumbs == join(dirs.user_cache_dir, "thumbs")
    assert ours.log == join(dirs.user_log_dir, "imgqd.log")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of every fallback
        assert ours.socket == join(dirs.user_runtime_dir, "imgqd.sock")


@pytest.mark.parametrize("home", ["/home/ann", "/home/ann/", "", "relative", None])
def test_linux_agrees_with_platformdirs(monkeypatch: pytest.MonkeyPatch, home: str | None) -> None:
    if home is None:
        monkeypatch.delenv("HOME", raising=False)
    else:
        monkeypatch.setenv("HOME", home)
    agrees(Unix("imgq"), "linux")


@pytest.mark.parametrize("value", ["/elsewhere/x", "not/absolute", ""])
@pytest.mark.parametrize("name", VARIABLES)
def test_xdg_variables_count_when_absolute(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    agrees(Unix("imgq"), "linux")
    agrees(MacOS("imgq"), "darwin")


def test_the_function_used_by_everyone_agrees_on_this_platform() -> None:
    assert locate().data == platformdirs.user_data_dir("imgq")


def test_macos_agrees_with_platformdirs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/Users/ann")
    agrees(MacOS("imgq"), "darwin")
    assert locate(platform="darwin").data == "/Users/ann/Library/Application Support/imgq"


def test_windows_agrees_with_platformdirs(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("LOCAL_APPDATA", "APPDATA"):
        monkeypatch.setenv(f"WIN_PD_OVERRIDE_{kind}", "C:\\Users\\ann\\AppData\\Local")
    dirs = Windows("imgq")
    ours = locate({"LOCALAPPDATA": "C:\\Users\\ann\\AppData\\Local"}, "win32")
    # platformdirs joins with this system's separator when it plays Windows.
    for mine, theirs in (
        (ours.data, dirs.user_data_dir),
        (ours.runtime, dirs.user_runtime_dir.replace("Local/Temp", "Local\\Temp")),
        (ours.log, dirs.user_log_dir + "\\imgqd.log"),
        (ours.models, dirs.user_cache_dir + "\\models"),
        (ours.config, dirs.user_config_dir + "\\config.toml"),
    ):
        assert mine == theirs.replace("/", "\\")


def test_windows_without_localappdata_uses_the_profile() -> None:
    ours = locate({"USERPROFILE": "C:\\Users\\ann"}, "win32")
    assert ours.data == "C:\\Users\\ann\\AppData\\Local\\imgq\\imgq"


def test_a_private_runtime_folder_is_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: os.PathLike[str]
) -> None:
    runtime = os.path.join(tmp_path, "run")
    os.mkdir(runtime, 0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
    assert locate().socket == os.path.join(runtime, "imgq", "imgqd.sock")
    agrees(Unix("imgq"), "linux")


@pytest.mark.parametrize("spoil", ["open", "link", "file"])
def test_a_runtime_folder_that_others_could_enter_is_not_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: os.PathLike[str], spoil: str
) -> None:
    runtime = os.path.join(tmp_path, "run")
    if spoil == "open":
        os.mkdir(runtime)
        os.chmod(runtime, 0o755)
    elif spoil == "link":
        os.mkdir(os.path.join(tmp_path, "real"), 0o700)
        os.symlink(os.path.join(tmp_path, "real"), runtime)
    else:
        open(runtime, "w").close()
    monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
    assert not locate().socket.startswith(runtime)
    agrees(Unix("imgq"), "linux")


def test_a_missing_runtime_folder_is_used_where_it_can_be_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: os.PathLike[str]
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", os.path.join(tmp_path, "later"))
    assert locate().runtime == os.path.join(tmp_path, "later", "imgq")
    agrees(Unix("imgq"), "linux")


def test_without_a_runtime_folder_the_temporary_one_is_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: os.PathLike[str]
) -> None:
    if os.path.isdir(f"/run/user/{os.geteuid()}"):
        pytest.skip("this system has a runtime folder without being told")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert locate().runtime == os.path.join(tmp_path, f"runtime-{os.geteuid()}", "imgq")


def test_a_temporary_runtime_folder_made_by_someone_else_is_not_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: os.PathLike[str]
) -> None:
    if os.path.isdir(f"/run/user/{os.geteuid()}"):
        pytest.skip("this system has a runtime folder without being told")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    os.symlink("/", os.path.join(tmp_path, f"runtime-{os.geteuid()}"))
    ours = locate()
    assert ours.runtime == os.path.join(ours.data, "run")


def test_imgq_home_holds_everything(tmp_path: os.PathLike[str]) -> None:
    home = str(tmp_path)
    ours = locate({"IMGQ_HOME": home})
    assert (ours.home, ours.data) == (home, home)
    names = {
        "config": "config.toml", "database": "library.db", "index": "index", "models": "models",
        "thumbs": "thumbs", "lock": "imgqd.lock", "log": "imgqd.log", "endpoint": "endpoint.json",
        "socket": "imgqd.sock", "token": "token",
    }  # fmt: skip
    for attribute, name in names.items():
        assert getattr(ours, attribute) == os.path.join(home, name)


def test_imgq_home_is_made_absolute(
    monkeypatch: pytest.MonkeyPatch, tmp_path: os.PathLike[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert locate({"IMGQ_HOME": "sub/../here"}).home == os.path.join(tmp_path, "here")
    assert locate({"IMGQ_HOME": "~/x", "HOME": "/home/ann"}).home == "/home/ann/x"


def test_a_home_with_bytes_that_are_no_text_keeps_them() -> None:
    home = os.fsdecode(b"/photos/\xff\xfe")
    assert os.fsencode(locate({"IMGQ_HOME": home}).database) == b"/photos/\xff\xfe/library.db"


@pytest.mark.parametrize("length", [89, 90, 150, 400])
def test_a_long_home_gets_a_socket_that_can_be_bound(
    tmp_path: os.PathLike[str], length: int
) -> None:
    home = str(tmp_path)
    while len(home) < length:
        home = os.path.join(home, "x" * min(50, max(length - len(home) - 1, 1)))
    ours = locate({"IMGQ_HOME": home, "TMPDIR": str(tmp_path)})
    assert len(os.fsencode(ours.socket)) <= SOCKET_LIMIT
    assert ours.token == os.path.join(os.path.dirname(ours.socket), "token")
    assert ours.database == os.path.join(home, "library.db")
    make_private(ours.runtime)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(ours.socket)
    os.unlink(ours.socket)
    os.rmdir(ours.runtime) if ours.runtime != home else None


def test_two_long_homes_do_not_share_a_socket() -> None:
    one, other = (locate({"IMGQ_HOME": "/x" * 80 + last}) for last in "ab")
    assert one.socket != other.socket


def test_no_home_at_all_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError, match="IMGQ_HOME"):
        locate({}, "win32")


def test_make_private_makes_and_mends(tmp_path: os.PathLike[str]) -> None:
    folder = os.path.join(tmp_path, "a", "b")
    make_private(folder)
    assert os.stat(folder).st_mode & 0o777 == 0o700
    os.chmod(folder, 0o755)
    make_private(folder)
    assert os.stat(folder).st_mode & 0o777 == 0o700


def test_make_private_refuses_what_is_not_ours_alone(tmp_path: os.PathLike[str]) -> None:
    os.symlink(tmp_path, os.path.join(tmp_path, "link"))
    shared = os.path.join(tmp_path, "shared")
    os.mkdir(shared)
    os.chmod(shared, 0o1777)
    open(os.path.join(tmp_path, "file"), "w").close()
    for name in ("link", "shared", "file"):
        with pytest.raises(PermissionError, match=name):
            make_private(os.path.join(tmp_path, name))
    assert os.stat(shared).st_mode & 0o7777 == 0o1777


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="only root can give away")
def test_make_private_refuses_a_folder_of_another_user(tmp_path: os.PathLike[str]) -> None:
    folder = os.path.join(tmp_path, "theirs")
    os.mkdir(folder, 0o700)
    os.chown(folder, 12345, 12345)
    with pytest.raises(PermissionError, match="12345"):
        make_private(folder)


def test_the_endpoint_comes_back_as_written(tmp_path: os.PathLike[str]) -> None:
    file = os.path.join(tmp_path, "endpoint.json")
    path = os.fsdecode(b"/run/\xff/imgqd.sock")
    write_endpoint(file, socket=path, http="http://127.0.0.1:9", pid=7)
    assert read_endpoint(file) == {"socket": path, "http": "http://127.0.0.1:9", "pid": 7}
    assert os.stat(file).st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["endpoint.json"]


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff", None])
def test_a_broken_or_missing_endpoint_is_no_endpoint(
    tmp_path: os.PathLike[str], content: bytes | None
) -> None:
    file = os.path.join(tmp_path, "endpoint.json")
    if content is not None:
        with open(file, "wb") as stream:
            stream.write(content)
    assert read_endpoint(file) is None
