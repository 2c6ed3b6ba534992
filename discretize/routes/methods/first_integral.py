"""Adaptive methods from what their flows conserve: the objective and a function of the sum of squares.

Where the squares of the gradient are summed up and the step is divided by the root of the sum, the function of the sum
gains what f loses. That bounds the sum, and so the mean of the squares: a rate for every smooth f bounded below.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sympy as sp

from ...._support.errors import OdescentError
from ....dynamics.algebra.calculus import derivative, tidy, vanishes
from ....dynamics.algebra.exact import canonical
from ....dynamics.algebra.products import Elementwise, _elementwise, slots
from ....dynamics.algebra.scalars import parameters
from ....dynamics.algebra.vectors import ScalarNode, Vector, inner
from ....dynamics.flows.system import System
from ....dynamics.vector_fields.block import blocks
from ....dynamics.vector_fields.objective import Objective
from ...expansion.backward_error import modified_equation
from ...faces import Algorithm, Derivation
from ...library.adaptive import adadagrad_norm as growing
from ...library.adaptive import adagrad as coordinate_method
from ...library.adaptive import adagrad_norm as norm_method
from ...proof.direct import checked_steps
from ...proof.steps import Claim, Equation, Step
from ..notation import FIRST_INTEGRAL, NORM_TEST

gap, time = parameters("Delta t")
direction = blocks("u")
PROVENANCE = (
    "Reconstructed: that the flow conserves this energy, and the rate that follows, are this package's own reading of "
    "the method's continuous limit; the proof for AdaGrad-Norm (arXiv:1806.01811) is of the iterates, and another. The "
    "rate is that of the flow; what the step adds to the energy is its first order, and no bound for the iterates is "
    "claimed."
)
BATCHES = (
    "Reconstructed: the energy of the averaged flow, and the rate that follows where the norm test holds, are this "
    "package's own; the paper (arXiv:2402.11215) proves a rate of the iterates, in another way."
)


def first_integral(system: System) -> sp.Expr:
    """An energy f(x) + Phi(s) that a flow with one objective conserves, where s is its other block.

    The rate of f is to be -r(s) times that of s; then Phi is an integral of r. For a scalar s that is a quotient, for a
    vector it is one in every component, and Phi is the sum over these.

    Args:
        system: of two blocks, the output and the one that sums up.

    Returns:
        a scalar expression whose derivative along the flow is identically zero.

    Raises:
        OdescentError: none of this form is found.
    """
    names = sorted({o.of for o in system.oracles})
    other = [b for b in system.blocks if b.symbol != system.output]
    if len(names) == 1 and len(other) == 1:
        f, s = Objective(names[0]).value(system.output), other[0].symbol
        gained = _by_number(system, f, s) if other[0].kind == "scalar" else _by_component(system, s)
        if gained is not None and vanishes(derivative(f + gained, system.drift)):
            return f + gained
    raise OdescentError(
        f"no first integral f(x) + Phi(s) of {system.name or 'the system'} was found: its second block must gain what "
        "f loses."
    )


def _by_number(system: System, f: sp.Expr, s: sp.Symbol) -> sp.Expr | None:
    """Phi with Phi' s' = -f', for a number s."""
    rate = canonical(-derivative(f, system.drift) / system.drift[s])
    return None if rate.atoms(ScalarNode) else _integral(rate, s)


def _by_component(system: System, s: Vector) -> sp.Expr | None:
    """The sum of Phi over the components, where x' = -g r(s) and s' = c g*g; as a square, which it is if positive."""
    (x,) = [b.symbol for b in system.blocks if b.symbol != s]
    terms = list(system.drift[x].terms.items())
    sums = list(system.drift[s].terms.items())
    if len(terms) != 1 or len(sums) != 1 or not isinstance(terms[0][0], Elementwise):
        return None
    (direction, sign), (_, c) = terms[0], sums[0]
    places = dict(zip(direction.arguments, slots(len(direction.arguments)), strict=True))
    inside = places.pop(s, None)
    if inside is None or len(places) != 1:
        return None
    (g,) = places.values()
    gained = _integral(canonical(-sign * direction.body / (g * c)), inside)
    if gained is None or gained.free_symbols & {g}:
        return None
    root = _elementwise(sp.sqrt(gained).xreplace({inside: slots(1)[0]}), (s,))
    return inner(root, root)


def _integral(rate: sp.Expr, s: sp.Symbol) -> sp.Expr | None:
    """An integral without a constant, found as one of a positive variable."""
    variable = sp.Symbol("s", positive=True)
    found = sp.integrate(rate.xreplace({s: variable}), variable)
    return None if found.has(sp.Integral) else found.xreplace({variable: s})


def _conserved(method: Algorithm, energy: sp.Expr) -> Step:
    bound, x = method.system, method.system.output
    f = Objective(sorted(o.of for o in bound.oracles)[0]).value(x)
    return Step(
        "First integral",
        r"The function of the sum gains what $f$ loses: $E$ is constant along the flow.",
        (Claim("E", energy),),
        lambda c: {
            "E' along the flow": Equation(derivative(c["E"], bound.drift)),
            "E depends on x as f does": Equation(
                derivative(c["E"], {x: direction}), derivative(f, {x: direction})
            ),
        },
    )


def _rate(method: Algorithm) -> Step:
    """The rate of the mean of squares, for a sum that is a number and begins at zero."""
    system = method.system
    (w,) = [b.symbol for b in system.blocks if b.symbol != system.output]
    (eps,) = system.parameters
    squares = system.drift[w]
    root = sp.sqrt(eps) + gap / 2
    most = sp.expand(root**2 - eps)
    f = Objective("f").value(system.output)

    def left(c: Mapping[str, Any]) -> sp.Expr:
        """What the energy has at the start, less than which no f is, against a sum of the size that is claimed."""
        at_end = (first_integral(system) - f).xreplace({w: c["W"]})
        at_start = (first_integral(system) - f).xreplace({w: sp.S.Zero})
        return at_end - at_start

    return Step(
        "Rate",
        r"Since $f \ge f^*$, the sum never exceeds $W$, where the energy of the start is used up by "
        r"$\Delta = f(x_0) - f^*$. The sum is the integral of $|g|^2$, so that its mean over the time $t$ is at most "
        r"$B$: a rate $1/t$ for every smooth function bounded below, whatever its constant $L$.",
        (Claim("W", most), Claim("w'", squares, r"\dot{w}"), Claim("B", most / time)),
        lambda c: {
            "the energy that is used up": Equation(left(c), gap),
            "the sum is the integral of the squares": Equation(system.drift[w], c["w'"]),
            "the mean over the time t": Equation(c["B"] * time, c["W"]),
        },
        kind="finding",
        assumes=r"$f$ is differentiable and bounded below, and the flow exists up to the time $t$.",
    )


def _under_the_norm_test(method: Algorithm) -> tuple[Step, Step, Step]:
    """An energy that the averaged flow does not increase where the norm test holds, the rate, and what a step adds."""
    system, averaged = method.system, modified_equation(method, 1).terms[0]
    (w,) = [b.symbol for b in system.blocks if b.name == "w"]
    eta, eps = parameters("eta eps")
    f = Objective("f")
    g, share = f.grad(system.output), 1 + eta**2
    energy = f.value(system.output) + 2 * sp.sqrt(w + eps) / share
    square, speed = inner(g, g), sp.sqrt(w + eps)
    variance = canonical(averaged[w] / square - 1)
    most = (sp.sqrt(eps) + share * gap / 2) ** 2 - eps

    def gained(c: Mapping[str, Any]) -> sp.Expr:
        """What the energy has gained in w, when w has the size that is claimed."""
        return (energy - f.value(system.output)).xreplace({w: c["W"]}) - 2 * sp.sqrt(eps) / share

    energies = Step(
        "Energy under the norm test",
        r"Let $r$ be the variance of the gradient of the batch over $|\nabla f|^2$. Along the flow that is averaged "
        r"over the batches the energy $E$ changes at the rate $E'$: where the norm test $r \le \eta^2$ holds it does "
        r"not increase, and where $r = \eta^2$ it is conserved.",
        (
            Claim("r", variance),
            Claim("E", energy),
            Claim("E'", (variance - eta**2) * square / (share * speed), r"\dot{E}"),
        ),
        lambda c: {
            "the rate of E": Equation(derivative(c["E"], averaged), c["E'"]),
            "the sign of the rate": Equation(c["E'"], (c["r"] - eta**2) * square / (share * speed)),
            "the relative variance": Equation(averaged[w], (1 + c["r"]) * square),
        },
        kind="finding",
        assumes=r"the batch is held, and its gradient is unbiased.",
    )
    rate = Step(
        "Rate under the norm test",
        r"With $\Delta = f(x_0) - f^*$ the sum never exceeds $W$ where the test holds. The sum is the integral of "
        r"$(1 + r) |\nabla f|^2$, so that the mean of $|\nabla f|^2$ over the time $t$ is at most $B$: for $\eta = 0$ "
        r"the rate of the whole gradient.",
        (Claim("W", most), Claim("B", most / time)),
        lambda c: {
            "the energy that is used up": Equation(gained(c), gap),
            "the mean over the time t": Equation(c["B"] * time, c["W"]),
        },
        kind="finding",
        assumes=r"$f$ is differentiable and bounded below, and the test holds up to the time $t$.",
    )
    return energies, rate, _growth(method, energy, conserved=False)


def _growth(method: Algorithm, energy: sp.Expr, conserved: bool = True) -> Step:
    """What the scheme adds to the rate of the energy, to first order in the step."""
    terms = modified_equation(method, 1).terms
    added = tidy(derivative(energy, terms[1]))
    return Step(
        "What the step adds",
        r"Along the modified equation the energy is not constant: $E' = h E_1 + O(h^2)$."
        if conserved
        else r"Along the modified equation the rate of the energy is $E' + h E_1 + O(h^2)$.",
        (Claim("E", energy), Claim("E_1", added)),
        lambda c: {
            "E' to first order": Equation(derivative(c["E"], terms[1]), c["E_1"]),
            **({"E' at h = 0": Equation(derivative(c["E"], terms[0]))} if conserved else {}),
        },
        kind="defect",
    )


def _derivation(name: str, method: Algorithm, summary: str, rate: bool) -> Derivation:
    energy = first_integral(method.system)
    first, *others = checked_steps(method)
    found = [_conserved(method, energy), *([_rate(method)] if rate else [])]
    steps = (first, *found, *others, _growth(method, energy))
    return Derivation(
        name, "first_integral", summary, steps, method, provenance=PROVENANCE,
        references=tuple(dict.fromkeys((method.reference, *method.system.references))), notation=FIRST_INTEGRAL,
    )  # fmt: skip


def adagrad_norm() -> Derivation:
    """AdaGrad-norm: f + 2 sqrt(w + eps) is conserved, so that the mean of the squares of the gradient falls as 1/t."""
    return _derivation(
        "adagrad_norm",
        norm_method(),
        "The flow of AdaGrad-norm has a first integral, which bounds the sum of squares and so gives its rate.",
        True,
    )


def adagrad() -> Derivation:
    """AdaGrad by coordinates: f + 2 sum_i sqrt(v_i + eps) is conserved."""
    return _derivation(
        "adagrad",
        coordinate_method(),
        "The flow of AdaGrad has a first integral: the objective and twice the sum of the roots.",
        False,
    )


def adadagrad_norm() -> Derivation:
    """AdaGrad-norm with growing batches: the norm test keeps f + 2 sqrt(w + eps)/(1 + eta^2) from growing."""
    method = growing()
    first, *others = checked_steps(method)
    energy, rate, growth = _under_the_norm_test(method)
    return Derivation(
        "adadagrad_norm", "norm_test",
        "The norm test bounds what the batches take from the first integral of AdaGrad-norm, and so gives its rate.",
        (first, energy, rate, *others, growth), method, provenance=BATCHES,
        references=(method.reference, *method.system.references), notation=NORM_TEST,
    )  # fmt: skip
