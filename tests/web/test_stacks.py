"""Pictures that look alike are one cell, that opens in its place and in the picture's view."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator

import pytest
from PIL import ImageEnhance
from playwright.sync_api import Page, expect

from tests import photographs
from tests.harness import Home, fresh_home
from tests.web.shelf import CANON, exif
from tests.web.visiting import (
    Visit,
    at,
    cells,
    expect_count,
    expect_first,
    first_names,
    in_address,
    query,
    shown,
)

SHOTS = 4
OTHERS = ("coffee", "rocket", "page")


def shoot(home: Home, number: int) -> None:
    """One more shot of the same cat, a second later and a little brighter."""
    image = ImageEnhance.Brightness(photographs.photograph("chelsea")).enhance(1 + number / 50)
    taken = exif(f"2023:05:01 10:00:{number:02}", CANON, None)
    image.save(home.path(f"cat-{number}.jpg"), exif=taken)


@pytest.fixture(scope="module")
def bursts(models_dir: str) -> Iterator[Home]:
    """A burst of a cat, of which one shot has an exact copy, and three other photographs."""
    with fresh_home(models_dir=models_dir, model="builtin", settle_ms=100) as home:
        for number in range(SHOTS):
            shoot(home, number)
        for number, name in enumerate(OTHERS):
            taken = exif(f"2021:01:0{number + 1} 10:00:00", CANON, None)
            photographs.photograph(name).save(home.path(f"{name}.jpg"), exif=taken)
        home.start(home.photos)
        home.sync()
        # Afterwards: a picture is shown by the file that was found first.
        photographs.copy(home.path("cat-3.jpg"), home.path("copy of cat-3.jpg"))
        home.sync()
        yield home


@pytest.fixture
def visit(bursts: Home, visit_to: Callable[..., Visit]) -> Visit:
    return visit_to(bursts)


def test_a_burst_is_one_cell_and_all_are_counted(visit: Visit) -> None:
    page = visit.enter()
    shown(page)
    expect(cells(page)).to_have_count(1 + len(OTHERS))
    expect_count(page, SHOTS + len(OTHERS))
    first = at(page, 1)
    expect(first.locator(".stack-badge")).to_have_text(f"+{SHOTS}")
    expect(first).to_have_attribute(
        "aria-label", re.compile(r"cat-3\.jpg.*1 exact copy, 3 more that look alike")
    )
    expect(at(page, 2).locator(".stack-badge")).to_be_hidden()


def test_of_an_answer_to_words_the_best_stands_for_the_rest(visit: Visit) -> None:
    page = visit.enter(query(q="a cat"))
    expect_first(page, "cat-")
    shown(page)
    expect(cells(page)).to_have_count(1 + len(OTHERS))
    expect(at(page, 1).locator(".stack-badge")).to_be_visible()
    expect(at(page, 1).locator(".score")).to_have_text(re.compile(r"0\.\d{3}"))


def test_a_key_opens_a_stack_in_its_place_and_closes_it(visit: Visit) -> None:
    page = visit.enter()
    shown(page)
    at(page, 1).focus()
    page.keyboard.press("s")
    expect(cells(page)).to_have_count(SHOTS + len(OTHERS))
    assert [name[:5] for name in first_names(page, SHOTS)] == ["cat-3", "cat-2", "cat-1", "cat-0"]
    expect(page.locator(".cell.open:not([hidden])")).to_have_count(SHOTS)
    page.keyboard.press("ArrowRight")
    expect(at(page, 2)).to_be_focused()
    page.keyboard.press("s")
    expect(cells(page)).to_have_count(1 + len(OTHERS))
    expect(at(page, 1)).to_be_focused()


def test_the_badge_opens_and_closes_it_too(visit: Visit) -> None:
    page = visit.enter()
    shown(page)
    for count in (SHOTS + len(OTHERS), 1 + len(OTHERS)):
        at(page, 1).locator(".stack-badge").click()
        expect(cells(page)).to_have_count(count)
        assert "picture" not in in_address(page)


def test_arrows_go_through_the_pictures_of_a_stack(visit: Visit) -> None:
    page = visit.enter()
    shown(page)
    at(page, 1).click()
    view = page.get_by_role("dialog", name="Picture")
    strip = view.get_by_role("group", name="The stack: pictures that look alike")
    expect(strip.get_by_role("button")).to_have_count(SHOTS)
    title = view.locator(".side-title")
    for number in (3, 2, 1, 0):
        expect(title).to_have_text(f"cat-{number}.jpg")
        expect(strip.locator("[aria-current]")).to_have_attribute(
            "aria-label", f"Picture {SHOTS - number} of {SHOTS} in the stack"
        )
        expect(view.locator(".picture-place")).to_have_text(
            f"1 of 4, {SHOTS - number} of {SHOTS} in its stack"
        )
        page.keyboard.press("ArrowRight")
    expect(title).to_have_text("page.jpg")
    expect(strip).to_be_hidden()
    page.keyboard.press("ArrowLeft")
    expect(title).to_have_text("cat-0.jpg")
    strip.get_by_role("button", name=re.compile("Picture 2 of")).click()
    expect(title).to_have_text("cat-2.jpg")
    page.keyboard.press("Escape")
    expect(view).to_have_count(0)
    expect(at(page, 1)).to_be_focused()


def test_a_switch_shows_every_picture_and_the_address_keeps_it(visit: Visit) -> None:
    page = visit.enter()
    shown(page)
    switch = page.get_by_role("button", name="Stack pictures that look alike")
    expect(switch).to_have_attribute("aria-pressed", "true")
    switch.click()
    expect(switch).to_have_attribute("aria-pressed", "false")
    expect(cells(page)).to_have_count(SHOTS + len(OTHERS))
    assert in_address(page)["stack"] == ["off"]
    page.reload()
    expect(cells(page)).to_have_count(SHOTS + len(OTHERS))
    page.go_back()
    expect(cells(page)).to_have_count(1 + len(OTHERS))
    expect(switch).to_have_attribute("aria-pressed", "true")


def test_a_shot_that_arrives_joins_its_stack(visit: Visit, bursts: Home) -> None:
    page = visit.enter()
    shown(page)
    shoot(bursts, SHOTS)
    try:
        expect_count(page, SHOTS + 1 + len(OTHERS))
        expect_first(page, f"cat-{SHOTS}")
        expect(cells(page)).to_have_count(1 + len(OTHERS))
    finally:
        os.remove(bursts.path(f"cat-{SHOTS}.jpg"))
        bursts.sync()
    _back(page)


def _back(page: Page) -> None:
    expect_count(page, SHOTS + len(OTHERS))
