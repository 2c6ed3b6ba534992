"""A person's names in emitted code: whatever they are called, the program computes the same."""

import builtins
import keyword

import jax
import numpy as np
import pytest
import sympy as sp
from attacks_on_emitted import (
    MORE,
    ROLES,
    TARGETS,
    compiled,
    identifiers,
    roles,
    the_same_or_a_sentence,
    together,
    variants,
    words,
)

import odescent as od
from odescent.discretize.emit.lowering.names import Naming, collisions, scopes
from odescent.discretize.emit.printing.lines import MARK

jax.config.update("jax_enable_x64", True)


@pytest.mark.parametrize("target", TARGETS)
def test_words_of_the_module_as_names(target):
    """A sample of what occurs in the modules of that backend, in turn in each role."""
    listed = words(target)
    assert len(listed) > 250 and identifiers(target) | set(MORE.split()) >= {"value", "moving"}
    carried = sum(
        the_same_or_a_sentence(target, **together(listed, i)) for i in range(0, len(listed), 30)
    )
    assert carried > 0.8 * len(listed[::75])
    turn = [together(listed, i) for i in range(len(listed))]
    assert all(len({case[role] for case in turn}) == len(listed) for role in ROLES)


@pytest.mark.parametrize("name", ["gradient_descent", "jump_cbo", "nesterov_c"])
def test_every_option_is_emitted_as_python(name):
    """Of methods of every kind; all of them by the command of `attacks_on_emitted`."""
    listed = list(variants(name))
    assert listed and all("jax_drawn" in compiled(alg) for _, alg in listed)


@pytest.mark.parametrize(
    "name",
    ["moving", "Coefficients", "c", "grads", "Array", "any", "start", "params", "value", "x0"],
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


@pytest.mark.parametrize("word", ["c", "a", "rng", "state", "draw", "tree", "leaf", "start"])
def test_a_function_and_a_parameter_of_one_name(word):
    """Each becomes another name in the module, and a run finds the function all the same."""
    weight, x = sp.Symbol(word, positive=True), od.blocks("x")
    first, second = od.Map(word), od.Map("other")
    drift = -weight * first.vjp(x, first(x)) - second.vjp(x, second(x))
    method = od.Algorithm(od.System({"all": {x: drift}}), od.scheme("explicit_euler"))
    functions = {word: lambda x: 2 * x, "other": lambda x: x**2}
    run = method.run(functions, np.ones(3), 4, h=0.1, **{word: 0.3})
    at = np.ones(3)
    for _ in range(4):
        at = at - 0.1 * (0.3 * 4 * at + 2 * at**3)
    np.testing.assert_allclose(run.x[-1], at, rtol=1e-13)


def test_a_collision_is_seen_where_it_would_be():
    text = f"def f(a{MARK}):\n    a = 1\n    return a{MARK} + a\n\ndef g(b{MARK}):\n    return b{MARK}\n\nb = 2\n"
    naming = Naming(mark=MARK, given={"a": "a", "b": "b"})
    assert collisions(text, naming) == {"a", "b"}
    apart = f"def f(a{MARK}):\n    return a{MARK}\n\ndef g(x):\n    a = x\n    return a\n"
    assert collisions(apart, naming) == set()


def test_the_scopes_of_a_module_are_those_of_python():
    text = (
        "import os as o\nclass A:\n    y: int\n    def m(self, p):\n        return [q for q in p]\n"
    )
    found = [own for own, _ in scopes(text)]
    assert {"self", "p", "q"} in found and any({"y", "m"} <= own for own in found)
