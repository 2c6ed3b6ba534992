"""Functions of several arguments, maps with adjoints, and gradients of scalar expressions."""

import json
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import odescent as od
from odescent.dynamics import taylor, vanishes
from odescent.dynamics.algebra.trees import from_tree, tree
from odescent.dynamics.evaluation.evaluate import evaluate
from odescent.dynamics.grammar.write import to_text

x, y, u, w, lam, nu = od.blocks("x y u w lam nu")
h, t = od.parameters("h t")
f = od.Objective("f", args=("x", "y"))
g, c = od.Objective("g"), od.Map("c")
RNG = np.random.default_rng(1)
A, B = RNG.normal(size=(2, 4)), RNG.normal(size=(3, 2))
X, Y, U, W = RNG.normal(size=4), RNG.normal(size=3), RNG.normal(size=4), RNG.normal(size=3)
LAM = RNG.normal(size=2)


def energy(p: Any, q: Any) -> Any:
    """A function of a vector of 4 and one of 3 numbers that is no sum of one of each."""
    return jnp.sum(jnp.sin(jnp.outer(p, q))) + jnp.sum(p**4) / 4 + jnp.exp(jnp.sum(q)) / 9


def bend(p: Any) -> Any:
    return jnp.tanh(A @ p) + jnp.sum(p**2) * jnp.array([0.3, -0.2])


F, C = od.Objective("F", energy, args=("p", "q")), od.Map("C", bend)
G = od.Objective("G", lambda p: jnp.sum(p**4) / 4 + jnp.sum((p - 1) ** 2) / 2)
VALUES: dict[Any, Any] = {x: X, y: Y, u: U, w: W, lam: LAM, nu: LAM[::-1].copy()}
NUMERIC = {
    "value_f": energy,
    "grad_f_x": jax.grad(energy, 0),
    "grad_f_y": jax.grad(energy, 1),
    "map_c": bend,
    "vjp_c": C.vjp,
    "value_g": G.value,
    "grad_g": G.grad,
}


def number(e: Any, more: Any = None) -> Any:
    """The expression in numbers."""
    return np.asarray(evaluate(e, {**VALUES, **(more or {})}, NUMERIC, jnp))


def test_partial_gradients_are_those_of_jax() -> None:
    assert number(f.grad(x, y, wrt="y")) == pytest.approx(jax.grad(energy, 1)(X, Y))
    assert f.grad(x, y, wrt=1) == f.grad(x, y, wrt="y") != f.grad(x, y, wrt="x")
    assert F.grad(X, Y, wrt="q") == pytest.approx(number(f.grad(x, y, wrt="y")))
    at_x = f.grad(x, x, wrt="y")
    assert str(at_x) == "grad_y f(x, x)"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"x": u}, {"y": w}),
        ({"y": w}, {"x": u}),
        ({"x": u, "y": w}, {"x": u}),
        ({"y": w}, {"y": w}),
    ],
)
def test_second_derivatives_are_symmetric_and_those_of_jax(one: Any, other: Any) -> None:
    """D^2 f[a, b] by one partial gradient along the other, whichever comes first."""

    def second(a: Any, b: Any) -> Any:
        return sum(od.inner(f.grad(x, y, wrt=s, along=[b]), v) for s, v in a.items())

    assert second(one, other) == second(other, one)
    move = lambda d: (VALUES[d["x"]] if "x" in d else 0 * X, VALUES[d["y"]] if "y" in d else 0 * Y)
    slope = lambda p, q: jax.jvp(energy, (p, q), move(one))[1]
    assert number(second(one, other)) == pytest.approx(jax.jvp(slope, (X, Y), move(other))[1])


def test_derivatives_along_a_system_are_taken_in_every_argument() -> None:
    flow = od.System(
        {"x": {x: -f.grad(x, y, wrt="x")}, "y": {y: -f.grad(x, y, wrt="y") * 2}}, output=x
    )
    e = flow.derivative(f.value(x, y))
    gx, gy = (f.grad(x, y, wrt=n) for n in "xy")
    assert vanishes(e + od.inner(gx, gx) + 2 * od.inner(gy, gy))
    assert number(e) == pytest.approx(-(number(gx) @ number(gx)) - 2 * number(gy) @ number(gy))


def test_taylor_in_both_arguments_is_that_of_the_function() -> None:
    series = taylor(f.value(x + t * u, y + t * t * w), t, 4)
    along = lambda s: energy(X + s * U, Y + s * s * W)
    for k, term in enumerate(series):
        exact = along
        for _ in range(k):
            exact = jax.grad(exact)
        assert number(term) * sp.factorial(k) == pytest.approx(float(exact(0.0)), rel=1e-10)


def test_taylor_of_a_partial_gradient_is_its_own() -> None:
    series = taylor(f.grad(x + t * u, y + t * w, wrt="y"), t, 3)
    along = lambda s: jax.grad(energy, 1)(X + s * U, Y + s * W)
    for k, term in enumerate(series):
        exact: Callable[..., Any] = along
        for _ in range(k):
            exact = jax.jacfwd(exact)
        assert number(term) * float(sp.factorial(k)) == pytest.approx(np.asarray(exact(0.0)))


def test_the_adjoint_of_a_map_is_equal_and_not_only_close() -> None:
    assert od.inner(c.jvp(x, u), lam) == od.inner(c.vjp(x, lam), u)
    assert number(c.vjp(x, lam)) == pytest.approx(C.vjp(X, LAM))
    assert number(c.jvp(x, u)) == pytest.approx(C.jvp(X, U))
    assert C.vjp(X, LAM) @ U == pytest.approx(LAM @ C.jvp(X, U))
    # nearly the same is not: a weight, the other covector, another direction
    for wrong in (
        od.inner(c.vjp(x, lam), u) * 2,
        od.inner(c.vjp(x, nu), u),
        od.inner(c.vjp(x, lam), x),
    ):
        assert not vanishes(od.inner(c.jvp(x, u), lam) - wrong)


def test_the_derivative_of_an_adjoint_is_symmetric() -> None:
    """<D^2 c[u, v], lam> whichever of the three is taken to the other side."""
    v = od.blocks("v")
    rate = od.dynamics.derivative(c.vjp(x, lam), {x: u, lam: nu})
    second = od.dynamics.derivative(od.inner(c.jvp(x, v), lam), {x: u, lam: nu})
    assert vanishes(od.inner(rate, v) - second)
    numbers = jax.jvp(C.vjp, (X, LAM), (U, VALUES[nu]))[1]
    assert number(rate) == pytest.approx(numbers)


SCALARS = {
    "a Lagrangian": lambda: g.value(x) + od.inner(lam, c(x)),
    "a penalty": lambda: g.value(x) + od.inner(c(x), c(x)) / 2,
    "a pairing": lambda: od.inner(lam, c(x)),
    "the norm of a Lagrangian's gradient": lambda: (
        lambda e: od.inner(e, e) / 2 + od.inner(c(x), c(x)) ** 2
    )(od.gradient(g.value(x) + od.inner(lam, c(x)), x)),
    "a function of several": lambda: f.value(x, y) * od.inner(x, x) + sp.sqrt(1 + od.inner(y, y)),
    "mixed derivatives": lambda: od.inner(f.grad(x, y, wrt="y"), f.grad(x, y, wrt="y")) / 2,
    "a derivative along itself": lambda: od.inner(g.hess(x, g.grad(x)), od.hadamard(x, u)),
    "element by element": lambda: od.inner(od.elementwise(lambda a: sp.tanh(a) ** 2, x), u),
    "at a gradient step": lambda: g.value(x - h * g.grad(x)),
    "an outer product": lambda: od.inner(od.apply(od.outer(x, u), x), u),
}


@pytest.mark.parametrize("name", SCALARS)
def test_gradients_are_those_of_automatic_differentiation(name: str) -> None:
    e = SCALARS[name]()
    for block in (x, y, lam):
        if block not in e.free_symbols | od.gradient(e, block).free_symbols:
            continue
        found = np.broadcast_to(number(od.gradient(e, block), {h: 0.1}), VALUES[block].shape)
        loss = lambda p, block=block: evaluate(e, {**VALUES, h: 0.1, block: p}, NUMERIC, jnp)
        assert found == pytest.approx(np.asarray(jax.grad(loss)(VALUES[block])), rel=1e-9, abs=1e-9)


def test_gradients_of_the_augmented_lagrangian_have_the_hessian_of_the_lagrangian() -> None:
    """Facts N2: with the objective's Hessian instead it is no gradient."""
    a, b = od.parameters("a b")
    lagrangian = g.value(x) + od.inner(lam, c(x))
    slope = od.gradient(lagrangian, x)
    whole = lagrangian + a * od.inner(c(x), c(x)) / 2 + b * od.inner(slope, slope) / 2
    right = slope + b * od.dynamics.derivative(slope, {x: slope}) + a * c.vjp(x, c(x))
    assert vanishes(od.gradient(whole, x) - right)
    assert vanishes(od.gradient(whole, lam) - c(x) - b * c.jvp(x, slope))
    wrong = slope + b * g.hess(x, slope) + a * c.vjp(x, c(x))
    assert not vanishes(od.gradient(whole, x) - wrong)


def test_the_power_of_a_saddle_flow_balances() -> None:
    """Ports: what the constraint's adjoint takes from x is what the map gives to the multiplier."""
    lagrangian = g.value(x) + od.inner(lam, c(x)) + od.inner(nu, od.Map("d")(x))
    flow = od.System(
        {
            "primal": {x: -od.gradient(lagrangian, x)},
            "dual": {lam: c(x), nu: od.Map("d")(x)},
        },
        output=x,
    )
    balance = flow.derivative(g.value(x)) + od.inner(flow.drift[x], flow.drift[x])
    exchanged = sum(od.inner(flow.drift[x], m.vjp(x, s)) for m, s in ((c, lam), (od.Map("d"), nu)))
    assert vanishes(balance + exchanged)


def test_the_newton_flow_of_a_lagrangian_keeps_what_it_should() -> None:
    """Along x' = u with c.jvp(x, u) = -c(x) the constraint decays: c' = -c in the calculus."""
    flow = od.System({"x": {x: u}}, output=x, blocks=[od.Block("u")])
    assert flow.derivative(c(x)) == c.jvp(x, u)


SADDLE = od.System(
    {"primal": {x: -g.grad(x) - c.vjp(x, lam)}, "dual": {lam: c(x)}}, output=x, name="saddle"
)
COUPLED = od.System(
    {"x": {x: -f.grad(x, y, wrt="x")}, "y": {y: -f.grad(x, y, wrt="y")}}, output=x, name="coupled"
)


def test_a_flow_takes_several_functions_and_starts_of_several_shapes() -> None:
    done = SADDLE.simulate({"g": G, "c": C}, {x: X, lam: np.zeros(2)}, 0.5, points=3)
    import scipy.integrate as si

    def rates(_: float, z: Any) -> Any:
        return np.concatenate([-G.grad(z[:4]) - C.vjp(z[:4], z[4:]), C(z[:4])])

    there = si.solve_ivp(rates, (0, 0.5), np.concatenate([X, [0, 0]]), rtol=1e-10, atol=1e-12)
    assert done.x[-1] == pytest.approx(there.y[:4, -1], abs=1e-7)
    assert done.states["lam"][-1] == pytest.approx(there.y[4:, -1], abs=1e-7)


@pytest.mark.parametrize("target", ["numpy", "jax"])
def test_emitted_steps_are_the_textbook_ones(target: str) -> None:
    """Arrow, Hurwicz and Uzawa's method, sequentially; and descent in two arguments at once."""
    from odescent.discretize.emit import load

    scheme = od.scheme("semi_implicit_euler", order=("x", "lam"))
    module = load(od.Algorithm(SADDLE, scheme, step=h), target)
    state, table = module.init(X, np.zeros(2)), module.coefficients(0.1)
    of = np.asarray if target == "numpy" else jnp.asarray
    pull, slope, value = (lambda *p, m=m: of(m(*p)) for m in (C.vjp, G.grad, C))
    a, b = X, np.zeros(2)
    for _ in range(5):
        state = module.step(state, vjp_c=pull, grad=slope, map_c=value, c=table)
        a = a - 0.1 * (G.grad(a) + C.vjp(a, b))
        b = b + 0.1 * C(a)
    assert np.asarray(state.x) == pytest.approx(np.asarray(a), abs=1e-13)
    assert np.asarray(state.lam) == pytest.approx(np.asarray(b), abs=1e-13)


def test_runs_take_several_functions_and_starts_of_several_shapes() -> None:
    method = od.Algorithm(COUPLED, "explicit_euler", step=h)
    done = method.run({"f": energy}, {x: X, y: Y}, 4, h=0.05)
    a, b = X, Y
    for _ in range(4):
        a, b = a - 0.05 * jax.grad(energy, 0)(a, b), b - 0.05 * jax.grad(energy, 1)(a, b)
    assert done.x[-1] == pytest.approx(np.asarray(a)) and done.states["y"][-1] == pytest.approx(
        np.asarray(b)
    )
    assert method.run(F, {x: X, y: Y}, 4, h=0.05).x == pytest.approx(done.x)


def test_the_modified_equation_of_a_step_in_two_arguments() -> None:
    """Explicit Euler's first correction is half the derivative of the field along itself."""
    method = od.Algorithm(COUPLED, "explicit_euler", step=h)
    found = method.modified_equation(1)
    field = {x: COUPLED.drift[x], y: COUPLED.drift[y]}
    for s, e in field.items():
        exact = e - od.dynamics.derivative(e, field) * h / 2
        drift = found.drift if hasattr(found, "drift") else found.system.drift
        assert vanishes(drift[s] - exact)


@pytest.mark.parametrize(
    "e",
    [
        f.value(x, y),
        f.grad(x, x + y, wrt="y", along=[{"x": u, "y": w}]),
        c.vjp(x, lam),
        od.dynamics.derivative(c.vjp(x, lam), {x: u}),
    ],
)
def test_trees_hold_them(e: Any) -> None:
    assert from_tree(tree(e)) == e


def test_they_are_printed_in_the_notation_of_the_field() -> None:
    from odescent.dynamics.notation.show import latex
    from odescent.dynamics.notation.unicode import pretty

    mixed = f.grad(x, y, wrt="x", along=[{"y": w}])
    assert str(mixed) == "grad_x f(x, y)[y: w]" and pretty(str(mixed)) == "∇_x f(x, y)[y: w]"
    assert latex(mixed) == r"\nabla^2_{x y} f(x, y)\,w"
    pulled = od.dynamics.derivative(c.vjp(x, lam), {x: u})
    assert str(c.vjp(x, lam)) == "D c(x)^T lam" and pretty("D c(x)^T lam") == "Dc(x)ᵀ λ"
    assert str(pulled) == "D2 c(x)[u]^T lam" and latex(pulled) == r"D^2 c(x)[u]^{\top}\lambda"


@pytest.mark.parametrize("system", [COUPLED, SADDLE], ids=str)
def test_derivations_replay_and_another_argument_is_noticed(system: od.System) -> None:
    """The document without this package's algebra: exponentials of random forms stand for the functions."""
    from odescent import replay

    document = od.Algorithm(system, "explicit_euler", step=h).derivation().to_dict()
    arithmetic = replay.Arithmetic(document, 1)
    exact = document["algorithm"]["exact"]
    for step in document["steps"]:
        assert all(arithmetic.step(step, exact).values())
    swaps = {'"y"], "x"]': '"y"], "y"]'} if system is COUPLED else {'"vjp", "c"': '"vjp", "g"'}
    for old, new in swaps.items():
        forged = json.loads(json.dumps(document["steps"][0]["claims"]).replace(old, new, 1))
        step = {**document["steps"][0], "claims": forged}
        assert forged != document["steps"][0]["claims"]
        assert not all(arithmetic.step(step, exact).values())


MISTAKES = {
    "no argument named": (lambda: f.grad(x, y), "say in which"),
    "an argument that is not there": (lambda: f.grad(x, y, wrt="z"), "'z'.*known: x, y|did you mean"),
    "too few arguments": (lambda: f.value(x), "takes 2 arguments"),
    "a direction that is no mapping": (lambda: f.grad(x, y, wrt="x", along=[u]), "mapping of x or y"),
    "the wrong slot": (lambda: f.grad(x, y, wrt="x", along=[{"z": u}]), "'z'"),
    "a Hessian of several": (lambda: f.hess(x, u), "along="),
    "wrt for one": (lambda: g.grad(x, wrt="x"), "one argument"),
    "one argument named": (lambda: od.Objective("q", args=("x",)), "several arguments"),
    "a gradient of a vector": (lambda: od.gradient(x, x), "scalar expression"),
    "a gradient by a number": (lambda: od.gradient(g.value(x), 3), "block"),
    "a function left out": (lambda: SADDLE.simulate({"g": G}, X, 1.0), "calls c too"),
    "a function too many": (lambda: SADDLE.simulate({"g": G, "c": C, "q": G}, X, 1.0), "'q'"),
    "one for several": (lambda: COUPLED.simulate(G, X, 1.0), "f is called with the arguments x, y"),
    "a shape that nothing gives": (
        lambda: COUPLED.simulate({"f": F}, {x: X}, 1.0), "shape of y"
    ),
    "a start of no block": (lambda: COUPLED.simulate({"f": F}, {w: X}, 1.0), "block to start"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_answered_in_a_sentence(name: str) -> None:
    call, part = MISTAKES[name]
    with pytest.raises(od.OdescentError, match=part) as refused:
        call()
    assert str(refused.value).count("\n") == 0


TEXT = """system leader
blocks x, y, lam
parameters a > 0
objective f(x, y)
objective g
map c
map d(p, q)
field descent: x' = -grad_x f(x, y) - a*grad_x f(x, y)[y: grad_y f(x, y)] - adjoint c(x)[lam],
    y' = -grad_y f(x, x + y)[x: x, y: y] - adjoint_q d(x, y)[lam, p: x] - f(x, y)*y
field dual: lam' = c(x) + D d(x, y)[p: grad g(x)] + d(x, y)
output x
"""


def test_the_text_form_reads_and_writes_them() -> None:
    read = od.parse_system(TEXT)
    d = od.Map("d", args=("p", "q"))
    a = od.parameters("a")
    assert vanishes(read.drift[lam] - c(x) - d.jvp(x, y, along={"p": g.grad(x)}) - d(x, y))
    mixed = f.grad(x, y, wrt="x", along=[{"y": f.grad(x, y, wrt="y")}])
    assert vanishes(read.drift[x] + f.grad(x, y, wrt="x") + a * mixed + c.vjp(x, lam))
    again = od.parse_system(to_text(read))
    assert again.drift == read.drift and to_text(again) == to_text(read)


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("x' = grad f(x, y)", r"grad_y f\(\.\.\.\)|expected|,"),
        ("x' = grad_z f(x, y)", "names no argument of f"),
        ("x' = grad_x g(x)", "one argument"),
        ("x' = grad_x f(x)", "2 arguments"),
        ("x' = grad_x f(x, y)[u: y]", "x, y and a colon"),
        ("x' = adjoint g(x)[lam]", "does not go with the objective"),
        ("x' = grad_x f(x, y)[y]", "colon"),
        ("x' = f(x)*x", "2 arguments"),
    ],
)
def test_mistakes_in_the_text_are_answered_in_a_sentence(line: str, part: str) -> None:
    with pytest.raises(od.OdescentError, match=part):
        od.parse_system(
            f"blocks x, y, lam\nobjective f(x, y)\nobjective g\nfield a: {line}\noutput x"
        )


def test_what_is_known_of_one_argument_is_not_said_of_several() -> None:
    """No rate, no state space, no registered method, no equality with the gradient at one point."""
    method = od.Algorithm(COUPLED, "explicit_euler", step=h)
    with pytest.raises(od.OdescentError, match="f is a function of x and y"):
        method.state_space()
    with pytest.raises(od.OdescentError, match="f is a function of x and y"):
        od.analysis.certify(method, 1, 10)
    assert od.recognize(method).verdict == "different"
    both = od.System({"x": {x: -f.grad(x, x, wrt="x")}}, output=x)
    same = od.Algorithm(both, "explicit_euler", step=h)
    assert od.recognize(same).verdict == "different"
    assert same.equivalent(od.algorithm("gradient_descent")).verdict != "proved"
    other = od.System({"all": {x: COUPLED.drift[x], y: COUPLED.drift[y]}}, output=x)
    assert method.equivalent(od.Algorithm(other, "explicit_euler", step=h)).verdict == "proved"
    swapped = od.System({"all": {x: COUPLED.drift[x], y: -f.grad(x, y, wrt="x")}}, output=x)
    assert method.equivalent(od.Algorithm(swapped, "explicit_euler", step=h)).verdict != "proved"


def test_a_singularity_of_a_binding_is_removed() -> None:
    """tau = h e^(-h/T)/(1 - e^(-h/T)) is T at h = 0, in the limit and in the coefficients of the step."""
    from odescent.discretize.emit import load

    d, T, tau = od.blocks("d"), *od.parameters("T tau")
    flow = od.System(
        {"filter": {d: (g.grad(x - tau * d) - d) / T}, "move": {x: -d}}, output=x, name="ahead"
    )
    frozen = od.Flow("filter", od.Integrator("exact", frozen_oracles=True))
    scheme = od.Scheme((frozen, od.Flow("move", "explicit")))
    size = h * sp.exp(-h / T) / (1 - sp.exp(-h / T))
    method = od.Algorithm(flow, scheme, step=h, where={tau: size})
    assert vanishes(method.consistent_with().drift[d] - flow.bind({tau: T}).drift[d])
    module = load(method, "numpy")
    for step in (0.0, 1e-12, 1e-3, 0.5):
        exact = sp.N(sp.limit(size.subs(T, 2), h, sp.nsimplify(step)), 30)
        assert module.coefficients(step, 2.0).c_d == pytest.approx(float(exact), rel=1e-14)
    with pytest.raises(od.OdescentError, match="no expansion at h = 0"):
        od.Algorithm(flow, scheme, step=h, where={tau: 1 / h})


def test_a_normalized_look_ahead_is_emitted() -> None:
    d, T, tau = od.blocks("d"), *od.parameters("T tau")
    unit = d / sp.sqrt(od.inner(d, d))
    flow = od.System(
        {"filter": {d: (g.grad(x - tau * unit) - d) / T}, "move": {x: -unit}}, output=x
    )
    frozen = od.Flow("filter", od.Integrator("exact", frozen_oracles=True))
    method = od.Algorithm(flow, od.Scheme((frozen, od.Flow("move", "explicit"))), step=h)
    for target in ("numpy", "jax", "optax", "torch", "latex"):
        compile(method.source(target), target, "exec") if target != "latex" else method.source(
            target
        )


def test_an_adjoint_of_ones_own_belongs_to_an_argument() -> None:
    def product(p: Any, q: Any) -> Any:
        return p * q

    def own(p: Any, q: Any, out: Any) -> Any:
        return q * out

    m = od.Map("m", product, args=("p", "q"), vjp={"p": own})
    p, q, out = jnp.array([1.0, 2.0]), jnp.array([3.0, 5.0]), jnp.array([1.0, -1.0])
    assert m.oracles["vjp_p"] is own
    assert m.vjp(p, q, out, wrt="p") == pytest.approx(q * out)
    assert m.vjp(p, q, out, wrt="q") == pytest.approx(p * out)
    with pytest.raises(od.OdescentError, match="a mapping of their names"):
        od.Map("m", product, args=("p", "q"), vjp=own)
    with pytest.raises(od.OdescentError, match="argument of m called 'r'"):
        od.Map("m", product, args=("p", "q"), vjp={"r": own})
    assert od.Map("one", jnp.sin, vjp=own).oracles["vjp"] is own


def test_shapes_that_do_not_compose_are_named_by_block() -> None:
    x, lam = od.blocks("x lam")
    lagrangian = od.Objective("g").value(x) + od.inner(lam, od.Map("c")(x))
    fields = {"p": {x: -od.gradient(lagrangian, x)}, "d": {lam: od.gradient(lagrangian, lam)}}
    system = od.System(fields, output=x)
    method = od.Algorithm(system, "explicit_euler").bind(h=0.1)
    functions = {"g": lambda z: jnp.sum(z**2), "c": lambda z: z[:2]}
    wrong = {x: np.ones(3), lam: np.ones(5)}
    for run in (
        lambda s: system.simulate(functions, s, 1.0),
        lambda s: method.run(functions, s, 3),
    ):
        said = r"value has the shape \(2,\), and what its adjoint acts on \(5,\).*x \(3,\) and lam \(5,\)"
        with pytest.raises(od.OdescentError, match=said):
            run(wrong)
        with pytest.raises(od.OdescentError, match=r"acts on \(3,\)"):
            run(np.ones(3))
