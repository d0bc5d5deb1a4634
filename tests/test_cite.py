"""Does every experiment cite papers that the house knows, each rightly?"""

import re

import pytest
from typer.testing import CliRunner

from slowpoint.cli import app
from slowpoint.report.catalogue import entries
from slowpoint.report.cite import named_in, papers, papers_of

NAMED = r"([A-Z][\w-]+(?:(?:, | and )[A-Z][\w-]+)*(?: et al\.)?) ((?:19|20)\d\d)\b(?!\.\d)"


def unknown(words):
    """Papers that `words` name by authors and year, and the house has no entry for."""
    known = [name for paper in named_in(words) for name in paper.called]
    # a name before the authors may begin with a capital, too: compare their ends
    named = [" ".join(found) for found in re.findall(NAMED, words)]
    return [name for name in named if not any(name.endswith(one) for one in known)]


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_every_experiment_cites_what_is_known(entry):
    assert named_in(entry.paper), "no paper of report/papers.bib"
    assert not unknown(entry.paper)
    arxiv = re.findall(r"arXiv[: ](\d{4}\.\d{5})", entry.paper)
    known = {paper.fields.get("eprint") for paper in named_in(entry.paper)}
    assert set(arxiv) <= known


@pytest.mark.parametrize(
    ("words", "missing"),
    [
        ("Ger and Barak 2025, arXiv:2505.13567, figure 6.", []),
        ("Ger and Barak 2024, figure 6.", ["Ger and Barak 2024"]),
        ("Barak 2025.", ["Barak 2025"]),
        ("Stein et al. 2013 and Nobody et al. 2014.", ["Nobody et al. 2014"]),
        ("arXiv 1906.11770, Nature 2013, 7", ["Nature 2013"]),
    ],
)
def test_an_unknown_paper_is_noticed(words, missing):
    assert unknown(words) == missing


def test_papers_come_in_the_order_of_the_text():
    found = papers_of("memory_forecast")
    assert [paper.called[0] for paper in found] == [
        "Bouchet and Reygner 2016",
        "Haviv, Rivkind and Barak 2019",
    ]
    assert found[1].sentence() == (
        "Haviv, Rivkind and Barak 2019. Understanding and Controlling Memory in Recurrent "
        "Neural Networks. Proceedings of Machine Learning Research 97, 2663-2671. "
        "arXiv:1902.07275."
    )


def test_every_entry_is_whole():
    keys = [re.match(r"@\w+\{(\w+),", paper.bibtex)[1] for paper in papers()]
    assert len(set(keys)) == len(keys)
    for key, paper in zip(keys, papers(), strict=True):
        lines = paper.bibtex.splitlines()
        assert len(paper.fields) == len(lines) - 2, key  # each line is a field
        assert [line.endswith(",") for line in lines[1:-1]] == [True] * (len(lines) - 3) + [
            False
        ]
        assert paper.bibtex.count("{") == paper.bibtex.count("}")
        assert key.startswith(paper.called[0].split(",")[0].split(" ")[0].lower())
        assert re.search(r"\d{4}", key)[0] == paper.fields["year"]


def test_cite_prints_bibtex():
    done = CliRunner().invoke(app, ["cite", "flipflop_memory"])
    assert done.stdout.startswith("@article{sussillo2013opening,\n  author = {Sussillo, David")
    assert done.stdout.endswith("}\n")
    wrong = CliRunner().invoke(app, ["cite", "flipflop_memroy"])
    assert wrong.exit_code == 2
    assert "Did you mean 'flipflop_memory'?" in wrong.stderr
