"""Accuracies that are controlled: beside a loop by hand, bounds by exact solves, and wrong constants."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import odescent as od
from odescent.paper_figs.operators.inexact_bilevel import Logistic, Ridge, method, run

RIDGE = Ridge(20, 6, 3, 5)


def judged(
    fall: Any, noise: Any, promised: Any, x: Any, trial: Any, s: float, eps: float, delta: float
) -> tuple[Any, float, float, float]:
    """A step that falls whatever the errors is made, and all relax; else the step or the accuracies are to blame."""
    if fall - noise >= promised:
        return trial, 2 * s, 2 * eps, 2 * delta
    if 2 * noise <= promised:
        return x, s / 2, eps, delta
    return x, s, eps / 2, delta / 2


def by_hand(problem: Ridge, accuracy: float, first: float, steps: int) -> list[np.ndarray]:
    """The same in NumPy, from the formulas of the bound."""
    a, b, other, target = problem.a, problem.b, problem.other, problem.target
    rows, (mu, scale) = len(b), (problem.constants[n] for n in ("mu", "L_0"))
    x = np.full(a.shape[1], -1.0)
    y, v, eps, delta, s = np.zeros_like(x), np.zeros_like(x), accuracy, accuracy, first

    def slope(x: Any, y: Any) -> Any:
        return a.T @ (a @ y - b) / rows + np.exp(x) * y

    def dual(x: Any, u: Any) -> Any:
        return np.sqrt(u @ (u / (mu + np.exp(x))))

    def lower(x: Any, y: Any, eps: float) -> Any:
        while True:
            y = y - slope(x, y) / (scale + np.exp(x))
            if dual(x, slope(x, y)) <= eps:
                return y

    def of_value(x: Any, y: Any, eps: float) -> Any:
        pull = other.T @ (other @ y - target) / rows
        return dual(x, pull) * eps + np.mean(other**2 @ (1 / (mu + np.exp(x)))) * eps**2 / 2

    found = [x]
    for _ in range(steps):
        y = lower(x, y, eps)
        pull = other.T @ (other @ y - target) / rows
        while True:
            rest = a.T @ (a @ v) / rows + np.exp(x) * v - pull
            v = v - rest / (scale + np.exp(x))
            rest = a.T @ (a @ v) / rows + np.exp(x) * v - pull
            if dual(x, rest) <= delta:
                break
        z, e = -np.exp(x) * y * v, np.exp(x)
        reach_v, reach_y = (np.sqrt(np.sum(e**2 / (mu + e) * u**2)) for u in (v, y))
        change = np.mean(other**2 @ (1 / (mu + e)))
        if reach_v * eps + (reach_y + eps) * (delta + change * eps) > np.linalg.norm(z) / 2:
            eps, delta = eps / 2, delta / 2
        else:
            value = np.mean((other @ y - target) ** 2) / 2
            noise, promised, trial = of_value(x, y, eps), s * (z @ z) / 10, x - s * z
            y = lower(trial, y, eps)
            noise += of_value(trial, y, eps)
            fall = value - np.mean((other @ y - target) ** 2) / 2
            x, s, eps, delta = judged(fall, noise, promised, x, trial, s, eps, delta)
        found.append(x)
    return found


@pytest.mark.parametrize(("accuracy", "first"), [(1.0, 0.1), (0.01, 10.0)])
def test_it_decides_as_a_loop_by_hand(accuracy: float, first: float) -> None:
    made = method(True)
    begin: dict[str, Any] = {"x": np.full(6, -1.0), "y": np.zeros(6), "v": np.zeros(6)}
    begin |= {"eps": accuracy, "delta": accuracy, "s": first}
    starts = {b.symbol: begin.get(b.name, 0.0) for b in made.system.blocks}
    done = made.run(RIDGE.levels, starts, 60, **RIDGE.constants)
    wanted = np.array(by_hand(RIDGE, accuracy, first, 60))
    assert len(np.unique(wanted, axis=0)) > 10
    np.testing.assert_allclose(done.x, wanted, rtol=0, atol=1e-9)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_accepted_step_violates_what_is_claimed(seed: int) -> None:
    problem = Ridge(24, 8, 4, seed)
    for accuracy, first in ((1.0, 10.0), (1e-3, 0.1)):
        found = run(problem, method(True), accuracy, first, 3000)
        assert found["moved"] > 10 and found["violations"] == 0


def test_wrong_constants_are_found_out() -> None:
    """With a curvature a hundred times too large, and no change of the adjoint, steps violate the bounds."""
    problem = Ridge(24, 8, 4, 1)
    problem.constants = {**problem.constants, "mu": 100 * problem.constants["mu"]}
    problem.levels["C"] = lambda x, v: 1e-9 * jnp.sum(x**2 + v**2)
    found = [run(problem, method(True), a, s, 3000) for a in (10.0, 1.0) for s in (0.1, 10.0)]
    assert sum(r["violations"] for r in found) > 0


@pytest.mark.parametrize(
    "problem", [RIDGE, Logistic(0, 6), Logistic(1, 6)], ids=["ridge", "logistic", "other halves"]
)
def test_the_exact_gradient_of_the_figure_is_that_of_the_package(problem: Any) -> None:
    x, levels = np.linspace(-3, 1, 6), problem.levels
    wanted = od.hypergradient(levels["F"], levels["G"], x, np.zeros(6), lower_tolerance=1e-12)
    loss, slope = problem.exact(x)
    np.testing.assert_allclose(slope, wanted, atol=1e-9)
    apart = 1e-5 * np.eye(6)
    differences = [(problem.exact(x + e)[0] - problem.exact(x - e)[0]) / 2e-5 for e in apart]
    np.testing.assert_allclose(slope, differences, atol=1e-8)
    assert loss > 0


def test_a_hessian_that_changes_is_in_the_bound() -> None:
    """Points and adjoints that are off by the accuracies: the hypergradient is as near as the bound says."""
    problem, rng = Logistic(0, 6), np.random.default_rng(3)
    x, a = np.linspace(-3, 0, 6), problem.a
    weight, (_, wanted) = np.exp(x), problem.exact(x)

    def slope(y: Any) -> Any:
        return weight * y - a.T @ (1 / (1 + np.exp(a @ y))) / len(a)

    y = np.zeros(6)
    for _ in range(20_000):
        y = y - slope(y) / (problem.constants["L_0"] + weight)
    closest = np.inf
    for eps in np.repeat([1.0, 0.3, 0.01], 40):
        off = rng.normal(size=6)
        near = y + off * eps / np.sqrt(off @ (weight * off))
        share = 1 / (1 + np.exp(a @ near))
        hessian = (a.T * (share * (1 - share))) @ a / len(a) + np.diag(weight)
        pull = -problem.other.T @ (1 / (1 + np.exp(problem.other @ near))) / len(problem.other)
        rest = rng.normal(size=6)
        rest *= eps / np.sqrt(rest @ (rest / weight))
        v = np.linalg.solve(hessian, pull + rest)
        change = float(problem.levels["C"](x, v))
        reach_v, reach_y = (np.sqrt(np.sum(weight * u**2)) for u in (v, near))
        bound = reach_v * eps + (reach_y + eps) * (eps + change * eps)
        closest = min(closest, bound / np.linalg.norm(-weight * near * v - wanted))
    assert 1 <= closest < 100


def test_values_of_one_of_several_functions_stand_in_guards() -> None:
    """Descent in x on F(x, y), which stops where F(x, y) <= 1."""
    x, y = od.blocks("x y")
    f = od.Objective("F", args=("x", "y"))
    h = od.parameters("h")
    descent = od.Let({x: x - h * f.grad(x, y, wrt="x")})
    blocks = [od.Block("x", role="memory"), od.Block("y", role="memory")]
    made = od.Algorithm(
        od.System({}, blocks=blocks, output=x, init={x: od.dynamics.start, y: od.dynamics.start}),
        od.Scheme((od.Select(f.value(x, y) >= 1, [descent], []),), "until one"), step=h,
    )  # fmt: skip
    done = made.run({"F": lambda x, y: (x**2).sum() + (y**2).sum() / 8}, np.array([2.0]), 40, h=0.1)
    points = [2.0]
    for _ in range(40):
        last = points[-1]
        points.append(last - 0.2 * last if last**2 + 0.5 >= 1 else last)
    np.testing.assert_allclose(done.x[:, 0], points, atol=1e-12)


@pytest.mark.parametrize("name", ["accurate", "certain_decrease"])
def test_the_controllers_are_public(name: str) -> None:
    assert name in od.discretize.controllers.__all__


class Curved:
    """G = |A^(1/2) (y - B x)|^2/2 and a lower level that is no quadratic where ``bend`` is not 0."""

    def __init__(self, seed: int, bend: float) -> None:
        rng = np.random.default_rng(seed)
        m = rng.normal(size=(4, 4))
        self.A = m @ m.T / 4 + np.eye(4) / 2
        self.B, self.t, self.bend = rng.normal(size=(4, 4)) / 2, rng.normal(size=4), bend
        curvature = np.linalg.eigvalsh(self.A)
        # |sin'''| <= 1: with y the second derivatives of bend sum sin(y) change by bend at most
        self.constants = {
            "mu": curvature[0] - bend, "L": curvature[-1] + bend, "M": max(bend, 1e-9), "L_F": 1.0,
            "K": float(np.linalg.norm(self.A @ self.B, 2)), "h": 1.0,
        }  # fmt: skip
        self.levels = {
            "F": lambda x, y: jnp.sum((y - self.t) ** 2) / 2 + jnp.sum(x**2) / 20,
            "G": lambda x, y: (y - self.B @ x) @ self.A @ (y - self.B @ x) / 2 + bend * jnp.sum(jnp.sin(y)),
        }  # fmt: skip

    def lower(self, x: Any) -> tuple[np.ndarray, np.ndarray]:
        """The minimizer, by Newton's method, and the Hessian there."""
        y = self.B @ x
        for _ in range(50):
            bent = self.A - self.bend * np.diag(np.sin(y))
            y = y - np.linalg.solve(bent, self.slope(x, y))
        return y, bent

    def slope(self, x: Any, y: Any) -> np.ndarray:
        return self.A @ (y - self.B @ x) + self.bend * np.cos(y)

    def exact(self, x: Any) -> tuple[float, np.ndarray]:
        y, bent = self.lower(x)
        v = np.linalg.solve(bent, y - self.t)
        return np.sum((y - self.t) ** 2) / 2 + np.sum(x**2) / 20, x / 10 + self.B.T @ self.A @ v

    def by_hand(self, x: np.ndarray, steps: int) -> tuple[list[np.ndarray], int]:
        """The registered method in NumPy, from its docstring, and how many steps it tried."""
        tried = 0
        mu, L, M, L_F, K, h = (self.constants[n] for n in ("mu", "L", "M", "L_F", "K", "h"))
        y, v, eps, delta, s, found = np.zeros(4), np.zeros(4), 1.0, 1.0, 1.0, [x]

        def rested(x: Any, y: Any) -> Any:
            while True:
                y = y - self.slope(x, y) / L
                if self.slope(x, y) @ self.slope(x, y) <= (mu * eps) ** 2:
                    return y

        def of_value(y: Any) -> Any:
            return np.linalg.norm(y - self.t) * eps + L_F * eps**2 / 2

        def loss(x: Any, y: Any) -> Any:
            return np.sum((y - self.t) ** 2) / 2 + np.sum(x**2) / 20

        for _ in range(steps):
            y = rested(x, y)
            bent = self.A - self.bend * np.diag(np.sin(y))
            while True:
                v = v - (bent @ v - (y - self.t)) / L
                if np.sum((bent @ v - (y - self.t)) ** 2) <= delta**2:
                    break
            z, changed = x / 10 + self.B.T @ self.A @ v, (L_F + M * np.linalg.norm(v)) * eps
            if changed + (K + M * eps) * (delta + changed) / mu > np.linalg.norm(z) / 2:
                eps, delta = eps / 2, delta / 2
            else:
                value, noise, promised, trial = (
                    loss(x, y),
                    of_value(y),
                    h * s * z @ z / 10,
                    x - h * s * z,
                )
                y = rested(trial, y)
                noise += of_value(y)
                tried, fall = tried + 1, value - loss(trial, y)
                x, s, eps, delta = judged(fall, noise, promised, x, trial, s, eps, delta)
            found.append(x)
        return found, tried


@pytest.mark.parametrize("bend", [0.0, 0.2])
def test_the_registered_method_is_its_docstring(bend: float) -> None:
    problem, begin = Curved(1, bend), np.array([2.0, -1.0, 1.0, 3.0])
    done = od.algorithm("inexact_bilevel").run(problem.levels, begin, 60, **problem.constants)
    wanted, tried = problem.by_hand(begin, 60)
    assert len(np.unique(wanted, axis=0)) > 10 and done.counts["values"][-1] == 2 * tried
    np.testing.assert_allclose(done.x, wanted, rtol=0, atol=1e-9)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("bend", [0.0, 0.2])
def test_accepted_steps_decrease_and_hypergradients_are_as_near_as_claimed(
    seed: int, bend: float
) -> None:
    """Of the upper level along the minimizer, by exact solves: true decrease in every step that moves."""
    problem, begin = Curved(seed, bend), 3 * np.random.default_rng(seed).normal(size=4)
    done = od.algorithm("inexact_bilevel").run(problem.levels, begin, 80, **problem.constants)
    x, s, z = (np.asarray(a) for a in (done.x, done.states["s"], done.states["z"]))
    moved = [k for k in range(len(x) - 1) if np.any(x[k + 1] != x[k])]
    assert len(moved) > 8
    for k in moved:
        (before, slope), (after, _) = problem.exact(x[k]), problem.exact(x[k + 1])
        assert after <= before - s[k] * z[k + 1] @ z[k + 1] / 10 * (1 - 1e-9) + 1e-14
        assert np.linalg.norm(z[k + 1] - slope) <= np.linalg.norm(z[k + 1]) / 2 + 1e-12
    assert np.linalg.norm(problem.exact(x[-1])[1]) < 0.02 * np.linalg.norm(problem.exact(x[0])[1])


def test_the_limit_is_the_flow_of_the_hypergradient() -> None:
    """Loops that end near a fixed point are at it, an implicit function, in limits and modified equations."""
    method, (x, y, u) = od.algorithm("inexact_bilevel"), od.blocks("x y u")
    s = next(b.symbol for b in method.system.blocks if b.name == "s")
    limit = method.consistent_with().drift[x] * (1 / s)
    F, G = (od.Objective(n, args=("x", "y")) for n in ("F", "G"))
    lowest = od.root(G.grad(x, y, wrt="y"), y)
    fall = od.dynamics.derivative(F.value(x, lowest), {x: u})
    assert od.dynamics.vanishes(fall + od.inner(limit, u))


def test_a_loop_at_a_fixed_point_has_a_modified_equation() -> None:
    """Implicit Euler by an inner loop is implicit Euler, to the order of its modified equation."""
    x, y, h = *od.blocks("x y"), od.parameters("h")
    f, tol = od.Objective("f"), od.parameters("tol")
    left = y - x + h * f.grad(y)

    def method(fixed: bool) -> od.Algorithm:
        loop = od.Repeat(
            [od.Let({y: y - left / 2})], od.inner(left, left) <= tol**2, 100, fixed_point=fixed
        )
        flow = od.System(
            {"descent": {x: -f.grad(x)}}, blocks=[od.Block("x"), od.Block("y", role="memory")], output=x
        )  # fmt: skip
        return od.Algorithm(flow, od.Scheme((od.Let({y: x}), loop, od.Let({x: y}))), step=h)

    made, known = method(True), od.Algorithm(od.system("gradient_flow"), "implicit_euler", step=h)
    assert od.dynamics.vanishes(
        made.modified_equation(2).drift[x] - known.modified_equation(2).drift[x]
    )
    assert "(where each inner loop ends at the fixed point of" in str(made.modified_equation(1))
    assert "where" not in str(known.modified_equation(1))
    with pytest.raises(od.OdescentError, match="moves x in every iteration"):
        method(False).consistent_with()
    twice = od.Repeat([od.Let({y: x - h * f.grad(y)})], max_steps=2, fixed_point=True)
    flow = made.system
    counted = od.Algorithm(flow, od.Scheme((od.Let({y: x}), twice, od.Let({x: y}))), step=h)
    assert not od.dynamics.vanishes(  # it is no fixed point that a number of iterations ends at
        counted.modified_equation(3).drift[x] - known.modified_equation(3).drift[x]
    )
    derivation = made.derivation()
    assert derivation.verified and "ends at the fixed point of its iteration" in str(derivation)
