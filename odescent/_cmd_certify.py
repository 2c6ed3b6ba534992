"""``odescent certify``: a proved convergence rate, or the reason why there is none."""

from __future__ import annotations

import inspect
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _console
from ._errors import OdescentError
from ._files import write_whole
from ._numbers import assignments, number

if TYPE_CHECKING:
    from .analysis.certificates import Certificate, Cycle
    from .discretize import Algorithm

MARKS = [(r"\A.*$", "bold"), (r"^  (verified exactly.*)$", "green"), (r"^no .*$", "bold red")]


def run(
    name: str,
    constants: Mapping[str, str | None],
    settings: Sequence[str],
    *,
    over: str,
    steps: int,
    rate: str | None,
    checker: Path | None,
    out: Path | None,
    as_json: bool,
) -> int:
    """Print a certificate or write it to a file; return 1 if there is none.

    ``checker`` is where the stand-alone checker goes, also without a name.
    """
    if checker is not None:
        write_whole(checker, checker_source())
        if not name:
            _console.say(f"{checker}: checks a certificate with Python alone.")
            return 0
    if not name:
        raise OdescentError("certify needs the name of an algorithm, such as nesterov.")
    missing = [f"--{key}" for key, text in constants.items() if text is None]
    if missing:
        raise OdescentError(
            f"a rate depends on the class of functions: give {' and '.join(missing)}, as in --mu 1 --L 10."
        )
    given = {key: number(f"--{key}", text) for key, text in constants.items() if text is not None}
    wanted = None if rate is None else number("--rate", rate)
    algorithm = _algorithm(name, settings)
    from .analysis import NoCertificate, certify

    began = time.perf_counter()
    try:
        found = certify(algorithm, **given, over=over, steps=steps, rate=wanted)
    except NoCertificate as reason:
        return _none(str(reason), reason.counterexample, as_json)
    return _show(found, time.perf_counter() - began, out, as_json)


def checker_source() -> str:
    """The stand-alone checker, as it stands in the package."""
    from .analysis.certificates import checker

    return inspect.getsource(checker)


def _algorithm(name: str, settings: Sequence[str]) -> Algorithm:
    import odescent as od

    from .discretize.library import ALIASES, REGISTRY

    given = assignments(settings)
    accepted = inspect.signature(REGISTRY.function(ALIASES.get(name, name))).parameters
    options = {n: text for n, text in given.items() if n in accepted}  # words, such as step=1/L
    numbers = {n: number(n, text) for n, text in given.items() if n not in accepted}
    algorithm = od.algorithm(name, **options)
    return algorithm.bind(numbers) if numbers else algorithm


def _none(reason: str, cycle: Cycle | None, as_json: bool) -> int:
    if as_json:
        value: dict[str, Any] = {"certified": False, "reason": reason, "cycle": None}
        if cycle is not None:
            value["cycle"] = {
                "period": cycle.period, "winding": cycle.winding, "mu": cycle.mu, "L": cycle.L,
                "points": cycle.points, "vertices": cycle.vertices,
            }  # fmt: skip
        _console.say_exactly(_console.document(value, "odescent.certify/1"))
    else:
        _console.say(reason, MARKS)
    return 1


def _show(found: Certificate, seconds: float, out: Path | None, as_json: bool) -> int:
    began = time.perf_counter()
    verified = found.verify()
    checked = time.perf_counter() - began
    if out is not None:
        write_whole(out, found.to_json())
    if as_json:
        _console.say_exactly(_console.document(found.to_dict()))
    else:
        lines = [str(found)]
        if verified:
            lines.append(
                f"  verified exactly in {1e3 * checked:.0f} ms (found in {1e3 * seconds:.0f} ms)"
            )
        if out is not None:
            lines.append(f"  written to {out}")
        _console.say("\n".join(lines), MARKS)
    if not verified:
        _console.complain("the certificate does not hold when it is checked anew.")
    return 0 if verified else 1
