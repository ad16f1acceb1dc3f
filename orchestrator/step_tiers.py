"""The tiers that a step uses, as far as its code tells without running.

What the author declared (``__tiergate_tiers__`` on the method) goes before all else. Otherwise the step's source is
read, and that of what it reaches in the same project: helpers, other methods of the Flow, classes of crews and their
``agents.yaml``. A crew counts with all its agents, whichever of them the step puts to work. What is decided at run
time cannot be seen: then the step says that its tiers are not all known.
"""

import ast
import inspect
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any, Final

from crewai import Agent, Crew
from crewai.llms.base_llm import BaseLLM

from orchestrator.agents_file import AgentsUnreadable, agent_llms
from orchestrator.flow import FlowClass
from orchestrator.llm import TierLLM, tier

DECLARED: Final = "__tiergate_tiers__"
"""On a step's method: the names of the tiers that it uses, as its author says."""

LLM_ARGUMENTS: Final = ("llm", "manager_llm", "planning_llm", "function_calling_llm", "chat_llm")
"""Where CrewAI's agents and crews take an LLM, or its name."""

_ASKS_A_MODEL: Final = frozenset(
    {"kickoff", "akickoff", "kickoff_async", "kickoff_for_each", "akickoff_for_each", "acall"}
)
_INSIDE: Final = ("__wrapped__", "_meth")
"""Where decorators keep what they decorate, most of them and CrewAI's."""
_ELSEWHERE: Final = frozenset({"base_url", "api_key", "provider"})
_FOREIGN: Final = frozenset({"crewai", "crewai_tools", "orchestrator", "pydantic"})
_INSTALLED: Final = ("/site-packages/", "/dist-packages/")


@dataclass(frozen=True, slots=True, kw_only=True)
class TiersUsed:
    """Tiers by name, in the order of the code, mostly that of the calls; ``known`` is whether these are all."""

    names: tuple[str, ...] = ()
    known: bool = True

    def __str__(self) -> str:
        return ", ".join((*self.names, *(() if self.known else ("?",))))


def tiers_used(flow_class: FlowClass, step: str) -> TiersUsed:
    """What the step ``step`` of ``flow_class`` uses; nothing of it runs."""
    method = inspect.getattr_static(flow_class, step, None)
    for layer in _layers(method):
        declared = getattr(layer, DECLARED, None)
        if declared is not None:
            return TiersUsed(names=tuple(dict.fromkeys(declared)))
    reading = _Reading(project=flow_class.__module__.partition(".")[0])
    reading.function(method, flow_class)
    names = tuple(reading.names)
    # A model is asked, and none was found: it is one that shows at run time.
    return TiersUsed(names=names, known=reading.known and (reading.found or not reading.asks))


def _layers(method: object) -> Iterator[object]:
    """A decorated function, method or property and what its decorators wrapped, outermost first."""
    while method is not None:
        yield method
        if isinstance(method, property):
            method = method.fget
        elif isinstance(method, classmethod | staticmethod):
            method = method.__func__
        else:
            # Statically: an object of the project's may run code when it is asked for an attribute.
            inside = [inspect.getattr_static(method, name, None) for name in _INSIDE]
            method = next((each for each in inside if callable(each)), None)


@dataclass(slots=True, kw_only=True)
class _Reading:
    """What was found so far on the way through the code that a step reaches."""

    project: str
    names: dict[str, None] = field(default_factory=dict)
    known: bool = True
    asks: bool = False
    found: bool = False
    given: set[tuple[type | None, str]] = field(default_factory=set)
    seen: set[int] = field(default_factory=set)

    def function(self, function: object, owner: type | None) -> None:
        """A function's code; ``owner`` is the class that its ``self`` is of."""
        code = deque(_layers(function), maxlen=1).pop() if function is not None else None
        if not isinstance(code, FunctionType) or id(code) in self.seen or not self._ours(code):
            return
        self.seen.add(id(code))
        tree = _tree(code)
        if tree is None:
            self.known = False
            return
        _Scope(self, tree, _names_in(code, tree), owner).read()

    def value(self, value: object) -> None:
        """Something that the code names."""
        if isinstance(value, TierLLM):
            self.named(value.model, None)
        elif isinstance(value, BaseLLM):
            self.found = True
        elif isinstance(value, Agent):
            self.llms_of(value)
        elif isinstance(value, Crew):
            self.llms_of(value)
            for each in (*value.agents, value.manager_agent):
                self.value(each)
        elif isinstance(value, type):
            self.project_class(value)
        elif isinstance(value, list | tuple):
            for each in value:
                self.value(each)
        else:
            self.function(value, None)
            self.project_class(type(value))

    def llms_of(self, made: Agent | Crew) -> None:
        """What an agent or a crew that exists already was given."""
        fields = vars(made)
        for llm in filter(None, map(fields.get, LLM_ARGUMENTS)):
            if isinstance(llm, str):
                self.named(llm, None)
            else:
                self.value(llm)

    def project_class(self, value: type) -> None:
        """A class of the project's: all its code, and the agents that it configures."""
        if not self._ours(value) or id(value) in self.seen:
            return
        self.seen.add(id(value))
        for each in value.__mro__:
            if self._ours(each):
                for member in vars(each).values():
                    self.function(member, value)
        try:
            configured = agent_llms(value)
        except AgentsUnreadable:
            self.known = False
            return
        for agent, llms in configured.items():
            if (value, agent) in self.given:
                continue
            self.known &= bool(llms.get("llm"))
            for name in llms.values():
                self.named(name, value)

    def named(self, name: str, owner: type | None) -> None:
        """A name that stands for an LLM: a method of the crew's, or a tier, or somebody else's model."""
        self.found = True
        if "/" not in name and not hasattr(owner, name):
            self.names[name] = None

    def _ours(self, value: object) -> bool:
        module = getattr(value, "__module__", None)
        if not isinstance(module, str):
            return False
        package = module.partition(".")[0]
        if package == self.project:
            return True
        if package in _FOREIGN or package in sys.stdlib_module_names:
            return False
        file = getattr(sys.modules.get(module), "__file__", None) or ""
        return not any(folder in file for folder in _INSTALLED)


class _Scope:
    """One function's code, and what its names mean."""

    def __init__(self, reading: _Reading, tree: ast.AST, names: Mapping[str, Any], owner: type | None) -> None:
        self._reading = reading
        self._nodes = tuple(_in_order(tree))
        self._names = names
        self._owner = owner
        self._made_here = {each.id for each in self._nodes if isinstance(each, ast.Name) and not _is_read(each)}

    def read(self) -> None:
        for node in self._nodes:
            if isinstance(node, ast.Call):
                self._call(node)
            elif isinstance(node, ast.Name):
                self._reading.value(self._meaning(node))
            elif isinstance(node, ast.Attribute):
                self._attribute(node)

    def _meaning(self, node: ast.expr) -> object:
        """What a name or dotted name stands for; ``None`` where that shows only at run time."""
        if isinstance(node, ast.Name):
            return self._names.get(node.id)
        if not isinstance(node, ast.Attribute):
            return None
        holder = self._owner if _is_self(node.value) else self._meaning(node.value)
        return None if holder is None else inspect.getattr_static(holder, node.attr, None)

    def _attribute(self, node: ast.Attribute) -> None:
        meaning = self._meaning(node)
        if _is_self(node.value):
            self._reading.function(meaning, self._owner)
        self._reading.value(meaning)

    def _call(self, call: ast.Call) -> None:
        called = self._meaning(call.func)
        given = {each.arg: each.value for each in call.keywords if each.arg is not None}
        if called is tier:
            self._named_by(given.get("name") or next(iter(call.args), None))
        elif isinstance(called, type) and issubclass(called, BaseLLM):
            if not _ELSEWHERE & given.keys():
                self._named_by(given.get("model") or next(iter(call.args), None))
        else:
            if isinstance(called, type) and issubclass(called, Agent):
                self._agent(given)
            for name in LLM_ARGUMENTS:
                if name in given:
                    self._llm(given[name])
        if isinstance(call.func, ast.Attribute) and call.func.attr in _ASKS_A_MODEL:
            self._reading.asks = True
            self._reading.known &= self._is_seen(call.func.value)

    def _is_seen(self, asked: ast.expr) -> bool:
        """Whether what is asked is made in this code or exists already: it is read then. An argument is neither."""
        while isinstance(asked, ast.Call | ast.Attribute | ast.Subscript | ast.Await):
            if isinstance(asked, ast.Attribute) and _is_self(asked.value):
                return self._meaning(asked) is not None
            asked = asked.func if isinstance(asked, ast.Call) else asked.value
        return not isinstance(asked, ast.Name) or asked.id in self._made_here or self._meaning(asked) is not None

    def _agent(self, given: Mapping[str, ast.expr]) -> None:
        """``Agent(…)``: without an LLM it gets the one of its configuration, and without that CrewAI's default."""
        config = given.get("config")
        if "llm" not in given:
            self._reading.known &= config is not None
        elif isinstance(config, ast.Subscript) and isinstance(config.slice, ast.Constant):
            self._reading.given.add((self._owner, str(config.slice.value)))

    def _named_by(self, node: ast.expr | None) -> None:
        """The argument that names an LLM: a text, or the name of one."""
        name = node.value if isinstance(node, ast.Constant) else None if node is None else self._meaning(node)
        if isinstance(name, str):
            self._reading.named(name, None)
        else:
            self._reading.known = False

    def _llm(self, node: ast.expr) -> None:
        """The argument that is an LLM or names one. What makes it is read where it stands."""
        made_here = isinstance(node, ast.Call) or (isinstance(node, ast.Name) and node.id in self._made_here)
        nothing = isinstance(node, ast.Constant) and node.value is None
        exists = not isinstance(node, ast.Constant) and not isinstance(self._meaning(node), str | type(None))
        if not (made_here or nothing or exists):
            self._named_by(node)


def _in_order(node: ast.AST) -> Iterator[ast.AST]:
    """The node and all inside it, in the order of the source; a function's decorators come after its body."""
    yield node
    for each in ast.iter_child_nodes(node):
        yield from _in_order(each)


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in {"self", "cls"}


def _is_read(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Load)


def _tree(function: FunctionType) -> ast.AST | None:
    """The function's source, read; ``None`` where there is none."""
    try:
        source = inspect.getsource(function)
        # A method's source is indented; its long texts need not be, so that it cannot simply be shifted.
        return ast.parse(f"if True:\n{source}" if source[:1].isspace() else source)
    except (OSError, SyntaxError):
        return None


def _names_in(function: FunctionType, tree: ast.AST) -> dict[str, Any]:
    """What names mean in the function: its module's, those around it, and what it imports itself."""
    names = dict(function.__globals__)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with suppress(ValueError):  # a cell that nothing was put into yet
            names[name] = cell.cell_contents
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and not node.level:
            module = sys.modules.get(node.module or "")
            names.update({each.asname or each.name: getattr(module, each.name, None) for each in node.names})
    return names
