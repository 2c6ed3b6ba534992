"""Attractors from settled points: polished by Newton's method, told apart, with their multipliers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Float, Int

from ..._support.rendering.rendered import Rendered
from ...dynamics.flows.stepper import PointStepper, iterate, trace
from ...dynamics.flows.tableaux import runge_kutta
from .batching import SIZES, pad, pick, spread, take
from .settling import kernels, read

_NEWTON = 8
_POINTS = 512  # of a limit cycle
_ATTRACTS = (
    1 - 1e-3
)  # multipliers of limit cycles below it; a centre, or next to one, has no attractor
_REFUSED = 4  # closed orbits looked at in vain in one go
_APART = 1e-5  # of the scale: settled points this near to an attractor have gone to it
_APART_CLOCKED = 1e-3  # the same where states cannot be polished
_EXACT = 1e-12  # of the scale: points that start on an unstable cycle and stay
NEUTRAL = 1e-7  # of multipliers around 1
_NOTHING = 1e-14  # of the scale: an entry of a point that is less is 0


@dataclass(frozen=True)
class Attractor(Rendered):
    """Where points go.

    Attributes:
        kind: "fixed point", "cycle" (of a map), "limit cycle" (of a flow), "chaotic", "quasi-periodic", "diverges",
            or "undefined" (a step without a value: the point has left the domain).
        period: steps of a cycle (1 for a fixed point of a map), time of a limit cycle; None otherwise.
        points: outputs along one period, shape (p, *x0.shape), least first; some of a long orbit for chaotic and
            quasi-periodic attractors; empty for a family over parameters.
        states: the same of every block by name.
        multiplier: largest modulus of an eigenvalue of the linearization over one period (for an equilibrium of
            a flow: over one unit of time; for a limit cycle without the one of the motion along it); None where
            there is no linearization.
        stable: below 1; None for a multiplier of 1 up to rounding, or none.
        exponent: the largest Lyapunov exponent of a chaotic or quasi-periodic attractor, and the ends of its interval:
            per step of a map, per unit of time of a flow.
        digits: of a fixed point in its label.
    """

    kind: str
    period: float | None = None
    points: Float[np.ndarray, "p ..."] = field(default_factory=lambda: np.empty(0))
    states: dict[str, np.ndarray] = field(default_factory=dict)
    multiplier: float | None = None
    stable: bool | None = None
    exponent: tuple[float, ...] | None = None
    digits: int = 4

    def __str__(self) -> str:
        return self.label

    @property
    def neutral(self) -> bool:
        """Whether its multiplier is 1 up to rounding: it is one of a continuum, or at a bifurcation."""
        return self.multiplier is not None and self.stable is None

    @property
    def label(self) -> str:
        """A short name: `fixed point (0, 1)`, `3-cycle`, `limit cycle, T = 6.66`, `diverges`."""
        if self.kind == "fixed point":
            if not self.points.size:
                return "fixed points"
            place = self.points[0].ravel()[:4].tolist()
            shown = ", ".join(f"{v + 0.0:.{self.digits}g}" for v in place)
            text = f"fixed point {shown}" if self.points[0].size == 1 else f"fixed point ({shown})"
            return text if self.stable is not False else text.replace("fixed", "unstable fixed")
        if self.kind == "cycle":
            return f"{'unstable ' * (self.stable is False)}{self.period:.0f}-cycle"
        if self.kind == "limit cycle" and self.period is not None:
            return f"limit cycle, T = {self.period:.4g}"
        if self.kind == "chaotic" and self.exponent is not None:
            return f"chaotic, exponent {self.exponent[0]:.2g}"
        return {"limit cycle": "limit cycles"}.get(self.kind, self.kind)

    @property
    def order(self) -> tuple[Any, ...]:
        """Sort key that does not depend on the order in which attractors were found."""
        kinds = (
            "fixed point",
            "cycle",
            "limit cycle",
            "quasi-periodic",
            "chaotic",
            "diverges",
            "undefined",
        )
        # of an orbit that does not close, the middle
        middle = self.points.mean(0) if self.exponent is not None else self.points[:1]
        place = middle.ravel() if self.points.size else np.empty(0)
        size = float(np.abs(place).max(initial=0.0))
        unit = 10.0 ** (np.ceil(np.log10(size)) - 6) if 0 < size < np.inf else 1.0
        return (
            kinds.index(self.kind),
            round(self.period or 0.0, 6),
            tuple(np.round(place / unit) * unit),
        )


@dataclass(frozen=True)
class _Refined:
    """Polished points: states (..., n), least periods, linearizations (n, d, d), and |F^p(z) - z|."""

    state: Any
    period: Int[np.ndarray, " n"]
    jacobian: Float[np.ndarray, "n d d"]
    residual: Float[np.ndarray, " n"]


@lru_cache(maxsize=64)
def _return(s: PointStepper) -> Callable[..., Any]:
    """F^p(z), DF^p(z) and the first return to z, for many points: vectors (d, n), matrices (d, d, n), (n,)."""

    def one(packed: tuple[Any, Any], c: Any, near: Any) -> Any:
        state, p = packed
        z, shaped = ravel_pytree(state)

        def step(z: Any) -> Any:
            return ravel_pytree(s.step(shaped(z), c, None))[0]

        def whole(start: Any) -> Any:
            def body(j: Any, carry: Any) -> Any:
                now, first = step(carry[0]), carry[1]
                hit = (first == 0) & (jnp.max(jnp.abs(jax.lax.stop_gradient(now) - z)) <= near)
                return now, jnp.where(hit, j, first)

            end, first = iterate(body, (start, jnp.zeros((), int)), p, first=1)
            return end, (end, first)

        derivative: Callable[..., Any] = jax.jacfwd(whole, has_aux=True)
        slope, (end, first) = derivative(z)
        return end, slope, first

    def many(states: Any, p: Any, c: Any, near: Any) -> Any:
        over_c = jax.tree.map(lambda a: -1 if a.ndim else None, c)
        made: Callable[..., Any] = jax.vmap(one, in_axes=(-1, over_c, None), out_axes=-1)
        return made((states, p), c, near)

    return jax.jit(many)


def returns_of(
    s: PointStepper, state: Any, period: Int[np.ndarray, " n"], c: Any, scale: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """F^p(z) of many states, shape (d, n), its derivative, (n, d, d), and the first return to z, (n,), 0 for none.

    Args:
        s: the stepper of a map.
        state: leaves (..., n).
        period: p of each.
        c: coefficients, leaves of shape () or (n,).
        scale: of the region.
    """
    order = np.argsort(period, kind="stable")  # a chunk takes as long as its longest period

    def work(part: slice, padded: int) -> list[np.ndarray]:
        at = order[part]
        start = pad((take(state, at), period[at]), padded)
        found = _return(s)(*start, pick(c, at, padded), 1e-7 * scale)
        return [np.asarray(a)[..., : len(at)] for a in found]

    back = np.argsort(order, kind="stable")
    end, slope, first = (a[..., back] for a in spread(work, len(period), SIZES[0], 1))
    return end, np.moveaxis(slope, -1, 0), first


def refine(
    s: PointStepper,
    state: Any,
    period: Float[np.ndarray, " n"],
    c: Any,
    scale: float,
    reach: float = 1e-2,
) -> _Refined:
    """Polish settled states of a map by Newton's method on F^p(z) = z; find their least periods.

    Args:
        state: leaves of shape (..., n); period: theirs; c: coefficients, leaves () or (n,).
        scale: of the region; reach: how far a point may move, in its units.
    """
    n = len(period)
    p = np.maximum(period, 1).astype(int)
    leaves, tree = jax.tree.flatten(jax.tree.map(np.asarray, state))
    shapes = [a.shape[:-1] for a in leaves]
    z0 = np.concatenate([a.reshape(-1, n) for a in leaves])
    cuts = np.cumsum([int(np.prod(q)) for q in shapes])[:-1]

    def shaped(z: np.ndarray) -> Any:
        parts = [q.reshape(*shape, -1) for q, shape in zip(np.split(z, cuts), shapes, strict=True)]
        return jax.tree.unflatten(tree, parts)

    def after(z: np.ndarray, which: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of states z at the points ``which``: F^p(z), its derivative and the first return."""
        return returns_of(s, shaped(z), p[which], pick(c, which), scale)

    # Newton's method for F^p(z) = z, on all points that still improve
    z = z0.copy()
    open_ = np.arange(n)
    end, slope, first = after(z, open_)
    off = np.abs(end - z).max(0, initial=0.0)
    for _ in range(_NEWTON):
        # a pseudoinverse, since on a curve of periodic points the derivative is singular
        matrix = np.eye(len(z)) - slope[open_]
        fine = np.isfinite(matrix).all((1, 2))
        inverse = np.linalg.pinv(np.where(fine[:, None, None], matrix, 0.0), rcond=1e-9)
        move = np.einsum("nij,jn->in", inverse, (end - z)[:, open_])
        new = z[:, open_] + np.where(fine, move, 0.0)
        new_end, new_slope, new_first = after(new, open_)
        new_off = np.abs(new_end - new).max(0, initial=0.0)
        # a step that leaves the neighbourhood belongs to another attractor
        near = np.abs(new - z0[:, open_]).max(0, initial=0.0) <= reach * scale
        better = (new_off < off[open_]) & near
        open_ = open_[better]  # where a step does not help, the next would be the same
        if not len(open_):
            break
        z[:, open_], end[:, open_] = new[:, better], new_end[:, better]
        slope[open_], first[open_], off[open_] = (
            new_slope[better],
            new_first[better],
            new_off[better],
        )
    # an orbit that returns earlier has a smaller period; its derivative is that of the shorter orbit
    least = np.where(first == 0, p, first)
    changed = np.flatnonzero(least != p)
    if len(changed):
        p = least
        slope[changed] = after(z[:, changed], changed)[1]
    return _Refined(shaped(z), least, slope, off)


def moduli(jacobian: Float[np.ndarray, "n d d"]) -> Float[np.ndarray, " n"]:
    """The spectral radius of each; NaN for a matrix that is not finite."""
    fine = np.isfinite(jacobian).all((1, 2))
    values = np.linalg.eigvals(np.where(fine[:, None, None], jacobian, 0.0))
    return np.where(fine, np.abs(values).max(1, initial=0.0), np.nan)


def modulus(jacobian: Float[np.ndarray, "d d"]) -> float | None:
    """The spectral radius; None for a matrix that is not finite."""
    found = float(moduli(jacobian[None])[0])
    return None if np.isnan(found) else found


def is_stable(multiplier: float | None) -> bool | None:
    """Below 1, above it, or neither up to rounding."""
    if multiplier is None or abs(multiplier - 1) <= NEUTRAL:
        return None
    return multiplier < 1


class Catalogue:
    """The attractors of one map or flow found so far; settled states are put to them or make new ones.

    Args:
        s: the stepper; c: its coefficients, all scalars; scale: of the region.
        most: the maximal number; if there are more, `full` is set and no further ones are distinguished.
    """

    def __init__(self, s: PointStepper, c: Any, scale: float, most: int) -> None:
        self.s, self.c, self.scale, self.most = s, c, scale, most
        self.found: list[Attractor] = []
        self.traces: list[Any] = []  # what is seen along one period, leaves (..., p)
        self.full = False

    def assign(self, state: Any, period: Float[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
        """The attractor of each settled state, leaves (..., n); -1 for one that is still on its way.

        A state near to an unstable cycle but not on it is on its way: it only moves slowly there.
        """
        seen = read(self.s, "seen", state, self.c)
        n = len(period)
        label = np.full(n, -1)
        open_ = np.ones(n, bool)
        for i in range(len(self.found)):
            self._put(i, seen, label, open_)
        refused = 0
        while open_.any() and not self.full and refused < _REFUSED:
            if len(self.found) >= self.most:
                self.full = True
                break
            j = int(np.argmax(open_))
            made = self._new(take(state, [j]), float(period[j]))
            if made[0].kind == "limit cycle" and not (made[0].multiplier or 0.0) < _ATTRACTS:
                open_[j] = False
                refused += 1
                continue
            self.found.append(made[0])
            self.traces.append(made[1])
            before = int(open_.sum())
            self._put(len(self.found) - 1, seen, label, open_)
            if int(open_.sum()) == before:  # polishing moved away: the state stands for itself
                label[j], open_[j] = len(self.found) - 1, False
        return label

    def _put(self, i: int, seen: Any, label: np.ndarray, open_: np.ndarray) -> None:
        near = self._near(self.traces[i], seen)
        reach = (_APART_CLOCKED if self.s.clocked else _APART) * self.scale
        if self.found[i].kind == "limit cycle":
            reach += 1e-3 * max(
                float(np.ptp(a, axis=-1).max(initial=0.0)) for a in jax.tree.leaves(self.traces[i])
            )
        close = open_ & (near <= reach)
        stays = close & ((near <= _EXACT * self.scale) | (self.found[i].stable is not False))
        label[stays] = i
        open_[close] = False

    def _near(self, trace: Any, seen: Any) -> np.ndarray:
        a, b = _rows(trace), _rows(seen)
        least: np.ndarray = np.full(b.shape[1], np.inf)
        if self.s.rates is not None and a.shape[1] > 1:  # a curve: to its segments
            ends = np.roll(a, -1, axis=1)
            for p, q in zip(a.T, ends.T, strict=True):
                d = q - p
                w = np.clip(
                    ((b - p[:, None]) * d[:, None]).sum(0) / max(float(d @ d), 1e-300), 0, 1
                )
                least = np.minimum(least, np.abs(b - p[:, None] - w * d[:, None]).max(0))
            sag = np.abs(np.roll(a, -1, 1) - 2 * a + np.roll(a, 1, 1)).max() / 4  # of a chord
            least = np.maximum(least - sag, 0.0)
            return least
        for p in a.T:
            least = np.minimum(least, np.abs(b - p[:, None]).max(0))
        return least

    def _new(self, state: Any, period: float) -> tuple[Attractor, Any]:
        if self.s.rates is not None and period > 0:
            return self._limit_cycle(state, float(period))
        if self.s.clocked:
            p, jacobian, start = max(int(period), 1), None, state
        else:
            done = refine(self.s, state, np.array([period]), self.c, self.scale)
            p, jacobian, start = int(done.period[0]), done.jacobian[0], done.state
        multiplier = None if jacobian is None else modulus(jacobian)
        if multiplier is not None and self.s.dt is not None:
            multiplier = multiplier ** (1 / self.s.dt)
        states, advance = [jax.tree.map(jnp.asarray, start)], kernels(self.s).advance
        for _ in range(p - 1):
            states.append(advance(states[-1], self.c, 1))
        orbit = jax.tree.map(lambda *a: np.concatenate([np.asarray(v) for v in a], -1), *states)
        kind = "fixed point" if p == 1 else "cycle"
        period_of = None if self.s.rates is not None else float(p)
        return self._describe(kind, period_of, orbit, multiplier), self._trace(orbit)

    def _limit_cycle(self, state: Any, period: float) -> tuple[Attractor, Any]:
        start = jax.tree.map(lambda a: a[..., 0], state)
        period, jacobian, orbit = _close(self.s, start, self.c, period)
        values = np.linalg.eigvals(
            np.where(np.isfinite(jacobian).all(), jacobian, np.eye(len(jacobian)))
        )
        rest = np.delete(values, int(np.argmin(np.abs(values - 1))))
        multiplier = float(np.abs(rest).max(initial=0.0))
        return self._describe("limit cycle", period, orbit, multiplier), self._trace(orbit)

    def _trace(self, orbit: Any) -> Any:
        return read(self.s, "seen", orbit, self.c)

    def _describe(
        self, kind: str, period: float | None, orbit: Any, multiplier: float | None
    ) -> Attractor:
        x = np.moveaxis(read(self.s, "output", orbit, self.c), -1, 0)
        first = int(np.lexsort(np.round(x.reshape(len(x), -1).T[::-1] / self.scale, 9))[0])
        turn = partial(np.roll, shift=-first, axis=0)
        named = {
            n: turn(np.moveaxis(np.asarray(a), -1, 0))
            for n, a in zip(self.s.blocks, orbit, strict=False)
        }
        points = turn(x)
        points = np.where(np.abs(points) <= _NOTHING * self.scale, 0.0, points)
        return Attractor(kind, period, points, named, multiplier, is_stable(multiplier))


def told_apart(found: Sequence[Attractor]) -> tuple[Attractor, ...]:
    """The same, with as many digits as it takes for the labels of fixed points to differ."""
    made = list(found)
    for digits in (6, 9, 12, 15):
        labels = [a.label for a in made]
        made = [
            replace(a, digits=digits)
            if a.kind == "fixed point" and labels.count(a.label) > 1
            else a
            for a in made
        ]
    return tuple(made)


def _rows(tree: Any) -> np.ndarray:
    """Leaves (..., n) as one array (d, n)."""
    rows = [np.asarray(a).reshape(-1, a.shape[-1]) for a in jax.tree.leaves(tree)]
    return np.concatenate(rows)


@lru_cache(maxsize=64)
def _turn(s: PointStepper) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """For a flow: one turn of time T in n steps with its monodromy matrix and end velocity; its points."""
    assert s.rates is not None
    rates = s.rates

    def go(state: Any, c: Any, T: Any, n: Any) -> Any:
        step = lambda i, z: runge_kutta("rk4", lambda t, y: rates(y, c), 0.0, z, T / n)
        return iterate(step, state, n)

    def newton(state: Any, c: Any, T: Any, n: Any) -> tuple[Any, Any]:
        z, shaped = ravel_pytree(state)

        def velocity(z: Any) -> Any:
            return ravel_pytree(rates(shaped(z), c))[0]

        def end(z: Any) -> Any:
            after = ravel_pytree(go(shaped(z), c, T, n))[0]
            return after, after

        slope, after = jax.jacfwd(end, has_aux=True)(z)
        return (z, after, slope, velocity(z), velocity(after)), T

    def points(state: Any, c: Any, T: Any, n: Any) -> Any:
        return trace(lambda _, z: (go(z, c, T / _POINTS, n), z), state, _POINTS)[1]

    return jax.jit(newton), jax.jit(points)


def _close(s: PointStepper, state: Any, c: Any, period: float) -> tuple[float, np.ndarray, Any]:
    """Newton's method on a closed orbit with its phase held: period, monodromy matrix, points (..., k)."""
    assert s.dt is not None
    n = max(int(np.ceil(period / s.dt)), 64)
    newton, points = _turn(s)
    state = jax.tree.map(jnp.asarray, state)
    shaped = ravel_pytree(state)[1]
    T, best = period, np.inf
    kept = (T, state, np.full((0, 0), np.nan))
    for _ in range(_NEWTON):
        (z, end, slope, f0, f1), _ = jax.tree.map(np.asarray, newton(state, c, T, n))
        off = float(np.abs(end - z).max(initial=0.0))
        if not (off < best and abs(T - period) <= 0.1 * period):
            break
        best, kept = off, (T, state, slope)
        matrix = np.block([[slope - np.eye(len(z)), f1[:, None]], [f0[None], np.zeros((1, 1))]])
        move = np.linalg.lstsq(matrix, np.append(z - end, 0.0), rcond=1e-12)[0]
        state, T = shaped(jnp.asarray(z + move[:-1])), T + float(move[-1])
    T, state, slope = kept
    orbit = points(state, c, T, max(-(-n // _POINTS), 1))
    if not slope.size:
        slope = np.eye(ravel_pytree(state)[0].size)
    return T, slope, jax.tree.map(lambda a: np.moveaxis(np.asarray(a), 0, -1), orbit)
