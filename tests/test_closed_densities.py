"""Closed forms of densities where potentials have features: between few points, with kinks, over wide windows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import odescent as od
from odescent.analysis import fokker_planck, minimum_action

x, y = od.blocks("x y", kind="scalar")

FEATURES = {
    "a narrow well": (lambda z: z**2 / 2 - 2 * jnp.exp(-(((z - 1) / 0.01) ** 2)), (-4, 4), 4000, 1e-10),
    "a stiff wall": (lambda z: z**2 / 2 + 20 * jnp.maximum(z - 2.2, 0) ** 2, (-2.5, 2.5), 400, 1e-4),
    "a kink": (lambda z: 5 * jnp.abs(z - 0.7), (-3, 3), 400, 1e-3),
    "ripples in a wide window": (lambda z: 0.02 * z**2 + 2 * jnp.cos(6 * z), (-30, 30), 400, 1e-10),
}  # fmt: skip


@pytest.mark.parametrize("name", FEATURES)
def test_gibbs_laws_with_features(name: str) -> None:
    """A well that none of sixteen points met was given the Gaussian law of what is around it."""
    potential, window, cells, tolerance = FEATURES[name]
    found = fokker_planck(
        "overdamped_langevin", window, od.Objective(lambda z: potential(z).sum()), cells=cells
    )
    v = np.asarray(potential(jnp.asarray(found.centers[0])))
    wanted = np.exp(-(v - v.min()))
    wanted /= wanted.sum() * (window[1] - window[0]) / cells
    assert found.method == "Gibbs"
    assert np.abs(found.values[0] - wanted).max() < tolerance * wanted.max()


@pytest.mark.parametrize("order", [(x, y), (y, x)])
def test_velocities_and_positions_in_either_order(order: tuple[Any, Any]) -> None:
    """U = x^2/2 + 3 max(x - 1/2, 0)^2: stiffer on one side; friction 2, temperature 1/4."""
    q, v = order
    push = 6 * sp.Max(q - sp.Rational(1, 2), 0)
    system = od.System(
        {"all": od.Field({x: 0, y: 0} | {q: v, v: -q - push - 2 * v}, {v: od.Diffusion(1)})},
        output=q,
        name="stiffer",
    )
    found = fokker_planck(system, ((-3, 3), (-2.5, 2.5)))
    z = np.meshgrid(*found.centers, indexing="ij")
    at, speed = (z[0], z[1]) if order == (x, y) else (z[1], z[0])
    wanted = np.exp(-4 * (at**2 / 2 + 3 * np.maximum(at - 0.5, 0) ** 2 + speed**2 / 2))
    wanted /= wanted.sum() * np.prod([e[1] - e[0] for e in found.edges])
    assert found.method == "Gibbs, with velocities"
    assert np.abs(found.values[0] - wanted).max() < 1e-4 * wanted.max()


def test_the_action_over_a_kink_has_an_error_that_covers_it() -> None:
    f = od.Objective(lambda z: (z**2 / 2 + 2 * jnp.maximum(z - 0.37, 0)).sum())
    found = minimum_action(
        "underdamped_langevin", [0.0, 0.0], [1.0, 0.0], f, parameters={"gam": 2, "u": 1}
    )
    assert found.action == pytest.approx(0.5 + 2 * 0.63, abs=3 * found.error)
    assert 1e-8 < found.error < 1e-3


@pytest.mark.parametrize("drift", [{x: -x}, {x: x - x**3}])
def test_no_density_where_a_direction_has_no_noise_and_no_coupling(drift: dict[Any, Any]) -> None:
    """Each of the two attracting points of the second one keeps what comes to it: the law was one of them."""
    system = od.System(
        {"all": od.Field(drift | {y: -y}, {y: od.Diffusion(1)})}, output=x, name="apart"
    )
    with pytest.raises(od.OdescentError, match="no unique stationary density"):
        fokker_planck(system, ((-4, 4), (-4, 4)), cells=32)


MADE: list[tuple[Callable[[], Any], str | None]] = [
    (lambda: od.Field({x: 0}, {x: od.Diffusion(1)}), None),
    (lambda: od.Field({x: -0.5 * x}), None),
    (lambda: od.Field({x: "fast"}), "finite number or SymPy expression"),
    (lambda: od.Field({x: float("nan")}), "finite number or SymPy expression"),
    (lambda: od.Field({x: -x}, {x: 0.5}), "must be a Diffusion or Jumps"),
    (lambda: od.Field({"x": -x}), "make blocks"),
    (lambda: {x: (-1) ** 0.5 * x}, "finite real number"),
    (lambda: {x: -x / sum([x, -x])}, "finite real number"),
]


@pytest.mark.parametrize(("made", "said"), MADE)
def test_fields_are_checked_as_mappings_are(made: Callable[[], Any], said: str | None) -> None:
    """Numbers are exact in a `Field` too, and what is no real drift is refused with a sentence."""
    if said is None:
        rates = od.System(made(), output=x).fields["all"].drift
        assert all(e.is_number or not e.has(0.5) for e in rates.values())
        assert od.System({x: rates[x]}, output=x).fields["all"].drift == rates
    else:
        with pytest.raises(od.OdescentError, match=said):
            od.System(made(), output=x)
