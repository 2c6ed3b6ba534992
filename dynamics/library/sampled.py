"""Flows with samples (zeroth-order, sketched, Hutchinson's diagonal) and of averages that follow the motion."""

from __future__ import annotations

from typing import Any, TypeAlias

import sympy as sp

from ..._support.errors import check_choice
from ..._support.numbers import check_whole
from ..algebra.calculus import derivative
from ..algebra.products import elementwise, hadamard
from ..algebra.scalars import parameters
from ..algebra.vectors import Vector, inner, zero
from ..flows.system import System
from ..samples.sample import sample
from ..vector_fields.block import Block, blocks
from ..vector_fields.maps import named_map
from ..vector_fields.objective import Objective

Fields: TypeAlias = "dict[str, dict[Any, Any]]"


def zeroth_order_flow(
    law: str = "normal", difference: str = "central", deferred: bool = False
) -> System:
    """x' = -((f(x + r z) - f(x - r z))/(2 r)) z along a sample z: the flow of a smoothed f, in the mean.

    ``difference`` "forward" makes it -((f(x + r z) - f(x))/r) z; ``law`` is that of the sample, see `od.sample`. The
    radius r stays where the step tends to zero. Where it is ``deferred``, memories m and c, of a sample and of a move
    along it, wait for a scheme, and the output x + c m has moved already.
    """
    x, m, c = blocks("x"), Block("m", role="memory"), Block("c", "scalar", "memory")
    z = sample("z", law, like=x)
    output = x + c.symbol * m.symbol if deferred else x
    return System(
        {"descent": {x: z * fall_along(z, x, difference)}}, output=output, name="zeroth_order_flow",
        blocks=[m, c] if deferred else (), references=("nesterov2017",),
    )  # fmt: skip


def fall_along(z: Vector, x: Vector, difference: str = "central") -> sp.Expr:
    """How fast f falls at x along z, by a central or a forward difference at the radius r."""
    check_choice("difference", difference, ("central", "forward"))
    f, r = Objective("f"), parameters("r")
    if difference == "central":
        return (f.value(x - r * z) - f.value(x + r * z)) / (2 * r)
    return (f.value(x) - f.value(x + r * z)) / r


def sketched_flow(rows: int = 2) -> System:
    """x' = -R^T R g with s independent rows of R, normals of variance 1/s: s numbers of g are known.

    Mean and covariance are those of the mean of s central differences along normals.
    """
    check_whole("rows", rows, 1, 128)
    x = blocks("x")
    return System(
        {"descent": {x: -sketched(Objective("f").grad(x), rows, like=x)}}, output=x,
        name="sketched_flow", references=("song2023",),
    )  # fmt: skip


def sketched(v: Vector, rows: int, like: Vector) -> Vector:
    """R^T R v, R of so many independent normal rows of variance 1/rows."""
    samples = [sample(f"z{i}", like=like) for i in range(1, rows + 1)]
    return sum((z * (inner(z, v) / rows) for z in samples), zero)


def minibatch_flow(private: bool = False) -> System:
    """x' = -(the gradient over a batch of rows that a sample picks): gradient flow, in the mean.

    Where it is ``private``, this gradient is clipped to the length bound, and normals of standard deviation sigma are
    added to its entries; the mean is then the flow of the clipped gradients.
    """
    x, u = blocks("x"), sample("u", "rows")
    return System(
        {"descent": {x: -one_gradient(x, u, sample("n", like=x) if private else None)}},
        output=x, name="minibatch_flow", references=("robbins1951", *["abadi2016"] * private),
    )  # fmt: skip


def one_gradient(x: Vector, u: sp.Expr, noise: Vector | None) -> Vector:
    """The gradient over the rows that u picks; with noise, clipped to the length bound, plus sigma times the noise."""
    g: Vector = Objective("f").batch(x, u)
    if noise is None:
        return g
    bound, sigma = parameters("bound sigma")
    private: Vector = named_map("ball", r=bound)(g) + sigma * noise
    return private


def gradient_of_batch(x: Vector, batched: bool) -> tuple[Vector, Fields, list[Block]]:
    """The gradient, or that of a batch of b rows, with the block b, from b0 on, and the field that holds it."""
    f = Objective("f")
    if not batched:
        return f.grad(x), {}, []
    rows = Block("b", "scalar", "coefficient", parameters("b0"))
    g = f.batch(x, sample("u", "rows"), rows.symbol)
    return g, {"hold": {rows.symbol: 0}}, [rows]


def adahessian() -> System:
    """Averages m of g and v of (z * H z)^2 at the rates a and b, z signs, and x' = -mhat / (sqrt(vhat) + eps).

    mhat and vhat divide by 1 - exp(-a t) and 1 - exp(-b t), as in Adam's flow. In the mean v follows the row norms of
    the Hessian, sum_j H_ij^2, not its diagonal.
    """
    x, m, v = blocks("x m v")
    a, b, eps, t = parameters("a b eps t")
    f, z = Objective("f"), sample("z", "rademacher", like=x)
    entries = hadamard(z, f.grad(x, along=(z,)))
    mean, square = 1 - sp.exp(-a * t), 1 - sp.exp(-b * t)
    direction = elementwise(lambda m_, v_: (m_ / mean) / (sp.sqrt(v_ / square) + eps), m, v)
    return System(
        {
            "first": {m: a * (f.grad(x) - m)},
            "second": {v: b * (hadamard(entries, entries) - v)},
            "drift": {x: -direction},
        },
        output=x, time=t, name="adahessian", references=("yao2021",),
    )  # fmt: skip


def averaged_gradient_flow(
    correction: str = "", normalized: bool = False, batched: bool = False
) -> System:
    """d' = (g - d)/T, x' = -d: an average of gradients lags behind by T H g, which a correction takes away.

    ``correction`` "look_ahead" asks for g at x - tau d, which for tau = T leaves (T^2/2) D^3f[g, g]; "hessian" adds
    H x' to d', and then d - g obeys (d - g)' = -(d - g)/T: no lag at all. ``normalized`` moves by d/|d|. Where it is
    ``batched``, g is a gradient over random rows or outcomes, and H the derivative of another one.
    """
    x, d = blocks("x d")
    T, tau = parameters("T tau")
    f = Objective("f")
    check_choice("correction", correction, ("", "look_ahead", "hessian"))
    speed: Vector = d / sp.sqrt(inner(d, d)) if normalized else d
    place = x - tau * speed if correction == "look_ahead" else x
    asked = f.batch(place, sample("u", "rows")) if batched else f.grad(place)
    fields = {"average": {d: (asked - d) / T}}
    if correction == "hessian":
        other = f.batch(x, sample("w", "rows")) if batched else f.grad(x)
        fields["transport"] = {d: -derivative(other, {x: speed})}
    return System(
        {**fields, "descent": {x: -speed}}, output=x, init={d: f.grad(x)} if normalized else None,
        name="averaged_gradient_flow", references=("arnold2019", "fatkhullin2023"),
    )  # fmt: skip
