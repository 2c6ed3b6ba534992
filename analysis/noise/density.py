"""Densities of systems with noise, at times and in the long run: closed forms where they are known, else on a grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jaxtyping import Float

from ..._support.errors import NotCarried, OdescentError, check_choice
from ..._support.numbers import check_whole, reals
from ..._support.rendering.brief import short
from ..._support.rendering.drawable import drawn
from ..._support.rendering.rendered import Rendered
from ...dynamics import Objective, System
from .finite_volumes import later, long_run, rates
from .laws import gibbs_slope, kinetic_law, linear_law, rises, samples
from .noisy_field import NoisyField, state_given

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CELLS = {1: 400, 2: 128}
_METHODS = ("auto", "grid")
_CUT = 1e-4  # of the probability in the outermost cells, from which the window is called narrow


@dataclass(frozen=True)
class PhaseDensity(Rendered):
    """The density of a system with noise, in cells of a window.

    Attributes:
        times: shape (k,), inf for the long run.
        values: densities, shape (k, *cells), with the mass 1 in the window: means over cells, or, of closed forms, at
            their centers.
        edges: of the cells along each of the axes.
        labels: of the axes, mathtext.
        method: "finite volumes", or the closed form: "Gaussian", "Gibbs", "Gibbs, with velocities".
        name: of the system.
    """

    times: Float[np.ndarray, " k"]
    values: Float[np.ndarray, "k *cells"]
    edges: tuple[Float[np.ndarray, " _"], ...]
    labels: tuple[str, ...]
    method: str
    name: str

    @property
    def centers(self) -> tuple[Float[np.ndarray, " _"], ...]:
        """The coordinates of the cells' centers along each of the axes."""
        return tuple((e[1:] + e[:-1]) / 2 for e in self.edges)

    @property
    def masses(self) -> Float[np.ndarray, "k *cells"]:
        """The probabilities of the cells."""
        return self.values * float(np.prod([e[1] - e[0] for e in self.edges]))

    @property
    def mean(self) -> Float[np.ndarray, "k n"]:
        """The means of the state."""
        z = np.stack(np.meshgrid(*self.centers, indexing="ij"), -1)
        return np.asarray(np.tensordot(self.masses, z, z.ndim - 1))

    @property
    def at_edge(self) -> Float[np.ndarray, " k"]:
        """The probability of the outermost cells: if it is not small, the window is too narrow."""
        inner = (slice(None), *(slice(1, -1),) * len(self.edges))
        axes = tuple(range(1, self.masses.ndim))
        return np.asarray(np.maximum(1 - self.masses[inner].sum(axes), 0.0))

    def __str__(self) -> str:
        cells = " x ".join(str(len(e) - 1) for e in self.edges)
        lines = [f"{self.name}: density by {self.method} in {cells} cells"]
        for t, mean, cut in zip(self.times, self.mean, self.at_edge, strict=True):
            when = "in the long run" if np.isinf(t) else f"t = {t:.6g}"
            shown = ", ".join(f"{m:.5g}" for m in np.where(np.abs(mean) < 1e-12, 0.0, mean))
            narrow = f"; {cut:.1%} in the outermost cells: take a wider window" * bool(cut > _CUT)
            lines.append(f"  {when}: mean ({shown}){narrow}")
        return "\n".join(lines)

    def when(self, at: int) -> str:
        """The time of that number in words."""
        t = float(self.times[at])
        return "in the long run" if np.isinf(t) else f"at t = {t:.6g}"

    def turned(self) -> PhaseDensity:
        """With the axes in the opposite order."""
        values = np.moveaxis(self.values, 0, -1).T
        return replace(self, values=values, edges=self.edges[::-1], labels=self.labels[::-1])

    def to_dict(self) -> dict[str, Any]:
        """Plain data; the time of the long run is None."""
        return {
            "name": self.name, "method": self.method, "labels": list(self.labels),
            "times": [None if np.isinf(t) else float(t) for t in self.times],
            "edges": [e.tolist() for e in self.edges], "values": self.values.tolist(),
        }  # fmt: skip

    def plot(self, ax: Axes | None = None, at: int = -1) -> Axes:
        """Draw the densities of one entry at all times, or that of two entries at one of the times.

        Args:
            ax: where to draw; a new figure of one column's width where not given.
            at: number of the time, for two entries.
        """
        return drawn(self, ax, at)


def fokker_planck(
    system: System,
    window: Sequence[Any] | Float[np.ndarray, "..."],
    target: Objective | None = None,
    *,
    times: Sequence[float] | float = (np.inf,),
    x0: Any = None,
    spread: float = 0.0,
    cells: int | Sequence[int] | None = None,
    parameters: Mapping[str, Any] | None = None,
    method: str = "auto",
) -> PhaseDensity:
    """The density of a system with noise whose state has one or two entries.

    Closed forms: Gaussian laws of linear drift and constant noise at all times; in the long run Gibbs's law where the
    drift is a gradient in the metric of the noise, and of underdamped Langevin dynamics. Otherwise the Fokker-Planck
    equation is solved on a grid whose walls reflect, by exponentially fitted fluxes: the mass is 1 and no density is
    negative; of second order in the cell, of first where a direction has no noise.

    Args:
        system: autonomous, with noise.
        window: (low, high) of one entry, or ((x0, x1), (y0, y1)).
        target: the objective, for systems that call one.
        times: at which the density is wanted, increasing; inf for the long run.
        x0: the state at time 0, an array or a dict of blocks, for finite times.
        spread: standard deviation of every entry there.
        cells: their number along each axis; 400 in one dimension, 128 each in two.
        parameters: values by name.
        method: "auto", or "grid" for the finite volumes also where a closed form is known.

    Returns:
        A `PhaseDensity`.

    Raises:
        OdescentError: bad windows, times, starts or cells; a state of more entries; no single law of the long run.
        NotCarried: no noise, jumps, explicit time.
    """
    box = _box(window)
    n = len(box)
    check_choice("method called", method, _METHODS)
    edges = _edges(box, cells)
    when = _times(times)
    start = None
    if np.isfinite(when).any():
        if x0 is None:
            raise OdescentError("the density at a finite time needs the state at time 0: give x0=.")
        start = state_given(system, "x0", x0)
        if start.size != n or ((start <= box[:, 0]) | (start >= box[:, 1])).any():
            raise OdescentError(
                f"x0 must be a state in the window, with {n} entries, not {short(x0)}."
            )
        if not (np.isfinite(spread) and spread >= 0):
            raise OdescentError(
                f"spread must be a finite number of at least 0, not {short(spread)}."
            )
    with jax.enable_x64(True):
        field = NoisyField(system, target, parameters or {}, n)
        if method == "auto":
            known = _closed(field, box, edges, when, start, spread)
            if known is not None:
                return PhaseDensity(when, known[1], edges, field.labels, known[0], field.name)
        values = _on_grid(field, edges, when, start, spread)
    return PhaseDensity(when, values, edges, field.labels, "finite volumes", field.name)


def _closed(
    field: NoisyField, box: np.ndarray, edges: Any, when: np.ndarray, start: Any, spread: float
) -> tuple[str, np.ndarray] | None:
    """The name and the values of a closed form for all of the times, where there is one."""
    z = np.stack(np.meshgrid(*[(e[1:] + e[:-1]) / 2 for e in edges], indexing="ij"), -1)
    flat = z.reshape(-1, field.n)
    points = np.concatenate([samples(box), flat])
    linear = linear_law(field, points)
    if linear is not None and (linear.covariance is not None or np.isfinite(when).all()):
        logs = []
        for t in when:
            if np.isinf(t):
                assert linear.center is not None and linear.covariance is not None
                mean, c = linear.center, linear.covariance
            else:
                mean, c = linear.at(float(t), start, spread**2 * np.eye(field.n))
            sizes = np.array([e[1] - e[0] for e in edges])
            if np.linalg.eigvalsh(c / np.outer(sizes, sizes)).min() < 1:  # thinner than a cell
                return None
            logs.append(-0.5 * ((flat - mean) @ np.linalg.inv(c) * (flat - mean)).sum(1))
        return "Gaussian", _normalized(np.stack(logs), edges)
    if np.isfinite(when).any():
        return None
    kinetic = kinetic_law(field, points)
    if kinetic is not None:
        energies = kinetic.energy(z).reshape(1, -1)
        return "Gibbs, with velocities", _normalized(-energies / kinetic.temperature, edges)
    slope = gibbs_slope(field, points)
    if slope is None:
        return None
    return "Gibbs", _normalized(rises(slope, z).reshape(1, -1), edges)


def _normalized(logs: Float[np.ndarray, "k m"], edges: Any) -> np.ndarray:
    if not np.isfinite(logs).all():
        raise OdescentError("the drift is not finite everywhere in the window; give another one.")
    shape = tuple(len(e) - 1 for e in edges)
    weights = np.exp(logs - logs.max(1, keepdims=True))
    size = float(np.prod([e[1] - e[0] for e in edges]))
    return np.asarray((weights / weights.sum(1, keepdims=True) / size).reshape(-1, *shape))


def _on_grid(
    field: NoisyField, edges: Any, when: np.ndarray, start: Any, spread: float
) -> np.ndarray:
    shape = tuple(len(e) - 1 for e in edges)
    q = rates(field, edges)
    p = np.empty(0) if start is None else _first(edges, start, spread)
    found, now = [], 0.0
    for t in when:
        if np.isinf(t):
            found.append(long_run(q, field.name))
            continue
        if t > now:
            p, now = later(q, p, float(t) - now, field.name), float(t)
        found.append(p)
    size = float(np.prod([e[1] - e[0] for e in edges]))
    return np.stack(found).reshape(-1, *shape) / size


def _first(edges: Any, start: np.ndarray, spread: float) -> np.ndarray:
    """The probabilities of the cells at time 0: a normal law, or a point shared by the nearest cells."""
    from scipy.special import ndtr

    total = np.ones(())
    for e, at in zip(edges, start, strict=True):
        if spread > 0:
            p = np.diff(ndtr((e - at) / spread))
        else:
            place = (at - e[0]) / (e[1] - e[0]) - 0.5
            near = np.abs(np.arange(len(e) - 1) - np.clip(place, 0, len(e) - 2))
            p = np.maximum(1 - near, 0.0)
        total = np.multiply.outer(total, p / p.sum())
    return np.asarray(total.ravel())


def _box(window: Any) -> Float[np.ndarray, "n 2"]:
    box = reals(window)
    box = box[None] if box.shape == (2,) else box
    if box.ndim != 2 or box.shape[1] != 2 or not np.isfinite(box).all():
        raise OdescentError(
            f"window must be (low, high), or two such pairs, of finite numbers, not {short(window)}."
        )
    if len(box) > 2:
        raise NotCarried(
            f"window must have one or two sides, not {len(box)}; for larger states simulate many paths instead."
        )
    if (box[:, 0] >= box[:, 1]).any():
        raise OdescentError(f"the sides of the window must have low < high, not {short(window)}.")
    return box


def _edges(box: np.ndarray, cells: Any) -> tuple[np.ndarray, ...]:
    n = len(box)
    each = [_CELLS[n]] * n if cells is None else np.ravel(cells).tolist()
    each = each * n if len(each) == 1 else each
    if len(each) != n:
        raise OdescentError(f"cells must be one number or {n}, not {short(cells)}.")
    counts = [check_whole("cells", c, 4, 100_000 if n == 1 else 1000) for c in each]
    return tuple(np.linspace(a, b, c + 1) for (a, b), c in zip(box, counts, strict=True))


def _times(times: Any) -> np.ndarray:
    when = np.atleast_1d(reals(times))
    if when.ndim != 1 or not when.size or np.isnan(when).any() or (when < 0).any():
        raise OdescentError(f"times must be numbers of at least 0, or inf, not {short(times)}.")
    if (np.diff(when) <= 0).any():
        raise OdescentError(f"times must increase, not {short(times)}.")
    return when


__all__ = ["PhaseDensity", "fokker_planck"]
