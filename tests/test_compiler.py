"""Does a quick run compile soon, and a full one well?"""

import os
import subprocess
import sys

import pytest

from slowpoint.core import compiler
from slowpoint.core.compiler import compiled_soon, SOON
from slowpoint.core.processes import in_processes
from slowpoint.report.about import about

SUM = """
import jax, jax.numpy as jnp
from slowpoint.core.compiler import compiled_soon
with compiled_soon():
    print(jax.jit(lambda x: jnp.tanh(x @ x.T).sum())(jnp.eye(3)))
"""


def flags(_):
    """What XLA finds in the process that runs this."""
    return os.environ.get("XLA_FLAGS")


@pytest.fixture
def own(monkeypatch):
    """The flags that a user set."""
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=true")
    return "--xla_cpu_multi_thread_eigen=true"


def test_the_users_flags_come_last_so_that_they_win(own):
    with compiled_soon():
        assert os.environ["XLA_FLAGS"] == f"{SOON} {own}"
    assert os.environ["XLA_FLAGS"] == own


def test_without_flags_there_are_none_afterwards(monkeypatch):
    monkeypatch.delenv("XLA_FLAGS")
    with compiled_soon():
        assert os.environ["XLA_FLAGS"] == SOON
    assert "XLA_FLAGS" not in os.environ


def test_nothing_is_set_where_it_is_not_wanted_or_was_not_tried(own, monkeypatch):
    with compiled_soon(False):
        assert os.environ["XLA_FLAGS"] == own
    monkeypatch.setattr(compiler, "TRIED", "0.0.")
    with compiled_soon():
        assert os.environ["XLA_FLAGS"] == own


def test_processes_that_are_begun_inside_compile_so_too():
    with compiled_soon():
        (found, _) = in_processes(flags, [0, 1], 2)
    assert all(flag in found.split() for flag in SOON.split())


def test_a_run_tells_its_flags(own):
    with compiled_soon():
        assert about()["xla_flags"] == f"{SOON} {own}"
    assert about()["xla_flags"] == own


def test_xla_takes_every_flag():
    """It ends the process that sets one which it does not know."""
    clean = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    done = subprocess.run(
        [sys.executable, "-c", SUM], env=clean, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == pytest.approx(2.2848, abs=1e-3)


@pytest.mark.parametrize("quick", [True, False])
def test_only_quick_runs_are_compiled_soon(quick, tmp_path, monkeypatch):
    from typer.testing import CliRunner

    from slowpoint.cli import app
    from slowpoint.report import record

    seen = []

    def watched(*_):
        seen.append(os.environ.get("XLA_FLAGS", ""))
        raise ValueError("seen")

    monkeypatch.delenv("XLA_FLAGS")
    monkeypatch.setattr(record, "record", watched)
    words = ["run", "bistable_points", *["--quick"] * quick, "--out", str(tmp_path)]
    CliRunner().invoke(app, words)
    assert seen == [SOON if quick else ""]
