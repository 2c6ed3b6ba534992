"""A flow as exact matrices: X' = A X + B u, y = C X with u the gradients at y."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import sympy as sp

from odescent._errors import OdescentError
from odescent.dynamics import System
from odescent.dynamics.calculus import coefficients_of
from odescent.dynamics.exact import as_scalar
from odescent.dynamics.fields import L as smoothness
from odescent.dynamics.oracles import check_class, constant
from odescent.dynamics.vectors import Call, ScalarNode, Vector

from .checker import ONE
from .plant import Matrix, NoCertificate, Plant, settled

if TYPE_CHECKING:
    from collections.abc import Sequence

Flow: TypeAlias = "System | Sequence[Any]"


def read_flow(flow: Flow, mu: object, L: object) -> Plant:
    """The exact matrices of a flow, reduced to what its gradient points and output see; D is zero.

    ``L`` may be infinity (`sympy.oo` or a float's); then the flow must not name it.

    Raises OdescentError for constants outside their domain or a system that is not of this form, and NoCertificate if
    it does not rest at minimizers.
    """
    low = constant("mu", mu)
    infinite = L is None or as_scalar_or_infinity(L) is sp.oo
    high = sp.oo if infinite else constant("L", L, strict=True)
    if not (low.is_number and (infinite or high.is_number)):
        raise OdescentError(f"mu and L must be numbers for a certificate, not {mu} and {L}.")
    if not infinite:
        check_class(low, high)
    if not low > 0:
        raise NoCertificate(
            "there is no exponential rate over convex functions, mu = 0: some are as flat as one likes at the "
            "minimizer."
        )
    if low == high:
        raise OdescentError(f"a flow's rate over F(mu, L) needs mu < L, not {low} = {high}.")
    matrices, name = _matrices(flow)
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


def _matrices(flow: Flow) -> tuple[list[Matrix], str]:
    """A, B, C, D = 0 and the output row as expressions, and a name."""
    if not isinstance(flow, System):
        from .plant import _matrices as given

        if isinstance(flow, (str, dict)) or not hasattr(flow, "__len__") or len(flow) != 3:
            raise OdescentError(f"a flow is a System or matrices (A, B, C), not {flow!r}.")
        return given(tuple(flow))
    if any(b.kind != "vector" for b in flow.blocks):
        odd = next(b for b in flow.blocks if b.kind != "vector")
        raise OdescentError(
            f"a certificate is about systems of vector blocks; {odd.name} is a {odd.kind}: bind it or limit it away."
        )
    if not flow.autonomous:
        raise OdescentError(
            "an exponential rate is about autonomous systems; this one depends on time."
        )
    if any(f.noise for f in flow.fields.values()):
        raise OdescentError("a certificate is about systems without noise.")
    symbols = [b.symbol for b in flow.blocks]
    states: Matrix = []
    slopes: list[dict[Any, sp.Expr]] = []
    for s in symbols:
        drift = flow.drift[s]
        assert isinstance(drift, Vector)
        row, rest = coefficients_of(drift, symbols)
        states.append(row)
        slopes.append(dict(rest.terms))
    calls: list[Any] = list(dict.fromkeys(c for row in slopes for c in row))
    for c in calls:
        if (
            not isinstance(c, Call)
            or c.oracle.kind not in ("grad", "operator")
            or c.directions
            or c.parameters
        ):
            raise OdescentError(
                f"a flow's rate over F(mu, L) is about a drift linear in the blocks and gradients; this one has {c}."
            )
    if len({c.oracle.of for c in calls}) != 1:
        called = ", ".join(dict.fromkeys(c.oracle.name for c in calls)) or "nothing"
        raise OdescentError(
            f"a rate over F(mu, L) is about gradients of one function; this flow calls {called}."
        )
    points = []
    for c in [*(c.point for c in calls), flow.output]:
        row, rest = coefficients_of(c, symbols)
        if rest.terms:
            raise OdescentError(f"the point or output {c} is not linear in the blocks.")
        points.append(row)
    B = [[row.get(c, sp.S.Zero) for c in calls] for row in slopes]
    entries = [e for m in (states, B, points) for row in m for e in row]
    if any(e.has(ScalarNode) for e in entries):
        raise OdescentError("the coefficients of a flow with a certificate are constants.")
    none = [[sp.S.Zero] * len(calls) for _ in calls]
    return [states, B, points[:-1], none, points[-1:]], flow.name
