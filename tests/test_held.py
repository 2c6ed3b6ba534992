"""What people hold: names that it does not have and operations without a meaning get a sentence each."""

import contextlib
import copy
import inspect
import operator
import pickle
import traceback

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp
from public_classes import held

import odescent as od
from odescent._support.held.base import Held
from odescent._support.held.names import JOBS, WORDS, called, missing
from odescent._support.lazy import PACKAGES, public
from odescent._support.rendering.rendered import Rendered

x, v = od.blocks("x v")
f = od.Objective("f")
c, h = od.parameters("c h")
NAG = od.algorithm("nesterov_sc")
BALL = od.system("heavy_ball")
CLASSES = [k for k in held() if issubclass(k, Held)]


def square(z):
    return jnp.sum(z**2)


@pytest.fixture(scope="module")
def run():
    return od.algorithm("gradient_descent", step=0.1).run(square, [1.0, 2.0], 3)


def refused(call):
    """The sentence of a refusal, which is an error of Python's kind too."""
    with pytest.raises(od.OdescentError) as error:
        call()
    assert isinstance(error.value, (TypeError, AttributeError))
    said = str(error.value)
    assert "\n" not in said and said[-1] in ".?" and 20 < len(said) < 300, said
    return said


@pytest.mark.untyped
@pytest.mark.parametrize(
    "call",
    [
        lambda: c + f, lambda: f + c, lambda: 2 * f, lambda: f / 2, lambda: -f, lambda: f**2, lambda: c - f,
        lambda: x[0], lambda: len(x), lambda: list(x), lambda: [*x], lambda: 1 in x, lambda: float(x), lambda: int(x),
        lambda: complex(x), lambda: abs(x), lambda: round(x), lambda: x % 2, lambda: 2 % x, lambda: x // 2,
        lambda: divmod(x, 2), lambda: x < v, lambda: x >= 1, lambda: c < x, lambda: max(x, v), lambda: sorted([x, v]),
        lambda: np.sqrt(x), lambda: np.exp(f.grad(x)), lambda: np.sin(BALL), lambda: np.hypot(x, v),
        lambda: np.add.reduce(x), lambda: np.float64(2) < x, lambda: np.ones(2) @ x, lambda: np.ones(2) + x,
        lambda: sp.Integer(2) + f, lambda: sp.Rational(1, 2) < x, lambda: sp.sqrt(x), lambda: sp.Float(2.0) * BALL,
        lambda: BALL + BALL, lambda: 2 * BALL, lambda: BALL + x, lambda: x + BALL, lambda: BALL[x], lambda: len(BALL),
        lambda: NAG + NAG, lambda: NAG[0], lambda: list(NAG), lambda: sum([NAG, NAG]), lambda: np.ones(2) * NAG,
    ],
)  # fmt: skip
def test_an_operation_without_a_meaning_is_refused(call):
    refused(call)


def test_operations_with_a_meaning_are_left_alone():
    assert (
        x + v == v + x
        and np.float64(2) * x == 2 * x == np.int64(2) * x
        and x * np.float32(2) == 2 * x
    )
    assert -x + x == 0 * x and not 0 * x and bool(x)
    assert not np.equal(np.float64(2), x) and np.not_equal(np.float64(2), x)
    assert np.float64(2) != x
    assert c != x and x != c and c != f and {x: 1}[x] == 1 and {c: 1, x: 2, f: 3}[f] == 3
    for number in (
        0,
        1.0,
        sp.Integer(0),
        sp.Rational(1, 2),
        sp.Float(1.5),
        sp.pi,
        sp.I,
        np.float64(1),
        jnp.ones(()),
    ):
        for thing in (x, 0 * x, f, BALL, NAG):
            assert number != thing and thing != number
    assert sp.sympify(c) == c and (c == BALL) is False
    assert od.neural_de.regularizer("error") + od.neural_de.regularizer("stiffness")


def test_what_has_entries_keeps_them_and_its_truth():
    poles = od.place_poles({"mu": (sp.Rational(1, 2),) * 2, "L": (0,)})
    assert len(poles) == len(list(poles)) > 0 and poles and poles[0]

    class Empty(Rendered):
        """A result of no entries."""

        def __len__(self):
            return 0

    class Full(Rendered):
        """A result without entries."""

    assert not Empty() and Full()
    assert not callable(NAG) and not hasattr(NAG, "__iter__")


def test_the_sentence_names_what_does_the_job(run):
    said = {
        "certify": "an Algorithm has no certify; use the function odescent.analysis.certify.",
        "fit": "an Algorithm has no fit; use run.",
        "to_pytorch": "an Algorithm has no to_pytorch; use to_torch.",
        "rate": "an Algorithm has no rate; use analysis.certify(algorithm, mu, L).",
    }
    for name, sentence in said.items():
        assert refused(lambda name=name: getattr(NAG, name)) == sentence
    assert "use simulate." in refused(lambda: BALL.run)
    assert refused(lambda: run.plt) == "a Trajectory has no plt; use plot."
    assert "use x[-1]." in refused(lambda: run.final)
    assert "did you mean 'states' or 'steps'?" in refused(lambda: run.state_s)
    assert "use grad." in refused(lambda: f.gradient)
    assert "a Vector has no dot; use inner(x, y)." == refused(lambda: x.dot(v))
    assert "did you mean" in refused(lambda: od.estimate_constants(square, [1.0]).mus)
    assert "it is odescent.algorithm('adam')" in refused(lambda: od.adam)


def test_python_adds_no_guess_of_its_own():
    try:
        NAG.bindd  # noqa: B018
    except AttributeError:
        shown = traceback.format_exc()
    assert shown.count("id you mean") == 1 and shown.rstrip().endswith("'bind' or 'bound'?")


def test_every_recommendation_is_there():
    """Words of the table that no class has any more, and functions that no package has, would be false advice."""
    attributes = {n for k in CLASSES for n in (*dir(k), *inspect.get_annotations(k))}
    attributes |= {*vars(f), *vars(NAG), *vars(BALL)}
    words = {w.partition("[")[0] for said in WORDS.values() for w in said.split()}
    assert words <= attributes, words - attributes
    functions = {n for part in PACKAGES for n in public("odescent" + part)}
    classes = {c.__name__ for k in CLASSES for c in k.__mro__}
    for cls, jobs in JOBS.items():
        assert cls in classes
        for job in jobs.values():
            head = job.partition("(")[0]
            if "(" in job and head.isidentifier():
                assert head in functions, job
            if head.startswith("analysis."):
                assert head.removeprefix("analysis.") in od.analysis.__all__, job


@pytest.mark.parametrize("cls", CLASSES, ids=lambda k: f"{k.__module__}.{k.__qualname__}")
def test_every_class_has_a_sentence_for_every_wish(cls):
    """Never a name that it has, and never one that it lacks in the advice."""
    known = {n for n in dir(cls) if not n.startswith("_")}
    for name in {*WORDS, *(n for jobs in JOBS.values() for n in jobs)} - known:
        said = missing(cls, name)
        assert said.startswith((f"{called(cls)} has no {name}; use ", "there is no attribute of "))
        if (said := said.partition("; use ")[2].rstrip(".")).isidentifier():
            assert said in known and said != name


def test_copies_pickles_and_probes_of_other_packages(run):
    for thing in (x, f.grad(x), NAG, BALL, run):
        assert type(copy.copy(thing)) is type(thing)
        with contextlib.suppress(AttributeError):
            thing._none  # noqa: B018
        for name in ("__array__", "__jax_array__", "_repr_svg_", "__iter__", "shape_", "dtypes"):
            assert not hasattr(thing, name)
    assert pickle.loads(pickle.dumps(x)) == x  # noqa: S301
    assert np.array([x, v], object).shape == (2,) and np.array(NAG).shape == ()
    with pytest.raises(TypeError):
        jnp.asarray(x)
    error = pickle.loads(pickle.dumps(caught(lambda: NAG.certify)))  # noqa: S301
    assert "odescent.analysis.certify" in str(error)


def caught(call):
    try:
        call()
    except od.OdescentError as error:
        return error


def test_the_error_inside_a_property_is_its_own():
    class Broken(Rendered):
        """A result with a fault."""

        @property
        def part(self):
            return (3).parts

    with pytest.raises(AttributeError, match="'int' object has no attribute 'parts'"):
        Broken().part  # noqa: B018


def test_an_estimate_can_be_unpacked():
    found = od.estimate_constants(lambda z: jnp.sum(jnp.array([1.0, 4.0]) * z**2), [1.0, 2.0])
    assert {**found} == {"mu": found.mu, "L": found.L} and found["L"] == found.L
    bound = NAG.bind(**found)
    assert bound.condition == found.condition and not bound.parameters
    run = NAG.run(lambda z: 100 * square(z), [1.0, 2.0], 3, **found)
    assert "estimated" in run.remark
    assert "there is no estimated constant called 'l'" in str(caught(lambda: found["l"]) or "")
    assert refused_entry(found)


def refused_entry(found):
    with pytest.raises(od.OdescentError, match="known: L, mu"):
        operator.itemgetter(0)(found)
    return True


def test_jax_transformations_see_no_difference(run):
    doubled = jax.vmap(lambda z: NAG.run(square, z, 2, mu=1, L=2).x)(jnp.ones((3, 2)))
    assert doubled.shape == (3, 3, 2)
