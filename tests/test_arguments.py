"""Arguments of public functions: names are looked up, wrong types get one sentence, right ones pass untouched."""

import inspect
import pickle
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal

import jax
import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import Array, Float, Key

import odescent as od
from odescent._support.arguments import checked
from odescent._support.errors import OdescentError
from odescent._support.rendering.rendered import Rendered

WRONG = {"a list": [1, 2], "an object": object()}


@checked
def takes(
    number: float = 1.0,
    count: int = 1,
    text: str = "",
    way: Literal["up", "down"] = "up",
    table: Mapping[str, float] | None = None,
    row: Sequence[float] = (),
    function: Callable[..., Any] | None = None,
    anything: Any = None,
    unknown: "NotLoadedHere | None" = None,  # noqa: F821
    method: od.Algorithm | None = None,
    flow: od.System | None = None,
    both: od.System | od.Algorithm | None = None,
    target: od.Objective | None = None,
    *rest: float,
    **more: Iterable[float],
) -> dict[str, Any]:
    return dict(locals())


NotLoaded = type("NotLoadedHere", (), {})  # as from a module that the function's does not load


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("number", "1", "number of takes must be a number, not '1'."),
        ("number", None, "number of takes must be a number, not None."),
        ("number", True, "number of takes must be a number, not True."),
        ("count", False, "count of takes must be a whole number, not False."),
        ("row", [1.0, True], "every entry of row of takes must be a number, not True."),
        ("anything", np.ma.masked_array([1.0, 2.0], [0, 1]), "takes does not take a masked array"),
        ("count", [1, 2], "count of takes must be a whole number, not an object of type list."),
        ("text", 3, "text of takes must be a text, not 3."),
        ("way", "left", "way of takes must be 'up' or 'down', not 'left'."),
        ("table", [1], "table of takes must be a mapping of names to values or None, not an object of type list."),
        ("row", 3.5, "row of takes must be a list, not 3.5."),
        ("row", "12", "row of takes must be a list, not '12'."),
        ("row", [1.0, "2"], "every entry of row of takes must be a number, not '2'."),
        ("table", {"a": 1.0, "b": []}, "every entry of table of takes must be a number, not an object of type list."),
        ("table", {1: 1.0}, "every entry of table of takes must be a text, not 1."),
        ("function", 7, "function of takes must be a function or None, not 7."),
        ("unknown", 1, "unknown of takes must be a NotLoadedHere or None, not 1."),
        ("method", 7, "method of takes must be an Algorithm or the name of a registered one or None, not 7."),
        ("target", "x" * 99, f"there is no objective '{'x' * 99}'"),
        ("method", "hevy_ball", "there is no algorithm 'hevy_ball': did you mean 'heavy_ball'"),
    ],
)  # fmt: skip
def test_a_wrong_type_gets_one_sentence(name, value, sentence):
    with pytest.raises(od.OdescentError) as error:
        takes(**{name: value})
    assert str(error.value).startswith(sentence) and "\n" not in str(error.value)


@given(
    st.one_of(
        st.integers(-9, 9),
        st.floats(allow_nan=True),
        st.sampled_from([np.float32(2), np.int64(3)]),
    ),
    st.dictionaries(st.text(max_size=3), st.floats()),
    st.lists(st.floats()),
)  # fmt: skip
def test_what_may_be_meant_passes_untouched(number, table, row):
    found = takes(number, table=table, row=row, unknown=NotLoaded(), anything=WRONG, function=len)
    assert found["number"] is number and found["table"] is table and found["row"] is row
    assert takes(row=np.array(row))["row"].tolist() == pytest.approx(row, nan_ok=True)


class Held(Rendered):
    """A class that people hold, with each kind of method."""

    def plain(self, a, b, *, c, d=1):
        return a + b

    @classmethod
    def of(cls, a):
        return a

    @staticmethod
    def alone(a):
        return a


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: od.recognize(algoritm=1), "there is no argument of recognize called 'algoritm': did you mean"),
        (od.analysis.phase_portrait, "phase_portrait also needs system: write phase_portrait(system)."),
        (od.algorithm, "algorithm also needs name: write algorithm(name)."),
        (lambda: od.algorithm("gradient_descent", 0.1), "algorithm takes name by place, not 2 values; give the others"),
        (lambda: od.algorithms(1), "algorithms takes no argument by place, not 1 value."),
        (lambda: od.synthesize("passive"), "synthesize also needs mu and L: write synthesize(family, mu=..., L=...)."),
        (lambda: od.Leaves(1, 2, 3, 4, 5, 6), "Leaves takes "),
        (od.Objective, "Objective also needs name: write Objective(name)."),
        (od.algorithm("adam").run, "run also needs objective and x0: write run(objective, x0)."),
        (lambda: od.algorithm("adam").bind(1, 2), "bind takes values by place, not 2 values; give the others by name."),
        (lambda: od.algorithm("adam").derivation(True), "derivation takes no argument by place, not 1 value."),
        (lambda: od.system("gradient_flow").simulate("quadratic"), "simulate also needs x0 and t1: write simulate("),
        (lambda: od.neural_de.Config("spirals-ode", lr=1), "there is no argument of Config called 'lr'"),
        (lambda: Held().plain(1, b=2), "plain also needs c: write plain(a, b, c=...)."),
        (lambda: Held().plain(1, 2, a=2, c=1), "plain was given a twice, by its place and by its name."),
        (Held.of, "of also needs a: write of(a)."),
        (lambda: Held.alone(1, 2), "alone takes a by place, not 2 values."),
    ],
)  # fmt: skip
def test_a_call_that_a_signature_does_not_take_gets_one_sentence(call, sentence):
    with pytest.raises(od.OdescentError) as error:
        call()
    assert isinstance(error.value, TypeError) and error.value.__cause__ is None
    assert str(error.value).startswith(sentence) and "\n" not in str(error.value)


def test_the_error_inside_a_call_is_left_alone():
    with pytest.raises(TypeError, match="unsupported operand") as error:
        Held().plain(1, "a", c=2)
    assert not isinstance(error.value, od.OdescentError)
    assert (Held().plain(1, 2, c=3), Held.of(4), Held().alone(a=5)) == (3, 4, 5)
    assert takes(1, 2, "t", more=[1])["more"] == {"more": [1]}


def test_a_name_that_is_not_there_says_where_it_is():
    for name, sentence in {
        "phase_portrait": "odescent has no phase_portrait; it is odescent.analysis.phase_portrait.",
        "gaussian_start": "odescent has no gaussian_start; it is odescent.particles.gaussian_start.",
        "algoritm": "there is no name in odescent called 'algoritm': did you mean 'algorithm'",
    }.items():
        with pytest.raises(od.OdescentError) as error:
            getattr(od, name)
        assert isinstance(error.value, AttributeError) and str(error.value).startswith(sentence)
    with pytest.raises(od.OdescentError, match=r"it is called ParameterSweep now\."):
        _ = od.analysis.Sweep
    assert not hasattr(od, "phase_portrait") and not hasattr(od.analysis, "__wrapped__")


def test_names_are_looked_up_and_stand_for_one_object():
    found = takes(method="heavy_ball", flow="heavy_ball", both="heavy_ball", target="himmelblau")
    assert isinstance(found["method"], od.Algorithm) and isinstance(found["flow"], od.System)
    assert found["both"] is takes(both="heavy_ball")["both"] and isinstance(
        found["both"], od.Algorithm
    )
    assert isinstance(takes(both="gradient_flow")["both"], od.System)
    np.testing.assert_allclose(found["target"].grad(np.array([3.0, 2.0])), 0, atol=1e-12)
    with pytest.raises(
        od.OdescentError, match="there is no system or algorithm 'nothing_of_the_kind'"
    ):
        takes(both="nothing_of_the_kind")
    for find in (od.derive, od.algorithm, od.system, lambda text: takes(both=text)):
        with pytest.raises(od.OdescentError, match=r"it is an equation; od\.parse_system\(text\)"):
            find("x'' + x' + grad f(x) = 0")


def test_public_functions_are_found_by_other_processes():
    for name in ("certify", "basins", "phase_portrait"):
        function = getattr(od.analysis, name)
        assert pickle.loads(pickle.dumps(function)) is function  # noqa: S301
        assert function.__wrapped__.__doc__ == function.__doc__


@pytest.mark.untyped
@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize(
    "call",
    [
        lambda w: od.analysis.phase_portrait(w, curvature=1.0),
        lambda w: od.analysis.phase_portrait("heavy_ball", w),
        lambda w: od.analysis.phase_portrait("heavy_ball", curvature=1.0, algorithms=w),
        lambda w: od.analysis.basins("gradient_descent", w, axes={"x0[0]": (-1, 1, 3)}),
        lambda w: od.analysis.basins("gradient_descent", "quadratic", axes={"x0[0]": (-1, 1, 3)}, tolerance=w),
        lambda w: od.analysis.bifurcation("gradient_descent", w, parameter="L", values=(1, 2, 3)),
        lambda w: od.analysis.batch("gradient_descent", w, axes={"x0[0]": (-1, 1, 3)}, steps=2),
        lambda w: od.analysis.spectrum(w, 1, 10),
        lambda w: od.analysis.spectrum("heavy_ball", w, 10),
        lambda w: od.analysis.convergence(w, "quadratic", [1.0, 1.0], 10),
        lambda w: od.analysis.certify(w, mu=1, L=10),
        lambda w: od.analysis.cycles(w, 1, 25),
        lambda w: od.analysis.animate(w, "film.gif"),
        lambda w: od.analysis.save(w, "picture"),
        lambda w: od.algorithm("gradient_descent").run(w, [1.0, 1.0], 3),
        lambda w: od.system("gradient_flow").simulate(w, [1.0, 1.0], 1.0),
        lambda w: od.system("gradient_flow").simulate("quadratic", [1.0, 1.0], w),
        lambda w: od.system("gradient_flow").simulate_many(w, np.ones((3, 2)), 1.0, dt=0.1),
    ],
)  # fmt: skip
def test_every_public_function_answers_a_wrong_type_with_a_sentence(call, wrong):
    with pytest.raises(od.OdescentError) as error:
        call(wrong)
    sentence = str(error.value)
    assert "\n" not in sentence and sentence.rstrip(".") and ". " not in sentence.rstrip(".")


@pytest.mark.untyped
@pytest.mark.parametrize("wrong", [*WRONG.values(), 3, None], ids=[*WRONG, "a number", "nothing"])
@pytest.mark.parametrize(
    "made",
    [lambda: od.system("heavy_ball"), lambda: od.algorithm("heavy_ball"), lambda: od.scheme("rk4")],
    ids=["system", "algorithm", "scheme"],
)
def test_every_method_answers_a_wrong_type_with_a_sentence_or_takes_it(made, wrong):
    held = made()
    public = (n for n in dir(held) if not n.startswith("_"))
    for name in (n for n in public if inspect.isfunction(getattr(type(held), n, None))):
        method = getattr(held, name)
        asked = [p for p in inspect.signature(method).parameters.values() if p.default is p.empty]
        places = [p for p in asked if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        if not places:
            continue
        try:
            method(*[wrong] * len(places))
        except od.OdescentError as error:
            assert "\n" not in str(error), name


def test_names_do_what_objects_do():
    options = {"axes": {"x0[0]": (-2.0, 2.0, 5)}, "steps": 3, "parameters": {"L": 20.0}}
    by_name = od.analysis.batch("gradient_descent", "quadratic", **options)
    by_object = od.analysis.batch(
        od.algorithm("gradient_descent"), od.objective("quadratic"), **options
    )
    np.testing.assert_array_equal(by_name.values["x"], by_object.values["x"])
    run = od.algorithm("gradient_descent").run("quadratic", [1.0, 1.0], 2, L=20)
    np.testing.assert_allclose(run.x[-1], [(1 - 1 / 20) ** 2, (1 - 10 / 20) ** 2])


def test_a_system_without_oracles_needs_no_objective():
    x, v = od.blocks("x v")
    turn = od.System({"all": {x: v, v: -x}}, output=x)
    end = turn.simulate(None, [1.0], 1.0).x[-1]
    np.testing.assert_allclose(end, np.cos(1), atol=1e-7)
    many = turn.simulate_many(None, np.array([[1.0], [2.0]]), 1.0, dt=0.01)
    np.testing.assert_allclose(many.x[-1].ravel(), [np.cos(1), 2 * np.cos(1)], atol=1e-9)
    with pytest.raises(od.OdescentError, match="needs a concrete objective"):
        od.system("gradient_flow").simulate(None, [1.0], 1.0)


def test_a_key_is_one_of_jax_or_its_seed() -> None:
    method = od.algorithm("unadjusted_langevin")
    runs = [
        method.run(od.objective("quadratic"), [1.0, 1.0], 2, key=k, h=0.1)
        for k in (7, jax.random.key(7))
    ]
    assert (runs[0].x == runs[1].x).all()
    with pytest.raises(OdescentError, match="key"):
        method.run(od.objective("quadratic"), [1.0, 1.0], 2, key="7", h=0.1)


def test_a_number_or_an_array_may_be_either() -> None:
    @checked
    def step(dt: float | Float[Array, ""]) -> Any:
        return dt

    for dt in (0.1, 1, np.float32(0.5), jax.numpy.ones(())):
        assert step(dt) is dt
    assert jax.jit(step)(0.25) == 0.25  # traced
    with pytest.raises(OdescentError, match="dt of step must be"):
        step("0.1")


def test_what_is_as_good_is_taken() -> None:
    """Symbols for names, a seed for a key, exact numbers for floats: functions get what their annotations say."""
    x, c = od.blocks("x"), od.parameters("c")

    @checked
    def takes_all(
        table: Mapping[str, Any] | None = None,
        tuning: Mapping[sp.Symbol, Any] | None = None,
        key: Key[Array, ""] | None = None,
        seed: Key[Array, ""] | int = 0,
        size: float = 1.0,
        count: int = 1,
        exact: sp.Expr | float = 1.0,
    ) -> dict[str, Any]:
        return dict(locals())

    table = {c: 1, x: 2, "y": 3}
    assert takes_all(table=table)["table"] == {"c": 1, "x": 2, "y": 3} and list(table) == [
        c,
        x,
        "y",
    ]
    assert takes_all(tuning={c: 1})["tuning"] == {c: 1}
    assert jax.random.key_data(takes_all(key=7)["key"]).tolist() == [0, 7]
    assert takes_all(seed=7)["seed"] == 7
    for size in (sp.Rational(1, 2), Fraction(1, 2), Decimal("0.5"), sp.Float(0.5)):
        assert type(takes_all(size=size)["size"]) is float and takes_all(size=size)["size"] == 0.5
        assert takes_all(exact=size)["exact"] is size
    assert type(takes_all(count=sp.Integer(3))["count"]) is int
    same = sp.Symbol("c", negative=True)
    for wrong in (
        {"table": {c: 1, same: 2}},
        {"table": {1: 2}},
        {"size": c},
        {"key": -1},
        {"key": True},
    ):
        with pytest.raises(OdescentError):
            takes_all(**wrong)


def test_exact_numbers_symbols_and_seeds_reach_the_public_functions() -> None:
    ball, flow = od.algorithm("heavy_ball"), od.system("gradient_flow")
    assert od.analysis.spectrum(ball, sp.Rational(1, 3), sp.sqrt(17)).rate < 1
    bowl = od.objective("himmelblau")
    done = flow.simulate(bowl, [sp.Rational(1, 2), sp.sqrt(2)], Fraction(1, 2))
    assert done.t[-1] == 0.5 and done.x[0].tolist() == [0.5, 2**0.5]
    (c,) = od.system("heavy_ball").parameters
    drawn = od.analysis.phase_portrait("heavy_ball", curvature=sp.Integer(1), parameters={c: 1})
    assert drawn.fixed_points
    classifier = od.neural_de.NeuralODEClassifier
    pairs = zip(
        *(jax.tree.leaves(classifier(2, [4], 2, k)) for k in (3, jax.random.key(3))), strict=True
    )
    assert all((a == b).all() for a, b in pairs if hasattr(a, "shape"))


def test_a_curvature_is_an_expression_or_a_number() -> None:
    system = od.system("heavy_ball")
    assert system.linearize(2.0) == system.linearize(2) == system.linearize(sp.Integer(2))


def test_what_has_no_order_is_no_sequence() -> None:
    """A mapping or a set in the place of a list was taken for its keys."""
    for wrong in ({1: 2}, {"a": 1}, {0.5}):
        with pytest.raises(od.OdescentError, match="mean of gaussian_start must be"):
            od.particles.gaussian_start(wrong, 1.0, 8)
        with pytest.raises(od.OdescentError, match="configs of compare must be"):
            od.neural_de.compare(wrong)
    with pytest.raises(od.OdescentError, match="every entry of methods of certified_rates must be"):
        od.analysis.certified_rates(1, 10, {1: 2})
    with pytest.raises(od.OdescentError, match="from 0 to 20, not a number of more than 40 digits"):
        od.algorithm("gradient_descent").modified_equation(10**400)


def test_a_method_without_oracles_runs_without_an_objective() -> None:
    x, y = od.blocks("x y")
    turn = od.Algorithm(od.System({x: -y, y: x}, output=x), od.scheme("explicit_euler"))
    run = turn.run(None, {x: np.ones(2), y: np.zeros(2)}, 3, h=0.1)
    point = np.array([1.0, 0.0])
    for _ in range(3):
        point = point + 0.1 * np.array([-point[1], point[0]])
    assert np.allclose(run.x[-1], point[0], rtol=1e-15)
    with pytest.raises(od.OdescentError, match="gradient_descent calls f: give it, by its name"):
        od.algorithm("gradient_descent", step=0.1).run(None, np.ones(2), 3)
