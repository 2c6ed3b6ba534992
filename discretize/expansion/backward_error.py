"""Backward error analysis: the limit flow of an algorithm and its modified flow.

A map z+ = z + h f_1(z) + h^2 f_2(z) + ... is the exact time-h flow of the formal field
F = F_1 + h F_2 + ..., found order by order from the Lie series (Hairer, Lubich, Wanner, Geometric
Numerical Integration, IX.1). Derivatives of the oracle of any order are kept as multilinear terms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import sympy as sp

from ..._support.errors import NotCarried, NotConsistent, OdescentError, shown
from ...dynamics.algebra.calculus import (
    Symbol,
    derivative,
    nothing,
    renamed,
    substitute,
    symbols_of,
    tidy,
    vanishes,
)
from ...dynamics.algebra.series import orders_lost, taylor, truncated
from ...dynamics.algebra.vectors import Expr, Vector, zero
from ...dynamics.algebra.windows import accumulated, pushed
from ...dynamics.fast_slow.reduction import reduced
from ...dynamics.flows.system import System
from ...dynamics.implicit.equations import Opened, Singular
from ...dynamics.implicit.roots import solutions
from ...dynamics.implicit.search import Search
from ...dynamics.samples.mean import mean
from ..linear.matrices import inverse
from ..programs.program import Assign, Count, Draw, Program, SweepCoordinates
from ..step.sizes import pace
from .beginning import begun_with_memories, unread
from .drawn_limit import check_draws
from .generator import generator_logarithm
from .modified_equation import Drift, ModifiedEquation
from .projected import projected

if TYPE_CHECKING:
    from ..step.iteration import Iteration

LARGEST = 20_000  # operations in one expression on the way; beyond, a minute becomes many


def step_series(algorithm: Iteration, order: int) -> list[Drift]:
    """Taylor coefficients of one step in h, or in its small factor, by block; memories are what they follow.

    Coefficient blocks move by their recurrence, expanded where they are positive, and time by h. Samples stay in them
    as symbols. Raises OdescentError if the step does not tend to the identity.
    """
    algorithm = begun_with_memories(algorithm)
    return _series(algorithm, order, algorithm.accepted_sized_program, algorithm.limit_symbol)[0]


def _series(
    algorithm: Iteration, order: int, program: Program, h: sp.Symbol
) -> tuple[list[Drift], Drift]:
    """The coefficients in h, the step or its small factor, and what the memories follow."""
    if not algorithm.system.fields:
        raise OdescentError(
            f"{algorithm.name or 'this algorithm'} is defined as a map, without a flow."
        )
    time = algorithm.system.time
    if h != algorithm.step and not algorithm.bound.autonomous:
        raise NotCarried(
            f"the limit of small steps is not supported where the step {algorithm.size} depends on the state and the "
            "system on time; write the time as a block, t' = 1."
        )
    lengths = {b.symbol: b.history for b in program.blocks if b.keeps}
    for window, length in lengths.items():
        if h in length.free_symbols:
            raise OdescentError(
                f"the window {window} keeps {length} values, more and more of them as {h} -> 0: the limit is a delay "
                "equation, not a flow in the states: delay_limit() states it."
            )
    positive = positive_coefficients(algorithm)
    known: dict[Symbol, Expr] = dict(positive)
    if program.counter is not None and algorithm.system.time is not None:
        assert algorithm.clock is not None
        begin = algorithm.clock.xreplace({program.counter: sp.S.Zero})
        known[program.counter] = (algorithm.system.time - begin) / h
    if len(program.draws) > len(program.samples) or program.counts:
        root = sp.Dummy("r", positive=True)
        opened = {s: substitute(e, {h: root**2}) for s, e in known.items()}
        moved = step_through(program.bind({h: root**2}), opened, root, 2, drawn=True)
        check_draws({positive.get(s, s): e for s, e in moved.items()}, root, program)
    update = step_through(program, known, h, order)
    if time is not None and program.counted:
        update[time] = time + h
    # from here on the coefficients are called by their positive names
    update = {positive.get(s, s): e for s, e in update.items()}
    memories = [
        b.symbol for b in program.blocks if b.role == "memory" or b.symbol in resting(algorithm)
    ]
    kept = [s for s in update if s not in memories]
    assigned = unread(update, memories)
    memories = [m for m in memories if m not in assigned]
    start = {s: tidy(substitute(e, {h: sp.S.Zero})) for s, e in update.items()}
    if names := projected(algorithm):
        listed = ", ".join(f"{s} by {name}" for s, name in names.items())
        raise NotCarried(
            f"the step projects {listed}: its limit is a flow in a set, which is not supported; the projected flow "
            "x' = P(x - g) - x is."
        )
    for s in kept:
        if not vanishes(start[s] - s):
            hint = ""
            if not any(s in f.drift for f in algorithm.system.fields.values()):
                hint = f"; declare what a Let alone assigns as Block({str(s)!r}, role='memory')"
            elif algorithm.scheme.guarded:
                hint = " where all guards accept; what resets a block belongs in reject=, under the opposite guard"
            raise OdescentError(
                f"as {h} -> 0 the step sends {s} to {start[s]} instead of leaving it in place, so there is no "
                f"limit flow in these blocks{hint}."
            )
    _check_memories(update, memories, program)
    graph = _slaved(update, start, kept, memories, h, order - 1, lengths, resting(algorithm))
    graph |= {m: substitute(start[m], graph) for m in assigned}  # samples in them, or not
    own = {new: s for s, new in positive.items()}
    series = {s: taylor(substitute(update[s], graph), h, order) for s in kept}
    terms = [{own.get(s, s): substitute(series[s][j], own) for s in kept} for j in range(order + 1)]
    return terms, {s: substitute(e, own) for s, e in graph.items()}


def _check_memories(update: Drift, memories: list[Symbol], program: Program) -> None:
    """Refuse memories of samples: they do not settle on a function of the state, but have a law of their own."""
    for m in memories:
        if drawn := symbols_of(update[m]) & set(program.samples):
            raise NotCarried(
                f"the memory {m} keeps the sample {min(s.name for s in drawn)} of earlier steps, so it has a law and "
                "does not settle; write an average as a block with a field of its own, m' = a*(s - m)."
            )


def positive_coefficients(algorithm: Iteration) -> dict[sp.Symbol, sp.Expr]:
    """The scalar coefficient blocks as positive symbols: there the roots of their squares are known."""
    symbols = [b.symbol for b in algorithm.bound.blocks if b.role == "coefficient"]
    return {s: sp.Symbol(s.name, positive=True) for s in symbols if isinstance(s, sp.Symbol)}


def coefficient_drift(algorithm: Iteration) -> dict[Symbol, Expr]:
    """The drift of the coefficient blocks that the system moves, checked against their recurrences.

    The recurrence is expanded where the coefficients are positive: there roots of squares are known.
    Raises NotConsistent if it follows another drift.
    """
    h = algorithm.step
    target = slow_limit(algorithm).drift
    coefficients = [b.symbol for b in algorithm.bound.blocks if b.role == "coefficient"]
    moved = {s: target[s] for s in coefficients if s in target and not vanishes(target[s])}
    if not moved:
        return {}
    update = algorithm.accepted_program.alive(*moved).update_map()
    positive = positive_coefficients(algorithm)
    for s, drift in moved.items():
        series = taylor(substitute(update[s], positive), h, 1)
        for found, wanted, what in zip(series, (s, drift), ("start from", "move by"), strict=True):
            if not vanishes(found - substitute(wanted, positive)):
                raise NotConsistent(
                    f"the recurrence of the coefficient {s} does not follow the system: as {h} -> 0 it should "
                    f"{what} {wanted}, not {found}."
                )
    return moved


def step_through(
    program: Program, given: Mapping[Symbol, Expr], h: sp.Symbol, order: int, drawn: bool = False
) -> Drift:
    """The next state as polynomials in h, expanded instruction by instruction; noise is zero, unless ``drawn``.

    Samples stay as symbols. With draws, h is the root of the step. What is divided by h on the way is expanded so much
    further before.
    """
    found, lost = _expanded_through(program, given, h, order, order, drawn)
    if lost:
        found, _ = _expanded_through(program, given, h, order, order + lost, drawn)
        found = {s: truncated(e, h, order) for s, e in found.items()}
    return found


def _expanded_through(
    program: Program,
    given: Mapping[Symbol, Expr],
    h: sp.Symbol,
    asked: int,
    order: int,
    drawn: bool,
) -> tuple[Drift, int]:
    """The next state with every instruction through this order, and how many orders divisions by h may have lost."""
    known: dict[Symbol, Expr] = dict(given)
    lost = 0

    def expanded(e: Expr) -> Expr:
        nonlocal lost
        value = _bounded(substitute(e, known))
        lost += orders_lost(e, h, known)
        try:
            return truncated(value, h, order)
        except ValueError:
            raise OdescentError(
                f"the step has no expansion at {h} = 0: it computes {value}."
            ) from None

    for i in program.plain:
        if isinstance(i, Assign):
            known[i.target] = expanded(i.value)
        elif isinstance(i, (Draw, Count)):
            if not drawn and not (isinstance(i, Draw) and i.law):
                known[i.target] = nothing(i.target)
        elif isinstance(i, SweepCoordinates):
            if asked > (2 if drawn else 1):
                raise OdescentError(
                    f"the sweep over the coordinates of {i.start} has no modified equation in whole vectors "
                    "beyond its limit flow."
                )
            known[i.target] = expanded(i.to_first_order())
        else:
            known[i.target] = zero
            found = replace(i, point=i.point + i.target * i.implicit).as_call()
            # each pass gains an order of the implicit weight
            for _ in range(order + 1 if i.implicit != 0 else 1):
                known[i.target] = expanded(found)
    return {s: expanded(e) for s, e in program.next.items()}, lost


def _slaved(
    update: Drift,
    start: Drift,
    kept: list[Symbol],
    memories: list[Symbol],
    h: sp.Symbol,
    order: int,
    lengths: Mapping[Symbol, sp.Expr],
    fast: tuple[Symbol, ...],
) -> dict[Symbol, Expr]:
    """The invariant graph m = M(x; h) that the memories follow, through h**order: M(x+) = m+(x, M(x)).

    At h = 0 they solve m = m+(x, m) with the state in place, in closed form where this is linear and else as implicit
    functions, and with A the derivative of m+ in m there each correction of the defect by (I - A)^-1 gains one order. A
    window, which follows the memories before it, is corrected through all its columns.
    """
    if not memories:
        return {}
    windows = [m for m in memories if m in lengths]
    memories = [m for m in memories if m not in lengths]
    free: dict[Any, Any] = {m: renamed(m, f"{m.name} at rest") for m in memories}
    at_rest = Opened(
        tuple(substitute(start[m] - m, free) for m in memories), tuple(free.values()), descends=True
    )
    found = {w: pushed(start[w]) for w in windows}
    loose = any(symbols_of(start[m]) & {*windows} for m in memories) or any(
        p is None or p[0] != w or symbols_of(p[1]) & {*windows} for w, p in found.items()
    )
    graph: dict[Symbol, Expr] = {}
    if not loose and memories:
        loose = not _settles(at_rest, all(m in fast for m in memories))
    if not loose:
        try:
            resting_at = solutions(at_rest, [m.name for m in memories], Search())
            graph = {m: tidy(e) for m, e in zip(memories, resting_at, strict=True)}
        except (ZeroDivisionError, Singular):
            loose = True
    if loose:
        names = ", ".join(str(m) for m in (*memories, *windows))
        if not windows and _stays(start, memories):
            raise NotCarried(
                f"the memory {names} stays where its own past puts it, as a running maximum does, so the limit for "
                f"{h} -> 0 is no flow in the states."
            )
        raise OdescentError(
            f"as {h} -> 0 the memory {names} does not settle, so there is no limit flow in the states."
        )
    settled = {u: graph[m] for m, u in free.items()}

    def corrected(graph: dict[Symbol, Expr], defect: list[Expr]) -> dict[Symbol, Expr]:
        if not memories:
            return {}
        moved = at_rest.divided([-d for d in defect])
        return {m: graph[m] + substitute(e, settled) for m, e in zip(memories, moved, strict=True)}

    for w in windows:
        begun = substitute(start[w], {**graph, w: nothing(w)})
        graph[w] = tidy(accumulated(begun, lengths[w]))
    for j in range(1, order + 1):
        ahead = {s: substitute(update[s], graph) for s in kept}

        def defect(m: Symbol, graph: dict[Symbol, Expr], ahead: Drift = ahead) -> Expr:
            return substitute(update[m], graph) - substitute(graph[m], ahead)

        graph |= corrected(graph, [defect(m, graph) for m in memories])
        for w in windows:
            part = truncated(defect(w, graph), h, j)
            graph[w] = graph[w] + accumulated(part, lengths[w])
        graph = {m: truncated(e, h, j) for m, e in graph.items()}
    return graph


def _settles(at_rest: Opened, declared: bool) -> bool:
    """Whether memories settle, as far as it is known: what maps them has a derivative A with I - A invertible.

    Where A is a matrix of numbers its eigenvalues have to lie in the unit disk; else this is assumed. What maps them
    has to be linear with scalar coefficients, unless they are all declared fast, which says that they come to rest.
    """
    try:
        minus, linear = at_rest.scalar_matrix, at_rest.linear
    except NotCarried:
        return declared
    if minus is None or not linear:
        # of one block, A outside of (-1, 1) wherever the state is: it moves away from rest in every step
        away = minus is not None and minus.rows == 1 and sp.expand(minus[0] * (minus[0] + 2))
        return declared and not (away is not False and away.is_nonnegative)
    a = minus + sp.eye(minus.rows)
    if inverse(-minus) is None:
        return False
    return bool(a.free_symbols) or all(abs(r) < 1 for r in a.eigenvals())


def _stays(start: Drift, memories: list[Symbol]) -> bool:
    """Whether memories move once and then no more, with the state in place: what maps them is a projection."""
    once = {m: start[m] for m in memories}
    try:
        return all(vanishes(substitute(e, once) - e) for e in once.values()) and not all(
            vanishes(e - m) for m, e in once.items()
        )
    except ArithmeticError:  # it is undecided
        return False


def resting(algorithm: Iteration) -> tuple[Symbol, ...]:
    """The state blocks that are fast by a multiple of the step: they settle, as memories do, on what others give."""
    bound = algorithm.bound
    return tuple(bound.fast) if bound.small == (algorithm.step,) else ()


def slow_limit(algorithm: Iteration) -> System:
    """The bound system as the step tends to zero, on the critical manifold of the blocks that are fast by the step."""
    bound = algorithm.bound
    return reduced(bound, 0) if resting(algorithm) else bound.limit({algorithm.step: 0})


def _bounded(e: Expr) -> Expr:
    """The expression, if it is not too large to be worked on; the bound is a size, so that it is reproducible."""
    scalars = [1 + c for c in e.terms.values()] if isinstance(e, Vector) else [e]
    size = sum(int(sp.count_ops(c)) for c in scalars)
    if size > LARGEST:
        raise OdescentError(
            f"the modified equation through this order has an expression of {size} operations, more than the "
            f"{LARGEST} supported; use a lower order, or bind parameters to numbers first."
        )
    return e


def _held(algorithm: Iteration, program: Program, h: sp.Symbol) -> tuple[Drift, Drift]:
    """The mean drift of the state blocks with the coefficients held where they are, and what the memories follow."""
    (_, drift), settled = _series(algorithm, 1, program, h)
    states = {b.symbol for b in algorithm.held_program.blocks if b.role == "state"}
    return {s: mean(e) for s, e in drift.items() if s in states}, settled


def settled(algorithm: Iteration) -> dict[Symbol, Expr]:
    """What the memories follow as the step tends to zero, in the states."""
    algorithm = begun_with_memories(algorithm)
    return _held(algorithm, algorithm.held_sized_program, algorithm.limit_symbol)[1]


def inconsistency(algorithm: Iteration) -> tuple[Symbol, Expr, Expr] | None:
    """A block whose limit drift is not the system's, with both; memories are where they settle.

    A step that depends on the state does not count: the substeps add up for any.
    """
    begun = begun_with_memories(algorithm)
    found, settled = _held(begun, begun.held_program, begun.step)
    target = slow_limit(algorithm).mean_drift
    for s, e in found.items():
        wanted = mean(substitute(target[s], settled))
        if not vanishes(e - wanted):
            return s, e, tidy(wanted)
    return None


def speed_of(algorithm: Iteration) -> sp.Expr:
    """How fast the system's time passes in the limit of small steps: 1, or the step over its small factor."""
    size = algorithm.size
    return sp.S.One if size is None else pace(size, algorithm.limit_symbol)


def limit_flow(algorithm: Iteration) -> System:
    """The limit flow as a system: of the states, with the coefficients that the system moves; the same one each time.

    With a step that depends on the state it is that in the small factor of the step: the drift times the step over its
    factor, the same paths at another speed.

    Raises OdescentError if the algorithm has none: a block that the step moves by a finite amount, or a step that
    depends on the state and has no small factor.
    """
    if "limit" not in algorithm.kept:
        algorithm.kept["limit"] = _limit_flow(algorithm)
    found: System = algorithm.kept["limit"]
    return found


def _limit_flow(algorithm: Iteration) -> System:
    begun = begun_with_memories(algorithm)
    flow, settled = _held(begun, begun.held_sized_program, begun.limit_symbol)
    fields = {"flow": flow}
    if moved := coefficient_drift(algorithm):
        speed = substitute(speed_of(algorithm), settled)
        fields["coefficients"] = {s: tidy(e * speed) for s, e in moved.items()}
    limit = slow_limit(algorithm)
    if resting(algorithm):  # the blocks from which implicit functions are searched stay as memories
        return System(
            fields, blocks=limit.blocks, output=limit.output, time=limit.time, name=algorithm.name
        )
    kept = [b for b in limit.blocks if any(b.symbol in drift for drift in fields.values())]
    output = mean(substitute(limit.output, settled))
    return System(fields, blocks=kept, output=output, time=limit.time, name=algorithm.name)


_HIGHEST = 20  # order: the number of terms grows as that of rooted trees


def modified_equation(algorithm: Iteration, order: int = 1) -> ModifiedEquation:
    """The modified equation through O(h^order); order 0 is the limit flow.

    Coefficient blocks with a recurrence are scalar states with equations of their own.
    Raises OdescentError for an order that is negative or too large, or an algorithm without a limit flow.
    """
    if not 0 <= order <= _HIGHEST:
        raise OdescentError(
            f"the order of a modified equation must be a whole number from 0 to {_HIGHEST}, not {shown(order)}."
        )
    if (kept := algorithm.kept.get(("modified", order))) is not None:
        found: ModifiedEquation = kept
        return found
    if algorithm.program.counts:
        raise NotCarried(
            f"{algorithm.name or 'this algorithm'} jumps, and a modified equation with jumps is not supported; "
            "moment_map has the exact moments of a step."
        )
    time = algorithm.system.time
    steps = step_series(algorithm, order + 1)[1:]
    spread: tuple[dict[Any, Expr], ...] = ()
    if algorithm.program.samples:
        fields, spread = generator_logarithm(steps)
    else:
        fields = lie_logarithm(steps)
    varying = time is not None and time in fields[0]
    terms = tuple({s: e for s, e in f.items() if s != time} for f in fields)
    output = algorithm.bound.output
    begin = {s: algorithm.bound.block(s.name).init for s in positive_coefficients(algorithm)}
    noisy = len(algorithm.program.draws) > len(algorithm.program.samples)
    found = ModifiedEquation(
        terms, algorithm.limit_symbol, output, time if varying else None, begin, noisy, spread,
        algorithm.taken_for_granted,
    )  # fmt: skip
    algorithm.kept["modified", order] = found
    return found


def lie_logarithm(steps: list[Mapping[Symbol, Expr]] | list[Drift]) -> list[Drift]:
    """Fields F_1, F_2, ... whose time-h flow has the given Taylor coefficients at h, h^2, ..."""
    fields: list[Drift] = []
    for n in range(1, len(steps) + 1):
        # coefficient of h^n in the Lie series of the known fields, products of two or more of them
        total: Drift = {s: steps[n - 1][s] for s in steps[0]}
        # level[j]: coefficient of h^j of (hF)^m / m!, here for m = 1
        level: list[Drift | None] = [None, *fields]
        for m in range(2, n + 1):
            following: list[Drift | None] = [None] * (n + 1)
            for j in range(m, n + 1):
                parts = [
                    (inner, fields[j - i - 1])
                    for i, inner in enumerate(level)
                    if inner is not None and 0 <= j - i - 1 < len(fields)
                ]
                if parts:
                    term: Drift = {}
                    for s in steps[0]:
                        moved = (derivative(inner[s], outer) / m for inner, outer in parts)
                        term[s] = tidy(_bounded(sum(moved, nothing(s))))
                    following[j] = term
            level = following
            contribution = level[n]
            if contribution is not None:
                total = {s: total[s] - contribution[s] for s in total}
        fields.append({s: tidy(e) for s, e in total.items()})
    return fields
