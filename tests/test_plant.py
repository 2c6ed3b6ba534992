"""Passivity and immersion of plants of one's own."""

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp
from attacks_on_immersions import faults
from plants import claim, decays, design
from scipy.integrate import solve_ivp

import odescent as od
from odescent.dynamics.algebra.calculus import vanishes

x, y, p, u, v = od.blocks("x y p u v")
a, b, K, h = od.parameters("a b K h")
f = od.Objective("f")


def plain(**options):
    settings = {
        "gain": K,
        "immersion": {p: -a * f.grad(x)},
        "target": {x: -a * f.grad(x)},
        **options,
    }
    return od.immerse({x: p, p: u}, u, **settings)


def caught(derivation):
    return all(not q.verified for s in derivation.steps for q in s.perturbed())


def test_the_plant_of_the_notes_gives_the_canonical_family():
    d = plain(port=-b * f.grad(x))
    assert d.verified and caught(d)
    assert (
        str(d.equations["bound system"]) == "x'' + K*x' + a*hess f(x)[x'] + (b + K*a)*grad f(x) = 0"
    )


@pytest.mark.parametrize(
    ("plant", "manifold"),
    [
        ({x: y - x, y: -f.grad(x) + 2 * u}, 3 * y - x + f.grad(x)),
        ({x: -f.grad(x) + y, y: a * u - b * y}, y + b * x),
        ({x: p, y: x - 2 * y, p: u - p}, p + a * f.grad(x) + b * y),
        ({x: od.elementwise(sp.tanh, p), p: u}, p + f.grad(x)),
    ],
)
def test_other_plants(plant, manifold):
    d = od.immerse(plant, u, manifold=manifold, gain=K)
    assert d.verified and caught(d)


def test_the_loop_does_what_it_promises_in_numbers():
    """psi decays at the rate K along the plant under the law, on a function that is not quadratic."""
    from odescent.dynamics.evaluation.evaluate import evaluate
    from odescent.dynamics.passivity import PassivityImmersion, external

    loop = PassivityImmersion(
        {x: y - x, y: -f.grad(x) + 2 * u}, u, 3 * y - x + f.grad(x), sp.Integer(2)
    )
    oracles = {"grad": np.tanh, "hess": lambda at, d: d / np.cosh(at) ** 2}
    law = od.dynamics.substitute(loop.law, {external: od.dynamics.zero})

    def rates(t, state):
        values = {x: state[:1], y: state[1:]}
        values[u] = evaluate(law, values, oracles, np)
        return np.concatenate([evaluate(loop.plant[s], values, oracles, np) for s in (x, y)])

    done = solve_ivp(rates, (0, 2), [0.7, -1.1], rtol=1e-10, atol=1e-12, t_eval=[0, 1, 2])
    psi = 3 * done.y[1] - done.y[0] + np.tanh(done.y[0])
    np.testing.assert_allclose(psi / psi[0], np.exp(-2 * done.t), rtol=1e-7)


@pytest.mark.parametrize("seed", range(4))
def test_psi_decays_as_claimed_in_many_digits(seed):
    """Chains with manifolds, gains and controls that depend on time, integrated under the claimed law."""
    given = design(seed)
    derivation = given.derive()
    assert derivation.verified
    law = claim(derivation, "Control law and passivity", "u")
    assert decays(given, law, digits=17) < 1e-12
    wrong = next(
        derivation.steps[3].perturbed()
    ).claims  # the same with one coefficient 8/7 of itself
    assert any(c.value != d.value for c, d in zip(wrong, derivation.steps[3].claims, strict=True))
    assert decays(given, law * sp.Rational(8, 7), end=1.5, digits=17) > 1e-6


def test_claims_of_a_plant_in_time_are_caught_when_they_are_changed():
    """Every coefficient of every claim, those that only the dependence on time brings among them."""
    d = design(5).derive()
    assert "psi_t" in {c.name for c in d.steps[1].claims}
    assert caught(d)


def test_the_partial_derivative_in_time_cannot_be_left_out():
    t, k = od.parameters("t"), sp.Symbol("k")
    d = od.immerse(
        {x: p, p: u}, u, gain=2 / t, manifold=p + t / 2 * f.grad(x), time=t, clock=1 + k * h
    )
    step = d.steps[3]
    claims = tuple(
        replace(c, value=c.value + f.grad(x) / 2) if c.name == "u" else c for c in step.claims
    )
    assert step.verified and not replace(step, claims=claims).verified


NAMES = [
    "psi",
    "psi_1",
    "pi",
    "K",
    "u",
    "t",
    "xi",
    "f",
    "S",
    "w",
    "h",
    "k",
    "dx",
    "x_dot",
    "g",
    "z",
    "L",
    "mu",
    "E",
]


@pytest.mark.parametrize("name", NAMES)
def test_blocks_and_controls_may_have_any_name(name):
    other, moved, control = od.blocks("A B C")
    taken = od.blocks(name)
    for one, two, three in (
        (taken, moved, control),
        (other, taken, control),
        (other, moved, taken),
    ):
        d = od.immerse(
            {one: two, two: three}, three, gain=2, manifold=two + f.grad(one), port=-f.grad(one)
        )
        assert d.verified, (one, two, three)
        step = next(s for s in d.steps if s.title == "Second-order form")
        assert vanishes(step.claims[0].value + wanted_form())
        assert len(set(d.algorithm.init)) == 2


def wanted_form():
    """x'' + (2 + H) x' + 3 g = 0: (D + 2)(x' + g) = -g, in the names of the second-order form."""
    at, speed = od.blocks("x x_dot")
    return 2 * speed + f.hess(at, speed) + 3 * f.grad(at)


def test_the_name_of_psi_is_free_to_choose():
    m = od.blocks("m")
    d = plain(memory=m, port=-f.grad(x) - m)
    assert d.verified and list(d.algorithm.init) == ["x", "m"]
    with pytest.raises(od.OdescentError, match="choose another"):
        plain(memory=x)


c, q = od.parameters("c"), od.blocks("q")
R, mu = od.Objective("R"), od.dynamics.mu
x0 = od.dynamics.start
STARTS = {
    "a chain of integrators": ({x: p, p: q, q: u}, q + b * p + a * f.grad(x), {x: x0, p: 0, q: 0}),
    "two positions": ({x: c * (y - x), y: u}, y - x + f.grad(x) / mu, {x: x0, y: x0}),
    "friction by a potential": ({p: q - R.grad(p), x: p, q: u}, q + p + f.grad(x), {x: x0, p: 0, q: 0}),
    "an averaged position": ({y: x - y, x: p, p: u}, p + f.grad(y), {y: x0, x: x0, p: 0}),
    "no oracle": ({x: od.elementwise(sp.tanh, p), p: u}, p + x, {x: x0, p: 0}),
    "a scaled position": ({x: p, p: u}, p + f.grad(2 * x), {x: x0 / 2, p: 0}),
}  # fmt: skip


@pytest.mark.parametrize("name", STARTS)
def test_a_plant_starts_at_rest(name):
    plant, manifold, wanted = STARTS[name]
    d = od.immerse(plant, u, gain=K, manifold=manifold)
    begins = {c.name: c.value for c in d.steps[4].claims if c.name.endswith("[0]")}
    for s, e in wanted.items():
        assert vanishes(begins[f"{s}[0]"] - e), (s, begins)
    at_start = od.dynamics.substitute(manifold, {s: e if e else 0 * x for s, e in wanted.items()})
    assert vanishes(begins["psi[0]"] - at_start) and vanishes(
        d.algorithm.system.block("psi").init - at_start
    )


def test_initial_values_may_refer_to_each_other():
    d = plain(init={p: -a * f.grad(x) + x - x0, x: 3 * x0})
    assert vanishes(d.algorithm.system.block("x").init - 3 * x0)
    assert vanishes(d.algorithm.system.block("psi").init - 2 * x0)


tau = od.blocks("tau", kind="scalar")
ASSUMED = {
    "a squared norm before the control": ({p: od.inner(x, x) * u}, {}, r"\|x\|^2 \ne 0"),
    "a difference before the control": ({p: (b - 1) * u}, {}, r"b - 1 \ne 0"),
    "a gain less two": ({}, {"gain": K - 2}, "K - 2 > 0"),
    "a gain of time": ({}, {"gain": 2 / od.parameters("t")}, "t > 0"),
    "a gain of the state": ({}, {"gain": od.inner(x, x)}, r"the integral of $\|x\|^2$ over all later times"),
    "a gain of a scalar block": ({tau: 1}, {"gain": 1 / (1 + tau**2)}, "over all later times is infinite"),
    "a factor of the actuated block": ({}, {"immersion": None, "manifold": (b - 1) * p + x}, r"b - 1 \ne 0"),
    "a denominator": ({x: p / (b - 1)}, {}, r"b - 1 \ne 0"),
    "a denominator in the port": ({}, {"port": x / (b - 1)}, r"b - 1 \ne 0"),
    "a root": ({x: p * sp.sqrt(od.inner(x, x))}, {}, r"\|x\|^2 > 0"),
    "a kink": ({x: od.elementwise(sp.Abs, p)}, {}, "smooth where it is taken"),
    "two derivatives of f": ({}, {}, "$f$ is twice differentiable"),
    "three derivatives of f": ({x: p + f.hess(x, p)}, {"immersion": None, "manifold": p + f.hess(x, x)},
                               "$f$ is three times differentiable"),
}  # fmt: skip


@pytest.mark.parametrize("name", ASSUMED)
def test_what_may_fail_is_printed_as_an_assumption(name):
    plant, options, sentence = ASSUMED[name]
    settings = {"gain": K, "immersion": {p: -a * f.grad(x)}, **options}
    d = od.immerse({x: p, p: u, **plant}, u, **settings)
    assert d.verified
    assert any(sentence in s.assumes for s in d.steps), [s.assumes for s in d.steps]
    assert "assumes" in d.text()
    if r"\ne" in sentence:
        assert all("never vanishes" not in s.statement for s in d.steps if sentence in s.assumes)


t = od.parameters("t")
NOTHING = sp.cbrt(2 + sp.sqrt(5)) - sp.cbrt(sp.sqrt(5) - 2) - 1
FALSE = {
    "gain -1": ({"gain": -1}, "the gain must be positive, but it is -1"),
    "gain 0": ({"gain": 0}, "must be positive"),
    "gain -K": ({"gain": -K}, "must be positive"),
    "gain -|x|^2": ({"gain": -od.inner(x, x)}, "must be positive"),
    "gain 1 - exp(t)": ({"gain": 1 - sp.exp(t)}, "for no value"),
    "a gain that is bound to -1": ({"gain": K, "tuning": {K: -1}}, "with K = -1, the gain must be positive"),
    "a gain that is bound below": ({"gain": K - 2, "where": {K: 1}}, "with K = 1, the gain"),
    "a control that is bound off": ({"plant": {p: (b - 1) * u}, "tuning": {b: 1}}, "must not vanish, but it is 0"),
    "a gain that falls as 1/t^2": ({"gain": 1 / t**2, "time": t}, "finite integral"),
    "a gain that falls exponentially": ({"gain": sp.exp(-t), "time": t}, "finite integral"),
    "a gain that falls as t^(-5/4)": ({"gain": t ** sp.Rational(-5, 4), "time": t}, "finite integral"),
    "a gain that falls as 1/(t log(t)^2)": ({"gain": 1 / (t * sp.log(t) ** 2), "time": t}, "finite integral"),
    "a gain less than zero as mu < L": ({"gain": od.dynamics.mu - od.dynamics.L}, "for no value"),
    "a gain that is not real": ({"gain": 1 + sp.I}, "the gain is not real"),
    "a manifold that is not real": ({"immersion": None, "manifold": p + sp.I * x}, "the manifold is not real"),
    "a factor that is zero in disguise": ({"plant": {p: NOTHING * u}}, "not vanish"),
    "a factor of square roots that is zero": (
        {"plant": {p: (sp.sqrt(3 + 2 * sp.sqrt(2)) - 1 - sp.sqrt(2)) * u}}, "moves none"
    ),
    "a gain that turns": ({"gain": 5 - t, "time": t}, "finite integral"),
    "a gain that ends negative": ({"gain": 9 / t**2 - 1 / (t * sp.sqrt(sp.log(t))), "time": t}, "finite integral"),
    "a bound power of time": ({"gain": t**-b, "time": t, "tuning": {b: 2}}, "finite integral"),
    "a gain as text": ({"gain": "K"}, "a scalar expression, such as 2 .* not the text 'K'"),
    "a vector for a gain": ({"gain": p}, "not the vector p"),
    "no gain": ({"gain": None}, "not None"),
    "a manifold as text": ({"immersion": None, "manifold": "p + grad f(x)"}, "not 'p \\+ grad f"),
    "names for blocks": ({"plant": {"x": p, "p": u}}, "the plant maps blocks, made by"),
    "a target of the fibre": ({"target": {p: f.grad(x)}}, "the target gives p, but it may give only the blocks"),
    "a target of a stranger": ({"target": {y: f.grad(x)}}, "not a block of the plant"),
    "a vector that is no block": ({"port": y}, "the port uses the vector 'y', which cannot .*; p, psi and x can"),
    "a stranger in the plant": ({"plant": {p: u + y}}, "the plant of p uses the vector 'y'"),
    "a scheme as text": ({"scheme": "lie_trotter"}, "scheme 'lie_trotter' needs its parts"),
    "time as text": ({"time": "t"}, "time of immerse must be a Symbol or None, not 't'"),
    "another time": ({"gain": 2 / t, "time": sp.Symbol("t")}, "stands for two different symbols"),
    "time that is a block": ({"gain": K, "time": od.blocks("tau", kind="scalar"),
                              "plant": {od.blocks("tau", kind="scalar"): 1}}, "cannot be a block"),
    "a parameter bound to time": ({"immersion": {p: -a * f.grad(x)}, "time": t, "where": {a: t / 2}}, "depends on t"),
    "psi named as the start": ({"memory": x0}, "names the starting point"),
    "a clock without time": ({"clock": h}, "name the symbol of time"),
    "a clock before the beginning": ({"gain": 2 / t, "time": t, "clock": h - 1 - h}, "declared as nonnegative"),
    "a clock that stands still": ({"gain": 2 / t, "time": t, "clock": 1 + h}, "moves on by 0"),
    "a clock that runs back": ({"gain": 2 / t, "time": t, "clock": 9 - sp.Symbol("k") * h}, "moves on by -h"),
    "a clock that runs twice": ({"gain": 2 / t, "time": t, "clock": 1 + 2 * sp.Symbol("k") * h}, r"moves on by 2\*h"),
    "a clock of steps": ({"gain": 2 / t, "time": t, "clock": 1 + sp.Symbol("k")}, "moves on by 1"),
    "a clock that has no inverse": ({"gain": 2 / t, "time": t, "clock": sp.sin(sp.Symbol("k"))}, "moves on by"),
    "a clock with time": ({"gain": 2 / t, "time": t, "clock": t + sp.Symbol("k") * h}, "depends on t"),
    "a law at a singularity": ({"plant": {p: t * u}, "gain": 2, "time": t}, "with t = 0, the factor of the control"),
    "a distance that grows": ({"immersion": None, "manifold": sp.exp(-t) * (p + f.grad(x)), "time": t, "gain": 0.5},
                              "the rate of approach to the manifold must be positive, but it is -1/2"),
    "a clock at a singularity": ({"gain": 2 / t, "time": t}, "infinite in the first step"),
    "a start at a singularity": ({"gain": 2, "time": t, "immersion": {p: -f.grad(x) / t}}, "not finite at the first"),
    "a counter that is a block": ({"gain": t, "time": t, "plant": {od.blocks("k"): x}}, "name k is reserved for"),
    "a start in a circle": ({"init": {x: p, p: x}}, "refers to itself"),
    "a number for a vector": ({"init": {p: 3}}, "init of p must be"),
    "a quadratic control": ({"plant": {p: (1 + od.inner(u, u)) * u}}, "must be a scalar times the identity"),
    "a factor with its block": ({"immersion": None, "manifold": (1 + od.inner(p, p)) * p}, "scalar times the identity"),
    "an operator that decouples": ({"immersion": None, "manifold": p + f.grad(x + p)}, "scalar times the identity"),
    "two actuated blocks": ({"plant": {x: u}}, "exactly one vector block, but it moves x and p"),
    "nothing but the fibre": ({"plant": None, "immersion": None, "manifold": p}, "another block than p"),
    "x0 as a block": ({"plant": {x0: p}}, "names the starting point"),
}  # fmt: skip


@pytest.mark.parametrize("name", FALSE)
def test_what_cannot_hold_is_refused(name):
    options, sentence = FALSE[name]
    plant = {p: u} if options.get("plant", 0) is None else {x: p, p: u, **options.get("plant", {})}
    if "x" in plant:
        plant = options["plant"]
    settings = {"gain": 1, "immersion": {p: -f.grad(x)}, **options}
    settings.pop("plant", None)
    with pytest.raises(od.OdescentError, match=sentence) as refused:
        od.immerse(plant, u, **settings)
    assert str(refused.value).endswith(".") and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("plant", "options", "sentence"),
    [
        ({x: p, p: v, v: u}, {"manifold": p + f.grad(x)}, "relative degree"),
        ({x: p, p: u}, {"manifold": x}, "relative degree"),
        ({x: p, p: u}, {"manifold": f.grad(p)}, "must be a scalar times the identity"),
        ({x: p, p: u}, {}, "either as manifold=psi or as immersion"),
        ({x: p, p: u}, {"immersion": {p: -p}}, "must not contain p itself"),
        (
            {x: p, p: u},
            {"immersion": {p: -f.grad(x)}, "target": {x: -2 * f.grad(x)}},
            "not by the target's",
        ),
        ({x: u, p: u}, {"manifold": p + x}, "exactly one vector block"),
    ],
)
def test_refusals(plant, options, sentence):
    with pytest.raises(od.OdescentError, match=sentence):
        od.immerse(plant, u, gain=1, **options)


LATER = {
    "a gain below zero": ({"gain": K - 2}, {K: 1}, "with K = 1, the gain must be positive, but it is -1"),
    "a control that is off": ({"plant": {p: (b - 1) * u, x: p / (b - 1)}}, {b: 1}, "must not vanish, but it is 0"),
    "a gain that falls": ({"gain": t**-b, "time": t, "clock": (1 + sp.Symbol("k")) * h}, {b: 2}, "finite integral"),
    "a vector": ({"gain": K}, {K: od.inner(x, x)}, "depends on x"),
    "time": ({"gain": K / t, "time": t, "clock": (1 + sp.Symbol("k")) * h}, {K: 1 / t}, "depends on t"),
    "a root of a negative number": ({"port": -sp.sqrt(b - 1) * f.grad(x)}, {b: sp.S.Half}, "under a root in the port"),
    "through another": ({"gain": K - 2, "where": {K: b + 1}}, {b: sp.S.Half}, "the gain must be positive"),
}  # fmt: skip


@pytest.mark.parametrize("name", LATER)
def test_hypotheses_are_checked_whenever_values_are_given(name):
    options, values, sentence = LATER[name]
    plant = {x: p, p: u, **options.get("plant", {})}
    settings = {"gain": 1, "immersion": {p: -a * f.grad(x)}, **options}
    settings.pop("plant", None)
    free = od.immerse(plant, u, **settings).algorithm
    for given in (lambda: free.bind(values), lambda: free.replace(tuning=values)):
        with pytest.raises(od.OdescentError, match=sentence):
            given()
    assert free.bind({a: 3}).replace(name="mine").assumes == free.assumes


@pytest.mark.parametrize("seed", range(5))
def test_what_is_printed_of_a_plant_of_vectors_is_what_it_does(seed):
    """`python tests/attacks_on_immersions.py` tries hundreds of these."""
    assert not faults(seed)
    assert len(faults(seed, wrong=1.01)) >= 2
