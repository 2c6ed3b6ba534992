"""Text and LaTeX, pinned; and every LaTeX line goes through matplotlib's parser."""

import random

import matplotlib.mathtext
import pytest
import sympy as sp

from odescent.dynamics.algebra.exact import canonical
from odescent.dynamics.algebra.products import apply, elementwise, hadamard, outer
from odescent.dynamics.algebra.scalars import as_scalar, parameters
from odescent.dynamics.algebra.vectors import inner, zero
from odescent.dynamics.library import system, systems
from odescent.dynamics.notation.readable import Indicator, Remainder, readable
from odescent.dynamics.notation.show import latex, symbol_latex, text
from odescent.dynamics.vector_fields.block import blocks
from odescent.dynamics.vector_fields.objective import Objective
from odescent.dynamics.vector_fields.system import L, mu

x, y, psi = blocks("x y psi")
A = blocks("A", kind="matrix")
a, b, K, beta, eps, t = parameters("a b K beta_1 eps t")
f, F = Objective("f"), Objective("F")
q = sp.sqrt(mu)
logistic = elementwise(lambda s: 1 - s, x)
ratio = elementwise(lambda m, v: m / (sp.sqrt(v) + eps), x, y - x)

PINNED = {
    "zero": (zero, "0", "0"),
    "sum of sums": (-(b + K * a) * x, "-(b + K*a)*x", r"-\left(b + K a\right) x"),
    "one minus": (canonical(1 - beta) * x, "(1 - beta_1)*x", r"\left(1 - \beta_{1}\right) x"),
    "minus one plus": ((beta - 1) * x, "(beta_1 - 1)*x", r"\left(\beta_{1} - 1\right) x"),
    "minus a difference": (-(L - mu) * x, "(mu - L)*x", r"\left(\mu - L\right) x"),
    "fraction": (canonical((L - mu) / (L + mu)) * x, "(L - mu)/(L + mu)*x", r"\frac{L - \mu}{L + \mu} x"),
    "Cayley": (canonical((1 - a) / (1 + a)) * x, "(1 - a)/(1 + a)*x", r"\frac{1 - a}{1 + a} x"),
    "one over": (-x / (1 - a), "1/(a - 1)*x", r"\frac{1}{a - 1} x"),
    "exponential": ((1 - sp.exp(-a * t)) * x, "(1 - exp(-a*t))*x", r"\left(1 - e^{- a t}\right) x"),
    "numbers": (-2 * a * x / 3 + y / 2, "1/2*y - 2*a/3*x", r"\frac{1}{2} y - \frac{2 a}{3} x"),
    "root": (2 * q * psi, "2*sqrt(mu)*psi", r"2 \sqrt{\mu} \psi"),
    "gradient": (y - a * f.grad(x + a * y), "y - a*grad f(x + a*y)", r"y - a \nabla f(x + a y)"),
    "hessian": (f.hess(x, f.grad(y)), "hess f(x)[grad f(y)]", r"\nabla^2 f(x)\,\nabla f(y)"),
    "hessian of a product": (
        f.hess(x, hadamard(x, y)), "hess f(x)[(x .* y)]", r"\nabla^2 f(x)\,\left(x \odot y\right)",
    ),
    "third": (f.third(x, y, y), "D3 f(x)[y, y]", "D^3 f(x)[y, y]"),
    "operator": (-F.operator(x), "-F(x)", "-F(x)"),
    "prox": (f.prox(x - y, a), "prox_f(x - y; a)", r"\operatorname{prox}_{a f}(x - y)"),
    "product of a hessian": (
        hadamard(f.hess(x, y), x), "(x .* hess f(x)[y])", r"x \odot \left(\nabla^2 f(x)\,y\right)",
    ),
    "matrix": (apply(A, hadamard(x, y)), "(A @ (x .* y))", r"A\,\left(x \odot y\right)"),
    "outer": (outer(x, y), "(x (x) y)", r"x \otimes y"),
    "elementwise sum": (-2 * logistic, "-2*[1 - x]", r"-2 \left(1 - x\right)"),
    "elementwise of a gradient": (
        -elementwise(sp.sign, f.grad(x)), "-[sign(grad f(x))]",
        r"-\operatorname{sign}{\left(\nabla f(x) \right)}",
    ),
    "elementwise": (ratio, "[x/(eps + sqrt(y - x))]", r"\frac{x}{\varepsilon + \sqrt{y - x}}"),
    "norm squared, squared": (inner(x, x) ** 2 * x, "|x|**4*x", r"\|x\|^{4} x"),
    "norm": (x / sp.sqrt(inner(x, x)), "1/|x|*x", r"\frac{1}{\|x\|} x"),
    "one root": (sp.sqrt(a) * sp.sqrt(2) / 3 * x, "sqrt(2*a)/3*x", r"\frac{\sqrt{2 a}}{3} x"),
    "scalar difference": (
        (inner(x, y) - inner(x, x)) * x, "(<x, y> - |x|^2)*x", r"\left(\langle x, y \rangle - \|x\|^2\right) x",
    ),
    "value": (f.value(x) * y, "f(x)*y", "f(x) y"),
    "long objective": (
        Objective("logistic/breast_cancer").grad(x), "grad logistic/breast_cancer(x)",
        r"\nabla \mathrm{logistic/breast\_cancer}(x)",
    ),
    "scalar": (1 - beta + inner(x, x) / 2, "1 + |x|^2/2 - beta_1", r"1 + \frac{\|x\|^2}{2} - \beta_{1}"),
    "condition": (
        as_scalar(sp.Piecewise((a, a * t <= b), (K, True))) * x, "(K*[a*t > b] + a*[a*t <= b])*x",
        r"\left(K \mathbf{1}_{\{a t > b\}} + a \mathbf{1}_{\{a t \leq b\}}\right) x",
    ),
    "equality": (
        as_scalar(sp.Piecewise((a, sp.Eq(t, 3)), (0, True))) * x, "a*[t = 3]*x",
        r"a \mathbf{1}_{\{t = 3\}} x",
    ),
    "the other case": (
        (as_scalar(sp.Piecewise((1, t > 2), (0, True))) - 1) * x, "-[t <= 2]*x", r"-\mathbf{1}_{\{t \leq 2\}} x",
    ),
    "condition on vectors": (
        as_scalar(sp.Piecewise((1, inner(x, y) < 0), (0, True))) * x, "[<x, y> < 0]*x",
        r"\mathbf{1}_{\{\langle x, y \rangle < 0\}} x",
    ),
    "cases by entries": (
        elementwise(lambda s: sp.Piecewise((s, sp.Abs(s) > a), (0, True)), x), "[x*[Abs(x) > a]]",
        r"x \mathbf{1}_{\{\left|{x}\right| > a\}}",
    ),
    "powers and quotients of sums by entries": (
        elementwise(lambda s, n: s**2 / n + n / s - sp.exp(n), x - y, x + y),
        "[(x + y)/(x - y) + (x - y)**2/(x + y) - exp(x + y)]",
        r"\left(\frac{x + y}{x - y} + \frac{\left(x - y\right)^{2}}{x + y} - e^{x + y}\right)",
    ),
    "the other half": (
        (a - a * as_scalar(sp.Piecewise((1, t < 3), (0, True)))) * x, "a*[t >= 3]*x", r"a \mathbf{1}_{\{t \geq 3\}} x",
    ),
    "share of an average": (
        (sp.exp(a * t) - 1) * sp.exp(-a * t) * x, "(1 - exp(-a*t))*x", r"\left(1 - e^{- a t}\right) x",
    ),
    "size of a noise": (
        sp.sqrt(b) * sp.sqrt(sp.exp(2 * a * t) - 1) * sp.exp(-a * t) * x, "sqrt(b)*sqrt(1 - exp(-2*a*t))*x",
        r"\sqrt{b} \sqrt{1 - e^{- 2 a t}} x",
    ),
    "both cases": (
        sp.expand(as_scalar(sp.Piecewise((1 + a, a * t > b), (1, True)))) * x, "(1 + a*[a*t > b])*x",
        r"\left(1 + a \mathbf{1}_{\{a t > b\}}\right) x",
    ),
    "every fifth": (
        as_scalar(sp.Piecewise((1, sp.Eq(sp.Mod(t, 5), 0)), (0, True))) * x, "[t mod 5 = 0]*x",
        r"\mathbf{1}_{\{t \,\mathrm{mod}\, 5 = 0\}} x",
    ),
    "remainder": (
        as_scalar(2 - sp.Mod(t, a * b)) * x, "(2 - (t mod (a*b)))*x",
        r"\left(2 - \left(t \,\mathrm{mod}\, \left(a b\right)\right)\right) x",
    ),
    "floor": (
        as_scalar(a * sp.floor(t / 2)) * x, "a*floor(t/2)*x", r"a \left\lfloor{\frac{t}{2}}\right\rfloor x",
    ),
    "never": (as_scalar(sp.Max(0, sp.sign(t)) * sp.Max(0, -sp.sign(t))) * x + y, "y", "y"),
}  # fmt: skip


def parses(line: str) -> bool:
    """Whether matplotlib's parser takes the line; it raises where it does not."""
    matplotlib.mathtext.MathTextParser("path").parse(f"${line}$")
    return True


@pytest.mark.parametrize("name", PINNED)
def test_pinned(name):
    e, plain, tex = PINNED[name]
    assert text(e) == plain and latex(e) == tex
    assert "+ -" not in plain and "+ -" not in tex
    assert parses(tex)


@pytest.mark.parametrize(
    ("name", "tex"),
    [
        ("x", "x"), ("psi", r"\psi"), ("Gamma", r"\Gamma"), ("x0", "x_{0}"), ("beta1", r"\beta_{1}"),
        ("x_dot", r"\dot{x}"), ("psi_ddot", r"\ddot{\psi}"), ("x_psi", r"x_{\psi}"), ("mhat", r"\mathrm{mhat}"),
        ("x1_star", r"x_{1,\mathrm{star}}"), ("g_k", "g_{k}"), ("eps", r"\varepsilon"), ("a/b_c", r"\mathrm{a/b\_c}"),
    ],
)  # fmt: skip
def test_names(name, tex):
    assert symbol_latex(name) == tex and parses(tex)


def test_what_is_shown_of_conditions_and_remainders_has_the_same_values():
    """Random scalars of pieces, remainders and floors; at numbers on the borders of their conditions, too."""
    rng = random.Random(0)
    symbols = sp.symbols("u v w", real=True)

    def scalar(depth):
        if not depth:
            return rng.choice([*symbols, sp.Integer(rng.randint(-2, 3)), sp.Rational(1, 2)])
        one, two = scalar(depth - 1), scalar(depth - 1)
        relation = rng.choice([sp.Lt, sp.Le, sp.Gt, sp.Ge, sp.Eq, sp.Ne])
        return rng.choice(
            [one + two, one * two, one - two, sp.floor(one), -sp.ceiling(one), sp.Mod(one, rng.randint(2, 4)),
             2 - sp.Mod(one, 3), (sp.exp(symbols[0]) - one) * sp.exp(-symbols[0]),
             sp.Piecewise((one, relation(two, symbols[2])), (two, True))]
        )  # fmt: skip

    marked = 0
    for _ in range(60):
        given = scalar(3)
        e = as_scalar(given)
        shown = readable(e)
        marked += shown.has(Indicator, Remainder, sp.floor)
        meant = shown.replace(
            Indicator,
            lambda p, r, q: sp.Piecewise((1, sp.Rel(p, q, _RELATIONS[r.name])), (0, True)),
        ).replace(Remainder, sp.Mod)
        for _ in range(6):
            at = {s: sp.Rational(rng.randint(-6, 6), rng.choice([1, 1, 2])) for s in symbols}
            values = [sp.N(form.subs(at), 30) for form in (given, e, meant)]
            assert max(values) - min(values) < 1e-20, (given, e, shown, at)
    assert marked > 25


_RELATIONS = {"=": "==", "!=": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}


def test_scalars_are_named_like_vectors():
    for name in ("beta1", "eps", "kstep", "mu", "x_max"):
        assert latex(sp.Symbol(name)) == symbol_latex(name)


@pytest.mark.parametrize("name", systems())
def test_every_equation_of_the_library_parses(name):
    built = system(name)
    for line in built.equations().values():
        assert parses(line) and "+ -" not in line
    assert built.latex().startswith("\\begin{aligned}\n") and built._repr_latex_().startswith("$$")


h, gam, free = *parameters("h gam"), sp.Symbol("s", real=True)
ROOTS = {
    "several": (sp.sqrt(2) * sp.sqrt(h) * sp.sqrt(gam), r"\sqrt{2 \gamma h}"),
    "beside a sum": (sp.sqrt(2) * sp.sqrt(h) * (1 + b), r"\left(1 + b\right) \sqrt{2 h}"),
    "over a number": (sp.sqrt(2) * sp.sqrt(h) / 2, r"\frac{\sqrt{2 h}}{2}"),
    "negative": (-2 * sp.sqrt(h) * sp.sqrt(mu) * K, r"- 2 K \sqrt{h \mu}"),
    "one alone": (sp.sqrt(2) * h, r"h \sqrt{2}"),
    "of a sum": (sp.sqrt(h) * sp.sqrt(1 + b), r"\sqrt{h} \sqrt{1 + b}"),
}


@pytest.mark.parametrize("name", ROOTS)
def test_square_roots_of_what_is_not_negative_are_one(name):
    e, tex = ROOTS[name]
    assert latex(e) == tex and parses(tex)


def test_square_roots_of_what_may_be_negative_stay_apart():
    """For s < 0 one root of a product with another such number would not be the same."""
    assert set(latex(sp.sqrt(h) * sp.sqrt(free)).split()) == {r"\sqrt{h}", r"\sqrt{s}"}


@pytest.mark.parametrize(
    ("power", "tex"),
    [
        ("1/2", r"\|x\|"), ("3/2", r"\|x\|^{3}"), ("2", r"\|x\|^{4}"), ("1/3", r"\|x\|^{\frac{2}{3}}"),
        ("-1/2", r"\frac{1}{\|x\|}"), ("-1", r"\frac{1}{\|x\|^{2}}"),
    ],
)  # fmt: skip
def test_powers_of_a_squared_norm_are_powers_of_the_norm(power, tex):
    x, y = blocks("x y")
    assert latex(inner(x, x) ** sp.Rational(power)) == tex
    assert latex(inner(x, y) ** sp.Rational(power)).count("langle") == 1
    assert latex(sp.sqrt(2 * h) * sp.sqrt(inner(x, x))) == r"\|x\| \sqrt{2 h}"
