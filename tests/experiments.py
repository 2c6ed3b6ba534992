"""The experiment of a witness, carried out on the two programs by what their instructions mean, in exact numbers."""

from __future__ import annotations

from typing import Any

import sympy as sp

from odescent.discretize.linear.witness import Witness
from odescent.discretize.programs.program import Assign, CallOracle
from odescent.dynamics.algebra.vectors import Call, Vector
from odescent.dynamics.vector_fields.block import start

DIGITS = 60


def check_witness(witness: Witness, one: Any, other: Any) -> None:
    """Both sides come out as the witness quotes them, and what is printed differs."""
    assert all(v.is_Rational for v in witness.parameters.values())
    for number, algorithm in enumerate((one, other)):
        found = experiment(
            algorithm.tuned,
            witness.parameters,
            witness.x0,
            witness.answers[number],
            witness.point[number],
        )
        quoted = witness.values[number]
        if found.is_Rational and quoted.is_Rational:
            assert found == quoted
        else:
            assert abs(sp.N(found - quoted, DIGITS)) <= sp.Float(10) ** -35 * (1 + abs(quoted))
    assert witness.values[0] != witness.values[1]
    printed = str(witness).split(" at ")[0].split(" against ")
    assert len(printed) == 2 and printed[0] != printed[1]


def experiment(
    program: Any, parameters: Any, x0: int, answers: Any, point: tuple[int, int]
) -> sp.Expr:
    """The point of a call where oracles answer 0, but 1 at some calls; call -1 is the output."""
    env: dict[Any, Any] = {start: sp.Integer(x0)}
    before = sorted(
        {
            c
            for b in program.blocks
            if isinstance(b.init, Vector)
            for c in b.init.terms
            if isinstance(c, Call)
        },
        key=lambda c: c.key,
    )
    for i, call in enumerate(before):
        env[call] = sp.Integer((-1, i) in answers)

    def value(e: Any) -> sp.Expr:
        if isinstance(e, Vector):
            return sum((env[a] * value(c) for a, c in e.terms.items()), sp.S.Zero)
        inserted = e.xreplace({**parameters, **scalars})
        return inserted if inserted.is_Rational else sp.N(inserted, 2 * DIGITS)

    scalars: dict[Any, sp.Expr] = {}
    for b in program.blocks:
        (env if isinstance(b.init, Vector) else scalars)[b.symbol] = value(b.init)
    for step in range(point[0] + 1):
        if program.counter is not None:
            scalars[program.counter] = sp.Integer(step)
        if point == (step, -1):
            return value(program.outputs["x"])
        called = 0
        for i in program.instructions:
            if isinstance(i, Assign):
                (env if isinstance(i.value, Vector) else scalars)[i.target] = value(i.value)
                continue
            assert isinstance(i, CallOracle)
            answer = sp.Integer((step, called) in answers)
            weight = -i.parameters[0] if i.oracle.kind == "prox" else i.implicit
            if (step, called) == point:
                return value(i.point) + value(weight) * answer
            if i.oracle.kind == "prox":  # its gradient answers
                answer = value(i.point) - value(i.parameters[0]) * answer
            env[i.target] = answer
            called += 1
        after = {s: value(e) for s, e in program.next.items()}
        for s, v in after.items():
            (env if isinstance(s, Vector) else scalars)[s] = v
    raise AssertionError(f"the program makes no call {point}")
