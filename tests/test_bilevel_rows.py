"""Bilevel problems over rows of data: all rows are the same problem, batches find its solution up to their noise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import odescent as od

RNG = np.random.default_rng(0)
UPPER, LOWER = RNG.normal(size=(40, 3)) + 1, RNG.normal(size=(60, 3))


def upper(x, y, rows):
    return jnp.mean(jnp.sum((y[None] - rows) ** 2, axis=1)) / 2 + jnp.sum(x**2) / 20


def lower(x, y, rows):
    return jnp.mean(jnp.sum(((y - x)[None] - rows) ** 2, axis=1)) / 2


DATA = {"rows": (UPPER, LOWER)}
# y* = x + a and x* = (b - a)/1.1, with the means a and b of both data
SOLUTION = (UPPER.mean(0) - LOWER.mean(0)) / 1.1
LOOP = {"method": "single_loop", "step": 0.02, "lower_step": 0.1, "sigma": 0.1, "steps": 1500}


@pytest.mark.parametrize("method", ["implicit", "penalty", "single_loop"])
def test_all_rows_are_the_problem_of_their_means(method):
    more = {"method": method, "steps": 30, **({"step": 0.2} if method == "single_loop" else {})}
    begin = np.zeros(3), np.zeros(3)
    found = od.bilevel(upper, lower, *begin, **DATA, **more)
    closed = od.bilevel(
        lambda x, y: upper(x, y, UPPER), lambda x, y: lower(x, y, LOWER), *begin, **more
    )
    np.testing.assert_allclose(found.x, closed.x, rtol=0, atol=1e-13)
    if method == "implicit":
        np.testing.assert_allclose(found.x, SOLUTION, rtol=0, atol=1e-6)


def test_batches_find_the_solution_up_to_their_noise_and_the_penalty():
    options = {**LOOP, **DATA}
    begin = np.zeros(3), np.zeros(3)
    exact = od.bilevel(upper, lower, *begin, **options)
    errors = {}
    for batch in (2, 30):
        found = od.bilevel(upper, lower, *begin, batch=batch, key=1, **options)
        errors[batch] = np.linalg.norm(found.x - exact.x)
        assert found.history["iteration"].tolist() == list(range(50, 1501, 50))
        assert not found.success and np.linalg.norm(found.x) > 0.5 * np.linalg.norm(exact.x)
    assert errors[30] < errors[2] and errors[30] < 0.2
    other = od.bilevel(upper, lower, *begin, batch=2, key=jax.random.key(2), **options)
    assert not np.array_equal(other.x, exact.x)


def test_a_search_goes_on_to_the_bit():
    options = {"method": "single_loop", "step": 0.02, "batch": 4, "key": 3, **DATA}
    begin = np.zeros(3), {"y": np.zeros(3)}
    low = lambda x, y, rows: lower(x, y["y"], rows)
    high = lambda x, y, rows: upper(x, y["y"], rows)
    whole = od.bilevel(high, low, *begin, steps=130, **options)
    half = od.bilevel(high, low, *begin, steps=70, **options)
    rest = od.bilevel(high, low, *begin, steps=60, resume=half, **options)
    np.testing.assert_array_equal(rest.x, whole.x)
    np.testing.assert_array_equal(rest.y["y"], whole.y["y"])
    assert rest.steps == 130 and rest.history["iteration"].tolist() == [50, 70, 120, 130]


def test_averages_ahead_are_those_of_the_steps_without():
    """Whatever the functions, rows and noise: the result of the one is the average of the iterates of the other."""
    beta, options = (
        0.7,
        {"method": "single_loop", "step": 0.02, "lower_step": 0.1, "batch": 3, "key": 5, **DATA},
    )
    begin = np.full(3, 0.3), np.full(3, -0.2)
    plain = [od.bilevel(upper, lower, *begin, steps=n, **options) for n in range(1, 8)]
    x, y = begin
    for found in plain:
        x, y = (beta * v + (1 - beta) * np.asarray(w) for v, w in ((x, found.x), (y, found.y)))
    averaged = od.bilevel(upper, lower, *begin, steps=7, momentum=beta, **options)
    np.testing.assert_allclose(averaged.x, x, rtol=1e-11)
    np.testing.assert_allclose(averaged.y, y, rtol=1e-11)
    half = od.bilevel(upper, lower, *begin, steps=4, momentum=beta, **options)
    rest = od.bilevel(upper, lower, *begin, steps=3, momentum=beta, resume=half, **options)
    np.testing.assert_array_equal(rest.x, averaged.x)


def test_averages_leave_less_of_the_noise():
    options = {**LOOP, **DATA}
    begin = np.zeros(3), np.zeros(3)
    exact = od.bilevel(upper, lower, *begin, **options).x
    errors = {
        beta: np.mean([
            np.sum((od.bilevel(upper, lower, *begin, batch=2, momentum=beta, key=k, **options).x - exact) ** 2)
            for k in range(3)
        ])
        for beta in (0.0, 0.98)
    }  # fmt: skip
    assert errors[0.98] < 0.5 * errors[0.0]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"momentum": 0.9, "method": "single_loop", "step": 0.1},
            "averages the estimates of batches",
        ),
        ({"momentum": 1.0}, "at least 0 and less than 1"),
        ({"batch": 4}, "give rows="),
        ({"rows": UPPER}, "rows must be a pair"),
        ({"rows": (UPPER, (LOWER, LOWER[:3]))}, "the rows of G must be arrays of one length"),
        ({"rows": (UPPER, 1.0)}, "the rows of G must be arrays of one length"),
        ({**DATA, "batch": 41, "method": "single_loop", "step": 0.1}, "batch must be from 1 to 40"),
        ({**DATA, "batch": 0, "method": "single_loop", "step": 0.1}, "batch must be from 1 to 40"),
        ({**DATA, "batch": 4}, "solves the lower level in every step"),
        (
            {**DATA, "batch": 4, "key": "x", "method": "single_loop", "step": 0.1},
            "key must be a JAX key",
        ),
    ],
)
def test_wrong_rows_get_a_sentence(options, said):
    with pytest.raises(od.OdescentError, match=said):
        od.bilevel(upper, lower, np.zeros(3), np.zeros(3), **options)


def test_levels_without_rows_are_told_that_they_get_them():
    with pytest.raises(od.OdescentError, match=r"of \(x, y, rows\), but of three arguments"):
        od.bilevel(lambda x, y: 0.0, lower, np.zeros(3), np.zeros(3), **DATA)
    with pytest.raises(od.OdescentError, match=r"of \(x, y\), but of two arguments"):
        od.bilevel(upper, lower, np.zeros(3), np.zeros(3))


def test_sources_with_shuffled_labels_lose_their_weight_by_batches():
    """The digits with five sources, two of them shuffled, from 64 rows of each level a step."""
    datasets = pytest.importorskip("sklearn.datasets")
    images, labels = datasets.load_digits(return_X_y=True)
    order = np.random.default_rng(1).permutation(len(labels))
    images, labels = (
        np.concatenate([images / 16, np.ones((len(images), 1))], axis=1)[order],
        labels[order],
    )
    noisy, source = labels[:1000].copy(), np.repeat(np.arange(5), 200)
    for s in (0, 1):
        noisy[source == s] = np.random.default_rng(2 + s).permutation(noisy[source == s])

    def losses(w, features, told):
        return -jnp.take_along_axis(jax.nn.log_softmax(features @ w), told[:, None], axis=1)[:, 0]

    def level(x, w, rows):
        features, told, of = rows
        return 5 * jnp.mean(jax.nn.softmax(x)[of] * losses(w, features, told)) + 2e-3 * jnp.sum(
            w**2
        )

    train, held = (images[:1000], noisy, source), (images[1000:1300], labels[1000:1300])
    found = od.bilevel(
        lambda x, w, rows: jnp.mean(losses(w, *rows)), level, np.zeros(5), np.zeros((65, 10)), method="single_loop",
        sigma=0.05, step=0.3, lower_step=0.3, steps=3000, rows=(held, train), batch=64,
    )  # fmt: skip
    weights = np.asarray(jax.nn.softmax(found.x))
    accuracy = np.mean(np.argmax(images[1300:] @ found.y, 1) == labels[1300:])
    assert weights[:2].max() < 0.01 and accuracy > 0.9, (weights, accuracy)
