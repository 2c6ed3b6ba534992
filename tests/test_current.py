"""Functions of the user are compiled as they are at the call: what they read from outside may change in between."""

import pickle
import sys
from collections.abc import Callable
from functools import partial
from types import ModuleType, SimpleNamespace
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import odescent as od
from odescent.dynamics.vector_fields.own_functions import current, reads

outside = SimpleNamespace(a=2.0, inner=None)
table = np.array([2.0])


def _passage(reached: Any) -> Any:
    return od.particles.first_passage(DESCENT, FAR, [0.0], reached, steps=3000, runs=1, key=0).steps


def _still(t: Any, y: Any, args: Any) -> Any:
    return 0 * y


def _diffused(g: Any) -> Any:
    return od.neural_de.solve(_still, np.ones(1), 0.0, 0.1, diffusion=g, key=jax.random.key(0)).last


def _inspected(field: Any) -> Any:
    options = {"rtol": 1e-4, "atol": 1e-4}
    return od.neural_de.subject(field, np.ones((2, 1)), **options).solved().solved.last


def changed(a: float) -> None:
    """All that the functions below read, from the outside."""
    outside.a = a
    table[0] = a
    outside.inner = jax.jit(lambda x: jnp.full((), a) * x)


READS: dict[str, Callable[[Any], Any]] = {
    "attribute": lambda x: outside.a * x,
    "array": lambda x: jnp.asarray(table)[0] * x,
    "compiled": lambda x: outside.inner(x),  # noqa: PLW0108  another one after each change
}
QUADRATIC = od.Objective("q", lambda x: jnp.sum(x**2) / 2)
FAR = od.Objective("far", lambda x: jnp.sum((x - 5) ** 2))
FLOW = od.system("gradient_flow")
DESCENT = od.algorithm("gradient_descent", step=0.001)
START = np.array([4.0])


def _points(fun: Any, **more: Any) -> Any:
    found = od.particles.minimize(fun, np.zeros(2), seed=0, **more)
    return found.consensus


def _steps(**more: Any) -> Any:
    """Three steps, whose consensus point depends on the parameters."""
    return _points(FAR, steps=3, **more)


def _ensemble(fun: Any, **more: Any) -> Any:
    x0 = np.random.default_rng(0).normal(size=(2, 60))
    return od.particles.simulate(
        od.algorithm("cbo"), fun, x0, 3,
        params={"h": 0.1, "lam": 1.0, "sigma": 0.1, **more.pop("params", {"alpha": 5.0})}, **more,
    ).particles["x"]  # fmt: skip


def _near(x: Any, y: Any) -> Any:
    return jnp.sum((y - x) ** 2)


def _two_levels(lower: Any, upper: Any = lambda x, y: jnp.sum((y - 1) ** 2), **more: Any) -> Any:
    return od.bilevel(upper, lower, np.zeros(1), np.zeros(1), step=0.1, steps=3, **more).x


# A function made of a reading one, in one place after the other, and what depends on it
USES: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "until": (lambda r: lambda t, x, states: x[0] - r(1.0),
              lambda f: FLOW.simulate(QUADRATIC, START, 5.0, until=f).x[-1]),
    "until, fixed steps": (lambda r: lambda t, x, states: x[0] - r(1.0),
                           lambda f: FLOW.simulate(QUADRATIC, START, 5.0, dt=0.01, until={"near": f}).x[-1]),
    "until of a run": (lambda r: lambda t, x, states: x[0] - r(1.0),
                       lambda f: DESCENT.run(QUADRATIC, START, 2000, until=f).x[-1]),
    "run": (lambda r: lambda x: r(1.0) * jnp.sum(x**2), lambda f: DESCENT.run(f, START, 3).x[-1]),
    "the value of an objective": (lambda r: od.Objective("f", lambda x: r(1.0) * jnp.sum(x**2)).value,
                                  lambda f: DESCENT.run(f, START, 3).x[-1]),
    "simulate": (lambda r: lambda x: r(1.0) * jnp.sum(x**2),
                 lambda f: FLOW.simulate(f, START, 0.1, dt=0.01).x[-1]),
    "curvatures": (lambda r: lambda x: r(1.0) * jnp.sum(x**2),
                   lambda f: od.estimate_constants(f, START, steps=2, points=2).L),
    "bilevel": (lambda r: lambda x, y: jnp.sum((y - r(1.0) * x) ** 2), _two_levels),
    "bilevel, upper": (lambda r: lambda x, y: jnp.sum((r(1.0) * y - 1) ** 2),
                       lambda f: _two_levels(_near, upper=f)),
    "bilevel, constraints": (lambda r: lambda x: jnp.clip(x, -r(1.0) / 8, r(1.0) / 8),
                             lambda f: _two_levels(_near, constraints=f)),
    "a function by its name": (lambda r: lambda x: r(1.0) * jnp.sum(x**2),
                               lambda f: DESCENT.run({"f": f}, START, 3).x[-1]),
    "a flow's by its name": (lambda r: lambda x: r(1.0) * jnp.sum(x**2),
                             lambda f: FLOW.simulate({"f": f}, START, 0.1, dt=0.01).x[-1]),
    "velocities": (lambda r: lambda x, *, mu: mu - r(1.0) - x**2,
                   lambda f: od.analysis.continuation(
                       f, flow=True, parameter="mu", interval=(0.5, 4.0), x0=[1.2], at=3.9).special[0].value),
    "first passage": (lambda r: lambda x: x[0] > r(1.0), _passage),
    "field": (lambda r: lambda t, y, args: -r(1.0) * y,
              lambda f: od.neural_de.solve(f, np.ones(2), 0.0, 1.0).last),
    "term": (lambda r: lambda t, y, args: -r(1.0) * y,
             lambda f: od.neural_de.solve(diffrax.ODETerm(f), np.ones(2), 0.0, 1.0).last),
    "diffusion": (lambda r: lambda t, y, args: r(1.0) * y, _diffused),
    "field of a subject": (lambda r: lambda t, y, args: -r(1.0) * y, _inspected),
    "reduce": (lambda r: lambda x: r(jnp.sum(x)),
               lambda f: od.analysis.batch(DESCENT, QUADRATIC, axes={"x0": [0.5, 0.2]}, steps=3,
                                           reduce={"sum": f}).values["sum"]),
    "batch": (lambda r: lambda x: x - r(0.2) * x,
              lambda f: od.analysis.batch(f, axes={"x0": [0.5, 0.2]}, steps=3).values["x"]),
    "lyapunov": (lambda r: lambda x: x - r(0.2) * x,
                 lambda f: od.analysis.lyapunov(f, x0=[0.3], steps=50).exponents),
    "basins": (lambda r: lambda x: x - r(0.2) * x,
               lambda f: od.analysis.basins(f, axes={"x0": (-1, 1, 4)}, steps=500).attractors[0].multiplier),
    "bifurcation": (lambda r: lambda x, *, mu: mu * r(1.0) * x * (1 - x),
                    lambda f: od.analysis.bifurcation(
                        f, parameter="mu", values=(0.3, 2.0, 18), start=[0.3]).changes[0].value),
    "fun": (lambda r: lambda x: jnp.sum((x - r(1.0)) ** 2), lambda f: _points(f, steps=60)),
    "fun of rows": (lambda r: lambda x: jnp.sum((x - r(1.0)) ** 2, axis=1),
                    lambda f: _points(f, steps=60, vectorized=True)),
    "constraint": (lambda r: lambda x: jnp.clip(x, -r(1.0), r(1.0)), lambda f: _points(FAR, steps=60, constraint=f)),
    "schedule": (lambda r: lambda k, record: {"alpha": r(1.0)}, lambda f: _steps(schedule=f)),
    "law": (lambda r: lambda values: r(1.0) + 0 * values[0], lambda f: _steps(params={"alpha": f})),
    "fun of an ensemble": (lambda r: lambda x: jnp.sum((x - r(1.0)) ** 2, axis=1), _ensemble),
    "schedule of an ensemble": (lambda r: lambda k, record: {"alpha": r(1.0)},
                                lambda f: _ensemble(FAR, schedule=f)),
    "law of an ensemble": (lambda r: lambda values: r(1.0) + 0 * values[0],
                           lambda f: _ensemble(FAR, params={"alpha": f})),
}  # fmt: skip


@pytest.mark.parametrize(
    ("use", "reading"), [*((u, "attribute") for u in USES), ("batch", "array"), ("law", "compiled")]
)
def test_what_a_function_reads_is_that_of_the_call(
    use: str, reading: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The same function gives what a new one gives after a change; what did not change is not compiled again."""
    make, result = USES[use]
    fun = make(READS[reading])
    changed(2.0)
    one = np.asarray(result(fun))
    changed(1.0)
    two = np.asarray(result(fun))
    np.testing.assert_array_equal(two, np.asarray(result(make(READS[reading]))))
    assert not np.allclose(one, two)
    with jax.log_compiles(), caplog.at_level("WARNING"):
        result(fun)
    assert not [r for r in caplog.records if r.message.startswith("Compiling")]


def test_a_key_is_the_one_of_before_as_long_as_the_function_computes_the_same() -> None:
    fun = lambda x, *, by=1.0: jnp.sum(outside.a * x) * by
    outside.a = 2.0
    one = current(fun)
    assert current(fun) is one and current(one) is one
    jax.make_jaxpr(one)(jnp.ones(3))
    jax.make_jaxpr(lambda x: one(x, by=x[0]))(jnp.ones(2))
    assert current(fun) is one
    outside.a = 3.0
    two = current(fun)
    assert two is not one and two(jnp.ones(2)) == 6.0
    assert two.__name__ == fun.__name__


settings = ModuleType("settings")  # a module of the user's
number, listed = 2.0, [2.0]


def helper(x: Any) -> Any:
    return number * x


def _with_default(x: Any, a: Any = listed) -> Any:
    return a[0] * x


def _imported(x: Any) -> Any:
    from settings import scale  # type: ignore[import-not-found]

    return scale * x


def _attribute(x: Any) -> Any:
    return _attribute.scale * x  # type: ignore[attr-defined]


READERS: dict[str, Callable[[Any], Any]] = {
    "number": lambda x: number * x,
    "helper's number": lambda x: helper(x) + 1,
    "inner function's": lambda x: jax.vmap(lambda y: number * y)(jnp.full(2, x)),
    "number of a list": lambda x: sum(c * x for c in listed),
    "default": _with_default,
    "cell": (lambda cell: lambda x: cell[0] * x)(listed),
    "module": lambda x: settings.scale * x,
    "import": _imported,
    "own attribute": _attribute,
    "by name": lambda x: globals()["number"] * x,
    "partial": partial(lambda a, x: a[0] * x, listed),
    "method": outside.__class__(f=lambda x: number * x).f,
    "reading an object": lambda x: outside.a * x,
}


@pytest.mark.parametrize("reader", READERS)
def test_a_change_is_seen_wherever_it_is(reader: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "settings", settings)

    def change(a: Any) -> None:
        globals()["number"] = settings.scale = outside.a = _attribute.scale = listed[0] = a  # type: ignore[attr-defined]

    change(2.0)
    fun = READERS[reader]
    keys = []
    for a in (2.0, 2.0, 3.0, 3.0, 3):
        change(a)
        keys.append(current(fun))
        jax.make_jaxpr(keys[-1])(1.0)
    assert keys[0] is keys[1] and keys[2] is keys[3]
    assert keys[1] is not keys[2]


def test_another_helper_and_other_draws_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    fun, drawn = lambda x: helper(x), lambda x: np.random.normal() * x  # noqa: NPY002, PLW0108
    before = current(fun), current(drawn)
    for key in before:
        jax.make_jaxpr(key)(1.0)
    assert current(fun) is before[0] and current(drawn) is not before[1]
    monkeypatch.setitem(globals(), "helper", lambda x: x)
    assert current(fun) is not before[0]


def test_other_code_of_the_same_function_is_seen() -> None:
    def fun(x: Any) -> Any:
        return 2.0 * x

    def other(x: Any) -> Any:
        return 3.0 * x

    key = current(fun)
    jax.make_jaxpr(key)(1.0)
    assert current(fun) is key
    fun.__code__ = other.__code__
    assert current(fun) is not key


def test_the_sign_of_zero_and_the_type_of_a_number_are_looked_at() -> None:
    for a, b in ((0.0, -0.0), (1, 1.0), (1, True)):
        globals()["number"] = a
        one = reads(helper)
        globals()["number"] = b
        assert one is not None and reads(helper) != one


def test_what_reads_only_numbers_is_not_traced_again() -> None:
    traced: list[Any] = []
    globals()["number"] = 2.0

    def fun(x: Any) -> Any:
        return jnp.sum(helper(x)) + len(())

    key = current(fun)
    jax.make_jaxpr(key)(jnp.ones(3))
    key._trace_key = traced.append
    assert current(fun) is key and not traced
    globals()["number"] = 7.0
    assert current(fun) is not key and len(traced) == 1


def test_an_objective_is_checked_once_for_each_shape() -> None:
    calls: list[Any] = []

    def fun(x: Any) -> Any:
        calls.append(x.shape)
        return jnp.sum(x**2)

    DESCENT.run(fun, np.ones(2), 2)
    traced = len(calls)
    DESCENT.run(fun, np.zeros(2), 2)
    assert len(calls) == traced + 1  # it reads a list, which may have changed
    with pytest.raises(od.OdescentError, match="returns an array of shape"):
        DESCENT.run(lambda x: x if len(x) > 2 else jnp.sum(x), np.ones(3), 2)


def test_one_function_on_other_rows_is_another_level() -> None:
    level = lambda x, y, rows: jnp.sum((y - rows.mean(axis=0)) ** 2) + jnp.sum(x**2)
    upper = lambda x, y, rows: jnp.sum((y - x) ** 2) + 0 * rows.sum()
    rows = np.ones((3, 1))
    found = []
    for _ in range(2):
        done = od.bilevel(
            upper, level, np.zeros(1), np.zeros(1), step=0.1, steps=2, rows=(rows, rows)
        )
        found.append(float(done.y[0]))
        rows += 1  # in place
    np.testing.assert_allclose(found, [1, 2], atol=1e-6)


def test_the_same_subject_solves_the_field_as_it_is() -> None:
    field = lambda t, y, args: -outside.a * y
    held = od.neural_de.subject(field, np.ones((2, 1)))
    for a in (1.0, 2.0):
        outside.a = a
        np.testing.assert_allclose(held.solved().solved.last, np.exp(-a), rtol=1e-5)


def test_arguments_that_are_no_arrays_are_told_apart_too() -> None:
    fun = lambda x, how, by: by * how(outside.a * x)
    outside.a = 2.0
    key = current(fun)
    with_args = jax.make_jaxpr(lambda x: key(x, jnp.sin, 2.0))
    with_args(1.0)
    assert current(fun) is key
    outside.a = 3.0
    assert current(fun) is not key
    other = current(fun)
    jax.make_jaxpr(lambda x: other(x, lambda y: y, 2.0))(1.0)
    assert current(fun) is other

    class Unhashable:
        __hash__ = None  # type: ignore[assignment]

    third = current(lambda x, thing: outside.a * x)
    jax.make_jaxpr(lambda x: third(x, Unhashable()))(1.0)
    assert third.changed()


def test_what_cannot_be_told_is_another_one_each_time() -> None:
    """A function with addresses in its trace that reads a list, and one that nothing finds again."""
    like = jax.ShapeDtypeStruct((3,), jnp.float64)
    back = lambda x: jax.pure_callback(lambda v: v * listed[0], like, x)
    one = current(back)
    assert current(back) is one  # nothing was made of it yet
    jax.make_jaxpr(one)(jnp.ones(3))
    assert current(back) is not one

    class Unhashable:
        __hash__ = None  # type: ignore[assignment]

        def __call__(self, x: Any) -> Any:
            return x

    thing = Unhashable()
    assert current(thing) is not current(thing)


def test_arrays_that_are_given_may_be_changed_afterwards() -> None:
    start, end, rates = np.ones(2), np.zeros(2), np.array([0.5, 0.2])
    f = od.Objective("f", lambda x: jnp.sum(x**2) / 2, x0=start, minimizer=end)
    found = od.analysis.batch(DESCENT, f, axes={"x0[0]": rates, "x0[1]": [0.0]}, steps=1)
    for array in (start, end, rates):
        array += 7
    assert (f.x0 == 1).all() and (f.minimizer == 0).all()
    np.testing.assert_array_equal(found.axes["x0[0]"], [0.5, 0.2])


def test_ours_are_left_as_they_are() -> None:
    box = od.particles.box(-1.0, 1.0)
    assert current(box) is box and current("f_min") == "f_min" and current(None) is None
    assert current(QUADRATIC) is QUADRATIC
    assert current(jnp.tanh) is jnp.tanh and current(jax.vmap(helper)) is not helper


def test_a_key_is_pickled_as_its_function() -> None:
    again = pickle.loads(pickle.dumps(current(helper)))  # noqa: S301  our own
    assert again.fun is helper
