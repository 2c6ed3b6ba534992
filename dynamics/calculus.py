"""Calculus on vectors and scalars: derivatives along directions, Taylor series, quadratic modes.

One rule does the work: the directional derivative. The time derivative along a system is the
derivative in the direction of its drift, a Taylor coefficient is a repeated derivative in a scalar,
and a chain of Lie derivatives is the exact solution's series.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias, TypeVar, overload

import sympy as sp

from .exact import canonical, is_zero
from .vectors import (
    Call,
    Elementwise,
    Expr,
    Oracle,
    Product,
    ScalarNode,
    Vector,
    VectorSymbol,
    _elementwise,
    _product,
    call,
    hadamard,
    inner,
    slots,
    zero,
)

Symbol: TypeAlias = "VectorSymbol | sp.Symbol"
Directions: TypeAlias = "Mapping[Symbol, Expr]"
E = TypeVar("E", Vector, sp.Expr)


@overload
def derivative(e: Vector, direction: Directions) -> Vector: ...
@overload
def derivative(e: sp.Expr, direction: Directions) -> sp.Expr: ...
def derivative(e: Expr, direction: Directions) -> Expr:
    """The derivative of ``e`` when each symbol moves in its direction (Gateaux derivative)."""
    if isinstance(e, Vector):
        total: list[Vector] = []
        for atom, coefficient in e.terms.items():
            rate = derivative(coefficient, direction)
            if rate != 0:
                total.append(atom * rate)
            total.append(_atom_derivative(atom, direction) * coefficient)
        return Vector.of(item for v in total for item in v.terms.items())
    return _scalar_derivative(e, direction)


def _scalar_derivative(e: sp.Expr, direction: Directions) -> sp.Expr:
    nodes = {node: sp.Dummy() for node in e.atoms(ScalarNode)}
    opened = e.xreplace(nodes) if nodes else e
    moving = opened.free_symbols
    parts = [sp.diff(opened, s) * d for s, d in direction.items() if isinstance(s, sp.Symbol) and s in moving]
    parts += [sp.diff(opened, dummy) * _node_derivative(node, direction) for node, dummy in nodes.items()]
    back = {dummy: node for node, dummy in nodes.items()}
    return sp.Add(*parts).xreplace(back)


def _node_derivative(node: ScalarNode, direction: Directions) -> sp.Expr:
    if node.kind == "inner":
        left, right = node.arguments
        return inner(derivative(left, direction), right) + inner(left, derivative(right, direction))
    (point,) = node.arguments
    assert node.oracle is not None
    return inner(call(Oracle("grad", node.oracle.of), point), derivative(point, direction))


def _atom_derivative(atom: Vector, direction: Directions) -> Vector:
    if isinstance(atom, VectorSymbol):
        moved = direction.get(atom, zero)
        return moved if isinstance(moved, Vector) else zero
    if isinstance(atom, Call):
        result = call(atom.oracle, atom.point, [*atom.directions, derivative(atom.point, direction)], atom.parameters)
        for i, d in enumerate(atom.directions):
            others = [*atom.directions[:i], derivative(d, direction), *atom.directions[i + 1 :]]
            result = result + call(atom.oracle, atom.point, others, atom.parameters)
        for p in atom.parameters:
            if derivative(p, direction) != 0:
                raise ValueError(f"the derivative of {atom} in its parameter {p} is not known to the calculus.")
        return result
    if isinstance(atom, Product):
        left, right = atom.left, atom.right
        return _product(atom.kind, derivative(left, direction), right) + _product(
            atom.kind, left, derivative(right, direction)
        )
    if isinstance(atom, Elementwise):
        result = _elementwise(derivative(atom.body, direction), atom.arguments)
        for slot, argument in zip(slots(len(atom.arguments)), atom.arguments, strict=True):
            inside = derivative(argument, direction)
            if inside:
                result = result + hadamard(_elementwise(sp.diff(atom.body, slot), atom.arguments), inside)
        return result
    raise TypeError(f"the calculus does not know how to differentiate {atom!r}.")


def change(e: E, rule: Callable[[Expr], Expr | None]) -> E:
    """Rewrite bottom-up: ``rule`` sees each atom, scalar symbol and scalar node after its arguments were
    rewritten, and returns the replacement or None to leave it."""
    if isinstance(e, Vector):
        parts: list[tuple[Vector, sp.Expr]] = []
        for atom, coefficient in e.terms.items():
            inner_changed = atom.rebuild(lambda part: change(part, rule))
            for a, c in inner_changed.terms.items():
                replaced = rule(a)
                parts.append((a if replaced is None else replaced, c * change(coefficient, rule)))  # type: ignore[arg-type]
        return Vector.of((a, c * k) for v, k in parts for a, c in v.terms.items())  # type: ignore[return-value]
    if not e.free_symbols and not e.atoms(ScalarNode):
        return e
    swaps: dict[sp.Expr, sp.Expr] = {}
    for node in e.atoms(ScalarNode):
        rebuilt = node.rebuild(lambda part: change(part, rule))
        inside = {n: rule(n) for n in rebuilt.atoms(ScalarNode)}
        swaps[node] = rebuilt.xreplace({n: r for n, r in inside.items() if r is not None})
    for s in e.free_symbols:
        replaced = rule(s)
        if replaced is not None:
            swaps[s] = replaced  # type: ignore[assignment]
    return e.xreplace(swaps) if swaps else e


def substitute(e: E, values: Mapping[Symbol, Expr]) -> E:
    """``e`` with symbols replaced simultaneously, inside oracle calls too."""
    if not values:
        return e
    return change(e, lambda node: values.get(node))  # type: ignore[arg-type, call-overload]


def taylor(e: E, symbol: sp.Symbol, order: int) -> list[E]:
    """Coefficients of ``symbol**0 ... symbol**order`` of the Taylor expansion at 0.

    Raises ValueError if a coefficient is singular at 0.
    """
    coefficients: list[E] = []
    current: E = tidy(e)
    for k in range(order + 1):
        at_zero = tidy(substitute(current, {symbol: sp.S.Zero}))
        if singular(at_zero):
            raise ValueError(f"{e} has no Taylor expansion at {symbol} = 0.")
        coefficients.append(at_zero * sp.Rational(1, sp.factorial(k)))  # type: ignore[arg-type]
        if k < order:
            current = tidy(derivative(current, {symbol: sp.S.One}))
    return coefficients


def singular(e: Expr) -> bool:
    """Whether a coefficient is infinite or undefined."""
    scalars = e.terms.values() if isinstance(e, Vector) else [e]
    return any(c.has(sp.nan, sp.zoo, sp.oo, -sp.oo) for c in scalars)


@overload
def tidy(e: Vector) -> Vector: ...
@overload
def tidy(e: sp.Expr) -> sp.Expr: ...
def tidy(e: Expr) -> Expr:
    """The canonical form of a vector or scalar; singular scalars are left for the caller to see."""
    if isinstance(e, Vector):
        return e if singular(e) else e.canonical()
    return e if singular(e) else _canonical_scalar(e)


def _canonical_scalar(e: sp.Expr) -> sp.Expr:
    nodes = {node: node.rebuild(tidy) for node in e.atoms(ScalarNode)}
    return canonical(e.xreplace(nodes)) if nodes else canonical(e)


def vanishes(e: Expr) -> bool:
    """Whether the vector or scalar is identically zero; True is a proof."""
    if isinstance(e, Vector):
        return all(is_zero(c) for c in e.canonical().terms.values())
    return is_zero(_canonical_scalar(e))


def modal(e: E, curvature: Expr) -> E:
    """``e`` on one mode of a quadratic centred at 0: every gradient g(P) becomes ``curvature * P``,
    every Hessian a multiplication, every higher derivative zero."""

    def rule(node: Expr) -> Expr | None:
        if not isinstance(node, Call):
            return None
        if node.oracle.kind not in {"grad", "operator"}:
            raise ValueError(f"{node.oracle.kind} of {node.oracle.of} has no modal form.")
        if len(node.directions) > 1:
            return zero
        return (node.directions[0] if node.directions else node.point) * curvature

    return change(e, rule)


def coefficient(e: Vector, symbol: Vector) -> sp.Expr:
    """The coefficient of an atom in a vector."""
    return e.terms.get(symbol, sp.S.Zero)  # type: ignore[call-overload]


def coefficients_of(e: Vector, symbols: list[VectorSymbol]) -> tuple[list[sp.Expr], Vector]:
    """The coefficients of the symbols, and what is left of ``e`` without them."""
    rest = Vector.of((a, c) for a, c in e.terms.items() if a not in symbols)
    return [coefficient(e, s) for s in symbols], rest


__all__ = [
    "Directions",
    "Symbol",
    "change",
    "coefficient",
    "coefficients_of",
    "derivative",
    "hadamard",
    "modal",
    "singular",
    "substitute",
    "taylor",
    "tidy",
    "vanishes",
]
