"""When indexing pauses: on request, on battery, and how the two go together."""

from __future__ import annotations

import pytest

from imgqd.indexing.look import Looker
from imgqd.indexing.pipeline import Pipeline
from imgqd.library.store import Store
from imgqd.pausing import BY_BATTERY, BY_REQUEST, Pausing
from imgqd.priority import ALL


class Machine:
    """A real store and pipeline, and a battery that a test drains."""

    def __init__(self, directory) -> None:
        self.path = str(directory / "library.db")
        self.battery: bool | None = False
        self.start()

    def start(self, *, heed_battery: bool = True) -> None:
        self.store = Store(self.path)
        looker = Looker(
            self.store,
            None,
            None,
            settle_s=0,
            max_bytes=1,
            follow_links=False,
            on_directory=print,
        )
        self.pipeline = Pipeline(
            self.store,
            looker,
            workers=1,
            share=ALL,
            on_changes=print,
            on_encoded=print,
            on_damage=print,
        )
        self.pausing = Pausing(
            self.store,
            self.pipeline,
            heed_battery=heed_battery,
            battery=lambda: self.battery,
        )
        self.pausing.check()

    def restart(self, **options: bool) -> None:
        self.store.close()
        self.start(**options)

    @property
    def found(self) -> tuple[bool, str | None]:
        return self.pipeline.paused, self.pausing.by


@pytest.fixture
def machine(tmp_path):
    machine = Machine(tmp_path)
    yield machine
    machine.store.close()


def test_a_pause_outlives_the_daemon_until_it_is_resumed(machine):
    assert machine.found == (False, None)
    machine.pausing.pause()
    assert machine.found == (True, BY_REQUEST)
    machine.restart()
    assert machine.found == (True, BY_REQUEST)
    machine.pausing.resume()
    machine.restart()
    assert machine.found == (False, None)


def test_battery_power_pauses_and_outside_power_goes_on(machine):
    machine.battery = True
    machine.pausing.check()
    assert machine.found == (True, BY_BATTERY)
    machine.battery = False
    machine.pausing.check()
    assert machine.found == (False, None)


def test_resuming_on_battery_holds_until_the_power_has_come_and_gone(machine):
    machine.battery = True
    machine.pausing.check()
    machine.pausing.resume()
    machine.pausing.check()
    assert machine.found == (False, None)
    for machine.battery in (False, True):
        machine.pausing.check()
    assert machine.found == (True, BY_BATTERY)


def test_outside_power_does_not_end_a_pause_that_somebody_asked_for(machine):
    machine.battery = True
    machine.pausing.check()
    machine.pausing.pause()
    machine.battery = False
    machine.pausing.check()
    assert machine.found == (True, BY_REQUEST)


def test_told_to_run_on_battery_it_does(machine):
    machine.battery = True
    machine.restart(heed_battery=False)
    assert machine.found == (False, None)
    machine.pausing.pause()
    machine.restart(heed_battery=False)
    assert machine.found == (True, BY_REQUEST)


def test_a_machine_without_a_battery_is_looked_at_rarely(machine):
    often = machine.pausing.check()
    machine.battery = None
    assert machine.pausing.check() > often
    assert machine.found == (False, None)
