"""What is said of pictures, from the command line and from programs to a real API."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

import imgq
from imgq.cli import main
from imgq.facets import table
from tests.unit.client_kit import home
from tests.unit.small_daemon import NOT_UTF8, Running, running

__all__ = ["home"]

Captured = pytest.CaptureFixture[bytes]


@pytest.fixture
def daemon(home: str) -> Iterator[Running]:
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
        (["--tag-add", "sea", "id:1", "--in", "/photos"], "--in does not go with --tag-add"),
        (["--set", "a=b", "id:1", "--like", "id:2"], "--like does not go with --set"),
    ],
)
def test_what_makes_no_sense_changes_nothing(
    daemon: Running, capfdbinary: Captured, arguments: list[str], said: str
) -> None:
    assert main(arguments) == 2
    out, err = capfdbinary.readouterr()
    assert out == b"" and said.encode() in err
    assert daemon.daemon.requests == []


def test_facets_are_lines_in_a_pipe_and_json(daemon: Running, capfdbinary: Captured) -> None:
    assert main(["--facets"]) == 0
    lines = capfdbinary.readouterr().out.splitlines()
    assert lines == [b"year\t2024\t2", b"folder\t" + NOT_UTF8 + b"\t1", b"folder\t/photos\t1",
                     b"tag\t\x1b[31mred\t1"]  # fmt: skip
    assert main(["--facets", "--json", "sea", "--rating", "3", "-n", "7"]) == 0
    assert json.loads(capfdbinary.readouterr().out)["total"] == 2
    first, second = daemon.daemon.requests
    assert (first["terms"], first["top"]) == ([], 100)
    assert (second["terms"], second["top"], second["rating"]) == ([{"text": "sea"}], 7, 3)


def test_facets_are_a_harmless_table_for_people(daemon: Running) -> None:
    answer = imgq.Client().facets({"terms": []})
    lines = table(answer)
    assert lines[0] == "2 pictures"
    assert [line for line in lines if "red" in line] == [r"  1  \x1b[31mred"]
    assert "camera" not in lines
    answer["facets"]["camera"] = [{"value": f"c{n}", "count": 40 - n} for n in range(40)]
    assert "  and 25 more" in "\n".join(table(answer))


def test_facets_are_not_shown_as_pictures(daemon: Running, capfdbinary: Captured) -> None:
    for arguments in (["-0"], ["--csv"], ["--preview"], ["--format", "{path}"]):
        assert main(["--facets", *arguments]) == 2
    assert daemon.daemon.requests == []


def test_programs_export_and_import_in_batches(daemon: Running) -> None:
    client = imgq.Client()
    records = list(client.export())
    assert [record["tags"] for record in records] == [["a"]]
    many = [{**records[0], "tags": [str(n) for n in range(30)]} for _ in range(650)]
    assert client.import_records(many) == {"here": 650, "kept": 0}
