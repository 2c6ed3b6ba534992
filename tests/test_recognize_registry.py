"""What recognition takes as known of a registered method before its step is compiled or tuned: proved of each."""

from __future__ import annotations

from collections import Counter

import pytest
import sympy as sp

import odescent as od
from odescent.discretize.identification.known import functions_of, known_method, known_methods
from odescent.discretize.identification.laws import excluded_by_laws
from odescent.discretize.identification.maps import _answers_otherwise, _drawn, _sign
from odescent.discretize.identification.matching import apart, nested
from odescent.discretize.identification.no_root import _none_left
from odescent.discretize.identification.shared_point import needed, table
from odescent.discretize.linear.state_space import linear
from odescent.discretize.programs.program import Program

NAMES = known_methods()


def unguarded(name: str) -> bool:
    return not known_method(name, True).algorithm.scheme.guarded


def only_if(holds: object) -> None:
    """Leave out a method that is not taken so; which ones are is asked when the test runs."""
    if not holds:
        pytest.skip("it is not taken as such, or has guards")


def test_every_method_is_looked_at():
    assert sorted(NAMES) == sorted(od.algorithms()) and len(set(NAMES)) == len(NAMES)
    assert {"armijo", "adadagrad"} <= {n for n in NAMES if not unguarded(n)}


@pytest.mark.parametrize("name", NAMES)
def test_a_step_calls_the_functions_of_its_system_and_scheme(name):
    known = known_method(name, True)
    found = functions_of(known.program)
    assert all(n <= found[sort] for sort, n in known.functions.items())
    assert bool(known.program.guarded) == known.algorithm.scheme.guarded
    assert not known.never(known.program) and not known.never(known_method(name, False).program)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_taken_as_random_is_so_whatever_its_parameters(name):
    """A draw reaches the output with a weight that is not zero, or a call is at a random point or of random rows."""
    only_if(unguarded(name) and known_method(name, True).random)
    target = od.algorithm("gradient_descent").tuned
    for free in (True, False):
        program = known_method(name, free).program
        shown = any(_sign(w) for w in _drawn(program)) or excluded_by_laws(target, program)
        assert program.draws and (shown or program.asks_at_random)
        assert known_method(name, free).never(target)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_taken_as_bent_is_so_whatever_its_parameters(name):
    """So it is none of the linear methods, whose points are sums of answers: see `_answers_otherwise`."""
    only_if(unguarded(name) and known_method(name, True).bent)
    ball = od.algorithm("heavy_ball").tuned
    known = known_method(name, True)
    assert isinstance(known.form, Program) and known.never(ball, linear=True)
    if not known.random:
        assert _answers_otherwise(known_method(name, False).program, None)


def test_what_may_be_linear_is_not_taken_as_bent():
    bent = {n for n in NAMES if known_method(n, True).bent}
    assert {"adam", "rmsprop", "sign_descent", "relativistic", "adagrad_norm"} <= bent
    assert not bent & {"mkor", "inverse_filter", "m_fac", "barzilai_borwein", "exact_line_search"}
    assert not bent & {
        n for n in NAMES if unguarded(n) and not isinstance(known_method(n, True).form, Program)
    }


@pytest.mark.parametrize("name", NAMES)
def test_what_is_taken_as_straight_is_linear(name):
    """So it is none of the methods that bend."""
    only_if(known_method(name, True).straight)
    assert not any(isinstance(known_method(name, free).form, Program) for free in (True, False))
    assert known_method(name, True).never(od.algorithm("adam").tuned, bends=True)


def test_what_bends_is_not_taken_as_straight():
    straight = {n for n in NAMES if known_method(n, True).straight}
    assert {"heavy_ball", "nesterov_c", "ogm", "item", "proximal_gradient"} <= straight
    assert not straight & {
        "mkor",
        "barzilai_borwein",
        "exact_line_search",
        "newton",
        "cbo",
        "armijo",
    }
    assert not straight & {n for n in NAMES if unguarded(n) and known_method(n, True).bent}


@pytest.mark.parametrize("name", NAMES)
def test_what_is_taken_as_quiet_draws_nothing(name):
    only_if(known_method(name, True).quiet)
    program = known_method(name, True).program
    assert not (program.draws or program.counts or program.asks_at_random)
    assert known_method(name, True).never(od.algorithm("baoab").tuned, noisy=True)


def test_what_is_drawn_is_not_taken_as_quiet():
    loud = {n for n in NAMES if not known_method(n, True).quiet}
    assert loud >= {n for n in NAMES if known_method(n, True).program.draws}
    assert {"sgd", "cbo", "jump_cbo", "zeroth_order", "federated_averaging", "adadagrad"} <= loud


def test_ensembles_and_values_are_not_taken_as_random():
    assert not any(known_method(n, True).random for n in ("cbo", "jump_cbo", "zeroth_order"))
    random = {n for n in NAMES if known_method(n, True).random}
    assert {"sgd", "baoab", "sketched_gradient_descent", "adahessian"} <= random


@pytest.mark.parametrize("name", NAMES)
def test_a_tuning_changes_values_alone(name):
    """As many calls and states, linear or not as before, and no symbol that the tuning does not have."""
    only_if(unguarded(name))
    free, bound = known_method(name, True), known_method(name, False)
    assert free.states == bound.states and free.sorts == bound.sorts
    assert isinstance(free.form, Program) == isinstance(bound.form, Program)
    if not isinstance(free.form, Program):
        assert Counter(free.form.inputs) == Counter(bound.form.inputs)
        assert bound.form.symbols <= bound.symbols and free.form.symbols <= free.symbols
    assert {*bound.program.parameters} <= bound.symbols


@pytest.mark.parametrize("name", NAMES)
def test_tunings_that_are_taken_as_positive_are_so_at_numbers(name):
    only_if(unguarded(name) and known_method(name, False).tuned_to_positive)
    values = known_method(name, False).algorithm.tuning_values
    at = {"mu": sp.Rational(1, 7), "L": sp.Rational(9, 4)}
    for e in values.values():
        assert e.xreplace({s: at.get(s.name, sp.Rational(3, 11)) for s in e.free_symbols}) > 0


IRRATIONAL = (sp.sqrt(2) / 3, sp.cbrt(5) / 4, sp.root(3, 5) / 6, sp.sqrt(7) / 9)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("free", [False, True])
def test_no_linear_method_is_apart_from_itself_at_irrational_values(name, free):
    """Roots of numbers are numbers to elimination first, and unknowns then."""
    known = known_method(name, free)
    only_if(unguarded(name))
    only_if(not isinstance(known.form, Program) and not nested(known.form))
    parameters = [p for p in known.parameters if p in known.form.symbols]
    values = dict(zip(sorted(parameters, key=str), IRRATIONAL, strict=False))
    at = known.form.changed({s: 3 * e if s.name == "L" else e for s, e in values.items()})
    assert not apart(at, known.form, parameters)


def test_a_parameter_that_only_scales_a_block_is_not_needed():
    """So that the method is recognized as it is, with a parameter more."""
    ball = known_method("heavy_ball", True)
    assert needed(ball.form, table(ball.form)) == ball.form.symbols
    x, w = od.blocks("x w")
    c, h, unit = od.parameters("c h unit")
    back = (1 - c * h) * w - h / unit * od.Objective("f").grad(x)  # w is the velocity over a unit
    scaled = od.method({w: back, x: x + h * unit * back}, output=x, init={w: 0})
    own = linear(scaled.tuned).merged()
    assert {str(s) for s in own.symbols} == {"c", "h", "unit"}
    assert {str(s) for s in needed(own, table(own))} == {"c", "h"}
    found = od.recognize(scaled)
    assert found.name == "heavy_ball" and found.verdict == "equal"


def test_a_root_of_an_irrational_number_keeps_all_of_its_digits():
    """SymPy 1.13 takes the roots of 4 h = 5^(1/3) in double precision, which excluded methods from being themselves."""
    h, b = sp.symbols("h b", positive=True)
    linear = [4 * h - sp.cbrt(5), sp.cbrt(5) - 4 * h]
    quadratic = [sp.sqrt(3) * b**2 - 2 * b - sp.cbrt(7), 2 * b - sp.sqrt(3) * b**2 + sp.cbrt(7)]
    for equations in (linear, quadratic, [*linear, *quadratic]):
        symbols = sorted({s for e in equations for s in e.free_symbols}, key=str)
        assert not _none_left(equations, {}, symbols, frozenset())
    assert _none_left([*linear, h - 1], {}, [h], frozenset())
