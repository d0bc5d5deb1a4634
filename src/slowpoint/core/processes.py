"""How does one function run on many things at once? (Each in a process of one thread.)"""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

ONE_THREAD = {
    "NPROC": "1",  # XLA's pool: else it splits what is small, at more than that costs
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}


def in_processes(work: Callable[[T], R], items: Iterable[T], at_once: int) -> list[R]:
    """`[work(item) for item in items]`, so many at once; 1: in this process.

    `work`, items and results travel by pickle: a function of a module, numbers, arrays. An
    exception in a process is raised here. Raises ValueError for fewer than 1 at once.
    """
    if at_once < 1:
        raise ValueError(f"at_once={at_once}: give 1 or more.")
    if at_once == 1:
        return [work(item) for item in items]
    spawn = get_context("spawn")  # a fork would copy the locks of threads that it lacks
    with environment(ONE_THREAD), ProcessPoolExecutor(at_once, spawn) as pool:
        return list(pool.map(work, items))


@contextlib.contextmanager
def environment(changes: dict[str, str]) -> Iterator[None]:
    """Processes that are begun inside find `changes` in their environment.

    Flags of XLA join those that are there.
    """
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    if "XLA_FLAGS" in changes and before["XLA_FLAGS"]:
        os.environ["XLA_FLAGS"] = f"{changes['XLA_FLAGS']} {before['XLA_FLAGS']}"
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
