"""Batches whose size is a block: their rows, the deviation of their gradient, and tests that let them grow."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import odescent as od
from odescent.dynamics.vector_fields.means import _key_of

x = od.blocks("x")
b = od.blocks("b", kind="scalar")
h, eta = od.parameters("h eta")
f = od.Objective("f")
u = od.sample("u", "rows")
HALF = sp.Rational(1, 2)
control = od.discretize.controllers

ROWS = np.random.default_rng(0).normal(size=(150, 3))
ANSWERS = ROWS @ np.array([1.0, -1.0, 2.0]) + np.random.default_rng(1).normal(size=150)


def loss(replace: bool = False) -> od.FiniteSum:
    fun = lambda p, row: (row[0] @ p - row[1]) ** 2 / 2 + 0.05 * jnp.sum(p**4)
    return od.FiniteSum("f", fun, (ROWS, ANSWERS), batch=8, replace=replace)


AT = jnp.array([0.3, 0.2, -0.5])


# numbers of rows


@pytest.mark.parametrize("size", [1, 2, 8, 63, 64, 65, 128, 150])
def test_a_batch_is_that_of_the_rows_that_are_picked(size: int) -> None:
    """The first of a permutation, as a batch of fixed size has them; by chunks of 64, or less."""
    data = loss()
    fixed = od.FiniteSum("f", data.row_fun, data.data, batch=size)
    own = np.asarray(fixed.picked(0.37))
    assert len({*own.tolist()}) == size
    each = np.asarray(data.gradients(AT))[own]
    np.testing.assert_allclose(data.batch(AT, 0.37, size), each.mean(0), rtol=1e-12)
    np.testing.assert_allclose(data.batch(AT, 0.37, size - 0.5), each.mean(0), rtol=1e-12)
    np.testing.assert_allclose(fixed.batch(AT, 0.37), each.mean(0), rtol=1e-12)
    if size > 1:
        left = 1 - size / 150
        deviation = each.std(0, ddof=1) * np.sqrt(left / size)
        np.testing.assert_allclose(jax.jit(data.deviation)(AT, 0.37, size), deviation, atol=1e-12)
        np.testing.assert_allclose(fixed.deviation(AT, 0.37), deviation, atol=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_a_fixed_batch_and_its_deviation_have_the_same_rows(weighted: bool) -> None:
    data = loss()
    shares = np.random.default_rng(2).uniform(0.2, 2.0, size=150) if weighted else None
    fixed = od.FiniteSum("f", data.row_fun, data.data, batch=90, replace=True, probabilities=shares)
    own = np.asarray(fixed.picked(0.61))
    weights = np.ones(150) if shares is None else shares.sum() / (150 * shares)
    each = (np.asarray(data.gradients(AT)) * weights[:, None])[own]
    np.testing.assert_allclose(fixed.batch(AT, 0.61), each.mean(0), rtol=1e-10)
    np.testing.assert_allclose(fixed.deviation(AT, 0.61), each.std(0, ddof=1) / 90**0.5, rtol=1e-10)


@pytest.mark.parametrize("size", [None, 3, 70])
def test_rows_with_probabilities_stay_unbiased(size: int | None) -> None:
    """Mean, variance, and the square of the deviation over draws; in proportion to |g| the variance is the least."""
    data = loss()
    shares = np.random.default_rng(2).uniform(0.2, 2.0, size=150)
    unequal = od.FiniteSum(
        "f", data.row_fun, data.data, batch=8, replace=True, probabilities=shares
    )
    draws = jnp.asarray(np.random.default_rng(5).uniform(size=4000))
    means = np.asarray(jax.jit(jax.vmap(lambda v: unequal.batch(AT, v, size)))(draws))
    squares = np.asarray(jax.jit(jax.vmap(lambda v: unequal.deviation(AT, v, size)))(draws)) ** 2
    wanted = np.diag(np.asarray(unequal.covariance(AT))) / (size or 8)
    assert np.all(np.abs(means.mean(0) - np.asarray(data.grad(AT))) < 5 * np.sqrt(wanted / 4000))
    np.testing.assert_allclose(means.var(0), wanted, rtol=0.15)
    assert np.all(np.abs(squares.mean(0) - wanted) < 5 * squares.std(0) / np.sqrt(4000))
    lengths = np.linalg.norm(np.asarray(data.gradients(AT)), axis=1)
    best = od.FiniteSum("f", data.row_fun, data.data, replace=True, probabilities=lengths)
    mean = np.asarray(data.grad(AT))
    assert float(best.variance(AT)) == pytest.approx(lengths.mean() ** 2 - mean @ mean, rel=1e-10)
    assert best.variance(AT) < min(loss(True).variance(AT) * 8, unequal.variance(AT) * 8)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"probabilities": np.ones(150)}, "give replace=True"),
        ({"probabilities": np.ones(149), "replace": True}, "must be 150 positive numbers"),
        ({"probabilities": np.arange(150), "replace": True}, "must be 150 positive numbers"),
    ],
)
def test_probabilities_that_are_none(options: dict[str, Any], said: str) -> None:
    with pytest.raises(od.OdescentError, match=said):
        od.FiniteSum("f", loss().row_fun, (ROWS, ANSWERS), **options)


def test_the_whole_batch_is_the_gradient_and_has_no_deviation() -> None:
    data = loss()
    np.testing.assert_allclose(data.batch(AT, 0.9, 150), data.grad(AT), rtol=1e-12)
    assert np.all(np.asarray(jax.jit(data.deviation)(AT, 0.9, 150.0)) == 0)


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("size", [2, 9, 100])
def test_the_square_of_the_deviation_is_unbiased(size: int, replace: bool) -> None:
    """Over draws of u: within five standard errors of the variance that the data has, for both ways of picking."""
    data = loss(replace)
    draws = np.random.default_rng(5).uniform(size=4000)
    squares = np.asarray(jax.vmap(lambda v: data.deviation(AT, v, size))(draws)) ** 2
    means = np.asarray(jax.vmap(lambda v: data.batch(AT, v, size))(draws))
    share = 1.0 if replace else (150 - size) / 149
    wanted = np.diag(np.asarray(data.covariance(AT))) * share / size
    assert np.all(np.abs(squares.mean(0) - wanted) < 5 * squares.std(0) / np.sqrt(4000))
    away = np.abs(means.mean(0) - np.asarray(data.grad(AT)))
    assert np.all(away < 5 * np.sqrt(wanted / 4000))


@pytest.mark.parametrize("size", [0.0, -1.0, 151.0, np.nan, np.inf])
def test_no_such_batch_has_no_numbers(size: float) -> None:
    assert np.all(np.isnan(np.asarray(loss().batch(AT, 0.5, size))))
    assert np.all(np.isnan(np.asarray(loss().deviation(AT, 0.5, size))))


def test_pytrees_and_single_precision() -> None:
    with jax.enable_x64(False):
        rows = ROWS.astype("float32")
        fun = lambda p, row: (row @ p["w"] - p["c"]) ** 2
        data = od.FiniteSum("f", fun, rows)
        at = {"w": jnp.ones(3), "c": jnp.asarray(0.5)}
        each = data.gradients(at)
        own = np.asarray(jax.random.permutation(_key_of(0.25), 150))[:70]
        for got, by_hand in ((data.batch(at, 0.25, 70), np.mean),):
            for leaf in at:
                assert got[leaf].dtype == jnp.float32
                np.testing.assert_allclose(got[leaf], by_hand(each[leaf][own], 0), rtol=2e-5)
        made = data.deviation(at, 0.25, 70)
        wanted = np.std(each["c"][own], ddof=1) * np.sqrt(80 / 150 / 70)
        np.testing.assert_allclose(made["c"], wanted, rtol=1e-4)


# the calculus and runs


def growing() -> od.Algorithm:
    return od.method({x: x - h * f.batch(x, u, b / 2), b: 3 * b / 2}, output=x, init={b: 4})


def test_examples_are_the_rows_that_were_taken() -> None:
    run = growing().run(loss(), np.zeros(3), 8, h=0.05, key=0)
    taken = [int(np.ceil(2 * 1.5**k)) for k in range(8)]
    assert np.asarray(run.counts["examples"]).tolist() == [0, *np.cumsum(taken).tolist()]
    assert "examples" not in growing().cost(loss())


def test_examples_in_branches_and_loops() -> None:
    """A second batch where a guard asks for it, and one in each iteration."""
    flow = od.System({"descent": {x: -f.batch(x, u, b)}, "hold": {b: 0}}, output=x, init={b: 3})
    v = od.sample("v", "rows")
    more = od.Let({x: x - h**2 * f.batch(x, v, 2 * b)})
    often = od.Repeat([od.Let({x: x - h**2 * f.batch(x, v, b + 1)})], max_steps=3)
    scheme = od.Scheme(
        (
            od.Flow("descent", "explicit"),
            od.Select(b > 5, [more], []),
            often,
            od.Select(b < 100, [od.Let({b: b + 1})], []),
        )
    )
    run = od.Algorithm(flow, scheme).run(loss(), np.zeros(3), 5, h=0.01, key=0)
    sizes = [3 + k for k in range(5)]
    taken = [n + (2 * n if n > 5 else 0) + 3 * (n + 1) for n in sizes]
    assert np.asarray(run.counts["examples"]).tolist() == [0, *np.cumsum(taken).tolist()]


def test_a_budget_of_examples_ends_a_run() -> None:
    run = growing().run(loss(), np.zeros(3), 50, h=0.05, key=0, budget={"examples": 40})
    spent = int(run.counts["examples"][-1])
    assert 40 - 20 < spent and len(run.k) - 1 < 8


def test_the_mean_is_the_gradient_and_the_deviation_stays_open() -> None:
    assert od.mean(f.batch(x, u, b)) == f.grad(x)
    assert "E[" in str(od.mean(f.deviation(x, u, b)))
    v = od.sample("v", "rows")
    both = od.inner(f.batch(x, u, b), f.batch(x, v, b))
    assert od.mean(both) == od.inner(f.grad(x), f.grad(x))


def test_text_and_json() -> None:
    method = od.algorithm("adadagrad_norm")
    again = od.load_algorithm(method.to_json()) if hasattr(od, "load_algorithm") else method
    assert again.program == method.program


def test_rounding_up_is_known_to_every_backend() -> None:
    made = od.method(
        {x: x - h * sp.ceiling(b) * f.grad(x), b: b + sp.Rational(1, 3)}, output=x, init={b: 1}
    )
    run = made.run(lambda p: jnp.sum(p**2) / 2, np.ones(2), 4, h=0.1)
    wanted = np.prod([1 - 0.1 * np.ceil(1 + k / 3 - 1e-12) for k in range(4)])
    np.testing.assert_allclose(run.x[-1], wanted, rtol=1e-12)
    for backend, word in (("numpy", "math.ceil"), ("optax", "jnp.ceil"), ("torch", "math.ceil")):
        assert word in made.source(backend)


# tests of a batch


def parts_of(count: int, at: Any, size: Any) -> list[Any]:
    return [f.batch(at, od.sample(f"u{i}", "rows"), size / count) for i in range(count)]


def examined(test: str, count: int = 0, **options: Any) -> od.Algorithm:
    """Gradient descent along batches, with a test behind it, of the deviation or of so many parts."""
    own = parts_of(count, x, b) if count else [f.batch(x, u, b)]
    total = sum(own[1:], own[0]) / len(own)
    flow = od.System({"descent": {x: -total}, "hold": {b: 0}}, output=x, init={b: 8})
    at = od.at(x)
    parts = parts_of(count, at, b)
    mean = sum(parts[1:], parts[0]) / count if count else f.batch(at, u, b)
    spread = parts or f.deviation(at, u, b)
    test_of = control.batch_test(mean, spread, b, eta, test, **options)
    return od.Algorithm(flow, od.Scheme((od.Flow("descent", "explicit"), *test_of)))


def sizes(method: od.Algorithm, steps: int = 1, **values: float) -> np.ndarray:
    run = method.run(loss(True), np.asarray(AT), steps, key=3, **{"h": 1e-9, **values})
    return np.asarray(run.states["b"])


@pytest.mark.parametrize("count", [2, 3, 4])
@pytest.mark.parametrize("test", ["norm", "inner product", "orthogonality", "coordinates"])
def test_the_batch_grows_to_where_the_test_would_hold(test: str, count: int) -> None:
    """By hand from the gradients of the parts, which emitted code is given: a step of NumPy's."""
    from odescent.discretize.emit import load

    module = load(examined(test, count), "numpy")
    rng = np.random.default_rng(count)
    for ratio in (0.05, 0.3, 1.0, 3.0):
        own = list(rng.normal(size=(count, 4)) + 0.7)
        asked: list[Any] = []

        def batch(at: Any, v: Any, size: Any, own: Any = own, asked: Any = asked) -> Any:
            asked.append(size)
            return own[len(asked) - 1]

        c = module.coefficients(eta=ratio, h=0.1)
        after = module.step(module.init(np.zeros(4)), batch, c, np.random.default_rng(0))
        assert asked == [8 / count] * count
        g = np.mean(own, 0)
        pairs = count * (count - 1)
        if test == "norm":
            left, right = sum(np.sum((e - g) ** 2) for e in own) / pairs, ratio**2 * g @ g
        elif test == "inner product":
            left, right = sum((e @ g - g @ g) ** 2 for e in own) / pairs, ratio**2 * (g @ g) ** 2
        elif test == "orthogonality":
            across = [e - (e @ g) / (g @ g) * g for e in own]
            left, right = sum(e @ e for e in across) / pairs, ratio**2 * g @ g
        else:
            spread = sum((e - g) ** 2 for e in own) / pairs
            fails = np.any(spread > ratio**2 * g**2)
            assert after.b == pytest.approx(16 if fails else 8)
            continue
        assert after.b == pytest.approx(8 if left <= right else 8 * left / right, rel=1e-10)


def test_the_deviation_and_the_parts_ask_for_the_same_size_in_the_mean() -> None:
    """Both estimate the variance without bias: at one point, over keys, the sizes that a strict test asks for."""
    square = float(np.trace(np.asarray(loss(True).covariance(AT))))
    data = loss(True)
    for method in (examined("norm"), examined("norm", 4)):
        run = lambda k, method=method: method.run(data, np.asarray(AT), 1, key=k, h=1e-9, eta=1e-3)
        runs = [run(k).states["b"][-1] for k in range(60)]
        g = np.asarray(data.grad(AT))
        expected = square / (1e-6 * g @ g)
        assert 0.5 < np.median(runs) / expected < 2


def test_the_largest_size_holds() -> None:
    assert sizes(examined("norm", most=40.0), 6, eta=0.01)[-1] == 40
    assert np.all(np.diff(sizes(examined("norm"), 6, eta=3.0, h=0.05)) >= 0)


@pytest.mark.parametrize("test", ["inner product", "orthogonality"])
def test_directions_need_parts(test: str) -> None:
    with pytest.raises(od.OdescentError, match="the gradients of two parts of the batch or more"):
        examined(test)


def test_one_part_tests_nothing() -> None:
    with pytest.raises(od.OdescentError, match="or the deviation of its gradient"):
        control.batch_test(f.batch(od.at(x), u, b), [f.batch(od.at(x), u, b)], b, eta)
    with pytest.raises(od.OdescentError, match="norm"):
        control.batch_test(f.batch(od.at(x), u, b), f.deviation(od.at(x), u, b), b, eta, "norms")


# the methods


@pytest.mark.parametrize("name", ["adagrad", "adagrad_norm"])
def test_the_textbook_step(name: str) -> None:
    """AdAdaGrad as the paper has it, with the rows of the run: accumulate, move, test (arXiv:2402.11215)."""
    data, rate, delta, ratio = loss(), 0.3, 1e-8, 0.8
    method = od.algorithm(f"ad{name}")
    values = {"rate": rate, "delta": delta, "eta": ratio, "b0": 4.0, "b_max": 150.0}
    picks: list[float] = []
    batch = data.oracles["batch"]

    def watched(at: Any, v: Any, size: Any) -> Any:
        jax.debug.callback(lambda n: picks.append(float(n)), v)
        return batch(at, v, size)

    data.oracles["batch"] = watched
    run = method.run(data, np.zeros(3), 12, key=1, **values)
    jax.effects_barrier()
    assert len(picks) == 12
    position, total, size = np.zeros(3), np.zeros(3) if name == "adagrad" else 0.0, 4.0
    for k, pick in enumerate(picks):
        own = np.asarray(jax.random.permutation(_key_of(pick), 150))[: int(np.ceil(size))]
        each = np.asarray(data.gradients(jnp.asarray(position)))[own]
        g, n = each.mean(0), len(own)
        total = total + (g * g if name == "adagrad" else g @ g)
        variance = np.sum(each.var(0, ddof=1)) / n * (1 - n / 150)
        position = position - rate * g / np.sqrt(total + delta)
        if variance > ratio**2 * g @ g:
            size = min(150.0, size * variance / (ratio**2 * g @ g))
        np.testing.assert_allclose(run.x[k + 1], position, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(run.states["b"][k + 1], size, rtol=1e-9)


@pytest.mark.parametrize("name", ["adadagrad", "adadagrad_norm"])
def test_optax_says_the_next_batch(name: str) -> None:
    """The block is in the state, for a loop outside that loads so many rows."""
    from odescent.discretize.emit import load

    method, data = od.algorithm(name), loss(True)
    values = {"rate": 0.3, "delta": 1e-8, "eta": 0.8, "b0": 4.0, "b_max": 500.0}
    transformation = getattr(load(method, "optax"), name)(**values, key=jax.random.key(0))
    params = jnp.zeros(3)
    state, seen = transformation.init(params), []
    given = {"batch": data.batch, "deviation": data.deviation}
    update = jax.jit(lambda s, p: transformation.update(jnp.zeros(3), s, p, **given))
    for _ in range(15):
        updates, state = update(state, params)
        params = params + updates
        seen.append(float(state.b))
    assert seen == sorted(seen) and seen[-1] > 4 and np.all(np.isfinite(params))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"b0": 1.0}, "asks for 1 rows: a deviation is that of 2 or more"),
        ({"b0": 151.0}, "asks for 151 rows, more than the 150 of the data"),
        ({"b0": 4.0, "eta": 1e-3}, "more than the 150 of the data: bound the batch by that"),
    ],
)
def test_a_batch_that_cannot_be_had_ends_a_run_with_a_sentence(
    options: dict[str, float], said: str
) -> None:
    values = {"rate": 0.3, "delta": 1e-8, "eta": 0.8, "b_max": 1e6, **options}
    run = od.algorithm("adadagrad_norm").run(loss(), np.zeros(3), 20, key=1, **values)
    assert run.diverged_at is not None and said in run.remark
    assert np.all(np.isfinite(run.x)) or len(run.x) == 1


# the energy under the norm test


def test_the_derivation_is_proved() -> None:
    derivation = od.derive("adadagrad_norm")
    assert derivation.route == "norm_test" and derivation.verified
    assert {"Energy under the norm test", "Rate under the norm test"} <= {
        s.title for s in derivation.steps
    }


@pytest.mark.parametrize("ratio", [0.0, 0.5, 2.0])
def test_the_energy_in_numbers(ratio: float) -> None:
    """Along the averaged flow of a solver with relative variance r = eta^2 it is constant; with less it falls."""
    from scipy.integrate import solve_ivp

    scales = np.array([1.0, 0.3, 3.0])
    value = lambda p: np.sum(np.log(np.cosh(scales * p)))
    slope = lambda p: scales * np.tanh(scales * p)

    def flow(_: float, state: np.ndarray, r: float) -> np.ndarray:
        g = slope(state[:3])
        return np.array([*(-g / np.sqrt(state[3] + 0.1)), (1 + r) * g @ g])

    for r in {ratio**2, ratio**2 / 2}:
        path = solve_ivp(flow, (0, 5), [1.0, -2.0, 0.5, 0.0], args=(r,), rtol=1e-11, atol=1e-13)
        energy = [value(s[:3]) + 2 * np.sqrt(s[3] + 0.1) / (1 + ratio**2) for s in path.y.T]
        if r == ratio**2:
            np.testing.assert_allclose(energy, energy[0], rtol=1e-8)
        else:
            assert np.all(np.diff(energy) < 0)
        bound = (np.sqrt(0.1) + (1 + ratio**2) * energy_gap(value) / 2) ** 2 - 0.1
        assert path.y[3, -1] <= bound


def energy_gap(value: Any) -> float:
    return float(value(np.array([1.0, -2.0, 0.5])))
