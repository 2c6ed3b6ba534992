"""Aliases of parameters where optimizers are made, and numbers as keys of torch's parameter groups."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import sympy as sp

import odescent as od

torch = pytest.importorskip("torch")


def net() -> Any:
    torch.manual_seed(0)
    return torch.nn.Linear(3, 1).double()


def iterates(optimizer: Any, model: Any, schedule: Any = None) -> np.ndarray:
    """The weights after each of ten steps on fixed data."""
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(20, 3, generator=generator, dtype=torch.float64)
    wanted = inputs @ torch.tensor([[1.0], [-2.0], [0.5]], dtype=torch.float64)
    found = []
    for _ in range(10):
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(model(inputs), wanted).backward()
        optimizer.step()
        if schedule is not None:
            schedule.step()
        found.append(torch.cat([p.detach().ravel() for p in model.parameters()]).numpy().copy())
    return np.array(found)


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("heavy_ball", {"lr": 0.05, "momentum": 0.5}),
        ("gradient_descent", {"step": 0.1}),
        ("gradient_descent", {"learning_rate": 0.1}),
        ("nesterov_sc", {"mu": 0.5, "L": 10.0}),
        ("nesterov_sc", {"lr": 0.05, "momentum": 0.5}),
        ("adam", {"lr": 0.05, "b1": 0.9, "b2": 0.99, "eps": 1e-8}),
    ],
)
def test_numbers_mean_the_same_wherever_they_are_given(name: str, numbers: dict[str, Any]) -> None:
    made = []
    for build in (
        lambda p: od.algorithm(name, **numbers).to_torch(p),
        lambda p: od.algorithm(name).to_torch(p, **numbers),
        lambda p: od.algorithm(name).bind(**numbers).to_torch(p),
    ):
        model = net()
        optimizer = build(model.parameters())
        group = optimizer.param_groups[0]
        assert ("lr" in group) == (not {"mu", "L"} & set(numbers))
        made.append(iterates(optimizer, model))
    for other in made[1:]:
        np.testing.assert_allclose(other, made[0], rtol=0, atol=1e-14)


def test_schedulers_of_torch_change_the_learning_rate() -> None:
    """Halved after each three steps, as by hand."""
    model = net()
    optimizer = od.algorithm("heavy_ball", lr=0.05, momentum=0.5).to_torch(model.parameters())
    plan = torch.optim.lr_scheduler.StepLR(optimizer, 3, gamma=0.5)
    scheduled = iterates(optimizer, model, plan)

    class ByHand:
        def __init__(self, optimizer: Any) -> None:
            self.optimizer, self.done = optimizer, 0

        def step(self) -> None:
            self.done += 1
            self.optimizer.param_groups[0]["lr"] = 0.05 * 0.5 ** (self.done // 3)

    model = net()
    optimizer = od.algorithm("heavy_ball").to_torch(model.parameters(), lr=0.05, momentum=0.5)
    np.testing.assert_array_equal(iterates(optimizer, model, ByHand(optimizer)), scheduled)

    # torch's SGD with momentum is heavy ball while the rate is constant
    model = net()
    peer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.5)
    np.testing.assert_allclose(iterates(peer, model)[:3], scheduled[:3], atol=1e-12)


def test_values_that_were_replaced_since_do_not_come_back() -> None:
    first = od.algorithm("heavy_ball", lr=0.05, momentum=0.5)
    for other in (first.bind(lr=0.2), copy.deepcopy(first.bind(lr=0.2))):
        group = other.to_torch(net().parameters()).param_groups[0]
        assert (group["lr"], group["momentum"]) == (0.2, 0.5)
    replaced = first.bind(step=0.3)
    assert set(replaced.unbound[1]) == {"momentum", "step"}
    assert first.replace(tuning={}).unbound[1] == {}
    again = pickle.loads(pickle.dumps(first))  # noqa: S301  our own bytes
    assert again.to_torch(net().parameters()).param_groups[0]["lr"] == 0.05


def test_symbols_as_values_stay_in_the_source() -> None:
    s = sp.Symbol("s", positive=True)
    method = od.algorithm("gradient_descent", step=s)
    group = method.to_torch(net().parameters(), s=0.1).param_groups[0]
    assert group["s"] == 0.1


def test_optax_takes_the_same_words() -> None:
    jax, optax = pytest.importorskip("jax"), pytest.importorskip("optax")
    transformation = od.algorithm("heavy_ball").to_optax(lr=0.1, momentum=0.9)
    peer = optax.sgd(0.1, momentum=0.9)
    x = y = jax.numpy.ones(3)
    state, other = transformation.init(x), peer.init(y)
    for _ in range(8):
        updates, state = transformation.update(x, state, x)
        x = optax.apply_updates(x, updates)
        updates, other = peer.update(y, other, y)
        y = optax.apply_updates(y, updates)
    np.testing.assert_allclose(x, y, rtol=0, atol=1e-12)


def test_two_words_for_one_parameter_are_refused() -> None:
    with pytest.raises(od.OdescentError, match="both set the parameter h"):
        od.algorithm("heavy_ball").to_torch(net().parameters(), lr=0.1, step=0.1)
    with pytest.raises(od.OdescentError, match="momentum must be a positive number below 1"):
        od.algorithm("heavy_ball").to_torch(net().parameters(), lr=0.1, momentum=1.1)
    made = od.algorithm("heavy_ball").to_torch(
        net().parameters(), lr=0.1, momentum=0.5, mu=1.0, L=4.0
    )
    assert made.param_groups[0]["momentum"] == 0.5
