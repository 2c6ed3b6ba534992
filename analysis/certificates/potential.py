"""Bounds after any number of steps over convex functions: one potential function whose coefficients are polynomials.

f(x_N) - f* <= L |x_0 - x*|^2 / growth for every N, with one proof for all N: V = a (f(y) - f*) + a quadratic form,
with coefficients that are polynomials in the step number or in the method's own scalar, and polynomial multipliers
(`checker_potential` has the inequalities, `potential_search` the search; Bansal, Gupta, 10.4086/toc.2019.v015a004;
Taylor, Bach, arXiv:1902.00947). Nothing is known of a method beforehand: its matrices are all that is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import sympy as sp

from odescent._errors import OdescentError

from . import checker_potential, potential_plant, potential_search
from .checker import Refused
from .document import above, to_sympy
from .field import _fraction
from .plant import Method, NoCertificate
from .record import Record

_MOST = 10**6  # steps for which a bound is computed


@dataclass(frozen=True)
class PotentialCertificate(Record):
    """A proof that f(x_N) - f* <= L |x_0 - x*|^2 / growth for every N and every convex L-smooth f.

    Attributes:
        document: everything that the proof needs as plain data; `checker_potential.check` reads it.
        source: what the method was read from; None after `from_dict`.
    """

    source: tuple[Any, ...] | None = field(default=None, repr=False, compare=False)

    @property
    def clock(self) -> sp.Symbol:
        """The step number k, or the scalar of the method that the coefficients depend on."""
        return sp.Symbol(str(self.document["clock"]), nonnegative=True)

    @property
    def growth(self) -> sp.Expr:
        """The growth, a polynomial in the clock of the step.

        The step is that which takes its gradient at x_N, where the output is such a point; else that which makes x_N.
        """
        return self._polynomial(self.document["growth"])

    @property
    def law(self) -> sp.Expr:
        """The bound L / growth on (f(x_N) - f*) / |x_0 - x*|^2: in N, or in the clock where that is another scalar."""
        if not self.document["whole"]:
            return self.L / self.growth
        N = sp.Symbol("N", integer=True, nonnegative=True)
        late = 0 if self.document["end"] == "y" else 1
        at = N - late + to_sympy(self.document["first"], 1)
        return sp.factor(self.L / sp.expand(self.growth.subs(self.clock, at)))

    @property
    def L(self) -> sp.Expr:
        """Smoothness, exact."""
        return to_sympy(self.document["L"], 1)

    @property
    def potential(self) -> tuple[sp.Expr, sp.Matrix]:
        """a and Q of V = a (f(y_k) - f*) / L + X'Q X, X = (the state less x*, the gradient at y_k over L)."""
        n = len(self.document["begin"]) + 1
        Q = sp.zeros(n, n)
        for key, w in self.document["Q"].items():
            i, j = map(int, key.split(","))
            Q[i, j] += self._polynomial(w) / 2
            Q[j, i] += self._polynomial(w) / 2
        return self._polynomial(self.document["a"]), Q

    @property
    def multipliers(self) -> dict[str, dict[tuple[int, ...], sp.Expr]]:
        """The weights of Q_ij as polynomials: "lambda" in the clock and the next one, "nu" in the clock."""
        later = sp.Symbol(f"{self.clock}_next", nonnegative=True)
        return {
            "lambda": {
                _pair(key): sum(
                    (to_sympy(x, 1) * self.clock**i * later**j for e, x in w.items() for i, j in [_pair(e)]), sp.S.Zero
                )
                for key, w in self.document["lambda"].items()
            },
            "nu": {_pair(key): self._polynomial(w) for key, w in self.document["nu"].items()},
        }  # fmt: skip

    def _polynomial(self, coefficients: list[str]) -> sp.Expr:
        return sum((to_sympy(x, 1) * self.clock**i for i, x in enumerate(coefficients)), sp.S.Zero)

    def bound(self, steps: int) -> float:
        """What (f(x_N) - f*) / |x_0 - x*|^2 is at most after so many steps, rounded up.

        Raises OdescentError unless steps is a whole number from 1 to a million.
        """
        if type(steps) is not int or not 1 <= steps <= _MOST:
            raise OdescentError(f"steps must be a whole number from 1 to {_MOST}, not {steps!r}.")
        count = steps if self.document["end"] == "y" else steps - 1
        clock = to_sympy(self.document["first"], 1)
        if self.document["whole"]:
            exact = self.L / self.growth.subs(self.clock, clock + count)
            return above(str(exact), 1)
        return above(str(Fraction(int(self.L.p), int(self.L.q)) / self._least(count)), 1)

    def _least(self, count: int) -> Fraction:
        """A lower bound of the growth after so many steps of the clock, by its own recurrence, in intervals."""
        from mpmath import iv

        before = iv.prec
        iv.prec = 120
        try:
            now, later, over, growth = (
                [iv.mpf(x.numerator) / x.denominator for x in map(Fraction, self.document[k])]
                for k in ("now", "next", "over", "growth")
            )
            root = self.document["from"]
            a, b = map(Fraction, [root, "0"] if isinstance(root, str) else root)
            v = iv.mpf(a.numerator) / a.denominator + iv.sqrt(self.d) * b.numerator / b.denominator
            for _ in range(
                count
            ):  # now(v+) / over(v+) = next(v) / over(v), now and over of degree 2 and 1
                t = _value(later, v) / _value(over, v)
                over_all = [*over, *[iv.mpf(0)] * (3 - len(over))]
                c0, c1, c2 = (x - t * y for x, y in zip(now, over_all, strict=True))
                v = (-c1 + iv.sqrt(c1**2 - 4 * c2 * c0)) / (2 * c2)
            low = _value(growth, _value(now, v) / _value(over, v)).a
            return _fraction(low)
        finally:
            iv.prec = before

    def verify(self) -> bool:
        """Check the proof anew in exact arithmetic, without a solver, and that it is about the method."""
        try:
            checker_potential.check(self.document)
            if self.source is not None:
                anew = potential_plant.describe(*self.source)
                return all(self.document[key] == value for key, value in anew.items())
            return True
        except (Refused, ArithmeticError, LookupError, TypeError, ValueError):
            return False

    def latex(self) -> str:
        """The bound in LaTeX."""
        return rf"f(x_N) - f_* \le {sp.latex(self.law)}\, \|x_0 - x_*\|^2 \quad \text{{for all }} N"

    def __str__(self) -> str:
        name = self.document.get("method") or "method"
        a, Q = self.potential
        where = "" if self.document["whole"] else f", {self.clock} of the step that makes x_N"
        return "\n".join([
            f"{name}: f(x_N) - f* <= {self.law} |x_0 - x*|^2 for every N over convex functions, L = {self.L}{where}",
            f"  V = ({sp.factor(a)}) (f(y) - f*) / L + X'Q X, Q = {Q.applyfunc(sp.factor).tolist()}",
            f"  proof: {len(self.document['lambda'])} interpolation inequalities a step with polynomial weights",
        ])  # fmt: skip

    def __repr__(self) -> str:
        return f"<PotentialCertificate: f(x_N) - f* <= {self.law} |x_0 - x*|^2>"


def certify_potential(
    algorithm: Method, L: object, *, output: str | None = None
) -> PotentialCertificate:
    """A bound on a method after every number of steps, over convex functions, with one proof for all of them.

    Args:
        algorithm: one gradient a step, coefficients rational in the step number or a scalar with t+ = r(t, sqrt(q(t))).
        L: smoothness, rational.
        output: the sequence that is bounded; see `unroll.unrolled`.

    Raises:
        NoCertificate: no potential of degree two was found; a bound for one N may exist (`certify_horizon`).
        OdescentError: input outside its domain.
    """
    source = (algorithm, L, output)
    base: Mapping[str, Any] = potential_plant.describe(*source)
    for document in potential_search.candidates(base):
        try:
            checker_potential.check(document)
        except (Refused, ArithmeticError):
            continue
        return PotentialCertificate(document, source)
    raise NoCertificate(
        "no potential function with coefficients of degree two was found whose growth proves a bound for all steps; "
        "horizon=N gives a bound for one number of steps."
    )


def _pair(key: str) -> tuple[int, ...]:
    return tuple(map(int, key.split(",")))


def _value(p: list[Any], v: Any) -> Any:
    """Of a polynomial in interval arithmetic."""
    found = 0 * v
    for c in reversed(p):
        found = found * v + c
    return found
