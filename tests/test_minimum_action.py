"""Paths of least action against potentials, published thresholds, and shooting with Hamilton's equations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from faults_of_figures import faults
from scipy.integrate import solve_ivp
from scipy.optimize import minimize_scalar

import odescent as od
from odescent.analysis import minimum_action
from odescent.dynamics.vector_fields.processes import Diffusion, Jumps

x, y = od.blocks("x y", kind="scalar")
beta, s = od.parameters("beta s")


def noisy(drift: dict[Any, Any], *noise: Diffusion | Jumps, **more: Any) -> od.System:
    return od.System(
        {"all": od.Field(drift, dict(zip(drift, noise, strict=False)))}, output=x, **more
    )


# dx = (x - x^3 - beta x y^2) dt + dW1, dy = -(1 + x^2) y dt + dW2 (Maier and Stein, Physical Review Letters 71, 1993)
MAIER_STEIN = noisy(
    {x: x - x**3 - beta * x * y**2, y: -(1 + x**2) * y},
    Diffusion(1, "W1"), Diffusion(1, "W2"), name="maier_stein",
)  # fmt: skip
WELL = od.Objective(lambda z: (z[0] ** 2 - 1) ** 2 / 4 + (z[1] - z[0] ** 2 + 1) ** 2)
FRICTION = {"gam": 0.5, "u": 0.8}


@pytest.mark.optimized
def test_a_gradient_system_climbs_its_potential() -> None:
    """2 (V(saddle) - V(minimum)) / sigma^2 = V(saddle) - V(minimum) at sigma^2 = 2, along a curved valley, order 2."""
    end = np.array([0.0, -1.0])
    found = [minimum_action("overdamped_langevin", [-1, 0], end, WELL, points=n) for n in (48, 96)]
    saddle = float(WELL.value(end))
    gaps = [m.action - saddle for m in found]
    assert 3.5 < gaps[0] / gaps[1] < 4.5
    assert abs(gaps[1]) < 1.5 * found[1].error < 3e-3
    assert found[1].at_rest and found[1].path.shape == (97, 2)


@pytest.mark.optimized
@pytest.mark.parametrize("b", [1.0, 3.5])
def test_maier_and_steins_path_is_straight_up_to_beta_four(b: float) -> None:
    found = minimum_action(MAIER_STEIN, [-1, 0], [0, 0], points=64, parameters={"beta": b})
    assert found.action == pytest.approx(0.5, abs=1e-4)
    assert np.abs(found.path[:, 1]).max() < 1e-3


def shot(b: float) -> float:
    """The action of the path that Hamilton's equations shoot from the minimum nearest to the saddle."""

    def rates(t: float, w: np.ndarray) -> list[float]:
        u, v, p, q = w[:4]
        return [
            u - u**3 - b * u * v**2 + p,
            -(1 + u**2) * v + q,
            -((1 - 3 * u**2 - b * v**2) * p - 2 * u * v * q),
            -(-2 * b * u * v * p - (1 + u**2) * q),
            (p**2 + q**2) / 2,
        ]

    def flight(angle: float) -> tuple[float, float]:
        r = 1e-4 * np.array([np.cos(angle), np.sin(angle)])
        # at the minimum both rates are -2: W = 2 r^2, and its gradient is the momentum
        first = [-1 + r[0], r[1], 4 * r[0], 4 * r[1], 2 * float(r @ r)]
        done = solve_ivp(rates, (0, 9.5), first, "DOP853", rtol=1e-9, atol=1e-12, max_step=0.1)
        apart = np.hypot(done.y[0], done.y[1])
        k = int(apart.argmin())
        return float(apart[k]), float(done.y[4, k])

    angles = np.linspace(1.2, 1.25, 11)  # where a coarser fan has it
    best = angles[int(np.argmin([flight(a)[0] for a in angles]))]
    finer = minimize_scalar(
        lambda a: flight(a)[0], bounds=(best - 0.005, best + 0.005), options={"xatol": 1e-7}
    )
    assert flight(finer.x)[0] < 2e-2
    return flight(finer.x)[1]


@pytest.mark.optimized
def test_maier_and_steins_path_bends_beyond_and_obeys_hamiltons_equations() -> None:
    found = minimum_action(MAIER_STEIN, [-1, 0], [0, 0], points=96, parameters={"beta": 10.0})
    assert np.abs(found.path[:, 1]).max() > 0.3
    assert found.action - found.error == pytest.approx(shot(10.0), abs=2e-4)
    assert not faults(found.plot().figure)


def test_noise_that_depends_on_the_state_in_one_dimension() -> None:
    """The integral of -2 b / a, with b = -x and a = 1 + x^2, is log(1 + x^2); in Stratonovich's sense b changes."""
    drift = {x: -x}
    ito = noisy(drift, Diffusion((1 + x**2) ** 0.5))
    assert minimum_action(ito, 0.0, 2.0).action == pytest.approx(np.log(5), abs=1e-4)
    other = noisy(drift, Diffusion((1 + x**2) ** 0.5), calculus="stratonovich")
    assert minimum_action(other, 0.0, 2.0).action == pytest.approx(np.log(5) / 2, abs=1e-4)


def test_underdamped_langevin_climbs_its_energy() -> None:
    """The temperature is 1 where the kick is u grad f: the action is f(saddle) - f(minimum) at every friction."""
    f = od.Objective(lambda z: ((z**2 - 1) ** 2).sum() / 4)
    found = minimum_action("underdamped_langevin", {"x": -1.0, "v": 0.0}, [0, 0], f, parameters=FRICTION)  # fmt: skip
    assert found.action == pytest.approx(0.25, rel=1e-10) and found.error < 1e-9
    assert (np.diff(found.actions) > -1e-9).all()  # it only climbs
    with pytest.raises(od.OdescentError, match=r"does not return to \(-1, 0\)"):
        minimum_action("underdamped_langevin", [-1, 0], [1, 0.1], f, parameters=FRICTION)


BAD: list[tuple[Any, Any, Any, dict[str, Any], str]] = [
    ("gradient_flow", [-1.0], [0.0], {}, "has no noise"),
    ("overdamped_langevin", [-1.0], [0.0, 1.0], {}, "of one size"),
    ("overdamped_langevin", [-1.0], [-1.0], {}, "different states"),
    ("overdamped_langevin", [np.nan], [0.0], {}, "finite numbers"),
    ("overdamped_langevin", [-1.0], [0.0], {"points": 30}, "multiple of 4"),
    ("overdamped_langevin", [-1.0, 0.0], [0.0, 0.0], {"through": [1.0]}, "states of 2 entries"),
    ("overdamped_langevin", {"z": 1.0}, [0.0], {}, "no block of this system called 'z'"),
    (noisy({x: y, y: -x - y**3 - y}, Diffusion(0), Diffusion(1)), [0, 0], [1, 0], {}, "does not move every direction"),
    (noisy({x: -x}, Jumps(1, s)), 0.0, 1.0, {"parameters": {"s": 1.0}}, "jumps"),
    ("annealed_langevin", [-1.0], [0.0], {"parameters": {"sigma": 1, "tau": 1}}, "depends on time"),
    ("cbo", [-1.0], [0.0], {}, "interact"),
]  # fmt: skip


@pytest.mark.parametrize(("system", "start", "end", "options", "said"), BAD)
def test_bad_input(system: Any, start: Any, end: Any, options: dict[str, Any], said: str) -> None:
    f = od.Objective(lambda z: ((z**2 - 1) ** 2).sum() / 4)
    with pytest.raises(od.OdescentError, match=said):
        minimum_action(system, start, end, f, **options)
