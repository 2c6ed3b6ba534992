"""Whether the statement of a certificate document is true, decided from the statement alone and in floats.

Nothing here is the checker's: poles of modes on a grid, the rate of the interpolation inequality by semidefinite
programming, and primal worst cases (performance estimation) of the very tables and clocks that a document has.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

from odescent.analysis import worst_case_rate

Document = dict[str, Any]
NEAR = 1e-9
SOLVER = 2e-5  # of semidefinite programs, relative


def verdict(document: Document, original: Document) -> str:
    """ "same claim", "true", "false" or "open" for all that an accepted document says."""
    same = document["kind"] == original["kind"] and document["statement"] == original["statement"]
    found = ["same claim" if same else statement(document, original)]
    lower = document.get("lower")
    if lower is not None and not (same and lower == original.get("lower")):
        found.append(lower_bound(document))
    return next(word for word in ("false", "open", "true", "same claim") if word in found)


def statement(document: Document, original: Document) -> str:
    """The verdict on the statement."""
    s = document["statement"]
    decide = {"rate": _rate, "quadratics": _quadratics, "flow": _flow}
    if document["kind"] in decide:
        return decide[document["kind"]](s, original)
    return _horizon(s) if document["kind"] == "horizon" else _potential(s)


def number(x: Any, d: int) -> float:
    """A number of the document, of an enclosure the middle."""
    if isinstance(x, dict):
        return float((Fraction(x["from"]) + Fraction(x["to"])) / 2)
    if isinstance(x, list):
        return float(Fraction(x[0])) + float(Fraction(x[1])) * math.sqrt(d)
    return float(Fraction(x))


def matrix(rows: Any, d: int) -> Any:
    """A matrix of floats."""
    return np.array([[number(x, d) for x in row] for row in rows])


def system(s: Document) -> tuple[Any, Any, Any, Any, Any, float, float]:
    """A, B, C, D, output, mu, L."""
    d = s["d"]
    A, B, C = (matrix(s[k], d) for k in "ABC")
    D = matrix(s["D"], d) if "D" in s else np.zeros((len(C), len(C)))
    L = math.inf if s["L"] == "infinity" else number(s["L"], d)
    return A, B, C, D, matrix([s["output"]], d)[0], number(s["mu"], d), L


def rests(s: Document, flow: bool) -> bool:
    """Whether the state that is said to rest stays and reads 1."""
    A, _, C, _, output, _, _ = system(s)
    rows = np.vstack([A if flow else A - np.eye(len(A)), C, output[None]])
    right = np.concatenate([np.zeros(len(A)), np.ones(len(C) + 1)])
    v = matrix([s["rest"]], s["d"])[0]
    return bool(np.abs(rows @ v - right).max() < 1e-8)


def poles(s: Document, curvature: float, shown: bool = True) -> Any:
    """The poles at one curvature that the output shows, or all."""
    A, B, C, D, output, _, _ = system(s)
    M = A + curvature * B @ np.linalg.solve(np.eye(len(C)) - curvature * D, C)
    values, vectors = np.linalg.eig(M)
    return values[np.abs(output @ vectors) > 1e-9 * np.abs(output).max()] if shown else values


def _curvatures(mu: float, L: float) -> Any:
    return np.geomspace(mu, L if L < math.inf else 1e6 * mu, 301)


def _rate(s: Document, original: Document) -> str:
    A, B, C, D, _, mu, L = system(s)
    rate = 1 - number(s["gap"], s["d"])
    if not rests(s, False):
        return "false"
    shown = s["bounded"] != "state"  # of a state, also what nothing reads has to decay
    if max(np.abs(poles(s, c, shown)).max(initial=0) for c in _curvatures(mu, L)) > rate + NEAR:
        return "false"
    for memory in (2, 4):
        least = worst_case_rate((A, B, C, D), mu, L, steps=memory)
        if rate >= least - SOLVER * (1 - least):
            return "true"
    return "true" if _weaker(s, original) else "open"


def _weaker(s: Document, original: Document) -> bool:
    """Whether it is the original's method, in other units and coordinates, with a claim that is no stronger.

    Coordinates are a regular T with x = T (x of the original), which has to turn all matrices and the state at rest
    into one another: equal responses from gradients to points would not see what no gradient moves.
    """
    o = original["statement"]
    if "gap" not in o or _exactly(s["gap"], s["d"]) > _exactly(o["gap"], o["d"]):
        return False
    if o.get("bounded") == "output" and s.get("bounded") == "state":
        return False
    if _turned(_states(s), _states(o), o.get("bounded") != "state"):
        return True
    # states that neither a point nor the output reads do not matter for what the output does
    return s.get("bounded") == "output" and _turned(_read(_states(s)), _read(_states(o)), True)


def _states(s: Document) -> tuple[Any, ...]:
    """A, L B, C, L D, output, rest, mu / L."""
    A, B, C, D, output, mu, L = system(s)
    return A, L * B, C, L * D, output, matrix([s["rest"]], s["d"])[0], mu / L


def _read(states: tuple[Any, ...]) -> tuple[Any, ...]:
    """The same on what points and output read of the state."""
    A, B, C, D, output, rest, ratio = states
    rows = [np.vstack([C, output])]
    for _ in A:
        rows.append(rows[-1] @ A)
    _, sizes, right = np.linalg.svd(np.vstack(rows))
    Q = right[: int((sizes > 1e-9 * sizes[0]).sum())].T
    return Q.T @ A @ Q, Q.T @ B, C @ Q, D, output @ Q, Q.T @ rest, ratio


def _turned(first: tuple[Any, ...], second: tuple[Any, ...], reads: bool) -> bool:
    """Whether a regular T with x = T (x of the second) turns all matrices, and the output, into one another."""
    (A, B, C, D, output, rest, ratio), (A_o, B_o, C_o, D_o, output_o, rest_o, ratio_o) = (
        first,
        second,
    )
    if (A.shape, B.shape) != (A_o.shape, B_o.shape) or abs(ratio - ratio_o) > 1e-12 * ratio_o:
        return False
    n, one = len(A), np.eye(len(A))
    # T A_o = A T, T B_o = B, C T = C_o, T rest_o = rest, for T by its rows one after the other
    rows = [
        (np.kron(one, A_o.T) - np.kron(A, one), np.zeros(n * n)),
        (np.kron(one, B_o.T), B.ravel()),
        (np.kron(C, one), C_o.ravel()),
        (np.kron(one, rest_o), rest),
    ]
    if reads:
        rows.append((np.kron(output, one), output_o))
    left, right = np.vstack([a for a, _ in rows]), np.concatenate([b for _, b in rows])
    T = np.linalg.lstsq(left, right, rcond=None)[0]
    same = np.abs(left @ T - right).max() <= 1e-9 * max(1.0, np.abs(right).max())
    regular = np.linalg.cond(T.reshape(n, n)) < 1e9
    return bool(same and regular and np.allclose(D, D_o, rtol=1e-12, atol=0))


def _exactly(x: Any, d: int) -> Any:
    """A number of the document in SymPy; of an enclosure the middle."""
    import sympy as sp

    if isinstance(x, dict):
        return (sp.Rational(x["from"]) + sp.Rational(x["to"])) / 2
    a, b = [x, "0"] if isinstance(x, str) else x
    return sp.Rational(a) + sp.Rational(b) * sp.sqrt(d)


def _quadratics(s: Document, original: Document) -> str:
    mu, L = system(s)[5:]
    rate = 1 - number(s["gap"], s["d"])
    most = max(np.abs(poles(s, c, False)).max(initial=0) for c in _curvatures(mu, L))
    return "true" if rests(s, False) and most <= rate + 1e-7 else "false"


def _flow(s: Document, original: Document) -> str:
    A, B, C, _, output, mu, L = system(s)
    rate = number(s["rate"], s["d"])
    slowest = max(poles(s, c).real.max(initial=-math.inf) for c in _curvatures(mu, L))
    if not rests(s, True) or slowest > -rate + 1e-7 * max(1, rate):
        return "false"
    return "true" if len(C) == 1 and _flow_inequality(A, B, C, output, mu, L, rate) else "open"


def _flow_inequality(A: Any, B: Any, C: Any, output: Any, mu: float, L: float, rate: float) -> bool:
    """V = X'P X + p (f - f*) with V' + 2 r V <= 0 at a rate that is smaller by 1e-4, by cvxpy."""
    import cvxpy as cp

    n, k = len(A), mu / L
    rate = rate * (1 - 1e-4)
    x, u = np.eye(n + 1)[:n], np.eye(n + 1)[n:]
    y, move = C @ x, A @ x + B @ u
    P, p = cp.Variable((n, n), symmetric=True), cp.Variable(nonneg=True)
    to_star, from_star = cp.Variable(nonneg=True), cp.Variable(nonneg=True)
    bent = (u.T @ u / L + mu * y.T @ y - k * (u.T @ y + y.T @ u)) / (2 * (1 - k))
    cross = (u.T @ y + y.T @ u) / 2
    V = x.T @ P @ x
    change = move.T @ P @ x + x.T @ P @ move + p * (u.T @ C @ move + move.T @ C.T @ u) / 2
    decrease = -change - 2 * rate * V - from_star * (cross - bent) + to_star * bent
    seen = x.T @ np.outer(output, output) @ x
    held = [
        (decrease + decrease.T) / 2 >> 0, (V + V.T) / 2 + p * bent >> 1e-3 * seen,
        -2 * rate * p - to_star + from_star == 0, cp.trace(P) <= 1e4, p <= 1e4,
    ]  # fmt: skip
    problem = cp.Problem(cp.Minimize(0), held)
    problem.solve(solver=cp.CLARABEL)
    return problem.status in ("optimal", "optimal_inaccurate")


def worst_case(
    points: Any, mu: float, L: float, measure: str, start: str, ends: Any = None
) -> float:
    """The primal worst case of y = x_0 + points u, u the gradients at all but the last where ``ends`` is given.

    Performance estimation (Taylor, Hendrickx, Glineur, arXiv:1502.05666), by cvxpy.
    """
    import cvxpy as cp

    points = np.asarray(points)
    N = len(points) - 1
    size = N + 2
    y = np.hstack([np.ones((N + 1, 1)), points])
    y, g = np.vstack([y, np.zeros(size)]), np.vstack([np.eye(size)[1:], np.zeros(size)])
    G, f = cp.Variable((size, size), PSD=True), cp.Variable(N + 2)
    held = [f[N + 1] == 0]
    for i in range(N + 2):
        for j in range(N + 2):
            if i != j:
                dy, dg = y[i] - y[j], g[i] - g[j]
                form = np.outer(g[j], dy) + (
                    np.outer(dg, dg) / L + mu * np.outer(dy, dy) - 2 * mu / L * np.outer(dg, dy)
                ) / (2 * (1 - mu / L))
                held.append(f[i] - f[j] >= cp.trace((form + form.T) / 2 @ G))
    first = next((i for i in range(N + 1) if not np.any(points[i])), None)
    held.append((G[0, 0] if start == "distance" else f[first]) <= 1)
    end = {
        "value": f[N],
        "gradient": G[N + 1, N + 1],
        "distance": cp.trace(np.outer(y[N], y[N]) @ G),
    }
    problem = cp.Problem(cp.Maximize(end[measure]), held)
    problem.solve(solver=cp.CLARABEL)
    return float(problem.value) if problem.status.startswith("optimal") else math.inf


def _horizon(s: Document) -> str:
    d, count = s["d"], len(s["points"])
    points = np.zeros((count, count))
    for i, row in enumerate(s["points"]):
        points[i, : len(row)] = [number(x, d) for x in row]
    bound = number(s["bound"], d)
    found = worst_case(points, number(s["mu"], d), number(s["L"], d), s["measure"], s["start"])
    return "true" if found <= bound * (1 + SOLVER) + 1e-8 else "false"


def _potential(s: Document) -> str:
    """The primal worst case after 1 to 4 steps, of the method with its own clock, in units of L."""
    d = s["d"]
    value = lambda p, v: sum(number(c, d) * v**i for i, c in enumerate(p))
    n = len(s["A"])
    clock = s["clock"]
    v = number(clock["from"], d)
    t = value(clock["now"], v) / value(clock["over"], v)
    reading = lambda t: (
        np.array([value(p, t) for p in s["C"]]) / value(s["point_unit"], t),
        value(s["D"], t) / value(s["point_unit"], t),
        np.array([value(p, t) for p in s["output"]]) / value(s["point_unit"], t),
    )
    equations, right, steps = [], [], []
    for _ in range(4):
        unit = value(s["step_unit"], v)
        A = np.array([[value(e, v) for e in row] for row in s["A"]]) / unit
        B = np.array([value(e, v) for e in s["B"]]) / unit
        C, D, output = reading(t)
        steps.append((A, B, C, D, t))
        equations += [*(A - np.eye(n)), C, output]
        right += [*np.zeros(n), 1.0, 1.0]
        t = value(clock["next"], v) / value(clock["over"], v)
        width = max(map(len, (clock["now"], clock["over"])))
        poly = np.zeros(width)
        for part, sign in (("now", 1.0), ("over", -t)):
            poly[: len(clock[part])] += [sign * number(c, d) for c in clock[part]]
        roots = np.roots(poly[::-1])
        v = max(r.real for r in roots if abs(r.imag) < 1e-9)
    start = matrix([s["rest"]], d)[0]
    if np.abs(np.array(equations) @ start - right).max() > 1e-8:
        return "false"
    size = len(steps) + 1
    x, table = np.zeros((n, size)), []  # over the gradients, beside the start
    for k, (A, B, C, D, t) in enumerate(steps):
        own = np.eye(size)[k]
        point = C @ x + D * own
        x = A @ x + np.outer(B, own)
        if s["bounded"] == "point":
            rows = [*table, point]
        else:
            following = steps[k + 1][4] if k + 1 < len(steps) else None
            if following is None:
                break
            rows = [*table, point, reading(following)[2] @ x]
        worst = worst_case(np.array(rows)[:, : len(rows)], 0.0, 1.0, "value", "distance")
        if worst > (1 + SOLVER) / value(s["growth"], t) + 1e-8:
            return "false"
        table.append(point)
    return "true"


def lower_bound(document: Document) -> str:
    """The verdict on the lower bound."""
    s, lower = document["statement"], document["lower"]
    d = s["d"]
    if lower["kind"] == "function":
        return "true" if _function(s, lower) else "false"
    mu, L = number(s["mu"], d), math.inf if s["L"] == "infinity" else number(s["L"], d)
    if lower["kind"] == "spiral":
        return "true" if _spiral(s, lower, mu, L) else "false"
    curvature = number(lower["curvature"], d)
    if not mu - NEAR <= curvature <= L + NEAR:
        return "false"
    found = poles(s, curvature)
    if "rate" in lower:
        right = found.real.max() >= -number(lower["rate"], d) - NEAR
    else:
        right = np.abs(found).max() >= 1 - number(lower["gap"], d) - NEAR
    return "true" if right else "false"


def _spiral(s: Document, lower: Document, mu: float, L: float) -> bool:
    """The run, and its interpolation inequalities for the first hundred points."""
    A, B, C, D, output, _, _ = system(s)
    z = complex(Fraction(lower["real"]), Fraction(lower["imaginary"]))
    state = np.linalg.solve(z * np.eye(len(A)) - A, B[:, 0])
    G = 1 / ((C @ state)[0] + D[0, 0])
    phi = float(Fraction(lower["value"]))
    y = np.append(z ** np.arange(100), 0)
    g, f = G * y, phi * np.abs(y) ** 2
    dy, dg, df = (v[:, None] - v[None, :] for v in (y, g, f))
    bent = np.abs(dg) ** 2 / L + mu * np.abs(dy) ** 2 - 2 * mu / L * (np.conj(dg) * dy).real
    slack = df - (np.conj(g)[None, :] * dy).real - bent / (2 * (1 - mu / L))
    moves = abs(output @ state) > 1e-12
    return bool(
        slack.min() > -1e-9 and moves and abs(z) >= 1 - float(Fraction(lower["gap"])) - 1e-12
    )


def _function(s: Document, lower: Document) -> bool:
    d = s["d"]
    mu, L = number(s["mu"], d), number(s["L"], d)
    u = matrix(lower["gradients"], d)
    start = np.array([number(x, d) for x in lower["start"]])
    f = np.array([number(x, d) for x in lower["values"]])
    rows = [np.array([number(x, d) for x in row]) for row in s["points"]]
    y = np.array([start + (row @ u[: len(row)] if len(row) else 0) for row in rows])
    first = next((i for i, row in enumerate(rows) if not len(row)), 0)
    M = {"value": f[-1], "gradient": u[-1] @ u[-1], "distance": y[-1] @ y[-1]}[s["measure"]]
    S = start @ start if s["start"] == "distance" else f[first]
    y, u, f = np.vstack([y, 0 * start]), np.vstack([u, 0 * start]), np.append(f, 0)
    dy, du, df = (v[:, None] - v[None, :] for v in (y, u, f))
    bent = (du**2).sum(-1) / L + mu * (dy**2).sum(-1) - 2 * mu / L * (du * dy).sum(-1)
    slack = df - (u[None, :] * dy).sum(-1) - bent / (2 * (1 - mu / L))
    return bool(slack.min() > -1e-9 and S > 0 and M - number(lower["bound"], d) * S > -1e-9)
