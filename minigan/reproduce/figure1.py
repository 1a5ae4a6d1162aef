"""Figure 1 of Goodfellow et al. 2014: the game on a line.

The figure shows four moments of a game with one-dimensional data:

    (a) p_g is near p_data, and D is partly right
    (b) D has learnt alone, G stands still: D is near D*(x) = p_data(x) / (p_data(x) + p_g(x))
    (c) G has learnt alone: D's gradient has led G(z) to where D says "data"
    (d) much later: p_g = p_data, D* = 1/2 everywhere, and so is D

The paper's figure is a sketch, and the released code has no script for it.  Here the same four
moments are measured in one game.  On a line everything is known: p_data is a formula, and p_g
follows from G by the change of variables, p_g(G(z)) |dG/dz| = p_z(z), so that D* can be computed.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from PIL import Image

from minigan import backends, nn, objectives, optim
from minigan import functional as F
from minigan.autograd import Tensor, no_grad
from minigan.reproduce.drawing import panels, picture
from minigan.reproduce.result import Comparison, Outcome, Picture, Task, rounded

DATA = NormalDist(0.0, 1.0)  # p_data; z is uniform on (0, 1), as in the paper's figure
G_MEAN, G_SPREAD = 1.5, 0.6  # of G(z) at first
WIDTH = 16  # of the hidden layers
BATCH = 128
K = 2  # steps of D for one of G
LR_D, LR_G = 3e-3, 1e-3
BETAS = (0.5, 0.999)

LOW, HIGH, BINS = -5.0, 5.0, 400  # the drawn part of the line
EDGES = np.concatenate([[-np.inf], np.linspace(LOW, HIGH, BINS + 1), [np.inf]])
MIDDLES = (EDGES[1:-2] + EDGES[2:-1]) / 2
BIN = (HIGH - LOW) / BINS
DATA_MASS = np.diff([DATA.cdf(x) for x in EDGES])  # (BINS + 2,): the ends hold what is not drawn
# z is looked at on a grid that is finer towards its ends, where G is steep: p_g's tails are there.
Z = 1 / (1 + np.exp(-np.linspace(-16, 16, 4001)))
Z_MASS = np.diff(Z) / (Z[-1] - Z[0])


@dataclass(frozen=True)
class Plan:
    """Steps of Algorithm 1 until (a), of D alone to (b), of G to (c), of Algorithm 1 in all."""

    until_a: int = 6
    d_alone: int = 400
    g_alone: int = 30
    until_d: int = 4000
    frames: int = 60


FULL = Plan()
QUICK = Plan(d_alone=300, until_d=800, frames=12)


# The game -----------------------------------------------------------------------------------


def stratified(n: int) -> np.ndarray:
    """n numbers in [0, 1), one in each n-th: uniform, with less noise than independent ones."""
    return (np.arange(n) + backends.rng().random(n)) / n


_SHARES = (np.arange(20_000) + 0.5) / 20_000
_QUANTILES = np.array([DATA.inv_cdf(share) for share in _SHARES])


def draw_x(n: int) -> Tensor:
    """Data, (n, 1), by the quantiles of p_data."""
    return Tensor(np.interp(stratified(n), _SHARES, _QUANTILES)[:, None])


def draw_z(n: int) -> Tensor:
    """Noise, (n, 1), uniform on (0, 1)."""
    return Tensor(stratified(n)[:, None])


class Generator(nn.Module):
    """z (N, 1) in (0, 1) -> x (N, 1).

    The first step, log(z / (1 - z)), opens the interval to the whole line; nothing in it is learnt.
    Without it p_g would end in two jumps, and D* with it; the paper draws p_g with tails.
    """

    def __init__(self) -> None:
        super().__init__()
        self.main = _mlp(1, nn.Softplus)
        with no_grad():
            # Each unit w2 softplus(w1 t + b) rises if its weights have the same sign.
            first, _, last = self.main
            last.weight.copy_(abs(last.weight) * np.sign(first.weight.numpy().T))
            last.weight.mul_(G_SPREAD / self(draw_z(1000)).std().item())
            last.bias.add_(G_MEAN - self(draw_z(1000)).mean().item())

    def forward(self, z: Tensor) -> Tensor:
        return self.main(z.log() - (1 - z).log())


class Players:
    """G, D and their optimisers."""

    def __init__(self) -> None:
        self.G, self.D = Generator(), _mlp(3, nn.Tanh)
        self.opt_G = optim.Adam(self.G.parameters(), lr=LR_G, betas=BETAS)
        self.opt_D = optim.Adam(self.D.parameters(), lr=LR_D, betas=BETAS)
        self.objective = objectives.NonSaturating()

    def update_D(self) -> None:
        """One step down -[E log D(x) + E log(1 - D(G(z)))]; to D, a fake is just a point."""
        with no_grad():
            fake = self.G(draw_z(BATCH))
        loss = self.objective.d_loss(self.D(draw_x(BATCH)), self.D(fake))
        self.opt_D.zero_grad()
        loss.backward()
        self.opt_D.step()

    def update_G(self) -> None:
        """One step down -E log D(G(z)), through D, which stays as it is."""
        loss = self.objective.g_loss(self.D(self.G(draw_z(BATCH))))
        self.opt_G.zero_grad()
        loss.backward(inputs=self.G.parameters())
        self.opt_G.step()

    def algorithm_1(self) -> None:
        """k steps of D, one of G."""
        for _ in range(K):
            self.update_D()
        self.update_G()


def _mlp(hidden: int, activation: type[nn.Module]) -> nn.Sequential:
    """(N, 1) -> (N, 1); the activations used are smooth, and so are the densities and D."""
    sizes = [1, *[WIDTH] * hidden]
    layers: list[nn.Module] = []
    for n_in, n_out in itertools.pairwise(sizes):
        layers += [nn.Linear(n_in, n_out), activation()]
    return nn.Sequential(*layers, nn.Linear(WIDTH, 1)).double()


# What is measured ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Moment:
    """The game at one moment: p_g, D and D* on the line, and how far they are from each other."""

    name: str
    step: str
    p_g: np.ndarray  # probability of each bin, (BINS + 2,)
    D: np.ndarray  # in the middle of each drawn bin, (BINS,)
    z: np.ndarray  # a few, for the arrows
    G_z: np.ndarray
    d_fake: float

    @property
    def D_star(self) -> np.ndarray:
        """p_data / (p_data + p_g) of each drawn bin."""
        return (DATA_MASS / (DATA_MASS + self.p_g))[1:-1]

    def numbers(self) -> dict[str, Any]:
        """One row of the table."""
        seen = ((DATA_MASS + self.p_g) / 2)[1:-1]  # what D meets in training
        return {
            "moment": self.name,
            "after": self.step,
            "JSD(p_data, p_g)": jsd(DATA_MASS, self.p_g),
            "distance from D*": float(seen @ abs(self.D - self.D_star)),
            "distance from 1/2": float(DATA_MASS[1:-1] @ abs(self.D - 0.5)),
            "mean D(G(z))": self.d_fake,
        }


def observe(players: Players, name: str, step: str) -> Moment:
    """Look at the game without moving it."""
    arrows = np.linspace(0.02, 0.98, 25)
    with no_grad():
        G_z = players.G(Tensor(Z[:, None])).numpy()[:, 0]
        G_arrows = players.G(Tensor(arrows[:, None])).numpy()[:, 0]
        D = F.sigmoid(players.D(Tensor(MIDDLES[:, None]))).numpy()[:, 0]
        d_fake = F.sigmoid(players.D(Tensor(G_z[1:, None]))).numpy()[:, 0] @ Z_MASS
    return Moment(name, step, push_forward(G_z), D, arrows, G_arrows, float(d_fake))


def push_forward(G_z: np.ndarray) -> np.ndarray:
    """The probability of each bin under p_g, from G(Z), (4001,).

    Between two neighbours in Z, G is taken as straight: their share of the noise is spread evenly
    over [G(z_i), G(z_i+1)], which is the change of variables, and holds where G turns back too.

    >>> even = push_forward(Z)  # G(z) = z
    >>> inside = even[1:-1][(MIDDLES > 0) & (MIDDLES < 1)]
    >>> bool(np.allclose(inside, BIN, rtol=1e-5)), round(float(even.sum()), 12)
    (True, 1.0)
    """
    low, high = np.minimum(G_z[1:], G_z[:-1]), np.maximum(G_z[1:], G_z[:-1])
    width = np.maximum(high - low, 1e-12)
    below = np.clip((EDGES[:, None] - low) / width, 0, 1) @ Z_MASS  # P(G(z) < edge)
    return np.diff(below)


def jsd(p: np.ndarray, q: np.ndarray) -> float:
    """The Jensen-Shannon divergence of two discrete distributions, in nats: 0 to log 2.

    >>> round(jsd(np.array([1.0, 0.0]), np.array([0.0, 1.0])), 6)
    0.693147
    """
    middle = (p + q) / 2
    return sum(0.5 * float((a[a > 0] * np.log(a[a > 0] / middle[a > 0])).sum()) for a in (p, q))


# The reproduction ---------------------------------------------------------------------------


def reproduce(task: Task) -> Outcome:
    """Play the game once, stop at the four moments, and judge them."""
    plan = QUICK if task.quick else FULL
    moments, film = play(plan, task)
    rows = [moment.numbers() for moment in moments]
    return Outcome(
        settings={
            "p_data": "N(0, 1)",
            "z": "uniform on (0, 1), stratified in each batch; so are the data",
            "G": f"log(z / (1 - z)), then 1 - {WIDTH} softplus - 1; at first "
            f"rising, with mean {G_MEAN} and standard deviation {G_SPREAD}",
            "D": f"1 - {WIDTH} tanh - {WIDTH} tanh - {WIDTH} tanh - 1, sigmoid",
            "objective": "non-saturating, D and G in turn (Algorithm 1)",
            "k": K,
            "batch": BATCH,
            "optimiser": f"Adam, betas {BETAS[0]} and {BETAS[1]}, lr {LR_D} (D) and {LR_G} (G), "
            "falling to 2 % of it in the second half",
            "steps of Algorithm 1": plan.until_d,
            "steps of D alone": plan.d_alone,
            "steps of G alone": plan.g_alone,
        },
        measured={
            "moments": rows,
            "curves": {
                "x": MIDDLES.tolist(),
                "p_data": (DATA_MASS[1:-1] / BIN).tolist(),
                **{f"p_g {m.name}": rounded(m.p_g[1:-1] / BIN, 6) for m in moments},
                **{f"D {m.name}": rounded(m.D, 6) for m in moments},
                **{f"D* {m.name}": rounded(m.D_star, 6) for m in moments},
            },
        },
        comparisons=compare(rows),
        pictures=[
            Picture(
                "figure1.png",
                "The four moments. Black, dotted: p_data; green: p_g; blue, dashed: D; grey: the "
                "optimal D* for these p_data and p_g. The arrows below lead from z, evenly spaced, "
                "to x = G(z).",
                draw_moments(moments),
            ),
            Picture("figure1.gif", "The whole game.", [draw_frame(m) for m in film]),
        ],
        notes=[
            "The paper's figure is a sketch without numbers, and its code has no script for it: "
            "what is compared with is what its caption says of each moment.",
            "p_g is the exact push-forward of the noise through G on a fine grid of z, summed in "
            f"bins of {BIN:g}; nothing is sampled. The mean distance of D from D* weighs "
            "x by (p_data + p_g) / 2, that from 1/2 by p_data.",
            "Between (a) and (c) each player moves alone, by more than one step, so that the eye "
            "can see it; then Algorithm 1 goes on.",
            "What is chosen for a stable game: k = 2, stratified batches, a learning rate that "
            "falls, and a G that starts as a rising function with samples beside the data.",
            "z enters G as log(z / (1 - z)), so that p_g has tails; from an MLP of z itself it "
            "ends in two jumps, which no smooth D follows.",
        ],
    )


def play(plan: Plan, task: Task) -> tuple[list[Moment], list[Moment]]:
    """The four moments, and the moments of the film."""
    backends.manual_seed(task.seed)
    players = Players()
    # Who moves in each step, and the name of the moment after it.
    steps = ["both"] * plan.until_a + ["D"] * plan.d_alone + ["G"] * plan.g_alone
    names = {plan.until_a: "(a)", plan.until_a + plan.d_alone: "(b)", len(steps): "(c)"}
    steps += ["both"] * (plan.until_d - plan.until_a)
    names[len(steps)] = "(d)"
    move = {"both": players.algorithm_1, "D": players.update_D, "G": players.update_G}
    filmed = set(_frames(plan, len(steps))) | {0}

    moments, film, count = [], [], {"both": 0, "D": 0, "G": 0}
    for i in task.progress(range(len(steps) + 1)):
        if i in names or i in filmed:
            text = f"{count['both']} steps" + _alone(steps[i - 1], count)
            moment = observe(players, names.get(i, ""), text)
            film += [moment]
            moments += [moment] if i in names else []
        if i < len(steps):
            factor = min(1.0, max(0.02, 2 * (1 - i / len(steps))))
            players.opt_D.lr, players.opt_G.lr = LR_D * factor, LR_G * factor
            move[steps[i]]()
            count[steps[i]] += 1
    return moments, film


def _alone(last: str, count: dict[str, int]) -> str:
    if last == "both":
        return ""
    return f", {count['D']} of D alone" + (f", {count['G']} of G alone" if last == "G" else "")


def _frames(plan: Plan, total: int) -> np.ndarray:
    """After which steps a frame is taken: more often at first, where more happens."""
    return np.unique((np.linspace(0, 1, plan.frames) ** 2.5 * total).round().astype(int))


def compare(rows: list[dict[str, Any]]) -> list[Comparison]:
    """What the caption of the figure says of each moment, as numbers."""
    a, b, c, d = rows
    caption = "Figure 1, caption"
    return [
        Comparison(
            what="(b) mean distance of D from D*: D alone converges to D*",
            measured=b["distance from D*"], expected=0.0, source=caption, high=0.02,
        ),
        Comparison(
            what="(b) the same, less what it was at (a), where D is only partly right",
            measured=b["distance from D*"] - a["distance from D*"], expected=None, source=caption,
            high=0.0,
        ),
        Comparison(
            what="(c) rise of mean D(G(z)) since (b): G(z) flows to where D says data",
            measured=c["mean D(G(z))"] - b["mean D(G(z))"], expected=None, source=caption, low=0.02,
        ),
        Comparison(
            what="(d) JSD(p_data, p_g), nats",
            measured=d["JSD(p_data, p_g)"], expected=0.0, source="p_g = p_data", high=0.01,
        ),
        Comparison(
            what="(d) mean distance of D from 1/2 on the data",
            measured=d["distance from 1/2"], expected=0.0, source="D = 1/2", high=0.05,
        ),
    ]  # fmt: skip


# Figures ------------------------------------------------------------------------------------

TOP, X_LINE, Z_LINE = 1.12, -0.12, -0.55  # heights: of the panel, of the lines of x and of z
X_LOW, X_HIGH = -4.2, 4.2


def draw_moments(moments: list[Moment]) -> Image.Image:
    """The four panels."""
    figure, axes = panels(12, 4.6, columns=4)
    for ax, moment in zip(axes, moments):
        draw(ax, moment)
        ax.set_title(f"{moment.name}  {moment.step}".replace(", ", ",\n", 1), fontsize=10)
    for ax in axes[1:]:
        ax.tick_params(labelleft=False)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    return picture(figure)


def draw_frame(moment: Moment) -> Image.Image:
    """A picture of the film."""
    figure, (ax,) = panels(5, 4.2)
    draw(ax, moment)
    ax.set_title(f"{moment.name}  {moment.step}".strip(), fontsize=10, loc="left")
    figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    return picture(figure)


def draw(ax: Any, moment: Moment) -> None:
    """The densities, D and D* above; below them, the arrows from z to x = G(z)."""
    ax.plot(MIDDLES, moment.D_star, color="#b0b0b0", linewidth=3, label="D*")
    ax.plot(MIDDLES, moment.D, color="#2166ac", linestyle="--", linewidth=1.8, label="D")
    dots = (0, (1, 1.2))
    ax.plot(MIDDLES, DATA_MASS[1:-1] / BIN, "k", linestyle=dots, linewidth=2.2, label="p_data")
    density = np.minimum(moment.p_g[1:-1] / BIN, TOP * 2)  # beyond the top it is not seen anyway
    ax.plot(MIDDLES, density, color="#2a8f3c", linewidth=1.8, label="p_g")
    ax.set(xlim=(X_LOW, X_HIGH), ylim=(Z_LINE - 0.1, TOP), yticks=[0, 0.5, 1])
    ax.grid(False)
    ax.axhline(0, color="#d8d8d8", linewidth=0.8, zorder=0)
    ax.axhline(0.5, color="#d8d8d8", linewidth=0.8, zorder=0)

    width = 7.0  # of the interval (0, 1) of z in the picture
    ax.hlines(X_LINE, X_LOW + 0.3, X_HIGH - 0.3, color="k", linewidth=1)
    ax.hlines(Z_LINE, -width / 2, width / 2, color="k", linewidth=1)
    ax.text(X_LOW, X_LINE, "x", va="center", fontsize=10)
    ax.text(X_LOW, Z_LINE, "z", va="center", fontsize=10)
    ax.text(-width / 2, Z_LINE, "0 ", ha="right", va="center", fontsize=9)
    ax.text(width / 2, Z_LINE, " 1", ha="left", va="center", fontsize=9)
    for z, x in zip(moment.z, moment.G_z):
        if X_LOW + 0.3 <= x <= X_HIGH - 0.3:
            ax.annotate(
                "", xy=(x, X_LINE), xytext=((z - 0.5) * width, Z_LINE),
                arrowprops={"arrowstyle": "-|>", "linewidth": 0.7, "color": "#333333",
                            "mutation_scale": 7, "shrinkA": 0, "shrinkB": 0},
            )  # fmt: skip
    ax.spines[["left", "bottom"]].set_visible(False)
