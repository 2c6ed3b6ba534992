"""The linear view against the numerically iterated program, and the reasons why there is none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy as sp
import textbook as tb
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import Machine

import odescent as od
from odescent.discretize.linear.matrices import inverse, transfer
from odescent.discretize.linear.state_space import NotLTI, z
from odescent.dynamics.vector_fields.system import Diffusion, curvature

x, v, w = od.blocks("x v w")
c, h, K, t = od.parameters("c h K t")
f, e = od.Objective("f"), od.Objective("e")
VALUES = {"mu": 1.3, "L": 7.0, "c": 0.8, "h": 0.31, "K": 1.7}


def filtered() -> od.Algorithm:
    """A momentum with its own filter: three states, one call."""
    system = od.System(
        {"push": {v: w - c * v}, "filter": {w: -K * (w + f.grad(x))}, "drift": {x: v}}, output=x
    )
    parts = [("filter", "exact"), ("push", "cayley"), ("drift", "explicit")]
    return od.Algorithm(system, od.scheme("lie_trotter", parts), h)


def two_calls() -> od.Algorithm:
    system = od.System({"a": {x: -f.grad(x) + v, v: -e.grad(x) - v}}, output=x)
    return od.Algorithm(system, od.scheme("heun"), h)


METHODS = {
    "nesterov": lambda: od.algorithm("nesterov"),
    "triple momentum": lambda: od.algorithm("triple_momentum"),
    "heavy ball": lambda: od.algorithm("heavy_ball"),
    "filtered": filtered,
    "two oracles, two stages": two_calls,
    "extragradient": lambda: od.algorithm("extragradient"),
    "textbook TMM": tb.triple_momentum,
    "optimistic": lambda: tb.optimistic(h),
}


def impulse_responses(algorithm: od.Algorithm, steps: int) -> Any:
    """points[k, i, j]: point of call i in step k, when only call j of step 0 answers, with one."""
    program = algorithm.tuned
    count = len(program.calls)
    found = np.zeros((steps, count, count))
    for j in range(count):
        points: list[float] = []

        def answer(p: Any, j: int = j, points: list[float] = points) -> Any:
            points.append(float(p[0]))
            return np.ones(1) if len(points) == j + 1 else np.zeros(1)

        oracles = dict.fromkeys(("grad_f", "grad_e", "operator_F"), answer)
        machine = Machine(program, oracles, **VALUES)
        machine.oracles = {n: (lambda p: np.zeros(1)) for n in oracles}
        state = machine.init(np.zeros(1))
        machine.oracles = oracles
        for k in range(steps):
            state = machine.step(state, k)
        found[:, :, j] = np.array(points).reshape(steps, count)
    return found


@pytest.mark.parametrize("name", METHODS)
def test_transfer_function_is_the_z_transform(name: str) -> None:
    algorithm = METHODS[name]()
    system = algorithm.state_space()
    numbers = {
        s: sp.Float(VALUES[s.name], 30)
        for m in (system.A, system.B, system.C, system.D)
        for s in m.free_symbols
    }
    response = impulse_responses(algorithm, 160)
    for at in (1.6 + 0.9j, -1.9 + 0.4j):  # outside every pole's circle, so that the sum converges
        summed = np.tensordot(at ** -np.arange(160.0), response, axes=1)
        transfer = np.array(
            system.transfer().xreplace({**numbers, z: sp.sympify(at)}).evalf(), complex
        )
        np.testing.assert_allclose(transfer, summed, rtol=1e-9, atol=1e-12)
    markov = np.array([np.array(m.xreplace(numbers).evalf(), float) for m in system.markov(5)])
    np.testing.assert_allclose(markov, response[:6], rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("name", ["nesterov", "filtered", "extragradient"])
def test_modal_matrix_is_the_step_on_a_mode(name: str) -> None:
    algorithm, lam = METHODS[name](), 2.7
    system = algorithm.state_space()
    matrix = system.modal_matrix(curvature)
    numbers = {s: VALUES[s.name] for s in matrix.free_symbols - {curvature}}
    numeric = np.array(matrix.xreplace({**numbers, curvature: lam}).evalf(), float)
    scaled = {n: (lambda p: lam * p) for n in ("grad_f", "operator_F")}
    machine = Machine(algorithm.tuned, scaled, **VALUES)
    state = {n: np.array([float(i + 1)]) for i, n in enumerate(system.states)}
    stepped = machine.step(state)
    np.testing.assert_allclose(
        numeric @ [s[0] for s in state.values()], [stepped[n][0] for n in system.states], rtol=1e-12
    )


def test_structure_of_d() -> None:
    proximal = od.algorithm("proximal_point").state_space()
    assert proximal.D == sp.Matrix([[-h]]) and proximal.transfer()[0, 0].equals(-h * z / (z - 1))
    assert proximal.modal_matrix(K)[0, 0].equals(1 / (1 + h * K))
    look_ahead = od.algorithm("extragradient").state_space()
    assert (
        look_ahead.D.is_lower
        and look_ahead.D[1, 0] != 0
        and not any(look_ahead.D[i, i] for i in range(2))
    )
    assert not any(od.algorithm("nesterov").state_space().D)
    rk = od.Algorithm(od.System({"a": {x: -f.grad(x)}}), od.scheme("rk4"), h).state_space()
    assert rk.D.shape == (4, 4) and rk.D == sp.Matrix(
        4, 4, lambda i, j: {1: -h / 2, 2: -h / 2, 3: -h}[i] if i == j + 1 else 0
    )


def test_output_and_start() -> None:
    system = od.algorithm("nesterov").state_space()
    assert system.states == ("psi", "y") and system.start == sp.Matrix([0, 1])
    assert (
        (system.output - sp.Matrix([[-1 / sp.sqrt(od.dynamics.L), 1]]))
        .applyfunc(sp.simplify)
        .is_zero_matrix
    )
    called = tb.optimistic(h).state_space()
    assert called.start == sp.Matrix([[1, 0], [0, 1]]) and len(called.start_calls) == 1


def scalar_block() -> od.Algorithm:
    gam = od.blocks("gam", kind="scalar")
    return od.Algorithm(
        od.System({"a": {gam: -gam, x: -gam * f.grad(x)}}, output=x), od.scheme("explicit_euler"), h
    )


def from_(fields: Any, scheme: str = "explicit_euler", **options: Any) -> Any:
    return lambda: od.Algorithm(od.System(fields, **options), od.scheme(scheme), h)


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (from_({"a": od.Field({x: -f.grad(x)}, {x: Diffusion(c)})}), "draws noise"),
        (scalar_block, "scalar block 'gam'"),
        (from_({"a": {x: -od.hadamard(x, x)}}), r"\(x \.\* x\) is not linear"),
        (from_({"a": {x: -f.hess(x, x)}}), "further arguments"),
        (from_({"a": {x: -f.grad(x) / (1 + t)}}, time=t), "depends on the step number k"),
        (
            from_({"a": {x: -f.grad(x) / (1 + t)}}, "implicit_euler", time=t),
            "depends on the step number k",
        ),
        (from_({"a": {x: -od.inner(x, x) * x}}), "depends on the state"),
    ],
)
def test_reasons_for_no_linear_view(build: Any, reason: str) -> None:
    with pytest.raises(NotLTI, match=reason):
        build().state_space()


def test_without_oracles() -> None:
    system = od.method({x: x / 2}, output=x).state_space()
    assert system.transfer().shape == (0, 0) and system.modal_matrix(K) == sp.Matrix(
        [[sp.Rational(1, 2)]]
    )


def test_a_parameter_named_z_is_not_the_shift() -> None:
    rate = sp.Symbol("z")  # without assumptions, as people write it
    system = od.System({"damp": {v: -rate * v}, "kick": {v: -f.grad(x)}, "drift": {x: v}})
    made = od.Algorithm(system, od.scheme("semi_implicit_euler", order=("v", "x")), h)
    assert sp.expand(made.coefficients["beta"] - (1 - h * rate)) == 0


def four_blocks(names: str, coupling: object = 1) -> od.Algorithm:
    """Runge and Kutta's method on four blocks with four parameters: sixteen entries of some thousand terms."""
    p, q, r, s = od.blocks(names)
    a, b, d = od.parameters("a b d")
    fields = {
        p: r - a * p - f.grad(p),
        q: s - b * q + p,
        r: q - c * r - b * p,
        s: r * coupling - d * s - a * q,
    }
    return od.Algorithm(od.System({"all": fields}, output=p), od.scheme("rk4"), h)


def test_transfer_matrix_of_a_symbolic_runge_kutta_method() -> None:
    """Against rational arithmetic at a point that no code has seen: (z I - A)^-1 there is a matrix of numbers."""
    p, q, r = od.blocks("p q r")
    a, b = od.parameters("a b")
    fields = {p: r - a * p - f.grad(p), q: r - b * q + p, r: q - c * r - b * p}
    system = od.Algorithm(od.System({"all": fields}, output=p), od.scheme("rk4"), h).state_space()
    found, at = system.transfer(), sp.Rational(7, 3)
    values = {e: sp.Rational(13 + 4 * i, 29 + i) for i, e in enumerate((a, b, c, h))}
    state, entered, reads, direct = (
        m.xreplace(values) for m in (system.A, system.B, system.C, system.D)
    )
    exact = reads * (at * sp.eye(3) - state).LUsolve(entered) + direct
    assert found.xreplace({**values, z: at}) == exact
    bottom = sp.fraction(sp.cancel(found[0, 0].xreplace(values)))[1]
    assert sp.degree(bottom, z) == sp.degree(sp.fraction(found[0, 0])[1], z) == 3


def test_equality_of_large_methods_in_other_coordinates() -> None:
    one, other = four_blocks("p q r s"), od.blocks("P Q R S")
    P, Q, R, S = other
    a, b, d = od.parameters("a b d")
    back = {"p": P - Q, "q": Q, "r": R / 2, "s": S - R / 2}  # P = p + q, Q = q, R = 2 r, S = s + r
    p, q, r, s = (back[n] for n in "pqrs")
    rates = {
        "p": r - a * p - f.grad(p),
        "q": s - b * q + p,
        "r": q - c * r - b * p,
        "s": r - d * s - a * q,
    }
    fields = {
        P: rates["p"] + rates["q"],
        Q: rates["q"],
        R: rates["r"] * 2,
        S: rates["s"] + rates["r"],
    }
    begun = {blk.name: blk.init for blk in one.system.blocks}
    init = {
        P: begun["p"] + begun["q"],
        Q: begun["q"],
        R: begun["r"] * 2,
        S: begun["s"] + begun["r"],
    }
    moved = od.Algorithm(od.System({"all": fields}, output=p, init=init), od.scheme("rk4"), h)
    verdict = one.equivalent(moved)
    assert verdict and verdict.same_output
    assert verdict.change_of_coordinates == sp.Matrix(
        [[1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 2, 0], [0, 0, 1, 1]]
    )
    refuted = one.equivalent(four_blocks("p q r s", sp.Rational(11, 10)))
    assert refuted.verdict == "refuted" and refuted.witness is not None


def test_common_factors_are_cancelled() -> None:
    """A block that nothing reads is a hidden mode: it leaves the transfer function."""
    hidden = od.System({"a": {x: -f.grad(x), v: -c * v - K * f.grad(x)}}, output=x)
    system = od.Algorithm(hidden, od.scheme("explicit_euler"), h).state_space()
    assert sp.simplify(system.transfer()[0, 0] + h / (z - 1)) == 0
    assert sp.degree(sp.fraction(system.transfer()[0, 0])[1], z) == 1


@settings(max_examples=25)
@given(st.lists(st.integers(-3, 3), min_size=16, max_size=16), st.integers(1, 3))
def test_resolvent_of_matrices_with_roots_and_fractions(entries: list[int], n: int) -> None:
    """Transfer and inverse against SymPy's rational arithmetic at a point."""
    letters = [sp.Integer(1), h, 1 / (1 + c), sp.sqrt(K), sp.sqrt(1 + h)]
    m = sp.Matrix(n, n, [e * letters[i % 5] for i, e in enumerate(entries[: n * n])])
    b = sp.Matrix(n, 1, [letters[(i + 1) % 5] * e for i, e in enumerate(entries[-n:])])
    d = sp.Matrix([[sp.Integer(entries[0]) / (1 + h)]])
    values = {
        h: sp.Integer(3),
        c: sp.Rational(2, 5),
        K: sp.Rational(9, 4),
    }  # every root is rational there
    number = m.xreplace(values)
    at = sp.Rational(17, 7) + 20
    found = transfer((m, b, b.T, d), z)[0, 0]
    exact = (b.T * (at * sp.eye(n) - number).LUsolve(sp.eye(n)) * b + d).xreplace(values)[0, 0]
    assert found.xreplace({**values, z: at}) == exact
    inverted = inverse(m)
    if inverted is not None and number.det() != 0:
        assert (inverted.xreplace(values) - number.inv()).applyfunc(sp.nsimplify).is_zero_matrix
    elif inverted is None:
        assert number.det() == 0


def test_it_is_shown_as_two_equations_with_their_matrices():
    shown = od.algorithm("nesterov_sc").state_space()
    assert str(shown).splitlines() == [
        "s+ = A s + B u, y = C s + D u, where s = (psi, y) and u = (grad f) at y",
        "     A = [(sqrt(L) - sqrt(mu))/(sqrt(L) + sqrt(mu))  0]",
        "         [(sqrt(L) - sqrt(mu))/(L + sqrt(L*mu))      1]",
        "     B = [-(sqrt(L) - sqrt(mu))/(L + sqrt(L*mu))]",
        "         [-2/(L + sqrt(L*mu))                   ]",
        "     C = [0  1]",
        "     D = [0]",
        "output = [-1/sqrt(L)  1]",
    ]
    assert r"\begin{pmatrix} 0 & 1 \end{pmatrix}\, s" in shown.latex()
    assert shown._repr_latex_().startswith("$$")
