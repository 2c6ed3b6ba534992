"""Functions that are flat along something: their points of rest are no nodes, and have neither edge nor least shock."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import odescent as od

A = od.analysis
DESCENT = od.algorithm("gradient_descent", step=0.05)


def ring(x: Any) -> Any:
    return (jnp.sum(x**2) - 1) ** 2 / 4


def valley(x: Any) -> Any:
    return x[0] ** 2 / 2


def quartic(x: Any) -> Any:
    return jnp.sum(x**4)


def monkey(x: Any) -> Any:
    return x[0] ** 3 - 3 * x[0] * x[1] ** 2


def flat(x: Any) -> Any:
    return 0.0 * jnp.sum(x)


WINDOW = ((-2, 2), (-2, 2))


@pytest.mark.parametrize(
    ("f", "many"), [(ring, 256), (valley, 20), (flat, 20), (quartic, 1), (monkey, 1)]
)
def test_a_point_where_f_is_flat_is_no_node(f: Any, many: int) -> None:
    """A flat direction was taken for a coefficient that no step changes; where all were, NumPy's error came out."""
    start = [0.3, 0.2]
    found = A.landscape({"a": DESCENT}, od.Objective(f.__name__, f), start, steps=3, window=WINDOW)
    flat = [p for p in found.critical_points if p.kind == "degenerate"]
    assert len(flat) >= many
    for p in flat:
        assert {e.kind for e in p.equilibria.values()} == {"non-hyperbolic"}
        assert all(len(e.eigenvalues) == 2 for e in p.equilibria.values())
    assert ("as those of a continuum are" in str(found)) == (many > 10)


@pytest.mark.parametrize("f", [ring, lambda x: (x[0] ** 2 + 3 * x[1] ** 2) / 2])
def test_memories_of_the_gradient_are_still_coefficients(f: Any) -> None:
    """They are frozen, and the two entries of the output are not."""
    found = A.landscape(
        ["adagrad"], od.Objective("f", f), [1.2, 0.5], steps=20, window=WINDOW, parameters={"lr": 0.01, "eps": 1e-3}
    )  # fmt: skip
    assert found.critical_points
    for point in found.critical_points:
        seen = point.equilibria["adagrad"]
        assert len(seen.eigenvalues) == 2 and seen.frozen == "at step 20"
        flat = point.kind == "degenerate"
        assert seen.kind == ("non-hyperbolic" if flat else seen.kind) and bool(seen.kind)


def test_the_text_of_a_portrait_does_not_list_a_continuum() -> None:
    found = A.phase_portrait(
        "gradient_flow", od.Objective("flat", flat), x0=[0.8, 0.5], window=WINDOW
    )
    lines = str(found).split("\n")
    assert len(lines) < 30 and lines[-1].startswith("  and ")
    assert "are non-hyperbolic, as those of a continuum are." in lines[0]


@pytest.mark.parametrize("f", [ring, valley])
def test_what_is_one_of_a_continuum_has_no_least_shock_and_no_edge(f: Any) -> None:
    """Any push along the continuum leads to another point of it: 1e-5 was said, and that no shock tips it."""
    target = od.Objective(f.__name__, f)
    with pytest.raises(od.OdescentError, match="has a multiplier of 1: it is one of a continuum"):
        A.resilience(DESCENT, target, at=[0.8, 0.5], key=jax.random.key(0), directions=8)
    with pytest.raises(od.OdescentError, match="has a multiplier of 1: it is one of a continuum"):
        A.edge_state(DESCENT, target, between=([0.8, 0.5], [-0.8, 0.6]))


def test_states_that_do_not_settle_are_not_said_to_go_to_one_attractor() -> None:
    with pytest.raises(od.OdescentError, match="neither state reaches an attractor in time"):
        A.edge_state(DESCENT, od.Objective("quartic", quartic), between=([-1.0, 0.0], [1.0, 0.0]))


def test_an_order_is_fitted_to_what_is_more_than_the_flow_is_off() -> None:
    """At small steps of a scheme of order 4 the flow's own error was fitted: h^0.03, with a standard error of 0.015."""
    rk4 = od.parse_algorithm("x' + grad f(x) = 0 scheme rk4")
    bowl = od.Objective("bowl", lambda x: (x[0] ** 2 + 3 * x[1] ** 2) / 2)
    for h in (0.4, 0.2, 0.05):
        order = A.convergence(rk4, bowl, [0.8, 0.5], 40, parameters={"h": h}).order
        assert order is not None and abs(order.order - 4) < 0.2
    fine = A.convergence(rk4, bowl, [0.8, 0.5], 40, parameters={"h": 0.002})
    assert fine.order is not None and np.isnan(fine.order.order)
    assert "no order is fitted" in str(fine)
    slope = od.Objective("slope", lambda x: x[0] + 2 * x[1])
    exact = A.convergence(DESCENT, slope, [0.8, 0.5], 40)
    assert exact.order is not None and exact.order.order == np.inf
    assert "the iterates are those of the flow, to rounding" in str(exact)


def test_a_map_that_moves_nothing() -> None:
    stays = A.cobweb(lambda x: x, x0=[0.5])
    assert {slope for _, slope in stays.fixed.tolist()} == {1.0}
    assert len(str(stays).split("\n")) < 30 and "is neutral" in str(stays)
    for more in ({"flow": True}, {}):
        field = (lambda x, *, mu: 0 * x + 0 * mu) if more else (lambda x, *, mu: x + 0 * mu)
        with pytest.raises(od.OdescentError, match="is singular at its start"):
            A.continuation(field, parameter="mu", interval=(0.0, 1.0), x0=[0.1], **more)
