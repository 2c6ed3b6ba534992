"""Lyapunov exponents of flows and maps with confidence intervals, for one parameter or many in one compiled call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from ..._support.errors import NotCarried, OdescentError, expected
from ..._support.numbers import check_whole, reals
from ..._support.rendering.brief import quantity, short
from ..._support.rendering.drawable import drawn
from ..._support.rendering.rendered import Rendered
from ...dynamics import Objective, System
from ...dynamics.flows.parameters import parameter_values
from ...dynamics.flows.stepper import PointStepper, iterate, orbit, trace
from ...dynamics.flows.tableaux import runge_kutta
from ..attraction.exponents import dimension, growth
from ..attraction.settling import over
from ..attraction.stepping import RESOLVED, Iterated, balanced, slope, stepper
from ..sections.return_map import ReturnMap
from ..sections.starts import starting_state

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LOOKED_AT = 256  # states of an orbit at which a flow's step is chosen
_APART = 8  # steps of a flow between two orthogonalizations
# One orbit is followed in parts at once, each with so many steps at least: of flows, maps and return maps.
_PARTS = (50_000, 20_000, 500)


@dataclass(frozen=True)
class Lyapunov(Rendered):
    """Lyapunov exponents, largest first, along the last axis; the axis before it, if any, is that of the parameters.

    Attributes:
        exponents: per unit of time for flows, per step for maps; NaN where the orbit left.
        low, high: confidence intervals from the means of batches, widened by what tangents of polynomial growth would
            show in so much time, so that they are not taken for exponential ones.
        dimension: Kaplan and Yorke's, of the attractor's measure; NaN where it needs more exponents than there are.
        chaotic: whether the largest exponent's interval lies above 0.
        time: over which the exponents were averaged, in the same unit.
        parameters: those that were varied.
        name: the map, method or flow.
    """

    exponents: Float[np.ndarray, "*n k"]
    low: Float[np.ndarray, "*n k"]
    high: Float[np.ndarray, "*n k"]
    dimension: Float[np.ndarray, "*n"]
    chaotic: Bool[np.ndarray, "*n"]
    time: float
    parameters: dict[str, np.ndarray]
    name: str

    def __str__(self) -> str:
        if self.exponents.ndim > 1:
            values, n = self.exponents.shape
            lost = int(np.isnan(self.exponents[:, 0]).sum())
            return (
                f"{self.name}: {quantity(n, 'Lyapunov exponent')} at {values} values of "
                f"{', '.join(self.parameters)}; chaotic at {int(self.chaotic.sum())}, diverging at {lost}"
            )
        rows = zip(self.exponents, self.low, self.high, strict=True)
        lines = [f"  {v:.6g} [{a:.6g}, {b:.6g}]" for v, a, b in rows]
        kind = "chaotic" if self.chaotic else "not shown to be chaotic"
        size = "" if np.isnan(self.dimension) else f"; Kaplan-Yorke dimension {self.dimension:.4g}"
        return "\n".join([f"{self.name}: Lyapunov exponents, {kind}{size}", *lines])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the exponents against the one parameter that was varied, or as bars with their intervals."""
        return drawn(self, ax)


def lyapunov(
    iterated: Iterated,
    target: Objective | None = None,
    *,
    x0: Any,
    steps: int | None = None,
    t1: float | None = None,
    dt: float | None = None,
    parameters: Mapping[str, Any] | None = None,
    exponents: int | None = None,
    transient: float = 0.1,
    batches: int = 32,
    confidence: float = 0.95,
) -> Lyapunov:
    """The Lyapunov exponents of an orbit: how fast deviations from it grow.

    Tangent vectors go through the linearization of each step and are made orthogonal again and again; the intervals
    come from the means over batches of the orbit.

    Args:
        iterated: an algorithm, an autonomous system without noise, a Poincare or stroboscopic map, or a JAX function
            ``state -> state`` of one real array and parameters by keyword.
        target: the objective, for algorithms and systems that call one.
        x0: the starting point, an array, or values of blocks by name.
        steps: of a map, the number of steps to average over; 100,000 by default for maps.
        t1: of a flow, the time to average over.
        dt: the step of a flow (RK4); by default from the Jacobian along the orbit.
        parameters: values by the names that `run` takes: numbers, or arrays of one length n for as many orbits.
        exponents: how many of the largest; all by default, up to 6.
        transient: the time that is left out before, as a part of the time to average over.
        batches: their number.
        confidence: of the intervals.

    Returns:
        A `Lyapunov`, with arrays (k,), or (n, k) where parameters are arrays.

    Raises:
        OdescentError: an orbit that leaves, if it is the only one; no time; bad numbers or names.
        NotCarried: noise, explicit time.
    """
    flow = isinstance(iterated, System)
    _check(flow, steps, t1, dt, transient, batches, confidence)
    with jax.enable_x64(True):
        s = stepper(iterated, target, (dt or 1.0) if flow else None, given=parameters or ())
        if s.draws:
            raise NotCarried(
                f"{s.name} draws noise; Lyapunov exponents require a deterministic map."
            )
        values = parameter_values(s.name, s.parameters, parameters or {}, s.defaults)
        varied, n = _varied(values)
        c = s.coefficients(
            {k: varied.get(k, np.float64(np.ravel(v)[0])) for k, v in values.items()}
        )
        state = _states(s, x0, c, n)
        if flow and dt is None:
            dt = _resolved_step(s, state, c)
            s = stepper(iterated, target, dt)
        d = dimension(jax.tree.map(lambda a: a[..., 0], state))
        most = max(d - iterated.lost, 1) if isinstance(iterated, ReturnMap) else d
        k = min(most, 6) if exponents is None else exponents
        check_whole("exponents", k, 1)
        if k > most:
            raise OdescentError(f"{s.name} has {most} Lyapunov exponents, not {k}.")
        every = _APART if flow else 1
        total = max(round(t1 / (dt or 1.0)), 1) if t1 is not None else steps or 100_000
        kind = 0 if flow else 2 if isinstance(iterated, ReturnMap) else 1
        parts = min(max(total // _PARTS[kind], 1), batches) if n is None else 1
        each = -(-batches // parts)
        length = max(-(-total // (parts * each * every)), 1)
        if parts > 1:
            state = _spaced(s, state, c, int(transient * total), length * each * every, parts)
        skip = -(-int(transient * length * each * every) // every)
        logs, _ = growth(s, state, c, k, every, (skip, length, each))
    unit = length * every * (dt or 1.0 if flow else 1.0)
    means = np.moveaxis(logs, -1, 0) / unit
    if n is None:
        means = means.reshape(1, -1, k)
    # from time a T on to (1 + a) T, tangents that grow as t^(d - 1) grow by so much
    power = max(d - 1, 1) * np.log(1 + 1 / transient) / (unit * each)
    found = _estimated(means, power, confidence)
    if np.isnan(found[0]).any() and n is None:
        raise OdescentError(
            f"the orbit of {s.name} leaves every bound or has no value within {total} steps; start elsewhere."
        )
    most_known = k == d
    size = np.array([_kaplan_yorke(e, most_known) for e in found[0]])
    chaotic = found[1][:, 0] > 0
    whole = (*found, size, chaotic)
    exps, low, high, size, chaotic = whole if n is not None else tuple(a[0, ...] for a in whole)
    return Lyapunov(exps, low, high, size, chaotic, unit * each * parts, varied, s.name)


def _check(
    flow: bool, steps: Any, t1: Any, dt: Any, transient: Any, batches: Any, confidence: Any
) -> None:
    if flow and (t1 is None or steps is not None):
        raise OdescentError("a flow is averaged over a time: give t1=, and no steps=.")
    if not flow and (t1 is not None or dt is not None):
        raise OdescentError("a map is averaged over steps: give steps=, and no t1= or dt=.")
    if flow and not (np.isfinite(t1) and t1 > 0):
        raise OdescentError(f"t1 must be a finite time more than 0, not {short(t1)}.")
    if steps is not None:
        check_whole("steps", steps, 2)
    check_whole("batches", batches, 2)
    if not (np.isfinite(transient) and transient > 0):
        raise OdescentError(f"transient must be a number more than 0, not {short(transient)}.")
    if not 0 < confidence < 1:
        raise OdescentError(
            f"confidence must be more than 0 and less than 1, not {short(confidence)}."
        )


def _varied(values: Mapping[str, Any]) -> tuple[dict[str, np.ndarray], int | None]:
    """The parameters that are arrays, and their length."""
    arrays = {k: reals(v) for k, v in values.items()}
    if wrong := [k for k, a in arrays.items() if not a.size]:
        raise expected(wrong[0], "a number or an array of numbers", values[wrong[0]])
    varied = {k: a for k, a in arrays.items() if a.ndim}
    lengths = {a.shape for a in varied.values()}
    if len(lengths) > 1 or any(len(shape) != 1 for shape in lengths):
        raise OdescentError(
            "parameters must be numbers, or arrays of one length, not of the shapes "
            f"{', '.join(f'{k} {a.shape}' for k, a in varied.items())}."
        )
    return varied, next(iter(lengths))[0] if lengths else None


def _states(s: PointStepper, x0: Any, c: Any, n: int | None) -> Any:
    """The starting states, leaves (..., n): the same point for all parameters."""
    one: Callable[[Any], Any] = lambda c: starting_state(s, x0, c)
    if n is None:
        return jax.tree.map(lambda a: np.asarray(a)[..., None], one(c))
    over_c = jax.tree.map(lambda a: -1 if np.ndim(a) else None, c)
    return jax.tree.map(np.asarray, jax.vmap(one, in_axes=(over_c,), out_axes=-1, axis_size=n)(c))


def _spaced(s: PointStepper, state: Any, c: Any, late: int, stride: int, parts: int) -> Any:
    """States of one orbit, leaves (..., parts), so many steps apart: the parts that begin there do not overlap."""
    rows = _parted(s, late, stride, parts)(jax.tree.map(jnp.asarray, state), c)
    return jax.tree.map(lambda a: np.moveaxis(np.asarray(a)[..., 0], 0, -1), rows)


@lru_cache(maxsize=64)
def _parted(s: PointStepper, late: int, stride: int, parts: int) -> Callable[..., Any]:
    def run(z: Any, c: Any) -> Any:
        step = over(lambda z, c: s.step(z, c, None), c)
        z = iterate(lambda _, z: step(z, c), z, late)
        return orbit(lambda _, z: step(z, c), lambda z: z, z, stride * (parts - 1), stride)[1]

    return jax.jit(run)


def _resolved_step(s: PointStepper, state: Any, c: Any) -> float:
    """A quarter of 1 / |J| at the steepest places along the beginning of some of the orbits."""
    n = np.shape(jax.tree.leaves(state)[0])[-1]
    at = np.unique(np.linspace(0, n - 1, 16).astype(int))
    some, own = (
        jax.tree.map(lambda a: jnp.asarray(a)[..., at], state),
        jax.tree.map(lambda a: jnp.asarray(a)[..., at] if np.ndim(a) else a, c),
    )
    sizes = np.asarray(_steepness(s)(some, own))
    sizes = sizes[np.isfinite(sizes)]
    if not sizes.size:
        raise OdescentError(
            f"the vector field of {s.name} is not finite at the start; start elsewhere."
        )
    large = float(np.quantile(sizes, 0.95))
    return RESOLVED / large if large > 0 else 1.0


@lru_cache(maxsize=64)
def _steepness(s: PointStepper) -> Callable[..., Any]:
    """|J| along the beginnings of orbits, compiled."""
    rates = s.rates
    assert rates is not None

    def one(z: Any, c: Any) -> Any:
        def step(k: Any, z: Any) -> Any:
            size = jnp.linalg.norm(balanced(slope(rates, z, c)), 2)
            dt = RESOLVED / jnp.maximum(size, 1e-300)
            return runge_kutta("rk4", lambda t, y: rates(y, c), 0.0, z, dt), size

        return trace(step, z, _LOOKED_AT)[1]

    def many(z: Any, c: Any) -> Any:
        over_c = jax.tree.map(lambda a: -1 if np.ndim(a) else None, c)
        return jax.vmap(one, in_axes=(-1, over_c))(z, c)

    return jax.jit(many)


def _estimated(
    means: Float[np.ndarray, "n batches k"], power: float, confidence: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Exponents in decreasing order, and the ends of their intervals."""
    from scipy.special import stdtrit

    b = means.shape[1]
    with np.errstate(invalid="ignore"):
        mean, spread = means.mean(1), np.maximum(means, -1e300).std(1, ddof=1)
        half = stdtrit(b - 1, (1 + confidence) / 2) * spread / np.sqrt(b) + power
        half = np.where(np.isneginf(mean), 0.0, half)
        order = np.argsort(-mean, axis=1, kind="stable")
        mean, half = (np.take_along_axis(a, order, 1) for a in (mean, half))
        return mean, mean - half, mean + half


def _kaplan_yorke(exponents: np.ndarray, all_known: bool) -> float:
    """j + (l_1 + ... + l_j) / |l_(j+1)| with the largest j of which the sum is not negative.

    Kaplan and Yorke, Lecture Notes in Mathematics 730 (1979), doi:10.1007/BFb0064319.
    """
    if np.isnan(exponents).any():
        return float("nan")
    sums = np.cumsum(exponents)
    below = np.flatnonzero(sums < 0)
    if not len(below):
        return float(len(exponents)) if all_known else float("nan")
    j = int(below[0])
    return 0.0 if j == 0 else float(j + sums[j - 1] / abs(exponents[j]))


__all__ = ["Lyapunov", "lyapunov"]
