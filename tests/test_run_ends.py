"""Runs with an end of their own: conditions, budgets, batches, and what is resumed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import odescent as od
from odescent.discretize.runs import chunks

F = od.objective("quadratic", eigenvalues=(1.0, 10.0))
X0 = np.array([1.0, -2.0])
EIGENVALUES = np.array([1.0, 10.0])
DESCENT = od.algorithm("gradient_descent", step=0.05)
ROWS = np.random.default_rng(0).normal(size=(32, 3))
SUM = od.FiniteSum("f", lambda y, row: (row @ y - 1) ** 2 / 2, ROWS, batch=4)
TREE = od.Objective("f", lambda y: jnp.sum(y["a"] ** 2) / 2 + 5 * jnp.sum(y["b"] ** 2))


def closed(k):
    """Gradient descent's iterates, exactly known."""
    return X0 * (1 - EIGENVALUES / 20) ** np.asarray(k)[:, None]


def first_small(tolerance):
    """The first step at which the gradient is this small, from the closed form."""
    return int(np.argmax(np.linalg.norm(closed(range(400)) * EIGENVALUES, axis=1) <= tolerance))


@settings(max_examples=15, phases=[Phase.explicit, Phase.generate])
@given(
    power=st.floats(-4, 2), most=st.integers(0, 60), every=st.integers(1, 50), chunk=st.integers(1, 45)
)  # fmt: skip
def test_a_run_ends_where_the_closed_form_says(power, most, every, chunk):
    tolerance = 10.0**power
    run = DESCENT.run(
        F, X0, until={"gradient": tolerance}, max_steps=most, every=every, chunk=chunk,
        statistics=["mean"],
    )  # fmt: skip
    last = first_small(tolerance)
    steps, met = min(last, most), last <= most
    assert (run.steps, run.stopped) == (steps, "gradient" if met else None)
    expected = sorted({*range(0, steps + 1, every), steps})
    np.testing.assert_array_equal(run.k, expected)
    np.testing.assert_allclose(run.x, closed(expected), rtol=1e-12)
    np.testing.assert_allclose(
        run.statistics["mean"]["x"], closed(range(steps + 1)).mean(0), rtol=1e-11
    )
    assert run.diverged_at is None and run.counts["gradients"][-1] == steps
    after = f"after {steps} step{'s' * (steps != 1)}"
    assert run.reason == (f"stopped by gradient {after}" if met else f"ended {after}")


def test_each_run_of_a_batch_ends_for_itself():
    starts = jnp.asarray([[1.0, -2.0], [1e-3, 0.0], [1e4, 5.0], [0.0, 3.0]])
    one = lambda x0, every=1: DESCENT.run(
        F, x0, until={"gradient": 1e-2}, max_steps=130, every=every
    )
    for every in (1, 7):
        batch = jax.jit(jax.vmap(lambda x0, n=every: one(x0, n)))(starts)
        for i, start in enumerate(starts):
            single = one(start, every)
            part = jax.tree.map(lambda a, i=i: a[i], batch)
            assert batch.steps[i] == single.steps and batch.stopped[i] == single.stopped
            own = part.prefix()
            np.testing.assert_array_equal(own.k, single.k)
            np.testing.assert_allclose(own.x, single.x, rtol=1e-13)
            np.testing.assert_allclose(own.t, single.t, rtol=1e-13)
            assert own.reason == part.reason == single.reason
            # further records repeat the last one
            rest = part.x[len(own.k) :]
            np.testing.assert_array_equal(rest, np.tile(own.x[-1], (len(rest), 1)))
    assert len({*batch.stopped}) == 2  # the third has not come so far
    with pytest.raises(od.OdescentError, match="no common prefix"):
        _ = batch.reason
    over_steps = jax.vmap(
        lambda h: od.algorithm("gradient_descent").run(F, X0, until={"value": 1e-3}, max_steps=300, h=h)
    )(jnp.asarray([0.05, 0.1, 0.25]))  # fmt: skip
    values = lambda h: (X0**2 * (1 - EIGENVALUES * h) ** (2 * np.arange(300)[:, None])) @ EIGENVALUES / 2  # fmt: skip
    assert over_steps.stopped == ["value", "value", None]  # the last diverges
    assert list(over_steps.steps[:2]) == [int(np.argmax(values(h) <= 1e-3)) for h in (0.05, 0.1)]


@pytest.mark.parametrize("name", ["nesterov_sc", "underdamped_langevin", "adam"])
def test_a_stopped_run_goes_on_to_the_same_bits(tmp_path, name):
    """To a smaller tolerance, and after Ctrl-C too, from its file."""
    method, key, file = od.algorithm(name), jax.random.key(7), tmp_path / "run.npz"
    more = {
        "underdamped_langevin": {"h": 0.1, "gam": 1.0, "u": 1.0},
        "adam": {"step": 0.01, "b1": 0.9, "b2": 0.99, "eps": 1e-8},
    }.get(name, {})
    options = {"every": 7, "statistics": ("mean", "variance"), "max_steps": 500, **more}
    far = lambda t, x, states: jnp.sum(x * x) + 1
    run = lambda level, **extra: method.run(
        F, X0, key=key, until={"value": level, "far": far}, **{**options, **extra}
    )
    least = np.minimum.accumulate(method.run(F, X0, 60, key, **more).f)
    levels = least[[3, 40]] * (1 + 1e-9)
    whole, short = run(levels[1]), run(levels[0])
    assert 0 < short.steps < whole.steps < 500
    stopped = run(levels[0], resume=file)
    again = run(levels[0], resume=file, chunk=3)  # it has ended already
    assert again.steps == stopped.steps == short.steps
    for a, b in zip(jax.tree.leaves(again), jax.tree.leaves(short), strict=True):
        np.testing.assert_array_equal(a, b)

    def progress(done, total):
        if done >= short.steps + 1:
            raise KeyboardInterrupt

    if whole.steps > short.steps + 2:
        with pytest.raises(chunks.RunInterrupted):
            run(levels[1], resume=file, chunk=1, progress=progress)
    further = run(levels[1], resume=file, chunk=4)
    assert further.reason == whole.reason
    for a, b in zip(jax.tree.leaves(further), jax.tree.leaves(whole), strict=True):
        np.testing.assert_array_equal(a, b)


def test_conditions_are_those_of_simulations():
    """Explicit Euler on the gradient flow is gradient descent, and ends at the same step for the same reason."""
    flow = od.system("gradient_flow")
    for until in (
        {"gradient": 0.3},
        {"value": 0.04},
        {"distance": 0.2},
        {"box": (-1.9, 1.1)},
        {"late": lambda t, x, states: 0.32 - t},
        {"box": (-5, 5), "slow": lambda t, x, states: jnp.abs(states["x"][0]) - 0.7},
    ):
        run = DESCENT.run(F, X0, until=until, max_steps=100)
        solved = flow.simulate(F, X0, 5.0, solver="euler", dt=0.05, until=until, points=101)
        assert run.stopped == solved.stopped is not None
        assert run.steps == solved.steps[0] > 0 or "box" in until
        np.testing.assert_allclose(run.x[-1], solved.x[-1], rtol=1e-12)


def test_a_start_at_which_a_condition_holds():
    run = DESCENT.run(F, X0, until={"gradient": 100.0}, max_steps=9)
    assert run.steps == 0 and run.x.shape == (1, 2) and run.stopped == "gradient"
    assert "0 steps" in str(run) and "stopped by gradient" in str(run)
    assert DESCENT.run(F, X0, until={"gradient": 100.0}, max_steps=0).stopped == "gradient"
    assert DESCENT.run(F, X0, until={"gradient": 1e-9}, max_steps=0).stopped is None


def test_divergence_comes_before_a_condition():
    run = od.algorithm("gradient_descent", step=2.0).run(F, X0, until={"value": -1.0}, max_steps=99)
    assert run.stopped is None and run.diverged_at is not None
    assert run.reason == f"diverged at step {run.diverged_at}" and run.steps == run.diverged_at - 1


def test_pytrees_blocks_and_what_is_of_numpy():
    start = {"a": np.ones((2, 3)), "b": np.ones(4)}
    method = od.algorithm("nesterov_sc", mu=1, L=10)
    run = method.run(TREE, start, until={"gradient": 1e-3}, max_steps=500)
    norm = lambda y: np.sqrt(np.sum(y["a"] ** 2) + np.sum((10 * y["b"]) ** 2))
    last, before = (jax.tree.map(lambda a, i=i: a[i], run.x) for i in (-1, -2))
    assert run.stopped == "gradient" and norm(last) <= 1e-3 < norm(before)
    assert all(type(a) is np.ndarray for a in jax.tree.leaves(run.to_numpy().x))
    boxed = method.run(TREE, start, until={"box": ({"a": 0.3, "b": -1}, 1.5)}, max_steps=50)
    assert boxed.stopped == "box" and boxed.x["a"][-1].min() < 0.3 <= boxed.x["a"][:-1].min()
    single = DESCENT.run(F, np.float32(X0), until={"gradient": 1e-2, "box": (-9, 9)}, max_steps=400)
    assert single.x.dtype == np.float32 and single.stopped == "gradient"
    assert single.steps == first_small(1e-2)


def test_ensembles_noise_minibatches_and_several_functions():
    cbo = od.algorithm("cbo")
    sphere = od.objective("sphere") if "sphere" in od.objectives() else F
    particles = np.random.default_rng(1).normal(size=(40, 2))
    spread = lambda t, x, states: jnp.sum(jnp.var(x, axis=0)) - 0.05
    values = {s.name: 1.0 for s in cbo.parameters} | {"h": 0.05}
    run = cbo.run(sphere, particles, key=0, until={"spread": spread}, max_steps=800, **values)
    assert run.stopped == "spread" and np.var(run.x[-1], axis=0).sum() <= 0.05
    with pytest.raises(od.OdescentError, match="x is many particles here"):
        cbo.run(sphere, particles, key=0, until={"value": 1e-3}, max_steps=800, **values)
    # the same draws with and without an end
    langevin = od.algorithm("unadjusted_langevin", step=0.05)
    whole = langevin.run(F, X0, 60, 3)
    part = langevin.run(F, X0, key=3, until=lambda t, x, states: 1.01 - t, max_steps=60)
    assert part.steps == 21
    np.testing.assert_allclose(part.x, whole.x[:22], rtol=1e-13)
    x, y, u = *od.blocks("x y"), od.sample("u", law="rows")
    f, g = od.Objective("f"), od.Objective("g")
    sgd = od.Algorithm(od.System({x: -f.batch(x, u)}), "explicit_euler", step=0.1)
    assert sgd.run(SUM, np.zeros(3), key=0, until={"value": 0.45}, max_steps=50).stopped == "value"
    two = od.Algorithm(
        od.System({x: -f.grad(x), y: -g.grad(y)}, output=x), "explicit_euler", step=0.05
    )
    both = {"f": F, "g": od.Objective("g", lambda z: jnp.sum(z**4))}
    with pytest.raises(od.OdescentError, match="needs the oracle 'grad' of one function"):
        two.run(both, X0, until={"gradient": 1.0}, max_steps=5)
    sum_of = od.System({"a": {x: -f.grad(x)}, "b": {x: -g.operator(x)}})
    parts = {"f": F, "g": od.Objective("g", operator=lambda z: z**3)}
    with pytest.raises(od.OdescentError, match="for one function, and there are f and g"):
        od.Algorithm(sum_of, "explicit_euler", step=0.1).run(
            parts, X0, until={"gradient": 1.0}, max_steps=5
        )
    still = lambda t, x, states: jnp.max(jnp.abs(states["y"])) - 0.5
    assert two.run(both, X0, until=still, max_steps=500).stopped == "condition"


@pytest.mark.parametrize(
    ("name", "budget"),
    [
        ("gradient_descent", {"gradients": 37}),
        ("nesterov_sc", {"gradients": 1}),
        ("newton", {"gradients": 9, "solves": 4}),
        ("zeroth_order", {"values": 7}),
        ("zeroth_order", {"values": 1}),
    ],
)
def test_a_budget_is_never_exceeded(name, budget):
    method = od.algorithm(name)
    values = {s.name: 0.01 for s in method.parameters if s.name not in ("mu", "L")}
    run = method.run(F, X0, key=0, budget=budget, **values)
    cost = method.cost()
    assert all(run.counts[n][-1] <= most for n, most in budget.items())
    assert any(run.counts[n][-1] + cost[n] > most for n, most in budget.items())  # no step more
    spent = [n for n, most in budget.items() if run.counts[n][-1] + cost[n] > most]
    assert run.stopped == f"the budget of {spent[0]}" and "budget" in str(run)
    np.testing.assert_array_equal(
        run.x, method.run(F, X0, run.steps, 0, **values).x
    )  # nothing else is changed


def test_what_is_asked_for_before_the_first_step_counts():
    """The optimistic method keeps an operator's value of the step before; the first one is asked at the start."""
    asked = []
    spin = od.Objective(
        "f", operator=lambda z: jax.pure_callback(noted, z, z, vmap_method="sequential")
    )

    def noted(z):
        asked.append(1)
        return np.array([z[1], -z[0]])

    method = od.algorithm("ogda", step=0.1)
    run = method.run(spin, X0, budget={"operators": 7})
    jax.block_until_ready(run.x)
    assert run.counts["operators"][-1] == len(asked) == 7 and run.steps == 6
    with pytest.raises(od.OdescentError, match="operators must be a whole number of at least 1"):
        method.run(spin, X0, budget={"operators": 0})


def test_budgets_with_the_other_ends(tmp_path):
    run = lambda **more: DESCENT.run(F, X0, **more)
    assert run(steps=20, budget={"gradients": 20}).stopped is None  # all steps were taken
    assert run(max_steps=20, budget={"gradients": 19}).steps == 19
    small = {"gradient": 1e-3}
    assert run(until=small, budget={"gradients": 500}).stopped == "gradient"
    assert run(until=small, budget={"gradients": 50}).stopped == "the budget of gradients"
    assert run(until=small, budget={"gradients": 50}, max_steps=9).reason == "ended after 9 steps"
    last = first_small(1e-3)  # the condition is met with the last gradient of the budget
    assert run(until=small, budget={"gradients": last}).stopped == "gradient"
    batch = jax.vmap(lambda x: DESCENT.run(F, x, until=small, budget={"gradients": 90}, every=4))
    found = batch(jnp.asarray([X0, X0 * 1e-3]))
    assert found.stopped == ["the budget of gradients", "gradient"] and found.steps[0] == 90
    # a run file goes on with a larger budget
    file = tmp_path / "run.npz"
    assert run(budget={"gradients": 30}, resume=file, every=4).steps == 30
    further = run(budget={"gradients": 70}, resume=file, every=4)
    np.testing.assert_array_equal(further.x, run(steps=70, every=4).x)
    u, x, f = od.sample("u", law="rows"), od.blocks("x"), od.Objective("f")
    sgd = od.Algorithm(od.System({x: -f.batch(x, u)}), "explicit_euler", step=0.1)
    examples = sgd.run(SUM, np.zeros(3), key=0, budget={"examples": 35})
    assert examples.steps == 8 and examples.counts["examples"][-1] == 32


def test_an_interrupted_run_is_not_said_to_have_ended():
    def progress(done, total):
        if done >= 20:
            raise KeyboardInterrupt

    with pytest.raises(chunks.RunInterrupted) as caught:
        DESCENT.run(F, X0, budget={"gradients": 90}, chunk=10, progress=progress)
    assert caught.value.trajectory.stopped is None and caught.value.trajectory.steps == 20


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"until": {"gradient": 1e-3}}, "needs a bound too, as in max_steps=10000"),
        ({"max_steps": 5}, r"bounds a run that ends by until= or budget=; give steps=5 instead"),
        ({}, "give the number of steps, as in steps=100"),
        ({"steps": 5, "max_steps": 5, "until": {"value": 1}}, "either steps= or max_steps="),
        ({"until": {"gradient": -1}, "max_steps": 5}, "takes a positive number, not -1"),
        ({"until": {"value": np.inf}, "max_steps": 5}, "takes a finite number"),
        ({"until": {"gradiant": 1}, "max_steps": 5}, "did you mean 'gradient'"),
        ({"until": {"box": (1, 0)}, "max_steps": 5}, "low < high in every coordinate"),
        ({"until": {"box": (0, [1, 2, 3])}, "max_steps": 5}, r"of x's shape \(2,\)"),
        ({"until": lambda t, x, s: x[0] < 1, "max_steps": 5}, "not a relation.*for a < b return a - b"),
        ({"until": lambda t, x, s: x, "max_steps": 5}, r"not an array of float64 of shape \(2,\)"),
        ({"until": lambda t, x, s: t / t, "max_steps": 5}, "one finite number at the start, not nan"),
        ({"until": lambda t, x, s: "near", "max_steps": 5}, "raised TypeError .* must be a JAX function of"),
        ({"until": lambda t, x, s: s["v"][0], "max_steps": 5}, "raised KeyError .* and states has x"),
        ({"until": lambda t, x, s: float(x[0]), "max_steps": 5}, "raised ConcretizationTypeError"),
        ({"until": lambda t, x, s: jax.lax.complex(x[0], t), "max_steps": 5}, "an array of complex128"),
        ({"until": 3, "max_steps": 5}, "until"),
        ({"max_steps": -1, "until": {"value": 1}}, "max_steps must be a whole number of at least 0"),
        ({"budget": {"values": 4}}, "'values' never ends a run of gradient_descent, whose steps ask for gradients"),
        ({"budget": {"gradients": 2.5}}, "the budget of gradients must be a whole number"),
        ({"budget": {}}, "budget"),
    ],
)  # fmt: skip
def test_bad_ends(change, sentence):
    with pytest.raises(od.OdescentError, match=sentence):
        DESCENT.run(F, X0, **change)


def test_what_a_condition_needs_is_asked_for():
    bare = od.Objective("bare", grad=lambda y: y)
    with pytest.raises(od.OdescentError, match="needs the oracle 'value'"):
        DESCENT.run(bare, X0, until={"value": 1.0}, max_steps=5)
    with pytest.raises(od.OdescentError, match="needs the minimizer"):
        DESCENT.run(bare, X0, until={"distance": 1.0}, max_steps=5)
    with pytest.raises(od.OdescentError, match="cannot depend on where a run ends"):
        jax.jit(lambda y: DESCENT.run(F, y, until={"value": 1.0}, max_steps=5).prefix())(X0)
