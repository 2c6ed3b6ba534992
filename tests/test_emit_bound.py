"""What a parameter may be, and what the method then does, does not depend on whether it is bound before."""

import inspect
import warnings
from typing import Any

import numpy as np
import pytest
from emitted_runs import Replay, chosen, parameters, problem_of, starts

import odescent as od
from odescent.discretize.emit import load


def run(alg: od.Algorithm, values: dict[str, float]) -> Any:
    """Four steps of the emitted NumPy, or the error that it raises."""
    module, (known, x0) = load(alg, "numpy"), problem_of(np, None, alg)
    takes = inspect.signature(module.run).parameters
    given = {n: chosen(known, n) for n in takes if chosen(known, n) is not None}
    if "rng" in takes:
        draws = len(alg.tuned.realized().draws) + len(alg.tuned.counts)
        given["rng"] = Replay(draws, 4, x0.shape)
    own = {n: v for n, v in values.items() if n in takes}
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
        try:
            return module.run(
                **given, **starts(takes, x0), x0=x0, steps=4, **{**parameters(module), **own}
            )
        except ValueError as error:
            return error


@pytest.mark.parametrize("name", od.algorithms())
def test_a_bound_parameter_is_that_parameter(name: str) -> None:
    """Adam took beta1 = 1 and failed at zoo; of L = 1/2 with mu = 1 heavy ball made steps."""
    alg = od.algorithm(name)
    for s in alg.parameters:
        for value in (0, 1, 0.5):
            free = run(alg, {s.name: float(value)})
            try:
                bound = run(alg.bind({s.name: value}), {})
            except od.OdescentError:
                continue
            if s.name not in inspect.signature(load(alg, "numpy").run).parameters:
                continue  # it has another name in the module
            if f"must be less than {value}," in str(free):
                continue  # at the edge of its domain a bound method may have a value: its limit
            assert isinstance(free, ValueError) == isinstance(bound, ValueError), (
                s,
                value,
                free,
                bound,
            )
            if not isinstance(free, ValueError):
                np.testing.assert_allclose(bound, free, rtol=1e-9, atol=1e-12)


def test_a_bound_constant_bounds_the_other_one() -> None:
    ball, f = od.algorithm("heavy_ball"), od.Objective("f", lambda x: (x @ x) / 2)
    with pytest.raises(od.OdescentError, match="mu must be at most L = 1/2, not 1"):
        ball.bind(L=0.5).run(f, [1.0, 2.0], 3, mu=1.0)
    with pytest.raises(od.OdescentError, match=r"L must be at least mu = 1, not 0\.5"):
        ball.bind(mu=1).run(f, [1.0, 2.0], 3, L=0.5)
    with pytest.raises(
        od.OdescentError, match="beta1 = 1 gives a the value 0, at which the step has no"
    ):
        od.algorithm("adam", beta1=1)
    assert "must be at most L = 1/2" in ball.bind(L=0.5).source("torch")
