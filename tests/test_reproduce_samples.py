"""figure2, figure3 and collapse: what is measured on samples, and the pages of tiny trainings."""

import dataclasses
import functools
import json
import math

import numpy as np
import pytest
import tiny

from minigan import data, models, nn, reproduce
from minigan.data import Dataset
from minigan.errors import MiniganError
from minigan.evaluate.neighbours import Neighbours
from minigan.kernels import parallel
from minigan.reproduce import collapse, figure2, figure3, paper_network, speckle, table1
from minigan.reproduce.result import Task
from minigan.reproduce.training import train_all
from minigan.train import quality, trainer
from minigan.train.record import Run
from minigan.train.sampling import load_generator

GLYPHS = data.load("glyphs", count=360)


@pytest.fixture
def small(monkeypatch):
    """Tiny networks, 120 drawn digits in each part of "MNIST", trainings of a few steps."""
    parts = {"paper-train": 0, "train": 0, "valid": 1, "test": 2}

    def load(name, split="train", **_):
        part = slice(parts[split], None, 3)
        return Dataset(name, split, GLYPHS.x[part], GLYPHS.labels[part], GLYPHS.classes)

    def build(model, image_shape, latent_dim, **_):
        G, D = tiny.build(model, image_shape, latent_dim)
        last = nn.Sigmoid() if model == "gan-paper" else nn.Tanh()
        return nn.Sequential(*list(G)[:4], last, G[5]), D

    monkeypatch.setattr(models, "build", build)
    monkeypatch.setattr(quality, "SAMPLES", 100)
    monkeypatch.setattr(data, "load", load)
    monkeypatch.setattr(parallel, "_num_threads", 1)
    monkeypatch.setattr(table1, "STEPS_PER_EPOCH", 2)
    monkeypatch.setattr(table1, "QUICK", table1.Plan(1, 2, 1, 1, samples=50, images=100))
    monkeypatch.setattr(figure2, "QUICK", figure2.Plan(samples=80, test=100, train=100))
    monkeypatch.setattr(figure3, "QUICK", figure3.Plan(walks=40, real=100))
    few = functools.partial(figure3.frechet_with_error, groups=2)
    monkeypatch.setattr(figure3, "frechet_with_error", few)
    monkeypatch.setattr(trainer.Trainer, "_draw_record", lambda self: None)
    plan = collapse.Plan(seeds=2, turns=2, steps=2, samples=50, looked_up=30, among=50)
    monkeypatch.setattr(collapse, "QUICK", plan)


def run(name, folder, **options):
    return reproduce.run(name, folder / name, quick=True, runs=folder / "runs", **options)


@pytest.mark.parametrize("name", ["figure2", "figure3", "collapse"])
def test_the_pages(name, small, tmp_path):
    result = run(name, tmp_path)
    for figure in result["figures"]:
        assert (tmp_path / name / figure["file"]).stat().st_size > 1000
    before = {path: path.read_bytes() for path in (tmp_path / "runs").rglob("*.npz")}
    again = run(name, tmp_path)  # finds the training
    assert (again["measured"], again["comparisons"]) == (result["measured"], result["comparisons"])
    assert {path: path.read_bytes() for path in (tmp_path / "runs").rglob("*.npz")} == before
    assert all(c["low"] is not None or c["high"] is not None for c in result["comparisons"])


# The network of figure2 and figure3 ---------------------------------------------------------


def test_the_network_is_the_one_of_table1(small, tmp_path):
    task = Task("figure2", "", tmp_path / "out", True, 0, tmp_path / "runs")
    follow = functools.partial(table1.follow, samples=50, patience=1, data_dir=None)
    trained = [table1.wanted(order, 0, 2) for order in table1.ORDERS]
    train_all(task, trained, every=2, after=follow)
    folder = tmp_path / "runs" / "gan-paper-simultaneous-seed0"
    before = sorted((p, p.stat().st_mtime_ns) for p in folder.rglob("step-*.npz"))
    network = paper_network.obtain(task)
    assert sorted((p, p.stat().st_mtime_ns) for p in folder.rglob("step-*.npz")) == before
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {
        "gan-paper-simultaneous-seed0", "gan-paper-alternate-seed0"
    }  # fmt: skip
    chosen, _, step = load_generator(folder / "chosen.npz")
    for name, weights in chosen.state_dict().items():
        np.testing.assert_array_equal(network.G.state_dict()[name], weights)
    assert (network.epoch, network.epochs) == (step // 2, 2)
    z = network.noise(500, np.random.default_rng(0))
    assert (z.shape, abs(z).max() <= math.sqrt(3) + 1e-6) == ((500, 100), True)
    assert z.var() == pytest.approx(1, abs=0.02)


# figure2 ------------------------------------------------------------------------------------


def part(start):
    rows = slice(start, None, 3)
    return Dataset("mnist", "train", GLYPHS.x[rows], GLYPHS.labels[rows], GLYPHS.classes)


def test_a_generator_that_copies_is_found_out():
    train, unseen, test = part(0), part(1), part(2)
    real = figure2.look(test.x, train, unseen)
    copies = figure2.find(figure2.look(train.x[:60], train, unseen), real)
    others = figure2.find(figure2.look(unseen.x[:60], train, unseen), real)
    assert (copies.ratio[0], copies.near[0], copies.coin[0]) == (0, 1, 1)
    assert (others.ratio[0] > 0.5, others.coin[0]) == (True, 0)
    assert [c.holds for c in figure2.compare(copies)] == [False, False, False]
    fair = figure2.find(real, real)
    assert fair.ratio[0] == pytest.approx(1)
    assert fair.near[0] < 0.1
    assert fair.coin == fair.real_coin
    assert fair.coin[0] == pytest.approx(0.5, abs=4 * fair.coin[1])


def looked(distances, digits, seen=None, unseen=None):
    def found(values, indices):
        return Neighbours(indices=np.array(indices), distances=np.array(values, float), train=9)

    n = len(distances)
    seen, unseen = seen or (distances, range(n)), unseen or (distances, range(n))
    return figure2.Looked(
        np.array(digits), found(distances, range(n)), found(*map(list, seen)),
        found(*map(list, unseen)),
    )  # fmt: skip


def test_samples_are_compared_with_their_own_digit():
    real = looked([1.0] * 10 + [5.0] * 10, [1] * 10 + [8] * 10)
    found = figure2.find(looked([1.5, 1.5, 1.5, 7.5], [1, 1, 1, 8]), real)
    assert found.ratio == (pytest.approx(1.5), pytest.approx(0, abs=1e-12))
    assert found.near[0] == 0
    # Nearer than any 8, and farther than any 1.
    assert figure2.find(looked([3.0, 3.0], [1, 8]), real).near[0] == 0.5
    rows = figure2.by_digit(looked([3.0, 4.0], [1, 1]), real)
    assert (rows[1]["distance of samples"], rows[1]["standard error"]) == (3.5, 0.5)
    assert (rows[8]["samples"], rows[8]["near, %"]) == (0, None)


def test_equal_neighbours_are_one_toss():
    n = 100
    apart = looked([1.0] * n, [0] * n, ([1.0] * n, range(n)), ([2.0] * n, range(n)))
    alike = looked([1.0] * n, [0] * n, ([1.0] * n, [3] * n), ([2.0] * n, [4] * n))
    assert apart.coin == (1.0, pytest.approx(0.05))
    assert alike.coin == (1.0, pytest.approx(0.5))
    assert looked([1.0, 1.0], [0, 0]).coin[0] == 0.5  # draws


def test_the_neighbour_stands_beside_its_sample():
    images = np.arange(72, dtype=np.uint8).repeat(784).reshape(72, 1, 28, 28)
    sheet = np.asarray(figure2.draw_grid(images, images + 100))
    assert sheet[10, 10] == 0
    assert (sheet[10, 8 * 58 + 10], sheet[10, -10]) == (8, 108)
    assert (sheet[-10, 8 * 58 + 10], sheet[-10, -10]) == (71, 171)
    found = looked([3.0, 1.0, 2.0], [0, 0, 0])
    pairs = np.asarray(figure2.draw_closest(images[:3], images[:3] + 100, found))
    assert pairs[10, [10, 70, 130]].tolist() == [1, 2, 0]
    assert pairs[-10, [10, 70, 130]].tolist() == [101, 102, 100]


# figure3 ------------------------------------------------------------------------------------


class Straight:
    """G(z) = the first coordinate everywhere, in [0, 1]; or a G that knows two images only."""

    def __init__(self, jumps=False):
        self.jumps = jumps

    def images(self, z):
        grey = (z[:, 0] > 0.5).astype(float) if self.jumps else z[:, 0]
        return np.broadcast_to(grey[:, None, None, None], (len(z), 1, 28, 28))

    def noise(self, n, rng):
        return rng.random((n, 3))


def test_lines():
    rng = np.random.default_rng(0)
    start, end = rng.random((5, 1, 4, 4)), rng.random((5, 1, 4, 4))
    line = figure3.between(start, end, figure3.T)
    np.testing.assert_array_equal(line[:, 0], start)
    np.testing.assert_allclose(line[:, -1], end, rtol=1e-15)
    np.testing.assert_allclose(line[:, 8], (start + end) / 2, rtol=1e-12)
    z = figure3.between(rng.normal(size=(5, 100)), rng.normal(size=(5, 100)), figure3.T)
    longer = figure3.stretched(z)
    norms = np.linalg.norm(longer, axis=2)
    np.testing.assert_allclose(np.diff(norms, 2, axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(longer[:, [0, -1]], z[:, [0, -1]])
    cosine = (z * longer).sum(axis=2) / (np.linalg.norm(z, axis=2) * norms)
    np.testing.assert_allclose(cosine, 1)


@pytest.mark.parametrize("jumps", [False, True])
def test_a_jump_is_found(jumps):
    z = np.zeros((4, 17, 1))
    z[:, :, 0] = figure3.T
    images = figure3.walk(Straight(jumps), z)
    digits = np.array([[0] * 9 + [1] * 8] * 3 + [[2] * 17])
    seen = figure3.Seen(digits, np.full((4, 17), 0.95), np.ones((17, 2)))
    numbers = figure3.measure(z, images, {"walk": seen})
    assert numbers["longest step, share of the way"] == pytest.approx(1 if jumps else 1 / 16)
    assert numbers["way by distance of its ends"] == pytest.approx(1)
    assert numbers["walks that end at another digit"] == 0.75
    assert numbers["of these, straight from one to the other"] == 1
    assert numbers["digits on a walk, mean"] == 1.75
    longest = figure3.compare(numbers, {"walk": seen, "cross-fade": seen})[0]
    assert longest.holds is not jumps


def test_a_walk_that_stands_still_has_no_steps():
    """A G that draws one image, from some z or from all."""
    z = np.zeros((4, 17, 1))
    seen = figure3.Seen(np.zeros((4, 17), int), np.ones((4, 17)), np.ones((17, 2)))
    images = figure3.walk(Straight(False), z + figure3.T[:, None]).copy()
    images[:2] = 0.5
    some = figure3.measure(z + 1, images, {"walk": seen})
    assert some["longest step, share of the way"] == pytest.approx(1 / 16)
    assert some["way by distance of its ends"] == pytest.approx(1)
    none = figure3.measure(z + 1, np.full_like(images, 0.5), {"walk": seen})
    assert none["longest step, share of the way"] is none["longest step of any walk"] is None
    longest = figure3.compare(none, {"walk": seen, "cross-fade": seen})[0]
    assert longest.holds is False


def test_the_norm_in_the_middle():
    network = paper_network.PaperNetwork(None, table1.wanted("simultaneous", 0, 1).recipe, 1, 1)
    rng = np.random.default_rng(0)
    z = figure3.between(network.noise(400, rng), network.noise(400, rng), figure3.T)
    images = np.random.default_rng(1).random((400, 17, 1, 2, 2))
    seen = figure3.Seen(np.zeros((400, 17), int), np.ones((400, 17)), np.ones((17, 2)))
    numbers = figure3.measure(z, images, {"walk": seen})
    middle = numbers["|z| in the middle by |z| at the ends"]
    assert middle == pytest.approx(math.sqrt(0.5), abs=0.005)


def test_worse_than_a_cross_fade():
    confidence = np.full((10, 17), 0.99)
    good = figure3.Seen(np.zeros((10, 17), int), confidence, np.full((17, 2), 5.0))
    faded = figure3.Seen(np.zeros((10, 17), int), confidence, np.full((17, 2), 9.0))
    numbers = {
        "longest step, share of the way": 0.1, "its standard error": 0.01,
        "|z| in the middle by |z| at the ends": 0.7,
    }  # fmt: skip
    assert figure3.compare(numbers, {"walk": good, "cross-fade": faded})[2].holds is True
    assert figure3.compare(numbers, {"walk": faded, "cross-fade": good})[2].holds is False
    confidence = confidence.copy()
    confidence[:, 8] = 0.5  # in the middle
    unsure = figure3.Seen(np.zeros((10, 17), int), confidence, np.full((17, 2), 5.0))
    assert figure3.compare(numbers, {"walk": unsure, "cross-fade": faded})[1].holds is False


def test_the_film_closes():
    frames = figure3.film(Straight(), np.random.default_rng(0))
    assert len(frames) == 48
    grey = np.array([frame.getpixel((10, 10)) for frame in frames], float)
    stops = grey[[0, 12, 24, 36, 0]]
    steps = np.diff(stops).repeat(12) / 12
    np.testing.assert_allclose(np.diff([*grey, grey[0]]), steps, atol=1.01)


# collapse -----------------------------------------------------------------------------------


def story(shares, plain=None):
    """A run of 20 turns with ten shares each."""
    shares = np.array(shares)
    plain = shares if plain is None else plain
    return collapse.History(3, np.arange(1, 21) * 10, shares, plain, np.zeros(20))


def shares_of(first):
    return [first, *[(1 - first) / 9] * 9]


@pytest.mark.parametrize(
    ("early", "late", "fate"),
    [(0.1, 0.1, collapse.NO), (0.1, 0.2, collapse.NO), (0.1, 0.21, collapse.TAKES_OVER),
     (0.5, 0.21, collapse.HAD_IT), (0.21, 0.5, collapse.TAKES_OVER), (0.5, 0.1, collapse.NO)],
)  # fmt: skip
def test_what_counts_as_taking_over(early, late, fate):
    # The second tenth and the last: what is before, between and beside them does not count.
    rows = [shares_of(0.9)] * 2 + [shares_of(early)] * 2 + [shares_of(0.8)] * 14
    rows += [shares_of(late)] * 2
    numbers = story(rows).numbers()
    assert numbers["one digit"] == fate
    assert numbers["largest share late"] == pytest.approx(max(shares_of(late)))
    assert numbers["that digit early"] == pytest.approx(shares_of(early)[numbers["digit late"]])
    assert numbers["largest share from early on"] == pytest.approx(0.8)


def test_the_judgement():
    real = np.full(10, 0.1)
    even = story([shares_of(0.1)] * 20).numbers()
    taken = story([shares_of(0.1)] * 18 + [shares_of(0.7)] * 2).numbers()
    fine = collapse.compare([even, even], [{"largest share, nearest": 0.1}] * 2, real)
    assert [c.holds for c in fine] == [True] * 5
    assert [c.error for c in fine] == [0, 0, 0, None, 0]
    bad = collapse.compare([even, taken], [{"largest share, nearest": 0.3}] * 2, real)
    assert [c.holds for c in bad] == [False] * 5
    assert (bad[0].measured, bad[0].error) == (pytest.approx(0.4), pytest.approx(0.3))
    assert (bad[2].measured, bad[3].measured) == (pytest.approx(0.3), 1)
    assert collapse.answer([even, taken], 40.0) == (
        "within 40 epochs a digit takes over in 1 of 2 runs (seed 3)"
    )


def test_the_median():
    images = np.random.default_rng(0).random((501, 1, 6, 5), np.float32)
    framed = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    seen = speckle.median(images)
    assert (seen.shape, seen.dtype) == (images.shape, np.float32)
    for n, i, j in [(0, 0, 0), (499, 5, 4), (500, 3, 2), (500, 0, 4)]:
        assert seen[n, 0, i, j] == np.sort(framed[n, 0, i : i + 3, j : j + 3].ravel())[4]


def speckled(dataset):
    """In [0, 1], with a tenth of the pixels at random white."""
    images = dataset.x / np.float32(255)
    images[np.random.default_rng(0).random(images.shape) < 0.1] = 1
    return images


def test_the_median_sees_through_speckle():
    seen = speckle.eyes(speckled(part(1)), part(0), 100)
    right = {name: (digits == part(1).labels).mean() for name, digits in seen.items()}
    assert right["median"] > 0.8
    assert right["plain"] < 0.6
    assert right["nearest"] > 0.6


def test_the_record(small, tmp_path, monkeypatch):
    monkeypatch.setattr(collapse, "QUICK", dataclasses.replace(collapse.QUICK, seeds=1))
    first = run("collapse", tmp_path)
    folder = Run(tmp_path / "runs" / "gan-mnist-seed0")
    path = folder.folder / collapse.RECORD
    record = path.read_bytes()
    assert list(collapse.read_record(folder)) == [2, 4]
    collapse.count_digits(folder, 50)  # once more after the last turn
    assert path.read_bytes() == record
    images = collapse.draw(folder, 50)
    assert (images.min() > 0, images.max() < 1) == (True, True)  # a tanh's, but in [0, 1]
    assert images.mean() == pytest.approx(0.5, abs=0.2)

    monkeypatch.setattr(collapse, "QUICK", dataclasses.replace(collapse.QUICK, turns=3))
    curves = run("collapse", tmp_path)["measured"]["curves"]  # goes on
    for name, before in first["measured"]["curves"].items():
        assert curves[name][:2] == before
        assert len(curves[name]) == 3

    found = json.loads(record)
    del found["4"]
    path.write_text(json.dumps(found))
    with pytest.raises(MiniganError, match=r"digits\.json has nothing about step 4: remove"):
        run("collapse", tmp_path)
    for damage in (b"{", b"[]", b'{"x": {}}', record.replace(b'"samples": 50', b'"samples": 51')):
        path.write_bytes(damage)
        with pytest.raises(MiniganError, match=r"digits\.json is damaged: expected counts"):
            collapse.read_record(folder)


def test_what_is_noted(tmp_path, monkeypatch):
    images = speckled(part(1))
    monkeypatch.setattr(collapse, "draw", lambda run, n: images[:n])
    folder = Run(tmp_path)
    for step in (1000, 90, 2000):
        folder.checkpoint_path(step).parent.mkdir(exist_ok=True)
        folder.checkpoint_path(step).write_bytes(b"")
        collapse.count_digits(folder, 100)
    record = collapse.read_record(folder)
    assert list(record) == [1000, 2000]  # the newest checkpoint each time
    seen = speckle.eyes(images[:100], part(0), 10)
    for eye in ("median", "plain"):
        assert record[2000][eye]["counts"] == np.bincount(seen[eye], minlength=10).tolist()
    assert record[2000]["median"]["counts"] != record[2000]["plain"]["counts"]
