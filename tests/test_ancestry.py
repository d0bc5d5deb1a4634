"""Are points followed back to where they were on paper, and jumps told?"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from jaxtyping import Array, Float

from slowpoint.analysis.ancestry import Ancestry, likeness, track_back
from slowpoint.analysis.branch import Branch
from slowpoint.analysis.class_points import class_slow_points, ToTheBottom
from slowpoint.analysis.events import Clock, see
from slowpoint.analysis.walk import _events, Spot, Steps, Way
from slowpoint.cells.gru import GRU
from slowpoint.core.precision import float64
from slowpoint.core.system import Map
from slowpoint.tasks.delayed_classification import DelayedClassification

CLASSES = 4
IMAGES = np.tile(np.eye(CLASSES, dtype=np.float32), (3, 1))
TASK = DelayedClassification.of(IMAGES, np.tile(np.arange(CLASSES), 3))
TAUGHT = np.array([2, 2, 3, 4, 4])


class Wells(Map):
    """Pulled to the nearest of four places on a line; the nearest is also what is named."""

    places: Float[Array, " class"]
    state_size: int = eqx.field(static=True, default=1)
    input_size: int = eqx.field(static=True, default=CLASSES + 1)
    output_size: int = eqx.field(static=True, default=CLASSES + 1)
    dt: float = eqx.field(static=True, default=1.0)

    def step(self, x, u):
        nearest = self.places[jnp.argmin(jnp.abs(x[0] - self.places))]
        return x + 0.3 * (nearest - x) + 0.0 * u[:1]

    def output(self, x):
        return jnp.append(-100.0, -jnp.abs(x[0] - self.places))

    def box(self, u):
        return -3.0 * jnp.ones(1), 3.0 * jnp.ones(1)


def wells(*rows):
    with float64():
        return Wells(jnp.asarray(np.array(rows, float)))


END = [-2.0, -1.0, 1.0, 2.0]


def test_equal_snapshots_have_no_jumps():
    with float64():
        net = GRU.random(6, 5, 5, key=jr.key(0))
    same = jax.tree.map(lambda a: np.stack([np.asarray(a)] * 3), net)
    centres = np.random.default_rng(0).uniform(-1, 1, (4, 6))
    points = class_slow_points(net, TASK, centres)
    found = track_back(same, TASK, points.states, np.array([4, 4, 4]), ToTheBottom())
    assert np.abs(found.jumps).max() < 1e-7
    np.testing.assert_allclose(found.states[:, 0], points.states, atol=1e-7)
    assert (found.named == points.named[:, None]).all()
    assert (found.gradients < 1e-10).all()


def test_points_that_move_are_followed_and_their_parents_named():
    """Class 3 lies in the well of 2 before it is taught, class 2 in that of 1."""
    places = [
        [-2.0, 1.5, 9.0, 9.0],
        [-2.0, 1.2, 9.0, 9.0],
        [-2.0, -1.0, 1.5, 9.0],
        [-2.0, -1.0, 1.1, 2.0],
        END,
    ]
    found = track_back(wells(*places), TASK, np.array(END)[:, None], TAUGHT, ToTheBottom())
    np.testing.assert_allclose(found.states[3, :, 0], [1.5, 1.2, 1.5, 2.0, 2.0], atol=1e-9)
    np.testing.assert_allclose(found.states[0, :, 0], -2.0, atol=1e-9)
    np.testing.assert_allclose(found.jumps[3], [0.3, 0.3, 0.5, 0.0, 0.0], atol=1e-9)
    assert found.parents.tolist() == [-2, -2, 1, 2]
    assert found.named[3].tolist() == [1, 1, 2, 3, 3]
    assert found.speeds.max() < 1e-9
    known = found.jumps[:, [1, 2]].mean() / found.jumps[:, [0, 3]].mean()
    assert found.ratio(np.array([1, 2])) == pytest.approx(known)


def test_each_snapshot_begins_where_the_next_one_ended():
    """From 2, where the point is at last, the nearest place at first would be 2.2."""
    places = [[-2.0, -1.0, 2.2, 0.4], [-2.0, -1.0, 2.2, 0.9], [-2.0, -1.0, 2.9, 1.5], END]
    four = np.full(4, 4)
    found = track_back(wells(*places), TASK, np.array(END)[:, None], four, ToTheBottom())
    np.testing.assert_allclose(found.states[3, :, 0], [0.4, 0.9, 1.5, 2.0], atol=1e-9)


def test_a_class_not_yet_taught_is_no_parent():
    """Without that rule the point of class 3 would be its own parent."""
    found = track_back(wells(*[END] * 5), TASK, np.array(END)[:, None], TAUGHT, ToTheBottom())
    assert found.parents.tolist() == [-2, -2, 1, 2]
    assert found.named[3].tolist() == [1, 1, 2, 3, 3]


class Shows(Map):
    """Keeps the picture and names the pixel that is largest by its own scale."""

    scale: Float[Array, " class"]
    state_size: int = eqx.field(static=True, default=CLASSES)
    input_size: int = eqx.field(static=True, default=CLASSES + 1)
    output_size: int = eqx.field(static=True, default=CLASSES + 1)
    dt: float = eqx.field(static=True, default=1.0)

    def step(self, x, u):
        return jnp.where((x == 0).all(), u[:-1], x)

    def output(self, x):
        return jnp.append(-100.0, self.scale * (x + 0.1 * jnp.roll(x, -1)))


def test_the_control_reads_out_centres_at_the_same_snapshot():
    with float64():
        nets = Shows(jnp.ones((5, CLASSES)))
    found = likeness(nets, TASK, TAUGHT, key=jr.key(0))
    assert found.tolist() == [-2, -2, 1, 2]  # the pixel before it has a tenth of it


def test_an_ancestry_survives_its_file(tmp_path):
    found = track_back(wells(*[END] * 5), TASK, np.array(END)[:, None], TAUGHT, ToTheBottom())
    found.save(tmp_path / "found.npz")
    again = Ancestry.load(tmp_path / "found.npz")
    for name, value in vars(found).items():
        np.testing.assert_array_equal(getattr(again, name), value)
    with pytest.raises(ValueError, match="leave some"):
        found.ratio(np.arange(4))


@pytest.mark.parametrize("classes", [[4, 4, 4], [4, 3, 4, 4, 4]])
def test_wrong_numbers_of_classes_are_refused(classes):
    with pytest.raises(ValueError, match="for 5 snapshots"):
        track_back(wells(*[END] * 5), TASK, np.array(END)[:, None], np.array(classes))


def test_a_point_that_only_just_stands_still_does_not_ask_for_itself():
    """A leg that follows fixed points meets an end that is not known to be one."""
    seen = see(Clock(True, 1.0), np.zeros(1), 0.0, np.array([[-0.5]]))
    still, moving = (
        Spot(seen._replace(value=v), {"kinds": k}) for v, k in ((0.0, 1), (1.0, 0))
    )
    branch = Branch(lambda value: Wells(value * jnp.ones(CLASSES)), jnp.zeros(CLASSES + 1))
    assert _events(Way(branch, Clock(True, 1.0), 1.0, False, Steps()), still, moving) == []
