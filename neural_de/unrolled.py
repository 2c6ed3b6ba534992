"""Explicit Runge-Kutta steps written out stage by stage.

diffrax runs the stages in a loop of its own, whose body reads and writes a buffer of all of them: it serves implicit
and multi-term methods too, and is compiled once however many stages there are. Written out, a stage reads the stages
it needs in one fused pass, and the way back has no inner loop to replay. Where the vector field is small, the loop is
a fifth to a quarter of a gradient's time (`benchmarks/regularizer_overhead.py`).
"""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Any

import diffrax as dfx
import jax
import jax.numpy as jnp

from .evaluations import Cost, Evaluations, has_values, tableau_cost
from .stages import combined


class Unrolled:
    """What `unrolled` changes of a solver's class: how a step is computed, not which.

    The first stage of a first-same-as-last method is evaluated at the start, once, rejected trials or not. With noise,
    or a vector field that is given by its products only, diffrax's own step is taken.
    """

    tableau: Any

    def cost(self, noisy: bool, expensive: bool) -> Cost:
        """Evaluations of drift and diffusion."""
        if noisy or expensive:
            return tableau_cost(self, noisy, expensive)
        saved = int(self.tableau.fsal)
        return Cost(Evaluations(self.tableau.num_stages - saved, start=saved), None)

    def init(self, terms: Any, t0: Any, t1: Any, y0: Any, args: Any) -> Any:
        if not has_values(terms, t0, t1, y0, args):
            return super().init(terms, t0, t1, y0, args)  # type: ignore[misc]
        return terms.vf(t0, y0, args) if self.tableau.fsal else None

    def step(
        self, terms: Any, t0: Any, t1: Any, y0: Any, args: Any, solver_state: Any, made_jump: Any
    ) -> Any:
        if not has_values(terms, t0, t1, y0, args):
            return super().step(  # type: ignore[misc]
                terms, t0, t1, y0, args, solver_state, made_jump
            )
        return self.step_and_stages(terms, t0, t1, y0, args, solver_state)[0]

    @property
    def ends_at_its_last_stage(self) -> bool:
        """Whether the last stage is evaluated at the end of the step, t1 and y1."""
        return bool(self.tableau.ssal and self.tableau.c[-1] == 1)

    def step_and_stages(
        self,
        terms: Any,
        t0: Any,
        t1: Any,
        y0: Any,
        args: Any,
        solver_state: Any,
        direction: Any = None,
    ) -> tuple[Any, list[Any], Any]:
        """A step of an ODE, its stages times dt, and dt times the Jacobian at its end times a direction, if asked for.

        Value and product come from one pass over the vector field, forward and back.

        Args:
            direction: of the stages but the last, y0 and y1, for a solver that `ends_at_its_last_stage`; or None.
        """
        tableau, image = self.tableau, None
        dt, control = t1 - t0, terms.contr(t0, t1)
        slope = solver_state if tableau.fsal else terms.vf(t0, y0, args)
        stages, y = [terms.prod(slope, control)], y0
        for i, (row, c) in enumerate(zip(tableau.a_lower, tableau.c, strict=True), 2):
            y = _plus(y0, row, stages)
            t = t1 if c == 1 else t0 + jnp.asarray(c, dt.dtype) * dt  # the end without rounding
            if direction is not None and i == tableau.num_stages:
                field: Any = lambda y, t=t: terms.vf(t, y, args)
                slope, image = jax.jvp(field, (y,), (direction(stages, y0, y),))
                image = terms.prod(image, control)
            else:
                slope = terms.vf(t, y, args)
            stages.append(terms.prod(slope, control))
        y1 = y if tableau.ssal else _plus(y0, tableau.b_sol, stages)
        dense = {"y0": y0, "y1": y1, "k": jax.tree.map(lambda *k: jnp.stack(k), *stages)}
        error = combined(tableau.b_error, stages)
        after = slope if tableau.fsal else None
        return (y1, error, dense, after, dfx.RESULTS.successful), stages, image


def _plus(y0: Any, weights: Any, stages: list[Any]) -> Any:
    return jax.tree.map(jnp.add, y0, combined(weights, stages))


@cache
def _class(kind: Any) -> Any:
    return type(kind.__name__, (Unrolled, kind), {"__module__": __name__})


@cache
def _fields(kind: Any) -> tuple[str, ...]:
    return tuple(f.name for f in dataclasses.fields(kind) if f.init)


def unrolled(solver: Any, controller: Any) -> Any:
    """The same solver with its stages written out; an explicit method with one tableau, else unchanged.

    Args:
        solver: any diffrax solver.
        controller: of its steps; with one that knows of jumps of the field, the solver is left as it is.
    """
    kind: Any = type(solver)  # isinstance sees through HalfSolver
    explicit = issubclass(kind, dfx.AbstractERK) and isinstance(kind.tableau, dfx.ButcherTableau)
    while controller is not None:
        if getattr(controller, "jump_ts", None) is not None:
            return solver
        controller = getattr(controller, "controller", None)
    own = any(getattr(kind, n) is not getattr(dfx.AbstractERK, n) for n in ("init", "step"))
    if not explicit or own:
        return solver
    made: Any = _class(kind)
    return made(**{name: getattr(solver, name) for name in _fields(kind)})
