"""Which papers stand behind an experiment?"""

import dataclasses
import importlib.resources
import re

from slowpoint.core.settings import nearest
from slowpoint.report.catalogue import files, read

FIELD = re.compile(r"^  (\w+) = \{(.*)\},?$", re.M)


@dataclasses.dataclass(frozen=True)
class Paper:
    """An entry of the house's one list, as BibTeX and in its fields."""

    bibtex: str
    fields: dict[str, str]

    @property
    def called(self) -> list[str]:
        """The ways in which a text names it: "Haviv, Rivkind and Barak 2019"."""
        names = [author.partition(",")[0] for author in self.fields["author"].split(" and ")]
        year = self.fields["year"]
        if names[-1] == "others":
            return [f"{', '.join(names[:-1])} et al. {year}"]
        *first, last = names
        together = f"{', '.join(first)} and {last}" if first else last
        return [f"{together} {year}"] + [f"{names[0]} et al. {year}"] * (len(names) > 2)

    def sentence(self) -> str:
        """It as a line of a list of references."""
        given, known = self.fields, self.fields.get
        where = known("journal") or known("booktitle") or known("howpublished")
        place = " ".join(filter(None, [where, known("volume")]))
        place += f", {given['pages']}" if known("pages") else ""
        parts = [self.called[0], known("title"), place, known("note")]
        parts.append(f"arXiv:{given['eprint']}" if known("eprint") else "")
        words = ". ".join(filter(None, parts)).replace("--", "-")
        return re.sub(r"[{}]|\\.", "", words) + "."


def papers() -> list[Paper]:
    """Every paper that the house knows."""
    text = (importlib.resources.files("slowpoint.report") / "papers.bib").read_text()
    entries = re.findall(r"^@.*?^\}$", text, re.M | re.S)
    return [Paper(entry, dict(FIELD.findall(entry))) for entry in entries]


def papers_of(name: str) -> list[Paper]:
    """Those that the experiment names, first named first.

    Raises ValueError, with the nearest name, where there is no such experiment.
    """
    places = {path.stem: path for path in files()}
    if name not in places:
        raise ValueError(f"No experiment {name!r}. {nearest(name, places)}")
    return named_in(read(places[name]).paper)


def named_in(words: str) -> list[Paper]:
    """The papers that `words` name by authors and year."""
    found = [(_place(paper, words), paper) for paper in papers()]
    return [paper for _, paper in sorted((f for f in found if f[0] >= 0), key=lambda f: f[0])]


def _place(paper: Paper, words: str) -> int:
    """Where the name of `paper` begins, -1 where it does not."""
    places = [re.search(rf"(?<![\w-]){re.escape(name)}\b", words) for name in paper.called]
    return min((place.start() for place in places if place), default=-1)
