"""The benchmark harness: it runs, it is fair in what it counts, and its output reads well."""

import json

import minigan_bench
import numpy as np
import pytest
from click.testing import CliRunner
from minigan_bench import critic
from minigan_bench.timing import BLOCK, SETTLE, take_turns

import minigan
from minigan import models, penalties, recipes
from minigan.cli import program


def test_sides_take_turns_in_blocks():
    order = []
    sides = {name: lambda name=name: order.append(name) for name in "ab"}
    timings, turns = take_turns(sides, steps=2 * (BLOCK - SETTLE), warmup=3)
    assert "".join(order) == "aaabbb" + ("a" * BLOCK + "b" * BLOCK) * 2
    assert [len(turns[name]) for name in "ab"] == [2, 2]
    for timing in timings.values():
        assert 0 <= timing.low <= timing.median <= timing.high
    order.clear()
    take_turns(sides, steps=2, warmup=1, block=1, settle=0)
    assert "".join(order) == "ababab"


def test_bench_reports_every_side():
    result = minigan_bench.run("gan", steps=4, batch_size=4, threads=1)
    assert result["batch_size"] == 4
    assert result["sides"]["minigan"]["median_ms"] > 0
    assert result["sides"]["minigan"]["peak_mib"] > 20
    text = minigan_bench.table(result)
    assert "minigan" in text
    check_ratios(result)


def check_ratios(result):
    """PyTorch's best median over each of minigan's, if PyTorch is here."""
    sides = result["sides"]
    peers = [side for side in sides if side.startswith("PyTorch")]
    if not peers:
        assert "ratios" not in result
        return
    best = min(peers, key=lambda side: sides[side]["median_ms"])
    assert result["best_peer"] == best
    assert result["ratios"].keys() == sides.keys() - peers
    for side, ratio in result["ratios"].items():
        expected = sides[best]["median_ms"] / sides[side]["median_ms"]
        assert ratio["median"] == pytest.approx(expected)


TINY = {"widths": "8,4", "image_size": "16", "latent_dim": "5"}


def test_bench_of_a_dcgan_has_steps_and_layers(monkeypatch):
    # Four processes that import PyTorch take longest; one without it is enough here.
    recipe = recipes.override(recipes.get("dcgan"), TINY)
    mib = minigan_bench.peak_memory("minigan im2col", recipe, 1, 1)
    assert mib > 20
    monkeypatch.setattr(minigan_bench, "peak_memory", lambda *_: mib)

    before = minigan.get_num_threads()
    result = minigan_bench.run("dcgan", steps=2, batch_size=4, threads=1, settings=TINY)
    assert minigan.get_num_threads() == before
    assert {"minigan", "minigan im2col"} <= result["sides"].keys()
    check_ratios(result)
    rows = result["layers"]["rows"]
    layers = list(dict.fromkeys(row["layer"] for row in rows))
    assert layers == [
        "1 x 16 x 16 -> 4 x 8 x 8", "4 x 8 x 8 -> 8 x 4 x 4", "8 x 4 x 4 -> 1 x 1 x 1",
        "8 x 4 x 4 -> 5 x 1 x 1",
    ]  # fmt: skip
    assert len(rows) == 3 * len(layers)
    # 2 * 4 images * 8 x 4 channels * 4 x 4 positions * 4 x 4 kernel
    assert rows[3]["gflop"] == pytest.approx(2e-9 * 4 * 32 * 16 * 16)
    assert "winograd" in rows[3]["sides"]
    assert "winograd" not in rows[6]["sides"]
    text = minigan_bench.table(result)
    assert all(layer in text for layer in layers)


def test_a_busy_machine_is_reported():
    result = {
        "name": "gan", "batch_size": 4, "threads": 1, "machine": "m", "versions": {},
    }  # fmt: skip
    assert "load 1.7" in minigan_bench.table({**result, "load_before": 1.7})
    for idle in (0.1, None):
        assert "busy" not in minigan_bench.table({**result, "load_before": idle})


def test_parts_of_a_bench_from_the_command_line():
    settings = [f"--set={key}={value}" for key, value in TINY.items()]
    options = [*settings, "--batch-size", "2", "--threads", "1", "--json"]
    result = CliRunner().invoke(program, ["bench", "dcgan", "--only", "layers", *options])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert "layers" in found
    assert "sides" not in found


def test_bench_of_a_critic(monkeypatch):
    assert critic.PAIRS.keys() == {"gan", "dcgan-28"} == critic.TURNS.keys() == critic.STEPS.keys()
    small = {"d_norm": "none", "widths": "4,2"}
    monkeypatch.setattr(critic, "PAIRS", {"dcgan-28": small})
    result = minigan_bench.run("wgan-gp", steps=2, batch_size=2, threads=1)
    for pair in result["pairs"].values():
        sides = pair["sides"]
        for own in ("minigan", "minigan, no penalty"):
            peers = [
                side for side in sides if side.startswith("PyTorch")
                and side.endswith("penalty") == own.endswith("penalty")
            ]  # fmt: skip
            if peers:
                best = min(peers, key=lambda side: sides[side]["median_ms"])
                assert pair["ratios"][own]["best_peer"] == best
                expected = sides[best]["median_ms"] / sides[own]["median_ms"]
                assert pair["ratios"][own]["median"] == pytest.approx(expected)
        cost = sides["minigan"]["median_ms"] / sides["minigan, no penalty"]["median_ms"]
        assert pair["penalty_costs"]["minigan"] == pytest.approx(cost)
        assert not any("no penalty" in side for side in pair["penalty_costs"])
    text = minigan_bench.table(result)
    assert "dcgan-28: one update of D" in text
    with pytest.raises(minigan.MiniganError, match="leave out --set"):
        minigan_bench.run("wgan-gp", settings={"lr": 1})


@pytest.mark.parametrize("name", ["gan", "dcgan-28"])
def test_both_critics_pay_the_same(monkeypatch, name):
    torch = pytest.importorskip("torch", reason="PyTorch is the other side")
    from minigan_bench import peer

    rng = np.random.default_rng(0)
    x, fake = rng.standard_normal((2, 3, 1, 28, 28))
    eps = rng.random((3, 1, 1, 1))
    monkeypatch.setattr(penalties, "_one_each", lambda x: eps)
    minigan.manual_seed(0)
    if name == "gan":
        D, theirs = models.build("gan", (1, 28, 28), 5)[1], peer.gan(784, 5)[1]
    else:
        D = models.build("dcgan", (1, 28, 28), 5, widths=(4, 2), d_norm="none")[1]
        theirs = peer.dcgan((1, 28, 28), 5, (4, 2), d_norm="none")[1]
    theirs.load_state_dict({k: torch.tensor(v) for k, v in D.state_dict().items()})
    D, theirs = D.double(), theirs.double()
    with minigan.no_grad(), torch.no_grad():  # lengths of the order of 1
        for ours, other in zip(D.parameters(), theirs.parameters(), strict=True):
            ours *= 5.0
            other *= 5.0
    penalty = penalties.WassersteinGP(weight=1.0)(D, minigan.Tensor(x), minigan.Tensor(fake))
    expected = critic.peer_penalty(theirs, *map(torch.tensor, (x, fake, eps)))
    assert penalty.item() == pytest.approx(expected.item(), rel=1e-9)


def test_games_that_the_peer_does_not_play_are_not_compared(monkeypatch):
    monkeypatch.setattr(minigan_bench, "peak_memory", lambda *_: 1.0)
    recipe = recipes.get("gan")
    assert minigan_bench._has_peer(recipe)
    for change in ({"objective": "hinge"}, {"clip": 1.0}, {"penalty": "r1", "penalty_weight": 1}):
        assert not minigan_bench._has_peer(recipes.override(recipe, change))
    result = minigan_bench.run(
        "gan", steps=2, batch_size=2, threads=1, settings={"objective": "least-squares"}
    )
    assert result["sides"].keys() == {"minigan"}
    assert "does not play this game" in minigan_bench.table(result)


def test_unknown_recipe_is_a_one_line_error():
    with pytest.raises(minigan.MiniganError, match="vae is an autoencoder"):
        minigan_bench.run("vae")
    with pytest.raises(minigan.MiniganError, match="no recipe"):
        minigan_bench.run("gna")


def test_a_conditional_recipe_has_no_peer():
    with pytest.raises(minigan.MiniganError, match="cdcgan-28 takes labels"):
        minigan_bench.run("cdcgan-28")
