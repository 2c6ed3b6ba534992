"""Phase portraits of systems, with the iterates of algorithms laid over the flow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from inspect import signature
from typing import Any

import jax
import numpy as np
import sympy as sp
from jaxtyping import Float

from ..._support.errors import OdescentError, check_choice, expected, unknown
from ..._support.numbers import check_whole, real, reals
from ...discretize import Algorithm
from ...discretize.step.words import SYNONYMS
from ...dynamics import Objective, System, objective
from ...dynamics.algebra.vectors import Expr
from ...dynamics.flows.solution import objective_for
from ...dynamics.notation.show import symbol_latex
from ..noise.density import fokker_planck
from ..noise.noisy_field import NoisyField
from ..noise.sample_paths import sample_paths
from .portrait import Portrait, compute_portrait
from .section import Plane, Section, slow_curves

_CONSTANTS = ("mu", "L")  # of the objective
_OPTIONS = ("curves", "cycles", "jacobian", "nullcline_labels", "samples", "seeds", "spacing")
_STEPS = 5000  # of a sample path


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
    density: float | None = None,
    paths: int = 0,
    seed: int = 0,
    **options: Any,
) -> Portrait:
    """The phase portrait of a system whose state is two-dimensional, or of a plane through it.

    Fixed points are found by interval arithmetic where the objective's operations have interval bounds, and
    then ``.search`` of the portrait says that none is missed, or by a dense multi-start Newton method.

    Args:
        system: two vector blocks on a function of one variable or one on a function of two; or an
            algorithm, whose bound system is drawn and whose iterates are laid over it; or the name of either.
        target: the objective or its name; or give ``curvature``; neither for a system that calls no oracle.
        curvature: draw one mode lambda of a quadratic, f(x) = lambda x^2 / 2.
        window: ((x0, x1), (y0, y1)); by default around the iterates and the flow.
        axes: names of the blocks on the two axes; by default the block of the output comes first.
        algorithms: further algorithms on the same blocks, by their names in the legend.
        x0: start of the flow and the iterates: a point in the domain of the objective (a number or an array; by default
            1); or, for the flow alone, the whole state as an array (of two numbers, a point in the picture), or a
            dict of blocks to their values. Many starts are rows: arrays of shape (n, ...).
        steps: number of steps of the algorithms.
        t1: final time of the reference flow from x0; 0 for none; by default the time of the first algorithm's
            steps.
        parameters: values by name, mu and L included, or by an alias as in `od.algorithm`; they replace the tuning,
            and mu and L default to those of the objective.
        section: the plane to draw if the state has more than two dimensions.
        energy: a scalar expression in the blocks, such as ``f.value(x) + inner(v, v) / 2``, to draw level sets of.
        levels: their values or number.
        slow: (fast block, small parameter, order) to draw the expansions of the slow manifold up to that order:
            ("p", "eps", 2), or ("psi", "1/K", 2) if the rate K is large.
        density: of a system with noise, the time at which its density from x0 is shown, inf for the long run.
        paths: of a system with noise, how many sample paths from each start are shown, up to t1.
        seed: of these.
        options: curves, cycles, jacobian, nullcline_labels, samples, seeds and spacing of `compute_portrait`.

    Raises:
        OdescentError: a state of other dimension, an algorithm on other blocks, a parameter without value, a
            bad window, start or section.
    """
    for name in options:
        taken = (*list(signature(phase_portrait).parameters)[:-1], *_OPTIONS)
        check_choice("argument of phase_portrait called", name, taken)
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
        flow = system.bind(own_values(system, given))
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
    begins = _one_by_one(x0)
    plane = Plane(bound, target, _dimension(begins[0], target, bound, section), section, axes)
    start = np.stack([plane.start(one) for one in begins])
    iterates = {
        label: _shown(x0, [_iterate(a, target, plane, one, steps, given) for one in begins])
        for label, a in runs.items()
    }
    span = _span(runs, every, steps) if t1 is None else t1
    noisy = any(f.noise for f in bound.fields.values())
    flows, times = {}, {}
    if span > 0:
        name = "flow of the drift" if noisy else "flow"
        clock, followed = plane.flow(start, span)
        flows, times = {name: _shown(x0, followed)}, {name: _shown(x0, clock)}
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
        times=times, out_of_plane=plane.defect, **options,
    )  # fmt: skip
    if density is None and paths == 0:
        return portrait
    if not noisy:
        raise OdescentError(
            f"{bound.name or 'the system'} has no noise, which density= and paths= would show."
        )
    return _with_noise(portrait, plane, start, density, paths, seed, span)


def _with_noise(
    portrait: Portrait, plane: Plane, starts: Float[np.ndarray, "m n"], density: float | None, paths: int, seed: int,
    span: float,
) -> Portrait:  # fmt: skip
    """The portrait with the density of the system and sample paths of it."""
    if not plane.invariant:
        raise OdescentError(
            "density= and paths= require a two-dimensional state, not a plane through a larger one."
        )
    entries = plane.section.entries
    if density is not None and entries is None:
        raise OdescentError("density= is over the state itself: leave section= out.")
    found, drawn = None, None
    if density is not None:
        turned = entries == (1, 0)
        window = portrait.window[::-1] if turned else portrait.window
        found = fokker_planck(
            plane.system,
            window,
            plane.target,
            times=density,
            x0=starts[0] if density < np.inf else None,
        )
        found = found.turned() if turned else found
    if check_whole("paths", paths, 0, 1000):
        if not span > 0:
            raise OdescentError("sample paths need a final time: give t1=.")
        with jax.enable_x64(True):
            field = NoisyField(plane.system, plane.target, {}, 2)
            many = sample_paths(
                field, np.repeat(starts, paths, 0), span, _STEPS, seed, _STEPS // 1000
            )
        drawn = plane.section.project(many.reshape(-1, 2)).reshape(many.shape)
    return replace(portrait, density=found, paths=drawn)


def _one_by_one(x0: Any) -> list[Any]:
    """The starts one by one: rows of an array of two axes, or of each block's."""
    if isinstance(x0, Mapping):
        rows = {n: np.atleast_2d(reals(v)) for n, v in x0.items() if np.ndim(v) == 2}
        counts = {len(r) for r in rows.values()}
        if len(counts) > 1:
            raise OdescentError(
                f"x0 gives its blocks different numbers of starts: {', '.join(map(str, sorted(counts)))}."
            )
        each = [{n: r[i] for n, r in rows.items()} for i in range(max(counts, default=0))]
        return [{**x0, **one} for one in each] or [x0]
    if not isinstance(x0, str) and np.ndim(x0) == 2 and len(x0):
        return list(reals(x0)) or [x0]
    return [x0]


def _shown(x0: Any, each: Any) -> Any:
    """What there is for each start: as it is of one, stacked of several that were given as such."""
    several = any(np.ndim(v) == 2 for v in (x0.values() if isinstance(x0, Mapping) else (x0,)))
    if not several:
        return each[0]
    longest = max(len(z) for z in each)
    fill = [np.full((longest - len(z), *np.shape(z)[1:]), np.nan) for z in each]
    return np.stack([np.concatenate([z, rest]) for z, rest in zip(each, fill, strict=True)])


def _dimension(x0: Any, target: Objective, system: System, section: Section | None) -> int:
    """Of the objective's argument: its own, else that of the start, else the one with which the state is drawn."""
    if target.dimension is not None:
        return target.dimension
    vectors = [b for b in system.blocks if b.kind != "scalar"]
    if isinstance(x0, Mapping):
        named = {str(getattr(n, "name", n)): v for n, v in x0.items()}
        return max((np.size(named[b.name]) for b in vectors if b.name in named), default=1)
    if not system.oracles and np.size(x0) == len(system.blocks) > 1:
        return 1  # without an objective this is the state, a number for each block
    if x0 is not None and vectors:
        return int(np.size(x0))
    # a function of the user does not say of how many variables it is
    total = 2 if section is None else len(section.origin)
    left, count = total - (len(system.blocks) - len(vectors)), max(1, len(vectors))
    return left // count if left >= count and left % count == 0 else 1


def own_values(algorithm: Algorithm, given: Mapping[str, Any]) -> dict[str, Any]:
    """Of values given for several methods those that are an algorithm's; mu and L only where it depends on them."""
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
    if not plane.invariant or plane.section.entries is None:
        return r"$\xi_1$", r"$\xi_2$"
    entries = [
        symbol_latex(n) if k == 1 else f"{symbol_latex(n)}_{{{i + 1}}}"
        for n, k in plane.sizes.items()
        for i in range(k)
    ]
    first, second = plane.section.entries
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
            f"iterates start from a point of the objective's domain, with {plane.dimension} "
            f"entr{'y' if plane.dimension == 1 else 'ies'}; a whole state can only start a flow; x0 is {x0!r}."
        )
    point = np.broadcast_to(np.asarray(1.0 if x0 is None else x0, np.float64), (plane.dimension,))
    missing = [n for n in plane.sizes if n not in algorithm.init and n not in algorithm.outputs]
    if missing:
        raise OdescentError(
            f"the algorithm {algorithm.name!r} has the blocks {', '.join(algorithm.init)}, "
            f"not {' and '.join(plane.sizes)}; its iterates cannot be laid over this flow."
        )
    run = algorithm.run(target, point, steps, **own_values(algorithm, given))
    return plane.flat(run.states)


def _span(runs: Mapping[str, Algorithm], given: Mapping[str, Any], steps: int) -> float:
    """The time that the first algorithm's steps cover; zero if there is none."""
    for a in runs.values():
        paced_by = a.step if a.size is None else a.small
        h = a.bind(own_values(a, given)).tuning_values.get(paced_by, sp.S.Zero)
        return float(h) * steps if h.is_number else 0.0
    return 0.0
