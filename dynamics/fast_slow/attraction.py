"""Normal hyperbolicity: what makes a critical manifold attract, proved where it can be, else a stated assumption."""

from __future__ import annotations

import sympy as sp

from ..._support.errors import NotCarried, OdescentError
from ..algebra.calculus import tidy
from ..algebra.exact import canonical
from ..algebra.vectors import Vector
from ..implicit.equations import Opened, in_sequence
from ..notation.show import text
from ..solves.routes import Structure
from ..vector_fields.hypotheses import Hypothesis, positive

DEFINITE, STABLE = "is positive definite", "has eigenvalues with positive real parts"


def attraction(linearized: Opened, names: str, small: str) -> list[Hypothesis]:
    """The hypotheses under which the fast equations attract, from minus their derivative at the manifold.

    Equations that do not need one another have the eigenvalues of each of their groups.

    Args:
        linearized: the equations J v = 0 in the fast directions.
        names: the fast blocks, for messages.
        small: the small parameter, for messages.

    Raises:
        OdescentError: the manifold is proved to repel.
    """
    found: list[Hypothesis] = []
    subject = f"the rate at which the slow manifold attracts, times {small},"
    for group in in_sequence(linearized.equations, linearized.unknowns):
        own = Opened(
            tuple(linearized.equations[i] for i in group),
            tuple(linearized.unknowns[i] for i in group),
        )
        if (matrix := own.scalar_matrix) is not None:
            found += [positive(subject, e) for e in _hurwitz(-matrix)]
        else:
            found.append(_operator(own, subject))
    for h in found:
        if h.status == "refuted":
            must = "be positive" if h.relation == "> 0" else f"be such that it {h.relation}"
            raise OdescentError(
                f"the slow manifold repels, so nothing near it follows it: for {names} to come to rest as {small} "
                f"tends to 0, {text(h.expression)} must {must}, which it is not."
            )
    return found


def _hurwitz(matrix: sp.Matrix) -> list[sp.Expr]:
    """What must be positive for all eigenvalues of a matrix to have positive real parts (Hurwitz's determinants)."""
    n = matrix.rows
    z = sp.Dummy()
    # det(z + M) has its roots at minus the eigenvalues
    a = [
        canonical(c)
        for c in (z * sp.eye(n) + matrix).det(method="berkowitz").as_poly(z).all_coeffs()
    ]
    a += [sp.S.Zero] * n
    minors = [
        canonical(
            sp.Matrix(
                k,
                k,
                lambda i, j: a[2 * (j + 1) - (i + 1)] if 0 <= 2 * (j + 1) - (i + 1) < len(a) else 0,
            ).det()
        )
        for k in range(1, n)
    ]
    return [*minors, a[n]] if n > 1 else [a[1]]


def _operator(own: Opened, subject: str) -> Hypothesis:
    """Of operators: that minus the derivative is definite, where it is symmetric, else that its spectrum is."""
    minus: Vector = tidy(-own.jacobian)
    structure = Structure(minus)
    if structure.definite:
        return Hypothesis(subject, minus, DEFINITE, "proved" if structure.way > 0 else "refuted")
    try:
        symmetric = structure.symmetric
    except NotCarried:
        symmetric = False
    return Hypothesis(subject, minus, DEFINITE if symmetric else STABLE, "assumed")


def relaxation(linearized: Opened) -> sp.Expr | None:
    """The one rate, times the small parameter, at which a single fast equation relaxes; None if it has no one rate."""
    matrix = linearized.scalar_matrix
    return canonical(-matrix[0, 0]) if matrix is not None and matrix.shape == (1, 1) else None
