"""Every backend against every other over the registry, and against 40-digit arithmetic."""

import mpmath
import numpy as np
import pytest
from emitted_runs import RUNNERS, carriers

import odescent as od


@pytest.mark.parametrize("name", od.algorithms())
def test_every_backend_gives_the_same_50_steps(name):
    alg = od.algorithm(name)
    # a step that depends on the state amplifies the rounding of inner products, whose order is each backend's own
    steps = 50 if alg.size is None else 25
    runs = {t: RUNNERS[t](alg, steps) for t in carriers(alg)}
    assert {"numpy", "jax"} <= set(runs)
    reference = runs.pop("numpy")
    if not alg.program.oracles:  # it solves an equation of matrices, and its output may be one
        assert name in {"iterative_newton", "newton_schulz"}
        np.testing.assert_allclose(runs["jax"], reference, rtol=1e-12, atol=1e-12)
        return
    assert reference.shape in {(steps + 1, 6), (steps + 1, 5, 6)} and np.ptp(reference[:, 0]) > 0
    for target, xs in runs.items():
        np.testing.assert_allclose(xs, reference, rtol=1e-12, atol=1e-12, err_msg=target)


# 40 digits. Two problems in separate coordinates, so that a run is a list of plain mpmath loops.

CURVATURES = (1, 2, 5, 10)
STARTS = (1.5, -0.75, 2.0, 0.625)
TUNED = {"mu": 1, "L": 10}


def softly(exp, x, w):
    """The derivative of log(exp((w - 1) x) + 1) + x^2 / 2, of curvature at most (w - 1)^2 / 4 + 1."""
    return (w - 1) / (1 + exp(-(w - 1) * x)) + x


PROBLEMS = {
    "quadratic": lambda exp, x, w: w * (x - 1),
    "softplus": lambda exp, x, w: softly(exp, x, w * 0.7),
}


def three_parameters(alpha, beta, gamma, delta):
    def run(grad, x0, steps):
        old = now = x0
        yield now
        for _ in range(steps):
            y = (1 + gamma) * now - gamma * old
            old, now = now, (1 + beta) * now - beta * old - alpha * grad(y)
            yield (1 + delta) * now - delta * old

    return run


def nesterov_c(grad, x0, steps):
    old = now = x0
    yield now
    for k in range(steps):
        y = now + mpmath.mpf(k) / (k + 3) * (now - old)
        old, now = now, y - grad(y) / TUNED["L"]
        yield now


def adam(grad, x0, steps):
    h, b1, b2, eps = (mpmath.mpf(v) for v in (0.05, 0.9, 0.99, 1e-6))
    x, m, v = x0, mpmath.mpf(0), mpmath.mpf(0)
    yield x
    for t in range(1, steps + 1):
        g = grad(x)
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        x -= h * (m / (1 - b1**t)) / (mpmath.sqrt(v / (1 - b2**t)) + eps)
        yield x


def loops():
    """The textbook's methods in 40 digits; with mpmath's precision already set."""
    mu, L = (mpmath.mpf(TUNED[n]) for n in ("mu", "L"))
    q = mpmath.sqrt(mu / L)
    r, root = 1 - q, (1 - q) / (1 + q)
    momentum = (1 + r) / L, r**2 / (2 - r), r**2 / ((1 + r) * (2 - r)), r**2 / (1 - r**2)
    return {
        "gradient_descent": three_parameters(1 / L, 0, 0, 0),
        "heavy_ball": three_parameters(4 / (mpmath.sqrt(L) + mpmath.sqrt(mu)) ** 2, root**2, 0, 0),
        "nesterov_sc": three_parameters(1 / L, root, root, 0),
        "triple_momentum": three_parameters(*momentum),
        "nesterov_c": nesterov_c,
        "adam": adam,
    }


@pytest.mark.optimized  # the digits of what users run
@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize(
    "name",
    ["gradient_descent", "heavy_ball", "nesterov_sc", "triple_momentum", "nesterov_c", "adam"],
)
def test_against_40_digits(name, problem):
    slope = PROBLEMS[problem]
    with mpmath.workdps(40):
        run = loops()[name]
        exact = [
            [float(x) for x in run(lambda x, w=w: slope(mpmath.exp, x, mpmath.mpf(w)), mpmath.mpf(s), 50)]
            for w, s in zip(CURVATURES, STARTS, strict=True)
        ]  # fmt: skip
    curvatures, expected = np.array(CURVATURES, float), np.array(exact).T
    for target in carriers(od.algorithm(name)):
        xs = RUNNERS[target](od.algorithm(name), 50, problem=(slope, curvatures, STARTS))
        np.testing.assert_allclose(xs, expected, rtol=1e-12, atol=1e-13, err_msg=target)
