"""Numbers for expressions: vectors and scalars evaluated on arrays, for any array namespace."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping
from typing import Any

import sympy as sp

from ..._support.errors import OdescentError, listed
from ..algebra.calculus import Symbol
from ..algebra.vectors import (
    Call,
    Elementwise,
    Expr,
    Product,
    ScalarNode,
    Vector,
    VectorSymbol,
    slots,
)
from ..vector_fields.objective import Objective
from ..vector_fields.system import VectorFields, start

Oracles = Mapping[str, Callable[..., Any]]
_FUNCTIONS = {
    sp.exp: "exp", sp.log: "log", sp.sin: "sin", sp.cos: "cos", sp.tan: "tan", sp.sinh: "sinh", sp.cosh: "cosh",
    sp.tanh: "tanh", sp.Abs: "abs", sp.sign: "sign", sp.atan: "arctan",
}  # fmt: skip


def evaluate(e: Expr, values: Mapping[Symbol, Any], oracles: Oracles, xp: Any) -> Any:
    """The value of an expression.

    Args:
        e: a vector or scalar.
        values: arrays (or numbers) for its symbols.
        oracles: functions by kind, or by "kind_objective": ``grad(x)``, ``operator(x)``, ``prox(x, step)``,
            ``value(x)``, and ``hess(x, v)`` for one direction.
        xp: the array namespace, ``numpy`` or ``jax.numpy``.

    Raises OdescentError for a symbol without a value or an oracle without a function.
    """
    if not isinstance(e, Vector):
        return _scalar(e, values, oracles, xp)
    if not e.terms:
        return 0.0
    parts = []
    for atom, coefficient in e.terms.items():
        value = _atom(atom, values, oracles, xp)
        parts.append(
            value if coefficient == 1 else _scalar(coefficient, values, oracles, xp) * value
        )
    return functools.reduce(operator.add, parts)


def _atom(atom: Vector, values: Mapping[Symbol, Any], oracles: Oracles, xp: Any) -> Any:
    if isinstance(atom, VectorSymbol):
        return _lookup(atom, values)
    if isinstance(atom, Call):
        kind = "hess" if atom.oracle.kind == "grad" and atom.directions else atom.oracle.kind
        if atom.oracle.name in oracles and not atom.directions:
            kind = atom.oracle.name
        if kind not in oracles or (atom.directions and kind != "hess"):
            raise OdescentError(
                f"no function was given for {atom}; oracles are known for {', '.join(oracles)}."
            )
        arguments = [evaluate(a, values, oracles, xp) for a in (atom.point, *atom.directions)]
        if len(atom.directions) > 1:
            return _higher(oracles["hess"], *arguments)
        return oracles[kind](
            *arguments, *[_scalar(p, values, oracles, xp) for p in atom.parameters]
        )
    arguments = [evaluate(a, values, oracles, xp) for a in atom.arguments]  # type: ignore[attr-defined]
    if isinstance(atom, Product):
        left, right = arguments
        return (
            left * right
            if atom.kind == "hadamard"
            else xp.outer(left, right)
            if atom.kind == "outer"
            else left @ right
        )
    assert isinstance(atom, Elementwise)
    inside = dict(values) | dict(zip(slots(len(arguments)), arguments, strict=True))
    return _scalar(atom.body, inside, oracles, xp)


def _higher(hess: Callable[..., Any], x: Any, first: Any, *others: Any) -> Any:
    """A higher derivative of a gradient along several directions, from its first."""
    import jax

    def along(at: Any) -> Any:
        return _higher(hess, at, first, *others[:-1]) if len(others) > 1 else hess(at, first)

    return jax.jvp(along, (x,), (others[-1],))[1]


def _lookup(s: Symbol, values: Mapping[Symbol, Any]) -> Any:
    if s not in values:
        known = ", ".join(sorted(str(k) for k in values))
        raise OdescentError(f"the symbol {s} has no value; values were given for {known}.")
    return values[s]


def _scalar(e: sp.Expr, values: Mapping[Symbol, Any], oracles: Oracles, xp: Any) -> Any:
    if e.is_Integer or isinstance(e, sp.Rational):
        return float(e)
    if e.is_Symbol:
        return _lookup(e, values)
    if isinstance(e, ScalarNode):
        arguments = [evaluate(a, values, oracles, xp) for a in e.arguments]
        return xp.vdot(*arguments) if e.kind == "inner" else oracles["value"](*arguments)
    if e.is_number:
        return float(e)
    if e.is_Pow:
        base, exponent = e.as_base_exp()
        value = _scalar(base, values, oracles, xp)
        if exponent == sp.Rational(1, 2):
            return xp.sqrt(value)
        return value ** (
            int(exponent) if exponent.is_Integer else _scalar(exponent, values, oracles, xp)
        )
    parts = [_scalar(a, values, oracles, xp) for a in e.args]
    if e.is_Add:
        return functools.reduce(operator.add, parts)
    if e.is_Mul:
        return functools.reduce(operator.mul, parts)
    if isinstance(e, sp.coth):
        return 1.0 / xp.tanh(parts[0])
    if isinstance(e, (sp.Max, sp.Min)):
        return functools.reduce(xp.maximum if isinstance(e, sp.Max) else xp.minimum, parts)
    if e.func in _FUNCTIONS:
        return getattr(xp, _FUNCTIONS[e.func])(*parts)
    raise OdescentError(f"the function {e.func.__name__} in {e} cannot be evaluated numerically.")


def oracles_of(system: VectorFields, objective: Objective) -> dict[str, Any]:
    """The numeric oracles of an objective: by name, such as "map_newton", and by kind for those that are called."""
    named = {n: f for n, f in objective.oracles.items() if "_" in n}
    found = {o.kind: getattr(objective, o.kind) for o in system.oracles if o.name not in named}
    return {**found, **named, "hess": objective.hess, "value": objective.value}


def vector_field(
    system: VectorFields, oracles: Oracles, parameters: Mapping[sp.Symbol, Any], xp: Any
) -> Callable[[Any, tuple[Any, ...]], tuple[Any, ...]]:
    """The drift as a function ``(t, state) -> rates`` of a tuple of arrays in block order.

    Args:
        system: blocks, drift and time.
        oracles: numerical functions by oracle name.
        parameters: numbers for all symbols of the drift.
        xp: NumPy or `jax.numpy`.

    Returns:
        the function; each rate has the shape of its block.

    Raises:
        OdescentError: a parameter has no value.
    """
    missing = [str(p) for p in system.parameters if p not in parameters]
    if missing:
        hint = ", or an objective that knows them" if set(missing) <= {"mu", "L"} else ""
        raise OdescentError(
            f"the system's parameters {listed(missing)} have no value; bind them or pass them{hint}."
        )
    drift, symbols = system.drift, [b.symbol for b in system.blocks]

    def field(t: Any, state: tuple[Any, ...]) -> tuple[Any, ...]:
        values: dict[Symbol, Any] = {**parameters, **dict(zip(symbols, state, strict=True))}
        if system.time is not None:
            values[system.time] = t
        rates = (evaluate(drift[s], values, oracles, xp) for s in symbols)
        return tuple(xp.zeros_like(now) + rate for now, rate in zip(state, rates, strict=True))

    return field


def initial_state(
    system: VectorFields, x0: Any, oracles: Oracles, parameters: Mapping[sp.Symbol, Any], xp: Any
) -> tuple[Any, ...]:
    """The blocks' initial values for the starting point x0, in block order.

    Args:
        system: blocks with their initial expressions in `start`.
        x0: the starting point, any shape.
        oracles: numerical functions by oracle name.
        parameters: numbers for all symbols of these expressions.
        xp: NumPy or `jax.numpy`.

    Returns:
        arrays of the shape of x0; a scalar block has the shape of its expression.
    """
    values: dict[Symbol, Any] = {**parameters, start: x0}
    states = []
    for b in system.blocks:
        value = evaluate(b.init, values, oracles, xp)
        states.append(value if b.kind == "scalar" else xp.zeros_like(x0) + value)
    return tuple(states)
