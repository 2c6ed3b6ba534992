"""Guarded substeps in every backend: the same decisions, evaluations counted, derivatives, loops that fail."""

import functools
import importlib.util

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
import sympy as sp

import odescent as od
from odescent.discretize.emit import load
from odescent.dynamics import start

x, y = od.blocks("x y")
f = od.Objective("f")
h = od.parameters("h")
s, n = (sp.Symbol(name, real=True) for name in ("s", "n"))
A = np.array([1.0, 10.0, 40.0])
P0 = np.array([1.0, -1.0, 0.5])
quadratic = lambda p: jnp.sum(jnp.asarray(A) * p**2) / 2
value = lambda p: float(p @ (A * p)) / 2


def system() -> od.System:
    own = [od.Block(m, "scalar", "coefficient", sp.S.One) for m in ("s", "n")]
    blocks = [od.Block("x", init=start), *own]
    return od.System({"flow": {x: -s * f.grad(x)}}, blocks=blocks, output=x)


def searched(until: object, most: object = 40) -> od.Algorithm:
    again = [od.Let({s: s / 2, x: od.at(x)}), od.Flow("flow", "explicit")]
    steps = (od.Let({s: 2 * s}), od.Repeat(again, until, most, count=n))
    return od.Algorithm(system(), od.Scheme(steps, "searched"), step=h, name="searched")


def enough(share: object) -> sp.Basic:
    g = f.grad(od.at(x))
    return f.value(x) <= f.value(od.at(x)) - s * h * od.inner(g, g) * share


# every backend takes the same decisions


def bold(steps: int) -> tuple[np.ndarray, np.ndarray]:
    """The bold driver as a loop by hand; steps and lengths."""
    p, step, seen = P0, 1.0, [(P0, 1.0)]
    for _ in range(steps):
        trial = p - 0.05 * step * A * p
        p, step = (trial, 1.25 * step) if value(trial) <= value(p) else (p, step / 2)
        seen.append((p, step))
    return np.array([a for a, _ in seen]), np.array([b for _, b in seen])


def test_numpy_and_jax_decide_alike() -> None:
    points, lengths = bold(60)
    run = od.algorithm("bold_driver").run(quadratic, P0, 60, h=0.05)
    np.testing.assert_array_equal(run.states["s"], lengths)
    np.testing.assert_allclose(run.x, points, rtol=1e-12)
    module = load(od.algorithm("bold_driver"), "numpy")
    c = module.coefficients(h=0.05)
    state = module.init(P0, grad=lambda p: A * p, value=value)
    for p, length in zip(points[1:], lengths[1:], strict=True):
        state = module.step(state, c=c, grad=lambda p: A * p, value=value)
        assert state.s == length
        np.testing.assert_allclose(state.x, p, rtol=1e-12)


def test_optax_decides_alike() -> None:
    optax = pytest.importorskip("optax")
    points, lengths = bold(60)
    transformation = od.algorithm("bold_driver").to_optax(h=0.05)
    with jax.enable_x64(True):
        p = jnp.asarray(P0)
        state = transformation.init(p)
        update = jax.jit(
            lambda g, state, p: transformation.update(
                g, state, p, value_fn=quadratic, grad_fn=jax.grad(quadratic)
            )
        )
        for k, length in enumerate(lengths[1:], 1):
            moved, state = update(jax.grad(quadratic)(p), state, p)
            p = optax.apply_updates(p, moved)
            assert float(state.s) == length
            np.testing.assert_allclose(p, points[k], rtol=1e-9, atol=1e-300)


def test_torch_decides_alike() -> None:
    torch = pytest.importorskip("torch")
    points, lengths = bold(60)
    params = [
        torch.tensor(P0[:1].copy(), requires_grad=True),
        torch.tensor(P0[1:].copy(), requires_grad=True),
    ]
    whole = lambda given: np.concatenate([t.detach().numpy() for t in given])
    for foreach in (False, True):
        for t, part in zip(params, (P0[:1], P0[1:]), strict=True):
            t.data = torch.tensor(part.copy())
        opt = od.algorithm("bold_driver").to_torch(
            params, h=0.05, foreach=foreach, value=lambda given: value(whole(given))
        )
        for k, length in enumerate(lengths[1:], 1):
            for t, part in zip(params, (A[:1], A[1:]), strict=True):
                t.grad = torch.tensor(part) * t.detach()
            opt.step()
            assert opt.state[params[0]]["s"] == opt.state[params[1]]["s"] == length
            np.testing.assert_allclose(whole(params), points[k], rtol=1e-12)


def test_torch_says_what_it_does() -> None:
    for name in ("bold_driver", "armijo"):
        said = " ".join(od.algorithm(name).source("torch").split())
        assert "chooses and repeats by Python" in said


def test_lanes_of_a_batch_go_their_own_ways() -> None:
    rates = np.array([0.011, 0.053, 0.31, 1.07])
    begin = np.array([1.1, -0.9, 0.37])  # no coordinate comes to zero
    run = lambda name, rate: od.algorithm(name).run(quadratic, begin, 15, h=rate).x
    for name in ("bold_driver", "armijo"):
        with jax.enable_x64(True):
            batch = jax.vmap(functools.partial(run, name))(jnp.asarray(rates))
        for rate, xs in zip(rates, batch, strict=True):
            np.testing.assert_allclose(xs, run(name, rate), rtol=1e-10)


def test_latex_shows_cases() -> None:
    shown = od.algorithm("bold_driver").latex()
    assert r"\begin{cases}" in shown and r"\text{otherwise}" in shown
    assert r"f(x'_{k})" in shown and r"\text{until }" in od.algorithm("armijo").latex()


# only what is decided is evaluated


class Counting:
    """The quadratic with its evaluations counted as they are made, inside of compiled code."""

    def __init__(self) -> None:
        self.made = {"value": 0, "grad": 0, "hvp": 0}
        self.objective = od.Objective(
            "counted",
            self.counted("value", quadratic),
            grad=self.counted("grad", jax.grad(quadratic)),
        )

    def counted(self, kind: str, function: object) -> object:
        def note(p: jax.Array) -> jax.Array:
            jax.debug.callback(functools.partial(self.note, kind))
            return function(p)

        return note

    def note(self, kind: str) -> None:
        self.made[kind] += 1


def test_a_rejected_point_is_asked_nothing_and_a_kept_one_not_again() -> None:
    """One value for each trial, one gradient for each that is accepted, and both at the start."""
    counting, steps = Counting(), 40
    run = od.algorithm("bold_driver").run(counting.objective, P0, steps, h=0.05)
    jax.effects_barrier()
    accepted = int(np.sum(np.diff(run.states["s"]) > 0))
    assert 0 < accepted < steps
    recorded = steps + 1  # values along the run, which the record asks for
    assert counting.made == {"value": 1 + steps + recorded, "grad": 1 + accepted, "hvp": 0}
    assert {n: each for n, _, each in run.cost if each} == {"values": 1}
    assert run.counts["gradients"][-1] == 1 + accepted
    assert run.counts["rejections"][-1] == steps - accepted


def test_a_search_asks_one_value_in_each_iteration() -> None:
    counting, steps = Counting(), 20
    run = od.algorithm("armijo").bind(h=1)
    xs = run.run(counting.objective, P0, steps)
    jax.effects_barrier()
    trials, step = 0, 1.0
    for p in np.asarray(xs.x)[:-1]:  # each begins with twice the step before
        g, step = A * p, 4 * step
        while True:
            trials, step = trials + 1, step / 2
            if value(p - step * g) <= value(p) - step * (g @ g) / 2:
                break
    assert counting.made["grad"] == steps
    assert counting.made["value"] == trials + steps + (steps + 1)


def test_an_iteration_is_not_asked_what_the_one_before_was() -> None:
    """Gradient steps until the gradient is small: one gradient in each, and the first one."""
    counting = Counting()
    small = od.inner(f.grad(x), f.grad(x)) < sp.Rational(1, 10**6)
    inner = od.Repeat([od.Flow("flow", "explicit")], small, 500, count=n)
    run = od.Algorithm(system(), od.Scheme([inner]), step=h).run(counting.objective, P0, 1, h=0.04)
    jax.effects_barrier()
    p, times = P0, 0
    while times == 0 or np.sum((A * p) ** 2) >= 1e-6:
        p, times = p - 0.04 * A * p, times + 1
    assert float(run.states["n"][-1]) == times > 100
    np.testing.assert_allclose(run.x[-1], p, rtol=1e-9)
    assert counting.made["grad"] == times + 1


# loops that fail


def test_a_loop_at_its_limit_ends_the_run_and_says_what_it_compared() -> None:
    """A decrease of more than a gradient step can have: never."""
    method = searched(enough(2), 25)
    run = method.run(quadratic, P0, 10, h=1.0)
    assert run.diverged_at == 1 and len(run.x) == 1
    assert "the run ended in step 1, where the loop until f(x) <= " in run.remark
    assert "has not ended after 25 iterations: it last compared 10.4" in run.remark
    module = load(method, "numpy")
    with pytest.raises(ArithmeticError, match="not ended after 25 iterations: it last compared"):
        module.run(grad=lambda p: A * p, value=value, x0=P0, steps=3, h=1.0)


def test_the_step_that_fails_is_named() -> None:
    """A guard that holds as long as the value is large."""
    method = searched(sp.Or(enough(sp.Rational(1, 2)), f.value(od.at(x)) > 1), 30)
    fewer = searched(sp.And(enough(sp.Rational(1, 2)), f.value(od.at(x)) > 1), 30)
    assert method.run(quadratic, P0, 30, h=0.01).diverged_at is None
    run = fewer.run(quadratic, P0, 30, h=0.01)
    assert (
        run.diverged_at == len(run.x) > 1
        and f"in step {run.diverged_at}, where the loop" in run.remark
    )
    assert float(run.f[-1]) <= 1 < float(run.f[-2])
    assert "it last compared 1 < 0.8" in run.remark and " <= 0.8" in run.remark


def test_a_loop_ends_in_its_last_iteration_without_failing() -> None:
    three = searched(n >= 3, 3)
    assert set(np.asarray(three.run(quadratic, P0, 5, h=0.001).states["n"][1:])) == {3.0}
    assert searched(n >= 4, 3).run(quadratic, P0, 5, h=0.001).diverged_at == 1


# derivatives


def settling(fixed: bool) -> od.Algorithm:
    """y = h cos y, iterated: from it x moves."""
    w = sp.Symbol("w", real=True)
    flow = od.System(
        {"flow": {x: -f.grad(x)}},
        blocks=[
            od.Block("x", init=start),
            od.Block("w", "scalar", "memory", sp.S.Zero),
            od.Block("u", "scalar", "memory", sp.S.Zero),
        ],
        output=x,
    )
    u = sp.Symbol("u", real=True)
    small = sp.And(w - u < sp.Rational(1, 10**13), u - w < sp.Rational(1, 10**13))
    theta = od.parameters("theta")
    loop = od.Repeat(
        [od.Let({u: w}), od.Let({w: theta * sp.cos(w)})], small, 200, fixed_point=fixed
    )
    return od.Algorithm(
        flow, od.Scheme([loop, od.Flow("flow", "explicit")]), step=h, name="settling"
    )


def test_a_fixed_point_is_differentiated_by_its_equation() -> None:
    """dw/dtheta = cos w / (1 + theta sin w), forward and backward, to the error of the tolerance."""
    last = lambda theta: (
        settling(True).run(quadratic, jnp.asarray(P0), 1, h=0.01, theta=theta).states["w"][-1]
    )
    with jax.enable_x64(True):
        for theta in (0.3, 0.7):
            w = scipy.optimize.brentq(lambda w, t=theta: w - t * np.cos(w), 0, 1, xtol=1e-15)
            expected = np.cos(w) / (1 + theta * np.sin(w))
            assert float(last(theta)) == pytest.approx(w, abs=1e-12)
            for derivative in (jax.grad, jax.jacfwd):
                assert float(derivative(last)(theta)) == pytest.approx(expected, abs=1e-11)


def test_a_loop_that_is_none_has_no_derivative() -> None:
    last = lambda theta: (
        settling(False).run(quadratic, jnp.asarray(P0), 1, h=0.01, theta=theta).states["w"][-1]
    )
    other = lambda h: jnp.sum(settling(False).run(quadratic, jnp.asarray(P0), 1, h=h, theta=0.5).x)
    with jax.enable_x64(True):
        for derivative in (jax.grad, jax.jacfwd):
            with pytest.raises(
                ValueError, match="declare fixed_point=True where it ends at a fixed point"
            ):
                derivative(last)(0.5)
        assert float(jax.grad(other)(0.01)) == pytest.approx(-float(np.sum(A * P0)), rel=1e-10)


def curved(p):
    return quadratic(p) + 0.3 * jnp.sum(jnp.cos(p))


def differences(function, at, size):
    e = np.eye(len(at)) * size
    return np.array([(function(at + v) - function(at - v)) / (2 * size) for v in e])


@pytest.mark.parametrize("name", ["armijo", "wolfe"])
def test_a_search_is_differentiated_with_its_outcome_held(name):
    """Where no decision changes that is the derivative: by the start, by the step, twice, forward and backward."""

    def last(at, length=0.7):
        run = od.algorithm(name).run(curved, at, 3, h=length)
        return jnp.sum(run.x[-1] ** 3)

    with jax.enable_x64(True):
        start_at = jnp.asarray(P0)
        expected = differences(last, start_at, 1e-6)
        for derivative in (jax.grad, jax.jacfwd):
            np.testing.assert_allclose(derivative(last)(start_at), expected, rtol=1e-6, atol=1e-9)
        slope = jax.grad(last)
        second = differences(slope, start_at, 1e-5)
        np.testing.assert_allclose(jax.hessian(last)(start_at), second, rtol=1e-6, atol=1e-8)
        by_length = (last(start_at, 0.7 + 1e-6) - last(start_at, 0.7 - 1e-6)) / 2e-6
        assert float(jax.grad(last, 1)(start_at, 0.7)) == pytest.approx(float(by_length), rel=1e-6)
        many = jnp.stack([start_at, 2 * start_at, -start_at])
        alone = [slope(x) for x in many]
        np.testing.assert_allclose(jax.vmap(slope)(many), alone, rtol=1e-12)


def test_what_a_search_makes_otherwise_has_no_derivative():
    """A vector that is carried on, or a number made of a parameter: held, it would give a wrong one."""
    theta = od.parameters("theta")
    steps = [od.Let({s: s * theta}), od.Let({x: od.at(x)}), od.Flow("flow", "explicit")]
    carried = [od.Let({s: s / 2}), od.Flow("flow", "explicit")]
    for body, numbers in ((steps, {"theta": 0.5}), (carried, {})):
        loop = od.Repeat(body, f.value(x) <= f.value(od.at(x)), 20, count=n)
        method = od.Algorithm(system(), od.Scheme([od.Let({s: 2}), loop]), step=h)
        run = functools.partial(method.run, quadratic, steps=1, h=0.01, **numbers)
        last = lambda at, run=run: jnp.sum(run(x0=at).x[-1])
        with jax.enable_x64(True), pytest.raises(ValueError, match="is not differentiated"):
            jax.grad(last)(jnp.asarray(P0))


def test_a_loop_without_a_guard_is_differentiated():
    part = od.Flow("flow", "explicit", fraction=sp.Rational(1, 40))
    method = od.Algorithm(system(), od.Scheme([od.Repeat([part], max_steps=40)]), step=h)
    last = lambda at: jnp.sum(method.run(curved, at, 2, h=0.05).x[-1] ** 2)
    with jax.enable_x64(True):
        expected = differences(last, jnp.asarray(P0), 1e-6)
        for derivative in (jax.grad, jax.jacfwd):
            np.testing.assert_allclose(derivative(last)(jnp.asarray(P0)), expected, rtol=1e-6)


# the methods


def test_adaptive_regularized_newton_in_twelve_steps() -> None:
    """Breast cancer, ridge 1e-3, from 3 in each coordinate to 1e-10, where Newton's method diverges."""
    if importlib.util.find_spec("sklearn") is None:
        pytest.skip("scikit-learn is not installed")
    problem = od.objective("logistic/breast_cancer", regularization=1e-3)
    x0 = np.full(31, 3.0)
    run = od.algorithm("adaptive_regularized_newton").run(problem, x0, 18)
    with jax.enable_x64(True):
        least = float(problem.fun(jnp.asarray(problem.minimizer)))
    solves = int(np.argmax(np.asarray(run.f) - least < 1e-10))
    accepted = int(np.sum(np.diff(run.states["gam"][: solves + 1]) > 0))
    assert (accepted, solves) == (12, 15)
    with jax.enable_x64(True):
        value, slope, curvature = (
            jax.jit(d(problem.fun)) for d in (lambda f: f, jax.grad, jax.hessian)
        )
        gaps: list[float] = []
        scipy.optimize.minimize(
            lambda x: float(value(x)), x0, jac=lambda x: np.asarray(slope(x)), method="trust-exact",
            hess=lambda x: np.asarray(curvature(x)), options={"gtol": 1e-12},
            callback=lambda x: gaps.append(float(value(x)) - least),
        )  # fmt: skip
    assert abs(int(np.argmax(np.asarray(gaps) < 1e-10)) + 1 - accepted) <= 3
    newton = od.algorithm("newton").run(problem, x0, 30)
    assert newton.diverged_at is not None or float(newton.f[-1]) > float(run.f[0])


@pytest.mark.parametrize("power", ["1", "2/3", "1/2", "2"])
@pytest.mark.parametrize("operator", ["hessian", "gauss_newton"])
def test_it_is_the_method_of_the_paper(operator: str, power: str) -> None:
    """By dense matrices: trials, radii and what is accepted, on a function that is not quadratic."""
    each = lambda p: jnp.concatenate([jnp.sin(jnp.asarray(A) * p), p - 1, jnp.array([p[0] * p[1]])])
    fun = lambda p: jnp.sum(jnp.logaddexp(jnp.asarray(A) * p, 0.0)) + jnp.sum((p - 1) ** 2) / 20
    rows = od.Map("c", each)
    with jax.enable_x64(True):
        given = {"f": fun, "c": rows} if operator == "gauss_newton" else fun
        options = {"operator": operator, "power": sp.Rational(power)}
        run = od.algorithm("adaptive_regularized_newton", **options).run(given, P0, 25)
        fixed = od.algorithm("regularized_newton", **options).run(given, P0, 1, gam=0.7)
        p, gam = jnp.asarray(P0), 1.0
        for k in range(25):
            g, jacobian = jax.grad(fun)(p), jax.jacobian(each)(p)
            curved = jax.hessian(fun)(p) if operator == "hessian" else jacobian.T @ jacobian
            length = float(jnp.linalg.norm(g)) ** float(sp.Rational(power))
            lam = length / gam
            if k == 0:
                alone = p - jnp.linalg.solve(curved + length / 0.7 * jnp.eye(3), g)
                np.testing.assert_allclose(fixed.x[1], alone, rtol=1e-7)
            trial = p - jnp.linalg.solve(curved + lam * jnp.eye(3), g)
            there = jax.grad(fun)(trial)
            if float(jnp.linalg.norm(there)) < 1e-7:
                break
            if float(fun(p) - fun(trial)) >= float(there @ there) / (8 * lam):
                p, gam = trial, 2 * gam
            else:
                gam = gam / 2
            np.testing.assert_allclose(run.x[k + 1], p, rtol=1e-7)
            assert run.states["gam"][k + 1] == gam
        assert k > 3


def test_the_fisher_matrix_of_rows_in_place_of_the_hessian() -> None:
    """The same data and start: the empirical Fisher matrix, the map being the losses of the rows."""
    if importlib.util.find_spec("sklearn") is None:
        pytest.skip("scikit-learn is not installed")
    from odescent.dynamics.problems.logistic import breast_cancer_data

    features, labels = breast_cancer_data()
    problem = od.objective("logistic/breast_cancer", regularization=1e-3)
    losses = lambda w: jnp.logaddexp(0.0, -(2.0 * labels - 1) * (features @ w))
    rows = od.Map("c", lambda w: losses(w) / np.sqrt(len(labels)))
    method = od.algorithm("adaptive_regularized_newton", operator="gauss_newton")
    with jax.enable_x64(True):
        run = method.run({"f": problem, "c": rows}, np.full(31, 3.0), 560)
        least = float(problem.fun(jnp.asarray(problem.minimizer)))
    steps = int(np.argmax(np.asarray(run.f) - least < 1e-10))
    accepted = int(np.sum(np.diff(run.states["gam"][: steps + 1]) > 0))
    # a fiftieth of gradient descent, half of Nesterov's method; a rejected trial costs a solve
    assert 0 < accepted <= min(24723 / 50, 760 / 2)
    assert accepted < steps <= 760


def test_the_step_is_the_linearly_implicit_one() -> None:
    """(H + |g|/gam)^-1 g = s (1 + s H)^-1 g with s = gam/|g|, the W-method along the arclength."""
    g = f.grad(x)
    rate = s / sp.sqrt(od.inner(g, g))
    flow = od.System(
        {"flow": {x: -g * rate}},
        blocks=[od.Block("x", init=start), od.Block("s", "scalar", "coefficient", sp.S.One)],
        output=x,
    )
    w = od.Algorithm(flow, od.scheme("linearly_implicit", operator=f.hessian(x) * -rate), step=1)
    fun = lambda p: jnp.sum(jnp.logaddexp(jnp.asarray(A) * p, 0.0)) + jnp.sum(p**2)
    ours = od.algorithm("adaptive_regularized_newton").branch(True)
    np.testing.assert_allclose(w.run(fun, P0, 1).x[1], ours.run(fun, P0, 1).x[1], rtol=1e-11)
