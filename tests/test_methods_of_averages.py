"""Methods that read what they assign: written in any order, each vector is computed once, under its own name."""

from __future__ import annotations

import ast
import collections
import random
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp
from methods_by_hand import NONE, START, Methods, slope, value

import odescent as od
from odescent import Algorithm
from odescent.discretize.emit import called as renamed
from odescent.discretize.emit import load
from odescent.dynamics import start

H = sp.Symbol("h", positive=True)
x, m, v, w, s, z, y = od.blocks("x m v w s z y")
k, q, r = od.blocks("k q r", kind="scalar")
beta1, beta2, eps, rho, a, c = od.parameters("beta1 beta2 eps rho a c")
f = od.Objective("f")
g = f.grad(x)
METHODS = Methods()
SQUARE = lambda e: od.elementwise(lambda n: n * n, e)
RATIO = lambda one, two: od.elementwise(lambda e, n: e / (sp.sqrt(n) + eps), one, two)
ADAM = {"beta1": 0.9, "beta2": 0.99, "eps": 1e-3}
MEAN, SECOND = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * SQUARE(g)


def _adam(of: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    gradient = slope(of.x)
    of.m, of.v = 0.9 * of.m + 0.1 * gradient, 0.99 * of.v + 0.01 * gradient**2
    return gradient, of.m, of.v


def _adamod(of: Any, _: int) -> None:
    _, mean, second = _adam(of)
    size = 0.05 / (np.sqrt(second) + 1e-3)
    of.w = 0.95 * of.w + 0.05 * size
    of.x = of.x - np.minimum(size, of.w) * mean


@METHODS.method(_adamod, ("m", "v", "w"), h=0.05, rho=0.95, **ADAM)
def adamod() -> Algorithm:
    """Ding and others, arXiv:1910.12249, without corrections of the bias: steps no longer than their mean."""
    size = od.elementwise(lambda n: H / (sp.sqrt(n) + eps), SECOND)
    smooth = rho * w + (1 - rho) * size
    least = od.elementwise(lambda one, two, e: sp.Min(one, two) * e, size, smooth, MEAN)
    return od.method(
        {x: x - least, m: MEAN, v: SECOND, w: smooth},
        output=x, init={m: 0, v: 0, w: 0}, name="adamod",
    )  # fmt: skip


def _grams(of: Any, _: int) -> None:
    gradient, mean, second = _adam(of)
    of.x = of.x - 0.01 * np.sign(gradient) * np.abs(mean / (np.sqrt(second) + 1e-3))


@METHODS.method(_grams, ("m", "v"), h=0.01, **ADAM)
def grams() -> Algorithm:
    """Cao, Li and Song, arXiv:2412.17107: the size of Adam's step and the signs of the gradient."""
    turned = od.elementwise(lambda e, n: sp.sign(n) * sp.Abs(e), RATIO(MEAN, SECOND), g)
    return od.method(
        {x: x - H * turned, m: MEAN, v: SECOND}, output=x, init={m: 0, v: 0}, name="grams"
    )


def _madgrad(of: Any, number: int) -> None:
    weight, gradient = 0.1 * np.sqrt(number + 1), slope(of.x)
    of.s = getattr(of, "sum", NONE) + weight * gradient
    of.v = of.v + weight * gradient**2
    of.sum = of.s
    of.x = 0.9 * of.x + 0.1 * (START - of.s / (np.cbrt(of.v) + 1e-3))


@METHODS.method(_madgrad, ("v",), h=0.1, eps=1e-3, c=0.1)
def madgrad() -> Algorithm:
    """Defazio and Jelassi, arXiv:2101.11075: dual averaging with cube roots."""
    weight = H * sp.sqrt(k + 1)
    total, second = s + weight * g, v + weight * SQUARE(g)
    root = od.elementwise(lambda e, n: e / (n ** sp.Rational(1, 3) + eps), total, second)
    moved = {x: (1 - c) * x + c * (z - root), s: total, v: second, z: z, k: k + 1}
    return od.method(moved, output=x, init={s: 0, v: 0, z: start, k: 0}, name="madgrad")


def _prodigy(of: Any, _: int) -> None:
    size, gradient = getattr(of, "size", 1e-2), slope(of.x)
    of.m = 0.9 * of.m + 0.1 * size * gradient
    of.v = 0.99 * of.v + 0.01 * size**2 * gradient**2
    root, weight = np.sqrt(0.99), (1 - np.sqrt(0.99)) * size**2 / 2
    of.fall = root * getattr(of, "fall", 0.0) + weight * (gradient @ (START - of.x))
    of.w = root * of.w + weight * gradient
    of.x = of.x - 0.5 * size * of.m / (np.sqrt(of.v) + 1e-3 * size)
    of.size = max(size, of.fall / np.abs(of.w).sum())


@METHODS.method(_prodigy, ("m", "v", "w"), h=0.5, **ADAM)
def prodigy() -> Algorithm:
    """Mishchenko and Defazio, arXiv:2306.06101: the distance to the minimizer is estimated from below."""
    mean = beta1 * m + (1 - beta1) * q * g
    second = beta2 * v + (1 - beta2) * q**2 * SQUARE(g)
    weight = (1 - sp.sqrt(beta2)) * H * q**2
    fall = sp.sqrt(beta2) * r + weight * od.inner(g, z - x)
    total = sp.sqrt(beta2) * w + weight * g
    norm = od.inner(od.elementwise(sp.sign, total), total)
    size = sp.Max(q, sp.Piecewise((fall / norm, norm > 0), (0, True)))
    step = od.elementwise(lambda e, n: e / (sp.sqrt(n) + q * eps), mean, second)
    return od.method(
        {x: x - H * q * step, m: mean, v: second, r: fall, w: total, z: z, q: size}, output=x,
        init={m: 0, v: 0, w: 0, r: 0, z: start, q: sp.Rational(1, 100)}, name="prodigy",
    )  # fmt: skip


def _momo(of: Any, _: int) -> None:
    of.m = 0.9 * of.m + slope(of.x)
    of.x = of.x - min(0.5, value(of.x) / (of.m @ of.m)) * of.m


@METHODS.method(_momo, ("m",), h=0.5, beta1=0.9)
def polyak_momentum() -> Algorithm:
    """Wang, Johansson and Zhang, arXiv:2305.17332: Polyak's step along the momentum."""
    mean = beta1 * m + g
    size = sp.Min(H, f.value(x) / od.inner(mean, mean))
    return od.method({x: x - size * mean, m: mean}, output=x, init={m: 0}, name="polyak_momentum")


def _lars(of: Any, _: int) -> None:
    gradient = slope(of.x)
    norms = np.linalg.norm(of.x), np.linalg.norm(gradient)
    trust = 0.1 * norms[0] / (norms[1] + 0.01 * norms[0])
    of.m = 0.9 * of.m + trust * (gradient + 0.01 * of.x)
    of.x = of.x - 0.1 * of.m


@METHODS.method(_lars, ("m",), h=0.1, beta1=0.9, a=0.01, rho=0.1)
def lars() -> Algorithm:
    """You, Gitman and Ginsburg, arXiv:1708.03888: a step of the size of the weights."""
    size, steep = (sp.sqrt(od.inner(e, e)) for e in (x, g))
    trust = sp.Piecewise((rho * size / (steep + a * size), sp.And(size > 0, steep > 0)), (1, True))
    mean = beta1 * m + trust * (g + a * x)
    return od.method({x: x - H * mean, m: mean}, output=x, init={m: 0}, name="lars")


def _restarted(of: Any, _: int) -> None:
    ahead, weight = getattr(of, "ahead", START), getattr(of, "weight", 1.0)
    gradient = slope(ahead)
    new, after = ahead - 0.05 * gradient, (1 + np.sqrt(1 + 4 * weight**2)) / 2
    climbs = gradient @ (new - of.x) > 0
    of.ahead = new + (0 if climbs else (weight - 1) / after) * (new - of.x)
    of.weight, of.x = 1.0 if climbs else after, new


@METHODS.method(_restarted, h=0.05)
def restarted() -> Algorithm:
    """O'Donoghue and Candes, arXiv:1204.3982: momentum is dropped where it climbs."""
    gradient = f.grad(y)
    new, after = y - H * gradient, (1 + sp.sqrt(1 + 4 * k**2)) / 2
    climbs = od.inner(gradient, new - x) > 0
    momentum = sp.Piecewise((0, climbs), ((k - 1) / after, True))
    weight = sp.Piecewise((1, climbs), (after, True))
    moved = {x: new, y: new + momentum * (new - x), k: weight}
    return od.method(moved, output=x, init={k: 1, y: start}, name="restarted")


def twice(source: str) -> list[str]:
    """What a step of NumPy computes twice, but for numbers."""
    (step,) = (n for n in ast.parse(source).body if getattr(n, "name", "") == "step")
    computed = [
        n.value
        for n in ast.walk(step)
        if isinstance(n, ast.Assign) and isinstance(n.value, (ast.BinOp, ast.Call))
    ]
    names = {s.name for s in (x, m, v, w, s, z, y)}
    arrays = [
        ast.unparse(e)
        for e in computed
        if {n.id.partition("_")[0] for n in ast.walk(e) if isinstance(n, ast.Name)} & names
    ]
    return [text for text, times in collections.Counter(arrays).items() if times > 1]


@pytest.mark.parametrize("name", METHODS)
def test_a_method_of_averages_is_the_textbook_s(name: str) -> None:
    METHODS.agrees(name, 1e-11)


@pytest.mark.parametrize("name", METHODS)
def test_each_vector_is_computed_once(name: str) -> None:
    METHODS.emitted(name, "numpy", "jax", "optax", "torch", "latex", "markdown")
    assert twice(METHODS[name].made().source("numpy")) == []


def test_what_is_assigned_is_read_by_its_name() -> None:
    step = adamod().source("numpy").partition("def step")[2].partition("return")[0]
    assert "m_1 * np.minimum(w_2, w_1)" in step or "m_1 * np.minimum(w_1, w_2)" in step
    momentum = od.method({x: x - H * MEAN, m: MEAN}, output=x, name="momentum")
    assert "x_1 = x - c.h * m_1" in momentum.source("numpy")


@pytest.mark.parametrize("start_of", [0, 1])
def test_a_multiple_is_read_by_name_where_nothing_divides(start_of: int) -> None:
    """x moves by g + m and m by q (g + m), so x by m's move over q, which may be zero."""
    both = g + m
    made = od.method({x: x - H * both, m: q * both, q: q}, output=x, init={m: start, q: start_of})
    at, momentum = START, START
    for _ in range(3):
        move = slope(at) + momentum
        at, momentum = at - 0.1 * move, start_of * move
    found = made.run(od.Objective(value), START, 3, h=0.1).x[-1]
    np.testing.assert_allclose(found, at, rtol=1e-12)
    scaled = od.method({x: x - H * q * both, m: both, q: q}, output=x, name="scaled")
    assert "x_1 = x - c_m * m_1" in scaled.source("numpy")


def _random_method(seed: int, names: list[str]) -> tuple[Algorithm, dict[str, float]]:
    """A method of three vectors and a number, in a random order, whose values are parts of one another."""
    of = random.Random(seed)
    one, two, three = blocks = [od.blocks(n) for n in names[:3]]
    number = od.blocks(names[3], kind="scalar")
    share, size = od.parameters(f"{names[4]} {names[5]}")
    gradient = f.grad(one)

    def factor() -> Any:
        return of.choice(
            [number ** of.randint(2, 5), number - number * share, share, sp.sqrt(1 + number**2), size * number]
        )  # fmt: skip

    def vector(depth: int) -> Any:
        made = of.choice(blocks) + factor() * of.choice([gradient, two, three])
        if depth:
            shape = of.choice([lambda n: n / (1 + n**2), sp.tanh])
            made = made + factor() * od.elementwise(shape, vector(depth - 1))
        return made

    parts = [vector(of.randint(0, 2)) for _ in range(2)]
    moved = one - size * od.elementwise(lambda n: n / (1 + n**2), parts[0])
    moved = moved - size * share * od.elementwise(sp.tanh, parts[1])
    updates = [
        (one, moved),
        (two, parts[0]),
        (three, of.choice([parts[1], parts[0] + factor() * gradient])),
        (number, of.choice([number / 2 + sp.Rational(1, 3), sp.tanh(od.inner(parts[0], gradient))])),
    ]  # fmt: skip
    of.shuffle(updates)
    made = od.method(dict(updates), output=one, init={number: sp.Rational(1, 2)}, name="made")
    return made, {names[4]: 0.3, names[5]: 0.1}


PLAIN = ["xx", "mm", "vv", "qq", "bb", "hh"]
NAMES = [
    "w", "v", "z", "m", "g", "c", "c_g", "c_g_w", "c_w", "w_1", "w_2", "x_1", "gap", "gap_1", "s",
    "s_2", "np", "jnp", "state", "step", "init", "grad", "beta", "c_f", "t1", "k", "a", "b", "e",
    "w_sum", "g_dot_gap", "denominator", "q_1", "h", "d", "y", "u", "p", "c_gap", "i", "leaf",
    "out", "value", "x0", "output", "math", "solution", "c_x", "w_w", "eps",
]  # fmt: skip


@pytest.mark.parametrize("seed", range(12))
def test_names_do_not_matter(seed: int) -> None:
    """Blocks and parameters called as what emitted modules make themselves."""
    names = random.Random(seed).sample(NAMES, 6)
    names = names if "h" not in names[:4] else [*PLAIN[:4], *names[4:]]
    runs = []
    for called in (PLAIN, names):
        made, given = _random_method(seed, called)
        given = {n: e for n, e in given.items() if n in map(str, made.parameters)}
        runs.append(made.run(od.Objective(value), START, 3, **given).x[-1])
        module = load(made, "numpy")
        by_loops = {renamed(module).get(n, n): e for n, e in given.items()}
        runs.append(module.run(slope, START, 3, **by_loops)[-1])
    for found in runs[1:]:
        np.testing.assert_allclose(found, runs[0], rtol=1e-10)


@pytest.mark.parametrize("letter", ["b", "d"])
def test_a_parameter_called_as_an_argument_of_a_long_line(letter: str) -> None:
    """Parameters called as the short arguments of long lines were taken for vectors."""
    size, short = od.parameters(letter), 0
    for length in range(4, 10):
        long, other = od.blocks(f"s{'l' * length} other")
        first = od.elementwise(lambda n: n / (1 + n**2), long)
        moved = {
            x: x - size * first - size * od.elementwise(sp.tanh, other),
            long: (long + g) / 2,
            other: other / 3 + g,
        }
        made = od.method(moved, output=x, name="made")
        short += "lambda a, b, d, e:" in made.source("jax")
        at, one, two = START, START, START
        for _ in range(3):
            gradient = slope(at)
            at = at - 0.1 * (one / (1 + one**2) + np.tanh(two))
            one, two = (one + gradient) / 2, two / 3 + gradient
        found = made.run(od.Objective(value), START, 3, **{letter: 0.1})
        np.testing.assert_allclose(found.x[-1], at, rtol=1e-12)
    assert short  # the arguments of some lines are letters


def test_a_number_called_as_an_argument_of_pytorch() -> None:
    """The number was taken for a tensor where the line of a solve was long."""
    torch = pytest.importorskip("torch")
    number = od.blocks("a", kind="scalar")
    one, two = od.blocks("a_rather_long_name_of_a_momentum another_long_name_of_a_block")
    operator = f.hessian(x) + number * od.identity + rho * od.outer(one, one)
    operator = operator + number * rho * (od.outer(two, one) + od.outer(one, two))
    step = od.linear_solve(operator, g, method="gmres")
    made = od.method(
        {x: x - H * step, one: one, two: two, number: 1 + number}, output=x, init={number: 8}
    )
    assert "lambda b, d, e, f:" in made.source("torch")
    tensor = torch.tensor(START, requires_grad=True)
    found = made.run(od.Objective(value), START, 3, h=0.2, rho=0.1).x[-1]
    loss = lambda tensors: value(tensors[0])
    optimizer = made.to_torch([tensor], h=0.2, rho=0.1, loss=loss)
    for _ in range(3):
        optimizer.zero_grad()
        value(tensor).backward()
        optimizer.step()
    np.testing.assert_allclose(tensor.detach().numpy(), found, rtol=1e-9)
    assert jnp.isfinite(found).all()


def test_a_parameter_called_as_the_function_that_pytorch_asks_for() -> None:
    torch = pytest.importorskip("torch")
    share = od.parameters("value")
    mean = share * m + g
    size = sp.Min(sp.Rational(1, 2), f.value(x) / od.inner(mean, mean))
    made = od.method({x: x - size * mean, m: mean}, output=x, init={m: 0}, name="polyak_momentum")
    tensor = torch.tensor(START, requires_grad=True)
    optimizer = made.to_torch([tensor], value=0.9, loss=lambda tensors: value(tensors[0]))
    for _ in range(3):
        optimizer.zero_grad()
        value(tensor).backward()
        optimizer.step()
    found = made.run(od.Objective(value), START, 3, value=0.9).x[-1]
    np.testing.assert_allclose(tensor.detach().numpy(), found, rtol=1e-12)


def test_the_marks_of_two_names_of_one_text() -> None:
    """A coefficient of g for a vector without a name met that for the block w, and no code came out."""
    factor = lambda e: od.elementwise(lambda n: n / (1 + n**2), e)
    parts = [z + q**5 * g, v + (q - q * a) * g]
    moved = {
        x: x - H * factor(parts[0]) - H * factor(parts[1]),
        v: v + q**3 * g,
        z: z,
        w: w + q**2 * g,
        q: q,
    }
    made = od.method(moved, output=x, init={q: sp.Rational(1, 2)}, name="made")
    found = made.run(od.Objective(value), START, 3, h=0.1, a=0.3).x[-1]
    by_loops = load(made, "numpy").run(slope, START, 3, h=0.1, a=0.3)[-1]
    np.testing.assert_allclose(by_loops, found, rtol=1e-12)
