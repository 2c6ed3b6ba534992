"""Gradient descent with steps that depend on the state: Polyak's, exact line search, Barzilai and Borwein's."""

from __future__ import annotations

import sympy as sp

from ..._support.errors import check_choice
from ...dynamics.algebra.scalars import parameters
from ...dynamics.algebra.vectors import Vector, VectorSymbol, blocks, inner
from ...dynamics.flows.system import System
from ...dynamics.library import system
from ...dynamics.vector_fields.block import Block, start
from ...dynamics.vector_fields.objective import Objective
from ..faces import Algorithm
from ..programs.substeps import Flow, Let, Scheme
from ..step.iteration import STEP
from .first_order import by_euler


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
