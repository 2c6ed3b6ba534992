"""The command line. What a command does stands in ``_cmd_NAME.py`` and loads when it runs.

A new command is a function here, in ``_cli_methods.py`` or in ``_cli_training.py``, which says its arguments (in
``_cli_options.py``), and a module with ``run``. They are shown in the order in which they are added.
"""

from __future__ import annotations

from pathlib import Path

import typer

from . import _cli_methods  # noqa: F401  it adds its commands
from . import _cli_options as o
from ._cli_app import app, example
from ._cli_training import use_data


@app.callback()
def _options(version: o.Version = False) -> None:
    """Optimizers as dynamical systems: derive a method, discretize it, emit it, run it, draw it."""


@app.command("demo", epilog=example("odescent demo", "odescent demo --quick --out /tmp/demo"))
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
    short_help="Make the papers' figures, and check their claims.",
    epilog=example(
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
    workers: o.Workers = None,
    data: o.DataFolder = None,
    out: o.Folder = Path("out/figures"),
    as_json: o.Json = False,
) -> None:
    """Make the papers' figures and tables, and check their claims.

    Numbers, parameters and seeds stand beside each figure. What is unchanged is not computed again. The exit code
    is 1 if a figure fails or a claim does not hold.
    """
    from . import _cmd_figures

    use_data(data)
    found = _cmd_figures.run(
        paper or [], only or [], quick=quick, full=full, fresh=fresh, workers=workers, out=out, as_json=as_json
    )  # fmt: skip
    raise typer.Exit(found)


@app.command(
    "explore",
    short_help="Explore methods by sliders, live in a browser.",
    epilog=example(
        "odescent explore",
        "odescent explore heavy_ball --objective lessard_recht_packard --x0 3.3 --steps 60",
        "odescent explore cbo --objective ackley --x0 2,2 --steps 60 --paths 80 --seed 3",
        "odescent explore my_system.ode --port 8000 --no-browser",
        "odescent explore adam --objective rosenbrock --out adam.svg",
    ),
)
def _explore(
    name: o.Explored = "nesterov_sc",
    objective: o.ExploredObjective = None,
    x0: o.Start = None,
    steps: o.IterateCount = "40",
    paths: o.Paths = 40,
    seed: o.Seed = 0,
    host: o.Host = "127.0.0.1",
    port: o.Port = 2718,
    no_browser: o.NoBrowser = False,
    out: o.FirstPicture = None,
    as_json: o.Json = False,
) -> None:
    """Explore methods by sliders, live in a browser: flow, iterates, ensembles, spectrum, rate and code.

    Everything is computed on this machine, and the page loads nothing from elsewhere. Ctrl-C ends it.
    """
    from . import _cmd_explore

    raise typer.Exit(
        _cmd_explore.run(
            name, objective, x0, steps, paths, seed, host, port, not no_browser, out, as_json
        )
    )


@app.command("doctor", epilog=example("odescent doctor", "odescent doctor --json"))
def _doctor(as_json: o.Json = False) -> None:
    """Show versions, devices and optional parts.

    The exit code is 1 if something that is needed does not work.
    """
    from . import _cmd_doctor

    raise typer.Exit(_cmd_doctor.run(as_json))


def main() -> None:
    """The entry point of the console script."""
    app(prog_name="odescent")


__all__ = ["app", "main"]

if __name__ == "__main__":
    main()
