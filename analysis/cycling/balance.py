"""The energy balance of one step of heavy ball: dissipation and injection, machine-checked.

In the passive form psi' = -K psi - b grad f, y' = psi - a grad f the energy E = b f(y) + |psi|^2 / 2 falls along the
flow. A step of semi-implicit Euler adds the error of its linearization of f, which may inject as much as is
dissipated. Heavy ball is the method without feed-through, a = 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import sympy as sp

from ..._support.errors import OdescentError, expected
from ..._support.rendering.rendered import Rendered
from ...discretize import Algorithm, Derivation, algorithm, scheme
from ...discretize.pole_placement.passive_form import passive_parameters
from ...discretize.proof.steps import Claim, Equation, Step, follows_from
from ...discretize.routes.shared import after, method_step
from ...dynamics import Objective, system
from ...dynamics.algebra.calculus import derivative, substitute
from ...dynamics.algebra.scalars import as_scalar, parameters
from ...dynamics.algebra.vectors import inner
from ...dynamics.library.second_order import ROUTE_A
from ...dynamics.problems.lessard_recht_packard import GRADIENT
from ...dynamics.problems.piecewise_quadratic import PiecewiseLinear
from ...dynamics.vector_fields.block import blocks
from ...dynamics.vector_fields.system import L, mu
from ..certificates.lower_bounds.cycle import windings
from .itineraries import branches, follow, piecewise_cycles
from .thresholds import cycle_range, cycle_threshold

Values = Mapping[str, Any]

f = Objective("f")
psi, y, p, x = blocks("psi y p x")
K, a, b, h = parameters("K a b h")
beta = 1 - K * h
_q = sp.sqrt(mu / L)
_LONGEST = 7  # period that is looked at for the methods without cycles


@dataclass(frozen=True, eq=False)
class Ledger(Rendered):
    """The energy of a method step by step along an orbit.

    Attributes:
        damping, kick, feedthrough: the terms of the dissipation, (1 - beta^2)/2 |psi|^2, b^2 h^2/2 |g|^2 and
            a b h |g|^2, shape (steps,).
        injection: b (f(y+) - f(y) - <g, y+ - y>), shape (steps,).
        energy: b f(y) + |psi|^2 / 2 before each step and after the last, shape (steps + 1,).

    Numbers are exact where what they were made of is. Each step changes the energy by injection - dissipation; around
    a closed orbit the sums agree.
    """

    damping: Any
    kick: Any
    feedthrough: Any
    injection: Any
    energy: Any

    @property
    def dissipation(self) -> Any:
        return self.damping + self.kick + self.feedthrough


def energy_ledger(
    points: Any, gradients: Any, values: Any, *, K: Any, a: Any, b: Any, h: Any, closed: bool = True
) -> Ledger:
    """Dissipation and injection per step, from each gradient point of an orbit to the next.

    Args:
        points, gradients: shape (n,) or (n, d); floats, or exact numbers as an array of objects.
        values: f at the points, shape (n,).
        K, a, b, h: of the passive form.
        closed: the points are one period of a closed orbit, n steps; else the first n of a run that starts at
            rest, psi = 0, and has n - 1 steps.

    Raises:
        OdescentError: shapes that do not fit, or a K, a, b or h that is no number.
    """
    try:
        Y, G, F = (np.asarray(given) for given in (points, gradients, values))
    except ValueError:
        raise OdescentError(
            "points, gradients and values must be arrays, with rows of one length."
        ) from None
    for name, number in {"K": K, "a": a, "b": b, "h": h}.items():
        if as_scalar(number).free_symbols:
            raise expected(f"{name} of energy_ledger", "a number", number)
    if Y.shape != G.shape or F.shape != Y.shape[:1] or Y.ndim not in (1, 2) or len(Y) < 2:
        raise OdescentError(
            f"points and gradients must have shape (n,) or (n, d) and values (n,), n > 1, not {Y.shape}, {G.shape} and "
            f"{F.shape}."
        )
    if Y.ndim == 1:
        Y, G = Y[:, None], G[:, None]
    if closed:
        Y, G, F = (np.concatenate([v, v[:1]]) for v in (Y, G, F))
    move = Y[1:] - Y[:-1]
    memory = (move + a * h * G[:-1]) / h  # psi+, as y+ = y + h psi+ - a h g
    before = memory[-1:] if closed else 0 * memory[:1]
    memory = np.concatenate([before, memory])
    momentum = 1 - K * h
    moving, slope = (memory**2).sum(axis=1), (G[:-1] ** 2).sum(axis=1)
    return Ledger(
        (1 - momentum**2) * moving[:-1] / 2,
        b**2 * h**2 * slope / 2,
        a * b * h * slope,
        b * (F[1:] - F[:-1] - (G[:-1] * move).sum(axis=1)),
        b * F + moving / 2,
    )


@follows_from("energy_balance")
def energy_balance() -> Derivation:
    """The argument for cycles of heavy ball, and against such cycles of the other methods, checked step by step."""
    free = Algorithm(system("passive"), scheme("semi_implicit_euler", order=("psi", "y")))
    return Derivation(
        "heavy_ball",
        "energy",
        "Why heavy ball, tuned for quadratics, need not converge on all smooth and strongly convex functions: it has "
        "no feed-through.",
        (_missing(), _manifold(), _flow(), _map(free), _step(free), _cycle(), _threshold()),
        algorithm("heavy_ball"),
        provenance=ROUTE_A,
        references=("parimi2025", "polyak1964", "lessard2016"),
        notation=(
            (r"\psi", "the memory"), ("y", "the point where the gradient is taken"), ("g", r"is $\nabla f(y)$"),
            ("K, a, b", "damping, feed-through and interconnection"), (r"\beta", r"is $1 - K h$"),
        ),
    )  # fmt: skip


def _missing() -> Step:
    methods = ("heavy_ball", "nesterov_sc", "triple_momentum")

    def check(c: Values) -> dict[str, Equation]:
        equations = {}
        for name in methods:
            found = algorithm(name).coefficients
            alpha, momentum, gamma = (found[n] for n in ("alpha", "beta", "gamma"))
            passive = passive_parameters(alpha, momentum, gamma, 1 / sp.sqrt(L))
            for part, value in passive.items():
                if f"{part} of {name}" in c:
                    equations[f"{part} of {name}"] = Equation(value, c[f"{part} of {name}"])
        return equations

    claims = [
        Claim("a of heavy_ball", sp.S.Zero, r"a_{\mathrm{HB}}"),
        Claim("a of nesterov_sc", 1 / sp.sqrt(L), r"a_{\mathrm{NAG}}"),
        Claim("a of triple_momentum", 1 / sp.sqrt(L), r"a_{\mathrm{TMM}}"),
        Claim("b of heavy_ball", 4 / (1 + _q) ** 2, r"b_{\mathrm{HB}}"),
        Claim("b of nesterov_sc", (1 - _q) / (1 + _q), r"b_{\mathrm{NAG}}"),
        Claim("b of triple_momentum", 2 * (1 - _q) / (1 + _q), r"b_{\mathrm{TMM}}"),
    ]
    return Step(
        "The missing term",
        r"Each method is a step of semi-implicit Euler on $\dot\psi = -K\psi - b\nabla f(y)$, $\dot y = \psi - "
        r"a\nabla f(y)$ with $h = 1/\sqrt{L}$. Nesterov's method and triple momentum have the feed-through $a = h$; "
        r"heavy ball has none.",
        tuple(claims),
        check,
        kind="finding",
    )


def _manifold() -> Step:
    flow = system("heavy_ball").bind({parameters("c"): K})
    at = {blk.name: blk.symbol for blk in flow.blocks}

    def check(c: Values) -> dict[str, Equation]:
        along = {s: substitute(e, {at["x"]: x, at["v"]: p}) for s, e in flow.drift.items()}
        moving = {x: along[at["x"]], p: along[at["v"]]}
        defect = derivative(c["psi"], moving) + K * c["psi"]
        return {"psi' + K psi along heavy ball": Equation(defect, c["defect"])}

    return Step(
        "No invariant manifold",
        r"Along heavy ball's flow, $\ddot x + K\dot x + \nabla f = 0$ with $p = \dot x$, the implicit manifold "
        r"$\psi = p + \nabla f / K = 0$ is not kept: $\dot\psi = -K\psi$ up to this defect, which the Hessian "
        r"damping of a feed-through cancels.",
        (
            Claim("psi", p + f.grad(x) / K, r"\psi"),
            Claim("defect", f.hess(x, p) / K, r"\dot\psi + K\psi"),
        ),
        check,
        kind="defect",
        reference="Astolfi and Ortega 2003",
    )


def _flow() -> Step:
    loop = system("passive").drift
    at = {blk.name: blk.symbol for blk in system("passive").blocks}

    def check(c: Values) -> dict[str, Equation]:
        moving = {psi: loop[at["psi"]], y: loop[at["y"]]}
        return {
            "E' along the flow": Equation(derivative(c["E"], moving), c["E'"]),
            "without feed-through": Equation(substitute(c["E'"], {a: sp.S.Zero}), c["E' at a = 0"]),
        }

    g = f.grad(y)
    return Step(
        "Energy of the flow",
        r"The energy falls, through the damping and through the feed-through. Without the latter the gradient itself "
        r"dissipates nothing.",
        (
            Claim("E", b * f.value(y) + inner(psi, psi) / 2),
            Claim("E'", -a * b * inner(g, g) - K * inner(psi, psi), r"\dot{E}"),
            Claim("E' at a = 0", -K * inner(psi, psi), r"\dot{E}|_{a=0}"),
        ),
        check,
    )


def _map(free: Algorithm) -> Step:
    g = f.grad(y)
    return method_step(
        free,
        "One step",
        r"Semi-implicit Euler, the memory first; one gradient, at $y$.",
        {psi: beta * psi - b * h * g, y: y + h * after(psi) - a * h * g},
    )


def _step(free: Algorithm) -> Step:
    g = f.grad(y)

    def check(c: Values) -> dict[str, Equation]:
        made = free.program.update_map()
        names = {s.name: s for s in made}
        moved = {psi: made[names["psi"]], y: made[names["y"]]}
        known = {after(y): moved[y]}
        gain = substitute(c["E"], moved) - c["E"]
        balance = substitute(c["injection"], known) - c["dissipation"]
        return {
            "E+ - E": Equation(gain, balance),
            "the share of the feed-through": Equation(
                c["dissipation"] - substitute(c["dissipation"], {a: sp.S.Zero}), c["lost at a = 0"]
            ),
        }

    return Step(
        "Energy of one step",
        r"Exactly, $E^+ - E$ is injection minus dissipation. What is injected is the error of linearizing $f$ at $y$, "
        r"between $b\mu|y^+ - y|^2/2$ and $bL|y^+ - y|^2/2$. At $a = 0$ the dissipation loses a term.",
        (
            Claim("E", b * f.value(y) + inner(psi, psi) / 2),
            Claim("injection", b * (f.value(after(y)) - f.value(y) - inner(g, after(y) - y)), "J"),
            Claim(
                "dissipation",
                (1 - beta**2) / 2 * inner(psi, psi) + b**2 * h**2 / 2 * inner(g, g) + a * b * h * inner(g, g),
                "D",
            ),
            Claim("lost at a = 0", a * b * h * inner(g, g), r"D - D|_{a=0}"),
        ),
        check,
    )  # fmt: skip


def known_cycle() -> tuple[tuple[sp.Rational, ...], Ledger]:
    """The attracting 3-cycle of heavy ball on the one-dimensional counterexample, and its ledger, exactly (b = 1)."""
    cycle = next(c for c in piecewise_cycles("heavy_ball", GRADIENT) if c.stable and c.period == 3)
    at = [Fraction(int(v.p), int(v.q)) for v in cycle.points]
    return cycle.points, _exact_ledger("heavy_ball", GRADIENT, at, closed=True)


def run_ledger(
    name: str, gradient: PiecewiseLinear, x0: Fraction, steps: int
) -> tuple[list[Fraction], Ledger]:
    """The gradient points of a registered method from rest at x0, and its ledger, both exactly; heavy ball has b = 1.

    Args:
        name: a momentum method with rational coefficients on this function.
        gradient: of the function of one variable.
        x0: the start.
        steps: at least 1.
    """
    at = follow(branches(name, gradient), x0, steps)
    return at, _exact_ledger(name, gradient, at, closed=False)


def _exact_ledger(name: str, gradient: PiecewiseLinear, at: list[Fraction], closed: bool) -> Ledger:
    slopes = [gradient.pieces[gradient.at(v)].gradient(v) for v in at]
    exact = [
        np.array([as_scalar(v) for v in values], dtype=object)
        for values in (at, slopes, map(gradient.value, at))
    ]
    return energy_ledger(*exact, closed=closed, **_passive(name, gradient))


def _passive(name: str, gradient: PiecewiseLinear) -> dict[str, sp.Expr]:
    """K, a, b and h of a method on a function's class: h is sqrt(alpha) without feed-through, else 1/sqrt(L)."""
    values = {mu: as_scalar(gradient.mu), L: as_scalar(gradient.L)}
    found = algorithm(name).coefficients
    alpha, momentum, gamma = (found[n].xreplace(values) for n in ("alpha", "beta", "gamma"))
    size = sp.sqrt(alpha) if gamma == 0 else 1 / sp.sqrt(values[L])
    return {**passive_parameters(alpha, momentum, gamma, size), "h": size}


def _cycle() -> Step:
    def check(c: Values) -> dict[str, Equation]:
        points, ledger = known_cycle()
        equations = {f"y_{t}": Equation(v, c[f"y_{t}"]) for t, v in enumerate(points)}
        equations["sum of the dissipation"] = Equation(sum(ledger.dissipation), c["dissipated"])
        equations["sum of the injection"] = Equation(sum(ledger.injection), c["injected"])
        return equations

    points: Sequence[tuple[int, int]] = ((792, 1225), (-2208, 1225), (2592, 1225))
    total = sp.Rational(12672, 49)
    return Step(
        "A sustained oscillator",
        r"On the function of one variable with $f' = 25x$ for $x < 1$, $x + 24$ for $1 \le x < 2$ and $25x - 24$ "
        r"beyond, $\mu = 1$ and $L = 25$, heavy ball has an attracting cycle of period 3. Around it the injection is "
        r"exactly the dissipation (here $h = \sqrt{\alpha} = 1/3$ and $b = 1$).",
        (
            *(Claim(f"y_{t}", sp.Rational(*v), f"y_{t}") for t, v in enumerate(points)),
            Claim("dissipated", total, r"\textstyle\sum D"),
            Claim("injected", total, r"\textstyle\sum J"),
        ),
        check,
        kind="finding",
        reference="Lessard, Recht and Packard 2016",
    )


def _threshold() -> Step:
    none = ("nesterov_sc", "triple_momentum")

    def check(c: Values) -> dict[str, Equation]:
        equations = {"first kappa": Equation(cycle_threshold("heavy_ball", 3), c["kappa_3"])}
        for name in none:
            ranges = [cycle_range(name, K, m) for K, m in windings(_LONGEST)]
            claimed = c[f"cycles of {name}"]
            equations[name] = Equation(sp.Integer(sum(map(len, ranges))), claimed)
        return equations

    return Step(
        "From which condition number",
        r"Some function in $F(\mu, L)$ has such a cycle of heavy ball from this $\kappa = L / \mu$ on. Nesterov's "
        rf"method and triple momentum have none up to period {_LONGEST}, for any $\kappa$ and winding number.",
        (
            Claim("kappa_3", 9 + 4 * sp.sqrt(5), r"\kappa_3"),
            Claim("cycles of nesterov_sc", sp.S.Zero, r"n_{\mathrm{NAG}}"),
            Claim("cycles of triple_momentum", sp.S.Zero, r"n_{\mathrm{TMM}}"),
        ),
        check,
        kind="finding",
        reference="Goujaud, Taylor and Dieuleveut 2023",
    )
