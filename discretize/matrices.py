"""Exact linear algebra on small matrices of scalars; SymPy's own simplifies at every step, which is slow."""

from __future__ import annotations

import sympy as sp

from odescent.dynamics.exact import canonical


def determinant(matrix: sp.Matrix) -> sp.Expr:
    """The determinant, canonical."""
    return canonical(matrix.det(method="berkowitz"))


def inverse(matrix: sp.Matrix) -> sp.Matrix | None:
    """The inverse with canonical entries; None for a singular matrix."""
    value = determinant(matrix)
    if value == 0:
        return None
    return (matrix.adjugate(method="berkowitz") / value).applyfunc(canonical)
