r"""Which linear dynamics, seen through Poisson spikes, would have made these trials?

$z_{t+1} = A z_t + N(0, Q)$, $x_t \sim \mathrm{Poisson}(e^{C z_t + d})$. Learned by EM with the
posterior of each trial taken as a Gaussian about its most likely path (Smith and Brown 2003,
Neural Computation 15, 965; Macke et al. 2011, NeurIPS 24).
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Num

from slowpoint.core.precision import float64, to_numpy, widen
from slowpoint.latents.reduce import fit_pca

Numbers = Array | np.ndarray
MOST = 6.0  # a logarithm of a rate is cut there, so that a step too far is finite
PATH_STEPS, WEIGHT_STEPS = 12, 4  # of Newton's method
RIDGE = 1e-2  # of a loading: as if it had been drawn with variance 100


class LinearDynamics(eqx.Module):
    """Held-in counts in, most likely latents out."""

    transition: Float[Numbers, "dim dim"]  # A
    noise: Float[Numbers, "dim dim"]  # Q
    first: Float[Numbers, "dim dim"]  # covariance of the first bin's latents
    loadings: Float[Numbers, "channel dim"]  # C
    offsets: Float[Numbers, " channel"]  # d

    def encode(
        self, counts: Num[Numbers, "trial bin channel"], channels: slice | Numbers = slice(None)
    ) -> Float[np.ndarray, "trial bin dim"]:
        """The most likely paths, from `channels` alone; counts of NaN are missing.

        `counts` hold those channels. Raises ValueError on another number of them, or below 0.
        """
        x = _checked(counts)
        loadings, offsets = (np.asarray(a)[channels] for a in (self.loadings, self.offsets))
        if x.shape[2] != len(loadings):
            raise ValueError(f"Counts have {x.shape[2]} channels, the model {len(loadings)}.")
        with float64():
            own = widen(
                eqx.tree_at(lambda m: (m.loadings, m.offsets), self, (loadings, offsets))
            )
            return np.asarray(_paths(own, jnp.asarray(x)).means)

    def rates(
        self, latents: Float[Numbers, "trial bin dim"]
    ) -> Float[np.ndarray, "trial bin channel"]:
        """Expected counts per bin of all channels at these latents."""
        return np.exp(np.asarray(latents) @ np.asarray(self.loadings).T + self.offsets)


def fit_dynamics(
    counts: Num[Numbers, "trial bin channel"], dims: int, *, updates: int = 30
) -> LinearDynamics:
    """Learned from all channels, beginning with principal components.

    Raises ValueError as `fit_pca` does, and on missing counts.
    """
    x = _checked(counts)
    if np.isnan(x).any() or updates < 1:
        raise ValueError("fit_dynamics needs every count, and updates of 1 or more.")
    z = fit_pca(x, dims).encode(x)
    before, after = z[:, :-1].reshape(-1, dims), z[:, 1:].reshape(-1, dims)
    turn = np.linalg.lstsq(before, after, rcond=None)[0].T
    rest = after - before @ turn.T
    mean = x.mean(axis=(0, 1))
    flat = z.reshape(-1, dims)
    slope = flat.T @ (x.reshape(-1, x.shape[2]) - mean) / len(flat) / np.maximum(mean, 1e-3)
    start = LinearDynamics(
        transition=turn,
        noise=rest.T @ rest / len(rest) + 1e-3 * np.eye(dims),
        first=np.eye(dims),
        loadings=slope.T,
        offsets=np.log(np.maximum(mean, 1e-3)),
    )
    with float64():
        return to_numpy(_em(widen(start), jnp.asarray(x), updates))


class Paths(NamedTuple):
    """The posterior of the latents of every trial, as a Gaussian."""

    means: Float[Array, "trial bin dim"]
    spreads: Float[Array, "trial bin bin dim dim"]  # covariance of two bins


def _checked(counts) -> Float[np.ndarray, "trial bin channel"]:
    x = np.asarray(counts, float)
    if (x < 0).any():
        raise ValueError(f"counts hold {np.nanmin(x):g}: give spikes per bin, 0 or more.")
    return x


def precision(model: LinearDynamics, bins: int) -> Float[Array, "bin dim bin dim"]:
    """The inverse covariance of a path before anything is seen."""
    a, inverse = model.transition, jnp.linalg.inv(model.noise)
    t = jnp.arange(bins)
    within = jnp.tile(inverse, (bins, 1, 1))
    within = within.at[0].set(jnp.linalg.inv(model.first))
    within = within.at[:-1].add((a.T @ inverse @ a)[None])
    found = jnp.zeros((bins, bins, *a.shape)).at[t, t].set(within)
    found = found.at[t[:-1], t[1:]].set(-a.T @ inverse).at[t[1:], t[:-1]].set(-inverse @ a)
    return found.transpose(0, 2, 1, 3)


@eqx.filter_jit
def _paths(model: LinearDynamics, x: Float[Array, "trial bin channel"]) -> Paths:
    """Newton's method from 0, a step halved where it went too far."""
    bins = x.shape[1]
    dims = len(model.transition)
    prior = precision(model, bins).reshape(bins * dims, bins * dims)
    seen = ~jnp.isnan(x)
    x = jnp.where(seen, x, 0.0)

    def logs(z):
        return jnp.minimum(z @ model.loadings.T + model.offsets[None], MOST)

    def cost(z, x, seen):
        eta = logs(z)
        return (
            jnp.where(seen, jnp.exp(eta) - x * eta, 0.0).sum()
            + z.ravel() @ prior @ z.ravel() / 2
        )

    def curvature(z, seen):
        rates = jnp.where(seen, jnp.exp(logs(z)), 0.0)
        own = jnp.einsum("tn,ni,nj->tij", rates, model.loadings, model.loadings)
        t = jnp.arange(bins)
        full = jnp.zeros((bins, bins, dims, dims)).at[t, t].set(own).transpose(0, 2, 1, 3)
        return prior + full.reshape(prior.shape)

    def one(x, seen):
        def newton(z, _):
            slope = jax.grad(cost)(z, x, seen).ravel()
            move = jnp.linalg.solve(curvature(z, seen), slope).reshape(z.shape)
            shares = 0.5 ** jnp.arange(5)
            costs = jax.vmap(lambda s: cost(z - s * move, x, seen))(shares)
            return z - shares[jnp.argmin(costs)] * move, None

        z, _ = jax.lax.scan(newton, jnp.zeros((bins, dims)), length=PATH_STEPS)
        spread = jnp.linalg.inv(curvature(z, seen)).reshape(bins, dims, bins, dims)
        return z, spread.transpose(0, 2, 1, 3)

    return Paths(*jax.lax.map(lambda pair: one(*pair), (x, seen), batch_size=64))


@eqx.filter_jit
def _em(model: LinearDynamics, x, updates: int) -> LinearDynamics:
    update = lambda model, _: (_learned(model, x, _paths(model, x)), None)
    return jax.lax.scan(update, model, length=updates)[0]


def _learned(model: LinearDynamics, x, paths: Paths) -> LinearDynamics:
    """The most likely rule, given the paths."""
    z, spreads = paths
    t = jnp.arange(z.shape[1])
    each = spreads[:, t, t]
    second = jnp.einsum("rti,rtj->tij", z, z) + each.sum(axis=0)
    mixed = jnp.einsum("rti,rtj->ij", z[:, 1:], z[:, :-1])
    mixed = mixed + spreads[:, t[1:], t[:-1]].sum(axis=(0, 1))
    past, present = second[:-1].sum(axis=0), second[1:].sum(axis=0)
    transition = jnp.linalg.solve(past, mixed.T).T
    count = len(z) * (len(t) - 1)
    noise = (present - transition @ mixed.T) / count
    loadings, offsets = _weights(model, x, z, each)
    small = 1e-6 * jnp.eye(len(transition))
    noise = (noise + noise.T) / 2 + small
    return LinearDynamics(transition, noise, second[0] / len(z) + small, loadings, offsets)


def _weights(model: LinearDynamics, x, z, each):
    """Loadings and offsets, all channels at once: the mean of a rate includes the spread."""
    dims = z.shape[2]
    rows, covariance = z.reshape(-1, dims), each.reshape(-1, dims, dims)
    counts = x.reshape(len(rows), -1)

    def newton(weights, _):
        c, d = weights[:, :dims], weights[:, dims]
        pulled = jnp.einsum("rij,nj->rni", covariance, c)
        eta = rows @ c.T + d[None] + jnp.einsum("rni,ni->rn", pulled, c) / 2
        rate = jnp.exp(jnp.minimum(eta, MOST))
        lever = jnp.concatenate([rows[:, None] + pulled, jnp.ones((*rate.shape, 1))], axis=2)
        pull = RIDGE * weights.at[:, dims].set(0.0)
        seen = jnp.concatenate([counts.T @ rows, counts.sum(axis=0)[:, None]], axis=1)
        slope = jnp.einsum("rn,rni->ni", rate, lever) - seen + pull
        curve = jnp.einsum("rn,rni,rnj->nij", rate, lever, lever)
        more = jnp.einsum("rn,rij->nij", rate, covariance)
        curve = curve.at[:, :dims, :dims].add(more) + RIDGE * jnp.eye(dims + 1)[None]
        return weights - jnp.linalg.solve(curve, slope[..., None])[..., 0], None

    first = jnp.concatenate([model.loadings, model.offsets[:, None]], axis=1)
    weights, _ = jax.lax.scan(newton, first, length=WEIGHT_STEPS)
    return weights[:, :dims], weights[:, dims]
