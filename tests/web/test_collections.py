"""What is kept: saved searches, favourites and history, and what there is more than once."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.harness import Home
from tests.web.visiting import Visit, expect_count, expect_first, in_address, named, query, shown


def listing(home: Home) -> list[str]:
    """Every file of the photos folder."""
    return sorted(
        os.path.join(folder, name) for folder, _, names in os.walk(home.photos) for name in names
    )


def test_a_question_is_saved_under_a_name_and_is_the_command_line_s(
    shelf: Home, visit: Visit
) -> None:
    page = visit.enter(query(q="a rocket", type="jpeg", view="collections"))
    page.get_by_label("Keep the present question under a name").fill("rockets")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".toast")).to_contain_text("imgq @rockets")
    assert shelf.names("@rockets", "-n", "1") == ["rocket.jpg"]
    page.goto(page.url.partition("?")[0] + "?view=collections")
    page.get_by_role("link", name="rockets", exact=True).click()
    expect_first(page, "rocket")
    assert in_address(page)["type"] == ["jpeg"]
    page.go_back()
    page.get_by_role("button", name="Rename rockets").click()
    page.get_by_label(re.compile("^New name")).fill("launches")
    page.get_by_role("dialog").get_by_role("button", name="Rename", exact=True).click()
    expect(page.get_by_role("link", name="launches", exact=True)).to_be_visible()
    page.get_by_role("button", name="Remove launches").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove", exact=True).click()
    expect(page.get_by_role("link", name="launches", exact=True)).to_have_count(0)
    assert shelf.imgq("@launches").returncode == 2


def test_one_saved_on_the_command_line_is_on_the_page(shelf: Home, visit: Visit) -> None:
    assert shelf.imgq("--save", "coffee-at-work", "a cup of coffee").returncode == 0
    page = visit.enter(query(view="collections"))
    page.get_by_role("link", name="coffee-at-work", exact=True).click()
    expect_first(page, "coffee")
    assert shelf.imgq("--forget", "coffee-at-work").returncode == 0


def test_the_history_is_shared_and_can_be_cleared(shelf: Home, visit: Visit) -> None:
    shelf.imgq("a temple in spring", "--after", "2024")
    page = visit.enter(query(view="collections"))
    page.get_by_role("link", name=re.compile("a temple in spring")).first.click()
    shown(page)
    assert in_address(page)["after"] == ["2024"]
    page.go_back()
    page.get_by_role("button", name="Clear the history").click()
    page.get_by_role("dialog").get_by_role("button", name="Clear the history").click()
    expect(page.get_by_text("Nothing was asked yet.")).to_be_visible()
    assert "temple" not in shelf.imgq("--history").stdout.decode()


def test_favourites_of_several_pictures_at_once(shelf: Home, visit: Visit) -> None:
    page = visit.enter(query(q="a rocket"))
    shown(page)
    named(page, "rocket.jpg").click(modifiers=["Control"])
    named(page, "astronaut.jpg").click(modifiers=["Control"])
    bar = page.get_by_role("toolbar", name="Selected pictures")
    expect(bar).to_contain_text("2 selected")
    bar.get_by_role("button", name="Favourite").click()
    expect(page.locator(".toast")).to_have_text("2 pictures are favourites now")
    page.goto(page.url.partition("?")[0] + "?view=collections")
    expect(page.get_by_role("button", name=re.compile("Open the favourite picture"))).to_have_count(
        2
    )
    assert sorted(shelf.names("--tag", "favourite")) == ["astronaut.jpg", "rocket.jpg"]
    page.get_by_role("link", name="Show all: 2 pictures").click()
    expect_count(page, 2)
    shown(page)
    page.keyboard.press("/")
    page.keyboard.press("Escape")
    named(page, "rocket.jpg").focus()
    page.keyboard.press("Control+a")
    bar.get_by_role("button", name="Tag").click()
    page.get_by_label("Tags, with commas between them").fill("favourite")
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(page.get_by_text("Nothing fits")).to_be_visible()
    assert shelf.names("--tag", "favourite") == []


@pytest.fixture
def unchanged(shelf: Home) -> Iterator[None]:
    before = listing(shelf)
    yield
    assert listing(shelf) == before


def test_duplicates_are_listed_with_a_choice_and_nothing_is_deleted(
    shelf: Home, visit: Visit, unchanged: None
) -> None:
    visit.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = visit.enter(query(view="duplicates"))
    exact = page.get_by_role("region", name=re.compile("2 exact copies"))
    expect(exact.get_by_role("checkbox", checked=True)).to_have_count(1)
    page.get_by_label("How alike").fill("100")
    expect(page.get_by_text("1 group, 1 of them exact copies")).to_be_visible()
    original, copy = (
        exact.get_by_role("listitem").filter(has_text=folder) for folder in ("animals/", "copies/")
    )
    original.get_by_role("checkbox").check()
    copy.get_by_role("checkbox").uncheck()
    page.get_by_role("button", name="List the paths").click()
    dialog = page.get_by_role("dialog", name=re.compile("Not kept: 1 file"))
    expect(dialog).to_contain_text("imgq deletes nothing")
    dialog.get_by_role("button", name="Copy, one a line").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == shelf.path("copies", "chelsea.jpg") + "\n"
    dialog.get_by_role("button", name="Close").click()
    # As long as none of a group is kept, none of it is listed.
    original.get_by_role("checkbox").uncheck()
    expect(exact).to_contain_text("Keep at least one")
    expect(page.get_by_role("button", name="List the paths")).to_be_hidden()
    original.get_by_role("button", name="Open chelsea.jpg").click()
    expect(page.get_by_role("dialog", name="Picture")).to_be_visible()


def test_numbers_are_plots_that_lead_to_the_pictures(shelf: Home, visit: Visit) -> None:
    shelf.imgq("a cat")
    page = visit.enter(query(view="numbers"))
    expect(page.get_by_role("heading", name="By year")).to_be_visible()
    expect(page.get_by_role("heading", name="Searches a day")).to_be_visible()
    plot = page.get_by_role("figure").filter(has=page.get_by_role("heading", name="By camera"))
    plot.get_by_text("As a table").click()
    plot.get_by_role("link", name=re.compile("Canon EOS 5D")).click()
    expect_count(page, 6)
    assert in_address(page)["camera"] == ["Canon EOS 5D"]
