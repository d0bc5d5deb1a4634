"""Do states in a file come out as a page whose numbers are those of the Result?"""

import numpy as np
import pytest
from typer.testing import CliRunner

from slowpoint.analysis.geometry import on_ring
from slowpoint.analysis.map_like import Geometry, geometry
from slowpoint.cli import app
from slowpoint.plots.embedding import embedding
from slowpoint.report.geometry_file import geometry_file

T = np.repeat(np.arange(12), 3)
NOISE = np.random.default_rng(0).standard_normal((36, 5))
LINE = np.outer(T, [1.0, -2.0, 0.5, 0.0, 1.0]) + 0.3 * NOISE


def command(*words):
    return CliRunner().invoke(app, ["geometry", *map(str, words)])


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("states.npy", LINE)
    np.save("latent.npy", T)
    return tmp_path


def test_arrays_in_and_a_page_out(place):
    done = command("states.npy", "--latent", "latent.npy", "--out", "page")
    assert done.exit_code == 0, done.output
    assert "36 samples of 5 units in 12 classes; the latent is one number." in done.output
    assert "Warning" not in done.output
    found, saved = geometry(LINE, T), Geometry.load("page/geometry.npz")
    assert saved.lines() == found.lines()
    page = (place / "page" / "report.html").read_text()
    for name, value, sentence in found.rows():
        assert f"{value}</td>" in page
        assert name in page
        assert sentence in page
        assert any(line.split("  ")[0] == name for line in done.output.splitlines())
    assert "Before you believe it" in page
    assert (place / "page" / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert done.output.splitlines()[-1] == "page/report.html"


def test_the_page_is_in_runs_when_nobody_says_where(place):
    assert command("states.npy", "--latent", "latent.npy").exit_code == 0
    assert (place / "runs" / "states_geometry" / "report.html").exists()


def test_one_file_may_hold_everything(place):
    labels = T // 2
    np.savez("code.npz", states=LINE, latent=T, labels=labels)
    _, lines = geometry_file("code.npz", "code.npz", "out", labels="code.npz")
    assert lines[1:] == geometry(LINE, T, labels).lines()
    assert "labels given" in (place / "out" / "report.html").read_text()


def test_a_ring_tells_its_frequency(place):
    np.save("states.npy", on_ring(5 * T, 12) @ NOISE[:2] + 0.01 * NOISE)
    done = command("states.npy", "--latent", "latent.npy", "--ring", 12, "--out", "page")
    assert done.exit_code == 0, done.output
    assert "a ring of 12 positions" in done.output
    assert "best frequency" in done.output
    assert Geometry.load("page/geometry.npz").frequency == 5
    assert "among 1 to 6" in (place / "page" / "report.html").read_text()


def test_what_is_undefined_is_said(place):
    np.save("alone.npy", np.arange(36))
    done = command("states.npy", "--latent", "alone.npy")
    assert done.exit_code == 0, done.output
    assert "undefined" in done.output
    assert "No class has two samples" in done.output
    np.save("few.npy", LINE[:2])
    np.save("two.npy", T[[0, 9]])
    done = command("few.npy", "--latent", "two.npy")
    assert "Warning: With 2 samples the order is 1 whatever the code" in done.output


def test_what_would_be_overwritten_stays(place):
    np.savez("geometry.npz", LINE)
    done = command("geometry.npz", "--latent", "latent.npy", "--out", ".")
    assert done.exit_code == 2
    assert "take the place of geometry.npz, the states" in done.output
    assert np.array_equal(np.load("geometry.npz")["arr_0"], LINE)


@pytest.mark.parametrize(
    ("name", "array", "words", "says"),
    [
        ("latent", T[:5], (), "states and latent have 36 and 5 samples"),
        ("latent", 0 * T, (), "nothing to be ordered by"),
        ("latent", np.where(T == 4, np.nan, T), (), "latent[12, 0] is nan, the first of 3"),
        ("latent", np.full(36, "a"), (), "expected real numbers"),
        ("states", LINE[None], (), "states has shape (1, 36, 5); expected (samples, units)"),
        ("states", LINE[:1], (), "states has 1 samples; at least 2"),
        ("states", np.where(LINE > 0, np.inf, LINE), (), "not finite"),
        ("labels", T / 2, ("--labels", "labels.npy"), "labels[3] is 0.5; expected whole"),
        ("labels", T[:5], ("--labels", "labels.npy"), "labels has shape (5,)"),
        ("latent", LINE, ("--ring", 12), "latent has shape (36, 5) and ring is 12"),
        ("latent", T, ("--ring", 1), "ring is 1"),
        ("latent", T, ("--labels", "none.npy"), "none.npy"),
        ("other", T, ("--out", "latent.npy"), "latent.npy is a file"),
    ],
)
def test_bad_input_ends_with_a_sentence(place, name, array, words, says):
    np.save(f"{name}.npy", array)
    done = command("states.npy", "--latent", "latent.npy", *words)
    assert done.exit_code == 2
    assert says in done.output
    assert not (place / "runs").exists()


def test_files_that_hold_no_arrays_are_refused(place):
    (place / "latent.npy").write_bytes(b"no array")
    done = command("states.npy", "--latent", "latent.npy")
    assert done.exit_code == 2
    assert "can't be read as arrays of numbers" in done.output


def clouds(found):
    """Axes with a scatter of all samples, the colour bars left out."""
    axes = [ax for ax in embedding(found).axes if ax.get_xlabel()]
    return [(ax, ax.collections[0]) for ax in axes]


def test_the_drawing_shows_the_states_in_the_colour_of_the_latent():
    found = geometry(LINE, np.stack([T, T % 2], axis=1))
    shown = clouds(found)
    for (ax, cloud), up, column in zip(shown, (1, 1, 2), (0, 1, 0), strict=True):
        assert np.allclose(cloud.get_offsets(), found.coordinates[:, [0, up]])
        assert np.allclose(cloud.get_array(), found.latent[:, column])
        assert ax.get_ylabel() == f"PC{up + 1} ({found.shares[up]:.1%})"
    ((_, cloud),) = clouds(geometry(LINE[:, :1], T))  # a single direction
    assert np.allclose(cloud.get_offsets()[:, 1], T)
    (_, cloud), _ = clouds(geometry(LINE, T, ring=12))
    assert np.allclose(cloud.get_array(), T, atol=1e-6)
