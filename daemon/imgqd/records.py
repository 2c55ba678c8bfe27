"""The small dataclasses that cross room borders. They hold data and nothing else."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Vectors = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]

# A picture in 4 x 3 cells (3 x 4 where it is higher than wide), 4 bits for each of red, green and
# blue, row by row; what a grid shows until the thumbnail is there.
PLACEHOLDER_CELLS = (4, 3)
PLACEHOLDER_BYTES = 18
UNKNOWN_PLACEHOLDER = b"\x88" * PLACEHOLDER_BYTES


@dataclass(frozen=True, slots=True)
class Signature:
    """What `lstat` says of a file: two equal signatures mean an unchanged file."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int


@dataclass(frozen=True, slots=True)
class Preprocess:
    """How a model wants its pictures. Height and width in pixels.

    `interpolation` is `bicubic`, `bilinear` or `nearest`; `resize_mode` is open_clip's `shortest`
    (then centre crop), `longest` (then pad with `fill_color`) or `squash`. `resize` is the size
    before the centre crop where a model resizes larger than it crops (else equal to `height`).
    Mean and standard deviation are applied by the encoder, on pixels in 0..1.
    """

    height: int
    width: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str = "bicubic"
    resize_mode: str = "shortest"
    fill_color: int = 0
    resize: int | None = None


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a picture file says of itself. Width and height as shown (EXIF orientation applied).

    `format` is a lower-case word (`jpeg`, `png`, `webp`, `gif`, `tiff`, `bmp`, `avif`, `jpeg2000`,
    `heic`, `raw`). `taken` is in seconds since the epoch (None when the file does not say),
    `taken_offset` the minutes east of UTC when the file says. `gps` is (latitude, longitude) in
    degrees. `pixel_hash` is equal for two files exactly when what they show is the same.
    """

    width: int
    height: int
    format: str
    pixel_hash: bytes
    taken: float | None = None
    taken_offset: int | None = None
    camera: str | None = None
    lens: str | None = None
    gps: tuple[float, float] | None = None
    title: str | None = None
    description: str | None = None
    keywords: tuple[str, ...] = ()
    rating: int | None = None


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded picture: `pixels` is (height, width, 3) uint8 RGB, sized as Preprocess wants.

    `sidecar` is the path and signature of the file beside it that `metadata` speaks for, too;
    `placeholder` is PLACEHOLDER_BYTES long.
    """

    pixels: Pixels
    metadata: Metadata
    sidecar: tuple[builtins.bytes, Signature] | None = None
    placeholder: builtins.bytes | None = None


@dataclass(slots=True)
class Folder:
    """A watched folder. `state`: watching, polling, scanning, offline (interface.md)."""

    id: int
    path: bytes
    filesystem: str | None
    inode: int | None
    state: str
    exclude: tuple[str, ...] = ()


@dataclass(slots=True)
class FileRow:
    """One path below a watched folder. `state`: pending, indexed, problem, other (no picture)."""

    id: int
    path: bytes
    signature: Signature
    state: str
    picture_id: int | None


@dataclass(slots=True)
class Job:
    """`Look at this path`. `attempts` counts failed looks; `token` changes when asked again."""

    id: int
    path: bytes
    attempts: int
    token: int


@dataclass(slots=True)
class Picture:
    """One distinct content, with the live paths that hold it.

    `tags`, `fields` and `description` are a person's own (the file's is in `metadata`); `category`
    is a person's, else the computed one, None before it is computed. `modified` is the time of the
    first path, `times` are those of all.
    """

    id: int
    content_hash: bytes
    bytes: int
    metadata: Metadata
    modified: float
    paths: list[builtins.bytes] = field(default_factory=list)
    tags: tuple[str, ...] = ()
    fields: dict[str, str] = field(default_factory=dict)
    description: str | None = None
    category: str | None = None
    times: list[float] = field(default_factory=list)

    def modified_as_shown(self, shows: Callable[[builtins.bytes], bool]) -> float:
        """The time of the first path that `shows` lets through, else of the first."""
        pairs = zip(self.paths, self.times, strict=False)
        return next((time for path, time in pairs if shows(path)), self.modified)


@dataclass(slots=True)
class Problem:
    """A path that could not be indexed. `since` in seconds since the epoch."""

    path: bytes
    reason: str
    detail: str
    attempts: int
    since: float
