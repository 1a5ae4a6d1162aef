"""What D pays for its gradient: terms added to its loss, whatever the objective.

A D that rises steeply between images and fakes tells G little: far from the step its gradient is
flat, on it there is a cliff.  So D pays for the length of its gradient *with respect to images*,

    || grad_x D(x) ||,     one length an image,

and the penalties differ in where they look and which length they like:

    WGAN-GP    on lines between images and fakes           length 1       Gulrajani et al. 2017
    DRAGAN     around the images                           length 1       Kodali et al. 2017
    R1         at the images                               length 0       Mescheder et al. 2018

D then descends a function of its own gradient.  That takes a gradient that can be differentiated
once more, ``grad(..., create_graph=True)``, and nothing else.

Batch normalisation has no place in such a D: there the output for an image depends on the other
images, and the gradient for one image is not defined (Gulrajani et al. 2017, section 4).  The
same holds for minibatch discrimination.  Minibatch standard deviation mixes the images too, by one
number of all of them; Karras et al. 2018 have it in a D with WGAN-GP, so it is allowed: what is
penalised for an image is then the gradient of the whole batch's outputs.
"""

from __future__ import annotations

from dataclasses import dataclass

from minigan import draws, nn
from minigan.autograd import Tensor, grad
from minigan.errors import MiniganError
from minigan.models.packing import Packed
from minigan.nn import Module

# Added under the root: at 0 the root's slope is infinite, and the derivative of a length would be
# infinity times 0.  A length of 1 becomes 1 + 5e-13.
TINY = 1e-12


def squared_lengths(D: Module, x: Tensor, *given: Tensor) -> Tensor:
    """|| grad_x D(x) ||^2 for each image; differentiable.  (N, *image) -> (N,)

    Where no image's output depends on another image, the gradient of the outputs' sum holds them
    all.

    >>> import numpy as np
    >>> D = nn.Linear(2, 1)
    >>> _ = D.load_state_dict({"weight": np.array([[3.0, 4.0]]), "bias": np.zeros(1)})
    >>> squared_lengths(D, Tensor(np.zeros((2, 2), np.float32))).numpy()
    array([25., 25.], dtype=float32)
    """
    x = x.detach().requires_grad_()
    (g,) = grad(D(x, *given).sum(), [x], create_graph=True)
    return (g * g).flatten(1).sum(1)


def _from_one(lengths_squared: Tensor) -> Tensor:
    """E (|| g || - 1)^2.  (N,) -> ()"""
    return (((lengths_squared + TINY).sqrt() - 1.0) ** 2).mean()


@dataclass(frozen=True, kw_only=True)
class WassersteinGP:
    """lambda E (|| grad D(x^) || - 1)^2 on x^ = eps x + (1 - eps) G(z), eps ~ U[0, 1] an image.

    Gulrajani et al. 2017, eq. 3 and Algorithm 1: an optimal critic has gradient 1 on the lines
    between coupled images and fakes.

    Args:
        weight: lambda; 10 in the paper, 0.1 for its points of the plane.

    >>> from minigan.creation import ones, zeros
    >>> D = nn.Linear(2, 1)
    >>> _ = D.load_state_dict({"weight": [[3.0, 4.0]], "bias": [0.0]})
    >>> round(WassersteinGP(weight=10.0)(D, ones(4, 2), zeros(4, 2)).item(), 3)     # 10 (5 - 1)^2
    160.0
    """

    weight: float = 10.0

    def __call__(self, D: Module, real: Tensor, fake: Tensor, *given: Tensor) -> Tensor:
        """real, fake: (N, *image) -> ()."""
        eps = _one_each(real)
        between = Tensor(eps * real.array + (1 - eps) * fake.array)
        return _from_one(squared_lengths(D, between, *given)) * self.weight


@dataclass(frozen=True, kw_only=True)
class Dragan:
    """lambda E (|| grad D(x^) || - 1)^2 around the images: x^ = x + alpha (1/2 std(x) u), both
    alpha (one an image) and u (one a pixel) from U[0, 1], std(x) that of all pixels of the batch.

    Kodali et al. 2017, whose text has Gaussian noise, with the noise of their released code
    (kodalinaveen3/DRAGAN, DRAGAN.ipynb).

    Args:
        weight: lambda, 10 in the paper.

    >>> from minigan.creation import ones, zeros
    >>> D = nn.Linear(2, 1)
    >>> _ = D.load_state_dict({"weight": [[3.0, 4.0]], "bias": [0.0]})
    >>> round(Dragan(weight=10.0)(D, ones(4, 2), zeros(4, 2)).item(), 3)            # 10 (5 - 1)^2
    160.0
    """

    weight: float = 10.0

    def __call__(self, D: Module, real: Tensor, fake: Tensor, *given: Tensor) -> Tensor:
        """real: (N, *image) -> ()."""
        x = real.array
        noise = 0.5 * x.std() * draws.uniform(x.shape, dtype=x.dtype)
        around = Tensor(x + _one_each(real) * noise)
        return _from_one(squared_lengths(D, around, *given)) * self.weight


@dataclass(frozen=True, kw_only=True)
class R1:
    """gamma / 2 E || grad D(x) ||^2 at the images: where data are, D shall be flat in the end.

    Mescheder et al. 2018, eq. 9.  Their released code multiplies by its reg_param, 10, and has no
    1/2: that is a gamma of 20 here.

    Args:
        weight: gamma, 10 in the paper.

    >>> from minigan.creation import ones, zeros
    >>> D = nn.Linear(2, 1)
    >>> _ = D.load_state_dict({"weight": [[3.0, 4.0]], "bias": [0.0]})
    >>> R1(weight=10.0)(D, ones(4, 2), zeros(4, 2)).item()                          # 10 / 2 * 5^2
    125.0
    """

    weight: float = 10.0

    def __call__(self, D: Module, real: Tensor, fake: Tensor, *given: Tensor) -> Tensor:
        """real: (N, *image) -> ()."""
        return squared_lengths(D, real, *given).mean() * (self.weight / 2)


def _one_each(x: Tensor):
    """A number from [0, 1) for each image, to multiply it with.  (N, *image) -> (N, 1, ..., 1)"""
    return draws.uniform((len(x), *(1,) * (x.ndim - 1)), dtype=x.dtype)


@dataclass(frozen=True)
class OfPacks:
    """A penalty for a D that judges packs of images: what is said of an image holds for a pack.

    One length a pack, one eps a pack: D is a function of the pack as a whole.

    >>> from minigan.creation import ones, zeros
    >>> D = Packed(nn.Linear(4, 1), 2)
    >>> _ = D.network.load_state_dict({"weight": [[1.0, 2.0, 2.0, 4.0]], "bias": [0.0]})
    >>> OfPacks(R1(weight=2.0))(D, ones(6, 2), zeros(6, 2)).item()                  # 5^2
    25.0
    """

    penalty: WassersteinGP | Dragan | R1

    def __call__(self, D: Packed, real: Tensor, fake: Tensor) -> Tensor:
        """real, fake: (N, *image) -> ()."""
        return self.penalty(D.network, D.packs(real), D.packs(fake))


Penalty = WassersteinGP | Dragan | R1 | OfPacks
PENALTIES: dict[str, type] = {"wgan-gp": WassersteinGP, "dragan": Dragan, "r1": R1}


def build(name: str, weight: float, D: Module) -> Penalty | None:
    """The penalty of that name for D; None for ``"none"``.

    Raises MiniganError if there is none, the weight is not above 0, or D mixes the images of a
    batch, so that it has no gradient for one of them.
    """
    if name == "none":
        return None
    if name not in PENALTIES:
        raise MiniganError(f"no penalty {name!r}: expected one of none, {', '.join(PENALTIES)}")
    if not weight > 0:
        raise MiniganError(f"penalty_weight must be above 0 with penalty={name}, got {weight}")
    for layer in D.modules():
        if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
            raise MiniganError(
                f"penalty={name} needs D's gradient for each image, and batch normalisation mixes "
                "the images of a batch: set d_norm=none or layer, or a model whose D has none"
            )
        if isinstance(layer, nn.MinibatchDiscrimination):
            raise MiniganError(
                f"penalty={name} needs D's gradient for each image, and minibatch discrimination "
                "mixes the images of a batch: set d_minibatch=none or stddev"
            )
    penalty = PENALTIES[name](weight=weight)
    return OfPacks(penalty) if isinstance(D, Packed) else penalty
