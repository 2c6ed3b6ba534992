"""Adaptive methods: element by element, and with steps that depend on the state."""

from __future__ import annotations

import sympy as sp

from ..._support.errors import check_choice
from ...dynamics.algebra.scalars import parameters
from ...dynamics.algebra.vectors import Vector, VectorSymbol, inner
from ...dynamics.flows.system import System
from ...dynamics.library import system
from ...dynamics.samples.sample import sample
from ...dynamics.vector_fields.block import Block, blocks, start
from ...dynamics.vector_fields.objective import Objective
from .. import controllers
from ..faces import Algorithm
from ..programs.stages import at
from ..programs.substeps import Flow, Let, Scheme
from ..step.iteration import STEP
from .first_order import by_euler
from .schemes import scheme


def adam() -> Algorithm:
    """Adam: averages by the exact exponential with the gradient frozen, then the drift at the step's end.

    beta1 = exp(-a h), beta2 = exp(-b h), learning rate h.
    """
    a, b, beta1, beta2 = parameters("a b beta1 beta2")
    flows = (Flow("first", "exact"), Flow("second", "exact"), Flow("drift", "explicit", time=1))
    return Algorithm(
        system("adam"),
        Scheme(flows, "adam"),
        tuning={a: -sp.log(beta1) / STEP, b: -sp.log(beta2) / STEP},
        name="adam",
        reference="kingma2015",
    )


def rmsprop() -> Algorithm:
    """v+ = beta2 v + (1 - beta2) g*g, x+ = x - h g / sqrt(v+ + eps): RMSprop with eps under the root.

    The average by the exact exponential with the gradient frozen, beta2 = exp(-b h), then the drift.
    """
    b, beta2 = parameters("b beta2")
    return Algorithm(
        system("rmsprop"),
        scheme("lie_trotter", [("second", "exact"), ("drift", "explicit")]),
        tuning={b: -sp.log(beta2) / STEP},
        name="rmsprop",
        reference="tieleman2012",
    )


def adagrad() -> Algorithm:
    """G+ = G + g*g, x+ = x - rate g / sqrt(G+ + delta): semi-implicit Euler with the step h = rate^2.

    The block is v = h G, and eps = h delta; an accumulator that starts at a value has it in delta.
    """
    eps, rate, delta = parameters("eps rate delta")
    return Algorithm(
        system("adagrad"),
        scheme("lie_trotter", [("second", "explicit"), ("drift", "explicit")]),
        tuning={STEP: rate**2, eps: rate**2 * delta},
        name="adagrad",
        reference="duchi2011",
    )


def adagrad_norm() -> Algorithm:
    """G+ = G + |g|^2, x+ = x - rate g / sqrt(G+ + delta), G a number: semi-implicit Euler with the step h = rate^2.

    The block is w = h G, and eps = h delta.
    """
    eps, rate, delta = parameters("eps rate delta")
    return Algorithm(
        system("adagrad_norm"),
        scheme("lie_trotter", [("sum", "explicit"), ("drift", "explicit")]),
        tuning={STEP: rate**2, eps: rate**2 * delta},
        name="adagrad_norm",
        reference="ward2019",
    )


def adadagrad() -> Algorithm:
    """AdaGrad along the gradient over b rows, where b grows to what the norm test with the ratio eta asks for.

    It begins with b0 rows, and at most b_max are taken.
    """
    return _with_growing_batches(adagrad())


def adadagrad_norm() -> Algorithm:
    """AdaGrad-norm along the gradient over b rows, where b grows to what the norm test with the ratio eta asks for.

    It begins with b0 rows, and at most b_max are taken.
    """
    return _with_growing_batches(adagrad_norm())


def _with_growing_batches(method: Algorithm) -> Algorithm:
    """A method of a flow that can be batched, with the norm test behind its step."""
    f, (eta, most) = Objective("f"), parameters("eta b_max")
    flow = system(method.system.name, batched=True)
    (size,) = (b.symbol for b in flow.blocks if b.name == "b")
    rows = at(blocks("x")), sample("u", "rows"), size
    test = controllers.batch_test(f.batch(*rows), f.deviation(*rows), size, eta, most=most)
    return Algorithm(
        flow,
        Scheme((*method.scheme.steps, *test), "tested"),
        tuning=method.tuning,
        name=f"ad{method.name}",
        reference="lau2024",
    )


def adaptive() -> Algorithm:
    """m+ = (1 - h r) m + h a g, v+ = (1 - h q) v + h p g*g, x+ = x - h m+ / sqrt(v+ + eps).

    Explicit Euler for both averages, then the drift. h, a, r, p, q and eps are free: a = r and p = q
    are averages, q = 0 a sum.
    """
    parts = [("first", "explicit"), ("second", "explicit"), ("drift", "explicit")]
    return Algorithm(
        system("adaptive"), scheme("lie_trotter", parts), name="adaptive",
        reference="dasilva2020",
    )  # fmt: skip


def sign_descent() -> Algorithm:
    """x+ = x - h sign(grad f(x)), element by element: explicit Euler; the step h is free."""
    return by_euler(system("sign_flow"), "sign_descent", "bernstein2018")


def normalized_gradient_descent() -> Algorithm:
    """x+ = x - h grad f(x) / |grad f(x)|: explicit Euler on the flow at unit speed; h is free."""
    return by_euler(system("rescaled_flow"), "normalized_gradient_descent", "cortes2006")


def _at(point: Vector) -> tuple[Objective, Vector]:
    """The function of the gradient flow, and its gradient."""
    f = Objective("f")
    return f, f.grad(point)


def polyak_step() -> Algorithm:
    """x+ = x - gam (f(x) - f_star)/|g|^2 g, g = grad f(x): Polyak's step; f_star is the least value of f.

    The relaxation gam is 1 and f_star is 0 unless they are given. As gam -> 0 the method follows
    x' = -(f - f_star)/|g|^2 g, along which f - f_star falls like exp(-t).
    """
    x, gam, least = blocks("x"), parameters("gam"), sp.Symbol("f_star", real=True)
    f, g = _at(x)
    size = gam * (f.value(x) - least) / inner(g, g)
    return by_euler(
        system("gradient_flow"), "polyak_step", "polyak1969", step=size, small=gam,
        tuning={gam: 1, least: 0},
    )  # fmt: skip


def exact_line_search() -> Algorithm:
    """x+ = x - <g, g>/<g, H g> g, g = grad f(x), H = hess f(x): the exact line search of a quadratic.

    It has no small factor, so that no flow is its limit; its derivation has the decrease per step.
    """
    x = blocks("x")
    f, g = _at(x)
    size = inner(g, g) / inner(g, f.hess(x, g))
    return by_euler(system("gradient_flow"), "exact_line_search", "cauchy1847", step=size)


def _long(w: sp.Expr, b: Vector, g: Vector) -> sp.Expr:
    return w * inner(b, b) / inner(b, b - g)


def _short(w: sp.Expr, b: Vector, g: Vector) -> sp.Expr:
    return w * inner(b, b - g) / inner(b - g, b - g)


_FORMS = {"long": _long, "short": _short}


def barzilai_borwein(form: str = "long") -> Algorithm:
    """x+ = x - h g with h = <s, s>/<s, y>, s = x - x_-, y = g - g_-; form "short" takes h = <s, y>/<y, y>.

    As s = -w g_- with the last step w, that is h = w <g_-, g_->/<g_-, g_- - g>: no points are subtracted. h0 is the
    first step, which both forms give where w begins at h0/2 and g_- at 2 g.
    """
    check_choice("form of Barzilai and Borwein's step", form, _FORMS)
    x, h0 = blocks("x"), parameters("h0")
    last, before = Block("w", "scalar", "memory", h0 / 2), VectorSymbol("g_before")
    slope = Objective("f").grad
    flow = System(
        {"descent": {x: -slope(x)}},
        blocks=[
            Block("x", "vector", "state", start),
            last,
            Block(before.name, "vector", "memory", slope(start) * 2),
        ],
        output=x, name="gradient_flow_with_memory", references=("cauchy1847",),
    )  # fmt: skip
    keep = Let({last.symbol: STEP, before: slope(x)}, read={"*": "start"})
    return Algorithm(
        flow, Scheme((Flow("descent", "explicit"), keep), "explicit_euler_with_memory"),
        step=_FORMS[form](last.symbol, before, slope(x)), name="barzilai_borwein", reference="barzilai1988",
    )  # fmt: skip
