"""torch's own contract over emitted optimizers: states, copies, groups, closures, bad input."""

import copy
import io
import sys

import numpy as np
import pytest
from absent import finders_without
from hand_loops import MU, L

import odescent as od

torch = pytest.importorskip("torch")
from torch_runs import (  # noqa: E402
    ADAM,
    CENTER,
    MATRIX,
    PLAIN,
    X0,
    closure_of,
    iterate,
    made,
    pieces,
    skip_what_is_refused,
    tensor,
)

x, y = od.blocks("x y")
s, b = od.parameters("s b")
f = od.Objective("f")


# torch's contract


@pytest.mark.parametrize("name", od.algorithms())
def test_a_saved_state_goes_on_as_if_it_had_not_been_saved(name):
    skip_what_is_refused(name)
    x0 = np.tanh(X0) if "mirror" in name else X0

    def start():
        params = [tensor(v) for v in pieces(x0)]
        noisy = bool(od.algorithm(name).tuned.draws)
        more = {"generator": torch.Generator().manual_seed(7)} if noisy else {}
        return params, made(name, params, **more), more.get("generator")

    params, opt, generator = start()
    iterate(opt, params, 4)
    file = io.BytesIO()
    torch.save({"optimizer": opt.state_dict(), "params": params}, file)
    noise = generator.get_state() if generator else None
    expected = iterate(opt, params, 5)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    others, again, generator = start()
    again.load_state_dict(saved["optimizer"])
    with torch.no_grad():
        for p, q in zip(others, saved["params"], strict=True):
            p.copy_(q)
    if generator:
        generator.set_state(noise)
    np.testing.assert_array_equal(iterate(again, others, 5), expected)


@pytest.mark.parametrize(
    ("name", "block", "said", "ratio"),
    [
        ("heavy_ball", "v", "-2*sqrt(L*mu)/(sqrt(L) + sqrt(mu))*v", -2 / (L**-0.5 + MU**-0.5)),
        ("nesterov_sc", "psi", "2*sqrt(L*mu)/(sqrt(mu) - sqrt(L))*psi", 2 / (L**-0.5 - MU**-0.5)),
    ],
)
def test_the_memory_is_the_multiple_of_a_block_that_its_docstring_says(name, block, said, ratio):
    algorithm = od.algorithm(name)
    documented = " ".join(algorithm.source("torch").split())
    assert (
        f"Memory, in the blocks of the system: m = {said}, an average of gradients." in documented
    )
    curvatures = np.array([MU, (MU + L) / 2, (MU + 3 * L) / 4])
    parameter = tensor(np.ones(3))
    optimizer = algorithm.to_torch([parameter], mu=MU, L=L)
    for _ in range(5):
        parameter.grad = torch.tensor(curvatures) * parameter.detach()
        optimizer.step()
    quadratic = od.objective("quadratic", eigenvalues=tuple(curvatures))
    states = algorithm.run(quadratic, np.ones(3), 5, mu=MU, L=L).states
    memory = optimizer.state[parameter]["m"].numpy()
    np.testing.assert_allclose(memory, ratio * np.asarray(states[block][-1]), rtol=1e-9)


def test_what_lr_is_called_in_the_system_above_is_said():
    documented = " ".join(od.algorithm("adam").source("torch").split())
    assert "Tuning: a = -log(beta1)/h" in documented and "lr is the step h above" in documented
    renamed = od.Algorithm(od.system("gradient_flow"), od.scheme("explicit_euler"), step=s)
    assert "lr is the step s above" in " ".join(renamed.source("torch").split())


@pytest.mark.parametrize("name", ["nesterov_sc", "adam", "proximal_gradient"])
def test_copies_are_independent(name):
    params = [tensor(v) for v in pieces(X0)]
    opt = made(name, params)
    iterate(opt, params, 3)
    both = copy.deepcopy({"opt": opt, "params": params})
    expected = iterate(opt, params, 5)
    np.testing.assert_array_equal(iterate(both["opt"], both["params"], 5), expected)


def test_groups_have_hyper_parameters_of_their_own_and_can_be_added():
    one, two, alone = tensor(X0), tensor(X0), tensor(X0)
    opt = made("nesterov_sc", [{"params": [one], "L": 20.0}])
    single = od.algorithm("nesterov_sc").to_torch([alone], mu=MU, L=20.0)
    late = tensor(X0)
    reference = made("nesterov_sc", [late])

    def step(o, *params):
        for p in params:
            p.grad = torch.tensor(PLAIN(p.detach().numpy()))
        o.step()

    for _ in range(3):
        step(opt, one)
        step(single, alone)
    opt.add_param_group({"params": [two]})
    for _ in range(3):
        step(opt, one, two)
        step(single, alone)
        step(reference, late)
    assert torch.equal(one, alone) and torch.equal(two, late)
    with pytest.raises(ValueError, match="L must be at least mu"):
        opt.add_param_group({"params": [tensor([1.0])], "L": 0.5})
    assert len(opt.param_groups) == 2


def test_a_bad_group_stops_the_step_before_anything_moves():
    one, two = tensor([1.0]), tensor([2.0])
    opt = made("nesterov_sc", [{"params": [one]}, {"params": [two]}])
    for p in (one, two):
        p.grad = torch.ones_like(p)
    opt.param_groups[1]["L"] = float("nan")
    with pytest.raises(ValueError, match="L must be a finite number"):
        opt.step()
    assert one.item() == 1 and two.item() == 2


def test_a_schedule_may_end_at_a_step_of_no_length():
    p = tensor([1.0])
    opt = od.algorithm("conformal_heavy_ball").to_torch([p], h=0.1, c=1.0)
    plan = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 3)
    seen = []
    for _ in range(4):
        p.grad = p.detach().clone()
        opt.step()
        plan.step()
        seen.append(p.item())
    assert 1 > seen[0] > seen[1] > seen[2] == seen[3]


def test_parameters_without_a_gradient_are_left_alone():
    """Each parameter counts its own steps, as in torch's Adam."""
    ours, peers = [tensor([1.0, 2.0]), tensor([3.0])], [tensor([1.0, 2.0]), tensor([3.0])]
    pairs = [
        (od.algorithm("adam").to_torch(ours, lr=0.1, **ADAM, foreach=True), ours),
        (torch.optim.Adam(peers, lr=0.1), peers),
    ]
    for k in range(6):
        for opt, params in pairs:
            params[0].grad = params[0].detach() * 1.0
            params[1].grad = params[1].detach() * 2.0 if k % 2 else None
            opt.step()
    for a, b in zip(ours, peers, strict=True):
        assert torch.allclose(a, b, rtol=1e-13)
    opt = made("nesterov_sc", [tensor([1.0])])
    opt.step()  # no gradient at all
    assert not opt.state and opt.state_dict()["state"] == {}


def test_maximize_goes_up_the_gradient():
    up, down = tensor(X0), tensor(X0)
    for p, sign, maximize in ((up, -1.0, True), (down, 1.0, False)):
        opt = made("triple_momentum", [p], maximize=maximize)
        for _ in range(5):
            p.grad = sign * torch.tensor(PLAIN(p.detach().numpy()))
            opt.step()
    assert torch.equal(up, down)


def test_a_closure_is_evaluated_with_gradients_and_its_loss_returned():
    params = [tensor(X0)]
    opt = made("nesterov_sc", params)
    closure = closure_of(opt, params)
    expected = float((X0 - CENTER) @ MATRIX @ (X0 - CENTER) / 2)
    assert opt.step(closure) == pytest.approx(expected, rel=1e-14)
    with torch.no_grad():
        assert opt.step(closure) < expected
    assert opt.step() is None


def test_hooks_and_zero_grad_are_torchs_own():
    p, calls = tensor([1.0]), []
    opt = made("adam", [p])
    opt.register_step_post_hook(lambda *_: calls.append(1))
    p.grad = torch.ones_like(p)
    opt.step()
    opt.zero_grad()
    assert calls == [1] and p.grad is None


# bad input


def test_gradients_that_are_not_finite_change_nothing():
    params = [tensor([1.0, 2.0]), tensor([3.0])]
    opt = made("adam", params)
    for p in params:
        p.grad = torch.ones_like(p)
    opt.step()
    before = copy.deepcopy((params, opt.state_dict()))
    for bad in (float("nan"), float("inf")):
        params[1].grad = torch.tensor([bad], dtype=torch.float64)
        with pytest.raises(
            ValueError, match="a gradient in group 0 is not finite; nothing changed"
        ):
            opt.step()
    assert all(torch.equal(p, q) for p, q in zip(params, before[0], strict=True))
    for k, entries in opt.state_dict()["state"].items():
        for n, v in entries.items():
            assert torch.equal(torch.as_tensor(v), torch.as_tensor(before[1]["state"][k][n]))
    params[1].grad = torch.tensor([1e200], dtype=torch.float64)  # its norm overflows in float32
    opt.step()
    through = made("gradient_descent", [params[0]], error_if_nonfinite=False)
    params[0].grad = torch.full_like(params[0], float("nan"))
    through.step()
    assert params[0].isnan().all()


def test_what_cannot_be_optimized_gets_a_sentence():
    alg = od.algorithm("nesterov_sc")
    for bad in (torch.ones(2, dtype=torch.int64), torch.ones(2, dtype=torch.complex64)):
        with pytest.raises(od.OdescentError, match="real floating-point, not torch"):
            alg.to_torch([bad], mu=MU, L=L)
    with pytest.raises(od.OdescentError, match="empty parameter list"):
        alg.to_torch([], mu=MU, L=L)
    p = tensor([1.0])
    for values, sentence in [
        ({"mu": 2.0, "L": 1.0}, "L must be at least mu"),
        ({"mu": 0.0, "L": 1.0}, "mu must be more than 0"),
        ({"mu": float("nan"), "L": 1.0}, "mu must be a finite number"),
        ({"mu": 1.0}, r"needs a value of L, as in to_torch\(params, L="),
        ({"mu": 1.0, "L": 2.0, "l": 3.0}, "no parameter of nesterov_sc called 'l'"),
    ]:
        with pytest.raises(od.OdescentError, match=sentence):
            alg.to_torch([p], **values)
    shown = r"of beta1, beta2 and eps, as in to_torch\(params, beta1=0.9, beta2=0.999, eps=1e-8\)"
    with pytest.raises(od.OdescentError, match=shown):  # a sentence to paste: nothing is guessed
        od.algorithm("adam").to_torch([p], lr=0.1)
    with pytest.raises(
        od.OdescentError, match=r"needs the function prox.*, where prox takes a list of tensors\.$"
    ):
        od.algorithm("proximal_point").to_torch([p], h=0.1)
    opt = alg.to_torch([p], mu=MU, L=L)
    p.grad = torch.ones(1, dtype=torch.float64).to_sparse()
    with pytest.raises(RuntimeError, match="sparse gradients are not supported"):
        opt.step()
    assert not opt.state


def test_a_value_is_a_function_of_the_tensors():
    """x+ = x - f(x) f'(x) of f = x^2 / 2, two tensors: the value is of both."""
    inside = od.method({x: x - f.grad(x) * f.value(x)}, output=x, name="inside")
    params = [tensor([1.0, 2.0]), tensor([3.0])]
    value = lambda given: sum((t**2).sum() for t in given) / 2
    opt = inside.to_torch(params, value=value)
    for _ in range(2):
        before = [p.detach().clone() for p in params]
        loss = float(value(before))
        for p in params:
            p.grad = p.detach().clone()
        opt.step()
        for p, old in zip(params, before, strict=True):
            torch.testing.assert_close(p.detach(), old - loss * old)


def test_refusals_say_why():
    two = od.method({x: x - f.grad(x) * s - od.Objective("r").grad(x) * b}, output=x)
    other = od.algorithm("sor")
    for alg, why in [
        (two, "gradients of one function"),
        (other, "updates coordinates"),
    ]:
        with pytest.raises(od.NotCarried, match=f"the torch backend .*{why}"):
            alg.source("torch")


def test_without_torch_there_is_a_sentence(monkeypatch):
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setattr(sys, "meta_path", finders_without("torch"))
    alg = od.algorithm("gradient_descent").replace(name="not_loaded").bind(L=3)
    assert "class NotLoaded(Optimizer):" in alg.source("torch")
    with pytest.raises(od.OdescentError, match="needs PyTorch, which is not installed"):
        alg.to_torch([])
