"""schemathesis against a live daemon: `python -m tests.fuzz_api [EXAMPLES] [SEED]`.

Every route of the document is asked what it allows and what it forbids, over loopback TCP. Left out
is what ends, hangs or leads elsewhere by design: stop, events, sync, another model, and folders (a
made-up folder could be `/`), and showing files in a file manager. Ends with schemathesis' exit
code: 0 when nothing was found.
"""

from __future__ import annotations

import os
import subprocess
import sys

from tests import photographs
from tests.conftest import make_tiny_model
from tests.harness import Home, fresh_home
from tests.unit.small_daemon import free_port

LEFT_OUT = (
    "stop",
    "events",
    "sync",
    "setModel",
    "addFolders",
    "removeFolders",
    "relocate",
    "reveal",
)


def against(home: Home, port: int, *, examples: int, seed: int) -> subprocess.CompletedProcess[str]:
    """Runs schemathesis on the daemon of `home`, which listens on `port`."""
    token = home.imgqd("token").stdout.decode().strip()
    return subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run"),
            f"http://127.0.0.1:{port}/v1/openapi.json",
            *("--header", f"Authorization: Bearer {token}"),
            *(word for name in LEFT_OUT for word in ("--exclude-operation-id", name)),
            # That a date or a glob of the right form can still make no sense is no fault.
            *("--exclude-checks", "positive_data_acceptance"),
            *("--max-examples", str(examples), "--seed", str(seed), "--request-timeout", "60"),
            *("--generation-database", "none", "--no-color"),
        ],
        cwd=home.directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def prepare(home: Home) -> None:
    """Starts the daemon with a few photographs."""
    for name in ("chelsea", "coffee", "rocket"):
        photographs.save(name, home.path(f"{name}.jpg"))
    home.start(home.photos)
    home.sync()


def main() -> int:
    examples, seed = (int(word) for word in (sys.argv[1:] + ["100", "1"][len(sys.argv) - 1 :]))
    port = free_port()
    models = os.environ.get("IMGQ_TEST_MODELS_DIR") or os.path.expanduser("~/.cache/imgq-tests")
    os.makedirs(models, exist_ok=True)
    settings = {"http_port": port, "models_dir": models, "model": make_tiny_model(models)}
    with fresh_home(**settings) as home:
        prepare(home)
        done = against(home, port, examples=examples, seed=seed)
        print(done.stdout)
        print("the daemon answers:", home.status()["state"])
        return done.returncode


if __name__ == "__main__":
    sys.exit(main())
