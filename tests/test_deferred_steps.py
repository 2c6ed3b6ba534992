"""Cyclic shifts of schemes: MeZO's deferred form, equal by its output, to the bit, and in the limit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import odescent as od
from odescent.discretize.emit import load
from odescent.dynamics import vanishes

x, m = od.blocks("x m")
c = od.blocks("c", kind="scalar")
f, h, r = od.Objective("f"), *od.parameters("h r")
z = od.sample("z", like=x)
FALL = (f.value(x - r * z) - f.value(x + r * z)) / (2 * r)
OPTIONS = [{}, {"law": "rademacher"}, {"law": "sphere"}, {"difference": "forward"}]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_deferred_form_is_proved_to_make_the_same_points(options):
    plain, deferred = (od.algorithm("zeroth_order", deferred=d, **options) for d in (False, True))
    for one, other in ((plain, deferred), (deferred, plain)):
        found = one.equivalent(other)
        assert found.verdict == "proved" and found.same_output
        assert "x + c*m, obeys the recursion of the other, for the same draws" in found.reason
    assert od.recognize(deferred).name == "zeroth_order" or options


def test_it_is_the_cyclic_shift_of_measuring_and_moving():
    deferred = od.algorithm("zeroth_order", deferred=True)
    measured = deferred.replace(scheme=deferred.scheme.shifted())
    assert measured.scheme.shifted() == deferred.scheme and measured.scheme != deferred.scheme
    assert deferred.scheme.shifted(-1) == measured.scheme == deferred.scheme.shifted(-3 + 2)
    for other in (measured, od.algorithm("zeroth_order")):
        assert vanishes(deferred.consistent_with().drift[x] - other.consistent_with().drift[x])
        one, two = (a.modified_equation(1) for a in (deferred, other))
        assert vanishes(one.terms[1][x] - two.terms[1][x])
        assert vanishes(one.covariance[x, x] - two.covariance[x, x])
    with pytest.raises(od.OdescentError, match="count must be at most 2, not 3"):
        deferred.scheme.shifted(3)


def test_a_stage_is_not_read_before_it_is_saved():
    saved = od.Scheme((od.Flow("a", "explicit", save="half"), od.Let({m: x}, read={x: "half"})))
    with pytest.raises(od.OdescentError, match="half"):
        saved.shifted()


@pytest.mark.parametrize(
    "wrong",
    [
        {x: x + c * m, m: z, c: 2 * h * FALL},  # another step
        {x: x + c * m, m: z, c: -h * FALL},  # uphill
        {x: x + c * m / 2, m: z, c: h * FALL},  # moves by half, and says it has moved
        {x: x + c * m, m: m + z, c: h * FALL},  # a sum of samples
        {x: x + c * m, m: z, c: c + h * FALL},  # a sum of moves
    ],
    ids=["step", "sign", "half", "sum of samples", "sum of moves"],
)
def test_near_misses_are_not_equal(wrong):
    as_map = od.method(wrong, output=x + c * m, init={m: 0, c: 0})
    assert as_map.equivalent(od.algorithm("zeroth_order")).verdict != "proved"
    # beside the flow of f the same steps are found to be inconsistent, or to have no limit
    steps = od.Scheme((od.Let({x: wrong[x]}), od.Let({m: wrong[m], c: wrong[c]})))
    with pytest.raises(od.OdescentError, match=r"does not add up|sends x to|keeps the sample z"):
        od.algorithm("zeroth_order", deferred=True).replace(scheme=steps).consistent_with()


def test_what_starts_elsewhere_is_not_equal():
    """c is one at the start, so that the first output is not x0."""
    method = od.method({x: x + c * m, m: z, c: h * FALL}, output=x + c * m, init={m: x, c: 1})
    assert method.equivalent(od.algorithm("zeroth_order")).verdict != "proved"


def quartic(p):
    return jnp.sum((p - 1) ** 4 + jnp.sin(3 * p)) + p[0] * p[-1]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_runs_are_equal_to_the_bit(options, dtype):
    plain, deferred = (od.algorithm("zeroth_order", deferred=d, **options) for d in (False, True))
    x0 = np.linspace(-1, 1, 17).astype(dtype)
    one, two = (a.run(quartic, x0, 60, h=2e-3, r=1e-2, key=5).x for a in (plain, deferred))
    assert one.dtype == dtype and np.ptp(one[-1] - one[0]) > 0.1
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_emitted_modules_are_equal_to_the_bit(dtype):
    x0 = np.linspace(-1, 1, 17).astype(dtype)
    value = lambda p: float(np.sum((p - 1) ** 4 + np.sin(3 * p)) + p[0] * p[-1])
    runs = []
    for deferred in (False, True):
        module = load(od.algorithm("zeroth_order", deferred=deferred), "numpy")
        runs.append(module.run(value, x0, 60, 2e-3, 1e-2, np.random.default_rng(0)))
    assert runs[0].dtype == dtype
    np.testing.assert_array_equal(*runs)


def test_the_mean_of_runs_follows_the_limit():
    """x+ = x - h <z, g> z for a linear f: the mean moves by -h g whatever the dimension."""
    g = np.array([1.0, -2.0, 0.5])
    deferred = od.algorithm("zeroth_order", deferred=True)
    go = lambda key: deferred.run(lambda p: p @ g, jnp.zeros(3), 10, h=0.05, r=1.0, key=key).x[-1]
    ends = jax.vmap(go)(jax.random.split(jax.random.key(0), 4000))
    error = np.std(np.asarray(ends), axis=0) / np.sqrt(4000)
    assert (abs(np.mean(np.asarray(ends), axis=0) + 0.5 * g) < 4 * error).all()
