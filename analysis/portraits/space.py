"""Portraits in three dimensions: orbits of flows and maps of any dimension in three of their coordinates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Complex, Float

from ..._support.errors import NotCarried, OdescentError, unknown
from ..._support.numbers import check_whole, reals
from ..._support.rendering.brief import quantity, short
from ..._support.rendering.drawable import drawn
from ..._support.rendering.rendered import Rendered
from ...dynamics import Objective, System
from ...dynamics.flows.stepper import PointStepper
from ..attraction.stepping import Iterated, check_parameters, orbit_read, stepper
from ..sections.starts import starting_state
from .field import whole_kind
from .reference_flows import follow, sampled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STARTS, _NEWTON = 64, 40  # for equilibria
_ZERO = 1e-10  # of the largest velocity along the orbit
_SAME = 1e-6  # of the extent


@dataclass(frozen=True)
class RestPoint(Rendered):
    """An equilibrium of a flow.

    Attributes:
        point: in the three coordinates, shape (3,).
        state: all entries, shape (d,).
        kind: "stable focus", "saddle" and so on, by all eigenvalues.
        eigenvalues: shape (d,), by decreasing real part.
    """

    point: Float[np.ndarray, "3"]
    state: Float[np.ndarray, " d"]
    kind: str
    eigenvalues: Complex[np.ndarray, " d"]

    @property
    def unstable(self) -> int:
        """How many directions grow."""
        return int((self.eigenvalues.real > 0).sum())


@dataclass(frozen=True)
class SpacePortrait(Rendered):
    """Orbits in three dimensions.

    Attributes:
        labels: of the three axes.
        orbits: by start, of a flow dense where it bends, of a map its points; each of shape (k, 3).
        times: of their points.
        equilibria: of a flow, those that Newton's method finds from the orbits; not proved to be all.
        flow: whether the orbits are curves.
        hidden: how many entries of a state the three coordinates do not show.
        name: the map, method or flow.
    """

    labels: tuple[str, str, str]
    orbits: tuple[Float[np.ndarray, "k 3"], ...]
    times: tuple[Float[np.ndarray, " k"], ...]
    equilibria: tuple[RestPoint, ...]
    flow: bool
    hidden: int
    name: str

    def __str__(self) -> str:
        what = quantity(len(self.orbits), "curve" if self.flow else "orbit")
        of = "" if self.flow else " of a map"
        rows = [f"{self.name}: {what}{of} in ({', '.join(self.labels)})"]
        if self.hidden:
            rows.append(f"  {self.hidden} more entries of the state are not shown")
        for e in self.equilibria:
            at = ", ".join(f"{v + 0.0:.6g}" for v in np.round(e.point, 10).tolist())
            values = ", ".join(_number(v) for v in e.eigenvalues.tolist())
            rows.append(f"  ({at})  {e.kind}, {e.unstable} growing; eigenvalues {values}")
        if self.flow:
            rows.append("  equilibria by Newton's method from the orbits; there may be others")
        return "\n".join(rows)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw orbits in space, and equilibria: filled where they are stable, hollow where not.

        Args:
            ax: axes with ``projection="3d"``; None makes a figure.

        For a page that can be rotated see `interactive`.
        """
        return drawn(self, ax)


def _number(v: complex) -> str:
    if abs(v.imag) <= 1e-12 * max(abs(v), 1e-300):
        return f"{v.real:.4g}"
    return f"{v.real:.4g}{v.imag:+.4g}i"


def space_portrait(
    iterated: Iterated,
    target: Objective | None = None,
    x0: Any = None,
    *,
    t1: float = 50.0,
    steps: int = 2000,
    coordinates: Sequence[str] | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> SpacePortrait:
    """Orbits in three coordinates of a state of three entries or more.

    Args:
        iterated: an autonomous system without noise, an algorithm, a return map, or a JAX function ``state -> state``.
        target: the objective, for algorithms and systems.
        x0: a start, an array or values by block; or a list of starts. The objective's own by default.
        t1: the time for which a flow is followed.
        steps: of a map.
        coordinates: three of "x", "v[1]" and so on; of a plain function "x[0]", ...; the first three by default.
        parameters: values by name; mu and L default to the objective's.

    Raises:
        OdescentError: fewer than three entries, unknown coordinates, a start that is not in the domain, no start.
        NotCarried: noise, or explicit time.
    """
    check_whole("steps", steps, 1)
    flow = isinstance(iterated, System)
    with jax.enable_x64(True):
        s = stepper(iterated, target, 1.0 if flow else None, given=parameters or ())
        if s.draws:
            raise NotCarried(f"{s.name} draws noise; run or simulate its paths instead.")
        c = s.coefficients(check_parameters(s, parameters or {}, {}))
        starts = _starts(target, x0)
        states = [starting_state(s, start, c) for start in starts]
        names = _entries(s, states[0])
        picked = _picked(names, coordinates, s.name)
        rest: tuple[RestPoint, ...] = ()
        if flow:
            times, orbits, rest = _flown(s, states, c, float(t1), picked)
        else:
            times, orbits = _stepped(s, states, c, steps, picked)
    shown = tuple(names[i] for i in picked)
    return SpacePortrait(
        (shown[0], shown[1], shown[2]), orbits, times, rest, flow, len(names) - 3, s.name
    )


def _starts(target: Objective | None, x0: Any) -> list[Any]:
    if x0 is None:
        own = None if target is None else target.x0
        if own is None:
            raise OdescentError("there is no starting point: give x0.")
        return [own]
    if isinstance(x0, Mapping):
        return [x0]
    if (
        isinstance(x0, (list, tuple))
        and x0
        and isinstance(x0[0], (Mapping, list, tuple, np.ndarray))
    ):
        return list(x0)
    array = reals(x0)
    return list(array) if array.ndim > 1 else [array]


def _entries(s: PointStepper, state: Any) -> list[str]:
    """The names of all entries of a state."""
    made: list[str] = []
    blocks = s.blocks or ("x",)
    for name, part in zip(blocks, state, strict=False):
        size = int(np.size(part))
        made += [name] if np.ndim(part) == 0 or size == 1 else [f"{name}[{i}]" for i in range(size)]
    return made


def _picked(names: list[str], wanted: Sequence[str] | None, who: str) -> list[int]:
    if len(names) < 3:
        raise OdescentError(
            f"{who} has a state of {len(names)} entries; a portrait in space needs three (phase_portrait draws planar "
            "ones)."
        )
    if wanted is None:
        return [0, 1, 2]
    if len(wanted) != 3 or len(set(wanted)) != 3:
        raise OdescentError(f"three different coordinates are expected, not {tuple(wanted)!r}.")
    for name in wanted:
        if name not in names:
            raise unknown(f"coordinate of {who}", name, names)
    return [names.index(n) for n in wanted]


def _flown(
    s: PointStepper, states: list[Any], c: Any, t1: float, picked: list[int]
) -> tuple[tuple[Any, ...], tuple[Any, ...], tuple[RestPoint, ...]]:
    if not (np.isfinite(t1) and t1 > 0):
        raise OdescentError(f"t1 must be a finite time more than 0, not {short(t1)}.")
    rates = s.rates
    assert rates is not None
    flats = [ravel_pytree(z) for z in states]
    begin = np.stack([np.asarray(f, float) for f, _ in flats])
    velocities, slopes = _velocities(rates)
    many: Callable[[Any], Any] = lambda z: np.asarray(velocities(jnp.asarray(z), states[0], c))
    jacobian: Callable[[Any], Any] = lambda z: np.asarray(slopes(jnp.asarray(z), states[0], c))
    flown = follow(lambda t, z: many(z), begin, 0.0, t1)
    times, orbits = sampled(flown, lambda z: z[:, picked])
    rest = _at_rest(many, jacobian, orbits.reshape(-1, begin.shape[1]), picked)
    return tuple(times), tuple(z[:, picked] for z in orbits), rest


@lru_cache(maxsize=64)
def _velocities(rates: Callable[[Any, Any], Any]) -> tuple[Any, Any]:
    """The velocities at flat states, and their derivatives, compiled."""

    def one(z: Any, like: Any, c: Any) -> Any:
        return ravel_pytree(rates(ravel_pytree(like)[1](z), c))[0]

    over: Callable[[Any], Any] = lambda f: jax.jit(jax.vmap(f, in_axes=(0, None, None)))
    return over(one), over(jax.jacfwd(one))


def _at_rest(
    many: Any, jacobian: Any, along: np.ndarray, picked: list[int]
) -> tuple[RestPoint, ...]:
    """Equilibria by Newton's method from points of the orbits and of the box around them."""
    along = along[np.isfinite(along).all(1)]
    low, size = along.min(0), np.ptp(along, axis=0)
    size = np.maximum(size, 1e-9 * (float(size.max()) or 1.0))
    fast = float(np.abs(many(along)).max())
    rng = np.random.default_rng(0)
    inside = low - 0.25 * size + 1.5 * size * rng.random((_STARTS // 2, along.shape[1]))
    picks = along[np.linspace(0, len(along) - 1, _STARTS - len(inside) - 1).astype(int)]
    z = np.concatenate([picks, inside, np.zeros((1, along.shape[1]))])
    with np.errstate(all="ignore"):
        for _ in range(_NEWTON):
            matrix = np.nan_to_num(jacobian(z))
            velocity = np.nan_to_num(many(z))
            z = z - np.einsum("nij,nj->ni", np.linalg.pinv(matrix, rcond=1e-12), velocity)
            z = np.where(np.isfinite(z), z, 0.0)
    off = np.abs(many(z)).max(1)
    near = ((z >= low - size) & (z <= low + 2 * size)).all(1)
    found: list[np.ndarray] = []
    for at in z[(off <= _ZERO * max(fast, 1e-300)) & near]:
        if not any((np.abs(at - other) <= _SAME * size).all() for other in found):
            found.append(at)
    made = []
    for at in sorted(found, key=lambda v: np.round(v, 9).tolist()):
        eigenvalues = np.linalg.eigvals(jacobian(at[None])[0]).astype(complex)
        order = np.lexsort((eigenvalues.imag, -eigenvalues.real))
        made.append(RestPoint(at[picked], at, whole_kind(eigenvalues), eigenvalues[order]))
    return tuple(made)


def _stepped(
    s: PointStepper, states: list[Any], c: Any, steps: int, picked: list[int]
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    go, orbits = orbit_read(s, _blocks, steps + 1), []
    for z in states:
        path = np.asarray(go(z, c))[:, picked]
        fine = np.isfinite(path).all(1)
        end = len(path) if fine.all() else int(np.argmin(fine))
        if end == 0:
            raise OdescentError(f"the start is not in the domain of {s.name}.")
        orbits.append(path[:end])
    return tuple(np.arange(len(o), dtype=float) for o in orbits), tuple(orbits)


def _blocks(s: PointStepper, state: Any, c: Any) -> Any:
    return tuple(state)[: len(s.blocks) or 1]


__all__ = ["RestPoint", "SpacePortrait", "space_portrait"]
