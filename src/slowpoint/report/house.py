"""Did any file of the house change?"""

import pathlib

import slowpoint.experiments
from slowpoint.core.versions import versions


def state_of_files() -> str:
    """Equal as long as no file of the house, and no version of a package, is another."""
    house = [pathlib.Path(folder) for folder in slowpoint.__path__]
    places = [*house, *map(pathlib.Path, slowpoint.experiments.__path__)]
    files = sorted({path for place in places for path in place.rglob("*.py")})
    states = [f"{path} {path.stat().st_mtime_ns} {path.stat().st_size}" for path in files]
    return "\n".join([str(versions()), *states])
