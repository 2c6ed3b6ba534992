"""A starting point has as many entries as its objective has variables, or is refused, wherever it is given.

JAX reads past the end of an array without a word, so that a point that is too short gives numbers that mean nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

import odescent as od

CAMEL = od.Objective(
    "camel",
    lambda p: 2 * p[0] ** 2 - 1.05 * p[0] ** 4 + p[0] ** 6 / 6 + p[0] * p[1] + p[1] ** 2,
    dimension=2,
)
DESCENT = od.algorithm("gradient_descent", step=0.05)
FLOW = od.system("gradient_flow")
ETA = od.algorithm("gradient_descent", step=od.parameters("eta"))
TAKING: dict[str, Callable[[Any], Any]] = {
    "run": lambda x: DESCENT.run(CAMEL, x, 3),
    "simulate": lambda x: FLOW.simulate(CAMEL, x, 1.0),
    "fixed steps": lambda x: FLOW.simulate(CAMEL, x, 1.0, solver="rk4", dt=0.1),
    "lyapunov": lambda x: od.analysis.lyapunov(DESCENT, CAMEL, x0=x, steps=100),
    "lyapunov of a flow": lambda x: od.analysis.lyapunov(FLOW, CAMEL, x0=x, t1=5.0),
    "recurrences": lambda x: od.analysis.recurrences(DESCENT, CAMEL, x0=x),
    "landscape": lambda x: od.analysis.landscape(DESCENT, CAMEL, x, steps=3),
    "bifurcation": lambda x: od.analysis.bifurcation(
        ETA, CAMEL, parameter="eta", values=(0.05, 0.2, 4), start=x
    ),
    "batch": lambda x: od.analysis.batch(DESCENT, CAMEL, axes={"x0": x[None]}, steps=5),
    "resilience": lambda x: od.analysis.resilience(DESCENT, CAMEL, at=x, key=jax.random.key(0)),
    "basins, whole points": lambda x: od.analysis.basins(DESCENT, CAMEL, axes={"x0": x[None]}),
}


@pytest.mark.parametrize("name", TAKING)
@pytest.mark.parametrize("entries", [1, 3])
def test_another_number_of_entries_is_refused(name: str, entries: int) -> None:
    with pytest.raises(od.OdescentError) as refused:
        TAKING[name](np.full(entries, 0.5))
    assert any(word in str(refused.value) for word in ("2 variables", "(2,)", "shape"))


def test_numbers_on_an_axis_are_no_points_of_two_entries() -> None:
    with pytest.raises(od.OdescentError, match="2 variables"):
        od.analysis.basins(DESCENT, CAMEL, axes={"x0": (-2, 2, 20)})
    found = od.analysis.basins(DESCENT, CAMEL, axes={"x0[0]": (-2, 2, 20), "x0[1]": (-1, 1, 20)})
    assert len(found.attractors) == 3


@pytest.mark.parametrize("x0", [3.3, np.array([3.3])])
def test_one_variable_begins_at_a_number_too(x0: Any) -> None:
    path = FLOW.simulate("lessard_recht_packard", x0, 1.0)
    assert np.ravel(path.x[0]) == pytest.approx([3.3])
