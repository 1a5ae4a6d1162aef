"""The questions asked together: real data against itself, what suits which data, the command."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
import tiny
from click.testing import CliRunner
from PIL import Image

from minigan import data, recipes
from minigan.cli import evaluate as command
from minigan.cli import program
from minigan.cli.evaluate import METRICS
from minigan.data import Dataset
from minigan.errors import MiniganError
from minigan.evaluate import answers, features, modes, parzen, report, yardsticks
from minigan.evaluate.labels import label_accuracy
from minigan.evaluate.report import QUESTIONS, Material
from minigan.train import launch


def glyphs(count, seed, name="glyphs", size=28):
    """Digits of fonts, so that there is something to look at without a download."""
    made = data.load("glyphs", count=count, seed=seed, size=size)
    return Dataset(name, "train", made.x, made.labels, made.classes)


@pytest.fixture(scope="module")
def material():
    """Samples that are real data themselves."""
    made = glyphs(300, 2)
    return Material(
        samples=made.x / np.float32(255), labels=made.labels,
        train=glyphs(300, 0, "mnist"), test=glyphs(300, 1),
    )  # fmt: skip


def test_the_command_knows_the_questions():
    assert tuple(QUESTIONS) == METRICS


# Of samples of grey digits; modes asks about points, stacked about three channels, likelihood about
# a density.
GREY = [name for name in QUESTIONS if name not in ("modes", "stacked", "likelihood")]


@pytest.mark.parametrize("name", GREY)
def test_real_data_are_as_good_as_real_data(material, name):
    results = QUESTIONS[name](material)
    ours, real = results["samples"], results.get("real")
    if name == "classes":
        assert sum(ours.counts) == 300
        assert abs(ours.entropy - real.entropy) < 4 * np.hypot(ours.entropy_se, real.entropy_se)
    elif name == "distance":
        assert abs(ours.value - ours.floor) < 4 * np.hypot(ours.se, ours.floor_se)
    elif name == "precision-recall":
        for share in ("precision", "recall"):
            error = np.hypot(getattr(ours, f"{share}_se"), getattr(real, f"{share}_se"))
            assert abs(getattr(ours, share) - getattr(real, share)) < 4 * error
    elif name == "neighbours":
        assert abs(ours.mean - real.mean) < 4 * np.hypot(ours.mean_se, real.mean_se)
    elif name in ("labels", "one-nn"):
        assert abs(ours.accuracy - real.accuracy) < 4 * np.hypot(ours.se, real.se)
        assert ours.accuracy > 0.5
    else:
        assert abs(ours.mean - real.mean) < 4 * np.hypot(ours.se, real.se)
    assert json.loads(json.dumps({k: answers.as_json(v) for k, v in results.items()}))


def test_noise_is_worse_than_real_data(material):
    noise = np.random.default_rng(0).random(material.samples.shape, np.float32)
    given = {"train": material.train, "test": material.test, "labels": material.labels}
    bad = Material(samples=noise, **given)
    ask = {name: QUESTIONS[name](bad) for name in GREY}
    assert ask["distance"]["samples"].value > 5 * ask["distance"]["samples"].floor
    assert ask["precision-recall"]["samples"].precision < 0.1
    assert ask["neighbours"]["samples"].mean > 1.5 * ask["neighbours"]["real"].mean
    assert ask["parzen"]["samples"].mean < ask["parzen"]["real"].mean
    for name in ("labels", "one-nn"):
        assert ask[name]["samples"].accuracy < 0.2 < ask[name]["real"].accuracy
    lines = answers.table(ask).splitlines()
    assert len(lines) == 2 * 4 + 2 + 2 * 2 + 2 + 2 + 2 * 3 + 2
    assert {line[16:23].strip() for line in lines} == {"samples", "real"}
    for line in lines:  # each number with its error, and from how many it comes
        assert re.search(r"\d ± \d.*\(.*\b\d\d+\b.*\)$", line), line


def test_shares_stand_with_their_errors_five_a_line():
    thirty_of_forty = np.eye(10)[[0] * 30 + [9] * 10]
    histogram = features.class_histogram(thirty_of_forty)
    first, second, *_ = answers.lines(histogram)
    assert first == (
        "classes 0-4, %",
        "0: 75.0 ± 6.8  1: 0.0 ± 0.0  2: 0.0 ± 0.0  3: 0.0 ± 0.0  4: 0.0 ± 0.0  (n = 40)",
    )
    assert second[0] == "classes 5-9, %"
    assert second[1].endswith("9: 25.0 ± 6.8  (n = 40)")
    found = answers.as_json(histogram)
    assert found["shares"][0] == 0.75
    assert found["shares_se"][0] == pytest.approx(np.sqrt(0.75 * 0.25 / 40))
    right = label_accuracy(np.eye(6)[[0, 0, 0, 1, 5]], np.array([0, 0, 1, 1, 5]))
    assert answers.lines(right)[1:] == [
        ("labels 0-4, %", "0: 100.0 ± 0.0  1: 50.0 ± 35.4  2: -  3: -  4: -  (n = 0 to 2)"),
        ("labels 5-5, %", "5: 100.0 ± 0.0  (n = 0 to 2)"),
    ]


def test_of_other_sizes_all_are_made_28_x_28(material):
    large = np.repeat(np.repeat(material.samples, 2, axis=2), 2, axis=3)
    counts = [
        QUESTIONS["classes"](Material(samples=x, train=material.train))["samples"].counts
        for x in (material.samples, large)
    ]
    assert sum(abs(np.subtract(*counts))) < 0.2 * 300
    with pytest.raises(MiniganError, match="grey digits"):
        report.digits(np.zeros((2, 3, 28, 28), np.float32))


def test_which_questions_suit(material):
    suitable, asked_for = report.suitable, ["labels", "one-nn"]
    assert suitable(material.train, has_test=True) == [x for x in GREY if x not in asked_for]
    assert suitable(material.train, has_test=True, has_labels=True) == GREY
    assert suitable(glyphs(20, 0), has_test=True) == ["neighbours", "parzen"]
    assert suitable(glyphs(20, 0)) == ["neighbours"]
    assert suitable(glyphs(20, 0), has_density=True) == ["neighbours"]
    assert suitable(glyphs(20, 0), has_test=True, has_density=True)[-1] == "likelihood"
    assert suitable(data.load("ring8", count=50)) == ["modes"]
    assert suitable(data.load("gaussian1d", count=50)) == []
    with pytest.raises(MiniganError, match="mnist has no test split"):
        QUESTIONS["parzen"](Material(samples=material.samples, train=material.train))


def test_sigma_is_chosen_by_images_that_are_not_scored(material):
    """By a tenth of the test images, drawn at random, or by others that are unseen as well."""
    images = material.samples[:200]
    test, other = glyphs(200, 1), glyphs(50, 3)
    given = {"samples": images, "train": material.train, "test": test}

    def by_hand(valid, scored):
        return parzen.parzen(*map(parzen.flat, (images, valid, scored)))

    mixed = report.shuffled(test.x)
    assert (mixed[:20] != test.x[:20]).any()
    for found, expected, line in [
        (QUESTIONS["parzen"](Material(**given)), by_hand(mixed[:20], mixed[20:]),
         "180 test images (n = 200; sigma 0.2154, by 20 other test images)"),
        (QUESTIONS["parzen"](Material(**given, valid=other)), by_hand(other.x, test.x),
         "200 test images (n = 200; sigma 0.2154, by 50 validation images)"),
    ]:  # fmt: skip
        ours = found["samples"]
        assert (ours.mean, ours.sigma) == (pytest.approx(expected.mean), expected.sigma)
        assert f"{ours.mean:.2f} ± {ours.se:.2f} nats for {line}" in answers.table({"": found})
        assert answers.as_json(ours)["sigma_from"] in line


def test_yardsticks_stand_below_the_real_images():
    digits = glyphs(300, 0, size=8)
    samples, asked = glyphs(50, 2, size=8).x / np.float32(255), []
    given = {"samples": samples, "train": digits, "test": glyphs(100, 1, size=8)}
    found = QUESTIONS["parzen"](
        Material(**given, yardsticks=True, progress=lambda x: asked.extend(x) or x)
    )
    assert list(found) == ["samples", "real", *asked]
    assert set(asked) == set(yardsticks.YARDSTICKS) - {"real images"}
    plain = QUESTIONS["parzen"](Material(**given))
    assert plain == {name: found[name] for name in ("samples", "real")}
    # The row of real images is the yardstick that is left out.
    make = yardsticks.YARDSTICKS["real images"]
    chosen = make(parzen.flat(digits.x), digits.labels, 50, np.random.default_rng(0))
    np.testing.assert_array_equal(chosen, parzen.flat(report.shuffled(digits.x)[:50]))
    assert found["mean image"].samples == 1
    assert found["k-means centres"].mean > found["mean image"].mean
    table = answers.table({"parzen": found})
    for name, row in found.items():
        assert f"parzen  {name:19}  {row.mean:.2f} ± {row.se:.2f} nats" in table
    unlabelled = Dataset("glyphs", "train", digits.x)
    with pytest.raises(MiniganError, match="is about labelled digits, and glyphs holds none"):
        QUESTIONS["parzen"](Material(**given | {"train": unlabelled}, yardsticks=True))


@pytest.mark.parametrize(
    ("learnt_from", "unseen"),
    [("train", {"test"}), ("paper-train", {"test", "valid"}), ("valid", {"test"}), ("test", set())],
)
def test_nothing_that_the_run_learnt_from_counts_as_unseen(monkeypatch, learnt_from, unseen):
    """MNIST's split valid is the end of its split train."""
    monkeypatch.setattr(launch, "load_data", lambda recipe, data_dir: recipe.split)
    recipe = recipes.override(recipes.get("gan"), {"data": "mnist", "split": learnt_from})
    found = command._unseen(recipe, None)
    assert {name for name, split in found.items() if split == name} == unseen
    assert set(found.values()) - {None} == unseen


def test_modes_of_real_points():
    points = data.load("grid25", count=2000)
    found = QUESTIONS["modes"](Material(samples=points.x[:1000], train=points))
    assert found["samples"].captured == found["real"].captured == 25
    assert found["samples"] == found["real"]  # the same rows


def stacks(rows, seed=0):
    """Stacked glyphs: three of them, drawn at random, are the channels of one image."""
    one = glyphs(100, seed)
    chosen = np.random.default_rng(seed).integers(100, size=(rows, 3))
    return Dataset("stacked-mnist", "train", one.x[chosen, 0], None), one, chosen


def test_stacked_counts_what_the_classifier_names_in_each_channel():
    stacked, one, chosen = stacks(200)
    other, _, _ = stacks(150, seed=1)
    material = Material(samples=other.x / np.float32(255), train=stacked)
    assert report.suitable(stacked) == ["stacked", "neighbours"]
    named = material.classifier.probabilities(one.x).argmax(axis=1)
    assert len(set(named)) > 3
    found = QUESTIONS["stacked"](Material(samples=stacked.x / np.float32(255), train=other))
    assert found["samples"] == modes.stacked_modes(named[chosen])
    assert found["real"].samples == 150  # there are no more
    assert QUESTIONS["stacked"](material)["real"].samples == 150  # as many as samples
    (line, _) = answers.table({"stacked": found}).splitlines()
    assert line.startswith("modes  samples")
    assert "of 1000 modes, KL" in line
    assert answers.as_json(found["samples"])["captured"] == found["samples"].captured


def test_one_stack_is_one_mode():
    stacked, _, _ = stacks(1)
    material = Material(samples=np.repeat(stacked.x / np.float32(255), 50, axis=0), train=stacked)
    found = QUESTIONS["stacked"](material)["samples"]
    assert (found.captured, found.samples) == (1, 50)
    assert found.kl == pytest.approx(np.log(1000))


def test_stacked_wants_three_channels(material):
    with pytest.raises(MiniganError, match=r"a digit in each of three channels.* got images of 1"):
        QUESTIONS["stacked"](material)


@pytest.mark.skipif("MINIGAN_DATA" not in os.environ, reason="no MINIGAN_DATA to find MNIST")
def test_mnist_against_itself():
    train, test = (data.load("mnist", split=split) for split in ("train", "test"))
    rows = np.random.default_rng(0).permutation(60_000)
    samples = train.x[rows[:3000]] / np.float32(255)
    rest = Dataset("mnist", "train", train.x[rows[3000:13_000]], train.labels[rows[3000:13_000]])
    material = Material(samples=samples, train=rest, test=test)
    classes = QUESTIONS["classes"](material)
    assert classes["samples"].entropy > 2.29
    assert classes["samples"].unsure < 0.04
    found = QUESTIONS["distance"](material)["samples"]
    assert found.value < found.floor + 4 * found.floor_se
    found = QUESTIONS["precision-recall"](material)
    assert abs(found["samples"].precision - found["real"].precision) < 0.05
    assert abs(found["samples"].recall - found["real"].recall) < 0.05


# The command ----------------------------------------------------------------------------------


def call(*args):
    return CliRunner().invoke(program, [str(arg) for arg in args])


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run on tiny images, one on points of the plane, and one on points of a line."""
    folder = tmp_path_factory.mktemp("evaluate")
    with pytest.MonkeyPatch.context() as monkeypatch:
        tiny.use(monkeypatch)
        images, _ = tiny.start(folder, steps=2)
        points, _ = tiny.start(folder, steps=2, name="points", changes={"data": "ring8"})
        line, _ = tiny.start(folder, steps=1, name="line", changes={"data": "gaussian1d"})
        yield images.folder, points.folder, line.folder


def test_a_run_on_images(runs, tmp_path):
    picture = tmp_path / "pairs.png"
    result = call("evaluate", runs[0], "--n", 40, "--picture", picture)
    assert result.exit_code == 0, result.output
    head, *lines = result.output.splitlines()
    assert head.endswith("split train")
    assert "40 samples against npz:" in head
    assert [line.split()[:4] for line in lines] == [["to", "the", "nearest", "samples"]]
    with Image.open(picture) as pairs:
        assert pairs.size[0] > 100


def test_least_is_enough_and_one_less_is_not(material):
    for name, least in report.LEAST.items():
        few = Material(samples=material.samples[:least], train=material.train)
        assert QUESTIONS[name](few)
        fewer = Material(samples=material.samples[: least - 1], train=material.train)
        with pytest.raises(ValueError, match="expected at least"):
            QUESTIONS[name](fewer)


def test_test_images_too_few_are_said_to_be(material):
    """For the floor, and for what real images get."""
    for name, least in report.LEAST.items():
        rows = slice(least - 1)
        test = material.test
        few = Dataset("mnist", "test", test.x[rows], test.labels[rows], test.classes)
        short = Material(samples=material.samples, train=material.train, test=few)
        with pytest.raises(MiniganError, match=f"at least {least} test images, got {least - 1}: t"):
            command._check_suits(name, short)


def test_other_data_under_the_same_name_are_refused(tmp_path, monkeypatch):
    tiny.use(monkeypatch)
    run, _ = tiny.start(tmp_path, steps=1)
    images = np.zeros((64, 8, 8), np.uint8)
    np.savez(tmp_path / "tiny.npz", images=images)
    result = call("evaluate", run.folder, "--n", 9)
    assert result.exit_code == 1
    assert "is not the data that" in result.stderr


def test_a_run_on_points_as_json(runs):
    result = call("evaluate", runs[1], "--n", 200, "--json")
    found = json.loads(result.stdout)
    assert {"checkpoint", "step", "data", "seed", "n", "modes"} == set(found)
    assert found["modes"]["samples"]["samples"] == 200
    assert found["modes"]["real"]["captured"] == 8


def test_as_many_samples_as_the_literature_takes(runs):
    """If nobody says how many: of points 2,500, as PacGAN."""

    def drawn(which, *options):
        return json.loads(call("evaluate", runs[which], "--json", *options).stdout)["n"]

    assert drawn(1) == drawn(1, "--metric", "modes") == modes.SAMPLES == 2500
    assert drawn(1, "-n", 70) == 70
    assert drawn(0) == 10_000
    assert report.samples_for(["stacked", "neighbours"]) == modes.STACKED_SAMPLES == 26_000
    assert "2500 for modes, 26000 for stacked, otherwise 10000" in " ".join(
        call("evaluate", "--help").output.split()
    )


def test_the_command_adds_yardsticks(tmp_path, monkeypatch):
    tiny.use(monkeypatch)
    monkeypatch.setattr(launch, "load_data", lambda recipe, data_dir: glyphs(60, 0, size=8))
    run, _ = tiny.start(tmp_path, steps=1)
    monkeypatch.setattr(
        command, "_unseen", lambda *_: {"test": glyphs(60, 1, size=8), "valid": None}
    )
    arguments = ["evaluate", run.folder, "-n", 40, "--metric", "parzen", "--yardsticks"]
    result = call(*arguments)
    assert result.exit_code == 0, result.output
    assert [line[8:27].strip() for line in result.output.splitlines()[1:]] == [
        "samples", "real", *list(yardsticks.YARDSTICKS)[1:]
    ]  # fmt: skip
    found = json.loads(call(*arguments, "--json").stdout)["parzen"]
    assert found["ten Gaussians"]["samples"] == 40
    result = call("evaluate", run.folder, "--metric", "neighbours", "--yardsticks")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "--yardsticks belongs to parzen: add --metric parzen" in result.stderr


def test_the_seed_decides_the_samples(runs):
    means = [
        json.loads(call("evaluate", runs[0], "--json", "--n", 9, "--seed", seed).stdout)
        ["neighbours"]["samples"]["mean"]
        for seed in (0, 0, 1)
    ]  # fmt: skip
    assert means[0] == means[1] != means[2]


@pytest.mark.parametrize(
    ("which", "options", "message"),
    [
        (0, ["--metric", "modes"], "modes does not suit npz:"),
        (0, ["--metric", "stacked"], "a digit in each of three channels"),
        (1, ["--metric", "stacked"], "stacked does not suit ring8, which is points"),
        (1, ["--metric", "parzen"], "parzen does not suit ring8, which is points"),
        (1, ["--picture", "x.png"], "neighbours does not suit ring8"),
        (2, ["--metric", "modes"], "gaussian1d is not in it: look at its samples, with minigan"),
        (2, [], "no metric suits gaussian1d: look at its samples, with minigan sample"),
        (0, ["--metric", "parzen"], "has no test split"),
        (0, ["--metric", "parzen", "--checkpoint", "77"], "77"),
        (
            0,
            ["--metric", "distance"],
            "distance needs at least 40 samples, got 20: raise --n, or name other metrics",
        ),
        (0, ["--metric", "precision-recall", "--n", "3"], "needs at least 4 samples"),
    ],
)
def test_errors_are_one_line(runs, options, which, message):
    result = call("evaluate", runs[which], "--n", 20, *options)
    assert result.exit_code == 1, result.output
    assert result.stderr.count("\n") == 1
    assert message in result.stderr
    assert not Path("x.png").exists()
