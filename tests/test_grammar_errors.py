"""System files that are wrong: a sentence, a place and a caret for each mistake."""

import re

import pytest
from systems_as_text import TEXTS

from odescent._support.errors import OdescentError
from odescent.discretize.reading.method_text import parse_algorithm
from odescent.dynamics.grammar import ParseError, parse_system

WRONG = [
    ("fild a: x' = v", 1, 1, "there is no statement 'fild': did you mean 'field'?"),
    ("blocks x\nfield a: x' = -c*", 2, 18, "the text ends too early: an expression was expected"),
    ("blocks x\nfield a: x' = -c*\noutput x", 2, 18, "the line ends too early"),
    ("blocks x\nfield a: x = x", 2, 12, "with a prime"),
    ("blocks x\nfield a: y' = x", 2, 10, "there is no block 'y'"),
    ("blocks x\nfield a: x' = x/t", 2, 17, "the time is declared by a line of its own: time t"),
    ("blocks x parameters gamma > 0\nfield a: x' = gama*x", 2, 15, "'gama' is not declared: did you mean 'gamma'"),
    ("blocks x objective f\nfield a: x' = -gard f(x)", 2, 21, "did you mean grad f?"),
    ("blocks x objective f\nfield a: x' = grad g(x)", 2, 20, "no objective or operator 'g'"),
    ("blocks x objective f\nfield a: x' = f", 2, 15, "f is an objective: it needs an argument"),
    ("blocks x\nfield a: x' = sqr(2)*x", 2, 15, "no function 'sqr': did you mean 'sqrt'"),
    ("blocks x\nfield a: x' = x(2)", 2, 15, "x is not a function"),
    ("blocks x\nfield a: x' = exp*x", 2, 15, "exp is a function"),
    ("blocks x\nfield a: x' = sqrt(2, 3)*x", 2, 15, "takes 1 argument, not 2"),
    ("blocks x, v\nfield a: x' = x*v", 2, 17, "the product of the vectors x and v has no meaning"),
    ("blocks x, v\nfield a: x' = x/v", 2, 17, "cannot divide by the vector v"),
    ("blocks x, v\nfield a: x' = x + 2", 2, 19, "this adds the scalar 2 to a vector"),
    ("blocks x, matrix P\nfield a: x' = x + P", 2, 19, "this adds the matrix P to a vector"),
    ("blocks x, scalar T\nfield a: T' = x", 2, 15, "T is a scalar, but its derivative is a vector"),
    ("blocks x\nfield a: x' = 2", 2, 15, "x is a vector, but its derivative is a scalar"),
    ("blocks x\nfield a: x' = x^2", 2, 15, "the vector x has no powers"),
    ("blocks x\nfield a: x' = exp(x)", 2, 19, "each(exp(...))"),
    ("blocks x\nfield a: x' = each(2)*x", 2, 15, "needs a vector"),
    ("blocks x\nfield a: x' = x .* 2", 2, 20, "hadamard takes vectors, not the scalar 2"),
    ("blocks x, matrix P\nfield a: x' = apply(x, P)", 2, 15, "apply takes a matrix, and a vector or a matrix"),
    ("blocks x objective f\nfield a: x' = grad f(2)", 2, 22, "grad f takes vectors, not the scalar 2"),
    ("blocks x objective f\nfield a: x' = hess f(x)", 2, 24, "[ was expected"),
    ("blocks x objective f\nfield a: x' = D3 f(x)[x]", 2, 18, "a direction fewer than the order"),
    ("blocks x operator F\nfield a: x' = grad F(x)", 2, 20, "grad needs an objective, not the operator F"),
    ("blocks x\nfield a: x' = 2 x", 2, 17, "an operator is missing before 'x'"),
    ("blocks x\nfield a: x' = 2x", 2, 15, "a number ends where a letter follows"),
    ("blocks x parameters b\nfield a: x' = 2^b*x", 2, 17, "an exponent is a number"),
    ("blocks x\nfield a: x' = 2^3^4*x", 2, 18, "a power of a power needs parentheses"),
    ("blocks x\nfield a: x' = 1/0*x", 2, 17, "divides by zero"),
    ("blocks x\nfield a: x' = log(0)*x", 2, 15, "infinite or undefined"),
    ("blocks x\nfield a: x' = sqrt(-2)*x", 2, 15, "not a real number"),
    ("blocks x\nfield a: x' = 0^-1*x", 2, 15, "infinite or undefined"),
    ("blocks x, x", 1, 11, "the name x is declared twice, first in line 1"),
    ("blocks time", 1, 8, "'time' is a word of this language"),
    ("blocks exp", 1, 8, "a function or a constant"),
    ("blocks mu", 1, 8, "mu and L are the strong convexity"),
    ("blocks lambda", 1, 8, "'lambda' is not a valid name"),
    ("blocks _x", 1, 8, "'_x' is not a valid name"),
    ("blocks x parameters mu", 1, 21, "mu is positive always"),
    ("blocks x parameters h", 1, 21, "the step is positive"),
    ("blocks x parameters c > 1", 1, 25, "compared with 0"),
    ("blocks x\nfield a: x' = x\nfield a: x' = x", 3, 7, "a second field a"),
    ("blocks x\nfield a: x' = x, x' = x", 2, 18, "a second equation for x"),
    ("blocks x\nfield a", 2, 7, "moves nothing"),
    ("blocks x\nfield a: x' = x\noutput x\noutput x", 4, 1, "a second output; the first is in line 3"),
    ("blocks x\nfield a: x' = x\nnoise b: x += dW", 3, 7, "there is no field 'b'"),
    ("blocks x\nfield a: x' = x\nnoise a: x += 2*dW", 3, 17, "without *"),
    ("blocks x\nfield a: x' = x\nnoise a: x += dW, x += dB", 3, 19, "a second noise on x"),
    ("blocks x\nfield a: x' = x0", 2, 15, "x0, the starting point, has a meaning in initial values only"),
    ("blocks x\nfield a: x' = x\ninit x = x0, x = x0", 3, 14, "a second initial value"),
    ("blocks x\nfield a: x' = x\ninit y = x0", 3, 6, "there is no block 'y'"),
    ("blocks x, v\nfield a: x' = v, v' = -v\nlet p = q, q = p", 3, 5, "the definition is circular: p -> q -> p."),
    ("blocks x\nlet p = 2*p", 2, 5, "definition is circular: p -> p"),
    ("blocks x, scalar T\ncalculus itoo", 2, 10, "did you mean 'ito'"),
    ("blocks p, q\nfield a: p' = q, q' = -p", 1, 1, "add a line such as: output x"),
    ("blocks ψ", 1, 8, "ASCII"),
    ("blocks x\n  \x1b[2J", 2, 3, "'\\x1b' has no meaning here"),
    ('provenance "abc\n', 1, 12, "do not end on this line"),
    ("(" * 30, 1, 21, "nested too deeply: more than 20"),
    ("\\ddot{x} + \\nabla f(x) = 0", 1, 1, "formulas of LaTeX are not read"),
    ("x' = -∇f(x)", 1, 7, "write grad f(x)"),
    ("x'' + 3·x' = 0", 1, 8, "write * for a product"),
    ("x′ = -x", 1, 2, "write ' for a derivative"),
    ("x'' + x²*x' = 0", 1, 8, "write ^2"),
    ("d2x/dt2 + 3 dx/dt = 0", 1, 1, "'d2x' begins no statement: write x' and x'' for derivatives"),
    ("system a\nblocks x)", 2, 9, "')' is not what can stand here"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "column", "part"), WRONG)
def test_what_is_wrong_gets_a_sentence_and_a_place(text: str, line: int, column: int, part: str):
    with pytest.raises(ParseError) as caught:
        parse_system(text)
    error = caught.value
    assert part in error.sentence
    assert error.sentence.startswith(f"line {line}, column {column}: ")
    assert (error.line, error.column) == (line, column)
    assert "\n" not in error.sentence
    shown, caret = error.excerpt.split("\n")
    assert shown.isprintable()
    assert caret.index("^") == column - 1 + 4
    assert error.excerpt in str(error)


SCHEMES = [
    ("lie_trotter(dmp: exact)", 13, "there is no field 'dmp': did you mean 'damp'"),
    ("lie_troter(damp: exact)", 1, "did you mean 'lie_trotter'"),
    ("damp: exct", 7, "there is no integrator 'exct': did you mean 'exact'"),
    ("damp: exact for x", 17, "the fraction of the step is a scalar, not a vector"),
    ("damp: exact for 1/2 for 1/2", 21, "has fraction twice"),
    ("damp: exact on w", 16, "there is no block 'w'"),
    ("damp: exact read x from ahead", 1, "which is not saved before it"),
    ("semi_implicit_euler(x, w)", 24, "there is no block 'w'"),
    ("lie_trotter(damp: exact, x)", 1, "one or the other"),
    ("rk4(order=x)", 1, "does not take these options"),
    ("set w = x", 5, "there is no block 'w'"),
    ("set x = c", 9, "x is a vector, but its value is a scalar"),
    ("set x = v for 1/2", 11, "read and save only"),
    ("damp: frozen rk4", 14, "cannot be frozen"),
]


@pytest.mark.parametrize(("scheme", "column", "part"), SCHEMES)
def test_what_is_wrong_in_a_scheme(scheme: str, column: int, part: str):
    with pytest.raises(ParseError, match=re.escape(part)) as caught:
        parse_algorithm(TEXTS["heavy_ball"], scheme=scheme)
    assert (caught.value.line, caught.value.column) == (1, column)
    assert caught.value.sentence.startswith("--scheme, line 1")


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({}, "there is no scheme: add a line"),
        ({"scheme": "rk4", "where": "d = h"}, "there is no parameter 'd'"),
        ({"scheme": "rk4", "where": "c = x"}, "the value of c is a scalar, not a vector"),
        ({"scheme": "rk4", "where": "c = 1, c = 2"}, "c is bound twice"),
        ({"scheme": "rk4", "where": "h = 1"}, "bound by tuning"),
        ({"scheme": "rk4", "tuning": "h = c, c = h"}, "in a circle"),
        ({"scheme": "rk4", "clock": "j*h"}, "'j' is not declared"),
        ({"scheme": "damp: exact"}, "does not add up"),
        ({"scheme": "all: exact"}, "needs a field that is linear"),
        ({"scheme": "rk4", "where": "c = 1/(mu - mu)"}, "divides by zero"),
        ({"scheme": "rk4", "where": "c = 1/((1 + h)^2 - h^2 - 2*h - 1)"}, "a denominator vanishes"),
    ],
)
def test_what_does_not_fit(options: dict[str, str], part: str):
    with pytest.raises(OdescentError, match=re.escape(part)):
        parse_algorithm(TEXTS["heavy_ball"], **options)


def test_what_an_algorithm_refuses():
    for text, part in [
        ("blocks h field a: h' = -h output h scheme rk4", "h is the step"),
        ("blocks x field a: x' = -x scheme rk4 record x = 2*x", "x is the name of the output"),
        ("blocks x parameters k > 0 field a: x' = -x scheme rk4 clock k*h", "k counts the steps"),
    ]:
        with pytest.raises(OdescentError, match=part):
            parse_algorithm(text)
    renamed = "blocks h step s field a: h' = -h output h scheme rk4 tuning s = 1/L"
    assert str(parse_algorithm(renamed).step) == "s"
