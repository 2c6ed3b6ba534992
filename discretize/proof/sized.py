"""What follows of a step that depends on the state: its limit in the small factor, or a decrease per step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import sympy as sp

from ...dynamics.algebra.calculus import derivative, substitute, tidy, vanishes
from ...dynamics.algebra.vectors import Vector, VectorSymbol, inner
from ...dynamics.notation.show import latex, symbol_latex
from ...dynamics.vector_fields.objective import Objective
from ...dynamics.vector_fields.system import L, mu
from ..expansion.backward_error import limit_flow, speed_of
from ..step.iteration import Iteration
from .steps import Claim, Equation, Step

Values = Mapping[str, Any]


def steps_of_size(algorithm: Iteration) -> list[Step]:
    """The step as it is taken, and its limit; without a small factor the decrease, where it is one of a gradient."""
    steps = [_size(algorithm)]
    if algorithm.small is not None:
        steps.append(_limit(algorithm))
    if (found := _descent(algorithm)) is not None:
        steps.append(_decrease(*found))
        if _is_exact_line_search(algorithm, *found):
            steps.append(_kantorovich(algorithm, *found))
    return steps


def _size(algorithm: Iteration) -> Step:
    """The step of the program, written out, is the expression that was given."""
    h = algorithm.step
    program = replace(algorithm.sized_program, next={h: h})
    made, given = program.update_map()[h], algorithm.bound_size
    limited = (
        ""
        if algorithm.small is not None
        else "; no factor of it is small, so that no flow is a limit"
    )

    def check(c: Values) -> dict[str, Equation]:
        return {"the step of the program": Equation(made, c["step"])}

    return Step(
        "Step size",
        f"The step ${latex(h)}$ depends on the state, and is evaluated before each step{limited}.",
        (Claim("step", given, symbol_latex(str(h))),),
        check,
    )


def _limit(algorithm: Iteration) -> Step:
    """The flow in the small factor: the drift at another speed."""
    small, size, speed = algorithm.limit_symbol, algorithm.size, speed_of(algorithm)
    limit = limit_flow(algorithm).drift
    drift = algorithm.bound.limit({algorithm.step: 0}).mean_drift

    def check(c: Values) -> dict[str, Equation]:
        equations = {f"{s}' at that speed": Equation(drift[s] * c["t'"], c[f"{s}'"]) for s in limit}
        return {
            "the step is the speed for the factor": Equation(size, c["t'"] * small),
            **equations,
        }

    shown = latex(small)
    return Step(
        "Limit flow",
        rf"As ${shown} \to 0$ the steps are small. In the time that passes by ${shown}$ in each step the method "
        r"follows this flow: that of the system, whose own time $t$, the sum of the steps, passes at the speed "
        r"$\dot t$.",
        (
            Claim("t'", speed, r"\dot{t}"),
            *(Claim(f"{s}'", e, rf"\dot{{{symbol_latex(str(s))}}}") for s, e in limit.items()),
        ),
        check,
    )


def _descent(algorithm: Iteration) -> tuple[Objective, VectorSymbol, Vector] | None:
    """The function, the point and its change in a step, where the one state that moves is moved by one gradient."""
    output, program = algorithm.bound.output, algorithm.own_program
    oracles = {o for o in program.oracles if o.kind == "grad"}
    if not isinstance(output, VectorSymbol) or len(oracles) != 1 or program.draws or program.sweeps:
        return None
    (oracle,) = oracles
    states = [b.symbol for b in algorithm.bound.blocks if b.role == "state"]
    if oracle.args or states != [output]:
        return None
    change = tidy(program.update_map()[output] - output)
    f = Objective(oracle.of)
    along = isinstance(change, Vector) and {*change.terms} == {*f.grad(output).terms}
    return (f, output, change) if along else None


def _change(f: Objective, x: VectorSymbol, d: Vector) -> sp.Expr:
    """<g, d> + <d, H d>/2: how much a quadratic changes when x moves by d."""
    return tidy(inner(f.grad(x), d) + inner(d, f.hess(x, d)) / 2)


def _decrease(f: Objective, x: VectorSymbol, d: Vector) -> Step:
    """The change of a quadratic in one step, and a bound for any function with Lipschitz gradients."""
    moved = VectorSymbol("moved")

    def check(c: Values) -> dict[str, Equation]:
        first = derivative(f.value(x), {x: moved})
        second = derivative(first, {x: moved})
        lemma = inner(f.grad(x), d) + L * inner(d, d) / 2
        return {
            "the change through second order": Equation(
                substitute(first + second / 2, {moved: d}), c["change"]
            ),
            "the bound of the descent lemma": Equation(lemma, c["bound"]),
        }

    bound = tidy(inner(f.grad(x), d) + inner(d, d) * L / 2)
    value = latex(f.value(x))
    return Step(
        "Decrease",
        rf"On a quadratic a step changes ${value}$ by exactly this much, whatever its size: the terms of first and "
        rf"second order in the change of ${latex(x)}$. Where the gradient has the Lipschitz constant $L$ the change is "
        "at most the bound.",
        (
            Claim("change", _change(f, x, d), r"f(x^+) - f(x)"),
            Claim("bound", bound, r"f(x^+) - f(x) \le"),
        ),
        check,
    )


def _fall(f: Objective, x: VectorSymbol) -> tuple[sp.Expr, sp.Expr, sp.Expr]:
    """<g, g>, <g, H g>, and the most that a quadratic falls along its gradient."""
    g = f.grad(x)
    square, bent = inner(g, g), inner(g, f.hess(x, g))
    return square, bent, square**2 / (2 * bent)


def _at_its_step(algorithm: Iteration, f: Objective, x: VectorSymbol, d: Vector) -> sp.Expr:
    """The change of a quadratic in a step as it is taken."""
    return substitute(_change(f, x, d), {algorithm.step: algorithm.size})


def _is_exact_line_search(algorithm: Iteration, f: Objective, x: VectorSymbol, d: Vector) -> bool:
    """Whether a quadratic falls by the most that it can along its gradient."""
    return vanishes(_at_its_step(algorithm, f, x, d) + _fall(f, x)[2])


def _kantorovich(algorithm: Iteration, f: Objective, x: VectorSymbol, d: Vector) -> Step:
    """The factor by which f - f* falls at least, by Kantorovich's inequality (kantorovich1948), in identities."""
    square, bent, most = _fall(f, x)
    made = _at_its_step(algorithm, f, x, d)
    n, p, q, lam = sp.symbols("n p q lam", positive=True)

    def check(c: Values) -> dict[str, Equation]:
        above, rest = q * n / 2, p + mu * L * q  # f - f* = <g, H^-1 g>/2 = q n/2
        fallen = made.xreplace({bent: p * n}).xreplace({square: n})
        return {
            "the change at this step": Equation(made, -c["fall"]),
            "f - f* after a step over that before": Equation((above + fallen) / above, c["ratio"]),
            "in each mode": Equation(lam + mu * L / lam + (L - lam) * (lam - mu) / lam, c["sum"]),
            "of the means": Equation(
                (mu + L) ** 2 - 4 * mu * L * p * q,
                (c["sum"] - rest) * (c["sum"] + rest) + (p - mu * L * q) ** 2,
            ),
            "the factor": Equation(1 - 4 * mu * L / (mu + L) ** 2, c["factor"]),
        }

    return Step(
        "Kantorovich's inequality",
        r"With this step a quadratic with $\mu \le H \le L$ falls by the most that it can along its gradient. Let "
        r"$p = \langle g, H g\rangle/|g|^2$ and $q = \langle g, H^{-1} g\rangle/|g|^2$. A step multiplies $f - f_*$ by "
        r"the ratio, which is at most the factor: in a mode $\lambda$ of $H$ the sum exceeds "
        r"$\lambda + \mu L/\lambda$ by $(L - \lambda)(\lambda - \mu)/\lambda \ge 0$, so that it is at least the mean "
        r"$p + \mu L q$ of these, and $4 \mu L p q \le (\mu + L)^2$ by squares.",
        (
            Claim("fall", most),
            Claim("ratio", 1 - 1 / (p * q)),
            Claim("sum", mu + L),
            Claim("factor", ((L - mu) / (L + mu)) ** 2),
        ),
        check,
        assumes=r"f is a quadratic with $\mu \le H \le L$, $\mu > 0$, and $n = |g|^2 > 0$",
        reference="Kantorovich 1948",
    )


__all__ = ["steps_of_size"]
