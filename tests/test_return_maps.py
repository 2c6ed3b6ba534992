"""Return maps against closed forms and SciPy's events, and what iterates them."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp
from scipy.integrate import solve_ivp
from scipy.linalg import expm

import odescent as od
from odescent.analysis import basins, poincare_map, stroboscopic_map
from odescent.analysis.attraction.stepping import stepper


def spiral() -> od.System:
    """r' = -a r, phase' = 1, in x and v."""
    x, v = od.blocks("x v", kind="scalar")
    a = od.parameters("a")
    return od.System({"all": {x: -a * x - v, v: x - a * v}}, output=x, name="spiral")


def ring() -> od.System:
    """r' = r (1 - r^2), phase' = 1."""
    x, v = od.blocks("x v", kind="scalar")
    r2 = x**2 + v**2
    return od.System({"all": {x: x * (1 - r2) - v, v: v * (1 - r2) + x}}, output=x, name="ring")


def forced() -> od.System:
    """x'' + x' / 5 + x = cos t."""
    x, v = od.blocks("x v", kind="scalar")
    t = sp.Symbol("t", real=True)
    w = od.parameters("w")
    return od.System(
        {"all": {x: v, v: -v / 5 - x + sp.cos(w * t)}}, output=x, time=t, name="forced"
    )


SPIRAL, RING, FORCED = spiral(), ring(), forced()


def test_returns_of_a_spiral() -> None:
    """After a turn of 2 pi the radius has fallen by exp(-2 pi a)."""
    section = poincare_map(SPIRAL, at={"v": 0.0})
    found = section([1.0, 0.0], 4, parameters={"a": 0.1})
    np.testing.assert_allclose(found.t, 2 * np.pi * np.arange(5), rtol=1e-8)
    np.testing.assert_allclose(found.x, np.exp(-0.2 * np.pi * np.arange(5)), rtol=1e-7)
    both = poincare_map(SPIRAL, plane=([0.0, 2.0], 0.0), direction="both")
    np.testing.assert_allclose(
        both([1.0, 3.0], 2, parameters={"a": 0.1}).x, [1, -math.exp(-0.1 * np.pi), math.exp(-0.2 * np.pi)],
        rtol=1e-7,
    )  # fmt: skip


def test_returns_and_their_derivative_agree_with_scipy() -> None:
    """A pendulum through x = 0.3, where the time of return changes with the start."""
    x, v = od.blocks("x v")
    f = od.Objective("pendulum", lambda x: jnp.sum(1 - jnp.cos(x)))
    g = od.Objective("f")
    system = od.System({"all": {x: v, v: -v / 5 - g.grad(x)}}, output=x)
    section = poincare_map(system, at={"x[0]": 0.3})

    def exact(v0: float) -> tuple[float, float]:
        def crossed(t: float, u: np.ndarray) -> float:
            return u[0] - 0.3

        crossed.direction = 1  # type: ignore[attr-defined]
        flow = lambda t, u: (u[1], -u[1] / 5 - math.sin(u[0]))
        done = solve_ivp(flow, (0, 20), (0.3, v0), events=crossed, rtol=1e-12, atol=1e-13)
        at = int(np.argmax(done.t_events[0] > 1e-3))
        return float(done.t_events[0][at]), float(done.y_events[0][at][1])

    found = section({"v": [1.2]}, 1, target=f)
    np.testing.assert_allclose((found.t[1], found.states["v"][1, 0]), exact(1.2), rtol=1e-7)
    with jax.enable_x64(True):
        s = stepper(section, f)
        after = lambda v: s.step((jnp.array([0.3]), v), s.coefficients({}), None)[1]
        slope = float(jax.jit(jax.jacfwd(after))(jnp.array([1.2]))[0, 0])
    assert slope == pytest.approx((exact(1.201)[1] - exact(1.199)[1]) / 0.002, rel=1e-5)


def test_a_limit_cycle_is_a_fixed_point_of_its_section() -> None:
    """The ring is r = 1 with the multiplier exp(-4 pi)."""
    section = poincare_map(RING, at={"v": 0.0})
    found = basins(section, axes={"x": (0.2, 2.0, 7)}, start=[0.0], steps=200)
    assert [a.kind for a in found.attractors] == ["fixed point"]
    assert found.attractors[0].points.item() == pytest.approx(1, rel=1e-8)
    assert found.attractors[0].multiplier == pytest.approx(math.exp(-4 * math.pi), rel=1e-3)
    assert found.unresolved == 0


def test_nothing_returns() -> None:
    away = poincare_map(RING, at={"x": 3.0}, longest=50.0)
    with pytest.raises(od.OdescentError, match="does not return to the section after 0 returns"):
        away([3.0, 0.5])
    found = basins(away, axes={"v": (-1.0, 1.0, 3)}, start=[3.0])
    assert [a.kind for a in found.attractors] == ["undefined"]


@pytest.mark.parametrize("steps", [None, 200])
def test_stroboscopic_map_of_a_forced_oscillator(steps: int | None) -> None:
    """Its fixed point is the response to cos(w t), its derivative exp(A T)."""
    w = 1.7
    seen = stroboscopic_map(FORCED, 2 * sp.pi / od.parameters("w"), steps=steps)
    found = basins(
        seen,
        axes={"x": (-2.0, 2.0, 3)},
        start=[0.0],
        parameters={"w": w},
        steps=400,
        tolerance=1e-7,
    )
    response = 1 / (1 - w**2 + 1j * w / 5)
    (attractor,) = found.attractors
    assert attractor.states["x"].item() == pytest.approx(response.real, rel=1e-6)
    assert attractor.states["v"].item() == pytest.approx((1j * w * response).real, rel=1e-6)
    monodromy = expm(np.array([[0, 1], [-1, -0.2]]) * 2 * np.pi / w)
    assert attractor.multiplier == pytest.approx(abs(np.linalg.eigvals(monodromy)).max(), rel=1e-6)


def test_a_phase_shifts_the_section() -> None:
    quarter = stroboscopic_map(FORCED, 2 * math.pi, phase=math.pi / 2)
    now = quarter({"x": 0.3, "v": -0.2}, 1, parameters={"w": 1.0})
    flow = lambda t, u: (u[1], -u[1] / 5 - u[0] + math.cos(t))
    end = solve_ivp(flow, (np.pi / 2, 2.5 * np.pi), (0.3, -0.2), rtol=1e-11, atol=1e-12).y[:, -1]
    np.testing.assert_allclose((now.states["x"][1], now.states["v"][1]), end, rtol=1e-7)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: poincare_map(FORCED, at={"x": 0.0}), "use stroboscopic_map"),
        (lambda: poincare_map(RING), "give a section by"),
        (lambda: poincare_map(RING, at={"q": 0.0}), "no block"),
        (lambda: poincare_map(RING, at={"x": float("nan")}), "finite"),
        (lambda: poincare_map(RING, plane=([0.0, 0.0], 1.0)), "not all 0"),
        (lambda: poincare_map(RING, plane=([1.0], 1.0))([1.0, 0.0]), "normal has 1 entries"),
        (lambda: poincare_map(RING, at={"x": 0.0}, direction="left"), "direction"),
        (lambda: stroboscopic_map(FORCED, -1.0), "more than 0"),
        (lambda: stroboscopic_map(FORCED, sp.Symbol("q")), "no parameter"),
        (lambda: basins(FORCED, axes={"x": (0, 1, 3)}), "stroboscopic_map"),
        (lambda: poincare_map(od.system("overdamped_langevin"), at={"x": 0.0}), "noise"),
    ],
)
def test_bad_input(make: object, said: str) -> None:
    with pytest.raises(od.OdescentError, match=said):
        make()  # type: ignore[operator]
