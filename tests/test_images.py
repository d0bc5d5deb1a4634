"""Are the pictures whole, and is it said what to do where they are not?"""

import hashlib
import io
import tarfile

import numpy as np
import pooch
import pytest

from slowpoint.recordings import fetched
from slowpoint.recordings.fetched import FOLDER
from slowpoint.recordings.images import cifar10, CIFAR10_FILE, digits, Images, mnist, MNIST_FILE


def test_the_digits():
    data = digits()
    assert data.images.shape == (1797, 8, 8)
    assert np.bincount(data.labels).tolist() == [
        178,
        182,
        177,
        183,
        181,
        182,
        181,
        179,
        174,
        180,
    ]
    assert data.images.min() == 0
    assert data.images.max() == 1
    assert set(np.unique(data.images * 16)) == set(range(17))
    assert data.images.mean() == pytest.approx(4.884165 / 16, rel=1e-6)  # as scikit-learn's
    assert "CC BY 4.0" in data.source


def test_learning_and_testing_share_no_image():
    data = digits()
    assert len(data.test.labels) == 360
    assert len(data.train.labels) == 1437
    assert not data.train.held_out.any()
    assert np.bincount(data.test.labels).min() > 25
    again = np.concatenate([data.train.images, data.test.images]).sum()
    assert again == pytest.approx(data.images.sum(), rel=1e-5)


def test_the_small_mnist():
    data = mnist()
    assert data.images.shape == (7000, 28, 28)
    assert np.bincount(data.train.labels).tolist() == [600] * 10
    assert np.bincount(data.test.labels).tolist() == [100] * 10
    assert data.images.max() == 1
    assert data.train.images.mean() == pytest.approx(0.1307, abs=0.003)
    assert data.train.images.std() == pytest.approx(0.3082, abs=0.003)
    assert data.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert "CC BY-SA 3.0" in data.source


def test_a_named_folder_comes_first(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER, str(tmp_path))
    draw = np.random.default_rng(0).integers
    for name, pixels in (("mnist.npz", (28, 28)), ("cifar10_6k.npz", (32, 32, 3))):
        images = draw(256, size=(7, *pixels), dtype=np.uint8)
        labels = draw(10, size=7, dtype=np.uint8)
        rows = {"x_train": images[:5], "y_train": labels[:5]}
        rows |= {"x_test": images[5:], "y_test": labels[5:]}
        np.savez(tmp_path / name, **rows)
        data = mnist(full=True) if name == "mnist.npz" else cifar10()
        np.testing.assert_array_equal(np.round(data.images * 255), images)
        np.testing.assert_array_equal(data.labels, labels)
        assert data.held_out.tolist() == [False] * 5 + [True] * 2


def test_the_published_cifar10_is_read_colour_by_colour(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER, str(tmp_path))
    pixels = np.random.default_rng(1).integers(256, size=(12, 32, 32, 3), dtype=np.uint8)
    names = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
    with tarfile.open(tmp_path / "cifar-10-binary.tar.gz", "w:gz") as archive:
        for i, name in enumerate(names):
            records = b"".join(
                bytes([j % 10]) + pixels[j].transpose(2, 0, 1).tobytes()
                for j in (2 * i, 2 * i + 1)
            )
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}.bin")
            info.size = len(records)
            archive.addfile(info, io.BytesIO(records))
    data = cifar10()
    np.testing.assert_array_equal(np.round(data.images * 255), pixels)
    np.testing.assert_array_equal(data.labels, np.arange(12) % 10)
    assert data.held_out.sum() == 2


def test_what_is_fetched_is_checked_and_kept(tmp_path, monkeypatch):
    published = tmp_path / "published.npz"
    rng = np.random.default_rng(0)
    part = {
        f"x_{p}": rng.integers(256, size=(3, 28, 28), dtype=np.uint8) for p in ("train", "test")
    }
    part |= {f"y_{p}": np.arange(3, dtype=np.uint8) for p in ("train", "test")}
    np.savez(published, **part)
    told = hashlib.sha256(published.read_bytes()).hexdigest()
    remote = MNIST_FILE._replace(address="https://example.invalid/mnist.npz", sha256=told)
    asked = []

    def copy(url, output_file, _):
        asked.append(url)
        with open(output_file, "wb") as file:
            file.write(published.read_bytes())

    monkeypatch.setattr(pooch, "os_cache", lambda _: tmp_path / "cache")
    monkeypatch.setattr("pooch.core.choose_downloader", lambda *_, **__: copy)
    first, second = fetched.fetch(remote), fetched.fetch(remote)
    assert first == second
    assert asked == [remote.address]
    with pytest.raises(FileNotFoundError, match="hash"):
        fetched.fetch(remote._replace(sha256="0" * 64))


@pytest.mark.parametrize(
    ("ask", "remote"), [(lambda: mnist(full=True), MNIST_FILE), (cifar10, CIFAR10_FILE)]
)
def test_offline_it_says_what_to_type(tmp_path, monkeypatch, ask, remote):
    def unplugged(*_, **__):
        raise ConnectionError("no network\nwith a long explanation")

    monkeypatch.delenv(FOLDER, raising=False)
    monkeypatch.setattr(pooch, "os_cache", lambda _: tmp_path / "cache")
    monkeypatch.setattr("pooch.core.choose_downloader", lambda *_, **__: unplugged)
    with pytest.raises(FileNotFoundError) as caught:
        ask()
    says = str(caught.value)
    words = [remote.address, remote.sha256, f"export {FOLDER}=", "digits()", "(no network)"]
    assert all(word in says for word in words)
    assert caught.value.errno is None  # so that the command line prints these words


def test_a_damaged_file_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER, str(tmp_path))
    (tmp_path / "mnist.npz").write_bytes(b"PK\x03\x04 cut off")
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(b"\x1f\x8b cut off")
    for ask, name in ((lambda: mnist(full=True), "mnist.npz"), (cifar10, "cifar-10")):
        with pytest.raises(ValueError, match=rf"{name}.*damaged.*SHA-256.*export.*digits\(\)"):
            ask()
    np.savez(tmp_path / "mnist.npz", x_train=np.zeros(3))
    with pytest.raises(ValueError, match="damaged"):
        mnist(full=True)
    wrong = dict.fromkeys(["x_train", "y_train", "x_test", "y_test"], np.zeros((3, 28, 28)))
    np.savez(tmp_path / "mnist.npz", **wrong)
    with pytest.raises(ValueError, match=r"x_train is float64 of shape \(3, 28, 28\)"):
        mnist(full=True)


def test_a_folder_that_is_not_there_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER, str(tmp_path / "nothing"))
    with pytest.raises(FileNotFoundError, match="nothing, which is no folder"):
        mnist(full=True)


def test_images_survive_a_file(tmp_path):
    data = digits().test
    data.save(tmp_path / "images.npz")
    again = Images.load(tmp_path / "images.npz")
    for name, value in vars(data).items():
        np.testing.assert_array_equal(getattr(again, name), value)
