# %% [markdown]
# # Train a network with your own optimizer
#
# An ordinary differential equation, a scheme, and a name are enough for an optimizer that trains a network. This
# notebook makes one, and trains a small classifier of handwritten digits with it, beside Adam.
#
# ## The optimizer
#
# A ball with friction, as in the notebook on deriving, but with *Hessian-driven damping*: friction that acts where
# the slope changes,
#
# $$ \ddot x + c\,\dot x + b\,\nabla^2 f(x)\,\dot x + \nabla f(x) = 0. $$
#
# With the velocity $v = \dot x + b\,\nabla f(x)$ no Hessian is left, since $\nabla^2 f(x)\,\dot x$ is the time
# derivative of $\nabla f(x)$.

# %%
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import optax
from sklearn.datasets import load_digits

import odescent as od

x, v = od.blocks("x v")
f = od.Objective("f")
b, c, h = od.parameters("b c h")
damp, kick = -c * v, (b * c - 1) * f.grad(x)
flow = od.System(
    {"damp": {v: damp}, "kick": {v: kick}, "drift": {x: v - b * f.grad(x)}},
    output=x,
    name="hessian_damped_ball",
)
flow

# %%
parts = [("damp", "exact"), ("kick", "explicit"), ("drift", "explicit")]
method = od.Algorithm(flow, od.scheme("lie_trotter", parts), step=h, name="hessian_damped_ball")
method

# %% [markdown]
# Is the flow the one that we wanted? The limit of the method for small steps, and the next order:

# %%
method.consistent_with().second_order()

# %%
method.modified_equation(1).second_order()

# %% [markdown]
# `to_optax` loads the emitted code as an optax transformation.
# `method.to_torch(model.parameters(), h=..., b=..., c=...)` is the same as a PyTorch optimizer.

# %%
mine = method.to_optax(h=0.3, b=0.1, c=0.6)

# %% [markdown]
# ## The network
#
# A perceptron with one hidden layer on the digits of scikit-learn (8 by 8 pixels), in batches of 128. The parameters
# of both optimizers are plausible and not tuned: the picture shows that ours trains a network, not that it is the
# best.

# %%
digits = load_digits()
rows = np.random.default_rng(0).permutation(len(digits.target))
images, labels = digits.data[rows].astype(np.float32) / 16, digits.target[rows]
train, test = slice(0, 1437), slice(1437, None)


def network(weights, x):
    hidden = jnp.tanh(x @ weights["in"] + weights["in bias"])
    return hidden @ weights["out"] + weights["out bias"]


def loss(weights, x, y):
    return optax.softmax_cross_entropy_with_integer_labels(network(weights, x), y).mean()


def initial(seed):
    first, second = jax.random.split(jax.random.key(seed))
    return {
        "in": jax.random.normal(first, (64, 32), jnp.float32) / 8,
        "in bias": jnp.zeros(32, jnp.float32),
        "out": jax.random.normal(second, (32, 10), jnp.float32) / 6,
        "out bias": jnp.zeros(10, jnp.float32),
    }


def trained(optimizer, steps=400, seed=0):
    """The weights after training, and the loss on all training rows after each step."""

    @jax.jit
    def step(weights, state, x, y):
        updates, state = optimizer.update(jax.grad(loss)(weights, x, y), state, weights)
        weights = optax.apply_updates(weights, updates)
        return weights, state, loss(weights, images[train], labels[train])

    weights = initial(seed)
    state = optimizer.init(weights)
    losses = [float(loss(weights, images[train], labels[train]))]
    for batch in np.random.default_rng(seed).integers(0, 1437, (steps, 128)):
        weights, state, now = step(weights, state, images[batch], labels[batch])
        losses.append(float(now))
    return weights, np.array(losses)


optimizers = {"hessian_damped_ball": mine, "adam": optax.adam(3e-3), "sgd": optax.sgd(0.3)}
runs = {name: trained(optimizer) for name, optimizer in optimizers.items()}
for name, (weights, losses) in runs.items():
    right = np.argmax(network(weights, images[test]), axis=1) == labels[test]
    print(f"{name:<20} loss {losses[-1]:.4f}, accuracy on the test rows {right.mean():.1%}")

# %%
curves = {name: losses for name, (_, losses) in runs.items()}
od.analysis.compute_convergence(curves, labels=("step", "training loss"))

# %% [markdown]
# ## What is proved, and what is not
#
# A certificate of this method holds for the class $F(\mu, L)$ of strongly convex functions with a bounded curvature.
# The loss of a network is not in that class: no certificate covers the training above, of this optimizer or of any
# other. For numbers that suit the class, here $F(1, 10)$, the rate is proved:

# %%
tuned = method.bind(h=Fraction(3, 10), b=Fraction(3, 10), c=2)
od.analysis.certify(tuned, mu=1, L=10)
