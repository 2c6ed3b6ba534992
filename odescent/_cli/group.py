"""The group of all commands: each loads when it is named, and fails with one sentence and exit code 2."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from functools import cache
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from .._support.errors import OdescentError, unknown
from .base import console
from .base.signature import command, sections
from .base.spelling import as_options
from .commands import COMMANDS

_INTERRUPTED = 130
# What typer raises for a command line that it cannot read; before 0.28 it was click's and had no name in typer.
_UNREADABLE: type[Exception] = getattr(typer, "TyperException", typer.BadParameter.__mro__[2])
HELP = {"help_option_names": ["-h", "--help"]}
_VALUES = (  # what is said of a value that does not fit, and what we say
    (r"Input should be a valid integer.*", "a whole number"),
    (r"Input should be a valid number.*", "a number"),
    (r"Input should be greater than or equal to (\S+)", r"at least \1"),
    (r"Input should be less than or equal to (\S+)", r"at most \1"),
    (r"(the name of .*)", r"\1"),  # of our own parser
    (
        r"'.*' is not a valid int(?:eger)?(?: range)?",
        "a whole number",
    ),  # these and the next: typer before 0.28
    (r"'.*' is not a valid float(?: range)?", "a number"),
)
_RANGE = re.compile(r"(\S+) is not in the range (?:(\S+)<=x<=(\S+)|x>=(\S+)|x<=(\S+))")


class Group(TyperGroup):
    """A group of commands whose errors are sentences; what a command returns is no exit code."""

    def main(self, args: Sequence[str] | None = None, *rest: Any, **extra: Any) -> Any:
        """Run a command line, `sys.argv` by default, and exit; an empty one shows the help."""
        given = list(sys.argv[1:] if args is None else args) or ["--help"]
        extra["standalone_mode"] = False  # errors come here
        try:
            code = super().main(given, *rest, **extra)
        except _UNREADABLE as error:
            code = _fail(_usage(error))
        except console.Refused as error:
            code = _fail(str(error), error.excerpt)
        except OdescentError as error:
            sentence = getattr(
                error, "sentence", str(error)
            )  # of a text that was read, with its place
            code = _fail(self._as_options(sentence, given), getattr(error, "excerpt", ""))
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            code = _fail(f"{where}{error.strerror or error}.")
        except typer.Abort:
            code = _INTERRUPTED
        except ImportError as error:  # NumPy and JAX say so of an interruption while they load
            if not _was_interrupted(error):
                raise
            code = _INTERRUPTED
        sys.exit(code if isinstance(code, int) else 0)

    def invoke(self, ctx: Any) -> Any:
        """The command; one that was interrupted says how to go on, where that can be."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            if str(stop):
                console.complain(self._as_options(str(stop), [ctx.invoked_subcommand or ""]))
            raise

    def _as_options(self, sentence: str, given: Sequence[str]) -> str:
        """The sentence of a Python function as one of the command line: ``out=`` is --out, ``h=...`` --set h=...

        Only what the command that was given takes is spelled so.
        """
        name = next((word for word in given if word in COMMANDS), None)
        if name is None:
            return sentence
        return as_options(sentence, {o for p in made(name).params for o in p.opts})

    def list_commands(self, ctx: Any) -> list[str]:
        """The commands' names, in the order in which they are shown."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A command as it is listed, by its title; nothing is loaded for that. None if there is none."""
        listed = f"{COMMANDS.title(cmd_name)}."
        return TyperCommand(cmd_name, short_help=listed) if cmd_name in COMMANDS else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that was named; OdescentError naming the nearest if there is none."""
        name, *rest = args
        if name in COMMANDS:
            return name, made(name), rest
        if not name.startswith("-") and not ctx.resilient_parsing:
            raise _no_command(name)
        return super().resolve_command(ctx, args)


def _no_command(name: str) -> OdescentError:
    """The error for a word that is no command; some are functions."""
    import odescent as od

    if name in dir(od) and name.islower() and callable(getattr(od, name)):
        of = "is a function of the Python package"
        return OdescentError(f"there is no command {name!r}; od.{name} {of}; see odescent --help.")
    return unknown("command", name, COMMANDS)


@cache
def made(name: str) -> Any:
    """The command of a name as typer's: its options read off its function, its examples below its help."""
    function = COMMANDS.function(name)
    said = sections(function)
    examples = "\n".join(f"  {line}" for line in said.get("Examples", "").splitlines())
    single = typer.Typer(rich_markup_mode=None, add_completion=False)
    single.command(
        name,
        help=said[""],
        epilog=f"\b\nExamples:\n{examples}" if examples else None,
        context_settings=HELP,
    )(command(function))
    return typer.main.get_command(single)


def _was_interrupted(error: BaseException | None) -> bool:
    """Whether Ctrl-C is behind an error."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _fail(sentence: str, excerpt: str = "") -> int:
    console.complain(sentence)
    if excerpt:
        console.note(excerpt)
    return 2


def _usage(error: Any) -> str:
    """One sentence for a command line that cannot be read."""
    message = str(error.format_message()).rstrip(".")
    context = getattr(error, "ctx", None)
    see = f"; see {context.command_path} --help." if context is not None else "."
    value = re.fullmatch(r"Invalid value for '(\S+)': (.*)", message)
    for pattern, ours in _VALUES if value else ():
        if value and re.fullmatch(pattern, value[2]):
            return f"{value[1]} must be {re.sub(pattern, ours, value[2])}{see}"
    outside = _RANGE.fullmatch(value[2]) if value else None
    if value and outside:
        given, least, most = float(outside[1]), outside[2] or outside[4], outside[3] or outside[5]
        bound = f"at least {least}" if least and given < float(least) else f"at most {most}"
        return f"{value[1]} must be {bound}{see}"
    option = re.fullmatch(
        r"No such option: (\S+)(?: \(Possible options: (.*)\)| Did you mean (.*)\?)?", message
    )
    if option and (near := option[2] or option[3]):
        return f"there is no option {option[1]}: did you mean {near.replace(', ', ' or ')}?"
    if option:
        return f"there is no option {option[1]}{see}"
    return message[:1].lower() + message[1:] + see
