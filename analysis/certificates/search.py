"""The search for a certificate: a candidate in floats, rounded, and proved; or the reason why there is none."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any, Literal, Protocol, overload, runtime_checkable

import numpy as np
import sympy as sp
from jaxtyping import Float

from odescent._errors import OdescentError, unknown
from odescent.dynamics import System
from odescent.dynamics.exact import as_scalar
from odescent.dynamics.oracles import constant

from . import face, identity, modes, quadratics
from .certificate import Certificate
from .checker import Number, Refused, check
from .cycle import found_by
from .document import rate_document
from .field import NotInField
from .flow import FlowCertificate, certify_flow
from .horizon import HorizonCertificate, certify_horizon
from .iqc import Constraints
from .lmi import LyapunovLMI, Pieces
from .modes import Mode
from .plant import Method, NoCertificate, Plant, read, to_float
from .potential import PotentialCertificate, certify_potential

CLASSES = ("smooth_strongly_convex", "quadratics")
MULTIPLIERS = ("interpolation", "sector", "off_by_one", "zames_falb")
_DIGITS = 9  # a rate from the search is a decimal with so many digits
_BITS = 48  # unknowns are rounded to multiples of 2^-48 in units where traces and multipliers add to one
_NEAR = 1e-6  # a rate that is attained is worth a try where the search would end so near
_MOST = 4  # steps of memory; beyond, the candidates are too ill-conditioned to round


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
) -> HorizonCertificate: ...
@overload
def certify(
    algorithm: Method,
    mu: object,
    L: object,
    *,
    horizon: Literal["all"],
    output: str | None = ...,
) -> PotentialCertificate: ...
@overload
def certify(
    algorithm: Method,
    mu: object,
    L: object,
    over: str = ...,
    steps: int = ...,
    rate: object = ...,
    *,
    multipliers: str = ...,
) -> Certificate: ...


def certify(
    algorithm: Any,
    mu: object,
    L: object = None,
    over: str = "smooth_strongly_convex",
    steps: int = 2,
    rate: object = None,
    *,
    multipliers: str = "interpolation",
    horizon: int | Literal["all"] | None = None,
    **bounded: Any,
) -> Any:
    """A proved worst case of a method over a class of functions.

    Of an algorithm, by default, an upper bound of its linear rate; with ``horizon=N`` a bound after N steps, also for
    mu = 0 and for coefficients that change (`certify_horizon`, which takes measure, start, output and bound besides);
    with ``horizon="all"`` and mu = 0 one after every number of steps (`certify_potential`, which takes output besides);
    of a `System`, a lower bound of its exponential rate (`certify_flow`; L may be infinite).

    A Lyapunov function is sought by semidefinite programming, rounded to rationals, and proved in exact
    arithmetic; the solver's word is not used. For the least rate that this finds, `Certificate.rate` is within
    1e-6 of it. `Certificate.lower` is attained on a function of the class.

    Args:
        algorithm: an algorithm with a state-space view (also implicit or with several gradients a step, all of
            one function; an operator is taken to be a gradient), matrices (A, B, C[, D]), or a mapping of alpha,
            beta, gamma, delta. Exact numbers stay exact; a float is the decimal that it prints as.
        mu, L: the class, 0 < mu <= L.
        over: "smooth_strongly_convex", all of F(mu, L), or "quadratics", those in it.
        steps: gradients of memory in the Lyapunov function, 1 to 4.
        rate: a rate to prove, instead of the least that can be found.
        multipliers: what is used of the class. "interpolation", all inequalities between the points in memory, gives
            the least rates; else, for one gradient a step, an integral quadratic constraint: "sector", the weighted
            "off_by_one" constraint, or "zames_falb", causal with so many past ``steps`` (`iqc`).

    Raises:
        NoCertificate: none exists (a pole outside the unit circle, a cycle) or none of this form was found.
        OdescentError: input outside its domain.

    Method: Lessard, Recht, Packard (arXiv:1408.3595); Taylor, Van Scoy, Lessard (arXiv:1803.06073).
    """
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
    if multipliers not in MULTIPLIERS:
        raise unknown("kind of multipliers", multipliers, MULTIPLIERS)
    if multipliers != MULTIPLIERS[0] and (horizon is not None or over != CLASSES[0]):
        raise OdescentError(
            f"the multipliers {multipliers!r} are for linear rates over all of F(mu, L), without horizon= and over=."
        )
    if horizon is not None:
        if rate is not None or over != CLASSES[0]:
            raise OdescentError(
                "after finitely many steps there is a bound= to prove, not a rate, over all of F(mu, L)."
            )
        if horizon == "all":
            return _for_all_steps(algorithm, mu, L, **bounded)
        return certify_horizon(algorithm, mu, L, horizon, **bounded)
    if bounded:
        raise OdescentError(
            f"{', '.join(bounded)} belong to a bound after finitely many steps: give horizon= as well."
        )
    if over not in CLASSES:
        raise OdescentError(f"the classes are {' and '.join(map(repr, CLASSES))}, not {over!r}.")
    if type(steps) is not int or not 1 <= steps <= _MOST:
        raise OdescentError(f"steps must be a whole number from 1 to {_MOST}, not {steps!r}.")
    plant = read(algorithm, mu, L)
    if not plant.mu > 0:
        raise NoCertificate(
            "there is no linear rate over convex functions, mu = 0: some are as flat as one likes at the minimizer; "
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
        return Certificate(quadratics.prove(plant, mode, goal), mode, plant)
    candidates: Candidates = (
        _Interpolation(plant, steps)
        if multipliers == MULTIPLIERS[0]
        else Constraints(plant, {"sector": 0, "off_by_one": 1}.get(multipliers, steps))
    )
    found = _prove(mode, candidates, goal)
    if found is not None:
        return Certificate(found, mode, plant)
    raise _reason(plant, multipliers, steps, wanted)


def certified_rate(algorithm: Method, mu: object, L: object, steps: int = 2) -> float:
    """The rate of `certify`, proved in exact arithmetic and rounded up; inf where none is found.

    For maps and tables: why there is no rate is not looked for, nor is the certificate kept. `worst_case_rate` is the
    same in floats, without a proof.

    Raises OdescentError as `certify` does, other than for the lack of a rate.
    """
    plant = read(algorithm, mu, L)
    mode = modes.slowest(plant)
    if not plant.mu > 0 or mode.low >= 1 or (mode.exact is not None and mode.exact >= 1):
        return math.inf
    found = _prove(mode, _Interpolation(plant, steps), None)
    return math.inf if found is None else Certificate(found).rate


def certified_rates(
    mu: object, L: object, methods: Iterable[Mapping[str, object]], steps: int = 2
) -> list[float]:
    """`certified_rate` of many methods in three-parameter form: one job of a sweep, say a row of a map.

    All arguments may be plain data, numbers as text such as "1/3".
    """

    def plain(x: object) -> object:
        return Fraction(x) if isinstance(x, str) else x

    return [
        certified_rate({n: plain(x) for n, x in m.items()}, plain(mu), plain(L), steps)
        for m in methods
    ]


def _for_all_steps(
    algorithm: Method, mu: object, L: object, output: str | None = None, **bounded: Any
) -> PotentialCertificate:
    if bounded:
        raise OdescentError(
            f"{', '.join(bounded)} belong to a bound after one number of steps, horizon=N; for all steps it is about "
            "f(x_N) - f* over |x_0 - x*|^2."
        )
    if constant("mu", mu) != 0:
        raise OdescentError(
            f"a bound for all steps is about convex functions, mu = 0, not mu = {mu}; there are linear rates then."
        )
    return certify_potential(algorithm, L, output=output)


def _wanted(rate: object) -> sp.Expr:
    try:
        wanted = as_scalar(rate)
    except TypeError:
        wanted = sp.nan
    if not (wanted.is_number and wanted.is_real and 0 <= wanted < 1):
        raise OdescentError(f"rate must be a number from 0 to less than 1, not {rate!r}.")
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


@runtime_checkable
class Candidates(Protocol):
    """Where documents come from, which are proofs where their checker says so."""

    def attained(self, rate: Number) -> Iterable[Mapping[str, Any]]:
        """Candidates at a rate that a quadratic attains."""

    def search(self, lowest: float) -> float | None:
        """About the least rate from a lower bound on, in floats; None if there is none."""

    def document(self, rate: Number) -> Mapping[str, Any] | None:
        """The best candidate at a rate, rounded; None if there are no numbers."""


def _prove(mode: Mode, candidates: Candidates, wanted: Number | None) -> Mapping[str, Any] | None:
    """A document whose proof was checked; None if none was found."""
    if mode.number is not None and (wanted is None or not wanted - mode.number):
        attained = next(filter(_holds, candidates.attained(mode.number)), None)
        if attained is not None:
            return attained
    if wanted is not None:
        return _proof(candidates.document(wanted))
    first = candidates.search(float(mode.low))
    if first is None:
        return None
    size = Fraction(math.ceil(first * 10**_DIGITS), 10**_DIGITS)
    step = Fraction(1, 10**7)
    while size < 1:
        document = _proof(candidates.document(Number(size)))
        if document is not None:
            return document
        size, step = size + step, 2 * step
    return None


class _Interpolation:
    """Candidates with all interpolation inequalities between the points in memory."""

    def __init__(self, plant: Plant, steps: int) -> None:
        self.plant, self.steps = plant, steps
        self.lmi = LyapunovLMI(*plant.floats(), float(plant.mu), float(plant.L), steps)

    def attained(self, rate: Number) -> Iterator[Mapping[str, Any]]:
        """If there seem to be any: identities known in form, and what the face has."""
        near = (to_float(rate) + _NEAR) ** 2
        if self.lmi.solve(min(near, 1.0)).margin <= 0:
            return
        yield from identity.documents(self.plant, rate)
        document = face.document(self.plant, rate, self.steps) if near < 1 else None
        if document is not None:
            yield document

    def search(self, lowest: float) -> float | None:
        """By the margin."""
        return self.lmi.search(lowest)

    def document(self, rate: Number) -> Mapping[str, Any] | None:
        """The candidate at a rate, rounded to dyadic numbers."""
        found = self.lmi.solve(to_float(rate) ** 2)
        if not all(map(math.isfinite, (*found.P.flat, *found.nu.values(), *found.free.values()))):
            return None
        return rate_document(
            self.plant, rate, self.steps, *_dyadic(found, self.lmi.R, self.lmi.unit)
        )


def _proof(document: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    return document if document is not None and _holds(document) else None


def _whole(x: float) -> Fraction:
    return Fraction(round(x * 2**_BITS), 2**_BITS)


def _kept(weights: Mapping[tuple[int, int], float]) -> dict[tuple[int, int], Number]:
    return {ij: Number(_whole(x)) for ij, x in weights.items() if _whole(x) > 0}


def _dyadic(found: Pieces, R: Float[np.ndarray, "n n"], unit: float) -> tuple[Any, Any, Any]:
    """P, nu and lambda as dyadic numbers, P in the method's own state; multipliers that round to 0 are left out."""
    n, m = len(R), len(found.P)
    to_R = [[1 / Fraction(unit) if i == j else Fraction(0) for j in range(m)] for i in range(m)]
    for i, row in enumerate(R.tolist()):
        to_R[i][:n] = [Fraction(e) for e in row]
    half = [[sum(_whole(a) * b for a, b in zip(row, column, strict=True)) for column in zip(*to_R, strict=True)]
            for row in found.P.tolist()]  # fmt: skip
    P = [[Number(sum(a * b for a, b in zip(row, column, strict=True))) for column in zip(*half, strict=True)]
         for row in zip(*to_R, strict=True)]  # fmt: skip
    return P, _kept(found.nu), _kept(found.free)


def _holds(document: Mapping[str, Any]) -> bool:
    try:
        check(document)
    except Refused:
        return False
    return True


def _reason(plant: Plant, multipliers: str, steps: int, wanted: sp.Expr | None) -> NoCertificate:
    """Why there is no certificate, as far as that is known."""
    cycle = next(found_by(plant), None)
    if cycle is not None:
        return NoCertificate(
            f"no certificate exists: the method does not converge on all of F({plant.mu}, {plant.L}); {cycle}.",
            cycle,
        )
    goal = "of any rate below 1" if wanted is None else f"of the rate {wanted}"
    if multipliers != MULTIPLIERS[0]:
        return NoCertificate(
            f"the multipliers {multipliers!r} leave no quadratic Lyapunov function {goal}, and no cycle on roots of "
            "unity was found either: whether the method converges on the whole class is open here; try "
            "multipliers='interpolation'."
        )
    return NoCertificate(
        f"no Lyapunov function {goal} with {steps} steps of memory was found, and no cycle on roots of unity "
        "either: whether the method converges on the whole class is open here; try more steps."
    )
