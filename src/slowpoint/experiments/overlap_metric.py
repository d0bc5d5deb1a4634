"""How does each overlap pull on the others while weights learn, and what can they remember?

Descent on weights is descent on overlaps with a metric: two pull each other when they share a
column. So an overlap that no output shows still moves, and still sets how fast the others do.
The paper's matrix is compared entry by entry, on networks of whole numbers whose overlaps have
no rounding, and with the gradients of an explicit network. Then, from the Jacobian of what
networks answer: how many overlaps are visible, how many numbers fix the function, how many
descent conserves, and how many are left that a network may remember.

Paper: Ger and Barak 2026, arXiv:2605.04115, figure 11.
Takes: 8 s quick, 8 s full
"""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pydantic
from jaxtyping import Bool, Float, Int, Shaped

from slowpoint.core.claim import at_most, Claim, equal, reported
from slowpoint.core.nonlinearity import erf, identity, Nonlinearity
from slowpoint.core.precision import float64
from slowpoint.core.result import Result
from slowpoint.core.rollout import rollout
from slowpoint.core.settings import Settings as Base
from slowpoint.plots.matrix import entries, stacked
from slowpoint.plots.style import row
from slowpoint.theory.latent import Latent
from slowpoint.theory.metric import metric
from slowpoint.theory.overlaps import Dims, overlaps, rank_one, vector
from slowpoint.theory.visibility import memory_dims, visible

# Of figure 11, row and column in this order
ORDER = ("zm", "zu", "vm", "vu", "mu", "zv", "mm", "uu", "vv", "zz")
PAPER = np.array(
    [
        ["mm+zz", "mu", "zv", "0", "zu", "vm", "2zm", "0", "0", "2zm"],
        ["mu", "uu+zz", "0", "zv", "zm", "vu", "0", "2zu", "0", "2zu"],
        ["zv", "0", "mm+vv", "mu", "vu", "zm", "2vm", "0", "2vm", "0"],
        ["0", "zv", "mu", "uu+vv", "vm", "zu", "0", "2vu", "2vu", "0"],
        ["zu", "zm", "vu", "vm", "mm+uu", "0", "2mu", "2mu", "0", "0"],
        ["vm", "vu", "zm", "zu", "0", "vv+zz", "0", "0", "2zv", "2zv"],
        ["2zm", "0", "2vm", "0", "2mu", "0", "4mm", "0", "0", "0"],
        ["0", "2zu", "0", "2vu", "2mu", "0", "0", "4uu", "0", "0"],
        ["0", "0", "2vm", "2vu", "0", "2zv", "0", "0", "4vv", "0"],
        ["2zm", "2zu", "0", "0", "0", "2zv", "0", "0", "0", "4zz"],
    ]
)
SHAPES = (Dims(), Dims(2), Dims(3), Dims(2, 2, 2))
SEEN = ((4, 7), (9, 15), (16, 26), (16, 26))  # visible overlaps of those: linear, nonlinear
# invariants, functional, both, memory
COUNTS = {(0, True): (5, 3, 8, 2), (1, True): (9, 5, 14, 7), (0, False): (1, 6, 7, 3)}
WORDS = ("invariants", "functional dimensions", "both together", "dimensions of memory")


class Settings(Base):
    networks: int = pydantic.Field(default=50, ge=1, description="of whole numbers, compared")
    units: int = pydantic.Field(
        default=64, ge=4, description="N of them; a power of 2 is exact"
    )
    time: int = pydantic.Field(default=60, ge=20, description="steps of the random input")
    dt: float = pydantic.Field(default=0.2, gt=0, lt=2, description="of a step, in tau")


QUICK = Settings()


class Matrices(Result):
    """The metric of each network, in the order of the figure."""

    found: Float[np.ndarray, "network overlap overlap"]
    paper: Float[np.ndarray, "network overlap overlap"]
    weights: float  # largest distance from N times products of gradients in the weights
    drawn: Float[np.ndarray, "overlap overlap"]  # at Sigma_E


class Counts(Result):
    """One row a kind of network."""

    name: Shaped[np.ndarray, " kind"]
    shape: Int[np.ndarray, " kind"]  # of `SHAPES`
    linear: Bool[np.ndarray, " kind"]
    overlaps: Int[np.ndarray, " kind"]
    visible: Int[np.ndarray, " kind"]
    gauge: Int[np.ndarray, " kind"]  # rank^2: bases of U and V that answer alike
    held: Int[np.ndarray, "kind count"]  # invariants, functional, both, memory
    doubt: Float[np.ndarray, "kind 2"]  # singular values at the edge of the functional rank


@dataclasses.dataclass(frozen=True)
class Results:
    matrices: Matrices
    counts: Counts


def run(settings: Settings) -> Results:
    draw = np.random.default_rng(settings.seed)
    return Results(_matrices(settings, draw), _counts(settings, draw))


def _matrices(settings: Settings, draw) -> Matrices:
    shape = (settings.networks, settings.units, 4)
    columns = draw.integers(-4, 5, shape).astype(float)
    sigmas = np.swapaxes(columns, 1, 2) @ columns / settings.units
    with float64():
        slopes = jax.jit(jax.jacrev(lambda p: vector(overlaps(p))))(jnp.asarray(columns[0]))
        rows = np.asarray(slopes).reshape(len(slopes), -1)
    by_weights = settings.units * rows @ rows.T
    example = rank_one(zm=0.3, zu=0.4, vm=0.4, vu=0.6, mu=0.2, zv=0.2)
    return Matrices(
        np.stack([_ordered(metric(s)) for s in sigmas]),
        np.stack([_of_paper(s) for s in sigmas]),
        float(np.abs(by_weights - metric(sigmas[0])).max()),
        _ordered(metric(example)),
    )


def _ordered(matrix: np.ndarray | jax.Array) -> np.ndarray:
    """In the order of the figure."""
    places = [Dims().names.index(name) for name in ORDER]
    return np.asarray(matrix)[np.ix_(places, places)]


def _of_paper(sigma: np.ndarray) -> np.ndarray:
    """The numbers that `PAPER` says."""
    value = dict(zip(Dims().names, sigma[np.triu_indices(4)]))

    def number(text: str) -> float:
        terms = re.findall(r"(\d?)([a-z]{2})", text)
        return sum(float(factor or 1) * value[name] for factor, name in terms)

    return np.vectorize(number, otypes=[float])(PAPER)


def _counts(settings: Settings, draw) -> Counts:
    kinds = [(i, phi) for i in range(len(SHAPES)) for phi in (identity, erf)]
    rows = [_count(SHAPES[i], phi, settings, draw) for i, phi in kinds]
    names = [f"{d.rank}, {d.inputs}, {d.outputs}" for d in SHAPES]
    total, seen, held, doubt = map(np.array, zip(*rows, strict=True))
    return Counts(
        np.array(
            [f"{names[i]} {'linear' if phi is identity else phi.name}" for i, phi in kinds]
        ),
        np.array([i for i, _ in kinds]),
        np.array([phi is identity for _, phi in kinds]),
        total,
        seen,
        np.array([SHAPES[i].rank ** 2 for i, _ in kinds]),
        held,
        doubt,
    )


def _count(dims: Dims, phi: Nonlinearity, settings: Settings, draw):
    """`(overlaps, visible, (invariants, functional, both, memory), doubt)` of a random one."""
    columns = draw.standard_normal((2 * dims.size, dims.size))
    sigma = columns.T @ columns / len(columns)
    inputs = 2 * draw.standard_normal((settings.time, dims.inputs))

    def answers(sigma):
        return rollout(Latent(sigma, dims, phi, settings.dt), np.zeros(0), inputs).outputs

    seen, found = visible(answers, sigma, dims), memory_dims(answers, sigma, dims)
    held = (found.invariants, found.functional, found.joint, found.memory)
    return found.overlaps, int(seen.seen.sum()), held, (seen.last, seen.next)


def claims(results: Results) -> list[Claim]:
    matrices, counts = results.matrices, results.counts
    zeros, empty = (matrices.found == 0).all(axis=0), PAPER == "0"
    found = [
        equal("entries of the metric that are 0, of 100", zeros.sum(), 42),
        equal("those that are 0 here or in the paper, not both", (zeros != empty).sum(), 0),
        equal(
            "largest difference of an entry from the paper's",
            np.abs(matrices.found - matrices.paper).max(),
            0,
        ),
        at_most("the same from products of gradients in weights", matrices.weights, 1e-12),
    ]
    for i, name in enumerate(counts.name):
        at, linear = int(counts.shape[i]), bool(counts.linear[i])
        seen, total = SEEN[at][0 if linear else 1], SHAPES[at].count
        found += [
            equal(f"{name}: visible overlaps", counts.visible[i], seen),
            equal(f"{name}: invisible", counts.overlaps[i] - counts.visible[i], total - seen),
        ]
        for word, held, bar in zip(WORDS, counts.held[i], COUNTS.get((at, linear), ())):
            found.append(equal(f"{name}: {word}", held, bar))
    beyond = counts.visible - counts.gauge - counts.held[:, 1]
    hard = counts.gauge > 4  # with rank 3, some directions show so little that 1e-8 cuts them
    hardest = counts.doubt[hard, 1].max()
    return [
        *found,
        equal("visible less functional less rank^2, to rank 2", np.abs(beyond[~hard]).max(), 0),
        reported("the same at rank 3", np.abs(beyond[hard]).max()),
        reported("share of the largest singular value that is not counted there", hardest),
    ]


def draw(results: Results):
    counts = results.counts
    invariants, functional, _, memory = counts.held.T
    figure, axes = row(2, width=8.4, height=4.0)
    entries(axes[0], results.matrices.drawn, list(ORDER), PAPER)
    axes[0].set(xlabel="pulls", ylabel="moves")
    parts = {"function": functional, "conserved": invariants, "memory": memory}
    stacked(axes[1], [str(name) for name in counts.name], parts)
    axes[1].set(xlabel="overlaps", title="rank, inputs, outputs")
    return figure
