"""Parameters that take no part in a torch step: unused, frozen, or without a gradient until later."""

import copy
import inspect

import numpy as np
import pytest

import odescent as od

torch = pytest.importorskip("torch")
from emitted_runs import optimizer_class  # noqa: E402
from torch_runs import ORACLES, skip_what_is_refused, values  # noqa: E402

FUNCTIONS = {"grad", "operator"}


def listed(function):
    def on_lists(tensors, *scalars):
        return [torch.tensor(np.asarray(function(t.detach().numpy(), *scalars))) for t in tensors]

    return on_lists


def start(name, seed=3):
    """An optimizer of three parameters: used always, used from the third step on, never; and one that is frozen."""
    alg = od.algorithm(name)
    used, late, unused, frozen = (
        torch.tensor([0.3, -0.2], dtype=torch.float64) + 0.1 * i for i in range(4)
    )
    params = [p.requires_grad_(i < 3) for i, p in enumerate((used, late, unused, frozen))]
    asked = inspect.signature(optimizer_class(alg).__init__).parameters
    plain = {
        **ORACLES,
        "map_newton": lambda x: 0.1 * x,
        "batch": lambda x, u, b=1: (1 + u / b) * x,
        "deviation": lambda x, u, b: u / b * x,
    }
    given = {n: listed(plain.get(n, plain.get(n.partition("_")[0]))) for n in asked if n.partition("_")[0] in
             {"prox", "resolvent", "map", "batch", "deviation"}}  # fmt: skip
    given |= {"hvp": lambda at, along: [1.5 * t for t in along]} if "hvp" in asked else {}
    given |= {"value": lambda at: sum((t**2).sum() for t in at) / 2} if "value" in asked else {}
    noise = {"generator": torch.Generator().manual_seed(seed)} if alg.tuned.draws else {}
    return params, alg.to_torch(params, **values(alg), **given, **noise), noise.get("generator")


def closure_of(opt, params, begin, set_to_none=True):
    used, late = params[:2]
    count = [0]

    def closure():
        opt.zero_grad(set_to_none=set_to_none)
        loss = (used**2).sum() / 2
        if count[0] >= begin:
            loss = loss + (late**2).sum()
        loss.backward()
        return loss

    return closure, count


def gradients(name):
    """Whether a step of the method takes gradients at all."""
    return any(
        c.oracle.kind in FUNCTIONS and c.implicit == 0 for c in od.algorithm(name).tuned.calls
    )


@pytest.mark.parametrize("name", od.algorithms())
def test_what_has_no_gradient_does_not_move(name):
    skip_what_is_refused(name)
    params, opt, _ = start(name)
    before = [p.detach().clone() for p in params]
    closure, count = closure_of(opt, params, begin=2)
    for step in range(4):
        count[0] = step
        opt.step(closure)
        if gradients(name):
            assert torch.equal(params[2], before[2]) and params[2] not in opt.state
            if step < 2:
                assert torch.equal(params[1], before[1]) and params[1] not in opt.state
        assert torch.equal(params[3], before[3]) and params[3] not in opt.state
        with opt.eval_params():
            if gradients(name):
                assert torch.equal(params[2], before[2])
            assert torch.equal(params[3], before[3])
    assert not torch.equal(params[0], before[0])
    if gradients(name):
        assert not torch.equal(params[1], before[1])  # it had its first gradient at the third step
    assert all(torch.isfinite(p).all() for p in params)


@pytest.mark.parametrize(
    "name", ["aboba", "baoab", "nesterov_sc", "leimkuhler_matthews", "dissipative_leapfrog"]
)
def test_a_late_parameter_starts_as_if_it_were_new(name):
    """From its first gradient on it goes as one that had it from the start: without noise, the same numbers."""
    alg = od.algorithm(name)
    quiet = {"u": 1e-300} if "u" in {s.name for s in alg.parameters} else {}
    if alg.tuned.draws and not quiet:
        pytest.skip("its noise has no scale of its own")

    def run(begin, steps):
        p = [torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True) for _ in range(2)]
        opt = alg.to_torch(p, **{**values(alg), **quiet})
        closure, count = closure_of(opt, p, begin)
        rows = []
        for step in range(steps):
            count[0] = step
            opt.step(closure)
            rows.append(p[1].detach().clone())
        return rows

    late, prompt = run(2, 7), run(0, 5)
    for a, b in zip(late[2:], prompt, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-13, atol=0)


def test_one_closure_a_step_once_it_is_known_who_has_gradients():
    params, opt, _ = start("aboba")
    calls = []
    closure, count = closure_of(opt, params, begin=9)

    def counted():
        calls.append(1)
        return closure()

    for step in range(5):
        count[0] = step
        opt.step(counted)
    assert len(calls) == 6  # one more in the first step, where the unused ones are found


def test_no_gradient_at_all_and_back_again():
    p = torch.tensor([1.0], dtype=torch.float64, requires_grad=True)
    opt = od.algorithm("aboba").to_torch([p], lr=0.1, gam=1.0, u=1.0)
    with_gradient = [False]

    def closure():
        opt.zero_grad()
        if with_gradient[0]:
            (p**2).sum().backward()
        return 0.5

    assert opt.step(closure) == 0.5 and p.item() == 1 and not opt.state
    assert opt.step(closure) == 0.5 and p.item() == 1
    with_gradient[0] = True
    opt.step(closure)
    assert p.item() != 1
    other = copy.deepcopy(opt)
    assert other.param_groups[0]["params"][0] is not p


def test_a_closure_that_cannot_decide_ends():
    """Gradients that come and go with every evaluation: the step ends, and what is not finite does not arise."""
    p = [torch.tensor([1.0], dtype=torch.float64, requires_grad=True) for _ in range(2)]
    opt = od.algorithm("aboba").to_torch(p, lr=0.1, gam=1.0, u=1.0)
    turn = [0]

    def closure():
        opt.zero_grad()
        turn[0] += 1
        (p[turn[0] % 2] ** 2).sum().backward()
        return 0.0

    for _ in range(4):
        opt.step(closure)
    assert all(torch.isfinite(q).all() for q in p) and turn[0] < 20


@pytest.mark.parametrize("name", ["adam", "aboba", "proximal_point"])
def test_a_state_without_torchs_options_gets_their_defaults(name):
    params, opt, _ = start(name)
    saved = opt.state_dict()
    for group in saved["param_groups"]:
        for option in ("foreach", "maximize", "error_if_nonfinite"):
            group.pop(option, None)
    opt.load_state_dict(saved)
    closure, _ = closure_of(opt, params, begin=0)
    opt.step(closure)
    assert opt.param_groups[0]["foreach"] is None


@pytest.mark.parametrize("name, bad, good", [
    ("adam", {"beta1": 1.5}, {"beta1": 0.0}), ("adam", {"beta2": 1.0}, {"beta2": 0.0}), ("adam", {"beta1": 1.0}, {}),
    ("adam", {"eps": -1e-8}, {"eps": 0.0}), ("rmsprop", {"beta2": 1.0001}, {"beta2": 0.0}),
    ("muon", {"beta": 1.0}, {"beta": 0.0}), ("adam", {"beta1": -0.1}, {"h": 0.0}),
    ("inertial_newton", {"alpha": 2.0, "h": 0.5}, {}), ("underdamped_exact", {"gam": 0.0}, {"gam": 1e-12}),
])  # fmt: skip
def test_domains_are_checked_where_they_matter(name, bad, good):
    params, _, _ = start(name)
    alg = od.algorithm(name)
    asked = inspect.signature(optimizer_class(alg).__init__).parameters
    maps = {n: listed(ORACLES[n]) for n in asked if n in ORACLES}
    with pytest.raises(od.OdescentError, match=r"\.$"):
        alg.to_torch(params, **{**values(alg), **bad}, **maps)
    opt = alg.to_torch(params, **{**values(alg), **good}, **maps)
    closure, _ = closure_of(opt, params, begin=0)
    opt.step(closure)
    assert all(torch.isfinite(p).all() for p in params)
    if not alg.tuned.draws:
        with pytest.raises(od.OdescentError):
            alg.to_optax(**{**values(alg), **bad})
        alg.to_optax(**{**values(alg), **good})
