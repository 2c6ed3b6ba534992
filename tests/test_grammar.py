"""System files: what the language says, where it refuses, and that no text does harm."""

from pathlib import Path

import pytest
import sympy as sp
from systems_as_text import ALGORITHMS, TEXTS

import odescent as od
from odescent._support.errors import OdescentError
from odescent.discretize.reading.method_text import parse_algorithm, parse_scheme, read_algorithm
from odescent.dynamics import L, mu
from odescent.dynamics.algebra.calculus import vanishes
from odescent.dynamics.grammar import ParseError, parse_system, read_system, to_text

EXAMPLES = Path(__file__).parent.parent / "examples"


def same(one: od.System, other: od.System) -> None:
    """The same fields, blocks, output and noise, term by term."""
    assert one.fields.keys() == other.fields.keys()
    for name, field in one.fields.items():
        twin = other.fields[name]
        assert field.drift.keys() == twin.drift.keys()
        assert all(vanishes(e - twin.drift[s]) for s, e in field.drift.items())
        assert field.noise == twin.noise
    assert {b.name: b for b in one.blocks} == {b.name: b for b in other.blocks}
    assert (one.time, one.calculus) == (other.time, other.calculus)
    assert vanishes(one.output - other.output)


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_a_text_is_the_system_of_the_library(name: str):
    same(parse_system(TEXTS[name]), od.system(name))


@pytest.mark.parametrize("name", od.systems())
def test_every_system_survives_the_way_through_text(name: str):
    system = od.system(name)
    text = to_text(system)
    again = parse_system(text)
    same(again, system)
    assert (again.name, again.references) == (system.name, system.references)
    assert again.provenance == system.provenance
    assert to_text(again) == text


@pytest.mark.parametrize("name", sorted(ALGORITHMS))
def test_an_algorithm_from_text_is_that_of_the_library(name: str):
    ours, theirs = parse_algorithm(ALGORITHMS[name]), od.algorithm(name)
    assert str(ours) == str(theirs)
    if name in {"nesterov_sc", "triple_momentum", "heavy_ball", "gradient_descent"}:
        found = ours.equivalent(theirs)
        assert (found.verdict, found.same_output) == ("proved", True)


def test_a_clock_and_the_times_of_substeps():
    text = (
        TEXTS["nesterov_c"]
        + """
        scheme kick: explicit at 1, damp: cayley at 1, drift: explicit at 1
        where a = h   tuning h = 1/sqrt(L)   clock (k + 3/2)*h"""
    )
    assert str(parse_algorithm(text)) == str(od.algorithm("nesterov_c"))
    adam = TEXTS["adam"].replace("eps > 0", "eps > 0, beta1 > 0, beta2 > 0")
    text = (
        adam
        + """
        scheme first: exact, second: exact, drift: explicit at 1
        tuning a = -log(beta1)/h, b = -log(beta2)/h"""
    )
    assert str(parse_algorithm(text)) == str(od.algorithm("adam"))


def test_records_are_further_outputs():
    text = (
        ALGORITHMS["triple_momentum"]
        + """
        let q = sqrt(mu)*h, rho = 1 - q, gamma = rho^2/((1 + rho)*(2 - rho)), delta = rho^2/(1 - rho^2)
        let y = ((1 - q)*x + 2*q*z)/(1 + q)
        record xi = (delta*y - gamma*z)/(delta - gamma), point = y"""
    )
    ours, theirs = parse_algorithm(text), od.algorithm("triple_momentum")
    assert vanishes(ours.tuned.outputs["xi"] - theirs.tuned.outputs["xi"])
    assert vanishes(ours.tuned.outputs["point"] - theirs.tuned.outputs["y"])


def test_the_examples_converge_at_their_rate():
    heavy = read_algorithm(EXAMPLES / "heavy_ball.ode")
    assert heavy.equivalent(od.algorithm("heavy_ball")).verdict == "proved"
    own = read_algorithm(EXAMPLES / "hessian_damping.ode").bind(mu=1, L=100)
    space = own.state_space()
    q = sp.Rational(1, 10)
    for curvature, poles in [(100, {0, q / (1 + q)}), (1, None)]:
        matrix = space.modal_matrix(sp.Integer(curvature))
        found = set(matrix.eigenvals())
        assert poles is None or found == poles
        assert all(abs(sp.N(p)) < 1 - q / 2 for p in found)


def test_an_option_stands_in_for_a_statement():
    file = ALGORITHMS["heavy_ball"]
    other = parse_algorithm(file, scheme="explicit_euler", tuning="h = 1/L", where="c = 1")
    assert other.scheme == od.scheme("explicit_euler")
    assert other.tuning[sp.Symbol("h", positive=True)] == 1 / L
    assert "c" not in {s.name for s in other.system.bind(other.where).parameters}


X, V = sp.symbols("T S", real=True)
C, B, A = sp.Symbol("c", positive=True), sp.Symbol("b", real=True), sp.Symbol("a", nonnegative=True)
DECLARED = "blocks x, v, scalar T, scalar S, matrix P  parameters c > 0, b, a >= 0\nobjective f operator F\n"


def scalar(expression: str) -> sp.Expr:
    return parse_system(f"{DECLARED}field one: T' = {expression}\noutput x").fields["one"].drift[X]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.1 + 1e-3", sp.Rational(101, 1000)),
        ("-c^2", -(C**2)),
        ("(-c)^2", C**2),
        ("2^-3", sp.Rational(1, 8)),
        ("c**(1/2) - sqrt(c)", 0),
        ("c - b - a", C - B - A),
        ("c/b*a", C * A / B),
        ("c/(b*a)", C / (A * B)),
        ("--b + +a", A + B),
        ("2*-b", -2 * B),
        ("1/3*T + .5*S", X / 3 + V / 2),
        ("8^(1/3)", 2),
        ("exp(-2*c)*sin(b)^2 + cos(b)", sp.exp(-2 * C) * sp.sin(B) ** 2 + sp.cos(B)),
        ("log(c) + tanh(b) + coth(c) + atan(b)", sp.log(C) + sp.tanh(B) + sp.coth(C) + sp.atan(B)),
        ("abs(b) + sign(b) + max(b, 1) + min(a, b)", abs(B) + sp.sign(B) + sp.Max(B, 1) + sp.Min(A, B)),
        ("abs(c) + sqrt(b^2)", C + abs(B)),
        ("mu/L + h + pi", mu / L + sp.Symbol("h", positive=True) + sp.pi),
        ("inner(x, 2*v) - 2*inner(v, x)", 0),
        ("inner(grad f(x), v)", od.inner(od.Objective("f").grad(od.blocks("x")), od.blocks("v"))),
        ("f(x + v)", od.Objective("f")(od.blocks("x") + od.blocks("v"))),
    ],
)  # fmt: skip
def test_scalars(text: str, value: object):
    assert vanishes(scalar(text) - sp.sympify(value))


def test_vectors():
    x, v, f = od.blocks("x"), od.blocks("v"), od.Objective("f")
    P = od.blocks("P", kind="matrix")
    for text, value in [
        ("hess f(x)[c*v]", f.hess(x, C * v)),
        ("D3 f(x)[u, v]", f.third(x, x + v, v)),
        ("D2 f(x)[v] - hess f(x)[v]", 0 * x),
        ("F(x) + D F(x)[v]", f_operator(x, v)),
        ("prox f(x - c*v, 1/c)", f.prox(x - C * v, 1 / C)),
        ("x .* (v - x)", od.hadamard(x, v - x)),
        ("c*x .* v/2", od.hadamard(x, v) * C / 2),
        ("apply(P - outer(x, v), v)", od.apply(P, v) - od.apply(od.outer(x, v), v)),
        ("each(v/(sqrt(x) + c))", od.elementwise(lambda p, q: p / (sp.sqrt(q) + C), v, x)),
        ("each(sign(grad f(x)))", od.elementwise(sp.sign, f.grad(x))),
        ("each(u^2)", od.elementwise(lambda p: p**2, x + v)),
        ("each(inner(x, v)*x)", od.elementwise(lambda p: od.inner(x, v) * p, x)),
    ]:
        parsed = parse_system(f"{DECLARED}let u = x + v\nfield one: x' = {text}\noutput x")
        found = parsed.fields["one"].drift[x]
        if text.startswith("each(v"):  # the order of arguments is the engine's, not the text's
            value = od.elementwise(lambda q, p: q / (sp.sqrt(p) + C), v, x)
        assert vanishes(found - value), text


def f_operator(x, v):
    F = od.Objective("F")
    from odescent.dynamics.algebra.oracles import Oracle
    from odescent.dynamics.algebra.vectors import call

    return F.operator(x) + call(Oracle("operator", "F"), x, [v])


def test_blocks_noise_and_initial_values():
    system = parse_system("""
        system all_kinds
        blocks x, memory m, coefficient scalar th, matrix P, pytree w
        parameters c > 0
        objective f
        time s
        calculus stratonovich
        field a: x' = -grad f(x)/s, th' = -th, P' = 0
        field still
        noise a: x += c*x dW, P += dB
        noise still: th += 2 dW
        output x
        init m = -grad f(x0), th = 1
        provenance "an example"
        references polyak1964
    """)
    by = {b.name: b for b in system.blocks}
    assert (by["m"].role, by["th"].role, by["P"].kind, by["w"].kind) == (
        "memory", "coefficient", "matrix", "pytree",
    )  # fmt: skip
    f, x0 = od.Objective("f"), od.dynamics.start
    assert (by["x"].init, by["m"].init, by["th"].init) == (x0, -f.grad(x0), 1)
    assert system.calculus == "stratonovich"
    assert str(system.time) == "s"
    assert system.fields["still"].drift == {}
    noise = {str(s): d.process for s, d in system.fields["a"].noise.items()}
    assert noise == {"x": "W", "P": "B"}
    assert (system.provenance, system.references) == ("an example", ("polyak1964",))
    same(parse_system(to_text(system)), system)


def test_schemes():
    assert parse_scheme("rk4") == od.scheme("rk4")
    assert parse_scheme("strang(a: exact, b: frozen implicit)") == od.scheme(
        "strang", [("a", "exact"), ("b", "frozen implicit")]
    )
    assert parse_scheme("look_ahead(by=exact, block=y)") == od.scheme(
        "look_ahead", by="exact", block="y"
    )
    flow, ahead, kick = parse_scheme(
        "a + b: frozen cayley for 1/2 on v + w at 1 save q, all: explicit look ahead, "
        "k: heun read x from ahead read v from q"
    ).steps
    assert flow == od.Flow(("a", "b"), "frozen cayley", sp.Rational(1, 2), ("v", "w"), {}, 1, "q")
    assert (ahead.fields, ahead.save, ahead.commit) == ((), "ahead", False)
    assert kick.read == {"x": "ahead", "v": "q"}
    assert kick.by.tableau == od.scheme("heun").steps[0].by.tableau
    text = "blocks x, memory m parameters b > 0 objective f field go: x' = -m\n"
    made = parse_algorithm(
        text.replace("go: x' = -m", "go: x' = -grad f(x)")
        + "output x scheme go: explicit, set m = b*m + grad f(x) and x = x save q"
    )
    assert {str(s) for s in made.scheme.steps[1].assign} == {"m", "x"}


def test_files(tmp_path: Path):
    file = tmp_path / "own.ode"
    file.write_bytes(b"\xef\xbb\xbfblocks x\r\nobjective f\r\nfield a: x' = -grad f(x)\r\n")
    same(read_system(file), parse_system("blocks x objective f field a: x' = -grad f(x)"))
    file.write_bytes(b"blocks x\n# \xff\n")
    with pytest.raises(ParseError, match=r"own\.ode, line 2, column 3: the file is not UTF-8"):
        read_system(file)
    file.write_bytes(b"#" * 10_000_000)
    with pytest.raises(ParseError, match="the text is too long"):
        read_system(file)
    for path, part in [
        (tmp_path, "is not a file"),
        (tmp_path / "none.ode", "does not exist"),
        ("/dev/zero", "is not a file"),
        ("a\0b", "embedded null|does not exist|cannot be read"),
    ]:
        with pytest.raises(OdescentError, match=part):
            read_system(path)
