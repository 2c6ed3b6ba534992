"""Linear operators and solves: identities of the calculus, and each of them against arrays."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import odescent as od
from odescent import replay
from odescent.discretize.emit import load
from odescent.dynamics import derivative, vanishes
from odescent.dynamics.algebra.operators import inverse, jacobian
from odescent.dynamics.algebra.oracles import Oracle
from odescent.dynamics.algebra.trees import from_tree, tree
from odescent.dynamics.evaluation.evaluate import evaluate
from odescent.dynamics.grammar.write import to_text

x, b, u, v = od.blocks("x b u v")
A, B = od.blocks("A B", kind="matrix")
P, S = od.blocks("P S", kind="symmetric")
lam, h = od.parameters("lam h")
f, c, g = od.Objective("f"), od.Map("c"), od.Objective("g", args=("x", "y"))
RNG = np.random.default_rng(7)
N = 3


def _symmetric() -> np.ndarray:
    m = RNG.normal(size=(N, N))
    return m @ m.T + np.eye(N)


C = RNG.normal(size=(N, N))


def f_value(p):
    return jnp.sum(jnp.cosh(C @ p))


def g_value(p, q):
    return jnp.sum(jnp.cos(p) * (C @ jnp.sin(q))) + jnp.sum(p**2) + jnp.sum((p * q) ** 2)


def c_value(p):
    return jnp.sin(C @ p) + p**3


VALUES = {s: RNG.normal(size=N) for s in (x, b, u, v)}
VALUES |= {A: RNG.normal(size=(N, N)), B: RNG.normal(size=(N, N)), P: _symmetric(), S: _symmetric()}
VALUES |= {lam: 0.7, h: 0.3}
ORACLES = {
    "grad_f": jax.grad(f_value),
    "value_f": f_value,
    "map_c": c_value,
    "vjp_c": lambda p, out: jax.vjp(c_value, p)[1](out)[0],
    "grad_g_x": jax.grad(g_value, 0),
    "grad_g_y": jax.grad(g_value, 1),
}


def number(e):
    return np.asarray(evaluate(e, VALUES, ORACLES, jnp))


# the operators that random words are made of, with the matrices that they are
ATOMS = {
    "A": (A, VALUES[A]),
    "B": (B, VALUES[B]),
    "P": (P, VALUES[P]),
    "A^T": (od.transpose(A), VALUES[A].T),
    "H": (f.hessian(x), np.asarray(jax.hessian(f_value)(VALUES[x]))),
    "J": (c.jacobian(x), np.asarray(jax.jacobian(c_value)(VALUES[x]))),
    "J^T": (od.transpose(c.jacobian(x)), np.asarray(jax.jacobian(c_value)(VALUES[x])).T),
    "uv": (od.outer(u, v), np.outer(VALUES[u], VALUES[v])),
    "D": (od.diagonal_operator(v), np.diag(VALUES[v])),
    "I": (od.identity, np.eye(N)),
    "G": (
        g.hessian(x, u, wrt=("x", "y")),
        np.asarray(jax.jacobian(jax.grad(g_value, 0), 1)(VALUES[x], VALUES[u])),
    ),
}


def random_operator(rng, depth):
    """An operator and its matrix: a sum, a product, a transpose or an inverse of others."""
    kind = rng.choice(["atom", "atom", "sum", "product", "transpose", "inverse"])
    if depth == 0 or kind == "atom":
        return ATOMS[rng.choice(list(ATOMS))]
    one, first = random_operator(rng, depth - 1)
    if kind == "transpose":
        return od.transpose(one), first.T
    if kind == "inverse":
        made = one + od.identity * lam * 5
        return inverse(made), np.linalg.inv(first + 3.5 * np.eye(N))
    other, second = random_operator(rng, depth - 1)
    if kind == "sum":
        return one + other * 2, first + 2 * second
    return od.apply(one, other), first @ second


@pytest.mark.parametrize("seed", range(40))
def test_random_operators_have_the_values_of_their_matrices(seed: int) -> None:
    rng = np.random.default_rng(seed)
    op, matrix = random_operator(rng, 3)
    scale = np.abs(matrix).max() + 1
    assert number(od.apply(op, b)) == pytest.approx(matrix @ VALUES[b], abs=1e-9 * scale)
    assert number(od.apply(od.transpose(op), b)) == pytest.approx(
        matrix.T @ VALUES[b], abs=1e-9 * scale
    )
    assert number(od.inner(od.apply(op, u), b)) == pytest.approx(
        matrix @ VALUES[u] @ VALUES[b], abs=1e-9 * scale
    )
    assert vanishes(od.transpose(od.transpose(op)) - op)
    if any(a is not od.identity for a in op.terms):
        assert number(od.trace(op)) == pytest.approx(np.trace(matrix), abs=1e-9 * scale)
        entries = number(od.diagonal(op) + 0 * v)
        expected = np.diagonal(matrix)
        if op.terms.keys() != {od.identity} and od.identity not in op.terms:
            assert entries == pytest.approx(expected, abs=1e-9 * scale)
    assert from_tree(tree(op)) == op


@pytest.mark.parametrize("seed", range(40))
def test_an_operator_in_front_of_its_inverse_is_one(seed: int) -> None:
    """Also where its terms are applied one by one."""
    rng = np.random.default_rng(1000 + seed)
    op, _ = random_operator(rng, 2)
    op = op + lam * od.identity
    solution = od.linear_solve(op, b)
    apart = sum((od.apply(a, solution) * k for a, k in op.terms.items()), od.dynamics.zero)
    assert vanishes(apart - b)
    assert not vanishes(apart - b + od.apply(A, b))
    assert not vanishes(apart - 2 * b)


def test_the_derivative_of_a_solve_is_another() -> None:
    op = f.hessian(x) + lam * od.identity
    rate = derivative(od.linear_solve(op, b), {x: u, b: v})
    hess = jax.hessian(f_value)

    def solved(p, q):
        return jnp.linalg.solve(hess(p) + 0.7 * jnp.eye(N), q)

    exact = jax.jvp(solved, (VALUES[x], VALUES[b]), (VALUES[u], VALUES[v]))[1]
    assert number(rate) == pytest.approx(np.asarray(exact), rel=1e-9)
    assert vanishes(od.apply(op, rate) + f.grad(x, along=[u, od.linear_solve(op, b)]) - v)
    again = derivative(rate, {x: v})
    twice = jax.jvp(
        lambda p: jax.jvp(solved, (p, VALUES[b]), (VALUES[u], VALUES[v]))[1],
        (VALUES[x],),
        (VALUES[v],),
    )[1]
    assert number(again) == pytest.approx(np.asarray(twice), rel=1e-8)


def test_gradients_go_through_solves_and_operators() -> None:
    solution = od.linear_solve(f.hessian(x) + lam * od.identity, b)
    found = od.gradient(od.inner(u, solution) + od.inner(od.apply(P, x), od.apply(A, x)), x)
    hess = jax.hessian(f_value)

    def value(p):
        q = jnp.linalg.solve(hess(p) + 0.7 * jnp.eye(N), VALUES[b])
        return VALUES[u] @ q + (VALUES[P] @ p) @ (VALUES[A] @ p)

    assert number(found) == pytest.approx(np.asarray(jax.grad(value)(VALUES[x])), rel=1e-8)
    cube = od.trace(od.apply(A, od.apply(B, A)))
    by_hand = VALUES[A].T @ VALUES[B].T + VALUES[B].T @ VALUES[A].T
    assert number(od.gradient(cube, A)) == pytest.approx(by_hand)
    diagonals = od.inner(od.diagonal(A), od.apply(od.diagonal_operator(u), od.diagonal(A)))
    twice = np.diag(2 * VALUES[u] * np.diagonal(VALUES[A]))
    assert number(od.gradient(diagonals, A)) == pytest.approx(twice)
    by_matrix = od.gradient(od.inner(u, od.linear_solve(A, b)), A)

    def of_matrix(m):
        return VALUES[u] @ jnp.linalg.solve(m, VALUES[b])

    assert number(by_matrix) == pytest.approx(np.asarray(jax.grad(of_matrix)(VALUES[A])), rel=1e-8)


def test_sherman_morrison_and_woodbury_are_written_out() -> None:
    one = od.linear_solve(lam * od.identity + od.outer(u, u), b)
    uu, ub = od.inner(u, u), od.inner(u, b)
    assert vanishes(one - (b / lam - u * ub / (lam * (lam + uu))))
    two = lam * od.identity + h * od.outer(u, v) - od.outer(v, x)
    assert vanishes(od.apply(two, od.linear_solve(two, b)) - b)
    assert not vanishes(od.apply(two, od.linear_solve(two, b)) - b * sp.Rational(1001, 1000))


def test_newtons_flow_of_the_kkt_system_takes_the_constraint_to_zero() -> None:
    """c' = -c along x' = -J^T (J J^T)^-1 c, of any constraint."""
    jac = c.jacobian(x)
    gram = od.apply(jac, od.transpose(jac))
    rate = -od.apply(od.transpose(jac), od.linear_solve(gram, c(x)))
    assert vanishes(derivative(c(x), {x: rate}) + c(x))
    assert not vanishes(derivative(c(x), {x: 2 * rate}) + c(x))
    wrong = -od.apply(od.transpose(jac), od.linear_solve(gram + lam * od.identity, c(x)))
    assert not vanishes(derivative(c(x), {x: wrong}) + c(x))


def test_products_associate_and_pair() -> None:
    assert od.apply(od.apply(A, B), u) == od.apply(A, od.apply(B, u))
    assert od.transpose(od.apply(A, P)) == od.apply(P, od.transpose(A))
    assert od.inner(od.apply(A, u), od.apply(B, v)) == od.inner(
        u, od.apply(od.transpose(A), od.apply(B, v))
    )
    assert od.inner(od.apply(P, u), v) == od.inner(u, od.apply(P, v))
    assert od.inner(od.apply(A, u), v) != od.inner(u, od.apply(A, v))
    assert od.inner(od.hadamard(u, v), b) == od.inner(u, od.hadamard(v, b))
    assert od.trace(od.outer(u, v)) == od.inner(u, v)
    assert od.trace(od.apply(A, od.outer(u, v))) == od.inner(v, od.apply(A, u))


def test_what_is_no_operator_is_refused() -> None:
    for wrong in (u, f.grad(x), od.apply(A, u)):
        with pytest.raises(od.OdescentError, match="takes an operator"):
            od.linear_solve(wrong, b)
    with pytest.raises(od.OdescentError, match="the operator 0"):
        od.linear_solve(A - A, b)
    with pytest.raises(od.OdescentError, match="the adjoint of the derivative"):
        od.transpose(jacobian(Oracle("operator", "F"), x))


def riccati():
    """P' = (P - P S P)/T with S = a a^T, and a step along P."""
    T = od.parameters("T")
    rate = (P - od.apply(P, od.outer(v, od.apply(P, v)))) / T
    fields = {"flow": {P: rate, v: v * 0}, "move": {x: -od.apply(P, f.grad(x))}}
    return od.System(fields, output=x, init={P: od.identity, v: od.dynamics.start}, name="riccati")


def _f():
    return od.Objective(lambda p: jnp.sum(jnp.cosh(p) - 1))


def test_a_riccati_flow_has_its_closed_form_and_its_programs_agree() -> None:
    system, x0 = riccati(), np.array([1.0, -0.5, 0.25])
    found = system.simulate(_f(), x0, 1.3, parameters={"T": 2.0}, rtol=1e-11, atol=1e-12)
    decay = np.exp(-1.3 / 2)
    exact = np.linalg.inv(decay * np.eye(3) + (1 - decay) * np.outer(x0, x0))
    assert np.asarray(found.states["P"][-1]) == pytest.approx(exact, rel=1e-8)
    method = od.Algorithm(system, "explicit_euler").bind(h=0.1, T=2.0)
    run = np.asarray(method.run(_f(), x0, 6).x)
    module = load(od.Algorithm(system, "explicit_euler"), "numpy")
    assert module.run(np.sinh, x0, 6, 0.1, 2.0) == pytest.approx(run, rel=1e-13)
    p, at = np.eye(3), x0
    for _ in range(6):
        p, at = p + 0.05 * (p - p @ np.outer(x0, x0) @ p), at - 0.1 * p @ np.sinh(at)
    assert run[-1] == pytest.approx(at, rel=1e-13)


def test_newton_schulz_squares_its_residual_and_has_the_modified_equation_of_euler() -> None:
    """M+ = 2M - M S M is the step T of explicit Euler; 1 - S M is squared."""
    step = 2 * P - od.apply(P, od.apply(S, P))
    residual = od.identity - od.apply(S, P)
    after = od.identity - od.apply(S, step)
    assert vanishes(after - od.apply(residual, residual))
    assert not vanishes(after - residual)
    steps, descent = (
        S * lam,
        S * lam,
    )  # iterate k from aS is iterate 2^k of descent with the matrix step aS
    e = od.identity - od.apply(S, S * lam)
    power = e
    for _ in range(2):
        steps = 2 * steps - od.apply(steps, od.apply(S, steps))
        power = od.apply(power, power)
    for _ in range(3):
        descent = descent + od.apply(S * lam, od.identity - od.apply(S, descent))
    assert vanishes(od.identity - od.apply(S, steps) - power)
    assert vanishes(steps - descent)


def test_solves_are_emitted_and_simulated() -> None:
    rate = -od.linear_solve(P + lam * od.identity, f.grad(x))
    system = od.System({"move": {x: rate}, "hold": {P: P * 0}}, output=x, init={P: od.identity * 2})
    x0 = np.array([1.0, -0.5, 0.25])
    method = od.Algorithm(system, "explicit_euler")
    run = np.asarray(method.bind(h=0.1, lam=0.5).run(_f(), x0, 3).x)
    at = x0
    for _ in range(3):
        at = at - 0.1 * np.sinh(at) / 2.5
    assert run[-1] == pytest.approx(at, rel=1e-12)
    newton = od.System({"move": {x: -od.linear_solve(f.hessian(x), f.grad(x))}}, output=x)
    found = newton.simulate(_f(), x0, 1.0, rtol=1e-10, atol=1e-12)
    assert np.sinh(np.asarray(found.x[-1])) == pytest.approx(np.exp(-1) * np.sinh(x0), rel=1e-7)
    module = load(od.Algorithm(newton, "explicit_euler"), "numpy")  # from products alone
    after = module.run(np.sinh, lambda p, v: np.cosh(p) * v, x0, 1, 0.5)[-1]
    assert after == pytest.approx(x0 - 0.5 * np.tanh(x0), rel=1e-12)
    whole = od.System({"move": {x: -od.trace(f.hessian(x)) * x}}, output=x)
    module = load(od.Algorithm(whole, "explicit_euler"), "numpy")
    after = module.run(lambda p, v: np.cosh(p) * v, x0, 1, 0.1)[-1]
    assert after == pytest.approx(x0 * (1 - 0.1 * np.cosh(x0).sum()), rel=1e-12)


def test_a_block_that_is_declared_symmetric_stays_so() -> None:
    for wrong in (A, od.outer(u, v), od.apply(P, od.outer(v, v))):
        with pytest.raises(od.OdescentError, match="not proved to be"):
            od.System({"flow": {P: wrong, A: A * 0, u: u * 0, v: v * 0}}, output=u)


def test_operators_have_a_text_form() -> None:
    text = """
system several
blocks symmetric P, matrix A, x, v
parameters lam > 0
objective f
map c
field flow: P' = identity - apply(P, P), A' = apply(A, hess f(x)[.]) + diagonal_operator(v)
field move: x' = -linear_solve(hess f(x)[.] + lam*identity, grad f(x)), v' = trace(A)*diagonal(apply(A, P)) - v
field more: x' = apply(transpose(D c(x)[.]), c(x)) + apply(linear_solve(A, transpose(A)), v)
output x
init x = x0
"""
    system = od.parse_system(text)
    assert system.drift[x].calls()
    again = od.parse_system(to_text(system))
    assert again.drift == system.drift and again.blocks == system.blocks
    moved = system.fields["move"].drift
    op = f.hessian(x) + od.parse_system(text).parameters[0] * od.identity
    assert moved[x] == -od.linear_solve(op, f.grad(x))
    for wrong, what in (
        ("apply(P, lam)", "vectors"),
        ("linear_solve(x, x)", "a matrix, and a vector"),
        ("trace(x)*x", "trace takes a matrix"),
        ("hess f(x)[.]", "x is a vector"),
        ("apply(D3 f(x)[., .], x)", "once"),
    ):
        with pytest.raises(od.OdescentError, match=what):
            od.parse_system(
                text.replace("-linear_solve(hess f(x)[.] + lam*identity, grad f(x))", wrong)
            )


def test_a_derivation_with_operators_replays() -> None:
    """Solves, transposes and Jacobians, recomputed by arithmetic that knows the rules of none of them."""
    jac = c.jacobian(x)
    gram = od.apply(jac, od.transpose(jac)) + A
    fields = {
        P: P - od.apply(P, od.apply(P, P)) + od.identity,
        A: od.apply(A, P) + od.outer(x, f.grad(x)),
        x: -od.linear_solve(f.hessian(x) + lam * od.identity, f.grad(x))
        - od.apply(od.transpose(jac), od.linear_solve(gram, c(x))),
    }
    system = od.System({"flow": fields}, output=x)
    document = od.Algorithm(system, "explicit_euler").derivation().to_dict()
    lines: list[str] = []
    assert not replay.replay(document, points=1, say=lines.append), lines
    text = json.dumps(document["steps"])
    assert '"inverse"' in text and '"derivative"' in text
    wrong = json.loads(
        json.dumps(document).replace('["transpose", ', '["hadamard", ["identity"], ')
    )
    if wrong != document:
        assert replay.replay(wrong, points=1, say=lines.append)


def test_an_outer_product_of_a_word_beside_that_word_ends() -> None:
    """(H + (H u) v^T)^-1 H u is in terms of itself: nothing is rewritten, and its value is right."""
    H = f.hessian(x)
    op = H + od.outer(od.apply(H, u), v) + od.outer(u, od.apply(A, v)) + A
    found = od.linear_solve(op, od.apply(H, u) + od.apply(A, b))
    hess = np.asarray(jax.hessian(f_value)(VALUES[x]))
    matrix = (
        hess + np.outer(hess @ VALUES[u], VALUES[v]) + np.outer(VALUES[u], VALUES[A] @ VALUES[v])
    )
    exact = np.linalg.solve(matrix + VALUES[A], hess @ VALUES[u] + VALUES[A] @ VALUES[b])
    assert number(found) == pytest.approx(exact, rel=1e-8)


@pytest.mark.parametrize("scale", [sp.S.One, lam, 1 / (5 + od.inner(u, u))])
def test_a_dyad_of_a_transposed_word_in_front_of_its_inverse_ends(scale: sp.Expr) -> None:
    """A M^-1 b with M = A - u (A^T v)^T + 9 is in terms of <A^T v, M^-1 b> = <v, A M^-1 b>, itself."""
    M = A - od.outer(u, od.apply(od.transpose(A), v)) * scale + 9 * od.identity
    solved = od.linear_solve(M, b)

    def at(shift: float) -> np.ndarray:
        there = VALUES | {u: VALUES[u] + shift * VALUES[x]}
        dyad = np.outer(there[u], VALUES[A].T @ VALUES[v])
        matrix = VALUES[A] - dyad * float(evaluate(scale, there, {}, np)) + 9 * np.eye(N)
        return np.linalg.solve(matrix, VALUES[b])

    assert number(od.apply(A, solved)) == pytest.approx(VALUES[A] @ at(0), rel=1e-9)
    slope = (at(1e-5) - at(-1e-5)) / 2e-5
    assert number(derivative(solved, {u: x})) == pytest.approx(slope, rel=1e-6, abs=1e-9)


def test_the_trace_of_the_identity_is_a_number_that_nobody_knows() -> None:
    """A step with it ended in a RecursionError, a flow in a ValueError."""
    for e in (od.trace(A - lam * od.identity), od.inner(od.identity, od.identity)):
        with pytest.raises(
            od.OdescentError, match=r"the number of its rows, .* give it as a parameter"
        ):
            number(e)
        updates, begin = {x: x - h * e * x, A: A}, {A: od.identity}
        method = od.method(updates, output=x, init=begin, name="traced")
        with pytest.raises(od.NotCarried, match="no number of rows of the identity"):
            method.source("numpy")
