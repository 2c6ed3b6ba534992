"""Random schemes with choices and loops inside of one another: NumPy, JAX and PyTorch take the same steps.

And JAX differentiates what it does not refuse as differences do.
"""

from __future__ import annotations

import random
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import odescent as od
from odescent.discretize.emit import load
from odescent.discretize.step.iteration import taken_as_consistent
from odescent.dynamics import start

x, v = od.blocks("x v")
s, q = (sp.Symbol(n, real=True) for n in "sq")
f = od.Objective("f")
h = od.parameters("h")
A = np.array([[2.0, 0.3, 0.0], [0.3, 1.0, -0.2], [0.0, -0.2, 3.0]])
X0 = np.array([0.9, -0.6, 1.3])
STEPS = 5


def value(z, xp=np):
    return z @ xp.asarray(A) @ z / 2 + xp.cos(z).sum() / 3


def grad(z):
    return A @ z - np.sin(z) / 3


def number(draw: random.Random) -> sp.Rational:
    return sp.Rational(draw.randrange(3, 40), 20)


def condition(draw: random.Random) -> sp.Basic:
    g = f.grad(x)
    one = draw.choice(
        [s, q, f.value(x), od.inner(g, g), od.inner(v, v), f.value(x + v / 3), od.inner(x, v)]
    )
    other = draw.choice([number(draw), f.value(od.at(x)), s * number(draw), od.inner(x, x) / 2])
    made = draw.choice([one < other, one >= other])
    return draw.choice([made, made, sp.And(made, s < 50), sp.Or(made, q > 30)])


def substep(draw: random.Random, depth: int) -> object:
    kinds = ["kick", "drift", "let", "let", "mix"]
    kinds += ["choose", "choose", "repeat"] if depth else []
    kind = draw.choice(kinds)
    if kind in ("kick", "drift"):
        return od.Flow(
            kind, "explicit", fraction=draw.choice([1, sp.Rational(1, 2), sp.Rational(1, 3)])
        )
    if kind == "let":
        assigned = {s: draw.choice([s / 2, 1 + s / 3, q / 4 + 1, sp.Integer(1)])}
        assigned |= {q: draw.choice([s, q / 2 + 1])} if draw.random() < 0.4 else {}
        return od.Let(assigned)
    if kind == "mix":
        return draw.choice(
            [
                od.Let({x: v, v: x}),
                od.Let({x: od.at(x)}),
                od.Let({v: x / 2 - v / 3}),
                od.Let({x: x * s / (1 + s)}),
            ]
        )
    inner = lambda: [substep(draw, depth - 1) for _ in range(draw.randrange(1, 4))]
    if kind == "choose":
        return od.Select(condition(draw), inner(), inner() if draw.random() < 0.7 else [])
    body = [*inner(), od.Let({q: q / 2 + 2})]
    if draw.random() < 0.4:
        return od.Repeat(body, max_steps=draw.randrange(2, 4))
    until = sp.Or(condition(draw), q > sp.Rational(37, 10))  # which comes true by itself
    return od.Repeat(body, until, max_steps=40)


def method(seed: int) -> od.Algorithm:
    draw = random.Random(seed)
    own = [od.Block(n, "scalar", "coefficient", sp.S.One) for n in "sq"]
    vectors = [od.Block("x", init=start), od.Block("v", init=draw.choice([start, start / 2]))]
    flow = od.System(
        {"kick": {v: -s * f.grad(x)}, "drift": {x: v - x / 7}}, blocks=[*vectors, *own], output=x
    )
    steps = [od.Flow("kick", "explicit"), *(substep(draw, 2) for _ in range(draw.randrange(2, 5)))]
    with taken_as_consistent():
        return od.Algorithm(flow, od.Scheme(steps), step=h, name="guarded")


def made(seed: int) -> od.Algorithm:
    try:
        return method(seed)
    except (od.OdescentError, od.NotCarried) as error:  # such as a loop too long to be written out
        pytest.skip(str(error))


def by_numpy(alg: od.Algorithm) -> np.ndarray:
    run = load(alg, "numpy").run
    given = {"grad": grad, "value": value}
    asked = run.__code__.co_varnames[: run.__code__.co_argcount]
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            found = run(x0=X0, steps=STEPS, h=0.1, **{n: g for n, g in given.items() if n in asked})
    except ArithmeticError as error:
        pytest.skip(str(error))
    if not np.all(np.abs(found) < 1e6) or len(found) <= STEPS:
        pytest.skip("it diverges")
    return found


@pytest.mark.parametrize("seed", [*range(40), 62, 214])
def test_pytorch_takes_the_steps_of_numpy(seed):
    torch = pytest.importorskip("torch")
    alg = made(seed)
    expected = by_numpy(alg)

    def loss(tensors):
        z = torch.cat([t.reshape(-1) for t in tensors])
        return z @ torch.tensor(A) @ z / 2 + torch.cos(z).sum() / 3

    params = [
        torch.tensor(part, requires_grad=True)
        for part in (X0[:1].copy(), X0[1:].copy().reshape(2, 1))
    ]
    try:
        source = alg.source("torch")
    except od.NotCarried as error:
        pytest.skip(str(error))
    given = {"value": loss} if "value: Callable" in source else {}
    opt = alg.to_torch(
        params, **({"h": 0.1} if "c.h" in source else {"lr": 0.1}), foreach=bool(seed % 2), **given
    )

    def closure():
        opt.zero_grad()
        found = loss(params)
        found.backward()
        return found.detach()

    for k in range(STEPS):
        opt.step(closure)
        with opt.eval_params():
            at = torch.cat([p.detach().reshape(-1) for p in params]).numpy()
        np.testing.assert_allclose(at, expected[k + 1], rtol=1e-9, atol=1e-12, err_msg=str(alg))


@pytest.mark.parametrize("seed", range(40))
def test_jax_takes_the_steps_of_numpy_and_has_their_derivative(seed):
    alg = made(seed)
    expected = by_numpy(alg)
    fun = lambda z: value(z, jnp)
    with jax.enable_x64(True):
        run = jax.jit(lambda z: alg.run(fun, z, STEPS, h=0.1).x)
        np.testing.assert_allclose(run(jnp.asarray(X0)), expected, rtol=1e-9, atol=1e-12)
        along = jnp.asarray([0.3, -1.0, 0.4])
        weights = jnp.asarray(np.linspace(1, 2, expected.size).reshape(expected.shape))
        total = lambda z: jnp.vdot(weights, run(z))
        try:
            slope = jax.grad(total)(jnp.asarray(X0))
        except ValueError as error:
            assert "is not differentiated through its iterations" in str(error)
            return
        e = 1e-6
        difference = (total(X0 + e * along) - total(X0 - e * along)) / (2 * e)
        again = (total(X0 + e / 8 * along) - total(X0 - e / 8 * along)) / (e / 4)
        if abs(float(difference - again)) < 1e-4 * (
            1 + abs(float(again))
        ):  # else a decision changes there
            assert float(slope @ along) == pytest.approx(float(again), rel=1e-3, abs=1e-5)
