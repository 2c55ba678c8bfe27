"""`auto` with a hub that can be reached: answers from the built-in model first, then the better one."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from tests import photographs
from tests.faults.library import rows
from tests.harness import Home, wait_until
from tests.loopback_hub import LoopbackHub

CONFIG, WEIGHTS = "open_clip_config.json", "open_clip_model.safetensors"


def test_with_a_hub_the_better_model_takes_over_in_the_background(
    make_home: Callable[..., Home], tiny_model: str, tmp_path: object
) -> None:
    source = tiny_model.removeprefix("local-dir:")
    files = {}
    for name in (CONFIG, WEIGHTS):
        with open(os.path.join(source, name), "rb") as stream:
            files[f"org/tiny/{name}"] = stream.read()
    home = make_home(model="auto", preferred_model="hf-hub:org/tiny")
    own_models = os.path.join(str(tmp_path), "models")
    os.makedirs(own_models)
    for name in os.listdir(home.environ["IMGQ_MODELS_DIR"]):
        if name.startswith("builtin"):
            os.symlink(
                os.path.join(home.environ["IMGQ_MODELS_DIR"], name), os.path.join(own_models, name)
            )
    home.environ["IMGQ_MODELS_DIR"] = own_models
    home.environ["HF_HUB_CACHE"] = os.path.join(str(tmp_path), "hub")
    home.environ.pop("HF_HUB_OFFLINE", None)
    for name in photographs.NAMES[:5]:
        photographs.save(name, home.path(f"{name}.jpg"))
    with LoopbackHub(files) as hub:
        home.environ["HF_ENDPOINT"] = hub.url
        home.start(home.photos)
        seen, models = set(), []
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            status = home.status()
            seen.add(status["progress"]["stage"])
            models.append(str(status["model"]["id"]).split("@")[0])
            if models[-1] == "hf-hub:org/tiny":
                break
            time.sleep(0.05)
        assert models[-1] == "hf-hub:org/tiny", (seen, set(models), home.output()[-2000:])
        assert home.status()["model"]["fallback"] is None
        home.sync()
    assert len(home.paths("anything")) == 5
    wait_until(
        lambda: rows(home, "SELECT count(DISTINCT model_id), count(*) FROM vectors") == [(1, 5)]
    )
    assert home.imgqd("verify").returncode == 0
