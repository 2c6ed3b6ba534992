"""Values of several functions in one step: each backend calls each of them, and a run the right one."""

from __future__ import annotations

import inspect
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import odescent as od
from odescent.discretize.emit import load

x, y = od.blocks("x y")
h = od.parameters("h")
f, g = od.Objective("f"), od.Objective("g")
F, G = od.Objective("F", args=("x", "y")), od.Objective("G", args=("x", "y"))
START, STEP, STEPS = np.array([0.4, 0.3]), 0.1, 4
METHODS = {
    "one value, another's gradient": od.method({x: x - h * f.value(x) * g.grad(x)}, output=x),
    "two values": od.method({x: x - h * f.value(x) * g.value(x) * g.grad(x)}, output=x),
    "two values at two points": od.method(
        {x: x - h * (f.value(x) - g.value(2 * x)) * g.grad(x)}, output=x
    ),
}


def half_square(p: Any) -> Any:
    return (p**2).sum() / 2


def fourth(p: Any) -> Any:
    return (p**4).sum() + 1


def by_hand(name: str) -> np.ndarray:
    """The points of a method, from its formula."""
    points = [START]
    for _ in range(STEPS):
        p = points[-1]
        one, other = half_square(p), fourth(p)
        weight = {"two values": one * other, "two values at two points": one - fourth(2 * p)}
        points.append(p - STEP * weight.get(name, one) * 4 * p**3)
    return np.array(points)


def gradient(p: Any) -> Any:
    return 4 * p**3


def arguments(function: Any) -> dict[str, Any]:
    """The functions that an emitted one takes, by its names of them."""
    known = {"value": half_square, "value_f": half_square, "value_g": fourth, "value_fn": half_square,
             "value_f_fn": half_square, "value_g_fn": fourth, "grad": gradient}  # fmt: skip
    return {n: known[n] for n in inspect.signature(function).parameters if n in known}


@pytest.mark.parametrize("name", METHODS)
def test_a_run_calls_the_function_that_is_named(name: str) -> None:
    run = METHODS[name].run({"f": half_square, "g": fourth}, START, STEPS, h=STEP)
    np.testing.assert_allclose(run.x, by_hand(name), rtol=1e-13)


@pytest.mark.parametrize("name", METHODS)
def test_numpy_and_jax_take_each_of_them(name: str) -> None:
    module = load(METHODS[name], "numpy")
    found = module.run(x0=START, steps=STEPS, h=STEP, **arguments(module.run))
    np.testing.assert_allclose(found, by_hand(name), rtol=1e-13)
    module = load(METHODS[name], "jax")
    c, state = module.coefficients(h=STEP), module.init(jnp.asarray(START))
    for _ in range(STEPS):
        state = module.step(state, c=c, **arguments(module.step))
    np.testing.assert_allclose(module.output(state, c=c), by_hand(name)[-1], rtol=1e-13)


@pytest.mark.parametrize("name", METHODS)
def test_optax_takes_each_of_them(name: str) -> None:
    made = METHODS[name].to_optax(h=STEP)
    point = jnp.asarray(START)
    state = made.init(point)
    given = arguments(made.update)
    if name == "one value, another's gradient":
        given = {"value": half_square(point)}  # at the parameters, a number, as in optax
    for _ in range(STEPS):
        given = {n: half_square(point) if n == "value" else e for n, e in given.items()}
        moved, state = made.update(gradient(point), state, point, **given)
        point = jnp.asarray(optax.apply_updates(point, moved))
    np.testing.assert_allclose(point, by_hand(name)[-1], rtol=1e-12)


@pytest.mark.parametrize("name", METHODS)
def test_torch_takes_each_of_them(name: str) -> None:
    torch = pytest.importorskip("torch")
    point = torch.nn.Parameter(torch.tensor(START))
    known = {"value_f": lambda p: half_square(p[0]), "value_g": lambda p: fourth(p[0])}
    given = {"value": known["value_f"]} if name == "one value, another's gradient" else known
    made = METHODS[name].to_torch([point], lr=STEP, **given)
    for _ in range(STEPS):
        made.zero_grad()
        fourth(point).backward()
        made.step()
    np.testing.assert_allclose(point.detach().numpy(), by_hand(name)[-1], rtol=1e-12)


def test_functions_of_several_arguments_are_told_apart_in_guards() -> None:
    """Descent on F where F >= G, else on G: values stand in the guard alone."""
    descend = {p: od.Let({x: x - h * p.grad(x, y, wrt="x")}) for p in (F, G)}
    guarded = od.Select(F.value(x, y) >= G.value(x, y), [descend[F]], [descend[G]])
    blocks = [od.Block("x", role="memory"), od.Block("y", role="memory")]
    system = od.System(
        {}, blocks=blocks, output=x, init={x: od.dynamics.start, y: od.dynamics.start}
    )
    made = od.Algorithm(system, od.Scheme((guarded,), "the larger one"), step=h)
    functions = {"F": lambda x, y: (x**2).sum() / 2, "G": lambda x, y: ((x - y) ** 2).sum()}
    run = made.run(functions, {x: np.array([2.0]), y: np.array([3.0])}, 6, h=0.1)
    points = [2.0]
    for _ in range(6):
        p = points[-1]
        points.append(p - 0.1 * (p if p**2 / 2 >= (p - 3) ** 2 else 2 * (p - 3)))
    np.testing.assert_allclose(run.x[:, 0], points, rtol=1e-13)
    assert len(set(np.sign(np.diff(points)))) == 2  # both ways were taken
