"""Every experiment as a list of its hyper-parameters, each with its source."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from minigan.errors import MiniganError
from minigan.recipes import collapse, conditional, dcgan, gan, objectives, penalties, vae
from minigan.recipes.checks import AUTOENCODERS, AUXILIARY, CONDITIONAL
from minigan.recipes.recipe import Recipe

__all__ = [
    "AUTOENCODERS", "AUXILIARY", "CONDITIONAL", "MNISTS", "RECIPES", "Recipe", "get", "names",
    "override", "parse",
]  # fmt: skip

# In the order in which they are listed.
_FAMILIES = (gan, collapse, dcgan, objectives, penalties, vae, conditional)
RECIPES = {recipe.name: recipe for family in _FAMILIES for recipe in family.RECIPES}

MNISTS = ("mnist", "fashion-mnist", "stacked-mnist")


def names() -> list[str]:
    """The names of all recipes.

    >>> names()
    ['gan', 'gan-relu', 'gan-paper', 'gan-toy', 'pacgan2', 'unrolled', 'dcgan', 'dcgan-28',
     'dcgan-32', 'lsgan', 'wgan', 'hinge', 'wgan-gp', 'wgan-gp-toy', 'dragan', 'r1', 'ae', 'vae',
     'cgan', 'cdcgan-28', 'acgan-28', 'infogan-28']
    """
    return list(RECIPES)


def get(name: str) -> Recipe:
    """The recipe of that name; MiniganError with the nearest names if there is none."""
    if name not in RECIPES:
        hint = _nearest(name, RECIPES)
        raise MiniganError(f"no recipe {name!r}{hint}: expected one of {', '.join(RECIPES)}")
    return RECIPES[name]


def override(recipe: Recipe, values: dict[str, Any]) -> Recipe:
    """The recipe with other values, given as text or as values of the field's type.

    Raises MiniganError for an unknown key, a value of the wrong type, or one that cannot work.

    >>> override(get("gan"), {"lr": "1e-3", "betas": "0.9,0.999"}).betas
    (0.9, 0.999)
    """
    parsed = parse(recipe, values)
    if parsed.get("data", recipe.data) not in (recipe.data, *MNISTS):
        parsed.setdefault("split", "train")  # only these have the paper's splits
    return dataclasses.replace(recipe, **parsed)


def parse(recipe: Recipe, values: dict[str, Any]) -> dict[str, Any]:
    """The values, given as text or not, in the types of the recipe's fields.

    Raises MiniganError for an unknown key or a value of the wrong type.

    >>> parse(get("gan"), {"lr": "1e-3"})
    {'lr': 0.001}
    """
    kinds = {field.name: str(field.type) for field in dataclasses.fields(recipe)}
    for key in ("name", "summary", "source"):
        del kinds[key]
    for key in values:
        if key not in kinds:
            hint = _nearest(key, kinds)
            raise MiniganError(f"no setting {key!r}{hint}: expected one of {', '.join(kinds)}")
    return {key: _parse(key, kinds[key], value) for key, value in values.items()}


def _nearest(word: str, known: Iterable[str]) -> str:
    """The hint for a word that was mistyped; empty if no known one is near."""
    import difflib  # here, because every start of the command line loads the recipes

    near = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def _parse(key: str, kind: str, value: Any) -> Any:
    """The value as the annotation of the recipe's field says."""
    expected = {
        "tuple[int, ...]": "whole numbers, as 256,128,64",
        "tuple[float, float]": "two numbers, as 0.5,0.999",
        "float": "a number",
        "int": "a whole number",
        "str": "text",
    }
    try:
        if kind.startswith("tuple"):
            parts = value.split(",") if isinstance(value, str) else value
            if kind == "tuple[int, ...]":
                return tuple(_number(int, part) for part in parts)
            first, second = (_number(float, part) for part in parts)
            return first, second
        if kind == "str":
            if not isinstance(value, str):
                raise ValueError
            return value
        return _number({"int": int, "float": float}[kind], value)
    except (ValueError, TypeError, OverflowError):
        raise MiniganError(f"{key} must be {expected[kind]}, got {str(value)[:40]!r}") from None


def _number(kind: type, value: Any) -> Any:
    """int or float, without turning True into 1 or 2.5 into 2."""
    if isinstance(value, bool) or (kind is int and isinstance(value, float)):
        raise ValueError
    return kind(value)
