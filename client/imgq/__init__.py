"""imgq: the tiny client. Standard library only; starts in about the time of a bare interpreter."""

__version__ = "0.1.0"
