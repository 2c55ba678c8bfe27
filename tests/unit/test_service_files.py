"""What `imgqd service install` writes, and what systemd and launchd think of it."""

from __future__ import annotations

import os
import plistlib
import re
import shutil
import subprocess
import sys
import zipfile

import pytest

from imgq.locations import locate
from imgqd import service
from imgqd.errors import UsageError
from imgqd.service import Job, ServiceError
from imgqd.service_launchd import LABEL, Launchd
from imgqd.service_systemd import SERVICE, SOCKET, Systemd
from imgqd.service_units import changed, command_line, without_namespaces, word
from tests.harness import ROOT

# What systemd 252 says and docs/operating.md names; other versions weigh a little differently.
EXPOSURE = 2.4
FINE = 3.0

UNITS = os.path.join(ROOT, "systemd")
ANALYZE = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="systemd is not installed")


def job(home: str, **changes: object) -> Job:
    """A job whose library is in a folder."""
    values: dict[str, object] = {
        "command": (sys.executable, "-P", "-m", "imgqd", "run"),
        "environment": {"IMGQ_HOME": home},
        "folders": (home,),
        "scratch": f"{home}/tmp",
        "socket": f"{home}/imgqd.sock",
        "log": f"{home}/imgqd.log",
    }
    return Job(**{**values, **changes})  # type: ignore[arg-type]


def lines(text: str) -> dict[str, list[str]]:
    """Key -> values of a unit file."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line and line[0] not in "#[":
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def analyze(directory: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    assert ANALYZE
    runtime = os.path.join(directory, "runtime")
    os.makedirs(runtime, mode=0o700, exist_ok=True)
    return subprocess.run(
        [ANALYZE, "--user", *arguments],
        env={
            "PATH": os.environ["PATH"],
            "HOME": directory,
            "XDG_RUNTIME_DIR": runtime,
            "LC_ALL": "C",
        },
        capture_output=True,
        timeout=120,
    )


def installed(directory: str, job: Job) -> str:
    """The units as they would be installed, written to a folder."""
    for path, text in Systemd().plan(job).files.items():
        with open(os.path.join(directory, os.path.basename(path)), "w") as stream:
            stream.write(text)
    return directory


@needs_systemd
def test_verify_is_clean_and_knows_every_directive(tmp_path):
    paths = [os.path.join(installed(str(tmp_path), job("/srv/imgq")), n) for n in (SERVICE, SOCKET)]
    done = analyze(str(tmp_path), "verify", *paths)
    said = done.stderr.decode() + done.stdout.decode()
    # Not about our files: Debian's systemd 252 has a list of calls that its libseccomp lacks.
    said = "\n".join(
        line for line in said.splitlines() if "Failed to parse system call" not in line
    )
    assert (done.returncode, said.strip()) == (0, "")


@needs_systemd
@pytest.mark.parametrize(
    "path", ["with space", 'quo"te', "per%cent", "dol$lar", "back\\slash", "ü"]
)
def test_verify_is_clean_for_odd_paths(tmp_path, path):
    home = str(tmp_path / path)
    os.mkdir(home)
    # systemd starts no program whose path has quotes or backslashes.
    program = os.path.join(home if "quo" not in path and "back" not in path else tmp_path, "python")
    os.symlink(sys.executable, program)
    units = installed(str(tmp_path), job(home, command=(program, "-m", "imgqd", "run")))
    done = analyze(str(tmp_path), "verify", *(os.path.join(units, n) for n in (SERVICE, SOCKET)))
    assert done.returncode == 0, done.stderr.decode()
    assert "ignoring" not in re.sub("Failed to parse system call.*", "", done.stderr.decode())


@needs_systemd
def test_the_exposure_is_what_the_docs_name(tmp_path):
    unit = os.path.join(UNITS, SERVICE)
    done = analyze(str(tmp_path), "security", "--offline=true", "--threshold=100", unit)
    score = re.search(rb"Overall exposure level for imgqd.service: ([0-9.]+)", done.stdout)
    assert score, done.stdout + done.stderr
    version = subprocess.run([ANALYZE, "--version"], capture_output=True).stdout.split()[1]
    assert float(score[1]) <= (EXPOSURE if version == b"252" else FINE)
    with open(os.path.join(ROOT, "docs", "operating.md")) as stream:
        assert f"exposure level {EXPOSURE}" in stream.read()


def test_every_directive_has_a_comment_that_says_why():
    for name in (SERVICE, SOCKET):
        with open(os.path.join(UNITS, name)) as stream:
            blocks = stream.read().split("\n\n")
        for block in blocks:
            assert block.startswith(("#", "[Unit]", "[Install]")) or "\n# " in block, block


def test_the_units_are_made_of_this_interpreter_and_these_paths():
    plan = Systemd().plan(job("/srv/my photos", scratch="/srv/my photos/tmp"))
    by_name = {os.path.basename(path): lines(text) for path, text in plan.files.items()}
    unit, socket = by_name[SERVICE], by_name[SOCKET]
    assert unit["ExecStart"] == [f"{sys.executable} -P -m imgqd run"]
    assert unit["Environment"] == ['"TMPDIR=/srv/my photos/tmp"', '"IMGQ_HOME=/srv/my photos"']
    assert unit["ReadWritePaths"] == ['"-/srv/my photos"']
    assert unit["ExecStartPre"][0].endswith(
        'mkdir -p -m 0700 "/srv/my photos" "/srv/my photos/tmp"'
    )
    assert socket["ListenStream"] == ["/srv/my photos/imgqd.sock"]
    assert (unit["Type"], unit["Restart"]) == (["notify"], ["on-failure"])


def test_the_system_service_has_a_user_of_its_own():
    systemd = Systemd(system=True)
    plan = systemd.plan(job("/var/lib/imgq"))
    unit = lines(plan.files["/etc/systemd/system/imgqd.service"])
    socket = lines(plan.files["/etc/systemd/system/imgqd.socket"])
    assert (unit["User"], unit["Group"]) == (["imgq"], ["imgq"])
    assert unit["StateDirectory"] == ["imgq imgq/tmp"]
    assert unit["WantedBy"] == ["multi-user.target"]
    assert "ExecStartPre" not in unit
    assert socket["SocketUser"] == ["imgq"]
    assert plan.files["/etc/sysusers.d/imgqd.conf"].startswith("u imgq - ")
    assert all(path.startswith("/etc/systemd/system/") for path in plan.links)


@needs_systemd
def test_verify_is_clean_for_the_system_service(tmp_path):
    for path, text in Systemd(system=True).plan(job("/var/lib/imgq")).files.items():
        (tmp_path / os.path.basename(path)).write_text(text)
    assert ANALYZE
    done = subprocess.run(
        [ANALYZE, "verify", str(tmp_path / SERVICE), str(tmp_path / SOCKET)], capture_output=True
    )
    said = [
        line
        for line in done.stderr.decode().splitlines()
        # The user is made when the service is installed.
        if "imgqd" in line and "system call" not in line and "user credentials" not in line
    ]
    assert said == []


def test_words_are_quoted_as_systemd_reads_them():
    assert word("plain") == "plain"
    assert word("") == '""'
    assert word("two words") == '"two words"'
    assert word("50%") == "50%%"
    assert word('a"b\\c') == '"a\\"b\\\\c"'
    assert word("$HOME") == "$HOME"
    assert command_line(["/my $p", "$HOME", "50%"]) == '"/my $p" $$HOME 50%%'
    for program in ('/quo"te', "/back\\slash"):
        with pytest.raises(UsageError, match="another folder"):
            command_line([program])
    for impossible in ("line\nbreak", os.fsdecode(b"\xff")):
        with pytest.raises(UsageError):
            word(impossible)


def test_a_template_without_an_expected_line_is_refused():
    assert changed("A=1\nB=2\nA=3\n", {"A": ["x", "y"]}) == "A=x\nA=y\nB=2\n"
    with pytest.raises(ServiceError, match="no C="):
        changed("A=1\n", {"C": ["2"]})


def test_without_namespaces_only_that_part_is_gone():
    with open(os.path.join(UNITS, SERVICE)) as stream:
        text = stream.read()
    whole, less = lines(text), lines(without_namespaces(text))
    gone = set(whole) - set(less)
    assert {"PrivateUsers", "ProtectSystem", "ReadWritePaths", "CapabilityBoundingSet"} <= gone
    kept = {
        "NoNewPrivileges",
        "SystemCallFilter",
        "RestrictAddressFamilies",
        "ExecStart",
        "WantedBy",
    }
    assert kept <= set(less)
    assert without_namespaces(without_namespaces(text)) == without_namespaces(text)


def test_a_virtual_environment_is_never_followed_to_the_python_it_was_made_with(tmp_path):
    venv = tmp_path / "venvs" / "imgq"
    (venv / "bin").mkdir(parents=True)
    (venv / "pyvenv.cfg").write_text("home = /usr/bin\n")
    python = venv / "bin" / "python3.11"
    python.symlink_to(sys.executable)
    (venv / "bin" / "python3").symlink_to("python3.11")
    assert service.stable_interpreter(str(python)) == str(python)


def test_a_systems_python_is_named_without_its_minor_version(tmp_path):
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin" / "python3.11"
    python.write_text("")
    assert service.stable_interpreter(str(python)) == str(python)
    (tmp_path / "bin" / "python3").symlink_to("python3.11")
    assert service.stable_interpreter(str(python)) == str(tmp_path / "bin" / "python3")


def test_homebrews_versioned_folder_is_named_by_its_link(tmp_path):
    inside = tmp_path / "Cellar" / "imgq" / "0.1.0" / "libexec" / "bin"
    inside.mkdir(parents=True)
    (inside / "python").write_text("")
    assert service.stable_interpreter(str(inside / "python")) == str(inside / "python")
    (tmp_path / "opt").mkdir()
    (tmp_path / "opt" / "imgq").symlink_to("../Cellar/imgq/0.1.0")
    stable = str(tmp_path / "opt" / "imgq" / "libexec" / "bin" / "python")
    assert service.stable_interpreter(str(inside / "python")) == stable


def test_the_service_gets_the_places_and_settings_of_the_shell_and_nothing_else():
    shell = {
        "IMGQ_MODEL": "builtin",
        "IMGQ_NO_SPAWN": "1",
        "IMGQ_SOCKET": "/x",
        "XDG_DATA_HOME": "/data",
        "HF_HOME": "/hub",
        "HF_TOKEN": "secret",
        "HTTPS_PROXY": "http://user:secret@proxy",
        "PATH": "/bin",
    }
    carried = {"IMGQ_MODEL": "builtin", "XDG_DATA_HOME": "/data", "HF_HOME": "/hub"}
    assert service.carried(shell) == carried
    del carried["XDG_DATA_HOME"]
    assert service.carried({**shell, "IMGQ_HOME": "/home"}) == carried


def test_writable_are_only_folders_of_ours(monkeypatch, tmp_path):
    for name in [name for name in os.environ if name.startswith(("IMGQ_", "XDG_", "HF_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    locations = locate()
    found = service.job_of_user(locations, "run")
    home = str(tmp_path)
    assert set(found.folders) == {
        f"{home}/.local/share/imgq",
        f"{home}/.cache/imgq",
        f"{home}/.local/state/imgq/log",
        locations.runtime,
        f"{home}/.cache/huggingface",
    }
    assert found.scratch == f"{home}/.cache/imgq/tmp"
    assert found.command[1:] == ("-P", "-m", "imgqd", "run")


def test_an_interpreter_that_has_no_imgqd_is_refused(monkeypatch, tmp_path):
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    monkeypatch.setattr(sys, "executable", str(bare / "bin" / "python"))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    with pytest.raises(ServiceError, match="does not find imgqd"):
        service.job_of_user(locate({"IMGQ_HOME": str(tmp_path)}), "run")
    paths = [os.path.join(ROOT, "client"), os.path.join(ROOT, "daemon"), *sys.path[1:]]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in paths if path))
    found = service.job_of_user(locate({"IMGQ_HOME": str(tmp_path)}), "run")
    assert found.environment["PYTHONPATH"].split(os.pathsep)[0] == os.path.join(ROOT, "client")


def test_the_wheel_holds_the_units_and_the_page(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=120,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        for name in (SERVICE, SOCKET, f"{LABEL}.plist"):
            with open(os.path.join(UNITS, name), "rb") as stream:
                assert packed.read(f"imgqd/units/{name}") == stream.read()
        names = packed.namelist()
    # The page as it is served, and not what it is built from.
    assert {"imgqd/web/static/index.html", "imgqd/web/static/app.js"} < set(names)
    assert not [name for name in names if name.startswith("imgqd/web/browser")]
    assert service.template(SERVICE).startswith("# imgqd as a service")


@pytest.fixture
def launchd(tmp_path, monkeypatch):
    """launchd's side as far as a machine without it has one: launchctl notes what it is told."""
    tool = tmp_path / "bin" / "launchctl"
    tool.parent.mkdir()
    tool.write_text(
        f"""#!/bin/sh
echo "$*" >> {tmp_path}/told
case "$1" in
bootstrap) touch {tmp_path}/loaded;;
bootout) rm -f {tmp_path}/loaded;;
print) test -e {tmp_path}/loaded && echo "	pid = 4321";;
esac
"""
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))
    return Launchd()


def test_the_agent_is_a_background_agent_that_comes_back(launchd, tmp_path):
    home = str(tmp_path / "library")
    wanted = job(home, command=("/v/bin/python", "-m", "imgqd", "run", "--detached"))
    (text,) = launchd.plan(wanted).files.values()
    agent = plistlib.loads(text.encode())
    assert agent["Label"] == LABEL
    assert agent["ProgramArguments"] == ["/v/bin/python", "-m", "imgqd", "run", "--detached"]
    assert agent["EnvironmentVariables"] == {"IMGQ_HOME": home}
    assert agent["ProcessType"] == "Background"
    assert agent["LowPriorityIO"] and agent["LowPriorityBackgroundIO"] and agent["RunAtLoad"]
    assert agent["KeepAlive"] == {"SuccessfulExit": False}
    assert agent["Umask"] == 0o077
    assert agent["StandardErrorPath"].startswith(home)


def test_the_agent_is_loaded_once_renewed_and_removed(launchd, tmp_path):
    home, ways = str(tmp_path / "library"), []
    outcome = launchd.install(job(home), lambda: ways.append(1))
    assert outcome.running and os.path.exists(launchd.path)
    assert launchd.status(job(home))["pid"] == 4321
    assert launchd.install(job(home), lambda: ways.append(2)).done == [
        "installed already, as it should be, and loaded"
    ]
    other = job(home, command=("/new/python", "-m", "imgqd", "run"))
    assert not launchd.status(other)["current"]
    launchd.install(other, lambda: ways.append(3))
    assert ways == [1, 3]
    places = locate({"IMGQ_HOME": home})
    assert launchd.uninstall(places) == [f"removed {launchd.path}"]
    assert launchd.uninstall(places) == []
    told = (tmp_path / "told").read_text()
    assert f"bootstrap gui/{os.getuid()} {launchd.path}" in told
    assert f"bootout gui/{os.getuid()}/{LABEL}" in told
