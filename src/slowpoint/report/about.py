"""Which software, machine, flags and commit made a run?"""

import datetime
import os
import pathlib
import platform
import subprocess

import jax

from slowpoint.core.versions import versions as versions


def about() -> dict[str, object]:
    """What one needs to know to make a run again, as JSON takes it."""
    here = commit()
    changed = bool(_git("status", "--porcelain", "--", ".."))
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": versions(),
        "platform": platform.platform(),
        "device": device(),
        "xla_flags": os.environ.get("XLA_FLAGS", ""),  # they decide how sums are rounded
        "commit": here,
        "changed_since": None if here is None else changed,
    }


def device() -> str:
    """What JAX computes on, e.g. "1 x cpu"."""
    all_ = jax.devices()
    return f"{len(all_)} x {all_[0].device_kind}"


def commit() -> str | None:
    """The commit that this code stands at; None when it was not run from its repository."""
    # a virtual environment may lie inside somebody else's repository: ask for this very file
    if not _git("ls-files", "--", pathlib.Path(__file__).name):
        return None
    return _git("rev-parse", "HEAD") or None


def _git(*words: str) -> str:
    """What git says; nothing when it is not there or refuses."""
    here = pathlib.Path(__file__).parent
    try:
        answer = subprocess.run(
            ["git", "-C", here, *words], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""
