"""Scalars of emitted steps that leave the real numbers: a run ends there, no root becomes a complex number.

In emitted NumPy ``k ** 1.5`` of a negative number was complex, whose real part a run went on with.
"""

from __future__ import annotations

import importlib.util

import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp
from methods_by_hand import START

import odescent as od
from odescent import Algorithm
from odescent.discretize.emit import load

H, L = sp.symbols("h L", positive=True)
C = sp.Symbol("c", real=True)
x = od.blocks("x")
k = od.blocks("k", kind="scalar")
f = od.Objective("f")
g = f.grad(x)
third = sp.Rational(1, 3)
FACTORS = {
    "root": sp.sqrt(k),
    "inverse root": 1 / sp.sqrt(k - 2),
    "power": k ** sp.Rational(3, 2),
    "third": k**third,
    "another third": (k - 2) ** (-third),
    "power of a power": 2 ** (k**third),
    "logarithm": sp.log(k),
    "measured": sp.sqrt(1 - 3 * od.inner(x, x) * (3 - k)),
    "measured power": (1 - 3 * od.inner(x, x) * (3 - k)) ** third,
    "of a parameter": (k * L) ** sp.Rational(2, 3),
}
torch_only = pytest.mark.skipif(not importlib.util.find_spec("torch"), reason="without torch")


def made(factor: sp.Expr) -> Algorithm:
    return od.method({x: x - H * factor * g, k: k - 1}, output=x, init={k: 3}, name="leaving")


@pytest.mark.parametrize("name", FACTORS)
def test_a_run_of_numpy_ends_where_that_of_jax_does(name: str) -> None:
    method = made(FACTORS[name])
    given = {"h": 0.1} | ({"L": 2.0} if L in method.parameters else {})
    wanted = np.asarray(method.run(lambda z: (z**2).sum() / 2, START, 8, **given).x)
    with pytest.warns(RuntimeWarning, match=r"step \d is not finite"):
        found = load(method, "numpy").run(lambda z: z, START, 8, **given)
    finite = np.isfinite(wanted).all(axis=1)
    wanted = wanted[: len(wanted) if finite.all() else finite.argmin()]
    assert found.dtype == np.float64 and 1 <= len(found) == len(wanted) < 9
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


@torch_only
@pytest.mark.parametrize("name", FACTORS)
def test_a_step_of_pytorch_says_what_is_wrong_and_moves_nothing(name: str) -> None:
    import torch

    method = made(FACTORS[name])
    given = {"h": 0.1} | ({"L": 2.0} if L in method.parameters else {})
    point = torch.tensor(START, requires_grad=True)
    optimizer = method.to_torch([point], **given)
    message = "takes the root of a negative|takes the logarithm|divides by zero"
    with pytest.raises(ArithmeticError, match=message):
        for _ in range(9):
            before = point.detach().clone()
            point.grad = before.clone()
            optimizer.step()
    assert torch.equal(point.detach(), before)


@torch_only
@pytest.mark.parametrize("first", ["here", "elsewhere"])
def test_a_step_of_several_gradients_has_the_same_sentence(first: str) -> None:
    """It raised ZeroDivisionError."""
    import torch

    one = g if first == "here" else f.grad(2 * x)
    two = f.grad(x - H * one)
    method = od.method({x: x - H * od.inner(one, one) / od.inner(two, two) * two}, output=x)
    point = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    optimizer = method.to_torch([point], h=0.1)

    def closure() -> float:
        optimizer.zero_grad()
        value = (point**2).sum() / 2
        value.backward()
        return value.item()

    with pytest.raises(ArithmeticError, match="the step divides by zero, as at a minimum"):
        optimizer.step(closure)
    assert not point.detach().any()


@pytest.mark.parametrize(
    "factor",
    [sp.sqrt(C), C ** sp.Rational(3, 2), sp.log(C), (C - 2) ** third, 1 / (1 + C)],
    ids=str,
)
@pytest.mark.parametrize("target", ["numpy", "jax", "run"])
def test_a_parameter_at_which_a_coefficient_is_not_real_is_named(
    factor: sp.Expr, target: str
) -> None:
    """By the user's name for it, where the module has another one. Emitted NumPy said "math domain error"."""
    method = od.method({x: x - H * factor * g}, output=x, name="of_a_parameter")
    name = "c" if target == "run" else "c_"
    with pytest.raises(
        ValueError, match=rf"coefficients .* not finite at h = 0.1, {name} = -1.0\.$"
    ):
        if target == "run":
            method.run(lambda z: (z**2).sum() / 2, START, 2, h=0.1, c=-1.0)
        else:
            slope = (lambda z: z) if target == "numpy" else jnp.asarray
            load(method, target).run(slope, START, 2, h=0.1, c_=-1.0)
