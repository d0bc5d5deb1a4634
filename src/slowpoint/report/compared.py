"""What was found of two networks on one task?"""

import numpy as np
from jaxtyping import Bool, Float, Shaped

from slowpoint.core.result import Result


class Comparison(Result):
    """Two networks, A and B, made low-rank; B's ranks turned so that they match A's best."""

    names: Shaped[np.ndarray, " overlap"]
    seen: Bool[np.ndarray, " overlap"]  # by the function of one of them
    overlaps: Float[np.ndarray, "network overlap"]
    sizes: Float[np.ndarray, " overlap"]  # root of the product of the two norms, the larger
    coordinates: Float[np.ndarray, "network coordinate"]  # of the function
    given: Float[np.ndarray, "network trial time output"]  # answers of the networks as given
    answers: Float[np.ndarray, "network trial time output"]  # of the low-rank ones
    theory: Float[np.ndarray, "network trial time output"]  # of their overlaps alone
    targets: Float[np.ndarray, "trial time output"]
    losses: Float[np.ndarray, "network step"]  # predicted, before each update and at the end
    simulated: Float[np.ndarray, "network update"]  # of the networks, as far as they were run
    rest: Float[np.ndarray, " network"]  # share of the recurrent matrix's squares cut off
    tolerance: float

    @property
    def outputs_apart(self) -> float:
        """Root mean square difference of the low-rank networks' answers, relative."""
        return apart(*self.answers)

    @property
    def coordinates_apart(self) -> float:
        """Largest difference of coordinates of the function, relative to the largest one."""
        one, other = self.coordinates
        finite = np.isfinite(one) & np.isfinite(other)
        if not finite.any():
            return 0.0
        largest = max(np.abs(self.coordinates[:, finite]).max(), 1e-300)
        return float(np.abs(one - other)[finite].max() / largest)

    @property
    def equal(self) -> bool:
        """Whether both are within the tolerance."""
        return max(self.outputs_apart, self.coordinates_apart) <= self.tolerance

    @property
    def differ(self) -> Bool[np.ndarray, " overlap"]:
        """Overlaps that differ by more than the tolerance of their size."""
        return np.abs(np.diff(self.overlaps, axis=0)[0]) > self.tolerance * self.sizes

    @property
    def cut_errors(self) -> Float[np.ndarray, " network"]:
        """How far the answers of each low-rank network are from those of the one given."""
        return np.array([apart(*pair) for pair in zip(self.given, self.answers)])

    @property
    def theory_errors(self) -> Float[np.ndarray, " network"]:
        """How far the answers that overlaps predict are from those of the low-rank network."""
        return np.array([apart(*pair) for pair in zip(self.answers, self.theory)])

    @property
    def learning_errors(self) -> Float[np.ndarray, " network"]:
        """Largest distance of the predicted loss from the simulated, in first losses."""
        shared = self.losses[:, : self.simulated.shape[1]]
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.abs(shared - self.simulated).max(axis=1) / self.losses[:, 0]

    def updates_to(self, share: float) -> Float[np.ndarray, " network"]:
        """After how many predicted updates the loss is below `share` of A's first; NaN: not."""
        below = self.losses <= share * self.losses[0, 0]
        return np.where(below.any(axis=1), below.argmax(axis=1), np.nan)


def apart(one: Float[np.ndarray, "..."], other: Float[np.ndarray, "..."]) -> float:
    """Root mean square difference, relative to the larger root mean square; 0 if both are 0."""
    size = np.sqrt(max((one**2).mean(), (other**2).mean()))
    return float(np.sqrt(((one - other) ** 2).mean()) / size) if size > 0 else 0.0
