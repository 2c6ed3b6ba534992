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
_ONE = "An algorithm, such as nesterov."

Kind = Annotated[str, typer.Argument(metavar="[KIND]", help=_KINDS, autocompletion=_names(""))]
_ONE_OR_FILE = "An algorithm, such as nesterov, or a system file, such as my_system.ode."
Derived = Annotated[
    str, typer.Argument(metavar="NAME", help=_ONE_OR_FILE, autocompletion=_names("derivations"))
]
Named = Annotated[
    str, typer.Argument(metavar="NAME", help=_ONE, autocompletion=_names("algorithms"))
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
    str, typer.Option(help="numpy, jax, optax or latex.", autocompletion=_names("targets"))
]
Mu = Annotated[str | None, typer.Option("--mu", metavar="NUMBER", help="Strong convexity.")]
Smoothness = Annotated[str | None, typer.Option("--L", metavar="NUMBER", help="Smoothness.")]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="NAME=VALUE", help="A parameter or option by name; may be repeated."
    ),
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
    ),
)
def _emit(
    name: Named,
    target: Target = "numpy",
    mu: Mu = None,
    L: Smoothness = None,
    settings: Settings = None,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Emit an algorithm as source that stands alone.

    Numbers are read exactly: 10, 0.01, 1e-4, 1/3. What is not given stays a parameter.
    """
    from . import _cmd_emit

    _cmd_emit.run(name, target, {"mu": mu, "L": L}, settings or [], out, as_json)


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
