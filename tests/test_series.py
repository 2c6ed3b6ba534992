"""Taylor series by structure, against numbers: polynomial fits and nested forward mode."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp
from concrete import number, random_values

from odescent.dynamics.algebra.calculus import vanishes
from odescent.dynamics.algebra.products import elementwise, hadamard
from odescent.dynamics.algebra.scalars import parameters
from odescent.dynamics.algebra.series import taylor
from odescent.dynamics.algebra.vectors import inner
from odescent.dynamics.vector_fields.block import blocks
from odescent.dynamics.vector_fields.objective import Objective

x, y, p = blocks("x y p")
a, b, h = parameters("a b h")
f, F = Objective("f"), Objective("F")
VALUES = random_values("x y p q", "a b h t")

TAYLOR = {
    "step": f.grad(x - h * f.grad(x)),
    "two steps": f.grad(x + h * y - h**2 * f.grad(x + h * y)) / (1 + h * a),
    "operator": F.operator(x - h * F.operator(x)) * sp.exp(-a * h),
    "momentum": sp.sqrt(1 + h * a) * x + (1 - sp.sqrt(b) * h) / (1 + sp.sqrt(b) * h) * y,
    "scalar": f.value(x - h * f.grad(x)) * inner(x + h * y, f.grad(x + h * y)),
    "elementwise": elementwise(lambda s, v: s / (sp.sqrt(v**2 + b) + a + h), x + h * y, y),
    "nested roots": y
    * sp.sqrt(1 + a * inner(x + h * y / sp.sqrt(1 + b * inner(x, y + h * x) ** 2), x)),
    "phi": (1 - sp.exp(-a * h)) / h * f.grad(x) + y * h / (sp.exp(b * h) - 1),
    "difference quotient": f.grad(x + h * y) / h - f.grad(x) / h,
    "logarithm": sp.log(1 + h * a * f.value(x + h * y) ** 2) / h * y,
    "powers": ((1 + a * h) ** (b / 3) + (2 + h) ** (a * h) + (h + h**2) ** -2 * h**2) * x,
    "two functions": sp.atan(h * a + inner(x, y + h * y))
    * sp.cos(h)
    / sp.sqrt(b + sp.sin(h * b))
    * x,
    "tanh": sp.tanh(h * a + b) * f.grad(x + h * hadamard(x, y)),
}


def numerical_taylor(function, order):
    """Coefficients by Cauchy's formula through a polynomial on Chebyshev points: no derivatives of ours."""
    n, radius = 24, 0.12
    nodes = radius * np.cos(np.pi * (np.arange(n) + 0.5) / n)
    samples = np.stack([np.atleast_1d(function(jnp.asarray(s))) for s in nodes])
    basis = np.polynomial.chebyshev.chebvander(nodes / radius, 11)
    fitted = np.linalg.lstsq(basis, samples, rcond=None)[0]
    plain = np.stack([np.polynomial.chebyshev.cheb2poly(col) for col in fitted.T], axis=1)
    return [plain[k] / radius**k for k in range(order + 1)]


@pytest.mark.parametrize("name", TAYLOR)
def test_taylor_coefficients(name):
    e, order = TAYLOR[name], 3
    value = jax.jit(lambda s: number(e, {**VALUES, "x": VALUES["x"] / 2, "h": s}))
    expected = numerical_taylor(value, order)
    at = {**VALUES, "x": VALUES["x"] / 2}
    for k, (got, want) in enumerate(zip(taylor(e, h, order), expected, strict=True)):
        scale = 1 + np.max(np.abs(want))
        np.testing.assert_allclose(
            np.atleast_1d(number(got, at)) / scale, want / scale, atol=10.0 ** (k - 8)
        )


def test_taylor_to_the_fourth_order_by_nested_forward_mode():
    e = f.grad(x + h * y - h**2 * p)
    curve = lambda s: number(e, {**VALUES, "h": s})
    want = curve
    for k, got in enumerate(taylor(e, h, 4)):
        np.testing.assert_allclose(
            number(got, VALUES),
            want(jnp.asarray(0.0)) / float(sp.factorial(k)),
            rtol=1e-9,
            atol=1e-9,
        )
        want = lambda s, inside=want: jax.jvp(inside, (s,), (jnp.ones_like(s),))[1]


@pytest.mark.parametrize("e", [x / h, sp.sqrt(h) * x, f.grad(x + y / h), sp.log(h) * x])
def test_no_expansion_at_a_singularity(e):
    with pytest.raises(ValueError, match="has no Taylor expansion at h = 0"):
        taylor(e, h, 1)


def test_composition_has_the_terms_of_faa_di_bruno():
    """g(x + h y + h^2 p) by hand, through third order."""
    got = taylor(f.grad(x + h * y + h**2 * p), h, 3)
    half, sixth = sp.Rational(1, 2), sp.Rational(1, 6)
    fourth = taylor(f.third(x + h * y, y, y), h, 1)[1]  # D^4 f(x)[y, y, y]
    by_hand = [
        f.grad(x),
        f.hess(x, y),
        f.hess(x, p) + half * f.third(x, y, y),
        f.third(x, y, p) + sixth * fourth,
    ]
    assert all(vanishes(one - other) for one, other in zip(got, by_hand, strict=True))
