"""Passivity and immersion: a control law for an attractive and passive implicit manifold.

For a plant z' = F(z, t) + G(z, t) u and a manifold psi(z, t) = 0 of relative degree one, the law
u = (L_G psi)^-1 (-psi_t - L_F psi - K psi + w) gives psi' = -K psi + w, with psi_t the partial derivative
in time: the storage S = |psi|^2 / 2 obeys S' = -2 K S + <psi, w>, so the loop is passive from w to psi, and
at w = 0 the manifold attracts. (Immersion and invariance: Astolfi and Ortega, 10.1109/TAC.2003.809820.
Passivity and immersion: after arXiv:2509.18346; reconstructed here.)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import sympy as sp

from .._support.errors import OdescentError, listed
from .algebra.calculus import Symbol, coefficient, derivative, substitute, symbols_of, tidy
from .algebra.exact import canonical
from .algebra.vectors import Expr, Vector, VectorSymbol, inner, zero
from .flows.system import System
from .notation.show import text
from .vector_fields.hypotheses import Hypothesis, attracts, differentiability, nonzero, regular

external = VectorSymbol("w")  # the port left for interconnection, unless a block has that name


@dataclass(frozen=True)
class PassivityImmersion:
    """A plant, its implicit manifold and the law that renders it passive.

    Attributes:
        plant: right-hand sides by block symbol, linear in ``control``.
        control: the control vector u.
        manifold: psi, a vector in the blocks that vanishes on the target.
        gain: K, the rate at which psi decays.
        time: the symbol of time, on which everything may depend; every other symbol is constant.
        letter: what psi is called where it is written down.

    Raises:
        OdescentError: a control that is a block or moves nothing, a manifold that contains the control
            or is zero, or a time that is a block.
    """

    plant: Mapping[Symbol, Expr]
    control: VectorSymbol
    manifold: Vector
    gain: sp.Expr
    time: sp.Symbol | None = None
    letter: str = "psi"

    def __post_init__(self) -> None:
        if self.control in self.plant or not any(
            self.control in symbols_of(e) for e in self.plant.values()
        ):
            raise OdescentError(
                f"{self.control} must be a control: it must move a block of the plant without being one."
            )
        if not self.manifold or self.control in self.manifold.free_symbols:
            raise OdescentError(
                f"the manifold {self.manifold} = 0 must be an equation in the blocks, without the control."
            )
        if self.time in self.plant:
            raise OdescentError(f"{self.time} is time, so it cannot be a block of the plant too.")

    @cached_property
    def names(self) -> frozenset[str]:
        """The names of the blocks, the control, the parameters and time."""
        used: set[Symbol] = {*self.plant, self.control, *symbols_of(self.gain)}
        for e in (self.manifold, *self.plant.values()):
            used |= symbols_of(e)
        return frozenset(s.name for s in (*used, *([self.time] if self.time is not None else [])))

    def fresh(self, name: str, beside: Iterable[str] = ()) -> str:
        """The name, with a number behind it if the plant or ``beside`` has it."""
        taken = self.names | set(beside)
        numbered = (f"{name}_{i}" for i in range(1, len(taken) + 2))
        return name if name not in taken else next(n for n in numbered if n not in taken)

    @cached_property
    def port(self) -> VectorSymbol:
        """The external port, w unless that name is taken."""
        return VectorSymbol(self.fresh(external.name), self.control.kind)

    def rates(self, plant: Mapping[Symbol, Expr]) -> dict[Symbol, Expr]:
        """The directions in which the blocks, and time, move."""
        return dict(plant) if self.time is None else {**plant, self.time: sp.S.One}

    @cached_property
    def free(self) -> dict[Symbol, Expr]:
        """F: the plant without control."""
        return {s: tidy(substitute(e, {self.control: zero})) for s, e in self.plant.items()}

    @cached_property
    def inputs(self) -> dict[Symbol, Expr]:
        """G u: what the control adds to each block that it moves."""
        added = {s: tidy(e - self.free[s]) for s, e in self.plant.items()}
        return {s: e for s, e in added.items() if e != 0 and e != zero}

    @cached_property
    def actuated(self) -> tuple[Symbol, ...]:
        """The blocks that the control moves."""
        return tuple(self.inputs)

    @cached_property
    def explicit_rate(self) -> Vector:
        """psi_t: how psi changes with time alone."""
        return zero if self.time is None else tidy(derivative(self.manifold, {self.time: sp.S.One}))

    @cached_property
    def drift_rate(self) -> Vector:
        """L_F psi."""
        return tidy(derivative(self.manifold, self.free))

    @cached_property
    def input_rate(self) -> Vector:
        """(L_G psi) u, how the control moves psi; an operator on u in general."""
        return tidy(derivative(self.manifold, self.inputs))

    @cached_property
    def decoupling(self) -> sp.Expr:
        """L_G psi, a scalar times the identity.

        Raises OdescentError if it vanishes (relative degree is not one) or is not a scalar.
        """
        rate = self.input_rate
        scale = coefficient(rate, self.control)
        if tidy(rate - self.control * scale) != zero or self.control in symbols_of(scale):
            raise OdescentError(
                f"L_G psi must be a scalar times the identity, but the control moves psi by {rate}; "
                "choose a manifold on which the control acts directly."
            )
        if scale == 0:
            raise OdescentError(
                f"the control does not move psi = {self.manifold} at once (L_G psi = 0), so the relative degree "
                "is not one; add a block that the control drives to the manifold."
            )
        return canonical(scale)

    @cached_property
    def smoothness(self) -> tuple[Hypothesis, ...]:
        """Smoothness hypotheses on the plant, the manifold and the gain: denominators, roots, logarithms."""
        parts = {
            **{f"the drift of {s}": e for s, e in self.plant.items()},
            "the manifold": self.manifold,
        }
        return tuple(h for name, e in parts.items() for h in regular(name, e))

    @cached_property
    def differentiable(self) -> str:
        """The order of differentiability of the objectives, in prose."""
        return differentiability(
            [*self.plant.values(), self.manifold, self.drift_rate, self.input_rate]
        )

    @cached_property
    def invertible(self) -> Hypothesis:
        """That the decoupling L_G psi does not vanish."""
        return nonzero("the factor of the control in psi'", self.decoupling)

    @cached_property
    def attracting(self) -> tuple[Hypothesis, ...]:
        """That psi' = -K psi tends to zero."""
        lasting = attracts("the gain", self.gain, self.time, *self.scalars)
        return (*lasting, *regular("the gain", self.gain))

    @property
    def scalars(self) -> list[sp.Symbol]:
        """The blocks that are scalars."""
        return [s for s in self.plant if isinstance(s, sp.Symbol)]

    @property
    def hypotheses(self) -> tuple[Hypothesis, ...]:
        """Everything that the law and what is said of it use."""
        return (*self.smoothness, self.invertible, *self.attracting)

    @cached_property
    def law(self) -> Vector:
        """u, with the external port w."""
        wanted = self.port - self.explicit_rate - self.drift_rate - self.manifold * self.gain
        law: Vector = tidy(wanted / self.decoupling)
        return law

    def closed_loop(self, port: Vector | None = None) -> dict[Symbol, Expr]:
        """The plant under the law, with the port connected to ``port``; left open by default."""
        law = self.law if port is None else substitute(self.law, {self.port: port})
        return {s: tidy(substitute(e, {self.control: law})) for s, e in self.plant.items()}

    @property
    def storage(self) -> sp.Expr:
        """S = |psi|^2 / 2."""
        return inner(self.manifold, self.manifold) / 2

    def differential(self, tangent: Mapping[Symbol, Expr]) -> Vector:
        """Dpsi applied to a tangent vector given by its components, at a fixed time."""
        return tidy(derivative(self.manifold, tangent))

    def vertical(self, tangent: Mapping[Symbol, Expr]) -> dict[Symbol, Expr]:
        """The projector G (L_G psi)^-1 Dpsi onto the actuated fibre; horizontal is the rest."""
        amount = self.differential(tangent) / self.decoupling
        moved = {s: tidy(e - self.free[s]) for s, e in self.plant.items()}
        return {s: tidy(substitute(e, {self.control: amount})) for s, e in moved.items()}

    def metric(self, tangent: Mapping[Symbol, Expr]) -> sp.Expr:
        """The pseudo-Riemannian form <t, Dpsi^T Dpsi t>, whose kernel is the horizontal space."""
        image = self.differential(tangent)
        return inner(image, image)

    def invariance_defect(self, law: Vector) -> Vector:
        """psi' + K psi under another law: zero exactly if that law makes the manifold invariant at rate K."""
        driven = {s: substitute(e, {self.control: law}) for s, e in self.plant.items()}
        rate = derivative(self.manifold, self.rates(driven))
        defect: Vector = tidy(rate + self.manifold * self.gain)
        return defect

    def system(self, port: Vector = zero, name: str = "") -> System:
        """The closed loop as a system."""
        return System({"loop": self.closed_loop(port)}, time=self.time, name=name)


def single_fibre(loop: PassivityImmersion) -> VectorSymbol:
    """The one block that the control moves; OdescentError for several, or for one that is a scalar."""
    moved = loop.actuated
    if len(moved) != 1 or not isinstance(moved[0], VectorSymbol):
        names = listed([text(s) for s in moved]) or "none"
        raise OdescentError(
            f"the control must move exactly one vector block, but it moves {names}."
        )
    return moved[0]


def modal_roots(system: System, lam: sp.Expr, r: sp.Symbol) -> sp.Expr:
    """The characteristic polynomial of one mode, in r.

    Args:
        system: linearized on a quadratic mode.
        lam: the curvature of the mode.
        r: the indeterminate; roots are growth rates in continuous time.

    Returns:
        det(r I - A(lam)), expanded to canonical form.
    """
    matrix = system.linearize(lam)
    return canonical((r * sp.eye(matrix.rows) - matrix).det())
