"""Numbers that are too long or too large, and coefficients that are not real: sentences, and no false ones."""

import pytest
import sympy as sp

import odescent as od

x = od.blocks("x")
c, h = od.parameters("c h")
f = od.Objective("f")
L = od.dynamics.L
LARGE, LONG = sp.Integer(10) ** 310, sp.Rational(10**3000 + 1, 10**3000)
SMALL = 1 / sp.Integer(10) ** 330


def method(k):
    return od.method({x: x - k * f.grad(x)}, output=x)


@pytest.mark.parametrize(
    "number", [LARGE, LONG, SMALL, -LARGE], ids=["large", "long", "small", "negative"]
)
@pytest.mark.parametrize(
    "use",
    [
        lambda n: od.System({"k": {x: -n * f.grad(x)}}, output=x),
        lambda n: od.System({"k": {x: -f.grad(x / n + h * n * x)}}, output=x),
        lambda n: od.algorithm("gradient_descent").bind(L=n),
        lambda n: od.algorithm("nesterov_sc").bind(L=n * c, mu=1),
        lambda n: od.analysis.certify(od.algorithm("gradient_descent"), 1, n),
        lambda n: od.Objective("f", mu=n, L=2 * n),
    ],
    ids=["coefficient", "point", "parameter", "expression", "certificate", "objective"],
)
def test_what_no_float_holds_is_refused_in_a_sentence(use, number):
    """They ended in errors of Python and SymPy: 'invalid input: inf', 'Exceeds the limit (4300 digits)'."""
    with pytest.raises(
        od.OdescentError, match=r"at most 1000 digits was expected, not one of about|must be"
    ) as e:
        use(number)
    assert str(e.value).endswith(".") and len(str(e.value)) < 400 + 350 * (number == -LARGE)


def test_what_floats_hold_is_taken():
    least, most = 5e-324, 1.7976931348623157e308
    for number in (least, most, sp.Rational(10**900 + 1, 10**900)):
        assert "def " in method(c).bind(c=number).source("numpy")
    found = od.analysis.certify(od.algorithm("gradient_descent"), 1, sp.Integer(10) ** 300)
    assert found.verify() and found.exact == 1 - 1 / sp.Integer(10) ** 300


def test_a_number_that_grew_too_long_to_write_is_told_in_a_sentence():
    """By powers of what is short enough itself."""
    system = od.System({"k": {x: -(c**9) * f.grad(x)}}, output=x)
    made = od.Algorithm(system, od.scheme("lie_trotter", [("k", "explicit")]), step=h)
    long = sp.Rational(10**900 + 1, 10**900)
    for use in ("latex", "derivation"):
        with pytest.raises(od.OdescentError, match=r"a number of more than 4,300 digits came up"):
            getattr(made.bind(c=long), use)().text()


@pytest.mark.parametrize("k", [sp.I * c, (1 + sp.I) * c, sp.I], ids=str)
def test_methods_that_are_not_real_are_not_said_to_agree(k):
    """I c and c were "equal as far as numbers tell, at every sample": there was no sample."""
    found = method(k).equivalent(method(c))
    assert found.verdict != "proved" and "as far as numbers tell" not in found.reason
    assert "no numbers were found" in found.reason
    assert method(k).equivalent(method(k)).verdict == "proved"
