"""How commands fail: one sentence on the standard error and exit code 2, whoever runs them."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Sequence
from typing import Any

import typer
from typer.core import TyperGroup

from . import _console
from ._errors import OdescentError, unknown

_INTERRUPTED = 130
_KEYWORD = re.compile(
    r"(?<![\w.(])(?<!\.\.\., )([A-Za-z_]\w*)=(?:(\.\.\.)|True|(N|'[\w./-]+')(?!\w)|(?=[\s,;]|\.?$))"
)  # in a sentence: name= or name=True or name=... or, with what is to be said, name=N or name='all'
_VALUES = (  # what is said of a value that does not fit, and what we say
    (r"Input should be a valid integer.*", "a whole number"),
    (r"Input should be a valid number.*", "a number"),
    (r"Input should be greater than or equal to (\S+)", r"at least \1"),
    (r"Input should be less than or equal to (\S+)", r"at most \1"),
    (r"Value error, (.*)", r"\1"),  # of our own parsers
)


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
            code = _fail(self._as_options(str(error), given))
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
                _console.complain(self._as_options(str(stop), [ctx.invoked_subcommand or ""]))
            raise

    def _as_options(self, sentence: str, given: Sequence[str]) -> str:
        """The sentence of a Python function as one of the command line: ``out=`` is --out, ``h=...`` --set h=...

        Only what the command that was given takes is spelled so.
        """
        name = next((word for word in given if word in self.commands), None)
        if name is None:
            return sentence
        return as_options(sentence, {o for p in self.commands[name].params for o in p.opts})

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that was named; OdescentError naming the nearest if there is none."""
        known = args[0] in self.commands or args[0].startswith("-")
        if not known and not ctx.resilient_parsing:
            raise unknown("command", args[0], self.commands)
        return super().resolve_command(ctx, args)


def as_options(sentence: str, takes: Collection[str]) -> str:
    """The sentence with what stands in ``takes`` spelled as an option: ``horizon='all'`` is --horizon all."""

    def spelled(found: re.Match[str]) -> str:
        option = f"--{found[1].replace('_', '-')}"
        said = found[2] or (found[3] or "").strip("'")
        if option in takes:
            return f"{option} {said}".rstrip()
        return f"--set {found[0]}" if found[2] and "--set" in takes else found[0]

    return _KEYWORD.sub(spelled, sentence)


def _was_interrupted(error: BaseException | None) -> bool:
    """Whether Ctrl-C is behind an error."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _fail(sentence: str) -> int:
    _console.complain(sentence)
    return 2


def _usage(error: typer.TyperException) -> str:
    """One sentence for a command line that cannot be read."""
    message = error.format_message().rstrip(".")
    context = getattr(error, "ctx", None)
    see = f"; see {context.command_path} --help." if context is not None else "."
    value = re.fullmatch(r"Invalid value for '(\S+)': (.*)", message)
    for pattern, ours in _VALUES if value else ():
        if value and re.fullmatch(pattern, value[2]):
            return f"{value[1]} must be {re.sub(pattern, ours, value[2])}{see}"
    option = re.fullmatch(r"No such option: (\S+)(?: \(Possible options: (.*)\))?", message)
    if option and option[2]:
        return f"there is no option {option[1]}: did you mean {option[2].replace(', ', ' or ')}?"
    if option:
        return f"there is no option {option[1]}{see}"
    return message[:1].lower() + message[1:] + see
