"""imgqd: the picture-search daemon. See docs/architecture.md for the rooms."""

__version__ = "0.1.0"
