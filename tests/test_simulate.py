"""Flows through diffrax against closed forms."""

import numpy as np
import pytest

import odescent as od


@pytest.fixture
def ball():
    x, v = od.blocks("x v")
    c = od.parameters("c")
    return od.System(
        {"damp": {v: -c * v}, "kick": {v: -od.Objective("f").grad(x)}, "drift": {x: v}}
    )


@pytest.mark.parametrize("solver", ["tsit5", "dopri8", "kvaerno5"])
def test_critical_damping_has_its_closed_form(ball, solver):
    f = od.objective("quadratic", eigenvalues=(1.0,))
    solution = ball.simulate(
        f, np.array([1.0]), 5.0, parameters={"c": 2}, solver=solver, dense=True
    )
    t = solution.t
    np.testing.assert_allclose(solution.x[:, 0], (1 + t) * np.exp(-t), atol=2e-7)
    np.testing.assert_allclose(solution.states["v"][:, 0], -t * np.exp(-t), atol=2e-7)
    np.testing.assert_allclose(solution(2.5), 3.5 * np.exp(-2.5), atol=2e-7)
    assert solution.steps[0] > 0


def test_time_dependent_coefficients():
    t = od.parameters("t")
    x = od.blocks("x")
    system = od.System({"decay": {x: -2 * t * x}}, time=t)
    f = od.objective("quadratic", eigenvalues=(1.0, 1.0))
    solution = system.simulate(f, np.array([1.0, -2.0]), 2.0)
    np.testing.assert_allclose(
        solution.x, np.exp(-(solution.t[:, None] ** 2)) * [1.0, -2.0], atol=1e-7
    )


def test_mu_and_L_come_from_the_objective():
    f = od.objective("quadratic")  # eigenvalues 1 and 10, mu = 1
    flow = od.system("nesterov_sc").bind({od.parameters("a"): 0})
    solution = flow.simulate(f, f.x0, 3.0)
    t = solution.t
    fast = np.exp(-t) * (np.cos(3 * t) + np.sin(3 * t) / 3)
    np.testing.assert_allclose(solution.x, np.column_stack([(1 + t) * np.exp(-t), fast]), atol=1e-7)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "parameters c have no value"),
        ({"parameters": {"d": 1}}, "no parameter 'd'"),
        ({"parameters": {"c": 2}, "solver": "tsit"}, "did you mean 'tsit5'"),
        ({"parameters": {"c": 2}, "t1": -1.0}, "t1 > t0"),
        ({"parameters": {"c": 2}, "x0": np.array([np.nan])}, "not finite"),
    ],
)
def test_refusals(ball, options, sentence):
    f = od.objective("quadratic", eigenvalues=(1.0,))
    given = {"x0": np.array([1.0]), "t1": 1.0, **options}
    with pytest.raises(od.OdescentError, match=sentence):
        ball.simulate(f, **given)


def test_blow_up_is_reported_with_the_time():
    x = od.blocks("x")
    system = od.System({"up": {x: od.hadamard(x, x)}})  # x' = x^2 blows up at t = 1
    f = od.objective("quadratic", eigenvalues=(1.0,))
    with pytest.raises(od.OdescentError, match=r"stopped at about t = (0\.9|1)"):
        system.simulate(f, np.array([1.0]), 2.0, max_steps=2000)


def test_noise_is_refused():
    f = od.objective("quadratic", eigenvalues=(1.0,))
    with pytest.raises(od.OdescentError, match="deterministic"):
        od.system("overdamped_langevin").simulate(f, np.array([1.0]), 1.0)
