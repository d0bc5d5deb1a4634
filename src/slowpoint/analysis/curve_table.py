"""How near do several fields come to one boundary? All asked on the same curves."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from slowpoint.analysis.curve_test import Crossings, curve_test, CurveTest
from slowpoint.analysis.curves import Curves
from slowpoint.analysis.field import Field, values
from slowpoint.core.result import Result

NUMBERS = ("median", "p90", "agreement", "r_squared", "r_squared_single")
COLUMNS = [*((name, float) for name in NUMBERS), ("missed", int), ("extra", int)]


class CurveTable(Result):
    """`CurveTest` of every field; runs (networks, sizes, edges) lead once tables are stacked.

    Distances are over that between the curves' ends; inf where a field has no zero at all.
    """

    median: Float[np.ndarray, "*run field"]
    p90: Float[np.ndarray, "*run field"]
    agreement: Float[np.ndarray, "*run field"]  # share of the curves' decided points
    r_squared: Float[np.ndarray, "*run field"]  # the paper's, over all curves that cross
    r_squared_single: Float[np.ndarray, "*run field"]  # over those that cross once
    missed: Int[np.ndarray, "*run field"]  # crossings that a field has no zero for
    extra: Int[np.ndarray, "*run field"]  # zeros without a crossing
    distances: Float[np.ndarray, "*run field crossing"]  # NaN fills up shorter runs
    crossings: Int[np.ndarray, "*run"]  # how many are true
    single: Int[np.ndarray, "*run"]  # curves that cross once


def curve_table(
    fields: Sequence[Field], curves: Curves, truth: Crossings, *, positive: int, negative: int
) -> CurveTable:
    """Every field against `truth = crossings(curves, label, ...)`, one row each.

    Fields are positive where the label is `positive`; states with a third label don't count.
    """
    known = truth.where(positive, negative)

    def test(field: Field) -> CurveTest:
        ask = lambda states: values(field, states)
        return curve_test(ask, curves, truth, positive=positive, negative=negative)

    tests = [test(field) for field in fields]
    columns: dict[str, Any] = {
        name: np.array([getattr(one, name) for one in tests], kind) for name, kind in COLUMNS
    }
    return CurveTable(
        **columns,
        distances=np.array([t.distances for t in tests]).reshape(len(tests), len(known.curve)),
        crossings=np.asarray(len(known.curve)),
        single=np.asarray(int((known.counts == 1).sum())),
    )


def stacked(tables: Sequence[CurveTable]) -> CurveTable:
    """Tables of the same fields as one, runs first."""
    longest = max(table.distances.shape[-1] for table in tables)

    def column(name: str) -> np.ndarray:
        parts = [getattr(table, name) for table in tables]
        if name == "distances":
            spare = [(0, 0)] * (parts[0].ndim - 1)
            fill = {"mode": "constant", "constant_values": np.nan}
            parts = [
                np.pad(p, np.array([*spare, (0, longest - p.shape[-1])]), **fill) for p in parts
            ]
        return np.stack(parts)

    return CurveTable(**{name: column(name) for name in CurveTable.__dataclass_fields__})
