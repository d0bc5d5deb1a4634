"""Does every file keep the promise of its room? New files are found, not listed."""

import ast
import dataclasses
import importlib
import inspect
import os
import pathlib
import pkgutil
import re
import shutil
import subprocess
import sys
import types
import typing

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import slowpoint
from slowpoint.core.precision import float64, to_numpy, widen
from slowpoint.core.result import Result
from slowpoint.core.rollout import rollout, Trajectory
from slowpoint.core.settings import Settings
from slowpoint.core.system import Flow
from slowpoint.core.trial import Task, Trial, weighted_mse

ROOT = pathlib.Path(slowpoint.__file__).parent
FILES = sorted(str(p.relative_to(ROOT)) for p in ROOT.rglob("*.py"))


def modules(*rooms):
    """Names of the modules in these rooms, those rooms that exist."""
    return [
        f"slowpoint.{room}.{module.name}"
        for room in rooms
        for module in pkgutil.iter_modules([str(ROOT / room)])
    ]


def every_module():
    """The whole house, imported."""
    found = pkgutil.walk_packages(slowpoint.__path__, "slowpoint.")
    return [importlib.import_module(m.name) for m in found if not m.name.endswith("__main__")]


def short(name):
    return name.removeprefix("slowpoint.")


# ---------------------------------------------------------------- cells, worlds and wrappers


def check_system(system):
    """What core.system.System promises, by behaviour, in float64."""
    for size in (system.state_size, system.input_size, system.output_size):
        assert isinstance(size, int), "sizes are whole numbers of Python's own"
    assert system.dt > 0
    draw = np.random.default_rng(7).normal
    x, u = draw(size=(4, system.state_size)), draw(size=(4, system.input_size))
    near = x[:, None] + 0.1 * shorter_than_one(draw(size=(4, 8, system.state_size)))
    with float64():
        wide = widen(system)
        check_no_chance(wide, x[0], u[0])
        seen = to_numpy(probe(wide, *map(jnp.asarray, (x, u, near))))
        check_answers(wide, x, u, seen)
        check_lipschitz(seen, near)
        check_box(wide, jnp.asarray(u[0]))


def shorter_than_one(vectors):
    """In every direction and of every length up to 1."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / length * np.linspace(0.1, 1, vectors.shape[-2])[:, None]


@eqx.filter_jit
def probe(system, x, u, near):
    """Everything a system answers, at each of a batch of states."""
    rule = system.step if system.discrete else system.velocity

    def one(x, u, near):
        return {
            "step": system.step(x, u),
            "advance": system.advance(x, system.encode(u)),
            "velocity": system.velocity(x, u),
            "output": system.output(x),
            "jacobian": system.jacobian(x, u),
            "slope": jax.jacfwd(rule)(x, u),
            "nearby": jax.vmap(lambda x: jax.jacfwd(rule)(x, u))(near),
            "rates": system.rates(x, u),
            "bound": system.lipschitz_bound(x, u, 0.1),
        }

    run = rollout(system, jnp.zeros(0), u)
    before = jnp.concatenate([system.initial[None], run.states[:-1]])
    return jax.vmap(one)(x, u, near) | {
        "states": run.states,
        "outputs": run.outputs,
        "by hand": jax.vmap(system.step)(before, u),
        "seen by hand": jax.vmap(system.output)(run.states),
    }


def check_answers(system, x, u, seen):
    n = system.state_size
    assert seen["step"].shape == seen["velocity"].shape == x.shape
    assert seen["output"].shape == (len(x), system.output_size)
    assert system.initial.shape == (n,)
    assert seen["rates"].shape == x.shape
    assert seen["states"].shape == x.shape
    assert seen["outputs"].shape == seen["output"].shape
    assert np.iscomplexobj(seen["rates"])
    assert {a.dtype for a in (seen["step"], seen["velocity"], seen["output"])} == {
        np.dtype(float)
    }, "float64 in, float64 out"
    close(seen["step"], x + system.dt * seen["velocity"], "step = x + dt velocity")
    close(seen["advance"], seen["step"], "advance(x, encode(u)) = step(x, u)")
    close(seen["jacobian"], seen["slope"], "jacobian is that of step (Map) or velocity (Flow)")
    close(seen["states"], seen["by hand"], "a rollout takes steps, from initial")
    close(seen["outputs"], seen["seen by hand"], "a rollout shows outputs")
    check_rates(system, seen["jacobian"], seen["rates"])


def close(a, b, says, tolerance=1e-12):
    difference = np.abs(np.asarray(a) - np.asarray(b)).max(initial=0)
    assert difference <= tolerance * (1 + np.abs(np.asarray(b)).max(initial=0)), says


def check_rates(system, jacobian, rates):
    """Growth per unit time: eig(J) of a Flow, log(eig(J)) / dt of a Map."""
    expected = np.linalg.eigvals(jacobian)
    if system.discrete:
        assert np.all(np.abs(rates.imag) * system.dt <= np.pi + 1e-9)
        rates = np.exp(rates.real * system.dt) * np.exp(1j * rates.imag * system.dt)
    for found, known in zip(rates, expected, strict=True):
        apart = np.abs(found[:, None] - known[None, :])
        # as sets: an eigenvalue near a double one is known to half the digits
        assert max(apart.min(axis=0).max(), apart.min(axis=1).max()) < 1e-5, "rates"


def check_lipschitz(seen, near):
    """A bound, where one is stated, holds for every pair within its radius."""
    slopes = seen["nearby"]
    changes = np.linalg.norm(slopes[:, :-1] - slopes[:, 1:], 2, axis=(2, 3))
    apart = np.linalg.norm(near[:, :-1] - near[:, 1:], axis=2)
    with np.errstate(invalid="ignore"):
        broken = changes > seen["bound"][:, None] * apart * (1 + 1e-9) + 1e-12
    assert not broken.any(), "the Jacobian changes faster than lipschitz_bound"


def check_box(system, u):
    """No step leaves the box, and what comes to rest from outside rests inside."""
    if (box := system.box(u)) is None:
        return
    low, high = map(np.asarray, box)
    assert low.shape == high.shape == (system.state_size,)
    assert np.all(np.isfinite([low, high]))
    assert np.all(low < high)
    share = np.random.default_rng(8).uniform(size=(16, system.state_size))
    starts = low + (high - low) * np.concatenate([share, 2 * share - 0.5])
    path, speed = map(np.asarray, wander(system, jnp.asarray(starts), u))
    slack = 1e-12 * (1 + np.abs(high) + np.abs(low))
    inside = (path >= low - slack) & (path <= high + slack)
    assert inside[:16].all(), "a step leaves the box"
    assert inside[16:, -1][speed[16:] < 1e-9].all(), "a fixed point lies outside the box"


@eqx.filter_jit
def wander(system, starts, u):
    def tick(x, _):
        x = system.step(x, u)
        return x, x

    path = jax.vmap(lambda x: jax.lax.scan(tick, x, length=300)[1])(starts)
    return path, jax.vmap(lambda x: jnp.linalg.norm(system.velocity(x, u)))(path[:, -1])


def check_no_chance(system, x, u):
    """A System draws no random number: not with JAX, not with NumPy while it is traced."""
    everything = lambda x, u: (system.step(x, u), system.output(x), system.initial)
    one, two = (jax.make_jaxpr(lambda *a: everything(*a))(x, u) for _ in range(2))
    assert not re.search(r"random_|threefry|rng_", str(one)), "a System draws with JAX"
    same = all(map(np.array_equal, one.consts, two.consts)) and str(one) == str(two)
    assert same, "a System draws with NumPy"


@pytest.mark.parametrize("name", modules("cells", "worlds"), ids=short)
def test_system(name):
    check_system(importlib.import_module(name).example(jr.key(0)))


class Wrong(Flow):
    """x' = -x^3, and one promise broken."""

    broken: str = eqx.field(static=True, default="")
    state_size: int = eqx.field(static=True, default=2)
    input_size: int = eqx.field(static=True, default=0)
    output_size: int = eqx.field(static=True, default=2)
    dt: float = eqx.field(static=True, default=0.1)

    def velocity(self, x, u):
        if self.broken == "draws":
            return -(x**3) + jr.normal(jr.key(0), (2,))
        if self.broken == "numpy":
            return -(x**3) + np.random.default_rng().normal(size=2)
        return -(x**3)

    def step(self, x, u):
        return x + (2 if self.broken == "step" else 1) * self.dt * self.velocity(x, u)

    def jacobian(self, x, u):
        return (-2 if self.broken == "jacobian" else -3) * jnp.diag(x**2)

    def rates(self, x, u):
        scale = self.dt if self.broken == "rates" else 1.0
        return scale * jnp.linalg.eigvals(self.jacobian(x, u)).astype(complex)

    def output(self, x):
        return x.astype(jnp.float32) if self.broken == "precision" else x

    def advance(self, x, drive):
        return x if self.broken == "advance" else self.step(x, drive)

    def box(self, u):
        corner = jnp.array([0.5, 0.5])
        return (corner if self.broken == "box leaks" else -corner), 2 * corner

    def lipschitz_bound(self, x, u, radius):
        return (0.5 if self.broken == "bound" else 6) * (jnp.linalg.norm(x) + radius)


SAYS = {
    "": None,
    "step": "step = x",
    "jacobian": "jacobian",
    "rates": "rates",
    "advance": "advance",
    "precision": "float64",
    "draws": "draws with JAX",
    "numpy": "draws with NumPy",
    "box leaks": "leaves the box",
    "bound": "lipschitz",
}


@pytest.mark.parametrize("broken", SAYS)
def test_a_broken_system_is_caught(broken):
    if SAYS[broken] is None:
        return check_system(Wrong(broken))
    with pytest.raises(AssertionError, match=SAYS[broken]):
        check_system(Wrong(broken))


# ---------------------------------------------------------------- tasks


def check_task(task):
    """What core.trial.Task promises, by behaviour."""
    both = lambda keys, first: (task.trial(first), jax.vmap(task.trial)(keys))
    with jax.debug_key_reuse(True):
        trial, batch = to_numpy(
            jax.jit(both)(jr.split(jr.key(1), 2), jr.split(jr.key(1), 2)[0])
        )
    check_trial(task, trial)
    for one, many in zip(jax.tree.leaves(trial), jax.tree.leaves(batch), strict=True):
        close(many[0], one, "the same key, the same trial, alone or in a batch", 1e-6)
    check_loss(task, trial, np.random.default_rng(2).normal(size=trial.targets.shape))


def check_trial(task, trial):
    time = len(trial.inputs)
    assert time > 0
    assert trial.inputs.shape == (time, task.input_size)
    assert trial.targets.shape == (time, task.output_size)
    assert trial.weights.shape == (time,)
    for part in jax.tree.leaves(trial):
        assert jnp.issubdtype(part.dtype, jnp.floating)
        assert np.isfinite(part).all()
    assert (trial.weights >= 0).all(), "weights are not negative"
    assert trial.weights.sum() > 0, "some step counts"


def check_loss(task, trial, error):
    """Finite, not negative, blind where the weight is 0; 0 for the perfect answer."""
    error, trial = jax.tree.map(jnp.asarray, (error, trial))
    run = lambda outputs: Trajectory(jnp.zeros((len(error), 3)), outputs)
    unseen = jnp.where(trial.weights == 0, 5.0, 0.0)[:, None]

    @jax.jit
    def mark(size):
        loss = lambda size: task.loss(trial, run(trial.targets + size * error))
        blind = task.loss(trial, run(trial.targets + size * error + unseen))
        right = 0.5 * (size == 0)
        if hasattr(task, "accuracy"):
            right = task.accuracy(trial, run(trial.targets * (1 - size) + size * error))
        return loss(size), jax.grad(loss)(size), blind, right

    values, slopes, blind, right = map(np.stack, zip(*[mark(float(size)) for size in range(4)]))
    assert np.all(np.isfinite(values)), "a loss is finite"
    assert np.all(values >= 0), "a loss is 0 or more"
    assert np.all(np.isfinite(slopes)), "a loss has a gradient"
    assert np.allclose(values, blind, rtol=1e-5), "a step of weight 0 counts"
    if abs(np.diff(values, 3)[0]) < 1e-4 * values[3]:  # a squared error in the outputs
        assert values[0] == 0, "the perfect answer has a loss"
    assert right[1] < 1
    assert right[0] == pytest.approx(1 if hasattr(task, "accuracy") else 0.5)


@pytest.mark.parametrize("name", modules("tasks"), ids=short)
def test_task(name):
    check_task(importlib.import_module(name).example(jr.key(0)))


def test_a_careful_task_passes():
    check_task(Careless())


class Careless(Task):
    """White noise to be copied, and one promise broken."""

    broken: str = eqx.field(static=True, default="")
    input_size: int = eqx.field(static=True, default=1)
    output_size: int = eqx.field(static=True, default=1)

    def trial(self, key):
        first, second = jr.split(key)
        x = jr.normal(first, (6, 1))
        if self.broken == "key":
            x = x + jr.normal(first, (6, 1))
        weights = jr.bernoulli(second, 0.5, (6,)).astype(float).at[0].set(1.0).at[1].set(0.0)
        if self.broken == "weights":
            weights = weights.at[0].set(-1.0)
        if self.broken == "chance":
            x = x + np.random.default_rng().normal(size=(6, 1)).astype(np.float32)
        return Trial(jnp.zeros(0), x, x[:5] if self.broken == "shape" else x, weights)

    def loss(self, trial, trajectory):
        if self.broken == "mask":
            return ((trial.targets - trajectory.outputs) ** 2).mean()
        return weighted_mse(trial, trajectory) + (self.broken == "floor")


@pytest.mark.parametrize(
    ("broken", "error"),
    [
        ("key", jax.errors.KeyReuseError),
        ("weights", AssertionError),
        ("chance", AssertionError),
        ("shape", Exception),  # the type checker's, or ours
        ("mask", AssertionError),
        ("floor", AssertionError),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_broken_task_is_caught(broken, error):
    with pytest.raises(error):
        check_task(Careless(broken))


# ---------------------------------------------------------------- results


def example_of(hint, length):
    """A value of that type, its axes of length `length` (0: empty), or None when it may be."""
    choices = typing.get_args(hint) if not hasattr(hint, "dim_str") else (hint,)
    for choice in choices or (hint,):
        if hasattr(choice, "dim_str") and issubclass(choice.array_type, np.ndarray):
            kinds = choice.dtypes if isinstance(choice.dtypes, tuple) else ("<U3",)
            wide = {"float64", "int64", "complex128", "bool"}
            dtype = next((d for d in kinds if d in wide), kinds[0])
            dims = [d.lstrip("*") for d in choice.dim_str.split()]
            shape = [int(d) if d.isdigit() else length for d in dims]
            return np.ones(shape, dtype)
        if choice in (int, float, bool, str):
            return choice(1)
    raise AssertionError(
        f"{hint}: a field is a NumPy array with named axes, a number or a word"
    )


def check_result(kind, folder):
    """Every Result survives its file: full, empty, and with None where it may be None."""
    hints = typing.get_type_hints(kind)
    fields = [f.name for f in dataclasses.fields(kind)]
    for length in (2, 0):
        made = kind(**{name: example_of(hints[name], length) for name in fields})
        made.save(folder / "result.npz")
        again = kind.load(folder / "result.npz")
        for name in fields:
            before, after = getattr(made, name), getattr(again, name)
            assert type(before) is type(after), name
            assert np.asarray(before).dtype == np.asarray(after).dtype
            assert np.array_equal(before, after), name
    lacking = {n: None for n in fields if type(None) in typing.get_args(hints[n])}
    dataclasses.replace(made, **lacking).save(folder / "result.npz")
    again = kind.load(folder / "result.npz")
    assert all(getattr(again, name) is None for name in lacking)


def every(cls):
    for sub in cls.__subclasses__():
        yield sub
        yield from every(sub)


def test_every_result_survives_its_file(tmp_path):
    every_module()
    kinds = [k for k in every(Result) if k.__module__.startswith("slowpoint")]
    assert Trajectory in kinds
    for kind in kinds:
        check_result(kind, tmp_path)


class Opaque(Result):
    thing: dict


def test_a_result_that_is_no_arrays_is_caught(tmp_path):
    with pytest.raises(AssertionError, match="named axes"):
        check_result(Opaque, tmp_path)


# ---------------------------------------------------------------- experiments

PARTS = ["Settings", "QUICK", "Results", "run", "claims", "draw"]


def check_experiment(source):
    """An experiment's file, read but not run."""
    tree = ast.parse(source)
    lines = (ast.get_docstring(tree) or "").splitlines()
    assert lines, "the file begins with its question"
    assert re.search(r"[.?!:]\)?$", lines[0]), "the first line is a question or a statement"
    assert any(line.startswith("Paper: ") for line in lines), "a line 'Paper: ...' is missing"
    assert re.match(r"Takes: .*\d", lines[-1]), "the last line is 'Takes: ...', measured"
    where = {}
    for node in tree.body:
        for name in names_of(node):
            where.setdefault(name, node.lineno)
    missing = [part for part in PARTS if part not in where]
    assert not missing, f"missing: {', '.join(missing)}"
    order = sorted(PARTS, key=where.__getitem__)
    assert order == PARTS, f"the order is {', '.join(PARTS)}, not {', '.join(order)}"


def names_of(node):
    """What a statement at the top of a file defines."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        return [node.name]
    if isinstance(node, ast.Assign):
        return [t.id for t in node.targets if isinstance(t, ast.Name)]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [node.target.id]
    return []


def check_experiment_objects(module):
    """The six parts of an imported experiment are what they are called."""
    assert issubclass(module.Settings, Settings)
    bare = [n for n, f in module.Settings.model_fields.items() if not f.description]
    assert not bare, f"settings without a description: {', '.join(bare)}"
    assert isinstance(module.QUICK, module.Settings)
    module.Settings()  # every setting has a default: the full run
    assert dataclasses.is_dataclass(module.Results)
    kinds = typing.get_type_hints(module.Results)
    assert kinds, "Results holds what was found"
    assert all(issubclass(kind, Result) for kind in kinds.values()), "Results holds Results"
    functions = {"run": "settings", "claims": "results", "draw": "results"}
    if hasattr(module, "run_together"):  # what a sweep may ask for in one ensemble
        functions |= {"run_together": "rows", "width": "settings"}
        assert set(module.TOGETHER) < set(module.Settings.model_fields)
        assert module.width(module.QUICK) >= 1
    for function, takes in functions.items():
        parameters = list(inspect.signature(getattr(module, function)).parameters)
        assert parameters[:1] == [takes], f"{function}({takes})"


@pytest.mark.parametrize("name", modules("experiments"), ids=short)
def test_experiment(name):
    check_experiment((ROOT / f"{short(name).replace('.', '/')}.py").read_text())
    check_experiment_objects(importlib.import_module(name))


GOOD = '''"""Does it stand still?

Paper: Nobody 1900, a journal, figure 1.
Takes: 2 s.
"""
class Settings: pass
QUICK = Settings()
class Results: pass
def run(settings): pass
def claims(results): pass
def draw(results): pass
'''


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("def claims(results): pass\n", "", "missing: claims"),
        ("Takes: 2 s.\n", "", "Takes"),
        ("Paper: ", "See ", "Paper"),
        ("Does it stand still?", "Standing", "question"),
        ("QUICK = Settings()\n", "", "QUICK"),
        ("class Settings: pass\nQUICK", "QUICK = 1\nclass Settings: pass\nFAST", "order"),
    ],
    ids=["claims", "takes", "paper", "question", "quick", "order"],
)
def test_a_broken_experiment_is_caught(old, new, says):
    check_experiment(GOOD)
    assert old in GOOD
    with pytest.raises(AssertionError, match=says):
        check_experiment(GOOD.replace(old, new))


def test_a_setting_without_a_description_is_caught():
    class Bare(Settings):
        units: int = 3

    module = types.SimpleNamespace(Settings=Bare, QUICK=Bare())
    with pytest.raises(AssertionError, match="description: units"):
        check_experiment_objects(module)


# ---------------------------------------------------------------- plots


def check_plot(source):
    """What draws on axes returns them, and nobody opens a window."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            takes = {a.arg: ast.unparse(a.annotation) for a in node.args.args if a.annotation}
            if "ax" in takes:
                back = node.returns and ast.unparse(node.returns)
                assert takes["ax"] == back == "Axes", f"{node.name}(ax: Axes) -> Axes"
        if isinstance(node, ast.Attribute):
            assert node.attr != "show", "only who asked for a figure shows it"
        if isinstance(node, ast.Import | ast.ImportFrom):
            assert "pyplot" not in ast.unparse(node), "pyplot keeps figures; take style.blank"


@pytest.mark.parametrize("file", [f for f in FILES if f.startswith(("plots/", "experiments/"))])
def test_plot(file):
    check_plot((ROOT / file).read_text())


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("def f(ax: Axes, x) -> None: pass", "Axes"),
        ("def f(ax: Axes): pass", "Axes"),
        ("def f(ax: object) -> Axes: pass", "Axes"),
        ("def f(figure):\n    figure.show()", "shows"),
        ("import matplotlib.pyplot as plt", "pyplot"),
        ("from matplotlib import pyplot", "pyplot"),
    ],
    ids=["none", "silent", "untyped", "show", "import", "from"],
)
def test_a_broken_plot_is_caught(source, says):
    with pytest.raises(AssertionError, match=says):
        check_plot(source)


# ---------------------------------------------------------------- every file of every room

HOUSE_WORD = {
    **dict.fromkeys(["const_input", "constant_input", "ext_inp", "static_input"], "hold"),
    **dict.fromkeys(["n_units", "num_units", "n_neurons", "num_neurons", "hidden"], "units"),
    **dict.fromkeys(["rng", "rngs", "prng", "prng_key", "rng_key", "seed"], "key"),
    **dict.fromkeys(["x0", "h0", "init_state", "initial_condition", "ic"], "start"),
    **dict.fromkeys(["num_steps", "n_steps", "nsteps", "timesteps", "n_time"], "steps"),
    **dict.fromkeys(["lr", "learn_rate"], "learning_rate or rate"),
    **dict.fromkeys(["n_epochs", "num_epochs", "iterations", "n_iter", "num_iters"], "updates"),
    **dict.fromkeys(["bs", "n_batch", "batchsize"], "batch"),
    **dict.fromkeys(["inps", "inp", "stim"], "inputs"),
    **dict.fromkeys(["eigs", "eigvals", "growth_rates"], "rates"),
    **dict.fromkeys(["optimizer", "opt"], "optimiser"),
    **dict.fromkeys(["cfg", "config", "hps", "opts"], "settings"),
}


def check_source(source, front_door=False):
    """What holds for any file of the house. The front door may turn a seed into a key."""
    tree = ast.parse(source)
    first = (ast.get_docstring(tree) or "").split("\n")[0]
    assert re.search(r"[.?!:]\)?$", first), "the first line is one sentence: what is this file?"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            check_function(node, front_door)
        if isinstance(node, ast.ClassDef):
            lines = [line for line in node.body if isinstance(line, ast.AnnAssign)]
            fields = {name for line in lines for name in names_of(line)}
            wrong = fields & HOUSE_WORD.keys() - {"seed"}  # Settings has one
            assert not wrong, f"{node.name}: the house has another word for {wrong}"
    calls = [n.func for n in ast.walk(tree) if isinstance(n, ast.Call)]
    assert not [f for f in calls if isinstance(f, ast.Name) and f.id == "super"], "no super()"


def check_function(function, front_door):
    args = function.args
    given = [*args.posonlyargs, *args.args, *args.kwonlyargs]
    names = [a.arg for a in given if a.arg not in ("self", "cls")]
    for name in names:
        allowed = name not in HOUSE_WORD or (front_door and name == "seed")
        assert allowed, f"{function.name}({name}): the house says {HOUSE_WORD.get(name)}"
    if not front_door:
        assert len(names) <= 8, f"{function.name} takes {len(names)}: the last three are a noun"
    last = args.args[len(args.args) - len(args.defaults) :]
    defaults = dict(zip([a.arg for a in last], args.defaults, strict=True))
    defaults |= {a.arg: d for a, d in zip(args.kwonlyargs, args.kw_defaults, strict=True) if d}
    if (default := defaults.get("key")) is not None:  # None, when one may do without chance
        asked = ast.unparse(default) == "None" and "key is None" in ast.unparse(function)
        assert asked, f"{function.name}: a key has no default"
    length = (function.end_lineno or 0) - function.lineno + 1
    assert length <= 60, f"{function.name} has {length} lines"


@pytest.mark.parametrize("file", FILES)
def test_file(file):
    check_source((ROOT / file).read_text(), front_door=file.startswith("cli/"))


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("x = 1", "first line"),
        ('"""utilities"""', "first line"),
        ('"""A."""\ndef f(x, const_input): pass', "hold"),
        ('"""A."""\ndef f(x, *, seed=0): pass', "key"),
        ('"""A."""\nclass F:\n    n_units: int', "another word"),
        ('"""A."""\ndef f(x, *, key=None): pass', "no default"),
        ('"""A."""\ndef f(a, b, c, d, e, f, g, h, i): pass', "takes 9"),
        ('"""A."""\ndef f(x):\n' + "    x += 1\n" * 60, "61 lines"),
        ('"""A."""\nclass B(A):\n    def f(self): return super().f()', "super"),
    ],
    ids=["none", "words", "synonym", "seed", "field", "default", "nine", "long", "super"],
)
def test_a_broken_file_is_caught(source, says):
    with pytest.raises(AssertionError, match=says):
        check_source(source)


def check_final(classes):
    """A class is abstract, or nobody extends it."""
    for cls in classes:
        for base in cls.__mro__[1:]:
            if issubclass(base, eqx.Module) and base not in (eqx.Module, Result):
                assert inspect.isabstract(base), f"{cls.__name__} extends {base.__name__}"


def test_abstract_or_final():
    every_module()
    check_final([c for c in every(eqx.Module) if c.__module__.startswith("slowpoint")])


def test_a_subclass_of_a_final_class_is_caught():
    class Worse(Wrong):
        pass

    with pytest.raises(AssertionError, match="Worse extends Wrong"):
        check_final([Worse])


@pytest.mark.parametrize(
    "name", modules("analysis", "theory", "latents", "learning"), ids=short
)
def test_public_functions_say_what_they_do(name):
    module = importlib.import_module(name)
    for word, thing in vars(module).items():
        own = getattr(thing, "__module__", None) == name and not word.startswith("_")
        if own and (inspect.isclass(thing) or inspect.isroutine(thing)):
            assert inspect.getdoc(thing), f"{word} has no docstring"


# ---------------------------------------------------------------- the stair


def lint_imports(folder):
    environment = os.environ | {"PYTHONPATH": str(folder / "src")}
    command = [str(pathlib.Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("file", "line", "says"),
    [
        ("cells/linear.py", "import slowpoint.analysis.points", "rooms: downwards only BROKEN"),
        ("cells/linear.py", "import slowpoint.cells.gru", "cells: no file knows its neighbour"),
        ("core/trial.py", "import matplotlib", "only plots may draw BROKEN"),
    ],
    ids=["upwards", "neighbour", "draws"],
)
def test_a_bad_import_is_caught(tmp_path, file, line, says):
    rules = (ROOT.parents[1] / "pyproject.toml").read_text()
    quiet = 'unmatched_ignore_imports_alerting = "none"\nignore_imports ='
    (tmp_path / "pyproject.toml").write_text(rules.replace("ignore_imports =", quiet))
    skip = shutil.ignore_patterns("__pycache__", "data")
    shutil.copytree(ROOT, tmp_path / "src" / "slowpoint", ignore=skip)
    target = tmp_path / "src" / "slowpoint" / file
    target.write_text(f"{target.read_text()}\n{line}\n")
    done = lint_imports(tmp_path)
    assert done.returncode != 0
    assert says in done.stdout
