"""Registered methods in single precision: the run of a plain function stays in its type and near that in double."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from emitted_runs import SETTINGS

import odescent as od

PLAIN = {"grad", "value", "hvp"}
STEPS = 40
PROXIMAL = {"douglas_rachford", "proximal_gradient", "proximal_point"}


def _plain(name: str) -> bool:
    """Whether it has no draws, and asks for gradients, products and values of one function of one argument."""
    program = od.algorithm(name).tuned
    kinds, arguments = {o.kind for o in program.oracles}, any(o.args for o in program.oracles)
    plain = kinds and kinds <= PLAIN and name not in PROXIMAL
    return bool(plain and not (program.draws or program.counts or arguments))


def test_most_methods_are_here() -> None:
    names = {n for n in od.algorithms() if _plain(n)}
    assert len(names) > 30 and {"adam", "nesterov_sc", "armijo", "wolfe", "newton"} <= names


@pytest.mark.promotion
@pytest.mark.parametrize("name", od.algorithms())
def test_a_run_in_single_precision_is_near_that_in_double(name: str) -> None:
    if not _plain(name):
        pytest.skip("it asks for more than gradients, products and values of one function")
    rng = np.random.default_rng(0)
    turn, _ = np.linalg.qr(rng.normal(size=(6, 6)))
    curved, center, begin = (
        (turn * np.geomspace(1, 10, 6)) @ turn.T,
        rng.normal(size=6),
        rng.normal(size=6),
    )
    made = od.algorithm(name)
    numbers = {s.name: SETTINGS.get(s.name, 0.1) for s in made.tuned.parameters}

    def run(dtype: Any) -> Any:
        matrix, middle = jnp.asarray(curved, dtype), jnp.asarray(center, dtype)
        value = lambda v: (v - middle) @ (matrix @ (v - middle)) / 2
        return made.run(value, jnp.asarray(begin, dtype), STEPS, **numbers)

    single, double = run(jnp.float32), run(jnp.float64)
    # one whose step is 0/0 at rest ends there, which is sooner with fewer digits
    assert single.x.dtype == jnp.float32 and STEPS / 2 < len(single.x) <= len(double.x)
    assert np.allclose(single.x[-1], double.x[-1], atol=2e-4)
