"""The search for a certificate: a candidate in floats, rounded, and proved; or the reason why there is none."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from fractions import Fraction
from itertools import chain
from typing import Any, Literal, overload

import sympy as sp

from ..._support.arguments import by_name, checked
from ..._support.errors import OdescentError, check_choice, shown
from ..._support.rendering.brief import short
from ...dynamics import System
from ...dynamics.algebra.scalars import as_scalar, constant
from ...dynamics.vector_fields.estimates import Estimate, condition_of
from .certificate import Certificate
from .checking.checker import ONE, Number, Refused, check
from .checking.field import NotInField, expression
from .flow import FlowCertificate, certify_flow
from .horizon import HorizonCertificate, certify_horizon
from .lower_bounds.cycle import found_by
from .methods import modes
from .methods.modes import SlowestMode
from .methods.plant import Method, NoCertificate, Plant, read
from .methods.precise import decimal
from .potential import PotentialCertificate, certify_potential
from .searching import facial_reduction
from .searching.iqc import Constraints
from .searching.least import MOST, SAME, WITHIN, Candidate, by_memory, near
from .searching.proof import Proof, attained, prove_on_quadratics

CLASSES = ("smooth_strongly_convex", "quadratics")
MULTIPLIERS = ("interpolation", "sector", "off_by_one", "zames_falb")
_BITS = (30, 40, 53)  # unknowns are rounded to so many bits, as few as the proof stands
_NEAR = 1e-4  # a rate that is attained is worth a try where the search ends so near, relative to 1 - rate


@overload
def certify(
    algorithm: System, mu: object, L: object = ..., *, rate: object = ...
) -> FlowCertificate: ...
@overload
def certify(
    algorithm: Method,
    mu: object,
    L: object,
    *,
    horizon: int,
    measure: str = ...,
    start: str = ...,
    output: str | None = ...,
    bound: object = ...,
    seconds: float = ...,
) -> HorizonCertificate: ...
@overload
def certify(
    algorithm: Method, mu: object, L: object, *, horizon: Literal["all"], output: str | None = ...
) -> PotentialCertificate: ...
@overload
def certify(
    algorithm: Method,
    mu: object,
    L: object,
    over: str = ...,
    steps: int | None = ...,
    rate: object = ...,
    *,
    multipliers: str = ...,
) -> Certificate: ...


@checked
def certify(
    algorithm: Any,
    mu: object,
    L: object = None,
    over: str = "smooth_strongly_convex",
    steps: int | None = None,
    rate: object = None,
    *,
    multipliers: str = "interpolation",
    horizon: int | Literal["all"] | None = None,
    **bounded: Any,
) -> Any:
    """Prove a worst-case bound of a method over a class of functions.

    For an algorithm, by default, an upper bound on its linear rate; with ``horizon=N`` a bound after N steps, also for
    mu = 0 and for time-varying coefficients (further options below);
    with ``horizon="all"`` and mu = 0 a bound for every number of steps (option output). For a
    `System`, a lower bound on its exponential rate (L may be infinite).

    A Lyapunov function is found by semidefinite programming, rounded to rationals, and proved in exact arithmetic,
    independently of the solver. 1 - rate is within a relative 1e-6 of the largest for which there is a Lyapunov
    function of this form, for L / mu up to 1e10. `Certificate.lower` is attained on a function of the class.

    Args:
        algorithm: an algorithm with a state-space form (implicit steps and several gradients of one function per step
            are supported; an operator is treated as a gradient), matrices (A, B, C[, D]), or a mapping of alpha,
            beta, gamma, delta. Exact numbers stay exact; a float is read as its printed decimal.
        mu, L: the class, 0 < mu <= L. If they were estimated (`od.estimate_constants`), the certificate states it.
        over: "smooth_strongly_convex", all of F(mu, L), or "quadratics", those in it.
        steps: gradients of memory in the Lyapunov function, 1 to 6; by default as many as change the rate.
        rate: a rate to prove; by default the smallest that can be found.
        multipliers: the inequalities of the class. "interpolation", all inequalities between the points in memory,
            gives the smallest rates. For one gradient per step an integral quadratic constraint can be used instead:
            "sector", the weighted "off_by_one" constraint, or "zames_falb", causal with ``steps`` past gradients.
        horizon: a number of steps up to 40, or "all".
        bounded: with a number of steps measure=, "value" f(x_N) - f*, "gradient" |grad f(x_N)|^2 or "distance"
            |x_N - x*|^2; start=, "distance" |x_0 - x*|^2 or "value" f(x_0) - f*; bound=, a bound to prove, by default
            the least that can be found; seconds=, how long to search. output=, the sequence that is bounded.

    Raises:
        NoCertificate: none exists (a pole outside the unit circle, a cycle) or none of this form was found.
        OdescentError: input outside its domain.

    Method: Lessard, Recht, Packard (arXiv:1408.3595); Taylor, Van Scoy, Lessard (arXiv:1803.06073).
    """
    if condition := condition_of(mu, L):
        again: Any = certify
        plain = [float(c) if isinstance(c, Estimate) else c for c in (mu, L)]
        found = again(
            algorithm, *plain, over, steps, rate, multipliers=multipliers, horizon=horizon, **bounded
        )  # fmt: skip
        return replace(found, condition=str(condition))
    if isinstance(algorithm, str):
        algorithm = by_name(algorithm, ("Algorithm", "System"))
    if isinstance(algorithm, System):
        if horizon is not None or bounded or (over, multipliers) != (CLASSES[0], MULTIPLIERS[0]):
            raise OdescentError(
                "a flow has an exponential rate over F(mu, L): horizon, measure, start, output, bound, over and "
                "multipliers are for algorithms."
            )
        return certify_flow(algorithm, mu, sp.oo if L is None else L, rate)
    if L is None:
        raise OdescentError(
            "the rate of an algorithm depends on L: give certify(algorithm, mu, L)."
        )
    check_choice("kind of multipliers", multipliers, MULTIPLIERS)
    if multipliers != MULTIPLIERS[0] and (horizon is not None or over != CLASSES[0]):
        raise OdescentError(
            f"the multipliers {multipliers!r} apply to linear rates over all of F(mu, L), without horizon= and over=."
        )
    if horizon is not None:
        if rate is not None or over != CLASSES[0]:
            raise OdescentError(
                "with horizon= give bound= instead of rate=; the class is all of F(mu, L)."
            )
        if horizon == "all":
            return _for_all_steps(algorithm, mu, L, **bounded)
        return certify_horizon(algorithm, mu, L, horizon, **bounded)
    if bounded:
        raise OdescentError(
            f"{_apply(bounded)} to a bound after finitely many steps: give horizon= as well."
        )
    if over not in CLASSES:
        raise OdescentError(f"over must be {' or '.join(map(repr, CLASSES))}, not {short(over)}.")
    if steps is not None and (type(steps) is not int or not 1 <= steps <= MOST):
        raise OdescentError(f"steps must be a whole number from 1 to {MOST}, not {shown(steps)}.")
    source = (algorithm, mu, L)
    plant = read(*source)
    if not plant.mu > 0:
        raise NoCertificate(
            "there is no linear rate over convex functions, mu = 0: some are arbitrarily flat at the minimizer; "
            "give horizon=N for a bound after so many steps, or horizon='all'."
        )
    wanted = None if rate is None else _wanted(rate)
    mode = modes.slowest(plant)
    if mode.low >= 1 or (mode.exact is not None and mode.exact >= 1):
        raise NoCertificate(
            f"no rate exists: on {mode} the method has a pole of modulus {float(mode.low):.6g}, not less than 1."
        )
    if wanted is not None and wanted < (
        mode.exact if mode.exact is not None else _rational(mode.low)
    ):
        raise NoCertificate(
            f"the rate {rate} is out of reach: on {mode} the method has a pole of modulus {float(mode.low):.9g}."
        )
    goal = None if wanted is None else _in_field(plant, wanted)
    if over == "quadratics":
        return Certificate(prove_on_quadratics(plant, mode, goal), mode, plant, source=source)
    if multipliers != MULTIPLIERS[0]:
        past = {"sector": 0, "off_by_one": 1}.get(multipliers, steps or 2)
        proof = _constrained(plant, past, mode)
    else:
        proof = _least(plant, mode if goal is None else _compatible(mode, goal), steps)
    if proof is None:
        raise _reason(plant, multipliers)
    return Certificate(_at(proof, goal).document(plant), mode, plant, source=source)


def certified_rate(algorithm: Method, mu: object, L: object, steps: int | None = None) -> float:
    """The rate of `certify`, proved in exact arithmetic and rounded up; inf where none is found.

    For maps and tables: it neither searches for a counterexample nor keeps the certificate. `worst_case_rate` is the
    same in floats, without a proof.

    Raises OdescentError as `certify` does, other than for the lack of a rate.

    Args:
        algorithm, mu, L, steps: as for `certify`.

    Returns:
        At most 1, or infinity.
    """
    plant = read(algorithm, mu, L)
    mode = modes.slowest(plant)
    if not plant.mu > 0 or mode.low >= 1 or (mode.exact is not None and mode.exact >= 1):
        return math.inf
    found = _least(plant, mode, steps)
    return math.inf if found is None else Certificate(found.document(plant)).rate


@checked
def certified_rates(
    mu: object, L: object, methods: Iterable[Mapping[str, object]], steps: int | None = None
) -> list[float]:
    """`certified_rate` of several methods in three-parameter form: one job of a sweep, such as a row of a map.

    All arguments may be plain data, numbers as text such as "1/3".

    Args:
        mu, L: the class.
        methods: mappings of alpha, beta, gamma, delta.
        steps: as for `certify`.
    """

    def plain(x: object) -> object:
        return Fraction(x) if isinstance(x, str) else x

    return [
        certified_rate({n: plain(x) for n, x in m.items()}, plain(mu), plain(L), steps)
        for m in methods
    ]


def _apply(options: Iterable[str]) -> str:
    names = list(options)
    return f"{', '.join(names)} {'apply' if len(names) > 1 else 'applies'}"


def _for_all_steps(
    algorithm: Method, mu: object, L: object, output: str | None = None, **bounded: Any
) -> PotentialCertificate:
    if bounded:
        raise OdescentError(
            f"{_apply(bounded)} to a bound after N steps, horizon=N; for all steps the bound is on "
            "f(x_N) - f* over |x_0 - x*|^2."
        )
    if constant("mu", mu) != 0:
        raise OdescentError(
            f"a bound for all steps is for convex functions, mu = 0; for mu = {mu} certify a linear rate."
        )
    return certify_potential(algorithm, L, output=output)


def _wanted(rate: object) -> sp.Expr:
    try:
        wanted = as_scalar(rate)
    except TypeError:
        wanted = sp.nan
    if not (wanted.is_number and wanted.is_real and 0 <= wanted < 1):
        raise OdescentError(f"rate must be a number from 0 to less than 1, not {short(rate)}.")
    return wanted


def _rational(x: Fraction) -> sp.Rational:
    return sp.Rational(x.numerator, x.denominator)


def _in_field(plant: Plant, rate: sp.Expr) -> Number:
    try:
        return plant.number(rate)
    except NotInField:
        raise OdescentError(
            f"the rate {rate} must lie in the field of the method's numbers, a + b sqrt({plant.d}); round it up to "
            "a fraction."
        ) from None


def _compatible(mode: SlowestMode, wanted: Number) -> SlowestMode:
    """Without its exact number where that has another root than the rate that is wanted: no proof has two."""
    number = mode.number
    if number is None or not (number.b and wanted.b) or number.d == wanted.d:
        return mode
    return replace(mode, number=None)


def _at(proof: Proof, wanted: Number | None) -> Proof:
    """The proof at the rate that is wanted; NoCertificate if that is less than what it proves."""
    if wanted is None:
        return proof
    room = wanted - proof.rate
    if room.sign() < 0:
        raise _too_fast(wanted, proof.rate)
    return proof.raised(wanted) if room else proof


def _too_fast(wanted: Number, least: Number) -> NoCertificate:
    rate, gap = expression(wanted), float(expression(ONE - least))
    return NoCertificate(
        f"no Lyapunov function of the rate {rate} was found: the least rate that is proved here has 1 - rate = "
        f"{gap:.8g}."
    )


def _constrained(plant: Plant, past: int, mode: SlowestMode) -> Proof | None:
    """The proof of the least rate by integral quadratic constraints that reach back so far.

    Shorter ones are among them, and are tried where doubles end before the least rate is near.
    """
    best = None
    for steps in range(past, min(past, 1) - 1, -1):
        candidates = Constraints(plant, steps)
        exact = () if mode.number is None else candidates.attained(mode.number)
        tried = chain(exact, candidates.searched())
        found = next((p for p in tried if _holds(p.document(plant))), None)
        if found is not None and (best is None or (best.rate - found.rate).sign() > 0):
            best = found
        if candidates.settled:
            break
    return best


def _least(plant: Plant, mode: SlowestMode, steps: int | None) -> Proof | None:
    """The least rate that is proved with the interpolation inequalities; None if there is none."""
    exact = () if mode.number is None else attained(plant, mode.number)
    found = next((p for p in exact if _holds(p.document(plant))), None)
    return found or _searched(plant, mode, steps)


def _searched(plant: Plant, mode: SlowestMode, steps: int | None) -> Proof | None:
    """The least memory with about the least rate; exactly where a quadratic seems to attain it."""
    best, reached, settled = None, 0.0, True
    most = float(1 - mode.low)  # more is not to be had
    for found in by_memory(plant, steps):
        if not found or found[0].gap <= reached * (1 + SAME):
            continue
        if mode.number is not None and found[0].gap > (1 - _NEAR) * most:
            held = found[0].multipliers()
            tried = facial_reduction.rate_proofs(plant, mode.number, found[0].steps, held)
            exact = next((p for p in tried if _holds(p.document(plant))), None)
            if exact is not None:
                return exact
        proved = _deepest(plant, found)
        if proved is not None and proved[0] > reached * (1 + SAME):
            reached, best, settled = proved
        if reached > most * (1 - SAME):
            break
    if best is not None and not settled and len(plant.D) == 1:
        other = _constrained(plant, 1, mode)
        if other is not None and (best.rate - other.rate).sign() > 0:
            return other
    return best


def _deepest(plant: Plant, found: list[Candidate]) -> tuple[float, Proof, bool] | None:
    """The proof nearest to the least rate, its gap to 1 rounded down to so many digits; and whether it is near."""
    for candidate in found:
        gap = decimal(Fraction(candidate.gap))
        for bits in _BITS:
            proof = candidate.rounded(gap, bits)
            if _holds(proof.document(plant)):
                return float(gap), proof, near(candidate.center, WITHIN)
    return None


def _holds(document: Mapping[str, Any]) -> bool:
    try:
        check(document)
    except Refused:
        return False
    return True


def _reason(plant: Plant, multipliers: str) -> NoCertificate:
    """Why there is no certificate, as far as that is known."""
    cycle = next(found_by(plant), None)
    if cycle is not None:
        return NoCertificate(
            f"no certificate exists: the method does not converge on all of F({plant.mu}, {plant.L}); {cycle}.",
            cycle,
        )
    without, other = "", "more steps"
    if multipliers != MULTIPLIERS[0]:
        without, other = f" with the multipliers {multipliers!r}", f"multipliers={MULTIPLIERS[0]!r}"
    return NoCertificate(
        f"the search in floating point found no Lyapunov function{without} with a rate below 1 and no cycle on roots "
        f"of unity; neither proves anything, and convergence on all of F({plant.mu}, {plant.L}) remains undecided; try "
        f"{other}."
    )
