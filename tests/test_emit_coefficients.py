"""Coefficients of emitted steps keep their digits: every one of every method in every backend, against 60 digits."""

import importlib.util
import math

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
from odescent.discretize.emit.accurate import accurate
from odescent.discretize.emit.power_series import PowerSeries, power_series
from odescent.discretize.emit.rounding import lost, sample, value

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
    """Eight units in double precision; where a zero lies inside the domain, the digits that single precision has."""
    zeros = {
        "inertial_newton",
        "robust_momentum",
        "adaptive",
        "underdamped_langevin",
        "cbo",
        "jump_cbo",
        "polar_cbo",
    }
    for target in ("numpy", *TORCH):
        if carries(name, target):
            errors = worst(name, target, "plain")
            bound = 2.0**27 if name in zeros else 8.0
            assert max(errors.values(), default=0) <= bound, (target, errors)


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


def test_gradients_flow_through_the_coefficients(single):
    """Where a series is switched, in reverse mode, without a NaN from the branch that is not taken."""
    module = load(od.algorithm("underdamped_exact"), "jax")
    for step in (1e-6, 0.1, 3.0, 200.0):
        slope = jax.grad(lambda s: module.coefficients(h=s, gam=1.0, u=1.0).c_g)(step)
        with mpmath.workdps(40):
            expected = mpmath.diff(lambda s: s - 1 + mpmath.exp(-s), mpmath.mpf(step))
        assert abs(float(slope) / float(expected) - 1) < 1e-5


# a step of no length


STEPPED = [n for n in od.algorithms() if od.algorithm(n).step in od.algorithm(n).tuned.parameters]


@pytest.mark.parametrize("name", STEPPED)
def test_nothing_moves_where_the_step_is_zero(name):
    from emitted_runs import KEY, RUNNERS, TREES, numbers, update

    alg = od.algorithm(name)
    assert RUNNERS
    if carries(name, "optax"):
        noise = {"key": jax.random.key(KEY)} if alg.tuned.draws else {}
        opt = alg.to_optax(**{**numbers(alg), "h": 0.0}, **noise)
        params = jnp.array([0.3, -0.4])
        state = opt.init(params)
        for _ in range(2):
            moved, state = update(opt, TREES["grad"](params), state, params)
            np.testing.assert_array_equal(moved, 0)
        ramp = lambda k: jnp.where((k == 0) | (k == 5), 0.0, 0.05)
        opt = alg.to_optax(**{**numbers(alg), "h": ramp}, **noise)
        state = opt.init(params)
        for k in range(6):
            moved, state = opt.update(TREES["grad"](params), state, params, **asked(alg, params))
            assert np.isfinite(moved).all() and (k not in (0, 5) or not np.any(moved))
            params = params + moved
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
