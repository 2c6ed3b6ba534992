"""Methods with matrices, windows and Hessians: their points in exact coordinates are those of emitted code."""

import inspect
import random

import numpy as np
import pytest
import sympy as sp
from emitted_runs import chosen
from hypothesis import given, settings
from hypothesis import strategies as st

import odescent as od
from odescent.discretize.emit import load
from odescent.discretize.equality.coordinates import CoordinateExpressions
from odescent.discretize.identification.answers import excluded_by_answers, points
from odescent.discretize.identification.maps import kept_apart
from odescent.discretize.identification.recognition import form
from odescent.discretize.programs.program import Program
from odescent.dynamics.algebra.calculus import asked_in
from odescent.dynamics.algebra.operators import linear_solve
from odescent.dynamics.algebra.products import apply, outer
from odescent.dynamics.algebra.vectors import inner

x, u, v = od.blocks("x u v")
P = od.blocks("P", kind="symmetric")
M = od.blocks("M", kind="matrix")
h, c = od.parameters("h c")
f = od.Objective("f")
G = f.grad
HESSIAN = np.array([[2.0, 1.0], [1.0, 3.0]])
CENTER = np.array([0.5, -1.25])
PLAIN = {"grad", "operator"}


def _is_map(name):
    p = od.algorithm(name).tuned
    plain = {o.kind for o in p.oracles} <= PLAIN and p.calls
    plain = plain and not any(c.directions or c.oracle.args for c in p.calls)
    # what is asked at the start of such a method is not among the answers here
    plain = plain and not any(asked_in(b.init) for b in p.blocks)
    return plain and isinstance(form(p), Program) and not (p.draws or p.counts or p.sweeps)


@pytest.mark.parametrize("name", od.algorithms())
def test_points_are_those_at_which_emitted_code_calls(name):
    """On a quadratic whose Hessian is the one that the exact points take for every function."""
    if not _is_map(name):
        pytest.skip("it is no such map")
    own, draw, asked = od.algorithm(name), random.Random(name), []

    def gradient(p):
        asked.append(p.copy())
        return HESSIAN @ (p - CENTER)

    known = {"grad": gradient, "operator": gradient, "hvp": lambda p, d: HESSIAN @ d}
    known["jvp"] = known["hvp"]
    module = load(own, "numpy")
    takes = inspect.signature(module.run).parameters
    functions = {n: chosen(known, n) for n in takes if chosen(known, n) is not None}
    values = {p: sp.Rational(draw.randrange(1, 30), 60) for p in own.tuned.parameters}
    numbers = {p.name: float(w) for p, w in values.items()}
    module.run(**functions, x0=np.array([1 / 3, -2 / 5]), steps=4, **numbers)
    assert len(asked) >= 4
    answers = [tuple(sp.nsimplify(w, rational=True) for w in HESSIAN @ (p - CENTER)) for p in asked]
    found = points(own.tuned.bind(values), answers[:3])
    np.testing.assert_allclose(
        np.array(found, dtype=float), np.array(asked[:4]), rtol=1e-9, atol=1e-9
    )


DISGUISED = {
    "the filter's inverse, that gains g g^T": ("inverse_filter", lambda: od.method(
        {M: M + outer(G(x), G(x)) * h, x: x - linear_solve(M + outer(G(x), G(x)) * h, G(x)) * h}, output=x,
        init={M: od.identity})),
    "a radius that is a quotient": ("regularized_newton", lambda: od.method(
        {x: x - linear_solve(f.hessian(x) + od.identity * (sp.sqrt(inner(G(x), G(x))) * c / h), G(x))}, output=x)),
}  # fmt: skip
NEAR = {
    "twice the Hessian": ("regularized_newton", lambda: od.method(
        {x: x - linear_solve(f.hessian(x) * 2 + od.identity * (sp.sqrt(inner(G(x), G(x))) / h), G(x))}, output=x)),
    "the square of the length": ("regularized_newton", lambda: od.method(
        {x: x - linear_solve(f.hessian(x) + od.identity * (inner(G(x), G(x)) / h), G(x))}, output=x)),
    "a filter that gains twice g g^T": ("inverse_filter", lambda: od.method(
        {P: P - apply(P, outer(G(x), apply(P, G(x)))) * (2 * h / (1 + 2 * h * inner(G(x), apply(P, G(x))))),
         x: x - apply(P, G(x)) * h}, output=x, init={P: od.identity})),
    "a filter before it learns": ("inverse_filter", lambda: od.method(
        {P: P - apply(P, outer(G(x), apply(P, G(x)))) * (h / (1 + h * inner(G(x), apply(P, G(x))))),
         x: x - apply(P, G(x)) * h}, output=x, init={P: od.identity})),
}  # fmt: skip


@pytest.mark.parametrize("name", DISGUISED)
def test_disguises_are_not_excluded(name):
    known, build = DISGUISED[name]
    target, own = build().tuned, od.algorithm(known).tuned
    assert not excluded_by_answers(target, own) and kept_apart(target, own, False)


def test_a_radius_that_is_a_quotient_is_solved_for():
    found = od.recognize(DISGUISED["a radius that is a quotient"][1]())
    assert (found.verdict, found.name) == ("equal", "regularized_newton"), found.reason
    assert found.substitution == {"gam": h / c}


@pytest.mark.parametrize("name", NEAR)
def test_near_misses_are_excluded(name):
    known, build = NEAR[name]
    assert kept_apart(build().tuned, od.algorithm(known).tuned, False) == ""


@settings(max_examples=40, deadline=None)
@given(st.lists(st.fractions(-3, 3, max_denominator=7), min_size=8, max_size=8))
def test_operators_in_coordinates_are_those_of_numbers(numbers):
    """Sums, products, transposes, outer products and solves, against NumPy."""
    a, b, p, q, r, s, one, two = map(sp.Rational, numbers)
    known = {M: ((p, q), (r, s)), u: (a, b), v: (one, two)}
    matrix, left, right = (
        np.array(known[k], dtype=float).reshape(s) for k, s in ((M, (2, 2)), (u, 2), (v, 2))
    )
    shifted = M + od.identity * 9 + outer(u, v)
    wanted = matrix + 9 * np.eye(2) + np.outer(left, right)
    e = linear_solve(shifted, apply(od.transpose(M), u) + v) - v * inner(u, apply(M, v))
    hand = np.linalg.solve(wanted, matrix.T @ left + right) - right * (left @ matrix @ right)
    np.testing.assert_allclose(
        np.array(CoordinateExpressions(known).value(e), dtype=float), hand, rtol=1e-9, atol=1e-9
    )
