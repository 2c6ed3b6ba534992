"""Spectra of algorithms on quadratics: eigenvalues mode by mode, root loci, and the tuning that is best on [mu, L].

On a quadratic with curvatures lambda in [mu, L] a linear time-invariant algorithm acts on each mode by the matrix
M(lambda) = A + B lambda (I - lambda D)^-1 C of its state space; the asymptotic rate is the largest spectral radius
of these (e.g. Lessard, Recht, Packard, 2016, arXiv:1408.3595, section 2). Of an algorithm with noise they are the
modes of the mean, which obeys the step without its draws.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy as sp
from jaxtyping import Complex, Float

from ..._support.errors import NotCarried, OdescentError, unknown
from ..._support.numbers import check_whole, real
from ..._support.rendering.brief import short
from ..._support.rendering.drawable import drawn
from ..._support.rendering.rendered import Rendered
from ...discretize import Algorithm
from ...dynamics.evaluation.evaluate import evaluate
from ...dynamics.flows.parameters import check_domain
from ..attraction.grid import axis_values

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CURVATURES = 129
_COARSE = 33
_DOUBLE = 2e-7  # poles that are one as far as double precision tells, relative to the matrix
_lambda = sp.Symbol("lambda_mode", positive=True)


@dataclass(frozen=True)
class Locus(Rendered):
    """Eigenvalues against one parameter.

    Attributes:
        parameter: its name.
        values: shape (n,).
        modes: curvatures, shape (k,): mu and L, and the requested ones.
        eigenvalues: continued from value to value, shape (n, k, d).
        worst: the largest modulus over all of [mu, L], shape (n,).
        best: the value with the least worst modulus.
    """

    parameter: str
    values: Float[np.ndarray, " n"]
    modes: Float[np.ndarray, " k"]
    eigenvalues: Complex[np.ndarray, "n k d"]
    worst: Float[np.ndarray, " n"]

    @property
    def best(self) -> float:
        return float(self.values[int(np.argmin(self.worst))])


@dataclass(frozen=True)
class Spectrum(Rendered):
    """Modal eigenvalues over [mu, L].

    Attributes:
        curvatures: lambda, increasing from mu to L, shape (n,).
        eigenvalues: of M(lambda), continued along lambda, shape (n, d).
        radius: the modal radius max |eigenvalue|, shape (n,).
        rate: its largest value over [mu, L], refined between the curvatures.
        worst: where that is.
        order: of the largest Jordan block of a pole of that modulus: on a quadratic with curvatures in [mu, L] the
            distance to the minimizer is O(k^(order - 1) rate^k), see `bound`.
        parameters: the values used.
        tuned: parameters at their best for [mu, L], if requested.
        tuned_radius: the modal radius there, shape (n,), or None.
        tuned_rate: the rate there, or None.
        locus: root locus, if requested.
        name: of the algorithm.
    """

    curvatures: Float[np.ndarray, " n"]
    eigenvalues: Complex[np.ndarray, "n d"]
    radius: Float[np.ndarray, " n"]
    rate: float
    worst: float
    parameters: dict[str, float]
    name: str
    tuned: dict[str, float] = field(default_factory=dict)
    tuned_radius: Float[np.ndarray, " n"] | None = None
    tuned_rate: float | None = None
    locus: Locus | None = None
    order: int = 1

    @property
    def bound(self) -> str:
        """How the distance to the minimizer decays on quadratics, in the rate ρ: "ρᵏ", or "k ρᵏ" for a double pole."""
        return {1: "ρᵏ", 2: "k ρᵏ"}.get(self.order, f"k^{self.order - 1} ρᵏ")

    def __str__(self) -> str:
        low, high = self.curvatures[0], self.curvatures[-1]
        rows = [
            f"{self.name}: rate {self.rate:.6g} on quadratics with curvatures in [{low:.6g}, {high:.6g}]",
            f"  largest at curvature {self.worst:.6g}; the distance to the minimizer is O({self.bound})",
        ]
        if self.tuned:
            found = ", ".join(f"{n} = {v:.6g}" for n, v in self.tuned.items())
            rows.append(f"  best: {found}, rate {self.tuned_rate:.6g}")
        if self.locus is not None:
            rows.append(
                f"  root locus against {self.locus.parameter}: best {self.locus.best:.6g} of {len(self.locus.values)}"
            )
        return "\n".join(rows)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the modal radius over lambda, its worst value marked, and that of the best tuning.

        Args:
            ax: the axes to draw into; None makes a figure.
        """
        return drawn(self, ax)

    def plot_locus(self, ax: Axes | None = None) -> Axes:
        """Draw the root locus in the complex plane, or the eigenvalues over lambda where there is none."""
        return drawn(self, ax, form=" as a locus")


def spectrum(
    algorithm: Algorithm,
    mu: float | None = None,
    L: float | None = None,
    *,
    parameters: Mapping[str, float] | None = None,
    against: str | None = None,
    values: Any = None,
    tune: Mapping[str, tuple[float, float]] | None = None,
    curvatures: int = _CURVATURES,
) -> Spectrum:
    """The modal radius over lambda in [mu, L], a root locus against a parameter, and the best tuning.

    Args:
        algorithm: linear and time-invariant apart from its gradients; with noise the modes are those of the mean.
        mu, L: smallest and largest curvature, 0 <= mu <= L; by default the values bound in the algorithm.
        parameters: values of its free parameters other than mu and L; a value for a parameter of the tuning replaces
            the tuning.
        against: a parameter for the root locus, at ``values``: (low, high, count) or an array.
        tune: one or two parameters with intervals, in which the largest radius is minimized.
        curvatures: number of values of lambda, denser at the ends.

    Raises:
        NotLTI: if there is no modal matrix. OdescentError: invalid mu, L, names or values.
    """
    mu, L = _bound(algorithm, "mu", mu), _bound(algorithm, "L", L)
    if not (np.isfinite([mu, L]).all() and 0 <= mu <= L and L > 0):
        raise OdescentError(
            f"curvatures must go from mu to L with 0 <= mu <= L and L > 0, not from {mu!r} to {L!r}."
        )
    check_whole("curvatures", curvatures, 2)
    given = {n: real(v) for n, v in (parameters or {}).items()}
    for name, number in given.items():
        check_domain(sp.Symbol(name), number)
    # words such as step are parameters here; what the tuning sets is looked up in it
    said, asked = algorithm.names, [*given, against, *(tune or {})]
    words = [n for n in asked if n in said and said[n].target != said[n].symbol]
    algorithm = algorithm.released(words)
    varied = [*([against] if against is not None else []), *(tune or {})]
    modes = ModalMatrix(algorithm, [*given, *varied], {"mu": float(mu), "L": float(L)})
    lam = _curvatures(mu, L, int(curvatures))
    tuned: dict[str, float] = {}
    tuned_radius = tuned_rate = None
    if tune:
        tuned = _tune(modes, lam, given, tune)
        at = {**given, **tuned}
        tuned_radius = np.abs(modes.eigenvalues(lam, at)).max(1)
        tuned_rate = _worst(modes, lam, at)[0]
    fixed = {**{n: tuned[n] for n in tuned if n not in given}, **given}
    grid = None if against is None else _grid(against, values)
    if against is not None and grid is not None and against not in fixed:
        own = modes.default(against)
        fixed[against] = float(grid[len(grid) // 2]) if own is None else own
    modes.check(fixed)
    locus = None
    if against is not None and grid is not None:
        locus = _locus(modes, lam, fixed, against, grid)
    eigenvalues = _continue(modes.eigenvalues(lam, fixed))
    rate, worst = _worst(modes, lam, fixed)
    return Spectrum(
        lam, eigenvalues, np.abs(eigenvalues).max(1), rate, worst, modes.complete(fixed), algorithm.name or "algorithm",
        tuned, tuned_radius, tuned_rate, locus, _order(modes, lam, fixed, rate, worst),
    )  # fmt: skip


def _bound(algorithm: Algorithm, name: str, given: float | None) -> float:
    """A curvature that is given, or else that to which the algorithm was bound."""
    own = {s.name: e for s, e in algorithm.tuning_values.items()}.get(name)
    if given is None and (own is None or not own.is_number):
        raise OdescentError(
            f"a spectrum is over curvatures from mu to L, and {name} has no value: give it, as in "
            "spectrum(algorithm, mu=1, L=10), or bind it."
        )
    return real(own) if given is None else given


class ModalMatrix:
    """The modal matrix as a numeric function of lambda and of the parameters."""

    def __init__(
        self, algorithm: Algorithm, released: list[str], constants: Mapping[str, float]
    ) -> None:
        names = {
            s.name
            for s in (*algorithm.program.parameters, *algorithm.parameters, *algorithm.tuning)
        }
        for name in released:
            if name not in names:
                raise unknown(
                    f"parameter of {algorithm.name or 'the algorithm'} called", name, names
                )
        self.algorithm = algorithm
        needed = algorithm.program.parameters
        kept = {
            s: e
            for s, e in algorithm.tuning_values.items()
            if s in needed and s.name not in released
        }
        set_there = {s.name for s in algorithm.tuning}
        self.free = algorithm.replace(tuning=kept) if set_there & set(released) else algorithm
        space = self.free.state_space(mean=True)
        if any(o.kind != "grad" for o in space.inputs):
            kinds = ", ".join(sorted({o.kind for o in space.inputs}))
            raise NotCarried(
                f"only methods that call gradients have modes; this one calls {kinds}."
            )
        self.matrix = space.modal_matrix(_lambda)
        self.symbols = {s.name: s for s in self.free.parameters}
        if self.free.tuned.draws:  # the strength of the noise is not asked for
            self.symbols = {n: s for n, s in self.symbols.items() if s in self.matrix.free_symbols}
        self.constants = {n: v for n, v in constants.items() if n in self.symbols}
        self._given = constants

    def default(self, name: str) -> float | None:
        """What the algorithm's own tuning gives a parameter, at mu and L; None if nothing."""
        own = {s.name: e for s, e in self.algorithm.tuning_values.items()}.get(name)
        if own is None:
            return None
        known = {s: self._given.get(s.name) for s in own.free_symbols}
        if any(v is None for v in known.values()):
            return None
        return float(evaluate(own, known, {}, np))

    def complete(self, given: Mapping[str, float]) -> dict[str, float]:
        """All parameters by name."""
        return {**self.constants, **{n: float(v) for n, v in given.items()}}

    def check(self, given: Mapping[str, Any]) -> None:
        """Refuse missing parameters and values outside of a domain."""
        for name, symbol in self.symbols.items():
            value = given.get(name, self.constants.get(name))
            if value is None:
                raise OdescentError(
                    f"{name} has no value: give parameters={{'{name}': ...}}, or tune it."
                )
            check_domain(symbol, value)

    def matrices(self, lam: Any, given: Mapping[str, Any]) -> Float[np.ndarray, "*n d d"]:
        """The modal matrices over broadcast arrays of curvatures and parameters; not finite where there is none."""
        numbers = {**self.constants, **given}
        values = {
            self.symbols[n]: np.asarray(v, float) for n, v in numbers.items() if n in self.symbols
        }
        values[_lambda] = np.asarray(lam, float)
        shape = np.broadcast_shapes(*(v.shape for v in values.values()))
        d = self.matrix.rows
        m = np.empty((*shape, d, d))
        with np.errstate(all="ignore"):
            for i in range(d):
                for j in range(d):
                    m[..., i, j] = evaluate(self.matrix[i, j], values, {}, np)
        return m

    def eigenvalues(self, lam: Any, given: Mapping[str, Any]) -> Complex[np.ndarray, "*n d"]:
        """Eigenvalues over broadcast arrays of curvatures and parameters."""
        m = self.matrices(lam, given)
        fine: np.ndarray = np.asarray(np.isfinite(m).all((-1, -2)))
        found = np.linalg.eigvals(np.where(fine[..., None, None], m, 0.0)).astype(complex)
        return np.where(fine[..., None], found, np.inf)


def _curvatures(mu: float, L: float, n: int) -> np.ndarray:
    """Chebyshev's extreme points, ends included; one of them where mu = L."""
    if mu == L:
        return np.array([float(mu)])
    lam = mu + (L - mu) * (1 - np.cos(np.pi * np.arange(n) / (n - 1))) / 2
    lam[0], lam[-1] = mu, L
    return lam


def _grid(name: str, values: Any) -> np.ndarray:
    grid = axis_values(name, values)
    if len(grid) < 2 or (np.diff(grid) <= 0).any():
        raise OdescentError(
            f"a locus against {name} needs increasing values, (low, high, how many) or an array, not {short(values)}."
        )
    return grid


def _worst(modes: ModalMatrix, lam: np.ndarray, at: Mapping[str, float]) -> tuple[float, float]:
    """The largest modal radius over [mu, L] and where; refined around the largest one of the grid."""
    from scipy.optimize import minimize_scalar

    radius = np.abs(modes.eigenvalues(lam, at)).max(1)
    i = int(np.argmax(radius))
    best = float(radius[i]), float(lam[i])
    low, high = lam[max(i - 1, 0)], lam[min(i + 1, len(lam) - 1)]
    if low < high and np.isfinite(best[0]):
        f = lambda x: -float(np.abs(modes.eigenvalues(np.array(x), at)).max())
        found = minimize_scalar(
            f, bounds=(float(low), float(high)), method="bounded", options={"xatol": 1e-12 * high}
        )
        if -found.fun > best[0]:
            best = float(-found.fun), float(found.x)
    return best


def _order(
    modes: ModalMatrix, lam: np.ndarray, at: Mapping[str, float], rate: float, worst: float
) -> int:
    """The size of the largest Jordan block among the poles of the modulus of the rate.

    A double pole without two eigenvectors splits into two that are about the root of the rounding unit apart.
    """
    if not np.isfinite(rate) or rate == 0:
        return 1
    found, lam = 1, np.unique([*lam, worst])
    m = modes.matrices(lam, at)
    m = m[np.isfinite(m).all((1, 2))]
    near = _DOUBLE * np.maximum(1.0, np.linalg.norm(m, axis=(1, 2)))
    poles = np.linalg.eigvals(m)
    slow = (np.abs(np.abs(poles) - rate) <= near[:, None]).any(1)
    for matrix, own, size in zip(m[slow], poles[slow], near[slow], strict=True):
        for pole in own[np.abs(np.abs(own) - rate) <= size]:
            cluster = own[np.abs(own - pole) <= size]
            if len(cluster) > found:
                shifted = matrix - cluster.mean() * np.eye(len(matrix))
                vectors = int((np.linalg.svd(shifted, compute_uv=False) <= size).sum())
                found = max(found, len(cluster) - max(vectors, 1) + 1)
    return found


def _continue(values: Complex[np.ndarray, "n d"]) -> Complex[np.ndarray, "n d"]:
    """Rows permuted so that each column follows one eigenvalue (least total movement)."""
    from scipy.optimize import linear_sum_assignment

    made = np.array(values)
    made[0] = made[0][np.lexsort((made[0].imag, made[0].real))]
    for i in range(1, len(made)):
        cost = np.abs(made[i - 1][:, None] - made[i][None])
        made[i] = made[i][linear_sum_assignment(np.where(np.isfinite(cost), cost, 1e300))[1]]
    return made


def _locus(
    modes: ModalMatrix, lam: np.ndarray, fixed: Mapping[str, float], name: str, grid: np.ndarray
) -> Locus:
    ends = np.unique(lam[[0, -1]])
    rest = {n: v for n, v in fixed.items() if n != name}
    check_domain(modes.symbols.get(name, sp.Symbol(name)), grid)
    values = np.stack([_continue(modes.eigenvalues(m, {**rest, name: grid})) for m in ends], axis=1)
    worst = np.abs(modes.eigenvalues(lam[None], {**rest, name: grid[:, None]})).max((1, 2))
    return Locus(name, grid, ends, values, worst)


def _tune(
    modes: ModalMatrix,
    lam: np.ndarray,
    given: Mapping[str, float],
    tune: Mapping[str, tuple[float, float]],
) -> dict[str, float]:
    """Minimize the worst modal radius: a scan of the box, then Nelder and Mead's method, restarted."""
    from scipy.optimize import minimize

    names = list(tune)
    if not 1 <= len(names) <= 2:
        raise OdescentError(f"one or two parameters can be tuned at once, not {len(names)}.")
    box = []
    for name, ends in tune.items():
        low, high = (real(e) for e in (*ends, None, None)[:2])
        if not (np.isfinite([low, high]).all() and low < high):
            raise OdescentError(
                f"{name} must be tuned in an interval (low, high) with low < high, not {short(ends)}."
            )
        box.append((low, high))
    rest = {n: v for n, v in given.items() if n not in names}
    low, high = np.array(box).T
    modes.check({**rest, **dict(zip(names, (low + high) / 2, strict=True))})

    # the objective: the largest modal radius over the curvatures, for many points at once
    def worst(points: np.ndarray, lam: np.ndarray) -> np.ndarray:
        at = {n: points[:, i, None] for i, n in enumerate(names)}
        largest: np.ndarray = np.abs(modes.eigenvalues(lam[None], {**rest, **at})).max((1, 2))
        return largest

    # the radius has several local minima and creases: a scan of the box comes first
    n = 2001 if len(names) == 1 else 61
    sides = [np.linspace(a, b, n + 2)[1:-1] for a, b in box]
    scan = np.stack([g.ravel() for g in np.meshgrid(*sides, indexing="ij")], -1)
    coarse = _curvatures(float(lam[0]), float(lam[-1]), min(_COARSE, len(lam)))
    order = np.argsort(worst(scan, coarse), kind="stable")
    point, size = scan[order[0]], (high - low) / n

    # a descent may leave the box; the excess is a penalty
    def cost(x: np.ndarray) -> float:
        inside = np.clip(x, low, high)
        return float(worst(inside[None], lam)[0]) + float(np.abs((x - inside) / (high - low)).sum())

    for _ in range(14):
        simplex = np.vstack([point, *(point + size * e for e in np.eye(len(names)))])
        found = minimize(
            cost, point, method="Nelder-Mead",
            options={"initial_simplex": simplex, "xatol": 1e-14, "fatol": 1e-15, "maxiter": 160},
        )  # fmt: skip
        # the next simplex points to the other side, since descents stop early along a crease
        moved = np.abs(found.x - point)
        if found.fun <= cost(point):
            point = np.clip(found.x, low, high)
        size = np.maximum(-np.sign(size) * np.maximum(moved, np.abs(size) / 8), -np.abs(size))
    return dict(zip(names, map(float, point), strict=True))
