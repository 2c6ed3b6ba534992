"""The application that the commands are added to."""

from __future__ import annotations

import typer

from ._cli_group import Group

_START = """\b
Start here:
  odescent demo                           the main job, on real data
  odescent derive nesterov                a method from a principle, step by step
  odescent emit nesterov --target optax   take it home as code
"""


def example(*lines: str) -> str:
    """What stands below a command's help."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


app = typer.Typer(
    name="odescent",
    cls=Group,
    rich_markup_mode=None,  # help without rich starts in half the time
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=_START,
)
