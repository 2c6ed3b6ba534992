"""STEER: a random end of the interval during training."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float

from ..._support.arguments import checked
from ..._support.errors import OdescentError
from ..._support.rendering.brief import short
from .penalty import InitialValueProblem, Outcome, Regularizer, needed_key


class Steer(Regularizer):
    """See `steer`."""

    width: float
    any_adjoint: ClassVar[bool] = True
    reference: ClassVar[tuple[str, ...]] = ("2006.10711",)

    def prepare(self, problem: InitialValueProblem, key: Any) -> InitialValueProblem:
        key = needed_key(key, "steer()")
        t0, t1 = jnp.asarray(problem.t0), jnp.asarray(problem.t1)
        subs = problem.saveat.subs
        one: Any = lambda x: isinstance(x, dfx.SubSaveAt)
        timed = [s for s in jax.tree.leaves(subs, is_leaf=one) if s.ts is not None]
        if timed and not one(subs):
            raise OdescentError("steer() moves the times of one SaveAt(ts=...), not of several.")
        if not timed:
            length = problem.length
            if length is not None and self.width >= length:
                raise OdescentError(
                    f"steer(width={self.width:g}) must be narrower than the interval, which is {length:g} long."
                )
            moved = t1 + self.width * jr.uniform(key, minval=-1.0, maxval=1.0, dtype=t1.dtype)
            return replace(problem, t1=moved, terms=_reaching(problem.terms, moved))
        ts = jnp.asarray(subs.ts).astype(t0.dtype)
        if ts.size == 1:
            raise OdescentError(
                "steer() moves a save time towards its neighbours, and there is one: use SaveAt(t1=True)."
            )
        gaps = jnp.diff(ts) / 2
        room = jnp.minimum(jnp.concatenate([gaps[:1], gaps]), jnp.concatenate([gaps, gaps[-1:]]))
        moved = ts + room * jr.uniform(key, ts.shape, minval=-1.0, maxval=1.0, dtype=ts.dtype)
        moved = jnp.clip(moved, jnp.minimum(t0, t1), jnp.maximum(t0, t1))
        return replace(problem, saveat=eqx.tree_at(lambda s: s.subs.ts, problem.saveat, moved))

    def value(self, outcome: Outcome) -> Float[Array, "*batch"]:
        return jnp.zeros_like(outcome.statistics.error.sum)


def _reaching(terms: Any, end: Any) -> Any:
    """Terms whose Brownian paths are defined up to the new end."""

    def is_tree(x: Any) -> bool:
        return isinstance(x, dfx.VirtualBrownianTree)

    def moved(x: Any) -> Any:
        if not is_tree(x):
            return x
        ends = (jnp.minimum(x.t0, end), jnp.maximum(x.t1, end))
        return eqx.tree_at(lambda path: (path.t0, path.t1), x, ends)

    return jax.tree.map(moved, terms, is_leaf=is_tree)


@checked
def steer(width: float = 0.5) -> Steer:
    """Train on a random end of the interval, t1 + U(-width, width) (arXiv 2006.10711).

    With save times given, each is moved by up to half of the way to its neighbours instead.

    Args:
        width: in units of time, more than 0 and less than the interval.
    """
    if not (np.isfinite(width) and width > 0):
        raise OdescentError(f"steer(width=...) takes a positive number, not {short(width)}.")
    return Steer(float(width))
