"""minigan: generative adversarial networks, readable down to the last multiplication.

>>> import minigan
>>> x = minigan.tensor([1.0, 2.0], requires_grad=True)
>>> (x * x).sum().backward()
>>> x.grad
tensor([2., 4.])

The public names are loaded when they are first used: importing minigan imports nothing.
"""

import importlib
from typing import Any

from minigan._version import __version__

_MODULES = (
    "data",
    "evaluate",
    "functional",
    "graph",
    "inspection",
    "models",
    "nn",
    "objectives",
    "optim",
    "plots",
    "recipes",
    "train",
)

_NAMES = {
    "MiniganError": "minigan.errors",
    "Tensor": "minigan.autograd",
    "Function": "minigan.autograd",
    "grad": "minigan.autograd",
    "no_grad": "minigan.autograd",
    "enable_grad": "minigan.autograd",
    "is_grad_enabled": "minigan.autograd",
    "backend": "minigan.backends",
    "use_backend": "minigan.backends",
    "manual_seed": "minigan.backends",
    "get_num_threads": "minigan.kernels.parallel",
    "set_num_threads": "minigan.kernels.parallel",
    "tensor": "minigan.creation",
    "from_numpy": "minigan.creation",
    "zeros": "minigan.creation",
    "ones": "minigan.creation",
    "full": "minigan.creation",
    "zeros_like": "minigan.creation",
    "ones_like": "minigan.creation",
    "rand": "minigan.creation",
    "randn": "minigan.creation",
    "cat": "minigan.functional",
    "stack": "minigan.functional",
    "where": "minigan.functional",
    "maximum": "minigan.functional",
    "minimum": "minigan.functional",
    "matmul": "minigan.functional",
    "exp": "minigan.functional",
    "log": "minigan.functional",
    "sqrt": "minigan.functional",
    "tanh": "minigan.functional",
    "sigmoid": "minigan.functional",
    "gradcheck": "minigan.gradient_check",
    "gradgradcheck": "minigan.gradient_check",
}

__all__ = ["__version__", *_NAMES]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"minigan.{name}")
    if name in _NAMES:
        # The functions' module first: it gives Tensor its operators.
        importlib.import_module("minigan.functional")
        value = getattr(importlib.import_module(_NAMES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'minigan' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_MODULES])
