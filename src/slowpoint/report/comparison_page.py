"""How does a comparison of two networks read, on one page and on a terminal?"""

import os
import pathlib

import numpy as np

from slowpoint.analysis.gaussianity import gaussianity
from slowpoint.cells.low_rank import LowRank
from slowpoint.core.files import replacing
from slowpoint.core.nonlinearity import identity
from slowpoint.plots.style import png, row
from slowpoint.plots.two_networks import two_answers, two_learners
from slowpoint.report.about import versions
from slowpoint.report.compared import Comparison
from slowpoint.report.comparison import Compared
from slowpoint.report.page import write_page
from slowpoint.report.parts import Items, Part, Picture, Section, Table, Words

PAIR = ("A", "B")
RANK_ONE = ("zm", "zu vm", "vu", "zu zu / uu", "mu / zu", "mm")
CHANCE = 4.0  # standard errors: one column in 16,000 is further from a Gaussian by chance


def write_comparison(
    compared: Compared,
    out: str | os.PathLike,
    title: str,
    doubts: list[str],
    notes: list[str],
) -> pathlib.Path:
    """Save the Result and its figure, write the page `report.html` in `out`; return it."""
    out = pathlib.Path(out)
    comparison = compared.comparison
    comparison.save(out / "comparison.npz")
    picture = png(_figure(compared))
    with replacing(out / "figure.png") as beside:
        beside.write_bytes(picture)
    alt = " ".join(said(comparison)[-3:])
    caption = (
        "Left: what both answer before learning. Right: their loss as overlaps predict it "
        "(lines), and that of the networks themselves (dots), from the same batch."
    )
    found = Items(said(comparison))
    sections = [
        Section("", [Words(verdict(comparison), "note"), found, *_doubted(doubts)]),
        Section("What they answer and how they learn", [Picture(picture, caption, alt)]),
        _overlaps(comparison),
        _function(compared),
        Section("How this was found", [Items([*_how(compared), *notes])]),
    ]
    foot = ", ".join(f"{name} {number}" for name, number in versions().items())
    return write_page(out / "report.html", title, _lead(compared), sections, foot)


def verdict(comparison: Comparison) -> str:
    """One sentence: are they equal in function?"""
    numbers = (
        f"answers on the task {comparison.outputs_apart:.2g} apart (root mean square, "
        f"relative), functional coordinates {comparison.coordinates_apart:.2g}; tolerance "
        f"{comparison.tolerance:g}"
    )
    return f"{'Equal' if comparison.equal else 'Not equal'} in function: {numbers}."


def said(comparison: Comparison) -> list[str]:
    """What was found besides, in sentences; the last three are about learning."""
    hidden = comparison.differ & ~comparison.seen
    changes = [
        f"{name} {one:.3g} / {other:.3g}"
        for name, one, other in zip(comparison.names[hidden], *comparison.overlaps[:, hidden])
    ]
    halves = _pair(comparison.updates_to(0.5), lacking="never")
    some = ", ".join(changes[:8]) + (f" and {len(changes) - 8} more" * (len(changes) > 8))
    sentences = [
        f"Invisible overlaps that differ (A / B): {some or 'none'}.",
        f"Loss at first: {_pair(comparison.losses[:, 0])}. After "
        f"{comparison.losses.shape[1] - 1} updates: {_pair(comparison.losses[:, -1])}.",
        f"Updates to half of A's first loss: {halves}.",
        "Predicted loss against that of the networks, over "
        f"{comparison.simulated.shape[1] - 1} updates: at most "
        f"{_pair(comparison.learning_errors, '.1e')} of the first.",
    ]
    one, other = comparison.coordinates_apart, comparison.outputs_apart
    if one > comparison.tolerance >= other:
        sentences.insert(0, "This task does not tell them apart; other inputs would.")
    if other > comparison.tolerance >= one:
        sentences.insert(0, "Overlaps say they answer alike; at these sizes they do not.")
    return sentences


def doubts_of(compared: Compared) -> list[str]:
    """Where the theory need not hold for these two, with numbers."""
    comparison, doubts = compared.comparison, []
    for i, (name, cut) in enumerate(zip(PAIR, compared.cuts)):
        doubts += [f"{name}: {words}" for words in cut.lost]
        if (error := comparison.cut_errors[i]) > comparison.tolerance:
            doubts.append(
                f"{name} as low-rank network answers {error:.2g} (relative) off the one given; "
                "all that follows is about the low-rank one"
            )
        if (error := comparison.theory_errors[i]) > comparison.tolerance:
            doubts.append(
                f"{name}: its overlaps predict answers {error:.2g} (relative) off its own: too "
                "few units, or weights that are not Gaussian"
            )
        if cut.network.nonlinearity is not identity:
            doubts += [f"{name}: {words}" for words in not_gaussian(cut.network)]
        if not np.isfinite(comparison.losses[i]).all() or (
            comparison.losses[i, -1] > comparison.losses[i, 0]
        ):
            doubts.append(
                f"{name}: the loss does not fall at eta={compared.plan.eta:g}. Type a smaller "
                f"one: --eta {compared.plan.eta / 10:g}"
            )
    return doubts


def not_gaussian(network: LowRank) -> list[str]:
    """How the weights of a nonlinear network differ from zero-mean Gaussian ones."""
    columns = np.concatenate(
        [
            np.asarray(p)
            for p in (network.encoder, network.left, network.right, network.readout)
        ],
        axis=1,
    )
    units = len(columns)
    if units < 50:
        return [f"{units} units: the theory of nonlinear networks is of many"]
    live = columns[:, columns.std(axis=0) > 1e-9 * np.abs(columns).max()]
    mean = np.abs(live.mean(axis=0) / live.std(axis=0)).max(initial=0.0)
    kurtosis = np.abs(gaussianity(live).kurtosis).max(initial=0.0)
    found = []
    if mean > CHANCE / units**0.5:
        found.append(f"a column's mean is {mean:.2f} of its spread (chance: {units**-0.5:.2f})")
    if kurtosis > CHANCE * (chance := (24 / units) ** 0.5):
        found.append(f"excess kurtosis of a column {kurtosis:.2f} (chance: {chance:.2f})")
    return [f"weights are not zero-mean Gaussian: {words}" for words in found]


def _pair(values: np.ndarray, form: str = ".3g", lacking: str = "not finite") -> str:
    """The number of A and that of B, in words."""
    shown = [f"{v:{form}}" if np.isfinite(v) else lacking for v in values]
    return f"A {shown[0]}, B {shown[1]}"


def _doubted(doubts: list[str]) -> list[Part]:
    if not doubts:
        return []
    return [Words("Where the theory may fail here:", "warn"), Items([f"{d}." for d in doubts])]


def _lead(compared: Compared) -> str:
    dims, network = compared.dims, compared.cuts[0].network
    units = " and ".join(str(cut.network.state_size) for cut in compared.cuts)
    kinds = [getattr(cut.network.nonlinearity, "name", "?") for cut in compared.cuts]
    return (
        f"{units} units, {' and '.join(dict.fromkeys(kinds))}; rank {dims.rank}, inputs: "
        f"{dims.inputs}, outputs: {dims.outputs}; one step stands for {network.dt:g} of time."
    )


def _figure(compared: Compared):
    comparison = compared.comparison
    figure, axes = row(2, width=7.4, height=3.0)
    first = comparison.answers[:, 0, :, 0], comparison.targets[0, :, 0]
    two_answers(axes[0], *first, compared.cuts[0].network.dt)
    two_learners(axes[1], comparison.losses, comparison.simulated)
    return figure


def _overlaps(comparison: Comparison) -> Section:
    words = Words(
        "Scalar products, over N, of the columns M (where inputs push), U (where the "
        "recurrence pushes), V (what it reads) and Z (what is read out). Seen: some answer "
        "depends on it. The others do not act on what the network does, but steer how it "
        "learns. Seen ones may differ at equal function: U times a number and V over it answer "
        "alike."
    )
    rows = [
        [
            str(name),
            f"{one:.3g}",
            f"{other:.3g}",
            f"{other - one:+.2g}" if differs else "",
            "yes" if seen else "no",
        ]
        for name, one, other, differs, seen in zip(
            comparison.names, *comparison.overlaps, comparison.differ, comparison.seen
        )
    ]
    head = ["overlap", "A", "B", "B - A", "seen"]
    return Section("Overlaps", [words, Table("Overlaps", head, rows)])


def _function(compared: Compared) -> Section:
    comparison = compared.comparison
    words = Words(
        "Numbers that are equal when two networks answer alike, whatever basis U and V are in."
    )
    count = comparison.coordinates.shape[1]
    plain = compared.dims.rank == compared.dims.inputs == compared.dims.outputs == 1
    names = RANK_ONE[:count] if plain else [str(i) for i in range(1, count + 1)]
    rows = [
        [name, f"{one:.4g}", f"{other:.4g}", f"{other - one:+.1e}"]
        for name, (one, other) in zip(names, comparison.coordinates.T)
    ]
    parts = [
        ["answers: low-rank, given", *(f"{v:.1e}" for v in comparison.cut_errors)],
        [
            "answers: overlaps, low-rank",
            *(f"{v:.1e}" for v in comparison.theory_errors),
        ],
        ["recurrent matrix cut off", *(f"{v:.2%}" for v in comparison.rest)],
        [
            "loss: predicted, run",
            *(f"{v:.1e}" for v in comparison.learning_errors),
        ],
    ]
    return Section(
        "Function",
        [
            words,
            Table("Functional coordinates", ["coordinate", "A", "B", "B - A"], rows),
            Table("Errors", ["relative difference", "A", "B"], parts),
        ],
    )


def _how(compared: Compared) -> list[str]:
    plan = compared.plan
    sentences = [
        f"Plain gradient descent: each column of M, U, V and Z moves by eta N times its "
        f"gradient, eta = {plan.eta:g}; one batch of {plan.trials} trials serves all updates. "
        "Adam and other rules that treat each weight by itself learn otherwise.",
        "Answers and losses are of low-rank networks with products divided by N, in float64, "
        "from rest.",
    ]
    if any(cut.network.nonlinearity is not identity for cut in compared.cuts):
        sentences.append(
            "Nonlinear: overlaps tell all for many units of zero-mean Gaussian weights. "
            "Learning makes weights less Gaussian, which no number of units cures: trust the "
            "first part of a predicted curve, and the dots."
        )
    for name, cut in zip(PAIR, compared.cuts):
        sentences += [f"{name}: {words}" for words in cut.notes]
    return sentences
