"""Symbolic links in circles, to files, to folders outside, to nothing; and hard links."""

from __future__ import annotations

import os

import pytest

from tests import photographs
from tests.faults.library import indexed
from tests.harness import Home


@pytest.mark.parametrize("follow", [False, True])
def test_links_end_and_each_content_is_one_picture(tiny_home: Home, follow: bool) -> None:
    home = tiny_home
    home.environ["IMGQ_FOLLOW_LINKS"] = "1" if follow else "0"
    outside = os.path.join(home.directory, "outside")
    os.makedirs(outside)
    photographs.variant(1).save(home.path("one.png"))
    photographs.variant(2).save(os.path.join(outside, "two.png"))
    os.makedirs(home.path("deeper"))
    os.link(home.path("one.png"), home.path("deeper", "hard.png"))
    os.symlink(home.photos, home.path("deeper", "circle"))
    os.symlink("self", home.path("self"))
    os.symlink(os.path.join(outside, "two.png"), home.path("linked.png"))
    os.symlink(outside, home.path("elsewhere"))
    os.symlink("/no/such/file.png", home.path("dangling.png"))
    home.start(home.photos)
    home.sync()
    found = indexed(home)
    names = {os.path.relpath(os.fsdecode(path), home.photos) for path in found}
    hard = {"one.png", "deeper/hard.png"}
    assert hard <= names
    assert len(set(found.values())) == (2 if follow else 1)
    if not follow:
        assert names == hard
    assert home.problems() == {}
    results = home.json("-n", "10", "anything")["results"]
    assert len(results) == (2 if follow else 1)
    assert home.imgqd("verify").returncode == 0
