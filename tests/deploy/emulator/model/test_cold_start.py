"""How long cold starts take."""

from random import Random

from deploy.emulator.model.catalogue import machine_for
from deploy.emulator.model.cold_start import cold_start, revival_seconds
from deploy.emulator.model.config import CpuChoice, GpuChoice
from deploy.emulator.model.faults import Faults
from tests.deploy.emulator.worlds import config

SMALL = machine_for(config(), 0)
LARGE = machine_for(config(gpu=GpuChoice(pools=("AMPERE_80",))), 0)
CPU = machine_for(config(gpu=None, cpu=(CpuChoice(id="cpu3c", vcpu_count=2),)), 0)


def test_larger_gpus_load_larger_models_for_longer() -> None:
    loads = [cold_start(machine, Faults(), Random(1), has_image=False).load for machine in (CPU, SMALL, LARGE)]
    assert 5 <= loads[0] <= 15
    assert 45 <= loads[1] <= 75
    assert 120 <= loads[2] <= 180


def test_a_host_that_has_the_image_does_not_pull_it() -> None:
    assert cold_start(SMALL, Faults(), Random(1), has_image=True).pull == 0
    assert 25 <= cold_start(SMALL, Faults(), Random(1), has_image=False).pull <= 60


def test_both_phases_can_be_set() -> None:
    start = cold_start(SMALL, Faults(pull_seconds=1.0, load_seconds=540.0), Random(1), has_image=False)
    assert (start.pull, start.load) == (1.0, 540.0)


def test_flashboot_revives_within_seconds() -> None:
    flash = config(flashboot="FLASHBOOT")
    assert revival_seconds(flash, SMALL, Faults(), Random(1)) <= 4
    assert revival_seconds(flash, SMALL, Faults(load_seconds=0.5), Random(1)) == 0.5
    assert revival_seconds(config(), SMALL, Faults(), Random(1)) >= 45
