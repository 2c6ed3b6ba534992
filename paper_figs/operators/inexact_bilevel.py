"""Bilevel learning with controlled accuracies: nine starts, fixed accuracies, and every bound by exact solves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

import odescent as od

from ..claims import Claim, at_least, at_most, exactly
from ..drawing import legend_under, letter, panels
from ..entry import PaperFigure, Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SOURCE = "measured here; the method is in the manner of arXiv:2308.10098"
LIMIT = "limit; measured here"
_SCALARS = ("eps", "delta", "s", "value", "noise", "promised")
_COMMON = 1.02  # losses up to this, times the worst of the nine, are what costs are compared at


def method(adaptive: bool) -> od.Algorithm:
    """Descent along the inexact hypergradient of a loss with one weight e^x_i for each coefficient y_i.

    G(x, y) = g(y) + sum e^x_i y_i^2/2 is the lower level, where g'' lies between mu I and L_0 I, and F(y) the loss of
    other data. Errors are measured by D = mu + e^x, entry by entry: |u|_D^2 = <u, D u>. y and the adjoint v are found
    by steps that are divided by L_0 + e^x, to |y - y*|_D <= eps and to a residual of delta in the norm of 1/D, and
    C(x, v) bounds what an error of y of length 1 changes of the adjoint's equation. Accuracies that are not adaptive
    stay.
    """
    import sympy as sp

    Let, Repeat = od.Let, od.Repeat
    x, y, v = od.blocks("x y v")
    upper, lower = od.Objective("F", args=("x", "y")), od.Objective("G", args=("x", "y"))
    eps, delta, s, value, noise, promised = (sp.Symbol(n, real=True) for n in _SCALARS)
    mu, scale = sp.Symbol("mu", nonnegative=True), od.parameters("L_0")
    step = sp.Symbol("h", positive=True)
    slope, target = lower.grad(x, y, wrt="y"), upper.grad(x, y, wrt="y")
    rest = lower.grad(x, y, wrt="y", along=({"y": v},)) - target
    z = upper.grad(x, y, wrt="x") - lower.grad(x, y, wrt="x", along=({"y": v},))

    def square(u: Any, weight: Callable[[Any], Any]) -> Any:
        """The sum of the squares of entries, with weights made of e^x."""
        return od.inner(u, od.hadamard(od.elementwise(lambda t: weight(sp.exp(t)), x), u))

    def dual(u: Any) -> Any:
        return square(u, lambda e: 1 / (mu + e))

    def reach(u: Any) -> Any:
        """How much |e^x u w| is at most, where |w|_D is 1."""
        return sp.sqrt(square(u, lambda e: e**2 / (mu + e)))

    def solved(block: Any, residual: Any, most: sp.Expr) -> Any:
        weights = od.elementwise(lambda t: 1 / (scale + sp.exp(t)), x)
        moved = Let({block: block - od.hadamard(weights, residual)})
        return Repeat([moved], dual(residual) <= most**2, max_steps=400_000)

    # z = -e^x y v, and |y v - y* v*| is at most that of v (y - y*), of y (v - v*) and of the product of both errors
    change = od.Objective("C", args=("x", "v")).value(x, v)
    error_of_adjoint = delta + change * eps
    error = reach(v) * eps + (reach(y) + eps) * error_of_adjoint
    error_of_value = sp.sqrt(dual(target)) * eps + change * eps**2 / 2
    accuracies = [eps, delta] if adaptive else []
    judged = od.discretize.controllers.certain_decrease(
        (value, upper.value(x, y)), (noise, error_of_value), promised, s, accuracies, [x]
    )
    gain = sp.Rational(1, 10) * step * s * od.inner(z, z)
    kept = Let({value: upper.value(x, y), noise: error_of_value, promised: gain})
    trial = [kept, od.Flow("upper", "explicit"), solved(y, slope, eps), *judged]
    test = od.discretize.controllers.accurate(error, z, accuracies, trial)
    blocks = [od.Block("x"), od.Block("y", role="memory"), od.Block("v", role="memory")]
    blocks += [od.Block(n, "scalar", "coefficient", sp.S.Zero) for n in _SCALARS]
    flow = od.System({"upper": {x: -s * z}}, blocks=blocks, output=x, init={x: od.dynamics.start})
    found = (solved(y, slope, eps), solved(v, rest, delta), *test)
    return od.Algorithm(flow, od.Scheme(found, "inexact"), step=step, tuning={step: 1})


class Ridge:
    """Least squares with a known solution, the data of both levels, and what is exact of them."""

    begin = -1.0  # of x

    def __init__(self, rows: int, dimension: int, informative: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.a, self.other = rng.normal(size=(2, rows, dimension))
        true = np.where(np.arange(dimension) < informative, rng.normal(size=dimension), 0)
        self.b = self.a @ true + rng.normal(size=rows)
        self.target = self.other @ true + rng.normal(size=rows)
        self.hessian = self.a.T @ self.a / rows
        curvatures = np.linalg.eigvalsh(self.hessian)
        self.constants: dict[str, Any] = {"mu": float(curvatures[0]), "L_0": float(curvatures[-1])}

    @cached_property
    def levels(self) -> dict[str, Any]:
        """Both levels in JAX, once, so that what is compiled for them is found again, and the bound C."""
        import jax.numpy as jnp

        a, b, other, target = map(jnp.asarray, (self.a, self.b, self.other, self.target))
        mu = self.constants["mu"]
        return {
            "F": lambda x, y: jnp.mean((other @ y - target) ** 2) / 2,
            "G": lambda x, y: jnp.mean((a @ y - b) ** 2) / 2 + jnp.sum(jnp.exp(x) * y**2) / 2,
            "C": lambda x, v: jnp.mean(other**2 @ (1 / (mu + jnp.exp(x)))),
        }

    def exact(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """The loss of the upper level at the lower minimizer, and its gradient, by dense solves."""
        weight, rows = np.exp(x), len(self.b)
        system = self.hessian + np.diag(weight)
        y = np.linalg.solve(system, self.a.T @ self.b / rows)
        rest = self.other @ y - self.target
        adjoint = np.linalg.solve(system, self.other.T @ rest / rows)
        return float(np.mean(rest**2) / 2), -weight * y * adjoint


class Logistic:
    """Logistic regression on the breast cancer data: one half of the rows for each level."""

    begin = -5.0

    def __init__(self, seed: int, columns: int = 31) -> None:
        from ...dynamics.problems.logistic import breast_cancer_data

        features, label = breast_cancer_data()
        signed = features[:, :columns] * (2.0 * label - 1)[:, None]
        rows = np.random.default_rng(seed).permutation(signed)
        self.a, self.other = np.split(rows, [len(rows) // 2])
        most = np.linalg.eigvalsh(self.a.T @ self.a / len(self.a))[-1] / 4
        self.constants: dict[str, Any] = {"mu": 0.0, "L_0": float(most)}

    @cached_property
    def levels(self) -> dict[str, Any]:
        """Both levels in JAX, and the bound C: of the upper Hessian, and of the lower one's change along v."""
        import jax.numpy as jnp

        a, other = jnp.asarray(self.a), jnp.asarray(self.other)
        third = 1 / (6 * np.sqrt(3))  # the largest third derivative of log(1 + e^-t)

        def change(x: Any, v: Any) -> Any:
            weight = jnp.exp(-x)
            along = third * jnp.mean((a**2 @ weight) * jnp.abs(a @ v))
            return jnp.mean(other**2 @ weight) / 4 + along

        def lower(x: Any, y: Any) -> Any:
            return jnp.mean(jnp.logaddexp(0, -a @ y)) + jnp.sum(jnp.exp(x) * y**2) / 2

        return {"F": lambda x, y: jnp.mean(jnp.logaddexp(0, -other @ y)), "G": lower, "C": change}

    def exact(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """The loss of the upper level at the lower minimizer, by Newton's method, and its gradient."""
        a, other, weight, y = self.a, self.other, np.exp(x), np.zeros(len(x))
        for _ in range(1000):
            share = 1 / (1 + np.exp(a @ y))
            slope = weight * y - a.T @ share / len(a)
            system = (a.T * (share * (1 - share))) @ a / len(a) + np.diag(weight)
            move = np.linalg.solve(system, slope)
            # a margin moves by one at most: further away the Hessian says little of the loss
            y = y - move / max(1.0, float(np.abs(a @ move).max()))
            if np.linalg.norm(move) < 1e-13 * (1 + np.linalg.norm(y)):
                break
        pull = -other.T @ (1 / (1 + np.exp(other @ y))) / len(other)
        adjoint = np.linalg.solve(system, pull)
        return float(np.mean(np.logaddexp(0, -other @ y))), -weight * y * adjoint


def run(
    problem: Ridge | Logistic, made: od.Algorithm, accuracy: float, first: float, budget: int
) -> dict[str, Any]:
    """One run until a budget of products and gradients of the lower level is spent, and how often a claim failed."""
    dimension = problem.a.shape[1]
    begin: dict[str, Any] = {"x": np.full(dimension, problem.begin), "y": np.zeros(dimension), "v": np.zeros(dimension),
                             "eps": accuracy, "delta": accuracy, "s": first}  # fmt: skip
    starts = {b.symbol: begin.get(b.name, 0.0) for b in made.system.blocks}
    found = made.run(
        problem.levels, starts, max_steps=3000, budget={"gradients": budget}, **problem.constants
    )
    x = np.asarray(found.x)
    moved = np.flatnonzero(np.any(x[1:] != x[:-1], axis=1))
    # x stays from one of these to the next
    exact = [problem.exact(x[k]) for k in (0, *(moved + 1))]
    at = np.searchsorted(moved, np.arange(len(x)))
    loss, slopes = (np.array([e[i] for e in exact])[at] for i in (0, 1))
    # a step that is accepted is -s z with the scale before it: the angle of z with the true gradient
    step = x[moved] - x[moved + 1]
    scale = np.asarray(found.states["s"])[moved]
    inexact = step / scale[:, None]
    along = np.sum(inexact * slopes[moved], axis=1) - np.sum(inexact**2, axis=1) / 2
    decrease = loss[moved] - loss[moved + 1] - 0.1 * scale * np.sum(inexact**2, axis=1)
    cost = sum(np.asarray(found.counts[n], float) for n in ("gradients", "products"))
    return {
        "loss": loss, "cost": cost, "moved": len(moved),
        "violations": int(np.sum(along < 0) + np.sum(decrease < 0) + np.sum(np.diff(loss) > 0)),
    }  # fmt: skip


def cost_to(found: Mapping[str, Any], goal: float) -> float:
    """Gradients and products of the lower level until the loss is at most the goal; inf where it never is."""
    reached = np.flatnonzero(found["loss"] <= goal)
    return float(found["cost"][reached[0]]) if reached.size else float("inf")


def compute_inexact_bilevel(
    rows: int, dimension: int, informative: int, seed: int, accuracies: list[float], steps: list[float],
    fixed: list[float], budget: int,
) -> Result:  # fmt: skip
    """Ridge regression: losses over gradients and products, from nine starts and with fixed accuracies.

    Args:
        rows: of the data of each level.
        dimension: of x and y.
        informative: how many coefficients are not zero.
        seed: of the data.
        accuracies: first accuracies of the adaptive runs.
        steps: their first steps.
        fixed: accuracies that stay, each from the same steps.
        budget: of gradients of a run.
    """
    return measured(Ridge(rows, dimension, informative, seed), accuracies, steps, fixed, budget)


def compute_inexact_bilevel_logistic(
    seed: int, columns: int, accuracies: list[float], steps: list[float], fixed: list[float], budget: int,
) -> Result:  # fmt: skip
    """The same for logistic regression, whose Hessian changes with y: the bound has its change, too.

    Args:
        seed: of the halves of the data.
        columns: the number of features of it, of 31 with the constant.
        accuracies: first accuracies of the adaptive runs.
        steps: their first steps.
        fixed: accuracies that stay, each from the same steps.
        budget: of gradients of a run.
    """
    return measured(Logistic(seed, columns), accuracies, steps, fixed, budget)


def measured(
    problem: Ridge | Logistic, accuracies: list[float], steps: list[float], fixed: list[float], budget: int,
) -> Result:  # fmt: skip
    """What is claimed of a problem, and the losses that are drawn."""
    adaptive, constant = method(True), method(False)
    nine = [run(problem, adaptive, a, s, budget) for a in accuracies for s in steps]
    kept = {
        a: [run(problem, constant, a, s, budget) for s in steps]
        for a in dict.fromkeys([*accuracies, *fixed])
    }
    ends = np.array([r["loss"][-1] for r in nine])
    coarse = [r for a in accuracies for r in kept[a]]
    stuck = sum(r["loss"][-1] > 1.05 * ends.max() for r in coarse)
    goal = _COMMON * float(ends.max())
    own = float(np.median([cost_to(r, goal) for r in nine]))
    costs = np.array([np.median([cost_to(r, goal) for r in kept[a]]) for a in fixed])
    claims = (
        Claim("Nine starts, of three accuracies and three steps, end at one loss: relative spread.",
              at_most(0.015), float(ends.max() / ends.min() - 1), SOURCE),
        Claim("The same nine accuracies and steps without the control fail: how many.",
              at_least(6), stuck, SOURCE),
        Claim("Every accepted step has the angle and the decrease that are claimed, by exact solves: violations.",
              exactly(0), sum(r["violations"] for r in nine), "derived here"),
        Claim("Of that many accepted steps.", at_least(100), sum(r["moved"] for r in nine), "derived here"),
        Claim("To a common loss the control costs at most so much of the best fixed accuracy's cost.",
              at_most(1.3), own / float(costs.min()), LIMIT),
    )  # fmt: skip
    data: dict[str, Any] = {"goal": goal, "ends": ends, "accuracies": np.array(fixed, float)}
    data |= {"fixed": costs, "own": own}
    for i, found in enumerate(nine):
        data |= {f"cost {i}": found["cost"], f"loss {i}": found["loss"]}
    for i, found in enumerate(coarse):
        data |= {f"coarse cost {i}": found["cost"], f"coarse loss {i}": found["loss"]}
    return Result(data, claims)


def draw_inexact_bilevel(data: Mapping[str, Any]) -> Figure:
    from ..._support import style

    figure, axes = panels(1, 2, height=2.9)
    looks = (
        ("coarse ", "accuracies stay", style.COLORS[1]),
        ("", "accuracies controlled", style.COLORS[0]),
    )
    furthest = max(float(np.max(data[f"cost {i}"])) for i in range(len(data["ends"])))
    for prefix, said, color in looks:
        for i in range(len(data["ends"])):
            cost, loss = (np.asarray(data[f"{prefix}{n} {i}"], float) for n in ("cost", "loss"))
            if prefix and cost[-1] < furthest:  # one that is stuck is not run to the end
                cost, loss = np.append(cost, furthest), np.append(loss, loss[-1])
            axes[0].plot(
                cost, loss, color=color, lw=1.0,
                ls="-" if not prefix else "--", label=said if i == 0 else "_nolegend_",
            )  # fmt: skip
    axes[0].set(
        xlabel="gradients and products of the lower level", ylabel="loss of the upper level"
    )
    accuracies, costs = np.asarray(data["accuracies"]), np.asarray(data["fixed"], float)
    reached = np.isfinite(costs)
    axes[1].loglog(accuracies[reached], costs[reached], color=style.COLORS[1], marker="s", ms=4, ls="--",
                   lw=1.0, label="that accuracy, for all steps")  # fmt: skip
    axes[1].axhline(
        float(data["own"]), color=style.COLORS[0], lw=1.3, label="accuracies controlled, median"
    )
    never = np.full(int(np.sum(~reached)), 1.5 * np.max(costs[reached]))
    axes[1].plot(
        accuracies[~reached], never, "x", color=style.COLORS[1], ms=5, label="it never gets there"
    )
    axes[1].set(xlabel="accuracy", ylabel="gradients and products")
    letter(axes, ["nine starts", "cost to a common loss"])
    legend_under(figure, axes, ncols=4)
    return figure


FIGURES = (
    PaperFigure(
        "inexact_bilevel",
        "Bilevel learning with two controlled accuracies: nine starts, and what fixed accuracies cost.",
        compute_inexact_bilevel, draw_inexact_bilevel,
        {"rows": 60, "dimension": 30, "informative": 8, "seed": 0, "accuracies": [1.0, 0.1, 0.001],
         "steps": [0.1, 1.0, 10.0], "fixed": [1e-3, 1e-4, 1e-5, 1e-6, 1e-8], "budget": 30_000},
        {"budget": 60_000},
    ),
    PaperFigure(
        "inexact_bilevel_logistic",
        "The same for logistic regression on the breast cancer data, with a weight for each of 31 coefficients.",
        compute_inexact_bilevel_logistic, draw_inexact_bilevel,
        {"seed": 0, "columns": 31, "accuracies": [1.0, 0.1, 0.001], "steps": [0.1, 1.0, 10.0],
         "fixed": [1e-6, 3e-7, 1e-7, 3e-8, 1e-8], "budget": 600_000},
        {"budget": 2_000_000},
    ),
)  # fmt: skip
