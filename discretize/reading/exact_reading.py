"""Systems, schemes and algorithms from their exact plain data, as written by `exact_data`.

Nothing in the data is evaluated: expressions are trees, names are checked to be names, and whatever else
stands there is refused. What is derived in the data (parameters, the program) is not read but made again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeVar

import sympy as sp

from ..._support.errors import OdescentError
from ...dynamics.algebra.calculus import Symbol
from ...dynamics.algebra.trees import from_tree
from ...dynamics.algebra.vectors import Expr, Vector, VectorSymbol
from ...dynamics.flows.system import System
from ...dynamics.flows.tableaux import Tableau
from ...dynamics.vector_fields.block import Block
from ...dynamics.vector_fields.processes import Diffusion, Jumps, Noise
from ...dynamics.vector_fields.system import Field
from ..faces import Algorithm
from ..programs.guards import Guard, Inequality, Joined
from ..programs.substeps import Flow, Integrator, Let, Repeat, Scheme, Select, Step, Sweep

T = TypeVar("T")


def algorithm_from(data: Any) -> Algorithm:
    """The algorithm that the data describe, made anew from its system, its scheme and what is bound.

    Raises OdescentError for data of another form, and for an algorithm that is refused.
    """
    return _reading("an algorithm", _algorithm, data)


def system_from(data: Any) -> System:
    """The system that the data describe; raises OdescentError as `algorithm_from` does."""
    return _reading("a system", _system, data)


def scheme_from(data: Any) -> Scheme:
    """The scheme that the data describe; raises OdescentError as `algorithm_from` does."""
    return _reading("a scheme", _scheme, data)


def _reading(what: str, read: Callable[[Any], T], data: Any) -> T:
    try:
        return read(data)
    except OdescentError:
        raise
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise OdescentError(
            f"the exact data of {what} are not of the form that docs/json.md gives ({error})."
        ) from None


def _refuse(data: Any, expected: str) -> NoReturn:
    shown = repr(data)
    raise OdescentError(f"{expected} was expected, not {shown[:60]}; see docs/json.md.")


def _text(data: Any) -> str:
    return data if isinstance(data, str) else _refuse(data, "a text")


def _flag(data: Any) -> bool:
    return data if isinstance(data, bool) else _refuse(data, "true or false")


def _texts(data: Any) -> tuple[str, ...]:
    return tuple(_text(d) for d in data) if isinstance(data, list) else _refuse(data, "a list")


def _scalar(data: Any) -> sp.Expr:
    found = from_tree(data)
    return _refuse(data, "a scalar") if isinstance(found, Vector) else found


def _plain_symbol(data: Any) -> sp.Symbol:
    found = from_tree(data)
    return found if isinstance(found, sp.Symbol) else _refuse(data, "a scalar symbol")


def _symbol(data: Any) -> Symbol:
    found = from_tree(data)
    known = isinstance(found, (VectorSymbol, sp.Symbol))
    return found if known else _refuse(data, "a symbol or a block")


def _pairs(data: Any) -> dict[Symbol, Expr]:
    found = {_symbol(s): from_tree(e) for s, e in data}
    return found if len(found) == len(data) else _refuse(data, "every symbol once")


def _bindings(data: Any) -> dict[sp.Symbol, Expr]:
    found = {_plain_symbol(s): _scalar(e) for s, e in data}
    return found if len(found) == len(data) else _refuse(data, "every symbol once")


def _algorithm(data: Any) -> Algorithm:
    size, small = data.get("size"), data.get("small")
    return Algorithm(
        _system(data["system"]),
        _scheme(data["scheme"]),
        _plain_symbol(data["step"]) if size is None else _scalar(size),
        _bindings(data["where"]),
        _bindings(data["tuning"]),
        small=None if small is None else _plain_symbol(small),
        outputs={_text(n): from_tree(e) for n, e in data["outputs"].items()},
        clock=None if data["clock"] is None else _scalar(data["clock"]),
        positive=_texts(data["positive"]),
        name=_text(data["name"]),
        reference=_text(data["reference"]),
        provenance=_text(data["provenance"]),
    )


def _system(data: Any) -> System:
    return System(
        {_text(n): _field(f) for n, f in data["fields"].items()},
        blocks=[_block(b) for b in data["blocks"]],
        output=from_tree(data["output"]),
        time=None if data["time"] is None else _plain_symbol(data["time"]),
        calculus=_text(data["calculus"]),
        fast=_pairs(data["fast"]) if "fast" in data else None,
        small=[_plain_symbol(s) for s in data["small"]] if "small" in data else None,
        name=_text(data["name"]),
        provenance=_text(data["provenance"]),
        references=_texts(data["references"]),
    )


def _block(data: Any) -> Block:
    symbol = _symbol(data["symbol"])
    kind, role, history = _text(data["kind"]), _text(data["role"]), data.get("history")
    length = None if history is None else _scalar(history)
    block = Block(symbol.name, kind, role, from_tree(data["init"]), length)
    return block if block.symbol == symbol else _refuse(data["symbol"], f"the symbol of {block}")


def _field(data: Mapping[str, Any]) -> Field:
    noise = dict(_noise(d) for d in data["noise"])
    if len(noise) != len(data["noise"]):
        _refuse(data["noise"], "every block once")
    return Field(_pairs(data["drift"]), noise)


def _noise(data: Any) -> tuple[Symbol, Noise]:
    symbol, amplitude, process, *jumps = data
    found = from_tree(amplitude)
    if not jumps:
        return _symbol(symbol), Diffusion(found, _text(process))
    rate, common = jumps
    return _symbol(symbol), Jumps(found, _scalar(rate), _text(process), _flag(common))


def _scheme(data: Any) -> Scheme:
    return Scheme(_steps(data["steps"]), _text(data["name"]), _text(data["reference"]))


def _steps(data: Any) -> list[Step]:
    """A list of substeps; which kind one is, its first key says."""
    kinds: dict[str, Callable[[Any], Step]] = {"let": _let, "repeat": _repeat, "select": _select}
    return [kinds.get(next(iter(p)), _flow)(p) for p in data]


def _repeat(data: Any) -> Repeat:
    until = None if data["until"] is None else _guard(data["until"])
    steps, most = _steps(data["repeat"]), _scalar(data["max_steps"])
    fixed, save = _flag(data["fixed_point"]), _saved(data["save"])
    return Repeat(steps, until, most, _saved(data["count"]), fixed, save)


def _select(data: Any) -> Select:
    accept, reject = _steps(data["accept"]), _steps(data["reject"])
    return Select(_guard(data["select"]), accept, reject, _saved(data["save"]))


def _guard(data: Any) -> Guard:
    if "parts" in data:
        return Joined(tuple(map(_guard, data["parts"])), _flag(data["every"]))
    return Inequality(_scalar(data["left"]), _scalar(data["right"]), _flag(data["strict"]))


def _let(data: Any) -> Let:
    return Let(_pairs(data["let"]), _read(data["read"]), _saved(data["save"]))


def _flow(data: Any) -> Flow:
    fields, by, fraction = _texts(data["flow"]), _integrator(data["by"]), _scalar(data["fraction"])
    time, save, commit = _scalar(data["time"]), _saved(data["save"]), _flag(data["commit"])
    on, read = _texts(data["on"]), _read(data["read"])
    if "sweep" in data:
        if data["sweep"] not in ("forward", "backward"):
            _refuse(data["sweep"], "forward or backward")
        return Sweep(
            fields, by, fraction, on, read, time, save, commit, data["sweep"] == "backward"
        )
    return Flow(fields, by, fraction, on, read, time, save, commit, _saved(data["increment"]))


def _read(data: Any) -> dict[str, str]:
    return {_text(b): _text(s) for b, s in data.items()}


def _saved(data: Any) -> str | None:
    return None if data is None else _text(data)


def _integrator(data: Any) -> Integrator:
    tableau = None
    if "tableau" in data:
        given = data["tableau"]
        rows = tuple(tuple(_rational(w) for w in row) for row in given["a"])
        tableau = Tableau(rows, tuple(_rational(w) for w in given["b"]))
    operator = from_tree(data["operator"]) if "operator" in data else None
    if not isinstance(operator, Vector | None):
        _refuse(data["operator"], "an operator")
    return Integrator(_text(data["kind"]), _flag(data["frozen_oracles"]), tableau, operator)


def _rational(data: Any) -> sp.Rational:
    found = from_tree(data)
    return found if isinstance(found, sp.Rational) else _refuse(data, "a rational number")


def argument_from(data: Any) -> Any:
    """The argument that the data describe; raises OdescentError for anything else."""
    if data is None:
        return None
    if not isinstance(data, dict) or len(data) != 1:
        raise OdescentError(
            "an argument of a principle must be null, or an object with one key that names its type."
        )
    ((kind, value),) = data.items()
    if kind in ("flag", "text"):
        if isinstance(value, bool if kind == "flag" else str):
            return value
    elif kind == "tree":
        return from_tree(value)
    elif kind == "scheme":
        return scheme_from(value)
    elif kind == "system":
        return system_from(value)
    elif kind == "list" and isinstance(value, list):
        return tuple(map(argument_from, value))
    elif kind == "pairs" and isinstance(value, list) and all(_is_pair(p) for p in value):
        return {argument_from(k): argument_from(v) for k, v in value}
    raise OdescentError(
        f"an argument of a principle has the unknown type {str(kind)[:40]!r}, or data of another type."
    )


def _is_pair(data: Any) -> bool:
    return isinstance(data, list) and len(data) == 2
