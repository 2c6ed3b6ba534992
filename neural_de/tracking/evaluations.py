"""Numbers of evaluations of drift and diffusion in a step, from the solver's tableau.

A first-same-as-last (FSAL) method saves its first stage except at the start and right after a jump. diffrax's
own evaluates it again in each trial from the start, so that the well-known 6 n + 1 of Dormand and Prince's pair holds
only when the first trial is accepted; with its stages written out (`unrolled`) it always holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import diffrax as dfx
import jax
import numpy as np


@dataclass(frozen=True)
class Evaluations:
    """Evaluations of one vector field: ``start + trial n + first m + jump j``.

    n counts all trials (accepted and rejected steps), m those that begin at the initial time, and j
    those that begin at a jump of the field.
    """

    trial: int
    start: int = 0
    first: int = 0
    jump: int = 0

    def total(self, trials: Any, first: Any, jumps: Any) -> Any:
        """How many evaluations a solve made.

        Args:
            trials: all accepted and rejected steps; arrays of one shape, as the others.
            first: those that begin at the initial time.
            jumps: those that begin at a jump of the field.

        Returns:
            The number, of that shape.
        """
        return self.start + self.trial * trials + self.first * first + self.jump * jumps


@dataclass(frozen=True)
class Cost:
    """Evaluations of the drift and of the diffusion; None where they cannot be predicted."""

    drift: Evaluations | None
    diffusion: Evaluations | None


UNKNOWN = Cost(None, None)


def has_noise(terms: Any) -> bool:
    """Whether a Brownian motion drives one of the terms."""

    def is_path(x: Any) -> bool:
        return isinstance(x, dfx.AbstractBrownianPath)

    return any(is_path(x) for x in jax.tree.leaves(terms, is_leaf=is_path))


def is_ode(terms: Any) -> bool:
    """Whether the vector field is dy/dt: one ODE, neither noise nor another control nor a sum."""
    return isinstance(terms, dfx.ODETerm)


def is_expensive(terms: Any, t0: Any, t1: Any, y0: Any, args: Any) -> bool:
    """Whether a term supports vector-field products only, as the adjoint equation's does.

    Args:
        terms: a pytree of diffrax terms.
        t0: start of a step.
        t1: its end.
        y0: state at the start.
        args: of the vector field.
    """
    each = jax.tree.leaves(terms, is_leaf=lambda x: isinstance(x, dfx.AbstractTerm))
    return any(x.is_vf_expensive(t0, t1, y0, args) for x in each)


def has_values(terms: Any, t0: Any, t1: Any, y0: Any, args: Any) -> bool:
    """Whether the terms are an ODE's, with a vector field that can be evaluated on its own.

    Args:
        terms: a pytree of diffrax terms.
        t0: start of a step.
        t1: its end.
        y0: state at the start.
        args: of the vector field.
    """
    return not has_noise(terms) and not is_expensive(terms, t0, t1, y0, args)


def cost_of(solver: Any, noisy: bool, expensive: bool = False) -> Cost:
    """The cost of a diffrax solver.

    Args:
        solver: any diffrax solver; a custom one may have a method ``cost(noisy, expensive)``.
        noisy: whether the terms have noise; a Runge-Kutta method evaluates the diffusion with the drift.
        expensive: whether the terms support products only, which turns FSAL off.

    Returns:
        The cost; unknown for implicit methods (their root finder decides) and for solvers that are
        neither of Runge-Kutta type nor listed here.
    """
    own = getattr(solver, "cost", None)
    if own is not None:
        told: Cost = own(noisy, expensive)
        return told
    return tableau_cost(solver, noisy, expensive)


def tableau_cost(solver: Any, noisy: bool, expensive: bool) -> Cost:
    """The cost of a solver as diffrax implements it, from its tableau.

    Args:
        solver: a diffrax solver.
        noisy: whether the terms have noise.
        expensive: whether the terms support products only.

    Returns:
        The cost; unknown as in `cost_of`.
    """
    if isinstance(solver, dfx.HalfSolver):
        return _tripled(cost_of(solver.solver, noisy, expensive))
    if isinstance(solver, dfx.AbstractERK) and isinstance(solver.tableau, dfx.ButcherTableau):
        saved = int(solver.tableau.fsal and not expensive)
        each = Evaluations(solver.tableau.num_stages - saved, 0, saved, saved)
    elif isinstance(solver, dfx.AbstractSRK):
        return _stochastic(solver.tableau)
    elif isinstance(solver, dfx.EulerHeun):
        return Cost(Evaluations(1), Evaluations(2))
    elif isinstance(solver, dfx.ReversibleHeun):
        each = Evaluations(1, start=1, jump=1)
    elif isinstance(solver, dfx.Euler):
        each = Evaluations(1)
    else:
        return UNKNOWN
    return Cost(each, each if noisy else None)


def _stochastic(tableau: Any) -> Cost:
    """Stochastic Runge-Kutta: a stage calls the diffusion once per increment (W, and each Levy area)."""
    stages = len(tableau.b_sol)
    drift = Evaluations(stages - _ignored(tableau.ignore_stage_f))
    # at both ends of the step; and once to see that it ignores the state
    if tableau.is_additive_noise():
        return Cost(drift, Evaluations(2, start=1))
    increments = 1 + (tableau.coeffs_hh is not None) + (tableau.coeffs_kk is not None)
    return Cost(drift, Evaluations(increments * (stages - _ignored(tableau.ignore_stage_g))))


def _ignored(stages: Any) -> int:
    return 0 if stages is None else int(np.sum(stages))


def _tripled(cost: Cost) -> Cost:
    """A step and two half steps; the second half continues from the first."""

    def tripled(e: Evaluations | None) -> Evaluations | None:
        return None if e is None else Evaluations(3 * e.trial, e.start, 2 * e.first, 2 * e.jump)

    return Cost(tripled(cost.drift), tripled(cost.diffusion))
