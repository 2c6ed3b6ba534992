"""A battery over the registry of algorithms: whatever is registered goes through every check."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy as sp
from programs import Machine

import odescent as od
from odescent.discretize.expansion.backward_error import settled
from odescent.dynamics import substitute, vanishes
from odescent.dynamics.vector_fields.system import L, mu

NAMES = od.algorithms()
GRAD: Any = lambda p: p + 0.5 * np.sin(p)
HESS: Any = lambda p, u: (1 + 0.5 * np.cos(p)) * u
DIAGONAL: Any = lambda p: 1 + 0.5 * np.cos(p)
TURN = np.array([[1.0, 1.0], [-1.0, 1.0]])


# F(x, y) = |x|^2 / 2 + |y|^2 / 2 and G(x, y) = |y - x/2|^2 / 2: along y*(x) = x/2 the upper level is least at 0
LEVELS: dict[str, Any] = {
    "grad_F_x": lambda x, y: x,
    "grad_F_y": lambda x, y: y,
    "grad_G_x": lambda x, y: (x / 2 - y) / 2,
    "grad_G_y": lambda x, y: y - x / 2,
    "grad_G_x_y": lambda x, y, v: -v / 2,
    "grad_G_y_y": lambda x, y, v: v,
    "value_F": lambda x, y: x @ x / 2 + y @ y / 2,
}


class Oracles(dict[str, Any]):
    """A function for every oracle by its kind: whatever is registered can run."""

    def __missing__(self, name: str) -> Any:
        if name in LEVELS:
            return LEVELS[name]
        kind, _, rest = name.partition("_")
        functions = {
            "grad": HESS if rest.endswith("_2") else GRAD,
            "operator": (lambda p, u: TURN @ u) if rest.endswith("_2") else (lambda p: TURN @ p),
            "map": lambda p: p,
            "prox": lambda p, step: p / (1 + step),
            "batch": lambda p, u, n=1: GRAD(p) * (1 + (u - 0.5) / n),
            "deviation": lambda p, u, n: GRAD(p) / n,
            "value": lambda p: np.sum(p**2 / 2 + np.sin(p / 2) ** 2),  # 0 at 0
            "ensemble": lambda p, alpha, *kernel: p[
                np.argmin(np.sum(p**2 / 2 - 0.5 * np.cos(p), axis=1))
            ],
        }
        return DIAGONAL if name == "map_hessian_diagonal" else functions[kind]


ORACLES = Oracles()
VALUES: dict[str, Any] = {
    "mu": sp.Rational(1, 2), "L": sp.Rational(3, 2), "h": sp.Rational(1, 10),
    "beta": 0.9, "beta1": 0.9, "beta2": 0.99, "eps": 1e-3, "rho": 0.6,
}  # fmt: skip
BEGIN = np.array([0.8, -1.1])
CROWD = np.outer([1.0, 0.1, -0.6], BEGIN)  # three particles; the second is the best


@pytest.fixture(params=NAMES)
def algorithm(request: pytest.FixtureRequest) -> od.Algorithm:
    return od.algorithm(request.param)


def calling(algorithm: od.Algorithm) -> None:
    """Skip what calls no function and so has no minimizer of one: `test_riccati` runs these on their equations."""
    if not algorithm.program.oracles:
        assert algorithm.name in {"iterative_newton", "newton_schulz"}
        pytest.skip("it solves an equation of matrices")


def begin(algorithm: od.Algorithm) -> np.ndarray[Any, Any]:
    """Where it starts: a point, or as many points as it needs."""
    crowd = any(c.oracle.kind == "ensemble" for c in algorithm.program.calls)
    return CROWD if crowd else BEGIN


def values_of(algorithm: od.Algorithm) -> dict[str, Any]:
    """The values above, and 1 for a parameter that is not there."""
    return {s.name: VALUES.get(s.name, 1) for s in algorithm.parameters}


def drawn(d: Any, rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """A sample of one of the laws that registered methods draw from."""
    if not isinstance(d.target, od.dynamics.Vector):
        return rng.uniform()
    z = rng.standard_normal(shape)
    return {"normal": z, "rademacher": np.sign(z)}[d.law]


def test_it_is_named_cited_and_described(algorithm: od.Algorithm) -> None:
    assert algorithm.name in NAMES and od.cite(algorithm).startswith("@")
    assert algorithm.name in repr(algorithm) and "output:" in str(algorithm)
    assert od.algorithm(algorithm.name).program.instructions == algorithm.program.instructions


def test_it_is_consistent_with_its_system(algorithm: od.Algorithm) -> None:
    """In the free step; a step that depends on the state makes another speed of it, or there is no limit."""
    if algorithm.size is not None:
        if algorithm.small is None:
            with pytest.raises(od.OdescentError, match="has no small factor, so there is no limit"):
                algorithm.consistent_with()
        else:
            speed, drift = algorithm.size / algorithm.small, algorithm.bound.drift
            for s, e in algorithm.consistent_with().drift.items():
                assert vanishes(e - drift[s] * speed)
        algorithm = algorithm.unsized
    limit, wanted = (
        algorithm.consistent_with().drift,
        algorithm.bound.limit({algorithm.step: 0}).mean_drift,
    )
    follow = settled(algorithm)  # a window is filled by what is pushed
    wanted = {s: substitute(e, follow) for s, e in wanted.items()}
    assert limit and all(vanishes(e - wanted[s]) for s, e in limit.items())
    assert algorithm.replace(name=algorithm.name)  # made anew, it is compared as a user's is


def test_parameters_are_listed_and_bind(algorithm: od.Algorithm) -> None:
    names = [s.name for s in algorithm.parameters]
    assert names == sorted(names) and all(s.is_positive for s in algorithm.parameters)
    bound = algorithm.bind(**values_of(algorithm))
    assert bound.parameters == () and bound.name == algorithm.name


def test_bad_values_are_refused(algorithm: od.Algorithm) -> None:
    for name in (s.name for s in algorithm.parameters):
        for bad in (0, -1, float("nan"), float("inf"), "1"):
            with pytest.raises(od.OdescentError, match=f"^{name} must be"):
                algorithm.bind({name: bad})
        with (
            pytest.raises(od.OdescentError, match=f"did you mean.*'{name}'")
            if len(name) > 1
            else pytest.raises(od.OdescentError)
        ):
            algorithm.bind({name + "_": 1})
    if {"mu", "L"} <= {s.name for s in algorithm.parameters}:
        with pytest.raises(od.OdescentError, match="at least mu"):
            algorithm.bind(mu=2, L=1)


def test_it_runs_and_descends(algorithm: od.Algorithm) -> None:
    """From BEGIN towards the zero of the oracle at 0, noise switched off and samples drawn."""
    calling(algorithm)
    machine = Machine(algorithm.tuned, ORACLES, **values_of(algorithm))
    at = begin(algorithm)
    draws = {d.target.name: np.zeros_like(at) for d in algorithm.program.draws}
    draws |= {c.target.name: 0.0 for c in algorithm.program.counts}
    rng, state = np.random.default_rng(5), machine.init(at)
    for k in range(200):
        own = {d.target.name: drawn(d, rng, at.shape) for d in algorithm.program.draws if d.law}
        with np.errstate(invalid="ignore"):
            after = machine.step(state, k, {**draws, **own})
        if algorithm.size is not None and not np.all(np.isfinite(machine.output(after, k=k + 1))):
            break  # at the minimizer its step is 0/0, and a run ends there
        state = after
    last = machine.output(state, k=200)
    assert np.all(np.isfinite(last)) and np.linalg.norm(last) < 0.5 * np.linalg.norm(at)


def test_outputs_start_at_x0(algorithm: od.Algorithm) -> None:
    calling(algorithm)
    machine = Machine(algorithm.tuned, ORACLES, **values_of(algorithm))
    for name in algorithm.program.outputs:
        at = begin(algorithm)
        np.testing.assert_allclose(machine.output(machine.init(at), name), at, rtol=1e-13)


def test_programs_are_finite_and_exact(algorithm: od.Algorithm) -> None:
    for e in algorithm.tuned.expressions():
        scalars = e.terms.values() if isinstance(e, od.dynamics.Vector) else [e]
        assert not any(s.has(sp.Float, sp.nan, sp.zoo, sp.oo) for s in scalars)


def test_unknown_names_and_options() -> None:
    with pytest.raises(od.OdescentError, match="did you mean 'heavy_ball'"):
        od.algorithm("heavyball")
    with pytest.raises(od.OdescentError, match="called 'stepp': did you mean 'step'"):
        od.algorithm("gradient_descent", stepp=1)
    with pytest.raises(od.OdescentError, match="not '3/L'"):
        od.algorithm("gradient_descent", step="3/L")
    assert od.algorithm("nesterov").name == "nesterov_sc" and NAMES == sorted(NAMES)


def test_gradient_descent_with_the_longest_safe_step() -> None:
    best = od.algorithm("gradient_descent", step="2/(L+mu)").bind(mu=1, L=10)
    assert best.coefficients["alpha"] == sp.Rational(2, 11)


def test_adam_is_the_textbook_loop() -> None:
    """Kingma and Ba's algorithm 1, with bias correction."""
    eps, rate, b1, b2 = 1e-3, 0.1, 0.9, 0.99
    machine = Machine(od.algorithm("adam").tuned, ORACLES, h=rate, beta1=b1, beta2=b2, eps=eps)
    p, m, s = BEGIN.copy(), 0 * BEGIN, 0 * BEGIN
    for k, state in enumerate(machine.run(BEGIN, 30)):
        np.testing.assert_allclose(state["x"], p, rtol=1e-10)
        g = GRAD(p)
        m, s = b1 * m + (1 - b1) * g, b2 * s + (1 - b2) * g * g
        p = p - rate * (m / (1 - b1 ** (k + 1))) / (np.sqrt(s / (1 - b2 ** (k + 1))) + eps)


def test_langevin_has_the_known_variance() -> None:
    """On a quadratic of curvature lam: x+ = (1 - h lam) x + sqrt(2 h) xi, variance 1/(lam (1 - h lam/2)) (MATH c)."""
    langevin, lam, h = od.algorithm("unadjusted_langevin"), 3.0, 0.1
    machine = Machine(langevin.program, {"grad_f": lambda p: lam * p}, h=sp.Rational(1, 10))
    (draw,) = langevin.program.draws
    ones = {draw.target.name: np.ones(1)}
    shrink = machine.step({"x": np.ones(1)}, 0, {draw.target.name: np.zeros(1)})["x"][0]
    kick = machine.step({"x": np.zeros(1)}, 0, ones)["x"][0]
    assert kick**2 / (1 - shrink**2) == pytest.approx(1 / (lam * (1 - h * lam / 2)))


def test_robust_momentum_is_the_published_one():
    """Cyrus, Hu, Van Scoy and Lessard, arXiv:1710.04753, equation (3); at rho = 1 - q the triple momentum method."""
    rho = od.parameters("rho")
    kappa = L / mu
    wanted = {
        "alpha": kappa * (1 - rho) ** 2 * (1 + rho) / L,
        "beta": kappa * rho**3 / (kappa - 1),
        "gamma": rho**3 / ((kappa - 1) * (1 - rho) ** 2 * (1 + rho)),
        "delta": 0,
    }
    found = od.algorithm("robust_momentum").coefficients
    assert all(sp.simplify(found[n] - v) == 0 for n, v in wanted.items())
    fastest = od.algorithm("robust_momentum").bind(rho=1 - sp.sqrt(mu / L)).coefficients
    triple = od.algorithm("triple_momentum").coefficients
    assert all(sp.simplify(fastest[n] - triple[n]) == 0 for n in ("alpha", "beta", "gamma"))
