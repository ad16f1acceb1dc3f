"""A program in which nothing of ``locks/orchestrator-left-out.in`` can be imported: it runs every example Flow.

It prints a JSON object with each Flow's output, or why it failed, and which of these packages were loaded after all.
"""

import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import packages_distributions
from pathlib import Path
from types import ModuleType

from orchestrator.settings import Secret, Settings, bind, prepare_crewai

ROOT = Path(__file__).parents[2]
LEFT_OUT = ROOT / "locks" / "orchestrator-left-out.in"
TARGETS = tuple(
    f"{ROOT}/examples/{folder}/flow.py:{flow}"
    for folder, flow in (
        ("research_report", "ResearchReportFlow"),
        ("support_triage", "SupportTriageFlow"),
        ("map_reduce", "MapReduceFlow"),
        ("quality_loop", "QualityLoopFlow"),
        ("human_review", "HumanReviewFlow"),
    )
)


class LeftOut:
    """In place of Python's finder of installed modules: as if these packages were not installed."""

    find_distributions = staticmethod(PathFinder.find_distributions)
    invalidate_caches = staticmethod(PathFinder.invalidate_caches)

    def __init__(self) -> None:
        lines = LEFT_OUT.read_text(encoding="utf-8").splitlines()
        names = {line.split()[0] for line in lines if not line.startswith("#")}
        self.modules = {
            module
            for module, distributions in packages_distributions().items()
            if {distribution.lower().replace("_", "-").replace(".", "-") for distribution in distributions} <= names
        }

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """As Python's, which finds none of them."""
        return None if name.partition(".")[0] in self.modules else PathFinder.find_spec(name, path, target)


async def outputs(folder: Path) -> dict[str, object]:
    """Each Flow's output, on the orchestrator's own runner."""
    from orchestrator.clock import unix  # noqa: PLC0415 - only now may CrewAI be imported
    from orchestrator.host.first_run import first_run  # noqa: PLC0415 - as above
    from orchestrator.hosted_flow import load_flows  # noqa: PLC0415 - as above
    from orchestrator.runs.directory_store import DirectoryRunStore  # noqa: PLC0415 - as above
    from orchestrator.runs.run import NewRun  # noqa: PLC0415 - as above
    from orchestrator.runs.runner import Runner  # noqa: PLC0415 - as above

    flows = load_flows((*TARGETS, sys.argv[2]))
    await first_run()
    store = DirectoryRunStore(folder, unix=unix)
    classes = {name: flow.flow_class for name, flow in flows.items()}
    runner = Runner(store=store, flows=classes, owner="one", unix=unix, secrets=())
    found: dict[str, object] = {}
    for name in flows:
        await store.add(NewRun(name=name, flow=name, inputs={}, code=runner.code(name)))
        run = await runner.work(name)
        if run is not None and run.question is not None:
            await store.answer(name, "Yes.")
            run = await runner.work(name)
        assert run is not None
        found[name] = run.output if run.problem is None else run.problem.message
    await store.close()
    return found


def main() -> None:
    """Run them, and the Flow ``sys.argv[2]``, against the gateway at ``sys.argv[1]``."""
    left_out = LeftOut()
    sys.meta_path[:] = [left_out if finder is PathFinder else finder for finder in sys.meta_path]
    prepare_crewai()
    with bind(Settings(url=sys.argv[1], key=Secret("sk-test-key"))), tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(outputs(Path(folder)))
    loaded = sorted(left_out.modules & sys.modules.keys())
    sys.stdout.write(json.dumps({"outputs": found, "left_out": len(left_out.modules), "loaded": loaded}) + "\n")


if __name__ == "__main__":
    main()
