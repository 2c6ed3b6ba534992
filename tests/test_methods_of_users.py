"""Published methods that are not registered, written as a user would, against loops by hand in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy as sp
from methods_by_hand import NONE, Methods, curvature, slope

import odescent as od
from odescent import Algorithm, Block, Flow, Let, Repeat, Scheme, Select, System, at, replay
from odescent.dynamics import start

H = sp.Symbol("h", positive=True)
x, m, v, w, d, s = od.blocks("x m v w d s")
a, b, c, beta1, beta2, beta3, eps, rho, t = od.parameters("a b c beta1 beta2 beta3 eps rho t")
f = od.Objective("f")
g = f.grad(x)
SQUARE = lambda e: od.elementwise(lambda q: q * q, e)
RATIO = lambda p, q: od.elementwise(lambda one, two: one / (sp.sqrt(two) + eps), p, q)
AVERAGES = {a: -sp.log(beta1) / H, b: -sp.log(beta2) / H}


METHODS = Methods()
method = METHODS.method
ADAM = {"h": 0.01, "beta1": 0.9, "beta2": 0.99, "eps": 1e-3}


def _lion(z: Any, _: int) -> None:
    grad = slope(z.x)
    z.x = z.x - 0.01 * np.sign(0.9 * z.m + 0.1 * grad)
    z.m = 0.99 * z.m + 0.01 * grad


@method(_lion, ("m",), h=0.01, beta1=0.9, beta2=0.99)
def lion() -> Algorithm:
    """Chen and others, arXiv:2302.06675."""
    descent = {x: -od.elementwise(sp.sign, beta1 * m + (1 - beta1) * g)}
    flow = System({"descent": descent, "average": {m: a * (g - m)}}, output=x, name="lion")
    steps = (Flow("descent", "explicit"), Flow("average", "exact", read={"x": "start"}))
    return Algorithm(flow, Scheme(steps, "lion"), tuning={a: -sp.log(beta2) / H}, name="lion")


def moments(drift: Any, second: Any, **more: Any) -> System:
    return System(
        {"first": {m: a * (g - m)}, "second": {v: second}, "drift": {x: drift}}, output=x, **more
    )


def averaged(flow: System, *between: Any, by: str = "exact", tuning: Any = AVERAGES) -> Algorithm:
    steps = (Flow("first", "exact"), Flow("second", by), *between, Flow("drift", "explicit"))
    return Algorithm(flow, Scheme(steps, flow.name), tuning=tuning, name=f"{flow.name}_method")


def _amsgrad(z: Any, _: int) -> None:
    grad = slope(z.x)
    z.m, z.v = 0.9 * z.m + 0.1 * grad, 0.99 * z.v + 0.01 * grad**2
    z.w = np.maximum(z.w, z.v)
    z.x = z.x - 0.01 * z.m / (np.sqrt(z.w) + 1e-3)


@method(_amsgrad, ("m", "v", "w"), **ADAM)
def amsgrad() -> Algorithm:
    """Reddi, Kale and Kumar, arXiv:1904.09237: a running maximum as a memory."""
    flow = moments(
        -RATIO(m, w), b * (SQUARE(g) - v), blocks=[Block("w", role="memory")], name="amsgrad"
    )
    return averaged(flow, Let({w: od.elementwise(sp.Max, w, v)}))


def _adabelief(z: Any, _: int) -> None:
    grad = slope(z.x)
    z.m = 0.9 * z.m + 0.1 * grad
    z.v = 0.99 * z.v + 0.01 * (grad - z.m) ** 2
    z.x = z.x - 0.01 * z.m / (np.sqrt(z.v) + 1e-3)


@method(_adabelief, ("m", "v"), **ADAM)
def adabelief() -> Algorithm:
    """Zhuang and others, arXiv:2010.07468."""
    return averaged(moments(-RATIO(m, v), b * (SQUARE(g - m) - v), name="adabelief"))


def _yogi(z: Any, _: int) -> None:
    grad = slope(z.x)
    z.m = 0.9 * z.m + 0.1 * grad
    z.v = z.v - 0.01 * np.sign(z.v - grad**2) * grad**2
    z.x = z.x - 0.01 * z.m / (np.sqrt(z.v) + 1e-3)


@method(_yogi, ("m", "v"), **ADAM)
def yogi() -> Algorithm:
    """Zaheer and others, NeurIPS 2018."""
    signed = od.elementwise(lambda p, q: sp.sign(p - q) * q, v, SQUARE(g))
    flow = moments(-RATIO(m, v), -b * signed, name="yogi")
    return averaged(flow, by="explicit", tuning=AVERAGES | {b: (1 - beta2) / H})


def _nadam(z: Any, _: int) -> None:
    grad = slope(z.x)
    z.m, z.v = 0.9 * z.m + 0.1 * grad, 0.99 * z.v + 0.01 * grad**2
    z.x = z.x - 0.01 * (0.9 * z.m + 0.1 * grad) / (np.sqrt(z.v) + 1e-3)


@method(_nadam, ("m", "v"), **ADAM)
def nadam() -> Algorithm:
    """Dozat 2016, without corrections of the bias: the average is moved once more for the look-ahead."""
    flow = moments(-RATIO(m, v), b * (SQUARE(g) - v), name="nadam")
    ahead = Flow("first", "exact", commit=False, save="look")
    steps = (Flow("first", "exact"), Flow("second", "exact"), ahead)
    steps = (*steps, Flow("drift", "explicit", read={"m": "look"}))
    return Algorithm(flow, Scheme(steps, "nadam"), tuning=AVERAGES, name="nadam_method")


def _sophia(z: Any, _: int) -> None:
    z.m = 0.9 * z.m + 0.1 * slope(z.x)
    z.v = 0.99 * z.v + 0.01 * np.diag(curvature(z.x))
    z.x = z.x - 0.01 * np.clip(z.m / np.maximum(0.1 * z.v, 1e-3), -1, 1)


@method(_sophia, ("m", "v"), **ADAM, rho=0.1)
def sophia() -> Algorithm:
    """Liu and others, arXiv:2305.14342, with the diagonal of the Hessian itself in each step."""
    clipped = lambda p, q: sp.Max(sp.Min(p / sp.Max(rho * q, eps), 1), -1)
    curved = b * (od.diagonal(f.hessian(x)) - v)
    return averaged(moments(-od.elementwise(clipped, m, v), curved, name="sophia"))


def _adan(z: Any, _: int) -> None:
    grad = slope(z.x)
    change = grad - z.before
    z.m, z.d = 0.9 * z.m + 0.1 * grad, 0.8 * z.d + 0.2 * change
    z.v, z.before = 0.99 * z.v + 0.01 * (grad + 0.8 * change) ** 2, grad
    z.x = z.x - 0.01 * (z.m + 0.8 * z.d) / (np.sqrt(z.v) + 1e-3)


@method(_adan, ("m", "d", "v"), **{**ADAM, "beta2": 0.8}, beta3=0.99)
def adan() -> Algorithm:
    """Xie and others, arXiv:2208.06677: the gradient of the step before as a memory."""
    before = od.blocks("before")
    keep = 1 - b * H  # beta2
    flow = System(
        {
            "first": {m: a * (g - m)}, "change": {d: -b * d}, "second": {v: c * (SQUARE(g) - v)},
            "drift": {x: -RATIO(m + keep * d, v)},
        },
        blocks=[Block("before", role="memory", init=f.grad(start))], output=x, name="adan",
    )  # fmt: skip
    change = g - before
    moved = {
        d: keep * d + b * H * change,
        v: (1 - c * H) * v + c * H * SQUARE(g + keep * change),
        before: g,
    }
    steps = (Flow("first", "exact"), Let(moved), Flow("drift", "explicit"))
    tuning = {a: -sp.log(beta1) / H, b: (1 - beta2) / H, c: (1 - beta3) / H}
    return Algorithm(flow, Scheme(steps, "adan"), tuning=tuning, name="adan_method")


def _sam(z: Any, _: int) -> None:
    grad = slope(z.x)
    z.x = z.x - 0.01 * slope(z.x + 0.05 * grad / np.linalg.norm(grad))


@method(_sam, h=0.01, rho=0.05)
def sam() -> Algorithm:
    """Foret and others, arXiv:2010.01412."""
    uphill = x + rho * g / sp.sqrt(od.inner(g, g))
    return Algorithm(
        System({"descent": {x: -f.grad(uphill)}}, output=x, name="sam"), "explicit_euler", name="sam"
    )  # fmt: skip


def _clipped(z: Any, _: int) -> None:
    grad = slope(z.x)
    z.x = z.x - 0.1 * grad * min(1, 0.3 / np.linalg.norm(grad))


@method(_clipped, h=0.1, rho=0.3)
def clipped() -> Algorithm:
    """Gradient descent with the gradient's length clipped."""
    scale = sp.Min(1, rho / sp.sqrt(od.inner(g, g)))
    flow = System({"descent": {x: -scale * g}}, output=x, name="clipped")
    return Algorithm(flow, "explicit_euler", name="clipped")


def _schedule_free(z: Any, k: int) -> None:
    z.s = z.s - 0.05 * slope(0.1 * z.s + 0.9 * z.x)
    z.x = z.x + (z.s - z.x) / (k + 2)


@method(_schedule_free, h=0.05, beta1=0.9)
def schedule_free() -> Algorithm:
    """Defazio and others, arXiv:2405.15682: the mean of the iterates as x' = (s - x)/t by implicit Euler."""
    fields = {"descent": {s: -f.grad((1 - beta1) * s + beta1 * x)}, "average": {x: (s - x) / t}}
    flow = System(fields, time=t, output=x, init={s: start, x: start}, name="schedule_free")
    steps = (Flow("descent", "explicit"), Flow("average", "implicit", time=1))
    return Algorithm(flow, Scheme(steps, "schedule_free"), name="schedule_free")


def _lookahead(z: Any, _: int) -> None:
    fast = z.x
    for _ in range(5):
        fast = fast - 0.01 * slope(fast)
    z.x = z.x + 0.5 * (fast - z.x)


@method(_lookahead, h=0.05, b=0.5)
def lookahead() -> Algorithm:
    """Zhang and others, arXiv:1907.08610: five steps, and back by a share of the way; so x' = -b grad f(x)."""
    inner = Repeat((Flow("descent", "explicit", fraction=1 / (5 * b)),), max_steps=5)
    begun = at(x, "start")
    flow = System({"descent": {x: -b * g}}, output=x, name="lookahead")
    return Algorithm(
        flow, Scheme((inner, Let({x: begun + b * (x - begun)})), "lookahead"), name="lookahead"
    )


def _storm(z: Any, _: int) -> None:
    before, z.x = z.x, z.x - 0.05 * z.d
    z.d = slope(z.x) + (1 - 0.5 * 0.05) * (z.d - slope(before))


@method(_storm, ("d",), h=0.05, a=0.5)
def storm() -> Algorithm:
    """Cutkosky and Orabona, arXiv:1905.10018: in the limit the momentum turns with the Hessian."""
    turned = a * (g - d) - od.apply(f.hessian(x), d)
    flow = System({"descent": {x: -d}, "momentum": {d: turned}}, output=x, name="storm")
    moved = g + (1 - a * H) * (d - f.grad(at(x, "start")))
    steps = (Flow("descent", "explicit"), Let({d: moved}))
    return Algorithm(flow, Scheme(steps, "storm"), name="storm")


def _restarted(z: Any, _: int) -> None:
    if slope(z.x) @ z.v > 0:
        z.v = NONE
    z.v = z.v - 0.05 * (slope(z.x) + z.v)
    z.x = z.x + 0.05 * z.v


def restarted(flipped: bool = False) -> Algorithm:
    """O'Donoghue and Candes, arXiv:1204.3982: momentum is dropped where it points uphill."""
    flow = System({"kick": {v: -g - a * v}, "drift": {x: v}}, output=x, name="restarted")
    uphill, reset = od.inner(g, v) > 0, (Let({v: 0 * v}),)
    guard = Select(uphill, reset, ()) if flipped else Select(sp.Not(uphill), (), reset)
    steps = (guard, Flow("kick", "explicit"), Flow("drift", "explicit"))
    return Algorithm(flow, Scheme(steps, "restarted"), name="restarted")


method(_restarted, ("v",), h=0.05, a=1.0)(restarted)


def _nonnegative(z: Any, _: int) -> None:
    z.x = np.maximum(z.x - 0.1 * slope(z.x), 0)


def projecting(project: Any, fraction: Any = 1) -> Algorithm:
    """Gradient descent, and the nearest point of a set."""
    flow = System({"descent": {x: -g}}, output=x, name="projecting")
    steps = (Flow("descent", "explicit", fraction=fraction), Let({x: project(x)}))
    return Algorithm(flow, Scheme(steps, "projecting"), name="projecting")


@method(_nonnegative, h=0.1)
def projected_gradient() -> Algorithm:
    """Goldstein 1964."""
    return projecting(od.named_map("nonnegative"))


def _thresholded(z: Any, _: int) -> None:
    ahead = z.x - 0.1 * slope(z.x)
    z.x = np.where(np.abs(ahead) == np.abs(ahead).max(), ahead, 0)


@method(_thresholded, h=0.1)
def hard_thresholding() -> Algorithm:
    """Blumensath and Davies, arXiv:0805.0510."""
    return projecting(od.named_map("top_k", k=1))


def _in_a_ball(z: Any, _: int) -> None:
    z.v = z.v - 0.1 * (slope(z.x) + z.v)
    ahead = z.x + 0.1 * z.v
    z.x = ahead * min(1, 0.5 / np.linalg.norm(ahead))


@method(_in_a_ball, ("v",), h=0.1, a=1.0, rho=0.5)
def projected_momentum() -> Algorithm:
    """Heavy ball in a ball of radius rho."""
    flow = System({"kick": {v: -g - a * v}, "drift": {x: v}}, output=x, name="in_a_ball")
    nearest = Let({x: od.named_map("ball", r=rho)(x)})
    steps = (Flow("kick", "explicit"), Flow("drift", "explicit"), nearest)
    return Algorithm(flow, Scheme(steps, "in_a_ball"), name="in_a_ball")


def _bfgs(z: Any, k: int) -> None:
    inverse = getattr(z, "inverse", np.eye(2))
    before, z.x = z.x, z.x - 0.3 * inverse @ slope(z.x)
    moved, change = z.x - before, slope(z.x) - slope(before)
    weight = 1 / (moved @ change)
    W = np.eye(2) - weight * np.outer(moved, change)
    z.inverse = W @ inverse @ W.T + weight * np.outer(moved, moved)


@method(_bfgs, h=0.3)
def bfgs() -> Algorithm:
    """A map: no flow is its limit."""
    B = od.blocks("B", kind="symmetric")
    move = -H * od.apply(B, g)
    change = f.grad(x + move) - g
    weight = 1 / od.inner(move, change)
    W = od.identity - weight * od.outer(move, change)
    update = od.apply(W, od.apply(B, od.transpose(W))) + weight * od.outer(move, move)
    return od.method({x: x + move, B: update}, output=x, init={B: od.identity}, name="bfgs")


def _error_feedback(z: Any, _: int) -> None:
    wanted = 0.05 * slope(z.x) + z.d
    sent = 0.01 * np.sign(wanted)
    z.x, z.d = z.x - sent, wanted - sent


@method(_error_feedback, ("d",), h=0.05, rho=0.01)
def error_feedback() -> Algorithm:
    """Seide and others 2014: what compression leaves out is sent later. A map."""
    wanted = H * g + d
    sent = rho * od.elementwise(sp.sign, wanted)
    return od.method({x: x - sent, d: wanted - sent}, output=x, init={d: 0}, name="feedback")


@pytest.mark.parametrize("name", METHODS)
def test_a_method_of_a_user_is_the_textbook_s(name: str) -> None:
    METHODS.agrees(name, 1e-9 if name == "bfgs" else 1e-12)  # BFGS divides by differences


@pytest.mark.parametrize("name", METHODS)
def test_it_is_emitted(name: str) -> None:
    lists = () if name == "bfgs" else ("optax", "torch")  # which have no matrices
    METHODS.emitted(name, "numpy", "jax", "latex", *lists)


@pytest.mark.parametrize(
    "name", ["sophia", "clipped", "adan", "hard_thresholding", "projected_momentum"]
)
def test_its_derivation_is_replayed(name: str) -> None:
    """Also where it has derivatives of maxima, which jump."""
    document = METHODS[name].made().derivation().to_dict()
    assert replay.replay(document, points=2, say=lambda line: None) == []


def test_a_running_maximum_has_no_limit_flow_and_says_so() -> None:
    made = amsgrad()
    with pytest.raises(od.NotCarried, match="as a running maximum does"):
        made.derivation()
    state = moments(-RATIO(m, w), b * (SQUARE(g) - v), blocks=[Block("w")], name="amsgrad")
    with pytest.raises(od.OdescentError, match=r"Block\('w', role='memory'\)"):
        averaged(state, Let({w: od.elementwise(sp.Max, w, v)}))


def test_a_memory_that_nothing_moves_is_still_refused() -> None:
    flow = moments(
        -RATIO(m, w), b * (SQUARE(g) - v), blocks=[Block("w", role="memory")], name="held"
    )
    said = r"does not settle, .*; a method without one is given as its map, od.method"
    with pytest.raises(od.OdescentError, match=said):
        averaged(flow, Let({w: w}))


def test_a_reset_belongs_to_the_branch_that_rejects() -> None:
    with pytest.raises(od.OdescentError, match="under the opposite guard"):
        restarted(flipped=True)


def test_where_a_projection_leaves_the_point_in_place_the_substeps_add_up() -> None:
    with pytest.raises(od.NotConsistent, match="move x by -1/2"):
        projecting(od.named_map("nonnegative"), sp.Rational(1, 2))
    with pytest.raises(od.OdescentError, match="instead of leaving it in place"):
        projecting(od.named_map("shrink", lam=1))  # no projection
    with pytest.raises(od.NotCarried, match="the step projects x by nonnegative"):
        projected_gradient().modified_equation()
    derivation = projected_gradient().derivation()
    assert derivation.check()
    said = " ".join(str(derivation).split())
    assert "where its projections leave the point in place follows this flow" in said
    assert [step.title for step in hard_thresholding().derivation().steps] == ["System", "One step"]
    with pytest.raises(od.OdescentError, match="instead of leaving it in place"):
        projecting(od.named_map("floor"))  # on a lattice nothing moves when steps are small
    assert {str(p) for p in projected_momentum().parameters} == {"a", "h", "rho"}
    assert not projected_momentum().bind(h=0.1, a=1, rho=0.5).parameters


@pytest.mark.parametrize(
    ("made", "title"),
    [
        (hard_thresholding, "The equation"),
        (lion, "Two equations, not to be confused"),
        (lambda: od.algorithm("gd"), "Three equations, not to be confused"),
    ],
)
def test_a_derivation_counts_its_equations(made: Any, title: str) -> None:
    d = made().derivation()
    assert f"\n{title}\n" in str(d) and f"{title}." in d.latex() and f">{title}<" in d.html()
