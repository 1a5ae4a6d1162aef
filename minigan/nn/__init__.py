"""Layers, containers, losses and initial weights, under PyTorch's names."""

from minigan.nn import init
from minigan.nn.containers import ModuleList, Sequential
from minigan.nn.layers import (
    BatchNorm1d,
    Dropout,
    Embedding,
    Flatten,
    Identity,
    LeakyReLU,
    Linear,
    Maxout,
    ReLU,
    Sigmoid,
    Softplus,
    Tanh,
    Unflatten,
)
from minigan.nn.losses import BCELoss, BCEWithLogitsLoss, L1Loss, MSELoss
from minigan.nn.module import Module, Parameter

__all__ = [
    "BCELoss", "BCEWithLogitsLoss", "BatchNorm1d", "Dropout", "Embedding", "Flatten", "Identity",
    "L1Loss", "LeakyReLU", "Linear", "MSELoss", "Maxout", "Module", "ModuleList", "Parameter",
    "ReLU", "Sequential", "Sigmoid", "Softplus", "Tanh", "Unflatten", "init",
]  # fmt: skip
