"""The commands about a method: list, derive, emit, certify, synthesize, simulate, portrait."""

from __future__ import annotations

import typer

from . import _cli_options as o
from ._cli_app import app, example


@app.command("list", epilog=example("odescent list", "odescent list algorithms --json"))
def _list(kind: o.Kind = "", as_json: o.Json = False) -> None:
    """Show what there is by name."""
    from . import _cmd_list

    _cmd_list.run(kind, as_json)


@app.command(
    "derive",
    short_help="Derive an algorithm from a principle, step by step.",
    epilog=example(
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
    short_help="Emit an algorithm as source that stands alone.",
    epilog=example(
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
    short_help="Prove a convergence rate, or show why there is none.",
    epilog=example(
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
    steps: o.Steps = None,
    multipliers: o.Multipliers = "interpolation",
    rate: o.Rate = None,
    lower: o.Lower = None,
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
        lower=lower, flow=flow, bounded={"horizon": horizon, "measure": measure, "start": start}, checker=checker,
        out=out, as_json=as_json,
    )  # fmt: skip
    raise typer.Exit(found)


@app.command(
    "synthesize",
    short_help="Search a family for the best worst-case rate.",
    epilog=example(
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
    short_help="Run an algorithm, or follow a system's flow.",
    epilog=example(
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
    short_help="Draw a phase portrait, with iterates over the flow.",
    epilog=example(
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
