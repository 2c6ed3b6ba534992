"""A flow as exact matrices: X' = A X + B u, y = C X with u the gradients at y."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import sympy as sp

from ...._support.errors import OdescentError
from ....dynamics import System
from ....dynamics.algebra.exact import as_scalar, canonical
from ....dynamics.vector_fields.system import L as smoothness
from ..checking.checker import ONE
from .plant import Matrix, NoCertificate, Plant, constants_of, settled

if TYPE_CHECKING:
    from collections.abc import Sequence

Flow: TypeAlias = "System | Sequence[Any]"


def read_flow(flow: Flow, mu: object, L: object) -> Plant:
    """The exact matrices of a flow, reduced to what its gradient points and output see; D is zero.

    ``L`` may be infinity (`sympy.oo` or a float's); then the flow must not name it.

    Raises OdescentError for constants outside their domain or a system that is not of this form, and NoCertificate if
    it does not rest at minimizers.

    Args:
        flow: a system, or matrices (A, B, C).
        mu, L: the class, 0 < mu < L.
    """
    infinite = L is None or as_scalar_or_infinity(L) is sp.oo
    low, high = constants_of(mu, L, infinite)
    if not low > 0:
        raise NoCertificate(
            "there is no exponential rate over convex functions, mu = 0: some are arbitrarily flat at the "
            "minimizer."
        )
    if low == high:
        raise OdescentError(f"a flow's rate over F(mu, L) needs mu < L, not {low} = {high}.")
    matrices, name = _flow_matrices(flow)
    if infinite and any(smoothness in e.free_symbols for m in matrices for row in m for e in row):
        raise OdescentError("the flow depends on L, so L must be finite.")
    (A, *rest) = matrices
    shifted = [[e + 1 if i == j else e for j, e in enumerate(row)] for i, row in enumerate(A)]
    try:
        d, exact, found, fixed = settled([shifted, *rest], low, low if infinite else high)
    except NoCertificate:
        raise NoCertificate(
            "the flow does not rest at every minimizer: no state has A v = 0 and its gradient points and its output "
            "there."
        ) from None
    A, B, C, D, (output,) = found
    A = [[e - ONE if i == j else e for j, e in enumerate(row)] for i, row in enumerate(A)]
    if any(x for row in D for x in row):  # pragma: no cover
        raise AssertionError("a flow has no feed-through")
    return Plant(A, B, C, D, output, fixed, low, high, d, exact, name)


def as_scalar_or_infinity(value: object) -> sp.Expr:
    """A scalar; infinity stays itself."""
    if value == sp.oo or value == float("inf"):
        return sp.oo
    try:
        return as_scalar(value)
    except TypeError:
        raise OdescentError(f"L must be a positive number or infinity, not {value!r}.") from None


def _flow_matrices(flow: Flow) -> tuple[list[Matrix], str]:
    """A, B, C, D = 0 and the output row as expressions, and a name."""
    from ....discretize import Algorithm
    from ....discretize.library.schemes import scheme
    from ....discretize.linear.state_space import NotLTI
    from ....discretize.step.iteration import STEP

    if not isinstance(flow, System):
        if isinstance(flow, (str, dict)) or not hasattr(flow, "__len__") or len(flow) != 3:
            raise OdescentError(f"a flow is a System or matrices (A, B, C), not {flow!r}.")
        return _matrices(tuple(flow))
    if any(b.kind != "vector" for b in flow.blocks):
        odd = next(b for b in flow.blocks if b.kind != "vector")
        raise OdescentError(
            f"certificates require systems of vector blocks; {odd.name} is a {odd.kind}: bind it or "
            "eliminate it by a limit."
        )
    if not flow.autonomous:
        raise OdescentError(
            "exponential rates require autonomous systems; this one depends on time."
        )
    if any(f.noise for f in flow.fields.values()):
        raise OdescentError("certificates require systems without noise.")
    # x' = f(x) is x+ = x + h f(x), less x and over h
    try:
        (A, *rest), _ = _matrices(Algorithm(flow, scheme("explicit_euler"), STEP))
    except NotLTI as reason:
        raise OdescentError(
            "a flow's rate over F(mu, L) is about a drift linear in the blocks and gradients; this one is not: "
            f"{reason}"
        ) from None
    B, *points = rest
    A, B = (
        (m / STEP).applyfunc(canonical).tolist()
        for m in (sp.Matrix(A) - sp.eye(len(A)), sp.Matrix(B))
    )
    return [A, B, *points], flow.name
