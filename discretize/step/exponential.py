"""The exponential of a small symbolic matrix and its integral, in real closed form."""

from __future__ import annotations

import sympy as sp

from ..._support.errors import OdescentError
from ...dynamics.algebra.exact import canonical, is_zero
from ..linear.matrices import inverse


def exponential(matrix: sp.Matrix, duration: sp.Expr) -> tuple[sp.Matrix, sp.Matrix]:
    """exp(M t) and its integral over [0, t], by Newton's interpolation of exp at the eigenvalues of M.

    Raises OdescentError where the eigenvalues have no closed form that is real whatever the parameters.
    """
    matrix = matrix.applyfunc(canonical)
    groups = _coupled(matrix)
    if (
        matrix.rows == 2
        and len(groups) == 1
        and (turning := _turning(matrix, duration)) is not None
    ):
        return turning
    nodes = [value for group in groups for value in _eigenvalues(matrix.extract(group, group))]
    return _newton(matrix, nodes, duration), _newton(matrix, nodes, duration, integral=True)


def gramian(matrix: sp.Matrix, column: sp.Matrix, duration: sp.Expr) -> sp.Matrix:
    """The integral of exp(M s) b b^T exp(M^T s) over [0, t]: the covariance of z' = M z driven by white noise along b.

    It solves C' = M C + C M^T + b b^T, C(0) = 0, which is linear with eigenvalues that are sums of two of M's.

    Args:
        matrix: M, shape (n, n).
        column: b, shape (n, 1).
        duration: t.

    Returns:
        C(t), shape (n, n).

    Raises:
        OdescentError: the eigenvalues of M have no closed form that is real for all parameters.
    """
    matrix, column = matrix.applyfunc(canonical), column.applyfunc(canonical)
    n = matrix.rows
    pairs = [(i, j) for i in range(n) for j in range(i, n)]
    place = {p: k for k, (i, j) in enumerate(pairs) for p in ((i, j), (j, i))}
    operator = sp.zeros(len(pairs), len(pairs))
    for k, (i, j) in enumerate(pairs):
        for m in range(n):
            operator[k, place[m, j]] += matrix[i, m]
            operator[k, place[i, m]] += matrix[j, m]
    groups, begin = _coupled(matrix), column * column.T
    turning = _turning(matrix, duration) if n == 2 and len(groups) == 1 else None
    if turning is not None and (back := inverse(operator)) is not None:
        grown = turning[0] * begin * turning[0].T - begin
        solved = back * sp.Matrix([grown[p] for p in pairs])
    else:
        values = [v for group in groups for v in _eigenvalues(matrix.extract(group, group))]
        nodes = [canonical(v + w) for k, v in enumerate(values) for w in values[k:]]
        solved = _newton(operator, nodes, duration, integral=True) * sp.Matrix(
            [begin[p] for p in pairs]
        )
    return sp.Matrix(n, n, lambda i, j: canonical(solved[place[i, j]]))


def _coupled(matrix: sp.Matrix) -> list[list[int]]:
    """Groups of indices that act on each other, directly or through others; the eigenvalues are theirs together."""
    n = matrix.rows
    reached = [[i == j or matrix[i, j] != 0 for j in range(n)] for i in range(n)]
    for m in range(n):
        for i in range(n):
            reached[i] = [
                there or (reached[i][m] and reached[m][j]) for j, there in enumerate(reached[i])
            ]
    groups = {i: [j for j in range(n) if reached[i][j] and reached[j][i]] for i in range(n)}
    return [group for i, group in groups.items() if group[0] == i]


def _eigenvalues(matrix: sp.Matrix) -> list[sp.Expr]:
    if matrix.rows == 1:
        return [matrix[0, 0]]
    if matrix.rows > 2:
        raise OdescentError(
            f"the exact integrator has no closed form for {matrix.rows} blocks that act on each other; use 'cayley', "
            "or split the field."
        )
    middle, discriminant = canonical(matrix.trace() / 2), _discriminant(matrix)
    if discriminant.is_nonnegative:
        root = canonical(sp.sqrt(discriminant))
        return [middle + root, middle - root]
    known = "is negative" if discriminant.is_negative else "may have either sign"
    raise OdescentError(
        f"the exact integrator needs real eigenvalues for this field, but (trace/2)^2 - det = {discriminant} {known}; "
        "use 'cayley', split the field, or bind its parameters with where=."
    )


def _discriminant(matrix: sp.Matrix) -> sp.Expr:
    """A quarter of the discriminant of a 2 x 2 matrix's characteristic polynomial."""
    return canonical(((matrix[0, 0] - matrix[1, 1]) / 2) ** 2 + matrix[0, 1] * matrix[1, 0])


def _turning(matrix: sp.Matrix, t: sp.Expr) -> tuple[sp.Matrix, sp.Matrix] | None:
    """Both for a 2 x 2 matrix with complex eigenvalues, which is invertible; None if they are not known to be."""
    discriminant = _discriminant(matrix)
    if not discriminant.is_negative:
        return None
    middle, rate = canonical(matrix.trace() / 2), sp.sqrt(-discriminant)
    shifted = matrix - middle * sp.eye(2)
    propagator = (sp.cos(rate * t) * sp.eye(2) + sp.sin(rate * t) / rate * shifted) * sp.exp(
        middle * t
    )
    return propagator, matrix.adjugate() / canonical(matrix.det()) * (propagator - sp.eye(2))


def _newton(
    matrix: sp.Matrix, nodes: list[sp.Expr], t: sp.Expr, integral: bool = False
) -> sp.Matrix:
    """Sum of divided differences of exp(. t) times the Newton polynomials of M; its integral has one node more, 0."""
    n = matrix.rows
    total, polynomial = sp.zeros(n, n), sp.eye(n)
    for k, node in enumerate(nodes):
        total += polynomial * _divided_difference(
            [*nodes[: k + 1], *([sp.S.Zero] if integral else [])], t
        )
        polynomial = (polynomial * (matrix - node * sp.eye(n))).applyfunc(canonical)
        if not any(polynomial):
            break
    return total.applyfunc(canonical)


def _divided_difference(nodes: list[sp.Expr], t: sp.Expr) -> sp.Expr:
    """The divided difference of x -> exp(x t); equal nodes give derivatives."""
    first = nodes[0]
    other = next((i for i, node in enumerate(nodes) if not is_zero(node - first)), None)
    if other is None:
        k = len(nodes) - 1
        return sp.exp(canonical(first) * t) * t**k / sp.factorial(k)
    without_first, without_other = nodes[1:], [*nodes[:other], *nodes[other + 1 :]]
    top = _divided_difference(without_first, t) - _divided_difference(without_other, t)
    return canonical(top / (nodes[other] - first))
