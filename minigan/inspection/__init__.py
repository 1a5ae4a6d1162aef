"""The microscope: one step of the game taken apart, and what D's saturation does to G.

>>> from minigan import inspection, objectives, optim, ones, randn
>>> from minigan.nn import Linear, ReLU, Sequential
>>> from minigan.train.step import Game
>>> G, D = Sequential(Linear(3, 5), ReLU(), Linear(5, 2)), Linear(2, 1)
>>> sgd_G, sgd_D = optim.SGD(G.parameters(), lr=0.1), optim.SGD(D.parameters(), lr=0.1)
>>> game = Game(G, D, sgd_G, sgd_D, objectives.build("non-saturating"), lambda n: randn(n, 3))
>>> for layer in inspection.take_apart(game, [ones(4, 2)]).layers:
...     print(layer.name, layer.kind, layer.shape)
G.0 Linear + ReLU (4, 5)
G.2 Linear (4, 2)
D Linear (4, 1)
"""

from minigan.inspection.anatomy import Anatomy, Layer, Weights, take_apart
from minigan.inspection.saturation import Saturation, saturation, slopes
from minigan.inspection.subject import Subject, from_recipe, from_run

__all__ = [
    "Anatomy", "Layer", "Saturation", "Subject", "Weights", "from_recipe", "from_run",
    "saturation", "slopes", "take_apart",
]  # fmt: skip
