"""Generators, adjoints, Ito's formula and conversions: exact integrals, opaque oracles, Monte Carlo."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import odescent as od
from odescent.dynamics import vanishes
from odescent.dynamics.stochastic import (
    SDE,
    Coordinates,
    Jump,
    Operator,
    fokker_planck,
    generator,
    in_coordinates,
    ito_formula,
    sde,
    to_ito,
    to_stratonovich,
)
from odescent.dynamics.stochastic.operators import exponential, logarithm
from odescent.dynamics.vector_fields.system import Diffusion, Field

x, y = sp.symbols("x y", real=True)
X, V = od.blocks("x v")
c, lam, sigma = od.parameters("c lam sigma")
SMALL = st.integers(-3, 3)


def gaussian_integral(e: sp.Expr, over: tuple[sp.Symbol, ...]) -> sp.Expr:
    """The integral of a polynomial times exp(-|x|^2/2): that of s^n is 2^((n+1)/2) Gamma((n+1)/2) for even n."""
    one = lambda n: sp.S.Zero if n % 2 else sp.sqrt(2) ** (n + 1) * sp.gamma(sp.Rational(n + 1, 2))
    return sp.expand(
        sum(c * sp.prod([one(n) for n in powers]) for powers, c in sp.Poly(e, *over).terms())
    )


polynomials = st.lists(SMALL, min_size=6, max_size=6).map(
    lambda k: k[0] + k[1] * x + k[2] * y + k[3] * x * y + k[4] * x**2 + k[5] * y**2
)  # fmt: skip


@settings(max_examples=10)
@given(polynomials, polynomials, polynomials, polynomials)
def test_duality(drift: sp.Expr, amplitude: sp.Expr, phi: sp.Expr, weight: sp.Expr) -> None:
    """The integral of rho L phi is that of phi L* rho, on Gaussians times polynomials."""
    process = sde({x: drift, y: x - y}, [{x: amplitude, y: 1}, {y: x}])
    gaussian = sp.exp(-(x**2) / 2 - y**2 / 2)
    rho = weight * gaussian
    difference = rho * generator(process, phi) - phi * fokker_planck(process, rho)
    polynomial = difference.replace(sp.exp, lambda _: sp.S.One)  # every term has the Gaussian once
    assert gaussian_integral(polynomial, (x, y)) == 0


@pytest.mark.parametrize("d", [1, 2, 3])
def test_gibbs_measures_are_stationary_for_every_objective(d: int) -> None:
    over = in_coordinates(od.system("overdamped_langevin"), d)
    f = sp.Function("f", real=True)(*over.state)
    assert sp.simplify(fokker_planck(over, sp.exp(-f))) == 0
    assert sp.simplify(fokker_planck(over, sp.exp(-2 * f))) != 0
    under = in_coordinates(od.system("underdamped_langevin"), d)
    q, p = under.state[:d], under.state[d:]
    u = sp.Symbol("u", positive=True)
    energy = sp.Function("f", real=True)(*q) + sum(v**2 for v in p) / (2 * u)
    assert sp.simplify(fokker_planck(under, sp.exp(-energy))) == 0
    assert sp.simplify(fokker_planck(under, sp.exp(-energy / 2))) != 0


def test_the_generator_with_an_opaque_objective_and_a_concrete_one() -> None:
    f = sp.Function("f", real=True)
    langevin = od.system("overdamped_langevin")
    assert sp.expand(generator(langevin, f(x)) - (f(x).diff(x, 2) - f(x).diff(x) ** 2)) == 0
    found = generator(langevin, x**3, functions={"f": lambda u: u**4 / 4})
    assert sp.expand(found - (6 * x - 3 * x**5)) == 0


@settings(max_examples=20)
@given(st.lists(SMALL, min_size=3, max_size=3), st.lists(SMALL, min_size=3, max_size=3))
def test_operators_compose_as_they_act(first: list[int], second: list[int]) -> None:
    """(A @ B)(phi) = A(B(phi)), whatever phi."""
    a = Operator([x, y], {(1, 0): first[0] * x * y, (0, 2): first[1], (0, 0): sp.sin(x) * first[2]})
    b = Operator([x, y], {(1, 1): second[0] * y**2, (0, 1): second[1] * x, (2, 0): second[2]})
    phi = sp.exp(x) * y**3 + sp.cos(x * y)
    assert sp.expand((a @ b)(phi) - a(b(phi))) == 0
    assert ((a @ b).adjoint() - b.adjoint() @ a.adjoint()).vanishes()


def test_the_logarithm_undoes_the_exponential_without_commuting() -> None:
    a = Operator([x], {(1,): x**2, (2,): sp.S.One})
    b = Operator([x], {(1,): sp.sin(x), (0,): x})
    grown = exponential([a, b], 3)
    assert (grown[1] - (b + sp.Rational(1, 2) * (a @ a))).vanishes()
    back = logarithm(grown)
    assert (back[0] - a).vanishes() and (back[1] - b).vanishes() and back[2].vanishes()


# Ito's formula


def test_itos_formula_on_the_geometric_brownian_motion() -> None:
    """d log X = (a - s^2/2) dt + s dW, and d W^2 = dt + 2 W dW."""
    a, s = od.parameters("a s")
    gbm = sde({x: a * x}, [{x: s * x}])
    rate, noise = ito_formula(gbm, sp.log(x))
    assert sp.simplify(rate - (a - s**2 / 2)) == 0 and sp.simplify(noise[0] - s) == 0
    assert ito_formula(sde({x: 0}, [{x: 1}]), x**2) == (1, [2 * x])


def test_itos_formula_with_time_is_what_paths_do() -> None:
    """Along one fine path of dX = -t X dt + cos(X) dW the sum of the terms is phi(X, t) - phi(X_0, 0)."""
    t = sp.Symbol("t", nonnegative=True)
    process = sde({x: -t * x}, [{x: sp.cos(x)}], time=t)
    phi = sp.sin(x) * sp.exp(-t) + x**2
    rate, (noise,) = ito_formula(process, phi)
    rate_at, noise_at, phi_at = (sp.lambdify((x, t), e) for e in (rate, noise, phi))
    rng, n = np.random.default_rng(0), 200_000
    now, total, h = 0.5, 0.0, 1.0 / n
    kicks = rng.normal(size=n) * np.sqrt(h)
    for k, w in enumerate(kicks):
        total += rate_at(now, k * h) * h + noise_at(now, k * h) * w
        now += -k * h * now * h + np.cos(now) * w
    assert total == pytest.approx(phi_at(now, 1.0) - phi_at(0.5, 0.0), abs=0.02)


# Ito and Stratonovich


def test_the_stratonovich_form_obeys_the_ordinary_chain_rule() -> None:
    """dX = a X dt + s X o dW is X = exp(a t + s W): its logarithm has no correction in Stratonovich's sense."""
    a, s = od.parameters("a s")
    process = sde({x: a * x}, [{x: s * x}], calculus="stratonovich")
    assert sp.simplify(process.to_ito().drift[0] - (a + s**2 / 2) * x) == 0
    assert sp.simplify(generator(process, sp.log(x)) - a) == 0


@settings(max_examples=10)
@given(st.lists(SMALL, min_size=8, max_size=8))
def test_conversion_goes_both_ways_and_leaves_the_generator(k: list[int]) -> None:
    noise = sp.ImmutableMatrix(
        [[k[0] + k[1] * x, k[2] * y**2], [k[3] * x * y, sp.sin(k[4] * x) + k[5]]]
    )
    process = SDE((x, y), (k[6] * x, k[7] * y * x), noise, "stratonovich")
    there = process.to_ito()
    assert [sp.expand(e) for e in there.to_stratonovich().drift] == [
        sp.expand(e) for e in process.drift
    ]
    # the Stratonovich generator is b . d + (1/2) sum of (S_k . d)^2
    phi = sp.Function("phi")(x, y)
    along = lambda e, k: sum(noise[i, k] * sp.diff(e, s) for i, s in enumerate((x, y)))
    wanted = sum(b * sp.diff(phi, s) for b, s in zip(process.drift, (x, y), strict=True))
    wanted += sum(along(along(phi, i), i) for i in range(2)) / 2
    assert sp.simplify(generator(there, phi) - wanted) == 0


@pytest.mark.parametrize("noise", ["isotropic", "anisotropic"])
def test_cbo_in_stratonovichs_sense(noise: str) -> None:
    converted = to_stratonovich(od.system("cbo", noise=noise))
    away = X - od.Objective("f").ensemble(X, sp.Symbol("alpha", positive=True))
    assert vanishes(converted.drift[X] + away * (lam + sigma**2 / 2))
    assert vanishes(to_ito(converted).drift[X] + away * lam)


def mixed() -> od.System:
    """Blocks of both kinds, processes that drive several of them, amplitudes of both kinds."""
    z = od.blocks("z", kind="scalar")
    size = sp.sqrt(1 + od.inner(X, X))
    spread = od.hadamard(od.elementwise(sp.sin, X), V) + V * 2
    return od.System(
        {
            "all": Field(
                {X: -od.Objective("f").grad(X) * z, V: -X, z: -z},
                {X: Diffusion(spread), V: Diffusion(size * c), z: Diffusion(z * od.inner(X, V))},
            ),
            "more": Field(
                {}, {X: Diffusion(z**2), V: Diffusion(od.elementwise(lambda a: a**2, V), "B")}
            ),
        },
        output=X,
        calculus="stratonovich",
    )


@pytest.mark.parametrize("d", [1, 2])
def test_the_conversion_of_whole_vectors_is_that_of_their_coordinates(d: int) -> None:
    found, wanted = in_coordinates(to_ito(mixed()), d), in_coordinates(mixed(), d).to_ito()
    assert found.calculus == "ito" and found.state == wanted.state
    for a, b in zip(found.drift, wanted.drift, strict=True):
        assert sp.simplify(a - b) == 0
    back = to_stratonovich(to_ito(mixed()))
    assert "correction" not in back.fields


def test_a_system_in_stratonovichs_sense_can_be_discretized_once_it_is_converted() -> None:
    """E X_t = x0 exp((a + s^2/2) t) for dX = a X dt + s X o dW: the mean of the Euler step, by hand."""
    a, s, h = od.parameters("a s h")
    system = od.System({"all": Field({X: X * a}, {X: Diffusion(X * s)})}, calculus="stratonovich")
    with pytest.raises(od.OdescentError, match="Stratonovich"):
        od.Algorithm(system, od.scheme("explicit_euler"), h)
    euler = od.Algorithm(to_ito(system), od.scheme("explicit_euler"), h)
    assert vanishes(euler.program.update_map()[X] - X * (1 + h * (a + s**2 / 2)))


# jumps


def test_a_compound_poisson_process() -> None:
    """E X_t = rate E[size] t; with opaque phi the generator is a difference; L* is its transpose on a grid."""
    rate = sp.Symbol("r", positive=True)
    third = sp.Rational(1, 3)
    process = sde(
        {x: 0}, jumps=[Jump(rate, (((sp.Integer(1),), third), ((sp.Integer(-2),), 2 * third)))]
    )
    phi = sp.Function("phi")
    wanted = rate * (phi(x + 1) / 3 + 2 * phi(x - 2) / 3 - phi(x))
    assert sp.expand(generator(process, phi(x)) - wanted) == 0
    assert sp.expand(generator(process, x) + rate) == 0
    assert sp.expand(generator(process, x**2) - rate * (3 - 2 * x)) == 0
    # duality as a sum over the integers, with both of finite support
    rho = lambda n: {0: 1, 1: 2, 3: -1}.get(n, 0)
    test = lambda n: {-2: 5, 0: 1, 1: 3, 2: 7, 4: 1}.get(n, 0)
    density = sp.Function("rho")
    moved = fokker_planck(process, density(x))
    at = lambda e, n, name, values: e.subs(x, n).replace(
        sp.Function(name), lambda m: sp.Integer(values(int(m)))
    )
    left = sum(rho(n) * at(generator(process, phi(x)), n, "phi", test) for n in range(-8, 9))
    right = sum(test(n) * at(moved, n, "rho", rho) for n in range(-8, 9))
    assert sp.expand(left - right) == 0 and left != 0


def test_jumps_that_are_multiplied_with_the_state() -> None:
    """X -> X/2 at rate 1: E X_t = x0 exp(-t/2), E X_t^2 = x0^2 exp(-3t/4)."""
    process = sde({x: 0}, jumps=[Jump(sp.S.One, (((-x / 2,), sp.S.One),))])
    assert sp.expand(generator(process, x) + x / 2) == 0
    assert sp.expand(generator(process, x**2) + 3 * x**2 / 4) == 0
    with pytest.raises(od.OdescentError, match="does not depend on the state"):
        fokker_planck(process, sp.exp(-(x**2)))


# coordinates


@settings(max_examples=10)
@given(st.lists(st.floats(-2, 2), min_size=4, max_size=4))
def test_coordinates_agree_with_numpy(numbers: list[float]) -> None:
    """Gradients, Hessians and third derivatives of a concrete function, products, against differences by hand."""
    f = od.Objective("f")
    value = lambda a, b: sp.sin(a) * b**2 + a**3
    form = Coordinates(2, {"f": value})
    e = f.hess(X, V) * od.inner(X, V) + od.hadamard(X, f.grad(X + V)) + f.third(X, V, V)
    a, b, p, q = numbers
    here = dict(zip([*form.symbols(X), *form.symbols(V)], numbers, strict=True))
    found = [float(s.subs(here)) for s in form.vector(e)]
    g = lambda a, b: np.array([np.cos(a) * b**2 + 3 * a**2, 2 * np.sin(a) * b])
    hess = np.array(
        [[-np.sin(a) * b**2 + 6 * a, 2 * np.cos(a) * b], [2 * np.cos(a) * b, 2 * np.sin(a)]]
    )
    third = {
        3: -np.cos(a) * b**2 + 6,
        2: -2 * np.sin(a) * b,
        1: 2 * np.cos(a),
        0: 0.0,
    }  # by derivatives in a
    v = np.array([p, q])
    cubic = [
        sum(third[2 - i - j - k + 1] * v[j] * v[k] for j, k in product(range(2), repeat=2))
        for i in range(2)
    ]
    wanted = hess @ v * (a * p + b * q) + np.array([a, b]) * g(a + p, b + q) + np.array(cubic)
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_functions_of_whole_vectors(d: int) -> None:
    """L |x|^2 = -2 x . grad f + 2 d and L f = -|grad f|^2 + lap f for dX = -grad f dt + sqrt(2) dW."""
    langevin, f = od.system("overdamped_langevin"), od.Objective("f")
    found = [generator(langevin, e, d) for e in (od.inner(X, X), f.value(X))]
    state = in_coordinates(langevin, d).state
    value = sp.Function("f", real=True)(*state)
    slope = [sp.diff(value, q) for q in state]
    first = 2 * d - 2 * sum(q * g for q, g in zip(state, slope, strict=True))
    second = sum(sp.diff(value, q, 2) for q in state) - sum(g**2 for g in slope)
    assert [sp.expand(a - b) for a, b in zip(found, (first, second), strict=True)] == [0, 0]


def test_what_is_refused() -> None:
    with pytest.raises(od.OdescentError, match="has the name of a coordinate"):
        generator(od.system("overdamped_langevin"), sp.Symbol("x") ** 2)
    with pytest.raises(od.OdescentError, match="has vectors in it"):
        generator(sde({x: 0}), od.inner(X, X))
    with pytest.raises(od.OdescentError, match="not the vector"):
        generator(od.system("overdamped_langevin"), X)
    with pytest.raises(od.OdescentError, match="dimension of the coordinates must be from 1"):
        in_coordinates(od.system("overdamped_langevin"), 0)
    with pytest.raises(od.OdescentError, match="3 components, but the dimension is 2"):
        Coordinates(2, {"F": lambda a, b: [a, b, a]}).vector(od.Objective("F").operator(X))
    with pytest.raises(od.OdescentError, match="no drift; give it the drift 0"):
        sde({x: 0}, [{y: 1}])
    with pytest.raises(od.OdescentError, match="2 coordinates need 2 drifts"):
        SDE((x, y), (x,), sp.ImmutableMatrix([[1], [1]]))
    with pytest.raises(od.OdescentError, match="probabilities that add to 1"):
        sde({x: 0}, jumps=[Jump(sp.S.One, (((x,), sp.Rational(1, 2)),))])
    with pytest.raises(od.OdescentError, match="jump terms"):
        ito_formula(sde({x: 0}, jumps=[Jump(sp.S.One, (((x,), sp.S.One),))]), x)
    opaque = {"all": Field({X: X}, {X: Diffusion(od.Map("sigma")(X))})}
    with pytest.raises(od.OdescentError, match="in coordinates"):
        to_ito(od.System(opaque, calculus="stratonovich"))
    with pytest.raises(od.OdescentError, match="cannot be combined"):
        Operator([x], {(1,): 1}) + Operator([y], {(1,): 1})


def test_noise_with_a_kink_has_its_density_equation_and_noise_that_jumps_has_none() -> None:
    """The product of a jump's derivative and a jump stayed in the equation, which is no function."""
    x, sigma = od.blocks("x"), sp.Symbol("sigma", positive=True)

    def amplified(amplitude: Callable[[sp.Expr], sp.Expr]) -> od.System:
        noise = {x: od.Diffusion(sigma * od.elementwise(amplitude, x))}
        return od.System({"all": od.Field({x: -x}, noise)}, output=x)

    y = sp.Symbol("x", real=True)
    kinked = fokker_planck(amplified(lambda e: sp.Max(0, e)), sp.exp(-(y**2) / 2), 1)
    assert not kinked.has(sp.DiracDelta, sp.Derivative)
    for point in (-0.7, 0.4):  # (x p)' + sigma^2/2 (x^2 p)'' where x > 0
        p = sp.exp(-(y**2) / 2)
        wanted = sp.diff(y * p, y) + (sigma**2 / 2 * sp.diff(y**2 * p, y, 2) if point > 0 else 0)
        assert abs((kinked - wanted).subs({y: point, sigma: 0.8})) < 1e-12
    for jumping in (sp.sign, lambda e: sp.Piecewise((1, e > 0), (2, True))):
        with pytest.raises(od.OdescentError, match="jumps, so it has no derivative"):
            fokker_planck(amplified(jumping), sp.exp(-(y**2) / 2), 1)
    with pytest.raises(od.OdescentError, match="jumps, so it has no derivative"):
        generator(od.system("overdamped_langevin"), sp.Abs(y), 1)
