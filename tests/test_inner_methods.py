"""Algorithms as inner methods: searches for implicit functions by steps of a method of the library."""

import functools
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp
from jax.flatten_util import ravel_pytree

import odescent as od
from odescent import OdescentError
from odescent.analysis.bilevel.levels import Reduced, levels_of
from odescent.dynamics.algebra.trees import from_tree, tree
from odescent.dynamics.evaluation.evaluate import evaluate
from odescent.dynamics.solves import jax_roots

METHODS = {
    "gradient_descent": lambda: od.algorithm("gradient_descent", step=sp.Rational(1, 2)),
    "nesterov_sc": lambda: od.algorithm("nesterov_sc", mu=sp.Rational(9, 10), L=3),
    "heavy_ball": lambda: od.algorithm("heavy_ball", mu=sp.Rational(9, 10), L=3),
    "triple_momentum": lambda: od.algorithm("triple_momentum", mu=sp.Rational(9, 10), L=3),
    "nesterov_c": lambda: od.algorithm("nesterov_c", L=3),
}
X0 = np.array([1.0, 0.5, -0.3])
x, y = od.blocks("x y")
G = od.Objective("G", args=("x", "y"))


def upper(x, y):
    return jnp.sum(jnp.cos(y)) + 0.5 * jnp.sum((y - 1) ** 2) + jnp.sum(x**4) / 40


def lower(x, y):
    return jnp.sum((y - jnp.tanh(x)) ** 2) / 2 + jnp.sum(y**4) / 10


def least(x):
    """The minimizer of the lower level by Newton's method of our own."""
    y = np.zeros_like(x)
    for _ in range(40):
        y = y - (y - np.tanh(x) + 0.4 * y**3) / (1 + 1.2 * y**2)
    return y


@pytest.mark.parametrize("name", METHODS)
def test_the_numbers_are_those_of_the_minimizer(name):
    found = od.argmin(G.value(x, y), y, method=METHODS[name](), tolerance=1e-12)
    gradient = {"grad_G_y": jax.grad(lower, 1), "value_G": lower}
    for xp in (np, jnp):
        value = evaluate(found, {x: xp.asarray(X0), y: xp.zeros(3)}, gradient, xp)
        assert np.allclose(value, least(X0), rtol=1e-9)
    traced = jax.jit(lambda at: evaluate(found, {x: at, y: jnp.zeros(3)}, gradient, jnp))
    assert np.allclose(traced(jnp.asarray(X0)), least(X0), rtol=1e-9)
    slope = jax.jacobian(traced)(jnp.asarray(X0))
    exact = (1 - np.tanh(X0) ** 2) / (1 + 1.2 * least(X0) ** 2)
    assert np.allclose(slope, np.diag(exact), rtol=1e-8)


@pytest.mark.parametrize("name", METHODS)
def test_emitted_numpy_and_jax_take_the_steps_of_the_method(name):
    found = od.argmin(G.value(x, y), y, method=METHODS[name](), tolerance=1e-12, start=x)
    method = od.Algorithm(od.System({"flow": {x: -found}}, output=x), "explicit_euler")
    at = X0
    for _ in range(4):
        at = at - 0.3 * least(at)
    run = method.run({"G": lower}, X0, 4, h=0.3)
    assert np.allclose(run.x[-1], at, rtol=1e-9)
    for target in ("numpy", "jax"):
        module = {}
        exec(method.source(target), module)  # noqa: S102
        xs = module["run"](jax.grad(lower, 1), X0, 4, h=0.3)
        assert np.allclose(xs[-1], at, rtol=1e-9)
    assert name in method.source("numpy")


@pytest.mark.parametrize("system", ["implicit_bilevel", "penalty_bilevel"])
@pytest.mark.parametrize("name", ["gradient_descent", "nesterov_sc"])
def test_fast_blocks_at_rest_by_a_method_are_those_by_newtons(system, name):
    """Of the implicit route the adjoint, a linear equation, is searched as well; the penalty's scale rho is no step."""
    assert np.allclose(at_rest(system, None), at_rest(system, name), rtol=1e-8)


@functools.cache
def at_rest(system, name):
    """Where the flow and a method end."""
    given = {"F": upper, "G": lower}
    sigma = {"sigma": 0.02} if system == "penalty_bilevel" else {}
    method = METHODS[name]() if name else None
    flow = od.system(system).reduced(0, method=method, tolerance=1e-12)
    memories = {b.name for b in flow.blocks if b.role == "memory"}
    assert memories == ({"y", "z"} if sigma else {"y", "v"} if method else {"y"})
    start = {b.symbol: X0 if b.name == "x" else np.zeros(3) for b in flow.blocks}
    flown = flow.simulate(given, start, 1.0, parameters=sigma, rtol=1e-11, atol=1e-11)
    run = od.Algorithm(flow, "explicit_euler").run(given, start, 5, h=0.1, **sigma)
    return flown.x[-1], run.x[-1]


@pytest.mark.parametrize("route", ["implicit", "penalty"])
def test_bilevel_by_an_inner_method(route):
    found = {
        name: od.bilevel(upper, lower, X0, np.zeros(3), method=route, sigma=0.02, inner=inner)
        for name, inner in (("newton", None), ("descent", METHODS["nesterov_sc"]()))
    }
    assert all(f.success for f in found.values())
    assert np.allclose(found["newton"].x, found["descent"].x, atol=1e-5)
    assert np.allclose(
        found["descent"].y, least(found["descent"].x), atol=0.05 if route == "penalty" else 1e-7
    )
    exact = jax.grad(lambda v: upper(v, jnp.asarray(least(X0)) * 0 + _least_jax(v)))(
        jnp.asarray(X0)
    )
    near = od.hypergradient(upper, lower, X0, np.zeros(3), method="implicit",
                            lower_tolerance=1e-12, inner=METHODS["gradient_descent"]())  # fmt: skip
    assert np.allclose(near, exact, rtol=1e-9)


def _least_jax(x):
    y = jnp.zeros(3)
    for _ in range(40):
        y = y - (y - jnp.tanh(x) + 0.4 * y**3) / (1 + 1.2 * y**2)
    return y


def test_two_methods_of_one_minimizer_are_two():
    """Nothing that is kept of one search serves the other."""
    sources = {
        name: od.Algorithm(
            od.System(
                {"flow": {x: -od.argmin(G.value(x, y), y, start=x, method=make())}}, output=x
            ),
            "explicit_euler",
        ).source("numpy")
        for name, make in METHODS.items()
    }
    assert len(set(sources.values())) == len(METHODS)


def test_one_search_inside_of_another_by_one_method():
    """Their states have names of their own, though they are of one method."""
    z = od.blocks("z")
    H = od.Objective("H", args=("y", "z"))
    method = METHODS["nesterov_sc"]()
    inside = od.argmin(H.value(y, z), z, start=y, method=method, tolerance=1e-13)
    outside = od.root(y - x / 3 + inside / 4, y, start=x, method=method, tolerance=1e-12)
    slope = {"grad_H_z": lambda y, z: z + z**3 / 5 - jnp.sin(y)}
    at = jax.jit(lambda at: evaluate(outside, {x: at}, slope, jnp))(jnp.asarray(X0))
    z_at = 4 * (X0 / 3 - np.asarray(at))
    assert np.allclose(z_at + z_at**3 / 5, np.sin(at), atol=1e-9)


def test_it_is_written_and_read_again():
    found = od.argmin(G.value(x, y), y, start=x, method=METHODS["nesterov_c"]())
    for again in (from_tree(tree(found)), pickle.loads(pickle.dumps(found))):  # noqa: S301
        (one,), (other,) = (list(e.terms) for e in (again, found))
        assert one == other and one.equations.search == other.equations.search
    plain = od.argmin(G.value(x, y), y, start=x)
    assert plain != found and from_tree(tree(plain)) == plain


def test_what_is_linear_in_closed_form_takes_no_steps():
    assert od.argmin(od.inner(y, y) / 2 - od.inner(x, y), y, method=METHODS["nesterov_sc"]()) == x


REFUSED = {
    "L has none": lambda: od.argmin(G.value(x, y), y, method=od.algorithm("gradient_descent")),
    "random": lambda: od.argmin(G.value(x, y), y, method=od.algorithm("sgld", step=0.1, sigma=1)),
    "an algorithm with numbers": lambda: od.argmin(G.value(x, y), y, method="gradient_descent"),
    "asks for": lambda: od.argmin(G.value(x, y), y, method=od.algorithm("proximal_point", step=1)),
    "one vector": lambda: od.root(
        {y: y + G.grad((z := od.blocks("z")), y, wrt="y"), z: z + G.grad(y, z, wrt="y")},
        method=METHODS["nesterov_sc"](),
    ),
    "single loop takes its own": lambda: od.bilevel(
        upper, lower, X0, X0, method="single_loop", step=0.1, inner=METHODS["nesterov_sc"]()
    ),
    "lower_constraints takes its own": lambda: od.bilevel(
        upper, lower, X0, X0, lower_constraints=lambda y: jnp.clip(y, -9, 9),
        inner=METHODS["nesterov_sc"](),
    ),
    "do not come to rest": lambda: od.bilevel(
        upper, lower, X0, X0, inner=od.algorithm("gradient_descent", step=5)
    ),
    "where the curvature is negative": lambda: od.bilevel(
        upper, lambda x, y: jnp.sum(y**4 - y**2), X0, np.zeros(3),
        inner=od.algorithm("gradient_descent", step=sp.Rational(1, 10)),
    ),
    "diverges, take a shorter step": lambda: evaluate(
        od.argmin(G.value(x, y), y, method=od.algorithm("gradient_descent", step=5)),
        {x: X0, y: X0}, {"grad_G_y": jax.grad(lower, 1)}, np,
    ),
    "does not end in 3 steps": lambda: evaluate(
        od.argmin(G.value(x, y), y, max_steps=3, method=METHODS["nesterov_sc"]()),
        {x: X0, y: X0}, {"grad_G_y": jax.grad(lower, 1)}, np,
    ),
}  # fmt: skip


@pytest.mark.parametrize("said", REFUSED)
def test_what_is_no_inner_method_is_refused(said):
    with pytest.raises(OdescentError, match=said):
        REFUSED[said]()


SPECTRA = {
    "positive": (np.linspace(1, 2, 100), False),
    "one negative": (np.r_[-0.5, np.linspace(1, 2, 99)], True),
    "of two values": (np.r_[np.ones(25), 2 * np.ones(25)], False),
    "two negative ones": (np.r_[-np.ones(2), 2 * np.ones(48)], True),
    "zero": (np.zeros(30), False),
    "a line of minimizers": (np.r_[0, np.linspace(1, 100, 199)], False),
    "few": (np.array([-1e-3, 1.0, 2.0]), True),
}


@pytest.mark.parametrize("name", SPECTRA)
def test_negative_curvature_is_found_by_products(name):
    values, down = SPECTRA[name]
    basis = np.linalg.qr(np.random.default_rng(0).normal(size=(len(values),) * 2))[0]
    matrix = jnp.asarray(basis * values @ basis.T)
    assert bool(jax_roots._curves_down(lambda v: matrix @ v, jnp.zeros(len(values)))) is down


@pytest.mark.optimized
@pytest.mark.parametrize("route", ["implicit", "penalty"])
def test_gradient_descent_holds_four_copies_of_the_lower_block(route):
    """Beside the lower unknowns at which a search begins and those at which it ends, as XLA plans it."""
    size = 100_000

    def chain(x, y):
        squares = jnp.sum((y**2).reshape(-1, 10), axis=0)
        return jnp.vdot(jnp.exp(x), squares) / 2 + jnp.sum((y[1:] - y[:-1]) ** 2) - jnp.sum(y)

    def far(x, y):
        return jnp.sum((y - 1) ** 2) / 2 + jnp.sum(x**2) / 2

    begin, shape_x = ravel_pytree(jnp.zeros(10))
    guess, shape_y = ravel_pytree(jnp.zeros(size))
    levels = levels_of(far, chain, shape_x, shape_y)
    look = Reduced(route, levels, 0.01, 1e-6, od.algorithm("gradient_descent", step=0.1))

    def found(x, guess):
        values = look.program.at(x, guess, *look.numbers)
        return values["gradient"], values["fast"]

    planned = jax.jit(found).lower(begin, (guess,) * len(look.fast)).compile().memory_analysis()
    older = tuple(map(int, jax.__version__.split(".")[:2])) < (0, 10)  # whose XLA plans one more
    assert planned.temp_size_in_bytes <= (5.1 if older else 4.01) * 8 * size
