"""M-FAC from the Riccati flows of its window: a gradient enters, one leaves, and all in turn are Woodbury's formula."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sympy as sp

from ....dynamics.algebra.calculus import change, derivative, substitute
from ....dynamics.algebra.operators import linear_solve
from ....dynamics.algebra.products import apply, identity, outer, transpose
from ....dynamics.algebra.scalars import parameters
from ....dynamics.algebra.vectors import Vector, inner, zero
from ....dynamics.algebra.windows import UnitPlace, push
from ....dynamics.vector_fields.block import Block, blocks
from ...faces import Derivation
from ...library.riccati import m_fac as method_of
from ...programs.program import Assign
from ...proof.steps import Claim, Equation, Step
from ...step.iteration import STEP
from ..notation import WINDOW

h = STEP
P = blocks("P", kind="symmetric")
g, a, b = blocks("g a b")
delta, m, t, T = parameters("delta m t T")
G: Any = Block("G", history=m).symbol
Claims = Mapping[str, Any]
PROVENANCE = (
    "Reconstructed from the formulas of M-FAC (arXiv:2107.03356); the flows, the delay equation and its first error "
    "are this package's own."
)


def _entered(of: Vector, v: Vector, time: Any) -> Vector:
    """The flow of P' = -P v v^T P for a time, from a symmetric operator."""
    moved = apply(of, v)
    done: Vector = of - outer(moved, moved) * (time / (1 + time * inner(v, moved)))
    return done


def m_fac() -> Derivation:
    """From P' = -P a a^T P, for the time 1/m per gradient, to M-FAC's update, and to its delay equation."""
    method = method_of(m)
    (call,) = method.program.calls
    fisher: Vector = identity * delta + apply(G, transpose(G)) / m
    pushed, oldest = push(G, g), apply(G, UnitPlace("oldest"))
    after = fisher + (outer(g, g) - outer(oldest, oldest)) / m
    flow = -outer(apply(P, a), apply(P, a))
    within = identity * (m * delta) + apply(transpose(G), G)
    woodbury = (identity - apply(G, linear_solve(within, transpose(G)))) / delta
    left = _entered(P, b, -1 / m)
    both = _entered(left, g, 1 / m)
    inverted = linear_solve(P, identity)
    update = method.program.next[method.system.output]
    (value,) = (
        i.value for i in method.program.plain if isinstance(i, Assign) and i.target == update
    )
    kept = method.program.next[G]
    present = -g / (delta + inner(g, g))
    slow = substitute(both, {m: T / h})
    rate = -apply(P, apply(outer(g, g) - outer(b, b), P)) / T
    second = derivative(derivative(slow, {h: sp.S.One}), {h: sp.S.One})
    Pg, Pb = apply(P, g), apply(P, b)
    error = (
        outer(Pg, Pg) * inner(g, Pg) + outer(Pb, Pb) * inner(b, Pb)
        - (outer(Pg, Pb) + outer(Pb, Pg)) * inner(g, Pb)
    ) / T**2  # fmt: skip
    # the integral of the gradients, and the equation of the method in it
    limit = method.replace(where={m: T / h}).delay_limit()
    ((integral, past),) = limit.past.items()
    calls = dict.fromkeys(limit.pushed[integral].calls(), g)
    mean = identity * delta + integral / T
    preconditioner = linear_solve(mean, identity)

    def held(e: Any) -> Any:
        return substitute(change(e, calls.get), {past: b})

    steps = (
        Step(
            "A push",
            r"The window $G$ gains the gradient $g$ and loses its oldest one, so that $F = \delta I + G G^\top/m$ "
            "becomes $F^+$.",
            (Claim("F+", after, "F^+"),),
            lambda c: {
                "F of the window after the push": Equation(
                    identity * delta + apply(pushed, transpose(pushed)) / m, c["F+"]
                )
            },
        ),
        Step(
            "The flow that learns a gradient",
            r"$P' = -P a a^\top P$ has the exact flow of Sherman and Morrison: the inverse of $P(t)$ is $P^{-1} + t a "
            r"a^\top$, for negative times too.",
            (Claim("P'", flow, r"\dot{P}"), Claim("P(t)", _entered(P, a, t))),
            lambda c: {
                "its derivative in t": Equation(
                    derivative(c["P(t)"], {t: sp.S.One}), substitute(c["P'"], {P: c["P(t)"]})
                ),
                "its inverse": Equation(
                    apply(c["P(t)"], inverted + outer(a, a) * t), identity
                ),
            },
            reference="Sherman and Morrison 1950",
        ),
        Step(
            "A step of the window is two flows",
            r"The flow for the time $1/m$ along the gradient that enters, after that for the time $-1/m$ along the one "
            r"that leaves, $b$: it inverts $P^{-1} + (g g^\top - b b^\top)/m$.",
            (Claim("P_b", left), Claim("P+", both, "P^+")),
            lambda c: {
                "without the one that leaves": Equation(
                    apply(c["P_b"], inverted - outer(b, b) / m), identity
                ),
                "P+ from there": Equation(c["P+"], _entered(c["P_b"], g, 1 / m)),
                "both": Equation(apply(c["P+"], inverted + (outer(g, g) - outer(b, b)) / m), identity),
            },
        ),
        Step(
            "The window's flow is Woodbury's formula",
            r"From $I/\delta$ the flows of all gradients of a window, each for the time $1/m$, end at $P_G$: without "
            r"gradients it is $I/\delta$, and one more gradient $a$, which makes $G G^\top + a a^\top$ of $G G^\top$, "
            "takes it along its flow. It inverts $F$ with a system of size $m$.",
            (Claim("P_G", woodbury),),
            lambda c: {
                "no gradient": Equation(substitute(c["P_G"], {G: zero}), identity / delta),
                "it inverts F": Equation(apply(fisher, c["P_G"]), identity),
                "one more gradient": Equation(
                    apply(_entered(c["P_G"], a, 1 / m), fisher + outer(a, a) / m), identity
                ),
            },
            reference="Woodbury 1950",
        ),
        Step(
            "The step of the method",
            "Explicit Euler along $-P_G g$, with the gradient pushed before.",
            (Claim("x_1", method.system.output - apply(woodbury, g) * h, "x^+"),),
            lambda c: {
                "as the program has it": Equation(
                    substitute(value, {call.target: g, kept: G}), c["x_1"]
                ),
                "its direction": Equation(method.system.output - apply(woodbury, g) * h, c["x_1"]),
            },
            reference="Frantar et al. 2021",
        ),
        Step(
            "The limit for a fixed number of gradients",
            "With $m$ fixed all columns of the window are near the present gradient as the step tends to zero, and the "
            "length of the direction is that of $g$ over $\\delta + |g|^2$.",
            (Claim("x'", present, r"\dot{x}"),),
            lambda c: {
                "x' of the limit": Equation(
                    held(method.consistent_with().drift[method.system.output]),
                    c["x'"],
                ),
            },
            "finding",
        ),
        Step(
            "The window over a fixed time",
            r"With $m = T/h$ the window keeps the gradients of the last time $T$, and $P = (\delta I + W/T)^{-1}$, "
            r"where $W$ is the integral of $g g^\top$ over it. As the step tends to zero $P$ follows $D$, with $b$ the "
            "gradient a time $T$ ago: a delay equation, no flow. A step of both flows is it to first order, and $E$ "
            "is the first error.",
            (Claim("D", rate), Claim("E", error)),
            lambda c: {
                "along the limit of the method": Equation(
                    held(derivative(preconditioner, {integral: limit.drift[integral]})),
                    substitute(c["D"], {P: preconditioner}),
                ),
                "x' of the limit": Equation(
                    held(limit.drift[method.system.output]), -apply(preconditioner, g)
                ),
                "a step of both flows, to first order": Equation(
                    substitute(derivative(slow, {h: sp.S.One}), {h: sp.S.Zero}), c["D"]
                ),
                "the first error": Equation(substitute(second, {h: sp.S.Zero}) / 2, c["E"]),
            },
            "defect",
        ),
    )  # fmt: skip
    return Derivation(
        "m_fac", "window",
        "The empirical Fisher information of a window is inverted by the Riccati flow of each of its gradients; solved "
        "exactly, that is Woodbury's formula.",
        steps, method, references=("frantar2021", "sherman1950"), notation=WINDOW, provenance=PROVENANCE,
    )  # fmt: skip
