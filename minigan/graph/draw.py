"""A recorded graph as text: SVG, laid out here, or DOT for Graphviz."""

from __future__ import annotations

import html
import itertools
from collections.abc import Sequence

from minigan.graph.layout import columns, rows, with_waypoints
from minigan.graph.record import Edge, Graph, Node

# In pixels.
COLUMN, BOX, LINE, GAP, MARGIN = 250, 215, 15, 42, 30
STUB = 18  # an arrow goes straight down at first: its label stands beside that
ENTRY = 290  # of the legend

INK, GREY, PALE, MOVED, CUT = "#1f2933", "#616e7c", "#9aa5b1", "#1769aa", "#c62828"
FILLS = {"data": "#fff7e0", "recorded": "#ffffff", "unrecorded": "#f3f4f6"}

LEGEND = (
    (INK, "", "function: gradients flow back through it"),
    (PALE, "4 3", "dashed: none do (no_grad, or nothing to learn)"),
    (CUT, "", "the cut: values pass, gradients do not"),
    (MOVED, "", "blue: a parameter that this step moves"),
)


def svg(graphs: Sequence[Graph]) -> str:
    """The graphs side by side as one SVG picture."""
    parts, x, height = [], MARGIN, 0
    for graph in graphs:
        drawing, w, h = _panel(graph)
        parts.append(f'<g transform="translate({x},{MARGIN + 50})">{drawing}</g>')
        parts.append(_text(x, MARGIN + 30, graph.title, size=18, weight="bold"))
        x, height = x + w + 2 * MARGIN, max(height, h)
    width = max(x - MARGIN, 2 * ENTRY + MARGIN)
    in_a_row = min(int((width - MARGIN) / ENTRY), len(LEGEND))
    y = height + MARGIN + 50 + 25
    legend = ""
    for i, entry in enumerate(LEGEND):
        line, place = divmod(i, in_a_row)
        legend += _legend(*entry, MARGIN + ENTRY * place, y + 22 * line)
    height = y + 22 * line + 25
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="Helvetica, Arial, sans-serif">'
        f'<rect width="100%" height="100%" fill="white"/>{_ARROWS}{"".join(parts)}{legend}</svg>\n'
    )


def dot(graphs: Sequence[Graph]) -> str:
    """The graphs as clusters of one digraph, in the language of Graphviz."""
    lines = ["digraph step {", '  node [shape=box, fontname="Helvetica", fontsize=10];',
             '  edge [fontname="Helvetica", fontsize=9];']  # fmt: skip
    for g, graph in enumerate(graphs):
        lines += [f"  subgraph cluster_{g} {{", f"    label={_quoted(graph.title)};"]
        for n, node in enumerate(graph.nodes):
            style = "solid" if node.is_recorded or node.is_data else "dashed"
            shape = "ellipse" if node.is_data else "box"
            label = "\n".join(text + ", moves" * moves for text, moves in _lines(node))
            lines.append(f"    n{g}_{n} [label={_quoted(label)}, shape={shape}, style={style}];")
        for edge in graph.edges:
            colour = ', color="red", fontcolor="red"' if edge.is_cut else ""
            label = _quoted(_edge_label(edge))
            lines.append(f"    n{g}_{edge.source} -> n{g}_{edge.target} [label={label}{colour}];")
        lines.append("  }")
    return "\n".join([*lines, "}", ""])


def _quoted(text: str) -> str:
    text = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{text}"'


def _lines(node: Node) -> list[tuple[str, bool]]:
    """What stands in a node's box, each line with whether it is a parameter that moves."""
    layer = [(node.layer, False)] if node.layer else []
    return [(node.title, False), *layer, *node.parameters]


def _edge_label(edge: Edge) -> str:
    return f"{edge.label}, cut" if edge.is_cut else edge.label


# SVG ------------------------------------------------------------------------------------------

_ARROWS = "<defs>" + "".join(
    f'<marker id="{name}" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" '
    f'orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="{colour}"/></marker>'
    for name, colour in (("arrow", INK), ("pale", PALE), ("cut", CUT))
) + "</defs>"  # fmt: skip


def _panel(graph: Graph) -> tuple[str, float, float]:
    """(the drawing, its width, its height) of one graph."""
    pairs = [(edge.source, edge.target) for edge in graph.edges]
    row, pieces, ways = with_waypoints(rows(len(graph.nodes), pairs), pairs)
    centre = [COLUMN * c + BOX / 2 for c in columns(row, pieces)]
    heights = [LINE * len(_lines(node)) + 12 for node in graph.nodes]
    tops, y = [], 0
    for r in range(max(row, default=-1) + 1):
        tops.append(y)
        y += max(h for h, at in zip(heights, row) if at == r) + GAP
    top = [tops[r] for r in row]
    # A waypoint is as high as the row, so that the line runs straight past the boxes.
    bottom = [t + h for t, h in zip(top, heights)]
    bottom += [([*tops, y][r + 1] - GAP) for r in row[len(heights) :]]
    arrows = [_arrow(graph, e, way, centre, top, bottom) for e, way in zip(graph.edges, ways)]
    # An array that goes to several functions gets one label, which says so if it is cut for one.
    labels = {
        edge.source: _label(graph, edge, centre[edge.source], bottom[edge.source])
        for edge in sorted(graph.edges, key=lambda edge: edge.is_cut)
    }
    boxes = [_box(node, x, t, h) for node, x, t, h in zip(graph.nodes, centre, top, heights)]
    width = max(centre, default=0) + BOX / 2
    return "".join([*arrows, *labels.values(), *boxes]), width, y - GAP


def _box(node: Node, centre: float, y: float, height: float) -> str:
    kind = "data" if node.is_data else "recorded" if node.is_recorded else "unrecorded"
    dashes = "" if node.is_recorded or node.is_data else ' stroke-dasharray="4 3"'
    colour = INK if node.is_recorded or node.is_data else PALE
    parts = [
        f'<rect x="{centre - BOX / 2:.1f}" y="{y}" width="{BOX}" height="{height}" rx="5" '
        f'fill="{FILLS[kind]}" stroke="{colour}"{dashes}/>'
    ]
    for i, (text, moves) in enumerate(_lines(node)):
        fill = MOVED if moves else INK if i == 0 else GREY
        weight = "bold" if i == 0 else "normal"
        parts.append(
            _text(centre, y + 17 + LINE * i, text, size=11, weight=weight, fill=fill,
                  anchor="middle")
        )  # fmt: skip
    return "".join(parts)


def _arrow(
    graph: Graph, edge: Edge, way: list[int],
    centre: list[float], top: list[int], bottom: list[int],
) -> str:  # fmt: skip
    """From the source's lower side over the waypoints to the target's upper one."""
    if edge.is_cut:
        colour, marker = CUT, "cut"
    elif graph.nodes[edge.target].is_recorded:
        colour, marker = INK, "arrow"
    else:
        colour, marker = PALE, "pale"
    path = f"M{centre[way[0]]:.1f},{bottom[way[0]]}"
    for a, b in itertools.pairwise(way):
        x0, y0, x1, y1 = centre[a], bottom[a] + STUB, centre[b], top[b]
        path += f" L{x0:.1f},{y0}"
        half = (y0 + y1) / 2
        path += f" C{x0:.1f},{half} {x1:.1f},{half} {x1:.1f},{y1}"
    return f'<path d="{path}" fill="none" stroke="{colour}" marker-end="url(#{marker})"/>'


def _label(graph: Graph, edge: Edge, x: float, y: float) -> str:
    fill = CUT if edge.is_cut else INK if graph.nodes[edge.target].is_recorded else GREY
    return _text(x + 6, y + STUB - 4, _edge_label(edge), size=11, fill=fill)


def _legend(colour: str, dashes: str, meaning: str, x: float, y: float) -> str:
    line = f'<line x1="{x}" y1="{y}" x2="{x + 26}" y2="{y}" stroke="{colour}" stroke-width="2" '
    return f'{line}stroke-dasharray="{dashes}"/>' + _text(x + 34, y + 4, meaning, size=11)


def _text(
    x: float, y: float, text: str, *, size: int, fill: str = INK, weight: str = "normal",
    anchor: str = "start",
) -> str:  # fmt: skip
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" fill="{fill}" '
        f'text-anchor="{anchor}">{html.escape(text)}</text>'
    )
