"""The kernels against mpmath, their derivatives against formulas, and functions in which they are exchanged."""

import math

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import odescent as od
from odescent.dynamics.flows.exchange import platform, with_kernels
from odescent.dynamics.random import elementary as kernels
from odescent.particles.engine.compiling import options

pytestmark = pytest.mark.cpu  # elsewhere nothing is exchanged

FLOATS = st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False, width=64)
ONE_ULP = 2.0**-52
COMPILED = {n: jax.jit(getattr(kernels, n)) for n in ("sin", "cos")}


def exact(name, x, digits=40):
    with mp.workdps(digits):
        z = mp.mpf(float(x))
        if name.endswith("2pi"):
            z, name = 2 * (z - mp.nint(z)), {"sin2pi": "sinpi", "cos2pi": "cospi"}[name]
        return mp.mpf(getattr(mp, name)(z))


def worst(name, xs, relative=False):
    """The largest error over the points, absolute, or in units of the result's last place."""
    got = np.asarray(jax.jit(getattr(kernels, name))(jnp.asarray(xs)))
    errors = []
    for x, y in zip(xs, got, strict=True):
        want = exact(name, x)
        unit = mp.mpf(float(np.spacing(abs(float(want))))) if relative else 1
        errors.append(float(abs(mp.mpf(float(y)) - want) / unit))
    return max(errors)


SCALES = [1e-300, 1e-8, 0.1, 1.0, 3.0, 50.0, 1e4, 6e6]


@pytest.mark.parametrize("name", ["sin", "cos"])
def test_sine_and_cosine(name):
    rng = np.random.default_rng(1)
    xs = np.concatenate([rng.uniform(-s, s, 80) for s in SCALES])
    near = (
        np.arange(1, 60) * np.pi / 2
    )  # where one of them vanishes, and the reduction has to be exact
    assert worst(name, np.concatenate([xs, near, -near, [0.0]])) < 8e-16


@pytest.mark.parametrize("name", ["sin2pi", "cos2pi"])
def test_of_turns_everywhere(name):
    rng = np.random.default_rng(2)
    xs = np.concatenate([rng.uniform(-s, s, 80) for s in (0.01, 0.25, 1.0, 1e3, 1e15)])
    assert worst(name, np.concatenate([xs, np.arange(-8, 9) / 8, [1e300, 2.0**53 + 2]])) < 3e-16


def test_the_logarithm_to_one_unit():
    rng = np.random.default_rng(3)
    smallest, largest = np.finfo(float).tiny, np.finfo(float).max
    xs = [np.exp(rng.uniform(-708, 709, 150)), rng.uniform(0.5, 2, 150)]
    xs += [1 + rng.normal(size=100) * 1e-9, [smallest, largest, 1.0, np.nextafter(1, 0), 2**0.5]]
    assert worst("log", np.concatenate(xs), relative=True) < 1


@given(FLOATS.filter(lambda x: abs(x) > 1e7))
def test_large_arguments_as_if_they_were_a_little_wrong(x):
    """|sin| <= 1 and it is the sine of a number within 1e-15 of x, relatively; so is the cosine."""
    for name, function in COMPILED.items():
        y = float(function(x))
        assert abs(y) <= 1 + ONE_ULP
        if abs(x) < 1e13:
            assert abs(y - float(exact(name, x, 400))) < 1e-15 * abs(x) + 1e-15


def test_special_values():
    inf, nan = np.inf, np.nan
    got = jax.jit(kernels.log)(jnp.array([0.0, inf, -1.0, nan, -inf]))
    np.testing.assert_array_equal(got, [-inf, inf, nan, nan, nan])
    for name in ("sin", "cos", "sin2pi", "cos2pi"):
        assert np.isnan(jax.jit(getattr(kernels, name))(jnp.array([inf, -inf, nan]))).all()
    assert kernels.log(5e-324) in (-inf, float(mp.log(mp.mpf(5e-324))))  # XLA may flush it to 0


@pytest.mark.parametrize("name", ["sin", "cos", "log", "sin2pi", "cos2pi"])
def test_single_precision(name):
    x = np.random.default_rng(4).uniform(0.1, 60, 400).astype(np.float32)
    got = getattr(kernels, name)(jnp.asarray(x))
    assert got.dtype == np.float32
    want = np.array([float(exact(name, v)) for v in x])
    assert np.abs(np.asarray(got, float) - want).max() < 5e-7


def test_derivatives_of_every_order():
    xs = np.random.default_rng(6).uniform(0.01, 40, 60)
    both = lambda f: jax.jit(jax.vmap(lambda x: (jax.grad(f)(x), jax.grad(jax.grad(f))(x))))
    names = ("sin", "cos", "log", "cos2pi")
    got = {n: np.asarray(both(getattr(kernels, n))(jnp.asarray(xs))) for n in names}
    turn = 2 * np.pi
    for i, x in enumerate(map(mp.mpf, xs)):
        want = {
            "sin": (mp.cos(x), -mp.sin(x)), "cos": (-mp.sin(x), -mp.cos(x)), "log": (1 / x, -1 / x**2),
            "cos2pi": (-turn * mp.sinpi(2 * x), -(turn**2) * mp.cospi(2 * x)),
        }  # fmt: skip
        for name, pair in want.items():
            for order in (0, 1):
                assert abs(got[name][order, i] - float(pair[order])) < 1e-13 * max(
                    1, turn**2, 1 / float(x) ** 2
                )


FUNCTIONS = {
    "plain": lambda x: jnp.sum(jnp.cos(x) * jnp.log(1 + x * x), axis=-1),
    "clipped and chosen": lambda x: jnp.where(
        x[..., 0] > 0, jnp.clip(jnp.sin(3 * x[..., 1]), -0.5, 0.5), x[..., 0]
    ),
    "loop": lambda x: jax.lax.fori_loop(0, 3, lambda i, c: c + jnp.sin(c), x)[..., 0],
    "own derivative": lambda x: jax.nn.softplus(x)[..., 0] + jax.nn.relu(jnp.sin(x))[..., 1],
    "tree": lambda x: {"a": jnp.cos(x), "b": (jnp.ones(3), x.shape[0])},
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_exchanged_functions_are_the_same_functions(name):
    f = FUNCTIONS[name]
    x = jnp.asarray(np.random.default_rng(5).normal(size=(20, 2)) * 3)
    for a, b in zip(jax.tree.leaves(with_kernels(f)(x)), jax.tree.leaves(f(x)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-14)
    if name != "tree":
        whole = lambda g: lambda x: jnp.sum(g(x))
        np.testing.assert_allclose(
            jax.grad(whole(with_kernels(f)))(x), jax.grad(whole(f))(x), rtol=1e-12, atol=1e-13
        )


def test_the_platform_is_that_of_the_default_device():
    """An accelerator beside the CPU neither takes the kernels from it nor hands it options."""
    with jax.default_device(jax.devices("cpu")[0]):
        assert platform() == "cpu"
    with jax.default_device("cpu"):
        assert platform() == "cpu"
    with jax.default_device(None):
        assert platform() == jax.default_backend()


def test_it_does_exchange():
    """No sine is left in what XLA sees of a registered objective."""
    f = od.objective("ackley").fun
    text = str(jax.make_jaxpr(with_kernels(f))(jnp.ones(2)))
    assert " sin " in str(jax.make_jaxpr(f)(jnp.ones(2))) and " sin " not in text


@pytest.mark.parametrize(
    "c", [np.pi, -2 * np.pi, np.pi / 2, 0.75 * np.pi, 7 * np.pi, 3.0, np.pi + 1e-15]
)
@mp.workdps(40)
def test_products_are_counted_in_turns(c):
    """sin(c x) and cos(c x) as accurate as the rounding of c x, and sin(pi x)^2 in relative terms close to whole x."""
    xs = np.concatenate(
        [np.random.default_rng(2).normal(size=60) * 20, 1.0 + 1e-9 * np.arange(1, 5)]
    )
    for name, exact, slope in (("sin", mp.sin, mp.cos), ("cos", mp.cos, lambda z: -mp.sin(z))):
        f = with_kernels(lambda x, name=name: getattr(jnp, name)(c * x))
        counted = "2pi" in str(jax.make_jaxpr(f)(xs))
        assert counted == (c not in (3.0, np.pi + 1e-15))
        # what is meant by a rounded 2 pi q is 2 pi q
        whole = mp.mpf(round(8 * c / np.pi)) / 8 * mp.pi if counted else mp.mpf(c)
        want = [exact(whole * mp.mpf(float(x))) for x in xs]
        rounded = abs(math.frexp(c / np.pi)[0]) != 0.5  # q x is exact for powers of two
        error = 1e-15 + (3e-16 * np.abs(c * xs) if rounded else 0)
        assert (np.abs(np.asarray(f(xs)) - np.asarray(want, float)) < error).all()
        slopes = jax.vmap(jax.grad(f))(jnp.asarray(xs))
        steep = [whole * slope(whole * mp.mpf(float(x))) for x in xs]
        np.testing.assert_allclose(slopes, np.asarray(steep, float), atol=3e-14 * max(1, abs(c)))
    if c == np.pi:
        square = with_kernels(lambda x: jnp.sin(c * x) ** 2)
        near = xs[-4:]
        want = [mp.sin(mp.pi * (mp.mpf(float(x)) - 1)) ** 2 for x in near]
        np.testing.assert_allclose(square(near), np.asarray(want, float), rtol=3e-15)


@mp.workdps(40)
def test_rastrigin_near_its_minimizer_and_its_neighbours():
    """To the last digits where 1 - cos(2 pi x) has none left, and whatever the dimension that is summed over."""
    for d in (1, 2, 3, 17, 32, 33):
        f = od.objective("rastrigin", dimension=d).fun
        x = np.random.default_rng(d).normal(size=(d, 5)) * np.asarray(
            [1e-12, 1e-9, 1e-5, 1.0, 30.0]
        )
        got = (
            jax.vmap(with_kernels(f), -1)(jnp.asarray(x)),
            with_kernels(jax.vmap(f, -1))(jnp.asarray(x)),
        )
        for found in got:
            for i, column in enumerate(x.T):
                exact = sum(
                    mp.mpf(float(v)) ** 2 + 20 * mp.sin(mp.pi * mp.mpf(float(v))) ** 2
                    for v in column
                )
                assert abs(float(found[i]) / float(exact) - 1) < 3e-15


@pytest.mark.parametrize("name", ["sin", "cos", "sin2pi", "cos2pi"])
def test_no_sine_is_more_than_one(name):
    """Even where a compiler multiplies and adds in one: 1 - cos(x) is not negative where it vanishes."""
    turn = 1.0 if name.endswith("2pi") else 2 * np.pi
    rng = np.random.default_rng(8)
    off = np.concatenate(
        [10.0 ** rng.uniform(-12, -6, 500), -(10.0 ** rng.uniform(-12, -6, 500)), [0.0]]
    )
    top, bottom = (0.25, -0.25) if name.startswith("sin") else (0.0, 0.5)
    f = getattr(kernels, name)
    short = jax.jit(lambda x: (1 - f(x), 1 + f(x)), compiler_options=options("cpu"))
    assert np.asarray(short((top + off) * turn)[0]).min() >= 0
    assert np.asarray(short((bottom + off) * turn)[1]).min() >= 0
    assert np.isnan(f(np.nan)) and np.isnan(f(np.inf))
