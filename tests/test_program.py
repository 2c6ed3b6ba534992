"""The straight-line program: its views, its bindings, and MATH's table T1 by exact iteration of the update map."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import sympy as sp
import textbook as tb
from programs import Machine

import odescent as od
from odescent.discretize.programs.program import Assign, CallOracle
from odescent.dynamics.algebra.calculus import coefficient, modal
from odescent.dynamics.vector_fields.block import start
from odescent.dynamics.vector_fields.system import L, mu

x, v = od.blocks("x v")
c, h = od.parameters("c h")
f = od.Objective("f")

# MATH (c), T1: f = (x1^2 + 10 x2^2)/2, x0 = x_{-1} = (1, 1), mu = 1, L = 10; 13 digits
T1 = {
    "gradient_descent": {
        1: (".9", "0"), 2: (".81", "0"), 3: (".729", "0"), 10: (".3486784401", "0"), 20: (".1215766545906", "0"),
    },
    "heavy_ball": {
        1: (".7691138429796", "-1.308861570204"), 2: (".5292259642132", "1.09001721746"),
        3: (".3422955464641", "-.7792869600301"), 10: (".008310190044402", ".02318373676668"),
        20: ("2.174346141318e-5", "6.432767885799e-5"),
    },
    "nesterov_sc": {
        1: (".9", "0"), 2: (".7632455532034", "0"), 3: (".6229822128135", "0"), 10: (".0929920157415", "0"),
        20: (".003656036231161", "0"),
    },
    "xi": {
        1: (".8316227766017", "-.6837722339832"), 2: (".6377672670753", ".4675444679663"),
        3: (".4684073566801", "-.3196939253478"), 10: (".03727689188366", ".0223416175791"),
        20: ("8.402809734494e-4", "4.991478760506e-4"),
    },
    "triple_momentum": {
        1: (".6837722339832", "-2.162277660168"), 2: (".4675444679663", "1.478505426185"),
        3: (".3196939253478", "-1.010960958219"), 10: (".0223416175791", ".0706503981624"),
        20: ("4.991478760506e-4", "1.578444177555e-3"),
    },
}  # fmt: skip
# NAG-C's x1 (x2 = 0) with momentum k/(k + 3)
CONVEX = {1: ".9", 2: ".7875", 3: ".66825", 10: ".0181115161998", 20: "-.003117900152003"}
DIGITS = 30


def iterated(algorithm: od.Algorithm, output: str, lam: int, steps: int) -> list[mpmath.mpf]:
    """The output on one mode of the quadratic, from x0 = 1, by the update map in 30-digit arithmetic."""
    program = algorithm.bind(
        {s.name: n for s, n in ((mu, 1), (L, 10)) if s in algorithm.parameters}
    ).tuned
    update = {s: modal(e, sp.Integer(lam)) for s, e in program.update_map().items()}
    k = program.counter or sp.Symbol("k")
    row = lambda e: [sp.lambdify(k, coefficient(e, s), "mpmath") for s in update]
    matrix, read = [row(e) for e in update.values()], row(program.outputs[output])
    with mpmath.workdps(DIGITS):
        one = lambda e: mpmath.mpf(sp.N(coefficient(modal(e, sp.Integer(lam)), start), DIGITS))
        state, found = [one(b.init) for b in program.blocks], []
        for step in range(steps + 1):
            k_ = mpmath.mpf(step)
            found.append(mpmath.fsum(r(k_) * s for r, s in zip(read, state, strict=True)))
            state = [
                mpmath.fsum(m(k_) * s for m, s in zip(row, state, strict=True)) for row in matrix
            ]
        return found


@pytest.mark.parametrize("name", T1)
def test_table_of_iterates(name: str) -> None:
    algorithm = od.algorithm("triple_momentum" if name == "xi" else name)
    modes = [iterated(algorithm, "xi" if name == "xi" else "x", lam, 20) for lam in (1, 10)]
    for k, wanted in T1[name].items():
        for mode, digits in zip(modes, wanted, strict=True):
            shown = len(digits.split("e")[0].strip("-.").replace(".", "").lstrip("0"))
            assert abs(mode[k] - mpmath.mpf(digits)) <= mpmath.mpf(10) ** (
                1 - max(shown, 10)
            ) * max(abs(mode[k]), 1e-12)


def test_convex_iterates() -> None:
    slow, fast = (iterated(od.algorithm("nesterov_c"), "x", lam, 20) for lam in (1, 10))
    for k, digits in CONVEX.items():
        assert float(slow[k]) == pytest.approx(float(digits), rel=1e-11)
        assert abs(fast[k]) < 1e-25
    smooth = lambda p: p + np.sin(p)
    machine = Machine(od.algorithm("nesterov_c").tuned, {"grad_f": smooth}, L=4)
    states = machine.run(np.array([0.8, -1.1]), 30)
    for k, expected in enumerate(tb.nesterov_c_loop(smooth, 0.25, np.array([0.8, -1.1]), 30)):
        np.testing.assert_allclose(machine.output(states[k], k=k), expected, rtol=1e-12, atol=1e-15)


def damped() -> od.Algorithm:
    system = od.System({"damp": {v: -c * v}, "kick": {v: -f.grad(x)}, "drift": {x: v}})
    return od.Algorithm(system, od.scheme("semi_implicit_euler", order=("v", "x")), h)


def test_names_are_assigned_once() -> None:
    program = od.Algorithm(damped().system, od.scheme("rk4"), h).program
    targets = [i.target for i in program.instructions]
    assert len(set(targets)) == len(targets) and not set(targets) & set(program.state)
    known = set(program.state) | set(program.parameters)
    for i in program.instructions:
        parts = (
            [i.value] if isinstance(i, Assign) else [i.point] if isinstance(i, CallOracle) else []
        )
        assert all(e.free_symbols <= known for e in parts)
        known.add(i.target)


def test_stages_keep_long_tableaus_short() -> None:
    """Stage values have names: the text of rk4 grows with the stages, not with what they expand to."""
    program = od.Algorithm(damped().system, od.scheme("rk4"), h).program
    assert max(len(str(i)) for i in program.instructions) < 700
    assert len(program.calls) == 4


def test_parameters_and_binding() -> None:
    program = damped().program
    assert [s.name for s in program.parameters] == ["c", "h"]
    bound = program.bind({c: sp.Rational(1, 2), h: 2 * c})
    assert [s.name for s in bound.parameters] == [
        "c"
    ]  # at the same time: h becomes 2 c, and that c stays
    assert bound.update_map()[v] == ((1 - c) * v - 2 * c * f.grad(x)).canonical()
    assert program.bind({}) is program
    renamed = program.bind({v: od.blocks("speed")})
    assert "speed" in str(renamed.instructions)


def test_inlining_keeps_calls_and_meaning() -> None:
    program = od.Algorithm(damped().system, od.scheme("heun"), h).program
    flat = program.inlined()
    assert all(isinstance(i, CallOracle) for i in flat.instructions) and len(flat.calls) == 2
    machines = [Machine(p, {"grad_f": np.sin}, c=1, h=sp.Rational(1, 3)) for p in (program, flat)]
    state = {"x": np.array([1.0, 2.0]), "v": np.array([-0.5, 0.3])}
    one, other = (m.step(state) for m in machines)
    for name in state:
        np.testing.assert_allclose(one[name], other[name], rtol=1e-14)


def test_implicit_calls_unroll() -> None:
    program = od.algorithm("proximal_point").program
    assert program.calls[0].implicit == -h
    g = f.grad
    assert program.update_map(0)[x] == (x - h * g(x)).canonical()
    assert program.update_map(2)[x] == (x - h * g(x - h * g(x - h * g(x)))).canonical()


def test_draws_are_zero_in_the_update_map() -> None:
    langevin = od.algorithm("unadjusted_langevin").program
    assert len(langevin.draws) == 1 and langevin.update_map()[x] == (x - h * f.grad(x)).canonical()
