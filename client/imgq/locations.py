"""Where imgq keeps things: the one place that turns the environment into paths, for both programs.

It agrees with platformdirs without importing it (that would cost the client more than its whole
start). It creates nothing but what `make_private` and `write_endpoint` are asked to; who binds the
socket, and who may use it, is the daemon's business.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

APP = "imgq"
# sun_path holds 104 bytes on macOS and 108 on Linux, the closing NUL included.
SOCKET_LIMIT = 100


class Locations:
    """Paths as text with surrogate escapes (`os.fsencode` gives the exact bytes), all absolute.

    `home` is IMGQ_HOME or None. `data` holds `database`, `index`, `lock`, `endpoint`; `runtime`
    is the 0700 folder of `socket` and `token`. `socket` is where a daemon of these settings
    listens; a path too long for a socket address has already been replaced by a short one.
    """

    __slots__ = (
        "config",
        "data",
        "database",
        "endpoint",
        "home",
        "index",
        "lock",
        "log",
        "models",
        "runtime",
        "socket",
        "thumbs",
        "token",
    )

    def __init__(
        self,
        *,
        home: str | None,
        data: str,
        config: str,
        cache: str,
        log: str,
        runtime: str,
        join: Join,
    ) -> None:
        self.home = home
        self.data = data
        self.config = join(config, "config.toml")
        self.models = join(cache, "models")
        self.thumbs = join(cache, "thumbs")
        self.log = join(log, "imgqd.log")
        self.database = join(data, "library.db")
        self.index = join(data, "index")
        self.lock = join(data, "imgqd.lock")
        self.endpoint = join(data, "endpoint.json")
        self.runtime = runtime
        self.socket = join(runtime, "imgqd.sock")
        self.token = join(runtime, "token")


if TYPE_CHECKING:
    from collections.abc import Callable

    Join = Callable[[str, str], str]


def locate(environ: Mapping[str, str] | None = None, platform: str | None = None) -> Locations:
    """The paths for this environment; nothing is created. `platform` is as in `sys.platform`.

    Raises OSError when no home folder can be told.
    """
    environ = os.environ if environ is None else environ
    platform = sys.platform if platform is None else platform
    join: Join
    if platform == "win32":
        from ntpath import join as windows_join

        join = windows_join
    else:
        from posixpath import join as posix_join

        join = posix_join
    if home := environ.get("IMGQ_HOME"):
        home = os.path.abspath(_expand(home, environ, platform) if home[0] == "~" else home)
        return Locations(
            home=home,
            data=home,
            config=home,
            cache=home,
            log=home,
            runtime=_short_enough(home, environ, platform),
            join=join,
        )
    if platform == "win32":
        return _windows(environ, join)
    data, config, cache, log = (_mac if platform == "darwin" else _xdg)(environ)
    runtime = (
        join(_expand("~/Library/Caches/TemporaryItems", environ, platform), APP)
        if platform == "darwin"
        else _runtime(environ, platform, data)
    )
    return Locations(
        home=None,
        data=data,
        config=config,
        cache=cache,
        log=log,
        runtime=_short_enough(runtime, environ, platform),
        join=join,
    )


def make_private(folder: str) -> None:
    """Makes `folder` (and its parents) for this user only, or checks and mends an existing one.

    Raises PermissionError when it is a link, belongs to another user or is everyone's to write in
    (making /tmp private would break the machine), OSError when it cannot be made.
    """
    if parent := os.path.dirname(folder):
        os.makedirs(parent, mode=0o700, exist_ok=True)
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        if problem := _private_problem(folder, check_mode=False):
            raise PermissionError(
                f"{folder} {problem}; set IMGQ_HOME to a folder of yours"
            ) from None
        if sys.platform != "win32" and os.lstat(folder).st_mode & 0o002:
            raise PermissionError(
                f"{folder} can be written by every user; set IMGQ_HOME to a folder of yours"
            ) from None
    if sys.platform != "win32":
        os.chmod(folder, 0o700)


def read_endpoint(file: str) -> dict[str, object] | None:
    """What the running daemon wrote of itself: {"socket", "http", "pid"}, or None."""
    from json import loads

    try:
        with open(file, "rb") as stream:
            value = loads(stream.read(65536))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def write_endpoint(file: str, *, socket: str | None, http: str | None, pid: int) -> None:
    """Says where the daemon listens; written beside and renamed, readable by this user only.

    `socket` may hold surrogate escapes; JSON keeps them. Raises OSError.
    """
    from json import dumps

    beside = f"{file}.{pid}"
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with open(descriptor, "wb") as stream:
            stream.write(dumps({"socket": socket, "http": http, "pid": pid}).encode("ascii"))
        os.replace(beside, file)
    except BaseException:
        os.unlink(beside)
        raise


def _expand(path: str, environ: Mapping[str, str], platform: str) -> str:
    """`path` with its leading `~` replaced; a relative HOME counts as unset, as in platformdirs."""
    home = environ.get("USERPROFILE" if platform == "win32" else "HOME", "")
    if platform != "win32" and not home.startswith("/"):
        try:
            from pwd import getpwuid

            home = getpwuid(os.getuid()).pw_dir
        except (ImportError, KeyError):
            home = ""
    if not home:
        raise FileNotFoundError("there is no home folder; set HOME or IMGQ_HOME to a folder")
    return home.rstrip("/") + path[1:]


def _base(environ: Mapping[str, str], variable: str, default: str, platform: str) -> str:
    path = environ.get(variable, "")
    return path if path.startswith("/") else _expand(default, environ, platform)


def _xdg(environ: Mapping[str, str]) -> tuple[str, str, str, str]:
    from posixpath import join

    def base(variable: str, default: str) -> str:
        return join(_base(environ, variable, default, "linux"), APP)

    return (
        base("XDG_DATA_HOME", "~/.local/share"),
        base("XDG_CONFIG_HOME", "~/.config"),
        base("XDG_CACHE_HOME", "~/.cache"),
        join(base("XDG_STATE_HOME", "~/.local/state"), "log"),
    )


def _mac(environ: Mapping[str, str]) -> tuple[str, str, str, str]:
    from posixpath import join

    def base(variable: str, default: str) -> str:
        return join(_base(environ, variable, default, "darwin"), APP)

    return (
        base("XDG_DATA_HOME", "~/Library/Application Support"),
        base("XDG_CONFIG_HOME", "~/Library/Application Support"),
        base("XDG_CACHE_HOME", "~/Library/Caches"),
        join(_expand("~/Library/Logs", environ, "darwin"), APP),
    )


def _windows(environ: Mapping[str, str], join: Join) -> Locations:
    local = environ.get("LOCALAPPDATA") or join(_expand("~", environ, "win32"), "AppData\\Local")
    data = join(join(local, APP), APP)
    return Locations(
        home=None,
        data=data,
        config=data,
        cache=join(data, "Cache"),
        log=join(data, "Logs"),
        runtime=join(join(join(local, "Temp"), APP), APP),
        join=join,
    )


def _private_problem(path: str, *, check_mode: bool = True) -> str | None:
    """Why `path` is not a folder of this user alone, or None. A missing one raises OSError."""
    info = os.lstat(path)
    if info.st_mode & 0o170000 == 0o120000:
        return "is a symbolic link"
    if info.st_mode & 0o170000 != 0o040000:
        return "is not a folder"
    if sys.platform == "win32":
        return None
    if info.st_uid != os.geteuid():
        return f"belongs to user {info.st_uid}"
    if check_mode and info.st_mode & 0o777 != 0o700:
        return "is open to other users"
    return None


def _temporary(environ: Mapping[str, str]) -> str:
    """The temporary folder, as tempfile.gettempdir tells it but without a trial file."""
    for path in (*(environ.get(name) for name in ("TMPDIR", "TEMP", "TMP")), "/tmp", "/var/tmp"):  # noqa: S108
        if path and os.access(path, os.W_OK | os.X_OK):
            return os.path.abspath(path)
    return "/tmp"  # noqa: S108


def _runtime(environ: Mapping[str, str], platform: str, data: str) -> str:
    """The folder for the socket: XDG_RUNTIME_DIR, the system's own for this user, temporary."""
    path = environ.get("XDG_RUNTIME_DIR", "")
    if path.startswith("/"):
        try:
            if _private_problem(path.rstrip("/") or "/") is None:
                return os.path.join(path, APP)
        except FileNotFoundError:
            # A container often sets the variable and has no such folder: use it if it can be made.
            if os.access(os.path.dirname(path.rstrip("/")) or "/", os.W_OK | os.X_OK):
                return os.path.join(path, APP)
        except OSError:
            pass
    if platform.startswith("openbsd"):
        path = f"/tmp/run/user/{os.geteuid()}"  # noqa: S108
    elif platform.startswith(("freebsd", "netbsd")):
        path = f"/var/run/user/{os.geteuid()}"
    else:
        path = f"/run/user/{os.geteuid()}"
    try:
        if _private_problem(path) is None:
            return os.path.join(path, APP)
    except OSError:
        pass
    path = os.path.join(_temporary(environ), f"runtime-{os.geteuid()}")
    try:
        if _private_problem(path, check_mode=False) is not None:
            # Another user made the name that everyone can guess: stay in the folder that is ours.
            return os.path.join(data, "run")
    except OSError:
        pass
    return os.path.join(path, APP)


def _short_enough(runtime: str, environ: Mapping[str, str], platform: str) -> str:
    """`runtime`, or a short folder that stands for it where a socket path would be too long."""
    if platform == "win32" or len(os.fsencode(runtime)) + len("/imgqd.sock") <= SOCKET_LIMIT:
        return runtime
    from hashlib import sha256

    name = f"imgq-{os.geteuid()}-{sha256(os.fsencode(runtime)).hexdigest()[:16]}"
    for base in (environ.get("XDG_RUNTIME_DIR", ""), _temporary(environ), "/tmp"):  # noqa: S108
        if (
            base.startswith("/")
            and len(os.fsencode(base)) + len(name) + len("//imgqd.sock") <= SOCKET_LIMIT
            and os.access(base, os.W_OK | os.X_OK)
        ):
            return os.path.join(base, name)
    return os.path.join("/tmp", name)  # noqa: S108
