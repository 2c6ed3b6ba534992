"""System files that are hostile or random: refused or read in time, and never anything else."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from systems_as_text import PASSIVE, TEXTS

from odescent._support.errors import OdescentError
from odescent.discretize.reading.method_text import parse_scheme
from odescent.dynamics.grammar import ParseError, parse_system, syntax, to_text

EXAMPLES = Path(__file__).parent.parent / "examples"
T, c = sp.Symbol("T", real=True), sp.Symbol("c", positive=True)
B0 = "blocks x, v, scalar T\nparameters c > 0, b\nobjective f\n"


def nested(n: int, wrap: str, inside: str) -> str:
    for _ in range(n):
        inside = wrap.replace("_", inside)
    return inside


HOSTILE = {
    "tower": "field a: x' = (((((c + b)^64)^64)^64)^64)*x",
    "monomial": "field a: x' = (((((c*b)^60)^60)^60)^60)*x",
    "number": "field a: x' = (((2^64)^64)^64)*x",
    "product": "field a: x' = x*" + "*".join(["9" * 30] * 300),
    "logarithm": "field a: x' = exp(1e30*log(2))*x",
    "digits": "field a: T' = " + "9" * 5000,
    "exponent": "field a: T' = 1e99999999",
    "squares": "let a0 = c + b\n"
    + "\n".join(f"let a{i + 1} = a{i}*a{i} + a{i}" for i in range(99)),
    "hessians": "let a0 = x\n" + "\n".join(f"let a{i + 1} = hess f(a{i})[a{i}]" for i in range(99)),
    "hadamards": "let a0 = x + v\n" + "\n".join(f"let a{i + 1} = a{i} .* a{i}" for i in range(99)),
    "radicals": "field a: T' = " + nested(19, "sqrt(3 - _)", "2"),
    "chain": "let a0 = 2\n" + "\n".join(f"let a{i + 1} = sqrt(3 - a{i})" for i in range(60)),
    "fractions": "field a: T' = " + " + ".join(f"1/(c + {i})" for i in range(60)),
    "long sum": "field a: T' = " + " + ".join(f"c^{i % 60}*sin({i}*T)" for i in range(500)),
    "parentheses": "field a: T' = " + "(" * 5000 + "c" + ")" * 5000,
    "brackets": "field a: x' = " + "hess f(x)[" * 1000,
    "statements": "\n".join(f"field a{i}: T' = T" for i in range(250)),
    "circle": "\n".join(f"let a{i} = a{(i + 1) % 150}*c" for i in range(150)),
    "long": "#" * 10_000_000,
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_what_is_too_large_is_refused_before_it_is_computed(name: str):
    with pytest.raises(ParseError) as caught:
        parse_system(B0 + HOSTILE[name] + "\noutput x")
    assert re.search(r"too (large|long|deeply|many)|circular", caught.value.sentence)
    assert len(str(caught.value)) < 500


def test_long_but_flat_is_fine():
    signs = parse_system(B0 + "field a: T' = " + "-" * 10_001 + "c\noutput x")
    assert signs.fields["a"].drift[T] == -c
    chain = "\n".join(f"let a{i + 1} = a{i} + c" for i in range(150))
    system = parse_system(f"{B0}let a0 = c\n{chain}\nfield a: T' = a150\noutput x")
    assert system.fields["a"].drift[T] == 151 * c


WORDS = [*syntax.keywords(), *"+-*/^()[],:=><'#", ".*", "**", "+=", "dW", "D3 ", "1", "64", "1e5", "\n",
         *"xvcfFtkhL", "mu", "x0", "sqrt", "exp", "log", "abs", "each", "inner", "outer", "pi", "ψ"]  # fmt: skip
FILES = [
    (EXAMPLES / "heavy_ball.ode").read_text(),
    (EXAMPLES / "hessian_damping.ode").read_text(),
    *TEXTS.values(),
    PASSIVE,
    TEXTS["adam"] + "\nscheme set m = 2*m and x = 0 save q, drift: frozen cayley read all from q",
]


def harmless(read, text: str) -> None:
    """Whatever the text, it is read, or refused with a sentence and a place that it has."""
    try:
        read(text)
    except ParseError as error:
        assert error.sentence.endswith((".", "?"))
        assert 1 <= error.line <= text.count("\n") + 1
        assert error.column >= 1
    except OdescentError as error:
        assert str(error)


IN_TIME = settings(max_examples=150, deadline=timedelta(seconds=20))


@IN_TIME
@given(st.lists(st.sampled_from(WORDS), max_size=40))
def test_words_in_any_order_are_harmless(words: list[str]):
    harmless(parse_system, " ".join(words))


@IN_TIME
@given(st.text(max_size=200))
def test_any_text_is_harmless(text: str):
    harmless(parse_system, text)
    harmless(parse_scheme, text)


@IN_TIME
@given(st.data())
def test_changed_files_are_harmless(data: st.DataObject):
    pieces = re.findall(r"\s+|\w+|[^\w\s]", data.draw(st.sampled_from(FILES)))
    for _ in range(data.draw(st.integers(1, 4))):
        i = data.draw(st.integers(0, len(pieces) - 1))
        j = data.draw(st.integers(0, len(pieces) - 1))
        change = data.draw(st.sampled_from(["cut", "word", "swap", "copy"]))
        if change == "word":
            pieces[i] = data.draw(st.sampled_from(WORDS))
        elif change == "swap":
            pieces[i], pieces[j] = pieces[j], pieces[i]
        else:
            pieces[i:j] = [] if change == "cut" else pieces[i:j] * 2
        pieces = pieces or ["x"]
    harmless(parse_system, "".join(pieces))


def _expressions() -> st.SearchStrategy[str]:
    leaves = st.sampled_from(["x", "v", "c", "b", "T", "2", "0", "1/3", "pi", "1e30", "k2", "mu"])

    def grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        functions = [
            "sqrt",
            "exp",
            "log",
            "sin",
            "cos",
            "tan",
            "tanh",
            "coth",
            "abs",
            "sign",
            "each",
            "f",
            "F",
        ]
        return st.one_of(
            st.builds("{}{}{}".format, inner, st.sampled_from(["+", "-", "*", "/", ".*"]), inner),
            st.builds("({})^{}".format, inner, st.sampled_from(["2", "64", "(1/2)", "-1", "(-7/12)"])),
            st.builds("{}({})".format, st.sampled_from([*functions, "grad f"]), inner),
            st.builds("hess f({})[{}]".format, inner, inner),
            st.builds("{}({}, {})".format, st.sampled_from(["inner", "outer", "hadamard", "max"]), inner, inner),
        )  # fmt: skip

    return st.recursive(leaves, grown, max_leaves=12)


@IN_TIME
@given(_expressions(), st.sampled_from(["x", "T"]))
def test_expressions_are_harmless_and_come_back(expression: str, target: str):
    text = f"{B0}operator F\ntime t\nlet k2 = c^2 + 1\nfield a: {target}' = {expression}\noutput x"
    harmless(lambda t: to_text(parse_system(t)), text)
    try:
        written = to_text(parse_system(text))
    except OdescentError:
        return
    again = to_text(parse_system(written))
    assert to_text(parse_system(again)) == again
