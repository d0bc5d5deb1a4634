"""Eleven groups of gut bacteria: who grows, who hinders whom. (Stein et al. 2013.)"""

import json
from importlib.resources import files

import numpy as np
from jaxtyping import Float, Int, Shaped

from slowpoint.core.result import Result


class Gut(Result):
    r"""$\dot x_i = x_i (\rho_i + \sum_j K_{ij} x_j + u s_i)$, time in days.

    The model is fitted to mice; its states, saddle and face were computed from it in float64.
    """

    genera: Shaped[np.ndarray, " genus"]
    growth: Float[np.ndarray, " genus"]  # rho, per day
    interactions: Float[np.ndarray, "genus genus"]  # K: row = affected, column = acting
    susceptibility: Float[np.ndarray, " genus"]  # s, to an antibiotic of concentration u
    starts: Float[np.ndarray, "start genus"]  # measured compositions
    steady_states: Float[np.ndarray, "steady genus"]  # named by `letters`
    letters: Shaped[np.ndarray, " steady"]  # A ... E
    saddle: Float[np.ndarray, " genus"]  # between E and C
    face: Int[np.ndarray, " member"]  # the genera whose absence or presence E and C share
    source: str

    def steady(self, letter: str) -> Float[np.ndarray, " genus"]:
        """The steady state of that letter. Raises ValueError when there is none."""
        if letter not in self.letters:
            raise ValueError(
                f"No steady state {letter!r}. Type one of {', '.join(self.letters)}."
            )
        return self.steady_states[list(self.letters).index(letter)]


def gut() -> Gut:
    """The community of Stein et al. (2013), PLoS Comput. Biol. 9(12), e1003388."""
    file = files("slowpoint.recordings").joinpath("data", "glv11.json")
    data = json.loads(file.read_text())
    steady = data["steady_states"]
    return Gut(
        genera=np.array(data["genera"]),
        growth=np.array(data["growth"]),
        interactions=np.array(data["interactions"]),
        susceptibility=np.array(data["antibiotic_susceptibility"]),
        starts=np.array(data["initial_conditions"]),
        steady_states=np.array(list(steady.values())),
        letters=np.array(list(steady)),
        saddle=np.array(data["saddle_between_E_and_C"]),
        face=np.array(data["invariant_face"]),
        source=data["source"],
    )
