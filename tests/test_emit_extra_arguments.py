"""What a transformation is not given, as extra arguments: against loops, closed forms and optax."""

import inspect

import hand_loops
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hand_loops import L, quadratic

import odescent as od
from odescent.discretize.emit import source

x, y = od.blocks("x y")
s, b = od.parameters("s b")
f = od.Objective("f")


def go(opt, grad, params, steps, **more):
    """The parameters after each step, the start first."""
    state, rows = opt.init(params), [params]

    @jax.jit
    def step(params, state):
        given = {n: v(params) if n == "value" else v for n, v in more.items()}
        updates, state = opt.update(grad(params), state, params, **given)
        return optax.apply_updates(params, updates), state

    for _ in range(steps):
        params, state = step(params, state)
        rows.append(params)
    return np.array(rows)


TURN = np.array([[0.05, 1.0], [-1.0, 0.05]])


def test_extragradient_asks_for_the_operator():
    """A monotone game, on which one call a step goes round in circles."""
    operator = lambda z: jnp.asarray(TURN) @ z
    opt = od.algorithm("extragradient").to_optax(L=2.0)
    expected = hand_loops.extragradient(lambda z: TURN @ z, np.ones(2), 60, 2.0)
    np.testing.assert_allclose(
        go(opt, operator, jnp.ones(2), 60, operator_fn=operator), expected, atol=1e-14
    )


def test_a_leapfrog_asks_for_nothing():
    """One gradient a step: what the step adds at its end waits for the gradient that comes in."""
    grad, matrix, center, x0 = quadratic()
    opt = od.algorithm("dissipative_leapfrog").to_optax(c=0.5, h=0.2)
    asked = inspect.signature(opt.update).parameters.values()
    assert not [p for p in asked if p.kind is p.KEYWORD_ONLY]
    plain, h, damp = np.asarray(x0), 0.2, np.exp(-0.5 * 0.2 / 2)
    v, rows = np.zeros(6), [plain]
    for _ in range(40):
        v = damp * v - h / 2 * grad(plain)
        plain = plain + h * v
        v = damp * (v - h / 2 * grad(plain))
        rows.append(plain)
    found = go(opt, lambda p: matrix @ (p - center), jnp.asarray(x0), 40)
    np.testing.assert_allclose(found, rows, atol=1e-13)
    memory = [leaf for leaf in jax.tree.leaves(opt.init(x0)) if leaf.ndim]
    assert len(memory) == 1


def test_proximal_gradient_is_ista():
    """Lasso: the soft threshold, and the optimality conditions at the end."""
    grad, matrix, center, x0 = quadratic()
    weight = 2.0
    soft = lambda p, step, xp: xp.sign(p) * xp.maximum(xp.abs(p) - weight * step, 0)
    opt = od.algorithm("proximal_gradient").to_optax(L=L)
    rows, now = [np.asarray(x0)], np.asarray(x0)
    for _ in range(400):
        now = soft(now - grad(now) / L, 1 / L, np)
        rows.append(now)
    found = go(
        opt, lambda p: matrix @ (p - center), jnp.asarray(x0), 400,
        prox=lambda p, step: soft(p, step, jnp),
    )  # fmt: skip
    np.testing.assert_allclose(found, rows, atol=1e-13)
    last, slope = found[-1], grad(found[-1])
    assert (last == 0).any() and (last != 0).any()
    np.testing.assert_allclose(slope[last != 0], -weight * np.sign(last[last != 0]), atol=1e-9)
    assert (np.abs(slope[last == 0]) <= weight).all()


def test_mirror_descent_on_the_simplex_is_exponentiated_gradient():
    """map_dual = log and map_mirror = softmax: x_k is proportional to x_0 exp(-h sum of gradients)."""
    _, matrix, center, _ = quadratic()
    grad = lambda p: matrix @ (p - center)
    params = jnp.asarray([0.3, 0.2, 0.1, 0.1, 0.2, 0.1])
    opt = od.algorithm("mirror_descent").to_optax(h=0.1)
    found = go(opt, grad, params, 30, map_dual=jnp.log, map_mirror=jax.nn.softmax)
    total, now = np.zeros(6), np.asarray(params)
    for row in found:
        np.testing.assert_allclose(row, now, atol=1e-13)
        total = total + np.asarray(grad(now))
        now = np.asarray(params) * np.exp(-0.1 * total)
        now = now / now.sum()


def test_normalized_descent_takes_the_norm_of_the_whole_tree():
    params = {"a": jnp.asarray([3.0, 0.0]), "b": jnp.asarray(4.0), "c": None}
    opt = od.algorithm("normalized_gradient_descent").to_optax(h=0.5)
    updates, _ = opt.update(params, opt.init(params))
    np.testing.assert_allclose(updates["a"], [-0.3, 0.0], rtol=1e-15)
    np.testing.assert_allclose(updates["b"], -0.4, rtol=1e-15)


def test_polyaks_step_takes_the_value_as_optax_gives_it():
    """x+ = x - f / |g|^2 g with f at the parameters: a number, as for optax.polyak_sgd."""
    _, matrix, center, x0 = quadratic()
    value = lambda p: (p - center) @ (matrix @ (p - center)) / 2
    g = f.grad(x)
    ours = od.method({x: x - g * (f.value(x) / od.inner(g, g))}, output=x).to_optax()
    peer = optax.polyak_sgd(max_learning_rate=1e6)
    start = jnp.asarray(x0)
    given = (jax.grad(value), start, 50)
    np.testing.assert_allclose(
        go(ours, *given, value=value), go(peer, *given, value=value), atol=1e-12
    )


def test_a_value_elsewhere_is_a_function():
    """The decrease of a trial step scales the step."""
    _, matrix, center, x0 = quadratic()
    value = lambda p: (p - center) @ (matrix @ (p - center)) / 2
    g = f.grad(x)
    gain = f.value(x) - f.value(x - g * s)
    alg = od.method({x: x - g * (gain / od.inner(g, g))}, output=x, name="trial")
    found = go(alg.to_optax(s=0.1), jax.grad(value), jnp.asarray(x0), 20, value_fn=value)
    now = np.asarray(x0)
    for row in found:
        np.testing.assert_allclose(row, now, atol=1e-12)
        slope = np.asarray(matrix @ (now - center))
        now = now - slope * (value(now) - value(now - 0.1 * slope)) / (slope @ slope)


def test_hessian_products():
    """Gradient descent with the correction of its modified equation: x+ = x - s g - b H g."""
    _, matrix, center, x0 = quadratic()
    g = f.grad(x)
    alg = od.method({x: x - g * s - f.hess(x, g) * b}, output=x)
    grad = lambda p: matrix @ (p - center)
    product = lambda p, v: jax.jvp(grad, (p,), (v,))[1]
    found = go(alg.to_optax(s=0.05, b=0.002), grad, jnp.asarray(x0), 20, hvp=product)
    map_ = np.eye(6) - 0.05 * matrix - 0.002 * matrix @ matrix
    expected = [center + np.linalg.matrix_power(map_, k) @ (x0 - center) for k in range(21)]
    np.testing.assert_allclose(found, expected, atol=1e-13)


def test_two_functions_keep_their_gradients_apart():
    """The gradient of f comes in, that of g is asked for by name."""
    other = od.Objective("g")
    half = x - f.grad(x) * s
    alg = od.method({x: half - other.grad(half) * s}, output=x)
    found = go(
        alg.to_optax(s=0.1), lambda p: p, jnp.ones(2), 5, grad_g_fn=lambda p: 3 * (p - 1)
    )  # fmt: skip
    now = 1.0
    for row in found:
        np.testing.assert_allclose(row, now, rtol=1e-14)
        half = now - 0.1 * now
        now = half - 0.1 * 3 * (half - 1)


def test_the_key_decides_the_noise():
    """The same key, the same bits, in a batch of keys too; and Langevin's law at equilibrium."""
    opt = lambda key: od.algorithm("unadjusted_langevin").to_optax(h=0.1, key=key)
    start = jnp.zeros(3)
    last = lambda key: go_scan(opt(key), start, 400)
    keys = jax.random.split(jax.random.key(5), 2000)
    found = jax.jit(jax.vmap(last))(keys)
    np.testing.assert_array_equal(found[0], jax.jit(last)(keys[0]))
    # x+ = (1 - h) x + sqrt(2 h) xi has the variance 2 h / (1 - (1 - h)^2) = 1 / (1 - h / 2)
    variance, count = 1 / (1 - 0.05), found.size
    assert abs(found.mean()) < 5 * np.sqrt(variance / count)
    assert abs(found.var() - variance) < 5 * variance * np.sqrt(2 / count)
    with pytest.raises(od.OdescentError, match="needs a value of h and key"):
        od.algorithm("unadjusted_langevin").to_optax()


def go_scan(opt, params, steps):
    def body(carry, _):
        params, state = carry
        updates, state = opt.update(params, state, params)
        return (params + updates, state), None

    return jax.lax.scan(body, (params, opt.init(params)), None, length=steps)[0][0]


def test_a_prox_in_bfloat16_is_asked_in_bfloat16():
    params = jnp.ones(4, jnp.bfloat16)
    seen = []

    def prox(p, step):
        seen.append((p.dtype, step.dtype))
        return p / (1 + step)

    opt = od.algorithm("proximal_gradient").to_optax(L=4.0)
    updates, _ = opt.update(params, opt.init(params), params, prox=prox)
    assert updates.dtype == jnp.bfloat16 and seen == [(jnp.bfloat16, jnp.bfloat16)]


def test_the_contract_is_written_in_the_source():
    text = " ".join(source(od.algorithm("mirror_descent"), "optax").split())
    assert "they start where map_mirror(map_dual(params)) = params" in text
    assert "It needs the extra arguments map_mirror, map_dual." in text
    text = " ".join(source(od.algorithm("extragradient"), "optax").split())
    assert (
        "Update is given the operator of F there. It needs the extra argument operator_fn." in text
    )
    assert "float32" in text and "apply_if_finite" in text
    text = " ".join(source(od.algorithm("proximal_point"), "optax").split())
    assert "The gradients that update is given are not read." in text
