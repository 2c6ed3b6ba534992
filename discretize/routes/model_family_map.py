"""Steps of the derivations in `model_family` about the map: momentum form, certificate, published form."""

from __future__ import annotations

from collections.abc import Mapping

import sympy as sp

from ...dynamics.algebra.calculus import derivative, substitute
from ...dynamics.algebra.scalars import parameters
from ...dynamics.algebra.vectors import Vector
from ...dynamics.library.model_family import MEMBERS, riccati, time
from ...dynamics.notation.show import latex
from ...dynamics.vector_fields.system import mu
from ..library.model_family import whole_way
from ..proof.steps import Claim, Equation, Step
from ..step.compile import COUNTER
from .certificates import (
    WeightedSlack,
    below_quadratic,
    certificate_step,
    first_order_parts,
    interpolation_parts,
    square,
)
from .model_family_flow import (
    Data,
    T,
    T_new,
    Values,
    ahead,
    before,
    claimed_rates,
    f,
    h,
    recurrence_step,
    tau,
    theta,
    x,
    y,
    z,
)


def map_step(d: Data, scalars: Mapping[sp.Symbol, sp.Expr], statement: str) -> Step:
    """The derivation step that states the update map in x and z.

    Args:
        d: the member of the family.
        scalars: values of the symbols of the step, such as ``ahead``.
        statement: LaTeX.
    """
    point = (x * (theta - (d.c - 1) * h) + z * (d.c * h)) / (theta + h)
    law = z + (y - z) * (d.mu * h * ahead) - f.grad(y) * (h * ahead)

    def check(c: Values) -> dict[str, Equation]:
        made = d.method.program.update_map()

        def inside(e: Vector) -> Vector:
            return substitute(substitute(e, {y: c["y"]}), scalars)

        return {f"{s}+ of the program": Equation(made[s], inside(c[f"{s}+"])) for s in (x, z)}

    return Step(
        "Discretization",
        statement,
        (Claim("y", point), Claim("x+", y - h**2 * f.grad(y), "x^+"), Claim("z+", law, "z^+")),
        check,
    )


def limit_step(d: Data) -> Step:
    target = d.flow()

    def check(c: Values) -> dict[str, Equation]:
        limit = d.method.consistent_with().drift
        if tau in limit:
            return {f"{s}'": Equation(limit[s], c[f"{s}'"]) for s in target}
        solution = riccati(d.c, d.mu, MEMBERS[d.name].start)
        in_time = {f"{s}'": substitute(c[f"{s}'"], {tau: solution}) for s in (x, z, tau)}
        equations = {f"{s}'": Equation(limit[s], in_time[f"{s}'"]) for s in (x, z)}
        moving = derivative(solution, {time: sp.S.One})
        return {**equations, "tau'": Equation(moving, in_time["tau'"])}

    return Step(
        "Limit flow",
        r"As $h \to 0$ the method follows the system at $a = 0$, the scale included.",
        claimed_rates(target),
        check,
    )


def momentum_step(d: Data, scalars: Mapping[sp.Symbol, sp.Expr], following: sp.Expr) -> Step:
    """The derivation step that eliminates z in favour of a momentum.

    Args:
        d: the member of the family.
        scalars: values of the symbols of the step.
        following: theta in the next step.
    """
    m = d.mu * h**2
    beta = (1 - m * T_new) * ((1 - m) * T - d.c * (1 - m * T)) / ((1 - m) * T_new)
    gamma = (d.c - 1) * (1 - m * T_new) * T / T_new
    claims = [
        Claim("beta", beta, r"\beta"),
        *([Claim("gamma", gamma, r"\gamma")] if d.c > 1 else []),
    ]

    def check(c: Values) -> dict[str, Equation]:
        made = d.method.program.update_map()
        (called,) = d.method.program.inlined().calls
        steps_of = COUNTER in called.point.free_symbols
        counted = {COUNTER: COUNTER + 1} if steps_of else {tau: following}
        following_point = substitute(called.point, {x: made[x], z: made[z], **counted})
        values = {
            T: whole_way(theta, d.mu) / h,
            T_new: whole_way(substitute(following, counted), d.mu) / h,
        }
        weights = {n: substitute(substitute(e, values), scalars) for n, e in c.items()}
        claimed = made[x] + (made[x] - x) * weights["beta"]
        if d.c > 1:
            claimed += (made[x] - called.point) * weights["gamma"]
        return {"the next gradient point": Equation(following_point, claimed)}

    more = r" + \gamma\,(x^+ - y)" if d.c > 1 else ""
    return Step(
        "Momentum form",
        rf"Without $z$ the next gradient point is $y^+ = x^+ + \beta\,(x^+ - x){more}$, where $T = "
        rf"\tau_{{\mathrm{{new}}}}/h$ in this step "
        r"and $T_{\mathrm{new}}$ in the next.",
        tuple(claims),
        check,
    )


def decrease_step(
    d: Data, scalars: Mapping[sp.Symbol, sp.Expr], extra: sp.Expr = sp.S.Zero
) -> Step:
    """The derivation step that proves the decrease of the energy along the method.

    Args:
        d: the member of the family.
        scalars: values of the symbols of the step.
        extra: the weight of the further term f(x), for c = 1.
    """
    m = d.mu * h**2
    factor = (1 - d.mu * h * ahead) ** d.c
    if d.c == 1:
        energy = before**2 * f.value(x) + square(z) / 2
        left_over = d.mu / (2 * h) * theta * ahead**2 * (1 - m)
        parts = first_order_parts((ahead * (ahead - h), h * ahead, ahead**2, left_over), d.mu)
        if extra != 0:
            parts += (WeightedSlack("f(x)", extra, f.value(x), "f(x)", r"not below $f^* = 0$"),)
        says = r", the energy $\tau^2 f(x) + \frac{1}{2}\|z\|^2$"
    else:
        energy = (1 - m) * before**2 * below_quadratic(d.mu) + square(z)
        weights = (
            ahead * (1 - m) * ((1 + m) * ahead - 2 * h),
            ahead * (1 - m) * (2 * h - m * ahead),
        )
        parts = interpolation_parts(weights, d.mu)
        says = (
            r" and $y_{\mathrm{old}}$ the gradient point before, so that $x = y_{\mathrm{old}} - "
            r"h^2\nabla f(y_{\mathrm{old}})$, the energy"
        )
    decrease = "never grows" if d.mu == 0 else rf"falls by the factor $\lambda = {latex(factor)}$"
    return certificate_step(
        d.method,
        rf"With $h = 1/\sqrt{{L}}${says} {decrease} in each step.",
        energy, factor, parts, scalars, {before: ahead},
    )  # fmt: skip


def product_step(d: Data) -> Step:
    squared = recurrence_step(d).claims[1].value

    def check(c: Values) -> dict[str, Equation]:
        new = whole_way(theta, d.mu)
        ratio = (1 - d.mu * new**2) / (1 - d.mu * squared)
        return {"one factor": Equation(ratio, substitute(c["lambda"], {ahead: new}))}

    return Step(
        "Closed form of the rate",
        r"One factor is the ratio of $1 - \mu\tau^2$ after and before the step, so that $E_N \le (1 - "
        r"\mu\tau_N^2)\,E_0$ from $\tau_0 = 0$.",
        (Claim("lambda", (1 - d.mu * h * ahead) ** d.c, r"\lambda"),),
        check,
        kind="finding",
    )


def published_step(d: Data) -> Step:
    """Taylor and Drori's recurrences; q is mu / L here, R = theta / h."""
    q, R = parameters("q R")
    A = (R**2 - 1) / (1 - q * R**2)

    def check(c: Values) -> dict[str, Equation]:
        new = (1 + R) / (1 + q * R)  # tau_new / h
        grown = new**2 / (1 - q * new**2)
        squared = (R**2 - 1) / (1 - q)  # T^2 = (tau_old / h)^2
        scaled = {mu: q / h**2, tau: h * R}
        made = {s: substitute(e, scaled) for s, e in d.method.program.inlined().next.items()}
        point = substitute(d.method.program.inlined().calls[0].point, scaled)
        (target,) = [call.target for call in d.method.program.calls]
        law = z * (1 - q * c["delta"]) + point * (q * c["delta"]) - target * (c["delta"] * h**2)
        return {
            "S^2": Equation((1 + c["A"]) * (1 + q * c["A"]), c["S"] ** 2),
            "A_new": Equation(((1 + q) * c["A"] + 2 * (1 + c["S"])) / (1 - q) ** 2, c["A_new"]),
            "A_new is A after the step": Equation(grown, c["A_new"]),
            "A in T": Equation(squared / (1 - q * squared), c["A"]),
            "beta": Equation(c["A"] / ((1 - q) * c["A_new"]), c["beta"]),
            "delta": Equation(
                ((1 - q) ** 2 * c["A_new"] - (1 + q) * c["A"]) / (2 * (1 + q + q * c["A"])),
                c["delta"],
            ),
            "y": Equation(point, z * (1 - c["beta"]) + x * c["beta"]),
            "z+": Equation(made[z], law),
        }

    return Step(
        "Identification",
        r"With $q = \mu/L$ and $R = \theta/h$ this is Taylor and Drori's method: $y = (1-\beta)z + \beta x$, $x^+ = y "
        r"- \nabla f(y)/L$, $z^+ = (1 - q\delta)z + q\delta y - (\delta/L)\nabla f(y)$, with $A = T^2/(1 - qT^2)$ and "
        r"$S = \sqrt{(1+A)(1+qA)}$.",
        (Claim("A", A), Claim("S", R * (1 - q) / (1 - q * R**2)),
         Claim("A_new", (1 + R) ** 2 / ((1 - q) * (1 - q * R**2)), r"A_{\mathrm{new}}"),
         Claim("beta", (R - 1) / (R + 1), r"\beta"), Claim("delta", (1 + R) / (1 + q * R), r"\delta")),
        check,
        reference="Taylor and Drori 2023",
    )  # fmt: skip
