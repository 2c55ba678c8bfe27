"""Completion scripts are valid and offer what there is; the man pages in docs are the current ones."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from imgq.options import TABLE
from imgqd import completion, manual
from imgqd.cli import COMMANDS, main, parser

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_every_option_and_command_is_offered(shell: str) -> None:
    text = completion.script(shell, parser())
    for option in TABLE:
        name = option.names[-1]
        assert (f"-l {name[2:]} " if shell == "fish" else name) in text
    for command in COMMANDS:
        assert command.name in text


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_the_shell_itself_finds_no_fault(shell: str, tmp_path: os.PathLike[str]) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed here")
    path = os.path.join(tmp_path, "script")
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(completion.script(shell, parser()))
    checked = subprocess.run([program, "-n", path], capture_output=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, b"")


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed here")
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (["imgq", "--orient"], "--orientation"),
        (["imgq", "--orientation", "port"], "portrait"),
        (["imgqd", "stat"], "status"),
        (["imgqd", "verify", "--rep"], "--repair"),
        (["imgq", "--tag", "holi"], "holiday"),
        (["imgq", "@ca"], "@cats"),
    ],
)
def test_bash_completes(line: list[str], expected: str, tmp_path: os.PathLike[str]) -> None:
    fake = os.path.join(tmp_path, "imgq")
    with open(fake, "w", encoding="utf-8") as stream:
        stream.write("#!/bin/sh\n[ $2 = tags ] && echo holiday || echo cats\n")
    os.chmod(fake, 0o755)
    words = " ".join(f"'{word}'" for word in line)
    script = completion.script("bash", parser()) + (
        f'COMP_WORDS=({words}); COMP_CWORD={len(line) - 1}; _{line[0]}; echo "${{COMPREPLY[*]}}"\n'
    )
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    ran = subprocess.run(
        ["bash", "--norc", "-c", script], capture_output=True, env=environment, check=True
    )
    assert expected in ran.stdout.decode().split()


def test_it_is_installed_where_the_shell_looks(
    tmp_path: os.PathLike[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", os.path.join(tmp_path, "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", os.path.join(tmp_path, "config"))
    for shell in completion.SHELLS:
        assert main(["completion", shell]) == 0
    for path in capsys.readouterr().out.split("\n"):
        if path.startswith(str(tmp_path)):
            assert os.path.getsize(path) > 1000
    assert os.path.exists(os.path.join(tmp_path, "data/bash-completion/completions/imgq"))
    assert os.path.exists(os.path.join(tmp_path, "config/fish/completions/imgqd.fish"))
    assert main(["completion", "bash", "--print"]) == 0
    assert capsys.readouterr().out == completion.script("bash", parser())


@pytest.mark.parametrize("name", ["imgq.1", "imgqd.1"])
def test_the_man_pages_in_docs_are_current(name: str) -> None:
    with open(os.path.join(REPOSITORY, "docs", "man", name), encoding="utf-8") as stream:
        assert stream.read() == manual.pages()[name], (
            "python -m imgqd.manual docs/man makes them anew"
        )


def test_a_man_page_shows_every_letter() -> None:
    assert manual.escaped("a\\b\n.c\n'd -x") == "a\\eb\n\\&.c\n\\&'d \\-x"
