"""The checks that optax runs over its own aliases, over every emitted transformation, and bad input."""

import functools
import io
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.tree_utils as otu
import pytest
from emitted_runs import (
    KINDS,
    TREES,
    carries,
    extra_arguments,
    in_spaces,
    made,
    numbers,
    update,
)
from hand_loops import MU, L, quadratic

import odescent as od
from odescent.discretize.emit import load
from odescent.discretize.emit.lowering.coefficients import in_order

SIMPLE = ["gradient_descent", "heavy_ball", "nesterov_sc", "triple_momentum", "adam", "ogda"]
pytestmark = pytest.mark.promotion


def tree():
    return {"w": jnp.linspace(0.5, 1.5, 6).reshape(3, 2), "b": (jnp.arange(1.0, 5.0), jnp.ones(()))}


def types(state):
    return jax.tree.map(lambda x: (jnp.shape(x), x.dtype), state)


@functools.cache
def opt_of(name):
    return made(name)


@pytest.mark.parametrize("name", KINDS)
def test_what_optax_asks_of_its_own(name):
    """Shapes without numbers, the same under jit, placeholders, an empty tree, unknown arguments."""
    opt, params = opt_of(name), tree()
    state = opt.init(params)
    assert types(jax.eval_shape(opt.init, params)) == types(state)
    plain, after = update(opt, params, state, params)
    jitted, same = jax.jit(functools.partial(update, opt))(params, state, params)
    for a, b in zip(jax.tree.leaves((plain, after)), jax.tree.leaves((jitted, same)), strict=True):
        if not jnp.issubdtype(a.dtype, jax.dtypes.prng_key):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)
    assert types(after) == types(state)
    otu.tree_map_params(opt, lambda v: v, state)
    nothing, _ = update(opt, {}, opt.init({}), {})
    assert nothing == {}
    general = optax.with_extra_args_support(opt)
    more = extra_arguments(opt, TREES, params)
    surprised, _ = general.update(params, state, params, **more, surprising=1)
    jax.tree.map(np.testing.assert_array_equal, surprised, plain)


@pytest.mark.parametrize("dtype", ["bfloat16", "float64"])
@pytest.mark.parametrize("name", KINDS)
def test_types_are_stable_and_memory_is_float32_at_least(name, dtype):
    """Updates come in the gradient's type; `lax.cond` sees the same types on both sides."""
    opt = opt_of(name)
    params = {"a": jnp.asarray([1.0, 2.0], dtype), "b": jnp.asarray(0.5, jnp.float32)}

    def step(params, state):
        moved = lambda: update(opt, params, state, params)
        updates, state = jax.lax.cond(params["b"] < 9, moved, lambda: (params, state))
        return updates, state

    state = opt.init(params)
    updates, after = jax.eval_shape(step, params, state)
    assert types(updates) == types(params)
    memory = [x.dtype for x in jax.tree.leaves(after) if x.shape]
    assert all(jnp.dtype(d).itemsize >= 4 for d in memory)


def parabola(dtype):
    final = jnp.asarray([1.0, -1.0, 1.0], dtype)
    return jnp.asarray([-1.0, 10.0, 1.0], dtype), final, lambda x: jnp.sum((x - final) ** 2)


def rosenbrock(dtype):
    value = lambda x: (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
    return jnp.zeros(2, dtype), jnp.ones(2, dtype), value


# Constants of the parabola are mu = L = 2; on rosenbrock, L bounds the curvature along the path.
TUNED = {
    "gradient_descent": ({"L": 4.0}, {"L": 600.0}),
    "heavy_ball": ({"mu": 1.0, "L": 4.0}, {"mu": 0.5, "L": 1000.0}),
    "nesterov_sc": ({"mu": 1.0, "L": 4.0}, {"mu": 0.1, "L": 1200.0}),
    "nesterov_c": ({"L": 4.0}, {"L": 1500.0}),
    "triple_momentum": ({"mu": 1.0, "L": 4.0}, {"mu": 0.1, "L": 1500.0}),
    "adam": (
        {"h": 0.1, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
        {"h": 0.01, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
    ),
    "rmsprop": ({"h": 5e-3, "beta2": 0.9, "eps": 1e-8}, {"h": 1e-3, "beta2": 0.9, "eps": 1e-8}),
    "adagrad": ({"rate": 1.0, "delta": 1e-7}, {"rate": 1.0, "delta": 1e-7}),
    "ogda": ({"L": 4.0}, {"L": 800.0}),
    "extragradient": ({"L": 4.0}, {"L": 1100.0}),
    "conformal_heavy_ball": ({"c": 1.0, "h": 0.3}, {"c": 2.0, "h": 0.03}),
    "dissipative_leapfrog": ({"c": 1.0, "h": 0.3}, {"c": 2.0, "h": 0.03}),
}


@pytest.mark.parametrize(("which", "dtype"), [("parabola", "float64"), ("rosenbrock", "float32")])
@pytest.mark.parametrize("name", TUNED)
def test_it_finds_the_minimum(name, which, dtype):
    params, final, value = {"parabola": parabola, "rosenbrock": rosenbrock}[which](dtype)
    opt = od.algorithm(name).to_optax(**TUNED[name][which == "rosenbrock"])
    grad = jax.grad(value)
    more = {"operator_fn": grad} if name == "extragradient" else {}

    def step(carry, _):
        params, state = carry
        updates, state = opt.update(grad(params), state, params, **more)
        return (optax.apply_updates(params, updates), state), None

    (found, _), _ = jax.lax.scan(step, (params, opt.init(params)), None, length=60_000)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, final, rtol=3e-2, atol=3e-2)


# hyper-parameters


@pytest.mark.parametrize("name", KINDS)
def test_inject_hyperparams_is_the_same_method(name):
    alg, params = od.algorithm(name), tree()
    noise = {"key": jax.random.key(3)} if alg.tuned.draws else {}
    opt = alg.to_optax(**numbers(alg), **noise)
    factory = getattr(load(alg, "optax"), name)
    values = [numbers(alg)[s.name] for s in in_order(alg.tuned.parameters)]
    injected = optax.inject_hyperparams(factory, tuple(noise), float)(*values, **noise)
    state, inner = opt.init(params), injected.init(params)
    one, two = params, params
    for _ in range(3):
        updates, state = update(opt, one, state, one)
        one = optax.apply_updates(one, updates)
        more = extra_arguments(opt, TREES, two)
        updates, inner = injected.update(two, inner, two, **more)
        two = optax.apply_updates(two, updates)
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-12, atol=1e-13), one, two)


def test_injected_hyper_parameters_change_without_recompiling():
    _, _, center, x0 = quadratic()
    factory = load(od.algorithm("nesterov_sc"), "optax").nesterov_sc
    opt, traces = optax.inject_hyperparams(factory)(mu=MU, L=L), []

    @jax.jit
    def step(params, state):
        traces.append(1)
        updates, state = opt.update(params - center, state, params)
        return optax.apply_updates(params, updates), state

    params, state = step(jnp.asarray(x0), opt.init(jnp.asarray(x0)))
    for big in (20.0, 40.0):
        state.hyperparams["L"] = jnp.asarray(big, float)
        moved, _ = step(params, state)
        q = np.sqrt(MU / big)
        beta = (1 - q) / (1 + q)
        m = beta * (state.inner_state.m - (params - center) / big)
        np.testing.assert_allclose(moved, params + m - (params - center) / big, rtol=1e-13)
    assert len(traces) == 1


def test_a_schedule_is_a_callable_of_the_step():
    """to_optax wraps with inject_hyperparams; the step of Adam as optax.adam takes it."""
    schedule = optax.exponential_decay(0.1, 5, 0.7)
    settings = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
    ours = od.algorithm("adam").to_optax(h=schedule, **settings)
    peer = optax.adam(schedule)
    _, matrix, center, x0 = quadratic()
    a = b = jnp.asarray(x0)
    left, right = ours.init(a), peer.init(b)
    for _ in range(30):
        u, left = ours.update(matrix @ (a - center), left, a)
        v, right = peer.update(matrix @ (b - center), right, b)
        a, b = a + u, b + v
        np.testing.assert_allclose(a, b, rtol=1e-7)
    with pytest.raises(ValueError, match="inject_hyperparams"):
        load(od.algorithm("adam"), "optax").adam(schedule, 0.9, 0.999, 1e-8)


def test_weight_decay_by_a_chain_is_the_method_on_the_regularized_function():
    _, matrix, center, x0 = quadratic()
    chained = optax.chain(optax.add_decayed_weights(0.3), made("triple_momentum"))
    alone = made("triple_momentum")
    a = b = jnp.asarray(x0)
    left, right = chained.init(a), alone.init(b)
    for _ in range(50):
        u, left = chained.update(matrix @ (a - center), left, a)
        v, right = alone.update(matrix @ (b - center) + 0.3 * b, right, b)
        a, b = a + u, b + v
    np.testing.assert_allclose(a, b, rtol=1e-13)


# wrappers, trees, checkpoints


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("nesterov_sc", "bfloat16"),
        ("nesterov_sc", "float32"),
        ("adam", "bfloat16"),
        ("ogda", "float32"),
    ],
)
def test_gradient_accumulation(name, dtype):
    """Four micro-batches make the step of their mean; nothing moves before."""
    params = jnp.asarray([1.0, 2.0], dtype)
    opt = optax.MultiSteps(opt_of(name), every_k_schedule=4)
    state = opt.init(params)
    for k in range(4):
        updates, state = opt.update(params * (k + 1), state, params)
        assert (np.asarray(updates, float) == 0).all() == (k < 3)
    mean, _ = opt_of(name).update(params * 2.5, opt_of(name).init(params), params)
    np.testing.assert_allclose(np.asarray(updates, float), np.asarray(mean, float), rtol=1e-6)


@pytest.mark.parametrize("name", SIMPLE)
def test_apply_if_finite_keeps_the_state(name):
    opt = optax.apply_if_finite(opt_of(name), 3)
    params = jnp.ones(3)
    _, state = opt.update(params, opt.init(params), params)
    updates, after = opt.update(params * jnp.nan, state, params)
    assert (updates == 0).all() and not after.last_finite
    jax.tree.map(np.testing.assert_array_equal, after.inner_state, state.inner_state)


@pytest.mark.parametrize("name", KINDS)
def test_checkpoints_go_on_where_they_were(name, tmp_path):
    """Through equinox's leaves and through flat arrays, half way."""
    opt, params = opt_of(name), tree()
    state = opt.init(params)
    if hasattr(state, "key"):
        raw = {"key": jax.random.PRNGKey(3)}
        alg = od.algorithm(name)
        opt = alg.to_optax(**numbers(alg), **raw)
        state = opt.init(params)
    step = jax.jit(functools.partial(update, opt))
    updates, state = step(params, state, params)
    params = optax.apply_updates(params, updates)
    expected, _ = step(params, state, params)
    file = io.BytesIO()
    eqx.tree_serialise_leaves(file, state)
    file.seek(0)
    blank = jax.eval_shape(opt.init, params)
    again = eqx.tree_deserialise_leaves(file, blank)
    leaves, structure = jax.tree.flatten(state)
    np.savez(tmp_path / "state.npz", *leaves)
    with np.load(tmp_path / "state.npz", allow_pickle=False) as data:
        flat = jax.tree.unflatten(structure, [jnp.asarray(data[n]) for n in data.files])
    for restored in (again, flat):
        updates, _ = step(params, restored, params)
        jax.tree.map(np.testing.assert_array_equal, updates, expected)


@pytest.mark.parametrize("name", od.algorithms())
def test_shapes_alone_and_the_value_are_taken_as_by_optax(name):
    """optax's own test_init_with_abstract_input and test_optimizers_accept_extra_args, over every method."""
    if not carries(name, "optax"):
        pytest.skip("the optax backend refuses it")
    opt, params = opt_of(name), in_spaces(od.algorithm(name), tree())
    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), params)
    state = opt.init(params)
    abstract = opt.init(shapes)
    assert types(abstract) == types(state)
    assert jax.tree.structure(abstract) == jax.tree.structure(state)
    more = {"value": TREES["value"](params), **extra_arguments(opt, TREES, params)}
    moved, _ = jax.jit(lambda g, s, p: opt.update(g, s, p, **more))(params, state, params)
    assert types(moved) == types(params)


@pytest.mark.parametrize("kind", [float, np.float32, np.asarray, jnp.asarray, jnp.float32])
def test_a_restored_state_brings_its_numbers_whatever_their_type(kind):
    """Of the update's two sources of hyper-parameters the state wins, until `_replace`; a schedule is read anew."""
    alg, params, g = od.algorithm("adam"), jnp.array([1.0, -2.0]), jnp.array([0.3, 0.4])
    rest = {"beta1": 0.9, "beta2": 0.99, "eps": 1e-8}
    make = lambda h: alg.to_optax(h=h, **rest)
    saved = make(kind(0.1)).init(params)
    old, new = make(kind(0.1)), make(kind(0.001))
    expected, _ = old.update(g, saved, params)
    leaves, structure = jax.tree.flatten(saved)
    restored = jax.tree.unflatten(structure, [np.asarray(x) for x in leaves])
    for state in (saved, restored):
        for updater in (new.update, jax.jit(new.update)):
            got, after = updater(g, state, params)
            np.testing.assert_allclose(got, expected, rtol=1e-6)
            np.testing.assert_allclose(got, -0.1 * np.sign(g), rtol=1e-6)  # Adam's first step
            assert float(after.c.h) == pytest.approx(0.1)
    changed = restored._replace(c=load(alg, "optax").coefficients(h=0.001, **rest))
    got, _ = new.update(g, changed, params)
    np.testing.assert_allclose(got, -0.001 * np.sign(g), rtol=1e-6)
    planned = make(lambda k: 0.01 + 0 * k)
    by_schedule, _ = planned.update(g, planned.init(params), params)
    np.testing.assert_allclose(by_schedule, -0.01 * np.sign(g), rtol=1e-6)


@functools.partial(jax.tree_util.register_dataclass, data_fields=["w", "b"], meta_fields=["tag"])
@dataclass
class Layer:
    w: jax.Array
    b: jax.Array | None
    tag: str = "dense"


@pytest.mark.parametrize("name", ["nesterov_sc", "adam", "sgd", "extragradient", "ogda"])
def test_any_tree_is_the_same_as_its_leaves(name):
    """Dataclasses, modules, lists, scalars, None, and types side by side."""
    linear = eqx.nn.Linear(2, 3, key=jax.random.key(0))
    params = [Layer(jnp.ones((2, 2)), None), linear, {"x": (2.0, jnp.ones(3, jnp.bfloat16))}]
    opt = opt_of(name)
    state = opt.init(params)
    updates, state = update(opt, params, state, params)
    moved = optax.apply_updates(params, updates)
    assert jax.tree.structure(moved) == jax.tree.structure(params)
    assert moved[2]["x"][1].dtype == jnp.bfloat16
    if name != "sgd":
        alone, _ = update(opt, linear.weight, opt.init(linear.weight), linear.weight)
        np.testing.assert_allclose(updates[1].weight, alone, rtol=1e-6)


def test_donation_vmap_and_parts():
    alg = od.algorithm("triple_momentum")
    opt = made("triple_momentum")
    step = jax.jit(opt.update, donate_argnums=(0, 1))
    for _ in range(2):
        step(jnp.ones(4), opt.init(jnp.ones(4)))
    batch = jax.vmap(lambda big: alg_step(alg, big))(jnp.asarray([10.0, 30.0]))
    np.testing.assert_allclose(batch, [alg_step(alg, 10.0), alg_step(alg, 30.0)], rtol=1e-13)
    params = {"a": jnp.ones(2), "b": jnp.ones(3)}
    parts = optax.multi_transform({"x": opt, "y": made("adam")}, {"a": "x", "b": "y"})
    updates, _ = parts.update(params, parts.init(params), params)
    alone, _ = opt.update(params["a"], opt.init(params["a"]))
    np.testing.assert_array_equal(updates["a"], alone)


def alg_step(alg, big):
    opt, params = alg.to_optax(mu=1.0, L=big), jnp.ones(3)
    state = opt.init(params)
    for _ in range(3):
        updates, state = opt.update(params * jnp.arange(1.0, 4.0), state)
        params = params + updates
    return params


def test_a_bfloat16_second_moment_is_right():
    """beta2 = 0.999 is 1 in bfloat16: in that type v would never move."""
    params = jnp.zeros(4, jnp.bfloat16)
    grads = jnp.asarray([0.5, 1.0, 2.0, 3.0], jnp.bfloat16)
    opt = od.algorithm("adam").to_optax(h=1e-3, beta1=0.9, beta2=0.999, eps=1e-8)
    state = opt.init(params)
    for _ in range(200):
        updates, state = opt.update(grads, state, params)
    expected = (1 - 0.999**200) * np.asarray(grads, float) ** 2
    np.testing.assert_allclose(state.v, expected, rtol=2e-5)
    np.testing.assert_allclose(np.asarray(updates, float), -1e-3, rtol=1e-2)


# bad input


@pytest.mark.parametrize("name", ["nesterov_sc", "adam", "extragradient", "halpern"])
def test_gradients_of_another_structure_or_shape(name):
    opt, params = opt_of(name), {"a": jnp.ones(3), "b": jnp.ones(2)}
    state = opt.init(params)
    with pytest.raises(ValueError, match="differ in structure"):
        update(opt, {"a": jnp.ones(3)}, state, params)
    with pytest.raises(ValueError, match=r"differ in shape: .*\(2,\)"):
        update(opt, {"a": jnp.ones(2), "b": jnp.ones(2)}, state, params)


@pytest.mark.parametrize("leaf", [np.arange(3), np.ones(2, complex), True])
@pytest.mark.parametrize("name", ["gradient_descent", "adam", "proximal_point"])
def test_parameters_that_are_not_real_numbers(name, leaf):
    with pytest.raises(ValueError, match="must be real floating-point arrays, but one is"):
        opt_of(name).init({"a": jnp.ones(2), "b": leaf})


def test_missing_extra_arguments():
    opt, params = opt_of("extragradient"), jnp.ones(2)
    with pytest.raises(TypeError, match="operator_fn"):
        opt.update(params, opt.init(params), params)
    with pytest.raises(ValueError, match="reads the parameters"):
        opt.update(params, opt.init(params), operator_fn=lambda x: x)
