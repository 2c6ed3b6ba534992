"""Phase portraits of two-block systems, with the iterates of algorithms laid over the flow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import sympy as sp
from jaxtyping import Array, Float

from odescent._errors import OdescentError
from odescent.discretize import Algorithm
from odescent.dynamics import Objective, System, objective
from odescent.dynamics.evaluate import oracles_of, vector_field
from odescent.dynamics.show import symbol_latex

from .portrait import Portrait, compute_portrait


def phase_portrait(
    system: System | Algorithm,
    target: Objective | None = None,
    *,
    curvature: float | None = None,
    window: Sequence[Sequence[float]] | None = None,
    axes: tuple[str, str] | None = None,
    algorithms: Mapping[str, Algorithm] | None = None,
    x0: float = 1.0,
    steps: int = 30,
    t1: float | None = None,
    parameters: Mapping[str, Any] | None = None,
    **options: Any,
) -> Portrait:
    """The phase portrait of a two-block system on a function of one variable.

    Args:
        system: a system with two vector blocks, or an algorithm, whose bound system is drawn and whose
            iterates are laid over it.
        target: an objective of one variable; or give ``curvature``.
        curvature: draw one mode lambda of a quadratic, f(x) = lambda x^2 / 2.
        window: ((x0, x1), (y0, y1)); by default around the iterates and the flow.
        axes: names of the blocks on the two axes; by default the output's block first.
        algorithms: more algorithms on the same two blocks, by the name in the legend.
        x0, steps: where the iterates and the flow start, and how many steps.
        t1: length of the reference flow from x0 in time; 0 for none; by default that of the iterates.
        parameters: values by name for what is still free, mu and L among them.
        options: further arguments of `compute_portrait`.

    Raises:
        OdescentError: other than two vector blocks, an algorithm on other blocks, a parameter without
            value, a bad window or start.
    """
    if (target is None) == (curvature is None):
        raise OdescentError(
            "a phase portrait needs either an objective of one variable or a curvature."
        )
    if curvature is not None:
        target = objective("quadratic", eigenvalues=(curvature,))
    assert target is not None
    if not np.isfinite(x0):
        raise OdescentError(f"the starting point of a portrait must be finite, not {x0}.")
    given = dict(parameters or {})
    runs = dict(algorithms or {})
    if isinstance(system, Algorithm):
        runs = {system.name or "iterates": system, **runs}
        flow = system.bind({n: v for n, v in given.items() if n in _names(system)})
        bound = flow.bound.bind(flow.tuning)
    else:
        bound = system
    bound = bound.bind({p: given[p.name] for p in bound.parameters if p.name in given})
    if not bound.autonomous:
        raise OdescentError(
            "a phase portrait is drawn of an autonomous system; this one depends on time."
        )
    names = _axes(bound, axes)
    iterates = {label: _iterate(a, target, names, x0, steps, given) for label, a in runs.items()}
    span = _span(runs, given, steps) if t1 is None else t1
    flows = {}
    if span > 0:
        solution = bound.simulate(target, np.array([x0]), span, points=400)
        flows = {"flow": np.column_stack([solution.states[n][:, 0] for n in names])}
    labels = (f"${symbol_latex(names[0])}$", f"${symbol_latex(names[1])}$")
    return compute_portrait(
        _planar(bound, target, names), window, labels, iterates=iterates, flows=flows, **options
    )


def _names(algorithm: Algorithm) -> set[str]:
    return {
        s.name for s in (*algorithm.program.parameters, *algorithm.parameters, *algorithm.tuning)
    }


def _axes(system: System, axes: tuple[str, str] | None) -> tuple[str, str]:
    blocks = [b.name for b in system.blocks if b.kind != "scalar"]
    if len(blocks) != 2 or len(system.blocks) != 2:
        raise OdescentError(
            f"a phase portrait is drawn of two vector blocks; the system has {', '.join(blocks)}."
        )
    if axes is not None:
        if sorted(axes) != sorted(blocks):
            raise OdescentError(f"the axes {axes} are not the system's blocks {tuple(blocks)}.")
        return axes
    started = [b.name for b in system.blocks if b.init]
    first = started[0] if len(started) == 1 else blocks[0]
    return first, next(b for b in blocks if b != first)


def _planar(system: System, target: Objective, names: tuple[str, str]) -> Any:
    """The drift as a vectorized function of points (n, 2), compiled."""
    import jax
    import jax.numpy as jnp

    oracles = {**oracles_of(system, target), "hess": target.hess}
    field = vector_field(system, oracles, {}, jnp)
    order = [b.name for b in system.blocks]

    def one(point: Float[Array, "2"]) -> Float[Array, "2"]:
        at = {n: point[i][None] for i, n in enumerate(names)}
        rates = dict(zip(order, field(0.0, tuple(at[n] for n in order)), strict=True))
        return jnp.concatenate([rates[n] for n in names])

    compiled = jax.jit(jax.vmap(one))

    def planar(points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
        with jax.enable_x64(True):
            return np.asarray(compiled(points))

    return planar


def _iterate(
    algorithm: Algorithm,
    target: Objective,
    names: tuple[str, str],
    x0: float,
    steps: int,
    given: Mapping[str, Any],
) -> Float[np.ndarray, "k 2"]:
    missing = [n for n in names if n not in algorithm.init]
    if missing:
        raise OdescentError(
            f"the algorithm {algorithm.name!r} has the blocks {', '.join(algorithm.init)}, not {' and '.join(names)}; "
            "its iterates cannot be laid over this flow."
        )
    free = {s.name for s in algorithm.parameters}
    run = algorithm.run(
        target, np.array([x0]), steps, **{n: v for n, v in given.items() if n in free}
    )
    return np.column_stack([np.asarray(run.states[n])[:, 0] for n in names])


def _span(runs: Mapping[str, Algorithm], given: Mapping[str, Any], steps: int) -> float:
    """The time that the first algorithm's steps cover; zero if there is none."""
    for a in runs.values():
        h = a.tuning.get(a.step, sp.S.Zero)
        values = {s: sp.nsimplify(given[s.name]) for s in h.free_symbols if s.name in given}
        number = h.subs(values)
        return float(number) * steps if number.is_number else 0.0
    return 0.0
