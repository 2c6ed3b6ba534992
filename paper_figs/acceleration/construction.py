"""Acceleration dynamics, claims 1 and 3: methods constructed from flows, and their agreement with the textbooks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

import odescent as od

from ..._support.style import titled
from ..claims import Claim, at_most, exactly, near
from ..drawing import draw_table
from ..entry import PaperFigure, Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ROUTES = (
    ("nesterov_sc", "immersion"), ("nesterov_sc", "model"), ("nesterov_c", "model"), ("triple_momentum", "model"),
)  # fmt: skip
_CLOSE = 1e-10  # after a hundred steps in double precision
Gradient = Callable[[np.ndarray], np.ndarray]


def textbook(
    name: str, gradient: Gradient, x0: np.ndarray, mu: float, L: float, steps: int
) -> np.ndarray:
    """Iterates of a method as its paper states it: the independent reference for a construction.

    Nesterov 2004, (2.2.11); Su, Boyd, Candes 2016, (1) with momentum k/(k+3) at step k from 0; Van Scoy, Freeman,
    Lynch 2018, (5)-(7), its output.

    Args:
        name: name of the method.
        gradient: of the objective, (n,) to (n,).
        x0: the starting point, shape (n,).
        mu: the modulus of strong convexity.
        L: the Lipschitz constant of the gradient.
        steps: number of iterations.

    Returns:
        The iterates, shape (steps + 1, n).
    """
    q = (mu / L) ** 0.5
    before = x = x0
    found = [x0]
    if name == "triple_momentum":
        rho = 1 - q
        alpha, beta = (1 + rho) / L, rho**2 / (2 - rho)
        gamma, delta = rho**2 / ((1 + rho) * (2 - rho)), rho**2 / (1 - rho**2)
        for _ in range(steps):
            y = (1 + gamma) * x - gamma * before
            x, before = (1 + beta) * x - beta * before - alpha * gradient(y), x
            found.append((1 + delta) * x - delta * before)
        return np.array(found)
    y = x0
    for k in range(steps):
        momentum = (1 - q) / (1 + q) if name == "nesterov_sc" else (k + 1) / (k + 4)
        x, before = y - gradient(y) / L, x
        y = x + momentum * (x - before)
        found.append(x)
    return np.array(found)


def compute_construction(steps: int, dimension: int, kappa: float) -> Result:
    """Verify each derivation, and compare the resulting algorithm with the textbook's on a random quadratic.

    Args:
        steps: number of iterations.
        dimension: of the quadratic.
        kappa: its condition number L/mu.
    """
    # a quadratic with geometrically spaced curvatures in a random orthonormal basis
    rng = np.random.default_rng(0)
    mu, L = 1.0, kappa
    basis, _ = np.linalg.qr(rng.standard_normal((dimension, dimension)))
    matrix = basis @ np.diag(np.geomspace(mu, L, dimension)) @ basis.T
    matrix = (matrix + matrix.T) / 2
    f = od.Objective(
        "rotated", fun=lambda x: x @ matrix @ x / 2, mu=mu, L=L, minimizer=np.zeros(dimension), dimension=dimension
    )  # fmt: skip
    x0 = rng.standard_normal(dimension)
    claims, rows = [], []
    for name, route in _ROUTES:
        d = od.derive(name, route)
        done = sum(s.verified for s in d.steps)
        checks = sum(len(s.residuals) for s in d.steps)
        label = f"{titled(name)}, by {route}"
        claims.append(
            Claim(
                f"{label}: every step from the principle is proved.",
                exactly(len(d.steps)),
                done,
                "reconstructed",
            )
        )
        # the derived algorithm and the textbook recursion from the same start
        known: dict[str, Any] = {"mu": mu, "L": L}
        given = {p.name: known[p.name] for p in d.algorithm.parameters if p.name in known}
        run = np.asarray(d.algorithm.run(f, x0, steps, **given).x)
        apart = float(np.abs(run - textbook(name, lambda x: matrix @ x, x0, mu, L, steps)).max())
        claims.append(
            Claim(f"{label}: the algorithm at its end is the textbook's, {steps} iterates, largest difference.",
                  at_most(_CLOSE * np.abs(x0).max()), apart)
        )  # fmt: skip
        rows.append(
            [
                titled(name),
                route,
                f"{done} of {len(d.steps)}",
                checks,
                apart,
                d.algorithm.scheme.name,
            ]
        )
    columns = ["method", "route", "steps proved", "identities", "apart from the textbook", "scheme"]
    return Result({"table": {"columns": columns, "rows": rows}}, tuple(claims))


def draw_construction(data: Mapping[str, Any]) -> Figure:
    rows = [
        [r[0], r[1], r[2], str(r[3]), _power(r[4]), r[5].replace("_", "-").title()]
        for r in data["table"]["rows"]
    ]
    columns = [
        "method",
        "route",
        "steps proved",
        "equations\nproved",
        "largest difference\nfrom the textbook",
        "scheme",
    ]
    return draw_table(columns, rows, (24, 14, 14, 11, 22, 15))


def _power(value: float) -> str:
    mantissa, _, exponent = f"{value:.0e}".partition("e")
    return "$0$" if value == 0 else rf"${mantissa}\times 10^{{{int(exponent)}}}$"


def compute_triple_momentum(kappas: list[int]) -> Result:
    """Triple momentum from the coupling c = 2: its poles, and its certified rate, at several condition numbers."""
    claims, rows = [], []
    method = od.algorithm("triple_momentum")
    for kappa in kappas:
        rho = 1 - kappa**-0.5
        bound = method.bind(mu=1, L=kappa).state_space()
        poles, top = _poles(bound, 1), _poles(bound, kappa)
        certificate = od.analysis.certify(method, 1, kappa)
        proved = certificate.verify()
        claims += [
            Claim(f"kappa = {kappa}: the poles at mu are rho and rho^2: the slow one.", near(rho, relative=1e-9),
                  poles[0]),
            Claim(f"kappa = {kappa}: the poles at mu are rho and rho^2: the fast one.", near(rho**2, relative=1e-9),
                  poles[1]),
            Claim(f"kappa = {kappa}: the poles at L are -rho and 0: the first.", near(-rho, relative=1e-9), top[0]),
            Claim(f"kappa = {kappa}: the mode at L has a deadbeat pole: its modulus.", at_most(1e-9), abs(top[1])),
            Claim(f"kappa = {kappa}: the certified rate is rho = 1 - 1/sqrt(kappa).",
                  near(rho, relative=1e-9), certificate.rate, "Van Scoy, Freeman, Lynch 2018"),
            Claim(f"kappa = {kappa}: its proof holds in exact arithmetic.", exactly(True), bool(proved)),
        ]  # fmt: skip
        rows.append([kappa, rho, poles[0], poles[1], top[0], abs(top[1]), certificate.rate])
    columns = ["kappa", "1 - 1/sqrt(kappa)", "slow pole at mu", "fast pole at mu", "first pole at L",
          "second pole at L",
               "certified rate"]  # fmt: skip
    d = od.derive("triple_momentum", "model")
    claims.append(
        Claim("It comes from the same construction with c = 2 and Cayley's rule: steps proved.",
              exactly(len(d.steps)), sum(s.verified for s in d.steps), "arXiv:2509.18346, abstract; reconstructed")
    )  # fmt: skip
    return Result({"table": {"columns": columns, "rows": rows}}, tuple(claims))


def _poles(space: Any, curvature: float) -> list[float]:
    """The poles of a mode, which are real here, the largest in modulus first."""
    import sympy as sp

    modal = np.array(space.modal_matrix(sp.nsimplify(curvature)).evalf(30), complex)
    return sorted(map(float, np.linalg.eigvals(modal).real), key=abs, reverse=True)


def draw_triple_momentum(data: Mapping[str, Any]) -> Figure:
    rows = [[str(r[0]), *(f"${v:.6f}$" for v in r[1:])] for r in data["table"]["rows"]]
    columns = [r"$\kappa$", r"$\rho = 1 - 1/\sqrt{\kappa}$", "slow pole\n" r"at $\mu$", "fast pole\n" r"at $\mu$",
               "first pole\n" r"at $L$", "second pole\nat $L$, modulus", "certified rate"]  # fmt: skip
    return draw_table(columns, rows, (8, 20, 14, 14, 14, 14, 16), numeric=range(7))


FIGURES = (
    PaperFigure(
        "construction", "Methods constructed from flows, every step proved, beside their textbook forms.",
        compute_construction, draw_construction,
        {"steps": 100, "dimension": 20, "kappa": 100.0}, {"dimension": 200},
    ),
    PaperFigure(
        "triple_momentum", "The triple momentum method as the member c = 2: its poles and its certified rate.",
        compute_triple_momentum, draw_triple_momentum,
        {"kappas": [2, 10, 100]}, {"kappas": [2, 5, 10, 25, 100, 1000]},
    ),
)  # fmt: skip
