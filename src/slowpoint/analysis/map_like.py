"""How like a map of its latent is a code? Every measure of it in one Result, with words."""

import math

import numpy as np
from jaxtyping import Float, Int

from slowpoint.analysis.geometry import (
    best_frequency,
    cka,
    class_means,
    distance_correlation,
    nc1,
    on_ring,
    order,
    participation_ratio,
    pca,
    procrustes_r2,
)
from slowpoint.analysis.tables import Given, same_length, table, whole
from slowpoint.core.result import Result

MOST = 2000  # class means between which distances are taken


class Geometry(Result):
    """What the states of a code say of their latent. NaN where a measure is undefined."""

    units: int
    classes: int
    order: float
    nc1: float
    participation_ratio: float
    cka: float  # of all samples
    distance_correlation: float  # of class means
    procrustes_r2: float  # of class means
    ring: int | None  # positions on the ring that is the latent
    frequency: int | None
    frequency_r2: float | None
    coordinates: Float[np.ndarray, "sample component"]  # on the first three components
    shares: Float[np.ndarray, " component"]  # of the variance
    latent: Float[np.ndarray, "sample dim"]
    labels: Int[np.ndarray, " sample"]

    def rows(self) -> list[tuple[str, str, str]]:
        """A name, a value and a sentence for each measure: what is good, and what it hides."""
        d, n = self.latent.shape[1], self.classes
        rows = [
            ("order", _number(self.order), _ORDER.format(d=_components(d))),
            ("NC1", _number(self.nc1), self._why_no_nc1() or _NC1),
            (
                "participation ratio",
                _number(self.participation_ratio),
                _RATIO.format(d=d, units=self.units),
            ),
            ("CKA", _number(self.cka), self._on_cka()),
            (
                "distance correlation",
                _number(self.distance_correlation),
                self._why_no_means() or _DISTANCE.format(n=min(n, MOST)),
            ),
            (
                "Procrustes R²",
                _number(self.procrustes_r2),
                self._why_no_means() or _PROCRUSTES.format(d=_components(d)),
            ),
        ]
        if self.frequency is not None and self.frequency_r2 is not None:
            words = _FREQUENCY.format(f=self.frequency, r2=_number(self.frequency_r2))
            rows.append(("best frequency", str(self.frequency), words))
        return rows

    def lines(self) -> list[str]:
        """The same for a terminal."""
        return [f"{name:20}  {value:>9}  {sentence}" for name, value, sentence in self.rows()]

    def _on_cka(self) -> str:
        if math.isnan(self.cka):
            return "All states are equal, and have no likeness to anything."
        means, _ = class_means(self.latent, self.labels)
        if self.classes < 3:
            return _CKA
        equal = math.sqrt(participation_ratio(means) / (self.classes - 1))
        return (
            f"{_CKA} {self.classes} classes all equally far apart would have about {equal:.2f}."
        )

    def _why_no_nc1(self) -> str:
        if not math.isnan(self.nc1):
            return ""
        if self.classes == 1:
            return "All samples are of one class: nothing lies between classes."
        if self.classes == len(self.labels):
            return (
                "No class has two samples, so nothing can scatter within one. Give labels that "
                "samples share."
            )
        return "All classes have the same mean: nothing lies between classes."

    def _why_no_means(self) -> str:
        if not math.isnan(self.procrustes_r2):
            return ""
        if self.classes == 1:
            return "All samples are of one class: it needs the means of several."
        return "The means of all classes are equal, in the states or in the latent."


_ORDER = (
    "R² of the latent from {d} of the states: 1 when they hold an ordered copy of it. Alone it "
    "flatters: a code of many more directions, or one that scatters within its classes, can "
    "have it too."
)
_NC1 = (
    "Scatter within a class over scatter between class means: 0 when the states tell the class "
    "and nothing else. It does not see in which order the classes lie."
)
_RATIO = (
    "Directions along which the states spread, of {units}: good when no more than the latent "
    "needs (it has {d}). It does not see what these directions tell."
)
_CKA = "Likeness to the latent of all samples: 1 for the same map, turned and scaled."
_DISTANCE = (
    "Likeness of distances between {n} class means to those in the latent: 1 for the same map. "
    "Biased upward for few points: a tangled code of 20 classes has 0.7 to 0.9."
)
_PROCRUSTES = (
    "How much of the latent the class means on {d} give when only turned and scaled: 1 for the "
    "same map. Scatter within classes is not seen."
)
_FREQUENCY = (
    "The code goes round this often while the ring goes round once, with R² {r2}. Where it is "
    "not 1, order is low though the code is ordered."
)


def geometry(
    h: Given, latent: Given, labels: Given | None = None, *, ring: int | None = None
) -> Geometry:
    """Every measure of the states `h` (samples, units) against their `latent` (samples, d).

    `labels` (samples,) name classes; without them, rows of equal latent are one class. NC1 is
    NaN when no class has two samples, where it would be 0 of whatever code. With `ring`, the
    number of positions, `latent` (samples,) holds positions and (cos, sin) of them is
    the latent. Raises ValueError on a constant latent and on arrays that don't fit, have fewer
    than two samples or are not finite.
    """
    states, y = table(h, "states"), table(latent, "latent", "d")
    same_length(states, y, "states and latent")
    positions = y
    if ring is not None:
        if ring < 2 or y.shape[1] != 1:
            raise ValueError(
                f"latent has shape {y.shape} and ring is {ring}; expected one position for "
                "each sample, (samples,), and the number of positions on the ring, 2 or more."
            )
        positions = np.mod(y, ring)
        y = on_ring(y[:, 0], ring)
    c = _classes(positions) if labels is None else whole(labels, "labels", len(states))
    means, of_latent = class_means(states, c)[0], class_means(y, c)[0]
    n = len(means)
    few = np.linspace(0, n - 1, min(n, MOST)).astype(int)
    single = n == 1
    f, r2 = (None, None) if ring is None else best_frequency(states, positions, ring)
    frame = pca(states, 3)
    return Geometry(
        units=states.shape[1],
        classes=n,
        order=order(states, y),
        nc1=math.nan if n == len(states) else nc1(states, c),
        participation_ratio=participation_ratio(states),
        cka=cka(states, y),
        distance_correlation=(
            math.nan if single else distance_correlation(means[few], of_latent[few])
        ),
        procrustes_r2=math.nan if single else procrustes_r2(means, of_latent),
        ring=ring,
        frequency=f,
        frequency_r2=r2,
        coordinates=frame.project(states),
        shares=frame.shares,
        latent=y,
        labels=c,
    )


def _classes(y: Float[np.ndarray, "sample dim"]) -> Int[np.ndarray, " sample"]:
    return np.unique(y, axis=0, return_inverse=True)[1].reshape(-1)


def _components(d: int) -> str:
    return "the first principal component" if d == 1 else f"{d} principal components"


def _number(value: float) -> str:
    if math.isnan(value):
        return "undefined"
    return f"{value:.4g}" if abs(value) > 1e-12 else "0"  # less is rounding
