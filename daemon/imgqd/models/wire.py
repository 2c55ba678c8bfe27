"""How the daemon and its model children talk: a length, a JSON header, raw arrays.

Responsible for the framing, for the command line and the environment of a child. It knows nothing
of what is said. Nothing is pickled.
"""

from __future__ import annotations

import json
import math
import os
import struct
import sys
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

_LENGTH = struct.Struct(">I")
_HEADER_LIMIT = 1 << 20
_ARRAY_LIMIT = 1 << 31
_DTYPES = {name: np.dtype(name) for name in ("uint8", "int64", "float32")}

Array = npt.NDArray[Any]


class WireError(Exception):
    """The other side said something that is not a message, or stopped in the middle of one."""


def send(stream: BinaryIO, header: dict[str, Any], arrays: Sequence[Array] = ()) -> None:
    """Writes one message. Arrays may be uint8, int64 or float32, of any shape.

    Raises BrokenPipeError when the other side has gone.
    """
    blocks = [np.ascontiguousarray(array) for array in arrays]
    shapes = [{"dtype": block.dtype.name, "shape": list(block.shape)} for block in blocks]
    encoded = json.dumps({**header, "arrays": shapes}).encode()
    stream.write(_LENGTH.pack(len(encoded)) + encoded)
    for block in blocks:
        stream.write(block.tobytes() if block.size < 4096 else block.data.cast("B"))
    stream.flush()


def receive(stream: BinaryIO) -> tuple[dict[str, Any], list[Array]] | None:
    """Reads one message: (header, arrays); None when the other side has closed between messages.

    Raises WireError for anything that is not a whole message.
    """
    prefix = stream.read(_LENGTH.size)
    if not prefix:
        return None
    if len(prefix) < _LENGTH.size:
        raise WireError("cut off in the length of a message")
    (length,) = _LENGTH.unpack(prefix)
    if length > _HEADER_LIMIT:
        raise WireError(f"a header of {length} bytes")
    try:
        header = json.loads(_exactly(stream, length))
        descriptions = [
            (_DTYPES[entry["dtype"]], tuple(int(side) for side in entry["shape"]))
            for entry in header.pop("arrays")
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WireError(f"a header that is not understood: {error}") from error
    arrays = []
    for dtype, shape in descriptions:
        size = dtype.itemsize * math.prod(shape)
        if size < 0 or size > _ARRAY_LIMIT or any(side < 0 for side in shape):
            raise WireError(f"an array of {size} bytes")
        arrays.append(np.frombuffer(_exactly(stream, size), dtype).reshape(shape))
    return header, arrays


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise WireError(f"cut off after {len(data)} of {size} bytes")
    return data


def child_command(module: str) -> list[str]:
    """The command line that runs one of imgqd's modules as a child, by exec.

    `-P` keeps the current directory, which may be a folder full of strangers' files, out of the
    places that Python imports from.
    """
    return [sys.executable, "-P", "-m", module]


def child_environment() -> dict[str, str]:
    """This process's environment, in which this very imgqd can be imported.

    An installed imgqd is found anyway (and its folder must not come before the standard library's);
    one that runs from a checkout is named in PYTHONPATH.
    """
    home = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    paths = [
        os.path.abspath(path) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path
    ]
    if os.path.basename(home) not in ("site-packages", "dist-packages"):
        paths.insert(0, home)
    return {**os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}


def claim_stdout() -> BinaryIO:
    """For a child: the stream to answer on; standard output itself becomes standard error.

    A library that prints can then not garble a message.
    """
    sys.stdout.flush()
    descriptor = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(descriptor, "wb")
