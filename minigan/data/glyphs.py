"""Glyphs: labelled digits in the manner of MNIST, made instead of downloaded.

The outlines come from fonts that matplotlib ships. Each font's ten digits are drawn once, large,
and turned into a *signed distance field*: at every point the distance to the outline, negative
inside. A picture is then one lookup a pixel:

    1. where does this pixel lie in the field?     random rotation, shear, stretch, shift, and a
                                                   smooth displacement that bends the strokes
    2. how far from the outline is it, in pixels?  the field, interpolated
    3. how grey is it?                             white inside, black outside, a soft edge between;
                                                   moving the edge makes strokes thicker or thinner

so that one font gives endlessly many shapes at any image size, with clean edges. As in MNIST the
digit is scaled to fit a box of about 20/28 of the side. Digit i is of class i mod 10 and depends
only on (seed, split, i): a shorter set is the beginning of a longer one, and the same set drawn at
another size shows the same digits.
"""

import io
import os
import warnings
import zipfile
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minigan.data.cache import cache_folder
from minigan.data.dataset import Dataset, one_line
from minigan.errors import MiniganError
from minigan.files import explained, write_atomically

FONTS = (
    "DejaVuSans",
    "DejaVuSans-Bold",
    "DejaVuSans-Oblique",
    "DejaVuSans-BoldOblique",
    "DejaVuSerif",
    "DejaVuSerif-Bold",
    "DejaVuSerif-Italic",
    "DejaVuSerif-BoldItalic",
    "STIXGeneral",
    "STIXGeneralBol",
    "STIXGeneralItalic",
    "STIXGeneralBolIta",
    "cmb10",
    "cmr10",
    "cmss10",
    "cmti10",
    "cmtt10",
)
DEFAULT_COUNT = {"train": 60_000, "test": 10_000}
SPLITS = tuple(DEFAULT_COUNT)
MIN_SIZE = 8

# Raise this number with every change that alters a picture: it keeps stale caches from being read.
VERSION = 1

# ---------------------------------------------------------------------------------------------
# The atlas: every digit of every font as a signed distance field
# ---------------------------------------------------------------------------------------------

CELL = 96  # side of one field
GLYPH = 64  # longer side of the digit in it, so 16 cells of margin hold the distances outside
REACH = 16  # distances are exact up to here, in cells, and clamped beyond


class Atlas(NamedTuple):
    """One field for each of K = fonts x 10 digits; lengths in cells, origin at a field's centre."""

    distance: np.ndarray  # float32 (K, CELL, CELL), negative inside
    extremes: np.ndarray  # float64 (K, 64, 2), the digit's farthest point (x, y) in 64 directions
    half_stroke: np.ndarray  # float64 (K,), half the mean stroke width


@lru_cache(maxsize=1)
def atlas() -> Atlas:
    """Draw all digits and measure them; about a second, once a process."""
    masks = np.stack([_draw(font, digit) for font in FONTS for digit in range(10)])
    outside, inside = _distance(masks), _distance(~masks)
    # Distances run between pixel centres; the outline lies half a pixel before the neighbour.
    signed = np.where(masks, 0.5 - inside, outside - 0.5)
    # Drawn at twice the resolution: the mean of 2 x 2 is a field of distances finer than a pixel.
    signed = signed.reshape(len(masks), CELL, 2, CELL, 2).mean(axis=(2, 4)) / 2

    angle = 2 * np.pi * np.arange(64) / 64
    directions = np.stack([np.cos(angle), np.sin(angle)])
    extremes = np.empty((len(masks), 64, 2))
    half_stroke = np.empty(len(masks))
    for k, mask in enumerate(masks):
        y, x = np.nonzero(mask)
        points = (np.stack([x, y], axis=1) + 0.5) / 2 - CELL / 2
        extremes[k] = points[(points @ directions).argmax(axis=0)]
        # A stroke of width w and length l has area w l and an outline of about 2 l.
        area = (signed[k] < 0).sum()
        outline = (np.abs(signed[k]) < 0.5).sum()
        half_stroke[k] = area / outline
    return Atlas(signed.astype(np.float32), extremes, half_stroke)


def _draw(font: str, digit: int) -> np.ndarray:
    """The digit as a mask, bool (2 CELL, 2 CELL), its longer side 2 GLYPH, in the middle."""
    import matplotlib
    from PIL import Image, ImageDraw, ImageFont

    path = Path(matplotlib.get_data_path(), "fonts", "ttf", f"{font}.ttf")
    text = str(digit)
    left, top, right, bottom = ImageFont.truetype(str(path), 200).getbbox(text)
    size = 200 * 2 * GLYPH / max(right - left, bottom - top)
    face = ImageFont.truetype(str(path), round(size))
    left, top, right, bottom = face.getbbox(text)
    picture = Image.new("L", (2 * CELL, 2 * CELL))
    corner = (CELL - (left + right) / 2, CELL - (top + bottom) / 2)
    ImageDraw.Draw(picture).text(corner, text, font=face, fill=255)
    return np.asarray(picture) >= 128


def _distance(masks: np.ndarray) -> np.ndarray:
    """Euclidean distance, in pixels, from each pixel to the nearest one set in its mask.

    ``masks``: bool (K, H, W). Exact up to 2 REACH; farther pixels get some distance beyond that.

    >>> mask = np.zeros((1, 5, 5), bool)
    >>> mask[0, 0, 0] = True
    >>> float(_distance(mask)[0, 3, 4])  # 3 down, 4 to the right
    5.0
    """
    reach = 2 * REACH
    # Along each column: the distance to the nearest set pixel above, then below.
    column = np.full(masks.shape, reach, np.float32)
    for rows in (range(masks.shape[1]), reversed(range(masks.shape[1]))):
        steps = np.full((masks.shape[0], masks.shape[2]), reach, np.float32)
        for row in rows:
            steps = np.where(masks[:, row], 0, steps + 1)
            np.minimum(column[:, row], steps, out=column[:, row])
    # Along each row, Pythagoras: the smallest s^2 + column^2 over sideways steps s.
    squared = column**2
    best = squared.copy()
    for target, source in zip(best, squared):  # one picture at a time stays in the cache
        for s in range(1, reach + 1):
            np.minimum(target[:, s:], source[:, :-s] + s * s, out=target[:, s:])
            np.minimum(target[:, :-s], source[:, s:] + s * s, out=target[:, :-s])
    return np.sqrt(best)


# ---------------------------------------------------------------------------------------------
# The draw: what makes one digit differ from another
# ---------------------------------------------------------------------------------------------

CHUNK = 1000  # digits drawn from one random stream
WAVES = 4  # the displacement is a sum of WAVES x WAVES cosines in each direction
STREAM = 0x617F5


class Draw(NamedTuple):
    """The random numbers of n digits; lengths in pixels of a 28 x 28 picture."""

    glyph: np.ndarray  # int (n,), row of the atlas
    matrix: np.ndarray  # (n, 2, 2), rotation, shear and stretch, of determinant 1
    box: np.ndarray  # (n,), longer side of the finished digit
    shift: np.ndarray  # (n, 2), of its middle from the picture's
    half_stroke: np.ndarray  # (n,), wanted half stroke width
    edge: np.ndarray  # (n,), width of the soft edge, in pixels of the picture itself
    bend: np.ndarray  # (n, 2, WAVES, WAVES), amplitudes of the displacement


def draw(seed: int, split: str, chunk: int) -> Draw:
    """The random numbers of digits ``chunk * CHUNK`` up to ``(chunk + 1) * CHUNK``."""
    random = np.random.default_rng([seed, SPLITS.index(split), chunk, STREAM])
    n = CHUNK
    glyph = 10 * random.integers(len(FONTS), size=n) + np.arange(n) % 10

    angle = np.clip(random.normal(0, 0.12, n), -0.3, 0.3)  # radians
    shear = np.clip(random.normal(0, 0.15, n), -0.3, 0.3)
    stretch = np.exp(random.uniform(-0.16, 0.16, n))  # narrow to wide
    cos, sin, zero = np.cos(angle), np.sin(angle), np.zeros(n)
    rotation = np.array([[cos, -sin], [sin, cos]]).transpose(2, 0, 1)
    slant = np.array([[stretch, shear], [zero, 1 / stretch]]).transpose(2, 0, 1)

    # Low frequencies are the stronger ones; the constant is left out, for it is a shift. A sum of
    # cosines never exceeds the sum of its amplitudes, which bounds the displacement.
    frequency = np.add.outer(np.arange(WAVES), np.arange(WAVES))
    bend = random.normal(0, 1, (n, 2, WAVES, WAVES)) / np.maximum(frequency, 1)
    bend[:, :, 0, 0] = 0
    total = np.abs(bend).sum(axis=(2, 3), keepdims=True)
    bend *= np.minimum(1, 2.8 / total)

    return Draw(
        glyph=glyph,
        matrix=rotation @ slant,
        box=random.uniform(18, 20, n),
        shift=random.uniform(-0.7, 0.7, (n, 2)),
        half_stroke=random.uniform(1.1, 1.8, n),
        edge=random.uniform(1.0, 1.5, n),
        bend=bend,
    )


# ---------------------------------------------------------------------------------------------
# The picture
# ---------------------------------------------------------------------------------------------


def render(numbers: Draw, size: int) -> np.ndarray:
    """Pictures, uint8 (n, size, size), of n digits: white 255 on black 0."""
    fields = atlas()
    unit = size / 28
    glyph, matrix = numbers.glyph, numbers.matrix
    n = len(glyph)

    # Strokes grow to the width wanted, but hardly shrink: thinning bold digits breaks hairlines.
    points = fields.extremes[glyph] @ matrix.transpose(0, 2, 1)  # (n, 64, 2), cells
    low, high = points.min(axis=1), points.max(axis=1)
    side = (high - low).max(axis=1)  # longer side of the box around the transformed digit
    stroke = fields.half_stroke[glyph] * numbers.box / side  # pixels of 28, as it comes
    wanted = np.maximum(numbers.half_stroke, 0.6 / unit)  # at small sizes a pixel is the least
    grow = np.clip(wanted - stroke, -0.15, 1.1) * unit
    # The scale, pixels per cell, which together with the growth on both sides fills the box.
    scale = (numbers.box * unit - 2 * grow) / side

    edge = numbers.edge * min(1, 1.75 * unit)  # crisper below 16 pixels, where there is no room

    # Pixel p shows the field at inverse(matrix) (p - middle + bend(p)) / scale + centre of box.
    back = np.linalg.inv(matrix) / scale[:, None, None]
    middle = size / 2 + numbers.shift * unit - scale[:, None] * (low + high) / 2

    pixel = np.arange(size) + 0.5
    waves = np.cos(np.pi * np.outer(pixel / size, np.arange(WAVES)))  # (size, WAVES)
    bend = unit * np.einsum("nikl,yk->niyl", numbers.bend, waves)  # over y; x follows below

    pictures = np.empty((n, size, size), np.uint8)
    block = max(1, 2**15 // size**2)  # so many pictures that their arrays stay in the cache
    waves_x = waves.T.astype(np.float32)  # (WAVES, size)
    for start in range(0, n, block):
        rows = slice(start, start + block)
        dx, dy = np.matmul(bend[rows].astype(np.float32), waves_x).transpose(1, 0, 2, 3)
        dx += (pixel - middle[rows, :1])[:, None, :]
        dy += (pixel - middle[rows, 1:])[:, :, None]
        (a, b), (c, d) = back[rows].astype(np.float32).transpose(1, 2, 0)[..., None, None]
        distance = _lookup(fields.distance, glyph[rows], a * dx + b * dy, c * dx + d * dy)
        # From cells to pixels, then one straight edge: white within the outline moved by `grow`.
        # The matrix has determinant 1, so lengths grow by `scale` on average over the directions.
        slope, level = scale[rows] / edge[rows], 0.5 + grow[rows] / edge[rows]
        distance *= -slope[:, None, None].astype(np.float32)
        distance += level[:, None, None].astype(np.float32)
        pictures[rows] = np.clip(distance, 0, 1) * 255 + 0.5
    return pictures


def _lookup(fields: np.ndarray, which: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Fields (K, CELL, CELL) at x, y (n, H, W), in cells from the centre; bilinear, clamped."""
    x = np.clip(x + (CELL / 2 - 0.5), 0, CELL - 1.001)
    y = np.clip(y + (CELL / 2 - 0.5), 0, CELL - 1.001)
    column, row = x.astype(np.int32), y.astype(np.int32)
    x -= column
    y -= row
    index = (row + which[:, None, None] * CELL) * CELL + column
    flat = fields.ravel()
    top = flat[index]
    top += x * (flat[index + 1] - top)
    index += CELL
    bottom = flat[index]
    bottom += x * (flat[index + 1] - bottom)
    bottom -= top
    bottom *= y
    return top + bottom


def make_glyphs(count: int, size: int = 28, *, split: str = "train", seed: int = 0) -> np.ndarray:
    """``count`` pictures, uint8 (count, 1, size, size), from nothing; digit i shows i mod 10.

    >>> few, more = make_glyphs(3), make_glyphs(5)
    >>> more.shape, more.dtype, int(more.max())
    ((5, 1, 28, 28), dtype('uint8'), 255)
    >>> bool((more[:3] == few).all())
    True

    Raises ValueError for count < 1, size < 8, seed < 0 or an unknown split.
    """
    if count < 1 or size < MIN_SIZE or seed < 0:
        raise ValueError(
            f"expected count >= 1, size >= {MIN_SIZE}, seed >= 0, got {count}, {size}, {seed}"
        )
    pictures = np.empty((count, 1, size, size), np.uint8)
    atlas()  # once, before the threads ask for it

    def fill(chunk: int) -> None:
        start = chunk * CHUNK
        n = min(CHUNK, count - start)
        numbers = Draw(*(values[:n] for values in draw(seed, split, chunk)))
        pictures[start : start + n, 0] = render(numbers, size)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(fill, range(-(-count // CHUNK))))  # the list raises what a thread raised
    return pictures


# ---------------------------------------------------------------------------------------------
# The data set, kept in the cache
# ---------------------------------------------------------------------------------------------


def load_glyphs(
    *, size: int = 28, split: str = "train", count: int | None = None, seed: int = 0
) -> Dataset:
    """The labelled set, from the cache if it was made before (see :func:`cache_folder`).

    60,000 digits for ``train`` and 10,000 for ``test`` unless ``count`` is given; the two splits,
    like two seeds, share no random numbers. A damaged cache file is made anew; a folder that cannot
    be written costs a warning, and the digits are made again next time.
    Raises ValueError as :func:`make_glyphs`.
    """
    count = DEFAULT_COUNT[split] if count is None else count
    path = cache_folder() / f"glyphs-v{VERSION}-{split}-{size}px-{count}-seed{seed}.npz"
    pictures = _read_cache(path, (count, 1, size, size))
    if pictures is None:
        pictures = make_glyphs(count, size, split=split, seed=seed)
        packed = io.BytesIO()
        np.savez(packed, images=pictures)
        try:
            with explained("make", path.parent):
                path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, packed.getbuffer())
        except MiniganError as error:
            warnings.warn(
                f"glyphs are not cached: {one_line(error)} (MINIGAN_CACHE names the folder)",
                stacklevel=2,
            )
    labels = np.arange(count) % 10
    return Dataset("glyphs", split, pictures, labels, tuple("0123456789"))


def _read_cache(path: Path, shape: tuple[int, ...]) -> np.ndarray | None:
    """The pictures in a cache file, or None if there is no sound one of this shape."""
    try:
        # Reading a member to its end checks its CRC-32, so bit rot shows.
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            pictures = archive["images"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, NotImplementedError):
        # NotImplementedError is zipfile's word for a flag or compression that bit rot made up.
        return None
    return pictures if pictures.shape == shape and pictures.dtype == np.uint8 else None
