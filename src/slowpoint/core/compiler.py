"""How hard should the compiler try, when a small program runs once?"""

import contextlib
import importlib.metadata
from collections.abc import Iterator

from slowpoint.core.processes import environment

# XLA aborts on a flag that it does not know, so these are for versions where they were tried
TRIED = "0.10."
SOON = " ".join(
    (
        "--xla_backend_optimization_level=1",
        "--xla_llvm_disable_expensive_passes=true",
        "--xla_cpu_use_fusion_emitters=false",  # half of the time that compiling takes
        "--xla_cpu_parallel_codegen_split_count=1",
    )
)


@contextlib.contextmanager
def compiled_soon(wanted: bool = True) -> Iterator[None]:
    """Inside, if `wanted`, JAX compiles in half of the time, into programs that are slower.

    Only where it has not compiled anything yet in this process, and in processes begun inside.
    The same numbers up to rounding. Flags of the user's own win.
    """
    known = wanted and importlib.metadata.version("jaxlib").startswith(TRIED)
    with environment({"XLA_FLAGS": SOON}) if known else contextlib.nullcontext():
        yield
