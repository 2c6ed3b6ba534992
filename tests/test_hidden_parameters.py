"""Parameters that stand only inside of a scalar made of vectors: known, asked for, and used, wherever that stands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp
from emitted_runs import RUNNERS, carriers

import odescent as od
from odescent.discretize.emit import load

f = od.Objective("f")
h, c = od.parameters("h c")
block = od.Block("x", init=od.dynamics.start)
length = od.Block("s", "scalar", "coefficient", sp.S.One)
x, s = block.symbol, length.symbol
GO = od.Flow("descent", "explicit")
Number = Any


def method(*steps: Any, init: Any = sp.S.One) -> od.Algorithm:
    scalar = od.Block("s", "scalar", "coefficient", init)
    flow = od.System({"descent": {x: -s * f.grad(x)}}, blocks=[block, scalar], output=x)
    return od.Algorithm(flow, od.Scheme(steps), step=h)


def value(at: Any) -> Any:
    return at @ at + at[0] ** 4


def grad(at: Any) -> Any:
    return 2 * at + np.array([4 * at[0] ** 3, 0.0])


def guarded(at: Any, scale: Number, k: float, w: float) -> tuple[Any, Number]:
    new = at - w * scale * grad(at)
    return (new, 2 * scale) if value(k * new) <= 1 else (at, scale / 2)


def sloped(at: Any, scale: Number, k: float, w: float) -> tuple[Any, Number]:
    new = at - w * scale * grad(at)
    return (new, 2 * scale) if grad(k * new) @ grad(at) >= 1 else (at, scale / 2)


def assigned(at: Any, scale: Number, k: float, w: float) -> tuple[Any, Number]:
    new = at - w * scale * grad(at)
    return new, 1 / (1 + value(k * new))


def repeated(at: Any, scale: Number, k: float, w: float) -> tuple[Any, Number]:
    trial = 8 * scale
    while True:
        trial /= 2
        new = at - w * trial * grad(at)
        if value(k * new) <= value(at) / 4:
            return new, trial


BACK = [od.Let({x: od.at(x), s: s / 2})]
SHRINK = od.Let({x: od.at(x), s: s / 2})
CASES: dict[str, tuple[Callable[[], od.Algorithm], Callable[..., Any]]] = {
    "a value in a guard": (
        lambda: method(GO, od.Select(f.value(c * x) <= 1, [od.Let({s: 2 * s})], BACK)),
        guarded,
    ),
    "a slope in a guard": (
        lambda: method(
            GO, od.Select(od.inner(f.grad(c * x), f.grad(od.at(x))) >= 1, [od.Let({s: 2 * s})], BACK)
        ),
        sloped,
    ),
    "a value that a block is given": (lambda: method(GO, od.Let({s: 1 / (1 + f.value(c * x))})), assigned),
    "the end of a loop": (
        lambda: method(
            od.Let({s: 8 * s}), od.Repeat([SHRINK, GO], f.value(c * x) <= f.value(od.at(x)) / 4, 50)
        ),
        repeated,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_it_is_a_parameter_and_the_run_uses_it(name: str) -> None:
    build, step = CASES[name]
    made = build()
    assert {p.name for p in made.parameters} == {"c", "h"}
    begin, runs = np.array([0.4, -1.5]), []
    for k in (0.05, 1.2):
        at, scale, points = begin, 1.0, [begin]
        for _ in range(4):
            at, scale = step(at, scale, k, 0.2)
            points.append(at)
        jax_value = lambda v: jnp.sum(v**2) + v[0] ** 4
        runs.append(np.asarray(made.run(jax_value, begin, 4, h=0.2, c=k).x))
        assert np.allclose(runs[-1], points, rtol=1e-12)
        bound = made.bind(c=k).run(jax_value, begin, 4, h=0.2)
        assert np.allclose(bound.x, points, rtol=1e-12)
        module = load(made, "numpy")
        emitted = {"value": value, "grad": grad}
        takes = set(module.run.__code__.co_varnames[: module.run.__code__.co_argcount])
        given = {n: g for n, g in emitted.items() if n in takes}
        name_of = "c_" if "c_" in takes else "c"
        found = module.run(**given, x0=begin, steps=4, h=0.2, **{name_of: k})
        assert np.allclose(found, points, rtol=1e-12)
    assert not np.allclose(runs[0], runs[1])
    with pytest.raises(od.OdescentError, match="needs a value of c"):
        made.run(lambda v: jnp.sum(v**2), begin, 3, h=0.2)


def test_a_start_that_reads_a_parameter_inside_asks_for_it() -> None:
    made = method(GO, init=f.value(c * od.dynamics.start))
    assert {p.name for p in made.parameters} == {"c", "h"}
    run = made.run(lambda v: jnp.sum(v**2), np.array([1.0, 2.0]), 2, h=0.01, c=3.0)
    assert run.states["s"][0] == 45


@pytest.mark.parametrize("weight", ["a value", "a length"])
def test_a_look_ahead_by_a_weight_that_reads_the_state_is_the_same_in_every_backend(
    weight: str,
) -> None:
    """The weight's symbols stand inside: it was taken for a constant, and the optax code named what is not there."""
    v = od.blocks("v")
    by = 1 / (2 + f.value(x) ** 2) if weight == "a value" else 1 / (1 + od.inner(x, x))
    point = x + by * v
    made = od.method(
        {x: x - h * f.grad(point) + by * v, v: v / 2 - h * f.grad(point)},
        output=x,
        init={v: od.dynamics.zero},
    )
    runs = {t: RUNNERS[t](made, 8) for t in carriers(made)}
    assert {"numpy", "jax"} <= set(runs)
    for target, points in runs.items():
        np.testing.assert_allclose(points, runs["numpy"], rtol=1e-11, atol=1e-12, err_msg=target)
