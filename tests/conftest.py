import importlib.metadata
import os

os.environ.setdefault("MPLBACKEND", "Agg")
# small programs that run once: compiling them well takes longer than running them badly
# (slowpoint is not imported here, its types would go unchecked; XLA aborts on unknown flags)
if importlib.metadata.version("jaxlib").startswith("0.10."):
    os.environ.setdefault(
        "XLA_FLAGS",
        "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
        " --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1",
    )

import jax
import pytest

jax.config.update("jax_debug_key_reuse", True)
jax.config.update("jax_numpy_rank_promotion", "raise")  # (3,) + (3, 3) must be spelled out


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="run the slow tests too")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--slow"):
        return
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="slow: runs in `make test-all`"))


@pytest.fixture(scope="session")
def gut_face():
    """`(flow, E, C, saddle)`: the seven genera among which E and C have a boundary."""
    import jax.numpy as jnp

    from slowpoint.core.precision import float64
    from slowpoint.recordings.gut import gut
    from slowpoint.worlds.lotka_volterra import face, LotkaVolterra

    data = gut()
    with float64():
        whole = LotkaVolterra(jnp.asarray(data.growth), jnp.asarray(data.interactions))
        world = face(whole, data.face)
    ends = (data.steady(letter)[data.face] for letter in "EC")
    return world, *ends, data.saddle[data.face]


@pytest.fixture(scope="session")
def coarse_net():
    """Three units, two memories, no symmetry, and steps so long that its map differs."""
    import jax.numpy as jnp

    from slowpoint.cells.vanilla import Vanilla

    recurrent = jnp.array([[2.2, -0.6, 0.3], [0.8, -0.9, 0.5], [-0.4, 0.7, 0.2]])
    bias = jnp.array([0.15, -0.3, 0.2])
    nothing = (jnp.zeros((3, 0)), bias, jnp.zeros((1, 3)), jnp.zeros(1))
    return Vanilla(recurrent, *nothing, dt=0.9, form="rate")
