"""What the commands of the command line take: arguments and options, one name for each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import _console
from ._completion import names as _names
from ._completion import routes as _routes
from ._completion import words as _words


def _version(asked: bool) -> bool:
    if asked:
        import odescent as od

        _console.say(f"odescent {od.__version__}")
        raise typer.Exit
    return asked


def _path(text: str) -> Path:
    """A file or a folder by its name, which is not empty: that would be the current folder, unsaid."""
    if not str(text):
        raise ValueError("the name of a file or a folder, not ''")
    return Path(text)


def _file(path: Path | None) -> Path | None:
    """A file to write, looked at before anything is computed for it."""
    if path is not None:
        from ._files import check_file

        check_file(path)
    return path


_SEEDS = 2**31 - 1
_KINDS = (
    "systems, algorithms, schemes, objectives, derivations, targets, tasks, regularizers, papers or figures; "
    "all if left out."
)

Kind = Annotated[str, typer.Argument(metavar="KIND", help=_KINDS, autocompletion=_names("kinds"))]
_ONE_OR_FILE = "An algorithm, such as nesterov, or a system file, such as my_system.ode."
Derived = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help=_ONE_OR_FILE, autocompletion=_names("derivations", files=".ode")
    ),
]
Emitted = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help=_ONE_OR_FILE, autocompletion=_names("algorithms", files=".ode")
    ),
]
Route = Annotated[
    str | None,
    typer.Option(
        help="immersion, model, relaxation or direct; the first that it has by default.",
        autocompletion=_routes,
    ),
]
Scheme = Annotated[str | None, typer.Option(metavar="SCHEME", help="Of a system file: the scheme.")]
Where = Annotated[
    str | None, typer.Option(metavar="A=VALUE,...", help="Of a system file: what holds exactly.")
]
Tuning = Annotated[
    str | None, typer.Option(metavar="H=VALUE,...", help="Of a system file: what is bound last.")
]
Clock = Annotated[
    str | None, typer.Option(metavar="TIME", help="Of a system file: time at step k, such as k*h.")
]
Limit = Annotated[
    str | None,
    typer.Option("--time-limit", metavar="SECONDS", help="For a system file; 20 by default."),
]
Latex = Annotated[bool, typer.Option("--latex", help="LaTeX instead of text.")]
Html = Annotated[bool, typer.Option("--html", help="One HTML page instead of text.")]
Target = Annotated[
    str,
    typer.Option(
        help="numpy, jax, optax, torch, latex or markdown.", autocompletion=_names("targets")
    ),
]
Mu = Annotated[str | None, typer.Option("--mu", metavar="NUMBER", help="Strong convexity.")]
Smoothness = Annotated[str | None, typer.Option("--L", metavar="NUMBER", help="Smoothness.")]
_CERTIFIED = "An algorithm, such as nesterov."
Certified = Annotated[
    str, typer.Argument(metavar="NAME", help=_CERTIFIED, autocompletion=_names("algorithms"))
]
SynthesizedFamily = Annotated[
    str,
    typer.Argument(
        metavar="FAMILY",
        help="A system with free gains, or an algorithm.",
        autocompletion=_names("systems", "algorithms"),
    ),
]
BestRate = Annotated[
    str,
    typer.Option(
        "--rate", help="certified or spectral.", autocompletion=_words("certified", "spectral")
    ),
]
SearchSeed = Annotated[int, typer.Option("--seed", min=0, max=_SEEDS, help="Of the random starts.")]
Schemes = Annotated[
    list[str] | None,
    typer.Option(
        "--scheme",
        metavar="NAME",
        help="A scheme to try; may be repeated.",
        autocompletion=_names("schemes"),
    ),
]
Over = Annotated[
    str,
    typer.Option(
        help="smooth_strongly_convex or quadratics.",
        autocompletion=_words("smooth_strongly_convex", "quadratics"),
    ),
]
Steps = Annotated[
    int | None,
    typer.Option(help="Memory of the Lyapunov function, 1 to 6; else as much as changes the rate."),
]
Multipliers = Annotated[
    str,
    typer.Option(
        help="interpolation, or an IQC: sector, off_by_one, zames_falb.",
        autocompletion=_words("interpolation", "sector", "off_by_one", "zames_falb"),
    ),
]
Rate = Annotated[
    str | None, typer.Option(metavar="NUMBER", help="A rate to prove; the least by default.")
]
Lower = Annotated[
    str | None,
    typer.Option(
        metavar="SECONDS", help="Look so long for a function on which it is slow; not by default."
    ),
]
AsFlow = Annotated[
    bool,
    typer.Option("--flow", help="NAME is a system: its exponential rate; --L may be left out."),
]
Horizon = Annotated[
    str | None,
    typer.Option(metavar="N", help="A bound after N steps instead, or after all; --mu may be 0."),
]
Measure = Annotated[
    str | None,
    typer.Option(
        help="After N steps: value, gradient or distance (of x_N).",
        autocompletion=_words("value", "gradient", "distance"),
    ),
]
Compared = Annotated[
    str | None,
    typer.Option(
        help="At the start: distance or value (of x_0).", autocompletion=_words("distance", "value")
    ),
]
CheckerFile = Annotated[
    Path | None,
    typer.Option(
        parser=_path, metavar="FILE", callback=_file, help="Write the stand-alone checker to FILE."
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="NAME=VALUE", help="A parameter or option by name; may be repeated."
    ),
]
_ONE_OR_SYSTEM = "An algorithm or a system, such as nesterov_sc or gradient_flow, or a system file."
Simulated = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help=_ONE_OR_SYSTEM,
        autocompletion=_names("algorithms", "systems", files=".ode"),
    ),
]
ObjectiveName = Annotated[
    str | None,
    typer.Option(
        "--objective",
        metavar="NAME",
        help="What to run on; quadratic by default.",
        autocompletion=_names("objectives"),
    ),
]
PlainObjective = Annotated[
    str | None,
    typer.Option(
        "--objective", metavar="NAME", help="What to draw on.", autocompletion=_names("objectives")
    ),
]
Start = Annotated[
    str | None, typer.Option("--x0", metavar="X,...", help="Where to start; the objective's own.")
]
StepCount = Annotated[str, typer.Option(metavar="N", help="Number of steps, such as 1000 or 1e6.")]
Time = Annotated[str | None, typer.Option(metavar="T", help="Of a system: for how long.")]
Every = Annotated[str, typer.Option(metavar="K", help="Keep every K-th step and the last.")]
Statistics = Annotated[
    str, typer.Option(metavar="NAMES", help="mean, variance, minimum, maximum, with commas.")
]
Seed = Annotated[int, typer.Option(min=0, max=_SEEDS, help="Of the noise.")]
IterateCount = Annotated[
    str, typer.Option("--steps", metavar="N", help="How many iterates, 1 to 200.")
]
Paths = Annotated[
    int, typer.Option(min=1, max=100, help="Of a method with noise; or how many particles.")
]
Resume = Annotated[
    Path | None,
    typer.Option(parser=_path, metavar="FILE", help="A run file to go on from and to write."),
]
Curvature = Annotated[
    str | None, typer.Option(metavar="NUMBER", help="Draw one mode of a quadratic.")
]
Window = Annotated[str | None, typer.Option(metavar="X0,X1,Y0,Y1", help="What to show.")]
Others = Annotated[
    list[str] | None,
    typer.Option(
        "--with",
        metavar="NAME",
        help="One more algorithm's iterates; may be repeated.",
        autocompletion=_names("algorithms", files=".ode"),
    ),
]
Slow = Annotated[
    str | None, typer.Option(metavar="FAST,SMALL,ORDER", help="Draw the slow manifold's expansion.")
]
_STORY = (
    "Of heavy_ball: why it need not converge, as figures and checked steps in the folder --out."
)
Story = Annotated[bool, typer.Option("--story", help=_STORY)]
Trained = Annotated[
    str, typer.Argument(metavar="TASK", help="Such as digits-ode.", autocompletion=_names("tasks"))
]
_TRAINED_WITH = "Such as error, error+0.5*stiffness, or none; several are compared."
Regularizers = Annotated[
    list[str] | None,
    typer.Option(
        "--regularizer", metavar="NAME", help=_TRAINED_WITH, autocompletion=_names("regularizers")
    ),
]
Coefficient = Annotated[str | None, typer.Option(metavar="NUMBER", help="Of the regularizer.")]
TargetNfe = Annotated[
    str | None,
    typer.Option("--target-nfe", metavar="N", help="Find the coefficient: N evaluations."),
]
MaxAccuracyLoss = Annotated[
    str | None,
    typer.Option(
        "--max-accuracy-loss",
        metavar="D",
        help="Find the coefficient: accuracy within D (0.01 is a point) of a run without, trained first.",
    ),
]
OptimizerName = Annotated[
    str | None,
    typer.Option(
        "--optimizer",
        metavar="NAME",
        help="Of optax, an algorithm, or levenberg_marquardt.",
        autocompletion=_names("algorithms"),
    ),
]
LearningRate = Annotated[
    str | None,
    typer.Option("--learning-rate", metavar="NUMBER", help="Of the optimizer; the task's own."),
]
Seeds = Annotated[str, typer.Option("--seed", metavar="N,...", help="Several are compared.")]
TrainingSteps = Annotated[
    str | None, typer.Option("--steps", metavar="N", help="Of the optimizer.")
]
BatchSize = Annotated[str | None, typer.Option("--batch", metavar="N", help="Rows per step.")]
Tolerance = Annotated[
    str | None, typer.Option(metavar="NUMBER", help="rtol and atol of the solves.")
]
FirstStep = Annotated[
    str | None,
    typer.Option(
        "--dt0",
        metavar="STEP",
        help="hairer, warm, calibrated or a length.",
        autocompletion=_words("hairer", "warm", "calibrated"),
    ),
]
FinalCoefficient = Annotated[
    str | None,
    typer.Option(
        "--final-coefficient",
        metavar="NUMBER",
        help="What the coefficient falls to, exponentially, at the last step.",
    ),
]
BrownianTolerance = Annotated[
    str | None,
    typer.Option(
        "--brownian-tolerance",
        metavar="TIME",
        help="To what length of time Brownian paths are resolved; follows from the tolerance.",
    ),
]
MaxSteps = Annotated[
    str | None,
    typer.Option("--max-steps", metavar="N", help="Of a solve."),
]
RateSchedule = Annotated[
    str | None,
    typer.Option(
        "--schedule",
        metavar="NAME",
        help="Of the learning rate: constant, cosine or inverse.",
        autocompletion=_words("constant", "cosine", "inverse"),
    ),
]
Clip = Annotated[
    str | None,
    typer.Option("--clip", metavar="NUMBER", help="Largest norm of a gradient."),
]
FloatType = Annotated[
    str | None,
    typer.Option(
        "--precision",
        metavar="TYPE",
        help="float32 or float64.",
        autocompletion=_words("float32", "float64"),
    ),
]
ValidateEvery = Annotated[
    str | None,
    typer.Option("--validate-every", metavar="N", help="Steps between validations; 100."),
]
CheckpointEvery = Annotated[
    str | None,
    typer.Option("--checkpoint-every", metavar="N", help="Steps between checkpoints; 100."),
]
Skips = Annotated[
    str | None,
    typer.Option(
        "--skips", metavar="N", help="Batches in a row that may fail and are passed over; 0."
    ),
]
DataFolder = Annotated[
    Path | None,
    typer.Option(
        "--data",
        parser=_path,
        metavar="FOLDER",
        help="Where mnist and physionet2012 lie; else ODESCENT_DATA says.",
    ),
]
Paper = Annotated[
    str | None,
    typer.Option(
        metavar="YEAR", help="Settings of 2021 or 2023.", autocompletion=_words("2021", "2023")
    ),
]
TrainingSettings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Of the optimizer, or regularizer.NAME (of a sum: regularizer.TERM.NAME) or model.NAME; may be repeated.",
    ),
]
Papers = Annotated[
    list[str] | None,
    typer.Option(
        "--paper",
        metavar="NAME",
        help="acceleration, consensus, heuristics or local; may be repeated.",
        autocompletion=_names("papers"),
    ),
]
OnlyFigures = Annotated[
    list[str] | None,
    typer.Option(
        "--only",
        metavar="NAME",
        help="One figure; may be repeated.",
        autocompletion=_names("figures"),
    ),
]
QuickFigures = Annotated[
    bool, typer.Option("--quick", help="Smaller sizes, said on the figure; the default.")
]
FullFigures = Annotated[bool, typer.Option("--full", help="The papers' own scale.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Compute anew what is there already.")]
Workers = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Processes; by default one per processor, four at most."),
]
RunFolder = Annotated[
    Path | None,
    typer.Option(
        "--out", parser=_path, metavar="FOLDER", help="For checkpoint, metrics and result."
    ),
]
Runs = Annotated[
    list[Path], typer.Argument(parser=_path, metavar="RUN...", help="Folders of finished runs.")
]
RowsPart = Annotated[
    str,
    typer.Option(
        "--rows",
        metavar="PART",
        help="Which rows: train, validation or test.",
        autocompletion=_words("train", "validation", "test"),
    ),
]
Pictures = Annotated[
    Path | None,
    typer.Option("--out", parser=_path, metavar="FOLDER", help="For pictures, and inspect.json."),
]
GoOn = Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in --out.")]
Devices = Annotated[str | None, typer.Option(metavar="N", help="Split batches over N devices.")]
Picture = Annotated[
    Path | None,
    typer.Option(parser=_path, metavar="FILE", help="Picture (pdf, svg, png) or film (gif, mp4)."),
]
Out = Annotated[
    Path | None,
    typer.Option(
        parser=_path, metavar="FILE", callback=_file, help="Write to FILE, all of it or nothing."
    ),
]
Folder = Annotated[
    Path, typer.Option(parser=_path, metavar="FOLDER", help="Where pictures and code go.")
]
Quick = Annotated[bool, typer.Option("--quick", help="Fewer steps and smaller pictures.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document, for machines.")]
Version = Annotated[
    bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
]
Explored = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help=_ONE_OR_SYSTEM,
        autocompletion=_names("algorithms", "systems", files=".ode"),
    ),
]
Host = Annotated[str, typer.Option(metavar="ADDRESS", help="To listen on; this machine alone.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="To listen on; 0 takes a free one.")]
NoBrowser = Annotated[bool, typer.Option("--no-browser", help="Only say where the page is.")]
ExploredObjective = Annotated[
    str | None,
    typer.Option(
        "--objective",
        metavar="NAME",
        help="Of one or two variables; one mode of a quadratic if left out.",
        autocompletion=_names("objectives"),
    ),
]
FirstPicture = Annotated[
    Path | None,
    typer.Option(
        parser=_path,
        metavar="FILE",
        callback=_file,
        help="Write what it shows first as a picture (svg) instead.",
    ),
]
