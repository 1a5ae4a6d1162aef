"""cuBLAS calls against np.matmul, on a fake cuBLAS that reads memory by columns as the real one."""

import sys

import numpy as np
import pytest
from fake_cuda import FakeCublas, Stream, fake_cupy, on_device
from hypothesis import given, settings
from hypothesis import strategies as st

from minigan import MiniganError, backends
from minigan.kernels import cublas


@pytest.fixture
def library(monkeypatch):
    """The fake cuBLAS and CuPy, in place of the real ones."""
    fake = FakeCublas()
    monkeypatch.setitem(sys.modules, "cupy", fake_cupy())
    monkeypatch.setattr(cublas, "_loaded", cublas.declared(fake))
    monkeypatch.setattr(cublas, "_handles", {})
    return fake


@pytest.fixture(scope="module")
def module_library():
    with pytest.MonkeyPatch.context() as monkeypatch:
        fake = FakeCublas()
        monkeypatch.setitem(sys.modules, "cupy", fake_cupy())
        monkeypatch.setattr(cublas, "_loaded", cublas.declared(fake))
        monkeypatch.setattr(cublas, "_handles", {})
        yield fake


WAYS = ["rows", "columns", "rows of a wider", "columns of a taller", "every second", "backwards",
        "column of a wider", "one row again and again"]  # fmt: skip


def matrix(rng, shape, dtype, way):
    """Random values that lie in memory in some way, with NaN around them."""
    r, c = shape
    if way == "rows":
        x = np.empty((r, c), dtype)
    elif way == "columns":
        x = np.empty((c, r), dtype).T
    elif way == "rows of a wider":
        x = np.full((r + 2, c + 3), np.nan, dtype)[1:-1, 2:-1]
    elif way == "columns of a taller":
        x = np.full((c + 2, r + 3), np.nan, dtype)[1:-1, 2:-1].T
    elif way == "every second":
        x = np.full((2 * r + 1, 2 * c + 1), np.nan, dtype)[1::2, 1::2]
    elif way == "backwards":
        x = np.full((r, c), np.nan, dtype)[::-1]
    elif way == "column of a wider":
        x = np.full((r, 5 * c), np.nan, dtype)[:, ::5]
    else:
        return np.broadcast_to(rng.standard_normal((1, c)).astype(dtype), shape)
    x[...] = rng.standard_normal(shape)
    return x


lengths = st.integers(0, 7)
ways = st.sampled_from(WAYS)
outs = st.sampled_from([None, *(way for way in WAYS if way != "one row again and again")])


@settings(max_examples=300)
@given(lengths, lengths, lengths, ways, ways, outs, st.sampled_from([np.float32, np.float64]))
def test_products_are_those_of_numpy(module_library, n, k, m, way_a, way_b, way_out, dtype):
    rng = np.random.default_rng((n, k, m))
    a, b = matrix(rng, (n, k), dtype, way_a), matrix(rng, (k, m), dtype, way_b)
    out = None if way_out is None else on_device(matrix(rng, (n, m), dtype, way_out))
    around = None if out is None or out.base is None else np.isnan(np.asarray(out.base)).sum()
    y = cublas.gemm(on_device(a), on_device(b), out)
    assert out is None or y is out
    assert (y.shape, y.dtype) == ((n, m), np.dtype(dtype))
    tolerance = 1e-5 if dtype is np.float32 else 1e-13
    np.testing.assert_allclose(np.asarray(y), a @ b, rtol=tolerance, atol=tolerance)
    if around is not None:
        assert np.isnan(np.asarray(out.base)).sum() == around  # nothing else was written


@pytest.mark.parametrize("out", [None, "rows", "columns", "rows of a wider", "columns of a taller"])
@pytest.mark.parametrize("a", WAYS[:4])
@pytest.mark.parametrize("b", WAYS[:4])
def test_whole_rows_or_columns_are_not_copied(library, monkeypatch, a, b, out):
    def refuse(*_):
        raise AssertionError("a copy")

    monkeypatch.setattr(sys.modules["cupy"], "ascontiguousarray", refuse)
    rng = np.random.default_rng(0)
    a, b = (matrix(rng, shape, np.float32, way) for shape, way in [((5, 3), a), ((3, 4), b)])
    given = None if out is None else on_device(matrix(rng, (5, 4), np.float32, out))
    y = cublas.gemm(on_device(a), on_device(b), given)
    np.testing.assert_allclose(np.asarray(y), a @ b, rtol=1e-5, atol=1e-6)
    assert library.calls.count("cublasGemmEx") == 1


def test_a_row_with_gaps_is_not_copied(library, monkeypatch):
    monkeypatch.setattr(sys.modules["cupy"], "ascontiguousarray", None)
    a, b = np.arange(12.0).reshape(1, 12)[:, ::4], np.ones((3, 2))
    np.testing.assert_array_equal(np.asarray(cublas.gemm(on_device(a), on_device(b))), a @ b)


@pytest.mark.parametrize("which", ["a", "b", "both", "shifted"])
def test_out_may_be_a_factor(library, which):
    rng = np.random.default_rng(0)
    memory = rng.standard_normal((6, 5))
    a, b = memory[:5].copy(), rng.standard_normal((5, 5))
    if which == "a":
        out = given_a = on_device(a)
        given_b = on_device(b)
    elif which == "b":
        given_a, out = on_device(a), on_device(b)
        given_b = out
    elif which == "both":
        out = given_a = given_b = on_device(a)
        b = a
    else:
        a, given_a, given_b, out = memory[:5], *(on_device(x) for x in (memory[:5], b, memory[1:]))
    expected = a @ b
    np.testing.assert_allclose(cublas.gemm(given_a, given_b, out), expected, rtol=1e-12)


def test_neighbours_in_one_array_do_not_overlap(library):
    flat = on_device(np.arange(27.0))
    a, b, out = (flat[i : i + 9].reshape(3, 3) for i in (0, 9, 18))
    assert not any(cublas._overlap(x, y) for x, y in [(a, b), (b, a), (b.T, out), (out.T, b)])
    assert cublas._overlap(out, flat[17:19].reshape(1, 2))
    cublas.gemm(a, b, out)
    np.testing.assert_array_equal(np.asarray(out), np.asarray(a) @ np.asarray(b))


def test_a_handle_is_made_in_order_once_for_each_stream(library):
    cuda = sys.modules["cupy"].cuda
    x = on_device(np.eye(2))
    for stream in (cuda.null, other := Stream(cuda, ptr=0x5555), cuda.null, other):
        cuda.current = stream
        cublas.gemm(x, x)
    making = ["cublasCreate_v2", "cublasSetStream_v2", "cublasSetWorkspace_v2"]
    assert library.calls == [*making, "cublasGemmEx"] * 2 + ["cublasGemmEx"] * 2
    first, second = library.state.values()
    assert (first["stream"], second["stream"]) == (None, 0x5555)
    assert first["workspace"][0] != second["workspace"][0]
    assert first["workspace"][1] == cublas.WORKSPACE


def test_a_stream_that_is_captured_was_used_before(library):
    cuda = sys.modules["cupy"].cuda
    x = on_device(np.eye(2))
    cuda.current = Stream(cuda, ptr=0x5555)
    cuda.current.capturing = True
    with pytest.raises(RuntimeError, match="warm up"):
        cublas.gemm(x, x)
    assert library.calls == []
    cuda.current.capturing = False
    cublas.gemm(x, x)
    cuda.current.capturing = True
    cublas.gemm(x, x)


def test_tf32_is_used_where_asked_for(library, monkeypatch):
    single, double = (on_device(np.eye(2, dtype=dtype)) for dtype in (np.float32, np.float64))
    cublas.gemm(single, single)
    monkeypatch.setattr(backends, "_tf32", True)
    cublas.gemm(single, single)
    cublas.gemm(double, double)
    assert library.computed == [cublas.COMPUTE_32F, cublas.COMPUTE_32F_TF32, cublas.COMPUTE_64F]


def test_a_status_is_an_error_of_one_line(library):
    x = on_device(np.eye(2))
    library.fails["cublasCreate_v2"] = 1
    with pytest.raises(MiniganError, match=r"^cublasCreate_v2 failed with status 1, not init.*$"):
        cublas.gemm(x, x)
    library.fails = {"cublasGemmEx": 3}
    with pytest.raises(MiniganError, match=r"^cublasGemmEx .* out of memory: use a smaller batch$"):
        cublas.gemm(x, x)
    library.fails = {"cublasGemmEx": 99}
    with pytest.raises(MiniganError, match="status 99, unknown error"):
        cublas.gemm(x, x)


def test_only_matrices_of_cupy_are_taken(library):
    x = on_device(np.ones((2, 2)))
    assert cublas.takes(x, x)
    assert not any([cublas.takes(np.asarray(x), x), cublas.takes(x, x[0]), cublas.takes(x[None], x),
                    cublas.takes(x, x.astype(np.float32)), cublas.takes(x > 0, x > 0)])  # fmt: skip
    assert library.calls == []


def test_products_of_the_network_go_this_way(library):
    from minigan.functional.linear import product

    x, w = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(4, 3)
    np.testing.assert_array_equal(np.asarray(product(on_device(x), on_device(w).T)), x @ w.T)
    assert library.calls.count("cublasGemmEx") == 1


def test_what_does_not_fit_is_refused(library):
    x, y = on_device(np.ones((2, 3))), on_device(np.ones((3, 2)))
    with pytest.raises(ValueError, match=r"takes \(n, k\) and \(k, m\)"):
        cublas.gemm(x, x)
    with pytest.raises(TypeError, match="both float32 or both float64"):
        cublas.gemm(x, y.astype(np.float32))
    with pytest.raises(TypeError, match="both float32 or both float64"):
        cublas.gemm(x.astype(np.float16), y.astype(np.float16))
    with pytest.raises(TypeError, match="two matrices"):
        cublas.gemm(x[None], y[None])
    for out in (np.ones((3, 3)), np.ones((2, 2), np.float32)):
        with pytest.raises(ValueError, match=r"needs an out of shape \(2, 2\) float64"):
            cublas.gemm(x, y, on_device(out))
    assert library.calls == []


def test_a_missing_library_is_an_error_of_one_line(monkeypatch):
    monkeypatch.setattr(cublas, "_loaded", None)
    monkeypatch.setitem(sys.modules, "cupy", fake_cupy())
    monkeypatch.setitem(sys.modules, "cuda.pathfinder", None)  # importing it fails
    monkeypatch.setitem(sys.modules, "cupy_backends.cuda.libs.cublas", None)
    with pytest.raises(MiniganError, match=r"^cuBLAS was not found .*pip install") as raised:
        cublas._library()
    assert "\n" not in str(raised.value)
