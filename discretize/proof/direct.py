"""The derivation of any algorithm from its system and scheme."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sympy as sp

from ..._support.errors import OdescentError, listed
from ...dynamics.algebra.calculus import derivative, singular, substitute
from ...dynamics.algebra.named import taylor_terms
from ...dynamics.algebra.vectors import Expr, zero
from ...dynamics.algebra.windows import of_each
from ...dynamics.notation.show import latex, symbol_latex
from ...dynamics.samples.mean import mean
from ...dynamics.vector_fields.second_order import position, velocity
from ..expansion.backward_error import (
    limit_flow,
    modified_equation,
    positive_coefficients,
    settled,
    slow_limit,
    step_series,
)
from ..expansion.generator import product
from ..expansion.projected import inside, projected, solid
from ..linear.state_space import z
from ..programs.program import CallOracle, Count, Draw, Plain, SweepCoordinates
from ..step.iteration import Iteration
from ..step.ways import RESTING
from .guarantees import guaranteed
from .sized import steps_of_size
from .steps import Claim, Equation, Step

Values = Mapping[str, Any]


def checked_steps(algorithm: Iteration) -> tuple[Step, ...]:
    """System, scheme, limit, modified equation and linear form of an algorithm, each checked.

    Claims are what the engine found; each residual is the definition that the claim must meet.
    Steps that an algorithm does not admit (no second-order form, no linear form) are left out. Where the step depends
    on the state the substeps are checked for any, and then what that step makes of them.
    """
    if algorithm.size is not None:
        own = [_modified(algorithm)] if algorithm.small is not None else []
        sized = [_system(algorithm), _second_order(algorithm), *_step_map(algorithm.unsized)]
        return tuple(s for s in [*sized, *steps_of_size(algorithm), *own] if s is not None)
    steps = [
        _system(algorithm),
        _second_order(algorithm),
        *_step_map(algorithm),
        guaranteed(algorithm) if algorithm.scheme.guarded else None,
        _modified(algorithm),
        _linear(algorithm),
    ]
    return tuple(s for s in steps if s is not None)


def _system(algorithm: Iteration) -> Step:
    bound = algorithm.bound

    def check(c: Values) -> dict[str, Equation]:
        equations = {}
        for b in bound.blocks:
            parts = [f.drift[b.symbol] for f in bound.fields.values() if b.symbol in f.drift]
            nothing: Expr = sp.S.Zero if b.kind == "scalar" else zero
            total = sum(parts, nothing)
            equations[f"{b.name}' is the sum of the fields"] = Equation(total, c[f"{b.name}'"])
        return equations

    claims = [
        Claim(f"{b.name}'", bound.drift[b.symbol], rf"\dot{{{symbol_latex(b.name)}}}")
        for b in bound.blocks
    ]
    names = ", ".join(bound.fields)
    return Step("System", f"The drift is the sum of the fields {names}.", tuple(claims), check)


def _noisy(algorithm: Iteration) -> bool:
    """Whether noise survives in the limit: samples average out."""
    program = algorithm.program
    return len(program.draws) > len(program.samples) or bool(program.counts)


def _second_order(algorithm: Iteration) -> Step | None:
    bound = algorithm.bound
    try:
        lhs = bound.second_order().lhs
    except OdescentError:
        return None
    output = bound.output
    speed = bound.derivative(output)

    def check(c: Values) -> dict[str, Equation]:
        along_it = substitute(c["x''"], {position: output, velocity: speed})
        return {"x'' along the system": Equation(bound.derivative(speed), along_it)}

    return Step(
        "Second-order form",
        f"{'Without its noise the' if _noisy(algorithm) else 'The'} output $x$ obeys an equation of second order, "
        r"found by eliminating the other block: $\dot x$ and $\ddot x$ are its derivatives along the system.",
        (Claim("x''", -lhs, r"\ddot{x}"),),
        check,
    )


def _step_map(algorithm: Iteration) -> tuple[Step, ...]:
    """The map of one step written out where it is one of the state alone; else in its intermediate values.

    Of a step that projects onto a set with interior, the limit is that where the projection leaves the point in place.
    """
    if projected(algorithm):
        if not solid(algorithm):
            return (_one_step(algorithm),)
        free = algorithm.replace(scheme=inside(algorithm), tuning={})
        return _one_step(algorithm), _limit_only(
            free, " where its projections leave the point in place"
        )
    if algorithm.scheme.guarded:
        way = ", where its guards accept and each loop is one iteration"
        return _one_step(algorithm, way), _limit_only(algorithm)
    program = algorithm.program
    memories = any(b.role == "memory" for b in program.blocks)
    implicit = any(c.implicit != 0 for c in program.calls)
    drawn = bool(program.draws or program.counts or program.sweeps)
    if not algorithm.bound.autonomous or memories or implicit or drawn or _removable(algorithm):
        return _one_step(algorithm), _limit_only(algorithm)
    return (_written_out(algorithm),)


def _removable(algorithm: Iteration) -> bool:
    """Whether the map has a singularity at step 0 that a limit removes, as that of h/(1 - exp(h))."""
    still = {algorithm.step: sp.S.Zero}
    return any(
        singular(substitute(e, still)) for e in algorithm.program.inlined().next.values()
    ) or any(singular(substitute(c.point, still)) for c in algorithm.program.inlined().calls)


def _written_out(algorithm: Iteration) -> Step:
    h, drift = algorithm.step, slow_limit(algorithm).drift
    update = algorithm.program.update_map()
    moved = list(update)

    positive = positive_coefficients(algorithm)

    def check(c: Values) -> dict[str, Equation]:
        equations = {}
        for s in moved:
            there, moving = taylor_terms(substitute(c[f"{s}+"], positive), h, 1)
            along = substitute(drift[s], positive)
            equations[f"{s}+ = {s} at {h} = 0"] = Equation(there, substitute(s, positive))
            equations[f"{s}+ moves along the drift"] = Equation(moving, along)
            equations[f"{s}+ of the program"] = Equation(update[s], c[f"{s}+"])
        return equations

    claims = tuple(Claim(f"{s}+", update[s], symbol_latex(f"{s}+")) for s in moved)
    return Step(
        "Discretization",
        f"The scheme ({algorithm.scheme}) makes this map of one step; at ${h} = 0$ it is the identity, and to first "
        "order it moves along the drift: the substeps add up.",
        claims,
        check,
    )


def _one_step(algorithm: Iteration, where: str = "") -> Step:
    """The program of one step, the values that it is given (oracles, draws, counts, sweeps) by their names."""
    flat = algorithm.program.accepted().inlined()
    claims = [claim for i in flat.plain for claim in _asked(i)]
    claims += [Claim(f"{s}+", e, symbol_latex(f"{s}+")) for s, e in flat.next.items()]
    made = {claim.name: claim.value for claim in claims}

    def check(c: Values) -> dict[str, Equation]:
        return {f"{name} of one step": Equation(value, c[name]) for name, value in made.items()}

    given = "; ".join(_given(i) for i in flat.plain)
    return Step(
        "One step",
        f"The scheme ({algorithm.scheme}) makes this step{where}"
        + (f". In it {given}." if given else "."),
        tuple(claims),
        check,
    )


def _asked(i: Plain) -> list[Claim]:
    """The arguments of an instruction."""
    if isinstance(i, CallOracle):
        parts: dict[str, Expr] = {"point": i.point + i.target * i.implicit}
        parts |= {f"direction {n}": d for n, d in enumerate(i.directions, 1)}
        parts |= {f"argument {n}": e for n, e in enumerate(i.parameters, 1)}
    elif isinstance(i, SweepCoordinates):
        parts = {"start": i.start, "rate": i.slope, "duration": i.duration, "weight": i.implicit}
    else:
        parts = {"mean": i.mean} if isinstance(i, Count) else {}
    name, shown = str(i.target), symbol_latex(str(i.target))
    return [
        Claim(f"{part} of {name}", e, rf"\mathrm{{{part.replace(' ', '~')}}}({shown})")
        for part, e in parts.items()
    ]


def _given(i: Plain) -> str:
    """The value of an instruction, in words."""
    shown = f"${symbol_latex(str(i.target))}$"
    if isinstance(i, CallOracle) and i.oracle.kind == "named":
        return f"{shown} is the named map ${symbol_latex(i.oracle.of)}$ at its point"
    if isinstance(i, CallOracle):
        return f"{shown} is the {i.oracle.kind} of ${symbol_latex(i.oracle.of)}$ at its point"
    if isinstance(i, SweepCoordinates):
        how = " with the weight at the coordinate's new value" + ", by quotients" * i.quotient
        order = "last to the first" if i.backward else "first to the last"
        return (
            f"{shown} is its start after each coordinate of ${symbol_latex(i.moving.name)}$, "
            f"from the {order}, moved at its rate for its duration,{how}"
        )
    if isinstance(i, Count):
        return f"{shown} is a Poisson number of its mean" + ", one for all" * i.common
    if isinstance(i, Draw) and i.law:
        return rf"{shown} is a sample of the law ${i.drawn_from.latex}$"
    return f"{shown} is a standard normal draw"


def _limit_only(algorithm: Iteration, where: str = "") -> Step:
    target = slow_limit(algorithm).mean_drift
    limit = limit_flow(algorithm).drift
    windows = {b.symbol for b in algorithm.program.blocks if b.keeps}
    filled = {w: e for w, e in settled(algorithm).items() if w in windows} if windows else {}
    said = [f"every column of ${latex(w)}$ at ${latex(of_each(e))}$" for w, e in filled.items()]
    target = {s: substitute(e, filled) for s, e in target.items()}

    def check(c: Values) -> dict[str, Equation]:
        return {f"{s}' of the system": Equation(target[s], c[f"{s}'"]) for s in limit}

    claims = tuple(Claim(f"{s}'", e, rf"\dot{{{symbol_latex(str(s))}}}") for s, e in limit.items())
    what = "drift, beside its noise" if _noisy(algorithm) else "flow"
    what += ", in the mean over its samples" if algorithm.program.samples else ""
    way = " where its guards accept" * algorithm.scheme.guarded + where
    rests = RESTING in algorithm.taken_for_granted
    return Step(
        "Limit flow",
        f"As ${algorithm.step} \\to 0$ the scheme ({algorithm.scheme}){way} follows this {what}, which is the system's"
        + f", with {listed(said)}" * bool(said)
        + ".",
        claims,
        check,
        assumes=f"{RESTING}." if rests else "",
    )


def _modified(algorithm: Iteration) -> Step | None:
    try:
        modified = modified_equation(algorithm, 1)
    except OdescentError:
        return None
    h, leading = algorithm.limit_symbol, modified.terms[0]
    series = [  # with memories replaced by what they follow, in the mean over samples
        {s: mean(e) for s, e in term.items()} for term in step_series(algorithm, 2)
    ]
    rates = step_series(algorithm, 1)[1]
    spread = modified.spread[1] if modified.spread else {}
    # what rests, such as a scale that guards set, has no field to be differentiated along
    moved = {s: e for s, e in modified.terms[1].items() if leading[s] != 0 or e != 0}
    rests = [s for s in leading if s not in moved]

    def check(c: Values) -> dict[str, Equation]:
        field = {s: leading[s] + h * c[f"F_1 of {s}"] for s in moved}
        along = field if modified.time is None else {**field, modified.time: sp.S.One}
        equations = {
            f"{s}+ at {h}^{j}": Equation(series[j][s], leading[s]) for s in rests for j in (1, 2)
        }
        for s in moved:
            flow = s + h * field[s] + derivative(field[s], along) * (h**2 / 2)
            terms = taylor_terms(flow, h, 2)
            for j in (1, 2):
                equations[f"the time-{h} flow agrees with {s}+ at {h}^{j}"] = Equation(
                    terms[j], series[j][s]
                )
        for s, t in spread:
            second = mean(product(rates[s], rates[t]))
            of = f"covariance of {s}, {t}"
            drifts = product(leading[s], leading[t])
            equations[f"{of} at {h}^2"] = Equation(second, c[of] + drifts)
        return equations

    claims = tuple(
        Claim(f"F_1 of {s}", e, rf"F_1^{{({symbol_latex(str(s))})}}") for s, e in moved.items()
    )
    claims += tuple(
        Claim(
            f"covariance of {s}, {t}", e, rf"K^{{({symbol_latex(str(s))}, {symbol_latex(str(t))})}}"
        )
        for (s, t), e in spread.items()
    )
    said = (
        f"the time-${latex(h)}$ flow of that field agrees with the {'mean ' * bool(spread)}map through ${latex(h)}^2$"
        + f", and the noise that the samples make has the covariance ${latex(h)} K$ per unit of time"
        * bool(spread)
    )
    return Step(
        "Modified equation",
        f"{'With its draws at zero the' if modified.noisy else 'The'} method follows the drift plus "
        f"${latex(h)} F_1$ to one order more: {said}.",
        claims,
        check,
        reference="Hairer, Lubich and Wanner 2006, IX.1",
    )


def _linear(algorithm: Iteration) -> Step | None:
    try:
        found = algorithm.coefficients
    except OdescentError:
        return None
    transfer = algorithm.transfer_function()

    def check(c: Values) -> dict[str, Equation]:
        form = -c["alpha"] * ((1 + c["gamma"]) * z - c["gamma"]) / ((z - 1) * (z - c["beta"]))
        return {"transfer function": Equation(transfer, form)}

    kept = {n: v for n, v in found.items() if n != "delta"}
    return Step(
        "Three-parameter form",
        r"The transfer function from the gradient to its point is that of "
        r"$\xi^+ = (1+\beta)\xi - \beta\xi_- - \alpha\nabla f((1+\gamma)\xi - \gamma\xi_-)$.",
        tuple(Claim(n, v, "\\" + n) for n, v in kept.items()),
        check,
        reference="Lessard, Recht and Packard 2016",
    )
