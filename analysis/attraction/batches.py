"""Batches of runs: every combination of starts and parameters in one call, within a memory budget."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from ..._support.errors import OdescentError, check_choice, unknown
from ..._support.numbers import check_whole
from ..._support.progress import bar
from ..._support.rendering.brief import short
from ..._support.rendering.rendered import Rendered
from ...discretize.programs import draws
from ...discretize.runs.emitted_stepper import LIMIT
from ...dynamics import Objective
from ...dynamics.flows.stepper import PointStepper, iterate
from ...dynamics.vector_fields.own_functions import current
from .batching import chunks, pad
from .grid import product
from .settling import begin
from .stepping import Iterated, size, stepper

REDUCTIONS = ("x", "f", "f_min", "hit", "diverged_at")
_COPIES = 16  # arrays of a state's size that one point may need while it runs

Reduction = str | Callable[[Any], Any]


@dataclass(frozen=True)
class Batch(Rendered):
    """The requested quantities of a batch of runs.

    Attributes:
        axes: the values that were varied, by name.
        values: results by name, shape (*lengths of the axes, *shape of one result).
        steps: of every run.
    """

    axes: dict[str, np.ndarray]
    values: dict[str, np.ndarray]
    steps: int

    def __getitem__(self, name: str) -> np.ndarray:
        check_choice("result", name, self.values)
        return self.values[name]


def batch(
    iterated: Iterated,
    target: Objective | None = None,
    *,
    axes: Mapping[str, Any],
    steps: int,
    reduce: Iterable[str] | Mapping[str, Reduction] = ("x",),
    level: float | None = None,
    start: Any = None,
    parameters: Mapping[str, Any] | None = None,
    key: Key[Array, ""] | int | None = None,
    dt: float | None = None,
    normals: str = "counter",
    memory: int = 1 << 28,
    progress: bool = False,
) -> Batch:
    """Run all combinations of starts and parameters and keep only the requested quantities.

    Args:
        iterated, target, axes, start, parameters: as for `basins`; for whole starting points, ``x0`` of shape
            (n, *x0.shape).
        steps: of every run.
        reduce: of "x" (the last output), "f" (its value), "f_min" (the least value along the run), "hit" (the
            first step with a value of at most ``level``, or -1), "diverged_at" (the first step whose state is not
            finite or beyond 1e30, or -1; the state is kept as it was before); or a mapping of names to these or to
            JAX functions of the last output.
        level: for "hit".
        key: a JAX key or a seed, for algorithms that draw noise; the draws of a run depend on its position only, so the
            same key gives the same numbers however the work is divided.
        dt: the fixed step of a flow.
        normals: "counter" or "jax", the generator that an algorithm draws from.
        memory: memory for one chunk of runs, in bytes, without the results.
        progress: show a progress bar on standard error.

    Raises:
        OdescentError: bad axes, steps, reductions or parameters, no key where one is needed.
    """
    wanted = _wanted(reduce)
    check_whole("steps", steps, 0)
    check_whole("memory", memory, 1)
    if "hit" in wanted.values() and (level is None or not np.isfinite(level)):
        raise OdescentError(f"'hit' needs a finite level of the objective, not {short(level)}.")
    with jax.enable_x64(True):
        s = stepper(iterated, target, dt, normals, (*axes, *(parameters or ())))
        if s.draws and key is None:
            raise OdescentError(f"{s.name} draws noise: give a key, as in key=jax.random.key(0).")
        if not s.valued and {"f", "f_min", "hit"} & {
            v for v in wanted.values() if isinstance(v, str)
        }:
            raise OdescentError(
                "values of the objective are requested, but it has none: give one with fun=."
            )
        p = product(s, target, axes, start, parameters or {})
        run = _runner(s, tuple(wanted.items()))
        show = bar("runs") if progress else None
        each = 8 * _COPIES * max(int(p.start.size), 1) * max(len(s.blocks), 1)
        made: dict[str, np.ndarray] = {}
        for part, padded in chunks(p.count, memory, each):
            index = pad(np.arange(part.start, part.stop), padded)
            z, c = begin(p, index)
            keys = None
            if s.draws and key is not None:
                keys = draws.of_run(draws.source(key, normals), jnp.asarray(index))
            found = run(z, c, keys, steps, 0.0 if level is None else level)
            for name, value in found.items():
                rows = np.moveaxis(np.asarray(value), -1, 0)[: part.stop - part.start]
                if name not in made:
                    made[name] = np.empty((p.count, *rows.shape[1:]), rows.dtype)
                made[name][part] = rows
            if show is not None:
                show(part.stop, p.count)
    shaped = {n: v.reshape(*p.shape, *v.shape[1:]) for n, v in made.items()}
    return Batch({a.name: a.values for a in p.axes}, shaped, int(steps))


def _wanted(reduce: Iterable[str] | Mapping[str, Reduction]) -> dict[str, Reduction]:
    if isinstance(reduce, str):
        reduce = (reduce,)
    wanted = dict(reduce) if isinstance(reduce, Mapping) else {str(n): n for n in reduce}
    if not wanted:
        raise OdescentError(
            f"nothing is requested: reduce takes any of {', '.join(REDUCTIONS)}, or functions by name."
        )
    for value in wanted.values():
        if not callable(value) and value not in REDUCTIONS:
            raise unknown("reduction", value, REDUCTIONS)
    return {name: current(value) for name, value in wanted.items()}


@lru_cache(maxsize=64)
def _runner(
    s: PointStepper, wanted: tuple[tuple[str, Reduction], ...]
) -> Callable[..., dict[str, Any]]:
    """The compiled runs of many points, the points along the last axis."""
    kinds = {v for _, v in wanted}
    track = bool(kinds & {"f_min", "hit"})

    def one(z: Any, c: Any, key: Any, steps: Any, level: Any) -> dict[str, Any]:
        def value(z: Any) -> Any:
            return s.value(z, c)

        none = jnp.full((), -1)
        f0 = value(z) if track else None
        hit0 = jnp.where(f0 <= level, 0, none) if track else None

        def body(k: Any, carry: Any) -> Any:
            z, best, hit, bad = carry
            new = s.step(z, c, None if key is None else draws.at_step(key, k))
            lost = (bad < 0) & ~(size(new) <= LIMIT)
            bad = jnp.where(lost, k + 1, bad)
            z = jax.tree.map(lambda a, b: jnp.where(bad >= 0, a, b), z, new)
            if track:
                f = value(z)
                best = jnp.minimum(best, f)
                hit = jnp.where((hit < 0) & (f <= level) & (bad < 0), k + 1, hit)
            return z, best, hit, bad

        z, best, hit, bad = iterate(body, (z, f0, hit0, none), steps)
        x = s.output(z, c)
        known = {"x": x, "f_min": best, "hit": hit, "diverged_at": bad}
        if "f" in kinds:
            known["f"] = value(z)
        return {n: known[v] if isinstance(v, str) else v(x) for n, v in wanted}

    def many(z: Any, c: Any, keys: Any, steps: Any, level: Any) -> dict[str, Any]:
        over_c = jax.tree.map(lambda a: -1 if a.ndim else None, c)
        mapped = jax.vmap(
            one, in_axes=(-1, over_c, None if keys is None else 0, None, None), out_axes=-1
        )
        found: dict[str, Any] = mapped(z, c, keys, steps, level)
        return found

    return jax.jit(many)
