"""Emitted PyTorch steps along samples, in place: the same points, no sample kept, and what was moved is put back."""

import weakref

import numpy as np
import pytest

import odescent as od

torch = pytest.importorskip("torch")


def _antithetic():
    """The mean of two differences along independent directions, the second along signs, from one value at the point."""
    x, f, r = od.blocks("x"), od.Objective("f"), od.parameters("r")
    z = od.sample("z", law="normal", like=x)
    w = od.sample("w", law="rademacher", like=x)
    here = f.value(x)
    slopes = [(f.value(x + r * s) - here) / r * s for s in (z, w)]
    flow = od.System({"descent": {x: -(slopes[0] + slopes[1]) / 2}}, output=x, name="two_ways")
    return od.Algorithm(flow, "explicit_euler")


METHODS = {
    "central": lambda: od.algorithm("zeroth_order"),
    "forward": lambda: od.algorithm("zeroth_order", difference="forward"),
    "signs": lambda: od.algorithm("zeroth_order", law="rademacher"),
    "two samples": _antithetic,
}


def loss(tensors):
    return float(
        sum(
            ((t.detach() - 1) ** 2 * (1 + torch.arange(t.numel()).reshape(t.shape))).sum()
            for t in tensors
        )
    )


def start():
    made = torch.Generator().manual_seed(3)
    return [torch.randn(s, generator=made, dtype=torch.float64) for s in ((3, 2), (4,))]


def run(method, steps, value=loss, **options):
    params = [p.requires_grad_() for p in start()]
    generator = torch.Generator().manual_seed(5)
    more = {"h": 0.01, "r": 1e-3, "value": value, "generator": generator, **options}
    opt = method.to_torch(params, **more)
    for _ in range(steps):
        opt.step()
    return params


@pytest.mark.parametrize("name", METHODS)
def test_the_points_are_those_of_the_step_that_stores(name):
    stored, again = (run(METHODS[name](), 150, h=0.003, in_place=way) for way in (False, True))
    assert loss(stored) < 0.5 * loss(start())
    for a, b in zip(stored, again, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


def test_a_step_in_place_holds_one_sample_of_one_tensor_at_a_time(monkeypatch):
    alive, most = weakref.WeakSet(), []
    randn = torch.randn

    def counted(*args, **options):
        made = randn(*args, **options)
        alive.add(made)
        most.append(len(alive))
        return made

    method = METHODS["two samples"]()
    method.to_torch(start(), h=0.01, r=1e-3, value=loss)  # compiled before
    monkeypatch.setattr(torch, "randn", counted)
    run(method, 2, in_place=True)
    # `start` draws two, which it keeps; five moves in a step, of two tensors
    assert max(most) == 3 and len(most) == 2 + 2 * 5 * 2
    most.clear(), alive.clear()
    run(method, 1)
    assert max(most) == 6


@pytest.mark.parametrize("fails_at", [1, 2])
def test_what_raises_in_the_function_leaves_the_parameters_where_they_were(fails_at):
    calls = []

    def value(tensors):
        calls.append(1)
        if len(calls) == fails_at:
            raise RuntimeError("no value")
        return loss(tensors)

    params = [p.requires_grad_() for p in start()]
    opt = METHODS["central"]().to_torch(params, h=0.01, r=0.5, value=value, in_place=True)
    with pytest.raises(RuntimeError, match="no value"):
        opt.step()
    for p, before in zip(params, start(), strict=True):
        torch.testing.assert_close(p.detach(), before, rtol=0, atol=1e-15)


def test_the_function_sees_the_parameters_themselves():
    model = torch.nn.Linear(3, 1).double()
    x = torch.ones(2, 3, dtype=torch.float64)
    seen = []

    def value(_):
        seen.append(float(model(x).sum()))
        return seen[-1] ** 2

    opt = METHODS["central"]().to_torch(
        model.parameters(), h=0.01, r=0.1, value=value, in_place=True
    )
    opt.step()
    assert seen[0] != seen[1] and np.isfinite(float(model(x).sum().detach()))


def test_steps_that_need_a_whole_sample_have_no_such_option():
    method = od.algorithm("zeroth_order", law="sphere")
    with pytest.raises(od.OdescentError, match="no parameter of zeroth_order called 'in_place'"):
        method.to_torch(start(), h=0.1, r=0.1, value=loss, in_place=True)
