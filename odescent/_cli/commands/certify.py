"""``odescent certify``: a proved convergence rate, or the reason why there is none."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from ..._support.errors import OdescentError
from ..._support.files import write_whole
from ..._support.numbers import number
from ..._support.progress import waiting
from ..base import console, own_system
from ..base.own_system import FileOptions
from ..base.spelling import as_options
from ..base.values import NamedParameters, Number, OptionKind, Seconds, Written, named

if TYPE_CHECKING:
    from ...analysis.certificates import Cycle
    from ...analysis.certificates.checking.record import ProofDocument

MARKS = [(r"\A.*$", "bold"), (r"^  (verified exactly.*)$", "green"), (r"^no .*$", "bold red")]


def run(
    name: Annotated[str, named("algorithms", files=".ode")] = "",
    *,
    parameters: NamedParameters,
    over: Annotated[str, ("smooth_strongly_convex", "quadratics")] = "smooth_strongly_convex",
    steps: int | None = None,
    multipliers: Annotated[
        str, ("interpolation", "sector", "off_by_one", "zames_falb")
    ] = "interpolation",
    rate: Number | None = None,
    lower: Seconds | None = None,
    flow: bool = False,
    horizon: Annotated[str | None, OptionKind("N")] = None,
    measure: Annotated[str | None, ("value", "gradient", "distance")] = None,
    start: Annotated[str | None, ("distance", "value")] = None,
    checker: Written | None = None,
    out: Written | None = None,
    file: FileOptions,
    json: bool = False,
) -> int:
    """Prove a convergence rate over all functions in F(mu, L), or give a counterexample.

    With --horizon, a bound after N steps or for all N; for a system, the exponential rate of its flow.

    The proof is checked in exact arithmetic and can be verified with the stand-alone checker.
    The exit code is 1 if there is no certificate.

    Args:
        name: An algorithm, such as nesterov, or a system file, such as my_system.ode.
        over: smooth_strongly_convex or quadratics.
        steps: Memory of the Lyapunov function, 1 to 6; by default as long as the rate improves.
        multipliers: interpolation, or an IQC: sector, off_by_one, zames_falb.
        rate: A rate to prove; the smallest by default.
        lower: Seconds to search for a function with a slow rate; no search by default.
        flow: NAME is a system: its exponential rate; --L is optional.
        horizon: A bound after N steps, or "all"; --mu may be 0.
        measure: Quantity bounded at x_N: value, gradient or distance.
        start: Quantity given at x_0: distance or value.
        checker: Write the stand-alone checker to FILE.
        out: Write the result to FILE.
        json: Print one JSON document, for machines.

    Examples:
        odescent certify heavy_ball --mu 1 --L 10
        odescent certify triple_momentum --mu 1 --L 10 --out certificate.json
        odescent certify proximal_point --set h=1/3 --mu 1 --L 10 --over quadratics
        odescent certify nesterov_c --mu 0 --L 1 --horizon 5
        odescent certify gradient_descent --mu 0 --L 1 --horizon all
        odescent certify gradient_flow --mu 1
        odescent certify my_system.ode --mu 1 --L 10 --set h=0.4
        odescent certify --checker check_certificate.py
    """
    from ...analysis.certificates.standalone import checker_source

    # the checker alone
    if not name:
        if checker is None:
            raise OdescentError("certify needs the name of an algorithm, such as nesterov.")
        write_whole(checker, checker_source())
        text = f"{checker}: checks certificates of all kinds with Python alone."
        console.answer(json, text, {"checker": str(checker)}, "odescent.certify/1")
        return 0
    # what is certified, and over what; `certify` has the defaults of what is not given
    method, flow = _method(name, parameters.settings, flow, file)
    bounded = {"horizon": _horizon(horizon), "measure": measure, "start": start, "rate": rate}
    given: dict[str, Any] = dict(parameters.needed("mu", *(["L"] * (not flow))))
    given |= {option: value for option, value in bounded.items() if value is not None}
    if flow and (steps, over, multipliers) != (None, "smooth_strongly_convex", "interpolation"):
        raise OdescentError("--steps, --over and --multipliers apply to algorithms, not to flows.")
    if not flow:
        given |= {"over": over, "multipliers": multipliers}
        given |= {} if "horizon" in given else {"steps": steps}
    from ...analysis import Certificate, NoCertificate, certify

    began = time.perf_counter()
    try:
        with waiting(f"proving a rate of {name}"):
            found = certify(method, **given)
    except NoCertificate as reason:
        return _none(as_options(str(reason), ("--horizon",)), reason.counterexample, json)
    if checker is not None:
        write_whole(checker, checker_source())
    if lower is not None and isinstance(found, Certificate):
        with waiting(f"looking for a function on which {name} is slow"):
            found.lower(float(lower))
    return _show(found, time.perf_counter() - began, out, json)


def _horizon(text: str | None) -> int | str | None:
    """The number of steps that --horizon says, or all."""
    if text in (None, "all"):
        return text
    steps = number("--horizon", text)
    if steps.denominator != 1:
        raise OdescentError(f"--horizon must be a whole number or all, not {steps}.")
    return int(steps)


def _method(
    name: str, settings: Mapping[str, str], flow: bool, file: FileOptions
) -> tuple[Any, bool]:
    """The algorithm, or the system where it is asked for or no algorithm has the name; and which it is."""

    from ...discretize import Algorithm

    found, left = own_system.configured(name, file, settings, flow)
    numbers = {n: number(n, text) for n, text in left.items()}
    if isinstance(found, Algorithm):
        return own_system.bound(found, numbers), False
    symbols = {s.name: s for s in found.parameters}
    for n in numbers:
        if n not in symbols:
            raise OdescentError(
                f"the system {name} has the parameters {', '.join(symbols) or '(none)'}, not {n}."
            )
    bound = {symbols[n]: value for n, value in numbers.items()}
    return found.bind(bound) if bound else found, True


def _none(reason: str, cycle: Cycle | None, as_json: bool) -> int:
    value: dict[str, Any] = {"certified": False, "reason": reason, "cycle": None}
    if cycle is not None:
        value["cycle"] = {
            "period": cycle.period, "winding": cycle.winding, "mu": cycle.mu, "L": cycle.L,
            "points": cycle.points, "vertices": cycle.vertices,
        }  # fmt: skip
    console.answer(as_json, reason, value, "odescent.certify/1", MARKS)
    return 1


def _show(found: ProofDocument, seconds: float, out: Path | None, as_json: bool) -> int:
    began = time.perf_counter()
    verified = found.verify()
    checked = time.perf_counter() - began
    if out is not None:
        write_whole(out, found.to_json())
    lines = [str(found)]
    if verified:
        lines.append(
            f"  verified exactly in {1e3 * checked:.0f} ms (found in {1e3 * seconds:.0f} ms)"
        )
    if out is not None:
        lines.append(f"  written to {out}")
    console.answer(as_json, "\n".join(lines), found.to_dict(), marks=MARKS)
    if not verified:
        console.complain("the certificate does not hold when it is checked anew.")
    return 0 if verified else 1
