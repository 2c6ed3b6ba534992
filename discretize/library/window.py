"""Methods that precondition with the last gradients."""

from __future__ import annotations

import sympy as sp

from ...dynamics.algebra.operators import identity, linear_solve
from ...dynamics.algebra.products import apply, transpose
from ...dynamics.algebra.scalars import parameters
from ...dynamics.algebra.vectors import blocks
from ...dynamics.algebra.windows import push
from ...dynamics.flows.system import System
from ...dynamics.vector_fields.block import Block
from ...dynamics.vector_fields.objective import Objective
from ..faces import Algorithm
from ..programs.substeps import Flow, Let, Scheme


def m_fac(window: int | sp.Symbol = 32) -> Algorithm:
    """x+ = x - h (delta 1 + (1/m) G G^T)^-1 g, where the m columns of G are the last gradients, g among them.

    The matrix of the empirical Fisher information is inverted by a system of size m. ``window`` is m.
    """
    x = blocks("x")
    delta = parameters("delta")
    block = Block("G", history=window)
    G, m, g = block.symbol, block.history, Objective("f").grad(x)
    fisher = identity * delta + apply(G, transpose(G)) / m
    return Algorithm(
        System(
            {"descent": {x: -linear_solve(fisher, g)}}, blocks=[block], output=x, name="m_fac_flow"
        ),
        Scheme((Let({G: push(G, g)}), Flow("descent", "explicit")), "push_and_descend"),
        name="m_fac",
        reference="frantar2021",
    )
