"""Sweeps over coordinates: SOR and discrete gradients (MATH d 27) against hand-written loops, scipy and identities."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import Machine, fitted_order
from scipy import linalg
from scipy.integrate import solve_ivp

import odescent as od
from odescent.discretize.emit import load
from odescent.dynamics.algebra.products import elementwise

x, w, y = od.blocks("x w y")
c, h, omega = od.parameters("c h omega")
f, F = od.Objective("f"), od.Objective("F")


def spd(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A random positive definite matrix with unequal diagonal, a right-hand side and a start."""
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((n, n))
    scale = np.diag(rng.uniform(0.3, 3, n))
    return (
        scale @ (root @ root.T + np.eye(n)) @ scale,
        rng.standard_normal(n),
        rng.standard_normal(n),
    )


def textbook_sor(A: Any, b: Any, q: Any, om: float, order: Any) -> Any:
    """One sweep of SOR as books have it."""
    q = np.array(q)
    for i in order:
        others = sum(A[i, j] * q[j] for j in range(len(b)) if j != i)
        q[i] = (1 - om) * q[i] + om * (b[i] - others) / A[i, i]
    return q


@functools.cache
def emitted(name: str, order: str = "forward") -> Any:
    return load(od.algorithm(name, order=order), "numpy")


def run_sor(
    A: Any, b: Any, x0: Any, steps: int, om: float, order: str = "forward", name: str = "sor"
) -> Any:
    module = emitted(name, order)
    asked = {
        "partial": lambda q, i: A[i] @ q - b[i],
        "map_hessian_diagonal": lambda q: np.diag(A).copy(),
    }
    if name == "itoh_abe":
        asked["value"] = lambda q: q @ A @ q / 2 - b @ q
    return module.run(
        **asked, x0=x0, steps=steps, **({"omega": om} if name == "sor" else {"h": om})
    )


def energy(A: Any, b: Any, q: Any) -> Any:
    return np.einsum("...i,ij,...j", q, A, q) / 2 - q @ b


# SOR


def test_the_scalar_update_is_that_of_sor() -> None:
    """u = z + h (s(z) + s(u))/2 with s(u) = s(z) - (u - z), which is x_i' = -(A x - b)_i / a_ii: u = z + omega s(z)."""
    u, z, s = sp.symbols("u z s")
    solve = lambda duration, implicit: sp.solve(
        u - z - duration * ((1 - implicit) * s + implicit * (s - (u - z))), u
    )[0]
    (swept,) = od.algorithm("sor").program.sweeps
    assert sp.simplify(solve(swept.duration, swept.implicit) - z - 2 * h / (2 + h) * s) == 0
    for order in ("forward", "backward", "symmetric"):
        for tuned in od.algorithm("sor", order=order).tuned.sweeps:
            assert sp.simplify(solve(tuned.duration, tuned.implicit) - z - omega * s) == 0
    others = {"explicit": h, "implicit": h / (1 + h), "cayley": 2 * h / (2 + h)}  # FAMILIES S3
    flow = od.system("diagonally_preconditioned_gradient")
    for by, wanted in others.items():
        (swept,) = od.Algorithm(flow, od.Scheme((od.Sweep((), by, on="x"),)), h).program.sweeps
        assert sp.simplify(solve(swept.duration, swept.implicit) - z - wanted * s) == 0


ORDERS: dict[str, Callable[[int], Any]] = {
    "forward": range, "backward": lambda n: range(n)[::-1], "symmetric": lambda n: [*range(n), *range(n)[::-1]],
}  # fmt: skip


@settings(max_examples=25)
@given(
    st.integers(1, 7),
    st.integers(0, 10_000),
    st.floats(0.05, 1.95),
    st.sampled_from(sorted(ORDERS)),
)
def test_iterates_are_those_of_the_textbook(n: int, seed: int, om: float, order: str) -> None:
    A, b, q = spd(n, seed)
    size = 1 + np.abs(q).max() + np.abs(np.linalg.solve(A, b)).max()
    for point in run_sor(A, b, q, 8, om, order):
        np.testing.assert_allclose(point, q, rtol=0, atol=1e-13 * size * np.linalg.cond(A) ** 0.5)
        q = textbook_sor(A, b, q, om, ORDERS[order](n))


def test_gauss_and_seidel_is_a_triangular_solve() -> None:
    """omega = 1, which is h = 2: x+ = -L^-1 (U x - b) with A = L + U."""
    A, b, q = spd(6, 3)
    lower, upper = np.tril(A), np.triu(A, 1)
    assert od.algorithm("sor").bind(omega=1).tuning[od.algorithm("sor").step].subs(omega, 1) == 2
    for point in run_sor(A, b, q, 20, 1.0):
        np.testing.assert_allclose(point, q, rtol=1e-12, atol=1e-13)
        q = linalg.solve_triangular(lower, b - upper @ q, lower=True)


def iteration_matrix(A: np.ndarray, om: float) -> np.ndarray:
    n = len(A)
    return np.stack([run_sor(A, np.zeros(n), e, 1, om)[1] for e in np.eye(n)], axis=1)


@settings(max_examples=12)
@given(st.integers(2, 5), st.integers(0, 10_000), st.floats(0.05, 1.95), st.floats(2.05, 6.0))
def test_it_converges_exactly_between_0_and_2(
    n: int, seed: int, inside: float, outside: float
) -> None:
    """Ostrowski and Reich inside; outside, det M = (1 - omega)^n (Kahan) leaves no room, and it is refused."""
    A, _, _ = spd(n, seed)
    radius = lambda om: np.abs(np.linalg.eigvals(iteration_matrix(A, om))).max()
    assert radius(inside) < 1
    with pytest.raises(ValueError, match="omega must be less than 2"):
        iteration_matrix(A, outside)
    assert np.linalg.det(iteration_matrix(A, inside)) == pytest.approx(
        (1 - inside) ** n, rel=1e-8, abs=1e-11
    )


@settings(max_examples=12)
@given(st.integers(1, 6), st.integers(0, 10_000), st.floats(0.1, 1.9))
def test_energy_falls_by_the_known_amount(n: int, seed: int, om: float) -> None:
    """By the sum of a_ii delta_i^2 (1/omega - 1/2), so for every h > 0 (FAMILIES S2)."""
    A, b, q = spd(n, seed)
    for before, after in zip(points := run_sor(A, b, q, 5, om), points[1:], strict=False):
        fallen = energy(A, b, before) - energy(A, b, after)
        known = np.diag(A) @ (after - before) ** 2 * (1 / om - 0.5)
        assert fallen == pytest.approx(known, rel=1e-7, abs=1e-11 * (1 + np.abs(energy(A, b, q))))
        assert known >= 0


def test_sor_is_the_discrete_gradient_on_quadratics() -> None:
    """Miyatake, Sogabe and Zhang (arXiv:1711.02277): with h = 2 omega/(2 - omega) the same iterates."""
    A, b, q = spd(5, 1)
    for om in (0.4, 1.0, 1.6):
        ours = run_sor(A, b, q, 12, 2 * om / (2 - om), name="itoh_abe")
        np.testing.assert_allclose(ours, run_sor(A, b, q, 12, om), rtol=1e-8, atol=1e-8)


def test_the_jax_run_is_the_numpy_run() -> None:
    """With components and the Hessian's diagonal derived from the function alone, under jit, vmap and grad."""
    A, b, q = spd(6, 2)
    A_, b_ = jnp.asarray(A), jnp.asarray(b)
    objective = od.Objective("quadratic", fun=lambda p: p @ (A_ @ p) / 2 - b_ @ p)
    sor = od.algorithm("sor")
    done = sor.run(objective, q, 25, omega=1.4)
    np.testing.assert_allclose(done.x, run_sor(A, b, q, 25, 1.4), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(done.states["d"], np.tile(np.diag(A), (26, 1)), rtol=1e-13)
    loss = lambda om: sor.run(objective, jnp.asarray(q), 3, omega=om).f[-1]
    values = [0.5, 1.4 - 1e-5, 1.4 + 1e-5]
    batch = jax.vmap(loss)(jnp.asarray(values))
    known = [energy(A, b, run_sor(A, b, q, 3, om)[-1]) for om in values]
    np.testing.assert_allclose(batch, known, rtol=1e-12)
    slope = (known[2] - known[1]) / 2e-5
    assert float(jax.grad(loss)(1.4)) == pytest.approx(slope, rel=1e-6)


def test_operators_that_are_no_gradients() -> None:
    """Gauss and Seidel on a matrix that is not symmetric, as components of an operator."""
    A = np.array([[4.0, 1, -2], [0.5, 3, 1], [2, -1, 5]])
    b = np.array([1.0, 2, 3])
    slope = elementwise(lambda r, s: r / s, F.operator(x), w)
    flow = od.System(
        {"go": od.Field({x: -slope, w: 0 * w})}, output=x, init={w: od.Map("F")(od.blocks("x0"))}
    )
    module = load(od.Algorithm(flow, od.Scheme((od.Sweep("go", "cayley", on=x),)), h), "numpy")
    xs = module.run(lambda q, i: A[i] @ q - b[i], lambda q: np.diag(A).copy(), np.zeros(3), 60, 2.0)
    q = np.zeros(3)
    for point in xs[:10]:
        np.testing.assert_allclose(point, q, rtol=1e-12, atol=1e-14)
        q = textbook_sor(A, b, q, 1.0, range(3))
    np.testing.assert_allclose(xs[-1], np.linalg.solve(A, b), rtol=1e-12)


# discrete gradients


MIX = np.random.default_rng(5).standard_normal((4, 4))


def bumpy(q: Any, lib: Any = np) -> Any:
    """Smooth, bounded below, with many local minima."""
    return (
        lib.sum(lib.log(lib.cosh(MIX @ q))) + 0.4 * lib.sum(lib.sin(3 * q)) + 0.05 * lib.sum(q**4)
    )


def bumpy_gradient(q: Any) -> Any:
    return MIX.T @ np.tanh(MIX @ q) + 1.2 * np.cos(3 * q) + 0.2 * q**3


SCALE = np.array([1.0, 0.5, 2.0, 4.0])
ASKED = {
    "partial": lambda q, i: bumpy_gradient(q)[i], "value": bumpy,
    "map_hessian_diagonal": lambda q: SCALE,
}  # fmt: skip


@settings(max_examples=25)
@given(st.floats(-3, 4), st.integers(0, 10_000), st.sampled_from(sorted(ORDERS)))
def test_f_falls_for_every_step(exponent: float, seed: int, order: str) -> None:
    """h from 10^-3 to 10^4 on a function that is not convex: f(x) - f(x+) is the sum of d_i delta_i^2 / h."""
    size = 10.0**exponent
    begin = 2 * np.random.default_rng(seed).standard_normal(4)
    module = emitted("itoh_abe", order)
    xs = module.run(**ASKED, x0=begin, steps=6, h=size)
    values = np.array([bumpy(q) for q in xs])
    assert len(xs) == 7 and np.all(np.diff(values) <= 1e-13 * (1 + np.abs(values[:-1])))
    if order != "symmetric":  # there each half has its own
        known = ((xs[1:] - xs[:-1]) ** 2 @ SCALE) / size
        np.testing.assert_allclose(values[:-1] - values[1:], known, rtol=1e-6, atol=1e-8)


def test_it_stops_at_a_stationary_point_alone() -> None:
    """The gradient goes to rounding, where differences of values alone would stall near 10^-8."""
    xs = emitted("itoh_abe").run(**ASKED, x0=np.ones(4), steps=200, h=0.5)
    assert np.abs(bumpy_gradient(xs[-1])).max() < 1e-11 < np.abs(bumpy_gradient(xs[3])).max()


@pytest.mark.parametrize(("order", "wanted"), [("forward", 1), ("backward", 1), ("symmetric", 2)])
def test_orders_of_the_discrete_gradient(order: str, wanted: int) -> None:
    """Against scipy's flow; a sweep each way is its own adjoint, whence order 2."""
    begin = np.array([0.8, -0.6, 0.3, 1.0])
    flow = lambda _, q: -bumpy_gradient(q) / SCALE
    exact = solve_ivp(flow, (0, 1), begin, rtol=1e-12, atol=1e-13).y[:, -1]
    module, errors, counts = emitted("itoh_abe", order), [], (20, 40, 80)
    for n in counts:
        errors.append(np.abs(module.run(**ASKED, x0=begin, steps=n, h=1 / n)[-1] - exact).max())
    assert fitted_order([1 / n for n in counts], errors) == pytest.approx(wanted, abs=0.12)


@pytest.mark.parametrize("by", ["explicit", "implicit", "cayley", "discrete_gradient"])
def test_every_integrator_on_a_field_of_its_own(by: str) -> None:
    """A nonlinear rate with a second block in it, in JAX, against whole gradients and scipy's root finder."""
    rate = -elementwise(lambda g, s: g / (1 + s**2), f.grad(x), w)
    rate = rate if by == "discrete_gradient" else rate - c * x + w
    flow = od.System({"go": {x: rate}, "other": {w: -w}}, output=x, init={w: od.blocks("x0") / 2})
    steps = (od.Flow("other", "exact"), od.Sweep("go", by, backward=by == "cayley"))
    made = od.Algorithm(flow, od.Scheme(steps), h)
    begin = np.array([0.8, -0.6, 0.3, 1.0])
    given = {"h": 0.15 if by == "explicit" else 0.7} | (
        {} if by == "discrete_gradient" else {"c": 0.3}
    )
    machine = Machine(made.tuned, {"grad_f": bumpy_gradient, "value_f": bumpy}, **given)
    objective = od.Objective("bumpy", fun=lambda q: bumpy(q, jnp))
    run = made.run(objective, begin, 6, **given)
    for point, state in zip(run.x, machine.run(begin, 6), strict=True):
        np.testing.assert_allclose(point, state["x"], rtol=1e-9, atol=1e-10)


def test_pytrees_and_single_precision() -> None:
    """Coordinates are those of the flattened tree; float32 stays float32 and reaches its own rounding."""
    plain = lambda p: jnp.sum(jnp.cosh(p["a"])) + jnp.sum(p["b"] ** 2) * (1 + jnp.sum(p["a"]) ** 2)
    flat = lambda q: plain({"a": q[:4].reshape(2, 2), "b": q[4:]})
    begin = np.linspace(-1, 1, 7)
    tree = {"a": begin[:4].reshape(2, 2), "b": begin[4:]}
    method = od.algorithm("itoh_abe")
    ours = method.run(od.Objective("tree", fun=plain), tree, 5, h=0.6)
    slope, curvature = jax.jit(jax.grad(flat)), jnp.diag(jax.hessian(flat)(begin))
    one = emitted("itoh_abe").run(
        lambda q, i: slope(q)[i], jax.jit(flat), lambda q: np.asarray(curvature), begin, 5, 0.6
    )
    np.testing.assert_allclose(ours.x["a"].reshape(6, 4), one[:, :4], rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(ours.x["b"], one[:, 4:], rtol=1e-9, atol=1e-11)
    low = method.run(
        od.Objective("low", fun=lambda q: jnp.sum(jnp.cosh(q))), np.ones(3, np.float32), 30, h=2.0
    )
    assert low.x.dtype == jnp.float32 and np.abs(low.x[-1]).max() < 1e-5


@pytest.mark.parametrize("name", ["itoh_abe", "coordinate_descent"])
def test_a_diagonal_that_is_not_positive_is_refused(name: str) -> None:
    """Where d_i < 0 the method climbs along i, to a maximum of cos; sor, which solves A x = b, has no such need."""
    method = od.algorithm(name)
    fun = lambda q: jnp.cos(q[0]) + q[1] ** 2
    hill = od.Objective("hill", fun=fun)
    with pytest.raises(
        od.OdescentError,
        match=r"d = hessian_diagonal\(x0\) has to be positive.*-0.955.*oracle map_hessian_diagonal of",
    ):
        method.run(hill, [0.3, 1.0], 5, h=0.5)
    with pytest.raises(od.OdescentError, match="has to be positive"):
        method.run(hill, [0.3, 1.0], 5, h=0.5, every=2)
    flat = od.Objective("flat", fun=lambda q: q[0] ** 4 + q[1] ** 2)
    with pytest.raises(od.OdescentError, match=r"has to be positive.*entry is 0"):
        method.run(flat, [0.0, 1.0], 5, h=0.5)
    both = jax.vmap(lambda s: method.run(hill, s, 5, h=0.5).diverged_at)(
        jnp.array([[0.3, 1.0], [3.0, 1.0]])
    )
    assert both.tolist() == [0, -1]
    given = od.Objective("hill", fun=fun, map_hessian_diagonal=lambda q: 2 + 0 * q)
    assert np.all(np.diff(method.run(given, [0.3, 1.0], 5, h=0.5).f) < 0)
    assert "d has to be positive" in method.source("numpy")
    with pytest.raises(od.OdescentError, match="no block 'e'"):
        od.Algorithm(method.system, method.scheme, h, positive=["e"])


# what is refused, and text


def swept(fields: Any, by: Any = "cayley", **how: Any) -> od.Algorithm:
    return od.Algorithm(od.System(fields, output=x), od.Scheme((od.Sweep((), by, **how),)), h)


Diffusion = od.Diffusion
REFUSED: list[tuple[Callable[[], object], str]] = [
    (lambda: od.Sweep((), "exact"), "integrator must be one of explicit, .*not 'exact'"),
    (lambda: od.Sweep((), "frozen explicit"), "not 'frozen explicit'"),
    (lambda: swept({"a": {x: w, w: -x}}), "one vector block without noise.*x, w"),
    (lambda: swept({"a": od.Field({x: -x}, {x: Diffusion(c)})}), "have noise"),
    (lambda: swept({"a": {x: -f.grad(2 * x)}}), r"has grad f\(2\*x\)"),
    (lambda: swept({"a": {x: -f.hess(x, x)}}), "at x itself"),
    (lambda: swept({"a": {x: -x * od.inner(x, x)}}), "depends on all of x"),
    (lambda: swept({"a": {x: -f.grad(x)}}, read={"x": "start"}), "as it moves"),
    (lambda: swept({"a": {x: -x}}, "discrete_gradient"), "gradient of one function"),
    (lambda: swept({"a": {x: -f.grad(x) - x}}, "discrete_gradient"), "gradient of one function"),
    (lambda: swept({"a": {x: -F.operator(x)}}, "discrete_gradient"), "gradient of one function"),
    (
        lambda: od.Algorithm(
            od.System({"a": {x: -f.grad(x)}}), od.Scheme((od.Flow((), "discrete_gradient"),)), h
        ),
        "use it in a Sweep",
    ),
    (lambda: od.algorithm("sor", order="sideways"), "order of a sweep called 'sideways'"),
    (lambda: od.algorithm("sor").state_space(), "coordinates one after another"),
    (lambda: od.algorithm("sor").modified_equation(1), "no modified equation in whole vectors"),
    (lambda: od.algorithm("sor").source("optax"), "optax backend does not support sor: it updates coordinates"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "message"), REFUSED)
def test_refusals(make: Callable[[], object], message: str) -> None:
    with pytest.raises(od.OdescentError, match=message):
        make()


def test_sweeps_as_text() -> None:
    """Sweeps and shared increments in the language of schemes, as the same data."""
    found = od.parse_scheme(
        "descent: cayley on x sweep for 1/2, descent: discrete_gradient sweep backward for 1/2 save s, "
        "heat: explicit for 1/2 sharing W1"
    )
    half = sp.Rational(1, 2)
    assert found.steps == (
        od.Sweep("descent", "cayley", half, on="x"),
        od.Sweep("descent", "discrete_gradient", half, save="s", backward=True),
        od.Flow("heat", "explicit", half, increment="W1"),
    )
    assert str(found) == (
        "descent on x cayley sweep for 1/2 h; descent discrete_gradient sweep backward for 1/2 h; "
        "heat explicit for 1/2 h sharing W1"
    )
    with pytest.raises(od.OdescentError, match="shares no increment"):
        od.parse_scheme("a: cayley sweep sharing W1")
    with pytest.raises(od.OdescentError, match="order of a sweep called 'backwards': did you mean"):
        od.parse_scheme("a: cayley sweep backwards")
    with pytest.raises(od.OdescentError, match="a sweep's integrator"):
        od.parse_scheme("a: exact sweep")
    file = "blocks x objective f field descent: x' = -grad f(x) scheme descent: implicit sweep"
    written = od.parse_algorithm(file)
    assert "sweep" in str(written.scheme) and len(written.program.sweeps) == 1


def test_what_is_shown() -> None:
    method = od.algorithm("itoh_abe")
    assert "swept over coordinates 1, ..., n" in str(method) and r"\partial_i f" in method.latex()
    assert method.derivation().verified
    assert "one sweep over the coordinates" in method.source("numpy")
    assert method.to_dict()["program"][0].startswith("x_1 = x swept")
