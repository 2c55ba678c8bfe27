"""Getting in: a link that is good once, a cookie that lasts, and a way out."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import expect

from tests import photographs
from tests.harness import Home
from tests.web.visiting import Visit, expect_first, first_names, link, query, shown

CLOSED = "Open this page from a terminal"


def test_a_link_shows_the_answer_and_keeps_its_key_to_itself(visit: Visit) -> None:
    page = visit.enter(query(q="a cup of coffee"))
    expect_first(page, "coffee")
    assert "#" not in page.url
    assert page.evaluate("history.length") == 2, "the blank page, and this one"
    (cookie,) = visit.context.cookies()
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"
    assert page.evaluate("document.cookie") == ""


def test_a_link_lets_only_one_browser_in(
    shelf: Home, visit: Visit, visit_to: Callable[..., Visit]
) -> None:
    url = link(shelf)
    visit.page.goto(url)
    shown(visit.page)
    other = visit_to(shelf)
    other.expect_errors("401")
    other.page.goto(url)
    expect(other.page.get_by_role("heading", name=CLOSED)).to_be_visible()
    expect(other.page.get_by_text("used before")).to_be_visible()
    assert not other.context.cookies()
    assert other.page.locator("img").count() == 0
    # In the browser that it let in it is a link like any other.
    visit.expect_errors("401")
    again = visit.context.new_page()
    again.goto(url)
    shown(again)


def test_without_a_link_the_page_says_how_to_get_one(
    shelf: Home, visit_to: Callable[..., Visit]
) -> None:
    visit = visit_to(shelf)
    visit.expect_errors("401")
    visit.page.goto(link(shelf).partition("#")[0])
    expect(visit.page.get_by_role("heading", name=CLOSED)).to_be_visible()
    expect(visit.page.locator("code", has_text="imgq --web")).to_be_visible()


def test_the_page_closes_when_its_session_is_ended(visit: Visit) -> None:
    page = visit.enter()
    shown(page)
    visit.expect_errors("401")
    page.keyboard.press("/")
    page.evaluate("fetch('/v1/session', { method: 'DELETE' })")
    page.keyboard.type("a cat")
    expect(page.get_by_role("heading", name=CLOSED)).to_be_visible()
    assert page.locator("img").count() == 0
    assert not visit.context.cookies()


def test_a_bookmark_and_an_open_page_outlive_the_daemon(
    home: Home, visit_to: Callable[..., Visit]
) -> None:
    for name in ("chelsea", "coffee", "rocket"):
        photographs.save(name, home.path(f"{name}.jpg"))
    home.start(home.photos)
    home.sync()
    visit = visit_to(home)
    page = visit.enter(query(q="a cat"))
    expect_first(page, "chelsea")
    bookmark = page.url
    visit.expect_errors(r"ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|ERR_CONNECTION_RESET")
    home.stop()
    page.get_by_role("combobox").fill("a rocket")
    expect(page.get_by_text(re.compile("daemon does not answer"))).to_be_visible()
    home.start()
    expect_first(page, "rocket")
    later = visit.context.new_page()
    later.goto(bookmark)
    assert first_names(later) == ["chelsea.jpg"]
