"""Exact moments of a program on a quadratic, for the tests: one mode of curvature lam, one coordinate.

Every gradient g(P) is lam P, so that the step is z+ = A z + B xi with standard normal xi.
"""

from __future__ import annotations

import numpy as np
import sympy as sp
from scipy import linalg

from odescent.discretize.program import Program
from odescent.dynamics.calculus import substitute, tidy

lam = sp.Symbol("lam", positive=True)


def linear_map(program: Program) -> tuple[sp.Matrix, sp.Matrix]:
    """A and B in the order of the blocks and of the draws."""
    flat, known = program.inlined(), {}
    for c in flat.calls:
        point = substitute(c.point, known)
        known[c.target] = tidy(point * (lam / (1 - lam * c.implicit)))
    state, draws = flat.state, [d.target for d in flat.draws]
    after = [tidy(substitute(flat.next[s], known)) for s in state]
    for e in after:
        assert set(e.terms) <= {*state, *draws}
    row = lambda over: sp.Matrix([[e.terms.get(s, sp.S.Zero) for s in over] for e in after])
    return row(state), row(draws)


def stationary(program: Program) -> sp.Matrix:
    """The solution S of S = A S A' + B B': the covariance that the chain keeps, symbolically."""
    a, b = linear_map(program)
    n, rates = a.rows, {}

    def power(y: sp.Expr) -> sp.Expr:  # exponentials of gam h as powers of one symbol
        number, rate = y.as_coeff_Mul()
        return rates.setdefault(rate, sp.Symbol("T", positive=True)) ** (4 * number)

    def rational(e: sp.Expr) -> sp.Expr:
        return sp.cancel(e.replace(sp.exp, power))

    a, q = a.applyfunc(rational), (b * b.T).applyfunc(sp.expand).applyfunc(rational)
    assert len(rates) <= 1
    s = sp.Matrix(n, n, lambda i, j: sp.Symbol(f"s{min(i, j)}{max(i, j)}"))
    residual = s - a * s * a.T - q
    unknowns = sorted(s.free_symbols, key=str)
    (solved,) = sp.linsolve([residual[i, j] for i in range(n) for j in range(i, n)], unknowns)
    back = {sp.Symbol("T", positive=True): sp.exp(next(iter(rates), sp.S.Zero) / 4)}
    done = s.xreplace(dict(zip(unknowns, solved, strict=True)))
    return done.applyfunc(sp.cancel).xreplace(back)


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
