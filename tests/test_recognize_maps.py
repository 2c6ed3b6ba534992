"""Maps that are not linear: no disguise of a registered one is excluded, and near misses and others are."""

import random
from collections.abc import Callable

import pytest
import sympy as sp
from test_disguises import EQUAL
from test_disguises_random import entry, method, unread

import odescent as od
from odescent.discretize.identification.answers import (
    bends,
    excluded_by_answers,
    moved_at_once,
    points,
    told_apart,
)
from odescent.discretize.identification.maps import kept_apart
from odescent.discretize.identification.recognition import form
from odescent.discretize.identification.shared_point import differ, memory, table
from odescent.discretize.programs.program import Program
from odescent.dynamics.algebra.vectors import inner

x, y, m, v, w = od.blocks("x y m v w")
t, u, n = od.blocks("t u n", kind="scalar")
a, b, c, h, s = od.parameters("a b c h s")
beta1, beta2, eps, rate, delta, gam = od.parameters("beta1 beta2 eps rate delta gam")
f = od.Objective("f")
G = f.grad
HALF = sp.Rational(1, 2)
MAPS = (
    "adagrad", "adam", "adaptive", "normalized_gradient_descent", "relativistic", "rmsprop", "sign_descent",
)  # fmt: skip


def of(updates: dict, **options) -> od.Algorithm:
    return od.method(updates, output=x, **options)


def cubed(scale=1):
    return of({x: x - s * od.elementwise(lambda z: scale * z**3, G(x))})


def cube_root(average):
    third = sp.Rational(1, 3)
    moved = od.elementwise(lambda z, q: z / (q + eps) ** third, G(x), average)
    return of({w: average, x: x - h * moved})


def signs(direction=sp.sign, step=h):
    return of({x: x - step * od.elementwise(direction, G(x))})


def signs_twice(second=h):
    half = x - h * od.elementwise(sp.sign, G(x))
    return of({x: half - second * od.elementwise(sp.sign, G(half))})


def adam(power=2, first=1 - beta1, change=1, inside=False):
    """Adam with sums in the place of averages, and products for the powers of its bias."""
    sums, squares = beta1 * m + G(x), beta2 * v + od.elementwise(lambda z: z**power, G(x))

    def moved(z, q):
        square = (1 - beta2) * q / (1 - u)
        below = sp.sqrt(square + eps) if inside else eps * change + sp.sqrt(square)
        return first * z / (1 - t) / below

    updates = {m: sums, v: squares, x: x - h * od.elementwise(moved, sums, squares)}
    begin = {m: 0, v: 0, t: beta1, u: beta2}
    return of({**updates, t: beta1 * t, u: beta2 * u}, init=begin)


def rmsprop(unit=3, exponent=HALF):
    """The average of squares in another unit."""
    squares = beta2 * v + unit * (1 - beta2) * od.elementwise(lambda z: z**2, G(x))
    step = od.elementwise(lambda z, q: z / (q / unit + eps) ** exponent, G(x), squares)
    return of({v: squares, x: x - h * step}, init={v: 0})


def adagrad():
    squares = v + od.elementwise(lambda z: z**2, G(x))
    step = od.elementwise(lambda z, q: z / sp.sqrt(q + delta), G(x), squares)
    return of({v: squares, x: x - rate * step}, init={v: 0})


def relativistic(unit=2, half=HALF):
    """The velocity in another unit, and the second half of the friction at the start of the next step."""
    slowed = sp.exp(-gam * h * half) * v / unit
    before = x + h / 2 / sp.sqrt(1 + delta * inner(slowed, slowed)) * slowed
    kicked = slowed - h * G(before)
    after = before + h / 2 / sp.sqrt(1 + delta * inner(kicked, kicked)) * kicked
    return of({v: unit * sp.exp(-gam * h / 2) * kicked, x: after}, init={v: 0})


DISGUISED: dict[str, tuple[str, Callable[[], od.Algorithm]]] = {
    "a quotient for the sign": ("sign_descent", lambda: signs(lambda z: z / sp.Abs(z))),
    "a root for the absolute value": ("sign_descent", lambda: signs(lambda z: z / sp.sqrt(z**2))),
    "two steps in one": ("sign_descent", signs_twice),
    "a step that is a quotient": ("sign_descent", lambda: signs(step=a / (b + c))),
    "Adam by sums": ("adam", adam),
    "Adam with its first weight in the step": ("adam", lambda: adam(first=1)),
    "RMSprop in another unit": ("rmsprop", rmsprop),
    "RMSprop in a unit with a parameter": ("rmsprop", lambda: rmsprop(c)),
    "RMSprop as the general form": ("adaptive", lambda: rmsprop(1)),
    "AdaGrad by sums": ("adagrad", adagrad),
    "relativistic in another unit": ("relativistic", relativistic),
    "the length by an inner product": ("normalized_gradient_descent", lambda: of(
        {x: x - h / sp.sqrt(inner(G(x), G(x))) * G(x)})),
}  # fmt: skip
NEAR: dict[str, tuple[str, Callable[[], od.Algorithm]]] = {
    "signs of the average": ("sign_descent", lambda: of(
        {m: b * m + (1 - b) * G(x), x: x - s * od.elementwise(sp.sign, b * m + (1 - b) * G(x))}, init={m: 0})),
    "signs with decay": ("sign_descent", lambda: of({x: (1 - a) * x - h * od.elementwise(sp.sign, G(x))})),
    "steps of two sizes": ("sign_descent", lambda: signs_twice(2 * h)),
    "signs, and a millionth of the gradient": ("sign_descent", lambda: of(
        {x: x - h * od.elementwise(sp.sign, G(x)) - G(x) / 10**6})),
    "Adam with fourth powers": ("adam", lambda: adam(4)),
    "by the square of the length": ("normalized_gradient_descent", lambda: of(
        {x: x - h / inner(G(x), G(x)) * G(x)})),
    "signs for the direction": ("normalized_gradient_descent", signs),
}  # fmt: skip


def ball(drag=0, scheme=None, speed=1):
    """A ball with a drag, a rate of friction beside a constant one, and a speed that is not the velocity's length."""
    system = {
        "friction": {v: -c * v - s * drag * v}, "force": {v: -G(x)}, "velocity": {x: speed * v}
    }  # fmt: skip
    scheme = scheme or od.scheme("semi_implicit_euler", order=("v", "x"))
    return od.Algorithm(od.System(system, output=x), scheme, step=h)


NOTHING: dict[str, Callable[[], od.Algorithm]] = {
    "the cube root of an average": lambda: cube_root(w + b * (od.elementwise(lambda z: z**2, G(x)) - w)),
    "hyperbolic tangent": lambda: signs(sp.tanh),
    "smooth clipping": lambda: of({x: x - h * G(x) / sp.sqrt(1 + s * inner(G(x), G(x)))}),
    "a drag by the square of the speed": lambda: ball(inner(v, v)),
    "a drag by the speed": lambda: ball(sp.sqrt(inner(v, v))),
    "a drag, two calls of which the first steps are at one point": lambda: ball(inner(v, v), od.scheme("heun")),
    "a drag, by the midpoint": lambda: ball(inner(v, v), od.scheme("midpoint")),
    "a ball of constant speed": lambda: ball(speed=1 / sp.sqrt(inner(v, v))),
    "a ball whose speed has a maximum": lambda: ball(speed=1 / (1 + a * inner(v, v))),
    "a relativistic ball, by the semi-implicit scheme": lambda: od.Algorithm(
        od.system("relativistic"), od.scheme("semi_implicit_euler", order=("v", "x")), step=h),
    "Adam with eps below the root": lambda: adam(inside=True),
    "the cube": cubed,
    "signs of averages": NEAR["signs of the average"][1],
    "the greatest so far": lambda: of(
        {x: x - s * od.elementwise(lambda z, q: z / (q + c), G(x), w),
         w: od.elementwise(lambda z, q: a * z + sp.Abs(q), w, G(x))}, init={w: 0}),
    "two calls, the second bounded": lambda: of(
        {x: x - s * od.elementwise(lambda z: z / (1 + sp.Abs(z)), G(x - s * G(x)))}),
    "a step that shrinks": lambda: of(
        {x: x - s / (n + 1) * od.elementwise(sp.sign, G(x)) - G(x), n: n + 1}, init={n: 0}),
}  # fmt: skip


@pytest.mark.parametrize("name", DISGUISED)
def test_disguises_are_not_excluded(name):
    """Nor at random values of their parameters."""
    known, build = DISGUISED[name]
    program, other = build().tuned, od.algorithm(known).tuned
    draw = random.Random(name)
    at = {p: sp.Rational(draw.randrange(1, 9), 10) for p in program.parameters}
    for target in (program, program.bind(at)):
        assert not excluded_by_answers(target, other)
        assert kept_apart(target, other, False)


@pytest.mark.parametrize(
    "name", [n for n in DISGUISED if "unit" in n or "sum" in n or "quotient for" in n]
)
def test_maps_in_other_units_are_recognized(name):
    """Or it is undecided: averages by sums of other powers, and a quotient that has no value at 0."""
    found = od.recognize(DISGUISED[name][1]())
    if "Adam" in name or "quotient" in name:
        assert found.verdict == "undecided" and DISGUISED[name][0] in found.undecided
    else:
        assert found and found.name == DISGUISED[name][0], found.reason


@pytest.mark.parametrize("name", MAPS)
def test_no_registered_map_is_excluded_from_being_itself(name):
    own = od.algorithm(name).tuned
    draw = random.Random(name)
    at = {p: sp.Rational(draw.randrange(1, 39), 40) ** 2 for p in own.parameters}
    for target in (own, own.bind(at)):
        assert not excluded_by_answers(target, own) and kept_apart(target, own, False)
    assert not told_apart(own, own, {})


def test_a_method_without_real_points_is_not_excluded():
    """From the second step on, the root of the general form is one of a negative number here."""
    own = od.algorithm("adaptive").tuned
    numbers = ("529/15625", "141/1000", "164/7", "26569/49", "1/4", "199/200")
    at = {p: sp.Rational(n) for p, n in zip(own.parameters, numbers, strict=True)}
    assert not excluded_by_answers(own.bind(at), own) and kept_apart(own.bind(at), own, False)


@pytest.mark.parametrize("name", NEAR)
def test_near_misses_are_excluded(name):
    known, build = NEAR[name]
    assert kept_apart(build().tuned, od.algorithm(known).tuned, False) == ""


@pytest.mark.parametrize("name", NOTHING)
def test_maps_that_are_no_registered_method(name):
    found = od.recognize(NOTHING[name]())
    assert found.verdict == "different" and not found.undecided, found.reason


def test_an_answer_that_arrives_later_keeps_a_method_open():
    """Sign descent by the signs of the step before: the registered one with answers that arrive a step later."""
    late = of({x: x - h * od.elementwise(sp.sign, w), w: G(x)}, init={w: 0 * x})
    assert not moved_at_once(late.tuned.bind({h: 1}))
    assert kept_apart(late.tuned, od.algorithm("sign_descent").tuned, False)


def test_parameters_that_are_exchanged_are_not_told_apart():
    one = rmsprop(1).tuned
    other = one.bind({h: beta2, beta2: h})
    assert told_apart(one, other, {})
    assert not told_apart(one, other, {h: beta2, beta2: h})


def test_points_are_those_of_the_definition():
    """Sign descent from (1/3, -2/5) after the answers (1, 2) and (3, -1), by hand."""
    found = points(od.algorithm("sign_descent").tuned, [(sp.S(1), sp.S(2)), (sp.S(3), sp.S(-1))])
    third, fifth = sp.Rational(1, 3), sp.Rational(2, 5)
    assert found == [(third, -fifth), (third - h, -fifth - h), (third - 2 * h, -fifth)]


def test_linear_methods_do_not_bend():
    for name in ("gradient_descent", "nesterov_c", "extragradient", "ogm"):
        own = od.algorithm(name).tuned
        assert not bends(own.bind(dict.fromkeys(own.parameters, sp.Rational(1, 4))))
    assert bends(cubed().tuned.bind({s: 1}))


@pytest.mark.parametrize("seed", range(6))
def test_no_coordinates_change_how_much_is_remembered(seed):
    """The rank is that of the method in any coordinates, beside any state that nothing reads or nothing moves."""
    draw = random.Random(seed)
    k = draw.choice([1, 2, 3])
    shapes = [(k, k), (k, 1), (1, k), (k, 1), (1, k)]
    parts = [sp.Matrix(i, j, lambda *_: entry(draw)) for i, j in shapes]
    parts[1][0] = parts[2][0] = 1
    own = form(method(*parts).tuned)
    more = form(method(*unread(parts, draw)).tuned)
    assert memory(own) == memory(more) <= k


def test_companions_remember_all_their_states():
    blocks = od.blocks("z0 z1 z2 z3")
    for k in (1, 2, 3, 4):
        moved = {blocks[i]: 1 * blocks[i - 1] for i in range(1, k)}
        first = sum(
            (z * r for z, r in zip(blocks[:k], (a, b, c, s), strict=False)), -h * G(blocks[0])
        )
        target = form(od.method({blocks[0]: first, **moved}, output=blocks[0]).tuned)
        assert memory(target) == k


@pytest.mark.parametrize("name", EQUAL)
def test_disguises_are_the_same_at_the_shared_point(name):
    one, other = (form(build().tuned) for build in EQUAL[name])
    if not (isinstance(one, Program) or isinstance(other, Program)):
        assert not differ(one, other, table(one), table(other))
    elif isinstance(one, Program) and isinstance(other, Program):
        assert not told_apart(one, other, {})
