"""A graph as a page by itself."""

import re
from xml.etree import ElementTree as ET

from orchestrator.plot.html import as_html
from tests.orchestrator.plot.graphs import EVERYTHING

PAGE = as_html(EVERYTHING)
SVG = ET.fromstring(PAGE[PAGE.index("<svg") : PAGE.index("</svg>") + len("</svg>")])


def test_it_loads_nothing_and_runs_nothing() -> None:
    assert re.findall(r"https?:|src=|@import|url\((?!#)|<script|<link", PAGE) == []


def test_every_step_and_every_edge_is_drawn_inside_the_picture() -> None:
    texts = [text.text for text in SVG.iter("text")]
    assert {step.name for step in EVERYTHING.steps} <= set(texts)
    assert {"routing", "code, ?", "again ↺", "good?", "and"} <= set(texts)
    assert len([path for path in SVG.iter("path") if "edge" in path.get("class", "")]) == len(EVERYTHING.edges)
    left, top, width, height = map(float, SVG.get("viewBox", "").split())
    for path in SVG.iter("path"):
        if path.get("class"):
            numbers = [float(number) for number in re.findall(r"-?[\d.]+", path.get("d", ""))]
            assert all(left <= x <= width for x in numbers[::2])
            assert all(top <= y <= height for y in numbers[1::2])


def test_what_is_too_long_for_a_box_is_whole_in_the_table_and_escaped() -> None:
    assert ">asks a person: Is &quot;this&quot; &lt;fit…</text>" in PAGE
    assert "<td>Is &quot;this&quot; &lt;fit&gt; to print?</td>" in PAGE
