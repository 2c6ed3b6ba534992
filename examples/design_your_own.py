"""Design an optimizer from a flow, and train the same network with it in optax and in PyTorch.

    python examples/design_your_own.py      # PyTorch is optional: pip install torch

Problem: classify the 8x8 digits of scikit-learn with a network of one hidden layer. The optimizer is written as a flow:
a ball with friction that is also damped along the curvature, v' = -c v - grad f(x), x' = v - a grad f(x) (Alvarez,
Attouch, Bolte, Redont, 2002, doi:10.1016/S0021-7824(01)01253-3). A scheme makes it an algorithm, which is emitted for
both frameworks.

Claim: what is emitted for one framework does the same as what is emitted for the other. The value is the largest
difference of the trained weights, the theory is 0; and the network learns.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_digits

import odescent as od

STEPS, FRICTION, STEP = 150, 1.0, 0.35

# The optimizer. Vectors are blocks, the gradient is an oracle; the step h stays a symbol until it is needed.
x, v = od.blocks("x v")
f = od.Objective("f")
a, c, h = od.parameters("a c h")
flow = od.System(
    {"damp": {v: -c * v}, "kick": {v: -f.grad(x)}, "drift": {x: v - a * f.grad(x)}}, output=x
)
scheme = od.scheme("lie_trotter", [("kick", "explicit"), ("damp", "exact"), ("drift", "explicit")])
mine = od.Algorithm(
    flow, scheme, step=h, where={a: h}, tuning={c: FRICTION, h: STEP}, name="damped_ball"
)

Weights = dict[str, np.ndarray]


def network(seed: int = 0) -> tuple[Weights, np.ndarray, np.ndarray]:
    """Weights of 64-32-10, images (n, 64) in [0, 1] and labels (n,)."""
    digits = load_digits()
    rng = np.random.default_rng(seed)
    weights = {
        "first": rng.normal(size=(64, 32)) / 8,
        "shift": np.zeros(32),
        "second": rng.normal(size=(32, 10)) / 32**0.5,
    }
    return weights, digits.data / 16, digits.target


def train_in_optax(weights: Weights, images: np.ndarray, labels: np.ndarray) -> Weights:
    """Full-batch training in JAX, in float64."""
    import optax

    with jax.enable_x64(True):
        images, chosen = jnp.asarray(images), jax.nn.one_hot(labels, 10, dtype=float)

        def loss(p: dict[str, jax.Array]) -> jax.Array:
            scores = jnp.tanh(images @ p["first"] + p["shift"]) @ p["second"]
            return -jnp.mean(jnp.sum(chosen * jax.nn.log_softmax(scores), axis=1))

        transform = mine.to_optax()

        @jax.jit
        def step(p, state):
            updates, state = transform.update(jax.grad(loss)(p), state, p)
            return optax.apply_updates(p, updates), state

        params = {n: jnp.asarray(w) for n, w in weights.items()}
        state = transform.init(params)
        for _ in range(STEPS):
            params, state = step(params, state)
        return {n: np.asarray(w) for n, w in params.items()}


def train_in_torch(weights: Weights, images: np.ndarray, labels: np.ndarray) -> Weights:
    """The same in PyTorch; ImportError where it is not installed."""
    import torch

    params = {n: torch.tensor(w, requires_grad=True) for n, w in weights.items()}
    optimizer = mine.to_torch(list(params.values()))
    inputs, targets = torch.tensor(images), torch.tensor(labels)
    for _ in range(STEPS):
        optimizer.zero_grad()
        scores = torch.tanh(inputs @ params["first"] + params["shift"]) @ params["second"]
        torch.nn.functional.cross_entropy(scores, targets).backward()
        optimizer.step()
    return {n: w.detach().numpy() for n, w in params.items()}


def accuracy(weights: Weights, images: np.ndarray, labels: np.ndarray) -> float:
    """The share of images whose largest score is the label's."""
    scores = np.tanh(images @ weights["first"] + weights["shift"]) @ weights["second"]
    return float((scores.argmax(1) == labels).mean())


def main() -> tuple[float, float]:
    """Derive, check and train; returns the largest difference between the two frameworks, and the theory's 0."""
    derivation = mine.derivation()
    print(derivation.text())
    assert derivation.verified

    weights, images, labels = network()
    ours = train_in_optax(weights, images, labels)
    learnt = accuracy(ours, images, labels)
    print(
        f"\noptax: {learnt:.1%} of the digits after {STEPS} steps, {accuracy(weights, images, labels):.1%} before"
    )
    assert learnt > 0.9

    theirs = train_in_torch(weights, images, labels)
    apart = max(float(np.abs(ours[n] - theirs[n]).max()) for n in ours)
    print(
        f"PyTorch: {accuracy(theirs, images, labels):.1%}; the weights differ by at most {apart:.0e}"
    )
    return apart, 0.0


if __name__ == "__main__":
    main()
