"""A person's own plant ends at the known accelerated methods, through the public functions alone."""

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp

import odescent as od
from odescent.dynamics.algebra.calculus import vanishes

x, p, u, psi = od.blocks("x p u psi")
a, h, t = od.parameters("a h t")
k = sp.Symbol("k", integer=True, nonnegative=True)
mu, L = od.dynamics.mu, od.dynamics.L
f, m = od.Objective("f"), sp.sqrt(od.dynamics.mu)
g = f.grad(x)
SPLIT = od.scheme("lie_trotter", [("port", "explicit"), ("decay", "cayley"), ("plant", "explicit")])
AT_THE_END = od.Scheme(tuple(replace(s, time=sp.S.One) for s in SPLIT.steps), "at_the_end")


def immersed(name, **options):
    settings = {
        "manifold": p + a * g, "target": {x: -a * g}, "init": {p: -a * g}, "scheme": SPLIT, "where": {a: h},
        "tuning": {h: 1 / sp.sqrt(L)}, "output": x - a * psi, "name": name, **options,
    }  # fmt: skip
    return od.immerse({x: p, p: u}, u, **settings)


METHODS = {
    "nesterov_sc": lambda: immersed("mine", gain=2 * m, port=-g),
    "triple_momentum": lambda: immersed(
        "mine", gain=2 * m, port=-2 * g - m * psi, output=x + (1 - h * m) / (2 * m) * psi
    ),
    "nesterov_c": lambda: immersed(
        "mine", gain=3 / t, port=-g, time=t, clock=(k + sp.Rational(3, 2)) * h, scheme=AT_THE_END
    ),
}


@pytest.mark.parametrize("name", METHODS)
def test_an_own_plant_is_recognized(name):
    derivation = METHODS[name]()
    assert derivation.verified
    assert derivation.algorithm.init["psi"] == od.dynamics.zero  # it starts on the manifold
    found = od.recognize(derivation.algorithm)
    assert found.name == name and found.equivalence.verdict == "proved"
    assert found.equivalence.same_output


Q = sp.sqrt(mu / L)
RHO = 1 - Q
NAG = (1 - Q) / (1 + Q)
TEXTBOOK = {
    "nesterov_sc": (1 / L, NAG, NAG, 0),
    "triple_momentum": (
        (1 + RHO) / L, RHO**2 / (2 - RHO), RHO**2 / ((1 + RHO) * (2 - RHO)), RHO**2 / (1 - RHO**2),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TEXTBOOK)
def test_the_textbook_coefficients(name):
    """Nesterov 2004; Van Scoy, Freeman and Lynch 2018."""
    found = METHODS[name]().algorithm.coefficients
    for letter, wanted in zip(("alpha", "beta", "gamma", "delta"), TEXTBOOK[name], strict=True):
        assert od.dynamics.is_zero(found[letter] - wanted), letter


def test_the_textbook_iteration_for_convex_functions():
    """x_k = y_{k-1} - g(y_{k-1})/L, y_k = x_k + (k - 1)/(k + 2) (x_k - x_{k-1}), with k counted from one."""
    hessian = np.diag([1.0, 10.0])
    objective = od.Objective("f", grad=lambda z: hessian @ z, L=10.0)
    start = np.array([1.0, 1.0])
    y, old, wanted = start, start, [start]
    for step in range(1, 21):
        new = y - hessian @ y / 10
        y = new + step / (step + 3) * (new - old)
        old = new
        wanted.append(new)
    run = METHODS["nesterov_c"]().algorithm.run(objective, start, 20)
    np.testing.assert_allclose(run.x, np.array(wanted), rtol=0, atol=1e-13)


def test_the_limit_flows():
    limits = {n: str(METHODS[n]().algorithm.consistent_with().second_order(x)) for n in METHODS}
    assert limits == {
        "nesterov_sc": "x'' + 2*sqrt(mu)*x' + grad f(x) = 0",
        "triple_momentum": "x'' + 3*sqrt(mu)*x' + 2*grad f(x) = 0",
        "nesterov_c": "x'' + 3/t*x' + grad f(x) = 0",
    }


def test_without_init_it_is_the_same_method_from_another_start():
    at_rest = immersed("mine", gain=2 * m, port=-g, init=None).algorithm
    assert vanishes(at_rest.init["psi"] - f.grad(od.dynamics.start) / sp.sqrt(L))
    verdict = at_rest.equivalent(od.algorithm("nesterov_sc"))
    assert verdict.verdict == "refuted" and "start" in verdict.reason
    found = od.recognize(at_rest)
    assert found.name == "nesterov_sc" and set(found.but_for) == {"start"}


def test_a_manifold_that_moves_with_time():
    """D^2 x + (2/t) x' + (t/2) H x' + (3/2) g: half of the gradient comes from the explicit dependence on time."""
    d = od.immerse({x: p, p: u}, u, gain=2 / t, manifold=p + t / 2 * g, time=t, clock=(k + 1) * h)
    assert d.verified
    assert (
        str(d.equations["bound system"]) == "x'' + 2/t*x' + t/2*hess f(x)[x'] + 3/2*grad f(x) = 0"
    )
    frozen = od.immerse({x: p, p: u}, u, gain=2 / t, manifold=p + t / 2 * g)
    assert str(frozen.equations["bound system"]).endswith("t/2*hess f(x)[x'] + grad f(x) = 0")
    assert "$t$ is constant in time; no symbol was declared as time" in frozen.steps[0].statement
    assert "$t$ is time" in d.steps[0].statement


def test_time_declared_is_time_as_a_block():
    """The same loop with a scalar block tau, tau' = 1, in the place of time."""
    tau = od.blocks("tau", kind="scalar")
    moving = od.immerse(
        {x: p, p: u / (1 + t)}, u, gain=1 + t, manifold=p + sp.exp(-t) * g, time=t, clock=1 + k * h
    )
    as_block = od.immerse(
        {x: p, p: u / (1 + tau), tau: 1}, u, gain=1 + tau, manifold=p + sp.exp(-tau) * g
    )
    laws = [
        next(c.value for c in s.claims if c.name == "u") for s in (moving.steps[3], as_block.steps[3])
    ]  # fmt: skip
    assert moving.verified and as_block.verified
    assert vanishes(od.dynamics.substitute(laws[1], {tau: t}) - laws[0])
