"""``odescent derive``: the steps from a principle, or a system file, to an algorithm, each with its check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from . import _console
from ._errors import OdescentError
from ._files import write_whole
from ._numbers import assignments
from ._progress import waiting

if TYPE_CHECKING:
    from ._own_system import Answer

MARKS = [
    (r"\A.*$", "bold"),
    (r"^\d+\. .*$", "bold"),
    (r"^(?:Three equations, not to be confused|Algorithm)$", "bold"),
    (r"^   (✓|ok) \d+ residuals? zero", "green"),
    (r"NOT VERIFIED.*$", "bold red"),
]


def run(
    name: str,
    route: str | None,
    forms: Mapping[str, bool],
    out: Path | None,
    settings: Sequence[str] = (),
    *,
    scheme: str | None = None,
    where: str | None = None,
    tuning: str | None = None,
    clock: str | None = None,
    seconds: str | None = None,
) -> int:
    """Print a derivation or write it to a file; return 1 if a step of it does not hold.

    ``forms`` says which of latex, html and json was asked for, ``settings`` options of a known method.
    A name that ends in .ode, or is that of
    a file, is a system file.
    """
    asked = [f for f, wanted in forms.items() if wanted]
    if len(asked) > 1:
        named = " and ".join(f"--{f}" for f in asked)
        raise OdescentError(f"{named} exclude each other: give one of them.")
    from . import _own_system

    form = asked[0] if asked else "text"
    width = _console.WIDTH if out else _console.width()
    own = {
        "scheme": scheme,
        "where": where,
        "tuning": tuning,
        "clock": clock,
        "time-limit": seconds,
    }
    given = {option: text for option, text in own.items() if text is not None}
    options = assignments(settings)
    try:
        if _own_system.is_file(name):
            if options:
                raise OdescentError(
                    "--set is for options of the known methods; a system file has its own values."
                )
            answer = _of_file(name, route, form, width, given)
        else:
            answer = _of_name(name, route, options, form, width, given)
    except _own_system.Refused as error:
        return _own_system.refuse(error)
    return _show(answer, form, out)


def _of_file(name: str, route: str | None, form: str, width: int, given: dict[str, str]) -> Answer:
    from . import _own_system

    if route is not None:
        raise OdescentError(
            "--route is for the known methods; a system file has one route, its scheme."
        )
    request = _own_system.requested(name, given, form=form, width=width)
    return _own_system.derive(request, _own_system.time_limit(given))


def _of_name(
    name: str,
    route: str | None,
    options: dict[str, str],
    form: str,
    width: int,
    given: dict[str, str],
) -> Answer:
    import odescent as od

    from ._own_system import no_options, shown

    no_options(name, given)
    if taken := sorted({"name", "route"} & set(options)):
        raise OdescentError(f"--set {taken[0]}=... is no option of a method; use NAME and --route.")
    with waiting(f"deriving {name}"):
        return shown(od.derive(name, route=route, **options), form, width)


def _show(answer: Answer, form: str, out: Path | None) -> int:
    done = f"{answer.total - len(answer.wrong)} of {answer.total} steps verified"
    if out is not None:
        write_whole(out, answer.text.rstrip("\n") + "\n")
    if form == "json" or (form in ("latex", "html") and out is None):
        _console.say_exactly(answer.text)
    elif out is None:
        _console.say(answer.text, MARKS)
    else:
        _console.say(f"{out}: {done}.")
    if answer.wrong:
        _console.complain(f"{done}; the first that is not: {answer.wrong[0]!r}.")
    return 1 if answer.wrong else 0
