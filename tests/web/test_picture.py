"""One picture: opened, zoomed, stepped through, described, and asked for more like it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests import photographs
from tests.harness import Home
from tests.web.visiting import (
    Visit,
    at,
    expect_count,
    expect_first,
    first_names,
    in_address,
    named,
    query,
    shown,
)


def opened(page: Page, name: str):
    """Opens a picture of the grid by a click; returns its view."""
    named(page, name).click()
    view = page.get_by_role("dialog", name="Picture")
    expect(view.get_by_role("heading", name=name)).to_be_visible()
    return view


def percent(page: Page) -> int:
    return int(page.locator(".picture-percent").inner_text().rstrip("%"))


def settled(page: Page) -> int:
    """The zoom once it is known: the picture is there and has its size."""
    expect(page.locator(".stage.ready")).to_be_visible()
    return percent(page)


def test_a_picture_opens_with_what_is_known_of_it_and_back_closes_it(visit: Visit) -> None:
    page = visit.enter(query(q="a cat"))
    expect_first(page, "chelsea")
    shown(page)
    view = opened(page, "chelsea.jpg")
    assert in_address(page)["picture"]
    expect(view).to_contain_text("451 × 300")
    expect(view).to_contain_text("Canon EOS 5D")
    expect(view).to_contain_text("48.20000° N, 16.37000° E")
    expect(view.get_by_text("2 exact copies")).to_be_visible()
    page.go_back()
    expect(view).to_have_count(0)
    expect(named(page, "chelsea.jpg")).to_be_focused()
    page.go_forward()
    expect(view.get_by_role("heading", name="chelsea.jpg")).to_be_visible()
    page.reload()
    expect(view.get_by_role("heading", name="chelsea.jpg")).to_be_visible()
    view.get_by_role("button", name="Close the picture").click()
    expect(view).to_have_count(0)


def test_next_and_previous_follow_the_answer(visit: Visit) -> None:
    page = visit.enter(query(q="a rocket"))
    names = first_names(page, 3)
    view = opened(page, names[0])
    expect(view.get_by_role("button", name="Previous picture")).to_be_disabled()
    expect(view.locator(".picture-place")).to_have_text(re.compile(r"^1 of \d\d$"))
    view.get_by_role("button", name="Next picture").click()
    expect(view.get_by_role("heading", name=names[1])).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(view.get_by_role("heading", name=names[2])).to_be_visible()
    page.keyboard.press("ArrowLeft")
    expect(view.get_by_role("heading", name=names[1])).to_be_visible()
    # Looking through pictures is one step of the history.
    page.go_back()
    expect(view).to_have_count(0)
    expect_first(page, names[0].removesuffix(".jpg"))


def test_zooming_asks_for_the_original_once_it_shows_more(visit: Visit) -> None:
    page = visit.enter(query(**{"after": "2019-08", "before": "2019-09"}))
    expect_count(page, 1)
    view = opened(page, "large.jpg")
    small = settled(page)
    assert 10 < small < 60
    with page.expect_response(re.compile("/original$")) as answer:
        page.keyboard.press("1")
    assert answer.value.status in (200, 206)
    assert answer.value.headers["content-type"] == "image/jpeg"
    assert answer.value.headers["x-content-type-options"] == "nosniff"
    expect(page.locator(".picture-percent")).to_have_text("100%")
    expect(page.locator(".stage.sharp")).to_be_visible()
    view.get_by_role("button", name="Zoom out").click()
    assert small < percent(page) < 100
    page.keyboard.press("0")
    expect(page.locator(".picture-percent")).to_have_text(f"{small}%")


def test_the_wheel_zooms_and_a_drag_moves(visit: Visit) -> None:
    page = visit.enter(query(q="a rocket"))
    shown(page)
    opened(page, "rocket.jpg")
    before = settled(page)
    stage = page.locator(".stage")
    at = stage.bounding_box()
    assert at is not None
    page.mouse.move(at["x"] + at["width"] / 2, at["y"] + at["height"] / 2)
    page.mouse.wheel(0, -600)
    expect(page.locator(".stage.zoomed")).to_be_visible()
    assert percent(page) > before
    place = page.locator(".stage-sheet").evaluate("(sheet) => sheet.style.transform")
    page.mouse.down()
    page.mouse.move(at["x"] + at["width"] / 2 - 60, at["y"] + at["height"] / 2 - 20, steps=4)
    page.mouse.up()
    assert page.locator(".stage-sheet").evaluate("(sheet) => sheet.style.transform") != place
    assert in_address(page)["picture"], "moving a picture does not leave it"


def test_more_like_this_and_less_like_this(visit: Visit) -> None:
    page = visit.enter(query(q="a cup of coffee"))
    expect_first(page, "coffee")
    shown(page)
    first = first_names(page)[0]
    opened(page, first).get_by_role("button", name="More like this").click()
    assert in_address(page).keys() == {"like"}
    expect_first(page, "coffee")
    expect(named(page, "chelsea.jpg")).to_be_visible()
    opened(page, "chelsea.jpg").get_by_role("button", name="Less like this").click()
    assert in_address(page).keys() == {"like", "unlike"}
    expect(page.get_by_role("button", name="Remove: Less like this")).to_be_visible()
    page.get_by_role("button", name="Remove: Less like this").click()
    assert in_address(page).keys() == {"like"}


def test_similar_but_different_adds_words_to_the_example(visit: Visit) -> None:
    page = visit.enter(query(q="a cup of coffee"))
    shown(page)
    view = opened(page, first_names(page)[0])
    view.get_by_role("textbox", name="Similar, but…").fill("a cat")
    view.get_by_role("textbox", name="Similar, but…").press("Enter")
    expect(view).to_have_count(0)
    assert in_address(page)["q"] == ["a cat"]
    assert in_address(page)["like"]
    shown(page)
    assert "chelsea.jpg" in first_names(page, 3)


def test_tags_and_words_are_kept_and_found_on_the_command_line(shelf: Home, visit: Visit) -> None:
    page = visit.enter(query(q="coins"))
    shown(page)
    view = opened(page, "coins.jpg")
    tags = view.get_by_role("combobox", name="Add a tag").or_(
        view.get_by_role("textbox", name="Add a tag")
    )
    tags.fill("antique, to print")
    tags.press("Enter")
    expect(view.get_by_role("list", name="Tags")).to_contain_text("antique")
    view.get_by_label("Description").fill("Greek coins from Pompeii")
    view.get_by_label("Description").press("Control+Enter")
    expect(view.locator(".saved-sign [role=status]").first).to_have_text("Saved")
    assert shelf.names("--tag", "to print") == ["coins.jpg"]
    assert shelf.json("--tag", "antique")["results"][0]["description"] == "Greek coins from Pompeii"
    view.get_by_role("button", name="Remove the tag to print").click()
    expect(view.get_by_role("list", name="Tags")).not_to_contain_text("to print")
    page.reload()
    expect(view.get_by_label("Description")).to_have_value("Greek coins from Pompeii")
    view.get_by_role("link", name="antique: show all with this tag").click()
    expect_count(page, 1)
    assert shelf.names("--tag", "to print") == []


def test_a_favourite_is_a_tag_of_the_command_line(shelf: Home, visit: Visit) -> None:
    page = visit.enter(query(q="a flower"))
    shown(page)
    view = opened(page, "flower.jpg")
    star = view.get_by_role("button", name="Favourite", exact=True)
    star.click()
    expect(star).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#live")).to_have_text("A favourite now")
    assert shelf.names("--tag", "favourite") == ["flower.jpg"]
    star.click()
    expect(page.locator("#live")).to_have_text("No favourite any more")
    assert shelf.names("--tag", "favourite") == []


def test_paths_are_copied_and_the_file_is_downloaded(shelf: Home, visit: Visit) -> None:
    visit.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = visit.enter(query(q="a rocket"))
    shown(page)
    view = opened(page, "rocket.jpg")
    view.get_by_role("button", name="Copy the path of rocket.jpg").click()
    expect(page.locator(".toast")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == shelf.path("space", "rocket.jpg")
    with page.expect_download() as download:
        view.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "rocket.jpg"
    with open(shelf.path("space", "rocket.jpg"), "rb") as original:
        assert download.value.path().read_bytes() == original.read()


HTML = '<img src=x onerror="window.ran=1"><script>window.ran=1<∕script>.jpg'


def test_a_file_named_like_html_is_text_everywhere(
    home: Home, visit_to: Callable[..., Visit]
) -> None:
    photographs.save("chelsea", home.path("cat.jpg"))
    folder = home.path("<b>bold</b> & <script>alert(1)<∕script>")
    os.makedirs(folder)
    os.rename(home.path("cat.jpg"), os.path.join(folder, HTML))
    photographs.copy(os.path.join(folder, HTML), home.path("<i>copy.jpg"))
    with open(os.path.join(folder, "<u>broken.jpg"), "wb") as broken:
        broken.write(b"\xff\xd8\xff\xe0 not a picture")
    photographs.save("rocket", home.path("rocket.jpg"))
    home.start(home.photos)
    home.sync()
    visit = visit_to(home)
    page = visit.enter(query(q="a cat"))
    shown(page)
    cell = at(page, 1)
    expect(cell).to_have_attribute("aria-label", re.compile("^<"))
    cell.click()
    view = page.get_by_role("dialog", name="Picture")
    expect(view.get_by_text(HTML).first).to_be_visible()
    tags = view.get_by_role("combobox", name="Add a tag").or_(
        view.get_by_role("textbox", name="Add a tag")
    )
    tags.fill("<img src=x onerror=window.ran=1>")
    tags.press("Enter")
    expect(view.get_by_role("list", name="Tags")).to_contain_text("<img src=x")
    view.get_by_label("Description").fill("<svg onload=window.ran=1>")
    view.get_by_label("Description").press("Control+Enter")
    expect(view.locator(".saved-sign [role=status]").first).to_have_text("Saved")
    for name in ("duplicates", "folders", "problems", "collections", "numbers"):
        page.goto(
            page.url.partition("?")[0] + query(view=name, q="<img src=x onerror=window.ran=1>")
        )
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page.get_by_text("Loading", exact=True)).to_have_count(0)
    page.goto(page.url.partition("?")[0] + query(view="problems"))
    expect(page.get_by_text("<u>broken.jpg").first).to_be_visible()
    assert page.evaluate("window.ran") is None
    assert page.locator("img[src='x'], b, u, i:not([class])").count() == 0
