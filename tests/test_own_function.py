"""One's own function, with one's own step: plain functions in runs, words for parameters, and what is refused."""

import json
import re
import sys
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import odescent as od
from odescent import replay
from odescent._explorer.choice import OWN
from odescent._explorer.model import model
from odescent.cli import app
from odescent.discretize.library.words import WORDS

x, f, h = od.blocks("x"), od.Objective("f"), od.parameters("h")
CENTRE = np.array([1.0, -2.0])
SCALES = np.array([1.0, 4.0])


def bowl(x):
    return ((x[0] - 1.0) ** 2 + 4.0 * (x[1] + 2.0) ** 2) / 2


def slope(x):
    return SCALES * (x - CENTRE)


DESCENT = od.algorithm("gradient_descent", step=0.1)
rates = st.fractions(Fraction(1, 1000), Fraction(1, 2), max_denominator=1000)
momenta = st.fractions(Fraction(1, 100), Fraction(99, 100), max_denominator=100)


# functions


def test_a_plain_function_in_three_lines():
    x = np.zeros(2)
    run = DESCENT.run(bowl, x, 50)
    for k in range(50):
        np.testing.assert_allclose(run.x[k], x, rtol=1e-14, atol=1e-15)
        np.testing.assert_allclose(run.f[k], bowl(x), rtol=1e-12)
        x = x - 0.1 * slope(x)


def test_what_goes_in_comes_out():
    of_numpy, of_list = DESCENT.run(bowl, np.zeros(2), 3), DESCENT.run(bowl, [0, 0], 3)
    of_jax = DESCENT.run(bowl, jnp.zeros(2, jnp.float32), 3)
    assert all(type(a) is np.ndarray for r in (of_numpy, of_list) for a in (r.x, r.f, r.t, r.k))
    assert of_numpy.x.dtype == of_list.x.dtype == np.float64
    assert isinstance(of_jax.x, jax.Array) and of_jax.x.dtype == jnp.float32
    assert isinstance(of_jax.f, jax.Array)
    tree = {"a": np.ones(2), "b": (np.float64(3.0),)}
    run = DESCENT.run(lambda p: jnp.sum(p["a"] ** 2) + p["b"][0] ** 2, tree, 3)
    assert jax.tree.structure(run.x) == jax.tree.structure(tree)
    assert jax.tree.map(np.shape, run.x) == {"a": (4, 2), "b": ((4,),)}
    np.testing.assert_allclose(run.x["b"][0], 3 * 0.8 ** np.arange(4), rtol=1e-14)


def test_a_function_is_traced_anew_so_that_data_may_change():
    data = {"at": np.zeros(2)}
    fun = lambda x: jnp.sum((x - data["at"]) ** 2)
    assert np.abs(DESCENT.run(fun, [1.0, 1.0], 60).x[-1]).max() < 1e-5
    data["at"] = np.ones(2)
    assert np.abs(DESCENT.run(fun, [0.0, 0.0], 60).x[-1] - 1).max() < 1e-5
    data["at"][0] = 5.0  # in place
    assert np.abs(DESCENT.run(fun, [0.0, 0.0], 60).x[-1] - [5, 1]).max() < 1e-4


@pytest.mark.parametrize(
    "inside", [lambda f: f, jax.jit, od.Objective], ids=["plain", "jit", "objective"]
)
def test_a_function_of_data_works_in_single_precision_after_a_run_in_double(inside):
    """A trace that lives made the data double for JAX everywhere, and the user's own calls failed."""
    data = np.random.default_rng(0).normal(size=(5, 2))
    fun = lambda w: jnp.sum((data @ w) ** 2)
    with jax.enable_x64(False), jax.numpy_dtype_promotion("standard"):
        given = inside(fun)
        run = od.algorithm("gradient_descent", step=0.01).run(given, np.ones(2), 3)
        od.system("gradient_flow").simulate(given, np.ones(2), 0.1)
        od.estimate_constants(given, np.ones(2))
        single = fun(jnp.ones(2, jnp.float32))
    assert run.x.dtype == np.float64 and single.dtype == jnp.float32
    np.testing.assert_allclose(single, run.f[0], rtol=1e-5)


def test_gradients_and_batches_go_through_a_plain_function():
    ends = jax.vmap(
        lambda s: od.algorithm("gradient_descent").run(bowl, jnp.zeros(2), 5, step=s).x[-1]
    )
    steps = jnp.array([0.1, 0.2])
    expected = [CENTRE * (1 - (1 - float(s) * SCALES) ** 5) for s in steps]
    np.testing.assert_allclose(ends(steps), expected, rtol=1e-5)
    last = lambda c: DESCENT.run(lambda x: (x - c) ** 2, 0.0, 5).x[-1]
    assert float(jax.grad(last)(1.0)) == pytest.approx(1 - 0.8**5)


def test_an_ensemble_takes_a_function_of_one_particle():
    start = np.random.default_rng(0).normal(size=(20, 2))
    values = {"alpha": 30.0, "lam": 1.0, "sigma": 0.5, "h": 0.1}
    mine = od.algorithm("cbo").run(bowl, start, 3, 0, **values)
    named = od.algorithm("cbo").run(od.Objective("bowl", bowl), start, 3, 0, **values)
    np.testing.assert_array_equal(mine.x, named.x)


def test_names_of_objectives_are_those_of_their_functions():
    assert od.Objective(bowl).name == "bowl" and od.Objective(lambda x: x).name == "f"
    assert od.Objective(bowl, mu=1, L=4).L == 4
    assert float(od.Objective(bowl).value(CENTRE)) == 0
    flow = od.system("gradient_flow").simulate(bowl, np.zeros(2), 1.0)
    np.testing.assert_allclose(flow.x[-1], CENTRE * (1 - np.exp(-SCALES)), rtol=1e-4)


class _Module:
    """What a module of PyTorch is to those who do not import that."""

    __module__ = "torch.nn.modules.module"

    def __call__(self, x):
        return x


_Module.__name__ = "Module"


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("call", "part"),
    [
        (lambda: DESCENT.run(lambda x: np.sin(x).sum(), [0.0], 3), "write it with jax.numpy"),
        (lambda: DESCENT.run(lambda x: x if x > 0 else -x, 1.0, 3), "write it with jax.numpy"),
        (lambda: DESCENT.run(lambda x: 2 * x, [0.0], 3), r"one real number.* shape \(1,\)"),
        (lambda: DESCENT.run(lambda x: (1.0, 2.0), [0.0], 3), "returns 2 values"),
        (lambda: DESCENT.run(lambda x: 1, [0.0], 3), "a value of type int"),
        (lambda: DESCENT.run(lambda x, y: 0.0, [0.0], 3), "one argument, the point"),
        (lambda: DESCENT.run(_Module(), [0.0], 3), "to_torch"),
        (lambda: DESCENT.run(bowl, {"w": _Module()}, 3), "to_torch"),
        (lambda: DESCENT.run(3, [0.0], 3), "or a function or a mapping of names to values or None, not 3"),
        (lambda: od.objective(bowl), r"od\.Objective\(fun\)"),
        (lambda: od.Objective(bowl, bowl), "one function"),
        (lambda: od.Objective(_Module()), "to_torch"),
        (lambda: od.algorithm("gradient_descent").run(bowl, [0.0, 0], 3), r"L=\.\.\., .*or step=\.\.\. instead"),
        (lambda: od.algorithm("heavy_ball").run(bowl, [0.0, 0], 3), r"step=\.\.\. and momentum=\.\.\. instead"),
        (lambda: od.algorithm("triple_momentum").run(bowl, [0.0, 0], 3), r"mu=\.\.\. and L=\.\.\., .*objective\."),
    ],
)  # fmt: skip
def test_what_is_no_function_is_refused_in_a_sentence(call, part):
    with pytest.raises(od.OdescentError, match=part) as refused:
        call()
    assert str(refused.value).endswith(".") and "\n" not in str(refused.value)


# words for parameters


@settings(max_examples=8, deadline=None)
@given(rate=rates, momentum=momenta)
@pytest.mark.parametrize(
    "name", [n for n, w in WORDS.items() if {"learning_rate", "momentum"} <= w.keys()]
)
def test_learning_rate_and_momentum_are_the_coefficients(name, rate, momentum):
    """alpha and beta of the three-parameter form, which is read off the method, not off the table."""
    if name == "muon":  # no such form: its momentum is the factor of its average
        assert (
            od.algorithm(name, momentum=momentum).tuning[sp.Symbol("beta", positive=True)]
            == momentum
        )
        return
    found = od.algorithm(name, learning_rate=rate, momentum=momentum).coefficients
    assert sp.simplify(found["alpha"] - sp.Rational(rate)) == 0
    assert sp.simplify(found["beta"] - sp.Rational(momentum)) == 0


RUN_AT = ("gradient_descent", "nesterov_c", "ogm", "unified_nesterov", "heavy_ball", "nesterov_sc", "sign_descent",
          "conformal_heavy_ball")  # fmt: skip


@pytest.mark.parametrize("name", RUN_AT)
def test_the_first_step_from_rest_is_one_of_the_learning_rate(name):
    more = {} if name == "gradient_descent" else {"mu": 1.0}
    method = od.algorithm(name, learning_rate=0.04)
    more = {
        n: v
        for n, v in {"mu": 1.0, "L": 4.0, "c": 0.5}.items()
        if n in {s.name for s in method.parameters}
    }
    run = method.run(bowl, np.zeros(2), 1, **more)
    direction = np.sign(slope(np.zeros(2))) if name == "sign_descent" else slope(np.zeros(2))
    np.testing.assert_allclose(run.x[1], -0.04 * direction, rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "values", "peer", "seen"),
    [
        ("gradient_descent", {"lr": 0.1}, lambda: optax.sgd(0.1), "x"),
        ("heavy_ball", {"lr": 0.1, "momentum": 0.9}, lambda: optax.sgd(0.1, 0.9), "x"),
        ("nesterov_sc", {"lr": 0.1, "momentum": 0.9}, lambda: optax.sgd(0.1, 0.9, nesterov=True), "y"),
        ("adam", {"lr": 0.1, "b1": 0.9, "b2": 0.99, "eps": 1e-8}, lambda: optax.adam(0.1, 0.9, 0.99), "x"),
        ("sign_descent", {"learning_rate": 0.1}, lambda: optax.sign_sgd(0.1), "x"),
    ],
)  # fmt: skip
def test_words_mean_what_they_mean_in_optax(name, values, peer, seen):
    """Nesterov's method in optax, as in PyTorch, iterates on the points of the gradients, of which the first is x0."""
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        opt, x = peer(), jnp.zeros(2)
        state, expected = opt.init(x), [x]
        for _ in range(12):
            update, state = opt.update(slope(x), state)
            x = x + update
            expected.append(x)
    for run in (
        od.algorithm(name, **values).run(bowl, np.zeros(2), 12),
        od.algorithm(name).run(bowl, np.zeros(2), 12, **values),
    ):
        found = run.x if seen == "x" else run.states[seen]
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", od.algorithms())
def test_every_method_takes_its_own_parameters(name):
    """With every parameter of its system and scheme given by name, no other is left, and it is the method that its
    system, its scheme and these values make, without the tuning."""
    made = od.algorithm(name)
    own = {s.name: sp.Rational(3 + i, 10) for i, s in enumerate(made.program.parameters)}
    if name == "robust_momentum":
        own = {n: v for n, v in own.items() if n != "rho"} | {"rho": sp.Rational(1, 2)}
    if {"mu", "L"} <= own.keys():
        own |= {"mu": sp.Rational(1, 2), "L": sp.Integer(2)}
    if name == "consensus_hopping":  # lam h = 1 and sigma sqrt(h) = s leave no h
        with pytest.raises(od.OdescentError, match="does not depend on step"):
            od.algorithm(name, step=0.1)
        del own["h"], own["lam"], own["sigma"]
        own["s"] = sp.Rational(1, 2)
    mine = od.algorithm(name, **own)
    assert mine.parameters == () and mine.words == made.words
    by_hand = od.Algorithm(
        made.system, made.scheme, made.size or made.step, made.where,
        {s: own.get(s.name, made.tuning.get(s)) for s in mine.tuning}, outputs=made.outputs, clock=made.clock,
        small=made.small, positive=made.positive, name=made.name, reference=made.reference, provenance=made.provenance,
    )  # fmt: skip
    assert mine.tuned == by_hand.tuned or mine.to_dict() == by_hand.to_dict()
    if made.step.name in own:
        stepped = od.algorithm(name, step=own[made.step.name])
        assert stepped.tuning[made.step] == own[made.step.name]
        assert od.algorithm(name, step=own[made.step.name]) is stepped


def test_what_the_tuning_set_and_nobody_asks_for_is_not_demanded():
    free = lambda a: {s.name for s in a.parameters}
    assert free(od.algorithm("gradient_descent", step=0.1)) == set()
    assert free(od.algorithm("heavy_ball", step=0.1)) == {"mu", "L"}  # of the friction
    assert free(od.algorithm("heavy_ball", step=0.1, momentum=0.5)) == set()
    assert free(od.algorithm("nesterov_sc", step=0.1)) == {"mu"}
    assert free(od.algorithm("nesterov_sc", momentum=0.5)) == {"L"}
    assert free(od.algorithm("adam", a=1)) == {"h", "beta2", "eps"}
    eta = od.parameters("eta")
    assert od.algorithm("gradient_descent", step=eta).coefficients["alpha"] == eta


def test_texts_choose_variants_and_numbers_are_values():
    L, mu = sp.symbols("L mu", positive=True)
    assert od.algorithm("gradient_descent", step="2/(L+mu)").tuning == {
        sp.Symbol("h", positive=True): 2 / (L + mu)
    }
    implicit = od.algorithm("halpern", step="implicit")
    assert (
        od.algorithm("halpern", step=0.5).scheme
        == od.algorithm("halpern").scheme
        != implicit.scheme
    )
    assert od.algorithm("nesterov_c", momentum="fista", learning_rate=0.01).name == "nesterov_c"


REFUSED = [
    ("heavy_ball", {"step": 0.1, "h": 0.2}, "h and step both set the parameter h"),
    ("heavy_ball", {"lr": 0.1, "learning_rate": 0.2}, "both set the parameter h"),
    ("heavy_ball", {"momentum": 0.1, "friction": 0.2}, "both set the parameter c"),
    ("nesterov_sc", {"momentum": 0.1, "mu": 0.2}, "both set the parameter mu"),
    ("gradient_descent", {"step": 0.1, "L": 3}, "does not depend on L once step is given"),
    ("adam", {"a": 0.1, "beta1": 0.9}, "does not depend on beta1 once a is given"),
    ("gradient_descent", {"momentum": 0.1}, "no option of the algorithm 'gradient_descent' called 'momentum'"),
    ("gradient_descent", {"lerning_rate": 0.1}, "did you mean 'learning_rate'"),
    ("nesterov_sc", {"momentum": 1.5}, "momentum must be a positive number below 1, not 3/2"),
    ("heavy_ball", {"momentum": 1}, "momentum must be a positive number below 1"),
    ("conformal_heavy_ball", {"momentum": 0}, "momentum must be a positive number below 1"),
    ("heavy_ball", {"momentum": "x"}, "momentum must be a finite number"),
    ("gradient_descent", {"step": "3/L"}, "or a number, not '3/L'"),
    ("gradient_descent", {"step": True}, "or a number, not True"),
    ("gradient_descent", {"step": -1}, "step must be more than 0"),
    ("gradient_descent", {"step": float("nan")}, "step must be a finite number"),
    ("gradient_descent", {"step": [1]}, "step must be a finite number"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "values", "part"), REFUSED)
def test_contradictions_and_what_a_method_lacks_are_refused(name, values, part):
    with pytest.raises(od.OdescentError, match=part):
        od.algorithm(name, **values)


@pytest.mark.parametrize(
    ("values", "part"),
    [
        ({"step": 0.1, "h": 0.2}, "both set the parameter h"),
        ({"step": 0.1, "momentum": 1.5}, "momentum must be a positive number below 1"),
        ({"step": -0.1, "momentum": 0.5}, "step must be more than 0"),
        ({"step": 0.1, "momentum": 0.5, "L": 3.0}, "does not depend on L once step and momentum are given"),
        ({"q": 0.1}, "no parameter of heavy_ball called 'q'"),
    ],
)  # fmt: skip
def test_a_run_refuses_the_same(values, part):
    with pytest.raises(od.OdescentError, match=part):
        od.algorithm("heavy_ball").run(bowl, np.zeros(2), 3, **values)


def test_words_stay_with_a_method_that_is_the_same_and_no_other():
    ball = od.algorithm("heavy_ball")
    assert ball.bind(L=4).bind(momentum=0.5).words == ball.words == ball.replace(name="mine").words
    other = ball.replace(scheme=od.scheme("rk4"))
    assert other.words == {} and other.bind(step=0.1).tuning[other.step] == sp.Rational(1, 10)


# the command line


def command(*arguments):
    return CliRunner().invoke(app, list(arguments))


SOURCE = """
import pathlib
import jax.numpy as jnp
import odescent as od
pathlib.Path(__file__).with_suffix(".ran").touch()
def fun(x):
    return jnp.sum((x - 1) ** 2)
known = od.Objective(fun, mu=2, L=2, x0=[3.0])
number = 3
"""


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    (tmp_path / "a_module_of_mine.py").write_text(SOURCE)
    (tmp_path / "a_broken_module.py").write_text("1 / 0")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in ("a_module_of_mine", "a_broken_module"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("chosen", [("h=0.25",), ("step=0.25",), ("lr=1/4",), ("step_size=0.25",)])
def test_numbers_on_the_command_line_are_values(own_module, chosen):
    arguments = [a for s in chosen for a in ("--set", s)]
    done = command(
        "simulate", "gradient_descent", "--objective", "a_module_of_mine:fun", "--x0", "3,5", "--steps", "3",
        *arguments, "--json",
    )  # fmt: skip
    data = json.loads(done.stdout)
    assert data["objective"] == "fun" and data["x_last"] == [1 + 2 / 8, 1 + 4 / 8]
    exact = json.loads(command("emit", "gradient_descent", *arguments, "--json").stdout)
    assert exact["free"] == [] and list(exact["settings"].values()) == ["1/4"]
    assert (
        command("certify", "gradient_descent", *arguments, "--mu", "1", "--L", "4").exit_code == 0
    )


def test_an_objective_of_a_module_brings_its_constants_and_its_start(own_module):
    done = command(
        "simulate", "nesterov_sc", "--objective", "a_module_of_mine:known", "--steps", "1"
    )
    assert done.stdout.startswith("nesterov_sc on fun: 1 steps, f from 4 to 0.\n")
    done = command(
        "simulate",
        "gradient_descent",
        "--objective",
        "quadratic",
        "--set",
        "step=2/(L+mu)",
        "--steps",
        "1",
    )
    assert done.exit_code == 0


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("a_module_of_mine:gun", "has no 'gun'"),
        ("a_module_of_mine:number", "must be a JAX function of one array or an od.Objective, not of type int"),
        ("a_broken_module:fun", "cannot be imported: ZeroDivisionError"),
        ("not_a_module_at_all:fun", "there is no module 'not_a_module_at_all'"),
        ("a_module_of_mine:", "MODULE:FUNCTION"),
        (":fun", "MODULE:FUNCTION"),
        ("a_module_of_mine:fun()", "MODULE:FUNCTION"),
        ("../a_module_of_mine:fun", "MODULE:FUNCTION"),
        ("a_module_of_mine:fun.__globals__", "MODULE:FUNCTION"),
    ],
)  # fmt: skip
def test_a_module_that_is_not_there_gets_a_sentence(own_module, text, part):
    done = command(
        "simulate", "gradient_descent", "--objective", text, "--x0", "1", "--set", "h=0.1"
    )
    assert done.exit_code == 2 and done.stdout == ""
    assert part in done.stderr and done.stderr.count("\n") == 1


def test_only_that_option_imports(own_module):
    """Names in documents, files, links and calls are looked up in registries, whatever they look like."""
    name = "a_module_of_mine:fun"
    own = "field a: x' = -grad f(x)\noutput x\n"
    (own_module / "own.ode").write_text(own.replace("f(x)", f"{name}(x)"))
    (own_module / "named.ode").write_text(f"name {name}\nobjective {name}\n{own}")
    calls = [
        lambda: od.objective(name),
        lambda: od.algorithm(name),
        lambda: od.system(name),
        lambda: DESCENT.run(name, [0.0], 1),
        lambda: od.analysis.phase_portrait("gradient_flow", name),
        lambda: od.parse_system(own.replace("f(x)", f"{name}(x)")),
        lambda: model("heavy_ball", OWN, True, name),
    ]
    for call in calls:
        with pytest.raises(od.OdescentError):
            call()
    document = od.derive("nesterov").to_dict()
    forged = json.loads(json.dumps(document).replace("nesterov_sc", name))
    for arguments in (
        ("derive", "own.ode"), ("derive", "named.ode"), ("simulate", name), ("derive", name), ("emit", name),
        ("portrait", "heavy_ball", "--objective", name),
        ("explore", "heavy_ball", "--objective", name, "--out", "a.svg"),
    ):  # fmt: skip
        assert command(*arguments).exit_code != 0, arguments
    replay.replay(forged, points=1, say=lambda line: None)
    assert not (own_module / "a_module_of_mine.ran").exists()
    assert not {n for n in sys.modules if n.startswith("a_module_of_mine")}
    assert (
        command(
            "simulate", "gradient_descent", "--objective", name, "--x0", "1", "--set", "h=1"
        ).exit_code
        == 0
    )
    assert (own_module / "a_module_of_mine.ran").exists()


def test_a_system_is_one_field_and_a_step_a_number():
    """What a person writes first: the rates by block, and the step."""
    v = od.blocks("v")
    whole = od.System({x: v, v: -f.grad(x) - v}, output=x)
    named = od.System({"all": {x: v, v: -f.grad(x) - v}}, output=x)
    assert whole.fields == named.fields and list(whole.fields) == ["all"]
    assert od.System(od.Field({x: -f.grad(x)})).fields == od.System({x: -f.grad(x)}).fields
    method = od.Algorithm(od.System({x: -f.grad(x)}), "explicit_euler", step=0.1)
    run = method.run(lambda x: jnp.sum(x**2), np.array([1.0, 2.0]), 2)
    np.testing.assert_allclose(run.x, [[1, 2], [0.8, 1.6], [0.64, 1.28]])
    L = od.parameters("L")
    short = od.Algorithm(od.System({x: -f.grad(x)}), "explicit_euler", step=1 / L)
    assert short.equivalent(od.algorithm("gradient_descent")).verdict == "proved"


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (
            lambda: od.System({x: -f.grad(x), "drift": {x: x}}),
            "moves 'drift', which is not a block",
        ),
        (lambda: euler(step=-1), "h must be at least 0, not -1."),
        (lambda: euler(tuning={h: -0.5}), "h must be at least 0, not -1/2."),
        (
            lambda: euler(step=0.1, tuning={h: 0.2}),
            "the step h has two values, step=0.1 and one in tuning=",
        ),
        (
            lambda: euler(step=x),
            "step of Algorithm must be a number or SymPy expression, not an object of type VectorSymbol",
        ),
    ],
)
def test_what_a_system_and_a_step_cannot_be(build, sentence):
    with pytest.raises(od.OdescentError, match=re.escape(sentence)):
        build()


def euler(**options):
    return od.Algorithm(od.System({x: -f.grad(x)}), "explicit_euler", **options)
