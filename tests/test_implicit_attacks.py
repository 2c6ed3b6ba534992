"""Attacks on implicit functions, averages over fast noise, slow manifolds, guards and bilevel problems."""

import copy
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import odescent as od
from odescent import OdescentError
from odescent.dynamics import derivative, vanishes
from odescent.dynamics.evaluation.evaluate import evaluate
from odescent.dynamics.solves.jax_roots import _curves_down
from odescent.replay import digest, replay

x, y, z = od.blocks("x y z")
a, b, c = od.blocks("a b c", "scalar")
eps, h, q = od.parameters("epsilon h q")
k = sp.Symbol("k", real=True)
f = od.Objective("f")
loud = 1 / sp.sqrt(eps)


# minimizers and roots


@pytest.mark.parametrize(
    "value, unknown",
    [
        (-(a**2) + a * b, a),
        (-od.inner(x, x) + od.inner(x, y), x),
        (b * a - (a / 3) ** 2, a),
        (-od.inner(x - y, x - y), x),
    ],
)
def test_a_maximizer_in_closed_form_is_no_minimizer(value, unknown):
    with pytest.raises(OdescentError, match="has no minimizer"):
        od.argmin(value, unknown)
    # the critical point is there all the same, and is called what it is
    assert vanishes(
        od.root(od.gradient(value, unknown), unknown) - (y / 2 if unknown == x else b / 2)
    ) == (value in (-(a**2) + a * b, -od.inner(x, x) + od.inner(x, y)))


@given(st.integers(-9, 9).filter(bool))
@settings(max_examples=12, deadline=None)
def test_a_curvature_of_unknown_sign_is_looked_at_when_it_is_known(number):
    found = od.argmin(k * a**2 / 2 - a * b, a)
    bound = lambda: od.dynamics.substitute(found, {k: sp.Integer(number)})
    if number > 0:
        assert vanishes(bound() - b / number)
        assert np.isclose(float(evaluate(found, {k: number, b: 3.0, a: 0.0}, {}, np)), 3 / number)
        return
    with pytest.raises(OdescentError, match="no minimizer"):
        bound()
    with pytest.raises(OdescentError, match="is no minimizer"):
        evaluate(found, {k: float(number), b: 3.0, a: 0.0}, {}, np)


def test_a_factor_with_the_unknown_is_not_divided_out():
    """x = 0 solves |x|^2 (grad f(x) + y) = 0, and a search that begins there ends there."""
    found = od.root(f.grad(x) * od.inner(x, x) + y * od.inner(x, x), x)
    assert found != od.root(f.grad(x) + y, x)
    assert od.root(f.grad(x) * b**2 + y * b**2, x) != od.root(f.grad(x) + y * b, x)


@pytest.mark.parametrize(
    "equations",
    [{a: a + c - 2, c: a + c - b}, {x: x + y - z, y: x + y}, {a: k * a + c, c: k * a + c - b}],
)
def test_singular_equations_are_refused_in_a_sentence(equations):
    with pytest.raises(OdescentError, match="singular in their unknowns"):
        od.root(equations)


@given(st.floats(0.2, 9), st.sampled_from([1, -1, sp.Rational(3, 2), 0.5]))
@settings(max_examples=15, deadline=None)
def test_a_start_is_a_number_and_chooses_the_branch(at, start):
    found = od.root(a**2 - b, a, start=start)
    sign = 1 if start > 0 else -1
    assert np.isclose(float(evaluate(found, {b: at}, {}, np)), sign * at**0.5, rtol=1e-12)
    slope = evaluate(derivative(found, {b: sp.S.One}), {b: at}, {}, np)
    assert np.isclose(float(slope), sign * 0.5 / at**0.5, rtol=1e-10)
    assert not vanishes(found - od.root(a**2 - b, a, start=-start))
    assert copy.deepcopy(found) == found


@pytest.mark.parametrize(
    "unknown, equation, start", [(a, a**2 - b, x), (x, f.grad(x) + y, 1), (x, f.grad(x) + y, a)]
)
def test_a_start_of_another_kind_is_refused(unknown, equation, start):
    with pytest.raises(OdescentError, match=r"start= of root"):
        od.root(equation, unknown, start=start)


@given(st.integers(1, 40), st.integers(0, 10**6), st.booleans(), st.booleans())
@settings(max_examples=25, deadline=None)
def test_negative_curvature_is_found_and_never_invented(n, seed, down, flat):
    rng = np.random.default_rng(seed)
    basis, _ = np.linalg.qr(rng.normal(size=(n, n)))
    values = 10 ** rng.uniform(-1, 1, n)
    values[-1] *= 0 if flat else 1
    values[0] *= -1 if down else 1
    matrix = jnp.asarray(basis * values @ basis.T, float)
    told = bool(_curves_down(lambda v: matrix @ v, jnp.zeros(n)))
    wanted = bool(values.min() < 0)
    assert told == wanted if n <= 16 else told <= wanted


@pytest.mark.parametrize("n", [3, 100])
def test_curvature_is_looked_at_in_numpy_whatever_the_size(n):
    """A matrix for few unknowns, products for many: both refuse a maximum, and take minimizers and lines of them."""
    values = np.linspace(1, 2, n)
    critical = od.argmin(f.value(y) - od.inner(x, y), y)
    ones = np.ones(n)

    def found(curvatures, begin):
        functions = {"grad_f": lambda p: curvatures * p, "hess_f": lambda p, v: curvatures * v}
        functions |= {"value_f": lambda p: float(curvatures @ p**2) / 2}
        return evaluate(critical, {x: curvatures * ones, y: begin * ones}, functions, np)

    np.testing.assert_allclose(found(values, 0), ones, rtol=1e-9)
    # the search begins where it ends, so that no step tells
    flat, down = (values * np.where(np.arange(n) == 1, sign, 1) for sign in (0, -1))
    np.testing.assert_allclose(found(flat, 1), ones, rtol=1e-9)
    with pytest.raises(OdescentError, match="is no minimizer where the search ended"):
        found(down, 1)


# averages over fast noise


def average(drift, noise, fast):
    return od.System(
        {"all": od.Field(drift, noise)}, output=a, fast=dict.fromkeys(fast, eps)
    ).reduced(0)


@pytest.mark.parametrize(
    "first, second, variance", [(1, 1, 2), (1, -1, 0), (2, 1, sp.Rational(9, 2)), (3, 3, 18)]
)
def test_fields_with_one_process_add_before_they_are_squared(first, second, variance):
    """eps b' = -b with (s1 + s2)/sqrt(eps) dW: the variance is (s1 + s2)^2/2."""
    fields = {
        "u": od.Field({b: -b / eps}, {b: od.Diffusion(first * loud)}),
        "v": od.Field({a: -a + b * b}, {b: od.Diffusion(second * loud)}),
    }
    shared = od.System(fields, output=a, fast={b: eps}).reduced(0)
    assert vanishes(shared.drift[a] + a - variance)
    fields["v"] = od.Field({a: -a + b * b}, {b: od.Diffusion(second * loud, "V")})
    apart = od.System(fields, output=a, fast={b: eps}).reduced(0)
    assert vanishes(apart.drift[a] + a - sp.Rational(first**2 + second**2, 2))


REFUSED = {
    "blocks that share a process are correlated": (
        {a: -a + b * c, b: -b / eps, c: -c / eps}, {b: od.Diffusion(loud), c: od.Diffusion(loud)}, (b, c),
        "one process",
    ),
    "vectors that share a process": (
        {a: -a + od.inner(y, z), y: -y / eps, z: -z / eps}, {y: od.Diffusion(loud), z: od.Diffusion(loud)}, (y, z),
        "one process",
    ),
    "an amplitude that reads its own block": (
        {a: -a + b * b, b: (1 - b) / eps}, {b: od.Diffusion(loud * b)}, (b,), "not linear",
    ),
    "an amplitude that reads another fast block": (
        {a: -a + b * b, b: (1 - b) / eps, c: -c / eps}, {b: od.Diffusion(loud * c), c: od.Diffusion(loud, "V")}, (b, c),
        "not linear",
    ),
    "slow noise with a random amplitude": (
        {a: -a, b: -b / eps}, {b: od.Diffusion(loud), a: od.Diffusion(b, "V")}, (b,), "average is that of its square",
    ),
    "a slow drift that grows: its limit is noise": (
        {a: -a + b * loud, b: -b / eps}, {b: od.Diffusion(loud)}, (b,), "singular",
    ),
    "a slow drift that grows, without noise": ({a: -a + (b - a) / eps, b: (a - b) / eps}, {}, (b,), "singular"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_an_average_that_is_not_known_is_refused(name):
    drift, noise, fast, said = REFUSED[name]
    with pytest.raises(OdescentError, match=said):
        average(drift, noise, fast)


def test_independent_blocks_average_apart():
    noise = {b: od.Diffusion(2 * loud), c: od.Diffusion(loud, "V")}
    found = average({a: -a + b * c + b**2 + c**2, b: -b / eps, c: -c / eps}, noise, (b, c))
    assert vanishes(found.drift[a] + a - sp.Rational(5, 2))


# slow manifolds against matrices


@given(
    st.lists(st.integers(-4, 4), min_size=4, max_size=4), st.sampled_from([1, 2, sp.Rational(1, 3)])
)
@settings(max_examples=30, deadline=None)
def test_attraction_is_what_the_eigenvalues_say(entries, ratio):
    p, r, s, t = entries
    rates = np.array([[p, r], [s / float(ratio), t / float(ratio)]])
    largest = np.linalg.eigvals(rates).real.max()
    build = partial(
        od.System,
        {a: -a + b, b: (p * b + r * c + a) / eps, c: (s * b + t * c) / (ratio * eps)},
        output=a, fast={b: eps, c: ratio * eps}, small=(eps,),
    )  # fmt: skip
    if largest < -1e-9:
        found = build().slow_manifold(0)
        assert all(e.status == "proved" for e in found.hypotheses)
        return
    with pytest.raises(OdescentError):
        build().slow_manifold(0)


@pytest.mark.parametrize("number", [sp.Rational(1, 2), sp.Rational(3, 2), 2, 3])
def test_the_loop_settles_only_where_its_fast_step_contracts(number):
    """b+ = b + q (a - b): within |1 - q| < 1, the slow eigenvalue of the matrix; else no limit."""
    built = od.System({a: -b, b: (a - b) / eps}, output=a, fast={b: eps})
    build = partial(od.Algorithm, built, "explicit_euler", step=h, where={eps: h / number})
    if abs(1 - number) >= 1:
        with pytest.raises(OdescentError, match="does not settle"):
            build()
        return
    leading = build().modified_equation(1).terms[1][a] * 0.001
    matrix = np.array([[1, -0.001], [float(number), 1 - float(number)]])
    slow = np.log(max(np.linalg.eigvals(matrix), key=abs).real) / 0.001
    predicted = float((-1 + leading / a).subs(a, 1))
    assert abs(slow - predicted) < 1e-4


@pytest.mark.parametrize("number, settles", [(sp.Rational(1, 2), True), (3, False)])
def test_a_nonlinear_fast_step_that_always_expands_does_not_settle(number, settles):
    built = od.System({a: -b, b: (a - b - b**3) / eps}, output=a, fast={b: eps})
    build = partial(od.Algorithm, built, "explicit_euler", step=h, where={eps: h / number})
    if settles:
        assert build().modified_equation(1)
        return
    with pytest.raises(OdescentError, match="does not settle"):
        build()


# bilevel problems

upper = lambda x, y: jnp.sum((y - 1) ** 2) / 2 + jnp.sum(x**2) / 20
BAD = {
    "a start at a maximum": (lambda x, y: jnp.sum((y**2 - 1) ** 2) + 0 * x[0], np.zeros(2), "no minimizer"),
    "a start at a maximum, many unknowns": (lambda x, y: jnp.sum(jnp.cos(y)) + 0 * x[0], np.zeros(200), "no minimizer"),
    "a line of minimizers": (lambda x, y: (y[0] - x[0]) ** 2 / 2, np.zeros(2), "several minimizers"),
    "a vector": (lambda x, y: y, np.zeros(2), "scalar function"),
    "not a number": (lambda x, y: jnp.nan * jnp.sum(y), np.zeros(2), "no minimizer"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_lower_level_that_is_not_minimized_is_no_success(name):
    lower, begin, said = BAD[name]
    with pytest.raises(OdescentError, match=said):
        od.bilevel(upper, lower, np.ones(1), begin)


@pytest.mark.parametrize("kind", [np.float32, np.float64, int])
def test_the_end_is_stationary_in_closed_form(kind):
    """With y* = tanh x: (tanh x - 1)/cosh^2 x + x/10 = 0, whatever the types of the starts, and under jit."""
    lower = jax.jit(lambda x, y: jnp.sum((y - jnp.tanh(x)) ** 2) / 2)
    found = od.bilevel(upper, lower, np.ones(3, kind), np.zeros(3, kind))
    at = np.asarray(found.x)
    assert found.success
    assert np.max(np.abs((np.tanh(at) - 1) / np.cosh(at) ** 2 + at / 10)) < 2e-6
    assert np.allclose(at, 1.0003, atol=1e-4)


# guards


def test_a_document_with_another_guard_is_refused():
    document = od.derive("bold_driver").to_dict()
    altered = [copy.deepcopy(document) for _ in range(2)]
    exact = [e["algorithm"]["exact"] for e in altered]
    select = exact[0]["scheme"]["steps"][1]["select"]
    guard = exact[1]["program"]["instructions"][1]["guard"]
    for part in (select, guard):
        part["strict"] = not part["strict"]
    assert not replay(document)
    for e in altered:
        e["digest"] = digest(e)
        assert any("strict" in problem for problem in replay(e))


def test_methods_that_differ_in_a_guard_alone_are_not_equal():
    assert od.recognize(od.algorithm("bold_driver")).name == "bold_driver"
    assert not od.algorithm("bold_driver").equivalent(od.algorithm("armijo"))
    assert "where its guards accept follows this flow" in od.derive("bold_driver").text().replace(
        "\n   ", " "
    )
