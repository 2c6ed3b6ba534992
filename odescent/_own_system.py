"""Deriving and emitting from a file that anyone may have written: in a process of its own, for a limited time.

The parent sends a request as JSON to the standard input of `python -m odescent._own_system` and reads
the answer, JSON too, from its standard output; nothing is pickled, and nothing but text comes back.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _console
from ._errors import OdescentError
from ._numbers import number

if TYPE_CHECKING:
    from collections.abc import Mapping
    from fractions import Fraction

    from .discretize import Algorithm, Derivation

TIME = 20.0  # seconds, by default
_LONGEST = 3600.0
_MEMORY = 4 << 30  # bytes


@dataclass(frozen=True)
class Request:
    """What to derive, and how to show it: as text of a width, latex, html or json; or what to emit.

    With a ``target`` the algorithm is emitted for it, its parameters set to the exact numbers in ``settings``.
    """

    path: str
    scheme: str = ""
    where: str = ""
    tuning: str = ""
    clock: str = ""
    form: str = "text"
    width: int = 96
    target: str = ""
    settings: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """The derivation as it is shown, how many steps it has, and the titles of those that do not hold."""

    text: str
    total: int
    wrong: tuple[str, ...]


@dataclass(frozen=True)
class Emitted:
    """Source text, the algorithm's name, and the parameters that are still free in it."""

    text: str
    name: str
    free: tuple[str, ...]


class Refused(OdescentError):
    """The file is wrong; ``excerpt`` shows where, if it is a matter of one place."""

    def __init__(self, sentence: str, excerpt: str = "") -> None:
        super().__init__(sentence)
        self.excerpt = excerpt


def is_file(name: str) -> bool:
    """Whether a name on the command line means a system file."""
    return name.endswith(".ode") or Path(name).is_file()


def no_options(name: str, given: Mapping[str, str]) -> None:
    """Refuse the options of a system file for what is none."""
    if given:
        raise OdescentError(
            f"--{next(iter(given))} is for a system file such as my_system.ode, which {name!r} is not."
        )


def time_limit(options: Mapping[str, str]) -> float:
    """The seconds that --time-limit says."""
    return float(number("--time-limit", options["time-limit"])) if "time-limit" in options else TIME


def requested(path: str, options: Mapping[str, str], **how: Any) -> Request:
    """The request that the options of a system file make."""
    settings: dict[str, Any] = {n: v for n, v in options.items() if n != "time-limit"}
    return Request(path, **settings, **how)


def refuse(error: Refused) -> int:
    """Say what is wrong with a file and where; the exit code."""
    _console.complain(str(error))
    if error.excerpt:
        _console.note(error.excerpt)
    return 2


def derive(request: Request, seconds: float = TIME) -> Answer:
    """The derivation that a request asks for.

    Raises Refused for what cannot be read or derived, and for what takes longer than the limit.
    """
    found = _asked(request, seconds, "deriving")
    return Answer(found["text"], found["total"], tuple(found["wrong"]))


def emit(request: Request, seconds: float = TIME) -> Emitted:
    """The source that a request with a target asks for; raises as `derive` does."""
    found = _asked(request, seconds, "emitting")
    return Emitted(found["text"], found["name"], tuple(found["free"]))


def _asked(request: Request, seconds: float, doing: str) -> dict[str, Any]:
    """What the child answers."""
    if not 0 < seconds <= _LONGEST:
        raise OdescentError(
            f"--time-limit is more than 0 and at most {_LONGEST:g} seconds, not {seconds:g}."
        )
    place = str(
        Path(__file__).resolve().parent.parent
    )  # the same package, wherever it was imported from
    paths = os.pathsep.join([place, *filter(None, [os.environ.get("PYTHONPATH")])])
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "odescent._own_system"],
            input=json.dumps({**asdict(request), "seconds": seconds}),
            capture_output=True,
            check=False,
            encoding="utf-8",
            env={**os.environ, "PYTHONPATH": paths},
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        raise Refused(
            f"{doing} {request.path!r} took longer than {seconds:g} s and was stopped; "
            "use a simpler system or scheme, or a longer --time-limit."
        ) from None
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise Refused(f"{doing} {request.path!r} ended without a result ({last}).") from None
    if "error" in found:
        raise Refused(found["error"], found["excerpt"])
    return found


def main() -> None:
    """The child: a request on the standard input, an answer on the standard output."""
    asked = json.load(sys.stdin)
    _limit(asked.pop("seconds"))
    with contextlib.redirect_stdout(sys.stderr):
        answer = _carried_out(Request(**asked))
    json.dump(answer, sys.stdout)


def _limit(seconds: float) -> None:
    """End with the time limit even if the parent has gone, and before all memory is taken."""
    with contextlib.suppress(ImportError, AttributeError, OSError, ValueError):  # not everywhere
        import resource
        import signal

        signal.setitimer(signal.ITIMER_REAL, seconds + 1)
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        tighter = [n for n in (soft, hard, _MEMORY) if n != resource.RLIM_INFINITY]
        resource.setrlimit(resource.RLIMIT_AS, (min(tighter), hard))


def _carried_out(request: Request) -> dict[str, Any]:
    from .dynamics.grammar import ParseError

    try:
        return _emitted(request) if request.target else _derived(request)
    except ParseError as error:
        return {"error": error.sentence, "excerpt": error.excerpt}
    except OdescentError as error:
        return {"error": str(error), "excerpt": ""}
    except MemoryError:
        reason = f"it needs more than {_MEMORY >> 30} GiB of memory"
    except RecursionError:
        reason = "its expressions become nested too deeply"
    except Exception as error:  # the engine, on what nobody thought of: a sentence, no traceback
        reason = f"{type(error).__name__}: {error}"
    done = "emitted" if request.target else "derived"
    return {"error": f"{request.path!r} cannot be {done}: {reason}.", "excerpt": ""}


def shown(derivation: Derivation, form: str, width: int) -> Answer:
    """A derivation as text of a width, as latex, html or json."""
    from .discretize.report import derivation_text

    if form == "json":
        text = _console.document(derivation.to_dict())
    else:
        known = {"latex": derivation.latex, "html": derivation.html}
        text = known[form]() if form in known else derivation_text(derivation, width)
    wrong = tuple(s.title for s in derivation.steps if not s.verified)
    return Answer(text, len(derivation.steps), wrong)


def _read(request: Request) -> Algorithm:
    from .discretize.textual import read_algorithm

    return read_algorithm(
        request.path,
        scheme=request.scheme,
        where=request.where,
        tuning=request.tuning,
        clock=request.clock,
    )


def _derived(request: Request) -> dict[str, Any]:
    return asdict(shown(_read(request).derivation(), request.form, request.width))


def _emitted(request: Request) -> dict[str, Any]:
    algorithm = bound(_read(request), {n: number(n, v) for n, v in request.settings.items()})
    free = tuple(s.name for s in algorithm.parameters)
    return asdict(Emitted(algorithm.source(request.target), algorithm.name, free))


def bound(algorithm: Algorithm, numbers: Mapping[str, Fraction]) -> Algorithm:
    """The algorithm with parameters set to exact numbers; OdescentError for what it cannot take."""
    import sympy as sp

    values = {n: sp.Rational(v.numerator, v.denominator) for n, v in numbers.items()}
    try:
        return algorithm.bind(values)
    except OdescentError:
        raise
    except ValueError as error:
        raise OdescentError(str(error)) from None


if __name__ == "__main__":
    main()
