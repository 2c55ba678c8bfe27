"""What is said of pictures, from the command line and from programs to a real API."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

import imgq
from imgq.cli import main
from tests.unit.small_daemon import Running, running

Captured = pytest.CaptureFixture[bytes]


@pytest.fixture
def daemon(tmp_path: os.PathLike[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    home = os.path.join(tmp_path, "home")
    monkeypatch.setenv("IMGQ_HOME", home)
    monkeypatch.setenv("IMGQ_NO_SPAWN", "1")
    monkeypatch.delenv("IMGQ_SOCKET", raising=False)
    with running(home) as daemon:
        yield daemon


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        (["--tag-add", "sea", "id:1", "id:2"], {"ids": [1, 2], "add_tags": ["sea"]}),
        (["id:1", "--tag-add=a", "--tag-add=b", "--tag-remove", "c"],
         {"ids": [1], "add_tags": ["a", "b"], "remove_tags": ["c"]}),
        (["--describe", "id:1", "our", "cat"], {"ids": [1], "description": "our cat"}),
        (["--describe", "id:1", ""], {"ids": [1], "description": ""}),
        (["--set", "print=A4 = big", "ID:2", "--set", "roll="],
         {"ids": [2], "fields": [{"key": "print", "value": "A4 = big"},
                                 {"key": "roll", "value": ""}]}),
        (["--set-category", "auto", "id:1"], {"ids": [1], "category": "auto"}),
    ],
)  # fmt: skip
def test_a_change_is_sent_as_typed(
    daemon: Running, capfdbinary: Captured, arguments: list[str], sent: dict[str, object]
) -> None:
    assert main(arguments) == 0
    assert daemon.daemon.requests == [sent]
    out, err = capfdbinary.readouterr()
    assert out == b"" and b"changed" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--tag-add", "sea"], "which pictures"),
        (["--tag-add", "sea", "12"], "not the id of a picture"),
        (["--tag-add", "sea", "id:x"], "not the id of a picture"),
        (["--tag-add", "sea", "id:99"], "no picture 99"),
        (["--set", "novalue", "id:1"], "not key=value"),
        (["--set", "=x", "id:1"], "not key=value"),
        (["--describe", "id:1"], "needs its text"),
        (["--describe", "12", "x"], "not the id of a picture"),
        (["--describe", "id:1", "x", "--tag-add", "a"], "goes alone"),
        (["--tag-add", "sea", "id:1", "--json"], "nothing to show"),
        (["--tag-add", "", "id:1"], "needs a value"),
    ],
)
def test_what_makes_no_sense_changes_nothing(
    daemon: Running, capfdbinary: Captured, arguments: list[str], said: str
) -> None:
    assert main(arguments) == 2
    out, err = capfdbinary.readouterr()
    assert out == b"" and said.encode() in err
    assert daemon.daemon.requests == []


def test_programs_export_and_import_in_batches(daemon: Running) -> None:
    client = imgq.Client()
    records = list(client.export())
    assert [record["tags"] for record in records] == [["a"]]
    many = [{**records[0], "tags": [str(n) for n in range(30)]} for _ in range(650)]
    assert client.import_records(many) == {"here": 650, "kept": 0}
