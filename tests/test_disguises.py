"""Methods that are the same in disguise, and near misses: no disguise is called different, no near miss equal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sympy as sp
import textbook as tb
from experiments import check_witness

import odescent as od
from odescent.dynamics.vector_fields.system import L, mu

x, y, v, p, w, z, m, e, d, x0 = od.blocks("x y v p w z m e d x0")
t, n = od.blocks("t n", kind="scalar")
a, b, c, h, s, r = od.parameters("a b c h s r")
f, g, F, loss = (od.Objective(name) for name in ("f", "r", "F", "loss"))
G = f.grad
q = sp.sqrt(mu / L)
beta = (1 - q) / (1 + q)
GROW = (1 + sp.sqrt(1 + 4 * t**2)) / 2
HALF = sp.Rational(1, 2)
TINY = 1 + sp.Rational(1, 10**9)
Build = Callable[[], od.Algorithm]


def of(updates: dict[Any, Any], output: Any = x, **options: Any) -> od.Algorithm:
    return od.method(updates, output=output, **options)


def velocity(scale: Any, be: Any = b, al: Any = s) -> od.Algorithm:
    """Heavy ball by a velocity in other units: v+ = be v - scale al g, x+ = x + v+ / scale."""
    after = be * v - scale * al * G(x)
    return of({v: after, x: x + after / scale}, init={v: 0})


def difference() -> od.Algorithm:
    return of({x: x - s * G(x) + b * (x - p), p: x})


def averaging() -> od.Algorithm:
    """Heavy ball by the average m+ = b m + (1 - b) g, x+ = x - s / (1 - b) m+."""
    after = b * m + (1 - b) * G(x)
    return of({m: after, x: x - s / (1 - b) * after}, init={m: 0})


def heavy(al: Any = s, be: Any = b, **options: Any) -> od.Algorithm:
    return of({x: (1 + be) * x - be * p - al * G(x), p: x}, **options)


def nesterov(al: Any = 1 / L, be: Any = beta, objective: Any = G, out: Any = x) -> od.Algorithm:
    moved = y - al * objective(y)
    return of({x: moved, y: moved + be * (moved - x)}, out)


def descent(step: Any = s, objective: Any = G) -> od.Algorithm:
    return of({x: x - step * objective(x)})


def composed(first: Any, second: Any) -> od.Algorithm:
    between = x - first * G(x)
    return of({x: between - second * G(between)})


def turned(k: Any) -> od.Algorithm:
    """Nesterov in the states w = x + k y, z = y - x."""
    back_y = (w + z) / (1 + k)
    back_x = back_y - z
    moved = back_y - G(back_y) / L
    ahead = moved + beta * (moved - back_x)
    return of({w: moved + k * ahead, z: ahead - moved}, back_x, init={w: (1 + k) * x0, z: 0})


def proximal(order: bool = True, step: Any = s) -> od.Algorithm:
    half = x - step * G(x)
    return (
        of({x: g.prox(half, step)})
        if order
        else of({x: g.prox(x, step) - step * G(g.prox(x, step))})
    )


def implicit_proximal() -> od.Algorithm:
    flow = od.System({"f": {x: -f.grad(x)}, "r": {x: -g.grad(x)}}, output=x)
    scheme = od.scheme("lie_trotter", [("f", "explicit"), ("r", "implicit")])
    return od.Algorithm(flow, scheme, step=h, tuning={h: s})


def fista(change: Any = 1, first: Any = 1, ahead: bool = False) -> od.Algorithm:
    moved = y - G(y) / L
    return of(
        {x: moved, y: moved + change * (t - 1) / GROW * (moved - x), t: GROW}, init={t: first}
    )


def fista_scaled(k: Any = 2) -> od.Algorithm:
    """FISTA with u = t / k in the place of t."""
    grown = (1 + sp.sqrt(1 + 4 * (k * t) ** 2)) / 2
    moved = y - G(y) / L
    return of(
        {x: moved, y: moved + (k * t - 1) / grown * (moved - x), t: grown / k},
        init={t: sp.S.One / k},
    )


def convex(shift: Any = 0, change: Any = 1, extra: bool = False) -> od.Algorithm:
    """y+ = x+ + ((k + 1) / (k + 4)) (x+ - x) with the counter n = k + shift."""
    k = n - shift
    moved = y - change * G(y) / L
    updates = {x: moved, y: moved + (k + 1) / (k + 4) * (moved - x), n: n + 1}
    return of({**updates, **({w: 3 * w + y} if extra else {})}, init={n: shift})


def convex_velocity(be: Any = None) -> od.Algorithm:
    """The same by d = x - x_-: y = x + (k / (k + 3)) d."""
    point = x + (n / (n + 3) if be is None else be) * d
    moved = point - G(point) / L
    return of({x: moved, d: moved - x, n: n + 1}, init={n: 0, d: 0})


def two_copies(weight: Any = HALF) -> od.Algorithm:
    """Gradient descent that asks twice at one point."""
    moved = -s * weight * G(x) - s * (1 - weight) * G(w)
    return of({x: x + moved, w: w + moved})


def kept(first: Any = 1) -> od.Algorithm:
    """Gradient descent that asks for the next gradient at the end of a step."""
    return of({x: x - s * z, z: G(x - s * z)}, init={z: first * G(x0)})


def extra(strength: Any = 1) -> od.Algorithm:
    """Gradient descent with a state that nothing reads, and one that nothing moves."""
    return of(
        {x: x - s * G(x) + (1 - strength) * e, w: 2 * w + x - G(x), e: 3 * e},
        init={e: x0 * (1 - strength)},
    )


def extragradient(first: Any = 1, objective: Any = F.operator) -> od.Algorithm:
    return of({x: x - s * objective(x - first * s * objective(x))})


def extragradient_scaled() -> od.Algorithm:
    """The same in the coordinates w = a x."""
    at = w / a
    return of({w: w - a * s * F.operator(at - s * F.operator(at))}, w / a, init={w: a * x0})


def conformal(
    scale: Any, step: Any = h, friction: Any = c, order: str = "damp kick drift"
) -> od.Algorithm:
    flow = od.System(
        {"damp": {v: -c * v}, "kick": {v: -scale * G(x)}, "drift": {x: v / scale}}, output=x
    )
    parts = [(n, "exact" if n == "damp" else "explicit") for n in order.split()]
    own = h if step == h else r
    tuning = {**({r: step} if step != h else {}), **({c: friction} if friction != c else {})}
    return od.Algorithm(flow, od.scheme("lie_trotter", parts), step=own, tuning=tuning)


def split(order: str) -> od.Algorithm:
    flow = od.System({"kick": {v: -G(x)}, "drift": {x: v}}, output=x)
    parts = {"kd": ("v", "x"), "dk": ("x", "v")}[order]
    return od.Algorithm(flow, od.scheme("semi_implicit_euler", order=parts), step=h)


EQUAL: dict[str, tuple[Build, Build]] = {
    "velocity, and difference": (lambda: velocity(1), difference),
    "velocity in other units": (lambda: velocity(a), difference),
    "velocity in units that depend on the step": (lambda: velocity(sp.sqrt(s) / (1 + b)), difference),
    "velocity in units with roots of roots": (lambda: velocity(sp.sqrt(1 + sp.sqrt(b))), difference),
    "averaging, and difference": (averaging, difference),
    "averaging, and velocity in other units": (averaging, lambda: velocity(a**2)),
    "the two-step form, and difference": (heavy, difference),
    "heavy ball of exponential momentum": (
        lambda: conformal(a), lambda: heavy(h**2, sp.exp(-c * h))),
    "the same with momentum for friction": (
        lambda: conformal(1, h, -sp.log(b) / h), lambda: heavy(h**2, b)),
    "rescaled velocity": (lambda: conformal(a), lambda: od.algorithm("conformal_heavy_ball")),
    "Nesterov in turned coordinates": (lambda: turned(2), nesterov),
    "Nesterov in coordinates with a parameter": (lambda: turned(a), nesterov),
    "Nesterov, momentum by an absolute value": (
        lambda: nesterov(be=sp.Abs(1 - q) / (1 + q)), nesterov),
    "Nesterov, momentum by a maximum": (lambda: nesterov(be=sp.Max(beta, -beta)), nesterov),
    "Nesterov, momentum by a root of a square": (lambda: nesterov(be=sp.sqrt(beta**2)), nesterov),
    "Nesterov, momentum rationalized": (
        lambda: nesterov(be=(L + mu - 2 * sp.sqrt(L * mu)) / (L - mu)), nesterov),
    "gains with nested roots": (
        lambda: descent(sp.sqrt(3 + 2 * sp.sqrt(2)) * s), lambda: descent((1 + sp.sqrt(2)) * s)),
    "a state that nothing reads and one that nothing moves": (extra, descent),
    "a pole that a zero cancels": (lambda: of(
        {x: x - s * G(x) + b * (w - x), w: w - s * G(x)}), descent),
    "two calls at one point": (two_copies, descent),
    "two calls at one point, any weights": (lambda: two_copies(b), descent),
    "the gradient asked for ahead": (kept, descent),
    "the degenerate momentum": (
        lambda: tb.three_parameters(s * (1 - b), b, b / (1 - b), b / (1 - b)), lambda: descent(s)),
    "blocks in another order": (
        lambda: of({p: x, x: (1 + b) * x - b * p - s * G(x)}), heavy),
    "prox, and the implicit gradient": (proximal, implicit_proximal),
    "extragradient in other units": (extragradient_scaled, extragradient),
    "kick-drift and its two-step form": (
        lambda: split("kd"), lambda: heavy(h**2, 1)),
    "FISTA in another clock": (fista_scaled, fista),
    "FISTA in a clock with a parameter": (lambda: fista_scaled(a), fista),
    "convex momentum, a later counter": (lambda: convex(3), convex),
    "convex momentum by differences": (convex_velocity, convex),
    "convex momentum beside an unread state": (lambda: convex(extra=True), convex),
    "an unread state on the other side": (convex_velocity, lambda: convex(2, extra=True)),
    "convex momentum of the library": (lambda: convex(5), lambda: od.algorithm("nesterov_c")),
    "sign descent with another block": (
        lambda: of({y: y - h * od.elementwise(sp.sign, G(y))}, y), lambda: od.algorithm("sign_descent")),
}  # fmt: skip

vanishing = b + (b - sp.Rational(9, 4)) * (b - sp.Rational(4, 9)) * (b - sp.Rational(25, 49)) * s
NEAR: dict[str, tuple[Build, Build]] = {
    "momentum off by 1e-9": (lambda: heavy(be=b * TINY), heavy),
    "momentum off by 1e-30": (lambda: heavy(be=b * (1 + sp.Rational(1, 10**30))), heavy),
    "step off by 1e-9": (lambda: descent(s * TINY), descent),
    "a term that vanishes at special values": (lambda: heavy(be=vanishing), heavy),
    "another parameter": (lambda: descent(1 / L), descent),
    "a sign of the momentum": (lambda: heavy(be=-b), heavy),
    "a sign of the step": (lambda: descent(-s), descent),
    "the start of the velocity": (lambda: of(
        {v: b * v - s * G(x), x: x + b * v - s * G(x)}, init={v: x0}), difference),
    "the start of the velocity off by 1e-9": (
        lambda: of({x: x - s * G(x) + b * (x - p), p: x}, init={p: TINY * x0}), difference),
    "a kick at the start": (lambda: of(
        {v: b * v - s * G(x), x: x + b * v - s * G(x)}, init={v: s * G(x0)}), difference),
    "a delayed gradient": (lambda: of({x: x - s * G(p), p: x}), descent),
    "a delayed gradient in momentum": (
        lambda: of({x: x - s * G(p) + b * (x - p), p: x}), difference),
    "friction after the kick": (lambda: conformal(1, order="kick damp drift"), lambda: conformal(1)),
    "friction after kick and drift": (
        lambda: conformal(1, order="drift kick damp"), lambda: conformal(1)),
    "Nesterov without look-ahead": (lambda: heavy(1 / L, beta), nesterov),
    "Nesterov with the momentum of Polyak": (lambda: nesterov(be=beta**2), nesterov),
    "momentum by an absolute value that is not it": (
        lambda: heavy(be=sp.Abs(1 - b)), lambda: heavy(be=1 - b)),
    "and the other branch": (lambda: heavy(be=sp.Abs(1 - b)), lambda: heavy(be=b - 1)),
    "nested roots that are not equal": (
        lambda: descent(sp.sqrt(3 + 2 * sp.sqrt(2)) * s),
        lambda: descent((1 + sp.sqrt(2)) * s * TINY)),
    "an unstable state that is read": (lambda: extra(sp.Rational(1, 2)), descent),
    "a cancelled pole that the start excites": (lambda: of(
        {x: x - s * G(x) + b * (w - x), w: w - s * G(x)}, init={w: 2 * x0}), descent),
    "the first gradient doubled": (lambda: kept(2), descent),
    "the order of two steps": (lambda: composed(s, r), lambda: composed(r, s)),
    "averaging without its weight": (lambda: of(
        {m: b * m + G(x), x: x - s / (1 - b) * (b * m + G(x))}, init={m: 0}), difference),
    "prox before the gradient": (lambda: proximal(False), proximal),
    "the step of the prox": (lambda: of({x: g.prox(x - s * G(x), s * TINY)}), proximal),
    "extrapolation off by 1e-9": (lambda: extragradient(TINY), extragradient),
    "FISTA off by 1e-9": (lambda: fista(TINY), fista),
    "FISTA from a later clock": (lambda: fista(first=2), fista),
    "FISTA, and the momentum of NAG-C": (fista, convex),
    "convex momentum, step off by 1e-9": (lambda: convex(change=TINY), convex),
    "convex momentum, a counter that starts later": (
        lambda: of({x: y - G(y) / L, n: n + 1, y: (y - G(y) / L) + (n + 2) / (n + 5) * (y - G(y) / L - x)},
                   init={n: 0}), convex),
    "convex momentum that differs from step 9 on": (lambda: convex_velocity(
        n / (n + 3) + sp.Mul(*[n - i for i in range(10)]) / 10**9), convex),
    "the velocity scaled in one place only": (lambda: of(
        {v: b * v - a * s * G(x), x: x + b * v - a * s * G(x)}, init={v: 0}), difference),
}  # fmt: skip


@pytest.mark.parametrize("name", EQUAL)
def test_disguises_are_proved(name: str) -> None:
    one, other = (build() for build in EQUAL[name])
    for found in (one.equivalent(other), other.equivalent(one)):
        assert found.verdict == "proved" and found.same_output, found.reason


@pytest.mark.parametrize("name", NEAR)
def test_near_misses_are_refuted_by_a_right_witness(name: str) -> None:
    one, other = (build() for build in NEAR[name])
    found = one.equivalent(other)
    assert found.verdict == "refuted", found.reason
    if found.witness is not None:
        check_witness(found.witness, one, other)
    else:
        assert "call" in found.reason


RECOGNIZED: dict[str, tuple[Build, str, str, set[str]]] = {
    "rescaled velocity": (lambda: conformal(a), "equal", "conformal_heavy_ball", set()),
    "half the step": (lambda: conformal(a, h / 2), "equal but for", "conformal_heavy_ball", {"time"}),
    "relabelled momentum": (lambda: nesterov(1 / a, (1 - sp.sqrt(b / a)) / (1 + sp.sqrt(b / a))),
                            "equal", "nesterov_sc", set()),
    "an absolute value": (lambda: nesterov(be=sp.Abs(1 - q) / (1 + q)), "equal", "nesterov_sc", set()),
    "another objective's name": (lambda: nesterov(objective=loss.grad), "equal but for", "nesterov_sc", {"oracle"}),
    "an operator": (lambda: nesterov(objective=F.operator), "equal but for", "nesterov_sc", {"oracle"}),
    "another output": (lambda: nesterov(out=2 * x), "equal but for", "nesterov_sc", {"output"}),
    "two steps": (lambda: composed(s, s), "equal but for", "gradient_descent", {"steps"}),
    "a delay": (lambda: of({x: x - G(p) / L, p: x}), "equal but for", "gradient_descent", {"delay", "output"}),
    "an operator in extragradient": (lambda: extragradient(1, G), "equal but for", "extragradient", {"oracle"}),
    "another start": (lambda: of({x: y - G(y) / L, y: y - G(y) / L + beta * (y - G(y) / L - x)},
                                 init={x: 2 * x0}), "equal but for", "nesterov_sc", {"start"}),
    "prox for the implicit gradient": (proximal, "equal", "proximal_gradient", set()),
    "a later counter": (lambda: convex(4), "equal", "nesterov_c", set()),
    "momentum that is ahead": (NEAR["convex momentum, a counter that starts later"][0],
                               "equal but for", "nesterov_c", {"delay"}),
    "sign descent": (EQUAL["sign descent with another block"][0], "equal", "sign_descent", set()),
}  # fmt: skip


@pytest.mark.parametrize("name", RECOGNIZED)
def test_recognized(name: str) -> None:
    build, verdict, known, differences = RECOGNIZED[name]
    found = od.recognize(build())
    assert (found.verdict, found.name, set(found.but_for)) == (verdict, known, differences), (
        found.reason
    )
    assert bool(found) == (verdict == "equal") and all(found.but_for.values())


def test_the_start_is_quoted() -> None:
    found = od.recognize(RECOGNIZED["another start"][0]())
    assert "x = 2*x0, the registered one at x = x0" in found.reason
