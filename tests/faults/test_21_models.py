"""The model is changed in the middle of indexing, and twice in a row."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable

from tests import photographs
from tests.faults.library import rows
from tests.harness import Home, wait_until


def another_model(tiny_model: str, directory: str, seed: int) -> str:
    """The tiny model with other weights."""
    import torch
    from open_clip.model import CLIP
    from safetensors.torch import save_file

    from tests.conftest import TINY

    source = tiny_model.removeprefix("local-dir:")
    target = os.path.join(directory, f"model-{seed}")
    shutil.copytree(source, target)
    torch.manual_seed(seed)
    save_file(CLIP(**TINY).state_dict(), os.path.join(target, "open_clip_model.safetensors"))
    return f"local-dir:{target}"


def test_models_are_changed_while_indexing_and_twice_in_a_row(
    make_home: Callable[..., Home], tiny_model: str
) -> None:
    home = make_home()
    del home.environ["IMGQ_MODEL"]
    second = another_model(tiny_model, home.directory, 2)
    third = another_model(tiny_model, home.directory, 3)
    for number in range(1500):
        photographs.variant(number, 48).save(home.path(f"{number}.png"))
    home.start()
    assert home.imgqd("model", tiny_model).returncode == 0
    wait_until(lambda: home.status()["model"]["id"], timeout=60)
    wait_until(lambda: "tiny" in (home.status()["model"]["id"] or ""), timeout=60)
    assert home.imgqd("add", home.photos).returncode == 0
    wait_until(lambda: home.status()["pictures"] > 200, timeout=60)

    models, failed = set(), []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            done = home.imgq("--json", "-n", "1000", "anything")
            if done.returncode != 0:
                failed.append(done.stderr)
                continue
            import json

            models.add(json.loads(done.stdout)["model"])

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        assert home.imgqd("model", second).returncode == 0
        wait_until(lambda: home.status()["progress"]["stage"], timeout=60)
        assert home.imgqd("model", third).returncode == 0
        wait_until(lambda: "model-3" in home.status()["model"]["id"], timeout=180)
    finally:
        stop.set()
        asking.join()
    assert failed == []
    assert not any("model-2" in name for name in models), models
    home.sync()
    wait_until(
        lambda: rows(home, "SELECT count(DISTINCT model_id), count(*) FROM vectors") == [(1, 1500)],
        timeout=60,
    )
    assert len(home.paths("-n", "1000", "anything")) == 1000
    assert home.imgqd("verify").returncode == 0
