"""How do words, tables and figures become one page that opens offline?"""

import importlib.resources
import json
import os
import pathlib
from collections.abc import Sequence

import jinja2
import markupsafe

from slowpoint.core.files import replacing
from slowpoint.report.cite import papers_of
from slowpoint.report.parts import Items, Picture, Section, Table, Words


def write_page(
    path: str | os.PathLike, title: str, lead: str, sections: Sequence[Section], foot: str
) -> pathlib.Path:
    """Write one static page to `path`, whole or not at all."""
    source = importlib.resources.files("slowpoint.report") / "templates" / "page.html.j2"
    template = jinja2.Template(
        source.read_text(), autoescape=True, undefined=jinja2.StrictUndefined
    )
    # every part escapes its own words, and its tags must survive
    shown = [
        {"heading": s.heading, "parts": [markupsafe.Markup(p.html()) for p in s.parts]}
        for s in sections
    ]
    with replacing(path) as beside:
        beside.write_text(template.render(title=title, lead=lead, sections=shown, foot=foot))
    return pathlib.Path(path)


def run_page(folder: str | os.PathLike) -> pathlib.Path:
    """The page of a run that `slowpoint run` left in `folder`: claims, figure, settings."""
    folder = pathlib.Path(folder)
    about = json.loads((folder / "about.json").read_text())
    settings = json.loads((folder / "settings.json").read_text())
    claims = json.loads((folder / "claims.json").read_text())
    rows = [(c["says"], f"{float(c['value']):.6g}", _bar(c), c["verdict"]) for c in claims]
    failed = sum(c["verdict"] == "fails" for c in claims)
    verdict = f"{failed} of {len(claims)} claims fail." if failed else "No claim fails."
    sections = [
        Section("", [Words(verdict, "warn" if failed else "note")]),
        Section("Claims", [Table("Claims", ("claim", "measured", "bar", "verdict"), rows)]),
    ]
    figure = folder / "figure.png"
    if figure.exists():
        alt = f"Figure of the experiment {about['experiment']}; its numbers are in the results."
        sections.append(Section("Figure", [Picture(figure.read_bytes(), about["says"], alt)]))
    chosen = [(key, str(value)) for key, value in settings.items()]
    sections.append(Section("Settings", [Table("Settings", ("setting", "value"), chosen)]))
    made = {"seed": about["seed"], "scale": about["scale"], "date": about["date"]}
    made |= {"width": about.get("width"), "seconds": about["seconds"]}
    made |= {"device": about["device"], "commit": about["commit"] and about["commit"][:12]}
    rows = [(key, str(value)) for key, value in made.items() if value is not None]
    sections.append(
        Section("How it was made", [Table("How it was made", ("what", "value"), rows)])
    )
    sections += cited(about["experiment"])
    foot = ", ".join(f"{key} {value}" for key, value in about["versions"].items())
    return write_page(
        folder / "report.html", about["experiment"], about["says"], sections, foot
    )


def cited(name: str) -> list[Section]:
    """The papers behind the experiment; nothing where there is no such experiment."""
    try:
        papers = papers_of(name)
    except ValueError:
        return []
    sentences = Items([paper.sentence() for paper in papers])
    words = Words(f"As BibTeX: slowpoint cite {name}")
    return [Section("What to cite", [sentences, words])] if papers else []


def _bar(claim: dict) -> str:
    """What a claim must keep to; nothing where it only tells its number."""
    return "" if claim["relation"] == "is" else f"{claim['relation']} {float(claim['bar']):g}"
