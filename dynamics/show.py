"""Vectors and scalars as text and as LaTeX, in the field's notation.

Terms come in the order of the derivatives a reader expects; scalar coefficients are SymPy's own.
"""

from __future__ import annotations

from typing import Any

import sympy as sp
from sympy.printing.latex import LatexPrinter
from sympy.printing.str import StrPrinter

from .vectors import Call, Elementwise, Expr, Product, ScalarNode, Vector, VectorSymbol, slots

_GREEK = {
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "kappa", "lambda", "mu", "nu",
    "xi", "pi", "rho", "sigma", "tau", "phi", "chi", "psi", "omega",
}  # fmt: skip
_LATEX = LatexPrinter({"order": "none"})
_TEXT = StrPrinter({"order": "none"})


def symbol_latex(name: str) -> str:
    """A name as LaTeX: Greek letters, subscripts after an underscore, dots for time derivatives."""
    if name.endswith("+"):
        return symbol_latex(name[:-1]) + "^+"
    for suffix, accent in (("_ddot", r"\ddot"), ("_dot", r"\dot")):
        if name.endswith(suffix):
            return f"{accent}{{{symbol_latex(name.removesuffix(suffix))}}}"
    head, _, tail = name.partition("_")
    if head in _GREEK:
        head = "\\" + head
    elif len(head) > 1 and not head[1:].isdigit():
        head = rf"\mathrm{{{head}}}"
    elif len(head) > 1:
        head, tail = head[0], head[1:] + ("," + tail if tail else "")
    tail = "\\" + tail if tail in _GREEK else tail
    return f"{head}_{{{tail}}}" if tail else head


def latex(e: Expr) -> str:
    """LaTeX of a vector or scalar, without dollar signs."""
    return _vector(e, _latex_atom, _LATEX.doprint, " ", "0") if isinstance(e, Vector) else _scalar(e, True)


def text(e: Expr) -> str:
    """One line of plain text of a vector or scalar."""
    return _vector(e, _text_atom, _TEXT.doprint, "*", "0") if isinstance(e, Vector) else _scalar(e, False)


def _scalar(e: sp.Expr, as_latex: bool) -> str:
    if isinstance(e, ScalarNode):
        show = latex if as_latex else text
        inside = [show(a) for a in e.arguments]
        if e.kind == "inner":
            if e.arguments[0] == e.arguments[1]:
                return rf"\|{inside[0]}\|^2" if as_latex else f"|{inside[0]}|^2"
            body = ", ".join(inside)
            return rf"\langle {body} \rangle" if as_latex else f"<{body}>"
        assert e.oracle is not None
        return f"{e.oracle.of}({inside[0]})"
    return _LATEX.doprint(e) if as_latex else _TEXT.doprint(e)


def _vector(e: Vector, atom: Any, scalar: Any, times: str, nothing: str) -> str:
    pieces: list[str] = []
    for a, c in e.terms.items():
        sign, c = ("-", -c) if c.could_extract_minus_sign() else ("+", c)
        if c == 1:
            factor = ""
        else:
            body = scalar(c)
            if isinstance(c, sp.Add):
                body = rf"\left({body}\right)" if times == " " else f"({body})"
            factor = body + times
        pieces.append(f"{sign} {factor}{atom(a)}")
    if not pieces:
        return nothing
    line = " ".join(pieces)
    return line[2:] if line.startswith("+ ") else "-" + line[2:]


def _text_atom(a: Vector) -> str:
    if isinstance(a, VectorSymbol):
        return a.name
    if isinstance(a, Call):
        point = text(a.point)
        if a.oracle.kind != "grad":
            name = a.oracle.of if a.oracle.kind == "operator" else f"{a.oracle.kind}_{a.oracle.of}"
        else:
            name = {0: f"grad {a.oracle.of}", 1: f"hess {a.oracle.of}"}.get(
                len(a.directions), f"D{len(a.directions) + 1} {a.oracle.of}"
            )
        if a.oracle.kind != "grad" and a.directions:
            name = f"D{len(a.directions)} {name}"
        along = "[" + ", ".join(text(d) for d in a.directions) + "]" if a.directions else ""
        with_ = "; " + ", ".join(_TEXT.doprint(p) for p in a.parameters) if a.parameters else ""
        return f"{name}({point}{with_}){along}"
    if isinstance(a, Product):
        mark = {"hadamard": " . ", "outer": " (x) ", "apply": " @ "}[a.kind]
        return f"({text(a.left)}{mark}{text(a.right)})"
    assert isinstance(a, Elementwise)
    names = {s: sp.Symbol(f"({text(v)})") for s, v in zip(slots(len(a.arguments)), a.arguments, strict=True)}
    return f"[{_TEXT.doprint(a.body.xreplace(names))}]"


def _latex_atom(a: Vector) -> str:
    if isinstance(a, VectorSymbol):
        return symbol_latex(a.name)
    if isinstance(a, Call):
        of, point = symbol_latex(a.oracle.of), latex(a.point)
        k = len(a.directions)
        along = "[" + ", ".join(latex(d) for d in a.directions) + "]" if k else ""
        if a.oracle.kind == "grad":
            if k == 1:
                only = a.directions[0]
                direction = latex(only)
                return rf"\nabla^2 {of}({point})\,{direction}"
            head = rf"\nabla {of}" if k == 0 else rf"D^{k + 1} {of}"
        elif a.oracle.kind == "operator":
            head = of if k == 0 else (rf"D{of}" if k == 1 else rf"D^{k} {of}")
        else:
            inside = ", ".join(_LATEX.doprint(p) for p in a.parameters)
            head = rf"\operatorname{{{a.oracle.kind}}}_{{{inside + ' ' if inside else ''}{of}}}"
        return f"{head}({point}){along}"
    if isinstance(a, Product):
        mark = {"hadamard": r" \odot ", "outer": r" \otimes ", "apply": r"\,"}[a.kind]
        return f"{latex(a.left)}{mark}{latex(a.right)}"
    assert isinstance(a, Elementwise)
    pairs = zip(slots(len(a.arguments)), a.arguments, strict=True)
    names = {s: latex(v) if isinstance(v, VectorSymbol) else rf"\left({latex(v)}\right)" for s, v in pairs}
    return LatexPrinter({"symbol_names": names}).doprint(a.body)
