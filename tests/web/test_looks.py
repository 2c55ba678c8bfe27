"""How it looks: light and dark, narrow and wide, and to those who do not see it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.harness import Home
from tests.web.visiting import Visit, at, no_sideways, query, shown

VIEWS = ("collections", "duplicates", "numbers", "folders", "problems", "model", "status")
BACKGROUND = "() => getComputedStyle(document.body).backgroundColor"


def brightness(page: Page) -> float:
    """Of the page's ground, 0 to 255."""
    numbers = re.findall(r"[\d.]+", page.evaluate(BACKGROUND))
    return sum(float(one) for one in numbers[:3]) / 3


def there(page: Page, view: str) -> None:
    """Waits until a view has all that it asks for."""
    if not view:
        shown(page)
        return
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_text("Loading", exact=True)).to_have_count(0)
    expect(page.locator("[aria-busy='true']")).to_have_count(0)


def test_it_is_dark_or_light_as_the_desktop_says_and_as_one_chooses(
    shelf: Home, visit_to: Callable[..., Visit]
) -> None:
    light, dark = (visit_to(shelf, color_scheme=scheme) for scheme in ("light", "dark"))
    for visit in (light, dark):
        shown(visit.enter())
    assert brightness(light.page) > 200
    assert brightness(dark.page) < 60
    page = light.page
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("radio", name="Dark").click()
    assert brightness(page) < 60
    page.reload()
    shown(page)
    assert brightness(page) < 60, "the choice is kept"
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("radio", name="System").click()
    assert brightness(page) > 200


@pytest.mark.parametrize(
    ("width", "height", "touch"), [(360, 740, True), (1920, 1080, False), (3840, 2160, False)]
)
def test_no_view_is_wider_than_the_window(
    shelf: Home, visit_to: Callable[..., Visit], width: int, height: int, touch: bool
) -> None:
    size = {"width": width, "height": height}
    visit = visit_to(shelf, viewport=size, has_touch=touch, is_mobile=touch)
    page = visit.enter(query(q="a cat"))
    shown(page)
    no_sideways(page)
    base = page.url.partition("?")[0]
    for view in VIEWS:
        page.goto(base + query(view=view))
        there(page, view)
        no_sideways(page)
    page.goto(base + query(q="a cat"))
    shown(page)
    at(page, 1).click()
    view = page.get_by_role("dialog", name="Picture")
    expect(view.locator(".stage.ready")).to_be_visible()
    no_sideways(page)
    for name in ("Close the picture", "Next picture"):
        expect(view.get_by_role("button", name=name)).to_be_in_viewport(ratio=0.9)


def test_on_a_phone_everything_is_reached_by_touch(
    shelf: Home, visit_to: Callable[..., Visit]
) -> None:
    visit = visit_to(shelf, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    page = visit.enter()
    shown(page)
    page.get_by_role("button", name="Refine").tap()
    panel = page.get_by_role("complementary", name="Refine")
    panel.get_by_role("button", name=re.compile("^2021")).tap()
    panel.get_by_role("button", name="Close").tap()
    expect(page.locator(".chips-count")).to_have_text("3 pictures")
    at(page, 1).tap()
    view = page.get_by_role("dialog", name="Picture")
    expect(view.locator(".stage.ready")).to_be_visible()
    view.get_by_role("button", name="What is known of it").tap()
    expect(view.get_by_role("heading", level=2).first).to_be_visible()
    expect(view.get_by_role("button", name="More like this")).to_be_visible()


def test_with_reduced_motion_nothing_is_animated(
    shelf: Home, visit_to: Callable[..., Visit]
) -> None:
    visit = visit_to(shelf, reduced_motion="reduce")
    page = visit.enter(query(q="a cat"))
    shown(page)
    at(page, 1).click()
    expect(page.locator(".stage.ready")).to_be_visible()
    page.keyboard.press("+")
    running = page.evaluate(
        """() => document.getAnimations().map((one) => one.effect.getComputedTiming().duration)
          .filter((ms) => ms > 20)"""
    )
    assert running == []


def beyond_reproach(page: Page) -> None:
    """Fails with axe's report of what keeps people out."""
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def _open_picture(page: Page) -> None:
    at(page, 1).click()
    expect(page.locator(".stage.ready")).to_be_visible()
    expect(page.locator(".picture-side h2")).to_be_visible()


def _open_panel(page: Page) -> None:
    page.get_by_role("button", name="Refine").click()
    expect(page.get_by_role("complementary", name="Refine")).to_contain_text("2021")


def _open_filter(page: Page) -> None:
    page.get_by_role("button", name="Camera", exact=True).click()
    expect(page.get_by_role("dialog", name="Camera")).to_contain_text("Canon")


def _open_menu(page: Page) -> None:
    page.get_by_role("button", name="Menu").click()
    expect(page.get_by_role("navigation", name="Views")).to_be_visible()


def _open_help(page: Page) -> None:
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Help")).to_be_visible()


def _select(page: Page) -> None:
    at(page, 1).click(modifiers=["Control"])
    expect(page.get_by_role("toolbar", name="Selected pictures")).to_be_visible()


def _pick_folder(page: Page) -> None:
    page.get_by_role("button", name="Add a folder").click()
    expect(
        page.get_by_role("dialog").get_by_role("button", name="Watch this folder")
    ).to_be_visible()


def _nothing(page: Page) -> None:
    pass


OPENED: dict[str, tuple[str, Callable[[Page], None]]] = {
    "pictures": (query(q="a cat"), _nothing),
    "picture": (query(q="a cat"), _open_picture),
    "panel": ("", _open_panel),
    "filter": ("", _open_filter),
    "menu": ("", _open_menu),
    "help": ("", _open_help),
    "selection": ("", _select),
    "picker": (query(view="folders"), _pick_folder),
    **{view: (query(view=view), _nothing) for view in VIEWS},
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", OPENED)
def test_axe_finds_nothing_that_keeps_people_out(
    shelf: Home, visit_to: Callable[..., Visit], name: str, scheme: str
) -> None:
    address, open_ = OPENED[name]
    # The policy is the page's; what is put into it here is the test's.
    visit = visit_to(shelf, color_scheme=scheme, reduced_motion="reduce", bypass_csp=True)
    page = visit.enter(address)
    there(page, name if name in VIEWS else "folders" if name == "picker" else "")
    open_(page)
    beyond_reproach(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_where_there_is_nothing_to_see(
    shelf: Home, visit_to: Callable[..., Visit], scheme: str
) -> None:
    visit = visit_to(shelf, color_scheme=scheme, bypass_csp=True)
    page = visit.enter(query(camera="Leica", q="a cat"))
    expect(page.get_by_text("Nothing fits “a cat”")).to_be_visible()
    beyond_reproach(page)
    closed = visit_to(shelf, color_scheme=scheme, bypass_csp=True)
    closed.expect_errors("401")
    closed.page.goto(page.url)
    expect(
        closed.page.get_by_role("heading", name="Open this page from a terminal")
    ).to_be_visible()
    beyond_reproach(closed.page)
