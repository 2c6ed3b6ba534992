"""The Lyapunov inequality of a method over F(mu, L), in floats: the search that exact proofs start from.

Units are L = 1. The method is x+ = A x + B u, y = C x + D u with p gradients u = g(y) a step, taken around
its fixed point. With s steps of memory

    V_k = [x_k; u_k; ...; u_{k+s-1}]' P [...] + sum p_i f_i,      s + 1 groups of gradients in all,

and with the interpolation slacks Q_ij >= 0 of F(mu, L) between all gradient points and the minimizer

    V - sum nu_ij Q_ij = E,      tau V - V+ - sum lambda_ij Q_ij = D,      nu, lambda >= 0.

E > 0 and D >= 0 prove the rate sqrt(tau). The function values have to cancel: that fixes p by nu, and each
lambda from the minimizer by the others, so that only inequalities remain (Taylor, Van Scoy, Lessard,
arXiv:1803.06073, in this form).
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from jaxtyping import Float

from odescent._errors import OdescentError
from odescent.discretize.modal import modal_poles

from .margin import MarginProgram

if TYPE_CHECKING:
    from odescent.discretize import Algorithm, StateSpace

Method: TypeAlias = "Algorithm | StateSpace | dict[str, object] | tuple[Any, ...]"
_NARROW = 1e-4  # mu / L from which on a rate is sought relative to 1 - rate, which takes five times as long
STAR = -1  # the minimizer among the points
_DOUBLINGS = (
    50  # of a sum that has converged by then, unless a mode's rate is within 1e-13 of its bound
)


def pairs(points: int) -> list[tuple[int, int]]:
    """All ordered pairs of different points, the minimizer among them."""
    return list(itertools.permutations(range(STAR, points), 2))


def free_pairs(points: int) -> list[tuple[int, int]]:
    """The pairs whose multipliers are unknowns of the decrease: not those from the minimizer."""
    return [(i, j) for i, j in pairs(points) if i != STAR]


@dataclass(frozen=True)
class Pieces:
    """The parts of one candidate: P (over R x and u / unit), the multipliers of E and of D by pair, and the margin."""

    P: Float[np.ndarray, "m m"]
    nu: dict[tuple[int, int], float]
    free: dict[tuple[int, int], float]
    margin: float


class LyapunovLMI:
    """The inequality as data: built once for a method, solved for any tau.

    It is stated in the state R x of `balanced` and the inputs u / unit: in the method's own coordinates, x_k and
    x_{k-1} say, the search can end 1e-4 above the least rate.

    Args:
        A, B, C, D: the method.
        mu, L: the class.
        steps: groups of gradients in V, s above.
        R: other coordinates than those of `balanced`; the unit is 1 then.
    """

    def __init__(
        self,
        A: Any,
        B: Any,
        C: Any,
        D: Any,
        mu: float,
        L: float,
        steps: int = 2,
        R: Any = None,
    ) -> None:
        # an implicit step of many 1 / L moves the points far: its gradients get a larger unit
        far = 1.0 if R is not None else max(1.0, float(np.abs(L * D).max()))
        self.unit = 2.0 ** -math.ceil(math.log2(far))
        ratio, B, D = mu / L, L * B, L * D
        self.R = balanced(A, B, C, D, ratio) if R is None else R
        back = np.linalg.inv(self.R)
        A, B, C = self.R @ A @ back, self.R @ B, C @ back
        n, p = B.shape
        size, m = n + p * (steps + 1), n + p * steps
        self.m = m
        inputs = self.unit * np.eye(size)[n:].reshape(steps + 1, p, size)
        state, points, after = np.eye(n, size), [], np.empty(0)
        for u in inputs:
            points.append(C @ state + D @ u)
            state = A @ state + B @ u
            after = after if after.size else state
        y, g = np.concatenate(points), inputs.reshape(-1, size)
        self.of_e, self.of_d = pairs(p * steps), free_pairs(p * (steps + 1))
        slack = {ij: _slack(y, g, ij, ratio) for ij in pairs(p * (steps + 1))}
        packed = m * (m + 1) // 2
        self.starts = (packed, packed + len(self.of_e))  # of nu and of lambda among the unknowns
        self.unknowns = unknowns = self.starts[1] + len(self.of_d)
        e = np.zeros((unknowns, m, m))
        d = np.zeros((2, unknowns, size, size))  # the constant part, the part times tau
        e[:packed] = _congruences(np.eye(m))
        d[1, :packed] = _congruences(np.eye(m, size))
        d[0, :packed] = -_congruences(np.vstack([after, np.eye(size)[n + p :]]))
        for a, (i, j) in enumerate(self.of_e, self.starts[0]):
            e[a] = -slack[i, j][:m, :m]
        for a, ij in enumerate(self.of_d, self.starts[1]):
            d[0, a] = -slack[ij]
        self.star = star = self._from_the_minimizer(p, p * (steps + 1))
        for part, point in itertools.product(range(2), range(p * (steps + 1))):
            d[part] -= star[part, point][:, None, None] * slack[STAR, point]
        itself = np.eye(unknowns)[packed:]
        self._signs = np.stack([np.vstack([itself, star[0]]), np.vstack([0 * itself, star[1]])])
        self._e, self._d = e, d
        self.program = MarginProgram([(d[0], d[1]), (e, 0 * e)], (self._signs[0], self._signs[1]))

    def at(self, tau: float) -> tuple[Any, Any, Any]:
        """D, E and the multipliers at tau, as arrays whose first axis, or last, is the unknown."""
        return self._d[0] + tau * self._d[1], self._e, self._signs[0] + tau * self._signs[1]

    def _from_the_minimizer(self, p: int, count: int) -> Float[np.ndarray, "2 count unknowns"]:
        """The multipliers from the minimizer to each point, for which the function values cancel."""
        star = np.zeros((2, count, self.unknowns))
        for a, (i, j) in enumerate(self.of_e, self.starts[0]):
            for point, sign in ((i, 1.0), (j, -1.0)):
                if point != STAR:
                    star[1, point, a] -= sign
                    star[0, point + p, a] += sign
        for a, (i, j) in enumerate(self.of_d, self.starts[1]):
            star[0, i, a] += 1
            if j != STAR:
                star[0, j, a] -= 1
        return star

    def solve(self, tau: float) -> Pieces:
        """The candidate with the largest margin; positive, it is a rate sqrt(tau), which is still to be proved."""
        return self.pieces(*self.program.solve(tau))

    def pieces(self, x: Float[np.ndarray, " unknowns"], margin: float) -> Pieces:
        """The unknowns by what they are."""
        P = np.zeros((self.m, self.m))
        P[np.triu_indices(self.m)] = x[: self.starts[0]]
        nu = dict(zip(self.of_e, x[self.starts[0] : self.starts[1]].tolist(), strict=True))
        free = dict(zip(self.of_d, x[self.starts[1] :].tolist(), strict=True))
        return Pieces(P + np.triu(P, 1).T, nu, free, margin)

    def search(self, lowest: float, tol: float = 1e-7) -> float | None:
        """The least rate in [lowest, 1) with a candidate that holds in floats, within tol; None if there is none.

        ``lowest`` is a rate that some function of the class attains, below which the margin is not positive.
        """
        found = self.program.least(lowest, 1.0, tol, lambda rate: rate * rate)
        return None if found is None else found[0]


def worst_case_rate(
    algorithm: Method, mu: float, L: float, tol: float = 1e-7, steps: int = 2
) -> float:
    """A rate over F(mu, L) from the Lyapunov inequality, in floats: about the least; inf if none is found.

    The quick function for maps and searches; `certify` proves such a rate.

    Args:
        algorithm: an algorithm with a state-space view, or its matrices (A, B, C) or (A, B, C, D), or a mapping
            of alpha, beta, gamma of the three-parameter form.
        mu, L: the class, 0 < mu <= L.
        tol: how near to the least rate.
        steps: memory of the Lyapunov function.

    Raises:
        OdescentError: constants that are no class, or a method that `certify` refuses.
    """
    if not 0 <= mu <= L < math.inf:
        raise OdescentError(f"a class has 0 <= mu <= L, not mu = {mu} and L = {L}.")
    mu, L = float(mu), float(L)  # of SymPy's numbers
    A, B, C, D = matrices(algorithm, mu, L)
    if mu == 0 or not all(np.isfinite(m).all() for m in (A, B, C, D)):
        return math.inf
    lowest = float(modal_radii(A, B, C, D, mu, L)[1].max())
    if not lowest < 1:  # or infinite, where an implicit step has no solution
        return math.inf
    if mu < _NARROW * L:
        from .least import least_rate

        return least_rate(algorithm, mu, L, steps)
    found = LyapunovLMI(A, B, C, D, mu, L, steps).search(lowest, tol)
    return math.inf if found is None else found


def modal_radii(
    A: Any, B: Any, C: Any, D: Any, mu: float, L: float, modes: int = 65
) -> tuple[Float[np.ndarray, " modes"], Float[np.ndarray, " modes"]]:
    """Curvatures in [mu, L], spaced geometrically and with the ends, and the largest pole at each, in floats."""
    spaced = np.geomspace if mu > 0 else np.linspace
    curvatures = spaced(mu, L, modes)
    return curvatures, np.abs(modal_poles(A, B, C, D, curvatures)).max(axis=1)


def balanced(A: Any, B: Any, C: Any, D: Any, ratio: float) -> Float[np.ndarray, "n n"]:
    """Coordinates R x in which the method contracts evenly on quadratics; in units L = 1, entries of few bits.

    R'R is a Lyapunov matrix for a few curvatures at once, each at a rate that all modes undercut if any is below 1.
    """
    n, p = B.shape
    rate = (1 + modal_radii(A, B, C, D, ratio, 1.0)[1].max()) / 2
    total = np.zeros((n, n))
    for curvature in (ratio, math.sqrt(ratio), 1.0):
        step = A + curvature * B @ np.linalg.solve(np.eye(p) - curvature * D, C)
        gramian, power = np.eye(n), step / rate
        for _ in range(_DOUBLINGS):  # the sum of M'^k M^k, twice as many terms each time
            gramian, power = gramian + power.T @ gramian @ power, power @ power
            if not 0 < np.abs(power).max() < 1e50:
                break
        total += gramian / np.trace(gramian)
    try:
        R = np.linalg.cholesky(total).T if np.isfinite(total).all() else np.eye(n)
    except np.linalg.LinAlgError:  # states that differ by 1e-16 of what they share
        return np.eye(n)
    # powers of two times small whole numbers, so that exact products stay short
    unit = 2.0 ** np.floor(np.log2(np.diag(R)))[:, None] / 64
    return np.round(R / unit) * unit


def matrices(algorithm: Method, mu: float, L: float) -> tuple[Any, Any, Any, Any]:
    """A, B, C, D of a method as floats, in its own units; see `worst_case_rate`."""
    if isinstance(algorithm, dict):
        alpha, beta, gamma = (float(algorithm.get(n, 0.0)) for n in ("alpha", "beta", "gamma"))  # type: ignore[arg-type]
        return (
            np.array([[1 + beta, -beta], [1.0, 0.0]]), np.array([[-alpha], [0.0]]),
            np.array([[1 + gamma, -gamma]]), np.zeros((1, 1)),
        )  # fmt: skip
    if isinstance(algorithm, tuple):
        A, B, C = (np.asarray(m, dtype=float) for m in algorithm[:3])
        D = (
            np.asarray(algorithm[3], dtype=float)
            if len(algorithm) > 3
            else np.zeros((B.shape[1],) * 2)
        )
        return A, B, C, D
    from .plant import read

    return read(algorithm, mu, L).floats()


def _congruences(t: Float[np.ndarray, "m N"]) -> Float[np.ndarray, "packed N N"]:
    """The matrices t' S t for the unit symmetric matrices S."""
    i, j = np.triu_indices(len(t))
    product: Float[np.ndarray, "packed N N"] = t[i][:, :, None] * t[j][:, None, :]
    product[i != j] += product[i != j].transpose(0, 2, 1)
    return product


def _slack(y: Any, g: Any, ij: tuple[int, int], k: float) -> Float[np.ndarray, "N N"]:
    """The quadratic part of the interpolation slack between two points, times 2 (1 - mu / L)."""
    zero = np.zeros(y.shape[1])
    yi, gi = (zero, zero) if ij[0] == STAR else (y[ij[0]], g[ij[0]])
    yj, gj = (zero, zero) if ij[1] == STAR else (y[ij[1]], g[ij[1]])
    dy, dg = yi - yj, gi - gj
    cross = -2 * (1 - k) * np.outer(gj, dy) + 2 * k * np.outer(dg, dy)
    return (cross + cross.T) / 2 - np.outer(dg, dg) - k * np.outer(dy, dy)
