"""Systems, schemes, programs, algorithms and arguments as exact plain data, expressions as trees (docs/json.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp

from ..._support.errors import OdescentError
from ..._support.rendering.rendered import Rendered
from ...dynamics.algebra.oracles import Oracle
from ...dynamics.algebra.scalars import as_scalar
from ...dynamics.algebra.trees import function, tree
from ...dynamics.algebra.vectors import Vector
from ...dynamics.flows.system import System
from ...dynamics.flows.tableaux import Tableau
from ...dynamics.vector_fields.block import Block
from ...dynamics.vector_fields.processes import Diffusion, Jumps
from ...dynamics.vector_fields.system import Field
from ..programs.guards import Inequality, Joined
from ..programs.program import (
    Assign,
    CallOracle,
    Choose,
    Count,
    Draw,
    Loop,
    Program,
    StraightLine,
    SweepCoordinates,
)
from ..programs.substeps import Flow, Integrator, Let, Repeat, Scheme, Select, Sweep
from ..step.iteration import Iteration

# What is written of each kind of thing: keys in their order, and behind a colon the field that is meant if it is
# called otherwise. A call is the oracle at point + implicit * target.
_RECORDS: dict[type, str] = {
    Iteration: "name reference provenance system scheme step size small where tuning clock outputs positive "
    "program:tuned",
    System: "name provenance references blocks fields parameters time calculus output",
    Field: "drift noise",
    Block: "symbol kind role init",
    Scheme: "name reference steps",
    Flow: "flow:fields by fraction on read time save commit increment",
    Let: "let:assign read save",
    Repeat: "repeat:steps until max_steps count fixed_point save",
    Select: "select:condition accept reject save",
    Inequality: "left right strict",
    Joined: "parts every",
    Integrator: "kind frozen_oracles tableau operator",
    Tableau: "a b",
    Program: "blocks counter instructions next outputs",
    Assign: "assign:target value",
    CallOracle: "call:target oracle point directions parameters implicit",
    SweepCoordinates: "sweep:target start moving slope duration implicit quotient backward",
    Choose: "choose:names guard accept reject",
    Loop: "loop:targets begin:begun body until limit fixed_point",
    StraightLine: "instructions values",
    Count: "count:target mean like process common",
    Draw: "draw:target like process law",
}
# The same for what is written as a list: of jumps the rate too, and whether all particles share their clock.
_LISTS: dict[type, str] = {
    Jumps: "amplitude process rate common",
    Diffusion: "amplitude process",
}
_BY_NAME = {"fields", "outputs", "read"}  # the mappings from names; others are lists of pairs


def exact_algorithm(a: Iteration) -> dict[str, Any]:
    """The system as it was given, the scheme, what is bound, and the program of one tuned step."""
    return _record(a, _RECORDS[Iteration])


def _record(value: Any, listed: str) -> dict[str, Any]:
    places = [name.partition(":") for name in listed.split()]
    data = {key: _plain(getattr(value, field or key), key) for key, _, field in places}
    if isinstance(value, Sweep):  # its direction stands behind what it moves
        data = {"flow": data["flow"], "sweep": "backward" if value.backward else "forward"} | data
    if isinstance(value, Iteration) and value.size is None:  # the step is a parameter
        del data["size"], data["small"]
    if isinstance(value, Integrator):
        data = {k: v for k, v in data.items() if v is not None}
    if isinstance(value, Draw) and not value.law:  # the increment of a Wiener process
        del data["law"]
    if isinstance(value, System) and value.fast:
        data |= {"fast": _plain(value.fast), "small": [tree(s) for s in value.small]}
    if isinstance(value, Block) and value.keeps:
        data["history"] = _plain(value.history)
    return data


def _plain(value: Any, key: str = "") -> Any:
    """A part as plain data; ``key`` is where it stands."""
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, Mapping) and key in _BY_NAME:
        return {n: _plain(v) for n, v in value.items()}
    if isinstance(value, Mapping):
        noise = key == "noise"
        return [[tree(s), *(_plain(e) if noise else [tree(e)])] for s, e in value.items()]
    if isinstance(value, (tuple, list)):
        return [_plain(v) for v in value]
    for kind, listed in _RECORDS.items():
        if isinstance(value, kind):
            return _record(value, listed)
    if isinstance(value, Oracle):
        return [value.kind, function(value)]
    for kind, listed in _LISTS.items():
        if isinstance(value, kind):
            return [_plain(getattr(value, field)) for field in listed.split()]
    return tree(value)


@dataclass(frozen=True)
class Principle(Rendered):
    """The principle of a derivation, and its arguments: with it, a replay makes the whole derivation again.

    Attributes:
        by: "derive" (a registered derivation), "scheme" (the system and the scheme of its algorithm), or the
            name of the public function that was called, such as "immerse".
        given: the arguments by name.
    """

    by: str
    given: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """As plain data; raises OdescentError for an argument that has no exact form."""
        return {"by": self.by, "given": {n: written(v) for n, v in self.given.items()}}


def written(value: Any) -> Any:
    """An argument as plain data: null, or the value under one key that names its type."""
    kinds: dict[Any, str] = {
        bool: "flag",
        str: "text",
        Scheme: "scheme",
        System: "system",
        (Vector, sp.Expr): "tree",
    }
    for kind, key in kinds.items():
        if isinstance(value, kind):
            return {key: _plain(value)}
    if value is None:
        return None
    if isinstance(value, Mapping):
        return {"pairs": [[written(k), written(v)] for k, v in value.items()]}
    if isinstance(value, (list, tuple)):
        return {"list": [written(v) for v in value]}
    try:
        return {"tree": tree(as_scalar(value))}
    except TypeError:
        raise OdescentError(
            f"a derivation from an argument of type {type(value).__name__} cannot be written as exact data."
        ) from None
