"""How does a command end that cannot be done? With a sentence, and what to type."""

import contextlib
import errno
import linecache
import shlex
import traceback
from collections.abc import Iterator

import typer


@contextlib.contextmanager
def in_plain_words(*words: object) -> Iterator[None]:
    """What the user can mend ends with 2 and a sentence, Ctrl-C with 130; a bug stays a bug.

    `words` are those to type again.
    """
    try:
        yield
    except KeyboardInterrupt as stop:
        far = str(stop).partition(". ")[0] or "Stopped"  # the rest is for callers in Python
        again = shlex.join(["slowpoint", *map(str, words)])
        typer.echo(f"\n{far}. An earlier run is as it was. Once more: {again}", err=True)
        raise typer.Exit(130) from None
    except OSError as error:
        typer.echo(_trouble_with_files(error), err=True)
        raise typer.Exit(2) from None
    except ValueError as error:
        if not _on_purpose(error):
            raise
        typer.echo("\n".join([str(error), *getattr(error, "__notes__", [])]), err=True)
        raise typer.Exit(2) from None


def _trouble_with_files(error: OSError) -> str:
    if error.errno is None:
        return str(error)  # the house's own words
    says = f"{error.filename or 'While writing'}: {error.strerror}."
    if error.errno == errno.ENOENT:
        return f"{says} Check the name."
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{says} What stood there is as it was. Make room, or write elsewhere: --out DIR"
    return f"{says} Name what can be read, and a folder that can be written: --out DIR"


def _on_purpose(error: ValueError) -> bool:
    """Whether a `raise` of ours made it: then its words are for the user."""
    *_, (frame, number) = traceback.walk_tb(error.__traceback__)
    line = linecache.getline(frame.f_code.co_filename, number)
    ours = frame.f_globals.get("__name__", "").startswith("slowpoint.")
    return ours and line.lstrip().startswith("raise")
