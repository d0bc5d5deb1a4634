"""What may be typed after each command, and what is said of it."""

import pathlib
from typing import Annotated

import typer

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
Who = Annotated[
    str, typer.Option(metavar="inline|local|slurm", help="Here, in processes, on a cluster.")
]
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
