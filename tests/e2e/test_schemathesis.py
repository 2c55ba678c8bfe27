"""schemathesis finds nothing against a live daemon (`python -m tests.fuzz_api 500` for longer)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests import fuzz_api
from tests.harness import Home
from tests.unit.small_daemon import free_port


@pytest.mark.timeout(600)
def test_schemathesis_finds_nothing(make_home: Callable[..., Home], tiny_model: str) -> None:
    pytest.importorskip("schemathesis", reason="schemathesis is not installed here")
    port = free_port()
    home = make_home(model=tiny_model, http_port=port)
    fuzz_api.prepare(home)
    done = fuzz_api.against(home, port, examples=5, seed=1)
    assert done.returncode == 0, done.stdout[-8000:]
    assert home.status()["state"] in ("idle", "indexing")
    assert "Traceback" not in home.log()
