"""A solve that fails says where, after which step, and why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import pytest

import odescent as od
from odescent import neural_de as nde


def broken(t: Any, y: Any, args: Any) -> Any:
    return y * jnp.where(t > 0.5, jnp.nan, 1.0)


CASES: dict[str, tuple[Callable[..., Any], float, float, dict[str, Any], str]] = {
    "not a number": (broken, 0.0, 1.0, {}, "fell below the resolution of float64 at t = 0.5 "),
    "not a number, backwards": (
        lambda t, y, a: broken(-t, y, a), 0.0, -1.0, {}, "fell below the resolution of float64 at t = -0.5 ",
    ),
    "never a number": (lambda t, y, a: y / (y - y), 0.0, 1.0, {}, "at t = 0 (0 accepted"),
    "no solution beyond 1/2": (lambda t, y, a: y**2, 0.0, 1.0, {}, "at t = 0.5"),
    "stiff": (
        lambda t, y, a: -1e6 * (y - jnp.cos(t)), 0.0, 1.0, {"max_steps": 64}, "used up its 64 steps at t = 0.000",
    ),
    "another solver": (
        lambda t, y, a: y**2, 0.0, 1.0, {"solver": dfx.Kvaerno3(), "max_steps": 300}, "the solve failed: ",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_failed_solve_is_one_sentence(name: str) -> None:
    field, t0, t1, options, said = CASES[name]
    with pytest.raises(od.OdescentError) as error:
        nde.solve(field, jnp.full(3, 2.0), t0, t1, regularizer=nde.error(), **options)
    text = str(error.value)
    assert text.startswith("the solve failed: ") and said in text and "\n" not in text, text
    assert text.endswith("or give throw=False.")
    quiet = nde.solve(
        field, jnp.full(3, 2.0), t0, t1, regularizer=nde.error(), throw=False, **options
    )
    assert not quiet.successful and jnp.isnan(quiet.penalty)


def test_rows_that_fail_are_counted() -> None:
    """Of rows solved one by one, the hardest is shown: y' = y^2 ends at t = 1/y0."""
    with pytest.raises(od.OdescentError, match=r"of 2 of 4 rows failed: .* at t = 0\.(25|50)"):
        nde.solve(
            lambda t, y, a: y**2, jnp.array([[0.1], [2.0], [0.5], [4.0]]), 0.0, 1.0, per_sample=True
        )


def test_noise_fails_in_a_sentence_too() -> None:
    with pytest.raises(od.OdescentError, match="the solve failed: "):
        nde.solve(
            broken, jnp.ones(2), 0.0, 1.0, diffusion=lambda t, y, a: 0.1 * jnp.ones_like(y),
            key=jr.key(0), max_steps=400,
        )  # fmt: skip


@pytest.mark.parametrize("rows", [False, True])
def test_under_a_trace_the_error_is_the_solvers(rows: bool) -> None:
    @eqx.filter_jit
    def last(y: Any) -> Any:
        return nde.solve(broken, y, 0.0, 1.0, max_steps=64, per_sample=rows).last

    with pytest.raises(Exception, match="maximum number of solver steps"):
        jax.block_until_ready(last(jnp.ones((2, 3))))
