"""What a recipe is: the hyper-parameters of one experiment, and where they come from."""

from __future__ import annotations

from dataclasses import dataclass

from minigan.recipes.checks import CONDITIONAL, check


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One experiment.  ``override`` makes another one from ``key=value`` pairs."""

    name: str
    summary: str  # one line for lists and help
    source: str  # the paper or the released file that the values come from

    # The networks and their noise
    model: str  # see minigan.models
    # "normal": N(0, 1); "uniform": U(-sqrt 3, sqrt 3), the same variance; "cube": U[0, 1)
    latent: str = "normal"
    latent_dim: int = 100
    codes: int = 0  # how many values the code c of an InfoGAN has; 0: the model has no code
    widths: tuple[int, ...] = ()  # channels or units of the layers, G's first to last
    d_norm: str = "batch"  # what normalises the layers of a DCGAN's D
    d_minibatch: str = "none"  # what D sees of the batch as a whole: see minigan.models.minibatch
    pack: int = 1  # images that D judges together: see minigan.models.packing
    algorithm: str = "auto"  # of its convolutions; changes the speed, not the mathematics

    # The data
    data: str = "glyphs"
    split: str = "train"
    image_size: int = 28
    pixel_low: float = -1.0  # the range that G's last activation covers
    pixel_high: float = 1.0
    batch_size: int = 64
    epochs: int = 25

    # The game
    objective: str = "non-saturating"  # see minigan.objectives
    d_steps: int = 1  # k of Algorithm 1
    d_steps_more: int = 0  # k of the first d_steps_first steps, and of ...
    d_steps_first: int = 0
    d_steps_every: int = 0  # ... each one whose number is a multiple of this; 0: of none
    d_scale: float = 1.0  # factor of D's loss, which the penalty is not part of
    # "alternate" is Algorithm 1, "simultaneous" as the released code of 2014, "unrolled" with G
    # looking ahead so many updates of D, "together" no game but an autoencoder.
    updates: str = "alternate"
    unroll: int = 0
    label_smoothing: float = 0.0  # one-sided; 0: off
    penalty: str = "none"  # on D's gradient: see minigan.penalties
    penalty_weight: float = 0.0
    clip: float = 0.0  # D's weights are kept in [-clip, clip]; 0: off

    # The optimisers, alike for both players
    optimizer: str = "adam"  # "adam", "sgd" or "rmsprop"
    lr: float = 2e-4
    d_lr: float = 0.0  # D's; 0: lr
    lr_decay: float = 1.0  # lr_t = max(lr / lr_decay^t, lr_floor) after t steps
    lr_floor: float = 0.0
    betas: tuple[float, float] = (0.5, 0.999)  # Adam
    momentum: float = 0.0  # SGD: from this ...
    momentum_end: float = 0.0  # ... linearly to this
    momentum_epochs: int = 0  # ... over so many epochs
    ema: float = 0.0  # decay of an average of G's weights, used for samples; 0: off

    def __post_init__(self) -> None:
        check(self)

    @property
    def is_conditional(self) -> bool:
        """Whether G and D take labels y: the data's, or an InfoGAN's codes."""
        return self.model in CONDITIONAL
