"""Reference flows: all starts in one solve, sampled by arc length and by how much the curve turns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from ..._support.errors import OdescentError

States = Float[np.ndarray, "n d"]
Rates = Callable[[float, States], States]

_MOST_CALLS = 50_000  # of the field, along the flows of one call
_GROWN = 1e12  # in units of the start: a flow that large is blowing up
_SPACING = 1 / 300  # of the curve's extent, between neighbouring samples of a straight part
_TURN = 0.06  # radians, between neighbouring samples of a bend
_SAG = 2e-5  # of the extent: how far a chord may leave the curve before the curve is measured
_MOST = 6000  # samples of one curve
_LEAST = 60
_ROUNDS = 14  # of halving the times at which the curve is measured


@dataclass(frozen=True, eq=False)
class _Piece:
    """A stretch of the solution and the solver's own interpolant on it."""

    low: float
    high: float
    dense: Callable[[Any], Any]
    nodes: Float[np.ndarray, " k"]


@dataclass(frozen=True, eq=False)
class Flowed:
    """Solutions from several starts.

    Attributes:
        end: the time that each start reached, shape (n,): less than t1 where it blew up.
        t0: the time of the starts.
        t1: the time that was asked for.
    """

    end: Float[np.ndarray, " n"]
    t0: float
    t1: float
    _pieces: tuple[_Piece, ...]
    _dimension: int

    def __call__(self, which: int, t: Float[np.ndarray, " k"]) -> Float[np.ndarray, "k d"]:
        """The states of one start at times up to its end."""
        d = self._dimension
        rows = np.empty((len(t), d))
        edges = [p.high for p in self._pieces[:-1]]
        inside = np.searchsorted(edges, t, side="left")
        for i, piece in enumerate(self._pieces):
            here = inside == i
            if here.any():
                rows[here] = piece.dense(t[here])[which * d : (which + 1) * d].T
        return rows

    def nodes(self, which: int) -> Float[np.ndarray, " k"]:
        """The solver's own steps up to the end of one start."""
        end = self.end[which]
        t = np.unique(np.concatenate([p.nodes for p in self._pieces]))
        found: Float[np.ndarray, " k"] = np.append(t[t < end], end)
        return found


def follow(rates: Rates, starts: States, t0: float, t1: float, timed: bool = False) -> Flowed:
    """The flow from all starts, solved together by SciPy on a compiled field.

    Compiling an adaptive solver takes longer. A start whose flow blows up ends where it does; the others go on.

    Args:
        rates: (t, states of shape (n, d)) to velocities of that shape; always called with all starts.
        starts: shape (n, d).
        t0: the time of the starts.
        t1: the end.
        timed: whether the velocities depend on time.

    Raises:
        OdescentError: velocities that are not finite at every start, or too many steps.
    """
    from scipy.integrate import solve_ivp

    n, d = starts.shape
    end, left = np.full(n, float(t1)), _MOST_CALLS
    size = float(np.abs(starts[np.isfinite(starts)]).max(initial=0.0)) or 1.0
    scale = _GROWN * (size + np.abs(starts).max(1))
    going = np.ones(n, bool)

    def of(t: float, z: Float[np.ndarray, " nd"]) -> Float[np.ndarray, " nd"]:
        nonlocal left
        left -= 1
        if left < 0:
            raise OdescentError(
                f"the flow from the start takes too many steps to reach t = {t1:g}; give a smaller t1=, or t1=0."
            )
        states = z.reshape(n, d)
        moved: Float[np.ndarray, " nd"] = np.where(going[:, None], rates(t, states), 0.0).ravel()
        return moved

    def large(t: float, z: Float[np.ndarray, " nd"]) -> float:
        return float((scale - np.abs(z.reshape(n, d)).max(1))[going].min(initial=1.0))

    large.terminal = True  # type: ignore[attr-defined]
    pieces: list[_Piece] = []
    t, z = t0, starts.astype(np.float64)
    with np.errstate(all="ignore"):
        first = rates(t0, z)
        going &= np.isfinite(first).all(1)
        end[~going] = t0
        if not going.any():
            other = f"later, as in t0={t0 + 0.1:g}" if timed else "give t1=0 for no flow"
            raise OdescentError(
                f"the velocity is not finite at the start (t = {t0:g}); start elsewhere, or {other}."
            )
        while going.any() and t < t1:
            done = solve_ivp(
                of, (t, t1), z.ravel(), "DOP853", rtol=1e-8 / n**0.5, atol=1e-10 * size / n**0.5,
                dense_output=True, events=large,
            )  # fmt: skip
            reached = float(done.t[-1])
            if reached > t:
                pieces.append(_Piece(t, reached, done.sol, done.t))
            z = done.y[:, -1].reshape(n, d)
            if done.status == 0 and np.isfinite(z).all():
                break
            # those that have grown most, by themselves or at once, end here
            speed = np.abs(rates(reached, z)).max(1) / (size + np.abs(z).max(1))
            speed = np.where(np.isfinite(speed), speed, np.inf)
            lost = going & ((np.abs(z).max(1) >= 0.5 * scale) | (speed >= speed[going].max()))
            end[lost], going[lost], t = reached, False, reached
            z = np.where(going[:, None], z, starts)
    return Flowed(end, t0, t1, tuple(pieces), d)


def sampled(
    flow: Flowed, project: Callable[[Float[np.ndarray, "k d"]], Float[np.ndarray, "k m"]]
) -> tuple[Float[np.ndarray, "n k"], Float[np.ndarray, "n k d"]]:
    """Times and states along each flow, dense where its picture in the plane is long or bends.

    The solver's interpolant is followed until no chord leaves it by more than a part in fifty thousand of its extent,
    and is then sampled evenly in arc length plus a multiple of the angle that it turns through.

    Args:
        flow: the solutions.
        project: states to points of the picture.

    Returns:
        times and states, with the same number of samples for each start.
    """
    measured = [_measured(flow, i, project) for i in range(len(flow.end))]
    most = max(_LEAST, _MOST // len(measured) ** 0.5)
    count = int(np.clip(max(w[-1] for _, w in measured), _LEAST, most)) + 1
    times, states = [], []
    for i, (t, w) in enumerate(measured):
        at = np.interp(np.linspace(0.0, w[-1], count), w, t) if w[-1] > 0 else np.full(count, t[0])
        at[0], at[-1] = t[0], t[-1]
        times.append(at)
        states.append(flow(i, at) if t[-1] > t[0] else np.full((count, flow._dimension), np.nan))
    return np.array(times), np.array(states)


def _measured(
    flow: Flowed, which: int, project: Callable[..., Any]
) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, " k"]]:
    """Fine times along a flow, and there how many samples it has taken."""
    t = flow.nodes(which)
    if t[-1] <= flow.t0:
        return t[-1:], np.zeros(1)
    at: Callable[[Any], Any] = lambda times: project(flow(which, times))
    z = at(t)
    extent = np.ptp(z, axis=0)
    extent = np.where(
        extent > 1e-9 * extent.max(initial=0.0), extent, max(extent.max(initial=0.0), 1e-300)
    )
    open_, most = np.ones(len(t) - 1, bool), 20 * _MOST
    for _ in range(_ROUNDS):
        middle = (t[:-1] + t[1:])[open_] / 2
        between = at(middle)
        a, b = z[:-1][open_] / extent, z[1:][open_] / extent
        off = _distance(between / extent, a, b)
        halves = (off > _SAG) | (np.linalg.norm(b - a, axis=1) > 4 * _SPACING)
        where = np.flatnonzero(open_)
        t, z = np.insert(t, where + 1, middle), np.insert(z, where + 1, between, axis=0)
        # each half of what was off is looked at again; what was not is done
        again = np.zeros(len(t) - 1, bool)
        left = where + np.arange(len(where))
        again[left], again[left + 1] = halves, halves
        open_ = again
        if not open_.any() or len(t) > most:
            break
    chords = np.diff(z / extent, axis=0)
    length = np.linalg.norm(chords, axis=1)
    heading = chords / np.maximum(length, 1e-300)[:, None]
    turn = 2 * np.arcsin(np.clip(np.linalg.norm(np.diff(heading, axis=0), axis=1) / 2, 0.0, 1.0))
    seen = np.minimum(length[1:], length[:-1]) > 1e-7  # shorter ones point anywhere
    weight = length / _SPACING
    weight[1:] += np.where(seen, turn, 0.0) / _TURN
    return t, np.concatenate([[0.0], np.cumsum(weight)])


def _distance(
    p: Float[np.ndarray, "k m"], a: Float[np.ndarray, "k m"], b: Float[np.ndarray, "k m"]
) -> Float[np.ndarray, " k"]:
    """Of points from segments."""
    chord = b - a
    square = np.maximum((chord**2).sum(1), 1e-300)
    along = np.clip(((p - a) * chord).sum(1) / square, 0.0, 1.0)
    found: Float[np.ndarray, " k"] = np.linalg.norm(p - a - along[:, None] * chord, axis=1)
    return found
