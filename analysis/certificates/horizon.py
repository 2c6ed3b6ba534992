"""Bounds after finitely many steps over F(mu, L), mu = 0 included: the dual of the performance estimation problem.

In floats, the least bound c with multipliers lambda >= 0 and D >= 0 (`checker.Steps` has the inequality) is a
semidefinite program; its two solutions are rounded: to a bound, and to points, gradients and values of a worst
function. Both are proved in exact arithmetic (Drori, Teboulle, arXiv:1206.3209; Taylor, Hendrickx, Glineur,
arXiv:1502.05666).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any

import sympy as sp

from ..._support.errors import OdescentError
from ..._support.rendering.brief import short
from .checking.checker import STAR, ZERO, Number, Refused, Steps, check, follow
from .checking.document import as_number, down, sealed, text, up
from .checking.document import weights as as_weights
from .checking.record import ProofDocument, shown, significant
from .lower_bounds import worst_line
from .lower_bounds.worst_line import Kink
from .methods.plant import Method, NoCertificate, to_float
from .methods.precise import decimal
from .methods.unroll import Unrolled, unrolled
from .searching.facial_reduction import horizon_document
from .searching.horizon_dual import FLOOR, HorizonBounds, Vectors, as_data, search, units

MEASURES = {"value": "f(x_N) - f*", "gradient": "|grad f(x_N)|^2", "distance": "|x_N - x*|^2"}
STARTS = {"distance": "|x_0 - x*|^2", "value": "f(x_0) - f*"}
_MOST = 40  # steps
_BITS = (56, 80)  # of multipliers after the largest one's point
_DIGITS = 11  # of the bound
_NEAR = 1e-5  # a bound that a function of a line attains is worth a try where the search ends so near, relatively
_SECONDS = 60.0


@dataclass(frozen=True)
class HorizonCertificate(ProofDocument):
    """A proved bound: the measure after N steps is at most ``bound`` times the start, for every f in F(mu, L).

    Attributes:
        worst: a function of one variable that gives ``lower``; None after `from_dict`.
        example: a worst case found by the search, in floats; None after `from_dict`.
        settled: whether bound and example agree; None after `from_dict`.
        steps: the unrolled method; None after `from_dict`.
    """

    worst: Kink | None = None
    example: Vectors | None = field(default=None, repr=False, compare=False)
    settled: bool | None = None
    steps: Unrolled | None = field(default=None, repr=False, compare=False)
    claim = "bound"

    @property
    def gradients(self) -> int:
        """The number of gradients before the last point."""
        return len(self.statement["points"]) - 1

    @cached_property
    def horizon(self) -> int:
        """The number of steps; of a table that is no method of the library, of gradients before the last point."""
        if self.source is not None:
            return int(self.source[3])
        name = str(self.document["name"])
        return int(self.registered(name)[3]) if self.matches_registry(name) else self.gradients

    @property
    def bound(self) -> float:
        """The proved bound, rounded up."""
        return up(self.claimed)

    def candidates(self) -> Iterable[dict[str, Any]]:
        """The run on a function of one variable, if its numbers are exact."""
        if self.worst is not None and self.steps is not None and self.steps.exact:
            yield worst_line.data(self.steps, self.worst, *self._form)

    def lower(self, seconds: float = _SECONDS) -> float | None:
        """What a function of the class attains, rounded down: no bound is smaller. None where none is known.

        Its points, gradients and values come with the search for the bound; here they are rounded, proved, and from
        then on part of the document.

        Args:
            seconds: for the search, where the bound was not searched for here; 0 looks at what is known.
        """
        if seconds and self.exact is None and "tried" not in self._lower:
            self._lower["tried"] = True
            part, known = self._of_example(seconds), self.reached
            if part and (known is None or (as_number(part["bound"], self.d) - known).sign() > 0):
                self._lower["part"] = part
        return None if self.reached is None else down(self.reached)

    def _of_example(self, seconds: float) -> dict[str, Any] | None:
        """The example of the search as exact data, if those are a proof."""
        steps, example = self.steps, self.example
        measure, start = self._form
        if steps is None:
            it = Steps(self.statement)
            size = len(it.points)
            rows = [row + [ZERO] * (size - len(row)) for row in it.points]
            exact = not any(x.e for row in (*rows, [it.mu, it.L]) for x in row)
            steps = Unrolled(rows, self.mu, self.L, self.d, exact)
        if example is None:
            found = search(steps, measure, start, time.monotonic() + seconds)
            example = None if found is None else found.example
        if example is None:
            return None
        return self._first_proved(as_data(example, steps, measure, start))

    @property
    def gap(self) -> float | None:
        """The difference of the bound and the lower bound, as far as it is known."""
        low = self.lower(0)
        return None if low is None else self.bound - low

    @property
    def precision(self) -> dict[str, float]:
        """How near to the least the bound was sought: "relative", or "absolute" where it is small.

        `settled` says whether it was found, `gap` what is proved. Below 1e-3 times the unit (L |x_0 - x*|^2 for
        values by distance) double precision ends.
        """
        unit, _ = units(to_float(as_number(self.statement["L"], self.d)), *self._form)
        if self.bound < FLOOR * unit:
            return {"absolute": 1e-6 * FLOOR * unit}
        return {"relative": 1e-6}

    @property
    def _form(self) -> tuple[str, str]:
        return self.statement["measure"], self.statement["start"]

    def _described(self, *source: Any) -> Mapping[str, Any]:
        """The statement about a method, but for what is claimed."""
        return describe(unrolled(*source), *self._form)

    def registered(self, name: str) -> tuple[Any, ...]:
        """The library's algorithm of a name, over as many steps as there are gradients."""
        from ...discretize import algorithm

        method = algorithm(name)
        return method, self.mu, self.L, self.gradients // method.calls, None

    def latex(self) -> str:
        """The bound in LaTeX."""
        measure = {
            "value": r"f(x_{%d}) - f_*", "gradient": r"\|\nabla f(x_{%d})\|^2", "distance": r"\|x_{%d} - x_*\|^2",
        }[self.statement["measure"]] % self.horizon  # fmt: skip
        start = {"distance": r"\|x_0 - x_*\|^2", "value": r"(f(x_0) - f_*)"}
        return rf"{measure} \le {sp.latex(self.proved)}\, {start[self.statement['start']]}"

    def __str__(self) -> str:
        mu, L = shown(self.mu), shown(self.L)
        measure = MEASURES[self.statement["measure"]].replace("N", str(self.horizon))
        bound = significant(self.claimed, 10, upward=True)
        lines = [
            f"{self.subject}: {measure} <= {bound} {STARTS[self.statement['start']]} "
            f"over F(mu, L), mu = {mu}, L = {L}"
        ]
        part = self.lower_part()
        if self.exact is not None:
            lines.append(f"  exactly {self.exact}, attained: no better bound exists")
        if part is not None:
            several = len(part["start"])
            where = self.worst if several == 1 and self.worst else f"in {several} dimension(s)"
            low = significant(as_number(part["bound"], self.d), 10)
            lines.append(f"  at least {low} on a function: {where}; gap {self.gap:.1e}")
        if self.settled is False:
            lines.append("  the search did not settle how near this is to the least bound")
        elif self.exact is None and "absolute" in self.precision:
            lines.append(
                f"  the search ends at {self.precision['absolute']:.0e}, where double precision does, "
                "not at 1e-6 of the bound"
            )
        lines.append(
            f"  proof: {len(self.witness['lambda'])} interpolation inequalities and those from the minimizer, "
            "exact LDL'"
        )
        return "\n".join(lines)


def certify_horizon(
    algorithm: Method,
    mu: object,
    L: object,
    horizon: int,
    *,
    measure: str = "value",
    start: str = "distance",
    output: str | None = None,
    bound: object = None,
    seconds: float = _SECONDS,
) -> HorizonCertificate:
    """A proved bound on a method after so many steps, within 1e-6 (relative to L) of the least.

    Args:
        algorithm, mu, L, horizon, output: see `unroll.unrolled`; mu may be 0, coefficients may change with the step.
        measure: "value" f(x_N) - f*, "gradient" |grad f(x_N)|^2 or "distance" |x_N - x*|^2.
        start: what it is compared with, "distance" |x_0 - x*|^2 or "value" f(x_0) - f*.
        bound: a bound to prove, instead of the least that can be found.
        seconds: how long to search; what was found until then is proved, which takes some seconds more.

    Raises:
        NoCertificate: none was found, or there is none.
        OdescentError: input outside its domain.
    """
    from threadpoolctl import threadpool_limits

    if measure not in MEASURES:
        raise OdescentError(f"measure must be one of {', '.join(MEASURES)}, not {short(measure)}.")
    if start not in STARTS:
        raise OdescentError(f"start must be one of {', '.join(STARTS)}, not {short(start)}.")
    if type(horizon) is int and horizon > _MOST:
        raise OdescentError(f"horizon must be at most {_MOST}, not {horizon}.")
    if not seconds > 0:
        raise OdescentError(f"seconds must be a positive number, not {short(seconds)}.")
    source = (algorithm, mu, L, horizon, output)
    steps = unrolled(*source)
    if (measure, start, steps.mu) == ("distance", "value", 0):
        raise NoCertificate(
            "|x_N - x*|^2 has no bound by f(x_0) - f* over convex functions, mu = 0: some are arbitrarily flat."
        )
    base = describe(steps, measure, start)
    if start == "value" and all(any(row) for row in steps.points):
        raise OdescentError(
            "a bound by f(x_0) - f* needs a gradient at x_0, which this method does not evaluate."
        )
    wanted = None if bound is None else steps.number(bound)
    if wanted is not None and wanted.sign() <= 0:
        raise OdescentError(f"bound must be a positive number, not {short(bound)}.")
    worst, end = worst_line.worst(steps, measure, start), time.monotonic() + seconds
    found = search(steps, measure, start, end)
    if found is not None and worst is not None:
        with threadpool_limits(limits=1, user_api="blas"):  # as in the search
            exact = _attained(base, steps, worst, wanted, found)
        if exact is not None:
            return HorizonCertificate(exact, worst, None, True, steps, source=source)
    for least, weights in [] if found is None else found.proofs:
        for bits in _BITS:
            document = _rounded(base, steps, least, weights, wanted, bits)
            if found is not None and document is not None:
                unit, _ = units(to_float(steps.number(steps.L)), measure, start)
                known = -math.inf if worst is None else float(worst.low) / unit
                settled = wanted is None and found.settled(least, known)
                return HorizonCertificate(
                    document, worst, found.example, settled, steps, source=source
                )
    if wanted is not None and worst is not None and worst.low > Fraction(to_float(wanted)):
        raise NoCertificate(
            f"the bound {bound} is out of reach: with {worst}, the method attains {float(worst.low):.10g}."
        )
    late = f" within {seconds:g} seconds" if time.monotonic() > end else ""
    raise NoCertificate(
        f"no proof of {'a bound' if wanted is None else f'the bound {bound}'} after {horizon} steps was found{late}."
    )


def _attained(
    base: Mapping[str, Any],
    steps: Unrolled,
    worst: Kink,
    wanted: Number | None,
    found: HorizonBounds,
) -> dict[str, Any] | None:
    """A proof of exactly what the function attains, where the search came so near that there may be one."""
    if worst.exact is None or not steps.exact or (wanted is not None and wanted - worst.value):
        return None
    unit, _ = units(to_float(steps.number(steps.L)), *(base[key] for key in ("measure", "start")))
    if _tied(base) or float(worst.low) < (1 - _NEAR) * found.bound * unit:
        return None
    for _, weights in found.proofs:
        try:
            document = horizon_document(base, steps, worst, weights)
            if document is not None:
                check(document)
                return document
        except (Refused, ArithmeticError):
            continue
    return None


def _tied(base: Mapping[str, Any]) -> bool:
    """Whether x_0 is in nothing that is compared."""
    return bool(base["mu"] == "0" and base["start"] == "value" and base["measure"] != "distance")


def describe(steps: Unrolled, measure: str, start: str) -> dict[str, Any]:
    """The method, the class and what is bounded, as the statement has them, but for the bound.

    Args:
        steps: the method over N steps.
        measure, start: see `certify_horizon`.
    """
    points = []
    for row in steps.points:
        length = max((j + 1 for j, x in enumerate(row) if x), default=0)
        points.append([text(x) for x in row[:length]])
    return {
        "d": steps.d, "mu": text(steps.number(steps.mu)), "L": text(steps.number(steps.L)),
        "points": points, "measure": measure, "start": start,
    }  # fmt: skip


def _rounded(
    base: Mapping[str, Any],
    steps: Unrolled,
    least: float,
    weights: Mapping[tuple[int, int], float],
    wanted: Number | None,
    bits: int,
) -> dict[str, Any] | None:
    """The candidate (of units L = 1) with dyadic multipliers, if it is a proof, of the bound that is wanted."""
    L = to_float(steps.number(steps.L))
    of_bound, of_weights = units(L, base["measure"], base["start"])
    number = Number(decimal(Fraction(least) * Fraction(of_bound), _DIGITS, math.ceil))
    scaled = {ij: Fraction(w) * Fraction(of_weights) for ij, w in weights.items()}
    unit = Fraction(2) ** (math.frexp(float(max(scaled.values())))[1] - bits)
    kept = {ij: Number(round(w / unit) * unit) for ij, w in scaled.items() if w >= unit}
    if wanted is not None:
        # an enclosed bound is proved at its upper end; every bound above a proved one is proved by the same weights
        wanted = Number(wanted.a + wanted.e) if wanted.e else wanted
        more = wanted - number
        if base["start"] == "value" and more.sign() > 0:
            first = next(i for i, row in enumerate(steps.points) if not any(row))
            kept[first, STAR] = kept.get((first, STAR), ZERO) + more
        number = wanted
    claim = {**base, "bound": text(number)}
    if _tied(base):  # no multipliers from the minimizer; those to it follow
        kept = {ij: w for ij, w in kept.items() if ij[1] != STAR}
        it = Steps({**claim, "d": base["d"]})
        _, follows = follow(it.claim, it.factors, kept)
        kept |= {(i, STAR): -w for (_, i), w in follows.items() if w}
    document = sealed(steps.name, "horizon", claim, {"lambda": as_weights(kept)})
    try:
        check(document)
    except Refused:
        return None
    return document
