"""Symbolic links below watched folders, when the setting says to follow them.

A link is followed where it leads out of the watched folders; what is inside has its own path. This
decides only whether and where to; walking is scan.py's.
"""

from __future__ import annotations

import os

from imgqd.library.rules import Rules, join


class Links:
    """The watched folders' real places, to tell where a link leads."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        # The innermost folder first: it decides.
        self._real = sorted(
            ((os.path.realpath(root), root) for root in rules.roots), key=lambda p: -len(p[0])
        )
        self._own = [os.path.realpath(path) for path in rules.own_paths]

    def real(self, path: bytes) -> bytes | None:
        """Where a path below a watched folder really is; None when it is where it says."""
        root = self._rules.root_of(path)
        if root is None:
            return None
        plain = os.path.join(os.path.realpath(root), path[len(root) :].lstrip(b"/")).rstrip(b"/")
        found = os.path.realpath(path)
        return None if found == plain else found

    def follows(self, real: bytes, is_dir: bool) -> bool:
        """True when a link to this real path is followed: it is neither ours already nor the daemon's."""
        if any(real == own or real.startswith(join(own, b"")) for own in self._own):
            return False
        for real_root, root in self._real:
            if real == real_root or real.startswith(join(real_root, b"")):
                return self._rules.excluded(root + real[len(real_root) :], is_dir)
        return True
