"""Passivity and immersion for any plant: the steps that every such derivation shares, and a user's own.

``immerse`` takes a plant, its control and a manifold (implicit, or as an immersion), and returns a
checked derivation down to an algorithm. The route to Nesterov's method is built from the same steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sympy as sp

from odescent._errors import OdescentError
from odescent.dynamics.calculus import Symbol, coefficient, derivative, substitute, tidy
from odescent.dynamics.exact import as_scalar
from odescent.dynamics.fields import System, start
from odescent.dynamics.passivity import PassivityImmersion, external
from odescent.dynamics.show import symbol_latex
from odescent.dynamics.vectors import Expr, Vector, VectorSymbol, inner, zero

from ..derivation import Claim, Derivation, Equation, Step
from ..iteration import Algorithm
from ..library.schemes import scheme as named_scheme
from ..substeps import Scheme
from .direct import direct

Values = Mapping[str, Any]
Tangent = Mapping[Symbol, VectorSymbol]


def actuated(loop: PassivityImmersion) -> VectorSymbol:
    """The one block that the control moves."""
    moved = [s for s, e in loop.plant.items() if tidy(e - loop.free[s]) != zero]
    if len(moved) != 1 or not isinstance(moved[0], VectorSymbol):
        names = ", ".join(str(s) for s in moved)
        raise OdescentError(
            f"the control must move exactly one vector block, but it moves {names}."
        )
    return moved[0]


def relative_degree(loop: PassivityImmersion) -> Step:
    """L_F psi and L_G psi, and that they are what psi' is made of."""

    def check(c: Values) -> dict[str, Equation]:
        rate = derivative(loop.manifold, loop.plant)
        claimed = c["L_F psi"] + loop.control * c["L_G psi"]
        return {"psi' = L_F psi + (L_G psi) u": Equation(rate, claimed)}

    return Step(
        "Relative degree one",
        r"The control appears in $\dot\psi = L_F\psi + (L_G\psi)\,u$, with a factor that never vanishes, so the "
        r"manifold "
        r"$\psi = 0$ can be rendered attractive.",
        (
            Claim("L_F psi", loop.drift_rate, r"L_F\psi"),
            Claim("L_G psi", loop.decoupling, r"L_G\psi"),
        ),
        check,
    )


def splitting(loop: PassivityImmersion, tangent: Tangent, statement: str) -> Step:
    """The horizontal lift, the vertical projector and the metric; ``tangent`` names the components."""
    fibre = actuated(loop)
    image = loop.differential(tangent)
    slope = coefficient(image, tangent[fibre])
    lifted = tidy((tangent[fibre] * slope - image) / slope)
    listed = ", ".join(t.name for t in tangent.values())
    projector = f"P_V ({listed})"
    base = ", ".join(t.name for s, t in tangent.items() if s != fibre)
    lift = f"lift of {base}"

    def check(c: Values) -> dict[str, Equation]:
        def project(t: Mapping[Any, Vector]) -> Vector:
            return substitute(c[projector], {tangent[s]: t[s] for s in tangent})

        once = project(tangent)
        horizontal = {**tangent, fibre: c[lift]}
        vertical = {s: once if s == fibre else zero for s in tangent}
        along = {**loop.free, fibre: loop.plant[fibre]}
        return {
            "Dpsi annihilates the lift": Equation(loop.differential(horizontal)),
            "P_V annihilates the lift": Equation(project(horizontal)),
            "P_V is idempotent": Equation(project(vertical), once),
            "Dpsi P_V = Dpsi": Equation(loop.differential(vertical), image),
            "P_V z' moves psi as z' does": Equation(
                derivative(loop.manifold, loop.plant),
                loop.differential({**vertical, fibre: project(along)}),
            ),
            "the metric is |Dpsi t|^2": Equation(inner(image, image), c["metric"]),
            "its kernel is horizontal": Equation(
                substitute(c["metric"], {tangent[fibre]: c[lift]})
            ),
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
            Claim("metric", loop.metric(tangent), r"\langle t, D\psi^\top D\psi\, t\rangle"),
        ),
        check,
    )


def control_law(loop: PassivityImmersion) -> Step:
    """u, the storage, and passivity from the port w to psi."""
    gain = loop.gain

    def check(c: Values) -> dict[str, Equation]:
        driven = {s: substitute(e, {loop.control: c["u"]}) for s, e in loop.plant.items()}
        rate, supply = derivative(loop.manifold, driven), inner(loop.manifold, external)
        return {
            "psi' = -K psi + w": Equation(rate, external - gain * loop.manifold),
            "S' + 2 K S": Equation(derivative(c["S"], driven) + 2 * gain * c["S"], c["S' + 2 K S"]),
            "S is half |psi|^2": Equation(inner(loop.manifold, loop.manifold) / 2, c["S"]),
            "passive from w to psi": Equation(supply, c["S' + 2 K S"]),
        }

    return Step(
        "Control law and passivity",
        r"The law that makes $\dot\psi = -K\psi + w$; the storage $S$ then certifies passivity "
        r"from the port $w$ to $\psi$.",
        (
            Claim("u", loop.law),
            Claim("S", loop.storage),
            Claim("S' + 2 K S", inner(loop.manifold, external), r"\dot{S} + 2KS"),
        ),
        check,
        assumes="$K > 0$",
    )


def immerse(
    plant: Mapping[Symbol, Expr],
    control: VectorSymbol,
    *,
    gain: object,
    manifold: Vector | None = None,
    immersion: Mapping[VectorSymbol, Vector] | None = None,
    target: Mapping[Symbol, Expr] | None = None,
    port: Vector = zero,
    scheme: Scheme | None = None,
    where: Mapping[sp.Symbol, object] | None = None,
    tuning: Mapping[sp.Symbol, object] | None = None,
    output: Vector | None = None,
    name: str = "immersed",
) -> Derivation:
    """Derive a flow, and an algorithm, from a plant of your own by passivity and immersion.

    Args:
        plant: right-hand sides by block, linear in ``control``, which moves one block p.
        control: the control vector.
        gain: K, the rate at which the manifold attracts; a number or an expression.
        manifold: psi, which vanishes on the manifold; or
        immersion: ``{p: pi}``, the manifold as a graph p = pi of the other blocks.
        target: the flow wanted on the manifold, by block; checked if given.
        port: the interconnection w, in the plant's other blocks and the name ``psi``; zero by default.
        scheme: for the closed loop in the blocks (others, psi), whose fields are ``plant``, ``decay`` and
            (with a port) ``port``; explicit Euler by default.
        where, tuning, output, name: of the algorithm.

    Returns a `Derivation`; raises OdescentError for a relative degree other than one, a singular
    decoupling, a manifold that is not a graph over the other blocks, or a target that the plant does
    not follow on it.
    """
    if (manifold is None) == (immersion is None):
        raise OdescentError("give the manifold either as manifold=psi or as immersion={p: pi}.")
    psi = _implicit(immersion) if manifold is None else manifold
    loop = PassivityImmersion(plant, control, psi, as_scalar(gain))
    fibre = actuated(loop)
    _ = loop.decoupling  # refuses another relative degree, in its own words
    graph = _graph(loop, fibre)
    memory = VectorSymbol("psi" if not any(s.name == "psi" for s in plant) else "psi_")
    tangent = {s: VectorSymbol(f"d{s.name}") for s in plant}
    cascade = _cascade(loop, fibre, graph, memory, port, output, name)
    algorithm = Algorithm(
        cascade, scheme or named_scheme("explicit_euler"), where=where, tuning=tuning, name=name,
        provenance="Passivity and immersion of a plant given by the user.",
    )  # fmt: skip
    rest = direct(algorithm)
    on_graph = {fibre: substitute(graph, {memory: zero})}
    steps = (
        _plant_step(loop, fibre, on_graph, target),
        relative_degree(loop),
        splitting(
            loop, tangent,
            r"The kernel of $D\psi$ holds the horizontal lifts, the actuated fibre is vertical; "
            r"$P_V = G\,(L_G\psi)^{-1} D\psi$ "
            rf"(its ${symbol_latex(fibre.name)}$ component is shown, the others vanish).",
        ),
        control_law(loop),
        _cascade_step(loop, cascade, fibre, memory, port),
        *rest.steps,
    )  # fmt: skip
    return Derivation(
        name, "immersion", f"{name}: a plant of one's own, by passivity and immersion, then {algorithm.scheme.name}.",
        steps, algorithm, provenance=algorithm.provenance,
    )  # fmt: skip


def _implicit(immersion: Mapping[VectorSymbol, Vector] | None) -> Vector:
    if not immersion or len(immersion) != 1:
        raise OdescentError(
            "an immersion gives one block as a function of the others, as in immersion={p: -a * f.grad(x)}."
        )
    ((block, value),) = immersion.items()
    if block in value.free_symbols:
        raise OdescentError(
            f"the immersion of {block} must not contain {block} itself; it is {value}."
        )
    return block - value


def _graph(loop: PassivityImmersion, fibre: VectorSymbol) -> Vector:
    """The actuated block in terms of the others and of psi, whose name is ``psi``."""
    slope = coefficient(loop.manifold, fibre)
    rest = tidy(loop.manifold - fibre * slope)
    if slope == 0 or fibre in rest.free_symbols:
        raise OdescentError(
            f"psi = {loop.manifold} cannot be solved for {fibre} (it is not {fibre} times a scalar "
            "plus the other blocks), "
            "so the manifold is not a graph over the other blocks."
        )
    graph: Vector = tidy((VectorSymbol("psi") - rest) / slope)
    return graph


def _cascade(
    loop: PassivityImmersion, fibre: VectorSymbol, graph: Vector, memory: VectorSymbol, port: Vector,
    output: Vector | None, name: str,
) -> System:  # fmt: skip
    renamed = substitute(graph, {VectorSymbol("psi"): memory})
    others = {s: tidy(substitute(e, {fibre: renamed})) for s, e in loop.free.items() if s != fibre}
    fields: dict[str, Any] = {"plant": others, "decay": {memory: -loop.gain * memory}}
    if port:
        fields["port"] = {memory: substitute(port, {VectorSymbol("psi"): memory})}
    main = output if output is not None else next(iter(others))
    # at rest on the fibre's origin: psi starts where the actuated block is zero
    begin = substitute(loop.manifold, {fibre: zero, **dict.fromkeys(others, start)})
    return System(
        fields,
        output=main,
        init={**{s: start for s in others if isinstance(s, Vector)}, memory: begin},
        name=name,
    )


def _plant_step(
    loop: PassivityImmersion,
    fibre: VectorSymbol,
    on_graph: Mapping[Symbol, Expr],
    target: Mapping[Symbol, Expr] | None,
) -> Step:
    flow = {s: tidy(substitute(e, on_graph)) for s, e in loop.free.items() if s != fibre}
    if target is not None:
        for s, wanted in target.items():
            found = flow.get(s)
            if found is None or tidy(found - wanted) != zero:
                raise OdescentError(
                    f"on the manifold the plant moves {s} by {found}, not by the target's {wanted}."
                )

    def check(c: Values) -> dict[str, Equation]:
        on_graph = substitute(c["psi"], {fibre: c[f"pi of {fibre}"]})
        equations = {"psi vanishes on the graph": Equation(on_graph)}
        for s in flow:
            on_claimed = substitute(loop.free[s], {fibre: c[f"pi of {fibre}"]})
            equations[f"the plant moves {s} so on the manifold"] = Equation(
                on_claimed, c[f"{s}' on psi = 0"]
            )
        return {**equations, "psi is the manifold given": Equation(loop.manifold, c["psi"])}

    claims = [
        Claim("psi", loop.manifold, r"\psi"),
        Claim(f"pi of {fibre}", on_graph[fibre], rf"\pi_{{{symbol_latex(fibre.name)}}}"),
    ]
    claims += [
        Claim(f"{s}' on psi = 0", e, rf"\dot{{{symbol_latex(str(s))}}}_{{\psi=0}}")
        for s, e in flow.items()
    ]
    return Step(
        "Plant and manifold",
        r"The manifold $\psi = 0$ is a graph over the blocks that the control does not move, and "
        r"on it the plant follows the target.",
        tuple(claims),
        check,
        reference="Astolfi and Ortega 2003",
    )


def _cascade_step(
    loop: PassivityImmersion,
    cascade: System,
    fibre: VectorSymbol,
    memory: VectorSymbol,
    port: Vector,
) -> Step:
    closed = loop.closed_loop(substitute(port, {VectorSymbol("psi"): loop.manifold}))
    drift = cascade.drift

    def check(c: Values) -> dict[str, Equation]:
        back = {memory: loop.manifold}
        moved = {s: closed[s] for s in drift if s != memory}
        moved[memory] = derivative(loop.manifold, closed)
        return {
            f"{s}' of the loop": Equation(rate, substitute(c[f"{s}'"], back))
            for s, rate in moved.items()
        }

    claims = tuple(Claim(f"{s}'", e, rf"\dot{{{symbol_latex(str(s))}}}") for s, e in drift.items())
    return Step(
        "Closed loop as a cascade",
        rf"In the blocks with $\psi$ in place of ${symbol_latex(fibre.name)}$ the loop is a "
        r"cascade, with $w$ connected as given, and "
        "integrating it needs none of the derivatives that the law has.",
        claims,
        check,
    )
