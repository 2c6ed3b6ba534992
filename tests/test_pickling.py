"""Every system, algorithm, scheme and result by pickle and by deep copy: printed, computed and run as before."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from typing import Any

import jax
import numpy as np
import pytest
import sympy as sp

import odescent as od
from odescent.discretize import moment_map, stationary_covariance, weak_modified_equation
from odescent.dynamics.algebra.vectors import Vector

x, y = od.blocks("x y")
f = od.Objective("f")


def copies(made: Any) -> list[Any]:
    return [loaded(made), copy.deepcopy(made), copy.copy(made)]


def loaded(made: Any) -> Any:
    return pickle.loads(pickle.dumps(made))  # noqa: S301  what was just written


def bowl(p: Any) -> Any:
    return (p**2).sum() / 2


def test_registered_systems() -> None:
    for name in od.systems():
        system = od.system(name)
        for other in copies(system):
            assert str(other) == str(system) and other.blocks == system.blocks, name
            assert other.drift == system.drift and other.oracles == system.oracles, name
            assert other.latex() == system.latex() and other.parameters == system.parameters, name


def test_registered_algorithms() -> None:
    for name in od.algorithms():
        algorithm = od.algorithm(name)
        for other in copies(algorithm):
            assert str(other) == str(algorithm) and other.program == algorithm.program, name
            assert other.tuning == algorithm.tuning and other.scheme == algorithm.scheme, name


def test_registered_schemes_and_objectives() -> None:
    for name in ("rk4", "explicit_euler", "extragradient"):
        assert all(other == od.scheme(name) for other in copies(od.scheme(name)))
    for name in od.objectives():
        objective = od.objective(name)
        start = np.asarray(
            objective.x0 if objective.x0 is not None else np.ones(objective.dimension or 2)
        )
        for other in copies(objective):
            assert repr(other) == repr(objective)
            np.testing.assert_array_equal(other.grad(start), objective.grad(start))
    stretched = od.objective("quadratic", eigenvalues=(1, 7))
    assert all(other.L == 7 for other in copies(stretched))


def test_a_copy_runs_to_the_same_bits() -> None:
    algorithm = od.algorithm("baoab")
    again = loaded((algorithm, od.Objective("bowl", bowl)))
    values = {n.name: 0.5 for n in algorithm.parameters}
    pairs = (again, (algorithm, od.Objective("bowl", bowl)))
    runs = [a.run(o, np.ones(2), 5, key=3, **values).x for a, o in pairs]
    np.testing.assert_array_equal(*runs)
    flow = loaded(od.system("gradient_flow"))
    ends = [
        s.simulate(od.Objective("bowl", bowl), np.ones(2), 1.0).x[-1]
        for s in (flow, od.system("gradient_flow"))
    ]
    np.testing.assert_array_equal(*ends)


def row_bowl(p: Any, row: Any) -> Any:
    return ((p - row) ** 2).sum() / 2


def moved(p: Any, key: Any) -> Any:
    return p + jax.random.normal(key, p.shape)


def products(p: Any, q: Any) -> Any:
    return p * q


def test_maps_and_finite_sums_stay_what_they_are() -> None:
    p, q, u = np.array([1.0, -2.0]), np.array([3.0, 0.5]), 0.3
    rows = od.FiniteSum("f", row_bowl, np.arange(6.0).reshape(3, 2), batch=2)
    for other in copies(rows):
        assert type(other) is od.FiniteSum and other.rows == 3
        for oracle in ("value", "grad"):
            np.testing.assert_array_equal(other.oracles[oracle](p), rows.oracles[oracle](p))
        np.testing.assert_array_equal(other.oracles["batch"](p, u), rows.oracles["batch"](p, u))
        np.testing.assert_array_equal(other.covariance(p), rows.covariance(p))
    random = od.Expectation("f", moved, row_bowl, row_bowl, batch=3, draws=5)
    for other in copies(random):
        assert type(other) is od.Expectation and other.batch_size == 3
        for oracle in ("value", "grad"):
            np.testing.assert_array_equal(other.oracles[oracle](p), random.oracles[oracle](p))
        np.testing.assert_array_equal(other.oracles["batch"](p, u), random.oracles["batch"](p, u))
    for made in (od.Map("c", products, args=("x", "y")), od.Map("c"), od.named_map("softmax")):
        for other in copies(made):
            assert type(other) is type(made) and repr(other) == repr(made)
            if made.args:
                np.testing.assert_array_equal(other(p, q), made(p, q))
                np.testing.assert_array_equal(other.vjp(p, q, p, wrt="y"), p * p)
            else:
                assert other(x) == made(x) and other.jvp(x, y) == made.jvp(x, y)


def test_samples_their_means_and_what_acts_on_vectors() -> None:
    A, B = od.blocks("A B", kind="matrix")
    c, h = od.Map("c"), od.parameters("h")
    made: list[Any] = [od.sample("s", law) for law in ("normal", "rademacher", "uniform")]
    for law in ("normal", "rademacher", "sphere", "uniform", "coordinate"):
        z = od.sample("z", law, like=x)
        two_point = z * od.inner(z, f.grad(x + h * z))
        made += [
            z,
            od.mean(two_point),
            od.mean(f.value(x + h * z)),
            od.estimate(two_point, of=f.grad(x)),
        ]
    made += [
        c(x), c.jvp(x, y), c.vjp(x, y), od.linear_solve(A, x), od.kronecker(A, B), od.transpose(A), od.trace(A),
        od.diagonal_operator(x), od.gradient(f.value(x), x), od.identity, c.jacobian(x),
        od.Groups(hidden="layers/*", last=od.Leaves("head/*", ndim=2)),
    ]  # fmt: skip
    made += [od.algorithm(name).modified_equation(1) for name in ("m_fac", "newton_schulz")]
    for one in made:
        for other in copies(one):
            assert type(other) is type(one) and str(other) == str(one)
            if isinstance(one, (Vector, sp.Basic)):
                assert other == one and hash(other) == hash(one)


def test_expressions_and_what_is_computed_from_them() -> None:
    m = sp.Symbol("m", positive=True)
    heavy = od.algorithm("heavy_ball")
    made = [
        f, x, 2 * x - f.grad(x + y), f.hess(x, f.grad(y)), od.inner(x, f.grad(x)) ** 2, f.value(x), f.prox(x, m),
        od.hadamard(x, y), od.elementwise(lambda u: sp.sqrt(u**2 + m), x), od.outer(x, y),
        heavy.state_space(), heavy.modified_equation(1), heavy.equivalent(od.algorithm("nesterov")),
        od.recognize(heavy), stationary_covariance(od.algorithm("baoab"), m), moment_map(od.algorithm("baoab"), m),
        weak_modified_equation(od.algorithm("sgd"), 1), od.place_poles({"mu": (sp.Rational(1, 2),) * 2, "L": (0,)}),
    ]  # fmt: skip
    for one in made:
        for other in copies(one):
            assert str(other) == str(one)
            if isinstance(one, (Vector, sp.Basic)):
                assert other == one and hash(other) == hash(one)


@pytest.mark.parametrize("name", ["nesterov", "cbo"])
def test_derivations_are_checked_after_loading(name: str) -> None:
    derivation = od.derive(name)
    for other in copies(derivation):
        assert other.verified and other.text() == derivation.text()
        assert other.to_dict() == derivation.to_dict()
    (step,) = loaded(derivation).steps[1:2]
    assert step.claims and not any(wrong.verified for wrong in step.perturbed())
    direct = loaded(od.algorithm("heavy_ball").derivation())
    assert direct.verified


def test_loaded_in_another_process() -> None:
    """There names have other hashes: a block is found in a drift only where it was hashed anew."""
    data = pickle.dumps(
        (od.system("cbo"), od.algorithm("cbo"), od.blocks("x"), od.algorithm("cbo").program.next)
    )
    code = (
        "import pickle, sys, odescent as od\n"
        "s, a, x, after = pickle.loads(sys.stdin.buffer.read())\n"
        "assert s.drift[x] == od.system('cbo').drift[od.blocks('x')]\n"
        "assert a.program == od.algorithm('cbo').program and x in after\n"
    )
    subprocess.run(
        [sys.executable, "-c", code], input=data, check=True, env={"PYTHONHASHSEED": "7"}
    )


def test_results_of_runs() -> None:
    """Trajectories, solutions with their interpolant, ensembles and minima."""
    objective = od.Objective("bowl", bowl)
    flow = od.system("gradient_flow").simulate(objective, np.ones(2), 1.0, dense=True)
    other = loaded(flow)
    np.testing.assert_array_equal(other(0.37), flow(0.37))
    np.testing.assert_array_equal(other.x, flow.x)
    run = od.algorithm("gradient_descent").run(objective, np.ones(2), 3, L=2.0)
    np.testing.assert_array_equal(loaded(run).x, run.x)
    found = od.minimize(bowl, [(-2, 2)] * 2, steps=3)
    assert str(loaded(found)) == str(found) and copy.deepcopy(found).fun == found.fun
