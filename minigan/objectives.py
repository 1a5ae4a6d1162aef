"""What the two players want: losses on D's logits.

The game of Goodfellow et al. 2014, eq. 1, is

    min_G max_D V(D, G) = E log D(x) + E log(1 - D(G(z))),     D = sigmoid(logit)

Both players minimise here, so D's loss is -V.  Every logarithm is computed from the logit:
-log D = softplus(-logit) and -log(1 - D) = softplus(logit) never overflow and never lose D's
gradient where D is sure and wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

from minigan.autograd import Tensor
from minigan.errors import MiniganError
from minigan.functional import binary_cross_entropy_with_logits as bce


@dataclass(frozen=True, kw_only=True)
class NonSaturating:
    """G maximises log D(G(z)): the same fixed point, a strong gradient while D wins (section 3).

    Args:
        label_smoothing: s: D is taught that real images are real with probability 1 - s.  Only
            the real side is smoothed (Salimans et al. 2016, section 3.4).
        d_scale: factor of D's loss; the code released with the 2014 paper has 1/2.

    >>> import numpy as np
    >>> undecided = Tensor(np.zeros((4, 1)))          # logit 0: D(x) = 1/2
    >>> NonSaturating().d_loss(undecided, undecided).item()      # 2 log 2
    1.3862943611198906
    """

    label_smoothing: float = 0.0
    d_scale: float = 1.0

    def d_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """-[E log D(x) + E log(1 - D(G(z)))].  real, fake: logits (N, 1) -> ()."""
        loss = bce(real, 1.0 - self.label_smoothing) + bce(fake, 0.0)
        return loss if self.d_scale == 1 else loss * self.d_scale

    def g_loss(self, fake: Tensor) -> Tensor:
        """-E log D(G(z)).  fake: logits (N, 1) -> ()."""
        return bce(fake, 1.0)


@dataclass(frozen=True, kw_only=True)
class Minimax(NonSaturating):
    """G minimises log(1 - D(G(z))) itself, eq. 1: its gradient vanishes while D wins.

    >>> import numpy as np
    >>> Minimax().g_loss(Tensor(np.zeros((4, 1)))).item()        # -log 2
    -0.6931471805599453
    """

    def g_loss(self, fake: Tensor) -> Tensor:
        """E log(1 - D(G(z))).  fake: logits (N, 1) -> ()."""
        return -bce(fake, 0.0)


OBJECTIVES = {"non-saturating": NonSaturating, "minimax": Minimax}


def build(name: str, *, label_smoothing: float = 0.0, d_scale: float = 1.0) -> NonSaturating:
    """The objective of that name; MiniganError if there is none or smoothing is not in [0, 1)."""
    if name not in OBJECTIVES:
        raise MiniganError(f"no objective {name!r}: expected one of {', '.join(OBJECTIVES)}")
    if not 0 <= label_smoothing < 1:
        raise MiniganError(f"label_smoothing must be in [0, 1), got {label_smoothing}")
    return OBJECTIVES[name](label_smoothing=label_smoothing, d_scale=d_scale)
