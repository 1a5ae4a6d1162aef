"""All array code on an array library that refuses what CuPy refuses (tests/strict.py)."""

import operator

import numpy as np
import pytest
import strict
import tiny
from click.testing import CliRunner

import minigan
from minigan import (
    backends,
    data,
    elbo,
    gradient_cases,
    nn,
    objectives,
    optim,
    penalties,
    plots,
    recipes,
    train,
)
from minigan.autograd import Tensor
from minigan.cli import program
from minigan.evaluate import classifier, importance, parzen, report
from minigan.optim import EMA
from minigan.train import checkpoint as checkpoints
from minigan.train import setup, trainer
from minigan.train.step import play_step, read


@pytest.fixture
def cupy():
    """The strict library in CuPy's place, and in use."""
    with strict.installed() as module:
        minigan.use_backend("cupy")
        yield module
    backends.use_random("numpy")


# The library itself -------------------------------------------------------------------------


def test_it_refuses_what_cupy_refuses(cupy):
    a, n = cupy.ones((2, 2), np.float32), np.ones((2, 2), np.float32)
    for attempt in (
        lambda: a + n, lambda: n + a, lambda: a @ n, lambda: n @ a, lambda: np.asarray(a),
        lambda: np.exp(a), lambda: cupy.maximum(a, n), lambda: n.dot(a),
        lambda: cupy.stack([a, n]), lambda: n.__setitem__(0, a), lambda: a.__setitem__(0, n[0]),
        lambda: operator.index(cupy.ones((), np.int64)), lambda: a.astype(np.longdouble),
        lambda: cupy.zeros(2, dtype=object), lambda: np.float32(a),
    ):  # fmt: skip
        with pytest.raises((TypeError, ValueError)):
            attempt()
    with pytest.raises(AttributeError, match="nobody has compared 'einsum'"):
        cupy.einsum  # noqa: B018
    for name in ("__array_interface__", "__array_struct__", "__buffer__"):
        assert not hasattr(a, name)
    assert (strict.counts.synchronisations, strict.counts.copies) == (1, 0)  # of the first kernel


def test_it_counts_what_makes_the_cpu_wait(cupy):
    a = cupy.ones((3,), np.float32)
    strict.counts.reset()
    ways = [
        lambda: float(a[0]), lambda: int(a[0]), lambda: bool(a[0]), lambda: a.get(),
        lambda: a[0].item(), lambda: a.tolist(), lambda: a[a > 0], lambda: repr(a),
    ]  # fmt: skip
    for number, way in enumerate(ways, 1):
        way()
        assert strict.counts.synchronisations == number
    assert strict.counts.copies == 0
    cupy.asarray(np.ones(2))
    a[np.array([0, 1])]
    cupy.asarray(0.5)  # a number goes along with the kernel that writes it
    assert strict.counts.copies == 2


def test_numbers_bring_their_dtype_as_in_numpy_2(cupy):
    a = cupy.ones((2,), np.float32)
    assert (a * 0.5).dtype == np.float32
    assert (a * np.float64(0.5)).dtype == (np.float64(0.5) * a).dtype == np.float64


# Functions ----------------------------------------------------------------------------------


def _gradients(case):
    """Values, and first and second derivatives, of a case on the current backend, as NumPy's."""
    inputs = [x.detach().requires_grad_() if isinstance(x, Tensor) else x for x in case.inputs]
    leaves = [x for x in inputs if isinstance(x, Tensor)]
    backends.manual_seed(0)
    y = case.function(*inputs)
    weights = Tensor(backends.xp().ones(y.shape, y.dtype)) * 0.7
    first = minigan.grad((y * y * weights).sum(), leaves, create_graph=True)
    total = sum(((g * g).sum() for g in first[1:]), (first[0] * first[0]).sum())
    second = [x.grad for x in leaves] if not total.requires_grad else minigan.grad(
        total, [x for x in leaves if _reaches(total, x)]
    )  # fmt: skip
    assert {array_type(t) for t in (y, *first) if t is not None} == {type(y.array)}
    return [t.numpy() for t in (y, *first, *second) if t is not None]


def array_type(t):
    return type(t.array)


def _reaches(y, x):
    try:
        minigan.grad(y, [x], retain_graph=True)
    except RuntimeError:
        return False
    return True


NAMES = [case.name for case in gradient_cases.cases()]


@pytest.fixture(scope="module")
def on_numpy():
    """Every case on NumPy, with the random numbers that CuPy draws."""
    with backends.backend("numpy"):
        backends.use_random("philox")
        try:
            return {case.name: _gradients(case) for case in gradient_cases.cases()}
        finally:
            backends.use_random("numpy")


def test_every_function_and_its_derivatives_equal_numpys(cupy, on_numpy):
    compared = []
    for case in gradient_cases.cases():
        try:
            found = _gradients(case)
        except Exception as error:
            raise AssertionError(f"{case.name}: {error}") from error
        assert len(found) == len(on_numpy[case.name])
        for ours, numpys in zip(found, on_numpy[case.name]):
            np.testing.assert_allclose(ours, numpys, rtol=1e-9, atol=1e-12, err_msg=case.name)
            assert ours.dtype == numpys.dtype
        compared.append(case.name)
    assert len(compared) == len(NAMES)


def test_few_functions_make_the_cpu_wait(cupy):
    """Those that look at values to check them, or to know how large the result is."""
    waiting = set()
    for case in gradient_cases.cases():
        inputs = [x.detach().requires_grad_() if isinstance(x, Tensor) else x for x in case.inputs]
        strict.counts.reset()
        case.function(*inputs).sum().backward()
        if strict.counts.synchronisations:
            waiting.add(case.name.partition("/")[0])
    assert waiting == {"binary_cross_entropy", "getitem"}  # p in [0, 1]; x[mask]


# The training step --------------------------------------------------------------------------

SHAPE = (1, 8, 8)
SMALL = {"latent_dim": 3, "batch_size": 4, "image_size": 8}


def small(name, **changes):
    return tiny.narrow(name, **{"widths": "4,3", **SMALL, **changes})


def play(recipe, monkeypatch, dtype, steps):
    """Losses and state dicts after some steps; how often these waited and copied."""
    build = setup.build_networks
    with monkeypatch.context() as patch:
        patch.setattr(
            setup, "build_networks", lambda *a, **k: [n.to(dtype) for n in build(*a, **k)]
        )
        backends.manual_seed((0, 0))
        shape = setup.data_shape(recipe)
        classes = setup.data_classes(recipe)
        game = setup.build_game(recipe, shape, classes=classes, data_mean=np.full(shape, 0.4))
    game.draw_z = lambda n: setup.draw_z(recipe, n).to(dtype)
    ema = EMA(game.G, recipe.ema) if recipe.ema else None
    real = np.random.default_rng(0).random((recipe.batch_size, *shape)).astype(dtype)
    batches = [minigan.from_numpy(real)] * recipe.d_steps
    labels = []
    if classes:
        y = np.eye(classes, dtype=dtype)[np.arange(len(real)) % classes]
        labels = [minigan.from_numpy(y)] * recipe.d_steps
    records = []
    strict.counts.reset()
    for t in range(steps):
        setup.set_schedules(game, recipe, t, 2)
        backends.manual_seed((0, t + 1))
        records.append(play_step(game, batches, labels))
        if ema:
            ema.update()
    waited = strict.counts.synchronisations, strict.counts.copies
    owners = [game.G, game.D, game.opt_G, game.opt_D, *([ema] if ema else [])]
    return read(records), [owner.state_dict() for owner in owners], waited


def assert_plays_as_on_numpy(recipe, monkeypatch):
    """In float32, as it is meant, without waiting; in float64 it comes to the same numbers."""
    # RMSprop and Adam divide a weight's gradient by its own size, so the rounding of a small one
    # moves its weight by as much as lr: float32 is compared after one such move, not after two.
    for dtype, accuracy, steps in ((np.float32, 2e-4, 2), (np.float64, 1e-9, 3)):
        losses, states, waited = play(recipe, monkeypatch, dtype, steps)
        assert waited == (0, 0)
        with backends.backend("numpy"):
            backends.use_random("philox")
            numpys_losses, numpys_states, _ = play(recipe, monkeypatch, dtype, steps)
            backends.use_random("numpy")
        for ours, theirs in zip(losses, numpys_losses, strict=True):
            # The hinge's g_loss is a mean that cancels: its error is one of the summands.
            assert ours == pytest.approx(theirs, rel=accuracy, abs=1e-3 * accuracy)
    for ours, theirs in zip(states, numpys_states, strict=True):
        for name, value in theirs.items():
            np.testing.assert_allclose(ours[name], value, rtol=1e-7, atol=1e-9, err_msg=name)
            assert np.asarray(ours[name]).dtype == np.asarray(value).dtype


GAMES = [name for name in recipes.names() if recipes.get(name).updates != "together"]


@pytest.mark.parametrize("objective", elbo.OBJECTIVES)
def test_the_step_of_an_autoencoder(cupy, monkeypatch, objective):
    assert_plays_as_on_numpy(
        small(recipes.AUTOENCODERS[objective], objective=objective), monkeypatch
    )


@pytest.mark.parametrize("updates", ["alternate", "simultaneous"])
@pytest.mark.parametrize("name", GAMES)
def test_the_step_of_every_recipe(cupy, monkeypatch, name, updates):
    # Simultaneous updates have no k.
    once = dict.fromkeys(["d_steps_more", "d_steps_first", "d_steps_every"], 0)
    once = {"d_steps": 1, **once} if updates == "simultaneous" else {}
    assert_plays_as_on_numpy(small(name, updates=updates, unroll=0, **once), monkeypatch)


@pytest.mark.parametrize("objective", objectives.OBJECTIVES)
@pytest.mark.parametrize("optimizer", ["adam", "sgd", "rmsprop"])
def test_the_step_with_every_optimiser_and_objective(cupy, monkeypatch, optimizer, objective):
    momentum = {} if optimizer == "adam" else {"momentum": "0.5"}
    has_targets = objective not in ("hinge", "wasserstein")
    smoothing = {"label_smoothing": "0.1"} if has_targets else {}
    bound = {"clip": "0.5"} if objective == "wasserstein" else {}
    changes = {"optimizer": optimizer, "objective": objective, **smoothing, **momentum, **bound}
    recipe = small("dcgan-28", **changes, lr="1e-3", d_steps="2", ema="0.9")
    assert_plays_as_on_numpy(recipe, monkeypatch)


@pytest.mark.parametrize("penalty", penalties.PENALTIES)
def test_the_step_with_every_penalty(cupy, monkeypatch, penalty):
    recipe = small("dcgan-28", penalty=penalty, penalty_weight="10", d_norm="instance", clip="0.5")
    assert_plays_as_on_numpy(recipe, monkeypatch)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_the_step_of_unrolled_updates(cupy, monkeypatch, optimizer):
    changes = {"optimizer": optimizer, "objective": "minimax", "unroll": 2, "lr": "1e-3"}
    assert_plays_as_on_numpy(small("gan", updates="unrolled", **changes), monkeypatch)


@pytest.mark.parametrize("name", ["gan", "gan-toy", "dcgan-28"])
@pytest.mark.parametrize("d_minibatch", ["discrimination", "stddev"])
def test_the_step_of_a_d_that_sees_the_batch(cupy, monkeypatch, name, d_minibatch):
    assert_plays_as_on_numpy(
        small(name, d_minibatch=d_minibatch, pack=2, batch_size=8), monkeypatch
    )


# The run ------------------------------------------------------------------------------------


@pytest.fixture
def tiny_runs(monkeypatch):
    tiny.use(monkeypatch)
    monkeypatch.setattr(plots, "curves", lambda log, path: None)


def test_a_run_waits_at_logging_points_only(cupy, tiny_runs, tmp_path, monkeypatch):
    original, waited = trainer.Trainer._play, []

    def play(self):
        if self.step:
            waited[-1].append(strict.counts.synchronisations)  # since the last step
        strict.counts.reset()
        original(self)
        waited.append([strict.counts.synchronisations, strict.counts.copies])
        strict.counts.reset()

    monkeypatch.setattr(trainer.Trainer, "_play", play)
    run, _ = tiny.start(
        tmp_path, steps=12, log_every=5, backend="cupy", changes={"ema": 0.9, "d_steps": 2}
    )
    # The first is captured as a graph; the others copy their two batches.
    assert [step[:2] for step in waited][1:] == [[0, 2]] * 11
    assert cupy.cuda.log.count("launch") == 12 + 2
    assert [i for i, step in enumerate(waited[:-1], 1) if step[2]] == [1, 5, 10]
    assert [entry["step"] for entry in run.read_log()] == [1, 5, 10]
    config = run.read_config()
    assert (config.backend, config.random, config.tf32) == ("cupy", "philox", False)
    assert config.to_json()["versions"]["gpu"] == "no GPU, but NumPy"
    assert cupy.compute_types == {np.float32: 1}


@pytest.mark.parametrize("name", ["ae", "vae"])
def test_an_autoencoder_trains_samples_and_has_its_likelihood_there(
    cupy, tiny_runs, tmp_path, monkeypatch, name
):
    monkeypatch.undo()  # its own networks
    changes = {"data": tiny.write_data(tmp_path), "image_size": 8, "batch_size": 8}
    recipe = recipes.override(recipes.get(name), {**changes, "latent_dim": 2})
    options = {"sample_every": 9, "log_every": 3, "quiet": True}
    train.start(recipe, out=tmp_path / "run", steps=3, backend="cupy", **options)
    path = train.Run(tmp_path / "run").checkpoint_path(3)
    x = importance.binarised(np.load(tmp_path / "tiny.npz")["images"])
    found = {}
    for backend in ("cupy", "numpy"):
        with backends.backend(backend):
            decoder, encoder, _, _ = train.load_autoencoder(path)
            z = minigan.from_numpy(np.ones((2, 2), np.float32))
            found[backend] = [train.generate(decoder, z)]
            if name == "vae":
                there = minigan.from_numpy(x).array
                model = importance.of_networks(decoder, encoder)
                found[backend] += importance.bounds(model, there, 5)
    for ours, numpys in zip(found["cupy"], found["numpy"], strict=True):
        np.testing.assert_allclose(ours, numpys, rtol=1e-5, atol=1e-6)


def weights(run, step):
    return {
        k: v.astype(np.float64)
        for k, v in checkpoints.read(run.checkpoint_path(step)).arrays.items()
    }


def assert_close(a, b):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_allclose(a[name], b[name], rtol=1e-3, atol=1e-4, err_msg=name)


@pytest.mark.parametrize(("first", "then"), [("numpy", "cupy"), ("cupy", "numpy")])
def test_checkpoints_move_between_backends(cupy, tiny_runs, tmp_path, first, then):
    """A run that changes its backend goes on as if it had not: same weights, moments, z, masks."""
    changes = {"ema": 0.9}
    random = {"random": "philox"} if first == "numpy" else {}
    whole, _ = tiny.start(
        tmp_path, steps=6, name="whole", backend="numpy", random="philox", changes=changes
    )
    run, _ = tiny.start(tmp_path, steps=3, backend=first, changes=changes, **random)
    before = weights(run, 3)
    assert_close(before, weights(run, 3))
    train.resume(run.folder, steps=6, backend=then, quiet=True)
    assert run.read_config().backend == then
    assert run.read_config().random == "philox"
    assert_close(weights(run, 6), weights(whole, 6))
    for ours, theirs in zip(run.read_log(), whole.read_log(), strict=True):
        for key in ("d_loss", "g_loss", "d_real", "d_fake", "d_grad_norm", "g_grad_norm"):
            assert ours[key] == pytest.approx(theirs[key], rel=1e-4)


@pytest.mark.parametrize("name", ["cdcgan-28", "acgan-28", "infogan-28"])
def test_a_conditional_run_is_captured_with_its_labels(cupy, tmp_path, monkeypatch, name):
    monkeypatch.setattr(train.quality, "SAMPLES", 50)
    monkeypatch.setattr(plots, "curves", lambda log, path: None)
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (40, 8, 8)).astype(np.uint8), rng.integers(0, 5, 40)
    np.savez(tmp_path / "labelled.npz", images=images, labels=labels)
    recipe = small(name, data=f"npz:{tmp_path}/labelled.npz", optimizer="sgd", lr="1e-2")
    logs = []
    for backend in ("cupy", "numpy"):
        folder = tmp_path / backend
        train.start(recipe, out=folder, steps=5, backend=backend, random="philox", log_every=1,
                    quiet=True)  # fmt: skip
        logs.append(train.Run(folder).read_log())
        if backend == "cupy":
            assert cupy.cuda.log.count("launch") == 5 + 2
    for ours, theirs in zip(*logs, strict=True):
        for key in ("d_loss", "g_loss", "d_real", "d_fake", "d_grad_norm", "g_grad_norm"):
            assert ours[key] == pytest.approx(theirs[key], rel=1e-3)


def test_a_run_that_drew_by_numpy_says_that_it_no_longer_does(cupy, tiny_runs, tmp_path, capsys):
    run, _ = tiny.start(tmp_path, steps=2)
    train.resume(run.folder, steps=3, backend="cupy")
    line = "from here on philox draws z and dropout masks, no longer numpy"
    assert line in capsys.readouterr().err
    train.resume(run.folder, steps=4, backend="numpy", quiet=True)
    assert run.read_config().random == "philox"


def test_samples_are_the_same_on_both_backends(cupy, tiny_runs, tmp_path):
    run, _ = tiny.start(tmp_path, steps=3, backend="cupy", changes={"ema": 0.9})
    images = {}
    for name in ("cupy", "numpy"):
        with backends.backend(name):
            G, config, _ = train.load_generator(run.checkpoint_path(3))
            z = train.draw_z(config.recipe, 5, np.random.default_rng(0))
            assert backends.array_module(z.array).__name__ == name
            images[name] = train.generate(G, z)
    assert type(images["cupy"]) is np.ndarray
    np.testing.assert_allclose(images["cupy"], images["numpy"], rtol=1e-5, atol=1e-6)


def test_the_classifier_judges_alike(cupy):
    images = np.random.default_rng(0).random((3, 1, 28, 28), dtype=np.float32)
    judge = classifier.load()
    assert type(next(judge.body.parameters()).array) is strict.ndarray
    there = judge.probabilities(images)
    with backends.backend("numpy"):
        here = classifier.load().probabilities(images)
    assert type(there) is np.ndarray
    np.testing.assert_allclose(there, here, rtol=1e-4, atol=1e-5)


def test_parzen_windows_on_the_device(cupy):
    """The same numbers, in blocks that are smaller than the arrays; and by the report."""
    samples, valid, test = np.random.default_rng(0).random((3, 40, 16), dtype=np.float32)
    there = [cupy.asarray(x) for x in (samples, valid, test)]
    ours, numpys = parzen.parzen(*there), parzen.parzen(samples, valid, test)
    assert ours.sigma == numpys.sigma
    assert (ours.mean, ours.se) == pytest.approx((numpys.mean, numpys.se), rel=1e-12)
    likelihoods = parzen.log_likelihood(there[2], there[0], 0.2, block=7)
    assert type(likelihoods) is strict.ndarray
    expected = parzen.log_likelihood(test, samples, 0.2)
    np.testing.assert_allclose(likelihoods.get(), expected, rtol=1e-12)

    def images(split):
        x = (np.random.default_rng(len(split)).random((30, 1, 4, 4)) * 255).astype(np.uint8)
        return data.Dataset("demo", split, x)

    material = report.Material(
        samples=samples.reshape(-1, 1, 4, 4), train=images("train"), test=images("tests")
    )
    on_device = report.likelihood(material)
    with backends.backend("numpy"):
        assert on_device["real"].mean == pytest.approx(report.likelihood(material)["real"].mean)


@pytest.mark.parametrize(
    "command",
    [
        ["sample", "RUN", "--n", 5, "--out", "grid.png"],
        ["interpolate", "RUN", "--out", "strip.png"],
        ["evaluate", "RUN", "--n", 60, "--metric", "neighbours"],
        ["inspect", "RUN", "--out", "inspected"],
        ["train", "--resume", "RUN", "--steps", 4, "--tf32"],
        ["gradcheck", "linear"],
    ],
)
def test_commands_take_the_backend(cupy, tiny_runs, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    run, _ = tiny.start(tmp_path, steps=3)
    arguments = [str(run.folder) if a == "RUN" else str(a) for a in command]
    minigan.use_backend("numpy")
    strict.counts.reset()
    result = CliRunner().invoke(program, [*arguments, "--backend", "cupy"])
    assert result.exit_code == 0, result.output
    assert strict.counts.synchronisations > 0
    if command[0] == "train":
        assert run.read_config().tf32
        assert cupy.compute_types == {np.float32: 7}


# Moving things ------------------------------------------------------------------------------


def test_tensors_and_gradients_move(cupy):
    x = Tensor(np.array([1.0, 2.0], np.float32), requires_grad=True)
    y = x.to("cupy")
    assert type(y.array) is strict.ndarray
    (y * y).sum().backward()
    assert x.grad.numpy().tolist() == [2.0, 4.0]
    assert type(x.grad.array) is np.ndarray
    assert y.to("cupy") is y
    assert type(y.to("numpy").array) is np.ndarray


def test_memory_order_moves_along(cupy):
    array = np.zeros((2, 3, 4, 5), np.float32).transpose(0, 3, 1, 2)
    there = Tensor(array).to("cupy")
    assert there.array.strides == array.strides
    assert there.to("numpy").array.strides == array.strides


@pytest.mark.parametrize("make", [
    lambda p: optim.Adam(p, lr=0.01), lambda p: optim.SGD(p, lr=0.01, momentum=0.9),
    lambda p: optim.RMSprop(p, lr=0.01, momentum=0.5),
])  # fmt: skip
@pytest.mark.parametrize("network_first", [False, True])
def test_a_game_in_progress_moves(cupy, make, network_first):
    """Network, optimiser with its moments, and average go over, and on as if they had not."""
    x = np.random.default_rng(0).standard_normal((4, 2, 6, 6))

    def network():
        backends.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(2, 3, 3, bias=False), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(48, 2)
        ).double()

    def step(parts):
        G, optimizer, ema = parts
        optimizer.zero_grad()
        (G(minigan.from_numpy(x)) ** 2).mean().backward()
        optimizer.step()
        ema.update()

    def parts():
        G = network()
        return G, make(G.parameters()), EMA(G, 0.9)

    with backends.backend("numpy"):
        stays, goes = parts(), parts()
        for p in (stays, goes):
            step(p)
    if network_first:
        goes[0].to("cupy")
    goes[1].to("cupy")
    goes[2].to("cupy")
    step(goes)
    assert {type(t.array) for t in [*goes[0].parameters(), *goes[0].buffers()]} == {strict.ndarray}
    with backends.backend("numpy"):
        step(stays)
        goes[1].to("numpy")
        goes[2].to("numpy")
        step(goes)
        step(stays)
    for ours, theirs in zip(goes, stays):
        for name, value in theirs.state_dict().items():
            np.testing.assert_allclose(ours.state_dict()[name], value, 1e-9, 1e-12, err_msg=name)


def test_a_mixture_names_both_backends(cupy):
    here, there = Tensor(np.ones(2, np.float32)), minigan.ones(2)
    weight = nn.Linear(2, 2)
    conv = nn.Conv2d(1, 1, 1)
    for attempt in (
        lambda: here + there, lambda: there * here, lambda: minigan.cat([here, there]),
        lambda: minigan.matmul(there, here), lambda: weight(here.view(1, 2)),
        lambda: conv(Tensor(np.ones((1, 1, 2, 2), np.float32))),
        lambda: minigan.maximum(here, there), lambda: minigan.where(here > 0, there, there),
        lambda: minigan.where(there > 0, here, here),
    ):  # fmt: skip
        with pytest.raises(TypeError) as error:
            attempt()
        assert "\n" not in str(error.value)
        assert "numpy" in str(error.value)
        assert "cupy" in str(error.value)
