"""How does an explanation read on one page?"""

import os
import pathlib

import numpy as np

from slowpoint.analysis.points import FixedPoints, SLOW
from slowpoint.plots.basins import basin_shares
from slowpoint.plots.graph import graph
from slowpoint.plots.spectrum import spectrum
from slowpoint.plots.states import states_3d, states_3d_html, variance_shown
from slowpoint.plots.style import blank, png
from slowpoint.report.about import versions
from slowpoint.report.explain import Explanation
from slowpoint.report.flipping import flip_doubts, flip_summary, flipping
from slowpoint.report.forecast import forecast_section, forecast_summary
from slowpoint.report.page import write_page
from slowpoint.report.parts import Items, Live, Picture, Section, Table, Words

SHOWN = 60  # rows of a table at most; the .npz files hold all
PATHS = 24  # trajectories drawn


def write(explanation: Explanation, out: str | os.PathLike, title: str) -> pathlib.Path:
    """Save every Result and the page `report.html` in the folder `out`; return the page."""
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    explanation.save(out)
    return explanation_page(explanation, out / "report.html", title)


def explanation_page(
    explanation: Explanation, path: str | os.PathLike, title: str
) -> pathlib.Path:
    """Write the page of `explanation` to `path`."""
    system, found = explanation.system, explanation.findings
    lead = (
        f"{type(system).__name__}, {system.state_size} numbers of state, {system.input_size} "
        f"inputs, {system.output_size} outputs, one step stands for {system.dt:g} of time. "
        "Input held while looking: "
        f"[{', '.join(f'{v:g}' for v in _hold(explanation))}]."
    )
    sections = [
        Section("", [Items(summary(explanation)), *_doubts(explanation)]),
        _picture(explanation),
        _points(explanation),
        _modes(explanation),
        _neighbours(explanation),
        _basins(explanation),
        flipping(found.flips, found.topology.attractors, system.dt),
        _how(explanation),
    ]
    if explanation.noise:
        sections.insert(-1, forecast_section(explanation.foreseen, system.dt))
    foot = ", ".join(f"{name} {number}" for name, number in versions().items())
    return write_page(path, title, lead, sections, foot)


def summary(explanation: Explanation) -> list[str]:
    """The findings in sentences, the numbers beside them."""
    found = explanation.findings
    points, seen = found.points, found.coverage
    stable, saddles = points.stable, points.saddles
    counts = np.bincount(saddles.n_unstable, minlength=1)[1:]
    by_index = ", ".join(f"{n} with {k}" for k, n in enumerate(counts, start=1) if n)
    sentences = [
        f"{len(stable)} stable fixed points: what the network can hold for ever.",
        f"{len(saddles)} saddles"
        + (f" ({by_index} unstable directions)." if len(saddles) else "."),
        f"{len(points.slow)} slow points (local minima of speed that are not fixed).",
        f"{len(found.topology.neighbours)} pairs of memories are neighbours over a saddle.",
        f"Visited states spread over {explanation.dimension:.1f} dimensions (participation "
        f"ratio); the picture shows {variance_shown(found.frame)}.",
    ]
    if len(points.fixed):
        sentences.append(
            f"Largest residual of a fixed point {points.fixed.residuals.max():.1e} in float64; "
            f"{int(points.fixed.certified.sum())} of {len(points.fixed)} numerically certified."
        )
    if len(stable):
        slowest = stable.timescales[:, 0]
        low, high = slowest.min(), slowest.max()
        sentences.append(
            f"Slowest time constants of the memories: {low:.3g} to {high:.3g} of time "
            f"({low / explanation.system.dt:.3g} to {high / explanation.system.dt:.3g} steps)."
        )
    sentences += flip_summary(found.flips) + forecast_summary(explanation.foreseen)
    if points.degenerate.any():
        sentences.append(
            f"{int(points.degenerate.sum())} points are degenerate: they belong to a line or "
            "surface of points, of which these are samples."
        )
    sentences.append(f"Index sum {seen.index_sum}: {seen.index_reason}.")
    return sentences


def _doubts(explanation: Explanation) -> list[Words]:
    """Every sign that the picture is incomplete, in a box."""
    doubts = ["the search was stopped by the clock"] * explanation.stopped
    doubts += explanation.findings.coverage.open_questions
    labels = explanation.findings.topology.attractor
    if lost := int((labels < 0).sum()):
        doubts.append(f"{lost} of {len(labels)} runs from saddles ended at no known attractor")
    doubts += flip_doubts(explanation.findings.flips)
    if not doubts:
        return [Words("Nothing speaks against this set of points being complete.", "note")]
    return [Words("Perhaps incomplete: " + "; ".join(doubts) + ".", "warn")]


def _hold(explanation: Explanation) -> np.ndarray:
    points = explanation.findings.points
    if len(points):
        return points.hold[0]
    return explanation.findings.visited.inputs.mean(axis=(0, 1))


def _picture(explanation: Explanation) -> Section:
    found = explanation.findings
    paths = found.visited.states[:PATHS]
    caption = (
        f"Trajectories (grey) and points on the first principal components: "
        f"{variance_shown(found.frame)}. Filled: stable. Hollow: unstable."
    )
    live = states_3d_html(found.frame, found.points, paths)
    if live is not None:
        return Section("The state space", [Live(live, caption + " Drag to turn.")])
    alt = f"{len(found.points.stable)} stable and {len(found.points.saddles)} unstable points."
    return Section(
        "The state space",
        [Picture(png(states_3d(found.frame, found.points, paths)), caption, alt)],
    )


def _points(explanation: Explanation) -> Section:
    points, dt = explanation.findings.points, explanation.system.dt
    head = ["#", "kind", "unstable", "speed", "residual", "error at most"]
    head += ["slowest mode (time)", "(steps)", "hits", "output"]
    rows = [
        [
            str(i),
            kind_of(points, i),
            str(points.n_unstable[i]),
            f"{points.speeds[i]:.1e}",
            f"{points.residuals[i]:.1e}",
            f"{points.radius[i]:.1e}" if points.certified[i] else "uncertified",
            f"{points.timescales[i, 0]:.3g}",
            f"{points.timescales[i, 0] / dt:.3g}",
            str(points.hits[i]),
            ", ".join(f"{v:+.2f}" for v in points.outputs[i][:6]),
        ]
        for i in range(min(len(points), SHOWN))
    ]
    words = (
        "Speed is per unit time. A negative time constant belongs to a mode that grows. "
        "Error at most: exactly one fixed point lies within this distance (Newton-Kantorovich "
        "with an allowance for rounding)."
    )
    if len(points) > SHOWN:
        words += f" {SHOWN} of {len(points)} rows are shown; points.npz holds all."
    return Section("The points", [Words(words), Table("Fixed and slow points", head, rows)])


def kind_of(points: FixedPoints, i: int) -> str:
    """The word for row `i`."""
    if points.degenerate[i]:
        return "degenerate"
    if points.kinds[i] == SLOW:
        return "slow (at the box)" if points.at_bound[i].any() else "slow"
    return "stable" if points.n_unstable[i] == 0 else f"saddle {points.n_unstable[i]}"


def _modes(explanation: Explanation) -> Section:
    points, dt = explanation.findings.points, explanation.system.dt
    figure, ax = blank(5.0, 3.4)
    spectrum(ax, points)
    alt = "Eigenvalues of every point in the complex plane."
    picture = Picture(png(figure), "Rates of every point; right of the line grows.", alt)
    rows = [
        [str(i), *(_mode(rate, dt) for rate in points.rates[i][:3])]
        for i in range(min(len(points), SHOWN))
    ]
    head = ["point", "slowest or growing mode", "second", "third"]
    words = Words("Time constants in units of time and (in steps); negative ones grow.")
    return Section("Time constants and modes", [picture, words, Table("Modes", head, rows)])


def _mode(rate: complex, dt: float) -> str:
    """A time constant, in time and steps, and the period where the mode turns."""
    constant = -1 / rate.real if rate.real else np.inf
    turning = abs(rate.imag) > 1e-9
    period = f", period {2 * np.pi / abs(rate.imag):.3g}" if turning else ""
    return f"{constant:.3g} ({constant / dt:.3g}{period})"


def _neighbours(explanation: Explanation) -> Section:
    found = explanation.findings
    if not len(found.topology.neighbours):
        return Section("Neighbours", [Words("No saddle joins two memories.")])
    figure, ax = blank(5.4, 4.2)
    graph(ax, found.frame, found.points, found.topology)
    alt = f"{len(found.topology.neighbours)} pairs of stable points joined over saddles."
    caption = (
        "Stable points (numbered as in the table) that a saddle with one unstable direction "
        f"joins, on the first components: {variance_shown(found.frame)} in three, fewer in two."
    )
    rows = [[f"{a} - {b}", str(s)] for a, b, s in found.topology.neighbours[:SHOWN]]
    table = Table("Neighbours", ["memories", "over saddle"], rows)
    return Section("Neighbours", [Picture(png(figure), caption, alt), table])


def _basins(explanation: Explanation) -> Section:
    found = explanation.findings
    figure, ax = blank(5.4, 2.8)
    basin_shares(ax, found.basins, [str(i) for i in found.topology.attractors])
    words = [
        f"point {i}: {share:.3f} +- {error:.3f}"
        for i, share, error in zip(
            [*found.topology.attractors.tolist(), "undecided", "elsewhere"],
            found.basins.fractions,
            found.basins.errors,
        )
    ]
    caption = (
        f"Share of {len(found.basins.labels)} visited states that come to rest at each stable "
        "point, with standard errors. Undecided: still moving when stopped."
    )
    return Section("Basins", [Picture(png(figure), caption, "; ".join(words))])


def _how(explanation: Explanation) -> Section:
    notes = [*explanation.notes]
    notes += [f"Round {i}: {words}." for i, words in enumerate(explanation.rounds, start=1)]
    points = explanation.findings.points
    if points.widened:
        notes.append("Weights came in float32 and were widened; all analysis is in float64.")
    return Section("How this was found", [Items(notes)])
