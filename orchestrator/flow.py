"""Read first: how MODULE:CLASS becomes a Flow that runs.

    load_flow      import the Flow's class                                 FlowUnusable
    run_flow       a fresh Flow, checked inputs, one run                   InputsRefused, RunFailed

A run has a name (``run``, a UUID unless the caller gives one) that every LLM call of it carries. Each run
gets its own task and so its own context: runs side by side on one loop share the process, the LLM clients and
nothing else.
"""

import asyncio
import importlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import uuid4

from crewai.crews.crew_output import CrewOutput
from crewai.events.stream_context import StreamSink, add_stream_sink
from crewai.events.types.flow_events import MethodExecutionFailedEvent
from crewai.flow.flow import Flow
from pydantic import BaseModel, ValidationError
from pydantic_core import to_jsonable_python

from orchestrator.auto_memory import make_flows_without_memory
from orchestrator.cause import cause_line, one_line
from orchestrator.errors import FlowUnusable, RunFailed
from orchestrator.identity import register_identity_hooks, running
from orchestrator.inputs import check_inputs
from orchestrator.instances import keep_instances_apart
from orchestrator.one_retry_layer import drop_agent_retries
from orchestrator.tier_names import let_names_be_tiers

TARGET_FORM = "MODULE:CLASS, as in my_package.flow:MyFlow or path/to/flow.py:MyFlow"

FlowClass = type[Flow[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """How a run ended that ended well.

    ``output`` is what the Flow's last step returned, or the state where it returned nothing; ``state`` is the
    final state. Both hold only what JSON can. ``seconds`` is the run's duration.
    """

    run: str
    flow: str
    output: object
    state: dict[str, object]
    seconds: float


def load_flow(target: str) -> FlowClass:
    """The Flow class that ``target`` names, as MODULE:CLASS or FILE.py:CLASS.

    A module is looked for in the working directory too, as ``python -m`` does. A file inside packages is
    imported under its full dotted name, with the outermost package's folder on the path. Raises
    ``FlowUnusable`` where the form is wrong, nothing is found, the import fails or the class is no Flow.
    """
    register_identity_hooks()
    keep_instances_apart()
    drop_agent_retries()
    let_names_be_tiers()
    make_flows_without_memory()
    place, _, name = target.rpartition(":")
    if not place or not name.isidentifier():
        raise FlowUnusable(f"{target!r} is not {TARGET_FORM}.")
    is_file = place.endswith(".py") or "/" in place
    module = _import_file(Path(place)) if is_file else _import_module(place, Path.cwd())
    found = getattr(module, name, None)
    if isinstance(found, type) and issubclass(found, Flow) and found is not Flow:
        return found
    flows = sorted(
        each
        for each, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, Flow) and value.__module__ == module.__name__
    )
    problem = "has no class" if found is None else "holds something else than a Flow class under the name"
    raise FlowUnusable(f"{place} {problem} {name!r}. Flows in it: {', '.join(flows) or 'none'}.")


async def run_flow(
    flow_class: FlowClass,
    inputs: Mapping[str, object] | None = None,
    *,
    run: str | None = None,
    progress: StreamSink | None = None,
) -> RunResult:
    """Run a fresh ``flow_class`` to its end and return what came of it.

    ``progress`` gets CrewAI's events of this run, in order. The run's name is also the state's ``id``: a Flow
    that persists its state finds what an earlier run of that name left. Raises ``FlowUnusable`` or
    ``InputsRefused`` before anything started, ``RunFailed`` where the Flow raised.
    """
    register_identity_hooks()
    keep_instances_apart()
    drop_agent_retries()
    let_names_be_tiers()
    make_flows_without_memory()
    loop = asyncio.get_running_loop()
    run = run or str(uuid4())
    return await loop.create_task(_run(flow_class, dict(inputs or {}), run, progress), name=f"run {run}")


async def _run(flow_class: FlowClass, inputs: dict[str, object], run: str, progress: StreamSink | None) -> RunResult:
    flow = make_flow(flow_class)
    check_inputs(flow, inputs)
    # A streamed Flow hands its frames to a consumer and waits for it; a run here only has an end.
    flow.stream = False
    failed_steps: list[str] = []

    def note_failed_step(source: object, event: object) -> None:
        if source is flow and isinstance(event, MethodExecutionFailedEvent):
            failed_steps.append(event.method_name)

    add_stream_sink(note_failed_step)
    if progress is not None:
        add_stream_sink(progress)
    clock = asyncio.get_running_loop().time
    started = clock()
    with running(run):
        try:
            output = finished(await flow.kickoff_async(inputs={**inputs, "id": run}))
        except Exception as error:
            where = f" in step {failed_steps[0]!r}" if failed_steps else ""
            raise RunFailed(
                f"{flow_class.__name__} failed{where}: {cause_line(error)}",
                run=run,
                flow=flow_class.__name__,
                seconds=clock() - started,
                state=state_of(flow),
            ) from error
    state = state_of(flow)
    return RunResult(
        run=run,
        flow=flow_class.__name__,
        output=state if output is None else plain(output),
        state=state,
        seconds=clock() - started,
    )


def make_flow(flow_class: FlowClass) -> Flow[Any]:
    """A fresh Flow. Raises ``FlowUnusable`` where it cannot be made."""
    try:
        return flow_class()
    except ValidationError as error:
        fields = ", ".join(".".join(map(str, problem["loc"])) for problem in error.errors())
        raise FlowUnusable(
            f"{flow_class.__name__} cannot be made: CrewAI needs a valid default for each field of "
            f"the state, and these have none: {fields}."
        ) from error
    except Exception as error:
        raise FlowUnusable(f"{flow_class.__name__} cannot be made: {cause_line(error)}") from error


def finished(output: object) -> object:
    """``output`` of a Flow that ended; where a step waits for a person, CrewAI returns what it would raise."""
    if isinstance(output, BaseException):
        raise output
    return output


def state_of(flow: Flow[Any]) -> dict[str, object]:
    """The Flow's state, ready for JSON."""
    state = plain(flow.state)
    return state if isinstance(state, dict) else {}


def plain(value: object) -> Any:  # noqa: ANN401 - JSON
    """``value`` as JSON can hold it; what JSON cannot hold at all becomes its text."""
    if isinstance(value, CrewOutput):
        value = value.pydantic or value.json_dict or value.raw
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", fallback=str)
    return to_jsonable_python(value, fallback=str)


def _import_file(path: Path) -> ModuleType:
    file = path.resolve()
    if not file.is_file():
        raise FlowUnusable(f"There is no file {path}.")
    names, root = [file.stem], file.parent
    while (root / "__init__.py").is_file():
        names.insert(0, root.name)
        root = root.parent
    module = _import_module(".".join(names), root)
    if Path(module.__file__ or "").resolve() != file:
        raise FlowUnusable(
            f"{path} would be imported as {module.__name__!r}, but that name is taken by {module.__file__}. "
            "Rename it, or put it into a package."
        )
    return module


def _import_module(name: str, root: Path) -> ModuleType:
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            raise FlowUnusable(f"There is no module {name!r} in {root} or among what is installed.") from error
        raise FlowUnusable(f"{name} needs a module that is not installed: {error.name}.") from error
    except Exception as error:
        raise FlowUnusable(f"Importing {name} failed: {one_line(f'{type(error).__name__}: {error}')}") from error
