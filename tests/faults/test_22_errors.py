"""Many errors: the log stays small and names each problem once, not each attempt."""

from __future__ import annotations

import os

from tests.harness import Home


def test_a_problem_is_logged_once_however_often_it_is_tried(tiny_home: Home) -> None:
    home = tiny_home
    for number in range(200):
        with open(home.path(f"{number}.jpg"), "wb") as stream:
            stream.write(b"\xff\xd8\xff\xe0 broken %d" % number)
    home.start(home.photos)
    home.sync()
    assert len(home.problems()) == 200
    for _ in range(5):
        assert home.imgqd("retry").returncode == 0
        home.sync()
    text = home.output()
    for number in (0, 7, 199):
        assert text.count(os.path.join(home.photos, f"{number}.jpg")) == 1
