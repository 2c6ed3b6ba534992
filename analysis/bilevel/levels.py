"""The two levels as functions of flat arrays, what they reduce to, and projections."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import sympy as sp
from jax.flatten_util import ravel_pytree

from ..._support.errors import OdescentError, expected
from ...dynamics.algebra.calculus import substitute
from ...dynamics.evaluation.evaluate import evaluate, with_roots
from ...dynamics.implicit.roots import roots_of
from ...dynamics.library import system
from ...dynamics.library.bilevel import F, G
from ...dynamics.vector_fields.objective import Objective
from ...dynamics.vector_fields.own_functions import Apart, current, data_key, rows_in

# tolerance of a search in double precision, relative to 1 + the length of the unknown
_LEAST = 1e-13


@dataclass(frozen=True)
class Levels:
    """Both levels as functions of flat arrays.

    Attributes:
        key: what tells them from others; equal where the same is computed.
        oracles: their values and gradients by name.
        mu: strong convexity of the lower level, where it is known.
    """

    key: Any
    oracles: Mapping[str, Any] = field(compare=False)
    mu: float | None = field(compare=False)


@dataclass(frozen=True)
class Projection:
    """A projection on flat arrays, and what tells it from others."""

    key: Any
    fun: Callable[[Any], Any] = field(compare=False)

    def __call__(self, x: Any) -> Any:
        return self.fun(x)


class Reduced:
    """The function of x alone that a route minimizes, with its gradient, from a guess of the fast blocks.

    What is compiled for levels and an inner method serves every sigma and tolerance.

    Args:
        method: "implicit" or "penalty".
        levels: both levels.
        sigma: the small parameter of the penalty.
        tolerance: of the lower searches.
        inner: the algorithm that searches the lower level, and its adjoint; None for Newton's method.
    """

    failure = (
        "the lower level has no minimizer near its start: Newton's steps from y0 end at a point with negative "
        "curvature, or do not descend; begin elsewhere, or make the lower level convex in y."
    )

    def __init__(
        self, method: str, levels: Levels, sigma: float, tolerance: float, inner: Any = None
    ) -> None:
        self.program = _program(method, levels, inner)
        self.fast, self.mu = self.program.fast, levels.mu
        self.curved = False  # as far as is known
        # the penalty's difference of two searches is divided by sigma
        needed = max(tolerance * min(1.0, sigma), _LEAST) if method == "penalty" else tolerance
        self.numbers = (sigma, needed)
        if inner is not None:
            self.failure = (
                f"the lower level has no minimizer that {inner.name} finds from its start: its steps do not come to "
                "rest, or end where the curvature is negative; begin elsewhere, or take a shorter step."
            )

    def __call__(self, x: Any, guess: tuple[Any, ...]) -> dict[str, Any]:
        """Values at x; raises OdescentError where a lower search does not end in a minimizer."""
        found = dict(self.program.at(x, guess, *self.numbers))
        if self.program.implicit and not self.curved:
            # where G has no term in both x and y, the gradient does not show that there is no adjoint
            self.curved = not self.program.flat(x, found["fast"][0])
            if not self.curved:
                found["gradient"] = jnp.full_like(found["gradient"], jnp.nan)
        return found


class _AtRest:
    """The flow at rest in its fast blocks, evaluated and compiled."""

    def __init__(self, method: str, levels: Levels, inner: Any) -> None:
        flow = system(f"{method}_bilevel")
        self.tolerance = sp.Symbol("tolerance", positive=True)
        how = {"tolerance": self.tolerance, "method": inner}
        at_rest = flow.critical_manifold(**how)
        self.roots = {
            s: r for s, e in at_rest.items() for r in roots_of(e) if r.equations.names == (s.name,)
        }
        self.fast = [*self.roots]
        self.implicit = method == "implicit"
        self.adjoint = self.implicit and len(self.fast) > 1
        self.flat = jax.jit(self._flat)
        x, y = (flow.block(n).symbol for n in "xy")
        self.gradient: Any = -flow.reduced(0, **how).drift[x]
        self.value: Any = F.value(x, y)
        self.sigma = [p for p in flow.parameters if p.name == "sigma"]  # of the penalty
        if method == "penalty":
            z = flow.block("z").symbol
            self.value += (G.value(x, y) - G.value(x, z)) / self.sigma[0]
        self.value = substitute(self.value, at_rest)
        self.x, self.oracles = x, dict(levels.oracles)
        self.at = jax.jit(self._found)

    def _found(self, x: Any, guess: tuple[Any, ...], sigma: Any, tolerance: Any) -> dict[str, Any]:
        values: dict[Any, Any] = {
            self.x: x,
            self.tolerance: tolerance,
            **dict.fromkeys(self.sigma, sigma),
            **dict(zip(self.fast, guess, strict=True)),
        }
        known = with_roots([self.gradient, self.value], values, self.oracles, jnp)
        found = tuple(known[self.roots[s]] for s in self.fast)
        left: list[Any] = []
        for r in self.roots.values():
            opened = r.equations.linearized
            inside = {**known, opened.unknowns[r.which]: known[r]}
            left.append(evaluate(opened.equations[r.which], inside, self.oracles, jnp))
        value = evaluate(self.value, known, self.oracles, jnp)
        if self.adjoint:  # to first order, what the search leaves of y changes the value by this
            value = value - jnp.vdot(found[1], left[0])
        return {
            "value": value,
            "gradient": evaluate(self.gradient, known, self.oracles, jnp) + jnp.zeros_like(x),
            "fast": found,
            "residual": jnp.linalg.norm(left[0]) if self.adjoint else _length(left),
            "upper": self.oracles["value_F"](x, found[0]),
        }

    def _flat(self, x: Any, y: Any) -> Any:
        """Whether G has no curvature at all along the gradient of F, which is not 0."""
        force = self.oracles["grad_F_y"](x, y)
        slope = lambda y: self.oracles["grad_G_y"](x, y)
        return jnp.any(force) & ~jnp.any(jax.jvp(slope, (y,), (force,))[1])


_program = lru_cache(maxsize=8)(_AtRest)


def _length(arrays: list[Any]) -> Any:
    return jnp.sqrt(sum(jnp.sum(a**2) for a in arrays))


def floats(name: str, value: Any) -> Any:
    """A pytree with leaves in double precision; OdescentError for what is none, or not finite."""
    leaves = jax.tree.leaves(value)
    if not leaves:
        raise expected(name, "an array or a pytree of arrays", value)
    try:
        made = jax.tree.map(lambda leaf: jnp.asarray(leaf, float), value)
    except (TypeError, ValueError, OverflowError):
        raise expected(name, "an array or a pytree of arrays of numbers", value) from None
    if not all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves(made)):
        raise OdescentError(f"{name} has entries that are not finite.")
    return made


def levels_of(
    upper: Any,
    lower: Any,
    shape_x: Any,
    shape_y: Any,
    rows: tuple[Any, ...] = (),
) -> Levels:
    """Values and partial gradients of both levels on flat arrays.

    Args:
        upper: F, a function of x and y, and of its rows if there are any.
        lower: G, likewise.
        shape_x: gives flat arrays the shape of x.
        shape_y: likewise.
        rows: those of both levels, pytrees of arrays; none for functions of x and y alone.
    """
    found: dict[str, Any] = {}
    known: list[Any] = [shape_x, shape_y]
    data: list[tuple[Any, ...]] = [(part,) for part in rows] or [(), ()]
    for (name, level), of in zip((("F", upper), ("G", lower)), data, strict=True):
        if isinstance(level, Objective) and not of:
            if len(level.args) != 2 or level.fun is None:
                raise OdescentError(
                    f"{level!r} is not a function of x and y: give Objective(name, fun, args=('x', 'y')), or a "
                    "function."
                )
            fun: Any = level.fun
        elif callable(level):
            fun = level
            try:
                inspect.signature(level).bind(None, None, *of)
            except ValueError:  # no signature is known
                pass
            except TypeError as error:
                read = "(x, y, rows)" if of else "(x, y)"
                count = "three" if of else "two"
                raise OdescentError(
                    f"the level {name} must be a JAX function of {read}, but of {count} arguments it has {error}."
                ) from None
        else:
            raise expected(f"the level {name}", "a JAX function of (x, y)", level)
        fun = current(fun)
        known.append((fun, data_key(of)))

        def flat(x: Any, y: Any, fun: Any = fun, named: str = name, of: Any = of) -> Any:
            value = jnp.asarray(fun(shape_x(x), shape_y(y), *of), float)
            if value.shape:
                raise expected(f"the level {named}", "a scalar function of (x, y)", value)
            return value

        checked = Apart(flat)
        found |= {
            f"value_{name}": checked,
            f"grad_{name}_x": jax.grad(checked),
            f"grad_{name}_y": jax.grad(checked, 1),
        }
    mu = getattr(lower, "mu", None)
    mu = float(mu) if mu is not None and getattr(mu, "is_number", True) else None
    return Levels(tuple(known), found, mu)


def row_counts(rows: Any, batch: int | None, method: str) -> tuple[int, ...]:
    """The numbers of rows of both levels; OdescentError where they, or a batch of them, make no sense."""
    if rows is None:
        if batch is not None:
            raise OdescentError(
                "batch= is a number of rows: give rows=(those of F, those of G) too."
            )
        return ()
    if not isinstance(rows, tuple) or len(rows) != 2:
        raise expected("rows", "a pair (those of F, those of G)", rows)
    found = []
    for name, part in zip("FG", rows, strict=True):
        count, shown = rows_in(part)
        if not count:
            raise OdescentError(
                f"the rows of {name} must be arrays of one length, one entry a row, not of the lengths "
                f"{shown}."
            )
        found.append(count)
    if batch is not None and not 0 < batch <= min(found):
        raise OdescentError(
            f"batch must be from 1 to {min(found)}, the rows of a level, not {batch}."
        )
    if batch is not None and method != "single_loop":
        raise OdescentError(
            f'{method!r} solves the lower level in every step, which needs all rows: batch= is for "single_loop".'
        )
    return tuple(found)


def projection(
    constraints: Any, shape_x: Any, x0: Any, name: str = "constraints", begins: str = "x0"
) -> Projection:
    """The projection on flat arrays, idempotent and not expansive on what is tried.

    Args:
        constraints: the projection that was given, or None.
        shape_x: gives flat arrays their shape.
        x0: the starting point, flat, which has to be in the set.
        name: of the option, for messages.
        begins: what the starting point is called.

    Returns:
        the projection.

    Raises:
        OdescentError: it is none, or the starting point is elsewhere.
    """
    if constraints is None:
        return Projection(None, lambda x: x)

    known = current(constraints)

    def flat(x: Any) -> Any:
        return ravel_pytree(known(shape_x(x)))[0]

    project = Projection((shape_x, known), flat)
    key = jax.random.key(0)
    around = [(x0, s) for s in (0.1, 1.0, 10.0, 10.0)] + [(0 * x0, s) for s in (0.01, 0.01, 1.0)]
    tried = [
        at + s * jax.random.normal(jax.random.fold_in(key, i), x0.shape)
        for i, (at, s) in enumerate(around)
    ]
    ends = [project(v) for v in tried]
    twice = max(float(jnp.max(jnp.abs(project(e) - e))) for e in ends)
    wider = [
        float(jnp.linalg.norm(a - b) - jnp.linalg.norm(u - v))
        for u, a in zip(tried, ends, strict=True) for v, b in zip(tried, ends, strict=True)
    ]  # fmt: skip
    if not twice < 1e-6 or not max(wider) < 1e-6:
        why = "applied twice it moves a point" if not twice < 1e-6 else "it moves two points apart"
        raise OdescentError(
            f"{name}= is no projection on a convex set: {why}, which a projection does not."
        )
    if not float(jnp.max(jnp.abs(project(x0) - x0))) < 1e-8:
        raise OdescentError(f"{begins} does not satisfy the constraint: begin at its projection.")
    return project
