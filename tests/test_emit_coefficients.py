"""Coefficients of emitted steps keep their digits: every one of every method in every backend, against 60 digits."""

import importlib.util
import math
import random
from fractions import Fraction

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import sympy as sp
from coefficient_battery import exact, units, worst
from emitted_runs import carries
from hypothesis import given, settings
from hypothesis import strategies as st

import odescent as od
from odescent.discretize.emit import load
from odescent.discretize.emit.accuracy.cancellation import accurate
from odescent.discretize.emit.accuracy.exact_sums import ExactSum
from odescent.discretize.emit.accuracy.power_series import PowerSeries, power_series
from odescent.discretize.emit.accuracy.rounding import lost, sample, value

TORCH = ["torch"] if importlib.util.find_spec("torch") else []
gam, h, u, mu, L, rho = sp.symbols("gam h u mu L rho", positive=True)


@pytest.fixture
def single():
    """JAX in its default precision."""
    before = jax.config.read("jax_enable_x64")
    jax.config.update("jax_enable_x64", False)
    yield
    jax.config.update("jax_enable_x64", before)


@pytest.mark.parametrize("name", od.algorithms())
def test_from_plain_numbers_within_one_unit_and_from_traced_ones_within_eight(name, single):
    for target in ("jax", "optax"):
        if carries(name, target):
            errors = worst(name, target, "plain")
            assert max(errors.values(), default=0) <= 1.0, (target, errors)
            errors = worst(name, target, "traced")
            assert max(errors.values(), default=0) <= 8.0, (target, errors)


@pytest.mark.parametrize("name", od.algorithms())
def test_double_precision_has_its_digits_too(name):
    """Eight units, near zeros inside the domain too."""
    for target in ("numpy", *TORCH):
        if carries(name, target):
            errors = worst(name, target, "plain")
            assert max(errors.values(), default=0) <= 8.0, (target, errors)


@pytest.mark.parametrize(
    "size", [1e-12, 1e-9, 1e-6, 1e-4, 1e-3, 0.01, 0.1, 0.9, 1.1, 1.9, 2.1, 10.0, 80.0, 1e3]
)
def test_the_noise_of_the_exact_langevin_step(size, single):
    """The covariance of the noise in x given that in v: of third order in the step; closed form of Cheng et al."""
    with mpmath.workdps(80):
        t = mpmath.mpf(size)
        e = mpmath.exp(-t)
        in_x = 2 * t - 3 + 4 * e - e**2
        both = (1 - e) ** 2
        in_v = 1 - e**2
        first, second = both / mpmath.sqrt(in_v), mpmath.sqrt(in_x - both**2 / in_v)
    for target, unit in (("jax", 2.0**-23), ("numpy", 2.0**-52)):
        c = load(od.algorithm("underdamped_exact"), target).coefficients(h=size, gam=1.0, u=1.0)
        for got, expected in ((c.c_xi, first), (c.c_xi_x, second)):
            assert abs(float(got) / float(expected) - 1) < 6 * unit + 1e-14 * (target == "numpy")


def test_first_steps_of_adam_with_a_slow_second_moment(single):
    """beta2 = .99999 in float32: both corrections as exact as in double precision, at the first steps."""
    opt = od.algorithm("adam").to_optax(h=0.1, beta1=0.9, beta2=0.99999, eps=1e-8)
    params = jnp.array([1.0, -2.0])
    state = opt.init(params)
    m = v = mpmath.mpf(0)
    with mpmath.workdps(40):
        b1, b2 = mpmath.mpf(0.9), mpmath.mpf(0.99999)
        for k in range(1, 6):
            g = mpmath.mpf(k) / 4
            m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
            expected = (
                -mpmath.mpf(0.1)
                * (m / (1 - b1**k))
                / (mpmath.sqrt(v / (1 - b2**k)) + mpmath.mpf(1e-8))
            )
            updates, state = opt.update(jnp.full(2, k / 4), state, params)
            np.testing.assert_allclose(updates, float(expected), rtol=1e-6)


SUMS = [
    gam * h - 1 + sp.exp(-gam * h),
    h * sp.exp(gam * h) + h - 2 * sp.exp(gam * h) / gam + 2 / gam,
    1 - sp.exp(-2 * gam * h),
    sp.exp(gam * h) - sp.exp(-gam * h) - 2 * gam * h,
    sp.exp(-gam * h) - 1 + gam * h - (gam * h) ** 2 / 2 + (gam * h) ** 3 / 6,
    sp.sqrt(L) - sp.sqrt(mu),
    (3 * sp.sqrt(L) - 3 * sp.sqrt(mu)) / L,
    sp.exp(-gam * h) - sp.exp(-u * h),
    1 - rho**2,
    (1 - rho) ** 2 * (2 - rho),
    rho**2 - 2 * rho + 1,
]


@pytest.mark.parametrize("e", SUMS, ids=str)
def test_forms_without_cancellation(e):
    """The form is the same number to 40 digits, and loses few of them however small the parameters are."""
    form = accurate(e)
    for at in sample(frozenset(e.free_symbols)):
        listed = sorted(e.free_symbols, key=str)
        with mpmath.workdps(120):
            expected = sp.lambdify(listed, e, "mpmath")(*(at[s] for s in listed))
        with mpmath.workdps(60):
            rates = [abs(at[h] * at[s]) for s in (gam, u) if {s, h} <= at.keys()]
            if expected == 0 or max(rates, default=0) > 10:  # exp(-x) itself loses x units there
                continue
            assert abs(value(form, at) / expected - 1) < mpmath.mpf(10) ** -40
        if sp.exp(-u * h) not in e.args:  # two rates may meet: a zero inside the domain
            assert lost(form, at) < 20, (form, at)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(-4, 4), st.integers(0, 2), st.integers(-3, 0)), min_size=2, max_size=4
    )
)
def test_any_sum_of_exponentials_is_its_power_series(terms):
    x = gam * h
    e = sp.Add(*[c * x**n * sp.exp(r * x) for c, n, r in terms])
    made = power_series(e) if e != 0 else None
    if made is None:
        return
    for kind in {type(s) for s in made.atoms(PowerSeries)}:
        for size in (1e-8, 1e-3, 0.4, 1.7, 5.0):
            with mpmath.workdps(60):
                z = mpmath.mpf(size)
                series = sum(mpmath.mpf(c.p) / c.q * z**n for n, c in enumerate(kind.terms))
                near = mpmath.exp(mpmath.mpf(kind.shift.p) / kind.shift.q * z) * series
            if size < kind.switch:
                assert abs(near / kind.exact(z) - 1) < 1e-16
    with mpmath.workdps(100):
        at = {gam: mpmath.mpf("0.37"), h: mpmath.mpf("0.011")}
        direct = sp.lambdify([gam, h], e, "mpmath")(at[gam], at[h])
        (kind,) = {type(s) for s in made.atoms(PowerSeries)}
        factor = sp.lambdify(
            [gam, h], made.subs(dict.fromkeys(made.atoms(PowerSeries), 1)), "mpmath"
        )
        whole = factor(at[gam], at[h]) * kind.exact(at[gam] * at[h])
        assert abs(whole / direct - 1) < 1e-30


@pytest.mark.parametrize("ratio", ["1001/1000", "997/1000", "17/12", "12345/6789"])
def test_exponents_with_long_ratios_are_factored_in_the_largest_exponential(ratio):
    """exp(1001 x/500) - 1 has 1001 roots in exp(x/500), and took 20 seconds and three thousand operations."""
    P, Q = sp.symbols("P Q", positive=True)
    c = sp.Rational(ratio)
    for e in (
        sp.sqrt(sp.exp(2 * c * P * Q) - 1) * sp.exp(-c * P * Q),
        (sp.exp(2 * c * P * Q) - 1) * (1 - sp.exp(-c * P * Q)) / P,
        1 - sp.exp(-P) + sp.exp(-c * P) * Q,
        sp.exp(-P * Q) - sp.exp(-c * P * Q),
    ):
        got = accurate(e)
        assert sp.count_ops(got) < 60, got
        for at in sample(frozenset(e.free_symbols)):
            with mpmath.workdps(60):
                assert abs(value(got, at) / value(e, at) - 1) < 1e-20
                assert e.is_Add or lost(got, at) < 40  # these sums have zeros


def test_the_bound_is_a_bound():
    """What is computed in single precision is no farther from the exact value than the bound says."""
    for e in (
        1 - rho,
        sp.sqrt(L) - sp.sqrt(mu),
        u / (1 + rho) ** 2 - 1,
        gam * h * u - sp.Rational(1, 3),
    ):
        listed = sorted(e.free_symbols, key=str)
        computed = sp.lambdify(listed, e, "numpy")
        for at in sample(frozenset(e.free_symbols)):
            given_ = {s: np.float32(at[s]) for s in listed}
            exactly = {s: mpmath.mpf(float(v)) for s, v in given_.items()}
            with np.errstate(all="ignore"):
                got = computed(*given_.values())
            error = units(got, e, {s.name: float(v) for s, v in given_.items()}, 2.0**-23)
            bound = lost(e, exactly)
            assert math.isinf(bound) or error <= 2 * bound + 1


def nearly_zero(r, degree):
    """Single-precision numbers at which a product of that many of them nearly is one, and the terms of what is left."""
    numbers = [np.float32(2.0 ** r.uniform(-12, 12)) for _ in range(degree - 1)]
    product = math.prod(float(x) for x in numbers)
    last = np.nextafter(np.float32(1 / product), np.float32(r.choice([0.0, 1e30])))
    numbers.append(last if r.random() < 0.5 else np.float32(1 / product))
    return numbers, ((1.0,), tuple(-x if i == 0 else x for i, x in enumerate(numbers)))


@pytest.mark.parametrize("degree", [2, 3, 4])
def test_exact_sums_beside_their_zeros(degree, single):
    """1 - x y ... against fractions, compiled: however near to zero, within a unit in the last place."""
    total = load(od.algorithm("robust_momentum"), "jax")._exact_sum
    ours = jax.jit(jax.vmap(lambda x: total((1.0,), (-x[0], *x[1:]))))
    r = random.Random(degree)
    rows = [nearly_zero(r, degree)[0] for _ in range(400)]
    got = np.asarray(ours(jnp.array(rows)))
    assert got.dtype == np.float32
    for row, made in zip(rows, got, strict=True):
        wanted = 1 - math.prod(Fraction(float(x)) for x in row)
        assert abs(Fraction(float(made)) - wanted) <= abs(wanted) * Fraction(1, 2**23)


def test_exact_sums_of_plain_numbers_and_their_derivatives(single):
    """The same in double precision; first and second derivatives are those of the polynomial."""
    module = load(od.algorithm("robust_momentum"), "jax")
    plain = load(od.algorithm("robust_momentum"), "numpy")
    r = random.Random(1)
    for _ in range(200):
        x = 10 ** r.uniform(-6, 3)
        y = 1 / x * (1 + r.choice([0, 1e-15, -1e-12, 1e-9, 0.3]))
        wanted = 1 - Fraction(x) * Fraction(y)
        for total in (module._exact_sum, plain._exact_sum):
            got = Fraction(float(total((1.0,), (-x, y))))
            assert abs(got - wanted) <= abs(wanted) * Fraction(1, 2**52)
    f = lambda z: module._exact_sum((z[0], z[1], z[1], 3.0), (-z[2],), (2 * z[0], z[2]))
    g = lambda z: 3 * z[0] * z[1] ** 2 - z[2] + 2 * z[0] * z[2]
    z = jnp.array([0.7, 1.3, 2.9])
    np.testing.assert_allclose(jax.grad(f)(z), jax.grad(g)(z), rtol=1e-6)
    np.testing.assert_allclose(jax.jit(jax.hessian(f))(z), jax.hessian(g)(z), rtol=1e-6, atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(-9, 9), st.integers(0, 2), st.integers(0, 2), st.integers(0, 1)),
        min_size=2,
        max_size=4,
    )
)
def test_polynomials_keep_their_digits_beside_their_zeros(terms):
    """Any polynomial: its form is the same one, and loses few digits where a parameter makes it nearly zero."""
    names = (gam, h, u)
    e = sp.Add(*[c * sp.prod([s**n for s, n in zip(names, p, strict=True)]) for c, *p in terms])
    form = accurate(sp.factor(e)) if e.is_Add else e
    plain = form.replace(lambda n: isinstance(n, ExactSum), lambda n: n.opened(n.args))
    assert sp.expand(plain - e) == 0
    r = random.Random(3)
    for s in sorted(e.free_symbols, key=str):
        at = {t: mpmath.mpf(10) ** r.uniform(-2, 2) for t in names}
        with mpmath.workdps(60):
            for root in sp.Poly(
                e.xreplace({t: sp.Float(v, 60) for t, v in at.items() if t != s}), s
            ).nroots(40, 200):
                if root.is_real and root > 0:
                    near = {**at, s: mpmath.mpf(root) * (1 + mpmath.mpf(2) ** -18)}
                    assert lost(form, near) <= 30, (form, near)


def test_gradients_flow_through_the_coefficients(single):
    """Where a series is switched, in reverse mode, without a NaN from the branch that is not taken."""
    module = load(od.algorithm("underdamped_exact"), "jax")
    for step in (1e-6, 0.1, 3.0, 200.0):
        slope = jax.grad(lambda s: module.coefficients(h=s, gam=1.0, u=1.0).c_g)(step)
        with mpmath.workdps(40):
            expected = mpmath.diff(lambda s: s - 1 + mpmath.exp(-s), mpmath.mpf(step))
        assert abs(float(slope) / float(expected) - 1) < 1e-5


# a step of no length


@pytest.mark.parametrize("name", od.algorithms())
def test_nothing_moves_where_the_step_is_zero(name):
    from emitted_runs import KEY, RUNNERS, TREES, in_spaces, numbers, update

    alg = od.algorithm(name)
    if alg.step not in alg.tuned.parameters:
        pytest.skip("its step is not a parameter")
    assert RUNNERS
    if carries(name, "optax"):
        noise = {"key": jax.random.key(KEY)} if alg.tuned.draws else {}
        opt = alg.to_optax(**{**numbers(alg), "h": 0.0}, **noise)
        params = in_spaces(alg, jnp.array([0.3, -0.4]))
        flat = lambda tree: np.concatenate(jax.tree.leaves(tree))
        slope = jax.tree.map(TREES["grad"], params)
        state = opt.init(params)
        for _ in range(2):
            moved, state = update(opt, slope, state, params)
            np.testing.assert_array_equal(flat(moved), 0)
        ramp = lambda k: jnp.where((k == 0) | (k == 5), 0.0, 0.05)
        opt = alg.to_optax(**{**numbers(alg), "h": ramp}, **noise)
        state = opt.init(params)
        for k in range(6):
            moved, state = opt.update(slope, state, params, **asked(alg, params))
            assert np.isfinite(flat(moved)).all() and (k not in (0, 5) or not flat(moved).any())
            params = jax.tree.map(jnp.add, params, moved)
    for target in ("numpy", "jax"):
        module = load(alg, target)
        c = module.coefficients(
            **{n: {**numbers(alg), "h": 0.0, "c_": 0.1}.get(n, 0.1) for n in _parameters(module)}
        )
        assert all(np.isfinite(v) for v in c)


def asked(alg, params):
    from emitted_runs import TREES, extra_arguments, made

    return extra_arguments(made(alg.name), TREES, params)


def _parameters(module):
    import inspect

    return inspect.signature(module.coefficients).parameters


def test_exact_values_are_taken_of_the_floats_themselves():
    with mpmath.workdps(60):
        assert exact(1 - rho, {"rho": 0.1}) == 1 - mpmath.mpf(0.1)
