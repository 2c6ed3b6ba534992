"""Noise in substeps: exact Ornstein-Uhlenbeck steps, shared increments, and Langevin splittings (MATH d 33-35).

Stationary laws come from the discrete Lyapunov equation of the program's own map and are held against
published closed forms; covariances against Van Loan's exponential and 50-digit arithmetic.
"""

from __future__ import annotations

from typing import Any

import jax
import mpmath as mp
import numpy as np
import pytest
import sympy as sp
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from moments import after_time, flow, lam, linear_map, stationary
from programs import Machine, fitted_order

import odescent as od
from odescent.discretize.emit import load
from odescent.discretize.step.exponential import gramian
from odescent.dynamics import vanishes
from odescent.dynamics.vector_fields.system import Diffusion

x, v, w, q = od.blocks("x v w q")
s1 = od.blocks("s1", kind="scalar")
c, gam, u, h, sigma = od.parameters("c gam u h sigma")
f = od.Objective("f")
HALF = sp.Rational(1, 2)
OU = {"bath": od.Field({v: -gam * v}, {v: Diffusion(sp.sqrt(2 * gam * u))})}
E = sp.exp(-gam * h)


def one(fields: Any, by: str, output: Any = v, **settings: Any) -> od.Algorithm:
    """One substep of everything."""
    return od.Algorithm(
        od.System(fields, output=output), od.Scheme((od.Flow((), by, **settings),)), h
    )


def same(a: sp.Expr, b: sp.Expr) -> bool:
    return bool(sp.simplify(sp.expand(a - b)) == 0)


# the exact step


def test_the_ornstein_uhlenbeck_step() -> None:
    """v+ = e^(-gam h) v + sqrt(u (1 - e^(-2 gam h))) xi, and with it gam -> 0 and parts of a step."""
    a, b = linear_map(one(OU, "exact").program)
    assert same(a[0], E) and same(b[0] ** 2, u * (1 - E**2))
    assert sp.simplify(stationary(one(OU, "exact").program)[0] - u) == 0
    third = od.Scheme(tuple(od.Flow((), "exact", sp.Rational(1, 3)) for _ in range(3)))
    thirds = od.Algorithm(od.System(OU, output=v), third, h)
    a, b = linear_map(thirds.program)
    assert b.shape == (1, 3) and same(a[0], E) and same((b * b.T)[0], u * (1 - E**2))
    brownian = {"bath": od.Field({v: -gam * v}, {v: Diffusion(sigma)})}
    frictionless = one({"bath": od.Field({}, {v: Diffusion(sigma)})}, "exact")
    assert linear_map(frictionless.program)[1][0] == sigma * sp.sqrt(h)
    variance = linear_map(one(brownian, "exact").program)[1][0] ** 2
    assert sp.limit(variance, gam, 0) == sigma**2 * h


def test_the_exact_step_of_cheng_and_others() -> None:
    """Underdamped Langevin MCMC (arXiv:1707.03663, lemma 11 and algorithm 1): gam = 2, the gradient frozen."""
    method = od.algorithm("underdamped_exact").bind(gam=2)
    a, b = linear_map(method.tuned)
    e2, e4 = sp.exp(-2 * h), sp.exp(-4 * h)
    assert same(a[0, 1], (1 - e2) / 2) and same(a[1, 1], e2)
    assert same(a[0, 0], 1 - lam * u / 2 * (h - (1 - e2) / 2))
    assert same(a[1, 0], -lam * u / 2 * (1 - e2))
    found = (b * b.T).applyfunc(sp.expand)
    assert same(found[0, 0], u * (h - e4 / 4 - sp.Rational(3, 4) + e2))
    assert same(found[1, 1], u * (1 - e4))
    assert same(found[0, 1], u / 2 * (1 + e4 - 2 * e2))


small = st.integers(-3, 3)


@settings(max_examples=25)
@given(
    st.lists(small, min_size=9, max_size=9),
    st.lists(small, min_size=3, max_size=3),
    st.integers(1, 3),
)
def test_gramians(entries: list[int], column: list[int], n: int) -> None:
    """The covariance of a linear field with noise along a column, wherever the exponential is closed."""
    matrix = sp.Matrix(3, 3, entries)
    matrix[2, 0] = matrix[2, 1] = 0
    matrix, b = matrix[:n, :n], sp.Matrix(column[:n])
    try:
        found = gramian(matrix, b, sp.Rational(1, 2))
    except od.OdescentError as error:
        assert "real eigenvalues" in str(error)
        assume(False)
    wanted = flow(np.array(matrix, dtype=float), np.array(b, dtype=float), 0.5)[1]
    np.testing.assert_allclose(
        np.array(found.evalf(30), dtype=float), wanted, rtol=1e-10, atol=1e-11
    )


def test_turning_fields_have_exact_noise_too() -> None:
    """A damped oscillator with complex eigenvalues, whose noise reaches both blocks."""
    field = {"all": od.Field({x: v, v: -4 * x - v}, {v: Diffusion(sigma)})}
    a, b = linear_map(one(field, "exact", x).program)
    values = {h: 0.3, sigma: 0.7}
    mean, covariance = flow(np.array([[0.0, 1], [-4, -1]]), np.array([[0.0], [0.7]]), 0.3)
    np.testing.assert_allclose(np.array(a.subs(values), dtype=float), mean, rtol=1e-12)
    np.testing.assert_allclose(
        np.array((b * b.T).subs(values), dtype=float), covariance, rtol=1e-10
    )


def test_two_processes_on_coupled_blocks() -> None:
    """Covariances of independent processes add; one process on both blocks correlates them."""
    drift = {x: v - x, v: -2 * v}
    own = od.Field(drift, {x: Diffusion(sp.S.One, "W1"), v: Diffusion(sp.Integer(2), "W2")})
    both = od.Field(drift, {x: Diffusion(sp.S.One), v: Diffusion(sp.Integer(2))})
    matrix = np.array([[-1.0, 1], [0, -2]])
    for noise, columns in ((own, np.diag([1.0, 2.0])), (both, np.array([[1.0], [2.0]]))):
        b = linear_map(one({"all": noise}, "exact", x).program)[1]
        found = np.array((b * b.T).subs({h: 0.4}), dtype=float)
        np.testing.assert_allclose(found, flow(matrix, columns, 0.4)[1], rtol=1e-11)


def test_vector_amplitudes_and_scalar_blocks() -> None:
    """Diagonal noise sigma(x) on v, exactly; a scalar block has a draw of its own."""
    spread = od.Map("sigma")(x)
    bath = od.Field({v: -c * v}, {v: Diffusion(spread)})
    system = od.System({"bath": bath, "drift": {x: v}}, output=x)
    made = od.Algorithm(
        system, od.scheme("lie_trotter", [("bath", "exact"), ("drift", "explicit")]), h
    )
    machine = Machine(made.program, {"map_sigma": lambda p: 1 + p**2}, h=HALF, c=2)
    (draw,), noise = made.program.draws, np.array([0.3, -1.0])
    begin = {"x": np.array([0.5, 2.0]), "v": np.zeros(2)}
    moved = machine.step(begin, 0, {draw.target.name: noise})["v"]
    wanted = (1 + begin["x"] ** 2) * np.sqrt((1 - np.exp(-2.0)) / 4) * noise
    np.testing.assert_allclose(moved, wanted, rtol=1e-13)
    scalar = one({"a": od.Field({s1: -s1}, {s1: Diffusion(c)}), "b": {x: -x}}, "exact", x)
    (draw,) = scalar.program.draws
    assert isinstance(draw.target, sp.Symbol)


@pytest.mark.parametrize(
    ("by", "factor", "response"),
    [
        ("explicit", 1 - gam * h, 1),
        ("implicit", 1 / (1 + gam * h), 1 / (1 + gam * h)),
        ("cayley", (2 - gam * h) / (2 + gam * h), 2 / (2 + gam * h)),
    ],
)
def test_linear_integrators_answer_to_noise(by: str, factor: Any, response: Any) -> None:
    """v+ = factor v + response sqrt(2 gam u h) xi; Cayley keeps the variance u exactly."""
    program = one(OU, by).program
    a, b = linear_map(program)
    assert same(a[0], factor) and same(b[0], response * sp.sqrt(2 * gam * u * h))
    if by == "cayley":
        assert sp.simplify(stationary(program)[0] - u) == 0


REFUSED = [
    ({"a": od.Field({x: -x}, {x: Diffusion(x)})}, "exact", {}, "does not depend on the blocks it moves"),
    ({"a": od.Field({x: -x}, {x: Diffusion(c)})}, od.scheme("heun").steps[0].by, {}, "not 'tableau'"),
    ({"a": od.Field({x: -x}, {x: Diffusion(c)})}, "exact", {"increment": "one"}, "leave increment= out"),
    (
        {"a": od.Field({x: -x, v: -v}, {x: Diffusion(w), v: Diffusion(c)}), "b": {w: -w}}, "exact",
        {"fields": "a"}, "drives x and v",
    ),
    ({"a": od.Field({x: v, v: -x}, {v: Diffusion(c)})}, "exact", {}, "needs real eigenvalues"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "by", "settings", "message"), REFUSED)
def test_refusals(fields: Any, by: Any, settings: dict[str, Any], message: str) -> None:
    settings = {"fields": (), **settings}
    with pytest.raises(od.OdescentError, match=message):
        od.Algorithm(
            od.System(fields, output=x),
            od.Scheme((od.Flow(settings.pop("fields"), by, **settings),)),
            h,
        )


# increments


def test_substeps_draw_on_their_own_or_share() -> None:
    """Two half steps: independent draws of variance h/2 each, or one draw of which each takes a half."""
    heat = {"heat": od.Field({}, {x: Diffusion(sp.S.One)})}
    halves = lambda **how: od.Algorithm(
        od.System(heat, output=x), od.Scheme(2 * (od.Flow("heat", "explicit", HALF, **how),)), h
    )
    own, shared = halves().program, halves(increment="one").program
    assert (len(own.draws), len(shared.draws)) == (2, 1)
    for program in (own, shared):
        b = linear_map(program)[1]
        assert same((b * b.T)[0], h)
    uneven = (HALF, sp.Rational(1, 3))
    with pytest.raises(od.NotConsistent, match="by 25/36 of a step"):
        od.Algorithm(
            od.System(heat, output=x),
            od.Scheme(tuple(od.Flow("heat", "explicit", p, increment="one") for p in uneven)), h,
        )  # fmt: skip


# Langevin dynamics


def langevin(name: str) -> od.Algorithm:
    return od.algorithm(name)


POSITION, m = (1 / lam), h**2 * u * lam
LAWS = {  # variances of position and velocity on a quadratic (Leimkuhler and Matthews 2013; CBO (f))
    "baoab": (POSITION, u * (1 - m / 4)),
    "aboba": (POSITION, 4 * u / (4 - m)),
    "obabo": (POSITION * 4 / (4 - m), u),
}


@pytest.mark.parametrize("name", LAWS)
def test_stationary_laws_of_the_splittings(name: str) -> None:
    """BAOAB and ABOBA have the exact configurational variance, OBABO that of the velocity; no gam in any."""
    found = stationary(langevin(name).own_program)
    position, velocity = LAWS[name]
    assert same(found[0, 0], position) and same(found[1, 1], velocity) and found[0, 1] == 0


def test_stationary_laws_of_the_overdamped_methods() -> None:
    """Variances over 1/lam: theta 2/(2 - hm + 2hm theta), Leimkuhler-Matthews 1, SGLD (1 + h S/2)/(1 - hm/2)."""
    for theta in (sp.Rational(1, 3), HALF, sp.S.One):
        law = stationary(od.algorithm("stochastic_theta", theta=theta).program)[0]
        assert same(law, 2 / (2 - h * lam + 2 * h * lam * theta) / lam)
    program = langevin("leimkuhler_matthews").program
    answer = [b.name for b in program.blocks].index("q")
    assert same(stationary(program)[answer, answer], 1 / lam)
    sgld = stationary(langevin("sgld").program)[0]
    assert same(sgld, (1 + h * sigma**2 / 2) / (1 - h * lam / 2) / lam)
    with pytest.raises(od.OdescentError, match="theta must be a number"):
        od.algorithm("stochastic_theta", theta=0)
    with pytest.raises(od.OdescentError, match="a word with A, B and O"):
        od.algorithm("langevin_splitting", word="BAB")


def test_the_textbook_form_of_leimkuhler_and_matthews() -> None:
    """x+ = x - h g(x) + sqrt(h/2) (xi + xi+), each xi used in two steps."""
    machine = Machine(
        langevin("leimkuhler_matthews").program, {"grad_f": np.sinh}, h=sp.Rational(1, 10)
    )
    draws = np.random.default_rng(0).standard_normal((9, 2))
    state = machine.init(np.array([0.4, -0.2]))
    states = [state := machine.step(state, 0, {"xi": xi}) for xi in draws]
    for k in range(8):
        now = states[k]["q"]
        wanted = now - 0.1 * np.sinh(now) + np.sqrt(0.05) * (draws[k] + draws[k + 1])
        np.testing.assert_allclose(states[k + 1]["q"], wanted, rtol=1e-13)


ORDERS = {
    "baoab": 2, "aboba": 2, "obabo": 2, "langevin_splitting": 1, "underdamped_exact": 1,
    "underdamped_langevin": 1, "unadjusted_langevin": 1, "stochastic_theta": 2,
}  # fmt: skip


@pytest.mark.parametrize("name", ORDERS)
def test_weak_orders(name: str) -> None:
    """Means and covariances on a quadratic at time 1 against the flow's own, both exact."""
    options = {"word": "OAB"} if name == "langevin_splitting" else {}
    program = od.algorithm(name, **options).own_program
    values = {lam: 3, gam: 1.5, u: 0.5}
    drift, noise = np.array([[-3.0]]), np.array([[np.sqrt(2.0)]])
    if len(program.blocks) == 2:
        drift, noise = np.array([[0.0, 1], [-1.5, -1.5]]), np.array([[0.0], [np.sqrt(1.5)]])
    exact, counts, errors = flow(drift, noise, 1.0), (20, 40, 80), []
    for n in counts:
        found = after_time(program, {**values, h: 1 / n}, n)
        errors.append(max(np.abs(a - b).max() for a, b in zip(found, exact, strict=True)))
    assert fitted_order([1 / n for n in counts], errors) == pytest.approx(ORDERS[name], abs=0.12)


@pytest.mark.parametrize("word", ["BAOAB", "ABOBA", "OBABO", "OAB", "BOAOB"])
def test_without_noise_they_are_conformal_symplectic(word: str) -> None:
    """With the draws at zero: the same word on the damped flow, area shrinking by e^(-gam h); OBA is heavy ball."""
    calm = od.System(
        {"damp": {v: -gam * v}, "kick": {v: -u * f.grad(x)}, "drift": {x: v}}, output=x
    )
    letters = {"A": ("drift", "explicit"), "B": ("kick", "explicit"), "O": ("damp", "exact")}
    quiet = od.Algorithm(calm, od.scheme("splitting", word, **letters), h)
    noisy = od.algorithm("langevin_splitting", word=word)
    ours, theirs = noisy.own_program.update_map(), quiet.own_program.update_map()
    assert all(vanishes(ours[s] - theirs[s]) for s in theirs)
    a, _ = linear_map(noisy.own_program)
    assert same(a.det(), E)
    ball = od.Algorithm(calm, od.scheme("splitting", "OBA", **letters), h).coefficients
    assert same(ball["alpha"], u * h**2) and same(ball["beta"], E) and ball["gamma"] == 0


def test_great_friction_turns_baoab_into_leimkuhler_and_matthews() -> None:
    """gam -> infinity: position moves as in their method with the step h^2 u/2, as they derived it."""
    a, b = linear_map(langevin("baoab").own_program)
    at_infinity = lambda e: sp.limit(e, gam, sp.oo)
    assert same(
        at_infinity(a[0, 0]), 1 - h**2 * u * lam / 4
    )  # and as much by the velocity before it
    assert same(at_infinity(a[0, 1] * a[1, 0]), -(h**2) * u * lam / 4 * (1 - h**2 * u * lam / 4))
    assert same(at_infinity(b[0]) ** 2, h**2 * u / 4)


# what is emitted


COEFFICIENTS = [(0.1, 2.0, 1.0), (1e-3, 1.0, 1.0), (10.0, 1e4, 0.3), (0.5, 1e-9, 1.0)]


@pytest.mark.parametrize(("step", "friction", "scale"), COEFFICIENTS)
def test_emitted_coefficients_keep_their_digits(step: float, friction: float, scale: float) -> None:
    """exp overflows where gam h = 10^5 and cancels where it is 10^-9; the emitted coefficients do neither."""
    with mp.workdps(60):
        hh, g, uu = map(mp.mpf, (step, friction, scale))
        e = mp.exp(-g * hh)
        wanted = {"c_xi_v": mp.sqrt(uu * (1 - e**2)), "c_g_v": uu * (1 - e) / g, "c_v": (1 - e) / g}
        wanted["c_xi"] = uu / g * (1 - e) ** 2 / wanted["c_xi_v"]
        for target in ("numpy", "jax"):
            module = load(langevin("underdamped_exact"), target)
            found = module.coefficients(step, friction, scale)
            for name, value in wanted.items():
                assert float(getattr(found, name)) == pytest.approx(float(value), rel=4e-15)
            assert np.isfinite(float(found.c_xi_x))
            heat = load(langevin("obabo"), target).coefficients(step, friction, scale).c_xi
            assert float(heat) == pytest.approx(float(mp.sqrt(uu * (1 - e))), rel=4e-15)


def test_runs_have_the_stationary_covariance(key: jax.Array) -> None:
    """OBABO's two draws are independent: 20000 steps of 8 chains on a quadratic, within five standard errors."""
    objective = od.Objective("quadratic", fun=lambda p: 1.5 * (p @ p))
    done = langevin("obabo").run(objective, np.zeros(8), 20_000, key=key, h=0.4, gam=2.0, u=1.0)
    samples = np.stack([done.states[n][500:] for n in ("x", "v")]).reshape(2, -1)
    found, factor = np.cov(samples), 4 / (4 - 0.4**2 * 3)
    assert found[0, 0] == pytest.approx(factor / 3, rel=0.03)
    assert found[1, 1] == pytest.approx(1.0, rel=0.03)
    assert abs(found[0, 1]) < 0.02


def test_words_and_letters() -> None:
    strang = od.scheme("splitting", "ABA", A=("damp", "exact"), B=("kick", "explicit"))
    assert strang.steps == od.scheme("strang", [("damp", "exact"), ("kick", "explicit")]).steps
    for word, letters in (
        ("AB", {"A": ("a", "exact")}),
        ("", {}),
        ("A", {"A": ("a", "exact"), "B": ("b", "exact")}),
    ):
        with pytest.raises(od.OdescentError, match="for each of its letters"):
            od.scheme("splitting", word, **letters)
    with pytest.raises(od.OdescentError, match="letter A of a splitting"):
        od.scheme("splitting", "A", A="exact")
