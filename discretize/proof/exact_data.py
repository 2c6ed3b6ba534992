"""Systems, schemes, programs and algorithms as exact plain data, their expressions as trees (docs/json.md)."""

from __future__ import annotations

from typing import Any

from ...dynamics.algebra.calculus import Symbol
from ...dynamics.algebra.trees import pairs, tree
from ...dynamics.flows.system import System
from ...dynamics.vector_fields.processes import Jumps, Noise
from ...dynamics.vector_fields.system import Block
from ..programs.program import Assign, CallOracle, Count, Instruction, Program, SweepCoordinates
from ..programs.substeps import Flow, Integrator, Let, Scheme, Sweep
from ..step.iteration import Iteration


def exact_algorithm(a: Iteration) -> dict[str, Any]:
    """The system as it was given, the scheme, what is bound, and the program of one tuned step."""
    return {
        "name": a.name,
        "reference": a.reference,
        "provenance": a.provenance,
        "system": exact_system(a.system),
        "scheme": exact_scheme(a.scheme),
        "step": tree(a.step),
        "where": pairs(a.where),
        "tuning": pairs(a.tuning),
        "clock": None if a.clock is None else tree(a.clock),
        "outputs": {n: tree(e) for n, e in a.outputs.items()},
        "positive": list(a.positive),
        "program": exact_program(a.tuned),
    }


def exact_system(s: System) -> dict[str, Any]:
    """Blocks, fields (drift, and noise), parameters, time, calculus, output."""
    return {
        "name": s.name,
        "provenance": s.provenance,
        "references": list(s.references),
        "blocks": [_block(b) for b in s.blocks],
        "fields": {
            name: {"drift": pairs(f.drift), "noise": [_noise(b, d) for b, d in f.noise.items()]}
            for name, f in s.fields.items()
        },
        "parameters": [tree(p) for p in s.parameters],
        "time": None if s.time is None else tree(s.time),
        "calculus": s.calculus,
        "output": tree(s.output),
    }


def _noise(s: Symbol, d: Noise) -> list[Any]:
    """Block, amplitude and process; of jumps the rate too, and whether all particles share their clock."""
    jumps = [tree(d.rate), d.common] if isinstance(d, Jumps) else []
    return [tree(s), tree(d.amplitude), d.process, *jumps]


def _block(b: Block) -> dict[str, Any]:
    return {"symbol": tree(b.symbol), "kind": b.kind, "role": b.role, "init": tree(b.init)}


def exact_scheme(s: Scheme) -> dict[str, Any]:
    """The substeps in order, each a flow or an assignment."""
    return {
        "name": s.name,
        "reference": s.reference,
        "steps": [_flow(p) if isinstance(p, Flow) else _let(p) for p in s.steps],
    }


def _flow(p: Flow) -> dict[str, Any]:
    sweep = {"sweep": "backward" if p.backward else "forward"} if isinstance(p, Sweep) else {}
    return {
        "flow": list(p.fields),
        **sweep,
        "by": _integrator(p.by),
        "fraction": tree(p.fraction),
        "on": list(p.on),
        "read": dict(p.read),
        "time": tree(p.time),
        "save": p.save,
        "commit": p.commit,
        "increment": p.increment,
    }


def _integrator(i: Integrator) -> dict[str, Any]:
    t = i.tableau
    data: dict[str, Any] = {"kind": i.kind, "frozen_oracles": i.frozen_oracles}
    if t is None:
        return data
    weights = {"a": [[tree(w) for w in row] for row in t.a], "b": [tree(w) for w in t.b]}
    return {**data, "tableau": weights}


def _let(p: Let) -> dict[str, Any]:
    return {"let": pairs(p.assign), "read": dict(p.read), "save": p.save}


def exact_program(p: Program) -> dict[str, Any]:
    """The state, the instructions of one step in order, the state after it and the outputs."""
    return {
        "blocks": [_block(b) for b in p.blocks],
        "counter": None if p.counter is None else tree(p.counter),
        "instructions": [_instruction(i) for i in p.instructions],
        "next": pairs(p.next),
        "outputs": {n: tree(e) for n, e in p.outputs.items()},
    }


def _instruction(i: Instruction) -> dict[str, Any]:
    """One of assign, draw, call and sweep; a call is the oracle at point + implicit * target."""
    if isinstance(i, Assign):
        return {"assign": tree(i.target), "value": tree(i.value)}
    if isinstance(i, CallOracle):
        return {
            "call": tree(i.target),
            "oracle": [i.oracle.kind, i.oracle.of],
            "point": tree(i.point),
            "directions": [tree(d) for d in i.directions],
            "parameters": [tree(e) for e in i.parameters],
            "implicit": tree(i.implicit),
        }
    if isinstance(i, SweepCoordinates):
        return {
            "sweep": tree(i.target),
            "start": tree(i.start),
            "moving": tree(i.moving),
            "slope": tree(i.slope),
            "duration": tree(i.duration),
            "implicit": tree(i.implicit),
            "quotient": i.quotient,
            "backward": i.backward,
        }
    if isinstance(i, Count):
        return {
            "count": tree(i.target),
            "mean": tree(i.mean),
            "like": tree(i.like),
            "process": i.process,
            "common": i.common,
        }
    return {"draw": tree(i.target), "like": tree(i.like), "process": i.process}
