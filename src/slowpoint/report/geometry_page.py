"""How does the geometry of a code read, on one page and on a terminal?"""

import pathlib

from slowpoint.analysis.map_like import Geometry
from slowpoint.core.files import replacing
from slowpoint.plots.embedding import embedding
from slowpoint.plots.style import png
from slowpoint.report.about import versions
from slowpoint.report.page import write_page
from slowpoint.report.parts import Items, Picture, Section, Table, Words

CAVEATS = (
    "Read the measures together. Order alone flatters: say it with NC1 and the participation "
    "ratio.",
    "Distance correlation and CKA of few points are far above 0 by chance. To beat are those "
    "of what went into the network, or of the network before training.",
    "Compare codes on the same samples only: with other samples the cloud itself is another, "
    "and so is every number.",
    "None of these sees whether the network answers rightly where it was never asked: hold "
    "inputs out, too.",
)

CHANGES = (
    "In networks that predict what follows an action, far actions and many layers together "
    "made the codes clean maps of a line; neither did alone (Ratzon and Barak 2025).",
    "On a ring the horizon has an optimum: where actions reach half way round, what follows "
    "says nothing of where one was.",
)


def geometry_page(
    found: Geometry, out: pathlib.Path, title: str, labelled: bool
) -> pathlib.Path:
    """Save the Result and its figure, write the page `report.html` in `out`; return it.

    `labelled` says whether the classes were given.
    """
    found.save(out / "geometry.npz")
    picture = png(embedding(found))
    with replacing(out / "figure.png") as beside:
        beside.write_bytes(picture)
    table = Table("Measures", ("measure", "value", "what it says"), found.rows(), words=(2,))
    shown = found.shares.sum()
    caption = (
        f"The states on their first principal components, {shown:.1%} of the variance; the "
        f"colour is {'the position on the ring' if found.ring else 'the latent'}."
    )
    alt = f"{caption} " + "; ".join(f"{name} {value}" for name, value, _ in found.rows())
    sections = [
        Section("", [Words(what(found), "note"), *(Words(w, "warn") for w in doubts(found))]),
        Section("How like a map", [table]),
        Section("Where the states lie", [Picture(picture, caption, alt)]),
        Section("Before you believe it", [Items(CAVEATS)]),
        Section("What makes a code more like a map", [Items(CHANGES)]),
        Section("How this was found", [Items(_how(found, labelled))]),
    ]
    foot = ", ".join(f"{name} {number}" for name, number in versions().items())
    lead = "States of a network against the latent that they may be a map of."
    return write_page(out / "report.html", title, lead, sections, foot)


def told(found: Geometry) -> list[str]:
    """What to say on a terminal."""
    return [what(found), *found.lines(), *(f"Warning: {words}" for words in doubts(found))]


def what(found: Geometry) -> str:
    """One sentence: of what these measures are."""
    samples, d = found.latent.shape
    latent = f"a ring of {found.ring} positions" if found.ring else f"{d} numbers"
    if d == 1:
        latent = "one number"
    return (
        f"{samples} samples of {found.units} units in {found.classes} classes; the latent is "
        f"{latent}."
    )


def doubts(found: Geometry) -> list[str]:
    """Where the numbers say nothing."""
    samples, d = found.latent.shape
    words = []
    if samples - 1 <= d:
        words.append(
            f"With {samples} samples the order is 1 whatever the code: give more than {d + 1}."
        )
    if found.units < d:
        words.append(
            f"The latent has {d} coordinates and the code {found.units} units: it has fewer "
            "components than order asks for."
        )
    return words


def _how(found: Geometry, labelled: bool) -> list[str]:
    d = found.latent.shape[1]
    given = "Classes are those of the labels given"
    equal = "Rows of equal latent are one class"
    sentences = [
        f"{given if labelled else equal}; NC1 is over them, distance correlation and "
        "Procrustes R² are of their means, order and CKA of all samples.",
        f"Order: least squares of the latent on {d} components of the centred states, all "
        "coordinates together. Where two variances tie there, it depends on which comes "
        "first.",
    ]
    if found.ring:
        sentences.append(
            "The latent of the ring is (cos, sin) of the position's angle; the best frequency "
            f"is among 1 to {found.ring // 2}."
        )
    return sentences
