"""Upsampling, padding and normalisation of images: what is refused, memory order, exactness."""

import numpy as np
import pytest

from minigan import functional as F
from minigan import nn
from minigan.autograd import Tensor, grad
from minigan.functional import resampling
from minigan.kernels import layout, parallel


def images(*shape, dtype=np.float64):
    return Tensor(np.random.default_rng(0).standard_normal(shape).astype(dtype))


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((3, 4, 4), {"size": 2}, r"\(N, C, H, W\) with C, H, W > 0, got \(3, 4, 4\)"),
        ((1, 3, 4, 0), {"size": 2}, r"got \(1, 3, 4, 0\)"),
        ((1, 3, 4, 4), {}, "either size or scale_factor, got size=None and scale_factor=None"),
        ((1, 3, 4, 4), {"size": 2, "scale_factor": 2}, "got size=2 and scale_factor=2"),
        ((1, 3, 4, 4), {"size": 0}, "size must be one number > 0 or two, got 0"),
        ((1, 3, 4, 4), {"size": (2, 3, 4)}, r"size must be .* got \(2, 3, 4\)"),
        ((1, 3, 4, 4), {"size": 2.5}, r"\(1, 3, 4, 4\) cannot become \(P, Q\) = \(2.5, 2.5\)"),
        ((1, 3, 4, 4), {"scale_factor": -1.0}, "scale_factor must be .* > 0 .* got -1.0"),
        ((1, 3, 4, 4), {"scale_factor": float("nan")}, "scale_factor must be .* got nan"),
        ((1, 3, 4, 4), {"scale_factor": (1, 0.2)}, r"cannot become \(P, Q\) = \(4, 0\)"),
        ((1, 3, 4, 4), {"size": 2, "mode": "cubic"}, "'nearest' or 'bilinear', got 'cubic'"),
        ((1, 3, 4, 4), {"size": 2, "align_corners": True}, "align_corners goes with .*bilinear"),
    ],
)
def test_what_interpolate_refuses(shape, options, message):
    with pytest.raises(ValueError, match=message) as error:
        F.interpolate(images(*shape), **options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("shape", "padding", "message"),
    [
        ((3, 4, 4), 1, r"got \(3, 4, 4\)"),
        ((1, 3, 4, 5), -1, "one integer >= 0 or four, .* got -1"),
        ((1, 3, 4, 5), 1.0, "got 1.0"),
        ((1, 3, 4, 5), (1, 1), r"got \(1, 1\)"),
        ((1, 3, 4, 5), 4, r"\(4, 4, 4, 4\) must be smaller than the images, .* \(1, 3, 4, 5\)"),
        ((1, 3, 4, 5), (0, 5, 0, 0), r"\(0, 5, 0, 0\) must be smaller"),
        ((1, 3, 1, 1), 1, r"must be smaller .* \(1, 3, 1, 1\)"),
    ],
)
def test_what_reflection_pad2d_refuses(shape, padding, message):
    with pytest.raises(ValueError, match=message) as error:
        F.reflection_pad2d(images(*shape), padding)
    assert "\n" not in str(error.value)


def one(n):
    return Tensor(np.ones(n))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda: F.instance_norm(images(3, 4, 4)), r"more than one pixel, got \(3, 4, 4\)"),
        (lambda: F.instance_norm(images(2, 3, 1, 1)), r"got \(2, 3, 1, 1\)"),
        (lambda: F.instance_norm(images(2, 3, 0, 4)), r"got \(2, 3, 0, 4\)"),
        (lambda: F.instance_norm(images(2, 3, 4, 4), weight=one(2)), r"weight .*\(3,\), got \(2,"),
        (lambda: F.instance_norm(images(2, 3, 4, 4), bias=one(1)), r"bias of .*\(3,\), got \(1,"),
        (lambda: nn.InstanceNorm2d(4)(images(2, 3, 4, 4)), r"\(N, 4, H, W\), got \(2, 3, 4, 4\)"),
        (lambda: nn.InstanceNorm2d(0), "num_features must be an integer > 0, got 0"),
        (lambda: nn.InstanceNorm2d(3, eps=-1.0), "eps must be >= 0, got -1.0"),
        (lambda: nn.InstanceNorm2d(3, track_running_stats=True), "leave out track_running_stats"),
        (lambda: F.pixel_norm(images(3)), r"\(N, C, ...\) with C > 0, got \(3,\)"),
        (lambda: F.pixel_norm(images(3, 0, 2, 2)), r"got \(3, 0, 2, 2\)"),
    ],
)
def test_what_normalisation_refuses(function, message):
    with pytest.raises(ValueError, match=message) as error:
        function()
    assert "\n" not in str(error.value)


FUNCTIONS = {
    "nearest": lambda x: F.interpolate(x, scale_factor=2),
    "bilinear": lambda x: F.interpolate(x, size=(9, 5), mode="bilinear"),
    "reflection": lambda x: F.reflection_pad2d(x, 2),
    "instance_norm": F.instance_norm,
    "affine": lambda x: F.instance_norm(
        x,
        weight=Tensor(np.ones(x.shape[1], x.dtype), requires_grad=True),
        bias=Tensor(np.zeros(x.shape[1], x.dtype)),
    ),
    "pixel_norm": F.pixel_norm,
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_memory_order_and_dtype_are_kept(name, dtype):
    x = images(2, 5, 6, 4, dtype=dtype).array
    for is_last in (False, True):
        if is_last:
            x = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
        leaf = Tensor(x, requires_grad=True)
        y = FUNCTIONS[name](leaf)
        (gx,) = grad(y, [leaf], Tensor(np.ones_like(y.array)))
        for result in (y, gx):
            assert result.dtype == dtype
            assert result.array.transpose(0, 2, 3, 1).flags.c_contiguous is is_last


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_images(name):
    x = Tensor(np.zeros((0, 3, 6, 4)), requires_grad=True)
    y = FUNCTIONS[name](x)
    assert y.shape[:2] == (0, 3)
    assert grad(y.sum(), [x])[0].shape == x.shape


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_number_of_threads_changes_nothing(name):
    x = Tensor(images(8, 16, 48, 40, dtype=np.float32).array, requires_grad=True)
    assert x.numel() > layout.SMALL  # otherwise it is one thread's work
    results = []
    for threads in (1, 2, 3):
        parallel.set_num_threads(threads)
        y = FUNCTIONS[name](x)
        results.append((y.numpy(), grad((y * y).sum(), [x])[0].numpy()))
    for y, gx in results[1:]:
        np.testing.assert_array_equal(y, results[0][0])
        np.testing.assert_array_equal(gx, results[0][1])


def test_one_pixel_becomes_many():
    x = images(2, 3, 1, 1)
    for mode in ("nearest", "bilinear"):
        y = F.interpolate(x, scale_factor=4, mode=mode)
        np.testing.assert_array_equal(y.numpy(), np.broadcast_to(x.numpy(), (2, 3, 4, 4)))
    np.testing.assert_array_equal(F.reflection_pad2d(x, 0).numpy(), x.numpy())


def test_nearest_is_exact():
    # Rounded quotients fall short: PyTorch copies the wrong pixel at factor 41, in float32.
    for n in range(1, 40):
        for p in (*range(1, 40), 41 * n, 49 * n):
            A = resampling._nearest(n, p, None)
            assert A.argmax(1).tolist() == [k * n // p for k in range(p)]
            assert (A.sum(1) == 1).all()
        for factor in (3, 41, 49):
            A = resampling._nearest(n, n * factor, factor)
            assert A.argmax(1).tolist() == [k // factor for k in range(n * factor)]


def test_bilinear_weights_add_up_to_one():
    for n in range(1, 8):
        for p in range(1, 20):
            for align_corners in (False, True):
                A = resampling._bilinear(align_corners, n, p, None)
                np.testing.assert_allclose(A.sum(1), 1, rtol=1e-15)
                assert A.min() >= 0


def test_pixel_norm_of_a_latent_and_of_zeros():
    z = F.pixel_norm(images(5, 512))
    np.testing.assert_allclose((z.numpy() ** 2).mean(1), 1, rtol=1e-6)
    assert F.pixel_norm(Tensor(np.zeros((2, 3)))).numpy().tolist() == [[0, 0, 0]] * 2


def test_layers_name_what_they_do():
    assert repr(nn.Upsample(scale_factor=2)) == "Upsample(scale_factor=2, mode='nearest')"
    assert repr(nn.Upsample((4, 5), mode="bilinear")) == "Upsample(size=(4, 5), mode='bilinear')"
    assert repr(nn.ReflectionPad2d(3)) == "ReflectionPad2d(3)"
    assert repr(nn.InstanceNorm2d(3)) == "InstanceNorm2d(3, eps=1e-05, affine=False)"
    assert repr(nn.PixelNorm()) == "PixelNorm(eps=1e-08)"
