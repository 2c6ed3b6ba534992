"""From substeps to instructions: stages, times, memories, noise, and which oracle calls are made again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy as sp
from programs import Machine
from random_programs import KINDS, compared

import odescent as od
from odescent.discretize.programs.program import Assign, CallOracle, Draw, Program
from odescent.discretize.programs.reuse import reuse_across_steps
from odescent.discretize.step.compile import COUNTER, compile_scheme
from odescent.dynamics.algebra.oracles import Oracle
from odescent.dynamics.algebra.vectors import zero
from odescent.dynamics.vector_fields.block import start
from odescent.dynamics.vector_fields.system import Diffusion

x, v, w, y = od.blocks("x v w y")
gam = od.blocks("gam", kind="scalar")
c, h, t = od.parameters("c h t")
f, e = od.Objective("f"), od.Objective("e")
E = od.Integrator("explicit")
DAMPED = {"damp": {v: -c * v}, "kick": {v: -f.grad(x)}, "drift": {x: v}}
ORACLES = {
    "grad_f": lambda p: p + np.sin(p),
    "grad_e": np.tanh,
    "operator_F": lambda p: p - np.cos(p),
    "value_f": lambda p: float(np.sum(p**2 / 2 - np.cos(p))),
}
BEGIN = np.array([0.8, -1.1])


def flow(*fields: str, **options: Any) -> od.Flow:
    return od.Flow(fields, options.pop("by", E), **options)


def compiled(fields: Any, *steps: Any, **options: Any) -> od.Algorithm:
    return od.Algorithm(od.System(fields, output=x, **options), od.Scheme(steps), h)


def test_a_point_is_asked_once_in_a_step() -> None:
    """The same point under two names, and one that is the same only after cancelling."""
    same = compiled(
        {"a": {x: -f.grad(x)}, "b": {v: f.grad(x)}},
        flow("a", save="s", commit=False),
        flow("b"),
        flow("a"),
    )
    assert same.calls == 1
    there_and_back = compiled(
        {"a": {x: v}, "b": {x: -v, v: -f.grad(x)}},
        flow("a"),
        flow("b", on=("x",)),
        flow("b", on=("v",), read={"x": "start"}),
    )
    assert there_and_back.calls == 1 and there_and_back.program.update_map()[x] == x
    two = compiled({"a": {x: -f.grad(x) - e.grad(x)}}, flow())
    assert [call.oracle.of for call in two.program.calls] == ["e", "f"]


def test_a_call_is_kept_for_the_next_step_only_if_it_is_the_next_one() -> None:
    kick_drift_kick = od.scheme("strang", [("kick", "explicit"), ("drift", "explicit")])
    verlet = od.Algorithm(od.System({"kick": {v: -f.grad(x)}, "drift": {x: v}}), kick_drift_kick, h)
    assert (verlet.calls, len(verlet.own_program.calls)) == (1, 2)
    assert [b.name for b in verlet.program.blocks] == ["v", "x", "g_kept"]
    kept, twice = (
        Machine(p, ORACLES, h=sp.Rational(1, 5)) for p in (verlet.program, verlet.own_program)
    )
    for a, b in zip(kept.run(BEGIN, 40), twice.run(BEGIN, 40), strict=True):
        np.testing.assert_allclose(a["x"], b["x"], rtol=1e-13)
        np.testing.assert_allclose(a["g_kept"], ORACLES["grad_f"](a["x"]), rtol=1e-13)
    drift_kick_drift = od.scheme("strang", [("drift", "explicit"), ("kick", "explicit")])
    assert (
        "g_kept" not in od.Algorithm(verlet.system, drift_kick_drift, h).init
    )  # one call in the middle: nothing to keep


def test_a_kept_call_knows_the_step_number() -> None:
    """Points that depend on the step number: kept if the next step's first point is this step's last."""
    half = sp.Rational(1, 2)
    fields = {"kick": {v: -f.grad(w)}, "drift": {w: -w / (1 + t)}, "slide": {x: v}}
    steps = (flow("kick", fraction=half), flow("drift"), flow("slide"), flow("kick", fraction=half))
    kept = compiled(fields, *steps, time=t, init={w: od.blocks("x0")})
    assert kept.calls == 1
    look_at = (
        flow("drift", save="ahead", commit=False),
        flow("kick", read={"w": "ahead"}, fraction=half),
        flow("drift"),
    )
    ahead = (
        flow("slide"),
        flow("drift", time=sp.S.One, save="on", commit=False),
        flow("kick", read={"w": "on"}, fraction=half),
    )
    shifted = compiled(fields, *look_at, *ahead, time=t, init={w: od.blocks("x0")})
    assert (
        shifted.calls == 2
    )  # w (1 - h/(1 + t)) is where the next step begins only if h stays as it is


def test_what_is_kept_is_the_same_call() -> None:
    """A call that is like the first one but for one thing that it is asked with is made again."""
    half = sp.Rational(1, 2)

    def calls(first: od.Vector, last: od.Vector, **options: Any) -> tuple[int, int]:
        fields = {"first": {v: -first}, "drift": {x: v}, "last": {v: -last}}
        steps = (flow("first", fraction=half), flow("drift"), flow("last", fraction=half))
        made = compile_scheme(
            od.System(fields, output=x, **options), od.Scheme(steps), h, COUNTER * h, {}
        )
        return len(made.calls), len(reuse_across_steps(made).calls)

    here = f.grad(x)
    assert calls(here, here) == (2, 1) and calls(here, 3 * here) == (2, 1)
    others = [
        f.hess(x, v),
        f.hess(x, x),
        e.grad(x),
        f.operator(x),
        f.prox(x, c),
        od.Map("f")(x),
        f.third(x, v, x),
    ]
    for other in others:
        assert calls(here, other) == calls(other, here) == (2, 2), other
    for changing in (od.Map("f")(x, t), f.grad(x + t * v), f.grad(x + c * v), f.grad((1 + h) * x)):
        assert calls(changing, changing, time=t) == (2, 2), changing
    assert calls(f.grad(x + t * v), f.grad(x + (t + h) * v), time=t) == (2, 2)


def test_names_of_the_scheme_are_taken() -> None:
    """A fraction called g and a momentum called g_1 are not the gradients of those names; k is the step number."""
    g, g_1 = od.parameters("g g_1")
    steps = (
        flow("kick", fraction=g),
        flow("drift"),
        flow("kick", fraction=1 - g),
        od.Let({w: g_1 * w}),
    )
    fields = {"kick": {v: -f.grad(x)}, "drift": {x: v}}
    made = compiled(fields, *steps, blocks=[od.Block("w", "vector", "memory")])
    assert {p.name for p in made.parameters} == {"g", "g_1", "h"}
    targets = [i.target.name for i in made.own_program.instructions]
    assert len({*targets, "g", "g_1"}) == len(targets) + 2
    k = od.parameters("k")
    with pytest.raises(od.OdescentError, match="'k' stands for two different symbols"):
        compiled({"flow": {x: -k * f.grad(x) / (1 + t)}}, flow(), time=t)
    assert compiled({"flow": {x: -k * f.grad(x)}}, flow()).parameters == (h, k)


def test_a_draw_is_not_known_a_step_ahead() -> None:
    """x+ = x - grad f(x + xi) with a second call at x+ + xi: the next step draws another xi."""
    xi, g, again = od.blocks("xi g again")
    program = Program(
        (od.Block("x", init=start),),
        (
            Draw(xi, x, "W"),
            CallOracle(g, Oracle("grad", "f"), x + xi),
            CallOracle(again, Oracle("grad", "f"), x - g + xi),
        ),
        {x: x - g},
    )
    assert reuse_across_steps(program) is program
    quiet = program.bind({xi: zero})
    assert len(reuse_across_steps(quiet).calls) == 1


@pytest.mark.parametrize("kinds", KINDS, ids=" and ".join)
@pytest.mark.parametrize("part", range(4))
def test_random_programs_are_their_schemes(part: int, kinds: tuple[str, ...]) -> None:
    """The scheme as written, its program, and the program that keeps a call agree exactly, whatever is in them."""
    outcomes = [compared(seed, *kinds) for seed in range(40 * part, 40 * part + 40)]
    assert not [wrong for _, wrong in outcomes if wrong]
    assert {"kept", "several calls"} <= {what for what, _ in outcomes}


def test_a_step_whose_expansion_has_no_end_is_compiled() -> None:
    """Cubic fields one after the other: expanded, a point would have 3^12 factors; its names tell it apart."""
    assert compared(491) == ("kept", "")
    x, v = od.blocks("x v")
    f = od.Objective("f")
    turn = {x: od.inner(v, x) * v - f.grad(x), v: od.inner(x, f.grad(x)) * x}
    system = od.System({"turn": turn}, output=x, name="turning")
    made = od.Algorithm(system, od.Scheme([od.Flow("turn", "explicit", sp.Rational(1, 12))] * 12))
    assert made.calls == 12
    assert made.equivalent(made).verdict == "proved"
    assert made.equivalent(od.algorithm("heavy_ball")).verdict == "refuted"
    for written_out in (made.derivation, lambda: made.modified_equation(2)):
        with pytest.raises(od.OdescentError, match="more than"):
            written_out()


def test_registered_programs_make_the_same_steps_with_a_call_kept() -> None:
    """Every method that keeps a call, on numbers, with the call made again."""
    checked = []
    for name in od.algorithms():
        algorithm = od.algorithm(name)
        kept, own = algorithm.program, algorithm.sized_program
        if kept is own or kept.guarded:  # those with guards are run in tests/test_guards.py
            continue
        checked.append(name)
        assert len(kept.calls) == len(own.calls) - 1
        draws = np.random.default_rng(3)
        values = {p.name: sp.Rational(1, 3 + i) for i, p in enumerate(own.parameters)}
        machines = [Machine(p, ORACLES, **values) for p in (kept, own)]
        states = [m.init(BEGIN) for m in machines]
        for k in range(20):
            drawn = {d.target.name: draws.standard_normal(BEGIN.shape) for d in own.draws}
            states = [m.step(one, k, drawn) for m, one in zip(machines, states, strict=True)]
            for (
                b
            ) in algorithm.bound.blocks:  # not the memories that nothing reads where a call is kept
                np.testing.assert_allclose(states[0][b.name], states[1][b.name], rtol=1e-12)
    assert {"baoab", "dissipative_leapfrog", "obabo"} <= set(checked)


def test_times_are_those_of_the_stages() -> None:
    algorithm = compiled(
        {"a": {x: sp.cos(t) * x, v: -v}}, flow(by=od.scheme("rk4").steps[0].by), time=t
    )
    found = {
        a
        for i in algorithm.program.instructions
        for s in i.value.terms.values()
        for a in s.atoms(sp.cos)
    }
    step = sp.Symbol("k", integer=True, nonnegative=True) * h
    at = {sp.expand(a.args[0] - step) for a in found | {sp.cos(step)}}
    assert at <= {0, h / 2, h} and h / 2 in at and h in at
    late = compiled({"a": {x: -x / (1 + t)}}, flow(time=sp.S.One), time=t)
    assert late.program.update_map()[x] == (x * (1 - h / (1 + step + h))).canonical()


def test_stages_reads_and_uncommitted_substeps() -> None:
    look = flow("drift", save="ahead", commit=False)
    made = compiled(DAMPED, look, flow("damp"), flow("kick", read={x: "ahead"}), flow("drift"))
    new = (1 - c * h) * v - h * f.grad(x + h * v)
    assert made.program.update_map() == {v: new.canonical(), x: (x + h * new).canonical()}
    everything = compiled(DAMPED, flow(save="half", commit=False), flow(read={"*": "half"}))
    there = {x: x + h * v, v: (1 - c * h) * v - h * f.grad(x)}
    expected = v - h * c * there[v] - h * f.grad(there[x])
    assert everything.program.update_map()[v] == expected.canonical()
    frozen_start = compiled(DAMPED, flow("damp"), flow("kick"), flow("drift", read={"v": "start"}))
    assert frozen_start.program.update_map()[x] == x + h * v


def test_memories_and_recurrences() -> None:
    """A memory set by a Let, and t+ = (1 + sqrt(1 + 4 t^2))/2 with the momentum (t - 1)/t+ (FISTA)."""
    tk, new = od.blocks("tk new", kind="scalar")
    grow = (1 + sp.sqrt(1 + 4 * tk**2)) / 2
    updates = {
        x: y - h * f.grad(y),
        y: (1 + (tk - 1) / new) * (y - h * f.grad(y)) - (tk - 1) / new * x,
        tk: new,
    }
    made = od.method(updates, before={new: grow}, output=x, init={tk: sp.Integer(1)})
    from textbook import fista_loop

    machine = Machine(made.program, ORACLES, h=sp.Rational(1, 4))
    ours = [state["x"] for state in machine.run(BEGIN, 25)]
    for a, b in zip(ours, fista_loop(ORACLES["grad_f"], 0.25, BEGIN, 25), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
    swap = od.method({x: v, v: x}, output=x)
    assert swap.program.update_map() == {x: v, v: x}  # simultaneous


def test_coefficient_blocks_are_held_for_the_limit() -> None:
    rate = od.Block("tk", kind="scalar", role="coefficient", init=sp.Integer(1))
    tk = rate.symbol
    system = od.System(
        {"damp": {v: -3 / tk * v}, "kick": {v: -f.grad(x)}, "drift": {x: v}}, blocks=[rate]
    )
    steps = (od.Let({tk: tk + h}), flow("damp"), flow("kick"), flow("drift"))
    made = od.Algorithm(system, od.Scheme(steps), h)
    assert made.program.update_map()[tk] == tk + h
    modified = made.modified_equation(1)  # where they are states with equations of their own
    assert modified.terms[0][tk] == 1 and modified.terms[1][tk] == 0
    with pytest.raises(od.NotConsistent):
        od.Algorithm(system, od.Scheme(steps[:-1]), h)


def test_a_call_at_a_point_that_is_infinite_in_the_first_step_is_refused() -> None:
    t = sp.Symbol("t", positive=True)
    ahead = od.System({"kick": {x: -f.grad(x + v / t)}, "drift": {v: -v}}, time=t, output=x)
    with pytest.raises(
        od.OdescentError, match=r"where the clock k\*h begins with 0; .*\(k \+ 1\) \* h"
    ):
        od.Algorithm(ahead, od.scheme("explicit_euler"), h)
    kept = od.System({"kick": {x: -(t / (1 + t)) * f.grad(x)}}, time=t, output=x)
    od.Algorithm(kept, od.scheme("explicit_euler"), h)


def test_noise() -> None:
    field = od.Field({v: -v}, {v: Diffusion(sp.sqrt(2) * c)})
    thermal = od.System({"bath": field, "drift": {x: v}}, output=x)
    made = od.Algorithm(thermal, od.Scheme((flow("bath"), flow("drift"))), h)
    (draw,) = made.program.draws
    assert (draw.like, draw.process) == (v, "W")
    assert made.program.update_map()[v] == ((1 - h) * v).canonical()
    noisy = next(
        i.value
        for i in made.program.instructions
        if isinstance(i, Assign) and draw.target in i.value.terms
    )
    assert sp.simplify(noisy.terms[draw.target] - c * sp.sqrt(2 * h)) == 0
    halves = od.Algorithm(
        thermal,
        od.Scheme((flow("bath", fraction=0.5), flow("drift"), flow("bath", fraction=0.5))),
        h,
    )
    assigned = {i.target: i.value for i in halves.program.instructions if isinstance(i, Assign)}
    weights = [
        e.terms[d.target]
        for d in halves.program.draws
        for e in assigned.values()
        if d.target in e.terms
    ]
    assert len(weights) == 2 and all(
        sp.simplify(weight - c * sp.sqrt(h)) == 0 for weight in weights
    )
    for fractions in ((sp.Rational(1, 2),), (1, 1)):
        with pytest.raises(od.NotConsistent):
            od.Algorithm(
                thermal,
                od.Scheme((*(flow("bath", fraction=s) for s in fractions), flow("drift"))),
                h,
            )
    pure = od.System({"noise": od.Field({}, {x: Diffusion(c)}), "drift": {x: -f.grad(x)}})
    with pytest.raises(od.NotConsistent, match="noise of field 'noise' on x by 0 of a step"):
        od.Algorithm(pure, od.Scheme((flow("drift"),)), h)
    with pytest.raises(od.OdescentError, match="noise on v needs the integrator explicit"):
        heun = od.scheme("heun").steps[0].by
        od.Algorithm(thermal, od.Scheme((flow("bath", by=heun), flow("drift"))), h)
    strat = od.System({"a": od.Field({x: -x}, {x: Diffusion(x)})}, calculus="stratonovich")
    with pytest.raises(od.OdescentError, match="Ito"):
        od.Algorithm(strat, od.Scheme((flow(),)), h)


def test_one_process_has_one_increment() -> None:
    both = od.Field({}, {x: Diffusion(sp.S.One), v: Diffusion(c)})
    shared = od.Algorithm(od.System({"a": both}, output=x), od.Scheme((flow(),)), h)
    assert len(shared.program.draws) == 1
    apart = od.Field({}, {x: Diffusion(sp.S.One, "W1"), v: Diffusion(c, "W2")})
    assert (
        len(od.Algorithm(od.System({"a": apart}, output=x), od.Scheme((flow(),)), h).program.draws)
        == 2
    )
    two = {
        "a": od.Field({x: -x}, {x: Diffusion(sp.S.One, "W1")}),
        "b": od.Field({}, {x: Diffusion(c, "W2")}),
    }
    made = od.Algorithm(od.System(two, output=x), od.Scheme((flow(),)), h)
    assert len(made.program.draws) == 2  # neither field's noise replaces the other's
    scalar = od.System({"a": od.Field({gam: -gam}, {gam: Diffusion(c)}), "b": {x: -x}}, output=x)
    (draw,) = od.Algorithm(scalar, od.Scheme((flow("a"), flow("b"))), h).program.draws
    assert isinstance(draw.target, sp.Symbol)


def test_unread_look_ahead_and_odd_names() -> None:
    """Fresh names avoid blocks, parameters, outputs and what only the tuning mentions."""
    g, xi, k = od.blocks("g"), od.parameters("xi"), od.parameters("k")
    made = od.Algorithm(
        od.System({"a": od.Field({g: -k * f.grad(g)}, {g: Diffusion(xi)})}), od.scheme("explicit_euler"), h,
        tuning={k: 1 / od.parameters("g_1")},
    )  # fmt: skip
    names = [i.target.name for i in made.program.instructions]
    assert len(set(names)) == len(names) and not {"g", "k", "xi", "g_1"} & set(names)
    idle = compiled(DAMPED, flow(save="s", commit=False), flow("damp"), flow("kick"), flow("drift"))
    assert len(idle.program.instructions) == 4  # the look-ahead that nothing reads is gone
    assert sum(isinstance(i, CallOracle) for i in idle.program.instructions) == 1
    z, f_ = od.blocks("z"), od.parameters("f")
    fine = od.Algorithm(od.System({"z": {z: -f_ * f.grad(z)}}), od.scheme("rk4"), h)
    assert fine.calls == 4


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (od.Flow(("kik",), E), "substep 1 .*no field 'kik': did you mean 'kick'"),
        (od.Flow((), E, on=("xx",)), "no block 'xx'"),
        (od.Flow((), E, read={"vv": "start"}), "no block 'vv'"),
        (od.Let({w: x}), "assigns 'w', which is not a block"),
    ],
)
def test_refusals_name_the_substep(step: Any, message: str) -> None:
    with pytest.raises(od.OdescentError, match=message):
        compiled(DAMPED, step)
