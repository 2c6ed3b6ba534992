"""Systems to text, for which `parse_system` returns the same system."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import sympy as sp
from sympy.printing.str import StrPrinter

from ..._support.errors import OdescentError
from ..algebra.calculus import substitute
from ..algebra.direct_sums import points_of
from ..algebra.operators import Inverse, OracleDerivative
from ..algebra.oracles import Oracle, in_argument
from ..algebra.products import (
    Elementwise,
    Identity,
    Inclusion,
    Kronecker,
    Part,
    Product,
    Unary,
    slots,
)
from ..algebra.vectors import (
    COVECTOR,
    Call,
    Expr,
    ScalarNode,
    Vector,
    VectorSymbol,
    by_slot,
)
from ..algebra.windows import pushed
from ..flows.system import System
from ..implicit.roots import RootVector
from ..implicit.search import Search
from ..samples.sample import VectorSample
from ..solves.routes import solve_of
from ..vector_fields.block import Block, start
from ..vector_fields.processes import Jumps, Noise
from .calls import RESERVED
from .names import STANDARD, STEP
from .syntax import keywords


def to_text(system: System) -> str:
    """The system in the language of `syntax`, one statement per line.

    Raises OdescentError for what the language has no words for: names that are no identifiers, one
    name for two kinds of oracle, symbols with other assumptions than positive, nonnegative or real.
    """
    writer = _Writer(system)
    body = [
        *_fields(system, writer),
        f"output {writer.expr(system.output)}",
        *_initial(system, writer),
    ]
    scales = [f"{s} = {writer.expr(e)}" for s, e in system.fast.items()]
    lines = [f"system {system.name}"] if system.name else []
    lines.append("blocks " + ", ".join(_block(b) for b in system.blocks))
    for b in system.blocks:
        writer.expr(b.history if b.keeps else sp.S.Zero)  # a length may be a parameter
    parameters = [_parameter(s) for s in writer.parameters()]
    symbols = [
        *(b.symbol for b in system.blocks), *writer.parameters(), *system.samples, system.time,
    ]  # fmt: skip
    if taken := [b.name for b in system.blocks if b.name in STANDARD]:
        raise OdescentError(
            f"the block {taken[0]} has the name of a constant in the text form; rename it."
        )
    for name in [system.name, *system.fields, *(s.name for s in symbols if s is not None)]:
        _check_word(name)
    lines += [f"parameters {', '.join(parameters)}"] if parameters else []
    lines += [
        f"{kind} {name}{writer.arguments(name)}" for name, kind in sorted(writer.oracles.items())
    ]
    lines += [f"sample {_sample(s)}" for s in system.samples]
    lines += [f"time {system.time}"] if system.time is not None else []
    lines += [f"fast {', '.join(scales)}"] if scales else []
    lines += [f"small {', '.join(map(str, system.small))}"] if len(system.small) > 1 else []
    lines += [f"calculus {system.calculus}"] if system.calculus != "ito" else []
    lines += [f"let {name} = {value}" for value, name in writer.abbreviations.items()]
    lines += body
    lines += [f'provenance "{_quotable(system.provenance)}"'] if system.provenance else []
    lines += [f"references {', '.join(system.references)}"] if system.references else []
    return "\n".join(lines) + "\n"


def _fields(system: System, writer: _Writer) -> list[str]:
    lines = []
    for name, field in system.fields.items():
        equations = ", ".join(f"{s}' = {writer.expr(e)}" for s, e in field.drift.items())
        lines.append(f"field {name}: {equations}" if equations else f"field {name}")
    for name, field in system.fields.items():
        noise = ", ".join(
            f"{s} += {writer.expr(d.amplitude)} d{d.process}{_clock(d, writer)}"
            for s, d in field.noise.items()
        )
        lines += [f"noise {name}: {noise}"] if noise else []
        for d in field.noise.values():
            if not d.process[:1].isupper():
                raise OdescentError(
                    f"the process {d.process!r} has no text form: begin its name with a capital letter."
                )
    return lines


def _clock(d: Noise, writer: _Writer) -> str:
    """Of jumps, their rate, and whether all particles share their times."""
    if not isinstance(d, Jumps):
        return ""
    return f"({writer.expr(d.rate)})" + (" sharing clock" if d.common else "")


def _initial(system: System, writer: _Writer) -> list[str]:
    begun = (f"{b.name} = {writer.expr(b.init)}" for b in system.blocks if not b.keeps)
    return ["init " + ", ".join(begun)]


def _check_word(name: str) -> None:
    plain = re.fullmatch(r"((?!d[A-Z])[A-Za-z]\w*)?", name, re.ASCII)
    if not plain or name in keywords() or name in RESERVED:
        raise OdescentError(
            f"the name {name!r} is reserved or invalid in the text form; rename it."
        )


def _block(b: Block) -> str:
    if b.keeps:
        return f"window({b.history}) {b.name}"
    role = "" if b.role == "state" else b.role + " "
    return f"{role}{'' if b.kind == 'vector' else b.kind + ' '}{b.name}"


def _parameter(s: sp.Symbol) -> str:
    for condition, said in (("positive", " > 0"), ("nonnegative", " >= 0"), ("real", "")):
        if s == sp.Symbol(s.name, **{condition: True}):
            return f"{s.name}{said}"
    raise OdescentError(f"the parameter {s} has assumptions that the text form cannot express.")


def _sample(s: Any) -> str:
    like = f" like {s.like}" if isinstance(s, VectorSample) else ""
    return f"{s.name} ~ {s.law_name}{like}"


def _quotable(words: str) -> str:
    return " ".join(words.replace('"', "'").split())


_WITH_SCALARS = {"prox", "batch", "deviation"}  # oracles of a point and further scalars


class _Printer(StrPrinter):
    """SymPy's text with our names of functions."""

    def _print_Abs(self, e: sp.Expr) -> str:
        return f"abs({self._print(e.args[0])})"

    def _print_Exp1(self, e: sp.Expr) -> str:
        return "exp(1)"

    def _print_Max(self, e: sp.Expr) -> str:
        return self._nested("max", e.args)

    def _print_Min(self, e: sp.Expr) -> str:
        return self._nested("min", e.args)

    def _nested(self, name: str, args: tuple[sp.Expr, ...]) -> str:
        if len(args) == 1:
            return str(self._print(args[0]))
        return f"{name}({self._print(args[0])}, {self._nested(name, args[1:])})"


class _Writer:
    """Writes the expressions of one system, collecting its oracles and the abbreviations it needs."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.oracles: dict[str, str] = {}
        self._arguments: dict[str, tuple[str, ...]] = {}
        self.abbreviations: dict[str, str] = {}  # value -> name
        self._scalars: set[sp.Symbol] = set()

    def parameters(self) -> list[sp.Symbol]:
        """The parameters that need a declaration."""
        own = {b.symbol for b in self.system.blocks} | {self.system.time, *self.system.samples}
        known = {*STANDARD.values(), sp.Symbol(STEP, positive=True)}
        return sorted(self._scalars - own - known, key=str)

    def expr(self, e: Expr) -> str:
        """An expression."""
        if not isinstance(e, Vector):
            return self._scalar(e, {})
        if (push := pushed(e)) is not None:
            return f"push({push[0].name}, {self.expr(push[1])})"
        pieces = []
        for atom, c in e.terms.items():
            sign, size = ("-", -c) if c.could_extract_minus_sign() else ("+", c)
            scale = self._scalar(size, {})
            factor = "" if size == 1 else f"({scale})*" if size.is_Add else f"{scale}*"
            pieces.append(f"{sign} {factor}{self._atom(atom)}")
        line = " ".join(pieces) or "0"
        return "-" + line[2:] if line.startswith("- ") else line.removeprefix("+ ")

    def _scalar(self, e: sp.Expr, names: Mapping[sp.Expr, str]) -> str:
        self._scalars |= {s for s in e.free_symbols if s not in names}
        said = {**names, **{node: self._node(node) for node in e.atoms(ScalarNode)}}
        shown = e.xreplace({s: sp.Symbol(text, real=True) for s, text in said.items()})
        return str(_Printer({"order": "none"}).doprint(shown)).replace("**", "^")

    def _node(self, node: ScalarNode) -> str:
        if node.oracle is None:
            return f"inner({', '.join(self.expr(a) for a in node.arguments)})"
        return f"{self._oracle(node.oracle)}({self._point(node.oracle, node.arguments[0])})"

    def _point(self, oracle: Oracle, point: Vector) -> str:
        return ", ".join(self.expr(v) for v in points_of(oracle, point))

    def arguments(self, name: str) -> str:
        """What follows the name of a function of several arguments where it is declared."""
        args = self._arguments.get(name, ())
        return f"({', '.join(args)})" if args else ""

    def _oracle(self, oracle: Oracle) -> str:
        kind = oracle.form.declared or oracle.kind
        if self.oracles.setdefault(oracle.of, kind) != kind:
            raise OdescentError(
                f"{oracle.of} is of two kinds, {kind} and another; in the text form it has one."
            )
        if not oracle.of.isidentifier():
            raise OdescentError(
                f"the name {oracle.of!r} is invalid in the text form: it must be one word."
            )
        self._arguments[oracle.of] = oracle.args
        return oracle.of

    def _atom(self, a: Any) -> str:
        if isinstance(a, VectorSymbol):
            return "x0" if a == start else a.name
        if isinstance(a, Call):
            return self._call(a)
        if isinstance(a, Product) and isinstance(a.left, Inverse):
            return f"linear_solve({self.expr(a.left.argument)}, {self.expr(a.right)}{self._how(a.left)})"
        if isinstance(a, Inverse):
            return f"linear_solve({self.expr(a.argument)}, identity{self._how(a)})"
        if isinstance(a, RootVector):
            return self._implicit(a)
        if isinstance(a, Identity):
            return "identity"
        if isinstance(a, Kronecker):
            return f"kronecker({self._atom(a.left)}, {self._atom(a.right)})"
        if isinstance(a, (Part, Inclusion)):
            return f"{'part' if isinstance(a, Part) else 'place'}_{a.slot}"
        if isinstance(a, Unary):
            name = {"entries": "diagonal", "diagonal": "diagonal_operator"}.get(a.kind, a.kind)
            return f"{name}({self.expr(a.argument)})"
        if isinstance(a, OracleDerivative):
            return self._atom(a.along(VectorSymbol(".")))
        if isinstance(a, Product):
            return f"{a.kind}({self._atom(a.left)}, {self._atom(a.right)})"
        if isinstance(a, Elementwise):
            pairs = zip(slots(len(a.arguments)), a.arguments, strict=True)
            return f"each({self._scalar(a.body, {slot: self._component(v) for slot, v in pairs})})"
        raise OdescentError(f"{a} has no text form.")

    def _implicit(self, a: Any) -> str:
        """An implicit function of one unknown, which the text calls as the block of its name."""
        of, told = a.equations, {b.name: b.symbol for b in self.system.blocks}
        (unknown, *others), name = of.unknowns, of.names[0]
        if others or of.search != Search(adjoint=of.search.adjoint) or name not in told:
            raise OdescentError(
                f"{a} has no text form: it needs one unknown, called as a block, and the search that is usual."
            )
        if told[name] in of.symbols():
            raise OdescentError(f"{a} has no text form: {name} is a block in it and its unknown.")
        inside = of.equations[0] if of.minimized is None else of.minimized
        what = "root" if of.minimized is None else "argmin"
        return f"{what}({self.expr(substitute(inside, {unknown: told[name]}))}, {name})"

    def _how(self, a: Inverse) -> str:
        """The method and the tolerance of a solve, where they were said."""
        if a.tolerance is None:
            return f", {a.method}" * bool(a.method)
        return f", {a.method or solve_of(a).route.name}, {self.expr(a.tolerance)}"

    def _component(self, v: Vector) -> str:
        """A vector in each(...), by a name of its own where its terms would stand alone."""
        if isinstance(v, (VectorSymbol, Call, Product)):
            return self._atom(v)
        taken = {b.name for b in self.system.blocks} | {s.name for s in self.system.parameters}
        text = self.expr(v)
        free = (
            n
            for i in range(1, 10_000)
            if (n := f"u{i}") not in taken and n not in self.abbreviations.values()
        )
        return self.abbreviations.setdefault(text, next(free))

    def _call(self, a: Call) -> str:
        name, point, k = self._oracle(a.oracle), self._point(a.oracle, a.point), len(a.directions)
        slots = [next(iter(by_slot(d).items())) for d in a.directions]
        if a.oracle.kind == "vjp":  # what it is applied to comes first
            slots.sort(key=lambda item: item[0] != COVECTOR)
        named = {"": "{}", COVECTOR: "{}"}
        shown = [named.get(slot, slot + ": {}").format(self.expr(v)) for slot, v in slots]
        along = f"[{', '.join(shown)}]" if k else ""
        if (a.oracle.args and a.oracle.kind == "grad") or a.oracle.kind == "vjp":
            head = in_argument({"grad": "grad", "vjp": "adjoint"}[a.oracle.kind], a.oracle.slot)
            return f"{head} {name}({point}){along}"
        if a.oracle.kind in _WITH_SCALARS and not k:
            further = ", ".join([point, *(self._scalar(p, {}) for p in a.parameters)])
            return f"{a.oracle.kind} {name}({further})"
        if a.oracle.kind in {"map", "named", "ensemble"} and a.parameters:
            further = ", ".join([point, *(self._scalar(p, {}) for p in a.parameters)])
            if not k:
                return f"{name}({further})"
            point = further if a.oracle.kind == "named" else point
        if a.oracle.kind in _WITH_SCALARS or (a.parameters and a.oracle.kind != "named"):
            raise OdescentError(f"{a} has no text form.")
        if a.oracle.kind == "grad":
            head = {0: "grad ", 1: "hess "}.get(k, f"D{k + 1} ")
        else:
            head = {0: "", 1: "D "}.get(k, f"D{k} ")
        return f"{head}{name}({point}){along}"
