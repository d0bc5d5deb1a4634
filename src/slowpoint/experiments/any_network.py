"""What does a network hold that somebody else trained? From a PyTorch file, step by step.

Read the file; let the network run to where it comes to rest; mix those ends and solve for what
stands still; add up the indices and count what was hit but once; let go of the saddles; look
for slow points from where the network goes. The shipped file was trained in PyTorch to hold
two bits; `--set file=network.pt` takes another, of which nothing is known beforehand.

Paper: Sussillo and Barak 2013, Neural Computation 25, 626, fixed and slow points; Haviv,
Rivkind and Barak 2019, Proceedings of Machine Learning Research 97, 2663, what they remember.
Takes: 6 s quick, 10 s full
"""

import dataclasses
import pathlib
from importlib.resources import as_file, files

import jax.random as jr
import numpy as np
import pydantic
from jaxtyping import Float, Int

from slowpoint.analysis.coverage import Coverage
from slowpoint.analysis.fixed_points import fixed_points
from slowpoint.analysis.geometry import PCA, pca
from slowpoint.analysis.points import FixedPoints, union
from slowpoint.analysis.search import search
from slowpoint.analysis.solve import Tolerance
from slowpoint.analysis.topology import Topology, topology
from slowpoint.analysis.visit import visit
from slowpoint.core.chance import generator
from slowpoint.core.claim import at_most, Claim, equal, reported
from slowpoint.core.result import Result
from slowpoint.core.settings import Settings as Base
from slowpoint.core.system import Flow
from slowpoint.core.wrap import Sampled
from slowpoint.plots.graph import graph
from slowpoint.plots.spectrum import spectrum
from slowpoint.plots.style import row
from slowpoint.weights.load import read

SHIPPED = "torch_two_bits.pt"


class Settings(Base):
    file: str = pydantic.Field(default="", description="a network; empty: the shipped one")
    nonlinearity: str | None = pydantic.Field(default=None, description="of an nn.RNN")
    slow: int = pydantic.Field(default=16, ge=1, description="guesses of slow points")


QUICK = Settings()


class Network(Result):
    """What the file says, and what was assumed."""

    kind: str
    says: str
    sizes: Int[np.ndarray, " size"]  # of state, input, output
    shipped: bool
    words: Int[np.ndarray, "memory output"]  # signs of the output at each stable point
    ends: Float[np.ndarray, "end state"]  # where the network came to rest by itself


@dataclasses.dataclass(frozen=True)
class Results:
    network: Network
    points: FixedPoints
    coverage: Coverage
    topology: Topology
    frame: PCA


def run(settings: Settings) -> Results:
    look, drive, part, pick = jr.split(jr.key(settings.seed), 4)
    net, source = _read(settings)
    net = Sampled(net) if isinstance(net, Flow) else net
    hold = np.zeros(net.input_size)
    cloud = visit(net, hold, key=drive).states.reshape(-1, net.state_size)
    found = search(net, hold=hold, key=look, states=cloud)
    rows = generator(pick).choice(len(cloud), settings.slow, replace=False)
    slow = fixed_points(net, cloud[rows], hold=hold, seek="slow")
    points = union(found.points, slow, Tolerance().same)
    network = Network(
        kind=type(net).__name__,
        says=" ".join([source.summary(), *source.assumed]),
        sizes=np.array([net.state_size, net.input_size, net.output_size]),
        shipped=not settings.file,
        words=np.sign(points.stable.outputs).astype(int),
        ends=found.forward.ends[found.forward.settled],
    )
    ways = topology(net, points, hold, key=part)
    return Results(
        network, points, found.coverage, ways, pca(np.vstack([cloud, points.states]))
    )


def _read(settings: Settings):
    if settings.file:
        return read(pathlib.Path(settings.file), nonlinearity=settings.nonlinearity)
    with as_file(files("slowpoint.weights") / "data" / SHIPPED) as path:
        return read(path)


def claims(results: Results) -> list[Claim]:
    points, seen, network = results.points, results.coverage, results.network
    fixed = points.fixed
    found = [
        at_most("largest residual of a fixed point", fixed.residuals.max(initial=0.0), 1e-10),
        equal("places it comes to rest at that are missing", seen.missed_attractors, 0),
        equal("index sum", seen.index_sum or 0, 1),
        reported("fixed points", len(fixed)),
        reported("of them numerically certified", fixed.certified.sum()),
        reported("points hit by one guess only", seen.singletons),
        reported("slow points", len(points.slow)),
    ]
    if not network.shipped:
        return found
    words = len({tuple(word) for word in network.words.tolist()})
    return [
        *found,
        equal("stable points of the two bits", len(points.stable), 4),
        equal("words they stand for", words, 4),
        equal("pairs of neighbours over a saddle", len(results.topology.neighbours), 4),
    ]


def draw(results: Results):
    figure, axes = row(2, width=8.0, height=3.2)
    spectrum(axes[0], results.points)
    graph(axes[1], results.frame, results.points, results.topology)
    return figure
