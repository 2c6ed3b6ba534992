"""Methods that are none of the registered ones, for tests of the verdict and a benchmark of its time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import sympy as sp

import odescent as od
from odescent.dynamics.algebra.products import apply, outer
from odescent.dynamics.algebra.vectors import inner

x, y, m, v, w, p, q = od.blocks("x y m v w p q")
n = od.blocks("n", kind="scalar")
P = od.blocks("P", kind="symmetric")
M = od.blocks("M", kind="matrix")
a, b, c, d, h, s = od.parameters("a b c d h s")
f = od.Objective("f")
G = f.grad
HALF, THIRD = sp.Rational(1, 2), sp.Rational(1, 3)
FINE = sp.Rational(1001, 1000)


def of(updates: Mapping[Any, Any], **options: Any) -> od.Algorithm:
    """The method with these updates; its output is x."""
    return od.method(dict(updates), output=x, **options)


def flow(fields: Mapping[Any, Any], scheme: Any, **options: Any) -> od.Algorithm:
    """A scheme's step of the system with these fields."""
    return od.Algorithm(od.System(dict(fields), output=x, **options), scheme)


def splitting(fields: Mapping[str, Any], **steps: str) -> od.Algorithm:
    """The fields one after the other, each by its integrator."""
    rules = [(name, steps.get(name, "explicit")) for name in fields]
    return flow(fields, od.scheme("lie_trotter", rules))


def wise(function: Callable[..., Any], *of: Any) -> Any:
    """A function of each entry."""
    return od.elementwise(function, *of)


def drag(power: Any, scheme: Any, rate: Any = s) -> od.Algorithm:
    """A ball whose friction grows with its speed."""
    fields = {
        "friction": {v: -c * v - rate * inner(v, v) ** power * v}, "force": {v: -G(x)}, "velocity": {x: v},
    }  # fmt: skip
    return flow(fields, scheme)


def noisy(fields: Mapping[Any, Any], scheme: str = "explicit_euler", **noises: Any) -> od.Algorithm:
    """A scheme's step of a system with noise."""
    parts = {k: od.Field({}, {x: noise}) for k, noise in noises.items()}
    return flow({"drift": dict(fields), **parts}, od.scheme(scheme))


SEMI = ("v", "x")
KICK = {"force": {v: -G(x)}, "velocity": {x: v}}
# By name, what makes the method; it is none of the registered ones for any values of their parameters.
METHODS: dict[str, Callable[[], od.Algorithm]] = {
    # linear, of constant coefficients
    "one state, two calls": lambda: of({x: x - s * G(x) - h * G(x - 2 * s * G(x))}),
    "one state, four calls": lambda: flow({"all": {x: -G(x) - c * x}}, od.scheme("rk4")),
    "two states": lambda: of({x: x + a * (x - p) - b * G(x + c * (x - p)) - d * G(x), p: x}),
    "two states, an average": lambda: of({m: m + a * (G(x) - m), x: x - s * m - h * G(x) - b * x}),
    "two states by Heun": lambda: flow({"all": {v: -c * v - G(x), x: v}}, od.scheme("heun")),
    "two states, the mean of two calls": lambda: of({v: a * v - s * (G(x) + G(x + v)), x: x + v - c * G(x)}),
    "three states": lambda: of({x: x + a * (x - p) + b * (p - q) - s * G(x + c * (x - p)), p: x, q: p}),
    "three states, two averages": lambda: of({m: a * m + G(x), v: b * v + m, x: x - s * v - h * m - d * x}),
    "four states": lambda: of(
        {x: x + a * (x - p) + b * (p - q) + c * (q - w) - s * G(x), p: x, q: p, w: q}),
    "three states in numbers": lambda: of(
        {x: x + (x - p) / 3 + (p - q) / 7 - G(x + (x - p) / 5) / 11, p: x, q: p}),
    # exponentials, roots, thousandth powers
    "an exponential": lambda: splitting(
        {"friction": {v: -c * v}, "spring": {v: -a * x}, **KICK}, friction="exact"),
    "two exponentials": lambda: splitting(
        {"friction": {v: -c * v}, "spring": {v: -s * (x - m)}, **KICK, "mean": {m: a * (x - m)}},
        friction="exact", mean="exact"),
    "three exponentials": lambda: splitting(
        {"friction": {v: -c * v}, "spring": {v: -s * (x - m)}, **KICK, "mean": {m: a * (x - m)},
         "decay": {x: -b * x}}, friction="exact", mean="exact", decay="exact"),
    "roots": lambda: of({x: x + (sp.sqrt(a) - sp.sqrt(b)) * (x - p) - G(x + sp.sqrt(c) * (x - p)) / sp.sqrt(d)
                         - s * G(x), p: x}),
    "a nested root": lambda: of(
        {x: x + sp.sqrt(1 + sp.sqrt(a)) * (x - p) - s * G(x + b * (x - p)) - c * x, p: x}),
    "thousandth powers": lambda: of(
        {x: x + sp.Rational(19, 20) ** FINE * (x - p) - s ** FINE * G(x + b * (x - p)) - c * x, p: x}),
    "thousandth powers of parameters": lambda: of(
        {x: x + a ** FINE * (x - p) - h * G(x) - d * x, p: x}),
    "thousandth powers, three states": lambda: of(
        {x: x + a ** FINE * (x - p) + b ** FINE * (p - q) - s * G(x), p: x, q: p}),
    # coefficients that change
    "time in the momentum": lambda: of(
        {x: y - s * G(y), p: x, y: x + (n + a) / (n + b) * (x - p) + c * (x - y), n: n + 1}, init={n: 0}),
    "time in the step": lambda: of(
        {x: x - s / (n + a) * G(x) - b / (n + 1) * x, n: n + 1}, init={n: 0}),
    "time in both, three states": lambda: of(
        {x: x + n / (n + 3) * (x - p) + a / (n + 2) * (p - q) - s / (n + 1) * G(x), p: x, q: p, n: n + 1},
        init={n: 0}),
    "a decaying step": lambda: of({x: x - s * n * G(x) - b * (1 - n) * x, n: a * n}, init={n: 1}),
    # not linear
    "hyperbolic tangent": lambda: of({x: x - h * wise(sp.tanh, G(x))}),
    "hyperbolic tangent of an average": lambda: of({m: b * m + (1 - b) * G(x), x: x - h * wise(sp.tanh, m)},
                                                   init={m: 0}),
    "Adam with eps inside": lambda: of(
        {m: a * m + (1 - a) * G(x), v: b * v + (1 - b) * wise(lambda z: z**2, G(x)),
         x: x - h * wise(lambda z, r: z / sp.sqrt(r + c), a * m + (1 - a) * G(x),
                         b * v + (1 - b) * wise(lambda z: z**2, G(x)))}, init={m: 0, v: 0}),
    "signs of an average, with decay": lambda: of(
        {m: a * m + (1 - a) * G(x), x: x - h * wise(sp.sign, b * m + (1 - b) * G(x)) - c * x}, init={m: 0}),
    "a logarithm": lambda: of({x: x - h * wise(lambda z: sp.sign(z) * sp.log(1 + sp.Abs(z)), G(x))}),
    "the arc tangent": lambda: of({x: x - h * wise(sp.atan, G(x))}),
    "clipping, smooth": lambda: of({x: x - h * G(x) / sp.sqrt(1 + s * inner(G(x), G(x)))}),
    "a drag by the square of the speed": lambda: drag(1, od.scheme("semi_implicit_euler", order=SEMI)),
    "a drag by Heun": lambda: drag(1, od.scheme("heun")),
    "a drag by a thousandth power": lambda: drag(
        sp.Rational(1, 1000), od.scheme("semi_implicit_euler", order=SEMI)),
    "a step by the length of an average": lambda: of(
        {m: a * m + G(x), x: x - h / sp.sqrt(1 + inner(m, m)) * m}, init={m: 0}),
    # with noise
    "noise on a momentum": lambda: noisy({x: v - G(x), v: -c * v - 2 * G(x)}, one=od.Diffusion(a, "W")),
    "noise in proportion": lambda: noisy({x: -G(x)}, one=od.Diffusion(x, "W")),
    "two noises, one in proportion": lambda: noisy(
        {x: -G(x)}, one=od.Diffusion(a, "W"), two=od.Diffusion(b * x, "B")),
    # Hessians and matrices
    "Newton, regularized, twice the Hessian": lambda: of(
        {x: x - od.linear_solve(f.hessian(x) * 2 + od.identity * (sp.sqrt(inner(G(x), G(x))) / h), G(x))}),
    "a gradient, and the Hessian on it": lambda: of({x: x - s * G(x) + h * apply(f.hessian(x), G(x)) - b * x}),
    "a filter's inverse with decay": lambda: of(
        {P: P * b + outer(G(x), G(x)) * h,
         x: x - od.linear_solve(P * b + outer(G(x), G(x)) * h, G(x)) * s}, init={P: od.identity * a}),
    "a matrix that learns": lambda: of(
        {M: M * a + outer(G(x), x) * h, x: x - s * G(x) - b * apply(M, G(x))}, init={M: 0}),
}  # fmt: skip
