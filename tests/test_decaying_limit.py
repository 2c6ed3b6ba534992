"""The limit of schedules that decay: exponents, their order, the flow, beside runs."""

import numpy as np
import pytest
import sympy as sp

import odescent as od
from odescent.discretize.emit import load
from odescent.dynamics import vanishes

h, beta, k, rate, r = od.parameters("h beta k rate r")
x, d = od.blocks("x d")
f = od.Objective("f")
g = f.grad(x)
SHARE = 2 / (k + 2)
TRANSPORT = "implicit_gradient_transport"
HARPG = "hessian_aided_momentum"


def weight(p):
    return 1 - SHARE ** sp.Rational(p)


def plain_average():
    parts = od.scheme("lie_trotter", [("average", "frozen exact"), ("descent", "explicit")])
    T = od.parameters("T")
    return od.Algorithm(
        od.system("averaged_gradient_flow"), parts, tuning={T: -sp.Symbol("h", positive=True) / sp.log(beta)}
    )  # fmt: skip


@pytest.mark.parametrize("noise", ["", "minibatch"])
@pytest.mark.parametrize("p", ["2/3", "4/5", "9/10"])
def test_an_average_whose_weight_decays_more_slowly_than_the_step_is_fast(p, noise):
    """N-PG-IGT's schedules: the average is where the gradient is, and what is left is normalized gradient flow."""
    method = od.algorithm(TRANSPORT, normalized=True, noise=noise)
    found = method.decaying_limit({h: rate * SHARE, beta: weight(p)})
    assert found.exponents == {x: 1, d: sp.Rational(p)} and found.exponent == 1
    assert found.fast == (d,) and found.holds
    assert f"d is faster than x: {p} < 1" in found.conditions
    assert vanishes(found.flow.drift[x] + 2 * rate * g / sp.sqrt(od.inner(g, g)))
    assert (f"the sum of k^-{2 * sp.Rational(p)} is finite" in found.conditions) == bool(noise)
    assert found.assumes == ""
    assert "d moves by the order of k^-" in str(found) and "dt" in found.latex()


def test_the_scales_of_hessian_aided_momentum_do_not_part():
    """Both exponents are one. What is left of d - g is what the transport does not carry: it decays by itself."""
    method = od.algorithm(HARPG, normalized=True, noise="minibatch")
    found = method.decaying_limit({h: rate * SHARE, beta: weight(1)})
    assert found.exponents == {x: 1, d: 1} and found.fast == ()
    assert found.conditions["d, x move on one scale"] and found.holds
    length = sp.sqrt(od.inner(d, d))
    transported = f.grad(x, along=(d,)) * (2 * rate / length)
    assert vanishes(found.flow.drift[d] - (2 * g - 2 * d - transported))
    # so (d - g)' = -2 (d - g), whatever the motion
    moved = found.flow.drift
    error = moved[d] - f.grad(x, along=(moved[x],))
    assert vanishes(error + 2 * (d - g))


def test_an_average_that_decays_faster_than_the_step_is_slow_and_refused():
    """Then x is fast and does not come to rest while d is held: x' = -d."""
    with pytest.raises(
        od.OdescentError, match=r"as k\^-1/5 -> 0 the fast equation does not depend on x"
    ):
        plain_average().decaying_limit({h: SHARE ** sp.Rational(4, 5), beta: weight(1)})
    same = plain_average().decaying_limit({h: SHARE, beta: weight(1)})
    assert same.fast == () and vanishes(same.flow.drift[d] - (2 * g - 2 * d))


def test_conditions_that_do_not_hold_are_said():
    stops = od.algorithm(TRANSPORT).decaying_limit({h: SHARE**2, beta: weight(1)})
    assert not stops.holds and "NO: the sum of k^-2 is infinite" in str(stops)
    noisy = od.algorithm("sgd", noise="minibatch").decaying_limit({h: SHARE ** sp.Rational(2, 5)})
    said = {"the sum of k^-2/5 is infinite": True, "the sum of k^-4/5 is finite": False}
    assert noisy.conditions == said


def test_a_radius_that_decays_takes_its_bias_away():
    found = od.algorithm("zeroth_order").decaying_limit({h: SHARE, r: SHARE ** sp.Rational(1, 4)})
    assert vanishes(found.flow.drift[x] + 2 * g) and found.holds
    kept = od.algorithm("zeroth_order", deferred=True).decaying_limit({"h": SHARE})
    z = od.sample("z", like=x)
    assert vanishes(kept.flow.drift[x] + 2 * od.mean(f.grad(x + r * z)))


def test_a_tuned_step_may_follow_a_schedule():
    found = od.algorithm("gradient_descent").decaying_limit({h: rate / k})
    assert vanishes(found.flow.drift[x] + rate * g) and found.exponents == {x: 1}


@pytest.mark.parametrize("p, away", [(0.6, 0.03), (0.8, 0.012)])
def test_runs_follow_the_flow(p, away):
    """On a quadratic the path between two steps is exp(-2 H (sum of 1/i)), the further off the better."""
    scales = np.array([0.3, 0.7])
    module = load(od.algorithm(TRANSPORT), "numpy")
    state, kept = module.init(np.array([1.0, -2.0])), {}
    for i in range(1, 40_001):
        known = module.coefficients(2 / (i + 2), max(1 - (2 / (i + 2)) ** p, 1e-12))
        state = module.step(state, lambda y: scales * y, known)
        kept[i] = state.x
    errors = []
    for begin in (50, 400, 3200):
        end = 10 * begin
        time = np.sum(1 / np.arange(begin + 1.0, end + 1))
        errors.append(np.abs(kept[end] / kept[begin] / np.exp(-2 * scales * time) - 1).max())
    assert errors[0] > errors[1] > errors[2] and errors[2] < away


@pytest.mark.parametrize(
    "name, schedules, sentence",
    [
        (TRANSPORT, {h: SHARE}, "however large k, the step sends d to .*: d moves as far as ever"),
        (TRANSPORT, {"g": SHARE}, "there is no parameter 'g'"),
        (TRANSPORT, {h: 0.5}, "need one symbol for the number of the step, such as k, not 0"),
        (TRANSPORT, {h: 2 ** (-k), beta: weight(1)}, "rational powers of the number of the step"),
        (TRANSPORT, {h: sp.log(k) / k, beta: weight(1)}, "rational powers of the number"),
        ("gradient_descent", {h: k}, r"the step has no expansion at k\^-1 = 0"),
        ("sgd", {h: SHARE}, "the increments of a process .* are not supported"),
        ("ogda", {"h": SHARE}, "sends F_1_kept to .*: F_1_kept is a memory, whose limit is not"),
        ("adam", {h: SHARE}, "a step that counts are not supported|is a memory or a coefficient"),
    ],
)
def test_what_is_refused(name, schedules, sentence):
    with pytest.raises(od.OdescentError, match=sentence):
        od.algorithm(name).decaying_limit(schedules)


def test_noise_that_outgrows_the_drift_is_refused_and_a_map_has_a_limit():
    z = od.sample("z", like=x)
    wanders = od.method({x: x + h * z - h**2 * g}, output=x)
    with pytest.raises(od.OdescentError, match=r"has the mean zero at its own order, k\^-1"):
        wanders.decaying_limit({h: SHARE})
    drifts = od.method({x: x + h * z * od.inner(z, g) / 2 - h**2 * g}, output=x)
    found = drifts.decaying_limit({"h": 3 / k ** sp.Rational(3, 4)})
    assert vanishes(found.flow.drift[x] - sp.Rational(3, 2) * g) and found.holds
    assert list(found.conditions) == [
        "the sum of k^-3/4 is infinite",
        "the sum of k^-3/2 is finite",
    ]
