"""Random plants with time-dependent manifolds, and their claims as scalar functions of one variable.

In one dimension blocks are numbers and f is a polynomial of degree four, so that every claim of a derivation is a
SymPy expression with which nothing of the engine has to do, and the closed loop can be integrated by mpmath.
"""

import itertools
import random
from dataclasses import dataclass

import mpmath
import sympy as sp

import odescent as od
from odescent.dynamics.algebra.vectors import Call, ScalarNode, Vector, VectorSymbol

t = od.parameters("t")
f = od.Objective("f")
point = sp.Symbol("point")
QUARTIC = 3 * point**2 / 2 + point**3 / 5 + point**4 / 4


def scalar(e):
    """A vector or scalar of the engine as an expression of one variable for each block."""
    if isinstance(e, Vector):
        return sp.Add(*[scalar(c) * _atom(a) for a, c in e.terms.items()])
    nodes = {n: sp.Mul(*map(scalar, n.arguments)) for n in e.atoms(ScalarNode)}
    return e.xreplace(nodes)


def _atom(a):
    if isinstance(a, VectorSymbol):
        return sp.Symbol(a.name, real=True)
    assert isinstance(a, Call) and a.oracle.kind == "grad"
    slope = sp.diff(QUARTIC, point, 1 + len(a.directions)).xreplace({point: scalar(a.point)})
    return sp.Mul(slope, *map(scalar, a.directions))


@dataclass
class Design:
    """What is given to ``immerse``."""

    plant: dict
    control: VectorSymbol
    gain: sp.Expr
    manifold: Vector
    port: Vector
    init: dict

    def derive(self, **options):
        k = sp.Symbol("k", integer=True, nonnegative=True)
        clock = {"clock": 1 + k * sp.Symbol("h", positive=True), **options}
        return od.immerse(
            self.plant, self.control, gain=self.gain, manifold=self.manifold, port=self.port, init=self.init,
            time=t, **clock,
        )  # fmt: skip


SCALES = (sp.S.One, sp.Integer(2), t, 1 + t, 1 / t, 1 + t**2 / 3, sp.exp(-t / 2), 1 / (1 + t))
GAINS = (sp.Integer(2), 2 / t, 1 / t, 1 + t, 3 / t + 1, t / 2, sp.Rational(3, 2), 1 + 1 / t)


def design(seed):
    """A chain of two to four integrators, with another block beside it in half of the cases."""
    rng = random.Random(seed)
    names = ["x", "p", "q", "r"][: rng.randint(2, 4)]
    *chain, u = od.blocks(" ".join([*names, "u"]))
    plant = dict(itertools.pairwise(chain))
    factor = rng.choice((sp.S.One, sp.Integer(3), 1 + t, 1 / t, sp.exp(t)))
    plant[chain[-1]] = u * factor + rng.choice((0, 1)) * (f.grad(chain[0]) - t * chain[-1])
    if rng.random() < 0.5:
        y = od.blocks("y")
        plant = {y: (chain[0] - y) * rng.choice((1, 1 / t)), **plant}
        chain = [y, *chain]
    slope = rng.choice(
        SCALES[:4]
    )  # with one that falls the plant may leave the manifold though psi decays
    parts = [chain[-1] * slope]
    parts += [s * (rng.choice(SCALES) * rng.choice((0, 1, -1, 2))) for s in chain[:-1]]
    x = next(s for s in chain if s.name == "x")
    parts.append(f.grad(x) * rng.choice(SCALES))
    if rng.random() < 0.3 and len(names) > 2:
        parts.append(f.hess(x, next(s for s in chain if s.name == "p")) * rng.choice(SCALES))
    port = rng.choice((0, 1)) * (-f.grad(x) * rng.choice(SCALES))
    init = {chain[-1]: rng.choice((0 * x, -f.grad(x), 2 * od.dynamics.start))}
    manifold = sum(parts[1:], parts[0])
    return Design(plant, u, rng.choice(GAINS), manifold, port, init)


def claim(derivation, title, name):
    """The value of a claim of the step with that title."""
    step = next(s for s in derivation.steps if s.title == title)
    return next(c.value for c in step.claims if c.name == name)


def decays(given, law, begin=1.0, end=2.0, digits=25):
    """The largest relative error of psi(t) = psi(1) exp(-int K) along the plant under a law, in mpmath.

    The law is an expression in the port ``w``, which stays open at zero.
    """
    symbols = [sp.Symbol(s.name, real=True) for s in given.plant]
    u = scalar(law).xreplace({sp.Symbol("w", real=True): sp.S.Zero})
    control = {sp.Symbol(given.control.name, real=True): u}
    rates = [scalar(e).xreplace(control) for e in given.plant.values()]
    with mpmath.workdps(digits):
        move = sp.lambdify([t, *symbols], rates, "mpmath")
        psi = sp.lambdify([t, *symbols], scalar(given.manifold), "mpmath")
        left = sp.lambdify(t, sp.exp(-sp.integrate(given.gain, (t, 1, t))), "mpmath")
        start = [mpmath.mpf(i + 2) / 7 for i in range(len(symbols))]
        path = mpmath.odefun(lambda s, z: move(s, *z), begin, start)
        times = [begin + (end - begin) * i / 4 for i in range(1, 5)]
        first = psi(mpmath.mpf(begin), *start)
        return max(float(abs(psi(s, *path(s)) - first * left(s)) / (1 + abs(first))) for s in times)
