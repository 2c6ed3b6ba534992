"""``odescent certify``: a proved convergence rate, or the reason why there is none."""

from __future__ import annotations

import inspect
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _console
from ._cli_group import as_options
from ._errors import OdescentError
from ._files import write_whole
from ._numbers import assignments, number
from ._progress import waiting

if TYPE_CHECKING:
    from .analysis.certificates import Cycle
    from .analysis.certificates.record import Record

MARKS = [(r"\A.*$", "bold"), (r"^  (verified exactly.*)$", "green"), (r"^no .*$", "bold red")]


def run(
    name: str,
    constants: Mapping[str, str | None],
    settings: Sequence[str],
    *,
    over: str,
    steps: int | None,
    multipliers: str = "interpolation",
    rate: str | None,
    lower: str | None = None,
    flow: bool = False,
    bounded: Mapping[str, Any] | None = None,
    checker: Path | None,
    out: Path | None,
    as_json: bool,
) -> int:
    """Print a certificate or write it to a file; return 1 if there is none.

    ``bounded`` has "horizon" and what else a bound after finitely many steps takes, None where it was not given.
    ``checker`` is where the stand-alone checker goes, with or without a name. ``lower`` is for how many seconds a
    function is sought on which a rate is attained; without it, none is.
    """
    from .analysis.certificates.standalone import checker_source

    if not name:
        if checker is None:
            raise OdescentError("certify needs the name of an algorithm, such as nesterov.")
        write_whole(checker, checker_source())
        if as_json:
            value = {"checker": str(checker)}
            _console.say_exactly(_console.document(value, "odescent.certify/1"))
        else:
            _console.say(f"{checker}: checks certificates of all kinds with Python alone.")
        return 0
    method, flow = _method(name, settings, flow)
    needed = ("mu",) if flow else ("mu", "L")
    missing = [f"--{key}" for key in needed if constants[key] is None]
    if missing:
        raise OdescentError(
            f"a rate depends on the class of functions: give {' and '.join(missing)}, as in --mu 1 --L 10."
        )
    given: dict[str, Any] = {
        key: number(f"--{key}", text) for key, text in constants.items() if text is not None
    }
    if rate is not None:
        given["rate"] = number("--rate", rate)
    options = {key: value for key, value in (bounded or {}).items() if value is not None}
    if options.get("horizon", "all") != "all":
        steps_of = number("--horizon", options["horizon"])
        if steps_of.denominator != 1:
            raise OdescentError(f"--horizon must be a whole number or all, not {steps_of}.")
        options["horizon"] = int(steps_of)
    if flow and (steps, over, multipliers) != (None, "smooth_strongly_convex", "interpolation"):
        raise OdescentError(
            "--steps, --over and --multipliers are about algorithms, not about flows."
        )
    if not flow and "horizon" not in options:
        given["steps"] = steps
    if not flow:
        given |= {"over": over, "multipliers": multipliers}
    from .analysis import Certificate, NoCertificate, certify

    seconds = None if lower is None else float(number("--lower", lower))

    began = time.perf_counter()
    try:
        with waiting(f"proving a rate of {name}"):
            found = certify(method, **given, **options)
    except NoCertificate as reason:
        return _none(as_options(str(reason), ("--horizon",)), reason.counterexample, as_json)
    if checker is not None:
        write_whole(checker, checker_source())
    if seconds is not None and isinstance(found, Certificate):
        with waiting(f"looking for a function on which {name} is slow"):
            found.lower(seconds)
    return _show(found, time.perf_counter() - began, out, as_json)


def _method(name: str, settings: Sequence[str], flow: bool) -> tuple[Any, bool]:
    """The algorithm, or the system where it is asked for or no algorithm has the name; and which it is."""
    from .discretize.library import ALIASES, REGISTRY
    from .dynamics.library import REGISTRY as SYSTEMS

    known = name in REGISTRY.entries or name in ALIASES
    if flow or (not known and name in SYSTEMS.entries):
        return _with_settings(name, SYSTEMS, settings), True
    return _with_settings(ALIASES.get(name, name), REGISTRY, settings, name), False


def _with_settings(name: str, registry: Any, settings: Sequence[str], shown: str = "") -> Any:
    import odescent as od

    given = assignments(settings)
    accepted = inspect.signature(registry.function(name)).parameters
    options = {n: text for n, text in given.items() if n in accepted}  # words, such as step=1/L
    numbers = {n: number(n, text) for n, text in given.items() if n not in accepted}
    if shown:
        algorithm = od.algorithm(shown, **options)
        return algorithm.bind(numbers) if numbers else algorithm
    system = od.system(name, **options)
    symbols = {s.name: s for s in system.parameters}
    for n in numbers:
        if n not in symbols:
            raise OdescentError(
                f"the system {name} has the parameters {', '.join(symbols) or '(none)'}, not {n}."
            )
    return system.bind({symbols[n]: value for n, value in numbers.items()}) if numbers else system


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


def _show(found: Record, seconds: float, out: Path | None, as_json: bool) -> int:
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
