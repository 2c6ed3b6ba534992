"""The steps of the derivations in `model_family`: system, scale, map, momentum form, certificate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp

from odescent.dynamics.calculus import derivative, substitute, taylor
from odescent.dynamics.exact import parameters
from odescent.dynamics.fields import mu
from odescent.dynamics.library.model_family import (
    MEMBERS,
    family,
    model_family,
    riccati,
    time,
)
from odescent.dynamics.oracles import Objective
from odescent.dynamics.second_order import position, velocity
from odescent.dynamics.vectors import blocks, inner

from ..compile import COUNTER
from ..derivation import Claim, Step
from ..iteration import STEP, Algorithm
from ..library.model_family import TAU, half_way, whole_way
from .certificates import (
    Part,
    below_quadratic,
    certificate_step,
    first_order_parts,
    interpolation_parts,
    square,
)

x, y, z = blocks("x y z")
f, h, tau = Objective("f"), STEP, TAU
theta, theta_new, before, ahead = sp.symbols(
    "theta theta_new tau_old tau_new", positive=True
)  # scales in a step, as the claims name them
a, T, T_new = parameters("a T T_new")
Values = Mapping[str, Any]


@dataclass(frozen=True)
class Data:
    """What the derivations differ in."""

    name: str
    member: str
    method: Algorithm
    summary: str
    damping: sp.Expr  # in time
    references: tuple[str, ...]

    @property
    def c(self) -> int:
        return MEMBERS[self.member].c

    @property
    def mu(self) -> sp.Expr:
        return MEMBERS[self.member].convexity

    @property
    def rate(self) -> sp.Expr:
        """tau' in tau."""
        return sp.Rational(self.c, 2) * (1 - self.mu * tau**2)

    def flow(self, feed: sp.Expr = sp.S.Zero) -> dict[Any, Any]:
        """The right-hand sides, with that feed-through."""
        g = f.grad(x)
        return {
            x: (z - x) * (self.c / tau) - feed * g,
            z: (x - z) * (self.mu * tau) - g * tau,
            tau: self.rate,
        }


def family_step(d: Data) -> Step:
    moving = d.rate / tau
    damping = sp.expand(sp.Rational(3 * d.c, 2) / tau + (1 - sp.Rational(d.c, 2)) * d.mu * tau)
    stiff = d.c + a * sp.expand(d.mu * tau + moving)
    flow = d.flow(a)

    def check(c: Values) -> dict[str, Any]:
        drift, speed = family(d.c, d.mu).drift, flow[x]
        residuals = {f"{s}' of the system": drift[s] - c[f"{s}'"] for s in (x, z, tau)}
        residuals["x'' + lhs"] = derivative(speed, flow) + substitute(
            c["lhs"], {position: x, velocity: speed}
        )
        residuals["at a = 0"] = substitute(c["lhs"], {a: sp.S.Zero}) - c["lhs at a = 0"]
        return residuals

    return Step(
        "System",
        rf"The $(x, z)$ form with $c = {d.c}$ and a moving scale $\tau = 1/\eta$: $z$ pulls $x$ at the rate $c\eta$, the gradient "
        r"moves $z$ at the rate $1/\eta$, and a gradient step in $x$ is the feed-through $a \to 0$. Eliminating $z$ along the "
        r"system, $\tau'$ included, $\ddot x + (\mathrm{lhs}) = 0$.",
        (
            *(
                Claim(f"{s}'", e, rf"\dot {n}")
                for s, e, n in zip((x, z, tau), flow.values(), ("x", "z", r"\tau"), strict=True)
            ),
            Claim(
                "lhs",
                damping * velocity + a * f.hess(position, velocity) + stiff * f.grad(position),
                r"\mathrm{lhs}",
            ),
            Claim(
                "lhs at a = 0", damping * velocity + d.c * f.grad(position), r"\mathrm{lhs}|_{a=0}"
            ),
        ),
        check,
    )


def lyapunov_step(d: Data) -> Step:
    tau_dot = sp.Symbol("tau_dot")
    slack = f.value(x) - inner(f.grad(x), x) + d.mu / 2 * square(x)
    if d.c == 1:
        energy = f.value(x) + square(z) / (2 * tau**2)
        claimed = slack / tau - d.mu / (2 * tau) * square(x - z)
    else:
        energy = f.value(x) - d.mu / 2 * square(x) + square(z) / tau**2
        claimed = 2 / tau * slack
    name = "E' + c eta E"

    def check(c: Values) -> dict[str, Any]:
        flow = d.flow()
        any_rate = derivative(c["E"], {**flow, tau: tau_dot}) + d.c / tau * c["E"]
        return {
            name: substitute(any_rate, {tau_dot: d.rate}) - c[name],
            "for any tau'": any_rate - c[name] - c["excess"],
        }

    return Step(
        "Lyapunov function and Riccati equation",
        r"With $x^* = 0$, $f^* = 0$, $a = 0$ the energy decays at the rate $c\eta$, since $f(x) - \langle\nabla f(x), x\rangle + "
        r"\frac{\mu}{2}\|x\|^2 \le 0$. For any other $\dot\tau$ an excess in $\|z\|^2$ remains: it vanishes exactly if $\tau$ obeys "
        r"the Riccati equation, which is what selects it.",
        (
            Claim("E", energy), Claim(name, claimed, r"\dot E + c\eta E"),
            Claim("excess", d.c * (d.rate - tau_dot) / tau**3 * square(z), r"\mathrm{excess}"),
        ),
        check, assumes="f is mu-strongly convex" if d.mu != 0 else "f is convex",
    )  # fmt: skip


def in_time_step(d: Data) -> Step:
    solution = riccati(d.c, d.mu, MEMBERS[d.member].start)

    def check(c: Values) -> dict[str, Any]:
        closed = model_family(d.member).limit({a: 0}).second_order().lhs
        return {
            "Riccati equation": derivative(c["tau(t)"], {time: sp.S.One})
            - substitute(d.rate, {tau: c["tau(t)"]}),
            "it starts at 0": substitute(c["tau(t)"], {time: sp.S.Zero}),
            "equation in time": closed - c["lhs"],
            "the scale written in": substitute(family_step(d).claims[-1].value, {tau: c["tau(t)"]})
            - c["lhs"],
        }

    return Step(
        "Solution of the Riccati equation",
        r"From $\tau(0) = 0$, that is $\eta(0) = \infty$, the scale is a function of time, and the limit flow becomes "
        r"$\ddot x + (\mathrm{lhs}) = 0$ with a damping that is infinite at $t = 0$.",
        (Claim("tau(t)", solution, r"\tau(t)"),
         Claim("lhs", d.damping * velocity + d.c * f.grad(position), r"\mathrm{lhs}")),
        check,
    )  # fmt: skip


def recurrence_step(d: Data) -> Step:
    m = d.mu * h**2
    squared = theta * whole_way(theta, d.mu) if d.c == 1 else (theta**2 - h**2) / (1 - m)
    spread = (1 - m * T**2) ** 2 + 4 * T**2
    direct = (
        ((1 - m * T**2) + sp.sqrt(spread)) / 2 if d.c == 1
        else ((1 - m * T**2) + sp.sqrt(1 + (1 - m) * T**2)) / (1 + m - m**2 * T**2)
    )  # fmt: skip
    positive = sp.Symbol("tau", positive=True)

    def check(c: Values) -> dict[str, Any]:
        program = d.method.program.inlined()
        made = program.next[tau]
        following = substitute(made, {tau: theta})
        series = taylor(substitute(made, {tau: positive}), h, 1)
        return {
            "tau_new^2 from the next theta": substitute(c["tau_old^2"], {theta: following})
            - c["tau_new"] ** 2,
            "T_new in T": substitute(c["tau_new"], {theta: half_way(d.c, d.mu, h * T)}) / h
            - c["T_new"],
            "at h = 0 it stays": series[0] - positive,
            "for small h it follows the Riccati equation": series[1]
            - substitute(c["tau'"], {tau: positive}),
        }

    return Step(
        "Discrete Riccati equation",
        r"The scale goes from $\tau_{\mathrm{old}}$ by way of $\theta$ to $\tau_{\mathrm{new}}$: "
        + (r"$\theta\,\tau_{\mathrm{new}} = \tau_{\mathrm{old}}^2$" if d.c == 1 else r"$\theta^2 = h^2 + (1 - \mu h^2)\tau_{\mathrm{old}}^2$")
        + r", and $\tau_{\mathrm{new}}$ is $\theta$ plus $h$ by the addition theorem of the solution. In $T = \tau/h$ it is the "
        r"recurrence below, a division by $T$ having cancelled, so that $T = 0$ can start. The program carries $\theta$.",
        (Claim("tau_new", whole_way(theta, d.mu), r"\tau_{\mathrm{new}}"), Claim("tau_old^2", squared, r"\tau_{\mathrm{old}}^2"),
         Claim("T_new", direct, r"T_{\mathrm{new}}"), Claim("tau'", d.rate, r"\dot\tau")),
        check,
    )  # fmt: skip


def map_step(d: Data, scalars: Mapping[sp.Symbol, sp.Expr], statement: str) -> Step:
    point = (x * (theta - (d.c - 1) * h) + z * (d.c * h)) / (theta + h)
    law = z + (y - z) * (d.mu * h * ahead) - f.grad(y) * (h * ahead)

    def check(c: Values) -> dict[str, Any]:
        made = d.method.program.update_map()
        inside = lambda e: substitute(substitute(e, {y: c["y"]}), scalars)
        return {f"{s}+ of the program": made[s] - inside(c[f"{s}+"]) for s in (x, z)}

    return Step(
        "Discretization",
        statement,
        (Claim("y", point), Claim("x+", y - h**2 * f.grad(y), "x^+"), Claim("z+", law, "z^+")),
        check,
    )


def limit_step(d: Data) -> Step:
    target = d.flow()

    def check(c: Values) -> dict[str, Any]:
        limit = d.method.consistent_with().drift
        if tau in limit:
            return {f"{s}'": limit[s] - c[f"{s}'"] for s in target}
        solution = riccati(d.c, d.mu, MEMBERS[d.member].start)
        residuals = {f"{s}'": limit[s] - substitute(c[f"{s}'"], {tau: solution}) for s in (x, z)}
        return {**residuals, "tau'": derivative(solution, {time: sp.S.One}) - c["tau'"]}

    return Step(
        "Limit flow",
        r"As $h \to 0$ the method follows the system at $a = 0$, the scale included.",
        tuple(
            Claim(f"{s}'", e, rf"\dot {n}")
            for s, e, n in zip(target, target.values(), ("x", "z", r"\tau"), strict=True)
        ),
        check,
    )


def momentum_step(d: Data, scalars: Mapping[sp.Symbol, sp.Expr], following: sp.Expr) -> Step:
    m = d.mu * h**2
    beta = (1 - m * T_new) * ((1 - m) * T - d.c * (1 - m * T)) / ((1 - m) * T_new)
    gamma = (d.c - 1) * (1 - m * T_new) * T / T_new
    claims = [
        Claim("beta", beta, r"\beta"),
        *([Claim("gamma", gamma, r"\gamma")] if d.c > 1 else []),
    ]

    def check(c: Values) -> dict[str, Any]:
        made = d.method.program.update_map()
        (called,) = d.method.program.inlined().calls
        counted = (
            {COUNTER: COUNTER + 1} if COUNTER in called.point.free_symbols else {tau: following}
        )
        following_point = substitute(called.point, {x: made[x], z: made[z], **counted})
        step = made[x] - x  # type: ignore[operator]
        values = {
            T: whole_way(theta, d.mu) / h,
            T_new: whole_way(substitute(following, counted), d.mu) / h,
        }
        claimed = made[x] + step * substitute(substitute(c["beta"], values), scalars)  # type: ignore[operator]
        if d.c > 1:
            claimed += (made[x] - called.point) * substitute(
                substitute(c["gamma"], values), scalars
            )  # type: ignore[operator]
        return {"the next gradient point": following_point - claimed}

    more = r" + \gamma\,(x^+ - y)" if d.c > 1 else ""
    return Step(
        "Momentum form",
        rf"Without $z$ the next gradient point is $y^+ = x^+ + \beta\,(x^+ - x){more}$, where $T = \tau_{{\mathrm{{new}}}}/h$ in this step "
        r"and $T_{\mathrm{new}}$ in the next.",
        tuple(claims),
        check,
    )


def certificate_step(
    d: Data, scalars: Mapping[sp.Symbol, sp.Expr], extra: sp.Expr = sp.S.Zero
) -> Step:
    m = d.mu * h**2
    factor = (1 - d.mu * h * ahead) ** d.c
    if d.c == 1:
        energy = before**2 * f.value(x) + square(z) / 2
        left_over = d.mu / (2 * h) * theta * ahead**2 * (1 - m)
        parts = first_order_parts((ahead * (ahead - h), h * ahead, ahead**2, left_over), d.mu)
        parts += (Part("f(x)", extra, f.value(x), "f(x)"),) if extra != 0 else ()
        says = (
            r"$\tau^2 f(x) + \frac12\|z\|^2$ decreases by the factor $1 - \mu h\tau_{\mathrm{new}}$"
        )
    else:
        energy = (1 - m) * before**2 * below_quadratic(d.mu) + square(z)
        weights = (
            ahead * (1 - m) * ((1 + m) * ahead - 2 * h),
            ahead * (1 - m) * (2 * h - m * ahead),
        )
        parts = interpolation_parts(weights, d.mu)
        says = (
            r"with $y_{\mathrm{old}}$ the gradient point before, so that $x = y_{\mathrm{old}} - h^2\nabla f(y_{\mathrm{old}})$, the "
            r"energy decreases by the factor $(1 - \mu h\tau_{\mathrm{new}})^2$"
        )
    product = r" The factors multiply to $1 - \mu\tau^2$." if d.mu != 0 else ""
    return certificate_step(
        d.method,
        rf"With $h = 1/\sqrt L$, {says}: what is left are inequalities of the class with nonnegative weights.{product}",
        energy, factor, parts, scalars, {before: ahead},
    )  # fmt: skip


def product_step(d: Data) -> Step:
    squared = recurrence_step(d).claims[1].value

    def check(c: Values) -> dict[str, Any]:
        new = whole_way(theta, d.mu)
        ratio = (1 - d.mu * new**2) / (1 - d.mu * squared)
        return {"one factor": substitute(c["factor"], {ahead: new}) - ratio}

    return Step(
        "Closed form of the rate",
        r"One factor is the ratio of $1 - \mu\tau^2$ after and before the step, so that $E_N \le (1 - \mu\tau_N^2)\,E_0$ "
        r"from $\tau_0 = 0$.",
        (Claim("factor", (1 - d.mu * h * ahead) ** d.c, r"\lambda"),),
        check,
        kind="finding",
    )


def published_step(d: Data) -> Step:
    """Taylor and Drori's recurrences; q is mu / L here, R = theta / h."""
    q, R = parameters("q R")
    A = (R**2 - 1) / (1 - q * R**2)

    def check(c: Values) -> dict[str, Any]:
        new = (1 + R) / (1 + q * R)  # tau_new / h
        grown = new**2 / (1 - q * new**2)
        scaled = {mu: q / h**2, tau: h * R}
        made = {s: substitute(e, scaled) for s, e in d.method.program.inlined().next.items()}
        point = substitute(d.method.program.inlined().calls[0].point, scaled)
        (target,) = [call.target for call in d.method.program.calls]
        law = z * (1 - q * c["delta"]) + point * (q * c["delta"]) - target * (c["delta"] * h**2)
        return {
            "S^2": c["S"] ** 2 - (1 + c["A"]) * (1 + q * c["A"]),
            "A_new": c["A_new"] - ((1 + q) * c["A"] + 2 * (1 + c["S"])) / (1 - q) ** 2,
            "A_new is A after the step": c["A_new"] - grown,
            "A in T": c["A"] - (R**2 - 1) / (1 - q) / (1 - q * (R**2 - 1) / (1 - q)),
            "beta": c["beta"] - c["A"] / ((1 - q) * c["A_new"]),
            "delta": c["delta"]
            - ((1 - q) ** 2 * c["A_new"] - (1 + q) * c["A"]) / (2 * (1 + q + q * c["A"])),
            "y": point - z * (1 - c["beta"]) - x * c["beta"],
            "z+": made[z] - law,  # type: ignore[operator]
        }

    return Step(
        "Identification",
        r"With $q = \mu/L$ and $R = \theta/h$ this is Taylor and Drori's method: $y = (1-\beta)z + \beta x$, $x^+ = y - \nabla f(y)/L$, "
        r"$z^+ = (1 - q\delta)z + q\delta y - (\delta/L)\nabla f(y)$, with $A = T^2/(1 - qT^2)$ and $S = \sqrt{(1+A)(1+qA)}$.",
        (Claim("A", A), Claim("S", R * (1 - q) / (1 - q * R**2)),
         Claim("A_new", (1 + R) ** 2 / ((1 - q) * (1 - q * R**2)), r"A_{\mathrm{new}}"),
         Claim("beta", (R - 1) / (R + 1), r"\beta"), Claim("delta", (1 + R) / (1 + q * R), r"\delta")),
        check,
        reference="Taylor and Drori 2023",
    )  # fmt: skip
