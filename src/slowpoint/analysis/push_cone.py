"""Is a push really the smallest one? Others that point nearly its way are tried."""

import numpy as np
from jaxtyping import PRNGKeyArray

from slowpoint.analysis.mountain_pass import Pass
from slowpoint.analysis.push import Push
from slowpoint.core.chance import generator


def crossing_nearby(
    around: Pass,
    push: Push,
    *,
    directions: int = 1000,
    angle: float = 20.0,
    share: float = 0.999,
    key: PRNGKeyArray,
) -> int:
    """How many random directions within `angle` degrees leave at `share` of the push's norm.

    The push starts at the attractor `around.ends[push.basin]`. Angles are drawn evenly: by
    volume, all but none of a cone in many dimensions is its rim. Raises ValueError when no
    push was found.
    """
    if around.judge is None or not np.isfinite(push.norm):
        raise ValueError(f"There is no push to look around. {push.message}")
    chance, ahead = generator(key), push.vector / push.norm
    across = chance.standard_normal((directions, len(ahead)))
    across -= np.outer(across @ ahead, ahead)
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    turn = np.deg2rad(chance.uniform(0, angle, (directions, 1)))
    ways = np.cos(turn) * ahead + np.sin(turn) * across
    states = around.ends[push.basin] + share * push.norm * ways
    return int((around.judge(states) != push.basin).sum())
