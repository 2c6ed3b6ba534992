"""Federated averaging: a textbook loop, the drift and the noise of a round that the engine finds, and bad options."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp
from programs import Machine, fitted_order

import odescent as od
from odescent.dynamics import vanishes
from odescent.dynamics.samples.sample import dimension_of

x, f = od.blocks("x"), od.Objective("f")
h, sigma, bound = od.parameters("h sigma bound")
u = od.sample("u", "rows")
one, g = f.batch(x, u), f.grad(x)
START = np.array([0.7, -0.5, 0.4])
RNG = np.random.default_rng(0)
HESSIANS = np.array([m @ m.T / 3 + np.eye(3) / 4 for m in RNG.normal(size=(5, 3, 3))])
CENTERS = RNG.normal(size=(5, 3))
CLIENTS = od.FiniteSum(
    "f", lambda p, row: (p - row[1]) @ row[0] @ (p - row[1]) / 2, (HESSIANS, CENTERS)
)


def gradient(p, number):
    """That of the client which a number in [0, 1) picks."""
    c = min(int(number * len(CENTERS)), len(CENTERS) - 1)
    return HESSIANS[c] @ (p - CENTERS[c])


def clipped(v, length):
    return v * min(1, length / np.linalg.norm(v))


@pytest.mark.parametrize("rows", [0, 2])
@pytest.mark.parametrize("private", [False, True])
def test_rounds_by_hand(rows: int, private: bool) -> None:
    method = od.algorithm(
        "federated_averaging", clients=3, local_steps=4, rows=rows, private=private
    )
    values = {"h": 0.3, **({"bound": 0.8, "sigma": 0.05} if private else {})}
    made = Machine(method.tuned, {"batch_f": gradient, "named_ball": clipped}, **values)
    rng, state, p = np.random.default_rng(1), made.init(START), START
    for k in range(12):
        draws = {f"u{c}": rng.uniform() for c in (1, 2, 3)}
        noise = rng.standard_normal((3, 4, 3))
        if private:
            draws |= {f"n{c + 1}_{j + 1}": noise[c, j] for c in range(3) for j in range(4)}
        R = rng.standard_normal((rows, 3))
        draws |= {f"z{i + 1}": R[i] for i in range(rows)}
        state = made.step(state, k, draws)
        moved = []
        for c in range(3):
            y = p
            for j in range(4):
                d = gradient(y, draws[f"u{c + 1}"])
                y = y - 0.3 / 4 * (clipped(d, 0.8) + 0.05 * noise[c, j] if private else d)
            moved.append(y - p)
        sent = np.mean(moved, 0)
        p = p + (R.T @ (R @ sent) / rows if rows else sent)
        np.testing.assert_allclose(made.output(state), p, rtol=1e-11)


def test_one_client_takes_steps_of_gradient_descent() -> None:
    whole = od.FiniteSum("f", lambda p, row: jnp.sum(jnp.cosh(p - row)), START[None])
    rounds = od.algorithm("federated_averaging", clients=1, local_steps=3).run(
        whole, np.zeros(3), 5, h=0.3, key=0
    )
    steps = od.algorithm("gradient_descent", step=0.1).run(whole, np.zeros(3), 15)
    np.testing.assert_allclose(rounds.x[1:], steps.x[3::3], rtol=1e-13)
    assert rounds.counts["minibatch gradients"][-1] == 15


def test_one_step_of_one_client_is_stochastic_gradient_descent() -> None:
    plain = od.algorithm("federated_averaging", clients=1, local_steps=1)
    sgd = od.algorithm("sgd", noise="minibatch")
    assert plain.equivalent(sgd).verdict == "proved"
    more = od.algorithm("federated_averaging", clients=1, local_steps=2)
    assert more.equivalent(sgd).verdict != "proved"


@pytest.mark.parametrize("clients, steps", [(1, 1), (1, 3), (3, 2), (2, 4)])
def test_the_drift_of_the_clients_is_found(clients: int, steps: int) -> None:
    """x' = -g - h/2 H g + h (K - 1)/(2 K) E[H_c g_c], whatever the number of clients."""
    method = od.algorithm("federated_averaging", clients=clients, local_steps=steps)
    found = method.modified_equation(1)
    moved = od.mean(od.dynamics.derivative(one, {x: one}))
    drift = -g - f.grad(x, along=(g,)) * (h / 2) + moved * (h * sp.Rational(steps - 1, 2 * steps))
    assert vanishes(found.drift[x] - drift)
    spread = od.mean(od.outer(one, one)) - od.outer(g, g)
    assert vanishes(found.covariance[x, x] - spread * (h / clients))


@pytest.mark.parametrize("clients, rows", [(1, 1), (3, 2), (2, 3)])
def test_the_noise_of_a_sketch_is_found(clients: int, rows: int) -> None:
    """E R^T R W R^T R = ((s + 1) W + tr(W) I)/s for W = E m m^T, the second moment of the mean of the clients."""
    method = od.algorithm("federated_averaging", clients=clients, local_steps=2, rows=rows)
    share = sp.Rational(1, clients)
    second = od.mean(od.outer(one, one)) * share + od.outer(g, g) * (1 - share)
    length = od.mean(od.inner(one, one)) * share + od.inner(g, g) * (1 - share)
    noise = (second * (rows + 1) + od.identity * length) / rows - od.outer(g, g)
    assert vanishes(method.modified_equation(1).covariance[x, x] - noise * h)


def test_the_noise_of_privacy_is_found() -> None:
    method = od.algorithm("federated_averaging", clients=3, local_steps=2, private=True)
    short = od.named_map("ball", r=bound)(one)
    mean = od.mean(short)
    assert vanishes(method.consistent_with().drift[x] + mean)
    noise = (od.mean(od.outer(short, short)) - od.outer(mean, mean)) / 3
    noise = noise + od.identity * (sigma**2 / 6)
    assert vanishes(method.modified_equation(1).covariance[x, x] - noise * h)
    sketch = od.algorithm("federated_averaging", clients=1, local_steps=2, rows=1, private=True)
    own = od.mean(od.outer(short, short)) * 2 - od.outer(mean, mean)
    length = od.mean(od.inner(short, short)) + (dimension_of(x) / 2 + 1) * sigma**2
    found = sketch.modified_equation(1).covariance[x, x]
    assert vanishes(found - (own + od.identity * length) * h)


def test_the_mean_round_is_the_flow_of_the_modified_equation() -> None:
    """Clients with quadratics of their own: the mean of a round in closed form, to the third order in h."""
    K, eye = 4, np.eye(3)
    mean = HESSIANS.mean(0)
    offset = np.einsum("cij,cj->ci", HESSIANS, CENTERS).mean(0)
    squares = HESSIANS @ HESSIANS
    bent = np.einsum("cij,cj->ci", squares, CENTERS).mean(0)

    def off(step: float) -> float:
        maps = np.array([np.linalg.matrix_power(eye - step / K * H, K) for H in HESSIANS])
        after = START + np.mean(
            [(M - eye) @ (START - c) for M, c in zip(maps, CENTERS, strict=True)], 0
        )
        share = step * (K - 1) / (2 * K)
        A = -mean - step / 2 * mean @ mean + share * squares.mean(0)
        b = offset + step / 2 * mean @ offset - share * bent
        flow = np.linalg.solve(A, (jax.scipy.linalg.expm(A * step) - eye) @ (A @ START + b))
        return float(np.linalg.norm(START + flow - after))

    sizes = [0.04, 0.02, 0.01, 0.005]
    assert abs(fitted_order(sizes, [off(s) for s in sizes]) - 3) < 0.05


@pytest.mark.optimized
def test_local_steps_move_the_point_of_rest() -> None:
    """Runs end about h (K - 1)/(2 K) H^-1 E[H_c g_c] beside the minimizer, to first order in h."""
    mean = HESSIANS.mean(0)
    best = np.linalg.solve(mean, np.einsum("cij,cj->ci", HESSIANS, CENTERS).mean(0))
    own = np.einsum("cij,cj->ci", HESSIANS, best - CENTERS)
    step, K = 0.1, 4
    drift = np.einsum("cij,cj->ci", HESSIANS, own).mean(0)
    expected = step * (K - 1) / (2 * K) * np.linalg.solve(mean, drift)
    method = od.algorithm("federated_averaging", clients=4, local_steps=K)
    run = method.run(CLIENTS, best, 40_000, h=step, key=3)
    parts = np.asarray(run.x)[1001:].reshape(39, -1, 3).mean(1) - best  # means over blocks of time
    error = parts.std(0, ddof=1) / np.sqrt(len(parts))
    found = parts.mean(0)
    assert np.linalg.norm(found - expected) < 4 * np.linalg.norm(error) + 0.1 * np.linalg.norm(
        expected
    )
    assert np.linalg.norm(found) > 6 * np.linalg.norm(error)


def test_a_large_bound_without_noise_changes_nothing() -> None:
    """A run without noise, the size of which is no radius of a difference, where all clients are one."""
    whole = od.FiniteSum("f", lambda p, row: jnp.sum(jnp.cosh(p - row)), START[None])
    plain = od.algorithm("federated_averaging").run(whole, np.zeros(3), 30, h=0.2, key=1)
    private = od.algorithm("federated_averaging", private=True)
    run = private.run(whole, np.zeros(3), 30, h=0.2, bound=1e6, sigma=1e-30, key=2)
    np.testing.assert_allclose(run.x, plain.x, rtol=1e-13)
    short = private.run(whole, np.zeros(3), 1, h=0.2, bound=0.3, sigma=1e-30, key=2)
    assert np.linalg.norm(short.x[-1]) == pytest.approx(0.06)
    with pytest.raises(od.OdescentError, match="bound"):
        private.run(CLIENTS, START, 3, h=0.2, bound=-1.0, sigma=0.0, key=1)


@pytest.mark.parametrize(
    "wrong", [{"clients": 0}, {"local_steps": 0}, {"rows": -1}, {"clients": 1000}, {"rows": 1.5}]
)
def test_numbers_that_are_none(wrong: dict[str, object]) -> None:
    with pytest.raises(od.OdescentError, match=next(iter(wrong))):
        od.algorithm("federated_averaging", **wrong)
