"""The checker's inequality of a method or flow in rows and matrices of numbers, for searches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..checking.checker import STAR, ZERO, Method, Number, Polynomial, less, symbol
from ..methods.plant import Matrix


class InequalityRows:
    """What the checker has in polynomials, over its vectors: the state and gradients over L (of a flow as they are).

    Attributes:
        y, g: points and gradients, the minimizer last.
        states: x_k, x_{k+1}, ...; of a flow X and X'.
        later: of V's own vectors, a step on.
        n, p, early: how many states, gradients per step, and points that V has function values of.
        mu, L, output: as in the statement.
    """

    def __init__(self, it: Method) -> None:
        self.it, self.n, self.p, self.early = it, it.n, it.p, it.early
        self.mu, self.L, self.output = it.mu, it.L, it.output
        whole = [self._row(symbol(name)) for name in it.vectors]
        none = [[ZERO] * len(whole)]
        points = len(whole) - it.n
        self.y = [self._row(it.where[f"y{i}"]) for i in range(points)] + none
        self.g = whole[it.n :] + none
        self.states = [[self._row(x) for x in state] for state in it.states]
        self.later = self.states[1] + whole[it.n + it.p :]

    def _row(self, vector: Any) -> list[Number]:
        found = (
            {} if isinstance(vector, Number) else vector.c
        )  # the sum of no vectors is the number 0
        return [found.get((0, name), ZERO) for name in self.it.vectors]

    def remainders(
        self, P: Matrix, nu: Mapping[tuple[int, int], Number], lam: Mapping[tuple[int, int], Number]
    ) -> tuple[Matrix, Matrix, dict[tuple[int, int], Number]]:
        """E and D without function values, and the lambda of all pairs (-1, i).

        Args:
            P: over V's own vectors.
            nu, lam: multipliers by pair, those of pairs (-1, i) left out of the second.
        """
        E, D, star = self.it.remainders(P, dict(nu), dict(lam))
        follows = {(STAR, i): star.get((STAR, i), ZERO) for i in range(len(self.y) - 1)}
        return E.matrix(self.it.vectors), D.matrix(self.it.vectors), follows

    def weighted(self, nu: Mapping[tuple[int, int], Number]) -> Matrix:
        """The sum of nu_ij Q_ij without function values, over points that V knows."""
        left, _ = less(Polynomial({}), self.it.factors, dict(nu))
        found: Matrix = (-left.put(self.it.where)).matrix(self.it.vectors)
        return found
