"""One substep by each integrator against scipy: exponentials, Cayley's rule, implicit solves, tableaus."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import Machine
from scipy.linalg import expm
from scipy.optimize import root

import odescent as od
from odescent.discretize.step.exponential import exponential

x, v, w, y = od.blocks("x v w y")
gam, rate = od.blocks("gam rate", kind="scalar")
c, K, h, t = od.parameters("c K h t")
f = od.Objective("f")
GRAD: Any = lambda p: p + np.sin(p)
BEGIN = np.array([0.8, -1.1])


def step_of(
    fields: Any, by: Any, state: dict[str, Any], output: Any = x, **values: Any
) -> dict[str, Any]:
    """The state after one substep of all fields by the integrator; not checked for consistency elsewhere."""
    algorithm = od.Algorithm(od.System(fields, output=output), od.Scheme((od.Flow((), by),)), h)
    return Machine(algorithm.program, {"grad_f": GRAD}, **values).step(state)


small = st.integers(-4, 4)
ORDERS = st.permutations(range(3))
SHAPES = st.sampled_from(["any 2 x 2", "triangular", "2 x 2 and 1", "any 3 x 3"])


@settings(max_examples=60)
@given(
    st.lists(small, min_size=9, max_size=9),
    ORDERS,
    SHAPES,
    st.sampled_from([sp.Rational(1, 3), sp.Rational(1)]),
)
def test_exponential_and_its_integral(
    entries: list[int], order: list[int], shape: str, duration: sp.Rational
) -> None:
    """Against expm of the augmented matrix, wherever there is a closed form."""
    matrix = sp.Matrix(3, 3, entries)
    if shape == "any 2 x 2":
        matrix = matrix[:2, :2]
    elif shape != "any 3 x 3":
        matrix[2, 0] = matrix[2, 1] = 0
        matrix[1, 0] = 0 if shape == "triangular" else matrix[1, 0]
        matrix = matrix.extract(order, order)
    n = matrix.rows
    try:
        found, integral = exponential(matrix, duration)
    except od.OdescentError as error:
        assert ("no closed form" in str(error) and shape == "any 3 x 3") or (
            "is negative" in str(error) and n == 3
        )
        return
    augmented = np.zeros((2 * n, 2 * n))
    augmented[:n, :n], augmented[:n, n:] = np.array(matrix, float), np.eye(n)
    expected = expm(augmented * float(duration))
    scale = np.abs(expected).max()
    np.testing.assert_allclose(
        np.array(found.evalf(30), float), expected[:n, :n], atol=1e-11 * scale
    )
    np.testing.assert_allclose(
        np.array(integral.evalf(30), float), expected[:n, n:], atol=1e-11 * scale
    )


def test_exponential_with_parameters() -> None:
    """Damping and drift in one field, whatever the rates; and a chain of two filters with one rate."""
    damped = {"all": {v: -c * v, x: v - K * x}}
    begin = {"x": BEGIN, "v": np.array([0.5, 2.0])}
    made = step_of(damped, "exact", begin, h=sp.Rational(3, 10), c=2, K=sp.Rational(1, 2))
    flow = expm(0.3 * np.array([[-0.5, 1], [0, -2]]))
    expected = flow @ np.array([begin["x"], begin["v"]])
    np.testing.assert_allclose([made["x"], made["v"]], expected, rtol=1e-13)
    chain = {"all": {v: -c * v, x: c * (v - x)}}
    made = step_of(chain, "exact", begin, h=sp.Rational(3, 10), c=2)
    np.testing.assert_allclose(
        [made["x"], made["v"]],
        expm(0.3 * np.array([[-2, 2], [0, -2]])) @ expected_rows(begin),
        rtol=1e-13,
    )


def expected_rows(begin: dict[str, Any]) -> Any:
    return np.array([begin["x"], begin["v"]])


def test_oscillator_needs_a_known_sign() -> None:
    turn = {"all": {x: v, v: -(K**2) * x}}
    begin = {"x": BEGIN, "v": np.array([0.5, 2.0])}
    made = step_of(turn, "exact", begin, h=sp.Rational(3, 10), K=2)
    np.testing.assert_allclose(
        [made["x"], made["v"]],
        expm(0.3 * np.array([[0, 1], [-4, 0]])) @ expected_rows(begin),
        rtol=1e-13,
    )
    either = od.System({"all": {x: v, v: -K * x - c * v}}, output=x)
    with pytest.raises(od.OdescentError, match="may have either sign"):
        od.Algorithm(either, od.scheme("exact"), h)
    under = od.Algorithm(either, od.scheme("exact"), h, where={K: 4, c: 1})
    made = Machine(under.program, {}, h=sp.Rational(3, 10)).step(begin)
    np.testing.assert_allclose(
        [made["x"], made["v"]],
        expm(0.3 * np.array([[0, 1], [-4, -1]])) @ expected_rows(begin),
        rtol=1e-12,
    )
    three = od.System({"all": {x: v, v: w, w: -K * x}}, output=x)
    with pytest.raises(od.OdescentError, match="3 blocks that act on each other"):
        od.Algorithm(three, od.scheme("exact"), h)


@pytest.mark.parametrize("kind", ["implicit", "cayley"])
@pytest.mark.parametrize("n", [2, 3])
def test_linear_solves(kind: str, n: int) -> None:
    rng = np.random.default_rng(n)
    matrix = rng.integers(-3, 4, (n, n))
    blocks = [x, v, w][:n]
    drift = {
        s: sum((int(k) * b for k, b in zip(row, blocks, strict=True)), 0 * s)
        for s, row in zip(blocks, matrix, strict=True)
    }
    begin = dict(zip("xvw", rng.normal(size=(n, 2)), strict=False))
    made = step_of({"all": drift}, kind, begin, h=sp.Rational(1, 7))
    half, m = np.eye(n), matrix / 7
    expected = (
        np.linalg.solve(half - m, np.eye(n))
        if kind == "implicit"
        else np.linalg.solve(half - m / 2, half + m / 2)
    )
    np.testing.assert_allclose(
        np.array(list(made.values())), expected @ np.array(list(begin.values())), rtol=1e-12
    )


@pytest.mark.parametrize("kind", ["implicit", "cayley", "exact"])
def test_frozen_oracles_are_constant_sources(kind: str) -> None:
    fields = {"all": {v: -c * v - f.grad(x), x: v}}
    begin = {"x": BEGIN, "v": np.array([0.5, 2.0])}
    made = step_of(fields, f"frozen {kind}", begin, h=sp.Rational(3, 10), c=2)
    size, m = 0.3, np.array([[0.0, 1], [0, -2]])
    source, state = np.array([0 * BEGIN, -GRAD(BEGIN)]), expected_rows(begin)
    augmented = np.zeros((4, 4))
    augmented[:2, :2], augmented[:2, 2:] = m, np.eye(2)
    e = expm(size * augmented)
    after = {
        "implicit": np.linalg.solve(np.eye(2) - size * m, state + size * source),
        "cayley": np.linalg.solve(
            np.eye(2) - size / 2 * m, (np.eye(2) + size / 2 * m) @ state + size * source
        ),
        "exact": e[:2, :2] @ state + e[:2, 2:] @ source,
    }[kind]
    np.testing.assert_allclose([made["x"], made["v"]], after, rtol=1e-12)


def test_proximal_weights() -> None:
    """x' = -K g(x) - c x - y read elsewhere: the prox has weight K h / (1 + c h)."""
    fields = {"all": {x: -K * f.grad(x) - c * x - y}, "other": {y: -y}}
    algorithm = od.Algorithm(
        od.System(fields, output=x),
        od.Scheme((od.Flow("all", "implicit"), od.Flow("other", "explicit"))),
        h,
    )
    (call,) = algorithm.program.calls
    assert sp.simplify(call.implicit + K * h / (1 + c * h)) == 0
    begin = {"x": BEGIN, "y": np.array([0.3, 0.1])}
    made = Machine(algorithm.program, {"grad_f": GRAD}, h=sp.Rational(1, 2), K=3, c=2).step(begin)
    equation = lambda p: p - begin["x"] + 0.5 * (3 * GRAD(p) + 2 * p + begin["y"])
    np.testing.assert_allclose(made["x"], root(equation, BEGIN, tol=1e-13).x, rtol=1e-10)


def test_scalar_blocks() -> None:
    """A damping that a scalar block holds is read where it stands, not where it stood at the start."""
    fields = {"rate": {gam: -rate * gam, rate: 1 - rate}, "damp": {v: -gam * v}, "drift": {x: v}}
    system = od.System(fields, output=x, init={gam: 2, rate: 1})
    begin = {"gam": 2.0, "rate": 0.5, "v": BEGIN, "x": 0 * BEGIN}
    for by, factor in {
        "exact": np.exp(-0.2 * 1.8),
        "cayley": (2 - 0.36) / 2.36,
        "implicit": 1 / 1.36,
    }.items():
        scheme = od.scheme(
            "lie_trotter", [("rate", "explicit"), ("damp", by), ("drift", "explicit")]
        )
        made = Machine(od.Algorithm(system, scheme, h).program, {}, h=sp.Rational(1, 5)).step(begin)
        assert made["gam"] == pytest.approx(2 - 0.2 * 0.5 * 2) and made["rate"] == pytest.approx(
            0.6
        )
        np.testing.assert_allclose(made["v"], factor * BEGIN, rtol=1e-13)
    with pytest.raises(od.OdescentError, match=r"drift of gam is -gam\*rate"):
        od.Algorithm(
            system,
            od.scheme(
                "lie_trotter", [("rate", "cayley"), ("damp", "exact"), ("drift", "explicit")]
            ),
            h,
        )


def test_vectors_and_scalars_in_one_solve() -> None:
    fields = {"all": {gam: 3 - gam, v: -c * v}}
    made = step_of(fields, "implicit", {"gam": 1.0, "v": BEGIN}, v, h=sp.Rational(1, 2), c=2)
    assert made["gam"] == pytest.approx((1 + 1.5) / 1.5)
    np.testing.assert_allclose(made["v"], BEGIN / 2)
    coupled = {"all": {gam: od.inner(v, v) - gam, v: -gam * v}}
    with pytest.raises(od.OdescentError, match="linear in the blocks it moves"):
        step_of(coupled, "implicit", {"gam": 1.0, "v": BEGIN}, v, h=1)


@pytest.mark.parametrize(
    ("fields", "kind", "message"),
    [
        (
            {"a": {v: -f.grad(x), x: v}},
            "cayley",
            r"has grad f\(x\); use 'explicit' for it \(or freeze the oracles: 'frozen cayley'\)",
        ),
        ({"a": {x: -od.hadamard(x, x)}}, "exact", r"has \(x \.\* x\); use 'explicit' for it\."),
        ({"a": {x: -f.grad(2 * x)}}, "implicit", "can solve for one oracle at x itself"),
        ({"a": {x: -f.grad(x) - od.Objective("e").grad(x)}}, "implicit", "split the field"),
    ],
)
def test_nonlinear_fields_are_refused(fields: Any, kind: str, message: str) -> None:
    with pytest.raises(od.OdescentError, match=message):
        step_of(fields, kind, {}, h=1)


def test_singular_implicit_step() -> None:
    system = od.System({"a": {x: x / h}})
    with pytest.raises(od.OdescentError, match="no solution"):
        od.Algorithm(system, od.scheme("implicit_euler"), h)
