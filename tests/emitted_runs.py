"""Runs of emitted modules on one convex problem, whatever oracles they ask for, in every backend."""

import functools
import importlib.util
import inspect
import subprocess

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hand_loops import quadratic

import odescent as od
from odescent.discretize.emit import load, source, targets
from odescent.discretize.emit.backend import needs
from odescent.discretize.emit.transform.coupled import is_coupled, placed

SETTINGS = {
    "mu": 1.0,
    "L": 10.0,
    "h": 0.05,
    "beta1": 0.9,
    "beta2": 0.99,
    "eps": 1e-6,
    "rho": 0.8,
    "rate": 30.0,
}
KEY = 7


def oracles(xp):
    """Every oracle of the quadratic (x - center)' Q (x - center) / 2, and the start."""
    _, Q, center, x0 = quadratic()
    Q, center = xp.asarray(Q), xp.asarray(center)
    eye = xp.eye(len(x0))
    proximal = lambda x, step: xp.linalg.solve(eye + step * Q, x + step * (Q @ center))
    known = {
        "grad": lambda x: Q @ (x - center),
        "operator": lambda x: Q @ (x - center),
        "prox": proximal,
        "resolvent": proximal,
        "hvp": lambda x, v: Q @ v,
        "jvp": lambda x, v: Q @ v,
        "value": lambda x: (x - center) @ (Q @ (x - center)) / 2,
        "map": lambda x: x - center,
        "map_mirror": xp.sinh,
        "map_dual": xp.arcsinh,
        "map_hessian_diagonal": lambda x: xp.diag(Q),
        "partial": lambda x, i: Q[i] @ (x - center),
        # of a batch: the sample and the size enter smoothly, so that every backend has the same
        "batch": lambda x, u, n=1: Q @ (x - center) * (1 + (u - 0.5) / (1 + n)),
        "deviation": lambda x, u, n: Q @ (x - center) * (0.05 + u / (1 + n)),
        # two levels: F = (x - center)' Q (x - center) / 2 + |y|^2 / 2, G = (y - x/2)' (I + Q/20) (y - x/2) / 2
        "grad_F_x": lambda x, y: Q @ (x - center),
        "grad_F_y": lambda x, y: y,
        "grad_G_x": lambda x, y: -(y - x / 2 + Q @ (y - x / 2) / 20) / 2,
        "grad_G_y": lambda x, y: y - x / 2 + Q @ (y - x / 2) / 20,
        "hvp_G_x_y": lambda x, y, v: -(v + Q @ v / 20) / 2,
        "hvp_G_y_y": lambda x, y, v: v + Q @ v / 20,
        "value_F": lambda x, y: (x - center) @ Q @ (x - center) / 2 + y @ y / 2,
    }
    return known, xp.asarray(x0)


def starts(takes, x0):
    """Where further blocks of a run begin that ask for it."""
    return {n: x0 / 2 for n in takes if n in ("y0", "z0", "v0")}


def in_spaces(alg, x0):
    """The parameters: x0, or one array for each space of the method by its block, as `starts` has them."""
    if not is_coupled(alg.tuned):
        return x0
    halved = jax.tree.map(lambda a: a / 2, x0)
    return {b.name: halved if i else x0 for i, b in enumerate(placed(alg.tuned))}


def ensembles(xp):
    """Oracles of many particles on the same quadratic, each by itself but for the consensus point, and a start."""
    _, Q, center, x0 = quadratic()
    Q, center, crowd = (
        xp.asarray(Q),
        xp.asarray(center),
        np.random.default_rng(1).normal(size=(5, 6)),
    )
    values = lambda x: xp.sum((x - center[None]) * ((x - center[None]) @ Q), axis=1) / 2

    def consensus(x, alpha, kappa=None):
        weight = xp.exp(-alpha * (values(x) - xp.min(values(x))))
        if kappa is None:
            return weight @ x / xp.sum(weight)
        square = xp.sum((x[:, None] - x[None]) ** 2, axis=2)
        weight = weight[None] * xp.exp(-square / (2 * kappa**2))
        return weight @ x / xp.sum(weight, axis=1)[:, None]

    known = {"ensemble": consensus, "value": values, "grad": lambda x: (x - center[None]) @ Q,
             "map_mirror": xp.sinh, "map_dual": xp.arcsinh}  # fmt: skip
    return known, xp.asarray(x0)[None] + xp.asarray(crowd)


def oracles_of(alg, xp):
    """What the algorithm is run on, and where it starts."""
    return ensembles(xp) if "populations" in needs(alg.tuned) else oracles(xp)


def problem_of(xp, problem, alg=None):
    """The oracles and the start: those given, of the quadratic, or of ``(slope, curvatures, start)``."""
    if problem is None:
        return oracles(xp) if alg is None else oracles_of(alg, xp)
    if len(problem) == 2:
        return problem
    slope, curvatures, x0 = problem
    curvatures = xp.asarray(curvatures)
    return {"grad": lambda x: slope(xp.exp, x, curvatures)}, xp.asarray(x0)


def chosen(known, name):
    """The oracle for an argument: by its name, or by its kind."""
    name = name.removesuffix("_fn")
    return known.get(name, known.get(name.partition("_")[0]))


def parameters(module):
    """Values for the parameters of a module; one that is not in the table gets a plain 0.1."""
    return {n: SETTINGS.get(n, 0.1) for n in inspect.signature(module.coefficients).parameters}


@functools.cache
def normals(draws, steps, shape):
    """What emitted JAX code draws from the key: for scalars, and for one leaf of the shape."""
    keys = jax.vmap(lambda k: jax.random.fold_in(jax.random.key(KEY), k))(jnp.arange(steps))
    if draws > 1:
        keys = jax.vmap(lambda k: jax.random.split(k, draws))(keys).reshape(-1)
    first = jax.vmap(lambda k: jax.random.split(k, 1)[0])(keys)
    scalar = jax.vmap(lambda k: jax.random.normal(k, (), float))(keys)
    vector = jax.vmap(lambda k: jax.random.normal(k, shape, float))(first)
    return keys, np.asarray(scalar), np.asarray(vector)


class Replay:
    """A NumPy generator of what emitted JAX code draws, step by step."""

    def __init__(self, draws, steps, shape):
        self.keys, self.scalar, self.vector = normals(draws, steps, shape)
        self.made = 0

    def poisson(self, mean, shape):
        key, self.made = self.keys[self.made], self.made + 1
        return np.asarray(jax.random.poisson(key, mean, shape[:1])).reshape(shape)

    def standard_normal(self, shape=()):
        drawn = (self.vector if shape else self.scalar)[self.made]
        self.made += 1
        return drawn


def run_numpy(alg, steps, problem=None):
    module, (known, x0) = load(alg, "numpy"), problem_of(np, problem, alg)
    takes = inspect.signature(module.run).parameters
    given = {n: chosen(known, n) for n in takes if chosen(known, n) is not None}
    if "rng" in takes:
        given["rng"] = Replay(
            len(alg.tuned.realized().draws) + len(alg.tuned.counts), steps, x0.shape
        )
    given |= starts(takes, x0)
    return module.run(**given, x0=x0, steps=steps, **parameters(module))


def run_jax(alg, steps, problem=None):
    module, (known, x0) = load(alg, "jax"), problem_of(jnp, problem, alg)
    takes = inspect.signature(module.run).parameters
    given = {n: chosen(known, n) for n in takes if chosen(known, n) is not None}
    if "key" in takes:
        given["key"] = jax.random.key(KEY)
    given |= starts(takes, x0)
    return np.asarray(module.run(**given, x0=x0, steps=steps, **parameters(module)))


def extra_arguments(opt, known, params):
    """What the update of a transformation asks for."""
    takes = inspect.signature(opt.update).parameters.values()
    names = [p.name for p in takes if p.kind is inspect.Parameter.KEYWORD_ONLY]
    found = {n: chosen(known, n) for n in names}
    return {n: f(params) if n == "value" else f for n, f in found.items()}


def run_optax(alg, steps, problem=None):
    module, (known, params) = load(alg, "optax"), problem_of(jnp, problem)
    noise = {"key": jax.random.key(KEY)} if alg.tuned.draws else {}
    opt, params = alg.to_optax(**numbers(alg), **noise), in_spaces(alg, params)
    asked = inspect.signature(module.eval_params).parameters
    more = {n: chosen(known, n) for n in asked if n not in ("state", "params")}

    @jax.jit
    def step(params, state):
        given = extra_arguments(opt, known, params)
        gradient = params if isinstance(params, dict) else known["grad"](params)
        updates, state = opt.update(gradient, state, params, **given)
        return jax.tree.map(jnp.add, params, updates), state

    state, rows = opt.init(params), []
    for _ in range(steps + 1):
        rows.append(module.eval_params(state, params, **more))
        params, state = step(params, state)
    return np.array(rows)


def optimizer_class(alg):
    """The one class of the emitted torch module that is an optimizer."""
    import torch

    found = [v for v in vars(load(alg, "torch")).values() if inspect.isclass(v)]
    (made,) = [
        v for v in found if issubclass(v, torch.optim.Optimizer) and v is not torch.optim.Optimizer
    ]
    return made


def run_torch(alg, steps, problem=None):
    import torch

    torch.set_num_threads(1)
    known, x0 = problem_of(np, problem)
    asked = inspect.signature(optimizer_class(alg).__init__).parameters
    found = {n: chosen(known, n) for n in asked if n != "params"}
    given = {n: _on_lists(f) for n, f in found.items() if f is not None and n not in numbers(alg)}
    begun = in_spaces(alg, np.asarray(x0))
    if isinstance(begun, dict):
        groups = [{"group": n, "params": [torch.tensor(v)]} for n, v in begun.items()]
        params = [g["params"][0].requires_grad_() for g in groups]
    else:
        groups = params = [torch.tensor(begun, requires_grad=True)]
    opt, rows = alg.to_torch(groups, **numbers(alg), **given), []

    def closure():
        point = params[0].detach().numpy()
        params[0].grad = torch.tensor(known["grad"](point))
        return float(known["value"](point)) if "value" in known else 0.0

    for _ in range(steps + 1):
        with opt.eval_params():
            rows.append(params[0].detach().numpy().copy())
        opt.step(closure)
    return np.array(rows)


def _on_lists(function):
    """A function of arrays and numbers, on lists of one tensor."""
    import torch

    def listed(*given):
        plain = [v[0].detach().numpy() if isinstance(v, (list, tuple)) else v for v in given]
        made = function(*plain)
        return [torch.tensor(made)] if np.ndim(made) else float(made)

    return listed


RUNNERS = {"numpy": run_numpy, "jax": run_jax, "optax": run_optax, "torch": run_torch}
if importlib.util.find_spec("torch") is None:
    RUNNERS.pop("torch")


def carriers(alg):
    """The backends that run here and carry the algorithm; torch draws noise of its own."""
    found = []
    for target in RUNNERS.keys() & set(targets()):
        try:
            source(alg, target)
        except od.NotCarried:
            continue
        if target != "torch" or not alg.tuned.draws:
            found.append(target)
    return found


def carries(name, target):
    """Whether a backend carries a registered algorithm."""
    try:
        source(od.algorithm(name), target)
    except od.NotCarried:
        return False
    return True


# One algorithm that optax carries for each set of powers that a program asks for, with and without a counter. Known
# when tests are collected, as emitting takes its time; test_emit_optax.py holds it against all algorithms.
KINDS = (
    "aboba",
    "accelerated_mirror_descent",
    "adadagrad",
    "adagrad",
    "adagrad_norm",
    "adahessian",
    "adam",
    "adaptive_regularized_newton",
    "annealed_langevin",
    "armijo",
    "baoab",
    "barzilai_borwein",
    "bold_driver",
    "dissipative_leapfrog",
    "douglas_rachford",
    "exact_line_search",
    "extragradient",
    "federated_averaging",
    "halpern",
    "hessian_aided_momentum",
    "item",
    "m_fac",
    "mirror_descent",
    "muon",
    "newton",
    "normalized_gradient_descent",
    "ogda",
    "proximal_point",
    "regularized_newton",
    "sketched_gradient_descent",
    "stochastic_theta",
    "wolfe",
    "zeroth_order",
)


def kind(name):
    """The powers that an algorithm's program asks for, and whether it counts its steps."""
    program = od.algorithm(name).tuned
    return frozenset(needs(program)), program.counted


def numbers(alg, **chosen):
    """Values of an algorithm's parameters."""
    return {s.name: {**SETTINGS, **chosen}.get(s.name, 0.1) for s in alg.parameters}


def made(name, **chosen):
    """The algorithm's transformation, with plain numbers and a fixed key."""
    alg = od.algorithm(name)
    noise = {"key": jax.random.key(KEY)} if alg.tuned.draws else {}
    return alg.to_optax(**numbers(alg, **chosen), **noise)


def like(scalar, x):
    return jnp.asarray(scalar).astype(x.dtype)


TREES = {
    "grad": lambda t: t,
    "operator": lambda t: t,
    "prox": lambda t, s: jax.tree.map(lambda x: x / (1 + like(s, x)), t),
    "resolvent": lambda t, s: jax.tree.map(lambda x: x / (1 + like(s, x)), t),
    "hvp": lambda t, v: v,
    "jvp": lambda t, v: v,
    "batch": lambda t, u, n=1: jax.tree.map(lambda x: x * like(1 + (u - 0.5) / (1 + n), x), t),
    "deviation": lambda t, u, n: jax.tree.map(lambda x: x * like(u / (1 + n), x), t),
    "value": lambda t: sum((jnp.sum(x.astype(float) ** 2) / 2 for x in jax.tree.leaves(t)), 0.0),
    "map": lambda t: t,
    "map_mirror": lambda t: jax.tree.map(jnp.sinh, t),
    "map_dual": lambda t: jax.tree.map(jnp.arcsinh, t),
    # two levels: F = |x|^2 / 2 + |y|^2 / 2, G = |y|^2 / 2
    "grad_F_x": lambda x, y: x,
    "grad_F_y": lambda x, y: y,
    "grad_G_x": lambda x, y: jax.tree.map(jnp.zeros_like, x),
    "grad_G_y": lambda x, y: y,
    "hvp_G_x_y": lambda x, y, v: jax.tree.map(jnp.zeros_like, x),
    "hvp_G_y_y": lambda x, y, v: v,
    "value_F": lambda x, y: TREES["value"](x) + TREES["value"](y),
}  # oracles of |x|^2 / 2 on any tree


def update(opt, updates, state, params):
    """One update with whatever it asks for, on |x|^2 / 2."""
    return opt.update(updates, state, params, **extra_arguments(opt, TREES, params))


def assert_clean(paths):
    """The files are as ruff formats them, at both usual widths, and pass its rules."""
    program = pytest.importorskip("ruff").find_ruff_bin()
    tool = lambda *more: subprocess.run(
        [program, *more, *map(str, paths)], capture_output=True, text=True, check=False
    )
    for width in ("88", "100"):
        done = tool("format", "--isolated", "--check", "--diff", "--line-length", width)
        assert done.returncode == 0, done.stdout
    done = tool("check", "--isolated", "--select", "E,F,W,I,B,SIM,UP,C4", "--line-length", "88")
    assert done.returncode == 0, done.stdout
