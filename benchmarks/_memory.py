"""How much memory has this process held?"""

import pathlib
import resource


def highest() -> float:
    """The most MB that this process has held."""
    status = pathlib.Path("/proc/self/status")
    if status.exists():  # Linux: ru_maxrss would count the parent, from before it was forked
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
