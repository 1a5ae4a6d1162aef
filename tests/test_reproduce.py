"""Reproductions: the folder and its page, and the mathematics of figure1 and theory."""

import dataclasses
import importlib
import json
import math
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from minigan import backends, plots, reproduce
from minigan.autograd import Tensor, no_grad
from minigan.cli import program
from minigan.errors import MiniganError
from minigan.reproduce import figure1, result, theory
from minigan.reproduce.result import (
    Comparison,
    Outcome,
    Picture,
    Task,
    comparison_table,
    finish,
    page,
    to_json,
)

DOCS = Path(__file__).parents[1] / "docs" / "results"
KEYS = [
    "format", "version", "name", "title", "verdict", "comparisons", "measured", "settings",
    "notes", "figures", "command", "quick", "seed", "seconds", "processor_seconds",
    "versions",
]  # fmt: skip


def number(measured, **limits):
    return Comparison(what="n", measured=measured, expected=1.0, source="a book", **limits)


def outcome(value=1.25):
    return Outcome(
        settings={"steps": 3},
        measured={"table": [{"a|b": 0.5, "c": None}], "curves": {"x": [1.0, 2.0]}, "seen": 17},
        comparisons=[number(value, error=0.125, low=1.0, high=1.5)],
        pictures=[
            Picture("a.png", "Grey.", Image.new("L", (8, 8))),
            Picture("a.gif", "A film.", [Image.new("L", (8, 8), grey) for grey in (0, 255)]),
        ],
        notes=["Nothing was left out."],
    )


def small(monkeypatch):
    """The quick versions, quicker."""
    monkeypatch.setattr(figure1, "QUICK", figure1.Plan(3, 4, 2, 8, frames=3))
    monkeypatch.setattr(theory, "QUICK", theory.Plan((0.0, 2.0, 10.0), steps=20, points=5))


def run(*args):
    return CliRunner().invoke(program, ["reproduce", *map(str, args)])


# The folder ---------------------------------------------------------------------------------


def test_the_range_decides():
    assert number(1.0, low=1.0, high=1.5).holds is True
    assert number(1.5, low=1.0, high=1.5).holds is True
    assert number(0.99, low=1.0).holds is False
    assert number(1.51, high=1.5).holds is False
    assert number(math.nan, high=1.5).holds is False
    assert number(7.0).holds is None
    assert number(None, high=1.5).holds is False
    assert "| n | undefined |" in result.comparison_table(
        [{**dataclasses.asdict(number(None, high=1.5)), "holds": False}]
    )


def test_the_verdict_counts():
    yes, no, unjudged = number(1.0, high=2.0), number(3.0, high=2.0), number(5.0)
    assert result.verdict([yes, yes, unjudged]).startswith("reproduced: all 2 numbers")
    assert result.verdict([yes, no]).startswith("partly reproduced: 1 of 2 numbers")
    assert result.verdict([no, no]).startswith("not reproduced: 0 of 2 numbers")
    assert result.verdict([unjudged]).startswith("not judged")


def test_a_folder_explains_itself(tmp_path):
    written = finish(Task("name", "A title", tmp_path / "new", seed=3), outcome())
    assert written == json.loads((tmp_path / "new" / "result.json").read_text())
    assert list(written) == KEYS
    assert (written["format"], written["version"]) == ("minigan-result", 1)
    assert written["command"] == "minigan reproduce name --seed 3"
    assert written["comparisons"][0]["holds"] is True
    assert {path.name for path in (tmp_path / "new").iterdir()} == {
        "result.json", "result.md", "a.png", "a.gif"
    }  # fmt: skip


def test_a_folder_is_tried_before_the_work(tmp_path, monkeypatch):
    """One that is there and may not be written to.  (The superuser of a container may always.)"""

    def refused(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(result.tempfile, "TemporaryFile", refused)
    with pytest.raises(MiniganError, match=f"cannot write {tmp_path}: Permission denied"):
        Task("name", "", tmp_path)


def test_the_page_comes_from_the_file(tmp_path):
    written = finish(Task("name", "A title", tmp_path), outcome())
    text = (tmp_path / "result.md").read_text()
    assert text == page(json.loads((tmp_path / "result.json").read_text()))
    row = "| n | 1.25 ± 0.12 | 1 | a book | 1 to 1.5 | yes |"
    for part in (
        row,
        written["verdict"],
        "![Grey.](a.png)",
        "- steps: 3",
        "- seen: 17",
        "| a\\|b | c |",
        "| 0.5 |  |",
        "- Nothing was left out.",
        written["command"],
    ):
        assert part in text
    written["comparisons"][0]["measured"] = 1.375
    assert "| n | 1.38 ± 0.12 |" in page(written)


def test_an_error_stands_beside_its_number(tmp_path):
    rows = [{"name": "a", "x": 12.2, "± x": 1.07, "± other": 3}, {"name": "b", "x": 1, "± x": None}]
    written = finish(Task("name", "A title", tmp_path), outcome())
    text = page({**written, "measured": {"rows": [{**rows[1], "± other": None}, rows[0]]}})
    assert "| name | x | ± other |" in text
    assert "| a | 12.2 ± 1.1 | 3 |" in text
    assert "| b | 1 |  |" in text


def test_empty_columns_are_left_out():
    def values(comparison, **changes):
        return {**dataclasses.asdict(comparison), "holds": comparison.holds, **changes}

    alone = values(number(7.0), expected=None, source="")
    assert comparison_table([alone]) == "|  | measured |\n|---|---|\n| n | 7 |"
    judged = values(number(7.0, high=8.0))
    assert "| n | 7 |  |  |  | not judged |" in comparison_table([alone, judged])


def test_numbers_survive_the_file():
    values = {"list": [0.1, 1e-300, -3], "text": ["[1,\n 2]"], "nested": [[1], []], "none": None}
    assert json.loads(to_json(values)) == values
    assert '"list": [0.1, 1e-300, -3]' in to_json(values)


def test_a_nan_is_refused_and_the_old_result_stays(tmp_path):
    finish(Task("name", "", tmp_path), outcome())
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ValueError, match="not JSON compliant"):
        finish(Task("name", "", tmp_path), outcome(math.nan))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_an_interrupted_write_leaves_no_result(tmp_path, monkeypatch):
    finish(Task("name", "", tmp_path), outcome())

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(plots, "gif", interrupt)
    with pytest.raises(KeyboardInterrupt):
        finish(Task("name", "", tmp_path), outcome())
    assert not (tmp_path / "result.json").exists()
    assert not list(tmp_path.glob(".*"))


def test_the_folder_is_tried_before_the_work(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MiniganError, match=r"cannot write .*file: File exists"):
        reproduce.run("theory", tmp_path / "file")


RESULTS = sorted(path.parent for path in DOCS.glob("*/result.json"))


@pytest.mark.parametrize("folder", RESULTS, ids=lambda folder: folder.name)
def test_committed_results_are_whole(folder):
    kept = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    assert list(kept) == KEYS
    assert kept["name"] == folder.name
    assert kept["quick"] is False
    assert (folder / "result.md").read_text(encoding="utf-8") == page(kept)
    for figure in kept["figures"]:
        with Image.open(folder / figure["file"]) as image:
            assert image.width > 100
    expected = {figure["file"] for figure in kept["figures"]} | {"result.json", "result.md"}
    assert {path.name for path in folder.iterdir()} == expected
    limits = ("what", "measured", "expected", "source", "error", "low", "high")
    again = [Comparison(**{key: c[key] for key in limits}) for c in kept["comparisons"]]
    assert kept["verdict"] == result.verdict(again)


# The command --------------------------------------------------------------------------------


def test_the_list():
    listed = run()
    assert listed.exit_code == 0
    assert [line.split()[0] for line in listed.stdout.splitlines()] == list(reproduce.REPRODUCTIONS)
    assert json.loads(run("--json").stdout) == reproduce.REPRODUCTIONS
    for name in reproduce.REPRODUCTIONS:
        importlib.import_module(f"minigan.reproduce.{name.replace('-', '_')}").reproduce  # noqa: B018


@pytest.mark.parametrize("name", ["figure1", "theory"])
def test_the_quick_versions(name, tmp_path, monkeypatch):
    small(monkeypatch)
    done = run(name, "--quick", "--out", tmp_path, "--seed", "2", "--json")
    assert done.exit_code == 0
    written = json.loads(done.stdout)
    assert written == json.loads((tmp_path / "result.json").read_text())
    assert written["command"] == f"minigan reproduce {name} --quick --seed 2"
    for figure in written["figures"]:
        assert (tmp_path / figure["file"]).stat().st_size > 1000
    assert f"{name}: 100%" in done.stderr


def test_the_same_seed_gives_the_same_numbers(tmp_path):
    plan = figure1.Plan(3, 4, 2, 8, frames=3)
    first, again, other = (
        [m.numbers() for m in figure1.play(plan, Task("", "", tmp_path, seed=seed))[0]]
        for seed in (5, 5, 6)
    )
    assert first == again
    assert first != other


def test_default_folders(tmp_path, monkeypatch):
    small(monkeypatch)
    monkeypatch.chdir(tmp_path)
    done = run("theory", "--quick")
    assert (done.exit_code, Path("results/theory-quick/result.json").exists()) == (0, True)
    assert done.stdout.splitlines()[-1] == str(Path("results/theory-quick/result.md"))


def test_errors_are_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    for args, code, message in [
        (["figure9"], 1, "no reproduction 'figure9': expected one of table1, order, figure1, "),
        (["figure1", "--out", tmp_path / "file"], 1, "cannot write"),
        (["figure1", "--seed", "-1"], 2, "--seed"),
    ]:
        failed = run(*args)
        assert (failed.exit_code, message in failed.stderr) == (code, True)
        assert len(failed.stderr.splitlines()) == 1


def test_interrupted(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(theory, "train_D", interrupt)
    assert run("theory", "--quick", "--out", tmp_path).exit_code == 130
    assert not list(tmp_path.iterdir())


# figure1 ------------------------------------------------------------------------------------


def density(G_z):
    return figure1.push_forward(G_z)[1:-1] / figure1.BIN


def test_the_change_of_variables():
    x, z = figure1.MIDDLES, figure1.Z
    np.testing.assert_allclose(density(-2 * z)[(x > -2) & (x < 0)], 0.5, rtol=1e-5)
    fold = density(abs(2 * z - 1))  # two z for each x
    np.testing.assert_allclose(fold[(x > 0.05) & (x < 0.95)], 1.0, rtol=1e-4)
    assert fold[x < 0].max() == 0
    np.testing.assert_allclose(  # p(x) = p_z(z) / |dG/dz| with G(z) = z^2
        density(z**2)[(x > 0.1) & (x < 1)], 0.5 / np.sqrt(x[(x > 0.1) & (x < 1)]), rtol=5e-3
    )
    quantile = np.array([figure1.DATA.inv_cdf(share) for share in z])
    np.testing.assert_allclose(figure1.push_forward(quantile), figure1.DATA_MASS, atol=1e-6)
    outside = figure1.push_forward(np.full(len(z), 7.0))
    assert (outside[-1], outside[:-1].sum()) == (pytest.approx(1), 0)


def test_noise_and_data_are_even():
    for n in (1, 7, 128):
        assert (np.floor(figure1.stratified(n) * n) == np.arange(n)).all()
    x = figure1.draw_x(10_000).numpy()
    assert (x.mean(), x.std()) == (pytest.approx(0, abs=1e-3), pytest.approx(1, abs=2e-3))


def test_g_starts_as_a_rising_function():
    G = figure1.Generator().double()
    with no_grad():
        G_z = G(Tensor(np.linspace(0.001, 0.999, 999)[:, None])).numpy()[:, 0]
    assert (np.diff(G_z) > 0).all()
    assert (G_z.mean(), G_z.std()) == (pytest.approx(1.5, abs=0.05), pytest.approx(0.6, abs=0.05))


def test_who_moves_between_the_moments(tmp_path):
    plan = figure1.Plan(3, 4, 2, 8, frames=3)
    (a, b, c, d), film = figure1.play(plan, Task("figure1", "", tmp_path))
    assert [m.name for m in (a, b, c, d)] == ["(a)", "(b)", "(c)", "(d)"]
    assert [m.step for m in (a, b, c, d)] == [
        "3 steps", "3 steps, 4 of D alone", "3 steps, 4 of D alone, 2 of G alone", "8 steps"
    ]  # fmt: skip
    np.testing.assert_array_equal(a.p_g, b.p_g)
    np.testing.assert_array_equal(b.D, c.D)
    assert (a.D != b.D).all()
    assert (b.G_z != c.G_z).all()
    assert (c.D != d.D).all()
    assert (film[0].step, film[-1]) == ("0 steps", d)


def test_a_moment_measures_d_against_the_best(tmp_path):
    D = np.full(figure1.BINS, 0.5)
    perfect = figure1.Moment("(d)", "", figure1.DATA_MASS, D, np.zeros(1), np.zeros(1), 0.5)
    values = [v for v in perfect.numbers().values() if not isinstance(v, str)]
    np.testing.assert_allclose(values, [0, 0, 0, 0.5], atol=1e-12)
    far = np.zeros(figure1.BINS + 2)
    far[-1] = 1.0  # all of p_g is off the picture
    apart = figure1.Moment("(a)", "", far, D, np.zeros(1), np.zeros(1), 0.5)
    shared = figure1.DATA_MASS[-1]  # off the picture too, 3e-7
    assert 0 < math.log(2) - apart.numbers()["JSD(p_data, p_g)"] < 20 * shared
    np.testing.assert_array_equal(apart.D_star, 1.0)
    assert apart.numbers()["distance from D*"] == pytest.approx(0.25, abs=1e-6)


def test_a_game_is_won_in_seconds(tmp_path):
    plan = figure1.Plan(6, 80, 10, 300, frames=2)
    (a, b, c, d), _ = figure1.play(plan, Task("figure1", "", tmp_path))
    rows = [moment.numbers() for moment in (a, b, c, d)]
    assert rows[3]["JSD(p_data, p_g)"] < 0.25 * rows[0]["JSD(p_data, p_g)"]
    assert rows[1]["distance from D*"] < rows[0]["distance from D*"]
    assert rows[2]["mean D(G(z))"] > rows[1]["mean D(G(z))"]


# theory -------------------------------------------------------------------------------------


def test_the_divergence():
    assert theory.jsd(0.0) == pytest.approx(0, abs=1e-15)
    assert theory.jsd(10.0) == pytest.approx(math.log(2), abs=1e-6)
    assert theory.jsd(3.0) == pytest.approx(theory.jsd(-3.0), rel=1e-12)
    # For a small shift it is Fisher's information, 1 here, times theta^2 / 8.
    assert theory.jsd(0.01) / (0.01**2 / 8) == pytest.approx(1, abs=1e-4)
    assert math.sqrt(theory.jsd(2.0)) <= 2 * math.sqrt(theory.jsd(1.0))  # its root is a metric
    x = np.random.default_rng(0).standard_normal(200_000)
    log_ratio = theory.logit_star(x, 2.0)
    sampled = math.log(2) - np.logaddexp(0, -log_ratio).mean()  # KL(p_data | m); by symmetry JSD
    assert theory.jsd(2.0) == pytest.approx(sampled, abs=0.005)


@pytest.mark.parametrize("theta", [0.3, 1.0, 3.0, 7.0])
def test_gradients_against_differences(theta):
    h = 1e-4
    slope = (theory.jsd(theta + h) - theory.jsd(theta - h)) / h  # of 2 JSD
    assert theory.gradient(theory.minimax, theta) == pytest.approx(slope, rel=1e-5, abs=1e-11)
    assert theory.gradient(theory.non_saturating, theta) == pytest.approx(theta - slope, rel=1e-6)
    assert theory.gradient(theory.wasserstein, theta) == pytest.approx(1, rel=1e-12)
    for name, objective in theory.OBJECTIVES.items():
        expected = theory.expected_gradient(name, theta)
        assert theory.gradient(objective, theta) == pytest.approx(expected, rel=1e-10)
        # On the other side it pulls the other way.
        assert theory.gradient(objective, -theta) == pytest.approx(-expected, rel=1e-9)


def test_the_least_squares_gradient_by_differences():
    """E (D*(z + theta) - 1)^2 / 2 with D* of theta = 2 held still."""
    phi = np.exp(theory.log_normal(theory.Z, 0.0)) * theory.H

    def loss(shift):
        D = 1 / (1 + np.exp(-theory.logit_star(theory.Z + shift, 2.0)))
        return phi @ (0.5 * (D - 1) ** 2)

    slope = (loss(2 + 1e-5) - loss(2 - 1e-5)) / 2e-5
    assert theory.gradient(theory.least_squares, 2.0) == pytest.approx(slope, rel=1e-8)


def test_far_away():
    """The next term of the minimax gradient is -pi^2 / (2 theta^2) of the first."""
    for theta in (8.0, 10.0):
        ratio = theory.gradient(theory.minimax, theta) / theory.far_away("minimax", theta)
        assert ratio == pytest.approx(1 - math.pi**2 / (2 * theta**2), abs=0.02)
        ratio = theory.gradient(theory.least_squares, theta)
        assert ratio == pytest.approx(theory.far_away("least squares", theta), rel=0.12)
    assert theory.gradient(theory.non_saturating, 8.0) == pytest.approx(8.0, rel=1e-3)


@pytest.mark.parametrize("theta", [0.0, 2.0, 10.0])
def test_no_d_beats_the_best(theta):
    best = theory.value(Tensor(theory.logit_star(theory.X, theta)), theory.X, theta).item()
    assert best == pytest.approx(2 * theory.jsd(theta) - math.log(4), abs=1e-12)
    backends.manual_seed(0)
    row, _ = theory.judge_D(theory.Discriminator(theta).double(), theta)
    assert row["V(D, G), D trained"] < row["V(D*, G)"]
    row_after, D = theory.judge_D(theory.train_D(theta, 60, seed=0), theta)
    assert row["V(D, G), D trained"] < row_after["V(D, G), D trained"] <= row["V(D*, G)"] + 1e-12
    assert row_after["mean distance of D from D*"] < 0.05
    assert D.shape == theory.X.shape


def test_through_a_trained_d():
    """Through a D whose logit is that of D*, the gradients are those through D*."""

    class Best:
        def __call__(self, x):
            return theory.logit_star(x, 2.0)

    for name in ("minimax", "non-saturating", "least squares"):
        expected = theory.expected_gradient(name, 2.0)
        assert theory.gradient_through(Best(), name, 2.0) == pytest.approx(expected, rel=1e-9)
