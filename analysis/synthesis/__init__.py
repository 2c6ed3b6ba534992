"""Synthesis: the gains and the scheme of a family with the best worst-case rate over F(mu, L)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy as sp

from ..._support.errors import OdescentError, check_choice
from ..._support.rendering.rendered import Rendered
from ...discretize.faces import Algorithm
from ...discretize.identification.recognition import recognize
from ...discretize.identification.recognized import Recognition
from ...discretize.pole_placement.specification import scalar
from ...discretize.programs.substeps import Scheme
from ...dynamics.algebra.scalars import check_class
from ...dynamics.flows.system import System
from ...dynamics.notation.show import text
from ...dynamics.vector_fields.system import L as L_symbol
from ...dynamics.vector_fields.system import mu as mu_symbol
from .exact import ClosedForm, closed_form, gains_of
from .family import families
from .search import FINE, RATES, SPREADS, BestGains, coarse, fine

if TYPE_CHECKING:
    from ..certificates import Certificate


@dataclass(frozen=True)
class Synthesis(Rendered):
    """What a search found.

    Attributes:
        algorithm: the best method, with its gains for this mu and L, and no free parameters.
        formula: the same in mu and L, where the optimum has a closed form; else None.
        rate: its rate rho at this mu and L, as a float: |x_k - x*| = O(rho^k) if certified; if spectral, the largest
            modulus of a pole, with O(k rho^k) where it is a double one.
        objective: "certified" (over F(mu, L), an upper bound by a Lyapunov function) or "spectral" (over
            quadratics, exact up to the grid of curvatures).
        gains: the free gains by name, exact or numbers; the step is 1/sqrt(L) where it is not among them.
        closed_form: the exact optimum and the poles that define it, None where no pattern was found.
        candidates: for each scheme that was searched, its text and its rate, best first.
        evaluations: how many rates were computed in all.
    """

    algorithm: Algorithm
    formula: Algorithm | None
    rate: float
    objective: str
    gains: Mapping[str, sp.Expr | float]
    closed_form: ClosedForm | None
    candidates: tuple[tuple[str, float], ...]
    evaluations: int
    mu: sp.Expr
    L: sp.Expr

    @cached_property
    def recognition(self) -> Recognition:
        """Which known method this is, with a proof; false if it is none, or one but for what it says."""
        return recognize(self.algorithm if self.formula is None else self.formula)

    @cached_property
    def certificate(self) -> Certificate:
        """An exact certificate of the rate over F(mu, L); raises NoCertificate where there is none."""
        from ..certificates import certify

        return certify(self.algorithm, self.mu, self.L)

    def __str__(self) -> str:
        kind = "certified over F(mu, L)" if self.objective == "certified" else "on quadratics"
        lines = [f"rate {self.rate:.9f} {kind} at mu = {self.mu}, L = {self.L}"]
        if self.closed_form is not None:
            lines.append(f"exact rate: {text(self.closed_form.rate)}")
            poles = "; ".join(f"{', '.join(p)} at {e}" for e, p in self.closed_form.poles.items())
            lines.append(f"poles: {poles}")
        lines += [
            f"{n} = {text(v) if isinstance(v, sp.Expr) else v}" for n, v in self.gains.items()
        ]
        lines.append(f"scheme: {self.algorithm.scheme}")
        lines.append(self._known())
        return "\n".join(lines)

    def _known(self) -> str:
        known = self.recognition
        if self.closed_form is not None or not known.substitution or known.but_for:
            return known.reason
        numbers = ", ".join(f"{n} = {sp.N(v, 9)}" for n, v in known.substitution.items())
        return f"this is {known.name} with {numbers}."


def synthesize(
    family: System | Algorithm | str,
    *,
    mu: Any,
    L: Any,
    rate: str = "certified",
    schemes: Iterable[Scheme | str] | None = None,
    where: Mapping[Any, object] | None = None,
    starts: int = 2,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> Synthesis:
    """Search gains and schemes of a family for the best worst-case rate, and solve the optimum exactly.

    Args:
        family: a system (or its name) with free gains, or an algorithm with free parameters.
        mu, L: the class of functions, 0 < mu < L; exact numbers stay exact.
        rate: "certified", the best rate that a Lyapunov function proves over F(mu, L), or "spectral", the
            exact worst case over quadratics.
        schemes: schemes to try; by default explicit Euler and semi-implicit Euler in every order of the blocks.
        where: structural constraints, such as ``{"a": 0}`` or ``{b: K**2 / 4}``.
        starts: number of descents per scheme; seed: seed of the random starts.
        progress: called with a line of text for each scheme.

    Among methods whose rates agree to 1e-7, one with a closed form is preferred, then one with fewer nonzero
    gains, then the first.

    Returns:
        The best method found, with its rate, its gains, and closed forms where there are any.

    Raises OdescentError: no scheme fits, no gain is free, no method is stable, or not 0 < mu < L.
    """
    check_choice("rate", rate, RATES)
    low, high = scalar(mu, "mu"), scalar(L, "L")
    try:
        check_class(low, high)
    except ValueError as error:
        raise OdescentError(str(error)) from None
    if not (low.is_number and high.is_number and 0 < low < high):
        raise OdescentError(
            f"synthesize needs numbers 0 < mu < L; it was given mu = {mu} and L = {L}."
        )
    searched = families(family, schemes, where or {}, (low, high))
    found: list[tuple[BestGains, ClosedForm | None]] = []
    for one in searched:
        if progress is not None:
            progress(f"{rate} rate, {', '.join(s.name for s in one.gains)}: {one.algorithm.scheme}")
        try:
            near = coarse(one, RATES[rate], np.random.default_rng(seed), starts)
        except OdescentError:
            if len(searched) == 1:
                raise
            continue
        found.append(_solved(near, rate))
    if not found:
        raise OdescentError(
            f"no method of the family is stable on [mu, L] with {len(searched)} schemes; loosen a constraint."
        )
    least = min(f.rate for f, _ in found)
    ranked = sorted(
        found,
        key=lambda f: (
            f[0].rate > least + 1e-6,
            f[0].rate if f[0].rate > least + 1e-6 else 0.0,
            f[1] is None,
            np.count_nonzero(f[0].gains),
        ),
    )
    return _synthesis(rate, ranked)


def _solved(near: BestGains, rate: str) -> tuple[BestGains, ClosedForm | None]:
    """The optimum in closed form where the neighbourhood shows which, and nothing nearby is better; else its digits."""
    rate_of = RATES[rate]
    for refine in (False, True):
        found = fine(near, rate_of) if refine else near
        exact = closed_form(found, rate_of)
        if exact is not None:
            gains = gains_of(exact, near.family)
            assert gains is not None  # or it were no optimum
            reached = rate_of(near.family, FINE)(gains)
            there = BestGains(near.family, gains, reached, found.evaluations)
            again = fine(there, rate_of, 1e-5, SPREADS[-2:])
            if again.rate > reached - 1e-6:
                return replace(there, evaluations=again.evaluations), exact
            near = again
    return found, None


def _synthesis(rate: str, ranked: list[tuple[BestGains, ClosedForm | None]]) -> Synthesis:
    winner, exact = ranked[0]
    family = winner.family
    if exact is None:
        gains = {s: sp.Rational(float(v)) for s, v in zip(family.gains, winner.gains, strict=True)}
        shown: dict[str, sp.Expr | float] = {s.name: float(v) for s, v in gains.items()}
    else:
        gains = exact.gains
        shown = {s.name: gains[s] for s in family.gains}
    algorithm = family.bound(gains)
    return Synthesis(
        algorithm=_at(algorithm, family.mu, family.L),
        formula=None if exact is None else algorithm,
        rate=winner.rate,
        objective=rate,
        gains=shown,
        closed_form=exact,
        candidates=tuple((str(f.family.algorithm.scheme), f.rate) for f, _ in ranked),
        evaluations=sum(f.evaluations for f, _ in ranked),
        mu=family.mu,
        L=family.L,
    )


def _at(algorithm: Algorithm, mu: sp.Expr, L: sp.Expr) -> Algorithm:
    """The algorithm for these constants."""
    values = {mu_symbol: mu, L_symbol: L}
    return algorithm.bind({s: v for s, v in values.items() if s in algorithm.parameters})
