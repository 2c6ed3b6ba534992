"""Emitted optax transformations of methods whose blocks lie in several spaces, beside the package's own runs."""

import copy
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import sympy as sp

import odescent as od
from odescent.discretize.emit import called, load
from odescent.discretize.emit.lowering.names import ORACLE

RNG = np.random.default_rng(3)
MIX, X0, Y0 = RNG.normal(size=(4, 3)), RNG.normal(size=3), RNG.normal(size=4)
BILEVEL = {"h": 0.002, "epsilon": 0.02, "rho": 0.4, "sigma": 0.5, "mu": 0.4, "L": 6.0}


def upper(x, y):
    return jnp.sum((y - 1) ** 2) / 2 + jnp.sum(x**2) / 20


def lower(x, y):
    return jnp.sum((y - MIX @ x) ** 2) / 2 + jnp.sum(y**4) / 12


def oracle(functions, name, slots=("x", "y")):
    """What an extra argument is called after: the derivative of a function in one argument, along another one."""
    kind, of, *places = name.split("_")
    f, where = functions[of], [slots.index(p) for p in places]
    if kind == "value":
        return f
    slope = jax.grad(f, where[0])
    if kind == "grad":
        return slope

    def along(x, y, v):
        line = lambda z: slope(*(z if i == where[1] else p for i, p in enumerate((x, y))))
        return jax.jvp(line, ((x, y)[where[1]],), (v,))[1]

    return along


def asked(opt):
    takes = inspect.signature(opt.update).parameters.values()
    return [p.name for p in takes if p.kind is p.KEYWORD_ONLY]


def iterate(opt, params, given, steps):
    """All parameters, the start first, and the last state."""
    state, rows = opt.init(params), [params]
    update = jax.jit(lambda state, params: opt.update(params, state, params, **given))
    for _ in range(steps):
        updates, state = update(state, params)
        params = optax.apply_updates(params, updates)
        rows.append(params)
    return rows, state


@pytest.mark.parametrize("name", ["implicit_bilevel", "penalty_bilevel", "inexact_bilevel"])
def test_bilevel_methods_are_their_runs(name):
    """Decision for decision where a step is guarded."""
    method = od.algorithm(name)
    x, y = (b.symbol for b in method.tuned.blocks[:2])
    values = {p.name: BILEVEL.get(p.name, 0.3) for p in method.tuned.parameters}
    functions = {"F": upper, "G": lower}
    run = method.run(functions, {x: X0, y: Y0}, 40, **values)
    opt = method.to_optax(**values)
    given = {n: oracle(functions, n) for n in asked(opt)}
    rows, state = iterate(opt, {"x": jnp.asarray(X0), "y": jnp.asarray(Y0)}, given, 40)
    np.testing.assert_allclose([r["x"] for r in rows], run.x, atol=1e-13)
    np.testing.assert_allclose([r["y"] for r in rows], run.states["y"], atol=1e-13)
    assert np.ptp(run.x[:, 0]) > 1e-3
    np.testing.assert_array_equal(load(method, "optax").eval_params(state, rows[-1]), rows[-1]["x"])
    assert not {"x", "y"} & {*state._fields}  # the parameters are held once


def constrained(size):
    """A heavy ball in x and ascent in the multiplier of a constraint c(x) = 0, which lies in a space of its own.

    ``size`` gives the step; the output is between two points.
    """
    x, v, lam = od.blocks("x v lam")
    friction, f, c = sp.Symbol("gam", positive=True), od.Objective("f"), od.Map("c")
    force = -f.grad(x) - c.vjp(x, lam)
    flow = od.System({"all": {x: v, v: force - friction * v, lam: c(x)}}, output=x + v / 3)
    return od.Algorithm(flow, od.scheme("explicit_euler"), **size)


def bound(x):
    """Two numbers that are to be zero, of a tree."""
    return {"sum": jnp.sum(x["w"]) - x["b"], "first": jnp.sinh(x["w"][0, :1]) - 0.5}


def energy(x):
    return jnp.sum((x["w"] - 0.3) ** 2) + x["b"] ** 4 / 4


TREE = {"w": jnp.asarray(RNG.normal(size=(2, 3))), "b": jnp.asarray(0.7)}
DUAL = {"sum": jnp.asarray(0.1), "first": jnp.asarray([-0.2])}
OF_TREES = {
    "grad_fn": jax.grad(energy), "map_c": bound, "vjp_c": lambda x, lam: jax.vjp(bound, x)[1](lam)[0],
}  # fmt: skip


def by_hand(steps, h, gam):
    """The same in plain lines."""
    x, lam = TREE, DUAL
    v = jax.tree.map(jnp.zeros_like, x)
    rows = [(x, lam, v)]
    for k in range(steps):
        step = h(k) if callable(h) else h
        force = jax.tree.map(lambda a, b: -a - b, OF_TREES["grad_fn"](x), OF_TREES["vjp_c"](x, lam))
        ahead = jax.tree.map(lambda lam, c, step=step: lam + step * c, lam, bound(x))
        x, v, lam = (
            jax.tree.map(lambda x, v, step=step: x + step * v, x, v),
            jax.tree.map(lambda v, a, step=step: v + step * (a - gam * v), v, force),
            ahead,
        )
        rows.append((x, lam, v))
    return rows


def same(one, other, **tolerance):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **tolerance), one, other)


@pytest.mark.parametrize("scheduled", [False, True])
def test_trees_of_two_structures_by_hand(scheduled):
    method, h = (
        constrained({}),
        (lambda k: 0.05 / (1 + jnp.asarray(k, float))) if scheduled else 0.05,
    )
    opt = method.to_optax(h=h, gam=0.5)
    rows, state = iterate(opt, {"x": TREE, "lam": DUAL}, OF_TREES, 30)
    for row, (x, lam, _) in zip(rows, by_hand(30, h, 0.5), strict=True):
        same(row, {"x": x, "lam": lam}, rtol=1e-12)
    if not scheduled:
        x, _, v = by_hand(30, h, 0.5)[-1]
        found = load(method, "optax").eval_params(state, rows[-1])
        same(found, jax.tree.map(lambda x, v: x + v / 3, x, v), rtol=1e-12)


def test_it_finds_the_constrained_minimum():
    """At rest the gradient of the Lagrangian is zero, and so are the constraints."""
    opt = constrained({}).to_optax(h=0.02, gam=8.0)
    params = {"x": TREE, "lam": DUAL}

    def once(_, both):
        updates, state = opt.update(both[0], both[1], both[0], **OF_TREES)
        return optax.apply_updates(both[0], updates), state

    last, _ = jax.lax.fori_loop(0, 60_000, once, (params, opt.init(params)))
    same(bound(last["x"]), jax.tree.map(jnp.zeros_like, DUAL), atol=1e-10)
    pull = OF_TREES["vjp_c"](last["x"], last["lam"])
    same(
        jax.tree.map(jnp.add, OF_TREES["grad_fn"](last["x"]), pull),
        jax.tree.map(jnp.zeros_like, TREE),
        atol=1e-9,
    )


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_types_are_those_of_each_tree_and_memory_is_float32_at_least(dtype):
    """Functions are called in the types of the parameters, each tree in its own."""
    cast = lambda t, d: jax.tree.map(lambda a: a.astype(d), t)
    params, seen = {"x": cast(TREE, dtype), "lam": cast(DUAL, "float64")}, set()

    def pulled(x, lam):
        seen.add((x["w"].dtype.name, lam["sum"].dtype.name))
        return cast(jax.vjp(bound, cast(x, "float64"))[1](lam)[0], dtype)

    def slope(x):
        seen.add(x["w"].dtype.name)
        return jax.grad(energy)(x)

    given = {**OF_TREES, "vjp_c": pulled, "grad_fn": slope}
    opt = constrained({}).to_optax(h=0.05, gam=0.5)
    state = opt.init(params)
    assert {a.dtype.name for a in jax.tree.leaves(state.v)} == {"float32"}
    for _ in range(2):
        updates, state = opt.update(params, state, params, **given)
        types = [[a.dtype for a in jax.tree.leaves(t)] for t in (updates, params)]
        assert types[0] == types[1]
        assert {a.dtype.name for a in jax.tree.leaves(state.v)} == {"float32"}
        params = optax.apply_updates(params, updates)
    assert seen == {dtype, (dtype, "float64")}


def test_what_is_wrong_is_said():
    opt = constrained({}).to_optax(h=0.05, gam=0.5)
    with pytest.raises(ValueError, match="must be a dict with the keys x, lam, not x, mu"):
        opt.init({"x": TREE, "mu": DUAL})
    with pytest.raises(ValueError, match="must be a dict with the keys x, lam, not tuple"):
        opt.init((TREE, DUAL))
    params = {"x": TREE, "lam": DUAL}
    state = opt.init(params)
    with pytest.raises(ValueError, match="this step reads the parameters"):
        opt.update(params, state, **OF_TREES)
    with pytest.raises(TypeError, match="vjp_c"):
        opt.update(params, state, params, grad_fn=OF_TREES["grad_fn"], map_c=bound)
    other = {**OF_TREES, "map_c": lambda x: jnp.zeros(3)}
    with pytest.raises(ValueError, match=r"lam moves by \(3,\), and its parameters are"):
        opt.update(params, state, params, **other)


def test_a_method_with_a_name_of_the_module_for_a_block():
    """Blocks called as what the module contains: the keys stay a person's own."""
    c, params = od.blocks("c params")
    f = od.Objective("f", args=("c", "params"))
    drift = {c: -f.grad(c, params, wrt="c"), params: -2 * f.grad(c, 2 * params, wrt="params")}
    method = od.Algorithm(od.System({"all": drift}, output=c), od.scheme("explicit_euler"))
    value = lambda a, b: jnp.sum((a - 1) ** 2) / 2 + jnp.sum(b**2) * jnp.sum(a) / 9
    opt = method.to_optax(h=0.1)
    renamed = {new: n.removeprefix(ORACLE) for n, new in called(load(method, "optax")).items()}
    given = {n: oracle({"f": value}, renamed[n], ("c", "params")) for n in asked(opt)}
    rows, _ = iterate(opt, {"c": jnp.asarray(X0), "params": jnp.asarray(Y0)}, given, 5)
    run = method.run({"f": value}, {c: X0, params: Y0}, 5, h=0.1)
    np.testing.assert_allclose([r["c"] for r in rows], run.x, rtol=1e-13)


# PyTorch: a group of parameters for each space


def losses_in_torch():
    torch = pytest.importorskip("torch")
    mix = torch.tensor(MIX)
    return {
        "F": lambda x, y: ((y[0] - 1) ** 2).sum() / 2 + (x[0] ** 2).sum() / 20,
        "G": lambda x, y: ((y[0] - mix @ x[0]) ** 2).sum() / 2 + (y[0] ** 4).sum() / 12,
    }


def in_groups(**lists):
    torch = pytest.importorskip("torch")
    made = lambda a: torch.tensor(np.asarray(a), requires_grad=True)
    return [{"group": n, "params": [made(a) for a in listed]} for n, listed in lists.items()]


@pytest.mark.parametrize("name", ["implicit_bilevel", "penalty_bilevel", "inexact_bilevel"])
def test_bilevel_methods_are_their_runs_in_torch(name):
    """Of two losses, whose partial derivatives the module takes; decision for decision where a step is guarded."""
    method = od.algorithm(name)
    x, y = (b.symbol for b in method.tuned.blocks[:2])
    values = {p.name: BILEVEL.get(p.name, 0.3) for p in method.tuned.parameters}
    run = method.run({"F": upper, "G": lower}, {x: X0, y: Y0}, 40, **values)
    groups = in_groups(x=[X0], y=[Y0])
    opt = method.to_torch(groups, **losses_in_torch(), **values)
    for k in range(41):
        for group, rows in zip(groups, (run.x, run.states["y"]), strict=True):
            found = group["params"][0].detach().numpy()
            np.testing.assert_allclose(found, rows[k], atol=1e-12)
        opt.step()


def of_lists():
    """The oracles of the constrained problem on lists of tensors: w in two parts, and b."""
    torch = pytest.importorskip("torch")

    def tensors(listed):
        w = torch.cat([listed[0], listed[1]])
        return w, listed[2]

    def value(listed):
        w, b = tensors(listed)
        return ((w - 0.3) ** 2).sum() + b**4 / 4

    def bounds(listed):
        w, b = tensors(listed)
        return [w.sum() - b, torch.sinh(w[0, :1]) - 0.5]

    def pulled(listed, lam):
        with torch.enable_grad():
            at = [x.detach().requires_grad_() for x in listed]
            total = sum((c * m).sum() for c, m in zip(bounds(at), lam, strict=True))
            return torch.autograd.grad(total, at, materialize_grads=True)

    return {"f": value, "map_c": bounds, "vjp_c": pulled}


def constrained_groups():
    w = np.asarray(TREE["w"])
    return in_groups(x=[w[:1], w[1:], TREE["b"]], lam=[DUAL["sum"], DUAL["first"]])


def held(groups):
    first, second, b = (p.detach().numpy() for p in groups[0]["params"])
    lam = [p.detach().numpy() for p in groups[1]["params"]]
    return {"w": np.concatenate([first, second]), "b": b}, {"sum": lam[0], "first": lam[1]}


def test_lists_of_tensors_by_hand_and_a_schedule():
    torch = pytest.importorskip("torch")
    groups = constrained_groups()
    opt = constrained({}).to_torch(groups, h=0.05, gam=0.5, **of_lists())
    planned = torch.optim.lr_scheduler.LambdaLR(opt, lambda k: 1 / (1 + k))
    rows = by_hand(25, lambda k: 0.05 / (1 + k), 0.5)
    for x, lam, v in rows:
        found = held(groups)
        same(found[0], x, rtol=1e-12)
        same(found[1], lam, rtol=1e-12)
        with opt.eval_params():
            same(held(groups)[0], jax.tree.map(lambda x, v: x + v / 3, x, v), rtol=1e-12)
        same(held(groups)[0], x, rtol=1e-12)
        opt.step()
        planned.step()


def test_a_restored_optimizer_goes_on_where_it_was():
    torch = pytest.importorskip("torch")
    groups = constrained_groups()
    opt = constrained({}).to_torch(groups, h=0.05, gam=0.5, **of_lists())
    for _ in range(5):
        opt.step()
    others = constrained_groups()
    for group, other in zip(groups, others, strict=True):
        for p, q in zip(group["params"], other["params"], strict=True):
            q.data.copy_(p)
    again = constrained({}).to_torch(others, h=0.01, gam=0.5, **of_lists())
    again.load_state_dict(copy.deepcopy(opt.state_dict()))
    for _ in range(5):
        opt.step()
        again.step()
    same(held(groups), held(others), rtol=0)
    assert torch.is_tensor(groups[0]["params"][0])


def test_what_is_wrong_in_torch_is_said_and_nothing_moves():
    torch = pytest.importorskip("torch")
    method, given = constrained({}), {"h": 0.05, "gam": 0.5}
    groups = constrained_groups()
    with pytest.raises(ValueError, match='no parameter group has the key "group": lam'):
        method.to_torch(groups[:1], **given, **of_lists())
    with pytest.raises(ValueError, match='needs a key "group": x or lam'):
        method.to_torch([torch.zeros(3, requires_grad=True)], **given, **of_lists())
    with pytest.raises(
        od.OdescentError, match=r"as in to_torch\(params, .*f=\.\.\..*lists of tensors"
    ):
        method.to_torch(groups, **given)
    before = held(constrained_groups())
    wrong = {**of_lists(), "map_c": lambda x: [torch.zeros(3), torch.zeros(3)]}
    opt = method.to_torch(groups, **given, **wrong)
    with pytest.raises(ValueError, match="tensors of the shapes"):
        opt.step()
    same(held(groups), before, rtol=0)
    opt = method.to_torch(groups, **given, **of_lists())
    opt.param_groups[1]["lr"] = 0.1
    with pytest.raises(ValueError, match="lr must be the same in all groups"):
        opt.step()
    opt.param_groups[0]["lr"] = opt.param_groups[1]["lr"] = 0.0
    opt.step()
    same(held(groups), before, rtol=0)


def test_a_function_of_two_arguments_in_one_space():
    """x+ = x - h grad_1 u(x, x): one tree, and one group."""
    torch = pytest.importorskip("torch")
    x, u = od.blocks("x"), od.Objective("u", args=("p", "q"))
    flow = od.System({"all": {x: -u.grad(x, x, wrt="p")}}, output=x)
    method = od.Algorithm(flow, od.scheme("explicit_euler"))
    value = lambda p, q: jnp.sum(p**2 * jnp.cos(q))
    run = method.run({"u": value}, X0, 6, h=0.1)
    opt = method.to_optax(h=0.1)
    rows, _ = iterate(opt, {"x": jnp.asarray(X0)}, {"grad_u_p": jax.grad(value)}, 6)
    np.testing.assert_allclose([r["x"] for r in rows], run.x, rtol=1e-13)
    (group,) = in_groups(x=[X0])
    opt = method.to_torch([group], h=0.1, u=lambda p, q: (p[0] ** 2 * torch.cos(q[0])).sum())
    for _ in range(6):
        opt.step()
    np.testing.assert_allclose(group["params"][0].detach(), run.x[-1], rtol=1e-12)
    with pytest.raises(ValueError, match='needs a key "group": x'):
        method.to_torch(group["params"], h=0.1, u=lambda p, q: p[0].sum())


def test_values_and_gradients_of_two_functions_in_torch():
    """Functions whose oracles are called by their kinds alone are not taken for each other."""
    torch = pytest.importorskip("torch")
    x, lam = od.blocks("x lam")
    f, r, c = od.Objective("f"), od.Objective("r"), od.Map("c")
    drift = {x: -f.grad(x) * r.value(x) - c.vjp(x, lam), lam: c(x)}
    method = od.Algorithm(od.System({"all": drift}, output=x), od.scheme("explicit_euler"))
    norm, bowl = (lambda z: 1 + jnp.sum(z**2)), (lambda z: jnp.sum(jnp.cosh(z)))
    functions = {"f": bowl, "r": norm, "c": lambda z: z[:1] - 0.2}
    run = method.run(functions, {x: X0, lam: np.ones(1)}, 5, h=0.02)
    groups = in_groups(x=[X0], lam=[np.ones(1)])
    pulled = lambda z, m: [torch.cat([m[0], torch.zeros(2, dtype=torch.float64)])]
    opt = method.to_torch(
        groups, h=0.02, f=lambda z: torch.cosh(z[0]).sum(), r=lambda z: 1 + (z[0] ** 2).sum(),
        map_c=lambda z: [z[0][:1] - 0.2], vjp_c=pulled,
    )  # fmt: skip
    for _ in range(5):
        opt.step()
    np.testing.assert_allclose(groups[0]["params"][0].detach(), run.x[-1], rtol=1e-12)


@pytest.mark.parametrize(
    "words",
    [("group", "state", "c"), ("name", "k", "saved"), ("tensor", "y_list", "message"), ("torch", "extra", "y_next"),
     ("updates", "value", "list"), ("moving", "x_output", "float"), ("c", "first", "y_moved")],
)  # fmt: skip
def test_names_of_the_module_as_a_persons_own(words):
    """For the block that parameters hold, for memory and for a parameter, in optax and in PyTorch."""
    place, memory, friction = words
    x, v, y = od.blocks(f"{place} {memory} y")
    gam, f, c = sp.Symbol(friction, positive=True), od.Objective("f"), od.Map("m")
    force = -f.grad(x) - c.vjp(x, y) - gam * v * od.inner(x, x)
    flow = od.System({"all": {x: v, v: force, y: c(x)}}, output=x + v / 3, init={v: 0})
    method = od.Algorithm(flow, od.scheme("explicit_euler"))
    bowl, level = (lambda z: jnp.sum(jnp.cosh(z))), (lambda z: z[:2] - 0.1)
    given = {"h": 0.05, friction: 0.3}
    run = method.run({"f": bowl, "m": level}, {x: X0, y: Y0[:2]}, 4, **given)
    opt, begin = method.to_optax(**given), {place: jnp.asarray(X0), "y": jnp.asarray(Y0[:2])}
    pull = lambda z, m: jax.vjp(level, z)[1](m)[0]
    kinds = {"grad": jax.grad(bowl), "map": level, "vjp": pull}
    rows, state = iterate(opt, begin, {n: kinds[n.partition("_")[0]] for n in asked(opt)}, 4)
    np.testing.assert_allclose([r["y"] for r in rows], run.states["y"], rtol=1e-12)
    found = load(method, "optax").eval_params(state, rows[-1])
    np.testing.assert_allclose(found, run.x[-1], rtol=1e-12)
    torch = pytest.importorskip("torch")
    groups = in_groups(**{place: [X0], "y": [Y0[:2]]})
    pulled = lambda z, m: [torch.cat([m[0], torch.zeros(1, dtype=torch.float64)])]
    opt = method.to_torch(
        groups, f=lambda z: torch.cosh(z[0]).sum(), map_m=lambda z: [z[0][:2] - 0.1], vjp_m=pulled, **given
    )  # fmt: skip
    for _ in range(4):
        opt.step()
    with opt.eval_params():
        np.testing.assert_allclose(groups[0]["params"][0].detach(), run.x[-1], rtol=1e-12)
