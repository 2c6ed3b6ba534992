"""Each end of a step is drawn once: the increments of the path itself, by as many readings as there are trials."""

from itertools import pairwise

import diffrax as dfx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import odescent.neural_de as nde
from odescent.neural_de.regularization.one_step import Oriented
from odescent.neural_de.solving.stochastic_terms import DiagonalTerm
from odescent.neural_de.tracking import tracked_solver
from odescent.neural_de.tracking.brownian import (
    BrownianTree,
    drawn,
    reading,
)
from odescent.neural_de.tracking.unrolled import (
    unrolled,
)


class Smooth(BrownianTree):
    """A path whose W and H are known at every time, on [-1, 2]: a tree takes long to compile."""

    t0, t1 = -1.0, 2.0

    def __init__(self):
        self.tree = None

    def from_start(self, t):
        w = {"a": jnp.sin(t) * jnp.ones(3), "b": t**2 * jnp.ones((2, 2))}
        dt = jax.tree.map(lambda _: t - self.t0, w)
        return dfx.SpaceTimeLevyArea(dt=dt, W=w, H=jax.tree.map(jnp.cos, w))


def drift(t, y, w):
    return jax.tree.map(lambda x: -w * x**3, y)


def diagonal(t, y, w):
    return jax.tree.map(lambda x: 0.3 * x + 0.1, y)


class Halving(dfx.SPaRK):
    """A step of a user's own, which may read the path anywhere."""

    def step(self, *args):
        return super().step(*args)


def terms_of(sign):
    terms = dfx.ODETerm(drift), DiagonalTerm(diagonal, Smooth())
    return dfx.MultiTerm(*(Oriented(t, jnp.asarray(sign)) for t in terms))


@pytest.mark.parametrize("sign", [1, -1])
def test_increments_are_the_paths(sign):
    """W and H on steps of an interval in either order."""
    terms = terms_of(sign)
    ends = jnp.asarray([-1.0, -0.3, 0.6, 2.0][::sign]) * sign  # in the solver's time, which goes up
    for step in pairwise(ends):
        known = drawn(terms, *(reading(dfx.SPaRK(), terms, t) for t in step))
        for levy in (True, False):
            ours, theirs = (x.terms[1].contr(*step, use_levy=levy) for x in (known, terms))
            assert jax.tree.structure(ours) == jax.tree.structure(theirs)
            for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


def test_only_steps_that_read_their_ends_alone_are_given_them():
    """Not half steps, not paths of another kind, not equations without noise: these stay as they are."""
    terms, t = terms_of(1), jnp.asarray(0.5)
    for solver in (dfx.SPaRK(), dfx.Heun(), unrolled(dfx.Heun(), None)):
        assert reading(solver, terms, t) is not None
    assert reading(dfx.HalfSolver(dfx.SPaRK()), terms, t) is None
    assert reading(Halving(), terms, t) is None
    assert reading(dfx.Tsit5(), dfx.ODETerm(drift), t) is None
    path = dfx.VirtualBrownianTree(0.0, 1.0, 1e-2, (2,), jr.key(0), dfx.SpaceTimeLevyArea)
    own = dfx.MultiTerm(dfx.ODETerm(drift), dfx.ControlTerm(diagonal, path))
    assert reading(dfx.SPaRK(), own, t) is None and drawn(own, None, None) is own


def solved(w, y0, solver):
    return nde.solve(
        drift, y0, 1.0, 0.25, w, diffusion=diagonal, solver=solver, key=jr.key(3), dt0=0.3, rtol=3e-3, atol=3e-3,
        noise="commutative", regularizer=nde.error(), max_steps=512,
    )  # fmt: skip


def with_gradient():
    """The states, the statistics, and the gradient of a loss with penalty; traced anew at every call."""

    def everything(w):
        out = solved(w, jnp.linspace(0.5, 2.0, 3), dfx.SPaRK())
        return jnp.sum(out.ys**2) + out.penalty, (out.ys, out.statistics)

    return jax.jit(jax.value_and_grad(everything, has_aux=True))(jnp.asarray(1.0))


def test_a_solve_and_its_gradient_are_those_with_both_ends_drawn(monkeypatch):
    """To rounding, with rejected steps."""
    ours = with_gradient()
    monkeypatch.setattr(tracked_solver, "reading", lambda solver, terms, t: None)
    both = with_gradient()
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(both), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10)
    assert int(ours[0][1][1].rejected) > 0


def test_the_path_is_read_once_per_trial_and_once_at_the_start(monkeypatch):
    read = []
    original = BrownianTree.from_start

    def counted(self, t):
        jax.debug.callback(lambda _: read.append(1), t)
        return original(self, t)

    monkeypatch.setattr(BrownianTree, "from_start", counted)
    report = solved(jnp.asarray(1.0), jnp.ones(2), dfx.SPaRK()).statistics
    jax.effects_barrier()
    assert len(read) == int(report.accepted + report.rejected) + 1
    assert int(report.rejected) > 0
