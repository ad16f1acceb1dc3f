"""Drawings of a Flow's graph.

drawing  which of them: the one way in
text     lines for a terminal
mermaid  for Markdown
dot      for Graphviz
html     a page by itself: what layout places, drawn as SVG, and a table
layout   where steps and edges are on a page
wording  what all of them say of a step or an edge
"""
