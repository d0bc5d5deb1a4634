"""How does a choice among latent models read, on one page and on a terminal?"""

import dataclasses
import pathlib
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from slowpoint.analysis.correlation import Correlation
from slowpoint.analysis.selection import How, Selection
from slowpoint.core.files import replacing
from slowpoint.latents.readout import PoissonReadout
from slowpoint.plots.selection import curves, decoding, matrix, scores
from slowpoint.plots.style import grid, png
from slowpoint.report.about import versions
from slowpoint.report.latent_files import Counts
from slowpoint.report.page import write_page
from slowpoint.report.parts import Items, Picture, Section, Table, Words
from slowpoint.theory.few_shot import few_shot_curve, glm_readout_size

CAVEATS = (
    "Few-shot scores and decoding by others also punish real signal of small variance: a model "
    "with more true dimensions can look worse. Compare models within the margin, and look at "
    "their numbers of latents.",
    "Whether the two scores agree can depend on the penalty alpha and on k: fix both before "
    "you look, and see what other penalties say above.",
    "Levels depend on which channels are held out; orders less so.",
    "Latents that merely repeat others cost nothing and are not seen by these scores.",
    "Models that share an architecture or a start can share what is extraneous: then the "
    "others decode it well.",
)
BOUNDED = 0.01  # share of rates that a bound decided, that is told


@dataclasses.dataclass(frozen=True)
class Context:
    """What is told beside the numbers."""

    bare: Mapping[str, float]  # Q_co of files with rates and no latents
    benchmark: int  # files whose rates serve as latents
    counts: Counts
    how: How
    elsewhere: Mapping[float, str]  # the best k-shot model at other penalties
    agreement: Correlation | None  # of k-shot score and 1 - R² within the margin


def selection_page(
    found: Selection, context: Context, out: pathlib.Path, title: str
) -> pathlib.Path:
    """Save the Result and its figure, write the page `report.html` in `out`; return it."""
    found.save(out / "selection.npz")
    order, laws = order_of(found), laws_of(found, context.counts)
    figure, axes = grid(2, 2, width=8.0, height=6.6)
    scores(axes[0, 0], found)
    decoding(axes[0, 1], found)
    curves(axes[1, 0], found, order, laws)
    matrix(axes[1, 1], found, order)
    picture = png(figure)
    with replacing(out / "figure.png") as beside:
        beside.write_bytes(picture)
    k = found.k[found.decisive]
    caption = (
        f"Upper: the {k}-shot score of every model over its Q_co and over how badly the others "
        "decode it; filled: within the margin (shaded), the square: the one to take. Lower "
        "left: scores of the first models of the table over k, and dashed what their number "
        "of latents alone costs. Lower right: 1 - R² of each pair, in the order of the table."
    )
    alt = " ".join([verdict(found), *said(found, context)])
    parts = [Words(verdict(found), "note"), Items(said(found, context))]
    parts += [Words(words, "warn") for words in doubts(found, context)]
    sections = [
        Section("", parts),
        Section("How they compare", [Picture(picture, caption, alt)]),
        Section("Models", [_table(found, order, laws)]),
        *_bare(context.bare),
        Section("Before you believe it", [Items(CAVEATS)]),
        Section("How this was found", [Items(_how(found, context))]),
    ]
    lead = "Latent models of a recording: how they predict, with all trials and with few."
    return write_page(out / "report.html", title, lead, sections, _foot())


def scores_page(
    bare: Mapping[str, float], counts: Counts, out: pathlib.Path, title: str
) -> tuple[pathlib.Path, list[str]]:
    """The page where no file holds latents: Q_co and no choice. And what to say."""
    says = (
        "No file holds latents, so there is only Q_co of the rates given, and it does not tell "
        "which model has dynamics of its own. To use rates as latents: --rates-as-latents"
    )
    best = max(bare, key=lambda name: bare[name])
    lines = [says, f"Best Q_co: {best}, {bare[best]:.4f} bits per spike."]
    sections = [Section("", [Words(says, "warn")]), *_bare(bare)]
    lead = f"Rates of {len(counts.held_out)} held-out channels, scored on the test trials."
    return write_page(out / "report.html", title, lead, sections, _foot()), lines


def told(found: Selection, context: Context) -> list[str]:
    """What to say on a terminal."""
    warnings = [f"Warning: {words}" for words in doubts(found, context)]
    return [verdict(found), *said(found, context), *warnings]


def verdict(found: Selection) -> str:
    """One sentence: which to take, and why."""
    name, k = found.model[found.taken], found.k[found.decisive]
    near, best = int(found.near.sum()), found.q_co.max()
    group = f"{near} models within {found.margin:g} of the best Q_co, {best:.4f},"
    if near == 1:
        return (
            f"Take {name}: it alone is within {found.margin:g} of the best Q_co, {best:.4f}; "
            "the other scores decide nothing."
        )
    if found.tied.sum() == 1:
        return f"Take {name}: of {group} it has the highest {k}-shot score."
    tied = ", ".join(map(str, found.model[found.tied]))
    return (
        f"Take {name}: of {group} the {k}-shot score does not tell apart {tied}, and of these "
        "the others decode it best."
    )


def said(found: Selection, context: Context) -> list[str]:
    """The numbers behind it, in sentences."""
    at, d = found.taken, found.decisive
    low, high = found.column_range[at]
    sentences = [
        f"{found.model[at]}: Q_co {found.q_co[at]:.4f}, {found.k[d]}-shot "
        f"{found.q_k[at, d]:.4f} (s.e.m. {found.sem[at, d]:.1g}), decoded by the others with "
        f"1 - R² {found.column[at]:.3f} ({low:.3f} to {high:.3f}), {found.dims[at]} latents."
    ]
    others = found.near.copy()
    others[at] = False
    if others.any():
        means = np.where(others, found.q_k[:, d], -np.inf)
        rival = int(means.argmax())
        gap = found.scores[at, d] - found.scores[rival, d]
        error = gap.std(ddof=1) / np.sqrt(len(gap))
        sentences.append(
            f"Next by {found.k[d]}-shot score: {found.model[rival]}; the difference is "
            f"{gap.mean():.4f}, paired s.e.m. {error:.1g}."
        )
    top = int(found.q_co.argmax())
    if top != at:
        sentences.append(f"The best Q_co has {found.model[top]}, {found.q_co[top]:.4f}.")
    return [
        *sentences,
        _by_k(found),
        *_agreement(found, context.agreement),
        *_penalties(found, context),
    ]


def _by_k(found: Selection) -> str:
    """The best within the margin at every k."""
    best = np.where(found.near[:, None], found.q_k, -np.inf).argmax(axis=0)
    words = ", ".join(f"{k}-shot {found.model[i]}" for k, i in zip(found.k, best))
    return f"Highest within the margin: {words}."


def _agreement(found: Selection, both: Correlation | None) -> list[str]:
    """Whether the two scores say the same within the margin."""
    if both is None:
        return []
    low, high = both.pearson_range
    return [
        f"Within the margin, {found.k[found.decisive]}-shot score and 1 - R² correlate with "
        f"{both.pearson:.2f} ({low:.2f} to {high:.2f}, {both.models} models)."
    ]


def _penalties(found: Selection, context: Context) -> list[str]:
    if not context.elsewhere:
        return []
    words = ", ".join(f"{name} at {alpha:g}" for alpha, name in context.elsewhere.items())
    return [f"With another penalty alpha the highest {found.k[found.decisive]}-shot: {words}."]


def doubts(found: Selection, context: Context) -> list[str]:
    """Where the choice need not hold, with numbers."""
    words = []
    if found.own.any() and not found.own.all():
        words.append(
            f"Q_co is of the models' own rates for {found.own.sum()} of {len(found.own)}, of a "
            "readout fitted here for the others: the margin compares what is not alike."
        )
    if (best := set(context.elsewhere.values())) and not best <= set(found.model[found.tied]):
        words.append("Another penalty alpha would choose another model.")
    share = found.bounded[found.near, found.decisive].max()
    if share > BOUNDED:
        words.append(
            f"A bound decided {share:.0%} of the rates of a model within the margin: "
            f"{found.k[found.decisive]} trials are few for its latents."
        )
    if found.dropped.any():
        names = np.array(context.counts.held_out)[found.dropped].tolist()
        words.append(f"Channels {names} have no spike in the test trials and are left out.")
    if left := [k for k in context.how.k if k > found.trials]:
        words.append(f"k = {left} exceeds the {found.trials} training trials and is left out.")
    if context.benchmark:
        words.append(
            f"{context.benchmark} files hold rates, no latents: the logarithms of their rates "
            "served as latents, which is not what their models compute with."
        )
    return words


def order_of(found: Selection) -> list[int]:
    """The one taken, the others within the margin by k-shot score, then the rest by Q_co."""
    d = found.decisive
    score = np.where(found.near, found.q_k[:, d], found.q_co)
    order = np.lexsort((-score, ~found.near)).tolist()
    order.remove(found.taken)
    return [found.taken, *order]


def laws_of(found: Selection, counts: Counts) -> Float[np.ndarray, "model k"]:
    """What the number of latents alone costs, to first order."""
    seen = ~np.isnan(counts.train).all(axis=2)
    options = {"trials": found.trials, "bins": float(seen.sum(axis=1).mean())}
    return np.stack(
        [
            few_shot_curve(
                full,
                glm_readout_size(int(dims)),
                k=found.k,
                mean_count=float(np.nanmean(counts.test)),
                **options,
            )
            for full, dims in zip(found.q_full, found.dims)
        ]
    )


def _table(found: Selection, order: list[int], laws) -> Table:
    shots = [word for k in found.k for word in (f"{k}-shot", "s.e.m.", "by size")]
    head = ["model", "latents", "Q_co", "of", "margin", "1 - R²", "95 %", "as source", *shots]
    rows = []
    for i in order:
        numbers = zip(found.q_k[i], found.sem[i], laws[i])
        cells = [w for q, e, law in numbers for w in (f"{q:.4f}", f"{e:.1g}", f"{law:.4f}")]
        low, high = found.column_range[i]
        rows.append(
            [
                str(found.model[i]),
                str(found.dims[i]),
                f"{found.q_co[i]:.4f}",
                "its rates" if found.own[i] else "readout",
                "within" if found.near[i] else "",
                f"{found.column[i]:.3f}",
                f"{low:.3f} to {high:.3f}",
                f"{found.row[i]:.3f}",
                *cells,
            ]
        )
    return Table("Models", head, rows)


def _bare(bare: Mapping[str, float]) -> list[Section]:
    if not bare:
        return []
    rows = [[name, f"{bare[name]:.4f}"] for name in sorted(bare, key=lambda n: -bare[n])]
    words = Words("Rates and no latents: scored as such, and part of no choice.")
    return [Section("Rates alone", [words, Table("Rates alone", ["file", "Q_co"], rows)])]


def _how(found: Selection, context: Context) -> list[str]:
    counts, how, readout = context.counts, context.how, context.how.readout
    alpha = f"alpha {readout.alpha:g}" if isinstance(readout, PoissonReadout) else "no penalty"
    return [
        f"{len(counts.held_out)} of {counts.channels} channels are predicted, in "
        f"{len(counts.test)} test trials; {found.trials} trials teach.",
        "Scores are bits per spike, one ratio of sums over trials, bins and channels, against "
        "the mean of the scored counts.",
        f"k-shot: the mean over {how.draws} random draws of k trials, the same for all models; "
        f"Poisson readout with {alpha} on latents scaled to mean 0, spread 1, converged. Its "
        "rates keep within half a spike in all bins of the draw and twice the largest count.",
        f"The k that decides is {found.k[found.decisive]}: what models within the margin lose "
        "from all trials to k differs most there, for its paired error.",
        '"By size": what is left of the score of all trials where few must teach as many '
        "weights as there are latents, to first order; too high where k is small.",
        "1 - R²: a linear regression from each model to each other on the training trials, "
        "variance-weighted, scored on the test trials; intervals from drawing these again. "
        "Files of one sub-folder are of one run and do not decode each other.",
    ]


def _foot() -> str:
    return ", ".join(f"{name} {number}" for name, number in versions().items())
