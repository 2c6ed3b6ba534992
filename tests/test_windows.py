"""Windows: blocks that keep the last values of what is pushed, against plain lists of these values."""

from __future__ import annotations

import copy
import itertools
import re
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import odescent as od
from odescent.discretize.expansion.backward_error import settled
from odescent.dynamics import vanishes
from odescent.dynamics.algebra.trees import from_tree, tree
from odescent.dynamics.algebra.windows import Delay, Powers, UnitPlace
from odescent.dynamics.evaluation.evaluate import evaluate

m, delta, h, c = od.parameters("m delta h c")
x, u, v = od.blocks("x u v")
G = od.Block("G", history=m).symbol
back = od.transpose(G)


# the calculus


def test_a_push_adds_one_value_and_drops_the_oldest():
    after = od.push(G, v)
    old = od.apply(G, UnitPlace("oldest"))
    difference = od.apply(after, od.transpose(after)) - od.apply(G, back)
    assert vanishes(difference - od.outer(v, v) + od.outer(old, old))
    assert str(after) == "push(G, v)" and "operatorname{push}(G, v)" in after._repr_latex_()


def test_the_inverse_is_woodburys_with_a_system_of_the_windows_length():
    operator = od.identity * delta + od.apply(G, back) / m
    solved = od.linear_solve(operator, v)
    inner = od.identity * (m * delta) + od.apply(back, G)
    small = od.linear_solve(inner, od.apply(back, v))
    assert vanishes(solved - (v - od.apply(G, small)) / delta)
    assert vanishes(od.apply(operator, solved) - v)
    assert not vanishes(od.apply(operator + od.identity, solved) - v)


@given(st.integers(1, 6), st.integers(0, 3), st.integers(0, 3))
def test_constants_of_places_are_what_they_are_as_arrays(length, one, other):
    ages = np.arange(length)
    shift = np.eye(length, k=1)
    first, last = np.eye(length)[0], np.eye(length)[-1]
    vectors = {UnitPlace("newest"): first, UnitPlace("oldest"): last}
    vectors |= {Powers(k, sp.Integer(length)): ages**k for k in (one, other)}

    def number(e):
        known = {a: vectors[a] if a in vectors else ages**a.power for a in e.terms}
        return sum((float(k) * known[a] for a, k in e.terms.items()), np.zeros(length))

    for a, value in vectors.items():
        for b, second in vectors.items():
            if length > 1 or not (isinstance(a, UnitPlace) and isinstance(b, UnitPlace)):
                assert float(od.inner(a, b)) == value @ second
        if isinstance(a, Powers):
            for way, matrix in ((Delay(), shift), (Delay(True), shift.T)):
                np.testing.assert_allclose(number(od.apply(way, a)), matrix @ value)


def test_expressions_with_windows_are_read_back_from_trees():
    moved = od.apply(od.transpose(Delay()), back)
    for e in (od.push(G, v), od.outer(v, Powers(2, m)), moved, od.apply(G, UnitPlace("oldest"))):
        assert from_tree(tree(e)) == e


# errors


@pytest.mark.parametrize("length", [0, -1, 2.5, sp.Rational(1, 2), sp.pi])
def test_the_length_is_a_whole_number_from_one_on(length):
    with pytest.raises(od.OdescentError, match="its length must be a whole number, at least 1"):
        od.Block("G", history=length)


def test_a_block_has_a_history_to_push_to():
    with pytest.raises(od.OdescentError, match="x has no history"):
        od.push(x, v)
    with pytest.raises(od.OdescentError, match="needs a history="):
        od.Block("G", "window")
    with pytest.raises(od.OdescentError, match="it is a window of vectors"):
        od.Block("G", "scalar", history=3)


def test_a_step_pushes_once():
    with pytest.raises(od.OdescentError, match="two values are pushed to G"):
        od.push(od.push(G, v), u)
    method = window_method(3)
    twice = od.Scheme((method.scheme.steps[0], *method.scheme.steps))
    with pytest.raises(od.OdescentError, match="two values are pushed to G in one step"):
        od.Algorithm(method.system, twice, step=h)


def test_only_pushes_move_a_window():
    with pytest.raises(od.OdescentError, match="a field must not move the window G"):
        od.System({"all": {x: -x, G: od.outer(x, x)}}, blocks=[od.Block("G", history=m)], output=x)
    method = window_method(3)
    scheme = od.Scheme((od.Let({G: G * 2}), *method.scheme.steps))
    with pytest.raises(od.OdescentError, match="to the window G; push"):
        od.Algorithm(method.system, scheme, step=h)


def test_code_needs_a_number_of_values():
    with pytest.raises(od.NotCarried, match="keeps m values, and code needs a number"):
        od.algorithm("m_fac", window=m).source("numpy")


TEXT = """
system recent
blocks window(%s) G, x
parameters delta > 0%s
objective f
field descent: x' = -linear_solve(delta*identity + apply(G, transpose(G))/%s, grad f(x))
output x
scheme set G = push(G, grad f(x)), descent: explicit
"""


@pytest.mark.parametrize("length", ["8", "m"])
def test_windows_are_written_as_text(length):
    from odescent.dynamics.grammar.write import to_text

    declared = ", m > 0" if length == "m" else ""
    text = TEXT % (length, declared, length)
    method = od.parse_algorithm(text)
    same = od.algorithm("m_fac", window=sp.Symbol("m", positive=True) if declared else 8)
    assert method.equivalent(same)
    assert not method.equivalent(od.algorithm("m_fac", window=9))
    written = to_text(method.system)
    again = od.parse_system(written)
    assert f"window({length}) G" in written and to_text(again) == written
    assert [(b.symbol, b.history) for b in again.blocks] == [
        (b.symbol, b.history) for b in method.system.blocks
    ]
    assert again.drift == method.system.drift


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "window(8)",
            "window(0)",
            "the window G keeps 0 values; its length must be a whole number",
        ),
        ("window(8)", "window(5/2)", "'/' is not what can stand here"),
        ("window(8)", "window(2.5)", "the window G keeps 5/2 values"),
        ("window(8)", "window(q)", "there is no parameter 'q'"),
        ("push(G, grad", "push(x, grad", "push takes a window and a vector, not a vector"),
        ("push(G, grad f(x))", "push(G, G)", "push takes a window and a vector, not a matrix"),
        ("push(G, grad f(x))", "2*push(G, x)", "to the window G; push"),
        ("push(G, grad f(x))", "x", "G is a window, but its value is a vector"),
    ],
)
def test_a_wrong_window_in_text_is_refused(old, new, said):
    text = TEXT % ("8", "", "8")
    assert old in text
    with pytest.raises(od.OdescentError, match=re.escape(said)):
        od.parse_algorithm(text.replace(old, new))


def test_windows_in_torch():
    torch = pytest.importorskip("torch")
    method = window_method(3)
    with pytest.raises(od.NotCarried, match="one gradient, evaluated at the parameters"):
        window_method(3, order=("move", "push")).source("torch")
    rows = np.random.default_rng(5).normal(size=(7, 5))
    loss = lambda z: jnp.sum(jnp.log(jnp.cosh(jnp.asarray(rows) @ z - 1)))
    wanted = method.bind(delta=0.3, h=0.05).run(loss, np.zeros(5), 9).x[-1]
    parts = [torch.zeros(shape, dtype=torch.float64, requires_grad=True) for shape in (2, (3, 1))]
    made = lambda: method.to_torch(parts, delta=0.3, lr=0.05)
    optimizer = made()
    for k in range(9):
        if k == 5:  # from a checkpoint
            state = copy.deepcopy(optimizer.state_dict())
            optimizer = made()
            optimizer.load_state_dict(state)
        optimizer.zero_grad()
        z = torch.cat([p.reshape(-1) for p in parts])
        torch.log(torch.cosh(torch.tensor(rows) @ z - 1)).sum().backward()
        optimizer.step()
    found = torch.cat([p.detach().reshape(-1) for p in parts]).numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-13)


def test_torch_refuses_a_window_that_is_read_as_it_was_after_a_push():
    g = od.Objective("f").grad(x)
    y = od.blocks("y")
    system = od.System(
        {"move": {x: -y - od.apply(G, od.apply(back, g))}},
        blocks=[od.Block("G", history=3), od.Block("y", role="memory")], output=x,
    )  # fmt: skip
    first, then = od.Let({y: g}, save="before"), od.Let({G: od.push(G, g)})
    read = lambda **more: od.Scheme((first, then, od.Flow("move", "explicit", **more)))
    method = od.Algorithm(system, read(read={"G": "before"}), step=h)
    assert method.source("numpy") and od.Algorithm(system, read(), step=h).source("torch")
    with pytest.raises(od.NotCarried, match="cannot read it as it was after a push"):
        method.source("torch")


# the limit


def window_method(length, read=None, order=("push", "move")):
    """x+ = x - h (delta 1 + G G^T / m)^-1 g, or with another rate of x."""
    block = od.Block("G", history=length)
    symbol, g = block.symbol, od.Objective("f").grad(x)
    operator = od.identity * delta + od.apply(symbol, od.transpose(symbol)) / block.history
    rate = -od.linear_solve(operator, g) if read is None else read(symbol, g)
    system = od.System({"move": {x: rate}}, blocks=[block], output=x)
    parts = {"push": od.Let({symbol: od.push(symbol, g)}), "move": od.Flow("move", "explicit")}
    return od.Algorithm(system, od.Scheme(tuple(parts[n] for n in order)), step=h)


def test_a_window_settles_on_copies_of_the_present_value():
    method, g = window_method(m), od.Objective("f").grad(x)
    assert vanishes(settled(method)[G] - od.outer(g, Powers(0, m)))
    (rate,) = method.consistent_with().drift.values()
    assert vanishes(rate + g / (delta + od.inner(g, g)))


@pytest.mark.parametrize("order", [("push", "move"), ("move", "push")])
def test_the_modified_equation_has_the_order_it_claims(order):
    """Against runs of smaller and smaller steps, which start with a window that follows the flow."""
    length = 3

    def read(symbol, g):
        return -od.apply(symbol, od.apply(od.transpose(symbol), x)) / length

    method = window_method(length, read, order)
    value = lambda p: jnp.sum(jnp.cosh(p)) / 2
    errors = []
    for step in (0.02, 0.01):
        drift = method.modified_equation(1).drift
        flow = od.System({"all": drift}, output=x).bind({h: sp.Rational(str(step))})
        steps = round(0.4 / step)
        run = method.run(value, np.array([0.9, -0.5]), 3 * steps, h=step)
        begin, end = run.x[steps], run.x[3 * steps]
        path = flow.simulate(value, begin, 0.8, rtol=1e-11, atol=1e-13)
        errors.append(np.abs(path.x[-1] - end).max())
    assert 3.4 < errors[0] / errors[1] < 4.6


def test_a_window_over_a_time_has_a_delay_equation_for_its_limit():
    free = window_method(m)
    method = od.Algorithm(free.system, free.scheme, step=h, where={m: c / h})
    with pytest.raises(od.OdescentError, match="the limit is a delay equation"):
        method.consistent_with()
    with pytest.raises(od.OdescentError, match="bind its length to a time"):
        free.delay_limit()
    found = method.delay_limit()
    ((W, past),) = found.past.items()
    g = od.Objective("f").grad(x)
    mean = od.identity * delta + W / c
    assert found.delay == {W: c} and found.pushed == {W: g}
    assert vanishes(found.drift[x] + od.linear_solve(mean, g))
    assert not vanishes(found.drift[x] + od.linear_solve(mean, g) * 2)
    assert found.drift[W] == od.outer(g, g) - od.outer(past, past)
    assert "at t - c, and zero before" in str(found)
    other = window_method(m, read=lambda G, g: -od.apply(G, UnitPlace("oldest")))
    with pytest.raises(od.NotCarried, match="more of the window than its product with itself"):
        od.Algorithm(other.system, other.scheme, step=h, where={m: c / h})


def test_the_method_tends_to_its_delay_equation_as_the_window_grows():
    """The delay equation by Heun's method in NumPy, at a step so small that it is exact here."""
    rows = np.random.default_rng(3).normal(size=(6, 2)) / 4
    loss = lambda z: jnp.sum(jnp.log(jnp.cosh(jnp.asarray(rows) @ z - 1)))
    grad = lambda z: rows.T @ np.tanh(rows @ z - 1)
    method = od.algorithm("m_fac", window=m).replace(where={m: c / h})
    limit, T, end = method.delay_limit(), 0.5, 1.0
    ((W, past),) = limit.past.items()
    fine = 1000  # steps in a time T
    state, sums, old = np.array([1.5, -1.0]), np.zeros((2, 2)), []

    def rates(z, w, before):
        values = {x: z, W: w, past: before, c: T, delta: 1.0}
        return [evaluate(limit.drift[s], values, {"grad_f": grad}, np) for s in (x, W)]

    for k in range(round(end / T) * fine):
        old.append(grad(state))
        before = [old[k - fine + i] if k >= fine else np.zeros(2) for i in (0, 1)]
        one = rates(state, sums, before[0])
        two = rates(state + T / fine * one[0], sums + T / fine * one[1], before[1])
        state = state + T / fine * (one[0] + two[0]) / 2
        sums = sums + T / fine * (one[1] + two[1]) / 2
    errors = []
    for n in (16, 32, 64):
        bound = method.bind({c: sp.Rational(1, 2), h: sp.Rational(1, 2 * n), delta: 1})
        run = bound.run(loss, np.array([1.5, -1.0]), 2 * n)
        errors.append(np.abs(run.x[-1] - state).max())
    order = np.log2(errors[-2] / errors[-1])
    assert 0.9 < order < 1.1, (errors, order)


def test_the_delay_equation_is_the_limit_of_many_values():
    """P' = -P (g g^T - g_T g_T^T) P / T: by its order as m grows with m h = T."""
    T, end = 1.0, 2.0
    g = lambda t: np.array([np.sin(t), np.cos(2 * t), 1.0]) * (t >= 0)

    def window(n):  # the inverse of 1 + (h / T) times the sum over the window
        step, kept = T / n, []
        for k in range(round(end / step)):
            kept = [*kept, g((k + 0.5) * step)][-n:]
        return np.linalg.inv(np.eye(3) + sum(np.outer(a, a) for a in kept) * step / T)

    from scipy.integrate import solve_ivp

    def rate(t, p):
        P = p.reshape(3, 3)
        now, then = g(t), g(t - T)
        return (-P @ (np.outer(now, now) - np.outer(then, then)) @ P / T).ravel()

    p = np.eye(3).ravel()
    for span in ((0, T), (T, end)):  # g_T jumps at T
        p = solve_ivp(rate, span, p, rtol=1e-12, atol=1e-13, first_step=1e-6).y[:, -1]
    errors = [np.abs(window(n) - p.reshape(3, 3)).max() for n in (20, 40, 80)]
    assert all(3.6 < a / b < 4.4 for a, b in itertools.pairwise(errors))  # midpoints


# runs and code


def dense(gradient, x0, steps, length, step, damping, before=False):
    """M-FAC with a list of gradients and a dense solve."""
    at, kept, path = np.array(x0), [], [np.array(x0)]
    for _ in range(steps):
        g = gradient(at)
        kept = kept if before else [*kept, g][-length:]
        fisher = damping * np.eye(at.size) + sum(np.outer(a, a) for a in kept) / length
        at = at - step * np.linalg.solve(fisher, g)
        kept = [*kept, gradient(at)][-length:] if before else kept
        path.append(at)
    return np.array(path)


def problem(seed, d):
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(d, d))
    A = A @ A.T / d + np.eye(d)
    value = lambda p: p @ (A @ p) / 2 + jnp.sum(jnp.cos(p))
    return value, lambda p: A @ p - np.sin(p), rng.normal(size=d)


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 99), st.integers(1, 5), st.integers(1, 6), st.integers(0, 9))
def test_runs_are_those_of_a_list_of_past_values(seed, length, d, steps):
    value, gradient, x0 = problem(seed, d)
    method = od.algorithm("m_fac", window=length)
    run = method.run(value, x0, steps, h=0.1, delta=0.3)
    path = dense(gradient, x0, steps, length, 0.1, 0.3)
    np.testing.assert_allclose(run.x, path, rtol=1e-10, atol=1e-10)
    kept = run.states["G"].values[-1]
    past = [gradient(p) for p in path[:-1]][-length:]
    for k, g in enumerate(reversed(past)):  # the newest stands before the index
        np.testing.assert_allclose(kept[(steps - 1 - k) % length], g, atol=1e-9)
    assert not kept[steps:].any()  # unfilled columns are zero
    np.testing.assert_allclose(run.states["G"].products[-1], kept @ kept.T, atol=1e-9)


def test_what_reads_before_the_push_sees_earlier_values():
    """The push, after the move, is of the gradient where the step ends."""
    value, gradient, x0 = problem(3, 4)
    method = window_method(3, order=("move", "push"))
    run = method.run(value, x0, 8, h=0.1, delta=0.3)
    path = dense(gradient, x0, 8, 3, 0.1, 0.3, before=True)
    np.testing.assert_allclose(run.x, path, rtol=1e-10, atol=1e-10)


def loaded(text):
    module = types.ModuleType("emitted")
    exec(text, module.__dict__)  # noqa: S102
    return module


def test_all_targets_agree():
    value, gradient, x0 = problem(5, 4)
    method = od.algorithm("m_fac", window=3)
    path = dense(gradient, x0, 9, 3, 0.1, 0.3)
    with jax.enable_x64(True):
        for target, grad in (("numpy", gradient), ("jax", jax.grad(value))):
            found = loaded(method.source(target)).run(grad, x0, 9, 0.1, 0.3)
            np.testing.assert_allclose(found, path, rtol=1e-12, atol=1e-12)
        tx = method.to_optax(h=0.1, delta=0.3)
        at = jnp.asarray(x0)
        state, update = tx.init(at), jax.jit(tx.update)
        for k in range(9):
            moved, state = update(jax.grad(value)(at), state, at)
            at = at + moved
            np.testing.assert_allclose(at, path[k + 1], rtol=1e-12, atol=1e-12)
    for target in ("latex", "markdown"):
        assert "push" in method.source(target)


def test_pytrees_are_windows_of_pytrees():
    value, _, x0 = problem(7, 5)
    method = od.algorithm("m_fac", window=3)
    split = {"a": x0[:2], "b": [x0[2:].reshape(3, 1)]}
    joined = lambda p: value(jnp.concatenate([p["a"], p["b"][0].ravel()]))
    run = method.run(joined, split, 7, h=0.1, delta=0.3)
    whole = method.run(value, x0, 7, h=0.1, delta=0.3)
    np.testing.assert_allclose(run.x["a"], whole.x[:, :2], rtol=1e-12)
    np.testing.assert_allclose(run.x["b"][0][..., 0], whole.x[:, 2:], rtol=1e-12)
    assert run.states["G"].values["b"][0].shape == (8, 3, 3, 1)


def test_chunks_and_resumed_runs_are_equal_to_the_bit(tmp_path):
    value, _, x0 = problem(9, 4)
    method = od.algorithm("m_fac", window=3)
    whole = method.run(value, x0, 10, h=0.1, delta=0.3)
    chunks = method.run(value, x0, 10, chunk=3, h=0.1, delta=0.3)
    method.run(value, x0, 4, resume=tmp_path / "run.npz", h=0.1, delta=0.3)
    resumed = method.run(value, x0, 10, resume=tmp_path / "run.npz", h=0.1, delta=0.3)
    for other in (chunks, resumed):
        assert jax.tree.all(
            jax.tree.map(np.array_equal, (whole.x, whole.states), (other.x, other.states))
        )


def test_batches_are_runs_of_their_own():
    value, _, _ = problem(11, 4)
    method = od.algorithm("m_fac", window=3)
    starts = np.random.default_rng(0).normal(size=(3, 4))
    with jax.enable_x64(True):
        batch = jax.vmap(lambda at: method.run(value, at, 6, h=0.1, delta=0.3).x)(starts)
    for one, at in zip(batch, starts, strict=True):
        alone = method.run(value, at, 6, h=0.1, delta=0.3).x
        np.testing.assert_allclose(one, alone, rtol=1e-12, atol=1e-13)


# cost


def compiled_step(length, d):
    """One step of the emitted JAX code, its state after it, and what it is called with."""
    module = loaded(od.algorithm("m_fac", window=length).source("jax"))
    at = jnp.zeros(d, jnp.float32)
    numbers = module.coefficients(0.1, 0.3)
    step = lambda state, g: module.step(state, lambda _: g, numbers)
    return step, module.init(at), at


@settings(max_examples=8, deadline=None)
@given(st.integers(1, 5), st.integers(40, 90))
def test_no_array_is_of_the_size_of_a_matrix(length, d):
    step, state, g = compiled_step(length, d)
    sizes = [
        var.aval.size
        for eqn in jax.make_jaxpr(step)(state, g).jaxpr.eqns
        for var in eqn.outvars
        if hasattr(var.aval, "size")
    ]
    assert max(sizes) <= max(length * d, length**2)
    numbers = sum(a.size for a in jax.tree.leaves(state)) - d
    assert numbers == length * d + length**2 + 1


@pytest.mark.parametrize("length", [2, 8])
def test_the_work_of_a_step_is_affine_in_the_dimension(length):
    def flops(d):
        step, state, g = compiled_step(length, d)
        cost = jax.jit(step).lower(state, g).compile().cost_analysis()
        return (cost[0] if isinstance(cost, list) else cost)["flops"]

    one, two, three = (flops(d) for d in (1000, 2000, 3000))
    assert three - two == two - one
    assert (two - one) / 1000 < 4 * length + 10  # two products with the window, and the sum


# derivations


def test_the_derivation_is_verified():
    assert od.algorithm("m_fac").derivation().verified
