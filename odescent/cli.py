"""The command line. What a command does stands in ``_cmd_NAME.py`` and loads when it runs."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from . import _console
from ._errors import OdescentError, unknown

_START = """\b
Start here:
  odescent demo                           the main job, on real data
  odescent derive nesterov                a method from a principle, step by step
  odescent emit nesterov --target optax   take it home as code
"""


class _Group(TyperGroup):
    """Commands whose errors are one sentence on the standard error, with exit code 2."""

    def main(self, *args: Any, **extra: Any) -> Any:
        extra["standalone_mode"] = False
        try:
            code = super().main(*args, **extra)
        except typer.TyperException as error:
            code = _fail(_usage(error))
        except OdescentError as error:
            code = _fail(str(error))
        except typer.Abort:
            code = 130
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            code = _fail(f"{where}{error.strerror or error}.")
        sys.exit(code if isinstance(code, int) else 0)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[0] not in self.commands and not args[0].startswith("-") and not ctx.resilient_parsing:
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
    if option := re.fullmatch(r"No such option: (\S+)(?: \(Possible options: (.*)\))?", message):
        near = f": did you mean {option[2].replace(', ', ' or ')}?" if option[2] else see
        return f"there is no option {option[1]}{near}"
    return message[:1].lower() + message[1:] + see


def _names(kind: str) -> Callable[[str], list[str]]:
    """Shell completion of the names of one kind."""

    def complete(incomplete: str) -> list[str]:
        from . import _cmd_list

        if kind == "kinds":
            return list(_cmd_list.KINDS)
        entries = _cmd_list.KINDS[kind]()
        return [name for e in entries for name in (e["name"], *e.get("aliases", ()))]

    return complete


def _example(*lines: str) -> str:
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


app = typer.Typer(
    name="odescent",
    cls=_Group,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=_START,
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document, for machines.")]
Out = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write to FILE, all of it or nothing.")]


def _version(asked: bool) -> None:
    if asked:
        import odescent as od

        _console.say(f"odescent {od.__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _start(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Optimizers as dynamical systems: derive an algorithm, discretize it, emit it, run it, draw it."""
    if context.invoked_subcommand is None:
        _console.say(context.get_help())


@app.command("list", epilog=_example("odescent list", "odescent list algorithms", "odescent list systems --json"))
def _list(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="[KIND]",
            help="systems, algorithms, schemes, objectives, derivations or targets; all of them if left out.",
            autocompletion=_names("kinds"),
        ),
    ] = "",
    as_json: Json = False,
) -> None:
    """Show what there is by name."""
    from . import _cmd_list

    _cmd_list.run(kind, as_json)


@app.command(
    "derive",
    epilog=_example("odescent derive nesterov", "odescent derive nesterov --route model --latex --out nesterov.tex"),
)
def _derive(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="An algorithm, such as nesterov.", autocompletion=_names("derivations"))
    ],
    route: Annotated[str | None, typer.Option("--route", help="immersion or model; the first one known by default.")] = None,
    latex: Annotated[bool, typer.Option("--latex", help="LaTeX instead of text.")] = False,
    as_json: Json = False,
    out: Out = None,
) -> None:
    """Derive an algorithm from a principle, step by step.

    Each step is checked by the engine; the exit code is 1 if one does not hold.
    """
    from . import _cmd_derive

    raise typer.Exit(_cmd_derive.run(name, route, latex, as_json, out))


@app.command(
    "emit",
    epilog=_example(
        "odescent emit nesterov --target optax --mu 0.01 --L 1 --out nesterov.py",
        "odescent emit proximal_point --set h=1/3",
        "odescent emit triple_momentum --target latex",
    ),
)
def _emit(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="An algorithm, such as nesterov.", autocompletion=_names("algorithms"))
    ],
    target: Annotated[
        str, typer.Option("--target", help="numpy, jax, optax or latex.", autocompletion=_names("targets"))
    ] = "numpy",
    mu: Annotated[str | None, typer.Option("--mu", metavar="NUMBER", help="Strong convexity.")] = None,
    L: Annotated[str | None, typer.Option("--L", metavar="NUMBER", help="Smoothness.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Another parameter, or an option of the algorithm; repeatable."),
    ] = None,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Emit an algorithm as source that stands alone.

    Numbers are read exactly: 10, 0.01, 1e-4, 1/3. What is not given stays a parameter.
    """
    from . import _cmd_emit

    _cmd_emit.run(name, target, mu, L, settings or [], out, as_json)


@app.command("demo", epilog=_example("odescent demo", "odescent demo --quick --out /tmp/demo"))
def _demo(
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Where pictures and code go.")] = Path("out/demo"),
    quick: Annotated[bool, typer.Option("--quick", help="Fewer steps and smaller pictures.")] = False,
    as_json: Json = False,
) -> None:
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
