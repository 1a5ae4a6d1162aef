"""Where the nodes of a graph go: rows from top to bottom, every edge downwards.

The method of Sugiyama et al. 1981 in small.  A node stands as low as its users allow, so that equal
ways to the loss stand side by side; an edge over several rows gets a place in each, which keeps it
clear of the boxes; within a row all stand near the mean place of their neighbours.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

Pair = tuple[int, int]


def rows(count: int, edges: Sequence[Pair]) -> list[int]:
    """The row of each of the nodes 0 .. count-1, counted from the top, for edges without circles.

    >>> rows(5, [(0, 1), (1, 4), (2, 3), (3, 4)])
    [0, 1, 0, 1, 2]
    >>> rows(4, [(0, 1), (1, 3), (2, 3)])
    [0, 1, 1, 2]
    """
    below = [0] * count  # the longest way to a node without users
    for _ in range(count):
        before = list(below)
        for source, target in edges:
            below[source] = max(below[source], below[target] + 1)
        if below == before:
            break
    return [max(below, default=0) - b for b in below]


def with_waypoints(
    row: Sequence[int], edges: Sequence[Pair]
) -> tuple[list[int], list[Pair], list[list[int]]]:
    """A waypoint for each row that an edge passes.

    Returns the rows of the nodes and of the waypoints after them, the edges in pieces from row to
    row, and for each edge the nodes and waypoints on its way.

    >>> with_waypoints([0, 1, 2], [(0, 2), (1, 2)])
    ([0, 1, 2, 1], [(0, 3), (3, 2), (1, 2)], [[0, 3, 2], [1, 2]])
    """
    all_rows, pieces, ways = list(row), [], []
    for source, target in edges:
        waypoints = range(len(all_rows), len(all_rows) + row[target] - row[source] - 1)
        all_rows += range(row[source] + 1, row[target])
        way = [source, *waypoints, target]
        pieces += list(itertools.pairwise(way))
        ways.append(way)
    return all_rows, pieces, ways


def columns(row: Sequence[int], edges: Sequence[Pair]) -> list[float]:
    """The place of each node in its row, from 0; neighbours in a row are at least 1 apart.

    >>> columns([0, 0, 1], [(0, 2), (1, 2)])
    [0.0, 1.0, 0.5]
    """
    place = [0.0] * len(row)
    above: list[list[int]] = [[] for _ in row]
    below: list[list[int]] = [[] for _ in row]
    for source, target in edges:
        above[target].append(source)
        below[source].append(target)
    by_row = [[n for n in range(len(row)) if row[n] == r] for r in range(max(row, default=-1) + 1)]
    for nodes in by_row:
        for i, node in enumerate(nodes):
            place[node] = float(i)
    for _ in range(8):
        for nodes in by_row:
            _settle(nodes, above, place)
        for nodes in reversed(by_row):
            _settle(nodes, below, place)
    first = min(place, default=0.0)
    return [p - first for p in place]


def _settle(nodes: list[int], neighbours: list[list[int]], place: list[float]) -> None:
    """Bring the nodes of a row near the mean of their neighbours, in that order and 1 apart."""
    wish = {
        n: sum(place[m] for m in neighbours[n]) / len(neighbours[n]) if neighbours[n] else place[n]
        for n in nodes
    }
    nodes = sorted(nodes, key=wish.__getitem__)
    taken: list[float] = []
    for n in nodes:
        taken.append(max(wish[n], taken[-1] + 1) if taken else wish[n])
    # Those that had to give way all went to the right: the row moves back by the mean of that.
    shift = sum(t - wish[n] for t, n in zip(taken, nodes)) / max(len(nodes), 1)
    for n, t in zip(nodes, taken):
        place[n] = t - shift
