"""The public class of systems: fields and their flow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..vector_fields.system import VectorFields

if TYPE_CHECKING:
    from ..vector_fields.objective import Objective
    from .solution import Solution


class System(VectorFields):
    __doc__ = VectorFields.__doc__

    def simulate(
        self, objective: Objective | Mapping[str, Any] | None, x0: Any, t1: float, **options: Any
    ) -> Solution:
        """The flow from x0 to time t1, through diffrax, in float64.

        Args:
            objective: with the oracles that the system calls, or its name; of several functions a mapping of their
                names to objectives, maps or JAX functions; None for a system that calls none.
            x0: the starting point, an array; or arrays by block symbol, ``{x: x0, y: y0}``, whose shapes may differ.
            t1: the final time; the initial time t0= is 0 by default.
            options: parameters= by name, points= or times=, rtol= and atol=, solver=, dt=, dense=, until= (a stopping
                condition), key= for noise; see `simulate.simulate`.

        Returns a `Solution`: ``.t`` of shape (points,), ``.x`` of shape (points, *x0.shape), ``.states`` by block.
        Raises SolverStopped, with the solution up to that time, and OdescentError for invalid input.
        """
        from .simulate import simulate

        return simulate(self, objective, x0, t1, **options)

    def simulate_many(
        self, objective: Objective, starts: Any, t1: float, **options: Any
    ) -> Solution:
        """Simulate the flow from many starting points by fixed steps; see `many.simulate_many`.

        Args:
            objective: supplies the oracles.
            starts: starting points, shape (n, ...).
            t1: the final time.
            **options: as for `many.simulate_many`.

        Returns:
            the solution, with the axis n after that of times.
        """
        from .many import simulate_many

        return simulate_many(self, objective, starts, t1, **options)
