"""Vectors and scalars as text and as LaTeX, in the field's notation.

Terms come in the order of the derivatives a reader expects; scalar coefficients are SymPy's, with their
signs placed as a person would: (1 - beta) x, not -(-1 + beta) x.
"""

from __future__ import annotations

import itertools
import operator
import re
from collections.abc import Callable, Iterable
from typing import Any

import sympy as sp
from sympy.printing.latex import LatexPrinter
from sympy.printing.precedence import PRECEDENCE
from sympy.printing.str import StrPrinter

from ..algebra.direct_sums import covectors_and_directions, points_of
from ..algebra.named import NamedVector
from ..algebra.operators import Inverse, OracleDerivative
from ..algebra.oracles import Oracle
from ..algebra.products import (
    Elementwise,
    Identity,
    Inclusion,
    Kronecker,
    Part,
    Product,
    Unary,
    identity,
    slots,
)
from ..algebra.vectors import (
    PRINTED,
    Argument,
    Atom,
    Call,
    Expr,
    ScalarNode,
    Vector,
    VectorSymbol,
)
from ..algebra.windows import Delay, Powers, UnitPlace, pushed
from .gather import gathered
from .readable import readable

_GREEK = {
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu",
    "xi", "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega",
    "Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Upsilon", "Phi", "Psi", "Omega",
}  # fmt: skip
# names that Python leaves free
_SHORT = {"eps": r"\varepsilon", "lam": r"\lambda", "gam": r"\gamma", "kap": r"\kappa"}


class _Text(StrPrinter):
    def _as_ordered_terms(self, expr: sp.Expr, order: object = None) -> list[sp.Expr]:
        return _positive_first(expr)

    def _print_Mul(self, expr: sp.Mul) -> str:
        rest, under = _under_one_root(expr)
        if under is None:
            return str(super()._print_Mul(expr))
        return str(self._print(sp.Mul(*rest, sp.Symbol(f"sqrt({self._print(under)})"))))

    def _print_Pow(self, expr: sp.Pow, rational: bool = False) -> str:
        """Powers of a squared norm are powers of the norm."""
        if not (_is_square(expr.base) and expr.exp.is_Rational):
            return str(super()._print_Pow(expr, rational))
        power, norm = 2 * abs(expr.exp), f"|{text(expr.base.arguments[0])}|"
        raised = norm if power == 1 else f"{norm}**{self.parenthesize(power, PRECEDENCE['Pow'])}"
        return raised if expr.exp > 0 else f"1/{raised}"


class _Latex(LatexPrinter):
    def _as_ordered_terms(self, expr: sp.Expr, order: object = None) -> list[sp.Expr]:
        return _positive_first(expr)

    def _print_Symbol(self, expr: sp.Symbol, style: str = "plain") -> str:
        names: dict[sp.Symbol, str] = self._settings["symbol_names"]
        return names[expr] if expr in names else symbol_latex(expr.name)

    def _print_Mul(self, expr: sp.Mul) -> str:
        rest, under = _under_one_root(expr)
        if under is None:
            return str(super()._print_Mul(expr))
        root = sp.Pow(under, sp.S.Half, evaluate=False)
        return str(super()._print_Mul(sp.Mul(*rest, root, evaluate=False)))

    def _print_Pow(self, expr: sp.Pow) -> str:
        """Powers of a squared norm are powers of the norm."""
        if not (_is_square(expr.base) and expr.exp.is_Rational):
            return str(super()._print_Pow(expr))
        power, norm = 2 * abs(expr.exp), rf"\|{latex(expr.base.arguments[0])}\|"
        raised = norm if power == 1 else f"{norm}^{{{self._print(power)}}}"
        return raised if expr.exp > 0 else rf"\frac{{1}}{{{raised}}}"


def _is_square(e: sp.Expr) -> bool:
    return isinstance(e, ScalarNode) and e.squared


def _under_one_root(product: sp.Mul) -> tuple[list[sp.Expr], sp.Expr | None]:
    """The factors but square roots of symbols and numbers, and what is under these: sqrt(2 h), not sqrt(2) sqrt(h)."""
    roots = [
        f
        for f in product.args
        if f.is_Pow
        and f.exp == sp.S.Half
        and f.base.is_Atom
        and f.base.is_nonnegative
        and not _is_square(f.base)
    ]
    if len(roots) < 2:
        return [], None
    bases = sorted((f.base for f in roots), key=lambda b: not b.is_number)
    rest = [f for f in product.args if f not in roots]
    return rest, sp.Mul(*bases, evaluate=False)


def _positive_first(total: sp.Add) -> list[sp.Expr]:
    return sorted(total.args, key=lambda term: term.could_extract_minus_sign())


_LATEX = _Latex({"order": "none", "inv_trig_style": "full"})
_TEXT = _Text({"order": "none"})


def symbol_latex(name: str) -> str:
    """A name as LaTeX: Greek letters, subscripts (digits, or after an underscore), dots for time derivatives."""
    if "/" in name:
        return rf"\mathrm{{{name.replace('_', chr(92) + '_')}}}"
    if name.endswith("+"):
        return symbol_latex(name[:-1]) + "^+"
    if name.endswith("*"):
        return symbol_latex(name.rstrip("*")) + "^{" + r"\star" * name.count("*") + "}"
    for suffix, accent in (("_ddot", r"\ddot"), ("_dot", r"\dot")):
        if name.endswith(suffix):
            return f"{accent}{{{symbol_latex(name.removesuffix(suffix))}}}"
    head, *tails = name.split("_")
    if digits := re.fullmatch(r"([^0-9]+)([0-9]+)", head):
        head, tails = digits[1], [digits[2], *tails]
    tail = ",".join(_letters(t) for t in tails if t)
    return f"{_letters(head)}_{{{tail}}}" if tail else _letters(head)


def _letters(part: str) -> str:
    if part in _SHORT:
        return _SHORT[part]
    if part in _GREEK:
        return "\\" + part
    return part if len(part) <= 1 or part.isdigit() else rf"\mathrm{{{part}}}"


def latex(e: Expr) -> str:
    """LaTeX of a vector or scalar, without dollar signs."""
    if (found := pushed(e)) is not None:
        return rf"\operatorname{{push}}({latex(found[0])}, {latex(found[1])})"
    return _vector(e, _latex_atom, " ") if isinstance(e, Vector) else _scalar(e, True)


def text(e: Expr) -> str:
    """One line of plain text of a vector or scalar."""
    if (found := pushed(e)) is not None:
        return f"push({text(found[0])}, {text(found[1])})"
    return _vector(e, _text_atom, "*") if isinstance(e, Vector) else _scalar(e, False)


def differential(drift: Expr, noise: Iterable[tuple[Expr, str, bool]], as_latex: bool) -> str:
    """The right-hand side of dx = drift dt + amplitude dW + ....

    Args:
        drift: scalar or vector.
        noise: triples of amplitude, name of the process, and whether the integral is Stratonovich's.
        as_latex: LaTeX instead of plain text.
    """
    if as_latex:
        shown, space, d, marks = latex(drift), r"\,", r"\mathrm{d}", (r" \circ ", r" \odot ")
        brackets = (r"\left(", r"\right)")
    else:
        shown, space, d, marks = text(drift), " ", "d", (" o ", " .* ")
        brackets = ("(", ")")
    several = len(drift.terms) > 1 if isinstance(drift, Vector) else drift.is_Add
    line = (shown.join(brackets) if several else shown) + f"{space}{d}t"
    for amplitude, process, stratonovich in noise:
        by = marks[0] if stratonovich else marks[1] if isinstance(amplitude, Vector) else space
        size = latex(amplitude) if as_latex else text(amplitude)
        several = len(amplitude.terms) > 1 if isinstance(amplitude, Vector) else amplitude.is_Add
        line += f" + {size.join(brackets) if several else size}{by}{d}{process}"
    return re.sub(r"\+ - ?", "- ", line)


def _scalar(e: sp.Expr, as_latex: bool) -> str:
    if isinstance(e, ScalarNode):
        if e.kind == "named":
            return _named(e, as_latex)
        show = latex if as_latex else text
        if (own := e.shown(show, as_latex)) is not None:
            return own
        inside = [show(a) for a in e.arguments]
        if e.kind == "inner":
            if identity in e.arguments:
                of = inside[e.arguments[0] == identity]
                return rf"\operatorname{{tr}}\left({of}\right)" if as_latex else f"trace({of})"
            if _is_square(e):
                return rf"\|{inside[0]}\|^2" if as_latex else f"|{inside[0]}|^2"
            body = ", ".join(inside)
            return rf"\langle {body} \rangle" if as_latex else f"<{body}>"
        assert e.oracle is not None
        return f"{e.oracle.of}({_points(e.oracle, e.arguments[0], show)})"
    return _printed(readable(gathered(e)), as_latex)


def _printed(e: sp.Expr, as_latex: bool) -> str:
    return str((_LATEX if as_latex else _TEXT).doprint(e))


def _vector(e: Vector, atom: Any, times: str) -> str:
    as_latex = times == " "
    pieces: list[tuple[tuple[bool, ...], str]] = []
    for a, c in e.terms.items():
        if (c := readable(gathered(c))) == 0:
            continue
        plain, turned = c == 1, c.could_extract_minus_sign()
        sign, c = _signed(c)
        body = "" if c == 1 else _printed(c, as_latex) + times
        if isinstance(c, sp.Add):
            body = rf"\left({body[:-1]}\right) " if as_latex else f"({body[:-1]})*"
        place = (not plain, sign < 0, turned)  # subtracted terms are last
        pieces.append((place, f"{'+' if sign > 0 else '-'} {body}{atom(a)}"))
    line = " ".join(piece for _, piece in sorted(pieces, key=operator.itemgetter(0))) or "+ 0"
    return line[2:] if line.startswith("+ ") else "-" + line[2:]


def _signed(c: sp.Expr) -> tuple[int, sp.Expr]:
    """A sign and the rest, chosen over the signs of the sums in it so that the fewest minus signs are printed."""
    number, rest = c.as_coeff_Mul()
    factors = list(sp.Mul.make_args(rest))
    sums = [i for i, f in enumerate(factors) if _is_odd_power_of_sum(f)][:4]
    best: tuple[tuple[int, int], int, sp.Expr] | None = None
    for signs in itertools.product((1, -1), repeat=len(sums)):
        trial = list(factors)
        for i, s in zip(sums, signs, strict=True):
            base, exponent = factors[i].as_base_exp()
            trial[i] = sp.Add(*[s * t for t in base.args]) ** exponent
        total = sp.prod(signs) * (-1 if number.is_negative else 1)
        negative = [
            t for i in sums for t in trial[i].as_base_exp()[0].args if t.could_extract_minus_sign()
        ]
        cost = (len(negative) + (total < 0), sum(bool(t.is_number) for t in negative))
        if best is None or cost < best[0]:
            best = cost, int(total), sp.Mul(abs(number), *trial) if number.is_number else c
    assert best is not None
    return best[1:]


def _is_odd_power_of_sum(factor: sp.Expr) -> bool:
    base, exponent = factor.as_base_exp()
    return bool(base.is_Add and exponent.is_Integer and exponent % 2)


def _named(node: Any, as_latex: bool) -> str:
    """A function of `named`, as E(x = ..., z = ...)[x: direction]; arguments that are themselves are left out."""
    show = latex if as_latex else text
    at = ", ".join(f"{show(s)} = {show(e)}" for s, e in node.at if s != e)
    along = "".join(f"[{', '.join(f'{show(s)}: {show(e)}' for s, e in d)}]" for d in node.along)
    k = len(node.along)
    name = rf"\mathrm{{{node.name}}}" if as_latex else node.name
    head = name if k == 0 else f"D{k} {node.name}"
    return head + (f"({at})" if at else "") + along


def _text_atom(a: Vector) -> str:
    if isinstance(a, VectorSymbol):
        return a.name
    if isinstance(a, NamedVector):
        return _named(a, False)
    if isinstance(a, Atom) and (own := a.shown(text, False)) is not None:
        return own
    if isinstance(a, Argument):
        return f"{a.slot}: {text(a.value)}"
    if isinstance(a, Call):
        point = _points(a.oracle, a.point, text)
        if a.oracle.kind == "vjp":
            head, along, covector = _adjoint(a, text)
            return f"{head}{a.oracle.of}({point}){along}^T {covector}"
        name, order = a.oracle.text, len(a.directions) + a.oracle.form.orders
        if a.directions and a.oracle.args:
            pass  # the directions say in which argument they are
        elif a.directions and a.oracle.form.orders:
            name = f"hess {a.oracle.of}" if order == 2 else f"D{order} {a.oracle.of}"
        elif a.directions:
            name = f"D{order if order > 1 else ''} {name}"
        along = "[" + ", ".join(text(d) for d in a.directions) + "]" if a.directions else ""
        with_ = "; " + ", ".join(_TEXT.doprint(p) for p in a.parameters) if a.parameters else ""
        return f"{name}({point}{with_}){along}"
    if isinstance(a, Product):
        mark = {"hadamard": " .* ", "outer": " (x) ", "apply": " @ "}[a.kind]
        return f"({text(a.left)}{mark}{text(a.right)})"
    if (shown := _operator(a, text, _TEXT_OPERATORS)) is not None:
        return shown
    assert isinstance(a, Elementwise)
    pairs = zip(slots(len(a.arguments)), a.arguments, strict=True)
    names = {
        s: sp.Symbol(text(v) if isinstance(v, Atom) else f"{_OPEN}{text(v)}{_CLOSE}", real=True)
        for s, v in pairs
    }
    body = _TEXT.doprint(readable(a.body.xreplace(names)))
    return f"[{_once(body, _IN_PARENTHESES, '(', ')')}]"


# What a function of entries has as an argument stands between these until it is known whether parentheses are there.
_OPEN, _CLOSE = "\x01", "\x02"
_IN_PARENTHESES = (re.compile(rf"\({_OPEN}([^{_CLOSE}]*){_CLOSE}\)"), r"(\1)")
_IN_BRACES = (
    re.compile(rf"(\\left\(|\{{){_OPEN}([^{_CLOSE}]*){_CLOSE}( \\right\)|\}}(?!\^))"), r"\1\2\3",
)  # fmt: skip


def _once(body: str, known: tuple[re.Pattern[str], str], start: str, end: str) -> str:
    """A function's text with one pair of parentheses around each argument, those of the function where it has them."""
    place, kept = known
    return (
        place.sub(lambda found: found.expand(kept), body).replace(_OPEN, start).replace(_CLOSE, end)
    )


_TEXT_OPERATORS = {
    "identity": "I", "transpose": "{}^T", "inverse": "({})^-1", "diagonal": "diagonal_operator({})",
    "entries": "diagonal({})", "hole": ".", "power": "{}^-1", "newest": "newest", "oldest": "oldest", "delay": "delay",
    "ages": "ages",
    "part": "part_{}", "place": "place_{}", "kronecker": "kronecker({}, {})",
}  # fmt: skip
_LATEX_OPERATORS = {
    "identity": "I", "transpose": r"{{{}}}^\top", "inverse": r"\left({}\right)^{{-1}}",
    "diagonal": r"\operatorname{{Diag}}\left({}\right)", "entries": r"\operatorname{{diag}}\left({}\right)",
    "hole": r"\cdot", "power": "{}^{{-1}}", "newest": "e_1", "oldest": "e_m", "delay": "N",
    "ages": r"\mathbf{j}",
    "part": r"E_{{{}}}^\top", "place": "E_{{{}}}", "kronecker": r"\left({} \boxtimes {}\right)",
}  # fmt: skip


def _operator(a: Vector, show: Callable[[Expr], str], forms: dict[str, str]) -> str | None:
    """An operator's atom; a derivative is shown with a dot for the direction that is open."""
    if isinstance(a, Identity):
        return forms["identity"]
    if isinstance(a, UnitPlace):
        return forms[a.which]
    if isinstance(a, (Powers, Delay)):
        return _constant(a, forms)
    if isinstance(a, (Part, Inclusion)):
        return forms["part" if isinstance(a, Part) else "place"].format(show(VectorSymbol(a.slot)))
    if isinstance(a, Kronecker):
        return forms["kronecker"].format(show(a.left), show(a.right))
    if isinstance(a, Unary):
        return forms[a.kind].format(show(a.argument))
    if isinstance(a, Inverse):
        of = a.argument
        plain = isinstance(of, VectorSymbol)
        return forms["inverse"].format(show(of)) if not plain else forms["power"].format(show(of))
    if isinstance(a, OracleDerivative):
        return show(a.along(VectorSymbol(_HOLE))).replace(show(VectorSymbol(_HOLE)), forms["hole"])
    return None


def _constant(a: Powers | Delay, forms: dict[str, str]) -> str:
    """N, or the ages of the columns of a window to a power."""
    if isinstance(a, Delay):
        return forms["transpose"].format(forms["delay"]) if a.back else forms["delay"]
    return f"{forms['ages']}^{a.power}"


_HOLE = "open_direction"


def _latex_atom(a: Vector) -> str:
    if isinstance(a, VectorSymbol):
        return symbol_latex(a.name)
    if isinstance(a, NamedVector):
        return _named(a, True)
    if isinstance(a, Atom) and (own := a.shown(latex, True)) is not None:
        return own
    if isinstance(a, Argument):
        return f"{symbol_latex(a.slot)}\\colon {latex(a.value)}"
    if isinstance(a, Call):
        of, point = symbol_latex(a.oracle.of), _points(a.oracle, a.point, latex)
        k = len(a.directions)
        if a.oracle.kind == "vjp":
            head, along, covector = _adjoint(a, latex)
            return rf"{head}{of}({point}){along}^{{\top}}{covector}"
        if a.oracle.args and a.oracle.kind == "grad":
            return _partial(a, of, point)
        along = "[" + ", ".join(latex(d) for d in a.directions) + "]" if k else ""
        order = k + a.oracle.form.orders
        if k and order == 2 and a.oracle.form.orders:
            return rf"\nabla^2 {of}({point})\,{_factor(a.directions[0], products=False)}"
        if k and a.oracle.form.field:
            head = rf"D{of}" if order == 1 else rf"D^{order} {of}"
        else:
            head = a.oracle.latex(of, ", ".join(_LATEX.doprint(p) for p in a.parameters))
            if k and not a.oracle.args:  # else the directions say in which argument they are
                head = f"D {head}" if k == 1 else f"D^{k} {head}"
        return f"{head}({point}){along}"
    if isinstance(a, Product):
        mark = {"hadamard": r" \odot ", "outer": r" \otimes ", "apply": r"\,"}[a.kind]
        return f"{_factor(a.left)}{mark}{_factor(a.right)}"
    if (shown := _operator(a, latex, _LATEX_OPERATORS)) is not None:
        return shown
    assert isinstance(a, Elementwise)
    pairs = zip(slots(len(a.arguments)), a.arguments, strict=True)
    names = {
        s: latex(v) if isinstance(v, VectorSymbol) else f"{_OPEN}{latex(v)}{_CLOSE}"
        for s, v in pairs
    }
    body = _Latex({"order": "none", "symbol_names": names}).doprint(readable(a.body))
    body = _once(body, _IN_BRACES, r"\left(", r"\right)")
    bare = not a.body.is_Add and not a.body.could_extract_minus_sign() and a.body not in names
    return body if bare else rf"\left({body}\right)"


def _points(oracle: Oracle, point: Vector, show: Callable[[Expr], str]) -> str:
    return ", ".join(show(v) for v in points_of(oracle, point))


def _adjoint(a: Call, show: Callable[[Expr], str]) -> tuple[str, str, str]:
    """Of D^k c(x)[u]^T lambda: D^k, the directions, and what it is applied to, in parentheses where that is a sum."""
    (covector,), along = covectors_and_directions(a.directions)
    order = len(along) + 1
    power = "" if order == 1 else f"^{order}" if show is latex else str(order)
    by = f"_{show(VectorSymbol(a.oracle.slot))}" if a.oracle.slot else ""
    return f"D{power}{by} ", f"[{', '.join(map(show, along))}]" if along else "", show(covector)


def _partial(a: Call, of: str, point: str) -> str:
    """A partial gradient, or a mixed derivative: the argument left open first, then those of the directions."""
    open_in = [a.oracle.slot, *(d.slot for d in a.directions if isinstance(d, Argument))]
    power = "" if len(open_in) == 1 else f"^{len(open_in)}"
    head = rf"\nabla{power}_{{{' '.join(map(symbol_latex, open_in))}}} {of}({point})"
    along = [d.value if isinstance(d, Argument) else d for d in a.directions]
    if len(along) == 1:
        return rf"{head}\,{_factor(along[0], products=False)}"
    return head + (f"[{', '.join(map(latex, along))}]" if along else "")


def _factor(a: Atom, products: bool = True) -> str:
    """An atom as a factor of a product: in parentheses where it is a product itself, an applied Hessian included."""
    compound = isinstance(a, Product) or (
        products and isinstance(a, Call) and len(a.directions) == 1
    )
    return rf"\left({latex(a)}\right)" if compound else latex(a)


PRINTED["text"], PRINTED["latex"] = text, latex
