"""Branches of fields that are not smooth: no coefficient of a normal form is claimed where it does not exist."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import odescent as od

A = od.analysis


def branch(f: Any, at: float, x0: list[float], low: float = -1.0, **more: Any) -> Any:
    field = lambda x, *, mu: f(x, mu)
    return A.continuation(
        field, parameter="mu", interval=(low, 1.0), x0=x0, at=at, **{"flow": True, **more}
    )


def test_a_branch_ends_at_a_kink_and_says_so() -> None:
    for f, at, x0 in (
        (lambda x, mu: mu - jnp.abs(x), 0.9, [-0.9]),
        (lambda x, mu: mu - x - jnp.abs(x) / 2, -0.9, [-0.9]),
    ):
        found = branch(f, at, x0)
        assert not found.special
        assert any(
            "the branch has a gap, a kink or an end there" in e for e in found.branches[0].ends
        )


def test_where_the_second_derivative_jumps_there_is_no_normal_form() -> None:
    """x' = mu x - max(x, 0)^2 has -1 on one side and 0 on the other; JAX's mean of them, -0.25, came out."""
    found = branch(lambda x, mu: mu * x - jnp.maximum(x, 0) ** 2, -0.9, [0.0])
    (point,) = found.special
    assert (point.kind, point.coefficient, point.remark) == (
        "branch point", None, "the field is not smooth there",
    )  # fmt: skip
    assert "branch point (the field is not smooth there)" in str(found)
    with pytest.raises(od.OdescentError, match="its tangent is not known, as the field is not"):
        found.switch(point)
    # the third derivative may jump: the quadratic coefficient does not need it
    (point,) = branch(lambda x, mu: mu * x - x**2 + jnp.abs(x) ** 3, -0.9, [0.0]).special
    assert point.kind == "transcritical" and point.coefficient == pytest.approx(-1.0)


def test_what_newton_s_method_does_not_find_has_no_coefficient() -> None:
    """Beside a cusp of the branch 3.5e9 came out, with twelve digits of a place that is no solution."""
    found = branch(lambda x, mu: mu - jnp.cbrt(x) ** 2, 0.9, [0.8])
    assert all(s.coefficient is None and s.remark for s in found.special)


@pytest.mark.parametrize("steep", [1.0, 1e2, 1e4])
def test_a_steep_field_is_smooth(steep: float) -> None:
    found = branch(lambda x, mu: mu * x - jnp.tanh(steep * x) ** 3 / steep, -0.9, [0.0])
    (point,) = found.special
    assert point.label == "pitchfork, supercritical" and not point.remark
    assert point.coefficient == pytest.approx(-(steep**2), rel=1e-6)
    np.testing.assert_allclose(point.value, 0.0, atol=1e-12)
