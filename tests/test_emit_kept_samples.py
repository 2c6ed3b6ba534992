"""Memories of samples in emitted code: the counter is held, the sample is drawn again, the points are the same."""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import odescent as od
from odescent.discretize.emit import load, source

x, m = od.blocks("x m")
c = od.blocks("c", kind="scalar")
f, h, r = od.Objective("f"), *od.parameters("h r")
LAWS = ["normal", "rademacher", "sphere"]


def pair(law="normal"):
    return [od.algorithm("zeroth_order", law=law, deferred=d) for d in (False, True)]


def value(p):
    return jnp.sum((p - 1) ** 4) + p[0] * p[-1]


@pytest.mark.parametrize("law", LAWS)
def test_states_of_jax_hold_a_key(law):
    """Step by step, without a compiler that rounds otherwise: the bits of the form without memory."""
    x0, runs = jnp.linspace(-1, 1, 9), []
    for method in pair(law):
        module = load(method, "jax")
        known = module.coefficients(2e-3, 1e-2)
        deferred = len(method.system.blocks) > 1
        state = module.init(x0, *([jax.random.key(7)] if deferred else []))
        points = [module.output(state, known)]
        for k in jax.random.split(jax.random.key(3), 20):
            state = module.step(state, value, known, k)
            points.append(module.output(state, known))
        runs.append(np.stack(points))
        if deferred:
            assert jnp.issubdtype(state.m.dtype, jax.dtypes.prng_key) and state.m.shape == ()
            assert sum(leaf.size for leaf in jax.tree.leaves(state)) == 9 + 1 + 1
    assert np.ptp(runs[0][-1] - runs[0][0]) > 0.05
    np.testing.assert_array_equal(*runs)


@pytest.mark.parametrize("law", LAWS)
def test_states_of_numpy_hold_the_state_of_a_generator(law):
    x0, runs = np.linspace(-1, 1, 9), []
    of_array = lambda p: float(np.sum((p - 1) ** 4) + p[0] * p[-1])
    for bits in (np.random.PCG64, np.random.MT19937):
        for method in pair(law):
            module = load(method, "numpy")
            runs.append(module.run(of_array, x0, 20, 2e-3, 1e-2, np.random.Generator(bits(3))))
    np.testing.assert_array_equal(runs[0], runs[1])
    np.testing.assert_array_equal(runs[2], runs[3])
    module, rng = load(pair(law)[1], "numpy"), np.random.default_rng(0)
    state = module.step(module.init(x0, rng), of_array, module.coefficients(2e-3, 1e-2), rng)
    assert set(state.m) >= {"bit_generator", "state"}
    kept = pickle.loads(pickle.dumps(state))  # noqa: S301  what was just written
    known = module.coefficients(2e-3, 1e-2)
    np.testing.assert_array_equal(module.output(kept, known), module.output(state, known))


def test_states_of_optax_hold_nothing_beside_the_number_of_the_step():
    optax = pytest.importorskip("optax")
    params, runs = {"a": jnp.linspace(-1, 1, 5), "b": jnp.ones(2)}, []
    of_tree = lambda p: value(p["a"]) + jnp.sum(p["b"] ** 2)
    for method in pair():
        made = method.to_optax(h=2e-3, r=1e-2, key=jax.random.key(3))
        held, state, points = params, made.init(params), []
        names = set(type(state)._fields)
        assert names <= {"c_", "k", "key", "c"}
        for _ in range(20):
            zero = jax.tree.map(jnp.zeros_like, held)
            updates, state = made.update(zero, state, held, value_fn=of_tree)
            held = optax.apply_updates(held, updates)
            points.append(load(method, "optax").eval_params(state, held))
        runs.append(points)
    for one, other in zip(*runs, strict=True):
        for name in params:  # updates are added by optax
            np.testing.assert_allclose(one[name], other[name], rtol=1e-13, atol=1e-15)
    assert float(abs(runs[0][-1]["a"] - params["a"]).max()) > 0.05
    said = " ".join(source(pair()[1], "optax").split())
    assert "The parameters wait for a move that the output has made already." in said


@pytest.mark.parametrize("law", ["normal", "rademacher"])
@pytest.mark.parametrize("in_place", [False, True])
def test_states_of_torch_hold_a_seed(law, in_place):
    torch = pytest.importorskip("torch")
    runs = []
    for method in pair(law):
        torch.manual_seed(0)
        params = [torch.linspace(-1, 1, 5, dtype=torch.float64), torch.ones(2, dtype=torch.float64)]
        loss = lambda t: ((t[0] - 1) ** 4).sum() + (t[1] ** 2).sum() + t[0][0] * t[1][0]
        made = method.to_torch(
            [p.requires_grad_() for p in params], h=2e-3, r=1e-2, value=loss, in_place=in_place,
            generator=torch.Generator().manual_seed(1),
        )  # fmt: skip
        points = []
        for _ in range(20):
            made.step()
            with made.eval_params():
                points.append([p.detach().clone().numpy() for p in params])
        runs.append(points)
        for p in params:
            kept = made.state.get(p, {})
            assert all(isinstance(v, (int, float)) for v in kept.values()), kept
        assert set(kept) == ({"c_", "m"} if method.system.blocks[1:] else set())
    for one, other in zip(*runs, strict=True):
        for a, b in zip(one, other, strict=True):
            if in_place:  # moved there and back
                np.testing.assert_allclose(a, b, rtol=1e-12)
            else:
                np.testing.assert_array_equal(a, b)
    assert abs(runs[0][-1][0] - np.linspace(-1, 1, 5)).max() > 0.05


def test_a_parameter_that_is_frozen_for_a_while_keeps_its_own_sample():
    """The seed is that of the parameter, whatever the others do in the meantime."""
    torch = pytest.importorskip("torch")
    params = [torch.linspace(-1, 1, 5, dtype=torch.float64), torch.ones(2, dtype=torch.float64)]
    made = pair()[1].to_torch(
        [p.requires_grad_() for p in params], h=2e-3, r=1e-2,
        value=lambda t: sum((v**4).sum() for v in t), generator=torch.Generator().manual_seed(1),
    )  # fmt: skip
    made.step()
    with made.eval_params():
        wanted = params[1].detach().clone()
    params[0].requires_grad_(False)
    made.step()  # the pending move of the second, which comes first in the list now
    assert torch.equal(params[1].detach(), wanted)


def test_a_state_of_torch_is_saved_and_loaded():
    torch = pytest.importorskip("torch")

    def begun():
        p = torch.linspace(-1, 1, 5, dtype=torch.float64).requires_grad_()
        made = pair()[1].to_torch(
            [p], h=2e-3, r=1e-2, value=lambda t: (t[0] ** 4).sum(),
            generator=torch.Generator().manual_seed(1),
        )  # fmt: skip
        return p, made

    p, made = begun()
    for _ in range(3):
        made.step()
    q, other = begun()
    with torch.no_grad():
        q.copy_(p)
    other.load_state_dict(made.state_dict())
    other.generator.set_state(made.generator.get_state())
    for one in (made, other):
        one.step()
    assert torch.equal(p, q) and other.state[q] == made.state[p]


def test_a_failure_leaves_the_move_pending():
    torch = pytest.importorskip("torch")
    p, fails = torch.linspace(-1, 1, 5, dtype=torch.float64).requires_grad_(), []

    def loss(t):
        if fails:
            raise RuntimeError("out of memory")
        return (t[0] ** 4).sum()

    made = pair()[1].to_torch([p], h=2e-3, r=1e-2, value=loss, in_place=True)
    made.step()
    held, state = p.detach().clone(), dict(made.state[p])
    fails.append(True)
    with pytest.raises(RuntimeError, match="out of memory"):
        made.step()
    np.testing.assert_allclose(p.detach().numpy(), held.numpy(), atol=1e-15)
    assert dict(made.state[p]) == state


def test_a_memory_whose_start_matters_is_a_vector():
    """Here the first step moves by the memory at the start, which is x0, and no sample."""
    z = od.sample("z", like=x)
    fall = (f.value(x - r * z) - f.value(x + r * z)) / (2 * r)
    method = od.method({x: x + h * m, m: z * 1, c: fall}, output=x, name="restless", init={c: 0})
    mixed = od.method({x: x + c * m, m: z + x, c: fall}, output=x, name="mixed", init={m: 0, c: 0})
    for made in (method, mixed):
        assert "m: Array" in source(made, "numpy") and "m: PyTree" in source(made, "jax")
    x0 = np.linspace(-1, 1, 4)
    module, rng = load(method, "numpy"), np.random.default_rng(0)
    state = module.init(x0)
    known = module.coefficients(*[0.5, 0.1][: len(module.coefficients.__annotations__) - 1])
    state = module.step(state, lambda p: float(p @ p), known, rng)
    np.testing.assert_array_equal(state.x, 1.5 * x0)


def test_runs_record_the_sample_itself():
    method = pair()[1]
    for normals in ("counter", "jax"):
        run = method.run(value, np.linspace(-1, 1, 9), 5, h=2e-3, r=1e-2, key=0, normals=normals)
        assert run.states["m"].shape == (6, 9) and np.ptp(run.states["m"][-1]) > 0.1
        np.testing.assert_allclose(
            run.x, run.states["x"] + run.states["c"][:, None] * run.states["m"]
        )
