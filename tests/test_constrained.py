"""Flows with constraints: power balances, KKT Newton flow, operators by blocks against matrices."""

import random

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import sympy as sp

import odescent as od
from odescent.discretize.emit import load
from odescent.dynamics import derivative, vanishes
from odescent.dynamics.algebra.trees import from_tree, tree
from odescent.dynamics.evaluation.evaluate import evaluate
from odescent.dynamics.grammar.write import to_text

x, lam, u, v, w = od.blocks("x lam u v w")
A, B, C, D = od.blocks("A B C D", kind="matrix")
f, c = od.Objective("f"), od.Map("c")
SIZES = {"x": 3, "y": 2, "z": 4}
FUNCTIONS = {
    "f": lambda x: jnp.sum(jnp.cosh(x - jnp.arange(3.0))),
    "c": lambda x: jnp.stack([jnp.sum(x**2) - 1.0, x[0] - x[1] * x[2]]),
}
START = {x: np.array([0.5, 0.3, 0.9]), lam: np.array([0.1, -0.2])}


def squared(e):
    return od.inner(e, e)


def test_the_multiplier_exchanges_power_without_loss():
    """Half the squared speed falls by the curvature of the Lagrangian alone; the terms of the constraint cancel."""
    flow = od.system("lagrangian_flow").drift
    speed = (squared(flow[x]) + squared(flow[lam])) / 2
    lagrangian = f.value(x) + od.inner(lam, c(x))
    curved = derivative(od.gradient(lagrangian, x), {x: flow[x]})
    balance = derivative(speed, flow) + od.inner(flow[x], curved)
    assert vanishes(balance)
    for wrong in (sp.Rational(8, 7), -1):
        assert not vanishes(derivative(speed, flow) + wrong * od.inner(flow[x], curved))
    assert not vanishes(derivative(speed, {**flow, lam: -flow[lam]}) + od.inner(flow[x], curved))


def test_the_conditions_decay_along_the_flow_of_kkt_newton():
    flow = od.system("kkt_newton_flow").drift
    lagrangian = f.value(x) + od.inner(lam, c(x))
    for part in (c(x), od.gradient(lagrangian, x)):
        assert vanishes(derivative(part, flow) + part)
        assert not vanishes(derivative(part, flow) + part * sp.Rational(7, 8))
    half = {s: e / 2 for s, e in flow.items()}
    assert not vanishes(derivative(c(x), half) + c(x))


def test_the_constraint_decays_in_numbers():
    run = od.system("kkt_newton_flow").simulate(FUNCTIONS, START, 3.0)
    np.testing.assert_allclose(
        FUNCTIONS["c"](run.x[-1]), np.exp(-3.0) * FUNCTIONS["c"](START[x]), rtol=1e-6
    )


def test_the_saddle_flow_reaches_a_point_of_karush_kuhn_and_tucker():
    run = od.system("lagrangian_flow").simulate(FUNCTIONS, START, 60.0)
    end = run.x[-1]
    assert np.abs(FUNCTIONS["c"](end)).max() < 1e-5
    normal = jax.jacobian(FUNCTIONS["c"])(end).T
    slope = jax.grad(FUNCTIONS["f"])(end)
    assert np.linalg.norm(slope - normal @ np.linalg.lstsq(normal, slope, rcond=None)[0]) < 1e-5


def operator_and_matrix(draw, names):
    """A random operator by blocks, its matrix, and values of its symbols."""
    rng = np.random.default_rng(draw.randrange(10**6))
    entries, values, rows = {}, {}, []
    for r in names:
        row = []
        for k in names:
            n, m = SIZES[r], SIZES[k]
            kind = draw.choice(["zero", "matrix", "product", "outer"]) if r != k else "matrix"
            block = np.zeros((n, m))
            if kind == "matrix":
                name = od.blocks(f"M_{r}{k}", kind="matrix")
                values[name] = block = rng.normal(size=(n, m))
                entries[r, k] = name
            elif kind == "product":
                one, two = od.blocks(f"P_{r}{k} Q_{r}{k}", kind="matrix")
                values[one], values[two] = rng.normal(size=(5, n)), rng.normal(size=(5, m))
                entries[r, k] = od.apply(od.transpose(one), two)
                block = values[one].T @ values[two]
            elif kind == "outer":
                one, two = od.blocks(f"p_{r}{k} q_{r}{k}")
                values[one], values[two] = rng.normal(size=n), rng.normal(size=m)
                entries[r, k] = od.outer(one, two)
                block = np.outer(values[one], values[two])
            row.append(block)
        rows.append(row)
    return od.block_operator(entries), np.block(rows), values


@pytest.mark.parametrize("seed", range(12))
def test_an_operator_by_blocks_is_its_matrix(seed):
    draw = random.Random(seed)
    names = draw.sample(sorted(SIZES), draw.choice((2, 3)))
    operator, matrix, values = operator_and_matrix(draw, names)
    rng = np.random.default_rng(seed)
    right = {n: od.blocks(f"b_{n}") for n in names}
    values |= {b: rng.normal(size=SIZES[n]) for n, b in right.items()}
    b = od.stack(right)
    flat = np.concatenate([values[right[n]] for n in names])
    ends = np.cumsum([SIZES[n] for n in names])[:-1]

    def parts(e):
        return [evaluate(od.part(e, n), values, {}, np) for n in names]

    for e, expected in (
        (od.apply(operator, b), matrix @ flat),
        (od.apply(od.transpose(operator), b), matrix.T @ flat),
        (od.apply(operator, od.apply(operator, b)), matrix @ matrix @ flat),
        (od.linear_solve(operator, b), np.linalg.solve(matrix, flat)),
        (od.linear_solve(od.transpose(operator), b), np.linalg.solve(matrix.T, flat)),
        (od.linear_solve(od.identity * 3 + operator, b), np.linalg.solve(3 * np.eye(len(flat)) + matrix, flat)),
    ):  # fmt: skip
        for found, wanted in zip(parts(e), np.split(expected, ends), strict=True):
            np.testing.assert_allclose(found + np.zeros_like(wanted), wanted, rtol=1e-7, atol=1e-9)
    solved = od.linear_solve(operator, b)
    assert vanishes(od.apply(operator, solved) - b)
    assert vanishes(od.linear_solve(operator, od.apply(operator, b)) - b)
    assert not vanishes(od.apply(operator, solved) - b * sp.Rational(8, 7))
    for n in names:
        assert from_tree(tree(od.part(solved, n))) == od.part(solved, n)


def test_the_derivative_of_a_solve_by_blocks_is_that_of_the_matrix():
    operator = od.block_operator({("x", "x"): A, ("x", "y"): B, ("y", "x"): C, ("y", "y"): D})
    rng = np.random.default_rng(0)
    values = {
        s: rng.normal(size=n) for s, n in {A: (3, 3), B: (3, 2), C: (2, 3), D: (2, 2)}.items()
    }
    values |= {u: rng.normal(size=3), v: rng.normal(size=2), w: rng.normal(size=(2, 3))}
    e = od.part(od.linear_solve(operator, od.stack({"x": u, "y": v})), "y")
    W = od.blocks("W", kind="matrix")
    found = evaluate(derivative(e, {C: W}), {**values, W: values[w]}, {}, np)

    def of(t):
        rows = [[values[A], values[B]], [values[C] + t * values[w], values[D]]]
        return np.linalg.solve(np.block(rows), np.append(values[u], values[v]))[3:]

    np.testing.assert_allclose(found, (of(1e-6) - of(-1e-6)) / 2e-6, rtol=1e-5)


def test_the_jacobian_of_two_blocks_is_that_of_the_function():
    y = od.blocks("y")
    g = od.Objective("g", args=("x", "y"))
    rates = {
        x: -g.grad(x, y, wrt="x") - od.hadamard(y, x),
        y: g.grad(x, y, wrt="y") + od.apply(A, x),
    }
    rng = np.random.default_rng(1)
    values = {x: rng.normal(size=3), y: rng.normal(size=3), A: rng.normal(size=(3, 3))}
    values |= {u: rng.normal(size=3), v: rng.normal(size=3)}
    functions = {"g": lambda x, y: jnp.sum(jnp.sin(x * y) + x**2 * y[::-1])}
    moved = od.apply(od.jacobian(rates), od.stack({x: u, y: v}))
    oracles = {
        o.name: jax.grad(functions["g"], ("x", "y").index(o.slot))
        for e in rates.values()
        for o in e_oracles(e)
    }
    for s, e in rates.items():
        expected = evaluate(derivative(e, {x: u, y: v}), values, oracles, jnp)
        np.testing.assert_allclose(
            evaluate(od.part(moved, s), values, oracles, jnp), expected, rtol=1e-9
        )
    assert vanishes(od.part(moved, x) - derivative(rates[x], {x: u, y: v}))


def e_oracles(e):
    return {c.oracle for c in e.calls()}


def test_inner_products_of_stacks_are_sums_over_the_parts():
    one, other = od.stack({"x": u, "y": v}), od.stack({"x": w, "z": v})
    assert od.inner(one, other) == od.inner(u, w)
    assert vanishes(od.inner(one, one) - squared(u) - squared(v))


@pytest.mark.parametrize("name", ["lagrangian_flow", "kkt_newton_flow"])
def test_the_text_form_is_read_back(name):
    system = od.system(name)
    again = od.parse_system(to_text(system))
    assert all(vanishes(again.drift[s] - e) for s, e in system.drift.items())


def test_a_solve_with_matrices_by_blocks_is_emitted():
    operator = od.block_operator({("x", "x"): A, ("x", "y"): B, ("y", "x"): od.transpose(B)})
    step = od.linear_solve(operator, od.stack({x: f.grad(x), "y": u}))
    fields = {x: -od.part(step, x), u: -od.part(step, "y"), A: -A, B: -B}
    made = od.Algorithm(od.System({"all": fields}, output=x), "explicit_euler")
    rng = np.random.default_rng(3)
    begin = [rng.standard_normal(shape) for shape in (3, 2, (3, 3), (3, 2))]
    run = made.run(FUNCTIONS["f"], dict(zip((x, u, A, B), begin, strict=True)), 3, h=0.25)
    for k in range(3):
        here, slope, a, b = begin[0], begin[1], begin[2] * 0.75**k, begin[3] * 0.75**k
        matrix = np.block([[a, b], [b.T, np.zeros((2, 2))]])
        given = np.concatenate([jax.grad(FUNCTIONS["f"])(here), slope])
        moved = 0.25 * np.linalg.solve(matrix, given)
        begin[0], begin[1] = here - moved[:3], slope - moved[3:]
        np.testing.assert_allclose(run.x[k + 1], begin[0], rtol=1e-8)


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: od.linear_solve(od.block_operator({("x", "y"): A}), u), "rows of this one are x, its columns y"),
        (lambda: od.block_operator({("x", "y"): u}), "takes an operator"),
        (lambda: od.block_operator({"x": A}), r"by \(row, column\)"),
        (lambda: od.stack({"x": A}), "the part x is A"),
        (lambda: od.part(u, 3), "must be a word or a block, not 3"),
    ],
)  # fmt: skip
def test_wrong_blocks_get_a_sentence(build, sentence):
    with pytest.raises(od.OdescentError, match=sentence):
        build()


def scalar_trees(draw, count):
    """Cuts of one random tree of forms: the same scalar, written as several inner products."""
    names = {"x": x, "u": u, "v": v, "w": w}

    def vector(depth, space):
        leaf = {"x": (u, v, w), "y": (lam, *od.blocks("nu xi"))}[space]
        if not depth or draw.random() < 0.3:
            return draw.choice(leaf)
        below = vector(depth - 1, "x")
        if space == "y":
            return c.jvp(names["x"], below)
        kind = draw.choice(("hessian", "adjoint"))
        return f.hess(x, below) if kind == "hessian" else c.vjp(x, vector(depth - 1, "y"))

    inside = vector(3, "x")
    return [
        (c.jvp(x, inside), lam), (inside, c.vjp(x, lam)), (f.hess(x, inside), c.vjp(x, lam)),
        (inside, f.hess(x, c.vjp(x, lam))), (c.jvp(x, f.hess(x, inside)), lam),
    ][:count]  # fmt: skip


@pytest.mark.parametrize("seed", range(30))
def test_inner_products_of_nested_adjoints_are_equal_however_they_are_cut(seed):
    first, second, third, fourth, fifth = (
        od.inner(*pair) for pair in scalar_trees(random.Random(seed), 5)
    )
    assert first == second and third == fourth == fifth
    assert od.inner(*reversed(scalar_trees(random.Random(seed), 5)[2])) == third
    assert not vanishes(first - third)
    values = {u: [0.3, -1.0, 0.5], v: [1.0, 0.2, 0.4], w: [-0.7, 0.1, 0.9], x: [0.2, 0.6, -0.3]}
    values |= {
        lam: [0.4, -1.2],
        **dict(zip(od.blocks("nu xi"), ([1.0, 0.5], [-0.3, 0.8]), strict=True)),
    }
    values = {s: np.array(e) for s, e in values.items()}
    hess, jac = jax.hessian(FUNCTIONS["f"])(values[x]), jax.jacobian(FUNCTIONS["c"])(values[x])
    oracles = {
        "grad": jax.grad(FUNCTIONS["f"]), "hess": lambda at, d: hess @ d, "map": FUNCTIONS["c"],
        "map_c": FUNCTIONS["c"], "vjp": lambda at, y: jac.T @ y, "vjp_c": lambda at, y: jac.T @ y,
    }  # fmt: skip
    inside, adjoint = scalar_trees(random.Random(seed), 5)[1]
    plain = np.vdot(evaluate(inside, values, oracles, jnp), evaluate(adjoint, values, oracles, jnp))
    np.testing.assert_allclose(float(evaluate(first, values, oracles, jnp)), plain, rtol=1e-10)


def newton_by_hand(h, steps):
    """Explicit Euler of KKT Newton flow with dense matrices."""
    conditions = jax.grad(lambda z: FUNCTIONS["f"](z[:3]) + z[3:] @ FUNCTIONS["c"](z[:3]))
    z = np.concatenate([START[x], START[lam]])
    found = [z]
    for _ in range(steps):
        z = z - h * np.linalg.solve(jax.jacobian(conditions)(z), conditions(z))
        found.append(z)
    return np.array(found)


@pytest.mark.parametrize("h", [1.0, 0.5])
def test_kkt_newton_is_newton_on_the_conditions_in_every_language_that_has_it(h):
    """Blocks of different lengths: emitted, run, and by hand; one solve serves both blocks and both right sides."""
    method = od.Algorithm(od.system("kkt_newton_flow"), od.scheme("explicit_euler"))
    wanted = newton_by_hand(h, 5)
    run = method.run(
        FUNCTIONS, dict(zip(method.system.blocks, START.values(), strict=True)), 5, h=h
    )
    np.testing.assert_allclose(run.x, wanted[:, :3], rtol=1e-9)
    np.testing.assert_allclose(run.states["lam"], wanted[:, 3:], rtol=1e-8)
    for target in ("numpy", "jax"):
        source = method.source(target)
        assert "2 oracle calls, one solve." in source and source.count("_solve(product,") == 1
    module = load(method, "numpy")
    value = FUNCTIONS["c"]
    pull = lambda z, l: jax.vjp(value, z)[1](l)[0]
    along = lambda of, z, v: jax.jvp(of, (z,), (v,))[1]
    xs = module.run(
        map_c=lambda z: np.asarray(value(z)),
        grad=lambda z: np.asarray(jax.grad(FUNCTIONS["f"])(z)),
        jvp_c=lambda z, v: np.asarray(along(value, z, v)),
        vjp_c=lambda z, l: np.asarray(pull(z, l)),
        vhp_c=lambda z, l, v: np.asarray(along(lambda y: pull(y, l), z, v)),
        hvp=lambda z, v: np.asarray(along(jax.grad(FUNCTIONS["f"]), z, v)),
        x0=START[x], lam0=START[lam], steps=5, h=h,
    )  # fmt: skip
    np.testing.assert_allclose(xs, wanted[:, :3], rtol=1e-9)
    slope = jax.grad(FUNCTIONS["f"])
    oracles = {
        "map_c": value, "grad_fn": slope, "jvp_c": lambda z, v: along(value, z, v), "vjp_c": pull,
        "vhp_c": lambda z, l, v: along(lambda y: pull(y, l), z, v), "hvp": lambda z, v: along(slope, z, v),
    }  # fmt: skip
    opt, params = method.to_optax(h=h), {"x": jnp.asarray(START[x]), "lam": jnp.asarray(START[lam])}
    state = opt.init(params)
    for row in wanted[1:]:
        updates, state = opt.update(params, state, params, **oracles)
        params = optax.apply_updates(params, updates)
        np.testing.assert_allclose(params["x"], row[:3], rtol=1e-9)
        np.testing.assert_allclose(params["lam"], row[3:], rtol=1e-8)
    torch = pytest.importorskip("torch")
    groups = [
        {"group": n, "params": [torch.tensor(START[b], requires_grad=True)]}
        for n, b in (("x", x), ("lam", lam))
    ]
    listed = lambda of: (
        lambda *given: [torch.tensor(np.asarray(of(*(t[0].detach().numpy() for t in given))))]
    )
    given = {n.removesuffix("_fn"): listed(of) for n, of in oracles.items()}
    opt = method.to_torch(groups, h=h, **given)
    for row in wanted[1:]:
        opt.step()
        found = [g["params"][0].detach() for g in groups]
        np.testing.assert_allclose(np.concatenate(found), row, rtol=1e-8)


def implicit_pair(rows, right):
    """x' and v' as the parts of a solve with an operator by blocks that is known by products."""
    hess = f.hessian(x)
    operator = od.block_operator(
        {
            ("x", rows): -hess,
            (rows, "x"): hess,
            ("x", "x"): od.identity * 2,
            (rows, rows): od.identity * 3,
        }
    )
    step = od.linear_solve(operator, od.stack(right))
    return od.method({x: x + od.part(step, "x"), v: v / 2 + od.part(step, rows)}, output=x)


def test_a_part_of_the_right_side_that_is_zero_has_the_shape_of_its_block():
    method = implicit_pair("v", {"x": -f.grad(x)})
    loss, x0 = FUNCTIONS["f"], np.array([0.5, 0.3, 0.9])
    run = method.run(loss, x0, 3)
    here, speed = x0, x0
    for k in range(3):
        h, one = jax.hessian(loss)(here), np.eye(3)
        matrix = np.block([[3 * one, h], [-h, 2 * one]])
        moved = np.linalg.solve(matrix, np.concatenate([np.zeros(3), -jax.grad(loss)(here)]))
        here, speed = here + moved[3:], speed / 2 + moved[:3]
        np.testing.assert_allclose(run.x[k + 1], here, rtol=1e-9)
        np.testing.assert_allclose(run.states["v"][k + 1], speed, rtol=1e-9)
    assert "b_v = jax.tree.map(jnp.zeros_like, v)" in method.source("jax")
    assert "b_v = jax.tree.map(jnp.zeros_like, row)" in method.source("optax")  # which keeps no v


@pytest.mark.parametrize("foreach", [True, False])
def test_pytorch_solves_for_several_blocks_at_once(foreach):
    torch = pytest.importorskip("torch")
    method = implicit_pair("v", {"x": -f.grad(x), "v": v})
    x0 = np.array([0.5, 0.3, 0.9])
    run = method.run(FUNCTIONS["f"], x0, 3)

    def loss(tensors):
        whole = torch.cat([t.reshape(-1) for t in tensors])
        return torch.cosh(whole - torch.arange(3.0, dtype=torch.float64)).sum()

    params = [torch.tensor(part, requires_grad=True) for part in (x0[:1], x0[1:].reshape(2, 1))]
    optimizer = method.to_torch(params, loss=loss, foreach=foreach)
    for row in run.x[1:]:
        optimizer.zero_grad()
        loss(params).backward()
        optimizer.step()
        with optimizer.eval_params():
            at = torch.cat([p.detach().reshape(-1) for p in params])
            np.testing.assert_allclose(at, row, rtol=1e-9)


def test_a_zero_part_that_nothing_joins_to_a_block_has_no_shape():
    operator = od.block_operator({("x", "x"): f.hessian(x), ("y", "y"): od.identity})
    step = od.linear_solve(operator, od.stack({"x": f.grad(x)}))
    method = od.method({x: x - od.part(step, "x"), v: od.part(step, "y")}, output=x)
    with pytest.raises(
        od.NotCarried, match="the block y of a solve has an unknown shape: its part"
    ):
        method.source("numpy")


def test_terms_with_one_inverse_are_one_solve():
    a, h = od.parameters("a h")
    operator = od.identity + h * f.hessian(x)
    solved = od.linear_solve(operator, f.grad(x) - a * v + 3 * x)
    again = od.linear_solve(operator, v - f.grad(x) / a - 3 * x / a)
    method = od.method({x: x - h * solved, v: v + again}, output=x)
    assert "one oracle call, one solve." in method.source("jax")
    apart = od.method({x: x - h * solved, v: od.linear_solve(operator, v)}, output=x)
    assert "one oracle call, 2 solves." in apart.source("jax")


def test_a_step_of_zero_divides_by_nothing():
    """With h = 0 the term with h is gone: a right side must not be divided by it, as a schedule may be 0."""
    h = od.parameters("h")
    operator = od.identity + h * f.hessian(x)
    method = od.method(
        {x: x - h * od.linear_solve(operator, f.grad(x)) + od.linear_solve(operator, v), v: v / 2},
        output=x,
    )
    source = method.source("jax")
    assert "one oracle call, one solve." in source
    module = load(method, "jax")
    c = module.Coefficients(*(jnp.asarray(0.0) for _ in module.Coefficients._fields))
    grad = jax.grad(FUNCTIONS["f"])
    hvp = lambda z, u: jax.jvp(grad, (z,), (u,))[1]
    state = module.State(x=jnp.ones(3), v=jnp.full(3, 2.0))
    np.testing.assert_allclose(module.step(state, grad=grad, hvp=hvp, c=c).x, np.full(3, 3.0))
