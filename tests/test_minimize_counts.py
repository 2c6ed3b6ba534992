"""How many evaluations a search reports, beside those that the objective sees."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import odescent as od

SQUARE = [(-3.0, 3.0)] * 2


@pytest.mark.parametrize(
    ("options", "each"), [({}, 1), ({"memory": "hard"}, 2), ({"memory": "smooth"}, 2)]
)
@pytest.mark.parametrize("params", [{}, {"alpha": 10.0}])
def test_evaluations_are_those_that_the_objective_sees(
    options: dict[str, Any], each: int, params: dict[str, float]
) -> None:
    """A callback counts them; it is also an operation without a result, as jax.debug.print is."""
    seen: list[Any] = []

    def seeing(x: Any) -> Any:
        jax.debug.callback(seen.append, x)
        return jnp.sum(x**2)

    found = od.minimize(
        seeing, SQUARE, jit=True, particles=8, steps=5, seed=0, options=options, params=params
    )
    jax.effects_barrier()
    assert found.nfev == len(seen) == 8 * 5 * each + 1


def test_a_method_that_evaluates_elsewhere_takes_no_values_from_outside() -> None:
    search = od.particles.minimizer(SQUARE, options={"memory": "hard"}, particles=8, steps=5)
    with pytest.raises(
        od.OdescentError, match=r"cbo also evaluates f\(x_1\), where it asks for no"
    ):
        search.tell(np.sum(search.ask() ** 2, -1))
    with pytest.raises(od.OdescentError, match="give a function that JAX can evaluate"):
        od.minimize(
            lambda x: float(np.sum(x**2)),
            SQUARE,
            jit=False,
            options={"memory": "hard"},
            particles=8,
            steps=5,
        )
