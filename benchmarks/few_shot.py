"""How fast is a readout of latents fitted to few trials? And what memory do 200 models take?

Against scikit-learn's PoissonRegressor channel by channel, against Newton's method with 25
fixed steps compiled for every shape, and against all models in memory at once. One thread on
one core, in turns (A B A B); CPU seconds in the same run. Prints, judges nothing: the exit code
is 0. Takes about six minutes.
"""

import pathlib
import resource
import subprocess
import sys
import tempfile
import time
import warnings

import _one_thread  # noqa: F401  # isort: split
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from slowpoint.analysis.cross_decoding import cross_decode
from slowpoint.analysis.few_shot import few_shot, Random
from slowpoint.core.precision import float64
from slowpoint.latents.poisson_glm import poisson_glm
from slowpoint.latents.readout import PoissonReadout
from slowpoint.latents.reduce import fit_pca, independent_latents
from slowpoint.recordings.binned import windows
from slowpoint.recordings.monkey import monkey

ALPHA, DRAWS, ROUNDS = 1e-3, 8, 5
MODELS, SHAPE = 200, (600, 20, 40)


def cpu(work):
    """`(CPU seconds, result)`."""
    begun = time.process_time()
    result = work()
    return time.process_time() - begun, result


def row(what: str, value: str, bar: str, met: bool | None) -> None:
    verdict = "" if met is None else "met" if met else "NOT MET"
    print(f"  {what:54} {value:>24}  {bar} {verdict}", flush=True)


def recording():
    """`(held in, held out)` of the monkey, windows in random order: 458 train, 153 test."""
    trials = np.concatenate([windows(monkey(block).counts, 20) for block in (1, 2)])
    chance = np.random.default_rng(0)
    trials, units = trials[chance.permutation(len(trials))], chance.permutation(87)
    return trials[..., units[21:]], trials[..., units[:21]].astype(float)


def latents(held_in, dims: int, extra: int):
    z = fit_pca(held_in[:458], dims).encode(held_in)
    noise = independent_latents(len(z), 20, extra, key=jr.key(1))
    return np.concatenate([z, noise], axis=2)


# ------------------------------------------------- one set of latents, against scikit-learn


def by_sklearn(rows):
    from sklearn.linear_model import PoissonRegressor

    fits = [[PoissonRegressor(alpha=ALPHA).fit(z, y) for y in x.T] for z, x in rows]
    return np.array([[np.append(f.coef_, f.intercept_) for f in fit] for fit in fits])


def by_house(rows):
    fits = [poisson_glm(z, x, ALPHA) for z, x in rows]
    return np.stack([np.vstack([f.weights, f.intercepts]).T for f in fits])


def against_sklearn() -> None:
    print("21 channels, 8 latents, 8 draws, against PoissonRegressor:")
    try:
        import sklearn  # noqa: F401
    except ImportError:
        print("  scikit-learn is not there. Type: make bench EXTRAS=dev,bench")
        return
    held_in, held_out = recording()
    z = latents(held_in, 8, 0)
    z = (z - z[:458].mean(axis=(0, 1))) / z[:458].std(axis=(0, 1))
    total = np.zeros((ROUNDS, 2))
    for k, bar in ((16, 4), (64, 0), (256, 1)):
        draws = Random(DRAWS).draw(458, k, jr.key(0))
        rows = [(z[d].reshape(-1, 8), held_out[d].reshape(-1, 21)) for d in draws]
        spent = np.array(
            [
                [cpu(lambda m=m, rows=rows: m(rows))[0] for m in (by_sklearn, by_house)]
                for _ in range(ROUNDS)
            ]
        )
        total += spent
        say(f"k = {k}", spent, bar)
        errors = np.abs(by_sklearn(rows) - by_house(rows)).max()
        print(f"    theirs stops {errors:.1e} away; ours {slope(rows):.1e} from no slope")
    say("all k", total, 3)
    agree()


def say(what: str, spent, bar: float) -> None:
    ratio = spent[:, 0] / spent[:, 1]
    middle = np.median(ratio)
    theirs, ours = 1e3 * np.median(spent, axis=0) / DRAWS
    value = f"{middle:.1f} ({ratio.min():.1f} to {ratio.max():.1f})"
    asked = f">= {bar:g}" if bar else ""
    row(
        f"{what}: {theirs:.1f} / {ours:.1f} ms a draw",
        value,
        asked,
        middle >= bar if bar else None,
    )


def slope(rows) -> float:
    """Largest gradient that is left, over all draws and channels."""
    worst = 0.0
    for (z, x), w in zip(rows, by_house(rows)):
        a = np.column_stack([z, np.ones(len(z))])
        left = a.T @ (np.exp(a @ w.T) - x) / len(z)
        left[:-1] += ALPHA * w.T[:-1]
        worst = max(worst, np.abs(left).max())
    return worst


def agree() -> None:
    """The weights are scikit-learn's, when it is told to go on."""
    from sklearn.linear_model import PoissonRegressor

    held_in, held_out = recording()
    z, x = latents(held_in, 8, 0)[:64].reshape(-1, 8), held_out[:64].reshape(-1, 21)
    worst = 0.0
    for alpha in (0.0, 1e-3, 1e-2, 0.1):
        ours = poisson_glm(z, x, alpha)
        for n in range(0, 21, 4):
            how = PoissonRegressor(
                alpha=alpha, tol=1e-10, max_iter=10_000, solver="newton-cholesky"
            )
            theirs = how.fit(z, x[:, n])
            gap = np.append(
                theirs.coef_ - ours.weights[:, n], theirs.intercept_ - ours.intercepts[n]
            )
            worst = max(worst, np.abs(gap).max())
    row(
        "weights against PoissonRegressor at tol 1e-10",
        f"{worst:.1e}",
        "<= 1e-6",
        worst <= 1e-6,
    )


# ------------------------------------------------- the monkey's table


POOL = [(2, 0), (8, 0), (20, 0), (8, 5), (8, 20), (8, 40), (4, 0), (12, 0), (8, 10)]


@jax.jit
def fixed_steps(z, y):
    """25 steps of Newton's method, the best of 8 lengths each: one channel per lane."""
    a = jnp.concatenate([z, jnp.ones((len(z), 1))], axis=1)
    pull = jnp.full(a.shape[1], ALPHA).at[-1].set(0.0)

    def value(w, y):
        eta = jnp.clip(a @ w, -30, 20)
        return (jnp.exp(eta) - y * eta).mean() + (pull * w**2).sum() / 2

    def one(y):
        def step(w, _):
            mu = jnp.exp(jnp.clip(a @ w, -30, 20))
            slope = a.T @ (mu - y) / len(y) + pull * w
            bend = (a * mu[:, None]).T @ a / len(y) + jnp.diag(pull + 1e-10)
            move = jnp.linalg.solve(bend, slope)
            tried = w[None, :] - 0.5 ** jnp.arange(8)[:, None] * move[None, :]
            least = jax.vmap(lambda w: value(w, y))(tried)
            return tried[jnp.argmin(least)], None

        start = jnp.zeros(a.shape[1]).at[-1].set(jnp.log(jnp.maximum(y.mean(), 1e-3)))
        return jax.lax.scan(step, start, length=25)[0]

    return jax.vmap(one)(y.T)


def table_by_fixed_steps(parts):
    with float64():
        return [
            np.asarray(fixed_steps(z[d].reshape(-1, z.shape[2]), x[d].reshape(-1, 21)))
            for z, x, draws in parts
            for d in draws
        ]


def table_by_house(parts):
    return [
        np.vstack([fit.weights, fit.intercepts]).T
        for z, x, draws in parts
        for fit in PoissonReadout(ALPHA, standardize=False).fits(z, x, draws)
    ]


def monkey_table() -> None:
    print("the monkey's table, 9 models, k = 16, 64, 256, 8 draws, compilation included:")
    jax.config.update("jax_enable_compilation_cache", False)
    held_in, held_out = recording()
    x = held_out[:458]
    parts = []
    for dims, extra in POOL:
        z = latents(held_in, dims, extra)[:458]
        for k in (16, 64, 256):
            parts.append((z, x, Random(DRAWS).draw(458, k, jr.key(0))))
    (ours, found), (theirs, other) = (
        cpu(lambda m=m: m(parts)) for m in (table_by_house, table_by_fixed_steps)
    )
    apart = max(np.abs(a - b).max() for a, b in zip(found, other))
    ratio = theirs / ours
    row(f"{theirs:.0f} s / {ours:.1f} s, {apart:.0e} apart", f"{ratio:.1f}", ">= 3", ratio >= 3)


# ------------------------------------------------- memory


def score(folder: pathlib.Path, how: str) -> None:
    """Every model's scores and all cross-decoding; prints the peak of the memory, MB."""
    files = sorted(folder.glob("*.npy"))
    counts = np.random.default_rng(0).poisson(1.0, (*SHAPE[:2], 20))
    read = lambda file: np.load(file)
    held = [read(file) for file in files] if how == "at once" else None
    get = [lambda i=i: held[i] if held else read(files[i]) for i in range(len(files))]
    begun = time.process_time()
    for one in get:
        z = one()
        parts = (z[:400], counts[:400], z[400:], counts[400:])
        readout = PoissonReadout(ALPHA)
        few_shot(*parts, readout=readout, k=16, key=jr.key(0), scheme=Random(2))
    scored = time.process_time() - begun
    cross_decode(held or get, split=np.arange(SHAPE[0]) < 400, key=jr.key(1))
    decoded = time.process_time() - begun - scored
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(f"{peak:.0f} {scored:.0f} {decoded:.0f}")


def memory() -> None:
    print(f"{MODELS} latent sets of {SHAPE}, scored and cross-decoded:")
    with tempfile.TemporaryDirectory() as folder:
        chance = np.random.default_rng(1)
        for number in range(MODELS):
            np.save(pathlib.Path(folder, f"{number:03}.npy"), chance.normal(size=SHAPE))
        peaks = {}
        for how in ("at once", "streamed"):
            command = [sys.executable, __file__, how, folder]
            out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            peaks[how], scored, decoded = map(float, out.split())
            print(f"    {how}: {scored:.0f} s scored, {decoded:.0f} s decoded")
    value = f"{peaks['at once']:.0f} / {peaks['streamed']:.0f} MB"
    row("peak of memory, at once / streamed", value, "< 1000 MB", peaks["streamed"] < 1000)


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    if len(sys.argv) > 1:
        score(pathlib.Path(sys.argv[2]), sys.argv[1])
    else:
        against_sklearn()
        monkey_table()
        memory()
