"""Planar fields of systems: two-dimensional ones directly, others through a plane in their state space."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import sympy as sp
from jaxtyping import Array, Float

from ..._support.arguments import checked
from ..._support.errors import OdescentError, expected, unknown
from ..._support.numbers import reals
from ..._support.rendering.rendered import Rendered
from ...dynamics import Objective, System
from ...dynamics.algebra.vectors import Expr
from ...dynamics.evaluation.evaluate import (
    Oracles,
    evaluate,
    initial_state,
    oracles_of,
    vector_field,
)
from ...dynamics.vector_fields.block import start as starting_point
from ..noise.noisy_field import parted
from .field import FixedPoint, Points, Window, points_at_rest
from .reference_flows import follow, sampled

Vector = Float[np.ndarray, " _"] | Sequence[float]


@checked
@dataclass(frozen=True)
class Section(Rendered):
    """A plane in the state space: origin + a first + b second, with coordinates (a, b).

    The state is the blocks' entries one after another, in the system's order. Velocities are projected
    onto the plane orthogonally; so are iterates and flows.
    """

    origin: Vector
    first: Vector
    second: Vector

    def __post_init__(self) -> None:
        parts = [reals(p) for p in (self.origin, self.first, self.second)]
        shapes = {p.shape for p in parts}
        if len(shapes) != 1 or parts[0].ndim != 1 or not all(np.isfinite(p).all() for p in parts):
            raise OdescentError(
                f"a section must be three finite vectors of one length, not of the shapes {[p.shape for p in parts]}."
            )
        if np.linalg.matrix_rank(np.stack(parts[1:])) < 2:
            raise OdescentError("the two directions of a section must not be parallel or zero.")
        for name, part in zip(("origin", "first", "second"), parts, strict=True):
            object.__setattr__(self, name, part)

    @property
    def basis(self) -> Float[np.ndarray, "n 2"]:
        return np.stack([self.first, self.second], 1)

    @property
    def entries(self) -> tuple[int, int] | None:
        """The two entries of the state that are the coordinates; None where the coordinates are others."""
        first, second = self.basis.argmax(0).tolist()
        own = np.array_equal(self.basis, np.eye(len(self.basis))[:, [first, second]])
        return (first, second) if own and not np.any(self.origin) else None

    def project(self, states: Float[np.ndarray, "k n"]) -> Float[np.ndarray, "k 2"]:
        """The coordinates of the nearest points of the plane."""
        inverse = np.linalg.pinv(self.basis)
        flat: Float[np.ndarray, "k 2"] = (states - self.origin) @ inverse.T
        return flat


class Plane:
    """The planar field of a system on an objective.

    Args:
        system: autonomous, without free parameters.
        target: the objective.
        dimension: of the objective's argument, and of every vector block.
        section: the plane; None where the state is two-dimensional.
        axes: names of the blocks on the axes where there are two of one entry each.

    Raises:
        OdescentError: a state that is not two-dimensional and no section, or a section of another length.
    """

    def __init__(
        self, system: System, target: Objective, dimension: int, section: Section | None, axes: tuple[str, str] | None
    ) -> None:  # fmt: skip
        if not system.autonomous:
            raise OdescentError(
                "a phase portrait requires an autonomous system; this one depends on time: od.analysis.landscape "
                "draws it over the level lines of a function of two variables or more."
            )
        self.system, self.target, self.dimension = system, target, dimension
        self.sizes = _sizes(system, dimension)
        total = sum(self.sizes.values())
        if section is None:
            section = self._whole(total, axes)
        if len(section.origin) != total:
            raise OdescentError(
                f"a section of this system must have vectors of {total} entries ({self._layout()}), "
                f"not {len(section.origin)}."
            )
        self.section, self.invariant = section, total == 2
        self.oracles: Oracles = oracles_of(system, target)
        self._of_plane = system, target, dimension, _numbers(section)
        self._compiled = _compiled(*self._of_plane)
        self.one = self._compiled.one

    def _layout(self) -> str:
        return ", ".join(f"{n}: {k}" for n, k in self.sizes.items())

    def _whole(self, total: int, axes: tuple[str, str] | None) -> Section:
        names = list(self.sizes)
        if total != 2:
            raise OdescentError(
                f"a phase portrait is drawn of a two-dimensional state, two vector blocks of one entry or one of two; "
                f"this one has {total} ({self._layout()}): take an objective of fewer variables or a curvature=, "
                "or, in Python, section=Section(origin, first, second); od.analysis.landscape draws it over the level "
                "lines of a function of two variables or more."
            )
        turned = False
        if axes is not None and len(names) == 2:
            if sorted(axes) != sorted(names):
                raise OdescentError(f"the axes {axes} are not the system's blocks {tuple(names)}.")
            turned = tuple(axes) != tuple(names)
        elif len(names) == 2:
            started = [b.name for b in self.system.blocks if b.kind != "scalar" and b.init]
            turned = len(started) == 1 and started[0] != names[0]
        e = np.eye(2)
        return Section(np.zeros(2), e[int(turned)], e[1 - int(turned)])

    def flat(self, states: Mapping[str, Any]) -> Float[np.ndarray, "k 2"]:
        """Recorded blocks, leading axis of times, as coordinates in the plane."""
        columns = [
            np.asarray(states[n], np.float64).reshape(len(states[n]), -1) for n in self.sizes
        ]
        return self.section.project(np.concatenate(columns, axis=1))

    def field(self, points: Points) -> Points:
        """The projected velocities at points of the plane, shape (n, 2)."""
        found: Points = self._of(self._compiled.field, points)
        return found

    def jacobian(self, points: Points) -> Float[np.ndarray, "n 2 2"]:
        """Their derivatives."""
        found: Float[np.ndarray, "n 2 2"] = self._of(self._compiled.jacobian, points)
        return found

    def at_rest(self, window: Window) -> tuple[FixedPoint, ...]:
        """The fixed points of the whole system that lie in a window of the plane."""
        rates, along, whole = (
            lambda points, f=f: self._of(f, points)
            for f in (self._compiled.rates, self._compiled.rate_slopes, self._compiled.state_slopes)
        )
        return points_at_rest(rates, along, whole, window)

    def start(self, x0: Any) -> Float[np.ndarray, " n"]:
        """The whole state that a starting point means.

        Args:
            x0: a point of the objective's argument, from which the blocks take their initial values (a number or an
                array; None for 1); an array of the whole state, a point in the picture where that is all of it, else
                block by block in the system's order; or a dict of blocks, by name or symbol, to their values, the
                others taking their initial ones.

        Raises:
            OdescentError: of another shape, not finite, an unknown block, or a number for a system of scalar blocks.
        """
        import jax
        import jax.numpy as jnp

        total, kinds = sum(self.sizes.values()), {b.name: b.kind for b in self.system.blocks}
        vectors = [n for n, kind in kinds.items() if kind != "scalar"]
        given: dict[str, np.ndarray] = {}
        point = np.ones(self.dimension)
        if isinstance(x0, Mapping):
            given = {str(getattr(n, "name", n)): self._entries(v) for n, v in x0.items()}
            if unheard := sorted(set(given) - set(self.sizes)):
                raise unknown("block of this system called", unheard[0], list(self.sizes))
            for name, value in given.items():
                if value.size not in (1, self.sizes[name]):
                    raise OdescentError(
                        f"the block {name} has {self.sizes[name]} entries; x0 gives it {value.size}."
                    )
            sources = [
                b.name for b in self.system.blocks if b.init == starting_point and b.name in given
            ]
            point = np.broadcast_to(given[sources[0]], point.shape) if sources else point
        elif x0 is not None:
            value = self._entries(x0)
            if vectors and value.size in (1, self.dimension):
                point = np.broadcast_to(value, point.shape)
            elif value.size == total:
                return self.section.basis @ value if self.invariant else value
            else:
                argument = f", {self.dimension} of the objective's argument" if vectors else ""
                raise OdescentError(
                    f"x0 has {value.size} entries: give {total} of the whole state ({self._layout()}){argument}, or a "
                    f"dict of blocks, as in x0={{{next(iter(self.sizes))!r}: 1.0}}."
                )
        with jax.enable_x64(True):
            begin = initial_state(self.system, jnp.asarray(point), self.oracles, {}, jnp)
        parts = []
        for (name, size), own in zip(self.sizes.items(), begin, strict=True):
            parts.append(
                np.broadcast_to(given.get(name, np.asarray(own, np.float64).reshape(-1)), (size,))
            )
        return np.concatenate(parts)

    @staticmethod
    def _entries(value: Any) -> np.ndarray:
        found = np.atleast_1d(reals(value))
        if not found.size:
            raise expected("x0 of phase_portrait", "a number or an array of numbers", value)
        if found.ndim != 1 or not np.isfinite(found).all():
            raise OdescentError(f"the starting point of a portrait must be finite, not {value}.")
        return found

    def flow(
        self, starts: Float[np.ndarray, "m n"], t1: float
    ) -> tuple[Float[np.ndarray, "m k"], Float[np.ndarray, "m k 2"]]:
        """The flow from states, projected onto the plane: times and points, evenly spread along the curves.

        Args:
            starts: states of the system.
            t1: final time.

        Raises:
            OdescentError: a solution blows up, or needs too many steps.
        """
        done = follow(lambda _, z: self._of(self._compiled.state_rates, z), starts, 0.0, t1)
        if (done.end < t1).any():
            raise OdescentError(
                f"the flow from the start blows up at about t = {done.end.min():.4g} of {t1:g}; give a smaller t1=, "
                "or t1=0."
            )
        times, states = sampled(done, self.section.project)
        return times, np.stack([self.section.project(z) for z in states])

    def defect(self, points: Points) -> float:
        """The largest share of the velocity that points out of the plane; 0 where the plane is invariant."""
        if self.invariant:
            return 0.0
        rates = self._of(self._compiled.rates, points)
        kept = rates @ np.linalg.pinv(self.section.basis).T @ self.section.basis.T
        size = np.linalg.norm(rates, axis=1)
        moving = size > 1e-12 * size.max(initial=0.0)
        return float((np.linalg.norm(rates - kept, axis=1)[moving] / size[moving]).max(initial=0.0))

    def scalar(self, e: Expr) -> Callable[[Points], Float[np.ndarray, " n"]]:
        """An expression in the blocks, such as an energy, as a function of points (n, 2)."""
        compiled = _compiled_scalar(e, *self._of_plane)
        return lambda points: self._of(compiled, points)

    def _of(self, compiled: Any, points: Float[np.ndarray, "n d"]) -> Any:
        """A compiled function of points, padded so that few shapes are compiled."""
        import jax

        n = len(points)
        with jax.enable_x64(True):
            if n == 1:  # as solvers ask, thousands of times
                return np.asarray(compiled(points))
            size = 64 ** max(1, -(-max(n - 1, 1).bit_length() // 6))  # 64, 4096, ...
            some = np.resize(points, (size, points.shape[1])) if n else np.zeros((size, 2))
            return np.asarray(compiled(some))[:n]


Numbers = tuple[tuple[float, ...], ...]


def _numbers(section: Section) -> Numbers:
    """A section as a key."""
    parts = (section.origin, section.first, section.second)
    return tuple(tuple(map(float, v)) for v in parts)


def _sizes(system: System, dimension: int) -> dict[str, int]:
    return {b.name: 1 if b.kind == "scalar" else dimension for b in system.blocks}


class _Compiled(NamedTuple):
    """The velocities of a system in a plane: of one point, and compiled of many.

    Attributes:
        one: the projected velocity at one point, as a JAX function.
        field, jacobian: it, and its derivatives.
        rates, rate_slopes: the whole velocity at a point of the plane, and its derivatives along the plane.
        state_rates, state_slopes: the whole velocity at a state, and its derivatives in the state, at a point of the
            plane.
    """

    one: Callable[[Any], Any]
    field: Callable[[Any], Any]
    jacobian: Callable[[Any], Any]
    rates: Callable[[Any], Any]
    rate_slopes: Callable[[Any], Any]
    state_rates: Callable[[Any], Any]
    state_slopes: Callable[[Any], Any]


@lru_cache(maxsize=64)
def _compiled(system: System, target: Objective, dimension: int, plane: Numbers) -> _Compiled:
    """The same one for the same system, objective and plane: a picture that is drawn again compiles nothing."""
    import jax
    import jax.numpy as jnp

    field = vector_field(system, oracles_of(system, target), {}, jnp)
    section, sizes = Section(*plane), _sizes(system, dimension)
    origin, basis = np.asarray(section.origin), section.basis
    inverse = np.linalg.pinv(basis)
    # the state itself, or its two entries in the other order, needs no matrix products
    order = section.entries if len(basis) == 2 else None

    def whole(state: Float[Array, " n"]) -> Float[Array, " n"]:
        out = field(0.0, parted(system, sizes, state))
        return jnp.concatenate([jnp.reshape(r, (-1,)) for r in out])

    def rates(point: Float[Array, "2"]) -> Float[Array, " n"]:
        if order:
            return whole(jnp.stack([point[order.index(i)] for i in range(2)]))
        return whole(origin + basis @ point)

    def one(point: Float[Array, "2"]) -> Float[Array, "2"]:
        out = rates(point)
        if order:  # no sums with zeros: tighter for intervals, faster too
            return jnp.stack([out[i] for i in order])
        return jnp.asarray(inverse) @ out

    slopes: Callable[[Any], Any] = lambda point: jax.jacfwd(whole)(origin + basis @ point)
    many = (one, jax.jacfwd(one), rates, jax.jacfwd(rates), whole, slopes)
    return _Compiled(one, *(jax.jit(jax.vmap(f)) for f in many))


@lru_cache(maxsize=64)
def _compiled_scalar(
    e: Expr, system: System, target: Objective, dimension: int, plane: Numbers
) -> Callable[[Any], Any]:
    """An expression in the blocks at points of a plane, compiled."""
    import jax
    import jax.numpy as jnp

    symbols, sizes = [b.symbol for b in system.blocks], _sizes(system, dimension)
    section, oracles = Section(*plane), oracles_of(system, target)
    origin, basis = np.asarray(section.origin), section.basis

    def one(point: Any) -> Any:
        state = parted(system, sizes, origin + basis @ point)
        return evaluate(e, dict(zip(symbols, state, strict=True)), oracles, jnp)

    return jax.jit(jax.vmap(one))


def slow_curves(
    plane: Plane, system: System, fast: str, small: str, value: float, order: int,
    window: Sequence[Sequence[float]], parameters: Mapping[sp.Symbol, Any],
) -> dict[str, Float[np.ndarray, "k 2"]]:  # fmt: skip
    """The expansions of the slow manifold, orders 0 to ``order``, as curves in a portrait of two blocks.

    Args:
        plane: of the bound system, two blocks of one entry.
        system: the same with the small parameter free: either ``small`` itself, or a rate 1 / small.
        fast: the fast block.
        small: the parameter's name; of a rate K as "1/K".
        value: the small parameter's number.
        order: the highest power of it.
        window: the slow block's range is taken from it.
        parameters: values of the others.

    Raises:
        OdescentError: no such block or parameter, or a system that has no such manifold (see
            `dynamics.fast_slow.manifold.expand`).
    """
    import jax
    import jax.numpy as jnp

    names = list(plane.sizes)
    if fast not in names or len(names) != 2 or plane.dimension != 1:
        raise OdescentError(
            f"a slow manifold is drawn as a graph over one of two blocks; {fast!r} is not one of {', '.join(names)}."
        )
    inverted = small.startswith("1/")
    name = small.removeprefix("1/").strip()
    symbol = next((p for p in system.parameters if p.name == name), None)
    if symbol is None:
        raise OdescentError(f"the system has no parameter {name!r} to be small or large.")
    eps = sp.Symbol("epsilon", positive=True) if inverted else symbol
    free = system.bind({symbol: 1 / eps}) if inverted else system
    free = free.bind({p: v for p, v in parameters.items() if p != symbol})
    fast_symbol = free.block(fast).symbol
    terms = free.with_fast({fast_symbol: eps}).slow_manifold(order)[fast_symbol]
    slow = next(n for n in names if n != fast)
    corners = np.array([(a, b) for a in window[0] for b in window[1]])
    seen = (plane.section.origin + corners @ plane.section.basis.T)[:, names.index(slow)]
    along = np.linspace(seen.min(), seen.max(), 201)
    slow_symbol = free.block(slow).symbol
    oracles = oracles_of(free, plane.target)

    def graph(s: Any, upto: int) -> Any:
        known = {slow_symbol: s[None], eps: value}
        total = jnp.zeros(1)
        for j, term in enumerate(terms[: upto + 1]):
            total = total + value**j * evaluate(term, known, oracles, jnp)
        return total[0]

    curves = {}
    with jax.enable_x64(True):
        for upto in range(order + 1):
            values = np.asarray(jax.vmap(lambda s, upto=upto: graph(s, upto))(jnp.asarray(along)))
            states = np.stack([along if n == slow else values for n in names], 1)
            curves[f"slow manifold, order {upto}"] = plane.section.project(states)
    return curves
