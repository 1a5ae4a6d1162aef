"""Every experiment as a list of its hyper-parameters, each with its source."""

from __future__ import annotations

import dataclasses
import difflib
import math
from dataclasses import dataclass
from typing import Any

from minigan.errors import MiniganError


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
    d_scale: float = 1.0  # factor of D's loss
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
        _check(self)

    @property
    def is_conditional(self) -> bool:
        """Whether G and D take labels y: the data's, or an InfoGAN's codes."""
        return self.model in CONDITIONAL


_CHOICES = {
    "latent": ("normal", "uniform", "cube"),
    "updates": ("alternate", "simultaneous", "unrolled", "together"),
    "optimizer": ("adam", "sgd", "rmsprop"),
    "algorithm": ("auto", "im2col", "winograd", "direct"),
    "penalty": ("none", "wgan-gp", "dragan", "r1"),
    "d_norm": ("batch", "layer", "instance", "none"),
    "d_minibatch": ("none", "discrimination", "stddev"),
}


MNISTS = ("mnist", "fashion-mnist", "stacked-mnist")
MAX_D_STEPS = 1000  # the k batches of a step are in memory together, and a step is not interrupted
MAX_UNROLL = 100  # a step remembers them all, to go back through them
MAX_PACK = 100
MAX_FLOORS, MAX_WIDTH = 10, 10_000  # more is not believed
MAX_CODES = 1000
CONDITIONAL = ("cgan", "cdcgan", "acgan", "infogan")
AUXILIARY = ("acgan", "infogan")  # whose D also says how probable the label is
DCGANS = ("dcgan", "cdcgan", "acgan", "infogan")
# What the last activation, tanh or sigmoid, covers.
PIXELS = {
    "gan": (-1, 1), "gan-relu": (-1, 1), "gan-paper": (0, 1), "cgan": (0, 1), "wgan-gp": (0, 1),
    "ae": (0, 1), "vae": (0, 1), **dict.fromkeys(DCGANS, (-1, 1)),
}  # fmt: skip
# The objectives that are no game (see minigan.elbo), each with its model.
AUTOENCODERS = {"elbo": "vae", "elbo-binary": "vae", "reconstruction": "ae"}
WITH_MINIBATCH = ("gan", "gan-toy", "points", "dcgan")
WITH_WIDTHS = {
    **dict.fromkeys(DCGANS, "256,128,64"), "wgan-gp": "256,128,64", "points": "512,512,512"
}  # fmt: skip


def _check(r: Recipe) -> None:
    """MiniganError in one line for a value that cannot work."""
    for key, choices in _CHOICES.items():
        if getattr(r, key) not in choices:
            raise MiniganError(f"{key} must be one of {', '.join(choices)}: {getattr(r, key)!r}")
    for key in ("latent_dim", "batch_size", "epochs", "d_steps", "image_size"):
        if getattr(r, key) < 1:
            raise MiniganError(f"{key} must be at least 1, got {getattr(r, key)}")
    for key in ("d_steps_more", "d_steps_first", "d_steps_every"):
        if getattr(r, key) < 0:
            raise MiniganError(f"{key} must be at least 0, got {getattr(r, key)}")
    for key in ("d_steps", "d_steps_more"):
        if getattr(r, key) > MAX_D_STEPS:
            raise MiniganError(f"{key} must be at most {MAX_D_STEPS}, got {getattr(r, key)}")
    if bool(r.d_steps_more) != bool(r.d_steps_first or r.d_steps_every):
        raise MiniganError(
            "d_steps_more is D's updates in the first d_steps_first steps and in every "
            "d_steps_every-th: set it together with one of them"
        )
    if r.model in ("gan", "gan-toy") and r.batch_size < 2:
        raise MiniganError(
            "batch normalisation needs at least 2 rows a batch: set batch_size=2 or more, "
            "or model=gan-relu"
        )
    _check_widths(r)
    _check_autoencoder(r)
    _check_batch(r)
    _check_unrolled(r)
    if r.momentum_epochs < 0:
        raise MiniganError(f"momentum_epochs must be at least 0, got {r.momentum_epochs}")
    if r.momentum_end and not r.momentum_epochs:
        raise MiniganError("momentum_end is reached after momentum_epochs: set both")
    if r.model in PIXELS and (r.pixel_low, r.pixel_high) != PIXELS[r.model]:
        raise MiniganError(
            "the last activation of {} makes pixels from {:g} to {:g}: set pixel_low={:g} and "
            "pixel_high={:g}".format(r.model, *PIXELS[r.model], *PIXELS[r.model])
        )
    for field in dataclasses.fields(r):
        value = getattr(r, field.name)
        numbers = value if isinstance(value, tuple) else (value,)
        if any(isinstance(n, float) and not math.isfinite(n) for n in numbers):
            raise MiniganError(f"{field.name} must be finite, got {value}")
    for key in ("penalty_weight", "clip", "d_lr"):
        if getattr(r, key) < 0:
            raise MiniganError(f"{key} must be at least 0, got {getattr(r, key)}")
    if (r.penalty == "none") != (r.penalty_weight == 0):
        raise MiniganError(
            "penalty and penalty_weight go together: set both, or penalty=none and penalty_weight=0"
        )
    if r.penalty != "none" and r.model in AUXILIARY:
        raise MiniganError(
            f"the D of {r.model} has two outputs, and a penalty is about the gradient of one: set "
            "penalty=none, or model=cdcgan"
        )
    if (r.codes > 0) != (r.model == "infogan") or not 0 <= r.codes <= MAX_CODES or r.codes == 1:
        raise MiniganError(
            f"codes is the number of values of InfoGAN's code: expected 2 to {MAX_CODES} with "
            f"model=infogan and 0 without, got {r.codes} with model={r.model}"
        )
    if r.d_norm != "batch" and r.model not in DCGANS:
        raise MiniganError(f"the model {r.model} has no d_norm to set: only {', '.join(DCGANS)} do")
    for key in ("lr", "d_scale"):
        if getattr(r, key) <= 0:
            raise MiniganError(f"{key} must be above 0, got {getattr(r, key)}")
    if r.optimizer == "adam" and (r.momentum or r.momentum_end):
        raise MiniganError("Adam has no momentum: set betas, or optimizer=sgd")
    if r.pixel_low >= r.pixel_high:
        raise MiniganError(
            f"pixel_low must be below pixel_high, got {r.pixel_low} and {r.pixel_high}"
        )
    for key, value in [("momentum", r.momentum), ("momentum_end", r.momentum_end), ("ema", r.ema),
                       ("betas", r.betas[0]), ("betas", r.betas[1]),
                       ("label_smoothing", r.label_smoothing)]:  # fmt: skip
        if not 0 <= value < 1:
            raise MiniganError(f"{key} must be in [0, 1), got {value}")
    if r.lr_decay < 1 or r.lr_floor < 0:
        raise MiniganError(
            f"lr_decay must be at least 1 and lr_floor at least 0, got {r.lr_decay}, {r.lr_floor}"
        )
    if r.updates == "simultaneous" and (r.d_steps != 1 or r.d_steps_more):
        raise MiniganError("simultaneous updates have no k: set d_steps=1 or updates=alternate")


def _check_autoencoder(r: Recipe) -> None:
    model = AUTOENCODERS.get(r.objective)
    if model is None and (r.model in AUTOENCODERS.values() or r.updates == "together"):
        known = ", ".join(AUTOENCODERS)
        raise MiniganError(
            f"objective={r.objective} is a game of two players and an autoencoder plays none: "
            f"with model=ae or vae and updates=together set objective to one of {known}"
        )
    if model is None:
        return
    if r.model != model:
        raise MiniganError(
            f"objective={r.objective} is that of the model {model}, got model={r.model}: start "
            f"from the recipe {model}"
        )
    of_games = (
        "latent", "d_minibatch", "pack", "d_steps", "d_steps_more", "d_scale", "unroll",
        "label_smoothing", "penalty", "clip", "ema",
    )  # fmt: skip
    needed = {"updates": "together", **{key: getattr(Recipe, key) for key in of_games}}
    for key, value in needed.items():
        if getattr(r, key) != value:
            raise MiniganError(
                f"{key}={getattr(r, key)} does not go with the autoencoder {r.model}: set "
                f"{key}={value}"
            )


def _check_batch(r: Recipe) -> None:
    """A D that sees several images at once."""
    if not 1 <= r.pack <= MAX_PACK:
        raise MiniganError(f"pack must be from 1 to {MAX_PACK}, got {r.pack}")
    if r.pack > 1 and r.is_conditional:
        raise MiniganError(
            f"the D of {r.model} judges an image and its label, and a pack has several: set pack=1"
        )
    if r.batch_size % r.pack:
        raise MiniganError(
            f"a batch of {r.batch_size} does not make packs of {r.pack}: set batch_size to a "
            f"multiple of {r.pack}"
        )
    if r.d_minibatch == "none":
        return
    if r.model not in WITH_MINIBATCH:
        raise MiniganError(
            f"the model {r.model} has no d_minibatch to set: only {', '.join(WITH_MINIBATCH)} have"
        )
    packs = r.batch_size // r.pack
    if r.d_minibatch == "stddev" and packs % min(packs, 4):
        raise MiniganError(
            f"d_minibatch=stddev needs batches that fall into groups of 4: set batch_size to a "
            f"multiple of {4 * r.pack}"
        )


def _check_unrolled(r: Recipe) -> None:
    if not 0 <= r.unroll <= MAX_UNROLL:
        raise MiniganError(f"unroll must be from 0 to {MAX_UNROLL}, got {r.unroll}")
    if r.updates != "unrolled":
        if r.unroll:
            raise MiniganError("unroll is how far G looks ahead: set updates=unrolled, or unroll=0")
        return
    if r.model in AUXILIARY:
        raise MiniganError(
            f"G looks ahead in a game about real and fake, and D of {r.model} names labels too: "
            "set updates=alternate and unroll=0"
        )
    if r.optimizer == "rmsprop":
        raise MiniganError("G cannot look through D's RMSprop: set optimizer=adam or sgd")
    if r.penalty != "none" or r.clip:
        raise MiniganError(
            "G looks through updates of D without a penalty or clipping: set penalty=none and "
            "clip=0, or updates=alternate"
        )


def _check_widths(r: Recipe) -> None:
    if r.model not in WITH_WIDTHS:
        if r.widths:
            raise MiniganError(
                f"the model {r.model} has no widths to set: only {', '.join(WITH_WIDTHS)} have"
            )
        return
    if not 1 <= len(r.widths) <= MAX_FLOORS or not all(1 <= w <= MAX_WIDTH for w in r.widths):
        raise MiniganError(
            f"the model {r.model} needs 1 to {MAX_FLOORS} widths from 1 to {MAX_WIDTH}, "
            f"as in widths={WITH_WIDTHS[r.model]}"
        )
    if r.model not in DCGANS:
        return
    top, rest = divmod(r.image_size, 2 ** len(r.widths))
    if rest or top < 2:  # each width doubles the side, and the first layer makes at least 2 x 2
        raise MiniganError(
            f"image_size {r.image_size} does not fit {len(r.widths)} widths: expected "
            f"{2 ** len(r.widths)} times a whole number from 2; change image_size or widths"
        )


_RADFORD_2016: dict[str, Any] = {
    "source": "Radford et al. 2016, sections 3 and 4 and Figure 1; soumith/dcgan.torch, main.lua: "
    "widths, 4x4 kernels, batch 64 (the paper's section 4: 128), normal z (Figure 1: uniform)",
    "latent": "normal",  # main.lua: noise = 'normal'
    "latent_dim": 100,  # Figure 1
    "pixel_low": -1.0,  # section 4: the range of tanh
    "pixel_high": 1.0,
    "batch_size": 64,  # main.lua; section 4: 128
    "optimizer": "adam",
    "lr": 2e-4,  # section 4: the suggested 0.001 was too high ...
    "betas": (0.5, 0.999),  # ... and 0.9 made training oscillate
}

_VAE: dict[str, Any] = {
    "source": "Kingma & Welling 2014, eq. 10 and appendices B and C.1; pytorch/examples, "
    "vae/main.py: widths, Adam, batch (the paper: 500 tanh units, Adagrad, batch 100)",
    "model": "vae",
    "latent_dim": 20,  # main.py; one of the sizes in the paper's Figure 2
    "data": "mnist",
    "pixel_low": 0.0,  # probabilities of Bernoulli pixels: appendix C.1
    "batch_size": 128,  # main.py; the paper's section 5: 100
    "epochs": 50,  # ours: main.py stops after 10, where the ELBO still rises by nats
    "updates": "together",
    "optimizer": "adam",
    "lr": 1e-3,  # main.py
    "betas": (0.9, 0.999),  # main.py: Adam's own
}

_GULRAJANI_2017: dict[str, Any] = {
    "objective": "wasserstein",
    "penalty": "wgan-gp",
    "d_steps": 5,  # Algorithm 1: n_critic
    "optimizer": "adam",
    "lr": 1e-4,  # Algorithm 1: alpha ...
    "betas": (0.5, 0.9),  # ... and, in the released code, these; Algorithm 1 has beta1 = 0
    "latent": "normal",  # tf.random_normal
}

RECIPES = {
    recipe.name: recipe
    for recipe in [
        Recipe(
            name="gan",
            summary="MLP GAN: LeakyReLU, batch normalisation, Adam (no download: glyphs)",
            source="Goodfellow et al. 2014, Algorithm 1; Adam's lr and betas: Radford et al. 2016, "
            "section 4; widths: the common MLP tutorial GAN",
            model="gan",
            epochs=5,  # on glyphs: two minutes on two cores, and digits that can be read
        ),
        Recipe(
            name="gan-relu",
            summary="MLP GAN of plain ReLU layers, without any normalisation",
            source="Goodfellow et al. 2014, Algorithm 1; Adam: Radford et al. 2016, section 4",
            model="gan-relu",
        ),
        Recipe(
            name="gan-paper",
            summary="The 2014 paper's own networks: maxout, dropout, SGD with momentum",
            source="Goodfellow et al. 2014; goodfeli/adversarial: mnist.yaml, __init__.py, sgd.py",
            model="gan-paper",
            latent="uniform",  # mnist.yaml: U(-sqrt 3, sqrt 3)^100
            data="mnist",
            split="paper-train",  # train[0:50000]
            pixel_low=0.0,
            batch_size=100,
            epochs=250,  # the released code has no stopping rule; its momentum ramp ends here
            d_scale=0.5,  # __init__.py: half the sum of the two terms
            updates="simultaneous",  # __init__.py: one minibatch, both gradients, then both moves
            optimizer="sgd",
            # sgd.py: lr_t = .1 / 1.000004^t, at least 1e-6.  There the velocity holds lr times the
            # gradient, here (as in PyTorch) lr is applied to the velocity: the same while lr
            # hardly changes from step to step.
            lr=0.1,
            lr_decay=1.000004,
            lr_floor=1e-6,
            momentum=0.5,  # mnist.yaml: .5 -> .7 over epochs 1 to 250; here it moves every step
            momentum_end=0.7,
            momentum_epochs=250,
        ),
        Recipe(
            name="gan-toy",
            summary="PacGAN's plain GAN for points: grid25, or ring8 with --data (no download)",
            source="Lin et al. 2018, section 4.1; fjxmlzn/PacGAN, synthetic_data_experiments: "
            "config.py, pacgan_task.py, bricks.py, num_packing 1",
            model="gan-toy",
            latent_dim=2,
            data="grid25",
            batch_size=100,
            epochs=400,
            updates="simultaneous",  # ali_algorithm: one minibatch, both gradients, then both moves
            optimizer="adam",
            lr=1e-4,
            betas=(0.8, 0.999),
        ),
        Recipe(
            name="pacgan2",
            summary="PacGAN2: gan-toy, whose D judges two points at once (no download)",
            source="Lin et al. 2018, section 4.1; fjxmlzn/PacGAN, synthetic_data_experiments: "
            "config.py, pacgan_task.py, streams.py, bricks.py, num_packing 2",
            model="gan-toy",
            pack=2,
            latent_dim=2,
            data="grid25",
            # streams.py: 100 packs, which are 200 points.  G sees them as one batch here and as
            # two of 100 there, each with its own batch statistics.
            batch_size=200,
            epochs=800,  # datasets.py: an epoch is 100,000 packs, here points; the same steps
            updates="simultaneous",
            optimizer="adam",
            lr=1e-4,
            betas=(0.8, 0.999),
        ),
        Recipe(
            name="unrolled",
            summary="Unrolled GAN: G looks 5 updates of D ahead; ring8 (no download)",
            source="Metz et al. 2017, section 2; poolio/unrolled_gan, Unrolled GAN demo.ipynb, "
            "whose networks and settings, as it says, are not those of the paper's appendix",
            model="gan-tanh",
            latent_dim=256,  # z_dim; Normal
            data="ring8",  # sample_mog: radius 1, deviation 0.01 (there one mode stands for two)
            batch_size=512,
            epochs=128,  # max_iter: 25,000
            objective="minimax",  # -unrolled_loss: the value of the game itself
            updates="unrolled",
            unroll=5,  # unrolling_steps
            optimizer="adam",
            lr=1e-3,  # gen_learning_rate
            d_lr=1e-4,  # disc_learning_rate
            betas=(0.5, 0.999),  # beta1; Keras' beta2
        ),
        Recipe(
            name="dcgan",
            summary="DCGAN for 64x64 images, grey or colour",
            model="dcgan",
            widths=(512, 256, 128, 64),
            image_size=64,
            epochs=3,
            **_RADFORD_2016,
        ),
        Recipe(
            name="dcgan-28",
            summary="DCGAN with two floors, for 28x28 images such as MNIST",
            model="dcgan",
            widths=(128, 64),  # the two floors of the 64x64 networks that are nearest to the image
            epochs=5,
            **_RADFORD_2016,
        ),
        Recipe(
            name="dcgan-32",
            summary="DCGAN with three floors, for 32x32 images",
            model="dcgan",
            widths=(256, 128, 64),
            image_size=32,
            epochs=5,
            **_RADFORD_2016,
        ),
        Recipe(
            name="lsgan",
            summary="LSGAN: the DCGAN for 28x28 images with least squares instead of logarithms",
            # The paper's tasks are 112x112 scenes and Chinese characters, with other networks.
            objective="least-squares",  # Mao et al. 2017, eq. 9
            model="dcgan",
            widths=(128, 64),
            epochs=5,
            **{
                **_RADFORD_2016,
                "source": "Mao et al. 2017, eq. 9; networks and optimiser of dcgan-28",
            },
        ),
        Recipe(
            name="wgan",
            summary="WGAN: the DCGAN for 28x28 images, its critic's weights clipped",
            objective="wasserstein",  # Arjovsky et al. 2017, eqs. 2 and 3
            clip=0.01,  # Algorithm 1: c
            d_steps=5,  # Algorithm 1: n_critic ...
            d_steps_more=100,  # ... and, in the released main.py, more at the beginning
            d_steps_first=25,
            d_steps_every=500,
            model="dcgan",
            widths=(128, 64),
            epochs=25,
            **{
                **_RADFORD_2016,
                "source": "Arjovsky et al. 2017, Algorithm 1; martinarjovsky/WassersteinGAN, "
                "main.py; networks of dcgan-28",
                "optimizer": "rmsprop",  # section 4: momentum made the critic unstable
                "lr": 5e-5,  # Algorithm 1: alpha
            },
        ),
        Recipe(
            name="hinge",
            summary="The DCGAN for 28x28 images with a margin instead of logarithms",
            objective="hinge",
            model="dcgan",
            widths=(128, 64),
            epochs=5,
            **{
                **_RADFORD_2016,
                "source": "Lim & Ye 2017, eq. 4; networks and optimiser of dcgan-28",
            },
        ),
        Recipe(
            name="wgan-gp",
            summary="WGAN-GP: a critic whose gradient has length 1 between images and fakes",
            source="Gulrajani et al. 2017, eq. 3 and Algorithm 1; igul222/improved_wgan_training, "
            "gan_mnist.py",
            model="wgan-gp",
            widths=(256, 128, 64),  # gan_mnist.py: DIM = 64
            latent_dim=128,  # gan_mnist.py: Generator
            data="mnist",
            split="paper-train",  # tflib/mnist.py: the first 50,000 of the 60,000
            pixel_low=0.0,  # the range of the sigmoid
            batch_size=50,  # gan_mnist.py
            penalty_weight=10.0,  # Algorithm 1: lambda
            epochs=10,  # 2000 steps; gan_mnist.py takes 200,000
            **_GULRAJANI_2017,
        ),
        Recipe(
            name="wgan-gp-toy",
            summary="WGAN-GP for points: grid25, or ring8 with --data (no download)",
            # Its grid has coordinates from -1.4 to 1.4 where PacGAN's, here, go from -4 to 4.
            source="Gulrajani et al. 2017, section 4; igul222/improved_wgan_training, gan_toy.py",
            model="points",
            widths=(512, 512, 512),  # gan_toy.py: DIM = 512
            latent_dim=2,
            data="grid25",
            batch_size=256,
            penalty_weight=0.1,  # gan_toy.py: LAMBDA
            epochs=100,  # 7800 steps; gan_toy.py takes 100,000
            **_GULRAJANI_2017,
        ),
        Recipe(
            name="dragan",
            summary="DRAGAN: a D whose gradient has length 1 around the images",
            source="Kodali et al. 2017; kodalinaveen3/DRAGAN, DRAGAN.ipynb, whose networks are "
            "small MLPs; networks of dcgan-28, D without normalisation",
            model="dcgan",
            widths=(128, 64),
            d_norm="none",
            latent="uniform",  # sample_z: U(-1, 1); here with variance 1
            latent_dim=100,  # z_dim
            batch_size=128,  # mb_size
            penalty="dragan",
            penalty_weight=10.0,  # lambd
            optimizer="adam",
            lr=1e-4,
            betas=(0.5, 0.9),
            epochs=25,  # the notebook takes 200,000 steps
        ),
        Recipe(
            name="r1",
            summary="R1: a D that pays for every slope at the images",
            source="Mescheder et al. 2018, eq. 9; LMescheder/GAN_stability, configs/default.yaml, "
            "for large images; networks of dcgan-28, D without normalisation",
            model="dcgan",
            widths=(128, 64),
            d_norm="none",
            latent="normal",  # z_dist: gauss
            latent_dim=256,
            batch_size=64,
            penalty="r1",
            penalty_weight=10.0,  # gamma
            optimizer="rmsprop",
            lr=1e-4,
            ema=0.999,  # model_average_beta
            epochs=25,
        ),
        Recipe(
            name="ae",
            summary="Autoencoder: a code of 20 numbers, from which the image comes back",
            objective="reconstruction",
            **{
                **_VAE,
                "model": "ae",
                "source": "Hinton & Salakhutdinov 2006, cross-entropy; networks and optimiser of "
                "vae",
            },
        ),
        Recipe(
            name="vae",
            summary="Variational autoencoder: its codes are spread as N(0, I)",
            objective="elbo",  # Kingma & Welling 2014, eqs. 3 and 10
            **_VAE,
        ),
        Recipe(
            name="cgan",
            summary="Conditional GAN: images of a given class; maxout, dropout, SGD",
            source="Mirza & Osindero 2014, section 4.1; what it leaves open (weights but those "
            "of y, halved loss of D, updates, momentum's ramp): goodfeli/adversarial, mnist.yaml",
            model="cgan",
            latent="cube",  # 4.1: uniform within the unit hypercube
            latent_dim=100,
            data="mnist",
            split="paper-train",  # 4.1: stopped by the likelihood of a validation set
            pixel_low=0.0,  # 4.1: a sigmoid makes the pixels
            batch_size=100,
            epochs=250,
            d_scale=0.5,  # __init__.py: half the sum of the two terms
            updates="simultaneous",  # __init__.py
            optimizer="sgd",
            lr=0.1,
            lr_decay=1.00004,
            lr_floor=1e-6,
            momentum=0.5,
            momentum_end=0.7,
            momentum_epochs=250,  # mnist.yaml; the paper does not say how fast
        ),
        Recipe(
            name="cdcgan-28",
            summary="Conditional DCGAN: 28x28 images of a given class",
            model="cdcgan",
            widths=(128, 64),
            epochs=5,
            **{
                **_RADFORD_2016,
                "source": "Radford et al. 2016, networks and optimiser of dcgan-28; labels beside "
                "z and image: Newmu/dcgan_code, train_cond_dcgan.py, there in every layer",
            },
        ),
        Recipe(
            name="acgan-28",
            summary="ACGAN: D also names the class; networks of dcgan-28",
            # The paper's tasks are ImageNet and CIFAR-10, with larger networks.
            model="acgan",
            widths=(128, 64),
            epochs=5,
            **{
                **_RADFORD_2016,
                "source": "Odena et al. 2017, section 3, L_S + L_C and L_C - L_S; networks and "
                "optimiser of dcgan-28",
            },
        ),
        Recipe(
            name="infogan-28",
            summary="InfoGAN: a code that D can read off the image, learnt without labels",
            model="infogan",
            widths=(128, 64),
            codes=10,  # Chen et al. 2016, section 7.2: Cat(K = 10, p = 0.1)
            epochs=5,
            **{
                **_RADFORD_2016,
                "source": "Chen et al. 2016, eq. 6 with lambda 1, section 7.2, of whose codes the "
                "categorical one; networks, z and optimiser of dcgan-28",
            },
        ),
    ]
}


def names() -> list[str]:
    """The names of all recipes.

    >>> names()
    ['gan', 'gan-relu', 'gan-paper', 'gan-toy', 'pacgan2', 'unrolled', 'dcgan', 'dcgan-28',
     'dcgan-32', 'lsgan', 'wgan', 'hinge', 'wgan-gp', 'wgan-gp-toy', 'dragan', 'r1', 'ae', 'vae',
     'cgan', 'cdcgan-28', 'acgan-28', 'infogan-28']
    """
    return list(RECIPES)


def get(name: str) -> Recipe:
    """The recipe of that name; MiniganError with the nearest names if there is none."""
    if name not in RECIPES:
        near = difflib.get_close_matches(name, RECIPES, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise MiniganError(f"no recipe {name!r}{hint}: expected one of {', '.join(RECIPES)}")
    return RECIPES[name]


def override(recipe: Recipe, values: dict[str, Any]) -> Recipe:
    """The recipe with other values, given as text or as values of the field's type.

    Raises MiniganError for an unknown key, a value of the wrong type, or one that cannot work.

    >>> override(get("gan"), {"lr": "1e-3", "betas": "0.9,0.999"}).betas
    (0.9, 0.999)
    """
    parsed = parse(recipe, values)
    if parsed.get("data", recipe.data) not in (recipe.data, *MNISTS):
        parsed.setdefault("split", "train")  # only these have the paper's splits
    return dataclasses.replace(recipe, **parsed)


def parse(recipe: Recipe, values: dict[str, Any]) -> dict[str, Any]:
    """The values, given as text or not, in the types of the recipe's fields.

    Raises MiniganError for an unknown key or a value of the wrong type.

    >>> parse(get("gan"), {"lr": "1e-3"})
    {'lr': 0.001}
    """
    kinds = {field.name: str(field.type) for field in dataclasses.fields(recipe)}
    for key in ("name", "summary", "source"):
        del kinds[key]
    for key in values:
        if key not in kinds:
            near = difflib.get_close_matches(key, kinds, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise MiniganError(f"no setting {key!r}{hint}: expected one of {', '.join(kinds)}")
    return {key: _parse(key, kinds[key], value) for key, value in values.items()}


def _parse(key: str, kind: str, value: Any) -> Any:
    """The value as the annotation of the recipe's field says."""
    expected = {
        "tuple[int, ...]": "whole numbers, as 256,128,64",
        "tuple[float, float]": "two numbers, as 0.5,0.999",
        "float": "a number",
        "int": "a whole number",
        "str": "text",
    }
    try:
        if kind.startswith("tuple"):
            parts = value.split(",") if isinstance(value, str) else value
            if kind == "tuple[int, ...]":
                return tuple(_number(int, part) for part in parts)
            first, second = (_number(float, part) for part in parts)
            return first, second
        if kind == "str":
            if not isinstance(value, str):
                raise ValueError
            return value
        return _number({"int": int, "float": float}[kind], value)
    except (ValueError, TypeError, OverflowError):
        raise MiniganError(f"{key} must be {expected[kind]}, got {str(value)[:40]!r}") from None


def _number(kind: type, value: Any) -> Any:
    """int or float, without turning True into 1 or 2.5 into 2."""
    if isinstance(value, bool) or (kind is int and isinstance(value, float)):
        raise ValueError
    return kind(value)
