"""Where does the state stand still? (Sussillo and Barak 2013, Neural Computation 25, 626.)"""

import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from slowpoint.analysis.methods import Method, Newton
from slowpoint.analysis.points import FixedPoints
from slowpoint.analysis.search import search
from slowpoint.analysis.solve import Box, Seek, solve, Tolerance
from slowpoint.core.system import System


def fixed_points(
    system: System,
    guesses: Float[Array | np.ndarray, "guess state"] | None = None,
    *,
    hold: Float[Array | np.ndarray, "..."] | None = None,
    key: PRNGKeyArray | None = None,
    method: Method | None = None,
    box: Box = "auto",
    seek: Seek = "fixed",
    tolerance: Tolerance | None = None,
) -> FixedPoints:
    """States where `system` stands still under the constant input `hold`, in float64.

    `guesses` are moved by `method` (`Newton()`); without them the default search looks for
    all points there are, and needs a `key`. `hold` is (input,) for all guesses or
    (guess, input) for points conditioned on the input. `box="auto"` keeps a bounded cell's
    states where they can live; `None` lets them go anywhere. `seek="slow"` also returns
    local minima of speed, `seek="all"` every end.

    Raises ValueError when sizes disagree or a number is not finite.
    """
    if hold is None:
        if system.input_size:
            raise ValueError(
                f"{type(system).__name__} takes {system.input_size} inputs and its points "
                f"depend on them. Say which input is held: hold=jnp.zeros({system.input_size})."
            )
        hold = np.zeros(0)
    tolerance = Tolerance() if tolerance is None else tolerance
    options = {"hold": hold, "box": box, "seek": seek, "tolerance": tolerance}
    if guesses is not None:
        return solve(system, guesses, method=method or Newton(), **options)
    if key is None:
        raise ValueError(
            "Without guesses the search draws its own and needs a key. "
            "Type: fixed_points(system, hold=hold, key=jax.random.key(0)), or give guesses."
        )
    return search(system, key=key, **options).points
