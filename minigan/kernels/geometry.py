"""The geometry of a convolution: how positions of the output and of the input belong together.

Output position p sees, through kernel position k, the input position

    i = stride * p + dilation * k - padding        (in each of the two dimensions)

and where i lies outside the image, a zero.
"""

from __future__ import annotations

from dataclasses import dataclass

Pair = tuple[int, int]


@dataclass(frozen=True)
class Geometry:
    """Stride, padding, dilation as (vertical, horizontal), and the number of groups."""

    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    def extent(self, kernel: Pair) -> Pair:
        """How many input positions a kernel spans, the gaps of dilation counted."""
        return tuple(d * (k - 1) + 1 for d, k in zip(self.dilation, kernel))

    def output_size(self, size: Pair, kernel: Pair) -> Pair:
        """The (H, W) that a convolution makes of an image of (H, W); below 1 where none fits."""
        return tuple(
            (n + 2 * p - e) // s + 1
            for n, p, e, s in zip(size, self.padding, self.extent(kernel), self.stride)
        )

    def input_size(self, size: Pair, kernel: Pair, output_padding: Pair = (0, 0)) -> Pair:
        """The (H, W) that a transposed convolution makes: the smallest image from which a
        convolution makes ``size``, and ``output_padding`` more."""
        return tuple(
            (n - 1) * s - 2 * p + e + o
            for n, s, p, e, o in zip(
                size, self.stride, self.padding, self.extent(kernel), output_padding
            )
        )
