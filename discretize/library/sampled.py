"""Methods with samples: zeroth-order, sketched, Hutchinson's, and averages of gradients that follow the motion."""

from __future__ import annotations

import sympy as sp

from ..._support.errors import check_choice
from ..._support.numbers import check_whole
from ...dynamics.algebra.scalars import parameters
from ...dynamics.algebra.vectors import zero
from ...dynamics.library import system
from ...dynamics.library.sampled import fall_along, one_gradient, sketched
from ...dynamics.samples.sample import sample
from ...dynamics.vector_fields.block import blocks
from ..faces import Algorithm
from ..programs.stages import at
from ..programs.substeps import Flow, Let, Scheme
from ..step.iteration import STEP
from .first_order import by_euler
from .schemes import scheme

T, tau, beta, beta1, beta2 = parameters("T tau beta beta1 beta2")


def zeroth_order(
    law: str = "normal", difference: str = "central", deferred: bool = False
) -> Algorithm:
    """x+ = x - h ((f(x + r z) - f(x - r z))/(2 r)) z, z drawn in every step: MeZO's step for a normal z.

    ``law`` "coordinate" is descent along random coordinates, ``difference`` "forward" saves the value at x - r z where
    that at x is known. ``deferred`` keeps the sample and the move along it for the start of the next step, as ZO2
    does, which loads each parameter once: a cyclic shift of the scheme, with the same points. The step h and the
    radius r are free.
    """
    flow = system("zeroth_order_flow", law=law, difference=difference, deferred=deferred)
    if not deferred:
        return by_euler(flow, "zeroth_order", "malladi2023")
    x, m, c = (flow.block(name).symbol for name in "xmc")
    z = sample("z", law, like=x)
    measured = Let({m: z, c: STEP * fall_along(z, x, difference)})
    return Algorithm(
        flow, Scheme((measured, Let({x: x + c * m}))).shifted(), name="zeroth_order", reference="malladi2023"
    )  # fmt: skip


def sketched_gradient_descent(rows: int = 2) -> Algorithm:
    """x+ = x - h R^T R grad f(x), R of s fresh normal rows: gradient descent of which s numbers are sent; h is free."""
    return by_euler(system("sketched_flow", rows=rows), "sketched_gradient_descent", "song2023")


def federated_averaging(
    clients: int = 2, local_steps: int = 2, rows: int = 0, private: bool = False
) -> Algorithm:
    """Each client takes K steps y+ = y - (h/K) g_c(y) from x, and x moves by the mean of what they moved.

    A client is a row of a `FiniteSum`, drawn in every round with replacement; with K ``local_steps``, h/K is the
    learning rate. With ``rows`` the mean d is sent as R d, R of so many fresh normal rows, and R^T R d is added.
    ``private`` clips each local gradient to the length bound and adds normals of standard deviation sigma. h, bound
    and sigma are free.
    """
    check_whole("clients", clients, 1, 128)
    check_whole("local_steps", local_steps, 1, 128)
    check_whole("rows", rows, 0, 128)
    x, moved = blocks("x"), zero
    for c in range(1, clients + 1):
        u, y = sample(f"u{c}", "rows"), x
        for k in range(1, local_steps + 1):
            noise = sample(f"n{c}_{k}", like=x) if private else None
            y = y - one_gradient(y, u, noise) * (STEP / local_steps)
        moved = moved + (y - x) / clients
    steps = [Let({x: x + moved})]
    if rows:
        begun = at(x)
        steps.append(Let({x: begun + sketched(x - begun, rows, like=x)}))
    return Algorithm(
        system("minibatch_flow", private=private), Scheme(tuple(steps), "local_steps"),
        name="federated_averaging", reference="song2023" if rows else "mcmahan2017",
    )  # fmt: skip


def adahessian() -> Algorithm:
    """AdaHessian: Adam with the squares of z * H z, z signs, for those of the gradient.

    beta1 = exp(-a h), beta2 = exp(-b h), learning rate h; one Hessian-vector product a step.
    """
    a, b = parameters("a b")
    flows = (Flow("first", "exact"), Flow("second", "exact"), Flow("drift", "explicit", time=1))
    return Algorithm(
        system("adahessian"), Scheme(flows, "adahessian"),
        tuning={a: -sp.log(beta1) / STEP, b: -sp.log(beta2) / STEP}, name="adahessian", reference="yao2021",
    )  # fmt: skip


def implicit_gradient_transport(normalized: bool = False, noise: str = "") -> Algorithm:
    """d+ = beta d + (1 - beta) g(x - (beta/(1 - beta)) h d), x+ = x - h d+: past gradients as if asked for at x.

    The average is exact with the gradient held, beta = exp(-h/T), and the look-ahead tau = h beta/(1 - beta) tends to
    T. ``normalized`` moves by d/|d| (N-PG-IGT). h and beta are free. With the ``noise`` "minibatch" g is that of random
    rows of a `FiniteSum`, or of outcomes of an `Expectation`: then it is a policy gradient method.
    """
    check_choice("noise", noise, ("", "minibatch"))
    decay = sp.exp(-STEP / T)
    return Algorithm(
        system(
            "averaged_gradient_flow", correction="look_ahead", normalized=normalized, batched=bool(noise)
        ),
        scheme("lie_trotter", [("average", "frozen exact"), ("descent", "explicit")]),
        where={tau: STEP * decay / (1 - decay)}, tuning={T: -STEP / sp.log(beta)},
        name="implicit_gradient_transport", reference="arnold2019",
    )  # fmt: skip


def hessian_aided_momentum(normalized: bool = False, noise: str = "") -> Algorithm:
    """d+ = beta (d + H(y)(x - x_-)) + (1 - beta) g(x), x+ = x - h d+, y uniform between x_- and x.

    The descent comes first in a step, its length at y a sample. ``normalized`` moves by d/|d| (N-HARPG). h and beta
    are free. With the ``noise`` "minibatch" g and H are those of random rows of a `FiniteSum`, or of outcomes of an
    `Expectation`, each of its own: of a policy gradient method two trajectories in a step.
    """
    check_choice("noise", noise, ("", "minibatch"))
    place = sample("p" if noise else "u", "uniform")
    steps = (
        Flow("descent", "explicit", place, save="between", commit=False),
        Flow("descent", "explicit"),
        Flow("transport", "explicit", read={"*": "start", "x": "between"}),
        Flow("average", "frozen exact"),
    )
    return Algorithm(
        system(
            "averaged_gradient_flow", correction="hessian", normalized=normalized, batched=bool(noise)
        ),
        Scheme(steps, "hessian_aided_momentum"),
        tuning={T: -STEP / sp.log(beta)}, name="hessian_aided_momentum", reference="fatkhullin2023",
    )  # fmt: skip
