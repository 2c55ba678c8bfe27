"""One browser for all tests of the page, a fresh context for each, and libraries to look at."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.harness import Home, fresh_home
from tests.web import shelf as shelf_
from tests.web.visiting import ARGUMENTS, NEEDED, WAIT_MS, Visit, browser_program


# For this folder only: while Playwright runs, this thread has an event loop that runs, and other
# tests start loops of their own.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's chromium, without a window."""
    program = browser_program()
    if program is None:
        said = "no chromium is installed (Debian: apt install chromium)"
        if os.environ.get(NEEDED):
            pytest.fail(f"{said}, and {NEEDED} is set")
        pytest.skip(said)
    with sync_playwright() as driver:
        expect.set_options(timeout=WAIT_MS)
        started = driver.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture(scope="package")
def shelf(models_dir: str) -> Iterator[Home]:
    """A daemon on some dozens of photographs, with dates, places, cameras and copies."""
    with fresh_home(models_dir=models_dir, model="builtin", settle_ms=100) as home:
        shelf_.fill(home.photos)
        home.start(home.photos)
        home.sync()
        yield home


@pytest.fixture(scope="package")
def thousands(models_dir: str) -> Iterator[Home]:
    """A daemon on three thousand small pictures whose rows are made, not indexed."""
    with fresh_home(models_dir=models_dir, model="builtin") as home:
        shelf_.thousands(home, models_dir)
        home.start()
        home.sync()
        yield home


@pytest.fixture
def visit_to(browser: Browser) -> Iterator[Callable[..., Visit]]:
    """Begins visits: `visit_to(home, **context options)`. At the end nothing may have gone wrong."""
    visits: list[Visit] = []

    def begin(home: Home, **options: object) -> Visit:
        visits.append(Visit(browser, home, **options))
        return visits[-1]

    yield begin
    failures = []
    for one in visits:
        try:
            one.close()
        except AssertionError as error:
            failures.append(str(error))
    assert not failures, failures


@pytest.fixture
def visit(shelf: Home, visit_to: Callable[..., Visit]) -> Visit:
    """A visit to the photographs."""
    return visit_to(shelf)
