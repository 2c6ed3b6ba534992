"""``odescent derive``: the steps from a principle, or a system file, to an algorithm, each with its check."""

from __future__ import annotations

from typing import Annotated

from ..._support.errors import OdescentError
from ..._support.files import write_whole
from ..._support.numbers import assignments
from ..._support.progress import waiting
from ..base import console, own_system
from ..base.own_system import Answer, FileOptions
from ..base.values import OptionKind, Setting, Written, named, names

MARKS = [
    (r"\A.*$", "bold"),
    (r"^\d+\. .*$", "bold"),
    (r"^(?:T\w+ equations, not to be confused|The equation|Algorithm)$", "bold"),
    (r"^   (✓|ok) \d+ residuals? zero", "green"),
    (r"NOT VERIFIED.*$", "bold red"),
]


def run(
    name: Annotated[str, named("derivations", files=".ode")],
    *,
    route: Annotated[str | None, OptionKind(complete=names("routes"))] = None,
    latex: bool = False,
    html: bool = False,
    json: bool = False,
    out: Written | None = None,
    file: FileOptions,
    set: list[Setting] | None = None,
) -> int:
    """Derive an algorithm from a principle, or from your own system, step by step.

    Each step is checked symbolically; the exit code is 1 if one does not hold. A system file is
    parsed without evaluation and derived in a separate process with a time limit.

    Args:
        name: An algorithm, such as nesterov, or a system file, such as my_system.ode.
        route: immersion, model, first_integral, relaxation or direct; by default the first available.
        latex: LaTeX instead of text.
        html: One HTML page instead of text.
        json: Print one JSON document, for machines.
        out: Write the result to FILE.
        set: A parameter or option by name; may be repeated.

    Examples:
        odescent derive nesterov
        odescent derive nesterov --route model --latex --out nesterov.tex
        odescent derive triple_momentum --html --out triple_momentum.html
        odescent derive cbo --set noise=anisotropic
        odescent derive my_system.ode
        odescent derive my_system.ode --scheme "strang(damp: exact, kick: explicit)"
    """
    asked = [f for f, wanted in (("latex", latex), ("html", html), ("json", json)) if wanted]
    if len(asked) > 1:
        said = " and ".join(f"--{f}" for f in asked)
        raise OdescentError(f"{said} exclude each other: give one of them.")
    form = asked[0] if asked else "text"
    width = console.WIDTH if out else console.width()
    options = assignments(set or ())
    # a file is derived in a process of its own, what is registered in this one
    if own_system.is_file(name):
        if options:
            raise OdescentError(
                "--set is for options of the known methods; a system file has its own values."
            )
        if route is not None:
            raise OdescentError(
                "--route is for the known methods; a system file has one route, its scheme."
            )
        answer = own_system.derive(file.request(name, form=form, width=width), file.seconds)
    else:
        file.none_for(name)
        answer = _registered(name, route, options, form, width)
    return _show(answer, form, out)


def _registered(
    name: str, route: str | None, options: dict[str, str], form: str, width: int
) -> Answer:
    import odescent as od

    if taken := sorted({"name", "route"} & options.keys()):
        raise OdescentError(
            f"--set {taken[0]}=... is not an option of a method; use NAME and --route."
        )
    with waiting(f"deriving {name}"):
        return own_system.shown(od.derive(name, route=route, **options), form, width)


def _show(answer: Answer, form: str, out: Written | None) -> int:
    done = f"{answer.total - len(answer.wrong)} of {answer.total} steps verified"
    if out is not None:
        write_whole(out, answer.text.rstrip("\n") + "\n")
    if form == "json" or (form in ("latex", "html") and out is None):
        console.say_exactly(answer.text)
    elif out is None:
        console.say(answer.text, MARKS)
    else:
        console.say(f"{out}: {done}.")
    if answer.wrong:
        console.complain(f"{done}; the first that is not: {answer.wrong[0]!r}.")
    return 1 if answer.wrong else 0
