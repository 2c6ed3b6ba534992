"""Methods that are none of the registered ones, decided exactly; and elimination, which excludes no true solution."""

import dataclasses
import random

import mpmath
import pytest
import sympy as sp
import unregistered
from sympy.polys.rings import ring

import odescent as od
from odescent.discretize.equality.numbers import real
from odescent.discretize.identification.answers import excluded_by_answers
from odescent.discretize.identification.elimination import no_solution
from odescent.discretize.identification.exclusion import incompatible
from odescent.discretize.identification.matching import never_ahead, unknowns, varying
from odescent.discretize.identification.recognition import form
from odescent.discretize.identification.shared_point import memory, repeats, table
from odescent.discretize.programs.program import Program
from odescent.dynamics import L, mu

x, y, p, q = od.blocks("x y p q")
a, b, c, s = od.parameters("a b c s")
f = od.Objective("f")
ACCELERATED = ("item", "unified_nesterov", "ogm", "nag_flow", "nesterov_c", "halpern")


def against(target, name):
    """Whether elimination excludes the registered method, whatever its parameters."""
    known = varying(form(od.algorithm(name).tuned))
    wanted = unknowns(sorted(known.symbols, key=str), [*known.A, *known.B, *known.C, *known.D])
    return incompatible(varying(form(target.tuned)), known, wanted.rename, wanted.below_one)


@pytest.mark.parametrize("numbers", [False, True])
def test_three_steps_of_memory_are_no_registered_method(numbers):
    values = {a: 3, b: 7, c: 5, s: 11}
    g, m, w, h = (sp.Rational(1, v) if numbers else k for k, v in values.items())
    point = x + w * (x - p)
    method = od.method({x: x + g * (x - p) + m * (p - q) - h * f.grad(point), p: x, q: p}, output=x)
    found = od.recognize(method)
    assert found.verdict == "different" and not found.undecided, found.reason


@pytest.mark.parametrize("name", ACCELERATED)
def test_no_method_is_excluded_from_being_itself(name):
    """Nor at special values of its parameters, which are among those that the unknowns take."""
    own = od.algorithm(name)
    assert not against(own, name)
    special = {
        k: v for k, v in {mu: sp.Rational(1, 9), L: sp.Rational(4)}.items() if k in own.parameters
    }
    assert not against(own.bind(special), name)


def test_no_linear_method_is_excluded_from_being_itself_at_random_values():
    plain = [n for n in od.algorithms() if not od.algorithm(n).program.guarded]
    linear = [n for n in plain if not isinstance(form(od.algorithm(n).tuned), Program)]
    assert len(linear) > 20
    for name in linear:
        own, draw = od.algorithm(name), random.Random(name)
        values = {p: sp.Rational(draw.randrange(1, 39), 40) for p in own.tuned.parameters}
        if {mu, L} <= values.keys():
            values[L] = values[mu] * (1 + sp.Rational(draw.randrange(1, 60), draw.randrange(1, 9)))
        assert not against(own.bind(values), name), (name, values)


@pytest.mark.parametrize("name", ["nesterov_c", "halpern"])
def test_a_coefficient_that_is_another_by_a_millionth(name):
    """The momentum of FISTA with a factor 1 + n (n - 2) / 10^6 in step n."""
    n, t = od.blocks("n t", kind="scalar")
    grown = (1 + sp.sqrt(1 + 4 * t**2)) / 2
    moved = y - f.grad(y) / L
    bump = 1 + n * (n - 2) / 10**6
    near = od.method(
        {x: moved, y: moved + bump * (t - 1) / grown * (moved - x), t: grown, n: n + 1},
        output=x, init={t: 1, n: 0},
    )  # fmt: skip
    assert against(near, name)


def test_elimination_keeps_solutions_and_their_bounds():
    _, u, v = ring("u v", sp.QQ)
    names = u.ring.symbols
    both = frozenset(names)
    assert not no_solution([u - 2, v**2 - 2], both, frozenset())
    assert no_solution([u + v], both, frozenset()) and not no_solution(
        [u + v], frozenset(), frozenset()
    )
    assert no_solution([u - v - 1], both, both)  # v = u - 1 is below zero
    assert not no_solution([2 * u - v - 1], both, both)
    assert no_solution([u - 2], both, frozenset(names[:1]))
    assert no_solution([(u - 1) ** 2], both, frozenset(names[:1]))  # the end is no solution
    assert not no_solution([2 * u - 1, v - 3], both, frozenset(names[:1]))
    assert no_solution([u * v - 1, u - 2, v - 1], both, frozenset())
    assert no_solution([u**2 + 1], frozenset(), frozenset())
    assert not no_solution([u**2 - v], frozenset(), frozenset())
    assert no_solution([u**2 - v, v + 1], frozenset(), frozenset())
    # e^2 and e^3 are no roots of such equations, and their squares are none of others
    powers = {s: real(sp.exp(n)) for s, n in zip(names, (2, 3), strict=True)}
    assert no_solution([u**2 - 54], both, frozenset(), numbers=powers)
    assert not no_solution([u**3 - v**2], both, frozenset(), numbers=powers)
    assert not no_solution([u**6 - v**4], both, frozenset(), numbers=powers)
    assert no_solution([u**2 - v**2], both, frozenset(), numbers=powers)
    assert not no_solution([u - v], both, frozenset(), numbers={names[0]: powers[names[0]]})
    # one unknown beside a number: 3 and e^2 are roots here, and nothing between 0 and 1
    square = (v - u) * (v - 3)
    assert not no_solution([square], both, frozenset(), numbers={names[0]: powers[names[0]]})
    assert no_solution([square], both, frozenset(names), numbers={names[0]: powers[names[0]]})
    assert no_solution(
        [square + 20], frozenset(), frozenset(), numbers={names[0]: powers[names[0]]}
    )


@pytest.mark.parametrize("seed", range(40))
def test_elimination_keeps_solutions_of_random_equations_with_irrational_numbers(seed):
    """Equations that have a positive solution, with constants that are only known as intervals."""
    draw = random.Random(seed)
    _, *gens = ring("u v w c0 c1 c2 c3", sp.QQ)
    unknown, names = gens[:3], [g.as_expr() for g in gens]
    forms = (sp.Integer, sp.sqrt, lambda n: sp.exp(-sp.Rational(n, 7)), lambda n: sp.cbrt(n) / 3)
    found = {s: draw.choice(forms)(draw.randrange(2, 9)) for s in names[:3]}
    small = {s for s, e in found.items() if e < 1 and draw.random() < 0.5}
    equations, numbers = [], {}
    for c, name in zip(gens[3:], names[3:], strict=True):
        p = sum(
            draw.randrange(-4, 5)
            * draw.choice(unknown) ** draw.randrange(1, 3)
            * draw.choice(unknown)
            for _ in range(draw.randrange(1, 4))
        )
        if not p:
            continue
        equations.append(p - c)
        numbers[name] = real(p.as_expr().subs(found))
    symbols = {s.name: s for s in gens[0].ring.symbols}
    assert not no_solution(
        equations, frozenset(symbols[str(s)] for s in names[:3]), frozenset(symbols[str(s)] for s in small),
        numbers={symbols[str(s)]: v for s, v in numbers.items()},
    )  # fmt: skip


def _is_map(name):
    p = od.algorithm(name).tuned
    return not p.guarded and isinstance(form(p), Program) and not (p.draws or p.counts or p.sweeps)


@pytest.mark.parametrize("name", od.algorithms())
def test_no_map_is_excluded_from_being_itself_at_irrational_values(name):
    if not _is_map(name):
        pytest.skip("it is no such map")
    own = od.algorithm(name).tuned
    for seed in range(3):
        draw = random.Random(f"{name}{seed}")
        forms = (
            lambda n: 1 / sp.sqrt(n),
            lambda n: sp.exp(-sp.Rational(n, 5)),
            lambda n: 1 / sp.Integer(n),
        )
        values = {p: draw.choice(forms)(draw.randrange(2, 9)) for p in own.parameters}
        assert not excluded_by_answers(own.bind(values), own), values


def spring(order=None, steps=None):
    """Gradient descent with momentum on a spring to a running mean."""
    u, m = od.blocks("u m")
    fields = {
        "friction": {u: -c * u}, "spring": {u: -s * (x - m)}, "force": {u: -f.grad(x)}, "velocity": {x: u},
        "mean": {m: a * (x - m)},
    }  # fmt: skip
    scheme = (
        od.scheme("lie_trotter", steps) if steps else od.scheme("semi_implicit_euler", order=order)
    )
    return od.Algorithm(od.System(fields, output=x), scheme)


def test_two_exponentials_without_a_common_unit_are_no_registered_method():
    """At samples e^(-c h) and e^(-a h) were high powers of one number; elimination with these never ended."""
    steps = [(n, "explicit") for n in ("spring", "force", "velocity")]
    found = od.recognize(spring(steps=[("friction", "exact"), *steps, ("mean", "exact")]))
    assert found.verdict == "different" and not found.undecided, found.reason


@pytest.mark.parametrize("numbers", [False, True])
def test_a_memory_of_three_states_with_exponentials(numbers):
    """The rank is read off intervals: what elimination finds to be certainly not zero."""
    steps = [
        ("friction", "exact"),
        *((n, "explicit") for n in ("spring", "force", "velocity", "mean")),
    ]
    method = spring(steps=steps)
    bound = method.bind(
        {c: 2, s: 1, a: sp.Rational(1, 3), od.algorithm("heavy_ball").step: sp.Rational(1, 5)}
    )
    assert memory(form((bound if numbers else method).tuned)) == 3


def test_steps_put_together_repeat():
    """Two steps of Nesterov's method repeat, Heun's second call does not; a method is a single step of itself."""
    for name in ("nesterov_sc", "heavy_ball", "triple_momentum"):
        target = form(od.algorithm(name).tuned)
        twice = target.repeated(2)
        assert repeats(twice, table(twice), 1) and repeats(target, table(target), 1)
    two = od.blocks("u")
    ball = od.System({"all": {two: -c * two - f.grad(x), x: two}}, output=x)
    heun = form(od.Algorithm(ball, od.scheme("heun")).tuned)
    assert not repeats(heun, table(heun), 1) and repeats(heun, table(heun), 2)
    assert repeats(heun, None, 1)


@pytest.mark.parametrize(
    "name",
    ["one state, two calls", "one state, four calls", "two states, an average", "a nested root",
     "thousandth powers", "time in the step"],
)  # fmt: skip
def test_ratios_of_constants_and_steps_put_together_are_excluded(name):
    found = od.recognize(unregistered.METHODS[name]())
    assert found.verdict == "different" and not found.undecided, found.reason


@pytest.mark.parametrize("name", ["halpern", "nag_flow", "nesterov_c", "ogm"])
def test_two_steps_of_a_method_are_not_kept_apart_from_it(name):
    """Nor where the order of the calls is another one; with the second call at another point they are."""
    known = form(od.algorithm(name).tuned)
    parameters = sorted(known.symbols, key=str)
    twice = known.changed(dict(zip(parameters, (5, 3), strict=False))).repeated(2)  # mu < L
    assert not never_ahead(twice, known, parameters, 0, 2)
    assert not never_ahead(twice.ordered((1, 0)), known, parameters, 0, 2)
    point = sp.Matrix(twice.D)
    point[1, 0] *= 2
    assert never_ahead(dataclasses.replace(twice, D=point), known, parameters, 0, 2)


@pytest.mark.parametrize("x", ["1/3", "-5", "10**9", "sqrt(2)/10**6", "-10**40", "exp(3)"])
def test_arc_tangents_are_held(x):
    """By an interval of many digits, beside twice as many."""
    found = real(sp.atan(sp.sympify(x), evaluate=False))
    with mpmath.workdps(320):
        exact = mpmath.atan(mpmath.mpf(sp.sympify(x).evalf(320)))
        low, high = map(mpmath.mp.make_mpf, found._mpi_)
        assert low < exact < high and high - low < mpmath.mpf(10) ** -140


def test_a_method_with_arc_tangents_is_none_of_those_without():
    found = od.recognize(unregistered.METHODS["the arc tangent"]())
    assert found.verdict == "different" and not found.undecided, found.reason


def test_a_method_of_gradients_is_no_method_with_inverses_of_hessians():
    found = od.recognize(unregistered.METHODS["three states, two averages"]())
    assert {*found.undecided} <= {"barzilai_borwein", "mkor"}
    for name in ("newton", "regularized_newton"):
        assert od.recognize(od.algorithm(name)).name == name
