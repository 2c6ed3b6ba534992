"""Bounds after any number of steps over convex functions: one potential function whose coefficients are polynomials.

f(x_N) - f* <= L |x_0 - x*|^2 / growth for every N, with one proof for all N: V = a (f(y) - f*) + a quadratic form,
with coefficients that are polynomials in the step number or in the method's own scalar, and polynomial multipliers
(`checker.Potential` has the inequalities, `potential_search` the search; Bansal, Gupta, 10.4086/toc.2019.v015a004;
Taylor, Bach, arXiv:1902.00947). Nothing is known of a method beforehand: its matrices are all that is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import sympy as sp

from ..._support.errors import OdescentError, shown
from .checking import checker
from .checking.checker import Number, Refused
from .checking.document import as_number, sealed, to_sympy, up
from .checking.field import NumberField, of_mpf
from .checking.record import ProofDocument
from .methods import potential_plant
from .methods.plant import Method, NoCertificate
from .searching import potential_search

_MOST = 10**6  # steps for which a bound is computed


@dataclass(frozen=True)
class PotentialCertificate(ProofDocument):
    """A proof that f(x_N) - f* <= L |x_0 - x*|^2 / growth for every N and every convex L-smooth f."""

    claim = "growth"

    @property
    def whole(self) -> bool:
        """Whether the clock counts the steps."""
        clock = self.statement["clock"]
        return (clock["now"], clock["next"], clock["over"]) == (["0", "1"], ["1", "1"], ["1"])

    @property
    def clock(self) -> sp.Symbol:
        """The step number k, or t, the scalar of the method that the coefficients depend on."""
        return sp.Symbol("k" if self.whole else "t", nonnegative=True)

    @property
    def first(self) -> sp.Expr:
        """The first value of the clock."""
        clock = self.statement["clock"]
        v = to_sympy(clock["from"], self.d)
        now, over = (
            sum(to_sympy(c, self.d) * v**i for i, c in enumerate(clock[k])) for k in ("now", "over")
        )
        return sp.radsimp(sp.expand(now) / sp.expand(over))

    @property
    def growth(self) -> sp.Expr:
        """The growth, a polynomial in the clock of the step.

        The step is that which takes its gradient at x_N, where the output is such a point; else that which makes x_N.
        """
        return self._polynomial(self.statement["growth"])

    @property
    def law(self) -> sp.Expr:
        """The bound L / growth on (f(x_N) - f*) / |x_0 - x*|^2: in N, or in the clock where that is another scalar."""
        if not self.whole:
            return self.L / self.growth
        N = sp.Symbol("N", integer=True, nonnegative=True)
        late = 0 if self.statement["bounded"] == "point" else 1
        return sp.factor(self.L / sp.expand(self.growth.subs(self.clock, N - late + self.first)))

    @property
    def _end(self) -> str:
        """What is bounded: the output, or the gradient point where that is another."""
        s = self.statement
        return (
            "x_N" if s["bounded"] == "output" or (s["output"] == s["C"] and not s["D"]) else "y_N"
        )

    @property
    def potential(self) -> tuple[sp.Expr, sp.Matrix]:
        """a and Q of V = a (f(y_k) - f*) / L + X'Q X, X = (the state less x*, the gradient at y_k over L)."""
        n = len(self.statement["A"]) + 1
        Q = sp.zeros(n, n)
        for key, w in self.witness["Q"].items():
            i, j = map(int, key.split(","))
            Q[i, j] += self._polynomial(w) / 2
            Q[j, i] += self._polynomial(w) / 2
        return self._polynomial(self.witness["a"]), Q

    @property
    def multipliers(self) -> dict[str, dict[tuple[int, ...], sp.Expr]]:
        """The weights of Q_ij as polynomials: "lambda" in the clock and the next one, "nu" in the clock."""
        later = sp.Symbol(f"{self.clock}_next", nonnegative=True)
        return {
            "lambda": {
                _pair(key): sum(
                    (to_sympy(x, self.d) * self.clock**i * later**j for e, x in w.items() for i, j in [_pair(e)]),
                    sp.S.Zero,
                )
                for key, w in self.witness["lambda"].items()
            },
            "nu": {_pair(key): self._polynomial(w) for key, w in self.witness["nu"].items()},
        }  # fmt: skip

    def _polynomial(self, coefficients: list[Any]) -> sp.Expr:
        return sum(
            (to_sympy(x, self.d) * self.clock**i for i, x in enumerate(coefficients)), sp.S.Zero
        )

    def bound(self, steps: int) -> float:
        """What (f(x_N) - f*) / |x_0 - x*|^2 is at most after so many steps, rounded up.

        Raises OdescentError unless steps is a whole number from 1 to a million.
        """
        if type(steps) is not int or not 1 <= steps <= _MOST:
            raise OdescentError(
                f"steps must be a whole number from 1 to {_MOST}, not {shown(steps)}."
            )
        count = steps if self.statement["bounded"] == "point" else steps - 1
        if self.whole:
            exact = sp.nsimplify(self.L / self.growth.subs(self.clock, self.first + count))
            return up(NumberField().number(exact, {}))
        return up(Number(Fraction(int(self.L.p), int(self.L.q)) / self._least(count)))

    def _least(self, count: int) -> Fraction:
        """A lower bound of the growth after so many steps of the clock, by its own recurrence, in intervals."""
        from mpmath import iv

        before = iv.prec
        iv.prec = 120
        try:
            now, later, over, growth = (
                [_interval(x, self.d) for x in part]
                for part in (
                    *(self.statement["clock"][k] for k in ("now", "next", "over")),
                    self.statement["growth"],
                )
            )
            if len(now) != 3 or len(over) > 2:
                raise OdescentError("bounds are computed for clocks of degree 2 over degree 1.")
            v = begin = _interval(self.statement["clock"]["from"], self.d)
            for _ in range(
                count
            ):  # now(v+) / over(v+) = next(v) / over(v), now and over of degree 2 and 1
                t = _value(later, v) / _value(over, v)
                over_all = [*over, *[iv.mpf(0)] * (3 - len(over))]
                c0, c1, c2 = (x - t * y for x, y in zip(now, over_all, strict=True))
                root = iv.sqrt(c1**2 - 4 * c2 * c0)
                other, v = (-c1 - root) / (2 * c2), (-c1 + root) / (2 * c2)
                if not other < begin:
                    raise OdescentError("the clock of this document is not one number per step.")
            low = _value(growth, _value(now, v) / _value(over, v)).a
            return of_mpf(low._mpi_[0])
        finally:
            iv.prec = before

    def _described(self, *source: Any) -> Mapping[str, Any]:
        """The statement about a method, but for the growth."""
        said: Mapping[str, Any] = potential_plant.describe(*source)["statement"]
        return said

    def registered(self, name: str) -> tuple[Any, ...]:
        """The library's algorithm of a name."""
        from ...discretize import algorithm

        return algorithm(name), self.L, None

    def latex(self) -> str:
        """The bound in LaTeX."""
        return rf"f({self._end}) - f_* \le {sp.latex(self.law)}\, \|x_0 - x_*\|^2 \quad \text{{for all }} N"

    def __str__(self) -> str:
        a, Q = self.potential
        where = "" if self.whole else f", {self.clock} of the step that makes {self._end}"
        return "\n".join([
            f"{self.subject}: f({self._end}) - f* <= {self.law} |x_0 - x*|^2 for every N over convex functions, "
            f"L = {self.L}{where}",
            f"  V = ({sp.factor(a)}) (f(y) - f*) / L + X'Q X, Q = {Q.applyfunc(sp.factor).tolist()}",
            f"  proof: {len(self.witness['lambda'])} interpolation inequalities a step with polynomial weights",
        ])  # fmt: skip


def certify_potential(
    algorithm: Method, L: object, *, output: str | None = None
) -> PotentialCertificate:
    """A bound on a method after every number of steps, over convex functions, with one proof for all of them.

    Args:
        algorithm: one gradient per step, coefficients rational in the step number or in t, t+ = r(t, sqrt(q(t))).
        L: smoothness, rational.
        output: the sequence that is bounded; see `unroll.unrolled`.

    Raises:
        NoCertificate: no potential of degree two was found; a bound for one N may exist (`certify_horizon`).
        OdescentError: input outside its domain.
    """
    from threadpoolctl import threadpool_limits

    source = (algorithm, L, output)
    base: Mapping[str, Any] = potential_plant.describe(*source)
    # the matrices are small: more than one thread waits more than it works
    with threadpool_limits(limits=1, user_api="blas"):
        for growth, witness in potential_search.candidates(base["statement"]):
            claim = {**base["statement"], "growth": growth}
            document = sealed(base["method"], "potential", claim, witness)
            try:
                checker.check(document)
            except (Refused, ArithmeticError):
                continue
            return PotentialCertificate(document, source=source)
    raise NoCertificate(
        "no potential function with coefficients of degree two was found whose growth proves a bound for all steps; "
        "horizon=N gives a bound for one number of steps."
    )


def _pair(key: str) -> tuple[int, ...]:
    return tuple(map(int, key.split(",")))


def _interval(x: Any, d: int) -> Any:
    """A number of the document in interval arithmetic."""
    from mpmath import iv

    found = as_number(x, d)
    a, b = Fraction(found.a), Fraction(found.b)
    root = iv.sqrt(d) * b.numerator / b.denominator if b else 0
    return iv.mpf(a.numerator) / a.denominator + root


def _value(p: list[Any], v: Any) -> Any:
    """Of a polynomial in interval arithmetic."""
    found = 0 * v
    for c in reversed(p):
        found = found * v + c
    return found
