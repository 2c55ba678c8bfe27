"""The commands of docs/api.md and docs/troubleshooting.md work as they stand, one after the other."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests import photographs
from tests.documented import programs, shell_blocks
from tests.harness import ROOT, Home
from tests.unit.small_daemon import free_port


@pytest.fixture
def shelf(make_home: Callable[..., Home]) -> Home:
    """A running daemon with photographs, loopback HTTP and one file that is a problem."""
    home = make_home(http_port=free_port())
    for name in ("chelsea", "coffee", "rocket"):
        photographs.save(name, home.path(f"{name}.jpg"))
    photographs.save("chelsea", os.path.join(home.directory, "cat.jpg"))
    with open(home.path("bad.jpg"), "wb") as bad:
        bad.write(b"\xff\xd8\xff\xe0 not a picture")
    home.start(home.photos)
    home.sync()
    return home


def run(home: Home, *command: str) -> str:
    path = f"{programs(home.directory)}{os.pathsep}{os.path.dirname(sys.executable)}"
    done = subprocess.run(
        command,
        env={**home.environ, "HOME": home.directory, "PATH": f"{path}:{os.environ['PATH']}"},
        cwd=home.directory,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    assert "Traceback" not in done.stdout + done.stderr
    return done.stdout


def document(name: str) -> str:
    with open(os.path.join(ROOT, "docs", name), encoding="utf-8") as stream:
        return stream.read()


def test_every_curl_command_answers(shelf: Home) -> None:
    port = shelf.environ["IMGQ_HTTP_PORT"]
    first, *blocks = shell_blocks("api.md")
    tried = 0
    for block in (first, *blocks):
        tried += block.count("curl ")
        # Each block is typed into the same shell, where $SOCKET is known.
        script = block if block is first else first.splitlines()[0] + "\n" + block
        out = run(shelf, "sh", "-ec", script.replace("8765", port))
        assert '{"error"' not in out, (block, out)
    assert tried >= 13
    assert os.path.getsize(os.path.join(shelf.directory, "small.jpg")) > 500


def test_the_examples_in_python_run(shelf: Home) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", document("api.md"), re.MULTILINE | re.DOTALL)
    listening = blocks[2]
    with subprocess.Popen(
        [sys.executable, "-P", "-u", "-c", listening],
        env=shelf.environ,
        stdout=subprocess.PIPE,
        text=True,
    ) as listener:
        assert listener.stdout is not None
        seen = ""
        for number in range(60):
            # Until it listens nobody tells it anything.
            photographs.variant(number, 64).save(shelf.path(f"{number}.png"))
            shelf.sync()
            if listener.poll() is not None:
                seen = listener.stdout.read()
                break
    assert "picture-added {'id': " in seen
    first, second = (run(shelf, sys.executable, "-P", "-c", block) for block in blocks[:2])
    assert re.search(r"^0\.\d{3} .*/chelsea\.jpg \d+x\d+$", first, re.MULTILINE)
    assert first.rstrip().endswith("chelsea.jpg']")
    assert second.startswith("usage ")


def test_the_commands_for_trouble_tell_of_it(shelf: Home) -> None:
    said = "".join(run(shelf, "sh", "-ec", block) for block in shell_blocks("troubleshooting.md"))
    assert "bad.jpg" in said
    assert "answers and is" in said
    assert '"event": "ready"' in said


def test_the_dashboard_asks_for_metrics_that_there_are(shelf: Home) -> None:
    dashboard = json.loads(document("grafana.json"))
    shelf.paths("a cat")
    text = run(shelf, sys.executable, "-c", "import imgq; print(imgq.Client().metrics())")
    served = set(re.findall(r"^(imgq_\w+)", text, re.MULTILINE))
    asked = {
        name
        for panel in dashboard["panels"]
        for target in panel["targets"]
        for name in re.findall(r"imgq_\w+", target["expr"])
    }
    # It appears with the first search that fails.
    assert asked - served == {"imgq_queries_failed_total"}
    for name in ("imgq_pictures_indexed_total", "imgq_encode_seconds_count"):
        (value,) = re.findall(rf"^{name} (\S+)", text, re.MULTILINE)
        assert float(value) >= (3 if name == "imgq_pictures_indexed_total" else 1)
    assert re.search(r'^imgq_problems\{reason="corrupt"\} 1\.0', text, re.MULTILINE)


def test_use_is_counted_over_restarts_and_words_only_where_wanted(shelf: Home) -> None:
    shelf.paths("a cat on grass")
    shelf.paths("cat")
    shelf.stop()
    shelf.environ["IMGQ_COUNT_WORDS"] = "false"
    shelf.start()
    shelf.paths("a secret")
    told = json.loads(run(shelf, "imgqd", "stats", "--json"))
    assert told["searches"] == 3
    assert told["words"] == [{"word": "cat", "searches": 2}, {"word": "grass", "searches": 1}]
    assert told["library"]["format"] == [{"value": "jpeg", "count": 3}]
    said = run(shelf, "imgqd", "stats")
    assert "3 searches since" in said
    assert "secret" not in said + shelf.log()


def test_queries_are_logged_only_when_that_is_asked_for(make_home: Callable[..., Home]) -> None:
    for wanted in ("false", "true"):
        home = make_home(log_queries=wanted)
        photographs.save("chelsea", home.path("chelsea.jpg"))
        home.start(home.photos)
        home.sync()
        home.paths("purple elephant")
        assert ("purple elephant" in home.log()) == (wanted == "true")
        home.stop()
