"""Where the real images come from: made, downloaded or the user's own, all through :func:`load`."""

from minigan.data.dataset import Dataset
from minigan.data.load import load
from minigan.data.loader import Batches, to_float

__all__ = ["Batches", "Dataset", "load", "to_float"]
