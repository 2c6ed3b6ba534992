"""Modified equations against numbers: a fixed function that is no quadratic, and fitted orders of convergence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import sympy as sp
from programs import Machine, fitted_order
from scipy.integrate import solve_ivp

import odescent as od

h = od.parameters("h")

# A smooth function that is no quadratic, with its derivatives along directions.
W = np.array([[1.0, 0.3], [-0.4, 0.8], [0.5, 0.5]])
ORACLES: dict[str, Callable[..., Any]] = {
    "grad_f": lambda p: p + W.T @ np.tanh(W @ p),
    "grad_f_2": lambda p, u: u + W.T @ ((1 - np.tanh(W @ p) ** 2) * (W @ u)),
    "grad_f_3": lambda p, u, w: W.T @ (-2 * np.tanh(W @ p) * (1 - np.tanh(W @ p) ** 2) * (W @ u) * (W @ w)),
    "grad_f_4": lambda p, u, w, r: W.T @ (
        (-2 + 8 * np.tanh(W @ p) ** 2 - 6 * np.tanh(W @ p) ** 4) * (W @ u) * (W @ w) * (W @ r)
    ),
}  # fmt: skip
START: dict[str, Any] = {
    "x": np.array([0.9, -0.6]),
    "v": np.array([0.3, 0.5]),
    "w": np.array([-0.2, 0.7]),
    "z": np.array([0.4, 0.1]),
}


def flow_of(
    modified: Any, machine: Machine, values: Mapping[Any, Any], begin: Any, span: Any
) -> Any:
    """The states at the end of the span along the truncated modified field."""
    numbers = {s: values[s.name] for e in modified.drift.values() for s in od.dynamics.algebra.calculus.symbols_of(e)
               if s.name in values}  # fmt: skip
    field = {str(s): od.dynamics.substitute(e, numbers) for s, e in modified.drift.items()}
    sizes = [np.size(begin[n]) for n in field]
    clock = "" if modified.time is None else modified.time.name

    def slope(t: float, flat: Any) -> Any:
        parts = np.split(flat, np.cumsum(sizes)[:-1])
        env = {n: p if np.ndim(begin[n]) else p[0] for n, p in zip(field, parts, strict=True)}
        env[clock] = t
        return np.concatenate([np.atleast_1d(machine.evaluate(e, env)) for e in field.values()])

    flat = np.concatenate([np.atleast_1d(begin[n]) for n in field])
    end = solve_ivp(slope, span, flat, method="DOP853", rtol=2.3e-14, atol=1e-15).y[:, -1]
    return dict(zip(field, np.split(end, np.cumsum(sizes)[:-1]), strict=True))


def local_order(
    algorithm: od.Algorithm, order: int, steps: Sequence[float] = (0.2, 0.1, 0.05), **values: float
) -> float:
    """The order of one step's distance to the exact flow of the truncated modified field."""
    errors = []
    modified = algorithm.modified_equation(order)
    begin = {str(s): values.get(str(s), START.get(str(s))) for s in modified.terms[0]}
    for size in steps:
        numbers = {**values, "h": sp.Rational(str(size))}
        machine = Machine(algorithm.own_program, ORACLES, **numbers)
        flow = flow_of(modified, machine, numbers, begin, (0, size))
        made = machine.step(begin)
        errors.append(max(float(np.max(np.abs(made[n] - flow[n]))) for n in flow))
    return fitted_order(steps, errors)


def global_order(
    algorithm: od.Algorithm,
    modified: Any,
    begin: Mapping[str, Any],
    shown: tuple[str, ...] = ("x",),
    counts: tuple[int, ...] = (20, 40, 80),
    **values: Any,
) -> float:
    """The order at which the algorithm approaches the truncated modified field at time 1, in the blocks ``shown``."""
    errors = []
    for count in counts:
        numbers = {**values, "h": sp.Rational(1, count)}
        machine = Machine(algorithm.own_program, ORACLES, **numbers)
        first = {
            n: float(b.subs(h, numbers["h"])) if isinstance(b, sp.Expr) else b
            for n, b in begin.items()
        }
        state = machine.init(first["x"], **first)
        for k in range(count):
            state = machine.step(state, k)
        flow = flow_of(modified, machine, numbers, first, (0.0, 1.0))
        errors.append(max(float(np.max(np.abs(state[n] - flow[n]))) for n in shown))
    return fitted_order([1 / n for n in counts], errors)
