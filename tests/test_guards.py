"""Guarded substeps: choices and loops in schemes, as programs, in limits, as text and as data."""

import itertools
import json

import numpy as np
import pytest
import sympy as sp
from programs import Machine

import odescent as od
from odescent.discretize.programs.guards import Joined, guard_of
from odescent.discretize.programs.program import Choose, Loop
from odescent.discretize.proof.exact_data import exact_algorithm
from odescent.discretize.reading.exact_reading import algorithm_from
from odescent.dynamics import start, substitute, vanishes

x, y = od.blocks("x y")
f = od.Objective("f")
h, c = od.parameters("h c")
s, r, n = (sp.Symbol(name, real=True) for name in ("s", "r", "n"))
POINT = od.Block("x", init=start)


def scalar(name: str, begin: object = 1, role: str = "coefficient") -> od.Block:
    return od.Block(name, "scalar", role, sp.sympify(begin))


FLOW = od.System(
    {"flow": {x: -s * f.grad(x)}}, blocks=[POINT, scalar("s"), scalar("n", 0)], output=x
)
BACK = od.Let({x: od.at(x), s: s / 2})
FEWER = f.value(x) < f.value(od.at(x))
A = np.array([1.0, 10.0, 40.0])
ORACLES = {
    "grad_f": lambda p: A * p, "grad_f_2": lambda p, u: A * u, "value_f": lambda p: float(p @ (A * p)) / 2,
}  # fmt: skip


def chosen(
    condition: object = FEWER, accept: object = (od.Let({s: 2 * s}),), **more: object
) -> od.Algorithm:
    steps = (od.Flow("flow", "explicit"), od.Select(condition, accept, [BACK]))
    return od.Algorithm(FLOW, od.Scheme(steps, "chosen"), step=h, name="chosen", **more)


def searched(until: object, most: object = 40) -> od.Algorithm:
    steps = (
        od.Let({s: 2 * s}),
        od.Repeat(
            [od.Let({s: s / 2, x: od.at(x)}), od.Flow("flow", "explicit")], until, most, count=n
        ),
    )
    return od.Algorithm(FLOW, od.Scheme(steps, "searched"), step=h, name="searched")


ENOUGH = f.value(x) <= f.value(od.at(x)) - s * h * od.inner(f.grad(od.at(x)), f.grad(od.at(x))) / 2


# what a program means, against loops written by hand


def test_a_choice_is_an_if() -> None:
    p, step = np.array([1.0, -1.0, 0.5]), 1.0
    states = Machine(chosen().program, ORACLES, h=0.1).run(p, 60)
    for state in states[1:]:
        trial = p - 0.1 * step * A * p
        better = ORACLES["value_f"](trial) < ORACLES["value_f"](p)
        p, step = (trial, 2 * step) if better else (p, step / 2)
        np.testing.assert_allclose(state["x"], p, rtol=1e-13)
        assert state["s"] == step
    assert {b["s"] < a["s"] for a, b in itertools.pairwise(states)} == {True, False}


def test_a_loop_ends_with_the_first_iteration_that_its_guard_likes() -> None:
    p, step = np.array([1.0, -1.0, 0.5]), 1.0
    for state in Machine(searched(ENOUGH).program, ORACLES, h=1).run(p, 30)[1:]:
        g, times, step = A * p, 0, 2 * step
        while True:
            times, step = times + 1, step / 2
            trial = p - step * g
            if ORACLES["value_f"](trial) <= ORACLES["value_f"](p) - step * (g @ g) / 2:
                break
        p = trial
        np.testing.assert_allclose(state["x"], p, rtol=1e-13)
        assert (state["s"], state["n"]) == (step, times)


def test_three_outcomes_are_a_choice_in_a_choice() -> None:
    """A radius that grows, stays, or shrinks; nothing at a point that is kept is asked again."""
    gain = f.value(od.at(x)) - f.value(x)
    enough = s * h * od.inner(f.grad(od.at(x)), f.grad(od.at(x)))
    inner = od.Select(gain >= enough / 10, [], [BACK])
    outer = od.Select(gain >= enough / 2, [od.Let({s: 2 * s})], [inner])
    method = od.Algorithm(
        FLOW, od.Scheme((od.Flow("flow", "explicit"), outer)), step=h, name="three"
    )
    (choice,) = [i for i in method.program.instructions if isinstance(i, Choose)]
    assert len(method.program.guarded) == 2 and not [
        i for i in method.program.instructions if i not in (choice,) and hasattr(i, "oracle")
    ]
    seen, p, step = set(), np.array([1.0, -1.0, 0.5]), 1.0
    for state in Machine(method.program, ORACLES, h=0.02).run(p, 80)[1:]:
        g, trial = A * p, p - 0.02 * step * A * p
        ratio = (ORACLES["value_f"](p) - ORACLES["value_f"](trial)) / (0.02 * step * (g @ g))
        outcome = 2 if ratio >= 0.5 else 1 if ratio >= 0.1 else 0
        seen.add(outcome)
        p, step = (trial, step * (2 if outcome == 2 else 1)) if outcome else (p, step / 2)
        np.testing.assert_allclose(state["x"], p, rtol=1e-12)
        assert state["s"] == step
    assert seen == {0, 1, 2}
    plain = [method.branch(*d) for d in ((True,), (False, True), (False, False))]
    assert [a.program.next[s] for a in plain] != [] and all(not a.program.guarded for a in plain)
    grown, same, back = (a.program.inlined().next for a in plain)
    assert vanishes(grown[s] - 2 * s) and vanishes(same[s] - s) and vanishes(back[s] - s / 2)
    assert back[x] == x and same[x] == grown[x] != x


def test_not_a_number_is_rejected() -> None:
    """A comparison with what is not a number fails, in a choice and in its opposite."""
    bad = dict(ORACLES) | {"value_f": lambda p: float("nan") if p[0] != 1 else 1.0}
    for condition in (FEWER, sp.Not(f.value(x) > f.value(od.at(x)))):
        state = Machine(chosen(condition).program, bad, h=0.1).run(np.array([1.0, 1, 1]), 3)[-1]
        assert state["s"] == 1 / 8 and state["x"][0] == 1


def test_stages_of_two_times_stand_in_one_expression() -> None:
    """x - at(x, half) after two half steps, and the operator of a step at the start."""
    steps = (
        od.Flow("flow", "explicit", sp.Rational(1, 2), save="half"),
        od.Flow("flow", "explicit", sp.Rational(1, 2)),
        od.Let({y: x * 2 - od.at(x, "half") - od.at(x)}),
    )
    system = od.System(
        {"flow": {x: -f.grad(x)}}, blocks=[POINT, od.Block("y", role="memory")], output=x
    )
    state = Machine(od.Algorithm(system, od.Scheme(steps), step=h).program, ORACLES, h=0.1).run(
        np.ones(3), 1
    )[1]
    half = 1 - 0.05 * A
    np.testing.assert_allclose(state["y"], 2 * half**2 - half - 1, rtol=1e-13)
    before = od.Integrator("linearly_implicit", operator=-f.hessian(od.at(x)))
    w = od.Scheme(
        (od.Flow("flow", "explicit", sp.Rational(1, 2)), od.Flow("flow", before, sp.Rational(1, 2)))
    )
    assert "hess f(x)" in str(od.Algorithm(od.system("gradient_flow"), od.Scheme(
        [od.Flow((), s_.by, s_.fraction) for s_ in w.steps]), step=h))  # fmt: skip


# limits, modified equations, branches


def test_limits_hold_what_guards_set() -> None:
    for method in (chosen(), searched(ENOUGH)):
        assert vanishes(method.consistent_with().drift[x] + s * f.grad(x))
        found = method.modified_equation(1).terms[1]
        assert vanishes(found[x] + f.hess(x, f.grad(x)) * s**2 / 2)
    accept = chosen().branch(True).bind({h: 1})
    assert accept.scheme.guarded is False and accept.name == "chosen"


def test_an_accepted_way_that_does_not_follow_the_system_is_refused() -> None:
    with pytest.raises(od.NotConsistent, match="does not add up"):
        chosen(accept=[od.Flow("flow", "explicit")])
    with pytest.raises(od.NotConsistent, match="does not add up"):
        od.Algorithm(FLOW, od.Scheme([od.Select(FEWER, [], [od.Flow("flow", "explicit")])]), step=h)


def test_a_loop_that_moves_on_has_no_expansion() -> None:
    """Steps until the gradient is small: how many there are is no function of h."""
    small = od.inner(f.grad(x), f.grad(x)) < sp.Rational(1, 100)
    method = od.Algorithm(
        FLOW, od.Scheme([od.Repeat([od.Flow("flow", "explicit")], small, 99)]), step=h
    )
    for refused in (method.consistent_with, method.modified_equation, method.derivation):
        with pytest.raises(od.NotCarried, match="moves x in every iteration"):
            refused()


def test_a_loop_of_a_known_length_is_its_iterations() -> None:
    """Three thirds of a step: equivalent to the same written out, with the same state space and limit."""
    third = od.Flow("descent", "explicit", sp.Rational(1, 3))
    flow = od.system("gradient_flow")
    looped = od.Algorithm(flow, od.Scheme([od.Repeat([third], max_steps=3)]), step=h)
    written = od.Algorithm(flow, od.Scheme([third] * 3), step=h)
    assert looped.program.guarded and looped.equivalent(written)
    assert looped.state_space().A == written.state_space().A
    assert "(where each guard accepts and s is held)" in str(
        od.algorithm("bold_driver").modified_equation(1)
    )
    assert str(looped.modified_equation(2)) == str(written.modified_equation(2))
    assert not looped.equivalent(od.algorithm("gradient_descent"), {h: c})
    with pytest.raises(od.NotConsistent):
        od.Algorithm(flow, od.Scheme([od.Repeat([third], max_steps=2)]), step=h)


def test_what_needs_one_way_says_so() -> None:
    method = chosen()
    sentence = (
        r"by the guard .*f.*; this is of one way: take a branch, as in algorithm.branch\(True\)"
    )
    with pytest.raises(od.NotCarried, match=sentence):
        method.program.update_map()
    with pytest.raises(od.NotCarried, match="repeats substeps until f"):
        searched(ENOUGH).program.inlined()
    with pytest.raises(od.OdescentError):
        method.state_space()
    with pytest.raises(od.OdescentError, match="needs the decision of a guard"):
        method.branch()


def test_a_branch_keeps_the_values_that_it_needs() -> None:
    """A parameter of the guard alone is no parameter of a branch."""
    method = chosen(
        f.value(x) <= c * f.value(od.at(x)), tuning={c: sp.Rational(1, 2), h: sp.Rational(1, 10)}
    )
    assert method.branch(True).tuning == {h: sp.Rational(1, 10)} and not method.branch(False).tuning


# as text and as data


SOURCE = """
system text
blocks x, coefficient scalar s, coefficient scalar n
objective f
parameters c > 0
field flow: x' = -s*grad f(x)
output x
init x = x0, s = 1
scheme set s = 2*s,
    repeat 40 { set s = s/2 and x = at(x, start), flow: explicit save trial }
        until f(x) <= f(at(x, start)) - c*s and s > 0 or s < 1/100 counting n save done,
    if f(x) < f(at(x, done)) + c { set s = 2*s } else { set x = at(x, start), set s = s/2 } save end
"""


def test_the_text_form_is_the_scheme() -> None:
    method = od.parse_algorithm(SOURCE)
    _, loop, choice = method.scheme.steps
    assert isinstance(loop, od.Repeat) and isinstance(choice, od.Select)
    assert (loop.max_steps, loop.count, loop.save, loop.fixed_point) == (40, "n", "done", False)
    assert choice.save == "end" and choice.condition.strict and len(choice.reject) == 2
    assert isinstance(loop.until, Joined) and not loop.until.every
    assert {str(p) for p in loop.until.parts} == {
        "(f(x) <= f(at(x, start)) - s*c) and (s > 0)", "s < 1/100",
    }  # fmt: skip
    same = sp.Or(sp.And(f.value(x) <= f.value(od.at(x)) - c * s, s > 0), s < sp.Rational(1, 100))
    assert set(loop.until.comparisons) == set(guard_of(same, "it").comparisons)
    settling = od.parse_scheme("repeat 3 { kick: explicit } settling").steps[0]
    assert settling.fixed_point and settling.until is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("if f(x) { set s = 1 }", "< or <= or > or >="),
        ("if 1 < 2 { set s = 1 }", "always true"),
        ("if f(x) < 1 { }", "both of its lists are empty"),
        ("repeat 3 { }", "its list is empty"),
        ("repeat 3 { set s = 1 } until at(x, start) < 1", "scalar, not a vector"),
        ("repeat 5/2 { set s = 1 }", "positive whole number"),
        ("repeat 3 { set s = 1 } counting q", "no block 'q'"),
        ("if f(at(x, mid)) < 1 { set s = 1 }", "not saved before it"),
        ("if f(at(q, start)) < 1 { set s = 1 }", "no block 'q'"),
        ("if f(x) < 1 { set s = 1 } settling", "belongs to a loop"),
        ("repeat 3 { set s = 1 } save a save a", "twice"),
        ("repeat 3 { flow: explicit save a } save start", "the start of the step"),
    ],
)
def test_bad_text_gets_a_sentence(text: str, said: str) -> None:
    with pytest.raises(od.ParseError, match=said):
        od.parse_algorithm(SOURCE.partition("scheme")[0] + "scheme " + text)


def test_a_system_reads_no_stages() -> None:
    with pytest.raises(od.ParseError, match="read by the substeps of a scheme"):
        od.parse_system("blocks x objective f field a: x' = -at(x, start)")
    held = od.System({"a": {x: -f.grad(x) * od.at(s)}})
    with pytest.raises(od.OdescentError, match="only substeps of a scheme read blocks at stages"):
        od.Algorithm(held, "explicit_euler")


@pytest.mark.parametrize(
    "method", [od.parse_algorithm(SOURCE), chosen(), searched(ENOUGH)], ids=str
)
def test_the_data_are_the_algorithm(method: od.Algorithm) -> None:
    data = json.loads(json.dumps(exact_algorithm(method)))
    again = algorithm_from(data)
    assert json.dumps(exact_algorithm(again)) == json.dumps(data)
    assert str(again) == str(method) and again.scheme == method.scheme
    for spoiled in ({"left": "1"}, {"parts": [1], "every": True}, {}):
        worse = json.loads(json.dumps(data))
        for step in worse["scheme"]["steps"]:
            for key in {"until", "select"} & step.keys():
                step[key] = spoiled
        with pytest.raises(od.OdescentError):
            algorithm_from(worse)


# bad input


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: od.Select(1, [BACK]), "relation of scalars"),
        (lambda: od.Select(sp.Eq(s, 1), [BACK]), "hardly ever equal"),
        (lambda: od.Select(s <= s, [BACK]), "always true"),
        (lambda: od.Select(True, [BACK]), "always true"),
        (lambda: od.Select(s < 1), "both of its lists are empty"),
        (lambda: od.Select(s < 1, BACK), "list of substeps"),
        (lambda: od.Repeat([], s < 1, 3), "its list is empty"),
        (lambda: od.Repeat([BACK], s < 1), "needs max_steps="),
        (lambda: od.Repeat([BACK], s < 1, 0), "positive whole number"),
        (lambda: od.Repeat([BACK], s < 1, 2.5), "positive whole number"),
        (lambda: od.Repeat([BACK], s < 1, 3, count=2), "scalar block"),
        (lambda: od.at(f.grad(x)), "symbol of a block"),
        (lambda: od.at(od.at(x)), "symbol of a block"),
        (lambda: od.at(x, ""), "name of a stage"),
        (lambda: od.Scheme([od.Select(f.value(od.at(x, "no")) < 1, [BACK])]), "'no', which is not saved"),
        (lambda: od.Scheme([od.Repeat([BACK], f.value(od.at(x, "no")) < 1, 3)]), "not saved"),
        (
            lambda: od.Scheme([od.Repeat([od.Let({s: 1}, save="in")], s < 1, 3), od.Let({s: s}, read={s: "in"})]),
            "'in', which is not saved",
        ),
        (
            lambda: od.Scheme([od.Let({s: 1}, save="a"), od.Select(s < 1, [od.Let({s: 2}, save="a")])]),
            "a stage outside of this list",
        ),
        (lambda: od.Scheme([od.Select(s < 1, [s])]), "substep 1.1 of the scheme is s"),
        (lambda: od.Algorithm(FLOW, od.Scheme([od.Repeat([BACK], s < 1, 3, count="x")])), "must be a scalar"),
        (lambda: od.Algorithm(FLOW, od.Scheme([od.Repeat([BACK], s < 1, 3, count="q")])), "no block 'q'"),
        (lambda: od.Algorithm(FLOW, od.Scheme([od.Repeat([od.Let({n: 1})], s < 1, 3, count=n)])), "cannot set it"),
        (lambda: od.Algorithm(FLOW, od.Scheme([od.Select(s < 1, [od.Flow("no", "explicit")])])), "substep 1.1"),
    ],
)  # fmt: skip
def test_bad_input_gets_a_sentence(made: object, said: str) -> None:
    with pytest.raises(od.OdescentError, match=said):
        made()


def test_a_bound_that_is_a_parameter_is_checked_when_it_is_given() -> None:
    N = od.parameters("N")
    method = searched(ENOUGH, N)
    assert method.bind(N=7).tuned.guarded[0].limit == 7
    for bad in (2.5, sp.Rational(1, 2)):
        with pytest.raises(
            od.OdescentError, match="max_steps of a Repeat must be a positive whole"
        ):
            assert method.bind(N=bad).tuned


def test_noise_is_drawn_before_a_choice_and_not_in_a_loop() -> None:
    noisy = od.System({"flow": od.Field({x: -f.grad(x)}, {x: od.Diffusion(c)})}, output=x)
    inside = od.Scheme([od.Select(f.value(x) < 1, [od.Flow("flow", "explicit")], [])])
    method = od.Algorithm(noisy, inside, step=h)
    kinds = [type(i).__name__ for i in method.program.instructions]
    assert kinds.index("Draw") < kinds.index("Choose") and len(method.program.draws) == 1
    with pytest.raises(od.OdescentError, match="loop has noise in it"):
        od.Algorithm(
            noisy, od.Scheme([od.Repeat([od.Flow("flow", "explicit")], max_steps=2)]), step=h
        )


def test_unrelated_names_stay_apart() -> None:
    """Blocks, parameters and stages with the names that loops and choices give themselves."""
    times, x_1 = od.parameters("times"), od.blocks("x_1")
    system = od.System(
        {"flow": {x: -times * f.grad(x)}, "more": {x_1: -x_1}},
        blocks=[POINT, od.Block("x_1", init=start)],
        output=x,
    )
    loop = od.Repeat(
        [od.Let({x: od.at(x)}), od.Flow("flow", "explicit", save="x_2")], f.value(x) < 1, 9
    )
    method = od.Algorithm(system, od.Scheme([loop, od.Flow("more", "explicit")]), step=h)
    names = [t.name for t in method.program.defined] + [b.name for b in method.program.blocks]
    assert len(set(names)) == len(names) and "times" not in names
    (made,) = method.program.guarded
    assert isinstance(made, Loop) and substitute(made.body.values[0], {}) in made.body.values
