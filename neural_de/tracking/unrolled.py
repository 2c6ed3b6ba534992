"""Explicit Runge-Kutta steps with unrolled stages.

diffrax runs the stages in a loop of its own, whose body reads and writes a buffer of all of them: it serves implicit
and multi-term methods too, and is compiled once however many stages there are. Written out, a stage reads the stages
it needs in one fused pass, and the way back has no inner loop to replay. Where the vector field is small, the loop is
a fifth to a quarter of a gradient's time (`benchmarks/regularizer_overhead.py`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import cache
from typing import Any

import diffrax as dfx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .evaluations import Cost, Evaluations, has_noise, has_values, tableau_cost
from .norms import Norm
from .stages import along, combined, direction, shampine, slope_along
from .wrapping import attribute_of


class StageByStage:
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
        """The first stage of an FSAL method; otherwise the state of diffrax's own step.

        Args:
            terms: a pytree of diffrax terms.
            t0: start of the first step.
            t1: its end.
            y0: the initial state.
            args: of the vector field.
        """
        if not has_values(terms, t0, t1, y0, args):
            return super().init(terms, t0, t1, y0, args)  # type: ignore[misc]
        return terms.vf(t0, y0, args) if self.tableau.fsal else None

    def step(
        self, terms: Any, t0: Any, t1: Any, y0: Any, args: Any, solver_state: Any, made_jump: Any
    ) -> Any:
        """One step, stage by stage for an ODE, else diffrax's own; see `diffrax.AbstractSolver.step`.

        Args:
            terms: a pytree of diffrax terms.
            t0: start of the step.
            t1: its end.
            y0: state at the start.
            args: of the vector field.
            solver_state: the saved first stage of an FSAL method, or None.
            made_jump: whether the field jumps at t0.
        """
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
        """A step of an ODE, its stages times dt, and dt times the Jacobian at its end times a direction, if requested.

        Value and product come from one pass over the vector field, forward and back.

        Args:
            terms, t0, t1, y0, args: of the step.
            solver_state: the slope at its start, of a first-same-as-last method.
            direction: of the stages but the last, y0 and y1, for a solver that `ends_at_its_last_stage`; or None.

        Returns:
            What `step` returns; the stages times dt, one by one; dt J v, None without a direction.
        """
        tableau, image = self.tableau, None
        dt, control = t1 - t0, terms.contr(t0, t1)
        # Stage by stage; the last one with a product of the Jacobian, if that is asked for.
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
    return type(kind.__name__, (StageByStage, kind), {"__module__": __name__})


@cache
def _fields(kind: Any) -> tuple[str, ...]:
    return tuple(f.name for f in dataclasses.fields(kind) if f.init)


def unrolled(solver: Any, controller: Any) -> Any:
    """The same solver with its stages written out; an explicit method with one tableau, else unchanged.

    Args:
        solver: any diffrax solver.
        controller: of its steps; with one that handles jumps of the field, the solver is unchanged.
    """
    kind: Any = type(solver)  # isinstance sees through HalfSolver
    explicit = issubclass(kind, dfx.AbstractERK) and isinstance(kind.tableau, dfx.ButcherTableau)
    own = any(getattr(kind, n) is not getattr(dfx.AbstractERK, n) for n in ("init", "step"))
    if not explicit or own or attribute_of(controller, "jump_ts") is not None:
        return solver
    made: Any = _class(kind)
    return made(**{name: getattr(solver, name) for name in _fields(kind)})


def step_with_stiffness(
    solver: Any,
    kinds: Sequence[str],
    norm: Norm,
    terms: Any,
    t0: Any,
    t1: Any,
    y0: Any,
    args: Any,
    state: Any,
    made_jump: Any,
) -> tuple[tuple[Any, Any, Any, Any, Any], dict[str, Float[Array, ""]]]:
    """A step with estimates of its stiffness.

    Of a method that ends at its last stage, the stage and the Jacobian-vector product there are one pass.

    Args:
        solver: any of diffrax.
        kinds: of stiffness: "shampine", "jvp".
        norm: of states.
        terms, t0, t1, y0, args, state, made_jump: of the step, as `solver.step` takes them.

    Returns:
        What `solver.step` returns, and the stiffness by kind, in 1/time.
    """
    point = (terms, t0, t1, y0, args)
    own = isinstance(solver, StageByStage) and has_values(*point)
    if not (kinds and own):
        taken = solver.step(*point, state, made_jump)
        dense = taken[2]
        k = dense.get("k") if kinds and not has_noise(terms) else None
        stages = None if k is None else _listed(k)
        return taken, {kind: _after(kind, solver, stages, norm, *point, taken[0]) for kind in kinds}
    found: list[Any] = []

    def unit(stages: Any, y0: Any, y1: Any) -> Any:
        found[:] = direction(type(solver), stages, y0, y1, norm)
        return found[0]

    with_product = "jvp" in kinds and solver.ends_at_its_last_stage
    taken, stages, image = solver.step_and_stages(*point, state, unit if with_product else None)
    known = {}
    if with_product:
        vector, size = found
        known["jvp"] = slope_along(image, vector, size, t1 - t0, norm)
    rest = [kind for kind in kinds if kind not in known]
    return taken, known | {
        kind: _after(kind, solver, stages, norm, *point, taken[0]) for kind in rest
    }


def _after(
    kind: str, solver: Any, stages: Any, norm: Norm, terms: Any, t0: Any, t1: Any, y0: Any, args: Any, y1: Any
) -> Float[Array, ""]:  # fmt: skip
    made_by = type(solver)
    if kind == "shampine":
        return shampine(made_by, stages, y0, t1 - t0, norm)
    return along(made_by, stages, terms, t0, t1, y0, y1, args, norm)


def _listed(stages: Any) -> list[Any]:
    """Stages one by one, from leaves of shape (stages, ...)."""
    n = len(jax.tree.leaves(stages)[0])
    return [jax.tree.map(lambda k, i=i: k[i], stages) for i in range(n)]
