"""Searches that end at rest: on what everybody tries first, in units of the search, and not under attack."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import odescent as od
from odescent import minimize


def _rosenbrock(x: Any) -> Any:
    return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2


@pytest.mark.parametrize(
    ("fun", "at"),
    [(lambda x: jnp.sum(x**2), 0.0), (lambda x: jnp.sum((x - 1) ** 2), 1.0), (_rosenbrock, 1.0)],
)
def test_what_everybody_tries_first_ends_at_the_minimum_and_says_so(fun: Any, at: float) -> None:
    """In the plane the particles' spread falls slowly, with excursions, long after nothing improves."""
    found = minimize(fun, [(-3, 3)] * 2)
    assert found.success and found.message == "the consensus point and the best value are at rest."
    assert np.abs(found.x - at).max() < 1e-3 and np.abs(found.consensus - at).max() < 1e-3
    assert found.nfev < 40_000
    assert "success" in str(found) and f"True: {found.message}" in str(found)


def test_rest_is_in_units_of_the_search_itself() -> None:
    """Neither the unit of the values nor that of the points changes when a search is at rest."""
    plain = minimize(lambda x: jnp.sum((x - 1) ** 2), [(-4, 4)] * 2)
    scaled = minimize(lambda x: 2.0**-40 * jnp.sum((x - 1) ** 2), [(-4, 4)] * 2)
    wide = minimize(lambda x: jnp.sum((x / 1024 - 1) ** 2), [(-4096, 4096)] * 2)
    assert plain.nit == scaled.nit == wide.nit and plain.status == scaled.status == wide.status == 9


def test_rest_is_no_success_while_something_moves_or_the_best_point_is_elsewhere() -> None:
    """Attacks: a search without tolerance, without the criterion, one that is annealed, one with several minimizers,
    and a function whose best value is met once, far from where the particles gather."""
    bowl = lambda x: jnp.sum(x**2)
    for chosen in (
        {"xtol": 0.0}, {"rest": 0}, {"method": "polar_cbo"}, {"method": "consensus_hopping"},
        {"schedule": lambda k, seen: {"sigma": 1.5}}, {"rest": 500},
    ):  # fmt: skip
        assert 9 not in minimize(bowl, [(-3, 3)] * 2, steps=250, **chosen).statuses, chosen
    calls = 0

    def lucky(points: np.ndarray) -> np.ndarray:
        nonlocal calls
        calls += 1
        values = np.sum(points**2, axis=1)
        if calls == 1:  # a value that is never seen again
            values[np.argmax(values)] = -1.0
        return values

    found = minimize(lucky, [(-3, 3)] * 2, steps=300, vectorized=True, jit=False)
    assert found.fun == -1 and np.abs(found.x - found.consensus).max() > 1
    assert not found.success and found.message == "the steps are used up."


def test_a_box_may_be_a_tuple_and_is_not_taken_for_particles() -> None:
    def fun(x: Any) -> Any:
        return jnp.sum((x - 0.5) ** 2)

    pairs = ((-3.0, 3.0), (-3.0, 3.0))
    found = minimize(fun, pairs, steps=300, seed=1)
    np.testing.assert_array_equal(found.x, minimize(fun, [*pairs], steps=300, seed=1).x)
    np.testing.assert_allclose(found.x, 0.5, atol=1e-3)
    for box in (np.array(pairs), [[*p] for p in pairs]):
        with pytest.raises(od.OdescentError, match=r"2 particles at one place, \(-3, 3\); a box"):
            minimize(fun, box)
