"""What the modules that are compiled must keep from, since mypyc makes something else of it than Python does."""

import ast
from collections.abc import Iterator

import pytest

from tests.packaging.tested import ROOT, compiled_modules

WAITS = (ast.Await, ast.AsyncWith, ast.AsyncFor, ast.Yield, ast.YieldFrom)
NESTED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


def waits_in_finally(source: str) -> list[int]:
    """The lines on which a coroutine or generator is left, to be resumed, inside a ``finally`` block."""
    return [
        node.lineno
        for block in ast.walk(ast.parse(source))
        if isinstance(block, ast.Try)
        for statement in block.finalbody
        for node in _own(statement)
        if isinstance(node, WAITS)
    ]


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
def test_no_finally_block_waits(module: str) -> None:
    """Compiled by mypyc 2.4, it does not put back the exception state; the next one raises what was handled before.

    A fallback that succeeded then failed with its predecessor's error. Put the work into ``async with``, whose exit may
    wait, or into ``except BaseException`` and again after the block.
    """
    lines = waits_in_finally((ROOT / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8"))
    assert lines == []


@pytest.mark.parametrize("module", compiled_modules())
def test_no_struct_is_defined(module: str) -> None:
    """To decode, msgspec reads a struct's annotations; of a compiled class they are gone."""
    assert structs((ROOT / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")) == []


def test_a_finally_block_that_waits_is_seen_wherever_it_is() -> None:
    source = """
async def once():
    try:
        await first()
    finally:
        try:
            async with second():
                pass
        finally:
            if third:
                await fourth()
        def later():
            yield
"""
    assert waits_in_finally(source) == [7, 11, 11]


def test_a_struct_is_known_by_its_base() -> None:
    source = "class A(msgspec.Struct, frozen=True): ...\nclass B(Struct): ...\nclass C(Plain): ..."
    assert structs(source) == ["A", "B"]
