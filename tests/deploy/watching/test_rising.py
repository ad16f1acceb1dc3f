"""When a delay counts as rising; what Prometheus makes of it is in test_gpu_alerts.py and test_cpu_alerts.py."""

from deploy.watching.recordings import CPU_DELAY, GPU_DELAY
from deploy.watching.rising import rising


def test_each_layer_is_held_against_itself() -> None:
    """Nothing of the one is in what is told of the other."""
    gpu, cpu = rising(GPU_DELAY, seconds_min=5), rising(CPU_DELAY, seconds_min=5)
    assert gpu.count(GPU_DELAY.rates) == 4
    assert CPU_DELAY.rates not in gpu
    assert cpu == gpu.replace(GPU_DELAY.rates, CPU_DELAY.rates).replace("tier, endpoint", "flow")
