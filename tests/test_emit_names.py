"""A person's names in emitted code: whatever they are called, the program computes the same."""

import builtins
import importlib.util
import keyword
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import odescent as od
from odescent.discretize.emit import called, load, source
from odescent.discretize.emit.names import Naming, collisions, scopes

jax.config.update("jax_enable_x64", True)
TARGETS = ["numpy", "jax", "optax", *(["torch"] if importlib.util.find_spec("torch") else [])]
CENTER = np.array([0.3, -0.7])
X0 = np.array([1.0, 2.0])
STEPS = 4
# What no emitted module of the registry need contain, and people write.
MORE = (
    "self params state group closure loss lr jax jnp np torch math optax numpy value "
    "update updates moving Coefficients Array State any super range isinstance callable "
    "BallState Tensor Optimizer zip list float int print match case type c k g key keys h "
    "x0 start init step run output first beta t1 t2 p1 s w u xp c_g c_v v_next root_a "
    "log_a grads params_list start_list v_list g_made foreach maximize generator batches "
    "value_fn x_1 v_1 none "
)
SOME = (
    "adam",
    "item",
    "baoab",
    "underdamped_exact",
    "muon",
    "relativistic",
    "sor",
    "sgd",
    "nesterov_sc",
    "ogm",
)


def identifiers(target):
    """Every identifier in the emitted modules of some algorithms of every kind."""
    found = set()
    for name in SOME:
        try:
            text = source(od.algorithm(name), target)
        except od.NotCarried:
            continue
        found |= set(re.findall(r"[A-Za-z_]\w*", text))
    return {n for n in found if n.isidentifier() and not n.startswith("_") and len(n) < 50}


def method(damp="aa", block="vv", place="xx", objective="ff", name="mm"):
    """Damped motion with a factor in the kick that depends on the step, under any names."""
    x, v = od.blocks(f"{place} {block}")
    b, h = od.parameters(f"{damp} hh")
    f = od.Objective(objective)
    system = od.System({"damp": {v: -b * v}, "kick": {v: -f.grad(x)}, "drift": {x: v}}, output=x)
    steps = [("damp", "exact"), ("kick", "explicit"), ("drift", "explicit")]
    return od.Algorithm(system, od.scheme("lie_trotter", steps), step=h, name=name)


def truth(b=0.7, h=0.1):
    x, v, rows = X0, 0 * X0, [X0]
    for _ in range(STEPS):
        v = np.exp(-b * h) * v - h * (x - CENTER)
        x = x + h * v
        rows.append(x)
    return np.array(rows)


def computed(alg, target, damp="aa"):
    module = load(alg, target)
    names = called(module)
    numbers = {names[damp]: 0.7, names["hh"]: 0.1}
    if target in ("numpy", "jax"):
        xp = np if target == "numpy" else jnp
        return np.asarray(module.run(lambda x: x - CENTER, xp.asarray(X0), STEPS, **numbers))
    if target == "optax":
        opt = alg.to_optax(**{damp: 0.7, "hh": 0.1})
        params, rows = jnp.asarray(X0), []
        state = opt.init(params)
        for _ in range(STEPS + 1):
            rows.append(module.eval_params(state, params))
            updates, state = opt.update(params - CENTER, state, params)
            params = params + updates
        return np.array(rows)
    import torch

    param = torch.tensor(X0, requires_grad=True)
    opt = alg.to_torch([param], **numbers)
    rows = []
    for _ in range(STEPS + 1):
        with opt.eval_params():
            rows.append(param.detach().numpy().copy())
        param.grad = param.detach() - torch.tensor(CENTER)
        opt.step()
    return np.array(rows)


def the_same_or_a_sentence(target, **names):
    try:
        alg = method(**names)
        rows = computed(alg, target, names.get("damp", "aa"))
    except od.OdescentError as refusal:
        assert str(refusal).endswith(".")
        return False
    np.testing.assert_allclose(rows, truth(), rtol=1e-12, err_msg=f"{target} {names}")
    return True


def roles(name):
    return [{"damp": name}, {"block": name}, {"place": name}, {"objective": name}, {"name": name}]


@pytest.mark.parametrize("target", TARGETS)
def test_words_of_the_module_as_names(target):
    """A sample of what occurs in the modules of that backend, in turn in each role."""
    words = sorted(identifiers(target) | {n for n in MORE.split() if not keyword.iskeyword(n)})
    assert len(words) > 100
    carried = sum(
        the_same_or_a_sentence(target, **roles(w)[i % 5]) for i, w in enumerate(words[::30])
    )
    assert carried > 0.9 * len(words[::30])


@pytest.mark.parametrize(
    "name", ["moving", "Coefficients", "c", "grads", "Array", "any", "start", "params", "value"]
)
@pytest.mark.parametrize("target", TARGETS)
def test_names_that_once_meant_something_else(target, name):
    for role in roles(name):
        assert the_same_or_a_sentence(target, **role)


@pytest.mark.parametrize("target", TARGETS)
def test_keywords_builtins_and_what_python_takes_for_one_name(target):
    for word in keyword.softkwlist:
        if word != "_":
            assert the_same_or_a_sentence(target, damp=word) and the_same_or_a_sentence(
                target, block=word
            )
    for word in ("float", "max", "len", "print", "isinstance", "sum"):
        assert hasattr(builtins, word) and the_same_or_a_sentence(
            target, damp=word, block=f"{word}_"
        )
    for word in (
        "\uff58",
        "\u017f",
        "\u2113",
        "\ufb01t",
    ):  # full-width x, long s, script l, a ligature
        assert the_same_or_a_sentence(target, damp=word)
        assert the_same_or_a_sentence(target, block=word)
    the_same_or_a_sentence(target, place="x", block="\uff58")  # one name for Python, two for us


@pytest.mark.parametrize("names", [
    {"place": "x", "block": "x_next"}, {"place": "x", "damp": "x_next"}, {"place": "x", "damp": "c_x"},
    {"place": "x", "block": "c_x"}, {"damp": "b", "block": "root_b"}, {"damp": "t1"}, {"place": "x", "block": "x_list"},
    {"place": "x", "block": "x_0"}, {"place": "x", "block": "x_1"}, {"place": "g", "block": "g_1"},
    {"damp": "d", "block": "d_"}, {"damp": "k", "block": "k_"}, {"damp": "lr", "block": "lr_"},
])  # fmt: skip
@pytest.mark.parametrize("target", TARGETS)
def test_names_that_are_made_of_others(target, names):
    assert the_same_or_a_sentence(target, **names)


def test_a_collision_is_seen_where_it_would_be():
    text = (
        "def f(azqz):\n    a = 1\n    return azqz + a\n\ndef g(bzqz):\n    return bzqz\n\nb = 2\n"
    )
    naming = Naming(mark="zqz", given={"a": "a", "b": "b"})
    assert collisions(text, naming) == {"a", "b"}
    apart = "def f(azqz):\n    return azqz\n\ndef g(x):\n    a = x\n    return a\n"
    assert collisions(apart, naming) == set()


def test_the_scopes_of_a_module_are_those_of_python():
    import ast

    text = (
        "import os as o\nclass A:\n    y: int\n    def m(self, p):\n        return [q for q in p]\n"
    )
    found = [own for own, _ in scopes(ast.parse(text))]
    assert {"self", "p", "q"} in found and any({"y", "m"} <= own for own in found)
