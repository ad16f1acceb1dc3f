"""How fast engines are."""

from deploy.emulator.engines.speed import speed_of
from deploy.emulator.model.catalogue import Machine

SMALL = speed_of(Machine(gpu_type_id="g", memory_gb=24))
LARGE = speed_of(Machine(gpu_type_id="g", memory_gb=80))
CPU = speed_of(Machine())


def test_a_larger_batch_is_slower_for_each_and_faster_for_all() -> None:
    for speed in (SMALL, LARGE):
        alone, many = speed.decode_seconds(1), speed.decode_seconds(8)
        assert alone < many < 8 * alone
        assert speed.decode_seconds(1 + speed.half_batch) == 2 * alone


def test_a_cpu_is_slower_than_any_gpu() -> None:
    assert CPU.prefill < min(SMALL.prefill, LARGE.prefill)
    assert CPU.decode < min(SMALL.decode, LARGE.decode)
