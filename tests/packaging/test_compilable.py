"""What the modules that are compiled must keep from, since mypyc makes something else of it than Python does."""

import ast
from collections.abc import Iterator

import pytest

from tests.packaging.tested import ROOT, compiled_modules

WAITS = (ast.Await, ast.AsyncWith, ast.AsyncFor, ast.Yield, ast.YieldFrom)
END_AT_ONCE = ("asyncio.timeout", "self._writing")
"""What ``async with`` may be used with, since it never waits at its end: a deadline, and the record store's lock."""
NESTED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


def waits_while_handling(source: str) -> list[int]:
    """The lines on which a coroutine or generator may be left, to be resumed, while it handles an exception.

    That is in ``except`` and ``finally`` blocks, and at the end of ``async with`` but for ``END_AT_ONCE``.
    """
    tree = ast.parse(source)
    blocks = [block for node in ast.walk(tree) for block in _handling(node)]
    lines = {node.lineno for block in blocks for part in block for node in _own(part) if isinstance(node, WAITS)}
    scopes = [node for node in ast.walk(tree) if isinstance(node, ast.AsyncWith)]
    lines |= {
        scope.lineno
        for scope in scopes
        if not all(ast.unparse(item.context_expr).startswith(END_AT_ONCE) for item in scope.items)
    }
    return sorted(lines)


def _handling(node: ast.AST) -> list[list[ast.stmt]]:
    if isinstance(node, ast.Try):
        return [node.finalbody]
    return [node.body] if isinstance(node, ast.ExceptHandler) else []


def structs(source: str) -> list[str]:
    """The classes that are msgspec structs by one of their bases."""
    return [
        node.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base).endswith("Struct") for base in node.bases)
    ]


def _own(node: ast.AST) -> Iterator[ast.AST]:
    """``node`` and what is in it, but not what belongs to a function or class defined there."""
    if not isinstance(node, NESTED):
        yield node
        for child in ast.iter_child_nodes(node):
            yield from _own(child)


@pytest.mark.parametrize("module", compiled_modules())
def test_nothing_waits_while_it_handles_an_exception(module: str) -> None:
    """A coroutine that mypyc 2.4 compiled does not keep the exception it handles while others run.

    A fallback that succeeded then failed with its predecessor's error, and a client that left could crash the process.
    Keep the exception in a variable, leave the block, wait, and raise it then.
    """
    lines = waits_while_handling((ROOT / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8"))
    assert lines == []


@pytest.mark.parametrize("module", compiled_modules())
def test_no_struct_is_defined(module: str) -> None:
    """To decode, msgspec reads a struct's annotations; of a compiled class they are gone."""
    assert structs((ROOT / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")) == []


def test_whatever_waits_while_it_handles_is_seen() -> None:
    source = """
async def once():
    try:
        async with asyncio.timeout(1):
            await first()
    except KeyError:
        if second:
            await third()
    finally:
        async with fourth:
            pass
        def later():
            yield
    async with fifth:
        pass
"""
    assert waits_while_handling(source) == [8, 10, 14]


def test_a_struct_is_known_by_its_base() -> None:
    source = "class A(msgspec.Struct, frozen=True): ...\nclass B(Struct): ...\nclass C(Plain): ..."
    assert structs(source) == ["A", "B"]


def final_numbers(source: str) -> list[str]:
    """The names that are ``Final`` and a tuple of nothing but numbers."""
    return [
        ast.unparse(node.target)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.AnnAssign)
        and ast.unparse(node.annotation).startswith("Final")
        and isinstance(node.value, ast.Tuple)
        and all(isinstance(one, ast.Constant) and isinstance(one.value, int | float) for one in node.value.elts)
    ]


@pytest.mark.parametrize("module", compiled_modules())
def test_no_tuple_of_numbers_is_final(module: str) -> None:
    """One that mypyc 2.4 compiled is not set when it is read."""
    assert final_numbers((ROOT / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")) == []


def test_final_tuples_of_numbers_are_found() -> None:
    """Beside others."""
    source = 'A: Final = (1, 2.5)\nB: Final = (b"", 1)\nC = (1, 2)\nD: Final[tuple[int, int]] = (1, 2)\nE: Final = 1'
    assert final_numbers(source) == ["A", "D"]
