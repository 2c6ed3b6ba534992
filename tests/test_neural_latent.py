"""Latent ODEs, convolutional and augmented fields: against torch, SciPy and paper; what must not change does not."""

import diffrax as dfx
import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy.signal import correlate2d
from scipy.stats import norm

from odescent import OdescentError
from odescent.neural_de import ConvField, LatentODE, NeuralODEClassifier
from odescent.neural_de.models.latent import GRUEncoder, masked_nll

F = jnp.float64
CHEAP = {"rtol": 0.3, "atol": 0.3, "solver": dfx.Heun(), "dt0": 0.5}


def series(seed=0, batch=3, times=5, d=2):
    rng = np.random.default_rng(seed)
    t = jnp.asarray(np.sort(rng.uniform(0, 1, times)))
    x, mask = rng.normal(size=(batch, times, d)), rng.uniform(size=(batch, times, d)) < 0.6
    return t, jnp.asarray(x), jnp.asarray(mask)


def by_hand(e, times, x, mask):
    """The encoder of arXiv 1907.03907 for one sample, over the times at which it was observed, the last one first."""
    two = lambda n, v: np.tanh(v @ n.first.weight + n.first.bias) @ n.second.weight + n.second.bias
    sigmoid = lambda v: 1 / (1 + np.exp(-v))
    mean = deviation = np.zeros(e.width)
    since = times[-1]
    for t, v, m in zip(times[::-1], x[::-1], mask[::-1], strict=True):
        if not m.any():
            continue
        joined = np.concatenate([v * m, m, [since - t]])
        since = t
        whole = np.concatenate([mean, deviation, joined])
        u, r = sigmoid(two(e.update, whole)), sigmoid(two(e.reset, whole))
        new = two(e.new, np.concatenate([mean * r, deviation * r, joined]))
        mean = (1 - u) * new[: e.width] + u * mean
        deviation = np.abs((1 - u) * new[e.width :] + u * deviation)
    return np.split(two(e.head, np.concatenate([mean, deviation])), 2)


def test_the_encoder_is_a_loop_over_what_was_observed():
    encoder = GRUEncoder(2, 4, 3, 2, jr.key(0), F)
    t, x, mask = series()
    mean, log_variance = eqx.filter_jit(encoder)(t, x, mask)
    for i in range(3):
        a, b = by_hand(encoder, np.asarray(t), np.asarray(x[i]), np.asarray(mask[i]))
        np.testing.assert_allclose(mean[i], a, rtol=1e-10)
        np.testing.assert_allclose(log_variance[i], b, rtol=1e-10)


def test_what_was_not_observed_does_not_enter():
    """Values under the mask, and times at which nothing was seen, change nothing."""
    encoder = eqx.filter_jit(GRUEncoder(2, 4, 3, 2, jr.key(0), F))
    t, x, mask = series()
    reference = encoder(t, x, mask)
    other = encoder(t, jnp.where(mask, x, 99.0), mask)
    np.testing.assert_allclose(other, reference, rtol=1e-12)
    at = (t[2] + t[3]) / 2
    wider = [
        jnp.insert(a, 3, v, axis=axis) for a, v, axis in ((t, at, 0), (x, 5.0, 1), (mask, False, 1))
    ]
    np.testing.assert_allclose(encoder(*wider), reference, rtol=1e-10)


def test_a_latent_ode_with_a_known_field():
    """z' = -z: the decoded series is that of z0 exp(-(t - t0)); the divergence is torch's."""
    torch = pytest.importorskip("torch")
    field = lambda t, z: -z
    model = LatentODE(2, jr.key(1), latent=3, hidden=4, width=4, field=field, dtype=F)
    t, x, mask = series()
    again, divergence, solved = eqx.filter_jit(model)(t, x, mask, rtol=1e-8, atol=1e-8)
    mean, log_variance = eqx.filter_jit(model.encoder)(t, x, mask)
    decay = np.exp(-(t - t[0]))
    latent = np.asarray(decay)[None, :, None] * np.asarray(mean)[:, None]
    expected = latent @ np.asarray(model.decoder.weight) + np.asarray(model.decoder.bias)
    np.testing.assert_allclose(again, expected, rtol=1e-6, atol=1e-8)
    own = torch.distributions.Normal(
        torch.tensor(np.asarray(mean)), torch.tensor(np.exp(np.asarray(log_variance) / 2))
    )
    peer = torch.distributions.kl_divergence(own, torch.distributions.Normal(0.0, 1.0)).sum(1)
    np.testing.assert_allclose(divergence, peer, rtol=1e-10)
    assert solved.statistics.drift_evaluations > 0
    with pytest.raises(OdescentError, match=r"\(batch, 5, 2\)"):
        model(t, x[:, :, :1], mask[:, :, :1])


def test_samples_solved_one_by_one_give_the_same_series():
    """Also where there are as many samples as times, and the two axes could be taken for one another."""
    t, x, mask = series(batch=5, times=5)
    model = LatentODE(2, jr.key(1), latent=3, hidden=3, width=4, layers=1, units=4, dtype=F)
    run = eqx.filter_jit(lambda **more: model(t, x, mask, rtol=1e-7, atol=1e-7, **more))
    (one, _, _), (each, _, solved) = run(), run(per_sample=True)
    assert solved.time_axis == 1 and solved.penalty.shape == (5,)
    np.testing.assert_allclose(each, one, atol=1e-5)
    assert np.abs(one - np.swapaxes(one, 0, 1)).max() > 0.01


def test_the_likelihood_is_scipys():
    _, x, mask = series()
    found = masked_nll(jnp.zeros_like(x), x, mask.at[0].set(False), 0.5)
    expected = [-norm.logpdf(np.asarray(x[i])[np.asarray(mask[i])], 0, 0.5).mean() for i in (1, 2)]
    np.testing.assert_allclose(found[1:], expected, rtol=1e-12)
    assert found[0] == 0  # nothing was observed


def test_the_papers_sizes():
    """arXiv 2105.03918: 20 -> 50 -> 20 four times over; 37 variables."""
    model = eqx.filter_eval_shape(LatentODE, 37, jr.key(0))
    assert [layer.weight.shape for layer in model.field.layers] == [(20, 50), (50, 20)] * 4
    assert model.encoder.update.first.weight.shape == (2 * 50 + 2 * 37 + 1, 40)
    assert model.decoder.weight.shape == (20, 37)


def test_a_convolutional_field_against_scipy():
    field = ConvField((2, 4, 5), [3], jr.key(0), dtype=F)
    y = jr.normal(jr.key(1), (2, 40), F)
    found = eqx.filter_jit(field)(0.3, y)
    for row, image in zip(found, np.asarray(y).reshape(2, 2, 4, 5), strict=True):
        for i, (kernel, bias) in enumerate(zip(field.kernels, field.biases, strict=True)):
            image = np.concatenate([image, np.full((1, 4, 5), 0.3)])
            image = np.array([
                sum(correlate2d(c, k, "same") for c, k in zip(image, one, strict=True)) + b
                for one, b in zip(np.asarray(kernel), np.asarray(bias), strict=True)
            ])  # fmt: skip
            image = np.tanh(image) if i == 0 else image
        np.testing.assert_allclose(row.reshape(2, 4, 5), image, rtol=1e-10, atol=1e-12)
    for bad in (((2, 4), [3]), ((2, 4, 0), [3]), ((2, 4, 4), [0])):
        with pytest.raises(OdescentError, match="ConvField takes"):
            ConvField(*bad, jr.key(0))


def test_an_augmented_field_of_your_own():
    """x' = a, a' = 1 with a(0) = 0 gives x + 1/2 at t = 1: the appended zero is a state of its own."""
    field = lambda t, y: jnp.concatenate([y[:, 1:], jnp.ones_like(y[:, 1:])], axis=1)
    model = NeuralODEClassifier(1, [], 2, jr.key(0), augment=1, field=field, dtype=F)
    x = jnp.asarray([[0.2], [-1.0]])
    logits, _ = eqx.filter_jit(model)(x, **CHEAP)
    end = np.column_stack([np.asarray(x) + 0.5, [1.0, 1.0]])
    expected = end @ np.asarray(model.head.weight) + np.asarray(model.head.bias)
    np.testing.assert_allclose(logits, expected, rtol=1e-10)
    with pytest.raises(OdescentError, match="number of zeros"):
        NeuralODEClassifier(1, [], 2, jr.key(0), augment=-1)


def test_a_convolutional_classifier_with_a_plane_of_zeros():
    """Without kernels, each plane grows by its bias: the image by 2, the appended zeros by -1, over [0, 1]."""
    field = ConvField((2, 3, 3), [1], jr.key(0), dtype=F)
    where = lambda f: (*f.kernels, f.biases[1])
    still = [jnp.zeros_like(k) for k in field.kernels]
    field = eqx.tree_at(where, field, (*still, jnp.asarray([2.0, -1.0])))
    model = NeuralODEClassifier(9, [], 3, jr.key(1), augment=9, field=field, dtype=F)
    x = jr.normal(jr.key(2), (5, 9), F)
    logits, _ = eqx.filter_jit(model)(x, **CHEAP)
    end = np.concatenate([np.asarray(x) + 2, np.full((5, 9), -1.0)], axis=1)
    np.testing.assert_allclose(logits, end @ np.asarray(model.head.weight), rtol=1e-9, atol=1e-12)
