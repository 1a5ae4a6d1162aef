"""The command line: what it prints, what it writes, and with which code it exits."""

import json
import os
import re
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import click
import numpy as np
import pytest
import quoted  # docs, see setup.cfg
import tiny
from click.testing import CliRunner
from PIL import Image

from minigan import gradient_check, plots, recipes, train
from minigan.cli import COMMANDS, program
from minigan.cli import train as train_command
from minigan.train import capture, launch

ROOT = Path(__file__).parent.parent


def call(*args):
    return CliRunner().invoke(program, [str(arg) for arg in args], prog_name="minigan")


def good(*args):
    result = call(*args)
    assert result.exit_code == 0, result.output
    return result


def one_error(code, *args):
    """The only line on stderr of a call that fails with this code."""
    result = call(*args)
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("minigan: error: ")
    return line


def shell(code, *, command=None, **options):
    """Run Python, or a command, in a process of its own."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    return subprocess.run(
        command or [sys.executable, "-c", code],
        capture_output=True, text=True, check=False, timeout=120, env=env, **options,
    )  # fmt: skip


@pytest.fixture
def quick(monkeypatch, tmp_path):
    """Tiny networks and no curves; the options of a run on the tiny data."""
    tiny.use(monkeypatch)
    monkeypatch.setattr(plots, "curves", lambda log, path: None)
    return [
        "train", "gan", "--data", tiny.write_data(tmp_path), "--set", "image_size=8",
        "--batch-size", 8, "--out", tmp_path / "run", "--sample-every", 100, "--backend", "numpy",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run, made once for all commands that read one."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        tiny.use(monkeypatch)
        run, _ = tiny.start(tmp_path_factory.mktemp("cli"), steps=4, checkpoint_every=2)
    return run


@pytest.fixture
def tiny_networks(monkeypatch):
    tiny.use(monkeypatch)


# Help and start -----------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(command):
    result = good(command, "--help")
    assert f"  minigan {command}" in result.stdout
    assert "Example" in result.stdout


def test_help_lists_all_commands_and_the_completion():
    text = good("--help").stdout
    assert all(f"\n  {command} " in text for command in COMMANDS)
    assert "_MINIGAN_COMPLETE=bash_source" in text
    assert good("-h").stdout == text


def test_options_on_the_pages_exist():
    """Of each ``minigan COMMAND --option`` in a page's text or in one of its blocks."""
    seen = 0
    for page in quoted.pages():
        text = page.read_text(encoding="utf-8")
        written = re.findall(r"`minigan ([^`]+)`", text)
        written += re.findall(r"^(?:\$ )?minigan (.+)$", text, re.MULTILINE)
        for command, *words in map(str.split, written):
            if command not in COMMANDS:  # a line of prose, or of a table
                continue
            options = {o for p in program.get_command(None, command).params for o in p.opts}
            named = {word.partition("=")[0] for word in words if word.startswith("--")}
            assert named <= {*options, "--help"}, (page.name, command)
            seen += 1
    assert seen > 50


def test_help_imports_nothing_heavy():
    result = shell(
        "import sys\n"
        "from minigan.__main__ import main\n"
        "sys.argv = ['minigan', '--help']\n"
        "try:\n    main()\n"
        "except SystemExit as done:\n    assert done.code == 0\n"
        "heavy = {'numpy', 'numba', 'matplotlib', 'PIL', 'tqdm', 'cupy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    assert result.returncode == 0, result.stderr


def test_completion_knows_commands_and_recipes():
    env = {
        "_MINIGAN_COMPLETE": "bash_complete",
        "COMP_WORDS": "minigan train ga",
        "COMP_CWORD": "2",
    }
    result = CliRunner(env=env).invoke(program, [], prog_name="minigan")
    expected = [name for name in recipes.names() if name.startswith("ga")]
    assert [line.split(",")[1] for line in result.stdout.split()] == expected


def test_version():
    assert good("--version").stdout.startswith("minigan 0.")


# A run --------------------------------------------------------------------------------------


def test_train_resume_and_json(quick, tmp_path):
    first = good(*quick, "--steps", 3)
    assert f"{tmp_path / 'run'}: step 3 of 3" in first.stdout
    assert "100%" in first.stderr
    assert "D(G(z))" in first.stderr
    second = good("train", "--resume", tmp_path / "run", "--steps", 5, "--json", "--quiet")
    assert second.stderr == ""
    told = json.loads(second.stdout)
    assert (told["step"], told["steps"], told["signal"]) == (5, 5, None)
    assert set(told["losses"]) == {"d_loss", "g_loss", "d_real", "d_fake"}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals(quick, tmp_path, monkeypatch, number, code):
    original = capture.play_step

    def play(game, batches):
        signal.raise_signal(number)
        return original(game, batches)

    monkeypatch.setattr(capture, "play_step", play)
    result = call(*quick, "--steps", 50)
    assert result.exit_code == code
    assert f"go on with: minigan train --resume {tmp_path / 'run'}" in result.stderr
    assert list(train.Run(tmp_path / "run").checkpoints()) == [0, 1]


def test_interrupt_before_the_first_step(quick, monkeypatch):
    def interrupt(*_):  # not a signal: a shell may start background jobs with SIGINT ignored
        raise KeyboardInterrupt

    monkeypatch.setattr(launch, "load_data", interrupt)
    result = call(*quick)
    assert result.exit_code == 130
    assert "minigan: error: interrupted" in result.stderr


def test_warnings_are_one_line(quick, monkeypatch):
    def warn(*_):
        warnings.warn("the cache is full", stacklevel=2)
        raise KeyboardInterrupt

    monkeypatch.setattr(launch, "load_data", warn)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert "minigan: warning: the cache is full\n" in call(*quick).stderr


def test_divergence_exits_with_1(quick):
    line = one_error(1, *quick, "--quiet", "--set", "lr=1e30", "--set", "optimizer=sgd")
    assert "step" in line
    assert "checkpoint" in line or "saved" in line


def test_settings_reach_the_run(quick, tmp_path):
    good(*quick, "--steps", 2, "--seed", 7, "--keep", 9, "--set", "lr=0.01", "--set", "d-steps=2",
         "--checkpoint-every", 1, "--log-every", 2)  # fmt: skip
    config = train.Run(tmp_path / "run").read_config()
    assert (config.recipe.lr, config.recipe.d_steps, config.recipe.batch_size) == (0.01, 2, 8)
    assert (config.seed, config.keep, config.checkpoint_every, config.log_every) == (7, 9, 1, 2)


def test_command_line_wins_over_the_file(quick, tmp_path):
    file = tmp_path / "run.toml"
    file.write_text("lr = 0.5\nlatent-dim = 3\nepochs = 2\nseed = 4\nbatch_size = 4\n")
    good(*quick, "--config", file, "--set", "lr=0.25", "--steps", 2)
    config = train.Run(tmp_path / "run").read_config()
    assert (config.recipe.lr, config.recipe.latent_dim, config.recipe.batch_size) == (0.25, 3, 8)
    assert (config.seed, config.steps) == (4, 2)


def test_epochs_on_the_command_line_win_over_steps_in_the_file(quick, tmp_path):
    (tmp_path / "run.toml").write_text("steps = 3\n")
    good(*quick, "--config", tmp_path / "run.toml", "--epochs", 1)
    assert train.Run(tmp_path / "run").read_config().steps == 8


def test_the_file_may_hold_everything(quick, tmp_path):
    file = tmp_path / "run.toml"
    file.write_text(
        f'recipe = "gan"\ndata = "npz:{(tmp_path / "tiny.npz").as_posix()}"\nimage_size = 8\n'
        f'epochs = 1\nout = "{(tmp_path / "run").as_posix()}"\nbetas = [0.1, 0.2]\n'
        "batch_size = 16\n"
    )
    good("train", "--config", file)
    config = train.Run(tmp_path / "run").read_config()
    assert config.steps == 4
    assert config.recipe.betas == (0.1, 0.2)


def test_a_file_may_set_what_only_its_recipe_has(tmp_path, monkeypatch):
    tiny.use(monkeypatch)
    file = tmp_path / "run.toml"
    file.write_text('recipe = "gan-paper"\nmomentum = 0.6\n')  # Adam, of other recipes, has none
    good("train", "--config", file, "--data", tiny.write_data(tmp_path), "--set", "image_size=8",
         "--batch-size", 8, "--steps", 1, "--out", tmp_path / "run")  # fmt: skip
    assert train.Run(tmp_path / "run").read_config().recipe.momentum == 0.6


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("lerning_rate = 1", "no setting 'lerning_rate'"),
        ("lr = 'fast'", "lr must be a number"),
        ("steps = 0", "steps is '0', expected a whole number from 1"),
        ("steps = true", "steps is 'True'"),
        ("steps = 1\nepochs = 1", "both steps and epochs"),
        ("backend = 'tpu'", "backend must be one of"),
        ("steps", "is not a TOML file"),
        ("x" * 2_000_000, "longer than"),
    ],
)
def test_wrong_files(quick, tmp_path, text, reason):
    (tmp_path / "run.toml").write_text(text)
    line = one_error(1, *quick, "--config", tmp_path / "run.toml")
    assert reason in line
    assert "run.toml" in line


@pytest.mark.parametrize(
    ("args", "code", "reason"),
    [
        (["trian"], 2, "No such command 'trian'"),
        (["train"], 2, "no RECIPE: expected one of gan, gan-relu"),
        (["train", "gan", "--steps", "0"], 2, "0 is not in the range"),
        (["train", "gan", "--steps", "1", "--epochs", "1"], 2, "choose one"),
        (["train", "gan", "--stepz", "1"], 2, "--stepz"),
        (["train", "gan", "--set", "lr"], 2, "expected KEY=VALUE"),
        (["train", "gan", "--set", "lr=x"], 1, "lr must be a number"),
        (["train", "gan", "--set", "lr=1e999"], 1, "lr must be finite"),
        (["train", "gna"], 1, "did you mean gan"),
        (["train", "gan", "--data", "mnits"], 1, "did you mean mnist"),
        (["train", "gan", "--data", "npz:none.npz"], 1, "none.npz"),
        (["train", "gan", "--config", "none.toml"], 1, "cannot read none.toml"),
        (["train", "--resume", "none"], 1, "none is not a run"),
        (["train", "gan", "--resume", "none"], 2, "recipe does not go with --resume"),
        (["train", "--resume", "none", "--batch-size", "3"], 2, "--batch-size does not go"),
        (["sample", "none"], 1, "no run at none"),
        (["interpolate", "none"], 1, "no run at none"),
        (["evaluate", "none", "--codes", "1000000"], 2, "1000000 is not in the range"),
        (["plot", "none"], 1, "none is not a run"),
        (["info", "none"], 1, "none is not a run"),
        (["sample"], 2, "Missing argument 'RUN'"),
        (["gradcheck", "convolute"], 1, "no function 'convolute'"),
    ],
)
def test_errors_are_one_line(args, code, reason, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert reason in one_error(code, *args)
    assert not list(tmp_path.iterdir())


# What can be done with a run ----------------------------------------------------------------


def test_sample(trained, tiny_networks, tmp_path):
    out, npz = tmp_path / "grid.png", tmp_path / "samples.npz"
    args = ["sample", trained.folder, "--n", 6, "--columns", 3, "--out", out]
    good(*args, "--npz", npz)
    with Image.open(out) as picture:
        assert picture.size == (3 * (8 * 7 + 2) + 2, 2 * (8 * 7 + 2) + 2)
    with np.load(npz) as file:
        images, z = file["images"], file["z"]
    assert images.shape == (6, 1, 8, 8)
    assert 0 <= images.min() < images.max() <= 1
    _, config, _ = train.load_generator(train.choose(trained.folder))
    expected = train.draw_z(config.recipe, 6, np.random.default_rng(0)).numpy()
    np.testing.assert_array_equal(z, expected)

    before = out.read_bytes()
    good(*args)
    assert out.read_bytes() == before
    good(*args, "--seed", 1)
    assert out.read_bytes() != before


def test_samples_are_never_written_over_checkpoints(trained, tiny_networks, tmp_path):
    path = train.choose(trained.folder)
    before = path.read_bytes()
    for npz in (path, path.with_name("new.npz"), tmp_path / "grid.png"):
        one_error(2, "sample", trained.folder, "--out", tmp_path / "grid.png", "--npz", npz)
    assert path.read_bytes() == before
    assert not (tmp_path / "grid.png").exists()


def test_samples_are_a_data_set(trained, tiny_networks, tmp_path):
    from minigan import data

    good(
        "sample", trained.folder, "--n", 5, "--out", tmp_path / "a.png", "--npz", tmp_path / "a.npz"
    )
    assert data.load(f"npz:{tmp_path / 'a.npz'}").x.shape == (5, 1, 8, 8)


def test_which_checkpoint(trained, tiny_networks, tmp_path):
    out = tmp_path / "a.png"

    def step(*args):
        result = good("sample", *args, "--out", out, "--json", "--n", 1)
        return json.loads(result.stdout)["step"]

    assert step(trained.folder, "--checkpoint", "last") == 4
    assert step(trained.folder, "--checkpoint", "2") == 2
    assert step(trained.folder, "--checkpoint", trained.checkpoint_path(0)) == 0
    assert step(trained.checkpoint_path(2)) == 2
    line = one_error(1, "sample", trained.folder, "--checkpoint", "3")
    assert "a step (0, 2, 4)" in line


def test_damaged_checkpoint_is_one_line(trained, tiny_networks, tmp_path):
    path = tmp_path / "a.npz"
    path.write_bytes(trained.checkpoint_path(4).read_bytes()[:-50])
    assert f"{path} is not a usable checkpoint" in one_error(1, "sample", path)
    assert "expected a name that ends in" in one_error(
        1, "sample", trained.folder, "--out", tmp_path / "a.xyz"
    )


def test_interpolation_begins_and_ends_with_samples(trained, tiny_networks, tmp_path):
    out = tmp_path / "strip.png"
    good("interpolate", trained.folder, "--rows", 2, "--columns", 5, "--out", out)
    strip = np.asarray(Image.open(out))
    G, config, _ = train.load_generator(train.choose(trained.folder))
    ends = train.generate(G, train.draw_z(config.recipe, 4, np.random.default_rng(0)))
    expected = np.asarray(plots.grid(ends[[0, 2, 1, 3]], columns=2))
    width = 8 * 7 + 2
    np.testing.assert_array_equal(strip[:, : width + 2], expected[:, : width + 2])
    np.testing.assert_array_equal(strip[:, -width:], expected[:, -width:])


def test_points_can_be_sampled_but_not_walked(tiny_networks, tmp_path):
    run, _ = tiny.start(tmp_path, steps=1, changes={"data": "ring8"})
    npz = tmp_path / "a.npz"
    good("sample", run.folder, "--n", 9, "--out", tmp_path / "a.png", "--npz", npz)
    with np.load(npz) as file:
        assert file["points"].shape == (9, 2)
    assert "makes points" in one_error(1, "interpolate", run.folder, "--out", tmp_path / "b.png")


def test_plot_draws_again(trained):
    trained.curves_path.unlink()
    trained.gif_path.unlink()
    told = json.loads(good("plot", trained.folder, "--json").stdout)
    assert told == {"curves": str(trained.curves_path), "film": str(trained.gif_path)}
    assert trained.curves_path.exists()
    assert trained.gif_path.exists()


def test_info_about_a_run(trained):
    told = json.loads(good("info", trained.folder, "--json").stdout)
    assert told["recipe"]["lr"] == 2e-4
    assert told["last logged"]["step"] == 4
    assert set(told["checkpoints"]) == {
        "step-000000.npz", "step-000002.npz", "step-000004.npz", "best",
    }  # fmt: skip
    text = good("info", trained.folder).stdout
    assert "recipe" in text
    assert "step-000004.npz" in text


def test_info_about_the_installation(monkeypatch, tmp_path):
    monkeypatch.delenv("MINIGAN_DATA", raising=False)
    monkeypatch.setenv("MINIGAN_CACHE", str(tmp_path))
    told = json.loads(good("info", "--json").stdout)
    assert told["numpy"].startswith(np.__version__)
    assert told["backends"]["numpy"] == "works"
    assert set(told["data"]) == {"glyphs", "mnist", "fashion-mnist"}
    assert told["data"]["mnist"].startswith("not here")
    (tmp_path / "data" / "mnist").mkdir(parents=True)
    (tmp_path / "data" / "mnist" / "train-images-idx3-ubyte").write_bytes(b"")
    monkeypatch.setenv("MINIGAN_DATA", str(tmp_path / "data"))
    assert str(tmp_path / "data" / "mnist") in good("info").stdout


def test_gradcheck():
    result = good("gradcheck", "exp", "--order", 1)
    assert "passed" in result.stdout
    (report,) = json.loads(good("gradcheck", "exp", "--order", 1, "--json").stdout)
    assert report["passed"] is True


def test_gradcheck_exits_with_1_if_one_is_wrong(monkeypatch):
    wrong = gradient_check.Report("exp", 1, 0.5, 1e-6, passed=False, message="exp is wrong")
    monkeypatch.setattr(gradient_check, "run", lambda *_: [wrong])
    result = call("gradcheck")
    assert result.exit_code == 1
    assert "FAILED" in result.stdout


# Errors that nobody foresaw -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ZeroDivisionError("by\nzero"), "unexpected ZeroDivisionError: by zero; run again with"),
        (MemoryError(), "not enough memory: choose smaller numbers"),
    ],
)
def test_unforeseen_errors(monkeypatch, error, reason):
    def fail(name):
        raise error

    monkeypatch.setattr(recipes, "get", fail)
    assert reason in one_error(1, "train", "gan")
    result = call("train", "gan", "--debug")
    assert "Traceback" in result.stderr
    assert result.exit_code == 1
    assert "Traceback" not in call("train", "gan").stderr  # --debug holds for one call


def test_file_error_that_nobody_foresaw_is_no_traceback(monkeypatch):
    def fail(path):
        raise click.FileError("a", "b")

    monkeypatch.setattr(train_command, "read_toml", fail)
    assert call("train", "gan", "--config", "a").exit_code == 1


@pytest.mark.skipif(os.name == "nt", reason="the shell and the pipe are those of POSIX")
def test_reader_that_goes_away():
    program_text = f"{sys.executable} -m minigan --help | true"
    result = shell(None, command=["sh", "-c", program_text])
    assert result.stderr == ""
    assert result.returncode == 0


def test_module_and_exit_code_in_a_process():
    result = shell(None, command=[sys.executable, "-m", "minigan", "train", "gna"])
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("minigan: error: no recipe 'gna'")
