"""The command line. A command is ``run`` in ``_cli/commands/NAME.py``, and a line in the table of that folder."""

from __future__ import annotations

from typing import Annotated

import typer

from ._cli.group import HELP, Group

_START = """\b
Start here:
  odescent demo                           the main job, on real data
  odescent derive nesterov                a method from a principle, step by step
  odescent emit nesterov --target optax   take it home as code
"""


def _version(asked: bool) -> None:
    if asked:
        import odescent as od

        from ._cli.base import console

        console.say(f"odescent {od.__version__}")
        raise typer.Exit


app = typer.Typer(
    name="odescent",
    cls=Group,
    rich_markup_mode=None,  # help without rich starts in half the time
    pretty_exceptions_enable=False,
    context_settings=HELP,
    epilog=_START,
)


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Optimizers as dynamical systems: derive a method, discretize it, emit it, run it, draw it."""


def main() -> None:
    """The entry point of the console script."""
    app(prog_name="odescent")


if __name__ == "__main__":
    main()
