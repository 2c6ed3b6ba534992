"""Plain-text mathematics in Unicode."""

import pytest

from odescent.dynamics.notation.unicode import pretty, unlatex


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("2*sqrt(mu)*x_dot + h*hess f(x)[x_dot]", "2 √μ x' + h ∇²f(x)[x']"),
        ("a**2*|grad f(x)|^2", "a² |∇f(x)|²"),
        ("(1 - q)**2/(1 + q)", "(1 - q)²/(1 + q)"),
        ("mu**(3/2)*psi", "μ^(3/2) ψ"),
        ("D3 f(x)[v, v]", "D³f(x)[v, v]"),
        ("sqrt(1 + h*mu)", "sqrt(1 + h μ)"),
        ("eta*theta + maximum", "η θ + maximum"),
    ],
)
def test_pretty(given, shown):
    assert pretty(given) == shown


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (r"the law $u = -\sqrt{\mu}\,\psi$ holds", "the law u = -√μ ψ holds"),
        (r"$h = \frac{1}{\sqrt{L}}$", "h = 1/√L"),
        (r"$\ddot x + (\mathrm{lhs}) = O(h^2)$", "x'' + (lhs) = O(h²)"),
        (r"$\frac{\mu}{2}\|v - x\|^2$", "μ/2|v - x|²"),
        ("no mathematics, 5 dollars", "no mathematics, 5 dollars"),
    ],
)
def test_unlatex(given, shown):
    assert unlatex(given) == shown
