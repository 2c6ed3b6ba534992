"""What the tests of emitted PyTorch optimizers share: a quadratic, oracles for it, and runs."""

import functools
import inspect

import numpy as np
import pytest
import torch
from emitted_runs import carries, optimizer_class
from hand_loops import MU, L, quadratic

import odescent as od
from odescent.discretize.emit.transform.coupled import is_coupled

torch.set_num_threads(1)
ADAM = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
VALUES = {
    "mu": MU,
    "L": L,
    "h": 0.05,
    "beta1": 0.9,
    "beta2": 0.99,
    "eps": 1e-6,
    "rate": 0.05,
    "rho": 0.8,
}
PLAIN, MATRIX, CENTER, X0 = quadratic()


def values(alg):
    return {s.name: VALUES.get(s.name, 0.1) for s in alg.parameters}


def tensor(x, dtype=torch.float64):
    return torch.tensor(np.asarray(x), dtype=dtype, requires_grad=True)


def pieces(v):
    return [v[:2], v[2:]]


def closure_of(opt, params):
    matrix, center = torch.tensor(MATRIX), torch.tensor(CENTER)

    def closure():
        opt.zero_grad()
        x = torch.cat(params)
        loss = (x - center) @ matrix @ (x - center) / 2
        loss.backward()
        return loss.item()

    return closure


def iterate(opt, params, steps, evaluate=False):
    """What the parameters hold (or the outputs), the start first."""
    rows, closure = [], closure_of(opt, params)
    for _ in range(steps + 1):
        if evaluate:
            with opt.eval_params():
                rows.append(torch.cat(params).detach().numpy().copy())
        else:
            rows.append(torch.cat(params).detach().numpy().copy())
        opt.step(closure)
    return np.array(rows)


ORACLES = {
    "grad": PLAIN, "operator": PLAIN, "prox": lambda x, w: x / (1 + w), "resolvent": lambda x, w: x / (1 + w),
    "prox_f": lambda x, w: (x + w * 1.3) / (1 + w), "prox_r": lambda x, w: x / (1 + 2 * w),
    "hvp": lambda x, v: MATRIX @ v, "value": lambda x: float((x - CENTER) @ MATRIX @ (x - CENTER)) / 2,
    "map_mirror": np.tanh, "map_dual": np.arctanh, "map_newton": lambda x: x - CENTER, "map_steepest": np.tanh,
    "batch": lambda x, u, b=1: PLAIN(x) * (1 + u / b), "deviation": lambda x, u, b: PLAIN(x) * (u - 0.4) / b,
}  # fmt: skip


def on_tensors(function):
    def listed(tensors, *scalars):
        whole = function(np.concatenate([t.detach().numpy() for t in tensors]), *scalars)
        return [torch.tensor(v) for v in (pieces(whole) if len(tensors) == 2 else [whole])]

    return listed


def product_with_hessian(params, along):
    """The product of the quadratic's matrix with one list of tensors, at another."""
    return on_tensors(lambda v: MATRIX @ v)(along)


def value_of(params):
    """The value of the quadratic whose gradient is `PLAIN`, of all tensors together."""
    x = np.concatenate([t.detach().numpy() for t in params])
    return float((x - CENTER) @ MATRIX @ (x - CENTER)) / 2


@functools.cache
def carried():
    """Names of the registered algorithms that the backend carries."""
    apart = [n for n in od.algorithms() if not is_coupled(od.algorithm(n).tuned)]
    return [n for n in apart if carries(n, "torch")]


def skip_what_is_refused(name):
    """What is carried is asked when a test runs, not when tests are collected: emitting takes its time."""
    if not carries(name, "torch"):
        pytest.skip("the torch backend refuses it")
    if is_coupled(od.algorithm(name).tuned):
        pytest.skip("its parameters are in several groups, see test_emit_coupled")


def made(name, params, **options):
    alg = od.algorithm(name)
    cls = optimizer_class(alg)
    asked = inspect.signature(cls.__init__).parameters
    oracles = {n: on_tensors(f) for n, f in ORACLES.items() if n in asked}
    oracles |= {"hvp": product_with_hessian} if "hvp" in asked else {}
    oracles |= {"value": value_of} if "value" in asked else {}
    return alg.to_torch(params, **values(alg), **oracles, **options)
