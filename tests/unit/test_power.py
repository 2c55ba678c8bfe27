"""Is this machine on its battery? The kernel's folder of power supplies, and pmset's words."""

from __future__ import annotations

import os
import sys

import pytest

from imgqd import power

BATTERY = {"type": "Battery", "status": "Discharging"}
CHARGING = {"type": "Battery", "status": "Charging"}
ON, OFF = {"type": "Mains", "online": "1"}, {"type": "Mains", "online": "0"}


def supplies(directory, *found):
    for number, attributes in enumerate(found):
        folder = directory / f"supply{number}"
        folder.mkdir()
        for name, value in attributes.items():
            (folder / name).write_text(f"{value}\n")
    return str(directory)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's folder is read on Linux only")
@pytest.mark.parametrize(
    ("found", "answer"),
    [
        ([], None),
        ([ON], None),
        ([BATTERY, OFF], True),
        ([BATTERY], True),
        ([CHARGING, ON], False),
        ([BATTERY, ON], False),
        ([BATTERY, OFF, {"type": "USB_PD", "online": "1"}], False),
        ([{**BATTERY, "status": "Full"}, OFF], False),
        ([CHARGING, BATTERY, OFF], True),
        ([{"type": "UPS", "status": "Discharging"}], True),
        ([{**BATTERY, "scope": "Device"}], None),
        ([{**BATTERY, "scope": "Device"}, CHARGING, ON], False),
        ([{"status": "Discharging"}], None),
    ],
)
def test_the_kernel_is_believed(tmp_path, found, answer):
    assert power.on_battery(supplies(tmp_path, *found)) is answer


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's folder is read on Linux only")
def test_a_machine_without_the_folder_has_no_battery(tmp_path):
    assert power.on_battery(str(tmp_path / "nothing")) is None


INTERNAL = " -InternalBattery-0 (id=1)\t{} present: true"


@pytest.mark.skipif(sys.platform == "win32", reason="runs a shell script as pmset")
@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ("Now drawing from 'Battery Power'\n" + INTERNAL.format("87%; discharging;"), True),
        ("Now drawing from 'AC Power'\n" + INTERNAL.format("100%; charged;"), False),
        ("Now drawing from 'AC Power'", None),
        ("", None),
    ],
)
def test_pmset_is_believed(tmp_path, monkeypatch, words, answer):
    program = tmp_path / "pmset"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{words}\nEND\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert power.on_battery() is answer


def test_without_pmset_a_mac_counts_as_plugged_in(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert power.on_battery() is None
