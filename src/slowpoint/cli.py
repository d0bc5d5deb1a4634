"""The `slowpoint` command. Reads words, calls one function, writes files. No science here.

What is slow to import is imported by the command that needs it.
"""

import contextlib
import errno
import linecache
import os
import pathlib
import shlex
import traceback
from collections.abc import Iterator
from typing import Annotated

import typer

RUNS = pathlib.Path("runs")
Name = Annotated[str, typer.Argument(metavar="NAME", help="As `slowpoint list` shows it.")]
Out = Annotated[pathlib.Path, typer.Option(metavar="DIR", help="The run is in DIR/NAME.")]
Quick = Annotated[bool, typer.Option("--quick", help="Start from the small settings.")]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a setting; may be repeated."),
]
Network = Annotated[
    pathlib.Path, typer.Argument(metavar="NETWORK", help=".pt, .pth, .torch or .safetensors")
]
States = Annotated[
    pathlib.Path | None,
    typer.Option(metavar="FILE", help="Visited states, .npy or .npz; the last axis = state."),
]
Hold = Annotated[
    str | None, typer.Option(metavar="0,0,1|FILE", help="The constant input (zeros).")
]
Units = Annotated[
    str | None,
    typer.Option(
        metavar="0,3,5-9|FILE.npy", help="Units that may be stimulated: a push with only these."
    ),
]
Noise = Annotated[
    str | None,
    typer.Option(
        metavar="SD",
        help="Input noise per step (or SD,SD,...): forecasts how long memories last.",
    ),
]
Nonlinearity = Annotated[
    str | None, typer.Option(metavar="NAME", help="Of an nn.RNN: tanh (assumed) or relu.")
]
Tick = Annotated[
    float | None, typer.Option("--dt", metavar="TIME", help="What one step stands for (1).")
]
Seed = Annotated[int, typer.Option(min=0, help="All randomness comes from it.")]
Page = Annotated[
    pathlib.Path | None,
    typer.Option(metavar="DIR", help="Where report.html goes (runs/ and the file's name)."),
]
Asked = Annotated[
    str, typer.Option("--task", metavar="NAME", help="A file of slowpoint.tasks: flipflop, ...")
]
TaskChanges = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a task's setting; repeatable."),
]
Rank = Annotated[
    int | None, typer.Option(min=1, help="At which a full recurrent matrix is cut.")
]
Eta = Annotated[float, typer.Option(help="Learning rate; columns move by eta N gradients.")]
Checkpoints = Annotated[
    pathlib.Path, typer.Argument(metavar="DIR", help="The folder given as checkpoint=DIR.")
]
Looks = Annotated[
    pathlib.Path | None,
    typer.Option(metavar="DIR", help="Where report.html goes (runs/ and the folder's name)."),
]
Replicate = Annotated[int, typer.Option(min=0, help="Of an ensemble.")]
Border = Annotated[
    float | None, typer.Option(help="Stage 1 ends when the push is below (-0.015 at T = 50).")
]
Models = Annotated[
    pathlib.Path,
    typer.Argument(metavar="LATENTS_DIR", help="One .npz or .h5 a model: train, test."),
]
CountsFile = Annotated[
    pathlib.Path,
    typer.Option("--counts", metavar="FILE", help="One .npz or .h5: train, test, held_out."),
]
Shots = Annotated[str, typer.Option("--k", metavar="16,64", help="Trials that teach.")]
Draws = Annotated[int, typer.Option(min=2, help="Of those trials.")]
Margin = Annotated[float, typer.Option(min=0.0, help="Of the best Q_co, bits per spike.")]
Alpha = Annotated[float, typer.Option(min=0.0, help="Penalty of the readout.")]
RatesToo = Annotated[
    bool,
    typer.Option("--rates-as-latents", help="Use the rates of benchmark files as latents."),
]
Grid = Annotated[
    list[str] | None,
    typer.Option(metavar="KEY=VALUES", help="units=32,64 or seed=0..49; may be repeated."),
]
Who = Annotated[str, typer.Option(metavar="inline|local", help="Here, or in processes.")]
Processes = Annotated[int | None, typer.Option(min=1, help="At once (one a core).")]
Collect = Annotated[bool, typer.Option("--collect", help="Run nothing: tell, write a table.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No bar, for the logs of a batch.")]
Swept = Annotated[
    pathlib.Path | None, typer.Option(metavar="DIR", help="The sweep's own (runs/NAME_sweep).")
]
Code = Annotated[
    pathlib.Path, typer.Argument(metavar="STATES", help=".npy or .npz: (samples, units)")
]
LatentFile = Annotated[
    pathlib.Path, typer.Option("--latent", metavar="FILE", help=".npy or .npz: (samples, d)")
]
LabelsFile = Annotated[
    pathlib.Path | None,
    typer.Option("--labels", metavar="FILE", help="Classes (rows of equal latent): (samples,)"),
]
Ring = Annotated[
    int | None,
    typer.Option(metavar="SIZE", help="The latent is positions on a ring of so many."),
]
Ran = Annotated[pathlib.Path, typer.Argument(metavar="DIR", help="Of one run or one sweep.")]
Steps = Annotated[int, typer.Option(min=1, help="Updates of learning.")]

app = typer.Typer(
    help="What a recurrent network remembers, how it came to, and how to change it.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.command("list")
def list_() -> None:
    """Every experiment: its question, its paper, how long it takes."""
    from slowpoint.report.catalogue import entries

    found = entries()
    width = max((len(entry.name) for entry in found), default=0)
    for entry in found:
        typer.echo(f"{entry.name:{width}}  {entry.question}")
        for line in (entry.paper, entry.takes and f"Takes {entry.takes}"):
            if line:
                typer.echo(f"{'':{width}}  {line}")


@app.command()
def run(name: Name, quick: Quick = False, changes: Changes = None, out: Out = RUNS) -> None:
    """Run an experiment; ends with 1 when a claim fails.

    Settings, results, claims, figure and report go to DIR/NAME.
    """
    changes = changes or []
    words = ["--quick"] * quick + [word for change in changes for word in ("--set", change)]
    with in_plain_words("run", name, *words, "--out", out):
        from slowpoint.report.catalogue import find

        experiment = find(name)
        settings = (experiment.QUICK if quick else experiment.Settings()).changed(changes)

        from slowpoint.report.record import record

        done = record(experiment, settings, "quick" if quick else "full", out)
    for claim in done.claims:
        typer.echo(claim.line(done.scale))
    typer.echo(done.folder)
    if not done.holds:
        raise typer.Exit(1)


@app.command()
def sweep(
    name: Name,
    grid: Grid = None,
    quick: Quick = False,
    changes: Changes = None,
    executor: Who = "local",
    processes: Processes = None,
    collect: Collect = False,
    quiet: Quiet = False,
    out: Swept = None,
) -> None:
    """Run an experiment on every choice of a grid; again: only what is missing or failed.

    Ends with 1 when a run failed. The claims of each run are in the table of --collect.
    """
    folder = out or RUNS / f"{name}_sweep"
    words = [word for text in grid or [] for word in ("--grid", text)]
    words += ["--quick"] * quick + [w for text in changes or [] for w in ("--set", text)]
    with in_plain_words("sweep", name, *words, "--executor", executor, "--out", folder):
        if collect:
            from slowpoint.sweeps.collect import told

            lines, bad = told(folder, name), False
        else:
            from slowpoint.report.sweep_experiment import (
                Asked,
                executor_named,
                sweep_experiment,
            )

            asked = Asked(name, tuple(grid or ()), tuple(changes or ()), quick)
            who = executor_named(executor, processes)
            done = sweep_experiment(asked, folder, who, quiet=quiet)
            lines, bad = done.said(), bool(done.unfinished)
    for line in lines:
        typer.echo(line)
    if bad:
        raise typer.Exit(1)


@app.command()
def draw(name: Name, out: Out = RUNS) -> None:
    """Draw a saved run again; computes nothing."""
    with in_plain_words("draw", name, "--out", out):
        from slowpoint.report.catalogue import find
        from slowpoint.report.record import illustrate

        page = illustrate(find(name), out / name)
    typer.echo(page.parent)


@app.command()
def explain(
    network: Network,
    states: States = None,
    hold: Hold = None,
    units: Units = None,
    noise: Noise = None,
    nonlinearity: Nonlinearity = None,
    dt: Tick = None,
    seed: Seed = 0,
    out: Page = None,
) -> None:
    """Explain the network in a file on one page."""
    folder = out or RUNS / network.stem
    with in_plain_words("explain", network, "...", "--out", folder):
        from slowpoint.report.numbers import read_hold, read_noise, read_states
        from slowpoint.report.units import read_units

        given = {
            "states": None if states is None else read_states(states),
            "hold": None if hold is None else read_hold(hold),
            "units": None if units is None else read_units(units),
            "noise": None if noise is None else read_noise(noise),
        }

        import jax.random as jr

        from slowpoint.report.explain_file import explain_file

        page = explain_file(
            network,
            folder,
            key=jr.key(seed),
            reading={"nonlinearity": nonlinearity, "dt": dt},
            **given,
        )
    typer.echo(page)


@app.command()
def compare(
    a: Network,
    b: Network,
    task: Asked,
    changes: TaskChanges = None,
    rank: Rank = None,
    eta: Eta = 5e-3,
    steps: Steps = 200,
    seed: Seed = 0,
    out: Page = None,
) -> None:
    """Do two networks do the same, and will they learn a task alike?

    Each is a LowRank of ours, or a vanilla network (also a PyTorch nn.RNN) cut at --rank.
    """
    folder = out or RUNS / f"{a.stem}_{b.stem}"
    with in_plain_words("compare", a, b, "--task", task, "...", "--out", folder):
        from slowpoint.report.asked import task_named

        asked = task_named(task, changes or [])

        import jax.random as jr

        from slowpoint.report.compare_file import compare_files
        from slowpoint.report.comparison import Plan

        plan = Plan(eta=eta, steps=steps)
        page, lines = compare_files(a, b, asked, folder, key=jr.key(seed), rank=rank, plan=plan)
    for line in lines:
        typer.echo(line)
    typer.echo(page)


@app.command()
def monitor(
    training: Checkpoints, replicate: Replicate = 0, border: Border = None, out: Looks = None
) -> None:
    """Which stage is a training in a closed loop in? It may still run.

    Loss, spectra, gains and stages go to a page; the training is only read.
    """
    folder = out or RUNS / f"{training.resolve().name}_monitor"
    with in_plain_words("monitor", training, "--out", folder):
        from slowpoint.report.monitor import monitor

        page, lines = monitor(training, folder, replicate=replicate, border=border)
    for line in lines:
        typer.echo(line)
    typer.echo(page)


@app.command()
def select(
    latents: Models,
    counts: CountsFile,
    k: Shots = "16,64,256",
    draws: Draws = 8,
    margin: Margin = 5e-3,
    alpha: Alpha = 1e-3,
    seed: Seed = 0,
    rates_as_latents: RatesToo = False,
    out: Looks = None,
) -> None:
    """Which of many latent models of a recording to take, and why.

    Of those that predict held-out channels nearly best, one that still does when few trials
    teach its readout, and that the others can decode.
    """
    folder = out or RUNS / f"{latents.resolve().name}_selection"
    with in_plain_words("select", latents, "--counts", counts, "--out", folder):
        from slowpoint.report.numbers import read_whole

        shots = read_whole(k, "k")

        import jax.random as jr

        from slowpoint.analysis.selection import How
        from slowpoint.latents.readout import PoissonReadout
        from slowpoint.report.select_folder import select_folder

        how = How(k=shots, draws=draws, margin=margin, readout=PoissonReadout(alpha))
        page, lines = select_folder(
            latents,
            counts,
            folder,
            key=jr.key(seed),
            how=how,
            rates_as_latents=rates_as_latents,
        )
    for line in lines:
        typer.echo(line)
    typer.echo(page)


@app.command()
def geometry(
    states: Code,
    latent: LatentFile,
    labels: LabelsFile = None,
    ring: Ring = None,
    out: Page = None,
) -> None:
    """How like a map of its latent is a code?

    Order, scatter within classes, dimension and likeness of hidden states to a latent, each
    with what it hides.
    """
    folder = out or RUNS / f"{states.stem}_geometry"
    with in_plain_words("geometry", states, "--latent", latent, "...", "--out", folder):
        from slowpoint.report.geometry_file import geometry_file

        page, lines = geometry_file(states, latent, folder, labels=labels, ring=ring)
    for line in lines:
        typer.echo(line)
    typer.echo(page)


@app.command()
def report(folder: Ran) -> None:
    """The page of any run or sweep: what was asked, found, and is to be cited."""
    with in_plain_words("report", folder):
        from slowpoint.report.report_folder import report

        page = report(folder)
    typer.echo(page)


@app.command()
def cite(name: Name) -> None:
    """BibTeX of the papers behind an experiment."""
    with in_plain_words("cite", name):
        from slowpoint.report.cite import papers_of

        found = papers_of(name)
    typer.echo("\n\n".join(paper.bibtex for paper in found))


@app.command()
def doctor() -> None:
    """Versions, device, precision, and which extras are there."""
    from slowpoint.report.doctor import checks

    for what, found in checks():
        typer.echo(f"{what:12} {found}")


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


def main() -> None:
    """Answer the words after `slowpoint`."""
    # idle OpenBLAS threads spin: beside a busy neighbour they cost many times what they save
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    app()
