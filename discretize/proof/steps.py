"""Checked steps from a principle to an algorithm."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, ParamSpec, TypeVar

import sympy as sp

from ..._support.errors import OdescentError
from ..._support.registry import title_of
from ..._support.rendering.rendered import Rendered
from ...dynamics.algebra.calculus import substitute, tidy, vanishes
from ...dynamics.algebra.named import named, opened
from ...dynamics.algebra.trees import tree
from ...dynamics.algebra.vectors import Expr, Vector
from ...dynamics.flows.system import System
from ...dynamics.notation.show import latex, text
from ...dynamics.vector_fields.second_order import SecondOrder
from ..expansion.backward_error import limit_flow, modified_equation
from ..expansion.modified_equation import ModifiedEquation
from ..expansion.projected import projected
from ..programs.substeps import Scheme
from ..step.iteration import Iteration
from .exact_data import Principle

D = TypeVar("D", bound="Path")
P = ParamSpec("P")
KINDS = ("identity", "choice", "defect", "finding")
PERTURBATION = sp.Rational(8, 7)


@dataclass(frozen=True)
class Claim(Rendered):
    """One asserted expression: ``name = value``; ``tex`` is the left-hand side in LaTeX."""

    name: str
    value: Expr
    tex: str = ""

    def text(self) -> str:
        return f"{self.name} = {text(self.value)}"

    def latex(self) -> str:
        return f"{self.tex or self.name} = {latex(self.value)}"


@dataclass(frozen=True)
class Equation(Rendered):
    """``left = right``, both vectors or both scalars; zero stands for the zero vector too."""

    left: Expr
    right: Expr = sp.S.Zero

    @property
    def difference(self) -> Expr:
        if isinstance(self.left, Vector):
            return self.left if self.right == 0 else self.left - self.right
        return self.left - self.right


@dataclass(frozen=True)
class Recorded:
    """A check by its equations, in which the claims stand by their names."""

    equations: Mapping[str, Equation]

    def __call__(self, claims: Mapping[str, Any]) -> dict[str, Equation]:
        return {
            n: Equation(opened(e.left, claims), opened(e.right, claims))
            for n, e in self.equations.items()
        }


@dataclass(frozen=True)
class Step(Rendered):
    """A checked step.

    Attributes:
        title: what is done.
        statement: prose, mathematics between dollar signs.
        claims: what is asserted.
        check: from the claims by name to equations by name; the step holds if all hold identically. It is
            called with `named` functions in place of the claimed values, so that the equations can be
            written down, and replayed elsewhere, as equations about what is claimed; it may combine,
            substitute in and differentiate these, but not look inside.
        kind: identity, choice (a free decision and the conditions that it meets), defect (what does not
            hold, with its exact size) or finding (a consequence worth knowing).
        assumes: hypotheses; reference: where the idea comes from.
    """

    title: str
    statement: str
    claims: tuple[Claim, ...]
    check: Callable[[Mapping[str, Any]], Mapping[str, Equation]]
    kind: str = "identity"
    assumes: str = ""
    reference: str = ""

    def __reduce__(self) -> tuple[Any, ...]:
        # a check is a function inside another one, which has no name to be loaded by; its equations have all of it
        kept = replace(self, check=Recorded(self.equations))
        return Step, tuple(getattr(kept, f.name) for f in fields(Step))

    @cached_property
    def _named(self) -> dict[str, Expr]:
        return {c.name: named(c.name, c.value) for c in self.claims}

    @cached_property
    def equations(self) -> dict[str, Equation]:
        """The equations to check, with the claims by name."""
        return dict(self.check(self._named))

    @cached_property
    def residuals(self) -> dict[str, Expr]:
        """The residuals, which must vanish: differences of the equations at the claimed values."""
        return {n: tidy(self._residual(e)) for n, e in self.equations.items()}

    def _residual(self, equation: Equation) -> Expr:
        return opened(equation.difference, {c.name: c.value for c in self.claims})

    @property
    def residual(self) -> Expr:
        """The first residual that does not vanish; zero if the step holds."""
        return next((e for e in self.residuals.values() if not vanishes(e)), sp.S.Zero)

    @cached_property
    def verified(self) -> bool:
        """Whether every residual is identically zero; the first that is not ends the search."""
        return bool(self.equations) and all(
            vanishes(self._residual(e)) for e in self.equations.values()
        )

    def perturbed(self, scale: sp.Rational = PERTURBATION) -> Iterator[Step]:
        """The step with one coefficient of one claim scaled, for each term of each claim: none may verify."""
        for i, claim in enumerate(self.claims):
            for value in _perturb(claim.value, scale):
                claims = (*self.claims[:i], replace(claim, value=value), *self.claims[i + 1 :])
                step = replace(self, claims=claims)
                if step._named == self._named:  # the check sees names only: the same equations
                    vars(step)["equations"] = self.equations
                yield step

    def to_dict(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "kind": self.kind,
            "statement": self.statement,
            "assumes": self.assumes,
            "reference": self.reference,
            "claims": [
                {"name": c.name, "text": text(c.value), "latex": c.latex(), "value": tree(c.value)}
                for c in self.claims
            ],
            "checks": [
                {
                    "name": n,
                    "text": f"{text(e.left)} = {text(e.right)}",
                    "left": tree(e.left),
                    "right": tree(e.right),
                    "residual": text(self.residuals[n]),
                }
                for n, e in self.equations.items()
            ],
            "verified": self.verified,
        }


def _perturb(value: Expr, scale: sp.Rational) -> Iterator[Expr]:
    if isinstance(value, Vector):
        for atom, coefficient in value.terms.items():
            for c in _perturb(coefficient, scale):
                yield value + atom * (c - coefficient)
        return
    if value.is_Add:
        for term in value.args:
            yield value + (scale - 1) * term
    elif value == 0:
        yield scale
    else:
        yield value * scale


@dataclass(frozen=True)
class Path(Rendered):
    """Checked steps to an algorithm: the core of `Derivation`, with three equations that must not be confused.

    Attributes:
        name, route: what is derived and along which route.
        summary: one sentence.
        steps: the steps in order.
        algorithm: where they lead.
        provenance: what is reconstructed.
        bound_position, flow_position: the expression whose second-order equation is shown for the bound
            system, and for the limit and the modified equation; the output by default.
        notation: what the symbols mean, as pairs of LaTeX and a few words, in the order of their use.
        principle: the call that makes it again, for a replay; None for one that was put together by hand.
    """

    name: str
    route: str
    summary: str
    steps: tuple[Step, ...]
    algorithm: Iteration
    provenance: str = ""
    references: tuple[str, ...] = ()
    bound_position: Expr | None = None
    flow_position: Expr | None = None
    notation: tuple[tuple[str, str], ...] = ()
    principle: Principle | None = None

    @property
    def title(self) -> str:
        """The title of the derived algorithm."""
        return title_of(self.name, "algorithm")

    @property
    def system(self) -> System:
        """The system with its bindings."""
        return self.algorithm.bound

    @property
    def scheme(self) -> Scheme:
        return self.algorithm.scheme

    @property
    def verified(self) -> bool:
        return all(s.verified for s in self.steps)

    def check(self) -> bool:
        """Check every step and compute the equations, so that displaying the derivation computes nothing."""
        return bool(self.equations) and self.verified

    @cached_property
    def modified(self) -> ModifiedEquation:
        return modified_equation(self.algorithm, 1)

    @cached_property
    def equations(self) -> dict[str, SecondOrder | System | ModifiedEquation]:
        """The bound system, its limit for h -> 0 and the modified equation.

        As x'' + ... = 0 where that form exists, else as first-order systems. The limit is left out for a step that
        depends on the state and has no small factor, or projects, and the modified equation where backward error
        analysis does not reach, and where noise survives in the limit: see `weak_modified_equation`.
        """
        shown: dict[str, SecondOrder | System | ModifiedEquation] = {
            "bound system": _second_order_or_itself(self.system, self.bound_position)
        }
        if self.algorithm.size is not None and self.algorithm.small is None:
            return shown  # there are no small steps
        if projected(self.algorithm):
            return shown  # the limit stays in a set
        limit = limit_flow(self.algorithm)
        at_rest = self.flow_position
        if at_rest is not None:
            at_rest = substitute(at_rest, {self.algorithm.step: sp.S.Zero})
        shown["limit h -> 0"] = _second_order_or_itself(limit, at_rest)
        program = self.algorithm.program
        if len(program.draws) > len(program.samples):
            return shown
        with suppress(OdescentError):
            shown["modified equation"] = _second_order_or_itself(self.modified, self.flow_position)
        return shown

    def __repr__(self) -> str:
        done = sum(s.verified for s in self.steps)
        kind, steps = type(self).__name__, f"{done} of {len(self.steps)} steps verified"
        return f"<{kind} of {self.name} by the {self.route} route: {steps}>"


def _second_order_or_itself(
    flow: System | ModifiedEquation, output: Expr | None
) -> SecondOrder | System | ModifiedEquation:
    try:
        return flow.second_order(output)
    except OdescentError:
        return flow


def follows_from(by: str) -> Callable[[Callable[P, D]], Callable[P, D]]:
    """Decorate a function that makes a derivation: the derivation then records the call that made it."""

    def decorate(function: Callable[P, D]) -> Callable[P, D]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def recorded(*args: P.args, **kwargs: P.kwargs) -> D:
            found = function(*args, **kwargs)
            given = signature.bind(*args, **kwargs).arguments
            return replace(found, principle=Principle(by, given))

        return recorded

    return decorate
