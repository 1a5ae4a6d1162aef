"""Differentiable functions, forward and backward side by side.

Names and arguments are those of ``torch`` and ``torch.nn.functional`` where the concept is the
same.  Importing this module also gives Tensor its operators and methods (``operators.py``).
"""

from minigan.functional import operators as _operators
from minigan.functional.activations import (
    leaky_relu,
    log_softmax,
    maxout,
    relu,
    sigmoid,
    softmax,
    softplus,
    tanh,
)
from minigan.functional.arithmetic import (
    abs,
    amax,
    amin,
    broadcast_to,
    clip,
    exp,
    log,
    maximum,
    mean,
    minimum,
    pow,
    sqrt,
    std,
    sum,
    sum_to,
    var,
    where,
)
from minigan.functional.convolution import conv2d, conv2d_weight_grad, conv_transpose2d
from minigan.functional.dropout import dropout
from minigan.functional.image_normalization import instance_norm, layer_norm, pixel_norm
from minigan.functional.linear import embedding, linear, matmul
from minigan.functional.losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    l1_loss,
    mse_loss,
)
from minigan.functional.minibatch import minibatch_discrimination, minibatch_stddev
from minigan.functional.normalization import batch_norm
from minigan.functional.pooling import avg_pool2d, max_pool2d
from minigan.functional.resampling import interpolate, reflection_pad2d
from minigan.functional.shaping import (
    cat,
    flatten,
    getitem,
    pad,
    permute,
    reshape,
    squeeze,
    stack,
    transpose,
    unflatten,
    unsqueeze,
)

_operators.install()

__all__ = [
    "abs", "amax", "amin", "avg_pool2d", "batch_norm", "binary_cross_entropy",
    "binary_cross_entropy_with_logits", "broadcast_to", "cat", "clip", "conv2d",
    "conv2d_weight_grad", "conv_transpose2d", "dropout", "embedding", "exp", "flatten", "getitem",
    "instance_norm", "interpolate", "l1_loss", "layer_norm", "leaky_relu", "linear", "log",
    "log_softmax", "matmul", "max_pool2d", "maximum", "maxout", "mean", "minibatch_discrimination",
    "minibatch_stddev", "minimum", "mse_loss",
    "pad", "permute", "pixel_norm", "pow", "reflection_pad2d", "relu", "reshape", "sigmoid",
    "softmax", "softplus", "sqrt", "squeeze", "stack", "std", "sum", "sum_to", "tanh", "transpose",
    "unflatten", "unsqueeze", "var", "where",
]  # fmt: skip
