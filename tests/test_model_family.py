"""The (c, eta) family: its Riccati equation, MATH b.5's table, T1 rows of MATH (c), textbook loops, limits."""

from __future__ import annotations

import inspect

import hand_loops
import mpmath
import numpy as np
import pytest
import sympy as sp
from programs import fitted_order
from scipy.integrate import solve_ivp

import odescent as od
from odescent.discretize.emit import load
from odescent.discretize.library.model_family import TAU, discretized, half_way, whole_way
from odescent.discretize.programs.substeps import Flow, Integrator, Let, Scheme
from odescent.dynamics.algebra.calculus import vanishes
from odescent.dynamics.algebra.exact import is_zero
from odescent.dynamics.library.model_family import MEMBERS, family, model_family, riccati, time
from odescent.dynamics.vector_fields.second_order import position, velocity
from odescent.dynamics.vector_fields.system import mu

a, c, h = od.parameters("a c h")
f = od.Objective("f")
m, g = sp.sqrt(mu), f.grad(position)


def scales(c_: int):
    """theta of (tau, h, mu) and tau+ of (theta, h, mu), as functions of numbers."""
    return tuple(sp.lambdify((TAU, h, mu), e, "numpy") for e in (half_way(c_), whole_way()))


def quadratic() -> od.Objective:
    return od.Objective("q", lambda x: (x[0] ** 2 + 10 * x[1] ** 2) / 2, mu=1, L=10)


# the flow

TABLE = {
    "nesterov_sc": (2 * m, 1),
    "triple_momentum": (3 * m, 2),
    "nesterov_c": (3 / time, 1),
    "ogm": (3 / time, 2),
    "unified_nesterov": (m / 2 * (sp.tanh(m * time / 2) + 3 * sp.coth(m * time / 2)), 1),
    "item": (3 * m * sp.coth(m * time), 2),
}


@pytest.mark.parametrize("name", TABLE)
def test_the_table_of_equations(name: str) -> None:
    damping, stiffness = TABLE[name]
    lhs = model_family(name).limit({a: 0}).second_order().lhs
    assert vanishes(lhs - damping * velocity - stiffness * g)
    assert not vanishes(lhs - damping * velocity * sp.Rational(8, 7) - stiffness * g)
    assert set(MEMBERS) == set(TABLE)


def test_registered_systems_are_members() -> None:
    for name in ("ogm", "item", "unified_nesterov"):
        assert {s: str(e) for s, e in od.system(name).drift.items()} == {
            s: str(e) for s, e in model_family(name).drift.items()
        }
    assert od.system("model_family").time == time
    with pytest.raises(od.OdescentError, match="item"):
        od.system("model_family", member="itm")


@pytest.mark.parametrize(
    ("c_", "mu_", "tau0"),
    [(1, 0.3, 0.0), (2, 0.3, 0.0), (1.5, 2.0, 0.2), (3, 0.0, 0.7), (2, 0.25, 2.0)],
)
def test_riccati_against_an_integrator(c_: float, mu_: float, tau0: float) -> None:
    tau = riccati(c_, mu_, tau0)
    solved = solve_ivp(
        lambda _, y: c_ / 2 * (1 - mu_ * y**2),
        (0, 3),
        [tau0],
        rtol=1e-11,
        atol=1e-12,
        t_eval=[0.5, 1.7, 3.0],
    )
    closed = [float(tau.subs(time, t)) for t in solved.t]
    np.testing.assert_allclose(closed, solved.y[0], rtol=1e-9)


def test_riccati_symbolically() -> None:
    tau0 = sp.Symbol("b", positive=True)
    tau = riccati(c, mu, tau0)
    assert is_zero(sp.diff(tau, time) - c / 2 * (1 - mu * tau**2)) and is_zero(
        tau.subs(time, 0) - tau0
    )
    assert is_zero(riccati(2, mu) - sp.tanh(m * time) / m)
    assert is_zero(riccati(c, mu, 1 / m) - 1 / m)
    assert riccati(c, 0) == c * time / 2


@pytest.mark.parametrize("given", [(0, mu, 0), (-1, mu, 0), (1, -1, 0), (1, mu, -2), (1, mu, time)])
def test_riccati_refuses(given: tuple[object, ...]) -> None:
    with pytest.raises(od.OdescentError, match="of the Riccati equation must be"):
        riccati(*given)


# the methods

T1 = {
    ("nesterov_c", None): {
        1: 0.9,
        2: 0.7875,
        3: 0.66825,
        10: 0.0181115161998,
        20: -0.003117900152003,
    },
    ("nesterov_c", "fista"): {
        1: 0.9,
        2: 0.81,
        3: 0.7061779644648,
        10: 0.04472201915187,
        20: -0.008998554055205,
    },
    ("ogm", None): {
        1: 0.9,
        2: 0.7543769410125,
        3: 0.5863665340203,
        10: -0.08697483461723,
        20: 0.008824639840851,
    },
}


@pytest.mark.parametrize(("name", "momentum"), T1)
def test_published_rows(name: str, momentum: str | None) -> None:
    options = {} if momentum is None else {"momentum": momentum}
    run = od.algorithm(name, **options).run(quadratic(), [1.0, 1.0], 20)
    for k, value in T1[name, momentum].items():
        assert float(run.x[k, 0]) == pytest.approx(value, abs=1.5e-13 * 10)
    np.testing.assert_allclose(run.x[1:, 1], 0, atol=1e-12)


def test_gradient_points_of_ogm() -> None:
    run = od.algorithm("ogm").run(quadratic(), [1.0, 1.0], 3)
    np.testing.assert_allclose(
        run.states["y"][1:, 0], [0.838196601125, 0.651518371134, 0.461470769851], atol=2e-12
    )


def test_momentum_is_one_of_two() -> None:
    with pytest.raises(od.OdescentError, match="k_minus_1_over_k_plus_2"):
        od.algorithm("nesterov_c", momentum="polyak")


@pytest.mark.parametrize(("c_", "name"), [(1, "nesterov_sc"), (2, "triple_momentum")])
def test_the_steady_members(c_: int, name: str) -> None:
    x, z = od.blocks("x z")
    steady = discretized(c_, mu, 1 / m)
    run = steady.run(quadratic(), [1.0, 1.0], 20)
    read = run.x if c_ == 1 else run.states["z"]
    for k, values in hand_loops.T1[name].items():
        np.testing.assert_allclose(read[k], values, atol=1e-12)
    assert steady.program.state == (x, z, TAU)
    np.testing.assert_allclose(run.states["tau"], 1.0, rtol=1e-14)


def item_loop(grad, x0, steps, mu_, L_):
    """Taylor and Drori's algorithm."""
    q = mu_ / L_
    A, x, z, xs, zs = 0.0, x0, x0, [x0], [x0]
    for _ in range(steps):
        A1 = ((1 + q) * A + 2 * (1 + np.sqrt((1 + A) * (1 + q * A)))) / (1 - q) ** 2
        beta = A / ((1 - q) * A1)
        delta = ((1 - q) ** 2 * A1 - (1 + q) * A) / (2 * (1 + q + q * A))
        y = (1 - beta) * z + beta * x
        slope = grad(y)
        x, z, A = y - slope / L_, (1 - q * delta) * z + q * delta * y - delta / L_ * slope, A1
        xs.append(x)
        zs.append(z)
    return np.array(xs), np.array(zs), A


def scheme_one(grad, x0, steps, mu_, L_):
    """Nesterov's constant step scheme I from gamma_0 = infinity: a^2 = (1 - a) a_-^2 + (mu / L) a, a_0 = 1."""
    q, a_ = mu_ / L_, 1.0
    x, v, xs = x0, x0, [x0]
    for _ in range(steps):
        weight = (1 - q * (1 / a_)) / ((1 / a_) * (1 - q))
        y = (1 - weight) * x + weight * v
        slope = grad(y)
        x, v = y - slope / L_, (1 - q / a_) * v + q / a_ * y - slope / (L_ * a_)
        xs.append(x)
        a_ = ((q - a_**2) + np.sqrt((q - a_**2) ** 2 + 4 * a_**2)) / 2
    return np.array(xs)


def test_item_against_its_published_form() -> None:
    grad, Q, center, x0 = hand_loops.quadratic()
    objective = od.Objective(
        "q", lambda x: (x - center) @ Q @ (x - center) / 2, mu=hand_loops.MU, L=hand_loops.L
    )
    run = od.algorithm("item").run(objective, x0, 40)
    xs, zs, A = item_loop(grad, x0, 40, hand_loops.MU, hand_loops.L)
    np.testing.assert_allclose(run.x, xs, atol=1e-12)
    np.testing.assert_allclose(run.states["z"], zs, atol=1e-12)
    # the certificate's rate is Taylor and Drori's, and it holds here
    assert np.sum((zs[-1] - center) ** 2) <= np.sum((x0 - center) ** 2) / (
        1 + hand_loops.MU / hand_loops.L * A
    )


def test_unified_against_constant_step_scheme_one() -> None:
    grad, Q, center, x0 = hand_loops.quadratic(seed=3)
    objective = od.Objective(
        "q", lambda x: (x - center) @ Q @ (x - center) / 2, mu=hand_loops.MU, L=hand_loops.L
    )
    run = od.algorithm("unified_nesterov").run(objective, x0, 40)
    np.testing.assert_allclose(
        run.x, scheme_one(grad, x0, 40, hand_loops.MU, hand_loops.L), atol=1e-12
    )


def test_item_coefficients_to_twenty_digits() -> None:
    """MATH b.5's recurrence of A against the family's of tau, over 30 steps."""
    with mpmath.workdps(60):
        q = mpmath.mpf(3) / 100
        half = sp.lambdify(TAU, half_way(2, q_ := sp.Rational(3, 100), TAU, sp.S.One), "mpmath")
        whole = sp.lambdify(TAU, whole_way(TAU, q_, sp.S.One), "mpmath")
        A, tau = mpmath.mpf(0), mpmath.mpf(0)
        for _ in range(30):
            root = mpmath.sqrt((1 + A) * (1 + q * A))
            A1 = ((1 + q) * A + 2 * (1 + root)) / (1 - q) ** 2
            beta, delta = (
                A / ((1 - q) * A1),
                ((1 - q) ** 2 * A1 - (1 + q) * A) / (2 * (1 + q + q * A)),
            )
            theta = half(tau)
            tau = whole(theta)
            assert abs((theta - 1) / (theta + 1) - beta) < 1e-20
            assert abs(tau - delta) < 1e-20 * delta
            A = A1


@pytest.mark.parametrize("c_", [1, 2])
def test_the_recurrence_is_the_one_of_the_notes(c_: int) -> None:
    """MATH b.5 in T = tau / h; c = 1 as a_k^2 = (1 - a_k) a_{k-1}^2 + m a_k with a = 1 / T as well."""
    h_, mu_, T = 0.7, 0.4, 1.3
    q = mu_ * h_**2
    half, whole = scales(c_)
    made = whole(half(T * h_, h_, mu_), h_, mu_) / h_
    r = 1 - q * T**2
    noted = (
        (r + np.sqrt(r**2 + 4 * T**2)) / 2
        if c_ == 1
        else (r + np.sqrt(1 + (1 - q) * T**2)) / (1 + q - q**2 * T**2)
    )
    assert float(made) == pytest.approx(noted, rel=1e-14)
    if c_ == 1:
        new, old = 1 / noted, 1 / T
        assert new**2 == pytest.approx((1 - new) * old**2 + q * new, rel=1e-13)


# limits


@pytest.mark.parametrize("name", ["nesterov_c", "ogm", "item", "unified_nesterov"])
def test_the_methods_follow_their_flows(name: str) -> None:
    """x_k at k h = 2 against a scipy integration of the second-order equation, on a fixed f.

    Order 1 up to a logarithm: from T = 0 the scale T_k is k / 2 + log(k) / 4 + ... (c = 1), k + log(k) / 2 (c = 2).
    """
    lam, mu_ = 2.0, 0.5
    damping, stiffness = TABLE[name]
    rate = sp.lambdify(time, damping.subs(mu, mu_), "numpy")
    end, early = 2.0, 1e-6
    # near t = 0 the damping is 3 / t: x = x0 - stiffness lam x0 t^2 / 8
    slope = -stiffness * lam * early / 4
    exact = solve_ivp(
        lambda t, s: [s[1], -rate(t) * s[1] - stiffness * lam * s[0]],
        (early, end),
        [1.0, slope],
        rtol=1e-10,
        atol=1e-12,
    ).y[0, -1]
    options = {"momentum": "fista"} if name == "nesterov_c" else {}
    method = od.algorithm(name, **options)
    module, needs = load(method, "numpy"), {p.name for p in method.parameters}
    counts, errors = [40, 80, 160, 320], []
    for n in counts:
        h_ = end / n
        values = {"mu": mu_, "L": 1 / h_**2}
        coefficients = module.coefficients(**{k: v for k, v in values.items() if k in needs})
        more = {"c": coefficients} if "c" in inspect.signature(module.init).parameters else {}
        state = module.init(np.ones(1), **more)
        for _ in range(n):
            state = module.step(state, lambda p: lam * p, coefficients)
        errors.append(abs(float(state.x[0]) - exact))
    assert 0.65 < fitted_order([end / n for n in counts], errors) < 1.4, errors
    logs = np.polyfit(
        np.log(counts), [e * n for e, n in zip(errors, counts, strict=True)], 1, full=True
    )
    assert np.sqrt(logs[1][0]) < 0.02 * max(errors) * min(counts)


def test_limits_of_item() -> None:
    """q2 delta / h -> sqrt(mu) tanh(sqrt(mu) t) and (1 - beta) / h -> 2 sqrt(mu) coth(sqrt(mu) t).

    From T = 0, T_k grows like k + log(k) / 2, so that the errors are of order h log(1 / h): their ratio to h
    grows by mu sech^2(sqrt(mu) t) log(10) / 2 with every decade.
    """
    mu_, t = 0.8, 0.5
    root = np.sqrt(mu_)
    half, whole = scales(2)
    counts, errors = [100, 1000, 10000], []
    for n in counts:
        h_, tau = t / n, 0.0
        for _ in range(n):
            theta = half(tau, h_, mu_)
            tau = whole(theta, h_, mu_)
        delta, beta = tau / h_, (theta - h_) / (theta + h_)
        errors.append(
            (
                mu_ * h_ * delta - root * np.tanh(root * t),
                (1 - beta) / h_ - 2 * root / np.tanh(root * t),
            )
        )
    for which in (0, 1):
        order = fitted_order([t / n for n in counts], [abs(e[which]) for e in errors])
        assert 0.8 < order < 1
    scaled = [e[0] * n / t for e, n in zip(errors, counts, strict=True)]
    decade = mu_ / np.cosh(root * t) ** 2 * np.log(10) / 2
    np.testing.assert_allclose(np.diff(scaled), decade, rtol=1e-2)


def test_limit_flow_carries_the_scale() -> None:
    x, z = od.blocks("x z")
    for name, c_ in (("item", 2), ("unified_nesterov", 1)):
        limit = od.algorithm(name).consistent_with()
        assert is_zero(limit.drift[TAU] - sp.Rational(c_, 2) * (1 - mu * TAU**2))
        assert vanishes(limit.drift[x] - (z - x) * (c_ / TAU))
        assert vanishes(limit.drift[z] - (x - z) * (mu * TAU) + f.grad(x) * TAU)


def test_a_wrong_recurrence_is_refused() -> None:
    flow = (Flow(("coupling",), Integrator("cayley")), Flow(("law",), Integrator("explicit")))
    for change, said in ((2 * h, "move by"), (1, "start from")):
        scheme = Scheme((*flow, Let({TAU: TAU + change})), "wrong")
        with pytest.raises(od.NotConsistent, match=said):
            od.Algorithm(family(2, 0), scheme, h, where={a: h})
    od.Algorithm(family(2, 0), Scheme((*flow, Let({TAU: TAU + h})), "right"), h, where={a: h})
    with pytest.raises(od.OdescentError, match="c = 1 and c = 2"):
        discretized(3)


@pytest.mark.parametrize("c_", [1, 2])
def test_energies_decrease_on_a_function_that_is_not_quadratic(c_: int) -> None:
    """The discrete Lyapunov functions of the family, from an infinite scale, as numbers along a run."""
    mu_, L_ = 0.05, 1.05
    value = lambda x: np.sum(np.log(np.cosh(x))) + mu_ / 2 * np.sum(x**2)
    grad = lambda x: np.tanh(x) + mu_ * x
    h_, q = 1 / np.sqrt(L_), mu_ / L_
    half, whole = scales(c_)
    x = z = np.array([3.0, -1.0, 0.4])
    tau, y, last = 0.0, None, None
    for _ in range(40):
        theta = half(tau, h_, mu_)
        new = whole(theta, h_, mu_)
        before, y_old = last, y
        y = ((theta - (c_ - 1) * h_) * x + c_ * h_ * z) / (theta + h_)
        x, z = (
            y - h_**2 * grad(y),
            (1 - mu_ * h_ * new) * z + mu_ * h_ * new * y - h_ * new * grad(y),
        )
        if c_ == 1:
            last = new**2 * value(x) + z @ z / 2
        else:
            bent = grad(y) - mu_ * y
            below = value(y) - mu_ / 2 * y @ y - bent @ bent / (2 * (L_ - mu_))
            last = (1 - q) * new**2 * below + z @ z
        if y_old is not None:
            assert last <= (1 - mu_ * h_ * new) ** c_ * before + 1e-12
        assert (1 - mu_ * h_ * new) ** c_ * (1 - mu_ * tau**2) == pytest.approx(
            1 - mu_ * new**2, abs=1e-13
        )
        tau = new
