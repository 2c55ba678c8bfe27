"""What can go wrong in the client: each error knows its exit code and carries a message for a person.

The daemon's own errors arrive as RefusedError, with the daemon's stable code and sentence.
"""

from __future__ import annotations


class ClientError(Exception):
    """Base of everything the client raises on purpose; `exit_code` is what `imgq` exits with."""

    exit_code = 4

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class UsageError(ClientError):
    """What was asked for makes no sense, or an example cannot be read."""

    exit_code = 2


class NoDaemonError(ClientError):
    """No daemon answers, and none could or should be started."""

    exit_code = 3


class RefusedError(ClientError):
    """The daemon answered with an error: `status` is HTTP's, `code` the stable short word.

    `retry_after` is set, in seconds, where the daemon says that the reason will pass.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        code: str = "failed",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.retry_after = retry_after


class TooLateError(ClientError):
    """The time that the caller allowed is over."""


class NothingWatchedError(ClientError):
    """There is no folder to find anything in; waiting would not help."""

    exit_code = 1


class OutputError(ClientError):
    """The answer could not be written where it should go."""
