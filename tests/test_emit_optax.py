"""Emitted optax transformations against optax itself, hand-written ones, and textbook loops."""

import inspect

import hand_loops
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import sympy as sp
from emitted_runs import KINDS, carries, kind, made, update
from hand_loops import MU, L, quadratic, three_parameters

import odescent as od
from odescent.discretize.emit import load, source
from odescent.discretize.emit.transform.coupled import is_coupled

Q = np.sqrt(MU / L)
BETA = (1 - Q) / (1 + Q)


def iterate(opt, grad, params, steps, evaluate=None):
    """Gradient points (or outputs) of a transformation, the start first."""
    state = opt.init(params)
    update = jax.jit(opt.update)
    rows = []
    for _ in range(steps + 1):
        rows.append(params if evaluate is None else evaluate(state, params))
        updates, state = update(grad(params), state, params)
        params = optax.apply_updates(params, updates)
    return np.array(rows)


def hand_written(mu, L):
    """Nesterov's method as a person would write it for optax."""
    q = np.sqrt(mu / L)
    beta, c1, c2 = (1 - q) / (1 + q), (1 - q) / (1 + q) / L, 1 / L

    def update(updates, state, params=None):
        m = jax.tree.map(lambda m, g: beta * m - c1 * g, state, updates)
        return jax.tree.map(lambda m, g: m - c2 * g, m, updates), m

    return optax.GradientTransformation(lambda p: jax.tree.map(jnp.zeros_like, p), update)


def problem():
    grad, matrix, center, x0 = quadratic()
    return (lambda x: jnp.asarray(matrix) @ (x - center)), grad, jnp.asarray(x0)


@pytest.mark.parametrize(
    "name", ["gradient_descent", "heavy_ball", "nesterov_sc", "triple_momentum"]
)
def test_gradient_points_and_outputs_of_the_textbook(name):
    grad, plain, x0 = problem()
    given = {"L": L} if name == "gradient_descent" else {"mu": MU, "L": L}
    alg = od.algorithm(name)
    outputs, points = three_parameters(*hand_loops.coefficients(name, MU, L))(plain, x0, 60)
    np.testing.assert_allclose(iterate(alg.to_optax(**given), grad, x0, 60), points, atol=1e-12)
    evaluate = load(alg, "optax").eval_params
    np.testing.assert_allclose(
        iterate(alg.to_optax(**given), grad, x0, 60, evaluate), outputs, atol=1e-12
    )


def test_time_varying_momentum():
    grad, plain, x0 = problem()
    alg = od.algorithm("nesterov_c")
    outputs, points = hand_loops.nesterov_c(plain, x0, 60, L)
    np.testing.assert_allclose(iterate(alg.to_optax(L=L), grad, x0, 60), points, atol=1e-12)
    evaluate = load(alg, "optax").eval_params
    np.testing.assert_allclose(
        iterate(alg.to_optax(L=L), grad, x0, 60, evaluate), outputs, atol=1e-12
    )


def test_nesterov_is_optax_sgd_with_nesterov_momentum():
    """optax's trace t+ = g + beta t with update -lr (g + beta t+) is this with m = -lr beta t."""
    grad, _, x0 = problem()
    ours = od.algorithm("nesterov_sc").to_optax(mu=MU, L=L)
    peer = optax.sgd(1 / L, momentum=BETA, nesterov=True)
    hand = hand_written(MU, L)
    expected = iterate(peer, grad, x0, 100)
    np.testing.assert_allclose(iterate(ours, grad, x0, 100), expected, atol=1e-13)
    np.testing.assert_allclose(iterate(hand, grad, x0, 100), expected, atol=1e-13)


def test_heavy_ball_is_optax_sgd_with_momentum():
    grad, _, x0 = problem()
    alpha, beta, _, _ = hand_loops.coefficients("heavy_ball", MU, L)
    expected = iterate(optax.sgd(alpha, momentum=beta), grad, x0, 100)
    ours = od.algorithm("heavy_ball").to_optax(mu=MU, L=L)
    np.testing.assert_allclose(iterate(ours, grad, x0, 100), expected, atol=1e-12)


@pytest.mark.promotion
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_adam_is_optax_adam(dtype):
    settings = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
    ours = od.algorithm("adam").to_optax(h=0.01, **settings)
    peer = optax.adam(0.01, b1=0.9, b2=0.999, eps=1e-8)
    _, matrix, center, x0 = quadratic()
    matrix, center = jnp.asarray(matrix, dtype), jnp.asarray(center, dtype)
    grad = lambda x: matrix @ (x - center)
    x0 = jnp.asarray(x0, dtype)
    tolerance = 2e-6 if dtype == "float32" else 1e-14
    np.testing.assert_allclose(
        iterate(ours, grad, x0, 100), iterate(peer, grad, x0, 100), atol=tolerance
    )


def tree():
    return {
        "w": jnp.ones((3, 2)),
        "b": (jnp.arange(4.0), 2.0 * jnp.ones(())),
        "half": jnp.ones(5, jnp.bfloat16),
    }


def test_one_algorithm_of_every_kind_is_tried():
    tried = {kind(name): name for name in KINDS}
    assert len(tried) == len(KINDS)
    for name in od.algorithms():
        if is_coupled(od.algorithm(name).tuned):
            continue  # see test_emit_coupled
        assert kind(name) in tried or not carries(name, "optax"), f"KINDS lacks one like {name}"


@pytest.mark.parametrize("name", KINDS)
def test_trees_types_and_structure(name):
    """Every leaf keeps its shape and type, and nothing retraces from step to step."""
    opt, params, traces = made(name), tree(), []

    @jax.jit
    def step(params, state):
        traces.append(1)
        updates, state = update(opt, params, state, params)
        return optax.apply_updates(params, updates), state

    state = opt.init(params)
    before = jax.tree.map(lambda a: (a.shape, a.dtype), state)
    for _ in range(3):
        params, state = step(params, state)
    assert len(traces) == 1
    assert jax.tree.map(lambda a: (a.shape, a.dtype), state) == before
    same = jax.tree.map(lambda a, b: a.shape == b.shape and a.dtype == b.dtype, params, tree())
    assert all(jax.tree.leaves(same))


@pytest.mark.parametrize(
    "name", ["gradient_descent", "heavy_ball", "nesterov_sc", "nesterov_c", "triple_momentum"]
)
def test_linear_methods_need_no_parameters_and_one_buffer_at_most(name):
    opt = made(name)
    state = opt.init(tree())
    with_params, _ = opt.update(tree(), state, tree())
    without, _ = opt.update(tree(), state)
    assert all(
        jax.tree.leaves(jax.tree.map(lambda a, b: bool((a == b).all()), with_params, without))
    )
    memory = [leaf for leaf in jax.tree.leaves(state) if leaf.ndim > 0]
    assert len(memory) == (0 if name == "gradient_descent" else 3)


def test_hyper_parameters_change_without_recompiling():
    module = load(od.algorithm("nesterov_sc"), "optax")
    opt, traces = module.nesterov_sc(MU, L), []
    grad, _, x0 = problem()

    @jax.jit
    def step(params, state):
        traces.append(1)
        updates, state = opt.update(grad(params), state)
        return optax.apply_updates(params, updates), state

    params, state = step(x0, opt.init(x0))
    changed = state._replace(c=module.coefficients(MU, 2 * L))
    moved, _ = step(params, changed)
    assert len(traces) == 1
    expected, _ = module.nesterov_sc(MU, 2 * L).update(grad(params), changed)
    np.testing.assert_allclose(moved, optax.apply_updates(params, expected), rtol=1e-15)
    assert not np.allclose(moved, step(params, state)[0])


def test_hyper_parameters_can_be_vmapped():
    grad, _, x0 = problem()
    factory = load(od.algorithm("nesterov_sc"), "optax").nesterov_sc

    def last(big):
        opt = factory(MU, big)
        state, params = opt.init(x0), x0
        for _ in range(10):
            updates, state = opt.update(grad(params), state)
            params = optax.apply_updates(params, updates)
        return params

    batch = jax.vmap(last)(jnp.array([10.0, 20.0]))
    np.testing.assert_allclose(batch, [last(10.0), last(20.0)], rtol=1e-13)


@pytest.mark.promotion
def test_composes_with_optax():
    opt = optax.chain(optax.clip_by_global_norm(1.0), made("nesterov_sc"))
    params = tree()
    updates, _ = opt.update(params, opt.init(params), params)
    assert jax.tree.structure(updates) == jax.tree.structure(params)

    masked = optax.masked(made("nesterov_sc"), {"w": True, "b": False, "half": False})
    state = masked.init(params)
    updates, _ = masked.update(params, state, params)
    assert updates["b"][0] is params["b"][0]
    alone, _ = made("nesterov_sc").update(params["w"], made("nesterov_sc").init(params["w"]))
    np.testing.assert_array_equal(updates["w"], alone)

    labels = {"w": "fast", "b": ("slow", "slow"), "half": "slow"}
    parts = optax.partition({"fast": made("nesterov_sc"), "slow": made("adam")}, labels)
    updates, _ = parts.update(params, parts.init(params), params)
    np.testing.assert_array_equal(updates["w"], alone)


def test_none_leaves_stay_none():
    params = {"a": jnp.ones(3), "b": None}
    for name in KINDS:
        opt = made(name)
        state = opt.init(params)
        updates, state = update(opt, {"a": jnp.ones(3), "b": None}, state, params)
        assert updates["b"] is None and updates["a"].shape == (3,)
        if isinstance(opt, optax.GradientTransformationExtraArgs):
            continue  # their oracles are asked at all parameters
        full = {"a": jnp.ones(3), "b": jnp.ones(2)}
        updates, _ = opt.update({"a": jnp.ones(3), "b": None}, opt.init(full), full)
        assert updates["b"] is None


def test_donated_states_can_be_made_again():
    """init makes fresh arrays, so that donating a state does not break the transformation."""
    opt = made("nesterov_sc")
    step = jax.jit(lambda p, s: opt.update(p, s)[1], donate_argnums=1)
    for _ in range(2):
        step(jnp.ones(4), opt.init(jnp.ones(4)))


def test_bad_parameters_get_a_sentence():
    alg = od.algorithm("nesterov_sc")
    with pytest.raises(
        od.OdescentError, match=r"nesterov_sc needs a value of mu and L, as in to_optax\(mu="
    ):
        alg.to_optax()
    with pytest.raises(od.OdescentError, match="no parameter of nesterov_sc called 'l'"):
        alg.to_optax(mu=1, L=2, l=3)
    with pytest.raises(od.OdescentError, match="L must be at least mu"):
        alg.to_optax(mu=2, L=1)


x, y, z, w = od.blocks("x y z w")
s, b = od.parameters("s b")
f = od.Objective("f")


def test_a_first_gradient_elsewhere_is_asked_for():
    """The parameters then hold the output, and the gradient that comes in is not read."""
    grad, plain, x0 = problem()
    opt = od.method({x: x - f.grad(2 * x) * s}, output=x).to_optax(s=0.02)
    assert "grad_fn" in inspect.signature(opt.update).parameters
    params, state, now = x0, opt.init(x0), np.array(x0)
    for _ in range(20):
        updates, state = opt.update(None, state, params, grad_fn=grad)
        params, now = params + updates, now - 0.02 * plain(2 * now)
    np.testing.assert_allclose(params, now, atol=1e-13)


def test_a_step_that_is_not_linear_keeps_the_rest_of_its_gradient_point():
    """params = x + y, so x is params - y."""
    grad, plain, x0 = problem()
    alg = od.method(
        {x: x - od.elementwise(sp.sign, f.grad(x + y)) * s, y: y * b + f.grad(x + y) * s},
        output=x, init={y: x * 0},
    )  # fmt: skip
    opt, evaluate = alg.to_optax(s=0.02, b=0.7), load(alg, "optax").eval_params
    one, two, outputs = np.array(x0), np.zeros(6), []
    for _ in range(21):
        outputs.append(one)
        g = plain(one + two)
        one, two = one - 0.02 * np.sign(g), 0.7 * two + 0.02 * g
    np.testing.assert_allclose(iterate(opt, grad, x0, 20, evaluate), outputs, atol=1e-13)


def test_an_output_in_other_coordinates():
    """x = exp(z) stays positive: the parameters hold x, the memory z."""
    grad, plain, _ = problem()
    positive = jnp.arange(1.0, 7.0) / 4
    inside = od.elementwise(sp.exp, z)
    begin = od.elementwise(sp.log, od.blocks("x0"))
    alg = od.method({z: z - f.grad(inside) * s}, output=inside, init={z: begin})
    expected = [np.log(np.asarray(positive))]
    for _ in range(20):
        expected.append(expected[-1] - 0.02 * plain(np.exp(expected[-1])))
    np.testing.assert_allclose(
        iterate(alg.to_optax(s=0.02), grad, positive, 20), np.exp(expected), rtol=1e-13
    )


def test_refusals_say_why():
    matrix = od.blocks("H", kind="matrix")
    updates = {x: x - od.apply(matrix, f.grad(x)), matrix: matrix * b}
    alg = od.method(updates, output=x, init={matrix: od.identity})
    with pytest.raises(od.NotCarried, match=r"does not support .*: it multiplies matrices"):
        alg.source("optax")
    elsewhere = od.method({x: x - f.grad(x) * s}, output=x, init={x: 2 * od.blocks("x0")})
    with pytest.raises(od.NotCarried, match=r"parameters that start at x0, but x starts at 2\*x0"):
        elsewhere.source("optax")


def test_three_states():
    """Two averages of the gradient: complement coordinates of a linear step in three blocks."""
    g = f.grad(x)
    alg = od.method(
        {y: y * b + g, z: z * (b / 2) + y, x: x - (y + z) * s - g * (s / 3)},
        output=x - z * s, init={y: x * 0, z: x * 0},
    )  # fmt: skip
    grad, plain, x0 = problem()
    now, one, two = np.array(x0), np.zeros(6), np.zeros(6)
    points, outputs = [], []
    for _ in range(31):
        points.append(now)
        outputs.append(now - 0.02 * two)
        g0 = plain(now)
        now, one, two = now - 0.02 * (one + two) - 0.02 / 3 * g0, 0.7 * one + g0, 0.35 * two + one
    opt = alg.to_optax(s=0.02, b=0.7)
    np.testing.assert_allclose(iterate(opt, grad, x0, 30), points, atol=1e-12)
    evaluate = load(alg, "optax").eval_params
    np.testing.assert_allclose(iterate(opt, grad, x0, 30, evaluate), outputs, atol=1e-12)
    assert len(jax.tree.leaves(opt.init(x0)._replace(c=None))) == 2


def fista():
    """FISTA with its scalar recurrence t+ = (1 + sqrt(1 + 4 t^2)) / 2 as a block."""
    t = od.blocks("t", kind="scalar")
    big = sp.Symbol("L", positive=True)
    after = (1 + sp.sqrt(1 + 4 * t**2)) / 2
    now = y - f.grad(y) / big
    updates = {t: after, x: now, y: now + (now - x) * ((t - 1) / after)}
    return od.method(updates, output=x, init={t: sp.S.One}, name="fista")


def test_scalar_recurrences_in_every_backend():
    grad, plain, x0 = problem()
    old = point = np.array(x0)
    t, points, outputs = 1.0, [], []
    for _ in range(51):
        points.append(point)
        outputs.append(old)
        now, after = point - plain(point) / L, (1 + np.sqrt(1 + 4 * t**2)) / 2
        point, old, t = now + (t - 1) / after * (now - old), now, after
    opt, evaluate = fista().to_optax(L=L), load(fista(), "optax").eval_params
    np.testing.assert_allclose(iterate(opt, grad, x0, 50), points, atol=1e-13)
    np.testing.assert_allclose(iterate(opt, grad, x0, 50, evaluate), outputs, atol=1e-13)
    np.testing.assert_allclose(load(fista(), "numpy").run(plain, x0, 50, L), outputs, atol=1e-13)
    np.testing.assert_allclose(load(fista(), "jax").run(grad, x0, 50, L), outputs, atol=1e-13)
    opt.update(x0, opt.init(x0))  # reads no parameters


def optimized_loop(grad, x0, steps, mu, L):
    """OGM (mu = 0) and ITEM as Taylor and Drori write them, in A_k: outputs and gradient points."""
    q, A, x, z = mu / L, 0.0, x0, x0
    outputs, points = [x0], []
    for _ in range(steps):
        after = ((1 + q) * A + 2 * (1 + np.sqrt((1 + A) * (1 + q * A)))) / (1 - q) ** 2
        beta = A / ((1 - q) * after)
        delta = ((1 - q) ** 2 * after - (1 + q) * A) / (1 + q + q * A) / 2
        y = (1 - beta) * z + beta * x
        x, z, A = y - grad(y) / L, (1 - q * delta) * z + q * delta * y - delta / L * grad(y), after
        outputs.append(x)
        points.append(y)
    return outputs, points


def constant_step_scheme(grad, x0, steps, mu, L):
    """Nesterov's scheme I, L a^2 = (1 - a) gamma + a mu, after a first step with gamma = infinity."""
    y, x = x0, x0 - grad(x0) / L
    v, gamma = x, L
    outputs, points = [x0, x], [x0]
    for _ in range(steps - 1):
        a = (mu - gamma + np.sqrt((gamma - mu) ** 2 + 4 * L * gamma)) / (2 * L)
        after = (1 - a) * gamma + a * mu
        y = (a * gamma * v + after * x) / (gamma + a * mu)
        x, v = y - grad(y) / L, ((1 - a) * gamma * v + a * mu * y - a * grad(y)) / after
        gamma = after
        outputs.append(x)
        points.append(y)
    return outputs, points


@pytest.mark.parametrize(
    ("name", "loop", "mu"),
    [
        ("item", optimized_loop, MU),
        ("ogm", optimized_loop, 0.0),
        ("unified_nesterov", constant_step_scheme, MU),
    ],
)
def test_methods_with_a_moving_scale_in_every_backend(name, loop, mu):
    grad, plain, x0 = problem()
    outputs, points = loop(plain, np.asarray(x0), 50, mu, L)
    alg = od.algorithm(name)
    values = {"mu": MU, "L": L} if mu else {"L": L}
    opt, evaluate = alg.to_optax(**values), load(alg, "optax").eval_params
    np.testing.assert_allclose(iterate(opt, grad, x0, 49), points, atol=1e-12)
    np.testing.assert_allclose(iterate(opt, grad, x0, 50, evaluate), outputs, atol=1e-12)
    for target, g in (("numpy", plain), ("jax", grad)):
        np.testing.assert_allclose(
            load(alg, target).run(g, x0, 50, *values.values()), outputs, atol=1e-12
        )


def test_scalars_of_the_step_keep_their_names():
    """The linear algebra takes them as they are: few coefficients, short lines."""
    text = source(od.algorithm("unified_nesterov"), "optax")
    assert "        tau_1 = (tau * c.root_L + 1) / (tau * c.mu + c.root_L)\n" in text
    assert text.count(": Array\n") < 8 and max(map(len, text.splitlines())) <= 88


def test_a_first_gradient_kept_from_before_the_start():
    """The first gradient that comes in is the one that the initial memory needs."""
    F = od.Objective("F")
    first = F.operator(od.blocks("x0"))
    alg = od.method(
        {z: z - F.operator(z) * 2 * s + w * s, w: F.operator(z)}, output=z, init={w: first}
    )
    turn = np.array([[0.1, 1.0], [-1.0, 0.1]])
    xs = load(alg, "numpy").run(lambda v: turn @ v, np.ones(2), 30, 0.2)
    now, before = np.ones(2), turn @ np.ones(2)
    for _ in range(30):
        now, before = now - 0.4 * turn @ now + 0.2 * before, turn @ now
    np.testing.assert_allclose(xs[30], now, atol=1e-14)
    points = iterate(alg.to_optax(s=0.2), lambda v: jnp.asarray(turn) @ v, jnp.ones(2), 30)
    np.testing.assert_allclose(points, xs, atol=1e-14)


def test_a_method_that_is_not_translation_invariant_reads_the_parameters():
    """Weight decay: y+ - y depends on y itself."""
    alg = od.method({x: x * (1 - s * b) - f.grad(x) * s}, output=x)
    opt = alg.to_optax(s=0.1, b=0.3)
    updates, _ = opt.update(jnp.ones(2), opt.init(jnp.ones(2)), jnp.full(2, 2.0))
    np.testing.assert_allclose(updates, -0.1 * (1 + 0.3 * 2.0), rtol=1e-14)
    with pytest.raises(ValueError, match="reads the parameters"):
        opt.update(jnp.ones(2), opt.init(jnp.ones(2)))
