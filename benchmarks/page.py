"""The page in a real browser: how soon it shows an answer, how it scrolls, and what it weighs.

`python benchmarks/page.py --model builtin`: a warm daemon with 100,000 pictures, Debian's chromium without a
window, driven by Playwright. Everything is drawn by the processor here: frames say less of a desktop
with a graphics card than of its worst case. Each start of the page is a browser context of its own,
so that nothing is in its cache.
"""

from __future__ import annotations

import argparse
import functools
import http.client
import io
import os
import shutil
import statistics
import time
import urllib.parse
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from common import Figure, Running, cpu_seconds, machine, middle, model_of, parser, report
from imgqd.web.pages import Pages
from library import library

WINDOW = {"width": 1440, "height": 900}
KINDS = 60
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# What a new window of the browser is given to come to rest, in ms.
BROWSER_MS = 1000
# A frame of 60 a second, and what the clock of a page is rounded to.
FRAME_MS = 16.7
ROUNDING_MS = 0.3

# When the answer's pictures have been painted, as placeholders and as thumbnails. What a frame
# finds in the document is painted at its end, so it counts when the next one begins.
WATCH = """
window.times = {};
const look = () => {
  const cells = document.querySelectorAll(".grid .cell:not([hidden])");
  const inside = [...cells].filter((cell) => cell.getBoundingClientRect().top < innerHeight);
  const loaded = inside.filter((cell) => cell.classList.contains("loaded"));
  const found = { cells: inside.length > 0, first: loaded.length > 0,
    all: inside.length > 0 && loaded.length === inside.length };
  requestAnimationFrame(() => {
    const now = performance.now();
    for (const name of Object.keys(found)) if (found[name]) window.times[name] ??= now;
    if (!("all" in window.times)) look();
  });
};
requestAnimationFrame(look);
window.long = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.long.push(entry.duration);
}).observe({ type: "longtask", buffered: true });
"""

# Scrolls with a steady speed in pixels a millisecond and tells how long each frame was on the screen.
SCROLL = """async ([speed, seconds]) => {
  window.scrollTo(0, 0);
  await new Promise((then) => setTimeout(then, 600));
  window.long.length = 0;
  const frames = [];
  let blank = 0;
  let y = 0;
  let last = await new Promise(requestAnimationFrame);
  const begin = last;
  while (last - begin < seconds * 1000) {
    const now = await new Promise(requestAnimationFrame);
    // What the frame before has left is what was on the screen.
    const seen = document.elementFromPoint(innerWidth / 2, innerHeight * 0.7);
    if (!seen?.closest(".cell")) blank += 1;
    frames.push(now - last);
    y += speed * (now - last);
    last = now;
    window.scrollTo(0, y);
  }
  return { frames, blank, long: [...window.long], pixels: y,
    elements: document.querySelectorAll("*").length };
}"""


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--pictures", type=int, default=100_000)
    options.add_argument("--starts", type=int, default=15, help="how often the page is opened")
    options.add_argument("--seconds", type=float, default=6, help="of scrolling at each speed")
    options.add_argument(
        "--profile", metavar="FILE", help="write a trace of one start, for chromium"
    )
    args = options.parse_args()
    before = machine()
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        raise SystemExit("no chromium is installed (Debian: apt install chromium)")
    details: dict[str, Any] = {}
    home = library(args, args.pictures, shown=photographs())
    running = Running(home, args, model=model_of(args))
    running.start()
    try:
        assert running.client.sync()["in_sync"]
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=program, args=ARGUMENTS)
            details["browser"] = browser.version
            state, url = enter(browser, running)
            figures = [
                *starts(args, running, browser, state, url, details),
                *scrolling(args, browser, state, url, details),
            ]
            browser.close()
        figures += [weight(details), *thumbnails(running, state, url, details)]
    finally:
        running.stop()
    report(args, figures, details, before)


@functools.cache
def photographs() -> tuple[bytes, ...]:
    """Parts of scikit-image's photographs in several shapes, as JPEG files of 640 pixels."""
    import skimage.data

    names = ("chelsea", "coffee", "rocket", "astronaut", "camera")
    sources = [Image.fromarray(getattr(skimage.data, name)()).convert("RGB") for name in names]
    made = []
    for number in range(KINDS):
        image = sources[number % len(sources)]
        ratio = (1.5, 0.75, 1.33, 1.78, 1.0)[number // len(sources) % 5]
        height = min(image.height, image.width / ratio) * (0.95 - 0.02 * (number // 25))
        left, top = number * 3 % 20, number * 7 % 15
        part = image.crop((left, top, left + int(height * ratio), top + int(height)))
        out = io.BytesIO()
        part.resize((640, round(640 / ratio))).save(out, "JPEG", quality=80)
        made.append(out.getvalue())
    return tuple(made)


def enter(browser: Browser, running: Running) -> tuple[Any, str]:
    """Opens the page once, scrolls a little, and returns the session's cookies and the URL.

    The thumbnails that later starts see are made here: the daemon is to be warm.
    """
    context = browser.new_context(viewport=WINDOW)
    context.add_init_script(WATCH)
    page = context.new_page()
    page.goto(running.client.web()["url"])
    page.wait_for_function("() => window.times.all", timeout=120_000)
    url = page.url.partition("?")[0]
    page.goto(f"{url}?q=a+cat")
    page.wait_for_function("() => window.times.all", timeout=120_000)
    state = context.storage_state()
    context.close()
    return state, url


def opened(
    browser: Browser, state: Any, url: str, *, context: BrowserContext | None = None
) -> tuple[Page, dict[str, float]]:
    """A page with its answer on it, and when what was painted, in ms from the navigation.

    `contentful` is when the browser says that it showed anything at all: where the pictures come
    with the very first frame, they were not there before it.
    """
    if context is None:
        context = browser.new_context(viewport=WINDOW, storage_state=state)
        context.add_init_script(WATCH)
    page = context.new_page()
    # The browser's own window is not to be drawn at the same time: its parts are pages too.
    page.wait_for_timeout(BROWSER_MS)
    page.goto(url)
    page.wait_for_function("() => window.times.all", timeout=120_000)
    times = page.evaluate(
        """() => ({ ...window.times,
          contentful: performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? 0,
          grid: performance.getEntriesByType("resource").find((one) => one.name.endsWith("/v1/grid"))
            ?.responseEnd ?? 0 })"""
    )
    times["cells"] = max(times["cells"], times["contentful"])
    return page, times


def settled(running: Running) -> None:
    """Waits until the daemon has done with what the page before asked for last."""
    used = cpu_seconds(running.pid)
    while True:
        time.sleep(0.15)
        before, used = used, cpu_seconds(running.pid)
        if used - before < 0.015:
            return


def starts(
    args: argparse.Namespace,
    running: Running,
    browser: Browser,
    state: Any,
    url: str,
    details: dict[str, Any],
) -> list[Figure]:
    """The page opened again and again: all pictures, an answer to words, and from a warm cache."""
    asked: dict[str, list[dict[str, float]]] = {"all": [], "words": [], "again": []}
    kept = browser.new_context(viewport=WINDOW, storage_state=state)
    kept.add_init_script(WATCH)
    for _ in range(args.starts):
        for name, address in (("all", url), ("words", f"{url}?q=a+cat"), ("again", url)):
            context = kept if name == "again" else None
            settled(running)
            page, times = opened(browser, state, address, context=context)
            asked[name].append(times)
            (page if name == "again" else page.context).close()
    kept.close()
    # The first start of each also warms what belongs to the browser.
    at = {
        name: {what: middle([one[what] for one in times[1:]]) for what in times[0]}
        for name, times in asked.items()
    }
    details["starts_ms"] = at
    if args.profile:
        browser.start_tracing(path=args.profile, screenshots=False)
        opened(browser, state, url)[0].context.close()
        browser.stop_tracing()
    return [
        Figure(
            f"first paint with results, {args.pictures:,}: all pictures",
            at["all"]["cells"]["median"],
            "ms",
            300,
        ),
        Figure("the same with words, ?q=a+cat", at["words"]["cells"]["median"], "ms", 300),
        Figure(
            "the same with the files in the cache",
            at["again"]["cells"]["median"],
            "ms",
            300,
        ),
    ]


def scrolling(
    args: argparse.Namespace, browser: Browser, state: Any, url: str, details: dict[str, Any]
) -> list[Figure]:
    """Frames while the page scrolls at the speed of looking, of a wheel, and of the scrollbar."""
    page, _ = opened(browser, state, url)
    figures = []
    details["scrolling"] = {}
    for name, speed in (("slowly", 0.8), ("by the wheel", 3.0), ("flying", 40.0)):
        seen = page.evaluate(SCROLL, [speed, args.seconds])
        frames = seen.pop("frames")
        within = sum(one <= FRAME_MS + ROUNDING_MS for one in frames) / len(frames)
        details["scrolling"][name] = {
            "pixels_a_ms": speed,
            "frames": len(frames),
            "share_within_16.7_ms": round(within, 4),
            "frame_ms": middle(frames),
            "longest_ms": max(frames),
            "long_tasks": len(seen["long"]),
            "long_tasks_ms": round(sum(seen["long"])),
            "frames_without_a_picture": seen["blank"],
            "elements": seen["elements"],
            "pixels": round(seen["pixels"]),
        }
        figures.append(
            Figure(
                f"frames within 16.7 ms, scrolling {name}",
                round(100 * within, 1),
                "%",
                95,
                at_most=False,
                note="drawn by the processor",
            )
        )
    page.context.close()
    return figures


def weight(details: dict[str, Any]) -> Figure:
    """All files of the page together, as they are sent."""
    pages = Pages()
    files = {name: pages.get(name) for name in pages.names()}
    sizes = {name: len(file.packed) for name, file in files.items() if file is not None}
    details["weight"] = {
        "files": len(sizes),
        "gzip_bytes": sum(sizes.values()),
        "plain_bytes": sum(len(file.plain) for file in files.values() if file is not None),
    }
    return Figure("all files of the page, compressed", sum(sizes.values()) / 1000, "KB", 150)


def thumbnails(running: Running, state: Any, url: str, details: dict[str, Any]) -> list[Figure]:
    """Thumbnails that are in the cache, over one connection with the page's cookie."""
    cookie = "; ".join(f"{one['name']}={one['value']}" for one in state["cookies"])
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port)

    def get(id: int) -> tuple[float, int]:
        started = time.perf_counter()
        connection.request(
            "GET",
            f"/v1/pictures/{id}/thumbnail?side=256",
            headers={"Cookie": cookie, "Sec-Fetch-Site": "same-origin"},
        )
        reply = connection.getresponse()
        data = reply.read()
        if reply.status != 200:
            raise SystemExit(f"thumbnail {id}: {reply.status} {data[:200]!r}")
        return (time.perf_counter() - started) * 1000, len(data)

    ids = range(1, 301)
    made = [get(id) for id in ids]
    cached = _files(os.path.join(running.home, "thumbs"))
    again = [get(id) for id in ids]
    remade = len(_files(os.path.join(running.home, "thumbs")) - cached)
    connection.close()
    times = [took for took, _ in again]
    details["thumbnails"] = {
        "from_the_cache_ms": middle(times),
        "made_ms": middle([took for took, _ in made]),
        "bytes": statistics.median(size for _, size in again),
    }
    return [
        Figure("a thumbnail from the cache, at the server", middle(times)["median"], "ms", 5),
        Figure("thumbnails made a second time, of 300", remade, "", 0),
    ]


def _files(folder: str) -> set[tuple[str, int, int]]:
    """(path, modification time, inode) of every file."""
    found = set()
    for directory, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(directory, name)
            info = os.stat(path)
            found.add((path, info.st_mtime_ns, info.st_ino))
    return found


if __name__ == "__main__":
    main()
