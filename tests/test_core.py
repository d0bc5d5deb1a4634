"""Do the nouns of the house keep their word?"""

import dataclasses
import math
import re

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pydantic
import pytest
from hypothesis import given, settings, strategies as st
from jaxtyping import Bool, Complex, Float, Int, Shaped
from test_contracts import check_system, check_task

from slowpoint.cells.gru import GRU
from slowpoint.cells.linear import Linear
from slowpoint.cells.vanilla import Vanilla
from slowpoint.core.claim import (
    at_least,
    at_most,
    Claim,
    equal,
    load_claims,
    reported,
    save_claims,
)
from slowpoint.core.clock import Continuous, on_clock, RungeKutta
from slowpoint.core.closed_loop import ClosedLoop
from slowpoint.core.files import replacing
from slowpoint.core.precision import float64, to_numpy, widen
from slowpoint.core.result import load_all, Result, save_all
from slowpoint.core.rollout import rollout, Trajectory
from slowpoint.core.settings import Settings
from slowpoint.core.trial import epochs, sign_accuracy, Trial, weighted_mse, WithNoise
from slowpoint.core.wrap import Delayed, Held, Noisy, Sampled
from slowpoint.tasks.flipflop import FlipFlop
from slowpoint.worlds.bistable import Bistable
from slowpoint.worlds.double_integrator import DoubleIntegrator
from slowpoint.worlds.duffing import Duffing

NONE = jnp.zeros(0)


# ---------------------------------------------------------------- Result


class Found(Result):
    states: Float[np.ndarray, "point state"]
    rates: Complex[np.ndarray, "point state"]
    square: Float[np.ndarray, "state state"]
    kinds: Int[np.ndarray, " point"]
    sure: Bool[np.ndarray, " point"]
    names: Shaped[np.ndarray, " point"]
    note: str
    steps: int
    speed: float
    done: bool
    radius: Float[np.ndarray, " point"] | None = None


class Other(Result):
    note: str


def found(points=2, **changes):
    rng = np.random.default_rng(0)
    fields = {
        "states": rng.normal(size=(points, 3)),
        "rates": rng.normal(size=(points, 3)) + 1j,
        "square": rng.normal(size=(3, 3)),
        "kinds": np.arange(points),
        "sure": np.ones(points, bool),
        "names": np.array(["µ", "corner"][:points], "U6"),
        "note": "a sentence, with µ",
        "steps": 7,
        "speed": 1e-300,
        "done": True,
    }
    return Found(**fields | changes)


@pytest.mark.parametrize("points", [2, 0])
@pytest.mark.parametrize("radius", [None, "some"])
def test_a_result_comes_back_from_its_file(tmp_path, points, radius):
    made = found(points, radius=None if radius is None else np.full(points, np.nan))
    made.save(tmp_path / "found.npz")
    again = Found.load(tmp_path / "found.npz")
    for name, value in vars(made).items():
        assert type(getattr(again, name)) is type(value)
        np.testing.assert_array_equal(getattr(again, name), value)
    with np.load(tmp_path / "found.npz", allow_pickle=False) as plain:
        assert np.array_equal(plain["states"], made.states)  # numpy alone can read it


@settings(max_examples=20, deadline=None)
@given(value=st.floats(), count=st.integers(-(2**62), 2**62), word=st.text(max_size=9))
def test_numbers_and_words_come_back(tmp_path_factory, value, count, word):
    path = tmp_path_factory.mktemp("r") / "found.npz"
    word = word.rstrip("\x00")  # numpy's strings end at trailing zeros
    found(speed=value, steps=count, note=word).save(path)
    again = Found.load(path)
    assert again.speed == value or math.isnan(value)
    assert (again.steps, again.note) == (count, word)


def test_a_jax_array_comes_back_as_numpy(tmp_path):
    made = Trajectory(jnp.ones((2, 3)), jnp.zeros((2, 1)))
    made.save(tmp_path / "t.npz")
    again = Trajectory.load(tmp_path / "t.npz")
    assert type(again.states) is np.ndarray
    assert again.states.dtype == np.float32


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "found.npz"
    found().save(path)
    before = path.read_bytes()

    def full(file, **arrays):
        file.write(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space"):
        found(0).save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]  # nothing left beside it


def test_a_result_says_what_it_cannot_save_or_read(tmp_path):
    path = tmp_path / "r.npz"
    with pytest.raises(TypeError, match="Found: names cannot be saved"):
        found(names=np.array([{}, {}], object)).save(path)
    assert not path.exists()
    Other("a").save(path)
    with pytest.raises(
        ValueError, match=r"holds a Other, not a Found. Read it with Other.load"
    ):
        Found.load(path)
    np.savez(path, x=np.zeros(2))
    with pytest.raises(ValueError, match="file of another program"):
        Found.load(path)
    np.savez(path, _kind=np.array("Other"), _format=np.array(99), note=np.array("a"))
    with pytest.raises(ValueError, match=r"format 99.*pip install --upgrade"):
        Other.load(path)
    with pytest.raises(FileNotFoundError, match="mkdir -p"):
        Other("a").save(tmp_path / "nowhere" / "r.npz")


def test_a_pickle_is_refused(tmp_path):
    path = tmp_path / "r.npz"
    np.savez(path, _kind=np.array("Other"), _format=np.array(1), note=np.array({}, object))
    with pytest.raises(ValueError, match="allow_pickle=False"):
        Other.load(path)


def test_all_results_of_a_run_come_back_from_their_folder(tmp_path):
    @dataclasses.dataclass(frozen=True)
    class Results:
        points: Found
        words: Other

    save_all(tmp_path, Results(found(), Other("a")))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["points.npz", "words.npz"]
    again = load_all(tmp_path, Results)
    assert again.words.note == "a"
    assert np.array_equal(again.points.states, found().states)


def test_a_result_names_its_axes_in_xarray():
    pytest.importorskip("xarray")
    data = found().to_xarray()
    assert data["states"].dims == ("point", "state")
    assert data["square"].dims == ("state", "state_1")
    assert data["steps"].dims == ()
    assert "radius" not in data
    assert Trajectory(jnp.ones((2, 3)), jnp.ones((2, 1))).to_xarray()["states"].dims == (
        "time",
        "state",
    )


def test_a_result_shows_its_shapes():
    text = repr(found())
    assert "states: float64[2,3]" in text
    assert "steps: 7" in text


class Shown(Result):
    mess: str
    few: Float[np.ndarray, " few"]
    many: Float[np.ndarray, "many 2"]
    nothing: Float[np.ndarray, " none"]
    flags: Bool[np.ndarray, " flag"]
    radius: float | None = None


def test_a_result_is_a_table_in_a_notebook():
    many = np.linspace(-1.0, 2.0, 20).reshape(10, 2)
    many[3, 1] = np.inf
    shown = Shown("<b>", np.array([0.5, -1.25]), many, np.zeros(0), np.ones(9, bool))
    rows = {
        name: rest
        for name, *rest in re.findall(
            "<tr>" + "<td>(.*?)</td>" * 3 + "</tr>", shown._repr_html_()
        )
    }
    assert rows == {
        "mess": ["&#x27;&lt;b&gt;&#x27;", ""],
        "few": ["float64[2]", "[ 0.5 -1.25]"],
        "many": ["float64[10,2]", "-1 to 2, 1 not finite"],
        "nothing": ["float64[0]", ""],
        "flags": ["bool[9]", ""],
        "radius": ["None", ""],
    }
    none = dataclasses.replace(shown, many=np.full((9, 2), np.nan))
    assert "<td>none, 18 not finite</td>" in none._repr_html_()
    assert "<caption>Shown</caption>" in none._repr_html_()


def test_replacing_cleans_up_after_an_interrupt(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def interrupted():
        with replacing(path) as beside:
            beside.write_text("new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "old"
    with replacing(path) as beside:
        beside.write_text("new")
        assert path.read_text() == "old"  # until the block ends
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


# ---------------------------------------------------------------- Settings and Claim


class Some(Settings):
    units: int = pydantic.Field(default=3, ge=1, description="neurons")
    rate: float = pydantic.Field(default=0.1, description="step size")
    gated: bool = pydantic.Field(default=False, description="whether there are gates")


def test_settings_change_by_words():
    changed = Some().changed(["units=8", "rate=1e-3", "gated=true", "seed=4"])
    assert changed == Some(units=8, rate=1e-3, gated=True, seed=4)
    assert Some().changed([]) == Some()


class Many(Settings):
    cells: tuple[str, ...] = pydantic.Field(default=("gru",), min_length=1, description="kinds")
    rates: tuple[float, ...] = pydantic.Field(default=(0.1,), description="steps")
    loads: tuple[tuple[int, ...], ...] = pydantic.Field(default=(), description="rows")


def test_settings_take_several_values_by_words():
    words = ["cells=gru, lstm", "rates=1e-3,2", "loads=(1,2),(3,)"]
    assert Many().changed(words) == Many(
        cells=("gru", "lstm"), rates=(1e-3, 2.0), loads=((1, 2), (3,))
    )
    assert Many().changed(["cells=gru", "rates=3"]) == Many(cells=("gru",), rates=(3.0,))
    assert Many().changed(["cells=('a', 'b')", "rates=[.5]"]).cells == ("a", "b")
    assert Many().changed(["rates="]).rates == ()
    with pytest.raises(ValueError, match=r"cells=\(\): Tuple should have at least 1 item"):
        Many().changed(["cells="])
    with pytest.raises(ValueError, match=r"rates='fast': .*number"):
        Many().changed(["rates=fast,2"])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["unit=8"], r"No setting 'unit'. Did you mean 'units'\? There is: gated, rate, seed"),
        (["zzz=8"], r"No setting 'zzz'. There is: gated"),
        (["units"], "'units' is not KEY=VALUE. Type for example: --set seed=1"),
        (["units=many"], "units='many': .*integer"),
        (["units=0"], "units='0': .*greater than or equal to 1"),
        (["seed=-1"], "seed='-1'"),
    ],
)
def test_wrong_settings_say_what_to_type(words, says):
    with pytest.raises(ValueError, match=says):
        Some().changed(words)


def test_settings_are_frozen_and_closed():
    with pytest.raises(pydantic.ValidationError):
        Some().units = 4  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(pydantic.ValidationError):
        Some(unit=4)  # pyright: ignore[reportCallIssue]


@pytest.mark.parametrize(
    ("claim", "holds"),
    [
        (at_least("a", 2.0, 2.0), True),
        (at_least("a", 1.9, 2.0), False),
        (at_most("a", 2.0, 2.0), True),
        (at_most("a", 2.1, 2.0), False),
        (equal("a", 27.0, 27.0), True),
        (equal("a", 26.0, 27.0), False),
        (at_least("a", math.nan, 2.0), False),
        (at_most("a", math.nan, 2.0), False),
        (equal("a", math.nan, math.nan), False),
        (at_least("a", math.inf, 2.0), True),
    ],
)
def test_a_claim_holds_or_fails(claim, holds):
    assert claim.holds() is holds
    assert claim.verdict("quick") == claim.verdict("full") == ("holds" if holds else "fails")


@pytest.mark.parametrize("value", [1.5, math.inf, math.nan])
def test_a_number_without_a_bar_is_never_judged(value, tmp_path):
    claim = reported("how large it is", value)
    assert claim.verdict("quick") == claim.verdict("full") == "reported"
    assert not claim.holds()
    assert claim.line("full") == f"reported how large it is: {value:.6g}"
    save_claims(tmp_path / "claims.json", [claim], "full")
    assert load_claims(tmp_path / "claims.json")[0]["verdict"] == "reported"


def test_a_bar_of_the_full_scale_is_only_reported_in_a_quick_run():
    claim = at_least("trained", 0.5, 0.9, scale="full")
    assert claim.verdict("quick") == "reported"
    assert claim.verdict("full") == "fails"
    assert claim.line("full") == "fails    trained: 0.5 (>= 0.9)"


def test_claims_come_back_from_their_file(tmp_path):
    claims = [at_least("a", 1.0, 2.0), at_most("b", math.nan, 1.0, scale="full")]
    save_claims(tmp_path / "claims.json", claims, "quick")
    first, second = load_claims(tmp_path / "claims.json")
    assert (first["verdict"], second["verdict"]) == ("fails", "reported")
    assert Claim(**{k: v for k, v in first.items() if k != "verdict"}) == claims[0]
    assert math.isnan(float(second["value"]))


# ---------------------------------------------------------------- precision


def test_float64_is_local():
    def kind():
        return jnp.zeros(1).dtype

    assert kind() == jnp.float32
    with float64():
        assert kind() == jnp.float64
        wide = widen({"a": jnp.ones(2, jnp.float32), "n": 3, "i": np.arange(2)})
        assert wide["a"].dtype == jnp.float64
        assert (wide["n"], wide["i"].dtype) == (3, np.arange(2).dtype)
        out = to_numpy(wide["a"] / 3)
    assert kind() == jnp.float32
    assert type(out) is np.ndarray
    assert out[0] == 1 / 3


# ---------------------------------------------------------------- rollout and start


def test_a_rollout_begins_where_the_trial_says_and_else_at_initial():
    given = jnp.arange(1.0, 5.0)
    net = GRU.random(4, 1, 1, key=jr.key(0))
    net = eqx.tree_at(lambda n: n.initial_state, net, given, is_leaf=lambda x: x is None)
    inputs = jnp.zeros((1, 1))
    for start, full in [([], [1, 2, 3, 4]), ([9.0], [9, 2, 3, 4]), ([9.0] * 4, [9] * 4)]:
        run = rollout(net, jnp.array(start), inputs)
        assert jnp.allclose(run.states[0], net.step(jnp.array(full, float), inputs[0]))
    with pytest.raises(ValueError, match=r"5 numbers, the state of GRU has 4. Give 4 or fewer"):
        rollout(net, jnp.zeros(5), inputs)
    with pytest.raises(ValueError, match=r"3 channels, GRU takes 1.*shape \(time, 1\)"):
        rollout(net, jnp.zeros(0), jnp.zeros((2, 3)))


def test_a_leaky_integrator_decays_as_on_paper():
    net = Linear(jnp.zeros((1, 1)), jnp.ones((1, 1)), jnp.zeros(1), 2 * jnp.eye(1), dt=0.25)
    run = rollout(net, jnp.array([1.0]), jnp.zeros((8, 1)))
    assert jnp.allclose(run.states[:, 0], 0.75 ** jnp.arange(1, 9))
    assert jnp.allclose(run.outputs, 2 * run.states)


def test_rematerialisation_changes_neither_states_nor_gradients():
    net = Vanilla.random(6, 1, 2, gain=1.5, key=jr.key(0))
    inputs = jr.normal(jr.key(1), (7, 1))  # two stretches of three, and one step

    def last(net, remat):
        run = rollout(net, jnp.zeros(0), inputs, remat=remat)
        return run.states[-1].sum(), run

    plain, remade = (
        eqx.filter_value_and_grad(last, has_aux=True)(net, r) for r in (False, True)
    )
    for one, two in zip(jax.tree.leaves(plain), jax.tree.leaves(remade), strict=True):
        assert jnp.allclose(one, two, rtol=1e-5, atol=1e-6)


# ---------------------------------------------------------------- wrappers


def integrator(dt=1.0):
    """x' = u."""
    return Linear(jnp.eye(1), jnp.ones((1, 1)), jnp.zeros(1), jnp.eye(1), dt=dt)


def net():
    return Vanilla.random(6, 2, 2, form="rate", key=jr.key(0))


def agent():
    return GRU.random(5, 2, 1, key=jr.key(0))


def mass():
    return DoubleIntegrator(dt=0.1)


WRAPPED = {
    "noisy": lambda: Noisy(net(), 0.3),
    "delayed": lambda: Delayed(net(), 2),
    "sampled": lambda: Sampled(net()),
    "held": lambda: Held(net(), jnp.array([0.2, -0.1])),
    "held gru": lambda: Held(agent(), jnp.array([0.2, -0.1])),
    "noisy sampled": lambda: Noisy(Sampled(net()), 0.3),
    "continuous": lambda: Continuous(agent()),
    "runge kutta": lambda: RungeKutta(net(), 0.05),
    "loop": lambda: ClosedLoop(mass(), agent(), observation_noise=0.1),
    "loop, agent first": lambda: ClosedLoop(Noisy(mass(), 0.1), agent(), "agent"),
}


@pytest.mark.parametrize("name", WRAPPED)
def test_a_wrapped_system_is_a_system(name):
    check_system(WRAPPED[name]())


@pytest.mark.parametrize("dt", [0.1, 0.5])
def test_noise_of_unit_time_has_the_stated_size(dt):
    """Var x(T) = scale^2 T for an integrator, whatever dt."""
    net = Noisy(integrator(dt), 0.3)
    kicks = jr.normal(jr.key(0), (2000, round(1 / dt), 1))
    inputs = jnp.concatenate([jnp.zeros_like(kicks), kicks], axis=2)
    ends = jax.vmap(lambda u: rollout(net, jnp.zeros(1), u).states[-1])(inputs)
    assert abs(ends.std() / 0.3 - 1) < 4 / math.sqrt(2 * 2000)  # four standard errors


def test_noise_is_the_last_part_of_the_input():
    net = Noisy(Linear.random(3, 2, 1, dt=0.25, key=jr.key(0)), 0.4)
    x, signal, kick = jnp.ones(3), jnp.array([1.0, -1.0]), jnp.array([1.0, 0.0, -2.0])
    expected = net.inside.step(x, signal) + 0.4 * 0.5 * kick
    assert jnp.allclose(net.step(x, jnp.concatenate([signal, kick])), expected)


@pytest.mark.parametrize("ticks", [0, 1, 2])
def test_a_delayed_integrator_sums_what_was_sent_before(ticks):
    inputs = jnp.array([[1.0], [10.0], [100.0], [1000.0]])
    run = rollout(Delayed(integrator(), ticks), jnp.array([5.0]), inputs)
    sums = [5.0, 6.0, 16.0, 116.0, 1116.0]
    assert run.outputs[:, 0].tolist() == [sums[max(0, t + 1 - ticks)] for t in range(4)]


def test_a_delay_in_the_future_is_refused():
    with pytest.raises(ValueError, match=r"-1 ticks is in the future. Give 0 or more"):
        Delayed(integrator(), -1)


@pytest.mark.parametrize(("dt", "agree"), [(0.001, True), (0.9, False)])
def test_steps_and_flow_have_the_same_rates_when_steps_are_short(dt, agree):
    flow = Duffing(damping=0.5, dt=dt)
    x = jnp.array([1.0, 0.0])
    steps, exact = Sampled(flow).rates(x, NONE), flow.rates(x, NONE)
    assert np.allclose(np.sort(steps.real), np.sort(exact.real), atol=5e-3) is agree
    multiplier = 1 + dt * exact  # of one Euler step
    assert np.allclose(np.sort(steps.real), np.sort(np.log(np.abs(multiplier)) / dt), atol=1e-3)


def test_a_long_step_loses_the_box():
    assert Sampled(Bistable(dt=0.05)).box(NONE) is not None
    assert Sampled(Bistable(dt=0.5)).box(NONE) is None
    net = Vanilla.random(3, 1, 1, form="rate", dt=1.5, key=jr.key(0))
    assert Sampled(net).box(jnp.zeros(1)) is None


@given(x=st.lists(st.floats(-2, 2), min_size=5, max_size=5))
@settings(max_examples=5, deadline=None)
def test_the_flow_of_a_map_and_back(x):
    """Its Euler steps are the map's steps, and it stands still where the map does."""
    cell = agent()
    x, u = jnp.asarray(x, jnp.float32), jnp.ones(cell.input_size)
    flow = on_clock(cell, "flow")
    assert not flow.discrete
    assert np.array_equal(on_clock(flow, "map").step(x, u), cell.step(x, u))
    assert np.array_equal(flow.velocity(x, u), cell.velocity(x, u))


def test_a_clock_unwraps_before_it_wraps():
    flow, cell = net(), agent()
    assert on_clock(cell, None) is cell
    assert on_clock(flow, None) is flow
    assert on_clock(cell, "map") is cell
    assert on_clock(Sampled(flow), "flow") is flow
    assert isinstance(on_clock(Sampled(flow, tick=0.5), "flow"), Continuous)
    held = on_clock(Held(flow, jnp.zeros(flow.input_size)), "map")
    assert isinstance(held, Held)
    assert held.discrete
    with pytest.raises(ValueError, match="type 'map', 'flow' or None"):
        on_clock(flow, "steps")


def test_runge_kutta_is_of_fourth_order():
    """x' = -x: halving the tick divides the error by 16."""
    flow, u = Linear.random(1, 0, 1, gain=0.0, key=jr.key(0)), NONE
    with float64():
        one = lambda tick: RungeKutta(widen(flow), tick)
        ends = []
        for tick in (0.2, 0.1):
            x = jnp.ones(1)
            for _ in range(round(1 / tick)):
                x = one(tick).step(x, u)
            ends.append(abs(float(x[0]) - math.exp(-1)))
    assert 14 < ends[0] / ends[1] < 20
    with pytest.raises(ValueError, match="give a Flow and a tick"):
        RungeKutta(Sampled(flow), 0.1)


def test_held_is_the_system_at_that_input():
    net = GRU.random(5, 2, 1, key=jr.key(0))
    hold, x = jnp.array([0.5, -1.0]), jnp.linspace(0.1, 0.5, 5)
    held = Held(net, hold)
    for name in ("step", "jacobian"):
        assert jnp.array_equal(getattr(held, name)(x, NONE), getattr(net, name)(x, hold))
    bound = net.lipschitz_bound(x, hold, 0.1)
    assert held.lipschitz_bound(x, NONE, 0.1) == bound
    assert held.input_size == 0
    with pytest.raises(ValueError, match=r"hold has 3 numbers, GRU takes 2.*shape \(2,\)"):
        Held(net, jnp.zeros(3))


# ---------------------------------------------------------------- closed loop


def loop_by_hand(first, time, start=(1.0, -0.5), leak=0.5):
    """Closed-loop recursion of Ger and Barak (2025), eq. 1, and the other order."""
    rng = np.random.default_rng(0)
    w, m, z = 0.3 * rng.normal(size=(4, 4)), rng.normal(size=4), rng.normal(size=4)
    a, b = np.array([[1.0, 1.0], [0.0, 1.0]]), np.array([0.0, 1.0])
    x, h, path = np.array(start), np.zeros(4), []
    for _ in range(time):
        if first == "world":
            x = a @ x + b * (z @ h)
            h = (1 - leak) * h + leak * (w @ h + m * x[0])
        else:
            h = (1 - leak) * h + leak * (w @ h + m * x[0])
            x = a @ x + b * (z @ h)
        path.append(np.concatenate([x, h]))
    return (w, m, z), np.array(path)


@pytest.mark.parametrize("first", ["world", "agent"])
def test_a_closed_loop_moves_as_written_by_hand(first):
    (w, m, z), path = loop_by_hand(first, 6)
    with float64():
        agent = Linear(
            *map(jnp.asarray, (w, m[:, None])), jnp.zeros(4), jnp.asarray(z[None]), dt=0.5
        )
        loop = ClosedLoop(DoubleIntegrator(dt=1.0), agent, first)
        assert (loop.state_size, loop.input_size, loop.output_size) == (6, 0, 1)
        run = to_numpy(rollout(loop, jnp.array([1.0, -0.5]), jnp.zeros((6, 0))))
    assert np.allclose(run.states, path, rtol=1e-12)
    assert np.allclose(run.outputs[:, 0], path[:, 0], rtol=1e-12)


def test_the_coupled_matrix_is_that_of_the_paper():
    """P = [[A, BZ], [a M C A, (1 - a) I + a (W + M C B Z)]], world first."""
    (w, m, z), _ = loop_by_hand("world", 1)
    a, b, c = np.array([[1.0, 1.0], [0.0, 1.0]]), np.array([[0.0], [1.0]]), np.array([[1.0, 0]])
    m, z, leak = m[:, None], z[None], 0.5
    below = np.hstack([leak * m @ c @ a, (1 - leak) * np.eye(4) + leak * (w + m @ c @ b @ z)])
    expected = np.vstack([np.hstack([a, b @ z]), below])
    with float64():
        agent = Linear(*map(jnp.asarray, (w, m)), jnp.zeros(4), jnp.asarray(z), dt=leak)
        loop = ClosedLoop(DoubleIntegrator(dt=1.0), agent)
        assert np.allclose(loop.jacobian(jnp.zeros(6), NONE), expected, rtol=1e-12)


def test_the_input_of_a_loop_is_goal_world_noise_observation_noise():
    world = Noisy(DoubleIntegrator(dt=1.0), 2.0)
    agent = Linear(jnp.eye(3), jnp.eye(3), jnp.zeros(3), jnp.zeros((1, 3)), dt=1.0)
    loop = ClosedLoop(world, agent, observation_noise=0.5)
    assert (loop.goal_size, loop.world_noise_size, loop.input_size) == (2, 2, 5)
    goal, kick, noise = jnp.array([7.0, 8.0]), jnp.array([1.0, 0.0]), jnp.array([4.0])
    x = loop.step(jnp.zeros(5), jnp.concatenate([goal, kick, noise]))
    assert x[:2].tolist() == [2.0, 0.0]  # scale times kick
    assert x[2:].tolist() == [2.0 + 0.5 * 4.0, 7.0, 8.0]  # what the agent saw


@pytest.mark.parametrize(
    ("sizes", "options", "says"),
    [
        ((1, 3), {}, r"sends 3 numbers, the world takes 1. Build the agent with output_size=1"),
        ((0, 1), {}, r"shows 1 numbers, the agent reads only 0.*input_size=1 or more"),
        ((1, 1), {"first": "both"}, "both"),  # here the type checker is first to say so
    ],
)
def test_parts_that_do_not_fit_say_how_to_build_them(sizes, options, says):
    agent = Linear.random(4, *sizes, key=jr.key(0))
    with pytest.raises(Exception, match=says):
        ClosedLoop(DoubleIntegrator(), agent, **options)


# ---------------------------------------------------------------- trials


@settings(max_examples=20, deadline=None)
@given(lengths=st.lists(st.integers(0, 4), min_size=3, max_size=3))
def test_epochs_follow_each_other(lengths):
    which = np.asarray(epochs(jnp.array(lengths), 12))
    assert which.sum(axis=0).tolist() == [1] * sum(lengths) + [0] * (12 - sum(lengths))
    in_order = np.repeat(np.arange(3), lengths)
    assert np.argmax(which[:, : sum(lengths)], axis=0).tolist() == in_order.tolist()


def test_marks_count_only_weighted_steps():
    targets = jnp.array([[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
    trial = Trial(NONE, jnp.zeros((3, 1)), targets, jnp.array([1.0, 3.0, 0.0]))
    outputs = jnp.array([[1.0, 3.0], [0.5, -1.0], [9.0, 9.0]])
    run = Trajectory(jnp.zeros((3, 1)), outputs)
    assert weighted_mse(trial, run) == pytest.approx((1 * 4 / 2 + 3 * 0.25 / 2) / 4)
    assert sign_accuracy(trial, Trajectory(jnp.zeros((3, 1)), -outputs)) == 0
    assert sign_accuracy(trial, run) == 1


def test_a_trial_in_which_nothing_counts_has_no_loss():
    trial = Trial(NONE, jnp.zeros((2, 1)), jnp.ones((2, 1)), jnp.zeros(2))
    assert weighted_mse(trial, Trajectory(jnp.zeros((2, 1)), jnp.zeros((2, 1)))) == 0


def test_with_noise_adds_unit_white_columns():
    task = WithNoise(FlipFlop(bits=2, steps=500), 3)
    check_task(task)
    trial = task.trial(jr.key(0))
    assert trial.inputs.shape == (500, 5)
    assert set(np.unique(trial.inputs[:, :2])) == {-1.0, 0.0, 1.0}
    noise = np.asarray(trial.inputs[:, 2:])
    assert abs(noise.std() - 1) < 4 / math.sqrt(2 * noise.size)
    assert np.abs(np.corrcoef(noise.T) - np.eye(3)).max() < 4 / math.sqrt(500)
