"""Winograd's error in float32, and the memory that columns take."""

import numpy as np
import pytest

from minigan.kernels import im2col, parallel, scratch, winograd
from minigan.kernels.geometry import Geometry

STRIDE_2 = Geometry(stride=(2, 2), padding=(1, 1))


def three_passes(module, x, w, gy, geometry):
    size, kernel = x.shape[2:], w.shape[2:]
    return {
        "forward": module.forward(x, w, geometry),
        "input gradient": module.input_gradient(gy, w, size, geometry),
        "weight gradient": module.weight_gradient(x, gy, kernel, geometry),
    }


@pytest.mark.parametrize(
    ("N", "C", "O", "size"), [(8, 64, 128, 16), (16, 256, 32, 8), (4, 32, 64, 31), (64, 16, 16, 8)]
)
def test_the_error_is_at_most_4_times_that_of_the_columns(N, C, O, size):
    rng = np.random.default_rng(N)
    x, w = rng.standard_normal((N, C, size, size)), rng.standard_normal((O, C, 4, 4))
    gy = rng.standard_normal((N, O, *STRIDE_2.output_size((size, size), (4, 4))))
    singles = [a.astype(np.float32) for a in (x, w, gy)]
    exact = three_passes(im2col, *(a.astype(np.float64) for a in singles), STRIDE_2)
    columns, ours = (three_passes(m, *singles, STRIDE_2) for m in (im2col, winograd))
    for name, truth in exact.items():
        error_of_columns, error = (abs(y[name] - truth).max() for y in (columns, ours))
        assert 0 < error <= 4 * error_of_columns, name


def scratch_bytes():
    """Of this thread, after forgetting what earlier calls left."""
    return sum(buffer.nbytes for buffer in scratch._of_this_thread.__dict__.values())


@pytest.mark.parametrize("module", [im2col, winograd])
def test_working_memory_does_not_grow_with_the_batch(module, monkeypatch):
    monkeypatch.setattr(parallel, "get_num_threads", lambda: 1)
    w = np.ones((16, 32, 4, 4), np.float32)
    used = []
    for N in (64, 256):
        scratch._of_this_thread.__dict__.clear()
        x, gy = np.ones((N, 32, 32, 32), np.float32), np.ones((N, 16, 16, 16), np.float32)
        three_passes(module, x, w, gy, STRIDE_2)
        used.append(scratch_bytes())
    all_columns = 4 * x.nbytes  # 16 copies at a quarter of the places
    assert used[1] <= used[0] < all_columns / 8


def test_the_weight_gradient_is_the_same_bits_for_every_number_of_threads():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((13, 32, 20, 20)).astype(np.float32)
    gy = rng.standard_normal((13, 48, 10, 10)).astype(np.float32)
    results = []
    for threads in (1, 2, 3, 5):
        parallel.set_num_threads(threads)  # of BLAS too: its own threads change the last bits
        results.append(winograd.weight_gradient(x, gy, (4, 4), STRIDE_2).tobytes())
    assert len(set(results)) == 1
