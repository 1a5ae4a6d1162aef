"""Recipes: overriding values, and one-line errors for values that cannot work."""

import pytest

from minigan import MiniganError, recipes


def test_every_recipe_says_where_its_values_come_from():
    for name in recipes.names():
        recipe = recipes.get(name)
        assert recipe.name == name
        assert "20" in recipe.source  # a year at least
        assert len(recipe.summary) < 80


def test_override_parses_text_by_the_field():
    recipe = recipes.override(
        recipes.get("gan"),
        {"lr": "1e-3", "betas": "0.9,0.99", "batch_size": "32", "objective": "minimax"},
    )
    assert (recipe.lr, recipe.betas, recipe.batch_size) == (1e-3, (0.9, 0.99), 32)
    assert recipe.objective == "minimax"
    assert recipes.override(recipe, {"lr": 2, "betas": [0.5, 0.9]}).betas == (0.5, 0.9)


@pytest.mark.parametrize(
    "values",
    [
        {"learning_rate": "1"}, {"name": "x"}, {"lr": "fast"}, {"lr": "0"}, {"lr": "nan"},
        {"lr": "-1"}, {"batch_size": "1.5"}, {"batch_size": 2.5}, {"batch_size": "0"},
        {"betas": "0.5"}, {"betas": "0.5,1.0"}, {"betas": "a,b"}, {"betas": 3},
        {"updates": "sometimes"}, {"latent": "cauchy"}, {"optimizer": "lion"},
        {"d_steps": "2", "updates": "simultaneous"}, {"momentum": "1"}, {"ema": "-0.1"},
        {"pixel_low": "1"}, {"lr_decay": "0.5"}, {"epochs": True}, {"objective": 3},
        {"label_smoothing": "1"}, {"momentum_epochs": "-1"}, {"lr": 10**400}, {"d_scale": "0"},
        {"momentum": "0.5"}, {"momentum_end": "0.5", "optimizer": "sgd"}, {"pixel_low": "0"},
        {"model": "gan-paper"}, {"batch_size": "1"}, {"d_steps": "1001"},
        {"lr": None}, {"lr": [1]}, {"lr": "inf"}, {"objective": "wasserstein"},
        {"clip": "1e-300"},
    ],
)  # fmt: skip
def test_bad_values_are_one_line_errors(values):
    with pytest.raises(MiniganError) as error:
        recipes.override(recipes.get("gan"), values)
    assert "\n" not in str(error.value)


def test_a_critic_needs_a_bound():
    """Without one D's outputs only grow, and training stops where a float overflows, if at all."""
    gan, critic = recipes.get("gan"), {"objective": "wasserstein"}
    for bound in ({"clip": "0.01"}, {"penalty": "r1", "penalty_weight": "1"}):
        assert recipes.override(gan, {**critic, **bound}).objective == "wasserstein"
    with pytest.raises(MiniganError, match=r"set clip=0\.01, or penalty"):
        recipes.override(recipes.get("wgan"), {"clip": "0"})
    with pytest.raises(MiniganError, match="set another objective, or updates=alternate"):
        recipes.override(recipes.get("unrolled"), critic)


def test_unknown_recipe_names_the_nearest():
    with pytest.raises(MiniganError, match="did you mean gan-relu"):
        recipes.get("gan-rleu")


def test_other_data_than_mnist_have_no_split_of_the_paper():
    paper = recipes.get("gan-paper")
    assert recipes.override(paper, {"data": "fashion-mnist"}).split == "paper-train"
    assert recipes.override(paper, {"data": "glyphs"}).split == "train"
    assert recipes.override(paper, {"data": "glyphs", "split": "test"}).split == "test"
