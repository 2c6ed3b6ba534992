"""Methods that choose, by pieces, steps and rounding inside of scalars, and their derivatives."""

from __future__ import annotations

import random
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import sympy as sp
from methods_by_hand import START, Methods, curvature, slope, value
from test_kinks import drawn

import odescent as od
from odescent import Algorithm, Flow, Scheme, System, replay
from odescent.discretize.emit import load
from odescent.dynamics import derivative, start
from odescent.dynamics.algebra.scalars import as_scalar

H = sp.Symbol("h", positive=True)
x, m, v, w, d, p = od.blocks("x m v w d p")
k, lam = od.blocks("k lam", kind="scalar")
a, b, c, beta1, beta2, beta3, alpha, eps = od.parameters("a b c beta1 beta2 beta3 alpha eps")
f = od.Objective("f")
g = f.grad(x)
u, q = sp.symbols("u q", real=True)
METHODS = Methods()
RATIO = lambda one, two: od.elementwise(lambda e, n: e / (sp.sqrt(n) + eps), one, two)
SQUARE = lambda e: od.elementwise(lambda n: n * n, e)


def test_what_jumps_has_no_derivative_and_what_has_a_kink_has() -> None:
    kink, jump = (sp.Piecewise((u, u > q), (e, True)) for e in (2 * u - q, 2 * u))
    rate = derivative(as_scalar(kink), {u: sp.S.One})
    for one, two in ((3, 1), (1, 3), (-2, -1)):
        assert rate.subs({u: one, q: two}) == (1 if one > two else 2)
    for e in (jump, kink**2 + sp.sign(u), sp.Max(sp.sign(u), 0) ** 2, sp.ceiling(u)):
        with pytest.raises(od.OdescentError, match="jumps, so it has no derivative"):
            derivative(as_scalar(e), {u: sp.S.One})
    leaky = lambda factor: od.elementwise(lambda e: sp.Piecewise((e, e > 0), (factor * e, True)), x)
    assert derivative(leaky(sp.Rational(1, 10)), {x: m})
    with pytest.raises(od.OdescentError, match="jumps"):
        derivative(od.elementwise(lambda e: sp.Piecewise((e, e > 1), (0, True)), x), {x: m})


def _cautious(z: Any, _: int) -> None:
    grad = slope(z.x)
    z.m = 0.9 * z.m + 0.1 * grad
    z.x = z.x - 0.01 * z.m * (z.m * grad > 0)


@METHODS.method(_cautious, ("m",), h=0.01, beta1=0.9)
def cautious() -> Algorithm:
    """Liang and others, arXiv:2411.16085, without the scale: entries that would go uphill stay."""
    kept = od.elementwise(lambda one, two: sp.Piecewise((one, one * two > 0), (0, True)), m, g)
    flow = System({"average": {m: a * (g - m)}, "drift": {x: -kept}}, output=x, name="cautious")
    steps = (Flow("average", "exact"), Flow("drift", "explicit"))
    return Algorithm(flow, Scheme(steps), tuning={a: -sp.log(beta1) / H}, name="cautious_momentum")


def _rprop(z: Any, k: int) -> None:
    grad, size = slope(z.x), getattr(z, "size", np.full(2, 0.05))
    turn = grad * z.m
    grown = np.where(turn > 0, np.minimum(1.2 * size, 1), np.maximum(size / 2, 1e-3))
    z.size = np.where(turn == 0, size, grown)
    z.x, z.m = z.x - np.sign(grad) * z.size, grad


@METHODS.method(_rprop, ("m",), h=0.05)
def rprop() -> Algorithm:
    """Riedmiller and Braun 1993, doi:10.1109/ICNN.1993.298623: a step for each entry, begun at h."""
    low = sp.Rational(1, 1000)
    sizes = lambda e, t: sp.Piecewise(
        (sp.Min(6 * e / 5, 1), t > 0), (sp.Max(e / 2, low), t < 0), (e, True)
    )
    size = od.elementwise(lambda one, two, e: sizes(e, one * two), g, m, d)
    moved = x - od.elementwise(lambda e, s: sp.sign(e) * s, g, size)
    begin = {d: od.elementwise(lambda _: H, start), m: 0}
    return od.method({x: moved, d: size, m: g}, output=x, init=begin, name="rprop")


def _levenberg(z: Any, _: int) -> None:
    damping = getattr(z, "damping", 10.0)
    ahead = z.x - np.linalg.solve(curvature(z.x) + damping * np.eye(2), slope(z.x))
    if value(ahead) < value(z.x):
        z.x, z.damping = ahead, damping / 2
    else:
        z.damping = 3 * damping


@METHODS.method(_levenberg)
def levenberg() -> Algorithm:
    """Levenberg 1944: Newton's step with a damping that halves where the function falls."""
    step = od.linear_solve(f.hessian(x) + lam * od.identity, g)
    falls = f.value(x - step) < f.value(x)
    moved = x - sp.Piecewise((1, falls), (0, True)) * step
    damping = sp.Piecewise((lam / 2, falls), (3 * lam, True))
    return od.method({x: moved, lam: damping}, output=x, init={lam: 10}, name="levenberg")


def _frank_wolfe(z: Any, k: int) -> None:
    z.x = z.x + 2 / (k + 2) * (-np.sign(slope(z.x)) - z.x)


@METHODS.method(_frank_wolfe)
def frank_wolfe() -> Algorithm:
    """Frank and Wolfe 1956 on the cube: the number of the step is a block."""
    corner = -od.elementwise(sp.sign, g)
    moved = {x: x + 2 / (k + 2) * (corner - x), k: k + 1}
    return od.method(moved, output=x, init={k: 0}, name="frank_wolfe")


def _cosine(z: Any, k: int) -> None:
    grad = slope(z.x)
    z.m, z.v = 0.9 * z.m + 0.1 * grad, 0.99 * z.v + 0.01 * grad**2
    ratio = z.m / (1 - 0.9 ** (k + 1)) / (np.sqrt(z.v / (1 - 0.99 ** (k + 1))) + 1e-3)
    z.x = z.x - 0.01 * (1 + np.cos(np.pi * k / 100)) / 2 * (ratio + 0.1 * z.x)


@METHODS.method(_cosine, ("m", "v"), h=0.01, beta1=0.9, beta2=0.99, eps=1e-3, alpha=0.1)
def cosine_adamw() -> Algorithm:
    """Loshchilov and Hutter, arXiv:1711.05101, with their cosine."""
    mean, second = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * SQUARE(g)
    ratio = RATIO(mean / (1 - beta1 ** (k + 1)), second / (1 - beta2 ** (k + 1)))
    rate = H * (1 + sp.cos(sp.pi * k / 100)) / 2
    moved = {x: x - rate * (ratio + alpha * x), m: mean, v: second, k: k + 1}
    return od.method(moved, output=x, init={m: 0, v: 0, k: 0}, name="cosine_adamw")


def _fletcher_reeves(z: Any, _: int) -> None:
    turn, old = getattr(z, "turn", -slope(z.x)), slope(z.x)
    z.x = z.x + 0.05 * turn
    z.turn = -slope(z.x) + (slope(z.x) @ slope(z.x)) / (old @ old) * turn


@METHODS.method(_fletcher_reeves, h=0.05)
def fletcher_reeves() -> Algorithm:
    """Fletcher and Reeves 1964 with a fixed step."""
    ahead = f.grad(x + H * p)
    turned = -ahead + od.inner(ahead, ahead) / od.inner(g, g) * p
    begin = {p: -f.grad(start)}
    return od.method({x: x + H * p, p: turned}, output=x, init=begin, name="fletcher_reeves")


def _dowg(z: Any, _: int) -> None:
    grad, reach, total = slope(z.x), getattr(z, "reach", 0.01), getattr(z, "total", 0.0)
    z.reach = max(reach, float(np.linalg.norm(z.x - z.s)))
    z.total = total + z.reach**2 * grad @ grad
    z.x = z.x - z.reach**2 / np.sqrt(z.total) * grad


@METHODS.method(_dowg, eps=0.01)
def dowg() -> Algorithm:
    """Khaled and others, arXiv:2305.16284: no step is given."""
    reach, total = od.blocks("reach total", kind="scalar")
    far = sp.Max(reach, sp.sqrt(od.inner(x - w, x - w)))
    summed = total + far**2 * od.inner(g, g)
    moved = {x: x - far**2 / sp.sqrt(summed) * g, reach: far, total: summed, w: w}
    return od.method(moved, output=x, init={reach: eps, total: 0, w: start}, name="dowg")


def _ademamix(z: Any, _: int) -> None:
    grad = slope(z.x)
    z.m, z.w = 0.9 * z.m + 0.1 * grad, 0.999 * z.w + 0.001 * grad
    z.v = 0.99 * z.v + 0.01 * grad**2
    z.x = z.x - 0.01 * (z.m + 5 * z.w) / (np.sqrt(z.v) + 1e-3)


@METHODS.method(
    _ademamix, ("m", "w", "v"), h=0.01, beta1=0.9, beta2=0.99, eps=1e-3, beta3=0.999, alpha=5.0
)
def ademamix() -> Algorithm:
    """Pagliardini and others, arXiv:2409.03137, without corrections of the bias."""
    fields = {
        "first": {m: a * (g - m)},
        "slow": {w: c * (g - w)},
        "second": {v: b * (SQUARE(g) - v)},
    }
    flow = System(fields | {"drift": {x: -RATIO(m + alpha * w, v)}}, output=x, name="ademamix")
    steps = (*(Flow(name, "exact") for name in fields), Flow("drift", "explicit"))
    tuning = {s: -sp.log(of) / H for s, of in ((a, beta1), (b, beta2), (c, beta3))}
    return Algorithm(flow, Scheme(steps), tuning=tuning, name="ademamix_method")


def _lamb(z: Any, _: int) -> None:
    grad = slope(z.x)
    z.m, z.v = 0.9 * z.m + 0.1 * grad, 0.99 * z.v + 0.01 * grad**2
    ratio = z.m / (np.sqrt(z.v) + 1e-3)
    z.x = z.x - 0.01 * np.linalg.norm(z.x) / np.linalg.norm(ratio) * ratio


@METHODS.method(_lamb, ("m", "v"), h=0.01, beta1=0.9, beta2=0.99, eps=1e-3)
def lamb() -> Algorithm:
    """You and others, arXiv:1904.00962, without decay and corrections of the bias."""
    ratio = RATIO(m, v)
    trusted = sp.sqrt(od.inner(x, x) / od.inner(ratio, ratio)) * ratio
    fields = {"first": {m: a * (g - m)}, "second": {v: b * (SQUARE(g) - v)}}
    flow = System(fields | {"drift": {x: -trusted}}, output=x, name="lamb")
    steps = (*(Flow(name, "exact") for name in fields), Flow("drift", "explicit"))
    tuning = {s: -sp.log(of) / H for s, of in ((a, beta1), (b, beta2))}
    return Algorithm(flow, Scheme(steps), tuning=tuning, name="lamb_method")


def _quickprop(z: Any, k: int) -> None:
    grad, still = slope(z.x), z.v == 0
    z.p = z.p if k else np.zeros(2)
    with np.errstate(all="ignore"):
        secant = z.v * grad / (z.p - grad)
    z.v = np.where(still, -0.05 * grad, np.clip(secant, -1.75 * abs(z.v), 1.75 * abs(z.v)))
    z.p, z.x = grad, z.x + z.v


@METHODS.method(_quickprop, ("v", "p"), h=0.05, c=1.75)
def quickprop() -> Algorithm:
    """Fahlman, An empirical study of learning speed in back-propagation networks, 1988: secant steps."""

    def moved(grad: sp.Expr, before: sp.Expr, last: sp.Expr) -> sp.Expr:
        most = c * sp.Abs(last)
        secant = sp.Max(-most, sp.Min(most, last * grad / (before - grad)))
        return sp.Piecewise((-H * grad, sp.Eq(last, 0)), (secant, True))

    step = od.elementwise(moved, g, p, v)
    return od.method(
        {x: x + step, v: step, p: g}, output=x, init={v: 0 * start, p: 0 * start}, name="quickprop"
    )


def _cauchy_point(z: Any, _: int) -> None:
    grad = slope(z.x)
    bend, size = grad @ curvature(z.x) @ grad, np.sqrt(grad @ grad)
    share = min(1, size**3 / (0.15 * bend)) if bend > 0 else 1
    z.x = z.x - share * 0.15 / size * grad


@METHODS.method(_cauchy_point, c=0.15)
def cauchy_point() -> Algorithm:
    """Nocedal, Wright, Numerical Optimization, 2006, (4.12): the best point along the gradient in a ball."""
    square, bend = od.inner(g, g), od.inner(g, f.grad(x, along=(g,)))
    share = sp.Piecewise((sp.Min(1, square ** sp.Rational(3, 2) / (c * bend)), bend > 0), (1, True))
    return od.method({x: x - share * c / sp.sqrt(square) * g}, output=x, name="cauchy_point")


def _rectified(z: Any, k: int) -> None:
    grad, t = slope(z.x), k + 1
    z.m, z.v = 0.9 * z.m + (1 - 0.9) * grad, 0.99 * z.v + (1 - 0.99) * grad**2
    most = 2 / (1 - 0.99) - 1
    r = most - 2 * t * 0.99**t / (1 - 0.99**t)
    mean = z.m / (1 - 0.9**t)
    if r > 5:
        scale = np.sqrt((r - 4) * (r - 2) * most / ((most - 4) * (most - 2) * r))
        mean = scale * mean / (np.sqrt(z.v / (1 - 0.99**t)) + 1e-8)
    z.x = z.x - 0.05 * mean


@METHODS.method(_rectified, ("m", "v"), h=0.05, beta1=0.9, beta2=0.99, eps=1e-8)
def rectified_adam() -> Algorithm:
    """Liu and others, arXiv:1908.03265."""
    t = k + 1
    mean, square = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * SQUARE(g)
    most = 2 / (1 - beta2) - 1
    r = most - 2 * t * beta2**t / (1 - beta2**t)
    scale = sp.sqrt((r - 4) * (r - 2) * most / ((most - 4) * (most - 2) * r))
    corrected = mean / (1 - beta1**t)
    step = od.elementwise(
        lambda e, n: sp.Piecewise(
            (scale * e / (sp.sqrt(n / (1 - beta2**t)) + eps), r > 5), (e, True)
        ),
        corrected,
        square,
    )
    updates = {x: x - H * step, m: mean, v: square, k: t}
    return od.method(
        updates, output=x, init={m: 0 * start, v: 0 * start, k: 0}, name="rectified_adam"
    )


@pytest.mark.parametrize("name", METHODS)
def test_a_method_that_chooses_is_the_textbook_s(name: str) -> None:
    METHODS.agrees(name, 1e-9 if name == "levenberg" else 1e-12)  # its solve is iterative


@pytest.mark.parametrize("name", METHODS)
def test_it_is_emitted(name: str) -> None:
    METHODS.emitted(name, "numpy", "jax", "optax", "torch", "latex", "markdown")


def test_a_derivation_with_pieces_is_replayed() -> None:
    document = cautious().derivation().to_dict()
    assert replay.replay(document, points=2, say=lambda line: None) == []


def test_a_number_for_each_entry_has_the_shape_of_the_entries() -> None:
    """Code was emitted that gave a scalar, or could not be run."""
    for e in (od.elementwise(lambda _: H, g), od.elementwise(lambda _: H, x) + 0 * g):
        made = od.method({x: x - e}, output=x, name="constant")
        run = made.run(lambda z: (z**2).sum(), np.ones((2, 3)), 2, h=0.25)
        assert run.x.shape == (3, 2, 3) and (run.x[-1] == 0.5).all()


def _random_method(seed: int) -> tuple[Algorithm, dict[str, float]]:
    """A method of random functions with kinks, pieces and scalars that choose."""
    r = random.Random(seed)
    of = drawn(r, 2, [u, q, u - q, b, sp.Integer(1)]), drawn(r, 2, [u, q, u, sp.Rational(1, 2)])
    one, two = (
        od.elementwise(lambda e, n, of=of: of.xreplace({u: e, q: n}), *vectors)
        for of, vectors in zip(of, ((g, m), (m, g)), strict=True)
    )
    chosen = sp.tanh(drawn(r, 1, [k, k - 1, b, od.inner(g, m)]))
    moved = {x: x - H * (g + one * chosen), m: two, k: k / 2 + chosen}
    made = od.method(moved, output=x, init={m: 0, k: 1}, name="random")
    return made, {"h": 0.1} | ({"b": 1.3} if b in made.parameters else {})


@pytest.mark.parametrize("seed", [4, 7, 11, 13, 19, 27, 30, 35, 37, 50])
def test_random_methods_that_choose_agree_in_every_target(seed: int) -> None:
    """PyTorch was asked for minimum_ of a tensor and for np; a cosine inside of tanh became complex."""
    method, given = _random_method(seed)
    found = method.run(od.Objective(value), START, 4, **given).x[-1]
    by_loops = load(method, "numpy").run(slope, START, 4, **given)[-1]
    np.testing.assert_allclose(by_loops, found, rtol=1e-9, atol=1e-12)

    params, tx = jnp.asarray(START), method.to_optax(**given)
    state = tx.init(params)
    for _ in range(4):
        updates, state = tx.update(jax.grad(value)(params), state, params)
        params = optax.apply_updates(params, updates)
    np.testing.assert_allclose(params, found, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("seed", [4, 13, 19, 27, 30, 37, "rprop", "cautious"])
def test_their_optimizers_of_pytorch_agree(seed: int | str) -> None:
    torch = pytest.importorskip("torch")
    method, given = (
        _random_method(seed)
        if isinstance(seed, int)
        else (METHODS[seed].made(), METHODS[seed].given)
    )
    tensor = torch.tensor(START, requires_grad=True)
    optimizer = method.to_torch([tensor], **given)
    for _ in range(4):
        optimizer.zero_grad()
        value(tensor).backward()
        optimizer.step()
    found = method.run(od.Objective(value), START, 4, **given).x[-1]
    np.testing.assert_allclose(tensor.detach().numpy(), found, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "chosen", [sp.tanh(k), 1 - sp.tanh(k) / 2, sp.coth(k), sp.tanh(od.inner(g, g) * k)]
)
def test_a_tangent_of_large_numbers_does_not_overflow(chosen: sp.Expr) -> None:
    """As a quotient of exponentials it was NaN in optax, and an OverflowError in PyTorch."""
    method = od.method({x: x - H * chosen * g, k: 2 * k}, output=x, init={k: 300}, name="saturated")
    wanted = START * (1 - 0.1 * (0.5 if chosen.has(sp.Rational(-1, 2)) else 1.0)) ** 3
    assert np.allclose(method.run(lambda z: (z**2).sum() / 2, START, 3, h=0.1).x[-1], wanted)
    params, tx = jnp.asarray(START), method.to_optax(h=0.1)
    state = tx.init(params)
    for _ in range(3):
        updates, state = tx.update(params, state, params)
        params = optax.apply_updates(params, updates)
    np.testing.assert_allclose(params, wanted, rtol=1e-12)
    assert ".exp(" not in method.source("torch")


def test_an_exponential_less_one_keeps_its_digits() -> None:
    """In scalars of the step and in functions of entries: exp(u) - 1 of u = 1e-12 had four digits."""
    x, k = od.blocks("x"), od.blocks("k", kind="scalar")
    f = od.Objective("f")
    entries = od.elementwise(lambda e: 1 - sp.exp(-e), f.grad(x))
    grown = (sp.exp(k) - 1) * f.grad(x)
    method = od.method({x: x + entries + grown, k: k / 2}, output=x, init={k: 2e-12}, name="grown")
    at = np.array([3e-13, -2e-12])
    found = method.run(lambda z: (z**2).sum() / 2 + (z**4).sum(), at, 1).x[1]
    np.testing.assert_allclose(found, at - np.expm1(-at) + np.expm1(2e-12) * at, rtol=1e-14)
    made = load(method, "numpy").run(lambda z: z + 4 * z**3, at, 1)
    np.testing.assert_allclose(made[1], found, rtol=1e-14)
    for target in ("optax", "torch"):
        assert method.source(target).count("expm1") >= 2


E_K = sp.exp(k)
OVERFLOWING = {
    "logistic": 1 / (1 + E_K),
    "secant": 1 / sp.cosh(k),
    "tangent": sp.sinh(k) / sp.cosh(k),
    "ratio": E_K / (E_K + sp.exp(2 * k) + 3),
    "slope": E_K / (1 + E_K) ** 2,
    "halves": 2 ** (-k),
    "powers": 1 / (1 + 2**k),
    "softplus": sp.log(1 + E_K) / (1 + k),
    "logarithm": sp.log(E_K + sp.exp(-k)) / (1 + k),
    "normal": sp.exp(-(k**2)),
}


@pytest.mark.parametrize("name", OVERFLOWING)
def test_numbers_that_overflow_on_the_way_are_as_they_are(name: str) -> None:
    """Python's raise where arrays are infinite, and quotients of two infinite ones are no numbers anywhere."""
    chosen = OVERFLOWING[name]
    method = od.method({x: x - H * chosen * g, k: k + 100}, output=x, init={k: 1}, name="growing")
    wanted = [START]
    for n in range(12):
        factor = float(sp.N(chosen.subs(k, 1 + 100 * n), 30))
        wanted.append(wanted[-1] - 0.1 * factor * wanted[-1])
    found = method.run(lambda z: (z**2).sum() / 2, START, 12, h=0.1).x
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    made = load(method, "numpy").run(lambda z: z, START, 12, h=0.1)
    np.testing.assert_allclose(made, wanted, rtol=1e-12)
    torch = pytest.importorskip("torch")
    tensor = torch.tensor(START, requires_grad=True)
    optimizer = method.to_torch([tensor], h=0.1)
    for _ in range(12):
        tensor.grad = tensor.detach().clone()
        optimizer.step()
    np.testing.assert_allclose(tensor.detach().numpy(), wanted[-1], rtol=1e-12)


def test_a_division_by_a_scalar_that_vanishes_ends_a_run_with_a_warning() -> None:
    """In emitted NumPy it raised ZeroDivisionError."""
    method = od.method({x: x - H * g / k, k: k - 1}, output=x, init={k: 2}, name="vanishing")
    with pytest.warns(RuntimeWarning, match="step 3 is not finite"):
        found = load(method, "numpy").run(lambda z: z, START, 5, h=0.1)
    assert len(found) == 3
