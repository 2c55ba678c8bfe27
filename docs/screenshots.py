"""Makes docs/images: the page in a browser, on photographs that may be shown.

`python docs/screenshots.py` needs the extra `benchmarks` and Debian's chromium. The photographs are those of
scikit-image that are in the public domain or CC0 (skimage.data says which): Chelsea the cat
(S. van der Walt), a cup of coffee (R. Michetti), the cameraman (L. Varshney), Eileen Collins and the
deep field (NASA), a launch (SpaceX). Parts of them make up the numbers.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

import imgq

HERE = os.path.dirname(os.path.abspath(__file__))
IMAGES = os.path.join(HERE, "images")
MOST_BYTES = 300_000
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]

# Folder, photograph, how often it is cut, and with what it was taken.
TAKEN = (
    ("Animals", "chelsea", 7, "Canon EOS 5D"),
    ("Space", "rocket", 7, "Nikon D850"),
    ("Kitchen", "coffee", 7, "Pixel 8"),
    ("Space", "astronaut", 7, "Nikon D850"),
    ("People", "camera", 6, "Leica M6"),
    ("Space", "hubble_deep_field", 6, None),
)
SHAPES = (1.5, 1.0, 0.75, 1.78, 1.33)


def main() -> None:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        raise SystemExit("no chromium is installed (Debian: apt install chromium)")
    os.makedirs(IMAGES, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="imgq-") as directory:
        photos = os.path.join(directory, "Pictures")
        for path, image, exif in pictures():
            whole = os.path.join(photos, path)
            os.makedirs(os.path.dirname(whole), exist_ok=True)
            image.save(whole, quality=88, exif=exif)
        daemon, client = start(directory, photos)
        try:
            use(client)
            with sync_playwright() as driver:
                browser = driver.chromium.launch(executable_path=program, args=ARGUMENTS)
                show(browser, client)
                browser.close()
        finally:
            daemon.terminate()
            daemon.wait(60)


def pictures() -> Iterator[tuple[str, Image.Image, Image.Exif]]:
    """Path, picture and EXIF of each file."""
    import skimage.data

    for place, (folder, name, count, camera) in enumerate(TAKEN):
        source = Image.fromarray(getattr(skimage.data, name)()).convert("RGB")
        for number in range(count):
            exif = Image.Exif()
            exif[0x0112] = 1
            if camera is not None:
                exif[0x010F], exif[0x0110] = camera.split(" ")[0], camera
            # One after the other by date, so that every screen has some of each.
            year, month = 2024 - number, 2 + 3 * place % 10
            exif.get_ifd(0x8769)[0x9003] = f"{year}:{month:02}:{1 + 4 * place:02} 10:30:00"
            if name == "chelsea":
                exif.get_ifd(0x8825).update(
                    {1: "N", 2: (48.0, 12.0, 30.0), 3: "E", 4: (16.0, 22.0, 0.0)}
                )
            part = source if number == 0 else cut(source, number)
            yield f"{folder}/{name}-{number + 1}.jpg", part, exif


def cut(image: Image.Image, number: int) -> Image.Image:
    """A part of a picture that still shows what it is of."""
    ratio = SHAPES[number % len(SHAPES)]
    height = min(image.height, image.width / ratio) * (0.98 - 0.03 * number)
    width = height * ratio
    left = (image.width - width) * (0.5 + 0.3 * ((number * 7 % 5) / 4 - 0.5))
    top = (image.height - height) * (0.3 + 0.1 * (number % 3))
    return image.crop((int(left), int(top), int(left + width), int(top + height)))


def start(directory: str, photos: str) -> tuple[subprocess.Popen[bytes], imgq.Client]:
    """A daemon with the built-in model that has indexed the photographs."""
    home = os.path.join(directory, "home")
    environ = {k: v for k, v in os.environ.items() if not k.startswith("IMGQ_")}
    environ |= {"IMGQ_HOME": home, "IMGQ_MODEL": "builtin"}
    if "IMGQ_MODELS_DIR" in os.environ:
        environ["IMGQ_MODELS_DIR"] = os.environ["IMGQ_MODELS_DIR"]
    daemon = subprocess.Popen([sys.executable, "-m", "imgqd", "run", photos], env=environ)
    client = imgq.Client(os.path.join(home, "imgqd.sock"), timeout=None)
    while True:
        try:
            client.sync()
            client.search("warm", top=1)
            return daemon, client
        except imgq.ClientError:
            if daemon.poll() is not None:
                raise SystemExit("the daemon ended") from None
            time.sleep(0.2)


def use(client: imgq.Client) -> None:
    """What a person has done before: questions, tags, favourites."""
    client.clear_history()
    client.forget_words()
    for text in ("a cat", "a cup of coffee", "a rocket launch", "a cat", "an astronaut", "stars"):
        for _ in range(1 + len(text) % 3):
            client.search(text, top=5)
    best = [hit.id for hit in client.search("a cat", top=3)]
    client.annotate(best, add_tags=["favourite", "chelsea"])
    client.annotate(best[:1], description="Chelsea, who does not like to be woken")


def show(browser: Browser, client: imgq.Client) -> None:
    """Takes every picture of docs/images."""
    wide = {"width": 1180, "height": 740}
    page = opened(browser, client, "", wide, "light")
    save(page, "page-light")
    page.goto(page.url.partition("?")[0] + "?view=numbers")
    page.get_by_role("heading", name="Searches a day").wait_for()
    page.wait_for_function("() => document.querySelectorAll('.plot svg').length > 4")
    save(page, "numbers")
    page.context.close()
    page = opened(browser, client, "?q=a+cat", wide, "dark")
    page.locator(".cell[aria-posinset='2']").hover()
    save(page, "page-dark")
    page.locator(".cell[aria-posinset='1']").click()
    page.locator(".stage.ready").wait_for()
    page.locator(".picture-side h2").wait_for()
    page.mouse.move(500, 730)
    save(page, "picture")
    page.context.close()
    page = opened(
        browser, client, "?q=a+rocket+launch", {"width": 360, "height": 720}, "light", 1.5
    )
    save(page, "page-phone")
    page.context.close()


def opened(
    browser: Browser,
    client: imgq.Client,
    address: str,
    window: dict[str, int],
    scheme: str,
    scale: float = 1,
) -> Page:
    """The page with all thumbnails in its window."""
    context = browser.new_context(
        viewport=window,  # type: ignore[arg-type]
        color_scheme=scheme,  # type: ignore[arg-type]
        reduced_motion="reduce",
        device_scale_factor=scale,
        locale="en-GB",
    )
    page = context.new_page()
    page.goto(client.web(address)["url"])
    page.wait_for_function(
        """() => {
          const all = [...document.querySelectorAll(".grid .cell:not([hidden])")]
            .filter((one) => one.getBoundingClientRect().top < innerHeight);
          return all.length > 3 && all.every((one) => one.classList.contains("loaded"));
        }"""
    )
    page.locator(".timeline").wait_for()
    return page


def save(page: Page, name: str) -> None:
    """A screenshot as a PNG file with as few colours as are needed to be small enough."""
    image = Image.open(io.BytesIO(page.screenshot(animations="disabled"))).convert("RGB")
    path = os.path.join(IMAGES, f"{name}.png")
    for colours in (256, 192, 128, 96, 64):
        image.quantize(colours, dither=Image.Dither.NONE).save(path, optimize=True)
        if os.path.getsize(path) < MOST_BYTES:
            break
    print(f"{path}: {os.path.getsize(path) // 1000} KB, {colours} colours")


if __name__ == "__main__":
    main()
