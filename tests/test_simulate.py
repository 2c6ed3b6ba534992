"""Flows through diffrax against closed forms."""

import diffrax as dfx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import odescent as od
from odescent.dynamics import Diffusion
from odescent.dynamics.flows.simulate import SolverStopped


@pytest.fixture
def ball():
    x, v = od.blocks("x v")
    c = od.parameters("c")
    return od.System(
        {"damp": {v: -c * v}, "kick": {v: -od.Objective("f").grad(x)}, "drift": {x: v}}
    )


@pytest.mark.parametrize("solver", ["tsit5", "dopri8", "kvaerno5"])
def test_critical_damping_has_its_closed_form(ball, solver):
    f = od.objective("quadratic", eigenvalues=(1.0,))
    solution = ball.simulate(
        f, np.array([1.0]), 5.0, parameters={"c": 2}, solver=solver, dense=True
    )
    t = solution.t
    np.testing.assert_allclose(solution.x[:, 0], (1 + t) * np.exp(-t), atol=2e-7)
    np.testing.assert_allclose(solution.states["v"][:, 0], -t * np.exp(-t), atol=2e-7)
    np.testing.assert_allclose(solution(2.5), 3.5 * np.exp(-2.5), atol=2e-7)
    assert solution.steps[0] > 0


def test_time_dependent_coefficients():
    t = od.parameters("t")
    x = od.blocks("x")
    system = od.System({"decay": {x: -2 * t * x}}, time=t)
    f = od.objective("quadratic", eigenvalues=(1.0, 1.0))
    solution = system.simulate(f, np.array([1.0, -2.0]), 2.0)
    np.testing.assert_allclose(
        solution.x, np.exp(-(solution.t[:, None] ** 2)) * [1.0, -2.0], atol=1e-7
    )


def test_mu_and_L_come_from_the_objective():
    f = od.objective("quadratic")  # eigenvalues 1 and 10, mu = 1
    flow = od.system("nesterov_sc").bind({od.parameters("a"): 0})
    solution = flow.simulate(f, f.x0, 3.0)
    t = solution.t
    fast = np.exp(-t) * (np.cos(3 * t) + np.sin(3 * t) / 3)
    np.testing.assert_allclose(solution.x, np.column_stack([(1 + t) * np.exp(-t), fast]), atol=1e-7)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "needs a value of c: give parameters={'c': ...}"),
        ({"c": 2}, "c is a parameter of the system: give it as parameters={'c': ...}"),
        ({"parameters": {"d": 1}}, "no parameter of the system called 'd'"),
        ({"parameters": {"c": 2}, "solver": "tsit"}, "did you mean 'tsit5'"),
        ({"parameters": {"c": 2}, "t1": -1.0}, "t1 > t0"),
        ({"parameters": {"c": 2}, "x0": np.array([np.nan])}, "x0 must be finite"),
        (
            {"parameters": {"c": 2}, "x0": "a"},
            "x0 must hold real numbers, floating or whole, but it has a str",
        ),
        ({"parameters": {"c": 2}, "x0": [[1.0], [1.0, 2.0]]}, "rows of different lengths"),
        ({"parameters": {"c": 2}, "x0": ["1"]}, "x0 must hold real numbers"),
        ({"parameters": {"c": 2}, "x0": np.array([1.0], object)}, "x0 must hold real numbers"),
        ({"parameters": {"c": 2}, "x0": [True]}, "x0 must hold real numbers"),
        ({"parameters": {"c": 2}, "x0": np.ma.masked_array([1.0], [1])}, "masked array"),
        ({"parameters": {"c": 2}, "t1": True}, "t1 of simulate must be a number, not True."),
    ],
)
def test_refusals(ball, options, sentence):
    f = od.objective("quadratic", eigenvalues=(1.0,))
    given = {"x0": np.array([1.0]), "t1": 1.0, **options}
    with pytest.raises(od.OdescentError, match=sentence):
        ball.simulate(f, **given)


def test_blow_up_is_reported_with_the_time():
    x = od.blocks("x")
    system = od.System({"up": {x: od.hadamard(x, x)}})  # x' = x^2 blows up at t = 1
    f = od.objective("quadratic", eigenvalues=(1.0,))
    with pytest.raises(od.OdescentError, match=r"stopped at about t = (0\.9|1)"):
        system.simulate(f, np.array([1.0]), 2.0, max_steps=2000)


def decay(rate=None):
    x = od.blocks("x")
    return od.System({"decay": {x: -x if rate is None else rate * x}}, output=x)


ONE = od.objective("quadratic", eigenvalues=(1.0,))


def test_blow_up_keeps_the_good_prefix():
    x = od.blocks("x")
    system = od.System({"up": {x: od.hadamard(x, x)}})  # x' = x^2 blows up at t = 1
    with pytest.raises(SolverStopped, match="blows up") as caught:
        system.simulate(ONE, np.array([1.0]), 2.0, max_steps=2000, points=21)
    part = caught.value.solution
    assert 10 <= len(part.t) <= 11
    np.testing.assert_allclose(part.x[:10, 0], 1 / (1 - part.t[:10]), rtol=1e-5)


def test_a_stiff_flow_is_told_from_a_blow_up_and_solved_implicitly():
    f = od.objective("quadratic", eigenvalues=(1.0, 1e6))
    flow = od.system("gradient_flow")
    with pytest.raises(SolverStopped, match=r"stiff \(try solver='kvaerno5'\)"):
        flow.simulate(f, np.ones(2), 5.0, max_steps=500)
    done = flow.simulate(f, np.ones(2), 5.0, max_steps=500, solver="kvaerno5")
    np.testing.assert_allclose(done.x[:, 0], np.exp(-done.t), atol=1e-6)
    np.testing.assert_allclose(done.x[1:, 1], 0, atol=1e-6)


@pytest.mark.parametrize(
    ("solver", "order"), [("euler", 1), ("midpoint", 2), ("heun", 2), ("rk4", 4)]
)
def test_fixed_steps_have_their_order(ball, solver, order):
    errors = []
    for n in (40, 80):
        s = ball.simulate(ONE, np.array([1.0]), 4.0, parameters={"c": 2}, solver=solver, dt=4 / n)
        assert len(s.t) == n + 1 and s.steps == (n, 0)
        errors.append(np.abs(s.x[:, 0] - (1 + s.t) * np.exp(-s.t)).max())
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.15)


def test_fixed_steps_of_diffrax_and_thinned_output(ball):
    s = ball.simulate(
        ONE, np.array([1.0]), 4.0, parameters={"c": 2}, solver="dopri8", dt=0.1, points=9
    )
    np.testing.assert_allclose(s.x[:, 0], (1 + s.t) * np.exp(-s.t), atol=1e-8)
    s = ball.simulate(ONE, np.array([1.0]), 1.0, parameters={"c": 2}, dt=0.01, points=8)
    np.testing.assert_allclose(s.t, [0, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9, 1.0], atol=1e-12)
    np.testing.assert_allclose(s.x[:, 0], (1 + s.t) * np.exp(-s.t), atol=1e-8)


def test_times_of_ones_own():
    when = np.array([0.1, 0.7, 0.71, 2.0])
    s = decay().simulate(ONE, np.array([2.0]), 3.0, times=when)
    np.testing.assert_allclose(s.x[:, 0], 2 * np.exp(-when), atol=1e-8)


@pytest.mark.parametrize(
    ("until", "name", "time"),
    [
        ({"gradient": 1e-3}, "gradient", np.log(2e3)),
        ({"distance": 0.5}, "distance", np.log(4)),
        ({"value": 0.5}, "value", np.log(2)),
        ({"box": (0.25, 3.0)}, "box", np.log(8)),
        ({"box": (0.1, 3.0), "distance": 1.0}, "distance", np.log(2)),
        (lambda t, x, states: 1.5 - t, "condition", 1.5),
        ({"sum": lambda t, x, states: states["x"].sum() - 1.2}, "sum", np.log(2 / 1.2)),
    ],
)
def test_events_are_found_at_their_time(until, name, time):
    s = decay().simulate(ONE, np.array([2.0]), 20.0, until=until, points=101)
    assert s.stopped == name
    assert s.t[-1] == pytest.approx(time, abs=1e-6) and (np.diff(s.t) > 0).all()
    np.testing.assert_allclose(s.x[:, 0], 2 * np.exp(-s.t), atol=1e-6)
    fixed = decay().simulate(ONE, np.array([2.0]), 20.0, until=until, dt=0.01)
    assert fixed.stopped == name and time - 1e-9 <= fixed.t[-1] <= time + 0.0101
    np.testing.assert_allclose(fixed.x[:, 0], 2 * np.exp(-fixed.t), atol=1e-8)


def test_an_event_that_never_happens_and_one_that_holds_at_once():
    s = decay().simulate(ONE, np.array([2.0]), 1.0, until={"gradient": 1e-3})
    assert s.stopped is None and s.t[-1] == 1.0
    s = decay().simulate(ONE, np.array([2.0]), 1.0, until={"gradient": 10.0})
    assert s.stopped == "gradient" and s.t.tolist() == [0.0]


def noisy(amplitude, calculus="ito"):
    x = od.blocks("x")
    field = od.Field({x: -x / 2}, {x: Diffusion(amplitude(x))})
    return od.System({"all": field}, output=x, calculus=calculus)


@pytest.mark.parametrize(
    "how",
    [
        {"dt": 1 / 64},
        {"dt": 1 / 64, "until": {"gradient": 1e-9, "value": 1e-9}},
        {"dt": 1 / 64, "key": 0},
        {"dt": 1 / 64, "key": 0, "path": "increments"},
        {},
        {"until": {"value": 1e-9, "gradient": 1e-9}},
        {"until": {"box": (-9.0, 9.0)}},
    ],
)
def test_other_starts_parameters_keys_and_tolerances_compile_nothing(ball, how, caplog):
    v, c = od.blocks("v"), od.parameters("c")
    bath = {"bath": od.Field({v: 0 * v}, {v: Diffusion(0.1 * c)})} if "key" in how else {}
    system = od.System({**ball.fields, **bath}, blocks=ball.blocks, output=ball.output)
    f = od.objective("quadratic", eigenvalues=(1.0, 2.0))

    def go(n: int):
        own = {**how, **({"key": n} if "key" in how else {})}
        if "until" in how:
            own["until"] = {k: v if k == "box" else v / n for k, v in how["until"].items()}
        x0 = np.array([1.0, 1 / n])
        return system.simulate(f, x0, 1.0, parameters={"c": 1 + n}, **own).x[-1]

    first = go(1)
    with jax.log_compiles(), caplog.at_level("WARNING"):
        other, again = go(2), go(1)
    assert not [r for r in caplog.records if "Compiling" in r.getMessage()]
    assert (again == first).all() and (other != first).all()


def scaled(kind, c):
    """c |p|^2/2 as its gradient says, with c in the code, in an array, or in a derivative rule."""
    rows = jnp.full(2, c)

    @jax.custom_jvp
    def half(p):
        return p @ p / 2

    half.defjvp(lambda p, t: (half(*p), c * (p[0] @ t[0])))
    compiled = jax.jit(lambda p: (rows * p) @ p / 2)
    return {"code": lambda p: c * (p @ p) / 2, "array": compiled, "rule": half}[kind]


@pytest.mark.parametrize("kind", ["code", "array", "rule"])
def test_a_plain_function_and_another_end_compile_nothing_and_changed_data_are_seen(kind, caplog):
    data, flow = [scaled(kind, 2.0)], od.system("gradient_flow")

    def f(p):
        return data[0](p)

    ends = [flow.simulate(f, np.ones(2), 1.0).x[-1]]
    with jax.log_compiles(), caplog.at_level("WARNING"):
        ends += [flow.simulate(f, np.ones(2), t).x[-1] for t in (1.0, 2.0)]
    # of its trace, which tells whether the function is the one of before, nothing is compiled
    assert not [r for r in caplog.records if "XLA compilation" in r.getMessage()]
    data[0] = scaled(kind, 3.0)
    ends.append(flow.simulate(f, np.ones(2), 1.0).x[-1])
    wanted = np.exp([[-2.0] * 2, [-2.0] * 2, [-4.0] * 2, [-3.0] * 2])
    np.testing.assert_allclose(ends, wanted, rtol=1e-7)


@pytest.mark.parametrize("dt", [None, 1 / 64])
@pytest.mark.parametrize("names", [("late", "early"), ("early", "late")])
def test_of_several_conditions_the_one_that_is_met_is_named(ball, dt, names):
    """In whatever order they are given; of those that are met in one step the first."""
    at = {"late": lambda t, x, states: 0.9 - t, "early": lambda t, x, states: 0.3 - t}
    f = od.objective("quadratic", eigenvalues=(1.0,))
    options = {"parameters": {"c": 1.0}, "dt": dt, "until": {n: at[n] for n in names}}
    found = ball.simulate(f, np.array([1.0]), 2.0, **options)
    assert found.stopped == "early" and abs(found.t[-1] - 0.3) < 1 / 32
    if dt is not None:
        both = dict.fromkeys(names, at["early"])
        found = ball.simulate(f, np.array([1.0]), 2.0, **{**options, "until": both})
        assert found.stopped == names[0]


def test_one_brownian_path_whatever_the_step():
    """Strong error against the same path: order 1 for additive noise; and the same bits again."""
    system = noisy(lambda x: sp.Integer(1))
    x0, key = np.zeros(100), jax.random.key(5)
    ends = {
        n: system.simulate(ONE, x0, 1.0, dt=2.0**-n, key=key, points=2).x[-1] for n in (2, 3, 4, 7)
    }
    errors = [np.sqrt(np.mean((ends[n] - ends[7]) ** 2)) for n in (2, 3, 4)]
    assert np.log2(errors[0] / errors[2]) / 2 == pytest.approx(1, abs=0.35)
    again = system.simulate(ONE, x0, 1.0, dt=2.0**-3, key=key, points=2).x[-1]
    np.testing.assert_array_equal(again, ends[3])
    other = system.simulate(ONE, x0, 1.0, dt=2.0**-3, key=jax.random.key(6), points=2).x[-1]
    assert not np.allclose(other, ends[3])


@pytest.mark.parametrize(
    ("calculus", "drift"), [("ito", -0.5 - 0.3**2 / 2), ("stratonovich", -0.5)]
)
def test_geometric_brownian_motion_pathwise(calculus, drift):
    """dX = -X/2 dt + s X dW is X0 exp((-1/2 - s^2/2) t + s W) in Ito's sense, without s^2/2 in the other."""
    s = sp.Rational(3, 10)
    system = noisy(lambda x: s * x, calculus)
    tree = dfx.VirtualBrownianTree(
        0.0,
        1.0,
        2.0**-16,
        jax.ShapeDtypeStruct((40,), jnp.float64),
        jax.random.split(jax.random.key(2), 1)[0],
    )
    w = np.asarray(tree.evaluate(0.0, 1.0))
    exact = np.exp(drift + 0.3 * w)
    errors = [
        np.abs(
            system.simulate(ONE, np.ones(40), 1.0, dt=2.0**-n, key=jax.random.key(2)).x[-1] - exact
        ).mean()
        for n in (3, 7)
    ]
    assert errors[1] < 0.03 and errors[1] < errors[0] / 2.5


def test_independent_increments_have_the_variance_of_the_process():
    x = simulate_noisy = (
        noisy(lambda x: sp.Integer(1))
        .simulate(
            ONE, np.zeros(20_000), 2.0, dt=0.02, key=jax.random.key(1), path="increments", points=2
        )
        .x[-1]
    )
    # dX = -X/2 dt + dW from 0: variance 1 - exp(-t); Euler's own error is 0.5 % of it
    assert np.var(simulate_noisy) == pytest.approx(1 - np.exp(-2), rel=0.04)
    assert abs(x.mean()) < 0.03


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "give a key"),
        ({"key": 1}, "takes fixed steps"),
        (
            {"key": 1, "dt": 0.1, "solver": "tsit5"},
            "the system has noise, so the solver must be one of",
        ),
        ({"key": 1, "dt": 0.1, "path": "bridge"}, "kind of path"),
        ({"key": 1, "dt": 1e-6}, "resolved down to steps"),
    ],
)
def test_what_noise_needs(options, sentence):
    given = {**options, **({"key": jax.random.key(1)} if "key" in options else {})}
    with pytest.raises(od.OdescentError, match=sentence):
        noisy(lambda x: sp.Integer(1)).simulate(ONE, np.ones(1), 1.0, **given)
    with pytest.raises(od.OdescentError, match="sense of Ito: use solver='euler_maruyama'"):
        noisy(lambda x: x).simulate(
            ONE, np.ones(1), 1.0, dt=0.1, key=jax.random.key(1), solver="stochastic_heun"
        )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"dt": 0.3}, r"not a whole number of steps of dt = 0\.3; dt = 0\.333333 fits"),
        ({"dt": -1.0}, "must be positive"),
        ({"dt": 1e-20}, "below the resolution"),
        ({"solver": "rk4"}, "takes fixed steps"),
        ({"dt": 0.1, "dense": True}, "no dense output"),
        ({"dt": 0.1, "solver": "euler_maruyama"}, "no noise"),
        ({"times": [0.5, 0.2]}, "times must increase"),
        ({"points": 1}, "at least 2 points"),
        ({"until": {"gradent": 1.0}}, "did you mean 'gradient'"),
        ({"until": {"gradient": -1.0}}, "positive number"),
        ({"until": {"box": (1, 0)}}, "low < high"),
        ({"until": {"box": 3}}, "two numbers or arrays"),
        ({"until": lambda t, x, states: x * jnp.nan}, "one finite number at the start"),
        ({"x0": np.zeros(1), "f": "log"}, "not finite at the start"),
    ],
)
def test_more_refusals(options, sentence):
    options = dict(options)
    x = od.blocks("x")
    bare = od.Objective("f", fun=lambda x: jnp.sum(jnp.log(x)))
    system = (
        od.System({"flow": {x: -od.Objective("f").grad(x)}}) if options.pop("f", 0) else decay()
    )
    with pytest.raises(od.OdescentError, match=sentence):
        system.simulate(
            bare if "x0" in options else ONE, options.pop("x0", np.ones(1)), 1.0, **options
        )


def test_a_parameter_outside_its_domain(ball):
    x = od.blocks("x")
    mu = sp.Symbol("mu", positive=True)
    with pytest.raises(od.OdescentError, match="mu must be a finite number more than 0, not -1"):
        decay(-mu).simulate(od.Objective("f"), np.ones(1), 1.0, parameters={"mu": -1})
    with pytest.raises(od.OdescentError, match="c must be a finite number"):
        ball.simulate(ONE, np.ones(1), 1.0, parameters={"c": np.inf})
    with pytest.raises(od.OdescentError, match="no dense output"):
        od.System({"a": {x: -x}}).simulate(ONE, np.ones(1), 1.0)(0.5)


def test_unstable_fixed_steps_keep_the_prefix():
    with pytest.raises(SolverStopped, match="not stable here, or the flow blows up") as caught:
        decay(-100).simulate(ONE, np.ones(1), 1000.0, dt=1.0, solver="euler", points=1001)
    x = caught.value.solution.x[:, 0]
    np.testing.assert_allclose(x[:5], (-99.0) ** np.arange(5))
    assert np.isfinite(x).all() and len(x) < 200


@pytest.mark.parametrize("name", od.systems())
def test_a_drift_that_divides_by_time_is_refused_at_time_zero(name):
    """Whatever the system: it starts, or it is refused with a sentence, and never a division by zero."""
    system = od.system(name)
    values = {p.name: 1.5 for p in system.parameters}
    f = od.Objective("f", lambda x: x @ x / 2, map=lambda x, *_: x, operator=lambda x: x)
    try:
        system.simulate(f, np.ones(2), 1e-3, parameters=values, points=2)
    except od.OdescentError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    "fun", [lambda x: jnp.ones(3) @ x, lambda x: x["a"], lambda x: x.reshape(5)]
)
def test_what_an_objective_raises_is_said_to_be_its_own(fun):
    with pytest.raises(od.OdescentError, match="a function of the objective raised"):
        od.system("gradient_flow").simulate(od.Objective("f", fun), np.ones(2), 1.0)
