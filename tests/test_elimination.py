"""Quasi-Newton steps written by hand keep their digits where points, or gradients, are close or tiny."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp
from emitted_runs import load

import odescent as od
from odescent.dynamics import start
from odescent.dynamics.algebra.calculus import substitute, vanishes
from odescent.dynamics.algebra.vectors import Vector, VectorSymbol
from odescent.dynamics.evaluation.differences import with_differences
from odescent.dynamics.evaluation.evaluate import evaluate

NAMES = "x y p v s2 d2 s3 d3"
h = od.parameters("h")
f = od.Objective("f")
Inner = Callable[[Any, Any], Any]
Step = Callable[[Any, Inner], dict[str, Any]]
STEPS: dict[str, Step] = {}


class Values(dict[str, Any]):
    """Vectors by name, of either kind."""

    __getattr__ = dict.__getitem__


def step(written: Step) -> Step:
    STEPS[written.__name__] = written
    return written


def _moved(z: Any, direction: Any) -> dict[str, Any]:
    return {"x": z.x - direction * z.h, "y": z.x, "p": z.g}


def _two_loops(z: Any, pairs: list[tuple[Any, Any]], inner: Inner) -> Any:
    """The direction of L-BFGS, the newest pair first. Nocedal, doi:10.1090/S0025-5718-1980-0572855-7."""
    q, alphas = z.g, []
    for s, d in pairs:
        alphas.append(inner(s, q) / inner(d, s))
        q = q - d * alphas[-1]
    s, d = pairs[0]
    r = q * (inner(s, d) / inner(d, d))
    for (s, d), a in reversed([*zip(pairs, alphas, strict=True)]):
        r = r + s * (a - inner(d, r) / inner(d, s))
    return r


@step
def memoryless_bfgs(z: Any, inner: Inner) -> dict[str, Any]:
    return _moved(z, _two_loops(z, [(z.x - z.y, z.g - z.p)], inner))


@step
def lbfgs_of_two(z: Any, inner: Inner) -> dict[str, Any]:
    s, d = z.x - z.y, z.g - z.p
    return {**_moved(z, _two_loops(z, [(s, d), (z.s2, z.d2)], inner)), "s2": s, "d2": d}


@step
def lbfgs_of_three(z: Any, inner: Inner) -> dict[str, Any]:
    s, d = z.x - z.y, z.g - z.p
    pairs = [(s, d), (z.s2, z.d2), (z.s3, z.d3)]
    kept = {"s2": s, "d2": d, "s3": z.s2, "d3": z.d2}
    return {**_moved(z, _two_loops(z, pairs, inner)), **kept}


@step
def memoryless_dfp(z: Any, inner: Inner) -> dict[str, Any]:
    s, d = z.x - z.y, z.g - z.p
    return _moved(z, z.g - d * (inner(d, z.g) / inner(d, d)) + s * (inner(s, z.g) / inner(s, d)))


@step
def memoryless_rank_one(z: Any, inner: Inner) -> dict[str, Any]:
    s, d = z.x - z.y, z.g - z.p
    scale = inner(s, d) / inner(d, d) / 2
    rest = s - d * scale
    return _moved(z, z.g * scale + rest * (inner(rest, z.g) / inner(rest, d)))


@step
def powell_broyden(z: Any, inner: Inner) -> dict[str, Any]:
    """Its denominators do not have the difference of the gradients in them."""
    s = z.x - z.y
    square, rest = inner(s, s), z.g - z.p - s
    along = inner(s, z.g) / square
    return _moved(
        z, z.g + s * (inner(rest, z.g) / square) + rest * along - s * (inner(s, rest) * along / square)
    )  # fmt: skip


@step
def anderson(z: Any, inner: Inner) -> dict[str, Any]:
    """Anderson, doi:10.1145/321296.321305, with one difference."""
    s, d = z.x - z.y, z.g - z.p
    share = inner(z.g, d) / inner(d, d)
    return {"x": z.x - s * share - (z.g - d * share) * z.h, "y": z.x, "p": z.g}


@step
def anderson_of_two(z: Any, inner: Inner) -> dict[str, Any]:
    s, d = z.x - z.y, z.g - z.p
    a, b, c = inner(d, d), inner(d, z.d2), inner(z.d2, z.d2)
    u, w = inner(d, z.g), inner(z.d2, z.g)
    one, other = (c * u - b * w) / (a * c - b * b), (a * w - b * u) / (a * c - b * b)
    rest = z.g - d * one - z.d2 * other
    return {"x": z.x - s * one - z.s2 * other - rest * z.h, "y": z.x, "p": z.g, "s2": s, "d2": d}


@step
def hager_zhang(z: Any, inner: Inner) -> dict[str, Any]:
    """Hager, Zhang, doi:10.1137/030601880."""
    d = z.g - z.p
    beta = inner(d - z.v * (2 * inner(d, d) / inner(d, z.v)), z.g) / inner(d, z.v)
    v = z.v * beta - z.g
    return {"x": z.x + v * z.h, "p": z.g, "v": v}


@step
def polak_ribiere_polyak(z: Any, inner: Inner) -> dict[str, Any]:
    """One step of it from p as the direction, with its factor cut at zero: |p|^2 stays as it is."""
    along = inner(z.g, z.g - z.p)
    cut = sp.Max(0, along) if isinstance(along, sp.Expr) else max(0 * along, along)
    return {"x": z.x - (z.g - (z.p - z.g) * (cut / inner(z.p, z.p))) * z.h, "p": z.g}


@step
def reflected(z: Any, inner: Inner) -> dict[str, Any]:
    d = z.g - z.p
    return {"x": z.x - (z.p - d * (2 * inner(d, z.p) / inner(d, d))) * z.h, "p": z.g}


@cache
def _emitted(name: str) -> Any:
    """The method's module for NumPy."""
    blocks = {b.name: b for b in od.blocks(NAMES)}
    known = Values({**blocks, "h": h, "g": f.grad(blocks["x"])})
    new = {blocks[k]: e for k, e in STEPS[name](known, od.inner).items()}
    init = {b: start for b in new if b.name != "x"}
    return load(od.method(new, output=blocks["x"], init=init, name="secant"), "numpy")


CASES = {
    "close": {"move": 1e-8, "change": 1e-8},
    "close, at the origin": {"move": 1e-8, "change": 1e-8, "far": 0},
    "after a step that nearly hit": {"slope": 1e-8, "far": 0},
    "after one that left a saddle": {"before": 1e-8, "far": 0},
    "along a flat direction": {"move": 1e-4, "change": 1e-9, "far": 0},
}


def _given(
    rng: np.random.Generator,
    move: float = 1.0,
    change: float = 1.0,
    far: float = 1.0,
    slope: float = 1.0,
    before: float | None = None,
) -> Values:
    """Points ``far`` from the origin that differ by ``move``, gradients of size ``slope`` that differ by ``change``.

    Or the earlier gradient is of size ``before``.
    """
    draw = iter(rng.normal(size=(10, 3)))
    x, g = far * next(draw), slope * next(draw)
    y, p = x - move * next(draw), g - change * next(draw)
    more = {"v": 1.0, "s2": move, "d2": change, "s3": move, "d3": change}
    more |= {} if before is None else {"p": before}
    return Values(
        {"x": x, "g": g, "y": y, "p": p, "h": 0.3} | {k: c * next(draw) for k, c in more.items()}
    )


def _off(exact: dict[str, Any], found: dict[str, Any]) -> float:
    """The largest error of the point and of the direction."""
    return max(
        float(max(abs(exact[k] - found[k])) / max(abs(exact[k]))) for k in exact if k in "xv"
    )


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", STEPS)
def test_a_secant_step_keeps_the_digits_of_its_formula(name: str, case: str) -> None:
    module, written, errors = _emitted(name), STEPS[name], []
    c, rng = module.coefficients(h=0.3), np.random.default_rng(0)
    with mpmath.workdps(60):
        for _ in range(10):
            z = _given(rng, **CASES[case])
            state = module.State(**{k: z[k] for k in module.State._fields})
            made = module.step(state, lambda _, z=z: z.g, c)._asdict()
            precise = {k: np.vectorize(mpmath.mpf, otypes=[object])(e) for k, e in z.items()}
            exact = written(Values(precise), lambda u, v: (u * v).sum())
            errors.append((_off(exact, made), _off(exact, written(z, np.dot))))
    ours, textbook = np.median(errors, axis=0)
    assert ours <= 20 * textbook + 5e-16


def _random(seed: int) -> Vector:
    """A vector of products of three and more vectors and differences, some with denominators."""
    r = random.Random(seed)
    names = [VectorSymbol(name) for name in "abcde"[: r.randint(3, 5)]]
    names += [f.grad(names[0])] if r.random() < 0.3 else []

    def vector(depth: int) -> Vector:
        if depth == 0 or r.random() < 0.3:
            one, other = r.sample(names, 2)
            return one - other if r.random() < 0.7 else one
        factor = od.inner(vector(0), vector(0))
        if r.random() < 0.3:
            factor = factor / od.inner(*[vector(0)] * 2)
        made = vector(depth - 1) * factor
        return made + vector(depth - 1) * h if r.random() < 0.3 else made

    return vector(2) + vector(3)


def test_what_is_eliminated_is_put_back_by_what_its_names_stand_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    changed = 0
    for seed in range(24):
        e, rng = _random(seed), np.random.default_rng(seed)
        short, made = with_differences(e)
        changed += len(made) > 0
        known: dict[Any, Vector] = {}
        for name, v in made:
            known[name] = substitute(v, known)
        assert vanishes(substitute(short, known) - e)
        at: dict[Any, Any] = {s: rng.normal(size=3) for s in e.free_symbols if s != h} | {h: 0.3}
        found = evaluate(e, at, {"grad": np.sin}, np)
        with monkeypatch.context() as patch:
            patch.setattr(
                "odescent.dynamics.evaluation.evaluate.with_differences", lambda e: (e, ())
            )
            wanted = evaluate(e, at, {"grad": np.sin}, np)
        np.testing.assert_allclose(found, wanted, rtol=1e-8, atol=1e-8 * np.max(np.abs(wanted)))
    assert changed > 12
