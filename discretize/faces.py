"""The public classes of algorithms and derivations: all results for an iteration under one name."""

from __future__ import annotations

import math
import pathlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sympy as sp

from .._support.arguments import checked
from .._support.errors import NotCarried, NotConsistent, OdescentError
from .._support.numbers import check_whole
from ..dynamics.algebra.scalars import check_known, exact_values
from ..dynamics.algebra.vectors import Expr, VectorSymbol, zero
from ..dynamics.flows.system import System
from ..dynamics.vector_fields.block import Block, check_vectors, start
from ..dynamics.vector_fields.spaces import Spaces
from .equality.verdict import Equivalence
from .expansion.backward_error import (
    coefficient_drift,
    inconsistency,
    limit_flow,
    modified_equation,
)
from .expansion.delay_limit import DelayEquation, delay_limit, delays
from .expansion.modified_equation import ModifiedEquation
from .expansion.projected import inside, projected
from .programs.bindings import chained
from .programs.substeps import Let, Scheme
from .proof.exact_data import Principle
from .proof.steps import Path
from .step.iteration import Iteration

if TYPE_CHECKING:
    import optax
    from jaxtyping import Array, Key
    from torch.optim import Optimizer

    from ..dynamics.random.sources import Counters
    from ..dynamics.vector_fields.objective import Objective
    from .expansion.decaying_limit import DecayingLimit
    from .runs.trajectory import Trajectory


class Algorithm(Iteration):
    """An optimization algorithm: a system discretized by a scheme.

    Args:
        system: the continuous-time system.
        scheme: the scheme. Both may be the names of registered ones that need no options, as "rk4".
        step: the symbol of the step size; or its value, such as 0.1 or 1/L, which is a ``tuning`` of the symbol h; or
            an expression in the state, as ``gam / sqrt(inner(g, g))`` with ``g = f.grad(x)``, taken before each step.
        small: of a step that depends on the state, the parameter that multiplies it and in which limits are taken; not
            needed if there is only one.
        where: bindings that are part of the discretization and may contain the step, e.g. ``{a: h}``.
        tuning: values substituted last, e.g. ``{h: 1 / sqrt(L)}``; they are kept apart so that orders in the step
            keep their meaning.
        outputs: further named expressions in the blocks, recorded with the states.
        clock: time as an expression in the step number k and the step, such as (k + 1) * h; k * h by default.
        assumes: hypotheses on the parameters, checked whenever values are given.
        positive: names of blocks whose entries must be positive at the start of a run; other starts raise an error,
            because the statements on the method do not hold for them.
        name, reference, provenance: descriptive; provenance states which parts are reconstructed.

    Raises:
        NotConsistent: the committed substeps do not add up to the drift as the step tends to zero (not checked if
            this limit is an average over draws), or the clock does not advance by the step.
        OdescentError: the scheme does not fit the system, or a value violates a hypothesis.
    """

    def consistent_with(self) -> System:
        """The limit flow: the system that the algorithm tends to as the step tends to zero.

        Of a step that depends on the state it is the limit in its small factor: the drift times the step over it.
        Raises OdescentError where there is no such factor.
        """
        return limit_flow(self)

    def delay_limit(self) -> DelayEquation:
        """The delay equation that a method with windows over a fixed time, ``where={m: T/h}``, tends to."""
        return delay_limit(self)

    @checked
    def decaying_limit(self, schedules: Mapping[Any, object]) -> DecayingLimit:
        """The limit flow of the method with parameters that decay as powers of the step number (the ODE method).

        Blocks that move by different powers are on time scales that part: the faster ones rest on the critical
        manifold. An average of gradients with the weight (2/(k + 2))^(4/5) and steps 2/(k + 2) tends to gradient flow
        in the time that adds up 1/k.

        Args:
            schedules: of parameters, free ones of the tuned method, expressions in the step number k with rational
                powers, as ``{h: 2/(k + 2), beta: 1 - (2/(k + 2))**(4/5)}``; those left out stay constant.

        Returns:
            the exponents of the blocks, their order, the flow, and whether the conditions on the exponents hold.

        Raises:
            OdescentError: a parameter that the method does not have, a schedule that is no power or does not make the
                step small, fast blocks that do not come to rest.
            NotCarried: increments of processes, counts, memories and coefficients; noise that outgrows the drift.
        """
        from .expansion.decaying_limit import decaying_limit

        return decaying_limit(self, schedules)

    def _check_consistent(self) -> None:
        self._check_limit()
        super()._check_consistent()

    def _check_limit(self) -> None:
        """Refuse substeps that do not add up to the system as the step tends to zero."""
        if delays(self):  # the substeps add up as they do with a fixed number of values
            lengths = {s for b in self.system.blocks if b.keeps for s in b.history.free_symbols}
            self.replace(where={s: e for s, e in self.where.items() if s not in lengths})
            delay_limit(self)
            return
        if projected(self):
            self.replace(scheme=inside(self), tuning={})
            return
        try:
            found = inconsistency(self)
        except NotCarried:  # the limit is an average over draws: the drift is compared with nothing
            found = None
        except OdescentError as error:
            if type(error) is not OdescentError:
                raise
            raise OdescentError(
                f"{str(error).rstrip('.')}; a method without one is given as its map, od.method({{block: value}}, "
                "output=...)."
            ) from None
        if found is not None:
            block, moved, drift = found
            raise NotConsistent(
                f"the scheme does not add up to the system: as {self.step} -> 0 its substeps move {block} by "
                f"{moved}, but the drift is {drift}; every field must be committed for one whole step."
            )
        coefficient_drift(self)

    @checked
    def modified_equation(self, order: int = 1) -> ModifiedEquation:
        """The modified equation through O(h^order), by backward error analysis."""
        check_whole("order", order, 0, math.inf)  # it has a bound of its own
        return modified_equation(self, order)

    def derivation(self) -> Derivation:
        """The checked path from the system to this algorithm: drift, map, limit, modified equation, form.

        Raises NotCarried if the limit is an average over draws.
        """
        from .proof.direct import checked_steps

        if self.own_program.draws:
            limit_flow(self)
        return Derivation(
            self.name or "algorithm",
            "direct",
            f"{self.name or 'The algorithm'} as the scheme {self.scheme.name or self.scheme} on its system.",
            checked_steps(self),
            self,
            provenance=self.provenance,
            references=self.system.references,
            principle=Principle("scheme", {}),
        )

    @checked
    def equivalent(
        self, other: Algorithm, where: Mapping[sp.Symbol, object] | None = None
    ) -> Equivalence:
        """Whether the two call their oracles at the same points, from every start and for every function.

        ``where`` binds parameters of this algorithm first, the step among them; it goes before the tuning.
        """
        from .equality.equivalence import compare

        values = {**self.tuning, **exact_values(where)}
        check_known(where or {}, {*self.program.parameters, *self.parameters, *self.tuning})
        return compare(self.program.bind(chained(values)), other.tuned)

    def run(
        self,
        objective: Objective | Callable[[Any], Any] | Mapping[str, Any] | None,
        x0: Any,
        steps: int | None = None,
        key: Key[Array, ""] | int | Counters | None = None,
        **options: Any,
    ) -> Trajectory:
        """Iterate on an objective from x0, in one compiled loop in float64.

        >>> od.algorithm("gradient_descent", step=0.1).run(lambda x: jnp.sum((x - 1) ** 2), np.zeros(3), 100)

        Args:
            objective: a JAX function of one array or pytree to a number; an `Objective` with the oracles that the
                method calls; or the name of a registered one; of several functions a mapping of their names to
                these; None for a method that calls none.
            x0: the starting point: numbers, an array or a pytree, or these by block symbol, ``{x: x0, y: y0}``; for
                particles, with a leading axis of length N.
            steps: the number of steps.
            key: a JAX key or an integer seed, for methods that draw noise.
            options: values of parameters by name or alias, such as step=0.1, which replace the tuning (mu and L default
                to the objective's constants); normals="jax" for JAX's generator; groups= for a tree in `Groups`. Ends:
                until={"gradient": 1e-6}, also of "value", "distance", "box" or functions of (t, x, states), with
                max_steps= in place of steps; budget={"gradients": 1000}, by the names of `cost`. Long
                runs: every= (keep every so many steps), statistics= (of "mean", "variance", "minimum", "maximum" over
                all steps), chunk= (steps per call), progress=True, and resume=, a run file (.npz) that is written as
                the run goes, and continued if it is there.

        Returns:
            A `Trajectory`: ``.x`` of shape (steps + 1, *x0.shape), ``.f``, ``.t``, ``.states`` by block; NumPy arrays
            for an x0 of NumPy's or Python's numbers, JAX arrays for one of JAX, pytrees for a pytree.

        Raises:
            OdescentError: an invalid start, number of steps or parameter, a function that JAX cannot trace, a missing
                oracle of the objective, or an object of PyTorch (use `to_torch`).
        """
        from .runs.run import explained, run

        with explained(self, objective, x0):
            return run(self, objective, x0, steps, key, **options)

    def cost(self, objective: Objective | None = None) -> dict[str, int]:
        """How many gradients, values, products and solves a step takes; of a `FiniteSum` also how many examples.

        What guards decide is left out. A run has that too, in `Trajectory.counts`, by record.
        """
        from .runs.cost import cost_of_step

        return cost_of_step(self, objective)

    def source(self, target: str = "numpy") -> str:
        """Stand-alone source for a target (see `odescent list targets`); the same bytes every time.

        Raises NotCarried, with the reason, if the target does not support the algorithm.
        """
        from .emit import source

        return source(self, target)

    @checked
    def write(self, path: str | pathlib.Path, target: str = "numpy") -> pathlib.Path:
        """Write the source to a file, atomically."""
        from .emit import write

        return write(self, path, target)

    def to_optax(self, /, **parameters: Any) -> optax.GradientTransformation:
        """The algorithm as an optax transformation: the emitted source, loaded.

        ``parameters`` are numbers, arrays, or schedules of the step, by name or alias; ``key`` is for methods with
        noise. Raises NotCarried if optax does not support the method, OdescentError for missing or unknown parameters.
        """
        from .emit import to_optax

        return to_optax(self, **parameters)

    def to_torch(self, /, params: Any, **options: Any) -> Optimizer:
        """The algorithm as a torch optimizer of ``params``: the emitted source, loaded.

        ``options`` are the parameters by name or alias, and torch's own (foreach, maximize, ...). Those that the
        algorithm was made with, as in ``od.algorithm("heavy_ball", lr=0.1, momentum=0.9)``, are keys of the parameter
        groups as well, lr among them, for schedulers. ``loss``, a function of a list of tensors, is enough for methods
        that read values or products of the Hessian. Raises NotCarried if torch does not support the method,
        OdescentError for missing or unknown options or if torch is not installed.
        """
        from .emit import to_torch

        return to_torch(self, params, **options)

    def latex(self) -> str:
        """One step as an aligned LaTeX environment."""
        from .emit.backends.latex import latex

        return latex(self)

    def to_dict(self) -> dict[str, Any]:
        """The method as plain data."""
        from .proof.report import algorithm_dict

        return algorithm_dict(self)

    def __str__(self) -> str:
        from .proof.report import program_text

        return program_text(self.tuned)


@dataclass(frozen=True, repr=False)
class Derivation(Path):
    """A derivation of an algorithm from a principle, with the bound system, its limit and the modified equation.

    Attributes: those of `Path`; steps, algorithm and equations among them.
    """

    algorithm: Algorithm

    def text(self) -> str:
        """The derivation as plain text."""
        from .proof.report import derivation_text

        return derivation_text(self)

    def __str__(self) -> str:
        return self.text()

    def latex(self) -> str:
        """The derivation as a LaTeX fragment (needs amsmath)."""
        from .proof.report import derivation_latex

        return derivation_latex(self)

    def html(self) -> str:
        """The derivation as one HTML page that needs no network."""
        from .proof.page import page

        return page(self)

    def _page(self) -> str:
        from .proof.page import folded

        return folded(self)

    def to_dict(self) -> dict[str, Any]:
        """The derivation as plain data with stable keys."""
        from .proof.report import derivation_dict

        return derivation_dict(self)


@checked
def method(
    updates: Mapping[Any, Any],
    *,
    output: Expr,
    init: Mapping[Any, Any] | None = None,
    before: Mapping[Any, Any] | Sequence[Mapping[Any, Any]] | None = None,
    tuning: Mapping[sp.Symbol, object] | None = None,
    name: str = "",
    reference: str = "",
) -> Algorithm:
    """An algorithm given directly as an update map: ``method({x: y - s * f.grad(y), ...}, output=x)``.

    It has no underlying flow, and serves as a reference for comparisons.

    Args:
        updates: the new value of each block, assigned simultaneously, after ``before``.
        output: the iterate, as an expression in the blocks.
        init: initial values in x0; by default blocks start at x0, those in the space of a map's values at zero;
            matrices beside vectors need one.
        before: assignments made before ``updates``, such as the point of the gradient: one mapping, whose values are
            assigned simultaneously, too, or a list of them, each of which reads what those before it assign.
        tuning: values of parameters in terms of mu and L.
        name: of the algorithm.
        reference: its source, with DOI or arXiv number.

    Raises OdescentError for a matrix beside vectors without an initial value.
    """
    earlier = [before] if isinstance(before, Mapping) else before or ()
    lets = (*(Let(assigned) for assigned in earlier if assigned), Let(updates))
    symbols = list(dict.fromkeys(s for let in lets for s in let.assign))
    vectors = [s for s in symbols if isinstance(s, VectorSymbol)]
    begin = {str(getattr(s, "name", s)): e for s, e in (init or {}).items()}
    for s in vectors:
        if (
            s.operates
            and begin.get(s.name, start) == start
            and not all(v.operates for v in vectors)
        ):
            raise OdescentError(
                f"the matrix {s} has no starting value, and cannot start at the vector x0: give one, as in "
                f"init={{{s}: od.identity}}."
            )
    kept = "has no update; a block that stays is its own update"
    for s, e in (item for let in lets for item in let.assign.items()):
        check_vectors(f"the update of {s}", e, {*symbols}, kept, s, exact=True)
    if stray := begin.keys() - {s.name for s in symbols}:
        raise OdescentError(f"an initial value is given for {min(stray)}, which {kept}.")
    spaces = Spaces()
    for s, e in (item for let in lets for item in let.assign.items()):
        spaces.equate(s, e)
    elsewhere = spaces.valued(symbols, output)
    declared = [
        Block(s.name, s.kind, "memory", zero if s in elsewhere else start)
        if isinstance(s, VectorSymbol)
        else Block(s.name, "scalar", "memory", sp.S.Zero)
        for s in symbols
    ]
    system = System({}, blocks=declared, output=output, init=init, name=name)
    return Algorithm(
        system, Scheme(lets, name or "map"), tuning=tuning, name=name, reference=reference
    )
