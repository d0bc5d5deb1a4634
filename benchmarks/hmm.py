"""What does a step of EM cost for a hidden Markov model, against dynamax and plain NumPy?

15 states, 2,000 trials of 10 bins of 70 channels; float64 throughout, one thread on one core,
compiled before, in turns. NumPy goes forwards and backwards trial by trial, as in a textbook,
and once more with all trials in one array. Prints ratios, judges nothing: the exit code is 0.
"""

import time

import _one_thread  # noqa: F401  # isort: split
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from slowpoint.latents.hmm import fit_em, HMM, random_start
from slowpoint.latents.students import NEW, record, ring_teacher

STATES, UPDATES, ROUNDS, PRIOR = 15, 20, 3, 0.1


def ours(start: HMM, counts: np.ndarray) -> HMM:
    """As the package does it."""
    return fit_em(start, counts, updates=UPDATES, pseudo_count=PRIOR).model


def maximised(first, moves, spikes, bins):
    """Tables from what is expected, with `PRIOR` more of everything."""
    first, moves = first + PRIOR, moves + PRIOR
    means = (spikes + PRIOR) / (bins[:, None] + 2 * PRIOR)
    return first / first.sum(), moves / moves.sum(axis=1, keepdims=True), means


def textbook(start: HMM, counts: np.ndarray) -> HMM:
    """One trial after the other."""
    pi, a, b = start.start, start.transitions, start.emissions.means
    for _ in range(UPDATES):
        first, moves = np.zeros(STATES), np.zeros((STATES, STATES))
        spikes, bins = np.zeros(b.shape), np.zeros(STATES)
        for x in counts:
            logs = x @ np.log(b).T + (1 - x) @ np.log1p(-b).T
            likely = np.exp(logs - logs.max(axis=1, keepdims=True))
            alpha, beta, scale = np.empty_like(likely), np.ones_like(likely), np.empty(len(x))
            before = pi
            for t in range(len(x)):
                alpha[t] = before * likely[t]
                scale[t] = alpha[t].sum()
                alpha[t] /= scale[t]
                before = alpha[t] @ a
            for t in range(len(x) - 2, -1, -1):
                beta[t] = a @ (likely[t + 1] * beta[t + 1]) / scale[t + 1]
            xi = alpha * beta
            later = likely[1:] * beta[1:] / scale[1:, None]
            moves += a * (alpha[:-1].T @ later)
            first += xi[0]
            spikes += xi.T @ x
            bins += xi.sum(axis=0)
        pi, a, b = maximised(first, moves, spikes, bins)
    return HMM(pi, a, type(start.emissions)(b))


def arrays(start: HMM, counts: np.ndarray) -> HMM:
    """All trials at once."""
    pi, a, b = start.start, start.transitions, start.emissions.means
    x = np.ascontiguousarray(np.moveaxis(counts, 1, 0))
    flat = x.reshape(-1, x.shape[2])
    for _ in range(UPDATES):
        logs = x @ (np.log(b) - np.log1p(-b)).T + np.log1p(-b).sum(axis=1)
        likely = np.exp(logs - logs.max(axis=2, keepdims=True))
        alpha, later = np.empty_like(likely), np.empty_like(likely)
        beta = np.ones_like(likely)
        before = np.broadcast_to(pi, likely[0].shape)
        for t in range(len(x)):
            joint = before * likely[t]
            scale = joint.sum(axis=1, keepdims=True)
            alpha[t], likely[t] = joint / scale, likely[t] / scale
            before = alpha[t] @ a
        for t in range(len(x) - 1, 0, -1):
            later[t] = likely[t] * beta[t]
            beta[t - 1] = later[t] @ a.T
        xi = alpha * beta
        rows = xi.reshape(-1, STATES)
        moves = a * (alpha[:-1].reshape(-1, STATES).T @ later[1:].reshape(-1, STATES))
        pi, a, b = maximised(xi[0].sum(axis=0), moves, rows.T @ flat, rows.sum(axis=0))
    return HMM(pi, a, type(start.emissions)(b))


def dynamax_fit():
    """`fit(start, counts)` by dynamax, or None where it is not installed."""
    try:
        from dynamax.hidden_markov_model import BernoulliHMM
    except ImportError:
        return None
    model = BernoulliHMM(
        STATES,
        int(NEW[0]),
        initial_probs_concentration=1 + PRIOR,
        transition_matrix_concentration=1 + PRIOR,
        emission_prior_concentration0=1 + PRIOR,
        emission_prior_concentration1=1 + PRIOR,
    )

    def fit(start: HMM, counts: np.ndarray) -> HMM:
        with jax.enable_x64(True):
            params, props = model.initialize(
                initial_probs=jnp.asarray(start.start),
                transition_matrix=jnp.asarray(start.transitions),
                emission_probs=jnp.asarray(start.emissions.means),
            )
            params, _ = model.fit_em(
                params, props, jnp.asarray(counts), num_iters=UPDATES, verbose=False
            )
            kept = params.initial.probs, params.transitions.transition_matrix
            pi, a = (np.asarray(one) for one in kept)
            return HMM(pi, a, type(start.emissions)(np.asarray(params.emissions.probs)))

    return fit


def main() -> None:
    """All from one start, in turns."""
    teacher, trials, start = jr.split(jr.key(0), 3)
    counts = record(ring_teacher(key=teacher), key=trials).train[..., : NEW[0]]
    begun = random_start(counts, STATES, key=start)
    ways = {"slowpoint": ours, "NumPy, all trials at once": arrays, "NumPy": textbook}
    if fit := dynamax_fit():
        ways["dynamax"] = fit
    else:
        print("dynamax is not there: make bench EXTRAS=dev,bench")
    seconds, found = {name: [] for name in ways}, {}
    for turn in range(ROUNDS + 1):
        for name, fit in ways.items():
            if name == "NumPy" and turn > 1:
                continue
            clock = time.process_time()
            found[name] = fit(begun, counts)
            if turn or name == "NumPy":  # the first of the others compiles
                seconds[name].append(time.process_time() - clock)
    step = {name: float(np.median(times)) / UPDATES for name, times in seconds.items()}
    for name, model in found.items():
        apart = np.abs(model.emissions.means - found["slowpoint"].emissions.means).max()
        print(
            f"{name:26} {1e3 * step[name]:8.1f} ms a step, "
            f"{step[name] / step['slowpoint']:5.1f} x slowpoint; means differ by {apart:.1e}"
        )


if __name__ == "__main__":
    main()
