"""imgq: the tiny client. Standard library only; starts in about the time of a bare interpreter.

For programs: `imgq.Client`, and the errors it raises. They are loaded when first used, because
`imgq --version` needs none of them.
"""

from __future__ import annotations

__version__ = "0.1.0"
__all__ = [
    "Answer",
    "Client",
    "ClientError",
    "NoDaemonError",
    "RefusedError",
    "Result",
    "TooLateError",
    "UsageError",
    "__version__",
]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from imgq.answers import Answer, Result
    from imgq.client import Client
    from imgq.errors import ClientError, NoDaemonError, RefusedError, TooLateError, UsageError


def __getattr__(name: str) -> object:
    if name in __all__:
        from imgq import answers, client, errors

        for module in (client, answers, errors):
            if hasattr(module, name):
                return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
