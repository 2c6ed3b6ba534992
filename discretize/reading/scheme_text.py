"""Syntax trees of schemes to schemes: a scheme of the library by name, or a list of substeps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import sympy as sp

from ..._support.errors import OdescentError, unknown
from ...dynamics.algebra.calculus import Symbol
from ...dynamics.algebra.vectors import Expr, Vector, zero
from ...dynamics.flows.system import System
from ...dynamics.grammar.calls import Evaluator, staged_name
from ...dynamics.grammar.expressions import Value
from ..library.schemes import scheme, schemes
from ..programs.guards import Guard, Joined, guard_of
from ..programs.stages import at
from ..programs.substeps import (
    RULES,
    Flow,
    Integrator,
    Let,
    Repeat,
    Scheme,
    Select,
    Step,
    Sweep,
)

if TYPE_CHECKING:
    from ...dynamics.grammar.names import Names

_EVERY = "all"
_RELATIONS: dict[str, Any] = {"<": sp.Lt, "<=": sp.Le, ">": sp.Gt, ">=": sp.Ge}
_KINDS = tuple(k for k in RULES if k != "tableau")


def scheme_of(tree: Any, names: Names, system: System | None = None) -> Scheme:
    """The scheme of a syntax tree.

    Args:
        tree: of the grammar's scheme rule.
        names: the symbols in scope.
        system: if given, the names of its fields and blocks are checked.

    Raises:
        ParseError: the scheme is malformed or does not fit the system.
    """
    try:
        if tree.data == "named_scheme":
            return _named(tree, names, system)
        return Scheme(_listed(tree, _Scope(names, system, _staged(tree, names))))
    except OdescentError as error:
        if hasattr(error, "line"):
            raise
        raise names.source.error(str(error), tree) from None


class _Scope(NamedTuple):
    """What the substeps of a scheme know.

    Attributes:
        names: the symbols.
        system: the system, if it is given.
        stages: blocks at stages, by what they are called.
    """

    names: Names
    system: System | None
    stages: Mapping[str, Value]

    def evaluator(self) -> Evaluator:
        """Evaluates expressions in the symbols and in blocks at stages."""
        return self.names.evaluator(self.stages)


def _staged(tree: Any, names: Names) -> dict[str, Value]:
    """The blocks at stages that are written in a scheme."""
    found: dict[str, Value] = {}
    for node in tree.find_data("staged"):
        token, *words = node.children
        _check(names, "block", [token], names.blocks)
        block, stage = names.blocks[str(token)], " ".join(map(str, words))
        found[staged_name(block.name, stage)] = Value(at(block.symbol, stage), block.values)
    return found


def _listed(node: Any, scope: _Scope) -> list[Step]:
    """The substeps of a list."""
    return [_SUBSTEPS[s.data](s, scope) for s in node.children]


def _repetition(node: Any, scope: _Scope) -> Repeat:
    bound, steps, *rest = node.children
    until = [_guard(n, scope) for n in rest if n.data == "guard"]
    most = scope.evaluator().scalar(bound, "the largest number of iterations")
    endings = [n for n in rest if n.data != "guard"]
    settings = _endings(endings, scope, ("counting", "settling", "save"))
    return Repeat(
        _listed(steps, scope),
        until[0] if until else None,
        most,
        settings.get("counting"),
        "settling" in settings,
        settings.get("save"),
    )


def _selection(node: Any, scope: _Scope) -> Select:
    guard, accept, *rest = node.children
    reject = [_listed(n, scope) for n in rest if n.data == "listed"]
    settings = _endings([n for n in rest if n.data != "listed"], scope, ("save",))
    return Select(
        _guard(guard, scope),
        _listed(accept, scope),
        reject[0] if reject else (),
        settings.get("save"),
    )


def _endings(nodes: Iterable[Any], scope: _Scope, known: tuple[str, ...]) -> dict[str, str]:
    """What stands behind a guarded substep, each once."""
    found: dict[str, str] = {}
    for node in nodes:
        if node.data not in known or node.data in found:
            why = "twice" if node.data in found else "which belongs to a loop"
            raise scope.names.source.error(f"this substep has {node.data} {why}.", node)
        found[node.data] = str(node.children[0])
    if "counting" in found:
        _check(scope.names, "block", [found["counting"]], scope.names.blocks)
    return found


def _guard(node: Any, scope: _Scope) -> Guard:
    """A guard: conjunctions, one of which has to hold."""
    parts = [_joined([_comparison(c, scope) for c in n.children], True) for n in node.children]
    return _joined(parts, False)


def _joined(parts: list[Guard], every: bool) -> Guard:
    return parts[0] if len(parts) == 1 else Joined(tuple(parts), every)


def _comparison(node: Any, scope: _Scope) -> Guard:
    first, sign, second = node.children
    evaluator = scope.evaluator()
    left, right = (evaluator.scalar(e, "a side of a guard") for e in (first, second))
    return guard_of(_RELATIONS[str(sign)](left, right), "this guard")


def _named(tree: Any, names: Names, system: System | None) -> Scheme:
    token, *arguments = tree.children
    if token not in schemes():
        raise names.source.error(str(unknown("scheme", str(token), schemes())), token)
    parts: list[tuple[str, Integrator]] = []
    order: list[str] = []
    options: dict[str, Any] = {}
    for argument in arguments:
        first = argument.children[0]
        if argument.data == "part":
            _check(names, "field", [first], _fields(system))
            parts.append((str(first), _integrator(argument.children[1], names)))
        elif argument.data == "plain":
            _check(names, "block", [first], _blocks(system))
            order.append(str(first))
        elif first in options:
            raise names.source.error(f"the option {first} is given twice.", first)
        else:
            options[str(first)] = str(argument.children[1])
    if parts and order:
        raise names.source.error(
            f"{token} is given fields with integrators and blocks; give one or the other.", token
        )
    if order:
        options["order"] = tuple(order)
    return scheme(str(token), *([parts] if parts else []), **options)


def _integrator(node: Any, names: Names) -> Integrator:
    token = node.children[-1]
    frozen = len(node.children) > 1
    if token in _KINDS:
        return Integrator(str(token), frozen_oracles=frozen)
    tableaus = {n: by for n in schemes() if (by := _tableau(n)) is not None}
    if token not in tableaus:
        raise names.source.error(
            str(unknown("integrator", str(token), (*_KINDS, *tableaus))), token
        )
    if frozen:
        raise names.source.error(
            f"{token} calls the oracles at its stages, so that they cannot be frozen.", token
        )
    return tableaus[str(token)]


def _tableau(name: str) -> Integrator | None:
    """The integrator of a library scheme that is one Runge-Kutta step of everything."""
    try:
        (step,) = scheme(name).steps
    except (OdescentError, ValueError):  # it takes arguments, or has several substeps
        return None
    return step.by if isinstance(step, Flow) and step.by.tableau is not None else None


def _flow(node: Any, scope: _Scope) -> Flow:
    names, system = scope.names, scope.system
    fields, by, *modifiers = node.children
    settings = _modifiers(modifiers, names, system)
    chosen = [] if [str(t) for t in fields.children] == [_EVERY] else fields.children
    _check(names, "field", chosen, _fields(system))
    sweep = settings.pop("sweep", None)
    integrator = _integrator(by, names)
    if sweep is None:
        return Flow(tuple(map(str, chosen)), integrator, **settings)
    if "increment" in settings:
        raise names.source.error("a sweep has no noise, so that it shares no increment.", node)
    return Sweep(tuple(map(str, chosen)), integrator, backward=sweep == "backward", **settings)


def _let(node: Any, scope: _Scope) -> Let:
    names = scope.names
    assign: dict[Symbol, Expr] = {}
    modifiers = [m for m in node.children if m.data != "binding"]
    for binding in node.children[: len(node.children) - len(modifiers)]:
        token, right = binding.children
        _check(names, "block", [token], names.blocks)
        block = names.blocks[str(token)]
        value = scope.evaluator()(right)
        if block.symbol in assign:
            raise names.source.error(f"{token} is set twice.", token)
        nothing = value.expr == 0 and isinstance(block.symbol, Vector)
        if value.kind != block.values and not nothing:
            raise names.source.error(
                f"{token} is a {block.kind}, but its value is a {value.kind}.", right
            )
        assign[block.symbol] = zero if nothing else value.expr
    for m in modifiers:
        if m.data not in ("read", "save"):
            raise names.source.error("an assignment has the modifiers read and save only.", m)
    return Let(assign, **_modifiers(modifiers, names, None))


def _modifiers(nodes: Iterable[Any], names: Names, system: System | None) -> dict[str, Any]:
    """The settings of a substep that its modifiers say, each once."""
    blocks = _blocks(system)
    settings: dict[str, Any] = {}

    def put(key: str, value: object, node: Any) -> None:
        if key in settings:
            raise names.source.error(f"this substep has {key} twice.", node)
        settings[key] = value

    reads: dict[str, str] = {}
    for node in nodes:
        match node.data:
            case "fraction":
                put("fraction", _number(node, names, "the fraction of the step"), node)
            case "offset":
                put("time", _number(node, names, "the time of a substep"), node)
            case "restriction":
                _check(names, "block", node.children[0].children, blocks)
                put("on", tuple(str(t) for t in node.children[0].children), node)
            case "save":
                put("save", str(node.children[0]), node)
            case "sharing":
                put("increment", str(node.children[0]), node)
            case "sweep":
                order = str(node.children[0]) if node.children else "forward"
                if order not in ("forward", "backward"):
                    said = str(unknown("order of a sweep called", order, ("forward", "backward")))
                    raise names.source.error(said, node.children[0])
                put("sweep", order, node)
            case "look":
                put("save", str(node.children[0]), node)
                settings["commit"] = False
            case _:
                block, *stage = node.children
                if block != _EVERY:
                    _check(names, "block", [block], blocks)
                if block in reads:
                    raise names.source.error(f"{block} is read twice.", block)
                reads["*" if block == _EVERY else str(block)] = " ".join(map(str, stage))
    return {**settings, "read": reads}


def _number(node: Any, names: Names, what: str) -> sp.Expr:
    return names.evaluator().scalar(node.children[0], what)


def _fields(system: System | None) -> list[str] | None:
    return None if system is None else list(system.fields)


def _blocks(system: System | None) -> list[str] | None:
    return None if system is None else [b.name for b in system.blocks]


def _check(names: Names, kind: str, tokens: Iterable[Any], known: Iterable[str] | None) -> None:
    """Refuse names that the system does not have."""
    for token in tokens:
        if known is not None and token not in known:
            raise names.source.error(str(unknown(kind, str(token), known)), token)


_SUBSTEPS: dict[str, Callable[[Any, _Scope], Step]] = {
    "flow": _flow, "assignment": _let, "repetition": _repetition, "selection": _selection,
}  # fmt: skip
