"""Emitted PyTorch optimizers that choose and search by guards, against the NumPy module, decision for decision."""

import numpy as np
import pytest
import sympy as sp
from test_guards_backends import enough, f, h, s, searched, system, x

import odescent as od
from odescent.discretize.emit import load
from odescent.dynamics import start

torch = pytest.importorskip("torch")

rng = np.random.default_rng(4)
ROOT = rng.normal(size=(5, 5))
MATRIX, SLOPE, X0 = ROOT @ ROOT.T + np.eye(5), rng.normal(size=5), rng.normal(size=5)


def value(z):
    return float(z @ MATRIX @ z / 2 - SLOPE @ z + 0.3 * np.sum(np.cos(z)))


def grad(z):
    return MATRIX @ z - SLOPE - 0.3 * np.sin(z)


def joined(tensors):
    return torch.cat([t.reshape(-1) for t in tensors])


def loss(tensors):
    z = joined(tensors)
    return z @ torch.tensor(MATRIX) @ z / 2 - torch.tensor(SLOPE) @ z + 0.3 * torch.cos(z).sum()


def parameters():
    parts = (X0[:2], X0[2:].reshape(3, 1))
    return [torch.nn.Parameter(torch.tensor(part.copy())) for part in parts]


def closure_of(opt, params, sign=1):
    made = []

    def closure():
        opt.zero_grad()
        found = sign * loss(params)
        found.backward()
        made.append(float(found.detach()))
        return found

    return closure, made


def at(params):
    return joined(params).detach().numpy().copy()


def by_numpy(alg, steps, **named):
    """The outputs, and how many gradients were taken."""
    asked = []

    def counted(z):
        asked.append(z)
        return grad(z)

    given = {
        "grad": counted,
        "value": value,
        "hvp": lambda z, v: (MATRIX - 0.3 * np.diag(np.cos(z))) @ v,
    }
    wants = load(alg, "numpy").run.__code__.co_varnames[
        : load(alg, "numpy").run.__code__.co_argcount
    ]
    run = load(alg, "numpy").run
    return run(x0=X0, steps=steps, **{n: g for n, g in given.items() if n in wants}, **named), len(
        asked
    )


def flows(*steps):
    return od.Algorithm(system(), od.Scheme(list(steps)), step=h, name="branches")


FLOW = od.Flow("flow", "explicit")
PARTS = {n: od.Flow("flow", "explicit", fraction=sp.Rational(1, n)) for n in (2, 3, 4)}
METHODS = {
    "Armijo's search": (lambda: od.algorithm("armijo"), 0.5),
    "Wolfe's search": (lambda: od.algorithm("wolfe"), 0.5),
    "a search by hand": (lambda: searched(enough(sp.Rational(1, 3))), 0.9),
    "a loop of known length": (lambda: flows(od.Repeat([PARTS[3]], max_steps=3)), 0.1),
    "a gradient in one branch": (lambda: flows(od.Select(f.value(x) < 3, [PARTS[2], PARTS[2]], [FLOW])), 0.1),
    "a gradient in a branch, then one more": (
        lambda: flows(od.Select(f.value(x) > 2, [PARTS[2]], [PARTS[4], PARTS[4]]), PARTS[2]), 0.05,
    ),
    "a choice in a loop": (
        lambda: flows(
            od.Repeat([od.Select(f.value(x) > 2, [PARTS[4]], [od.Let({s: s / 2}), PARTS[2], od.Let({s: 2 * s})])],
                      max_steps=2), PARTS[2],
        ), 0.04,
    ),
}  # fmt: skip


@pytest.mark.parametrize("foreach", [True, False])
@pytest.mark.parametrize("name", METHODS)
def test_the_same_decisions_and_as_many_gradients(name, foreach):
    make, step = METHODS[name]
    alg = make()
    expected, gradients = by_numpy(alg, 8, h=step)
    params = parameters()
    oracles = {"value": loss} if "value: Callable" in alg.source("torch") else {}
    opt = alg.to_torch(params, lr=step, foreach=foreach, **oracles)
    closure, made = closure_of(opt, params)
    for row in expected[1:]:
        opt.step(closure)
        np.testing.assert_allclose(at(params), row, rtol=0, atol=1e-12)
    # one more in a step where the first gradient is inside of a guard: torch takes the loss where the parameters are
    more = 8 * name.startswith(("a gradient in", "a choice", "a loop"))
    assert len(made) == gradients + more or (more and gradients <= len(made) <= gradients + more)


def two_blocks(*steps):
    y = od.blocks("y")
    blocks = [od.Block(m, init=start) for m in ("x", "y")]
    of = od.System({"flow": {x: -f.grad(x), y: x - y}}, blocks=blocks, output=x)
    return od.Algorithm(of, od.Scheme(list(steps)), step=h, name="two_blocks"), y


@pytest.mark.parametrize("foreach", [True, False])
def test_blocks_that_change_places_share_no_memory(foreach):
    y = od.blocks("y")
    twice = od.Repeat([od.Let({x: y, y: x})], max_steps=2)
    steps = [od.Select(f.value(x) > f.value(y) + 1, [twice, FLOW], [FLOW, twice]), twice]
    alg, _ = two_blocks(*steps)
    expected, _ = by_numpy(alg, 6, h=0.05)
    params = parameters()
    opt = alg.to_torch(params, lr=0.05, value=loss, foreach=foreach)
    closure, _ = closure_of(opt, params)
    rows = []
    for _ in expected[1:]:
        opt.step(closure)
        with opt.eval_params():
            rows.append(at(params))
    np.testing.assert_allclose(rows, expected[1:], rtol=0, atol=1e-12)
    places = {p.untyped_storage().data_ptr() for p in params}
    held = [t for p in params for t in opt.state[p].values() if isinstance(t, torch.Tensor)]
    assert held and not places & {t.untyped_storage().data_ptr() for t in held}


def test_a_maximum_is_searched_as_the_minimum_of_its_negative():
    params, others = parameters(), parameters()
    up = od.algorithm("wolfe").to_torch(params, lr=0.5, value=loss, maximize=True)
    down = od.algorithm("wolfe").to_torch(others, lr=0.5, value=loss)
    (of_up, _), (of_down, _) = closure_of(up, params, -1), closure_of(down, others)
    for _ in range(5):
        up.step(of_up)
        down.step(of_down)
    np.testing.assert_array_equal(at(params), at(others))


def test_a_search_that_does_not_end_changes_nothing():
    alg = searched(f.value(x) < f.value(od.at(x)) - 100, most=7)
    params = parameters()
    opt = alg.to_torch(params, lr=0.01, value=loss)
    closure, _ = closure_of(opt, params)
    with pytest.raises(
        ArithmeticError, match=r"has not ended after 7 iterations: it last compared .* < "
    ):
        opt.step(closure)
    np.testing.assert_array_equal(at(params), X0)
    assert all(opt.state[p]["s"] == 1 for p in params)


def test_a_closure_that_fails_in_a_search_puts_the_parameters_back():
    params = parameters()
    opt = od.algorithm("wolfe").to_torch(params, lr=0.5, value=loss)
    closure, made = closure_of(opt, params)

    def failing():
        if len(made) == 1:
            raise RuntimeError("no batch")
        return closure()

    with pytest.raises(RuntimeError, match="no batch"):
        opt.step(failing)
    np.testing.assert_array_equal(at(params), X0)
    for _ in range(30):
        opt.step(closure)
    assert np.linalg.norm(grad(at(params))) < 0.02


def test_a_search_takes_one_group():
    """Each group would search by itself, at points where the others are in the middle of their own searches."""
    one, other = parameters()
    with pytest.raises(od.OdescentError, match="give one parameter group"):
        od.algorithm("wolfe").to_torch([{"params": [one]}, {"params": [other]}], lr=0.5, value=loss)


# products with Hessians


def module_of(name):
    return load(od.algorithm(name), "torch")


def test_products_are_those_of_the_hessian():
    made = module_of("exact_line_search").hessian_products(loss)
    params, along = (
        parameters(),
        [torch.ones(2, dtype=torch.float64), torch.ones(3, 1, dtype=torch.float64)],
    )
    with torch.no_grad():
        found = made(params, along)
    wanted = (MATRIX - 0.3 * np.diag(np.cos(X0))) @ np.ones(5)
    np.testing.assert_allclose(at(found), wanted, rtol=1e-12)
    assert [t.shape for t in found] == [p.shape for p in params]
    linear = module_of("exact_line_search").hessian_products(lambda ts: joined(ts)[:2].sum())
    assert not at(linear(params, along)).any()


def test_an_exact_line_search_by_products_of_the_hessian():
    alg = od.algorithm("exact_line_search")
    expected, gradients = by_numpy(alg, 8)
    params = parameters()
    opt = alg.to_torch(params, hvp=module_of("exact_line_search").hessian_products(loss))
    closure, made = closure_of(opt, params)
    for row in expected[1:]:
        opt.step(closure)
        np.testing.assert_allclose(at(params), row, rtol=0, atol=1e-11)
    assert len(made) == gradients


def test_one_loss_is_enough():
    by_loss, by_parts = parameters(), parameters()
    products = module_of("exact_line_search").hessian_products(loss)
    for name, numbers, functions in (
        ("exact_line_search", {}, {"hvp": products}),
        ("armijo", {"lr": 0.5}, {"value": loss}),
    ):
        alg = od.algorithm(name)
        one = alg.to_torch(by_loss, loss=loss, **numbers)
        other = alg.to_torch(by_parts, **functions, **numbers)
        one.step(closure_of(one, by_loss)[0])
        other.step(closure_of(other, by_parts)[0])
        np.testing.assert_array_equal(at(by_loss), at(by_parts))
    with pytest.raises(od.OdescentError, match=r"h=\.\.\., loss=\.\.\."):
        od.algorithm("armijo").to_torch(by_loss)
    with pytest.raises(od.OdescentError, match="loss"):
        od.algorithm("heavy_ball").to_torch(by_loss, lr=0.1, momentum=0.5, loss=loss)


def test_adahessian_trains_a_network():
    """Products of the Hessian of a network's loss, through its functional form."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Linear(3, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1)
    ).double()
    inputs = torch.randn(64, 3, dtype=torch.float64)
    wanted = torch.sin(inputs.sum(1, keepdim=True))
    names = [n for n, _ in net.named_parameters()]

    def of(tensors):
        made = torch.func.functional_call(net, dict(zip(names, tensors, strict=True)), (inputs,))
        return torch.mean((made - wanted) ** 2)

    opt = od.algorithm("adahessian").to_torch(
        net.parameters(), lr=0.05, beta1=0.9, beta2=0.99, eps=1e-8,
        hvp=module_of("adahessian").hessian_products(of), generator=torch.Generator().manual_seed(1),
    )  # fmt: skip
    first = float(of(list(net.parameters())).detach())
    for _ in range(60):
        opt.zero_grad()
        of(list(net.parameters())).backward()
        opt.step()
    assert float(of(list(net.parameters())).detach()) < first / 5
