"""Methods with samples: limits that average, modified equations, textbook loops, and what the laws make of a run."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp
from programs import Machine

import odescent as od
from odescent import replay
from odescent.discretize import weak_modified_equation
from odescent.discretize.emit import load
from odescent.discretize.expansion.backward_error import limit_flow
from odescent.dynamics.algebra.calculus import symbols_of, vanishes
from odescent.dynamics.algebra.operators import diagonal
from odescent.dynamics.algebra.vectors import VectorSymbol
from odescent.dynamics.samples.sample import dimension_of
from odescent.dynamics.stochastic.coordinates import Coordinates

LAWS = ("normal", "rademacher", "sphere", "uniform", "coordinate")
x = od.blocks("x")
f = od.Objective("f")
r, h = od.parameters("r h")
g = f.grad(x)
EULER = od.scheme("explicit_euler")


def euler(field: object, **options: object) -> od.Algorithm:
    return od.Algorithm(od.System({"sampled": {x: field}}), EULER, step=h, **options)


def directional(law: str) -> object:
    z = od.sample("z", law, like=x)
    return -z * od.inner(z, g)


def two_point(law: str, one_sided: bool = False) -> object:
    z = od.sample("z", law, like=x)
    if one_sided:
        return (f.value(x) - f.value(x + r * z)) / r * z
    return (f.value(x - r * z) - f.value(x + r * z)) / (2 * r) * z


def test_the_modified_equation_of_a_random_direction_is_found() -> None:
    """Drift -(1 + h H/2) g and covariance h (g g^T + |g|^2 1): O2, found and not typed."""
    found = euler(directional("normal")).modified_equation(1)
    hg = f.grad(x, along=(g,))
    assert vanishes(found.drift[x] + g + hg * (h / 2))
    noise = od.outer(g, g) + od.identity * od.inner(g, g)
    assert vanishes(found.covariance[x, x] - noise * h)
    assert "covariance of the noise on x" in str(found) and "Cov" in found.latex()


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("kind", ["directional", "two points", "one-sided"])
def test_it_is_that_of_the_expansion_in_coordinates(law: str, kind: str) -> None:
    """Two engines: means of vectors, and moments of coordinates."""
    fields = {
        "directional": (directional(law), {}),
        "two points": (two_point(law), {r: h}),
        "one-sided": (two_point(law, True), {r: h}),
    }
    field, where = fields[kind]
    method = euler(field, where=where)
    functions = {"f": lambda a, b: a**3 * b / 3 + a**2 + b**2 / 2 + a * b**3 / 7}
    wanted = weak_modified_equation(method, 1, dimension=2, functions=functions)
    found, form, two = (
        method.modified_equation(1),
        Coordinates(2, functions),
        {dimension_of("x"): 2},
    )
    for e, s in zip(form.vector(found.drift[x]), wanted.state, strict=True):
        assert sp.expand(e.subs(two) - wanted.drift[s]) == 0
    along = VectorSymbol("u")
    rows = form.vector(od.apply(found.covariance[x, x], along))
    matrix = sp.Matrix([[sp.diff(e, s) for s in form.symbols(along)] for e in rows]).subs(two)
    assert (matrix - wanted.covariance).expand() == sp.zeros(2, 2)


def test_a_radius_of_the_order_of_the_step_leaves_its_bias_in_the_second_order() -> None:
    """-(h^2/2) E D^3 f[z, z] of a central difference, and the rest as for an exact direction, against coordinates."""
    method = euler(two_point("normal"), where={r: h})
    assert vanishes(limit_flow(method).drift[x] + g)
    functions = {"f": lambda a: a**4 + a**3 / 3}
    (state,) = Coordinates(1, functions).symbols(x)
    found = method.modified_equation(2).terms[2][x]
    third = od.mean(found)  # E D^3 f[z, z] in one dimension is f'''
    size, slope = od.inner(g, g), functions["f"](state).diff(state)
    e = sum(
        c.subs(size, slope**2) * t
        for c, t in zip(
            third.terms.values(), _in_one_dimension(third, functions, state), strict=True
        )
    )
    wanted = weak_drift(method, functions, state)
    assert sp.expand(e - wanted) == 0


def _in_one_dimension(v: object, functions: dict, state: sp.Symbol) -> list[sp.Expr]:
    """The atoms of a vector in one dimension, where a mean over z^2 is 1."""
    form, third = Coordinates(1, functions), functions["f"](state).diff(state, 3)
    return [third if str(a).startswith("E[") else form.vector(a)[0] for a in v.terms]


def weak_drift(method: od.Algorithm, functions: dict, state: sp.Symbol) -> sp.Expr:
    """The coefficient of h^2 in the drift of the logarithm of the step's operator, in one dimension."""
    from odescent.discretize.weak.weak_error import step_operators
    from odescent.dynamics.stochastic.operators import logarithm

    terms = logarithm(step_operators(method, 3, 1, functions))
    return terms[2].coefficient(state)


@pytest.mark.parametrize("law", LAWS)
def test_the_limit_with_a_radius_is_the_flow_of_the_smoothed_function(law: str) -> None:
    method = euler(two_point(law))
    limit = limit_flow(method)
    assert vanishes(limit.drift[x] - od.mean(two_point(law)))
    fun, start = lambda p: jnp.sum(p**4) / 4 + p[0] * p[1], np.array([0.9, -0.4])
    flow = limit.bind(r=0.5).simulate(fun, start, 0.5).x[-1]
    own = method.system.bind(r=0.5).simulate(fun, start, 0.5).x[-1]
    np.testing.assert_allclose(own, flow, rtol=1e-9)
    runs = jax.vmap(lambda k: method.run(fun, start, 100, key=k, r=0.5, h=0.005).x[-1])(
        jax.random.split(jax.random.key(0), 400)
    )
    spread = np.std(np.asarray(runs), axis=0) / 20
    assert np.all(np.abs(np.mean(np.asarray(runs), axis=0) - flow) < 5 * spread + 0.01)


def test_a_memory_of_samples_is_refused_and_a_filter_of_them_averages() -> None:
    z, m = od.sample("z", "rademacher", like=x), od.blocks("m")
    a = od.parameters("a")
    entries = od.hadamard(z, f.grad(x, along=(z,)))
    square = od.hadamard(entries, entries)
    filtered = od.Algorithm(
        od.System({"filter": {m: a * (square - m)}, "descent": {x: -m}}, output=x), EULER, step=h
    )
    hessian = f.hessian(x)
    rows = diagonal(od.apply(hessian, hessian))
    assert vanishes(limit_flow(filtered).drift[m] - (rows - m) * a)
    kept = od.System(
        {"descent": {x: -m}}, blocks=[od.Block("m", role="memory")], output=x
    )  # fmt: skip
    # what is assigned in every step and read in it, or in the next one, is a value of one step
    scheme = od.Scheme((od.Let({m: square}), od.Flow("descent", "explicit")))
    for steps in (scheme, scheme.shifted()):
        limit = limit_flow(od.Algorithm(kept, steps, step=h))
        assert vanishes(limit.drift[x] + rows)
    scheme = od.Scheme((od.Let({m: m / 2 + square}), od.Flow("descent", "explicit")))
    for steps in (scheme, scheme.shifted()):
        method = od.Algorithm(kept, steps, step=h)
        with pytest.raises(
            od.OdescentError, match="the memory m keeps the sample z of earlier steps"
        ):
            limit_flow(method)


def test_a_call_at_a_sample_is_not_carried_to_the_next_step() -> None:
    """g(x+) is asked for at the end of a step and in the next one; where x+ has a sample in it, it is asked again."""
    m, z = od.blocks("m"), od.sample("z", like=x)
    for kick, carried in ((z, False), (x, True)):
        fields = {"descent": {x: -g}, "kick": {x: kick}, "average": {m: g - m}}
        scheme = od.scheme("lie_trotter", [(name, "explicit") for name in fields])
        method = od.Algorithm(od.System(fields, output=x), scheme, step=h)
        assert len(method.own_program.calls) == 2
        assert (len(method.program.calls) == 1) == carried


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("target", ["numpy", "jax"])
def test_emitted_samples_have_their_law(law: str, target: str) -> None:
    """x+ = x + h (z - g) from zero, where g is zero: mean, covariance and fourth moments of a step."""
    z = od.sample("z", law, like=x)
    method = euler(z - g)
    module = load(method, target)
    zero = lambda p: p * 0
    n = 20_000 if target == "jax" else 4_000
    if target == "jax":
        state, c = module.init(jnp.zeros(3)), module.coefficients(1.0)
        draw = lambda k: module.output(module.step(state, zero, c, k), c)
        made = np.asarray(jax.vmap(draw)(jax.random.split(jax.random.key(3), n)))
    else:
        rng, c = np.random.default_rng(3), module.coefficients(1.0)
        state = module.init(np.zeros(3))
        made = np.array([module.output(module.step(state, zero, c, rng), c) for _ in range(n)])
    own = od.dynamics.sample("z", law, like=x).law
    for index in ((1, 0, 0), (2, 0, 0), (1, 1, 0), (4, 0, 0), (2, 2, 0)):
        values = np.prod(made ** np.array(index), axis=1)
        error = 5 * values.std() / np.sqrt(n) + 1e-6
        assert abs(values.mean() - float(own.moment(index))) < error, index


Q = np.array([[3.0, 1.0, 0.5], [1.0, 2.0, -0.3], [0.5, -0.3, 1.0]])
CUBIC = np.array([0.4, -0.2, 0.3])
GRAD = lambda p: Q @ p + CUBIC * p**2
HESS = lambda p, u: Q @ u + 2 * CUBIC * p * u
VALUE = lambda p: p @ Q @ p / 2 + np.sum(CUBIC * p**3) / 3
START = np.array([0.7, -0.5, 0.4])


def machine(method: od.Algorithm, **values: object) -> Machine:
    oracles = {"grad_f": GRAD, "grad_f_2": HESS, "value_f": VALUE}
    return Machine(method.tuned, oracles, **values)


def test_mezo_by_hand() -> None:
    made, rng = machine(od.algorithm("zeroth_order"), h=0.01, r=0.1), np.random.default_rng(0)
    state, p = made.init(START), START
    for k in range(20):
        z = rng.standard_normal(3)
        state = made.step(state, k, {"z": z})
        p = p - 0.01 * (VALUE(p + 0.1 * z) - VALUE(p - 0.1 * z)) / 0.2 * z
        np.testing.assert_allclose(made.output(state), p, rtol=1e-12)


def test_a_sketch_by_hand() -> None:
    made = machine(od.algorithm("sketched_gradient_descent", rows=3), h=0.01)
    rng, state, p = np.random.default_rng(0), made.init(START), START
    for k in range(20):
        R = rng.standard_normal((3, 3)) / np.sqrt(3)
        state = made.step(state, k, {f"z{i + 1}": R[i] * np.sqrt(3) for i in range(3)})
        p = p - 0.01 * R.T @ (R @ GRAD(p))
        np.testing.assert_allclose(made.output(state), p, rtol=1e-12)


def test_adahessian_by_hand() -> None:
    rate, b1, b2, eps = 0.05, 0.9, 0.99, 1e-6
    made = machine(od.algorithm("adahessian"), h=rate, beta1=b1, beta2=b2, eps=eps)
    rng, state, p, m, s = np.random.default_rng(0), made.init(START), START, 0 * START, 0 * START
    for k in range(30):
        z = np.sign(rng.standard_normal(3))
        state = made.step(state, k, {"z": z})
        d = z * HESS(p, z)
        m, s = b1 * m + (1 - b1) * GRAD(p), b2 * s + (1 - b2) * d * d
        p = p - rate * (m / (1 - b1 ** (k + 1))) / (np.sqrt(s / (1 - b2 ** (k + 1))) + eps)
        np.testing.assert_allclose(made.output(state), p, rtol=1e-10)


def test_adahessian_is_the_same_in_other_units_of_the_coordinates() -> None:
    """On a separable function with eps = 0: f along the iterates does not change under a diagonal scale."""
    scales = np.array([100.0, 1.0, 0.01])
    curved = jnp.array([1.0, 3.0, 0.5])
    method = od.algorithm("adahessian")

    def values(d: np.ndarray) -> np.ndarray:
        fun = lambda p: jnp.sum(curved * (p * d) ** 2) / 2 + jnp.sum((p * d) ** 4) / 20
        run = method.run(fun, START / d, 60, key=1, h=0.05, beta1=0.9, beta2=0.99, eps=1e-300)
        return np.asarray(run.f)

    plain = values(np.ones(3))
    np.testing.assert_allclose(values(scales), plain, rtol=1e-11)
    np.testing.assert_array_equal(values(np.array([1024.0, 1.0, 1 / 4096])), plain)
    assert plain[-1] < 0.05 * plain[0]


@pytest.mark.parametrize("normalized", [False, True])
def test_gradient_transport_by_hand(normalized: bool) -> None:
    """d = (1 - eta) d + eta g(x + (1 - eta)/eta (x - x_-)), x+ = x - h d, or h d/|d|."""
    rate, keep = 0.05, 0.8
    made = machine(
        od.algorithm("implicit_gradient_transport", normalized=normalized), h=rate, beta=keep
    )
    state = made.init(START)
    d = GRAD(START) if normalized else 0 * START
    unit = (lambda v: v / np.linalg.norm(v)) if normalized else (lambda v: v)
    before, p = START + rate * unit(d), START
    for k in range(25):
        state = made.step(state, k)
        d = keep * d + (1 - keep) * GRAD(p + keep / (1 - keep) * (p - before))
        before, p = p, p - rate * unit(d)
        np.testing.assert_allclose(made.output(state), p, rtol=1e-10)


@pytest.mark.parametrize("normalized", [False, True])
def test_hessian_aided_momentum_by_hand(normalized: bool) -> None:
    """d = (1 - eta) (d + H(y)(x - x_-)) + eta g(x), y = u x + (1 - u) x_-, and x+ = x - h d, or h d/|d|."""
    rate, keep = 0.05, 0.8
    made = machine(od.algorithm("hessian_aided_momentum", normalized=normalized), h=rate, beta=keep)
    state, rng = made.init(START), np.random.default_rng(2)
    d = GRAD(START) if normalized else 0 * START
    unit = (lambda v: v / np.linalg.norm(v)) if normalized else (lambda v: v)
    p = START
    for k in range(25):
        u = rng.uniform()
        state = made.step(state, k, {"u": u})
        before, p = p, p - rate * unit(d)
        y = u * p + (1 - u) * before
        d = keep * (d + HESS(y, p - before)) + (1 - keep) * GRAD(p)
        np.testing.assert_allclose(made.output(state), p, rtol=1e-10)


def test_the_lags_of_averages() -> None:
    """T H g of an average, (T^2/2) D^3 f[g, g] of a look-ahead, and none with the Hessian: T1 and T2."""
    d, T, tau = od.blocks("d"), *od.parameters("T tau")
    hg = f.grad(x, along=(g,))
    third = od.dynamics.derivative(
        od.dynamics.derivative(g, {x: VectorSymbol("u")}), {x: VectorSymbol("w")}
    )
    third = od.dynamics.substitute(third, {VectorSymbol("u"): g, VectorSymbol("w"): g})
    plain = od.system("averaged_gradient_flow").with_fast({d: T}).slow_manifold(2)[d]
    ahead = od.system("averaged_gradient_flow", correction="look_ahead").bind({tau: T})
    ahead = ahead.with_fast({d: T}).slow_manifold(2)[d]
    aided = od.system("averaged_gradient_flow", correction="hessian")
    assert vanishes(plain[1] - hg)
    assert vanishes(ahead[1]) and vanishes(ahead[2] - third / 2)
    assert all(vanishes(e) for e in aided.with_fast({d: T}).slow_manifold(2)[d][1:])
    assert vanishes(aided.derivative(d - g) + (d - g) / T)


def test_gradient_transport_without_normalization_is_gradient_descent_seen_at_an_average() -> None:
    """Its transfer function is -h/(z - 1), and an emitted optimizer moves the gradient's point: T4."""
    method = od.algorithm("implicit_gradient_transport")
    z = sp.Symbol("z")
    transfer = method.transfer_function()
    free = transfer.free_symbols - {s for s in transfer.free_symbols if s.name == "h"}
    (variable,) = free
    step = next(s for s in transfer.free_symbols if s.name == "h")
    assert sp.simplify(transfer.subs(variable, z) + step / (z - 1)) == 0
    module = load(method, "optax")
    made = module.implicit_gradient_transport(h=0.05, beta=0.8)
    params = jnp.asarray(START)
    state, own = made.init(params), machine(method, h=0.05, beta=0.8)
    kept = own.init(START)
    for k in range(10):
        kept = own.step(kept, k)
        update, state = made.update(jnp.asarray(GRAD(np.asarray(params))), state, params)
        params = params + update
        np.testing.assert_allclose(module.eval_params(state, params), own.output(kept), rtol=1e-12)


@pytest.mark.parametrize(
    "name",
    [
        "zeroth_order",
        "zeroth_order deferred",
        "sketched_gradient_descent",
        "adahessian",
        "federated_averaging",
        "hessian_aided_momentum",
        "implicit_gradient_transport",
    ],
)
def test_derivations_replay(name: str, tmp_path: object) -> None:
    name, *option = name.split()
    derivation = od.algorithm(name, **dict.fromkeys(option, True)).derivation()
    assert derivation.verified
    document = json.loads(json.dumps(derivation.to_dict()))
    assert replay.check_form(document) is not None
    for step in document["steps"]:
        found = replay.Arithmetic(document).step(step, document["algorithm"]["exact"])
        assert all(found.values()), [n for n, held in found.items() if not held]


def test_an_altered_covariance_is_found() -> None:
    document = json.loads(
        json.dumps(euler(directional("normal"), name="mine").derivation().to_dict())
    )
    step = next(s for s in document["steps"] if s["title"] == "Modified equation")
    claim = next(c for c in step["claims"] if c["name"].startswith("covariance"))
    before = json.dumps(claim["value"])
    claim["value"] = json.loads(before.replace('"1"', '"2"', 1)) if '"1"' in before else ["sum"]
    assert json.dumps(claim["value"]) != before
    found = replay.Arithmetic(document).step(step, document["algorithm"]["exact"])
    assert not all(found.values())


def test_methods_in_disguise_and_methods_that_are_not() -> None:
    z, v = od.sample("z", "rademacher", like=x), od.sample("v", "rademacher", like=x)
    normal = od.sample("z", like=x)
    one = euler(-z * od.inner(z, g))
    assert one.equivalent(euler(-v * od.inner(g, v))).verdict == "proved"
    assert one.equivalent(euler(-normal * od.inner(normal, g))).verdict != "proved"
    plain = euler(-g)
    assert one.equivalent(plain).verdict == "refuted"
    squares = euler(-od.hadamard(od.hadamard(z, z), g))  # which is gradient descent
    assert squares.equivalent(plain).verdict != "refuted"
    assert plain.equivalent(squares).verdict != "refuted"
    witness = str(plain.equivalent(one).reason)
    assert "the first draws of the other (1, 1), (-1, 1)" in witness
    assert symbols_of(squares.program.next[x]) is not None


def test_means_in_coordinates() -> None:
    """The bias of a central difference of x^4 is 12 r^2 x (O5), whatever the rest of the function."""
    quartic = {"f": lambda a, b: a**4 + a * b**2}
    found = od.dynamics.stochastic.in_coordinates(od.system("zeroth_order_flow"), 2, quartic)
    a, b = found.state
    assert sp.expand(found.drift[0] + 4 * a**3 + 12 * r**2 * a + b**2 + r**2) == 0
    assert sp.expand(found.drift[1] + 2 * a * b) == 0
    with pytest.raises(od.OdescentError, match="give polynomials for its functions"):
        od.dynamics.stochastic.in_coordinates(od.system("zeroth_order_flow"), 2)


def test_text_form() -> None:
    text = """
    blocks x
    parameters r > 0
    objective f
    sample z ~ sphere like x, u ~ uniform
    field sampled: x' = u*((f(x - r*z) - f(x + r*z))/(2*r))*z
    output x
    init x = x0
    """
    system = od.parse_system(text)
    assert [s.name for s in system.samples] == ["u", "z"]
    assert vanishes(system.mean_drift[x] - od.mean(two_point("sphere")) / 2)
    rows = "blocks x\nobjective f\nsample u ~ rows\nfield descent: x' = -batch f(x, u)\noutput x\ninit x = x0"
    assert vanishes(od.parse_system(rows).mean_drift[x] + g)


ROWS = np.random.default_rng(0).standard_normal((60, 3))
ANSWERS = ROWS @ np.array([1.0, -1.0, 2.0]) + 0.3 * np.random.default_rng(1).standard_normal(60)


def squares(**options: object) -> od.FiniteSum:
    return od.FiniteSum(
        "f", lambda p, row: (row[0] @ p - row[1]) ** 2 / 2, (ROWS, ANSWERS), **options
    )


@pytest.mark.parametrize("replace", [False, True])
def test_a_minibatch_has_the_law_of_the_rows(replace: bool) -> None:
    whole = squares(batch=8, replace=replace)
    point = jnp.array([0.5, 0.0, 1.0])
    residual = ROWS @ np.asarray(point) - ANSWERS
    each = residual[:, None] * ROWS
    np.testing.assert_allclose(whole.gradients(point), each, rtol=1e-12)
    np.testing.assert_allclose(whole.covariance(point), np.cov(each.T, bias=True), rtol=1e-10)
    np.testing.assert_allclose(whole.grad(point), each.mean(axis=0), rtol=1e-12)
    u = jax.random.uniform(jax.random.key(1), (8000,))
    made = np.asarray(jax.vmap(lambda s: whole.batch(point, s))(u))
    share = 1 / 8 if replace else (60 - 8) / 59 / 8
    wanted = np.cov(each.T, bias=True) * share
    assert np.all(np.abs(made.mean(axis=0) - each.mean(axis=0)) < 5 * made.std(axis=0) / 90)
    np.testing.assert_allclose(np.cov(made.T), wanted, atol=0.08 * np.trace(wanted))
    assert np.isclose(float(whole.variance(point)), np.trace(wanted), rtol=1e-10)
    picked = np.asarray(jax.vmap(whole.picked)(u[:200]))
    twice = [len(set(p)) < 8 for p in picked.tolist()]
    assert any(twice) if replace else not any(twice)
    assert set(picked.ravel().tolist()) == set(range(60))


def test_stochastic_gradient_descent_over_rows() -> None:
    """The mean step is gradient descent's, its noise has the covariance of a batch, and runs fit the data."""
    method, u = od.algorithm("sgd", noise="minibatch"), od.sample("u", "rows")
    found, e = method.modified_equation(1), f.batch(x, u)
    assert vanishes(limit_flow(method).drift[x] + g)
    noise = od.mean(od.outer(e, e)) - od.outer(g, g)
    assert vanishes(found.covariance[x, x] - noise * h)
    assert od.mean(e * od.inner(e, g)) != od.mean(e) * od.inner(g, g)
    run = method.run(squares(batch=8), np.zeros(3), 1500, key=0, h=0.02)
    best = np.linalg.lstsq(ROWS, ANSWERS, rcond=None)[0]
    np.testing.assert_allclose(run.x[-500:].mean(axis=0), best, atol=0.03)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (lambda: squares(batch=61), "a batch of 61 rows must not be larger than the 60 rows"),
        (lambda: squares(batch=0), "batch must be"),
        (lambda: od.FiniteSum("f", lambda p, row: 0.0, (ROWS, ANSWERS[1:])), "must have one number of rows"),
        (lambda: od.FiniteSum("f", lambda p, row: 0.0, ROWS[:0]), "must have one number of rows"),
        (lambda: squares().covariance(x), "covariance needs a point in numbers"),
    ],
)  # fmt: skip
def test_wrong_sums_get_a_sentence(wrong: object, sentence: str) -> None:
    with pytest.raises(od.OdescentError, match=sentence):
        wrong()
