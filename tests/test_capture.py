"""A step captured as a graph: what is called in which order, and that nothing else changes.

CuPy is the strict array library of ``strict.py`` with the streams and graphs of ``fake_cuda.py``.
"""

import dataclasses

import fake_cuda
import numpy as np
import pytest
import strict

from minigan import backends, draws, nn, objectives, optim, tensor
from minigan.train import capture
from minigan.train.capture import CapturedStep, NotCaptured
from minigan.train.step import Game, play_step, read


class Counts(strict.Counts):
    """Copies and synchronisations, which fail while a stream is capturing, as CuPy's do."""

    def __init__(self, cuda):
        object.__setattr__(self, "cuda", cuda)
        super().__init__()

    def __setattr__(self, name, value):
        if value and self.cuda.current.is_capturing():
            raise RuntimeError(f"the current stream is capturing, so {name} are disallowed")
        super().__setattr__(name, value)


@pytest.fixture
def cuda(monkeypatch):
    """The fake ``cupy.cuda``, in use."""
    with strict.installed() as module:
        monkeypatch.setattr(strict, "counts", Counts(module.cuda))
        backends.use_backend("cupy")
        yield module.cuda


def make_game(updates="alternate", dropout=True, make=optim.Adam):
    backends.manual_seed((3, 0))
    G = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.LeakyReLU(0.2), nn.Linear(8, 6))
    layers = [nn.Linear(6, 8), nn.LeakyReLU(0.2), nn.Dropout(0.3), nn.Linear(8, 1)]
    D = nn.Sequential(*(layer for layer in layers if dropout or not isinstance(layer, nn.Dropout)))
    return Game(
        G=G, D=D, opt_G=make(G.parameters(), lr=0.01), opt_D=make(D.parameters(), lr=0.02),
        objective=objectives.build("non-saturating", label_smoothing=0.1, d_scale=0.5),
        draw_z=lambda n: tensor(draws.normal((n, 4))),
        updates=updates,
    )  # fmt: skip


def batches(t, k=1, n=5):
    rng = np.random.default_rng(t)
    return [tensor(rng.standard_normal((n, 6), dtype=np.float32)) for _ in range(k)]


def state(game):
    """All that a step changes, as NumPy arrays."""
    optimizers = {"D": game.opt_D.state_dict(), "G": game.opt_G.state_dict()}
    parts = {f"{name}.{key}": v for name, d in optimizers.items() for key, v in d.items()}
    for name, network in (("D", game.D), ("G", game.G)):
        parts |= {f"{name}.{key}": value for key, value in network.state_dict().items()}
    return {key: np.array(value) for key, value in parts.items()}


def check_equal(a, b):
    assert a.keys() == b.keys()
    for key in a:
        np.testing.assert_array_equal(a[key], b[key], err_msg=key)


def play(game, step, first, last, k=1):
    """Steps first to last - 1 with a schedule; returns their losses."""
    records = []
    for t in range(first, last):
        game.opt_D.lr, game.opt_G.lr = 0.02 * 0.9**t, 0.01 * 0.8**t
        real = batches(t, k)
        backends.manual_seed((3, t + 1))
        records.append(step(real))
    return read(records)


GAMES = [("alternate", 1), ("alternate", 2), ("simultaneous", 1)]


@pytest.mark.parametrize(("updates", "k"), GAMES)
def test_captured_steps_equal_eager_ones(cuda, updates, k):
    eager, captured = make_game(updates), make_game(updates)
    for optimizer in (eager.opt_D, eager.opt_G):
        optimizer.use_clock()
    step = CapturedStep(captured, batches(99, k))
    expected = play(eager, lambda real: play_step(eager, real), 0, 20, k)
    found = play(captured, step, 0, 20, k)
    assert expected == found
    check_equal(state(captured), state(eager))
    assert cuda.log.count("launch") == 22  # two to try it
    assert eager.opt_D.steps[0] == 20 * k
    for mine, theirs in zip(captured.D.parameters(), eager.D.parameters()):
        np.testing.assert_array_equal(mine.grad.numpy(), theirs.grad.numpy())


def nesterov(params, lr):
    return optim.SGD(params, lr=lr, momentum=0.5, nesterov=True)


@pytest.mark.parametrize("make", [optim.SGD, nesterov, optim.RMSprop])
def test_a_momentum_that_changes_is_followed(cuda, make):
    """From 0 in the step that was recorded, but for Nesterov's, which cannot be 0."""
    eager, captured = make_game(make=make), make_game(make=make)
    for optimizer in (eager.opt_D, eager.opt_G):
        optimizer.use_clock()
    start, step = eager.opt_D.momentum, CapturedStep(captured, batches(99))
    for t in range(6):
        for game in (eager, captured):
            game.opt_D.momentum = game.opt_G.momentum = start + 0.08 * t
        expected = play(eager, lambda real: play_step(eager, real), t, t + 1)
        assert play(captured, step, t, t + 1) == expected
    check_equal(state(captured), state(eager))
    assert cuda.log.count("launch") == 2 + 6


def test_capturing_leaves_no_trace(cuda):
    game = make_game()
    play(game, lambda real: play_step(game, real), 0, 3)
    before, gradients = state(game), [p.grad for p in game.D.parameters()]
    backends.manual_seed((3, 7))
    expected = draws.normal((3,)).get(), backends.rng().random()
    backends.manual_seed((3, 7))
    CapturedStep(game, batches(0))
    check_equal(state(game), before)
    assert [p.grad for p in game.D.parameters()] == gradients
    found = draws.normal((3,)).get(), backends.rng().random()
    np.testing.assert_array_equal(found[0], expected[0])
    assert found[1] == expected[1]
    assert game.opt_D.steps[0] == 3


def test_calls_come_in_this_order(cuda):
    CapturedStep(make_game(), batches(0))
    assert cuda.log == [
        "Stream(non_blocking=True)", "MemoryPool",
        "enter", "exit", "stream.synchronize",  # the warm-up
        "default pool: free_all_blocks (stream)",
        "enter", "own pool", "begin_capture", "end_capture", "shared pool", "exit",
        "launch", "launch",  # on the default stream, in the order of what else happens there
    ]  # fmt: skip
    CapturedStep(make_game(), batches(0))
    assert sum("Stream(" in line for line in cuda.log) == 1  # each stream has a cuBLAS workspace


def test_buffers_stay_where_they_are(cuda):
    game, given = make_game(), batches(0)
    step = CapturedStep(game, given)
    arrays = [*(x.array for x in step.inputs[0]), *(b for _, b in step.noise.buffers), step.losses,
              game.opt_D.flat, game.opt_D.m, game.opt_D.clock]  # fmt: skip
    memory = [a._a.ctypes.data for a in arrays]
    gradients = [g.array for _, g in step.gradients]
    first, second = (step(batches(t)) for t in (1, 2))
    assert [a._a.ctypes.data for a in arrays] == memory
    assert all(p.grad.array is g for (p, _), g in zip(step.gradients, gradients))
    kept = read([first, second])
    assert kept[0] != kept[1]  # the losses are copies: the trainer reads many at once
    np.testing.assert_array_equal(step.inputs[0][0].numpy(), batches(2)[0].numpy())
    assert step.inputs[0][0].array is arrays[0]
    np.testing.assert_array_equal(given[0].numpy(), batches(0)[0].numpy())  # not overwritten


def test_work_between_steps_changes_nothing(cuda):
    alone, disturbed = make_game(), make_game()
    step_alone, step = (CapturedStep(game, batches(0)) for game in (alone, disturbed))
    play(alone, step_alone, 0, 6)
    for t in range(6):
        play(disturbed, step, t, t + 1)
        disturbed.G.eval()
        disturbed.G(tensor(draws.normal((7, 4))))
        disturbed.G.train()
        disturbed.opt_G.zero_grad()
        tensor(np.ones((50, 50), np.float32)) @ tensor(np.ones((50, 50), np.float32))
    check_equal(state(disturbed), state(alone))


def test_an_eager_step_in_between_counts(cuda):
    game, eager = make_game(), make_game()
    for optimizer in (eager.opt_D, eager.opt_G):
        optimizer.use_clock()
    step = CapturedStep(game, batches(0))
    play(eager, lambda real: play_step(eager, real), 0, 6)
    play(game, step, 0, 2)
    play(game, lambda real: play_step(game, real), 2, 4)
    play(game, step, 4, 6)
    check_equal(state(game), state(eager))


def test_a_loaded_state_goes_on_from_its_step(cuda):
    game, eager = make_game(), make_game()
    for optimizer in (eager.opt_D, eager.opt_G):
        optimizer.use_clock()
    play(eager, lambda real: play_step(eager, real), 0, 4)
    step = CapturedStep(game, batches(0))
    for mine, theirs in ((game.G, eager.G), (game.D, eager.D), (game.opt_G, eager.opt_G),
                         (game.opt_D, eager.opt_D)):  # fmt: skip
        mine.load_state_dict(theirs.state_dict())
    play(game, step, 4, 6)
    play(eager, lambda real: play_step(eager, real), 4, 6)
    check_equal(state(game), state(eager))


BY_CLOCK = {
    "Adam": lambda p: optim.Adam(p, betas=(0.5, 0.9), weight_decay=0.01),
    "SGD": lambda p: optim.SGD(p, momentum=0.5, weight_decay=0.01),
    "Nesterov": lambda p: optim.SGD(p, momentum=0.5, nesterov=True),
    "RMSprop": lambda p: optim.RMSprop(p, momentum=0.5),
}


@pytest.mark.parametrize("name", BY_CLOCK)
def test_an_optimiser_by_its_clock_moves_as_without(name):
    def moved(with_clock):
        p = tensor(np.linspace(-1, 1, 7), requires_grad=True)
        optimizer = BY_CLOCK[name]([p])
        for t in range(5):
            if with_clock and t == 2:
                optimizer.use_clock()
            optimizer.lr = 0.1 / (1 + t)
            if name != "Adam":
                optimizer.momentum = 0.5 + 0.1 * t
            p.grad = tensor(np.sin(np.arange(7.0) + t))
            optimizer.step()
        assert optimizer.steps.tolist() == [5]
        return p.numpy()

    np.testing.assert_allclose(moved(True), moved(False), rtol=1e-13)


def test_an_optimiser_takes_its_clock_along(cuda):
    game = make_game()
    game.opt_D.use_clock()
    play_step(game, batches(0))
    game.opt_D.to("numpy")
    assert type(game.opt_D.clock) is np.ndarray
    for p in game.opt_D.params:
        p.grad = p.detach()
    game.opt_D.step()
    assert game.opt_D.clock[:2].tolist() == [0.02, 2]


def test_a_clock_is_one_for_all_parameters():
    p, q = (tensor([1.0], requires_grad=True) for _ in range(2))
    optimizer = optim.Adam([p, q])
    p.grad = tensor([1.0])
    optimizer.step()
    with pytest.raises(ValueError, match="different numbers of steps"):
        optimizer.use_clock()


# What cannot be captured --------------------------------------------------------------------


def reading(game):
    """A game that looks at a number in its step."""
    return dataclasses.replace(game, draw_z=lambda n: game.draw_z(n) * tensor(1.0).item())


def copying(game):
    """A game that copies from the host in its step."""
    return dataclasses.replace(game, draw_z=lambda n: tensor(np.ones((n, 4), np.float32)))


def drawing(game):
    """A game with random numbers that are not drawn by ``minigan.draws``."""

    def draw(n):
        return game.draw_z(n) * backends.rng().random()

    return dataclasses.replace(game, draw_z=draw)


def changing(game):
    """A game that draws another number of times in each step."""
    count = iter(range(1000))

    def draw(n):
        for _ in range(next(count)):
            draws.normal((2,))
        return game.draw_z(n)

    return dataclasses.replace(game, draw_z=draw)


def lagging(game):
    """A game whose optimiser has a weight that takes no part."""
    opt_D = optim.Adam([*game.D.parameters(), tensor([1.0], requires_grad=True)])
    return dataclasses.replace(game, opt_D=opt_D)


REASONS = [
    (reading, "synchronisations are disallowed"),
    (copying, "copies are disallowed"),
    (drawing, "random numbers that would be the same"),
    (lagging, "do not move all of their weights"),
]


@pytest.mark.parametrize(("spoil", "reason"), REASONS)
def test_what_cannot_be_captured_is_played_eagerly(cuda, spoil, reason):
    game, twin = spoil(make_game(dropout=False)), spoil(make_game(dropout=False))
    before = state(game)
    with pytest.raises(NotCaptured, match=reason) as raised:
        CapturedStep(game, batches(0))
    assert "\n" not in str(raised.value)
    check_equal(state(game), before)
    assert not cuda.current.is_capturing()
    assert getattr(game.opt_G, "clock", None) is None
    said = []
    step = capture.player(game, said.append)
    found = play(game, step, 0, 3)
    assert len(said) == 1
    assert reason in said[0]
    assert found == play(twin, lambda real: play_step(twin, real), 0, 3)
    check_equal(state(game), state(twin))


def test_another_number_of_draws_in_each_step_is_noticed(cuda):
    game = changing(make_game())
    before = state(game)
    with pytest.raises(NotCaptured, match="not the same kind and number"):
        CapturedStep(game, batches(0))
    check_equal(state(game), before)


def test_a_step_done_at_once_is_noticed(cuda, monkeypatch):
    monkeypatch.setattr(fake_cuda, "_memory", lambda step: [])  # nothing is held back
    game = make_game()
    before = state(game)
    with pytest.raises(NotCaptured, match="done at once"):
        CapturedStep(game, batches(0))
    check_equal(state(game), before)


def test_a_graph_that_does_nothing_is_noticed(cuda, monkeypatch):
    monkeypatch.setattr(fake_cuda.Graph, "launch", lambda self: None)
    with pytest.raises(NotCaptured, match="does not count"):
        CapturedStep(make_game(), batches(0))


def test_a_frozen_count_is_noticed(cuda, monkeypatch):
    launch = fake_cuda.Graph.launch

    def with_the_first_t(self):
        launch(self)
        for optimizer in self.step.optimizers:
            optimizer.clock[1] = 1

    monkeypatch.setattr(fake_cuda.Graph, "launch", with_the_first_t)
    with pytest.raises(NotCaptured, match="does not count"):
        CapturedStep(make_game(), batches(0))


def test_an_error_of_the_step_itself_is_not_hidden(cuda):
    game = make_game()
    game.draw_z = lambda n: tensor(np.ones((n, 3), np.float32))
    with pytest.raises(ValueError, match="linear"):
        CapturedStep(game, batches(0))


def test_batches_of_another_size_are_played_eagerly(cuda):
    game, eager = make_game(), make_game()
    for optimizer in (eager.opt_D, eager.opt_G):
        optimizer.use_clock()
    step = capture.player(game, pytest.fail)
    for t, n in enumerate((5, 3, 5)):
        for how in (step, lambda real: play_step(eager, real)):
            backends.manual_seed((3, t))
            how(batches(t, n=n))
    check_equal(state(game), state(eager))
    assert cuda.log.count("launch") == 2 + 2
    with pytest.raises(ValueError, match="captured with batches of shape"):
        CapturedStep(game, batches(0))(batches(0, n=3))


def test_closing_gives_the_memory_back(cuda):
    game = make_game()
    step = CapturedStep(game, batches(0))
    step(batches(0))
    step.close()
    assert cuda.log[-1] == "free_all_blocks"
    assert step.graph is None
    assert all(p.grad is None for p in game.D.parameters())
    play_step(game, batches(0))


def test_on_numpy_there_is_nothing_to_capture():
    backends.use_backend("numpy")
    game = make_game()
    step = capture.player(game, pytest.fail)
    step(batches(0))
    assert game.opt_D.clock is None
