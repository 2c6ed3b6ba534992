"""Draws in the limit of small steps: refused where the mean of a step is not the step without them.

What is accepted is compared with the exact mean of one step in coordinates, for random systems in which draws enter
through an oracle's argument, squared, in products of two, element by element and in inner products.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
import sympy as sp

import odescent as od
from odescent._support.errors import NotCarried, NotConsistent
from odescent.discretize.weak.step_moments import step_map
from odescent.dynamics.algebra.products import elementwise, hadamard
from odescent.dynamics.algebra.vectors import Vector, inner
from odescent.dynamics.vector_fields.system import Diffusion, Field

x, u, w = od.blocks("x u w")
h, c, sigma = od.parameters("h c sigma")
f = od.Objective("f")
MEMORIES = (od.Block("u", "vector", "memory"), od.Block("w", "vector", "memory"))
FUNCTIONS = {"f": lambda p: p**4 / 4 + p**3 / 3 - p}  # one coordinate


def of_size_one(drift: Vector, *more: Vector, noise: object = 0) -> od.Algorithm:
    """x moves by the drift, in which u and w are drawn anew in every step; the noise on x is of the size sqrt(h)."""
    fields = {
        "draw": Field({u: 0 * u}, {u: Diffusion(1, "U")}),
        "other": Field({w: 0 * w}, {w: Diffusion(1, "V")}),
        "move": Field({x: drift}, {} if noise == 0 else {x: Diffusion(noise)}),
    }
    scheme = od.Scheme(
        (
            od.Let({u: 0, w: 0}),
            od.Flow("draw", "explicit"),
            od.Flow("other", "explicit"),
            od.Let({u: u / sp.sqrt(h), w: w / sp.sqrt(h)}),
            *(od.Let({x: e}) for e in more),
            od.Flow("move", "explicit"),
        )
    )
    return od.Algorithm(od.System(fields, output=x, blocks=MEMORIES), scheme, h)


NONLINEAR: dict[str, Vector] = {
    "an oracle's argument": -f.grad(x + c * u),
    "a direction": -f.hess(x, u) + f.third(x, u, u),
    "two points": -(f.value(x + c * u) - f.value(x)) / c * u,
    "central differences": -(f.value(x + c * u) - f.value(x - c * u)) / (2 * c) * u,
    "squared": hadamard(u, u),
    "a product of two draws": hadamard(u, w),
    "an inner product": inner(u, u) * x,
    "an inner product of two": inner(u, w) * x,
    "along itself": inner(u, f.grad(x)) * u,
    "a squared factor": hadamard(u, hadamard(u, f.grad(x))),
    "a function": elementwise(sp.cos, u),
    "a kink": elementwise(sp.sign, u),
    "a parameter of an oracle": od.Map("f")(x, inner(u, x)),
}


@pytest.mark.parametrize("how", NONLINEAR)
def test_what_is_not_linear_in_a_draw_has_no_limit_here(how: str) -> None:
    made = of_size_one(NONLINEAR[how])
    asks: list[Callable[[], object]] = [
        made.consistent_with, made.modified_equation, lambda: made.modified_equation(2),
        made.derivation
    ]  # fmt: skip
    for ask in asks:
        with pytest.raises(NotCarried, match="an average over the draws"):
            ask()
    if how != "a parameter of an oracle":
        assert "xi" in str(made)  # what it does is known


def test_what_is_linear_in_a_draw_has_the_limit_of_its_mean() -> None:
    linear = -f.grad(x) + c * u + hadamard(f.grad(x), u) + inner(f.grad(x), w) * x + f.hess(x, u)
    assert of_size_one(linear).consistent_with().drift == {x: -f.grad(x)}
    assert of_size_one(linear, noise=sigma).modified_equation(0).drift == {x: -f.grad(x)}
    on_state = of_size_one(linear, noise=f.grad(x))
    assert on_state.consistent_with().drift == {x: -f.grad(x)}


def test_draws_that_no_step_makes_small() -> None:
    """A state that is moved by the draw itself has another noise than its system, however small the step."""
    with pytest.raises(NotConsistent, match="gives x and x 1/h of the covariance of one increment"):
        of_size_one(-f.grad(x), x + u)


def with_memory(first: Vector) -> od.Algorithm:
    """x becomes what is given, in which w = w_/2 + xi of the step before; then x moves by -grad f."""
    fields = {"draw": Field({u: 0 * u}, {u: Diffusion(1)}), "move": {x: -f.grad(x)}}
    system = od.System(fields, output=x, blocks=MEMORIES)
    half = sp.Rational(1, 2)
    steps = (
        od.Let({x: first}), od.Let({u: 0}), od.Flow("draw", "explicit"),
        od.Let({w: w * half + u / sp.sqrt(h)}), od.Flow("move", "explicit"),
    )  # fmt: skip
    return od.Algorithm(system, od.Scheme(steps), h)


def test_memories_of_draws() -> None:
    """Noise that several steps share: its mean is known where it enters in proportion, times the step."""
    assert with_memory(x + h * hadamard(f.grad(x), w)).consistent_with().drift == {x: -f.grad(x)}
    with pytest.raises(NotCarried, match="memory w times the root of the step"):
        with_memory(x + sp.sqrt(h) * hadamard(x, w)).consistent_with()
    with pytest.raises(NotCarried, match="not linear in w"):
        with_memory(x + h * hadamard(w, w)).consistent_with()
    with pytest.raises(NotCarried, match="not linear in w"):
        with_memory(x + h * f.grad(w)).consistent_with()


def test_squares_of_noise_of_the_size_of_a_root_make_a_drift() -> None:
    """x -> x + (sqrt(h) xi)^2 has the mean x + h: put to zero, the draw would lose a drift of 1."""
    system = od.System({"noise": Field({u: 0 * u}, {u: Diffusion(1)}), "move": {x: -f.grad(x)}},
                       output=x, blocks=MEMORIES[:1])  # fmt: skip
    steps = [
        od.Let({u: 0}), od.Flow("noise", "explicit"), od.Flow("move", "explicit"),
        od.Let({x: x + hadamard(u, u)}),
    ]  # fmt: skip
    made = od.Algorithm(system, od.Scheme(steps), h)
    at = sp.Symbol("x", real=True)
    mean = sp.Poly(step_map(made, 1, FUNCTIONS).mean(at), h).coeff_monomial(h)
    assert mean.subs(at, 0) == 1 + 1  # -f'(0) = 1, and the square
    with pytest.raises(NotCarried, match="not linear in xi"):
        made.consistent_with()
    cubed = od.Scheme([*steps[:-1], od.Let({x: x + hadamard(u, hadamard(u, u))})])
    assert od.Algorithm(system, cubed, h).consistent_with().drift == {x: -f.grad(x)}


def test_jumps() -> None:
    """A jump moves by its own size, and in proportion to its mark; what is not in proportion makes a drift."""
    fields = {"move": {x: -f.grad(x)}, "jump": Field({x: 0 * x}, {x: od.Jumps(x, c)})}
    system = od.System(fields, output=x)
    after = od.Scheme([od.Flow("jump", "explicit"), od.Flow("move", "explicit")])
    assert od.Algorithm(system, after, h).consistent_with().drift == {x: -f.grad(x)}
    squared = od.Scheme(
        [*after.steps, od.Let({x: hadamard(x, x)}), od.Let({x: elementwise(sp.sqrt, x)})]
    )
    with pytest.raises(NotConsistent, match="in another way than by its increments"):
        od.Algorithm(system, squared, h)


def a_drift(r: random.Random) -> Vector:
    """A sum of terms in which draws may enter any way, in one coordinate."""

    def point() -> Vector:
        return r.choice([x, x, x + u, x + sp.sqrt(h) * u, x - c * w, u])

    def scalar() -> sp.Expr:
        return r.choice(
            [sp.Integer(1), c, sp.Integer(-2), inner(u, x), inner(u, w), inner(x, x), f.value(x)]
        )

    def term() -> Vector:
        atom = r.choice([
            x, u, w, f.grad(point()), f.grad(x), f.hess(x, r.choice([u, x])),
            hadamard(r.choice([u, w, x]), r.choice([u, x, f.grad(x)])), f.third(x, u, r.choice([u, w, x])),
        ])  # fmt: skip
        return atom * r.choice([scalar(), sp.Integer(1), sp.Integer(1), c, sp.sqrt(h)])

    return -f.grad(x) + sum((term() for _ in range(r.choice([1, 1, 2]))), 0 * x)


@pytest.mark.parametrize("part", range(3))
def test_the_limit_of_random_steps_is_the_limit_of_their_mean(part: int) -> None:
    """Accepted: the drift is the coefficient of h in the exact mean of a step. Refused: some draw is not linear."""
    r = random.Random(part)
    accepted = refused = 0
    at = sp.Symbol("x", real=True)
    for _ in range(25):
        try:
            made = of_size_one(a_drift(r), noise=r.choice([0, sigma, f.grad(x), x]))
            limit = made.consistent_with()
        except NotCarried:
            refused += 1
            continue
        except od.OdescentError as error:
            assert "sqrt(h)" in str(error) or "has no expansion" in str(error), error
            continue
        accepted += 1
        step = step_map(made, 1, FUNCTIONS)
        mean = sp.expand(step.mean(at) - at)
        drift = sp.limit(mean / h, h, 0)
        grad = sp.diff(FUNCTIONS["f"](at), at)
        flow = od.Algorithm(limit, od.scheme("explicit_euler"), h)
        wanted = step_map(flow, 1, FUNCTIONS).mean(at) - at
        assert sp.expand(drift - wanted / h) == 0, (made.bound.drift, drift, grad)
    assert accepted >= 3 and refused >= 3
