"""Methods with noise: excluded by the normal laws of their calls, never from being themselves."""

import random

import pytest
import sympy as sp

import odescent as od
from odescent.discretize.identification.laws import excluded_by_laws

x, v, w = od.blocks("x v w")
x0 = od.blocks("x0")
c, h, theta = od.parameters("c h theta")
f = od.Objective("f")


def is_noisy(name):
    p = od.algorithm(name).tuned
    return p.draws and {o.kind for o in p.oracles} == {"grad"}


def noisy(fields, *noises, **options):
    parts = {"drift": fields, **{f"noise{i}": od.Field({}, n) for i, n in enumerate(noises)}}
    return od.Algorithm(od.System(parts, **options), od.scheme("explicit_euler"))


def test_there_are_such_methods():
    assert sum(bool(is_noisy(n)) for n in od.algorithms()) >= 10


@pytest.mark.parametrize("name", od.algorithms())
def test_no_method_is_excluded_from_being_itself(name):
    if not is_noisy(name):
        pytest.skip("it draws nothing, or asks for more than gradients")
    own, draw = od.algorithm(name), random.Random(name)
    values = {p: sp.Rational(draw.randrange(1, 39), 40) for p in own.tuned.parameters}
    for program in (own.tuned, own.tuned.bind(values), own.program):
        assert not excluded_by_laws(program, own.program)


DISGUISED = {
    "two noises of half the variance": lambda: noisy(
        {x: -f.grad(x)}, {x: od.Diffusion(1, "W")}, {x: od.Diffusion(1, "B")}),
    "other units": lambda: noisy(
        {w: -3 * f.grad(w / 3)}, {w: od.Diffusion(3 * sp.sqrt(2), "W")}, output=w / 3, init={w: 3 * x0}),
    "a noise of the other sign": lambda: noisy({x: -f.grad(x)}, {x: od.Diffusion(-sp.sqrt(2), "W")}),
    "a turned pair of noises": lambda: noisy(
        {x: -f.grad(x)}, {x: od.Diffusion(sp.Rational(3, 5) * sp.sqrt(2), "W")},
        {x: od.Diffusion(sp.Rational(4, 5) * sp.sqrt(2), "B")}),
}  # fmt: skip


@pytest.mark.parametrize("name", DISGUISED)
def test_disguises_are_not_excluded(name):
    built = DISGUISED[name]()
    for program in (built.tuned, built.tuned.bind({h: sp.Rational(1, 7)})):
        assert not excluded_by_laws(program, od.algorithm("unadjusted_langevin").program)
    found = od.recognize(built)
    assert found.verdict in {"equal", "equal but for"}
    assert found.name in {"unadjusted_langevin", "sgd"}
    assert built.equivalent(od.algorithm("unadjusted_langevin")).verdict == "proved"


def turned(draw, weights):
    """The weights of other draws with the same covariance: a rational rotation and a sign."""
    p, q = draw.sample(range(1, 9), 2)
    c, s = sp.Rational(p * p - q * q, p * p + q * q), sp.Rational(2 * p * q, p * p + q * q)
    sign = draw.choice((1, -1))
    return [(a * c + b * s, sign * (b * c - a * s)) for a, b in weights]


def pair(weights, names):
    """A momentum method with two noises, each on both blocks."""
    noises = [
        {s: od.Diffusion(w[i], n) for s, w in zip((x, v), weights, strict=True)}
        for i, n in enumerate(names)
    ]
    drift = {x: v, v: -v - f.grad(x)}
    parts = {"drift": drift} | {n: od.Field({}, d) for n, d in zip(names, noises, strict=True)}
    return od.Algorithm(od.System(parts, output=x), "explicit_euler")


@pytest.mark.parametrize("seed", range(6))
def test_normals_of_one_covariance_are_one_noise_and_others_are_not(seed):
    draw = random.Random(seed)
    size = lambda: (
        sp.Rational(draw.randrange(-9, 10), draw.randrange(1, 6))
        * draw.choice((sp.S.One, sp.sqrt(2), h))
    )
    weights = [(size() + 1, size()), (size(), size() - 7)]
    one = pair(weights, "WB")
    found = one.equivalent(pair(turned(draw, weights), "BW"))
    assert found.verdict == "proved" and "for draws of one law" in found.reason, found
    i, j = draw.randrange(2), draw.randrange(2)
    other = [list(w) for w in turned(draw, weights)]
    other[i][j] += sp.Rational(1, 97)
    assert one.equivalent(pair(other, "WB")).verdict != "proved"


def test_normals_of_one_draw_are_not_those_of_two():
    """The same draw on both blocks, and a draw for each of the same variance: other covariances."""
    same = pair([(1, 0), (1, 0)], "WB")
    apart = pair([(1, 0), (0, 1)], "WB")
    assert same.equivalent(apart).verdict == "refuted"


NEAR = {
    "a noise that is larger by a billionth": lambda: noisy(
        {x: -f.grad(x)}, {x: od.Diffusion(sp.sqrt(2) * (1 + sp.Rational(1, 10**9)), "W")}),
    "a noise in proportion to x": lambda: noisy({x: -f.grad(x)}, {x: od.Diffusion(x, "W")}),
    "a momentum with noise in x": lambda: noisy(
        {x: v - f.grad(x), v: -v - 2 * f.grad(x)}, {x: od.Diffusion(c, "W")}),
}  # fmt: skip


@pytest.mark.parametrize("name", NEAR)
def test_near_misses_are_no_langevin_method(name):
    built = NEAR[name]()
    langevin = [
        n
        for n in od.algorithms()
        if is_noisy(n) and n not in {"sgd", "annealed_langevin", "sgld", "stochastic_theta"}
    ]
    for other in langevin:
        assert excluded_by_laws(built.tuned, od.algorithm(other).program), other
    for other in ("gradient_descent", "adam", "nesterov_c", "heavy_ball"):
        assert excluded_by_laws(built.tuned, od.algorithm(other).program), other


def test_what_is_none_but_for_a_method_of_two_calls():
    found = od.recognize(NEAR["a momentum with noise in x"]())
    assert found.name is None and set(found.undecided) <= {"stochastic_theta"}, found.undecided


OTHER = {
    "any noise": (lambda: noisy({x: -f.grad(x)}, {x: od.Diffusion(c, "W")}), "sgd", {"sigma": c / sp.sqrt(h)}),
    "another clock": (lambda: noisy({x: -c * f.grad(x)}, {x: od.Diffusion(sp.sqrt(2 * c), "W")}), "sgd",
                      {"h": c * h, "sigma": sp.sqrt(2) / sp.sqrt(c * h)}),
    "a quotient": (lambda: od.method({x: x - theta / c * od.elementwise(sp.sign, f.grad(x))}, output=x),
                   "sign_descent", {"h": theta / c}),
    "a length": (lambda: od.method({x: x - theta * c * f.grad(x) / sp.sqrt(od.inner(f.grad(x), f.grad(x)))}, output=x),
                 "normalized_gradient_descent", {"h": theta * c}),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHER)
def test_other_values_are_solved_for(name):
    """The answer is a proof: at these values the registered method is the same, draw by draw."""
    build, known, values = OTHER[name]
    found = od.recognize(build())
    assert (found.verdict, found.name) == ("equal", known), found.reason
    for p, e in values.items():
        assert sp.simplify(found.substitution[p] - e) == 0
