"""Schemes as data on systems that no file of the package names: fitted orders against scipy, and refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sympy as sp
from programs import Machine, global_order
from scipy.integrate import solve_ivp

import odescent as od
from odescent.dynamics.vector_fields.system import mu

x, v, w, y, z = od.blocks("x v w y z")
gam = od.blocks("gam", kind="scalar")
c, K, h, t = od.parameters("c K h t")
f, e, F = od.Objective("f"), od.Objective("e"), od.Objective("F")
x0 = od.blocks("x0")

A = np.array([[1.0, 0.3], [-0.4, 0.8], [0.5, 0.5]])
TURN = np.array([[0.4, 1.0], [-1.0, 0.3]])
GRAD_F: Callable[[Any], Any] = lambda p: p + A.T @ np.tanh(A @ p)
GRAD_E: Callable[[Any], Any] = lambda p: 0.5 * p + np.sin(p)
OPERATOR: Callable[[Any], Any] = lambda p: TURN @ p + p / np.sqrt(1 + p @ p)
ORACLES = {"grad_f": GRAD_F, "grad_e": GRAD_E, "operator_F": OPERATOR}
START = np.array([1.2, -0.7])
NUMBERS = {"c": sp.Rational(7, 10), "K": sp.Rational(9, 5), "mu": sp.Rational(1, 2)}
C, KK, MU = (float(n) for n in NUMBERS.values())


def friction() -> od.System:
    return od.System({"damp": {v: -c * v}, "kick": {v: -f.grad(x)}, "drift": {x: v}})


def double_momentum() -> od.System:
    return od.System(
        {"push": {v: w - c * v}, "filter": {w: -K * (w + f.grad(x))}, "drift": {x: v}},
        output=x,
        init={x: x0, w: 0 * w},
    )


def primal_dual() -> od.System:
    return od.System(
        {"primal": {x: -f.grad(x)}, "dual": {y: -e.grad(y)}, "turn": {x: -K * y, y: K * x}},
        output=x,
        init={x: x0, y: x0 / 2},
    )


def saddle() -> od.System:
    return od.System({"flow": {z: -F.operator(z)}})


def fading() -> od.System:
    """Damping c/(1 + t): what a tableau reads at its stages' times."""
    return od.System(
        {"damp": {v: -c * v / (1 + t)}, "kick": {v: -f.grad(x)}, "drift": {x: v}}, time=t
    )


def adaptive() -> od.System:
    """A damping that is itself a (scalar) block."""
    return od.System(
        {"rate": {gam: mu - gam}, "damp": {v: -gam * v}, "kick": {v: -f.grad(x)}, "drift": {x: v}},
        output=x,
        init={gam: sp.Integer(2)},
    )


def decay() -> od.System:
    return od.System({"decay": {x: -c * x}, "descent": {x: -f.grad(x)}})


def chain() -> od.System:
    """Three linear blocks that all act on each other."""
    return od.System(
        {"all": {x: v - 2 * x, v: w - c * v, w: -K * x - w}},
        output=x,
        init={x: x0, v: x0, w: 0 * w},
    )


SLOPES: dict[str, Callable[..., dict[str, Any]]] = {
    "friction": lambda t, x, v: {"x": v, "v": -C * v - GRAD_F(x)},
    "double_momentum": lambda t, x, v, w: {"x": v, "v": w - C * v, "w": -KK * (w + GRAD_F(x))},
    "primal_dual": lambda t, x, y: {"x": -GRAD_F(x) - KK * y, "y": KK * x - GRAD_E(y)},
    "saddle": lambda t, z: {"z": -OPERATOR(z)},
    "fading": lambda t, x, v: {"x": v, "v": -C * v / (1 + t) - GRAD_F(x)},
    "adaptive": lambda t, x, v, gam: {"x": v, "v": -gam * v - GRAD_F(x), "gam": MU - gam},
    "decay": lambda t, x: {"x": -C * x - GRAD_F(x)},
    "chain": lambda t, x, v, w: {"x": v - 2 * x, "v": w - C * v, "w": -KK * x - w},
}
PAIRS = [("damp", "exact"), ("kick", "explicit"), ("drift", "explicit")]
IMPLICIT = [("primal", "implicit"), ("turn", "cayley"), ("dual", "implicit")]
CASES = [
    (friction, "lie_trotter", (PAIRS,), 1),
    (friction, "semi_implicit_euler", (("v", "x"),), 1),
    (friction, "strang", (PAIRS,), 2),
    (friction, "strang", ([("kick", "explicit"), ("damp", "cayley"), ("drift", "explicit")],), 2),
    (friction, "heun", (), 2),
    (friction, "rk4", (), 4),
    (friction, "extragradient", (), 1),
    (friction, "look_ahead", (), 1),
    (double_momentum, "explicit_euler", (), 1),
    (double_momentum, "midpoint", (), 2),
    (double_momentum, "strang", ([("push", "cayley"), ("filter", "exact"), ("drift", "explicit")],), 2),
    (double_momentum, "semi_implicit_euler", (("w", "v", "x"),), 1),
    (primal_dual, "lie_trotter", (IMPLICIT,), 1),
    (primal_dual, "strang", ([("primal", "rk4"), ("dual", "heun"), ("turn", "exact")],), 2),
    (primal_dual, "rk4", (), 4),
    (saddle, "extragradient", (), 1),
    (saddle, "midpoint", (), 2),
    (saddle, "implicit_euler", (), 1),
    (fading, "lie_trotter", (PAIRS,), 1),
    (fading, "strang", (PAIRS,), 2),
    (fading, "strang", ([("damp", "heun"), *PAIRS[1:]],), 2),
    (fading, "heun", (), 2),
    (fading, "rk4", (), 4),
    (adaptive, "lie_trotter", ([("rate", "exact"), *PAIRS],), 1),
    (adaptive, "strang", ([("rate", "exact"), *PAIRS],), 2),
    (adaptive, "rk4", (), 4),
    (decay, "lie_trotter", ([("decay", "exact"), ("descent", "implicit")],), 1),
    (decay, "strang", ([("decay", "exact"), ("descent", "midpoint")],), 2),
    (decay, "implicit_euler", (), 1),
    (chain, "cayley", (), 2),
    (chain, "implicit_euler", (), 1),
    (chain, "rk4", (), 4),
]  # fmt: skip


def build(system: od.System, name: str, arguments: Any) -> od.Algorithm:
    if name in {"lie_trotter", "strang"}:
        tableau = lambda i: od.scheme(i).steps[0].by if i in {"rk4", "heun", "midpoint"} else i
        arguments = ([(n, tableau(i)) for n, i in arguments[0]],)
    options = {"order": arguments[0]} if name == "semi_implicit_euler" else {}
    return od.Algorithm(system, od.scheme(name, *(() if options else arguments), **options), step=h)


def begin(algorithm: od.Algorithm) -> dict[str, Any]:
    return Machine(algorithm.program, ORACLES, h=1, **NUMBERS).init(START)


def reference(name: str, state: dict[str, Any], end: float) -> dict[str, Any]:
    names = [n for n in SLOPES[name].__code__.co_varnames[1:] if n in state]
    cuts = np.cumsum([np.size(state[n]) for n in names])[:-1]

    def slope(t: float, flat: Any) -> Any:
        parts = {
            n: p if np.ndim(state[n]) else p[0]
            for n, p in zip(names, np.split(flat, cuts), strict=True)
        }
        rates = SLOPES[name](t, **parts)
        return np.concatenate([np.atleast_1d(rates[n]) for n in names])

    flat = np.concatenate([np.atleast_1d(state[n]) for n in names])
    last = solve_ivp(slope, (0, end), flat, method="DOP853", rtol=1e-12, atol=1e-13).y[:, -1]
    return dict(zip(names, np.split(last, cuts), strict=True))


@pytest.mark.parametrize(
    ("system", "name", "arguments", "order"),
    CASES,
    ids=lambda value: getattr(value, "__name__", None),
)
def test_order_of_convergence(
    system: Callable[[], od.System], name: str, arguments: Any, order: int
) -> None:
    algorithm = build(system(), name, arguments)
    exact = reference(system.__name__, begin(algorithm), 1.0)
    machine = lambda size: Machine(algorithm.program, ORACLES, h=sp.nsimplify(size), **NUMBERS)
    counts = (8, 16, 32) if order == 4 else (20, 40, 80)
    assert global_order(machine, lambda end: exact, START, 1.0, counts) == pytest.approx(
        order, abs=0.2
    )


def test_conformal_symplectic_euler_is_heavy_ball() -> None:
    """MATH (d) row 16: with exact damping beta = exp(-c h), alpha = h^2, and the determinant is beta at every mode."""
    algorithm = build(friction(), "lie_trotter", (PAIRS,))
    found = algorithm.coefficients
    assert (found["alpha"], found["gamma"]) == (h**2, 0)
    assert sp.simplify(found["beta"] - sp.exp(-c * h)) == 0
    determinant = algorithm.state_space().modal_matrix(K).det()
    assert sp.simplify(determinant - sp.exp(-c * h)) == 0


def test_weight_decay_shrinks_before_or_after() -> None:
    """Decoupled weight decay: the gradient is taken before the decay, or after it."""
    g = f.grad(x)
    after = build(decay(), "lie_trotter", ([("descent", "explicit"), ("decay", "exact")],))
    assert after.program.update_map()[x] == (sp.exp(-c * h) * (x - h * g)).canonical()
    before = build(decay(), "lie_trotter", ([("decay", "exact"), ("descent", "explicit")],))
    shrunk = sp.exp(-c * h) * x
    assert before.program.update_map()[x] == (shrunk - h * f.grad(shrunk)).canonical()


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([("damp", "exact"), ("kick", "explicit")], "does not add up.*move x by 0"),
        (
            [("damp", "exact"), ("kick", "explicit"), ("drift", "explicit"), ("kick", "explicit")],
            "does not add up.*v by",
        ),
        ([*PAIRS, ("dump", "explicit")], "substep 4 .*no field 'dump': did you mean 'damp'"),
        ([("damp", "exat"), *PAIRS[1:]], "an integrator must be one of .*not 'exat'"),
        ([("kick", "cayley")], "linear in the blocks it moves"),
        ([], "at least one"),
    ],
)
def test_refusals_of_compositions(steps: Any, message: str) -> None:
    with pytest.raises(od.OdescentError, match=message):
        scheme = od.scheme("lie_trotter", steps)
        if steps == [("kick", "cayley")]:
            od.Algorithm(od.System({"kick": {x: -f.grad(x)}}), scheme, h)
        od.Algorithm(friction(), scheme, h)


def test_registry() -> None:
    assert "strang" in od.schemes() and od.schemes() == sorted(od.schemes())
    with pytest.raises(od.OdescentError, match="did you mean 'strang'"):
        od.scheme("strnag", PAIRS)
    with pytest.raises(od.OdescentError, match="tuple of their names"):
        od.scheme("semi_implicit_euler", order="vx")
    with pytest.raises(od.OdescentError, match="does not take these options"):
        od.scheme("rk4", order=("x",))
    for name in ("rk4", "heun", "midpoint", "explicit_euler", "extragradient"):
        assert od.scheme(name).name in {name, "explicit"}
