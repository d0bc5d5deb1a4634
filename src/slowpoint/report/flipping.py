"""How does a page tell what it takes to change a network's mind?"""

import numpy as np

from slowpoint.analysis.fit import Fit, GOOD
from slowpoint.analysis.flips import Flips, NO_TIME
from slowpoint.analysis.push import FOUND
from slowpoint.plots.flips import push_matrix
from slowpoint.plots.style import blank, png
from slowpoint.report.parts import Items, Part, Picture, Section, Table, Words
from slowpoint.report.units import words_for

SHOWN = 60  # rows of a table at most; flips.npz holds all
CLOCKS = {"map": "steps, as the network was trained", "flow": "flow"}


def flipping(flips: Flips, attractors: np.ndarray, dt: float) -> Section:
    """The section on pushes; `attractors` are the rows of the memories, `dt` a step's time."""
    heading = "Changing its mind"
    if not len(flips):
        return Section(heading, [Words("No two memories share a saddle: nothing to cross.")])
    parts: list[Part] = [Words(_what_it_is(flips))]
    if np.isfinite(flips.norm).any():
        parts.append(_picture(flips, attractors))
    parts += [Words(_how_to_read(flips)), _table(flips, dt)]
    if says := _troubles(flips):
        parts.append(Items(says))
    return Section(heading, parts)


def flip_summary(flips: Flips) -> list[str]:
    """The easiest and the hardest change of mind in a sentence, if any is known."""
    known = flips.easiest[np.isfinite(flips.norm[flips.easiest])]
    if not len(known):
        return []
    first, last = known[0], known[-1]
    return [
        f"Easiest to flip: {_way(flips, first)}, by a push of {flips.norm[first]:.3g} "
        f"({flips.share[first]:.0%} of the distance between the two); hardest: "
        f"{_way(flips, last)}, {flips.norm[last]:.3g}. {int(flips.proved.sum())} of "
        f"{len(flips)} smallest pushes are proved by simulation."
    ]


def flip_doubts(flips: Flips) -> list[str]:
    """What must not be believed, or was not done, in words."""
    poor = np.flatnonzero(flips.fit > GOOD)[::2]
    doubts = [
        f"the separatrix over saddle {flips.saddle[row]} is poor ("
        f"{flips.agreement[row]:.3f} of its sample agrees with simulation)"
        for row in poor
    ]
    late = int((flips.code == NO_TIME).sum())
    if late:
        doubts.append(f"{late} of {len(flips)} pushes were not looked for: the time was over")
    if unproved := int((flips.code != FOUND).sum()) - late:
        doubts.append(f"{unproved} of {len(flips)} pushes are missing or not proved")
    return doubts


def _what_it_is(flips: Flips) -> str:
    return (
        "A push is a sudden change of the state, added at a memory while the input stays held; "
        "its norm is Euclidean, in the units of the state. The smallest one reaches the "
        "separatrix, the surface between two basins, where it comes nearest to the memory. "
        "It is a local minimum, the best of several starts. The surface is that of the "
        f"{CLOCKS[flips.clock]}, pulled back from the saddle between the two memories (the "
        "edge state)."
    )


def _picture(flips: Flips, attractors: np.ndarray) -> Picture:
    figure, ax = blank(5.4, 4.2)
    push_matrix(ax, flips, attractors)
    caption = (
        "Norm of the smallest push from every memory (row) to every neighbour (column). Empty: "
        "no saddle joins the two, or no push was found."
    )
    pairs = ", ".join(f"{_way(flips, row)}: {flips.norm[row]:.3g}" for row in flips.easiest)
    return Picture(png(figure), caption, f"Smallest pushes, from and to memories: {pairs}.")


def _how_to_read(flips: Flips) -> str:
    other = "flow" if flips.clock == "map" else "steps"
    words = (
        "Easiest first. Proved: by simulation the push crosses at 1.001 of its norm and does "
        "not at 0.999. Share: of the distance between the two memories. To saddle, straight: "
        "two pushes that need no search, the second towards the other memory until it "
        "crosses. Left in: time constant of leaving the saddle, in steps. Agreement: share of "
        "states, on curves between the two memories, whose side is that of the basin that they "
        f"run to. In {other}: whether 1.001 of the push crosses under that clock too; the "
        "boundaries of steps and flow differ."
    )
    if flips.units is not None:
        chosen = words_for(np.flatnonzero(flips.units))
        words += f" Some units: the smallest push that changes only {chosen}."
    if len(flips) > SHOWN:
        words += f" {SHOWN} of {len(flips)} rows are shown; flips.npz holds all."
    return words


def _table(flips: Flips, dt: float) -> Table:
    other = "flow" if flips.clock == "map" else "steps"
    head = ["from, to", "saddle", "push", "share", "proved"]
    head += ["some units", "proved"] * (flips.units is not None)
    head += ["to saddle", "straight", "left in", "agreement"]
    head.append(f"in {other}")
    rows = [_cells(flips, row, dt) for row in flips.easiest[:SHOWN].tolist()]
    return Table("Smallest pushes", head, rows)


def _cells(flips: Flips, row: int, dt: float) -> list[str]:
    """A row of the table."""
    cells = [_way(flips, row), str(flips.saddle[row]), _number(flips.norm[row])]
    cells += [_number(flips.share[row], "{:.0%}"), _proof(flips.code[row])]
    if flips.units is not None:
        cells += [_number(flips.within_norm[row]), _proof(flips.within_code[row])]
    cells += [_number(flips.to_saddle[row]), _number(flips.straight[row])]
    cells.append(f"{flips.leaving[row] / dt:.3g}")
    cells.append(_number(flips.agreement[row], f"{{:.3f}} +- {flips.error[row]:.3f}"))
    cells.append(_number(flips.norm[row], "yes" if flips.other_clock[row] else "no"))
    return cells


def _way(flips: Flips, row: int | np.integer) -> str:
    return f"{flips.origin[row]} to {flips.target[row]}"


def _number(value: float, form: str = "{:.3g}") -> str:
    return form.format(value) if np.isfinite(value) else "-"


def _proof(code: int | np.integer) -> str:
    if code == FOUND:
        return "yes"
    return "not done" if code == NO_TIME else "no, see below"


def _troubles(flips: Flips) -> list[str]:
    """The sentence of every code and fit that is not good, with the ways it is about."""
    said: dict[str, list[str]] = {}
    for row in flips.easiest:
        said.setdefault(flips.SAYS[int(flips.code[row])], []).append(_way(flips, row))
        if flips.units is not None and flips.code[row] != NO_TIME:
            sentence = f"Some units: {flips.SAYS[int(flips.within_code[row])]}"
            said.setdefault(sentence, []).append(_way(flips, row))
        if flips.fit[row] > GOOD:
            sentence = f"Over saddle {flips.saddle[row]}: {Fit.SAYS[flips.fit[row]]}"
            said.setdefault(sentence, []).append(_way(flips, row))
    fine = {flips.SAYS[FOUND], f"Some units: {flips.SAYS[FOUND]}"}
    return [f"{', '.join(ways)}. {words}" for words, ways in said.items() if words not in fine]
