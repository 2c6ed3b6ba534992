"""How commands fail: one sentence on the standard error and exit code 2, whoever runs them."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperGroup

from . import _console
from ._errors import OdescentError, unknown

_INTERRUPTED = 130


class Group(TyperGroup):
    """A group of commands whose errors are sentences; what a command returns is no exit code."""

    def main(self, args: Sequence[str] | None = None, *rest: Any, **extra: Any) -> Any:
        """Run a command line, `sys.argv` by default, and exit; an empty one shows the help."""
        given = list(sys.argv[1:] if args is None else args) or ["--help"]
        extra["standalone_mode"] = False  # errors come here
        try:
            code = super().main(given, *rest, **extra)
        except typer.TyperException as error:
            code = _fail(_usage(error))
        except OdescentError as error:
            code = _fail(str(error))
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            code = _fail(f"{where}{error.strerror or error}.")
        except typer.Abort:
            code = _INTERRUPTED
        sys.exit(code if isinstance(code, int) else 0)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that was named; OdescentError naming the nearest if there is none."""
        known = args[0] in self.commands or args[0].startswith("-")
        if not known and not ctx.resilient_parsing:
            raise unknown("command", args[0], self.commands)
        return super().resolve_command(ctx, args)


def _fail(sentence: str) -> int:
    _console.complain(sentence)
    return 2


def _usage(error: typer.TyperException) -> str:
    """One sentence for a command line that cannot be read."""
    message = error.format_message().rstrip(".")
    context = getattr(error, "ctx", None)
    see = f"; see {context.command_path} --help." if context is not None else "."
    option = re.fullmatch(r"No such option: (\S+)(?: \(Possible options: (.*)\))?", message)
    if option and option[2]:
        return f"there is no option {option[1]}: did you mean {option[2].replace(', ', ' or ')}?"
    if option:
        return f"there is no option {option[1]}{see}"
    return message[:1].lower() + message[1:] + see
