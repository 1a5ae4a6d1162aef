"""The labels y of a conditional game: numbers of classes, as networks and people take them.

    recipe         y
    cgan, acgan    the class of the image, from the data
    infogan        a code that means nothing beforehand, drawn uniformly: there is no true one

Both are whole numbers here, one for each image, and one-hot rows for the networks.
"""

from __future__ import annotations

import difflib

import numpy as np

from minigan import creation
from minigan.autograd import Tensor
from minigan.data import Dataset
from minigan.errors import MiniganError
from minigan.recipes import Recipe

COLUMNS = 8  # images of a class side by side
MOST_ROWS = 20  # classes in a grid: of a thousand not all are shown
CODE_STREAM = 0xC0DE  # apart from all other seeds (seed, number, ...)


def names(recipe: Recipe, dataset: Dataset) -> tuple[str, ...]:
    """What the labels of a run are called; () for a recipe that is not conditional.

    >>> from minigan import data, recipes
    >>> names(recipes.get("cgan"), data.load("glyphs", count=100))
    ('0', '1', '2', '3', '4', '5', '6', '7', '8', '9')

    Raises MiniganError for a conditional recipe and data without labels, or without an image of
    some class: G would be asked for what it has never seen.
    """
    if not recipe.is_conditional:
        return ()
    if recipe.codes:
        return tuple(map(str, range(recipe.codes)))
    if dataset.labels is None:
        raise MiniganError(
            f"{recipe.name} is conditional and {dataset.name} has no labels: choose labelled data "
            "(an archive with labels, a folder with a sub-folder a class), or another recipe"
        )
    missing = np.bincount(dataset.labels, minlength=len(dataset.classes)) == 0
    if missing.any():
        raise MiniganError(
            f"{recipe.name} is conditional and {dataset.name} has no image of class "
            f"{dataset.classes[missing.argmax()]}: add some, or number the labels 0, 1, 2, ... "
            "without gaps"
        )
    return dataset.classes


def of_batch(
    recipe: Recipe, dataset: Dataset, rows: np.ndarray, seed: int, number: int
) -> np.ndarray:
    """The labels (N,) of batch ``number``, which holds these rows of the data."""
    if recipe.codes:
        rng = np.random.default_rng((seed, number, CODE_STREAM))
        return rng.integers(recipe.codes, size=len(rows))
    return dataset.labels[rows]


def drawn(recipe: Recipe, dataset: Dataset, n: int, rng: np.random.Generator) -> np.ndarray:
    """Labels (n,) as often as they are among the data; codes uniformly."""
    if recipe.codes:
        return rng.integers(recipe.codes, size=n)
    return dataset.labels[rng.integers(len(dataset), size=n)]


def in_rows(chosen: list[int], n: int, columns: int = COLUMNS) -> np.ndarray:
    """Labels (n,) for a grid in which each row has one class: the chosen ones in turn.

    >>> in_rows([3, 5], 6, columns=2)
    array([3, 3, 5, 5, 3, 3])
    """
    return np.array(chosen)[np.arange(n) // columns % len(chosen)]


def one_hot(labels: np.ndarray, classes: int) -> Tensor:
    """Whole numbers (N,) -> float32 (N, classes), on the current backend.

    >>> one_hot(np.array([2, 0]), 3)
    tensor([[0., 0., 1.],
            [1., 0., 0.]])

    Raises ValueError for a label that is none of the classes.
    """
    labels = np.asarray(labels)
    if labels.size and not 0 <= labels.min() <= labels.max() < classes:
        raise ValueError(
            f"labels from {labels.min()} to {labels.max()}: expected 0 to {classes - 1}"
        )
    return creation.from_numpy(np.eye(classes, dtype=np.float32)[labels])


def find(text: str, classes: tuple[str, ...]) -> int:
    """The number of the class that a user means by its name or its number.

    >>> find("coat", ("shirt", "coat")), find("0", ("shirt", "coat"))
    (1, 0)

    Raises MiniganError that names what there is.
    """
    if text in classes:  # first: the names may be numbers in another order
        return classes.index(text)
    if text.isdecimal() and int(text) < len(classes):
        return int(text)
    near = difflib.get_close_matches(text, classes, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    shown = ", ".join(classes[:MOST_ROWS]) + ", ..." * (len(classes) > MOST_ROWS)
    raise MiniganError(
        f"no label {text[:40]!r}{hint}: expected one of {shown}, or its number from 0 to "
        f"{len(classes) - 1}"
    )
