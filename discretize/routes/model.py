"""Momentum methods by the (x, z) form: z follows the minimizer of a quadratic lower model of f.

Nesterov's method (c = 1, implicit coupling), the triple momentum method (c = 2, Cayley coupling) and a
heavy ball (c = 1, no feed-through) are the same steps with other data. Reconstructed after the
programme of arXiv:2509.18346.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp

from ...dynamics.algebra.calculus import derivative, substitute
from ...dynamics.algebra.scalars import parameters
from ...dynamics.algebra.vectors import Vector, inner
from ...dynamics.library import system
from ...dynamics.library.model_family import ROUTE_B
from ...dynamics.passivity import PassivityImmersion
from ...dynamics.vector_fields.block import blocks
from ...dynamics.vector_fields.objective import Objective
from ...dynamics.vector_fields.second_order import position, velocity
from ...dynamics.vector_fields.system import L, mu
from ..faces import Algorithm, Derivation
from ..library.schemes import scheme
from ..proof.steps import Claim, Equation, Step
from ..step.iteration import STEP
from .certificates import below_quadratic, certificate_step, first_order_parts, interpolation_parts
from .notation import MODEL
from .shared import RULES, coefficient_residuals, equation_residual, method_step

x, y, z, u, v, d = blocks("x y z u v d")
c, a = parameters("c a")
h = STEP
f = Objective("f")
g = f.grad(x)
m = sp.sqrt(mu)
q = h * m
plant = {x: c * m * (z - x), z: u}
psi = z - x + g / mu
feedforward = plant[x] - f.hess(x, plant[x]) / mu
Values = Mapping[str, Any]


@dataclass(frozen=True)
class ModelData:
    """The data of one member of the family: everything that the methods differ in."""

    name: str
    c: int
    coupling: str
    feed_through: sp.Expr
    coupled: Vector  # where the gradient is taken
    modified: Vector
    coefficients: Mapping[str, sp.Expr]
    summary: str
    references: tuple[str, ...]
    output: Vector = x


def _lower_model() -> Step:
    def check(claims: Values) -> dict[str, Equation]:
        model = f.value(x) + inner(g, v - x) + mu / 2 * inner(v - x, v - x)
        slope = substitute(derivative(model, {v: d}), {v: claims["argmin"]})
        return {
            "stationary in every direction d": Equation(slope),
            "psi vanishes at the minimizer": Equation(
                substitute(claims["psi"], {z: claims["argmin"]})
            ),
        }

    return Step(
        "The model and the manifold",
        r"Strong convexity gives the lower model $f(x) + \langle\nabla f(x), v - x\rangle + \frac{\mu}{2}\|v - x\|^2 "
        r"\le f(v)$. The manifold $\psi = 0$ says that $z$ is its minimizer.",
        (Claim("argmin", x - g / mu, r"\operatorname{argmin}"), Claim("psi", psi, r"\psi")),
        check,
        assumes=r"$f$ is $\mu$-strongly convex",
    )


def _target() -> Step:
    loop = PassivityImmersion(plant, u, psi, m)

    def check(claims: Values) -> dict[str, Equation]:
        on_manifold = {z: x - g / mu}
        return {
            "target on psi = 0": Equation(
                substitute(plant[x], on_manifold), claims["x' on psi = 0"]
            ),
            "psi' = L_F psi + (L_G psi) u": Equation(
                derivative(psi, plant), claims["L_F psi"] + u * claims["L_G psi"]
            ),
        }

    return Step(
        "Plant and target",
        r"The plant $\dot x = c\sqrt{\mu}\,(z - x)$, $\dot z = u$ has relative degree one: the control appears in "
        r"$\dot\psi = L_F\psi + (L_G\psi)\,u$ with a factor that never vanishes. On the manifold $x$ follows gradient "
        r"flow, every mode at the rate $c\sqrt{\mu}$ at least.",
        (
            Claim("x' on psi = 0", -c / m * g, r"\dot{x}_{\psi=0}"),
            Claim("L_F psi", loop.drift_rate, r"L_F\psi"),
            Claim("L_G psi", loop.decoupling, r"L_G\psi"),
        ),
        check,
    )


def _exact_law() -> Step:
    rate = parameters("K")
    loop = PassivityImmersion(plant, u, psi, rate)

    def check(claims: Values) -> dict[str, Equation]:
        driven = {x: plant[x], z: claims["u"]}
        return {
            "psi' = -K psi": Equation(derivative(psi, driven), -rate * psi),
            "feed-forward and feedback": Equation(feedforward - rate * psi, claims["u"]),
        }

    return Step(
        "Exact law",
        r"Passivity and immersion: feed-forward $(I - \nabla^2 f/\mu)\,\dot x$ and feedback "
        r"$-K\psi$ make the manifold invariant and attractive.",
        (Claim("u", substitute(loop.law, {blocks("w"): Vector({})})),),
        check,
    )


def _dropped() -> Step:
    def check(claims: Values) -> dict[str, Equation]:
        law = claims["u"]
        driven = {x: plant[x], z: law}
        return {
            "u = -sqrt(mu) psi": Equation(-m * psi, law),
            "size of the defect": Equation(
                derivative(psi, driven) + m * psi, claims["psi' + sqrt(mu) psi"]
            ),
        }

    return Step(
        "What is dropped",
        r"Keep the feedback with $K = \sqrt{\mu}$ and drop the feed-forward, which needs the Hessian. The manifold is "
        "then only nearly invariant: the defect below is not zero, and it is stated, not hidden.",
        (
            Claim("u", m * (x - z) - g / m),
            Claim("psi' + sqrt(mu) psi", -feedforward, r"\dot\psi + \sqrt{\mu}\,\psi"),
        ),
        check,
        kind="defect",
    )


def _second_order() -> Step:
    def check(claims: Values) -> dict[str, Equation]:
        family = system("model")
        speed = family.drift[x]
        along_it = substitute(claims["-x''"], {position: x, velocity: speed})
        return {
            "x'' along the system": Equation(derivative(speed, family.drift), -along_it),
            "at a = 0": Equation(
                substitute(claims["-x''"], {a: sp.S.Zero}), claims["-x'' at a = 0"]
            ),
        }

    return Step(
        "System with feed-through",
        r"A gradient step in $x$ has no counterpart in $\dot x = c\sqrt{\mu}(z - x)$ alone: the honest system carries "
        r"a feed-through $-a\nabla f(x)$ in $\dot x$, with $a \to 0$ as $h \to 0$. Eliminating $z$ leaves one "
        "equation of second order.",
        (
            Claim("-x''", system("model").second_order().lhs, r"-\ddot{x}"),
            Claim(
                "-x'' at a = 0", (c + 1) * m * velocity + c * f.grad(position), r"-\ddot{x}|_{a=0}"
            ),
        ),
        check,
    )


def _lyapunov(c_value: int) -> Step:
    flow = {x: c_value * m * (z - x), z: m * (x - z) - g / m}
    rate = c_value * m
    name = f"E' + {rate} E"
    slack = f.value(x) - inner(g, x) + mu / 2 * inner(x, x)
    if c_value == 1:
        energy = f.value(x) + mu / 2 * inner(z, z)
        claimed = rate * slack - m / 2 * inner(flow[x], flow[x])
    else:
        energy = f.value(x) - mu / 2 * inner(x, x) + mu * inner(z, z)
        claimed = rate * slack

    def check(claims: Values) -> dict[str, Equation]:
        return {name: Equation(derivative(claims["E"], flow) + rate * claims["E"], claims[name])}

    return Step(
        "Lyapunov function",
        f"In the limit $a = 0$, with $c = {c_value}$, the energy decays at the rate ${sp.latex(rate)}$: what is left "
        r"on the right is not positive, because strong convexity between $x$ and $x^* = 0$ is $f(x) - \langle\nabla "
        r"f(x), x\rangle + \frac{\mu}{2}\|x\|^2 \le 0$.",
        (Claim("E", energy), Claim(name, claimed, rf"\dot E + {sp.latex(rate)} E")),
        check,
        assumes=r"$f$ is $\mu$-strongly convex, $x^* = 0$, $f^* = 0$",
    )


def _certificate(method: Algorithm, c_value: int) -> Step:
    point_before = ""
    if c_value == 1:
        weights = (1 - q, q, sp.S.One, m / (2 * h) * (1 - q**2))
        energy, parts = f.value(x) + mu / 2 * inner(z, z), first_order_parts(weights, mu)
    else:
        energy = below_quadratic(mu) + mu / (1 - q**2) * inner(z, z)
        parts = interpolation_parts(((1 - q) ** 2, 1 - (1 - q) ** 2), mu)
        point_before = r" Here $x = y_{\mathrm{old}} - h^2\nabla f(y_{\mathrm{old}})$, from the gradient point before."
    return certificate_step(
        method,
        rf"With $h = 1/\sqrt{{L}}$ the energy falls by the factor $(1 - q){'^2' * (c_value == 2)}$ in each step."
        rf"{point_before}",
        energy,
        (1 - q) ** c_value,
        parts,
    )


def _build(member: ModelData) -> Derivation:
    family = system("model")
    method = Algorithm(
        family.map(lambda e: e, output=member.output),
        scheme("lie_trotter", [("coupling", member.coupling), ("law", "explicit")]),
        where={a: member.feed_through, c: member.c},
        tuning={h: 1 / sp.sqrt(L)},
        name=member.name,
        reference=member.references[-1],
    )
    # the map and the limit that are claimed, in formulas independent of the engine's program
    at_y = f.grad(y)
    step_map = {x: y - h * member.feed_through * at_y, z: (1 - q) * z + q * (y - at_y / mu)}
    lowered = substitute(
        system("model").limit({a: 0}).second_order().lhs, {c: sp.Integer(member.c)}
    )
    gradient = (
        r"the feed-through is one gradient step"
        if member.feed_through != 0
        else r"without "
        r"feed-through $x$ takes no gradient step"
    )
    # the certificate needs the descent of the feed-through, which the members without it lack
    steps = (
        _lower_model(),
        _target(),
        _exact_law(),
        _dropped(),
        _second_order(),
        _lyapunov(member.c),
        method_step(
            method,
            "Discretization",
            rf"Lie-Trotter with $a = {sp.latex(member.feed_through)}$ and $c = {member.c}$: first the coupling $\dot "
            rf"x = c\sqrt{{\mu}}\,(z - x)$ with $z$ held, by {RULES[member.coupling]}, which gives the point $y$; "
            r"then the law in $z$ and the feed-through in one explicit step, with the one gradient $\nabla f(y)$; "
            f"{gradient}.",
            step_map,
            {y: member.coupled},
        ),
        *([_certificate(method, member.c)] if member.feed_through != 0 else []),
        equation_residual(method, limit=lowered, modified=member.modified, of=x),
        coefficient_residuals(method, member.coefficients),
    )
    return Derivation(
        member.name,
        "model",
        member.summary,
        steps,
        method,
        provenance=ROUTE_B,
        references=member.references,
        bound_position=x,
        flow_position=x,
        notation=MODEL,
    )


_BETA = (sp.sqrt(L) - m) / (sp.sqrt(L) + m)
_RHO = 1 - sp.sqrt(mu / L)


def nesterov_sc() -> Derivation:
    """Nesterov's method: c = 1, implicit coupling, feed-through h."""
    return _build(
        ModelData(
            "nesterov_sc", 1, "implicit", h, (x + q * z) / (1 + q),
            2 * m * velocity + h * f.hess(position, velocity) + (1 + h * m) * f.grad(position),
            {"alpha": 1 / L, "beta": _BETA, "gamma": _BETA, "delta": sp.S.Zero},
            "Nesterov's accelerated gradient for strongly convex f: z follows the minimizer of the model, x "
            "follows z.",
            ("parimi2025", "nesterov2004"),
        )
    )  # fmt: skip


def triple_momentum() -> Derivation:
    """The triple momentum method: c = 2, Cayley coupling, feed-through h, read at z."""
    gamma = _RHO**2 / ((1 + _RHO) * (2 - _RHO))
    return _build(
        ModelData(
            "triple_momentum", 2, "cayley", h, ((1 - q) * x + 2 * q * z) / (1 + q),
            (3 * m + h * mu / 2) * velocity + h * f.hess(position, velocity) + 2 * (1 + h * m) * f.grad(position),
            {"alpha": (1 + _RHO) / L, "beta": _RHO**2 / (2 - _RHO), "gamma": gamma, "delta": _RHO**2 / (1 - _RHO**2)},
            "The triple momentum method: the same model with twice the coupling, discretized by Cayley's rule.",
            ("parimi2025", "vanscoy2018"), z,
        )
    )  # fmt: skip


def heavy_ball() -> Derivation:
    """A heavy ball with Nesterov's momentum: c = 1, implicit coupling, no feed-through."""
    return _build(
        ModelData(
            "heavy_ball", 1, "implicit", sp.S.Zero, (x + q * z) / (1 + q),
            2 * m * velocity + f.grad(position),
            {"alpha": 1 / (L * (1 + sp.sqrt(mu / L))), "beta": _BETA, "gamma": sp.S.Zero},
            "A heavy ball: Nesterov's system without the feed-through, and so without its Hessian damping.",
            ("parimi2025", "polyak1964"),
        )
    )  # fmt: skip
