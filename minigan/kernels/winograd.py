"""4x4 convolutions of stride 2 with 9 multiplications where the columns need 16.

**Polyphase.**  Split the image by even and odd rows and columns into four *phases*, and the 4x4
kernel into four 2x2 kernels:  x_rs[i, j] = x[2i + r, 2j + s],  w_rs[k, l] = w[2k + r, 2l + s].
The convolution of stride 2 is then the sum of four 2x2 convolutions of stride 1.

**Winograd** (1980; Lavin & Gray 2016) for those, F(2, 2): two outputs of a kernel of two, from
the three inputs d they see, in one dimension:

    y0 = d0 g0 + d1 g1 = m0 + m1      m0 = (d0 - d1) g0
    y1 = d1 g0 + d2 g1 = m1 + m2      m1 = d1 (g0 + g1)          3 products instead of 4
                                      m2 = (d2 - d1) g1

In two dimensions each step is done over rows, then over columns: a *tile* of 3x3 inputs gives
2x2 outputs with 9 products instead of 16.  Summed over phases and channels, each of the 9
*components* is one matrix product:

    V = input tiles transformed   (d0 - d1, d1, d2 - d1)     9 x (tiles, 4C)
    U = kernels transformed       (g0, g0 + g1, g1)          9 x (O, 4C)
    Y = output gradient, by the transpose of the output's    9 x (tiles, O)
        transform: (y0, y0 + y1, y1)

    forward           V U^T per component, then (m0 + m1, m1 + m2)
    input gradient    Y U   per component, then the transpose of the input's transform
    weight gradient   Y^T V per component, then the transpose of the kernel's transform

The constants are 0 and +-1, so the error stays near that of the columns (docs/convolutions.md).

Notation: N images of H x W with C channels, O output channels; a tile row is the tiles of one
image at the same height.  All arrays are channels-last; a row of pixels is one run of memory.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from minigan.kernels import parallel
from minigan.kernels.clock import timed
from minigan.kernels.geometry import Geometry, Pair
from minigan.kernels.im2col import channels_first, channels_last
from minigan.kernels.scratch import scratch

TILES = 256  # per slice: enough rows to fill the products, few enough to stay in the cache

_dot = timed("GEMM")(np.dot)
_jit = njit(cache=True, nogil=True, error_model="numpy")


def suits(geometry: Geometry, kernel: Pair) -> bool:
    """Whether this is a convolution that this file can do."""
    return (geometry.stride, geometry.dilation, geometry.groups, tuple(kernel)) == (
        (2, 2), (1, 1), 1, (4, 4),
    )  # fmt: skip


def forward(x: np.ndarray, w: np.ndarray, geometry: Geometry) -> np.ndarray:
    """x: (N, C, H, W), w: (O, C, 4, 4) -> (N, O, P, Q)"""
    images, U = channels_last(x), _kernel_components(w)
    N, _, _, C = images.shape
    O, (P, Q) = len(w), geometry.output_size(x.shape[2:], (4, 4))
    y = np.empty((N, P, Q, O), x.dtype)

    def task(part: slice) -> None:
        tiles = len(images[part]) * _halves(P) * _halves(Q)
        V, M = (scratch(name, (9, tiles, K), x.dtype) for name, K in (("V", 4 * C), ("M", O)))
        _input_components(images[part], P, Q, geometry.padding, V)
        for component in range(9):
            _dot(V[component], U[component].T, out=M[component])
        _output_transform(M, y[part])

    parallel.run(task, _slices(N, P, Q))
    return channels_first(y)


def input_gradient(gy: np.ndarray, w: np.ndarray, size: Pair, geometry: Geometry) -> np.ndarray:
    """gy: (N, O, P, Q), w: (O, C, 4, 4) -> (N, C, *size)"""
    gradients, U = channels_last(gy), _kernel_components(w)
    N, P, Q, O = gradients.shape
    C = w.shape[1]
    gx = np.empty((N, *size, C), gy.dtype)

    def task(part: slice) -> None:
        tiles = len(gradients[part]) * _halves(P) * _halves(Q)
        Y, Z = (scratch(name, (9, tiles, K), gy.dtype) for name, K in (("Y", O), ("Z", 4 * C)))
        _gradient_components(gradients[part], Y)
        for component in range(9):
            _dot(Y[component], U[component], out=Z[component])
        rows = scratch("rows", (2, 3, (2 * _halves(Q) + 1) * 2 * C), gy.dtype)
        _input_transform_transposed(Z, *geometry.padding, _halves(P), rows, gx[part])

    parallel.run(task, _slices(N, P, Q))
    return channels_first(gx)


def weight_gradient(x: np.ndarray, gy: np.ndarray, kernel: Pair, geometry: Geometry) -> np.ndarray:
    """x: (N, C, H, W), gy: (N, O, P, Q) -> (O, C, 4, 4)

    A sum over all tiles, one block of images after the other: all threads transform the block,
    then share the products.  Each weight is summed by one thread in the order of the images, so
    the result does not depend on the threads.
    """
    images, gradients = channels_last(x), channels_last(gy)
    N, P, Q, O = gradients.shape
    C = images.shape[3]
    G = scratch("G", (9, O, 4 * C), x.dtype)
    step = 4 * _images_per_slice(P, Q)
    for first in range(0, max(N, 1), step):  # without images too: then the sum is 0
        block = slice(first, first + step)
        _block_gradient(images[block], gradients[block], geometry.padding, G, add=first > 0)
    gw = np.empty((O, 4, 4, C), x.dtype)
    parallel.run(
        lambda part: _kernel_transform_transposed(G, part.start, gw[part]),
        parallel.parts(O, parallel.get_num_threads()),
    )
    return channels_first(gw)


def _block_gradient(
    images: np.ndarray, gradients: np.ndarray, padding: Pair, G: np.ndarray, add: bool
) -> None:
    """G = Y^T V of a block of images, per component, or G += Y^T V."""
    n, P, Q, O = gradients.shape
    K, tiles = G.shape[2], _halves(P) * _halves(Q)
    V = scratch("V", (9, n * tiles, K), G.dtype)
    Y = scratch("Y", (9, n * tiles, O), G.dtype)

    def transform(part: slice) -> None:
        _input_components(images[part], P, Q, padding, V, part.start * tiles)
        _gradient_components(gradients[part], Y, part.start * tiles)

    def multiply(unit: tuple[int, slice]) -> None:
        component, outputs = unit
        total = G[component, outputs]
        product = scratch("product", total.shape, G.dtype) if add else total
        _dot(Y[component, :, outputs].T, V[component], out=product)
        if add:
            _add(product.ravel(), total.ravel())

    parallel.run(transform, parallel.parts(n, parallel.get_num_threads()))
    parallel.run(multiply, [(i, outputs) for i in range(9) for outputs in parallel.parts(O, 2)])


def _halves(n: int) -> int:
    """How many pairs cover n outputs."""
    return (n + 1) // 2


def _images_per_slice(P: int, Q: int) -> int:
    return max(1, TILES // max(_halves(P) * _halves(Q), 1))


def _slices(N: int, P: int, Q: int) -> list[slice]:
    threads = parallel.get_num_threads()
    rounds = -(-N // (_images_per_slice(P, Q) * threads))
    return parallel.parts(N, threads * max(rounds, 1))


# The transforms, and each beside its transpose ------------------------------------------------


def _kernel_components(w: np.ndarray) -> np.ndarray:
    """U: (O, C, 4, 4) -> (9, O, 4C)"""
    weights = channels_last(w)
    O, _, _, C = weights.shape
    U = scratch("U", (9, O, 4 * C), w.dtype)
    parallel.run(
        lambda part: _kernel_transform(weights[part], part.start, U),
        parallel.parts(O, parallel.get_num_threads()),
    )
    return U


@timed("transforms")
@_jit
def _kernel_transform(w, first, U):
    """(g0, g0 + g1, g1) over rows and columns.

    w: (rows, 4, 4, C), the outputs from ``first``, U: (9, O, 4C).
    """
    rows, _, _, C = w.shape
    for row in range(rows):
        o = first + row
        for r in range(2):
            for s in range(2):
                phase = slice((2 * r + s) * C, (2 * r + s + 1) * C)
                g00, g01 = w[row, r, s], w[row, r, 2 + s]
                g10, g11 = w[row, 2 + r, s], w[row, 2 + r, 2 + s]
                _copy(g00, U[0, o, phase])
                _sum_2(g00, g01, U[1, o, phase])
                _copy(g01, U[2, o, phase])
                _sum_2(g00, g10, U[3, o, phase])
                _sum_4(g00, g01, g10, g11, U[4, o, phase])
                _sum_2(g01, g11, U[5, o, phase])
                _copy(g10, U[6, o, phase])
                _sum_2(g10, g11, U[7, o, phase])
                _copy(g11, U[8, o, phase])


@_jit
def _clear(out):
    for c in range(out.size):
        out[c] = 0


@_jit
def _copy(a, out):
    for c in range(out.size):
        out[c] = a[c]


@_jit
def _add(a, out):
    for c in range(out.size):
        out[c] += a[c]


@_jit
def _sum_2(a, b, out):
    for c in range(out.size):
        out[c] = a[c] + b[c]


@_jit
def _sum_4(a, b, c, d, out):
    for i in range(out.size):
        out[i] = (a[i] + b[i]) + (c[i] + d[i])


@timed("transforms")
@_jit
def _kernel_transform_transposed(G, first, gw):
    """(m0 + m1, m1 + m2) over rows and columns.

    G: (9, O, 4C), gw: (rows, 4, 4, C), the outputs from ``first``.
    """
    rows, _, _, C = gw.shape
    for row in range(rows):
        o = first + row
        for r in range(2):
            for s in range(2):
                phase = slice((2 * r + s) * C, (2 * r + s + 1) * C)
                for k in range(2):
                    for l in range(2):
                        m = 3 * k + l
                        _sum_4(
                            G[m, o, phase], G[m + 1, o, phase],
                            G[m + 3, o, phase], G[m + 4, o, phase],
                            gw[row, 2 * k + r, 2 * l + s],
                        )  # fmt: skip


def _input_components(
    images: np.ndarray, P: int, Q: int, padding: Pair, V: np.ndarray, first: int = 0
) -> None:
    """(n, H, W, C) -> the tiles of V (9, tiles, 4C) from ``first``"""
    rows = scratch("rows", (2, 3, (2 * _halves(Q) + 1) * 2 * images.shape[3]), images.dtype)
    _input_transform(images, *padding, _halves(P), rows, first, V)


@_jit
def _transform_3(d0, d1, d2, v0, v1, v2):
    """Loops over one index from 0: the form that becomes vector instructions."""
    for c in range(v0.size):
        v0[c] = d0[c] - d1[c]
        v1[c] = d1[c]
        v2[c] = d2[c] - d1[c]


@timed("transforms")
@_jit
def _input_transform(x, ph, pw, tile_rows, rows, first_tile, V):
    """(d0 - d1, d1, d2 - d1) over rows, then over columns.

    x: (n, H, W, C), V: (9, n * tile_rows * tiles per row, 4C).
    rows: (2 phases, 3 components, pixels * C) holds a tile row after the first pass, with zeros
    where the padding is; tile u begins at pixel 4u, so each tile has 2 pixels of its neighbour.
    """
    N, H, W, C = x.shape
    C2 = 2 * C  # the pixels of both column phases, neighbours in memory
    tiles = (rows.shape[2] // C2 - 1) // 2
    for r in range(2):
        for k in range(3):
            _clear(rows[r, k])
    # In a row the image lies behind the padding; its last columns may be used by no tile.
    first, last = pw * C, min((pw + W) * C, rows.shape[2])
    zeros = np.zeros(W * C, x.dtype)
    for n in range(N):
        for t in range(tile_rows):
            for r in range(2):
                i = 4 * t - ph + r
                d0 = x[n, i].reshape(W * C) if 0 <= i < H else zeros
                d1 = x[n, i + 2].reshape(W * C) if 0 <= i + 2 < H else zeros
                d2 = x[n, i + 4].reshape(W * C) if 0 <= i + 4 < H else zeros
                r0, r1, r2 = rows[r, 0, first:last], rows[r, 1, first:last], rows[r, 2, first:last]
                _transform_3(d0, d1, d2, r0, r1, r2)
            for u in range(tiles):
                tile = first_tile + (n * tile_rows + t) * tiles + u
                for k in range(3):
                    for r in range(2):
                        at, to = 2 * u * C2, r * C2
                        d0 = rows[r, k, at : at + C2]
                        d1 = rows[r, k, at + C2 : at + 2 * C2]
                        d2 = rows[r, k, at + 2 * C2 : at + 3 * C2]
                        v0 = V[3 * k, tile, to : to + C2]
                        v1 = V[3 * k + 1, tile, to : to + C2]
                        v2 = V[3 * k + 2, tile, to : to + C2]
                        _transform_3(d0, d1, d2, v0, v1, v2)


@_jit
def _transform_3_transposed(z0, z1, z2, d0, d1, d2):
    for c in range(z0.size):
        d0[c] += z0[c]
        d1[c] = z1[c] - z0[c] - z2[c]
        d2[c] = z2[c]


@timed("transforms")
@_jit
def _input_transform_transposed(Z, ph, pw, tile_rows, rows, gx):
    """d0 += z0, d1 = z1 - z0 - z2, d2 = z2 over columns, then over rows.

    Z: (9, tiles, 4C), gx: (n, H, W, C); rows as above.  The d2 of a tile is the d0 of the next.
    """
    N, H, W, C = gx.shape
    C2 = 2 * C
    tiles = (rows.shape[2] // C2 - 1) // 2
    first, last = pw * C, min((pw + W) * C, rows.shape[2])
    width = last - first
    outside = np.zeros(W * C, gx.dtype)
    for n in range(N):
        _clear(gx[n].reshape(H * W * C))
        for t in range(tile_rows):
            for k in range(3):
                for r in range(2):
                    _clear(rows[r, k, :C2])
                    for u in range(tiles):
                        tile = (n * tile_rows + t) * tiles + u
                        at, to = 2 * u * C2, r * C2
                        z0 = Z[3 * k, tile, to : to + C2]
                        z1 = Z[3 * k + 1, tile, to : to + C2]
                        z2 = Z[3 * k + 2, tile, to : to + C2]
                        d0 = rows[r, k, at : at + C2]
                        d1 = rows[r, k, at + C2 : at + 2 * C2]
                        d2 = rows[r, k, at + 2 * C2 : at + 3 * C2]
                        _transform_3_transposed(z0, z1, z2, d0, d1, d2)
            for r in range(2):
                i = 4 * t - ph + r
                z0, z1, z2 = rows[r, 0, first:last], rows[r, 1, first:last], rows[r, 2, first:last]
                d0 = gx[n, i].reshape(W * C) if 0 <= i < H else outside
                d1 = gx[n, i + 2].reshape(W * C) if 0 <= i + 2 < H else outside
                d2 = gx[n, i + 4].reshape(W * C) if 0 <= i + 4 < H else outside
                _transform_3_transposed(z0, z1, z2, d0[:width], d1[:width], d2[:width])


@timed("transforms")
@_jit
def _output_transform(M, y):
    """(m0 + m1, m1 + m2) over rows and columns.  M: (9, tiles, O), y: (n, P, Q, O)"""
    N, P, Q, _ = y.shape
    tile_rows, tiles = (P + 1) // 2, (Q + 1) // 2
    for n in range(N):
        for t in range(tile_rows):
            for u in range(tiles):
                tile = (n * tile_rows + t) * tiles + u
                for k in range(min(2, P - 2 * t)):
                    m0, m1, m2 = M[3 * k, tile], M[3 * k + 1, tile], M[3 * k + 2, tile]
                    n0, n1, n2 = M[3 * k + 3, tile], M[3 * k + 4, tile], M[3 * k + 5, tile]
                    _sum_4(m0, m1, n0, n1, y[n, 2 * t + k, 2 * u])
                    if 2 * u + 1 < Q:
                        _sum_4(m1, m2, n1, n2, y[n, 2 * t + k, 2 * u + 1])


def _gradient_components(gradients: np.ndarray, Y: np.ndarray, first: int = 0) -> None:
    """(n, P, Q, O) -> the tiles of Y (9, tiles, O) from ``first``"""
    _, _, Q, O = gradients.shape
    row = scratch("row", (2 * _halves(Q) * O,), gradients.dtype)
    _output_transform_transposed(gradients, row, first, Y)


@timed("transforms")
@_jit
def _output_transform_transposed(gy, row, first_tile, Y):
    """(y0, y0 + y1, y1) over rows, then over columns.  gy: (n, P, Q, O), Y: (9, tiles, O)

    row: (pixels * O), one row of pixels after the first pass, with a zero pixel where Q is odd.
    """
    N, P, Q, O = gy.shape
    tile_rows, tiles = (P + 1) // 2, (Q + 1) // 2
    _clear(row)
    zeros = np.zeros(Q * O, gy.dtype)
    for n in range(N):
        for t in range(tile_rows):
            y0 = gy[n, 2 * t].reshape(Q * O)
            y1 = gy[n, 2 * t + 1].reshape(Q * O) if 2 * t + 1 < P else zeros
            for k in range(3):
                if k == 1:
                    _sum_2(y0, y1, row[: Q * O])
                else:
                    _copy(y0 if k == 0 else y1, row[: Q * O])
                for u in range(tiles):
                    tile = first_tile + (n * tile_rows + t) * tiles + u
                    left, right = row[2 * u * O : (2 * u + 1) * O], row[(2 * u + 1) * O :]
                    _copy(left, Y[3 * k, tile])
                    _sum_2(left, right, Y[3 * k + 1, tile])
                    _copy(right, Y[3 * k + 2, tile])
