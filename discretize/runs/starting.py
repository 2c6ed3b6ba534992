"""Starting points of runs: what one has to be, and the tree of parameters in groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import sympy as sp

from ..._support.errors import OdescentError
from ...dynamics.algebra.calculus import Symbol, asked_in
from ...dynamics.algebra.vectors import Vector
from ...dynamics.flows.starts import starting_point
from ...dynamics.vector_fields.groups import Grouped, Groups, by_group, check_groups
from ...dynamics.vector_fields.objective import Objective
from ..programs.program import Program
from ..step.iteration import Iteration


def in_groups(
    algorithm: Iteration, objective: Any, x0: Any, given: Any
) -> tuple[Grouped, Mapping[Symbol, Any]]:
    """An objective of a tree of parameters as a function of its groups, and where their blocks start.

    Args:
        algorithm: a method that calls one function of several arguments, each the name of a block.
        objective: of the whole tree; or a mapping of its name to it.
        x0: the tree.
        given: the groups, or a mapping of names to what they are made of.

    Returns:
        the objective by group, and the parts of the tree by block symbol.

    Raises:
        OdescentError: the groups are not the arguments, or do not divide the leaves.
    """
    groups = given if isinstance(given, Groups) else Groups(given)
    who = algorithm.name or "the algorithm"
    called = {(o.of, o.args) for o in algorithm.program.oracles if not o.form.registered}
    if len(called) != 1 or not all(args for _, args in called):
        raise OdescentError(
            f"groups= is for a method that calls one function, of several arguments, as in "
            f'Objective("f", args=({", ".join(repr(n) for n in groups.groups)})); {who} calls another one.'
        )
    ((name, args),) = called
    check_groups(who, tuple(groups.groups), args)
    blocks = {b.name: b.symbol for b in algorithm.program.blocks if b.kind != "scalar"}
    if lost := [a for a in args if a not in blocks]:
        raise OdescentError(f"{who} needs a block called {lost[0]}, which holds that group.")
    if isinstance(objective, Mapping):
        if {*objective} != {name}:
            raise OdescentError(f"{who} calls {name} alone: give the objective by that name.")
        objective = objective[name]
    whole = objective if isinstance(objective, Objective) else Objective(name, objective)
    parts = groups.split(starting_point(x0))
    return by_group(name, whole, args, who), {blocks[n]: p for n, p in parts.items()}


def check_shape(x0: Any, objective: Objective, population: bool) -> None:
    """Refuse a wrong dimension, which would broadcast silently, and an ensemble without particles."""
    leaves = jax.tree.leaves(x0)
    if objective.dimension is not None:
        shapes = [np.shape(leaf) for leaf in leaves]
        fits = len(shapes) == 1 and shapes[0][-1:] == (objective.dimension,)
        if not fits or len(shapes[0]) != 1 + population:
            tree, d = f"a pytree of {len(shapes)} arrays", objective.dimension
            shown = f"an array of shape {shapes[0]}" if len(shapes) == 1 else tree
            wanted = f"(N, {d}), N particles," if population else f"({d},)"
            raise OdescentError(
                f"x0 must have shape {wanted} for the objective {objective.name!r}, but it is {shown}."
            )
    if population and any(np.ndim(leaf) == 0 for leaf in leaves):
        raise OdescentError(
            "x0 of an ensemble needs a leading axis of particles, but it is one number."
        )


def _divided_by(program: Program) -> list[set[sp.Basic]]:
    """For each coefficient of a program the symbols in its denominators."""
    expressions = program.expressions()
    scalars = [c for e in expressions for c in (e.terms.values() if isinstance(e, Vector) else [e])]
    powers = ([p for p in c.atoms(sp.Pow) if p.exp.is_negative] for c in scalars)
    return [set().union(*(p.base.free_symbols for p in listed)) for listed in powers]


def check_resolution(algorithm: Iteration, values: Mapping[str, Any], start: Any) -> None:
    """Refuse a difference along a sample that vanishes in the numbers of the starting point.

    What the program never divides by, such as the size of noise that is added to a point, is no radius.

    Args:
        algorithm: with its values as free parameters.
        values: by name.
        start: the starting point.

    Raises:
        OdescentError: a point x + r z is x, to rounding.
    """
    program = algorithm.tuned
    drawn = {d.target for d in program.draws if d.law}
    leaves = jax.tree.leaves(start)
    if not drawn or any(isinstance(v, jax.core.Tracer) for v in (*values.values(), *leaves)):
        return
    numbers = [np.asarray(a) for a in leaves if np.asarray(a).dtype.kind == "f"]
    ulps = [(float(np.finfo(a.dtype).eps * np.abs(a).max(initial=0)), a.dtype) for a in numbers]
    least, dtype = max(ulps, key=lambda pair: pair[0], default=(0.0, None))
    given = {s: values[s.name] for s in program.parameters if s.name in values}
    known = {s: sp.Float(float(v)) for s, v in given.items() if np.ndim(v) == 0}
    points = {c.point for c in program.calls}
    points |= {point for e in program.expressions() for _, point in asked_in(e)}
    below = _divided_by(program)
    for point in points:
        for s in drawn & point.terms.keys():
            radius = point.terms[s]
            if not any(radius.free_symbols <= symbols for symbols in below):
                continue
            size = abs(radius.xreplace(known))
            if len(point.terms) > 1 and size.is_number and size < least:
                raise OdescentError(
                    f"the radius {abs(radius)} = {float(size):.3g} is below the resolution of {dtype} at the starting "
                    f"point, {least:.2g}: the points of the difference are one; give a larger radius."
                )
