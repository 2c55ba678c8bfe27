"""The page follows the library: photos that come and go, problems, folders, and what is being done."""

from __future__ import annotations

import os
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests import photographs
from tests.harness import Home
from tests.web.visiting import Visit, expect_count, expect_first, named, query, shown


@pytest.fixture
def alive(home: Home, visit_to: Callable[..., Visit]) -> Visit:
    """A visit to a daemon of its own, on two photographs."""
    for name in ("coffee", "rocket"):
        photographs.save(name, home.path(f"{name}.jpg"))
    home.start(home.photos)
    home.sync()
    return visit_to(home)


def test_a_new_photo_appears_and_a_deleted_one_goes_without_a_reload(
    home: Home, alive: Visit
) -> None:
    page = alive.enter()
    expect_count(page, 2)
    page.evaluate("window.same = true")
    photographs.save("chelsea", home.path("chelsea.jpg"))
    expect_count(page, 3)
    expect(named(page, "chelsea.jpg")).to_be_visible()
    os.remove(home.path("coffee.jpg"))
    expect_count(page, 2)
    expect(named(page, "coffee.jpg")).to_have_count(0)
    assert page.evaluate("window.same") is True


def test_a_problem_is_told_tried_again_and_gone_once_it_is_mended(home: Home, alive: Visit) -> None:
    page = alive.enter(query(view="problems"))
    expect(page.get_by_text("Every file could be read.")).to_be_visible()
    with open(home.path("broken.jpg"), "wb") as broken:
        broken.write(b"\xff\xd8\xff\xe0 not a picture")
    row = page.get_by_role("listitem").filter(has_text="broken.jpg")
    expect(row).to_contain_text("Damaged")
    expect(row).to_contain_text("tried 1 time,")
    row.get_by_role("button", name="Try broken.jpg again").click()
    expect(page.locator(".toast")).to_have_text("1 file is tried again")
    expect(row).to_contain_text("tried 2 times,")
    photographs.save("chelsea", home.path("mended.jpg"))
    os.replace(home.path("mended.jpg"), home.path("broken.jpg"))
    expect(page.get_by_text("Every file could be read.")).to_be_visible()
    page.get_by_role("link", name="imgq: all pictures").click()
    expect_count(page, 3)


def test_a_folder_is_added_and_removed_with_the_picker(home: Home, alive: Visit) -> None:
    other = os.path.join(home.directory, "more", "holidays")
    os.makedirs(other)
    photographs.save("china", os.path.join(other, "china.jpg"))
    page = alive.enter(query(view="folders"))
    page.get_by_role("button", name="Add a folder").click()
    picker = page.get_by_role("dialog", name="Which folder?")
    picker.get_by_role("textbox", name="Path").fill(home.directory)
    picker.get_by_role("button", name="Go").click()
    expect(picker.get_by_role("button", name="photos watched")).to_be_visible()
    picker.get_by_role("button", name="more", exact=True).click()
    picker.get_by_role("button", name="holidays", exact=True).click()
    expect(picker.get_by_text("There are no folders in this one.")).to_be_visible()
    picker.get_by_role("button", name="Watch this folder").click()
    expect(picker).to_be_hidden()
    row = page.get_by_role("listitem").filter(has_text=other)
    expect(row).to_contain_text("Watched")
    expect(row).to_contain_text("1 file")
    row.get_by_role("link").first.click()
    expect_count(page, 1)
    page.go_back()
    row.get_by_role("button", name=f"Stop watching {other}").click()
    page.get_by_role("dialog").get_by_role("button", name="Stop watching", exact=True).click()
    expect(row).to_have_count(0)
    assert os.listdir(other) == ["china.jpg"]
    page.get_by_role("link", name="imgq: all pictures").click()
    expect_count(page, 2)


def test_a_folder_that_is_not_there_is_told_in_the_picker(alive: Visit) -> None:
    page = alive.enter(query(view="folders"))
    alive.expect_errors("40[04]|50")
    page.get_by_role("button", name="Add a folder").click()
    picker = page.get_by_role("dialog", name="Which folder?")
    picker.get_by_role("textbox", name="Path").fill("/no/such/folder")
    picker.get_by_role("button", name="Go").click()
    expect(picker.get_by_role("alert")).to_contain_text("/no/such/folder")
    page.keyboard.press("Escape")
    expect(picker).to_be_hidden()
    expect(page.get_by_role("button", name="Add a folder")).to_be_focused()


def test_indexing_is_paused_and_goes_on(home: Home, alive: Visit) -> None:
    page = alive.enter(query(view="status"))
    expect(page.get_by_role("status").filter(has_text="Up to date")).to_be_visible()
    page.get_by_role("button", name="Pause indexing").click()
    expect(page.get_by_role("status").filter(has_text="Paused")).to_be_visible()
    assert home.status()["paused"] is True
    photographs.save("chelsea", home.path("chelsea.jpg"))
    page.get_by_role("button", name="Go on indexing").click()
    expect(page.get_by_role("status").filter(has_text="Up to date")).to_be_visible()
    expect(page.get_by_text(re.compile(r"chelsea\.jpg"))).to_be_visible()


def test_the_model_is_named_and_nonsense_is_refused_in_words(alive: Visit) -> None:
    page = alive.enter(query(view="model"))
    expect(page.get_by_text("builtin@").first).to_be_visible()
    alive.expect_errors("400")
    page.get_by_label("Model", exact=True).fill("no such model")
    page.get_by_role("button", name="Change", exact=True).click()
    expect(page.get_by_role("alert").filter(has_text="no such model")).to_be_visible()


def test_without_a_folder_the_page_says_what_to_do(
    home: Home, visit_to: Callable[..., Visit]
) -> None:
    home.start()
    visit = visit_to(home)
    page = visit.enter()
    page.get_by_role("button", name="Choose a folder").click()
    page.get_by_role("button", name="Add a folder").click()
    picker = page.get_by_role("dialog", name="Which folder?")
    photographs.save("chelsea", home.path("chelsea.jpg"))
    # What is typed counts, also before the list of the home folder has come.
    picker.get_by_role("textbox", name="Path").fill(home.photos)
    picker.get_by_role("button", name="Watch this folder").click()
    expect(page.locator(".toast")).to_have_text(f"{home.photos} is watched now")
    page.get_by_role("link", name="imgq: all pictures").click()
    shown(page)
    expect_first(page, "chelsea")
