"""Passivity and immersion: a control law that makes an implicit manifold attractive and passive.

For a plant z' = F(z) + G u and a manifold psi(z) = 0 of relative degree one, the law
u = (L_G psi)^-1 (-L_F psi - K psi + w) gives psi' = -K psi + w: the storage S = |psi|^2 / 2 obeys
S' = -2 K S + <psi, w>, so the loop is passive from w to psi, and at w = 0 the manifold attracts.
(Immersion and invariance: Astolfi and Ortega, 10.1109/TAC.2003.809820. Passivity and immersion:
after arXiv:2509.18346; reconstructed here.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import sympy as sp

from .._errors import OdescentError
from .calculus import Symbol, coefficient, derivative, substitute, symbols_of, tidy
from .exact import canonical
from .fields import System
from .vectors import Expr, Vector, VectorSymbol, inner, zero

external = VectorSymbol("w")  # the port left for interconnection


@dataclass(frozen=True)
class PassivityImmersion:
    """A plant, its implicit manifold and the law that renders it passive.

    Attributes:
        plant: right-hand sides by block symbol, linear in ``control``.
        control: the control vector u.
        manifold: psi, a vector in the blocks that vanishes on the target.
        gain: K, the rate at which psi decays.

    Raises:
        OdescentError: a control that is a block or moves nothing, a manifold that contains the control
            or is zero, or a block with the name of the port w.
    """

    plant: Mapping[Symbol, Expr]
    control: VectorSymbol
    manifold: Vector
    gain: sp.Expr

    def __post_init__(self) -> None:
        if self.control in self.plant or not any(
            self.control in symbols_of(e) for e in self.plant.values()
        ):
            raise OdescentError(
                f"{self.control} must be a control: it moves some block of the plant and is none itself."
            )
        if not self.manifold or self.control in self.manifold.free_symbols:
            raise OdescentError(
                f"the manifold {self.manifold} = 0 must be an equation in the blocks, without the control."
            )
        if external in self.plant:
            raise OdescentError(
                f"{external} names the port of the closed loop; give the block another name."
            )

    @cached_property
    def free(self) -> dict[Symbol, Expr]:
        """F: the plant without control."""
        return {s: tidy(substitute(e, {self.control: zero})) for s, e in self.plant.items()}

    @cached_property
    def drift_rate(self) -> Vector:
        """L_F psi."""
        return tidy(derivative(self.manifold, self.free))

    @cached_property
    def decoupling(self) -> sp.Expr:
        """L_G psi, a scalar times the identity.

        Raises OdescentError if it vanishes (relative degree is not one) or is not a scalar.
        """
        inputs = {s: tidy(e - self.free[s]) for s, e in self.plant.items()}
        rate = tidy(derivative(self.manifold, inputs))
        scale = coefficient(rate, self.control)
        if tidy(rate - self.control * scale) != zero:
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
    def law(self) -> Vector:
        """u, with the external port w."""
        wanted = external - self.drift_rate - self.manifold * self.gain
        law: Vector = tidy(wanted / self.decoupling)
        return law

    def closed_loop(self, port: Vector = external) -> dict[Symbol, Expr]:
        """The plant under the law, with the port connected to ``port``."""
        law = substitute(self.law, {external: port})
        return {s: tidy(substitute(e, {self.control: law})) for s, e in self.plant.items()}

    @property
    def storage(self) -> sp.Expr:
        """S = |psi|^2 / 2."""
        return inner(self.manifold, self.manifold) / 2

    def differential(self, tangent: Mapping[Symbol, Vector]) -> Vector:
        """Dpsi applied to a tangent vector given by its components."""
        return tidy(derivative(self.manifold, tangent))

    def vertical(self, tangent: Mapping[Symbol, Vector]) -> dict[Symbol, Vector]:
        """The projector G (L_G psi)^-1 Dpsi onto the actuated fibre; horizontal is the rest."""
        amount = self.differential(tangent) / self.decoupling
        moved = {s: tidy(e - self.free[s]) for s, e in self.plant.items()}
        return {s: tidy(substitute(e, {self.control: amount})) for s, e in moved.items()}

    def metric(self, tangent: Mapping[Symbol, Vector]) -> sp.Expr:
        """The pseudo-Riemannian form <t, Dpsi^T Dpsi t>, whose kernel is the horizontal space."""
        image = self.differential(tangent)
        return inner(image, image)

    def invariance_defect(self, law: Vector) -> Vector:
        """psi' + K psi under another law: zero exactly if that law makes the manifold invariant at rate K."""
        driven = {s: substitute(e, {self.control: law}) for s, e in self.plant.items()}
        defect: Vector = tidy(derivative(self.manifold, driven) + self.manifold * self.gain)
        return defect

    def system(self, port: Vector = zero, name: str = "") -> System:
        """The closed loop as a system."""
        return System({"loop": self.closed_loop(port)}, name=name)


def modal_roots(system: System, lam: sp.Expr, r: sp.Symbol) -> sp.Expr:
    """The characteristic polynomial of one mode, in r."""
    matrix = system.linearize(lam)
    return canonical((r * sp.eye(matrix.rows) - matrix).det())


__all__ = ["PassivityImmersion", "external", "modal_roots"]
