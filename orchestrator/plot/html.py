"""A graph as a page by itself: an SVG drawing and a table. It loads nothing."""

from collections.abc import Iterator
from html import escape
from itertools import pairwise
from typing import Final

from orchestrator.graph import Edge, Graph, Step, StepKind
from orchestrator.plot.layout import Layout, Place, laid_out
from orchestrator.plot.wording import edge_words, step_words

_WIDTH, _HEIGHT, _BOX_WIDTH, _BOX_HEIGHT = 240, 120, 200, 56
_MARGIN: Final = 60
_LETTERS_MAX: Final = 30
"""Of a line in a box; the table has all of it."""

_PAGE: Final = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --line: #8a939d; --tier: #0b63b0; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --ink: #e6e9ec; --paper: #16191d; --line: #79828c; --tier: #7ab8f5; }} }}
body {{ font: 15px/1.4 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 2rem; }}
svg {{ max-width: 100%; height: auto; }}
svg text {{ font: 14px system-ui, sans-serif; fill: var(--ink); text-anchor: middle; }}
svg .tier {{ font-size: 12px; fill: var(--tier); }}
svg .label {{ font-size: 12px; stroke: var(--paper); stroke-width: 5px; paint-order: stroke; }}
.step, .edge {{ fill: none; stroke: var(--line); stroke-width: 1.5px; }}
.step {{ fill: var(--paper); }}
.edge.undeclared {{ stroke-dasharray: 4 4; }}
#tip path {{ fill: var(--line); }}
table {{ border-collapse: collapse; margin-top: 2rem; }}
th, td {{ text-align: left; padding: .3rem 1rem .3rem 0; border-bottom: 1px solid var(--line); }}
</style>
</head>
<body>
<h1>{title}</h1>
{drawing}
<table>
<thead><tr><th>step</th><th>kind</th><th>tiers</th><th>waits for</th><th>asks a person</th></tr></thead>
<tbody>
{table}
</tbody>
</table>
</body>
</html>
"""


def as_html(graph: Graph) -> str:
    """A whole page."""
    rows = "\n".join(_row(step) for step in graph.steps)
    return _PAGE.format(title=escape(graph.flow), drawing=_drawing(graph, laid_out(graph)), table=rows)


def _row(step: Step) -> str:
    cells = (step.name, step.kind.value, str(step.tiers), step.condition, step.asks or "")
    return "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"


def _drawing(graph: Graph, layout: Layout) -> str:
    width, height = layout.columns * _WIDTH + 2 * _MARGIN, layout.rows * _HEIGHT
    # Steps are drawn over the edges' ends, and labels over both.
    ways = [(edge, _points(edge, layout.ways[edge])) for edge in graph.edges]
    parts = [
        *(_line(edge, points) for edge, points in ways),
        *(part for step in graph.steps for part in _box(step, layout.steps[step.name])),
        *(_label(edge, points) for edge, points in ways if _words(edge)),
    ]
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" role="img" aria-label="{escape(graph.flow)}">\n'
        '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
        'orient="auto-start-reverse"><path d="M0 0L10 5L0 10z"/></marker></defs>\n' + "\n".join(parts) + "\n</svg>"
    )


def _middle(place: Place) -> tuple[float, float]:
    column, row = place
    return _MARGIN + (column + 0.5) * _WIDTH, (row + 0.5) * _HEIGHT


def _points(edge: Edge, way: tuple[Place, ...]) -> list[tuple[float, float]]:
    """Where the edge is, from the bottom of a step to the top of another; one that leads back goes round."""
    middles = [_middle(place) for place in way]
    (left, top), (right, bottom) = middles[0], middles[-1]
    if edge.back:
        aside = max(left, right) + _BOX_WIDTH / 2
        return [(left + _BOX_WIDTH / 2, top), (aside + 40, top), (aside + 40, bottom), (right + _BOX_WIDTH / 2, bottom)]
    return [(left, top + _BOX_HEIGHT / 2), *middles[1:-1], (right, bottom - _BOX_HEIGHT / 2)]


def _line(edge: Edge, points: list[tuple[float, float]]) -> str:
    kind = "edge" if edge.declared else "edge undeclared"
    drawn = f"M{_at(points[0])}"
    if edge.back:
        drawn += "".join(f"L{_at(point)}" for point in points[1:])
    else:
        for (x1, y1), (x2, y2) in pairwise(points):
            half = (y1 + y2) / 2
            drawn += f"C{_at((x1, half))} {_at((x2, half))} {_at((x2, y2))}"
    return f'<path class="{kind}" d="{drawn}" marker-end="url(#tip)"/>'


def _box(step: Step, place: Place) -> Iterator[str]:
    x, y = _middle(place)
    left, top = x - _BOX_WIDTH / 2, y - _BOX_HEIGHT / 2
    if step.kind is StepKind.ROUTER:
        right, bottom = x + _BOX_WIDTH / 2, y + _BOX_HEIGHT / 2
        ends = ((left, y), (left + 20, top), (right - 20, top), (right, y), (right - 20, bottom), (left + 20, bottom))
        yield f'<path class="step" d="M{"L".join(_at(end) for end in ends)}Z"/>'
    else:
        radius = _BOX_HEIGHT / 2 if step.starts else 6
        yield (
            f'<rect class="step" x="{left:g}" y="{top:g}" width="{_BOX_WIDTH}" height="{_BOX_HEIGHT}" rx="{radius:g}"/>'
        )
    lines = [step.name, *step_words(step)]
    for number, words in enumerate(lines):
        style = ' class="tier"' if number else ""
        down = y + 5 + 16 * (number - (len(lines) - 1) / 2)
        yield f'<text{style} x="{x:g}" y="{down:g}">{escape(_short(words))}</text>'


def _label(edge: Edge, points: list[tuple[float, float]]) -> str:
    """Near the end of the edge, where a router's branches are apart already."""
    (x1, y1), (x2, y2) = points[-2:] if not edge.back else points[1:3]
    share = 0.5 if edge.back else 0.7
    x, y = x1 + (x2 - x1) * share, y1 + (y2 - y1) * share
    return f'<text class="label" x="{x:g}" y="{y:g}">{escape(_short(_words(edge)))}</text>'


def _words(edge: Edge) -> str:
    return " ".join(filter(None, (edge_words(edge), "and" if edge.joined else "")))


def _short(words: str) -> str:
    plain = " ".join(words.split())
    return plain if len(plain) <= _LETTERS_MAX else f"{plain[: _LETTERS_MAX - 1]}…"


def _at(point: tuple[float, float]) -> str:
    return f"{point[0]:g} {point[1]:g}"
