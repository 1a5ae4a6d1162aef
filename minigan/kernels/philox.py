"""Philox4x32-10: random numbers without a state (Salmon et al. 2011, "Parallel random numbers: as
easy as 1, 2, 3").

A counter of four 32-bit words is scrambled under a key of two words in ten rounds of multiply and
exclusive-or.  Every counter gives four random words, and no two counters the same four twice by
anything but chance.  So the i-th number of a draw is a function of its place alone:

    key      the seed, low word and high word
    counter  (i // 4, stream, step, high word of the step)
    number   word i % 4 of what comes out

Threads need no state to share, a run is resumed by knowing its step, and the CPU and the GPU draw
the same words: philox.cu is this file in CUDA.  Uniform numbers are equal bit for bit; normal
numbers differ in their last bits, because logarithm and cosine do.
"""

from __future__ import annotations

from typing import Any

import numpy as np

MULTIPLIERS = 0xD2511F53, 0xCD9E8D57  # Salmon et al., section 4.3 and their released code
KEY_STEPS = 0x9E3779B9, 0xBB67AE85  # the golden ratio and sqrt(3) - 1, as fractions of 2^32
ROUNDS = 10
LARGEST = 2**34  # numbers in a draw: four for each value of the counter's first word


def philox(counter: tuple[Any, ...], key: tuple[int, int]) -> tuple[np.ndarray, ...]:
    """Four arrays of random uint32 words, one for each counter.

    counter: four arrays of uint32 (or numbers) that broadcast; key: two numbers below 2^32.

    The authors' known answer for counter and key zero:

    >>> [f"{int(word):08x}" for word in philox((0, 0, 0, 0), (0, 0))]
    ['6627e8d5', 'e169c58d', 'bc57ac4c', '9b00dbd8']
    """
    # 64-bit words hold the products of two 32-bit words; the key wraps around at 2^32.
    x0, x1, x2, x3 = np.broadcast_arrays(*(np.asarray(word, np.uint64) for word in counter))
    low, high = np.uint64(0xFFFFFFFF), np.uint64(32)
    for i in range(ROUNDS):
        k0, k1 = (np.uint64((k + i * step) % 2**32) for k, step in zip(key, KEY_STEPS))
        product0, product2 = (x * np.uint64(m) for x, m in zip((x0, x2), MULTIPLIERS))
        x0, x1 = (product2 >> high) ^ x1 ^ k0, product2 & low
        x2, x3 = (product0 >> high) ^ x3 ^ k1, product0 & low
    return tuple(x.astype(np.uint32) for x in (x0, x1, x2, x3))


def words(seed: int, step: int, stream: int, size: int) -> np.ndarray:
    """The first ``size`` random words of a draw, rounded up to whole blocks: (blocks, 4) uint32.

    Raises ValueError where a number does not fit its words.
    """
    key, (stream, *step) = check_key(seed, step, stream, size)
    blocks = np.arange(-(-size // 4), dtype=np.uint64)
    return np.stack(philox((blocks, stream, *step), key), axis=1)


def check_key(
    seed: int, step: int, stream: int, size: int
) -> tuple[tuple[int, int], tuple[int, int, int]]:
    """The key, and the words of the counter that are the same in all of a draw:
    (stream, step, high word of the step)."""
    limits = {"seed": (seed, 2**64), "step": (step, 2**64), "stream": (stream, 2**32)}
    for name, (value, limit) in limits.items():
        if not 0 <= value < limit:
            raise ValueError(f"{name} must be in 0 .. 2^{limit.bit_length() - 1} - 1, got {value}")
    if size > LARGEST:
        raise ValueError(f"one draw gives at most {LARGEST} numbers, {size} were asked for")
    return (seed % 2**32, seed >> 32), (stream, step % 2**32, step >> 32)


# From words to numbers ------------------------------------------------------------------------


def to_uniform(word: np.ndarray) -> np.ndarray:
    """A word's upper 24 bits as float32 in [0, 1): exact, all multiples of 2^-24 equally likely."""
    return (word >> np.uint32(8)).astype(np.float32) * np.float32(2**-24)


def to_normal(word0: np.ndarray, word1: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two independent normal numbers from two words (Box & Muller 1958), float32:

        r cos(2 pi u), r sin(2 pi u)      r = sqrt(-2 ln v)

    with u in [0, 1), and v in (0, 1] from all 32 bits of its word, so that |r| reaches 6.7."""
    v = (word0.astype(np.float32) + np.float32(0.5)) * np.float32(2**-32)
    r = np.sqrt(-2 * np.log(v.astype(np.float64)))
    angle = 2 * np.pi * to_uniform(word1).astype(np.float64)
    return (r * np.cos(angle)).astype(np.float32), (r * np.sin(angle)).astype(np.float32)


def uniform(seed: int, step: int, stream: int, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers in [0, 1), float32, in the shape's C order.  The same four arguments, the same bits.

    ``stream`` tells the draws of one step from each other.

    >>> uniform(seed=0, step=0, stream=0, shape=(2, 2))
    array([[0.39904642, 0.88052016],
           [0.73571277, 0.6054818 ]], dtype=float32)
    """
    size = int(np.prod(shape, dtype=object))
    return to_uniform(words(seed, step, stream, size)).ravel()[:size].reshape(shape)


def normal(seed: int, step: int, stream: int, shape: tuple[int, ...]) -> np.ndarray:
    """Standard normal numbers, float32, in the shape's C order; see ``uniform``.

    >>> normal(seed=0, step=0, stream=0, shape=(3,))
    array([ 0.9911375 , -0.92466277, -0.61760914], dtype=float32)
    """
    size = int(np.prod(shape, dtype=object))
    w = words(seed, step, stream, size)
    pairs = [*to_normal(w[:, 0], w[:, 1]), *to_normal(w[:, 2], w[:, 3])]
    return np.stack(pairs, axis=1).ravel()[:size].reshape(shape)


def fill_uniform(out: np.ndarray, seed: int, step: int, stream: int) -> None:
    """out = uniform(...), in the order of its indices."""
    out[...] = uniform(seed, step, stream, out.shape)


def fill_normal(out: np.ndarray, seed: int, step: int, stream: int) -> None:
    """out = normal(...), in the order of its indices."""
    out[...] = normal(seed, step, stream, out.shape)
