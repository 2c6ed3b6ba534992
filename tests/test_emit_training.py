"""Networks on images, trained for 100 steps with emitted transformations and with their references.

Larger images come from the folder named by ODESCENT_DATA (mnist.npz with x_train, y_train), where it is set.
"""

import functools
import os
from pathlib import Path

import hand_loops
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import odescent as od
from odescent.discretize.emit import load

STEPS = 100
BOUNDS = {"mu": 0.5, "L": 20.0}
ADAM = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
pytestmark = pytest.mark.promotion


@functools.cache
def digits():
    from sklearn.datasets import load_digits

    data = load_digits()
    return data.images[:128] / 16, data.target[:128]


@functools.cache
def mnist():
    folder = os.environ.get("ODESCENT_DATA")
    if not folder or not (Path(folder) / "mnist.npz").exists():
        pytest.skip("ODESCENT_DATA names no folder with mnist.npz")
    with np.load(Path(folder) / "mnist.npz", allow_pickle=False) as data:
        return data["x_train"][:256] / 255, data["y_train"][:256]


def mlp(key, side):
    one, two = jax.random.split(key)
    first = jax.random.normal(one, (side * side, 16), float) / side
    second = jax.random.normal(two, (16, 10), float) / 4
    return {"a": (first, jnp.zeros(16)), "b": (second, jnp.zeros(10))}


def through_mlp(params, images):
    flat = images.reshape(len(images), -1)
    hidden = jnp.tanh(flat @ params["a"][0] + params["a"][1])
    return hidden @ params["b"][0] + params["b"][1]


def conv(key, side):
    one, two = jax.random.split(key)
    kernel = jax.random.normal(one, (3, 3, 1, 6), float) / 3
    dense = jax.random.normal(two, (6 * (side // 2) ** 2, 10), float) / side
    return {"kernel": kernel, "shift": jnp.zeros(6), "dense": dense}


def through_conv(params, images):
    layout = ("NHWC", "HWIO", "NHWC")
    x = jax.lax.conv_general_dilated(
        images[..., None], params["kernel"], (1, 1), "SAME", dimension_numbers=layout
    )
    x = jnp.tanh(x + params["shift"])
    x = (x[:, ::2, ::2] + x[:, 1::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, 1::2]) / 4
    return x.reshape(len(x), -1) @ params["dense"]


NETWORKS = {"mlp": (mlp, through_mlp), "conv": (conv, through_conv)}


def task(network, dtype, data=digits):
    """The start and the loss, a mean of cross-entropies over all images."""
    images, labels = data()
    make, through = NETWORKS[network]
    params = jax.tree.map(lambda x: x.astype(dtype), make(jax.random.key(0), images.shape[1]))
    images, labels = jnp.asarray(images, dtype), jnp.asarray(labels)
    cross = optax.softmax_cross_entropy_with_integer_labels
    return params, lambda p: cross(through(p, images), labels).mean()


def trained(opt, params, loss):
    @jax.jit
    def run(params):
        def body(carry, _):
            params, state = carry
            updates, state = opt.update(jax.grad(loss)(params), state, params)
            return (optax.apply_updates(params, updates), state), None

        return jax.lax.scan(body, (params, opt.init(params)), None, length=STEPS)[0]

    return run(params)


def close(a, b, dtype):
    """To the rounding of the type: 100 steps do not blow it up by more than a thousand."""
    tolerance = {"float32": 3e-5, "float64": 1e-12}[dtype]
    for one, other in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert one.dtype == dtype
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance)


def references():
    mu, L = BOUNDS.values()
    beta = float((1 - np.sqrt(mu / L)) / (1 + np.sqrt(mu / L)))  # a float64 array would promote
    step, heavy, _, _ = map(float, hand_loops.coefficients("heavy_ball", mu, L))
    return {
        "gradient_descent": ({"L": L}, optax.sgd(1 / L)),
        "nesterov_sc": (BOUNDS, optax.sgd(1 / L, momentum=beta, nesterov=True)),
        "heavy_ball": (BOUNDS, optax.sgd(step, momentum=heavy)),
        "adam": ({"h": 1e-2, **ADAM}, optax.adam(1e-2, b1=0.9, b2=0.999, eps=1e-8)),
    }


@pytest.mark.parametrize(
    ("network", "dtype"),
    [
        ("mlp", "float32"),
        ("mlp", "float64"),
        ("conv", "float32"),
        ("conv", "float64"),
    ],
)
@pytest.mark.parametrize("name", references())
def test_it_trains_as_optax_does(name, network, dtype):
    given, peer = references()[name]
    params, loss = task(network, dtype)
    found, _ = trained(od.algorithm(name).to_optax(**given), params, loss)
    close(found, trained(peer, params, loss)[0], dtype)
    assert loss(found) < 0.8 * loss(params)


@pytest.mark.parametrize("network", NETWORKS)
def test_triple_momentum_is_the_textbooks(network):
    """xi+ = (1 + beta) xi - beta xi_- - alpha g(y), y = (1 + gamma) xi - gamma xi_-, tree by tree."""
    params, loss = task(network, "float64")
    alg = od.algorithm("triple_momentum")
    found, state = trained(alg.to_optax(**BOUNDS), params, loss)
    alpha, beta, gamma, delta = hand_loops.coefficients("triple_momentum", *BOUNDS.values())
    mix = lambda c, a, b: jax.tree.map(lambda p, q: (1 + c) * p - c * q, a, b)
    gradient = jax.jit(jax.grad(loss))
    old = now = params
    for _ in range(STEPS):
        g = gradient(mix(gamma, now, old))
        old, now = now, jax.tree.map(lambda p, u: p - alpha * u, mix(beta, now, old), g)
    close(found, mix(gamma, now, old), "float64")
    output = load(alg, "optax").eval_params(state, found)
    close(output, mix(delta, now, old), "float64")
    assert loss(output) < 0.8 * loss(params)


@pytest.mark.parametrize("name", ["nesterov_sc", "heavy_ball", "adam"])
def test_it_trains_as_torch_does(name):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    params, loss = task("mlp", "float64")
    images, labels = digits()
    leaves = {n: torch.tensor(np.asarray(v), requires_grad=True)
              for n, v in zip("wxyz", jax.tree.leaves(params), strict=True)}  # fmt: skip
    mu, L = BOUNDS.values()
    beta = (1 - np.sqrt(mu / L)) / (1 + np.sqrt(mu / L))
    step, heavy, _, _ = hand_loops.coefficients("heavy_ball", mu, L)
    peer = {
        "nesterov_sc": lambda p: torch.optim.SGD(p, 1 / L, momentum=beta, nesterov=True),
        "heavy_ball": lambda p: torch.optim.SGD(p, step, momentum=heavy),
        "adam": lambda p: torch.optim.Adam(p, 1e-2, betas=(0.9, 0.999), eps=1e-8),
    }[name](leaves.values())
    flat, target = torch.tensor(images.reshape(len(images), -1)), torch.tensor(labels)
    for _ in range(STEPS):
        peer.zero_grad()
        hidden = torch.tanh(flat @ leaves["w"] + leaves["x"])
        made = torch.nn.functional.cross_entropy(hidden @ leaves["y"] + leaves["z"], target)
        made.backward()
        peer.step()
    found, _ = trained(od.algorithm(name).to_optax(**references()[name][0]), params, loss)
    for ours, theirs in zip(jax.tree.leaves(found), leaves.values(), strict=True):
        np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=0, atol=1e-11)


@pytest.mark.parametrize("network", NETWORKS)
def test_on_larger_images(network):
    given, peer = references()["nesterov_sc"]
    params, loss = task(network, "float32", mnist)
    found, _ = trained(od.algorithm("nesterov_sc").to_optax(**given), params, loss)
    close(found, trained(peer, params, loss)[0], "float32")
    assert loss(found) < 0.8 * loss(params)
