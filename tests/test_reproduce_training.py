"""Trainings of a reproduction: shared, several at once, and they go on where they stopped."""

import dataclasses
import json

import pytest
from tiny import use, write_data

from minigan import recipes
from minigan.errors import MiniganError
from minigan.kernels import parallel
from minigan.reproduce.result import Task
from minigan.reproduce.training import Training, train, train_all
from minigan.train import capture
from minigan.train.record import Run


@pytest.fixture
def task(tmp_path, monkeypatch):
    use(monkeypatch)
    data = write_data(tmp_path / "data")
    values = {"data": data, "image_size": 8, "batch_size": 8, "latent_dim": 4}
    recipe = recipes.override(recipes.get("gan"), values)
    task = Task("demo", "", tmp_path / "out", runs=tmp_path / "runs")
    return task, lambda name, seed=0, steps=6: Training(name, recipe, seed, steps)


def weights(run):
    from minigan.train import checkpoint

    path = max(run.checkpoints().items())[1]
    arrays = checkpoint.read(path).arrays
    return {name: array.tobytes() for name, array in arrays.items()}


def note(run):
    """What is done after each turn."""
    path = run.folder / "turns.json"
    before = json.loads(path.read_text()) if path.exists() else []
    path.write_text(json.dumps([*before, max(run.checkpoints())]))


def test_one_run_is_found_again(task):
    task, wanted = task
    run = train(task, wanted("a"))
    assert max(run.checkpoints()) == 6
    before = weights(run)
    assert weights(train(task, wanted("a"))) == before
    assert weights(train(task, wanted("b", seed=1))) != before


def test_turns_give_the_same_weights_as_one_go(task, monkeypatch):
    task, wanted = task
    monkeypatch.setattr(parallel, "_num_threads", 1)
    whole = train(task, wanted("whole"))
    runs = train_all(task, [wanted("a"), wanted("b", seed=1, steps=4)], every=4, after=note)
    assert weights(runs[0]) == weights(whole)
    assert json.loads((runs[0].folder / "turns.json").read_text()) == [4, 6]
    assert json.loads((runs[1].folder / "turns.json").read_text()) == [4]


def test_a_stopped_training_goes_on(task, monkeypatch):
    task, wanted = task
    monkeypatch.setattr(parallel, "_num_threads", 1)

    def stopped(run):
        note(run)
        if max(run.checkpoints()) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_all(task, [wanted("a")], every=2, after=stopped)
    (run,) = train_all(task, [wanted("a")], every=2, after=note)
    # 4 is noted twice: whether what follows a turn was done, only that function can know.
    assert json.loads((run.folder / "turns.json").read_text()) == [2, 4, 4, 6]
    assert weights(run) == weights(train(task, wanted("whole")))


def over_at_two(run):
    note(run)
    return max(run.checkpoints()) == 2 and run.folder.name == "a"


def test_a_run_may_end_early(task, monkeypatch):
    task, wanted = task
    monkeypatch.setattr(parallel, "_num_threads", 1)
    both = [wanted("a", steps=3), wanted("b", steps=3)]
    runs = train_all(task, both, every=1, after=over_at_two)
    assert [max(run.checkpoints()) for run in runs] == [2, 3]
    again = train_all(task, both, every=1, after=over_at_two)
    assert [max(run.checkpoints()) for run in again] == [2, 3]


def test_ctrl_c_in_a_step_stops_everything(task, monkeypatch):
    task, wanted = task
    play = capture.play_step

    def interrupted(game, batches):
        import os
        import signal

        os.kill(os.getpid(), signal.SIGINT)
        return play(game, batches)

    monkeypatch.setattr(capture, "play_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(task, wanted("a"))
    assert max(Run(task.runs / "a").checkpoints()) == 1
    monkeypatch.setattr(capture, "play_step", play)
    assert max(train(task, wanted("a")).checkpoints()) == 6


def test_two_processes(tmp_path):
    """Real processes, so real networks: of points, which are small."""
    values = {"data": "gaussian1d", "batch_size": 8, "latent_dim": 2}
    recipe = recipes.override(recipes.get("gan-relu"), values)
    task = Task("demo", "", tmp_path / "out", runs=tmp_path / "runs")
    wanted = [Training(name, recipe, 0, 4) for name in "abc"]
    parallel.set_num_threads(2)
    runs = train_all(task, wanted, every=2, after=over_at_two)
    assert [max(run.checkpoints()) for run in runs] == [2, 4, 4]
    turns = [json.loads((run.folder / "turns.json").read_text()) for run in runs]
    assert turns == [[2], [2, 4], [2, 4]]
    assert {run.read_config().threads for run in runs} == {1}


def test_another_training_of_that_name_is_refused(task):
    task, wanted = task
    train(task, wanted("a"))
    faster = dataclasses.replace(wanted("a").recipe, lr=0.5)
    with pytest.raises(MiniganError, match=r"another training: its lr is 0\.0002, wanted is 0\.5"):
        train(task, dataclasses.replace(wanted("a"), recipe=faster))
    with pytest.raises(MiniganError, match="its seed is 0, wanted is 7"):
        train(task, wanted("a", seed=7))
    with pytest.raises(MiniganError, match="is at step 6 already, and step 3 is wanted"):
        train(task, wanted("a", steps=3))


def test_a_folder_without_a_configuration_begins_again(task):
    task, wanted = task
    (task.runs / "a" / "samples").mkdir(parents=True)  # killed before the first checkpoint
    assert max(train(task, wanted("a")).checkpoints()) == 6


@pytest.mark.parametrize("work", ["checkpoints/step-000005.npz", "notes.txt"])
def test_work_without_a_configuration_stays(task, work):
    task, wanted = task
    train(task, wanted("b", steps=1))
    path = task.runs / "a" / work
    path.parent.mkdir(parents=True)
    path.write_bytes(b"work of hours")
    with pytest.raises(MiniganError, match="json, but work in it: put config"):
        train(task, wanted("a"))
    assert path.read_bytes() == b"work of hours"


def test_a_beginning_of_another_process_stays(task):
    """Between its first file and its configuration it holds the lock, as here."""
    task, wanted = task
    samples = task.runs / "a" / "samples"
    samples.mkdir(parents=True)
    with Run(task.runs / "a").locked(), pytest.raises(MiniganError, match="another process"):
        train(task, wanted("a"))
    assert samples.exists()


def test_the_number_of_threads_is_what_it_was(task, monkeypatch):
    """A run is trained by one thread, and what comes after it by all."""
    task, wanted = task
    monkeypatch.setattr(parallel, "_num_threads", 2)
    train_all(task, [wanted("a")], every=4)
    assert parallel.get_num_threads() == 2
    train(task, wanted("a"))  # its configuration says one
    assert parallel.get_num_threads() == 2
