"""Does a choice among models find the one with nothing of its own, and say what it rests on?"""

import jax.random as jr
import numpy as np
import pytest
from typer.testing import CliRunner

from slowpoint.analysis.bits_per_spike import bits_per_spike, Poisson
from slowpoint.analysis.cross_decoding import cross_decode
from slowpoint.analysis.few_shot import co_smoothing, few_shot, Random
from slowpoint.analysis.selection import How, Latents, select, Selection
from slowpoint.cli import app
from slowpoint.latents.readout import PoissonReadout
from slowpoint.recordings.benchmark_files import BenchmarkRates, write_benchmark
from slowpoint.report.latent_files import find_models, read_counts
from slowpoint.report.numbers import read_whole
from slowpoint.report.select_folder import select_folder

TRAIN, TEST, BINS, CHANNELS = 60, 30, 8, 10
HELD_OUT = [1, 4, 7, 8]
HOW = How(k=(6, 12), draws=6, margin=0.05)


def truth(dims=2):
    """`(latents, rates)` of a recording: slow latents, and channels that follow them."""
    rng = np.random.default_rng(1)
    z = rng.normal(size=(TRAIN + TEST, BINS, dims)).cumsum(axis=1) / np.sqrt(BINS)
    return z, np.exp(z @ rng.normal(size=(dims, CHANNELS)) * 0.7 - 0.2)


def spikes():
    return np.random.default_rng(2).poisson(truth()[1])


def noisy(dims, number):
    """The true latents, turned, and latents of pure noise beside them."""
    rng = np.random.default_rng(10 + number)
    z = truth()[0] @ np.linalg.qr(rng.normal(size=(2, 2)))[0]
    return np.concatenate([z, rng.normal(size=(TRAIN + TEST, BINS, dims))], axis=2)


def pool():
    """Two with nothing extra, two with little, two with much, and one that is blind."""
    models = {
        f"{extra}_{i}": noisy(extra, i + 2 * extra) for extra in (0, 4, 12) for i in (0, 1)
    }
    return models | {"blind": noisy(2, 99)[..., 2:]}


def parts(z):
    return Latents(z[:TRAIN], z[TRAIN:])


def targets():
    x = spikes()[..., HELD_OUT]
    return x[:TRAIN], x[TRAIN:]


@pytest.fixture(scope="module")
def chosen():
    models = {name: (lambda z=z: parts(z)) for name, z in pool().items()}
    return select(models, *targets(), key=jr.key(0), how=HOW)


def test_scores_are_those_of_each_question_asked_alone(chosen):
    x, x_test = targets()
    readout = PoissonReadout(1e-3)
    for i, (name, z) in enumerate(pool().items()):
        assert chosen.model[i] == name
        four = (z[:TRAIN], x, z[TRAIN:], x_test)
        assert np.isclose(chosen.q_co[i], co_smoothing(*four, readout=readout).pooled)
        assert chosen.q_full[i] == chosen.q_co[i]
        key = jr.split(jr.key(0))[0]
        shots = few_shot(*four, readout=readout, k=(6, 12), key=key, scheme=Random(6))
        assert np.allclose(chosen.scores[i], shots.scores)
        assert np.allclose(chosen.q_k[i], shots.mean)
        assert np.allclose(chosen.sem[i], shots.sem)
    decoded = cross_decode(
        list(pool().values()), split=np.arange(TRAIN + TEST) < TRAIN, key=jr.key(5)
    )
    assert np.allclose(chosen.matrix, decoded.matrix)
    assert np.allclose(chosen.column, decoded.column)


def test_the_one_taken_has_nothing_extra(chosen):
    extra = np.array([name.split("_")[0] for name in chosen.model])
    assert chosen.near[:4].all()  # the margin lets those with some noise in
    assert not chosen.near[-1]
    assert extra[chosen.taken] == "0"
    assert set(extra[chosen.tied]) == {"0"}
    assert chosen.tied[chosen.taken]
    assert chosen.column[chosen.taken] == chosen.column[chosen.tied].min()


def test_a_wide_margin_does_not_let_the_blind_win(chosen):
    models = {name: (lambda z=z: parts(z)) for name, z in pool().items()}
    how = How(k=(12,), draws=6, margin=100.0)
    found = select(models, *targets(), key=jr.key(0), how=how)
    assert found.near.all()
    assert found.model[found.taken] in ("0_0", "0_1")


def test_who_is_outside_the_margin_is_not_taken_for_its_few_shots():
    z, _ = truth()
    x, x_test = targets()
    poor = np.full(x_test.shape, x_test.mean())  # good latents, rates that say nothing
    models = {
        "4_0": lambda: parts(noisy(4, 8)),
        "poor": lambda: Latents(z[:TRAIN], z[TRAIN:], poor),
        "12_0": lambda: parts(noisy(12, 24)),
    }
    found = select(models, x, x_test, key=jr.key(0), how=HOW)
    assert (found.q_k[1] > found.q_k[[0, 2]].max(axis=0)).all()
    assert found.near.tolist()[:2] == [True, False]
    assert found.tied.tolist() == [True, False, False]
    assert found.taken == 0


def test_own_rates_are_scored_as_they_are():
    z, rates = truth()
    x, x_test = targets()
    own = rates[TRAIN:][..., HELD_OUT]
    models = {
        "with": lambda: Latents(z[:TRAIN], z[TRAIN:], own),
        "without": lambda: parts(z),
    }
    found = select(models, x, x_test, key=jr.key(0), how=HOW)
    assert found.own.tolist() == [True, False]
    assert np.isclose(found.q_co[0], bits_per_spike(own, x_test, family=Poisson()).pooled)
    assert found.q_full[0] == found.q_full[1] == found.q_co[1]
    assert found.q_co[0] != found.q_co[1]


def test_what_no_bin_counted_needs_no_latents():
    """Numbers in bins without counts, or missing there: nothing changes."""
    x, x_test = (a.astype(float) for a in targets())
    x[3, 5:] = np.nan
    filled = {name: (lambda z=z: parts(z)) for name, z in list(pool().items())[:3]}
    empty = {}
    for name, z in list(pool().items())[:3]:
        z = z.copy()
        z[3, 5:] = np.nan
        empty[name] = lambda z=z: parts(z)
    one, other = (select(m, x, x_test, key=jr.key(0), how=HOW) for m in (filled, empty))
    assert np.allclose(one.scores, other.scores)
    assert np.allclose(one.matrix, other.matrix)


def test_too_little_to_choose_from_is_refused():
    models = {"only": lambda: parts(truth()[0])}
    with pytest.raises(ValueError, match="nothing to choose"):
        select(models, *targets(), key=jr.key(0), how=HOW)
    models["other"] = lambda: parts(truth()[0][:, 1:])
    with pytest.raises(
        ValueError, match=r"other: latents have shape \(30, 7, 2\), counts \(30"
    ):
        select(models, *targets(), key=jr.key(0), how=HOW)
    with pytest.raises(ValueError, match="with 60 training trials"):
        select(models, *targets(), key=jr.key(0), how=How(k=(61,)))


# ---------------------------------------------------------------- files


def write_pool(folder, names=None):
    folder.mkdir(exist_ok=True)
    for name, z in pool().items():
        if names is None or name in names:
            np.savez(folder / f"{name}.npz", train=z[:TRAIN], test=z[TRAIN:])
    counts = folder.parent / "counts.npz"
    x = spikes()
    np.savez(counts, train=x[:TRAIN], test=x[TRAIN:], held_out=HELD_OUT)
    return folder, counts


def benchmark(path, scale=1.0):
    rates = scale * truth()[1]
    held_in = [c for c in range(CHANNELS) if c not in HELD_OUT]
    cut = lambda part, units: rates[part][..., units]
    first, last = slice(None, TRAIN), slice(TRAIN, None)
    write_benchmark(
        path,
        BenchmarkRates(
            cut(first, held_in), cut(first, HELD_OUT), cut(last, held_in), cut(last, HELD_OUT)
        ),
    )


def command(*words):
    return CliRunner().invoke(app, ["select", *map(str, words)])


def test_the_command_takes_a_folder_and_writes_a_page(tmp_path, chosen):
    folder, counts = write_pool(tmp_path / "models")
    out = tmp_path / "page"
    options = ("--counts", counts, "--k", "6,12", "--draws", 6, "--margin", 0.05)
    done = command(folder, *options, "--out", out)
    assert done.exit_code == 0, done.output
    assert "Take 0_" in done.output
    assert str(out / "report.html") in done.output
    saved = Selection.load(out / "selection.npz")
    assert set(saved.model) == set(chosen.model)
    assert saved.model[saved.taken] in ("0_0", "0_1")
    page = (out / "report.html").read_text()
    for words in (*pool(), "Before you believe it", "small variance", "paired s.e.m."):
        assert words in page
    assert (out / "figure.png").exists()


def test_benchmark_files_are_scored_and_used_only_when_asked(tmp_path):
    folder, counts = write_pool(tmp_path / "models", ("0_0", "12_0"))
    benchmark(folder / "theirs.h5")
    page, lines = select_folder(folder, counts, tmp_path / "a", key=jr.key(0), how=HOW)
    found = Selection.load(tmp_path / "a" / "selection.npz")
    assert found.model.tolist() == ["0_0", "12_0"]
    text = page.read_text()
    assert "Rates and no latents" in text
    score = bits_per_spike(
        truth()[1][TRAIN:][..., HELD_OUT], spikes()[TRAIN:][..., HELD_OUT], family=Poisson()
    ).pooled
    assert f"{score:.4f}" in text
    page, lines = select_folder(
        folder, counts, tmp_path / "b", key=jr.key(0), how=HOW, rates_as_latents=True
    )
    found = Selection.load(tmp_path / "b" / "selection.npz")
    assert "theirs" in found.model
    assert np.isclose(found.q_co[found.model.tolist().index("theirs")], score)
    assert any("hold rates, no latents" in line for line in lines)
    assert any("own rates" in line for line in lines)


def test_a_folder_of_rates_alone_has_scores_and_no_choice(tmp_path):
    folder = tmp_path / "rates"
    folder.mkdir()
    _, counts = write_pool(tmp_path / "models", ())
    benchmark(folder / "one.h5")
    benchmark(folder / "two.h5", 1.5)
    page, lines = select_folder(folder, counts, tmp_path / "out", key=jr.key(0), how=HOW)
    assert "No file holds latents" in lines[0]
    assert "Best Q_co: one" in lines[1]
    assert not (tmp_path / "out" / "selection.npz").exists()
    assert page.read_text().index("one") < page.read_text().index("two")


def test_files_of_one_folder_are_one_run(tmp_path):
    folder, _ = write_pool(tmp_path / "models", ("0_0", "4_0"))
    (folder / "run").mkdir()
    for step in (1, 2):
        z = noisy(3, 7)
        np.savez(folder / "run" / f"{step}.npz", train=z[:TRAIN], test=z[TRAIN:])
    models = find_models(folder)
    assert [m.name for m in models] == ["0_0", "4_0", "run/1", "run/2"]
    assert [m.run for m in models] == ["0_0", "4_0", "run", "run"]
    select_folder(folder, tmp_path / "counts.npz", tmp_path / "out", key=jr.key(0), how=HOW)
    used = Selection.load(tmp_path / "out" / "selection.npz").used
    assert not used[2, 3]
    assert not used[3, 2]
    assert used[0, 2]


def test_counts_may_lie_beside_the_models(tmp_path):
    folder, counts = write_pool(tmp_path / "models", ("0_0", "4_0"))
    inside = folder / "counts.npz"
    inside.write_bytes(counts.read_bytes())
    select_folder(folder, inside, tmp_path / "out", key=jr.key(0), how=HOW)
    assert len(Selection.load(tmp_path / "out" / "selection.npz").model) == 2


def test_h5_holds_the_same(tmp_path):
    import h5py

    z = noisy(3, 7)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["train"], file["test"] = z[:TRAIN], z[TRAIN:]
        file["rates_test"] = truth()[1][TRAIN:][..., HELD_OUT]
    (model,) = find_models(tmp_path)
    found = model.latents()
    assert np.array_equal(found.train, z[:TRAIN])
    assert np.array_equal(found.test, z[TRAIN:])
    assert found.rates_test is not None


def save(path, **arrays):
    np.savez(path, **arrays)


X = np.zeros((3, 2, 4))


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"train": X, "test": X}, "lacks held_out"),
        ({"train": X, "held_out": [0]}, "lacks the array 'test'"),
        ({"train": X, "test": X[..., :3], "held_out": [0]}, "disagree in channels"),
        ({"train": X, "test": X, "held_out": [4]}, "from 0 to 3"),
        ({"train": X, "test": X, "held_out": [-1]}, "from 0 to 3"),
        ({"train": X, "test": X, "held_out": [0.5]}, "whole numbers"),
        ({"train": X, "test": X, "held_out": [1, 1]}, "twice"),
        ({"train": X[0], "test": X, "held_out": [0]}, r"shape \(2, 4\)"),
    ],
    ids=["held_out", "test", "channels", "beyond", "negative", "half", "twice", "flat"],
)
def test_counts_that_lack_something_are_refused(tmp_path, arrays, says):
    save(tmp_path / "counts.npz", **arrays)
    with pytest.raises(ValueError, match=says):
        read_counts(tmp_path / "counts.npz")


def test_held_out_may_be_marks(tmp_path):
    save(tmp_path / "c.npz", train=X, test=X, held_out=np.array([False, True, False, True]))
    assert read_counts(tmp_path / "c.npz").held_out == (1, 3)


def test_folders_and_files_that_cannot_be_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder"):
        find_models(tmp_path / "none")
    with pytest.raises(ValueError, match=r"holds no \.npz"):
        find_models(tmp_path)
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(ValueError, match="can't be read as named arrays"):
        find_models(tmp_path)
    (tmp_path / "broken.npz").unlink()
    (tmp_path / "broken.h5").write_bytes(b"\x89HDF\r\n\x1a\n and no more")
    with pytest.raises(ValueError, match="can't be read as named arrays"):
        find_models(tmp_path)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--k", "6,x"), "--k 16,64"),
        (("--k", "600"), "60 training trials"),
        (("--out", "models"), "holds the models"),
        (("--counts", "none.npz"), "no file"),
    ],
    ids=["words", "k", "out", "counts"],
)
def test_misuse_ends_with_a_sentence(tmp_path, monkeypatch, words, says):
    write_pool(tmp_path / "models", ("0_0", "4_0"))
    monkeypatch.chdir(tmp_path)
    done = command("models", "--counts", "counts.npz", *words)
    assert done.exit_code == 2
    assert says in done.output


def test_counts_and_latents_of_other_trials_name_both(tmp_path):
    folder, counts = write_pool(tmp_path / "models", ("0_0", "4_0"))
    z = noisy(0, 0)
    np.savez(folder / "short.npz", train=z[: TRAIN - 1], test=z[TRAIN:])
    done = command(folder, "--counts", counts, "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert "short: latents have shape (59, 8, 2), counts (60, 8, 4)" in done.output


def test_whole_numbers_are_sorted_and_once():
    assert read_whole("64, 16,64", "k") == (16, 64)
