"""Steps that depend on the state: textbook loops, every backend, limits and clocks, ends, derivations."""

import inspect
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp
from emitted_runs import RUNNERS, carriers

import odescent as od
from odescent.discretize.reading.exact_reading import algorithm_from
from odescent.dynamics import substitute, vanishes

x, v = od.blocks("x v")
f = od.Objective("f")
gam, a, c = od.parameters("gam a c")
g = f.grad(x)
NORM = sp.sqrt(od.inner(g, g))
FLOW = od.system("gradient_flow")
EIGENVALUES = np.array([1.0, 4.0, 10.0])
QUADRATIC = od.objective("quadratic", eigenvalues=tuple(EIGENVALUES))
X0 = np.array([1.0, -2.0, 0.5])
BOWL = od.Objective("f", lambda y: jnp.sum(y**2) / 2 + jnp.sum(jnp.log(jnp.cosh(y - 1))), mu=1, L=2)


def slope(y):
    """The gradient of the bowl."""
    return y + np.tanh(y - 1)


def bowl(y):
    return np.sum(y**2) / 2 + np.sum(np.log(np.cosh(y - 1)))


def curvature(y):
    return 1 + 1 / np.cosh(y - 1) ** 2


def euler(step, name="own", **more):
    return od.Algorithm(FLOW, "explicit_euler", step=step, name=name, **more)


NORMALIZED = euler(gam / NORM, "normalized", tuning={gam: 0.1})
POLYAK, EXACT = od.algorithm("polyak_step"), od.algorithm("exact_line_search")

# textbook forms


def normalized(y):
    return 0.1 / np.linalg.norm(slope(y))


def polyak(y):
    return (bowl(y) - 0.7) / (slope(y) @ slope(y))


def exact(y):
    return (slope(y) @ slope(y)) / (slope(y) @ (curvature(y) * slope(y)))


def iterates(step, n):
    xs, ts = [X0], [0.0]
    for _ in range(n):
        h = step(xs[-1])
        ts.append(ts[-1] + h)
        xs.append(xs[-1] - h * slope(xs[-1]))
    return np.array(xs), np.array(ts)


@pytest.mark.parametrize(
    ("method", "step", "values"),
    [(NORMALIZED, normalized, {}), (POLYAK, polyak, {"f_star": 0.7}), (EXACT, exact, {})],
    ids=["normalized", "polyak", "exact"],
)
def test_textbook_loops_and_the_clock(method, step, values):
    n = {normalized: 25, polyak: 8, exact: 4}[step]  # the others amplify rounding, or arrive
    xs, ts = iterates(step, n)
    for options in ({}, {"every": 4}, {"chunk": 3, "statistics": ["mean"]}):
        run = method.run(BOWL, X0, n, **options, **values)
        np.testing.assert_allclose(run.x, xs[run.k], rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(run.t, ts[run.k], rtol=1e-11)  # the steps add up
        assert {*run.states} == {"x"} and run.stopped is None
    half = ts[-1] / 2
    late = method.run(BOWL, X0, until=lambda t, x, states: half - t, max_steps=n, **values)
    assert late.steps == int(np.argmax(ts >= half)) and late.t[-1] >= half > late.t[-2]


@pytest.mark.parametrize("form", ["long", "short"])
def test_barzilai_and_borwein_s_method(form):
    """As it is published: from differences of points and gradients, after a first step of h0."""
    h, now, before = 0.05, X0, None
    xs = [now]
    for _ in range(7):
        if before is not None:
            s, y = now - before, slope(now) - slope(before)
            h = (s @ s) / (s @ y) if form == "long" else (s @ y) / (y @ y)
        before, now = now, now - h * slope(now)
        xs.append(now)
    run = od.algorithm("barzilai_borwein", form=form).run(BOWL, X0, 7, h0=0.05)
    np.testing.assert_allclose(run.x, xs, rtol=1e-9, atol=1e-12)
    with pytest.raises(od.OdescentError, match="form of Barzilai and Borwein's step"):
        od.algorithm("barzilai_borwein", form="middle")


# every backend


def own_methods():
    """Steps in schemes that do more with them than multiply."""
    pendulum = od.System({"damp": {v: -c * v}, "kick": {v: -g}, "drift": {x: v}}, output=x)
    inertia = 1 / (1 + od.inner(v, v) + NORM)
    splitting = od.scheme(
        "lie_trotter", [("damp", "exact"), ("kick", "explicit"), ("drift", "explicit")]
    )
    w = sp.Symbol("w", real=True)
    summed = od.System(
        {"sum": {w: od.inner(g, g)}, "drift": {x: -g}}, output=x, init={w: 1},
    )  # fmt: skip
    return {
        "splitting": od.Algorithm(pendulum, splitting, step=gam * inertia, name="splitting"),
        "fed_through": od.Algorithm(
            od.System({"kick": {v: -c * v - g}, "drift": {x: v - a * g}}, output=x),
            od.scheme("semi_implicit_euler", order=("v", "x")), step=gam * inertia,
            where={a: od.parameters("h")}, name="fed_through",
        ),
        "rk4": od.Algorithm(FLOW, "rk4", step=gam / (1 + NORM), name="rk4"),
        "summed": od.Algorithm(
            summed, od.scheme("lie_trotter", [("sum", "explicit"), ("drift", "explicit")]),
            step=gam / sp.sqrt(w), name="summed",
        ),
        "normalized": NORMALIZED,
        "polyak": POLYAK,
        "exact": EXACT,
    }  # fmt: skip


OWN = own_methods()


@pytest.mark.parametrize("name", OWN)
def test_every_backend_takes_the_same_steps(name):
    method = OWN[name]
    runs = {t: RUNNERS[t](method, 12) for t in carriers(method)}
    assert {"numpy", "jax", "optax"} <= {*runs}
    assert ("torch" in runs) == ("torch" in RUNNERS)
    assert "import torch" in method.source("torch")  # which needs no PyTorch here
    reference = runs.pop("numpy")
    assert np.ptp(reference[:, 0]) > 0 and np.isfinite(reference).all()
    for target, xs in runs.items():
        np.testing.assert_allclose(xs, reference, rtol=1e-12, atol=1e-12, err_msg=target)
    for target in ("latex", "markdown"):
        assert "h" in method.source(target)


def test_what_is_asked_twice_is_asked_once():
    assert NORMALIZED.cost() == {"gradients": 1}
    assert POLYAK.cost() == {"gradients": 1, "values": 1}
    assert EXACT.cost() == {"gradients": 1, "products": 1}
    assert od.algorithm("barzilai_borwein").cost() == {"gradients": 1}
    assert OWN["rk4"].cost() == {"gradients": 4}
    run = EXACT.run(QUADRATIC, X0, budget={"products": 7})
    assert run.counts["products"][-1] == run.counts["gradients"][-1] == 7


def test_the_time_that_a_system_reads_is_the_sum_of_the_steps():
    t = sp.Symbol("t", positive=True)
    aging = od.System({"flow": {x: -g / (1 + t)}}, output=x, time=t)
    method = od.Algorithm(aging, "explicit_euler", step=gam / (1 + NORM), name="aging")
    now, time, xs, ts = X0, 0.0, [X0], [0.0]
    for _ in range(8):
        h = 0.3 / (1 + np.linalg.norm(slope(now)))
        now, time = now - h * slope(now) / (1 + time), time + h
        xs.append(now)
        ts.append(time)
    run = method.run(BOWL, X0, 8, gam=0.3)
    np.testing.assert_allclose(run.x, xs, rtol=1e-12)
    np.testing.assert_allclose(run.t, ts, rtol=1e-12)
    with pytest.raises(od.NotCarried, match="write the time as a block"):
        method.consistent_with()


# limits


@pytest.mark.parametrize(
    "name", ["splitting", "fed_through", "rk4", "summed", "normalized", "polyak"]
)
def test_the_limit_is_the_drift_at_another_speed(name):
    method = OWN[name]
    limit, speed = method.consistent_with(), method.size / gam
    drift = method.bound.limit({method.step: 0}).drift
    for s, e in limit.drift.items():
        assert vanishes(e - drift[s] * substitute(speed, dict(method.where)))
    assert method.unsized.consistent_with().drift == {s: drift[s] for s in limit.drift}


@pytest.mark.parametrize("name", ["splitting", "summed", "normalized", "polyak"])
def test_runs_converge_to_the_limit_and_follow_the_modified_equation(name):
    """At the time that the small factor counts, with errors of the first and the second order."""
    method = OWN[name]
    values = {s.name: 0.5 for s in method.program.parameters if s.name not in ("gam", "f_star")}
    values |= {"f_star": 0.7} if name == "polyak" else {}
    until = 0.6
    errors: dict[int, list[float]] = {0: [], 1: []}
    runs = {n: method.run(BOWL, X0, n, gam=until / n, **values) for n in (20, 40)}
    blocks = method.consistent_with().blocks
    for order in errors:
        flow = method.modified_equation(order)
        made = od.System({"flow": flow.drift}, blocks=blocks, output=x)
        for n, run in runs.items():
            solved = made.simulate(
                BOWL, X0, until, rtol=1e-11, atol=1e-12, points=2,
                parameters={s.name: values.get(s.name, until / n) for s in made.parameters},
            )  # fmt: skip
            errors[order].append(float(np.abs(solved.x[-1] - run.x[-1]).max()))
    for order, (coarse, fine) in errors.items():
        assert np.log2(coarse / fine) == pytest.approx(order + 1, abs=0.12)


def test_iterates_are_compared_with_the_limit_at_its_own_times():
    method = euler(gam / (1 + NORM), "bounded").bind(gam=0.05)
    gap = od.analysis.convergence(method, BOWL, X0, 20)
    np.testing.assert_allclose(gap.t, 0.05 * np.arange(21))
    assert gap.order.order == pytest.approx(1, abs=0.1) and 0 < gap.gap.max() < 0.05
    with pytest.raises(od.OdescentError, match="has no small factor"):
        od.analysis.convergence(EXACT, BOWL, X0, 3)


def test_it_is_the_method_of_the_flow_at_that_speed():
    h = od.parameters("h")
    free = euler(gam / NORM)
    verdict = free.equivalent(od.algorithm("normalized_gradient_descent"), where={gam: h})
    assert verdict
    other = free.equivalent(od.algorithm("normalized_gradient_descent"), where={gam: 2 * h})
    assert other.verdict == "refuted"


def test_the_small_factor_is_found_named_or_missing():
    assert POLYAK.small == gam and EXACT.small is None
    assert euler(gam / NORM).small == gam
    two = euler(gam * c / NORM)
    assert two.small is None
    with pytest.raises(
        od.OdescentError, match=r"which of its factors c and gam is small, as in small=c"
    ):
        two.consistent_with()
    named = euler(gam * c / NORM, small=gam)
    assert vanishes(named.consistent_with().drift[x] + g * c / NORM)
    with pytest.raises(od.OdescentError, match=r"no small factor.*step=gam\*"):
        EXACT.modified_equation()
    with pytest.raises(od.OdescentError, match="not proportional to c"):
        euler(gam / (c + NORM), small=c)
    with pytest.raises(od.OdescentError, match="is for a step that depends on the state"):
        od.Algorithm(FLOW, "explicit_euler", small=gam)


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"step": od.inner(v, v)}, "uses the vector 'v', which no field moves"),
        ({"step": gam * od.sample("z", "uniform") / NORM}, "has the sample z"),
        ({"step": od.parameters("h") / NORM}, "has h in it, which is the step itself"),
        ({"step": gam / NORM, "tuning": {od.parameters("h"): 1}}, "h"),
        ({"step": gam / NORM, "clock": sp.Symbol("k") * gam}, "is the sum of its steps"),
        ({"step": g}, "step"),
    ],
)
def test_bad_steps(settings, sentence):
    with pytest.raises(od.OdescentError, match=sentence):
        od.Algorithm(FLOW, "explicit_euler", **settings)


def test_schemes_that_do_not_add_up_are_refused_whatever_the_step():
    half = od.Scheme((od.Flow((), "explicit", sp.Rational(1, 2)),), "half")
    with pytest.raises(od.NotConsistent, match="as h -> 0"):
        od.Algorithm(FLOW, half, step=gam / NORM)


# ends


def refused(run, number, size):
    said = f"step {number} would have the size {size}, but a step must be a positive number"
    assert run.stopped == "the size of the step" and run.steps == number - 1
    assert said in str(run) and run.reason.startswith("stopped by the size of the step after")
    assert all(np.isfinite(s).all() for s in (run.x, run.f, run.t)) and run.diverged_at is None


@pytest.mark.parametrize("options", [{}, {"every": 4}, {"chunk": 2, "statistics": ["mean"]}])
def test_a_step_that_is_no_positive_number_ends_a_run_before_it(options):
    refused(EXACT.run(QUADRATIC, np.zeros(3), 5, **options), 1, "nan")
    bent = od.Objective("f", lambda y: -jnp.sum(y**2) / 2)
    refused(EXACT.run(bent, X0, 5, **options), 1, "-1")
    straight = od.Objective("f", jnp.sum)
    refused(EXACT.run(straight, X0, 5, **options), 1, "inf")
    # what is said to be the least value is none: below it the step is negative
    fell = POLYAK.run(BOWL, X0, 200, f_star=1.05, gam=1.5, **options)
    last = fell.x[-1]
    assert bowl(last) < 1.05 < bowl(X0)
    refused(fell, fell.steps + 1, f"{1.5 * (bowl(last) - 1.05) / (slope(last) @ slope(last)):.3g}")


def test_each_run_of_a_batch_ends_before_its_own_step():
    starts = jnp.asarray([X0, np.zeros(3), 3 * X0])
    one = lambda y, **more: EXACT.run(QUADRATIC, y, 6, **more)
    for options in ({}, {"every": 2}, {"until": {"value": -1.0}}):
        batch = jax.jit(jax.vmap(lambda y, options=options: one(y, **options)))(starts)
        assert batch.stopped == [None, "the size of the step", None]
        assert list(batch.steps) == [6, 0, 6]
        for i, start in enumerate(starts):
            part = jax.tree.map(lambda a, i=i: a[i], batch).prefix()
            single = one(np.asarray(start), **options)
            np.testing.assert_array_equal(part.k, single.k)
            np.testing.assert_allclose(part.x, single.x, rtol=1e-12)
            np.testing.assert_allclose(part.t, single.t, rtol=1e-12)
            assert {*part.states} == {"x"}


def test_runs_resume_to_the_same_bits_and_differentiate(tmp_path):
    file = tmp_path / "run.npz"
    method = OWN["splitting"]
    run = lambda steps, **more: method.run(BOWL, X0, steps, every=3, gam=0.2, c=0.5, **more)
    run(10, resume=file)
    again, whole = run(25, resume=file), run(25)
    for p, q in zip(jax.tree.leaves(again), jax.tree.leaves(whole), strict=True):
        np.testing.assert_array_equal(p, q)
    last = lambda s: method.run(BOWL, jnp.asarray(X0), 8, gam=s, c=0.5).f[-1]
    quotient = (last(0.2 + 1e-6) - last(0.2 - 1e-6)) / 2e-6
    assert float(jax.grad(last)(0.2)) == pytest.approx(float(quotient), rel=1e-6)


def test_pytrees():
    tree = od.Objective("f", lambda y: jnp.sum(y["p"] ** 2) / 2 + 2 * jnp.sum(y["q"] ** 2))
    run = EXACT.run(tree, {"p": np.ones((2, 2)), "q": np.ones(3)}, 40)
    assert run.f[-1] < 1e-9 and run.x["p"].shape == (len(run.k), 2, 2)


def test_particles_have_one_step():
    cbo = od.algorithm("cbo")
    each = od.Algorithm(cbo.system, cbo.scheme, step=gam / (1 + od.inner(x, x)), name="each")
    crowd = np.random.default_rng(0).normal(size=(5, 2))
    with pytest.raises(od.OdescentError, match="would be another one for each particle"):
        each.run(od.objective("quadratic", eigenvalues=(1.0, 2.0)), crowd, 3, key=0, gam=0.1)


def test_the_command_line_says_why_a_run_ended():
    from typer.testing import CliRunner

    from odescent.cli import app

    given = [
        "simulate",
        "exact_line_search",
        "--objective",
        "quadratic",
        "--x0",
        "0",
        "--steps",
        "5",
    ]
    shown = CliRunner().invoke(app, given)
    assert "It was stopped by the size of the step after 0 steps." in shown.stdout
    assert "step 1 would have the size nan" in shown.stdout
    document = json.loads(CliRunner().invoke(app, [*given, "--json"]).stdout)
    assert document["stopped"] == "the size of the step" and document["steps"] == 0


# derivations


@pytest.mark.parametrize("name", OWN)
def test_derivations_hold_and_are_read_back(name):
    method = OWN[name]
    derivation = method.derivation()
    assert derivation.check()
    titles = [s.title for s in derivation.steps]
    assert "Step size" in titles and ("Limit flow" in titles) == (method.small is not None)
    assert ("limit h -> 0" in derivation.equations) == (method.small is not None)
    made = algorithm_from(method.to_dict()["exact"])
    assert made.tuned == method.tuned and made.size == method.size and made.small == method.small
    for step in derivation.steps:
        if step.title in ("Step size", "Decrease", "Kantorovich's inequality"):
            assert not any(wrong.verified for wrong in step.perturbed())


def test_kantorovich_s_factor_is_attained_and_never_exceeded():
    steps = {s.title: s for s in EXACT.derivation().steps}
    claims = {c.name: c.value for c in steps["Kantorovich's inequality"].claims}
    mu, L = 1.0, 10.0
    symbols = {s.name: s for s in claims["factor"].free_symbols}
    factor = float(claims["factor"].subs({symbols["mu"]: mu, symbols["L"]: L}))
    assert factor == pytest.approx((9 / 11) ** 2)
    worst = EXACT.run(QUADRATIC, np.array([1 / mu, 0.0, 1 / L]), 20).f
    np.testing.assert_allclose(worst[1:] / worst[:-1], factor, rtol=1e-9)
    rng = np.random.default_rng(0)
    for start in rng.normal(size=(20, 3)):
        values = EXACT.run(QUADRATIC, start, 5).f
        assert np.all(values[1:] <= factor * values[:-1] * (1 + 1e-12))


def test_the_bound_of_the_decrease_holds_where_the_constant_does():
    step = next(s for s in POLYAK.derivation().steps if s.title == "Decrease")
    (bound,) = (c.value for c in step.claims if c.name == "bound")
    h, L = (next(s for s in bound.free_symbols if s.name == n) for n in ("h", "L"))
    rng = np.random.default_rng(1)
    for start in rng.normal(size=(10, 3)) * 3:
        run = POLYAK.run(BOWL, start, 6, f_star=0.5)
        for k, size in enumerate(np.diff(run.t)):
            square = slope(run.x[k]) @ slope(run.x[k])
            most = float(bound.subs({od.inner(g, g): square, h: size, L: 2.0}))
            assert run.f[k + 1] - run.f[k] <= most + 1e-12


def test_numbers_of_the_emitted_step_are_those_of_the_expression():
    """The step in the emitted code, asked at a point, against the expression evaluated by hand."""
    from odescent.discretize.emit import load

    module = load(POLYAK, "numpy")
    asked = inspect.signature(module.step).parameters
    assert {"grad", "value"} <= {*asked}
    after = module.step(module.init(X0), grad=slope, value=bowl, c=module.coefficients())
    np.testing.assert_allclose(
        after.x, X0 - bowl(X0) / (slope(X0) @ slope(X0)) * slope(X0), rtol=1e-14
    )


def test_the_regularized_step_is_linearly_implicit_euler_over_the_time_of_the_radius():
    """G1: (H + (|g|/gam) I)^-1 g = t (I + t H)^-1 g at t = gam/|g|, proved though the operators differ by a factor."""
    x, f, gam = od.blocks("x"), od.Objective("f"), od.parameters("gam")
    g = f.grad(x)
    flow, scheme = od.system("gradient_flow"), od.scheme("linearly_implicit")
    one = od.Algorithm(flow, scheme, step=gam / sp.sqrt(od.inner(g, g)))
    other = od.Algorithm(
        od.system("regularized_newton_flow"), od.scheme("explicit_euler"), step=sp.S.One
    )
    assert one.equivalent(other).verdict == "proved"
    twice = od.Algorithm(flow, scheme, step=2 * gam / sp.sqrt(od.inner(g, g)))
    assert twice.equivalent(other).verdict == "refuted"
