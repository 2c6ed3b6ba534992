"""Algorithms: bindings and tunings, names, consistency, the map written directly."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import sympy as sp
import textbook as tb
from programs import Machine

import odescent as od
from odescent.discretize.programs.bindings import chained
from odescent.dynamics.algebra.exact import is_zero
from odescent.dynamics.vector_fields.system import L, mu

x, v = od.blocks("x v")
a, c, h, K = od.parameters("a c h K")
f = od.Objective("f")
FIELDS = {"damp": {v: -c * v}, "kick": {v: -f.grad(x)}, "drift": {x: v}}
EULER = od.scheme("semi_implicit_euler", order=("v", "x"))


def damped(**options: Any) -> od.Algorithm:
    return od.Algorithm(od.System(FIELDS), EULER, h, **options)


def test_design_public_surface() -> None:
    """The code in DESIGN, word for word."""
    x, v = od.blocks("x v")
    f = od.Objective("f")
    c, h = od.parameters("c h")
    sys = od.System({"damp": {v: -c * v}, "kick": {v: -f.grad(x)}, "drift": {x: v}})
    scheme = od.scheme(
        "lie_trotter", [("damp", "exact"), ("kick", "explicit"), ("drift", "explicit")]
    )
    alg = od.Algorithm(sys, scheme, step=h, tuning={h: 1 / sp.sqrt(L)})
    assert [s.name for s in alg.parameters] == ["L", "c"]
    assert alg.bind(c=1, L=4).coefficients["beta"] == sp.exp(-sp.Rational(1, 2))
    assert (
        alg.init == {"v": od.dynamics.zero, "x": od.blocks("x0")}
        and alg.output == x
        and alg.calls == 1
    )
    assert "v_1 = " in str(alg) and "lie_trotter" in repr(alg)


def test_tunings_chain_and_bind_last() -> None:
    q = od.parameters("q")
    tuned = damped(tuning={c: 2 * q / h, h: q / sp.sqrt(mu), q: sp.sqrt(mu / L)})
    assert tuned.parameters == (L, mu)
    assert sp.simplify(tuned.coefficients["beta"] - (1 - 2 * sp.sqrt(mu / L))) == 0
    assert [s.name for s in tuned.program.parameters] == ["c", "h"]
    with pytest.raises(od.OdescentError, match="circle"):
        damped(tuning={c: h, h: 2 * c})
    assert chained({c: c, h: 2 * c}) == {h: 2 * c}


def test_where_is_part_of_the_system_and_may_chain() -> None:
    system = od.System({"flow": {x: -a * f.grad(x) - f.grad(x)}})
    made = od.Algorithm(system, od.scheme("explicit_euler"), h, where={a: K * h, K: 3})
    assert made.program.update_map()[x] == (x - (h + 3 * h**2) * f.grad(x)).canonical()
    assert made.consistent_with().drift[x] == -f.grad(x)
    with pytest.raises(od.OdescentError, match="bound by tuning="):
        od.Algorithm(system, od.scheme("explicit_euler"), h, where={h: 1})
    with pytest.raises(od.OdescentError, match="no parameter 'K'"):
        od.Algorithm(system, od.scheme("explicit_euler"), h, where={K: 1})
    with pytest.raises(od.OdescentError):  # 1/h has no limit
        od.Algorithm(system, od.scheme("explicit_euler"), h, where={a: 1 / h})


def test_unknown_and_misspelt_symbols() -> None:
    with pytest.raises(od.OdescentError, match="no parameter 'K': known: c, h"):
        damped(tuning={K: 1})
    with pytest.raises(
        od.OdescentError, match=r"assumptions differ; make it with parameters\('c'\)"
    ):
        damped(tuning={sp.Symbol("c"): 1})
    with pytest.raises(od.OdescentError, match="the name 'x' stands for two different symbols"):
        damped(tuning={h: od.parameters("x")})
    with pytest.raises(od.OdescentError, match="the name 'v' stands for two different symbols"):
        od.Algorithm(od.System(FIELDS), EULER, od.parameters("v"))


@pytest.mark.untyped
def test_the_step_is_a_symbol_or_its_value() -> None:
    assert od.Algorithm(od.System(FIELDS), EULER, 0.1).tuning == {h: sp.Rational(1, 10)}
    with pytest.raises(
        od.OdescentError, match="step of Algorithm must be a number or SymPy expression"
    ):
        od.Algorithm(od.System(FIELDS), EULER, "0.1")


def test_binding_by_name_and_symbol() -> None:
    ball = od.algorithm("heavy_ball")
    one, other = ball.bind(mu=1, L=10), ball.bind({mu: 1, L: sp.Integer(10)})
    assert one.parameters == () and one.coefficients == other.coefficients
    assert is_zero(one.coefficients["alpha"] - 4 / (1 + sp.sqrt(10)) ** 2)
    assert ball.bind(mu=0.5).bind(L=2.0).coefficients["beta"] == sp.simplify(
        tb.POLYAK["beta"].subs({mu: sp.Rational(1, 2), L: 2})
    )


def test_binding_again_forgets_the_first_value() -> None:
    """mu = 1 must not stay behind in the step's tuning."""
    ball = od.algorithm("heavy_ball")
    again, direct = ball.bind(mu=1, L=10).bind(mu=2), ball.bind(mu=2, L=10)
    assert again.coefficients == direct.coefficients
    stepped = od.algorithm("nesterov").bind(mu=1, L=10).bind(h=sp.Rational(1, 5))
    assert stepped.parameters == () and stepped.program.counter is None
    with pytest.raises(od.OdescentError, match="no parameter 'L'"):
        stepped.bind(L=3)  # the step no longer depends on it


BAD: list[tuple[dict[str, Any], str]] = [
    ({"mu": 0}, "mu must be more than 0, not 0"),
    ({"mu": -1.5}, "mu must be more than 0"),
    ({"L": float("nan")}, "L must be a finite number, not nan"),
    ({"L": float("inf")}, "L must be a finite number"),
    ({"L": "10"}, "L must be a finite number, not '10'"),
    ({"L": 1j}, "L must be a finite"),
    ({"L": sp.I}, "finite real number"),
    ({"mu": 2, "L": 1}, "L must be at least mu"),
    ({"nu": 1}, "no parameter 'nu': did you mean 'mu'"),
]


@pytest.mark.parametrize(("values", "message"), BAD)
def test_bad_values_get_a_sentence(values: dict[str, Any], message: str) -> None:
    with pytest.raises(od.OdescentError, match=message):
        od.algorithm("heavy_ball").bind(**values)


def test_bad_pairs_are_seen_across_two_bindings() -> None:
    with pytest.raises(od.OdescentError, match="L must be at least mu"):
        od.algorithm("nesterov").bind(mu=2).bind(L=1)


def test_real_parameters_may_be_negative() -> None:
    tilt = od.parameters("tilt", real=True)
    system = od.System({"a": {x: -tilt * f.grad(x)}})
    made = od.Algorithm(system, od.scheme("explicit_euler"), h)
    assert made.bind(tilt=-2, h=1).tuned.update_map()[x] == x + 2 * f.grad(x)


def test_floats_are_decimals() -> None:
    system = od.System(
        {"damp": {v: -0.1 * v}, "kick": {v: -f.grad(x)}, "drift": {x: 0.3 * v}}, output=x
    )
    made = od.Algorithm(
        system,
        od.scheme("strang", [("damp", "cayley"), ("kick", "explicit"), ("drift", "explicit")]),
        h,
    )
    assert made.coefficients is not None and not any(
        e.has(sp.Float) for e in made.coefficients.values()
    )
    assert sp.simplify(made.coefficients["beta"] - ((40 - h) / (40 + h)) ** 2) == 0


def test_roots_of_sums() -> None:
    rate = sp.sqrt(mu + sp.sqrt(L * mu)) + sp.sqrt(L + mu)
    made = od.Algorithm(
        od.System({"damp": {v: -rate * v}, "kick": {v: -f.grad(x)}, "drift": {x: v}}), EULER, h
    )
    assert is_zero(made.coefficients["beta"] - (1 - rate * h))
    assert made.equivalent(damped(tuning={c: rate}))


def test_one_block_zero_drift_and_a_time_that_nothing_reads() -> None:
    still = od.Algorithm(od.System({"a": {x: 0 * x}}), od.scheme("explicit_euler"), h)
    assert still.program.update_map() == {x: x} and still.calls == 0
    timed = od.System({"a": {x: -f.grad(x)}}, time=od.parameters("t"))
    assert od.Algorithm(timed, od.scheme("rk4"), h).program.counter is None
    t = timed.time
    cancels = od.System(
        {"a": {x: -t * f.grad(x)}, "b": {x: (t - 1) * f.grad(x)}}, time=t
    )  # the sum has no time in it
    split = od.Algorithm(
        cancels, od.scheme("lie_trotter", [("a", "explicit"), ("b", "explicit")]), h
    )
    assert (
        cancels.autonomous
        and split.program.counter is not None
        and split.consistent_with().drift[x] == -f.grad(x)
    )


@pytest.mark.parametrize(
    "steps",
    [
        (),
        (od.Let({x: x}),),
        (od.Flow((), "explicit", 0.5),),
        (od.Flow((), "explicit", save="s", commit=False),),
    ],
)
def test_every_field_is_committed_for_one_step(steps: Any) -> None:
    with pytest.raises(od.NotConsistent, match="does not add up"):
        od.Algorithm(od.System(FIELDS), od.Scheme(steps), h)


def test_fractions_that_add_up_pass() -> None:
    theta = od.parameters("theta")
    parts = [
        od.Flow("kick", "explicit", theta),
        od.Flow(("damp", "drift"), "exact"),
        od.Flow("kick", "explicit", 1 - theta),
    ]
    assert od.Algorithm(od.System(FIELDS), od.Scheme(parts), h).calls in {1, 2}
    with pytest.raises(od.NotConsistent):
        od.Algorithm(
            od.System(FIELDS), od.Scheme([*parts[:2], od.Flow("kick", "explicit", 1 + theta)]), h
        )


def test_methods_are_maps() -> None:
    nag = tb.nesterov()
    smooth = lambda p: p + np.sin(p)
    machine = Machine(nag.tuned, {"grad_f": smooth}, mu=1, L=4)
    beta, xs, y = 1 / 3, [np.array([0.8, -1.1])], np.array([0.8, -1.1])
    for state in machine.run(xs[0], 20):
        np.testing.assert_allclose(state["x"], xs[-1], rtol=1e-12)
        xs.append(y - smooth(y) / 4)
        y = xs[-1] + beta * (xs[-1] - xs[-2])
    with pytest.raises(od.OdescentError, match="is defined as a map, without a flow"):
        nag.consistent_with()


def test_replacing_keeps_the_rest() -> None:
    ball = od.algorithm("heavy_ball")
    renamed = ball.replace(name="mine")
    assert (renamed.name, renamed.tuning, renamed.scheme) == ("mine", ball.tuning, ball.scheme)
    with pytest.raises(ValueError, match="is not a valid name"):
        ball.replace(name="two words")


REFUSED: dict[str, tuple[Any, str]] = {
    "a scheme with options": (lambda s, e: od.Algorithm(s, "lie_trotter"), "needs its parts, as in od.scheme("),
    "no scheme": (lambda s, e: od.Algorithm(s, None), "scheme of Algorithm must be a Scheme or the name"),
    "no such scheme": (lambda s, e: od.Algorithm(s, "rk5"), "there is no scheme 'rk5'"),
    "a number": (lambda s, e: od.Algorithm(3, e), "system of Algorithm must be a System or the name"),
    "the step by name": (lambda s, e: od.Algorithm(s, e, "h"), "step of Algorithm must be"),
    "where": (lambda s, e: od.Algorithm(s, e, where="a"), "where of Algorithm must be a mapping"),
    "a name in tuning": (lambda s, e: od.Algorithm(s, e, tuning={"h": 1}), "entry of tuning of Algorithm must be"),
    "a text in tuning": (lambda s, e: od.Algorithm(s, e, tuning={od.parameters("h"): "1"}), "the value of h"),
    "two names": (lambda s, e: od.scheme("semi_implicit_euler", "v", "x"), "blocks are one list"),
    "a pair that is none": (lambda s, e: od.scheme("lie_trotter", ["damp"]), "does not take these options"),
    "an unknown argument": (lambda s, e: od.algorithm("sgd").replace(steps=3), "no argument of Algorithm called"),
    "half an order": (lambda s, e: od.algorithm("heavy_ball").modified_equation(1.5), "order"),
    "a parameter by name": (lambda s, e: s.limit({"q": 0}), "there is no parameter 'q'"),
    "an output by name": (lambda s, e: od.System(s.fields, output="x"), "output of System must be an expression"),
    "a text in a Flow": (lambda s, e: od.Flow("kick", "explicit", "1/2"), "the fraction of a substep"),
    "a number for a name": (lambda s, e: od.blocks(3), "names of blocks"),
}  # fmt: skip


@pytest.mark.untyped
@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_gets_a_sentence(case: str) -> None:
    ask, sentence = REFUSED[case]
    with pytest.raises(od.OdescentError, match=re.escape(sentence)) as refused:
        ask(od.system("heavy_ball"), od.scheme("explicit_euler"))
    assert str(refused.value)[-1] in ".?"


def test_names_stand_for_what_is_registered() -> None:
    made = od.Algorithm("heavy_ball", "rk4")
    assert made.program == od.Algorithm(od.system("heavy_ball"), od.scheme("rk4")).program
    system = od.system("heavy_ball")
    assert system.limit({"c": 0}).drift == system.limit({od.parameters("c"): 0}).drift


def test_a_clock_that_starts_at_a_singularity_is_refused() -> None:
    """3/t at t = k h is infinite in the first step; at (k + 3) h the momentum is k/(k + 3), as in textbooks."""
    t, k = od.parameters("t"), sp.Symbol("k")
    flow = od.System({"all": {x: v, v: -3 / t * v - f.grad(x)}}, output=x, time=t)
    for clock in (None, k * h, (k - 1) * h + h):
        with pytest.raises(od.OdescentError, match="infinite in the first step"):
            od.Algorithm(flow, EULER, h, clock=clock)
    method = od.Algorithm(flow, EULER, h, clock=(k + 3) * h)
    run = method.run(lambda p: (p**2).sum() / 2, np.array([1.0]), 6, h=0.5)
    position, velocity = 1.0, 0.0
    for step in range(6):
        velocity = step / (step + 3) * velocity - 0.5 * position
        position += 0.5 * velocity
    assert run.x[-1, 0] == pytest.approx(position, rel=1e-14)
