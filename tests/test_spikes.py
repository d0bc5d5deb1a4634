"""Are spike times read, counted and cut as they are, and wrong ones refused?"""

import pathlib

import h5py
import numpy as np
import pytest
from hypothesis import given, strategies as st

from slowpoint.recordings.benchmark_files import (
    benchmark_rates,
    KEYS,
    read_benchmark,
    write_benchmark,
)
from slowpoint.recordings.binned import by_trial, counts, smooth, windows
from slowpoint.recordings.fetched import in_folder
from slowpoint.recordings.images import shipped
from slowpoint.recordings.monkey import m1, monkey, read_published
from slowpoint.recordings.nwb import nwb_spikes
from slowpoint.recordings.rat import hippocampus, SPAN
from slowpoint.recordings.spike_files import read_spikes
from slowpoint.recordings.spikes import spike_trains

NWB = pathlib.Path(__file__).parent / "data" / "pynapple_A8604-211122.nwb"


def two_units():
    return spike_trains([np.array([0.1, 0.25, 0.9]), np.array([0.0, 0.5])])


# ---------------------------------------------------------------- spikes and bins


def test_counts_are_of_half_open_bins():
    found = counts(two_units(), 0.25, (0.0, 1.0))
    np.testing.assert_array_equal(found, [[1, 1], [1, 0], [0, 1], [1, 0]])


@given(
    st.lists(st.lists(st.floats(0, 20), max_size=30), min_size=1, max_size=4),
    st.floats(0, 5),
    st.integers(1, 50),
    st.floats(0.05, 1.0),
)
def test_counts_sum_to_the_spikes_in_the_span(trains, start, bins, width):
    spikes = spike_trains([np.sort(train) for train in trains])
    end = start + bins * width
    found = counts(spikes, width, (start, end))
    assert found.shape == (bins, len(trains))
    inside = [((t >= start) & (t < start + width * bins)).sum() for t in map(np.array, trains)]
    np.testing.assert_array_equal(found.sum(axis=0), inside)


def test_a_rest_shorter_than_a_bin_is_dropped():
    assert counts(two_units(), 0.3, (0.0, 1.0)).shape == (3, 2)
    with pytest.raises(ValueError, match="No bin of 2 s"):
        counts(two_units(), 2.0, (0.0, 1.0))
    with pytest.raises(ValueError, match="finite"):
        counts(two_units(), -1.0, (0.0, 1.0))


def test_units_are_told_apart():
    spikes = spike_trains([np.array([1.0]), np.array([]), np.array([0.5, 2.0])], list("abc"))
    assert [spikes.of(i).tolist() for i in range(3)] == [[1.0], [], [0.5, 2.0]]
    assert spikes.number.tolist() == [1, 0, 2]
    active = spikes.active()
    assert active.units.tolist() == ["a", "c"]
    assert active.of(1).tolist() == [0.5, 2.0]
    for beyond in (3, -1):
        with pytest.raises(IndexError, match="There is no unit"):
            spikes.of(beyond)


@pytest.mark.parametrize(
    ("train", "says"),
    [
        ([0.3, 0.2], "out of order: 0.3 s comes before 0.2"),
        ([-0.1, 0.2], "negative time -0.1"),
        ([0.1, np.nan], "1 times that are not finite"),
        ([[0.1]], "shape"),
        (["now"], "no numbers"),
    ],
)
def test_times_that_cannot_be_are_refused(train, says):
    with pytest.raises(ValueError, match=says):
        spike_trains([np.array([0.1]), np.array(train)])


def test_windows_drop_the_rest():
    rows = np.arange(14).reshape(7, 2)
    found = windows(rows, 3)
    np.testing.assert_array_equal(found, [[[0, 1], [2, 3], [4, 5]], [[6, 7], [8, 9], [10, 11]]])
    with pytest.raises(ValueError, match="8 bins were asked of 7"):
        windows(rows, 8)


def test_trials_of_different_length_end_in_nan():
    rows = np.arange(6.0)[:, None]
    found = by_trial(rows, np.array([1, 3]))[..., 0]
    np.testing.assert_array_equal(found, [[1, 2, np.nan], [3, 4, 5]])
    for onsets in ([3, 1], [1, 1], [-1, 2], [6]):
        with pytest.raises(ValueError, match="rise within the 6 bins"):
            by_trial(rows, np.array(onsets))


def test_smoothing_is_the_normalised_gaussian():
    rows = np.random.default_rng(0).poisson(2.0, (3, 9, 2)).astype(float)
    rows[1, 6:] = np.nan
    t = np.arange(9)
    kernel = np.exp(-((t[:, None] - t) ** 2) / (2 * 1.5**2))
    known = np.full(rows.shape, np.nan)
    for trial in range(3):
        n = 6 if trial == 1 else 9
        k = kernel[:n, :n] / kernel[:n, :n].sum(axis=1, keepdims=True)
        known[trial, :n] = k @ rows[trial, :n]
    np.testing.assert_allclose(smooth(rows, 1.5), known, rtol=1e-12)
    np.testing.assert_allclose(smooth(np.ones((9, 2)), 1.5), 1.0)
    with pytest.raises(ValueError, match="width is 0"):
        smooth(rows, 0.0)


# ---------------------------------------------------------------- recordings


def test_the_rat_has_its_spikes():
    spikes = hippocampus()
    assert (len(spikes), len(spikes.active()), len(spikes.times)) == (37, 31, 28_829)
    found = counts(spikes.active(), 0.25, SPAN)
    assert windows(found, 20).shape == (393, 20, 31)
    assert found.sum() == (spikes.times < SPAN[0] + 0.25 * len(found)).sum()


def test_the_windows_of_the_monkey():
    found = m1()
    assert found.shape == (239 + 372, 20, 87)
    np.testing.assert_array_equal(found[239, 0], monkey(2).counts[0])
    np.testing.assert_array_equal(found[238, -1], monkey(1).counts[239 * 20 - 1])
    assert abs(np.concatenate([monkey(1).counts, monkey(2).counts]).mean() - 1.950) < 1e-3


def test_the_monkey_as_published_is_the_one_that_ships():
    path = in_folder("hennig2018_20131218.mat")
    if path is None:
        pytest.skip("hennig2018_20131218.mat is not in the folder of SLOWPOINT_DATA")
    for block in (1, 2):
        ours, theirs = monkey(block), read_published(path, block)
        np.testing.assert_array_equal(ours.counts, theirs.counts)
        np.testing.assert_array_equal(ours.begins, theirs.begins)
    with pytest.raises(ValueError, match="no block 3"):
        read_published(path, 3)


def test_the_rat_as_published_is_the_one_that_ships():
    path = in_folder("nelpy_linear-track_spikes.mat")
    if path is None:
        pytest.skip("nelpy_linear-track_spikes.mat is not in the folder of SLOWPOINT_DATA")
    assert shipped("rat_linear_track.mat").read_bytes() == path.read_bytes()


# ---------------------------------------------------------------- files


def test_an_nwb_file_has_its_units():
    spikes = nwb_spikes(NWB)
    assert spikes.number.tolist() == [11_020, 4_690, 5_644]
    assert spikes.units.tolist() == [6, 191, 206]
    assert len(spikes.times) == 21_354
    assert counts(spikes, 1.0, (0.0, 1088.0)).sum() == 21_354


def edited(tmp_path, change):
    """A copy of the NWB file, changed."""
    path = tmp_path / "edited.nwb"
    path.write_bytes(NWB.read_bytes())
    with h5py.File(path, "r+") as file:
        change(file)
    return path


def replaced(name, values):
    def change(file):
        del file[name]
        file[name] = values

    return change


def swapped(file):
    times = file["units/spike_times"][()]
    times[[5, 6]] = times[[6, 5]]
    file["units/spike_times"][...] = times


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda file: file.__delitem__("units"), "no spike times; tables found: .*epochs"),
        (
            lambda file: file.__delitem__("units/spike_times"),
            "lacks spike_times; columns found",
        ),
        (replaced("units/spike_times_index", [11020, 15710, 21355]), "ends at spike 21355 of"),
        (replaced("units/spike_times_index", [11020, 9000, 21354]), "unit 191 ends at spike 9"),
        (replaced("units/id", [1, 2]), r"\(2,\) units have index \(3,\)"),
        (lambda file: file["units/spike_times"].__setitem__(0, -1.0), "negative time -1"),
        (swapped, "unit 6 has times out of order"),
    ],
    ids=["no units", "no times", "beyond", "backwards", "names", "negative", "unsorted"],
)
def test_an_nwb_file_that_cannot_be_is_refused(tmp_path, change, says):
    with pytest.raises(ValueError, match=says):
        nwb_spikes(edited(tmp_path, change))


@pytest.mark.parametrize("size", [0, 100, 5_000, 440_000])
def test_a_truncated_nwb_file_is_refused(tmp_path, size):
    (tmp_path / "cut.nwb").write_bytes(NWB.read_bytes()[:size])
    with pytest.raises(ValueError, match=r"cut\.nwb is no NWB file, or is truncated"):
        nwb_spikes(tmp_path / "cut.nwb")
    with pytest.raises(FileNotFoundError, match="There is no file"):
        nwb_spikes(tmp_path / "none.nwb")


def test_plain_files_agree(tmp_path):
    (tmp_path / "a.csv").write_text("time,unit,area\n0.5,1,M1\n0.25,10,M1\n0.75,1,M1\n")
    np.savez(tmp_path / "b.npz", units=np.array([1, 10, 1]), times=np.array([0.5, 0.25, 0.75]))
    np.savez(tmp_path / "c.npz", first=np.array([0.5, 0.75]), second=np.array([0.25]))
    for name in ("a.csv", "b.npz", "c.npz"):
        found = read_spikes(tmp_path / name)
        assert found.times.tolist() == [0.5, 0.75, 0.25]
        assert found.number.tolist() == [2, 1]
    assert read_spikes(tmp_path / "a.csv").units.tolist() == [1, 10]
    assert read_spikes(tmp_path / "c.npz").units.tolist() == ["first", "second"]


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.csv", "neuron,time\n1,2\n", "must name unit and time"),
        ("a.csv", "", "begins with None"),
        ("a.csv", "unit,time\n1,0.5\n1,soon\n", "line 3: time is 'soon'"),
        ("a.csv", "unit,time\n1\n", "line 2: time is None"),
        ("a.csv", "unit,time\n1,0.5\n1,0.4\n", "out of order"),
        ("a.txt", "", "neither .csv nor .npz"),
        ("a.npz", "PK", "damaged"),
    ],
)
def test_plain_files_that_cannot_be_are_refused(tmp_path, name, text, says):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=says):
        read_spikes(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="There is no file"):
        read_spikes(tmp_path / "none.csv")


def test_npz_of_times_and_units_that_disagree(tmp_path):
    np.savez(tmp_path / "a.npz", units=np.array([1, 1]), times=np.array([0.5]))
    with pytest.raises(ValueError, match=r"units have shape \(2,\), times \(1,\)"):
        read_spikes(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz")
    with pytest.raises(ValueError, match="holds no array"):
        read_spikes(tmp_path / "b.npz")


# ---------------------------------------------------------------- the benchmark's dictionary


def rates(train=4, test=3, bins=5, held_in=6, held_out=2):
    rng = np.random.default_rng(0)
    trials = {"train": train, "eval": test}
    units = {"heldin": held_in, "heldout": held_out}
    return {
        f"{part}_rates_{side}": rng.uniform(0, 1, (trials[part], bins, units[side]))
        for part in trials
        for side in units
    }


def test_a_submission_comes_back_as_it_was(tmp_path):
    known = rates()
    path = tmp_path / "submission.h5"
    write_benchmark(path, benchmark_rates(known), "mc_maze")
    with h5py.File(path) as file:
        assert sorted(file["mc_maze"]) == sorted(KEYS)
    for name in (None, "mc_maze"):
        found = read_benchmark(path, name)
        for key in KEYS:
            np.testing.assert_array_equal(getattr(found, key), known[key])


def test_a_submission_for_several_sets_must_be_named(tmp_path):
    path = tmp_path / "submission.h5"
    with h5py.File(path, "w") as file:
        for number, name in enumerate(["area2", "rtt"]):
            for key, value in rates(train=4 + number).items():
                file[f"{name}/{key}"] = value
            file[f"{name}/eval_rates_heldin_forward"] = np.zeros(3)
    assert len(read_benchmark(path, "rtt").train_rates_heldin) == 5
    for name in (None, "maze"):
        with pytest.raises(ValueError, match="found: area2, rtt"):
            read_benchmark(path, name)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"eval_rates_heldin": rates(test=2)["eval_rates_heldin"]}, "disagree in trials"),
        ({"train_rates_heldout": rates(held_out=3)["train_rates_heldout"]}, "in units"),
        ({"train_rates_heldin": -rates()["train_rates_heldin"]}, "0 or more"),
        ({"train_rates_heldin": np.zeros((4, 6))}, r"shape \(4, 6\)"),
    ],
)
def test_rates_that_cannot_be_are_refused(change, says):
    with pytest.raises(ValueError, match=says):
        benchmark_rates(rates() | change)


def test_a_submission_without_its_keys_says_which(tmp_path):
    known = rates()
    del known["eval_rates_heldin"]
    with pytest.raises(ValueError, match="lacks eval_rates_heldin; found: train_rates_heldin"):
        benchmark_rates(known)
    (tmp_path / "a.h5").write_bytes(b"not hdf5")
    with pytest.raises(ValueError, match=r"no \.h5 file"):
        read_benchmark(tmp_path / "a.h5")
    with pytest.raises(FileNotFoundError, match="There is no file"):
        read_benchmark(tmp_path / "b.h5")
