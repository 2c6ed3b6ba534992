"""Every coefficient of an emitted module against 60 digits of the exact expression that it stands for."""

import functools
import itertools
import math
import random

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import sympy as sp

import odescent as od
from odescent.discretize.emit import called, load
from odescent.discretize.emit.backends.optax import modules
from odescent.discretize.emit.backends.torch import module as torch_module
from odescent.discretize.emit.lowering.domains import lowered_of
from odescent.discretize.emit.lowering.names import Naming

SINGLE, DOUBLE = 2.0**-23, 2.0**-52
RATES = (1e-6, 0.1, 0.9, 0.999, 0.99999, 1 - 1e-6)
SIZES = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 0.5, 1.0, 3.0)
RATIOS = (1e-6, 1e-5, 1e-3, 0.1, 0.5, 1 - 1e-3, 1 - 1e-6)  # of mu to L


@functools.cache
def tried(name, backend, renamed, count):
    """The exact expressions by field, in symbols with the names of the module's parameters, and numbers for these.

    numpy and jax share them: what is lowered once and solved for zeros serves all precisions and kinds of arguments.
    """
    alg, naming = od.algorithm(name), Naming(renamed)
    if backend == "optax":
        (made,) = modules(alg, naming).values()
        low = made.low
    elif backend == "torch":
        low = torch_module(alg, naming).body.low
    else:
        low = lowered_of(alg, naming)
    fields = {s.name: e for s, e in low.coefficients.fields.items()}
    if not low.parameters:
        return [], fields, []
    listed = points(low.parameters, count)
    return low.parameters, fields, [*listed, *beside_zeros(fields, listed)]


def points(parameters, count):
    """Numbers for the parameters: steps and rates down to 1e-6, rates up to 1 - 1e-6, mu / L down to 1e-6.

    Then as many powers of two, and mu = L, at which coefficients and what is in them may be zero exactly.
    """
    draw, found = random.Random(5), []
    for i in range(2 * count):
        at, even = {}, i >= count
        for s in parameters:
            if s.name in ("beta", "beta1", "beta2", "rho"):
                at[s.name] = draw.choice((0.25, 0.5, 0.75) if even else RATES)
            elif s.name == "omega":
                at[s.name] = draw.choice((0.5, 1) if even else (1e-6, 0.5, 1, 1.9, 2 - 1e-6))
            else:
                at[s.name] = draw.choice((0.25, 0.5, 1, 2) if even else SIZES)
        if {"mu", "L"} <= at.keys():
            at["L"] = draw.choice((0.25, 1, 4) if even else (1e-3, 1.0, 3.0, 10.0, 1e4))
            at["mu"] = at["L"] * draw.choice((1, 1, 0.25, 0.0625) if even else RATIOS)
        if {
            "rho",
            "mu",
            "L",
        } <= at.keys():  # between the rates of triple momentum and of gradient descent
            q = at["mu"] / at["L"]
            at["rho"] = 1 - math.sqrt(q) + (math.sqrt(q) - q) * draw.choice((0, 0.1, 0.5, 0.9))
        found.append(at)
    return found


def beside_zeros(fields, listed, count=3):
    """Numbers at which a coefficient is nearly zero, inside the domain: floats beside a change of its sign."""
    found = []
    for e in fields.values():
        names, _ = function(e)
        # under a name of its own: before SymPy 1.14 the Max of a number and an array is none for NumPy
        plain = e.replace(sp.Max, sp.Function("largest"))
        largest = {"largest": lambda *each: functools.reduce(np.maximum, each)}
        value = sp.lambdify(sorted(e.free_symbols, key=str), plain, [largest, "numpy"])
        for at, name in itertools.product(listed[:count], names):
            rate = name in ("beta", "beta1", "beta2", "rho")
            grid = np.concatenate([np.geomspace(1e-4, 0.9, 30), 1 - np.geomspace(0.09, 1e-4, 12)])
            grid = grid if rate else np.geomspace(1e-4, 1e4, 80)
            if name == "mu" and "L" in at:
                grid = at["L"] * np.concatenate([grid[grid < 0.5], 1 - np.geomspace(0.5, 1e-4, 12)])
            rest = {n: np.full(len(grid), at[n]) for n in names}
            with np.errstate(all="ignore"):
                signs = np.sign(value(*({**rest, name: grid}[n] for n in names))) * np.ones(
                    len(grid)
                )
            for i in np.flatnonzero(signs[1:] * signs[:-1] == -1):
                low, high = float(grid[i]), float(grid[i + 1])
                ends = [exact(e, {**at, name: z}) for z in (low, high)]
                real = all(isinstance(z, mpmath.mpf) for z in ends)
                if not real or ends[0] * ends[1] >= 0:
                    continue
                while np.nextafter(low, high) != high:
                    middle = (low + high) / 2
                    there = exact(e, {**at, name: middle})
                    low, high = (
                        (low, middle) if there is None or there * ends[0] < 0 else (middle, high)
                    )
                for away in (0, 1e-12, -1e-9, 1e-7, -1e-7, 3e-7):
                    found.append({**at, name: low * (1 + away)})
    return [
        at for at in found if at.get("mu", 0) <= at.get("L", math.inf) and at.get("omega", 0) < 2
    ]


def exact(e, at):
    """The value in 60 digits at floats taken exactly, or None at a pole."""
    names, value = function(e)
    with mpmath.workdps(60):
        try:
            return mpmath.mpmathify(value(*(mpmath.mpf(float(at[n])) for n in names)))
        except ZeroDivisionError:
            return None


@functools.cache
def function(e):
    """The names of its symbols, and the expression as a function of mpmath's numbers."""
    listed = sorted(e.free_symbols, key=str)
    return [s.name for s in listed], sp.lambdify(listed, e, "mpmath")


def units(got, e, at, unit):
    """The error in units of the last place; 0 where the exact value is below the normal numbers of single precision."""
    value = exact(e, at)
    if value is None or abs(value) < 1e-37:
        return 0.0 if value is None or abs(got) < 1e-36 else math.inf
    with mpmath.workdps(60):
        exponent = mpmath.floor(mpmath.log(abs(value), 2))
        return float(abs(mpmath.mpf(float(got)) - value) / (unit * mpmath.mpf(2) ** exponent))


def worst(name, target, kind, count=12):
    """The largest error of each coefficient, in units of the last place, by field; kind is plain or traced."""
    module = load(od.algorithm(name), target)
    renamed = {n for n, new in called(module).items() if n != new and " " not in n and new != "lr"}
    backend = target if target in ("optax", "torch") else "plain"
    parameters, fields, listed = tried(name, backend, frozenset(renamed), count)
    if not parameters:
        return {}
    found = dict.fromkeys(fields, 0.0)
    if kind == "traced":
        listed = [{n: float(np.float32(v)) for n, v in at.items()} for at in listed]
        listed = [at for at in listed if at.get("mu", 0) <= at.get("L", math.inf)]
        batch = {s.name: jnp.array([at[s.name] for at in listed], jnp.float32) for s in parameters}
        made = jax.jit(jax.vmap(lambda at: module.coefficients(**at)))(batch)  # as users do
        each = {n: np.broadcast_to(getattr(made, n), len(listed)) for n in fields}
        rows = [{n: v[i] for n, v in each.items()} for i in range(len(listed))]
    else:
        rows = []
        for at in listed:
            try:
                rows.append(module.coefficients(**at)._asdict())
            except ValueError:  # at a pole, such as alpha h = 1, or so near that doubles end
                values = [exact(e, at) for e in fields.values()]
                assert any(v is None or abs(v) > 1e300 for v in values), at
                rows.append(None)
    unit = DOUBLE if kind == "plain" and target in ("numpy", "torch") else SINGLE
    for at, (field, e) in itertools.product(range(len(listed)), fields.items()):
        if rows[at] is not None:
            found[field] = max(found[field], units(rows[at][field], e, listed[at], unit))
    return found
