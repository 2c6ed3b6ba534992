"""Basins of attraction: the attractor of each starting point, or of each choice of parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, Key

from ..._support.errors import NotCarried, OdescentError, check_choice, unknown
from ..._support.numbers import check_whole
from ..._support.rendering.brief import quantity, short
from ..._support.rendering.drawable import drawn
from ..._support.rendering.rendered import Rendered
from ...dynamics import Objective, System
from ...dynamics.flows.stepper import PointStepper
from ..sections.return_map import ReturnMap
from .attractors import Attractor
from .boundaries import BasinEntropy, Uncertainty, basin_entropy, uncertainty
from .deciding import decide
from .grid import PointGrid, product
from .settling import Limits, begin, over
from .stepping import RESOLVED, Iterated, balanced, slope, stepper

if TYPE_CHECKING:
    from matplotlib.axes import Axes

UNRESOLVED = -1
_SAMPLED = 256  # starts at which a flow's step is chosen
_STEEP = 0.75  # of the rates there lie below the one that the step resolves


@dataclass(frozen=True)
class Share(Rendered):
    """How large a basin is.

    Attributes:
        label: of the attractor, or "unresolved".
        count: points.
        share: of all points.
        low, high: an interval for the true share. Random starts: Wilson's score interval (J. Am. Stat. Assoc. 22
            (1927), doi:10.1080/01621459.1927.10502953). Grids: half of the cells on the basin's border either way.
    """

    label: str
    count: int
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class Basins(Rendered):
    """A map of basins.

    Attributes:
        axes: values by name; one array per axis of `labels`, or, for random starts, one value per point.
        labels: index into `attractors`, -1 for unresolved points; shape of the grid, or (n,).
        attractors: the attractors found, in an order independent of that of the points.
        steps: the step at which a point had settled or left; -1 for unresolved points.
        fractions: one `Share` for each attractor, then "unresolved".
        sampled: whether the starts were random.
        dt: time per step, for flows.
        name: the map, method or flow.
    """

    axes: dict[str, np.ndarray]
    labels: Int[np.ndarray, "..."]
    attractors: tuple[Attractor, ...]
    steps: Int[np.ndarray, "..."]
    fractions: tuple[Share, ...]
    sampled: bool
    dt: float | None
    name: str

    def __str__(self) -> str:
        where = "random starts" if self.sampled else f"a grid over {', '.join(self.axes)}"
        return (
            f"{self.name}: basins of {quantity(self.labels.size, 'point')}, {where}\n{self.table()}"
        )

    @property
    def unresolved(self) -> float:
        """The share of the points that did not settle within the cap."""
        return self.fractions[-1].share

    def table(self) -> str:
        """The fractions as aligned text."""
        width = max(len(s.label) for s in self.fractions)
        rows = [
            f"{s.label:<{width}}  {s.share:9.4%}  [{s.low:.4%}, {s.high:.4%}]"
            for s in self.fractions
        ]
        return "\n".join(rows)

    def entropy(self, box: int = 5, of: str | None = None) -> BasinEntropy:
        """The basin entropy and that of the boundary, in boxes of so many cells a side.

        Args:
            box: cells a side.
            of: a kind of attractor, such as "diverges", against all others; every attractor by itself where None.

        Raises:
            OdescentError: random starts, no such attractor, a grid that is too small.
        """
        return basin_entropy(self._grid(of), box)

    def uncertainty(self, of: str | None = None) -> Uncertainty:
        """The uncertainty exponent of the boundary, and the dimension that follows.

        Args:
            of: a kind of attractor, as for `entropy`.

        Raises:
            OdescentError: random starts, no such attractor, a grid that is too small or without a boundary.
        """
        return uncertainty(self._grid(of))

    def _grid(self, of: str | None) -> Int[np.ndarray, "..."]:
        if self.sampled:
            raise OdescentError("the boundary of basins needs a grid, not random starts.")
        if of is None:
            return self.labels
        kinds = [a.kind for a in self.attractors]
        check_choice("kind of attractor", of, dict.fromkeys(kinds))
        own: Int[np.ndarray, "..."] = np.array([k == of for k in kinds] + [False])[
            self.labels
        ].astype(int)
        return own

    def to_dict(self) -> dict[str, Any]:
        """Plain data, without the map itself."""
        return {
            "name": self.name,
            "axes": {n: [float(v.min()), float(v.max()), len(v)] for n, v in self.axes.items()},
            "attractors": [
                {"kind": a.kind, "period": a.period, "points": a.points.tolist(), "multiplier": a.multiplier,
                 "stable": a.stable} for a in self.attractors
            ],
            "fractions": [vars(s) for s in self.fractions],
        }  # fmt: skip

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw a map over one or two axes, or random starts, with the attractors that lie in the picture.

        Unresolved points are white; divergence is dark grey.

        Args:
            ax: the axes to draw into; None makes a figure.
        """
        return drawn(self, ax)


def basins(
    iterated: Iterated,
    target: Objective | None = None,
    *,
    axes: Mapping[str, Any],
    start: Any = None,
    parameters: Mapping[str, Any] | None = None,
    samples: int | None = None,
    key: Key[Array, ""] | None = None,
    steps: int | None = None,
    dt: float | None = None,
    tolerance: float = 1e-8,
    escape: float = 1e10,
    max_period: int = 64,
    by: str = "place",
    most: int = 64,
    confidence: float = 0.95,
    memory: int = 1 << 28,
) -> Basins:
    """The basin of attraction of each point; the attractors are found automatically.

    Points are iterated until they have come back to themselves over a doubling of time; then a
    representative is polished by Newton's method, its least period checked and its multiplier computed; points
    near an unstable cycle are iterated further. Of what does not settle, chaotic attractors are those whose largest
    Lyapunov exponent is more than 0 by its interval; quasi-periodic ones have it at 0 and fill a box again and again
    while volumes shrink; several are distinguished by the cells in which they live. The rest is unresolved: slower
    than any power, or conservative. Of many points of a map some are followed to the end; the others are decided in
    neighborhoods of stable cycles that shrink under the map, or after a stay in an attractor's cells.

    Args:
        iterated: an algorithm, an autonomous system without noise, or a JAX function ``state -> state`` of one
            real array and parameters by keyword.
        target: the objective, for algorithms and systems.
        axes: the varied quantities, name to (low, high, count) or an array: ``x0`` or ``x0[i]`` (the starting point),
            a block (its initial value), or a parameter by a name that `run` takes, such as ``step``.
        start: the starting point where it is not varied; the objective's x0 by default.
        parameters: values of the parameters that are not varied; mu and L default to the objective's.
        samples: number of random points, uniform between the ends of the axes, instead of the grid.
        key: a JAX key, for random points.
        steps: largest number of steps; 20,000 for maps, 2,000 for return maps and 60,000 for flows by default.
        dt: the time per step of a flow (RK4, parted where the field is steep); by default from 256 of the starts.
        tolerance, escape: thresholds of recurrence and of divergence, in units of the size of the region of starts.
        max_period: the largest period of a cycle of a map.
        by: "place" distinguishes attractors by position, "period" by their period alone. If parameters are varied,
            cycles move with them and are always distinguished by period.
        most: if there are more fixed points or cycles (a continuum of minimizers), they are grouped by period.
        confidence: level of the intervals for random starts.
        memory: memory for one chunk of points, in bytes.

    Raises:
        OdescentError: bad axes, parameters outside their domain, a system with noise or explicit time, no key.
    """
    steps = default_steps(iterated) if steps is None else steps
    limits = Limits(steps, tolerance, escape, max_period, memory)
    check_whole("most", most, 1)
    if not 0 < confidence < 1:
        raise OdescentError(f"confidence must be between 0 and 1, not {short(confidence)}.")
    if by not in ("place", "period"):
        raise unknown("way to tell attractors apart", by, ("place", "period"))
    with jax.enable_x64(True):
        p = _product(iterated, target, axes, start, parameters or {}, samples, key, dt)
        if p.stepper.draws:
            raise NotCarried(f"{p.stepper.name} draws noise; basins require a deterministic map.")
        labels, found, when = decide(p, limits, by, most)
    shape = p.shape
    labels = labels.reshape(shape)
    values = {a.name: a.values for a in p.axes}
    shares = _shares(labels, found, samples is not None, confidence)
    return Basins(
        values,
        labels,
        found,
        when.reshape(shape),
        shares,
        samples is not None,
        p.stepper.dt,
        p.stepper.name,
    )


def default_steps(iterated: Iterated) -> int:
    """The cap where none is given."""
    if isinstance(iterated, ReturnMap):
        return 2_000
    return 60_000 if isinstance(iterated, System) else 20_000


def _product(
    iterated: Iterated, target: Objective | None, axes: Mapping[str, Any], start: Any, parameters: Mapping[str, Any],
    samples: int | None, key: Any, dt: float | None,
) -> PointGrid:  # fmt: skip
    paired = samples is not None
    if samples is not None:
        axes = _random(axes, samples, key)
    flow = isinstance(iterated, System)
    given = (*axes, *parameters)
    s = stepper(iterated, target, 1.0 if flow and dt is None else dt if flow else None, given=given)
    p = product(s, target, axes, start, parameters, paired)
    if flow and dt is None:
        s = stepper(iterated, target, resolved_step(p))
        p = product(s, target, axes, start, parameters, paired)
    return p


def _random(axes: Mapping[str, Any], samples: int, key: Any) -> dict[str, np.ndarray]:
    check_whole("samples", samples, 1)
    if key is None:
        raise OdescentError("random starts need a key, as in key=jax.random.key(0).")
    drawn = np.asarray(jax.random.uniform(key, (len(axes), samples), dtype=jnp.float64))
    made = {}
    for u, (name, ends) in zip(drawn, axes.items(), strict=True):
        flat = np.ravel(np.asarray(ends[:2] if isinstance(ends, tuple) else ends, np.float64))
        if flat.size < 2 or not np.isfinite(flat).all() or flat.min() >= flat.max():
            raise OdescentError(
                f"random starts need (low, high) with low < high for {name}, not {short(ends)}."
            )
        made[name] = flat.min() + u * (flat.max() - flat.min())
    return made


def resolved_step(p: PointGrid) -> float:
    """A quarter of a short time scale 1 / |J| among some of the starts; steps are parted where it is shorter still.

    Raises OdescentError where the field is not finite at any of them.
    """
    s = p.stepper
    at = np.unique(np.linspace(0, p.count - 1, _SAMPLED).astype(int))
    sizes = np.asarray(_steepness(s)(*begin(p, at)))
    sizes = sizes[np.isfinite(sizes)]
    if not len(sizes):
        raise OdescentError(
            f"the vector field of {s.name} is not finite at any of the starts; move the window."
        )
    large = float(np.quantile(sizes, _STEEP))
    return RESOLVED / large if large > 0 else 1.0


@lru_cache(maxsize=64)
def _steepness(s: PointStepper) -> Any:
    """|J| at many states, compiled."""
    rates = s.rates
    assert rates is not None
    size = lambda z, c: jnp.linalg.norm(balanced(slope(rates, z, c)))
    return jax.jit(lambda z, c: over(size, c)(z, c))


def wilson(count: int, of: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval for a proportion.

    Args:
        count: number of successes.
        of: number of independent draws.
        confidence: level of the interval.

    Returns:
        The lower and upper ends, in [0, 1].
    """
    from scipy.special import ndtri

    z = float(ndtri((1 + confidence) / 2))
    share, spread = count / of, z * z / of
    middle = (share + spread / 2) / (1 + spread)
    half = math.sqrt(share * (1 - share) * spread + spread**2 / 4) / (1 + spread)
    low, high = max(middle - half, 0.0), min(middle + half, 1.0)
    return (0.0 if count == 0 else low), (1.0 if count == of else high)


def _shares(
    labels: Int[np.ndarray, "..."], found: tuple[Attractor, ...], sampled: bool, confidence: float
) -> tuple[Share, ...]:
    shares = []
    for i, name in [*enumerate(a.label for a in found), (UNRESOLVED, "unresolved")]:
        inside = labels == i
        count = int(inside.sum())
        share = count / labels.size
        if sampled:
            low, high = wilson(count, labels.size, confidence)
        else:
            half = _border(inside) / (2 * labels.size)
            low, high = max(share - half, 0.0), min(share + half, 1.0)
        shares.append(Share(name, count, share, low, high))
    return tuple(shares)


def _border(inside: Bool[np.ndarray, "..."]) -> int:
    """How many cells have a neighbour along an axis on the other side of the border."""
    touched = np.zeros(inside.shape, bool)
    for axis in range(inside.ndim):
        a = np.moveaxis(inside, axis, 0)
        t = np.moveaxis(touched, axis, 0)
        change = a[1:] != a[:-1]
        t[1:] |= change
        t[:-1] |= change
    return int(touched.sum())
