"""The graph of a step: what is in it, where the cut is, and that it can be drawn."""

import itertools
import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest
import tiny
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from minigan import MiniganError, backends, graph, nn, objectives, optim, rand, randn, recipes
from minigan.autograd import Function, Tensor
from minigan.cli import program
from minigan.graph.layout import columns, rows, with_waypoints
from minigan.train.labels import one_hot
from minigan.train.setup import build_game, data_classes, data_shape
from minigan.train.step import Game, play_step


def small_game(updates="alternate"):
    backends.manual_seed(0)
    G = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2), nn.Tanh())
    D = nn.Sequential(nn.Linear(2, 4), nn.LeakyReLU(0.2), nn.Dropout(0.5), nn.Linear(4, 1))
    return Game(
        G, D, optim.SGD(G.parameters(), lr=0.1), optim.SGD(D.parameters(), lr=0.1),
        objectives.build("non-saturating"), lambda n: randn(n, 3), updates,
    )  # fmt: skip


def moved(step):
    """(layer, whether it moves) of all parameters."""
    return {(node.layer, moves) for node in step.nodes for _, moves in node.parameters}


def test_each_player_moves_its_own_parameters():
    d_step, g_step = graph.record(small_game(), rand(6, 2))
    assert (d_step.title, g_step.title) == ("(1) Update D", "(2) Update G")
    assert moved(d_step) == {("G.0", False), ("G.2", False), ("D.0", True), ("D.3", True)}
    assert moved(g_step) == {("G.0", True), ("G.2", True), ("D.0", False), ("D.3", False)}


def test_the_cut_is_between_the_fakes_and_d():
    d_step, g_step = graph.record(small_game(), rand(6, 2))
    (cut,) = [edge for edge in d_step.edges if edge.is_cut]
    source, target = d_step.nodes[cut.source], d_step.nodes[cut.target]
    assert (source.title, source.layer) == ("Tanh", "G.3")
    assert (target.title, target.layer) == ("Linear + LeakyReLU 0.2", "D.0")
    assert cut.label == "(6, 2) float32"
    assert (source.is_under_no_grad, source.is_recorded, target.is_recorded) == (True, False, True)
    assert not [edge for edge in g_step.edges if edge.is_cut]


def test_a_detached_value_is_cut_too():
    game = small_game()

    class Detaching(nn.Module):
        def __init__(self, inner):
            self.inner = inner

        def forward(self, x):
            return self.inner(x).detach() + 0.0 * self.inner(x)

    game.G = Detaching(game.G)
    _, g_step = graph.record(game, rand(6, 2))
    (cut,) = [edge for edge in g_step.edges if edge.is_cut]
    assert g_step.nodes[cut.source].layer == "G.inner.3"
    assert g_step.nodes[cut.target].title == "Add"


def test_data_have_names():
    d_step, g_step = graph.record(small_game(), rand(6, 2))
    names = [sorted(node.title for node in step.nodes if node.is_data) for step in (d_step, g_step)]
    assert names == [["dropout mask", "dropout mask", "noise z", "real images x"],
                     ["dropout mask", "noise z"]]  # fmt: skip


def ends(step):
    """Titles of the nodes that nobody uses."""
    used = {edge.source for edge in step.edges}
    return [node.title for n, node in enumerate(step.nodes) if n not in used]


def test_losses_have_names_and_targets_are_told():
    d_step, g_step = graph.record(small_game(), rand(6, 2))
    assert (ends(d_step), ends(g_step)) == (["d_loss = Add"], ["g_loss = Mean"])
    real, fake = "BCEWithLogits, target 1 (real)", "BCEWithLogits, target 0 (fake)"
    titles = [[n.title for n in step.nodes if "BCE" in n.title] for step in (d_step, g_step)]
    assert titles == [[real, fake], [real]]
    (step,) = graph.record(small_game("simultaneous"), rand(6, 2))
    assert ends(step) == ["d_loss = Add", "g_loss = Mean"]


def test_a_penalty_is_told_from_d():
    recipe = tiny.narrow("wgan-gp")
    backends.manual_seed(0)
    shape = data_shape(recipe)
    step, _ = graph.record(build_game(recipe, shape), rand(2, *shape))
    assert sorted(ends(step)) == ["Sum", "d_loss = Add"]  # of the sum a gradient is taken
    data = [node.title for node in step.nodes if node.is_data]
    assert sorted(data) == ["noise z", "real images x", "x̂, where the penalty looks"]
    layers = [node.layer for node in step.nodes]
    forward = [layer for layer in layers if layer.startswith("D.")]
    backward = [layer for layer in layers if layer.startswith("backward of ")]
    assert len(backward) == 4
    assert set(backward) <= {f"backward of {layer}" for layer in forward}
    titles = [node.title for node in step.nodes]
    length = titles.index("Sqrt")  # 10 (|| gradient || - 1)^2
    assert titles[length + 1 : length + 3] == ["Sub(·, 1)", "Pow 2"]
    assert "Mul(·, 10)" in titles[length:]


def test_simultaneous_updates_are_one_graph():
    (step,) = graph.record(small_game("simultaneous"), rand(6, 2))
    assert moved(step) == {("G.0", True), ("G.2", True), ("D.0", True), ("D.3", True)}
    assert not [edge for edge in step.edges if edge.is_cut]
    assert len(set(range(len(step.nodes))) - {edge.source for edge in step.edges}) == 2  # losses


def test_recording_changes_nothing():
    watched, plain = small_game(), small_game()
    x = rand(6, 2)
    backends.manual_seed(1)
    graph.record(watched, x)
    backends.manual_seed(1)
    play_step(plain, [x])
    for a, b in zip(watched.G.parameters(), plain.G.parameters()):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    before = Function.__call__, nn.Module.__call__, Tensor.backward
    with pytest.raises(ValueError, match="linear"):
        graph.record(watched, rand(6, 3))
    assert (Function.__call__, nn.Module.__call__, Tensor.backward) == before


def test_unrolled_updates_are_one_line():
    with pytest.raises(MiniganError, match="--set updates=alternate --set unroll=0"):
        graph.record(small_game("unrolled"), rand(6, 2))


@pytest.mark.parametrize("name", recipes.names())
def test_every_recipe_can_be_drawn(name):
    recipe = tiny.narrow(name)
    if recipe.updates == "unrolled":  # too large
        recipe = recipes.override(recipe, {"updates": "alternate", "unroll": 0})
    backends.manual_seed(0)
    shape = data_shape(recipe)
    classes = data_classes(recipe)
    game = build_game(recipe, shape, classes=classes)
    labels = [one_hot(np.arange(2), classes)] if classes else []
    steps = graph.record(game, rand(2, *shape), *labels)
    titles = {node.title for step in steps for node in step.nodes if node.is_data}
    assert ("labels y" in titles) == recipe.is_conditional
    picture = ElementTree.fromstring(graph.svg(steps))
    texts = [text.text for text in picture.iter("{http://www.w3.org/2000/svg}text")]
    for step in steps:
        assert step.title in texts
        for node in step.nodes:
            assert texts.count(node.title) >= 1
        assert all(any(edge.label in text for text in texts) for edge in step.edges)
    boxes = [
        [float(box.get(key)) for key in ("x", "y", "width", "height")]
        for panel in picture.findall("{http://www.w3.org/2000/svg}g")
        for box in panel.findall("{http://www.w3.org/2000/svg}rect")
    ]
    assert len(boxes) == sum(len(step.nodes) for step in steps)
    text = graph.dot(steps)
    assert text.count("{") == text.count("}") == 1 + len(steps)
    assert text.count(" -> ") == sum(len(step.edges) for step in steps)
    assert len(re.findall(r"^    n\d+_\d+ \[", text, re.M)) == len(boxes)


def pixels(element, *keys):
    return [float(element.get(key)) for key in keys]


@pytest.mark.parametrize("count", [1, 8])
def test_the_legend_fits_and_leaves_no_blank(count):
    boxes = graph.Graph("t", [graph.Node("a") for _ in range(count)])
    picture = ElementTree.fromstring(graph.svg([boxes]))
    width, height = pixels(picture, "width", "height")
    svg = "{http://www.w3.org/2000/svg}"
    samples = [pixels(line, "x1", "y1") for line in picture.findall(f"{svg}line")]
    assert len(samples) == 4
    assert len({(x, y) for x, y in samples}) == 4
    # A sample of a line and its meaning are less than 290 wide, and 12 high.
    assert all(0 < x < width - 285 and 0 < y < height - 12 for x, y in samples)
    drawn = max(sum(pixels(box, "x", "width")) for box in picture.findall(f"{svg}g/{svg}rect"))
    assert width <= max(drawn + 2 * 30, 2 * 290 + 30) + 1


def test_an_array_has_one_label():
    """For both of its users; if it is cut for one of them, that is said."""
    nodes = [graph.Node(title) for title in "abc"]
    edges = [graph.Edge(0, 1, "(2) float32", True), graph.Edge(0, 2, "(2) float32", False)]
    picture = ElementTree.fromstring(graph.svg([graph.Graph("t", nodes, edges)]))
    texts = [text.text for text in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert [text for text in texts if "float32" in text] == ["(2) float32, cut"]


def test_text_is_escaped():
    node = graph.Node('a < "b" & c\\')
    drawn = graph.Graph("t", [node])
    bold = ElementTree.fromstring(graph.svg([drawn])).findall(".//*[@font-weight='bold']")
    assert {text.text for text in bold} == {"t", node.title}
    assert 'label="a < \\"b\\" & c\\\\"' in graph.dot([drawn])


@st.composite
def graphs(draw):
    """(number of nodes, edges without circles)"""
    count = draw(st.integers(1, 8))
    pair = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1))
    pairs = draw(st.lists(pair, max_size=15))
    return count, [(min(p), max(p)) for p in pairs if p[0] != p[1]]


@settings(deadline=None, derandomize=True)
@given(graphs())
def test_edges_lead_down_and_neighbours_keep_their_distance(drawn):
    count, edges = drawn
    row = rows(count, edges)
    assert min(row) == 0
    assert all(row[source] < row[target] for source, target in edges)
    all_rows, pieces, ways = with_waypoints(row, edges)
    assert all(all_rows[target] == all_rows[source] + 1 for source, target in pieces)
    assert [(way[0], way[-1]) for way in ways] == edges
    place = columns(all_rows, pieces)
    assert min(place) == 0
    for r in set(all_rows):
        taken = sorted(place[n] for n in range(len(all_rows)) if all_rows[n] == r)
        assert all(b - a > 1 - 1e-9 for a, b in itertools.pairwise(taken))


def run(*args):
    return CliRunner().invoke(program, [str(arg) for arg in args])


def test_the_command(tmp_path):
    result = run("graph", "gan", "--out", tmp_path / "a.svg")
    assert result.exit_code == 0
    assert ElementTree.parse(tmp_path / "a.svg").getroot().tag.endswith("svg")
    result = run("graph", "gan", "--out", tmp_path / "a.dot", "--json")
    assert [step["title"] for step in json.loads(result.output)] == ["(1) Update D", "(2) Update G"]
    assert (tmp_path / "a.dot").read_text().startswith("digraph step {")
    for args, code, message in [
        (["nothing"], 1, "no recipe 'nothing'"),
        (["gan", "--out", "a.png"], 2, "expected a file name that ends with .svg or .dot"),
        (["gan", "--set", "lr"], 2, "expected KEY=VALUE"),
    ]:
        result = run("graph", *args)
        assert (result.exit_code, message in result.stderr) == (code, True)
