"""The command line. What a command does stands in ``_cmd_NAME.py`` and loads when it runs.

A new command is a function here, which says its arguments (in ``_cli_options.py``), and a module with ``run``.
"""

from __future__ import annotations

import os
from pathlib import Path

import typer

from . import _cli_options as o
from ._cli_group import Group
from ._errors import OdescentError

_START = """\b
Start here:
  odescent demo                           the main job, on real data
  odescent derive nesterov                a method from a principle, step by step
  odescent emit nesterov --target optax   take it home as code
"""


def _example(*lines: str) -> str:
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


app = typer.Typer(
    name="odescent",
    cls=Group,
    rich_markup_mode=None,  # help without rich starts in half the time
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=_START,
)


@app.callback()
def _options(version: o.Version = False) -> None:
    """Optimizers as dynamical systems: derive a method, discretize it, emit it, run it, draw it."""


@app.command("list", epilog=_example("odescent list", "odescent list algorithms --json"))
def _list(kind: o.Kind = "", as_json: o.Json = False) -> None:
    """Show what there is by name."""
    from . import _cmd_list

    _cmd_list.run(kind, as_json)


@app.command(
    "derive",
    epilog=_example(
        "odescent derive nesterov",
        "odescent derive nesterov --route model --latex --out nesterov.tex",
        "odescent derive triple_momentum --html --out triple_momentum.html",
        "odescent derive cbo --set noise=anisotropic",
        "odescent derive my_system.ode",
        'odescent derive my_system.ode --scheme "strang(damp: exact, kick: explicit)"',
    ),
)
def _derive(
    name: o.Derived,
    route: o.Route = None,
    latex: o.Latex = False,
    html: o.Html = False,
    as_json: o.Json = False,
    out: o.Out = None,
    scheme: o.Scheme = None,
    where: o.Where = None,
    tuning: o.Tuning = None,
    clock: o.Clock = None,
    limit: o.Limit = None,
    settings: o.Settings = None,
) -> None:
    """Derive an algorithm from a principle, or from your own system, step by step.

    Each step is checked by the engine; the exit code is 1 if one does not hold. A system file is
    read without evaluating it, and derived in a process of its own for a limited time.
    """
    from . import _cmd_derive

    forms = {"latex": latex, "html": html, "json": as_json}
    own = {"scheme": scheme, "where": where, "tuning": tuning, "clock": clock, "seconds": limit}
    raise typer.Exit(_cmd_derive.run(name, route, forms, out, settings or (), **own))


@app.command(
    "emit",
    epilog=_example(
        "odescent emit nesterov --target optax --mu 0.01 --L 1 --out nesterov.py",
        "odescent emit proximal_point --set h=1/3",
        "odescent emit triple_momentum --target latex",
        "odescent emit my_system.ode --target jax --L 100",
    ),
)
def _emit(
    name: o.Emitted,
    target: o.Target = "numpy",
    mu: o.Mu = None,
    L: o.Smoothness = None,
    settings: o.Settings = None,
    out: o.Out = None,
    as_json: o.Json = False,
    scheme: o.Scheme = None,
    where: o.Where = None,
    tuning: o.Tuning = None,
    clock: o.Clock = None,
    limit: o.Limit = None,
) -> None:
    """Emit an algorithm, or your own system with a scheme, as source that stands alone.

    Numbers are read exactly: 10, 0.01, 1e-4, 1/3. What is not given stays a parameter. A system file is
    read without evaluating it, in a process of its own for a limited time.
    """
    from . import _cmd_emit

    own = {"scheme": scheme, "where": where, "tuning": tuning, "clock": clock, "time-limit": limit}
    named = {"mu": mu, "L": L}
    raise typer.Exit(_cmd_emit.run(name, target, named, settings or [], out, as_json, own))


@app.command(
    "certify",
    epilog=_example(
        "odescent certify heavy_ball --mu 1 --L 10",
        "odescent certify triple_momentum --mu 1 --L 10 --out certificate.json",
        "odescent certify proximal_point --set h=1/3 --mu 1 --L 10 --over quadratics",
        "odescent certify nesterov_c --mu 0 --L 1 --horizon 5",
        "odescent certify gradient_descent --mu 0 --L 1 --horizon all",
        "odescent certify gradient_flow --mu 1",
        "odescent certify --checker check_certificate.py",
    ),
)
def _certify(
    name: o.Certified = "",
    mu: o.Mu = None,
    L: o.Smoothness = None,
    over: o.Over = "smooth_strongly_convex",
    steps: o.Steps = 2,
    multipliers: o.Multipliers = "interpolation",
    rate: o.Rate = None,
    flow: o.AsFlow = False,
    horizon: o.Horizon = None,
    measure: o.Measure = None,
    start: o.Compared = None,
    settings: o.Settings = None,
    checker: o.CheckerFile = None,
    out: o.Out = None,
    as_json: o.Json = False,
) -> None:
    """Prove a convergence rate over all functions in F(mu, L), or show a function without one.

    With --horizon, a bound after so many steps, or after all; of a system, the exponential rate of its flow.

    The proof is checked in exact arithmetic; anyone can check it again with the stand-alone checker.
    The exit code is 1 if there is no certificate.
    """
    from . import _cmd_certify

    found = _cmd_certify.run(
        name, {"mu": mu, "L": L}, settings or [], over=over, steps=steps, multipliers=multipliers, rate=rate,
        flow=flow, bounded={"horizon": horizon, "measure": measure, "start": start}, checker=checker,
        out=out, as_json=as_json,
    )  # fmt: skip
    raise typer.Exit(found)


@app.command(
    "synthesize",
    epilog=_example(
        "odescent synthesize passive --mu 1 --L 10 --rate spectral",
        "odescent synthesize passive --mu 1 --L 10 --set a=0 --scheme explicit_euler --rate spectral",
        "odescent synthesize gradient_flow --mu 1 --L 10 --json",
    ),
)
def _synthesize(
    family: o.SynthesizedFamily,
    mu: o.Mu = None,
    L: o.Smoothness = None,
    rate: o.BestRate = "certified",
    schemes: o.Schemes = None,
    settings: o.Settings = None,
    seed: o.SearchSeed = 0,
    out: o.Out = None,
    as_json: o.Json = False,
) -> None:
    """Search a family's gains and schemes for the best worst-case rate over F(mu, L).

    Where the optimum shows a pattern of poles, it is solved exactly and recognized.
    """
    from . import _cmd_synthesize

    found = _cmd_synthesize.run(
        family, mu, L, rate=rate, schemes=schemes or [], settings=settings or [], seed=seed, out=out,
        as_json=as_json,
    )  # fmt: skip
    raise typer.Exit(found)


@app.command(
    "simulate",
    epilog=_example(
        "odescent simulate nesterov --objective logistic/breast_cancer --steps 1000",
        "odescent simulate heavy_ball --objective lessard_recht_packard --x0 3.3 --steps 60 --out run.csv",
        "odescent simulate gradient_descent --objective quadratic --steps 1e6 --every 1e4 --resume run.npz",
        "odescent simulate gradient_flow --objective quadratic --time 5",
        "odescent simulate my_system.ode --objective quadratic --time 5 --set c=1/2",
    ),
)
def _simulate(
    name: o.Simulated,
    objective: o.ObjectiveName = None,
    x0: o.Start = None,
    steps: o.StepCount = "100",
    time: o.Time = None,
    every: o.Every = "1",
    statistics: o.Statistics = "",
    seed: o.Seed = 0,
    mu: o.Mu = None,
    L: o.Smoothness = None,
    settings: o.Settings = None,
    resume: o.Resume = None,
    out: o.Out = None,
    scheme: o.Scheme = None,
    where: o.Where = None,
    tuning: o.Tuning = None,
    clock: o.Clock = None,
    limit: o.Limit = None,
    as_json: o.Json = False,
) -> None:
    """Run an algorithm on an objective, or follow a system's flow for a time.

    NAME may be a system file: with a scheme its algorithm is run, with --time its flow is followed.
    Long runs show a bar, store only what is asked for, and go on from --resume FILE after Ctrl-C.
    """
    from . import _cmd_simulate

    direct = {"mu": mu, "L": L}
    own = {"scheme": scheme, "where": where, "tuning": tuning, "clock": clock, "time-limit": limit}
    raise typer.Exit(
        _cmd_simulate.run(
            name, objective, x0, steps, time, every, statistics, seed, settings or [], direct, resume, out, as_json,
            own,
        )
    )  # fmt: skip


@app.command(
    "portrait",
    epilog=_example(
        "odescent portrait nesterov_sc --curvature 1 --mu 1 --L 100 --out nesterov.pdf",
        "odescent portrait heavy_ball --objective lessard_recht_packard --x0 3.3 --out cycle.gif",
        "odescent portrait passive --curvature 1 --set K=3 --set a=0 --set b=2 --slow psi,1/K,3",
        "odescent portrait my_system.ode --curvature 1 --set c=1/2 --out portrait.pdf",
        "odescent portrait heavy_ball --story --out story",
    ),
)
def _portrait(
    name: o.Simulated,
    objective: o.PlainObjective = None,
    curvature: o.Curvature = None,
    x0: o.Start = None,
    steps: o.StepCount = "30",
    window: o.Window = None,
    others: o.Others = None,
    slow: o.Slow = None,
    mu: o.Mu = None,
    L: o.Smoothness = None,
    settings: o.Settings = None,
    story: o.Story = False,
    out: o.Picture = None,
    scheme: o.Scheme = None,
    where: o.Where = None,
    tuning: o.Tuning = None,
    clock: o.Clock = None,
    limit: o.Limit = None,
    as_json: o.Json = False,
) -> None:
    """Draw the phase portrait of a system, or of an algorithm with its iterates over its flow.

    NAME may be a system file; with a scheme, its algorithm's iterates are laid over the flow.
    Fixed points, separatrices, limit cycles and, where asked, the slow manifold.
    """
    from . import _cmd_portrait

    if story:
        raise typer.Exit(_cmd_portrait.story(name, out, as_json))
    direct = {"mu": mu, "L": L}
    own = {"scheme": scheme, "where": where, "tuning": tuning, "clock": clock, "time-limit": limit}
    raise typer.Exit(
        _cmd_portrait.run(
            name, objective, curvature, x0, steps, window, others or [], slow, settings or [], direct, out, as_json,
            own,
        )
    )  # fmt: skip


def _use_data(folder: Path | None) -> None:
    """Let data sets be read from a folder; OdescentError if there is none."""
    if folder is None:
        return
    if not folder.is_dir():
        raise OdescentError(
            f"there is no folder {str(folder)!r}: --data names the one with the data."
        )
    os.environ["ODESCENT_DATA"] = str(folder)


@app.command(
    "train",
    epilog=_example(
        "odescent train digits-ode --regularizer error --coefficient 0.1 --dt0 calibrated",
        "odescent train digits-ode --regularizer none --regularizer error --seed 0,1,2",
        "odescent train digits-ode --regularizer error+0.5*stiffness --coefficient 0.1",
        "odescent train digits-ode --regularizer steps --target-nfe 37 --out run --resume",
        "odescent train spirals-ode --optimizer triple_momentum --set mu=1 --set L=20",
        "odescent train mnist-ode --paper 2021 --regularizer ERNODE",
    ),
)
def _train(
    task: o.Trained,
    regularizer: o.Regularizers = None,
    coefficient: o.Coefficient = None,
    final_coefficient: o.FinalCoefficient = None,
    target_nfe: o.TargetNfe = None,
    max_accuracy_loss: o.MaxAccuracyLoss = None,
    optimizer: o.OptimizerName = None,
    learning_rate: o.LearningRate = None,
    seed: o.Seeds = "0",
    steps: o.TrainingSteps = None,
    batch: o.BatchSize = None,
    tolerance: o.Tolerance = None,
    dt0: o.FirstStep = None,
    paper: o.Paper = None,
    devices: o.Devices = None,
    settings: o.TrainingSettings = None,
    data: o.DataFolder = None,
    out: o.RunFolder = None,
    resume: o.GoOn = False,
    as_json: o.Json = False,
    schedule: o.RateSchedule = None,
    clip: o.Clip = None,
    precision: o.FloatType = None,
    max_steps: o.MaxSteps = None,
    brownian_tolerance: o.BrownianTolerance = None,
    validate_every: o.ValidateEvery = None,
    checkpoint_every: o.CheckpointEvery = None,
    skips: o.Skips = None,
) -> None:
    """Train a neural ODE or SDE to be accurate and cheap to solve.

    A killed run goes on with --resume, to the same bits. MNIST and PhysioNet are read from the folder --data, or
    from the one that the environment variable ODESCENT_DATA names. The exit code is 1 if a run fails.
    """
    from . import _cmd_train

    given = {
        "coefficient": coefficient, "final_coefficient": final_coefficient, "target_nfe": target_nfe,
        "max_accuracy_loss": max_accuracy_loss, "optimizer": optimizer, "learning_rate": learning_rate,
        "steps": steps, "batch": batch, "rtol": tolerance, "atol": tolerance, "dt0": dt0, "paper": paper,
        "devices": devices, "schedule": schedule, "clip": clip, "precision": precision, "max_steps": max_steps,
        "brownian_tolerance": brownian_tolerance, "validate_every": validate_every,
        "checkpoint_every": checkpoint_every, "skips": skips,
    }  # fmt: skip
    _use_data(data)
    found = _cmd_train.run(
        task,
        given,
        regularizer or [],
        seed,
        settings or [],
        out=out,
        resume=resume,
        as_json=as_json,
    )
    raise typer.Exit(found)


@app.command(
    "inspect",
    epilog=_example(
        "odescent inspect run --out pictures",
        "odescent inspect vanilla error steps --out pictures",
        "odescent inspect run --rows train --json",
    ),
)
def _inspect(
    runs: o.Runs,
    rows: o.RowsPart = "validation",
    out: o.Pictures = None,
    as_json: o.Json = False,
) -> None:
    """Look at trained models: steps, errors and stiffness, evaluations per row, other solvers, the vector field.

    A run is a folder that train --out made; of several, accuracy against evaluations as well.
    """
    from . import _cmd_inspect

    raise typer.Exit(_cmd_inspect.run(runs, rows, out, as_json))


@app.command("demo", epilog=_example("odescent demo", "odescent demo --quick --out /tmp/demo"))
def _demo(
    out: o.Folder = Path("out/demo"), quick: o.Quick = False, as_json: o.Json = False
) -> None:
    """Derive a method, emit it, run it on real data, draw it.

    Nesterov's method beside gradient descent, heavy ball, triple momentum and optax.
    """
    from . import _cmd_demo

    _cmd_demo.run(out, quick, as_json)


@app.command(
    "figures",
    epilog=_example(
        "odescent figures",
        "odescent figures --paper acceleration --out figures",
        "odescent figures --only acceleration/manifold --full",
    ),
)
def _figures(
    paper: o.Papers = None,
    only: o.OnlyFigures = None,
    quick: o.QuickFigures = False,
    full: o.FullFigures = False,
    fresh: o.Fresh = False,
    data: o.DataFolder = None,
    out: o.Folder = Path("out/figures"),
    as_json: o.Json = False,
) -> None:
    """Make the papers' figures and tables, and check their claims.

    Numbers, parameters and seeds stand beside each figure. What is unchanged is not computed again. The exit code
    is 1 if a figure fails or a claim does not hold.
    """
    from . import _cmd_figures

    _use_data(data)
    found = _cmd_figures.run(
        paper or [], only or [], quick=quick, full=full, fresh=fresh, out=out, as_json=as_json
    )
    raise typer.Exit(found)


@app.command(
    "explore",
    epilog=_example(
        "odescent explore",
        "odescent explore heavy_ball --objective lessard_recht_packard --x0 3.3 --steps 60",
        "odescent explore my_system.ode --port 8000 --no-browser",
        "odescent explore adam --objective rosenbrock --out adam.svg",
    ),
)
def _explore(
    name: o.Explored = "nesterov_sc",
    objective: o.ExploredObjective = None,
    x0: o.Start = None,
    steps: o.StepCount = "40",
    host: o.Host = "127.0.0.1",
    port: o.Port = 2718,
    no_browser: o.NoBrowser = False,
    out: o.FirstPicture = None,
    as_json: o.Json = False,
) -> None:
    """Explore methods by sliders, live in a browser: flow, iterates, spectrum, rate and code.

    Everything is computed on this machine, and the page loads nothing from elsewhere. Ctrl-C ends it.
    """
    from . import _cmd_explore

    raise typer.Exit(
        _cmd_explore.run(name, objective, x0, steps, host, port, not no_browser, out, as_json)
    )


@app.command("doctor", epilog=_example("odescent doctor", "odescent doctor --json"))
def _doctor(as_json: o.Json = False) -> None:
    """Show versions, devices and optional parts.

    The exit code is 1 if something that is needed does not work.
    """
    from . import _cmd_doctor

    raise typer.Exit(_cmd_doctor.run(as_json))


def main() -> None:
    """The entry point of the console script."""
    app(prog_name="odescent")


if __name__ == "__main__":
    main()
