"""YAML text → plain data, with the line and column of every value and key.

Only YAML's plain part is read, as YAML 1.2 understands it: mappings with text keys, lists, text, whole and
decimal numbers (as exact ``Decimal``), ``true``, ``false``, ``null``, and aliases of whole values. ``yes``,
``on`` and dates are text. Everything has a bound, so no text can make this run long or deep.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import yaml

from tiers.paths import Path, field_name
from tiers.problems import Problem, quoted

TEXT_BYTES_MAX = 1_048_576
DEPTH_MAX = 32
ALIASES_MAX = 100
NODES_MAX = 100_000

_TAGGED = ("tags (!name) are not read", "write the plain value")
_TAG = "tag:yaml.org,2002:"
_NULL = re.compile(r"(?:~|null|Null|NULL|)\Z")
_BOOL = re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z")
_INT = re.compile(r"[-+]?[0-9]{1,18}\Z", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]{1,18}|[0-9]{1,18}\.[0-9]{0,18})\Z", re.ASCII)
_MERGE = re.compile(r"<<\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A place in the text; both count from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The document's plain data and where each part of it stands."""

    data: Any
    """The whole document, or ``None`` where the text could not be read at all."""
    values: Mapping[Path, Position]
    keys: Mapping[Path, Position]
    problems: tuple[Problem, ...]
    """What is wrong with the text itself; what could be read in spite of it is in ``data``."""

    def position(self, path: Path) -> Position:
        """Where the key stands, or the value where it has none; for a missing part, where it is missing from."""
        while path and path not in self.values and path not in self.keys:
            path = path[:-1]
        return self.keys.get(path) or self.values.get(path) or Position(line=1, column=1)


def read(text: str | bytes, *, file: str) -> Source:
    """Read YAML text; never raises for what the text holds. ``file`` is only what problems call it."""
    reader = _Reader(file=file)
    try:
        return Source(data=reader.data(text), values=reader.values, keys=reader.keys, problems=tuple(reader.problems))
    except _UnreadableError as error:
        problem = reader.problem(error.position, (), error.message, error.remedy)
        return Source(data=None, values={}, keys={}, problems=(*reader.problems, problem))


class _UnreadableError(Exception):
    def __init__(self, position: Position, message: str, remedy: str) -> None:
        super().__init__(message)
        self.position = position
        self.message = message
        self.remedy = remedy


class _Loader(yaml.SafeLoader):
    """PyYAML's safe composer with YAML 1.2's plain types and bounds on depth and aliases."""

    yaml_implicit_resolvers: Any = {  # noqa: RUF012 - PyYAML's way to say what plain values mean
        None: [
            (_TAG + "null", _NULL),
            (_TAG + "bool", _BOOL),
            (_TAG + "int", _INT),
            (_TAG + "float", _FLOAT),
            (_TAG + "merge", _MERGE),
        ]
    }

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth = 0
        self._aliases = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        if self.check_event(yaml.AliasEvent):
            self._aliases += 1
            if self._aliases > ALIASES_MAX:
                raise _UnreadableError(
                    _position(mark), f"more than {ALIASES_MAX} aliases (*name)", "write the values out"
                )
        if self._depth == DEPTH_MAX:
            raise _too_deep(_position(mark))
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1


@dataclass(slots=True, kw_only=True)
class _Reader:
    file: str
    values: dict[Path, Position] = field(default_factory=dict)
    keys: dict[Path, Position] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def data(self, text: str | bytes) -> Any:  # noqa: ANN401 - YAML's plain data has no narrower type
        node = _compose(_decoded(text))
        if node is None:
            raise _UnreadableError(
                Position(line=1, column=1), "the file is empty", "start with `version: 1`, then `tiers:`"
            )
        return self._plain(node, ())

    def problem(self, position: Position, path: Path, message: str, remedy: str) -> Problem:
        return Problem(
            file=self.file,
            line=position.line,
            column=position.column,
            field=field_name(path),
            message=message,
            remedy=remedy,
        )

    def _plain(self, node: yaml.Node, path: Path) -> Any:  # noqa: ANN401 - as above
        position = _position(node.start_mark)
        self.values[path] = position
        if len(self.values) > NODES_MAX:
            raise _UnreadableError(position, f"more than {NODES_MAX} values", "split the map, or use fewer aliases")
        if len(path) > DEPTH_MAX:
            raise _too_deep(position)
        if not isinstance(node, yaml.ScalarNode) and node.tag not in {_TAG + "map", _TAG + "seq"}:
            self._add(position, path, *_TAGGED)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._plain(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        plain: dict[str, Any] = {}
        for key_node, value_node in node.value:
            position = _position(key_node.start_mark)
            if key_node.tag != _TAG + "str":
                message, remedy = "a key must be text", 'put the key in quotes, such as "1": …'
                if key_node.tag == _TAG + "merge":
                    message, remedy = "merge keys (<<) are not read", "write the shared fields out"
                self.problems.append(self.problem(position, path, message, remedy))
                continue
            key = self._scalar(key_node, path)
            if key in plain:
                first = self.keys[*path, key]
                self._add(
                    position,
                    (*path, key),
                    f"the key {quoted(key)} is there twice",
                    f"keep one; the first is in line {first.line}",
                )
                continue
            self.keys[*path, key] = position
            plain[key] = self._plain(value_node, (*path, key))
        return plain

    def _scalar(self, node: yaml.Node, path: Path) -> Any:  # noqa: ANN401 - as above
        text: str = node.value
        match node.tag.removeprefix(_TAG):
            case "str" | "merge":
                return self._text(node, path)
            case "null":
                return None
            case "bool" if _BOOL.match(text):
                return text.lower() == "true"
            case "int" if _INT.match(text):
                return int(text)
            case "float" if _FLOAT.match(text):
                return Decimal(text)
            case _:
                self._add(_position(node.start_mark), path, *_TAGGED)
                return None

    def _text(self, node: yaml.Node, path: Path) -> str:
        text: str = node.value
        if any("\ud800" <= character <= "\udfff" for character in text):
            self._add(
                _position(node.start_mark),
                path,
                "half of a surrogate pair",
                "write the character itself",
            )
            return text.encode("utf-8", "replace").decode()
        return text

    def _add(self, position: Position, path: Path, message: str, remedy: str) -> None:
        self.problems.append(self.problem(position, path, message, remedy))


def _decoded(text: str | bytes) -> str:
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as error:
            before = error.object[: error.start].decode("utf-8")
            raise _UnreadableError(
                _position_at(before, len(before)), "this byte is not UTF-8", "save the file as UTF-8"
            ) from None
    if len(text) > TEXT_BYTES_MAX:
        raise _UnreadableError(
            Position(line=1, column=1),
            f"the file is longer than {TEXT_BYTES_MAX} bytes",
            "split the tier map",
        )
    return text.removeprefix("\ufeff")


def _compose(text: str) -> yaml.Node | None:
    try:
        loader = _Loader(text)
    except yaml.reader.ReaderError as error:
        position = _position_at(text, error.position)
        raise _UnreadableError(position, "this character is not allowed in YAML", "take it out") from None
    try:
        return loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark or loader.get_mark()
        message, remedy = _complaint(error)
        raise _UnreadableError(_position(mark), f"not YAML: {message}", remedy) from None
    except (OverflowError, ValueError):
        # PyYAML lets these through for escapes and version numbers beyond every range.
        raise _UnreadableError(
            _position(loader.get_mark()), "not YAML: a number or escape is out of range", "write it in full"
        ) from None


def _complaint(error: yaml.MarkedYAMLError) -> tuple[str, str]:
    problem = error.problem or "cannot be read"
    if "\\t" in problem:
        return "a tab", "indent with spaces, never with tabs"
    if "undefined alias" in problem:
        # The name stays out: it may be a secret that happens to start with a star.
        return "an alias (*name) without its anchor (&name)", "put text that starts with * in quotes"
    if "another document" in problem:
        return "a second document", "a tier map is one document: take out the second `---`"
    return (
        problem,
        "check indentation, colons and brackets here and in the line before; quote text with `: ` or ` #`",
    )


def _too_deep(position: Position) -> _UnreadableError:
    return _UnreadableError(position, f"nested deeper than {DEPTH_MAX} levels", "a tier map needs fewer than ten")


def _position(mark: Any) -> Position:  # noqa: ANN401 - PyYAML's Mark has no types
    return Position(line=mark.line + 1, column=mark.column + 1)


def _position_at(text: str, index: int) -> Position:
    before = text[:index]
    return Position(line=before.count("\n") + 1, column=index - (before.rfind("\n") + 1) + 1)
