"""Fetches an example picture from a URL that the user asked for: http and https, within limits.

But for downloading a model, this is the only request that ever goes out.
"""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

from imgqd.errors import UsageError

MOST_BYTES = 64 * 1024 * 1024
TIMEOUT_S = 20.0
SILENCE_S = 10.0
REDIRECTS = 5
CHUNK = 1 << 16


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a few redirects, to http and https only."""

    max_redirections = REDIRECTS

    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Any:
        _check(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def fetch(url: str) -> bytes:
    """The bytes at `url`, at most MOST_BYTES, within TIMEOUT_S. Raises UsageError saying why not.

    Whether they are a picture is for the decoder to say.
    """
    _check(url)
    deadline = time.monotonic() + TIMEOUT_S
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Redirects(),
    ):
        opener.add_handler(handler)
    request = urllib.request.Request(url, headers={"User-Agent": "imgq", "Accept": "image/*"})  # noqa: S310
    try:
        with opener.open(request, timeout=SILENCE_S) as answer:
            return _read(url, answer, deadline)
    except urllib.error.HTTPError as error:
        reason = f"the server answered {error.code} {error.reason}"
        error.close()
    except urllib.error.URLError as error:
        reason = getattr(error.reason, "strerror", None) or str(error.reason)
    except (OSError, HTTPException, ValueError) as error:
        reason = str(error) or type(error).__name__
    raise UsageError(f"{url} cannot be fetched: {reason}; save the picture and give its file")


def _read(url: str, answer: Any, deadline: float) -> bytes:
    data = bytearray()
    # read1 returns what has come; read would wait for a whole chunk, past any deadline.
    while piece := answer.read1(CHUNK):
        data += piece
        if len(data) > MOST_BYTES:
            raise UsageError(f"{url} is larger than {MOST_BYTES >> 20} MB; give a smaller picture")
        if time.monotonic() > deadline:
            raise UsageError(
                f"{url} took longer than {TIMEOUT_S:g} s; save the picture and give its file"
            )
    if getattr(answer, "length", None):
        raise UsageError(f"{url} was cut off after {len(data)} bytes; ask again")
    if not data:
        raise UsageError(f"{url} is empty; give the URL of a picture")
    return bytes(data)


def _check(url: str) -> None:
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname)
        good = good and url.isascii() and url.isprintable() and " " not in url
    except ValueError:
        good = False
    if not good:
        raise UsageError(f"{url!r} is no http or https URL; give one, or a file")
