"""A real browser on the page: Debian's chromium, driven by Playwright, one context for each visit.

What every visit watches for, whatever its test is about: nothing is logged as an error, no script
fails, the Content-Security-Policy is not broken, and no request leaves the loopback interface.
"""

from __future__ import annotations

import os
import re
import shutil
import urllib.parse
from typing import Any

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, expect

import imgq
from tests.harness import Home

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Set where a browser has to be there: what would be skipped then fails.
NEEDED = "IMGQ_TEST_NEEDS_BROWSER"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A name that is not loopback's is never looked up, whoever asks.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
WAIT_MS = 20_000
# What a picture is called once its name is known; before that it is a number.
NAMED = re.compile(r"\.(jpg|png)")

# Runs before the page's own scripts.
WATCH = """
window.shifts = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    if (!entry.hadRecentInput) window.shifts.push({
      value: entry.value, what: entry.sources.map((one) => one.node?.className ?? ""),
    });
  }
}).observe({ type: "layout-shift", buffered: true });
document.addEventListener("securitypolicyviolation", (event) => {
  console.error(`refused by the policy: ${event.violatedDirective} ${event.blockedURI}`);
});
"""


def browser_program() -> str | None:
    """The chromium of this machine; None where there is none."""
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)


def link(home: Home, address: str = "") -> str:
    """A fresh link to the page, as `imgq --web` makes it."""
    client = imgq.Client(os.path.join(home.home, "imgqd.sock"), timeout=30)
    url: str = client.web(address)["url"]
    return url


def query(**values: object) -> str:
    """The query of a URL of the page; lists give a name several times."""
    return "?" + urllib.parse.urlencode(values, doseq=True, quote_via=urllib.parse.quote)


class Visit:
    """One person's browser with the page open, and what went wrong in it."""

    def __init__(self, browser: Browser, home: Home, **options: Any) -> None:
        """`options` are those of Browser.new_context."""
        options.setdefault("viewport", {"width": 1280, "height": 800})
        options.setdefault("locale", "en-GB")
        self.home = home
        self.context: BrowserContext = browser.new_context(**options)
        self.context.set_default_timeout(WAIT_MS)
        self.context.add_init_script(WATCH)
        self.wrong: list[str] = []
        self.requests: list[str] = []
        self.expected: list[re.Pattern[str]] = []
        self.context.on("request", lambda request: self.requests.append(request.url))
        self.context.on("console", self._said)
        self.context.on("weberror", lambda error: self.wrong.append(f"script: {error.error}"))
        self.page: Page = self.context.new_page()

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.wrong.append(f"{message.type}: {message.text} ({message.location.get('url')})")

    def enter(self, address: str = "") -> Page:
        """Opens the page with a fresh link."""
        self.page.goto(link(self.home, address))
        return self.page

    def expect_errors(self, pattern: str) -> None:
        """Says that a test means to cause what the browser logs like this."""
        self.expected.append(re.compile(pattern))

    def close(self) -> None:
        """Ends the visit. Raises AssertionError when anything went wrong in it."""
        self.context.close()
        outside = [url for url in self.requests if not _inside(url)]
        assert not outside, f"requests that leave this machine: {outside}"
        wrong = [one for one in self.wrong if not any(of.search(one) for of in self.expected)]
        assert not wrong, f"the browser logged: {wrong}"


def _inside(url: str) -> bool:
    parts = urllib.parse.urlsplit(url)
    return parts.scheme in ("data", "blob", "about") or parts.hostname == "127.0.0.1"


# -- what is asked of the page again and again


def cells(page: Page) -> Locator:
    """The pictures that are elements of the grid now."""
    return page.locator(".grid .cell:not([hidden])")


def named(page: Page, name: str) -> Locator:
    """A picture of the grid by the name of its file."""
    return page.locator(f'.grid .cell:not([hidden])[aria-label^="{name}"]')


def shown(page: Page) -> None:
    """Waits until the answer is there with its thumbnails in the window."""
    expect(page.locator(".grid .cell.loaded").first).to_be_visible()
    expect(page.locator(".grid[aria-busy='true']")).to_have_count(0)


def at(page: Page, position: int) -> Locator:
    """The picture at a place of the answer, counted from 1, where it is in the window."""
    return page.locator(f".grid .cell[aria-posinset='{position}']:not([hidden])")


def first_names(page: Page, count: int = 1) -> list[str]:
    """File names of the first pictures of the answer, in its order."""
    shown(page)
    names = []
    for position in range(1, count + 1):
        expect(at(page, position)).to_have_attribute("aria-label", NAMED)
        names.append(str(at(page, position).get_attribute("aria-label")).split(",")[0])
    return names


def expect_first(page: Page, name: str) -> None:
    """Waits until the best answer is the picture of this name."""
    wanted = re.compile("^" + re.escape(name))
    expect(at(page, 1)).to_have_attribute("aria-label", wanted)


def expect_count(page: Page, count: int) -> None:
    """Waits until the page says that its answer has so many pictures."""
    word = "picture" if count == 1 else "pictures"
    expect(page.locator(".chips-count")).to_have_text(f"{count:,} {word}")


def in_address(page: Page) -> dict[str, list[str]]:
    """What the URL holds."""
    return urllib.parse.parse_qs(urllib.parse.urlsplit(page.url).query)


def no_sideways(page: Page) -> None:
    """Fails where the page can be scrolled sideways."""
    wide = page.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert wide[0] <= wide[1], f"{wide[0]} pixels in a window of {wide[1]}"
