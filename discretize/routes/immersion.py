"""Nesterov's method by passivity and immersion, then a passive interconnection.

Reconstructed after the programme of arXiv:2509.18346: the formulas are this package's own derivation, not
that paper's text, and every step's residual is computed by the engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sympy as sp

from ...dynamics.algebra.calculus import derivative, substitute, tidy
from ...dynamics.algebra.named import taylor_terms
from ...dynamics.algebra.scalars import parameters
from ...dynamics.algebra.vectors import Vector, inner, zero
from ...dynamics.fast_slow.manifold import graph_discriminant, invariance_defect
from ...dynamics.flows.system import System
from ...dynamics.library import system
from ...dynamics.library.second_order import ROUTE_A
from ...dynamics.passivity import PassivityImmersion, modal_roots
from ...dynamics.vector_fields.block import blocks
from ...dynamics.vector_fields.objective import Objective
from ...dynamics.vector_fields.second_order import position, velocity
from ...dynamics.vector_fields.system import L, curvature, mu
from ..faces import Algorithm, Derivation
from ..library import algorithm
from ..library.schemes import scheme
from ..proof.steps import Claim, Equation, Step
from ..step.iteration import STEP
from .notation import IMMERSION
from .plant import control_law, relative_degree, splitting
from .shared import after, coefficient_residuals, equation_residual, method_step

x, p, u, xi, eta, psi, y = blocks("x p u xi eta psi y")
K, a, b, eps, r = parameters("K a b epsilon r")
h = STEP
f = Objective("f")
g = f.grad(x)
q = h * sp.sqrt(mu)
PLANT = {x: p, p: u}
Values = Mapping[str, Any]
_SPLIT = (
    r"$D\psi = [a \nabla^2 f, I]$ splits the tangent space into its kernel, the horizontal lifts of $\xi$, and the "
    r"actuated fibre, with projector $P_V = G\,(L_G\psi)^{-1} D\psi$ (second component shown; the first is zero). The "
    r"metric $D\psi^\top D\psi$ sees the vertical part only."
)


def _loop(manifold: Vector) -> PassivityImmersion:
    return PassivityImmersion(PLANT, u, manifold, K)


def _target() -> Step:
    def check(c: Values) -> dict[str, Equation]:
        on_target = {p: c["pi(x)"]}
        return {
            "psi vanishes on the immersion": Equation(substitute(c["psi"], on_target)),
            "the plant on the manifold is the target": Equation(
                substitute(PLANT[x], on_target), c["x'"]
            ),
        }

    return Step(
        "Plant, target and implicit manifold",
        r"Lift gradient flow to the plant $\dot x = p$, $\dot p = u$. The target $\dot x = -a \nabla f(x)$ is "
        r"immersed by $p = \pi(x)$, and its image is the manifold $\psi(x, p) = 0$.",
        (
            Claim("x'", -a * g, r"\dot{x}"),
            Claim("pi(x)", -a * g, r"\pi(x)"),
            Claim("psi", p + a * g, r"\psi"),
        ),
        check,
        assumes="$a > 0$, $f$ is twice differentiable",
        reference="Astolfi and Ortega 2003",
    )


def _closed_loop() -> Step:
    loop = _loop(p + a * g)

    def check(c: Values) -> dict[str, Equation]:
        closed = loop.closed_loop(zero)
        on_manifold = {p: -a * g}
        return {
            "x'' along the system": Equation(
                derivative(p, closed), substitute(c["x''"], {position: x, velocity: p})
            ),
            "zero dynamics": Equation(substitute(closed[x], on_manifold), c["x' on psi = 0"]),
        }

    return Step(
        "Closed loop",
        r"With $w = 0$ the loop as one equation of second order has Hessian-driven damping, although the cascade "
        r"$\dot x = \psi - a\nabla f$, $\dot\psi = -K\psi$ needs no Hessian. Its zero dynamics are the target.",
        (
            Claim("x''", -loop.system().second_order(x).lhs, r"\ddot{x}"),
            Claim("x' on psi = 0", -a * g, r"\dot{x}_{\psi=0}"),
        ),
        check,
        reference="Alvarez, Attouch, Bolte and Redont 2002",
    )


def _no_acceleration() -> Step:
    cascade = System({"psi": {psi: -K * psi}, "x": {x: psi - a * g}}, output=x)

    def check(c: Values) -> dict[str, Equation]:
        roots = modal_roots(cascade, curvature, r)
        euler = Algorithm(cascade, scheme("semi_implicit_euler", order=("psi", "x")))
        matrix = euler.state_space().modal_matrix(curvature)
        discrete = (r * sp.eye(2) - matrix).det()
        slow, fast = (1 - c["h a"] * lam for lam in (mu, L))
        return {
            "roots of the flow": Equation(roots, (r - c["r_1"]) * (r - c["r_2"])),
            "factors of the step": Equation(discrete, (r - c["factor_1"]) * (r - c["factor_2"])),
            "slowest mode": Equation(slow, c["best rate"]),
            "equals the stiffest": Equation(fast, -c["best rate"]),
        }

    return Step(
        "Without interconnection nothing accelerates",
        r"Pure passivity and immersion ($w = 0$) has real modes $-K$ and $-a\lambda$ on a quadratic, and "
        r"semi-implicit Euler steps them by real factors; balancing $\lambda = \mu$ against $\lambda = L$ gives at "
        r"best gradient descent's rate $(\kappa - 1)/(\kappa + 1)$.",
        (
            Claim("r_1", -K),
            Claim("r_2", -a * curvature),
            Claim("factor_1", 1 - K * h, r"z_1"),
            Claim("factor_2", 1 - h * a * curvature, r"z_2"),
            Claim("h a", 2 / (L + mu), r"h\,a"),
            Claim("best rate", (L - mu) / (L + mu), r"\rho"),
        ),
        check,
        kind="finding",
    )


def _interconnection() -> Step:
    def check(c: Values) -> dict[str, Equation]:
        flow = {x: psi - a * g, psi: -K * psi + c["w"]}
        supplied = b * derivative(f.value(x), flow) + inner(psi, c["w"])
        return {
            "f' along x' = psi - a grad f": Equation(derivative(f.value(x), flow), c["f'"]),
            "E' along the loop": Equation(derivative(c["E"], flow), c["E'"]),
            "the cross terms cancel": Equation(supplied, -a * b * inner(g, g)),
        }

    return Step(
        "Passive interconnection",
        r"Gradient flow is passive from $\psi$ to $\nabla f$ with storage $f$. Feeding its output back through the "
        r"port, $w = -b\nabla f$, joins two passive systems, and the energy $E$ is dissipated.",
        (
            Claim("f'", inner(g, psi) - a * inner(g, g), r"\dot{f}"),
            Claim("w", -b * g),
            Claim("E", b * f.value(x) + inner(psi, psi) / 2),
            Claim("E'", -a * b * inner(g, g) - K * inner(psi, psi), r"\dot{E}"),
        ),
        check,
        assumes="$b > 0$",
    )


def _family() -> Step:
    loop = _interconnected(K).drift

    def check(c: Values) -> dict[str, Equation]:
        speed = loop[x]
        along_it = substitute(c["x''"], {position: x, velocity: speed})
        return {"x'' along the system": Equation(derivative(speed, loop), along_it)}

    return Step(
        "The canonical family",
        "The whole loop as one equation of second order in $x$, with three parameters: the damping $K$, the "
        "feed-through $a$ and the interconnection $b$.",
        (Claim("x''", -system("passive").second_order(y).lhs, r"\ddot{x}"),),
        check,
    )


def _interconnected(gain: sp.Expr) -> System:
    return System({"plant": {x: psi - a * g}, "memory": {psi: -gain * psi - b * g}}, output=x)


def _slow_manifold() -> Step:
    def check(c: Values) -> dict[str, Equation]:
        # invariance order by order, then the condition under which a mode has a real slow graph
        loop = _interconnected(1 / eps)
        slow = {x: loop.drift[x]}
        fast = tidy(eps * loop.drift[psi])
        defect = taylor_terms(invariance_defect(fast, slow, psi, eps, [c["h_0"], c["h_1"]]), eps, 1)
        return {
            "invariance at order 0": Equation(defect[0]),
            "invariance at order 1": Equation(defect[1]),
            "slow flow": Equation(substitute(slow[x], {psi: eps * c["h_1"]}), c["x'"]),
            "discriminant": Equation(
                graph_discriminant(system("passive").linearize(curvature)), c["Delta(lambda)"]
            ),
            "at a = 0, K = 2 sqrt(mu), b = 1": Equation(
                substitute(c["Delta(lambda)"], {a: 0, K: 2 * sp.sqrt(mu), b: 1}),
                c["Delta(lambda) of the limit"],
            ),
        }

    return Step(
        "Fast and slow",
        r"With $\epsilon = 1/K$ the memory is fast, $\epsilon\dot\psi = -\psi - \epsilon b \nabla f$, and it follows "
        r"the slow manifold $\psi = \epsilon h_1(x) + O(\epsilon^2)$. A mode $\lambda$ has a real slow graph only if "
        r"its discriminant is positive: at the accelerated tuning that fails for every $\lambda > \mu$, so the "
        r"manifold picture is literal at $\lambda = \mu$ only.",
        (
            Claim("h_0", zero),
            Claim("h_1", _interconnected(1 / eps).with_fast({psi: eps}).slow_manifold(1)[psi][1]),
            Claim("x'", -(a + eps * b) * g, r"\dot{x}_{\mathrm{slow}}"),
            Claim(
                "Delta(lambda)", (K - a * curvature) ** 2 - 4 * b * curvature, r"\Delta(\lambda)"
            ),
            Claim(
                "Delta(lambda) of the limit",
                4 * (mu - curvature),
                r"\Delta_{a=0,\,K=2\sqrt{\mu},\,b=1}(\lambda)",
            ),
        ),
        check,
        reference="Fenichel 1979",
    )


def _selection() -> Step:
    def check(c: Values) -> dict[str, Equation]:
        polynomial = sp.Poly(modal_roots(system("passive").limit({a: 0}), curvature, r), r)
        chosen = {K: c["K"], b: c["b"]}
        slowest = polynomial.discriminant().subs(curvature, mu)
        return {
            "unit stiffness": Equation(substitute(polynomial.nth(0), chosen), curvature),
            "critical damping at lambda = mu": Equation(substitute(slowest, chosen)),
        }

    return Step(
        "What selects K and b",
        r"In the limit $a \to 0$ ask for unit stiffness (the time scale of $\ddot x = -\nabla f$) and for critical "
        r"damping of the slowest mode $\lambda = \mu$. Neither depends on the step; $a$ is the discretization's own "
        "and is bound to $h$.",
        (Claim("K", 2 * sp.sqrt(mu)), Claim("b", sp.S.One)),
        check,
        kind="choice",
    )


def _equivalent_system(target: Algorithm) -> Step:
    def check(c: Values) -> dict[str, Equation]:
        free = Algorithm(
            system("passive"), scheme("semi_implicit_euler", order=("psi", "y")), where={a: h}
        )
        matrix = free.state_space().modal_matrix(mu)
        rho = 1 - sp.sqrt(mu / L)

        def tuned(e: sp.Expr) -> sp.Expr:
            return substitute(substitute(e, {K: c["K"], b: c["b"]}), {h: 1 / sp.sqrt(L)})

        return {
            "transfer functions agree": Equation(
                target.transfer_function(), tuned(free.transfer_function())
            ),
            "double pole 1 - q at lambda = mu: trace": Equation(tuned(matrix.trace()), 2 * rho),
            "double pole 1 - q at lambda = mu: determinant": Equation(tuned(matrix.det()), rho**2),
        }

    return Step(
        "The same method from another system",
        "Systems to algorithms is many-to-one: semi-implicit Euler, with parameters that depend on the step, gives "
        "the same transfer function. What selects them is the same condition asked of the step: both poles at $1 - q$ "
        r"for $\lambda = \mu$, where $q = h\sqrt{\mu}$.",
        (Claim("K", 2 * sp.sqrt(mu) / (1 + q)), Claim("b", (1 - q) / (1 + q))),
        check,
    )


def nesterov_sc() -> Derivation:
    """Nesterov's method for strongly convex f, by passivity, immersion and interconnection."""
    method = algorithm("nesterov_sc")
    beta = (sp.sqrt(L) - sp.sqrt(mu)) / (sp.sqrt(L) + sp.sqrt(mu))
    ratio = (1 - q) / (1 + q)
    at_y = f.grad(y)
    loop = _loop(p + a * g)
    # first the flow (target, control law, interconnection, tuning), then the method that splitting makes of it
    steps = (
        _target(),
        relative_degree(loop),
        splitting(loop, {x: xi, p: eta}, _SPLIT),
        control_law(loop),
        _closed_loop(),
        _no_acceleration(),
        _interconnection(),
        _family(),
        _slow_manifold(),
        _selection(),
        method_step(
            method,
            "Discretization",
            r"Lie-Trotter with $a = h$: the kick $\dot\psi = -\nabla f(y)$ explicitly, the damping $\dot\psi = "
            r"-K\psi$ by Cayley's rule, then the drift $\dot y = \psi - h\nabla f(y)$ explicitly, with the gradient "
            r"already taken at $y$. Cayley turns the damping $2\sqrt{\mu}$ into Nesterov's momentum, whatever the "
            "step.",
            {psi: (psi - h * at_y) * ratio, y: y + h * after(psi) - h**2 * at_y},
        ),
        equation_residual(
            method,
            limit=2 * sp.sqrt(mu) * velocity + f.grad(position),
            modified=2 * sp.sqrt(mu) * velocity
            + h * f.hess(position, velocity)
            + (1 + h * sp.sqrt(mu)) * f.grad(position),
        ),
        coefficient_residuals(
            method, {"alpha": 1 / L, "beta": beta, "gamma": beta, "delta": sp.S.Zero}
        ),
        _equivalent_system(method),
    )
    return Derivation(
        "nesterov_sc",
        "immersion",
        "Nesterov's accelerated gradient for strongly convex f as a passive interconnection of gradient flow with a "
        "damped memory, discretized by splitting.",
        steps,
        method,
        provenance=ROUTE_A,
        references=("parimi2025", "astolfi2003", "fenichel1979", "nesterov2004"),
        bound_position=y,
        notation=IMMERSION,
    )
