"""Does this machine run on its battery? Read from the kernel on Linux, asked of pmset on macOS.

What follows from that is pausing.py's to decide.
"""

from __future__ import annotations

import os
import subprocess
import sys

SUPPLIES = "/sys/class/power_supply"


def on_battery(supplies: str = SUPPLIES) -> bool | None:
    """True on battery, False with power from outside, None where there is no battery to speak of.

    `supplies` is the kernel's folder of power supplies. A machine that cannot say is not on battery.
    """
    if sys.platform == "darwin":
        return _pmset()
    if sys.platform == "linux":
        return _sysfs(supplies)
    return None


def _sysfs(supplies: str) -> bool | None:
    """See the kernel's Documentation/ABI/testing/sysfs-class-power."""
    try:
        names = os.listdir(supplies)
    except OSError:
        return None
    batteries, discharging, plugged = 0, 0, False
    for name in names:
        kind = _read(supplies, name, "type")
        # A mouse has a battery too; that one says nothing of this machine's power.
        if _read(supplies, name, "scope") == "Device":
            continue
        if kind in ("Battery", "UPS"):
            batteries += 1
            discharging += _read(supplies, name, "status") == "Discharging"
        elif kind.startswith(("Mains", "USB", "Wireless")):
            plugged = plugged or _read(supplies, name, "online") not in ("", "0")
    if not batteries:
        return None
    return bool(discharging) and not plugged


def _read(supplies: str, name: str, attribute: str) -> str:
    try:
        with open(os.path.join(supplies, name, attribute), encoding="ascii", errors="replace") as f:
            return f.read().strip()
    except OSError:
        return ""


def _pmset() -> bool | None:
    """`Now drawing from 'Battery Power'`, then a line for each battery."""
    try:
        done = subprocess.run(["pmset", "-g", "batt"], capture_output=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    first, *batteries = done.stdout.decode("utf-8", "replace").splitlines() or [""]
    if not any(line.strip() for line in batteries):
        return None
    return "'Battery Power'" in first or "'UPS Power'" in first
