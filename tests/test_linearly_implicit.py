"""Linearly implicit integrators: their steps against arrays, their orders, and the solves of several blocks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import odescent as od
from odescent.discretize.emit import load
from odescent.discretize.programs.program import Assign
from odescent.discretize.programs.substeps import Integrator
from odescent.discretize.proof.exact_data import exact_algorithm
from odescent.discretize.reading.exact_reading import scheme_from
from odescent.dynamics import vanishes
from odescent.dynamics.algebra.gradients import jacobian_of
from odescent.dynamics.evaluation.evaluate import evaluate

x, v = od.blocks("x v")
s = od.blocks("s", kind="scalar")
f, F = od.Objective("f"), od.Map("F")
h, c, a = od.parameters("h c a")
RNG = np.random.default_rng(11)
N = 4
A = RNG.normal(size=(N, N))
KINDS = {"linearly_implicit": 1.0, "linearly_implicit_midpoint": 0.5}


def f_value(p):
    return jnp.sum(jnp.cosh(0.3 * (A @ p))) + jnp.sum(p**4) / 8


def F_value(p):
    return jnp.sin(jnp.asarray(A) @ p) - 2 * p + jnp.roll(p, 1) ** 2 / 5


ORACLES = {"grad": jax.grad(f_value), "grad_f": jax.grad(f_value), "map_F": F_value}


def stepped(method, state, numbers):
    """One step of the program, instruction by instruction."""
    values = {**numbers, **state}
    for i in method.program.instructions:
        e = i.value if isinstance(i, Assign) else i.as_call()
        values[i.target] = evaluate(e, values, ORACLES, jnp)
    return {b: np.asarray(values[e]) for b, e in method.program.next.items()}


def by_hand(rate, point, step, share, jacobian=None):
    jac = jax.jacobian(rate)(point) if jacobian is None else jacobian
    one = np.eye(len(point))
    return point + step * np.linalg.solve(one - share * step * np.asarray(jac), rate(point))


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_is_the_solve_with_the_derivative_of_the_field(kind: str) -> None:
    at = RNG.normal(size=N)
    fields = {"gradient": (-f.grad(x), lambda p: -jax.grad(f_value)(p)), "map": (F(x), F_value)}
    for e, rate in fields.values():
        method = od.Algorithm(od.System({"flow": {x: e}}, output=x), kind)
        made = stepped(method, {x: at}, {h: 0.3})[x]
        assert made == pytest.approx(by_hand(rate, at, 0.3, KINDS[kind]), rel=1e-11)


def together():
    """Two vectors and a scalar, of which each depends on others."""
    fields = {x: v * s - f.grad(x), v: -f.grad(x) - c * v, s: od.inner(x, v) - s**3}
    system = od.System({"flow": fields}, output=x)

    def rate(z):
        p, q, r = z[:N], z[N : 2 * N], z[2 * N]
        g = jax.grad(f_value)(p)
        return jnp.concatenate([q * r - g, -g - 0.7 * q, (p @ q - r**3)[None]])

    return system, rate


@pytest.mark.parametrize("kind", KINDS)
def test_several_blocks_are_eliminated_one_after_the_other(kind: str) -> None:
    system, rate = together()
    z = RNG.normal(size=2 * N + 1) / 3
    state = {x: z[:N], v: z[N : 2 * N], s: z[2 * N]}
    made = stepped(od.Algorithm(system, kind), state, {h: 0.2, c: 0.7})
    found = np.concatenate([made[x], made[v], np.reshape(made[s], 1)])
    assert found == pytest.approx(by_hand(rate, z, 0.2, KINDS[kind]), rel=1e-10)


def test_a_step_along_momentum_needs_one_solve_with_the_hessian() -> None:
    """v is eliminated by division, and 1 + h c + h^2 H is left."""
    system = od.System({"flow": {x: v, v: -f.grad(x) - c * v}}, output=x)
    update = od.Algorithm(system, "linearly_implicit").program.update_map()
    operator = od.identity * (1 + c * h) + f.hessian(x) * h**2
    assert vanishes(update[v] - od.linear_solve(operator, v - f.grad(x) * h))


def test_on_linear_fields_they_are_backward_euler_and_the_trapezoidal_rule() -> None:
    P = od.blocks("P", kind="symmetric")
    coupled = {x: v - a * x, v: a * x - c * v}
    shifted = {x: c * (v - x), v: a * v - x}
    for fields in (coupled, shifted, {s: a * (c - s)}):
        for kind, peer in (
            ("linearly_implicit", "implicit_euler"), ("linearly_implicit_midpoint", "cayley")
        ):  # fmt: skip
            system = od.System({"flow": fields}, output=next(iter(fields)))
            one = od.Algorithm(system, kind).program.update_map()
            other = od.Algorithm(system, peer).program.update_map()
            assert all(vanishes(one[b] - other[b]) for b in one)
    relax = od.System({"flow": {P: od.identity - P, x: -x}}, output=x, init={P: od.identity})
    made = od.Algorithm(relax, "linearly_implicit").program.update_map()
    assert vanishes(made[P] - (P + od.identity * h) / (1 + h))


def order_of(method, field, exact, numbers, begin):
    """The observed order at a fixed time."""
    errors = []
    for steps in (16, 32, 64):
        at = begin
        for _ in range(steps):
            at = stepped(method, {x: at}, {**numbers, h: 0.5 / steps})[x]
        errors.append(np.linalg.norm(at - exact))
    return np.log2(np.array(errors[:-1]) / errors[1:])


def test_the_orders_are_those_that_the_modified_equations_say() -> None:
    """Rosenbrock-Euler has order 1, the midpoint form 2, and with another operator both have order 1."""
    system = od.System({"flow": {x: F(x)}}, output=x)
    begin = RNG.normal(size=N) / 2
    exact = np.asarray(system.simulate({"F": F_value}, begin, 0.5, rtol=1e-12, atol=1e-13).x[-1])
    other = od.identity * -3
    for kind, operator, order in (
        ("linearly_implicit", None, 1), ("linearly_implicit_midpoint", None, 2),
        ("linearly_implicit", other, 1), ("linearly_implicit_midpoint", other, 1),
    ):  # fmt: skip
        method = od.Algorithm(system, od.scheme(kind, operator=operator))
        assert order_of(method, F_value, exact, {}, begin)[-1] == pytest.approx(order, abs=0.1)
        terms = [t[x] for t in method.modified_equation(order).terms]
        assert vanishes(terms[0] - F(x))
        assert all(vanishes(t) for t in terms[1:order]) and not vanishes(terms[order])
        assert ("W-method of order 1" in str(method.scheme)) == (operator is not None)


def test_the_first_error_is_half_the_derivative_too_much() -> None:
    """The modified field is F + h (share J - DF/2) F + ..., for any operator J."""
    system = od.System({"flow": {x: F(x)}}, output=x)
    exact = jacobian_of(F(x), x)
    for operator in (None, od.identity * -a, od.outer(x, x), f.hessian(x)):
        for kind, share in (("linearly_implicit", 1), ("linearly_implicit_midpoint", sp.S.Half)):
            method = od.Algorithm(system, od.scheme(kind, operator=operator))
            used = exact if operator is None else operator
            wanted = od.apply(used * share - exact / 2, F(x))
            found = method.modified_equation(1).terms[1][x]
            assert vanishes(found - wanted)
            assert vanishes(wanted) or not vanishes(found - wanted * sp.Rational(1001, 1000))


def test_the_midpoint_form_has_order_two_for_fields_that_depend_on_time() -> None:
    t = sp.Symbol("t", positive=True)
    system = od.System({"flow": {x: sp.sin(t) * F(x) + sp.cos(2 * t) * x}}, output=x, time=t)
    method = od.Algorithm(system, "linearly_implicit_midpoint")
    assert vanishes(method.modified_equation(1).terms[1][x])
    late = od.Algorithm(system, od.Scheme([od.Flow((), "linearly_implicit_midpoint")]))
    assert not vanishes(late.modified_equation(1).terms[1][x])


def test_jacobians_of_expressions_are_those_of_their_values() -> None:
    values = {x: RNG.normal(size=N), v: RNG.normal(size=N), s: 0.4, c: 1.3}
    cases = {
        od.hadamard(v, f.grad(x)): lambda p: values[v] * jax.grad(f_value)(p),
        f.grad(f.grad(x) + v): lambda p: jax.grad(f_value)(jax.grad(f_value)(p) + values[v]),
        od.inner(x, f.grad(x)) * v + x / od.inner(x, x): lambda p: (
            p @ jax.grad(f_value)(p) * values[v] + p / (p @ p)
        ),
        f.grad(x, along=[x]): lambda p: jax.hessian(f_value)(p) @ p,
        od.linear_solve(f.hessian(v) + c * od.identity, F(x)): lambda p: jnp.linalg.solve(
            jax.hessian(f_value)(values[v]) + 1.3 * jnp.eye(N), F_value(p)
        ),
    }
    for e, value in cases.items():
        made = jacobian_of(e, x) + od.outer(v, v) * 0
        found = evaluate(made, values, ORACLES, jnp)
        exact = jax.jacobian(value)(jnp.asarray(values[x]))
        assert np.asarray(found) == pytest.approx(np.asarray(exact), rel=1e-8, abs=1e-9)


def test_an_operator_survives_the_exact_data_of_a_method() -> None:
    system = od.System({"flow": {x: F(x)}}, output=x)
    given = od.scheme("linearly_implicit", operator=f.hessian(x) * -2)
    data = exact_algorithm(od.Algorithm(system, given))["scheme"]
    assert scheme_from(data) == given
    plain = exact_algorithm(od.Algorithm(system, "linearly_implicit"))["scheme"]
    assert "operator" not in plain["steps"][0]["by"]


def _riccati():
    P = od.blocks("P", kind="symmetric")
    rate = P - od.apply(P, od.apply(P, P))
    return od.System({"flow": {P: rate, x: -x}}, output=x, init={P: od.identity})


def test_what_has_no_such_step_is_refused_in_a_sentence() -> None:
    flow = od.System({"flow": {x: F(x)}}, output=x)
    both = od.System({"flow": {x: v, v: -f.grad(x)}}, output=x)
    cases = (
        (lambda: od.Algorithm(_riccati(), "linearly_implicit"), "no operator is in front of"),
        (lambda: od.scheme("linearly_implicit", operator=x), "takes an operator, which x is not"),
        (lambda: Integrator("explicit", operator=od.identity), "not in 'explicit'"),
        (lambda: Integrator("linearly_implicit", frozen_oracles=True), "frozen implicit"),
        (
            lambda: od.Algorithm(both, od.scheme("linearly_implicit", operator=od.identity)),
            "moves one vector block, not x and v",
        ),
        (
            lambda: od.Algorithm(flow, od.scheme("linearly_implicit", operator=od.outer(v, v))),
            "uses the vector 'v', which no field moves",
        ),
    )
    for make, sentence in cases:
        with pytest.raises(od.OdescentError, match=sentence) as found:
            make()
        assert str(found.value).count(". ") == 0


DIAGONAL = od.diagonal_operator(od.diagonal(f.hessian(x)))
W_METHOD = od.Algorithm(
    od.System({"flow": {x: -f.grad(x)}}, output=x),
    od.Scheme((od.Flow("flow", Integrator("linearly_implicit", operator=-DIAGONAL)),)),
    step=h, name="w_method",
)  # fmt: skip


def test_the_diagonal_of_a_hessian_makes_a_w_method_in_every_language() -> None:
    at, steps = RNG.normal(size=N), 4
    hvp = lambda p, v: jax.jvp(jax.grad(f_value), (p,), (v,))[1]
    wanted = at
    for _ in range(steps):
        diagonal = np.diag(np.asarray(jax.hessian(f_value)(wanted)))
        wanted = wanted - 0.3 * np.asarray(jax.grad(f_value)(wanted)) / (1 + 0.3 * diagonal)
    run = W_METHOD.bind(h=0.3).run(f_value, at, steps)
    assert run.x[-1] == pytest.approx(wanted, rel=1e-11)
    plain = lambda *given: np.asarray(jax.grad(f_value)(*given))
    module = load(W_METHOD, "numpy")
    found = module.run(plain, lambda p, v: np.asarray(hvp(p, v)), at, steps, 0.3)[-1]
    assert found == pytest.approx(wanted, rel=1e-11)
    for target in ("optax", "torch"):
        assert "_entries(product" in W_METHOD.source(target)


def test_a_w_method_with_a_diagonal_has_order_one_and_its_first_error() -> None:
    g, terms = f.grad(x), W_METHOD.modified_equation(1).terms
    error = od.hadamard(od.diagonal(f.hessian(x)), g) - f.hess(x, g) / 2
    assert terms[0][x] == -g and vanishes(terms[1][x] - error)
    assert not vanishes(terms[1][x] - error * 2)


def test_the_diagonal_of_a_hessian_in_torch() -> None:
    torch = pytest.importorskip("torch")
    start = np.array([1.0, 0.5, -0.3])
    p = torch.tensor(start, requires_grad=True)
    cross = lambda v: torch.stack([v[1], v[0], 0 * v[0]]) / 4
    optimizer = W_METHOD.to_torch(
        [p], lr=1.0, hvp=lambda at, v: [torch.cosh(at[0]) * v[0] + cross(v[0])]
    )
    wanted = start
    for _ in range(3):
        optimizer.zero_grad()
        (torch.cosh(p).sum() + p[0] * p[1] / 4).backward()
        optimizer.step()
        slope = np.sinh(wanted) + np.array([wanted[1], wanted[0], 0]) / 4
        wanted = wanted - slope / (1 + np.cosh(wanted))
    assert p.detach().numpy() == pytest.approx(wanted, rel=1e-12)
