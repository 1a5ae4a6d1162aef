"""Section 4 of Goodfellow et al. 2014, with both densities known.

    Proposition 1    for a given G the best D is   D*(x) = p_data(x) / (p_data(x) + p_g(x))
    Theorem 1        there V(D*, G) = -log 4 + 2 JSD(p_data, p_g), where V is that of eq. 1

and what follows for G's gradient as p_g moves away from the data, under four objectives
(Arjovsky & Bottou 2017, "Towards principled methods for training generative adversarial networks").

The data are N(0, 1); G shifts its noise, G(z) = z + theta with z from N(0, 1), so p_g = N(theta, 1)
and theta is the distance.  Every expectation is a sum over a fine even grid in float64: the
trapezoidal rule, whose error for such smooth, fast falling functions is that of the rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from minigan import backends, nn, optim
from minigan import functional as F
from minigan.autograd import Tensor, no_grad
from minigan.optim import schedules
from minigan.plots import SECTIONS
from minigan.reproduce.drawing import panels, picture
from minigan.reproduce.result import Comparison, Outcome, Picture, Task

FAR = 10.0  # the largest distance
H = 0.02  # the step of the grid
TAIL = 10.0  # the grid goes so far beyond both means: what is left out has the mass 1e-23
X = np.arange(-TAIL, FAR + TAIL + H / 2, H)  # (1501,)
Z = np.arange(-TAIL, TAIL + H / 2, H)  # the noise, (1001,)
X_TRAINING = X[::5]  # (301,): fine enough for training, and five times faster


@dataclass(frozen=True)
class Plan:
    """The distances at which a D is trained, for how many steps, and how fine the curves are."""

    distances: tuple[float, ...] = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0)
    steps: int = 3000
    points: int = 101


FULL = Plan()
QUICK = Plan(distances=(0.0, 1.0, 2.0, 4.0, 10.0), steps=700, points=41)
WIDTH = 32
LR, LR_END = 1e-2, 1e-5


# Densities and divergences ------------------------------------------------------------------


def log_normal(x: Any, mean: float) -> Any:
    """log N(x; mean, 1), for arrays and Tensors."""
    return (x - mean) * (x - mean) * -0.5 - 0.5 * math.log(2 * math.pi)


def logit_star(x: Any, theta: float) -> Any:
    """The logit of D*: log p_data(x) - log p_g(x)."""
    return log_normal(x, 0.0) - log_normal(x, theta)


def jsd(theta: float) -> float:
    """JSD(p_data, p_g) in nats by its definition, (KL(p_data | m) + KL(p_g | m)) / 2.

    >>> abs(jsd(0.0)) < 1e-15, abs(jsd(10.0) - math.log(2)) < 1e-6
    (True, True)
    """
    log_p, log_g = log_normal(X, 0.0), log_normal(X, theta)
    log_m = np.logaddexp(log_p, log_g) - math.log(2)
    return 0.5 * H * float(np.exp(log_p) @ (log_p - log_m) + np.exp(log_g) @ (log_g - log_m))


def value(logits: Tensor, x: np.ndarray, theta: float) -> Tensor:
    """V(D, G) of eq. 1, E log D(x) + E log(1 - D(G(z))), for D's logits on the grid x."""
    step = x[1] - x[0]
    p, g = (Tensor(np.exp(log_normal(x, mean)) * step) for mean in (0.0, theta))
    return -(p * F.softplus(-logits)).sum() - (g * F.softplus(logits)).sum()


# D, trained ---------------------------------------------------------------------------------


class Discriminator(nn.Module):
    """x (N, 1) -> logits (N, 1).  x is brought to about [-1, 1] first, as images are."""

    def __init__(self, theta: float):
        super().__init__()
        self.centre, self.reach = theta / 2, theta / 2 + 3
        self.main = nn.Sequential(
            nn.Linear(1, WIDTH), nn.Tanh(), nn.Linear(WIDTH, WIDTH), nn.Tanh(), nn.Linear(WIDTH, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.main((x - self.centre) * (1 / self.reach))


def train_D(theta: float, steps: int, seed: int) -> Discriminator:
    """A D that has ascended V(D, G) with exact expectations, from weights of that seed."""
    backends.manual_seed(seed)
    D = Discriminator(theta).double()
    optimiser = optim.Adam(D.parameters(), lr=LR)
    lr = schedules.exponential(LR, (LR / LR_END) ** (1 / steps))
    x = Tensor(X_TRAINING[:, None])
    for t in range(steps):
        optimiser.lr = lr(t)
        loss = -value(D(x).view(-1), X_TRAINING, theta)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return D


def judge_D(D: Discriminator, theta: float) -> tuple[dict[str, float], np.ndarray]:
    """D beside D* at this distance: one row of the table, and D on X."""
    with no_grad():
        logits = D(Tensor(X[:, None])).view(-1)
        best = Tensor(logit_star(X, theta))
        V, V_star = value(logits, X, theta).item(), value(best, X, theta).item()
        D_x, D_star = F.sigmoid(logits).numpy(), F.sigmoid(best).numpy()
    seen = 0.5 * H * (np.exp(log_normal(X, 0.0)) + np.exp(log_normal(X, theta)))
    row = {
        "distance": theta,
        "JSD": jsd(theta),
        "-log 4 + 2 JSD": 2 * jsd(theta) - math.log(4),
        "V(D*, G)": V_star,
        "V(D, G), D trained": V,
        "mean distance of D from D*": float(seen @ abs(D_x - D_star)),
    }
    return row, D_x


# G's gradient -------------------------------------------------------------------------------

Objective = Callable[[Tensor, float], Tensor]  # x (N,), theta -> what G wants to be small at x


def minimax(x: Tensor, theta: float) -> Tensor:
    """log(1 - D*(x)), eq. 1."""
    return -F.softplus(logit_star(x, theta))


def non_saturating(x: Tensor, theta: float) -> Tensor:
    """-log D*(x), the other one of section 3."""
    return F.softplus(-logit_star(x, theta))


def least_squares(x: Tensor, theta: float) -> Tensor:
    """(D*(x) - 1)^2 / 2 (Mao et al. 2017); their best D for the labels 0 and 1 is the same D*."""
    miss = F.sigmoid(logit_star(x, theta)) - 1
    return miss * miss * 0.5


def wasserstein(x: Tensor, theta: float) -> Tensor:
    """-f*(x), f* the best critic of slope at most 1: it falls on the way from the data to p_g."""
    return x * float(np.sign(theta))


OBJECTIVES: dict[str, Objective] = {
    "minimax": minimax,
    "non-saturating": non_saturating,
    "least squares": least_squares,
    "Wasserstein": wasserstein,
}


def gradient(objective: Objective, theta: float) -> float:
    """d/dtheta E[objective(G(z))] with D held still, as in a step of G: by minigan's autograd.

    >>> round(gradient(wasserstein, 3.0), 12)
    1.0
    """
    shift = Tensor(np.array(theta), requires_grad=True)
    x = Tensor(Z) + shift  # G(z)
    loss = (Tensor(np.exp(log_normal(Z, 0.0)) * H) * objective(x, theta)).sum()
    loss.backward()
    return shift.grad.item()


def expected_gradient(name: str, theta: float) -> float:
    """The same from theory, on another way.

    D* is held still at its best, so (the envelope theorem) the minimax gradient is that of
    2 JSD, and it needs no derivative of D: d p_g / d theta = (x - theta) p_g.  Arjovsky & Bottou,
    theorem 2.5: the non-saturating one is that of KL(p_g | p_data) - 2 JSD, and the KL is
    theta^2 / 2.  Least squares: by the same derivative of p_g.  Wasserstein: the distance is theta.
    """
    change = H * (X - theta) * np.exp(log_normal(X, theta))
    log_D_fake = -np.logaddexp(0, logit_star(X, theta))  # log(1 - D*)
    jsd_gradient = float(change @ log_D_fake)
    return {
        "minimax": jsd_gradient,
        "non-saturating": theta - jsd_gradient,
        "least squares": float(change @ (0.5 * np.exp(2 * log_D_fake))),
        "Wasserstein": float(np.sign(theta)),
    }[name]


def far_away(name: str, theta: float) -> float:
    """The leading term of the gradient at a large distance.

    Between the two densities D* is a sigmoid of -theta u, u = x - theta / 2, and p_g(x) is
    N(u; 0, 1) exp(theta u / 2 - theta^2 / 8); the integral over theta u is a Beta function,
    B(1/2, 1/2) = pi for the minimax, B(5/2, 1/2) = 3 pi / 8 for the least squares objective.
    """
    vanishing = math.sqrt(math.pi / 2) * math.exp(-(theta**2) / 8)
    return {
        "minimax": vanishing,
        "non-saturating": theta,
        "least squares": 3 / 8 * vanishing,
        "Wasserstein": 1.0,
    }[name]


def gradient_through(D: Discriminator, objective: str, theta: float) -> float:
    """As ``gradient``, through the trained D instead of D*; not for the Wasserstein critic."""
    shift = Tensor(np.array(theta), requires_grad=True)
    logits = D((Tensor(Z) + shift).view(-1, 1)).view(-1)
    if objective == "minimax":
        terms = -F.softplus(logits)
    elif objective == "non-saturating":
        terms = F.softplus(-logits)
    else:
        terms = (F.sigmoid(logits) - 1) ** 2 * 0.5
    (Tensor(np.exp(log_normal(Z, 0.0)) * H) * terms).sum().backward(inputs=[shift])
    return shift.grad.item()


# The reproduction ---------------------------------------------------------------------------


def reproduce(task: Task) -> Outcome:
    """Train D at each distance, and compute the curves."""
    plan = QUICK if task.quick else FULL
    rows, trained, gradients = [], {}, []
    for theta in task.progress(plan.distances, unit="distance"):
        D = train_D(theta, plan.steps, task.seed)
        row, trained[theta] = judge_D(D, theta)
        rows.append(row)
        gradients += [
            {
                "distance": theta,
                "objective": name,
                "gradient, by autograd": gradient(objective, theta),
                "by theory": expected_gradient(name, theta),
                "through the trained D": gradient_through(D, name, theta)
                if name != "Wasserstein"
                else None,
            }
            for name, objective in OBJECTIVES.items()
        ]
    thetas = np.linspace(0, FAR, plan.points)
    curves: dict[str, Any] = {"distance": thetas.tolist(), "JSD": [jsd(t) for t in thetas]}
    for name, objective in OBJECTIVES.items():
        curves[f"gradient, {name}"] = [gradient(objective, t) for t in thetas]
    return Outcome(
        settings={
            "p_data": "N(0, 1)",
            "p_g": "N(theta, 1), theta the distance",
            "D": f"1 - {WIDTH} tanh - {WIDTH} tanh - 1, sigmoid, float64",
            "optimiser": f"Adam, lr {LR} falling to {LR_END:g}, {plan.steps} steps on the exact V",
            "grid": f"from {X[0]:g} to {X[-1]:g} in steps of {H:g}",
        },
        measured={"D and V": rows, "gradients": gradients, "curves": curves},
        comparisons=compare(rows, curves),
        pictures=[
            Picture(
                "theory-d.png",
                "D after training beside D*, at four distances.",
                draw_discriminators(trained),
            ),
            Picture(
                "theory-value.png",
                "V(D, G) of the trained D (dots) on the curve -log 4 + 2 JSD: flat once the "
                "densities are apart.",
                draw_value(rows, curves),
            ),
            Picture(
                "theory-gradients.png",
                "G's gradient with respect to its shift, |d loss / d theta|, under four "
                "objectives: lines through D*, by autograd; dots through the trained D; dotted, "
                "the limits for large distances.",
                draw_gradients(gradients, curves),
            ),
        ],
        notes=[
            "Far away only the tails of the Gaussians overlap, and D* reads them: its logit has "
            "the slope theta everywhere, so the non-saturating gradient grows with the distance. "
            "A trained D has not seen such points and is less steep there: its non-saturating "
            "gradient is smaller, and its other two vanish more slowly (last column). For supports "
            "that do not overlap at all, D* is constant on each, and of the four gradients only "
            "the Wasserstein one is left.",
            "Each objective is asked for its gradient with the critic held still at its own best: "
            "D* for the first three, the 1-Lipschitz potential for the fourth.",
            "The theory's gradients use the derivative of p_g (score function), autograd's go "
            "through D* to G: two ways to one number.",
        ],
    )


def compare(rows: list[dict[str, float]], curves: dict[str, Any]) -> list[Comparison]:
    """The propositions, as numbers."""
    paper, far = "Goodfellow et al. 2014", f"distance {FAR:g}"
    gaps = [row["V(D*, G)"] - row["V(D, G), D trained"] for row in rows]
    identity = [abs(row["V(D*, G)"] - row["-log 4 + 2 JSD"]) for row in rows]
    comparisons = [
        Comparison(
            what="largest mean distance of the trained D from D*",
            measured=max(row["mean distance of D from D*"] for row in rows),
            expected=0.0, source=f"{paper}, Prop. 1", high=0.01,
        ),
        Comparison(
            what="smallest V(D*, G) - V(D, G): D* is the best",
            measured=min(gaps), expected=None, source=f"{paper}, Prop. 1", low=-1e-12,
        ),
        Comparison(
            what="largest V(D*, G) - V(D, G): training gets there",
            measured=max(gaps), expected=0.0, source=f"{paper}, Prop. 1", high=1e-3,
        ),
        Comparison(
            what="largest error of V(D*, G) = -log 4 + 2 JSD",
            measured=max(identity), expected=0.0, source=f"{paper}, eq. 6", high=1e-12,
        ),
        Comparison(
            what="JSD at distance 0", measured=curves["JSD"][0], expected=0.0,
            source=f"{paper}, Theorem 1", low=-1e-12, high=1e-12,
        ),
        Comparison(
            what=f"log 2 - JSD at {far}, nats", measured=math.log(2) - curves["JSD"][-1],
            expected=0.0, source="hardly any overlap", low=0.0, high=1e-4,
        ),
    ]  # fmt: skip
    for name in OBJECTIVES:
        measured = np.array(curves[f"gradient, {name}"][1:])  # at 0 all are 0
        expected = np.array([expected_gradient(name, t) for t in curves["distance"][1:]])
        error = abs(measured / expected - 1).max()
        comparisons.append(
            Comparison(
                what=f"{name}: largest relative error of G's gradient",
                measured=float(error), expected=0.0, source="theory, by another way", high=1e-10,
            )
        )  # fmt: skip
    for name in OBJECTIVES:
        limit = far_away(name, FAR)
        comparisons.append(
            Comparison(
                what=f"{name}: G's gradient at {far}",
                measured=curves[f"gradient, {name}"][-1], expected=limit,
                source="leading term far away", low=0.9 * limit, high=1.1 * limit,
            )
        )  # fmt: skip
    return comparisons


# Figures ------------------------------------------------------------------------------------


def draw_discriminators(trained: dict[float, np.ndarray]) -> Image.Image:
    """D on X, by distance; the middle four of the distances above 0."""
    above = [theta for theta in trained if theta > 0]
    chosen = [above[i] for i in np.linspace(0, len(above) - 1, 4).round().astype(int)]
    figure, axes = panels(11, 3.2, columns=4)
    for ax, theta in zip(axes, chosen):
        with np.errstate(over="ignore"):
            D_star = 1 / (1 + np.exp(-logit_star(X, theta)))
        ax.plot(X, D_star, color="#b0b0b0", linewidth=4, label="D*")
        ax.plot(X, trained[theta], color="#2166ac", linestyle="--", label="D, trained")
        ax.plot(X, np.exp(log_normal(X, 0.0)), "k:", linewidth=1.8, label="p_data")
        ax.plot(X, np.exp(log_normal(X, theta)), color="#2a8f3c", label="p_g")
        ax.set(xlim=(-3.5, theta + 3.5), ylim=(-0.03, 1.03), xlabel="x")
        ax.set_title(f"distance {theta:g}", fontsize=11, loc="left")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    return picture(figure)


def draw_value(rows: list[dict[str, float]], curves: dict[str, Any]) -> Image.Image:
    """V against the distance, with its two limits."""
    figure, (ax,) = panels(7, 4)
    thetas, curve = np.array(curves["distance"]), 2 * np.array(curves["JSD"]) - math.log(4)
    ax.plot(thetas, curve, color=SECTIONS[0], linewidth=2, label="-log 4 + 2 JSD(p_data, p_g)")
    ax.plot(
        [row["distance"] for row in rows], [row["V(D, G), D trained"] for row in rows],
        "o", color=SECTIONS[1], markersize=6, label="V(D, G), D trained",
    )  # fmt: skip
    for height, text in (
        (0.0, "0: hardly any overlap"),
        (-math.log(4), "-log 4: p_g = p_data"),
    ):
        ax.axhline(height, color="#777777", linewidth=1, linestyle=(0, (4, 3)))
        ax.text(FAR, height - 0.03, text, va="top", ha="right", fontsize=10, color="#444444")
    ax.set(xlabel="distance of p_g from p_data, in standard deviations", ylabel="V, nats")
    ax.set(xlim=(-0.2, FAR + 0.2), ylim=(-1.6, 0.12))
    ax.legend(loc="center right", frameon=False)
    return picture(figure)


def draw_gradients(gradients: list[dict[str, Any]], curves: dict[str, Any]) -> Image.Image:
    """|d loss / d theta| against the distance, on a logarithmic scale."""
    figure, (ax,) = panels(8, 5)
    thetas = np.array(curves["distance"])
    for name, colour in zip(OBJECTIVES, SECTIONS):
        curve = abs(np.array(curves[f"gradient, {name}"]))
        ax.plot(thetas[1:], curve[1:], color=colour, linewidth=2, label=name)
        dots = [
            (row["distance"], abs(row["through the trained D"]))
            for row in gradients
            if row["objective"] == name and name != "Wasserstein" and row["distance"] > 0
        ]
        ax.plot(*np.array(dots).reshape(-1, 2).T, "o", color=colour, markersize=5)
        far = thetas[thetas >= 3]
        limit = [far_away(name, t) for t in far]
        ax.plot(far, limit, color="k", linewidth=1, linestyle=":", zorder=3)
    ax.plot([], [], "o", color="#555555", label="through the trained D")
    ax.plot([], [], color="k", linewidth=1, linestyle=":", label="limit far away")
    ax.set_yscale("log")
    ax.set(xlim=(0, FAR + 0.2), ylim=(1e-6, 30))
    ax.set(xlabel="distance of p_g from p_data, in standard deviations")
    ax.set(ylabel="|gradient of G's loss with respect to its shift|")
    ax.legend(loc="lower left", frameon=False)
    return picture(figure)
