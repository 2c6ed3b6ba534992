"""Passivity and immersion for any plant: the common steps of such derivations, and user-defined ones.

``immerse`` takes a plant, its control and a manifold (implicit, or as an immersion), and returns a
checked derivation down to an algorithm. The route to Nesterov's method is built from the same steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sympy as sp

from ..._support.errors import OdescentError, listed
from ...dynamics.algebra.calculus import (
    Symbol,
    coefficient,
    derivative,
    nothing,
    renamed,
    substitute,
    symbols_of,
    tidy,
    vanishes,
)
from ...dynamics.algebra.vectors import Expr, Vector, VectorSymbol, inner, zero
from ...dynamics.flows.system import System
from ...dynamics.notation.show import latex, symbol_latex, text
from ...dynamics.passivity import PassivityImmersion, single_fibre
from ...dynamics.vector_fields.hypotheses import (
    Hypothesis,
    approaches,
    assumptions,
    nonzero,
    regular,
)
from ..faces import Algorithm, Derivation
from ..library.schemes import scheme as named_scheme
from ..programs.bindings import chained
from ..programs.substeps import Scheme
from ..proof.steps import Claim, Equation, Step, follows_from
from .plant_input import Given, given
from .plant_start import finite, initial_values

Values = Mapping[str, Any]
Tangent = Mapping[Symbol, Symbol]


def relative_degree(loop: PassivityImmersion) -> Step:
    """L_F psi and L_G psi, and that they, with the explicit dependence on time, are what psi' is made of."""
    varies = loop.explicit_rate != zero
    u, psi = loop.control.name, loop.letter
    partial, by_drift, by_control = f"{psi}_t", f"L_F {psi}", f"L_G {psi}"

    def check(c: Values) -> dict[str, Equation]:
        rate = derivative(loop.manifold, loop.rates(loop.plant))
        claimed = c[by_drift] + loop.control * c[by_control]
        if not varies:
            return {f"{psi}' = {by_drift} + ({by_control}) {u}": Equation(rate, claimed)}
        alone = derivative(loop.manifold, {loop.time: sp.S.One})
        return {
            f"{partial} is the derivative in time alone": Equation(alone, c[partial]),
            f"{psi}' = {partial} + {by_drift} + ({by_control}) {u}": Equation(
                rate, c[partial] + claimed
            ),
        }

    free = not loop.invertible.needs and loop.invertible.status == "proved"
    factor = "never vanishes" if free else "does not vanish under the assumption below"
    tex = symbol_latex(psi)
    alone = rf"\partial_t {tex} + " if varies else ""
    explicit = (
        rf" $\partial_t {tex}$ is its derivative in time alone, the blocks being held."
        if varies
        else ""
    )
    return Step(
        "Relative degree one",
        rf"The control appears in $\dot{{{tex}}} = {alone}L_F{tex} + (L_G{tex})\,{symbol_latex(u)}$, with a factor "
        rf"that {factor}, so the manifold ${tex} = 0$ can be rendered attractive.{explicit}",
        (
            *([Claim(partial, loop.explicit_rate, rf"\partial_t {tex}")] if varies else []),
            Claim(by_drift, loop.drift_rate, rf"L_F{tex}"),
            Claim(by_control, loop.decoupling, rf"L_G{tex}"),
        ),
        check,
        assumes=assumptions([loop.invertible]),
    )


def splitting(loop: PassivityImmersion, tangent: Tangent, statement: str) -> Step:
    """The derivation step with the horizontal lift, the vertical projector and the metric.

    Args:
        loop: plant, control and manifold.
        tangent: names of the components of a tangent vector.
        statement: LaTeX.
    """
    fibre = single_fibre(loop)
    moving = tangent[fibre]
    assert isinstance(moving, VectorSymbol)
    image = loop.differential(tangent)
    slope = coefficient(image, moving)
    lifted = tidy((moving * slope - image) / slope)
    listing = ", ".join(t.name for t in tangent.values())
    projector = f"P_V ({listing})"
    base = ", ".join(t.name for s, t in tangent.items() if s != fibre)
    lift, psi = f"lift of {base}", loop.letter
    differential = rf"D{symbol_latex(psi)}"

    # a horizontal vector is tangent to the level sets of psi; the projector removes that part
    def check(c: Values) -> dict[str, Equation]:
        def project(t: Mapping[Any, Expr]) -> Vector:
            return substitute(c[projector], {tangent[s]: t[s] for s in tangent})

        once = project(tangent)
        horizontal: dict[Symbol, Expr] = {**tangent, fibre: c[lift]}
        vertical = {s: once if s == fibre else nothing(s) for s in tangent}
        along = {**loop.free, fibre: loop.plant[fibre]}
        return {
            f"D{psi} annihilates the lift": Equation(loop.differential(horizontal)),
            "P_V annihilates the lift": Equation(project(horizontal)),
            "P_V is idempotent": Equation(project(vertical), once),
            f"D{psi} P_V = D{psi}": Equation(loop.differential(vertical), image),
            f"D{psi} z' = D{psi} P_V z'": Equation(
                derivative(loop.manifold, loop.plant),
                loop.differential({**vertical, fibre: project(along)}),
            ),
            f"the metric is |D{psi} t|^2": Equation(inner(image, image), c["metric"]),
            "its kernel is horizontal": Equation(substitute(c["metric"], {moving: c[lift]})),
        }

    tex = ", ".join(symbol_latex(t.name) for t in tangent.values())
    return Step(
        "Horizontal and vertical",
        statement,
        (
            Claim(
                lift,
                lifted,
                rf"\mathrm{{lift}}({', '.join(symbol_latex(n) for n in base.split(', '))})",
            ),
            Claim(projector, loop.vertical(tangent)[fibre], rf"P_V({tex})"),
            Claim(
                "metric",
                loop.metric(tangent),
                rf"\langle t, {differential}^\top {differential}\, t\rangle",
            ),
        ),
        check,
        assumes=assumptions([loop.invertible]),
    )


def control_law(loop: PassivityImmersion) -> Step:
    """u, the storage, and passivity from the port w to psi."""
    u, w, psi, stored = loop.control.name, loop.port, loop.letter, loop.fresh("S")
    is_named = loop.gain == sp.Symbol("K", positive=True)
    gain = "K" if is_named else loop.fresh("K")
    balance = f"{stored}' + 2 {gain} {stored}"

    def check(c: Values) -> dict[str, Equation]:
        driven = loop.rates({s: substitute(e, {loop.control: c[u]}) for s, e in loop.plant.items()})
        rate, supply = derivative(loop.manifold, driven), inner(loop.manifold, w)
        k = loop.gain if is_named else c[gain]
        return {
            f"{psi}' = -{gain} {psi} + {w}": Equation(rate, w - k * loop.manifold),
            balance: Equation(derivative(c[stored], driven) + 2 * k * c[stored], c[balance]),
            f"{stored} is half |{psi}|^2": Equation(
                inner(loop.manifold, loop.manifold) / 2, c[stored]
            ),
            f"passive from {w} to {psi}": Equation(supply, c[balance]),
        }

    rate, port, tex, held = map(symbol_latex, (gain, w.name, psi, stored))
    return Step(
        "Control law and passivity",
        rf"The law that makes $\dot{{{tex}}} = -{rate}{tex} + {port}$; the storage ${held}$ then certifies passivity "
        rf"from the port ${port}$ to ${tex}$.",
        (
            *([] if is_named else [Claim(gain, loop.gain, rate)]),
            Claim(u, loop.law, symbol_latex(u)),
            Claim(stored, loop.storage, held),
            Claim(balance, inner(loop.manifold, w), rf"\dot{{{held}}} + 2{rate}{held}"),
        ),
        check,
        assumes=assumptions(loop.attracting),
    )


@follows_from("immerse")
def immerse(
    plant: Mapping[Symbol, Expr | float],
    control: VectorSymbol,
    *,
    gain: object,
    manifold: Vector | None = None,
    immersion: Mapping[VectorSymbol, Vector] | None = None,
    target: Mapping[Symbol, Expr] | None = None,
    port: Vector = zero,
    memory: VectorSymbol | None = None,
    time: sp.Symbol | None = None,
    init: Mapping[Symbol, object] | None = None,
    scheme: Scheme | None = None,
    where: Mapping[sp.Symbol, object] | None = None,
    tuning: Mapping[sp.Symbol, object] | None = None,
    clock: sp.Expr | None = None,
    output: Vector | None = None,
    name: str = "immersed",
) -> Derivation:
    """Derive a flow, and an algorithm, from a plant by passivity and immersion.

    Args:
        plant: right-hand sides by block, linear in ``control``, which moves one vector block p.
        control: the control vector.
        gain: K, the rate of attraction to the manifold; a number or an expression.
        manifold: psi, which vanishes on the manifold; or
        immersion: ``{p: pi}``, the manifold as a graph p = pi of the other blocks.
        target: the target dynamics on the manifold, for some or all of the other blocks; checked if given.
        port: the interconnection w, in the blocks of the plant and ``memory``; zero by default.
        memory: the block psi, which replaces p; ``psi`` by default, unless this name is taken.
        time: the symbol of time, on which plant, gain, manifold, target and port may depend. Every other symbol
            is constant.
        init: initial values by block of the plant, in x0 (``od.dynamics.start``), parameters, oracles and other
            blocks, which denote their initial values: ``{p: -a * f.grad(x)}`` starts on the manifold. By default the
            plant is at rest at x0: blocks that translate with the points of the oracles start at x0, velocities and
            scalars at zero. They determine the initial psi.
        scheme: for the closed loop in the blocks (others, psi), whose fields are ``plant``, ``decay`` and
            (with a port) ``port``; explicit Euler by default.
        where, tuning, clock, name: as for `Algorithm`; bound parameters are constant in time.
        output: of the algorithm, in the blocks of the plant and ``memory``; the first other block by default.

    The hypotheses of the proofs (a positive gain with an infinite integral, factors and denominators that do not
    vanish, smoothness) are proved or printed as assumptions of their steps; a contradiction raises an error.

    Returns a `Derivation`; raises OdescentError for a relative degree other than one, a decoupling that is singular
    or not a scalar, a control of several blocks, a gain that is not positive or has a finite integral, a manifold that
    is not a graph over the other blocks, a target that differs from the dynamics on it, or a start that is not finite.
    """
    arguments = given(
        plant, control, gain, manifold=manifold, immersion=immersion, target=target, port=port, memory=memory,
        time=time, init=init, scheme=scheme, where=where, tuning=tuning, clock=clock, output=output,
    )  # fmt: skip
    loop, memory = arguments.loop, arguments.memory
    fibre = single_fibre(loop)
    _ = loop.decoupling  # refuses another relative degree, in its own words
    graph, slope = _graph(loop, fibre, memory)

    # what the proof uses, before and after the parameters are bound
    approach = approaches(
        "approach to the manifold", loop.gain, slope.expression, loop.time, *loop.scalars
    )
    hypotheses = [slope, *approach, *loop.hypotheses, *regular("the port", arguments.port)]
    bindings = chained({**arguments.tuning, **arguments.where})
    for h in hypotheses:
        h.checked().at(bindings).checked()

    start = initial_values(loop, arguments.init, arguments.first, arguments.step)
    cascade = _cascade(arguments, fibre, graph, start, name)
    # parameters that only the law has are none of the algorithm's
    idle = {s: v for s, v in bindings.items() if s in symbols_of(loop.law) - {*cascade.parameters}}
    where, tuning = (
        {s: v for s, v in values.items() if s not in idle} for values in (arguments.where, arguments.tuning)
    )  # fmt: skip
    algorithm = Algorithm(
        cascade, scheme or named_scheme("explicit_euler"), arguments.step, where, tuning, clock=arguments.clock,
        assumes=[h.at(idle) for h in hypotheses], name=name,
        provenance="Passivity and immersion of a plant given by the user.",
    )  # fmt: skip
    for h in hypotheses:  # the law too is finite at the first time
        if h.relation == "!= 0":
            h.at(arguments.at_first).checked()
    rest = algorithm.derivation()
    on_graph, tex = substitute(graph, {memory: zero}), symbol_latex(memory.name)
    steps = (
        _plant_step(arguments, fibre, on_graph, slope),
        relative_degree(loop),
        splitting(
            loop, _tangent(loop),
            f"The kernel of $D{tex}$ holds the horizontal lifts, the actuated fibre is vertical; $P_V = "
            rf"G\,(L_G{tex})^{{-1}} D{tex}$ (its ${symbol_latex(fibre.name)}$ component is shown, the others vanish)."
            + ("" if loop.time is None else " Time is held."),
        ),
        control_law(loop),
        _cascade_step(arguments, cascade, fibre, start, approach),
        *rest.steps,
    )  # fmt: skip
    return Derivation(
        name, "immersion", f"{name}: a plant of one's own, by passivity and immersion, then {algorithm.scheme.name}.",
        steps, algorithm, provenance=algorithm.provenance,
    )  # fmt: skip


def _tangent(loop: PassivityImmersion) -> dict[Symbol, Symbol]:
    """A name for each component of a tangent vector: dx for x, unless something has that name."""
    taken: list[str] = []
    tangent: dict[Symbol, Symbol] = {}
    for s in loop.plant:
        name = loop.fresh(f"d{s.name}", taken)
        taken.append(name)
        tangent[s] = renamed(s, name)
    return tangent


def _graph(
    loop: PassivityImmersion, fibre: VectorSymbol, memory: VectorSymbol
) -> tuple[Vector, Hypothesis]:
    """The actuated block in terms of the others and of psi, and that its factor in psi does not vanish."""
    slope = coefficient(loop.manifold, fibre)
    rest = tidy(loop.manifold - fibre * slope)
    if slope == 0 or fibre in rest.free_symbols or fibre in symbols_of(slope):
        raise OdescentError(
            f"psi = {loop.manifold} cannot be solved for {fibre} (it is not {fibre} times a scalar "
            "plus the other blocks), so the manifold is not a graph over the other blocks."
        )
    graph: Vector = tidy((memory - rest) / slope)
    return graph, nonzero(f"the factor of {fibre} in psi", slope)


def _cascade(
    arguments: Given, fibre: VectorSymbol, graph: Vector, start: Mapping[Symbol, Expr], name: str
) -> System:
    """The closed loop in the other blocks and psi."""
    loop, memory = arguments.loop, arguments.memory

    def without_fibre(e: Expr) -> Expr:
        return tidy(substitute(e, {fibre: graph}))

    others = {s: without_fibre(e) for s, e in loop.free.items() if s != fibre}
    if not others:
        raise OdescentError(
            f"the plant needs another block than {fibre}, which the control moves; on the manifold nothing would move."
        )
    fields: dict[str, Any] = {
        "plant": others,
        "decay": {memory: without_fibre(memory * -loop.gain)},
    }
    if arguments.port:
        fields["port"] = {memory: without_fibre(arguments.port)}
    main = next((s for s in others if isinstance(s, VectorSymbol)), fibre)
    output = main if arguments.output is None else arguments.output
    begin = substitute(loop.manifold, {**start, **arguments.at_first})
    return System(
        fields,
        output=without_fibre(output),
        init={
            **{s: start[s] for s in others},
            memory: finite("the initial value of psi", begin, arguments.first, arguments.step),
        },
        time=loop.time,
        name=name,
    )


def _plant_step(arguments: Given, fibre: VectorSymbol, on_graph: Vector, slope: Hypothesis) -> Step:
    loop, target = arguments.loop, arguments.target
    # the flow on the manifold must be the target, where one is given
    flow = {s: tidy(substitute(e, {fibre: on_graph})) for s, e in loop.free.items() if s != fibre}
    for s, wanted in target.items():
        if s not in flow:
            raise OdescentError(
                f"the target gives {text(s)}, but it may give only the blocks that the control does not move: "
                f"{listed([text(b) for b in flow])}."
            )
        try:
            reached = vanishes(flow[s] - wanted)
        except ArithmeticError:  # sixty digits do not tell
            reached = False
        if not reached:
            raise OdescentError(
                f"on the manifold the plant moves {text(s)} by {text(flow[s])}, not by the target's {text(wanted)}."
            )
    graph, psi = f"pi of {fibre}", loop.letter
    tex = symbol_latex(psi)

    # the claims are tied to the plant and the manifold as they were given
    def check(c: Values) -> dict[str, Equation]:
        on_claimed = {fibre: c[graph]}
        equations = {
            f"the plant moves {s}": Equation(loop.plant[s], c[f"{s}' of the plant"])
            for s in loop.plant
        }
        equations[f"{psi} vanishes on the graph"] = Equation(substitute(c[psi], on_claimed))
        for s in flow:
            equations[f"the plant moves {s} so on the manifold"] = Equation(
                substitute(c[f"{s}' of the plant"], on_claimed), c[f"{s}' on {psi} = 0"]
            )
        return {**equations, f"{psi} is the manifold given": Equation(loop.manifold, c[psi])}

    def rate(s: Symbol) -> str:
        return rf"\dot{{{symbol_latex(str(s))}}}"

    claims = [Claim(f"{s}' of the plant", e, rate(s)) for s, e in loop.plant.items()]
    claims.append(Claim(psi, loop.manifold, tex))
    claims.append(Claim(graph, on_graph, rf"\pi_{{{symbol_latex(fibre.name)}}}"))
    claims += [Claim(f"{s}' on {psi} = 0", e, rf"{rate(s)}_{{{tex}=0}}") for s, e in flow.items()]
    given_for = [f"${symbol_latex(str(s))}$" for s in target]
    follows = f"{listed(given_for)} {'follow' if len(given_for) > 1 else 'follows'} the target"
    if not given_for:
        follows = "the other blocks move as given"
    assumed = [assumptions([slope, *loop.smoothness]), loop.differentiable]
    return Step(
        "Plant and manifold",
        rf"The manifold ${tex} = 0$ is a graph over the blocks that the control does not move, and "
        rf"on it {follows}. {_constants(arguments)}",
        tuple(claims),
        check,
        assumes=", ".join(filter(None, assumed)),
        reference="Astolfi and Ortega 2003",
    )


def _constants(arguments: Given) -> str:
    """The symbols of time and the constant symbols, as prose."""
    loop, bound = arguments.loop, set(arguments.loop.plant)
    used = {s for e in (loop.manifold, *loop.plant.values(), arguments.port) for s in symbols_of(e)}
    used |= symbols_of(loop.gain)
    fixed = [s for s in used if isinstance(s, sp.Symbol) and s not in bound and s != loop.time]
    names = listed([f"${latex(s)}$" for s in sorted(fixed, key=str)])
    said = [] if loop.time is None else [f"${latex(loop.time)}$ is time"]
    if names:
        said.append(f"{names} {'is' if len(fixed) == 1 else 'are'} constant in time")
    if loop.time is None and {"t", "time"} & {s.name for s in fixed}:
        said.append("no symbol was declared as time")
    sentence = "; ".join(said)
    return f"Here {sentence}." if sentence else ""


def _cascade_step(
    arguments: Given, cascade: System, fibre: VectorSymbol, start: Mapping[Symbol, Expr],
    approach: list[Hypothesis],
) -> Step:  # fmt: skip
    loop, memory = arguments.loop, arguments.memory
    closed = loop.closed_loop(substitute(arguments.port, {memory: loop.manifold}))
    drift = cascade.drift

    def check(c: Values) -> dict[str, Equation]:
        back = {memory: loop.manifold}
        moved = {s: closed[s] for s in drift if s != memory}
        moved[memory] = derivative(loop.manifold, loop.rates(closed))
        equations = {
            f"{s}' of the loop": Equation(rate, substitute(c[f"{s}'"], back))
            for s, rate in moved.items()
        }
        begins = {s: c[f"{s}[0]"] for s in loop.plant}
        equations |= {
            f"{b.name} starts there": Equation(b.init, begins[b.symbol])
            for b in cascade.blocks
            if b.symbol != memory
        }
        at_start = substitute(loop.manifold, {**begins, **arguments.at_first})
        return {**equations, f"{memory} starts there": Equation(at_start, c[f"{memory}[0]"])}

    rates = [Claim(f"{s}'", e, rf"\dot{{{symbol_latex(str(s))}}}") for s, e in drift.items()]
    begin = {**start, memory: cascade.block(memory.name).init}
    starts = [Claim(f"{s}[0]", e, rf"{symbol_latex(str(s))}|_{{k=0}}") for s, e in begin.items()]
    first = "" if loop.time is None else rf" at ${latex(loop.time)} = {latex(arguments.first)}$"
    return Step(
        "Closed loop as a cascade",
        f"In the blocks with ${symbol_latex(memory.name)}$ in place of ${symbol_latex(fibre.name)}$ the loop is a "
        f"cascade, with ${symbol_latex(loop.port.name)}$ connected as given, and integrating it needs none of the "
        f"derivatives that the law has. It starts as given last{first}, $x_0$ being the starting point.",
        (*rates, *starts),
        check,
        assumes=assumptions([*approach, *regular("the port", arguments.port)]),
    )
