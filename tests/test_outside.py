"""Functions that read past the end of their argument are refused: JAX takes the nearest entry without a word."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import odescent as od
from odescent.dynamics.vector_fields.jaxprs import read_outside

DESCENT = od.algorithm("gradient_descent", step=0.1)
NUMBERS = np.array([0, 3])


@jax.custom_jvp
def square(x: Any) -> Any:
    return x[2] ** 2


square.defjvp(lambda primals, tangents: (square(*primals), 2 * primals[0][2] * tangents[0][2]))
OUTSIDE: dict[str, Callable[[Any], Any]] = {
    "p[2]": lambda p: p[0] ** 2 + p[2] ** 2,
    "p[-3]": lambda p: p[-3] ** 2,
    "numbers of NumPy": lambda p: jnp.sum(p[NUMBERS] ** 2),
    "numbers of JAX": lambda p: jnp.sum(p[jnp.array([0, 3])] ** 2),
    "two axes": lambda p: p.reshape(1, 2)[0, 2] ** 2,
    "compiled": jax.jit(lambda p: jnp.sum(p[2] ** 2)),
    "with its own derivative": square,
    "counted": lambda p: sum(p[i] ** 2 for i in range(3)),
}
INSIDE: dict[str, Callable[[Any], Any]] = {
    "p[-2]": lambda p: p[-2] ** 2,
    "a slice": lambda p: jnp.sum(p[:7] ** 2),
    "a turn": lambda p: jnp.sum(jnp.roll(p, 1) * p),
    "clipped on purpose": lambda p: jnp.take(p, 5, mode="clip") ** 2,
    "numbers": lambda p: jnp.sum(p[np.array([1, 0, -1])] ** 2),
    "a loop": lambda p: jax.lax.fori_loop(0, 2, lambda i, s: s + p[i] ** 2, 0.0),
    "sorted": lambda p: jnp.sum(jnp.sort(p)[0] ** 2),
    "data": lambda p: jnp.sum(jnp.asarray(NUMBERS, float)[1] * p**2),
}
TAKING: dict[str, Callable[[Any], Any]] = {
    "run": lambda f: DESCENT.run(f, np.ones(2), 3),
    "simulate": lambda f: od.system("gradient_flow").simulate(f, np.ones(2), 1.0),
    "estimate_constants": lambda f: od.estimate_constants(f, np.ones(2)),
    "lyapunov": lambda f: od.analysis.lyapunov(DESCENT, od.Objective(f), x0=np.ones(2), steps=20),
    "landscape": lambda f: od.analysis.landscape(DESCENT, od.Objective(f), np.ones(2), steps=3),
    "minimize": lambda f: od.minimize(f, [(-1, 1)] * 2, steps=10),
    "bilevel": lambda f: od.bilevel(
        lambda x, y: f(x) + y @ y, lambda x, y: (y - x) @ (y - x), np.ones(2), np.ones(2)
    ),
    "several": lambda f: od.algorithm("penalty_bilevel").run(
        {"F": lambda x, y: f(x) + y @ y, "G": lambda x, y: (y - x) @ (y - x)},
        np.ones(2), 3, h=0.1, epsilon=0.1, sigma=0.1, rho=1,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OUTSIDE)
def test_what_reads_outside_is_refused(name: str) -> None:
    with pytest.raises(od.OdescentError, match=r"reads (entry|an entry before)"):
        DESCENT.run(OUTSIDE[name], np.ones(2), 3)


@pytest.mark.parametrize("name", INSIDE)
def test_what_reads_inside_runs(name: str) -> None:
    """Beside JAX itself."""
    f = INSIDE[name]
    found = DESCENT.run(f, np.array([1.0, -2.0]), 1).x[-1]
    with jax.enable_x64(True):
        expected = jnp.array([1.0, -2.0]) - 0.1 * jax.grad(f)(jnp.array([1.0, -2.0]))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("name", TAKING)
def test_it_is_refused_wherever_a_function_is_given(name: str) -> None:
    with pytest.raises(od.OdescentError, match="reads entry 2 of an axis of 2 entries"):
        TAKING[name](OUTSIDE["p[2]"])


def test_the_entry_and_the_length_are_named() -> None:
    tree = {"w": np.ones(2), "b": np.ones(1)}
    with pytest.raises(od.OdescentError, match="f reads entry 1 of an axis of one entry"):
        DESCENT.run(lambda q: q["w"][0] ** 2 + q["b"][1] ** 2, tree, 3)
    made = jax.make_jaxpr(lambda p: p[4] + p[1])(jnp.ones(3))
    assert read_outside(made) == (4, 3)
    assert read_outside(jax.make_jaxpr(lambda p: p[2] + p[1])(jnp.ones(3))) is None
