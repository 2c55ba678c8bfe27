"""Gives memory that was freed back to the system, after work that needed much of it for a moment."""

from __future__ import annotations

import ctypes
import sys


def give_back() -> None:
    """Asks glibc to return what it holds in reserve (some milliseconds); elsewhere does nothing."""
    if not sys.platform.startswith("linux"):
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
