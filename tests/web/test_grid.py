"""The grid with thousands of pictures: few elements, nothing that jumps, and every key."""

from __future__ import annotations

import re
import urllib.parse
from collections import Counter
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.harness import Home
from tests.web import shelf as shelf_
from tests.web.visiting import Visit, at, cells, expect_count, expect_first, query, shown

# More than fill three windows of 1280 x 800, and far fewer than there are.
MOST_CELLS = 250


@pytest.fixture
def many(thousands: Home, visit_to: Callable[..., Visit]) -> Visit:
    """A visit to three thousand pictures."""
    return visit_to(thousands)


def all_loaded(page: Page) -> None:
    """Waits until every picture in the window has its thumbnail."""
    page.wait_for_function(
        """() => {
          const inside = [...document.querySelectorAll(".grid .cell:not([hidden])")].filter((one) => {
            const box = one.getBoundingClientRect();
            return box.bottom > 0 && box.top < innerHeight;
          });
          return inside.length > 0 && inside.every((one) => one.classList.contains("loaded"));
        }"""
    )


def test_scrolling_through_thousands_keeps_few_elements_and_nothing_jumps(many: Visit) -> None:
    page = many.enter()
    shown(page)
    expect_count(page, shelf_.MANY)
    all_loaded(page)
    elements = []
    for part in (0.1, 0.35, 0.36, 0.37, 0.8, 1.0, 0.5, 0.0):
        page.evaluate(
            "(part) => window.scrollTo(0, part * document.documentElement.scrollHeight)", part
        )
        all_loaded(page)
        elements.append(page.evaluate("document.querySelectorAll('.cell').length"))
    assert max(elements) < MOST_CELLS, elements
    # What is in view is what the scrollbar says.
    page.evaluate("window.scrollTo(0, document.documentElement.scrollHeight)")
    last = at(page, shelf_.MANY)
    expect(last).to_be_in_viewport()
    shifts = page.evaluate("window.shifts")
    assert sum(one["value"] for one in shifts) < 0.01, shifts


def test_the_wheel_scrolls_and_thumbnails_are_asked_for_once(many: Visit) -> None:
    page = many.enter()
    shown(page)
    expect_count(page, shelf_.MANY)
    page.mouse.move(640, 500)
    for by in (900, 900, 900, -2700):
        page.mouse.wheel(0, by)
        all_loaded(page)
    page.wait_for_function("() => window.scrollY === 0")
    # Up again shows what the browser already has: its cache is asked, the daemon is not.
    fetched = page.evaluate(
        """() => performance.getEntriesByType("resource")
          .filter((one) => one.name.includes("/thumbnail") && one.transferSize > 0)
          .map((one) => one.name)"""
    )
    assert fetched
    assert Counter(fetched).most_common(1)[0][1] == 1
    sides = {urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)["side"][0] for url in fetched}
    assert sides <= {"128", "256", "512"}


def test_back_returns_to_where_one_was(many: Visit) -> None:
    page = many.enter()
    shown(page)
    expect_count(page, shelf_.MANY)
    page.evaluate("window.scrollTo(0, 5000)")
    all_loaded(page)
    page.get_by_role("button", name="Format", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name=re.compile("JPEG")).click()
    page.wait_for_function("() => window.scrollY === 0")
    page.go_back()
    page.wait_for_function("() => Math.abs(window.scrollY - 5000) < 5")


def test_words_find_more_than_one_screen_and_enter_keeps_it(many: Visit) -> None:
    page = many.enter(query(q="a cat", stack="off"))
    shown(page)
    count = page.locator(".chips-count")
    expect(count).to_have_text("The best 2,000")
    page.evaluate("window.scrollTo(0, 5000)")
    all_loaded(page)
    page.get_by_role("searchbox").or_(page.locator(".ask-input")).first.focus(timeout=5000)
    page.keyboard.press("Enter")
    page.wait_for_timeout(1000)
    expect(count).to_have_text("The best 2,000")
    heights = page.evaluate("document.documentElement.scrollHeight")
    assert heights > 10_000


def test_nothing_stands_above_the_page(visit: Visit) -> None:
    page = visit.enter()
    shown(page)
    assert page.evaluate("document.querySelector('header.top').getBoundingClientRect().top") == 0


def test_an_answer_to_words_shows_scores(visit: Visit) -> None:
    page = visit.enter(query(q="a cat"))
    expect_first(page, "chelsea")
    shown(page)
    first = at(page, 1)
    first.hover()
    expect(first.locator(".score")).to_be_visible()
    expect(first.locator(".score .number")).to_have_text(re.compile(r"0\.\d{3}"))
    expect(first.locator(".stack-badge")).to_have_text("+1")


def test_with_keys_only_from_the_box_to_a_picture_and_back(visit: Visit) -> None:
    page = visit.enter()
    shown(page)
    keys = page.keyboard
    keys.press("Tab")
    expect(page.get_by_role("link", name="Skip to the pictures")).to_be_focused()
    keys.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    keys.press("/")
    keys.type("a cup of coffee")
    keys.press("Enter")
    expect_first(page, "coffee")
    shown(page)
    keys.press("ArrowDown")
    first = at(page, 1)
    expect(first).to_be_focused()
    ring = "(one) => getComputedStyle(one, '::after').boxShadow"
    assert first.evaluate(ring) != "none", "where the focus is can be seen"
    keys.press("ArrowRight")
    second = at(page, 2)
    expect(second).to_be_focused()
    name = str(second.get_attribute("aria-label")).split(",")[0]
    keys.press("Enter")
    view = page.get_by_role("dialog", name="Picture")
    expect(view.get_by_role("heading", name=name)).to_be_visible()
    expect(view).to_be_focused()
    keys.press("Tab")
    expect(view.get_by_role("button", name="Close the picture")).to_be_focused()
    keys.press("f")
    expect(view.get_by_role("button", name="Favourite", exact=True)).to_have_attribute(
        "aria-pressed", "true"
    )
    keys.press("f")
    expect(view.get_by_role("button", name="Favourite", exact=True)).to_have_attribute(
        "aria-pressed", "false"
    )
    keys.press("Escape")
    expect(view).to_have_count(0)
    expect(second).to_be_focused()
    keys.press("x")
    expect(second).to_have_attribute("aria-selected", "true")
    keys.press("Escape")
    expect(second).to_have_attribute("aria-selected", "false")
    keys.press("?")
    help = page.get_by_role("dialog", name="Help")
    expect(help).to_contain_text("Move between pictures")
    keys.press("Escape")
    expect(help).to_have_count(0)
    expect(second).to_be_focused()


def test_every_key_moves_the_focus_through_thousands(many: Visit) -> None:
    page = many.enter()
    shown(page)
    expect_count(page, shelf_.MANY)
    cells(page).first.focus()
    for key, moved in (("End", shelf_.MANY), ("Home", 1)):
        page.keyboard.press(key)
        cell = at(page, moved)
        expect(cell).to_be_focused()
        expect(cell).to_be_in_viewport()
    page.keyboard.press("PageDown")
    page.keyboard.press("ArrowDown")
    focused = page.locator(".grid .cell:focus")
    expect(focused).to_be_in_viewport()
    assert int(str(focused.get_attribute("aria-posinset"))) > 10
    page.keyboard.press("Shift+ArrowRight")
    expect(page.get_by_role("toolbar", name="Selected pictures")).to_contain_text("2 selected")
