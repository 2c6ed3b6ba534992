"""Every coefficient of an emitted module against 60 digits of the exact expression that it stands for."""

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
from odescent.discretize.emit.domains import lowered_of
from odescent.discretize.emit.names import Naming
from odescent.discretize.emit.optax import _Module as OptaxModule
from odescent.discretize.emit.optax import plan_with_oracles
from odescent.discretize.emit.torch import _Module as TorchModule

SINGLE, DOUBLE = 2.0**-23, 2.0**-52
RATES = (1e-6, 0.1, 0.9, 0.999, 0.99999, 1 - 1e-6)
SIZES = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 0.5, 1.0, 3.0)
RATIOS = (1e-6, 1e-5, 1e-3, 0.1, 0.5, 1 - 1e-3, 1 - 1e-6)  # of mu to L


def expressions(alg, target, module):
    """The exact expressions by field, in symbols with the names of the module's parameters."""
    renamed = {n for n, new in called(module).items() if n != new and " " not in n and new != "lr"}
    naming = Naming(frozenset(renamed))
    if target in ("numpy", "jax"):
        low = lowered_of(alg, naming)
    elif target == "optax":
        program = naming.program(alg.tuned)
        low = OptaxModule(alg, plan_with_oracles(program), program, naming).low
    else:
        low = TorchModule(alg, naming).body.low
    return low.parameters, {s.name: e for s, e in low.coefficients.fields.items()}


def points(parameters, count, kappa=math.inf):
    """Numbers for the parameters: steps and rates down to 1e-6, rates up to 1 - 1e-6, mu / L down to 1e-6."""
    draw, found = random.Random(5), []
    for _ in range(count):
        at = {}
        for s in parameters:
            if s.name in ("beta", "beta1", "beta2", "rho"):
                at[s.name] = draw.choice(RATES)
            else:
                at[s.name] = draw.choice(
                    (1e-6, 0.5, 1, 1.9, 2 - 1e-6) if s.name == "omega" else SIZES
                )
        if {"mu", "L"} <= at.keys():
            at["L"] = draw.choice((1e-3, 1.0, 3.0, 10.0, 1e4))
            at["mu"] = at["L"] * draw.choice([r for r in RATIOS if 1 - r >= 1 / kappa])
        if "rho" in at:  # between the rates of triple momentum and of gradient descent
            q = at["mu"] / at["L"]
            at["rho"] = 1 - math.sqrt(q) + (math.sqrt(q) - q) * draw.choice((0, 0.1, 0.5, 0.9))
        found.append(at)
    return found


def exact(e, at):
    """The value in 60 digits at floats taken exactly, or None at a pole."""
    listed = sorted(e.free_symbols, key=str)
    with mpmath.workdps(60):
        try:
            value = sp.lambdify(listed, e, "mpmath")(
                *(mpmath.mpf(float(at[s.name])) for s in listed)
            )
        except ZeroDivisionError:
            return None
        return mpmath.mpmathify(value)


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
    alg = od.algorithm(name)
    module = load(alg, target)
    parameters, fields = expressions(alg, target, module)
    if not parameters:
        return {}
    # near kappa = 1 robust momentum has zeros inside its domain: there single precision has no form without loss
    kappa = 1.2 if kind == "traced" and name == "robust_momentum" else math.inf
    found = dict.fromkeys(fields, 0.0)
    listed = points(parameters, count, kappa)
    if kind == "traced":
        listed = [{n: float(np.float32(v)) for n, v in at.items()} for at in listed]
        listed = [at for at in listed if at.get("mu", 0) <= at.get("L", math.inf)]
        batch = {s.name: jnp.array([at[s.name] for at in listed], jnp.float32) for s in parameters}
        made = jax.vmap(lambda at: module.coefficients(**at))(batch)
        each = {n: np.broadcast_to(getattr(made, n), len(listed)) for n in fields}
        rows = [{n: v[i] for n, v in each.items()} for i in range(len(listed))]
    else:
        rows = []
        for at in listed:
            try:
                rows.append(module.coefficients(**at)._asdict())
            except ValueError:  # at a pole, such as alpha h = 1
                assert any(exact(e, at) is None for e in fields.values()), at
                rows.append(None)
    unit = DOUBLE if kind == "plain" and target in ("numpy", "torch") else SINGLE
    for at, (field, e) in itertools.product(range(len(listed)), fields.items()):
        if rows[at] is not None:
            found[field] = max(found[field], units(rows[at][field], e, listed[at], unit))
    return found
