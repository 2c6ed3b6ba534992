"""Passivity and immersion of plants of one's own."""

import numpy as np
import pytest
import sympy as sp
from scipy.integrate import solve_ivp

import odescent as od

x, y, p, u, v = od.blocks("x y p u v")
a, b, K, h = od.parameters("a b K h")
f = od.Objective("f")


def plain(**options):
    settings = {
        "gain": K,
        "immersion": {p: -a * f.grad(x)},
        "target": {x: -a * f.grad(x)},
        **options,
    }
    return od.immerse({x: p, p: u}, u, **settings)


def caught(derivation):
    return all(not q.verified for s in derivation.steps for q in s.perturbed())


def test_the_plant_of_the_notes_gives_the_canonical_family():
    d = plain(port=-b * f.grad(x))
    assert d.verified and caught(d)
    assert (
        str(d.equations["bound system"]) == "x'' + K*x' + a*hess f(x)[x'] + (b + K*a)*grad f(x) = 0"
    )


def test_it_goes_down_to_nesterovs_method():
    psi = od.blocks("psi")
    d = plain(
        gain=2 * sp.sqrt(od.dynamics.mu), port=-f.grad(x), where={a: h}, tuning={h: 1 / sp.sqrt(od.dynamics.L)},
        scheme=od.scheme("lie_trotter", [("port", "explicit"), ("decay", "cayley"), ("plant", "explicit")]),
        output=x - a * psi, name="mine",
    )  # fmt: skip
    assert d.verified
    found = d.algorithm.coefficients
    beta = od.algorithm("nesterov_sc").coefficients["beta"]
    assert found["beta"] == found["gamma"] == beta
    assert od.recognize(d.algorithm).name in {
        "nesterov_sc",
        None,
    }  # psi starts at a grad f(x0), not at zero


@pytest.mark.parametrize(
    ("plant", "manifold"),
    [
        ({x: y - x, y: -f.grad(x) + 2 * u}, 3 * y - x + f.grad(x)),
        ({x: -f.grad(x) + y, y: a * u - b * y}, y + b * x),
        ({x: p, y: x - 2 * y, p: u - p}, p + a * f.grad(x) + b * y),
        ({x: od.elementwise(sp.tanh, p), p: u}, p + f.grad(x)),
    ],
)
def test_other_plants(plant, manifold):
    d = od.immerse(plant, u, manifold=manifold, gain=K)
    assert d.verified and caught(d)


def test_the_loop_does_what_it_promises_in_numbers():
    """psi decays at the rate K along the plant under the law, on a function that is not quadratic."""
    from odescent.dynamics.evaluate import evaluate
    from odescent.dynamics.passivity import PassivityImmersion, external

    loop = PassivityImmersion(
        {x: y - x, y: -f.grad(x) + 2 * u}, u, 3 * y - x + f.grad(x), sp.Integer(2)
    )
    oracles = {"grad": np.tanh, "hess": lambda at, d: d / np.cosh(at) ** 2}
    law = od.dynamics.substitute(loop.law, {external: od.dynamics.zero})

    def rates(t, state):
        values = {x: state[:1], y: state[1:]}
        values[u] = evaluate(law, values, oracles, np)
        return np.concatenate([evaluate(loop.plant[s], values, oracles, np) for s in (x, y)])

    done = solve_ivp(rates, (0, 2), [0.7, -1.1], rtol=1e-10, atol=1e-12, t_eval=[0, 1, 2])
    psi = 3 * done.y[1] - done.y[0] + np.tanh(done.y[0])
    np.testing.assert_allclose(psi / psi[0], np.exp(-2 * done.t), rtol=1e-7)


@pytest.mark.parametrize(
    ("plant", "options", "sentence"),
    [
        ({x: p, p: v, v: u}, {"manifold": p + f.grad(x)}, "relative degree"),
        ({x: p, p: u}, {"manifold": x}, "relative degree"),
        ({x: p, p: u}, {"manifold": f.grad(p)}, "must be a scalar times the identity"),
        ({x: p, p: u}, {}, "either as manifold=psi or as immersion"),
        ({x: p, p: u}, {"immersion": {p: -p}}, "must not contain p itself"),
        (
            {x: p, p: u},
            {"immersion": {p: -f.grad(x)}, "target": {x: -2 * f.grad(x)}},
            "not by the target's",
        ),
        ({x: u, p: u}, {"manifold": p + x}, "exactly one vector block"),
    ],
)
def test_refusals(plant, options, sentence):
    with pytest.raises(od.OdescentError, match=sentence):
        od.immerse(plant, u, gain=1, **options)
