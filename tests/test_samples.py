"""Samples and their means, against sums over the points of finite laws, Gauss's rules and a million draws."""

import copy
import itertools
import json
import pickle
import random
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import sympy as sp
from random_means import compared

import odescent as od
from odescent.dynamics.algebra.calculus import derivative, substitute, symbols_of, vanishes
from odescent.dynamics.algebra.operators import diagonal
from odescent.dynamics.algebra.series import taylor
from odescent.dynamics.algebra.trees import from_tree, tree
from odescent.dynamics.algebra.vectors import Vector
from odescent.dynamics.evaluation.evaluate import evaluate
from odescent.dynamics.evaluation.quadrature import quadrature
from odescent.dynamics.samples.laws import LAWS, even_partitions, law_of
from odescent.dynamics.samples.mean import means_in
from odescent.dynamics.samples.sample import VectorSample, dimension_of

VECTORS = [name for name, law in LAWS.items() if not law.scalar]
SCALARS = [n.removesuffix("_scalar") for n, law in LAWS.items() if law.scalar and "rows" not in n]
x, w = od.blocks("x w")
f = od.Objective("f")
r = od.parameters("r")
g = f.grad(x)


def drawn(law: str, d: int, n: int) -> np.ndarray:
    rng = np.random.default_rng(7)
    z = rng.standard_normal((n, d))
    if law == "sphere":
        return z * np.sqrt(d) / np.linalg.norm(z, axis=1)[:, None]
    if law == "coordinate":
        made = np.zeros((n, d))
        made[np.arange(n), rng.integers(0, d, n)] = np.sqrt(d) * rng.choice([-1, 1], n)
        return made
    others = {
        "normal": z,
        "rademacher": np.sign(z),
        "uniform": rng.uniform(-(3**0.5), 3**0.5, (n, d)),
    }
    return others[law]


@pytest.mark.parametrize("law", VECTORS)
def test_moments_are_those_of_draws(law: str) -> None:
    z = drawn(law, 3, 200_000)
    for index in (
        (2, 0, 0),
        (1, 1, 0),
        (4, 0, 0),
        (2, 2, 0),
        (6, 0, 0),
        (2, 2, 2),
        (4, 2, 0),
        (3, 1, 0),
    ):
        values = np.prod(z ** np.array(index), axis=1)
        error = 5 * values.std() / np.sqrt(len(values)) + 1e-9
        assert abs(values.mean() - float(law_of(law).moment(index))) < error, index


@pytest.mark.parametrize("law", VECTORS)
@pytest.mark.parametrize("d", [1, 2, 3, 4])
def test_every_law_has_mean_zero_and_covariance_one(law: str, d: int) -> None:
    for i, j in itertools.product(range(d), repeat=2):
        index = tuple((k == i) + (k == j) for k in range(d))
        assert law_of(law).moment(index) == (i == j)


@pytest.mark.parametrize("law", VECTORS)
def test_quadrature_has_the_moments_of_the_law(law: str) -> None:
    points, weights = quadrature(law, 2)
    for index in ((2, 0), (4, 0), (2, 2), (6, 2), (8, 0)):
        found = np.sum(weights * np.prod(points ** np.array(index), axis=1))
        assert np.isclose(found, float(law_of(law).moment(index)), rtol=1e-12)
    many, even = quadrature(law, 7)
    assert np.allclose(np.einsum("n,ni->i", even, many), 0, atol=1e-12)
    assert np.allclose(np.einsum("n,ni,nj->ij", even, many, many), np.eye(7), atol=0.12)


@pytest.mark.parametrize("law", SCALARS)
def test_scalars_have_their_moments(law: str) -> None:
    u = od.sample("u", law)
    points, weights = quadrature(law, 1, True)
    for n in range(1, 7):
        assert np.isclose(np.sum(weights * points[:, 0] ** n), float(od.mean(u**n)), rtol=1e-12)


def test_even_partitions() -> None:
    assert list(even_partitions(6)) == [(6,), (4, 2), (2, 2, 2)]
    assert list(even_partitions(0)) == [()]


def fun(p: jax.Array) -> jax.Array:
    return (
        jnp.sum(jnp.sin(p + jnp.arange(p.size, dtype=float)))
        + p[0] ** 2 * p[-1]
        + jnp.sum(p**4) / 5
    )


ORACLES = {"value_f": fun, "grad_f": jax.grad(fun)}
D = 2


POINT = {x: jnp.array([0.3, -0.7]), w: jnp.array([1.1, 0.4]), r: 0.35, dimension_of("x"): float(D)}


def number(e: object, values: dict) -> np.ndarray:
    """The value of an expression in two dimensions."""
    return np.asarray(evaluate(e, {**POINT, **values}, ORACLES, jnp))


def averaged(e: object, z: object, law: str) -> np.ndarray:
    """The mean by points and weights, of the expression as it was written."""
    vector = isinstance(z, Vector)
    points, weights = quadrature(law, D if vector else 1, not vector)
    at = jnp.asarray(points if vector else points[:, 0])
    found = jax.vmap(lambda p: evaluate(e, {**POINT, z: p}, ORACLES, jnp))(at)
    return np.tensordot(weights, np.asarray(found), axes=1)


def polynomials(z: Vector) -> dict[str, object]:
    hz, h = f.grad(x, along=(z,)), f.hessian(x)
    a, b = od.inner(z, g), od.inner(z, hz)
    return {
        "direction": z * a,
        "square": z * (a**2 * od.inner(z, w)),
        "length": g * od.inner(z, z),
        "quartic": sp.Integer(3) * a**4,
        "curvature": w * b + hz * a,
        "Hutchinson": od.hadamard(z, hz),
        "its square": od.hadamard(od.hadamard(z, hz), od.hadamard(z, hz)),
        "sandwich": od.apply(od.outer(z, z), od.apply(h, z)) * od.inner(z, w),
        "operator": od.apply(od.outer(z, z) * a**2, w),
        "element-wise": od.elementwise(lambda s: s**2 + s, z) + od.elementwise(lambda s, v: s**2 * v, z, g),
        "inside": f.grad(x, along=(od.hadamard(z, z) * a * od.inner(z, w),)),
        "third": derivative(hz, {x: z}),
        "third, paired": derivative(hz, {x: z}) * a * od.inner(z, w),
        "trace": w * od.inner(hz, hz),
        "weighted": od.hadamard(z, hz) * (a * od.inner(z, w)),
    }  # fmt: skip


@pytest.mark.parametrize("law", VECTORS)
@pytest.mark.parametrize("name", polynomials(x))
def test_means_of_polynomials(law: str, name: str) -> None:
    z = od.sample("z", law, like=x)
    e = polynomials(z)[name]
    assert np.allclose(number(od.mean(e), {}), averaged(e, z, law), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("law", VECTORS)
def test_means_of_functions_stay_means(law: str) -> None:
    z = od.sample("z", law, like=x)
    for e in (
        (f.value(x + r * z) - f.value(x - r * z)) / (2 * r) * z,
        f.grad(x + r * z) * od.inner(z, g) + f.grad(x) * f.value(x + r * z) ** 2,
        od.hadamard(w, f.grad(x + r * z)) + od.apply(f.hessian(x), z) * f.value(x - r * z),
        od.elementwise(sp.sign, z) * od.inner(z, w),
    ):
        found = od.mean(e)
        assert z not in symbols_of(found)
        assert np.allclose(number(found, {}), averaged(e, z, law), rtol=1e-7, atol=1e-9)
        moved = derivative(found, {x: w})
        if "sign" not in str(e):
            outside = averaged(derivative(e, {x: w}), z, law)
            assert np.allclose(number(moved, {}), outside, rtol=1e-6, atol=1e-8)


def test_random_polynomials() -> None:
    rng = random.Random(3)
    for _ in range(12):
        law = rng.choice(VECTORS)
        z = od.sample("z", law, like=x)
        vectors = [z, f.grad(x, along=(z,)), od.hadamard(z, w), g, w, od.apply(od.outer(w, z), g)]
        e = od.hadamard(rng.choice(vectors), rng.choice(vectors))
        for _ in range(rng.randrange(3)):
            e = e * od.inner(rng.choice(vectors), rng.choice(vectors))
        assert np.allclose(number(od.mean(e), {}), averaged(e, z, law), rtol=1e-8, atol=1e-10), e


@pytest.mark.parametrize("seed", range(6))
def test_random_expressions(seed: int) -> None:
    """`python tests/random_means.py 150` tries more of them."""
    assert not compared(seed)


def test_published_second_moments() -> None:
    """Normal: (d + 2) |g|^2; s directions add (d + 1)/s; squares of Hutchinson's diagonal are row norms of H."""
    z, v = od.sample("z", like=x), od.sample("v", like=x)
    d, h, size = dimension_of("x"), f.hessian(x), od.inner(g, g)
    one = od.estimate(z * od.inner(z, g), of=g)
    assert vanishes(one.second_moment - (d + 2) * size) and not one.bias
    assert vanishes(one.covariance - od.outer(g, g) - od.identity * size)
    two = od.estimate((z * od.inner(z, g) + v * od.inner(v, g)) / 2, of=g)
    assert vanishes(two.second_moment - (1 + (d + 1) / 2) * size)
    smooth = sp.Symbol("L", positive=True)
    assert vanishes(two.largest_step(smooth) - 2 / (smooth * (1 + (d + 1) / 2)))
    signs = od.sample("z", "rademacher", like=x)
    q = od.hadamard(signs, f.grad(x, along=(signs,)))
    assert vanishes(od.mean(q) - diagonal(h))
    assert vanishes(od.mean(od.hadamard(q, q)) - diagonal(od.apply(h, h)))
    sphere = od.sample("z", "sphere", like=x)
    along = od.estimate(sphere * od.inner(sphere, g), of=g)
    assert vanishes(along.second_moment - d * size)


def test_the_mean_of_a_two_point_estimate_is_the_gradient_of_the_smoothed_function() -> None:
    z = od.sample("z", like=x)
    for e in (
        (f.value(x + r * z) - f.value(x - r * z)) / (2 * r) * z,
        (f.value(x + r * z) - f.value(x)) / r * z,
        f.value(x + r * z) / r * z,
    ):
        assert od.mean(e) == od.mean(f.grad(x + r * z))
    estimate = od.estimate((f.value(x + r * z) - f.value(x - r * z)) / (2 * r) * z, of=g)
    assert estimate.cost == {"values": 2, "numbers sent": 1}
    bias = estimate.mean(2, r) - g
    assert str(bias) == "r**2/2*E[D3 f(x)[z, z]]"  # on x^4, 12 r^2 x
    sphere = od.sample("z", "sphere", like=x)
    e = (f.value(x + r * sphere) - f.value(x - r * sphere)) / (2 * r) * sphere
    assert str(od.estimate(e, of=g).mean(2, r) - g) == "d_x*r**2/(4 + 2*d_x)*E[D3 f(x)[z, z]]"


def test_costs_count_what_is_asked_for_and_sent() -> None:
    z, u, b, d = (
        od.sample("z", like=x),
        od.sample("u", "rows"),
        od.parameters("b"),
        dimension_of("x"),
    )
    largest, clip = od.named_map("top_k", k=3), od.named_map("clip", r=1)
    hessian = od.hadamard(z, f.grad(x, along=(z,)))
    cases = {
        largest(g + z): {"gradients": 1, "numbers sent": 6},
        z * od.inner(z, g): {"gradients": 1, "numbers sent": 1},
        hessian: {"products": 1, "numbers sent": d},
        clip(f.batch(x, u)) + z: {"minibatch gradients": 1, "numbers sent": d},
        f.batch(x, u, b) - f.batch(r * x, u, 2 * b): {"minibatch gradients": 2, "examples": 3 * b, "numbers sent": d},
        z * f.value(x + r * z) / r: {"values": 1, "numbers sent": 1},
    }  # fmt: skip
    for e, cost in cases.items():
        assert od.estimate(e, of=f.grad(x)).cost == cost


@pytest.mark.parametrize("law", VECTORS)
def test_expansion_and_mean_commute(law: str) -> None:
    z = od.sample("z", law, like=x)
    e = (f.value(x + r * z) - f.value(x)) / r * z
    inside, outside = taylor(od.mean(e), r, 2), [od.mean(c) for c in taylor(e, r, 2)]
    assert all(vanishes(a - b) for a, b in zip(inside, outside, strict=True))


def test_bound_samples_are_not_those_of_the_same_name() -> None:
    """E f(x + r z) in the place of x, inside another mean over z, and beside a free z."""
    z = od.sample("z", like=x)
    smoothed = od.mean(f.grad(x + r * z))
    twice = substitute(smoothed, {x: x + smoothed})
    once = derivative(smoothed, {x: smoothed})
    assert np.allclose(
        number(twice, {}),
        number(smoothed, {x: jnp.array([0.3, -0.7]) + number(smoothed, {})}),
        rtol=1e-9,
    )
    step = 1e-5 * number(smoothed, {})
    ahead, behind = (number(smoothed, {x: jnp.array([0.3, -0.7]) + s * step}) for s in (1, -1))
    assert np.allclose(number(once, {}), (ahead - behind) / 2e-5, rtol=1e-6)
    beside = od.mean(
        substitute(smoothed, {x: x + r * z})
    )  # two independent normals: one of twice the variance
    points, weights = quadrature("normal", 2)
    at = (number(g, {x: jnp.array([0.3, -0.7]) + 0.35 * 2**0.5 * p}) for p in points)
    assert np.allclose(
        number(beside, {}), sum(c * v for c, v in zip(weights, at, strict=True)), rtol=1e-7
    )


def nested(z: Vector) -> dict[str, object]:
    """Expressions in a sample and in the gradient over random rows."""
    b = f.batch(x, od.sample("u", "rows"))
    return {
        "sketch of a random gradient": od.outer(z, z) * od.inner(z, b) ** 2,
        "two factors": z * od.inner(z, b) * od.inner(b, w),
        "a scalar": od.inner(z, b) ** 2 * od.inner(z, w) ** 2,
        "an operator": od.outer(z, od.apply(od.outer(b, f.grad(x, along=(b,))), z)),
        "a square": z * od.inner(z, b) ** 3,
    }


@pytest.mark.parametrize("law", VECTORS)
@pytest.mark.parametrize("name", nested(x))
def test_two_means_are_taken_in_either_order(law: str, name: str) -> None:
    """Where one of the two has no closed form, and the other is then within it."""
    z, u = od.sample("z", law, like=x), od.sample("u", "rows")
    e = nested(z)[name]
    one, other = od.mean(od.mean(e, [u]), [z]), od.mean(od.mean(e, [z]), [u])
    assert vanishes(one - other)
    assert not any(isinstance(m.over, VectorSample) for m in means_in(one))


def test_gradients_and_transposes_go_through_means() -> None:
    u, z = od.sample("u", "rows"), od.sample("z", like=x)
    b = f.batch(x, u)
    square = od.mean(od.inner(w, b) ** 2)
    second = od.mean(od.outer(b, b))
    assert vanishes(od.gradient(square, w) - 2 * od.apply(second, w))
    moved = od.mean(od.outer(b, f.grad(x, along=(b,))))
    assert vanishes(od.transpose(moved) - od.mean(od.outer(f.grad(x, along=(b,)), b)))
    smooth = od.mean(od.inner(w, f.grad(x + r * z, along=(w,))))
    assert vanishes(od.gradient(smooth, w) - 2 * od.mean(f.grad(x + r * z, along=(w,))))
    with pytest.raises(od.OdescentError):
        od.gradient(second, w)


@pytest.mark.parametrize("law", VECTORS)
def test_samples_and_means_are_kept_as_they_are(law: str) -> None:
    z, u = od.sample("z", law, like=x), od.sample("u", "uniform")
    e = od.mean(f.value(x + r * z) * z * u + od.inner(z, g) ** 2 * f.grad(x + u * w))
    for s in (z, u, e):
        assert pickle.loads(pickle.dumps(s)) == s  # noqa: S301  what was just written
        assert copy.deepcopy(s) == s
        assert from_tree(json.loads(json.dumps(tree(s)))) == s
    assert u != sp.Symbol("u", real=True) and u != od.sample("u", "normal")
    assert z != od.blocks("z") and z != od.sample("z", law, like=w)


def test_what_has_no_closed_form_is_called_a_mean() -> None:
    z = od.sample("z", "uniform", like=x)
    (found,) = means_in(od.mean(f.grad(x + r * z)))
    assert str(found) == "E[grad f(x + r*z)]"
    assert r"\mathbb{E}" in od.mean(f.grad(x + r * z))._latex(None)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (lambda: od.sample("z", "gauss", like=x), "there is no law of a vector called 'gauss'"),
        (lambda: od.sample("z", "sphere"), "there is no law of a scalar called 'sphere'"),
        (lambda: od.sample("u", "rows", like=x), "the law rows is one of scalars, which pick rows"),
        (lambda: od.mean(od.sample("u", "rows") ** 2), "a sample of the law rows has no moments"),
        (
            lambda: f.batch(x, od.sample("u", "uniform")),
            "batch of f takes a sample that picks rows, .* not u with u of the law uniform",
        ),
        (
            lambda: f.batch(x, 1 - od.sample("u", "rows")),
            "batch of f takes a sample that picks rows",
        ),
        (lambda: od.sample("z", like=3), "takes its shape from a vector block, like=x, not from 3"),
        (lambda: od.estimate(g, of=g), "there is no sample in grad f(x)"),
        (lambda: od.estimate(3, of=g), "expression of estimate must be a Vector, not 3"),
        (
            lambda: od.System({"a": {x: -od.sample("q", like=w)}}),
            "which must have the shape of a block of the system, not of 'w'",
        ),
        (
            lambda: od.System({"a": {x: -g}}, output=x + od.sample("q", like=x)),
            "the output reads the sample q",
        ),
        (
            lambda: od.System({"a": od.Field({x: -g}, {x: od.Diffusion(od.sample("u", "rows"))})}),
            "the noise reads the sample u",
        ),
        (
            lambda: od.System({"a": {x: -g}}, init={x: od.sample("q", like=x)}),
            "q",
        ),
        (
            lambda: od.System({"a": {x: -r * od.sample("r", like=x)}}),
            "the name 'r' stands for two different symbols",
        ),
        (
            lambda: od.estimate(od.sample("z", like=x), of=g).mean(2),
            "needs small=, the parameter of the expansion",
        ),
    ],
)  # fmt: skip
def test_wrong_samples_get_a_sentence(wrong: object, sentence: str) -> None:
    with pytest.raises(od.OdescentError, match=sentence.replace("(", r"\(").replace(")", r"\)")):
        wrong()


@pytest.mark.parametrize(
    ("start", "radius", "words"),
    [
        (
            np.ones(3),
            1e-20,
            "the radius r = 1e-20 is below the resolution of float64 at the starting point, 2.2e-16",
        ),
        (np.ones(3, np.float32), 1e-9, "the radius r = 1e-09 is below the resolution of float32"),
        (np.full(3, 1e12), 1e-6, "the radius r = 1e-06 is below the resolution of float64"),
    ],
)
def test_a_radius_below_the_resolution_is_refused(start, radius, words):
    """The points of the difference are one: the run would stand still without a word."""
    method = od.algorithm("zeroth_order")
    loss = lambda y: (y**2).sum()
    with pytest.raises(od.OdescentError, match=words):
        method.run(loss, start, 5, key=0, h=0.1, r=radius)
    assert np.isfinite(method.run(loss, start, 5, key=0, h=1e-3, r=2e8 * radius).x).all()


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("clip", {"r": 0}, "r of the map clip must be a finite number > 0, not 0"),
        ("ball", {"r": 0}, "r of the map ball must be a finite number > 0, not 0"),
        ("top_k", {"k": 2.5}, "k of the map top_k must be a whole number >= 1, not 2.5"),
        ("top_k", {}, "the map top_k needs k"),
    ],
)
def test_clips_of_zero_and_broken_counts_are_refused(name, given, words):
    with pytest.raises(od.OdescentError, match=words):
        od.named_map(name, **given)


def test_means_of_what_a_uniform_sample_decides():
    """Polynomials on each side of thresholds, against quadrature; a coin of an unknown share, also above one."""
    rng = random.Random(0)
    u, q = od.sample("u", law="uniform"), od.parameters("q")
    for _ in range(25):
        cuts = sorted(Fraction(rng.randint(-2, 10), 8) for _ in range(rng.randint(1, 3)))
        pieces = [sum(rng.randint(-3, 3) * u**k for k in range(3)) for _ in range(len(cuts) + 1)]
        relations = [rng.choice([sp.Lt, sp.Le])(u, sp.Rational(c)) for c in cuts]
        e = sp.Piecewise(*zip(pieces[:-1], relations, strict=True), (pieces[-1], True))
        inside = [float(c) for c in cuts if 0 < c < 1]
        number = sp.lambdify(u, e)
        wanted = sum(
            scipy.integrate.quad(number, a, b)[0]
            for a, b in itertools.pairwise([0.0, *inside, 1.0])
        )
        assert float(od.mean(e)) == pytest.approx(wanted, abs=1e-9), e
        moved = od.mean(sp.Piecewise((pieces[0], u < q), (pieces[1], True)))
        for share in (0.25, 1.0, 2.5):
            end = min(share, 1.0)
            wanted = scipy.integrate.quad(sp.lambdify(u, pieces[0]), 0, end)[0]
            wanted += scipy.integrate.quad(sp.lambdify(u, pieces[1]), end, 1)[0]
            assert float(moved.subs(q, share)) == pytest.approx(wanted, abs=1e-9), (e, share)


def test_a_coin_has_its_mean_and_variance():
    """A gradient that is there with probability q, over q: unbiased, with variance (1 - q)/q |g|^2."""
    q, h, c = od.parameters("q h c")
    u, r = od.sample("u", law="uniform"), od.sample("r", law="rademacher")
    kept = sp.Piecewise((1 / q, u < q), (0, True))
    assert od.mean(kept).subs(q, sp.Rational(1, 3)) == 1
    flow = od.System({x: -kept * f.grad(x)}, output=x).bind({q: sp.Rational(1, 3)})
    method = od.Algorithm(flow, od.scheme("explicit_euler"), step=h)
    assert str(method.consistent_with()) == "x' = -grad f(x)"
    assert "2*h*(grad f(x) (x) grad f(x))" in str(method.modified_equation(1))
    assert sp.simplify(od.mean(sp.exp(r * c)) - sp.cosh(c).rewrite(sp.exp)) == 0
    moved = sp.Piecewise(
        (1, u < f.value(x + u * f.grad(x))), (0, True)
    )  # no threshold: u is on both sides
    assert u not in symbols_of(od.mean(moved)) and "E[" in str(od.mean(moved))
    taken = sp.Piecewise((1, u < sp.exp(f.value(x) - c)), (0, True))  # Metropolis
    assert str(od.mean(taken)) == "Min(1, exp(f(x))*exp(-c))"
    assert str(od.mean(f.grad(x + h * r * f.grad(x)))) == (
        "1/2*grad f(x - h*grad f(x)) + 1/2*grad f(x + h*grad f(x))"
    )
