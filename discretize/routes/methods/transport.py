"""Averages of gradients that follow the motion: how far behind they are, by their slow manifolds.

An average with the time constant T of the gradients along x' = -d settles on a graph d = g + T d_1 + T^2 d_2 + ... over
x, which is invariant: T (d)' along the flow is what the average is driven by. Without a correction d_1 = H g. With the
look-ahead of implicit gradient transport d_1 = 0 and d_2 = D^3 f[g, g]/2, and with the Hessian fed forward the graph is
g itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ....dynamics.algebra.calculus import derivative, tidy
from ....dynamics.algebra.scalars import parameters
from ....dynamics.library import system
from ....dynamics.vector_fields.block import blocks
from ....dynamics.vector_fields.objective import Objective
from ...faces import Algorithm, Derivation
from ...library.sampled import hessian_aided_momentum as aided
from ...library.sampled import implicit_gradient_transport as transported
from ...linear.state_space import z
from ...proof.direct import checked_steps
from ...proof.steps import Claim, Equation, Step

x, d = blocks("x d")
T, tau = parameters("T tau")
f = Objective("f")
g = f.grad(x)
Values = Mapping[str, Any]
NOTATION = (
    ("x, d", r"are the position and the average of gradients"),
    ("T", r"is its time constant"),
    (
        "g, H",
        r"are the gradient and the Hessian at $x$; in a finding on transfer functions $H$ is that",
    ),
    ("h", r"is the step"),
    ("z", r"is the shift by one step, the variable of transfer functions"),
    (r"\beta, \tau", r"are the weight of the past average and the time that is looked ahead"),
)
PROVENANCE = (
    "Reconstructed: that the lag of an average is its slow manifold, and that the look-ahead without normalization is "
    "gradient descent read at an average, are this package's own reading of arXiv:1906.03532 and arXiv:2302.01734."
)


def _plain() -> Step:
    found = system("averaged_gradient_flow").with_fast({d: T}).slow_manifold(2)[d]
    hg = f.grad(x, along=(g,))
    return Step(
        "Lag of a plain average",
        r"$\dot d = (g - d)/T$ along $\dot x = -d$ settles on $d = g + T d_1 + T^2 d_2 + O(T^3)$, which is invariant: "
        r"$d = g + T\, D_x d\,[d]$ in each power of $T$. An average is behind by $T H g$.",
        (Claim("d_1", found[1]), Claim("d_2", found[2])),
        lambda c: {
            "invariance at T": Equation(c["d_1"], hg),
            "invariance at T^2": Equation(
                c["d_2"], derivative(c["d_1"], {x: g}) + f.grad(x, along=(c["d_1"],))
            ),
        },
    )


def _ahead() -> Step:
    flow = system("averaged_gradient_flow", correction="look_ahead").bind({tau: T})
    found = flow.with_fast({d: T}).slow_manifold(2)[d]
    third = tidy(derivative(f.grad(x, along=(d,)), {x: d}))

    def check(c: Values) -> dict[str, Equation]:
        asked = -f.grad(x, along=(g,))  # of g(x - T d), at the first power
        bent = derivative(f.grad(x, along=(g,)), {x: g}) - f.grad(x, along=(f.grad(x, along=(g,)),))
        return {
            "invariance at T": Equation(c["e_1"], asked + derivative(g, {x: g})),
            "invariance at T^2": Equation(c["e_2"], bent / 2),
            "D^3 f[d, d]": Equation(third, c["D^3 f[d, d]"]),
        }

    return Step(
        "Lag with the look-ahead",
        r"$\dot d = (\nabla f(x - T d) - d)/T$ asks where $d$ is as old as the average: "
        r"$d = g + T e_1 + T^2 e_2 + O(T^3)$ has $e_1 = 0$ and $e_2 = D^3 f[g, g]/2$, so that there is no lag on "
        r"quadratics.",
        (Claim("e_1", found[1]), Claim("e_2", found[2]), Claim("D^3 f[d, d]", third)),
        check,
        kind="finding",
    )


def _aided() -> Step:
    flow = system("averaged_gradient_flow", correction="hessian")
    lag = flow.derivative(d - g)
    return Step(
        "No lag with the Hessian",
        r"With $H \dot x$ fed forward the error $\psi = d - g$ obeys $\dot\psi = -\psi/T$ for every $f$: passivity and "
        r"immersion with the manifold $d = g$.",
        (Claim("psi", d - g, r"\psi"), Claim("psi'", lag, r"\dot\psi")),
        lambda c: {
            "psi' along the flow": Equation(derivative(c["psi"], flow.mean_drift), c["psi'"]),
            "psi' = -psi/T": Equation(c["psi'"], c["psi"] * (-1 / T)),
        },
        kind="finding",
    )


def _seen_at_an_average(method: Algorithm) -> Step:
    transfer, h = method.transfer_function(), method.step
    return Step(
        "Gradient descent in disguise",
        r"Without normalization, and with constant coefficients, the transfer function from the gradient to its point "
        r"is that of gradient descent with the step $h$, whatever $\beta$: the points of the gradients are its "
        r"iterates, and $x$ is an average of them (from $d = 0$).",
        (Claim("H", transfer),),
        lambda c: {"of gradient descent": Equation(c["H"], -h / (z - 1))},
        kind="finding",
    )


def _derivation(name: str, method: Algorithm, summary: str, *found: Step) -> Derivation:
    first, *others = checked_steps(method)
    return Derivation(
        name, "lag", summary, (first, *found, *others), method, provenance=PROVENANCE,
        references=tuple(dict.fromkeys((method.reference, *method.system.references))),
        notation=NOTATION,
    )  # fmt: skip


def implicit_gradient_transport() -> Derivation:
    """Implicit gradient transport: a lag of second order, and gradient descent in disguise without normalization."""
    method = transported()
    return _derivation(
        method.name,
        method,
        "An average of gradients is behind by T H g; asked for ahead, by (T^2/2) D^3 f[g, g].",
        _plain(),
        _ahead(),
        _seen_at_an_average(method),
    )


def hessian_aided_momentum() -> Derivation:
    """Hessian-aided momentum: an average of gradients without a lag, for every function."""
    method = aided()
    return _derivation(
        method.name,
        method,
        "An average of gradients is behind by T H g; with the Hessian fed forward it is not behind at all.",
        _plain(),
        _aided(),
    )
