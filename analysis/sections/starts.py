"""Starting states of steppers: from one array, or from the values of blocks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..._support.errors import OdescentError, unknown
from ..._support.numbers import reals
from ..._support.rendering.brief import short
from ...dynamics.flows.starts import remade
from ...dynamics.flows.stepper import PointStepper


def starting_state(s: PointStepper, x0: Any, c: Any) -> Any:
    """The state at a starting point.

    Args:
        s: the stepper.
        x0: the starting point, an array; for a system of scalar blocks alone, their values in order; or a mapping
            of blocks to their values, those that are left out begin as they do for the starting point 0.
        c: coefficients.

    Raises:
        OdescentError: no numbers, an entry that is not finite, a block that does not exist, or another shape.
    """
    given = dict(x0) if isinstance(x0, Mapping) else None
    if given is None:
        point = _numbers("the start", x0)
        state = s.init(jnp.asarray(point, float), c)
        scalar = s.blocks and all(np.ndim(part) == 0 for part in state[: len(s.blocks)])
        if not scalar or point.ndim == 0:
            return jax.tree.map(jnp.asarray, state)
        if point.shape != (len(s.blocks),):
            raise OdescentError(
                f"the blocks of {s.name} are scalars ({', '.join(s.blocks)}): a start has {len(s.blocks)} numbers, "
                f"not the shape {point.shape}."
            )
        given = dict(zip(s.blocks, point, strict=True))
    for name in given:
        if name not in s.blocks:
            raise unknown(f"block of {s.name} called", name, s.blocks)
    values = {n: _numbers(n, v) for n, v in given.items()}
    shape = max((v.shape for v in values.values()), key=len, default=())
    state = s.init(jnp.zeros(shape), c)
    parts = [jnp.asarray(part) for part in state]
    for name, value in values.items():
        i = s.blocks.index(name)
        if value.size != parts[i].size:
            raise OdescentError(
                f"{name} begins with an array of shape {parts[i].shape}, not {value.shape}."
            )
        parts[i] = jnp.asarray(value, parts[i].dtype).reshape(parts[i].shape)
    return remade(state, parts)


def _numbers(name: str, given: Any) -> np.ndarray:
    found = reals(given)
    if not found.size or not np.isfinite(found).all():
        raise OdescentError(f"{name} must be finite numbers, not {short(given)}.")
    return np.asarray(found)
