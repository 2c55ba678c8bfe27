"""The errors that cross room borders: each carries a message for a person.

A message names what happened, to what, and what to do next. Whoever catches one of these at the
edge (command line, HTTP) prints or returns the message; no traceback ever reaches a person.
"""

from __future__ import annotations


class ImgqError(Exception):
    """Base of everything imgqd raises on purpose. `code` is a stable short word for programs."""

    code = "failed"
    status = 500

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code


class UsageError(ImgqError):
    """What was asked for makes no sense: exit code 2, HTTP 400."""

    code = "usage"
    status = 400


class NotFoundError(ImgqError):
    """A picture, folder or name that is not there: HTTP 404."""

    code = "not-found"
    status = 404


class UnavailableError(ImgqError):
    """True only for now: starting, stopping, out of disk space, model being made: HTTP 503."""

    code = "unavailable"
    status = 503


class AlreadyRunningError(ImgqError):
    """Another daemon holds the lock of this library."""

    code = "already-running"


class DatabaseError(ImgqError):
    """The library database is damaged or was written by a newer imgq."""

    code = "database"


class ModelError(ImgqError):
    """A model cannot be had, does not fit its weights, or its artifact is broken."""

    code = "model"


class ProblemError(ImgqError):
    """One file cannot be indexed. `code` is the problem's reason word, such as `corrupt`."""

    code = "corrupt"

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail, code=reason)

    @property
    def reason(self) -> str:
        """The stable short word shown by `imgqd problems`."""
        return self.code
