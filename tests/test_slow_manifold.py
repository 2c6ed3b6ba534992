"""Slow manifolds: the expansions of the reference, closed forms on quadratics, and fitted orders."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp
from concrete import f as function
from concrete import number

from odescent import OdescentError
from odescent.dynamics.algebra.calculus import modal, vanishes
from odescent.dynamics.algebra.exact import is_zero
from odescent.dynamics.algebra.products import hadamard
from odescent.dynamics.algebra.scalars import parameters
from odescent.dynamics.algebra.vectors import inner, zero
from odescent.dynamics.fast_slow.manifold import graph_discriminant
from odescent.dynamics.flows.system import System
from odescent.dynamics.library import system
from odescent.dynamics.vector_fields.block import blocks
from odescent.dynamics.vector_fields.objective import Objective
from odescent.dynamics.vector_fields.system import curvature

x, p, psi, y, v = blocks("x p psi y v")
a, b, t, eps = parameters("a b t epsilon")
minus = sp.Symbol("minus", negative=True)
f = Objective("f")
g = f.grad(x)
Hg = f.hess(x, g)
HHg, D3 = f.hess(x, Hg), f.third(x, g, g)

SYSTEMS = {
    "small mass": ({x: p, p: -(p + g) / eps}, p, [-g, -Hg, -(2 * HHg + D3)]),
    "pure P&I": ({x: p, p: -(p + a * g) / eps - a * f.hess(x, p)}, p, [-a * g, zero, zero, zero]),
    "interconnected": (
        {x: psi - a * g, psi: -psi / eps - b * g},
        psi,
        [zero, -b * g, -a * b * Hg, -(b**2 * Hg + a**2 * b * (HHg + D3))],
    ),
}


def expand(drift, fast, small, order):
    """The slow manifold of a system in x with this fast block."""
    return System(drift, output=x, fast={fast: small}).slow_manifold(order)


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_expansions_of_the_reference(name):
    drift, fast, wanted = SYSTEMS[name]
    terms = expand(drift, fast, eps, len(wanted) - 1)[fast]
    assert all(vanishes(h - w) for h, w in zip(terms, wanted, strict=True))


def test_catalan_numbers_on_a_quadratic():
    terms = expand(SYSTEMS["small mass"][0], p, eps, 6)[p]
    for j, h in enumerate(terms):
        catalan = math.comb(2 * j, j) // (j + 1)
        assert modal(h, curvature) == -catalan * curvature ** (j + 1) * x


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
def test_truncations_meet_the_exact_slow_eigenvector(order):
    """On one mode the graph is p = -c x with eps c^2 - c + lam = 0; its series is c's own."""
    terms = [modal(h, curvature) for h in expand(SYSTEMS["small mass"][0], p, eps, order)[p]]
    exact = (1 - sp.sqrt(1 - 4 * eps * curvature)) / (2 * eps)
    series = sp.series(exact, eps, 0, order + 1).removeO()
    assert is_zero(sum(h.terms[x] * eps**j for j, h in enumerate(terms)) + sp.expand(series))


def defect(terms, e, point):
    """|G - eps Dh F| on the truncated graph of the small-mass system, by JAX alone."""
    grad = jax.grad(function)
    graph = lambda q: sum(number(h, {"x": q}) * e**j for j, h in enumerate(terms))
    here, moving = jax.jvp(graph, (point,), (graph(point),))
    return float(jnp.linalg.norm(-(here + grad(point)) - e * moving))


@pytest.mark.parametrize("order", [0, 1, 2])
def test_the_defect_has_the_order_of_the_first_term_left_out(order):
    terms = expand(SYSTEMS["small mass"][0], p, eps, order)[p]
    point = jnp.array([0.3, -0.2, 0.1])
    sizes = np.array([4e-3, 2e-3, 1e-3])
    defects = [defect(terms, e, point) for e in sizes]
    slope = np.polyfit(np.log(sizes), np.log(defects), 1)[0]
    assert abs(slope - (order + 1)) < 0.1


def test_coefficients_that_depend_on_time():
    """x' = p, eps p' = -(p + t g): p = -t g + eps (g - t^2 H g) + O(eps^2), by hand."""
    built = System({"flow": {x: p, p: -(p + t * g) / eps}}, output=x, time=t, fast={p: eps})
    first, second = built.slow_manifold()[p]
    assert first == -t * g and vanishes(second - (g - t**2 * Hg))


def test_through_the_system():
    built = System({"flow": SYSTEMS["small mass"][0]}, output=x)
    assert (
        built.with_fast({"p": eps}).slow_manifold(2)[p]
        == expand(SYSTEMS["small mass"][0], p, eps, 2)["p"]
    )
    assert expand({x: p, p: (-p - hadamard(x, x)) / eps}, p, eps, 0)[p] == (-hadamard(x, x),)


ATTRACTING = {
    "declared positive": ({x: p, p: -b * (p + g) / eps}, "b > 0"),
    "of either sign": ({x: p, p: (1 - b) * (p + g) / eps}, "b - 1 > 0"),
    "of the state": ({x: p, p: -(p * inner(x, x) + g) / eps}, r"\|x\|^2 > 0"),
    "always": ({x: p, p: -(p * (1 + inner(x, x)) + g) / eps}, ""),
}


@pytest.mark.parametrize("name", ATTRACTING)
def test_what_makes_it_attract_is_proved_or_said(name):
    drift, sentence = ATTRACTING[name]
    found = expand(drift, p, eps, 1)
    assert sentence in found.assumes and (sentence or "epsilon" in found.assumes)
    proved = all(h.status == "proved" for h in found.hypotheses)
    assert ("attracting only if" in str(found)) == (not proved)
    assert proved == (name in {"declared positive", "always"})


def test_a_perturbed_motion_returns_to_the_graph_at_the_rate_given():
    """Near the graph the distance of the fast block falls as exp(-rate t / eps), by integration in numbers."""
    from scipy.integrate import solve_ivp

    small = 1e-3
    found = expand({x: p, p: -b * (p + g) / eps}, p, eps, 1)
    rate = float(found.rate.subs({b: 3}))
    move = lambda s, z: [z[1], -3 * (z[1] + np.tanh(z[0])) / small]
    paths = [
        solve_ivp(move, (0, small), [0.7, -np.tanh(0.7) + d], rtol=1e-11, atol=1e-13).y[:, -1]
        for d in (0.0, 1e-3)
    ]
    assert abs((paths[1] - paths[0])[1] / 1e-3 / math.exp(-rate) - 1) < 0.01


REFUSED = {
    "repelling": (lambda: expand({x: p, p: (p + g) / eps}, p, eps, 1), "the slow manifold repels"),
    "repelling by a parameter": (lambda: expand({x: p, p: (b * p + g) / eps}, p, eps, 1), "-b must be positive"),
    "repelling by the state": (lambda: expand({x: p, p: (p * (1 + inner(x, x)) + g) / eps}, p, eps, 1), "repels"),
    "small and negative": (lambda: expand({x: p, p: -(p + g) / minus}, p, minus, 1), "must be positive"),
    "a small name": (lambda: expand({x: p, p: -(p + g) / eps}, p, "eps", 1), "SymPy expression was expected"),
    "half an order": (lambda: expand({x: p, p: -(p + g) / eps}, p, eps, 1.5), "a whole number of at least 0"),
    "not a block": (lambda: expand({x: v, v: -(v + g) / eps}, p, eps, 1), "p is declared fast, but it is not a block"),
    "none": (lambda: system("heavy_ball").slow_manifold(), "declare fast blocks"),
    "singular": (lambda: expand({x: p, p: -p / eps**2}, p, eps, 1), "p is not fast by epsilon"),
    "no restoring term": (lambda: expand({x: p, p: -g / eps}, p, eps, 1), "not normally hyperbolic"),
    "slow": (lambda: expand({x: p, p: -p - g}, p, eps, 1), "not normally hyperbolic"),
    "two parameters": (
        lambda: System({x: p, p: -p / eps, v: -v / t}, output=x, fast={p: eps, v: t}).slow_manifold(),
        "give them from the largest to the smallest",
    ),
    "a power": (lambda: System({x: p, p: -p / eps}, output=x, fast={p: eps**2}), "must be a symbol"),
    "a negative ratio": (
        lambda: System({x: p, p: -p / eps, v: -v / eps}, output=x, fast={p: eps, v: -eps}), "positive",
    ),
    "two that rest on one": (
        lambda: System({x: p, p: -(p + v) / eps, v: -(p + v) / eps}, output=x, fast={p: eps, v: eps}).slow_manifold(),
        "do not determine",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name):
    attempt, sentence = REFUSED[name]
    with pytest.raises(OdescentError) as refused:
        attempt()
    assert sentence in str(refused.value)


def test_a_real_graph_exists_where_the_discriminant_is_positive():
    """(K - a lam)^2 - 4 b lam for the passive family (MATH b.2), against the eigenvalues in numbers."""
    passive, lam = system("passive"), curvature
    K, a, b = parameters("K a b")
    found = graph_discriminant(passive.linearize(lam))
    assert is_zero(found - ((K - a * lam) ** 2 - 4 * b * lam))
    for values in ({K: 5, a: 0.1, b: 1, lam: 2}, {K: 1, a: 0.1, b: 1, lam: 2}):
        matrix = np.array(passive.linearize(lam).subs(values).evalf(), dtype=float)
        real = bool(np.all(np.isreal(np.linalg.eigvals(matrix))))
        assert real == bool(found.subs(values) > 0)
