"""Basins against closed forms: symmetric fractals, exact boundaries, stability regions, published windows."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import odescent as od
from odescent.analysis import basins
from odescent.analysis.attraction.basin_map import wilson

LRP = od.objective("lessard_recht_packard")


def cube_roots(z: jax.Array) -> jax.Array:
    """Newton's method on z^3 - 1 in real and imaginary parts."""
    w = jax.lax.complex(z[0], z[1])
    w = w - (w**3 - 1.0) / (3.0 * w**2)
    return jnp.stack([w.real, w.imag])


def polyak() -> od.Algorithm:
    x, before = od.blocks("x before")
    f = od.Objective("f")
    alpha, beta = od.parameters("alpha beta")
    step = x + beta * (x - before) - alpha * f.grad(x)
    return od.method({x: step, before: x}, output=x, name="polyak")


def double_well() -> od.Objective:
    return od.Objective("double_well", lambda x: jnp.sum((x**2 - 1.0) ** 2 / 4.0))


def test_newton_on_cube_roots_of_one() -> None:
    """Three basins that a turn by 120 degrees maps onto each other, so equal shares of a disk's points."""
    turn = np.exp(2j * np.pi * np.arange(3) / 3)
    rng = np.random.default_rng(3)
    one = np.sqrt(rng.uniform(0.01, 4, 400)) * np.exp(2j * np.pi * rng.uniform(size=400))
    points = (one[:, None] * turn).ravel()
    found = basins(cube_roots, axes={"x0": np.stack([points.real, points.imag], 1)})
    roots = np.array([a.points[0, 0] + 1j * a.points[0, 1] for a in found.attractors])
    np.testing.assert_allclose(
        sorted(roots, key=lambda r: r.imag), [turn[2], turn[0], turn[1]], atol=1e-14
    )
    assert all(
        a.kind == "fixed point" and a.stable and a.multiplier < 1e-12 for a in found.attractors
    )
    assert [s.count for s in found.fractions] == [400, 400, 400, 0]
    goes = roots[found.labels].reshape(-1, 3)
    np.testing.assert_allclose(
        goes[:, 1:] / goes[:, :1], np.broadcast_to(turn[1:], (400, 2)), atol=1e-12
    )


def test_many_points_are_decided_early_and_alike() -> None:
    """Newton's method in NumPy, far more steps than any start needs."""
    axes = {"x0[0]": (-1.9, 2.0, 80), "x0[1]": (-2.0, 1.9, 80)}
    found = basins(cube_roots, axes=axes)
    x, y = np.meshgrid(found.axes["x0[0]"], found.axes["x0[1]"], indexing="ij")
    w = x + 1j * y
    for _ in range(300):
        w = w - (w**3 - 1) / (3 * w**2)
    ends = np.array([a.points[0, 0] + 1j * a.points[0, 1] for a in found.attractors])
    assert found.unresolved == 0 and len(ends) == 3
    np.testing.assert_allclose(ends[found.labels], w, atol=1e-9)


def test_undefined_is_no_attractor_of_its_neighbours() -> None:
    found = basins(cube_roots, axes={"x0[0]": (-1, 1, 5), "x0[1]": (-1, 1, 5)})
    assert found.attractors[found.labels[2, 2]].kind == "undefined"  # 0 / 0 at the origin
    assert (found.labels == found.labels[2, 2]).sum() == 1


def test_double_well_flow_splits_at_zero() -> None:
    found = basins(od.system("gradient_flow"), double_well(), axes={"x0": np.linspace(-2, 2, 202)})
    assert [a.points.item() for a in found.attractors] == pytest.approx([-1, 1], abs=1e-12)
    assert (found.labels == (found.axes["x0"] > 0)).all()
    # x' = x - x^3 has the rate -2 at its minima; the multiplier is over one unit of time
    assert found.attractors[0].multiplier == pytest.approx(math.exp(-2), rel=1e-4)


def test_a_start_on_the_ridge_is_an_unstable_fixed_point_of_its_own() -> None:
    found = basins(
        od.system("gradient_flow"), double_well(), axes={"x0": np.array([-1.5, 0.0, 1e-9, 1.5])}
    )
    kinds = [found.attractors[i].stable for i in found.labels]
    assert kinds == [True, False, True, True]
    assert found.attractors[found.labels[2]].points.item() == pytest.approx(1)


def test_pendulum_with_friction_falls_into_wells_that_differ_by_turns() -> None:
    """Started at rest the pendulum stays in its own well: |x| < pi; translations by 2 pi map basins to basins."""
    pendulum = od.Objective("pendulum", lambda x: jnp.sum(1 - jnp.cos(x)))
    ball = od.system("heavy_ball")
    at = np.array([-9.0, -4.0, -3.1, -1.0, 0.5, 3.1, 3.2, 6.0, 9.4, 9.5])
    found = basins(ball, pendulum, axes={"x": at}, start=[0.0], parameters={"c": 0.5})
    ends = np.array([found.attractors[i].points.item() for i in found.labels])
    np.testing.assert_allclose(ends, 2 * np.pi * np.round(at / (2 * np.pi)), atol=1e-9)
    assert found.unresolved == 0


@pytest.mark.optimized  # a double eigenvalue: digits go with how sums are rounded
def test_heavy_ball_window_and_cycle_of_lessard_recht_packard() -> None:
    """Edges of the main window by bisection in 50-digit arithmetic: 3.061231450 and 3.463325600."""
    near = np.array([3.061231448, 3.061231452, 3.2, 3.463325598, 3.463325602])
    found = basins(od.algorithm("heavy_ball"), LRP, axes={"x0": near})
    assert [found.attractors[i].kind for i in found.labels] == [
        "fixed point", "cycle", "cycle", "cycle", "fixed point"
    ]  # fmt: skip
    cycle = found.attractors[-1]
    assert cycle.period == 3
    np.testing.assert_allclose(
        cycle.points.ravel(), np.array([-2208, 2592, 792]) / 1225, rtol=1e-14
    )
    assert cycle.multiplier == pytest.approx(8 / 27, rel=1e-12)


def test_step_by_momentum_map_on_a_quadratic_is_the_stability_triangle() -> None:
    """Heavy ball converges for 0 < beta < 1 and 0 < alpha < 2 (1 + beta) / L, and else leaves."""
    L = 10.0
    f = od.objective("quadratic", eigenvalues=(1, 10))
    axes = {"alpha": (0.013, 0.487, 24), "beta": (0.03, 0.97, 21)}
    found = basins(polyak(), f, axes=axes, start=[1.0, 0.7])
    alpha, beta = np.meshgrid(found.axes["alpha"], found.axes["beta"], indexing="ij")
    inside = alpha * L < 2 * (1 + beta)
    assert [a.kind for a in found.attractors] == ["fixed point", "diverges"]
    assert (found.labels == np.where(inside, 0, 1)).all()


def test_step_by_momentum_map_of_lessard_recht_packard_has_polyaks_cycle() -> None:
    axes = {"alpha": np.array([0.04, 1 / 9, 0.3]), "beta": np.array([4 / 9])}
    found = basins(polyak(), LRP, axes=axes, start=[3.3])
    kinds = [(found.attractors[i].kind, found.attractors[i].period) for i in found.labels[:, 0]]
    assert kinds == [("fixed point", 1), ("cycle", 3), ("diverges", None)]


def henon(z: jax.Array) -> jax.Array:
    return jnp.stack([1 - 1.4 * z[0] ** 2 + z[1], 0.3 * z[0]])


def test_chaos_has_a_label_and_its_exponent() -> None:
    found = basins(lambda x: 3.9 * x * (1 - x), axes={"x0": (0.011, 0.978, 50)}, steps=2000)
    assert [a.kind for a in found.attractors] == ["chaotic"]
    assert found.unresolved == 0
    value, low, high = found.attractors[0].exponent or ()
    assert low < value < high and low < 0.4963 < high  # a plain loop of a million steps


@pytest.mark.optimized
def test_henons_map_has_one_chaotic_attractor_and_the_rest_diverges() -> None:
    """Henon, Communications in Mathematical Physics 50 (1976): inside of its trapping region every start stays."""
    found = basins(henon, axes={"x0[0]": (-2, 2, 80), "x0[1]": (-2, 2, 80)}, steps=2000)
    assert [a.kind for a in found.attractors] == ["chaotic", "diverges"]
    assert found.attractors[0].exponent[0] == pytest.approx(0.419, abs=0.02)  # type: ignore[index]
    corners = np.array([[-1.33, 0.42], [1.32, 0.133], [1.245, -0.14], [-1.06, -0.5]])
    x, y = np.meshgrid(found.axes["x0[0]"], found.axes["x0[1]"], indexing="ij")
    sides = zip(corners, np.roll(corners, -1, axis=0), strict=True)
    inside = np.all(
        [(q - p)[0] * (y - p[1]) - (q - p)[1] * (x - p[0]) < 0 for p, q in sides], axis=0
    )
    assert inside.sum() > 100 and (found.labels[inside] == 0).all()
    z = np.stack([x, y])
    with np.errstate(all="ignore"):
        for _ in range(400):
            z = np.stack([1 - 1.4 * z[0] ** 2 + z[1], 0.3 * z[0]])
    assert ((found.labels == 0) == np.isfinite(z).all(0)).all()


def test_a_quasi_periodic_attractor_has_a_label() -> None:
    """r -> r (3/2 - r^2 / 2) and a turn by the golden mean: every start but 0 goes to the circle r = 1."""
    turn = np.pi * (np.sqrt(5) - 1)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    found = basins(
        lambda z: (1.5 - 0.5 * jnp.sum(z * z)) * (jnp.asarray(matrix) @ z),
        axes={"x0[0]": (-0.9, 1, 4), "x0[1]": (-0.8, 0.9, 4)}, steps=500,
    )  # fmt: skip
    assert [a.label for a in found.attractors] == ["quasi-periodic"]
    np.testing.assert_allclose(np.hypot(*found.attractors[0].points.T), 1, atol=1e-9)


def test_chaos_in_a_plane_of_parameters() -> None:
    axes = {"r": np.array([2.0, 3.2, 3.84, 3.9, 4.5])}
    found = basins(lambda x, *, r: r * x * (1 - x), axes=axes, start=0.3, steps=2000)
    kinds = [found.attractors[i].label for i in found.labels]
    assert kinds == ["fixed point 0.5", "2-cycle", "3-cycle", "chaotic", "diverges"]


def test_slow_power_law_convergence_is_not_taken_for_arrival() -> None:
    """Gradient descent on x^4 / 4: x_k ~ (2 k h)^(-1/2) is far from 0 after 4000 steps."""
    found = basins(lambda x: x - 0.1 * x**3, axes={"x0": (0.5, 1.5, 5)}, steps=4000)
    assert found.unresolved == 1


def test_slow_spiral_is_a_fixed_point_not_a_cycle() -> None:
    """Eigenvalues 0.9999 exp(+-2 pi i / 3): after three steps a point is nearly where it was."""
    a = 2 * np.pi / 3
    turn = 0.9999 * np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    found = basins(
        lambda z: jnp.asarray(turn) @ z,
        axes={"x0[0]": (-1, 1, 4), "x0[1]": (-1, 1, 4)},
        steps=400_000,
    )
    assert [(x.kind, x.period) for x in found.attractors] == [("fixed point", 1)]
    assert found.attractors[0].multiplier == pytest.approx(0.9999, rel=1e-12)


def test_van_der_pol_limit_cycle() -> None:
    """Period 6.66328685932 at mu = 1 (e.g. Strogatz, section 7.4)."""
    x, v = od.blocks("x v")
    vdp = od.System({"all": {x: v, v: v - od.hadamard(od.hadamard(x, x), v) - x}})
    f = od.Objective("unused", jnp.sum)
    found = basins(vdp, f, axes={"x": (-3, 3, 4), "v": (-2, 2.5, 4)}, start=[0.0], dt=0.02)
    assert [a.kind for a in found.attractors] == ["limit cycle"]
    assert found.attractors[0].period == pytest.approx(6.66328685932, abs=1e-6)
    assert np.abs(found.attractors[0].points).max() == pytest.approx(2.00861986, abs=1e-4)
    assert found.unresolved == 0


def test_an_equilibrium_and_a_limit_cycle_side_by_side() -> None:
    """r' = r (r^2 - 1) (4 - r^2), phase' = 1: r < 1 goes to 0, r > 1 to r = 2 with period 2 pi."""
    x, v = od.blocks("x v")
    h = od.hadamard
    r2 = h(x, x) + h(v, v)
    out = lambda z: 5 * h(r2, z) - h(h(r2, r2), z) - 4 * z
    system = od.System({"all": {x: out(x) - v, v: out(v) + x}})
    f = od.Objective("unused", jnp.sum)
    found = basins(system, f, axes={"x": (-2.4, 2.3, 4), "v": (-2.2, 2.4, 3)}, start=[0.0], dt=0.01)
    r = np.hypot(*np.meshgrid(found.axes["x"], found.axes["v"], indexing="ij"))
    assert [a.kind for a in found.attractors] == ["fixed point", "limit cycle"]
    assert (found.labels == (r > 1)).all()
    assert found.attractors[0].multiplier == pytest.approx(math.exp(-4), rel=1e-3)
    assert found.attractors[1].period == pytest.approx(2 * math.pi, rel=1e-8)
    cycle = found.attractors[1].states
    np.testing.assert_allclose(np.hypot(cycle["x"], cycle["v"]), 2, rtol=1e-7)


def test_by_period_does_not_tell_places_apart() -> None:
    found = basins(
        od.system("gradient_flow"), double_well(), axes={"x0": np.array([-1.5, 1.5])}, by="period"
    )
    assert [a.label for a in found.attractors] == ["fixed points"]


def test_adam_has_the_minima_of_himmelblaus_function() -> None:
    """Its state holds clocks, so that only the output can settle."""
    f = od.objective("himmelblau")
    adam = od.algorithm("adam")
    values = {"h": 0.05, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
    found = basins(adam, f, axes={"x0[0]": (-4, 4, 4), "x0[1]": (-3, 4, 4)}, parameters=values)
    published = np.array(
        [[-3.779310, -3.283186], [-2.805118, 3.131313], [3, 2], [3.584428, -1.848127]]
    )
    np.testing.assert_allclose([a.points[0] for a in found.attractors], published, atol=1e-3)


def test_a_centre_has_no_attractor() -> None:
    x, v = od.blocks("x v")
    free = od.System({"all": {x: v, v: -x}})
    f = od.Objective("unused", jnp.sum)
    found = basins(free, f, axes={"x": (0.5, 2, 4)}, start=[0.0], steps=2000)
    assert found.unresolved == 1


def test_many_minimizers_are_taken_together() -> None:
    """x1 x2 = 0 is a line of minimizers of (x1 + x2)^2: every start has an end of its own."""
    f = od.Objective("valley", lambda x: jnp.square(x[0] + x[1]))
    x = od.blocks("x")
    g = od.Objective("f")
    h = od.parameters("h")
    descent = od.method({x: x - h * g.grad(x)}, output=x, tuning={h: 0.1})
    axes = {"x0[0]": (-1, 1, 12), "x0[1]": (-1, 1, 12)}
    found = basins(descent, f, axes=axes, most=10)
    assert [a.label for a in found.attractors] == ["fixed points"]
    assert found.unresolved == 0


@given(st.randoms(use_true_random=False))
@settings(max_examples=5)
def test_labels_do_not_depend_on_the_order_of_the_points(random: object) -> None:
    starts = np.linspace(-4, 4, 60)
    order = list(range(60))
    random.shuffle(order)  # type: ignore[attr-defined]
    plain = basins(od.algorithm("heavy_ball"), LRP, axes={"x0": starts})
    mixed = basins(od.algorithm("heavy_ball"), LRP, axes={"x0": starts[order]})
    assert (plain.labels[order] == mixed.labels).all()
    assert [a.label for a in plain.attractors] == [a.label for a in mixed.attractors]


def test_random_starts_have_wilson_intervals_that_cover_the_exact_share() -> None:
    """Halley's sign: x -> sign flips never; the basin of 1 in [-1, 3] under x -> (x + 1/x) / 2 is x > 0: 3/4."""
    found = basins(
        lambda x: (x + 1 / x) / 2, axes={"x0": (-1, 3)}, samples=2000, key=jax.random.key(5)
    )
    plus = next(s for s in found.fractions if s.label == "fixed point 1")
    assert plus.low < 0.75 < plus.high
    assert plus.high - plus.low == pytest.approx(2 * 1.96 * math.sqrt(0.75 * 0.25 / 2000), rel=0.05)


def test_wilson_interval_of_the_literature() -> None:
    """81 of 263: (0.2553, 0.3662), Newcombe, Statistics in Medicine 17 (1998), table I, method 3."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson(29, 29)[1] == 1


def test_result_as_text_and_data() -> None:
    found = basins(lambda x: x / 2, axes={"x0": (-1, 1, 3)})
    assert found.table().splitlines()[0].startswith("fixed point 0")
    assert found.to_dict()["attractors"][0]["multiplier"] == 0.5
    assert "limit" not in found.table()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"axes": {}}, "nothing is varied"),
        ({"axes": {"x0": (1, 1, 5)}}, "low to high > low"),
        ({"axes": {"x0": (0, float("inf"), 5)}}, "low to high"),
        ({"axes": {"x0": [0.0, float("nan")]}}, "must be finite"),
        ({"axes": {"y": (0, 1, 5)}}, "no axis"),
        ({"axes": {"x0": (0, 1, 5)}, "parameters": {"q": 1}}, "no parameter"),
        ({"axes": {"x0": (0, 1, 5)}, "tolerance": 0.5}, "tolerance"),
        ({"axes": {"x0": (0, 1, 5)}, "steps": 3}, "steps"),
        ({"axes": {"x0": (0, 1)}, "samples": 5}, "key"),
        ({"axes": {"mu": (-1, 1, 5)}, "start": [1.0]}, "mu must be"),
        ({"axes": {"x0[3]": (0, 1, 5)}}, "does not exist"),
    ],
)
def test_bad_input(options: dict, said: str) -> None:
    with pytest.raises(od.OdescentError, match=said):
        basins(od.algorithm("heavy_ball"), LRP, **options)


def test_noise_and_missing_objectives_are_refused() -> None:
    with pytest.raises(od.OdescentError, match="objective"):
        basins(od.algorithm("heavy_ball"), axes={"x0": (0, 1, 5)})
    with pytest.raises(od.NotCarried, match="noise"):
        f = od.objective("quadratic", eigenvalues=(1,))
        noisy = od.algorithm("unadjusted_langevin")
        values = {s.name: 0.1 for s in noisy.parameters}
        basins(noisy, f, axes={"x0": (0, 1, 5)}, parameters=values)


def test_a_field_that_is_finite_nowhere_is_refused() -> None:
    f = od.Objective("hole", lambda x: jnp.sum(x**1.5))
    with pytest.raises(od.OdescentError, match="not finite at any"):
        basins(od.system("gradient_flow"), f, axes={"x0": (-2, 0, 5)})


def test_chaos_in_one_of_eight_entries_is_found_by_one_tangent() -> None:
    """More entries than tangents that are followed; the other seven contract, and are driven by the first."""

    def driven(z: jax.Array, *, r: jax.Array) -> jax.Array:
        rest = 0.5 * z[:-1] + 0.1 * jnp.roll(z, -1)[:-1]
        return jnp.append(rest, r * z[-1] * (1 - z[-1]))

    axes = {"r": np.array([2.0, 3.2, 3.9])}
    found = basins(driven, axes=axes, start=np.full(8, 0.3), steps=2000)
    assert [found.attractors[i].kind for i in found.labels] == ["fixed point", "cycle", "chaotic"]
    one = basins(
        lambda z: driven(z, r=jnp.asarray(3.9)),
        axes={"x0[0]": (0.1, 0.4, 3), "x0[7]": (0.2, 0.7, 3)}, start=np.full(8, 0.3), steps=2000,
    )  # fmt: skip
    assert [a.kind for a in one.attractors] == ["chaotic"]
    value, low, high = one.attractors[0].exponent or ()
    assert low < value < high and low < 0.4963 < high  # of the logistic map
