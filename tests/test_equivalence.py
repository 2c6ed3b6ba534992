"""Equalities of MATH b.3 and b.4 against textbook forms, refutations with right witnesses, and verdicts between."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import sympy as sp
import textbook as tb
from experiments import check_witness

import odescent as od
from odescent.dynamics.algebra.exact import is_zero
from odescent.dynamics.vector_fields.system import L, mu

psi, y, x, z, v = od.blocks("psi y x z v")
K, a, b, c, h = od.parameters("K a b c h")
f = od.Objective("f")
m, s = sp.sqrt(mu), 1 / sp.sqrt(L)
qh = h * m
PASSIVE = {
    "damp": {psi: -K * psi},
    "kick": {psi: -b * f.grad(y)},
    "drift": {y: psi - a * f.grad(y)},
}
MODEL = {
    "coupling": {x: c * m * (z - x)},
    "law": {x: -a * f.grad(x), z: m * (x - z) - f.grad(x) / m},
}
PARTS = {"kick": "explicit", "damp": "cayley", "drift": "explicit"}


def passive(scheme: od.Scheme, K_: Any, b_: Any, a_: Any = h) -> od.Algorithm:
    flow = od.System(PASSIVE, output=y - a * psi, init={y: od.blocks("x0")})
    return od.Algorithm(flow, scheme, h, where={a: a_, K: K_, b: b_}, tuning={h: s})


def model(
    coupling: str, c_: Any, a_: Any = h, law: str = "explicit", output: Any = x
) -> od.Algorithm:
    x0 = od.blocks("x0")
    flow = od.System(MODEL, output=output, init={x: x0, z: x0})
    scheme = od.scheme("lie_trotter", [("coupling", coupling), ("law", law)])
    return od.Algorithm(flow, scheme, h, where={a: a_, c: c_}, tuning={h: s})


def trotter(*order: str) -> od.Scheme:
    return od.scheme("lie_trotter", [(n, PARTS[n]) for n in order])


def tmm_passive() -> od.Algorithm:
    flow = od.System(
        {"push": {psi: -m * psi - 2 * f.grad(y)}, "damp": {psi: -2 * m * psi}, "drift": {y: psi - a * f.grad(y)}},
        output=y - a * psi, init={y: od.blocks("x0")},
    )  # fmt: skip
    scheme = od.scheme(
        "lie_trotter", [("push", "explicit"), ("damp", "cayley"), ("drift", "explicit")]
    )
    return od.Algorithm(flow, scheme, h, where={a: h}, tuning={h: s})


def second_order(scheme: od.Scheme) -> od.Algorithm:
    flow = od.System({"damp": {v: -2 * m * v}, "kick": {v: -f.grad(x)}, "drift": {x: v}})
    return od.Algorithm(flow, scheme, h, tuning={h: s})


EULER = od.scheme("semi_implicit_euler", order=("psi", "y"))
WITHOUT_STAGE = od.scheme(
    "lie_trotter", [("damp", "cayley"), ("kick", "explicit"), ("drift", "explicit")]
)

EQUAL = {
    "NAG: semi-implicit Euler on (psi, y)": (
        lambda: passive(EULER, 2 * m / (1 + qh), (1 - qh) / (1 + qh)), tb.nesterov
    ),
    "NAG: Cayley on (psi, y)": (lambda: passive(trotter("kick", "damp", "drift"), 2 * m, 1), tb.nesterov),
    "NAG: implicit coupling on (x, z)": (lambda: model("implicit", 1), tb.nesterov),
    "heavy ball with NAG's beta": (
        lambda: second_order(WITHOUT_STAGE), lambda: tb.three_parameters(1 / L, tb.beta_nag)
    ),
    "TMM: Cayley coupling on (x, z)": (lambda: model("cayley", 2, output=z), tb.triple_momentum),
    "library NAG": (lambda: od.algorithm("nesterov"), tb.nesterov),
    "library TMM": (lambda: od.algorithm("triple_momentum"), tb.triple_momentum),
    "library heavy ball": (lambda: od.algorithm("heavy_ball"), tb.heavy_ball),
    "library GD": (lambda: od.algorithm("gradient_descent"), tb.gradient_descent),
}  # fmt: skip


@pytest.mark.parametrize("name", EQUAL)
def test_proved_with_output_and_start(name: str) -> None:
    made, text = (build() for build in EQUAL[name])
    found = made.equivalent(text)
    assert isinstance(found, od.Equivalence)
    assert found.verdict == "proved" and bool(found), found.reason
    assert found.same_output is True


def test_heavy_ball_from_the_model_form() -> None:
    """Without the feed-through x is the last gradient point, so the points agree and the output lags by one."""
    made, text = model("implicit", 1, 0), tb.three_parameters(1 / (L * (1 + tb.q)), tb.beta_nag)
    found = made.equivalent(text)
    assert found and found.same_output is False
    point = ((1 + qh) ** -1 * x + qh / (1 + qh) * z).canonical()
    assert is_zero(
        (model("implicit", 1, 0, output=point).state_space().output - made.state_space().C)[0].subs(
            h, s
        )
    )
    assert model("implicit", 1, 0, output=point).equivalent(text).same_output


def test_look_ahead_scheme_is_nesterov() -> None:
    """The h-free x'' + 2 sqrt(mu) x' + g: its x is NAG's iterate, its stage NAG's gradient point."""
    found = second_order(od.scheme("look_ahead")).equivalent(tb.nesterov())
    assert found and found.same_output


def test_triple_momentum_from_the_passive_form() -> None:
    """MATH b.4's second system for TMM: the same points; its output y - h psi is another sequence."""
    found = tmm_passive().equivalent(tb.triple_momentum())
    assert found and found.same_output is not None


@pytest.mark.parametrize("order", list(itertools.permutations(PARTS)))
def test_only_one_order_gives_nesterov(order: tuple[str, ...]) -> None:
    made = passive(trotter(*order), 2 * m, 1)
    expected = "proved" if order == ("kick", "damp", "drift") else "refuted"
    assert made.equivalent(tb.nesterov()).verdict == expected


@pytest.mark.parametrize(
    ("coupling", "c_", "target"), [("cayley", 1, tb.nesterov), ("implicit", 2, tb.triple_momentum)]
)
def test_swapped_integrators_fail(coupling: str, c_: int, target: Any) -> None:
    assert model(coupling, c_, output=z if c_ == 2 else x).equivalent(target()).verdict == "refuted"


@pytest.mark.parametrize("name", ["alpha", "beta", "gamma"])
def test_perturbed_coefficients_are_refuted_by_a_right_witness(name: str) -> None:
    perturbed = tb.three_parameters(**{**tb.TMM, name: tb.TMM[name] * sp.Rational(8, 7)})
    made = od.algorithm("triple_momentum")
    found = made.equivalent(perturbed)
    assert found.verdict == "refuted" and found.witness is not None
    check_witness(found.witness, made, perturbed)


def test_output_alone_may_differ() -> None:
    other = tb.three_parameters(**{**tb.TMM, "delta": tb.TMM["delta"] * 2})
    found = od.algorithm("triple_momentum").equivalent(other)
    assert found and found.same_output is False


def test_other_start_is_refuted() -> None:
    xi, old, x0 = od.blocks("xi old x0")
    al, be = od.parameters("alpha beta")
    update = {xi: (1 + be) * xi - be * old - al * f.grad(xi), old: xi}
    rest, moving = od.method(update, output=xi), od.method(update, output=xi, init={old: 2 * x0})
    found = rest.equivalent(moving)
    assert found.verdict == "refuted" and "start" in found.reason
    assert found.witness is not None and found.witness.step == 1 and found.witness.x0 == 1
    first, second = found.witness.values
    # x_1 = x0 against x0 + be (x0 - 2 x0), without gradients
    assert first - second == found.witness.parameters[be]
    assert found.start == {"old": (x0, 2 * x0)}
    check_witness(found.witness, rest, moving)


def test_scaled_coordinates_come_with_the_change() -> None:
    p, w = od.blocks("p w")
    al, be = od.parameters("alpha beta")
    one = od.method({x: x + v, v: be * v - al * f.grad(x + v)}, output=x, init={v: 0 * v})
    # x = 3 p + w, v = w / 5
    turned = be * w - 5 * al * f.grad(3 * p + w + w / 5)
    update = {p: p + w / 15 - (turned - w) / 3, w: turned}
    two = od.method(update, output=3 * p + w, init={p: od.blocks("x0") / 3, w: 0})
    found = one.equivalent(two)
    assert found and found.same_output
    t, left, right = found.change_of_coordinates, one.state_space(), two.state_space()
    assert t is not None and t == sp.Matrix([[sp.Rational(1, 3), -sp.Rational(5, 3)], [0, 5]])
    for residual in (
        t * left.A - right.A * t,
        t * left.B - right.B,
        left.C - right.C * t,
        t * left.start - right.start,
    ):
        assert all(is_zero(e) for e in residual)


def test_realizations_of_other_order() -> None:
    """A state that nothing reads does not matter; the coordinates cannot correspond then."""
    extra = od.blocks("extra")
    padded = od.method({x: x - f.grad(x) / L, extra: 3 * extra + x}, output=x)
    found = padded.equivalent(tb.gradient_descent())
    assert found and found.same_output and found.change_of_coordinates is None
    assert tb.gradient_descent().equivalent(padded)


def test_where_binds_before_the_tuning() -> None:
    """DESIGN's public surface: a user's damping by the exact exponential is heavy ball at c = -log(beta)/h."""
    sys = od.System({"damp": {v: -c * v}, "kick": {v: -f.grad(x)}, "drift": {x: v}})
    scheme = od.scheme(
        "lie_trotter", [("damp", "exact"), ("kick", "explicit"), ("drift", "explicit")]
    )
    alpha, beta = tb.POLYAK["alpha"], tb.POLYAK["beta"]
    for tuning in ({}, {h: sp.Rational(1, 10), c: 1}, {h: 1 / sp.sqrt(L)}):
        alg = od.Algorithm(sys, scheme, step=h, tuning=tuning)
        assert alg.equivalent(
            od.algorithm("heavy_ball"), where={c: -sp.log(beta) / h, h: sp.sqrt(alpha)}
        )
        assert (
            alg.equivalent(od.algorithm("heavy_ball"), where={c: 1, h: sp.sqrt(alpha)}).verdict
            == "refuted"
        )
    with pytest.raises(od.OdescentError, match="no parameter 'K'"):
        alg.equivalent(od.algorithm("heavy_ball"), where={K: 1})


def test_undecided_and_calls() -> None:
    assert od.algorithm("adam").equivalent(tb.nesterov()).verdict == "refuted"
    assert od.algorithm("adam").equivalent(od.algorithm("adam")).verdict == "proved"
    assert od.algorithm("extragradient").equivalent(tb.extragradient(1 / L))
    twice = od.method({x: x - f.grad(x) / L - f.grad(x - f.grad(x) / L) / L}, output=x)
    found = twice.equivalent(tb.gradient_descent())
    assert found.verdict == "refuted" and "in a step" in found.reason
    e = od.Objective("e")
    other = od.method({x: x - e.grad(x) / L}, output=x)
    assert other.equivalent(tb.gradient_descent()).verdict == "refuted"


def test_order_of_independent_calls_does_not_matter() -> None:
    e = od.Objective("e")
    one = od.method({x: x - h * f.grad(x) + v, v: v - h * e.grad(v)}, output=x)
    two = od.method({v: v - h * e.grad(v), x: x - h * f.grad(x) + v}, output=x)
    assert one.equivalent(two) and two.equivalent(one)
    same = od.method({x: x - h * f.grad(x) + v, v: v - 2 * h * f.grad(v)}, output=x)
    swapped = od.method({v: v - 2 * h * f.grad(v), x: x - h * f.grad(x) + v}, output=x)
    assert same.equivalent(swapped)


def test_without_oracles_the_outputs_decide() -> None:
    half, third = (od.method({x: x * sp.Rational(1, n)}, output=x) for n in (2, 3))
    assert half.equivalent(third).verdict == "refuted" and half.equivalent(half)


def test_calls_before_the_first_step() -> None:
    """Kick-drift-kick keeps its last gradient. From rest it is leapfrog with a half kick before the start."""
    flow = od.System({"kick": {v: -f.grad(x)}, "drift": {x: v}})
    kdk = od.Algorithm(flow, od.scheme("strang", [("kick", "explicit"), ("drift", "explicit")]), h)
    half = v - h / 2 * f.grad(x)
    text = od.method(
        {x: x + h * half, v: half - h / 2 * f.grad(x + h * half)}, output=x, init={v: 0 * v}
    )
    assert kdk.calls == text.calls == 1
    assert kdk.equivalent(text).same_output
    update, g0 = {v: v - h * f.grad(x), x: x + h * (v - h * f.grad(x))}, f.grad(od.blocks("x0"))
    assert kdk.equivalent(od.method(update, output=x, init={v: 0 * v})).verdict == "refuted"
    leapfrog = od.method(update, output=x, init={v: h / 2 * g0})
    assert leapfrog.state_space().start.shape == (2, 2)
    drift_first = od.Algorithm(flow, od.scheme("semi_implicit_euler", order=("x", "v")), h)
    text = od.method({x: x + h * v, v: v - h * f.grad(x + h * v)}, output=x, init={v: 0 * v})
    assert drift_first.equivalent(text).same_output
    found = kdk.equivalent(leapfrog)  # x_1 = x0 - h^2 g0 / 2 in both, and so on
    assert found and found.same_output
    twice = kdk.equivalent(od.method(update, output=x, init={v: h * g0}))
    assert twice.verdict == "refuted" and twice.witness is not None
    check_witness(twice.witness, kdk, od.method(update, output=x, init={v: h * g0}))


def test_points_are_compared_from_the_first_call_on() -> None:
    """Drift by a gradient, then a kick by the gradient at the new point: one new call in each step."""
    late = passive(trotter("drift", "kick", "damp"), K, b)
    assert late.calls == 1 and late.state_space().start_calls
    al, be = h**2, (2 - K * h) / (2 + K * h)
    p, w = od.blocks("p w")  # the same points, with the gradient taken at the beginning of the step
    turned = be * (w - b * h * f.grad(p))
    text = od.method({p: p + h * turned - al * f.grad(p), w: turned}, output=p, init={w: 0 * w})
    found = od.Algorithm(late.system, late.scheme, h, where={a: h}).equivalent(text)
    assert found.verdict == "refuted"  # from rest the first kick comes one step later
    given = od.method(
        {p: p + h * w - al * f.grad(p), w: be * (w - b * h * f.grad(p + h * w - al * f.grad(p)))},
        output=p,
        init={w: 0 * w},
    )
    assert od.Algorithm(late.system, late.scheme, h, where={a: h}).equivalent(given)


def test_a_gradient_taken_ahead_of_its_step() -> None:
    """Gradient descent that asks for the next gradient at the end of the step, and first of all at x0."""
    last, g0 = od.blocks("last"), f.grad(od.blocks("x0"))
    ahead = od.method({x: x - h * last, last: f.grad(x - h * last)}, output=x, init={last: g0})
    plain = tb.gradient_descent(h)
    for one, other in ((ahead, plain), (plain, ahead)):
        found = one.equivalent(other)
        assert found and found.same_output and found.change_of_coordinates is None
    doubled = od.method(
        {x: x - h * last, last: f.grad(x - h * last)}, output=x, init={last: 2 * g0}
    )
    assert doubled.equivalent(plain).verdict == "refuted"
    behind = od.method(
        {x: x - h * last, last: f.grad(x - h * last)}, output=x + h * last, init={last: g0}
    )
    assert behind.equivalent(plain).same_output is False


def test_another_oracle_before_the_first_step() -> None:
    update = {x: x - h * f.grad(x) + v, v: v / 2}
    started = od.method(update, output=x, init={v: od.Objective("e").grad(od.blocks("x0"))})
    found = started.equivalent(od.method(update, output=x, init={v: 0}))
    assert found.verdict == "refuted" and "at the beginning" in found.reason
