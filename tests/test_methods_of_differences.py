"""Methods of users that compare two steps, secant updates and corrected averages, against loops by hand."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import sympy as sp
from methods_by_hand import START, Methods, slope, value

import odescent as od
from odescent import Algorithm
from odescent.dynamics import start

METHODS = Methods()
REFUSED = {  # matrices
    "broyden": ("optax", "torch"), "symmetric_rank_one": ("optax", "torch")
}  # fmt: skip
TARGETS = ("numpy", "jax", "optax", "torch", "latex", "markdown")
x, y, p, q, m, v, w = od.blocks("x y p q m v w")
B, J = od.blocks("B", kind="symmetric"), od.blocks("J", kind="matrix")
h, a, b, c, eps = od.parameters("h a b c eps")
f = od.Objective("f")
g = f.grad(x)
move, change = x - y, g - p
BEFORE = start * sp.Rational(9, 10)
KEPT = {y: BEFORE, p: f.grad(BEFORE)}
RATES = {"a": 0.9, "b": 0.99}


def _last(z: Any, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The gradient, the last move, and the change of the gradient."""
    if k == 0:
        z.y, z.p, z.B = 0.9 * START, slope(0.9 * START), np.eye(2)
    now = slope(z.x)
    found = now, z.x - z.y, now - z.p
    z.y, z.p = z.x, now
    return found


def _symmetric_rank_one(z: Any, k: int) -> None:
    now, s, d = _last(z, k)
    r = s - z.B @ d
    z.B = z.B + np.outer(r, r) / (r @ d)
    z.x = z.x - 0.3 * z.B @ now


@METHODS.method(_symmetric_rank_one, h=0.3)
def symmetric_rank_one() -> Algorithm:
    rest = move - od.apply(B, change)
    made = B + od.outer(rest, rest) / od.inner(rest, change)
    updates = {x: x - h * od.apply(made, g), y: x, p: g, B: made}
    return od.method(updates, output=x, init={**KEPT, B: od.identity}, name="symmetric_rank_one")


def _broyden(z: Any, k: int) -> None:
    now, s, d = _last(z, k)
    z.B = z.B + np.outer(d - z.B @ s, s) / (s @ s)
    z.x = z.x - 0.3 * np.linalg.solve(z.B, now)


@METHODS.method(_broyden, h=0.3)
def broyden() -> Algorithm:
    """Its matrix has two terms with the same large factor, which are no difference of vectors."""
    made = J + od.outer(change - od.apply(J, move), move) / od.inner(move, move)
    updates = {x: x - h * od.linear_solve(made, g), y: x, p: g, J: made}
    return od.method(updates, output=x, init={**KEPT, J: od.identity}, name="broyden")


def _memoryless(z: Any, k: int) -> None:
    now, s, d = _last(z, k)
    rho, scale = 1 / (s @ d), s @ d / (d @ d)
    first = rho * (s @ now)
    r = scale * (now - first * d)
    z.x = z.x - 0.3 * (r + (first - rho * (d @ r)) * s)


@METHODS.method(_memoryless, h=0.3)
def memoryless() -> Algorithm:
    """BFGS that forgets all but the last move (Shanno, doi:10.1287/moor.3.3.244)."""
    rho = 1 / od.inner(move, change)
    scale = od.inner(move, change) / od.inner(change, change)
    first = rho * od.inner(move, g)
    r = scale * (g - first * change)
    direction = r + (first - rho * od.inner(change, r)) * move
    return od.method({x: x - h * direction, y: x, p: g}, output=x, init=KEPT, name="memoryless")


def _polak_ribiere(z: Any, k: int) -> None:
    if k == 0:
        z.p, z.w = slope(z.x), -slope(z.x)
    now = slope(z.x)
    z.w = max(0, now @ (now - z.p) / (z.p @ z.p)) * z.w - now
    z.x, z.p = z.x + 0.05 * z.w, now


@METHODS.method(_polak_ribiere, h=0.05)
def polak_ribiere() -> Algorithm:
    weight = sp.Max(0, od.inner(g, g - p) / od.inner(p, p))
    init = {w: -f.grad(start), p: f.grad(start)}
    along = weight * w - g
    return od.method({x: x + h * along, w: along, p: g}, output=x, init=init, name="polak_ribiere")


def _mars(z: Any, k: int) -> None:
    now = slope(z.x)
    seen = now + 0.025 * 0.9 / 0.1 * (now - (now if k == 0 else z.p))
    seen = seen / max(1, np.linalg.norm(seen))
    z.m, z.v, z.p = 0.9 * z.m + 0.1 * seen, 0.99 * z.v + 0.01 * seen**2, now
    z.x = z.x - 0.05 * z.m / (np.sqrt(z.v) + 1e-8)


@METHODS.method(_mars, more=("m", "v"), h=0.05, c=0.025, eps=1e-8, **RATES)
def mars() -> Algorithm:
    """Corrected and clipped averages (arXiv:2411.10438); written out in the state a step has 50,000 terms."""
    seen = g + c * a / (1 - a) * (g - p)
    seen = seen * (1 / sp.Max(1, sp.sqrt(od.inner(seen, seen))))
    average, spread = a * m + (1 - a) * seen, b * v + (1 - b) * od.hadamard(seen, seen)
    step = od.elementwise(lambda e, n: e / (sp.sqrt(n) + eps), average, spread)
    init = {m: 0 * start, v: 0 * start, p: f.grad(start)}
    return od.method(
        {x: x - h * step, m: average, v: spread, p: g}, output=x, init=init, name="mars"
    )


@pytest.mark.parametrize("name", METHODS)
def test_a_method_of_two_steps_is_the_textbook_s(name: str) -> None:
    METHODS.agrees(name, rtol=1e-9)


@pytest.mark.parametrize("name", METHODS)
def test_it_is_emitted(name: str) -> None:
    METHODS.emitted(name, *(t for t in TARGETS if t not in REFUSED.get(name, ())))


@pytest.mark.parametrize("name", ["memoryless", "polak_ribiere", "mars"])
def test_its_transformation_of_optax_goes_as_its_run(name: str) -> None:
    it = METHODS[name]
    wanted = it.made().run(od.Objective(value), START, 6, **it.given).x[-1]
    gradient = jax.grad(value)
    params, transformation = jnp.asarray(START), it.made().to_optax(**it.given)
    state = transformation.init(params)
    asked = {"grad_fn": gradient} if name == "memoryless" else {}
    for _ in range(6):
        updates, state = transformation.update(gradient(params), state, params, **asked)
        params = optax.apply_updates(params, updates)
    np.testing.assert_allclose(params, wanted, rtol=1e-9)


@pytest.mark.parametrize("name", ["polak_ribiere", "mars"])
def test_its_optimizer_of_pytorch_goes_as_its_run(name: str) -> None:
    torch = pytest.importorskip("torch")
    it = METHODS[name]
    wanted = it.made().run(od.Objective(value), START, 6, **it.given).x[-1]
    tensor = torch.tensor(START, requires_grad=True)
    optimizer = it.made().to_torch([tensor], **it.given)
    for _ in range(6):
        optimizer.zero_grad()
        value(tensor).backward()
        optimizer.step()
    np.testing.assert_allclose(tensor.detach().numpy(), wanted, rtol=1e-9)


def _closures(
    torch: Any, tensors: list[Any], optimizer: Any, fails: int = 0
) -> tuple[Any, list[Any]]:
    """A closure of the value, which raises at one of its evaluations, and the points where it was evaluated."""
    asked: list[Any] = []

    def closure() -> Any:
        asked.append(torch.cat([t.detach().clone() for t in tensors]).numpy())
        if len(asked) == fails:
            raise KeyboardInterrupt
        optimizer.zero_grad()
        loss = value(torch.cat(tensors))
        loss.backward()
        return loss

    return closure, asked


@pytest.mark.parametrize("foreach", [False, True])
def test_its_optimizer_of_pytorch_begins_with_a_gradient_away_from_the_start(foreach: bool) -> None:
    torch = pytest.importorskip("torch")
    it = METHODS["memoryless"]
    wanted = it.made().run(od.Objective(value), START, 6, **it.given).x
    tensors = [torch.tensor(START[i : i + 1], requires_grad=True) for i in range(len(START))]
    optimizer = it.made().to_torch(tensors, foreach=foreach, **it.given)
    closure, asked = _closures(torch, tensors, optimizer)
    for k in range(6):
        optimizer.step(closure)
        assert len(asked) == 3 + k  # at the start, at 9/10 of it, and at the start again
    np.testing.assert_allclose(asked[:3], [START, 0.9 * START, START])
    np.testing.assert_allclose(asked[2:], wanted[:-1], rtol=1e-9)
    np.testing.assert_allclose(torch.cat(tensors).detach().numpy(), wanted[-1], rtol=1e-9)


@pytest.mark.parametrize("point", ["at the parameters", "elsewhere"])
@pytest.mark.parametrize(
    ("p0", "q0"),
    [
        (f.grad(BEFORE), f.grad(start)),
        (f.grad(BEFORE), f.grad(2 * BEFORE)),
        (f.grad(BEFORE), f.grad(BEFORE)),
        (f.grad(start - h * f.grad(start)), start),
        (f.grad((1 - h) * start) - 2 * f.grad(start) + start, 0 * start),
    ],
    ids=["start", "two", "one", "nested", "sum"],
)
def test_optimizers_of_pytorch_begin_with_any_gradients(point: str, p0: Any, q0: Any) -> None:
    torch = pytest.importorskip("torch")
    now = f.grad(x if point == "at the parameters" else x - h * p)
    updates = {x: x - h * (now + p - q), p: now, q: p}
    made = od.method(updates, output=x, init={p: p0, q: q0}, name="after")
    wanted = made.run(od.Objective(value), START, 4, h=0.05).x[-1]
    tensors = [torch.tensor(START[i : i + 1], requires_grad=True) for i in range(len(START))]
    optimizer = made.to_torch(tensors, h=0.05)
    closure, _ = _closures(torch, tensors, optimizer)
    for _ in range(4):
        optimizer.step(closure)
    np.testing.assert_allclose(torch.cat(tensors).detach().numpy(), wanted, rtol=1e-9)


@pytest.mark.parametrize("fails", [2, 3])
def test_an_interruption_of_its_first_step_leaves_parameters_and_memory(fails: int) -> None:
    torch = pytest.importorskip("torch")
    it = METHODS["memoryless"]
    tensors = [torch.tensor(START, requires_grad=True)]
    optimizer = it.made().to_torch(tensors, **it.given)
    closure, _ = _closures(torch, tensors, optimizer, fails)
    with pytest.raises(KeyboardInterrupt):
        optimizer.step(closure)
    np.testing.assert_array_equal(tensors[0].detach().numpy(), START)
    assert not optimizer.state
    closure, _ = _closures(torch, tensors, optimizer)
    for _ in range(4):
        optimizer.step(closure)
    wanted = it.made().run(od.Objective(value), START, 4, **it.given).x[-1]
    np.testing.assert_allclose(tensors[0].detach().numpy(), wanted, rtol=1e-9)


def test_emitted_code_says_which_map_it_is() -> None:
    """It said that the system is x' = 0; what is too long to read is not repeated above the code."""
    method = od.method({x: x - h * g, p: g}, output=x, name="plain")
    text = method.source("numpy")
    assert "Map:\n    x <- x - h*grad f(x)\n    p <- grad f(x)\nMade by" in text.replace(
        "-h*grad f(x) + x", "x - h*grad f(x)"
    )
    assert "x' = 0" not in text and "Scheme" not in text
    long = METHODS["mars"].made().source("numpy")
    assert "Scheme: mars: let x, m, v, p." in long and "Map:" not in long and "x' = 0" not in long
