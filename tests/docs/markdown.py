"""The repository's pages, read as far as tests ask: blocks of code, tables, links, headings, words in code type."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_FOLDERS = ("docs", "examples", "deploy", "bench")
_FENCE = re.compile(r"^```(\w*)$(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")
_HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
_RULE = re.compile(r"^\|[-| :]+\|$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One fenced block of code; ``language`` is the word after the fence."""

    language: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table; every row has a cell for each column."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def column(self, name: str) -> list[str]:
        """The cells under ``name``, from the top."""
        return [row[self.columns.index(name)] for row in self.rows]


@dataclass(frozen=True, slots=True)
class Page:
    """One Markdown file, by its path from the repository's root."""

    path: str

    @property
    def text(self) -> str:
        """All of it."""
        return (ROOT / self.path).read_text(encoding="utf-8")

    @property
    def prose(self) -> str:
        """All but the blocks of code."""
        return _FENCE.sub("", self.text)

    def blocks(self, language: str) -> list[Block]:
        """The blocks of code in ``language``."""
        found = (Block(language=match[1], text=match[2]) for match in _FENCE.finditer(self.text))
        return [block for block in found if block.language == language]

    def links(self) -> list[str]:
        """The targets of all links, as they are written."""
        return _LINK.findall(self.prose)

    def codes(self) -> list[str]:
        """What stands in code type outside of blocks."""
        return _CODE.findall(self.prose)

    def anchors(self) -> set[str]:
        """What links can point at in this page: its headings, as GitHub makes anchors of them."""
        titles = (match[2] for match in _HEADING.finditer(self.prose))
        return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}

    def section(self, title: str) -> str:
        """The prose under a heading, up to the next one of its level or above."""
        headings = list(_HEADING.finditer(self.prose))
        [start] = [match for match in headings if match[2] == title]
        ends = (match.start() for match in headings if match.start() > start.start() and len(match[1]) <= len(start[1]))
        return self.prose[start.end() : next(ends, None)]


def pages() -> list[Page]:
    """Every Markdown file that belongs to the repository."""
    files = [*ROOT.glob("*.md"), *(file for folder in _FOLDERS for file in (ROOT / folder).rglob("*.md"))]
    return [Page(str(file.relative_to(ROOT))) for file in sorted(files)]


def tables(text: str) -> Iterator[Table]:
    """The tables in ``text``."""
    lines = text.splitlines()
    for number, line in enumerate(lines[1:], start=1):
        if not _RULE.match(line) or not lines[number - 1].startswith("|"):
            continue
        rows = []
        for row in lines[number + 1 :]:
            if not row.startswith("|"):
                break
            rows.append(_cells(row))
        yield Table(columns=_cells(lines[number - 1]), rows=tuple(rows))


def code_in(cell: str) -> list[str]:
    """What stands in code type in a table's cell."""
    return _CODE.findall(cell)


def _cells(line: str) -> tuple[str, ...]:
    return tuple(cell.strip() for cell in line.strip().strip("|").split("|"))
