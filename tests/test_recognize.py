"""Recognition: known methods in other coordinates and with other parameters, and maps that match nothing."""

import pytest
import sympy as sp

import odescent as od
from odescent.discretize.linear.state_space import z
from odescent.dynamics import L, mu

s, b, w = od.parameters("s b w")
x, p = od.blocks("x p")
f = od.Objective("f")
q = sp.sqrt(mu / L)
rho = 1 - q


def three(alpha, beta, gamma, delta=0):
    """The textbook's two-step form."""
    point = (1 + gamma) * x - gamma * p
    output = (1 + delta) * x - delta * p
    return od.method({x: (1 + beta) * x - beta * p - alpha * f.grad(point), p: x}, output=output)


def test_textbook_forms_are_recognized_with_the_same_parameters():
    beta = (1 - q) / (1 + q)
    for name, method in {
        "nesterov_sc": three(1 / L, beta, beta),
        "triple_momentum": three(
            (1 + rho) / L,
            rho**2 / (2 - rho),
            rho**2 / ((1 + rho) * (2 - rho)),
            rho**2 / (1 - rho**2),
        ),
        "heavy_ball": three(
            4 / (sp.sqrt(L) + sp.sqrt(mu)) ** 2, ((1 - q) / (1 + q)) ** 2, sp.S.Zero
        ),
    }.items():
        found = od.recognize(method)
        assert found and found.name == name and not found.substitution
        assert found.equivalence.verdict == "proved"


@pytest.mark.parametrize(
    ("method", "name", "substitution"),
    [
        (three(s, b, b), "nesterov_sc", {"L": 1 / s, "mu": (1 - b) ** 2 / ((1 + b) ** 2 * s)}),
        (
            three(s, b, sp.S.Zero),
            "heavy_ball",
            {"L": (1 + sp.sqrt(b)) ** 2 / s, "mu": (1 - sp.sqrt(b)) ** 2 / s},
        ),
        (od.method({x: x - s * f.grad(x)}, output=x), "gradient_descent", {"L": 1 / s}),
        (
            three(s, b, b / (1 - b), b / (1 - b)),
            "gradient_descent",
            {"L": (1 - b) / s},
        ),  # the degenerate member
    ],
)
def test_other_parameters_are_solved_for(method, name, substitution):
    found = od.recognize(method)
    assert found.name == name
    assert set(found.substitution) == set(substitution)
    for key, value in substitution.items():
        assert sp.simplify(found.substitution[key] - value) == 0


def test_scaled_coordinates_do_not_hide_a_method():
    z = od.blocks("z")  # z = 3 x - 2 p and p, instead of x and p
    back = (z + 2 * p) / 3
    new = (1 + b) * back - b * p - s * f.grad(back)
    found = od.recognize(od.method({z: 3 * new - 2 * back, p: back}, output=back))
    assert found.name == "heavy_ball"


def test_numbers():
    exact = od.algorithm("triple_momentum").bind(mu=1, L=9).coefficients
    found = od.recognize(three(*(exact[n] for n in ("alpha", "beta", "gamma", "delta"))))
    assert found.name == "triple_momentum" and found.substitution == {"L": 9, "mu": 1}


def test_every_linear_registered_algorithm_is_recognized_as_itself():
    for name in od.algorithms():
        algorithm = od.algorithm(name)
        if not algorithm.program.guarded and algorithm.equivalent(algorithm):
            found = od.recognize(algorithm).name  # itself, or the same method from another flow
            assert found == name or od.algorithm(str(found)).equivalent(algorithm)


def test_a_method_of_three_parameters_is_inertial_newton_and_reads_another_output():
    found = od.recognize(three(s, b, w))
    assert not found and found.verdict == "equal but for" and found.name == "inertial_newton"
    assert set(found.but_for) == {"output"} and set(found.substitution) == {"alpha", "beta", "h"}


def test_heavy_ball_is_of_nesterovs_form_only_without_momentum():
    other, t = od.parameters("beta t")
    difference = (
        three(s, b, sp.S.Zero).transfer_function() - three(t, other, other).transfer_function()
    )
    numerator = sp.Poly(sp.fraction(sp.together(difference))[0], z)
    positive = sp.solve(numerator.coeffs(), [t, other], dict=True)
    assert positive == [] or all(sol.get(other) in (0, None) for sol in positive)
    assert not three(s, b, sp.S.Zero).equivalent(three(s, b, b))
    assert three(s, sp.S.Zero, sp.S.Zero).equivalent(od.method({x: x - s * f.grad(x)}, output=x))


def test_an_equation_of_ones_own_with_three_parameters_is_inertial_newton() -> None:
    """x'' + c x' + b H x' + (1 + b c) grad f = 0 with exact friction; the parameters are solved for under roots."""
    x, v = od.blocks("x v")
    f = od.Objective("f")
    b, c, h = od.parameters("b c h")
    ode = od.System(
        {"friction": {v: -c * v}, "force": {v: -f.grad(x), x: -b * f.grad(x)}, "flight": {x: v}}
    )
    order = [("friction", "exact"), ("force", "explicit"), ("flight", "explicit")]
    method = od.Algorithm(ode, od.scheme("lie_trotter", order), step=h)
    found = od.recognize(method)
    assert found.name == "inertial_newton" and set(found.substitution) == {"alpha", "beta", "h"}
    assert found.verdict == "equal" and found.equivalence
