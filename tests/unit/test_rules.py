"""What is left out below watched folders, from names alone."""

from __future__ import annotations

import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgqd.library.rules import Rules, glob_regex, join

ROOT = b"/photos"


def rules(*patterns: str, **options: object) -> Rules:
    return Rules([(ROOT, patterns)], **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "path",
    [
        b".hidden.jpg",
        b"._IMG_1.jpg",
        b".thumbnails/a.jpg",
        b"a/.Trash-1000/files/a.jpg",
        b"@eaDir/IMG.JPG/SYNOPHOTO_THUMB_XL.jpg",
        b"a/#recycle/a.jpg",
        b"#snapshot/2024/a.jpg",
        b"$RECYCLE.BIN/a.jpg",
        b"$Recycle.Bin/a.jpg",
        b"System Volume Information/a.jpg",
        b"lost+found/a.jpg",
        b"Pics.photoslibrary/resources/derivatives/a.jpg",
        b"Pics.photoslibrary/database/a.jpg",
        b"Old.photolibrary/Thumbnails/a.jpg",
        b"Shots.aplibrary/Previews/a.jpg",
        b"Catalog Previews.lrdata/0/a.jpg",
        b"Catalog Smart Previews.lrdata/0/a.dng",
        b"Lightroom Library.lrlibrary/abc/previews/a.jpg",
    ],
)
def test_derivatives_trash_and_hidden_names_are_left_out(path: bytes) -> None:
    assert rules().excluded(ROOT + b"/" + path, False)


@pytest.mark.parametrize(
    "path",
    [
        b"a.jpg",
        b"2024/a.jpg",
        b"resources/a.jpg",
        b"previews/a.jpg",
        b"Pics.photoslibrary/originals/0/a.jpg",
        b"Pics.photoslibrary/Masters/a.jpg",
        b"Lightroom Library.lrlibrary/abc/originals/a.jpg",
        b"node_modules/a.jpg",
        b"caf\xe9\n'\"/\xff.jpg",
    ],
)
def test_what_a_person_put_there_stays(path: bytes) -> None:
    assert not rules().excluded(ROOT + b"/" + path, False)


def test_what_is_outside_every_folder_is_not_ours() -> None:
    assert rules().excluded(b"/photos2/a.jpg", False)
    assert rules().excluded(b"/", True)
    assert Rules([]).excluded(b"/photos/a.jpg", False)


def test_a_hidden_folder_that_is_watched_itself_is_ours() -> None:
    hidden = Rules([(b"/home/me/.pictures", [])])
    assert not hidden.excluded(b"/home/me/.pictures/a.jpg", False)
    assert hidden.excluded(b"/home/me/.pictures/.hidden/a.jpg", False)


def test_the_root_of_the_filesystem_can_be_watched() -> None:
    everything = Rules([(b"/", ["tmp/"])])
    assert not everything.excluded(b"/a.jpg", False)
    assert everything.excluded(b"/tmp/a.jpg", False)
    assert everything.tops() == [b"/"]
    assert everything.root_of(b"/a/b") == b"/"


@pytest.mark.parametrize(
    ("pattern", "out", "kept"),
    [
        ("*.png", ["a.png", "x/y/b.png"], ["a.png.jpg", "apng"]),
        ("drafts", ["drafts", "x/drafts/a.jpg"], ["drafts2/a.jpg"]),
        ("private/", ["private/a.jpg", "x/private/a.jpg"], ["private"]),
        ("/private", ["private/a.jpg"], ["x/private/a.jpg"]),
        ("2024/raw", ["2024/raw/a.jpg"], ["x/2024/raw/a.jpg", "2024/rawer/a.jpg"]),
        ("2024/*.jpg", ["2024/a.jpg"], ["2024/x/a.jpg"]),
        ("**/raw/*.jpg", ["raw/a.jpg", "x/y/raw/a.jpg"], ["raw/x/a.jpg"]),
        ("a/**/z.jpg", ["a/z.jpg", "a/b/c/z.jpg"], ["z.jpg", "b/a/z.jpg"]),
        ("private/**", ["private/a.jpg", "private/x/a.jpg"], ["x/private/a.jpg"]),
        ("*/private/*", ["private/a.jpg", "x/y/private/a.jpg"], ["privates/a.jpg"]),
        ("IMG_?.jpg", ["IMG_1.jpg", "IMG_é.jpg"], ["IMG_10.jpg"]),
        ("IMG_[0-9].jpg", ["IMG_1.jpg"], ["IMG_x.jpg"]),
        ("IMG_[!0-9].jpg", ["IMG_x.jpg"], ["IMG_1.jpg"]),
        ("[z-a].jpg", [], ["z.jpg", "a.jpg"]),
        ("a[b.jpg", ["a[b.jpg"], ["ab.jpg"]),
        (r"\*.jpg", ["*.jpg"], ["a.jpg"]),
        ("/photos/absolute", ["absolute/a.jpg"], ["x/absolute/a.jpg"]),
        ("", [], ["a.jpg"]),
        ("a (1).jpg", ["a (1).jpg"], ["a 1.jpg"]),
    ],
)
def test_patterns_are_matched_as_in_gitignore(
    pattern: str, out: list[str], kept: list[str]
) -> None:
    chosen = rules(pattern)
    for path in out:
        assert chosen.excluded(join(ROOT, path.encode()), False), path
    for path in kept:
        assert not chosen.excluded(join(ROOT, path.encode()), False), path


def test_a_pattern_with_a_slash_at_the_end_means_folders_only() -> None:
    assert rules("x/").excluded(b"/photos/x", True)
    assert not rules("x/").excluded(b"/photos/x", False)


def test_a_name_that_is_no_text_is_matched_all_the_same() -> None:
    assert rules("bad*").excluded(b"/photos/bad\xff\n.jpg", False)
    assert rules("bad?.jpg").excluded(b"/photos/bad\xff.jpg", False)


def test_settings_patterns_hold_for_every_folder_and_a_folders_own_only_there() -> None:
    both = Rules([(b"/a", ["*.gif"]), (b"/b", [])], patterns=["*.png"])
    assert both.excluded(b"/a/x.png", False)
    assert both.excluded(b"/b/x.png", False)
    assert both.excluded(b"/a/x.gif", False)
    assert not both.excluded(b"/b/x.gif", False)


def test_the_daemons_own_folders_are_left_out() -> None:
    own = rules(own=[b"/photos/imgq", b"/photos/x/library.db"])
    assert own.excluded(b"/photos/imgq/thumbs/a.webp", False)
    assert own.excluded(b"/photos/x/library.db", False)
    assert not own.excluded(b"/photos/imgq2/a.jpg", False)
    inside = Rules([(b"/imgq/photos", [])], own=[b"/imgq"])
    assert not inside.excluded(b"/imgq/photos/a.jpg", False)


def test_the_desktops_trash_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert Rules([(b"/data", [])]).excluded(b"/data/Trash/files/a.jpg", False)
    assert not Rules([(b"/data", [])]).excluded(b"/data/x/Trash/a.jpg", False)


def test_a_folder_inside_a_watched_one_adds_nothing_of_its_own() -> None:
    nested = Rules([(b"/p", []), (b"/p/x", ["*.gif"])])
    assert nested.tops() == [b"/p"]
    assert not nested.excluded(b"/p/x/a.gif", False)
    assert nested.root_of(b"/p/x/a.gif") == b"/p/x"


def test_a_folder_that_the_outer_one_leaves_out_is_covered_by_itself() -> None:
    nested = Rules([(b"/p", ["private/"]), (b"/p/private/x", []), (b"/p/.hidden", [])])
    assert nested.tops() == [b"/p", b"/p/private/x"]
    assert not nested.excluded(b"/p/private/x/a.jpg", False)
    assert nested.excluded(b"/p/private/a.jpg", False)
    assert not nested.excluded(b"/p/.hidden", True)
    assert not nested.excluded(b"/p/.hidden/a.jpg", False)
    outer_pattern = Rules([(b"/p", ["*.png"]), (b"/p/x", [])])
    assert not outer_pattern.excluded(b"/p/x/a.png", False)
    assert outer_pattern.excluded(b"/p/y/a.png", False)


def test_a_walk_is_told_the_same_as_a_single_question() -> None:
    chosen = Rules(
        [(b"/p", ["*.png", "a/b", "deep/**/x"]), (b"/p/a/b/c", []), (b"/p/.h", ["z"])],
        own=[b"/p/own"],
    )
    directories = [b"/p", b"/p/a", b"/p/a/b", b"/p/a/b/c", b"/p/.h", b"/p/deep/q", b"/p/own"]
    for directory in directories:
        below = chosen.below(directory)
        for name in (b"a", b"b", b"c", b"x", b"z", b".h", b"own", b"q.png", b"a.jpg"):
            for is_dir in (False, True):
                path = join(directory, name)
                told = chosen.is_root(path) or (
                    below is not None and not below.excludes(name, is_dir)
                )
                assert told != chosen.excluded(path, is_dir), (path, is_dir)


def test_a_path_of_two_thousand_parts_is_no_trouble() -> None:
    assert not rules().excluded(ROOT + b"/x" * 2000 + b"/a.jpg", False)


@given(st.text(min_size=1, max_size=12))
def test_any_text_is_a_pattern(pattern: str) -> None:
    re.compile(glob_regex(pattern))
    rules(pattern).excluded(b"/photos/a/b.jpg", False)


@given(st.binary(min_size=1, max_size=20).filter(lambda n: not set(n) & set(b"\0/*?[\\")))
def test_a_name_without_wildcards_matches_itself_only(name: bytes) -> None:
    text = os.fsdecode(name)
    if text.startswith("~"):
        return
    assert rules(text).excluded(join(ROOT, name), False)
    assert not rules(text).excluded(join(ROOT, b"q" + name + b"q"), False) or name.startswith(b".")
