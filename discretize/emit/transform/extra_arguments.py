"""The extra arguments of an emitted optax update: the name of each oracle."""

from __future__ import annotations

from dataclasses import replace

import sympy as sp

from ....dynamics.algebra.calculus import asked_in
from ....dynamics.algebra.oracles import Oracle
from ....dynamics.algebra.vectors import Expr, Vector
from ..lowering.lower import oracle_arguments
from ..lowering.names import Naming
from ..lowering.statements import (
    Ask,
    ChooseLet,
    LoopLet,
    Routine,
    ScalarLet,
    SolveLet,
    Statement,
)
from .plan import PARAMS, Plan

VALUE = sp.Symbol("value", real=True)  # of the function at the parameters, a number as in optax


def extra_arguments(made: Plan, naming: Naming) -> dict[Oracle, str]:
    """The extra argument for each oracle: callables, and the value at the parameters as a number."""
    asked: dict[Oracle, set[Vector]] = {} if made.oracle is None else {made.oracle: set()}
    for e in _expressions(made):
        for oracle, point in asked_in(e):
            asked.setdefault(oracle, set()).add(point)
    for i in made.program.calls:
        asked.setdefault(i.oracle, set()).add(i.point)
    named = oracle_arguments(set(asked), naming)
    for oracle, points in asked.items():
        plain = named[oracle] == VALUE.name and points == {PARAMS}
        alone = oracle.kind in ("grad", "operator", "value") and not oracle.args
        if alone and not plain:  # functions of several arguments have names of their own
            named[oracle] += "_fn"
    return named


def _expressions(made: Plan) -> list[Expr]:
    return [*made.program.expressions(), made.update, *made.first.values()]


def as_named(routine: Routine) -> Routine:
    """The value at the parameters as a number, and Hessian products under their own name."""
    statements: list[Statement] = []
    for s in routine.statements:
        if isinstance(s, Ask) and isinstance(s.target, sp.Symbol) and s.argument == "value":
            statements.append(ScalarLet(s.target, VALUE))
        elif isinstance(s, Ask) and s.argument[:3] in ("hvp", "jvp"):
            statements.append(replace(s, argument=s.argument.removesuffix("_fn")))
        elif isinstance(s, SolveLet):
            statements.append(replace(s, product=as_named(s.product)))
        elif isinstance(s, ChooseLet):
            statements.append(replace(s, accept=as_named(s.accept), reject=as_named(s.reject)))
        elif isinstance(s, LoopLet):
            statements.append(replace(s, body=as_named(s.body)))
        else:
            statements.append(s)
    return Routine(tuple(statements), routine.results)
