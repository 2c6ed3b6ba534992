"""The pairs of flow and algorithm in the library (MATH d, row 31): steepest descent for a norm, Muon among it."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import sympy as sp

import odescent as od
from odescent.discretize.emit import load
from odescent.dynamics import vanishes

h = sp.Symbol("h", positive=True)
x, m = od.blocks("x m")
f = od.Objective("f")
RNG = np.random.default_rng(31)
LEFT, RIGHT = (RNG.standard_normal((n, n)) for n in (3, 4))
GOAL = RNG.standard_normal((3, 4))
BEGIN = RNG.standard_normal((3, 4))


def slope(X: Any) -> Any:
    """The gradient of |A (X - T) B|^2 / 2."""
    return LEFT.T @ LEFT @ (X - GOAL) @ RIGHT @ RIGHT.T


def polar(G: Any) -> Any:
    """U V^T of G = U S V^T."""
    U, _, Vh = np.linalg.svd(G, full_matrices=False)
    return U @ Vh


@pytest.mark.parametrize("norm", ["map", "max", "euclidean"])
@pytest.mark.parametrize("nesterov", [True, False])
def test_derivations_verify(norm: str, nesterov: bool) -> None:
    found = od.algorithm("muon", norm=norm, nesterov=nesterov).derivation()
    assert found.verified and len(found.steps) >= 2


@pytest.mark.promotion
def test_muon_without_nesterov_is_that_of_optax() -> None:
    """With the same iteration of Newton and Schulz; the correction of optax's bias cancels in a direction."""
    from optax.contrib import scale_by_muon

    alone = scale_by_muon(nesterov=False)  # of one gradient: its direction
    schulz = lambda G: alone.update(G, alone.init(jnp.zeros_like(G)))[0]
    peer = optax.chain(scale_by_muon(beta=0.9, nesterov=False), optax.scale(-0.02))
    ours = od.algorithm("muon", nesterov=False).to_optax(h=0.02, beta=0.9)
    steps = {
        "peer": jax.jit(peer.update),
        "ours": jax.jit(lambda g, s, p: ours.update(g, s, p, map_steepest=schulz)),
    }
    params = {"peer": jnp.asarray(BEGIN), "ours": jnp.asarray(BEGIN)}
    states = {"peer": peer.init(params["peer"]), "ours": ours.init(params["ours"])}
    for _ in range(40):
        for name, step in steps.items():
            updates, states[name] = step(
                jnp.asarray(slope(params[name])), states[name], params[name]
            )
            params[name] = optax.apply_updates(params[name], updates)
    np.testing.assert_allclose(params["ours"], params["peer"], rtol=1e-6, atol=1e-7)
    assert np.linalg.norm(slope(params["ours"])) < 0.8 * np.linalg.norm(slope(BEGIN))


def test_muon_is_that_of_torch() -> None:
    """With torch's own iteration of Newton and Schulz, to the last bit of float32 parameters."""
    torch = pytest.importorskip("torch")
    if not hasattr(torch.optim, "Muon"):
        pytest.skip("torch.optim has no Muon before 2.9")
    coefficients = (3.4445, -4.775, 2.0315)
    schulz = torch.optim._muon._zeropower_via_newtonschulz
    theirs, mine = (torch.nn.Parameter(torch.tensor(BEGIN, dtype=torch.float32)) for _ in range(2))
    peer = torch.optim.Muon(
        [theirs], lr=0.02, momentum=0.9, weight_decay=0.0, ns_coefficients=coefficients
    )
    opt = od.algorithm("muon").to_torch(
        [mine],
        lr=0.02,
        beta=0.9,
        map_steepest=lambda grads: [schulz(g, coefficients, 5, 1e-7).to(g.dtype) for g in grads],
    )
    for _ in range(40):
        for parameter, optimizer in ((theirs, peer), (mine, opt)):
            parameter.grad = torch.tensor(slope(parameter.detach().numpy()), dtype=torch.float32)
            optimizer.step()
    np.testing.assert_allclose(mine.detach().numpy(), theirs.detach().numpy(), rtol=0, atol=1e-6)


def test_with_the_max_norm_it_is_sign_descent_on_an_average() -> None:
    """s = sign; at once (beta -> 0) it is sign_descent, with the same update."""
    xs = load(od.algorithm("muon", norm="max"), "numpy").run(slope, BEGIN, 30, h=0.01, beta=0.8)
    X, M = BEGIN, np.zeros_like(BEGIN)
    for row in xs:
        np.testing.assert_allclose(row, X, atol=1e-14)
        G = slope(X)
        M = 0.8 * M + 0.2 * G
        X = X - 0.01 * np.sign(0.8 * M + 0.2 * G)
    flows = [
        od.system("steepest_flow", norm=norm).drift[x]
        - od.system(name).drift[x]
        for norm, name in (("max", "sign_flow"), ("euclidean", "rescaled_flow"))
    ]  # fmt: skip
    assert all(vanishes(difference) for difference in flows)


def test_the_spectral_sign_flow_spends_the_nuclear_norm() -> None:
    """d/dt f = -|grad f|_* along X' = -U V^T; and a step h falls by h times it, to order h^2."""
    value = lambda X: np.sum((LEFT @ (X - GOAL) @ RIGHT) ** 2) / 2
    step = od.Algorithm(od.system("steepest_flow"), od.scheme("explicit_euler"), step=h)
    module = load(step, "numpy")
    nuclear = np.linalg.svd(slope(BEGIN), compute_uv=False).sum()
    defects = []
    for size in (1e-3, 5e-4):
        rows = module.run(grad=slope, map_steepest=polar, x0=BEGIN, steps=1, h=size)
        defects.append((value(rows[1]) - value(rows[0])) / size + nuclear)
        spread = np.linalg.svd((rows[1] - rows[0]) / size, compute_uv=False)
        np.testing.assert_allclose(spread, 1, rtol=1e-9)  # steps of spectral norm h, full rank
    assert defects[0] / defects[1] == pytest.approx(2, rel=0.02)


def test_an_unknown_norm_names_the_known_ones() -> None:
    with pytest.raises(od.OdescentError, match=r"no norm called 'schatten'.*euclidean.*map"):
        od.algorithm("muon", norm="schatten")
