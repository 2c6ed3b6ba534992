"""Exact moments of a program on a quadratic, for the tests: one mode of curvature lam, one coordinate.

Every gradient g(P) is lam P, so that the step is z+ = A z + B xi with standard normal xi.
"""

from __future__ import annotations

import numpy as np
import sympy as sp
from scipy import linalg

from odescent.discretize.programs.program import Program
from odescent.discretize.weak.step_moments import stationary_covariance, step_map
from odescent.dynamics.algebra.exact import canonical

lam = sp.Symbol("lam", positive=True)


def linear_map(program: Program) -> tuple[sp.Matrix, sp.Matrix]:
    """A and B in the order of the blocks and of the draws."""
    step = step_map(program, hessian=lam)
    after = sp.Matrix(step.after)
    a, b = after.jacobian(step.state), after.jacobian(step.drawn)
    unknown = {*step.state, *step.drawn}
    assert not unknown & (a.free_symbols | b.free_symbols)
    return a.applyfunc(canonical), b.applyfunc(canonical)


def stationary(program: Program) -> sp.Matrix:
    """The solution S of S = A S A' + B B': the covariance that the chain keeps, symbolically."""
    return stationary_covariance(program, lam).covariance


def after_time(
    program: Program, values: dict[sp.Symbol, object], steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """The propagator and the covariance of the state after some steps from a point."""
    a, b = (np.array(m.subs(values), dtype=float) for m in linear_map(program))
    q, mean, covariance = b @ b.T, np.eye(len(a)), np.zeros_like(a)
    for _ in range(steps):
        mean, covariance = a @ mean, a @ covariance @ a.T + q
    return mean, covariance


def flow(drift: np.ndarray, noise: np.ndarray, time: float) -> tuple[np.ndarray, np.ndarray]:
    """The same for dz = drift z dt + noise dW, by Van Loan's block exponential (doi:10.1109/TAC.1978.1101743)."""
    n = len(drift)
    block = np.block([[-drift, noise @ noise.T], [np.zeros((n, n)), drift.T]])
    grown = linalg.expm(block * time)
    propagator = grown[n:, n:].T
    return propagator, propagator @ grown[:n, n:]
