"""Layers, containers, losses and initial weights, under PyTorch's names."""

from minigan.nn import init
from minigan.nn.containers import ModuleList, Sequential
from minigan.nn.convolution import Conv2d, ConvTranspose2d
from minigan.nn.image_normalization import InstanceNorm2d, LayerNorm, PixelNorm
from minigan.nn.layers import (
    BatchNorm1d,
    BatchNorm2d,
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
from minigan.nn.minibatch import MinibatchDiscrimination, MinibatchStdDev
from minigan.nn.module import Module, Parameter
from minigan.nn.pooling import AvgPool2d, MaxPool2d
from minigan.nn.resampling import ReflectionPad2d, Upsample
from minigan.nn.stateless import functional_call

__all__ = [
    "AvgPool2d", "BCELoss", "BCEWithLogitsLoss", "BatchNorm1d", "BatchNorm2d", "Conv2d",
    "ConvTranspose2d", "Dropout", "Embedding", "Flatten", "Identity", "InstanceNorm2d", "L1Loss",
    "LayerNorm", "LeakyReLU", "Linear", "MSELoss", "MaxPool2d", "Maxout", "MinibatchDiscrimination",
    "MinibatchStdDev", "Module", "ModuleList",
    "Parameter", "PixelNorm", "ReLU", "ReflectionPad2d", "Sequential", "Sigmoid", "Softplus",
    "Tanh", "Unflatten", "Upsample", "functional_call", "init",
]  # fmt: skip
