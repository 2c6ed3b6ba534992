"""Methods for sums of operators, with past operator values, or with sequential updates of the coordinates."""

from __future__ import annotations

import sympy as sp

from ..._support.errors import OdescentError, check_choice
from ..._support.rendering.brief import short
from ...dynamics.algebra.scalars import parameters
from ...dynamics.flows.system import System
from ...dynamics.library import system
from ...dynamics.vector_fields.block import Block, blocks, start
from ...dynamics.vector_fields.objective import Objective
from ...dynamics.vector_fields.system import L
from ..faces import Algorithm
from ..programs.substeps import START, Flow, Let, Scheme, Sweep, previous
from ..step.compile import COUNTER
from ..step.iteration import STEP
from .first_order import by_euler
from .schemes import scheme


def with_memory(flow: System, *memory: Block) -> System:
    """The system with further blocks, which no field moves."""
    return System(
        flow.fields, blocks=[*flow.blocks, *memory], output=flow.output, time=flow.time,
        name=flow.name, provenance=flow.provenance, references=flow.references,
    )  # fmt: skip


def ogda() -> Algorithm:
    """z+ = z - 2 h F(z) + h F(z_-), optimistic descent-ascent: two explicit steps, less one with F where z was.

    The past value is kept, so that F is called once a step; it starts at F(z_0), which is z_{-1} = z_0.
    """
    steps = (Flow("flow", "explicit", 2), Flow("flow", "explicit", -1, read={"*": previous()}))
    return Algorithm(
        system("saddle_flow"), Scheme(steps, "optimistic"), tuning={STEP: 1 / (2 * L)}, name="ogda",
        reference="popov1980",
    )  # fmt: skip


def proximal_gradient() -> Algorithm:
    """x+ = prox_{h r}(x - h grad f(x)): forward Euler on f, then backward Euler on r; h = 1/L."""
    return Algorithm(
        system("composite_flow"),
        scheme("lie_trotter", [("forward", "explicit"), ("backward", "implicit")]),
        tuning={STEP: 1 / L},
        name="proximal_gradient",
        reference="lions1979",
    )


def douglas_rachford() -> Algorithm:
    """x = prox_{h f}(z), y = prox_{h r}(2 x - z), z+ = z + y - x: (I + R_r R_f)/2 with R = 2 prox - I.

    Backward Euler on f, a reflection, backward Euler on r, and the mean with the start. The answer is
    the shadow x of the step before, not z, whose fixed points depend on h. The step h is free.
    """
    x, y, z = blocks("x y z")
    flow = System(
        {n: {z: -Objective(of).grad(z)} for n, of in (("first", "f"), ("second", "r"))},
        blocks=[Block("x", role="memory", init=start), Block("y", role="memory", init=start)],
        output=z,
        init={z: start},
        name="composite_flow",
        references=("lions1979",),
    )
    steps = (
        Flow("first", "implicit"),
        Let({x: z}),
        Let({z: 2 * x - z}, read={z: START}),
        Flow("second", "implicit"),
        Let({y: z}),
        Let({z: z + y - x}, read={z: START}),
    )
    return Algorithm(
        flow, Scheme(steps, "douglas_rachford"), outputs={"x": x, "governing": z},
        name="douglas_rachford", reference="lions1979",
    )  # fmt: skip


def halpern(step: str = "explicit") -> Algorithm:
    """z+ = z_0 / (k+2) + (k+1)/(k+2) T(z) with T = I - h F: Halpern's iteration, h = 1/L.

    Explicit Euler on z' = -F(z), then backward Euler on the pull (z_0 - z) / t, at the end of the
    step, t = (k+1) h. ``step`` "implicit" makes T = (I + h F)^-1 the resolvent, with h free.
    """
    if step not in {"explicit", "implicit"}:
        raise OdescentError(f"step of halpern must be 'explicit' or 'implicit', not {short(step)}.")
    z = blocks("z")
    steps = (Flow("flow", step, on=z), Flow("anchoring", "implicit", time=1))
    return Algorithm(
        system("anchored_flow"),
        Scheme(steps, "lie_trotter"),
        tuning={STEP: 1 / L} if step == "explicit" else {},
        clock=COUNTER * STEP,
        name="halpern",
        reference="halpern1967",
    )


def newton(regularized: bool = False) -> Algorithm:
    """x+ = x - h H(x)^-1 grad f(x): explicit Euler on Newton's flow, h = 1 (less: damped).

    H is the derivative of grad f, known by its products. ``regularized``: (H(x) + lam I)^-1 grad f(x).
    """
    flow = system("newton_flow", regularized=regularized)
    return by_euler(flow, "newton", "smale1976", tuning={STEP: sp.S.One})


_ORDERS = {"forward": (False,), "backward": (True,), "symmetric": (False, True)}


def _swept(by: str, order: str) -> Scheme:
    check_choice("order of a sweep called", order, _ORDERS)
    passes = _ORDERS[order]
    share = sp.Rational(1, len(passes))
    return Scheme(tuple(Sweep("descent", by, share, on="x", backward=b) for b in passes), "sweep")


def sor(order: str = "forward") -> Algorithm:
    """x_i+ = x_i - omega (grad f)_i / a_ii, coordinate by coordinate: successive over-relaxation for A x = b.

    A sweep of Cayley steps on x' = -D^-1 grad f(x), with omega = 2 h / (2 + h), so h = 2 omega / (2 - omega);
    on a quadratic f it is Itoh and Abe's discrete gradient too, whence f decreases for every h > 0, 0 <
    omega < 2. omega = 1 is Gauss and Seidel's method. ``order`` is "forward", "backward", or "symmetric":
    SSOR, a sweep each way, with h/2 each; then omega is 2 h / (4 + h) in both, and h = 4 omega / (2 - omega).
    """
    omega, passes = parameters("omega"), len(_ORDERS.get(order, ()))
    return Algorithm(
        system("diagonally_preconditioned_gradient"), _swept("cayley", order),
        tuning={STEP: 2 * passes * omega / (2 - omega)}, name="sor", reference="miyatake2018",
    )  # fmt: skip


def itoh_abe(order: str = "forward") -> Algorithm:
    """x_i+ = x_i - (h / d_i) (f(x with x_i+) - f(x)) / (x_i+ - x_i), coordinate by coordinate: f decreases for every h.

    The discrete gradient method on x' = -D^-1 grad f(x), for f that is smooth and bounded below: f(x+) - f(x) is
    the sum of -(d_i / h) (x_i+ - x_i)^2. So d, the diagonal of the Hessian at x0, has to be positive; where it is
    not, f would climb, and a run is refused. h is free. ``order`` as in "sor".
    """
    return Algorithm(
        system("diagonally_preconditioned_gradient"), _swept("discrete_gradient", order),
        name="itoh_abe", reference="itoh1988", positive=("d",),
    )  # fmt: skip


def coordinate_descent(order: str = "forward") -> Algorithm:
    """x_i+ = x_i - (h / d_i) (grad f)_i, each coordinate seeing those before it: explicit coordinate descent.

    d and ``order`` as in "itoh_abe"; where every d_i is at least the i-th diagonal entry of every Hessian,
    f decreases for 0 < h < 2.
    """
    return Algorithm(
        system("diagonally_preconditioned_gradient"), _swept("explicit", order),
        name="coordinate_descent", reference="wright2015", positive=("d",),
    )  # fmt: skip
