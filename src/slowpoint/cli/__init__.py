"""The `slowpoint` command. Reads words, calls one function, writes files. No science here.

What is slow to import is imported by the command that needs it.
"""

import os
import pathlib

import typer

from slowpoint.cli.plain import in_plain_words
from slowpoint.cli.words import (
    Alpha,
    Asked,
    Border,
    Changes,
    Checkpoints,
    Code,
    Collect,
    CountsFile,
    Draws,
    Eta,
    Grid,
    Hold,
    LabelsFile,
    LatentFile,
    Looks,
    Margin,
    Models,
    Name,
    Network,
    Noise,
    Nonlinearity,
    Out,
    Page,
    Processes,
    Quick,
    Quiet,
    Ran,
    Rank,
    RatesToo,
    Replicate,
    Ring,
    Seed,
    Shots,
    States,
    Steps,
    Swept,
    TaskChanges,
    Tick,
    Units,
    Who,
)

RUNS = pathlib.Path("runs")

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
    from slowpoint.core.compiler import compiled_soon

    with in_plain_words("run", name, *words, "--out", out), compiled_soon(quick):
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
    from slowpoint.core.compiler import compiled_soon

    calling = ("sweep", name, *words, "--executor", executor, "--out", folder)
    with in_plain_words(*calling), compiled_soon(quick):
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


def main() -> None:
    """Answer the words after `slowpoint`."""
    # idle OpenBLAS threads spin: beside a busy neighbour they cost many times what they save
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    app()
