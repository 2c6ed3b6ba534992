"""Cobwebs of one-dimensional maps, and recurrence plots of any orbit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from ..._support.errors import NotCarried, OdescentError
from ..._support.numbers import check_whole, real
from ..._support.rendering.brief import quantity, short
from ..._support.rendering.drawable import drawn
from ..._support.rendering.rendered import Rendered
from ...dynamics import Objective, System
from ...dynamics.flows.stepper import PointStepper, trace
from ..attraction.exponents import dimension
from ..attraction.stepping import Iterated, check_parameters, orbit_read, stepper
from ..sections.starts import starting_state

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_GRAPH = 601  # points of a graph
_MOST = 4000  # states of a recurrence plot


_LONG = 24  # fixed points that the text lists
_NEUTRAL = 1e-8  # of slopes around 1


@dataclass(frozen=True)
class Cobweb(Rendered):
    """An orbit of a one-dimensional map between its graph and the diagonal.

    Attributes:
        x: of the graph, shape (n,).
        y: F^p(x), shape (n,).
        orbit: x_0, F^p(x_0), ..., shape (k,).
        fixed: where F^p crosses the diagonal in the window, with its slope there, shape (m, 2).
        power: p.
        name: of the map.
    """

    x: Float[np.ndarray, " n"]
    y: Float[np.ndarray, " n"]
    orbit: Float[np.ndarray, " k"]
    fixed: Float[np.ndarray, "m 2"]
    power: int
    name: str

    def __str__(self) -> str:
        times = "" if self.power == 1 else f", {self.power} times"
        rows = [
            f"{self.name}{times}: an orbit of {quantity(len(self.orbit) - 1, 'step')} from {self.orbit[0]:.6g}"
        ]
        for at, slope in self.fixed[:_LONG].tolist():
            grows = abs(slope) - 1
            kind = "is neutral" if abs(grows) <= _NEUTRAL else "attracts" if grows < 0 else "repels"
            rows.append(f"  fixed at {at + 0.0:.9g}: slope {slope:.6g}, {kind}")
        if len(self.fixed) > _LONG:
            rows.append(f"  and {len(self.fixed) - _LONG} more")
        return "\n".join(rows)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the graph, the diagonal, the orbit between them and the fixed points: filled where they attract.

        Args:
            ax: the axes to draw into; None makes a figure.
        """
        return drawn(self, ax)


@dataclass(frozen=True)
class Recurrences(Rendered):
    """Which states of an orbit are near to each other.

    (Eckmann, Kamphorst, Ruelle, Europhys. Lett. 4 (1987), doi:10.1209/0295-5075/4/9/004; measures: Marwan, Romano,
    Thiel, Kurths, Phys. Rep. 438 (2007), doi:10.1016/j.physrep.2006.11.001.)

    Attributes:
        near: shape (n, n).
        distance: within which two states are near.
        t: steps or times of the states, shape (n,).
        rate: the share of pairs of different states that are near.
        determinism: the share of near pairs on diagonal lines of two or more: 1 for periodic orbits, small for noise.
        longest: the longest such line, in states, beside the main diagonal; short where neighbours part fast.
        name: the map, method or flow.
    """

    near: Bool[np.ndarray, "n n"]
    distance: float
    t: Float[np.ndarray, " n"]
    rate: float
    determinism: float
    longest: int
    name: str

    def __str__(self) -> str:
        return (
            f"{self.name}: {quantity(len(self.t), 'state')}, near within {self.distance:.4g}: "
            f"recurrence rate {self.rate:.4g}, determinism {self.determinism:.4g}, longest line {self.longest}"
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw a dot where two states are near to each other.

        Args:
            ax: the axes to draw into; None makes a figure.
        """
        return drawn(self, ax)


def _made(
    iterated: Iterated, target: Objective | None, x0: Any, parameters: Mapping[str, Any] | None, dt: float | None
) -> tuple[PointStepper, Any, Any]:  # fmt: skip
    s = stepper(iterated, target, dt, given=parameters or ())
    if s.draws:
        raise NotCarried(f"{s.name} draws noise; a deterministic map or flow is expected.")
    c = s.coefficients(check_parameters(s, parameters or {}, {}))
    start = x0 if x0 is not None else None if target is None else target.x0
    if start is None:
        raise OdescentError("there is no starting point: give x0=.")
    return s, c, starting_state(s, start, c)


def cobweb(
    iterated: Iterated,
    target: Objective | None = None,
    *,
    x0: Any = None,
    steps: int = 40,
    power: int = 1,
    window: tuple[float, float] | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> Cobweb:
    """The cobweb of a one-dimensional map: gradient descent on a function of one variable, or a map of your own.

    Args:
        iterated: an algorithm whose state is one number, or a JAX function of it.
        target: the objective, for algorithms.
        x0: the start; the objective's own by default.
        steps: of the orbit, each of ``power`` steps of the map.
        power: p, to show F^p: its fixed points are the cycles of period p.
        window: (low, high) of the graph; around the orbit by default.
        parameters: values by name.

    Raises:
        OdescentError: a flow, or a state of more than one number; a bad window.
    """
    check_whole("steps", steps, 1)
    check_whole("power", power, 1)
    if isinstance(iterated, System):
        raise NotCarried("a cobweb requires a map: take a method, or a poincare_map of the flow.")
    with jax.enable_x64(True):
        s, c, state = _made(iterated, target, x0, parameters, None)
        size = dimension(state)
        if size != 1:
            raise OdescentError(f"a cobweb needs a state of one number; {s.name} has {size}.")

        images, slopes, path = _graph(s, power)
        F: Callable[[Any], Any] = lambda x: images(jnp.asarray(x), state, c)
        slope: Callable[[Any], Any] = lambda x: slopes(jnp.asarray(x), state, c)
        orbit = np.asarray(path(state, c, steps + 1))
        fine = np.isfinite(orbit)
        orbit = orbit if fine.all() else orbit[: int(np.argmin(fine))]
        if not len(orbit):
            raise OdescentError(f"the start is not in the domain of {s.name}.")
        low, high = _sides(orbit, window)
        x = np.linspace(low, high, _GRAPH)
        y = np.asarray(F(x))
        fixed = _crossings(x, y, F, slope)
    return Cobweb(x, y, orbit, fixed, power, s.name)


@lru_cache(maxsize=64)
def _graph(s: PointStepper, power: int) -> tuple[Any, Any, Any]:
    """The image of numbers under a power of a map, its slope there, and an orbit, compiled."""

    def again(z: Any, c: Any) -> Any:
        for _ in range(power):
            z = s.step(z, c, None)
        return z

    only: Callable[[Any], Any] = lambda z: jnp.ravel(jax.tree.leaves(z)[0])[0]

    def image(x: Any, like: Any, c: Any) -> Any:
        state = jax.tree.map(lambda a: jnp.reshape(x, jnp.shape(a)).astype(a.dtype), like)
        return only(again(state, c))

    def path(state: Any, c: Any, steps: int) -> Any:
        return trace(lambda _, z: (again(z, c), only(z)), state, steps)[1]

    over: Callable[[Any], Any] = lambda f: jax.jit(jax.vmap(f, in_axes=(0, None, None)))
    return over(image), over(jax.grad(image)), jax.jit(path, static_argnums=2)


def _sides(orbit: np.ndarray, window: tuple[float, float] | None) -> tuple[float, float]:
    if window is not None:
        low, high = (real(v) for v in window)
        if not (np.isfinite([low, high]).all() and low < high):
            raise OdescentError(
                f"the window must be (low, high) with low < high, not {short(window)}."
            )
        return low, high
    middle, half = (orbit.max() + orbit.min()) / 2, np.ptp(orbit) / 2
    half = max(1.3 * half, 1e-3 * abs(middle)) or 1e-3  # an orbit at rest has no width
    return float(middle - half), float(middle + half)


def _crossings(x: np.ndarray, y: np.ndarray, F: Any, slope: Any) -> Float[np.ndarray, "m 2"]:
    """Where F(x) = x, by bisection between neighbours and Newton's method."""
    off = y - x
    at = np.flatnonzero((off[:-1] * off[1:] < 0) & np.isfinite(off[:-1] * off[1:]))
    low, high = x[at], x[at + 1]
    exact = x[off == 0]
    for _ in range(60):
        middle = (low + high) / 2
        left = (np.asarray(F(middle)) - middle) * off[at] > 0
        low, high = np.where(left, middle, low), np.where(left, high, middle)
    roots = np.sort(np.concatenate([(low + high) / 2, exact]))
    roots = np.where(np.abs(roots) <= 1e-14 * np.abs(x).max(), 0.0, roots)
    if not len(roots):
        return np.empty((0, 2))
    # a jump across the diagonal is no fixed point
    value = np.asarray(F(roots))
    roots = roots[np.abs(value - roots) <= 1e-6 * float(np.ptp(x))]
    if not len(roots):
        return np.empty((0, 2))
    return np.stack([roots, np.asarray(slope(roots))], axis=1)


def recurrences(
    iterated: Iterated,
    target: Objective | None = None,
    *,
    x0: Any = None,
    states: int = 500,
    every: float = 1,
    skip: int = 0,
    distance: float | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> Recurrences:
    """The recurrence plot of an orbit: which of its states are near to each other.

    Args:
        iterated: an algorithm, an autonomous system without noise, a return map, or a JAX function.
        target: the objective, for algorithms and systems.
        x0: the start, an array or values by block.
        states: how many are compared.
        every: the time between two of them; for maps a whole number of steps.
        skip: how many states are left out before.
        distance: within which two states are near, in the largest entry; a tenth of the extent by default.
        parameters: values by name.

    Raises:
        OdescentError: an orbit that leaves, too many states, bad numbers.
    """
    check_whole("states", states, 3)
    check_whole("skip", skip, 0)
    if states > _MOST:
        raise OdescentError(f"a recurrence plot has at most {_MOST} states, not {states}.")
    flow = isinstance(iterated, System)
    if not flow:
        check_whole("every", every, 1)
    if not (np.isfinite(every) and every > 0):
        raise OdescentError(f"every must be a finite time more than 0, not {short(every)}.")
    with jax.enable_x64(True):
        s, c, state = _made(iterated, target, x0, parameters, float(every) if flow else None)
        stride = 1 if flow else int(every)
        go = orbit_read(s, PointStepper.seen, (states + skip) * stride, stride)
        x = np.asarray(go(state, c))[skip : skip + states]
    if not np.isfinite(x).all():
        raise OdescentError(
            f"the orbit of {s.name} leaves every bound after {int(np.argmin(np.isfinite(x).all(1))) + skip} states."
        )
    near_by = 0.1 * float(np.ptp(x, axis=0).max()) if distance is None else real(distance)
    if not (np.isfinite(near_by) and near_by > 0):
        raise OdescentError(
            f"the distance must be more than 0, not {near_by:g}"
            + (": the orbit is at rest." if distance is None else ".")
        )
    near = np.abs(x[:, None] - x[None]).max(2) <= near_by
    rate, determinism, longest = _measures(near)
    t = (skip + np.arange(len(x))) * float(every)
    return Recurrences(near, near_by, t, rate, determinism, longest, s.name)


def _measures(near: Bool[np.ndarray, "n n"]) -> tuple[float, float, int]:
    """Rate, determinism and the longest line, without the main diagonal."""
    n = len(near)
    total = online = longest = 0
    for k in range(1, n):
        d = np.concatenate([[False], np.diagonal(near, k), [False]]).astype(int)
        edges = np.flatnonzero(np.diff(d)).reshape(-1, 2)
        lengths = edges[:, 1] - edges[:, 0]
        total += int(lengths.sum())
        online += int(lengths[lengths >= 2].sum())
        longest = max(longest, int(lengths.max(initial=0)))
    return 2 * total / (n * (n - 1)), online / total if total else 0.0, longest


__all__ = ["Cobweb", "Recurrences", "cobweb", "recurrences"]
