"""The single loops of bilevel optimization as registered methods: textbook forms, near misses, what they become."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

import odescent as od
from odescent.dynamics import vanishes

x, y, z, v = od.blocks("x y z v")
F, G = od.Objective("F", args=("x", "y")), od.Objective("G", args=("x", "y"))
h, a, sigma, epsilon = od.parameters("h a sigma epsilon")


def penalty(share: object = 1) -> od.Algorithm:
    """Kwon et al. 2023, algorithm 1 without noise: multiplier 1/sigma, lower steps a."""
    gap = G.grad(x, y, wrt="x") - share * G.grad(x, z, wrt="x")
    return od.method(
        {
            x: x - h * (F.grad(x, y, wrt="x") + gap / sigma),
            y: y - a * (sigma * F.grad(x, y, wrt="y") + G.grad(x, y, wrt="y")),
            z: z - a * G.grad(x, z, wrt="y"),
        },
        output=x,
        init={y: od.dynamics.zero, z: od.dynamics.zero},
    )


def implicit(sign: int = 1) -> od.Algorithm:
    """Dagreou et al. 2022, SOBA without noise: v solves G_yy v = F_y."""
    return od.method(
        {
            x: x - h * (F.grad(x, y, wrt="x") - sign * G.grad(x, y, wrt="x", along=({"y": v},))),
            y: y - a * G.grad(x, y, wrt="y"),
            v: v + a * (F.grad(x, y, wrt="y") - G.grad(x, y, wrt="y", along=({"y": v},))),
        },
        output=x,
        init={y: od.dynamics.zero, v: od.dynamics.zero},
    )


def registered(name: str) -> od.Algorithm:
    more = {"rho": 1} if name == "penalty_bilevel" else {}
    return od.algorithm(name).bind(**more).bind({epsilon: h / a})


TEXTBOOK = {
    "penalty_bilevel": (penalty(), penalty(2)),
    "implicit_bilevel": (implicit(), implicit(-1)),
}


@pytest.mark.parametrize("name", TEXTBOOK)
def test_it_is_the_textbooks_and_not_a_near_miss(name: str) -> None:
    textbook, near = TEXTBOOK[name]
    assert registered(name).equivalent(textbook).verdict == "proved"
    assert registered(name).equivalent(near).verdict != "proved"
    assert od.recognize(od.algorithm(name)).name == name


@pytest.mark.parametrize("name", TEXTBOOK)
def test_it_becomes_its_system_and_settles_on_the_lower_level(name: str) -> None:
    """With lower steps of a fixed share of the upper one, the limit is the flow of the upper level at rest."""
    method = od.algorithm(name)
    found = method.replace(where={epsilon: h / a}).consistent_with()
    (slow,) = [s for s, e in found.drift.items() if str(s) == "x" and e]
    reduced = od.system(name).reduced(0)
    assert vanishes(found.drift[slow] - reduced.drift[x])


@pytest.mark.parametrize("name", TEXTBOOK)
def test_a_run_ends_where_the_upper_level_is_least(name: str) -> None:
    """F = |x - 1|^2 + |y|^2/2 along y = x: x = 2/3 for each entry; the penalty is off by O(sigma)."""
    method = od.algorithm(name)
    levels = {
        "F": lambda x, y: jnp.sum((x - 1) ** 2) + jnp.sum(y**2) / 2,
        "G": lambda x, y: jnp.sum((y - x) ** 2) / 2,
    }
    starts = {b.symbol: np.zeros(2) for b in method.system.blocks}
    more = {"sigma": 0.01, "rho": 1} if name == "penalty_bilevel" else {}
    run = method.run(levels, starts, 3000, h=0.01, epsilon=0.05, **more)
    assert np.allclose(run.x[-1], 2 / 3, atol=5e-3 if more else 1e-9)
    assert run.counts["gradients"][-1] == 3000 * (6 if more else 3)
