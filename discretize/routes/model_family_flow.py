"""Steps of the derivations in `model_family` about the flow: system, Lyapunov function, scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp

from ...dynamics.algebra.calculus import derivative, substitute
from ...dynamics.algebra.named import taylor_terms
from ...dynamics.algebra.scalars import parameters
from ...dynamics.algebra.vectors import inner
from ...dynamics.library.model_family import MEMBERS, family, model_family, riccati, time
from ...dynamics.vector_fields.block import blocks
from ...dynamics.vector_fields.objective import Objective
from ...dynamics.vector_fields.second_order import position, velocity
from ..faces import Algorithm
from ..library.model_family import TAU, half_way, whole_way
from ..proof.steps import Claim, Equation, Step
from ..step.iteration import STEP
from .certificates import square

x, y, z = blocks("x y z")
f, h, tau = Objective("f"), STEP, TAU
# the scales of one step, as the claims name them; T = tau / h
theta, theta_new, before, ahead = sp.symbols("theta theta_new tau_old tau_new", positive=True)
a, T, T_new = parameters("a T T_new")
Values = Mapping[str, Any]


@dataclass(frozen=True)
class Data:
    """The data in which the derivations differ."""

    name: str  # of the method, and of its member of the family
    method: Algorithm
    summary: str
    damping: sp.Expr  # in time
    references: tuple[str, ...]

    @property
    def c(self) -> int:
        return MEMBERS[self.name].c

    @property
    def mu(self) -> sp.Expr:
        return MEMBERS[self.name].convexity

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


def claimed_rates(flow: Mapping[Any, Any]) -> tuple[Claim, ...]:
    """The claims of x', z' and tau'."""
    shown = zip(flow.items(), ("x", "z", r"\tau"), strict=True)
    return tuple(Claim(f"{s}'", e, rf"\dot {n}") for (s, e), n in shown)


def family_step(d: Data) -> Step:
    moving = d.rate / tau
    damping = sp.expand(sp.Rational(3 * d.c, 2) / tau + (1 - sp.Rational(d.c, 2)) * d.mu * tau)
    stiff = d.c + a * sp.expand(d.mu * tau + moving)
    flow = d.flow(a)

    def check(c: Values) -> dict[str, Equation]:
        drift, speed = family(d.c, d.mu).drift, flow[x]
        along_it = substitute(c["-x''"], {position: x, velocity: speed})
        at_rest = substitute(c["-x''"], {a: sp.S.Zero})
        return {
            **{f"{s}' of the system": Equation(drift[s], c[f"{s}'"]) for s in (x, z, tau)},
            "x'' along the system": Equation(derivative(speed, flow), -along_it),
            "at a = 0": Equation(at_rest, c["-x'' at a = 0"]),
        }

    return Step(
        "System",
        rf"The $(x, z)$ form with $c = {d.c}$ and a moving scale $\tau = 1/\eta$: $z$ pulls $x$ at the rate $c\eta$, "
        r"the gradient moves $z$ at the rate $1/\eta$, and a gradient step in $x$ is the feed-through $a \to 0$. "
        r"Eliminating $z$ along the system, $\dot\tau$ included, leaves one equation of second order.",
        (
            *claimed_rates(flow),
            Claim(
                "-x''",
                damping * velocity + a * f.hess(position, velocity) + stiff * f.grad(position),
                r"-\ddot{x}",
            ),
            Claim(
                "-x'' at a = 0", damping * velocity + d.c * f.grad(position), r"-\ddot{x}|_{a=0}"
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

    def check(c: Values) -> dict[str, Equation]:
        flow = d.flow()
        any_rate = derivative(c["E"], {**flow, tau: tau_dot}) + d.c / tau * c["E"]
        return {
            name: Equation(substitute(any_rate, {tau_dot: d.rate}), c[name]),
            "for any tau'": Equation(any_rate, c[name] + c["excess"]),
        }

    return Step(
        "Lyapunov function and Riccati equation",
        r"With $x^* = 0$, $f^* = 0$, $a = 0$ the energy decays at the rate $c\eta$, since $f(x) - \langle\nabla f(x), "
        r"x\rangle + \frac{\mu}{2}\|x\|^2 \le 0$. For any other $\dot{\tau}$ an excess in $\|z\|^2$ remains: it "
        r"vanishes exactly if $\tau$ obeys the Riccati equation, which is what selects it.",
        (
            Claim("E", energy), Claim(name, claimed, r"\dot E + c\eta E"),
            Claim("excess", d.c * (d.rate - tau_dot) / tau**3 * square(z), r"\mathrm{excess}"),
        ),
        check, assumes=(r"$f$ is $\mu$-strongly convex" if d.mu != 0 else "$f$ is convex") + ", $x^* = 0$, $f^* = 0$",
    )  # fmt: skip


def in_time_step(d: Data) -> Step:
    solution = riccati(d.c, d.mu, MEMBERS[d.name].start)

    def check(c: Values) -> dict[str, Equation]:
        closed = model_family(d.name).limit({a: 0}).second_order().lhs
        in_tau = family_step(d).claims[-1].value
        return {
            "Riccati equation": Equation(
                derivative(c["tau(t)"], {time: sp.S.One}), substitute(d.rate, {tau: c["tau(t)"]})
            ),
            "it starts at 0": Equation(substitute(c["tau(t)"], {time: sp.S.Zero})),
            "equation in time": Equation(closed, c["-x''"]),
            "the scale written in": Equation(substitute(in_tau, {tau: c["tau(t)"]}), c["-x''"]),
        }

    return Step(
        "Solution of the Riccati equation",
        r"From $\tau(0) = 0$, that is $\eta(0) = \infty$, the scale is a function of time, and the limit flow becomes "
        "one equation in $x$ and $t$, with a damping that is infinite at $t = 0$.",
        (Claim("tau(t)", solution, r"\tau(t)"),
         Claim("-x''", d.damping * velocity + d.c * f.grad(position), r"-\ddot{x}")),
        check,
    )  # fmt: skip


def recurrence_step(d: Data) -> Step:
    # tau_old^2 as a function of theta, and the composed recurrence solved for T_new
    m = d.mu * h**2
    squared = theta * whole_way(theta, d.mu) if d.c == 1 else (theta**2 - h**2) / (1 - m)
    spread = (1 - m * T**2) ** 2 + 4 * T**2
    direct = (
        ((1 - m * T**2) + sp.sqrt(spread)) / 2 if d.c == 1
        else ((1 - m * T**2) + sp.sqrt(1 + (1 - m) * T**2)) / (1 + m - m**2 * T**2)
    )  # fmt: skip
    relation = (
        r"$\theta\,\tau_{\mathrm{new}} = \tau_{\mathrm{old}}^2$"
        if d.c == 1
        else r"$\theta^2 = h^2 + (1 - \mu h^2)\tau_{\mathrm{old}}^2$"
    )
    positive = sp.Symbol("tau", positive=True)

    # against the program, against each other, and against the Riccati equation as h -> 0
    def check(c: Values) -> dict[str, Equation]:
        program = d.method.program.inlined()
        following = substitute(c["theta_new"], {ahead: c["tau_new"]})
        there, moving = taylor_terms(substitute(following, {theta: positive}), h, 1)
        return {
            "theta_new of the program": Equation(
                substitute(program.next[tau], {tau: theta}), following
            ),
            "tau_new^2 from the next theta": Equation(
                substitute(c["tau_old^2"], {theta: following}), c["tau_new"] ** 2
            ),
            "T_new in T": Equation(
                substitute(c["tau_new"], {theta: half_way(d.c, d.mu, h * T)}) / h, c["T_new"]
            ),
            "at h = 0 it stays": Equation(there, positive),
            "for small h it follows the Riccati equation": Equation(
                moving, substitute(c["tau'"], {tau: positive})
            ),
        }

    return Step(
        "Discrete Riccati equation",
        r"The scale goes from $\tau_{\mathrm{old}}$ by way of $\theta$ to $\tau_{\mathrm{new}}$: "
        + relation
        + r", and $\tau_{\mathrm{new}}$ is $\theta$ plus $h$ by the addition theorem of the "
        r"solution. In $T = \tau/h$ it is the "
        r"recurrence below, a division by $T$ having cancelled, so that $T = 0$ can start. The "
        r"program carries $\theta$.",
        (Claim("tau_new", whole_way(theta, d.mu), r"\tau_{\mathrm{new}}"),
         Claim("tau_old^2", squared, r"\tau_{\mathrm{old}}^2"),
         Claim("theta_new", half_way(d.c, d.mu, ahead), r"\theta_{\mathrm{new}}"),
         Claim("T_new", direct, r"T_{\mathrm{new}}"), Claim("tau'", d.rate, r"\dot\tau")),
        check,
    )  # fmt: skip
