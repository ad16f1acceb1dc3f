"""Draws ``plot.svg`` from the results in a folder: ``plot.py FOLDER``. Needs matplotlib."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
mpl.rcParams.update({"svg.hashsalt": "tiergate", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False})

from matplotlib import pyplot as plt  # noqa: E402 - the settings come first
from matplotlib.axes import Axes  # noqa: E402 - as above

OWN, PEER = "#1f6f8b", "#b8b8b8"
TARGETS = ("tiergate", "tiergate-nobudget", "nginx-deb", "envoy", "vllm-router", "portkey", "litellm")
SCENARIOS = {"json_c64": "JSON, 64 connections", "paced_c64": "SSE, 64 streams of 64 tokens"}


def main(folder: Path) -> None:
    """Draw what the folder has results for."""
    results = {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in folder.glob("*.json")}
    panels: list[Callable[[Axes], None]] = []
    if "race" in results:
        rows = results["race"]["rows"]
        panels += [lambda axes, name=name: _bars(axes, rows, name) for name in SCENARIOS]  # type: ignore[misc]
    if "soak" in results:
        panels.append(lambda axes: _soak(axes, results["soak"]))
    if not panels:
        return
    figure, places = plt.subplots(1, len(panels), figsize=(4.4 * len(panels), 3.2), squeeze=False)
    for axes, panel in zip(places[0], panels, strict=True):
        panel(axes)
    figure.tight_layout()
    figure.savefig(folder / "plot.svg", metadata={"Date": None})


def _bars(axes: Axes, rows: list[dict[str, Any]], scenario: str) -> None:
    """CPU per request of each target: the median of its rounds, on a logarithmic scale."""
    taken = {
        target: sorted(row["cpu_us"] for row in rows if (row["target"], row["scenario"]) == (target, scenario))
        for target in reversed(TARGETS)
    }
    names = [name for name, values in taken.items() if values]
    middles = [taken[name][len(taken[name]) // 2] for name in names]
    bars = axes.barh(names, middles, color=[OWN if name.startswith("tiergate") else PEER for name in names])
    axes.bar_label(bars, labels=[f"{value:,.0f}" for value in middles], padding=3)
    axes.set_xscale("log")
    axes.set_xlim(min(middles) / 5, max(middles) * 4)  # the shortest bar is one, too
    axes.set_xlabel("gateway CPU µs per request, logarithmic")
    axes.set_title(SCENARIOS[scenario])


def _soak(axes: Axes, soak: dict[str, Any]) -> None:
    """Resident memory over the soak's minutes, and open tasks where they were sampled."""
    samples = soak["samples"]
    minutes = [sample["minute"] for sample in samples]
    memory = [sample["rss_kib"] / 1024 for sample in samples]
    axes.plot(minutes, memory, color=OWN)
    axes.set_ylim(0, 1.5 * max(memory))
    axes.set_xlabel("minutes")
    axes.set_ylabel("resident MiB", color=OWN)
    axes.set_title(f"{soak['rate']:,} calls per second, 60 % load")
    if samples and "tasks" in samples[0]:
        tasks = axes.twinx()
        tasks.plot(minutes, [sample["tasks"] for sample in samples], color=PEER, linewidth=0.8)
        tasks.set_ylim(bottom=0)
        tasks.set_ylabel("open tasks", color=PEER)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
