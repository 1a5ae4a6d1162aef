"""Conditional games: the right labels reach the networks, pictures, measurements and errors."""

import json
import re

import numpy as np
import pytest
import tiny
from click.testing import CliRunner
from PIL import Image

import minigan
from minigan import data, models, nn, objectives, plots, recipes, train
from minigan.autograd import Tensor
from minigan.cli import program
from minigan.data import Dataset
from minigan.errors import MiniganError
from minigan.evaluate import classifier, report
from minigan.evaluate.labels import label_accuracy
from minigan.gradient_check import gradcheck
from minigan.train import capture, checkpoint, labels, quality, setup
from minigan.train.record import Config
from minigan.train.trainer import Trainer

CLASSES = 3
SMALL = {"widths": "4,3", "image_size": 8, "latent_dim": 4, "batch_size": 8}


def write(folder, classes=CLASSES, with_labels=True, n=48):
    """Images of which each shows its label: all pixels are 20 times it."""
    y = np.random.default_rng(1).choice(classes, n, p=[0.5, *[0.5 / (classes - 1)] * (classes - 1)])
    images = np.broadcast_to(20 * y[:, None, None], (n, 8, 8)).astype(np.uint8)
    given = {"labels": y} if with_labels else {}
    np.savez(folder / f"{classes}-{with_labels}.npz", images=images, **given)
    return f"npz:{folder}/{classes}-{with_labels}.npz"


def recipe(source, name="cdcgan-28", **changes):
    return recipes.override(recipes.get(name), {"data": source, **SMALL, **changes})


def start(folder, source=None, name="cdcgan-28", out="run", steps=3, changes=None, **options):
    chosen = recipe(source or write(folder), name, **(changes or {}))
    options = {"sample_every": 1000, "log_every": 1, "quiet": True, "backend": "numpy", **options}
    summary = train.start(chosen, out=folder / out, steps=steps, **options)
    return train.Run(folder / out), summary


@pytest.fixture(scope="module", autouse=True)
def few_samples_and_no_curves():
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(quality, "SAMPLES", 300)
        monkeypatch.setattr(plots, "curves", lambda log, path: None)
        monkeypatch.setattr(plots, "training_gif", lambda samples, path: None)
        yield


class Telling(nn.Module):
    """Its images show the label that they are made for: all pixels are y / 10."""

    def __init__(self):
        self.scale = nn.Parameter(minigan.ones(1))

    def forward(self, z, y):
        levels = Tensor(np.arange(y.shape[1], dtype=np.float32)[:, None] / 10)
        return (y.matmul(levels) * self.scale).view(-1, 1, 1, 1) + minigan.zeros(len(z), 1, 8, 8)


@pytest.fixture
def telling(monkeypatch):
    """From here on, G paints its labels."""
    build = models.build
    monkeypatch.setattr(models, "build", lambda *a, **k: (Telling(), build(*a, **k)[1]))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return start(tmp_path_factory.mktemp("conditional"))[0]


def call(*args):
    return CliRunner().invoke(program, [str(arg) for arg in args])


# Labels ---------------------------------------------------------------------------------------


def test_one_hot_is_exact_and_refuses_what_is_no_class():
    y = labels.one_hot(np.array([2, 0, 1]), 3).numpy()
    assert y.dtype == np.float32
    assert y.tolist() == [[0, 0, 1], [1, 0, 0], [0, 1, 0]]
    for wrong in ([3], [-1]):
        with pytest.raises(ValueError, match="expected 0 to 2"):
            labels.one_hot(np.array(wrong), 3)


def test_a_class_is_found_by_its_name_before_its_number():
    assert labels.find("2", ("2", "1", "0")) == 0
    assert labels.find("3", ("2", "1", "0", "x")) == 3
    for text in ("shrit", "-1", "3", "1.0", "²"):
        with pytest.raises(MiniganError, match="expected one of shirt, coat, bag") as error:
            labels.find(text, ("shirt", "coat", "bag"))
        assert "\n" not in str(error.value)
    with pytest.raises(MiniganError, match="did you mean shirt"):
        labels.find("shrit", ("shirt", "coat", "bag"))


def test_labels_are_drawn_as_often_as_they_are_in_the_data(tmp_path):
    dataset = data.load(write(tmp_path, n=1000), size=8)
    found = labels.drawn(recipe("glyphs"), dataset, 20_000, np.random.default_rng(0))
    shares = np.bincount(found, minlength=CLASSES) / 20_000
    wanted = np.bincount(dataset.labels, minlength=CLASSES) / 1000
    assert np.abs(shares - wanted).max() < 0.015
    codes = labels.drawn(recipe("glyphs", "infogan-28"), dataset, 20_000, np.random.default_rng(0))
    assert np.abs(np.bincount(codes) / 20_000 - 0.1).max() < 0.015


def test_the_noise_of_the_paper_fills_the_unit_cube():
    for rng in (None, np.random.default_rng(0)):
        minigan.manual_seed(0)
        z = setup.draw_z(recipes.get("cgan"), 1000, rng).numpy()
        assert z.shape == (1000, 100)
        assert 0 <= z.min() < 0.001 < 0.999 < z.max() < 1
        assert abs(z.mean() - 0.5) < 0.005
        assert abs(z.var() - 1 / 12) < 0.002


# The run --------------------------------------------------------------------------------------


@pytest.fixture
def played(monkeypatch):
    """What the step was given, a list of (images, labels) for each step."""
    seen, original = [], capture.play_step

    def play(game, batches, given):
        seen.append(([x.numpy() for x in batches], [y.numpy() for y in given]))
        return original(game, batches, given)

    monkeypatch.setattr(capture, "play_step", play)
    return seen


@pytest.mark.parametrize("name", ["cdcgan-28", "acgan-28"])
def test_each_image_comes_with_its_own_label(tmp_path, played, name):
    start(tmp_path, name=name, changes={"d_steps": "2"})
    assert len(played) == 3
    for batches, given in played:
        assert len(batches) == len(given) == 2
        for x, y in zip(batches, given):
            assert y.shape == (8, CLASSES)
            shown = np.rint((x[:, 0, 0, 0] + 1) / 2 * 255 / 20)
            assert shown.tolist() == y.argmax(axis=1).tolist()


def test_codes_are_drawn_and_have_nothing_to_do_with_the_data(tmp_path, played):
    source = write(tmp_path, with_labels=False)
    run, _ = start(tmp_path, source, "infogan-28", steps=4, changes={"codes": "5"})
    codes = np.concatenate([y.argmax(axis=1) for _, (y,) in played])
    assert played[0][1][0].shape == (8, 5)
    assert len({tuple(y.argmax(axis=1)) for _, (y,) in played}) == 4  # each batch has its own
    assert set(codes) == set(range(5))
    assert run.read_config().classes == ("0", "1", "2", "3", "4")
    before = [y.tolist() for _, (y,) in played]
    played.clear()
    start(tmp_path, source, "infogan-28", out="again", steps=2, changes={"codes": "5"})
    train.resume(tmp_path / "again", steps=4, quiet=True)
    assert [y.tolist() for _, (y,) in played] == before


@pytest.mark.parametrize("name", ["cgan", "cdcgan-28", "acgan-28", "infogan-28"])
def test_a_stop_between_changes_nothing(tmp_path, name):
    changes = {"ema": "0.9", **({"widths": ()} if name == "cgan" else {})}
    whole, _ = start(tmp_path, name=name, out="whole", steps=4, changes=changes)
    start(tmp_path, name=name, out="part", steps=2, changes=changes)
    train.resume(tmp_path / "part", steps=4, quiet=True)
    part = train.Run(tmp_path / "part")
    first, second = (checkpoint.read(run.checkpoint_path(4)).arrays for run in (whole, part))
    assert first.keys() == second.keys()
    for key, array in first.items():
        np.testing.assert_array_equal(array, second[key], err_msg=key)


def test_the_grid_of_a_run_has_a_class_a_row(tmp_path, telling):
    run, _ = start(tmp_path, steps=1, changes={"lr": "1e-9"})
    with Image.open(run.sample_path(0)) as picture:
        pixels = np.asarray(picture)
    scale = 56 // 8
    centres = np.arange(labels.COLUMNS) * (56 + 2) + 2 + scale
    rows = pixels[np.ix_(np.arange(CLASSES) * (56 + 2) + 2 + scale, centres)]
    levels = [round((0.1 * i + 1) / 2 * 255) for i in range(CLASSES)]
    assert rows.tolist() == [[level] * labels.COLUMNS for level in levels]
    assert pixels.shape == (CLASSES * 58 + 2, labels.COLUMNS * 58 + 2)


def test_quality_is_measured_with_the_labels_of_the_data(tmp_path, telling):
    """Of a G that paints its labels the mean brightness says which labels it got."""
    source = write(tmp_path)
    chosen = recipe(source)
    dataset = data.load(source, size=8)
    config = Config(
        recipe=chosen, data_checksum=dataset.checksum, data_shape=(1, 8, 8),
        data_count=len(dataset), classes=dataset.classes, steps=1,
    )  # fmt: skip
    trainer = Trainer(train.Run(tmp_path), config, dataset, quiet=True)
    samples = trainer._generate(trainer.quality_inputs)
    shares = np.bincount(np.rint(10 * samples[:, 0, 0, 0]).astype(int)) / len(samples)
    wanted = np.bincount(dataset.labels) / len(dataset)
    assert np.abs(shares - wanted).max() < 0.1


def test_runs_before_there_were_labels_can_be_read(tmp_path):
    run, _ = tiny.start(tmp_path, steps=1)
    values = json.loads(run.config_path.read_text())
    del values["classes"]
    del values["recipe"]["codes"]
    run.config_path.write_text(json.dumps(values))
    config = run.read_config()
    assert (config.classes, config.recipe.codes) == ((), 0)


@pytest.mark.parametrize("wrong", [[], [1, 2], "012", None])
def test_a_conditional_run_names_its_classes(trained, wrong):
    values = trained.read_config().to_json()
    with pytest.raises(MiniganError, match="classes") as error:
        Config.from_json({**values, "classes": wrong})
    assert "\n" not in str(error.value)


def test_classes_of_a_run_without_labels_are_refused(tmp_path):
    run, _ = tiny.start(tmp_path, steps=1)
    values = run.read_config().to_json()
    with pytest.raises(MiniganError, match="there are 1 classes: expected none"):
        Config.from_json({**values, "classes": ["a"]})


def test_classes_that_were_changed_are_noticed(tmp_path):
    run, _ = start(tmp_path)
    text = run.config_path.read_text()
    values = json.loads(text)
    run.config_path.write_text(json.dumps({**values, "classes": ["2", "1", "0"]}))
    with pytest.raises(MiniganError, match="its classes is not that of the checkpoints"):
        train.resume(run.folder, steps=9, quiet=True)


# The commands ---------------------------------------------------------------------------------


def shown(folder, *options):
    """The classes that a grid of G's samples shows, in order, and the labels in the archive."""
    result = call("sample", folder, "--out", folder / "g.png", "--npz", folder / "s.npz", *options)
    assert result.exit_code == 0, result.output
    with np.load(folder / "s.npz") as file:
        images, asked = file["images"], file["labels"]
    levels = np.rint(10 * (2 * images[:, 0, 0, 0] - 1)).astype(int)
    assert levels.tolist() == asked.tolist()
    return levels.tolist()


def test_sample_makes_what_is_asked_for(tmp_path, telling):
    run, _ = start(tmp_path, steps=1, changes={"lr": "1e-9"})
    assert shown(run.folder) == [0] * 8 + [1] * 8 + [2] * 8
    assert shown(run.folder, "--label", 2) == [2] * 64
    assert shown(run.folder, "--label", 2, "--label", "0", "--columns", 3) == [2] * 3 + [0] * 3
    assert shown(run.folder, "--n", 5, "--columns", 2) == [0, 0, 1, 1, 2]


def test_a_walk_keeps_its_label(tmp_path, telling):
    run, _ = start(tmp_path, steps=1, changes={"lr": "1e-9"})
    strip = tmp_path / "strip.png"
    for options, wanted in [((), [0, 1, 2, 0]), (("--label", 1), [1, 1, 1, 1])]:
        result = call("interpolate", run.folder, "--rows", 4, "--columns", 2, "--out", strip,
                      *options)  # fmt: skip
        assert result.exit_code == 0, result.output
        with Image.open(strip) as picture:
            pixels = np.asarray(picture)
        rows = [sorted({int(pixels[58 * i + 9, 58 * j + 9]) for j in (0, 1)}) for i in range(4)]
        assert rows == [[round((0.1 * label + 1) / 2 * 255)] for label in wanted]


def test_the_other_commands_take_a_conditional_run(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for command in (
        ["info", trained.folder],
        ["inspect", trained.folder, "--out", "a"],
        ["plot", trained.folder],
        ["evaluate", trained.folder, "--n", 60, "--metric", "neighbours"],
        ["inspect", "acgan-28", "--set", "widths=4,3", "--out", "b"],
        ["graph", "infogan-28", "--set", "widths=4,3", "--out", "g.dot"],
    ):
        result = call(*command)
        assert result.exit_code == 0, result.output
    assert (tmp_path / "g.dot").read_text().count("labels y") >= 2  # in D's graph and in G's


def test_inspect_plays_the_step_that_comes_next(tmp_path, played):
    """The batch and the labels of step 4 are those that the run will get."""
    run, _ = start(tmp_path)
    subject = minigan.inspection.from_run(run.checkpoint_path(3))
    played.clear()
    train.resume(run.folder, steps=4, quiet=True)
    ((batches, given),) = played
    np.testing.assert_array_equal(subject.batches[0].numpy(), batches[0])
    np.testing.assert_array_equal(subject.labels[0].numpy(), given[0])


# Label accuracy -------------------------------------------------------------------------------


def test_label_accuracy_counts_by_class():
    p = np.array([[0.6, 0.4, 0], [0.6, 0.4, 0], [0.1, 0.8, 0.1], [0.2, 0.7, 0.1]])
    found = label_accuracy(p, np.array([0, 1, 1, 1]))
    assert (found.accuracy, found.samples) == (0.75, 4)
    assert found.by_class == (1.0, pytest.approx(2 / 3), None)
    assert found.counts == (1, 3, 0)
    assert found.se == pytest.approx(np.sqrt(0.75 * 0.25 / 4))
    assert found.by_class_se == (0.0, pytest.approx(np.sqrt(2 / 9 / 3)), None)
    for wrong in ([0, 1, 2], [0, 1, 2, 3], [0.0, 1.0, 1.0, 1.0]):
        with pytest.raises(ValueError, match="labels"):
            label_accuracy(p, np.array(wrong))


def test_evaluate_measures_the_labels_that_it_asked_for(tmp_path, monkeypatch):
    """A G that shows real digits of the class, of which each third is of the next class."""
    made = data.load("glyphs", count=600)
    examples = np.stack([made.x[made.labels == k][0] for k in range(10)]) / np.float32(127.5) - 1
    calls = np.zeros((), int)

    class Showing(Telling):
        def forward(self, z, y):
            number = calls + np.arange(len(z))
            calls[...] += len(z)
            shown = (y.numpy().argmax(axis=1) + (number % 3 == 2)) % 10
            return Tensor(examples[shown])

    build = models.build
    monkeypatch.setattr(models, "build", lambda *a, **k: (Showing(), build(*a, **k)[1]))
    np.savez(tmp_path / "digits.npz", images=made.x[:, 0], labels=made.labels)
    chosen = recipe(f"npz:{tmp_path}/digits.npz", image_size=28, batch_size=8)
    dataset = data.load(chosen.data, size=28)
    judge = classifier.load()
    right = judge.probabilities((examples + 1) / 2).argmax(axis=1) == np.arange(10)
    assert right.sum() >= 8  # the classifier knows most of these

    config = Config(
        recipe=chosen, data_checksum=dataset.checksum, data_shape=(1, 28, 28),
        data_count=len(dataset), classes=dataset.classes, steps=1,
    )  # fmt: skip
    monkeypatch.setattr(train, "choose", lambda *_: tmp_path)
    monkeypatch.setattr(train, "load_generator", lambda _: (Showing(), config, 1))
    result = call("evaluate", tmp_path, "--n", 300, "--metric", "labels", "--json", "--seed", 3)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)["labels"]["samples"]
    asked = labels.drawn(chosen, dataset, 300, _after_z(chosen, 300, 3))
    expected = right[asked] & (np.arange(300) % 3 != 2)
    confused = judge.probabilities((examples + 1) / 2).argmax(axis=1)
    expected |= (np.arange(300) % 3 == 2) & (confused[(asked + 1) % 10] == asked)
    assert found["accuracy"] == pytest.approx(expected.mean())
    assert found["counts"] == np.bincount(asked, minlength=10).tolist()
    assert found["by_class"] == pytest.approx([expected[asked == k].mean() for k in range(10)])
    table = call("evaluate", tmp_path, "--n", 300, "--metric", "labels").output
    assert re.search(r"right label +samples  \d\d\.\d\d ± \d\.\d\d % \(n = 300\)", table), table


def _after_z(chosen, n, seed):
    rng = np.random.default_rng(seed)
    setup.draw_z(chosen, n, rng)
    return rng


def test_one_nn_learns_from_the_labels_asked_for():
    made, test = (data.load("glyphs", count=300, split=s) for s in ("train", "test"))
    real = Dataset("mnist", "train", made.x, made.labels, made.classes)
    samples = made.x / np.float32(255)

    def accuracy(asked):
        material = report.Material(samples=samples, train=real, test=test, labels=asked)
        found = report.QUESTIONS["one-nn"](material)
        assert found["real"].accuracy > 0.5
        return found["samples"].accuracy

    assert accuracy(made.labels) > 0.5
    assert accuracy((made.labels + 1) % 10) < 0.2


# Errors ---------------------------------------------------------------------------------------


def one_line(result):
    assert result.exit_code == 1, result.output
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("minigan: error: ")
    return result.stderr


def test_data_without_labels_are_refused(tmp_path):
    options = ["--data", write(tmp_path, with_labels=False), "--quiet"]
    options += ["--set", "image_size=8", "--set", "batch_size=8"]
    for name, widths in (("cgan", []), ("cdcgan-28", ["--set", "widths=4,3"])):
        out = tmp_path / name
        line = one_line(call("train", name, *options, *widths, "--steps", 1, "--out", out))
        assert f"{name} is conditional and npz:" in line
        assert "has no labels" in line
        assert not out.exists()
        line = one_line(call("inspect", name, "--set", f"data={options[1]}",
                             "--set", "image_size=8", *widths, "--out", out))  # fmt: skip
        assert "has no labels" in line


def test_classes_without_an_image_are_refused(tmp_path):
    path = tmp_path / "gaps.npz"
    np.savez(path, images=np.zeros((16, 8, 8), np.uint8), labels=np.arange(16) % 2 * 5)
    options = ["--data", f"npz:{path}", "--quiet", "--set", "image_size=8", "--out", tmp_path / "o"]
    line = one_line(call("train", "cgan", *options, "--set", "batch_size=8", "--steps", 1))
    assert "has no image of class 1: " in line
    assert not (tmp_path / "o").exists()


def test_labels_that_are_none_of_the_classes_are_refused(trained, tmp_path):
    for label in ("3", "-1", "seven", ""):
        for command in ("sample", "interpolate"):
            out = tmp_path / "x.png"
            line = one_line(call(command, trained.folder, "--label", label, "--out", out))
            assert "expected one of 0, 1, 2, or its number from 0 to 2" in line
            assert not out.exists()


def test_a_run_without_labels_has_none_to_ask_for(tmp_path):
    run, _ = tiny.start(tmp_path, steps=1)
    for command in ("sample", "interpolate"):
        line = one_line(call(command, run.folder, "--label", 1, "--out", tmp_path / "x.png"))
        assert "is not conditional" in line


def test_metrics_about_labels_say_what_they_need(trained, tmp_path):
    line = one_line(call("evaluate", trained.folder, "--n", 60, "--metric", "labels"))
    assert "asks a classifier of digits" in line
    line = one_line(call("evaluate", trained.folder, "--n", 60, "--metric", "one-nn"))
    assert "has no test split" in line
    unlabelled, _ = tiny.start(tmp_path, steps=1)
    codes, _ = start(tmp_path, name="infogan-28", out="codes", steps=1)
    for run in (unlabelled, codes):
        for metric in ("labels", "one-nn"):
            line = one_line(call("evaluate", run.folder, "--n", 60, "--metric", metric))
            assert "needs samples of given classes" in line


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("infogan-28", {"codes": "1"}, "expected 2 to 1000"),
        ("infogan-28", {"codes": "0"}, "expected 2 to 1000"),
        ("infogan-28", {"codes": "1001"}, "expected 2 to 1000"),
        ("cdcgan-28", {"codes": "10"}, "expected 2 to 1000 with model=infogan and 0 without"),
        ("acgan-28", {"penalty": "r1", "penalty_weight": "1", "d_norm": "none"}, "two outputs"),
        ("cdcgan-28", {"pack": "2"}, "several: set pack=1"),
        ("cgan", {"pixel_low": "-1"}, "pixels from 0 to 1"),
        ("cgan", {"widths": "4"}, "has no widths"),
        ("cgan", {"d_norm": "none"}, "has no d_norm"),
    ],
)
def test_settings_that_cannot_work(name, values, message):
    with pytest.raises(MiniganError, match=message) as error:
        recipes.override(recipes.get(name), values)
    assert "\n" not in str(error.value)


def test_a_penalty_of_a_conditional_d_needs_a_d_without_batch_normalisation():
    changes = {"penalty": "wgan-gp", "penalty_weight": "10", **SMALL}
    with pytest.raises(MiniganError, match="set d_norm=none"):
        setup.build_game(recipe("glyphs", **changes), (1, 8, 8), classes=3)


@pytest.mark.parametrize("model", sorted(models.CONDITIONAL))
def test_a_conditional_model_needs_the_number_of_classes(model):
    with pytest.raises(MiniganError, match=f"{model} needs the number of classes, got 0"):
        models.build(model, (1, 8, 8), 4, widths=(4, 3))


def test_the_convolutional_ones_make_no_points():
    for model in ("cdcgan", "acgan", "infogan"):
        with pytest.raises(MiniganError, match="the data are points"):
            models.build(model, (2,), 4, classes=3, widths=(4, 3))


# Networks -------------------------------------------------------------------------------------


def test_recipes_and_models_agree_on_which_are_conditional():
    assert set(models.CONDITIONAL) == set(recipes.CONDITIONAL)


@pytest.mark.parametrize("name", ["cgan", "cdcgan-28", "acgan-28", "infogan-28"])
def test_both_networks_look_at_the_label(name):
    chosen = recipes.get(name)
    minigan.manual_seed(0)
    G, D = setup.build_networks(chosen, (1, 28, 28), classes=10)
    G.eval(), D.eval()
    z, x = minigan.randn(2, chosen.latent_dim), minigan.rand(2, 1, 28, 28)
    one, other = (labels.one_hot(np.array([k, k]), 10) for k in (1, 2))
    made = []
    for y in (one, other):
        minigan.manual_seed(1)  # of the noise that a cgan draws by itself
        made.append(G(z, y).numpy())
    assert np.abs(made[0] - made[1]).max() > 1e-4
    difference = np.abs((D(x, one) - D(x, other)).numpy())
    assert difference[:, -1].min() > 1e-6
    if name in ("acgan-28", "infogan-28"):
        assert difference[:, 0].max() == 0  # this D is not told; it only picks its answer


def test_y_and_z_are_equally_strong_in_a_fresh_cgan():
    minigan.manual_seed(0)
    G, D = models.build("cgan", (1, 28, 28), 100, classes=10)
    z = setup.draw_z(recipes.get("cgan"), 200)
    y = labels.one_hot(np.arange(10), 10)
    of_z, of_y = (h.numpy().std() for h in (G.from_z[0](z), G.from_y[0](y)))
    assert 0.8 < of_y / of_z < 1.25
    bounds = {name: np.abs(p.numpy()).max() for name, p in [*G.named_parameters()]}
    assert bounds["joint.1.weight"] <= 0.05
    assert np.abs(D.joint[1].weight.numpy()).max() <= 0.005


def test_the_cgan_draws_noise_of_its_own_the_same_for_the_same_z():
    minigan.manual_seed(0)
    G, _ = models.build("cgan", (1, 28, 28), 100, classes=10)
    z = setup.draw_z(recipes.get("cgan"), 3, np.random.default_rng(1))
    y = labels.one_hot(np.full(3, 4), 10)
    same_z = Tensor(np.repeat(z.numpy()[:1], 3, axis=0))
    first = train.generate(G, same_z, y)
    minigan.manual_seed(9)
    before = minigan.backends.rng().bit_generator.state
    assert np.array_equal(train.generate(G, same_z, y), first)
    assert minigan.backends.rng().bit_generator.state == before
    assert np.ptp(first, axis=0).max() > 0.01  # of one z, each image with noise of its own
    masks, draw = [], G.joint[0].forward
    G.joint[0].forward = lambda x: masks.append(draw(x)) or x
    for i in (0, 1):
        train.generate(G, z[i : i + 1], y[:1])
    of_y = [mask.numpy()[:, 200:] == 0 for mask in masks]  # which units of y's branch are zero
    assert not np.array_equal(*of_y)  # another z, other noise


def test_the_cgan_on_points(tmp_path):
    chosen = recipes.override(recipes.get("cgan"), {"data": "ring8", "latent_dim": "2"})
    train.start(chosen, out=tmp_path / "ring", steps=1, quiet=True, backend="numpy")
    assert train.Run(tmp_path / "ring").read_config().classes == tuple("01234567")
    result = call("sample", tmp_path / "ring", "--n", 9, "--npz", tmp_path / "p.npz",
                  "--out", tmp_path / "p.png")  # fmt: skip
    assert result.exit_code == 0, result.output
    with np.load(tmp_path / "p.npz") as file:
        assert file["labels"].tolist() == [*range(8), 0]


@pytest.mark.parametrize("model", ["cdcgan", "acgan"])
def test_second_derivatives_by_the_image_and_the_label(model):
    minigan.manual_seed(0)
    _, D = models.build(model, (1, 8, 8), 4, classes=3, widths=(4, 3), d_norm="instance")
    rng = np.random.default_rng(0)
    x, y = Tensor(rng.standard_normal((2, 1, 8, 8))), Tensor(rng.random((2, 3)) + 0.1)
    for p in D.parameters():
        p.data = p.data * 8  # far from linear
    D.double()
    assert gradcheck(lambda x, y: D(x, y), (x, y), order=2, step=1e-5).passed


def test_the_weights_of_infogan_s_objective_on_real_images():
    real, fake = Tensor(np.array([[0.0, -7.0]])), Tensor(np.array([[0.0, -2.0]]))
    plain = objectives.NonSaturating()
    both = objectives.AuxiliaryClassifier(base=plain)
    code = objectives.AuxiliaryClassifier(base=plain, on_real=False)
    assert both.d_loss(real, fake).item() == pytest.approx(2 * np.log(2) + 9)
    assert code.d_loss(real, fake).item() == pytest.approx(2 * np.log(2) + 2)
    assert both.g_loss(fake).item() == pytest.approx(np.log(2) + 2)
    chosen = [
        setup.build_game(recipe("glyphs", name), (1, 8, 8), classes=3).objective.on_real
        for name in ("acgan-28", "infogan-28")
    ]
    assert chosen == [True, False]
