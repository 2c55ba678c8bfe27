"""Libraries for the tests of the page: photographs as a person has them, and rows by the thousand."""

from __future__ import annotations

import functools
import hashlib
import io
import os

import numpy as np
from PIL import Image

from imgqd.library.identity import identify, signed
from imgqd.library.store import Store
from imgqd.models.build import prepare
from tests import photographs
from tests.harness import Home

MANY = 3000
CANON = ("Canon", "Canon EOS 5D")
PHONE = ("Google", "Pixel 8")

# Path below the folder, photograph, when it was taken, with what, and where.
PICTURES: tuple[tuple[str, str, str, tuple[str, str] | None, tuple[float, float] | None], ...] = (
    ("animals/chelsea.jpg", "chelsea", "2021:05:01 10:00:00", CANON, (48.2, 16.37)),
    ("things/coffee.jpg", "coffee", "2021:07:15 08:30:00", PHONE, (48.2, 16.37)),
    ("things/coins.jpg", "coins", "2022:03:02 12:00:00", CANON, None),
    ("things/page.png", "page", "2022:03:05 12:00:00", None, None),
    ("things/motorcycle.jpg", "stereo_motorcycle", "2023:06:21 15:00:00", PHONE, None),
    ("space/rocket.jpg", "rocket", "2023:02:11 18:03:00", CANON, (28.5, -80.6)),
    ("space/astronaut.jpg", "astronaut", "2023:02:12 09:00:00", CANON, None),
    ("space/deep-field.jpg", "hubble_deep_field", "2024:01:20 22:00:00", None, None),
    ("places/china.jpg", "china", "2024:04:04 16:00:00", PHONE, (39.9, 116.4)),
    ("places/flower.jpg", "flower", "2024:04:05 11:00:00", PHONE, None),
    ("people/camera.jpg", "camera", "2020:10:10 10:10:00", CANON, None),
)
# The same bytes again, and the same picture in a smaller size.
COPY = ("copies/chelsea.jpg", "animals/chelsea.jpg")
SMALLER = ("copies/coffee small.jpg", "coffee")
# So large that its original is asked for when it is zoomed.
LARGE = ("places/large.jpg", (3000, 2616))
PIECES = 28
# As many as are found: a copy is no picture of its own.
COUNT = len(PICTURES) + 1 + 1 + PIECES


def exif(
    taken: str, camera: tuple[str, str] | None, place: tuple[float, float] | None
) -> Image.Exif:
    """EXIF as cameras write it."""
    made = Image.Exif()
    # Without a tag of the picture itself Pillow takes it for empty.
    made[0x0112] = 1
    if camera is not None:
        made[0x010F], made[0x0110] = camera
    made.get_ifd(0x8769)[0x9003] = taken
    if place is not None:
        latitude, longitude = place
        made.get_ifd(0x8825).update(
            {
                1: "N" if latitude >= 0 else "S",
                2: _degrees(abs(latitude)),
                3: "E" if longitude >= 0 else "W",
                4: _degrees(abs(longitude)),
            }
        )
    return made


def _degrees(value: float) -> tuple[float, float, float]:
    whole = int(value)
    minutes = (value - whole) * 60
    return float(whole), float(int(minutes)), round((minutes - int(minutes)) * 60, 2)


def fill(folder: str) -> None:
    """Writes the photographs."""
    for path, name, taken, camera, place in PICTURES:
        _save(photographs.photograph(name), folder, path, exif(taken, camera, place))
    target, source = (os.path.join(folder, name) for name in COPY)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    photographs.copy(source, target)
    small = photographs.photograph(SMALLER[1]).resize((420, 280))
    _save(small, folder, SMALLER[0], exif("2021:07:15 08:30:00", PHONE, None))
    large = photographs.photograph("hubble_deep_field").resize(LARGE[1])
    _save(large, folder, LARGE[0], exif("2019:08:08 08:08:08", CANON, None))
    for number in range(PIECES):
        piece = _texture(number)
        _save(
            piece, folder, f"pieces/piece-{number:02}.jpg", exif("2019:01:02 03:04:05", None, None)
        )


def _texture(number: int) -> Image.Image:
    """A part of a picture that answers no question of these tests."""
    name = ("brick", "immunohistochemistry", "gravel", "retina")[number % 4]
    left, top = 31 * number % 300, 57 * number % 300
    return photographs.photograph(name).crop((left, top, left + 200, top + 140 + number % 3 * 60))


def _save(image: Image.Image, folder: str, path: str, exif: Image.Exif) -> None:
    whole = os.path.join(folder, path)
    os.makedirs(os.path.dirname(whole), exist_ok=True)
    image.save(whole, exif=exif)


def bytes_of(name: str, format: str = "JPEG") -> bytes:
    """A photograph as the bytes of a file."""
    out = io.BytesIO()
    photographs.photograph(name).save(out, format)
    return out.getvalue()


@functools.cache
def _piece(number: int) -> bytes:
    ratio = (1.5, 0.75, 1.0, 1.78)[number % 4]
    image = photographs.variant(number, 96).resize((round(96 * ratio), 96))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=70)
    return out.getvalue()


def thousands(home: Home, models_dir: str, count: int = MANY) -> None:
    """A library of real small files whose rows and vectors are written as the daemon writes them."""
    artifact = prepare("builtin", models_dir)
    os.makedirs(home.home, mode=0o700)
    photos = os.fsencode(home.photos)
    store = Store(os.path.join(home.home, "library.db"))
    found = identify(photos)
    store.add_folder(photos, filesystem=found.filesystem, inode=found.inode)
    model = store.model_id(artifact.id, artifact.spec, artifact.dim)
    store.set_meta("serving_artifact", artifact.path)
    store.set_meta("serving_model", artifact.id)
    store.set_meta("model_spec", "builtin")
    store.reserve_ids(count + 1)
    vectors = np.random.default_rng(5).standard_normal((count, artifact.dim), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    with store.write() as connection:
        connection.execute("INSERT OR IGNORE INTO directories (path) VALUES (?)", (photos,))
        for number in range(1, count + 1):
            name = b"IMG_%05d.jpg" % number
            path = os.path.join(photos, name)
            data = _piece(number)
            with open(path, "wb") as stream:
                stream.write(data)
            width = round(96 * (1.5, 0.75, 1.0, 1.78)[number % 4])
            connection.execute(
                "INSERT INTO pictures"
                " (id, content_hash, pixel_hash, bytes, width, height, format, taken)"
                " VALUES (?, ?, ?, ?, ?, 96, 'jpeg', ?)",
                (
                    number,
                    hashlib.sha1(b"%d" % number).digest(),
                    hashlib.md5(b"%d" % number).digest(),
                    len(data),
                    width,
                    1.5e9 + number * 86400.0 / 2,
                ),
            )
            info = os.lstat(path)
            times = (signed(info.st_mtime_ns), signed(info.st_ctime_ns), signed(info.st_ino))
            connection.execute(
                "INSERT INTO files (directory_id, name, size, mtime_ns, ctime_ns, inode, state,"
                " picture_id) VALUES ((SELECT id FROM directories WHERE path = ?), ?, ?, ?, ?, ?,"
                " 'indexed', ?)",
                (photos, name, info.st_size, *times, number),
            )
            connection.execute(
                "INSERT INTO vectors (picture_id, model_id, vector) VALUES (?, ?, ?)",
                (number, model, vectors[number - 1].astype(np.float16).tobytes()),
            )
    store.close()
