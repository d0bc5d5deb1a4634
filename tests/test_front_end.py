"""Does the front end see as it should, learn, and then stay as it is?"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pooch
import pytest

from slowpoint.analysis.picture_memory import memories, Settings
from slowpoint.learning import album
from slowpoint.learning.front_end import Features, FrontEnd, frozen, Naming, taught_front_end
from slowpoint.learning.picture_nets import Recipe, taught
from slowpoint.recordings.fetched import FOLDER
from slowpoint.recordings.images import CIFAR10_FILE, Images
from slowpoint.tasks.delayed_classification import DelayedClassification

SMALL = {"filters": (6, 8), "layers": (12,)}


def made_up(number=120, size=8):
    """Ten classes: a bright square in one of ten places."""
    chance = np.random.default_rng(0)
    labels = np.arange(number) % 10
    images = chance.uniform(0, 0.4, size=(number, size, size, 3))
    for image, k in zip(images, labels):
        high = 2 * (k % 4)
        image[high : high + 2, : 2 + 2 * (k // 4)] += 0.6  # mirrored it is the same class
    return Images(
        images.astype(np.float32), labels, np.arange(number) >= 2 * number // 3, "squares"
    )


@pytest.fixture(scope="module")
def pictures():
    return made_up()


@pytest.fixture(scope="module")
def front(pictures):
    start = FrontEnd.random((8, 8, 3), **SMALL, key=jr.key(0))
    return taught_front_end(start, pictures, updates=300, batch=32, rate=3e-3, key=jr.key(1))


@pytest.fixture(scope="module")
def seen(front, pictures):
    return frozen(front, pictures, updates=300, key=jr.key(2), frames=50)


def test_it_convolves_and_halves_as_jax_does():
    front = FrontEnd.random((12, 8, 2), filters=(3, 5), layers=(7, 4), key=jr.key(3))
    images = jr.uniform(jr.key(4), (6, 12, 8, 2))
    maps = images
    for filters, bias in zip(front.filters, front.filter_biases):
        kernel = filters / np.sqrt(np.prod(filters.shape[2:]))
        order = ("NHWC", "HWIO", "NHWC")
        maps = jax.lax.conv_general_dilated(
            maps, kernel, (1, 1), "SAME", dimension_numbers=order
        )
        maps = maps + bias[None, None, None]
        maps = jnp.where(maps > 0, maps, 0.2 * maps)
        window = (1, 2, 2, 1)
        maps = jax.lax.reduce_window(maps, -jnp.inf, jax.lax.max, window, window, "VALID")
    rows = maps.reshape(6, -1)
    for weights, bias in zip(front.layers, front.layer_biases):
        rows = rows @ weights + bias[None]
        rows = jnp.where(rows > 0, rows, 0.2 * rows)
    assert rows.shape == (6, 4)
    assert jnp.allclose(jax.vmap(front.features)(images), rows, atol=1e-6)


def test_the_authors_sizes():
    front = jax.eval_shape(lambda: FrontEnd.random(key=jr.key(0)))
    assert [a.shape for a in front.filters] == [(3, 3, 3, 128), *[(3, 3, 128, 128)] * 2]
    assert [a.shape for a in front.layers] == [(2048, 2048), (2048, 2048), (2048, 1024)]
    assert front.readout.shape == (1024, 10)
    with pytest.raises(ValueError, match=r"12 x 8 can't be halved 3 times.*multiples of 8"):
        FrontEnd.random((12, 8, 3), key=jr.key(0))


def test_it_is_shown_pictures_of_their_class_some_mirrored(pictures):
    few = pictures.rows(np.arange(120) < 10)
    loss = Naming(jnp.asarray(few.images), jnp.asarray(few.labels), 64)
    images, labels = map(np.asarray, loss.shown(jr.key(0)))
    as_is = (images == few.images[labels]).all(axis=(1, 2, 3))
    turned = (images == few.images[labels][:, :, ::-1]).all(axis=(1, 2, 3))
    assert np.logical_xor(as_is, turned).all()
    assert 16 < turned.sum() < 48
    assert len(set(labels)) == 10
    equal = FrontEnd.random((8, 8, 3), **SMALL, key=jr.key(0))
    equal = eqx.tree_at(lambda f: f.readout, equal, jnp.zeros((12, 10)))
    assert float(loss(equal, jr.key(0))) == pytest.approx(np.log(10))
    sure = eqx.tree_at(lambda f: f.readout_bias, equal, 50.0 * jnp.eye(10)[3])
    wrong = (labels != 3).mean()
    assert float(loss(sure, jr.key(0))) == pytest.approx(50 * wrong, rel=1e-5)


def test_it_learns_what_its_labels_say(front, pictures, seen):
    assert seen.learned > 0.9
    assert seen.held_out > 0.7
    named = jax.vmap(front.logits)(pictures.test.images).argmax(axis=1)
    assert seen.held_out == pytest.approx((named == pictures.test.labels).mean())


def test_features_are_kept_picture_by_picture_and_frames_are_of_noise(front, pictures, seen):
    for i in (0, 63, 119):
        alone = front.features(pictures.images[i])
        assert np.allclose(seen.features[i], alone, atol=1e-5)
    learned = pictures.train.images
    draw = learned.mean() + learned.std() * jr.normal(jr.key(9), (400, 8, 8, 3))
    alike = np.asarray(jax.vmap(front.features)(draw))
    gap = np.abs(seen.frames.mean(axis=0) - alike.mean(axis=0)) / alike.std(axis=0)
    assert gap.max() < 0.7  # 50 frames: deviations of a mean are .14
    assert len(np.unique(seen.frames, axis=0)) == 50


def test_no_gradient_reaches_the_front_end(front, pictures, seen):
    few = pictures.rows(np.arange(120) < 4)
    moved = eqx.filter_grad(lambda f: f.features(few.images[0]).sum())(front)
    assert any(jnp.abs(leaf).max() > 0 for leaf in jax.tree.leaves(moved))
    with pytest.raises(jax.errors.TracerArrayConversionError):
        eqx.filter_grad(
            lambda f: frozen(f, few, updates=0, key=jr.key(0), frames=2).features.sum()
        )(front)
    shown = album.of_features(seen, pictures)
    before = [np.array(a) for a in jax.tree.leaves((front, shown.task))]
    recipe = Recipe("gru", "delay", 0, 5, 24, 4, 1e-2)
    training = taught(recipe, shown.task, key=jr.key(0), schedule="cifar")
    after = jax.tree.leaves((front, shown.task))
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    learned = eqx.filter(training.system, eqx.is_inexact_array)
    assert sum(leaf.size for leaf in jax.tree.leaves(learned)) == 15 * (5 + 13 + 1) + 5 + 66


def test_the_task_shows_features_among_stored_frames(seen, pictures):
    shown = album.of_features(seen, pictures)
    task = shown.task
    assert shown.source == "cifar, frozen front end, 80 images"
    assert (shown.calm, shown.schedule, task.input_size) == (1, "cifar", 13)
    trials = jax.vmap(task.trial)(jr.split(jr.key(0), 60))
    known = {row.tobytes() for row in seen.frames}
    inside = np.array(
        [[row.tobytes() in known for row in one] for one in np.array(trials.inputs[:, :, :-1])]
    )
    assert (inside.sum(axis=1) == 19).all()  # all but the picture
    rows = np.array(trials.inputs[:, :, :-1])[inside]
    assert len(np.unique(rows, axis=0)) == 50
    pictures_of = {
        row.tobytes(): k for row, k in zip(seen.features, pictures.labels, strict=True)
    }
    shown_as = [
        pictures_of[row.tobytes()] for row in np.array(trials.inputs[:, :, :-1])[~inside]
    ]
    assert (np.array(trials.targets).argmax(axis=2).max(axis=1) - 1 == shown_as).all()
    assert np.allclose(task.quiet[:-1], seen.frames.mean(axis=0), atol=1e-6)
    assert task.quiet[-1] == 0
    assert shown.test.images.shape == (40, 12)


def test_features_must_be_finite_and_fit():
    good, labels = np.ones((10, 3)), np.arange(10)
    with pytest.raises(ValueError, match="finite"):
        DelayedClassification.of_features(good * np.nan, labels, good)
    with pytest.raises(ValueError, match=r"frames of shape \(0, 3\)"):
        DelayedClassification.of_features(good, labels, good[:0])
    with pytest.raises(ValueError, match=r"2 numbers.*3"):
        DelayedClassification.of_features(good, labels, good[:, :2])


@pytest.mark.slow
def test_a_memory_of_features_learns_and_its_label_is_in_the_result(
    seen, pictures, monkeypatch, tmp_path
):
    shown = album.of_features(seen, pictures)
    where = "slowpoint.learning.picture_study.features_album"
    monkeypatch.setattr(where, lambda updates, folder, *, key: shown)
    settings = Settings(
        data="cifar",
        cells=("gru",),
        curricula=("delay",),
        networks=1,
        units=16,
        updates=400,
        batch=32,
        rate=1e-2,
        searches=(20,),
        deepest=3,
        walk=1000,
        folder=str(tmp_path),
    )
    found = memories(settings)
    assert found.data == "cifar, frozen front end, 80 images"
    assert found.accuracy[0, found.at(4)] > 0.5
    assert list(tmp_path.glob("cifar-800-updates/Remembered/*.npz"))


def test_the_front_end_is_taught_once_and_kept(pictures, monkeypatch, tmp_path):
    calls = []

    def teach(front, pictures, *, updates, key):
        calls.append(updates)
        return front

    small = FrontEnd.random((8, 8, 3), **SMALL, key=jr.key(0))
    monkeypatch.setattr(album, "cifar10", lambda: pictures)
    monkeypatch.setattr(album, "taught_front_end", teach)
    monkeypatch.setattr(FrontEnd, "random", lambda pixels, *, key: small)
    ask = lambda updates: album.features_album(updates, str(tmp_path), key=jr.key(0))
    first, second = (ask(7) for _ in range(2))
    assert calls == [7]
    assert np.array_equal(first.task.examples, second.task.examples)
    assert len(Features.load(tmp_path / "front-end.npz").frames) == 2000
    ask(8)
    assert calls == [7, 8]


def test_without_the_pictures_it_is_said_what_to_type(monkeypatch, tmp_path):
    def unplugged(*_, **__):
        raise ConnectionError("no network")

    monkeypatch.delenv(FOLDER, raising=False)
    monkeypatch.setattr(pooch, "os_cache", lambda _: tmp_path / "cache")
    monkeypatch.setattr("pooch.core.choose_downloader", lambda *_, **__: unplugged)
    with pytest.raises(FileNotFoundError) as caught:
        memories(Settings(data="cifar"))
    words = [CIFAR10_FILE.address, CIFAR10_FILE.sha256, f"export {FOLDER}=", "data=digits"]
    assert all(word in str(caught.value) for word in words)
    monkeypatch.setenv(FOLDER, str(tmp_path))
    (tmp_path / "cifar10_6k.npz").write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(ValueError, match=r"cifar10_6k.npz is damaged.*SHA-256.*data=digits"):
        memories(Settings(data="cifar"))
