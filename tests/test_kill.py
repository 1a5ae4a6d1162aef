"""kill -9 at any moment leaves a run whose checkpoints are whole, and which goes on exactly."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the loop of kills needs fork")

KILLS = 52

# A process that has imported everything and forks a trainer to kill, again and again.  It is not
# the process of the tests: threads of the libraries used there would not survive a fork.
LOOP = """
import json, os, random, signal, sys, time
from pathlib import Path

import tiny
from minigan import models, plots, train
from minigan.train import checkpoint, quality

models.build = tiny.build
quality.SAMPLES = 200
plots.curves = lambda log, path: None
folder, kills = Path(sys.argv[1]), int(sys.argv[2])
random.seed(0)
often = {"checkpoint_every": 2, "sample_every": 3}


def killed(play, within):
    # Fork, let it play for a moment, kill it: whatever it is doing then, it does not get to finish.
    if not (child := os.fork()):
        try:
            play()
        except BaseException:  # a child that fails by itself must be seen
            import traceback

            traceback.print_exc()
        os._exit(1)
    time.sleep(random.uniform(0.0, within))
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the trainer failed before it was killed"


def whole(run):
    # Every checkpoint there is loads, and so do the configuration and the log.
    for path in run.checkpoints().values():
        checkpoint.read(path)
    run.read_config()
    run.read_log()
    return max(run.checkpoints())


# How long a run of a few steps takes here, now: the kills come within that.
tiny.start(folder, name="warm", steps=4, **often)
began = time.perf_counter()
run, _ = tiny.start(folder, name="run", steps=4, **often)
usual = time.perf_counter() - began

unborn = 0
for i in range(kills // 4):  # killed at the start of a run
    killed(lambda: tiny.start(folder, name=f"start{i}", steps=10**6, **often), usual)
    run = train.Run(folder / f"start{i}")
    if run.config_path.exists():
        whole(run)
    else:
        unborn += 1

run = train.Run(folder / "run")
reached, leftovers = [], 0
for i in range(kills):  # killed again and again while it goes on
    killed(lambda: train.resume(run.folder, steps=10**6, quiet=True), 1.2 * usual)
    leftovers += len(list(run.folder.rglob("*.part")))
    reached.append(whole(run))
last = reached[-1] + 3
train.resume(run.folder, steps=last, quiet=True)
assert not list(run.folder.rglob("*.part"))
print(json.dumps({"reached": reached, "last": last, "leftovers": leftovers, "unborn": unborn}))
"""


# A trainer killed while it holds the progress bar's lock, and then another trainer.
HOLDER = """
import os, signal
from minigan.train.progress import ProgressBar

ProgressBar(total=1, disable=True).close()
if not (child := os.fork()):
    ProgressBar.get_lock().acquire()
    os.kill(os.getpid(), signal.SIGKILL)
os.waitpid(child, 0)
ProgressBar(total=1, disable=True).close()
"""


def test_a_killed_process_takes_no_lock_with_it():
    root = Path(__file__).parent.parent
    result = subprocess.run(
        [sys.executable, "-c", HOLDER],
        capture_output=True, text=True, check=False, timeout=30,
        env={**os.environ, "PYTHONPATH": str(root)},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr


@pytest.fixture
def folder(tmp_path):
    """In memory where possible: on a busy disk each fsync takes long, and there are hundreds.

    A kill, unlike a power cut, loses nothing that was written, so it is the same test.
    """
    memory = Path("/dev/shm")
    if not (memory.is_dir() and os.access(memory, os.W_OK)):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory, prefix="minigan-kills-") as made:
        yield Path(made)


def test_kills(folder, monkeypatch):
    import tiny

    from minigan.train import checkpoint

    root = Path(__file__).parent
    paths = os.pathsep.join([str(root), str(root.parent)])
    result = subprocess.run(
        [sys.executable, "-c", LOOP, str(folder), str(KILLS)],
        capture_output=True, text=True, check=False, timeout=240,
        env={**os.environ, "PYTHONPATH": paths, "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout)
    assert told["reached"] == sorted(told["reached"])  # no kill loses a checkpoint
    assert told["reached"][-1] > told["reached"][0]  # and the run gets on in between

    # The run that was killed again and again is the run that was not.
    tiny.use(monkeypatch)
    whole, _ = tiny.start(folder, name="whole", steps=told["last"], checkpoint_every=10**6)
    run = type(whole)(folder / "run")
    a, b = (checkpoint.read(r.checkpoint_path(told["last"])) for r in (run, whole))
    for name, array in a.arrays.items():
        assert array.tobytes() == b.arrays[name].tobytes(), name
    steps = [entry["step"] for entry in run.read_log()]
    assert steps == list(range(1, told["last"] + 1))
