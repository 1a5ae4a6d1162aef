"""The run: exact to resume, safe to stop, and it keeps what it has when something goes wrong."""

import dataclasses
import errno
import json
import math
import os
import signal

import numpy as np
import pytest
import tiny

from minigan import data, plots, recipes, train
from minigan.autograd import Tensor
from minigan.errors import MiniganError
from minigan.train import capture, launch, quality, record, trainer
from minigan.train import checkpoint as checkpoints
from minigan.train.step import read


@pytest.fixture(autouse=True)
def tiny_networks(monkeypatch):
    tiny.use(monkeypatch)


@pytest.fixture
def no_pictures(monkeypatch):
    """Matplotlib takes longer than such a run."""
    monkeypatch.setattr(plots, "curves", lambda log, path: None)


def log_without_times(run):
    times = ("seconds", "steps_per_second")
    return [{k: v for k, v in entry.items() if k not in times} for entry in run.read_log()]


def assert_same_state(run, other, step):
    a, b = (checkpoints.read(r.checkpoint_path(step)) for r in (run, other))
    assert a.arrays.keys() == b.arrays.keys()
    for name, array in a.arrays.items():
        assert array.tobytes() == b.arrays[name].tobytes(), name
    assert a.quality == b.quality


def stop_at(monkeypatch, step, number=signal.SIGINT, times=1):
    """Send the signal while that step is played."""
    played = 0
    original = capture.play_step

    def play(game, batches):
        nonlocal played
        played += 1
        if played == step:
            for _ in range(times):
                signal.raise_signal(number)
        return original(game, batches)

    monkeypatch.setattr(capture, "play_step", play)


# A run is a folder --------------------------------------------------------------------------


def test_the_folder_explains_itself(tmp_path):
    run, summary = tiny.start(tmp_path, steps=7, sample_every=3, checkpoint_every=2, log_every=5)
    assert sorted(p.name for p in run.folder.iterdir()) == [
        "checkpoints", "config.json", "curves.png", "log.jsonl", "samples", "training.gif",
    ]  # fmt: skip
    assert list(run.samples()) == [0, 3, 6, 7]
    assert [entry["step"] for entry in run.read_log()] == [1, 5]
    assert {4, 6, 7} <= run.checkpoints().keys()
    assert summary.step == summary.steps == 7
    assert summary.signal is None

    config = json.loads(run.config_path.read_text())
    dataset = data.load(config["recipe"]["data"], size=8)
    assert config["data_checksum"] == dataset.checksum
    assert config["recipe"]["lr"] == 2e-4
    assert config["versions"]["numpy"] == np.__version__
    assert run.read_config().to_json() == config


def test_log_entries_are_what_the_step_returned(tmp_path, no_pictures, monkeypatch):
    seen = []
    original = capture.play_step

    def play(game, batches):
        losses = original(game, batches)
        norm = math.sqrt(sum(float((p.grad.numpy() ** 2).sum()) for p in game.D.parameters()))
        seen.append((*read([losses]), norm))
        return losses

    monkeypatch.setattr(capture, "play_step", play)
    run, _ = tiny.start(tmp_path, steps=3)
    for entry, (losses, norm) in zip(run.read_log(), seen, strict=True):
        assert {key: entry[key] for key in losses} == losses
        assert entry["d_grad_norm"] == pytest.approx(norm, rel=1e-6)
        assert entry["epoch"] == entry["step"] / 8


def test_default_is_the_recipe_epochs(tmp_path, no_pictures):
    run, summary = tiny.start(tmp_path, steps=None, changes={"epochs": 2})
    assert summary.step == 16  # 64 images, 8 in a batch
    assert run.read_config().checkpoint_every == 500


def test_an_epoch_is_one_pass_of_d_through_the_data(tmp_path, no_pictures):
    _, summary = tiny.start(tmp_path, steps=None, changes={"epochs": 2, "d_steps": 4})
    assert summary.step == 4


@pytest.mark.parametrize("k", [1, 2])
def test_d_sees_every_image_once_an_epoch(tmp_path, no_pictures, monkeypatch, k):
    seen = []
    original = capture.play_step

    def play(game, batches):
        assert len(batches) == k
        seen.extend(row.tobytes() for x in batches for row in x.numpy())
        return original(game, batches)

    monkeypatch.setattr(capture, "play_step", play)
    tiny.start(tmp_path, steps=8 // k, changes={"d_steps": k})
    x = data.load(tiny.write_data(tmp_path), size=8).x
    assert sorted(seen) == sorted(row.tobytes() for row in data.to_float(x, -1, 1))


def test_schedules_follow_the_step(tmp_path, no_pictures):
    changes = {"lr": 0.1, "lr_decay": 1.1, "optimizer": "sgd", "momentum": 0.2,
               "momentum_end": 0.6, "momentum_epochs": 1}  # fmt: skip
    run, _ = tiny.start(tmp_path, steps=5, changes=changes)
    for player in ("opt_D", "opt_G"):  # as they were in the fifth step, which is t = 4
        state = checkpoints.read(run.checkpoint_path(5)).part(player)
        assert state["lr"] == pytest.approx(0.1 / 1.1**4)
        assert state["momentum"] == pytest.approx(0.2 + 0.4 * 4 / 8)


def test_samples_come_from_the_average(tmp_path, no_pictures):
    run, _ = tiny.start(tmp_path, steps=3, changes={"ema": 0.9, "lr": 0.01})
    path = run.checkpoint_path(3)
    G, _, _ = train.load_generator(path)
    found = np.concatenate([p.numpy().ravel() for p in G.parameters()])
    saved = checkpoints.read(path)
    np.testing.assert_array_equal(found, saved.arrays["ema.average"])
    assert not np.array_equal(found[:32], saved.arrays["G.0.weight"].ravel()[:32])


def test_keeps_the_last_and_the_best(tmp_path, no_pictures, monkeypatch):
    distances = iter([9.0, 5.0, 1.0, 3.0, 4.0, 6.0])
    monkeypatch.setattr(quality, "frechet", lambda *_: next(distances))
    run, summary = tiny.start(tmp_path, steps=5, checkpoint_every=1, keep=2)
    assert list(run.checkpoints()) == [2, 4, 5]
    assert (summary.best_step, summary.best_quality) == (2, 1.0)
    assert train.choose(run.folder) == run.checkpoint_path(2)
    assert train.choose(run.folder, "last") == run.checkpoint_path(5)
    assert train.choose(run.folder, "4") == run.checkpoint_path(4)


def test_no_run_is_overwritten(tmp_path, no_pictures):
    run, _ = tiny.start(tmp_path, steps=2)
    before = run.config_path.read_bytes()
    with pytest.raises(MiniganError, match="already holds a run: continue it with --resume"):
        tiny.start(tmp_path, steps=2)
    assert run.config_path.read_bytes() == before
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("")
    with pytest.raises(MiniganError, match="not empty"):
        tiny.start(tmp_path, name="other")


def test_wrong_data_leaves_no_folder(tmp_path):
    with pytest.raises(MiniganError, match="batch size 1000 is larger"):
        tiny.start(tmp_path, changes={"batch_size": 1000})
    assert not (tmp_path / "run").exists()


def test_default_folder_has_the_next_free_number(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe = recipes.get("gan")
    assert str(launch.next_free(recipe)) == os.path.join("runs", "gan-glyphs-1")
    launch.next_free(recipe).mkdir(parents=True)
    assert launch.next_free(recipe).name == "gan-glyphs-2"
    assert launch.next_free(tiny.recipe(tmp_path)).name == "gan-tiny-1"


def test_points(tmp_path):
    run, summary = tiny.start(tmp_path, steps=2, changes={"data": "ring8"})
    assert summary.step == 2
    G, config, _ = train.load_generator(run.checkpoint_path(2))
    assert config.data_shape == (2,)
    assert train.generate(G, train.draw_z(config.recipe, 5)).shape == (5, 2)


# Resuming is exact --------------------------------------------------------------------------

GAMES = {
    "alternate": {},
    "k of 2": {"d_steps": 2},
    "simultaneous": {"updates": "simultaneous", "latent": "uniform"},
    "average": {"ema": 0.9, "label_smoothing": 0.1},
    "schedules": {"optimizer": "sgd", "lr": 0.1, "lr_decay": 1.1, "lr_floor": 0.01,
                  "momentum": 0.5, "momentum_end": 0.7, "momentum_epochs": 1},
    "rmsprop": {"optimizer": "rmsprop"},
}  # fmt: skip


@pytest.mark.parametrize("game", GAMES)
def test_resume_is_exact(tmp_path, no_pictures, game):
    options = {"changes": GAMES[game], "checkpoint_every": 6, "seed": 3}
    whole, _ = tiny.start(tmp_path, name="whole", steps=13, **options)
    parts, _ = tiny.start(tmp_path, name="parts", steps=5, **options)
    for steps in (9, 13):
        summary = train.resume(parts.folder, steps=steps, quiet=True)
        assert summary.step == steps
    assert_same_state(whole, parts, 13)
    assert log_without_times(whole) == log_without_times(parts)
    assert whole.sample_path(13).read_bytes() == parts.sample_path(13).read_bytes()


def test_the_published_recipe_resumes_exactly(tmp_path, no_pictures, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(plots, "curves", lambda log, path: None)
    recipe = recipes.override(tiny.recipe(tmp_path), {"ema": 0.9})
    options = {"quiet": True, "log_every": 1, "sample_every": 100}
    train.start(recipe, steps=4, out=tmp_path / "whole", **options)
    train.start(recipe, steps=2, out=tmp_path / "parts", **options)
    train.resume(tmp_path / "parts", steps=4, quiet=True)
    whole, parts = train.Run(tmp_path / "whole"), train.Run(tmp_path / "parts")
    assert_same_state(whole, parts, 4)
    assert log_without_times(whole) == log_without_times(parts)


def test_sampling_and_saving_do_not_change_the_run(tmp_path, no_pictures):
    options = {"steps": 6, "changes": {"ema": 0.5}}
    often, _ = tiny.start(tmp_path, name="often", sample_every=1, checkpoint_every=1, **options)
    seldom, _ = tiny.start(tmp_path, name="seldom", log_every=4, **options)
    assert_same_state(often, seldom, 6)


def test_another_seed_is_another_run(tmp_path, no_pictures):
    first, _ = tiny.start(tmp_path, name="first", seed=1)
    second, _ = tiny.start(tmp_path, name="second", seed=2)
    a, b = (checkpoints.read(run.checkpoint_path(4)).part("G") for run in (first, second))
    assert not np.array_equal(a["0.weight"], b["0.weight"])


def test_log_is_cut_back_to_the_checkpoint(tmp_path, no_pictures):
    run, _ = tiny.start(tmp_path, steps=4)
    expected = run.log_path.read_bytes()
    with open(run.log_path, "ab") as file:  # what a killed process may leave: more, and half a line
        last = json.loads(expected.splitlines()[-1])
        file.write(json.dumps({**last, "step": 5}).encode() + b'\n{"step": 6, "ep')
    assert [entry["step"] for entry in run.read_log()] == [1, 2, 3, 4, 5]
    train.resume(run.folder, steps=4, quiet=True)
    assert run.log_path.read_bytes() == expected


def test_resuming_a_finished_run_changes_nothing(tmp_path, no_pictures):
    run, _ = tiny.start(tmp_path, steps=4)
    before = run.checkpoint_path(4).read_bytes()
    assert train.resume(run.folder, quiet=True).step == 4
    assert run.checkpoint_path(4).read_bytes() == before
    with pytest.raises(MiniganError, match="is at step 4 already"):
        train.resume(run.folder, steps=3, quiet=True)


def test_epochs_are_a_total(tmp_path, no_pictures):
    run, _ = tiny.start(tmp_path, steps=4)
    assert train.resume(run.folder, epochs=1, quiet=True).step == 8


def test_damaged_newest_checkpoint_falls_back(tmp_path, no_pictures, capsys):
    run, _ = tiny.start(tmp_path, steps=4, checkpoint_every=2, keep=1)
    whole = run.checkpoint_path(4).read_bytes()
    run.checkpoint_path(4).write_bytes(whole[:-100])
    checkpoints.write(
        run.checkpoint_path(2),
        dataclasses.replace(checkpoints.read(tiny_copy(tmp_path, 2)), seconds=1.0),
    )
    train.resume(run.folder, steps=5)
    assert "step-000004.npz is not a usable checkpoint" in capsys.readouterr().err
    assert run.checkpoint_path(4).with_name("step-000004.npz.damaged").exists()
    checkpoints.read(run.checkpoint_path(5))


def tiny_copy(folder, step):
    run, _ = tiny.start(folder, name="copy", steps=step)
    return run.checkpoint_path(step)


def test_no_loadable_checkpoint(tmp_path, no_pictures, capsys):
    run, _ = tiny.start(tmp_path, steps=2)
    for path in run.checkpoints().values():
        path.write_bytes(b"")
    with pytest.raises(MiniganError, match="holds no loadable checkpoint"):
        train.resume(run.folder, quiet=True)
    assert len(run.checkpoints()) == 2  # nothing was renamed or removed


def test_changed_data_is_refused(tmp_path, no_pictures):
    run, _ = tiny.start(tmp_path, steps=2)
    np.savez(tmp_path / "tiny.npz", images=np.zeros((64, 8, 8), np.uint8))
    with pytest.raises(MiniganError, match="checksum differs"):
        train.resume(run.folder, steps=4, quiet=True)


def test_changed_recipe_is_refused(tmp_path, no_pictures):
    run, _ = tiny.start(tmp_path, steps=2)
    run.config_path.write_text(run.config_path.read_text().replace("0.0002", "0.0003"))
    with pytest.raises(MiniganError, match="its recipe is not that of the checkpoints"):
        train.resume(run.folder, steps=4, quiet=True)


def test_not_a_run(tmp_path):
    with pytest.raises(MiniganError, match=r"is not a run: it has no config\.json"):
        train.resume(tmp_path)


@pytest.mark.skipif(record.fcntl is None, reason="there are no such locks on Windows")
def test_two_processes_cannot_train_one_run(tmp_path, no_pictures):
    run, _ = tiny.start(tmp_path, steps=2)
    with run.locked(), pytest.raises(MiniganError, match="another process is training"):
        train.resume(run.folder, steps=4, quiet=True)
    train.resume(run.folder, steps=4, quiet=True)


# Stopping -----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_finishes_the_step_and_saves(tmp_path, no_pictures, monkeypatch, number):
    before = signal.getsignal(number)
    stop_at(monkeypatch, 3, number)
    run, summary = tiny.start(tmp_path, steps=10)
    assert (summary.step, summary.signal) == (3, number)
    assert signal.getsignal(number) is before
    monkeypatch.undo()
    tiny.use(monkeypatch)
    monkeypatch.setattr(plots, "curves", lambda log, path: None)
    train.resume(run.folder, quiet=True)
    whole, _ = tiny.start(tmp_path, name="whole", steps=10)
    assert_same_state(whole, run, 10)


def test_second_signal_stops_at_once_and_damages_nothing(tmp_path, no_pictures, monkeypatch):
    stop_at(monkeypatch, 3, times=2)
    with pytest.raises(KeyboardInterrupt):
        tiny.start(tmp_path, steps=10)
    run = train.Run(tmp_path / "run")
    assert list(run.checkpoints()) == [0]
    checkpoints.read(run.checkpoint_path(0))


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_second_signal_while_saving_damages_nothing(tmp_path, no_pictures, monkeypatch, call):
    run, _ = tiny.start(tmp_path, steps=2)
    stop_at(monkeypatch, 1)
    original = getattr(os, call)

    def interrupted(*args):
        signal.raise_signal(signal.SIGINT)
        return original(*args)

    replay = capture.play_step

    def play(game, batches):
        monkeypatch.setattr(os, call, interrupted)
        return replay(game, batches)

    monkeypatch.setattr(capture, "play_step", play)
    with pytest.raises(KeyboardInterrupt):
        train.resume(run.folder, steps=10, quiet=True)
    monkeypatch.setattr(os, call, original)
    assert not list(run.folder.rglob("*.part"))
    for path in run.checkpoints().values():
        checkpoints.read(path)
    assert 2 in run.checkpoints()


# Trouble ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["d_loss", "g_loss", "d_real", "d_fake"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_losses_that_are_not_finite_stop_the_run(tmp_path, no_pictures, monkeypatch, name, value):
    original = capture.play_step
    steps = []

    def play(game, batches):
        steps.append(1)
        losses = original(game, batches)
        return {**losses, name: Tensor(np.array(value, np.float32))} if len(steps) == 5 else losses

    monkeypatch.setattr(capture, "play_step", play)
    with pytest.raises(MiniganError, match="step 5: ") as error:
        tiny.start(tmp_path, steps=10, checkpoint_every=2)
    run = train.Run(tmp_path / "run")
    assert str(run.checkpoint_path(4)) in str(error.value)
    assert "--set lr" in str(error.value)
    assert list(run.checkpoints())[-1] == 4
    assert run.read_log()[-1]["step"] == 4


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    """Losses are read at logging points only; how many steps each time."""
    make, look = trainer.Trainer.__init__, trainer.read
    counts = []

    def init(self, *args, **options):
        make(self, *args, **options)
        self.reads_each_step = False

    def count(records):
        counts.append(len(records))
        return look(records)

    monkeypatch.setattr(trainer.Trainer, "__init__", init)
    monkeypatch.setattr(trainer, "read", count)
    return counts


def test_on_a_gpu_losses_are_read_at_logging_points(tmp_path, no_pictures, as_on_a_gpu):
    run, summary = tiny.start(tmp_path, steps=12, log_every=5, checkpoint_every=8)
    assert [n for n in as_on_a_gpu if n] == [1, 4, 3, 2, 2]  # steps 1, 5, 8 (saved), 10, 12
    assert [entry["step"] for entry in run.read_log()] == [1, 5, 10]
    other, _ = tiny.start(tmp_path, steps=12, log_every=1, name="other")
    assert_same_state(run, other, 12)
    assert summary.losses == {key: other.read_log()[-1][key] for key in summary.losses}


@pytest.mark.parametrize(("step", "saved"), [(5, 4), (6, 4), (9, 8)])
def test_on_a_gpu_no_checkpoint_is_written_after_a_loss_that_is_not_finite(
    tmp_path, no_pictures, monkeypatch, as_on_a_gpu, step, saved
):
    """One infinite loss, with finite ones after it, is found at the next reading."""
    original = capture.play_step
    steps = []

    def play(game, batches):
        steps.append(1)
        losses = original(game, batches)
        bad = {"g_loss": Tensor(np.array(np.inf, np.float32))}
        return {**losses, **bad} if len(steps) == step else losses

    monkeypatch.setattr(capture, "play_step", play)
    with pytest.raises(MiniganError, match=f"step {step}: G's loss is inf") as error:
        tiny.start(tmp_path, steps=10, checkpoint_every=4, log_every=100)
    run = train.Run(tmp_path / "run")
    assert list(run.checkpoints())[-1] == saved
    assert str(run.checkpoint_path(saved)) in str(error.value)


def test_a_real_divergence(tmp_path, no_pictures):
    changes = {"lr": 1e30, "optimizer": "sgd"}
    with pytest.raises(MiniganError, match=r"training was stopped|no longer finite"):
        tiny.start(tmp_path, steps=50, changes=changes, checkpoint_every=1)
    run = train.Run(tmp_path / "run")
    assert run.checkpoints()
    for path in run.checkpoints().values():
        checkpoints.read(path)


def full_disk_after(monkeypatch, call, count):
    original = getattr(os, call)
    left = count

    def full(*args):
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return original(*args)

    monkeypatch.setattr(os, call, full)


@pytest.mark.parametrize("count", range(9))
def test_full_disk_at_any_write_keeps_what_there_is(tmp_path, no_pictures, monkeypatch, count):
    run, _ = tiny.start(tmp_path, steps=3)
    full_disk_after(monkeypatch, "fsync", count)
    with pytest.raises(MiniganError, match="No space left on device") as error:
        train.resume(run.folder, steps=40, quiet=True)
    assert "\n" not in str(error.value)
    monkeypatch.undo()
    tiny.use(monkeypatch)
    monkeypatch.setattr(plots, "curves", lambda log, path: None)
    assert not list(run.folder.rglob("*.part"))
    for path in run.checkpoints().values():
        checkpoints.read(path)
    train.resume(run.folder, steps=40, quiet=True)
    whole, _ = tiny.start(tmp_path, name="whole", steps=40)
    assert_same_state(whole, run, 40)


def test_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MiniganError, match=r"cannot make .*file"):
        tiny.start(tmp_path, name="file/run")
    with pytest.raises(MiniganError):
        tiny.start(tmp_path, name="file")


# The distance -------------------------------------------------------------------------------


def test_frechet_distance_of_known_gaussians():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 4, 4))
    first, second = (np.zeros(4), a @ a.T), (np.ones(4), b @ b.T)
    assert quality.frechet(first, first) == pytest.approx(0, abs=1e-9)
    assert quality.frechet(first, second) == pytest.approx(quality.frechet(second, first))
    # tr (S1 S2)^1/2 is the sum of the roots of the eigenvalues of S1 S2, which are not negative.
    roots = np.sqrt(np.linalg.eigvals(first[1] @ second[1]).real).sum()
    expected = 4 + np.trace(first[1]) + np.trace(second[1]) - 2 * roots
    assert quality.frechet(first, second) == pytest.approx(expected)


@pytest.mark.parametrize("side", [5, 7, 8, 28, 32])
def test_features_are_means_of_blocks(side):
    x = np.random.default_rng(0).uniform(-1, 1, (3, 2, side, side))
    found = quality.features(x, -1, 1)
    small = min(side, 7)
    assert found.shape == (3, 2 * small * small)
    cuts = [i * side // small for i in range(small + 1)]
    block = x[1, 1, cuts[0] : cuts[1], cuts[-2] : cuts[-1]]
    assert found.reshape(3, 2, small, small)[1, 1, 0, -1] == pytest.approx((block.mean() + 1) / 2)


def test_distance_prefers_samples_like_the_data(tmp_path):
    x = data.load(tiny.write_data(tmp_path), size=8).x
    real = quality.of_data(x)
    near = quality.gaussian(iter([quality.features(x.astype(float), 0, 255)]))
    far = quality.gaussian(iter([quality.features(x / 2.0, 0, 255)]))
    assert quality.frechet(real, near) < 1e-6 < quality.frechet(real, far)


def test_the_rows_compared_with_are_of_all_classes():
    x = np.zeros((60_000, 1, 8, 8), np.uint8)
    x[1::2] = 255  # as the glyphs, whose classes repeat with the row number
    mean, _ = quality.of_data(x)
    assert mean == pytest.approx(0.5, abs=0.03)
