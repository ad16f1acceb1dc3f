"""What pages say can be followed: links lead somewhere, examples load, commands are understood, files are there."""

import argparse
import ast
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import deploy.cli
import gateway.cli
import orchestrator.cli
from tests.docs.markdown import ROOT, Page, pages
from tiers.load import load
from tiers.source import read

PARSERS = {
    "tiergate-gateway": gateway.cli._parser,
    "tiergate-orchestrator": orchestrator.cli.build_parser,
    "tiergate-deploy": deploy.cli.parser,
}
OUR_FOLDERS = ("gateway", "orchestrator", "tiers", "deploy", "tests", "examples", "locks", "docs", "bench", ".ci")
OTHER_PROGRAMS_OPTIONS = {
    "--require-hashes", "--strict", "--help", "--version", "--test_input", "--rp_serve_api", "--rp_log_level",
}  # fmt: skip
_PATH = re.compile(rf"(?:{'|'.join(map(re.escape, OUR_FOLDERS))})/[\w./-]*(?:::\w+)?")
_ENDS_A_COMMAND = {"|", ">", ">>", "<", "&&", "||", ";", "&", "\n"}
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")

ANY_TIER = {"endpoints": [{"url": "http://127.0.0.1:9100/v1"}], "gpu": "A100 80GB", "context": 4096, "slots": 1}
BASE_MAP: dict[str, Any] = {
    "version": 1,
    "tiers": {name: {"model": f"any/{name}", **ANY_TIER} for name in ("routing", "reasoning", "external")},
    "keys": [{"name": "demo", "key": "env:TIERGATE_DEMO_KEY"}],
}
"""What an excerpt of a tier map is completed with."""

every_page = pytest.mark.parametrize("page", pages(), ids=lambda page: page.path)


@every_page
def test_every_relative_link_leads_somewhere(page: Page) -> None:
    for target in page.links():
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / page.path).parent.joinpath(path).resolve() if path else ROOT / page.path
        assert file.exists(), f"{page.path} links to {target}, which is not there"
        if anchor:
            assert anchor in Page(str(file.relative_to(ROOT))).anchors(), f"{target} names no heading of its page"


def test_every_page_of_the_documentation_is_on_the_map() -> None:
    index = Page("docs/index.md")
    linked = {(ROOT / "docs" / target).resolve() for target in index.links()}
    missing = [page.path for page in pages() if page.path.startswith("docs/") and (ROOT / page.path) not in linked]
    assert missing == [index.path]


@every_page
def test_every_tier_map_in_a_page_loads(page: Page) -> None:
    for block in page.blocks("yaml"):
        data = read(block.text, file=page.path).data
        assert isinstance(data, dict), f"{page.path}: no mapping in {block.text!r}"
        if set(data) <= {"version", "store", "tiers", "fleet", "routes", "budgets", "limits", "keys"}:
            tiers = BASE_MAP["tiers"] | yaml.safe_load(block.text).get("tiers", {})
            completed = BASE_MAP | yaml.safe_load(block.text) | {"tiers": tiers}
            load(json.dumps(completed), file=page.path)


@pytest.mark.parametrize("file", sorted((ROOT / "examples" / "tiers").glob("*.yaml")), ids=lambda file: file.name)
def test_every_example_tier_map_loads_and_tells_editors_its_schema(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    load(text, file=file.name)
    named = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)
    assert named is not None
    assert file.parent.joinpath(named[1]).resolve() == ROOT / "tiers" / "tiers.schema.json"


@every_page
def test_every_command_in_a_block_is_understood(page: Page) -> None:
    for block in page.blocks("sh"):
        for words in _commands(block.text):
            if words[0] in PARSERS:
                assert _understood(words), f"{page.path}: {shlex.join(words)}"
            elif words[0] == "make":
                targets = [word for word in words[1:] if "=" not in word]
                assert set(targets) <= _make_targets(), f"{page.path}: {shlex.join(words)}"


@every_page
def test_every_command_in_prose_exists(page: Page) -> None:
    for code in page.codes():
        program, _, rest = code.partition(" ")
        command = rest.partition(" ")[0]
        if program in PARSERS and command and not command.startswith("-"):
            assert command in _subcommands(PARSERS[program]()), f"{page.path}: {code}"
        if program == "make" and command and "=" not in command:
            assert command in _make_targets(), f"{page.path}: {code}"


@every_page
def test_every_option_in_prose_exists(page: Page) -> None:
    import deploy.local.engine  # noqa: PLC0415 - only this test needs it

    parsers = [deploy.local.engine.parser(), *(make() for make in PARSERS.values())]
    known = {option for parser in parsers for option in all_options(parser)} | OTHER_PROGRAMS_OPTIONS
    named = {option for code in page.codes() for option in re.findall(r"(?<!\S)--[a-z][a-z_-]+", code)}
    assert named <= known


@every_page
def test_every_json_block_is_json(page: Page) -> None:
    for block in page.blocks("json"):
        json.loads(block.text)


@every_page
def test_every_python_block_compiles_and_imports_what_is_there(page: Page) -> None:
    for block in page.blocks("python"):
        for node in ast.walk(ast.parse(block.text)):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in OUR_FOLDERS:
                package = ROOT / node.module.replace(".", "/")
                file = package / "__init__.py" if package.is_dir() else package.with_suffix(".py")
                assert {alias.name for alias in node.names} <= _defined_in(file), f"{page.path}: {node.module}"


@every_page
def test_every_file_and_test_that_is_named_is_there(page: Page) -> None:
    for code in page.codes():
        if not _PATH.fullmatch(code):
            continue
        path, _, test = code.partition("::")
        assert (ROOT / path).exists(), f"{page.path} names {path}, which is not there"
        if test:
            assert test in _defined_in(ROOT / path), f"{page.path} names {test}, which is not in {path}"


def test_decisions_are_numbered_in_a_row_and_have_one_form() -> None:
    files = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [int(file.name[:4]) for file in files] == list(range(1, len(files) + 1))
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert text.startswith(f"# {file.name[:4]}: ")
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequence", "Enforced by"]


def all_options(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Every long option of a command line and of its commands."""
    for action in parser._actions:
        yield from (option for option in action.option_strings if option.startswith("--"))
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from all_options(command)


def _subcommands(parser: argparse.ArgumentParser) -> set[str]:
    return {
        name for action in parser._actions if isinstance(action, argparse._SubParsersAction) for name in action.choices
    }


def _commands(text: str) -> Iterator[list[str]]:
    """The commands of a shell block as words, without assignments before them and redirections after them."""
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words: list[str] = []
        for word in [*lexer, "\n"]:
            if word not in _ENDS_A_COMMAND:
                words.append(word)
                continue
            while words and _ASSIGNMENT.match(words[0]):
                words.pop(0)
            if words:
                yield words
            words = []


def _understood(words: list[str]) -> bool:
    try:
        PARSERS[words[0]]().parse_args(words[1:])
    except SystemExit:
        return False
    return True


def _make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def _defined_in(file: Path) -> set[str]:
    """The names that a module defines at its top level, or hands out by ``__all__``."""
    names: set[str] = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
            if "__all__" in names and isinstance(node.value, ast.List):
                names |= {str(ast.literal_eval(name)) for name in node.value.elts}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return names
