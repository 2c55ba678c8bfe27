"""--copy-to and --link-to put the results somewhere and overwrite nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from imgq import placing
from imgq.cli import main
from imgq.errors import OutputError
from tests.unit.client_stand_in import StandIn, result

Captured = pytest.CaptureFixture[bytes]
ODD = os.fsdecode(b"caf\xe9 \n.jpg")


@pytest.fixture
def here(tmp_path: os.PathLike[str], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("IMGQ_HOME", os.path.join(tmp_path, "home"))
    monkeypatch.setenv("IMGQ_NO_SPAWN", "1")
    monkeypatch.delenv("IMGQ_SOCKET", raising=False)
    monkeypatch.chdir(tmp_path)
    for name in ("home", "a", "b"):
        os.mkdir(name)
    return str(tmp_path)


def put(path: str, text: str) -> bytes:
    with open(path, "w") as stream:
        stream.write(text)
    os.utime(path, (1_000_000_000, 1_000_000_000))
    return os.fsencode(os.path.abspath(path))


def read(path: str) -> str:
    with open(path) as stream:
        return stream.read()


@pytest.fixture
def stand_in(here: str) -> Iterator[StandIn]:
    with StandIn(os.path.join(here, "home", "imgqd.sock")) as stand_in:
        put("a/x.jpg", "first")
        put("b/x.jpg", "second")
        stand_in.results = [
            result(rank, os.path.join(here, name), 0.5)
            for rank, name in enumerate(("a/x.jpg", "b/x.jpg"), 1)
        ]
        yield stand_in


def test_results_are_copied_beside_what_is_there(stand_in: StandIn, capfdbinary: Captured) -> None:
    for _ in range(2):
        assert main(["x", "--copy-to", "new/best"]) == 0
    assert sorted(os.listdir("new/best")) == ["x-2.jpg", "x-3.jpg", "x-4.jpg", "x.jpg"]
    assert [read(f"new/best/x{n}.jpg") for n in ("", "-2", "-3", "-4")] == [
        "first", "second", "first", "second",
    ]  # fmt: skip
    assert os.stat("new/best/x.jpg").st_mtime == 1_000_000_000
    assert capfdbinary.readouterr().out.count(b"\n") == 4


def test_results_are_linked(stand_in: StandIn, here: str) -> None:
    assert main(["x", "--link-to", "best"]) == 0
    assert os.readlink("best/x-2.jpg") == os.path.join(here, "b/x.jpg")


def test_a_link_in_the_way_is_not_followed(here: str) -> None:
    source = put("a/x.jpg", "new")
    put("precious", "old")
    os.mkdir("best")
    os.symlink(os.path.abspath("precious"), "best/x.jpg")
    os.symlink("/nowhere/else", "best/x-2.jpg")
    placing.place([source], "best", link=False)
    assert (read("precious"), read("best/x-3.jpg")) == ("old", "new")


def test_any_name_can_be_copied(here: str) -> None:
    placing.place([put(f"a/{ODD}", "odd")], "best", link=False)
    assert os.listdir(b"best") == [os.fsencode(ODD)]


def test_what_cannot_be_copied_is_named_and_the_rest_is_copied(
    stand_in: StandIn, capfdbinary: Captured
) -> None:
    os.unlink("a/x.jpg")
    assert main(["x", "--copy-to", "best"]) == 4
    err = capfdbinary.readouterr().err
    assert b"a/x.jpg: No such file" in err
    assert os.listdir("best") == ["x.jpg"]
    assert read("best/x.jpg") == "second"


def test_a_copy_that_fails_leaves_nothing(here: str) -> None:
    os.mkdir("a/folder.jpg")
    with pytest.raises(OutputError, match=r"folder\.jpg"):
        placing.place([os.fsencode(os.path.abspath("a/folder.jpg"))], "best", link=False)
    assert os.listdir("best") == []


def test_a_target_that_is_no_folder_is_wrong_usage(
    stand_in: StandIn, capfdbinary: Captured
) -> None:
    assert main(["x", "--copy-to", "a/x.jpg"]) == 2
    assert b"--copy-to" in capfdbinary.readouterr().err
    assert stand_in.asked == []
    assert main(["x", "--link-to", "/dev/null/x"]) == 4


def test_nothing_found_makes_no_folder(stand_in: StandIn) -> None:
    stand_in.results = []
    assert main(["x", "--copy-to", "best"]) == 1
    assert not os.path.exists("best")
