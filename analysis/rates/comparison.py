"""Iterates compared with their flow: the gap and its order in the step, energies, measured and theoretical rates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy as sp
from jaxtyping import Float

from ..._support.errors import OdescentError
from ..._support.rendering.rendered import Rendered
from ...discretize import Algorithm
from ...dynamics import Objective
from ...dynamics.algebra.vectors import Expr, Vector
from ...dynamics.evaluation.evaluate import evaluate, oracles_of
from ...dynamics.flows.parameters import constants
from .gaps import Contraction, Convergence, compute_convergence
from .modal_spectrum import ModalMatrix

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ...dynamics.flows.simulate import Solution

_LEVELS = 5  # steps h, h/2, ..., h/16
_FITTED = 3  # of which the finest give the order: a tuned step is far from the limit
_NONE: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True)
class Order(Rendered):
    """The fitted order of the gap in the step.

    Attributes:
        order: slope of log gap over log h by least squares, of the three finest steps whose gaps are more than the flow
            is off; infinite where the iterates are on the flow; NaN where fewer than three are left.
        error: its standard error.
        steps: the step sizes, shape (m,).
        gaps: the largest distance between iterates and flow for each, shape (m,).
    """

    order: float
    error: float
    steps: Float[np.ndarray, " m"]
    gaps: Float[np.ndarray, " m"]

    @property
    def said(self) -> str:
        """The order as a sentence."""
        if np.isinf(self.order):
            return "the iterates are those of the flow, to rounding"
        if np.isnan(self.order):
            return (
                "no order is fitted: at these steps the distance is less than the flow's own error"
            )
        return f"the distance closes as h^{self.order:.2f} (standard error {self.error:.2g})"


@dataclass(frozen=True)
class Comparison(Rendered):
    """Comparison of an algorithm with its limit flow.

    Attributes:
        name: the algorithm's.
        t: times of the iterates, shape (k,).
        x: iterates, shape (k, *x0.shape); the states by block are in `states`.
        flow: the limit flow at these times, shape (k, *x0.shape); its blocks in `flow_states`.
        gap: their distance at each time, shape (k,).
        order: how the largest gap over the whole time shrinks with the step; None if not requested.
        energies: by name the values (along the iterates, along the flow), each of shape (k,).
        rises: by energy the steps at which it grows along the iterates, and along the flow.
        rate: the measured factor per step of f - f* (of |x - x*|^2 where f* is unknown), with its interval.
        theory: by name the factor of the distance per step; "spectral" is that of the linearization.
        convergence: the same data, to be drawn or asked further.
    """

    name: str
    t: Float[np.ndarray, " k"]
    x: Float[np.ndarray, "k ..."]
    flow: Float[np.ndarray, "k ..."]
    states: Mapping[str, np.ndarray]
    flow_states: Mapping[str, np.ndarray]
    gap: Float[np.ndarray, " k"]
    order: Order | None
    energies: Mapping[str, tuple[Float[np.ndarray, " k"], Float[np.ndarray, " k"]]]
    rises: Mapping[str, tuple[int, int]]
    rate: Contraction | None
    theory: Mapping[str, float]
    convergence: Convergence

    def __str__(self) -> str:
        lines = [
            f"{self.name} beside its limit flow, {len(self.t) - 1} steps: at most {self.gap.max():.3g} apart"
        ]
        if self.order is not None:
            lines.append(self.order.said)
        if self.rate is not None:
            r = self.rate
            lines.append(
                f"measured factor of the gap per step: {r.ratio:.4f} ({r.low:.4f} to {r.high:.4f})"
            )
        for name, factor in self.theory.items():
            lines.append(
                f"{name} factor of the distance per step: {factor:.4f}, squared {factor**2:.4f}"
            )
        for name, (along, flow) in self.rises.items():
            lines.append(
                f"the energy {name} grows in {along} steps of the iterates, {flow} of the flow"
            )
        return "\n".join(lines)

    def plot(self, ax: Axes | None = None, legend: bool = True) -> Axes:
        """Draw the gap to the minimum along iterates and flow, with the theory's lines; see `Convergence.plot`."""
        return self.convergence.plot(ax, legend)


def convergence(
    algorithm: Algorithm,
    target: Objective,
    x0: Any,
    steps: int,
    *,
    parameters: Mapping[str, Any] | None = None,
    energies: Mapping[str, Expr] | None = None,
    theory: Mapping[str, float] = _NONE,
    fit_order: bool = True,
    confidence: float = 0.95,
    solver: str | None = None,
) -> Comparison:
    """Compare the iterates of an algorithm with its limit flow at the times of its clock (t = k h by default).

    Where the step depends on the state, the times are those of the limit flow, k times the small factor.

    Args:
        algorithm: a deterministic algorithm with a value for its step.
        target: the objective; f* is its value at the minimizer, if known.
        x0: the starting point.
        steps: of the algorithm.
        parameters: values by name.
        energies: scalar expressions in the blocks, such as ``f.value(x) + inner(v, v) / 2``, evaluated along both.
        theory: factors per step of the distance, by name, such as a certified rate; the spectral radius of the
            algorithm's linearization at a known minimizer is added where there is one.
        fit_order: whether to run with h/2 to h/16 to measure the order in h.
        confidence: level of the interval of the measured rate.
        solver: the solver of the flow; see `simulate`.

    Raises:
        OdescentError: noise, a step without value, a run that diverges, or what `run` and `simulate` refuse.
    """
    if any(f.noise for f in algorithm.system.fields.values()):
        raise OdescentError("the algorithm draws noise; its iterates do not follow one flow.")
    if steps < 1:
        raise OdescentError(f"a comparison needs at least one step, not {steps}.")
    # the limit flow has fewer parameters than the method: those of the step are gone
    given = dict(parameters or {})
    words = algorithm.names
    own = {n: v for n, v in given.items() if n in words}
    if not {*own} <= {s.name for s in algorithm.parameters}:  # words, or what the tuning sets
        algorithm, given = algorithm.bind(own), {n: v for n, v in given.items() if n not in own}
    h = _step(algorithm, target, given)
    limit = algorithm.consistent_with()
    names = {p.name for p in limit.parameters}
    own = {n: v for n, v in given.items() if n in names}
    fixed = {s: v for s, v in algorithm.tuning_values.items() if s in limit.parameters}
    limit = limit.bind(fixed) if fixed else limit

    def iterates(factor: int) -> Any:
        part = algorithm if factor == 1 else _finer(algorithm, h / factor)
        free = {s.name for s in part.parameters}
        made = part.run(
            target, x0, steps * factor, **{n: v for n, v in given.items() if n in free}
        ).to_numpy()
        if made.diverged_at is not None:
            raise OdescentError(
                f"the algorithm diverges at step {made.diverged_at} with h = {h / factor:.4g}; take a smaller step."
            )
        return made

    # the order is fitted over halved steps
    runs = [iterates(2**j) for j in range(_LEVELS if fit_order else 1)]
    size = float(np.abs(np.asarray(runs[0].x)[0]).max(initial=0.0)) or 1.0

    def followed(t: np.ndarray, tolerance: float = 1e-10) -> Any:
        return limit.simulate(
            target, x0, float(t[-1]), t0=float(t[0]), times=t, rtol=tolerance, atol=1e-2 * tolerance * size,
            parameters=own, solver=solver,
        )  # fmt: skip

    run, clocks = runs[0], [_clock(algorithm, r, h / 2**j) for j, r in enumerate(runs)]
    # one solve at the union of all times, so that the flow's error is the same in every gap
    if all(t[0] == clocks[0][0] for t in clocks):  # one flow at all their times
        union = np.unique(np.concatenate(clocks))
        whole = followed(union)
        flows = [_at(whole, np.searchsorted(union, t)) for t in clocks]
    else:
        flows = [followed(t) for t in clocks]
    flow = flows[0]
    gaps = [_distance(a.x, b.x) for a, b in zip(runs, flows, strict=True)]
    apart, order = gaps[0], None
    if fit_order:
        largest, extent = np.array([float(g.max()) for g in gaps]), float(np.abs(run.x).max())
        rounding, off = 1e-13 * extent, 0.0
        # a small gap may be the flow's own error
        if rounding < largest.min() <= 1e-6 * extent:
            off = float(_distance(followed(clocks[-1], 1e-12).x, flows[-1].x).max())
        order = _order(h / 2.0 ** np.arange(_LEVELS), largest, rounding, 30 * off)
    # energies along both, and where they rise
    along = {n: _energy(e, limit, target, own, run, flow) for n, e in (energies or {}).items()}
    rises = {n: (_rises(a), _rises(b)) for n, (a, b) in along.items()}
    # the spectral rate joins the rates that were given, unless it is among them
    known = dict(theory)
    spectral = _spectral(algorithm, target, given)
    if spectral is not None:
        known.setdefault("spectral", spectral)
    name = algorithm.name or "iterates"
    gathered = _gathered(name, target, run, flow, known)
    rate = gathered.contraction(confidence)[name]
    return Comparison(
        name, clocks[0], run.x, flow.x, run.states, flow.states, apart, order, along,
        rises, rate, known, gathered,
    )  # fmt: skip


def _at(solution: Solution, rows: np.ndarray) -> Solution:
    states = {n: s[rows] for n, s in solution.states.items()}
    return replace(solution, t=solution.t[rows], x=solution.x[rows], states=states, dense=None)


def _step(algorithm: Algorithm, target: Objective, given: Mapping[str, Any]) -> float:
    step = algorithm.limit_symbol
    h = algorithm.tuning_values.get(step, step)
    values = {"mu": target.mu, "L": target.L, **given}
    number = h.subs({s: values[s.name] for s in h.free_symbols if values.get(s.name) is not None})
    if not number.is_number:
        raise OdescentError(
            f"the step {step} has no value (it is {number}); give it in parameters= or by tuning."
        )
    return float(number)


def _finer(algorithm: Algorithm, h: float) -> Algorithm:
    """The same algorithm with another number for its step, or for the small factor of it."""
    return algorithm.bind({algorithm.limit_symbol: sp.Float(h, 17)})


def _clock(algorithm: Algorithm, run: Any, h: float) -> np.ndarray:
    """The times of the limit flow: those of the run, or where its steps depend on the state, its small factors."""
    times: np.ndarray = np.asarray(run.t if algorithm.size is None else run.k * h, np.float64)
    return times


def _distance(a: Any, b: Any) -> Float[np.ndarray, " k"]:
    difference = (np.asarray(a) - np.asarray(b)).reshape(len(a), -1)
    length: Float[np.ndarray, " k"] = np.linalg.norm(difference, axis=1)
    return length


def _order(
    h: Float[np.ndarray, " m"], gaps: Float[np.ndarray, " m"], rounding: float, off: float
) -> Order:
    """The order of the gaps that are more than rounding and than what the flow is off."""
    if (gaps <= rounding).all():
        return Order(np.inf, 0.0, h, gaps)  # the scheme is exact
    kept = np.flatnonzero(gaps > max(rounding, off))[-_FITTED:]
    if len(kept) < _FITTED:
        return Order(np.nan, np.nan, h, gaps)
    u, v = np.log(h[kept]), np.log(gaps[kept])
    slope, shift = np.polyfit(u, v, 1)
    left = v - slope * u - shift
    error = float(np.sqrt(left @ left / (len(u) - 2) / ((u - u.mean()) ** 2).sum()))
    return Order(float(slope), error, h, gaps)


def _energy(
    e: Expr, system: Any, target: Objective, own: Mapping[str, Any], run: Any, flow: Any
) -> tuple[np.ndarray, np.ndarray]:
    import jax
    import jax.numpy as jnp

    if not isinstance(e, sp.Expr):
        what = f"the vector {e}" if isinstance(e, Vector) else repr(e)
        raise OdescentError(f"an energy must be a scalar expression in the blocks, not {what}.")
    oracles = oracles_of(system, target)
    constants = {"mu": target.mu, "L": target.L, **own}
    symbols = {b.name: b.symbol for b in system.blocks}
    time = system.time

    def one(t: Any, states: Any) -> Any:
        values = {symbols[n]: v for n, v in states.items() if n in symbols}
        values |= {
            p: float(constants[p.name]) for p in e.free_symbols if constants.get(p.name) is not None
        }
        if time is not None:
            values[time] = t
        return evaluate(e, values, oracles, jnp)

    with jax.enable_x64(True):
        found = []
        for data in (run, flow):
            missing = [n for n in symbols if n not in data.states]
            if missing:
                raise OdescentError(
                    f"the energy needs the block {missing[0]}, which is not recorded."
                )
            states = {n: jnp.asarray(data.states[n]) for n in symbols}
            found.append(np.asarray(jax.vmap(one)(jnp.asarray(data.t), states)))
    return found[0], found[1]


def _rises(values: np.ndarray) -> int:
    """How many steps go up, by more than rounding."""
    slack = 1e-9 * np.abs(values[:-1]) + 1e-13 * float(np.abs(values).max())
    return int((np.diff(values) > slack).sum())


def _gathered(
    name: str, target: Objective, run: Any, flow: Any, theory: Mapping[str, float]
) -> Convergence:
    import jax
    import jax.numpy as jnp

    def values(x: Any) -> np.ndarray:
        with jax.enable_x64(True):
            return np.asarray(jax.vmap(target.value)(jnp.asarray(x, jnp.float64)))

    best = target.minimizer
    if best is not None and "value" not in target.oracles:
        at = np.asarray(best)
        gaps = [_distance(d.x, np.broadcast_to(at, d.x.shape)) ** 2 for d in (run, flow)]
        label = r"$|x_k - x^\star|^2$"
    else:
        along, beside = np.asarray(run.f), values(flow.x)
        known = best is not None
        lowest = values(np.asarray(best)[None])[0] if known else min(along.min(), beside.min())
        gaps = [along - lowest, beside - lowest]
        label = r"$f(x_k) - f^\star$" if known else r"$f(x_k) - \min_j f(x_j)$"
    squared = {n: r**2 for n, r in theory.items() if 0 < r < np.inf}
    return compute_convergence(
        {name: gaps[0], "flow": gaps[1]}, squared, (r"iteration $k$", label), floor=1e-300
    )


def _spectral(algorithm: Algorithm, target: Objective, given: Mapping[str, Any]) -> float | None:
    """The spectral radius of the linearization at the minimizer; None where it is not defined."""
    import jax
    import jax.numpy as jnp

    if target.minimizer is None or "value" not in target.oracles:
        return None
    with jax.enable_x64(True):
        at = jnp.asarray(target.minimizer, jnp.float64)
        if at.ndim != 1 or at.size > 500:
            return None
        curvatures = np.linalg.eigvalsh(np.asarray(jax.hessian(target.value)(at)))
    try:
        modes = ModalMatrix(algorithm, [], constants(target))
        own = {n: float(v) for n, v in given.items() if n in modes.symbols}
        poles = modes.eigenvalues(np.unique(curvatures), own)
    except OdescentError:
        return None
    return float(np.abs(poles).max())
