"""Riccati flows to methods: iterative Newton as descent that doubles its steps, MKOR's factor as a splitting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sympy as sp

from ....dynamics.algebra.calculus import change, derivative, substitute
from ....dynamics.algebra.products import apply, identity, outer
from ....dynamics.algebra.scalars import parameters
from ....dynamics.algebra.vectors import Vector, inner
from ....dynamics.vector_fields.block import blocks
from ...faces import Derivation
from ...library.riccati import iterative_newton as newton_method
from ...library.riccati import mkor as mkor_method
from ...proof.steps import Claim, Equation, Step
from ...step.iteration import STEP
from ..notation import DOUBLING, SPLITTING

h = STEP
M, M_0, S, P = blocks("M M_0 S P", kind="symmetric")
D, D_m, D_n = blocks("D D_m D_n", kind="matrix")
g, u = blocks("g u")
T, gam, kap = parameters("T gam kap")
Claims = Mapping[str, Any]
PROVENANCE = (
    "Reconstructed from the formulas of iterative Newton (arXiv:2310.17086) and MKOR (arXiv:2306.01685); the flows and "
    "the error terms are this package's own."
)


def _further(e: Vector) -> Vector:
    """The matrix of one more step of descent: D + M_0 - D S M_0."""
    further: Vector = e + M_0 - apply(e, apply(S, M_0))
    return further


def iterative_newton() -> Derivation:
    """From the Riccati flow to M+ = 2 M - M S M, and to descent with twice the number of steps."""
    method = newton_method()
    rate = (M - apply(M, apply(S, M))) / T
    made = M + (M - apply(M, apply(S, M))) * (h / T)
    newton = M * 2 - apply(M, apply(S, M))
    residual = identity - apply(S, M)
    after = residual * (1 - h / T) + apply(residual, residual) * (h / T)
    decay = (apply(residual, residual) - residual) / T
    square = apply(residual, residual)
    cubic = (square * 3 - residual - apply(residual, square) * 2) / (2 * T**2)
    steps = (
        Step(
            "Riccati flow",
            r"$M' = (M - M S M)/T$: the inverse obeys $Q' = (S - Q)/T$, which is linear, so $M \to S^{-1}$ and $M b$ "
            "solves $S w = b$. The residual $E$ obeys a logistic equation.",
            (Claim("M'", rate, r"\dot{M}"), Claim("E", residual), Claim("E'", decay, r"\dot{E}")),
            lambda c: {
                "M' of the system": Equation(method.bound.drift[M], c["M'"]),
                "E at the solution": Equation(identity - apply(S, M), c["E"]),
                "E' along the flow": Equation(-apply(S, c["M'"]), c["E'"]),
            },
        ),
        Step(
            "Discretization",
            r"Explicit Euler with the step $h$; $h = T$ is the iteration $2 M - M S M$ of Newton and Schulz.",
            (Claim("M+", made, "M^+"), Claim("N", newton)),
            lambda c: {
                "M+ of the program": Equation(method.program.update_map()[M], c["M+"]),
                "h = T": Equation(substitute(c["M+"], {h: T}), c["N"]),
            },
            reference="Schulz 1933",
        ),
        Step(
            "The residual is squared",
            "One step takes $E$ to $(1 - h/T) E + (h/T) E^2$: at $h = T$, and at no other step, the linear term is "
            "gone and the residual of iterate $k$ is $E_0^{2^k}$.",
            (Claim("E+", after, "E^+"),),
            lambda c: {
                "E+ of the step": Equation(identity - apply(S, made), c["E+"]),
                "h = T": Equation(substitute(c["E+"], {h: T}), apply(residual, residual)),
            },
        ),
        Step(
            "Descent with a matrix for its step",
            "$w_{n+1} = w_n + M_0 (b - S w_n)$ from $w_0 = 0$ is $w_n = D_n b$ with $D_0 = 0$ and polynomials $D_n$ "
            "in $S$ and $M_0$; with $M_0 = a S$ they are polynomials in $S$ alone. The step behind and in front is "
            "the same, $D_{n+1} = D_n + M_0 - D_n S M_0 = D_n + M_0 - M_0 S D_n$: this holds for $n = 0$, and from "
            "$n$ it follows for $n + 1$.",
            (
                Claim("behind", _further(D), r"D_n + M_0 - D_n S M_0"),
                Claim("front", D + M_0 - apply(M_0, apply(S, D)), r"D_n + M_0 - M_0 S D_n"),
            ),
            lambda c: {
                "the first step behind": Equation(substitute(c["behind"], {D: M_0 * 0}), M_0),
                "the first step in front": Equation(substitute(c["front"], {D: M_0 * 0}), M_0),
                "in front after behind is behind after in front": Equation(
                    substitute(c["front"], {D: c["behind"]}), substitute(c["behind"], {D: c["front"]})
                ),
            },
        ),
        _addition(),
        Step(
            "What explicit Euler adds",
            "The first term of the modified equation, in the residual: $E' = (E^2 - E)/T + h E_1 + O(h^2)$. Where "
            "$E$ is small the step contracts by $1 - h/T$ and the flow by $e^{-h/T}$.",
            (Claim("E_1", cubic),),
            lambda c: {
                "E_1 of the modified equation": Equation(
                    -apply(S, method.replace(tuning={}).modified_equation(1).terms[1][M]), c["E_1"]
                )
            },
            "finding",
        ),
    )  # fmt: skip
    return Derivation(
        "iterative_newton", "doubling",
        "The Riccati flow of an inverse, by explicit Euler with the step of its time constant, is iterative Newton: k "
        "of its steps are 2^k steps of descent from zero with the matrix step M_0.",
        steps, method, references=("schulz1933", "fu2024"), notation=DOUBLING, provenance=PROVENANCE,
    )  # fmt: skip


def _addition() -> Step:
    """D_{m+n} = D_m + D_n - D_m S D_n, by induction on n; m = n is the step of Newton."""
    together = D_m + D_n - apply(D_m, apply(S, D_n))

    def check(c: Claims) -> dict[str, Equation]:
        return {
            "n = 1": Equation(substitute(c["D_m+n"], {D_n: M_0}), _further(D_m)),
            "from n to n + 1": Equation(
                _further(c["D_m+n"]), substitute(c["D_m+n"], {D_n: _further(D_n)})
            ),
            "m = n is the step of Newton": Equation(
                substitute(c["D_m+n"], {D_m: M, D_n: M}), c["N"]
            ),
        }

    return Step(
        "Iterate k is iterate 2^k of descent",
        "$m$ and then $n$ steps are $D_{m+n} = D_m + D_n - D_m S D_n$, for all $m$ and $n$: it holds for $n = 1$, "
        "and from $n$ it follows for $n + 1$. With $m = n$ it is the step of Newton, $N(D_n) = D_{2n}$. As $M_0 = "
        "D_1$, iterate $k$ is $D_{2^k}$ for every $k$: the same polynomial in $S$, of degree $2^{k+1} - 1$ if $M_0 = "
        "a S$.",
        (
            Claim("D_m+n", together, "D_{m+n}"),
            Claim("N", M * 2 - apply(M, apply(S, M)), "N(M)"),
        ),
        check,
    )


def mkor() -> Derivation:
    """From the leak and the rank-one flow of a factor to MKOR's update, by Lie and Trotter."""
    method = mkor_method(rescaled=False)
    free = method.replace(tuning={})
    Pg = apply(P, g)
    leak, learn = (identity - P) * gam, -outer(Pg, Pg) * kap
    leaked = P * (1 - gam * h) + identity * (gam * h)
    learned = P - outer(Pg, Pg) * (h * kap / (1 + h * kap * inner(g, Pg)))
    made = substitute(learned, {P: leaked})
    fields, update = free.bound.fields, free.program.update_map()
    calls = {c: g for e in (update[P], fields["rank_one"].drift[P]) for c in e.calls()}
    apart = (derivative(learn, {P: leak}) - derivative(leak, {P: learn})) / 2
    error = (outer(Pg, Pg) - outer(g, Pg) - outer(Pg, g)) * (gam * kap / 2)
    lost = inner(u, Pg) ** 2 * h * kap / (1 + h * kap * inner(g, Pg))
    steps = (
        Step(
            "Leak and rank-one flow",
            r"$P' = \gamma (I - P)$ forgets, and $P' = -\kappa P g g^\top P$ learns: $P$ is the inverse of a matrix "
            r"that gains $\kappa g g^\top$ per unit of time.",
            (Claim("leak", leak), Claim("learn", learn)),
            lambda c: {
                "leak of the system": Equation(fields["leak"].drift[P], c["leak"]),
                "learn of the system": Equation(held(fields["rank_one"].drift[P], calls), c["learn"]),
            },
        ),
        Step(
            "The leak by explicit Euler",
            r"A step keeps the fraction $1 - \gamma h$, which is $19/20$.",
            (Claim("Q", leaked), Claim("gamma", method.tuning[gam], r"\gamma")),
            lambda c: {
                "Q - P = h leak": Equation(c["Q"] - P, leak * h),
                "gamma h": Equation(c["gamma"] * h, sp.Rational(1, 20)),
            },
        ),
        Step(
            "The rank-one flow, exactly",
            r"The flow for the time $h$ is the formula of Sherman and Morrison; $\kappa h = 1$. It solves $P^+ (I + "
            r"\kappa h g g^\top P) = P$ and it is symmetric.",
            (Claim("P(h)", learned),),
            lambda c: {
                "P(h) (1 + kap h g g^T P) = P": Equation(
                    c["P(h)"] + apply(c["P(h)"], outer(g, Pg)) * (h * kap), P
                ),
                "its derivative in h": Equation(
                    derivative(c["P(h)"], {h: sp.S.One}),
                    -apply(c["P(h)"], outer(g, apply(c["P(h)"], g))) * kap,
                ),
            },
            reference="Sherman and Morrison 1950",
        ),
        Step(
            "Lie-Trotter splitting",
            r"The leak, then the flow from where it ends: the update of the program.",
            (Claim("P_1", made, "P^+"),),
            lambda c: {"the update of the program": Equation(held(update[P], calls), c["P_1"])},
            reference="Mozaffari et al. 2023",
        ),
        Step(
            "Error of the splitting",
            r"With $g$ held the modified equation is $P' = \mathrm{leak} + \mathrm{learn} + h\,C + O(h^2)$ but for "
            "what explicit Euler adds, where $C$ is half the commutator of the two flows.",
            (Claim("C", error),),
            lambda c: {"half the commutator": Equation(apart, c["C"])},
            "finding",
        ),
        Step(
            "It stays positive definite",
            r"$\langle u, P(h) u\rangle = \langle u, P u\rangle - \ell$, and $\ell$ is less than $\langle u, P "
            r"u\rangle$: by Cauchy and Schwarz in the inner product of $P$, $\langle u, P g\rangle^2 \le \langle u, P "
            r"u\rangle \langle g, P g\rangle$. The leak is a convex combination with $I$.",
            (Claim("l", lost, r"\ell"),),
            lambda c: {
                "<u, P(h) u>": Equation(inner(u, apply(learned, u)), inner(u, apply(P, u)) - c["l"])
            },
            assumes=r"$P$ positive definite, $0 < \gamma h < 1$",
        ),
    )  # fmt: skip
    return Derivation(
        "mkor", "splitting",
        "A factor of MKOR is a Lie-Trotter splitting: a leak by explicit Euler, and a Riccati flow of rank one, "
        "exactly.",
        steps, method, references=("mozaffari2023", "sherman1950"), notation=SPLITTING, provenance=PROVENANCE,
    )  # fmt: skip


def held(e: Any, calls: Mapping[Any, Vector]) -> Any:
    """An expression with the statistic for the oracle's calls."""
    return change(e, calls.get)
