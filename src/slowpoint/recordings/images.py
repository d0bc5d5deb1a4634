"""Which pictures are there to be remembered? Digits by hand, animals and vehicles."""

import pathlib
import tarfile
import zlib
from importlib.resources import files

import numpy as np
from jaxtyping import Bool, Float32, Int

from slowpoint.core.result import Result
from slowpoint.recordings.fetched import arrays, fetch, in_folder, refuse, Remote

DIGITS = (
    "Alpaydin and Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine "
    "Learning Repository (CC BY 4.0), as bundled with scikit-learn"
)
MNIST = "LeCun, Cortes and Burges, The MNIST database of handwritten digits (CC BY-SA 3.0)"
CIFAR10 = "Krizhevsky (2009), Learning Multiple Layers of Features from Tiny Images, CIFAR-10"

MNIST_FILE = Remote(
    "MNIST",
    "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz",
    "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",
    "digits(), 1,797 small ones, or mnist(), 7,000 of MNIST (--set data=mnist)",
)
CIFAR10_FILE = Remote(
    "CIFAR-10",
    "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    "digits() or mnist(), which are pictures too (--set data=digits)",
)


class Images(Result):
    """Pictures of ten classes; every pixel is between 0 and 1."""

    images: Float32[np.ndarray, "image *pixel"]
    labels: Int[np.ndarray, " image"]  # 0 to 9
    held_out: Bool[np.ndarray, " image"]  # to test with, not to learn from
    source: str

    @property
    def train(self) -> "Images":
        """Those to learn from."""
        return self.rows(~self.held_out)

    @property
    def test(self) -> "Images":
        """Those held out."""
        return self.rows(self.held_out)

    def rows(self, mask: Bool[np.ndarray, " image"]) -> "Images":
        """The images where `mask` holds."""
        return Images(self.images[mask], self.labels[mask], self.held_out[mask], self.source)


def digits() -> Images:
    """The 1,797 handwritten digits of 8 x 8 pixels; every fifth, 360 of them, is held out.

    Alpaydin and Kaynak (1998), UCI Machine Learning Repository.
    """
    with np.load(shipped("digits.npz"), allow_pickle=False) as file:
        images, labels = file["images"], file["labels"]
    held_out = np.arange(len(labels)) % 5 == 0
    return Images(images / np.float32(16), labels.astype(int), held_out, DIGITS)


def mnist(*, full: bool = False) -> Images:
    """Handwritten digits of 28 x 28 pixels: 7,000, of which 1,000 are held out; `full`: 70,000.

    The small set, the first of each class, comes with the package. The full one is
    `mnist.npz` in the folder that SLOWPOINT_DATA names, or is fetched once. LeCun, Cortes and
    Burges. Raises FileNotFoundError when it cannot be had, ValueError when it is damaged.
    """
    path = shipped("mnist_7k.npz")
    if full:
        path = in_folder("mnist.npz") or fetch(MNIST_FILE)
    part = arrays(path, _shapes(28, 28), MNIST_FILE)
    return _two_parts(part, f"{MNIST}{'' if full else ', the first of each class'}")


def cifar10() -> Images:
    """Animals and vehicles in colour, 32 x 32 pixels x 3. Krizhevsky (2009).

    Those of the folder that SLOWPOINT_DATA names: `cifar10_6k.npz` (6,000 of them) or the
    published `cifar-10-binary.tar.gz`; else all 60,000, fetched once. Raises FileNotFoundError
    when they cannot be had, ValueError when they are damaged.
    """
    if path := in_folder("cifar10_6k.npz"):
        part = arrays(path, _shapes(32, 32, 3), CIFAR10_FILE)
        return _two_parts(part, f"{CIFAR10}, {len(part['x_train'])} to learn from")
    path = in_folder("cifar-10-binary.tar.gz") or fetch(CIFAR10_FILE)
    return _two_parts(_batches(path), CIFAR10)


def shipped(name: str) -> pathlib.Path:
    """A file that comes with the package."""
    return pathlib.Path(str(files("slowpoint.recordings"))) / "data" / name


def _shapes(*pixels: int) -> dict[str, tuple[int, ...]]:
    return {"x_train": pixels, "y_train": (), "x_test": pixels, "y_test": ()}


def _two_parts(part: dict[str, np.ndarray], source: str) -> Images:
    images = np.concatenate([part["x_train"], part["x_test"]])
    labels = np.concatenate([part["y_train"], part["y_test"]])
    held_out = np.arange(len(labels)) >= len(part["y_train"])
    return Images(images / np.float32(255), labels.astype(int), held_out, source)


def _batches(path: pathlib.Path) -> dict[str, np.ndarray]:
    """The published binary: records of a label and 3 x 32 x 32 pixels, colour by colour."""
    names = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
    try:
        with tarfile.open(path, "r:gz") as archive:
            members = [archive.extractfile(f"cifar-10-batches-bin/{n}.bin") for n in names]
            raw = [np.frombuffer(member.read(), np.uint8) for member in members if member]
        rows = [part.reshape(-1, 1 + 3 * 32 * 32) for part in raw]
    except (OSError, EOFError, KeyError, ValueError, tarfile.TarError, zlib.error) as error:
        refuse(path, str(error), CIFAR10_FILE)
    pixels = [part[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1) for part in rows]
    labels = [part[:, 0] for part in rows]
    return {
        "x_train": np.concatenate(pixels[:-1]),
        "y_train": np.concatenate(labels[:-1]),
        "x_test": pixels[-1],
        "y_test": labels[-1],
    }
