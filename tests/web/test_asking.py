"""Asking: words as they are typed, filters, time, images of one's own, and the URL that holds it all."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Route, expect

from tests.harness import Home
from tests.web import shelf as shelf_
from tests.web.visiting import (
    Visit,
    cells,
    expect_count,
    expect_first,
    in_address,
    link,
    named,
    query,
    shown,
)

# Makes files from base64 in the page, for what a person drags and pastes.
FILES = """([name, type, data]) => {
  const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type }));
  return transfer;
}"""


def box(page: Page):
    return page.get_by_role("combobox", name="Ask for pictures")


def filter_chip(page: Page, name: str):
    return page.get_by_role("group", name="Filters").get_by_role("button", name=name, exact=True)


def test_answers_come_as_one_types_and_enter_remembers_the_question(
    shelf: Home, visit: Visit
) -> None:
    page = visit.enter()
    shown(page)
    box(page).press_sequentially("a rocket launch", delay=20)
    expect_first(page, "rocket")
    assert in_address(page)["q"] == ["a rocket launch"]
    before = shelf.imgq("--history").stdout.decode()
    assert "a rocket launch" not in before
    box(page).press("Enter")
    page.wait_for_function(
        "async () => (await (await fetch('/v1/history')).json()).questions"
        ".some((one) => one.typed.includes('a rocket launch'))"
    )
    # The letters were one step: back leads to before the first of them.
    page.go_back()
    expect_count(page, shelf_.COUNT)
    assert in_address(page) == {}


def test_an_earlier_slow_answer_never_overwrites_a_later_one(visit: Visit) -> None:
    page = visit.page
    held: list[Route] = []

    def hold(route: Route) -> None:
        if "motorcycle" in (route.request.post_data or ""):
            held.append(route)
        else:
            route.continue_()

    visit.context.route("**/v1/grid", hold)
    visit.enter()
    shown(page)
    box(page).fill("a motorcycle")
    expect(page).to_have_url(re.compile("motorcycle"))
    box(page).fill("a cup of coffee")
    expect_first(page, "coffee")
    assert held
    for route in held:
        route.continue_()
    # Later than anything the held request could still bring.
    page.evaluate("fetch('/v1/session').then((said) => said.json())")
    page.evaluate("new Promise((then) => requestAnimationFrame(() => requestAnimationFrame(then)))")
    expect_first(page, "coffee")


def test_words_with_weights_and_without(visit: Visit) -> None:
    page = visit.enter(query(q="a rocket + a cat^3"))
    expect_first(page, "chelsea")
    box(page).fill("a rocket^9 + a cat")
    expect_first(page, "rocket")
    box(page).fill("a cat -cat")
    expect(named(page, "chelsea.jpg")).not_to_have_attribute("aria-posinset", "1")


def test_half_a_question_keeps_the_answer_and_says_what_is_missing(visit: Visit) -> None:
    page = visit.enter(query(q="a cat"))
    expect_first(page, "chelsea")
    visit.expect_errors("400")
    box(page).fill("a cat^")
    expect(page.locator("#ask-hint")).to_be_visible()
    expect_first(page, "chelsea")
    box(page).fill("a cat^2")
    expect(page.locator("#ask-hint")).to_be_hidden()


def test_back_forward_and_reload_hold_the_question(visit: Visit) -> None:
    page = visit.enter(query(q="a cat"))
    expect_first(page, "chelsea")
    box(page).fill("a rocket")
    box(page).press("Enter")
    expect_first(page, "rocket")
    filter_chip(page, "Format").click()
    page.get_by_role("dialog", name="Format").get_by_role("button", name=re.compile("PNG")).click()
    expect_count(page, 1)
    page.go_back()
    expect_first(page, "rocket")
    assert "type" not in in_address(page)
    page.go_back()
    expect_first(page, "chelsea")
    expect(box(page)).to_have_value("a cat")
    page.go_forward()
    expect_first(page, "rocket")
    page.reload()
    expect_first(page, "rocket")
    expect(box(page)).to_have_value("a rocket")


def test_filters_are_chips_that_narrow_the_answer(visit: Visit) -> None:
    page = visit.enter()
    expect_count(page, shelf_.COUNT)
    filter_chip(page, "Folder").click()
    page.get_by_role("dialog").get_by_role("button", name=re.compile("^space")).click()
    expect_count(page, 3)
    assert in_address(page)["in"][0].endswith("/space")
    page.keyboard.press("Escape")
    filter_chip(page, "Camera").click()
    page.get_by_role("dialog").get_by_role("button", name=re.compile("Canon EOS 5D")).click()
    expect_count(page, 2)
    filter_chip(page, "Shape").click()
    page.get_by_role("dialog").get_by_role("button", name=re.compile("Square")).click()
    expect_count(page, 1)
    expect(named(page, "astronaut.jpg")).to_be_visible()
    page.get_by_role("button", name="Remove: Shape").click()
    expect_count(page, 2)
    page.get_by_role("button", name="Remove: Folder").click()
    page.get_by_role("button", name="Remove: Camera").click()
    expect_count(page, shelf_.COUNT)


def test_the_command_line_s_other_filters_can_be_seen_and_taken_away(visit: Visit) -> None:
    page = visit.enter(query(near="48.2,16.37,5"))
    expect_count(page, 2)
    page.get_by_role("button", name="Remove: Within 5 km of 48.2, 16.37").click()
    expect_count(page, shelf_.COUNT)


def test_facets_count_what_is_asked_and_choose_from_it(visit: Visit) -> None:
    page = visit.enter()
    shown(page)
    page.get_by_role("button", name="Refine").click()
    panel = page.get_by_role("complementary", name="Refine")
    choice = panel.get_by_role("button", name=re.compile("^Pixel 8|^Google Pixel 8"))
    expect(choice).to_contain_text("5")
    choice.click()
    expect_count(page, 5)
    # What else could be chosen follows the answer.
    expect(panel.get_by_role("button", name=re.compile("^2021"))).to_contain_text("2")
    page.get_by_role("button", name="Refine").click()
    expect(panel).to_be_hidden()


def test_a_range_of_the_timeline_is_brushed_with_the_mouse_and_with_keys(visit: Visit) -> None:
    page = visit.enter()
    track = page.locator(".timeline-track")
    expect(track).to_be_visible()
    at = track.bounding_box()
    assert at is not None
    middle = at["y"] + at["height"] / 2
    page.mouse.move(at["x"] + at["width"] * 0.5, middle)
    page.mouse.down()
    page.mouse.move(at["x"] + at["width"] * 0.75, middle, steps=4)
    page.mouse.move(at["x"] + at["width"] - 2, middle, steps=4)
    page.mouse.up()
    expect(page).to_have_url(re.compile("after="))
    assert in_address(page)["after"] == ["2021-09"]
    expect_count(page, 8)
    start = page.get_by_role("slider", name="Taken from")
    start.press("PageUp")
    expect(page).to_have_url(re.compile("after=2022-09"))
    expect_count(page, 6)
    start.press("Escape")
    expect_count(page, shelf_.COUNT)


def test_a_file_dropped_on_the_page_is_the_question(visit: Visit) -> None:
    page = visit.enter()
    shown(page)
    data = base64.b64encode(shelf_.bytes_of("coffee")).decode()
    files = page.evaluate_handle(FILES, ["mine.jpg", "image/jpeg", data])
    page.dispatch_event("body", "dragenter", {"dataTransfer": files})
    expect(page.get_by_text("Drop the image to find pictures like it")).to_be_visible()
    page.dispatch_event("body", "drop", {"dataTransfer": files})
    expect_first(page, "coffee")
    expect(page.locator(".chip.term", has_text="mine.jpg")).to_be_visible()
    # It is held in memory only, and the page says so.
    page.reload()
    expect(page.locator(".chip.term", has_text="Your image is gone")).to_be_visible()


def test_what_is_no_image_is_refused_in_words(visit: Visit) -> None:
    page = visit.enter()
    shown(page)
    files = page.evaluate_handle(FILES, ["tax.pdf", "application/pdf", "JVBERi0="])
    page.dispatch_event("body", "drop", {"dataTransfer": files})
    expect(page.locator(".toast")).to_have_text(re.compile(r"tax\.pdf is not an image"))
    expect_count(page, shelf_.COUNT)


def test_an_image_is_pasted_from_the_clipboard(visit: Visit) -> None:
    page = visit.enter()
    shown(page)
    visit.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate(
        """async (data) => {
          const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
          const blob = new Blob([bytes], { type: "image/png" });
          await navigator.clipboard.write([new ClipboardItem({ "image/png": blob })]);
        }""",
        base64.b64encode(shelf_.bytes_of("astronaut", "PNG")).decode(),
    )
    page.keyboard.press("Control+v")
    expect_first(page, "astronaut")


def test_an_image_is_chosen_with_the_button(visit: Visit) -> None:
    page = visit.enter()
    shown(page)
    with page.expect_file_chooser() as chosen:
        page.get_by_role("button", name="Search with an image of your own").click()
    chosen.value.set_files(
        [{"name": "r.jpg", "mimeType": "image/jpeg", "buffer": shelf_.bytes_of("rocket")}]
    )
    expect_first(page, "rocket")


@pytest.mark.parametrize("key", ["ArrowDown", "click"])
def test_what_was_asked_before_is_offered(
    shelf: Home, visit_to: Callable[..., Visit], key: str
) -> None:
    shelf.imgq("a motorcycle in a room", "--type", "jpeg")
    visit = visit_to(shelf)
    page = visit.enter()
    shown(page)
    box(page).fill("in a room")
    offer = page.locator("#suggestions").get_by_role("option", name=re.compile("in a room")).first
    expect(offer).to_be_visible()
    if key == "click":
        offer.click()
    else:
        box(page).press("ArrowDown")
        box(page).press("Enter")
    expect_first(page, "motorcycle")
    assert in_address(page)["type"] == ["jpeg"]


def test_nothing_found_offers_a_way_on(visit: Visit) -> None:
    page = visit.enter(query(camera="Leica", q="a cat"))
    expect(page.get_by_text("Nothing fits “a cat”")).to_be_visible()
    page.get_by_role("button", name="Remove the filters").click()
    expect_first(page, "chelsea")
    assert cells(page).count() > 10


def test_the_command_line_and_the_page_find_the_same(shelf: Home, visit: Visit) -> None:
    done = shelf.imgq("--web", "a rocket", "--in", shelf.path("space"))
    assert done.returncode == 0, done.stderr.decode()
    page = visit.page
    page.goto(done.stdout.decode().strip())
    expect_count(page, 3)
    expect_first(page, "rocket")
    assert link(shelf).startswith(page.url.partition("?")[0])
