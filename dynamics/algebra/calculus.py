"""Calculus on vectors and scalars: derivatives along directions, Taylor series, quadratic modes.

One rule does the work: the directional derivative. The time derivative along a system is the
derivative in the direction of its drift, a Taylor coefficient is a repeated derivative in a scalar,
and a chain of Lie derivatives is the exact solution's series.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeAlias, overload

import sympy as sp
from sympy.core.function import AppliedUndef

from ..._support.errors import OdescentError, WrongType, expected
from ..._support.work import rewriting
from .exact import canonical, is_zero, refuted
from .oracles import Oracle
from .products import (
    Elementwise,
    Kronecker,
    Product,
    Unary,
    _elementwise,
    _product,
    hadamard,
    kronecker_product,
    slots,
)
from .scalars import SINGULAR, as_scalar, by_signs, nodes_of
from .vectors import (
    Argument,
    Atom,
    Call,
    Expr,
    ScalarNode,
    Vector,
    VectorSymbol,
    by_slot,
    call,
    in_slot,
    inner,
    scalar_calls,
    scalar_symbols,
    unchanged,
    zero,
)

Symbol: TypeAlias = "VectorSymbol | sp.Symbol"
Directions: TypeAlias = "Mapping[Any, Expr]"  # from symbols of either kind
_SINGULAR = tuple(map(type, SINGULAR))
INVERSES: list[
    Callable[[Any], bool]
] = []  # where `identities`, which is above, proves that what has inverses vanishes


def scalar_of(e: object) -> sp.Expr:
    """A scalar expression as it is, plain numbers as exact ones; OdescentError for anything else."""
    return e if isinstance(e, sp.Expr) else as_scalar(e)


@overload
def derivative(e: Vector, direction: Directions) -> Vector: ...
@overload
def derivative(e: sp.Expr, direction: Directions) -> sp.Expr: ...
def derivative(e: Expr, direction: Directions) -> Expr:
    """The derivative of ``e`` when each symbol moves in its direction (Gateaux derivative)."""
    if not isinstance(direction, Mapping):
        raise expected("direction of derivative", "a mapping of symbols to their rates", direction)
    if isinstance(e, Vector):
        total: list[Vector] = []
        for atom, coefficient in e.terms.items():
            rate = derivative(coefficient, direction)
            if rate != 0:
                total.append(atom * rate)
            total.append(_atom_derivative(atom, direction) * coefficient)
        return Vector.of(item for v in total for item in v.terms.items())
    return _scalar_derivative(scalar_of(e), direction)


def _scalar_derivative(e: sp.Expr, direction: Directions) -> sp.Expr:
    nodes = {node: sp.Dummy(real=True) for node in nodes_of(e, ScalarNode)}
    opened = e.xreplace(nodes) if nodes else e
    moving = opened.free_symbols
    parts = [
        slope(opened, s) * d
        for s, d in direction.items()
        if isinstance(s, sp.Symbol) and s in moving
    ]
    rates = ((dummy, _node_derivative(node, direction)) for node, dummy in nodes.items())
    parts += [slope(opened, dummy) * rate for dummy, rate in rates if rate != 0]
    back = {dummy: node for node, dummy in nodes.items()}
    return sp.Add(*parts).xreplace(back)


@functools.lru_cache(maxsize=1 << 12)
def slope(e: sp.Expr, s: sp.Symbol) -> sp.Expr:
    """The derivative of a scalar in one of its symbols; OdescentError where the scalar jumps."""
    written = by_signs(e)
    rate = sp.diff(written, s)
    for jump in rate.atoms(sp.DiracDelta):
        if _continuous_at(written, jump.args[0]):
            rate = rate.xreplace({jump: sp.S.Zero})
    unknown = (d.expr for d in rate.atoms(sp.Derivative))
    if rate.has(sp.DiracDelta) or not all(isinstance(e, AppliedUndef) for e in unknown):
        raise OdescentError(f"{e} jumps, so it has no derivative.")
    return by_signs(rate)


def _continuous_at(e: sp.Expr, where: sp.Expr) -> bool:
    """Whether a scalar in which signs jump where another one is zero has one value there and on both sides."""
    for u in where.free_symbols:
        rise = sp.diff(where, u)
        if not rise.is_nonzero or rise.has(u):
            continue
        there = {u: u - where / rise}
        sides: dict[sp.Expr, tuple[int, int, int]] = {}  # what a part is before, at and after it
        for part in e.atoms(sp.sign, sp.ceiling):
            if canonical(part.args[0].xreplace(there)) == 0:
                turn = sp.sign(sp.diff(part.args[0], u) / rise)
                if turn not in (1, -1):
                    return False
                rounded = (0, 0, 1) if turn == 1 else (1, 0, 0)
                sides[part] = (-turn, 0, turn) if isinstance(part, sp.sign) else rounded
        before, at, after = (
            e.xreplace({part: sp.Integer(n[i]) for part, n in sides.items()}).xreplace(there)
            for i in range(3)
        )
        if not sides or any(value.has(*SINGULAR) for value in (before, at, after)):
            return False
        with suppress(ArithmeticError):  # undecided
            return is_zero(before - at) and is_zero(after - at)
    return False


def _node_derivative(node: ScalarNode, direction: Directions) -> sp.Expr:
    if (own := getattr(node, "own_derivative", None)) is not None:  # a named function
        rate: sp.Expr = own(direction)
        return rate
    if node.kind == "inner":
        left, right = node.arguments
        return inner(derivative(left, direction), right) + inner(left, derivative(right, direction))
    (point,), oracle = node.arguments, node.oracle
    assert oracle is not None
    moved = by_slot(derivative(point, direction))
    return sp.Add(
        *[inner(call(oracle.other("grad", slot), point), rate) for slot, rate in moved.items()]
    )


def _atom_derivative(atom: Vector, direction: Directions) -> Vector:
    if isinstance(atom, VectorSymbol):
        moved = direction.get(atom, zero)
        return moved if isinstance(moved, Vector) else zero
    if isinstance(atom, Call):
        result = call(
            atom.oracle,
            atom.point,
            [*atom.directions, derivative(atom.point, direction)],
            atom.parameters,
        )
        for i, d in enumerate(atom.directions):
            others = [*atom.directions[:i], derivative(d, direction), *atom.directions[i + 1 :]]
            result = result + call(atom.oracle, atom.point, others, atom.parameters)
        for p in atom.parameters:
            if derivative(p, direction) != 0:
                raise OdescentError(
                    f"the derivative of {atom} in its parameter {p} is not known to the calculus."
                )
        return result
    if isinstance(atom, Argument):
        inside_slot: Vector = in_slot(atom.slot, derivative(atom.value, direction))
        return inside_slot
    if isinstance(atom, Unary):
        inside = derivative(atom.argument, direction)
        linear: Vector = atom.rebuild(lambda _: inside) if inside.terms else zero
        return linear
    if isinstance(atom, Product):
        left, right = atom.left, atom.right
        return _product(atom.kind, derivative(left, direction), right) + _product(
            atom.kind, left, derivative(right, direction)
        )
    if isinstance(atom, Kronecker):
        along_left = kronecker_product(derivative(atom.left, direction), atom.right)
        return along_left + kronecker_product(atom.left, derivative(atom.right, direction))
    if isinstance(atom, Elementwise):
        result = _elementwise(derivative(atom.body, direction), atom.arguments)
        for slot, argument in zip(slots(len(atom.arguments)), atom.arguments, strict=True):
            inside = derivative(argument, direction)
            if inside:
                try:
                    rate = slope(atom.body, slot)
                except OdescentError:
                    raise OdescentError(f"{atom} jumps, so it has no derivative.") from None
                result = result + hadamard(_elementwise(rate, atom.arguments), inside)
        return result
    if (own := getattr(atom, "own_derivative", None)) is not None:  # a named function
        named: Vector = own(direction)
        return named
    raise WrongType(f"there is no rule to differentiate {atom!r}.")


Rule: TypeAlias = "Callable[[Expr], Expr | None]"


def rebuilt(e: Vector, parts: Sequence[tuple[Vector, sp.Expr]]) -> Vector:
    """The sum of vectors times scalars; ``e`` itself if these are its terms."""
    if unchanged(e, parts):
        return e
    return Vector.of((a, c * k) for v, k in parts for a, c in v.terms.items())


@overload
def change(e: Vector, rule: Rule) -> Vector: ...
@overload
def change(e: sp.Expr, rule: Rule) -> sp.Expr: ...
def change(e: Expr, rule: Rule) -> Expr:
    """Rewrite bottom-up: ``rule`` sees each atom, scalar symbol and scalar node after its arguments were
    rewritten, and returns the replacement or None to leave it. Equal parts are rewritten once."""

    def rewrite(e: Any, changed: Callable[[Any], Any]) -> Any:
        return (vector if isinstance(e, Vector) else scalar)(e, changed)

    def vector(e: Vector, changed: Callable[[Any], Any]) -> Vector:
        parts: list[tuple[Vector, sp.Expr]] = []
        for atom, factor in e.terms.items():
            scale = changed(factor)
            for a, c in atom.changed(changed).terms.items():
                replaced = rule(a)
                parts.append((a if replaced is None else replaced, c * scale))
        return rebuilt(e, parts)

    def scalar(e: sp.Expr, changed: Callable[[Any], Any]) -> sp.Expr:
        if e.is_Number:
            return e
        swaps: dict[sp.Expr, Expr] = {}
        for node in nodes_of(e, ScalarNode):
            rebuilt = node.rebuild(changed)
            inside = {n: rule(n) for n in nodes_of(rebuilt, ScalarNode)}
            swaps[node] = rebuilt.xreplace({n: r for n, r in inside.items() if r is not None})
        for s in e.free_symbols:
            replaced = rule(s)
            if replaced is not None:
                swaps[s] = replaced
        return e.xreplace(swaps) if swaps else e

    return rewriting(rewrite)(e if isinstance(e, Vector) else scalar_of(e))


@overload
def substitute(e: Vector, values: Mapping[Any, Any]) -> Vector: ...
@overload
def substitute(e: sp.Expr, values: Mapping[Any, Any]) -> sp.Expr: ...
def substitute(e: Expr, values: Any) -> Expr:
    """``e`` with symbols replaced simultaneously, inside oracle calls too.

    Raises TypeError for a scalar in the place of a vector, other than zero, or a vector in the place of a scalar.
    """
    if not isinstance(values, Mapping):
        raise expected("values of substitute", "a mapping of symbols to what replaces them", values)
    exact: dict[Expr, Expr] = {}
    for symbol, value in values.items():
        if not isinstance(value, Vector):
            value = as_scalar(value)
            value = zero if isinstance(symbol, Vector) and value == 0 else value
        if isinstance(symbol, Vector) != isinstance(value, Vector):
            raise WrongType(
                f"{symbol} cannot be replaced by {value}: one is a vector, the other a scalar."
            )
        exact[symbol] = value
    return change(e, exact.get) if exact else e


def singular(e: Expr) -> bool:
    """Whether a coefficient in it is infinite or undefined, those inside oracle calls included."""
    if isinstance(e, Vector):
        return any(
            singular(c) or any(singular(part) for part in a.parts()) for a, c in e.terms.items()
        )
    return not (e.is_Rational or e.is_Symbol) and _singular(e)


@functools.lru_cache(maxsize=1 << 15)
def _singular(e: sp.Expr) -> bool:
    return bool(e.atoms(*_SINGULAR)) or any(
        singular(v) for node in nodes_of(e, ScalarNode) for v in node.arguments
    )


@overload
def tidy(e: Vector) -> Vector: ...
@overload
def tidy(e: sp.Expr) -> sp.Expr: ...
def tidy(e: Expr) -> Expr:
    """The canonical form of a vector or scalar; singular scalars are returned unchanged."""
    if isinstance(e, Vector):
        return e if singular(e) else e.canonical()
    e = scalar_of(e)
    return e if singular(e) else _canonical_scalar(e)


def _canonical_scalar(e: sp.Expr) -> sp.Expr:
    return canonical(_canonical_nodes(e))


def _canonical_nodes(e: sp.Expr) -> sp.Expr:
    nodes = {node: node.rebuild(tidy) for node in nodes_of(e, ScalarNode)}
    return e.xreplace(nodes) if nodes else e


def vanishes(e: Expr) -> bool:
    """Whether the vector or scalar is identically zero; True is a proof."""
    if isinstance(e, Vector):
        merged = Vector.of((a.canonical_atom(), c) for a, c in e.terms.items())
        if any(isinstance(a, Elementwise) for a in _pointwise_factors(merged)):
            names: dict[Atom, sp.Symbol] = {}
            return vanishes(component(merged, names))
        differs = any(map(refuted, merged.terms.values()))
        if not differs and all(is_zero(c) for c in merged.canonical().terms.values()):
            return True
        return _with_inverses(merged) and INVERSES[0](merged)
    e = _canonical_nodes(scalar_of(e))
    summed = _component_of_sum(e)
    if summed is not None:
        return vanishes(summed)
    if not refuted(e) and is_zero(canonical(e)):
        return True
    return _with_inverses(e) and INVERSES[0](e)


def _with_inverses(e: Expr) -> bool:
    scalars = e.terms.values() if isinstance(e, Vector) else (e,)
    vectors = [v for c in scalars for n in nodes_of(c, ScalarNode) for v in n.arguments]
    return any(a.solving for v in (*vectors, e) if isinstance(v, Vector) for a in v.terms)


def _component_of_sum(e: sp.Expr) -> sp.Expr | None:
    """What a combination of inner products sums up over the components, where element-wise functions are in it."""
    nodes = [n for n in nodes_of(e, ScalarNode) if n.kind == "inner"]
    factors = (a for n in nodes for v in n.arguments for a in _pointwise_factors(v))
    if not any(isinstance(a, Elementwise) for a in factors):
        return None
    marks = {n: sp.Dummy() for n in nodes}
    opened = e.xreplace(marks)
    weights = [sp.diff(opened, m) for m in marks.values()]
    rest = opened.xreplace(dict.fromkeys(marks.values(), sp.S.Zero))
    if any(w.has(*marks.values()) for w in weights) or not is_zero(canonical(rest)):
        return None
    names: dict[Atom, sp.Symbol] = {}
    parts = [[component(v, names) for v in n.arguments] for n in nodes]
    return sp.Add(*[w * a * b for w, (a, b) in zip(weights, parts, strict=True)])


def _pointwise_factors(e: Vector) -> Iterator[Atom]:
    """The factors of the element-wise products that its terms are."""
    for a in e.terms:
        if isinstance(a, Product) and a.kind == "hadamard":
            yield from _pointwise_factors(a.left + a.right)
        else:
            yield a


def component(e: Vector, names: dict[Atom, sp.Symbol]) -> sp.Expr:
    """A component of a vector, as a scalar in those of what it is made of element by element."""

    def of(a: Atom) -> sp.Expr:
        if isinstance(a, Product) and a.kind == "hadamard":
            return component(a.left, names) * component(a.right, names)
        if isinstance(a, Elementwise):
            values = [component(v, names) for v in a.arguments]
            return a.body.xreplace(dict(zip(slots(len(values)), values, strict=True)))
        return names.setdefault(a, sp.Dummy(real=True))

    return sp.Add(*[c * of(a) for a, c in e.terms.items()])


@overload
def modal(e: Vector, curvature: sp.Expr) -> Vector: ...
@overload
def modal(e: sp.Expr, curvature: sp.Expr) -> sp.Expr: ...
def modal(e: Expr, curvature: sp.Expr) -> Expr:
    """``e`` on one mode of a quadratic centred at 0.

    Every gradient g(P) becomes ``curvature * P``, every Hessian a multiplication, every higher derivative zero.
    """

    def rule(node: Expr) -> Expr | None:
        if not isinstance(node, Call):
            return None
        if not node.oracle.form.field:
            raise OdescentError(f"{node.oracle.kind} of {node.oracle.of} has no modal form.")
        if len(node.directions) > 1:
            return zero
        return (node.directions[0] if node.directions else node.point) * curvature

    return change(e, rule)


def symbols_of(e: Expr) -> set[Symbol]:
    """Every symbol in an expression of either kind."""
    return e.free_symbols if isinstance(e, Vector) else scalar_symbols(e)


def asked_in(e: Expr) -> set[tuple[Oracle, Vector]]:
    """Every oracle that an expression calls with its points, nested calls and values included."""
    calls = e.calls() if isinstance(e, Vector) else scalar_calls(e)
    inside = [part for c in calls for part in c.parts()]
    found = {(c.oracle, c.point) for c in calls}
    for v in (e, *inside):
        for scalar in v.terms.values() if isinstance(v, Vector) else (v,):
            nodes = nodes_of(scalar, ScalarNode)
            found |= {(n.oracle, n.arguments[0]) for n in nodes if n.oracle is not None}
    return found


def oracles_in(e: Expr) -> set[Oracle]:
    """Every oracle that an expression calls, nested calls and values included."""
    return {oracle for oracle, _ in asked_in(e)}


def nothing(s: Symbol) -> Expr:
    """The zero of the kind of a block."""
    return zero if isinstance(s, VectorSymbol) else sp.S.Zero


def renamed(s: Symbol, name: str) -> Any:
    """A symbol of the kind of another, with this name: a vector of its space, or a real scalar."""
    return VectorSymbol(name, s.kind) if isinstance(s, VectorSymbol) else sp.Symbol(name, real=True)


def coefficient(e: Vector, symbol: Vector) -> sp.Expr:
    """The coefficient of an atom in a vector."""
    return e.terms[symbol] if isinstance(symbol, Atom) and symbol in e.terms else sp.S.Zero


def coefficients_of(e: Vector, symbols: list[VectorSymbol]) -> tuple[list[sp.Expr], Vector]:
    """The coefficients of the symbols, and what is left of ``e`` without them."""
    rest = Vector.of((a, c) for a, c in e.terms.items() if a not in symbols)
    return [coefficient(e, s) for s in symbols], rest
