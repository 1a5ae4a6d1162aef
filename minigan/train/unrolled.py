"""One step of an unrolled game: G looks k updates of D ahead (Metz et al. 2017, section 2).

A G that learns against the D of the moment gathers its samples where this D is wrong.  D answers,
G moves them all elsewhere, and so on: mode after mode, never all at once.  Here G learns against
the D that answers.  With theta_D^0 = theta_D,

    theta_D^{i+1} = theta_D^i - what D's optimiser would do for its loss on x and G(z),
    f_k(theta_G)  = f(theta_G, theta_D^k),           theta_D^k being a function of theta_G,

and f_k's gradient has a second part, which is missing without unrolling: how D's answer changes
with G.  To follow it backwards, the k updates are computed from the current weights in Tensors,
and D is called with tensors as weights (``nn.functional_call``).  They are only thought of: in the
end D has moved once.

In the notebook released with the paper (poolio/unrolled_gan) D's optimiser is Adam, and Adam is
unrolled, from its moments at that time; so it is here.  There both players move from the same point
and batch; here D goes first, as in Algorithm 1, so that without unrolling this is ``alternate``.

A D that draws random numbers or keeps statistics does so in the calls ahead too.
"""

from __future__ import annotations

from collections.abc import Sequence

from minigan.autograd import Tensor, grad, no_grad
from minigan.functional import binary_cross_entropy_with_logits as bce
from minigan.nn import functional_call
from minigan.objectives import Minimax, Wasserstein
from minigan.optim import SGD, Adam
from minigan.optim.optimizer import views
from minigan.train.game import Game, Record, record

# Under the root of Adam's v.  A weight that has never had a gradient has v = 0, where the root has
# no derivative.  With this it has one, and roots above 1e-8, which is eps, are right to 1e-4.
TINY = 1e-20

ZERO_SUM = (Minimax, Wasserstein)


def unrolled(game: Game, batches: list[Tensor], labels: Sequence[Tensor] = ()) -> Record:
    """D first, as in Algorithm 1, then G against the D of k further updates; k is ``game.unroll``.

    Arguments and what it returns are those of ``play_step``; g_loss is f(theta_G, theta_D^k).
    """
    G, D, objective = game.G, game.D, game.objective

    ##########################################################################
    # (1) Update D: minimise -[E log D(x) + E log(1 - D(G(z)))], once
    ##########################################################################
    for x, *y in zip(batches, labels) if labels else zip(batches):
        with no_grad():
            fake = G(game.draw_z(len(x)), *y)
        real_logits, fake_logits = D(x, *y), D(fake, *y)
        d_loss = objective.d_loss(real_logits, fake_logits)
        game.opt_D.zero_grad()
        d_loss.backward()
        game.opt_D.step()

    ##########################################################################
    # (2) Update G: minimise f(theta_G, theta_D^k), through k updates of D
    ##########################################################################
    def D_at(theta: dict[str, Tensor], images: Tensor) -> Tensor:
        return functional_call(D, theta, (images, *y))

    fake = G(game.draw_z(len(x)), *y)  # the same in all k updates, and no cut here
    theta, ahead = dict(D.named_parameters()), Ahead(game.opt_D)
    for _ in range(game.unroll):
        d_loss_i = objective.d_loss(D_at(theta, x), D_at(theta, fake))
        gradients = grad(d_loss_i, [*theta.values()], create_graph=True)
        theta = dict(zip(theta, ahead.step([*theta.values()], gradients)))
    g_loss = objective.g_loss(D_at(theta, fake))
    if game.unroll and isinstance(objective, ZERO_SUM):
        g_loss = g_loss + of_images(objective, D_at(theta, x))
    game.opt_G.zero_grad()
    g_loss.backward(inputs=G.parameters())
    game.opt_G.step()

    return record(game, d_loss, g_loss, real_logits, fake_logits)


def of_images(objective: Minimax | Wasserstein, real: Tensor) -> Tensor:
    """The other term of the value of a zero-sum game: E log D(x), or E D(x).  (N, 1) -> ()

    G's loss goes without it as long as it is a constant for G; but D^k depends on G.

    >>> from minigan import zeros
    >>> of_images(Minimax(), zeros(4, 1)).item()      # log 1/2
    -0.6931471824645996
    """
    return -bce(real, 1.0) if isinstance(objective, Minimax) else real.mean()


class Ahead:
    """What an optimiser will do, from its state now, as functions of weights and gradients.

    Args:
        optimizer: Adam or SGD; it stays as it is.

    >>> from minigan import tensor
    >>> w = tensor([1.0], requires_grad=True)
    >>> (g,) = grad((w * w).sum(), [w], create_graph=True)
    >>> (then,) = Ahead(SGD([w], lr=0.1)).step([w], [g])      # w - 0.1 (2 w)
    >>> then.backward()
    >>> w, w.grad
    (tensor([1.], requires_grad=True), tensor([0.8]))
    """

    def __init__(self, optimizer: Adam | SGD):
        if not isinstance(optimizer, (Adam, SGD)):
            kind = type(optimizer).__name__
            raise TypeError(f"only updates of Adam and SGD can be unrolled, not of {kind}")
        self.optimizer, self.t = optimizer, optimizer.steps.tolist()
        moments = [views(getattr(optimizer, name), optimizer.params) for name in optimizer._states]
        self.states = [[Tensor(array) for array in of_one] for of_one in zip(*moments)]

    def step(self, weights: list[Tensor], gradients: list[Tensor]) -> list[Tensor]:
        """The weights after one more step."""
        update = self._adam if isinstance(self.optimizer, Adam) else self._sgd
        self.t = [t + 1 for t in self.t]
        decay = self.optimizer.weight_decay
        if decay:
            gradients = [g + decay * w for w, g in zip(weights, gradients)]
        return [update(i, w, g) for i, (w, g) in enumerate(zip(weights, gradients))]

    def _adam(self, i: int, w: Tensor, g: Tensor) -> Tensor:
        (beta1, beta2), eps, lr = self.optimizer.betas, self.optimizer.eps, self.optimizer.lr
        m, v = self.states[i]
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * (g * g)
        self.states[i] = [m, v]
        mhat, vhat = m / (1 - beta1 ** self.t[i]), v / (1 - beta2 ** self.t[i])
        return w - lr * mhat / ((vhat + TINY).sqrt() + eps)

    def _sgd(self, i: int, w: Tensor, g: Tensor) -> Tensor:
        momentum, lr = self.optimizer.momentum, self.optimizer.lr
        velocity = momentum * self.states[i][0] + g
        self.states[i] = [velocity]
        return w - lr * (g + momentum * velocity if self.optimizer.nesterov else velocity)
