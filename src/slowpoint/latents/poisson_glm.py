r"""Which weights turn latents into rates of spikes? Newton's method for all channels at once.

Least of $\frac1n \sum_i (e^{\eta_i} - y_i \eta_i) + \frac\alpha2 |w|^2$ with
$\eta = z \cdot w + b$, the intercept b free: McCullagh and Nelder (1989), Generalized Linear
Models, chapter 2; the penalty as in Dabholkar and Barak (2024), arXiv 2405.14425. On the host,
in float64: nothing is compiled, so a new shape costs nothing.
"""

import dataclasses

import numpy as np
from jaxtyping import Bool, Float, Int

TOLERANCE = 1e-8  # of the last step, relative to the largest weight or 1
MOST = 100  # steps of Newton's method
HALVINGS = 60
RIDGE = 1e-10  # of the mean curvature: weights that nothing decides stay where they are
WHOLE = 1 << 22  # products of two latents kept at once; more are made in pieces


@dataclasses.dataclass(frozen=True)
class Glm:
    """Weights of every channel. A channel without a spike has none, and rate `start`."""

    weights: Float[np.ndarray, "dim channel"]
    intercepts: Float[np.ndarray, " channel"]
    converged: Bool[np.ndarray, " channel"]
    steps: Int[np.ndarray, " channel"]


def poisson_glm(
    z: Float[np.ndarray, "row dim"],
    counts: Float[np.ndarray, "row channel"],
    alpha: float,
) -> Glm:
    """Fit every channel; counts of NaN are missing.

    A step is halved until the objective falls; a channel stops on its own, when its step is
    1e-8 of its weights. A channel without a spike gets no weights and the rate of half a spike
    in all its rows; it counts as converged.
    """
    fit = _Newton(z, counts, alpha)
    going = np.flatnonzero(fit.spikes > 0)
    for _ in range(MOST):
        if not going.size:
            break
        going = fit.step(going)
    converged = np.ones(counts.shape[1], bool)
    converged[going] = False
    return Glm(fit.w[:-1], fit.w[-1], converged, fit.steps)


class _Newton:
    """The state of the fit: weights w, one column per channel, the intercept last."""

    def __init__(self, z, counts, alpha):
        seen = ~np.isnan(counts)
        y = np.where(seen, counts, 0.0)
        self.a = np.concatenate([z.T, np.ones((1, len(z)))])  # one row per latent
        self.seen = None if seen.all() else seen
        self.n = np.maximum(seen.sum(axis=0), 1)
        self.spikes = y.sum(axis=0)
        self.sums = self.a @ y / self.n  # all that the objective needs to know of the counts
        self.alpha = np.full((len(self.a), 1), alpha)
        self.alpha[-1] = 0.0
        size, channels = self.sums.shape
        self.w = np.zeros((size, channels))
        least = np.where(self.spikes > 0, 1e-3, 0.5 / self.n)
        self.w[-1] = np.log(np.maximum(self.spikes / self.n, least))
        self.steps = np.zeros(channels, int)
        self.rows, self.columns = np.tril_indices(size)
        whole = len(self.rows) * len(z) <= WHOLE
        self.products = self._products(slice(None)) if whole else None
        self.mu, self.value = self._at(self.w, np.arange(channels))

    def _products(self, part):
        a = self.a[:, part]
        return a[self.rows] * a[self.columns]

    def _at(self, w, which):
        """Rates of every row over the number of rows, and the objective."""
        with np.errstate(over="ignore"):  # an infinite objective: the step will be halved
            mu = np.exp(self.a.T @ w)
        if self.seen is not None:
            mu *= self.seen[:, which]
        mu /= self.n[which]
        penalty = (self.alpha * w**2).sum(axis=0) / 2
        return mu, mu.sum(axis=0) - (w * self.sums[:, which]).sum(axis=0) + penalty

    def _curvature(self, mu):
        """The Hessian of every channel: one product of matrices serves them all."""
        size, channels = len(self.a), mu.shape[1]
        if self.products is not None:
            lower = self.products @ mu
        else:
            lower, stride = np.zeros((len(self.rows), channels)), WHOLE // len(self.rows) + 1
            for first in range(0, len(mu), stride):
                part = slice(first, first + stride)
                lower += self._products(part) @ mu[part]
        hessian = np.empty((channels, size, size))
        hessian[:, self.rows, self.columns] = lower.T
        hessian[:, self.columns, self.rows] = lower.T
        diagonal = np.einsum("cii->ci", hessian)  # a view
        diagonal += self.alpha.T
        diagonal += RIDGE * diagonal.mean(axis=1, keepdims=True)
        return hessian

    def step(self, going):
        """One step of these channels; those that go on."""
        w, mu, value = self.w[:, going], self.mu[:, going], self.value[going]
        slope = self.a @ mu - self.sums[:, going] + self.alpha * w
        move = -np.linalg.solve(self._curvature(mu), slope.T[..., None])[..., 0].T
        tried, left = w + move, np.arange(len(going))
        for _ in range(HALVINGS):
            fresh, least = self._at(tried[:, left], going[left])
            fell = least <= value[left] + 1e-12 * (1 + np.abs(value[left]))
            done = going[left[fell]]
            self.w[:, done], self.value[done] = tried[:, left[fell]], least[fell]
            self.mu[:, done] = fresh[:, fell]
            left = left[~fell]
            if not left.size:
                break
            tried[:, left] = (tried[:, left] + w[:, left]) / 2
        self.steps[going] += 1
        size = np.abs(self.w[:, going] - w).max(axis=0)
        far = size > TOLERANCE * np.maximum(1, np.abs(w).max(axis=0))
        far[left] = True  # stuck: no step made the objective fall
        return going[far]
