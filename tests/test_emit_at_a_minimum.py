"""Emitted methods that divide by what vanishes at a minimum: no exception of Python's numbers, nothing lost."""

import importlib.util

import emitted_runs
import numpy as np
import pytest
from hand_loops import quadratic

_, MATRIX, CENTER, _ = quadratic()
DIVIDING = (
    "barzilai_borwein",
    "exact_line_search",
    "mkor",
    "normalized_gradient_descent",
    "polyak_step",
)


@pytest.fixture
def at_the_minimum(monkeypatch):
    oracles = emitted_runs.oracles
    monkeypatch.setattr(emitted_runs, "oracles", lambda xp: (oracles(xp)[0], xp.asarray(CENTER)))


@pytest.mark.parametrize("name", DIVIDING)
def test_a_run_of_numpy_says_where_it_ends_and_returns_the_points_before(name, at_the_minimum):
    with pytest.warns(RuntimeWarning, match="step 1 is not finite"):
        rows = emitted_runs.run_numpy(emitted_runs.od.algorithm(name), 3)
    np.testing.assert_array_equal(rows, CENTER[None])


@pytest.mark.skipif(not importlib.util.find_spec("torch"), reason="torch is not installed")
@pytest.mark.parametrize("name", [n for n in DIVIDING if n != "mkor"])
def test_a_step_of_pytorch_raises_a_sentence_and_moves_nothing(name):
    import torch

    params = [torch.tensor(CENTER, requires_grad=True)]
    alg = emitted_runs.od.algorithm(name)
    more = {
        "exact_line_search": {"hvp": lambda params, along: [torch.tensor(MATRIX) @ along[0]]},
        "polyak_step": {"value": lambda params: 0.0},
    }
    numbers = {s.name: 0.1 for s in alg.parameters}
    opt = alg.to_torch(params, **numbers, **more.get(name, {}))
    params[0].grad = torch.zeros_like(params[0])
    with pytest.raises(ArithmeticError, match="divides by zero, as at a minimum"):
        opt.step()
    np.testing.assert_array_equal(params[0].detach().numpy(), CENTER)


def test_a_power_that_overflows_ends_a_run_as_a_division_does():
    import odescent as od

    x, f = od.blocks("x"), od.Objective("f")
    g = f.grad(x)
    steep = od.System({"drift": {x: -(od.inner(g, g) ** 40) * g}}, output=x)
    method = od.Algorithm(steep, "explicit_euler", step=1)
    module = emitted_runs.load(method, "numpy")
    with pytest.warns(RuntimeWarning, match="step 2 is not finite"):
        rows = module.run(lambda x: 10 * x, np.ones(2), 5)
    assert len(rows) == 2 and np.isfinite(rows).all()


def test_what_a_solve_says_is_not_taken_for_a_division():
    """A singular operator in the step: the module's own sentence comes through a run."""
    import odescent as od

    x, f = od.blocks("x"), od.Objective("f")
    step = od.linear_solve(f.hessian(x), f.grad(x))
    flow = od.System({"newton": {x: -od.inner(f.grad(x), f.grad(x)) * step}}, output=x)
    module = emitted_runs.load(od.Algorithm(flow, "explicit_euler", step=1), "numpy")
    with pytest.raises(ArithmeticError, match=r"singular|definite|converge|curvature"):
        module.run(
            lambda x: np.array([1.0, 1.0]), lambda x, v: v * np.array([1.0, 0.0]), np.ones(2), 3
        )
