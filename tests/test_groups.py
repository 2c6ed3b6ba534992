"""Parameter groups: the leaves of a tree as arguments of a function of several."""

import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import sympy as sp

import odescent as od
from odescent.discretize.emit import load

hidden, last, m = od.blocks("hidden last m")
h, a = od.parameters("h a")
f = od.Objective("f", args=("hidden", "last"))
pull, push = (f.grad(hidden, last, wrt=n) for n in f.args)
METHOD = od.Algorithm(
    od.System(
        {
            "normalized": {hidden: -pull / sp.sqrt(od.inner(pull, pull))},
            "momentum": {m: a * (push - m)},
            "move": {last: -m},
        },
        output=hidden,
        name="by_layer",
    ),
    od.scheme("semi_implicit_euler", order=("m", "hidden", "last")),
    step=h,
    name="by_layer",
)
GROUPS = od.Groups(hidden="layers/*", last=od.Leaves("head/*"))
RNG = np.random.default_rng(3)
TREE: Any = {
    "head": {"w": RNG.normal(size=(4, 2))},
    "layers": [{"w": RNG.normal(size=(3, 4)), "b": RNG.normal(size=4)}],
}
DATA = RNG.normal(size=(5, 3))


def loss(p: Any) -> Any:
    z = jnp.tanh(DATA @ p["layers"][0]["w"] + p["layers"][0]["b"][None])
    return jnp.mean((z @ p["head"]["w"] - 1.0) ** 2)


def by_hand(steps: int, step: float = 0.05, rate: float = 2.0) -> Any:
    """Normalized descent on the layers, momentum on the head, written out."""
    with jax.enable_x64(True):
        p, memory = TREE, np.zeros((4, 2))
        for _ in range(steps):
            g = jax.grad(loss)(p)
            memory = memory + step * rate * (g["head"]["w"] - memory)
            norm = jnp.sqrt(sum(jnp.sum(x**2) for x in jax.tree.leaves(g["layers"])))
            layers = jax.tree.map(lambda x, y, n=norm: x - step * y / n, p["layers"], g["layers"])
            p = {"head": {"w": p["head"]["w"] - step * memory}, "layers": layers}
        return p


def close(one: Any, other: Any, tol: float = 1e-12) -> None:
    for x, y in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(np.asarray(x), np.asarray(y), rtol=0, atol=tol)


def test_a_run_treats_each_group_by_its_own_fields() -> None:
    done = METHOD.run(loss, TREE, 12, h=0.05, a=2.0, groups=GROUPS)
    close(jax.tree.map(lambda x: x[-1], done.x), by_hand(12))
    close(jax.tree.map(lambda x: x[0], done.x), TREE)
    assert done.f[-1] == pytest.approx(float(loss(by_hand(12))), rel=1e-6)
    assert done.states["m"]["layers"][0]["w"] is None


def test_the_partial_gradients_come_from_one_backward_pass() -> None:
    passes = []

    @jax.custom_vjp
    def seen(z: Any) -> Any:
        return z

    def backward(_: None, g: Any) -> Any:
        passes.append(1)
        return (g,)

    seen.defvjp(lambda z: (z, None), backward)
    counted = od.Objective("counted", lambda p: seen(loss(p)))
    METHOD.run(counted, TREE, 3, h=0.05, a=2.0, groups=GROUPS)
    assert len(passes) == 1


def stepped(opt: Any, steps: int, jit: bool = False) -> Any:
    """Parameters and the state after as many updates by the gradient of the loss."""
    update = jax.jit(opt.update) if jit else opt.update
    with jax.enable_x64(True):
        p = jax.tree.map(jnp.asarray, TREE)
        state = opt.init(p)
        for _ in range(steps):
            moved, state = update(jax.grad(loss)(p), state, p)
            p = optax.apply_updates(p, moved)
        return p, state


def normalized(step: float) -> optax.GradientTransformation:
    """The gradient divided by its norm over all leaves, written out."""

    def update(g: Any, state: Any, params: Any = None) -> Any:
        norm = optax.tree.norm(g)
        return jax.tree.map(lambda x: -step * x / norm, g), state

    return optax.GradientTransformation(lambda p: optax.EmptyState(), update)


def test_the_emitted_transformation_is_multi_transform_by_hand_and_the_run() -> None:
    with jax.enable_x64(True):
        emitted = METHOD.to_optax(labels=GROUPS, h=0.05, a=2.0)
        momentum = optax.chain(optax.ema(0.9, debias=False), optax.scale(-0.05))
        hand = optax.multi_transform({"hidden": normalized(0.05), "last": momentum}, GROUPS)
    close(stepped(emitted, 9)[0], stepped(hand, 9)[0])
    close(stepped(emitted, 9, jit=True)[0], by_hand(9))
    run = METHOD.run(loss, TREE, 9, h=0.05, a=2.0, groups=GROUPS)
    close(stepped(emitted, 9)[0], jax.tree.map(lambda x: x[-1], run.x))


def test_labels_are_a_tree_or_a_function_and_a_prefix_will_do() -> None:
    with jax.enable_x64(True):
        emitted = METHOD.to_optax(labels={"head": "last", "layers": "hidden"}, h=0.05, a=2.0)
        schedule = METHOD.to_optax(labels=GROUPS, h=lambda k: jnp.where(k < 0, 0.0, 0.05), a=2.0)
    close(stepped(emitted, 5)[0], by_hand(5))
    close(stepped(schedule, 5)[0], by_hand(5))


def test_the_output_of_a_look_ahead_is_that_of_the_run() -> None:
    n = od.blocks("n")
    at = hidden + a * n, last + a * m
    slope = {g: f.grad(*at, wrt=g) for g in f.args}
    memory = {n: a * n - h * slope["hidden"], m: a * m - h * slope["last"]}
    moved = {hidden: hidden + memory[n], last: last + memory[m]}
    nag = od.method({**memory, **moved}, output=hidden, init={n: 0 * n, m: 0 * m}, name="nag")
    done = nag.run(loss, TREE, 7, h=0.05, a=0.5, groups=GROUPS)
    with jax.enable_x64(True):
        p, state = stepped(nag.to_optax(labels=GROUPS, h=0.05, a=0.5), 7)
        output = load(nag, "optax").eval_params(state, p, GROUPS)
    close(output, jax.tree.map(lambda x: x[-1], done.x))


def test_a_named_map_acts_on_each_leaf_of_one_group() -> None:
    """The rows of the layers' gradient over their root mean squares, momentum on the head: SCALE's two fields."""
    rows = od.named_map("steepest_row_rms")
    fields = {"rows": {hidden: -rows(pull)}, "slow": {m: a * (push - m), last: -m}}
    method = od.Algorithm(od.System(fields, output=hidden), "explicit_euler", step=h, name="scale")
    with jax.enable_x64(True):
        emitted = method.to_optax(labels=GROUPS, h=0.05, a=2.0)
        found = stepped(emitted, 1)[0]
        (g,) = jax.grad(loss)(TREE)["layers"]
        w = g["w"] / jnp.sqrt(jnp.mean(g["w"] ** 2, axis=1, keepdims=True))
        b = g["b"] / jnp.sqrt(jnp.mean(g["b"] ** 2))
    close(found["head"], TREE["head"])
    close(found["layers"][0]["w"], TREE["layers"][0]["w"] - 0.05 * w)
    close(found["layers"][0]["b"], TREE["layers"][0]["b"] - 0.05 * b)
    run = method.run(loss, TREE, 6, h=0.05, a=2.0, groups=GROUPS)
    close(stepped(emitted, 6)[0], jax.tree.map(lambda x: x[-1], run.x))
    assert "def _of(" in method.source("torch")


@pytest.mark.parametrize("labels", ["hidden", {"head": "last", "layers": "tail"}])
def test_labels_that_are_no_groups_are_refused(labels: Any) -> None:
    with pytest.raises(ValueError, match="labels must be hidden, last, each of some leaf"):
        METHOD.to_optax(labels=labels, h=0.05, a=2.0).init(TREE)


@pytest.mark.parametrize("target", ["optax", "torch"])
def test_groups_that_depend_on_each_other_are_refused(target: str) -> None:
    both = sp.sqrt(od.inner(pull, pull) + od.inner(push, push))
    joint = od.System({"all": {hidden: -pull / both, last: -push / both}}, output=hidden)
    with pytest.raises(od.NotCarried, match="belongs to another group"):
        od.Algorithm(joint, "explicit_euler", step=h).source(target)


@pytest.mark.parametrize("foreach", [True, False])
def test_the_emitted_torch_optimizer_makes_the_same_steps(foreach: bool) -> None:
    torch = pytest.importorskip("torch")
    first, second = torch.nn.Linear(3, 4).double(), torch.nn.Linear(4, 2, bias=False).double()
    model = torch.nn.ModuleDict({"layers": torch.nn.ModuleList([first]), "head": second})
    with torch.no_grad():
        first.weight.copy_(torch.tensor(TREE["layers"][0]["w"].T))
        first.bias.copy_(torch.tensor(TREE["layers"][0]["b"]))
        second.weight.copy_(torch.tensor(TREE["head"]["w"].T))
    named = GROUPS.param_groups(model.named_parameters())
    optimizer = METHOD.to_torch(named, h=0.05, a=2.0, foreach=foreach)
    for _ in range(9):
        optimizer.zero_grad()
        ((second(torch.tanh(first(torch.tensor(DATA)))) - 1.0) ** 2).mean().backward()
        optimizer.step()
    found = first.weight.T, first.bias, second.weight.T
    hand = by_hand(9)
    wanted = hand["layers"][0]["w"], hand["layers"][0]["b"], hand["head"]["w"]
    close([x.detach().numpy() for x in found], wanted)
    assert set(optimizer.state) == {second.weight}  # only the last layer has memory
    again = METHOD.to_torch(GROUPS.param_groups(model.named_parameters()), h=0.1, a=1.0)
    again.load_state_dict(optimizer.state_dict())
    assert [g["group"] for g in again.param_groups] == ["hidden", "last"]


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ([{}], 'needs a key "group": hidden or last'),
        ([{"group": "tail"}], 'needs a key "group": hidden or last'),
        ([{"group": "last"}], 'no parameter group has the key "group": hidden'),
    ],
)
def test_torch_refuses_parameters_of_no_group_and_a_group_without_any(
    groups: Any, said: str
) -> None:
    torch = pytest.importorskip("torch")
    given = [{"params": [torch.zeros(2, requires_grad=True)], **g} for g in groups]
    with pytest.raises(od.OdescentError, match=said):
        METHOD.to_torch(given, h=0.05, a=2.0)


def test_groups_are_data() -> None:
    again = od.Groups.from_dict(json.loads(json.dumps(GROUPS.to_dict())))
    assert again == GROUPS and hash(again) == hash(GROUPS)
    assert GROUPS != od.Groups(hidden="layers/*", last="head/*", more="x")
    labels = od.Groups(hidden=od.Leaves(ndim=1), last=od.Leaves(ndim=2))(TREE)
    assert labels == {"head": {"w": "last"}, "layers": [{"w": "last", "b": "hidden"}]}
    split = od.Groups(hidden=lambda path, leaf: leaf.size > 4, last=od.Leaves("*", but=("*/w",)))
    assert split(TREE)["layers"] == [{"w": "hidden", "b": "last"}]


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ({"hidden": "layers/*", "last": "tail/*"}, "'head/w' is in no group"),
        ({"hidden": "*", "last": "head/*"}, "'head/w' is in the groups hidden and last"),
        ({"hidden": "*", "last": "tail/*"}, "the group 'last' matches no leaf"),
        ({"hidden": "layers/*", "tail": "head/*"}, "argument that by_layer calls"),
        ({"hidden": "*"}, "give the group 'last' too"),
        ({}, "at least one group"),
        ({"hidden": 3, "last": "head/*"}, "a pattern of paths"),
    ],
)
def test_bad_groups_are_refused_in_a_sentence(groups: Any, said: str) -> None:
    with pytest.raises(od.OdescentError, match=said):
        METHOD.run(loss, TREE, 2, h=0.05, a=2.0, groups=groups)


def test_a_method_of_one_argument_has_no_groups() -> None:
    one = od.algorithm("gradient_descent", step=0.1)
    with pytest.raises(od.OdescentError, match="of several arguments"):
        one.run(loss, TREE, 2, groups={"hidden": "*"})
