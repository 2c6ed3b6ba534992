"""The single loop of `bilevel`: a step in each of x, y and z of the penalty's flow, compiled once for its levels."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..._support.errors import OdescentError
from ...dynamics.evaluation.evaluate import evaluate
from ...dynamics.library import system
from ...dynamics.random.sources import source
from .levels import Levels, Projection
from .result import BilevelResult, result_of

cg: Any = jax.scipy.sparse.linalg.cg
_CHUNK = 50  # steps between two looks
_WARNED = 0.1  # relative change of the flow by unequal scales, from which it is said
_NAMES = ("value", "hypergradient", "lower_residual")


def drawn(
    levels_on: Callable[[tuple[Any, ...]], Levels],
    rows: tuple[Any, ...],
    counts: tuple[int, ...],
    batch: int,
    key: Any,
) -> Callable[[Any], dict[str, Any]]:
    """The oracles of a step by its number, on rows that are drawn for it with replacement.

    Args:
        levels_on: the levels on some rows of each.
        rows: those of both levels, pytrees of arrays.
        counts: how many each has.
        batch: how many are drawn of each.
        key: of the draws, a JAX key or its seed.
    """
    fresh: Any = source(key, "jax")

    def oracles(step: Any) -> dict[str, Any]:
        picked = []
        keys = jax.random.split(jax.random.fold_in(fresh, step))
        for part, k, n in zip(rows, keys, counts, strict=True):
            which = jax.random.randint(k, (batch,), 0, n)
            picked.append(jax.tree.map(lambda leaf, at=which: jnp.asarray(leaf)[at], part))
        return dict(levels_on(tuple(picked)).oracles)

    return oracles


class SingleLoop:
    """The steps of the loop and what is looked at between them; `n` has sigma, h, lower, ratio and tolerance.

    Args:
        levels: both levels.
        project: the projection of x.
        inside: that of y and z.
        draws: the oracles of a step by its number, where each takes a batch of rows; else None.
        momentum: beta of averages of the slopes that batches give.
    """

    def __init__(
        self, levels: Levels, project: Projection, inside: Projection,
        draws: Callable[[Any], dict[str, Any]] | None = None, momentum: float = 0.0,
    ) -> None:  # fmt: skip
        flow = system("penalty_bilevel")
        self.oracles, self.draws, self.kept = levels.oracles, draws, momentum
        self.projections = (project, inside, inside)
        self.blocks = [b.symbol for b in flow.blocks]
        self.rates = [flow.drift[b] for b in self.blocks]
        self.named = {p.name: p for p in flow.parameters}
        self.curved, self.lag = jax.jit(self._curved), jax.jit(self._lag)
        self.looked = jax.jit(self._looked)
        self.steps = jax.jit(self._steps, static_argnums=2)
        self.steps_on_rows = jax.jit(self._steps_on_rows)

    def _curved(self, v: Any, x: Any, y: Any, sigma: Any) -> Any:
        """The Hessian of sigma F + G in y times v."""
        F_, G_ = self.oracles["grad_F_y"], self.oracles["grad_G_y"]
        return jax.jvp(lambda y: sigma * F_(x, y) + G_(x, y), (y,), (v,))[1]

    def _lag(self, u: Any, x: Any, y: Any) -> Any:
        """B A^-2 B^T u: what a lag of the lower level does to the upper one."""
        gradient: Any = self.oracles["grad_G_y"]
        moved = jax.jvp(lambda x: gradient(x, y), (x,), (u,))[1]
        for _ in range(2):
            moved = cg(lambda v: self._curved(v, x, y, 0.0), moved, tol=1e-8)[0]
        return jax.vjp(lambda x: gradient(x, y), x)[1](moved)[0]

    def slopes(self, at: Any, n: Mapping[str, Any], oracles: Any) -> list[Any]:
        """The rates of the blocks."""
        of = {"sigma": n["sigma"], "epsilon": n["h"] / n["lower"], "rho": n["ratio"]}
        known = dict(zip(self.blocks, at, strict=True)) | {self.named[k]: v for k, v in of.items()}
        return [evaluate(rate, known, oracles, jnp) for rate in self.rates]

    def residuals(self, at: Any, slopes: Any, n: Mapping[str, Any]) -> tuple[Any, Any]:
        """Of the upper level and of the lower ones: the lengths of their projected steps."""
        project, inside, _ = self.projections
        upper = jnp.linalg.norm(at[0] - project(at[0] + slopes[0]))
        ahead = [v + w * n["h"] / n["lower"] for v, w in zip(at[1:], slopes[1:], strict=True)]
        moves = [v - inside(w) for v, w in zip(at[1:], ahead, strict=True)]
        return upper, jnp.sqrt(sum(jnp.sum(v**2) for v in moves))

    def moved(self, at: Any, slopes: Any, n: Mapping[str, Any]) -> tuple[Any, ...]:
        """The blocks after a step."""
        ahead = [v + n["h"] * slope for v, slope in zip(at, slopes, strict=True)]
        return tuple(p(w) for p, w in zip(self.projections, ahead, strict=True))

    def _looked(self, at: Any, n: Mapping[str, Any]) -> Any:
        """The value, the residuals and the gradient, of all rows."""
        slopes = self.slopes(at, n, self.oracles)
        return (self.oracles["value_F"](at[0], at[1]), *self.residuals(at, slopes, n)), -slopes[0]

    def _steps(self, at: Any, n: Mapping[str, Any], count: int) -> Any:
        """Steps until the residuals are small enough; those before each step, and whether they are."""

        def move(state: Any, _: Any) -> Any:
            at, ended = state
            slopes = self.slopes(at, n, self.oracles)
            upper, lowers = self.residuals(at, slopes, n)
            ended = ended | (jnp.maximum(upper, lowers) <= n["tolerance"])
            ahead = zip(at, self.moved(at, slopes, n), strict=True)
            kept = tuple(jnp.where(ended, v, w) for v, w in ahead)
            return (kept, ended), (self.oracles["value_F"](at[0], at[1]), upper, lowers, ended)

        (at, _), rows = jax.lax.scan(move, (at, jnp.asarray(False)), None, length=count)
        return at, rows

    def _steps_on_rows(self, state: Any, n: Mapping[str, Any], numbers: Any) -> Any:
        """Steps on the rows that are drawn for them, by averages of slopes that are asked for ahead."""
        kept, draws = self.kept, self.draws
        assert draws is not None

        def move(state: Any, number: Any) -> Any:
            at, average = state
            place = self.moved(at, [w * (kept / (1 - kept)) for w in average], n) if kept else at
            slopes = self.slopes(place, n, draws(number))
            average = tuple(kept * w + (1 - kept) * g for w, g in zip(average, slopes, strict=True))
            return (self.moved(at, average, n), average), None

        return jax.lax.scan(move, state, numbers)[0]


loop_of = lru_cache(maxsize=8)(SingleLoop)


def _lower_step(loop: SingleLoop, scales: Mapping[str, Any], x: Any, y: Any) -> float:
    """The lower step, after the check that unequal scales do not make the loop unstable (FAMILIES, B5)."""
    sigma, key = scales["sigma"], jax.random.key(1)

    def largest(product: Callable[..., Any], v: Any, *more: Any) -> float:
        for _ in range(60):
            w = product(v, x, y, *more)
            size = jnp.linalg.norm(w)
            v = w / jnp.where(size > 0, size, 1.0)
        return float(size)

    lower = scales["lower"]
    lower = lower or 1 / largest(loop.curved, jax.random.normal(key, y.shape), sigma)
    if scales["ratio"] != 1:
        apart = scales["h"] / lower * (scales["ratio"] - 1)
        lag = largest(loop.lag, jax.random.normal(key, x.shape))
        share = apart * lag / sigma
        if share >= 1:
            raise OdescentError(
                f"the loop is unstable: z's scale exceeds y's by {apart:.3g}, and from {sigma / lag:.3g} on the "
                "effective mass is not definite; take ratio=1, a larger sigma or a smaller step."
            )
        if abs(share) > _WARNED:
            warnings.warn(
                f"unequal scales of the lower blocks change the flow by the factor 1/(1 + K) with K up to {share:.2g} "
                "in size; ratio=1 has no such error.", stacklevel=4,
            )  # fmt: skip
    return float(lower)


def looped(
    loop: SingleLoop,
    scales: Mapping[str, Any],
    state: dict[str, Any],
    steps: int,
    tolerance: float,
    shapes: Any,
    callback: Any,
    y0: Any,
) -> BilevelResult:
    """The library's single loop, an iteration of x, y and z each, in one compiled loop between two looks.

    Args:
        loop: its steps.
        scales: sigma, the upper step "h", the "lower" step or None, and the "ratio" of the lower scales.
        state: where it begins.
        steps: the most steps.
        tolerance: of all residuals, at which it ends.
        shapes: what gives flat arrays the shapes of x and of y.
        callback: is called between two looks; the loop ends if it returns True.
        y0: where y and z begin, if the state has none.
    """
    x, (y, z) = state["x"], state["fast"] or (y0, y0)
    lower, h = state.get("lower") or _lower_step(loop, scales, x, y), scales["h"]
    numbers = {**scales, "lower": lower, "tolerance": tolerance}
    on_rows, at = loop.draws is not None, (x, y, z)
    average = state.get("average") or tuple(map(jnp.zeros_like, at))
    history, done, message, success = list(state["history"]), 0, "", False
    while not message:
        count = min(1 if callback is not None and not on_rows else _CHUNK, steps - done)
        more: dict[str, Any] = {"lower_error": np.nan, "step": h, "solves": 0}
        if on_rows:
            first = state["steps"] + done
            which = jnp.arange(first, first + count)
            at, average = loop.steps_on_rows((at, average), numbers, which)
            seen, gradient = loop.looked(at, numbers)
            values = [np.asarray(v)[None] for v in seen]
            taken, success = 1, bool(max(values[1][0], values[2][0]) <= tolerance)
            more["iteration"] = first + count
            done += count
        else:
            at, rows = loop.steps(at, numbers, count)
            _, gradient = loop.looked(at, numbers)
            *values, ended = (np.asarray(r) for r in rows)
            success = bool(ended.any())
            taken = int(np.argmax(ended)) + 1 if success else count  # rows that count
            done += taken - success  # nothing moves where it ends
        history += [
            dict(zip(_NAMES, map(float, row), strict=True)) | more
            for row in zip(*(v[:taken] for v in values), strict=True)
        ]
        last = success or done >= steps
        left = max(history[-1][n] for n in _NAMES[1:])
        if not np.isfinite(left):
            raise OdescentError(
                f"the single loop diverges before step {state['steps'] + done}: take a smaller step than {h:g}, or a "
                f"smaller lower_step than {lower:.3g}."
            )
        now = {"x": at[0], "fast": at[1:], "step": h, "steps": state["steps"] + done, "history": history,
               "lower": lower, "average": average, "gradient": gradient}  # fmt: skip
        if success:
            message = f"all residuals are at most {tolerance:g}"
        elif last:
            message = f"{steps} steps were taken; the largest residual is {left:.3g}, more than {tolerance:g}"
        elif callback is not None and callback(
            result_of(now, False, "running", shapes, "single_loop")
        ):
            message = "the callback ended it"
    return result_of(now, success, message, shapes, "single_loop")
