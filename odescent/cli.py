"""The command line. What a command does stands in ``_cmd_NAME.py`` and loads when it runs.

A new command is a function here, which says its arguments, and a module with ``run``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from . import _console
from ._cli_group import Group

_START = """\b
Start here:
  odescent demo                           the main job, on real data
  odescent derive nesterov                a method from a principle, step by step
  odescent emit nesterov --target optax   take it home as code
"""


def _example(*lines: str) -> str:
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def _names(kind: str) -> Callable[[str], list[str]]:
    """Shell completion of the names of one kind, or of the kinds."""

    def complete(incomplete: str) -> list[str]:
        from . import _cmd_list

        entries = _cmd_list.KINDS[kind]() if kind else [{"name": k} for k in _cmd_list.KINDS]
        names = [name for e in entries for name in (e["name"], *e.get("aliases", ()))]
        return [name for name in names if name.startswith(incomplete)]

    return complete


def _version(asked: bool) -> bool:
    if asked:
        import odescent as od

        _console.say(f"odescent {od.__version__}")
        raise typer.Exit
    return asked


_KINDS = "systems, algorithms, schemes, objectives, derivations or targets; all if left out."

Kind = Annotated[str, typer.Argument(metavar="[KIND]", help=_KINDS, autocompletion=_names(""))]
_ONE_OR_FILE = "An algorithm, such as nesterov, or a system file, such as my_system.ode."
Derived = Annotated[
    str, typer.Argument(metavar="NAME", help=_ONE_OR_FILE, autocompletion=_names("derivations"))
]
Emitted = Annotated[
    str, typer.Argument(metavar="NAME", help=_ONE_OR_FILE, autocompletion=_names("algorithms"))
]
Route = Annotated[str | None, typer.Option(help="immersion or model; the first one by default.")]
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
    str, typer.Argument(metavar="[NAME]", help=_CERTIFIED, autocompletion=_names("algorithms"))
]
Over = Annotated[str, typer.Option(help="smooth_strongly_convex or quadratics.")]
Steps = Annotated[int, typer.Option(help="Memory of the Lyapunov function, 1 to 4.")]
Rate = Annotated[
    str | None, typer.Option(metavar="NUMBER", help="A rate to prove; the least by default.")
]
AsFlow = Annotated[
    bool,
    typer.Option("--flow", help="NAME is a system: its exponential rate; --L may be left out."),
]
Horizon = Annotated[
    int | None, typer.Option(metavar="N", help="A bound after N steps instead; --mu may be 0.")
]
Measure = Annotated[
    str | None, typer.Option(help="After N steps: value, gradient or distance (of x_N).")
]
Compared = Annotated[str | None, typer.Option(help="At the start: distance or value (of x_0).")]
CheckerFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write the stand-alone checker to FILE.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="NAME=VALUE", help="A parameter or option by name; may be repeated."
    ),
]
_ONE_OR_SYSTEM = "An algorithm or a system, such as nesterov_sc or gradient_flow."
Simulated = Annotated[
    str, typer.Argument(metavar="NAME", help=_ONE_OR_SYSTEM, autocompletion=_names("algorithms"))
]
ObjectiveName = Annotated[
    str, typer.Option(metavar="NAME", help="What to run on.", autocompletion=_names("objectives"))
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
Seed = Annotated[int, typer.Option(help="Of the noise.")]
Resume = Annotated[
    Path | None, typer.Option(metavar="FILE", help="A run file to go on from and to write.")
]
Curvature = Annotated[
    str | None, typer.Option(metavar="NUMBER", help="Draw one mode of a quadratic.")
]
Window = Annotated[str | None, typer.Option(metavar="X0,X1,Y0,Y1", help="What to show.")]
Others = Annotated[
    list[str] | None,
    typer.Option("--with", metavar="NAME", help="One more algorithm's iterates; may be repeated."),
]
Slow = Annotated[
    str | None, typer.Option(metavar="FAST,SMALL,ORDER", help="Draw the slow manifold's expansion.")
]
_STORY = (
    "Of heavy_ball: why it need not converge, as figures and checked steps in the folder --out."
)
Story = Annotated[bool, typer.Option("--story", help=_STORY)]
Picture = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Picture (pdf, svg, png) or film (gif, mp4).")
]
Out = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write to FILE, all of it or nothing.")
]
Folder = Annotated[Path, typer.Option(metavar="FOLDER", help="Where pictures and code go.")]
Quick = Annotated[bool, typer.Option("--quick", help="Fewer steps and smaller pictures.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document, for machines.")]
Version = Annotated[
    bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
]

app = typer.Typer(
    name="odescent",
    cls=Group,
    rich_markup_mode=None,  # help without rich starts in half the time
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=_START,
)


@app.callback()
def _options(version: Version = False) -> None:
    """Optimizers as dynamical systems: derive a method, discretize it, emit it, run it, draw it."""


@app.command("list", epilog=_example("odescent list", "odescent list algorithms --json"))
def _list(kind: Kind = "", as_json: Json = False) -> None:
    """Show what there is by name."""
    from . import _cmd_list

    _cmd_list.run(kind, as_json)


@app.command(
    "derive",
    epilog=_example(
        "odescent derive nesterov",
        "odescent derive nesterov --route model --latex --out nesterov.tex",
        "odescent derive triple_momentum --html --out triple_momentum.html",
        "odescent derive my_system.ode",
        'odescent derive my_system.ode --scheme "strang(damp: exact, kick: explicit)"',
    ),
)
def _derive(
    name: Derived,
    route: Route = None,
    latex: Latex = False,
    html: Html = False,
    as_json: Json = False,
    out: Out = None,
    scheme: Scheme = None,
    where: Where = None,
    tuning: Tuning = None,
    clock: Clock = None,
    limit: Limit = None,
) -> None:
    """Derive an algorithm from a principle, or from your own system, step by step.

    Each step is checked by the engine; the exit code is 1 if one does not hold. A system file is
    read without evaluating it, and derived in a process of its own for a limited time.
    """
    from . import _cmd_derive

    forms = {"latex": latex, "html": html, "json": as_json}
    own = {"scheme": scheme, "where": where, "tuning": tuning, "clock": clock, "seconds": limit}
    raise typer.Exit(_cmd_derive.run(name, route, forms, out, **own))


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
    name: Emitted,
    target: Target = "numpy",
    mu: Mu = None,
    L: Smoothness = None,
    settings: Settings = None,
    out: Out = None,
    as_json: Json = False,
    scheme: Scheme = None,
    where: Where = None,
    tuning: Tuning = None,
    clock: Clock = None,
    limit: Limit = None,
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
        "odescent certify gradient_flow --mu 1",
        "odescent certify --checker check_certificate.py",
    ),
)
def _certify(
    name: Certified = "",
    mu: Mu = None,
    L: Smoothness = None,
    over: Over = "smooth_strongly_convex",
    steps: Steps = 2,
    rate: Rate = None,
    flow: AsFlow = False,
    horizon: Horizon = None,
    measure: Measure = None,
    start: Compared = None,
    settings: Settings = None,
    checker: CheckerFile = None,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Prove a convergence rate over all functions in F(mu, L), or show a function without one.

    With --horizon, a bound after so many steps; of a system, the exponential rate of its flow.

    The proof is checked in exact arithmetic; anyone can check it again with the stand-alone checker.
    The exit code is 1 if there is no certificate.
    """
    from . import _cmd_certify

    found = _cmd_certify.run(
        name, {"mu": mu, "L": L}, settings or [], over=over, steps=steps, rate=rate,
        flow=flow, bounded={"horizon": horizon, "measure": measure, "start": start}, checker=checker,
        out=out, as_json=as_json,
    )  # fmt: skip
    raise typer.Exit(found)


@app.command(
    "simulate",
    epilog=_example(
        "odescent simulate nesterov --objective logistic/breast_cancer --steps 1000",
        "odescent simulate heavy_ball --objective lessard_recht_packard --x0 3.3 --steps 60 --out run.csv",
        "odescent simulate gradient_descent --objective quadratic --steps 1e6 --every 1e4 --resume run.npz",
        "odescent simulate gradient_flow --objective quadratic --time 5",
    ),
)
def _simulate(
    name: Simulated,
    objective: ObjectiveName = "quadratic",
    x0: Start = None,
    steps: StepCount = "100",
    time: Time = None,
    every: Every = "1",
    statistics: Statistics = "",
    seed: Seed = 0,
    mu: Mu = None,
    L: Smoothness = None,
    settings: Settings = None,
    resume: Resume = None,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Run an algorithm on an objective, or follow a system's flow for a time.

    Long runs show a bar, store only what is asked for, and go on from --resume FILE after Ctrl-C.
    """
    from . import _cmd_simulate

    direct = {"mu": mu, "L": L}
    raise typer.Exit(
        _cmd_simulate.run(
            name, objective, x0, steps, time, every, statistics, seed, settings or [], direct, resume, out, as_json
        )
    )  # fmt: skip


@app.command(
    "portrait",
    epilog=_example(
        "odescent portrait nesterov_sc --curvature 1 --mu 1 --L 100 --out nesterov.pdf",
        "odescent portrait heavy_ball --objective lessard_recht_packard --x0 3.3 --out cycle.gif",
        "odescent portrait passive --curvature 1 --set K=3 --set a=0 --set b=2 --slow psi,1/K,3",
        "odescent portrait heavy_ball --story --out story",
    ),
)
def _portrait(
    name: Simulated,
    objective: PlainObjective = None,
    curvature: Curvature = None,
    x0: Start = None,
    steps: StepCount = "30",
    window: Window = None,
    others: Others = None,
    slow: Slow = None,
    mu: Mu = None,
    L: Smoothness = None,
    settings: Settings = None,
    story: Story = False,
    out: Picture = None,
    as_json: Json = False,
) -> None:
    """Draw the phase portrait of a system, or of an algorithm with its iterates over its flow.

    Fixed points, separatrices, limit cycles and, where asked, the slow manifold.
    """
    from . import _cmd_portrait

    if story:
        raise typer.Exit(_cmd_portrait.story(name, out, as_json))
    direct = {"mu": mu, "L": L}
    raise typer.Exit(
        _cmd_portrait.run(
            name, objective, curvature, x0, steps, window, others or [], slow, settings or [], direct, out, as_json
        )
    )  # fmt: skip


@app.command("demo", epilog=_example("odescent demo", "odescent demo --quick --out /tmp/demo"))
def _demo(out: Folder = Path("out/demo"), quick: Quick = False, as_json: Json = False) -> None:
    """Derive a method, emit it, run it on real data, draw it.

    Nesterov's method beside gradient descent, heavy ball, triple momentum and optax.
    """
    from . import _cmd_demo

    _cmd_demo.run(out, quick, as_json)


@app.command("doctor", epilog=_example("odescent doctor", "odescent doctor --json"))
def _doctor(as_json: Json = False) -> None:
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
