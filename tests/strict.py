"""An array library that refuses what CuPy refuses, around NumPy arrays, for machines without a GPU.

``strict.installed()`` puts it in CuPy's place: ``minigan.use_backend("cupy")`` then takes it, and
code that would fail on CuPy fails here, on the CPU:

* a NumPy array in an operation, or ``np.asarray`` of one of these arrays: TypeError, as in CuPy,
  which never copies silently in either direction;
* a function that CuPy does not have, or that nobody has compared with CuPy's (``NAMES``);
* a dtype that CuPy does not have.

What CuPy allows at a price is counted in ``counts``: ``synchronisations``, where the CPU waits
until the GPU has done everything (``float(a)``, ``bool(a)``, ``a.get()``, a boolean index), and
``copies``, of host memory to the device.  Dtypes follow NumPy 2, as CuPy's do: a float32 array
times a NumPy float64 is float64, which shows as a mixture one function later.

The class is not NumPy's and has no ``__getattr__``: every method is written down here, so that
NumPy finds no dunder by which it could take the values unseen.
"""

from __future__ import annotations

import contextlib
import operator
import sys
import types
from dataclasses import dataclass

import fake_cuda
import numpy as np

from minigan import backends
from minigan.kernels import array as whole_array
from minigan.kernels import philox

# CuPy's functions that minigan uses; each is there in CuPy 14 with the arguments that are given.
NAMES = {
    "abs", "add", "array", "asarray", "broadcast_to", "clip", "concatenate", "dot", "empty",
    "empty_like", "exp", "full", "isfinite", "log", "log1p", "logaddexp", "matmul", "maximum",
    "may_share_memory", "multiply", "ones", "ones_like", "pad", "sign", "sqrt", "square",
    "stack", "subtract", "tanh", "where", "zeros", "zeros_like",
}  # fmt: skip
FROM_HOST = ("array", "asarray", "ascontiguousarray")  # these take NumPy arrays and lists
DTYPES = "?bBhHiIlLqQefdFD"  # no long double, no text, no objects
NUMBERS = (bool, int, float, complex, np.generic)


@dataclass
class Counts:
    """What happened since ``reset``."""

    synchronisations: int = 0
    copies: int = 0

    def reset(self) -> None:
        self.synchronisations = self.copies = 0


counts = Counts()


class ndarray:
    """Stands for cupy.ndarray; ``_a`` is the NumPy array inside."""

    __slots__ = ("_a",)
    __array_ufunc__ = None  # numpy_array + this comes here, to be refused

    def __init__(self, values: np.ndarray):
        if not isinstance(values, np.ndarray):
            raise TypeError(f"not the inside of an array: {type(values).__name__}")
        check_dtype(values.dtype)
        self._a = values

    # What it is

    shape = property(lambda self: self._a.shape)
    ndim = property(lambda self: self._a.ndim)
    size = property(lambda self: self._a.size)
    dtype = property(lambda self: self._a.dtype)
    strides = property(lambda self: self._a.strides)
    itemsize = property(lambda self: self._a.itemsize)
    nbytes = property(lambda self: self._a.nbytes)
    flags = property(lambda self: self._a.flags)
    T = property(lambda self: ndarray(self._a.T))
    base = property(lambda self: None if self._a.base is None else ndarray(self._a.base))

    def __len__(self):
        return len(self._a)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    # What makes the CPU wait

    def get(self):
        counts.synchronisations += 1
        return self._a.copy()

    def item(self):
        return self.get().item()

    def tolist(self):
        return self.get().tolist()

    def __bool__(self):
        return bool(self.get())

    def __int__(self):
        return int(self.get())

    def __float__(self):
        return float(self.get())

    def __repr__(self):
        return repr(self.get())

    # What CuPy refuses

    def __array__(self, *args, **kwargs):
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct "
            "a NumPy array explicitly."
        )

    __hash__ = None

    # Indexing

    def __getitem__(self, index):
        return wrap(self._a[_index(index)])

    def __setitem__(self, index, value):
        self._a[_index(index)] = inside(value)


def check_dtype(dtype):
    """TypeError unless CuPy has it."""
    if np.dtype(dtype).char not in DTYPES:
        raise TypeError(f"Unsupported dtype {np.dtype(dtype)}")


def wrap(value):
    """What NumPy returned as what CuPy would: its scalars are arrays without dimensions."""
    if isinstance(value, (np.ndarray, np.generic)):
        return ndarray(np.asarray(value))
    if isinstance(value, (tuple, list)):
        return type(value)(map(wrap, value))
    return value


def inside(value):
    """The NumPy array inside, of a whole structure; NumPy arrays themselves are refused."""
    if isinstance(value, ndarray):
        return value._a
    if isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {type(value)}")
    if isinstance(value, (tuple, list)):
        return type(value)(map(inside, value))
    if isinstance(value, dict):
        return {key: inside(v) for key, v in value.items()}
    return value


def operand(value):
    """One side of an operator."""
    if not isinstance(value, (ndarray, *NUMBERS)):
        raise TypeError(f"Unsupported type {type(value)}")
    return inside(value)


def _index(index):
    if isinstance(index, tuple):
        return tuple(map(_index, index))
    if isinstance(index, ndarray):
        if index.dtype.kind == "b":
            counts.synchronisations += 1  # how many are True decides the shape
        return index._a
    if isinstance(index, (list, np.ndarray)):
        counts.copies += 1
        if np.asarray(index).dtype.kind == "b":
            counts.synchronisations += 1
    return index


def _operator(name):
    function = getattr(operator, name)

    def forward(self, other):
        return wrap(function(self._a, operand(other)))

    def backward(self, other):
        return wrap(function(operand(other), self._a))

    return forward, backward


def _unary(name):
    function = getattr(operator, name)
    return lambda self: wrap(function(self._a))


def _in_place(name):
    function = getattr(operator, name)

    def change(self, other):
        self._a = function(self._a, operand(other))
        return self

    return change


def _method(name):
    function = getattr(np.ndarray, name)

    def call(self, *args, **kwargs):
        if "dtype" in kwargs or name == "astype":
            check_dtype(kwargs.get("dtype", args[0] if args else np.float64))
        return wrap(function(self._a, *inside(args), **inside(kwargs)))

    return call


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and_", "or_",
              "xor", "lshift", "rshift"):  # fmt: skip
    _bare = _name.rstrip("_")
    _forward, _backward = _operator(_name)
    setattr(ndarray, f"__{_bare}__", _forward)
    setattr(ndarray, f"__r{_bare}__", _backward)
    setattr(ndarray, f"__i{_bare}__", _in_place(f"i{_bare}"))
for _name in ("lt", "le", "gt", "ge", "eq", "ne"):
    setattr(ndarray, f"__{_name}__", _operator(_name)[0])
for _name in ("neg", "pos", "abs", "invert"):
    setattr(ndarray, f"__{_name}__", _unary(_name))
for _name in ("all", "any", "argmax", "argmin", "astype", "clip", "copy", "dot", "fill", "max",
              "mean", "min", "ravel", "reshape", "squeeze", "std", "sum", "swapaxes", "transpose",
              "var", "view"):  # fmt: skip
    setattr(ndarray, _name, _method(_name))


# The module ---------------------------------------------------------------------------------


def _function(name):
    function = getattr(np, name)

    def call(*args, **kwargs):
        if kwargs.get("dtype") is not None:
            check_dtype(kwargs["dtype"])
        if name in FROM_HOST and not isinstance(args[0], ndarray):
            if np.ndim(args[0]):  # a number is written by a kernel, not copied
                counts.copies += 1
            return ndarray(np.array(args[0], *args[1:], **kwargs))
        return wrap(function(*inside(args), **inside(kwargs)))

    return call


class Ufunc:
    """``xp.add`` with its ``at``."""

    def __init__(self, function):
        self.function = function

    def __call__(self, *args, **kwargs):
        return wrap(self.function(*inside(args), **inside(kwargs)))

    def at(self, a, index, value):
        self.function.at(a._a, _index(index), inside(value))


class Module(types.ModuleType):
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        if name not in NAMES:
            raise AttributeError(f"nobody has compared {name!r} with CuPy's yet: see strict.NAMES")
        function = getattr(np, name)
        value = Ufunc(function) if isinstance(function, np.ufunc) else _function(name)
        setattr(self, name, value)
        return value


class _Device:
    id, compute_capability, mem_info = 0, "90", (2**30, 2**30)

    def synchronize(self):
        counts.synchronisations += 1


def make_module():
    """A module that passes for cupy, with a driver and a GPU that works."""
    module = Module("cupy")
    module.ndarray = ndarray
    module.__version__ = "14.2.0"
    module.cuda = fake_cuda.Cuda()
    module.cuda.Device = _Device
    pool = fake_cuda.Pool(module.cuda, "default pool: ")
    module.get_default_memory_pool = lambda: pool
    types_ = {"COMPUTE_TYPE_DEFAULT": 1, "COMPUTE_TYPE_TF32": 7}
    module.compute_types = {}
    linalg = types.SimpleNamespace(**types_, set_compute_type=module.compute_types.__setitem__)
    module._core = types.SimpleNamespace(_routines_linalg=linalg)
    return module


@contextlib.contextmanager
def installed():
    """Inside the block ``import cupy`` finds this, and the current backend is as before after it.

    Philox has a CUDA kernel, which writes on the device; here its twin on the CPU does.
    """
    before = sys.modules.get("cupy"), backends._current, backends._working, backends._tf32
    kernels = {"fill_uniform": philox.uniform, "fill_normal": philox.normal}
    originals = {name: getattr(whole_array, name) for name in kernels}
    sys.modules["cupy"] = module = make_module()
    for name, draw in kernels.items():
        setattr(whole_array, name, _device_kernel(draw))
    counts.reset()
    try:
        with fake_cuda.recording(module.cuda):
            yield module
    finally:
        for name, original in originals.items():
            setattr(whole_array, name, original)
        previous, backends._current, backends._working, backends._tf32 = before
        if previous is None:
            del sys.modules["cupy"]
        else:
            sys.modules["cupy"] = previous


def _device_kernel(draw):
    def fill(out, seed, step, stream):
        out._a[...] = draw(seed, step, stream, out.shape)

    return fill
