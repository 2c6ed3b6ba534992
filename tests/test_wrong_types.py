"""Values of wrong types in the public functions and methods: a sentence each."""

import inspect
import random
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import odescent as od
from odescent._support.arguments import checked

x, v = od.blocks("x v")
f = od.Objective("f")
SYSTEM, METHOD = od.system("heavy_ball"), od.algorithm("gradient_descent")
WRONG = [
    None, 3, -1, 2.5, float("nan"), "a", "", b"x", [], [1], {}, {"a": 1}, {1: 2}, (), object(), x, f, SYSTEM, METHOD,
    True, sp.Symbol("zz"), sp.I, np.array([1.0, 2.0]), lambda q: q, int, {x: 3}, {x: v}, set(), 10**400,
    sp.oo, 1j, [1j, 2], range(3), {1, 2}, {"h"}, (n for n in "ab"), np.array(3.0), np.array(["a", "b"]),
    np.array([x, v]), np.zeros(0), np.zeros((2, 2)), jnp.ones(2), np.int64(3), [[1, 2], [3]], {"h": [1, 2]}, [None],
    [x], bytearray(b"a"),
]  # fmt: skip
OWN = {  # they run a function of the user at what is given, take long, or hold results
    "neural_de.to_torch", "neural_de.to_torch_sde", "discretize.Trajectory",
    "particles.minimize", "neural_de.inspect", "discretize.Program",
    "Objective.value", "Objective.grad", "Objective.hess", "Objective.ensemble", "Algorithm.to_torch",
    "Algorithm.to_optax", "Algorithm.recognize", "System.map", "minimize", "synthesize", "Trajectory",
}  # fmt: skip


def targets():
    public = {n: getattr(od, n) for n in od.__all__ if n not in OWN}
    for package in ("dynamics", "discretize", "analysis", "particles", "neural_de"):
        module = getattr(od, package)
        names = [n for n in module.__all__ if f"{package}.{n}" not in OWN]
        public |= {f"{package}.{n}": getattr(module, n) for n in names}
    holders = {
        "System": SYSTEM,
        "Algorithm": METHOD,
        "Objective": f,
        "Derivation": od.derive("heavy_ball"),
    }
    start = np.array([1.0, 2.0])
    holders["Trajectory"] = METHOD.bind(L=100).run("himmelblau", start, 3)
    holders["Solution"] = od.system("gradient_flow").simulate("himmelblau", start, 1.0)
    holders["Portrait"] = od.analysis.phase_portrait("heavy_ball", curvature=1.0)
    holders["Certificate"] = od.analysis.certify(METHOD, mu=1, L=10)
    for name, owner in holders.items():
        methods = {n for n, m in inspect.getmembers(type(owner), callable) if not n.startswith("_")}
        public |= {
            f"{name}.{n}": getattr(owner, n) for n in sorted(methods) if f"{name}.{n}" not in OWN
        }
    plain = {n: o for n, o in public.items() if callable(o) and not inspect.ismodule(o)}
    errors = {n for n, o in plain.items() if isinstance(o, type) and issubclass(o, BaseException)}
    return {n: o for n, o in plain.items() if n not in errors and not inspect.isabstract(o)}


@pytest.mark.untyped
@pytest.mark.filterwarnings("ignore::UserWarning")  # Equinox, of what a field holds
@pytest.mark.filterwarnings("ignore:Python iterable type")  # JAX, of a generator in a tree
def test_wrong_types_get_a_sentence(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # "a" is also the name of a file
    for name, function in targets().items():
        rng = random.Random(name)  # a new name does not shift the draws of the others
        kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        signature = inspect.signature(function).parameters.values()
        found = [p for p in signature if p.kind in kinds]
        options = [p for p in signature if p.kind is p.KEYWORD_ONLY]
        needed = sum(p.default is p.empty for p in found)
        for _ in range(4):
            given = [
                rng.choice(WRONG) for _ in range(rng.randint(needed, len(found[: needed + 1])))
            ]
            free = rng.sample(options, min(1, len(options)))
            named = {p.name for p in options if p.default is p.empty or p in free}
            try:
                function(*given, **{n: rng.choice(WRONG) for n in sorted(named)})
            except od.OdescentError as error:
                sentence = str(error).partition("\n")[0]
                assert sentence and len(sentence) < 600, (name, given)


@pytest.mark.parametrize(
    "broken",
    [lambda: x / 0, lambda: x / v, lambda: x * v, lambda: x + 1, lambda: x * float("inf"), lambda: x**2,
     lambda: x @ v, lambda: x / sp.S.Zero, lambda: od.inner(x, 3), lambda: od.elementwise(0, x)],
)  # fmt: skip
def test_what_vectors_do_not_do_is_an_error_of_one_sentence(broken):
    """It is also what Python calls it, a TypeError or a division by zero."""
    with pytest.raises(od.OdescentError) as refused:
        broken()
    assert isinstance(refused.value, (TypeError, ZeroDivisionError))
    assert str(refused.value).endswith(".") and "\n" not in str(refused.value)


def test_what_a_generator_yields_is_a_list():
    @checked
    def twice(values: Sequence[float]) -> list[float]:
        return [*values, *values]

    assert twice(n / 2 for n in range(2)) == [0.0, 0.5, 0.0, 0.5]
    with pytest.raises(od.OdescentError, match="every entry of values of twice must be a number"):
        twice(n for n in "ab")


@pytest.mark.parametrize(
    "kind",
    [int, Fraction, Decimal, float, np.float64, np.array, jnp.float32],
    ids=lambda k: k.__name__,
)
def test_numbers_of_any_library_are_expressions(kind):
    z, number = sp.Symbol("z"), kind(2)
    assert od.Block("s", "scalar", "coefficient", number).init == 2
    assert od.mean(number) == 2
    assert not od.dynamics.gradient(number, x)
    assert SYSTEM.derivative(number) == 0
    assert od.dynamics.taylor(number, z, 1) == [2, 0]


@pytest.mark.parametrize("key", [sp.Symbol("zz"), sp.Symbol("c"), 3, x, "nope", None])
def test_values_are_bound_to_parameters_only(key):
    with pytest.raises(od.OdescentError, match=r"there is no parameter|is not the parameter"):
        SYSTEM.bind({key: 3})


def test_forms_of_a_system_take_expressions_only():
    with pytest.raises(od.OdescentError, match="output of second_order must be a vector"):
        SYSTEM.second_order(3)
    with pytest.raises(od.OdescentError, match="lam of linearize must be"):
        SYSTEM.linearize("a")


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("call", "sentence"),
    [(lambda: od.particles.sphere("a"),
     "center of sphere must be an array of numbers, not 'a'."),
     (lambda: od.particles.sphere([0, 0], 1j),
     "radius of sphere must be a number, not an object of type complex."),
     (lambda: od.analysis.Section(1j, [1, 0], [0, 1]),
      "origin of Section must be an array of numbers or a list, not an object of type complex."),
     (lambda: od.neural_de.pareto(range(3)),
      "every entry of runs of pareto must be a Trained, not 0."),
     (lambda: od.neural_de.pareto({"h": [1, 2]}),
      "every entry of runs of pareto must be a Trained, not 1."),
     (lambda: METHOD.released(jnp.ones(2)),
      "every entry of names of released must be a text, not"),
     (lambda: od.mean(x, np.array([1.0])),
      "every entry of samples of mean must be a VectorSample or a ScalarSample, not"),
     (lambda: od.neural_de.Budget(target_nfe=3, bounds={1, 2}),
      "bounds of Budget must be a tuple, not an object of type set."),
     (lambda: od.dynamics.taylor(sp.Symbol("z"), sp.Symbol("z"), sp.oo),
      "order must be a whole number of at least 0, not inf."),
     (lambda: od.analysis.cycle_table([range(3), [1], [2]], [10]),
      "each of (A, B, C) or (A, B, C, D) must be a matrix, as rows of numbers, not"),
     (lambda: od.root(x, unknown=[1]),
      "the unknown of root must be a block, as in y = od.blocks('y'), not"),
     (lambda: od.particles.ball([0, "b"], 1),
     "center of ball must be an array of numbers, not an object of type list."),
     (lambda: od.particles.effective_alpha({}),
     "share of effective_alpha must be a number, not an object of type dict."),
     (lambda: od.neural_de.NeuralSDE(2, [3], 7.5),
     "key of NeuralSDE must be a key of JAX, as jax.random.key(0), not 7.5."),
     (lambda: od.dynamics.substitute(x, [v]),
     "values of substitute must be a mapping of symbols to what replaces them")],
)  # fmt: skip
def test_arrays_keys_and_numbers_are_named_as_such(call, sentence):
    with pytest.raises(od.OdescentError) as refused:
        call()
    assert str(refused.value).startswith(sentence)
