"""The dictionary of MATH b.3, both ways, and its table."""

import pytest
import sympy as sp

import odescent as od
from odescent.discretize.pole_placement.passive_form import passive_parameters, three_parameters
from odescent.dynamics import L, is_zero, mu

K, a, b, h = od.parameters("K a b h")
al, be, ga = od.parameters("alpha beta gamma")
q = sp.sqrt(mu / L)
rho = 1 - q


def same(found, expected):
    return all(is_zero(found[name] - value) for name, value in expected.items())


def test_the_formulas_of_the_notes():
    c = 1 + ga - ga / be
    assert same(
        passive_parameters(al, be, ga),
        {"K": (1 - be) / h, "a": ga * al / (be * h), "b": c * al / h**2},
    )
    assert is_zero(three_parameters(K, a, b)["alpha"] - h**2 * (a * K + b))


def test_each_way_undoes_the_other():
    there = three_parameters(K, a, b)
    assert same(passive_parameters(*there.values()), {"K": K, "a": a, "b": b})
    back = passive_parameters(al, be, ga)
    assert same(three_parameters(*back.values()), {"alpha": al, "beta": be, "gamma": ga})


@pytest.mark.parametrize(
    ("name", "kh", "feed", "coupling"),
    [
        ("nesterov_sc", 2 * q / (1 + q), 1, (1 - q) / (1 + q)),
        ("triple_momentum", q * (3 - q) / (1 + q), 1, 2 * (1 - q) / (1 + q)),
        ("heavy_ball", 4 * q / (1 + q) ** 2, 0, 4 / (1 + q) ** 2),
        (
            "gradient_descent",
            1,
            0,
            1,
        ),  # with beta = gamma = 0 the split of alpha is free; a = 0 is taken
    ],
)
def test_table_in_units_of_the_step(name, kh, feed, coupling):
    found = od.algorithm(name).coefficients
    row = passive_parameters(found["alpha"], found["beta"], found["gamma"], 1 / sp.sqrt(L))
    assert is_zero(row["K"] / sp.sqrt(L) - kh)
    assert is_zero(row["a"] * sp.sqrt(L) - feed)
    assert is_zero(row["b"] - coupling)


def test_no_memory_with_look_ahead_is_refused():
    with pytest.raises(od.OdescentError, match="beta = 0"):
        passive_parameters(1, 0, sp.Rational(1, 2))
