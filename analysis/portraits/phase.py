"""Phase portraits of systems, with the iterates of algorithms laid over the flow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import sympy as sp
from jaxtyping import Float

from ..._support.errors import OdescentError, expected, unknown
from ..._support.numbers import real
from ...discretize import Algorithm
from ...discretize.step.words import SYNONYMS
from ...dynamics import Objective, System, objective
from ...dynamics.algebra.vectors import Expr
from ...dynamics.flows.solution import objective_for
from ...dynamics.notation.show import symbol_latex
from .portrait import Portrait, compute_portrait
from .section import Plane, Section, slow_curves

_CONSTANTS = ("mu", "L")  # of the objective


def phase_portrait(
    system: System | Algorithm,
    target: Objective | None = None,
    *,
    curvature: float | None = None,
    window: Sequence[Sequence[float]] | None = None,
    axes: tuple[str, str] | None = None,
    algorithms: Mapping[str, Algorithm] | None = None,
    x0: Any = None,
    steps: int = 30,
    t1: float | None = None,
    parameters: Mapping[str, Any] | None = None,
    section: Section | None = None,
    energy: Expr | None = None,
    levels: int | Sequence[float] = 6,
    slow: tuple[str, str, int] | None = None,
    **options: Any,
) -> Portrait:
    """The phase portrait of a system whose state is two-dimensional, or of a plane through it.

    Fixed points are found by interval arithmetic where the objective's operations have interval bounds, and
    then `portrait.search` proves that none is missed, or by a dense multi-start Newton method.

    Args:
        system: two vector blocks on a function of one variable or one on a function of two; or an
            algorithm, whose bound system is drawn and whose iterates are laid over it; or the name of either.
        target: the objective or its name; or give ``curvature``; neither for a system that calls no oracle.
        curvature: draw one mode lambda of a quadratic, f(x) = lambda x^2 / 2.
        window: ((x0, x1), (y0, y1)); by default around the iterates and the flow.
        axes: names of the blocks on the two axes; by default the output's block first.
        algorithms: more algorithms on the same blocks, by the name in the legend.
        x0: where the flow and the iterates start: a point of the objective's argument (a number or an array; 1 if not
            given); or, for the flow alone, the whole state as an array (of two numbers, a point in the picture), or a
            dict of blocks to their values.
        steps: how many steps of the algorithms.
        t1: length of the reference flow from x0 in time; 0 for none; by default that of the first algorithm's
            steps.
        parameters: values by name, mu and L among them, or by a word for a method's parameter, as in
            `od.algorithm`; they replace what a tuning says, and default to the objective's mu and L.
        section: the plane to draw where the state has more than two dimensions.
        energy: a scalar expression in the blocks, such as ``f.value(x) + inner(v, v) / 2``, to draw level sets of.
        levels: their values or number.
        slow: (fast block, small parameter, order) to draw the slow manifold's expansions up to that order:
            ("p", "eps", 2), or ("psi", "1/K", 2) where the rate K is large.
        options: further arguments of `compute_portrait`, such as cycles=False.

    Raises:
        OdescentError: a state of other dimension, an algorithm on other blocks, a parameter without value, a
            bad window, start or section.
    """
    own = system.system if isinstance(system, Algorithm) else system
    if (target is None) == (curvature is None) and (target is not None or own.oracles):
        raise OdescentError(
            "a phase portrait needs either an objective of one variable or a curvature."
        )
    if curvature is not None:
        if not 0 < real(curvature) < np.inf:
            raise expected("curvature", "a finite number more than 0", curvature)
        target = objective("quadratic", eigenvalues=(curvature,))
    target = objective_for(own, target)
    # an algorithm is drawn over its own flow; what the tuning fixes is no longer free
    given = dict(parameters or {})
    runs = dict(algorithms or {})
    if isinstance(system, Algorithm):
        runs = {system.name or "iterates": system, **runs}
        flow = system.bind(_its(system, given))
        free = flow.bound
        free = free.bind({s: v for s, v in flow.tuning_values.items() if s in free.parameters})
    else:
        free = system
    _check_given(given, free, runs)
    # parameters that are not given come from the objective, if it knows mu and L
    every = {n: v for n in _CONSTANTS if (v := getattr(target, n)) is not None} | given
    known = {p: every[p.name] for p in free.parameters if p.name in every}
    bound = free.bind(known)
    # iterates and flow share the start, so that their difference is the discretization error
    plane = Plane(bound, target, _dimension(x0, target, bound), section, axes)
    start = plane.start(x0)
    iterates = {label: _iterate(a, target, plane, x0, steps, given) for label, a in runs.items()}
    span = _span(runs, every, steps) if t1 is None else t1
    noisy = any(f.noise for f in bound.fields.values())
    flows = {}
    if span > 0:
        flows = {"flow of the drift" if noisy else "flow": plane.flow(start, span)}
    # nothing determines the window but the start
    if window is None and not iterates and not flows:  # a system alone: the start is within sight
        reach = 1.25 * max(1.0, float(np.abs(start).max()))
        window = ((-reach, reach), (-reach, reach))
    x, y = _labels(plane)
    options = {"one": plane.one, "jacobian": plane.jacobian, "noisy": noisy, **options}
    # the projected field vanishes at more points than the system rests at: search the whole state space
    if not plane.invariant:
        options["at_rest"] = plane.at_rest
    if energy is not None:
        options["energy"], options["levels"] = plane.scalar(energy), levels
    curves = dict(options.pop("curves", {}))
    if slow is not None:
        curves |= _slow(plane, free, slow, known, window, [*iterates.values(), *flows.values()])
    portrait = compute_portrait(
        plane.field, window, (x, y), iterates=iterates, flows=flows, curves=curves,
        out_of_plane=plane.defect, **options,
    )  # fmt: skip
    return portrait


def _dimension(x0: Any, target: Objective, system: System) -> int:
    """Of the objective's argument: its own, else that of the start."""
    if target.dimension is not None:
        return target.dimension
    vectors = [b for b in system.blocks if b.kind != "scalar"]
    if isinstance(x0, Mapping):
        named = {str(getattr(n, "name", n)): v for n, v in x0.items()}
        return max((np.size(named[b.name]) for b in vectors if b.name in named), default=1)
    return 1 if x0 is None or not vectors else int(np.size(x0))


def _its(algorithm: Algorithm, given: Mapping[str, Any]) -> dict[str, Any]:
    """The given values that are an algorithm's; mu and L only where it still depends on them."""
    own = {n: v for n, v in given.items() if n in algorithm.names and n not in _CONSTANTS}
    left = {s.name for s in algorithm.freed(own)[0].parameters}
    return own | {n: v for n, v in given.items() if n in _CONSTANTS and n in left}


def _check_given(given: Mapping[str, Any], system: System, runs: Mapping[str, Algorithm]) -> None:
    """OdescentError for a name that means nothing here."""
    known = {s.name for s in system.parameters}.union(_CONSTANTS, *(a.names for a in runs.values()))
    for name in given:
        if name not in known:
            raise unknown("parameter", name, known - SYNONYMS.keys())


def _labels(plane: Plane) -> tuple[str, str]:
    if not plane.invariant:
        return r"$\xi_1$", r"$\xi_2$"
    entries = [
        symbol_latex(n) if k == 1 else f"{symbol_latex(n)}_{{{i + 1}}}"
        for n, k in plane.sizes.items()
        for i in range(k)
    ]
    first, second = np.abs(plane.section.basis).argmax(0).tolist()
    if first == second or np.count_nonzero(plane.section.basis) != 2:
        return r"$\xi_1$", r"$\xi_2$"
    return f"${entries[first]}$", f"${entries[second]}$"


def _slow(
    plane: Plane, free: System, slow: tuple[str, str, int], known: Mapping[sp.Symbol, Any],
    window: Sequence[Sequence[float]] | None, shown: Sequence[Float[np.ndarray, "_ 2"]],
) -> dict[str, Float[np.ndarray, "_ 2"]]:  # fmt: skip
    fast, small, order = slow
    name = small.removeprefix("1/").strip()
    value = next((float(v) for p, v in known.items() if p.name == name), None)
    if value is None:
        raise OdescentError(f"the slow manifold needs a value of {name}, in parameters=.")
    if window is None:
        both = np.concatenate(shown)
        window = list(zip(both.min(0).tolist(), both.max(0).tolist(), strict=True))
    eps = 1 / value if small.startswith("1/") else value
    return slow_curves(plane, free, fast, small, eps, order, window, known)


def _iterate(
    algorithm: Algorithm,
    target: Objective,
    plane: Plane,
    x0: Any,
    steps: int,
    given: Mapping[str, Any],
) -> Float[np.ndarray, "k 2"]:
    if isinstance(x0, Mapping) or np.size(x0) not in (1, plane.dimension):
        raise OdescentError(
            f"iterates start from a point in the domain of the objective, {plane.dimension} "
            f"entr{'y' if plane.dimension == 1 else 'ies'}, and a whole state starts a flow alone; x0 is {x0!r}."
        )
    point = np.broadcast_to(np.asarray(1.0 if x0 is None else x0, np.float64), (plane.dimension,))
    missing = [n for n in plane.sizes if n not in algorithm.init and n not in algorithm.outputs]
    if missing:
        raise OdescentError(
            f"the algorithm {algorithm.name!r} has the blocks {', '.join(algorithm.init)}, "
            f"not {' and '.join(plane.sizes)}; its iterates cannot be laid over this flow."
        )
    run = algorithm.run(target, point, steps, **_its(algorithm, given))
    return plane.flat(run.states)


def _span(runs: Mapping[str, Algorithm], given: Mapping[str, Any], steps: int) -> float:
    """The time that the first algorithm's steps cover; zero if there is none."""
    for a in runs.values():
        h = a.bind(_its(a, given)).tuning_values.get(a.step, sp.S.Zero)
        return float(h) * steps if h.is_number else 0.0
    return 0.0
