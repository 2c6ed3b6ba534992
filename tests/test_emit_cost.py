"""What an emitted optax step costs, from XLA's own analysis, beside a hand-written one."""

import jax
import jax.numpy as jnp
import optax
import pytest
from emitted_runs import made

pytestmark = pytest.mark.cpu  # other compilers fuse otherwise


def compiled(opt, params):
    """One donated step, compiled."""

    def step(params, state, grads):
        updates, state = opt.update(grads, state)
        return optax.apply_updates(params, updates), state

    fresh = lambda: jax.tree.map(jnp.array, params)
    return jax.jit(step, donate_argnums=(0, 1)).lower(fresh(), opt.init(params), fresh()).compile()


def by_hand(momentum, step, look_ahead):
    """m+ = momentum m - step g and p+ = p + m+ - look_ahead g, with constants folded in."""

    def update(updates, state, params=None):
        if momentum == 0:
            return jax.tree.map(lambda g: -step * g, updates), state
        m = jax.tree.map(lambda m, g: momentum * m - step * g, state, updates)
        if look_ahead == 0:
            return m, m
        return jax.tree.map(lambda m, g: m - look_ahead * g, m, updates), m

    zeros = lambda p: jax.tree.map(jnp.zeros_like, p) if momentum else ()
    return optax.GradientTransformation(zeros, update)


def two_averages(h, beta1, beta2, eps):
    """Adam as Kingma and Ba's algorithm 1."""

    def update(updates, state, params=None):
        m, v, k = state
        k = k + 1
        m = jax.tree.map(lambda m, g: beta1 * m + (1 - beta1) * g, m, updates)
        v = jax.tree.map(lambda v, g: beta2 * v + (1 - beta2) * g * g, v, updates)
        a, b = 1 / (1 - beta1**k), 1 / (1 - beta2**k)
        made = jax.tree.map(lambda m, v: -h * (m * a) / (jnp.sqrt(v * b) + eps), m, v)
        return made, (m, v, k)

    zeros = lambda p: jax.tree.map(jnp.zeros_like, p)
    return optax.GradientTransformation(lambda p: (zeros(p), zeros(p), jnp.zeros(())), update)


@pytest.mark.promotion
@pytest.mark.parametrize("leaves", [1, 12])
@pytest.mark.parametrize(
    ("name", "hand"),
    [
        ("gradient_descent", by_hand(0, 0.1, 0)),
        ("heavy_ball", by_hand(0.5, 0.1, 0)),
        ("nesterov_sc", by_hand(0.5, 0.05, 0.1)),
        ("triple_momentum", by_hand(0.4, 0.05, 0.1)),
        ("adam", two_averages(0.01, 0.9, 0.99, 1e-6)),
    ],
)
def test_the_compiled_step_is_the_hand_written_one(name, hand, leaves):
    """From XLA's own analysis: nothing temporary, the same bytes but for the coefficients, as many fusions."""
    with jax.enable_x64(False):
        params = {f"p{i}": jnp.ones(4096 + 64 * i, jnp.float32) for i in range(leaves)}
        opt = made(name)
        ours, theirs = compiled(opt, params), compiled(hand, params)
        coefficients = sum(x.nbytes for x in jax.tree.leaves(opt.init(params).c))
    fusions = lambda c: c.as_text().count(" fusion(")
    assert fusions(ours) == fusions(theirs)
    moved = lambda c: c.cost_analysis()["bytes accessed"]
    assert 0 <= moved(ours) - moved(theirs) <= 2 * leaves * coefficients + 64
    temporary = ours.memory_analysis().temp_size_in_bytes
    assert temporary <= (256 if name == "adam" else 0)  # Adam's are scalars, by hand too
