"""Pooling: what it refuses, and what the comparison with PyTorch does not see."""

import numpy as np
import pytest

from minigan import functional as F
from minigan import nn
from minigan.autograd import Tensor, grad
from minigan.kernels import layout, parallel

POOLS = [F.max_pool2d, F.avg_pool2d]


def images(*shape):
    return Tensor(np.random.default_rng(0).standard_normal(shape))


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize(
    ("shape", "arguments", "message"),
    [
        ((3, 4, 4), (2,), r"\(N, C, H, W\) with C, H, W > 0, got \(3, 4, 4\)"),
        ((1, 0, 4, 4), (2,), r"got \(1, 0, 4, 4\)"),
        ((1, 3, 0, 4), (1,), r"got \(1, 3, 0, 4\)"),
        ((1, 3, 4, 4), (0,), "kernel_size must be one integer >= 1 or two, got 0"),
        ((1, 3, 4, 4), (2.0,), "kernel_size .* got 2.0"),
        ((1, 3, 4, 4), ((2, 2, 2),), r"kernel_size .* got \(2, 2, 2\)"),
        ((1, 3, 4, 4), (2, 0), "stride must be one integer >= 1 or two, got 0"),
        ((1, 3, 4, 4), (2, (1, -1)), r"stride .* got \(1, -1\)"),
        ((1, 3, 4, 4), (2, 2, -1), "padding must be one integer >= 0 or two, got -1"),
        ((1, 3, 4, 4), (2, 2, 2), r"padding \(2, 2\) must be at most half the .* \(2, 2\)"),
        ((1, 3, 4, 4), ((3, 2), 1, (1, 2)), r"padding \(1, 2\) .* half the kernel_size \(3, 2\)"),
        ((1, 3, 4, 4), (5,), r"window of \(5, 5\) does not fit .* shape \(1, 3, 4, 4\)"),
        ((0, 3, 1, 4), (4, 1, 1), r"window of \(4, 4\) does not fit into .* \(0, 3, 1, 4\)"),
    ],
)
def test_what_is_refused(pool, shape, arguments, message):
    with pytest.raises(ValueError, match=message) as error:
        pool(images(*shape), *arguments)
    assert str(error.value).startswith(pool.__name__)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_memory_order_and_dtype_are_kept(pool, dtype):
    x = images(2, 5, 6, 4).array.astype(dtype)
    for is_last in (False, True):
        if is_last:
            x = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
        leaf = Tensor(x, requires_grad=True)
        y = pool(leaf, 2)
        (gx,) = grad(y, [leaf], Tensor(np.ones_like(y.array)))
        for result in (y, gx):
            assert result.dtype == dtype
            assert result.array.transpose(0, 2, 3, 1).flags.c_contiguous is is_last


@pytest.mark.parametrize("pool", POOLS)
def test_no_images_and_images_of_one_pixel(pool):
    x = Tensor(np.zeros((0, 3, 4, 4)), requires_grad=True)
    y = pool(x, 2)
    assert y.shape == (0, 3, 2, 2)
    assert grad(y.sum(), [x])[0].shape == x.shape
    pixel = images(2, 3, 1, 1)
    np.testing.assert_array_equal(pool(pixel, 1).numpy(), pixel.numpy())
    np.testing.assert_array_equal(F.max_pool2d(pixel, 3, 1, 1).numpy(), pixel.numpy())
    np.testing.assert_allclose(F.avg_pool2d(pixel, 3, 1, 1).numpy(), pixel.numpy() / 9)


@pytest.mark.parametrize("pool", POOLS)
def test_the_number_of_threads_changes_nothing(pool):
    x = Tensor(images(8, 16, 32, 32).array.astype(np.float32), requires_grad=True)
    assert x.numel() > layout.SMALL / 2  # otherwise it is one thread's work
    before, results = parallel.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            parallel.set_num_threads(threads)
            y = pool(x, 3, 2, 1)
            results.append((y.numpy(), grad((y * y).sum(), [x])[0].numpy()))
    finally:
        parallel.set_num_threads(before)
    for y, gx in results[1:]:
        np.testing.assert_array_equal(y, results[0][0])
        np.testing.assert_array_equal(gx, results[0][1])


def test_padding_never_is_the_largest():
    assert F.max_pool2d(Tensor(np.full((1, 1, 2, 2), -5.0)), 2, 2, 1).numpy().max() == -5


def test_layers_name_their_windows():
    assert repr(nn.MaxPool2d(2)) == "MaxPool2d(kernel_size=2, stride=2, padding=0)"
    assert repr(nn.AvgPool2d(3, 2, 1)) == "AvgPool2d(kernel_size=3, stride=2, padding=1)"
