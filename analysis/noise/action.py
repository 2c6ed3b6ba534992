"""The path by which weak noise most likely leaves, and its action: the quasi-potential of Freidlin and Wentzell.

For dz = b(z) dt + sqrt(eps) S(z) dW with a = S S^T, the geometric action of a curve is the integral of
|dz| |b| - <dz, b> in the metric of a^-1 (Heymann and Vanden-Eijnden, Communications on Pure and Applied Mathematics 61,
2008, doi:10.1002/cpa.20238), which does not depend on how fast the curve is passed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ..._support.errors import NotCarried, OdescentError
from ..._support.numbers import check_whole, reals
from ..._support.rendering.drawable import drawn
from ..._support.rendering.rendered import Rendered
from ...dynamics import Objective, System
from .laws import KineticLaw, full_rank, kinetic_law, samples
from .noisy_field import NoisyField, state_given

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LEVELS = 3  # numbers of segments: a quarter, a half, all
_BENDS = (0.15, 0.35)  # of the distance between the ends, by which first guesses are bent
_ROUNDS = 12  # of minimization at one number of segments, with points spread evenly in between
_SETTLED, _COARSE = 1e-9, 1e-5  # of the action, relative change
_AT_REST = 1e-6  # of the largest speed along the path
_MARGIN = 0.3
_ARROWS = 17

Path = Float[np.ndarray, "_ n"]


@dataclass(frozen=True)
class MinimumAction(Rendered):
    """A path of least action.

    Attributes:
        path: from start to end, shape (segments + 1, n).
        actions: along the path, shape (segments + 1,).
        error: estimated error of the action from half as many segments.
        labels: of the entries of the state, mathtext.
        at_rest: whether the start is an attracting point of rest of the drift, so that the action is the
            quasi-potential of the end in its basin.
        method: "geometric minimum action", or "energy over temperature", the closed form of underdamped Langevin
            dynamics.
        searches: how many first guesses were tried; the least action found was kept.
        name: of the system.
        drift: for states of two entries, points and drifts around the path, shape (m, 2, 2), for the picture.
    """

    path: Float[np.ndarray, "k n"]
    actions: Float[np.ndarray, " k"]
    error: float
    labels: tuple[str, ...]
    at_rest: bool
    method: str
    searches: int
    name: str
    drift: Float[np.ndarray, "m 2 2"] | None = None

    @property
    def action(self) -> float:
        """S, of the whole path: with noise scaled by sqrt(eps), exits take a time of the order of exp(S / eps)."""
        return float(self.actions[-1])

    def __str__(self) -> str:
        ends = " to ".join(_point(z) for z in self.path[[0, -1]])
        said = "quasi-potential" if self.at_rest else "least action"
        lines = [f"{self.name}: {said} {self.action:.8g} (error about {self.error:.1g}), {ends}"]
        if self.searches:
            lines.append(
                f"  {self.method}, {len(self.path) - 1} segments, the least of {self.searches} local searches"
            )
        else:
            lines.append(f"  {self.method}")
        if self.at_rest:
            lines.append(
                "  with the noise scaled by sqrt(eps), exits take a time of the order of exp(S / eps)"
            )
        else:
            lines.append("  the start is not an attracting point of rest: no time of exit follows")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "name": self.name, "action": self.action, "error": self.error, "method": self.method,
            "at_rest": self.at_rest, "searches": self.searches, "labels": list(self.labels),
            "path": self.path.tolist(), "actions": self.actions.tolist(),
        }  # fmt: skip

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw a planar path over the drift; of other states the action along the path."""
        return drawn(self, ax)


def minimum_action(
    system: System,
    start: Any,
    end: Any,
    target: Objective | None = None,
    *,
    points: int = 200,
    through: Any = None,
    parameters: Mapping[str, Any] | None = None,
) -> MinimumAction:
    """The path of least action between two states, in any time; from a minimum, the quasi-potential.

    The action is that of the system's own noise, eps = 1: for dx = -grad V dt + sigma dW it is
    2 (V(end) - V(start)) / sigma^2 as far as the path only climbs. Underdamped Langevin dynamics, whose noise moves the
    velocities alone, has the closed form (energy at the end - energy at the start) / temperature.

    Args:
        system: autonomous, with noise of full rank, constant or dependent on the state; or underdamped Langevin
            dynamics x' = v, dv = (-grad U(x) - c v) dt + s dW.
        start: the state where the path begins, as a rule an attracting point of rest: an array of all entries in
            the order of the blocks, or a dict of blocks.
        end: the state where it ends, as a rule a saddle of the drift.
        target: the objective, for systems that call one.
        points: segments of the path, a multiple of 4 of at least 16; the error falls with their square.
        through: states, shape (k, n), through which the first guess goes; by default straight and bent lines are tried.
        parameters: values by name.

    Returns:
        A `MinimumAction`.

    Raises:
        OdescentError: no noise, bad states or numbers, a drift that is not finite between them.
        NotCarried: noise that does not move all directions, outside of underdamped Langevin dynamics; time, jumps.
    """
    check_whole("points", points, 16, 10_000)
    if points % 4:
        raise OdescentError(f"points must be a multiple of 4, not {points}.")
    begin, goal = state_given(system, "start", start), state_given(system, "end", end)
    if begin.shape != goal.shape:
        raise OdescentError(
            f"start and end must be states of one size, not of {begin.size} and {goal.size} entries."
        )
    if np.array_equal(begin, goal):
        raise OdescentError("start and end must be different states.")
    with jax.enable_x64(True):
        field = NoisyField(system, target, parameters or {}, begin.size)
        _finite(field, np.stack([begin, goal]))
        rest = _attracts(field, begin, goal)
        line = np.linspace(0, 1, points + 1)[:, None] * (goal - begin) + begin
        middle, reach = (begin + goal) / 2, 0.75 * float(np.abs(goal - begin).max())
        near = np.stack([middle - reach, middle + reach], 1)
        if not full_rank(np.asarray(jax.vmap(field.covariance)(jnp.asarray(line)))):
            law = kinetic_law(field, samples(near))
            if law is None:
                raise NotCarried(
                    f"the noise of {field.name} does not move every direction between start and end, and it is not "
                    "underdamped Langevin dynamics x' = v, v' = -grad U(x) - c v with noise on v."
                )
            return _closed(field, law, begin, goal, points, rest)
        if begin.size == 1:
            found, searches = line, 1
            coarse = _actions(field, line[::2])
        else:
            found, coarse, searches = _search(field, line, _given(through, begin, goal))
        actions = _actions(field, found)
        error = abs(float(actions.sum() - coarse.sum())) / 3
        along = np.concatenate([[0.0], np.cumsum(actions)])
        return MinimumAction(
            found, along, error, field.labels, rest, "geometric minimum action", searches, field.name,
            _around(field, found),
        )  # fmt: skip


# the search


@lru_cache(maxsize=32)
def _action_of(field: NoisyField) -> Callable[[Any], Any]:
    """The actions of the segments of a path, by the midpoint rule, compiled."""
    if field.constant:
        root = jnp.linalg.cholesky(field.covariance(jnp.zeros(field.n)))

    def one(z: Any, dz: Any) -> Any:
        own = root if field.constant else jnp.linalg.cholesky(field.covariance(z))
        both = jnp.stack([dz, field.drift(z)], 1)
        u, b = jax.scipy.linalg.solve_triangular(own, both, lower=True).T
        return _length(u) * _length(b) - u @ b

    return jax.jit(lambda path: jax.vmap(one)((path[1:] + path[:-1]) / 2, jnp.diff(path, axis=0)))


def _length(u: Any) -> Any:
    """Euclidean, with the derivative 0 at 0."""
    squared = u @ u
    safe = jnp.where(squared > 0, squared, 1.0)
    return jnp.where(squared > 0, jnp.sqrt(safe), 0.0)


def _actions(field: NoisyField, path: Path) -> Float[np.ndarray, " _"]:
    return np.asarray(_action_of(field)(jnp.asarray(path)))


def _search(field: NoisyField, line: Path, through: Path | None) -> tuple[Path, np.ndarray, int]:
    """The best path, the actions of that with half as many segments, and the number of guesses."""
    segments = len(line) - 1
    guesses = [line] if through is None else []
    if through is None:
        guesses += _bent(line)
    else:
        guesses.append(np.stack([line[0], *through, line[-1]]))
    best: tuple[float, Path] | None = None
    relax = _relaxing(field, segments // 2 ** (_LEVELS - 1), _COARSE)
    for guess in guesses:
        value, path = relax(guess)
        if np.isfinite(value) and (best is None or value < best[0] - 1e-9 * abs(best[0])):
            best = value, path
    if best is None:
        raise OdescentError(
            f"the action of {field.name} is not finite along any path tried; give states to pass in through=."
        )
    path, half = best[1], best[1]
    for level in reversed(range(_LEVELS - 1)):
        half = path
        path = _relaxing(field, segments // 2**level)(path)[1]
    return path, _actions(field, half), len(guesses)


def _bent(line: Path) -> list[Path]:
    """Lines bent to both sides, in a plane or in two random directions."""
    along = line[-1] - line[0]
    size = float(np.linalg.norm(along))
    unit = along / size
    rng = np.random.default_rng(0)
    wave = np.sin(np.pi * np.linspace(0, 1, len(line)))[:, None]
    wave[-1] = 0.0
    found = []
    for k in range(1 if len(along) == 2 else 2):
        side = rng.standard_normal(len(along)) + 1e-3 * k
        side -= (side @ unit) * unit
        side /= np.linalg.norm(side)
        found += [line + sign * r * size * wave * side for r in _BENDS for sign in (1, -1)]
    return found


@lru_cache(maxsize=32)
def _moving(field: NoisyField, segments: int) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Of coordinates, a path and its tangents: the path moved across itself, and its action with the gradient."""
    k = np.arange(1, segments)
    waves = np.sqrt(2 / segments) * np.sin(np.pi * np.outer(k, k) / segments)
    shapes = jnp.asarray(waves / (2 * np.sin(np.pi * k / 2 / segments)))
    actions = _action_of(field)

    def moved(u: Any, path: Any, unit: Any) -> Any:
        across = shapes @ u.reshape(segments - 1, -1)
        across = across - (across * unit).sum(1, keepdims=True) * unit
        return path.at[1:-1].add(across)

    total = jax.value_and_grad(lambda u, path, unit: actions(moved(u, path, unit)).sum())
    return moved, jax.jit(total)


def _relaxing(
    field: NoisyField, segments: int, settled: float = _SETTLED
) -> Callable[[Path], tuple[float, Path]]:
    """A function from a guess to the action and the path of so many segments that minimizes it nearby.

    Points move across the path alone; it is cut anew into equal parts until they rest. Sine waves of equal bending
    energy as coordinates keep the number of iterations from growing with that of the segments.
    """
    from scipy.optimize import minimize

    moved, total = _moving(field, segments)

    def relax(guess: Path) -> tuple[float, Path]:
        path, value = _even(guess, segments), np.inf
        size = float(np.linalg.norm(path[-1] - path[0]))
        for _ in range(_ROUNDS):
            tangent = path[2:] - path[:-2]
            unit = tangent / np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-300)
            still = np.zeros(path[1:-1].size)
            whole = float(total(still, path, unit)[0]) or 1.0
            if not np.isfinite(whole):
                return np.inf, path

            # SciPy's tolerances are for values and coordinates near 1
            def relative(u: Any, path: Path = path, unit: Any = unit, whole: float = whole) -> Any:
                value, slope = total(size * u, path, unit)
                return float(value) / whole, np.asarray(slope) * (size / whole)

            done = minimize(
                relative, still, jac=True, method="L-BFGS-B",
                options={"maxiter": 500, "ftol": 1e-3 * settled, "gtol": 1e-10, "maxcor": 20},
            )  # fmt: skip
            now = float(done.fun) * whole
            if not np.isfinite(now):
                return np.inf, path
            new = np.asarray(
                moved(jnp.asarray(size * done.x), jnp.asarray(path), jnp.asarray(unit))
            )
            shift = float(np.abs(new - path).max())
            rests = abs(value - now) <= settled * abs(now) or shift < 1e-6 * size
            value = now
            if rests:
                return value, new
            path = _even(new, segments)
        return value, new

    return relax


def _even(path: Path, segments: int) -> Path:
    """The path cut into parts of equal length, by cubic splines where it has enough points."""
    from scipy.interpolate import CubicSpline

    steps = np.linalg.norm(np.diff(path, axis=0), axis=1)
    path = path[np.concatenate([[True], steps > 0])]
    s = np.concatenate([[0.0], np.cumsum(steps[steps > 0])])
    at = np.linspace(0, s[-1], segments + 1)
    if len(path) < 8:
        return np.stack([np.interp(at, s, column) for column in path.T], 1)
    even = CubicSpline(s, path)(at)
    even[[0, -1]] = path[[0, -1]]
    return np.asarray(even)


# the closed form


def _closed(
    field: NoisyField, law: KineticLaw, begin: np.ndarray, goal: np.ndarray, points: int, rest: bool
) -> MinimumAction:
    """Underdamped Langevin dynamics: the way back without noise, reversed, with opposite velocities."""
    if not rest:
        raise NotCarried(
            "the start of a path of underdamped Langevin dynamics must be an attracting point of rest, not "
            f"{_point(begin)}."
        )
    flip = np.ones(field.n)
    flip[law.velocities] = -1
    path = _even(flip * _way_back(field, flip * goal, begin)[::-1], points)
    path[0], path[-1] = begin, goal
    along, half = (law.energy(z) / law.temperature for z in (path, path[::2]))
    error = max(abs(float(along[-1] - half[-1])), 1e-12 * abs(float(along[-1])))
    return MinimumAction(
        path, along, error, field.labels, rest, "energy over temperature", 0, field.name,
        _around(field, path),
    )  # fmt: skip


def _way_back(field: NoisyField, first: np.ndarray, rest: np.ndarray) -> Path:
    """The flow of the drift from a state, or from beside a saddle, to a point of rest."""
    from scipy.integrate import solve_ivp

    drift = jax.jit(field.drift)
    slope = np.asarray(jax.jacfwd(field.drift)(jnp.asarray(first)))
    size = float(np.linalg.norm(first - rest))
    starts = [first]
    if np.linalg.norm(np.asarray(drift(first))) < _AT_REST * np.abs(slope).max() * size:
        rates, directions = np.linalg.eig(slope)
        aside = directions[:, rates.real.argmax()].real
        starts = [first + sign * 1e-6 * size * aside for sign in (1, -1)]
    rates_at_rest = np.linalg.eigvals(np.asarray(jax.jacfwd(field.drift)(jnp.asarray(rest)))).real
    slowest = float(-rates_at_rest.max())
    near = lambda _, z: float(np.linalg.norm(z - rest)) - 1e-6 * size
    near.terminal = True  # type: ignore[attr-defined]
    for start in starts:
        done = solve_ivp(
            lambda _, z: np.asarray(drift(z)), (0, 200 / slowest), start, "LSODA", rtol=1e-9, atol=1e-12 * size,
            events=near,
        )  # fmt: skip
        if done.status == 1:
            return np.concatenate([first[None], done.y.T, rest[None]])
    raise NotCarried(
        f"without noise, the state {_point(first)} does not return to {_point(rest)}, so the closed form does not "
        "apply; take the saddle between them as the end."
    )


# points and pictures


def _given(through: Any, begin: np.ndarray, goal: np.ndarray) -> Path | None:
    if through is None:
        return None
    states = np.atleast_2d(reals(through))
    if states.ndim != 2 or states.shape[1] != begin.size or not np.isfinite(states).all():
        raise OdescentError(
            f"through must be finite states of {begin.size} entries, shape (k, {begin.size}), not of the shape "
            f"{states.shape}."
        )
    return states


def _finite(field: NoisyField, ends: Path) -> None:
    for z in ends:
        if not np.isfinite(np.asarray(field.drift(jnp.asarray(z)))).all():
            raise OdescentError(f"the drift of {field.name} is not finite at {_point(z)}.")


def _attracts(field: NoisyField, begin: np.ndarray, goal: np.ndarray) -> bool:
    """Whether the start is at rest, as far as rounded coordinates tell, and attracts."""
    slope = np.asarray(jax.jacfwd(field.drift)(jnp.asarray(begin)))
    if not np.isfinite(slope).all():
        return False
    speed = float(np.linalg.norm(np.asarray(field.drift(jnp.asarray(begin)))))
    scale = float(np.linalg.norm(slope, 2)) * float(np.linalg.norm(goal - begin))
    return speed <= _AT_REST * scale and float(np.linalg.eigvals(slope).real.max()) < 0


def _around(field: NoisyField, path: Path) -> Float[np.ndarray, "_ 2 2"] | None:
    if path.shape[1] != 2:
        return None
    low, high = path.min(0), path.max(0)
    half = _MARGIN * (float((high - low).max()) or 1.0)
    sides = [np.linspace(a - half, b + half, _ARROWS) for a, b in zip(low, high, strict=True)]
    z = np.stack(np.meshgrid(*sides), -1).reshape(-1, 2)
    return np.stack([z, np.asarray(jax.vmap(field.drift)(jnp.asarray(z)))], 1)


def _point(z: Sequence[float] | np.ndarray) -> str:
    shown = [f"{v:.4g}" for v in z[:6]] + ["..."] * (len(z) > 6)
    return f"({', '.join(shown)})"


__all__ = ["MinimumAction", "minimum_action"]
