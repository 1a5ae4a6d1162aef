"""Optimisers, schedules and the average of weights, over one flat array."""

from minigan.optim import schedules
from minigan.optim.adam import Adam
from minigan.optim.ema import EMA
from minigan.optim.rmsprop import RMSprop
from minigan.optim.sgd import SGD

__all__ = ["EMA", "SGD", "Adam", "RMSprop", "schedules"]
