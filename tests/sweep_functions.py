"""Functions that the tests of sweeps run in other processes; as a program, one such sweep."""

import math
import os
import pathlib
import signal
import sys
import time

from tqdm import tqdm


def cheap(seed: int, nap: float = 0.0):
    """Numbers that only the seed decides."""
    time.sleep(nap)
    return {"sine": math.sin(seed), "square": seed**2}


def kills_itself(seed: int, there: str):
    """Ends its process the first time that it meets seed 3."""
    mark = pathlib.Path(there)
    if seed == 3 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    print(f"seed {seed}")
    return cheap(seed)


def all_killed(seed, there: str):
    """The same for a group of seeds, with what width it was called."""
    mark = pathlib.Path(there)
    if 3 in seed and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    print(f"seeds {seed.tolist()}")
    return {"square": seed**2, "width": [len(seed)] * len(seed)}


def long_at_first(seed: int, there: str):
    """Takes minutes the first time, and leaves a mark; nothing the second time."""
    mark = pathlib.Path(there)
    if not mark.exists():
        mark.touch()
        time.sleep(600)
    return cheap(seed)


def shows_a_bar(seed: int):
    """As a training does."""
    return sum(tqdm(range(seed)))


def full(seed: int):
    """A disk that is full."""
    raise OSError(28, "No space left on device", f"{seed}.npy")


def main(out: str, runs: int, nap: float) -> int:
    """A sweep of `cheap` in two processes; 1 when a run is not finished."""
    from slowpoint.sweeps.local import Local
    from slowpoint.sweeps.sweep import sweep

    grid = {"seed": range(runs), "nap": nap}
    done = sweep(cheap, grid, out=out, executor=Local(2), quiet=True)
    print(done)
    return int(bool(done.unfinished))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
