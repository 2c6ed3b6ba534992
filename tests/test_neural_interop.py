"""Models in PyTorch: torchdiffeq and torchsde give what diffrax gives, and a watched solve what it decided on."""

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import odescent as od
from odescent import OdescentError
from odescent.neural_de.models import convolution
from odescent.neural_de.models import networks as models
from odescent.neural_de.solving.stochastic_terms import DiagonalTerm

torch = pytest.importorskip("torch")
torchdiffeq = pytest.importorskip("torchdiffeq")
torchsde = pytest.importorskip("torchsde")

pytestmark = pytest.mark.promotion
nde = od.neural_de
F64 = {"dtype": jnp.float64}
FIELD = models.TimeMLP(3, [7], jr.key(0), **F64)
Y0 = np.random.default_rng(0).normal(size=(5, 3))


def odd_field(m, t, y):
    """Most of what the interpreter knows, in one expression."""
    a = jnp.where(y > 0, jax.nn.softplus(y), jax.nn.silu(y)) + jax.nn.relu(t - y) * m["w"]
    b = jnp.concatenate([a[:, ::-1], jnp.cos(y)[:, :1] ** 3], axis=1)[:, 1:] / (1 + y**2)
    c = jax.nn.softmax(b, axis=1) + jax.nn.gelu(b, approximate=False) + jnp.clip(b, -0.5, 0.5)
    d = jnp.einsum("bi,bj->ij", b, c) @ m["a"] + jnp.linalg.norm(b, axis=0)
    e = (
        jnp.stack([c, b], axis=0).max(0)
        - jnp.expm1(-jnp.abs(b))
        + jnp.prod(c, axis=1, keepdims=True)
    )
    return e @ d.T + jnp.sqrt(1 + jnp.pad(y, ((0, 0), (1, 0)))[:, :-1] ** 2) + jnp.arange(3) * t


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_same_function_and_the_same_derivatives(dtype):
    rng = np.random.default_rng(1)
    model = {"w": rng.normal(size=3).astype(dtype), "a": rng.normal(size=(3, 3)).astype(dtype)}
    model = jax.tree.map(jnp.asarray, model)
    func, y = nde.to_torch(model, odd_field), Y0.astype(dtype)
    state = torch.tensor(y, requires_grad=True)
    value = func(torch.tensor(0.7, dtype=state.dtype), state)
    ours = jax.jit(lambda m, y: odd_field(m, jnp.asarray(0.7, dtype), y))
    close = {"rtol": 2e-5, "atol": 2e-5} if dtype == np.float32 else {"rtol": 1e-12, "atol": 1e-12}
    np.testing.assert_allclose(value.detach().numpy(), ours(model, y), **close)
    (value**2).sum().backward()
    total = lambda m, y: (ours(m, y) ** 2).sum()
    for_m, for_y = jax.jit(jax.grad(total, (0, 1)))(model, jnp.asarray(y))
    scale = float(jnp.abs(for_y).max())
    np.testing.assert_allclose(state.grad.numpy() / scale, for_y / scale, **close)
    for name, g in for_m.items():
        found = dict(func.named_parameters())[name].grad.numpy()
        np.testing.assert_allclose(found / np.abs(g).max(), g / np.abs(g).max(), **close)


def test_convolutions_agree():
    field = convolution.ConvField((2, 4, 4), [3], jr.key(1), **F64)
    x = np.random.default_rng(1).normal(size=(4, 32))
    ours = eqx.filter_jit(field)(0.3, jnp.asarray(x))
    theirs = nde.to_torch(field)(0.3, torch.tensor(x))
    np.testing.assert_allclose(theirs.detach().numpy(), ours, atol=1e-13)


def test_weights_go_there_and_back():
    """PyTorch changes a weight, JAX has it."""
    func = nde.to_torch(FIELD)
    with torch.no_grad():
        for p in func.parameters():
            p.mul_(2.0)
    back = func.to_jax()
    for a, b in zip(
        *(jax.tree.leaves(eqx.filter(m, eqx.is_array)) for m in (FIELD, back)), strict=True
    ):
        np.testing.assert_array_equal(2 * a, b)
    np.testing.assert_allclose(
        func(0.1, torch.tensor(Y0)).detach().numpy(), back(0.1, jnp.asarray(Y0)), atol=1e-14
    )


def watched_solve(t0, t1, method, tolerance, **options):
    func = nde.watch_torchdiffeq(nde.to_torch(FIELD), rtol=tolerance, atol=tolerance, method=method)
    times = torch.tensor([t0, t1], dtype=torch.float64)
    said = {"rtol": tolerance, "atol": tolerance, "method": method, "options": options}
    y = torchdiffeq.odeint(func, torch.tensor(Y0), times, **said)
    return func, y[-1]


SOLVERS = {"dopri5": dfx.Dopri5(), "bosh3": dfx.Bosh3()}


@pytest.mark.parametrize(("method", "t0", "t1"), [("dopri5", 0.0, 2.0), ("bosh3", 1.5, 0.0)])
def test_a_watched_solve_shows_the_steps_that_torchdiffeq_decided_on(method, t0, t1):
    """diffrax on the same mesh has the same errors; the ones that torchdiffeq accepted are below 1."""
    func, _ = watched_solve(t0, t1, method, 1e-5)
    mesh = np.append(func.t, func.t[-1] + np.sign(t1 - t0) * func.h[-1])
    out = nde.solve(
        lambda t, y, m: m(t, y), Y0, mesh[0], mesh[-1], FIELD, solver=SOLVERS[method], rtol=1e-5, atol=1e-5,
        controller=dfx.StepTo(ts=jnp.asarray(mesh)), record=64,
    )  # fmt: skip
    found = np.array([e.item() for e in func.error])
    np.testing.assert_allclose(found, out.statistics.record.error[: len(found)], rtol=1e-6)
    assert func.accepted == len(found) > 2 and found.max() <= 1
    stages = {"dopri5": 6, "bosh3": 3}[method]
    assert func.evaluations == stages * (func.accepted + func.rejected) + 2
    for kind, ours in (("scaled", out.statistics.error), ("weighted", out.statistics.weighted),
                       ("squared", out.statistics.squared), ("steps", out.statistics.in_steps)):  # fmt: skip
        for reduction in ("sum", "mean", "max"):
            theirs = func.penalty(kind, reduction).item()
            np.testing.assert_allclose(theirs, ours.reduce(reduction), rtol=1e-6)


def test_the_penalty_has_the_gradient_of_a_frozen_mesh():
    """Central differences of the penalty on the steps that were taken, by diffrax."""
    func, _ = watched_solve(
        0.0, 2.0, "dopri5", 1e-5, first_step=0.05
    )  # else that has a gradient, too
    func.penalty("weighted").backward()
    bias = dict(func.func.named_parameters())["layers_1__bias"].grad.numpy()
    mesh = jnp.asarray(np.append(func.t, func.t[-1] + func.h[-1]))

    def frozen(shift):
        field = eqx.tree_at(lambda m: m.layers[1].bias, FIELD, FIELD.layers[1].bias + shift)
        return nde.solve(
            lambda t, y, m: m(t, y), Y0, 0.0, mesh[-1], field, solver=dfx.Dopri5(), rtol=1e-5, atol=1e-5,
            controller=dfx.StepTo(ts=mesh), regularizer=nde.error("weighted"),
        ).penalty  # fmt: skip

    frozen = jax.jit(frozen)
    for i in range(3):
        step = 1e-5 * jnp.eye(3)[i]
        expected = (frozen(step) - frozen(-step)) / 2e-5
        np.testing.assert_allclose(bias[i], expected, rtol=1e-6)


def test_solves_follow_one_another():
    func, _ = watched_solve(0.0, 2.0, "dopri5", 1e-5)
    seen = (func.evaluations, func.accepted, func.rejected, func.t)
    times = torch.tensor([0.0, 2.0], dtype=torch.float64)
    torchdiffeq.odeint(func, torch.tensor(Y0), times, rtol=1e-5, atol=1e-5, method="dopri5")
    assert (func.evaluations, func.accepted, func.rejected, func.t) == seen
    y = torchdiffeq.odeint_adjoint(
        func, torch.tensor(Y0), times, rtol=1e-5, atol=1e-5, method="dopri5"
    )
    y.sum().backward()
    torchdiffeq.odeint(func, torch.tensor(Y0), times, rtol=1e-5, atol=1e-5, method="dopri5")
    assert (func.evaluations, func.accepted, func.rejected, func.t) == seen


def test_both_packages_solve_the_same_ode():
    _, theirs = watched_solve(0.0, 1.0, "dopri5", 1e-9)
    ours = nde.solve(lambda t, y, m: m(t, y), Y0, 0.0, 1.0, FIELD, rtol=1e-9, atol=1e-9).ys[-1]
    np.testing.assert_allclose(theirs.detach().numpy(), ours, rtol=1e-7, atol=1e-8)


class Path(dfx.AbstractBrownianPath):
    """torchsde's Brownian path as diffrax's control."""

    values: jax.Array
    t0: float = 0.0
    t1: float = 1.0
    levy_area = dfx.BrownianIncrement

    def evaluate(self, t0, t1=None, left=True, use_levy=False):
        n = len(self.values) - 1
        at = lambda t: self.values[jnp.round(t * n).astype(int)]
        return at(t1) - at(t0)


def test_both_packages_solve_the_same_sde_on_the_same_path():
    """torchsde's midpoint and diffrax's on one Brownian path with the same steps, in the sense of Stratonovich."""
    sde, n = models.NeuralSDE(2, [6], jr.key(2), **F64), 16
    y0 = np.random.default_rng(3).normal(size=(4, 2))
    dt = 1 / n
    path = torchsde.BrownianInterval(0.0, 1.0, size=(4, 2), dtype=torch.float64, entropy=5, dt=dt)
    walk = np.stack(
        [np.zeros((4, 2)), *(path(i * dt, (i + 1) * dt).numpy() for i in range(n))]
    ).cumsum(0)
    func = nde.to_torch_sde(sde)
    theirs = torchsde.sdeint(
        func,
        torch.tensor(y0),
        torch.tensor([0.0, 1.0], dtype=torch.float64),
        bm=path,
        dt=dt,
        method="midpoint",
    )[-1]
    y = jnp.asarray(y0)
    for i in range(n):  # y + f(m) h + g(m) dW at the midpoint m
        dw, t = jnp.asarray(walk[i + 1] - walk[i]), i * dt
        middle = y + sde.drift(t, y) * dt / 2 + sde.diffusion(y) * dw / 2
        y = y + sde.drift(t + dt / 2, middle) * dt + sde.diffusion(middle) * dw
    np.testing.assert_allclose(theirs.detach().numpy(), y, atol=1e-12)
    term = dfx.MultiTerm(
        dfx.ODETerm(lambda t, y, m: m.drift(t, y)),
        DiagonalTerm(lambda t, y, m: m.diffusion(y), Path(jnp.asarray(walk))),
    )
    ours = dfx.diffeqsolve(term, dfx.Midpoint(), 0.0, 1.0, dt, jnp.asarray(y0), sde).ys[-1]
    np.testing.assert_allclose(theirs.detach().numpy(), ours, atol=1e-12)


def test_what_cannot_be_carried_is_said():
    for bad, part in (
        (lambda: nde.to_torch(FIELD, lambda m, t, y: jnp.sort(y))(0.0, torch.tensor(Y0)), "'sort' has no counterpart"),
        (lambda: nde.to_torch(FIELD)(0.0, (torch.tensor(Y0),)), "the state must be a tensor, not tuple"),
        (lambda: nde.to_torch_sde(FIELD, calculus="itoo"), "stratonovich or ito, not as 'itoo'"),
        (lambda: nde.watch_torchdiffeq(FIELD, rtol=1.0, atol=1.0, method="rk4"), "no method of torchdiffeq"),
        (lambda: nde.watch_torchdiffeq(FIELD, rtol=1.0, atol=1.0).penalty(), "no step of a solve was seen yet"),
        (lambda: watched_solve(0.0, 1.0, "bosh3", 1e-2)[0].penalty("sq"), "there is no penalty 'sq'"),
    ):  # fmt: skip
        with pytest.raises(OdescentError, match=part):
            bad()


def test_a_penalty_without_a_graph_is_refused_where_a_gradient_would_be_taken():
    """odeint_adjoint and no_grad leave numbers alone; the number under no_grad is that of odeint."""
    func, _ = watched_solve(0.0, 2.0, "dopri5", 1e-5)
    wanted = func.penalty("weighted").item()
    times = torch.tensor([0.0, 2.0], dtype=torch.float64)
    solve = lambda run: run(func, torch.tensor(Y0), times, rtol=1e-5, atol=1e-5, method="dopri5")
    y = solve(torchdiffeq.odeint_adjoint)
    for _ in range(2):  # before the way back and after it
        with pytest.raises(OdescentError, match="kept no graph"):
            func.penalty("weighted")
        with torch.no_grad():
            assert func.penalty("weighted").item() == pytest.approx(wanted, rel=1e-12)
        y.sum().backward(retain_graph=True)
    with torch.no_grad():
        solve(torchdiffeq.odeint)
    with pytest.raises(OdescentError, match="kept no graph"):
        func.penalty()
    solve(torchdiffeq.odeint)
    assert func.penalty("weighted").requires_grad


@pytest.mark.filterwarnings("ignore:Solver")
def test_another_method_than_the_watched_one_is_named():
    for watched in ("dopri5", "bosh3", "adaptive_heun"):
        for method in ("dopri5", "dopri8", "bosh3", "fehlberg2", "adaptive_heun", "rk4", "euler"):
            if method == watched:
                continue
            func = nde.watch_torchdiffeq(lambda t, y: -y, rtol=1e-5, atol=1e-5, method=watched)
            with pytest.raises(OdescentError, match=f"not take the steps of {watched}"):
                torchdiffeq.odeint(
                    func, torch.ones(2), torch.tensor([0.0, 1.0]), rtol=1e-5, atol=1e-5, method=method
                )  # fmt: skip
