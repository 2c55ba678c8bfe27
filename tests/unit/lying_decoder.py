"""A decoder process as an attacker would have it: keeps to the protocol, then lies.

Run in the place of `imgqd.indexing.decode_worker`: `lying_decoder.py LIE FD NICE`.
"""

from __future__ import annotations

import array
import json
import os
import socket
import struct
import sys

HEADER = struct.Struct(">II")
FACTS = {"width": 4, "height": 3, "format": "png", "pixel_hash": "00" * 20}
CELLS = "88" * 18
PIXELS = bytes(224 * 224 * 3)


def frame(header: object, body: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return HEADER.pack(len(text), len(body)) + text + body


def facts(**changed: object) -> dict[str, object]:
    return {"facts": {**FACTS, **changed}, "placeholder": CELLS}


LIES = {
    "honest": frame(facts(), PIXELS),
    "endless header": HEADER.pack(2**32 - 1, 0) + b"x" * 100_000,
    "endless body": HEADER.pack(2, 2**32 - 1) + b"{}" + b"x" * 100_000,
    "too many pixels": frame(facts(), PIXELS + b"x"),
    "too few pixels": frame(facts(), PIXELS[:-1]),
    "not json": frame(b"\x80\x04]q\x00.", PIXELS),
    "not utf-8": frame(b'{"reason": "\xff\xfe"}'),
    "deep json": frame(b"[" * 100_000),
    "a list": frame([1, 2, 3], PIXELS),
    "nan": frame(b'{"facts": {"width": NaN}}', PIXELS),
    "a huge number": frame(b'{"facts": {"width": ' + b"9" * 5000 + b"}}", PIXELS),
    "no facts": frame({}, PIXELS),
    "a true width": frame(facts(width=True), PIXELS),
    "no width": frame(facts(width=0), PIXELS),
    "a float width": frame(facts(width=4.5), PIXELS),
    "an unknown format": frame(facts(format="exe"), PIXELS),
    "no placeholder": frame({"facts": FACTS}, PIXELS),
    "a short placeholder": frame({"facts": FACTS, "placeholder": "88"}, PIXELS),
    "a placeholder of words": frame({"facts": FACTS, "placeholder": "zz" * 18}, PIXELS),
    "a short hash": frame(facts(pixel_hash="00"), PIXELS),
    "a hash of before": frame(facts(pixel_hash="00" * 16), PIXELS),
    "no hexadecimal": frame(facts(pixel_hash="zz" * 20), PIXELS),
    "a long text": frame(facts(title="x" * 10_000), PIXELS),
    "a surrogate": frame(facts(title="\ud800"), PIXELS),
    "a NUL": frame(facts(camera="a\x00b"), PIXELS),
    "many keywords": frame(facts(keywords=["x"] * 5000), PIXELS),
    "a keyword that is none": frame(facts(keywords=[{"a": 1}]), PIXELS),
    "nowhere on earth": frame(facts(latitude=1e300, longitude=0), PIXELS),
    "infinity": frame(b'{"facts": {"latitude": 1e999}}', PIXELS),
    "the year 99999": frame(facts(taken_local=1e15), PIXELS),
    "ten stars": frame(facts(rating=10), PIXELS),
    "an unknown reason": frame({"reason": "because", "detail": ""}),
    "a reason without detail": frame({"reason": "corrupt"}),
    "a reason that is none": frame({"reason": ["corrupt"], "detail": ""}),
    "an unknown library": frame({"library": "os"}),
    "always a library": frame({"library": "heic"}),
    "sandbox": frame({**facts(), "sandbox": "all of it"}, PIXELS),
    "the next answer too": frame(facts(), PIXELS) * 2,
    "half an answer": frame(facts(), PIXELS)[:1000],
    "silence": b"",
}


def main() -> None:
    lie, control = sys.argv[1], socket.socket(fileno=int(sys.argv[2]))
    while True:
        head = control.recv(HEADER.size)
        if not head:
            return
        control.recv(HEADER.unpack(head)[0])
        ours, theirs = socket.socketpair()
        rights = array.array("i", [ours.fileno()])
        control.sendmsg(
            [frame({"started": 1, "missing": []})],
            [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)],
        )
        ours.close()
        while theirs.recv(65536):
            theirs.sendall(LIES[lie])
            if lie in ("half an answer", "silence"):
                os._exit(0)
        control.sendall(frame({"ended": 0}))


if __name__ == "__main__":
    main()
