"""The public class of systems: fields and their flow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature
from typing import TYPE_CHECKING, Any

from ..._support.errors import OdescentError
from ..vector_fields.system import VectorFields

if TYPE_CHECKING:
    from ..fast_slow.manifold import SlowManifold
    from ..vector_fields.objective import Objective
    from .solution import Solution


class System(VectorFields):
    __doc__ = VectorFields.__doc__
    _instead = "put the fields of several into one, as in System({**a.fields, **b.fields})"

    def simulate(
        self,
        objective: Objective | Mapping[str, Any] | Callable[..., Any] | None,
        x0: Any,
        t1: float,
        **options: Any,
    ) -> Solution:
        """The flow from x0 to time t1, through diffrax, in float64.

        What is compiled serves for other starts, parameters, keys and tolerances of ``until`` too, that of adaptive
        steps also for other times.

        Args:
            objective: with the oracles that the system calls, its name, or a JAX function of the point; of several
                functions a mapping of their names to objectives, maps or JAX functions; None for a system that calls
                none.
            x0: the starting point, an array; or arrays by block symbol, ``{x: x0, y: y0}``, whose shapes may differ.
            t1: the final time; the initial time t0= is 0 by default.
            options: parameters= by name; points= (how many equally spaced times) or times=; rtol= and atol=; solver=
                (tsit5, dopri5, dopri8, heun; kvaerno3 and kvaerno5 for stiff systems; rk4, euler, midpoint for fixed
                steps; euler_maruyama and stochastic_heun for noise); dt=, a fixed step; dense=True for a solution that
                can be called; until=, where to stop: a function of (t, x, states) at whose zero, or a mapping with any
                of "gradient", "value", "distance" (tolerances) and "box"; key= for noise, with path="tree" (one path
                whatever dt) or "increments" (independent, faster); max_steps=.

        Returns a `Solution`: ``.t`` of shape (points,), ``.x`` of shape (points, *x0.shape), ``.states`` by block.
        Raises SolverStopped, with the solution up to that time, and OdescentError for invalid input.
        """
        from .simulate import simulate

        self._refuse_parameters(simulate, options)
        return simulate(self, objective, x0, t1, **options)

    def simulate_many(
        self, objective: Objective, starts: Any, t1: float, **options: Any
    ) -> Solution:
        """Simulate the flow from many starting points by fixed steps.

        Args:
            objective: supplies the oracles.
            starts: starting points, shape (n, ...).
            t1: the final time.
            **options: dt=, the step, of which the interval is a whole number; points=, at most so many steps are kept;
                solver=, rk4, heun, midpoint or euler; t0=; parameters= by name, numbers or arrays of shape (n,).

        Returns:
            the solution, with the axis n after that of times.
        """
        from .many import simulate_many

        self._refuse_parameters(simulate_many, options)
        return simulate_many(self, objective, starts, t1, **options)

    def _refuse_parameters(self, function: Callable[..., Any], options: Mapping[str, Any]) -> None:
        """Refuse parameters of the system among the options of a simulation."""
        own = options.keys() & {s.name for s in self.parameters}
        for name in own and sorted(own - {*signature(function).parameters}):
            who = self.name or "the system"
            raise OdescentError(
                f"{name} is a parameter of {who}: give it as parameters={{{name!r}: ...}}."
            )

    def critical_manifold(
        self, *, tolerance: object = None, max_steps: object = None, method: Any = None
    ) -> dict[Any, Any]:
        """The fast blocks at rest, as functions of the slow ones: the slow manifold at order 0.

        Args:
            tolerance, max_steps, method: of the searches for implicit functions, as for `root`; with a method linear
                fast equations are searched as well, unless their solution is in closed form.

        Returns:
            expressions by fast block: in closed form where the fast equations are linear, else implicit functions.

        Raises:
            OdescentError: as `slow_manifold`.
        """
        from ..fast_slow.manifold import expand
        from ..implicit.making import search_options

        how = search_options(tolerance, max_steps, method, "critical_manifold")
        return expand(self, 0, how).graph()

    def slow_manifold(self, order: int = 1) -> SlowManifold:
        """The slow manifold as a series in the small parameters, with the hypotheses under which it attracts.

        Args:
            order: the highest order of the expansion; the system declares its fast blocks, ``fast=`` or `with_fast`.

        Raises:
            OdescentError: no fast block, a manifold that is not normally hyperbolic or that repels; see
                `dynamics.fast_slow.manifold.expand`.
        """
        from ..fast_slow.manifold import expand

        return expand(self, order)

    def reduced(
        self,
        order: int = 0,
        *,
        tolerance: object = None,
        max_steps: object = None,
        method: Any = None,
    ) -> System:
        """The slow blocks on the slow manifold, to an order in the small parameters: a system that runs.

        Args:
            order: the highest order of the fields in the small parameters.
            tolerance, max_steps, method: of the searches, as for `critical_manifold`.

        Returns:
            a system without fast blocks. Where the manifold is an implicit function, the fast block stays as a memory
            from which its numbers are searched.

        Raises:
            OdescentError: as `slow_manifold`; noise on a fast block that has no average in closed form.
        """
        from ..fast_slow.reduction import reduced
        from ..implicit.making import search_options

        return reduced(self, order, search_options(tolerance, max_steps, method, "reduced"))

    def normal_rates(
        self,
        objective: Objective | Mapping[str, Any] | None,
        at: Mapping[Any, Any],
        parameters: Mapping[str, Any] | None = None,
    ) -> Any:
        """The measured rates of attraction of the critical manifold.

        Args:
            objective: the functions that the equations call, as for `simulate`.
            at: arrays by block.
            parameters: numbers by name.

        Returns:
            the eigenvalues of the fast equations times the small parameter; all real parts are negative where it
            attracts.
        """
        from .normal_rates import normal_rates

        return normal_rates(self, objective, at, parameters)

    def layer(self) -> System:
        """The equations of the fastest blocks with the others held, in their own time.

        Raises OdescentError for a system without fast blocks.
        """
        from ..fast_slow.reduction import layer

        return layer(self)
