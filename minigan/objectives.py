"""What the two players want: losses on D's outputs, one number an image.

The game of Goodfellow et al. 2014, eq. 1, is

    min_G max_D V(D, G) = E log D(x) + E log(1 - D(G(z))),     D = sigmoid(logit)

Both players minimise here, so D's loss is -V.  Every logarithm is computed from the logit:
-log D = softplus(-logit) and -log(1 - D) = softplus(logit) never overflow and never lose D's
gradient where D is sure and wrong.

The objectives below it take D's output as it is, without a sigmoid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from minigan import kernels
from minigan.autograd import Tensor
from minigan.errors import MiniganError
from minigan.functional import binary_cross_entropy_with_logits as bce
from minigan.functional import mse_loss, relu


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

    def opinion(self, logits: Any) -> Any:
        """Mean D, for the record.  An array of logits -> a number in [0, 1]."""
        return kernels.sigmoid(logits).mean()


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


@dataclass(frozen=True, kw_only=True)
class LeastSquares:
    """LSGAN (Mao et al. 2017, eq. 9): real is 1, fake is 0, and distance counts on both sides.

    A fake far on the right side of D's border is pulled back to it, where the sigmoid would have
    been content and given G no gradient.

    Args:
        label_smoothing: s: the target of real images is 1 - s.
        d_scale: factor of D's loss.

    >>> import numpy as np
    >>> outputs = Tensor(np.zeros((4, 1)))
    >>> LeastSquares().d_loss(outputs, outputs).item(), LeastSquares().g_loss(outputs).item()
    (0.5, 0.5)
    """

    label_smoothing: float = 0.0
    d_scale: float = 1.0

    def d_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """1/2 E (D(x) - 1)^2 + 1/2 E D(G(z))^2.  real, fake: D's outputs (N, 1) -> ()."""
        loss = mse_loss(real, 1.0 - self.label_smoothing) + mse_loss(fake, 0.0)
        return loss * (0.5 * self.d_scale)

    def g_loss(self, fake: Tensor) -> Tensor:
        """1/2 E (D(G(z)) - 1)^2.  fake: D's outputs (N, 1) -> ()."""
        return mse_loss(fake, 1.0) * 0.5

    def opinion(self, outputs: Any) -> Any:
        """The mean output: near 1 for what D takes for real, near 0 for fakes."""
        return outputs.mean()


@dataclass(frozen=True, kw_only=True)
class Hinge:
    """D wants a margin between real (above 1) and fake (below -1); G wants D's output to rise.

    Lim & Ye 2017, eq. 4; in this form Miyato et al. 2018, eqs. 16 and 17.

    Args:
        d_scale: factor of D's loss.

    >>> import numpy as np
    >>> real, fake = Tensor(np.array([[3.0]])), Tensor(np.array([[-0.5]]))
    >>> Hinge().d_loss(real, fake).item(), Hinge().g_loss(fake).item()
    (0.5, 0.5)
    """

    d_scale: float = 1.0

    def d_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """E max(0, 1 - D(x)) + E max(0, 1 + D(G(z))).  real, fake: D's outputs (N, 1) -> ()."""
        return (relu(1.0 - real).mean() + relu(1.0 + fake).mean()) * self.d_scale

    def g_loss(self, fake: Tensor) -> Tensor:
        """-E D(G(z)).  fake: D's outputs (N, 1) -> ()."""
        return -fake.mean()

    def opinion(self, outputs: Any) -> Any:
        """The mean output: above 1 for what D is sure to be real, below -1 for fakes."""
        return outputs.mean()


@dataclass(frozen=True, kw_only=True)
class Wasserstein:
    """D, here the critic, estimates the distance between data and samples; G shortens it.

    Arjovsky et al. 2017, eqs. 2 and 3: over all 1-Lipschitz D, the largest E D(x) - E D(G(z)) is
    the Wasserstein distance of the two.  Something has to keep D near to 1-Lipschitz: ``clip``, or
    a penalty on its gradient.

    Args:
        d_scale: factor of D's loss.

    >>> import numpy as np
    >>> real, fake = Tensor(np.array([[3.0]])), Tensor(np.array([[-0.5]]))
    >>> Wasserstein().d_loss(real, fake).item(), Wasserstein().g_loss(fake).item()
    (-3.5, 0.5)
    """

    d_scale: float = 1.0

    def d_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """E D(G(z)) - E D(x).  real, fake: D's outputs (N, 1) -> ()."""
        return (fake.mean() - real.mean()) * self.d_scale

    def g_loss(self, fake: Tensor) -> Tensor:
        """-E D(G(z)).  fake: D's outputs (N, 1) -> ()."""
        return -fake.mean()

    def opinion(self, outputs: Any) -> Any:
        """The mean output: only the difference between images and fakes has a meaning."""
        return outputs.mean()


@dataclass(frozen=True, kw_only=True)
class AuxiliaryClassifier:
    """D has two outputs: whether an image is real, and log P(y | image) of the label y it is for.

    ACGAN (Odena et al. 2017, section 3): with L_S the log-likelihood of the right source, real or
    fake, and L_C that of the right class, on images and on fakes, D maximises L_S + L_C and G
    maximises L_C - L_S.  Both want images whose class can be told; about L_S they disagree.

    InfoGAN (Chen et al. 2016, eq. 6) plays V(D, G) - L_I, L_I = E log Q(c | G(z, c)): the same, but
    y is a code c that was drawn for a fake, so of real images there is none.

    Args:
        base: the game about the first output; its d_scale and label_smoothing are for that alone.
        on_real: whether the second output counts for real images too.

    >>> import numpy as np
    >>> outputs = Tensor(np.array([[0.0, np.log(0.1)]]))     # undecided; 10 % for the class
    >>> d_loss = AuxiliaryClassifier(base=NonSaturating()).d_loss(outputs, outputs)
    >>> round(d_loss.item(), 6)                              # 2 log 2 + 2 log 10
    5.991465
    """

    base: Objective
    on_real: bool = True

    def d_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """-(L_S + L_C).  real, fake: D's outputs (N, 2) -> ()."""
        loss = self.base.d_loss(real[:, :1], fake[:, :1]) - fake[:, 1:].mean()
        return loss - real[:, 1:].mean() if self.on_real else loss

    def g_loss(self, fake: Tensor) -> Tensor:
        """L_S - L_C, of which G has a part in the fakes' terms.  fake: (N, 2) -> ()."""
        return self.base.g_loss(fake[:, :1]) - fake[:, 1:].mean()

    def opinion(self, outputs: Any) -> Any:
        """Of the first output, as the base."""
        return self.base.opinion(outputs[:, :1])


Objective = NonSaturating | LeastSquares | Hinge | Wasserstein | AuxiliaryClassifier
OBJECTIVES: dict[str, type] = {
    "non-saturating": NonSaturating,
    "minimax": Minimax,
    "least-squares": LeastSquares,
    "hinge": Hinge,
    "wasserstein": Wasserstein,
}


def build(name: str, *, label_smoothing: float = 0.0, d_scale: float = 1.0) -> Objective:
    """The objective of that name.

    Raises MiniganError if there is none, smoothing is not in [0, 1), or there is nothing to smooth.
    """
    if name not in OBJECTIVES:
        raise MiniganError(f"no objective {name!r}: expected one of {', '.join(OBJECTIVES)}")
    if not 0 <= label_smoothing < 1:
        raise MiniganError(f"label_smoothing must be in [0, 1), got {label_smoothing}")
    if name in ("hinge", "wasserstein"):
        if label_smoothing:
            raise MiniganError(
                f"the {name} objective has no labels to smooth: set label_smoothing=0"
            )
        return OBJECTIVES[name](d_scale=d_scale)
    return OBJECTIVES[name](label_smoothing=label_smoothing, d_scale=d_scale)
